// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** Reading memory that C owns, under a path-scoped permission too. */

import { native } from "./library.ts";
import { describe } from "./stack.ts";

const decoder = new TextDecoder();
let scratch = new Uint8Array(new ArrayBuffer(4096));

/** The C string at `pointer`, decoded as UTF-8; null for a null pointer. */
export function readCString(pointer: Deno.PointerValue): string | null {
  if (pointer === null) return null;
  const length = native().stringLength(pointer);
  if (length > scratch.length) scratch = new Uint8Array(new ArrayBuffer(Number(length)));
  native().copy(scratch, pointer, length);
  return decoder.decode(scratch.subarray(0, Number(length)));
}

/**
 * Reads memory that C owns by copying it, for example what a pointer that a callback receives
 * points at.
 *
 * It does for reading what `Deno.UnsafePointerView` does, which Deno refuses to a program that was
 * given `--allow-ffi` for single libraries only. As there, the pointer must be valid while it is
 * read: fringe cannot know.
 *
 * @example
 * ```ts
 * import { dlopen, PointerView } from "@fringe/fringe";
 *
 * using libc = dlopen("libc.so.6", {
 *   getenv: { parameters: ["cstring"], result: "pointer" },
 * });
 * const pointer = libc.symbols.getenv("PATH");
 * if (pointer !== null) console.log(new PointerView(pointer).getCString());
 * ```
 */
export class PointerView {
  /** Where the view begins. */
  readonly pointer: Deno.PointerObject;

  readonly #address: bigint;

  /**
   * Makes a view of the memory at `pointer`.
   *
   * @throws {TypeError} If it is null or no pointer.
   */
  constructor(pointer: Deno.PointerObject) {
    if (pointer === null || typeof pointer !== "object") {
      throw new TypeError(`Cannot view memory: got ${describe(pointer)} for a pointer`);
    }
    try {
      this.#address = native().addressOfPointer(pointer);
    } catch (error) {
      throw new TypeError(`Cannot view memory: got ${describe(pointer)} for a pointer`, {
        cause: error,
      });
    }
    this.pointer = pointer;
  }

  /** The string up to the next zero byte, `offset` bytes behind the pointer, decoded as UTF-8. */
  getCString(offset: number = 0): string {
    return readCString(this.#at(offset))!;
  }

  /** Fills `destination` with what lies `offset` bytes behind the pointer. */
  copyInto(destination: Uint8Array<ArrayBuffer>, offset: number = 0): void {
    if (!(destination instanceof Uint8Array)) {
      throw new TypeError(
        `Cannot copy memory: destination must be a Uint8Array: got ${describe(destination)}`,
      );
    }
    const { buffer, byteOffset, length } = destination;
    if (!(buffer instanceof ArrayBuffer) || buffer.detached) {
      throw new TypeError("Cannot copy memory: destination is detached, or over shared memory");
    }
    // A view of our own: its length is what the engine says, whatever the caller's object says.
    const bytes = new Uint8Array(buffer, byteOffset, length);
    if (bytes.length > 0) native().copy(bytes, this.#at(offset), BigInt(bytes.length));
  }

  #at(offset: number): Deno.PointerValue {
    if (!Number.isSafeInteger(offset)) {
      throw new RangeError(
        `Cannot read memory: offset must be an integer: got ${describe(offset)}`,
      );
    }
    if (offset === 0) return this.pointer;
    const address = this.#address + BigInt(offset);
    if (address <= 0n) {
      throw new RangeError(
        `Cannot read memory: offset ${offset} leads to the null pointer or below`,
      );
    }
    return native().pointerTo(address);
  }
}
