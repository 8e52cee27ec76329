// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Values as they cross into native memory: each type's check, its way into a slot, its way out of
 * one.
 */

import { describe } from "../check.ts";
import { native } from "../library/find.ts";
import { bytesOf, isBuffer } from "../buffer.ts";
import { readCString } from "./cstring.ts";
import { hintForUnsafeCallback, pointingOf } from "./function_pointer.ts";
import { rowOf } from "./type.ts";

/** The value of a word type that a register holds, whose upper bits may be anything. */
export function fromWord(type: string, word: number): unknown {
  switch (type) {
    case "u32":
      return word >>> 0;
    case "i32":
      return word;
    case "bool":
      return (word & 0xff) !== 0;
    case "i8":
      return word << 24 >> 24;
    case "u8":
      return word & 0xff;
    case "i16":
      return word << 16 >> 16;
    default:
      return word & 0xffff;
  }
}

/** What keeps strings and buffers that C gets the address of, for as long as C may use them. */
export interface Keeper {
  /** Puts a string where C finds it; returns its address, 0 for null. */
  keepString(value: unknown, what: string): bigint;
  /** Keeps a buffer where it is, or a copy; returns the address. */
  keepBytes(bytes: Uint8Array<ArrayBuffer>, what: string): bigint;
}

/**
 * Writes a value into the slot at `offset`. A string or a buffer goes to `keeper`. `what` begins a
 * message: "Cannot resume generator: input".
 */
export function write(
  view: DataView,
  offset: number,
  type: string,
  value: unknown,
  what: string,
  keeper?: Keeper,
): void {
  // The commonest types are here, so that V8 inlines them; the others are a call away.
  if (type === "i32" && typeof value === "number" && (value | 0) === value) {
    view.setInt32(offset, value as number, true);
    return;
  }
  if (type !== "void") writeOther(view, offset, type, value, what, keeper);
}

function writeOther(
  view: DataView,
  offset: number,
  type: string,
  value: unknown,
  what: string,
  keeper: Keeper | undefined,
): void {
  switch (type) {
    case "i32":
      return refuse(type, value, what);
    case "u32":
      if (typeof value !== "number" || (value >>> 0) !== value) refuse(type, value, what);
      view.setUint32(offset, value, true);
      return;
    case "bool":
      if (typeof value !== "boolean") refuse(type, value, what);
      view.setUint32(offset, value ? 1 : 0, true);
      return;
    // Small integers are extended to 32 bits: compilers rely on it that the caller does so.
    case "i8":
      if (typeof value !== "number" || (value << 24 >> 24) !== value) refuse(type, value, what);
      view.setInt32(offset, value, true);
      return;
    case "u8":
      if (typeof value !== "number" || (value & 0xff) !== value) refuse(type, value, what);
      view.setInt32(offset, value, true);
      return;
    case "i16":
      if (typeof value !== "number" || (value << 16 >> 16) !== value) refuse(type, value, what);
      view.setInt32(offset, value, true);
      return;
    case "u16":
      if (typeof value !== "number" || (value & 0xffff) !== value) refuse(type, value, what);
      view.setInt32(offset, value, true);
      return;
    case "i64":
    case "isize": {
      const integer = integerOf(type, value, what);
      if (BigInt.asIntN(64, integer) !== integer) refuse(type, value, what);
      view.setBigInt64(offset, integer, true);
      return;
    }
    case "u64":
    case "usize": {
      const integer = integerOf(type, value, what);
      if (BigInt.asUintN(64, integer) !== integer) refuse(type, value, what);
      view.setBigUint64(offset, integer, true);
      return;
    }
    case "f32":
      if (typeof value !== "number") refuse(type, value, what);
      view.setFloat32(offset, value as number, true);
      return;
    case "f64":
      if (typeof value !== "number") refuse(type, value, what);
      view.setFloat64(offset, value as number, true);
      return;
    default:
      view.setBigUint64(offset, addressFor(type, value, what, keeper), true);
  }
}

/**
 * The address of what C is to find: where a pointer leads, or where a string or a buffer is kept.
 */
function addressFor(
  type: string,
  value: unknown,
  what: string,
  keeper: Keeper | undefined,
): bigint {
  switch (type) {
    case "function":
      return pointingOf(value, what)?.address ?? addressOf(value, type, what);
    case "pointer":
      return addressOf(value, type, what);
    case "buffer": {
      const bytes = bytesOf(value, what);
      return bytes === null ? 0n : keeper!.keepBytes(bytes, what);
    }
    case "cstring":
      return keeper!.keepString(value, what);
    default:
      throw new TypeError(`${what} has the unknown type ${describe(type)}`);
  }
}

/** The value in the slot at `offset`. */
export function read(view: DataView, offset: number, type: string): unknown {
  if (type === "i32") return view.getInt32(offset, true);
  if (type === "u32") return view.getUint32(offset, true);
  return readOther(view, offset, type);
}

function readOther(view: DataView, offset: number, type: string): unknown {
  switch (type) {
    case "pointer":
    case "function":
    case "buffer":
      return native().pointerTo(view.getBigUint64(offset, true));
    case "i64":
    case "isize":
      return view.getBigInt64(offset, true);
    case "u64":
    case "usize":
      return view.getBigUint64(offset, true);
    case "f64":
      return view.getFloat64(offset, true);
    case "f32":
      return view.getFloat32(offset, true);
    case "cstring":
      return readCString(view.getBigUint64(offset, true));
    case "bool":
      // psABI for AMD64, 3.2.3: of a bool only the lowest eight bits are defined.
      return view.getUint8(offset) !== 0;
    case "i8":
      return view.getInt8(offset);
    case "u8":
      return view.getUint8(offset);
    case "i16":
      return view.getInt16(offset, true);
    case "u16":
      return view.getUint16(offset, true);
    default:
      return undefined;
  }
}

/** A bigint, or a number that stands for one. */
function integerOf(type: string, value: unknown, what: string): bigint {
  if (typeof value === "bigint") return value;
  return Number.isSafeInteger(value) ? BigInt(value as number) : refuse(type, value, what);
}

function refuse(type: string, value: unknown, what: string): never {
  if (type === "bool") {
    throw new TypeError(`${what} must be a boolean: got ${describe(value)}`);
  }
  if (type === "f32" || type === "f64") {
    throw new TypeError(`${what} must be a number (${type}): got ${describe(value)}`);
  }
  const [minimum, maximum] = rowOf(type)!.range!;
  const range = `an integer from ${minimum} to ${maximum} (${type})`;
  if (typeof value !== "number" && typeof value !== "bigint") {
    throw new TypeError(`${what} must be ${range}: got ${describe(value)}`);
  }
  const isWord = rowOf(type)!.kind === "word";
  if (typeof value === "bigint" && isWord) {
    throw new TypeError(`${what} must be ${range}, as a number: got ${describe(value)}`);
  }
  const beyond = !isWord && typeof value === "number" && Number.isInteger(value)
    ? "; beyond 2^53 - 1 pass a bigint"
    : "";
  throw new RangeError(`${what} must be ${range}: got ${describe(value)}${beyond}`);
}

/** What to write instead, for what is mostly passed in place of a pointer by mistake. */
function hintFor(type: string, value: unknown): string {
  if (typeof value === "function" && type === "function") {
    return "; pass a Callback, or declare the parameter as { callback } if C keeps nothing of it";
  }
  if (ArrayBuffer.isView(value) || isBuffer(value)) {
    return '; declare it as "buffer", or pass PointerView.of(bytes).pointer';
  }
  if (typeof value === "bigint" || typeof value === "number") {
    return '; an address is passed as "usize", and written by setBigUint64()';
  }
  if (/class (Callback|PointerView)$/.test(describe(value))) return "; pass its `pointer`";
  return hintForUnsafeCallback(value);
}

function addressOf(value: unknown, type: string, what: string): bigint {
  if (value === null) return 0n;
  try {
    return native().addressOfPointer(value as Deno.PointerObject);
  } catch (error) {
    const kinds = type === "function" ? "a Callback, a Deno.PointerObject" : "a Deno.PointerObject";
    throw new TypeError(
      `${what} must be ${kinds} or null (${type}): got ${describe(value)}${hintFor(type, value)}`,
      { cause: error },
    );
  }
}
