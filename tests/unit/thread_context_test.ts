// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** Contexts whose calls run on a thread. tests/behaviour/thread_test.ts has what C sees of it. */

import { assertEquals, assertInstanceOf, assertThrows } from "@std/assert";
import { calleeOf } from "../../ffi/call/callee.ts";
import { putFiber, takeThread } from "../../ffi/call/fiber.ts";
import { ThreadContext } from "../../ffi/context/thread_context.ts";
import { dlopen } from "../../mod.ts";
import { testBodies } from "../support/support.ts";

function openBodies() {
  return dlopen(testBodies, {
    call_n: {
      parameters: ["i32", { callback: { parameters: ["i32"], result: "i32" } }],
      result: "i32",
      nonblocking: "thread",
    },
    with_destructor: {
      parameters: [{ callback: { parameters: ["i32"], result: "i32" } }],
      result: "i32",
      nonblocking: "thread",
    },
    destructor_count: { parameters: [], result: "i32" },
  });
}

Deno.test("a call on a thread takes the steps of any call, and its thread one more", async () => {
  using library = openBodies();
  const callee = calleeOf(library.symbols.call_n);
  const fiber = takeThread("report", undefined, "Cannot call call_n");
  const { call, context } = fiber;
  assertInstanceOf(context, ThreadContext);
  for (const [n, sum] of [[0, 0], [1, 0], [3, 3]] as const) {
    call.prepare(callee, [n, (i: number) => i], "functions");
    assertEquals(callee.library.latest, context);
    for (let target; (target = call.step()) !== undefined;) {
      call.reply(target, call.args(target)[0]);
    }
    assertEquals([call.result, call.hasEnded], [sum, true]);
    assertEquals(callee.library.latest, undefined);
  }
  // The same while this thread does something else.
  call.prepare(callee, [1, (i: number) => i], "functions");
  const step = call.goElsewhere();
  assertThrows(() => call.end(), Error, "Cannot end a call: it is running on another thread");
  await step;
  call.reply(call.comeBack()!, 5);
  assertEquals([call.step(), call.result], [undefined, 5]);
  putFiber(fiber);
});

Deno.test("a call on a thread can be ended before it has begun, and while it waits", () => {
  using library = openBodies();
  const { with_destructor, destructor_count } = library.symbols;
  const fiber = takeThread("report", undefined, "Cannot call with_destructor");
  const { call } = fiber;
  const before = destructor_count();
  const prepare = () => call.prepare(calleeOf(with_destructor), [() => 1], "functions");
  prepare();
  call.end();
  assertEquals([call.hasEnded, destructor_count() - before], [true, 0]);
  prepare();
  call.step();
  call.end();
  assertEquals([call.hasEnded, destructor_count() - before], [true, 1]);
  prepare();
  for (let target; (target = call.step()) !== undefined;) call.reply(target, 1);
  assertEquals([call.hasEnded, destructor_count() - before], [true, 2]);
  putFiber(fiber);
});
