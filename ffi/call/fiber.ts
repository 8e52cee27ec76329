// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * The stacks that calls of C functions run on: each is kept for the next call.
 *
 * The first thousand that are made have mappings of their own, which is all that most programs
 * need. A program that makes more has many calls at once: the stacks of further ones are those of a
 * `StackPool`, which takes less time and fewer objects for each, and says so in time when the
 * system has no room for more.
 */

import { CallContext } from "../context/call_context.ts";
import { ThreadContext } from "../context/thread_context.ts";
import { OsStack } from "../stack/os_stack.ts";
import type { Overflow } from "../stack/overflow.ts";
import { type GuardedStack, memoryOf } from "../stack/stack.ts";
import { StackPool } from "../stack/stack_pool.ts";
import { ThreadStack } from "../stack/thread_stack.ts";
import { Call } from "./call.ts";

/** How many stacks are kept: more than most programs ever use at once. */
const KEPT_MAX = 64;

/** How much stack a thread has: what C counts on, and commits only what it touches. */
const THREAD_SIZE = 8 * 1024 * 1024;

/** How many stacks are made with mappings of their own. */
const SINGLE_MAX = 1024;

/**
 * A stack of fringe's own, with the context that runs on it. The form of a call holds the fiber,
 * and the fiber the stack: so a stack becomes garbage only together with the call that is on it.
 */
export class Fiber {
  readonly stack: GuardedStack;
  readonly context: CallContext;
  readonly overflow: Overflow;
  /** The next in the list of those that are kept. */
  next: Fiber | undefined;
  /** For `sync.ts`: its call, how deep V8's stack is there, and the fiber of the call around. */
  readonly call: Call;
  depth = 0;
  outer: Fiber | undefined;
  /** Whether the fiber is in that list, so free for the next call. */
  isKept = false;

  constructor(overflow: Overflow, stack: GuardedStack, context: CallContext) {
    this.overflow = overflow;
    this.stack = stack;
    this.context = context;
    this.call = new Call(context);
    // So the finalizer of a stack that is garbage ends the frames that are left on it.
    this.context.memory.own(this.context);
  }
}

interface Kept {
  first: Fiber | undefined;
  count: number;
  /** How many fibers there have been. */
  made: number;
  /** Where the stacks of further ones come from. */
  pool: StackPool | undefined;
}

const kept: Readonly<Record<Overflow, Kept>> = {
  report: { first: undefined, count: 0, made: 0, pool: undefined },
  throw: { first: undefined, count: 0, made: 0, pool: undefined },
};

function makeFiber(overflow: Overflow): Fiber {
  const list = kept[overflow];
  const stack = list.made < SINGLE_MAX
    ? new OsStack(undefined, { overflow })
    : (list.pool ??= new StackPool({ overflow })).take();
  list.made++;
  return new Fiber(overflow, stack, new CallContext(memoryOf(stack)));
}

/** A fiber that is a thread, for one call. `what` begins with "Cannot". */
export function takeThread(overflow: Overflow, what: string): Fiber {
  const stack = new ThreadStack(THREAD_SIZE, overflow, what);
  return new Fiber(overflow, stack, new ThreadContext(stack));
}

/** A fiber that is free, for one call; `putFiber` takes it back. */
export function takeFiber(overflow: Overflow): Fiber {
  const list = kept[overflow];
  const fiber = list.first;
  if (fiber === undefined) return makeFiber(overflow);
  list.first = fiber.next;
  list.count--;
  fiber.next = undefined;
  fiber.isKept = false;
  return fiber;
}

/**
 * Takes a fiber back, if no frame is left on it; once more does nothing. The steps that may be cut
 * short come first, and plain assignments last: so a fiber is in the list as a whole or not at all.
 * One that is not stays with its call, whose owner puts it here later.
 */
export function putFiber(fiber: Fiber): void {
  const { context, stack, overflow } = fiber;
  const list = kept[overflow];
  if (fiber.isKept || context.handle !== null) return;
  // A call that was refused may have left strings and buffers.
  context.release();
  // Native code keeps threads.
  if (list.count >= KEPT_MAX || context instanceof ThreadContext) {
    stack[Symbol.dispose]();
    return;
  }
  fiber.next = list.first;
  list.first = fiber;
  list.count++;
  fiber.isKept = true;
}
