// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * `f.async(...args)`: handlers may be async; the event loop runs while one is pending, and, where
 * the function is `nonblocking`, while C runs.
 */

import { checkKeys, describe, hasStack, isExhaustion, own } from "../check.ts";
import { checkOpen } from "../context/occupancy.ts";
import { native } from "../library/find.ts";
import { handlerOf, isThenable } from "./answer.ts";
import { Call } from "./call.ts";
import { type Answerer, type Callee, checkCount, split } from "./callee.ts";
import { both } from "./end.ts";
import { putFiber, takeFiber } from "./fiber.ts";
import type { Handler, Target } from "./thunk.ts";

/** Calls a C function. */
export async function callAsync(callee: Callee, args: readonly unknown[]): Promise<unknown> {
  const signal = signalOf(callee, args[callee.parameters.length], args.length);
  const { plain, answerers } = split(callee, args, "no generator functions");
  signal?.throwIfAborted();
  const fiber = takeFiber(callee.overflow);
  let call: Call | undefined;
  try {
    call = new Call(callee, fiber.context, plain, answerers);
    return await untilInterrupted(call, answerers, signal);
  } catch (error) {
    if (call !== undefined) await endBecauseOf(call, error);
    throw error;
  } finally {
    // A fiber whose call could not be ended is not taken back: once it is garbage, its finalizer
    // ends the call.
    putFiber(fiber);
  }
}

/** Ends a call because of an error, which the caller throws then. */
async function endBecauseOf(call: Call, error: unknown): Promise<void> {
  try {
    if (call.callee.nonblocking) await call.endElsewhere();
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
  answerers: readonly Answerer[],
  signal: AbortSignal | undefined,
): Promise<unknown> {
  const { promise, resolve, reject } = Promise.withResolvers<unknown>();
  // Weak, since the library knows the call: a call whose Promise is garbage is to be garbage, too.
  call.interrupt = new WeakRef(reject);
  // While another thread runs C, nothing can be ended: `answerAll` looks at the signal later.
  const abort = (): void => {
    if (!call.context.elsewhere) reject(signal!.reason);
  };
  signal?.addEventListener("abort", abort, { once: true });
  try {
    answerAll(call, answerers, signal).then(resolve, reject);
    return await promise;
  } finally {
    signal?.removeEventListener("abort", abort);
  }
}

/** Runs C to its end, and has each callback answered. */
async function answerAll(
  call: Call,
  answerers: readonly Answerer[],
  signal: AbortSignal | undefined,
): Promise<unknown> {
  const { resumeCall } = native();
  const { nonblocking } = call.callee;
  // A thread that has begun cannot be taken back, so nothing may fail while it begins. After an
  // `await` this goes on in a task, which has all of V8's stack.
  if (nonblocking && !hasStack(32)) await undefined;
  let target!: Target;
  let handler!: Handler;
  // As in `sync.ts`: the number of `target`, and none yet.
  let known = -1;
  for (;;) {
    let arrived: Target | undefined;
    if (nonblocking) {
      await call.goElsewhere();
      arrived = call.comeBack();
      if (arrived === undefined) return call.result;
    } else {
      const number = resumeCall(call.leave(), 0);
      // An answer that is kept has to be told from one to the same question: `arrive` does.
      if (number === known && !target.closed && !target.isKept) arrived = target;
      else if ((arrived = call.arrive()) === undefined) return call.result;
      known = number;
    }
    if (arrived !== target) {
      target = arrived;
      handler = handlerOf(target, answerers)!;
    }
    signal?.throwIfAborted();
    let answer = call.ask(target, handler);
    if (isThenable(answer)) answer = await answer;
    signal?.throwIfAborted();
    call.reply(target, answer);
  }
}

/**
 * The signal in the options of a call; `given` is how many arguments there are, options included.
 */
function signalOf(callee: Callee, options: unknown, given: number): AbortSignal | undefined {
  const expected = callee.parameters.length;
  if (given !== expected + 1) {
    checkCount(callee, { length: given }, expected);
    return undefined;
  }
  checkOpen(callee.library, callee.what);
  if (options === undefined) return undefined;
  const what = `Cannot call ${callee.name}: what follows its ${expected} arguments must be ` +
    "options such as { signal }";
  if (typeof options !== "object" || options === null || options instanceof AbortSignal) {
    throw new TypeError(`${what}: got ${describe(options)}`);
  }
  checkKeys(options, ["signal"], what);
  const { signal } = own(options as { readonly signal?: unknown });
  if (signal === undefined) return undefined;
  try {
    // A signal of our own, which follows the caller's. A program can dispatch `abort` on its signal
    // without aborting it, and can replace its methods by ones that close the library meanwhile.
    return AbortSignal.any([signal as AbortSignal]);
  } catch (cause) {
    if (isExhaustion(cause)) throw cause;
    throw new TypeError(`${what}, with an AbortSignal: got ${describe(signal)}`, { cause });
  }
}
