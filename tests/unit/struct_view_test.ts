// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** Reading, writing and viewing structs: in bytes, in memory of C's, under a path-scoped grant. */

import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import {
  Callback,
  functionAt,
  type LayoutMemory,
  type LayoutObject,
  pointerTo,
  PointerView,
  struct,
  union,
} from "../../mod.ts";
import { collectUntil } from "../support/support.ts";

// deno-lint-ignore no-explicit-any -- what a program without types can pass
type Any = any;

/** A struct with a field of every kind. */
const point = struct({ x: "i16", y: "i16" });
const everything = struct({
  flag: "bool",
  small: ["i8", 3],
  wide: "i64",
  text: "cstring",
  inner: point,
  points: [point, 2],
  raw: { struct: ["u8", "u16"] },
  real: "f32",
});

/** The memory of a layout in each form: `bytes` are what is behind it. */
function memories(size: number): { name: string; memory: LayoutMemory; bytes: () => Uint8Array }[] {
  const plain = new Uint8Array(size);
  const part = new Uint8Array(size + 3).subarray(3);
  const buffer = new ArrayBuffer(size + 8);
  const kept = PointerView.allocate(size + 16);
  const foreign = PointerView.allocate(size);
  return [
    { name: "bytes", memory: plain, bytes: () => plain },
    { name: "a part of bytes, unaligned", memory: part, bytes: () => part },
    { name: "a buffer", memory: buffer, bytes: () => new Uint8Array(buffer, 0, size) },
    { name: "a view of a part", memory: kept.add(5), bytes: () => kept.getBytes(5, size) },
    { name: "a pointer", memory: foreign.pointer, bytes: () => foreign.getBytes(0, size) },
    {
      name: "a view of a pointer",
      memory: new PointerView(foreign.pointer),
      bytes: () => foreign.getBytes(0, size),
    },
  ];
}

Deno.test("a layout reads back what it has written, in every form of memory", () => {
  for (const { name, memory, bytes } of memories(everything.size)) {
    const written = {
      ...{ flag: true, small: [-1, 2, -3], wide: -(2n ** 63n), text: null },
      ...{ inner: { x: 1, y: -2 }, points: [{ x: 3, y: 4 }, { x: 5, y: 6 }] },
      ...{ raw: Uint8Array.of(1, 0, 2, 3), real: 0.5 },
    };
    everything.write(memory, written);
    assertEquals(everything.read(memory), written, name);
    const view = everything.view(memory);
    assertEquals([view.flag, view.wide, view.text, view.real], [true, -(2n ** 63n), null, 0.5]);
    assertEquals(Array.from(view.small), [-1, 2, -3]);
    assertEquals([...view.points].map(({ x }) => x), [3, 5]);
    view.small[1] = 127;
    view.points[1]!.y = -7;
    view.inner = { x: 8, y: 9 };
    view.inner.y++;
    view.raw = new Uint8Array([9, 8, 7, 6]);
    view.wide = 1n;
    view.flag = false;
    assertEquals(everything.read(memory), {
      ...{ flag: false, small: [-1, 127, -3], wide: 1n, text: null },
      ...{ inner: { x: 8, y: 10 }, points: [{ x: 3, y: 4 }, { x: 5, y: -7 }] },
      ...{ raw: Uint8Array.of(9, 8, 7, 6), real: 0.5 },
    });
    assertEquals([...bytes().subarray(0, 4)], [0, 255, 127, 253], name);
  }
});

Deno.test("a value takes the bytes of its type, and no others", () => {
  const cases = [
    ["bool", true, [1]],
    ["i8", -2, [0xfe]],
    ["u16", 0x1234, [0x34, 0x12]],
    ["i32", -2, [0xfe, 0xff, 0xff, 0xff]],
    ["u32", 2 ** 32 - 1, [0xff, 0xff, 0xff, 0xff]],
    ["u64", 5, [5, 0, 0, 0, 0, 0, 0, 0]],
    ["f32", 1, [0, 0, 0x80, 0x3f]],
    ["f64", 1, [0, 0, 0, 0, 0, 0, 0xf0, 0x3f]],
    ["pointer", null, [0, 0, 0, 0, 0, 0, 0, 0]],
  ] as const;
  for (const [type, value, expected] of cases) {
    const layout = struct({ before: "u8", value: type, after: "u8" }, { pack: 1 });
    for (const { name, memory, bytes } of memories(layout.size)) {
      layout.write(memory, { before: 0xee, after: 0xdd });
      layout.write(memory, { value } as Any);
      assertEquals([...bytes().subarray(0, layout.size)], [0xee, ...expected, 0xdd], name);
      (layout.view(memory) as Any).value = value;
      assertEquals([...bytes().subarray(0, layout.size)], [0xee, ...expected, 0xdd], name);
      assertEquals(layout.read(memory).before, 0xee);
    }
  }
});

Deno.test("a value that is refused leaves all as it was", () => {
  for (const { name, memory } of memories(everything.size)) {
    everything.write(memory, { flag: true, wide: 5n });
    const refused = { flag: false, small: [1, 2, 300], wide: 6n };
    const error = assertThrows(() => everything.write(memory, refused), RangeError);
    assertStringIncludes(
      error.message,
      "Cannot write struct: field small: element 2 must be an integer from -128 to 127 (i8)",
    );
    assertThrows(
      () => everything.write(memory, { flag: false, points: [{ x: 1 }, { x: "2" as Any }] }),
      TypeError,
      "field points: element 1: field x must be an integer",
    );
    assertEquals(everything.read(memory).flag, true, name);
    assertEquals([everything.read(memory).wide, everything.view(memory).small[0]], [5n, 0], name);
  }
});

Deno.test("of a struct within those fields are stored that have values, and no others", () => {
  const outer = struct({ inner: struct({ at: point, real: "f64" }), last: "u8" });
  for (const { memory, name } of memories(outer.size)) {
    const view = outer.view(memory);
    outer.write(memory, {
      inner: {
        at: { x: 1 },
        // As another thread may write meanwhile.
        get real() {
          view.inner.at.y = 7;
          return 0.5;
        },
      },
      last: 9,
    });
    const { inner, last } = outer.read(memory);
    assertEquals([inner, last], [{ at: { x: 1, y: 7 }, real: 0.5 }, 9], name);
  }
});

Deno.test("what is no field is refused, and the fields are named", () => {
  const memory = new Uint8Array(point.size);
  const view = point.view(memory) as Any;
  for (
    const use of [
      () => point.offsetOf("z" as Any),
      () => point.write(memory, { z: 1 } as Any),
      () => view.z,
      () => view.z = 1,
      () => point.offsetOf("toString" as Any),
      () => view.hasOwnProperty,
    ]
  ) assertThrows(use, TypeError, "the fields are x, y");
  assertEquals(point.offsetOf("y"), 2);
  // What `await` and others ask of any object.
  assertEquals([view.then, view[Symbol.iterator], JSON.stringify(view.x)], [
    undefined,
    undefined,
    "0",
  ]);
  for (const value of [null, 5, "x", [1, 2]] as Any) {
    assertThrows(() => point.write(memory, value), TypeError, "must be an object such as { x }");
  }
});

Deno.test("a field may have any name, as `constructor` and `__proto__`", () => {
  const layout = struct({ constructor: "u8", ["__proto__"]: "u8", then: "u8", length: "u8" });
  const memory = Uint8Array.of(1, 2, 3, 4);
  const view = layout.view(memory);
  assertEquals([view.constructor, view["__proto__"], view.then, view.length] as Any, [1, 2, 3, 4]);
  assertEquals(
    Object.entries(layout.read(memory)).flat().join(),
    [
      ...["constructor", 1, "__proto__", 2, "then", 3, "length", 4],
    ].join(),
  );
  assertEquals(Object.getPrototypeOf(layout.read(memory)), Object.prototype);
});

Deno.test("memory that is too small, or none, is refused", () => {
  const layout = struct({ all: ["u32", 4] });
  for (const use of [layout.read, layout.view, layout.write] as Any[]) {
    const call = (memory: unknown): unknown => use.call(layout, memory, {});
    for (const memory of [new Uint8Array(15), PointerView.of(new Uint8Array(20)).add(5)]) {
      assertThrows(() => call(memory), RangeError, "it has 16 bytes, and the memory has 15");
    }
    for (const memory of [undefined, 5, "x", {}, [], new Map(), 4096n]) {
      assertThrows(() => call(memory), TypeError, "must be a pointer, a PointerView or bytes");
    }
    assertThrows(() => call(null), TypeError, "NULL points at nothing, so look for null first");
    assertThrows(
      () => call(new SharedArrayBuffer(16)),
      TypeError,
      "must not be over shared memory",
    );
    const resizable = new ArrayBuffer(16, { maxByteLength: 32 });
    assertThrows(() => call(new Uint8Array(resizable)), TypeError, "must have a fixed length");
    const gone = new Uint8Array(16);
    gone.buffer.transfer();
    assertThrows(() => call(gone), TypeError, "must be attached");
  }
  assertThrows(() => layout.read(Object.create(null)), TypeError);
});

Deno.test("a view whose buffer has been transferred is refused", () => {
  const bytes = new Uint8Array(everything.size);
  const view = everything.view(bytes);
  const { small, inner } = view;
  bytes.buffer.transfer();
  for (
    const use of [
      () => view.wide,
      () => view.wide = 1n,
      () => view.points = [],
      () => small[0],
      () => small[0] = 1,
      () => inner.x,
    ]
  ) assertThrows(use, TypeError, "has been transferred elsewhere");
  // Nor does a value whose getter transfers it get anything written.
  const other = new Uint8Array(point.size);
  const values = {
    get x() {
      other.buffer.transfer();
      return 1;
    },
    y: 2,
  };
  assertThrows(() => point.write(other, values), TypeError, "has been transferred elsewhere");
});

Deno.test("an array in a view has its elements, and no others", () => {
  const { small } = everything.view(new Uint8Array(everything.size));
  assertEquals([small.length, small[3], (small as Any)["-1"], (small as Any).map], [
    ...[3, undefined, undefined, undefined],
  ]);
  for (const index of [3, -1, 0.5, "x", "01", "-0", "", " 1", "1e0"] as Any[]) {
    assertThrows(() => small[index] = 1, RangeError, "field small has 3 elements: got the index");
  }
  assertThrows(() => small[0] = 128, RangeError, "field small[0] must be an integer from -128");
  const view = everything.view(new Uint8Array(everything.size));
  view.small = Int8Array.of(1, 2);
  view.small = new Set([3]) as Any;
  assertEquals(Array.from(view.small), [3, 2, 0]);
  assertThrows(() => view.small = [1, 2, 3, 4], RangeError, "field small has 3 elements: got 4");
  const { message } = assertThrows(
    () => view.small = Object.create(Int8Array.prototype),
    TypeError,
  );
  assertStringIncludes(message, "field small cannot be iterated: got an object of class Int8Array");
  for (const value of [5, null, "abc"] as Any[]) {
    assertThrows(() => view.small = value, TypeError, "must be an array of 3 elements");
  }
});

Deno.test("of a list without an end no more is taken than shows that it is too long", () => {
  const layout = struct({ all: ["u8", 4] });
  const memory = new Uint8Array(4);
  let [given, ended] = [0, false];
  function* numbers(): Generator<number, void> {
    try {
      // Without an end but for this test.
      while (given < 1000) yield given++;
    } finally {
      ended = true;
    }
  }
  const write = (all: Any) => layout.write(memory, { all });
  const text = "field all has 4 elements: got";
  assertThrows(() => write(numbers()), RangeError, `${text} more`);
  assertEquals([given, ended], [5, true]);
  assertThrows(() => write([1, 2, 3, 4, 5, 6]), RangeError, `${text} 6`);
  assertThrows(() => write({ length: 2 ** 53 - 1 }), RangeError, `${text} 9007199254740991`);
  assertEquals([...memory], [0, 0, 0, 0]);
  write({ length: 2, 0: 1, 1: 2 });
  write(new Set([3]));
  write({});
  assertEquals([...memory], [3, 2, 0, 0]);
});

Deno.test("strings stay as long as the bytes that point at them", async () => {
  const layout = struct({ first: "cstring", all: ["cstring", 2] });
  let memory: Uint8Array<ArrayBuffer> | undefined = new Uint8Array(layout.size);
  // So long that its memory would go back at once.
  const first = "grün".repeat(100_000);
  layout.write(memory, { first, all: ["x".repeat(1000), null] });
  const view = layout.view(memory);
  view.all[1] = "last";
  // Enough garbage for memory that nobody holds to be used again.
  let collected = 0;
  const registry = new FinalizationRegistry(() => collected++);
  (() => registry.register(new Uint8Array(1_000_000), undefined))();
  await collectUntil(() => collected > 0);
  for (let i = 0; i < 1000; i++) new Uint8Array(1001).fill(0x2e);
  for (let i = 0; i < 10; i++) new Uint8Array(500_001).fill(0x2e);
  assertEquals(layout.read(memory), { first, all: ["x".repeat(1000), "last"] });
  view.first = null;
  assertEquals(new PointerView(PointerView.of(memory).getPointer(8)!).getCString(999), "x");
  memory = undefined;
  assertEquals(view.first, null);
  assertThrows(() => view.first = "a\0b", TypeError, "must not contain the character U+0000");
  assertEquals(view.all[1], "last");
});

Deno.test("what a pointer in bytes leads to stays, as a view, a callback or a buffer", async () => {
  const node = struct({ value: "i32", next: pointerTo<Node>(() => node), data: "buffer" });
  interface Node {
    value: number;
    next: Node | null;
    data: Deno.PointerValue;
  }
  const collected: string[] = [];
  const registry = new FinalizationRegistry<string>((name) => collected.push(name));
  const first = node.view(new Uint8Array(node.size));
  (() => {
    const bytes = new Uint8Array(new ArrayBuffer(100_000));
    const data = new Uint8Array(new ArrayBuffer(100_000)).fill(7);
    registry.register(bytes.buffer, "node");
    registry.register(data.buffer, "data");
    registry.register(new ArrayBuffer(8), "garbage");
    const next = node.view(bytes);
    next.value = 2;
    node.write(bytes, { data });
    first.next = next;
  })();
  await collectUntil(() => collected.length > 0);
  assertEquals(collected, ["garbage"]);
  assertEquals([first.next!.value, new PointerView(first.next!.data!).getUint8(99_999)], [2, 7]);
  first.next = null;
  await collectUntil(() => collected.length > 2);
  assertEquals([collected.length, first.next], [3, null]);
});

Deno.test("memory of C's holds no strings and no buffers, and says so", () => {
  const layout = struct({ text: "cstring", data: "buffer", size: "usize" });
  using memory = PointerView.allocate(layout.size);
  for (const place of [memory.pointer, new PointerView(memory.pointer)]) {
    const view = layout.view(place);
    const text = "must be null in memory of C's, for which nobody holds a string or a buffer";
    assertThrows(() => view.text = "x", TypeError, `field text ${text}`);
    assertThrows(() => layout.write(place, { data: new Uint8Array(8) }), TypeError, text);
    assertThrows(() => view.text = 5 as Any, TypeError, "must be a string or null (cstring)");
    layout.write(place, { text: null, data: null, size: 3 });
    assertEquals(layout.read(place), { text: null, data: null, size: 3n });
  }
});

Deno.test("functions in structs, both ways", () => {
  const suite = struct({ count: "usize", compare: "function" });
  const definition = { parameters: ["pointer", "pointer"], result: "i32" } as const;
  using callback = new Callback(definition, () => 42);
  for (const { memory } of memories(suite.size)) {
    suite.write(memory, { compare: callback });
    const compare = functionAt(suite.view(memory).compare!, definition);
    assertEquals(compare(null, null), 42);
    suite.view(memory).compare = callback.pointer;
    assert(suite.read(memory).compare !== null);
    suite.view(memory).compare = null;
    assertEquals(suite.read(memory).compare, null);
  }
});

Deno.test("a pointer with a layout behind it is followed, written, and found by &", () => {
  const line = struct({ from: pointerTo(point), ends: [pointerTo(point), 2], plain: point });
  const ends = point.view(Int16Array.of(1, 2));
  for (const { memory, name } of memories(line.size)) {
    const view = line.view(memory);
    ends.x = 1;
    view.from = ends;
    assertEquals([view.from!.x, view.from!.y], [1, 2], name);
    view.from!.x++;
    assertEquals([ends.x, view.from!.x], [2, 2], name);
    line.write(memory, { ends: [PointerView.of(ends), PointerView.of(ends).pointer] });
    assertEquals(Array.from(view.ends, (end) => end!.y), [2, 2]);
    assertEquals(line.read(memory).ends[1]!.y, 2);
    // The address of a struct within.
    view.ends[0] = view.plain;
    view.plain.y = 77;
    assertEquals(view.ends[0]!.y, 77, name);
    assertEquals(point.read(PointerView.of(view.plain)).y, 77);
    view.from = null;
    assertEquals(view.from, null);
    assertThrows(() => view.from = {} as Any, TypeError, "field from must be a Deno.PointerObject");
  }
  const nowhere = struct({ to: pointerTo(() => "a layout") });
  const bytes = new Uint8Array(8);
  PointerView.of(bytes).setPointer(0, PointerView.of(bytes).pointer);
  assertThrows(
    () => nowhere.view(bytes).to,
    TypeError,
    'must be a pointer to a layout, or to what a function gives: got "a layout"',
  );
});

Deno.test("a pointer with a layout behind it leads to no less memory than the layout has", () => {
  const large = struct({ all: ["u64", 4] });
  const holder = struct({ to: pointerTo(large), all: [pointerTo(large), 2] });
  const room = PointerView.of(new Uint8Array(40));
  for (const { memory } of memories(holder.size)) {
    const view = holder.view(memory);
    view.to = room.add(8) as Any;
    view.all[1] = large.view(room.add(8));
    view.to = point.view(PointerView.of(new Uint8Array(32))) as Any;
    const text = "must lead to the 32 bytes of a struct: the memory there has";
    assertThrows(() => view.to = room.add(9) as Any, RangeError, `field to ${text} 31`);
    const small = point.view(new Uint8Array(4)) as Any;
    assertThrows(() => view.to = small, RangeError, `field to ${text} 4`);
    assertThrows(() => view.all[1] = small, RangeError, `field all[1] ${text} 4`);
    assertThrows(() => holder.write(memory, { all: [null, small] }), RangeError, `${text} 4`);
    assert(view.all[1] !== null);
    // How much is there C alone knows.
    view.to = new PointerView(room.pointer) as Any;
  }
});

Deno.test("a view behind a pointer in bytes holds what the bytes hold there", async () => {
  interface Node {
    value: number;
    next: Node | null;
    name: string | null;
  }
  const node = struct({ value: "i32", next: pointerTo<Node>(() => node), name: "cstring" });
  const list = struct({ first: [pointerTo(node), 2] });
  const collected: string[] = [];
  const registry = new FinalizationRegistry<string>((name) => collected.push(name));
  const make = (value: number): Uint8Array<ArrayBuffer> => {
    const bytes = new Uint8Array(new ArrayBuffer(100_000));
    registry.register(bytes.buffer, `${value}`);
    node.write(bytes, { value });
    return bytes;
  };
  const views: Node[] = [];
  (() => {
    const bytes = new Uint8Array(list.size);
    const [first, second, third] = [make(1), make(2), make(3)] as const;
    node.write(first, { next: node.view(second) });
    node.write(second, { next: PointerView.of(third) });
    list.view(bytes).first = [node.view(first), PointerView.of(make(4)).pointer] as Any;
    views.push(list.view(bytes).first[0]!.next!.next!, list.read(bytes).first[1]!);
    registry.register(new ArrayBuffer(100_000), "garbage");
  })();
  await collectUntil(() => collected.length > 2);
  assertEquals(collected.sort(), ["1", "2", "garbage"]);
  assertEquals(views.map(({ value }) => value), [3, 4]);
  // It is known to be memory of JavaScript's, which holds strings.
  views[0]!.name = "three";
  assertEquals(views[0]!.name, "three");
});

Deno.test("a view behind a pointer that C has written is of what C has written", () => {
  const holder = struct({ to: pointerTo(point) });
  const bytes = new Uint8Array(8);
  const [mine, other] = [PointerView.allocate(4), PointerView.allocate(4)];
  holder.view(bytes).to = mine as Any;
  PointerView.of(bytes).setPointer(0, other.pointer);
  holder.view(bytes).to!.x = 5;
  assertEquals([mine.getInt16(), other.getInt16()], [0, 5]);
  // What is known to be less than the layout has: it was written as another member of a union.
  const large = struct({ all: ["u64", 2] });
  const both = union({ small: pointerTo(point), large: pointerTo(large) }).view(bytes);
  both.small = point.view(Int16Array.of(7, 8, 0, 0));
  assertEquals(both.large!.all[0], 0x80007n);
  assertThrows(() => both.large!.all[1], RangeError, "are not all in the buffer, which has 8");
  mine[Symbol.dispose]();
  other[Symbol.dispose]();
});

Deno.test("a union reads the member that is asked for, and is written by one", () => {
  const value = union({ text: "cstring", number: "f64", parts: ["u16", 4], at: point });
  assertEquals([value.size, value.alignment, value.offsetOf("parts")], [8, 8, 0]);
  const holder = struct({ type: "u8", value });
  for (const { memory } of memories(holder.size)) {
    holder.write(memory, { type: 1, value: { number: 1 } });
    // Its string would be at 0x3ff0000000000000.
    const copy: LayoutObject<typeof holder> = holder.read(memory);
    assertEquals([copy.value.number, copy.value.parts, copy.value.at], [
      ...[1, [0, 0, 0, 0x3ff0], { x: 0, y: 0 }],
    ]);
    const view = holder.view(memory);
    view.value.parts[3] = 0;
    assertEquals([view.value.number, view.value.text, copy.value.number], [0, null, 1]);
    view.value = { number: 2 } as Any;
    assertEquals(view.value.number, 2);
    for (const values of [{}, { number: 1, text: null }]) {
      assertThrows(
        () => holder.write(memory, { value: values }),
        TypeError,
        "must have one member of the union, of text, number, parts, at: got",
      );
    }
  }
});

Deno.test("a view, and what read() gives, are values with all their fields", () => {
  const value = union({ text: "cstring", number: "f64", parts: ["u16", 4] });
  const outer = struct({
    inner: point,
    two: [point, 2],
    to: pointerTo(point),
    value,
    s: "cstring",
  });
  const source = new Uint8Array(outer.size);
  const end = point.view(Int16Array.of(7, 8));
  outer.write(source, {
    ...{ inner: { x: 1, y: 2 }, two: [{ x: 3, y: 4 }, { x: 5, y: 6 }], to: end },
    ...{ value: { number: 0.5 }, s: "text" },
  });
  const from = outer.view(source);
  for (const given of [from, outer.read(source), outer.read(PointerView.of(source).pointer)]) {
    const memory = new Uint8Array(outer.size);
    outer.write(memory, given as Any);
    const { inner, two, to, value, s } = outer.read(memory);
    assertEquals([inner, two], [{ x: 1, y: 2 }, [{ x: 3, y: 4 }, { x: 5, y: 6 }]]);
    assertEquals([to!.y, value.number, value.parts, s], [8, 0.5, [0, 0, 0, 0x3fe0], "text"]);
    const view = outer.view(memory);
    view.two = [end, from.two[0]!] as Any;
    view.inner = from.two[1]!;
    assertEquals([view.two[0]!.x, view.two[1]!.x, view.inner.y], [7, 3, 6]);
    view.value.number = 1;
    view.value = given.value as Any;
    assertEquals(view.value.number, 0.5);
  }
  const copy = value.view(new Uint8Array(8));
  value.write(PointerView.of(copy), from.value as Any);
  assertEquals(copy.number, 0.5);
  // Of another layout, a view has other fields.
  const other = struct({ x: "i16", z: "i16" }).view(new Uint8Array(4));
  assertThrows(() => from.inner = other as Any, TypeError, 'there is no field "z"');
  assertThrows(() => from.value = from as Any, TypeError, 'there is no field "inner"');
});

Deno.test("a pointer in a union that is copied keeps leading to its string", async () => {
  const value = union({ text: "cstring", word: "u64" });
  const held = [value.view(new Uint8Array(8)), value.view(new Uint8Array(8))];
  const collected: string[] = [];
  const registry = new FinalizationRegistry<string>((name) => collected.push(name));
  (() => {
    for (const [i, name] of ["view", "read"].entries()) {
      const source = new Uint8Array(new ArrayBuffer(100_000));
      registry.register(source.buffer, name);
      value.write(source, { text: name.repeat(10_000) });
      const copied = i === 0 ? value.view(source) : value.read(source);
      value.write(PointerView.of(held[i]!), copied as Any);
    }
    registry.register(new ArrayBuffer(100_000), "garbage");
  })();
  await collectUntil(() => collected.length > 0);
  assertEquals(collected, ["garbage"]);
  assertEquals(held.map(({ text }) => text!.slice(-4)), ["view", "read"]);
});

Deno.test("what only inherits from a view has no fields, and says so", () => {
  const view = point.view(new Uint8Array(4));
  const text = "only what view() has given has the fields: got an object";
  for (const other of [Object.create(view), new Proxy(view, {})]) {
    for (const use of [() => other.x, () => other.x = 1, () => PointerView.of(other)]) {
      assertThrows(use, TypeError, text);
    }
    assertThrows(() => point.write(new Uint8Array(4), other), TypeError, text);
  }
});

Deno.test("what has no fields of its own is refused, but for {}", () => {
  const view = struct({ inner: point, array: ["u8", 4] }).view(new Uint8Array(8));
  point.write(PointerView.of(view), {});
  point.write(PointerView.of(view), Object.create(null));
  class Point {
    get x() {
      return 1;
    }
  }
  const { pointer } = PointerView.of(view);
  for (const value of [new Point(), pointer, PointerView.of(view), new Date()]) {
    assertThrows(
      () => view.inner = value as Any,
      TypeError,
      "field inner must have properties of its own, of x, y: got an object",
    );
  }
  assertThrows(() => view.inner = view.array as Any, TypeError, "must be an object such as { x }");
});

Deno.test("what a program has put into Object.prototype is no part of a layout", () => {
  const polluted = {
    ...{ count: 3, to: { follow: () => "evil" }, fields: [], name: "evil", pack: 1 },
    ...{ struct: ["i8"], pointer: 5, bits: 5, size: 1, value: 5 },
  };
  for (const [key, value] of Object.entries(polluted)) (Object.prototype as Any)[key] = value;
  try {
    const layout = struct({ a: "u8", b: "pointer", c: point, d: ["u16", 2] });
    assertEquals(layout.size, 24);
    const memory = new Uint8Array(24);
    layout.write(memory, { a: 1, c: { x: 2 }, d: [3] });
    const view = layout.view(memory);
    assertEquals([view.a, view.b, view.c.x, ...view.d], [1, null, 2, 3, 0]);
    const { a, b, c, d } = layout.read(memory);
    assertEquals([a, b, c.x, d.join()], [1, null, 2, "3,0"]);
    assertEquals(union({ a: "u8", b: "u32" }).read(memory).a, 1);
  } finally {
    for (const key of Object.keys(polluted)) delete (Object.prototype as Any)[key];
  }
});
