// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { dlopen, PointerView } from "../mod.ts";
import { gc, testBodies } from "./support.ts";

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
    assertThrows(() => new PointerView(pointer).copyInto(destination), RangeError);
  });
});

Deno.test("PointerView.copyInto() refuses a destination that is detached", () => {
  withPointer(new Uint8Array(16), (pointer) => {
    const destination = new Uint8Array(16);
    destination.buffer.transfer();
    assertThrows(() => new PointerView(pointer).copyInto(destination), TypeError, "is detached");
  });
});
