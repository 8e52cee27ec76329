// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Whether Workers are in each other's way: each has generators of its own, resumes them, is called
 * back, makes them on stacks of a pool and disposes of them. One Worker does so alone, then two at
 * once, in turns. If they shared a lock, or wrote to the same line of memory, two would take longer
 * than one. With fewer than two cores they do.
 *
 * @module
 */

import { dlopen, Generator, StackPool } from "fringe";
import { type Beside, median } from "../../tools/million_results.ts";
import { testBodies } from "../setup.ts";

/** What stands behind the name of this module where a Worker runs it. */
const INSIDE = "?inside";

/** How often each is measured. */
const TURNS = 11;

const library = dlopen(testBodies, {
  echo_u32: { input: "u32", output: "u32" },
  call_n: {
    parameters: ["i32", { callback: { parameters: ["i32"], result: "i32" } }],
    result: "i32",
  },
});
const { echo_u32, call_n } = library.symbols;
const pool = new StackPool({ size: 16 * 1024 });

/** What a Worker does so many times. */
const operations: Readonly<Record<string, { count: number; run(count: number): void }>> = {
  "a resume": {
    count: 2_000_000,
    run(count) {
      using generator = new Generator(pool.take(), echo_u32);
      let sum = 0;
      for (let i = 0; i < count; i++) sum += generator.resume(1)!;
      if (sum !== count) throw new Error("It does not echo");
    },
  },
  "a callback": {
    count: 1_000_000,
    run(count) {
      if (call_n(count, () => 1) !== count) throw new Error("It is not called");
    },
  },
  "made, resumed once, ended": {
    count: 20_000,
    run(count) {
      for (let i = 0; i < count; i++) {
        using generator = new Generator(pool.take(), echo_u32);
        if (generator.resume(i) !== i) throw new Error("It does not echo");
      }
    },
  },
};

/** In a Worker: what an operation took. */
function answer(name: string): number {
  const { count, run } = operations[name]!;
  const start = performance.now();
  run(count);
  return (performance.now() - start) * 1e6 / count;
}

/** Has a Worker measure an operation. */
function ask(worker: Worker, name: string): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  worker.onmessage = ({ data }) => resolve(data);
  worker.onerror = ({ message }) => reject(new Error(message));
  worker.postMessage(name);
  return promise;
}

async function measure(): Promise<Beside[]> {
  const options = { type: "module" } as const;
  const workers = [0, 1].map(() => new Worker(`${import.meta.url}${INSIDE}`, options));
  const measured: Beside[] = [];
  for (const operation of Object.keys(operations)) {
    const [alone, beside]: [number[], number[]] = [[], []];
    // The first turns have V8 compile it.
    for (let turn = -3; turn < TURNS; turn++) {
      const one = await ask(workers[turn & 1]!, operation);
      const two = await Promise.all(workers.map((worker) => ask(worker, operation)));
      if (turn < 0) continue;
      alone.push(one);
      beside.push(...two);
    }
    measured.push({ operation, alone: median(alone), beside: median(beside) });
  }
  for (const worker of workers) worker.terminate();
  return measured;
}

/** What a Worker has for the thread that has made it. */
interface Inside {
  onmessage(event: MessageEvent<string>): void;
  postMessage(ns: number): void;
}

if (import.meta.url.endsWith(INSIDE)) {
  const inside = globalThis as unknown as Inside;
  inside.onmessage = ({ data }) => inside.postMessage(answer(data));
} else console.log(JSON.stringify(await measure()));
