// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * What a generator costs where so many are suspended at once, each on a guarded stack of a
 * `StackPool`: `generators.ts COUNT ROUNDS PATIENCE`. Resumes, and ends, come in random order, so
 * that no cache helps.
 *
 * Beside them stands what one load takes that depends on the one before, each in another page of as
 * much memory: a resume is at least the first touch of an object, and of a stack.
 *
 * Each round has a pool of its own, whose pages are touched for the first time. What counts is the
 * median of the rounds.
 *
 * @module
 */

import { dlopen, Generator, StackPool } from "fringe";
import { type Generators, median } from "../../tools/million_results.ts";
import { testBodies } from "../setup.ts";
import { collect, mappings, resident, shuffled, timed } from "./support.ts";

const SIZE = 64 * 1024;

/** What a load takes that depends on the one before, each in a page of its own. */
function load(order: Uint32Array): number {
  const words = 4096 / Uint32Array.BYTES_PER_ELEMENT;
  // At most 256 MB of pages: the rest is like these.
  const pages = order.filter((page) => page < Math.min(order.length, 65_536));
  const memory = new Uint32Array(pages.length * words);
  for (let i = 0; i < pages.length; i++) {
    memory[pages[i]! * words] = pages[(i + 1) % pages.length]!;
  }
  let at = pages[0]!;
  const took = timed(pages.length, () => at = memory[at * words]!);
  if (at !== pages[0]) throw new Error("The loads have not come round");
  return took;
}

const library = dlopen(testBodies, { echo_u32: { input: "u32", output: "u32" } });

function make(pool: StackPool, i: number): Generator<number, number> {
  const generator = new Generator(pool.take(), library.symbols.echo_u32);
  if (generator.resume(i) !== i) throw new Error("It does not echo");
  return generator;
}

type Times = Record<"made" | "resumed" | "ended" | "bytes", number>;

/** Makes so many, resumes each, and disposes of each. */
function round(order: Uint32Array, end: Uint32Array): Times {
  const count = order.length;
  using pool = new StackPool({ size: SIZE });
  const generators = new Array<Generator<number, number>>(count);
  const before = resident();
  const made = timed(count, (i) => generators[i] = make(pool, i));
  const bytes = (resident() - before) / count;
  const resumed = timed(count, (i) => {
    if (generators[order[i]!]!.resume(i) !== i) throw new Error("It does not echo");
  });
  const ended = timed(count, (i) => generators[end[i]!]![Symbol.dispose]());
  return { made, resumed, ended, bytes };
}

/** For how many seconds V8 may hold the memory of garbage: `patience`; or less, if it lets go. */
async function settle(before: number, patience: number): Promise<void> {
  await collect();
  for (let i = 0; i < patience && mappings() > before + 10; i++) {
    await new Promise((resolve) => setTimeout(resolve, 1000));
    await collect();
  }
}

async function measure(count: number, many: number, patience: number): Promise<Generators> {
  // V8 compiles what runs often.
  using pool = new StackPool({ size: SIZE });
  for (let i = 0; i < 30_000; i++) {
    using generator = make(pool, i);
    if (generator.resume(i) !== i) throw new Error("It does not echo");
  }
  const [order, end] = [shuffled(count), shuffled(count)];
  const loaded = load(order);
  await collect();
  const before = { resident: resident(), mappings: mappings() };
  const rounds: Times[] = [];
  for (let i = 0; i < many; i++) {
    await collect(1);
    rounds.push(round(order, end));
  }
  await settle(before.mappings, patience);
  const of = (name: keyof Times): number => median(rounds.map((times) => times[name]));
  return {
    count,
    made: of("made"),
    resumed: of("resumed"),
    ended: of("ended"),
    load: loaded,
    bytes: of("bytes"),
    left: (resident() - before.resident) / 1e6,
    mappings: mappings() - before.mappings,
  };
}

if (import.meta.main) {
  const [count, many, patience] = Deno.args.map(Number) as [number, number, number];
  console.log(JSON.stringify(await measure(count, many, patience)));
}
