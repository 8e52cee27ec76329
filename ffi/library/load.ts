// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** Loads a library for fringe's own use, with errors that say what to grant or to mend. */

import { ABI } from "../layout.ts";
import { FringeError } from "./fringe_error.ts";
import {
  FOREIGN_SYMBOLS,
  type Native,
  type NativeForeign,
  type NativePools,
  type NativeStacks,
  type NativeThreads,
  POOL_SYMBOLS,
  STACK_SYMBOLS,
  SYMBOLS,
  THREAD_SYMBOLS,
} from "./symbols.ts";

/** Compares the digest of what is to be loaded with that which this version of fringe goes with. */
export function checkDigest(
  actual: string,
  expected: string,
  what: string,
  remedy: string,
): void {
  if (actual === expected) return;
  throw new FringeError(
    "unavailable",
    `Cannot open fringe's native library: ${what} has the digest ${actual}, but this version of ` +
      `fringe goes with ${expected}. ${remedy}`,
  );
}

/**
 * Refuses an ELF library that is truncated: the loader would map what the file does not have, and
 * the first access to that kills the process (SIGBUS). Nobody can look into a file that may not be
 * read, and whatever else is wrong with a file, the loader says.
 */
export function checkWhole(path: string, what: string): void {
  if (Deno.permissions.querySync({ name: "read", path }).state !== "granted") return;
  let bytes;
  try {
    if (!Deno.statSync(path).isFile) return; // A device may have no end.
    bytes = Deno.readFileSync(path);
  } catch {
    return;
  }
  const size = loadedSize(bytes);
  if (bytes.length >= size) return;
  throw new FringeError(
    "unavailable",
    `Cannot open fringe's native library: ${what} is truncated: the file has ${bytes.length} ` +
      `bytes, and by its headers at least ${size}. Copy or download it anew`,
  );
}

/** Up to where an ELF file of 64 bits is loaded; 0 if it is none. */
function loadedSize(bytes: Uint8Array<ArrayBuffer>): number {
  const view = new DataView(bytes.buffer);
  const [HEADER, PROGRAM_HEADER, PT_LOAD] = [64, 56, 1];
  // The magic number; then 64 bits, with the lowest byte first.
  if (bytes.length < HEADER || view.getUint32(0) !== 0x7f454c46 || view.getUint16(4) !== 0x0201) {
    return 0;
  }
  const word = (at: number): number => Number(view.getBigUint64(at, true));
  const start = word(0x20);
  const end = start + view.getUint16(0x38, true) * PROGRAM_HEADER;
  let size = end;
  for (let header = start; header < end && end <= bytes.length; header += PROGRAM_HEADER) {
    if (view.getUint32(header, true) !== PT_LOAD) continue;
    size = Math.max(size, word(header + 8) + word(header + 32));
  }
  return size;
}

/** Fringe's own library, of the version that TypeScript goes with. */
export interface Opened {
  readonly stacks: NativeStacks;
  /** Opens what pools need. */
  openPools(): NativePools;
  /** Opens what threads of calls need. */
  openThreads(): NativeThreads;
  /** Opens what callbacks of threads need. */
  openForeign(): NativeForeign;
  /** Opens the rest of it. */
  openRest(): Native;
}

/** Opens what stacks need of fringe's own library; the arguments are those of `load`. */
export function openNative(path: string, what: string, grant?: string): Opened {
  let library;
  try {
    library = load(path, STACK_SYMBOLS, what, grant);
  } catch (error) {
    // A library of another version may lack a symbol, and the loader names no more than that one.
    if (error instanceof FringeError) checkAbiOf(path, what, error);
    throw error;
  }
  const stacks = library.symbols;
  if (stacks.abi !== ABI) {
    library.close();
    throw otherVersion(what, stacks.abi);
  }
  // The same copy, whatever file is there by then: the loader knows a library by its path.
  return {
    stacks,
    openPools: () => load(path, POOL_SYMBOLS, what, grant).symbols,
    openThreads: () => load(path, THREAD_SYMBOLS, what, grant).symbols,
    openForeign: () => load(path, FOREIGN_SYMBOLS, what, grant).symbols,
    openRest: () => load(path, SYMBOLS, what, grant).symbols,
  };
}

/** Opens all of it now, where the path may not lead to the library later. */
export function openWhole(path: string, what: string, grant?: string): Opened {
  const opened = openNative(path, what, grant);
  const [pools, threads] = [opened.openPools(), opened.openThreads()];
  const [foreign, rest] = [opened.openForeign(), opened.openRest()];
  return {
    stacks: opened.stacks,
    openPools: () => pools,
    openThreads: () => threads,
    openForeign: () => foreign,
    openRest: () => rest,
  };
}

const { abi } = STACK_SYMBOLS;

/** Throws if a library that does not load as it should is one of another version. */
function checkAbiOf(path: string, what: string, cause: FringeError): void {
  let library;
  try {
    library = load(path, { abi }, what);
  } catch {
    return; // No library at all, or none that may be opened.
  }
  const number = library.symbols.abi;
  library.close();
  if (number !== ABI) throw otherVersion(what, number, cause);
}

function otherVersion(what: string, found: number | null, cause?: FringeError): FringeError {
  const has = found === null
    ? "it has no number of its interface (fringe_abi), so it is older or none of fringe's"
    : `it has interface ${found}`;
  return new FringeError(
    "unavailable",
    `Cannot open fringe's native library: ${what} does not load: ${has}, and this version of ` +
      `fringe goes with interface ${ABI}. Use the library of this version, or build it from its ` +
      "sources (zig build library, in native/)",
    { cause },
  );
}

/**
 * Opens a library. `what` names it in a message. `grant` says which permission it needs, where a
 * path is not enough.
 */
export function load<const S extends Deno.ForeignLibraryInterface>(
  path: string,
  symbols: S,
  what: string,
  grant?: string,
): Deno.DynamicLibrary<S> {
  try {
    return Deno.dlopen(path, bare(symbols));
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) {
      const needed = grant ??
        `fringe needs --allow-ffi, or --allow-ffi=${path} for this library alone`;
      throw new Deno.errors.NotCapable(`${error.message}. ${needed}`, { cause: error });
    }
    // Under a grant of paths Deno takes the bare name of libc for a file of the current folder.
    const misled = grant !== undefined && /no such file/i.test(String(error));
    throw new FringeError(
      "unavailable",
      `Cannot open fringe's native library: ${what} does not load` +
        (misled ? `. ${grant}` : ""),
      { cause: error },
    );
  }
}

/** A table without prototypes: Deno would read what a program has put into `Object.prototype`. */
function bare<const S extends Deno.ForeignLibraryInterface>(symbols: S): S {
  const table = Object.create(null);
  for (const [name, symbol] of Object.entries(symbols)) {
    table[name] = Object.assign(Object.create(null), symbol);
  }
  return table;
}
