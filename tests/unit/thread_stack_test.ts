// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** The stacks of threads, which are taken and given back. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { ThreadStack } from "../../ffi/stack/thread_stack.ts";
import { FringeError } from "../../mod.ts";

const MEBIBYTE = 1024 * 1024;

Deno.test("ThreadStack has the size that is asked for, and room beside it", () => {
  using stack = new ThreadStack(8 * MEBIBYTE, "report", "Cannot call f");
  assertEquals([stack.size, stack.guarded], [8 * MEBIBYTE, true]);
  assert(stack.room > stack.base);
  assertEquals([stack.base % 16n, stack.limit % 4096n, stack.room % 16n], [0n, 0n, 0n]);
});

Deno.test("ThreadStack gives its thread back once, for the next of the same kind", () => {
  const take = (size: number, overflow: "report" | "throw" = "report") =>
    new ThreadStack(size, overflow, "Cannot call f");
  const stack = take(MEBIBYTE);
  const { thread } = stack;
  stack[Symbol.dispose]();
  stack[Symbol.dispose]();
  using other = take(2 * MEBIBYTE);
  using throwing = take(MEBIBYTE, "throw");
  using same = take(MEBIBYTE);
  using another = take(MEBIBYTE);
  assertEquals(same.thread, thread);
  const threads = [other, throwing, same, another].map((stack) => stack.thread);
  assertEquals(new Set(threads).size, 4);
});

Deno.test("ThreadStack says so when there is no memory for one", () => {
  const take = () => new ThreadStack(2 ** 47, "report", "Cannot call f");
  const error = assertThrows(take, FringeError, "Cannot call f: a thread with a stack of");
  assertEquals(error.status, "out_of_memory");
});
