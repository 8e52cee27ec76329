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
    char: Deno.build.arch === "aarch64" && Deno.build.os !== "darwin" ? [0, 255] : [-128, 127],
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

Deno.test("integers of 64 bits are numbers, where a definition says so", () => {
  const most = Number.MAX_SAFE_INTEGER;
  const edges = [0, 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 5, 2 ** 52 + 1, most];
  for (const name of ["i64", "u64", "isize", "usize"] as const) {
    const type = typeOf(`${name} as number`);
    const isSigned = name.startsWith("i");
    const view = slot();
    for (const value of [...edges, ...(isSigned ? edges.map((value) => -value) : [])]) {
      for (const given of [value, BigInt(value)]) {
        view.setBigUint64(0, 0x5555_5555_5555_5555n);
        write(view, 0, type, given, "Cannot");
        assertEquals(read(view, 0, typeOf(name)), BigInt(value), `${name} ${value}`);
        assertEquals(read(view, 0, type), value === 0 ? 0 : value);
      }
    }
    // C may be given more than comes back.
    const [minimum, maximum] = isSigned ? [-(2n ** 63n), 2n ** 63n - 1n] : [0n, 2n ** 64n - 1n];
    const beyond = [BigInt(most) + 1n, maximum, ...(isSigned ? [minimum, -BigInt(most) - 1n] : [])];
    for (const value of beyond) {
      write(view, 0, type, value, "Cannot");
      assertEquals(read(view, 0, typeOf(name)), value);
      assertThrows(() => read(view, 0, type), RangeError, `${value}, which C has given, as a num`);
      assertThrows(() => read(view, 0, type), RangeError, `declare the type as "${name}"`);
    }
    for (const value of [minimum - 1n, maximum + 1n]) {
      assertThrows(() => write(view, 0, type, value, "Cannot"), RangeError, "must be an integer");
    }
    const least = isSigned ? -(2 ** 53) : -1;
    for (const value of [least, 0.5, 2 ** 53, NaN, Infinity]) {
      assertThrows(() => write(view, 0, type, value, "Cannot"), RangeError, "must be an integer");
    }
    assertThrows(() => write(view, 0, type, "1", "Cannot"), TypeError, "must be an integer");
    assertEquals(read(view, 0, typeOf(name)), beyond.at(-1), "what was refused is not written");
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
  assertEquals(words, ["bool", "i8", "u8", "char", "i16", "u16", "i32", "u32"]);
  for (const type of ["void", "buffer", "cstring", "function"]) {
    assertEquals(typeOf(type).kind === "word", false);
  }
});

Deno.test("SCALAR_TYPES and VALUE_TYPES differ in what only functions take", () => {
  assertEquals([...SCALAR_TYPES.difference(VALUE_TYPES)], []);
  const others = [...VALUE_TYPES.difference(SCALAR_TYPES)];
  assertEquals(others.filter((type) => !type.endsWith(" as number")), [
    "function",
    "buffer",
    "cstring",
  ]);
  assertEquals(others.length, 7);
});
