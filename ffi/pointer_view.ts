// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** `PointerView`: reads and writes memory by its address, as `Deno.UnsafePointerView` does. */

import { bytesOf, isBuffer, isDetached } from "./buffer.ts";
import { readCString } from "./value/cstring.ts";
import { native } from "./library/find.ts";
import { describe } from "./check.ts";
import { type ToNative, typeOf } from "./value/type.ts";
import { write } from "./value/value.ts";

/**
 * For each pointer that a view made by `PointerView.of` has given out, the memory that it points
 * at. So the memory lives as long as the pointer is held, as by a call that the pointer was passed
 * to.
 */
const memoryBehind = new WeakMap<Deno.PointerObject, Uint8Array<ArrayBuffer>>();

/** Where a value is put together before it is copied to where it belongs. */
const slot = new DataView(new ArrayBuffer(8));

/**
 * Reads and writes memory that C owns, for example what a pointer that a callback receives points
 * at.
 *
 * It does what `Deno.UnsafePointerView` does, which Deno refuses to a program that was given
 * `--allow-ffi` for single libraries only. As there, the memory must be valid for as long as it is
 * used: fringe cannot know, except of views that `of` has made. An `offset` counts bytes, and may
 * be negative; a value need not be aligned. Setters take the offset first, as a `DataView` does.
 *
 * @example What C points at
 * ```ts
 * import { dlopen, PointerView } from "fringe";
 *
 * using libc = dlopen("libc.so.6", {
 *   getenv: { parameters: ["cstring"], result: "pointer" },
 * });
 * const pointer = libc.symbols.getenv("PATH");
 * if (pointer !== null) console.log(new PointerView(pointer).getCString());
 * ```
 *
 * @example A struct that holds the address of a buffer
 * ```ts
 * import { PointerView } from "fringe";
 *
 * const bytes = Uint8Array.of(1, 2, 3);
 * const iovec = PointerView.of(new Uint8Array(16));
 * iovec.setPointer(0, PointerView.of(bytes).pointer);
 * iovec.setBigUint64(8, 3n);
 * console.log(new PointerView(iovec.getPointer()!).getUint8(2)); // 3
 * ```
 */
export class PointerView {
  readonly #pointer: Deno.PointerObject;
  /** What `of` was given: it lives as long as the view, and tells how far the view reaches. */
  #bytes: Uint8Array<ArrayBuffer> | undefined;

  /**
   * Makes a view of the memory at `pointer`.
   *
   * @throws {TypeError} If it is null or no pointer.
   */
  constructor(pointer: Deno.PointerObject) {
    // A pointer inherits nothing, and most objects that are passed by mistake inherit
    // `constructor`. Another object without a prototype is refused by Deno where it is used: to ask
    // Deno here would take longer than all else does.
    if (typeof pointer !== "object" || pointer === null || "constructor" in pointer) {
      throw new TypeError(
        `Cannot view memory: got ${describe(pointer)} for a pointer` +
          (pointer === null ? "; C's NULL points at nothing, so look for null first" : "") +
          (isBuffer(pointer) || ArrayBuffer.isView(pointer) ? "; use PointerView.of(buffer)" : ""),
      );
    }
    this.#pointer = pointer;
  }

  /**
   * Makes a view of the memory of a buffer, whose address C can then be given. The buffer stays
   * where it is for as long as this view, its `pointer` or the buffer is held, and is not
   * transferred elsewhere. A call that has been passed the pointer holds it until C returns.
   *
   * @throws {TypeError} If it is no buffer, or one that is shared, resizable, detached or empty.
   *
   * @example
   * ```ts
   * import { dlopen, PointerView } from "fringe";
   *
   * // long strtol(const char *text, char **end, int base)
   * using libc = dlopen("libc.so.6", {
   *   strtol: { parameters: ["pointer", "buffer", "i32"], result: "i64" },
   * });
   * const text = PointerView.of(new TextEncoder().encode("42 apples\0"));
   * const end = new Uint8Array(8);
   * console.log(libc.symbols.strtol(text.pointer, end, 10)); // 42n
   * console.log(new PointerView(PointerView.of(end).getPointer()!).getCString()); // " apples"
   * ```
   */
  static of(buffer: BufferSource): PointerView {
    const bytes = bytesOf(buffer, "Cannot view memory: the buffer");
    if (bytes === null || bytes.length === 0) {
      throw new TypeError("Cannot view memory: the buffer must have at least one byte");
    }
    const view = new PointerView(native().pointerTo(native().addressOfBuffer(bytes))!);
    view.#bytes = bytes;
    return view;
  }

  /** Where the view begins. */
  get pointer(): Deno.PointerObject {
    const [pointer, bytes] = [this.#pointer, this.#bytes];
    if (bytes !== undefined && !memoryBehind.has(pointer)) memoryBehind.set(pointer, bytes);
    return pointer;
  }

  /** The address where the view begins. */
  get address(): bigint {
    return native().addressOfPointer(this.#pointer);
  }

  /** Whether the byte at `offset` is another than 0. */
  getBool(offset: number = 0): boolean {
    return native().load8(this.#at(offset, 1), by(offset)) !== 0;
  }

  /** A signed byte. */
  getInt8(offset: number = 0): number {
    return native().load8(this.#at(offset, 1), by(offset)) << 24 >> 24;
  }

  /** An unsigned byte. */
  getUint8(offset: number = 0): number {
    return native().load8(this.#at(offset, 1), by(offset));
  }

  /** A signed integer of 16 bits. */
  getInt16(offset: number = 0): number {
    return native().load16(this.#at(offset, 2), by(offset)) << 16 >> 16;
  }

  /** An unsigned integer of 16 bits. */
  getUint16(offset: number = 0): number {
    return native().load16(this.#at(offset, 2), by(offset));
  }

  /** A signed integer of 32 bits. */
  getInt32(offset: number = 0): number {
    return native().loadI32(this.#at(offset, 4), by(offset));
  }

  /** An unsigned integer of 32 bits. */
  getUint32(offset: number = 0): number {
    return native().loadU32(this.#at(offset, 4), by(offset));
  }

  /** A signed integer of 64 bits. */
  getBigInt64(offset: number = 0): bigint {
    return native().loadI64(this.#at(offset, 8), by(offset));
  }

  /** An unsigned integer of 64 bits. */
  getBigUint64(offset: number = 0): bigint {
    return native().loadU64(this.#at(offset, 8), by(offset));
  }

  /** A floating-point number of 32 bits. */
  getFloat32(offset: number = 0): number {
    return native().loadF32(this.#at(offset, 4), by(offset));
  }

  /** A floating-point number of 64 bits. */
  getFloat64(offset: number = 0): number {
    return native().loadF64(this.#at(offset, 8), by(offset));
  }

  /** A pointer. */
  getPointer(offset: number = 0): Deno.PointerValue {
    return native().loadPointer(this.#at(offset, 8), by(offset));
  }

  /** The string up to the next zero byte, decoded as UTF-8. */
  getCString(offset: number = 0): string {
    const address = this.#address(offset, 1);
    if (this.#bytes !== undefined && !this.#bytes.includes(0, offset)) {
      throw new RangeError(
        `Cannot reach memory: no string is there, since the buffer has no zero byte from offset ` +
          `${offset} on`,
      );
    }
    return readCString(address)!;
  }

  /** Fills `destination` with what lies there. */
  copyInto(destination: Uint8Array<ArrayBuffer>, offset: number = 0): void {
    const bytes = checkBytes(destination, "destination");
    if (bytes.length > 0) {
      native().copyIn(bytes, this.#address(offset, bytes.length), BigInt(bytes.length));
    }
  }

  /** Writes a boolean, as a byte. */
  setBool(offset: number, value: boolean): void {
    this.#set("bool", 1, offset, value);
  }

  /** Writes a signed byte. */
  setInt8(offset: number, value: number): void {
    this.#set("i8", 1, offset, value);
  }

  /** Writes an unsigned byte. */
  setUint8(offset: number, value: number): void {
    this.#set("u8", 1, offset, value);
  }

  /** Writes a signed integer of 16 bits. */
  setInt16(offset: number, value: number): void {
    this.#set("i16", 2, offset, value);
  }

  /** Writes an unsigned integer of 16 bits. */
  setUint16(offset: number, value: number): void {
    this.#set("u16", 2, offset, value);
  }

  /** Writes a signed integer of 32 bits. */
  setInt32(offset: number, value: number): void {
    this.#set("i32", 4, offset, value);
  }

  /** Writes an unsigned integer of 32 bits. */
  setUint32(offset: number, value: number): void {
    this.#set("u32", 4, offset, value);
  }

  /** Writes a signed integer of 64 bits. */
  setBigInt64(offset: number, value: bigint | number): void {
    this.#set("i64", 8, offset, value);
  }

  /** Writes an unsigned integer of 64 bits. */
  setBigUint64(offset: number, value: bigint | number): void {
    this.#set("u64", 8, offset, value);
  }

  /** Writes a floating-point number of 32 bits. */
  setFloat32(offset: number, value: number): void {
    this.#set("f32", 4, offset, value);
  }

  /** Writes a floating-point number of 64 bits. */
  setFloat64(offset: number, value: number): void {
    this.#set("f64", 8, offset, value);
  }

  /**
   * Writes a pointer, or that of a `Callback` or of a function of `dlopen`. What it points at must
   * be kept alive.
   */
  setPointer(offset: number, value: ToNative<"function">): void {
    this.#set("function", 8, offset, value);
  }

  /** Writes the bytes of `source`. */
  copyFrom(source: Uint8Array<ArrayBuffer>, offset: number = 0): void {
    const bytes = checkBytes(source, "source");
    if (bytes.length > 0) {
      native().copyOut(this.#address(offset, bytes.length), bytes, BigInt(bytes.length));
    }
  }

  #set(type: string, size: number, offset: number, value: unknown): void {
    write(slot, 0, typeOf(type), value, "Cannot write memory: the value");
    native().store(this.#at(offset, size), by(offset), slot, size);
  }

  /** Where the view begins, if `size` bytes at `offset` are there, as far as fringe knows. */
  #at(offset: number, size: number): Deno.PointerObject {
    const bytes = this.#bytes;
    if (bytes === undefined) return this.#pointer;
    if (isDetached(bytes.buffer)) {
      throw new TypeError(
        "Cannot reach memory: the buffer that the view is of has been transferred elsewhere",
      );
    }
    if (by(offset) >= 0 && offset + size <= bytes.length) return this.#pointer;
    throw new RangeError(
      `Cannot reach memory: ${size} bytes at offset ${offset} are not all in the buffer, which ` +
        `has ${bytes.length}`,
    );
  }

  #address(offset: number, size: number): bigint {
    const address = native().addressOfPointer(this.#at(offset, size)) + BigInt(by(offset));
    if (address > 0n) return address;
    throw new RangeError(
      `Cannot reach memory: offset ${offset} leads to the null pointer or below`,
    );
  }
}

/** Checks an offset, which native code takes as 32 bits; returns it, with 0 for -0. */
function by(offset: number): number {
  if (typeof offset === "number" && (offset | 0) === offset) return offset | 0;
  throw new RangeError(
    `Cannot reach memory: offset must be an integer from -(2^31) to 2^31 - 1: got ${
      describe(offset)
    }`,
  );
}

function checkBytes(bytes: Uint8Array<ArrayBuffer>, name: string): Uint8Array<ArrayBuffer> {
  if (!(bytes instanceof Uint8Array)) {
    throw new TypeError(
      `Cannot copy memory: ${name} must be a Uint8Array: got ${describe(bytes)}`,
    );
  }
  return bytesOf(bytes, `Cannot copy memory: ${name}`)!;
}
