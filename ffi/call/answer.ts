// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** Which function answers a callback, and which values are no answers. */

import { waitingCall } from "./made_call.ts";
import type { Handler, Target } from "./thunk.ts";

/**
 * The function that answers a callback: for a `Callback` its own handler, for a callback parameter
 * what the call was passed in that place. Undefined where a call is pulled, and so was passed none.
 */
export function handlerOf(target: Target, args: readonly unknown[]): Handler | undefined {
  return target.handler ?? args[target.parameter] as Handler | undefined;
}

/** Whether `value` has to be awaited. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (typeof value === "object" && value !== null || typeof value === "function") &&
    typeof (value as PromiseLike<unknown>).then === "function";
}

/**
 * Refuses an object that is no answer: a call of `yielder.call()` without its `yield*`, and what C
 * would have to wait for. Of that the message says which form of the call waits.
 */
export function refuseObject(value: object, what: string): void {
  const made = waitingCall(value);
  if (made !== undefined) {
    made.tell();
    throw new TypeError(
      `${what} is ${made.description} that has not begun; write yield* before yielder.call()`,
    );
  }
  if (isThenable(value)) {
    // Marked as handled: else Deno would end the process should the Promise be rejected later.
    Promise.resolve(value).catch(() => {});
    throw new TypeError(
      `${what} is a Promise; call the function by .async(), which awaits it, or let a handler of ` +
        "yielder.call() yield it to whoever can await",
    );
  }
  const tag = Object.prototype.toString.call(value);
  if (tag === "[object Generator]" || tag === "[object AsyncGenerator]") {
    throw generatorAnswer(tag, what);
  }
}

function generatorAnswer(tag: string, what: string): TypeError {
  return new TypeError(
    tag === "[object Generator]"
      ? `${what} is a generator; call the function by \`yield* yielder.call()\` in a TypeScript ` +
        "body, where handlers may be generator functions"
      : `${what} is an async generator, which no form of the call takes; write an async function ` +
        "for .async(), or a function* for `yield* yielder.call()`",
  );
}
