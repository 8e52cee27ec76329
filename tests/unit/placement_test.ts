// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** Where each ABI has arguments, those of machines that the tests do not run on, too. */

import { assertEquals } from "@std/assert";
import { type Convention, type Parameter, placementOf } from "../../ffi/call/placement.ts";
import { ARGUMENT_REGISTERS, Mailbox } from "../../ffi/layout.ts";
import { arrange, type Arrangement, type Shape } from "../../ffi/value/shape.ts";
import { typeOf } from "../../ffi/value/type.ts";

const registers = { integers: Mailbox.integers, floats: Mailbox.floats };
const x86_64: Convention = { ...ARGUMENT_REGISTERS.x86_64, isPacked: false };
const aarch64: Convention = { ...ARGUMENT_REGISTERS.aarch64, isPacked: false };
const apple: Convention = { ...ARGUMENT_REGISTERS.aarch64, isPacked: true };

/** The place of each argument: int0, flt0, …, or stack+0, …; and behind them the count of words. */
function placed(convention: Convention, parameters: readonly string[], fixed?: number): string {
  const { offsets, stackCount } = placementOf(parameters, registers, convention, fixed);
  const places = offsets.map((offset) => {
    if (offset >= Mailbox.stack) return `stack+${offset - Mailbox.stack}`;
    if (offset >= Mailbox.floats) return `flt${(offset - Mailbox.floats) / 8}`;
    return `int${(offset - Mailbox.integers) / 8}`;
  });
  return `${places.join(" ")} | ${stackCount}`;
}

const eight = Array<string>(8).fill("i64");

Deno.test("placementOf counts the registers of each kind", () => {
  const parameters = ["i32", "f64", "pointer", "f32", "bool"];
  for (const convention of [x86_64, aarch64, apple]) {
    assertEquals(placed(convention, parameters), "int0 flt0 int1 flt1 int2 | 0");
  }
  assertEquals(placed(x86_64, eight), "int0 int1 int2 int3 int4 int5 stack+0 stack+8 | 2");
  assertEquals(placed(aarch64, eight), "int0 int1 int2 int3 int4 int5 int6 int7 | 0");
});

Deno.test("placementOf gives each argument on the stack a word, but Apple packs them", () => {
  const behind = (convention: Convention, ...parameters: string[]): string => {
    const all = [...eight, ...Array<string>(8).fill("f64"), ...parameters];
    return placed(convention, all).split(" ").slice(16).join(" ");
  };
  const parameters = ["i8", "bool", "i16", "f32", "u8", "i64", "u32", "f64"];
  assertEquals(
    behind(aarch64, ...parameters),
    "stack+0 stack+8 stack+16 stack+24 stack+32 stack+40 stack+48 stack+56 | 8",
  );
  assertEquals(
    behind(apple, ...parameters),
    "stack+0 stack+1 stack+2 stack+4 stack+8 stack+16 stack+24 stack+32 | 5",
  );
});

Deno.test("placementOf leaves room for the extension of the last small integer", () => {
  const bytes = (count: number): string => placed(apple, [...eight, ...Array(count).fill("u8")]);
  assertEquals(bytes(5).split(" | ")[1], "1");
  assertEquals(bytes(6).split(" | ")[1], "2");
});

Deno.test("placementOf puts what is behind the dots on the stack, in words, for Apple", () => {
  const parameters = ["buffer", "usize", "cstring", "i32", "f64", "cstring"];
  assertEquals(placed(x86_64, parameters, 3), "int0 int1 int2 int3 flt0 int4 | 0");
  assertEquals(placed(aarch64, parameters, 3), "int0 int1 int2 int3 flt0 int4 | 0");
  assertEquals(placed(apple, parameters, 3), "int0 int1 int2 stack+0 stack+8 stack+16 | 3");
});

const struct = (types: readonly string[], arrangement?: Arrangement): Shape =>
  arrange(types.map((type) => ({ of: typeOf(type) })), arrangement);

/** The place of each piece of each argument, and the count of words. */
function pieces(
  convention: Convention,
  parameters: readonly Parameter[],
  fixed?: number,
  isFirstTaken?: boolean,
): string {
  const { spots, offsets, stackCount } = placementOf(
    parameters,
    registers,
    convention,
    fixed,
    isFirstTaken,
  );
  const name = (offset: number): string => {
    if (offset >= Mailbox.stack) return `stack+${offset - Mailbox.stack}`;
    if (offset >= Mailbox.floats) return `flt${(offset - Mailbox.floats) / 8}`;
    return `int${(offset - Mailbox.integers) / 8}`;
  };
  const places = spots.map((spot, i) =>
    spot === undefined
      ? name(offsets[i]!)
      : (spot.isByAddress ? "&" : "") + spot.pieces.map(({ at }) => name(at)).join("&")
  );
  return `${places.join(" ")} | ${stackCount}`;
}

const pair = struct(["i64", "i64"]);
const mixed = struct(["i32", "f64"]);
const points = struct(["f32", "f32", "f32"]);
const large = struct(["i64", "i64", "i64"]);
const wide = struct(["i64", "i64"], { alignment: 16 });
const outer = arrange([{ of: wide }]);

Deno.test("placementOf has a struct in registers as a whole, or not at all", () => {
  const five = Array<string>(5).fill("i32");
  // A later argument takes what the struct has left free; AAPCS64 has none do so.
  assertEquals(
    pieces(x86_64, [...five, pair, "i32", mixed]).split(" ").slice(5).join(" "),
    "stack+0 int5 stack+16 | 4",
  );
  assertEquals(
    pieces(aarch64, [...five, "i32", "i32", pair, "i32", mixed]).split(" ").slice(7).join(" "),
    "stack+0 stack+16 stack+24 | 5",
  );
  const floats = Array<string>(7).fill("f64");
  assertEquals(
    pieces(x86_64, [...floats, points, "f64"]).split(" ").slice(7).join(" "),
    "stack+0 flt7 | 2",
  );
  assertEquals(
    pieces(aarch64, [...floats, points, "f64"]).split(" ").slice(7).join(" "),
    "stack+0 stack+16 | 3",
  );
  assertEquals(pieces(x86_64, [mixed, points, pair]), "int0&flt0 flt1&flt2 int1&int2 | 0");
  assertEquals(pieces(aarch64, [mixed, points, pair]), "int0&int1 flt0&flt1&flt2 int2&int3 | 0");
});

Deno.test("placementOf has a large struct on the stack, or its address in a register", () => {
  assertEquals(pieces(x86_64, ["i32", large, "i32"]), "int0 stack+0 int1 | 3");
  assertEquals(pieces(aarch64, ["i32", large, "i32"]), "int0 &int1 int2 | 0");
  const eight = Array<string>(8).fill("i32");
  assertEquals(
    pieces(aarch64, [...eight, "i32", large]).split(" ").slice(8).join(" "),
    "stack+0 &stack+8 | 2",
  );
});

Deno.test("placementOf aligns what is aligned to more than a word", () => {
  const six = Array<string>(6).fill("i32");
  assertEquals(
    pieces(x86_64, [...six, "i32", wide]).split(" ").slice(6).join(" "),
    "stack+0 stack+16 | 4",
  );
  // By its parts, not by what is said of the whole; then it begins at an even register.
  assertEquals(pieces(aarch64, ["i32", wide]), "int0 int1&int2 | 0");
  assertEquals(pieces(aarch64, ["i32", outer, "i32"]), "int0 int2&int3 int4 | 0");
  const eight = Array<string>(8).fill("i32");
  assertEquals(
    pieces(aarch64, [...eight, "i32", outer]).split(" ").slice(8).join(" "),
    "stack+0 stack+16 | 4",
  );
});

Deno.test("placementOf leaves the first register to the address of the result", () => {
  assertEquals(pieces(x86_64, ["i32", mixed], undefined, true), "int1 int2&flt0 | 0");
});

Deno.test("placementOf packs structs of floats for Apple, and others in words", () => {
  const eight = Array<string>(8).fill("f64");
  assertEquals(
    pieces(apple, [...eight, "f32", points, "f32"]).split(" ").slice(8).join(" "),
    "stack+0 stack+4 stack+16 | 3",
  );
  const integers = Array<string>(8).fill("i64");
  assertEquals(
    pieces(apple, [...integers, "u8", pair, "u8"]).split(" ").slice(8).join(" "),
    "stack+0 stack+8 stack+24 | 4",
  );
  // Behind the dots, all are in words of the stack.
  assertEquals(
    pieces(apple, ["i32", points, large, pair], 1),
    "int0 stack+0 &stack+16 stack+24 | 5",
  );
});
