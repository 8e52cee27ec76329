// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Values as they cross into native memory: each type's check, its way into a slot, its way out of
 * one.
 */

import { bytesOf, isBuffer } from "./buffer.ts";
import type { Callback } from "../call/callback.ts";
import { readCString } from "./cstring.ts";
import { native } from "../library/find.ts";
import { describe } from "../stack/stack.ts";
import { registrationOf } from "../call/thunk.ts";

/** The names of the types that a native body takes and gives. */
export type ScalarType =
  | "bool"
  | "i8"
  | "u8"
  | "i16"
  | "u16"
  | "i32"
  | "u32"
  | "i64"
  | "u64"
  | "isize"
  | "usize"
  | "f32"
  | "f64"
  | "pointer";

/** The names of the types that a function takes, gives, and calls back with. */
export type ValueType = ScalarType | "function" | "buffer" | "cstring";

/** What TypeScript passes for a value that C receives. */
export type ToNative<T> = T extends "void" ? void
  : T extends "bool" ? boolean
  : T extends "i64" | "u64" | "isize" | "usize" ? number | bigint
  : T extends "pointer" ? Deno.PointerValue
  : T extends "function" ? Deno.PointerValue | Callback
  : T extends "buffer" ? BufferSource | null
  : T extends "cstring" ? string | null
  : number;

/** What TypeScript receives for a value that C passes. */
export type FromNative<T> = T extends "void" ? undefined
  : T extends "bool" ? boolean
  : T extends "i64" | "u64" | "isize" | "usize" ? bigint
  : T extends "pointer" | "function" | "buffer" ? Deno.PointerValue
  : T extends "cstring" ? string | null
  : number;

/** The integers, with their bounds. Number-typed ones fit a double, the others are bigints. */
const INTEGERS: Readonly<Record<string, readonly [minimum: bigint, maximum: bigint]>> = {
  i8: [-(2n ** 7n), 2n ** 7n - 1n],
  u8: [0n, 2n ** 8n - 1n],
  i16: [-(2n ** 15n), 2n ** 15n - 1n],
  u16: [0n, 2n ** 16n - 1n],
  i32: [-(2n ** 31n), 2n ** 31n - 1n],
  u32: [0n, 2n ** 32n - 1n],
  i64: [-(2n ** 63n), 2n ** 63n - 1n],
  u64: [0n, 2n ** 64n - 1n],
  isize: [-(2n ** 63n), 2n ** 63n - 1n],
  usize: [0n, 2n ** 64n - 1n],
};

/** The names of every `ScalarType`. */
export const SCALAR_TYPES: ReadonlySet<string> = new Set<ScalarType>([
  ...["bool", "i8", "u8", "i16", "u16", "i32", "u32"] as const,
  ...["i64", "u64", "isize", "usize", "f32", "f64", "pointer"] as const,
]);

/** The names of every `ValueType`. */
export const VALUE_TYPES: ReadonlySet<string> = new Set<ValueType>([
  ...SCALAR_TYPES as ReadonlySet<ScalarType>,
  ...["function", "buffer", "cstring"] as const,
]);

/** Whether a type travels in a register: `isWord` in `native/context/word.zig`. */
export function isWord(type: string): boolean {
  return type === "bool" || INTEGERS[type] !== undefined && INTEGERS[type][1] < 2n ** 32n;
}

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

/** What keeps the bytes that C is given the address of, for as long as it may use them. */
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
    case "i8":
    case "u8":
    case "i16":
    case "u16": {
      const [minimum, maximum] = INTEGERS[type]!;
      if (!Number.isInteger(value) || value as number < minimum || value as number > maximum) {
        refuse(type, value, what);
      }
      // Extended to 32 bits, as compilers expect it of whoever calls them.
      view.setInt32(offset, value as number, true);
      return;
    }
    case "i64":
    case "u64":
    case "isize":
    case "usize": {
      const [minimum, maximum] = INTEGERS[type]!;
      const integer = typeof value === "bigint"
        ? value
        : Number.isSafeInteger(value)
        ? BigInt(value as number)
        : refuse(type, value, what);
      if (integer < minimum || integer > maximum) refuse(type, value, what);
      view.setBigUint64(offset, BigInt.asUintN(64, integer), true);
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
    case "function": {
      const address = registrationOf(value, what)?.thunk?.address;
      view.setBigUint64(offset, address ?? addressOf(value, type, what), true);
      return;
    }
    case "pointer":
      view.setBigUint64(offset, addressOf(value, type, what), true);
      return;
    case "buffer": {
      const bytes = bytesOf(value, what);
      view.setBigUint64(offset, bytes === null ? 0n : keeper!.keepBytes(bytes, what), true);
      return;
    }
    case "cstring":
      view.setBigUint64(offset, keeper!.keepString(value, what), true);
      return;
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

function refuse(type: string, value: unknown, what: string): never {
  if (type === "bool") {
    throw new TypeError(`${what} must be a boolean: got ${describe(value)}`);
  }
  if (type === "f32" || type === "f64") {
    throw new TypeError(`${what} must be a number (${type}): got ${describe(value)}`);
  }
  const [minimum, maximum] = INTEGERS[type]!;
  const range = `an integer from ${minimum} to ${maximum} (${type})`;
  if (typeof value !== "number" && typeof value !== "bigint") {
    throw new TypeError(`${what} must be ${range}: got ${describe(value)}`);
  }
  if (typeof value === "bigint" && isWord(type)) {
    throw new TypeError(`${what} must be ${range}, as a number: got ${describe(value)}`);
  }
  const beyond = !isWord(type) && typeof value === "number" && Number.isInteger(value)
    ? "; beyond 2^53 - 1 pass a bigint"
    : "";
  throw new RangeError(`${what} must be ${range}: got ${describe(value)}${beyond}`);
}

/** What was meant, where something else than a pointer is passed for one. */
function hintFor(type: string, value: unknown): string {
  if (describe(value) === "an object of class UnsafeCallback") {
    return "; use a Callback: it would run JavaScript on the fringe stack";
  }
  if (typeof value === "function" && type === "function") {
    return "; pass a Callback, or declare the parameter as { callback } if C keeps nothing of it";
  }
  if (ArrayBuffer.isView(value) || isBuffer(value)) {
    return '; declare it as "buffer", or pass PointerView.of(bytes).pointer';
  }
  return "";
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
