// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** Native bodies as objects: what they show, and who may use them. */

import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { Generator, OsStack } from "../../mod.ts";
import { openBodies } from "../support/support.ts";

Deno.test("a native body says its types, and cannot be changed", () => {
  using library = openBodies();
  const { echo_u32, has_destructor } = library.symbols;
  assertEquals([echo_u32.input, echo_u32.output], ["u32", "u32"]);
  assertEquals([has_destructor.input, has_destructor.output], ["void", "i32"]);
  assert(Object.isFrozen(echo_u32));
});

Deno.test("a native body can be used for any number of generators", () => {
  using library = openBodies();
  const generators = [1, 2, 3].map(() => new Generator(new OsStack(), library.symbols.echo_i32));
  for (let i = 0; i < 3; i++) {
    assertEquals(generators.map((generator) => generator.resume(i)), [i, i, i]);
  }
  for (const generator of generators) generator[Symbol.dispose]();
});

Deno.test("what looks like a native body is none", () => {
  using library = openBodies();
  using stack = new OsStack();
  const { echo_i32 } = library.symbols;
  for (const body of [{ ...echo_i32 }, Object.create(echo_i32), structuredClone(echo_i32)]) {
    const error = assertThrows(
      () => new Generator(stack, body),
      TypeError,
      "Cannot make generator",
    );
    assertStringIncludes(error.message, "a native body that dlopen has given in this Worker");
  }
});
