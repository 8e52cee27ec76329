// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** What keeps strings and buffers for C; how calls use it is in the tests of those. */

import { assert, assertEquals } from "@std/assert";
import { readCString } from "../../ffi/value/cstring.ts";
import { type Answered, ANSWERS_KEPT, Kept } from "../../ffi/value/kept.ts";
import { native } from "../../ffi/library/find.ts";
import { collectUntil, gc } from "../support/support.ts";

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

Deno.test("Kept uses the memory of strings again, once they are let go", () => {
  const kept = new Kept();
  const first = kept.keepString("one", "Cannot test");
  assertEquals(kept.keepString("two", "Cannot test"), first + 4n);
  kept.clear();
  assertEquals(kept.keepString("three", "Cannot test"), first);
});

const buffers = { keptCount: 1, bufferCount: 1 };
const strings = { keptCount: 1, bufferCount: 0 };

Deno.test("Kept keeps the last 16 answers of each callback, and lets go of the others", () => {
  const kept = new Kept();
  const argument = Uint8Array.of(1);
  kept.keepBytes(argument);
  const others = { keptCount: 1, bufferCount: 1 };
  const answers: WeakRef<ArrayBuffer>[] = [];
  const answer = (callback: Answered): void => {
    const bytes = new Uint8Array(64);
    answers.push(new WeakRef(bytes.buffer));
    kept.answersTo(callback, false).keepBytes(bytes, "Cannot test");
  };
  answer(others);
  for (let i = 0; i < 100; i++) answer(buffers);
  // Held by a WeakRef until the task ends that has made it: so this is no count of what is there.
  const alive = (): boolean[] => answers.map((ref) => ref.deref() !== undefined);
  return new Promise<void>((resolve) => setTimeout(resolve)).then(() => {
    gc();
    const [first, ...rest] = alive();
    assertEquals([first, rest.lastIndexOf(false)], [true, 100 - ANSWERS_KEPT - 1]);
    assertEquals(rest.filter((isAlive) => isAlive).length, ANSWERS_KEPT);
    kept.clear();
    return new Promise<void>((resolve) => setTimeout(resolve));
  }).then(() => {
    gc();
    assert(alive().every((isAlive) => !isAlive));
  });
});

Deno.test("Kept sees an answer go for as long as C may use it, and no longer", () => {
  for (const more of [0, 1, ANSWERS_KEPT - 1, ANSWERS_KEPT, 100]) {
    const kept = new Kept();
    const answer = (isAgain: boolean): Uint8Array<ArrayBuffer> => {
      const bytes = new Uint8Array(64);
      kept.answersTo(buffers, isAgain).keepBytes(bytes, "Cannot test");
      return bytes;
    };
    const bytes = answer(false);
    for (let i = 0; i < more; i++) {
      // An answer that is null, and answers that C has not got, count as none.
      kept.answersTo(buffers, false);
      answer(false);
      for (let k = 0; k < 20; k++) answer(true);
    }
    assertEquals(kept.isGone, false);
    bytes.buffer.transfer();
    assertEquals(kept.isGone, more < ANSWERS_KEPT, `after ${more} more`);
  }
});

Deno.test("Kept keeps strings that C has, and uses their memory again", () => {
  const kept = new Kept();
  const told: bigint[] = [];
  const texts: string[] = [];
  const addresses = new Set<bigint>();
  for (let i = 0; i < 3000; i++) {
    const text = `${i} `.repeat(i < 2000 ? i % 500 : 30_000 * (i % 2));
    told.push(kept.answersTo(strings, false).keepString(text, "Cannot test"));
    texts.push(text);
    if (i < 2000) addresses.add(told.at(-1)!);
    if (i % 97 === 0) gc("minor");
    const from = Math.max(0, i - ANSWERS_KEPT + 1);
    if (i % 50 === 0) assertEquals(told.slice(from).map(readCString), texts.slice(from));
  }
  // The short ones lie together; then there are 16 places, which grow a few times.
  assert(addresses.size < 400, `${addresses.size}`);
  assertEquals(kept.answersTo(strings, false).keepString(null, "Cannot test"), 0n);
  assertEquals(kept.hasBuffers, false);
});

Deno.test("Kept has room for structs, aligned as they are, and uses it again", () => {
  const kept = new Kept();
  const sizes = [[24, 8], [64, 32], [1, 1], [4096, 16], [40, 8], [64, 64], [900, 8], [
    24,
    8,
  ]] as const;
  const taken = sizes.map(([size, alignment]) => {
    return [kept.keepRoom(size, alignment), BigInt(size), BigInt(alignment)] as const;
  });
  assertEquals(taken.map(([address, , alignment]) => address % alignment), Array(8).fill(0n));
  taken.sort(([a], [b]) => a < b ? -1 : 1);
  taken.reduce((end, [address, size]) => {
    assert(address >= end, "they overlap");
    return address + size;
  }, 0n);
  kept.clear();
  const again = kept.keepRoom(24, 8);
  assert(taken.some(([address]) => address === again));
});

Deno.test("Kept has what pointers in structs lead to, until it lets go of all", async () => {
  const kept = new Kept();
  const collected: string[] = [];
  const registry = new FinalizationRegistry<string>((name) => collected.push(name));
  (() => {
    const object = { memory: new Uint8Array(64) };
    registry.register(object, "held");
    registry.register({}, "other");
    kept.keepAt(0, object);
    kept.keepAt(8, null);
    kept.keepAt(16, 5n);
  })();
  await collectUntil(() => collected.length > 0);
  assertEquals(collected, ["other"]);
  kept.clear();
  await collectUntil(() => collected.length > 1);
  assertEquals(collected, ["other", "held"]);
});
