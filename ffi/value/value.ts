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
import { rangeOf, type StructType, type Type, Way } from "./type.ts";

// Local, because V8 folds a local constant, and loads an imported one at each use.
const { void: VOID, int: INT, u32: U32, bool: BOOL, f32: F32, f64: F64, i64: I64, u64: U64 } = Way;
const { number: NUMBER, struct: STRUCT } = Way;
// Before a program can replace them: it could end the generator that is being resumed.
const toBigInt = BigInt;
const { asIntN, asUintN } = toBigInt;
const { isSafeInteger } = Number;
const { floor } = Math;

/**
 * The integer that the lowest bits of `word` stand for. What lies beyond them is ignored, as the
 * ABI leaves it undefined (psABI for AMD64, 3.2.3):
 *
 *     i8   0xfe -> (0xfe ^ 0x80) - 0x80 = -2       u8   0xfe -> (0xfe ^ 0) - 0 = 254
 *
 * So a value that this does not change is one that the type has.
 */
function cut(word: number, { mask, sign }: Type): number {
  return ((word & mask) ^ sign) - sign | 0;
}

/** Where a resume finds a value that is no word. */
interface Inlet {
  /** Where the mailbox's status is. */
  readonly at: number;
  /** The mailboxes of bodies, one of which is this one's. */
  readonly boxes: {
    readonly f32: Float32Array;
    readonly f64: Float64Array;
    readonly i64: BigInt64Array;
    readonly u64: BigUint64Array;
  };
  /** What native code calls the context. */
  readonly handle: Deno.PointerValue;
}

/** The type of a body's input, and what `pass` needs of it. */
interface Taking {
  readonly input: Type;
  readonly takes: number;
  readonly inputMask: number;
  readonly inputSign: number;
}

/**
 * Has a resume pass a value: returns the word that it passes; a value of another type is written
 * into the mailbox. In few bytes, since V8 inlines it into `Generator.resume`; and by no function
 * that a program could have replaced.
 */
export function pass(inlet: Inlet, body: Taking, value: unknown): number {
  const { takes } = body;
  if (typeof value === "number") {
    if (takes === INT) {
      // `cut`, written out: the call, inlined, would be more bytes.
      const word = ((value & body.inputMask) ^ body.inputSign) - body.inputSign | 0;
      if (word === value) return word;
    } else if (takes === F64) {
      inlet.boxes.f64[inlet.at >> 1] = value;
      return 0;
    } else if (takes === F32) {
      inlet.boxes.f32[inlet.at] = value;
      return 0;
    }
  }
  if (takes === VOID) return 0;
  if (takes === BOOL && typeof value === "boolean") return value ? 1 : 0;
  return PASS[takes]!(inlet, body, value);
}

const AN_INPUT = "Cannot resume generator: input";

function passWord(_inlet: Inlet, { input }: Taking, value: unknown): number {
  return toWord(input, value, AN_INPUT);
}

function passI64(inlet: Inlet, { input }: Taking, value: unknown): number {
  const integer = integerOf(input, value, AN_INPUT);
  if (asIntN(64, integer) !== integer) refuse(input, value, AN_INPUT);
  inlet.boxes.i64[inlet.at >> 1] = integer;
  return 0;
}

function passU64(inlet: Inlet, { input }: Taking, value: unknown): number {
  const integer = integerOf(input, value, AN_INPUT);
  if (asUintN(64, integer) !== integer) refuse(input, value, AN_INPUT);
  inlet.boxes.u64[inlet.at >> 1] = integer;
  return 0;
}

function passPointer(inlet: Inlet, { input }: Taking, value: unknown): number {
  try {
    native().passPointer(inlet.handle, value as Deno.PointerValue);
  } catch (error) {
    // If it is no pointer this says what it is.
    addressOf(value, input.name, AN_INPUT);
    throw error;
  }
  return 0;
}

/**
 * How each way passes a value, by its number. A table, since V8 inlines no call that has had
 * several targets: so it inlines the one way of a program that has one, and leaves room for what
 * is more than a call where there are many.
 */
const PASS: readonly ((inlet: Inlet, body: Taking, value: unknown) => number)[] = [
  passWord, // void, which is never asked for
  passWord, // int
  passWord, // u32
  passWord, // bool
  passWord, // f32, for what is no number
  passWord, // f64, likewise
  passI64, // i64
  passU64, // u64
  passPointer, // address
];

/** What a register holds of a value that is no `Way.int`, or out of range. */
function toWord(type: Type, value: unknown, what: string): number {
  if (type.way === BOOL && typeof value === "boolean") return value ? 1 : 0;
  if (type.way === U32 && typeof value === "number" && (value >>> 0) === value) return value | 0;
  return refuse(type, value, what);
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
  type: Type,
  value: unknown,
  what: string,
  keeper?: Keeper,
): void {
  // The commonest types are here, so that V8 inlines them; the others are a call away.
  const { way } = type;
  if ((way === INT || way === U32) && typeof value === "number") {
    const word = cut(value, type);
    // Half of the u32s are no int32.
    if (word === value && (way === INT || word >= 0)) {
      // A small integer is extended to 32 bits: compilers rely on it that the caller does so.
      view.setInt32(offset, word, true);
      return;
    }
  }
  if (way === F64 && typeof value === "number") {
    view.setFloat64(offset, value, true);
    return;
  }
  if (way !== VOID) writeOther(view, offset, type, value, what, keeper);
}

function writeOther(
  view: DataView,
  offset: number,
  type: Type,
  value: unknown,
  what: string,
  keeper: Keeper | undefined,
): void {
  switch (type.way) {
    case I64: {
      const integer = integerOf(type, value, what);
      if (BigInt.asIntN(64, integer) !== integer) refuse(type, value, what);
      view.setBigInt64(offset, integer, true);
      return;
    }
    case U64: {
      const integer = integerOf(type, value, what);
      if (BigInt.asUintN(64, integer) !== integer) refuse(type, value, what);
      view.setBigUint64(offset, integer, true);
      return;
    }
    case NUMBER:
      writeNumber(view, offset, type, value, what);
      return;
    case F32:
      if (typeof value !== "number") refuse(type, value, what);
      view.setFloat32(offset, value as number, true);
      return;
    case F64:
      refuse(type, value, what);
      return;
    case INT:
    case U32:
    case BOOL:
      view.setInt32(offset, toWord(type, value, what), true);
      return;
    case STRUCT:
      (type as StructType).passing.write(view as DataView<ArrayBuffer>, value, what, keeper);
      return;
    default:
      view.setBigUint64(offset, addressFor(type, value, what, keeper), true);
  }
}

/** Writes an integer of 64 bits: a number as two halves, since a bigint takes longer to make. */
function writeNumber(
  view: DataView,
  offset: number,
  type: Type,
  value: unknown,
  what: string,
): void {
  if (isSafeInteger(value) && (type.sign !== 0 || value as number >= 0)) {
    view.setUint32(offset, value as number % HALF, true);
    view.setInt32(offset + 4, floor(value as number / HALF), true);
    return;
  }
  const integer = integerOf(type, value, what);
  if ((type.sign !== 0 ? asIntN : asUintN)(64, integer) !== integer) refuse(type, value, what);
  view.setBigUint64(offset, integer, true);
}

/** What one more in the upper half of an integer of 64 bits is worth. */
const HALF = 2 ** 32;

/** Reads an integer of 64 bits that C says is small enough for a number. */
function readNumber(view: DataView, offset: number, type: Type): number {
  const { sign, name } = type;
  const upper = sign !== 0 ? view.getInt32(offset + 4, true) : view.getUint32(offset + 4, true);
  const value = upper * HALF + view.getUint32(offset, true);
  if (isSafeInteger(value)) return value;
  const integer = sign !== 0 ? view.getBigInt64(offset, true) : view.getBigUint64(offset, true);
  const plain = name.slice(0, name.indexOf(" "));
  throw new RangeError(
    `Cannot have ${integer}, which C has given, as a number: it is exact from -(2^53 - 1) to ` +
      `2^53 - 1; declare the type as "${plain}", which gives a bigint`,
  );
}

/**
 * The address of what C is to find: where a pointer leads, or where a string or a buffer is kept.
 */
function addressFor(
  type: Type,
  value: unknown,
  what: string,
  keeper: Keeper | undefined,
): bigint {
  switch (type.name) {
    case "function":
      return pointingOf(value, what)?.address ?? addressOf(value, type.name, what);
    case "buffer": {
      const bytes = bytesOf(value, what);
      return bytes === null ? 0n : keeper!.keepBytes(bytes, what);
    }
    case "cstring":
      return keeper!.keepString(value, what);
    default:
      return addressOf(value, type.name, what);
  }
}

/** The value in the slot at `offset`. */
export function read(view: DataView, offset: number, type: Type): unknown {
  const { way } = type;
  if (way === INT) return cut(view.getInt32(offset, true), type);
  if (way === U32) return view.getUint32(offset, true);
  if (way === F64) return view.getFloat64(offset, true);
  return readOther(view, offset, type);
}

function readOther(view: DataView, offset: number, type: Type): unknown {
  switch (type.way) {
    case BOOL:
      return view.getUint8(offset) !== 0;
    case I64:
      return view.getBigInt64(offset, true);
    case U64:
      return view.getBigUint64(offset, true);
    case NUMBER:
      return readNumber(view, offset, type);
    case F32:
      return view.getFloat32(offset, true);
    case VOID:
      return undefined;
    default:
      // NULL is common, and needs no native code.
      if (view.getInt32(offset, true) === 0 && view.getInt32(offset + 4, true) === 0) return null;
      return type.name === "cstring"
        ? readCString(view.getBigUint64(offset, true))
        : native().pointerTo(view.getBigUint64(offset, true));
  }
}

/** A bigint, or a number that stands for one. */
function integerOf(type: Type, value: unknown, what: string): bigint {
  if (typeof value === "bigint") return value;
  return isSafeInteger(value) ? toBigInt(value as number) : refuse(type, value, what);
}

/** What to do where an input is missing: `for…of` gives none to a body that wants one. */
function hintForNone(value: unknown, what: string): string {
  return value === undefined && what === AN_INPUT
    ? "; for…of and next() pass no input: call resume(input)"
    : "";
}

function refuse(type: Type, value: unknown, what: string): never {
  const { name, kind } = type;
  const none = hintForNone(value, what);
  if (name === "bool") {
    throw new TypeError(`${what} must be a boolean: got ${describe(value)}${none}`);
  }
  if (kind === "float") {
    throw new TypeError(`${what} must be a number (${name}): got ${describe(value)}${none}`);
  }
  const [minimum, maximum] = rangeOf(type)!;
  const range = `an integer from ${minimum} to ${maximum} (${name})`;
  if (typeof value !== "number" && typeof value !== "bigint") {
    throw new TypeError(`${what} must be ${range}: got ${describe(value)}${none}`);
  }
  const isWord = kind === "word";
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
    return "; pass a Callback or a function of dlopen, or declare the parameter as " +
      "{ callback } if C keeps nothing of it";
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
    const kinds = type === "function"
      ? "a Callback, a function of dlopen, a Deno.PointerObject"
      : "a Deno.PointerObject";
    const hint = hintFor(type, value) || hintForNone(value, what);
    throw new TypeError(
      `${what} must be ${kinds} or null (${type}): got ${describe(value)}${hint}`,
      { cause: error },
    );
  }
}
