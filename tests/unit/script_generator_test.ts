// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

import { assertEquals } from "@std/assert";
import { isGeneratorFunction, isScriptGenerator } from "../../ffi/script_generator.ts";

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
