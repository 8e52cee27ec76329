// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Bodies that use up their stack. Below an `OsStack` lies a guard page, and `native/unwind/overflow.zig`
 * notices who runs into it. Below the other kinds lies other memory: at their lower end is a
 * canary, and what has become of that is looked at whenever native code is back.
 */

import { frameAt, frameLine, type NativeFrame } from "./backtrace.ts";
import { makeNativeError } from "./exception.ts";
import { native } from "../library/find.ts";
import { describe, type StackMemory } from "../stack/stack.ts";

/** What happens when a body has run into the guard page of its stack. */
export type Overflow = "report" | "throw";

/** Checks the option; not given, it is "report". `what` begins with "Cannot". */
export function overflowOf(option: unknown, what: string): Overflow {
  if (option === undefined) return "report";
  if (option === "report" || option === "throw") return option;
  throw new TypeError(`${what}: overflow must be "report" or "throw": got ${describe(option)}`);
}

/** What no body writes by chance. */
const CANARY = new Int32Array(new TextEncoder().encode("fringe's canary!").buffer);

/** How many bytes lie at the lower end of a stack without a guard page. */
export const CANARY_SIZE = 16;

/** Before a body begins. */
export function layCanary({ bottom }: StackMemory): void {
  if (bottom === undefined) return;
  for (let i = 0; i < CANARY.length; i++) bottom.setInt32(4 * i, CANARY[i]!, true);
}

/** Whether a body has written over it. */
export function isOverrun({ bottom }: StackMemory): boolean {
  if (bottom === undefined) return false;
  for (let i = 0; i < CANARY.length; i++) {
    if (bottom.getInt32(4 * i, true) !== CANARY[i]) return true;
  }
  return false;
}

const ABANDONED =
  "; its frames are abandoned: no destructor has run, and what they held stays held";

const REMEDY =
  "It needs a larger OsStack (a function runs on one by yielder.call() in a Generator)";

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
 * The error for a body that has gone beyond a stack without a guard page: noticed when it had
 * suspended (`isSuspended`), or had ended, by `thrown` or by itself.
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

/** Where the innermost frames were: what native code has left at the lower end of the stack. */
function framesAt(limit: bigint): NativeFrame[] {
  const words = (address: bigint, count: number): BigUint64Array<ArrayBuffer> => {
    const view = new BigUint64Array(new ArrayBuffer(8 * count));
    native().copyIn(view, address, BigInt(view.byteLength));
    return view;
  };
  return Array.from(words(limit + 8n, Number(words(limit, 1)[0])), frameAt);
}
