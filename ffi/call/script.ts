// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * `yield* yielder.call(f, ...args)`: handlers may be generator functions; what they yield leaves
 * the generator whose body calls.
 */

import { isScriptGenerator, type ScriptGenerator } from "../script_generator.ts";
import { handlerOf } from "./answer.ts";
import { type Callee, checkCount, refuseNonblocking, split } from "./callee.ts";
import type { Scope } from "./scope.ts";

/** Calls a C function; on the way out, however that comes, the call is ended. */
export function* callScript(
  scope: Scope,
  callee: Callee,
  args: readonly unknown[],
): ScriptGenerator<unknown, unknown, unknown> {
  checkCount(callee, args, callee.parameters.length);
  refuseNonblocking(callee);
  const { plain, answerers } = split(callee, args);
  const call = scope.open(callee, plain, answerers);
  try {
    for (let target; (target = call.step()) !== undefined;) {
      const answer = call.ask(target, handlerOf(target, answerers)!);
      // Here, and not in a generator of its own that all that is yielded would pass through.
      call.reply(target, isScriptGenerator(answer) ? yield* answer : answer);
    }
    return call.result;
  } catch (error) {
    // V8's own error when its stack is used up; here, where nothing has to be called for it.
    if (error instanceof RangeError) scope.hasLost = true;
    throw scope.fail(call, error);
  } finally {
    scope.close(call);
  }
}
