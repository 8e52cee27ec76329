// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** Strings to C and back: all lengths, all characters, and what is no UTF-8. */

import { assertEquals, assertThrows } from "@std/assert";
import { readCString, Strings } from "../../ffi/value/cstring.ts";
import { PointerView } from "../../mod.ts";
import { gc } from "../support/support.ts";

/** What `readCString` makes of bytes, behind which a zero is put. */
function read(bytes: Uint8Array): string | null {
  const string = new Uint8Array(bytes.length + 1);
  string.set(bytes);
  const view = PointerView.of(string);
  gc("minor");
  return readCString(view.address);
}

Deno.test("readCString() gives back what Strings.put() was given, of every length", () => {
  const strings = new Strings();
  const text = "The quick brown fox jumps over the lazy dog ".repeat(200);
  const lengths = [0, 1, 7, 8, 9, 16, 31, 32, 33, 40, 340, 341, 342, 1023, 1024, 4095, 4097, 8000];
  for (const letters of [text, "grün ".repeat(1700), "😀€".repeat(4000)]) {
    for (const length of [...lengths, 3]) {
      strings.clear();
      const part = letters.slice(0, length).toWellFormed();
      assertEquals(readCString(strings.put(part, "test")), part);
    }
  }
});

Deno.test("Strings keeps all strings of a call, whether they fit into its buffer or not", () => {
  const strings = new Strings();
  for (let round = 0; round < 3; round++) {
    const texts = Array.from({ length: 100 }, (_, i) => `${round} ${"ü".repeat(i % 40)} ${i}`);
    const addresses = texts.map((text) => strings.put(text, "test"));
    gc();
    assertEquals(addresses.map(readCString), texts);
    assertEquals(new Set(addresses).size, 100);
    strings.clear();
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

Deno.test("readCString() decodes any bytes as TextDecoder does, at every length", () => {
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  // Lead bytes, continuations and ASCII in turns that no encoder would make; the seed is fixed.
  let seed = 1;
  const kinds = [
    0x41,
    0x80,
    0xbf,
    0xc2,
    0xc0,
    0xe2,
    0xe0,
    0xed,
    0xf0,
    0xf4,
    0xf5,
    0xff,
    0xef,
    0xbb,
  ];
  for (let length = 1; length < 700; length = Math.ceil(length * 1.07)) {
    for (let round = 0; round < 20; round++) {
      const bytes = Uint8Array.from({ length }, () => {
        seed = (seed * 1103515245 + 12345) % 2 ** 31;
        return kinds[seed % 97 % kinds.length]!;
      });
      assertEquals(read(bytes), decoder.decode(bytes));
    }
  }
});

Deno.test("readCString() and Strings.put() keep null", () => {
  assertEquals(readCString(0n), null);
  assertEquals(new Strings().put(null, "test"), 0n);
});

Deno.test("Strings.put() refuses what is no string, and what C would cut off", () => {
  const strings = new Strings();
  for (const value of [undefined, 5, new Uint8Array(1)]) {
    assertThrows(
      () => strings.put(value, "Cannot test"),
      TypeError,
      "Cannot test must be a string",
    );
  }
  for (const value of ["\0", "a\0b", "x".repeat(2000) + "\0"]) {
    assertThrows(() => strings.put(value, "Cannot test"), TypeError, "the character U+0000");
  }
});
