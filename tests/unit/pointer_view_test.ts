// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** `PointerView`: every getter and setter, the bounds of a buffer, and memory that has to stay. */

import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { Callback, dlopen, PointerView, struct } from "../../mod.ts";
import { collectUntil, gc, openBodies, testBodies } from "../support/support.ts";

/** Gives a pointer to `bytes`, by way of C. */
function withPointer(bytes: Uint8Array<ArrayBuffer>, use: (pointer: Deno.PointerObject) => void) {
  using library = dlopen(testBodies, {
    pass: {
      name: "call_pointer",
      parameters: [{ callback: { parameters: ["pointer"], result: "pointer" } }, "buffer"],
      result: "pointer",
    },
  });
  library.symbols.pass((pointer) => {
    use(pointer!);
    return null;
  }, bytes);
}

Deno.test("PointerView.getCString() reads up to the zero, and from an offset", () => {
  const bytes = new TextEncoder().encode("grün\0und\0\0");
  withPointer(bytes, (pointer) => {
    const view = new PointerView(pointer);
    assertEquals(view.pointer, pointer);
    assertEquals(view.getCString(), "grün");
    assertEquals(view.getCString(1), "rün");
    assertEquals(view.getCString(6), "und");
    assertEquals(view.getCString(10), "");
    gc();
    assertEquals(view.getCString(), "grün");
  });
});

Deno.test("PointerView.getCString() reads long strings, and short ones after them", () => {
  for (const length of [4095, 4096, 4097, 100_000, 3]) {
    const bytes = new Uint8Array(length + 1).fill(120, 0, length);
    withPointer(bytes, (pointer) => {
      assertEquals(new PointerView(pointer).getCString(), "x".repeat(length));
    });
  }
});

Deno.test("PointerView.getCString() replaces what is no UTF-8", () => {
  withPointer(Uint8Array.of(0x61, 0xff, 0x62, 0), (pointer) => {
    assertEquals(new PointerView(pointer).getCString(), "a\ufffdb");
  });
});

Deno.test("PointerView.copyInto() copies, from an offset too, and nothing for no room", () => {
  const bytes = Uint8Array.from({ length: 1000 }, (_, i) => i);
  withPointer(bytes, (pointer) => {
    const view = new PointerView(pointer);
    const all = new Uint8Array(1000);
    view.copyInto(all);
    assertEquals(all, bytes);
    const part = new Uint8Array(8).fill(9);
    view.copyInto(part.subarray(2, 5), 100);
    assertEquals(part, Uint8Array.of(9, 9, 100, 101, 102, 9, 9, 9));
    view.copyInto(new Uint8Array(0), 10);
    // An offset may be negative, too: views begin in the middle of things.
    using library = dlopen(testBodies, {
      shift: { name: "same_pointer", parameters: ["usize"], result: "pointer" },
      address: { name: "same_pointer", parameters: ["pointer"], result: "usize" },
    });
    const { shift, address } = library.symbols;
    const back = new Uint8Array(2);
    new PointerView(shift(address(pointer) + 500n)!).copyInto(back, -400);
    assertEquals(back, Uint8Array.of(100, 101));
  });
});

Deno.test("new PointerView() refuses what is no pointer", () => {
  // deno-lint-ignore no-explicit-any -- what a program without types can pass
  for (const pointer of [null, undefined, 0, 4096, 4096n, "0x1000", {}, new Uint8Array(8)] as any) {
    assertThrows(() => new PointerView(pointer), TypeError, "Cannot view memory: got");
  }
  // deno-lint-ignore no-explicit-any -- as above
  const message = (value: any): string =>
    assertThrows(() => new PointerView(value), TypeError).message;
  assertStringIncludes(message(null), "NULL points at nothing, so look for null first");
  for (const buffer of [new Uint8Array(8), new ArrayBuffer(8), new DataView(new ArrayBuffer(8))]) {
    assertStringIncludes(message(buffer), "for a pointer; use PointerView.of(buffer)");
  }
});

Deno.test("PointerView refuses offsets that are none, and destinations that are none", () => {
  withPointer(Uint8Array.of(1, 0), (pointer) => {
    const view = new PointerView(pointer);
    for (const offset of [0.5, NaN, Infinity, 2 ** 60]) {
      assertThrows(() => view.getCString(offset), RangeError, "offset must be an integer");
      assertThrows(() => view.copyInto(new Uint8Array(1), offset), RangeError, `got ${offset}`);
    }
    // deno-lint-ignore no-explicit-any -- what a program without types can pass
    for (const value of ["1", 1n, null, {}] as any) {
      assertThrows(() => view.getCString(value), Error, "offset must be an integer");
    }
    const of = PointerView.of(new Uint8Array(8));
    // deno-lint-ignore no-explicit-any -- what a program without types can pass
    for (const value of [0.5, "1", 1n, null, {}, Symbol.iterator, Object.create(null)] as any) {
      assertThrows(() => of.getInt8(value), RangeError, "offset must be an integer");
      assertThrows(() => of.setInt8(value, 1), RangeError, "offset must be an integer");
    }
    // deno-lint-ignore no-explicit-any -- what a program without types can pass
    for (const value of [null, [], new ArrayBuffer(8), new Uint16Array(4)] as any) {
      const error = assertThrows(() => view.copyInto(value), TypeError, "Cannot copy memory");
      assertStringIncludes(error.message, "destination must be a Uint8Array");
    }
  });
});

Deno.test("PointerView refuses an offset that leads to the null pointer", () => {
  using library = dlopen(testBodies, {
    pointer: { name: "same_pointer", parameters: ["usize"], result: "pointer" },
  });
  const view = new PointerView(library.symbols.pointer(4096n)!);
  for (const offset of [-4096, -5000]) {
    assertThrows(() => view.getCString(offset), RangeError, "Cannot reach memory");
    assertThrows(() => view.copyInto(new Uint8Array(1), offset), RangeError, "Cannot reach memory");
  }
});

Deno.test("PointerView.copyInto() does not believe a length that an object claims", () => {
  withPointer(new Uint8Array(16), (pointer) => {
    const destination = new Uint8Array(16);
    Object.defineProperty(destination, "length", { value: 1024 * 1024 });
    Object.defineProperty(destination, "byteLength", { value: 1024 * 1024 });
    new PointerView(pointer).copyInto(destination);
    assertEquals(destination[15], 0);
  });
});

Deno.test("PointerView.copyInto() refuses a destination that is detached", () => {
  withPointer(new Uint8Array(16), (pointer) => {
    const destination = new Uint8Array(16);
    destination.buffer.transfer();
    assertThrows(
      () => new PointerView(pointer).copyInto(destination),
      TypeError,
      "must be attached",
    );
  });
});

Deno.test("PointerView reads and writes values of every type, at any offset", () => {
  const view = PointerView.of(new Uint8Array(64));
  const cases = [
    ["Bool", [true, false]],
    ["Int8", [-128, 127, 0]],
    ["Uint8", [255, 0]],
    ["Int16", [-32768, 32767]],
    ["Uint16", [65535]],
    ["Int32", [-(2 ** 31), 2 ** 31 - 1]],
    ["Uint32", [2 ** 32 - 1]],
    ["BigInt64", [-(2n ** 63n), 2n ** 63n - 1n]],
    ["BigUint64", [2n ** 64n - 1n, 2n ** 53n + 1n]],
    ["Float32", [-0, 0.5, Infinity, NaN]],
    ["Float64", [-0, 5e-324, 1.7976931348623157e308, NaN]],
  ] as const;
  for (const [type, values] of cases) {
    for (const value of values) {
      for (const offset of [0, 1, 13, 56]) {
        // deno-lint-ignore no-explicit-any -- the methods of one type, by its name
        const methods = view as any;
        methods[`set${type}`](offset, value);
        assertEquals(methods[`get${type}`](offset), value, `${type} at ${offset}`);
      }
      // deno-lint-ignore no-explicit-any -- as above
      const methods = view as any;
      methods[`set${type}`](0, value);
      assertEquals(methods[`get${type}`](), value);
    }
  }
});

Deno.test("PointerView writes no more than the type has, and bytes where it is told to", () => {
  const bytes = new Uint8Array(16).fill(0xee);
  const view = PointerView.of(bytes);
  view.setInt16(3, -2);
  assertEquals(bytes.subarray(2, 6), Uint8Array.of(0xee, 0xfe, 0xff, 0xee));
  view.setBool(8, true);
  assertEquals(bytes.subarray(7, 10), Uint8Array.of(0xee, 1, 0xee));
  view.copyFrom(Uint8Array.of(1, 2, 3), 12);
  assertEquals(bytes.subarray(11), Uint8Array.of(0xee, 1, 2, 3, 0xee));
  view.copyFrom(new Uint8Array(0), 100);
  // Onto itself, too.
  bytes.set([1, 2, 3, 4, 5]);
  view.copyFrom(bytes.subarray(0, 4), 1);
  assertEquals(bytes.subarray(0, 6), Uint8Array.of(1, 1, 2, 3, 4, 0xee));
});

Deno.test("PointerView follows pointers, and writes them: structs that refer to buffers", () => {
  const text = new TextEncoder().encode("there\0");
  const target = PointerView.of(text);
  const struct = PointerView.of(new Uint8Array(16));
  assertEquals(struct.getPointer(8), null);
  struct.setPointer(8, target.pointer);
  assertEquals(new PointerView(struct.getPointer(8)!).getCString(), "there");
  assertEquals(struct.getBigUint64(8), target.address);
  assertEquals(PointerView.of(text.subarray(1)).address, target.address + 1n);
  struct.setPointer(8, null);
  assertEquals(struct.getPointer(8), null);
  using callback = new Callback({ parameters: [], result: "void" }, () => {});
  struct.setPointer(0, callback);
  assertEquals(struct.getBigUint64(), new PointerView(callback.pointer).address);
});

Deno.test("PointerView.of() keeps its buffer for as long as the view is held", async () => {
  let collected = 0;
  const registry = new FinalizationRegistry(() => collected++);
  let view: PointerView | undefined;
  // In a function of its own, so that no register or slot still refers to the buffer.
  (() => {
    const bytes = new Uint8Array(new ArrayBuffer(100_000)).fill(7);
    registry.register(bytes.buffer, undefined);
    view = PointerView.of(bytes);
  })();
  await collectUntil(() => collected > 0);
  assertEquals([collected, view!.getUint8(99_999)], [0, 7]);
  view = undefined;
  await collectUntil(() => collected > 0);
  assertEquals(collected, 1);
});

Deno.test("PointerView.of() refuses to go on when its buffer has been transferred", () => {
  const bytes = new Uint8Array(100_000);
  const view = PointerView.of(bytes);
  bytes.buffer.transfer(0);
  for (
    const use of [
      () => view.getUint8(),
      () => view.getFloat64(8),
      () => view.getPointer(),
      () => view.setUint8(0, 1),
      () => view.getCString(),
      () => view.copyInto(new Uint8Array(1)),
      () => view.copyFrom(new Uint8Array(1)),
    ]
  ) assertThrows(use, TypeError, "the buffer that the view is of has been transferred");
});

Deno.test("PointerView.of() keeps to its buffer, whichever way it is reached", () => {
  const all = new Uint8Array(24).fill(0xee);
  const view = PointerView.of(all.subarray(8, 16));
  view.setFloat64(0, 1);
  view.setUint8(7, 1);
  for (
    const use of [
      () => view.setFloat64(4, 1),
      () => view.setInt32(-1, 1),
      () => view.setUint8(8, 1),
      () => view.getUint8(8),
      () => view.getBigInt64(1),
      () => view.getPointer(-8),
      () => view.getCString(8),
      () => view.copyInto(new Uint8Array(9)),
      () => view.copyFrom(new Uint8Array(2), 7),
    ]
  ) assertThrows(use, RangeError, "are not all in the buffer, which has 8");
  assertEquals(new Set([...all.subarray(0, 8), ...all.subarray(16)]), new Set([0xee]));
});

Deno.test("PointerView.of() reads no string beyond its buffer", () => {
  const bytes = new TextEncoder().encode("one\0two");
  const view = PointerView.of(bytes);
  assertEquals([view.getCString(), view.getCString(2)], ["one", "e"]);
  assertThrows(() => view.getCString(4), RangeError, "has no zero byte from offset 4 on");
  assertThrows(() => PointerView.of(bytes.subarray(0, 3)).getCString(), RangeError, "no zero byte");
});

Deno.test("PointerView takes -0 for an offset, and nobody can change where it points", () => {
  const view = PointerView.of(Uint8Array.of(5, 6));
  assertEquals(view.getUint8(-0), 5);
  view.setUint8(-0, 7);
  assertEquals([view.getUint8(), view.getUint8(1)], [7, 6]);
  assertThrows(() => (view as { pointer: unknown }).pointer = null, TypeError);
  const { getUint8 } = PointerView.prototype;
  assertThrows(() => getUint8.call({ pointer: null } as never), TypeError);
});

Deno.test("PointerView refuses values of the wrong type, and buffers that it cannot view", () => {
  const view = PointerView.of(new Uint8Array(8).fill(1));
  // deno-lint-ignore no-explicit-any -- what a program without types can pass
  const any = view as any;
  const what = "Cannot write memory: the value must be";
  assertThrows(() => any.setInt32(0, "1"), TypeError, what);
  assertThrows(() => any.setInt32(0, 2 ** 31), RangeError, what);
  assertThrows(() => any.setUint8(0, 256), RangeError, what);
  assertThrows(() => any.setBool(0, 1), TypeError, what);
  assertThrows(() => any.setFloat64(0, 1n), TypeError, what);
  assertThrows(
    () => any.setPointer(0, 4096n),
    TypeError,
    "must be a Callback, a function of dlopen, a Deno.PointerObject",
  );
  assertThrows(() => any.setPointer(0, {}), TypeError, "or null (function): got an object");
  assertThrows(() => any.copyFrom([1]), TypeError, "source must be a Uint8Array");
  assertThrows(() => any.setInt32(0.5, 1), RangeError, "offset must be an integer");
  assertEquals(view.getBigUint64(), 0x0101010101010101n);
  // deno-lint-ignore no-explicit-any -- as above
  const of = PointerView.of as any;
  for (const value of [undefined, 5, "bytes", [1]]) {
    assertThrows(() => of(value), TypeError, "Cannot view memory: the buffer must be");
  }
  for (const value of [null, new Uint8Array(0), new ArrayBuffer(0)]) {
    assertThrows(() => of(value), TypeError, "must have at least one byte");
  }
  const shared = new SharedArrayBuffer(8);
  assertThrows(() => of(shared), TypeError, "must not be over shared memory");
});

Deno.test("PointerView of what only looks like a pointer is refused, optimised or not", () => {
  const view = PointerView.of(new Uint8Array(8));
  const read = (pointer: Deno.PointerObject) => new PointerView(pointer).getFloat64();
  for (let i = 0; i < 50_000; i++) read(view.pointer);
  // So the view, and with it the buffer, was held all the time.
  assertEquals(view.getFloat64(), 0);
  const forged = Object.create(null);
  assertThrows(() => read(forged), TypeError, "pointer");
  assertThrows(() => new PointerView(forged).getCString(), TypeError, "pointer");
  assertThrows(() => new PointerView(forged).setInt8(0, 1), TypeError, "pointer");
});

Deno.test("PointerView.of() keeps the buffer while its pointer is held, or C has it", async () => {
  using library = openBodies();
  const { call_pointer } = library.symbols;
  const turn = () => new Promise((resolve) => setTimeout(resolve));
  const isAlive = async (ref: WeakRef<ArrayBuffer>): Promise<boolean> => {
    await turn();
    gc();
    return ref.deref() !== undefined;
  };
  let ref!: WeakRef<ArrayBuffer>;
  const make = (): Deno.PointerObject => {
    const bytes = new Uint8Array(1000).fill(7);
    ref = new WeakRef(bytes.buffer);
    return PointerView.of(bytes).pointer;
  };
  const seen: unknown[] = [];
  await call_pointer.async(async (pointer) => {
    seen.push(await isAlive(ref), new PointerView(pointer!).getUint8(999));
    return null;
  }, make());
  assertEquals(seen, [true, 7]);
  assertEquals(await isAlive(ref), false);
  const held = [make()];
  assertEquals(await isAlive(ref), true);
  held.pop();
  assertEquals(await isAlive(ref), false);
});

/** A view of the same memory by its address alone: of no buffer, as far as the view knows. */
function foreign(view: PointerView): PointerView {
  return PointerView.at(view.address);
}

Deno.test("PointerView.at() views an address, and refuses what is none", () => {
  using memory = PointerView.allocate(8);
  memory.setInt32(4, 7);
  assertEquals(PointerView.at(memory.address).getInt32(4), 7);
  assertEquals(PointerView.at(Number(memory.address)).address, memory.address);
  for (const address of [0, 0n]) {
    assertThrows(() => PointerView.at(address), TypeError, "NULL points at nothing");
  }
  // deno-lint-ignore no-explicit-any -- what a program without types can pass
  for (const address of [-1n, 2n ** 64n, 0.5, "4096", null, memory.pointer] as any) {
    assertThrows(() => PointerView.at(address), Error, "Cannot view memory: the address must be");
  }
});

Deno.test("PointerView.add() moves the view, and keeps to the buffer", () => {
  const bytes = Uint8Array.from({ length: 16 }, (_, i) => i);
  const view = PointerView.of(bytes.subarray(4, 12));
  for (const start of [view, foreign(view)]) {
    assertEquals(start.add(3).getUint8(), 7);
    assertEquals(start.add(3n).getUint8(-3), 4);
    assertEquals(start.add(8).add(-1).getUint8(), 11);
    assertEquals(start.add(5).address, start.address + 5n);
    assertEquals(new PointerView(start.add(2).pointer).getUint8(), 6);
  }
  const added = view.add(6);
  const where = "which has 8, 6 of them before the view";
  assertThrows(() => added.getInt32(), RangeError, `4 bytes at offset 0 are not all in the buffer`);
  assertThrows(() => added.getUint8(2), RangeError, where);
  assertThrows(() => added.getUint8(-7), RangeError, where);
  assertThrows(() => added.getBytes(0, 3), RangeError, where);
  assertThrows(
    () => added.add(3),
    RangeError,
    `3 bytes from the view on is not in the buffer, ${where}`,
  );
  assertThrows(() => view.add(-1), RangeError, "-1 bytes from the view on is not in the buffer");
  assertThrows(() => view.add(8).getUint8(), RangeError, "which has 8");
  bytes.set([65, 66, 0], 9);
  assertEquals([view.add(5).getCString(), view.add(6).getCString(-1)], ["AB", "AB"]);
  // The zero byte lies before it.
  const behind = PointerView.of(Uint8Array.of(1, 0, 2, 3)).add(2);
  assertThrows(() => behind.getCString(), RangeError, "has no zero byte from offset 0 on");
  assertThrows(() => foreign(view).add(-(2n ** 63n)), RangeError, "leads to the null pointer");
  assertThrows(() => foreign(view).add(-view.address), RangeError, "leads to the null pointer");
  // deno-lint-ignore no-explicit-any -- what a program without types can pass
  for (const distance of [0.5, "1", null, 2n ** 63n] as any) {
    assertThrows(() => view.add(distance), Error, "the distance must be an integer");
  }
});

Deno.test("PointerView.add() keeps the buffer, as the view does that it is made from", async () => {
  const collected: string[] = [];
  const registry = new FinalizationRegistry<string>((name) => collected.push(name));
  let added: PointerView | undefined;
  (() => {
    const bytes = new Uint8Array(new ArrayBuffer(100_000)).fill(7);
    registry.register(bytes.buffer, "buffer");
    registry.register(new ArrayBuffer(8), "garbage");
    added = PointerView.of(bytes).add(50_000);
  })();
  await collectUntil(() => collected.length > 0);
  assertEquals([collected.join(), added!.getUint8(49_999)], ["garbage", 7]);
  added = undefined;
  await collectUntil(() => collected.length > 1);
  assertEquals(collected, ["garbage", "buffer"]);
});

Deno.test("PointerView.add() holds what the pointer holds that it is made from", async () => {
  const point = struct({ x: "i32", inner: struct({ y: "i32" }) });
  const collected: string[] = [];
  const registry = new FinalizationRegistry<string>((name) => collected.push(name));
  const make = (name: string): Deno.PointerObject => {
    const bytes = new Uint8Array(new ArrayBuffer(100_000)).fill(7);
    registry.register(bytes.buffer, name);
    return PointerView.of(bytes).pointer;
  };
  const views: PointerView[] = [];
  const pointers: Deno.PointerObject[] = [];
  // In a function of its own, so that no register or slot still refers to the first pointers.
  (() => {
    views.push(new PointerView(make("add")).add(1).add(99_998));
    views.push(PointerView.of(point.view(make("&")).inner));
    pointers.push(new PointerView(make("pointer")).add(99_998).pointer);
    make("garbage");
  })();
  await collectUntil(() => collected.length > 0);
  assertEquals(collected, ["garbage"]);
  assertEquals(views.map((view) => view.getUint8()), [7, 7]);
  assertEquals(new PointerView(pointers[0]!).add(1).getUint8(), 7);
  views.length = pointers.length = 0;
  await collectUntil(() => collected.length > 3);
  assertEquals(collected.sort(), ["&", "add", "garbage", "pointer"]);
});

Deno.test("PointerView.getBytes() and getString() read what is counted", () => {
  const bytes = new TextEncoder().encode("grün\0und\0");
  const view = PointerView.of(bytes);
  for (const text of [view, foreign(view)]) {
    assertEquals(text.getBytes(), bytes.slice(0, 5));
    assertEquals(text.getBytes(6), bytes.slice(6, 9));
    assertEquals(text.getBytes(4, 4), bytes.slice(4, 8));
    assertEquals(text.getBytes(4, 0), new Uint8Array(0));
    assertEquals(text.getString(0, 9), "grün\0und");
    assertEquals(text.getString(1, 1), "r");
    assertEquals(text.getString(0, 4, "latin1"), "gr\u00c3\u00bc");
    text.getBytes()[0] = 0;
    // deno-lint-ignore no-explicit-any -- what a program without types can pass
    for (const length of [-1, 0.5, "1", null, NaN, 2 ** 60] as any) {
      assertThrows(() => text.getBytes(0, length), RangeError);
    }
  }
  assertEquals(bytes[0], 103);
  assertThrows(() => view.getBytes(0, 11), RangeError, "11 bytes at offset 0 are not all in");
  // Before room for them is made.
  assertThrows(() => view.getBytes(0, 2 ** 50), RangeError, "are not all in the buffer");
  assertThrows(
    () => view.getBytes(0, -1),
    RangeError,
    "length must be an integer from 0 on: got -1",
  );
  assertThrows(() => PointerView.of(bytes.subarray(0, 3)).getBytes(), RangeError, "no zero byte");
});

Deno.test("PointerView reads and writes strings in other encodings than UTF-8", () => {
  const text = "grün 😀!";
  const sizes = { "utf-8": 12, "utf-16": 18, "utf-32": 32, latin1: 6 } as const;
  for (const [name, size] of Object.entries(sizes)) {
    const encoding = name as keyof typeof sizes;
    const part = encoding === "latin1" ? "grün\xff" : text;
    for (const offset of [0, 1]) {
      const bytes = new Uint8Array(40).fill(0xee);
      const view = PointerView.of(bytes);
      assertEquals(view.setCString(offset, part, encoding), size, name);
      assertEquals(bytes[offset + size], 0xee);
      for (const where of [view, foreign(view)]) {
        assertEquals(where.getCString(offset, encoding), part, name);
        const length = where.getCString(offset, encoding) === part ? size : 0;
        assertEquals(where.getString(offset, length, encoding), `${part}\0`);
      }
      const short = PointerView.of(bytes.subarray(0, offset + size - 1));
      assertThrows(
        () => short.getCString(offset, encoding),
        RangeError,
        "no zero byte from offset",
      );
      assertThrows(() => short.setCString(offset, part, encoding), RangeError, "not all in");
    }
  }
  const unknown = PointerView.of(Uint32Array.of(0x110000, 0x10ffff, 0xd800, 0));
  assertEquals(unknown.getCString(0, "utf-32"), "\ufffd\u{10ffff}\ud800");
  assertEquals(unknown.getCString(8, "utf-16"), "\ud800");
  const view = PointerView.of(new Uint8Array(8));
  assertThrows(() => view.setCString(0, "a\0b", "utf-16"), TypeError, "U+0000");
  assertThrows(() => view.setCString(0, "aĀb", "latin1"), RangeError, 'Latin-1 has not: got "Āb"');
  // deno-lint-ignore no-explicit-any -- what a program without types can pass
  const any = view as any;
  assertThrows(() => any.setCString(0, null), TypeError, "the value must be a string: got null");
  for (const encoding of ["ascii", null, 5]) {
    for (const use of ["getCString", "getString", "getCStrings", "setCString"]) {
      const more = use === "setCString" ? ["x"] : use === "getString" ? [1] : [];
      assertThrows(() => any[use](0, ...more, encoding), TypeError, 'encoding must be "utf-8"');
    }
  }
});

Deno.test("PointerView.getPointers() makes no array of more than there can be", () => {
  const view = PointerView.of(new Uint8Array(32));
  assertEquals(view.getPointers(8, 3), [null, null, null]);
  assertEquals(view.getPointers(32, 0), []);
  assertThrows(() => view.getPointers(8, 4), RangeError, "32 bytes at offset 8 are not all in");
  for (const count of [2 ** 53 - 1, 2 ** 32 - 1, 2 ** 28 + 1]) {
    for (const at of [view, PointerView.at(view.address)]) {
      assertThrows(() => at.getPointers(0, count), RangeError, "offset must be an integer");
    }
  }
});

Deno.test("PointerView.getPointers() and getCStrings() read arrays of pointers", () => {
  const names = ["one", "grün", ""].map((name) => {
    const view = PointerView.allocate(16);
    view.setCString(0, name);
    return view;
  });
  using array = PointerView.allocate(48);
  for (const [i, { pointer }] of names.entries()) array.setPointer(8 * (i + 1), pointer);
  for (const view of [array, foreign(array)]) {
    assertEquals(view.getPointers(), []);
    assertEquals(view.getPointers(8).length, 3);
    assertEquals(view.getCStrings(8), ["one", "grün", ""]);
    assertEquals(view.getCStrings(8, "latin1")[1], "gr\u00c3\u00bcn");
    const counted = view.getPointers(0, 5);
    assertEquals(counted.map((pointer) => pointer && new PointerView(pointer).getCString()), [
      ...[null, "one", "grün", "", null],
    ]);
    assertEquals(view.getPointers(8, 0), []);
    for (const count of [-1, 0.5]) {
      assertThrows(() => view.getPointers(0, count), RangeError, "count must be an integer");
    }
  }
  const open = PointerView.of(new Uint8Array(16).fill(1));
  assertThrows(() => open.getPointers(), RangeError, "are not all in the buffer, which has 16");
  for (const name of names) name[Symbol.dispose]();
});

Deno.test("PointerView.allocate() makes memory of zeros, aligned, and refuses other sizes", () => {
  for (const alignment of [1, 2, 16, 64, 4096]) {
    for (let i = 0; i < 8; i++) {
      using memory = PointerView.allocate(24, alignment);
      assertEquals(memory.address % BigInt(alignment), 0n);
      assertEquals(memory.getBytes(0, 24), new Uint8Array(24));
      assertThrows(() => memory.getUint8(24), RangeError, "which has 24");
    }
  }
  using memory = PointerView.allocate(1);
  assertEquals(memory.address % 16n, 0n);
  // deno-lint-ignore no-explicit-any -- what a program without types can pass
  for (const value of [0, -1, 0.5, NaN, "8", 8n, null] as any) {
    assertThrows(
      () => PointerView.allocate(value),
      RangeError,
      "size must be an integer from 1 on",
    );
    assertThrows(
      () => PointerView.allocate(8, value),
      RangeError,
      "alignment must be a power of two",
    );
  }
  for (const use of [PointerView.allocate, (size: number) => foreign(memory).getBytes(0, size)]) {
    assertThrows(() => use(2 ** 52), RangeError, "Cannot make room for memory: V8 has no 45035");
  }
  for (const alignment of [3, 8192]) {
    assertThrows(() => PointerView.allocate(8, alignment), RangeError, "up to 4096");
  }
  memory[Symbol.dispose]();
});

Deno.test("memory of allocate() stays until it is disposed of, and while it is held", async () => {
  const collected: string[] = [];
  const registry = new FinalizationRegistry<string>((name) => collected.push(name));
  let address = 0n;
  let dispose: (() => void) | undefined;
  (() => {
    const memory = PointerView.allocate(100_000);
    memory.setUint8(99_999, 7);
    address = memory.address;
    const weak = new WeakRef(memory);
    registry.register(memory, "view");
    dispose = () => weak.deref()?.[Symbol.dispose]();
    registry.register(new ArrayBuffer(8), "garbage");
  })();
  await collectUntil(() => collected.includes("view"));
  // Nobody but C has it now.
  for (let i = 0; i < 100; i++) new Uint8Array(100_000).fill(1);
  assertEquals(PointerView.at(address).getUint8(99_999), 7);
  dispose!();

  let kept: PointerView | undefined;
  (() => {
    using memory = PointerView.allocate(100_000);
    memory.setUint8(0, 8);
    kept = memory.add(0);
    registry.register(memory, "disposed");
  })();
  await collectUntil(() => collected.includes("disposed"));
  assertEquals(kept!.getUint8(), 8);

  const size = 2 ** 26;
  const external = (): number => Deno.memoryUsage().external;
  const before = external();
  for (let i = 0; i < 8; i++) {
    using _memory = PointerView.allocate(size);
  }
  // Words that were left on the stack may hold one or two.
  await collectUntil(() => external() < before + 3 * size);
  assert(external() < before + 3 * size, "memory that was disposed of goes");
});
