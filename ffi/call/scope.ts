// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** The calls that a TypeScript body has open. */

import type { NativeFrame } from "../context/backtrace.ts";
import { Context } from "../context/context.ts";
import type { Late } from "../context/occupancy.ts";
import type { Owner, StackMemory } from "../stack/stack.ts";
import { Call } from "./call.ts";
import type { Answerer, Callee } from "./callee.ts";
import { both } from "./end.ts";
import { type Fiber, putFiber, takeFiber } from "./fiber.ts";
import { endGone } from "./sync.ts";

/**
 * The calls that a TypeScript body has open, and the stack that they are on. A scope is what is
 * left of a dropped generator, since V8 runs no `finally` block of a body that is garbage.
 */
export class Scope implements Owner, Late {
  /** Whether the body is running, which is when it may call. */
  running = false;
  /** Whether the body will not go on. */
  isOver = false;
  /**
   * Whether V8's stack may have been used up: then V8 has left the generators of inner calls as
   * they were, and nobody else ends those calls.
   */
  hasLost = false;
  nextLate: Late | undefined;
  /** The body's own stack; undefined: it has none. */
  readonly #own: Context | undefined;
  /** Whether the overflow of a stack is thrown, as the generator's own stack has it. */
  readonly #throws: boolean;
  /**
   * With the pool's stacks that they are on: these must not become garbage before the calls end, or
   * each would end the call on it when the collector finds it, be that an inner one or not.
   */
  readonly #calls: Map<Call, Fiber | undefined> = new Map();

  /** `memory` is the generator's own stack, if it has one. */
  constructor(memory: StackMemory | undefined) {
    this.#throws = memory?.origin.overflow === "throw";
    if (memory !== undefined) this.#own = new Context(memory);
  }

  /**
   * Begins a call, on the generator's own stack if nothing is on that. A handler that calls again
   * finds the stack taken, and gets another.
   */
  open(
    callee: Callee,
    plain: readonly unknown[],
    answerers: readonly Answerer[] | undefined,
  ): Call {
    if (!this.running) {
      throw new Error(
        `Cannot call ${callee.name}: the generator of this yielder is not running its body`,
      );
    }
    endGone();
    const own = this.#own;
    if (own !== undefined && own.handle === null) {
      const call = new Call(callee, own, plain, answerers);
      this.#calls.set(call, undefined);
      return call;
    }
    const fiber = takeFiber(this.#throws ? "throw" : callee.overflow);
    try {
      const call = new Call(callee, fiber.context, plain, answerers);
      this.#calls.set(call, fiber);
      return call;
    } catch (error) {
      putFiber(fiber);
      throw error;
    }
  }

  /**
   * Ends a call, if it has not ended. Where V8's stack is used up the call ends with the generator,
   * or when this is called again.
   */
  close(call: Call): void {
    if (this.hasLost) {
      for (const thrown of this.#endLater(call)) console.error(thrown);
      this.hasLost = false;
    }
    call.end();
    const fiber = this.#calls.get(call);
    if (fiber !== undefined) putFiber(fiber);
    this.#calls.delete(call);
  }

  /** Ends a call because of an error; returns what to throw. */
  fail(call: Call, error: unknown): unknown {
    try {
      this.close(call);
    } catch (other) {
      if (call.hasEnded) return both(other, error);
    }
    return error;
  }

  /**
   * Ends every open call, the innermost first, and throws then what the first has thrown. The body
   * has finished, or nobody holds it any more.
   */
  endGently(): void {
    this.isOver = true;
    const thrown = this.#endLater(undefined);
    // The stacks of the pool that they were on go with the collector.
    this.#calls.clear();
    if (thrown.length > 0) throw thrown[0];
  }

  /**
   * Ends the calls that began after `call`, or all of them, the last first. Returns what native
   * code has thrown meanwhile.
   */
  #endLater(call: Call | undefined): unknown[] {
    const thrown: unknown[] = [];
    for (const later of [...this.#calls.keys()].reverse()) {
      if (later === call) break;
      try {
        later.end();
      } catch (error) {
        if (!later.hasEnded) throw error;
        thrown.push(error);
      }
    }
    return thrown;
  }

  /** Whether the body will not go on, and no native frame of its calls is left. */
  get isDone(): boolean {
    if (!this.isOver) return false;
    for (const call of this.#calls.keys()) if (!call.hasEnded) return false;
    return true;
  }

  /** Where every open call waits, the innermost first. */
  frames(): NativeFrame[] {
    return [...this.#calls.keys()].reverse().flatMap((call) => call.frames());
  }
}
