// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** Definitions of structs, those that are refused, and values in bytes, as calls pass them. */

import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { type Layout, pointerTo, struct, union } from "../../mod.ts";
import { readShape, shapeOf, writeShape } from "../../ffi/value/struct_type.ts";
import type { Keeper } from "../../ffi/value/value.ts";

// deno-lint-ignore no-explicit-any -- what a program without types can pass
type Any = any;

const point = struct({ x: "i16", y: "i16" });

const shape = (definition: unknown) => shapeOf(definition, "Cannot open symbol f: parameter 0");

Deno.test("shapeOf() knows layouts and { struct: […] }, and nothing else", () => {
  assertEquals(shape(point)!.size, 4);
  const { size, alignment, fields } = shape({ struct: ["u8", { struct: ["f64"] }, point, "u8"] })!;
  assertEquals([size, alignment, fields.map(({ offset }) => offset)], [24, 8, [0, 8, 16, 20]]);
  for (const other of [undefined, null, "i32", 5, {}, [], { fields: [] }, { ...point }, () => 1]) {
    assertEquals(shape(other), undefined);
  }
});

Deno.test("shapeOf() refuses what is no type, and says where", () => {
  const where = "Cannot open symbol f: parameter 0";
  for (const types of [undefined, null, [], "i32", {}]) {
    assertThrows(
      () => shape({ struct: types }),
      TypeError,
      `${where}: struct must be an array of at least one type: got`,
    );
  }
  assertThrows(
    () => shape({ struct: ["i32", { struct: ["void"] }] }),
    TypeError,
    `${where}: field 1: field 0 has the type "void": it must be one of bool,`,
  );
  const endless: { struct: unknown[] } = { struct: ["i32"] };
  endless.struct.push({ struct: [endless] });
  assertThrows(
    () => shape(endless),
    TypeError,
    `${where}: field 1: field 0 contains itself, which takes endless memory`,
  );
  // Twice beside each other is not within.
  const twice = { struct: ["i32"] };
  assertEquals(shape({ struct: [twice, twice] })!.size, 8);
});

Deno.test("struct() says what to write for what C has and a layout has not", () => {
  const cases: [unknown, string][] = [
    ["int", 'it may be "i32"'],
    ["const char *", 'it may be "cstring"'],
    ["long double", "take their bytes"],
    ["double _Complex", "take their bytes"],
    ["__m128", "take their bytes"],
    ["__int128", "take their bytes"],
    ["unsigned : 3", "bit-fields have no type here"],
    ["int:1", "bit-fields have no type here"],
    [{ type: "u32", bits: 3 }, "bit-fields have no type here"],
    [{ x: "i32" }, "a struct within is written struct({ name: type, … })"],
    [[["u8", 2], 3], "an array of arrays is written as one"],
    [() => point, "is a function, or contains itself, which takes endless memory"],
    [undefined, "has the type undefined: it must be one of bool,"],
    ["void", 'has the type "void"'],
    ["nonsense", 'has the type "nonsense"'],
  ];
  for (const [type, hint] of cases) {
    const error = assertThrows(() => struct({ a: type } as Any), TypeError);
    assertStringIncludes(error.message, "Cannot make struct: field a");
    assertStringIncludes(error.message, hint);
  }
  const { message } = assertThrows(() => union({ a: "nonsense" } as Any), TypeError);
  assertStringIncludes(message, "Cannot make union: field a");
  assert(!message.includes("; it may be"), message);
});

Deno.test("struct() refuses fields, counts and options that are none", () => {
  for (const fields of [null, undefined, 5, "x", [], new Map()] as Any[]) {
    assertThrows(
      () => struct(fields),
      TypeError,
      "its fields must be an object such as { name: type }",
    );
  }
  assertThrows(() => struct({}), TypeError, "Cannot make struct: it must have a field");
  for (const name of ["", "0", "5x"]) {
    assertThrows(() => struct({ a: "u8", [name]: "u8" }), TypeError, "begins with no digit: got");
  }
  const counts = [["u8"], ["u8", 1, 2], ["u8", 0], ["u8", -1], ["u8", 0.5], ["u8", "3"], []];
  for (const count of counts as Any[]) {
    assertThrows(() => struct({ a: count }), TypeError, "field a must be [type, count]");
  }
  assertThrows(() => struct({ a: [point, 2 ** 29] }), RangeError, "less than 2^31 bytes: got");
  for (const options of [null, 5, "pack"] as Any[]) {
    assertThrows(() => struct({ a: "u8" }, options), TypeError, "options must be an object");
  }
  for (const value of [0, -1, 3, 0.5, "4", null, Infinity] as Any[]) {
    assertThrows(() => struct({ a: "u8" }, { pack: value }), RangeError, "pack must be a power of");
    assertThrows(() => union({ a: "u8" }, { alignment: value }), RangeError, "alignment must be");
  }
  assertThrows(() => struct({ a: "u8" }, { packed: true } as Any), TypeError, 'key "packed"');
  for (const pointer of [null, 5, "point", {}, { struct: ["i32"] }, point.read] as Any[]) {
    if (typeof pointer === "function") struct({ a: pointerTo(pointer) });
    else {assertThrows(
        () => struct({ a: pointerTo(pointer) }),
        TypeError,
        "must be a pointer to a layout",
      );}
  }
});

Deno.test("a layout is fixed, and does not follow what it was made from", () => {
  const fields: Record<string, Any> = { a: "u8", b: ["u16", 2] };
  const layout: Layout = struct(fields);
  fields.a = "u64";
  fields.c = "u8";
  assertEquals([layout.size, Object.keys(layout.fields).join()], [6, "a,b"]);
  for (const change of [() => (layout as Any).size = 1, () => layout.fields.a = "u64"]) {
    assertThrows(change, TypeError);
  }
  assertThrows(() => layout.read.call({} as Any, new Uint8Array(8)), TypeError);
});

/** Keeps nothing, and says what it was asked for. */
class Asked implements Keeper {
  readonly asked: unknown[] = [];
  keepString(value: unknown): bigint {
    this.asked.push(value);
    return 0x1234n;
  }
  keepBytes(bytes: Uint8Array<ArrayBuffer>): bigint {
    this.asked.push([...bytes]);
    return 0x5678n;
  }
}

Deno.test("writeShape() and readShape() have objects for layouts, and bytes for the others", () => {
  const view = new DataView(new ArrayBuffer(64));
  const layout = shape(struct({ a: "u8", text: "cstring", data: "buffer", in: point }))!;
  const keeper = new Asked();
  const value = { a: 1, text: "abc", data: Uint8Array.of(9), in: { x: -1 } };
  writeShape(view, 8, layout, value, "Cannot call f: argument 0", keeper);
  assertEquals(keeper.asked, ["abc", [9]]);
  assertEquals([view.getUint8(8), view.getBigUint64(16, true), view.getBigUint64(24, true)], [
    ...[1, 0x1234n, 0x5678n],
  ]);
  assertEquals(view.getInt16(32, true), -1);
  view.setBigUint64(16, 0n);
  const { a, text, in: inner } = readShape(view, 8, layout) as Any;
  assertEquals([a, text, inner], [1, null, { x: -1, y: 0 }]);

  const plain = shape({ struct: ["u16", "u8"] })!;
  writeShape(view, 1, plain, Uint8Array.of(1, 2, 3, 4, 5), "Cannot call f: argument 0");
  const read = readShape(view, 1, plain);
  assertEquals(read, Uint8Array.of(1, 2, 3, 4));
  view.setUint8(1, 9);
  assertEquals((read as Uint8Array)[0], 1);
  const what = "Cannot call f: argument 0 must";
  for (const bytes of [new Uint8Array(3), new ArrayBuffer(0), null]) {
    assertThrows(
      () => writeShape(view, 0, plain, bytes, "Cannot call f: argument 0"),
      RangeError,
      `${what} have the 4 bytes`,
    );
  }
  for (const bytes of [5, "abcd", [1, 2, 3, 4], {}]) {
    assertThrows(
      () => writeShape(view, 0, plain, bytes, "Cannot call f: argument 0"),
      TypeError,
      what,
    );
  }
  assertThrows(
    () => writeShape(view, 0, layout, [1], "Cannot call f: argument 0"),
    TypeError,
    what,
  );
});
