// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** What to throw when a call ends because of an error. */

import { describe, isExhaustion } from "../check.ts";
import type { Call } from "./call.ts";

/**
 * Ends a call because of an error; returns what to throw. A call that could not be ended, for want
 * of V8's stack, stays in the list of its owner, which ends it later.
 */
export function errorAfterEnd(call: Call | undefined, error: unknown): unknown {
  try {
    call?.end();
  } catch (other) {
    if (call!.hasEnded) return both(other, error);
  }
  return error;
}

/**
 * What to throw when native code has thrown (`thrown`) while it was ended because of an `error`. If
 * one of the two only says that V8's stack was used up, it is the other.
 */
export function both(thrown: unknown, error: unknown): unknown {
  if (isExhaustion(thrown)) return error;
  if (isExhaustion(error)) return thrown;
  const message = "Native code has thrown while it was ended because of an error: " +
    `${textOf(thrown)}; the error: ${textOf(error)}`;
  return new SuppressedError(thrown, error, message);
}

/**
 * An error as a part of a message: of a SuppressedError Deno shows the message, and not the rest.
 */
function textOf(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : describe(error);
}
