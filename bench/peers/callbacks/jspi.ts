// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * The probe of JSPI: C compiled to WebAssembly, whose import suspends it. The module below is what
 * a compiler makes of `trials.c`, written by hand, so that no such compiler is needed.
 */

import { readFile } from "node:fs/promises";
import {
  collect,
  DEEP,
  JUMPS,
  library,
  main,
  no,
  partly,
  sleep,
  ticksDuring,
  time,
  yes,
} from "./trial.ts";

/** Not in TypeScript's library yet. */
declare namespace WebAssembly {
  class Suspending {
    constructor(handler: (i: number) => unknown);
  }
  function promising(f: (n: number) => number): (n: number) => Promise<number>;
}

const text = (name: string): number[] => [name.length, ...new TextEncoder().encode(name)];
const vector = (...items: number[][]): number[] => [items.length, ...items.flat()];
const sized = (bytes: number[]): number[] => [
  ...(bytes.length < 128 ? [bytes.length] : [bytes.length & 127 | 128, bytes.length >> 7]),
  ...bytes,
];
const section = (id: number, bytes: number[]): number[] => [id, ...sized(bytes)];

const [I32, MUTABLE, NOTHING] = [0x7f, 0x01, 0x40];
const [BLOCK_END, BRANCH, CALL] = [0x0b, 0x0c, 0x10];
const [ELSE, HUNDRED] = [0x05, [0xe4, 0x00]];
const [LOOP, IF, TRY, CATCH_ALL, RETHROW] = [0x03, 0x04, 0x06, 0x19, 0x09];
const [LOCAL_GET, LOCAL_SET, GLOBAL_GET, GLOBAL_SET] = [0x20, 0x21, 0x23, 0x24];
const [CONST, LESS, NOT_LESS, ADD, SUBTRACT] = [0x41, 0x48, 0x4e, 0x6a, 0x6b];
// The parameter, the locals, the globals, the import, and a function, by their numbers.
const [N, RESULT, I] = [0, 1, 2];
const [CALLS, LAST, CLEANUPS] = [0, 1, 2];
const [F, DEEP_ITSELF] = [0, 5];

const zero = [CALLS, LAST, CLEANUPS].flatMap((global) => [CONST, 0, GLOBAL_SET, global]);
const count = (global: number): number[] => [
  ...[GLOBAL_GET, global, CONST, 1, ADD, GLOBAL_SET, global],
];
const callback = [LOCAL_GET, I, CALL, F, GLOBAL_SET, LAST];
const addUp = [LOCAL_GET, RESULT, GLOBAL_GET, LAST, ADD, LOCAL_SET, RESULT];
const next = [LOCAL_GET, I, CONST, 1, ADD, LOCAL_SET, I];
const locals = vector([2, I32]);

const sum = [
  ...[LOOP, NOTHING, LOCAL_GET, I, LOCAL_GET, N, LESS, IF, NOTHING],
  ...[LOCAL_GET, RESULT, LOCAL_GET, I, CALL, F, ADD, LOCAL_SET, RESULT, ...next, BRANCH, 1],
  ...[BLOCK_END, BLOCK_END, LOCAL_GET, RESULT, BLOCK_END],
];

const visit = [
  ...[...zero, TRY, NOTHING, LOOP, NOTHING, LOCAL_GET, I, LOCAL_GET, N, LESS, IF, NOTHING],
  ...[...count(CALLS), ...callback, GLOBAL_GET, LAST, CONST, 0, NOT_LESS, IF, NOTHING],
  ...[...addUp, ...next, BRANCH, 2, BLOCK_END, BLOCK_END, BLOCK_END],
  ...[CATCH_ALL, ...count(CLEANUPS), RETHROW, 0, BLOCK_END],
  ...[...count(CLEANUPS), LOCAL_GET, RESULT, BLOCK_END],
];

/** Where C has another function for it, what is released is told by a negative number. */
const visitAndRelease = [
  ...[LOOP, NOTHING, LOCAL_GET, I, LOCAL_GET, N, LESS, IF, NOTHING],
  ...[LOCAL_GET, I, CALL, F, CONST, 0, NOT_LESS, IF, NOTHING, ...next, BRANCH, 2],
  ...[BLOCK_END, BLOCK_END, BLOCK_END],
  ...[LOOP, NOTHING, CONST, 0, LOCAL_GET, I, LESS, IF, NOTHING],
  ...[LOCAL_GET, I, CONST, 1, SUBTRACT, LOCAL_SET, I],
  ...[CONST, 0, LOCAL_GET, I, SUBTRACT, CONST, 1, SUBTRACT, CALL, F],
  ...[LOCAL_GET, RESULT, ADD, LOCAL_SET, RESULT, BRANCH, 1],
  ...[BLOCK_END, BLOCK_END, LOCAL_GET, RESULT, BLOCK_END],
];

/** What compilers make of `setjmp` and `longjmp`: an exception, which is caught. */
const guarded = [
  ...[TRY, I32, CONST, 0, CALL, F, CATCH_ALL, CONST, ...HUNDRED, BLOCK_END, BLOCK_END],
];

/** Calls itself so many times, and then `f`. */
const deep = [
  ...[CONST, 0, LOCAL_GET, N, LESS, IF, I32],
  ...[LOCAL_GET, N, CONST, 1, SUBTRACT, CALL, DEEP_ITSELF, CONST, 1, ADD],
  ...[ELSE, CONST, 0, CALL, F, BLOCK_END, BLOCK_END],
];

const bytes = Uint8Array.from([
  ...[0, ...new TextEncoder().encode("asm"), 1, 0, 0, 0],
  ...section(1, vector([0x60, ...vector([I32]), ...vector([I32])])),
  ...section(2, vector([...text("js"), ...text("f"), 0, 0])),
  ...section(3, vector([0], [0], [0], [0], [0])),
  ...section(6, vector(...Array(3).fill([I32, MUTABLE, CONST, 0, BLOCK_END]))),
  ...section(
    7,
    vector(
      [...text("sum"), 0, 1],
      [...text("visit"), 0, 2],
      [...text("visit_and_release"), 0, 3],
      [...text("guarded"), 0, 4],
      [...text("deep"), 0, DEEP_ITSELF],
      [...text("calls"), 3, CALLS],
      [...text("cleanups"), 3, CLEANUPS],
    ),
  ),
  ...section(
    10,
    vector(
      ...[sum, visit, visitAndRelease, guarded, deep].map((code) => sized([...locals, ...code])),
    ),
  ),
]);

interface Exports {
  readonly sum: (n: number) => number;
  readonly visit: (n: number) => number;
  readonly visit_and_release: (n: number) => number;
  readonly guarded: (n: number) => number;
  readonly deep: (levels: number) => number;
  readonly calls: { readonly value: number };
  readonly cleanups: { readonly value: number };
}

const { Module, Instance } = globalThis.WebAssembly;
const { promising, Suspending } = globalThis.WebAssembly as unknown as typeof WebAssembly;
const module = new Module(bytes);

function instance(f: unknown): Exports {
  return new Instance(module, { js: { f: f as () => number } }).exports as unknown as Exports;
}

function throwIn(calls: number): { error: Error; caught: unknown; exports: Exports } {
  const error = new Error("thrown by the handler");
  const exports = instance(() => {
    throw error;
  });
  try {
    exports.visit(calls);
  } catch (caught) {
    return { error, caught, exports };
  }
  return { error, caught: undefined, exports };
}

await main({
  async plain() {
    try {
      await globalThis.WebAssembly.compile(new Uint8Array(await readFile(library)));
      return yes();
    } catch {
      return no("C compiled to wasm");
    }
  },

  async awaits() {
    const exports = instance(
      new Suspending(async (i) => {
        await sleep(10);
        return i + 1;
      }),
    );
    let result = 0;
    const ticks = await ticksDuring(async () => result = await promising(exports.visit)(3));
    return result === 6 && ticks > 3 ? yes() : no();
  },

  async yields() {
    // An async generator can be fed by a handler that waits for it. A plain one cannot: it has to
    // give its next value at once, and a promising export gives its result later.
    async function* calls(): AsyncGenerator<number, number, number> {
      let coming = Promise.withResolvers<{ i: number; reply: (answer: number) => void }>();
      const handler = (i: number): Promise<number> =>
        new Promise((reply) => coming.resolve({ i, reply }));
      const result = promising(instance(new Suspending(handler)).visit)(3);
      for (;;) {
        const call = await Promise.race([coming.promise, result]);
        if (typeof call === "number") return call;
        coming = Promise.withResolvers();
        call.reply(yield call.i);
      }
    }
    const generator = calls();
    const seen: number[] = [];
    let step = await generator.next();
    for (; !step.done; step = await generator.next(step.value + 1)) seen.push(step.value);
    return seen.join() === "0,1,2" && step.value === 6 ? partly("async generators only") : no();
  },

  async stops() {
    const exports = instance(new Suspending((i) => Promise.resolve(i < 2 ? i : -1)));
    await promising(exports.visit)(10);
    return exports.calls.value === 3 ? partly("as the handler's answer") : no();
  },

  async releases() {
    const released: number[] = [];
    const exports = instance(
      new Suspending((i) => {
        if (i < 0) released.push(-1 - i);
        return Promise.resolve(i < 2 ? Math.abs(i) : -1);
      }),
    );
    await promising(exports.visit_and_release)(10);
    return released.join() === "1,0" ? partly("as the handler's answer") : no();
  },

  throws() {
    const { error, caught } = throwIn(1);
    return caught === error ? yes() : no();
  },

  unwinds() {
    const { exports: { calls, cleanups } } = throwIn(3);
    return calls.value === 1 && cleanups.value === 1 ? yes() : no();
  },

  async jumps() {
    const fail = (): never => {
      throw new Error("caught by C");
    };
    const exports = instance(new Suspending(() => Promise.resolve().then(fail)));
    for (let i = 0; i < JUMPS; i++) {
      if (await promising(exports.guarded)(0) !== 100) return no();
    }
    collect();
    const { error, caught } = throwIn(1);
    return caught === error ? yes() : no();
  },

  async background() {
    const exports = instance((i: number) => i);
    const ticks = await ticksDuring(() => exports.sum(10_000_000));
    return ticks > 3 ? yes() : no();
  },

  async keeps() {
    const exports = instance((i: number) => i * 2);
    await sleep(1);
    return exports.sum(5) === 20 ? yes() : no();
  },

  thread() {
    try {
      structuredClone(instance(() => 0).visit);
      return yes();
    } catch {
      return no("an instance is its thread's");
    }
  },

  "thread-awaits": () => no("an instance is its thread's"),

  structs: () => ({ verdict: "n/a", note: "WebAssembly has no structs" }),

  layouts: () => ({ verdict: "n/a", note: "it is a place in the module's memory" }),

  bindings: () => ({ verdict: "n/a", note: "C is compiled together with its headers" }),

  variadic: () => ({ verdict: "n/a", note: "WebAssembly has no such functions" }),

  variables: () => ({ verdict: "n/a", note: "it is a place in the module's memory" }),

  errno: () => ({ verdict: "n/a", note: "it is a variable of the module" }),

  async stack() {
    // A frame takes 16 bytes at least.
    const levels = DEEP * 65_536;
    const exports = instance(new Suspending((i) => Promise.resolve(i)));
    return await promising(exports.deep)(levels) === levels ? yes() : no();
  },

  permission: () => instance((i: number) => i * 2).sum(5) === 20 ? yes("needs none") : no(),

  ns() {
    const exports = instance((i: number) => i);
    return time(100_000, (count) => exports.sum(count));
  },

  "async-ns"() {
    const exports = instance(new Suspending((i) => Promise.resolve(i)));
    return time(10_000, promising(exports.sum));
  },
});
