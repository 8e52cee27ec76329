// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Whether this runtime is one that fringe works in. It is asked when the library is opened, and not
 * before: importing `mod.ts` does nothing but define, in other runtimes as in Deno.
 */

import { FringeError } from "./fringe_error.ts";

/**
 * The lowest version of Deno that fringe works in. Those below lack `Uint8Array.fromBase64`, which
 * reads the library that comes with the module. `deno task test versions` runs a program in it.
 */
export const LOWEST_DENO = "2.6.0";

/** Why there is nothing for Windows, in the words of native/os/windows.zig. */
const ON_WINDOWS =
  "Cannot open fringe's native library: fringe does not run on Windows: its ABI keeps the stack " +
  "pointer within the stack that the system has given to the thread. The bounds are in the TEB, " +
  "in part without documentation; Windows dispatches exceptions and commits pages of the stack " +
  "by them, and fringe does not write over them. Use Linux; on a machine with Windows, in WSL";

/** Throws unless this is Deno, new enough, and on no system that is refused. */
export function checkRuntime(): void {
  const [major, minor] = LOWEST_DENO.split(".").map(Number) as [number, number, number];
  const needed = `fringe needs Deno ${major}.${minor} or later`;
  if (typeof Deno === "undefined") {
    throw new FringeError(
      "unavailable",
      `${needed}, and this is another runtime: install Deno (https://deno.com), and run the ` +
        "program by `deno run --allow-ffi`",
    );
  }
  if (Deno.build.os === "windows") throw new FringeError("unavailable", ON_WINDOWS);
  const found = Deno.version.deno;
  const [foundMajor, foundMinor] = found.split(".").map(Number) as [number, number, number];
  if (foundMajor > major || (foundMajor === major && foundMinor >= minor)) return;
  throw new FringeError(
    "unavailable",
    `Cannot open fringe's native library: this is Deno ${found}, and ${needed}. Get it by ` +
      "`deno upgrade`",
  );
}
