// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** Where suspended generators stand. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { frameAt, frameLine } from "../../ffi/context/backtrace.ts";
import { FRAMES_MAX } from "../../ffi/layout.ts";
import { Generator, type NativeFrame, OsStack, OwnedStack, SliceStack } from "../../mod.ts";
import { gc, openBodies } from "../support/support.ts";

function names(frames: readonly NativeFrame[]): (string | undefined)[] {
  return frames.map(({ name }) => name);
}

Deno.test("Generator.backtrace() has the frames of a native body, the innermost first", () => {
  using library = openBodies();
  using generator = new Generator(new OsStack(), library.symbols.recurses);
  // Nothing has begun.
  assertEquals(generator.backtrace(), []);
  for (const depth of [0, 5, 2]) {
    generator.resume(depth);
    gc();
    const frames = generator.backtrace();
    // What calls itself is static, and has no name.
    assertEquals(names(frames), [...Array(depth + 1).fill(undefined), "recurses"]);
    for (const { address, module, moduleOffset } of frames) {
      assert(module!.endsWith("/libtest_bodies.so"));
      assert(moduleOffset! > 0 && BigInt(moduleOffset!) < address);
    }
    const { offset } = frames.at(-1)!;
    assert(offset! > 0 && offset! < 4096);
    // It looks, and changes nothing.
    assertEquals(generator.backtrace(), frames);
  }
  generator.return();
  assertEquals(generator.backtrace(), []);
});

Deno.test("Generator.backtrace() works on stacks of every kind, however little is free", () => {
  using library = openBodies();
  using generator = Generator.unguarded(new OwnedStack(512), library.symbols.echo_i32);
  for (let i = 0; i < 3; i++) {
    assertEquals(generator.resume(i), i);
    assertEquals(names(generator.backtrace()), ["echo_i32"]);
  }
});

Deno.test("Generator.backtrace() follows bodies in Zig, and those that suspend by a call", () => {
  using library = openBodies();
  for (const name of ["zig_echo", "plain_echo"] as const) {
    using generator = new Generator(new OsStack(), library.symbols[name]);
    generator.resume(1);
    const frames = names(generator.backtrace());
    assertEquals(frames, name === "zig_echo" ? [name] : ["fringe_suspend", name]);
  }
});

Deno.test("Generator.backtrace() has the C functions that a TypeScript body is in", () => {
  using library = openBodies();
  const { call_n, two_callbacks } = library.symbols;
  let inside: NativeFrame[] = [];
  using generator = new Generator(new OsStack(), function* (yielder): globalThis.Generator {
    yield "before";
    yield* yielder.call(call_n, 1, function* () {
      yield* yielder.call(two_callbacks, function* () {
        yield "in both";
        return 1;
      }, () => {
        inside = generator.backtrace();
        return 1;
      });
      return 1;
    });
    yield "behind";
  });
  const seen: (string | undefined)[][] = [];
  for (const _ of generator) seen.push(names(generator.backtrace()));
  const outer = ["fringe_thunk_common", "call_n", "fringe_call_body"];
  const both = ["fringe_thunk_common", "two_callbacks", "fringe_call_body", ...outer];
  assertEquals(seen, [[], both, []]);
  // A handler that is running may look, too.
  assertEquals(names(inside), both);
});

Deno.test("Generator.backtrace() of pulled calls is where C waits", () => {
  using library = openBodies();
  const calls = library.symbols.call_n.calls(2);
  for (const { reply } of calls) {
    assertEquals(names(calls.backtrace()), ["fringe_thunk_common", "call_n", "fringe_call_body"]);
    reply(1);
  }
  assertEquals(calls.backtrace(), []);
});

Deno.test("Generator.backtrace() has the innermost frames of a deep stack", () => {
  using library = openBodies();
  using generator = new Generator(new OsStack(), library.symbols.recurses);
  generator.resume(1000);
  assertEquals(names(generator.backtrace()), Array(FRAMES_MAX).fill(undefined));
});

Deno.test("Generator.backtrace() refuses a stack whose memory has been detached", () => {
  using library = openBodies();
  const { echo_i32, call_n } = library.symbols;
  for (const isNative of [true, false]) {
    // So large that it has pages of its own, which go with it.
    const memory = new Uint8Array(4 << 20);
    const stack = new SliceStack(memory);
    const generator = isNative
      ? Generator.unguarded(stack, echo_i32)
      : Generator.unguarded<number, number>(stack, function* (yielder) {
        yield* yielder.call(call_n, 1, function* (i) {
          return yield i;
        });
      });
    assertEquals(generator.resume(0), 0);
    assert(generator.backtrace().length > 0);
    memory.buffer.transfer(0);
    assertThrows(() => generator.backtrace(), Error, "has been detached");
    generator.return();
    assertEquals(generator.backtrace(), []);
  }
});

Deno.test("Generator.backtrace() refuses other receivers", () => {
  assertThrows(() => Generator.prototype.backtrace.call({} as Generator), TypeError);
});

Deno.test("an address that belongs to nothing is a frame without names", () => {
  const frame = frameAt(0x1000n);
  assertEquals({ ...frame }, {
    address: 0x1000n,
    name: undefined,
    offset: undefined,
    module: undefined,
    moduleOffset: undefined,
  });
  assertEquals(frameLine(frame), "0x1000");
});
