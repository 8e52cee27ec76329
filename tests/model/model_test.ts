// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Whatever a program does with generators, it sees the same as with V8's own `function*`: the same
 * values, states and errors, in the same order, and C's destructors among them.
 *
 * Each run has other programs. A failure names its seed: `FRINGE_SEED=… deno test -P=suite
 * tests/model/model_test.ts` has the same programs, and prints each before its turn, should the
 * process crash. `FRINGE_ROUNDS=100` runs a hundred seeds in a row, of a thousand programs each.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import fc from "fast-check";
import {
  type Handler,
  type NativeScript,
  type Program,
  programs,
  run,
  type Statement,
} from "./model.ts";
import { type AsyncProgram, asyncPrograms, runAsync } from "./model_async.ts";
import { Fringe } from "./model_fringe.ts";
import { Oracle } from "./model_oracle.ts";
import { chosenSeed, seeds } from "../support/seeds.ts";
import { collectUntil, manyTimes } from "../support/support.ts";

/** How many programs a seed has. */
const PROGRAMS = manyTimes(1000);

/** Runs a program in both worlds, and compares what it sees. */
async function compare(program: Program): Promise<void> {
  const oracle = new Oracle(program);
  const expected = run(program, oracle);
  const fringe = new Fringe(program);
  assertEquals(run(program, fringe), expected);

  // The generators that it has forgotten are garbage now; in which order they go is open.
  const left = oracle.left().filter((lines) => lines.length > 0);
  const count = left.flat().length;
  if (count > 0) await collectUntil(() => fringe.traced().length >= count);
  const traced = fringe.traced();
  for (const lines of left) assertEquals(traced.filter((line) => lines.includes(line)), lines);
  assertEquals(traced.length, count);
}

Deno.test("calls in each other end from the inside, dropped or disposed of", async () => {
  const asking = (...inner: Statement[]): Statement => {
    const handler: Handler = { generator: true, block: inner, answer: 1 };
    return {
      do: "call",
      how: "own yielder",
      f: 0,
      first: 0,
      handlers: [handler, handler],
      caught: false,
    };
  };
  const nested = asking(asking(asking({ do: "yield", value: 1 })));
  const frame: NativeScript = [{ do: "frame", id: 5, inside: [{ do: "ask", callback: 0 }] }];
  for (const ending of ["forget", "dispose"] as const) {
    await compare({
      bodies: [{ kind: "script", block: [nested] }],
      natives: { i32: [], u32: [], i64: [], f64: [], void: [] },
      functions: [{ stop: "stops_never", script: frame }],
      replies: [],
      main: [{ do: "step", how: "next", target: 0, value: 0, caught: false }],
      ending,
    });
  }
});

/** Runs a program that awaits in both worlds, and compares what it sees. */
async function compareAsync(program: AsyncProgram): Promise<void> {
  const expected = await runAsync(program, new Oracle(program));
  assertEquals(await runAsync(program, new Fringe(program)), expected);
}

async function assertAll<T>(
  programs: fc.Arbitrary<T>,
  compare: (program: T) => Promise<void>,
  seed: number,
): Promise<void> {
  const property = fc.asyncProperty(programs, async (program) => {
    if (chosenSeed !== undefined) console.log(fc.stringify(program));
    await compare(program);
  });
  await fc.assert(property, { seed, numRuns: PROGRAMS });
}

for (const seed of seeds()) {
  // The name tells the seed before anything can crash.
  Deno.test(`programs see the same as with V8's generators, FRINGE_SEED=${seed}`, async () => {
    await assertAll(programs, compare, seed);
  });

  Deno.test(`programs that await see the same, FRINGE_SEED=${seed}`, async () => {
    await assertAll(asyncPrograms, compareAsync, seed);
  });
}
