// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * One call of a C function on a fringe stack, as a machine that takes steps. Each callback that C
 * calls suspends C; the form of the call has it answered, and C goes on:
 *
 *     prepare(…)      the arguments are checked and written
 *     begin()         C runs. Gives the callback that waits for an answer
 *     ask(), reply()  a handler is called; its answer is written where C finds it
 *     step()          C runs. Gives the next callback, or undefined: C has returned `takeResult()`
 *     end()           or, at any time: C is told to stop, or its frames are unwound
 *
 * The four forms (`sync.ts`, `async.ts`, `script.ts`, `pulled.ts`) are loops around this; the first
 * two share one, `answer_many.ts`.
 */

import { isExhaustion } from "../check.ts";
import type { NativeFrame } from "../context/backtrace.ts";
import type { CallContext, Ender } from "../context/call_context.ts";
import { ELSEWHERE } from "../context/context.ts";
import { checkOpen } from "../context/occupancy.ts";
import { Mailbox, SLOT_SIZE, STACK_SIZE_MIN, Status, THREAD_ROOM } from "../layout.ts";
import { native } from "../library/find.ts";
import type { Kept } from "../value/kept.ts";
import { CAPACITY, type Lent } from "../value/lent.ts";
import { read, write } from "../value/value.ts";
import { refuseObject } from "./answer.ts";
import { argumentsIn, Passed } from "./arguments.ts";
import { type Answering, type Callee, replacementOf, type Slot } from "./callee.ts";
import { depthNow, GONE, isGone } from "./depth.ts";
import type { ResultPassing } from "./passing.ts";
import { prepareTail, type Tail, tailOf, writeTail } from "./tail_call.ts";
import { type Handler, type Target, targetOf, type Thunk } from "./thunk.ts";

// Local, because V8 folds a local constant, and loads an imported one at each use.
const { input: INPUT, output: OUTPUT, output_float: OUTPUT_FLOAT } = Mailbox;
const { callback: CALLBACK, tail: TAIL } = Mailbox;
const { suspended: SUSPENDED, returned: RETURNED } = Status;

/** How often C is told its `stop` before the console says that it does not return. */
const TOLD_OFTEN = 1_000_000;

/**
 * A call of a C function. It does not know its handlers, which the form of the call holds. Until C
 * has returned, the library leads to the call (`library.latest`); if the call led on to a handler,
 * and the handler to its own generator, no collection would ever find that generator dropped.
 */
export class Call implements Ender {
  readonly context: CallContext;
  callee!: Callee;
  /** What C has returned. */
  result: unknown;
  /** Rejects the Promise of an `f.async()` that waits for a handler, when its library closes. */
  interrupt: WeakRef<(reason: unknown) => void> | undefined;
  /** The callback parameters for which a `Callback` was passed: C got its pointer, not theirs. */
  #replaced: Target[] | undefined;
  /** Where C puts a result that is in no register. */
  #resultAddress = 0n;
  /** Whether the callback that waits has an answer already; one more replaces that. */
  #answered = false;
  /** Whether that answer is a tail call. */
  #hasTail = false;
  /** What C has ended by instead of returning: an exception, an overflow, an error of a `stop`. */
  #error: unknown;
  /** What the last variadic callback was called with. */
  #variadic: Passed | undefined;
  /** How often C has been told its `stop`. */
  #told = 0;
  /** Whether native code says so if C, told to stop, does not come back (watchdog.zig). */
  #isWatched = false;
  /** How deep V8's stack is where a `stop` is being asked. */
  #asking = GONE;

  constructor(context: CallContext) {
    this.context = context;
  }

  /**
   * Checks and writes the arguments, one for each parameter; a call that is pulled has nothing in
   * the places of callbacks. `begin` enters the function. Once a call has ended, another may be
   * prepared: so a `Call` that nobody else has serves again.
   */
  prepare(callee: Callee, args: readonly unknown[], answering: Answering): void {
    const { context } = this;
    const { slots, what, library } = callee;
    this.callee = callee;
    this.#replaced = this.#error = undefined;
    this.#hasTail = false;
    this.#told = 0;
    // Where a call was refused, of whatever function, there may be strings and buffers yet.
    context.kept.clear();
    if (context.written !== callee) this.#writeFunction();
    const { view } = context;
    const keeper = this.keeper;
    if (callee.structResult !== undefined) this.#makeRoom(callee.structResult);
    for (let i = 0; i < slots.length; i++) {
      const slot = slots[i]!;
      if (slot.callback === undefined) {
        write(view, slot.offset, slot.type, args[i], slot.what, keeper);
      } else if (answering !== "puller") {
        const thunk = replacementOf(slot, args[i], answering);
        if (thunk !== undefined) this.#replace(slot, thunk);
      }
    }
    // Once more: code of the caller's may have run since (a getter, a trap), and closed the
    // library.
    checkOpen(library, what);
    // An `f.async()` has waited for its turn, and holds it.
    if (callee.turn !== undefined && context.turn === undefined) {
      callee.turn.take(callee.name, what);
      context.turn = callee.turn;
    }
    if (callee.nonblocking) context.beginElsewhere(this);
  }

  /** Says where C is to put a result that is in no register. */
  #makeRoom({ addressAt, shape }: ResultPassing): void {
    if (addressAt === undefined) return;
    const { view } = this.context;
    this.#resultAddress = this.keeper.keepRoom(shape.size, shape.alignment, this.callee.what);
    view.setBigUint64(addressAt, this.#resultAddress, true);
  }

  /** Writes what is the same in all calls of the function: its address, and those of its thunks. */
  #writeFunction(): void {
    const { callee, context } = this;
    const { slots, stackCount, stackAlignment, nonblocking } = callee;
    if (stackCount > 0 || nonblocking) checkRoom(callee, context.memory.size);
    context.prepare(callee, stackCount, nonblocking);
    const { view } = context;
    view.setBigUint64(Mailbox.function, callee.address(), true);
    view.setUint32(Mailbox.stack_count, stackCount, true);
    // Native code asks for it where there are such words.
    if (stackCount > 0) view.setBigUint64(Mailbox.stack_mask, BigInt(stackAlignment - 1), true);
    view.setUint32(CALLBACK, 0, true);
    // The last call here may have been ended with a tail call that C never came to.
    view.setBigUint64(TAIL, 0n, true);
    view.setUint32(Mailbox.wants_errno, callee.errno ? 1 : 0, true);
    for (const { callback, offset } of slots) {
      if (callback !== undefined) view.setBigUint64(offset, callback.thunk().address, true);
    }
    if (!nonblocking) context.written = callee;
  }

  /** Has C get another thunk than that of its callback parameter, in this call. */
  #replace({ callback, offset }: Slot, thunk: Thunk): void {
    const { context } = this;
    context.view.setBigUint64(offset, thunk.address, true);
    context.written = undefined;
    (this.#replaced ??= []).push(callback!.target);
  }

  /** Has the strings and buffers that C may use. */
  get keeper(): Kept | Lent {
    return this.context.lent ?? this.context.kept;
  }

  /**
   * Enters the function, on this thread, and runs it to its first callback, which is returned, or
   * to its end: undefined.
   */
  begin(): Target | undefined {
    this.#checkBuffers();
    this.context.enterFirst(this, false);
    return this.arrive();
  }

  /**
   * The same for a call that is in the list of `sync.ts`: says whether C has returned already. Such
   * a function saves most of what a call would take. Else `arriveListed` is next.
   */
  beginListed(): boolean {
    const { context } = this;
    this.#checkBuffers();
    context.enterFirst(this, true);
    if (context.status[0] !== RETURNED) return false;
    this.result = this.#read();
    context.forgetReturned();
    return true;
  }

  /** Has the library know the call, and goes on as `begin` does. */
  arriveListed(): Target | undefined {
    this.context.occupy();
    return this.arrive();
  }

  /** What C has returned, for the caller alone: the next call here may be long in coming. */
  takeResult(): unknown {
    const { result } = this;
    this.result = undefined;
    return result;
  }

  /** Code of the caller's may have run since their addresses were taken (a trap of a handler's). */
  #checkBuffers(): void {
    const { kept } = this.context;
    if (kept.hasBuffers && kept.isGone) this.#refuseBuffer();
  }

  /** Runs C to its next callback, which is returned, or to its end: undefined. */
  step(): Target | undefined {
    const handle = this.leave();
    this.context.lend();
    this.context.resume(handle);
    this.context.takeBack();
    return this.arrive();
  }

  /**
   * Lets C go on on another thread. Until `comeBack` has been called, nothing may touch the
   * context; no other code may run between the two.
   */
  goElsewhere(): Promise<unknown> {
    const handle = this.leave();
    const { context } = this;
    context.lend();
    // It stays so if the next line throws, as in a program whose `Promise.prototype.then` does: by
    // then the thread has begun, and nobody learns when it has ended.
    context.elsewhere = true;
    return context.resumeElsewhere(handle);
  }

  /** Takes over from the other thread, as `step` ends. */
  comeBack(): Target | undefined {
    this.context.elsewhere = false;
    this.context.takeBack();
    return this.arrive();
  }

  /** Checks all that must hold before C goes on; returns the handle of the context to enter. */
  leave(): Deno.PointerObject {
    this.check();
    if (this.keeper.isGone) this.#refuseBuffer();
    const { memory, handle } = this.context;
    const fault = memory.fault();
    if (fault !== undefined) throw new Error(`Cannot go on with ${this.callee.name}: ${fault}`);
    return handle!;
  }

  /** Throws unless the context runs this call, on this thread. */
  check(): void {
    const { call, handle, elsewhere, reason: known } = this.context;
    if (call === this && handle !== null && !elsewhere) return;
    const reason = elsewhere ? ELSEWHERE : known ?? "the call has been ended";
    throw new Error(`Cannot go on with ${this.callee.name}: ${reason}`);
  }

  /**
   * To be called when C has suspended or ended. Gives the callback that waits for an answer;
   * undefined: C has returned.
   */
  arrive(): Target | undefined {
    const { context } = this;
    this.#endVariadic();
    if (context.status[0] !== SUSPENDED) return this.#finish();
    // A stack without a guard page has a canary, which has to be looked at.
    if (context.memory.bottom !== undefined) this.#follow();
    const target = targetOf(context.view.getUint32(CALLBACK, true));
    if (target === undefined || target.handler === undefined && !this.#isOwn(target)) {
      this.#refuseCallback(target);
    }
    this.#answered = false;
    return target;
  }

  /** C has returned, or ended in another way. */
  #finish(): undefined {
    const hasReturned = this.context.status[0] === RETURNED;
    // Read before anything else can run: a string that C has returned may be C's to write over at
    // the next call.
    if (hasReturned) this.result = this.#read();
    this.#follow();
    if (!hasReturned) this.check();
  }

  /** Takes notice of what has become of C, and throws what C has ended by, if by anything. */
  #follow(): void {
    const error = this.context.arrive(`Cannot go on with ${this.callee.name}`);
    if (error !== undefined) throw this.#error = error;
  }

  /** Whether this call has passed the callback to C. */
  #isOwn(target: Target): boolean {
    return target.callee === this.callee && !this.#replaced?.includes(target);
  }

  #refuseCallback(target: Target | undefined): never {
    this.context.end();
    const what = `Cannot go on with ${this.callee.name}: C has called`;
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
  args(target: Target): unknown[] {
    const { view } = this.context;
    const { fast } = target;
    // An array that grows takes room for more than the few arguments that most callbacks have.
    if (fast.count === 1) return [read(view, fast.firstAt, fast.first)];
    if (fast.count === 2) {
      return [read(view, fast.firstAt, fast.first), read(view, fast.secondAt, fast.second)];
    }
    if (target.following === undefined) return argumentsIn(view, target);
    this.#endVariadic();
    return (this.#variadic = new Passed(view, target, this.context.memory)).values;
  }

  /** What stands behind the dots of the last variadic callback can no longer be read. */
  #endVariadic(): void {
    this.#variadic?.end();
    this.#variadic = undefined;
  }

  /** What `handler` says to the callback that waits. */
  ask(target: Target, handler: Handler): unknown {
    const { view } = this.context;
    const { types, offsets: at } = target;
    if (target.fast.count < 0 || types.length > 4) return handler(...this.args(target));
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
  reply(target: Target, value: unknown): void {
    const { resultType, what, isKept } = target;
    if (typeof value === "object" && value !== null) {
      if (this.replyByObject(target, value, this.#answered)) return;
      refuseObject(value, what);
    }
    // `refuseObject` may have run code of the caller's (a getter of `then`) that ended the call.
    this.check();
    const answers = isKept ? this.keeper.answersTo(target, this.#answered) : undefined;
    this.#answered = true;
    this.#dropAnswer();
    write(this.context.view, INPUT, resultType, value, what, answers);
  }

  /**
   * Answers the callback that waits if `answer` is a tail call or a struct; else does nothing.
   * `isAgain`: it takes the place of another answer, which C has not got.
   */
  replyByObject(target: Target, answer: object, isAgain: boolean): boolean {
    const tail = tailOf(answer);
    if (tail !== undefined) {
      this.#replyByTail(tail);
      return true;
    }
    const { structResult, what, isKept } = target;
    if (structResult === undefined) return false;
    refuseObject(answer, what);
    const answers = isKept ? this.keeper.answersTo(target, isAgain) : undefined;
    const scratch = structResult.convert(answer, what, answers);
    // A getter of the struct may have ended the call, and another one may be on its stack.
    this.check();
    this.#answered = true;
    this.#dropAnswer();
    structResult.put(this.context.view, scratch);
    return true;
  }

  #replyByTail(tail: Tail): void {
    this.check();
    const { context } = this;
    // Its arguments take the place of those of the call, which C has by now.
    context.written = undefined;
    const written = prepareTail(tail, this.keeper);
    // A getter of an argument may have ended the call.
    this.check();
    this.#dropAnswer();
    writeTail(tail, written, context.view);
    this.#hasTail = true;
    this.#answered = true;
  }

  /** Another answer is about to be written: what has been said before counts no more. */
  #dropAnswer(): void {
    this.#endVariadic();
    if (!this.#hasTail) return;
    this.context.view.setBigUint64(TAIL, 0n, true);
    this.#hasTail = false;
  }

  #read(): unknown {
    const { resultType, structResult, errno } = this.callee;
    const { view } = this.context;
    const isFloat = resultType.kind === "float";
    const value = structResult === undefined
      ? read(view, isFloat ? OUTPUT_FLOAT : OUTPUT, resultType)
      : structResult.read(view, this.#resultAddress);
    return errno ? { value, errno: view.getInt32(Mailbox.errno, true) } : value;
  }

  /**
   * Ends the call early. Where the callback that waits has a `stop`, C gets that as its answer, and
   * runs on; else C's frames are unwound. The answer of a handler that is pending counts no more. A
   * call that has ended is left as it is.
   *
   * @throws {NativeError} If an exception leaves the function meanwhile.
   * @throws What a `stop` throws.
   * @throws {RangeError} If V8's stack is used up; call this again then.
   */
  end(): void {
    this.#refuseWhileAsking();
    let thrown: unknown;
    try {
      while (this.#tellToStop()) this.step();
    } catch (error) {
      if (isExhaustion(error)) throw error;
      thrown = error;
    } finally {
      this.#unwatch();
    }
    this.#endContext(thrown);
  }

  /** The same for C that runs on another thread. */
  async endElsewhere(): Promise<void> {
    let thrown: unknown;
    try {
      while (this.#tellToStop()) {
        await this.goElsewhere();
        this.comeBack();
      }
    } catch (error) {
      thrown = error;
    } finally {
      this.#unwatch();
    }
    this.#endContext(thrown);
  }

  /** Whether no frame of this call is left. Its context may run another one by now. */
  get hasEnded(): boolean {
    return this.context.call !== this || this.context.handle === null;
  }

  /** Where C stands while it waits. */
  frames(): NativeFrame[] {
    return this.hasEnded ? [] : this.context.frames();
  }

  /** Answers the callback that waits with its `stop`; false if none waits, or it has no `stop`. */
  #tellToStop(): boolean {
    const { context } = this;
    // C is back.
    if (this.#isWatched) native().watchStep();
    if (this.hasEnded || context.elsewhere || !context.isSuspended) return false;
    const waiting = targetOf(context.view.getUint32(Mailbox.callback, true));
    if (waiting === undefined || !waiting.hasStop) return false;
    if (++this.#told === TOLD_OFTEN) this.#warnOfEndless();
    const { stop } = waiting;
    if (typeof stop === "function") this.#askToStop(waiting, stop as Handler);
    else this.reply(waiting, stop);
    if (this.#isWatched) native().watchStep();
    else if (this.#told === 1) {
      const place = context.view.getBigUint64(Mailbox.callback_stack, true);
      this.#isWatched = native().watchBegin(place, this.callee.address());
    }
    return true;
  }

  #unwatch(): void {
    if (!this.#isWatched) return;
    this.#isWatched = false;
    native().watchEnd();
  }

  /** Asks a `stop` that is a function. What it throws, or says wrongly, must be heard. */
  #askToStop(waiting: Target, stop: Handler): void {
    this.#asking = depthNow();
    try {
      this.reply(waiting, this.ask(waiting, stop));
    } catch (error) {
      this.#error = error;
      throw error;
    } finally {
      this.#asking = GONE;
    }
  }

  #refuseWhileAsking(): void {
    if (isGone(this.#asking)) return;
    throw new Error(
      `Cannot end ${this.callee.name}: it is being ended, and its stop is asked what C is to be ` +
        "told; return from that first",
    );
  }

  /** Says that C does not return, though it is told to stop; where, the console shows. */
  #warnOfEndless(): void {
    console.warn(
      `fringe: ${this.callee.name} is being ended, and has called back ${TOLD_OFTEN} times ` +
        "since. Each time it was told its stop, and it does not return: the program waits for " +
        "it. Let stop be an answer upon which it ends, or a function that answers by " +
        "tailCall(); without a stop its frames are unwound. It is at",
      this.frames(),
    );
  }

  #endContext(thrown: unknown): void {
    this.#endVariadic();
    try {
      if (!this.hasEnded) this.context.end();
    } finally {
      const { reason } = this.context;
      if (reason !== undefined) {
        this.interrupt?.deref()?.(new Error(`Cannot go on with ${this.callee.name}: ${reason}`));
      }
    }
    // The exception that C has ended by must be heard. Any other error only says why C could not be
    // told to stop (a detached buffer, for one): the caller hears of what ended the call instead.
    if (thrown !== undefined && thrown === this.#error) throw thrown;
  }

  #refuseBuffer(): never {
    const which = this.keeper.isArgumentGone
      ? "among its arguments"
      : "that a handler has answered";
    this.context.end();
    throw new TypeError(
      `Cannot go on with ${this.callee.name}: a buffer ${which} was detached while C was using ` +
        "it; transfer it after the call",
    );
  }
}

/** Throws if a stack has no room for what lies there before the call begins. */
function checkRoom(
  { what, stackCount, stackAlignment, nonblocking, hasThread }: Callee,
  size: number,
): void {
  const words = stackCount * SLOT_SIZE;
  // The words are in the mailbox once more.
  const lent = nonblocking ? Mailbox.stack + words + CAPACITY : 0;
  if (hasThread && lent > THREAD_ROOM) {
    throw new RangeError(
      `${what}: its arguments take ${words} bytes of the stack, and a call with a thread of its ` +
        `own has ${THREAD_ROOM - CAPACITY - Mailbox.stack} for them; pass the address of a struct`,
    );
  }
  // A thread has room for these beside its stack.
  const onStack = hasThread ? 0 : lent;
  if (onStack + words + stackAlignment + STACK_SIZE_MIN <= size) return;
  if (onStack > 0) {
    throw new RangeError(
      `${what}: its stack has ${size} bytes, and a nonblocking call takes ${lent} of them for ` +
        "copies of what C is passed; use a larger one",
    );
  }
  throw new RangeError(
    `${what}: its stack has ${size} bytes, and ${stackCount} words of its ` +
      "arguments are passed there; use a larger one",
  );
}
