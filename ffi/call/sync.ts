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
import { answerMany } from "./answer_many.ts";
import { type Callee, checkCount } from "./callee.ts";
import { depthNow, GONE, isGone } from "./depth.ts";
import { errorAfterEnd } from "./end.ts";
import { type Fiber, putFiber, takeFiber } from "./fiber.ts";

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
    if (!call.beginListed()) {
      // Before any code of the program's can run, and call C in turn: a handler, or its own
      // `console.warn`, which is told of frames that could not be unwound.
      fiber.depth = depthNow();
      for (let target = call.arriveListed(); target !== undefined; target = call.arrive()) {
        answerMany(call, args, target, false, undefined);
      }
    }
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
