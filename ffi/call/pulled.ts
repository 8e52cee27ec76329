// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * `f.calls(...args)`: there are no handlers. A generator yields each call of a callback, and the
 * caller replies to it before the next one is pulled:
 *
 *     for (const { args, reply } of f.calls("/usr")) reply(0);
 */

import { EXHAUSTED } from "../check.ts";
import { isScriptGenerator, type ScriptGenerator } from "../script_generator.ts";
import type { CallbackCall } from "./argument_types.ts";
import type { Call } from "./call.ts";
import { type Callee, checkCount, refuseNonblocking } from "./callee.ts";
import type { Scope } from "./scope.ts";
import type { Target } from "./thunk.ts";

/** The body of the generator that `f.calls()` gives. It has no stack: the call takes a fiber. */
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

/** Calls a C function. However this generator is left, it ends the call on the way out. */
function* callPulled(
  scope: Scope,
  callee: Callee,
  args: readonly unknown[],
): ScriptGenerator<unknown, unknown, unknown> {
  checkCount(callee, args, callee.plainCount);
  refuseNonblocking(callee);
  const call = scope.open(callee, placed(callee, args), "puller");
  try {
    for (let target = call.begin(); target !== undefined; target = call.step()) {
      const kept = target.handler;
      if (kept === undefined) {
        yield* offer(call, target);
        continue;
      }
      const answer = call.ask(target, kept);
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

/** The arguments in the places of their parameters: in those of callbacks there is nothing. */
function placed({ slots }: Callee, args: readonly unknown[]): readonly unknown[] {
  const rest = args.values();
  return slots.map(({ callback }) => callback === undefined ? rest.next().value : undefined);
}

/**
 * Yields one call of a callback, and throws if it has not been replied to when the next is pulled.
 */
function* offer(call: Call, target: Target): ScriptGenerator<unknown, void, unknown> {
  const { name } = call.callee;
  let [replied, over] = [false, false];
  const pulled: CallbackCall<number, readonly unknown[], unknown> = {
    parameter: target.parameter,
    args: call.args(target),
    reply(value: unknown): void {
      if (over) {
        throw new Error(
          `Cannot answer ${name}: C has gone on; reply before the next call is pulled`,
        );
      }
      if (replied) {
        throw new Error(
          `Cannot answer ${name}: callback parameter ${target.parameter} has an answer already, ` +
            "and C gets one; call reply() once",
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
  if (replied || target.result === "void") return;
  call.check();
  throw new Error(
    `Cannot go on with ${name}: callback parameter ${target.parameter} has not been answered, ` +
      `and C needs a result of type ${target.result}; call reply(value) first`,
  );
}
