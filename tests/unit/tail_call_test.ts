// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** `tailCall(f, ...args)`: an answer upon which C calls `f` in place of returning. */

import {
  assertEquals,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { Callback, dlopen, Generator, OsStack, type TailCall, tailCall } from "../../mod.ts";
import { gc, MIXED, openBodies, testBodies } from "../support/support.ts";

const i32Callback = { callback: { parameters: ["i32"], result: "i32" } } as const;

// What jumps, and what it jumps to, in this test's own calls: each call of `catches` sets the place
// anew.
const jumping = {
  catches: { parameters: [i32Callback], result: "i32" },
  catches_again: {
    parameters: [{ callback: { parameters: ["i32"], result: "i32", stop: 7 } }],
    result: "i32",
  },
  jumps: { parameters: [], result: "i32" },
  catches_elsewhere: {
    name: "catches",
    parameters: [i32Callback],
    result: "i32",
    nonblocking: true,
  },
} as const;

const later = <T>(value: T): Promise<T> =>
  new Promise((resolve) => setTimeout(() => resolve(value)));

Deno.test("tailCall() has C call a function in place of returning, in every form", async () => {
  using library = openBodies();
  const { call_n, call_n_elsewhere, call_kept, use_up } = library.symbols;
  // call_n sums up what the callback returns for 0, 1, 2; use_up(n) returns n.
  const tail = (i: number): TailCall => tailCall(use_up, 10 * i);
  assertEquals(call_n(3, tail), 30);
  assertEquals(await call_n.async(3, tail), 30);
  assertEquals(await call_n.async(3, async (i) => await later(tail(i))), 30);
  assertEquals(await call_n_elsewhere(3, async (i) => await later(tail(i))), 30);
  const pulled = call_n.calls(3);
  for (let call; !(call = pulled.next()).done;) call.value.reply(tail(call.value.args[0]));
  assertEquals([...call_n.calls(0)], []);
  using generator = new Generator(new OsStack(), function* (yielder) {
    return yield* yielder.call(call_n, 3, function* (i) {
      yield "asked";
      return tail(i);
    });
  });
  assertEquals([...generator], ["asked", "asked", "asked"]);
  using kept = new Callback({ parameters: ["i32"], result: "i32" }, tail);
  library.symbols.keep(kept);
  assertEquals(call_kept(4), 40);
});

Deno.test("what a pulled call is answered by a tail call is what C returns", () => {
  using library = openBodies();
  const { call_n, use_up } = library.symbols;
  const calls = call_n.calls(2);
  let step = calls.next();
  for (; !step.done; step = calls.next()) step.value.reply(tailCall(use_up, 5));
  assertEquals(step.value, 10);
});

Deno.test("a tail call and an ordinary answer may follow one another", () => {
  using library = openBodies();
  const { call_n, use_up } = library.symbols;
  for (const odd of [0, 1]) {
    const answer = (i: number) => i % 2 === odd ? tailCall(use_up, 100) : 1;
    for (let i = 0; i < 1000; i++) assertEquals(call_n(4, answer), 202);
  }
  // The next call of the same function has its own arguments again.
  assertEquals(call_n(2, () => 1), 2);
});

Deno.test("tailCall() passes every kind of argument that a register holds", () => {
  using library = dlopen(testBodies, {
    call_six: openedSix,
    add_six: { parameters: ["i8", "u16", "i32", "u32", "i64", "u64"], result: "i64" },
    sum_buffer: { parameters: ["buffer", "usize"], result: "u64" },
    string_length: { parameters: ["cstring"], result: "usize" },
    half: {
      parameters: [{ callback: { parameters: ["f32"], result: "f32" } }, "f32"],
      result: "f32",
    },
    half_callback: {
      name: "half",
      parameters: [{ callback: { parameters: ["f32"], result: "f32" } }, "f32"],
      result: "f32",
    },
  });
  const { call_six, add_six, sum_buffer, string_length, half, half_callback } = library.symbols;
  assertEquals(call_six(() => tailCall(add_six, -1, 2, -3, 4, -5n, 60n)), 57n);
  assertEquals(call_six(() => tailCall(sum_buffer, Uint8Array.of(1, 2, 250), 3)), 253n);
  assertEquals(call_six(() => tailCall(string_length, "grün")), 5n);
  using quarter = new Callback({ parameters: ["f32"], result: "f32" }, (x) => x / 4);
  assertEquals(half((x) => tailCall(half_callback, quarter, x), 64), 4);
});

const openedSix = {
  parameters: [{
    callback: { parameters: ["i8", "u8", "i16", "u32", "i64", "u64"], result: "i64" },
  }],
  result: "i64",
} as const;

Deno.test("strings and buffers of a tail call last while C runs", async () => {
  using library = openBodies();
  const { call_six, string_length, sum_buffer } = dlopen(testBodies, {
    call_six: openedSix,
    string_length: { parameters: ["cstring"], result: "usize" },
    sum_buffer: { parameters: ["buffer", "usize"], result: "u64" },
  }).symbols;
  const text = () => "x".repeat(100_000);
  const answer = () => {
    const tail = tailCall(string_length, text());
    gc();
    return tail;
  };
  assertEquals(call_six(answer), 100_000n);
  assertEquals(await call_six.async(answer), 100_000n);
  const ones = () => tailCall(sum_buffer, new Uint8Array(50_000).fill(1), 50_000);
  assertEquals(call_six(ones), 50_000n);
  assertEquals(library.symbols.add_six(1, 1, 1, 1, 1, 1), 6n);
});

Deno.test("a function that C calls so may jump out of C's frames, in every form", async () => {
  using library = dlopen(testBodies, jumping);
  const { catches, catches_again, catches_elsewhere, jumps } = library.symbols;
  const jump = (): TailCall => tailCall(jumps);
  for (let i = 0; i < 100; i++) {
    assertEquals(catches(jump), 100);
    assertEquals(catches_again((n) => n === 1 ? jump() : 7), 7);
  }
  assertEquals(await catches.async(jump), 100);
  assertEquals(await catches.async(async () => await later(jump())), 100);
  assertEquals(await catches_elsewhere(async () => await later(jump())), 100);
  const calls = catches.calls();
  const first = calls.next();
  if (!first.done) first.value.reply(jump());
  assertEquals(calls.next(), { value: 100, done: true });
  using generator = new Generator(
    new OsStack(),
    function* (yielder) {
      return yield* yielder.call(catches, function* (i) {
        yield i;
        return jump();
      });
    },
  );
  assertEquals(generator.next(undefined), { value: 1, done: false });
  assertEquals(generator.next(undefined), { value: 100, done: true });
});

Deno.test("a stop may answer by a tail call, that jumps", () => {
  let asked = 0;
  const stop = (i: number) => {
    asked++;
    return i === 1 ? tailCall(jumps) : 8;
  };
  using library = dlopen(testBodies, {
    ...jumping,
    catches_again: {
      parameters: [{ callback: { parameters: ["i32"], result: "i32", stop } }],
      result: "i32",
    },
  });
  const { catches_again, jumps } = library.symbols;
  for (const _ of catches_again.calls()) break;
  // f(1) has jumped to where f(2) is called.
  assertEquals(asked, 2);
});

Deno.test("a tail call that C never comes to is forgotten", () => {
  using library = openBodies();
  const { ask_three, asked, use_up, with_destructor, destructor_count, call_n } = library.symbols;
  // The call is left: C is told its stop.
  for (const { reply } of ask_three.calls()) {
    reply(tailCall(use_up, 5));
    break;
  }
  assertEquals(asked(), 777);
  // The frames of C are unwound.
  const before = destructor_count();
  for (const { reply } of with_destructor.calls()) {
    reply(tailCall(use_up, 5));
    break;
  }
  assertEquals(destructor_count(), before + 1);
  for (let i = 0; i < 3; i++) assertEquals(call_n(2, () => 1), 2);
});

Deno.test("tailCall() checks what it is given, at once", () => {
  using library = openBodies();
  const { add_six, call_n, mixed, use_up } = library.symbols;
  // deno-lint-ignore no-explicit-any -- what a program without types can pass
  const make = (...args: any[]) => () => Reflect.apply(tailCall, undefined, args);
  for (const value of [undefined, null, 1, "f", {}, () => 1]) {
    assertThrows(make(value), TypeError, "tailCall() takes a function that dlopen has given");
  }
  assertThrows(make(use_up), TypeError, "Cannot call use_up: it takes 1 argument here: got 0");
  assertThrows(make(use_up, "1"), TypeError, "Cannot call use_up: argument 0 must be an integer");
  assertThrows(make(use_up, 2 ** 31), RangeError, "Cannot call use_up: argument 0 must be an");
  assertThrows(make(add_six, 1, 1, 1, 1, 1, "1"), TypeError, "Cannot call add_six: argument 5");
  assertThrows(
    make(mixed, () => 1, ...MIXED.map(() => 0)),
    TypeError,
    "Cannot call mixed in place of a callback:",
  );
  const error = assertThrows(make(call_n, 1, () => 1), TypeError);
  assertStringIncludes(
    error.message,
    "Cannot call call_n: argument 1 must be a Callback, since C goes on with the handlers of the " +
      "call that waits: got a function",
  );
});

Deno.test("a tail call into a library that has been closed is refused, and C is ended", () => {
  using library = openBodies();
  const { with_destructor, destructor_count } = library.symbols;
  const before = destructor_count();
  const error = assertThrows(() =>
    with_destructor(() => {
      using other = openBodies();
      return tailCall(other.symbols.use_up, 1);
    })
  );
  assertStringIncludes((error as Error).message, "has been closed; open it again");
  assertEquals(destructor_count(), before + 1);
});

Deno.test("a tail call that comes when its call has ended reaches no other call", async () => {
  const first = openBodies();
  using second = openBodies();
  const late = Promise.withResolvers<TailCall>();
  const ended = first.symbols.call_n.async(1, () => late.promise);
  const other = Promise.withResolvers<number>();
  first.close();
  await assertRejects(() => ended, Error, "has been closed");
  // It has the stack, and the mailbox, of the one that has ended.
  const waiting = second.symbols.call_n.async(2, () => other.promise);
  late.resolve(tailCall(second.symbols.use_up, 1000));
  await later(0);
  other.resolve(1);
  assertEquals(await waiting, 2);
});

Deno.test("an argument that throws when it is passed leaves nothing behind", () => {
  using library = openBodies();
  const { call_six, call_n } = dlopen(testBodies, {
    call_six: openedSix,
    call_n: { parameters: ["i32", i32Callback], result: "i32" },
  }).symbols;
  const bytes = new Uint8Array(8);
  const { sum_buffer } = library.symbols;
  assertThrows(
    () =>
      call_six(() => {
        const answer = tailCall(sum_buffer, bytes, 8);
        structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
        return answer;
      }),
    TypeError,
    "Cannot call sum_buffer: argument 0",
  );
  assertEquals(call_n(2, () => 1), 2);
});

Deno.test("a TailCall says which function it calls, and cannot be changed", () => {
  using library = openBodies();
  const answer = tailCall(library.symbols.use_up, 1);
  assertStrictEquals(answer.function, "use_up");
  assertEquals(Object.isFrozen(answer), true);
});
