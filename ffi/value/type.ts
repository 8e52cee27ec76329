// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * The types of values that cross between TypeScript and native code: one table of what is known of
 * each, and what TypeScript has for each on either side. A new type is a row here.
 */

import { own } from "../check.ts";

/**
 * What TypeScript passes for a C function: a `Callback`. Objects of other origin are refused.
 *
 * @example
 * ```ts
 * import { Callback, type FunctionPointer, PointerView } from "fringe";
 *
 * // Writes the address of a function into a struct of C.
 * function setHandler(struct: Uint8Array<ArrayBuffer>, offset: number, handler: FunctionPointer) {
 *   PointerView.of(struct).setPointer(offset, handler.pointer);
 * }
 *
 * using allocate = new Callback({ parameters: ["usize"], result: "pointer" }, () => null);
 * setHandler(new Uint8Array(16), 8, allocate);
 * ```
 */
export interface FunctionPointer {
  /** The function pointer that C gets. */
  readonly pointer: Deno.PointerObject;
  /** What C passes, and is answered. */
  readonly definition: object;
  /** Releases the function pointer. */
  close(): void;
  /** The same as `close`. */
  [Symbol.dispose](): void;
}

/** How a value travels and is checked. */
interface TypeRow {
  /**
   * - "word": an integer of at most 32 bits, or a bool. It travels in a register of a resume;
   *   `isWord` of `native/context/generator.zig` is the same rule.
   * - "wide": an integer of 64 bits, a bigint in TypeScript.
   * - "float": it travels in a vector register of a call.
   * - "address": a pointer, or what becomes one.
   */
  readonly kind: "word" | "wide" | "float" | "address";
  /** What an integer may be. Bigints, since the bounds of 64 bits are no numbers. */
  readonly range: readonly [minimum: bigint, maximum: bigint] | undefined;
  /** What C makes of an argument behind the dots of a variadic function (C17, 6.5.2.2). */
  readonly promoted: "i32" | "f64" | undefined;
}

const I64 = [-0x8000_0000_0000_0000n, 0x7fff_ffff_ffff_ffffn] as const;
const U64 = [0n, 0xffff_ffff_ffff_ffffn] as const;

/**
 * Every type, in the order in which messages list them. Each row has all fields, and one that it
 * lacked would be what a program has put into `Object.prototype`.
 */
const TYPES: Readonly<Record<ValueType, TypeRow>> = {
  bool: { kind: "word", range: undefined, promoted: "i32" },
  i8: { kind: "word", range: [-0x80n, 0x7fn], promoted: "i32" },
  u8: { kind: "word", range: [0n, 0xffn], promoted: "i32" },
  i16: { kind: "word", range: [-0x8000n, 0x7fffn], promoted: "i32" },
  u16: { kind: "word", range: [0n, 0xffffn], promoted: "i32" },
  i32: { kind: "word", range: [-0x8000_0000n, 0x7fff_ffffn], promoted: undefined },
  u32: { kind: "word", range: [0n, 0xffff_ffffn], promoted: undefined },
  i64: { kind: "wide", range: I64, promoted: undefined },
  u64: { kind: "wide", range: U64, promoted: undefined },
  isize: { kind: "wide", range: I64, promoted: undefined },
  usize: { kind: "wide", range: U64, promoted: undefined },
  f32: { kind: "float", range: undefined, promoted: "f64" },
  f64: { kind: "float", range: undefined, promoted: undefined },
  pointer: { kind: "address", range: undefined, promoted: undefined },
  function: { kind: "address", range: undefined, promoted: undefined },
  buffer: { kind: "address", range: undefined, promoted: undefined },
  cstring: { kind: "address", range: undefined, promoted: undefined },
};

/**
 * The names of the types that a native body takes and gives.
 *
 * @example
 * ```ts
 * import type { BodyDefinition, ScalarType } from "fringe";
 *
 * // The definition of a body that gives what it gets.
 * function echo(type: ScalarType): BodyDefinition {
 *   return { input: type, output: type };
 * }
 *
 * console.log(echo("f64")); // { input: "f64", output: "f64" }
 * ```
 */
export type ScalarType = Exclude<ValueType, "function" | "buffer" | "cstring">;

/**
 * The names of the types that a function takes, gives, and calls back with.
 *
 * @example
 * ```ts
 * import { dlopen, type ValueType } from "fringe";
 *
 * const file: ValueType = "cstring";
 * const mode: ValueType = "i32";
 * using libc = dlopen("libc.so.6", { access: { parameters: [file, mode], result: "i32" } });
 * console.log(libc.symbols.access("/", 0)); // 0: there is such a file
 * ```
 */
export type ValueType =
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
  | "pointer"
  | "function"
  | "buffer"
  | "cstring";

/**
 * What TypeScript passes for a value that C receives.
 *
 * @example
 * ```ts
 * import { dlopen, type ToNative } from "fringe";
 *
 * const length: ToNative<"usize"> = 3; // a number or a bigint
 * const text: ToNative<"cstring"> = "abcdef"; // a string or null
 * using libc = dlopen("libc.so.6", {
 *   strnlen: { parameters: ["cstring", "usize"], result: "usize" },
 * });
 * console.log(libc.symbols.strnlen(text, length)); // 3n
 * ```
 */
export type ToNative<T> = T extends "void" ? void
  : T extends "bool" ? boolean
  : T extends "i64" | "u64" | "isize" | "usize" ? number | bigint
  : T extends "pointer" ? Deno.PointerValue
  : T extends "function" ? Deno.PointerValue | FunctionPointer
  : T extends "buffer" ? BufferSource | null
  : T extends "cstring" ? string | null
  : number;

/**
 * What TypeScript receives for a value that C passes.
 *
 * @example
 * ```ts
 * import { dlopen, type FromNative } from "fringe";
 *
 * using libc = dlopen("libc.so.6", { strlen: { parameters: ["cstring"], result: "usize" } });
 * const length: FromNative<"usize"> = libc.symbols.strlen("abc"); // always a bigint
 * console.log(length); // 3n
 * ```
 */
export type FromNative<T> = T extends "void" ? undefined
  : T extends "bool" ? boolean
  : T extends "i64" | "u64" | "isize" | "usize" ? bigint
  : T extends "pointer" | "function" | "buffer" ? Deno.PointerValue
  : T extends "cstring" ? string | null
  : number;

const rows: ReadonlyMap<string, TypeRow> = new Map(Object.entries(TYPES));

/** The row of a type; undefined for "void", and for what is no type. */
export function rowOf(type: string): TypeRow | undefined {
  return rows.get(type);
}

/** What to write for a type's name in C, TypeScript or elsewhere: the rest is in `meantBy`. */
const otherNames = (): Readonly<Record<string, ValueType>> =>
  own({
    boolean: "bool",
    _bool: "bool",
    char: "i8",
    "signed char": "i8",
    "unsigned char": "u8",
    byte: "u8",
    short: "i16",
    "unsigned short": "u16",
    int: "i32",
    unsigned: "u32",
    "unsigned int": "u32",
    uint: "u32",
    long: "i64",
    "long long": "i64",
    "unsigned long": "u64",
    "unsigned long long": "u64",
    bigint: "i64",
    size: "usize",
    ssize: "isize",
    intptr: "isize",
    uintptr: "usize",
    float: "f32",
    double: "f64",
    string: "cstring",
    str: "cstring",
    "char*": "cstring",
    ptr: "pointer",
    bytes: "buffer",
    uint8array: "buffer",
  });

/**
 * The type that a name of another language stands for, such as `size_t` or `const char *`;
 * undefined if it is not known. Only for messages: what is meant is then for the reader to say.
 */
export function meantBy(name: string): ValueType | undefined {
  const plain = name.toLowerCase().replace(/\bconst\b|_t$/g, "").replace(/\s*\*$/, "*").trim();
  const bits = /^(u?)int(8|16|32|64)$/.exec(plain);
  const type = bits === null ? plain : `${bits[1] || "i"}${bits[2]}`;
  if (rows.has(type)) return type as ValueType;
  return otherNames()[type] ?? (type.endsWith("*") ? "pointer" : undefined);
}

/** The names of every `ValueType`. */
export const VALUE_TYPES: ReadonlySet<string> = new Set(rows.keys());

/** The names of every `ScalarType`: not of those whose memory has to be kept for C. */
export const SCALAR_TYPES: ReadonlySet<string> = VALUE_TYPES.difference(
  new Set<Exclude<ValueType, ScalarType>>(["function", "buffer", "cstring"]),
);
