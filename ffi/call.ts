// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * One call of a C function on a fringe stack. Each callback that C calls suspends the function; whoever drives the call
 * answers it and goes on. The four forms of `dlopen.ts` are four ways to drive.
 */

import type { Library } from "./body.ts";
import type { Context } from "./context.ts";
import { native } from "./library.ts";
import { Mailbox, SLOT_SIZE } from "./mailbox.ts";
import { describe, type Occupant } from "./stack.ts";
import { read, write } from "./values.ts";

/** A callback parameter, as `dlopen` has checked it. */
export interface Callback {
  /** Its place among the callbacks of the function. */
  readonly number: number;
  /** Its place among the parameters of the function. */
  readonly parameter: number;
  readonly parameters: readonly string[];
  readonly result: string;
  /** What C is told once nobody listens any more; undefined: its frames are unwound. */
  readonly stop: unknown;
  readonly hasStop: boolean;
}

/** A C function, as `dlopen` has checked it. */
export interface Callee {
  readonly name: string;
  readonly pointer: Deno.PointerObject;
  /** The type of each parameter; a callback's is "callback". */
  readonly parameters: readonly string[];
  readonly result: string;
  readonly callbacks: readonly Callback[];
  readonly library: Library;
}

/** A handler: answers a callback. */
// deno-lint-ignore no-explicit-any -- each has the parameters of its callback, which dlopen.ts infers
export type Handler = (...args: any[]) => unknown;

/** A call that has begun. */
export class Call implements Occupant {
  readonly #callee: Callee;
  readonly #context: Context;
  /** Buffers and strings that C may use until it returns. */
  readonly #kept: unknown[] = [];
  /** The callback that waits for an answer. */
  #waiting: Callback | undefined;

  /**
   * Writes the arguments and lays the first frame; `step` runs it. `args` are those of the parameters that
   * are no callbacks.
   */
  constructor(callee: Callee, context: Context, args: readonly unknown[]) {
    const { view } = context;
    let [argument, callback] = [0, 0];
    for (const [i, type] of callee.parameters.entries()) {
      const offset = Mailbox.arguments + i * SLOT_SIZE;
      if (type === "callback") {
        view.setBigUint64(offset, thunk(callback++), true);
        continue;
      }
      const what = `Cannot call ${callee.name}: argument ${i}`;
      const kept = write(view, offset, type, args[argument++], what);
      if (kept !== undefined && kept !== null) this.#kept.push(kept);
    }
    view.setBigUint64(Mailbox.function, native().addressOfPointer(callee.pointer), true);
    context.begin(native().callBody!, callee.library);
    this.#callee = callee;
    this.#context = context;
  }

  /** Runs C to its next callback, which is returned, or to its end: undefined. */
  step(): Callback | undefined {
    const context = this.#context;
    const { handle } = context;
    if (handle === null) {
      throw new Error(
        `Cannot go on with ${this.#callee.name}: ${context.reason ?? "the call has been ended"}`,
      );
    }
    if (this.#kept.length > 0) this.#checkKept();
    this.#waiting = undefined;
    const number = native().resumeCall(handle);
    if (number === 0) {
      context.finish();
      return undefined;
    }
    const callback = this.#callee.callbacks[number - 1];
    if (callback === undefined) {
      context.end();
      throw new Error(
        `Cannot go on with ${this.#callee.name}: C has called callback ${number - 1}, which this ` +
          "function does not have; a library must not keep a callback beyond the call",
      );
    }
    return this.#waiting = callback;
  }

  /** The arguments of the callback that waits. */
  args(callback: Callback): unknown[] {
    const { view } = this.#context;
    return callback.parameters.map((type, i) =>
      read(view, Mailbox.callback_arguments + i * SLOT_SIZE, type)
    );
  }

  /** What `handler` says to the callback that waits. */
  ask(handler: Handler, callback: Callback): unknown {
    const { view } = this.#context;
    const at = Mailbox.callback_arguments;
    const [a, b, c] = callback.parameters;
    // No array is made for the few arguments that most callbacks have.
    switch (callback.parameters.length) {
      case 0:
        return handler();
      case 1:
        return handler(read(view, at, a!));
      case 2:
        return handler(read(view, at, a!), read(view, at + SLOT_SIZE, b!));
      case 3:
        return handler(
          read(view, at, a!),
          read(view, at + SLOT_SIZE, b!),
          read(view, at + 2 * SLOT_SIZE, c!),
        );
      default:
        return handler(...this.args(callback));
    }
  }

  /** Answers the callback that waits; C goes on with the next `step`. */
  reply(callback: Callback, value: unknown): void {
    const what = `Cannot answer ${this.#callee.name}: the result of callback parameter ` +
      `${callback.parameter}`;
    if (typeof value === "object" && value !== null) refuseDeferred(value, what);
    const kept = write(this.#context.view, Mailbox.input, callback.result, value, what);
    if (kept !== undefined && kept !== null) this.#kept.push(kept);
  }

  /** What the function has returned. */
  result(): unknown {
    return read(this.#context.view, Mailbox.output, this.#callee.result);
  }

  /** Ends the call early: C is told by `stop` where it was declared, else its frames are unwound. */
  end(): void {
    try {
      while (this.#context.handle !== null && this.#waiting?.hasStop) {
        this.reply(this.#waiting, this.#waiting.stop);
        this.step();
      }
    } finally {
      this.#context.end();
    }
  }

  #checkKept(): void {
    for (const kept of this.#kept) {
      const buffer = kept instanceof ArrayBuffer ? kept : (kept as ArrayBufferView).buffer;
      if (!(buffer as ArrayBuffer).detached) continue;
      this.#context.end();
      throw new TypeError(
        `Cannot go on with ${this.#callee.name}: a buffer among its arguments was detached while ` +
          "C was using it; transfer it after the call",
      );
    }
  }
}

/** Says what to do instead when an answer is one that C would have to wait for. */
function refuseDeferred(value: object, what: string): void {
  if (typeof (value as PromiseLike<unknown>).then === "function") {
    throw new TypeError(`${what} is a Promise; call the function by .async(), which awaits it`);
  }
  if (Object.prototype.toString.call(value) === "[object Generator]") {
    throw new TypeError(
      `${what} is a generator; call the function by \`yield* yielder.call()\` in a TypeScript body, ` +
        "where handlers may be generator functions",
    );
  }
}

/** The addresses of the thunks, which never change. */
const thunks: bigint[] = [];

function thunk(number: number): bigint {
  return thunks[number] ??= native().thunk(number);
}

const callees = new WeakMap<object, Callee>();

/** Makes `f` known as a function of `dlopen`. */
export function makeFunction<F extends object>(f: F, callee: Callee): F {
  callees.set(f, callee);
  return Object.freeze(f);
}

/** The C function behind a function of `dlopen`, or a TypeError. */
export function calleeOf(f: unknown): Callee {
  const callee = typeof f === "function" ? callees.get(f) : undefined;
  if (callee !== undefined) return callee;
  throw new TypeError(
    `Cannot call ${
      describe(f)
    }: yielder.call() takes a function that dlopen has given in this Worker`,
  );
}
