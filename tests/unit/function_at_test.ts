// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** `functionAt(pointer, definition)`: a function of a C function pointer. */

import { assert, assertEquals, assertMatch, assertRejects, assertThrows } from "@std/assert";
import { Callback, functionAt, Generator, OsStack, tailCall } from "../../mod.ts";
import { calleeOf } from "../../ffi/call/callee.ts";
import { targetOf } from "../../ffi/call/thunk.ts";
import { collectUntil, gc, openBodies, testBodies } from "../support/support.ts";

const later = <T>(value: T): Promise<T> =>
  new Promise((resolve) => setTimeout(() => resolve(value), 1));

const twice = { parameters: ["i32"], result: "i32" } as const;

Deno.test("functionAt() makes a function, for every form of a call", async () => {
  // What a callback's pointer leads to is a function of C as any other.
  using callback = new Callback(twice, (i) => 2 * i);
  const f = functionAt(callback.pointer, { name: "twice", ...twice });
  assertEquals(f.name, "twice");
  assertEquals(f(21), 42);
  assertEquals(await f.async(4), 8);
  assertEquals(f.calls(5).next(), { value: 10, done: true });
  using generator = new Generator(new OsStack(), function* (yielder) {
    return yield* yielder.call(f, 6);
  });
  assertEquals(generator.next(), { value: 12, done: true });
  using library = openBodies();
  assertEquals(library.symbols.call_n(3, (i) => tailCall(f, i)), 6);
});

Deno.test("functionAt() makes functions with callbacks, errno, and on other threads", async () => {
  const failing = { callback: { parameters: ["i32"], result: "i32", stop: 0 } } as const;
  using callback = new Callback({ parameters: ["function"], result: "i32" }, () => 3);
  const f = functionAt(callback.pointer, { parameters: [failing], result: "i32", errno: true });
  assertEquals(f(() => 1), { value: 3, errno: 0 });
  const g = functionAt(callback.pointer, {
    parameters: ["pointer"],
    result: "i32",
    nonblocking: true,
  });
  assertEquals(await g(null), 3);
  // Without a name its address is one.
  assertMatch(g.name, /^function at 0x[0-9a-f]{6,}$/);
  await assertRejects(() => g(1 as never), TypeError, `Cannot call ${g.name}: argument 0`);
});

Deno.test("functionAt() checks what it is given", () => {
  using callback = new Callback(twice, (i) => i);
  const { pointer } = callback;
  // deno-lint-ignore no-explicit-any -- what a program without types can pass
  const make = (...args: any[]) => () => Reflect.apply(functionAt, undefined, args);
  for (const value of [null, undefined, 1, 5n, {}, callback, () => 1, "labs"]) {
    assertThrows(make(value, twice), TypeError, "the pointer must be a Deno.PointerObject: got");
  }
  assertThrows(make(pointer, undefined), TypeError, "its definition must be an object");
  assertThrows(make(pointer, null), TypeError, "its definition must be an object");
  assertThrows(make(pointer, { ...twice, result: "int" }), TypeError, "result has the type");
  assertThrows(make(pointer, { ...twice, name: 1 }), TypeError, "name must be a string");
  for (const other of [{ input: "void", output: "i32" }, { type: "i32" }]) {
    assertThrows(
      make(pointer, { name: "count", ...other }),
      TypeError,
      "Cannot make function count: its definition is that of a generator body, or of a variable",
    );
  }
});

Deno.test("functionAt() goes by its definition as it was", () => {
  using callback = new Callback(twice, (i) => i);
  const parameters: "i32"[] = ["i32"];
  const definition = { parameters, result: "i32" } as const;
  const f = functionAt(callback.pointer, definition);
  parameters.push("i32");
  Object.assign(definition, { result: "void" });
  assertEquals(f(3), 3);
});

Deno.test("the function pointers of a function that is garbage are given back", async () => {
  using callback = new Callback({ parameters: ["pointer"], result: "void" }, () => {});
  const take = (): number => {
    const f = functionAt(callback.pointer, { parameters: [{ callback: twice }], result: "void" });
    f(() => 1);
    return calleeOf(f).slots[0]!.callback!.thunk().number;
  };
  const number = take();
  assert(targetOf(number) !== undefined);
  await collectUntil(() => targetOf(number) === undefined);
  assertEquals(targetOf(number), undefined);
});

Deno.test("a function that is garbage has its function pointers while suspended", async () => {
  const opened = Deno.dlopen(testBodies, { two_callbacks: { type: "pointer" } });
  const callback = { callback: twice };
  // C calls one function pointer and then the other, with collections in between.
  const begin = () =>
    functionAt(opened.symbols.two_callbacks!, { parameters: [callback, callback], result: "i32" })
      .async(async (i) => {
        for (let round = 0; round < 5; round++) {
          gc();
          await later(0);
        }
        return i;
      }, (i) => i);
  assertEquals(await begin(), 102);
  opened.close();
});
