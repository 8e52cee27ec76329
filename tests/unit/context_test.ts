// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** A context under the hands of a finalizer, which comes in no order that can be relied on. */

import { assertEquals } from "@std/assert";
import { Call } from "../../ffi/call/call.ts";
import { calleeOf } from "../../ffi/call/callee.ts";
import { endAll } from "../../ffi/context/occupancy.ts";
import { symbolOf } from "../../ffi/context/body.ts";
import { Context } from "../../ffi/context/context.ts";
import { memoryOf } from "../../ffi/stack/stack.ts";
import { takeFiber } from "../../ffi/call/fiber.ts";
import { openBodies } from "../support/support.ts";

Deno.test("StackMemory.reclaim() ends a body first, then unmaps its stack", () => {
  using library = openBodies();
  const { has_destructor, destructor_count } = library.symbols;
  const before = destructor_count();
  const { stack } = takeFiber("report");
  const context = new Context(memoryOf(stack));
  context.memory.own(context);
  const symbol = symbolOf(has_destructor)!;
  context.begin(symbol.pointer, symbol);
  assertEquals([context.memory.owner, context.isDone], [context, false]);
  context.end();
  assertEquals([context.handle, context.isDone, destructor_count()], [null, true, before]);
  assertEquals(context.memory.owner, undefined);
  context.memory.reclaim();
  assertEquals(memoryOf(stack).released, true);
});

Deno.test("StackMemory.reclaim() lets C come to its end where a stop value says how", () => {
  using library = openBodies();
  const { ask_three, asked } = library.symbols;
  const { context } = takeFiber("report");
  const call = new Call(context);
  call.prepare(calleeOf(ask_three), [], "puller");
  assertEquals(call.begin()?.parameter, 0);
  assertEquals(asked(), 0);
  context.memory.reclaim();
  assertEquals(asked(), 777);
  assertEquals(context.memory.released, true);
  // The other finalizer finds nothing left to do.
  call.end();
  context.end();
  assertEquals(asked(), 777);
});

Deno.test("StackMemory.reclaim() unwinds C where there is no stop value", () => {
  using library = openBodies();
  const { with_destructor, destructor_count } = library.symbols;
  const before = destructor_count();
  const { context } = takeFiber("report");
  const call = new Call(context);
  call.prepare(calleeOf(with_destructor), [], "puller");
  call.begin();
  context.memory.reclaim();
  assertEquals(destructor_count(), before + 1);
  call.end();
  assertEquals(destructor_count(), before + 1);
});

Deno.test("endAll() says why in what is tried afterwards, and only there", () => {
  using library = openBodies();
  const { context, stack } = takeFiber("report");
  const callee = calleeOf(library.symbols.call_n);
  const call = new Call(context);
  call.prepare(callee, [1], "puller");
  call.begin();
  assertEquals(endAll(callee.library, "the reason"), []);
  assertEquals(context.reason, "the reason");
  const again = new Call(context);
  again.prepare(callee, [1], "puller");
  again.begin();
  assertEquals(context.reason, undefined);
  again.end();
  stack[Symbol.dispose]();
});

Deno.test("endAll() ends what began last first, of one library", () => {
  using library = openBodies();
  using other = openBodies();
  const callee = calleeOf(library.symbols.ask_three);
  const contexts = [1, 2, 3].map(() => {
    const { context } = takeFiber("report");
    const call = new Call(context);
    call.prepare(callee, [], "puller");
    call.begin();
    return context;
  });
  const elsewhere = takeFiber("report").context;
  const call = new Call(elsewhere);
  call.prepare(calleeOf(other.symbols.ask_three), [], "puller");
  call.begin();
  const ended: number[] = [];
  for (const [i, context] of contexts.entries()) {
    const { endGently } = context;
    context.endGently = () => {
      ended.push(i);
      endGently.call(context);
    };
  }
  assertEquals(endAll(callee.library, "the reason"), []);
  assertEquals(ended, [2, 1, 0]);
  assertEquals(elsewhere.isDone, false);
});
