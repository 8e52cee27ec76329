// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** `OsStack`: sizes, and bodies that use all of one. stack_test.ts has what all kinds share. */

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { FringeError, Generator, OsStack } from "../../mod.ts";
import { openBodies } from "../support/support.ts";

Deno.test("new OsStack() has a generous default, stated as 1 MiB", () => {
  using stack = new OsStack();
  assertEquals(stack.size, 1024 * 1024);
  assertEquals(stack.guarded, true);
});

Deno.test("new OsStack() rounds up to whole pages, and gives one page for 0", () => {
  for (const [asked, given] of [[0, 4096], [1, 4096], [4096, 4096], [4097, 8192]] as const) {
    using stack = new OsStack(asked);
    assertEquals(stack.size, given);
    assertEquals(stack.base % 4096n, 0n);
  }
});

Deno.test("new OsStack() of one page runs a body up to its top byte", () => {
  using library = openBodies();
  using generator = new Generator(new OsStack(0), library.symbols.echo_i32);
  for (let i = 0; i < 100; i++) assertEquals(generator.resume(i), i);
});

Deno.test("new OsStack() has room for 500 KB of recursion", () => {
  using library = openBodies();
  using generator = new Generator(new OsStack(), library.symbols.recurses);
  // A frame of it in the prebuilt library takes 304 bytes.
  const depth = 2000;
  assertEquals(generator.resume(depth), depth);
  assertEquals(generator.resume(3), 3);
});

Deno.test("new OsStack() refuses sizes that are none", () => {
  const wrong = [-1, -4096, NaN, Infinity, -Infinity, 2 ** 60, 2 ** 47 + 1, 1.5, 0.1];
  for (const size of wrong) {
    const error = assertThrows(() => new OsStack(size), RangeError, "Cannot map stack");
    assertStringIncludes(error.message, "a whole number of bytes from 0 to 2^47");
    assertStringIncludes(error.message, `got ${size}`);
  }
});

Deno.test("new OsStack() refuses a size that is no number", () => {
  // deno-lint-ignore no-explicit-any -- what a program without types can pass
  for (const size of ["4096", 4096n, null, {}, [4096], true, Symbol.iterator] as any) {
    const error = assertThrows(() => new OsStack(size), TypeError, "Cannot map stack");
    assertStringIncludes(error.message, "size must be a number of bytes");
  }
});

Deno.test("new OsStack() says what to do when the system has no room for it", () => {
  const error = assertThrows(() => new OsStack(2 ** 47), FringeError, "Cannot map stack of");
  assertInstanceOf(error, FringeError);
  assertEquals(error.status, "out_of_memory");
  assertStringIncludes(error.message, "ulimit -v");
  assertStringIncludes(error.message, "dispose of generators and stacks that are not needed");
});

Deno.test("new OsStack() has memory of its own, whatever is mapped while it is made", () => {
  const stacks: OsStack[] = [];
  // The engine asks for it when the object is made.
  const whoMaps = new Proxy(OsStack, {
    get(target, key, receiver) {
      if (key === "prototype") stacks.push(new OsStack());
      return Reflect.get(target, key, receiver);
    },
  });
  stacks.push(Reflect.construct(OsStack, [], whoMaps) as OsStack);
  assertEquals(stacks.length, 2);
  const [first, second] = stacks as [OsStack, OsStack];
  assert(first.base < second.limit || second.base < first.limit);
  using library = openBodies();
  for (const stack of stacks) {
    using generator = new Generator(stack, library.symbols.echo_i32);
    assertEquals(generator.resume(1), 1);
  }
});

Deno.test("new OsStack() gives stacks that do not overlap", () => {
  const stacks = Array.from({ length: 20 }, () => new OsStack(4096));
  const sorted = stacks.map(({ base, limit }) => ({ base, limit }))
    .sort((a, b) => a.base < b.base ? -1 : 1);
  for (const [i, { limit }] of sorted.entries()) {
    // A guard page lies between any two.
    if (i > 0) assert(limit >= sorted[i - 1]!.base + 4096n);
  }
  for (const stack of stacks) stack[Symbol.dispose]();
});
