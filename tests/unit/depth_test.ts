// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** Depths of V8's stack, and what they tell of JavaScript that an interrupt has taken away. */

import { runInNewContext } from "node:vm";
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { Generator, OsStack } from "../../mod.ts";
import { depthNow, GONE, isGone } from "../../ffi/call/depth.ts";
import { openBodies } from "../support/support.ts";

Deno.test("isGone() compares depths on both sides of 0, where they begin again", () => {
  for (const units of [1000, 2 ** 20, 2 ** 31 - 1000]) {
    assert(isGone(depthNow() - units >>> 0), `${units} units less deep`);
    assert(!isGone(depthNow() + units >>> 0), `${units} units deeper`);
  }
});

Deno.test("isGone() says of what has called no JavaScript that it is gone, from any depth", () => {
  // One that a number alone would tell is less deep for half of all addresses.
  const deeper = (frames: number): void => {
    assert(isGone(GONE));
    if (frames > 0) deeper(frames - 1);
  };
  deeper(100);
});

let hasBegun = false;

const forever = (): never => {
  hasBegun = true;
  for (;;);
};

/** Does it until an interrupt takes it away, which is to come when it goes on for ever. */
function cut(f: () => unknown): void {
  hasBegun = false;
  // Longer each time, should the machine be too slow.
  for (let timeout = 10; !hasBegun; timeout *= 2) {
    let error: unknown;
    try {
      runInNewContext("f()", { f }, { timeout });
    } catch (thrown) {
      error = thrown;
    }
    assertStringIncludes(String(error), "timed out");
  }
}

Deno.test("a body that was interrupted is known to be gone by whoever has interrupted it", () => {
  let generator: Generator<void, never> | undefined;
  cut(() => {
    generator = new Generator(new OsStack(), function* () {
      yield forever();
    });
    generator.resume();
  });
  assert(generator !== undefined);
  generator[Symbol.dispose]();
  assertEquals(generator.state, "unavailable");
  generator.unwrap();
});

Deno.test("a call that was interrupted is ended by the next of whoever has interrupted it", () => {
  using library = openBodies();
  const { with_destructor, destructor_count } = library.symbols;
  const before = destructor_count();
  for (let i = 0; i < 3; i++) cut(() => with_destructor(forever));
  // One more for each that was taken away in C, but had not begun to go on for ever.
  assert(destructor_count() >= before + 3);
});
