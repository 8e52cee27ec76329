// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Random C signatures, the C functions that have them, and values of every type: what
 * signature_test.ts is made of.
 *
 * Nothing here uses `ffi/value/value.ts`: what the bytes of a value are is said once more, so that
 * the two can be compared.
 *
 * @module
 */

import fc from "fast-check";
import { join } from "node:path";
import { zig, zigEnvironment } from "../../tools/zig.ts";

/** So many parameters that a random choice of them takes up the registers of either kind. */
const MANY = 24;

/** As many as a C compiler must take (C17, 5.2.4.1), and no more are there in any signature. */
const MOST = 127;

interface Kind {
  /** The type in C. */
  readonly c: string;
  /** The type of eight bytes that C widens it to. */
  readonly wide: string;
  readonly size: 1 | 2 | 4 | 8;
}

const KINDS = {
  bool: { c: "bool", wide: "uint64_t", size: 1 },
  i8: { c: "int8_t", wide: "int64_t", size: 1 },
  u8: { c: "uint8_t", wide: "uint64_t", size: 1 },
  i16: { c: "int16_t", wide: "int64_t", size: 2 },
  u16: { c: "uint16_t", wide: "uint64_t", size: 2 },
  i32: { c: "int32_t", wide: "int64_t", size: 4 },
  u32: { c: "uint32_t", wide: "uint64_t", size: 4 },
  i64: { c: "int64_t", wide: "int64_t", size: 8 },
  u64: { c: "uint64_t", wide: "uint64_t", size: 8 },
  isize: { c: "intptr_t", wide: "intptr_t", size: 8 },
  usize: { c: "uintptr_t", wide: "uintptr_t", size: 8 },
  f32: { c: "float", wide: "double", size: 4 },
  f64: { c: "double", wide: "double", size: 8 },
  pointer: { c: "void *", wide: "void *", size: 8 },
  function: { c: "function", wide: "function", size: 8 },
  buffer: { c: "unsigned char *", wide: "unsigned char *", size: 8 },
  cstring: { c: "const char *", wide: "const char *", size: 8 },
} as const satisfies Record<string, Kind>;

/** The name of a type, as `dlopen` knows it. */
type Type = keyof typeof KINDS;

const FLOATS: readonly Type[] = ["f32", "f64"];
const isFloat = (type: Type): type is "f32" | "f64" => FLOATS.includes(type);
const TYPES = Object.keys(KINDS) as Type[];

/** What a callback takes and gives. */
export interface Prototype {
  readonly parameters: readonly Type[];
  readonly result: Type | "void";
}

/** A C function, and what it does. */
export interface Signature {
  readonly name: string;
  readonly parameters: readonly (Type | Prototype)[];
  readonly result: Type | "void";
  /** Which parameters it calls back, in this order. */
  readonly calls: readonly number[];
  /** Whether it looks at what it has got only when all calls are done, and not before. */
  readonly late: boolean;
  /** Whether it leaves garbage in what a value does not fill of its register or stack slot. */
  readonly dirty: boolean;
  /** How many parameters there are before the `...`; the others are what is passed for it. */
  readonly variadic: number | undefined;
}

/** What crosses the border, and where: the name of the place in messages, and the type. */
type Slot = readonly [place: string, type: Type];

/** What C sees, in the order in which it records that: parameters, then results of callbacks. */
function seenBy({ parameters, calls }: Signature): Slot[] {
  const seen = parameters.flatMap((type, i): Slot[] =>
    typeof type === "string" ? [[`a${i}`, type]] : []
  );
  for (const [k, i] of calls.entries()) {
    const { result } = parameters[i] as Prototype;
    if (result !== "void") seen.push([`r${k}`, result]);
  }
  return seen;
}

/** What C gives: the arguments of each call of a callback, then what it returns. */
function givenBy({ parameters, result, calls }: Signature): Slot[] {
  const given = calls.flatMap((i, k) =>
    (parameters[i] as Prototype).parameters.map((type, j): Slot => [`c${k}.${j}`, type])
  );
  return result === "void" ? given : [...given, ["result", result]];
}

const cType = (type: Type | "void"): string => type === "void" ? "void" : KINDS[type].c;

/** The type of eight bytes that travels in the same kind of register. */
const whole = (type: Type): Type => isFloat(type) ? "f64" : "u64";

function cParameters(types: readonly Type[]): string {
  return types.length === 0 ? "void" : types.map(cType).join(", ");
}

/** Declares something of a type of C. */
function declare(type: Type | Prototype, name: string): string {
  if (typeof type === "string") return `${cType(type)} ${name}`;
  return `${cType(type.result)} (*${name})(${cParameters(type.parameters)})`;
}

/** A signature as C says it. */
export function prototype({ name, parameters, result, variadic }: Signature): string {
  const list = parameters.map((type, i) => declare(type, `a${i}`));
  if (variadic !== undefined) list.push(`... /* ${list.splice(variadic).join(", ")} */`);
  return `${cType(result)} ${name}(${list.length === 0 ? "void" : list.join(", ")})`;
}

/** The function itself: it records what it sees in `seen`, and gives what lies in `given`. */
function definition(signature: Signature): string {
  const { parameters, result, calls, late, dirty, variadic } = signature;
  const register = (type: Type): Type => dirty ? whole(type) : type;
  const sights = new Map(
    seenBy(signature).map(([place, type], i) => {
      return [place, `see_${type}(${FRAME + 1 + i}, ${place});`];
    }),
  );
  const see = (place: string): string[] => late || !sights.has(place) ? [] : [sights.get(place)!];
  let slot = 0;
  const calling = calls.map((i, k) => {
    const { parameters: types, result } = parameters[i] as Prototype;
    const registers = types.map(register);
    const args = registers.map((type) => `give_${type}(${slot++})`).join(", ");
    const call = `((${declare({ parameters: registers, result }, "")})a${i})(${args});`;
    return result === "void" ? call : `${cType(result)} r${k} = ${call}`;
  });
  const lines = [
    `see_usize(${FRAME}, ${PLACE} % 16);`,
    ...(variadic === undefined ? [] : fetching(parameters, variadic)),
    ...parameters.flatMap((_, i) => see(`a${i}`)),
    ...calling.flatMap((call, k) => [call, ...see(`r${k}`)]),
    ...(late ? sights.values() : []),
    ...(result === "void" ? [] : [`return give_${register(result)}(${slot});`]),
  ];
  const head = prototype({ ...signature, result: result === "void" ? result : register(result) });
  return `${head}\n{\n${lines.map((line) => `    ${line}\n`).join("")}}\n`;
}

/** Fetches the arguments that stand for the `...`. */
function fetching(parameters: readonly (Type | Prototype)[], variadic: number): string[] {
  const fetches = parameters.map((type, i) =>
    `${declare(type, `a${i}`)} = va_arg(rest, ${declare(type, "")});`
  );
  const start = ["va_list rest;", `va_start(rest, a${variadic - 1});`];
  return [...start, ...fetches.slice(variadic), "va_end(rest);"];
}

/** How many bytes a slot has, for the value, the value widened, and what it points at. */
const SLOT_SIZE = 128;
const WIDE = 8;
const CONTENT = 16;
const CONTENT_MAX = SLOT_SIZE - CONTENT;

/** What the ABI wants to be a multiple of 16: the frame, or on aarch64 the stack pointer. */
const PLACE = Deno.build.arch === "x86_64"
  ? "(uintptr_t)__builtin_frame_address(0)"
  : '({ uintptr_t sp; __asm__("mov %0, sp" : "=r"(sp)); sp; })';

/** The first slot of `seen`: how far the frame is from where the ABI wants it; others follow. */
const FRAME = 0;

/** A function calls back so many times at most; what it gives then fits, and its result. */
const CALLS_MAX = 4;
const SLOTS = 1 + Math.max(MOST, CALLS_MAX * MANY);

/** How many bytes there are of `seen`, and of `given`. */
const AREA_SIZE = SLOTS * SLOT_SIZE;

/** A library of C functions that have the given signatures. */
function source(signatures: readonly Signature[]): string {
  const scalars = Object.entries(KINDS).filter(([type]) => type !== "buffer" && type !== "cstring");
  return `
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

unsigned char seen[${SLOTS}][${SLOT_SIZE}];
unsigned char given[${SLOTS}][${SLOT_SIZE}];

typedef void (*function)(void);

#define INLINE static inline __attribute__((always_inline, unused))

#define SEE(name, type, wide_type) \\
    INLINE void see_##name(int slot, type value) \\
    { \\
        wide_type wide = (wide_type)value; \\
        memcpy(seen[slot], &value, sizeof value); \\
        memcpy(seen[slot] + ${WIDE}, &wide, sizeof wide); \\
    }

#define GIVE(name, type) \\
    INLINE type give_##name(int slot) \\
    { \\
        type value; \\
        memcpy(&value, given[slot], sizeof value); \\
        return value; \\
    }

${scalars.map(([type, { c, wide }]) => `SEE(${type}, ${c}, ${wide})\n`).join("")}
${Object.entries(KINDS).map(([type, { c }]) => `GIVE(${type}, ${c})\n`).join("")}

/* The caller has said how many bytes there are; all of them are changed. */
INLINE void see_buffer(int slot, unsigned char *value)
{
    uint64_t length;
    memcpy(seen[slot], &value, sizeof value);
    memcpy(&length, seen[slot] + ${WIDE}, sizeof length);
    for (uint64_t i = 0; i < length; i++) {
        seen[slot][${CONTENT} + i] = value[i];
        value[i] ^= 0xff;
    }
}

INLINE void see_cstring(int slot, const char *value)
{
    memcpy(seen[slot], &value, sizeof value);
    if (value == NULL) return;
    for (int i = 0; i < ${CONTENT_MAX}; i++) {
        seen[slot][${CONTENT} + i] = (unsigned char)value[i];
        if (value[i] == 0) return;
    }
}

${signatures.map(definition).join("\n")}`;
}

/** Compiles a library into `directory`, under this name; gives its path. */
export async function compile(
  signatures: readonly Signature[],
  optimization: string,
  directory: string,
  name: string,
): Promise<string> {
  return await compileBy(await zig(), clang(optimization), source(signatures), directory, name);
}

/** How Zig compiles C for this machine, where it would trap undefined behaviour by itself. */
export function clang(optimization: string): string[] {
  // A call through another type of function is just that.
  return ["cc", "-target", `${Deno.build.arch}-linux-gnu`, optimization, "-fno-sanitize=all"];
}

/** Compiles the text of a library into `directory`, under this name; gives its path. */
export async function compileBy(
  command: string,
  flags: readonly string[],
  text: string,
  directory: string,
  name: string,
): Promise<string> {
  const [input, output] = [`${name}.c`, `${name}.so`];
  await Deno.writeTextFile(join(directory, input), text);
  const { success, stderr } = await new Deno.Command(command, {
    args: [...flags, "-shared", "-fPIC", "-o", output, input],
    cwd: directory,
    // What is compiled here is never compiled again, and not worth a place in the cache.
    env: { ...zigEnvironment, ZIG_LOCAL_CACHE_DIR: join(directory, "cache") },
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).output();
  if (!success) throw new Error(`Cannot compile ${input}:\n${new TextDecoder().decode(stderr)}`);
  return join(directory, output);
}

/** A callback that takes nothing and gives nothing. */
const NOTHING: Prototype = { parameters: [], result: "void" };

/** The types in turn, from the first on. */
function inTurn(types: readonly Type[], count: number): Type[] {
  return Array.from({ length: count }, (_, i) => types[i % types.length]!);
}

/** The signatures that are always there: of one type each, of nothing, of all that is possible. */
function fixed(dirty: boolean): Signature[] {
  const some = { late: true, dirty, variadic: undefined };
  const calling = (name: string, types: readonly Type[], calls: number): Signature => {
    const callback: Prototype = { parameters: types, result: types[0]! };
    return {
      name,
      parameters: [...types.slice(1), callback],
      result: types[0]!,
      calls: Array(calls).fill(types.length - 1),
      ...some,
    };
  };
  return [
    ...TYPES.map((type) => calling(`all_${type}`, inTurn([type], MANY), 2)),
    calling("most", inTurn(TYPES, MOST), 1),
    { name: "nothing", parameters: [], result: "void", calls: [], ...some },
    { name: "notify", parameters: [NOTHING], result: "void", calls: [0, 0, 0], ...some },
  ];
}

const anyType: fc.Arbitrary<Type> = fc.oneof(
  // Of few, so that they often take up the registers for floating-point values, too.
  { weight: 2, arbitrary: fc.constantFrom(...FLOATS) },
  { weight: 3, arbitrary: fc.constantFrom(...TYPES) },
);
const anyResult = fc.constantFrom<Type | "void">(...TYPES, "void");
const upToMax = { maxLength: MANY, size: "max" } as const;
const anyCallback: fc.Arbitrary<Prototype> = fc.record({
  parameters: fc.array(anyType, upToMax),
  result: anyResult,
});
const anyParameter = fc.oneof(
  { weight: 7, arbitrary: anyType },
  { weight: 1, arbitrary: anyCallback },
);
const anySignature: fc.Arbitrary<Omit<Signature, "name">> = fc.record({
  parameters: fc.array(anyParameter, upToMax),
  result: anyResult,
  choices: fc.array(fc.nat(), { maxLength: CALLS_MAX, size: "max" }),
  late: fc.boolean(),
  dirty: fc.boolean(),
  before: fc.oneof(
    { weight: 3, arbitrary: fc.constant(undefined) },
    { weight: 1, arbitrary: fc.nat() },
  ),
}).map(({ parameters, result, choices, late, dirty, before }) => {
  const callbacks = [...parameters.keys()].filter((i) => typeof parameters[i] === "object");
  const calls = callbacks.length === 0 ? [] : choices.map((n) => callbacks[n % callbacks.length]!);
  // C wants a parameter before the `...`.
  const variadic = before === undefined || parameters.length === 0
    ? undefined
    : 1 + before % parameters.length;
  const promoted = parameters.map((type, i) =>
    variadic === undefined || i < variadic || typeof type !== "string" ? type : promote(type)
  );
  return { parameters: promoted, result, calls, late, dirty, variadic };
});

/** The type that C passes for a type where it knows no parameter. */
function promote(type: Type): Type {
  if (type === "f32") return "f64";
  return bitWidth(type) < 32 ? "i32" : type;
}

/** `count` signatures that depend on `seed` alone, and the fixed ones. */
export function signatures(seed: number, count: number): Signature[] {
  const random = fc.sample(anySignature, { seed, numRuns: count });
  const named = random.map((signature, i): Signature => ({ ...signature, name: `random_${i}` }));
  return [...fixed(seed % 2 === 0), ...named];
}

const SHAPES = ["Uint8Array", "subarray", "DataView", "Float64Array", "ArrayBuffer"] as const;

/** The memory that a `buffer` argument is, before there is any. */
class Memory {
  constructor(
    readonly shape: typeof SHAPES[number],
    readonly bytes: readonly number[],
  ) {}

  toString(): string {
    return `${this.shape} of [${this.bytes}]`;
  }
}

/**
 * A value of any type: a boolean, a number, a bigint (an integer or an address), a string, Memory,
 * or null.
 */
type Value = boolean | number | bigint | string | Memory | null;

const scratch = new DataView(new ArrayBuffer(8));

/** What a value of this type, which points at nothing, looks like in memory. */
function bitsOf(type: Type, value: Value): bigint {
  switch (type) {
    case "f32":
      scratch.setFloat32(0, value as number);
      return BigInt(scratch.getUint32(0));
    case "f64":
      scratch.setFloat64(0, value as number);
      return scratch.getBigUint64(0);
    default:
      return BigInt.asUintN(bitWidth(type), BigInt((value ?? 0n) as bigint));
  }
}

/** What it looks like once C has widened it to eight bytes. */
function wideBitsOf(type: Type, value: Value): bigint {
  if (type === "f32") return bitsOf("f64", Math.fround(value as number));
  return isFloat(type) ? bitsOf(type, value) : bitsOf("i64", value);
}

/** How many bits a value has in memory. */
function bitWidth(type: Type): number {
  return KINDS[type].size * 8;
}

/** A NaN whose sign and payload are taken from `bits`, as it lies in memory. */
function nanBits(type: "f32" | "f64", bits: bigint): bigint {
  const quiet = type === "f32" ? 0x7fc0_0000n : 0x7ff8_0000_0000_0000n;
  return BigInt.asUintN(bitWidth(type), bits) | quiet;
}

/** The number that lies in memory so. */
function numberOf(type: "f32" | "f64", bits: bigint): number {
  scratch.setBigUint64(0, bits);
  return type === "f32" ? scratch.getFloat32(4) : scratch.getFloat64(0);
}

/** What JavaScript gets from C of a value that it may have passed. */
function normal(type: Type, value: Value): Value {
  if (typeof value === "string") return value.toWellFormed();
  if (type === "f32") return Math.fround(value as number);
  return typeof value === "number" && BIG.has(type) ? BigInt(value) : value;
}

const BIG: ReadonlySet<Type> = new Set<Type>(["i64", "u64", "isize", "usize"]);
const ADDRESSES: readonly bigint[] = [1n, 2n ** 47n - 1n, 2n ** 63n, 2n ** 64n - 1n];
const TEXTS = [
  "",
  "a",
  "é",
  "日本語",
  "👩‍👩‍👧",
  "\u{feff}bom",
  "\u{10ffff}",
  "lone \ud800 surrogate",
  "x".repeat(99),
];

function integers(type: Type, bits: number): Value[] {
  const signed = type.startsWith("i");
  const [top, all] = [2n ** BigInt(bits - 1), 2n ** BigInt(bits)];
  const values = signed
    ? [-top, -top + 1n, -1n, 0n, 1n, top - 1n]
    : [0n, 1n, top - 1n, top, all - 1n];
  if (!BIG.has(type)) return values.map(Number);
  return [...values, 2n ** 53n + 1n, Number.MAX_SAFE_INTEGER, 7, -0];
}

/** The values of a type that are the likeliest to go wrong. */
function extremes(type: Type): readonly Value[] {
  switch (type) {
    case "bool":
      return [true, false];
    case "f32":
      return [
        ...[0, -0, 1, -1.5, NaN, Infinity, -Infinity, 2 ** -149, -(2 ** -126), 3 * 2 ** -150],
        ...[3.4028234663852886e38, 3.5e38, 0.1, 2 ** 24 + 1, Number.MIN_VALUE],
      ];
    case "f64":
      return [
        ...[0, -0, 1, -1.5, NaN, Infinity, -Infinity, Number.MIN_VALUE, Number.MAX_VALUE],
        ...[2 ** -1022, -(2 ** -1060), 0.1, 2 ** 53 + 2, Number.EPSILON],
      ];
    case "pointer":
    case "function":
      return [null, ...ADDRESSES];
    case "buffer":
      return [
        null,
        new Memory("Uint8Array", []),
        new Memory("subarray", []),
        new Memory("ArrayBuffer", []),
        new Memory("Uint8Array", [0, 1, 254, 255]),
        new Memory("DataView", [3]),
        new Memory("Float64Array", [1, 2, 3, 4, 5, 6, 7, 8]),
        new Memory("ArrayBuffer", [9, 8, 7]),
      ];
    case "cstring":
      return [null, ...TEXTS];
    default:
      return integers(type, bitWidth(type));
  }
}

function anyInteger(type: Type): fc.Arbitrary<Value> {
  const bits = bitWidth(type);
  const top = 2n ** BigInt(bits - 1);
  const [min, max] = type.startsWith("i") ? [-top, top - 1n] : [0n, 2n * top - 1n];
  if (!BIG.has(type)) return fc.integer({ min: Number(min), max: Number(max) });
  const safe = fc.maxSafeInteger().map((n) => min < 0n ? n : Math.abs(n));
  return fc.oneof(fc.bigInt({ min, max }), safe);
}

/** Any character but U+0000, of one byte as often as of two, three or four. */
const anyCharacter: fc.Arbitrary<string> = fc.oneof(
  ...([[1, 0x7f], [0x80, 0x7ff], [0x800, 0xd7ff], [0xe000, 0xffff], [0x10000, 0x10ffff]] as const)
    .map(([min, max]) => fc.integer({ min, max }).map((n) => String.fromCodePoint(n))),
);

function random(type: Type): fc.Arbitrary<Value> {
  switch (type) {
    case "bool":
      return fc.boolean();
    case "f32":
      return fc.oneof(fc.float(), fc.double());
    case "f64":
      return fc.double();
    case "pointer":
    case "function":
      return fc.option(fc.bigInt({ min: 1n, max: 2n ** 64n - 1n }));
    case "buffer":
      return fc.option(
        fc.tuple(fc.constantFrom(...SHAPES), fc.array(fc.nat(255), { maxLength: 96 })).map((
          [shape, bytes],
        ) =>
          new Memory(
            shape,
            shape === "Float64Array" ? bytes.slice(0, bytes.length & ~7) : bytes,
          )
        ),
      );
    case "cstring":
      return fc.option(
        fc.array(anyCharacter, { maxLength: 24, size: "max" }).map((all) => all.join("")),
      );
    default:
      return anyInteger(type);
  }
}

/** The values that TypeScript may pass for a type. */
function passable(type: Type): fc.Arbitrary<Value> {
  return fc.oneof(
    { weight: 1, arbitrary: fc.constantFrom(...extremes(type)) },
    { weight: 2, arbitrary: random(type) },
  );
}

/** What C gives where the type of the value is this: its buffers are nothing but addresses. */
const plain = (type: Type): Type => type === "buffer" ? "pointer" : type;

/** What a call is made with. */
export interface Values {
  /** What C sees, by `seenBy`. */
  readonly seen: readonly Value[];
  /** What C gives, by `givenBy`. */
  readonly given: readonly Value[];
  /** What is in the bits that a value leaves open. */
  readonly dirt: bigint;
}

/** Whatever a function may be called with. */
export function anyValues(signature: Signature): fc.Arbitrary<Values> {
  return fc.record({
    seen: fc.tuple(...seenBy(signature).map(([, type]) => passable(type))),
    given: fc.tuple(...givenBy(signature).map(([, type]) => passable(plain(type)))),
    dirt: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  });
}

/** Each extreme value of each type in each place. */
export function extremeValues(signature: Signature): Values[] {
  const [seen, given] = [seenBy(signature), givenBy(signature)];
  const count = Math.max(1, ...[...seen, ...given].map(([, type]) => extremes(type).length));
  const pick = (type: Type, i: number): Value => extremes(type)[i % extremes(type).length]!;
  return Array.from({ length: count }, (_, n) => ({
    seen: seen.map(([, type], i) => pick(type, n + i)),
    given: given.map(([, type], i) => pick(plain(type), n + i)),
    dirt: n % 2 === 0 ? 2n ** 64n - 1n : 0x8000_0000_8080_8080n,
  }));
}

/** The memory through which C is told what to give, and says what it has seen. */
export interface Areas extends Disposable {
  readonly seen: DataView;
  readonly given: DataView;
  readonly givenAddress: bigint;
}

/** Opens the areas of a library, without fringe's help. */
export function openAreas(path: string): Areas {
  const library = Deno.dlopen(path, { seen: { type: "pointer" }, given: { type: "pointer" } });
  const { seen, given } = library.symbols;
  const view = (area: Deno.PointerValue): DataView =>
    new DataView(new Deno.UnsafePointerView(area!).getArrayBuffer(AREA_SIZE));
  return {
    seen: view(seen),
    given: view(given),
    givenAddress: Deno.UnsafePointer.value(given),
    [Symbol.dispose]: () => library.close(),
  };
}

const encoder = new TextEncoder();

/** Lays out what C is to give; returns what is to be passed, by `seenBy`. */
export function prepare(areas: Areas, signature: Signature, values: Values): unknown[] {
  for (const [i, [, type]] of givenBy(signature).entries()) {
    give(areas, i * SLOT_SIZE, type, values.given[i]!, values.dirt);
  }
  new Uint8Array(areas.seen.buffer).fill(0xaa);
  return seenBy(signature).map(([, type], i) => {
    const value = values.seen[i]!;
    const length = value instanceof Memory ? value.bytes.length : 0;
    areas.seen.setBigUint64((FRAME + 1 + i) * SLOT_SIZE + WIDE, BigInt(length), true);
    return argumentOf(type, value, values.dirt);
  });
}

function give(areas: Areas, at: number, type: Type, value: Value, dirt: bigint): void {
  const { given, givenAddress } = areas;
  if (typeof value === "string") {
    const text = new Uint8Array(given.buffer, at + CONTENT, CONTENT_MAX);
    text[encoder.encodeInto(value, text).written] = 0;
    given.setBigUint64(at, givenAddress + BigInt(at + CONTENT), true);
    return;
  }
  const open = dirt >> BigInt(bitWidth(type)) << BigInt(bitWidth(type));
  const bits = isFloat(type) && Number.isNaN(value) ? nanBits(type, dirt) : bitsOf(type, value);
  given.setBigUint64(at, open | bits, true);
}

/** What there is around a buffer's memory, which C must leave alone. */
const MARGIN = 8;
const MARGIN_BYTE = 0x5a;

/** Whether there is nothing around it. */
function isWhole({ shape }: Memory): boolean {
  return shape === "Uint8Array" || shape === "ArrayBuffer";
}

function argumentOf(type: Type, value: Value, dirt: bigint): unknown {
  if (isFloat(type) && Number.isNaN(value)) return numberOf(type, nanBits(type, dirt));
  if (type === "pointer" || type === "function") {
    return value === null ? null : Deno.UnsafePointer.create(value as bigint);
  }
  if (!(value instanceof Memory)) return value;
  const { shape, bytes } = value;
  // V8 keeps so small an array where its collector moves things, until somebody takes its address.
  if (shape === "Uint8Array") return Uint8Array.from(bytes);
  if (shape === "ArrayBuffer") return Uint8Array.from(bytes).buffer;
  const all = new Uint8Array(MARGIN + bytes.length + MARGIN).fill(MARGIN_BYTE);
  all.set(bytes, MARGIN);
  if (shape === "subarray") return all.subarray(MARGIN, MARGIN + bytes.length);
  return shape === "DataView"
    ? new DataView(all.buffer, MARGIN, bytes.length)
    : new Float64Array(all.buffer, MARGIN, bytes.length / 8);
}

/** What TypeScript should get, by `givenBy`. */
export function expectedToGet(signature: Signature, values: Values): unknown[] {
  return givenBy(signature).map(([, type], i) => normal(type, values.given[i]!));
}

/** A value that TypeScript has got, with the address for a pointer. */
export function received(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  return Deno.UnsafePointer.value(value as Deno.PointerObject);
}

/** What C should see, as lines of text; of buffers that are copied, wherever the copy is. */
export function expectedSights(
  signature: Signature,
  values: Values,
  passed: readonly unknown[],
  copied: boolean,
): string[] {
  return tell(signature, values, passed, (_slot, type, value, argument) => {
    if (value instanceof Memory) {
      const address = copied ? null : Deno.UnsafePointer.of(argument as BufferSource);
      const changed = value.bytes.map((byte) => byte ^ 0xff);
      const margin = isWhole(value) ? [] : Array<number>(MARGIN).fill(MARGIN_BYTE);
      const left = [...margin, ...changed, ...margin];
      return tellMemory(Deno.UnsafePointer.value(address), value.bytes, left);
    }
    if (typeof value === "string") return hex(encoder.encode(value + "\0"));
    return tellScalar(type, bitsOf(type, value), wideBitsOf(type, value));
  });
}

/** What C has seen, likewise. */
export function sights(
  { seen }: Areas,
  signature: Signature,
  values: Values,
  passed: readonly unknown[],
  copied: boolean,
): string[] {
  return tell(signature, values, passed, (slot, type, value, argument) => {
    const at = slot * SLOT_SIZE;
    const bits = seen.getBigUint64(at, true);
    const content = new Uint8Array(seen.buffer, at + CONTENT, CONTENT_MAX);
    if (value instanceof Memory) {
      const left = argument instanceof ArrayBuffer
        ? argument
        : (argument as ArrayBufferView<ArrayBuffer>).buffer;
      return tellMemory(
        copied ? 0n : bits,
        content.subarray(0, value.bytes.length),
        new Uint8Array(left),
      );
    }
    if (typeof value === "string") {
      return bits === 0n ? "null" : hex(content.subarray(0, content.indexOf(0) + 1));
    }
    const wide = seen.getBigUint64(at + WIDE, true);
    return tellScalar(type, BigInt.asUintN(bitWidth(type), bits), wide);
  });
}

function tell(
  signature: Signature,
  values: Values,
  passed: readonly unknown[],
  tellOf: (slot: number, type: Type, value: Value, argument: unknown) => string,
): string[] {
  const lines = seenBy(signature).map(([place, type], i) =>
    `${type} ${place}: ${tellOf(FRAME + 1 + i, type, values.seen[i]!, passed[i])}`
  );
  return [`frame: ${tellOf(FRAME, "usize", 0n, undefined)}`, ...lines];
}

function tellScalar(type: Type, bits: bigint, wide: bigint): string {
  // V8 may change the payload of a NaN.
  const isNaN = isFloat(type) &&
    Number.isNaN(numberOf(type, bits)) && Number.isNaN(numberOf("f64", wide));
  return isNaN ? "NaN" : `${bits.toString(16)}, widened ${wide.toString(16)}`;
}

function tellMemory(address: bigint, bytes: ArrayLike<number>, left: ArrayLike<number>): string {
  // The address of no bytes is anything.
  const at = bytes.length === 0 ? "anywhere" : address.toString(16);
  return `${hex(bytes)} at ${at}, left as ${hex(left)}`;
}

function hex(bytes: ArrayLike<number>): string {
  return Uint8Array.from(bytes).toHex();
}
