// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Tests that have a process of their own. All files of a `deno test` share one, and LLVM, once it
 * is in memory, is never unloaded: so other tests would find its memory, and zlib, which it needs.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import type { Installable } from "../../tools/packages.ts";
import { run, testWith } from "./support.ts";

const ALONE = "FRINGE_TEST_ALONE";

/** Whether this is the process of its own, in which tests are to be registered. */
export const isAlone = Deno.env.get(ALONE) !== undefined;

/** To be called at the end of a file: elsewhere, makes one test that runs the file by itself. */
export function runAlone(needed: Installable, url: string): void {
  if (isAlone) return;
  const name = new URL(url).pathname.split("/").at(-1);
  testWith(needed, `${name}, in a process of its own`, async () => {
    const flags = ["--no-prompt", "--no-check", "--allow-all", "--v8-flags=--expose-gc"];
    const { code, stdout, stderr } = await run(["test", ...flags, url], { [ALONE]: "1" });
    assertEquals(code, 0, `${stdout}\n${stderr}`);
  });
}
