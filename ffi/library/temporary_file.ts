// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Opens the library where there is no file of it, and the system has no files in memory, as macOS
 * has none: from a temporary file, which is deleted as soon as the library is open. It is made by
 * libc, so it needs no permission but --allow-ffi.
 */

import { FringeError } from "./fringe_error.ts";
import { load, type Opened, openWhole } from "./load.ts";
import type { Prebuilt } from "./prebuilt.js";
import { CAME, decode, type Text, WITHOUT_PATH } from "./text.ts";

/** The functions of libc that make and delete such a file. */
const LIBC = {
  mkstemp: { parameters: ["buffer" /* template */], result: "i32" },
  write: { parameters: ["i32", /* fd */ "buffer", "usize" /* count */], result: "isize" },
  close: { parameters: ["i32" /* fd */], result: "i32" },
  unlink: { parameters: ["buffer" /* path */], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

/** Puts a library into a temporary file, and opens that; `libc` is what the system calls libc. */
export function openTemporary(build: Prebuilt, text: Text, libc: string): Opened {
  const bytes = decode(build, text);
  const library = load(libc, LIBC, libc, WITHOUT_PATH);
  const { mkstemp, write, close, unlink } = library.symbols;
  // mkstemp(3) writes over the last six letters, which must be these.
  const path = new TextEncoder().encode(`/tmp/fringe-${"X".repeat(6)}\0`);
  const fd = mkstemp(path);
  try {
    if (fd < 0) throw refusal("mkstemp");
    for (let rest = bytes; rest.length > 0;) {
      const written = Number(write(fd, rest, BigInt(rest.length)));
      if (written < 0) throw refusal("write");
      rest = rest.subarray(written);
    }
    // As a whole, while the file is there.
    return openWhole(new TextDecoder().decode(path.subarray(0, -1)), CAME, WITHOUT_PATH);
  } finally {
    if (fd >= 0) {
      close(fd);
      unlink(path);
    }
    library.close();
  }
}

function refusal(call: string): FringeError {
  return new FringeError(
    "refused",
    `Cannot open fringe's native library: the system gives no temporary file in /tmp (${call}). ` +
      "Download the file and set FRINGE_LIBRARY to its path",
  );
}
