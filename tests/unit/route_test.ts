// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** By which way each ABI passes structs, those of machines that the tests do not run on, too. */

import { assertEquals } from "@std/assert";
import { routeOf, type Rules } from "../../ffi/call/route.ts";
import { arrange, type Arrangement, type Shape } from "../../ffi/value/shape.ts";
import { typeOf } from "../../ffi/value/type.ts";

type Element = string | Shape | readonly [string | Shape, number];

function struct(elements: readonly Element[], arrangement: Arrangement = {}): Shape {
  const parts = elements.map((element) => {
    const [of, count] = Array.isArray(element) ? element : [element, undefined];
    const type = typeof of === "string" ? typeOf(of) : of as Shape;
    return count === undefined ? { of: type } : { of: type, count };
  });
  return arrange(parts, arrangement);
}

/** The way, such as "int0 flt8", the bytes that are in each register; or "stack 8", "address". */
function way(shape: Shape, rules: Rules): string {
  const { registers, isByAddress, alignment } = routeOf(shape, rules);
  if (isByAddress) return "address";
  if (registers === undefined) return `stack ${alignment}`;
  const list = registers.map(({ isFloat, from, size }) =>
    `${isFloat ? "flt" : "int"}${from}${size === 8 ? "" : `:${size}`}`
  );
  return alignment > 8 ? `${list.join(" ")} aligned` : list.join(" ");
}

const wide = struct(["i32"], { alignment: 16 });

const cases: readonly (readonly [name: string, Shape, eightbytes: string, aggregates: string])[] = [
  ["an integer", struct(["i32"]), "int0", "int0"],
  ["a pointer", struct(["pointer"]), "int0", "int0"],
  ["a float", struct(["f32"]), "flt0", "flt0:4"],
  ["two floats", struct(["f32", "f32"]), "flt0", "flt0:4 flt4:4"],
  ["an integer and a float", struct(["i32", "f32"]), "int0", "int0"],
  ["integers, then floats", struct(["i32", "f64"]), "int0 flt8", "int0 int8"],
  ["floats, then integers", struct(["f64", "u8"]), "flt0 int8", "int0 int8"],
  ["three floats", struct(["f32", "f32", "f32"]), "flt0 flt8", "flt0:4 flt4:4 flt8:4"],
  ["four doubles", struct([["f64", 4]]), "stack 8", "flt0 flt8 flt16 flt24"],
  ["five floats", struct([["f32", 5]]), "stack 8", "address"],
  ["doubles and a float", struct(["f64", "f64", "f32"]), "stack 8", "address"],
  ["floats of two sizes", struct(["f32", "f64"]), "flt0 flt8", "int0 int8"],
  ["three integers", struct([["i64", 3]]), "stack 8", "address"],
  ["nine bytes", struct([["u8", 9]]), "int0 int8", "int0 int8"],
  [
    "within each other",
    struct([struct(["f32"]), struct([["f32", 2]])]),
    "flt0 flt8",
    "flt0:4 flt4:4 flt8:4",
  ],
  ["a packed struct", struct(["u8", "i32"], { pack: 1 }), "stack 8", "int0"],
  ["one that packing does not change", struct(["i32", "i32"], { pack: 1 }), "int0", "int0"],
  ["packed floats", struct(["f32", "f32"], { pack: 1 }), "flt0", "flt0:4 flt4:4"],
  ["a union", struct(["i64", "f64"], { isUnion: true }), "int0", "int0"],
  ["a union of floats", struct(["f32", ["f32", 2]], { isUnion: true }), "flt0", "flt0:4 flt4:4"],
  ["a union of two sizes", struct(["f32", "f64"], { isUnion: true }), "flt0", "int0"],
  ["padding alone takes no register", wide, "int0 aligned", "int0 int8"],
  ["an aligned part", struct([wide]), "int0 aligned", "int0 int8 aligned"],
  [
    "floats with padding",
    struct([["f32", 3]], { alignment: 16 }),
    "flt0 flt8 aligned",
    "int0 int8",
  ],
  ["very many", struct([["u8", 1_000_000]]), "stack 8", "address"],
  ["very many floats", struct([["f32", 1_000_000]]), "stack 8", "address"],
];

for (const [name, shape, eightbytes, aggregates] of cases) {
  Deno.test(`routeOf knows ${name}`, () => {
    assertEquals(
      { eightbytes: way(shape, "eightbytes"), aggregates: way(shape, "aggregates") },
      { eightbytes, aggregates },
    );
  });
}
