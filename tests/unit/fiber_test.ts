// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** The stacks of calls: which are kept, for whom, and how many. */

import { assertEquals, assertNotEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { putFiber, takeFiber } from "../../ffi/call/fiber.ts";
import { memoryOf } from "../../ffi/stack/stack.ts";
import { Callback } from "../../mod.ts";
import { openBodies } from "../support/support.ts";

const later = <T>(value: T): Promise<T> =>
  new Promise((resolve) => setTimeout(() => resolve(value), 20));

Deno.test("takeFiber() gives a stack back that putFiber() got, the last one first", () => {
  const [first, second] = [takeFiber("report"), takeFiber("report")];
  assertNotEquals(first.stack.base, second.stack.base);
  assertEquals(first.context.memory, memoryOf(first.stack));
  putFiber(first);
  putFiber(second);
  assertStrictEquals(takeFiber("report"), second);
  assertStrictEquals(takeFiber("report"), first);
  putFiber(second);
  putFiber(first);
});

Deno.test("takeFiber() does not mix stacks that report an overflow with those that throw", () => {
  const [reports, throws] = [takeFiber("report"), takeFiber("throw")];
  putFiber(reports);
  putFiber(throws);
  assertStrictEquals(takeFiber("report"), reports);
  assertStrictEquals(takeFiber("throw"), throws);
  putFiber(throws);
  putFiber(reports);
});

Deno.test("putFiber() keeps no more than 64 stacks, and unmaps the others", () => {
  const fibers = Array.from({ length: 100 }, () => takeFiber("report"));
  for (const fiber of fibers) putFiber(fiber);
  const freed = fibers.filter(({ stack }) => memoryOf(stack).released);
  assertEquals(freed.length, 36);
});

Deno.test("the pool gets its stack back however a call ends", async () => {
  using library = openBodies();
  const { call_n, call_n_elsewhere, with_destructor, keep, call_kept } = library.symbols;
  const expected = takeFiber("report");
  putFiber(expected);
  const fail = () => {
    throw new Error("on purpose");
  };
  const uses: (() => unknown)[] = [
    () => call_n(1, () => 1),
    () => assertThrows(() => with_destructor(fail), Error),
    () => assertThrows(() => (call_n as (...args: unknown[]) => unknown)("1", fail), TypeError),
    () => call_n.async(1, () => Promise.resolve(1)),
    () => call_n.async(1, fail).catch(() => {}),
    () => call_n.async(1, () => 1, { signal: AbortSignal.abort() }).catch(() => {}),
    () => call_n.async(1, () => later(1), { signal: AbortSignal.timeout(0) }).catch(() => {}),
    () => call_n_elsewhere(1, () => later(1)),
    () => call_n_elsewhere(1, fail).catch(() => {}),
    () => call_n_elsewhere(1, () => later(1), { signal: AbortSignal.timeout(0) }).catch(() => {}),
    () => {
      using failing = new Callback({ parameters: ["i32"], result: "i32" }, fail);
      keep(failing);
      assertThrows(() => call_kept(1), Error, "on purpose");
    },
    () => assertThrows(() => call_kept(1), Error, "has been closed"),
    () => call_n.calls(0).next(),
    () => {
      for (const _ of with_destructor.calls()) break;
    },
  ];
  for (const use of uses) {
    await use();
    const fiber = takeFiber("report");
    assertStrictEquals(fiber, expected, use.toString());
    assertEquals(fiber.context.handle, null);
    assertEquals(fiber.context.memory.owner, undefined);
    putFiber(fiber);
  }
});
