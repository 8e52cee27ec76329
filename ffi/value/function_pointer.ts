// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Objects that stand for a C function pointer, and may be passed wherever C takes one. They are
 * `Callback`s, which `call/callback.ts`, above here, makes known.
 */

import { describe } from "../check.ts";

/** What is behind such an object. */
export interface Pointing {
  /** The address that C gets; undefined once the object is closed. */
  readonly address: bigint | undefined;
}

const known = new WeakMap<object, Pointing>();

/** Makes `object` known as one that stands for a function pointer. */
export function makeFunctionPointer(object: object, pointing: Pointing): void {
  known.set(object, pointing);
}

/**
 * What is behind `value`; undefined if it stands for no function pointer.
 *
 * @throws {Error} If the object has been closed. `what` begins with "Cannot".
 */
export function pointingOf(value: unknown, what: string): Pointing | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const pointing = known.get(value);
  if (pointing === undefined || pointing.address !== undefined) return pointing;
  throw new Error(`${what} is a callback that has been closed; make a new one`);
}

/** What to pass in place of a `Deno.UnsafeCallback`; empty where `value` is none. */
export function hintForUnsafeCallback(value: unknown): string {
  return describe(value) === "an object of class UnsafeCallback"
    ? "; use a Callback: it would run JavaScript on the fringe stack"
    : "";
}
