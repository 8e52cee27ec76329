// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * `f(...args)`: handlers are plain functions, and answer before C goes on.
 *
 * Such calls nest as JavaScript's own calls do: the one that began last ends first. The calls that
 * have not ended are a list, the innermost first. One whose JavaScript is gone, since V8's stack
 * was used up as it was to end, or since an interrupt (`timeout` of `node:vm`) took it away, is
 * still in that list: whichever call comes next outside of it ends it.
 */

import { endLate, late } from "../context/occupancy.ts";
import { Mailbox } from "../layout.ts";
import { native } from "../library/find.ts";
import { read, write } from "../value/value.ts";
import type { Kept } from "../value/kept.ts";
import { handlerOf, refuseDeferred } from "./answer.ts";
import { Call } from "./call.ts";
import { type Answerer, type Callee, checkCount, split } from "./callee.ts";
import { depthNow, isGone } from "./depth.ts";
import { errorAfterEnd } from "./end.ts";
import { type Fiber, putFiber, takeFiber } from "./fiber.ts";
import { callbackSignature } from "./signature.ts";
import type { Handler, Target } from "./thunk.ts";

// Local, because V8 folds a local constant, and loads an imported one at each use.
const { input: INPUT } = Mailbox;

/** A call, in the list of those that have not ended. */
interface Activation {
  readonly fiber: Fiber;
  /** How deep V8's stack was. */
  readonly depth: number;
  readonly outer: Activation | undefined;
}

let innermost: Activation | undefined;

/** Calls a C function. */
export function callSync(callee: Callee, args: readonly unknown[]): unknown {
  checkCount(callee, args, callee.parameters.length);
  const { plain, answerers } = split(callee, args, "no generator functions");
  endGone();
  const fiber = takeFiber(callee.overflow);
  const activation: Activation = { fiber, depth: depthNow(), outer: innermost };
  innermost = activation;
  let call: Call | undefined;
  try {
    call = new Call(callee, fiber.context, plain, answerers);
    return run(call, answerers);
  } catch (error) {
    endInner(activation);
    throw errorAfterEnd(call, error);
  } finally {
    if (innermost !== activation) endInner(activation);
    if (fiber.context.handle === null) {
      innermost = activation.outer;
      putFiber(fiber);
    }
  }
}

/**
 * Ends what has not ended and should have: the calls whose JavaScript is gone, and what is late.
 */
export function endGone(): void {
  if (late.first !== undefined) endLate();
  while (innermost !== undefined && isGone(innermost.depth)) endInnermost(innermost);
}

/** Ends the calls inside of one that is about to end. */
function endInner(activation: Activation): void {
  while (innermost !== activation && innermost !== undefined) endInnermost(innermost);
}

/** Ends a call that nobody waits for: what native code throws is told to whoever looks. */
function endInnermost({ fiber, outer }: Activation): void {
  try {
    fiber.context.endGently();
  } catch (error) {
    if (fiber.context.handle !== null) throw error;
    console.error(error);
  }
  innermost = outer;
  putFiber(fiber);
}

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
 * Runs C to its end. The loop calls native code itself, not by `step`: a `ret` in JavaScript that
 * follows a switch is mispredicted, and so there is none.
 *
 * C mostly calls the same callback again, so the callback is looked up only when it is another. All
 * that is done seldom is in functions of its own: V8 throws the machine code of a loop away when
 * that gets to a place which it had not seen used.
 */
function run(call: Call, answerers: readonly Answerer[]): unknown {
  const { resumeCall } = native();
  const { context } = call;
  const { view } = context;
  const keeper = call.keeper as Kept;
  let target = NOBODY;
  let handler = NOTHING;
  let known = 0;
  for (;;) {
    const { handle } = context;
    const number = resumeCall(handle === null || keeper.hasBuffers ? call.leave() : handle, 0);
    if (number !== known || target.closed) {
      const arrived = call.arrive();
      if (arrived === undefined) return call.result;
      target = arrived;
      handler = handlerOf(arrived, answerers)!;
      known = number;
    }
    const { result, what, isKept, fast } = target;
    const answer = fast.count === 1
      ? handler(read(view, fast.firstAt, fast.first))
      : fast.count === 2
      ? handler(read(view, fast.firstAt, fast.first), read(view, fast.secondAt, fast.second))
      : call.ask(target, handler);
    if (typeof answer === "object" && answer !== null) refuseDeferred(answer, what);
    const answers = isKept ? keeper.answersTo(target, false) : undefined;
    write(view, INPUT, result, answer, what, answers);
  }
}
