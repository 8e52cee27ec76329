// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * The types of values that cross between TypeScript and native code: one table of what is known of
 * each, and what TypeScript has for each on either side. A new type is a row here.
 */

import { own } from "../check.ts";
import { arch, os } from "../machine.ts";

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
export type FunctionPointer = MadeBy<"new Callback()"> & {
  /** The function pointer that C gets. */
  readonly pointer: Deno.PointerObject;
  /** What C passes, and is answered. */
  readonly definition: object;
  /** Releases the function pointer. */
  close(): void;
  /** The same as `close`. */
  [Symbol.dispose](): void;
};

/**
 * The key of what `MadeBy` says. There is no such symbol and no such property when a program runs:
 * only TypeScript knows them.
 *
 * @example
 * ```ts
 * import type { Callback, maker } from "fringe";
 *
 * type Maker = Callback[typeof maker];
 * const expression: Maker = "new Callback()";
 * console.log(expression); // new Callback()
 * ```
 */
declare const maker: unique symbol;
export type { maker };

/**
 * An object that was made in one way and no other: TypeScript refuses what merely looks like it,
 * such as a `Deno.UnsafeCallback` for a `Callback`, and names the way.
 *
 * @typeParam Maker The expression that makes such objects.
 *
 * @example
 * ```ts
 * import { Callback, type MadeBy } from "fringe";
 *
 * using callback = new Callback({ parameters: [], result: "void" }, () => {});
 * const made: MadeBy<"new Callback()"> = callback;
 * console.log(made === callback); // true
 * ```
 */
export interface MadeBy<Maker extends string> {
  /** Says nothing at run time, where it is missing. */
  readonly [maker]: Maker;
}

/**
 * How a value is checked and converted: a small number, which is compared faster than a name. The
 * integers of at most 32 bits are one way, but for u32, which is no int32. From `f32` on a value is
 * no word: it lies in the mailbox. `number` is an integer of 64 bits that TypeScript has as one.
 */
export const Way = {
  void: 0,
  int: 1,
  u32: 2,
  bool: 3,
  f32: 4,
  f64: 5,
  i64: 6,
  u64: 7,
  address: 8,
  number: 9,
  struct: 10,
} as const;

/** What is known of a type. */
interface Row {
  /**
   * - "word": an integer of at most 32 bits, or a bool. It travels in a register of a resume;
   *   `isWord` of `native/context/word.zig` is the same rule.
   * - "wide": an integer of 64 bits, a bigint in TypeScript but for `Way.number`.
   * - "float": it travels in a vector register of a call.
   * - "address": a pointer, or what becomes one.
   * - "struct": a struct or a union, by value.
   */
  readonly kind: "void" | "word" | "wide" | "float" | "address" | "struct";
  /** One of `Way`. */
  readonly way: number;
  /** How many bytes it takes in memory. */
  readonly size: number;
  /**
   * For `Way.int`, the bits that a value has, and which of them is the sign, if any; see `cut`. For
   * `Way.number`, a `sign` of 1 says that there is one.
   */
  readonly mask: number;
  readonly sign: number;
  /** What C makes of an argument behind the dots of a variadic function (C17, 6.5.2.2). */
  readonly promoted: "i32" | "f64" | undefined;
}

/** A type. */
export interface Type extends Row {
  /** What messages call it: for all but structs a `ValueType`, or "void". */
  readonly name: string;
}

/** A struct or a union by value, where it stands in a signature. */
export interface StructType extends Type {
  readonly passing: Passing;
}

/** How the value of a struct crosses; `call/passing.ts`, above here, knows. */
export interface Passing {
  /** Writes a value to where C finds it. `what` begins with "Cannot". */
  write(view: DataView<ArrayBuffer>, value: unknown, what: string, keeper: unknown): void;
}

const none = undefined;

/**
 * C's `char` is signed, but for ARM's (AAPCS64, section 10.1.2); Apple's is signed there, too
 * ("Writing ARM64 code for Apple platforms").
 */
const charSign = arch === "aarch64" && os !== "darwin" ? 0 : 0x80;

const WIDE: Row = { kind: "wide", way: Way.number, size: 8, mask: 0, sign: 0, promoted: none };

/**
 * Every type, in the order in which messages list them. Each row has all fields: one that it lacked
 * would be what a program has put into `Object.prototype`.
 */
const TYPES: Readonly<Record<ValueType, Row>> = {
  bool: { kind: "word", way: Way.bool, size: 1, mask: 0xff, sign: 0, promoted: "i32" },
  i8: { kind: "word", way: Way.int, size: 1, mask: 0xff, sign: 0x80, promoted: "i32" },
  u8: { kind: "word", way: Way.int, size: 1, mask: 0xff, sign: 0, promoted: "i32" },
  char: { kind: "word", way: Way.int, size: 1, mask: 0xff, sign: charSign, promoted: "i32" },
  i16: { kind: "word", way: Way.int, size: 2, mask: 0xffff, sign: 0x8000, promoted: "i32" },
  u16: { kind: "word", way: Way.int, size: 2, mask: 0xffff, sign: 0, promoted: "i32" },
  i32: { kind: "word", way: Way.int, size: 4, mask: -1, sign: 0, promoted: none },
  u32: { kind: "word", way: Way.u32, size: 4, mask: -1, sign: 0, promoted: none },
  i64: { kind: "wide", way: Way.i64, size: 8, mask: 0, sign: 0, promoted: none },
  u64: { kind: "wide", way: Way.u64, size: 8, mask: 0, sign: 0, promoted: none },
  isize: { kind: "wide", way: Way.i64, size: 8, mask: 0, sign: 0, promoted: none },
  usize: { kind: "wide", way: Way.u64, size: 8, mask: 0, sign: 0, promoted: none },
  "i64 as number": { ...WIDE, sign: 1 },
  "u64 as number": WIDE,
  "isize as number": { ...WIDE, sign: 1 },
  "usize as number": WIDE,
  f32: { kind: "float", way: Way.f32, size: 4, mask: 0, sign: 0, promoted: "f64" },
  f64: { kind: "float", way: Way.f64, size: 8, mask: 0, sign: 0, promoted: none },
  pointer: { kind: "address", way: Way.address, size: 8, mask: 0, sign: 0, promoted: none },
  function: { kind: "address", way: Way.address, size: 8, mask: 0, sign: 0, promoted: none },
  buffer: { kind: "address", way: Way.address, size: 8, mask: 0, sign: 0, promoted: none },
  cstring: { kind: "address", way: Way.address, size: 8, mask: 0, sign: 0, promoted: none },
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
export type ScalarType = Exclude<
  ValueType,
  "function" | "buffer" | "cstring" | `${string} as number`
>;

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
  | "char"
  | "i16"
  | "u16"
  | "i32"
  | "u32"
  | "i64"
  | "u64"
  | "isize"
  | "usize"
  | "i64 as number"
  | "u64 as number"
  | "isize as number"
  | "usize as number"
  | "f32"
  | "f64"
  | "pointer"
  | "function"
  | "buffer"
  | "cstring";

/**
 * A struct by value, written as in `Deno.dlopen`: its values are bytes. C passes it as any struct
 * whose parts have these types, in this order. With a layout made by `struct()` in its place the
 * values are objects.
 *
 * @example
 * ```ts
 * import { dlopen, type StructDefinition } from "fringe";
 *
 * const div_t = { struct: ["i32", "i32"] } as const satisfies StructDefinition;
 * using libc = dlopen("libc.so.6", { div: { parameters: ["i32", "i32"], result: div_t } });
 * const [quotient, remainder] = new Int32Array(libc.symbols.div(17, 5).buffer);
 * console.log(quotient, remainder); // 3 2
 * ```
 */
export interface StructDefinition {
  /** What it is made of: types, structs and layouts. */
  readonly struct: readonly TypeDefinition[];
}

/**
 * A struct or a union with names, as far as a table needs to know it: what `struct()` makes.
 *
 * @example
 * ```ts
 * import type { FromNative, LayoutType, ToNative } from "fringe";
 *
 * // Whatever layout it is, a value that C gave can be passed on to C.
 * type Same<L extends LayoutType> = FromNative<L> extends ToNative<L> ? true : false;
 *
 * interface Point extends LayoutType {
 *   read(memory: never): { x: number };
 *   write(memory: never, values: { readonly x?: number }): void;
 * }
 * const same: Same<Point> = true;
 * console.log(same);
 * ```
 */
export interface LayoutType {
  /** How many bytes it takes. */
  readonly size: number;
  /** What its address is a multiple of. */
  readonly alignment: number;
  /** Gives the value that lies in memory. */
  read(memory: never): unknown;
  /** Puts a value there. */
  write(memory: never, values: never): void;
}

/**
 * What a function takes, gives, and calls back with: a type, or a struct by value.
 *
 * @example
 * ```ts
 * import { dlopen, type TypeDefinition } from "fringe";
 *
 * const number: TypeDefinition = "i64";
 * const quotient: TypeDefinition = { struct: [number, number] }; // lldiv_t
 * using libc = dlopen("libc.so.6", {
 *   lldiv: { parameters: [number, number], result: quotient },
 * });
 * ```
 */
export type TypeDefinition = ValueType | StructDefinition | LayoutType;

/**
 * A function of `dlopen`, of whatever type, where C takes a function pointer: C gets the function
 * itself, which must stay open for as long as C has it.
 *
 * @example
 * ```ts
 * import { dlopen, type SymbolPointer } from "fringe";
 *
 * using libc = dlopen("libc.so.6", {
 *   qsort: { parameters: ["buffer", "usize", "usize", "function"], result: "void" },
 *   strcmp: { parameters: ["cstring", "cstring"], result: "i32" },
 * });
 * const compare: SymbolPointer = libc.symbols.strcmp;
 * const words = new TextEncoder().encode("c\0b\0a\0");
 * libc.symbols.qsort(words, 3, 2, compare); // no JavaScript runs
 * console.log(new TextDecoder().decode(words).replaceAll("\0", "")); // abc
 * ```
 */
export interface SymbolPointer {
  /** Calls the function. */
  (...args: never): unknown;
  /** Calls the function; handlers may be async. */
  readonly async: (...args: never) => Promise<unknown>;
}

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
  : T extends "i64" | "u64" | "isize" | "usize" | `${string} as number` ? number | bigint
  : T extends "pointer" ? Deno.PointerValue
  : T extends "function" ? Deno.PointerValue | FunctionPointer | SymbolPointer
  : T extends "buffer" ? BufferSource | null
  : T extends "cstring" ? string | null
  : T extends StructDefinition ? BufferSource
  : T extends { write(memory: never, values: infer Values): void } ? Values
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
  : T extends StructDefinition ? Uint8Array<ArrayBuffer>
  : T extends { read(memory: never): infer Value } ? Value
  : number;

const types = new Map<string, Type>();
// In a loop: V8 would compile a function that is called so often, while the module is imported.
for (const [name, row] of Object.entries(TYPES)) {
  types.set(name, { name, ...row });
}

/** No value: the type of what a function does not return, or a body is not given. */
export const VOID: Type = {
  ...{ name: "void", kind: "void", way: Way.void, size: 0, mask: 0, sign: 0, promoted: none },
};

/** The type of a name; `VOID` for "void", and for what is no type. */
export function typeOf(name: string): Type {
  return types.get(name) ?? VOID;
}

/** What an integer may be; undefined for other types. Bigints: of 64 bits they are no numbers. */
export function rangeOf({ kind, way, size, sign }: Type): [bigint, bigint] | undefined {
  if (way === Way.bool || kind !== "word" && kind !== "wide") return undefined;
  const bits = BigInt(8 * size);
  const isSigned = sign !== 0 || way === Way.i64 || way === Way.int && size === 4;
  return isSigned ? [-(2n ** (bits - 1n)), 2n ** (bits - 1n) - 1n] : [0n, 2n ** bits - 1n];
}

/**
 * What `generator.fill()` takes, whatever the type of the outputs.
 *
 * @example
 * ```ts
 * import { dlopen, type FilledArray, Generator, OsStack } from "fringe";
 *
 * using library = dlopen("./native/prebuilt/x86_64-linux/libbodies.so", {
 *   count: { input: "void", output: "i32" },
 * });
 * using generator = new Generator(new OsStack(), library.symbols.count);
 * const some: FilledArray = new Int32Array(3);
 * const filled = some.subarray(0, generator.fill(some));
 * console.log(filled); // Int32Array(3) [ 1, 2, 3 ]
 * ```
 */
export type FilledArray =
  | Int8Array<ArrayBuffer>
  | Uint8Array<ArrayBuffer>
  | Int16Array<ArrayBuffer>
  | Uint16Array<ArrayBuffer>
  | Int32Array<ArrayBuffer>
  | Uint32Array<ArrayBuffer>
  | Float32Array<ArrayBuffer>
  | Float64Array<ArrayBuffer>
  | BigInt64Array<ArrayBuffer>
  | BigUint64Array<ArrayBuffer>;

/** The name of the class of arrays that has elements of this type; undefined for "void". */
export function arrayFor({ kind, way, size, sign }: Type): string | undefined {
  if (kind === "void") return undefined;
  const bits = 8 * size;
  if (kind === "float") return `Float${bits}Array`;
  if (size === 8) return way === Way.i64 ? "BigInt64Array" : "BigUint64Array";
  return sign !== 0 || way === Way.int && size === 4 ? `Int${bits}Array` : `Uint${bits}Array`;
}

/** What to write for a type's name in C, TypeScript or elsewhere: the rest is in `meantBy`. */
const otherNames = (): Readonly<Record<string, ValueType>> =>
  own({
    boolean: "bool",
    _bool: "bool",
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
  if (types.has(type)) return type as ValueType;
  return otherNames()[type] ?? (type.endsWith("*") ? "pointer" : undefined);
}

/** The names of every `ValueType`. */
export const VALUE_TYPES: ReadonlySet<string> = new Set(types.keys());

/**
 * The names of every `ScalarType`: not of those whose memory has to be kept for C, nor of integers
 * that a number may be too small for, since a generator has gone on by the time that it is known.
 */
export const SCALAR_TYPES: ReadonlySet<string> = new Set(
  [...types.values()].filter(({ way, name }) =>
    way !== Way.number && (way !== Way.address || name === "pointer")
  ).map(({ name }) => name),
);
