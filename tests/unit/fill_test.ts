// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** `generator.fill(array)`: as many outputs as an array holds, by one call of native code. */

import { assertEquals, assertThrows } from "@std/assert";
import {
  dlopen,
  type FilledArray,
  Generator,
  type NativeBody,
  OsStack,
  OwnedStack,
} from "../../mod.ts";
import { exampleBodies, testBodies } from "../support/support.ts";

const counts = {
  counts: { input: "void", output: "u32" },
  counts_i32: { input: "void", output: "i32" },
  counts_u16: { input: "void", output: "u16" },
  counts_i64: { input: "void", output: "i64" },
  counts_f64: { input: "void", output: "f64" },
} as const;

Deno.test("fill() writes the outputs of each type, as resume() gives them", () => {
  using library = dlopen(testBodies, counts);
  const { symbols } = library;
  const cases: [NativeBody<void, number | bigint>, FilledArray][] = [
    [symbols.counts, new Uint32Array(3)],
    [symbols.counts_i32, new Int32Array(3)],
    [symbols.counts_u16, new Uint16Array(3)],
    [symbols.counts_i64, new BigInt64Array(3)],
    [symbols.counts_f64, new Float64Array(3)],
  ];
  const numbers = (array: FilledArray): number[] =>
    Array.from<number | bigint, number>(array, Number);
  for (const [body, array] of cases) {
    for (const stack of [new OsStack(), new OwnedStack(64 * 1024)]) {
      using generator = Generator.unguarded<void, number | bigint>(stack, body);
      assertEquals(Number(generator.resume()), 1);
      assertEquals(generator.fill(array), 3);
      assertEquals(numbers(array), [2, 3, 4]);
      assertEquals(Number(generator.resume()), 5);
      assertEquals(generator.fill(array.subarray(1, 2)), 1);
      assertEquals(numbers(array), [2, 6, 4], "a part, and nothing beside it");
      assertEquals(generator.fill(array.subarray(0, 0)), 0);
      assertEquals(Number(generator.next().value), 7, "nothing was lost");
    }
  }
});

Deno.test("fill() takes the low bits of small types and bools, and pointers as addresses", () => {
  using library = dlopen(testBodies, {
    counts_i8: { name: "counts", input: "void", output: "i8" },
    counts_bool: { name: "counts", input: "void", output: "bool" },
    counts_pointer: { name: "counts_i64", input: "void", output: "pointer" },
  });
  const { counts_i8, counts_bool, counts_pointer } = library.symbols;
  using small = new Generator(new OsStack(), counts_i8);
  const bytes = new Int8Array(200);
  assertEquals(small.fill(bytes), 200);
  assertEquals([bytes[0], bytes[126], bytes[127], bytes[199]], [1, 127, -128, -56]);
  using bools = new Generator(new OsStack(), counts_bool);
  const truth = new Uint8Array(1);
  assertEquals([bools.fill(truth), truth[0]], [1, 1]);
  using pointers = new Generator(new OsStack(), counts_pointer);
  const addresses = new BigUint64Array(3);
  assertEquals([pointers.fill(addresses), ...addresses], [3, 1n, 2n, 3n]);
});

Deno.test("fill() lets no rounding mode of a body into JavaScript, and the body keeps it", () => {
  using library = dlopen(testBodies, { rounds_up_later: { input: "void", output: "i32" } });
  // By way of variables, so that no compiler has computed it before.
  const [one, tiny] = [1, 1e-30].map((n) => n * Number("1"));
  const isNearest = () => one! + tiny! === 1 && one! - tiny! === 1;
  // The mode changes in an array, which is then full, or which the body ends in; or before it.
  for (const lengths of [[4, 9], [9], [2, 1, 9], [3, 3, 1]]) {
    using generator = new Generator(new OsStack(), library.symbols.rounds_up_later);
    const given: number[] = [];
    for (const length of lengths) {
      const array = new Int32Array(length);
      given.push(...array.subarray(0, generator.fill(array)));
      assertEquals(isNearest(), true, `${lengths}: ${given}`);
    }
    assertEquals(given, [1, 2, 3, 4, 5, 6], `${lengths}`);
    assertEquals(generator.state, "unavailable");
  }
});

Deno.test("fill() begins a body, stops where it returns, and gives nothing then", () => {
  using library = dlopen(exampleBodies, { count: { input: "void", output: "i32" } });
  const stack = new OsStack();
  const generator = new Generator(stack, library.symbols.count);
  const array = new Int32Array(5).fill(9);
  assertEquals(generator.fill(array), 3);
  assertEquals([...array], [1, 2, 3, 9, 9]);
  assertEquals([generator.fill(array), generator.state], [0, "unavailable"]);
  assertEquals([...array], [1, 2, 3, 9, 9]);
  assertEquals(generator.unwrap(), stack);
  stack[Symbol.dispose]();
});

Deno.test("fill() throws the overflow that resume() does, and keeps what came before", () => {
  using library = dlopen(testBodies, { overflows: { input: "void", output: "i32" } });
  using generator = new Generator(
    new OsStack(64 * 1024, { overflow: "throw" }),
    library.symbols.overflows,
  );
  const array = new Int32Array(4);
  assertThrows(() => generator.fill(array), RangeError, "stack");
  assertEquals([...array], [1, 0, 0, 0]);
  assertThrows(() => generator.fill(array), Error, "its body has failed");
});

Deno.test("fill() refuses what it cannot fill, and the body has not been touched", () => {
  using library = dlopen(testBodies, {
    ...counts,
    echo_u32: { input: "u32", output: "u32" },
    echo_void: { input: "void", output: "void" },
  });
  const { symbols } = library;
  using generator = new Generator(new OsStack(), symbols.counts_i32);
  const shared = new Int32Array(new SharedArrayBuffer(8)) as unknown as FilledArray;
  const gone = new Int32Array(2);
  structuredClone(gone, { transfer: [gone.buffer] });
  const resizable = new Int32Array(new ArrayBuffer(8, { maxByteLength: 16 }));
  for (
    const [array, words] of [
      [new Uint32Array(2), "it must be of class Int32Array, as the outputs are of type i32: got"],
      [[1, 2], "as the outputs are of type i32: got an object of class Array"],
      [null, "as the outputs are of type i32: got null"],
      [new DataView(new ArrayBuffer(8)), "must be of class Int32Array"],
      [shared, "must not be over shared memory"],
      [gone, "must be attached"],
      [resizable, "must have a fixed length"],
    ] as const
  ) {
    assertThrows(() => generator.fill(array as FilledArray), TypeError, `Cannot fill array: `);
    assertThrows(() => generator.fill(array as FilledArray), TypeError, words);
  }
  assertEquals(generator.resume(), 1);
  const array = new Uint32Array(2);
  using echo = new Generator(new OsStack(), symbols.echo_u32);
  // @ts-expect-error a body with an input needs one each time
  assertThrows(() => echo.fill(array), TypeError, "takes an input of type u32 each time");
  using nothing = new Generator(new OsStack(), symbols.echo_void);
  assertThrows(() => nothing.fill(array), TypeError, "the body gives no values");
  using script = new Generator(new OsStack(), function* () {
    yield 1;
  });
  assertThrows(() => script.fill(array), TypeError, "the body is TypeScript");
  library.close();
  assertThrows(() => generator.fill(new Int32Array(2)), Error, "has been closed");
});
