// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Calls of so many callbacks that the loop which answers them is begun anew, in the forms that have
 * it: `f()`, and `f.async()` where handlers give no Promise.
 */

import { assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import { MANY } from "../../ffi/call/answer_many.ts";
import {
  Callback,
  dlopen,
  Generator,
  OsStack,
  tailCall,
  type VariadicArguments,
} from "../../mod.ts";
import { openBodies, testBodies } from "../support/support.ts";

/** Where something is done differently: on each side of where the loop is left, and later. */
const PLACES = [0, 1, MANY - 1, MANY, MANY + 1, MANY + 2, 2 * MANY, 2 * MANY + 1, 3 * MANY + 7];
const LAST = 3 * MANY + 10;
const SUM = LAST * (LAST - 1) / 2;

Deno.test("each callback is answered once, however many there are", async () => {
  using library = openBodies();
  const { call_n } = library.symbols;
  for (const n of [...PLACES, LAST]) {
    const asked: number[] = [];
    const handler = (i: number): number => asked.push(i) - 1;
    const sum = (n * n - n) / 2;
    assertEquals([call_n(n, handler), asked.length], [sum, n]);
    assertEquals([await call_n.async(n, handler), asked.length], [sum + n * n, 2 * n]);
  }
});

Deno.test("a Promise is awaited wherever it comes, and other handlers answer at once", async () => {
  using library = openBodies();
  const { call_n } = library.symbols;
  for (const place of PLACES) {
    let turns = 0;
    const sum = await call_n.async(LAST, (i) => {
      if (i === place) queueMicrotask(() => turns++);
      return i === place ? Promise.resolve(i) : i;
    });
    assertEquals([sum, turns], [SUM, 1]);
  }
  // One that looks like a Promise, and is a function.
  const like = Object.assign(() => {}, { then: (resolve: (i: number) => void) => resolve(5) });
  const answers = (i: number) => i === 2 * MANY ? like as unknown as Promise<number> : i;
  assertEquals(await call_n.async(LAST, answers), SUM - 2 * MANY + 5);
});

Deno.test("Promises time and again between what is none", async () => {
  using library = openBodies();
  const isAwaited = (i: number): boolean => i % (MANY + 3) === 0 || i % (MANY + 2) === MANY;
  const handler = (i: number) => isAwaited(i) ? Promise.resolve(i) : i;
  assertEquals(await library.symbols.call_n.async(LAST, handler), SUM);
});

Deno.test("a handler that throws, or answers what is refused, ends the call wherever", async () => {
  using library = openBodies();
  const { call_n, with_destructor, destructor_count } = library.symbols;
  const error = new Error("on purpose");
  for (const place of PLACES) {
    const fail = (i: number): number => {
      if (i === place) throw error;
      return i;
    };
    assertStrictEquals(assertThrows(() => call_n(LAST, fail)), error);
    assertStrictEquals(await assertRejects(() => call_n.async(LAST, fail)), error);
    const refused = (i: number) => i === place ? "five" as unknown as number : i;
    assertThrows(() => call_n(LAST, refused), TypeError, "must be an integer");
    await assertRejects(() => call_n.async(LAST, refused), TypeError, "must be an integer");
    const promised = (i: number) => i === place ? Promise.resolve(i) as unknown as number : i;
    assertThrows(() => call_n(LAST, promised), TypeError, "is a Promise");
    const generator = (i: number) => i === place ? (function* () {})() as unknown as number : i;
    await assertRejects(() => call_n.async(LAST, generator), TypeError, "is a generator");
  }
  const before = destructor_count();
  assertEquals([with_destructor(() => 5), destructor_count()], [5, before + 1]);
});

Deno.test("a signal, and the library's end, end the call wherever they come", async () => {
  for (const place of PLACES) {
    using library = openBodies();
    const { call_n } = library.symbols;
    const controller = new AbortController();
    const asked: number[] = [];
    const abort = (i: number): number => {
      if (i === place) controller.abort("enough");
      return asked.push(i);
    };
    const call = call_n.async(LAST, abort, { signal: controller.signal });
    assertEquals(await call.catch((reason) => reason), "enough");
    assertEquals(asked.length, place + 1);
    const close = (i: number): number => {
      if (i === place) library.close();
      return i;
    };
    await assertRejects(() => call_n.async(LAST, close), Error, "has been closed");
    using other = openBodies();
    const closeOther = (i: number): number => {
      if (i === place) other.close();
      return i;
    };
    assertThrows(() => other.symbols.call_n(LAST, closeOther), Error, "has been closed");
  }
});

Deno.test("calls within calls, and tail calls, wherever they come", async () => {
  using library = openBodies();
  const { call_n, add_six } = library.symbols;
  for (const place of PLACES) {
    const within = (i: number): number => i === place ? call_n(LAST, (i) => i) - SUM + i : i;
    assertEquals(call_n(LAST, within), SUM);
    assertEquals(await call_n.async(LAST, within), SUM);
    const tail = (i: number) => i === place ? tailCall(add_six, 1, 2, 3, 4, 5, 6) : i;
    assertEquals(call_n(LAST, tail), SUM - place + 21);
    assertEquals(await call_n.async(LAST, tail), SUM - place + 21);
  }
});

Deno.test("a call of yielder.call() without its star is no answer, wherever it comes", async () => {
  using library = openBodies();
  const { call_n } = library.symbols;
  for (const place of PLACES) {
    let call: Promise<number> | undefined;
    using generator = new Generator(new OsStack(), function* (yielder) {
      const forgotten = (i: number) =>
        i === place ? yielder.call(call_n, 1, (i) => i) as unknown as number : i;
      assertThrows(() => call_n(LAST, forgotten), TypeError, "that has not begun");
      call = call_n.async(LAST, forgotten);
      yield "";
    });
    generator.resume();
    await assertRejects(() => call!, TypeError, "that has not begun");
  }
});

Deno.test("what belongs to a callback stays while its Promise is awaited", async () => {
  const variadic = { parameters: ["cstring"], result: "i32", variadic: true } as const;
  using library = dlopen(testBodies, {
    call_variadic: { parameters: [{ callback: variadic }, "i32"], result: "i32" },
    call_n: { parameters: ["i32", "function"], result: "i32" },
  });
  const { call_variadic, call_n } = library.symbols;
  for (const n of [1, MANY, MANY + 1, MANY + 2]) {
    const sum = (n * n - n) / 2;
    let left = n;
    const later = async (rest: VariadicArguments): Promise<number> => {
      await undefined;
      return rest.next("i32");
    };
    const answer = (_: string | null, rest: VariadicArguments) =>
      --left > 0 ? rest.next("i32") : later(rest);
    assertEquals(await call_variadic.async(answer, -n), sum);
    using callback = new Callback({ parameters: ["i32"], result: "i32" }, (i) => {
      if (i < n - 1) return i;
      callback.close();
      return Promise.resolve(i);
    });
    assertEquals(await call_n.async(n, callback), sum);
    using other = openBodies();
    const call = other.symbols.call_n.async(n, (i) => {
      if (i < n - 1) return i;
      other.close();
      return Promise.reject(new Error("which nobody waits for"));
    });
    await assertRejects(() => call, Error, "has been closed");
  }
});

Deno.test("a `then` is looked at once more to be awaited, wherever it comes", async () => {
  using library = openBodies();
  const seen = new Set<number>();
  for (const place of PLACES) {
    let times = 0;
    const thenable = {
      get then() {
        times++;
        return (resolve: (i: number) => void) => resolve(place);
      },
    };
    const answers = (i: number) => i === place ? thenable as unknown as Promise<number> : i;
    assertEquals(await library.symbols.call_n.async(LAST, answers), SUM);
    seen.add(times);
  }
  assertEquals([...seen], [2]);
});
