// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** Who answers a callback, and what is no answer. */

import type { Answerer } from "./callee.ts";
import type { Handler, Target } from "./thunk.ts";

/** What answers a callback: its own handler if it may be kept, else the call's, if there is one. */
export function handlerOf(
  target: Target,
  answerers: readonly Answerer[] | undefined,
): Handler | undefined {
  return target.handler ?? answerers?.[target.index] as Handler | undefined;
}

/** Whether `value` has to be awaited. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (typeof value === "object" && value !== null || typeof value === "function") &&
    typeof (value as PromiseLike<unknown>).then === "function";
}

/** Says what to do instead when an answer is one that C would have to wait for. */
export function refuseDeferred(value: object, what: string): void {
  if (isThenable(value)) {
    // Should it be rejected later, nobody would have seen that, and Deno would end the process.
    Promise.resolve(value).catch(() => {});
    throw new TypeError(
      `${what} is a Promise; call the function by .async(), which awaits it, or let a handler of ` +
        "yielder.call() yield it to whoever can await",
    );
  }
  if (Object.prototype.toString.call(value) === "[object Generator]") {
    throw new TypeError(
      `${what} is a generator; call the function by \`yield* yielder.call()\` in a TypeScript ` +
        "body, where handlers may be generator functions",
    );
  }
}
