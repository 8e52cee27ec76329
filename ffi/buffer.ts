// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * What a buffer is, whatever an object of the caller's says of itself: a subclass, or a property of
 * the object's own, can make `byteLength` or `detached` lie, or run code meanwhile. C would believe
 * it.
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

/** Whether a getter, which knows the objects that it is for, takes this for one. */
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
  // In this order: what a getter does not know costs an exception.
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
