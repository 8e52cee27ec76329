// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * What V8 knows of a buffer: where its bytes are, how many there are, whether they are still there.
 *
 * V8's own getters are asked, and not the properties of the caller's object. Those may lie, and C
 * would then write beyond the memory:
 *
 *     class Long extends Uint8Array {
 *       get byteLength() { return 2 ** 20; } // of 16 bytes; it may run any code, too
 *     }
 */

import { describe, isExhaustion } from "./check.ts";

/** The getter that V8 itself has for a property, which no object can replace. */
function getter<T>(prototype: object, name: PropertyKey): (object: unknown) => T {
  const { get } = Object.getOwnPropertyDescriptor(prototype, name)!;
  return Function.prototype.call.bind(get!) as (object: unknown) => T;
}

const typedArray: object = Object.getPrototypeOf(Uint8Array.prototype);
/** The name of its class; undefined for what is no typed array. */
export const nameOf: (value: unknown) => string | undefined = getter(
  typedArray,
  Symbol.toStringTag,
);
/** The parts of a typed array. */
export const OF_ARRAY = {
  buffer: getter<ArrayBufferLike>(typedArray, "buffer"),
  byteOffset: getter<number>(typedArray, "byteOffset"),
  byteLength: getter<number>(typedArray, "byteLength"),
};
const OF_VIEW = {
  buffer: getter<ArrayBufferLike>(DataView.prototype, "buffer"),
  byteOffset: getter<number>(DataView.prototype, "byteOffset"),
  byteLength: getter<number>(DataView.prototype, "byteLength"),
};

/** Whether a buffer can be resized. */
export const isResizable: (buffer: ArrayBuffer) => boolean = getter(
  ArrayBuffer.prototype,
  "resizable",
);

/** Whether the memory of a buffer is gone. */
export const isDetached: (buffer: ArrayBuffer) => boolean = getter(
  ArrayBuffer.prototype,
  "detached",
);

const sizeOfShared = getter<number>(SharedArrayBuffer.prototype, "byteLength");

/** Whether this is an ArrayBuffer: not a view, not shared. */
export function isBuffer(value: unknown): value is ArrayBuffer {
  return answers(isDetached, value);
}

/** Whether `value` is one of the objects that a getter is for: it throws for all others. */
function answers<T>(get: (object: T) => unknown, value: unknown): boolean {
  try {
    get(value as T);
    return true;
  } catch (error) {
    if (isExhaustion(error)) throw error;
    return false;
  }
}

/**
 * The bytes of a buffer, as a view of our own; null for null. C may keep their address until the
 * call ends, so they must stay where they are. `what` begins with "Cannot".
 */
export function bytesOf(value: unknown, what: string): Uint8Array<ArrayBuffer> | null {
  if (value === null) return null;
  const isView = ArrayBuffer.isView(value);
  const of = isView && nameOf(value) === undefined ? OF_VIEW : OF_ARRAY;
  const buffer = isView ? of.buffer(value) : value;
  // An ArrayBuffer, the common case, is tried first: each getter that refuses costs an exception.
  if (!isBuffer(buffer)) {
    if (answers(sizeOfShared, buffer)) {
      throw new TypeError(`${what} must not be over shared memory; copy it with slice()`);
    }
    throw new TypeError(
      `${what} must be an ArrayBuffer, a view over one, or null (buffer): got ${describe(value)}`,
    );
  }
  if (isDetached(buffer)) {
    throw new TypeError(`${what} must be attached: its buffer has been transferred elsewhere`);
  }
  if (isResizable(buffer)) {
    throw new TypeError(
      `${what} must have a fixed length: C keeps its address while handlers run, and they could ` +
        "resize it; copy it with slice()",
    );
  }
  if (!isView) return new Uint8Array(buffer);
  return new Uint8Array(buffer, of.byteOffset(value), of.byteLength(value));
}
