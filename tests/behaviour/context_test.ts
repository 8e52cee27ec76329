// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** A context under the hands of a finalizer, which comes in no order that can be relied on. */

import { assertEquals } from "@std/assert";
import { Call, calleeOf } from "../../ffi/call/call.ts";
import { Mode } from "../../ffi/context/context.ts";
import { symbolOf } from "../../ffi/context/body.ts";
import { memoryOf } from "../../ffi/stack/stack.ts";
import { takeFiber } from "../../ffi/stack/stack_pool.ts";
import { openBodies } from "../support/support.ts";

Deno.test("StackMemory.reclaim() ends a body first, then unmaps its stack", () => {
  using library = openBodies();
  const { has_destructor, destructor_count } = library.symbols;
  const before = destructor_count();
  const { context, stack } = takeFiber();
  const symbol = symbolOf(has_destructor)!;
  context.memory.occupy(context, "Cannot test");
  context.begin(symbol.pointer, symbol);
  context.bind(symbol.library);
  context.end();
  assertEquals([context.handle, context.mode, destructor_count()], [null, Mode.ended, before]);
  assertEquals(context.memory.occupant, undefined);
  context.memory.reclaim();
  assertEquals(memoryOf(stack).released, true);
});

Deno.test("StackMemory.reclaim() lets C come to its end where a stop value says how", () => {
  using library = openBodies();
  const { ask_three, asked } = library.symbols;
  const { context } = takeFiber();
  const call = new Call(calleeOf(ask_three), context, [], undefined);
  assertEquals(call.step()?.parameter, 0);
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
  const { context } = takeFiber();
  const call = new Call(calleeOf(with_destructor), context, [], undefined);
  call.step();
  context.memory.reclaim();
  assertEquals(destructor_count(), before + 1);
  call.end();
  assertEquals(destructor_count(), before + 1);
});

Deno.test("Context.close() says why in what is tried afterwards, and only there", () => {
  using library = openBodies();
  const { context, stack } = takeFiber();
  const call = new Call(calleeOf(library.symbols.call_n), context, [1], undefined);
  call.step();
  context.close("the reason");
  assertEquals(context.reason, "the reason");
  const again = new Call(calleeOf(library.symbols.call_n), context, [1], undefined);
  assertEquals(context.reason, undefined);
  again.end();
  context.memory.vacate(call);
  context.memory.occupant = undefined;
  stack[Symbol.dispose]();
});
