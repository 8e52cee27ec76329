// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** `f.calls(...args)`: no handlers; each call of a callback is yielded, and must be replied to. */

import { isScriptGenerator, type ScriptGenerator } from "../script_generator.ts";
import type { CallbackCall } from "./argument_types.ts";
import { handlerOf } from "./answer.ts";
import type { Call } from "./call.ts";
import { type Callee, checkCount, refuseNonblocking } from "./callee.ts";
import type { Scope } from "./scope.ts";
import type { Target } from "./thunk.ts";

/** What `f.calls()` makes a generator of: a body without a stack of its own. */
export class PulledBody {
  readonly #callee: Callee;
  readonly #args: readonly unknown[];

  constructor(callee: Callee, args: readonly unknown[]) {
    this.#callee = callee;
    this.#args = args;
  }

  /** The name of the function. */
  get name(): string {
    return this.#callee.name;
  }

  start(scope: Scope): ScriptGenerator<unknown, unknown, unknown> {
    return callPulled(scope, this.#callee, this.#args);
  }
}

/** Calls a C function; on the way out, however that comes, the call is ended. */
function* callPulled(
  scope: Scope,
  callee: Callee,
  args: readonly unknown[],
): ScriptGenerator<unknown, unknown, unknown> {
  checkCount(callee, args, callee.parameters.length - callee.callbacks.length);
  refuseNonblocking(callee);
  const call = scope.open(callee, args, undefined);
  try {
    for (let target; (target = call.step()) !== undefined;) {
      const kept = handlerOf(target, undefined);
      if (kept === undefined) {
        yield* offer(call, target);
        continue;
      }
      const answer = call.ask(target, kept);
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

/** Yields one call of a callback to whoever pulls, and sees to it that it is answered. */
function* offer(call: Call, target: Target): ScriptGenerator<unknown, void, unknown> {
  const { name } = call.callee;
  let [replied, over] = [target.result === "void", false];
  const pulled: CallbackCall<number, readonly unknown[], unknown> = {
    parameter: target.parameter,
    args: call.args(target),
    reply(value: unknown): void {
      if (over) {
        throw new Error(
          `Cannot answer ${name}: C has gone on; reply before the next call is pulled`,
        );
      }
      call.reply(target, value);
      replied = true;
    },
  };
  try {
    yield pulled;
  } finally {
    over = true;
  }
  if (replied) return;
  call.check();
  throw new Error(
    `Cannot go on with ${name}: callback parameter ${target.parameter} has not been answered, ` +
      `and C needs a result of type ${target.result}; call reply(value) first`,
  );
}
