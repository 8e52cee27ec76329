// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * `yield* yielder.call(f, ...args)`: handlers may be generator functions. What a handler yields
 * leaves the whole generator whose body made the call, and the next input comes back to the
 * handler:
 *
 *     resume() -> body -> yielder.call() -> C -> callback -> handler -> yield "a value"
 *     "a value" <----------------------------------------------------------'
 */

import { EXHAUSTED } from "../check.ts";
import { isScriptGenerator, type ScriptGenerator } from "../script_generator.ts";
import { handlerOf } from "./answer.ts";
import { type Callee, checkCount, refuseNonblocking, split } from "./callee.ts";
import type { Scope } from "./scope.ts";

/**
 * Calls a C function. However this generator is left, it ends the call on the way out. `number` is
 * the call's own, by `Scope.make`.
 */
export function* callScript(
  scope: Scope,
  callee: Callee,
  args: readonly unknown[],
  number: number,
): ScriptGenerator<unknown, unknown, unknown> {
  scope.begin(number);
  checkCount(callee, args, callee.parameters.length);
  refuseNonblocking(callee);
  const { plain, answerers } = split(callee, args);
  const call = scope.open(callee, plain, answerers);
  try {
    for (let target; (target = call.step()) !== undefined;) {
      const answer = call.ask(target, handlerOf(target, answerers)!);
      // Not in a function of its own: that would be one more generator for each value to pass
      // through.
      call.reply(target, isScriptGenerator(answer) ? yield* answer : answer);
    }
    return call.result;
  } catch (error) {
    // V8's own, for a stack that is used up? Not by `isExhaustion`: a call could fail itself.
    if (error instanceof RangeError && error.message === EXHAUSTED) scope.hasLost = true;
    throw scope.fail(call, error);
  } finally {
    scope.close(call);
  }
}

/**
 * Whether `value` is what `yielder.call()` gives. Each generator inherits from the `prototype` of
 * its own `function*`, so this is known of it at no cost.
 */
export function isCall(value: unknown): boolean {
  return typeof value === "object" && value !== null &&
    Object.getPrototypeOf(value) === callScript.prototype;
}
