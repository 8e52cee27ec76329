// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** `SliceStack`: which memory is taken, and memory that vanishes under a body. */

import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { Generator, PointerView, SliceStack, STACK_ALIGNMENT } from "../../mod.ts";
import { openBodies } from "../support/support.ts";

Deno.test("new SliceStack() aligns both ends inward", () => {
  const memory = new Uint8Array(8192);
  using whole = new SliceStack(memory);
  const start = whole.limit;
  for (let offset = 0; offset < 33; offset++) {
    for (const length of [4097, 4105, 4111, 4112]) {
      using stack = new SliceStack(memory.subarray(offset, offset + length));
      assertEquals(stack.base % BigInt(STACK_ALIGNMENT), 0n);
      assertEquals(stack.limit % BigInt(STACK_ALIGNMENT), 0n);
      assert(stack.limit >= start + BigInt(offset));
      assert(stack.base <= start + BigInt(offset + length));
      assert(stack.size > length - 2 * STACK_ALIGNMENT);
    }
  }
});

Deno.test("new SliceStack() refuses memory that is too small once it is aligned", () => {
  const memory = new Uint8Array(1024);
  for (const slice of [new Uint8Array(0), memory.subarray(0, 1), memory.subarray(1, 2)]) {
    const error = assertThrows(() => new SliceStack(slice), RangeError, "Cannot make stack");
    assertStringIncludes(error.message, `memory of ${slice.length} bytes is too small`);
    assertStringIncludes(error.message, "at least 512 must be left");
  }
  assertThrows(() => new SliceStack(memory.subarray(1, 513)), RangeError, "too small");
  using smallest = new SliceStack(memory.subarray(1, 528));
  assertEquals(smallest.size, 512);
});

Deno.test("new SliceStack() refuses what is no Uint8Array", () => {
  // deno-lint-ignore no-explicit-any -- what a program without types can pass
  for (const memory of [4096, null, new ArrayBuffer(4096), new Uint16Array(4096), [1]] as any) {
    const error = assertThrows(() => new SliceStack(memory), TypeError, "Cannot make stack");
    assertStringIncludes(error.message, "memory must be a Uint8Array");
  }
});

Deno.test("new SliceStack() refuses memory that is shared, or can be resized", () => {
  const shared = assertThrows(
    () => new SliceStack(new Uint8Array(new SharedArrayBuffer(4096))),
    TypeError,
    "Cannot make stack: memory is shared",
  );
  assertStringIncludes(shared.message, "use a Uint8Array over an ArrayBuffer");
  const resizable = new ArrayBuffer(4096, { maxByteLength: 8192 });
  const error = assertThrows(
    () => new SliceStack(new Uint8Array(resizable)),
    TypeError,
    "Cannot make stack: memory is resizable",
  );
  assertStringIncludes(error.message, "use a Uint8Array over a buffer of fixed length");
});

Deno.test("new SliceStack() refuses memory that is detached", () => {
  const memory = new Uint8Array(4096);
  memory.buffer.transfer();
  assertThrows(() => new SliceStack(memory), RangeError, "memory of 0 bytes is too small");
});

Deno.test("SliceStack runs a body in the caller's memory and nowhere else", () => {
  using library = openBodies();
  const memory = new Uint8Array(3 * 8192).fill(0xa5);
  const middle = memory.subarray(8192, 2 * 8192);
  using generator = Generator.unguarded(new SliceStack(middle), library.symbols.recurses);
  assertEquals(generator.resume(10), 10);
  assert(middle.some((byte) => byte !== 0xa5));
  assert(memory.subarray(0, 8192).every((byte) => byte === 0xa5));
  assert(memory.subarray(2 * 8192).every((byte) => byte === 0xa5));
});

Deno.test("SliceStack whose memory is detached under a body: every use of it is refused", () => {
  using library = openBodies();
  for (const name of ["echo_i32", "plain_echo", "echo_u32"] as const) {
    const memory = new Uint8Array(16 * 1024);
    const stack = new SliceStack(memory);
    const generator = Generator.unguarded(stack, library.symbols[name]);
    assertEquals(generator.resume(1), 1);
    assertEquals(generator.resume(2), 2);
    const moved = new Uint8Array(memory.buffer.transfer()).fill(0xcc);
    for (let i = 0; i < 2; i++) {
      const error = assertThrows(() => generator.resume(3), Error, "Cannot resume generator");
      assertStringIncludes(error.message, "the memory of its SliceStack has been detached");
      assertStringIncludes(error.message, "keep the buffer in place");
    }
    // Its frames are gone with the memory, so ending it touches nothing.
    assertEquals(generator.return(), { value: undefined, done: true });
    assertEquals(generator.state, "unavailable");
    assertThrows(() => Generator.unguarded(stack, library.symbols[name]), Error, "detached");
    assert(moved.every((byte) => byte === 0xcc));
  }
});

Deno.test("SliceStack whose memory is detached takes no call of a TypeScript body", () => {
  using library = openBodies();
  const memory = new Uint8Array(16 * 1024);
  using generator = Generator.unguarded(new SliceStack(memory), function* (yielder) {
    yield 1;
    memory.buffer.transfer();
    yield yield* yielder.call(library.symbols.call_n, 1, () => 5);
  });
  assertEquals(generator.resume(), 1);
  const error = assertThrows(() => generator.resume(), Error, "detached");
  assertStringIncludes(error.message, "Cannot call call_n");
});

Deno.test("SliceStack whose memory a handler detaches: C does not go on", () => {
  using library = openBodies();
  const memory = new Uint8Array(16 * 1024);
  using generator = Generator.unguarded(new SliceStack(memory), function* (yielder) {
    yield yield* yielder.call(library.symbols.call_n, 2, () => {
      memory.buffer.transfer();
      return 5;
    });
  });
  assertThrows(() => generator.resume(), Error, "Cannot go on with call_n: the memory of its");
});

Deno.test("SliceStack whose memory is detached under a yield: C does not go on", () => {
  using library = openBodies();
  const memory = new Uint8Array(16 * 1024);
  using generator = Generator.unguarded(new SliceStack(memory), function* (yielder) {
    return yield* yielder.call(library.symbols.until_stopped, function* () {
      yield 1;
      return 0;
    });
  });
  assertEquals(generator.resume(), 1);
  const moved = new Uint8Array(memory.buffer.transfer()).fill(0xcc);
  // The stop value cannot be told either: there is nobody left to tell.
  assertEquals(generator.return(3), { value: 3, done: true });
  assert(moved.every((byte) => byte === 0xcc));
});

Deno.test("SliceStack of memory that overlaps that of a live generator is refused", () => {
  using library = openBodies();
  const { echo_i32 } = library.symbols;
  const memory = new Uint8Array(64 * 1024);
  const kb = (from: number, to: number) => new SliceStack(memory.subarray(from * 1024, to * 1024));
  const generator = Generator.unguarded(kb(16, 32), echo_i32);
  assertEquals(generator.resume(1), 1);
  for (const stack of [kb(16, 32), kb(0, 17), kb(31, 48), kb(20, 24), kb(0, 64)]) {
    const error = assertThrows(
      () => Generator.unguarded(stack, echo_i32),
      Error,
      "Cannot make generator",
    );
    assertStringIncludes(error.message, "overlaps that of another generator's");
    assertStringIncludes(error.message, "give each its own");
  }
  // Neighbours are no overlap.
  using below = Generator.unguarded(kb(0, 16), echo_i32);
  using above = Generator.unguarded(kb(32, 64), echo_i32);
  assertEquals([below.resume(2), above.resume(3), generator.resume(4)], [2, 3, 4]);
  generator.return();
  using again = Generator.unguarded(kb(17, 31), echo_i32);
  assertEquals(again.resume(5), 5);
});

Deno.test("new SliceStack() does not believe a length that an object claims for itself", () => {
  const memory = new Uint8Array(1024);
  const { size } = new SliceStack(memory);
  const lie = { value: 1024 * 1024 };
  Object.defineProperties(memory, { length: lie, byteLength: lie, byteOffset: lie, buffer: lie });
  assertEquals(new SliceStack(memory).size, size);
});

Deno.test("new SliceStack() does not believe what a buffer says of itself", () => {
  const lies = { detached: { value: true }, resizable: { value: false } };
  const attached = Object.defineProperties(new ArrayBuffer(4096), lies);
  assert(new SliceStack(new Uint8Array(attached)).limit > 4096n);
  const resizable = new ArrayBuffer(4096, { maxByteLength: 8192 });
  Object.defineProperties(resizable, lies);
  assertThrows(() => new SliceStack(new Uint8Array(resizable)), TypeError, "memory is resizable");
  const shared = Object.defineProperties(new SharedArrayBuffer(4096), lies);
  Object.setPrototypeOf(shared, ArrayBuffer.prototype);
  assertThrows(() => new SliceStack(new Uint8Array(shared)), TypeError, "memory is shared");
  const proxy = new Proxy(new Uint8Array(4096), {});
  assertThrows(() => new SliceStack(proxy), TypeError, "memory must be a Uint8Array");
});

Deno.test("SliceStack is plain memory again when its generator has ended", () => {
  using library = openBodies();
  const memory = new Uint8Array(32 * 1024);
  // One returns, the other one is unwound.
  for (const name of ["never_suspends", "echo_i32"] as const) {
    const generator = Generator.unguarded(new SliceStack(memory), library.symbols[name]);
    generator.resume(7);
    generator.return();
    // By native code, which Valgrind watches.
    const copy = new Uint8Array(memory.length);
    PointerView.of(memory).copyInto(copy);
    assertEquals(copy, memory);
  }
});
