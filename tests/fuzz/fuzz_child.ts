// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * The process that `fuzz_test.ts` lets be fuzzed, since it might crash. It prints what it is about
 * to do before it does it, and at last how much it has done and what was wrong, as JSON.
 *
 * - `each SEED`: every function and accessor of the public API, with every kind of value.
 * - `sequences SEED COUNT`: random sequences of operations.
 * - `sequence JSON`: one sequence.
 *
 * @module
 */

import * as fringe from "../../mod.ts";
import { type Any, unpinned, World } from "./fuzz.ts";
import { perform, sequenceOf } from "./fuzz_sequence.ts";
import { definitions, gc } from "../support/support.ts";

const encoder = new TextEncoder();

/** Says what comes next, at once: there may be no later. */
function announce(what: string): void {
  Deno.stdout.writeSync(encoder.encode(`${what}\n`));
}

const problems: string[] = [];
let count = 0;

// Every function with every kind of value

/** Makes an object in a certain state, in a world, and lends it to `use`. */
type Target = (world: World, use: (object: Any) => void) => void;

const { dlopen, PointerView, struct } = fringe;

/** A generator on a new stack. */
const generator =
  (body: (world: World) => Any, ...then: ((generator: Any) => void)[]): Target => (world, use) => {
    const generator = world.generator(world.stack(world.turns), body(world));
    for (const act of then) world.attempt(() => act(generator));
    use(generator);
  };

const native = (name: string) => (world: World): Any => world.library().symbols[name];
const counting = (world: World): Any => world.counting();
const resume = (generator: Any): void => generator.resume(1);
const end = (generator: Any): void => generator.return();
const dispose = (generator: Any): void => generator[Symbol.dispose]();

/** Whatever a program can get hold of that has members, in each of its states. */
const targets: Record<string, Target> = {
  ...Object.fromEntries(
    Object.entries(fringe).flatMap(([name, value]) => {
      const target = (object: Any): Target => (_, use) => use(object);
      const all: [string, Target][] = [[name, target(value)]];
      if (typeof value === "function" && "prototype" in value) {
        all.push([`${name}.prototype`, target(value.prototype)]);
      }
      return all;
    }),
  ),
  "a stack": (world, use) => use(world.stack(world.turns)),
  "an occupied stack": (world, use) => {
    const stack = world.stack(world.turns);
    world.generator(stack, native("echo_i32")(world)).resume(1);
    use(stack);
  },
  "a disposed stack": (world, use) => {
    const stack = world.stack(world.turns);
    stack[Symbol.dispose]();
    use(stack);
  },
  "a stack whose memory is gone": (world, use) => {
    const stack = world.stack(2);
    world.buffers.at(-1).buffer.transfer();
    use(stack);
  },
  "a fresh generator, native": generator(native("never_suspends")),
  "a fresh generator, script": generator((world) => world.body(0, 0)),
  "a suspended generator, native": generator(counting, resume),
  "a suspended generator that never ends": (world, use) => {
    const generator = world.generator(world.stack(), native("echo_i32")(world));
    generator.resume(1);
    generator.resume(2);
    // Without what would take all of it.
    use({
      resume: (input: unknown) => generator.resume(input),
      next: (input: unknown) => generator.next(input),
    });
  },
  "a suspended generator, script": generator((world) => world.body(1, 0), resume),
  "an ended generator, native": generator(native("has_destructor"), resume, end),
  "an ended generator, script": generator((world) => world.body(0, 0), resume, end),
  "a failed generator": generator((world) => world.body(6, 0), resume),
  "a disposed generator": generator((world) => world.body(0, 0), resume, dispose),
  "a generator of a closed library": (world, use) => {
    const generator = world.generator(world.stack(), world.counting());
    generator.resume();
    world.libraries.at(-1).close();
    use(generator);
  },
  "a running generator, and its yielder": (world, use) => {
    const running: Any = world.generator(
      world.stack(),
      function* (yielder: Any): Any {
        use(running);
        use(yielder);
        yield 1;
      },
    );
    world.attempt(() => running.resume());
  },
  "a generator in a handler of its own": (world, use) => {
    const running: Any = world.generator(
      world.stack(),
      function* (yielder: Any): Any {
        yield* yielder.call(native("call_n")(world), 1, (x: unknown) => (use(running), x));
      },
    );
    world.attempt(() => running.resume());
  },
  "a yielder that is not running": (world, use) => {
    world.generator(world.stack(), world.body(2, 0)).resume();
    use(world.yielders.at(-1));
    use(world.raw.at(-1));
  },
  "a pulled generator": (world, use) => use(native("call_n")(world).calls(2)),
  "a pulled call, and its generator": (world, use) => {
    const calls = native("ask_three")(world).calls();
    use(calls.next().value);
    use(calls);
  },
  "a pulled call that is over": (world, use) => {
    const calls = native("ask_three")(world).calls();
    const { value } = calls.next();
    calls.return();
    use(value);
  },
  "a library": (_, use) => use(dlopen(unpinned, { call_n: definitions.call_n })),
  "symbols": (world, use) => use(world.library().symbols),
  "symbols elsewhere": (world, use) => use(world.elsewhere().symbols),
  "symbols of a closed library": (_, use) => {
    const library = dlopen(unpinned, definitions);
    library.close();
    use(library.symbols);
  },
  "a callback": (world, use) => use(world.callback()),
  "a closed callback": (world, use) => {
    const callback = world.callback();
    callback.close();
    use(callback);
  },
  "a view": (_, use) => use(PointerView.of(new Uint8Array(64))),
  "a view that is gone": (_, use) => {
    const bytes = new Uint8Array(64);
    const view = PointerView.of(bytes);
    bytes.buffer.transfer();
    use(view);
  },
  "a layout": (_, use) => use(struct({ a: "i32", b: ["u8", 4], c: struct({ d: "f64" }) })),
  "a view of a struct": (_, use) => {
    const layout = struct({ a: "u64", b: ["i16", 3], c: struct({ d: "bool" }), e: "cstring" });
    use(layout.view(new Uint8Array(layout.size)));
  },
  "an error": (_, use) => use(new fringe.FringeError("refused", "Cannot make an example")),
};

/** Good arguments, so that what follows one of them is looked at. */
const GOOD: Record<string, (world: World) => unknown[]> = {
  dlopen: () => [unpinned, { call_n: definitions.call_n }],
  Generator: (world) => [world.stack(), world.body(0, 0)],
  unguarded: (world) => [world.stack(), world.body(0, 0)],
  Callback: () => [{ parameters: ["i32"], result: "i32" }, (x: unknown) => x],
  FringeError: () => ["refused", "Cannot make an example", {}],
  call: (world) => [world.library().symbols.call_n, 2, (x: unknown) => x],
  call_n: () => [2, (x: unknown) => x, {}],
  two_callbacks: () => [(x: unknown) => x, (x: unknown) => x],
  pass_string: () => [(x: unknown) => x, "text"],
  pass_buffers: (world) => [(x: unknown) => x, world.buffer()],
  half: () => [(x: unknown) => x, 0.5],
  add_six: () => [1, 2, 3, 4, 5, 6],
  struct: () => [{ a: "i32", b: ["u8", 4] }, { pack: 1 }],
  union: () => [{ a: "i32", b: ["u8", 4] }, { pack: 1 }],
  read: () => [new Uint8Array(24)],
  // Nothing is written: one of the values is a pointer to code.
  write: () => [new Uint8Array(24), {}],
  view: () => [new Uint8Array(24)],
  setCString: () => [0, "text", "latin1"],
  copyInto: (world) => [world.buffer().subarray(0, 8), 0],
  copyFrom: (world) => [world.buffer().subarray(0, 8), 0],
};

/** What is to be called with care: C jumps to what it was given, whatever that is. */
const SKIPPED = new Set<PropertyKey>(["call_kept", "constructor"]);

interface Member {
  readonly name: string;
  readonly key: PropertyKey;
  /** Whether it is the engine's, and has errors of its own. */
  readonly isLanguages?: boolean;
  call(object: Any, args: unknown[]): unknown;
}

/** Whatever can be done to an object: its methods and accessors, and those that it inherits. */
function* members(object: Any): globalThis.Generator<Member> {
  if (typeof object === "function") {
    const { name } = object;
    yield { name, key: name, call: (f, args) => f(...args) };
    yield { name: `new ${name}`, key: name, call: (f, args) => new f(...args) };
    yield {
      name: `construct ${name}`,
      key: name,
      call: (f, args) => Reflect.construct(f, args, new Proxy(f, {})),
    };
  }
  const seen = new Set<PropertyKey>(SKIPPED);
  const last: unknown[] = [Object, Function, Number, Error].map(({ prototype }) => prototype);
  for (let at = Object(object); !last.includes(at); at = Object.getPrototypeOf(at)) {
    if (at === null) return;
    for (const key of Reflect.ownKeys(at)) {
      if (seen.has(key)) continue;
      seen.add(key);
      const { value, get, set } = Object.getOwnPropertyDescriptor(at, key)!;
      const name = String(key);
      for (const f of [value, get, set]) {
        if (typeof f !== "function" || last.includes(f)) continue;
        const isLanguages = /\[native code\]/.test(Function.prototype.toString.call(f));
        // What an object has of its own is another's with the next one.
        const of = (next: Any): Any => at === object && next?.[key] || f;
        yield { name, key, isLanguages, call: (next, args) => Reflect.apply(of(next), next, args) };
        for (const part of ["async", "calls"]) {
          if (!Object.hasOwn(f, part)) continue;
          yield { name: `${name}.${part}`, key, call: (next, args) => of(next)[part](...args) };
        }
      }
    }
  }
}

/** What is done with what comes back: it may be a generator, or something to dispose of. */
function follow(world: World, result: Any, mayBeLanguages: boolean, depth: number = 0): void {
  world.watch(result);
  if (depth > 1 || typeof result !== "object" || result === null) return;
  world.attempt(() => {
    // What says that it is a stack must be of use as one.
    if ("limit" in result) world.generator(result, world.library().symbols.echo_i32).resume(1);
  }, mayBeLanguages);
  for (const act of ["next", "next", "return", Symbol.dispose]) {
    // Those of the world are needed once more.
    if (act === Symbol.dispose && world.stacks.includes(result)) continue;
    const next = world.attempt(() => act in result ? result[act]() : undefined, mayBeLanguages);
    follow(world, next, mayBeLanguages, depth + 1);
  }
  world.attempt(() => "reply" in result && result.reply(1), mayBeLanguages);
}

/** Of the values one in so many is passed, others with other seeds: all of them take too long. */
const PARTS = 5;

/** Does everything to what a target lends. */
async function tryMembers(what: string, target: Target, seed: number): Promise<void> {
  const list: Member[] = [];
  const first = new World();
  target(first, (object) => list.push(...members(object)));
  await first.end();
  // There nothing but the receiver matters, and elsewhere it is a good one.
  const isPrototype = what.endsWith(".prototype");
  for (const member of list) {
    announce(`${what}: ${member.name}`);
    const world = new World();
    const all = Object.entries(world.values());
    const key = String(member.key);
    const good = (): unknown[] => Object.hasOwn(GOOD, key) ? GOOD[key]!(world) : [];
    const call = (object: unknown, args: unknown[]): void => {
      count++;
      const mayBeLanguages = isPrototype || member.isLanguages || key === "FringeError";
      follow(world, world.attempt(() => member.call(object, args), mayBeLanguages), mayBeLanguages);
    };
    const attempt = (args: unknown[]): void => {
      // In a target of several objects each member belongs to one of them.
      world.attempt(() => target(world, (object) => call(object, args)));
    };
    const places = good().length + 1;
    for (let length = 0; length <= places; length++) attempt(good().slice(0, length));
    for (const [i, [name, value]] of all.entries()) {
      if (isPrototype) call(value, good());
      for (let place = 0; place < places && !isPrototype; place++) {
        if ((i + place + seed) % PARTS !== 0) continue;
        const args = good();
        args[place] = value;
        attempt(args);
      }
      for (const problem of world.problems.splice(0)) {
        problems.push(`${what}: ${member.name} with ${name}: ${problem}`);
      }
    }
    await world.end();
    for (const problem of world.problems) problems.push(`${what}: ${member.name}: ${problem}`);
    gc("minor");
  }
}

// Sequences

/** The size of the process's addresses, in bytes: of its stacks above all. */
function size(): number {
  const [, kilobytes] = Deno.readTextFileSync("/proc/self/status").match(/VmSize:\s+(\d+)/)!;
  return Number(kilobytes) * 1024;
}

/** Whether the library is mapped that is to be gone whenever it is closed. */
function isMapped(): boolean {
  return Deno.readTextFileSync("/proc/self/maps").includes(unpinned);
}

async function collect(): Promise<void> {
  for (let i = 0; i < 5; i++) {
    gc();
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

async function trySequences(seed: number, rounds: number): Promise<void> {
  // What the first ones leave is there for good: the pool's stacks, the pinned library.
  let before = 0;
  for (let i = 0; i < rounds && problems.length === 0; i++) {
    announce(String(seed + i));
    const sequence = sequenceOf(seed + i);
    count += sequence.length;
    problems.push(...await perform(sequence));
    if (isMapped()) problems.push("a library that has been closed is still there");
    if (i === WARM) {
      await collect();
      before = size();
    }
  }
  if (before === 0) return;
  await collect();
  const grown = size() - before;
  if (grown > GROWTH_MAX) problems.push(`${grown} bytes of addresses are lost`);
}

const WARM = 20;
/** Some thirty stacks of sequences; what V8 keeps for later use was seen to be a tenth of it. */
const GROWTH_MAX = 2 ** 31;

const [mode, ...args] = Deno.args;
if (mode === "each") {
  const seed = Number(args[0]);
  for (const [what, target] of Object.entries(targets)) await tryMembers(what, target, seed);
} else if (mode === "sequences") {
  await trySequences(Number(args[0]), Number(args[1]));
} else if (mode === "sequence") {
  problems.push(...await perform(JSON.parse(args[0]!)));
}
console.log(JSON.stringify({ count, problems }));
