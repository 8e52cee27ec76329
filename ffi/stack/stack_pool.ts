// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** Stacks for calls of C functions, kept for the next call. */

import { Context } from "../context/context.ts";
import { OsStack } from "./os_stack.ts";
import type { Overflow } from "../context/overflow.ts";
import { memoryOf } from "./stack.ts";

/** How many stacks are kept: more than are in use at once by anything but a storm of calls. */
const KEPT_MAX = 64;

/**
 * A stack with the context that runs on it. The stack object is held so that it is not collected.
 */
export interface Fiber {
  readonly stack: OsStack;
  readonly context: Context;
  readonly overflow: Overflow;
}

const kept: Readonly<Record<Overflow, Fiber[]>> = { report: [], throw: [] };

/** A stack that nobody is on; give it back with `putFiber`. */
export function takeFiber(overflow: Overflow = "report"): Fiber {
  const fiber = kept[overflow].pop();
  if (fiber !== undefined) return fiber;
  const stack = new OsStack(undefined, { overflow });
  return { stack, context: new Context(memoryOf(stack)), overflow };
}

/** Takes a stack back whose context has ended. */
export function putFiber(fiber: Fiber): void {
  // What a call that was refused while it was made ready has left.
  fiber.context.release();
  fiber.context.memory.occupant = undefined;
  const others = kept[fiber.overflow];
  if (others.length < KEPT_MAX) others.push(fiber);
  else fiber.stack[Symbol.dispose]();
}
