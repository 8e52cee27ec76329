// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** The digest, compared with Node's. */

import { createHash } from "node:crypto";
import { assertEquals } from "@std/assert";
import { sha256 } from "../../ffi/library/sha256.ts";

Deno.test("sha256() is SHA-256", () => {
  const bytes = Uint8Array.from({ length: 100_000 }, (_, i) => i * i >> 3);
  for (const length of [...Array(200).keys(), 100_000]) {
    const part = bytes.subarray(0, length);
    assertEquals(sha256(part), createHash("sha256").update(part).digest("hex"));
  }
});
