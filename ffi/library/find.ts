// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Finds fringe's own native library, makes sure that it is the right one, and opens it at the first
 * use. All else asks `native()` for its functions.
 *
 * - `FRINGE_LIBRARY` names a library to use instead, when the environment may be read.
 * - Beside a checkout it is the file in `native/prebuilt/`, so that `--allow-ffi=<that file>` is
 *   enough.
 * - Imported over HTTP it comes as text with the module graph (`prebuilt.ts`), which the lock file
 *   vouches for, and is opened from memory: nothing is written to disk.
 */

import { needStack } from "../check.ts";
import { FringeError } from "./fringe_error.ts";
import { checkDigest, load } from "./load.ts";
import { openInMemory } from "./memory_file.ts";
import { prebuilt } from "./prebuilt.ts";
import { type Native, SYMBOLS } from "./symbols.ts";

let opened: Native | undefined;

/** The native library, opened when this is first called and kept open from then on. */
export function native(): Native {
  return opened ?? openNow();
}

function openNow(): Native {
  needStack(128);
  const library = open();
  // Native code notices overflows from now on.
  library.installOverflow();
  return opened = library;
}

function open(): Native {
  const chosen = override();
  if (chosen !== undefined) return load(chosen, SYMBOLS, `FRINGE_LIBRARY=${chosen}`).symbols;

  const platform = `${Deno.build.arch}-${Deno.build.os}`;
  const build = prebuilt[platform];
  if (build === undefined) {
    throw new FringeError(
      "unavailable",
      `Cannot open fringe's native library: none is prebuilt for ${platform}, only for ` +
        `${Object.keys(prebuilt).join(", ")}. Set FRINGE_LIBRARY to one that you have built ` +
        "(zig build library, in native/)",
    );
  }
  const url = new URL(`../../native/prebuilt/${platform}/libfringe.so`, import.meta.url);
  if (url.protocol === "file:") {
    const path = pathOf(url);
    if (verify(path, build.digest) !== "missing") {
      try {
        return load(path, SYMBOLS, path).symbols;
      } catch (error) {
        // A bundle, or a compiled program, has this file, and not the library. Where files may not
        // be read, the loader is the first to find out.
        if (!isMissing(error)) throw error;
      }
    }
  }
  return openInMemory(build);
}

/** The path of a file URL, as Deno takes it: a string, so it has to be UTF-8. */
function pathOf(url: URL): string {
  try {
    return decodeURIComponent(url.pathname);
  } catch (error) {
    throw new FringeError(
      "unavailable",
      `Cannot open fringe's native library: its path is not UTF-8 (${url.pathname}), and Deno ` +
        "opens no other. Move the checkout, or set FRINGE_LIBRARY to a copy of it elsewhere",
      { cause: error },
    );
  }
}

/** Whether a library did not load because there is no such file; only the loader's words say so. */
function isMissing(error: unknown): boolean {
  return error instanceof FringeError && error.cause instanceof Error &&
    error.cause.message.includes("No such file or directory");
}

/** FRINGE_LIBRARY, if it is set and may be read; a program without that permission has none. */
function override(): string | undefined {
  const query = { name: "env", variable: "FRINGE_LIBRARY" } as const;
  if (Deno.permissions.querySync(query).state !== "granted") return undefined;
  return Deno.env.get("FRINGE_LIBRARY") || undefined;
}

/**
 * Compares a file with its digest, if it may be read; a file that may not be read counts as
 * present. A truncated library would kill the process as it is opened, and one of another version
 * would corrupt its memory.
 */
function verify(path: string, digest: string): "missing" | "present" {
  if (Deno.permissions.querySync({ name: "read", path }).state !== "granted") return "present";
  let bytes;
  try {
    bytes = Deno.readFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "missing";
    throw error;
  }
  checkDigest(bytes, digest, path, "Restore the file, or rebuild it with `deno task build`");
  return "present";
}
