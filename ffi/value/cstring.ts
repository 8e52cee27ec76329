// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** C's strings: bytes up to a zero, which are UTF-8 here. */

import { describe } from "../check.ts";
import { native } from "../library/find.ts";
import { nodeModule } from "../node.ts";

/** Undefined until there is one: they take longest of all that an import would have to make. */
let decoder: TextDecoder | undefined;
let encoder: TextEncoder | undefined;

/** The encoder, made when it is first asked for. */
export function utf8(): TextEncoder {
  return encoder ??= new TextEncoder();
}

const scratch = new Uint8Array(new ArrayBuffer(16 * 1024));

/** The string at `address`; null for the null pointer. */
export function readCString(address: bigint): string | null {
  if (address === 0n) return null;
  let bytes = scratch;
  let length = native().copyString(bytes, address, bytes.length);
  if (length > bytes.length) {
    // Memory of its own, for this string only: so much is not kept for the next.
    bytes = new Uint8Array(new ArrayBuffer(length));
    length = native().copyString(bytes, address, length);
  }
  if (length <= SHORT) return decodeShort(bytes, length);
  return length <= MEDIUM ? decodeMedium(length) : decode(bytes, length);
}

/**
 * Up to how many bytes something else takes less time than `TextDecoder`: characters that are put
 * together one by one (`SHORT`), then Node's Buffer (`MEDIUM`).
 */
const [SHORT, MEDIUM] = [12, 160];

/** `scratch` as a Buffer of Node's; undefined until there is one. */
let buffer: { toString(encoding: "utf8", start: number, end: number): string } | undefined;

function decodeMedium(length: number): string {
  buffer ??= nodeModule("node:buffer")?.Buffer.from(scratch.buffer);
  return buffer === undefined ? decode(scratch, length) : buffer.toString("utf8", 0, length);
}

function decodeShort(bytes: Uint8Array<ArrayBuffer>, length: number): string {
  let text = "";
  let i = 0;
  for (; i + 8 <= length; i += 8) {
    const [a, b, c, d] = [bytes[i]!, bytes[i + 1]!, bytes[i + 2]!, bytes[i + 3]!];
    const [e, f, g, h] = [bytes[i + 4]!, bytes[i + 5]!, bytes[i + 6]!, bytes[i + 7]!];
    if ((a | b | c | d | e | f | g | h) > 0x7f) return decode(bytes, length);
    text += String.fromCharCode(a, b, c, d, e, f, g, h);
  }
  for (; i < length; i++) {
    const a = bytes[i]!;
    if (a > 0x7f) return decode(bytes, length);
    text += String.fromCharCode(a);
  }
  return text;
}

/** The text in the first `length` bytes. */
export function decode(bytes: Uint8Array<ArrayBuffer>, length: number): string {
  // C has no use for a byte order mark: one at the beginning of a string is part of the text.
  decoder ??= new TextDecoder("utf-8", { ignoreBOM: true });
  return decoder.decode(bytes.subarray(0, length));
}

/**
 * Checks that a value is null or a string that C sees all of: to C a string ends at its first
 * U+0000. `what` begins with "Cannot".
 */
export function checkString(value: unknown, what: string): asserts value is string | null {
  if (value === null) return;
  if (typeof value !== "string") {
    throw new TypeError(`${what} must be a string or null (cstring): got ${describe(value)}`);
  }
  if (!value.includes("\0")) return;
  throw new TypeError(
    `${what} must not contain the character U+0000, which ends a C string: got ${describe(value)}`,
  );
}

/** The bytes of a string with the zero behind them; null for null. `what` begins with "Cannot". */
export function encodeCString(value: unknown, what: string): Uint8Array<ArrayBuffer> | null {
  checkString(value, what);
  return value === null ? null : utf8().encode(value + "\0");
}

/**
 * Memory for the strings that C gets during one call. Most fit into one buffer, which the next call
 * uses again: a buffer for each string would take longer to make than the call.
 */
export class Strings {
  #bytes: Uint8Array<ArrayBuffer> | undefined;
  #address = 0n;
  #used = 0;
  /** Strings that did not fit. */
  #others: Uint8Array<ArrayBuffer>[] | undefined;

  /** Forgets all strings: C no longer uses them. */
  clear(): void {
    this.#used = 0;
    this.#others = undefined;
  }

  /**
   * Puts a string where C finds it, with a zero behind it, and returns its address; 0 for null.
   * `what` begins with "Cannot".
   */
  put(value: unknown, what: string): bigint {
    checkString(value, what);
    if (value === null) return 0n;
    const address = this.fit(value);
    if (address !== undefined) return address;
    const bytes = utf8().encode(value + "\0");
    (this.#others ??= []).push(bytes);
    return native().addressOfBuffer(bytes);
  }

  /** The same for a string that has been checked, if it fits into the one buffer. */
  fit(value: string): bigint | undefined {
    if (this.#bytes === undefined) {
      this.#bytes = new Uint8Array(new ArrayBuffer(CAPACITY));
      this.#address = native().addressOfBuffer(this.#bytes);
    }
    const start = this.#used;
    if (mostBytes(value) > CAPACITY - start) return undefined;
    this.#used = putString(this.#bytes, start, value);
    return this.#address + BigInt(start);
  }
}

/** How many bytes of strings a call has room for before each gets memory of its own. */
const CAPACITY = 1024;

/**
 * Memory for one string at a time. The next string takes its place, in the same memory if that is
 * large enough.
 */
export class StringPlace {
  #bytes: Uint8Array<ArrayBuffer> | undefined;
  #address = 0n;

  /** Puts a string there that has been checked, with a zero behind it, and returns its address. */
  put(value: string): bigint {
    const most = mostBytes(value);
    if (most > PLACE_MAX) {
      this.#bytes = utf8().encode(value + "\0");
      return this.#address = native().addressOfBuffer(this.#bytes);
    }
    const size = this.#bytes?.length ?? 0;
    if (size < most || size > PLACE_MAX) {
      // A power of two, so that strings which grow slowly do not each need new memory.
      this.#bytes = new Uint8Array(new ArrayBuffer(2 ** Math.ceil(Math.log2(most))));
      this.#address = native().addressOfBuffer(this.#bytes);
    }
    putString(this.#bytes!, 0, value);
    return this.#address;
  }
}

/** How many bytes a place keeps for the next string; memory of a longer one goes with that. */
const PLACE_MAX = 64 * 1024;

/**
 * How many bytes a string may need with its zero: a character of one or two UTF-16 units is no more
 * than three bytes for each in UTF-8.
 */
function mostBytes(value: string): number {
  return value.length * 3 + 1;
}

/** Puts a string, and a zero, at `start`, where there is room; returns where they end. */
function putString(bytes: Uint8Array<ArrayBuffer>, start: number, value: string): number {
  const { length } = value;
  let end = start + length;
  if (length > SHORT || !putShort(bytes, start, value)) {
    end = start + utf8().encodeInto(value, bytes.subarray(start)).written;
  }
  bytes[end] = 0;
  return end + 1;
}

/** Whether the string was ASCII, and has been put there. */
function putShort(bytes: Uint8Array<ArrayBuffer>, start: number, value: string): boolean {
  for (let i = 0; i < value.length; i++) {
    const code = value.charCodeAt(i);
    if (code > 0x7f) return false;
    bytes[start + i] = code;
  }
  return true;
}
