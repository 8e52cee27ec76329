// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** The ways in and out of a slot; generator_test.ts and sync_test.ts go through C. */

import { assertEquals, assertThrows } from "@std/assert";
import { SCALAR_TYPES, typeOf, VALUE_TYPES, VOID } from "../../ffi/value/type.ts";
import { read, write } from "../../ffi/value/value.ts";

const slot = () => new DataView(new ArrayBuffer(8));

Deno.test("write() and read() keep every number, in every type that has it", () => {
  const bounds: Readonly<Record<string, readonly [number | bigint, number | bigint]>> = {
    i8: [-128, 127],
    u8: [0, 255],
    i16: [-32768, 32767],
    u16: [0, 65535],
    i32: [-(2 ** 31), 2 ** 31 - 1],
    u32: [0, 2 ** 32 - 1],
    i64: [-(2n ** 63n), 2n ** 63n - 1n],
    u64: [0n, 2n ** 64n - 1n],
    isize: [-(2n ** 63n), 2n ** 63n - 1n],
    usize: [0n, 2n ** 64n - 1n],
  };
  for (const [type, [minimum, maximum]] of Object.entries(bounds)) {
    for (const value of [minimum, maximum]) {
      const view = slot();
      assertEquals(write(view, 0, typeOf(type), value, "Cannot"), undefined);
      assertEquals(read(view, 0, typeOf(type)), value, type);
    }
    const big = typeof minimum === "bigint";
    const below = big ? minimum - 1n : minimum - 1;
    const above = typeof maximum === "bigint" ? maximum + 1n : maximum + 1;
    for (const value of [below, above]) {
      assertThrows(
        () => write(slot(), 0, typeOf(type), value, "Cannot"),
        RangeError,
        `Cannot must be an integer from ${minimum} to ${maximum} (${type}): got ${value}`,
      );
    }
  }
});

Deno.test("write() extends small integers to 32 bits, as compilers expect of a caller", () => {
  const cases = [["i8", -1, 0xffffffff], ["u8", 255, 255], ["i16", -2, 0xfffffffe]] as const;
  for (const [type, value, word] of cases) {
    const view = slot();
    write(view, 0, typeOf(type), value, "Cannot");
    assertEquals(view.getUint32(0, true), word);
  }
});

Deno.test("read() ignores the bits beyond a type, which the ABI leaves undefined", () => {
  const view = slot();
  view.setBigUint64(0, 0xfedcba98_76543280n, true);
  const seen = ["bool", "i8", "u8", "i16", "u16", "i32", "u32"].map((type) =>
    read(view, 0, typeOf(type))
  );
  assertEquals(seen, [true, -128, 0x80, 0x3280, 0x3280, 0x76543280, 0x76543280]);
  view.setBigUint64(0, 0xffffffff_ffffff00n, true);
  assertEquals(read(view, 0, typeOf("bool")), false);
});

Deno.test("write() takes only booleans for a bool, and only numbers for a float", () => {
  for (const value of [0, 1, "true", null, undefined]) {
    assertThrows(
      () => write(slot(), 0, typeOf("bool"), value, "Cannot"),
      TypeError,
      "must be a boolean",
    );
  }
  for (const value of [1n, "1", null, undefined, true]) {
    for (const type of ["f32", "f64"]) {
      assertThrows(
        () => write(slot(), 0, typeOf(type), value, "Cannot"),
        TypeError,
        "must be a number",
      );
    }
  }
});

Deno.test("write() takes anything for void, and writes nothing", () => {
  const view = slot();
  assertEquals(write(view, 0, VOID, { any: 1 }, "Cannot"), undefined);
  assertEquals(view.getBigUint64(0), 0n);
  assertEquals(read(view, 0, VOID), undefined);
});

Deno.test("typeOf() knows what travels in a register: integers of at most 32 bits", () => {
  const words = [...SCALAR_TYPES].filter((type) => typeOf(type).kind === "word");
  assertEquals(words, ["bool", "i8", "u8", "i16", "u16", "i32", "u32"]);
  for (const type of ["void", "buffer", "cstring", "function"]) {
    assertEquals(typeOf(type).kind === "word", false);
  }
});

Deno.test("SCALAR_TYPES and VALUE_TYPES differ in what only functions take", () => {
  assertEquals([...SCALAR_TYPES.difference(VALUE_TYPES)], []);
  assertEquals([...VALUE_TYPES.difference(SCALAR_TYPES)], ["function", "buffer", "cstring"]);
});
