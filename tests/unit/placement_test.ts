// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** Where each ABI has arguments, those of machines that the tests do not run on, too. */

import { assertEquals } from "@std/assert";
import { type Convention, placementOf } from "../../ffi/call/placement.ts";
import { ARGUMENT_REGISTERS, Mailbox } from "../../ffi/layout.ts";

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
