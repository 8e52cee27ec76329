// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

import { assertEquals } from "@std/assert";
import { encodeCString, readCString } from "../ffi/cstring.ts";
import { PointerView } from "../mod.ts";
import { gc } from "./support.ts";

/** What `readCString` makes of bytes, behind which a zero is put. */
function read(bytes: Uint8Array): string | null {
  const string = new Uint8Array(bytes.length + 1);
  string.set(bytes);
  const view = PointerView.of(string);
  gc({ type: "minor" } as never);
  return readCString(view.address);
}

Deno.test("readCString() gives back what encodeCString() made, of every length", () => {
  const text = "The quick brown fox jumps over the lazy dog ".repeat(200);
  for (const length of [0, 1, 7, 8, 9, 16, 31, 32, 33, 40, 4095, 4096, 4097, 8000, 3]) {
    const part = text.slice(0, length);
    assertEquals(read(encodeCString(part, "test")!.subarray(0, -1)), part);
  }
});

Deno.test("readCString() decodes UTF-8 wherever it stands in a short string", () => {
  for (let length = 0; length < 40; length++) {
    for (const char of ["ü", "€", "😀", "\u{7f}", "\u{80}"]) {
      for (let at = 0; at <= length; at += 3) {
        const text = "x".repeat(at) + char + "y".repeat(length - at);
        assertEquals(read(new TextEncoder().encode(text)), text);
      }
    }
  }
});

Deno.test("readCString() replaces what is no UTF-8, and keeps a mark of the byte order", () => {
  assertEquals(read(Uint8Array.of(0x61, 0xff, 0x62)), "a\ufffdb");
  assertEquals(read(Uint8Array.of(0xe2, 0x82)), "\ufffd");
  assertEquals(read(Uint8Array.of(0xef, 0xbb, 0xbf, 0x61)), "\ufeffa");
  assertEquals(read(new TextEncoder().encode("\ufeff" + "a".repeat(100)))!.length, 101);
});

Deno.test("readCString() and encodeCString() keep null", () => {
  assertEquals(readCString(0n), null);
  assertEquals(encodeCString(null, "test"), null);
});
