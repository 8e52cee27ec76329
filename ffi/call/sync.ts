// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * `f(...args)`: handlers are plain functions, and answer before C goes on.
 *
 * Such calls nest as JavaScript's own calls do, and the innermost ends first. All calls that have
 * not ended are in a list:
 *
 *     innermost -> h(), in the handler of -> g(), in the handler of -> f()
 *
 * A call may stay in the list though its JavaScript is gone: V8's stack was used up when the call
 * was to end, or an interrupt (`timeout` of `node:vm`) took the JavaScript away. Such a call is
 * ended by the call around it, when that ends; or by whatever operation of fringe comes next at a
 * place that is less deep on V8's stack (`endGone`).
 */

import { endLate, late } from "../context/occupancy.ts";
import { Mailbox } from "../layout.ts";
import { native } from "../library/find.ts";
import { read, write } from "../value/value.ts";
import { handlerOf, refuseDeferred } from "./answer.ts";
import { type Callee, checkCount } from "./callee.ts";
import { depthNow, GONE, isGone } from "./depth.ts";
import { errorAfterEnd } from "./end.ts";
import { type Fiber, putFiber, takeFiber } from "./fiber.ts";

// Local, because V8 folds a local constant, and loads an imported one at each use.
const { input: INPUT, callback: CALLBACK } = Mailbox;

/** The fiber of the call that began last, of those that have not ended. */
let innermost: Fiber | undefined;

/** Calls a C function. */
export function callSync(callee: Callee, args: readonly unknown[]): unknown {
  checkCount(callee, args, callee.slots.length);
  endGone();
  const fiber = takeFiber(callee.overflow, callee.stackSize);
  const { call, context } = fiber;
  try {
    call.prepare(callee, args, "functions");
  } catch (error) {
    putFiber(fiber);
    throw error;
  }
  fiber.depth = GONE;
  fiber.outer = innermost;
  // Before the first frame, so that no frame is ever on a fiber which this list does not lead to.
  innermost = fiber;
  try {
    if (!call.beginListed()) answerAll(fiber, args);
    return call.takeResult();
  } catch (error) {
    endInner(fiber);
    throw errorAfterEnd(call, error);
  } finally {
    if (innermost !== fiber) endInner(fiber);
    // With frames left it stays in the list. All that can fail has been done before.
    if (context.handle === null) {
      innermost = fiber.outer;
      putFiber(fiber);
    }
  }
}

/**
 * Ends what should have ended: the calls of TypeScript bodies that are late (`occupancy.ts`), and
 * the calls of this form whose JavaScript is gone. Each operation that begins something asks this
 * first.
 */
export function endGone(): void {
  if (late.first !== undefined) endLate();
  while (innermost !== undefined && isGone(innermost.depth)) endInnermost(innermost);
}

/**
 * Ends the calls within one that is about to end, which can be there only if they were cut short.
 * The call itself may have been taken off the list: V8's own objects, which read what C has
 * returned, may be the program's, and call C.
 */
function endInner(fiber: Fiber): void {
  if (fiber.isKept) return;
  while (innermost !== fiber && innermost !== undefined) endInnermost(innermost);
}

/**
 * Ends the innermost call. Its JavaScript is gone, so what native code throws is printed: last,
 * since a `console.error` of the program's own may call again.
 */
function endInnermost(fiber: Fiber): void {
  const thrown: unknown[] = [];
  try {
    fiber.context.endGently();
  } catch (error) {
    if (fiber.context.handle !== null) throw error;
    thrown.push(error);
  }
  innermost = fiber.outer;
  putFiber(fiber);
  for (const error of thrown) console.error(error);
}

/**
 * Runs C to its end. This loop is the fast path of a callback:
 *
 * - It enters native code itself, and not by `step`: the processor mispredicts the first `ret` of
 *   JavaScript behind a switch, so there is to be none.
 * - C mostly calls the same callback again, so the callback is looked up only when its number is
 *   another than last time.
 * - What is done seldom is in functions of its own (`arrive`, `leave`): V8 throws the machine code
 *   of a loop away when the loop comes to a place that V8 had not seen used.
 */
function answerAll(fiber: Fiber, args: readonly unknown[]): void {
  const { resumeCall } = native();
  const { call, context } = fiber;
  const { view, kept: keeper } = context;
  // Before any code of the program's can run, and call C in turn: a handler, or a `console.warn` of
  // its own that is told of frames which could not be unwound.
  fiber.depth = depthNow();
  let target = call.arriveListed();
  if (target === undefined) return;
  let handler = handlerOf(target, args)!;
  // The number of `target`.
  let known = view.getUint32(CALLBACK, true);
  for (;;) {
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
    if (
      typeof answer !== "object" || answer === null || !call.replyByObject(target, answer, false)
    ) {
      if (typeof answer === "object" && answer !== null) refuseDeferred(answer, what);
      const answers = isKept ? keeper.answersTo(target, false) : undefined;
      write(view, INPUT, resultType, answer, what, answers);
    }
    const { handle } = context;
    const number = resumeCall(handle === null || keeper.hasBuffers ? call.leave() : handle, 0);
    if (number !== known || target.closed) {
      target = call.arrive();
      if (target === undefined) return;
      handler = handlerOf(target, args)!;
      known = number;
    }
  }
}
