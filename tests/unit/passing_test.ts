// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** What messages call structs; the rest is in tests/behaviour/struct_call_test.ts. */

import { assertEquals } from "@std/assert";
import { PointerView } from "../../mod.ts";
import { argumentAt, keptIn, nameOf } from "../../ffi/call/passing.ts";
import { Kept } from "../../ffi/value/kept.ts";
import { arrange, type Arrangement, type Part, type Shape } from "../../ffi/value/shape.ts";
import { typeOf } from "../../ffi/value/type.ts";

const part = (type: string, count?: number): Part =>
  count === undefined ? { of: typeOf(type) } : { of: typeOf(type), count };

function named(parts: readonly Part[], arrangement?: Arrangement): string {
  return nameOf(arrange(parts, arrangement));
}

Deno.test("nameOf tells structs apart that are not one to C", () => {
  const parts = [part("u8"), part("i32"), part("f64", 2)];
  const inner: Part = { of: arrange(parts, { pack: 1 }) };
  assertEquals(
    [
      named(parts),
      named(parts, { pack: 1 }),
      named(parts, { alignment: 32 }),
      named(parts, { isUnion: true }),
      named([inner, part("u8")]),
    ],
    [
      "struct { u8, i32, f64[2] }",
      "struct { 0: u8, 1: i32, 5: f64[2] } of 21 bytes, aligned to 1",
      "struct { 0: u8, 4: i32, 8: f64[2] } of 32 bytes, aligned to 32",
      "struct { 0: u8, 0: i32, 0: f64[2] } of 16 bytes, aligned to 8",
      "struct { struct { 0: u8, 1: i32, 5: f64[2] } of 21 bytes, aligned to 1, u8 }",
    ],
  );
});

Deno.test("keptIn counts what C gets the addresses of", () => {
  const inner: Shape = arrange([part("cstring", 2), part("buffer"), part("pointer")]);
  const outer = arrange([{ of: inner, count: 3 }, part("cstring"), part("i32")]);
  assertEquals([keptIn(outer, ["cstring", "buffer"]), keptIn(outer, ["buffer"])], [10, 3]);
});

Deno.test("a call has what pointers in its structs lead to, however they are written", () => {
  const field = (name: string, type: string): Part => ({ name, of: typeOf(type) });
  const flat = arrange([field("at", "pointer"), field("count", "i64")]);
  const nested = arrange([{ name: "inner", of: flat }, field("kind", "u8")]);
  class Spy extends Kept {
    readonly held: unknown[] = [];
    override keepAt(_position: number, value: unknown): void {
      this.held.push(value);
    }
  }
  const at = PointerView.of(new Uint8Array(8)).pointer;
  const value = { at, count: 1n };
  for (const [shape, given] of [[flat, value], [nested, { inner: value, kind: 1 }]] as const) {
    const spy = new Spy();
    const pieces = [{ at: 0, from: 0, size: shape.size }];
    const type = argumentAt(shape, { pieces, isByAddress: false });
    type.passing.write(new DataView(new ArrayBuffer(64)), given, "Cannot test", spy);
    assertEquals(spy.held, [at]);
  }
});
