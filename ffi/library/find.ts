// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Finds fringe's own native library, makes sure that it is the right one, and opens it at the first
 * use. All else asks `nativeStacks()` and `native()` for its functions.
 *
 * - `FRINGE_LIBRARY` names a library to use instead, when the environment may be read.
 * - Beside a checkout it is the file in `native/prebuilt/`, so that `--allow-ffi=<that file>` is
 *   enough.
 * - Imported over HTTP it comes as text with the module graph (`prebuilt.js`), which the lock file
 *   vouches for, and is opened from memory (on macOS, which has no such files, from a temporary
 *   one that is deleted at once).
 */

import { needStack } from "../check.ts";
import { FringeError } from "./fringe_error.ts";
import { checkDigest, checkWhole, type Opened, openNative, openWhole } from "./load.ts";
import { openInMemory } from "./memory_file.ts";
import { openTemporary } from "./temporary_file.ts";
import type { Text } from "./text.ts";
import { sha256 } from "./sha256.ts";
import { folder, type Prebuilt, prebuilt, text } from "./prebuilt.js";
import { checkRuntime } from "./runtime.ts";
import type { Native, NativeForeign, NativePools, NativeStacks, NativeThreads } from "./symbols.ts";

/** The variable that names a library to use instead. */
const OVERRIDE = "FRINGE_LIBRARY";

let opened: Opened | undefined;
let pools: NativePools | undefined;
let threads: NativeThreads | undefined;
let foreign: NativeForeign | undefined;
let rest: Native | undefined;

/** What stacks need of the native library, opened when this is first called. */
export function nativeStacks(): NativeStacks {
  return (opened ?? openNow()).stacks;
}

/** What pools of stacks need of it besides, opened when this is first called. */
export function nativePools(): NativePools {
  return pools ?? openPools();
}

/** What threads of calls need of it besides, opened when this is first called. */
export function nativeThreads(): NativeThreads {
  return threads ?? openThreads();
}

/** What callbacks of threads need of it besides, opened when this is first called. */
export function nativeForeign(): NativeForeign {
  return foreign ?? openForeign();
}

/** The native library, opened when this is first called and kept open from then on. */
export function native(): Native {
  return rest ?? openRest();
}

function openNow(): Opened {
  needStack(128);
  checkRuntime();
  return opened = open();
}

function openPools(): NativePools {
  needStack(128);
  return pools = (opened ?? openNow()).openPools();
}

function openThreads(): NativeThreads {
  needStack(128);
  return threads = (opened ?? openNow()).openThreads();
}

function openForeign(): NativeForeign {
  needStack(128);
  return foreign = (opened ?? openNow()).openForeign();
}

function openRest(): Native {
  needStack(128);
  const whole = (opened ?? openNow()).openRest();
  // Native code, which is all that runs on a stack, notices overflows from now on.
  whole.installOverflow();
  return rest = whole;
}

function open(): Opened {
  if (!mayReadOverride()) {
    try {
      return openPrebuilt();
    } catch (error) {
      throw withUnseen(error);
    }
  }
  const chosen = Deno.env.get(OVERRIDE) || undefined;
  return chosen === undefined ? openPrebuilt() : openChosen(chosen);
}

function openChosen(path: string): Opened {
  const what = `${OVERRIDE}=${path}`;
  // Only the loader knows where it finds a name without a slash.
  if (path.includes("/")) checkWhole(path, what);
  try {
    // What a path from the working directory leads to may be another file later.
    return path.startsWith("/") ? openNative(path, what) : openWhole(path, what);
  } catch (error) {
    if (!isMissing(error, path)) throw error;
    throw new FringeError(
      error.status,
      `${error.message}: there is no such file. Write a path, absolute or relative to the ` +
        "working directory (./libfringe.so), and no URL; a name without a slash is looked for " +
        "where the system has its libraries",
      { cause: error.cause },
    );
  }
}

function openPrebuilt(): Opened {
  const platform = `${Deno.build.arch}-${Deno.build.os}`;
  const build = prebuilt[platform];
  if (build === undefined) {
    throw new FringeError(
      "unavailable",
      `Cannot open fringe's native library: none is prebuilt for ${platform}, only for ` +
        `${Object.keys(prebuilt).join(", ")}. Set ${OVERRIDE} to one that you have built ` +
        "(zig build library, in native/)",
    );
  }
  if (folder?.protocol === "file:") {
    const path = pathOf(new URL(`${platform}/${build.file}`, folder));
    if (verify(path, build) !== "missing") {
      try {
        return openNative(path, path);
      } catch (error) {
        // A copy of the modules may lack the library. Where files may not be read, the loader is
        // the first to find out.
        if (!isMissing(error, path)) throw error;
      }
    }
  }
  if (text.base64 === undefined) {
    throw new FringeError(
      "unavailable",
      "Cannot open fringe's native library: there is no file of it beside the module, and its " +
        "text could not be loaded with the module. Run the program once while the module's " +
        "address can be reached, or set FRINGE_LIBRARY to a copy of the library",
      { cause: text.error },
    );
  }
  return Deno.build.os === "linux"
    ? openInMemory(build, text as Text)
    : openTemporary(build, text as Text, "libSystem.B.dylib");
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

/**
 * Whether a library did not load because there is no such file. Only the loader's words say so:
 * glibc's, and those of macOS. They name the file, since one that it needs may be missing, too.
 */
function isMissing(error: unknown, path: string): error is FringeError {
  if (!(error instanceof FringeError && error.cause instanceof Error)) return false;
  const { message } = error.cause;
  return message.includes(`${path}: cannot open shared object file: No such file`) ||
    message.includes(`'${path}' (no such file)`);
}

/** Whether the program may read `OVERRIDE`; one that may not goes on as if it were not set. */
function mayReadOverride(): boolean {
  const query = { name: "env", variable: OVERRIDE } as const;
  return Deno.permissions.querySync(query).state === "granted";
}

/**
 * The same error, which also says that `OVERRIDE` was not seen. Whoever has set it to get round
 * just that error would look for the mistake elsewhere.
 */
function withUnseen(error: unknown): unknown {
  const say = (message: string): string =>
    `${message}. A library that ${OVERRIDE} names cannot be seen without --allow-env=${OVERRIDE}`;
  if (error instanceof FringeError) {
    return new FringeError(error.status, say(error.message), { cause: error.cause });
  }
  if (error instanceof Deno.errors.NotCapable) {
    return new Deno.errors.NotCapable(say(error.message), { cause: error.cause });
  }
  return error;
}

/**
 * Compares a file with the library that came with the module, if the file may be read; one that may
 * not be read counts as present. A truncated library would kill the process as it is opened.
 */
function verify(path: string, build: Prebuilt): "missing" | "present" {
  if (Deno.permissions.querySync({ name: "read", path }).state !== "granted") return "present";
  let bytes;
  try {
    bytes = Deno.readFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "missing";
    throw error;
  }
  // The digest, which takes longer, is for a file that differs.
  if (bytes.toBase64() !== text.base64?.replaceAll("\n", "")) {
    checkDigest(
      sha256(bytes),
      build.digest,
      path,
      "Restore the file, or rebuild it with `deno task build`",
    );
  }
  return "present";
}
