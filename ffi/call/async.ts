// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * `f.async(...args)`: handlers may be async; the event loop runs while one is pending, and, where
 * the function is `nonblocking`, while C runs.
 */

import { checkKeys, describe, hasStack, isExhaustion, own } from "../check.ts";
import { checkOpen } from "../context/occupancy.ts";
import { Mailbox } from "../layout.ts";
import { native } from "../library/find.ts";
import type { GuardedStack } from "../stack/stack.ts";
import { read, write } from "../value/value.ts";
import { answerMany, MANY } from "./answer_many.ts";
import { handlerOf, isThenable, refuseObject } from "./answer.ts";
import { Call } from "./call.ts";
import { type Callee, checkCount } from "./callee.ts";
import { both } from "./end.ts";
import {
  borrowStack,
  type Fiber,
  Loan,
  putFiber,
  returnStack,
  takeFiber,
  takeThread,
} from "./fiber.ts";
import { endGone } from "./sync.ts";
import type { Turn } from "./turn.ts";

// Local, because V8 folds a local constant, and loads an imported one at each use.
const { input: INPUT, callback: CALLBACK } = Mailbox;

/** Calls a C function. */
export async function callAsync(callee: Callee, args: readonly unknown[]): Promise<unknown> {
  const { signal, stack } = optionsOf(callee, args[callee.parameters.length], args.length);
  signal?.throwIfAborted();
  const { turn } = callee;
  if (turn !== undefined) await waitForTurn(turn, callee.name, signal);
  const place = takePlace(callee, stack);
  const call = new Call(place.context);
  try {
    call.prepare(callee, args, "functions");
    return await untilInterrupted(call, args, signal);
  } catch (error) {
    await endBecauseOf(call, callee, error);
    throw error;
  } finally {
    // A fiber whose call could not be ended is not taken back: once it is garbage, its finalizer
    // ends the call. So it is with a stack of the caller's.
    if (place instanceof Loan) returnStack(place);
    else putFiber(place);
  }
}

/**
 * Waits for the turn. An `f()` that has it may be gone, or be cut short before this task ends (the
 * `timeout` of `node:vm`), and then passes it on only if somebody ends it.
 */
async function waitForTurn(
  turn: Turn,
  name: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  endGone();
  const ready = turn.wait(name, signal);
  // When this microtask comes, JavaScript that is synchronous has ended.
  if (turn.isWanted) void Promise.resolve().then(endGone);
  await ready;
}

/**
 * Takes what the call is to run on: a stack of the caller's, a thread, or a fiber. Its context
 * holds the turn, which is passed on if there is no such place.
 */
function takePlace(callee: Callee, stack: GuardedStack | undefined): Fiber | Loan {
  const { turn, hasThread, overflow, stackSize, what } = callee;
  try {
    const place = stack !== undefined
      ? borrowStack(stack, what)
      : hasThread
      ? takeThread(overflow, stackSize, what)
      : takeFiber(overflow, stackSize);
    place.context.turn = turn;
    return place;
  } catch (error) {
    turn?.pass();
    throw error;
  }
}

/**
 * Ends a call because of an error, which the caller throws then. Where V8's stack was used up the
 * call may not know yet what it calls.
 */
async function endBecauseOf(call: Call, callee: Callee, error: unknown): Promise<void> {
  try {
    if (callee.nonblocking) await call.endElsewhere();
    else call.end();
  } catch (other) {
    if (call.hasEnded) throw both(other, error);
    // V8's stack was used up. After an `await` this goes on in a task, which has all of the stack.
    await undefined;
    call.end();
  }
}

/**
 * Runs C to its end. The Promise is rejected as soon as `signal` aborts or the library closes, even
 * while a handler is pending; the caller ends the call then.
 */
async function untilInterrupted(
  call: Call,
  args: readonly unknown[],
  signal: AbortSignal | undefined,
): Promise<unknown> {
  const { promise, resolve, reject } = Promise.withResolvers<unknown>();
  // Weak, since the library knows the call: a call whose Promise is garbage is to be garbage, too.
  call.interrupt = new WeakRef(reject);
  // While another thread runs C, nothing can be ended: `answerElsewhere` looks at the signal later.
  const abort = (): void => {
    if (!call.context.elsewhere) reject(signal!.reason);
  };
  signal?.addEventListener("abort", abort, { once: true });
  try {
    const answerAll = call.callee.nonblocking ? answerElsewhere : answerHere;
    answerAll(call, args, signal).then(resolve, reject);
    return await promise;
  } finally {
    signal?.removeEventListener("abort", abort);
  }
}

/**
 * Runs C to its end on this thread, and has each callback answered. A fast path for handlers that
 * give Promises. `answerMany`, which says why both are as they are, is the one for other handlers:
 * it takes over after `MANY` answers without a Promise, since this loop is begun anew by an `await`
 * alone.
 */
async function answerHere(
  call: Call,
  args: readonly unknown[],
  signal: AbortSignal | undefined,
): Promise<unknown> {
  const { resumeCall } = native();
  const { context } = call;
  const { view, kept: keeper } = context;
  let target = call.begin();
  if (target === undefined) return call.takeResult();
  let handler = handlerOf(target, args)!;
  let known = view.getUint32(CALLBACK, true);
  // How many handlers in a row have given no Promise.
  let plain = 0;
  for (;;) {
    signal?.throwIfAborted();
    let answer: unknown;
    if (plain < MANY) {
      const { fast } = target;
      answer = fast.count === 1
        ? handler(read(view, fast.firstAt, fast.first))
        : call.ask(target, handler);
      plain++;
      if (isThenable(answer)) {
        answer = await answer;
        plain = 0;
      }
    } else {
      const deferred = answerMany(call, args, target, true, signal);
      target = deferred === undefined ? call.arrive() : deferred.target;
      if (target === undefined) return call.takeResult();
      handler = handlerOf(target, args)!;
      known = view.getUint32(CALLBACK, true);
      if (deferred === undefined) continue;
      answer = await deferred.promise;
      plain = 0;
    }
    signal?.throwIfAborted();
    const { resultType, what, isKept } = target;
    if (
      typeof answer !== "object" || answer === null || !call.replyByObject(target, answer, false)
    ) {
      if (typeof answer === "object" && answer !== null) refuseObject(answer, what);
      // The call may have been ended meanwhile, and another one may be on its stack.
      call.check();
      const answers = isKept ? keeper.answersTo(target, false) : undefined;
      write(view, INPUT, resultType, answer, what, answers);
    }
    const { handle } = context;
    const number = resumeCall(handle === null || keeper.hasBuffers ? call.leave() : handle, 0);
    if (number !== known || target.closed) {
      target = call.arrive();
      if (target === undefined) return call.takeResult();
      handler = handlerOf(target, args)!;
      known = number;
    }
  }
}

/** Runs C to its end on other threads, and has each callback answered on this one. */
async function answerElsewhere(
  call: Call,
  args: readonly unknown[],
  signal: AbortSignal | undefined,
): Promise<unknown> {
  // A thread that has begun cannot be taken back, so nothing may fail while it begins. After an
  // `await` this goes on in a task, which has all of V8's stack.
  if (!hasStack(32)) await undefined;
  for (;;) {
    await call.goElsewhere();
    const target = call.comeBack();
    if (target === undefined) return call.takeResult();
    signal?.throwIfAborted();
    let answer = call.ask(target, handlerOf(target, args)!);
    if (isThenable(answer)) answer = await answer;
    signal?.throwIfAborted();
    call.reply(target, answer);
  }
}

/** What may follow the arguments of a call, as it has been checked. */
interface Options {
  readonly signal?: AbortSignal | undefined;
  readonly stack?: GuardedStack | undefined;
}

const NO_OPTIONS: Options = {};

/** The options of a call; `given` is how many arguments there are, options included. */
function optionsOf(callee: Callee, options: unknown, given: number): Options {
  const expected = callee.parameters.length;
  if (given !== expected + 1) {
    checkCount(callee, { length: given }, expected);
    return NO_OPTIONS;
  }
  checkOpen(callee.library, callee.what);
  if (options === undefined) return NO_OPTIONS;
  const what = `Cannot call ${callee.name}: what follows its ${expected} arguments must be ` +
    "options such as { signal }";
  if (typeof options !== "object" || options === null || options instanceof AbortSignal) {
    throw new TypeError(`${what}: got ${describe(options)}`);
  }
  // As wherever the Web takes a signal, its controller will do.
  if (options instanceof AbortController) return { signal: followed(options.signal, what) };
  checkKeys(options, ["signal", "stack"], what);
  const { signal, stack } = own(options as { readonly signal?: unknown; readonly stack?: unknown });
  if (stack !== undefined && callee.hasThread) {
    throw new TypeError(
      `${callee.what}: it is declared as nonblocking: "thread", and runs on that thread's own ` +
        "stack; leave the stack out, and say by stackSize how large it is to be",
    );
  }
  return {
    signal: signal === undefined ? undefined : followed(signal, what),
    stack: stack as GuardedStack | undefined,
  };
}

/**
 * A signal of our own, which follows the caller's. A program can dispatch `abort` on its signal
 * without aborting it, and can replace its methods by ones that close the library meanwhile.
 */
function followed(signal: unknown, what: string): AbortSignal {
  try {
    return AbortSignal.any([signal as AbortSignal]);
  } catch (cause) {
    if (isExhaustion(cause)) throw cause;
    throw new TypeError(`${what}, with an AbortSignal: got ${describe(signal)}`, { cause });
  }
}
