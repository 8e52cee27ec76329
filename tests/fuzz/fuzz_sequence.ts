// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Sequences of operations, of which each may be good or not: what they are, and how one is run.
 *
 * @module
 */

import fc from "fast-check";
import { PointerView, SliceStack, struct } from "../../mod.ts";
import { type Any, bodyNames, elsewhereNames, functionNames, World } from "./fuzz.ts";
import { gc } from "../support/support.ts";

/** Which operation, on which of the objects that there are, in which way, with which value. */
export type Operation = readonly [name: string, which: number, how: number, value: number];

/** What an operation does; `how` and `which` are natural numbers. */
type Perform = (world: World, which: number, how: number, value: unknown) => unknown;

/** One of what there is; what is no longer good is among it. */
const pick = (list: readonly Any[], which: number): Any => list[which % (list.length || 1)];

/** A native body, or one in TypeScript, or none. */
function body(world: World, how: number, value: unknown): Any {
  if (how % 2 === 0) return world.library().symbols[pick(bodyNames, how >> 1)];
  return world.body(how >> 1, value);
}

/** A name of a function and its arguments, of which one may be wrong. */
function call(world: World, how: number, value: unknown): [string, unknown[]] {
  const name: string = pick(functionNames, how);
  return [name, world.args(name, world.handler(how >> 4, value), value, how >> 2)];
}

/** What may lie over anything: it has no pointers. */
const layout = struct({ a: "u8", b: ["i64", 2], c: struct({ d: "f32" }), e: ["bool", 3] });

const OPERATIONS: Readonly<Record<string, Perform>> = {
  stack: (world, which) => world.stack(which),
  stackOf: (world, _which, _how, value) => void world.stacks.push(new SliceStack(value as Any)),
  disposeOfStack: (world, which) => pick(world.stacks, which)?.[Symbol.dispose](),
  generator: (world, which, how, value) =>
    world.generator(pick(world.stacks, which) ?? world.stack(how), body(world, how, value)),
  resume: (world, which, how, value) =>
    pick(world.generators, which)?.resume(how % 2 === 0 ? how : value),
  next: (world, which, _, value) => {
    const result = pick(world.generators, which)?.next(value);
    if (result !== undefined && typeof result.value?.reply === "function") {
      world.calls.push(result.value);
    }
  },
  return: (world, which, _, value) => pick(world.generators, which)?.return(value),
  throw: (world, which, _, value) => {
    const generator = pick(world.generators, which);
    try {
      generator?.throw(value);
    } catch (error) {
      if (error !== value) throw error;
    }
  },
  dispose: (world, which) => pick(world.generators, which)?.[Symbol.dispose](),
  unwrap: (world, which) => {
    const stack = pick(world.generators, which)?.unwrap();
    if (stack !== undefined && !world.stacks.includes(stack)) {
      world.problems.push("unwrap() gave a stack that nobody has made");
    }
  },
  drop: (world, which) => {
    const [dropped] = world.generators.splice(which % (world.generators.length || 1), 1);
    // Its stack is to be had again only once it has been ended.
    world.attempt(() => dropped?.[Symbol.dispose]());
  },
  library: (world) => void world.library(),
  closeLibrary: (world, which) => pick(world.libraries, which)?.close(),
  call: (world, _, how, value) => {
    const [name, args] = call(world, how, value);
    return world.library().symbols[name](...args);
  },
  async: (world, which, how, value) => {
    const [name, args] = call(world, how, value);
    if (which % 2 === 0) {
      const controller = new AbortController();
      world.controllers.push(controller);
      args.push({ signal: controller.signal });
    }
    return world.library().symbols[name].async(...args);
  },
  elsewhere: (world, which, how, value) => {
    const name: string = pick(elsewhereNames, how);
    const args = world.args(name, world.handler(how >> 3, value), value, how >> 1);
    const f = world.elsewhere().symbols[name];
    return which % 2 === 0 ? f(...args) : f.async(...args);
  },
  calls: (world, _, how, value) => {
    const [name, args] = call(world, how, value);
    const plain = args.filter((arg) => typeof arg !== "function");
    world.generators.push(world.library().symbols[name].calls(...plain));
  },
  reply: (world, which, how, value) => pick(world.calls, which)?.reply(how % 2 === 0 ? 1 : value),
  raw: (world, which, how, value) => {
    const raw = pick(world.raw, which);
    return [raw?.next, raw?.return, raw?.throw][how % 3]?.call(raw, value);
  },
  yielder: (world, which, _, value) => {
    const yielder = pick(world.yielders, which);
    const f = world.library().symbols.call_n;
    if (yielder !== undefined) world.raw.push(yielder.call(f, 2, value));
  },
  callback: (world, _, how, value) => world.callback(world.handler(how, value)),
  closeCallback: (world, which) => pick(world.callbacks, which)?.close(),
  callKept: (world, which, how) => {
    const { keep, call_kept } = world.library().symbols;
    const callback = pick(world.callbacks, which) ?? world.callback();
    keep(callback);
    if (how % 3 === 0) callback.close();
    return how % 2 === 0 ? call_kept(3) : call_kept.async(3);
  },
  abort: (world, which, _, value) => pick(world.controllers, which)?.abort(value),
  sayAbort: (world, which) =>
    pick(world.controllers, which)?.signal.dispatchEvent(new Event("abort")),
  settle: (world, which, how, value) => {
    const [gate] = world.gates.splice(which % (world.gates.length || 1), 1);
    if (how % 3 === 2) gate?.reject(value);
    else gate?.resolve(how % 3 === 0 ? 1 : value);
  },
  detach: (world, which) => world.detach(which),
  view: (world, which, how, value) => {
    const view: Any = PointerView.of(pick(world.buffers, which) ?? world.buffer());
    const { prototype } = PointerView;
    // What getCStrings() follows may be anything by now.
    const names = Object.getOwnPropertyNames(prototype).filter((name) =>
      /^[gsc]et|copy|^add$/.test(name) && name !== "getCStrings"
    );
    return view[pick(names, how)](value, value);
  },
  struct: (world, which, how, value) => {
    const view: Any = layout.view(pick(world.buffers, which) ?? world.buffer());
    const name = pick(Object.keys(layout.fields), how)!;
    if (how % 2 === 0) return view[name];
    return view[name] = how % 3 === 0 ? [value, value] : value;
  },
  mischief: (world) => world.mischief(),
  collect: (_, which) => gc(which % 4 === 0 ? "major" : "minor"),
  turn: () => new Promise((resolve) => setTimeout(resolve)),
};

/** The names of all operations. */
export const operations: readonly string[] = Object.keys(OPERATIONS);

/** Sequences. */
export const sequences: fc.Arbitrary<Operation[]> = fc.array(
  fc.tuple(fc.constantFrom(...operations), fc.nat(1000), fc.nat(1000), fc.nat(1000)),
  { minLength: 1, maxLength: 60, size: "max" },
);

/** The sequence of a seed. */
export function sequenceOf(seed: number): Operation[] {
  return fc.sample(sequences, { seed, numRuns: 1 })[0]!;
}

/** Runs a sequence, and returns what was wrong. */
export async function perform(sequence: readonly Operation[]): Promise<string[]> {
  const world = new World();
  const all = Object.values(world.values());
  for (const [name, which, how, value] of sequence) {
    const turn = world.attempt(() => OPERATIONS[name]!(world, which, how, pick(all, value)));
    if (name === "turn") await turn;
  }
  await world.end();
  return world.problems;
}
