// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * What stands for a C function pointer, and may be passed wherever C takes one: `Callback`s, and
 * the functions of `dlopen`. `call/callback.ts` and `call/callee.ts`, above here, make them known.
 */

import { describe } from "../check.ts";

/** What is behind such a thing. */
export interface Pointing {
  /** The address that C gets; undefined once the thing is closed. */
  readonly address: bigint | undefined;
  /** What to throw for a closed one. `what` begins with "Cannot". */
  whyClosed(what: string): Error;
}

const known = new WeakMap<object, Pointing>();

/** Makes an object, or a function, known as one that stands for a function pointer. */
export function makeFunctionPointer(object: object, pointing: Pointing): void {
  known.set(object, pointing);
}

/**
 * What is behind `value`; undefined if it stands for no function pointer.
 *
 * @throws {Error} If the object has been closed. `what` begins with "Cannot".
 */
export function pointingOf(value: unknown, what: string): Pointing | undefined {
  if ((typeof value !== "object" || value === null) && typeof value !== "function") {
    return undefined;
  }
  const pointing = known.get(value);
  if (pointing === undefined || pointing.address !== undefined) return pointing;
  throw pointing.whyClosed(what);
}

/** What to pass in place of a `Deno.UnsafeCallback`; empty where `value` is none. */
export function hintForUnsafeCallback(value: unknown): string {
  return describe(value) === "an object of class UnsafeCallback"
    ? "; use a Callback: it would run JavaScript on the fringe stack"
    : "";
}
