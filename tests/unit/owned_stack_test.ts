// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** `OwnedStack`: sizes, and memory that stays where it is. */

import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { Generator, OwnedStack } from "../../mod.ts";
import { gc, openBodies } from "../support/support.ts";

Deno.test("new OwnedStack() has exactly the size that was asked for, and no guard", () => {
  using stack = new OwnedStack(1024);
  assertEquals(stack.size, 1024);
  assertEquals(stack.guarded, false);
});

Deno.test("new OwnedStack() rounds up to a multiple of the alignment", () => {
  using stack = new OwnedStack(1025);
  assertEquals(stack.size, 1040);
});

Deno.test("new OwnedStack() refuses sizes that are none, or too small for a frame", () => {
  for (const size of [-1, 0, 511, NaN, Infinity, 2 ** 60, 4096.5]) {
    const error = assertThrows(() => new OwnedStack(size), RangeError, "Cannot allocate stack");
    assertStringIncludes(error.message, "a whole number of bytes from 512 to 2^47");
    assertStringIncludes(error.message, `got ${size}`);
  }
});

Deno.test("new OwnedStack() refuses a size that is no number", () => {
  // deno-lint-ignore no-explicit-any -- what a program without types can pass
  for (const size of ["4096", 4096n, null, undefined, {}] as any) {
    assertThrows(() => new OwnedStack(size), TypeError, "size must be a number of bytes");
  }
});

Deno.test("new OwnedStack() says when V8 has no room for it", () => {
  const error = assertThrows(() => new OwnedStack(2 ** 46), RangeError, "Cannot allocate stack");
  assertStringIncludes(error.message, "in one piece");
});

Deno.test("OwnedStack keeps its memory where it is while a body is on it", () => {
  using library = openBodies();
  // Small enough that V8 would keep a plain array of the size within its moving heap.
  const generators = Array.from({ length: 50 }, () => {
    const generator = Generator.unguarded(new OwnedStack(4096), library.symbols.recurses);
    assertEquals(generator.resume(5), 5);
    return generator;
  });
  for (let round = 0; round < 5; round++) {
    gc();
    for (const [i, generator] of generators.entries()) assertEquals(generator.resume(i % 8), i % 8);
  }
  for (const generator of generators) generator[Symbol.dispose]();
});
