// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** What the system refuses, as an error. */

import { assert, assertEquals, assertInstanceOf, assertThrows } from "@std/assert";
import { FringeError } from "../../mod.ts";
import { checkGrant } from "../../ffi/library/fringe_error.ts";
import { Grant } from "../../ffi/layout.ts";

Deno.test("checkGrant() throws nothing when all went well", () => {
  checkGrant(Grant.granted, "Cannot do it");
});

Deno.test("checkGrant() says what was refused, why, and what to do", () => {
  const memory = assertThrows(() => checkGrant(Grant.out_of_memory, "Cannot do it"), FringeError);
  assertEquals(memory.status, "out_of_memory");
  assert(memory.message.startsWith("Cannot do it: the system has no more memory"));
  const refused = assertThrows(() => checkGrant(Grant.refused, "Cannot do it"), FringeError);
  assertEquals(refused.status, "refused");
  assert(refused.message.startsWith("Cannot do it: the system refused"));
  assert(refused.message.endsWith("; have it allow mmap, mprotect, madvise and munmap"));
});

Deno.test("checkGrant() names a number that it does not know", () => {
  assertThrows(() => checkGrant(99, "Cannot do it"), FringeError, "native code says 99");
});

Deno.test("FringeError is an Error with a name, a status and a cause", () => {
  const cause = new Error("cause");
  const error = new FringeError("unavailable", "Cannot do it", { cause });
  assertInstanceOf(error, Error);
  assertEquals([error.name, error.status, error.message], [
    "FringeError",
    "unavailable",
    "Cannot do it",
  ]);
  assertEquals(error.cause, cause);
});
