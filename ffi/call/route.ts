// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * By which way an ABI passes a struct: in registers, as a copy among the arguments on the stack, or
 * by the address of a copy.
 *
 *     struct { i32, f32, f64 }      8 bytes of integers, 8 bytes of floats    in two registers
 *     struct { f64, f64, f64 }      24 bytes    "eightbytes": on the stack; "aggregates": in
 *                                               three registers, since all parts are of one type
 *     struct { i64, i64, i64 }      24 bytes    "eightbytes": on the stack; "aggregates": by an
 *                                               address
 */

import { isShape, roundUp, type Shape } from "../value/shape.ts";
import type { Type } from "../value/type.ts";

/** The rules that there are; `struct_rules` of `native/arch/<arch>.zig` says whose. */
export type Rules = "eightbytes" | "aggregates";

/** A part of a struct that is in a register of its own. */
export interface RegisterPart {
  readonly isFloat: boolean;
  /** Which bytes of the struct are in it. */
  readonly from: number;
  readonly size: number;
}

/** The way of a struct. */
export interface Route {
  /** Its registers, if there are as many free; undefined: it is never in registers. */
  readonly registers: readonly RegisterPart[] | undefined;
  /** Whether C gets the address of a copy. */
  readonly isByAddress: boolean;
  /** What its place on the stack is a multiple of, and how many bytes it has there. */
  readonly alignment: number;
  readonly stackSize: number;
}

/** The way of a struct. */
export function routeOf(shape: Shape, rules: Rules): Route {
  return rules === "eightbytes" ? byEightbytes(shape) : byAggregates(shape);
}

/** A value within a struct. */
interface Leaf {
  readonly type: Type;
  readonly offset: number;
}

/** The values in a struct, in those within, and of all elements of arrays. */
function* leavesOf({ fields }: Shape, at: number = 0): Generator<Leaf> {
  for (const { of, offset, count = 1 } of fields) {
    for (let i = 0; i < count; i++) {
      const start = at + offset + i * of.size;
      if (isShape(of)) yield* leavesOf(of, start);
      else yield { type: of, offset: start };
    }
  }
}

/** A word: what a register for integers holds, and a place on the stack. */
const WORD = 8;

/**
 * System V psABI for AMD64, section 3.2.3. Each eight bytes have the class of what lies in them:
 * with an integer it is INTEGER, with nothing but floats SSE; eight bytes of padding have none, and
 * take no register. A struct of more than 16 bytes, or with a value that is not where its type
 * wants it (as in a packed struct), is MEMORY.
 */
function byEightbytes(shape: Shape): Route {
  const memory = {
    registers: undefined,
    isByAddress: false,
    alignment: Math.max(WORD, shape.alignment),
    stackSize: roundUp(shape.size, WORD),
  };
  if (shape.size > 2 * WORD) return memory;
  const classes: ("INTEGER" | "SSE" | undefined)[] = [];
  for (const { type, offset } of leavesOf(shape)) {
    if (offset % type.size !== 0) return memory;
    const place = Math.floor(offset / WORD);
    if (type.kind !== "float") classes[place] = "INTEGER";
    else classes[place] ??= "SSE";
  }
  const registers = [...classes.entries()].flatMap(([place, found]): RegisterPart[] =>
    found === undefined ? [] : [{ isFloat: found === "SSE", from: place * WORD, size: WORD }]
  );
  return { ...memory, registers };
}

/**
 * AAPCS64, section 6.8.2. One to four floats of one type are a homogeneous aggregate (section
 * 5.9.5), and have a register each. Others of up to 16 bytes are in registers for integers; larger
 * ones are copied, and C gets the address (stage B of the rules).
 */
function byAggregates(shape: Shape): Route {
  const { size } = shape;
  const isWide = naturalAlignment(shape) >= 2 * WORD;
  const place = {
    isByAddress: false,
    alignment: isWide ? 2 * WORD : WORD,
    stackSize: roundUp(size, WORD),
  };
  const floats = homogeneous(shape);
  if (floats !== undefined) return { ...place, registers: floats };
  if (size > 2 * WORD) {
    return { isByAddress: true, registers: undefined, alignment: WORD, stackSize: WORD };
  }
  const registers: RegisterPart[] = [];
  for (let from = 0; from < size; from += WORD) {
    registers.push({ isFloat: false, from, size: WORD });
  }
  return { ...place, registers };
}

/** What alignment a struct has by its parts, whatever is said of the whole (AAPCS64, 5.9). */
function naturalAlignment({ fields, alignment }: Shape): number {
  const ofParts = fields.map(({ of }) => isShape(of) ? of.alignment : of.size);
  return Math.min(alignment, Math.max(...ofParts));
}

/** The registers of a homogeneous aggregate: undefined for what is none. It has no padding. */
function homogeneous(shape: Shape): RegisterPart[] | undefined {
  let size: number | undefined;
  for (const { type } of leavesOf(shape)) {
    if (type.kind !== "float" || size !== undefined && type.size !== size) return undefined;
    size = type.size;
    if (shape.size > 4 * size) return undefined;
  }
  const found = new Set([...leavesOf(shape)].map(({ offset }) => offset));
  if (size === undefined || found.size * size !== shape.size) return undefined;
  return [...found].sort((a, b) => a - b).map((from) => ({ isFloat: true, from, size: size! }));
}
