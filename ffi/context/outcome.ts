// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** The errors for stacks that were used up. (Exceptions: exception.ts. Warnings: abandoned.ts.) */

import { Left, SLOT_SIZE } from "../layout.ts";
import { native } from "../library/find.ts";
import type { StackMemory } from "../stack/stack.ts";
import { frameAt, frameLine, type NativeFrame } from "./backtrace.ts";
import { makeNativeError } from "./exception.ts";

const ABANDONED =
  "; its frames are abandoned: no destructor has run, and what they held stays held";

const REMEDY =
  "It needs a larger stack; that of a function is stackSize in its definition, or the " +
  "generator's in a yielder.call()";

/** The error for a body that has run into the guard page. `what` begins with "Cannot". */
export function overflowError(what: string, memory: StackMemory): RangeError {
  const frames = framesAt(memory.limit);
  const place = frames[0] === undefined ? "" : ` in ${frameLine(frames[0])}`;
  return new RangeError(
    `${what}: it has used up its stack of ${memory.size} bytes${ABANDONED}. ${REMEDY}`,
    { cause: makeNativeError("stack overflow", `stack overflow${place}`, frames) },
  );
}

/**
 * The error for a body that has gone beyond a stack without a guard page. When that was noticed,
 * the body had suspended (`isSuspended`), or had ended, be it by the exception `thrown`.
 */
export function overrunError(
  what: string,
  memory: StackMemory,
  isSuspended: boolean,
  thrown: unknown,
): RangeError {
  return new RangeError(
    `${what}: it has used up its stack of ${memory.size} bytes, which has no guard page, so ` +
      `memory below it may have been written over${isSuspended ? ABANDONED : ""}. ${REMEDY}`,
    thrown === undefined ? undefined : { cause: thrown },
  );
}

/**
 * The innermost frames of the overflow, which native code has left at the lower end of the stack.
 */
function framesAt(limit: bigint): NativeFrame[] {
  const words = (address: bigint, count: number): BigUint64Array<ArrayBuffer> => {
    const view = new BigUint64Array(new ArrayBuffer(SLOT_SIZE * count));
    native().copyIn(view, address, BigInt(view.byteLength));
    return view;
  };
  const count = Number(words(limit + BigInt(Left.count), 1)[0]);
  return Array.from(words(limit + BigInt(Left.addresses), count), frameAt);
}
