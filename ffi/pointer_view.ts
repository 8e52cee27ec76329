// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** Memory that C owns, read and written under a path-scoped permission too. */

import { bytesOf, isDetached } from "./buffer.ts";
import { readCString } from "./cstring.ts";
import { native } from "./library.ts";
import { describe } from "./stack.ts";
import { type ToNative, write } from "./values.ts";

/** Where a value is put together before it is copied to where it belongs. */
const slot = new DataView(new ArrayBuffer(8));

/**
 * Reads and writes memory that C owns, for example what a pointer that a callback receives points
 * at.
 *
 * It does what `Deno.UnsafePointerView` does, which Deno refuses to a program that was given
 * `--allow-ffi` for single libraries only. As there, the memory must be valid for as long as it is
 * used: fringe cannot know. An `offset` counts bytes, and may be negative; a value need not be
 * aligned.
 *
 * @example What C points at
 * ```ts
 * import { dlopen, PointerView } from "@fringe/fringe";
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
 * import { PointerView } from "@fringe/fringe";
 *
 * const bytes = Uint8Array.of(1, 2, 3);
 * const iovec = PointerView.of(new Uint8Array(16));
 * iovec.setPointer(PointerView.of(bytes).pointer);
 * iovec.setBigUint64(3n, 8);
 * console.log(new PointerView(iovec.getPointer()!).getUint8(2)); // 3
 * ```
 */
export class PointerView {
  readonly #pointer: Deno.PointerObject;
  /** What `of` was given: it lives as long as the view. */
  #buffer: ArrayBuffer | undefined;

  /**
   * Makes a view of the memory at `pointer`.
   *
   * @throws {TypeError} If it is null or no pointer.
   */
  constructor(pointer: Deno.PointerObject) {
    // A pointer inherits nothing, unlike what is passed in its place by mistake. What else inherits
    // nothing is refused where the pointer is used; to ask here would take longer than that.
    if (typeof pointer !== "object" || pointer === null || "constructor" in pointer) {
      throw new TypeError(`Cannot view memory: got ${describe(pointer)} for a pointer`);
    }
    this.#pointer = pointer;
  }

  /**
   * Makes a view of the memory of a buffer, whose address C can then be given. The buffer stays
   * where it is for as long as this view, or the buffer, is held and nobody transfers it elsewhere.
   *
   * @throws {TypeError} If it is no buffer, or one that is shared, resizable, detached or empty.
   */
  static of(buffer: BufferSource): PointerView {
    const bytes = bytesOf(buffer, "Cannot view memory: the buffer");
    if (bytes === null || bytes.length === 0) {
      throw new TypeError("Cannot view memory: the buffer must have at least one byte");
    }
    const view = new PointerView(native().pointerTo(native().addressOfBuffer(bytes))!);
    view.#buffer = bytes.buffer;
    return view;
  }

  /** Where the view begins. */
  get pointer(): Deno.PointerObject {
    return this.#pointer;
  }

  /** The address of that. */
  get address(): bigint {
    return native().addressOfPointer(this.#pointer);
  }

  /** A byte that is not 0. */
  getBool(offset: number = 0): boolean {
    return native().load8(this.#at(), by(offset)) !== 0;
  }

  /** A signed byte. */
  getInt8(offset: number = 0): number {
    return native().load8(this.#at(), by(offset)) << 24 >> 24;
  }

  /** An unsigned byte. */
  getUint8(offset: number = 0): number {
    return native().load8(this.#at(), by(offset));
  }

  /** A signed integer of 16 bits. */
  getInt16(offset: number = 0): number {
    return native().load16(this.#at(), by(offset)) << 16 >> 16;
  }

  /** An unsigned integer of 16 bits. */
  getUint16(offset: number = 0): number {
    return native().load16(this.#at(), by(offset));
  }

  /** A signed integer of 32 bits. */
  getInt32(offset: number = 0): number {
    return native().loadI32(this.#at(), by(offset));
  }

  /** An unsigned integer of 32 bits. */
  getUint32(offset: number = 0): number {
    return native().loadU32(this.#at(), by(offset));
  }

  /** A signed integer of 64 bits. */
  getBigInt64(offset: number = 0): bigint {
    return native().loadI64(this.#at(), by(offset));
  }

  /** An unsigned integer of 64 bits. */
  getBigUint64(offset: number = 0): bigint {
    return native().loadU64(this.#at(), by(offset));
  }

  /** A floating-point number of 32 bits. */
  getFloat32(offset: number = 0): number {
    return native().loadF32(this.#at(), by(offset));
  }

  /** A floating-point number of 64 bits. */
  getFloat64(offset: number = 0): number {
    return native().loadF64(this.#at(), by(offset));
  }

  /** A pointer. */
  getPointer(offset: number = 0): Deno.PointerValue {
    return native().loadPointer(this.#at(), by(offset));
  }

  /** The string up to the next zero byte, decoded as UTF-8. */
  getCString(offset: number = 0): string {
    return readCString(this.#address(offset))!;
  }

  /** Fills `destination` with what lies there. */
  copyInto(destination: Uint8Array<ArrayBuffer>, offset: number = 0): void {
    const bytes = checkBytes(destination, "destination");
    if (bytes.length > 0) native().copyIn(bytes, this.#address(offset), BigInt(bytes.length));
  }

  /** Writes a boolean, as a byte. */
  setBool(value: boolean, offset: number = 0): void {
    this.#set("bool", 1, value, offset);
  }

  /** Writes a signed byte. */
  setInt8(value: number, offset: number = 0): void {
    this.#set("i8", 1, value, offset);
  }

  /** Writes an unsigned byte. */
  setUint8(value: number, offset: number = 0): void {
    this.#set("u8", 1, value, offset);
  }

  /** Writes a signed integer of 16 bits. */
  setInt16(value: number, offset: number = 0): void {
    this.#set("i16", 2, value, offset);
  }

  /** Writes an unsigned integer of 16 bits. */
  setUint16(value: number, offset: number = 0): void {
    this.#set("u16", 2, value, offset);
  }

  /** Writes a signed integer of 32 bits. */
  setInt32(value: number, offset: number = 0): void {
    this.#set("i32", 4, value, offset);
  }

  /** Writes an unsigned integer of 32 bits. */
  setUint32(value: number, offset: number = 0): void {
    this.#set("u32", 4, value, offset);
  }

  /** Writes a signed integer of 64 bits. */
  setBigInt64(value: bigint | number, offset: number = 0): void {
    this.#set("i64", 8, value, offset);
  }

  /** Writes an unsigned integer of 64 bits. */
  setBigUint64(value: bigint | number, offset: number = 0): void {
    this.#set("u64", 8, value, offset);
  }

  /** Writes a floating-point number of 32 bits. */
  setFloat32(value: number, offset: number = 0): void {
    this.#set("f32", 4, value, offset);
  }

  /** Writes a floating-point number of 64 bits. */
  setFloat64(value: number, offset: number = 0): void {
    this.#set("f64", 8, value, offset);
  }

  /** Writes a pointer, or that of a `Callback`. What it points at must be kept alive. */
  setPointer(value: ToNative<"function">, offset: number = 0): void {
    this.#set("function", 8, value, offset);
  }

  /** Writes the bytes of `source`. */
  copyFrom(source: Uint8Array<ArrayBuffer>, offset: number = 0): void {
    const bytes = checkBytes(source, "source");
    if (bytes.length > 0) native().copyOut(this.#address(offset), bytes, BigInt(bytes.length));
  }

  #set(type: string, size: number, value: unknown, offset: number): void {
    write(slot, 0, type, value, "Cannot write memory: the value");
    native().store(this.#at(), by(offset), slot, size);
  }

  /** Where the view begins, if that memory is still there, as far as fringe knows. */
  #at(): Deno.PointerObject {
    if (this.#buffer === undefined || !isDetached(this.#buffer)) return this.#pointer;
    throw new TypeError(
      "Cannot reach memory: the buffer that the view is of has been transferred elsewhere",
    );
  }

  #address(offset: number): bigint {
    const address = native().addressOfPointer(this.#at()) + BigInt(by(offset));
    if (address > 0n) return address;
    throw new RangeError(
      `Cannot reach memory: offset ${offset} leads to the null pointer or below`,
    );
  }
}

/** Checks an offset: native code takes 32 bits of it, and no -0. */
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
