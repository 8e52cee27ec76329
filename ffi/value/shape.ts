// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * How C lays out what has parts: structs, unions and arrays. Each part lies at the first multiple
 * of its own alignment that is free, and the whole is as large as an array of it needs (System V
 * psABI for AMD64, section 3.1.2; AAPCS64, section 5.9):
 *
 *     struct { i8 a; f64 b; i16 c; }     a at 0, b at 8, c at 16; 24 bytes, aligned to 8
 *     packed                             a at 0, b at 1, c at 9; 11 bytes, aligned to 1
 */

import { own } from "../check.ts";
import type { Type } from "./type.ts";

/** A struct or a union. */
export interface Shape {
  /** How many bytes it takes, with what is left free behind its last part. */
  readonly size: number;
  /** What its address is a multiple of. */
  readonly alignment: number;
  readonly fields: readonly Field[];
}

/** A part of it. */
export interface Field {
  /** Its name, for structs that have names. */
  readonly name?: string | undefined;
  /** Where it begins. */
  readonly offset: number;
  /** What it is, or what each of its elements is. */
  readonly of: Type | Shape;
  /** How many elements an array has; undefined for what is no array. */
  readonly count?: number | undefined;
  /** What a pointer leads to, where that is known. */
  readonly to?: Target | undefined;
}

/** What a pointer with a layout behind it leads to. */
export interface Target {
  /** What TypeScript has for the pointer, which lies at `offset` of `view`. */
  follow(pointer: Deno.PointerObject, view: DataView<ArrayBuffer>, offset: number): unknown;
  /**
   * The pointer to what TypeScript has; whatever is none is given back. `what` begins
   * with "Cannot".
   *
   * @throws {RangeError} If less memory is there than what it leads to has.
   */
  pointerOf(value: unknown, what: string): unknown;
}

/** A part, before it is known where it lies. */
export type Part = Omit<Field, "offset">;

/** What may be said of a struct beside its parts. */
export interface Arrangement {
  /** Whether all parts lie at 0, as in a union. */
  readonly isUnion?: boolean;
  /** What no part is aligned to more than: `#pragma pack(n)`; 1 for a packed struct. */
  readonly pack?: number;
  /** What the whole is aligned to at least: `_Alignas(n)`. */
  readonly alignment?: number;
}

/** Whether a part is a struct or a union, and no value. */
export function isShape(of: Type | Shape): of is Shape {
  return Object.hasOwn(of, "fields");
}

/** Lays out parts in their order. */
export function arrange(
  parts: readonly Part[],
  { isUnion = false, pack = Infinity, alignment = 1 }: Arrangement = {},
): Shape {
  let end = 0;
  const fields = parts.map((given) => {
    const { name, of, count, to } = own(given);
    const aligned = Math.min(alignmentOf(of), pack);
    const offset = isUnion ? 0 : roundUp(end, aligned);
    end = Math.max(end, offset + of.size * (count ?? 1));
    alignment = Math.max(alignment, aligned);
    // With all that a field may have: what it lacked would be what a program has put into
    // `Object.prototype`.
    return { name, offset, of, count, to };
  });
  return { size: roundUp(end, alignment), alignment, fields };
}

/** A value is aligned to its size. */
function alignmentOf(of: Type | Shape): number {
  return isShape(of) ? of.alignment : of.size;
}

/** The first multiple of `size` that is not below `offset`. */
export function roundUp(offset: number, size: number): number {
  return Math.ceil(offset / size) * size;
}
