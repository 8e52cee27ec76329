// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Finds fringe's own native library, makes sure that it is the right one, and opens it at the first
 * use. Nothing else here calls `Deno.dlopen` for it.
 *
 * - `FRINGE_LIBRARY` names a library to use instead, when the environment may be read.
 * - Beside a checkout it is the file in `native/prebuilt/`, so that `--allow-ffi=<that file>` is
 *   enough.
 * - Imported over HTTP it comes as text with the module graph (`prebuilt.ts`), which the lock file
 *   vouches for, and is opened from memory: nothing is written to disk.
 */

import { prebuilt } from "./prebuilt.ts";
import { FringeError } from "./status.ts";

/** Every function that fringe's library exports and TypeScript calls, with its C parameters. */
const SYMBOLS = {
  init: {
    name: "fringe_init_caught",
    parameters: [
      "pointer", // base
      "pointer", // body
      "pointer", // mailbox
      "pointer", // __cxa_get_globals of the body's C++ runtime
    ],
    result: "pointer",
  },
  // One function, under the types that V8 passes fastest.
  resumeI32: {
    name: "fringe_resume",
    parameters: ["pointer", /* context */ "i32" /* word */],
    result: "i32",
  },
  resumeU32: {
    name: "fringe_resume",
    parameters: ["pointer", /* context */ "u32" /* word */],
    result: "u32",
  },
  resumeCall: {
    name: "fringe_resume_call",
    parameters: ["pointer", /* context */ "i32" /* word, which a thunk ignores */],
    result: "i32",
  },
  // The same on a thread of Deno's blocking pool.
  resumeElsewhere: {
    name: "fringe_resume_call",
    parameters: ["pointer", /* context */ "i32" /* word, which a thunk ignores */],
    result: "i32",
    nonblocking: true,
  },
  cancel: {
    name: "fringe_cancel",
    parameters: ["pointer", /* context */ "usize" /* limit */],
    result: "i32",
  },
  backtrace: {
    name: "fringe_backtrace",
    parameters: ["pointer", /* context */ "buffer", /* addresses */ "u32" /* count */],
    result: "u32",
  },
  symbol: {
    name: "fringe_symbol",
    parameters: ["usize", /* address */ "buffer" /* into */],
    result: "void",
  },
  exceptionState: {
    name: "fringe_exception_state",
    parameters: ["pointer" /* address */],
    result: "pointer",
  },
  callBody: { name: "fringe_call_body", type: "pointer" },
  pin: { name: "fringe_pin", parameters: ["pointer" /* address */], result: "void" },
  installOverflow: { name: "fringe_overflow_install", parameters: [], result: "void" },
  mapThunks: { name: "fringe_thunk_map", parameters: ["buffer" /* block */], result: "i32" },
  mapStack: {
    name: "fringe_os_stack_map",
    parameters: ["usize", /* size */ "bool", /* recover */ "buffer" /* bounds */],
    result: "i32",
  },
  unmapStack: {
    name: "fringe_os_stack_unmap",
    parameters: ["usize", /* base */ "usize" /* limit */],
    result: "i32",
  },
  // Where the library is built for Valgrind, which has to know of stacks that are memory of V8's.
  registerStack: {
    name: "fringe_valgrind_register",
    parameters: ["usize", /* base */ "usize" /* limit */],
    result: "void",
    optional: true,
  },
  deregisterStack: {
    name: "fringe_valgrind_deregister",
    parameters: ["usize", /* base */ "usize" /* limit */],
    result: "void",
    optional: true,
  },
  // One function too: the types convert between what JavaScript has and an address.
  addressOfPointer: { name: "fringe_identity", parameters: ["pointer"], result: "usize" },
  addressOfBuffer: { name: "fringe_identity", parameters: ["buffer"], result: "usize" },
  pointerTo: { name: "fringe_identity", parameters: ["usize"], result: "pointer" },
  // One function again. The ends that C owns are addresses.
  copyOut: {
    name: "fringe_copy",
    parameters: ["usize", /* destination */ "buffer", /* source */ "usize" /* length */],
    result: "void",
  },
  copyIn: {
    name: "fringe_copy",
    parameters: ["buffer", /* destination */ "usize", /* source */ "usize" /* length */],
    result: "void",
  },
  load8: {
    name: "fringe_load_8",
    parameters: ["pointer", /* base */ "i32" /* offset */],
    result: "u8",
  },
  load16: {
    name: "fringe_load_16",
    parameters: ["pointer", /* base */ "i32" /* offset */],
    result: "u16",
  },
  loadI32: {
    name: "fringe_load_32",
    parameters: ["pointer", /* base */ "i32" /* offset */],
    result: "i32",
  },
  loadU32: {
    name: "fringe_load_32",
    parameters: ["pointer", /* base */ "i32" /* offset */],
    result: "u32",
  },
  loadI64: {
    name: "fringe_load_64",
    parameters: ["pointer", /* base */ "i32" /* offset */],
    result: "i64",
  },
  loadU64: {
    name: "fringe_load_64",
    parameters: ["pointer", /* base */ "i32" /* offset */],
    result: "u64",
  },
  loadPointer: {
    name: "fringe_load_64",
    parameters: ["pointer", /* base */ "i32" /* offset */],
    result: "pointer",
  },
  loadF32: {
    name: "fringe_load_f32",
    parameters: ["pointer", /* base */ "i32" /* offset */],
    result: "f32",
  },
  loadF64: {
    name: "fringe_load_f64",
    parameters: ["pointer", /* base */ "i32" /* offset */],
    result: "f64",
  },
  store: {
    name: "fringe_store",
    parameters: ["pointer", /* base */ "i32", /* offset */ "buffer", /* source */ "u32" /* size */],
    result: "void",
  },
  copyString: {
    name: "fringe_copy_string",
    parameters: ["buffer", /* destination */ "usize", /* string */ "u32" /* capacity */],
    result: "u32",
  },
} as const satisfies Deno.ForeignLibraryInterface;

/** The functions of the native library. */
export type Native = Deno.DynamicLibrary<typeof SYMBOLS>["symbols"];

let opened: Native | undefined;

/** The native library, opened when this is first called and kept open from then on. */
export function native(): Native {
  return opened ??= install(open());
}

/** Has native code notice overflows from now on. */
function install(opened: Native): Native {
  opened.installOverflow();
  return opened;
}

function open(): Native {
  const chosen = override();
  if (chosen !== undefined) return dlopen(chosen, SYMBOLS, `FRINGE_LIBRARY=${chosen}`).symbols;

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
    const path = decodeURIComponent(url.pathname);
    if (verify(path, build.digest) !== "missing") {
      try {
        return dlopen(path, SYMBOLS, path).symbols;
      } catch (error) {
        // Bundled or compiled, this file has moved away from it; that may not be known before.
        if (!isMissing(error)) throw error;
      }
    }
  }
  return openInMemory(build);
}

/** Whether a library did not load because there is no such file; only the loader's words say so. */
function isMissing(error: unknown): boolean {
  return error instanceof FringeError && error.cause instanceof Error &&
    error.cause.message.includes("No such file or directory");
}

/** The value of FRINGE_LIBRARY. Not being allowed to read it is no error: then there is none. */
function override(): string | undefined {
  const query = { name: "env", variable: "FRINGE_LIBRARY" } as const;
  if (Deno.permissions.querySync(query).state !== "granted") return undefined;
  return Deno.env.get("FRINGE_LIBRARY") || undefined;
}

/**
 * Compares a file with its digest, when it may be read: a truncated library would kill the process
 * as it is opened, and one of another version would corrupt its memory.
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

function checkDigest(bytes: Uint8Array, expected: string, what: string, remedy: string): void {
  const actual = sha256(bytes);
  if (actual === expected) return;
  throw new FringeError(
    "unavailable",
    `Cannot open fringe's native library: ${what} has the digest ${actual}, but this version of ` +
      `fringe goes with ${expected}. ${remedy}`,
  );
}

/** Fetched when it is needed, so that importing fringe does not load Node's cryptography. */
function sha256(bytes: Uint8Array): string {
  const { createHash } = process.getBuiltinModule("node:crypto");
  return createHash("sha256").update(bytes).digest("hex");
}

/** What libc does for a library that has no file. */
const LIBC = {
  memfd_create: { parameters: ["buffer", /* name */ "u32" /* flags */], result: "i32" },
  readlink: {
    parameters: ["buffer", /* path */ "buffer", /* into */ "usize" /* size */],
    result: "isize",
  },
  fcntl: { parameters: ["i32", /* fd */ "i32", /* command */ "i32" /* argument */], result: "i32" },
  write: { parameters: ["i32", /* fd */ "buffer", "usize" /* count */], result: "isize" },
  close: { parameters: ["i32" /* fd */], result: "i32" },
  __errno_location: { parameters: [], result: "pointer" },
  memcpy: {
    parameters: ["buffer", /* destination */ "pointer", /* source */ "usize" /* count */],
    result: "pointer",
  },
} as const satisfies Deno.ForeignLibraryInterface;

/** Puts a library into a file that exists in memory only, and opens that. */
function openInMemory(build: { readonly digest: string; readonly base64: string }): Native {
  const what = "the library that came with the module";
  const libc = dlopen("libc.so.6", LIBC, "libc.so.6", IN_MEMORY);
  let made: number | undefined;
  try {
    const fd = fileOf(build.digest, libc.symbols) ??
      (made = makeFile(build, what, libc.symbols));
    // Not closed while the library is open: glibc knows it by its name, and another file under the
    // same number would give this library back.
    return dlopen(`/proc/self/fd/${fd}`, SYMBOLS, what, IN_MEMORY).symbols;
  } catch (error) {
    if (made !== undefined) libc.symbols.close(made);
    throw error;
  } finally {
    libc.close();
  }
}

type Libc = Deno.DynamicLibrary<typeof LIBC>["symbols"];

const encoder = new TextEncoder();
const NAME = "fringe-";
const [F_ADD_SEALS, F_GET_SEALS] = [1033, 1034];
/** Nobody can write to it any more, resize it, or take this back: memfd_create(2), fcntl(2). */
const SEALED = 1 | 2 | 4 | 8;

/**
 * The file that another Worker has made of the same library: it has the digest in its name, and is
 * sealed once it is whole. glibc then gives the same copy of the library. One for each Worker would
 * be too many, for none is ever unloaded: the process has room for variables of threads for some
 * 200 of them.
 */
function fileOf(digest: string, { readlink, fcntl }: Libc): number | undefined {
  const link = `/memfd:${NAME}${digest} (deleted)`;
  const found = new Uint8Array(link.length + 1);
  // A new file has the lowest number that is free.
  for (let fd = 3; fd < 1024; fd++) {
    const path = encoder.encode(`/proc/self/fd/${fd}\0`);
    if (Number(readlink(path, found, BigInt(found.length))) !== link.length) continue;
    if (new TextDecoder().decode(found.subarray(0, -1)) !== link) continue;
    if (fcntl(fd, F_GET_SEALS, 0) === SEALED) return fd;
  }
  return undefined;
}

function makeFile(
  build: { readonly digest: string; readonly base64: string },
  what: string,
  { memfd_create, write, close, fcntl, __errno_location, memcpy }: Libc,
): number {
  const bytes = decode(build.base64);
  checkDigest(bytes, build.digest, what, "Fetch it anew with `deno cache --reload`");
  const refuse = (call: string): never => {
    const errno = new Int32Array(1);
    memcpy(errno, __errno_location(), 4n);
    const [EAGAIN, ENOMEM, ENOSPC] = [11, 12, 28];
    throw new FringeError(
      [EAGAIN, ENOMEM, ENOSPC].includes(errno[0]!) ? "out_of_memory" : "refused",
      `Cannot open fringe's native library: the system gives no file in memory (${call}: errno ` +
        `${errno[0]}). Download the file and set FRINGE_LIBRARY to its path`,
    );
  };
  const [MFD_CLOEXEC, MFD_ALLOW_SEALING] = [1, 2];
  const name = encoder.encode(`${NAME}${build.digest}\0`);
  const fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
  try {
    if (fd < 0) refuse("memfd_create");
    for (let rest = bytes; rest.length > 0;) {
      const written = Number(write(fd, rest, BigInt(rest.length)));
      if (written < 0) refuse("write");
      rest = rest.subarray(written);
    }
    if (fcntl(fd, F_ADD_SEALS, SEALED) < 0) refuse("fcntl");
    return fd;
  } catch (error) {
    close(fd);
    throw error;
  }
}

/** What is no base64 has no digest that anything goes with. */
function decode(base64: string): Uint8Array<ArrayBuffer> {
  try {
    return Uint8Array.fromBase64(base64);
  } catch {
    return new Uint8Array(new ArrayBuffer(0));
  }
}

/** What to grant where there is no file whose path could be granted. */
const IN_MEMORY = "fringe needs --allow-ffi: its library came with the module, and has no path; " +
  "for a path, download the library and set FRINGE_LIBRARY";

function dlopen<const S extends Deno.ForeignLibraryInterface>(
  path: string,
  symbols: S,
  what: string,
  grant: string = `fringe needs --allow-ffi, or --allow-ffi=${path} for this library alone`,
): Deno.DynamicLibrary<S> {
  try {
    return Deno.dlopen(path, symbols);
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) {
      throw new Deno.errors.NotCapable(`${error.message}. ${grant}`, { cause: error });
    }
    throw new FringeError(
      "unavailable",
      `Cannot open fringe's native library: ${what} does not load`,
      { cause: error },
    );
  }
}
