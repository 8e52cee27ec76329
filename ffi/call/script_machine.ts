// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * A TypeScript body: one of V8's own generators, and the scope of the calls that it has open. V8
 * suspends no other TypeScript frames (docs/how.md, "Why JavaScript stays on V8's stack").
 *
 *     not begun  --advance-->  suspended  --advance-->  running  -->  suspended, or finished
 *
 * The states are fields, so that to set one after a step is an assignment, which cannot fail.
 * Nothing that can fail stands between a step of V8's generator and its result, or the result would
 * be lost.
 */

import { describe, EXHAUSTED } from "../check.ts";
import { late } from "../context/occupancy.ts";
import { isScriptGenerator, type ScriptGenerator } from "../script_generator.ts";
import type { StackMemory } from "../stack/stack.ts";
import { depthNow, isGone } from "./depth.ts";
import { missingStar } from "./made_call.ts";
import { Scope } from "./scope.ts";

/** Makes V8's generator, when the first input is there. */
type Start<Input, Output, Return> = (
  scope: Scope,
  input: Input,
) => ScriptGenerator<Output, Return, Input>;

/**
 * The steps of V8's generator, as numbers: a closure for each step would cost more than the step.
 */
export const Step = { next: 0, return: 1, throw: 2 } as const;

/**
 * The message of V8's TypeError, for ever, for a generator that was interrupted as its body ran.
 */
const STUCK = "Generator is already running";

/** The error for such a body. */
class Interrupted extends Error {
  constructor(cause: unknown) {
    super(
      "Cannot resume generator: its body was interrupted while it ran (as a timeout of node:vm " +
        "does), and V8 does not go on with such a body; make a new generator",
      { cause },
    );
  }
}

/** A TypeScript body. */
export class ScriptMachine<Input, Output, Return> {
  /** The calls that the body has open. When the generator is garbage, the scope alone is left. */
  readonly scope: Scope;
  readonly #start: Start<Input, Output, Return>;
  /** V8's generator; undefined until the body begins. */
  #machine: ScriptGenerator<Output, Return, Input> | undefined;
  /** How deep V8's stack was when the body was last entered. */
  #depth = 0;
  /** Whether an interrupt has cut a step short. */
  #wasCut = false;
  /** Whether the body was ended early: then it owes no call its `yield*`. */
  #isLeft = false;
  /** Whether the body will not go on. */
  isFinished = false;
  /** What the body has failed by. */
  failure: { readonly error: unknown } | undefined;

  /** `memory` is that of the generator's own stack, if it has one; `start` calls the body. */
  constructor(memory: StackMemory | undefined, start: Start<Input, Output, Return>) {
    this.scope = new Scope(memory);
    this.#start = start;
  }

  /** Whether the body has begun. */
  get hasBegun(): boolean {
    return this.#machine !== undefined;
  }

  /**
   * Whether the body is running: the code that asks was called by it then. A body that an interrupt
   * has taken away is not running, though V8 has not said so: the depth tells (`depth.ts`).
   */
  get isRunning(): boolean {
    if (!this.scope.running) return false;
    if (!isGone(this.#depth)) return true;
    this.scope.running = false;
    this.#wasCut = true;
    return false;
  }

  /**
   * Has V8's generator take a step, or begins it. The body is neither running nor finished.
   *
   * A RangeError for a stack that is used up may mean two things. Either the body was entered, and
   * the error has left it: it has ended. Or V8 could not even enter the body: it is still
   * suspended, and can be resumed later as if nothing had been. V8 does not say which; a second try
   * from the same place tells:
   *
   *     first try    second try     so the body
   *     RangeError   done: true     had ended by the error; the error is its failure
   *     RangeError   RangeError     could not be entered, and still waits
   *
   * After the step `throw` there is a second sign of a body that has ended: what was thrown in
   * comes out. At the first try the body has let that out, be it an old RangeError of this kind; at
   * the second, the body had ended by the RangeError.
   *
   * If the body yields a call that waits for its `yield*`, the next step is to throw an error where
   * that `yield` stands: so its `finally` blocks run.
   */
  advance(step: number, value: unknown): IteratorResult<Output, Return> {
    const { scope } = this;
    this.#depth = depthNow();
    let exhausted: RangeError | undefined;
    for (;;) {
      let result: IteratorResult<Output, Return>;
      scope.running = true;
      try {
        const machine = this.#machine;
        if (machine === undefined) result = this.#begin(value as Input);
        else if (step === Step.next) result = machine.next(value as Input);
        else if (step === Step.return) result = machine.return(value as Return);
        else result = machine.throw(value);
      } catch (error) {
        scope.running = false;
        if (step === Step.throw && error === value) throw this.#fail(exhausted ?? error);
        // Not by `isExhaustion`: with the stack used up, that call could fail itself.
        if (!(error instanceof RangeError) || error.message !== EXHAUSTED) throw this.#fail(error);
        if (exhausted !== undefined) throw exhausted;
        exhausted = error;
        continue;
      }
      scope.running = false;
      if (!result.done) {
        if (scope.waiting === 0) return result;
        let error: TypeError | undefined;
        try {
          error = missingStar(scope, result.value);
        } catch {
          // V8's stack is used up, or the result is the own one of an iterator that the body has
          // passed to `yield*`, and fails to give its value. It belongs to the caller all the same.
        }
        if (error === undefined) return result;
        step = Step.throw;
        value = error;
        exhausted = undefined;
        continue;
      }
      this.finish();
      if (exhausted === undefined) {
        return scope.untold > 0 && !this.#isLeft ? this.#failForgetful() : result;
      }
      this.failure = { error: exhausted };
      throw exhausted;
    }
  }

  /** Ends the body early: its `finally` blocks run, if it has begun. */
  return(value: Return): IteratorResult<Output, Return> {
    this.#isLeft = true;
    if (this.#machine !== undefined && !this.isFinished) {
      try {
        return this.advance(Step.return, value);
      } catch (error) {
        if (!(error instanceof Interrupted)) throw error;
      }
    }
    this.finish();
    return { value, done: true };
  }

  /** The body has returned, and a call still waits for its `yield*`, in vain. */
  #failForgetful(): never {
    const { untold, lastMade } = this.scope;
    const call = untold === 1 && lastMade?.isUntold ? lastMade.description : "a call";
    const error = new TypeError(
      `Cannot end generator: its body has returned, and ${call} never began; ` +
        "write yield* before yielder.call()",
    );
    this.failure = { error };
    throw error;
  }

  #begin(input: Input): IteratorResult<Output, Return> {
    const machine = this.#start(this.scope, input);
    if (!isScriptGenerator(machine)) {
      throw new TypeError(`Cannot resume generator: the body returned ${describe(machine)}`);
    }
    this.#machine = machine as ScriptGenerator<Output, Return, Input>;
    return this.#machine.next(input);
  }

  /** Notes that `error` has left the body, which has ended; returns what to throw. */
  #fail(error: unknown): unknown {
    const isStuck = this.#wasCut && error instanceof TypeError && error.message === STUCK;
    const failure = isStuck ? new Interrupted(error) : error;
    this.failure = { error: failure };
    this.finish();
    return failure;
  }

  /**
   * Notes that the body will not go on. Its calls are to end: the generator ends them next, and if
   * it is cut short, whatever is done after that. Plain assignments, so it happens as a whole.
   */
  finish(): void {
    const { scope } = this;
    if (this.isFinished) return;
    this.isFinished = true;
    scope.isOver = true;
    scope.nextLate = late.first;
    late.first = scope;
  }
}
