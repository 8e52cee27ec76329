// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** Loads a library for fringe's own use, with errors that say what to grant or to mend. */

import { FringeError } from "./fringe_error.ts";
import { sha256 } from "./sha256.ts";

/** Compares what is to be loaded with the digest that this version of fringe goes with. */
export function checkDigest(
  bytes: Uint8Array,
  expected: string,
  what: string,
  remedy: string,
): void {
  const actual = sha256(bytes);
  if (actual === expected) return;
  throw new FringeError(
    "unavailable",
    `Cannot open fringe's native library: ${what} has the digest ${actual}, but this version of ` +
      `fringe goes with ${expected}. ${remedy}`,
  );
}

/** Opens a library. `what` names it in a message, `grant` says which permission it needs. */
export function load<const S extends Deno.ForeignLibraryInterface>(
  path: string,
  symbols: S,
  what: string,
  grant: string = `fringe needs --allow-ffi, or --allow-ffi=${path} for this library alone`,
): Deno.DynamicLibrary<S> {
  try {
    return Deno.dlopen(path, bare(symbols));
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

/** A table without prototypes: Deno would read what a program has put into `Object.prototype`. */
function bare<const S extends Deno.ForeignLibraryInterface>(symbols: S): S {
  const table = Object.create(null);
  for (const [name, symbol] of Object.entries(symbols)) {
    table[name] = Object.assign(Object.create(null), symbol);
  }
  return table;
}
