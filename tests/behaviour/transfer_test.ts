// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** Buffers that are transferred while C has, or is about to have, their address. */

import { assertEquals, assertThrows } from "@std/assert";
import { dlopen, Generator, OsStack } from "../../mod.ts";

const compare = { callback: { parameters: ["pointer", "pointer"], result: "i32" } } as const;

function openLibc() {
  return dlopen("libc.so.6", {
    qsort: { parameters: ["buffer", "usize", "usize", compare], result: "void" },
    again: { name: "qsort", parameters: ["buffer", "usize", "usize", compare], result: "void" },
  });
}

Deno.test("a call that was refused leaves nothing to the next one", () => {
  using libc = openLibc();
  const { qsort } = libc.symbols;
  const refused = new Uint8Array(8);
  const call = qsort as (...args: unknown[]) => unknown;
  assertThrows(() => call(refused, 8n, 1n, "no function"), TypeError, "argument 3");
  refused.buffer.transfer();
  const sorted = Uint8Array.of(3, 1, 2);
  qsort(sorted, 3n, 1n, () => 0);
  assertEquals(sorted.length, 3);
});

Deno.test("a buffer that is transferred while the arguments are looked at is refused", () => {
  using libc = openLibc();
  const { qsort } = libc.symbols;
  const bytes = new Uint8Array(8);
  let [transferred, asked] = [0, 0];
  const handler = new Proxy(() => asked++, {
    get(target, key, receiver) {
      if (key === Symbol.toStringTag && transferred++ === 0) bytes.buffer.transfer();
      return Reflect.get(target, key, receiver);
    },
  });
  const what = "Cannot go on with qsort: a buffer among its arguments was detached";
  assertThrows(() => qsort(bytes, 8n, 1n, handler), TypeError, what);
  // C has not begun.
  assertEquals([transferred, asked], [1, 0]);
  qsort(new Uint8Array(8), 8n, 1n, () => 0);
});

Deno.test("a call that was refused leaves nothing to the next one of a generator's own", () => {
  using libc = openLibc();
  const { qsort, again } = libc.symbols;
  using generator = new Generator(new OsStack(), function* (yielder) {
    const refused = new Uint8Array(8);
    const call = yielder.call as (...args: unknown[]) => globalThis.Generator<void, void, void>;
    try {
      yield* call.call(yielder, qsort, refused, 8n, 1n, "no function");
    } catch (error) {
      assertEquals(error instanceof TypeError, true);
    }
    refused.buffer.transfer();
    // Another function, and the same one.
    yield* yielder.call(again, new Uint8Array(3), 3n, 1n, () => 0);
    yield* yielder.call(qsort, new Uint8Array(3), 3n, 1n, () => 0);
  });
  generator.resume();
  assertEquals(generator.state, "unavailable");
});

Deno.test("f.calls() goes on with no buffer that has been transferred meanwhile", () => {
  using libc = openLibc();
  const bytes = new Uint8Array(8);
  let count = 0;
  const pull = (): void => {
    for (const call of libc.symbols.qsort.calls(bytes, 8, 1)) {
      if (++count === 3) bytes.buffer.transfer();
      call.reply(0);
    }
  };
  assertThrows(pull, TypeError, "a buffer among its arguments was detached");
  assertEquals(count, 3);
});
