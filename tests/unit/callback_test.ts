// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** Callbacks that C keeps, and what becomes of those that it keeps without leave. */

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { Callback, dlopen, Generator, OsStack, PointerView } from "../../mod.ts";
import { collectUntil, gc, MIXED, openBodies, testBodies } from "../support/support.ts";

const definition = { parameters: ["i32"], result: "i32" } as const;

const later = <T>(value: T): Promise<T> =>
  new Promise((resolve) => setTimeout(() => resolve(value)));

Deno.test("Callback answers C long after the call that it was passed to", () => {
  using library = openBodies();
  const { keep, call_kept } = library.symbols;
  using callback = new Callback(definition, (i) => i * 2);
  keep(callback);
  assertEquals([call_kept(1), call_kept(-7)], [2, -14]);
  keep(callback.pointer);
  assertEquals(call_kept(3), 6);
  assertInstanceOf(callback, Callback);
  assertEquals(callback.definition, definition);
});

Deno.test("Callback suspends whichever call is running when C calls it", async () => {
  using library = openBodies();
  const { keep, call_kept, pass_and_call_kept } = library.symbols;
  using callback = new Callback(definition, async (i) => await later(i * 10));
  keep(callback);
  assertEquals(await Promise.all([1, 2, 3].map((i) => call_kept.async(i))), [10, 20, 30]);
  // Beside a callback of the call itself, in either order of their answers.
  assertEquals(await pass_and_call_kept.async((i) => i), 120);
  assertEquals(await pass_and_call_kept.async(async (i) => await later(i + 1)), 220);
});

Deno.test("Callback that is a generator function yields out of the whole generator", () => {
  using library = openBodies();
  const { keep, call_kept, pass_and_call_kept } = library.symbols;
  using callback = new Callback(definition, function* (i): globalThis.Generator<string, number> {
    const answer = yield `kept ${i}`;
    return answer as unknown as number;
  });
  keep(callback);
  using generator = new Generator<number | undefined, string>(new OsStack(), function* (yielder) {
    yield `result ${yield* yielder.call(call_kept, 5)}`;
    const both = yield* yielder.call(pass_and_call_kept, function* (i) {
      return yield `passed ${i}`;
    });
    yield `result ${both}`;
  });
  assertEquals(generator.resume(undefined), "kept 5");
  assertEquals(generator.resume(55), "result 55");
  assertEquals(generator.resume(undefined), "passed 1");
  gc();
  assertEquals(generator.resume(3), "kept 2");
  assertEquals(generator.resume(4), "result 304");
});

Deno.test("Callback answers by itself while the other calls are pulled", () => {
  using library = openBodies();
  const { keep, pass_and_call_kept } = library.symbols;
  using callback = new Callback(definition, (i) => i);
  keep(callback);
  const calls = pass_and_call_kept.calls();
  const first = calls.next();
  assert(!first.done);
  assertEquals(first.value.args, [1]);
  first.value.reply(8);
  assertEquals(calls.next(), { done: true, value: 802 });
});

Deno.test("Callback can be passed where a callback is declared, if it is of that type", () => {
  using library = openBodies();
  const { keep_handler, call_kept, call_n, half } = library.symbols;
  using callback = new Callback(definition, (i) => i + 1);
  keep_handler(callback);
  assertEquals(call_kept(1), 2);
  assertEquals(call_n(3, callback), 6);
  using other = new Callback({ parameters: ["i64"], result: "i32" }, () => 1);
  const error = assertThrows(
    // @ts-expect-error It takes an i64.
    () => call_n(3, other),
    TypeError,
    "Cannot call call_n: argument 1 is a Callback of another type",
  );
  assertStringIncludes(error.message, "it is (i64) => i32, and C needs (i32) => i32");
  // @ts-expect-error It has another result.
  assertThrows(() => half(callback, 1), TypeError, "C needs (f32) => f32");
});

Deno.test("Callback takes arguments in registers and on the stack, of both classes", () => {
  using library = openBodies();
  const { mixed, half } = library.symbols;
  const values = [
    ...[-128, 0.5, 65535, -0, -(2 ** 31), Infinity, 2n ** 64n - 1n, -1e308, true, 5e-324] as const,
    ...[1, 2, 3, 4, -1.25, -(2n ** 63n), 255] as const,
  ] as const;
  let seen: readonly unknown[] = [];
  const handler = (...args: unknown[]): number => {
    seen = args;
    return 41.5;
  };
  assertEquals(mixed(handler, ...values), 42);
  assertEquals(seen, values);
  assert(Object.is(seen[3], -0));
  using callback = new Callback({ parameters: MIXED, result: "f64" }, handler);
  seen = [];
  assertEquals(mixed(callback, ...values), 42);
  assertEquals(seen, values);
  assertEquals(half((x) => x * 3, 0.5), 0.75);
});

Deno.test("Callback that throws: C does not go on, and the very error comes out", async () => {
  using library = openBodies();
  const { keep, call_kept } = library.symbols;
  const error = new Error("no");
  using callback = new Callback(definition, (i) => {
    if (i > 1) throw error;
    return i;
  });
  keep(callback);
  assertStrictEquals(assertThrows(() => call_kept(2)), error);
  assertStrictEquals(await assertRejects(() => call_kept.async(2)), error);
  assertEquals(call_kept(1), 1);
});

Deno.test("Callback with stop is told it when its call ends early", () => {
  using library = openBodies();
  const { keep, call_kept, ask_three, asked } = library.symbols;
  const fail = () => {
    throw new Error("enough");
  };
  using stopping = new Callback({ ...definition, stop: 5 }, fail);
  assertThrows(() => ask_three(stopping), Error, "enough");
  assertEquals(asked(), 555);
  // Its own, also where the parameter that it is passed for has another.
  using plain = new Callback(definition, fail);
  assertThrows(() => ask_three(plain), Error, "enough");
  assertEquals(asked(), 0);
  keep(stopping);
  assertThrows(() => call_kept(1), Error, "enough");
});

Deno.test("Callback refuses answers that the running call cannot wait for", () => {
  using library = openBodies();
  const { keep, call_kept } = library.symbols;
  using promise = new Callback(definition, async (i) => await later(i));
  keep(promise);
  assertThrows(() => call_kept(1), TypeError, "is a Promise; call the function by .async()");
  using generator = new Callback(definition, function* (i) {
    yield i;
    return i;
  });
  keep(generator);
  assertThrows(() => call_kept(1), TypeError, "is a generator; call the function by `yield*");
  using wrong = new Callback(definition, () => 0.5);
  keep(wrong);
  assertThrows(
    () => call_kept(1),
    RangeError,
    "Cannot answer C: the result of a callback must be an integer",
  );
});

Deno.test("Callback that has been closed is refused by us, and by C's caller", () => {
  using library = openBodies();
  const { keep, call_kept, call_n } = library.symbols;
  const callback = new Callback(definition, (i) => i);
  keep(callback);
  callback.close();
  callback.close();
  const error = assertThrows(
    () => call_kept(1),
    Error,
    "Cannot go on with call_kept: C has called",
  );
  assertStringIncludes(error.message, "a callback that has been closed");
  assertThrows(() => keep(callback), Error, "argument 0 is a callback that has been closed; make");
  assertThrows(() => call_n(1, callback), Error, "argument 1 is a callback that has been closed");
  // Nor does another get its calls, though a thousand are made and closed.
  for (let i = 0; i < 1000; i++) new Callback(definition, () => 77).close();
  using _alive = new Callback(definition, () => 77);
  assertThrows(() => call_kept(1), Error, "has been closed");
});

Deno.test("Callback that has been closed never reaches a handler of another type", () => {
  using library = openBodies();
  const { keep, call_kept } = library.symbols;
  const callback = new Callback(definition, (i) => i);
  keep(callback);
  callback.close();
  // It would take the i32 for an address.
  const other = { parameters: ["cstring"], result: "i32" } as const;
  for (let i = 0; i < 3000; i++) new Callback(other, () => 77).close();
  const alive = Array.from({ length: 300 }, () => new Callback(other, () => 77));
  assertThrows(() => call_kept(5), Error, "has been closed");
  for (const callback of alive) callback.close();
});

Deno.test("Callback goes by its definition as it was when it was made", () => {
  using library = openBodies();
  const { keep, call_kept } = library.symbols;
  const parameters: ("i32" | "cstring")[] = ["i32"];
  using callback = new Callback({ parameters, result: "i32" }, (i) => Number(i) + 1);
  keep(callback);
  parameters[0] = "cstring";
  const { definition } = callback;
  assertThrows(() => (definition.parameters as string[])[0] = "cstring", TypeError);
  assertThrows(() => (definition as { result: string }).result = "u8", TypeError);
  assertEquals(call_kept(5), 6);
});

Deno.test("Callback may be closed by its own handler: this call is still answered", () => {
  using library = openBodies();
  const { keep, call_kept } = library.symbols;
  const callback: Callback = new Callback(definition, (i) => {
    callback.close();
    return i;
  });
  keep(callback);
  assertEquals(call_kept(6), 6);
  assertThrows(() => call_kept(6), Error, "has been closed");
});

Deno.test("Callback that its own handler closes gets no further call of the same C", () => {
  using library = openBodies();
  const { call_n } = library.symbols;
  let calls = 0;
  const callback: Callback<typeof definition> = new Callback(definition, (i) => {
    calls++;
    if (i === 1) callback.close();
    return i;
  });
  assertThrows(() => call_n(5, callback), Error, "C has called a callback that has been closed");
  assertEquals(calls, 2);
});

Deno.test("Callback lives until it is closed, though nobody holds it", async () => {
  using library = openBodies();
  const { keep, call_kept } = library.symbols;
  const { pointer } = new Callback(definition, (i) => i + 1);
  keep(pointer);
  await collectUntil(() => false);
  assertEquals(call_kept(1), 2);
});

Deno.test("Callback can be had a thousand times over", () => {
  using library = openBodies();
  const { keep, call_kept } = library.symbols;
  const callbacks = Array.from({ length: 1000 }, (_, n) => new Callback(definition, (i) => n + i));
  for (const [n, callback] of callbacks.entries()) {
    keep(callback);
    assertEquals(call_kept(1), n + 1);
  }
  for (const callback of callbacks) callback.close();
});

Deno.test("new Callback() checks what it is given", () => {
  const handler = () => 1;
  // deno-lint-ignore no-explicit-any -- what a program without types can pass
  const make = (...args: any[]) => () => Reflect.construct(Callback, args);
  for (const value of [undefined, null, 1, "f", {}]) {
    assertThrows(make(definition, value), TypeError, "the handler must be a function: got");
  }
  assertThrows(make(null, handler), TypeError, "the definition must be an object: got null");
  assertThrows(make({ parameters: [] }, handler), TypeError, "result has the type undefined");
  assertThrows(
    make({ parameters: [{ struct: [] }], result: "void" }, handler),
    TypeError,
    "Cannot make callback: the definition: parameter 0: struct must be an array",
  );
  assertThrows(
    make({ parameters: [], result: "i32", stop: "1" }, handler),
    TypeError,
    "Cannot make callback: the definition: stop must be an integer",
  );
  assertThrows(
    make({ parameters: [], result: () => 1 }, handler),
    TypeError,
    "Cannot make callback: its definition must be plain data",
  );
});

Deno.test("a callback that C keeps without leave is refused in another's call", () => {
  using library = openBodies();
  const { keep_handler, call_kept, pass_and_call_kept } = library.symbols;
  keep_handler((i) => i);
  const error = assertThrows(() => call_kept(1), Error, "Cannot go on with call_kept");
  assertStringIncludes(
    error.message,
    "C has called callback parameter 0 of keep_handler, which was passed to another call; what C " +
      "keeps must be a Callback",
  );
  const calls: number[] = [];
  assertThrows(
    () =>
      pass_and_call_kept((i) => {
        calls.push(i);
        return i;
      }),
    Error,
    "Cannot go on with pass_and_call_kept: C has called callback parameter 0 of keep_handler",
  );
  // Nobody else's handler got it.
  assertEquals(calls, [1]);
});

Deno.test("stop of a pointer result may be a pointer, which C is told", () => {
  const buffer = Uint8Array.of(42);
  const pointer = PointerView.of(buffer).pointer;
  const definition = { parameters: ["pointer"], result: "pointer", stop: pointer } as const;
  using library = dlopen(testBodies, {
    told: {
      name: "ask_three",
      parameters: [{ callback: { ...definition, parameters: ["i32"] } }],
      result: "i32",
    },
    asked: { parameters: [], result: "u32" },
    call_pointer: { parameters: [{ callback: definition }, "pointer"], result: "pointer" },
  });
  const { told, asked, call_pointer } = library.symbols;
  for (const _ of told.calls()) break;
  // C has put the lower halves of its three answers together.
  const word = Number(BigInt.asUintN(32, PointerView.of(buffer).address));
  assertEquals(asked(), Number(BigInt.asUintN(32, BigInt(word) * 111n)));
  using callback = new Callback(definition, () => {
    throw new Error("no");
  });
  assertStrictEquals(callback.definition.stop, pointer);
  assertEquals(new PointerView(callback.definition.stop).getUint8(), 42);
  assertThrows(() => call_pointer(callback, null), Error, "no");
  assertThrows(
    // An object that is no pointer looks like one where it inherits nothing.
    () => new Callback({ ...definition, stop: Object.create(null) }, () => null),
    TypeError,
    "stop must be a Deno.PointerObject or null",
  );
  assertEquals(buffer, Uint8Array.of(42));
});

Deno.test("a definition that contains itself is refused", () => {
  const parameters: unknown[] = [];
  parameters[0] = { callback: { parameters, result: "void" } };
  assertThrows(
    () => new Callback({ parameters, result: "void" } as never, (() => {}) as never),
    TypeError,
    "Cannot make callback: its definition must be plain data",
  );
});

Deno.test("a list of parameters with holes is refused", () => {
  const holey = ["i32", "i32", "i32"];
  delete holey[1];
  for (const parameters of [new Array(3), holey]) {
    assertThrows(
      () => new Callback({ parameters, result: "void" } as never, (() => {}) as never),
      TypeError,
      "has the type undefined",
    );
  }
});
