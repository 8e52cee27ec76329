// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** The fast path of a callback: the loop in which handlers answer at once. */

import { Mailbox } from "../layout.ts";
import { native } from "../library/find.ts";
import { read, write } from "../value/value.ts";
import { handlerOf, isThenable, refuseObject } from "./answer.ts";
import type { Call } from "./call.ts";
import type { Target } from "./thunk.ts";

// Local, because V8 folds a local constant, and loads an imported one at each use.
const { input: INPUT, callback: CALLBACK } = Mailbox;

/** How many callbacks are answered before the loop is left, to be begun anew. */
export const MANY = 1_000;

/** What native code says in place of a callback's number when C has ended: no callback has it. */
const ENDED = 0;

/** What a handler has given that has to be awaited, and the callback that waits for it. */
interface Deferred {
  readonly promise: PromiseLike<unknown>;
  readonly target: Target;
}

/**
 * Answers the callback `waiting`, and those that follow, until C has ended, or `MANY` have been
 * answered. `call.arrive()` says which, as it does once more for one that was looked up here.
 *
 * With `awaits` a Promise, which is no answer, is given back for the caller to await. The caller
 * does not arrive at its callback again: that would end its variadic arguments, and refuse it where
 * the handler has closed it.
 *
 * - It enters native code itself, and not by `step`: the processor mispredicts the first `ret` of
 *   JavaScript behind a switch, so there is to be none.
 * - C mostly calls the same callback again, so the callback is looked up only when its number is
 *   another than last time.
 * - It is begun anew now and then. V8 compiles a function several times, each time better, and what
 *   is begun takes the best that there is. But a loop may stay in the code that it began in, to its
 *   end: a callback took six times as long there, for all of a million.
 * - What is done seldom is in functions of its own (`arrive`, `leave`), and what is done once a
 *   call is with the caller: V8 throws the machine code of a loop away when the loop comes to a
 *   place that V8 had not seen used.
 */
export function answerMany(
  call: Call,
  args: readonly unknown[],
  waiting: Target,
  awaits: boolean,
  signal: AbortSignal | undefined,
): Deferred | undefined {
  const { resumeCall } = native();
  const { context } = call;
  const { view, kept: keeper } = context;
  let target = waiting;
  let handler = handlerOf(target, args)!;
  // The number of `target`.
  let known = view.getUint32(CALLBACK, true);
  for (let i = 0; i < MANY; i++) {
    const { resultType, what, isKept, fast } = target;
    const answer = fast.count === 1
      ? handler(read(view, fast.firstAt, fast.first))
      : fast.count === 2
      ? handler(read(view, fast.firstAt, fast.first), read(view, fast.secondAt, fast.second))
      : fast.count === 3
      ? handler(
        read(view, fast.firstAt, fast.first),
        read(view, fast.secondAt, fast.second),
        read(view, fast.thirdAt, fast.third),
      )
      : call.ask(target, handler);
    if (awaits) {
      if (isThenable(answer)) return { promise: answer, target };
      signal?.throwIfAborted();
    }
    if (
      typeof answer !== "object" || answer === null || !call.replyByObject(target, answer, false)
    ) {
      if (typeof answer === "object" && answer !== null) refuseObject(answer, what);
      const answers = isKept ? keeper.answersTo(target, false) : undefined;
      write(view, INPUT, resultType, answer, what, answers);
    }
    const { handle } = context;
    const number = resumeCall(handle === null || keeper.hasBuffers ? call.leave() : handle, 0);
    if (number === ENDED) return undefined;
    if (number !== known || target.closed) {
      // C has not ended, so one waits.
      target = call.arrive()!;
      handler = handlerOf(target, args)!;
      known = number;
    }
  }
  return undefined;
}
