// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** What is a buffer, whatever an object says of itself. */

import { assert, assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { bytesOf, isDetached } from "../../ffi/buffer.ts";

Deno.test("bytesOf() views the very memory of buffers and views of every kind", () => {
  const buffer = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8).buffer;
  const cases: readonly (readonly [BufferSource, number, number])[] = [
    [buffer, 0, 8],
    [new Uint8Array(buffer, 2, 3), 2, 3],
    [new Int16Array(buffer, 2, 2), 2, 4],
    [new Float64Array(buffer), 0, 8],
    [new BigInt64Array(buffer), 0, 8],
    [new DataView(buffer, 5, 2), 5, 2],
    [new Uint8Array(buffer, 8), 8, 0],
  ];
  for (const [value, offset, length] of cases) {
    const bytes = bytesOf(value, "Cannot test");
    assert(bytes !== null);
    assertStrictEquals(bytes.buffer, buffer);
    assertEquals([bytes.byteOffset, bytes.length], [offset, length]);
  }
  assertEquals(bytesOf(null, "Cannot test"), null);
});

Deno.test("bytesOf() asks V8, and not the object", () => {
  const lie = { get: () => 1_000_000 };
  const properties = { byteOffset: lie, byteLength: lie, length: lie, buffer: lie };
  const array = Object.defineProperties(Uint8Array.of(1, 2), properties);
  assertEquals(bytesOf(array, "Cannot test"), Uint8Array.of(1, 2));
  const view = Object.defineProperties(new DataView(new ArrayBuffer(3)), properties);
  assertEquals(bytesOf(view, "Cannot test")!.length, 3);
  const forged = Object.create(ArrayBuffer.prototype);
  assertThrows(() => bytesOf(forged, "Cannot test"), TypeError, "Cannot test must be an ArrayBuf");
  const proxy = new Proxy(new ArrayBuffer(8), {});
  assertThrows(() => bytesOf(proxy, "Cannot test"), TypeError, "Cannot test must be an ArrayBuf");
});

Deno.test("isDetached() says so, whatever the buffer says", () => {
  const buffer = new ArrayBuffer(8);
  const lie = (detached: boolean) =>
    Object.defineProperty(buffer, "detached", { value: detached, configurable: true });
  assertEquals(isDetached(lie(true)), false);
  buffer.transfer();
  assertEquals(isDetached(lie(false)), true);
});
