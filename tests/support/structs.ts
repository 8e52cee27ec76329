// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Random structs and unions, and C functions that pass them by value: what struct_value_test.ts is
 * made of. Values are bytes, so that nothing is compared but what the ABI says.
 *
 * @module
 */

import fc from "fast-check";
import { arrange, type Shape } from "../../ffi/value/shape.ts";
import { makeStructType } from "../../ffi/value/struct_type.ts";
import { typeOf } from "../../ffi/value/type.ts";
import { zig } from "../../tools/zig.ts";
import { clang, compileBy } from "./signature.ts";
import { cxx } from "./support.ts";

const SCALARS = {
  bool: "bool",
  i8: "int8_t",
  u8: "uint8_t",
  i16: "int16_t",
  u16: "uint16_t",
  i32: "int32_t",
  u32: "uint32_t",
  i64: "int64_t",
  u64: "uint64_t",
  f32: "float",
  f64: "double",
  pointer: "void *",
} as const;
type Scalar = keyof typeof SCALARS;
const NAMES = Object.keys(SCALARS) as Scalar[];

/** A struct or a union. */
export interface Spec {
  readonly isUnion: boolean;
  readonly pack: number | undefined;
  readonly alignment: number | undefined;
  readonly parts: readonly PartSpec[];
}

interface PartSpec {
  readonly of: Scalar | Spec;
  readonly count: number | undefined;
}

/** What is passed. */
export type Passed = Scalar | Spec;

/** What a callback takes and gives. */
export interface CallbackSpec {
  readonly parameters: readonly Passed[];
  readonly result: Passed | undefined;
  /** How many parameters stand before the dots. */
  readonly variadic: number | undefined;
}

/** A C function, which calls each of its callbacks once. */
export interface Signature {
  readonly name: string;
  readonly parameters: readonly (Passed | CallbackSpec)[];
  readonly result: Passed | undefined;
  /** How many parameters stand before the dots. */
  readonly variadic: number | undefined;
}

export const isCallback = (parameter: Passed | CallbackSpec): parameter is CallbackSpec =>
  typeof parameter === "object" && "parameters" in parameter;

/** How many bytes a value has at most. */
const SLOT_SIZE = 256;
const SLOTS = 64;

/** A layout of a spec, which `dlopen` takes for a struct whose values are bytes. */
export function shapeOfSpec({ isUnion, pack, alignment, parts }: Spec): Shape {
  return arrange(
    parts.map(({ of, count }) => ({
      of: typeof of === "string" ? typeOf(of) : shapeOfSpec(of),
      ...(count === undefined ? {} : { count }),
    })),
    {
      isUnion,
      ...(pack === undefined ? {} : { pack }),
      ...(alignment === undefined ? {} : { alignment }),
    },
  );
}

/** What stands in a table for it. */
export function definitionOf(passed: Passed | undefined): unknown {
  if (passed === undefined) return "void";
  if (typeof passed === "string") return passed;
  const layout = {};
  makeStructType(layout, shapeOfSpec(passed));
  return layout;
}

export function sizeOf(passed: Passed): number {
  return typeof passed === "string" ? typeOf(passed).size : shapeOfSpec(passed).size;
}

/** Which bytes of a value are part of one of its parts: the others may be anything. */
export function meaningOf(passed: Passed): boolean[] {
  if (typeof passed === "string") return Array(sizeOf(passed)).fill(true);
  const { fields, size } = shapeOfSpec(passed);
  const meaning = Array<boolean>(size).fill(false);
  for (const [i, { offset, of, count = 1 }] of fields.entries()) {
    const part = meaningOf(passed.parts[i]!.of);
    for (let at = 0; at < count * of.size; at++) {
      if (part[at % of.size]) meaning[offset + at] = true;
    }
  }
  return meaning;
}

/** C's declarations of all structs that there are, by their specs. */
class Declarations {
  readonly #names = new Map<Spec, string>();
  readonly lines: string[] = [];
  /** The size and the alignment of each, as C has them, and as they should be. */
  readonly checks: string[] = [];

  name(passed: Passed | undefined): string {
    if (passed === undefined) return "void";
    return typeof passed === "string" ? SCALARS[passed] : this.#declare(passed);
  }

  #declare(spec: Spec): string {
    let name = this.#names.get(spec);
    if (name !== undefined) return name;
    const { isUnion, pack, alignment, parts } = spec;
    const fields = parts.map(({ of, count }, i) =>
      `${this.name(of)} f${i}${count === undefined ? "" : `[${count}]`};`
    );
    name = `S${this.#names.size}`;
    this.#names.set(spec, name);
    const attribute = alignment === undefined ? "" : `__attribute__((aligned(${alignment}))) `;
    const kind = isUnion ? "union" : "struct";
    if (pack !== undefined) this.lines.push(`#pragma pack(push, ${pack})`);
    this.lines.push(`typedef ${kind} ${attribute}{ ${fields.join(" ")} } ${name};`);
    if (pack !== undefined) this.lines.push("#pragma pack(pop)");
    const shape = shapeOfSpec(spec);
    this.checks.push(
      `_Static_assert(sizeof(${name}) == ${shape.size}, "size of ${name}");`,
      `_Static_assert(_Alignof(${name}) == ${shape.alignment}, "alignment of ${name}");`,
      ...shape.fields.map(({ offset }, i) =>
        `_Static_assert(__builtin_offsetof(${name}, f${i}) == ${offset}, "f${i} of ${name}");`
      ),
    );
    return name;
  }
}

/** A signature as C says it; names of structs are those of the file. */
function prototype(signature: Signature, types: Declarations): string {
  const { name, parameters, result, variadic } = signature;
  const list = parameters.map((parameter, i) => {
    if (!isCallback(parameter)) return `${types.name(parameter)} a${i}`;
    const taken = parameter.parameters.map((type) => types.name(type));
    if (parameter.variadic !== undefined) taken.splice(parameter.variadic, Infinity, "...");
    return `${types.name(parameter.result)} (*a${i})(${taken.join(", ") || "void"})`;
  });
  if (variadic !== undefined) list.splice(variadic, Infinity, "...");
  return `${types.name(result)} ${name}(${list.join(", ") || "void"})`;
}

/**
 * What a function does: it shows its arguments, calls its callbacks with what it is given, shows
 * what they answer, and returns what it is given.
 */
function definition(signature: Signature, types: Declarations): string {
  const { parameters, result, variadic } = signature;
  const lines = [`note(${"PLACE"});`];
  if (variadic !== undefined) {
    lines.push("va_list rest;", `va_start(rest, a${variadic - 1});`);
    for (const [i, parameter] of parameters.entries()) {
      if (i < variadic) continue;
      const type = types.name(parameter as Passed);
      lines.push(`${type} a${i} = va_arg(rest, ${type});`);
    }
    lines.push("va_end(rest);");
  }
  let [seen, given] = [0, 0];
  const see = (name: string): string => `memcpy(seen[${seen++}], &${name}, sizeof ${name});`;
  const give = (type: Passed, name: string): string =>
    `${types.name(type)} ${name}; memcpy(&${name}, given[${given++}], sizeof ${name});`;
  for (const [i, parameter] of parameters.entries()) {
    if (!isCallback(parameter)) lines.push(see(`a${i}`));
  }
  for (const [i, parameter] of parameters.entries()) {
    if (!isCallback(parameter)) continue;
    const args = parameter.parameters.map((type, j) => {
      lines.push(give(type, `c${i}_${j}`));
      return `c${i}_${j}`;
    });
    const call = `a${i}(${args.join(", ")});`;
    if (parameter.result === undefined) lines.push(call);
    else lines.push(`${types.name(parameter.result)} r${i} = ${call}`, see(`r${i}`));
  }
  if (result !== undefined) lines.push(give(result, "result"), "return result;");
  return `${prototype(signature, types)}\n{\n${lines.map((line) => `    ${line}\n`).join("")}}\n`;
}

const PLACE = Deno.build.arch === "x86_64"
  ? "(uintptr_t)__builtin_frame_address(0)"
  : '({ uintptr_t sp; __asm__("mov %0, sp" : "=r"(sp)); sp; })';

/** The C of a library. */
export function source(signatures: readonly Signature[]): string {
  const types = new Declarations();
  const functions = signatures.map((signature) => definition(signature, types));
  return `
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

unsigned char seen[${SLOTS}][${SLOT_SIZE}] __attribute__((aligned(64)));
unsigned char given[${SLOTS}][${SLOT_SIZE}] __attribute__((aligned(64)));
uint64_t place;

#define PLACE ${PLACE}
#define note(value) (place = (value) % 16)

${types.lines.join("\n")}

${types.checks.join("\n")}

${functions.join("\n")}`;
}

/** clang is Zig's, gcc that of the system. */
export type Compiler = "clang" | "gcc";

/** Compiles a library into `directory`, and gives its path. */
export async function compile(
  signatures: readonly Signature[],
  compiler: Compiler,
  directory: string,
): Promise<string> {
  const isClang = compiler === "clang";
  const flags = isClang ? clang("-O1") : ["-x", "c", "-O2"];
  const command = isClang ? await zig() : cxx();
  return await compileBy(command, [...flags, "-w"], source(signatures), directory, compiler);
}

/** The memory through which C is told what to give, and says what it has seen. */
export interface Areas extends Disposable {
  /** What C has seen. */
  seen(slot: number, size: number): Uint8Array<ArrayBuffer>;
  /** How far the stack was from where the ABI wants it. */
  readonly place: bigint;
  give(slot: number, bytes: Uint8Array): void;
  clear(): void;
}

/** Opens the areas of a library, without fringe's help. */
export function openAreas(path: string): Areas {
  const library = Deno.dlopen(path, {
    seen: { type: "pointer" },
    given: { type: "pointer" },
    place: { type: "pointer" },
  });
  const bytes = (pointer: Deno.PointerValue, size: number): Uint8Array<ArrayBuffer> =>
    new Uint8Array(new Deno.UnsafePointerView(pointer!).getArrayBuffer(size));
  const { seen, given, place } = library.symbols;
  const [all, gives] = [seen, given].map((area) => bytes(area, SLOTS * SLOT_SIZE)) as [
    Uint8Array<ArrayBuffer>,
    Uint8Array<ArrayBuffer>,
  ];
  return {
    seen: (slot, size) => all.slice(slot * SLOT_SIZE, slot * SLOT_SIZE + size),
    get place() {
      return new Deno.UnsafePointerView(place!).getBigUint64();
    },
    give: (slot, bytes) => gives.set(bytes, slot * SLOT_SIZE),
    clear: () => void all.fill(0xaa),
    [Symbol.dispose]: () => library.close(),
  };
}

const anyScalar: fc.Arbitrary<Scalar> = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom<Scalar>("f32", "f64") },
  { weight: 2, arbitrary: fc.constantFrom(...NAMES) },
);
const anyCount = fc.option(fc.integer({ min: 1, max: 4 }), { nil: undefined, freq: 3 });

/** Structs of one to five parts, within each other as deep as that. */
function specs(depth: number): fc.Arbitrary<Spec> {
  const element: fc.Arbitrary<Scalar | Spec> = depth === 0
    ? anyScalar
    : fc.oneof({ weight: 4, arbitrary: anyScalar }, { weight: 1, arbitrary: specs(depth - 1) });
  return fc.record({
    isUnion: fc.oneof(
      { weight: 5, arbitrary: fc.constant(false) },
      { weight: 1, arbitrary: fc.constant(true) },
    ),
    pack: fc.oneof(
      { weight: 8, arbitrary: fc.constant(undefined) },
      { weight: 1, arbitrary: fc.constantFrom(1, 2, 4) },
    ),
    alignment: fc.oneof(
      { weight: 8, arbitrary: fc.constant(undefined) },
      { weight: 1, arbitrary: fc.constantFrom(2, 4, 8, 16, 32, 64) },
    ),
    parts: fc.oneof(
      // All of one type, as often as not: so there are homogeneous ones.
      fc.array(fc.record({ of: element, count: anyCount }), { minLength: 1, maxLength: 5 }),
      fc.tuple(anyScalar, fc.integer({ min: 1, max: 5 })).map(([of, count]) =>
        Array<PartSpec>(count).fill({ of, count: undefined })
      ),
    ),
  }).filter((spec) => {
    const { size } = shapeOfSpec(spec);
    return size <= SLOT_SIZE && !isTornApart(spec);
  });
}

/**
 * Whether compilers have not agreed what it is: a struct with an alignment of its own in a packed
 * one, which may be an unaligned field; or one with padding in a union, of which clang passes those
 * bytes alone that the most aligned member has.
 */
function isTornApart({ isUnion, pack, parts }: Spec): boolean {
  return parts.some(({ of }) =>
    typeof of === "object" &&
    (pack !== undefined && shapeOfSpec(of).alignment > pack ||
      isUnion && meaningOf(of).includes(false))
  );
}

const anySpec = specs(2);
const anyPassed: fc.Arbitrary<Passed> = fc.oneof(
  { weight: 3, arbitrary: anySpec },
  { weight: 2, arbitrary: anyScalar },
);
const anyResult = fc.option(anyPassed, { nil: undefined, freq: 8 });
/**
 * What cannot stand behind the dots: what C promotes; and structs that are aligned to 16, since gcc
 * loads one from saved registers as if those were aligned so, and faults.
 */
const isPassedOtherwise = (type: Passed): boolean =>
  typeof type === "string" ? PROMOTED.has(type) : shapeOfSpec(type).alignment > 8;

const PROMOTED: ReadonlySet<Scalar> = new Set(["bool", "i8", "u8", "i16", "u16", "f32"]);

interface Dotted {
  readonly parameters: readonly Passed[];
  readonly result: Passed | undefined;
  readonly dots: number;
}

/** Has dots stand somewhere in the list. */
function withDots({ parameters, result, dots }: Dotted): CallbackSpec {
  const variadic = 1 + dots % parameters.length;
  const promoted = parameters.filter((type, i) => i < variadic || !isPassedOtherwise(type));
  return { parameters: promoted, result, variadic };
}

const anyCallback: fc.Arbitrary<CallbackSpec> = fc.oneof(
  fc.record({
    parameters: fc.array(anyPassed, { maxLength: 9 }),
    result: anyResult,
    variadic: fc.constant(undefined),
  }),
  fc.record({
    parameters: fc.array(anyPassed, { minLength: 1, maxLength: 12, size: "max" }),
    result: anyResult,
    dots: fc.nat(),
  }).map(withDots),
);

const anySignature: fc.Arbitrary<Omit<Signature, "name">> = fc.oneof(
  fc.record({
    parameters: fc.tuple(
      fc.array(anyPassed, { maxLength: 10, size: "max" }),
      fc.array(anyCallback, { maxLength: 2 }),
    ).map(([values, callbacks]) => [...values, ...callbacks]),
    result: anyResult,
    variadic: fc.constant(undefined),
  }),
  fc.record({
    parameters: fc.array(anyPassed, { minLength: 1, maxLength: 12, size: "max" }),
    result: anyResult,
    dots: fc.nat(),
  }).map(withDots),
);

/** `count` signatures that depend on `seed` alone. */
export function signatures(seed: number, count: number): Signature[] {
  return fc.sample(anySignature, { seed, numRuns: count })
    .map((signature, i) => ({ ...signature, name: `random_${i}` }));
}
