// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** What keeps strings and buffers for C; how calls use it is in the tests of those. */

import { assertEquals, assertNotEquals } from "@std/assert";
import { readCString } from "../../ffi/value/cstring.ts";
import { Kept, Lent } from "../../ffi/value/kept.ts";
import { native } from "../../ffi/library/find.ts";
import { Mailbox } from "../../ffi/layout.ts";
import { OsStack } from "../../mod.ts";

/** The bytes at an address. */
function at(address: bigint, length: number): Uint8Array {
  const bytes = new Uint8Array(new ArrayBuffer(length));
  native().copyIn(bytes, address, BigInt(length));
  return bytes;
}

Deno.test("Kept gives the addresses of JavaScript's own memory, and sees it go", () => {
  const kept = new Kept();
  assertEquals([kept.hasBuffers, kept.isGone], [false, false]);
  assertEquals(readCString(kept.keepString("grün", "Cannot test")), "grün");
  assertEquals(kept.hasBuffers, false);
  const bytes = Uint8Array.of(1, 2, 3);
  const address = kept.keepBytes(bytes);
  bytes[1] = 9;
  assertEquals(at(address, 3), Uint8Array.of(1, 9, 3));
  assertEquals([kept.hasBuffers, kept.isGone], [true, false]);
  bytes.buffer.transfer();
  assertEquals(kept.isGone, true);
  kept.clear();
  assertEquals([kept.hasBuffers, kept.isGone], [false, false]);
});

Deno.test("Lent copies both ways, one copy for all views of a buffer", () => {
  using stack = new OsStack();
  const view = new DataView(new ArrayBuffer(Mailbox.size));
  for (const size of [16, 100_000]) {
    const lent = new Lent(stack.base, view);
    const bytes = new Uint8Array(new ArrayBuffer(size)).fill(1);
    const address = lent.keepBytes(bytes, "Cannot test");
    assertEquals(lent.keepBytes(bytes.subarray(3), "Cannot test"), address + 3n);
    assertNotEquals(address, native().addressOfBuffer(bytes));
    bytes[size - 1] = 2;
    view.setInt32(Mailbox.input, 77, true);
    lent.lend();
    assertEquals(at(address + BigInt(size - 2), 2), Uint8Array.of(1, 2));
    assertEquals(at(lent.mailbox + BigInt(Mailbox.input), 1), Uint8Array.of(77));
    // As C would.
    native().copyOut(address, Uint8Array.of(5), 1n);
    native().copyOut(lent.mailbox + BigInt(Mailbox.output), Uint8Array.of(6), 1n);
    lent.takeBack(Mailbox.size);
    assertEquals([bytes[0], view.getUint8(Mailbox.output)], [5, 6]);
    assertEquals(lent.isGone, false);
    bytes.buffer.transfer();
    assertEquals(lent.isGone, true);
    lent.takeBack(Mailbox.size);
    lent.release();
  }
});

Deno.test("Lent keeps everything between the mailbox and the frames, or in mappings", () => {
  using stack = new OsStack();
  const lent = new Lent(stack.base, new DataView(new ArrayBuffer(Mailbox.size)));
  const texts = Array.from({ length: 400 }, (_, i) => "ü".repeat(i));
  const addresses = texts.map((text) => lent.keepString(text, "Cannot test"));
  assertEquals(addresses.map(readCString), texts);
  for (const [i, address] of addresses.entries()) {
    const inStack = address >= lent.base && address + BigInt(2 * i + 1) <= lent.mailbox;
    const onStack = address >= stack.limit && address < stack.base;
    assertEquals(inStack, onStack, `${i} at ${address}`);
  }
  assertEquals(lent.keepString(null, "Cannot test"), 0n);
  lent.release();
});
