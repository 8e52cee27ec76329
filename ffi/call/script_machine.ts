// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * A TypeScript body: one of V8's own generators, and the scope of the calls that it has open. V8
 * suspends no other TypeScript frames (README.md, "Why JavaScript stays on V8's stack").
 */

import { describe } from "../check.ts";
import { late } from "../context/occupancy.ts";
import { isScriptGenerator, type ScriptGenerator } from "../script_generator.ts";
import type { StackMemory } from "../stack/stack.ts";
import { depthNow, isGone } from "./depth.ts";
import { Scope } from "./scope.ts";

/** Makes V8's generator, when the first input is there. */
export type Start<Input, Output, Return> = (
  scope: Scope,
  input: Input,
) => ScriptGenerator<Output, Return, Input>;

/** The steps of V8's generator. Numbers, since a closure for each step would cost more than one. */
export const Step = { next: 0, return: 1, throw: 2 } as const;

/** What V8 says of a generator for ever, if it was interrupted while its body ran. */
const STUCK = "Generator is already running";

class Interrupted extends Error {
  constructor(cause: unknown) {
    super(
      "Cannot resume generator: its body was interrupted while it ran (as a timeout of node:vm " +
        "does), and V8 does not go on with such a body; make a new generator",
      { cause },
    );
  }
}

/** What V8 says when its stack is used up. */
const EXHAUSTED = "Maximum call stack size exceeded";

/** A TypeScript body. */
export class ScriptMachine<Input, Output, Return> {
  /** The calls that it has open. It is all that is left when the generator is dropped. */
  readonly scope: Scope;
  readonly #start: Start<Input, Output, Return>;
  #machine: ScriptGenerator<Output, Return, Input> | undefined;
  /** How deep V8's stack was when the body was last entered. */
  #depth = 0;
  /** Whether a step has been cut short by an interrupt. */
  #wasCut = false;
  /** Whether the body will not go on. A field, since to ask must not fail after a step. */
  isFinished = false;
  /** What the body has failed by. */
  failure: { readonly error: unknown } | undefined;

  /** `memory` is the stack that its calls run on, if it is to have one of its own. */
  constructor(memory: StackMemory | undefined, start: Start<Input, Output, Return>) {
    this.scope = new Scope(memory);
    this.#start = start;
  }

  /** Whether the body has begun. */
  get hasBegun(): boolean {
    return this.#machine !== undefined;
  }

  /**
   * Whether the body is running, and with it whoever asks. An interrupt takes a running body away
   * without a word (`depth.ts`).
   */
  get isRunning(): boolean {
    if (!this.scope.running) return false;
    if (!isGone(this.#depth)) return true;
    this.scope.running = false;
    this.#wasCut = true;
    return false;
  }

  /**
   * Lets V8's generator take a step, or begins it; `isRunning` and `isFinished` have been asked.
   *
   * With V8's stack used up, either the body has been entered, and what it has thrown has ended it;
   * or V8 has not even entered it, and it can be resumed as if nothing had been. V8 does not say
   * which, but a second try from the same place tells: a body that has ended is done at once, and
   * one that could not be entered cannot be entered again.
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
        if (!(error instanceof RangeError) || error.message !== EXHAUSTED) throw this.#fail(error);
        if (exhausted !== undefined) throw exhausted;
        exhausted = error;
        continue;
      }
      scope.running = false;
      if (!result.done) return result;
      this.finish();
      if (exhausted === undefined) return result;
      this.failure = { error: exhausted };
      throw exhausted;
    }
  }

  /** Ends V8's generator, whose `finally` blocks run; one that has not begun has none. */
  return(value: Return): IteratorResult<Output, Return> {
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

  #begin(input: Input): IteratorResult<Output, Return> {
    const machine = this.#start(this.scope, input);
    if (!isScriptGenerator(machine)) {
      throw new TypeError(`Cannot resume generator: the body returned ${describe(machine)}`);
    }
    this.#machine = machine as ScriptGenerator<Output, Return, Input>;
    return this.#machine.next(input);
  }

  /** The body has thrown, and will not go on; returns what to throw. */
  #fail(error: unknown): unknown {
    const isStuck = this.#wasCut && error instanceof TypeError && error.message === STUCK;
    const failure = isStuck ? new Interrupted(error) : error;
    this.failure = { error: failure };
    this.finish();
    return failure;
  }

  /** The body is not to go on: its calls are to end, now or when something else is done. */
  finish(): void {
    const { scope } = this;
    if (this.isFinished) return;
    this.isFinished = true;
    scope.isOver = true;
    scope.nextLate = late.first;
    late.first = scope;
  }
}
