// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** `PointerView`: reads and writes memory by its address, as `Deno.UnsafePointerView` does. */

import { bytesOf, isBuffer, isDetached } from "./buffer.ts";
import { readCString } from "./value/cstring.ts";
import { native } from "./library/find.ts";
import { describe, isExhaustion, isPowerOfTwo } from "./check.ts";
import { decode, encode, type TextEncoding, unitOf } from "./value/text_encoding.ts";
import { slot, VIEWED } from "./value/struct_type.ts";
import { type ToNative, typeOf } from "./value/type.ts";
import { write } from "./value/value.ts";

/**
 * For each pointer that a view of memory of JavaScript's has given out, what holds the memory that
 * it points at: the bytes, or the pointer that the view was made from. So the memory lives as long
 * as the pointer is held, as by a call that the pointer was passed to.
 */
const memoryBehind = new WeakMap<Deno.PointerObject, object>();

/** What `allocate` has made and nobody has disposed of; undefined until there is some. */
let allocated: Set<Uint8Array<ArrayBuffer>> | undefined;

/** The memory of JavaScript's that a view is of, and where in it; undefined for C's. */
export let memoryOf: (
  view: PointerView,
) => { readonly bytes: Uint8Array<ArrayBuffer>; readonly start: number } | undefined;

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
  static {
    memoryOf = (view) => {
      const bytes = view.#bytes;
      return bytes === undefined ? undefined : { bytes, start: view.#start };
    };
  }

  readonly #pointer: Deno.PointerObject;
  /** What `of` was given: it lives as long as the view, and tells how far the view reaches. */
  #bytes: Uint8Array<ArrayBuffer> | undefined;
  /** Where in there the view begins: at 0, unless `add` has made it. */
  #start = 0;
  /** Of a view that `add` has made from a pointer which holds memory: that pointer. */
  #from: Deno.PointerObject | undefined;

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
   * Of an object that the `view()` of a layout has given it is where the struct lies: C's `&`.
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
  static of(memory: BufferSource | object): PointerView {
    const known = viewed(memory);
    if (known !== undefined) return known;
    const bytes = bytesOf(memory, "Cannot view memory: the buffer");
    if (bytes === null || bytes.length === 0) {
      throw new TypeError("Cannot view memory: the buffer must have at least one byte");
    }
    const view = new PointerView(native().pointerTo(native().addressOfBuffer(bytes))!);
    view.#bytes = bytes;
    return view;
  }

  /**
   * Makes a view of the memory at an address, such as one that C has given as an integer.
   *
   * @throws {TypeError} If it is 0, or no integer.
   *
   * @example
   * ```ts
   * import { PointerView } from "fringe";
   *
   * const { address } = PointerView.of(Uint8Array.of(1, 2, 3)); // a bigint
   * console.log(PointerView.at(address).address === address); // true
   * ```
   */
  static at(address: bigint | number): PointerView {
    write(slot, 0, typeOf("usize"), address, "Cannot view memory: the address");
    return new PointerView(native().pointerTo(slot.getBigUint64(0, true))!);
  }

  /**
   * Makes memory of zero bytes that C may keep the address of: it stays where it is until it is
   * disposed of, and then for as long as a view, its `pointer` or a call holds it. With `using` it
   * is disposed of at the end of the block; without, the program says when C no longer uses it. It
   * goes with the Worker that has made it.
   *
   * Memory that C is to `free` comes from the `malloc` of the same C.
   *
   * @param size How many bytes.
   * @param alignment What the address is a multiple of: a power of two, at most 4096.
   * @throws {RangeError} If one of the two is out of range.
   *
   * @example
   * ```ts
   * import { dlopen, PointerView } from "fringe";
   *
   * // char *strcpy(char *to, const char *from)
   * using libc = dlopen("libc.so.6", {
   *   strcpy: { parameters: ["pointer", "cstring"], result: "pointer" },
   * });
   * using text = PointerView.allocate(16);
   * libc.symbols.strcpy(text.pointer, "kept");
   * console.log(text.getCString()); // kept
   * ```
   */
  static allocate(size: number, alignment: number = 16): AllocatedView {
    if (!Number.isSafeInteger(size) || size < 1) {
      throw new RangeError(
        `Cannot allocate memory: size must be an integer from 1 on: got ${describe(size)}`,
      );
    }
    if (!isPowerOfTwo(alignment) || alignment > 4096) {
      throw new RangeError(
        `Cannot allocate memory: alignment must be a power of two up to 4096: got ${
          describe(alignment)
        }`,
      );
    }
    const room = roomFor(size + alignment - 1);
    const first = Number(-native().addressOfBuffer(room) & BigInt(alignment - 1));
    const bytes = room.subarray(first, first + size);
    const view = new AllocatedView(native().pointerTo(native().addressOfBuffer(bytes))!);
    view.#bytes = bytes;
    (allocated ??= new Set()).add(bytes);
    return view;
  }

  /**
   * The view that begins so many bytes further on, or before: C's arithmetic, in bytes. Like this
   * one it keeps to its buffer, if it is of one.
   *
   * @throws {RangeError} If that is no address, or not in the buffer.
   *
   * @example
   * ```ts
   * import { PointerView } from "fringe";
   *
   * const numbers = PointerView.of(Int32Array.of(1, 2, 3));
   * const last = numbers.add(8);
   * console.log(last.getInt32(), last.getInt32(-4)); // 3 2
   * ```
   */
  add(bytes: number | bigint): PointerView {
    write(slot, 0, typeOf("isize"), bytes, "Cannot reach memory: the distance");
    const distance = slot.getBigInt64(0, true);
    const start = this.#start + Number(distance);
    const buffer = this.#bytes;
    if (buffer !== undefined && (start < 0 || start > buffer.length)) {
      throw new RangeError(
        `Cannot reach memory: ${distance} bytes from the view on is not in the buffer, which has ` +
          `${buffer.length}${this.#before()}`,
      );
    }
    const address = this.address + distance;
    if (address <= 0n || address >= 2n ** 64n) refuseAddress(distance);
    const view = new PointerView(native().pointerTo(address)!);
    view.#bytes = buffer;
    view.#start = start;
    view.#from = this.#from ?? (memoryBehind.has(this.#pointer) ? this.#pointer : undefined);
    return view;
  }

  /** Where the view begins. */
  get pointer(): Deno.PointerObject {
    const [pointer, holder] = [this.#pointer, this.#bytes ?? this.#from];
    if (holder !== undefined && !memoryBehind.has(pointer)) memoryBehind.set(pointer, holder);
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

  /**
   * The pointers of an array, `T **`, up to the next null pointer.
   *
   * @example
   * ```ts
   * import { PointerView } from "fringe";
   *
   * const three = PointerView.of(BigUint64Array.of(1n, 2n, 0n));
   * console.log(three.getPointers().length, three.getPointers(0, 3).at(-1)); // 2 null
   * ```
   */
  getPointers(offset?: number): Deno.PointerObject[];
  /** So many of them, null pointers too. */
  getPointers(offset: number, count: number): Deno.PointerValue[];
  getPointers(offset: number = 0, count?: number): Deno.PointerValue[] {
    if (count !== undefined) {
      checkLength(count, "count");
      // Before there is an array of so many.
      if (count > 0) {
        by(offset + 8 * (count - 1));
        this.#at(offset, 8 * count);
      }
      return Array.from({ length: count }, (_, i) => this.getPointer(offset + 8 * i));
    }
    const pointers: Deno.PointerObject[] = [];
    for (let pointer; (pointer = this.getPointer(offset)) !== null; offset += 8) {
      pointers.push(pointer);
    }
    return pointers;
  }

  /** The strings of an array of them that ends with a null pointer, `char **`: as of `argv`. */
  getCStrings(offset: number = 0, encoding: TextEncoding = "utf-8"): string[] {
    unitOf(encoding, "Cannot reach memory");
    return this.getPointers(offset).map((pointer) => {
      return new PointerView(pointer).getCString(0, encoding);
    });
  }

  /**
   * The string up to the next zero: a zero byte, or a zero of as many bytes as a `char16_t` or a
   * `wchar_t` has.
   */
  getCString(offset: number = 0, encoding: TextEncoding = "utf-8"): string {
    if (encoding !== "utf-8") {
      const unit = unitOf(encoding, "Cannot reach memory");
      return decode(this.getBytes(offset, this.#lengthOf(offset, unit)), encoding);
    }
    const address = this.#address(offset, 1);
    if (this.#bytes !== undefined && !this.#bytes.includes(0, this.#start + offset)) {
      this.#refuseString(offset);
    }
    return readCString(address)!;
  }

  /** The string of so many bytes. */
  getString(offset: number, length: number, encoding: TextEncoding = "utf-8"): string {
    unitOf(encoding, "Cannot reach memory");
    return decode(this.getBytes(offset, length), encoding);
  }

  /** A copy of so many bytes; of those up to the next zero byte, if no length is given. */
  getBytes(
    offset: number = 0,
    length: number = this.#lengthOf(offset, 1),
  ): Uint8Array<ArrayBuffer> {
    checkLength(length, "length");
    if (length > 0) this.#at(offset, length);
    const bytes = roomFor(length);
    this.copyInto(bytes, offset);
    return bytes;
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

  /** Writes a string, and a zero behind it; returns how many bytes that are. */
  setCString(offset: number, value: string, encoding: TextEncoding = "utf-8"): number {
    const bytes = encode(value, encoding, "Cannot write memory: the value");
    this.copyFrom(bytes, offset);
    return bytes.length;
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
    const from = this.#start + by(offset);
    if (from >= 0 && from + size <= bytes.length) return this.#pointer;
    throw new RangeError(
      `Cannot reach memory: ${size} bytes at offset ${offset} are not all in the buffer, which ` +
        `has ${bytes.length}${this.#before()}`,
    );
  }

  /** How many of the buffer's bytes lie before the view, if there are any. */
  #before(): string {
    return this.#start === 0 ? "" : `, ${this.#start} of them before the view`;
  }

  /** How many bytes lie at `offset` before a zero of `unit` bytes. */
  #lengthOf(offset: number, unit: 1 | 2 | 4): number {
    const bytes = this.#bytes;
    if (unit === 1 && bytes === undefined) {
      // There is room for nothing: so native code only counts.
      return native().copyString(slot, this.#address(offset, 1), 0);
    }
    this.#at(offset, unit);
    const end = bytes === undefined ? Infinity : bytes.length - this.#start;
    for (let at = offset; at + unit <= end; at += unit) {
      const zero = unit === 1
        ? this.getUint8(at)
        : unit === 2
        ? this.getUint16(at)
        : this.getUint32(at);
      if (zero === 0) return at - offset;
    }
    this.#refuseString(offset);
  }

  #refuseString(offset: number): never {
    throw new RangeError(
      `Cannot reach memory: no string is there, since the buffer has no zero byte from offset ` +
        `${offset} on`,
    );
  }

  #address(offset: number, size: number): bigint {
    const address = native().addressOfPointer(this.#at(offset, size)) + BigInt(by(offset));
    return address > 0n ? address : refuseAddress(offset);
  }
}

/**
 * A view of memory that `PointerView.allocate` has made.
 *
 * @example
 * ```ts
 * import { type AllocatedView, PointerView } from "fringe";
 *
 * // What C keeps of a watcher, until the watcher is closed.
 * class Watcher implements Disposable {
 *   readonly memory: AllocatedView = PointerView.allocate(64);
 *   [Symbol.dispose](): void {
 *     this.memory[Symbol.dispose]();
 *   }
 * }
 *
 * using watcher = new Watcher();
 * watcher.memory.setInt32(0, 1);
 * ```
 */
export class AllocatedView extends PointerView implements Disposable {
  /** Says that C no longer uses the memory. It goes when no view, pointer or call holds it. */
  [Symbol.dispose](): void {
    allocated!.delete(memoryOf(this)!.bytes);
  }
}

/** What a program has for memory, a `PointerView` or a view of a struct; undefined for others. */
export function viewed(value: unknown): PointerView | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  return value instanceof PointerView ? value : (value as { [VIEWED]?: PointerView })[VIEWED];
}

function refuseAddress(offset: number | bigint): never {
  throw new RangeError(
    `Cannot reach memory: offset ${offset} leads to the null pointer or below`,
  );
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

/** New memory of JavaScript's, which V8 does not move. */
function roomFor(size: number): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(new ArrayBuffer(size));
  } catch (error) {
    if (isExhaustion(error)) throw error;
    throw new RangeError(`Cannot make room for memory: V8 has no ${size} bytes in one piece`, {
      cause: error,
    });
  }
}

function checkLength(length: number, name: string): void {
  if (Number.isSafeInteger(length) && length >= 0) return;
  throw new RangeError(
    `Cannot reach memory: ${name} must be an integer from 0 on: got ${describe(length)}`,
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
