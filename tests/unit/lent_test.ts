// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** Copies of strings and buffers for C on another thread; calls have tests of their own. */

import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { readCString } from "../../ffi/value/cstring.ts";
import { ANSWERS_KEPT } from "../../ffi/value/kept.ts";
import { Lent } from "../../ffi/value/lent.ts";
import { native } from "../../ffi/library/find.ts";
import { Mailbox } from "../../ffi/layout.ts";
import { OsStack } from "../../mod.ts";

const buffers = { keptCount: 1, bufferCount: 1 };
const strings = { keptCount: 1, bufferCount: 0 };

/** The bytes at an address. */
function at(address: bigint, length: number): Uint8Array {
  const bytes = new Uint8Array(new ArrayBuffer(length));
  native().copyIn(bytes, address, BigInt(length));
  return bytes;
}

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

Deno.test("Lent takes back no buffer that C has never been given", () => {
  using stack = new OsStack();
  const lent = new Lent(stack.base, new DataView(new ArrayBuffer(Mailbox.size)));
  const [first, second] = [1, 2].map((i) => new Uint8Array(new ArrayBuffer(16)).fill(i));
  const addresses = [lent.keepBytes(first!, "Cannot test")];
  lent.lendMailbox();
  lent.takeBack(Mailbox.size);
  assertEquals(first![0], 1);
  lent.lend();
  addresses.push(lent.keepBytes(second!, "Cannot test"));
  for (const address of addresses) native().copyOut(address, Uint8Array.of(5), 1n);
  lent.takeBack(Mailbox.size);
  assertEquals([first![0], second![0]], [5, 2]);
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

const makeLent = (stack: OsStack): Lent =>
  new Lent(stack.base, new DataView(new ArrayBuffer(Mailbox.size)));

Deno.test("Lent keeps copies of the last 16 answers of each callback, and copies no others", () => {
  using stack = new OsStack();
  for (const size of [8, 5000, 100_000]) {
    const lent = makeLent(stack);
    const argument = new Uint8Array(new ArrayBuffer(size)).fill(99);
    const first = lent.keepBytes(argument, "Cannot test");
    const answers: Uint8Array<ArrayBuffer>[] = [];
    const addresses: bigint[] = [];
    const answer = (bytes: Uint8Array<ArrayBuffer>): void => {
      addresses.push(lent.answersTo(buffers, false).keepBytes(bytes, "Cannot test"));
      answers.push(bytes);
      lent.lend();
    };
    for (let i = 0; i < 100; i++) answer(new Uint8Array(new ArrayBuffer(size)).fill(i));
    const held = addresses.slice(-ANSWERS_KEPT);
    assertEquals(held.map((address) => at(address, size)), answers.slice(-ANSWERS_KEPT));
    assertEquals(at(first, size), argument);
    assert(new Set(addresses).size <= ANSWERS_KEPT + 2, `${new Set(addresses).size}`);
    // The argument is answered, and forgotten as an answer: as an argument it stays.
    for (let i = 0; i < 20; i++) answer(i === 0 ? argument : answers[90]!);
    native().copyOut(first, Uint8Array.of(5), 1n);
    native().copyOut(addresses.at(-1)!, Uint8Array.of(6), 1n);
    answers[70]!.buffer.transfer();
    assertEquals(lent.isGone, false);
    lent.takeBack(Mailbox.size);
    assertEquals([argument[0], answers[90]![0]], [5, 6]);
    answers[90]!.buffer.transfer();
    assertEquals(lent.isGone, true);
    lent.release();
  }
});

Deno.test("Lent leaves the answer that C is to get when another in its place fails", () => {
  using stack = new OsStack();
  const lent = makeLent(stack);
  const address = lent.answersTo(strings, false).keepString("x".repeat(20_000), "Cannot test");
  for (const wrong of [5, "a\0b"]) {
    try {
      lent.answersTo(strings, true).keepString(wrong, "Cannot test");
      assert(false);
    } catch (error) {
      assert(error instanceof TypeError);
    }
  }
  assertEquals(readCString(address), "x".repeat(20_000));
  lent.release();
});

Deno.test("Lent has room for structs where another thread may write, aligned as they are", () => {
  using stack = new OsStack();
  const lent = makeLent(stack);
  const sizes = [[24, 8], [64, 32], [1, 1], [40_000, 16], [40, 8], [64, 64]] as const;
  const taken = sizes.map(([size, alignment]) => {
    const address = lent.keepRoom(size, alignment, "Cannot test");
    native().copyOut(address, new Uint8Array(new ArrayBuffer(size)).fill(size), BigInt(size));
    assertEquals(address % BigInt(alignment), 0n);
    return address;
  });
  for (const [i, [size]] of sizes.entries()) {
    assertEquals(at(taken[i]!, size), new Uint8Array(size).fill(size));
  }
  lent.release();
});
