// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** The probe of fringe. */

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Cell } from "../../../tools/comparison.ts";
import { Callback, dlopen, Generator, OsStack, struct, tailCall } from "fringe";
import {
  collect,
  DEEP,
  folder,
  JUMPS,
  library,
  main,
  no,
  otherLibrary,
  partly,
  sleep,
  ticksDuring,
  time,
  yes,
} from "./trial.ts";

const callback = { callback: { parameters: ["i32"], result: "i32" } } as const;
const called = { parameters: ["i32", callback], result: "i32" } as const;
const seen = { parameters: [], result: "i32" } as const;

const { symbols } = dlopen(library, {
  sum: called,
  visit: called,
  stoppable: {
    name: "visit",
    parameters: ["i32", { callback: { parameters: ["i32"], result: "i32", stop: -1 } }],
    result: "i32",
  },
  work: called,
  seen_calls: seen,
  seen_answers: seen,
  seen_cleanups: seen,
});

/** What is made of `trials.h`, while the trial runs. */
type Bindings = {
  readonly sum: typeof called;
  readonly shared_pair: { readonly parameters: readonly []; readonly result: "pointer" };
  readonly seen_pair: typeof seen;
};

function throwIn(calls: number): { error: Error; caught: unknown } {
  const error = new Error("thrown by the handler");
  try {
    symbols.visit(calls, () => {
      throw error;
    });
  } catch (caught) {
    return { error, caught };
  }
  return { error, caught: undefined };
}

async function callOnThread(handler: (i: number) => number | Promise<number>): Promise<Cell> {
  const { symbols } = dlopen(library, {
    start_thread: { parameters: ["function"], result: "void" },
    seen_thread_answer: seen,
  });
  const definition = { ...callback.callback, stop: 0 } as const;
  using kept = new Callback(definition, handler, { threads: true });
  symbols.start_thread(kept);
  for (let i = 0; i < 50 && symbols.seen_thread_answer() !== 42; i++) await sleep(10);
  return symbols.seen_thread_answer() === 42 ? yes() : no();
}

await main({
  plain: () => symbols.sum(5, (i) => i * 2) === 20 ? yes() : no(),

  async awaits() {
    let result = 0;
    const ticks = await ticksDuring(async () => {
      result = await symbols.visit.async(3, async (i) => {
        await sleep(10);
        return i + 1;
      });
    });
    return result === 6 && ticks > 3 ? yes() : no();
  },

  yields() {
    let result = 0;
    using generator = new Generator<void, number, void>(new OsStack(), function* (yielder) {
      result = yield* yielder.call(symbols.visit, 3, function* (i) {
        yield i;
        return i + 1;
      });
    });
    return [...generator].join() === "0,1,2" && result === 6 ? yes() : no();
  },

  async stops() {
    for (const { args: [i], reply } of symbols.stoppable.calls(10)) {
      if (i === 2) break;
      reply(i);
    }
    const byBreak = symbols.seen_calls() === 3 && symbols.seen_cleanups() === 1;

    const controller = new AbortController();
    const reason = new Error("stopped");
    let caught: unknown;
    try {
      await symbols.stoppable.async(10, async (i) => {
        await sleep(1);
        if (i === 2) controller.abort(reason);
        return i;
      }, { signal: controller.signal });
    } catch (error) {
      caught = error;
    }
    await sleep(10);
    const bySignal = caught === reason && symbols.seen_calls() < 10 &&
      symbols.seen_cleanups() === 1;

    if (byBreak && bySignal) return yes();
    return byBreak ? partly("by `break`") : no();
  },

  releases() {
    const released: number[] = [];
    const release = {
      ...callback.callback,
      stop: (i: number) => released.push(i),
    } as const;
    const { symbols } = dlopen(library, {
      visit_and_release: {
        parameters: [
          "i32",
          { callback: { ...callback.callback, stop: -1 } },
          { callback: release },
        ],
        result: "i32",
      },
    });
    for (const { args: [i], reply } of symbols.visit_and_release.calls(10)) {
      if (i === 2) break;
      reply(i);
    }
    return released.join() === "1,0" ? yes() : no();
  },

  throws() {
    const { error, caught } = throwIn(1);
    return caught === error ? yes() : no();
  },

  unwinds() {
    throwIn(3);
    return symbols.seen_answers() === 0 && symbols.seen_cleanups() === 1 ? yes() : no();
  },

  async jumps() {
    const { symbols: { guarded, jump } } = dlopen(library, {
      guarded: { parameters: [callback], result: "i32" },
      jump: seen,
    });
    for (let i = 0; i < JUMPS; i++) if (guarded(() => tailCall(jump)) !== 100) return no();
    collect();
    await sleep(1);
    const { error, caught } = throwIn(1);
    return caught === error ? yes() : no();
  },

  async background() {
    const { symbols } = dlopen(library, { work: { ...called, nonblocking: true } });
    let answer = 0;
    const ticks = await ticksDuring(async () => {
      answer = await symbols.work(50, (i) => i + 1);
    });
    return answer === 51 && ticks > 3 ? yes() : no();
  },

  async keeps() {
    const { symbols } = dlopen(library, {
      keep: { parameters: ["function"], result: "void" },
      call_kept: { parameters: ["i32"], result: "i32" },
    });
    using kept = new Callback(callback.callback, (i) => i * 6);
    symbols.keep(kept);
    await sleep(1);
    return symbols.call_kept(7) === 42 ? yes() : no();
  },

  thread: () => callOnThread((i) => i * 6),

  "thread-awaits": () =>
    callOnThread(async (i) => {
      await sleep(1);
      return i * 6;
    }),

  structs() {
    const pair = struct({ x: "f64", id: "i32" });
    const takesPair = { parameters: [pair], result: "i32" } as const;
    const { symbols } = dlopen(library, {
      call_struct: { parameters: [{ callback: takesPair }], result: "i32" },
    });
    return symbols.call_struct(({ x, id }) => id + 2 * x) === 42 ? yes() : no();
  },

  layouts() {
    const pair = struct({ x: "f64", id: "i32" });
    const { symbols: { shared_pair, seen_pair } } = dlopen(library, {
      shared_pair: { parameters: [], result: "pointer" },
      seen_pair: seen,
    });
    const shared = pair.view(shared_pair()!);
    shared.x += 0.5;
    shared.id -= 1;
    return seen_pair() === 42 ? yes() : no();
  },

  async bindings() {
    const { bindings } = await import("../../../tools/bindings/module.ts");
    const header = join(import.meta.dirname!, "trials.h");
    const file = `${folder}trials.ts`;
    await writeFile(file, bindings({ headers: [header] }).text);
    const { symbols: table, pair } = await import(pathToFileURL(file).href);
    const { symbols: { sum, shared_pair, seen_pair } } = dlopen(library, table as Bindings);
    pair.view(shared_pair()).x += 0.5;
    return sum(5, (i) => i * 2) === 20 && seen_pair() === 43 ? yes() : no();
  },

  variadic() {
    const variadic = { parameters: ["i32"], result: "i32", variadic: true } as const;
    const { symbols } = dlopen(library, {
      call_variadic: { parameters: [{ callback: variadic }], result: "i32" },
    });
    const answer = symbols.call_variadic((n, rest) =>
      n + rest.next("i32") + rest.next("f64") - 1.5
    );
    return answer === 42 ? yes() : no();
  },

  variables() {
    const { symbols } = dlopen(library, { variable: { type: "i32" } });
    return symbols.variable === 42 ? yes() : no();
  },

  errno() {
    const { symbols } = dlopen(library, { fails: { ...seen, errno: true } });
    return symbols.fails().errno === 42 ? yes() : no();
  },

  stack() {
    const { symbols } = dlopen(library, {
      deep: { parameters: ["i32"], result: "i32", stackSize: 2 * DEEP << 20 },
    });
    return symbols.deep(DEEP) === DEEP ? yes() : no();
  },

  permission() {
    const works = symbols.sum(5, (i) => i * 2) === 20;
    try {
      dlopen(otherLibrary, {});
    } catch {
      return works ? yes() : no();
    }
    return no();
  },

  ns: () => time(100_000, (count) => symbols.sum(count, (i) => i)),

  "async-ns": () => time(10_000, (count) => symbols.sum.async(count, (i) => Promise.resolve(i))),
});
