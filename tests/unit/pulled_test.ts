// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** `f.calls(...args)`, which lets go of C until the caller pulls. */

import {
  assert,
  assertEquals,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { Generator } from "../../mod.ts";
import { collectUntil, openBodies } from "../support/support.ts";

Deno.test("f.calls() yields each call, and returns the result", () => {
  using library = openBodies();
  const generator = library.symbols.call_n.calls(3);
  assert(generator instanceof Generator);
  const seen: number[] = [];
  for (;;) {
    const { value, done } = generator.next();
    if (done) {
      assertEquals(value, 30);
      break;
    }
    assertEquals(value.parameter, 1);
    seen.push(...value.args);
    value.reply(value.args[0] * 10);
  }
  assertEquals(seen, [0, 1, 2]);
  assertEquals(generator.state, "unavailable");
  assertEquals(generator.next().done, true);
});

Deno.test("f.calls() says which callback has been called", () => {
  using library = openBodies();
  const seen: unknown[] = [];
  for (const call of library.symbols.two_callbacks.calls()) {
    seen.push([call.parameter, ...call.args]);
    call.reply(1);
  }
  assertEquals(seen, [[0, 1], [1, 2]]);
});

Deno.test("f.calls() needs no reply where C expects no result", () => {
  using library = openBodies();
  const calls = library.symbols.call_void.calls().toArray();
  assertEquals(calls.length, 1);
  assertEquals(calls[0]!.args, []);
});

Deno.test("f.calls() runs nothing of C before the first pull", () => {
  using library = openBodies();
  const { with_destructor, destructor_count } = library.symbols;
  const before = destructor_count();
  {
    using generator = with_destructor.calls();
    assertEquals(generator.state, "runnable");
  }
  assertEquals(destructor_count(), before);
});

Deno.test("f.calls() works with the iterator helpers, yield* and spread", () => {
  using library = openBodies();
  const { call_n } = library.symbols;
  const each = () =>
    call_n.calls(6).map((call) => {
      call.reply(1);
      return call.args[0];
    });
  assertEquals(each().toArray(), [0, 1, 2, 3, 4, 5]);
  assertEquals(each().filter((i) => i % 2 === 1).take(2).toArray(), [1, 3]);
  assertEquals(Math.max(...each()), 5);
  const result = (function* () {
    return yield* call_n.calls(0);
  })().next();
  assertEquals(result, { value: 0, done: true });
});

Deno.test("f.calls() that is left early unwinds C, however it is left", () => {
  using library = openBodies();
  const { with_destructor, destructor_count } = library.symbols;
  const before = destructor_count();
  for (const _ of with_destructor.calls()) break;
  assertEquals(destructor_count(), before + 1);
  assertThrows(
    () => {
      for (const _ of with_destructor.calls()) throw new Error("on purpose");
    },
    Error,
    "on purpose",
  );
  assertEquals(destructor_count(), before + 2);
  {
    using generator = with_destructor.calls();
    generator.next();
  }
  assertEquals(destructor_count(), before + 3);
  const generator = with_destructor.calls();
  generator.next();
  const thrown = new Error("on purpose");
  assertStrictEquals(assertThrows(() => generator.throw(thrown)), thrown);
  assertEquals(destructor_count(), before + 4);
  const [first] = with_destructor.calls();
  assertEquals(first!.args, [1]);
  assertEquals(destructor_count(), before + 5);
});

Deno.test("f.calls() without a reply where C needs one: refused, and C is unwound", () => {
  using library = openBodies();
  const { with_destructor, destructor_count } = library.symbols;
  const before = destructor_count();
  const generator = with_destructor.calls();
  generator.next();
  const error = assertThrows(() => generator.next(), Error, "Cannot go on with with_destructor");
  assertStringIncludes(error.message, "callback parameter 0 has not been answered");
  assertStringIncludes(error.message, "call reply(value) first");
  assertEquals(destructor_count(), before + 1);
  assertEquals(generator.next().done, true);
});

Deno.test("f.calls() takes one reply before the next pull, and none after it", () => {
  using library = openBodies();
  const generator = library.symbols.call_n.calls(2);
  const first = generator.next().value;
  assert(typeof first === "object");
  first.reply(10);
  const twice = assertThrows(() => first.reply(1), Error, "Cannot answer call_n: callback param");
  assertStringIncludes(twice.message, "parameter 1 has an answer already, and C gets one");
  assertStringIncludes(twice.message, "call reply() once");
  const second = generator.next().value;
  assert(typeof second === "object");
  const error = assertThrows(() => first.reply(5), Error, "Cannot answer call_n: C has gone on");
  assertStringIncludes(error.message, "reply before the next call is pulled");
  second.reply(100);
  assertEquals(generator.next(), { value: 110, done: true });
  assertThrows(() => second.reply(5), Error, "Cannot answer call_n: C has gone on");
});

Deno.test("f.calls() takes one reply where C expects no result, too", () => {
  using library = openBodies();
  const generator = library.symbols.call_void.calls();
  const call = generator.next().value;
  assert(typeof call === "object");
  call.reply();
  assertThrows(() => call.reply(), Error, "has an answer already");
  assertEquals(generator.next().done, true);
});

Deno.test("f.calls() refuses a reply after it has been left", () => {
  using library = openBodies();
  const generator = library.symbols.call_n.calls(2);
  const first = generator.next().value;
  assert(typeof first === "object");
  generator.return(0);
  assertThrows(() => first.reply(5), Error, "Cannot answer call_n: C has gone on");
});

Deno.test("f.calls() refuses a reply of the wrong type, and takes a right one after it", () => {
  using library = openBodies();
  const generator = library.symbols.call_n.calls(1);
  const call = generator.next().value;
  assert(typeof call === "object");
  for (const value of ["5", null, undefined, 5n, {}, Promise.resolve(5)]) {
    assertThrows(
      () => (call.reply as (value: unknown) => void)(value),
      TypeError,
      "Cannot answer call_n: the result of callback parameter 1",
    );
  }
  assertThrows(() => call.reply(2 ** 31), RangeError, "Cannot answer call_n");
  call.reply(7);
  assertEquals(generator.next(), { value: 7, done: true });
});

Deno.test("f.calls() counts its arguments without the callbacks", () => {
  using library = openBodies();
  // deno-lint-ignore no-explicit-any -- what a program without types can pass
  const { call_n } = library.symbols as any;
  const message = (...args: unknown[]): string =>
    assertThrows(() => call_n.calls(...args).next(), TypeError, "it takes 1 argument here").message;
  assertStringIncludes(message(), "got 0; missing: argument 0 (i32)");
  assertStringIncludes(message(1, () => 1), "got 2; .calls() takes no functions that answer");
});

Deno.test("f.calls() cannot be resumed while it runs another's handler, but others can", () => {
  using library = openBodies();
  const { call_n } = library.symbols;
  const outer = call_n.calls(2);
  let sum = 0;
  for (const call of outer) {
    for (const inner of call_n.calls(3)) inner.reply(sum++);
    call.reply(call_n(1, () => 5));
  }
  assertEquals(sum, 6);
});

Deno.test("f.calls() dropped in the middle is unwound once it is garbage", async () => {
  using library = openBodies();
  const { with_destructor, destructor_count } = library.symbols;
  const before = destructor_count();
  (() => {
    for (let i = 0; i < 20; i++) with_destructor.calls().next();
  })();
  await collectUntil(() => destructor_count() === before + 20);
  assertEquals(destructor_count(), before + 20);
});
