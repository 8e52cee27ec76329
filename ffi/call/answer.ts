// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** Who answers a callback, and what is no answer. */

import { describe } from "../check.ts";
import { pointingOf } from "../value/function_pointer.ts";
import { isGeneratorFunction } from "../script_generator.ts";
import type { Answerer, Callee } from "./call.ts";
import { type Handler, KeptThunk, type Target } from "./thunk.ts";

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

/** Checks what is to answer the callback parameter at place `i`. */
export function answererOf(
  callee: Callee,
  index: number,
  i: number,
  arg: unknown,
  refused: "no generator functions" | undefined,
): Answerer {
  const what = `Cannot call ${callee.name}: argument ${i}`;
  if (typeof arg === "function") {
    if (refused === undefined || !isGeneratorFunction(arg)) return arg as Answerer;
    throw new TypeError(
      `${what} is a generator function, which can yield only out of a generator; use ` +
        "`yield* yielder.call()` in a TypeScript body",
    );
  }
  const kept = pointingOf(arg, what);
  if (!(kept instanceof KeptThunk)) {
    throw new TypeError(
      `${what} must be a function that answers the callback, or a Callback: got ${describe(arg)}` +
        (arg === null ? '; to pass NULL to C, declare the parameter as "function"' : ""),
    );
  }
  const { parameters, result } = callee.callbacks[index]!.target;
  const { target, thunk } = kept;
  if (String(target.parameters) !== String(parameters) || target.result !== result) {
    throw new TypeError(
      `${what} is a Callback of another type: it is (${target.parameters}) => ${target.result}, ` +
        `and C needs (${parameters}) => ${result}`,
    );
  }
  return thunk!;
}
