// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** Stacks for calls of C functions, kept for the next call. */

import { Context } from "../context/context.ts";
import { OsStack } from "../stack/os_stack.ts";
import type { Overflow } from "../stack/overflow.ts";
import { memoryOf } from "../stack/stack.ts";

/** How many stacks are kept: more than are in use at once by anything but a storm of calls. */
const KEPT_MAX = 64;

/**
 * A stack of fringe's own with the context that runs on it. The fiber holds the stack object, and
 * the call holds the fiber: so a stack becomes garbage only together with the call on it.
 */
export class Fiber {
  readonly stack: OsStack;
  readonly context: Context;
  readonly overflow: Overflow;
  /** The next in the list of those that are kept. */
  next: Fiber | undefined;
  isKept = false;

  constructor(overflow: Overflow) {
    this.overflow = overflow;
    this.stack = new OsStack(undefined, { overflow });
    this.context = new Context(memoryOf(this.stack));
    // Nobody else could end what is left on a stack that is garbage.
    this.context.memory.own(this.context);
  }
}

interface Kept {
  first: Fiber | undefined;
  count: number;
}

const kept: Readonly<Record<Overflow, Kept>> = {
  report: { first: undefined, count: 0 },
  throw: { first: undefined, count: 0 },
};

/** A fiber that nobody uses; give it back with `putFiber`. */
export function takeFiber(overflow: Overflow): Fiber {
  const list = kept[overflow];
  const fiber = list.first;
  if (fiber === undefined) return new Fiber(overflow);
  list.first = fiber.next;
  list.count--;
  fiber.next = undefined;
  fiber.isKept = false;
  return fiber;
}

/**
 * Takes a fiber back, if no frame is left on it. Once more does nothing. What keeps the fiber are
 * plain assignments, and nobody loses one for want of V8's stack.
 */
export function putFiber(fiber: Fiber): void {
  const { context, stack, overflow } = fiber;
  const list = kept[overflow];
  if (fiber.isKept || context.handle !== null) return;
  // What a call that was refused while it was made ready has left.
  context.release();
  if (list.count >= KEPT_MAX) {
    stack[Symbol.dispose]();
    return;
  }
  fiber.next = list.first;
  list.first = fiber;
  list.count++;
  fiber.isKept = true;
}
