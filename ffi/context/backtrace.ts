// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** Where native code stands: return addresses, and the functions and modules that they are in. */

import { FRAMES_MAX, SLOT_SIZE, SymbolBlock } from "../layout.ts";
import { native } from "../library/find.ts";
import { readCString } from "../value/cstring.ts";

/**
 * A native function that has called another, or has suspended.
 *
 * @example
 * ```ts
 * import { dlopen, Generator, type NativeFrame, OsStack } from "fringe";
 *
 * function line({ name, module, moduleOffset }: NativeFrame): string {
 *   return `${name ?? "?"} in ${module} at ${moduleOffset}`;
 * }
 *
 * using library = dlopen("./native/prebuilt/x86_64-linux/libbodies.so", {
 *   count: { input: "void", output: "i32" },
 * });
 * using generator = new Generator(new OsStack(), library.symbols.count);
 * generator.resume();
 * const [frame] = generator.backtrace();
 * console.log(line(frame!)); // count in ./native/prebuilt/x86_64-linux/libbodies.so at …
 * ```
 */
export interface NativeFrame {
  /** Where the function goes on: the address behind its call. */
  readonly address: bigint;
  /**
   * The name of the function, as it stands in the module's table of symbols that others may use, so
   * mangled for C++ and Rust: `_ZN6Parser4nextEv`. Undefined for a function that is `static` or
   * hidden, and for what the compiler has moved out of a function, as gcc does with a `throw`.
   */
  readonly name: string | undefined;
  /** How many bytes `address` is behind the beginning of the function, if that has a name. */
  readonly offset: number | undefined;
  /** The path of the library or program that the function is in, if it is in one. */
  readonly module: string | undefined;
  /**
   * How many bytes `address` is behind the beginning of the module. `addr2line -e module` takes it;
   * 1 less gives the line of the call.
   */
  readonly moduleOffset: number | undefined;
}

/** The frames of a suspended context, the innermost first, at most `FRAMES_MAX`. */
export function framesOf(handle: Deno.PointerObject): NativeFrame[] {
  return framesBy((addresses, count) => native().backtrace(handle, addresses, count));
}

/** The frames whose addresses `trace` writes, at most `count`; it returns how many those are. */
export function framesBy(
  trace: (addresses: BigUint64Array<ArrayBuffer>, count: number) => number,
): NativeFrame[] {
  const addresses = new BigUint64Array(new ArrayBuffer(FRAMES_MAX * SLOT_SIZE));
  const count = trace(addresses, FRAMES_MAX);
  return [...addresses.subarray(0, count)].map(frameAt);
}

/** What is known of a return address. */
export function frameAt(address: bigint): NativeFrame {
  const found = new DataView(new ArrayBuffer(SymbolBlock.size));
  // One byte less is in the call itself. That may be the last instruction of its function, and then
  // the address behind it belongs to another.
  native().symbol(address - 1n, found);
  const word = (offset: number): bigint => found.getBigUint64(offset, true);
  const [name, module] = [word(SymbolBlock.name), word(SymbolBlock.module)];
  return Object.freeze({
    address,
    name: readCString(name) ?? undefined,
    offset: name === 0n ? undefined : Number(address - word(SymbolBlock.start)),
    module: readCString(module) ?? undefined,
    moduleOffset: module === 0n ? undefined : Number(address - word(SymbolBlock.module_start)),
  });
}

/** A frame as a line of a trace. */
export function frameLine({ address, name, offset, module, moduleOffset }: NativeFrame): string {
  const place = module === undefined
    ? `0x${address.toString(16)}`
    : `${module}+0x${moduleOffset!.toString(16)}`;
  return name === undefined ? place : `${name}+0x${offset!.toString(16)} (${place})`;
}
