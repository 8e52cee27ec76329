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
import { native } from "../library/find.ts";
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
  const { context } = call;
  let offer: Offer | undefined;
  try {
    const { resumeCall } = native();
    let target = call.begin();
    let known = -1;
    while (target !== undefined) {
      const kept = target.handler;
      if (kept === undefined) {
        offer = new Offer(call, target);
        yield offer;
        offer.close();
      } else {
        const answer = call.ask(target, kept);
        call.reply(target, isScriptGenerator(answer) ? yield* answer : answer);
      }
      // As in `answer_many.ts`, which says why this is no `step`.
      const isPlain = context.handle !== null && !context.kept.hasBuffers && !target.isKept;
      const number = resumeCall(isPlain ? context.handle : call.leave(), 0);
      if (number !== known || target.closed || !isPlain) {
        target = call.arrive();
        known = number;
      }
    }
    return call.takeResult();
  } catch (error) {
    // V8's own, for a stack that is used up? Not by `isExhaustion`: a call could fail itself.
    if (error instanceof RangeError && error.message === EXHAUSTED) scope.hasLost = true;
    throw scope.fail(call, error);
  } finally {
    offer?.end();
    scope.close(call);
  }
}

/** The arguments in the places of their parameters: in those of callbacks there is nothing. */
function placed({ slots }: Callee, args: readonly unknown[]): readonly unknown[] {
  const rest = args.values();
  return slots.map(({ callback }) => callback === undefined ? rest.next().value : undefined);
}

/** What is yielded for one call of a callback. */
class Offer implements CallbackCall<number, readonly unknown[], unknown> {
  readonly parameter: number;
  readonly args: readonly unknown[];
  readonly reply: (value: unknown) => void = (value) => this.#reply(value);
  readonly #call: Call;
  readonly #target: Target;
  #isReplied = false;
  /** Whether a getter of the answer may run. */
  #isReplying = false;
  #isOver = false;

  constructor(call: Call, target: Target) {
    this.parameter = target.parameter;
    this.args = call.args(target);
    this.#call = call;
    this.#target = target;
  }

  #reply(value: unknown): void {
    const { name } = this.#call.callee;
    if (this.#isOver) {
      throw new Error(
        `Cannot answer ${name}: C has gone on; reply before the next call is pulled`,
      );
    }
    if (this.#isReplied) {
      throw new Error(
        `Cannot answer ${name}: callback parameter ${this.parameter} has an answer already, ` +
          "and C gets one; call reply() once",
      );
    }
    if (this.#isReplying) {
      throw new Error(
        `Cannot answer ${name}: callback parameter ${this.parameter} is being answered, and this ` +
          "is called by a getter of the answer; pass plain values",
      );
    }
    this.#isReplying = true;
    try {
      this.#call.reply(this.#target, value);
      this.#isReplied = true;
    } finally {
      this.#isReplying = false;
    }
  }

  /** The next call is pulled, or none will be. */
  end(): void {
    this.#isOver = true;
  }

  /** The next call is pulled: throws if this one has not been replied to. */
  close(): void {
    this.#isOver = true;
    const target = this.#target;
    if (this.#isReplied || target.result === "void") return;
    const call = this.#call;
    call.check();
    throw new Error(
      `Cannot go on with ${call.callee.name}: callback parameter ${this.parameter} has not been ` +
        `answered, and C needs a result of type ${target.result}; call reply(value) first`,
    );
  }
}
