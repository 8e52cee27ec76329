// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** What is a generator function, or a generator, also one of another realm. */

import { assertEquals, assertThrows } from "@std/assert";
import { runInNewContext } from "node:vm";
import { isGeneratorFunction, isScriptGenerator } from "../../ffi/script_generator.ts";
import { Generator, OsStack } from "../../mod.ts";
import { openBodies } from "../support/support.ts";

Deno.test("isGeneratorFunction() is true of function* only", () => {
  class Class {
    *method() {}
  }
  const yes = [function* () {}, new Class().method, (function* () {}).bind(null)];
  const no = [() => {}, async () => {}, async function* () {}, Class, {}, null, "function*"];
  assertEquals(yes.map(isGeneratorFunction), [true, true, true]);
  assertEquals(no.map(isGeneratorFunction), no.map(() => false));
});

Deno.test("isScriptGenerator() is true of what a function* returns only", () => {
  assertEquals(isScriptGenerator((function* () {})()), true);
  const no = [[], [].values(), function* () {}, (async function* () {})(), {}, null, undefined, 1];
  assertEquals(no.map(isScriptGenerator), no.map(() => false));
  assertEquals(isScriptGenerator({ [Symbol.toStringTag]: "Generator" }), false);
});

Deno.test("a generator function of another realm is one, and what it returns", () => {
  const values = ["function* () {}", "(function* () {}).bind(null)", "async function* () {}"]
    .map((source) => runInNewContext(`(${source})`));
  assertEquals(values.map(isGeneratorFunction), [true, true, false]);
  assertEquals(values.map((f) => isScriptGenerator(f())), [true, true, false]);
});

Deno.test("Generator takes a body of another realm, and handlers of one", () => {
  using library = openBodies();
  const { call_n } = library.symbols;
  const { body, handler } = runInNewContext(`({
    *body(yielder, f) {
      yield "first";
      return yield* f(yielder);
    },
    *handler(i) {
      return yield i;
    },
  })`);
  using generator = new Generator<unknown, unknown, unknown>(new OsStack(), body);
  const f = (yielder: { call(...args: unknown[]): Iterable<unknown> }) =>
    yielder.call(call_n, 2, handler);
  const steps = [f, undefined, 10, 20].map((input) => generator.next(input));
  assertEquals(steps.map(({ value }) => value), ["first", 0, 1, 30]);
  assertEquals(steps.map(({ done }) => done), [false, false, false, true]);
  assertThrows(() => call_n(1, handler), TypeError, "is a generator function");
});

Deno.test("Generator refuses what only calls itself a generator function, once it has run", () => {
  const body = Object.defineProperty(() => 5, Symbol.toStringTag, { value: "GeneratorFunction" });
  const generator = new Generator(new OsStack(), body as never);
  assertThrows(() => generator.resume(), TypeError, "the body returned 5");
  generator.unwrap()[Symbol.dispose]();
});
