// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** The calls that a TypeScript body has open: on which stacks, and how they end in order. */

import type { NativeFrame } from "../context/backtrace.ts";
import { CallContext } from "../context/call_context.ts";
import type { Late } from "../context/occupancy.ts";
import type { StackMemory } from "../stack/stack.ts";
import { Call } from "./call.ts";
import type { Answering, Callee } from "./callee.ts";
import { both } from "./end.ts";
import { type Fiber, putFiber, takeFiber } from "./fiber.ts";
import type { MadeCall, Maker } from "./made_call.ts";
import { endGone } from "./sync.ts";

/**
 * The calls that a TypeScript body has open. A body may have several, each made by a handler of the
 * one before. The first is on the generator's own stack, the others are on fibers:
 *
 *     body -> call of f, own stack -> handler -> call of g, a fiber -> handler -> …
 *
 * A scope does not refer to its generator, so it outlives one that is dropped. V8 runs no `finally`
 * block of a body that is garbage; the finalizer ends the calls by the scope instead.
 */
export class Scope implements Late, Maker {
  /** Whether the body is running: only then may it call. */
  running = false;
  /** Whether the body has finished, or is garbage: it will not go on. */
  isOver = false;
  /**
   * Whether V8's stack may have been used up since the last call was closed. Then calls within the
   * one that is being closed may still be open: V8 could not enter their generators again, so their
   * `finally` blocks have not run.
   */
  hasLost = false;
  nextLate: Late | undefined;
  batch: Late["batch"];
  waiting = 0;
  untold = 0;
  lastMade: MadeCall | undefined;
  /** The context of the generator's own stack; undefined: it has none. */
  readonly #own: CallContext | undefined;
  /** Whether an overflow on a fiber is thrown: it is if one on the generator's own stack is. */
  readonly #throws: boolean;
  /**
   * The open calls, the outermost first, each with its fiber if it is on one. The scope holds the
   * fibers: one that became garbage would end the call on it at once, whether that is the innermost
   * or not.
   */
  readonly #calls: Map<Call, Fiber | undefined> = new Map();

  /** `memory` is that of the generator's own stack; undefined: it has none. */
  constructor(memory: StackMemory | undefined) {
    this.#throws = memory?.origin.overflow === "throw";
    if (memory !== undefined) this.#own = new CallContext(memory);
  }

  /** Opens a call, on the generator's own stack if no frame is on that, else on a fiber. */
  open(
    callee: Callee,
    args: readonly unknown[],
    answering: Answering,
  ): Call {
    if (!this.running) {
      throw new Error(
        `Cannot call ${callee.name}: the generator of this yielder is not running its body`,
      );
    }
    endGone();
    const own = this.#own;
    if (own !== undefined && own.handle === null) {
      const fault = own.memory.fault();
      if (fault !== undefined) throw new Error(`${callee.what}: ${fault}`);
      const call = new Call(own);
      call.prepare(callee, args, answering);
      this.#calls.set(call, undefined);
      return call;
    }
    const fiber = takeFiber(this.#throws ? "throw" : callee.overflow, callee.stackSize);
    try {
      const call = new Call(fiber.context);
      call.prepare(callee, args, answering);
      this.#calls.set(call, fiber);
      return call;
    } catch (error) {
      putFiber(fiber);
      throw error;
    }
  }

  /**
   * Ends a call, if it has not ended, and takes it from the list. Where V8's stack is used up this
   * throws, and the call stays in the list: it ends when this is called again, or with the
   * generator.
   */
  close(call: Call): void {
    if (this.hasLost) {
      for (const thrown of this.#endLater(call)) console.error(thrown);
      this.hasLost = false;
    }
    call.end();
    const fiber = this.#calls.get(call);
    // A call that has not begun may have a turn yet.
    if (fiber !== undefined) putFiber(fiber);
    else if (call.context === this.#own) this.#own.release();
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
   * Ends every open call, the innermost first, when the body has finished, or is garbage. Throws in
   * the end what the first of them has thrown.
   */
  endGently(): void {
    this.isOver = true;
    const thrown = this.#endLater(undefined);
    // Their fibers are not kept for other calls: the collector gets them.
    this.#calls.clear();
    if (thrown.length > 0) throw thrown[0];
  }

  /**
   * Ends the calls within `call`, which began after it; all calls if it is undefined. The innermost
   * ends first. Returns what native code has thrown meanwhile.
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

  /** Whether the body will not go on, and no frame of its calls is left: its stack is free then. */
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
