// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

import { assert } from "@std/assert";
import { depthNow, isGone } from "../../ffi/call/depth.ts";

Deno.test("isGone() compares depths on both sides of 0, where they begin again", () => {
  for (const units of [1000, 2 ** 20, 2 ** 31 - 1000]) {
    assert(isGone(depthNow() - units >>> 0), `${units} units less deep`);
    assert(!isGone(depthNow() + units >>> 0), `${units} units deeper`);
  }
});
