// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** Depths of V8's stack, and what they tell of JavaScript that an interrupt has taken away. */

import { runInNewContext } from "node:vm";
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { Generator, OsStack } from "../../mod.ts";
import { depthNow, isGone } from "../../ffi/call/depth.ts";
import { openBodies } from "../support/support.ts";

Deno.test("isGone() compares depths on both sides of 0, where they begin again", () => {
  for (const units of [1000, 2 ** 20, 2 ** 31 - 1000]) {
    assert(isGone(depthNow() - units >>> 0), `${units} units less deep`);
    assert(!isGone(depthNow() + units >>> 0), `${units} units deeper`);
  }
});

/** Does it until an interrupt takes it away. */
function cut(f: () => unknown): void {
  let error: unknown;
  try {
    runInNewContext("f()", { f }, { timeout: 10 });
  } catch (thrown) {
    error = thrown;
  }
  assertStringIncludes(String(error), "timed out");
}

const forever = (): never => {
  for (;;);
};

Deno.test("a body that was interrupted is known to be gone by whoever has interrupted it", () => {
  const generator = new Generator(new OsStack(), function* () {
    yield forever();
  });
  cut(() => generator.resume());
  generator[Symbol.dispose]();
  assertEquals(generator.state, "unavailable");
  generator.unwrap();
});

Deno.test("a call that was interrupted is ended by the next of whoever has interrupted it", () => {
  using library = openBodies();
  const { with_destructor, destructor_count } = library.symbols;
  const before = destructor_count();
  for (let i = 0; i < 3; i++) cut(() => with_destructor(forever));
  assertEquals(destructor_count(), before + 3);
});
