// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * One call of a C function on a fringe stack. Each callback that C calls suspends the function;
 * whoever drives the call answers it and goes on. The forms of `dlopen.ts` are ways to drive.
 */

import type { NativeFrame } from "../context/backtrace.ts";
import { checkOpen, type Library } from "../context/body.ts";
import { type Context, ELSEWHERE, type Subject } from "../context/context.ts";
import type { Kept, Lent } from "../value/kept.ts";
import { native } from "../library/find.ts";
import { Mailbox, SLOT_SIZE } from "../context/mailbox.ts";
import type { Overflow } from "../context/overflow.ts";
import { callbackSignature, type Signature } from "./signature.ts";
import { describe, type Occupant, STACK_SIZE_MIN } from "../stack/stack.ts";
import { type Handler, type Target, targetOf, type Thunk } from "./thunk.ts";
import { read, write } from "../value/value.ts";

// Local, because V8 folds a local constant, and loads an imported one at each use.
const { input: INPUT, output: OUTPUT, output_float: OUTPUT_FLOAT, stack: STACK } = Mailbox;

/** A callback parameter, as `dlopen` has checked it. */
export interface CallbackParameter {
  readonly target: Target;
  /** What C gets for it; made when it is first needed. */
  readonly thunk: () => Thunk;
}

/** A C function, as `dlopen` has checked it. */
export interface Callee extends Signature, Subject {
  /** Its address; computed when it is first needed. */
  readonly address: () => bigint;
  readonly callbacks: readonly CallbackParameter[];
  /** Whether it runs on another thread. */
  readonly nonblocking: boolean;
  /** What happens when it uses up a stack of the pool's. */
  readonly overflow: Overflow;
  readonly library: Library;
}

/** What answers a callback parameter: a function, or what is behind a thunk that C may keep. */
export type Answerer = Handler | Thunk;

const NOTHING: Handler = () => {};

/** No callback at all. */
const NOBODY: Target = {
  ...callbackSignature({ parameters: [], result: "void" }, "nobody"),
  callee: undefined,
  index: -1,
  parameter: -1,
  handler: undefined,
  what: "",
  closed: true,
};

/**
 * A call that has begun. It knows none of its handlers: its library knows it for as long as C has
 * not returned, and would keep what they refer to, such as their own generator, from the collector.
 */
export class Call implements Occupant {
  readonly #callee: Callee;
  readonly #context: Context;
  /** The callbacks of its own for which C has got what it may keep. */
  #replaced: Target[] | undefined;
  /** The strings and buffers that C may use until it returns. */
  readonly #keeper: Kept | Lent;
  /** Whether the stack's memory can vanish. */
  readonly #watched: boolean;
  /** The callback that waits for an answer. */
  #waiting: Target | undefined;
  /** What C has returned. */
  #result: unknown;
  /** What it has ended by instead. */
  #error: Error | undefined;
  /** Rejects the Promise of a call that waits for a handler, so that it need not wait any more. */
  #interrupt: WeakRef<(reason: unknown) => void> | undefined;

  /**
   * Writes the arguments and lays the first frame; `step` runs it. `args` are those of the
   * parameters that are no callbacks, `answerers` those that are; without them the calls of C are
   * pulled.
   */
  constructor(
    callee: Callee,
    context: Context,
    args: readonly unknown[],
    answerers: readonly Answerer[] | undefined,
  ) {
    const { memory } = context;
    const what = `Cannot call ${callee.name}`;
    const fault = memory.fault();
    if (fault !== undefined) throw new Error(`${what}: ${fault}`);
    if (callee.stackCount * SLOT_SIZE + STACK_SIZE_MIN > memory.size) {
      throw new RangeError(
        `${what}: its stack has ${memory.size} bytes, and ${callee.stackCount} of its arguments ` +
          "are passed there; use a larger one",
      );
    }
    const keeper = context.prepare(callee.stackCount, callee.nonblocking);
    const { view } = context;
    const { parameters, offsets, callbacks } = callee;
    let [argument, callback] = [0, 0];
    for (let i = 0; i < parameters.length; i++) {
      const type = parameters[i]!;
      if (type !== "callback") {
        write(view, offsets[i]!, type, args[argument++], `${what}: argument ${i}`, keeper);
        continue;
      }
      const answerer = answerers?.[callback];
      const own = callbacks[callback++]!;
      let thunk;
      if (typeof answerer !== "object") thunk = own.thunk();
      else {
        thunk = answerer;
        (this.#replaced ??= []).push(own.target);
      }
      view.setBigUint64(offsets[i]!, thunk.address, true);
    }
    view.setBigUint64(Mailbox.function, callee.address(), true);
    view.setUint32(Mailbox.stack_count, callee.stackCount, true);
    // Once more: to look at the handlers may have run code of the caller's.
    checkOpen(callee.library, what);
    context.begin(native().callBody!, callee);
    this.#callee = callee;
    this.#context = context;
    this.#keeper = keeper;
    this.#watched = memory.origin.fault !== undefined;
    context.call = this;
    // On a stack of the pool there is nobody else who could end the call.
    memory.occupant ??= this;
  }

  /** Runs C to its next callback, which is returned, or to its end: undefined. */
  step(): Target | undefined {
    const handle = this.#leave();
    this.#context.lend();
    const number = native().resumeCall(handle, 0);
    this.#context.takeBack();
    return this.#arrive(number);
  }

  /**
   * Lets C go on on another thread. Until `comeBack` has been called with the number that it
   * reports, nothing may touch the context; no other code may run between the two.
   */
  goElsewhere(): Promise<number> {
    const handle = this.#leave();
    const context = this.#context;
    context.bind(this.#callee.library);
    context.lend();
    const number = native().resumeElsewhere(handle, 0);
    context.elsewhere = true;
    return number;
  }

  /** Takes over from the other thread, as `step` ends. */
  comeBack(number: number): Target | undefined {
    this.#context.elsewhere = false;
    this.#context.takeBack();
    return this.#arrive(number);
  }

  /**
   * Runs C to its end, with handlers that answer at once. The loop calls native code itself, not by
   * `step`: a `ret` in JavaScript that follows a switch is mispredicted, and so there is none.
   *
   * C mostly calls the same callback again, so it is looked up only when it is another. All that is
   * done seldom is in functions of its own: V8 throws the machine code of a loop away when that
   * gets to a place which it had not seen used.
   */
  run(answerers: readonly Answerer[]): unknown {
    const { resumeCall } = native();
    const context = this.#context;
    const { view } = context;
    const keeper = this.#keeper as Kept;
    let target = NOBODY;
    let handler: Handler = NOTHING;
    let known = 0;
    for (;;) {
      const { handle } = context;
      const number = resumeCall(handle === null || keeper.hasBuffers ? this.#leave() : handle, 0);
      if (number !== known || target.closed) {
        const arrived = this.#arrive(number);
        if (arrived === undefined) return this.#result;
        target = arrived;
        handler = handlerOf(arrived, answerers)!;
        known = number;
      }
      const { result, what, fast } = target;
      const answer = fast.count === 1
        ? handler(read(view, fast.firstAt, fast.first))
        : fast.count === 2
        ? handler(read(view, fast.firstAt, fast.first), read(view, fast.secondAt, fast.second))
        : this.ask(target, handler);
      if (typeof answer === "object" && answer !== null) refuseDeferred(answer, what);
      write(view, INPUT, result, answer, what, keeper);
    }
  }

  /**
   * The same with handlers that may be awaited. The Promise is rejected as soon as `signal` aborts
   * or the library closes, though a handler is pending; the call is to be ended then.
   */
  async runAsync(
    answerers: readonly Answerer[],
    signal: AbortSignal | undefined,
  ): Promise<unknown> {
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    // Weak, for the library knows this call, and would keep one that nobody waits for any more.
    this.#interrupt = new WeakRef(reject);
    // What another thread runs is not to be ended: the loop looks at the signal when it is back.
    const abort = (): void => {
      if (!this.#context.elsewhere) reject(signal!.reason);
    };
    signal?.addEventListener("abort", abort, { once: true });
    try {
      this.#answerAll(answerers, signal).then(resolve, reject);
      return await promise;
    } finally {
      signal?.removeEventListener("abort", abort);
    }
  }

  async #answerAll(
    answerers: readonly Answerer[],
    signal: AbortSignal | undefined,
  ): Promise<unknown> {
    const { resumeCall } = native();
    const { nonblocking } = this.#callee;
    for (;;) {
      const target = nonblocking
        ? this.comeBack(await this.goElsewhere())
        : this.#arrive(resumeCall(this.#leave(), 0));
      if (target === undefined) return this.#result;
      signal?.throwIfAborted();
      let answer = this.ask(target, handlerOf(target, answerers)!);
      if (isThenable(answer)) answer = await answer;
      signal?.throwIfAborted();
      this.reply(target, answer);
    }
  }

  /** What must be so before C goes on; returns what to enter. */
  #leave(): Deno.PointerObject {
    this.check();
    if (this.#keeper.isGone) this.#refuseBuffer();
    if (this.#watched) this.#checkMemory();
    const { handle } = this.#context;
    return handle!;
  }

  /** Throws unless the context runs this call, on this thread. */
  check(): void {
    const { call, elsewhere, reason: known } = this.#context;
    if (call === this && !elsewhere) return;
    const reason = elsewhere ? ELSEWHERE : known ?? "the call has been ended";
    throw new Error(`Cannot go on with ${this.#callee.name}: ${reason}`);
  }

  /** Makes of a thunk's number the callback that C has called; 0: C has returned. */
  #arrive(number: number): Target | undefined {
    const error = this.#context.takeError(`Cannot go on with ${this.#callee.name}`);
    if (number === 0 || error !== undefined) {
      this.#waiting = undefined;
      // Now: what C has returned may point at what is gone with the next call, or the library.
      if (error === undefined) this.#result = this.#read();
      this.#context.finish();
      this.#context.release();
      if (error !== undefined) throw this.#error = error;
      return undefined;
    }
    const target = targetOf(number);
    if (target === undefined || target.handler === undefined && !this.#isOwn(target)) {
      this.#refuseCallback(target);
    }
    // Only now can anybody close the library under it.
    this.#context.bind(this.#callee.library);
    return this.#waiting = target;
  }

  /** Whether C was given this callback by this call. */
  #isOwn(target: Target): boolean {
    return target.callee === this.#callee && !this.#replaced?.includes(target);
  }

  #refuseCallback(target: Target | undefined): never {
    this.#waiting = undefined;
    this.#context.end();
    const what = `Cannot go on with ${this.#callee.name}: C has called`;
    if (target === undefined) {
      throw new Error(
        `${what} a callback that has been closed, or is another Worker's; keep a callback open ` +
          "for as long as C knows it",
      );
    }
    const { name } = target.callee as Callee;
    throw new Error(
      `${what} callback parameter ${target.parameter} of ${name}, which was passed to another ` +
        "call; what C keeps must be a Callback",
    );
  }

  /** The arguments of the callback that waits. */
  args({ parameters, offsets, stackCount }: Target): unknown[] {
    const { view } = this.#context;
    if (stackCount === 0) return parameters.map((type, i) => read(view, offsets[i]!, type));
    const stack = new DataView(new ArrayBuffer(stackCount * SLOT_SIZE));
    const address = view.getBigUint64(Mailbox.callback_stack, true);
    native().copyIn(stack, address, BigInt(stack.byteLength));
    return parameters.map((type, i) => {
      const offset = offsets[i]!;
      return offset < STACK ? read(view, offset, type) : read(stack, offset - STACK, type);
    });
  }

  /** What `handler` says to the callback that waits. */
  ask(target: Target, handler: Handler): unknown {
    const { view } = this.#context;
    const { parameters: types, offsets: at } = target;
    if (target.stackCount > 0 || types.length > 4) return handler(...this.args(target));
    // No array is made for the few arguments that most callbacks have.
    if (types.length === 0) return handler();
    const first = read(view, at[0]!, types[0]!);
    if (types.length === 1) return handler(first);
    const second = read(view, at[1]!, types[1]!);
    if (types.length === 2) return handler(first, second);
    const third = read(view, at[2]!, types[2]!);
    if (types.length === 3) return handler(first, second, third);
    return handler(first, second, third, read(view, at[3]!, types[3]!));
  }

  /** Answers the callback that waits; C goes on with the next `step`. */
  reply({ result, what }: Target, value: unknown): void {
    if (typeof value === "object" && value !== null) refuseDeferred(value, what);
    // After that, which may have run code of the caller's.
    this.check();
    write(this.#context.view, INPUT, result, value, what, this.#keeper);
  }

  /** What the function has returned. */
  result(): unknown {
    return this.#result;
  }

  #read(): unknown {
    const { result } = this.#callee;
    const isFloat = result === "f32" || result === "f64";
    return read(this.#context.view, isFloat ? OUTPUT_FLOAT : OUTPUT, result);
  }

  /**
   * Ends the call early: C is told by `stop` where it was declared, else its frames are unwound. If
   * a handler is pending, nobody waits for it any more.
   *
   * @throws {NativeError} If an exception leaves the function at that.
   */
  end(): void {
    let thrown: unknown;
    try {
      while (this.#tellToStop()) this.step();
    } catch (error) {
      thrown = error;
    }
    this.#endContext(thrown);
  }

  /** The same for C that runs on another thread. */
  async endElsewhere(): Promise<void> {
    let thrown: unknown;
    try {
      while (this.#tellToStop()) this.comeBack(await this.goElsewhere());
    } catch (error) {
      thrown = error;
    }
    this.#endContext(thrown);
  }

  /** Whether no frame of it is left. */
  get hasEnded(): boolean {
    return this.#context.call !== this;
  }

  /** Where C stands while it waits. */
  frames(): NativeFrame[] {
    return this.#context.call === this ? this.#context.frames() : [];
  }

  #tellToStop(): boolean {
    const waiting = this.#waiting;
    if (this.#context.call !== this || !waiting?.hasStop) return false;
    this.reply(waiting, waiting.stop);
    return true;
  }

  #endContext(thrown: unknown): void {
    try {
      if (this.#context.call === this) this.#context.end();
    } finally {
      const reason = this.#context.reason;
      if (reason !== undefined) {
        this.#interrupt?.deref()?.(new Error(`Cannot go on with ${this.#callee.name}: ${reason}`));
      }
    }
    // What native code throws must be heard. Any other error says that C cannot be told to stop:
    // then whatever ended the call is what the caller must hear of, not this.
    if (thrown !== undefined && thrown === this.#error) throw thrown;
  }

  #checkMemory(): void {
    const fault = this.#context.memory.fault();
    if (fault !== undefined) throw new Error(`Cannot go on with ${this.#callee.name}: ${fault}`);
  }

  #refuseBuffer(): never {
    this.#context.end();
    throw new TypeError(
      `Cannot go on with ${this.#callee.name}: a buffer among its arguments was detached while ` +
        "C was using it; transfer it after the call",
    );
  }
}

/** What answers a callback: its own handler if it may be kept, else the call's, if there is one. */
export function handlerOf(
  target: Target,
  answerers: readonly Answerer[] | undefined,
): Handler | undefined {
  return target.handler ?? answerers?.[target.index] as Handler | undefined;
}

/** Whether `value` has to be awaited. */
function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (typeof value === "object" && value !== null || typeof value === "function") &&
    typeof (value as PromiseLike<unknown>).then === "function";
}

/** Says what to do instead when an answer is one that C would have to wait for. */
function refuseDeferred(value: object, what: string): void {
  if (isThenable(value)) {
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
