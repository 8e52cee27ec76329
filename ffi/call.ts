// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * One call of a C function on a fringe stack. Each callback that C calls suspends the function;
 * whoever drives the call answers it and goes on. The four forms of `dlopen.ts` are four ways to
 * drive.
 */

import { checkOpen, type Library } from "./body.ts";
import type { Context } from "./context.ts";
import { native } from "./library.ts";
import { Mailbox, SLOT_SIZE } from "./mailbox.ts";
import { describe, type Occupant } from "./stack.ts";
import { read, write } from "./values.ts";

// Local, because V8 folds a local constant, and loads an imported one at each use.
const { input: INPUT, output: OUTPUT, callback_arguments: CALLBACK_ARGUMENTS } = Mailbox;

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
  /** How a message about its answer begins. */
  readonly what: string;
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
// deno-lint-ignore no-explicit-any -- each has the parameters of its callback; types.ts infers them
export type Handler = (...args: any[]) => unknown;

/** A call that has begun. */
export class Call implements Occupant {
  readonly #callee: Callee;
  readonly #context: Context;
  /** Buffers and strings that C may use until it returns. */
  readonly #strings: Uint8Array[] = [];
  /** The same for memory of the caller, who might transfer it. */
  readonly #buffers: Set<ArrayBuffer> = new Set();
  /** Whether the stack's memory can vanish. */
  readonly #watched: boolean;
  /** The callback that waits for an answer. */
  #waiting: Callback | undefined;

  /**
   * Writes the arguments and lays the first frame; `step` runs it. `args` are those of the
   * parameters that are no callbacks.
   */
  constructor(callee: Callee, context: Context, args: readonly unknown[]) {
    const { memory, view } = context;
    const fault = memory.fault();
    if (fault !== undefined) throw new Error(`Cannot call ${callee.name}: ${fault}`);
    let [argument, callback] = [0, 0];
    for (const [i, type] of callee.parameters.entries()) {
      const offset = Mailbox.arguments + i * SLOT_SIZE;
      if (type === "callback") {
        view.setBigUint64(offset, thunk(callback++), true);
        continue;
      }
      const what = `Cannot call ${callee.name}: argument ${i}`;
      this.#keep(type, write(view, offset, type, args[argument++], what));
    }
    view.setBigUint64(Mailbox.function, native().addressOfPointer(callee.pointer), true);
    // Once more: reading the arguments may have run code of the caller's.
    checkOpen(callee.library, `Cannot call ${callee.name}`);
    context.begin(native().callBody!, callee.library);
    this.#callee = callee;
    this.#context = context;
    this.#watched = memory.origin.fault !== undefined;
    context.call = this;
    // On a stack of the pool there is nobody else who could end the call.
    memory.occupant ??= this;
  }

  /** Runs C to its next callback, which is returned, or to its end: undefined. */
  step(): Callback | undefined {
    return this.#arrive(native().resumeCall(this.#leave(), 0));
  }

  /**
   * Runs C to its end, with handlers that answer at once. The loop calls native code itself, not by
   * `step`: a `ret` in JavaScript that follows a switch is mispredicted, and so there is none.
   */
  run(handlers: readonly Handler[]): void {
    const { resumeCall } = native();
    const [only, other] = this.#callee.callbacks;
    if (only !== undefined && other === undefined) return this.#runOnly(handlers[0]!, only);
    for (;;) {
      const callback = this.#arrive(resumeCall(this.#leave(), 0));
      if (callback === undefined) return;
      this.reply(callback, this.ask(handlers[callback.number]!, callback));
    }
  }

  /** The same where there is one callback: nothing about it has to be looked up in the loop. */
  #runOnly(handler: Handler, callback: Callback): void {
    const { resumeCall } = native();
    const context = this.#context;
    const { view } = context;
    const keeps = this.#buffers.size > 0 || callback.result === "buffer";
    const { parameters, result, what } = callback;
    const count = parameters.length;
    const first = parameters[0]!;
    const second = parameters[1]!;
    this.#waiting = callback;
    for (;;) {
      const { handle } = context;
      const number = resumeCall(handle === null || keeps ? this.#leave() : handle, 0);
      if (number !== 1) {
        this.#arrive(number);
        return;
      }
      const answer = count === 1
        ? handler(read(view, CALLBACK_ARGUMENTS, first))
        : count === 2
        ? handler(
          read(view, CALLBACK_ARGUMENTS, first),
          read(view, CALLBACK_ARGUMENTS + SLOT_SIZE, second),
        )
        : handler(...this.args(callback));
      this.#put(view, result, answer, what);
    }
  }

  /** What must be so before C goes on; returns what to enter. */
  #leave(): Deno.PointerObject {
    const { handle } = this.#context;
    if (handle === null) this.#refuse();
    if (this.#buffers.size > 0) this.#checkBuffers();
    if (this.#watched) this.#checkMemory();
    return handle;
  }

  /** Makes of a thunk's number the callback that C has called; 0: C has returned. */
  #arrive(number: number): Callback | undefined {
    if (number === 0) {
      this.#waiting = undefined;
      this.#context.finish();
      return undefined;
    }
    return this.#waiting = this.#callee.callbacks[number - 1] ?? this.#refuseCallback(number);
  }

  #refuse(): never {
    const reason = this.#context.reason ?? "the call has been ended";
    throw new Error(`Cannot go on with ${this.#callee.name}: ${reason}`);
  }

  #refuseCallback(number: number): never {
    this.#waiting = undefined;
    this.#context.end();
    throw new Error(
      `Cannot go on with ${this.#callee.name}: C has called callback ${number - 1}, which this ` +
        "function does not have; a library must not keep a callback beyond the call",
    );
  }

  /** The arguments of the callback that waits. */
  args(callback: Callback): unknown[] {
    const { view } = this.#context;
    return callback.parameters.map((type, i) =>
      read(view, CALLBACK_ARGUMENTS + i * SLOT_SIZE, type)
    );
  }

  /** What `handler` says to the callback that waits. */
  ask(handler: Handler, callback: Callback): unknown {
    const { view } = this.#context;
    const { parameters } = callback;
    const at = CALLBACK_ARGUMENTS;
    // No array is made for the few arguments that most callbacks have.
    switch (parameters.length) {
      case 0:
        return handler();
      case 1:
        return handler(read(view, at, parameters[0]!));
      case 2:
        return handler(read(view, at, parameters[0]!), read(view, at + SLOT_SIZE, parameters[1]!));
      default:
        return handler(...this.args(callback));
    }
  }

  /** Answers the callback that waits; C goes on with the next `step`. */
  reply(callback: Callback, value: unknown): void {
    this.#put(this.#context.view, callback.result, value, callback.what);
  }

  #put(view: DataView, type: string, value: unknown, what: string): void {
    if (typeof value === "object" && value !== null) refuseDeferred(value, what);
    this.#keep(type, write(view, INPUT, type, value, what));
  }

  /** What the function has returned. */
  result(): unknown {
    return read(this.#context.view, OUTPUT, this.#callee.result);
  }

  /**
   * Ends the call early: C is told by `stop` where it was declared, else its frames are unwound.
   */
  end(): void {
    try {
      while (this.#context.handle !== null && this.#waiting?.hasStop) {
        this.reply(this.#waiting, this.#waiting.stop);
        this.step();
      }
    } catch {
      // It cannot be told. Whatever ended the call is what the caller must hear of, not this.
    }
    this.#context.end();
  }

  #checkMemory(): void {
    const fault = this.#context.memory.fault();
    if (fault !== undefined) throw new Error(`Cannot go on with ${this.#callee.name}: ${fault}`);
  }

  /** Keeps what C may use until it returns. */
  #keep(type: string, bytes: Uint8Array<ArrayBuffer> | null | undefined): void {
    if (bytes === undefined || bytes === null) return;
    if (type === "buffer") this.#buffers.add(bytes.buffer);
    else this.#strings.push(bytes);
  }

  #checkBuffers(): void {
    for (const buffer of this.#buffers) {
      if (!buffer.detached) continue;
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
    // Should it be rejected later, nobody would have seen that, and Deno would end the process.
    Promise.resolve(value).catch(() => {});
    throw new TypeError(
      `${what} is a Promise; call the function by .async(), which awaits it, or let a handler of ` +
        "yielder.call() yield it to whoever can await",
    );
  }
  if (Object.prototype.toString.call(value) === "[object Generator]") {
    throw new TypeError(
      `${what} is a generator; call the function by \`yield* yielder.call()\` in a TypeScript ` +
        "body, where handlers may be generator functions",
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

/** Whether `f` is a function of `dlopen`. */
export function isFunction(f: unknown): boolean {
  return typeof f === "function" && callees.has(f);
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
