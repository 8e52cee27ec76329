// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * A TypeScript body: one of V8's own generators, and the scope of the calls that it has open. V8
 * suspends no other TypeScript frames (README.md, "Why JavaScript stays on V8's stack").
 */

import { describe, hasStack, isExhaustion } from "../check.ts";
import { isScriptGenerator, type ScriptGenerator } from "../script_generator.ts";
import type { StackMemory } from "../stack/stack.ts";
import { depthNow, isGone } from "./depth.ts";
import { Scope } from "./scope.ts";

/** Makes V8's generator, when the first input is there. */
export type Start<Input, Output, Return> = (
  scope: Scope,
  input: Input,
) => ScriptGenerator<Output, Return, Input>;

/** A step of V8's generator: `next`, `return` or `throw`. */
export type Step<Input, Output, Return> = (
  machine: ScriptGenerator<Output, Return, Input>,
) => IteratorResult<Output, Return>;

/** What V8 says of a generator for ever, if it was interrupted while its body ran. */
const STUCK = "Generator is already running";

class Interrupted extends Error {
  constructor(cause: unknown) {
    super(
      "Cannot resume generator: its body was interrupted while it ran (as node:vm's timeout does), " +
        "and V8 does not go on with such a body; make a new generator",
      { cause },
    );
  }
}

/** How far a body has come. */
const Phase = { suspended: 0, running: 1, finished: 2 } as const;

/** A TypeScript body. */
export class ScriptMachine<Input, Output, Return> {
  /** The calls that it has open. It is all that is left when the generator is dropped. */
  readonly scope: Scope;
  readonly #start: Start<Input, Output, Return>;
  #machine: ScriptGenerator<Output, Return, Input> | undefined;
  #phase: number = Phase.suspended;
  /** How deep V8's stack was when the body was last entered. */
  #depth = 0;
  /** Whether a step has been cut short by an interrupt. */
  #wasCut = false;
  /** An error of which nobody knows whether it has ended the body. */
  #doubt: { readonly error: unknown } | undefined;
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

  /** Whether the body will not go on. */
  get isFinished(): boolean {
    return this.#phase === Phase.finished;
  }

  /**
   * Whether the body is running, and with it whoever asks. An interrupt (`timeout` of `node:vm`)
   * takes a running body away without a word: so it is running only if its frame, which lies less
   * deep than one of its own callees, can still be there.
   */
  get isRunning(): boolean {
    if (this.#phase !== Phase.running) return false;
    if (!isGone(this.#depth)) return true;
    this.scope.running = false;
    this.#phase = Phase.suspended;
    this.#wasCut = true;
    return false;
  }

  /** Lets V8's generator take a step, or begins it; `isRunning` and `isFinished` have been asked. */
  advance(step: Step<Input, Output, Return>, input: Input): IteratorResult<Output, Return> {
    const scope = this.scope;
    this.#depth = depthNow();
    this.#phase = Phase.running;
    scope.running = true;
    let result: IteratorResult<Output, Return>;
    try {
      const machine = this.#machine;
      result = machine === undefined ? this.#begin(input) : step(machine);
    } catch (error) {
      scope.running = false;
      return this.#fail(error);
    }
    scope.running = false;
    if (!result.done) {
      this.#phase = Phase.suspended;
      return result;
    }
    this.#finish();
    // Now it is known: V8 says of a generator that an error has ended that it is done.
    if (this.#doubt !== undefined && result.value === undefined) this.failure = this.#doubt;
    return result;
  }

  /** Ends V8's generator, whose `finally` blocks run; one that has not begun has none. */
  return(value: Return): IteratorResult<Output, Return> {
    const machine = this.#machine;
    if (machine === undefined || this.#phase === Phase.finished) {
      this.#finish();
      return { value, done: true };
    }
    try {
      return this.advance((machine) => machine.return(value), undefined as Input);
    } catch (error) {
      if (!(error instanceof Interrupted)) throw error;
      return { value, done: true };
    }
  }

  #begin(input: Input): IteratorResult<Output, Return> {
    const machine = this.#start(this.scope, input);
    if (!isScriptGenerator(machine)) {
      throw new TypeError(`Cannot resume generator: the body returned ${describe(machine)}`);
    }
    this.#machine = machine as ScriptGenerator<Output, Return, Input>;
    return this.#machine.next(input);
  }

  /**
   * A step has thrown. As a rule the body has, and will not go on. With V8's stack used up, V8 may
   * not have entered the body at all, which can then be resumed as if nothing had been.
   */
  #fail(error: unknown): never {
    if (isExhaustion(error) && !hasStack(8)) {
      this.#doubt = { error };
      this.#phase = Phase.suspended;
      throw error;
    }
    const isStuck = this.#wasCut && error instanceof TypeError && error.message === STUCK;
    const failure = isStuck ? new Interrupted(error) : error;
    this.failure = { error: failure };
    this.#finish();
    throw failure;
  }

  /** The body is not to go on. */
  abandon(): void {
    this.#finish();
  }

  #finish(): void {
    this.#phase = Phase.finished;
    this.scope.isOver = true;
  }
}
