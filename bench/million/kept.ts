// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * What a suspended side keeps resident: one that has used little of its stack, and one that has
 * used much of it, and has returned from that before it suspended. The pages below the frames hold
 * nothing then, and stay. To give them back is a system call, `madvise`, which is measured beside
 * it, and the faults when they are touched again: by this one decides whether it pays.
 *
 * @module
 */

import { dlopen, Generator, type GuardedStack, StackPool } from "fringe";
import type { Kept } from "../../tools/million_results.ts";
import { testBodies } from "../setup.ts";
import { resident, timed } from "./support.ts";

const COUNT = 2000;
/** How often a function calls itself, which takes some 300 bytes each time. */
const DEPTH = 400;
const SIZE = 256 * 1024;
/** What the frames of a suspended body are left: the innermost one lies within it here. */
const ABOVE = 4096;

const library = dlopen(testBodies, {
  recurses: { input: "i32", output: "i32" },
  use_up_after: {
    parameters: [{ callback: { parameters: ["i32"], result: "i32" } }],
    result: "i32",
  },
});
const libc = Deno.dlopen("libc.so.6", {
  madvise: { parameters: ["usize", "usize", "i32"], result: "i32" },
}).symbols;
const MADV_DONTNEED = 4;

/** Gives back what lies below the frames of a suspended body: it must not run meanwhile. */
function giveBack({ limit, base }: GuardedStack): void {
  const unused = base - limit - BigInt(ABOVE);
  if (libc.madvise(limit, unused, MADV_DONTNEED) !== 0) throw new Error("It is not given back");
}

/** What it takes, in bytes that are resident, to do something with each. */
function bytesOf(step: (i: number) => void): number {
  const before = resident();
  for (let i = 0; i < COUNT; i++) step(i);
  return (resident() - before) / COUNT;
}

function measureGenerators(): Omit<Kept, "call"> {
  using pool = new StackPool({ size: SIZE });
  const stacks = Array.from({ length: COUNT }, () => pool.take());
  const generators: Generator<number, number>[] = [];
  const little = bytesOf((i) => {
    generators.push(new Generator(stacks[i]!, library.symbols.recurses));
    generators[i]!.resume(0);
  });
  // There, and back.
  const use = (i: number): void => {
    const generator = generators[i]!;
    if (generator.resume(DEPTH) !== DEPTH || generator.resume(0) !== 0) throw new Error("It fails");
  };
  const none = timed(COUNT, (i) => giveBack(stacks[i]!));
  const much = little + bytesOf(use);
  const there = timed(COUNT, use);
  const before = resident();
  const advised = timed(COUNT, (i) => giveBack(stacks[i]!));
  const left = much + (resident() - before) / COUNT;
  const givenBack = timed(COUNT, use);
  for (const generator of generators) generator[Symbol.dispose]();
  return {
    generator: { little, much },
    advised: { none, much: advised },
    used: { there, givenBack },
    left,
  };
}

/** What calls take that have used so much, and are suspended in a handler. */
async function measureCalls(depth: number): Promise<number> {
  const gate = Promise.withResolvers<number>();
  const calls: Promise<number>[] = [];
  const before = resident();
  for (let i = 0; i < COUNT; i++) {
    calls.push(library.symbols.use_up_after.async((i) => i === 1 ? depth : gate.promise));
  }
  const bytes = (resident() - before) / COUNT;
  gate.resolve(0);
  for (const result of await Promise.all(calls)) {
    if (result !== depth) throw new Error(`It gives ${result}, not ${depth}`);
  }
  return bytes;
}

if (import.meta.main) {
  const generators = measureGenerators();
  // The stacks of the first calls go back, and are taken again by the others.
  const call = { little: await measureCalls(0), much: await measureCalls(DEPTH) };
  console.log(JSON.stringify({ ...generators, call } satisfies Kept));
}
