// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Measures the benches of a file, and prints what each sample took, as JSON:
 * `deno run -P=bench bench/turns.ts bench/resume_bench.ts`.
 *
 * The benches of a group take turns: one sample of each, then the next of each. So what else the
 * machine does, and how fast it is clocked just now, is the same for both sides of a ratio:
 *
 *     turn     1     2     3
 *     A      10.1  10.0  13.2     A takes twice as long as B, in each turn
 *     B       5.0   5.0   6.6
 *
 * @module
 */

import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { type Contestant, contestants, smoke, type Target, targets } from "./setup.ts";

/** How long a group is measured, in milliseconds, if that gives enough turns: `--enough=150`. */
const ENOUGH = Number(Deno.args.find((arg) => arg.startsWith("--enough="))?.slice(9) ?? 400);
/** The least number of turns, and the greatest. */
const [TURNS_MIN, TURNS_MAX] = smoke ? [1, 1] : [11, 200];
/** V8 compiles what runs often, step by step, and is done with that after so many turns. */
const WARM_UP = smoke ? 0 : 6;

/** What this program prints. */
export interface Measured {
  readonly benches: readonly {
    readonly group: string;
    readonly name: string;
    /** What an operation took in each turn, in nanoseconds. */
    readonly samples: readonly number[];
  }[];
  readonly targets: readonly Target[];
}

/** One sample, in nanoseconds for each operation. */
async function sample({ run, operations }: Contestant): Promise<number> {
  const start = performance.now();
  const done = run();
  // Only where there is something to wait for: a turn of the event loop takes time.
  if (done !== undefined) await done;
  return (performance.now() - start) * 1e6 / operations;
}

/** The samples of each contestant. Who is first in one turn is last in the next. */
async function takeTurns(group: readonly Contestant[]): Promise<number[][]> {
  const samples = group.map((): number[] => []);
  const places = [...group.keys()];
  let start = performance.now();
  for (let turn = -WARM_UP; turn < TURNS_MAX; turn++) {
    if (turn === 0) start = performance.now();
    if (turn >= TURNS_MIN && performance.now() - start > ENOUGH) break;
    for (const place of places) {
      const ns = await sample(group[place]!);
      if (turn >= 0) samples[place]!.push(ns);
    }
    places.reverse();
  }
  return samples;
}

if (import.meta.main) {
  const file = Deno.args[0];
  if (file === undefined) throw new TypeError("Cannot measure: name a file of benches");
  await import(pathToFileURL(resolve(file)).href);
  const benches = [];
  for (const [name, group] of Map.groupBy(contestants, ({ group }) => group)) {
    console.error(`  ${name}`);
    const samples = await takeTurns(group);
    benches.push(...group.map((one, i) => ({ group: name, name: one.name, samples: samples[i] })));
  }
  console.log(JSON.stringify({ benches, targets }));
  // What a bench has left open must not keep the process.
  Deno.exit();
}
