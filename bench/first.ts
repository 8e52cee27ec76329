// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * What one of the first 100,000 callbacks of a program takes, in nanoseconds:
 * `deno run -P=bench bench/first.ts suspended`, or `UnsafeCallback`. V8 compiles the loops behind
 * them several times meanwhile, ever better. `FFI` is a call of native code in a loop of its own,
 * of which a suspended callback needs one.
 *
 * With `later` behind that it is what a callback takes in the slowest of ten such calls, when three
 * have gone before: whether V8 leaves a call in worse machine code than it has.
 *
 * @module
 */

import { dlopen } from "fringe";
import { smoke, sumBelow, testBodies } from "./setup.ts";

const CALLBACKS = smoke ? 1000 : 100_000;
const one = { parameters: ["i32"], result: "i32" } as const;

/** Both ways have opened what they need, and made the callback, before they are measured. */
const ways: Record<string, () => () => number> = {
  suspended() {
    const { call_n } = dlopen(testBodies, {
      call_n: { parameters: ["i32", { callback: one }], result: "i32" },
    }).symbols;
    return () => call_n(CALLBACKS, (i) => i);
  },
  UnsafeCallback() {
    const { call_n } = Deno.dlopen(testBodies, {
      call_n: { parameters: ["i32", "function"], result: "i32" },
    }).symbols;
    const callback = new Deno.UnsafeCallback(one, (i) => i);
    return () => call_n(CALLBACKS, callback.pointer);
  },
  FFI() {
    const { plus_one } = Deno.dlopen(testBodies, {
      plus_one: { parameters: ["i32"], result: "i32" },
    }).symbols;
    return () => {
      let sum = 0;
      for (let i = -1; i < CALLBACKS - 1; i++) sum = sum + plus_one(i) | 0;
      return sum;
    };
  },
};

if (import.meta.main) {
  const way = ways[Deno.args[0] ?? ""];
  if (way === undefined) {
    throw new TypeError("Cannot measure: name suspended, UnsafeCallback or FFI");
  }
  const call = way();
  const timed = (): number => {
    const start = performance.now();
    const sum = call();
    const taken = (performance.now() - start) * 1e6 / CALLBACKS;
    // The sum is that of C's 32 bits.
    if (sum !== (sumBelow(CALLBACKS) | 0)) throw new Error(`The callbacks gave ${sum}`);
    return taken;
  };
  const first = timed();
  if (Deno.args.includes("later")) {
    timed();
    timed();
    console.log(Math.max(...Array.from({ length: 10 }, timed)));
  } else {
    console.log(first);
  }
  Deno.exit();
}
