// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** Modules of Node's; intrinsics_test.ts has a program that gets on without, its objects frozen. */

import { Buffer } from "node:buffer";
import { assertStrictEquals } from "@std/assert";
import { nodeModule } from "../../ffi/node.ts";

Deno.test("nodeModule() is the module that an import gives", () => {
  assertStrictEquals(nodeModule("node:buffer")!.Buffer, Buffer);
});
