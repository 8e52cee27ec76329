// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** A context that runs one call after the other, and what stays of each for the next. */

import { assert, assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { Call } from "../../ffi/call/call.ts";
import { type Callee, calleeOf } from "../../ffi/call/callee.ts";
import { putFiber, takeFiber } from "../../ffi/call/fiber.ts";
import { Callback, dlopen, Generator, OsStack, PointerView } from "../../mod.ts";
import { collectUntil, testBodies } from "../support/support.ts";

const asking = {
  parameters: ["i32", { callback: { parameters: ["i32"], result: "i32" } }],
  result: "i32",
} as const;
const halving = {
  parameters: [{ callback: { parameters: ["f32"], result: "f32" } }, "f32"],
  result: "f32",
} as const;

function openBodies() {
  return dlopen(testBodies, {
    plus_one: { parameters: ["u32"], result: "u32" },
    plus_one_elsewhere: {
      name: "plus_one",
      parameters: ["u32"],
      result: "u32",
      nonblocking: true,
    },
    call_n: asking,
    half: halving,
    string_length: { parameters: ["cstring"], result: "usize" },
    sum_buffer: { parameters: ["buffer", "usize"], result: "u64" },
  });
}

/** Begins a call that nobody answers, on a fiber of its own. */
function begin(callee: Callee, args: readonly unknown[]) {
  const fiber = takeFiber("report");
  const call = new Call(fiber.context);
  call.prepare(callee, args, "puller");
  return { fiber, call, target: call.begin() };
}

Deno.test("a function that returns without a callback is in no library's list", () => {
  using library = openBodies();
  const callee = calleeOf(library.symbols.plus_one);
  const { fiber, call, target } = begin(callee, [41]);
  assertEquals([target, call.result, call.hasEnded], [undefined, 42, true]);
  assertEquals([fiber.context.handle, callee.library.latest], [null, undefined]);
  putFiber(fiber);
});

Deno.test("a function that calls back is in the list of its library until it has ended", () => {
  using library = openBodies();
  const callee = calleeOf(library.symbols.call_n);
  const { fiber, call, target } = begin(callee, [1, undefined]);
  assertStrictEquals(callee.library.latest, fiber.context);
  call.reply(target!, 5);
  assertEquals([call.step(), call.result], [undefined, 5]);
  assertEquals([fiber.context.handle, callee.library.latest], [null, undefined]);
  putFiber(fiber);
});

Deno.test("calls of several functions, of several shapes, follow each other on one stack", () => {
  using library = openBodies();
  const { plus_one, call_n, half, string_length, sum_buffer } = library.symbols;
  for (let i = 0; i < 100; i++) {
    assertEquals(plus_one(i), i + 1);
    assertEquals(plus_one(2 ** 32 - 1), 0);
    assertEquals(call_n(3, (j) => j * i), 3 * i);
    assertEquals(half((x) => x + i, 2), 1 + i / 2);
    assertEquals(string_length("x".repeat(i)), BigInt(i));
    assertEquals(sum_buffer(new Uint8Array(i).fill(2), i), BigInt(2 * i));
  }
});

Deno.test("a call has the callbacks of its own, after one that was passed a Callback", () => {
  using library = openBodies();
  const { call_n } = library.symbols;
  const definition = { parameters: ["i32"], result: "i32" } as const;
  using kept = new Callback(definition, () => 1000);
  for (let i = 0; i < 3; i++) {
    assertEquals(call_n(1, () => i), i);
    assertEquals(call_n(1, kept as never), 1000);
  }
});

Deno.test("a call that a trap makes among the arguments has a stack of its own", () => {
  using library = openBodies();
  const { call_n, plus_one } = library.symbols;
  const inner: unknown[] = [];
  const handler = new Proxy((i: number) => i, {
    get(target, key, receiver) {
      if (key === Symbol.toStringTag) inner.push(call_n(2, (i) => i + 1), plus_one(5));
      return Reflect.get(target, key, receiver);
    },
  });
  assertEquals(call_n(3, handler), 3);
  assertEquals(inner, [3, 6]);
});

Deno.test("a call that is cut short behind its first entry can be ended, its stack used", () => {
  using library = openBodies();
  const callee = calleeOf(library.symbols.call_n);
  for (let i = 0; i < 3; i++) {
    const fiber = takeFiber("report");
    const { call, context } = fiber;
    call.prepare(callee, [1, () => 1], "functions");
    // As where V8 cuts `beginListed` short when C has suspended: nobody has followed the status.
    context.enterFirst(call, true);
    assertEquals([call.hasEnded, context.isSuspended, context.isDone], [false, true, false]);
    assertEquals(callee.library.latest, undefined);
    call.end();
    assertEquals([call.hasEnded, context.handle], [true, null]);
    putFiber(fiber);
    assertEquals(library.symbols.call_n(2, (j) => j + 1), 3);
  }
});

Deno.test("a call that is cut short before its first entry has nothing to be ended", () => {
  using library = openBodies();
  const fiber = takeFiber("report");
  fiber.call.prepare(calleeOf(library.symbols.call_n), [1, () => 1], "functions");
  assertEquals([fiber.call.hasEnded, fiber.context.isDone], [true, true]);
  fiber.call.end();
  fiber.context.endGently();
  putFiber(fiber);
  assertEquals(library.symbols.call_n(2, (j) => j + 1), 3);
});

Deno.test("calls on other threads and on this one follow each other on one stack", async () => {
  using library = openBodies();
  const { plus_one, call_n, plus_one_elsewhere } = library.symbols;
  const expected = takeFiber("report");
  putFiber(expected);
  for (let i = 0; i < 20; i++) {
    assertEquals(plus_one(i), i + 1);
    assertEquals(await plus_one_elsewhere(i), i + 1);
    assertEquals(call_n(3, (j) => j * i), 3 * i);
    assertEquals(await plus_one_elsewhere(i), i + 1);
    assertEquals(await call_n.async(3, (j) => Promise.resolve(j * i)), 3 * i);
  }
  const fiber = takeFiber("report");
  assertStrictEquals(fiber, expected);
  putFiber(fiber);
});

Deno.test("a call whose handler closes the library is ended first, at any callback", () => {
  for (const at of [0, 1]) {
    const library = openBodies();
    const { call_n } = library.symbols;
    const callee = calleeOf(call_n);
    const close = (i: number): number => {
      assert(callee.library.latest !== undefined);
      if (i === at) library.close();
      return i;
    };
    assertThrows(() => call_n(3, close), Error, "has been closed, which ended it");
    assertEquals(callee.library.latest, undefined);
  }
});

/** Runs `f`, and calls `meanwhile` where `f` reads its first unsigned integer. */
function whileReading<T>(f: () => T, meanwhile: () => void): T {
  const { getUint32 } = DataView.prototype;
  DataView.prototype.getUint32 = function (...args): number {
    DataView.prototype.getUint32 = getUint32;
    const value = getUint32.apply(this, args);
    meanwhile();
    return value;
  };
  try {
    return f();
  } finally {
    DataView.prototype.getUint32 = getUint32;
  }
}

Deno.test("code that runs before the first handler may call C, and ends no call around it", () => {
  using library = openBodies();
  const { call_n, plus_one } = library.symbols;
  const inner: number[] = [];
  const more = (): void => void inner.push(plus_one(inner.length));
  // While it is looked up which callback C has called, and while C's result is read.
  const sum = call_n(3, (i) => whileReading(() => call_n(1, () => 10 * i), more));
  assertEquals([sum, inner], [30, [1, 2, 3]]);
  assertEquals(call_n(3, (i) => whileReading(() => plus_one(10 * i), more)), 33);
  assertEquals(inner, [1, 2, 3, 4, 5, 6]);
});

/** Whether the pointer that `result` gives, an object of its own, becomes garbage. */
async function isLetGo(result: () => unknown): Promise<boolean> {
  let isGone = false;
  const registry = new FinalizationRegistry(() => isGone = true);
  await (async () => registry.register(await result() as object, undefined))();
  await collectUntil(() => isGone);
  return isGone;
}

Deno.test("what a call has returned is its caller's alone, in each form", async () => {
  const definition = { parameters: ["pointer"], result: "pointer" } as const;
  using library = dlopen(testBodies, { same: { name: "same_pointer", ...definition } });
  const { same } = library.symbols;
  const { pointer } = PointerView.of(new Uint8Array(8));
  using pulled = same.calls(pointer);
  using generator = new Generator(new OsStack(), function* (yielder) {
    return yield* yielder.call(same, pointer);
  });
  assertEquals(await isLetGo(() => same(pointer)), true);
  assertEquals(await isLetGo(() => same.async(pointer)), true);
  assertEquals(await isLetGo(() => pulled.next().value), true);
  assertEquals(await isLetGo(() => generator.next().value), true);
});

Deno.test("a call that is cut short where it would begin is not in its library's list", () => {
  using library = openBodies();
  const callee = calleeOf(library.symbols.plus_one);
  const { context } = takeFiber("report");
  const call = new Call(context);
  call.prepare(callee, [1], "puller");
  // As where V8's stack is used up, so that no function can be called.
  const cut = new RangeError("Maximum call stack size exceeded");
  Object.defineProperty(context, "memory", {
    get() {
      throw cut;
    },
  });
  assertStrictEquals(assertThrows(() => call.begin()), cut);
  assertEquals([call.hasEnded, callee.library.latest], [true, undefined]);
});

Deno.test("a call that is cut short before its first frame has not ended as the last did", () => {
  using library = dlopen(testBodies, {
    use_up_after: {
      parameters: [{ callback: { parameters: ["i32"], result: "i32" } }],
      result: "i32",
      overflow: "throw",
    },
  });
  const fiber = takeFiber("throw");
  const { call, context } = fiber;
  putFiber(fiber);
  let handle: Deno.PointerObject | null = null;
  const overflow = assertThrows(() =>
    library.symbols.use_up_after(() => {
      handle = context.handle;
      return 2 ** 30;
    })
  );
  assertEquals([overflow instanceof RangeError, handle === null], [true, false]);
  // As `enterFirst` does before it enters native code.
  context.handle = handle;
  call.end();
  assertEquals([call.hasEnded, context.isDone], [true, true]);
});
