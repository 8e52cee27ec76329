// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Strings and buffers that handlers answer with: C may use the last 16 of each callback, and none
 * is held for longer. `ffi/value/kept.ts` says why.
 */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { dlopen } from "../../mod.ts";
import { gc, testBodies } from "../support/support.ts";

/** `sum_answers`, with answers of one type. */
const open = <const Result extends "buffer" | "cstring">(result: Result) => {
  const parameters = ["i32", { callback: { parameters: ["i32"], result } }] as const;
  return dlopen(testBodies, {
    sum_answers: { parameters, result: "u64" },
    sum_elsewhere: { name: "sum_answers", parameters, result: "u64", nonblocking: true },
  });
};

/** What C makes of `n` answers, if it finds each in its place. */
function expected(n: number, byteOf: (i: number) => number): bigint {
  let sum = 0;
  for (let i = 0; i < n; i++) {
    for (let k = Math.max(0, i - 15); k <= i; k++) sum += byteOf(k);
  }
  return BigInt(sum);
}

const lines = (): number => Deno.readTextFileSync("/proc/self/maps").split("\n").length;
const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve));

Deno.test("C finds the last 16 buffers of a handler's answers, in each form", async () => {
  using library = open("buffer");
  const { sum_answers, sum_elsewhere } = library.symbols;
  const answer = (i: number): Uint8Array<ArrayBuffer> => {
    if (i % 100 === 99) gc();
    return new Uint8Array(i % 3 === 0 ? 10 : 5000).fill(i % 251);
  };
  const sum = expected(300, (i) => i % 251);
  assertEquals(sum_answers(300, answer), sum);
  assertEquals(await sum_answers.async(300, (i) => Promise.resolve(answer(i))), sum);
  assertEquals(await sum_elsewhere(300, answer), sum);
  using pulled = sum_answers.calls(300);
  let result = pulled.next();
  for (; !result.done; result = pulled.next()) {
    const { args: [i], reply } = result.value;
    // Only one reaches C: what is refused is not among the 16.
    for (let k = 0; k < 20; k++) {
      assertThrows(() => reply(5 as never), TypeError, "Cannot answer sum_answers");
    }
    reply(answer(i));
    assertThrows(() => reply(new Uint8Array(5000)), Error, "has an answer already");
  }
  assertEquals(result.value, sum);
});

Deno.test("C finds the last 16 strings of a handler's answers, in each form", async () => {
  using library = open("cstring");
  const { sum_answers, sum_elsewhere } = library.symbols;
  const answer = (i: number): string => {
    if (i % 500 === 499) gc();
    return String.fromCharCode(32 + i % 90) + "ü".repeat(i % 700);
  };
  const sum = expected(1500, (i) => 32 + i % 90);
  assertEquals(sum_answers(1500, answer), sum);
  assertEquals(await sum_answers.async(1500, (i) => Promise.resolve(answer(i))), sum);
  assertEquals(await sum_elsewhere(1500, answer), sum);
  using pulled = sum_answers.calls(1500);
  let result = pulled.next();
  for (; !result.done; result = pulled.next()) result.value.reply(answer(result.value.args[0]));
  assertEquals(result.value, sum);
});

Deno.test("answers that C may no longer use are let go while the call runs", async () => {
  using library = open("buffer");
  const { sum_answers, sum_elsewhere } = library.symbols;
  for (const f of [sum_answers.async, sum_elsewhere]) {
    const answers: WeakRef<ArrayBuffer>[] = [];
    const alive = (): number => answers.filter((ref) => ref.deref() !== undefined).length;
    let [counted, mapped] = [0, 0];
    const before = lines();
    await f(1500, async (i) => {
      if (i === 1499) {
        await turn();
        gc();
        [counted, mapped] = [alive(), lines() - before];
      }
      const bytes = new Uint8Array(16 * 1024);
      answers.push(new WeakRef(bytes.buffer));
      return bytes;
    });
    assert(counted >= 15 && counted <= 17, `${counted} of 1,499 are held`);
    assert(mapped < 60, `${mapped} more mappings`);
    await turn();
    gc();
    assertEquals(alive(), 0);
  }
});

Deno.test("strings that C may no longer use are let go while the call runs", async () => {
  using library = open("cstring");
  const { sum_answers, sum_elsewhere } = library.symbols;
  const text = "x".repeat(2000);
  let external = 0;
  sum_answers(20_000, (i) => {
    if (i === 100) external = Deno.memoryUsage().external;
    else if (i === 19_999) external = Deno.memoryUsage().external - external;
    return text;
  });
  assert(external < 1_000_000, `${external} bytes more`);
  const before = lines();
  let mapped = 0;
  await sum_elsewhere(1000, (i) => {
    if (i === 999) mapped = lines() - before;
    return text;
  });
  assert(mapped < 60, `${mapped} more mappings`);
});

Deno.test("an argument is let go when its call has ended", async () => {
  using library = dlopen(testBodies, {
    sum_buffer: { parameters: ["buffer", "usize"], result: "u64" },
  });
  const refs = [1, 2].map((size) => {
    const bytes = new Uint8Array(size * 1000).fill(size);
    assertEquals(library.symbols.sum_buffer(bytes, size), BigInt(size * size));
    return new WeakRef(bytes.buffer);
  });
  await turn();
  gc();
  assertEquals(refs.map((ref) => ref.deref()), [undefined, undefined]);
});

Deno.test("a transferred answer is an error while C may use it, and none later", async () => {
  using library = open("buffer");
  const { sum_answers, sum_elsewhere } = library.symbols;
  // `later` answers after the first, that one is transferred.
  const handler = (later: number) => {
    const first = new Uint8Array(100);
    return (i: number): Uint8Array<ArrayBuffer> => {
      if (i === later) first.buffer.transfer();
      return i === 0 ? first : new Uint8Array(100);
    };
  };
  const said = "a buffer that a handler has answered was detached while C was using it";
  for (const later of [1, 15]) {
    assertThrows(() => sum_answers(30, handler(later)), TypeError, said);
    await assertRejects(() => sum_answers.async(30, handler(later)), TypeError, said);
    await assertRejects(() => sum_elsewhere(30, handler(later)), TypeError, said);
  }
  assertEquals(sum_answers(30, handler(16)), 0n);
  assertEquals(await sum_answers.async(30, handler(16)), 0n);
  assertEquals(await sum_elsewhere(30, handler(16)), 0n);
});
