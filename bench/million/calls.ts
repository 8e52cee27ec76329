// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * What an `f.async()` call costs where so many are suspended at once, each in a handler that is
 * awaited: `calls.ts COUNT`.
 *
 * @module
 */

import { dlopen } from "fringe";
import type { Calls } from "../../tools/million_results.ts";
import { testBodies } from "../setup.ts";
import { pageTables, resident } from "./support.ts";

async function measure(count: number): Promise<Calls> {
  using library = dlopen(testBodies, {
    call_n: {
      parameters: ["i32", { callback: { parameters: ["i32"], result: "i32" } }],
      result: "i32",
    },
  });
  const { call_n } = library.symbols;
  const gate = Promise.withResolvers<void>();
  let [suspended, sum] = [0, 0];
  const add = (result: number): number => sum += result;
  const calls = new Array<Promise<number>>(count);
  const before = { resident: resident(), tables: pageTables(), heap: Deno.memoryUsage().heapUsed };
  const start = performance.now();
  for (let i = 0; i < count; i++) {
    calls[i] = call_n.async(1, async () => {
      suspended++;
      await gate.promise;
      return i % 16;
    }).then(add);
  }
  const made = performance.now();
  const { heapUsed } = Deno.memoryUsage();
  const taken = { resident: resident(), tables: pageTables() };
  if (suspended !== count) throw new Error(`Of ${count} calls ${suspended} are suspended`);
  const opened = performance.now();
  gate.resolve();
  await Promise.all(calls);
  const answered = performance.now() - opened;
  const expected = calls.reduce((sum, _, i) => sum + i % 16, 0);
  if (sum !== expected) throw new Error(`The answers add up to ${sum}, not ${expected}`);
  return {
    count,
    made: (made - start) * 1e6 / count,
    answered: answered * 1e6 / count,
    bytes: (taken.resident - before.resident) / count,
    objects: (heapUsed - before.heap) / count,
    tables: (taken.tables - before.tables) / count,
  };
}

if (import.meta.main) console.log(JSON.stringify(await measure(Number(Deno.args[0]))));
