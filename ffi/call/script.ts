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

import { EXHAUSTED, own } from "../check.ts";
import { isScriptGenerator, type ScriptGenerator } from "../script_generator.ts";
import { handlerOf } from "./answer.ts";
import { type Callee, checkCount, refuseNonblocking } from "./callee.ts";
import { MadeCall, noteEnd } from "./made_call.ts";
import type { Scope } from "./scope.ts";

/** Makes a call, which begins by its `yield*`. */
export function makeCall(
  scope: Scope,
  callee: Callee,
  args: readonly unknown[],
): ScriptGenerator<unknown, unknown, unknown> {
  const made = new MadeCall(scope, callee.name);
  return made.mark(callScript(scope, callee, args, made));
}

/** Calls a C function. However this generator is left, it ends the call on the way out. */
function* callScript(
  scope: Scope,
  callee: Callee,
  args: readonly unknown[],
  made: MadeCall,
): ScriptGenerator<unknown, unknown, unknown> {
  made.begin();
  checkCount(callee, args, callee.parameters.length);
  refuseNonblocking(callee);
  const call = scope.open(callee, args, "generators");
  try {
    for (let target = call.begin(); target !== undefined; target = call.step()) {
      const answer = call.ask(target, handlerOf(target, args)!);
      // Not in a function of its own: that would be one more generator for each value to pass
      // through.
      call.reply(target, isScriptGenerator(answer) ? yield* answer : answer);
    }
    return call.takeResult();
  } catch (error) {
    // V8's own, for a stack that is used up? Not by `isExhaustion`: a call could fail itself.
    if (error instanceof RangeError && error.message === EXHAUSTED) scope.hasLost = true;
    throw scope.fail(call, error);
  } finally {
    scope.close(call);
  }
}

// A call that is ended before it begins runs none of the code above, so it is noted here. Each
// generator inherits from the `prototype` of its own `function*`. A proxy leaves V8's method what
// it is, with the errors that it throws.
const { apply } = Reflect;
for (const name of ["return", "throw"] as const) {
  const end: (value: unknown) => unknown = callScript.prototype[name];
  // Without a prototype: `Object.prototype.get` would be a trap, too.
  const traps: ProxyHandler<typeof end> = own({
    apply(_, generator: unknown, args: unknown[]): unknown {
      noteEnd(generator);
      return apply(end, generator, args);
    },
  });
  Object.defineProperty(callScript.prototype, name, own({ value: new Proxy(end, traps) }));
}
