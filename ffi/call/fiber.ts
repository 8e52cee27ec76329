// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * The stacks that calls of C functions run on: each is kept for the next call. `f.async()` may have
 * one of the caller's instead, which `borrowStack` is for.
 *
 * The first thousand that are made have mappings of their own, which is all that most programs
 * need. A program that makes more has many calls at once: the stacks of further ones are those of a
 * `StackPool`, which takes less time and fewer objects for each, and says so in time when the
 * system has no room for more.
 */

import { CallContext } from "../context/call_context.ts";
import { ThreadContext } from "../context/thread_context.ts";
import { Net } from "../stack/net.ts";
import { OsStack } from "../stack/os_stack.ts";
import type { Overflow } from "../stack/overflow.ts";
import { endGarbage, type GuardedStack, memoryOf, type Owner } from "../stack/stack.ts";
import { StackPool } from "../stack/stack_pool.ts";
import { ThreadStack } from "../stack/thread_stack.ts";
import { Call } from "./call.ts";

/**
 * How large a stack is of whose function nothing is said: what C counts on, since Linux gives a
 * thread so much. It costs addresses, and memory only where it is touched.
 */
export const CALL_STACK_SIZE: number = 8 * 1024 * 1024;

/** How many stacks of a size are kept: more than most programs ever use at once. */
const KEPT_MAX = 64;

/** How many stacks have mappings of their own at once. */
const SINGLE_MAX = 1024;

/** Of how many sizes that functions ask for stacks are kept. */
const SIZES_MAX = 16;

/** No system has smaller pages. */
const PAGE_SIZE = 4096;

/**
 * A stack of fringe's own, with the context that runs on it. The form of a call holds the fiber,
 * and the fiber the stack: so a stack becomes garbage only together with the call that is on it.
 */
export class Fiber {
  readonly stack: GuardedStack;
  readonly context: CallContext;
  /** Where it is kept between two calls; undefined: native code keeps threads. */
  readonly list: Kept | undefined;
  /** The next in the list of those that are kept. */
  next: Fiber | undefined;
  /** For `sync.ts`: its call, how deep V8's stack is there, and the fiber of the call around. */
  readonly call: Call;
  depth = 0;
  outer: Fiber | undefined;
  /** Whether the fiber is in that list, so free for the next call. */
  isKept = false;

  constructor(list: Kept | undefined, stack: GuardedStack, context: CallContext) {
    this.list = list;
    this.stack = stack;
    this.context = context;
    this.call = new Call(context);
    // So the finalizer of a stack that is garbage ends the frames that are left on it.
    this.context.memory.own(this.context);
  }
}

/** The fibers of one size that are free. */
interface Kept {
  readonly size: number;
  readonly overflow: Overflow;
  first: Fiber | undefined;
  count: number;
  /** Where the stacks of very many come from. */
  pool: StackPool | undefined;
}

type Lists = Readonly<Record<Overflow, Kept>>;

function makeLists(size: number): Lists {
  return {
    report: { size, overflow: "report", first: undefined, count: 0, pool: undefined },
    throw: { size, overflow: "throw", first: undefined, count: 0, pool: undefined },
  };
}

const kept: Lists = makeLists(CALL_STACK_SIZE);

/** Those of the sizes that functions ask for: from the first one on. */
let sized: Map<number, Lists> | undefined;

/** How many stacks with mappings of their own have been made, and have not gone since. */
let singles = 0;

/** The lists for a size that a function asks for. */
function listsFor(asked: number): Lists {
  const size = Math.ceil(asked / PAGE_SIZE) * PAGE_SIZE;
  sized ??= new Map();
  let lists = sized.get(size);
  if (lists === undefined) {
    if (sized.size === SIZES_MAX) forgetSizes(sized);
    sized.set(size, lists = makeLists(size));
  }
  return lists;
}

/**
 * Begins anew, so that there are never many lists. A fiber that is in use now goes back to a list
 * that nobody asks any more, and becomes garbage with it.
 */
function forgetSizes(all: Map<number, Lists>): void {
  for (const lists of all.values()) {
    for (const list of [lists.report, lists.throw]) {
      for (let fiber; (fiber = list.first) !== undefined;) {
        list.first = fiber.next;
        discard(fiber);
      }
    }
  }
  all.clear();
}

/** Unmaps the stack of a fiber that is not kept. */
function discard({ stack }: Fiber): void {
  stack[Symbol.dispose]();
  if (stack instanceof OsStack) singles--;
}

function makeFiber(list: Kept): Fiber {
  const { size, overflow } = list;
  let stack: GuardedStack;
  if (singles < SINGLE_MAX) {
    stack = new OsStack(size, { overflow });
    singles++;
  } else stack = (list.pool ??= new StackPool({ size, overflow })).take();
  return new Fiber(list, stack, new CallContext(memoryOf(stack)));
}

/** A fiber that is a thread, for one call. `what` begins with "Cannot". */
export function takeThread(overflow: Overflow, size: number | undefined, what: string): Fiber {
  const stack = new ThreadStack(size ?? CALL_STACK_SIZE, overflow, what);
  return new Fiber(undefined, stack, new ThreadContext(stack));
}

/**
 * A fiber that is free, for one call; `putFiber` takes it back. The size is undefined where the
 * function says nothing of it.
 */
export function takeFiber(overflow: Overflow, size?: number): Fiber {
  const list = (size === undefined ? kept : listsFor(size))[overflow];
  const fiber = list.first;
  if (fiber === undefined) return makeFiber(list);
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
  const { context, list, stack } = fiber;
  if (fiber.isKept || context.handle !== null) return;
  // A call that was refused may have left strings and buffers.
  context.release();
  if (list === undefined) return stack[Symbol.dispose]();
  if (list.count >= KEPT_MAX) return discard(fiber);
  fiber.next = list.first;
  list.first = fiber;
  list.count++;
  fiber.isKept = true;
}

/** Runs on a stack of the caller's, from when that is borrowed until it is given back. */
class Borrower implements Owner {
  readonly context: CallContext;
  batch: Owner["batch"];
  /** Whether the call is over, or was refused. */
  isOver = false;

  constructor(context: CallContext) {
    this.context = context;
  }

  get isDone(): boolean {
    return this.isOver && this.context.handle === null;
  }

  endGently(): void {
    this.isOver = true;
    this.context.endGently();
  }
}

/**
 * A stack of the caller's, with the context that runs on it for one call. The call holds this, and
 * nobody else does: a call whose Promise is garbage ends by that, though its caller has the stack.
 */
export class Loan {
  readonly stack: GuardedStack;
  readonly borrower: Borrower;

  constructor(stack: GuardedStack, borrower: Borrower) {
    this.stack = stack;
    this.borrower = borrower;
  }

  get context(): CallContext {
    return this.borrower.context;
  }
}

/** The net under calls on stacks of their callers': from the first one on. */
let borrowers: Net<Borrower> | undefined;

/** Occupies a stack of the caller's for one call; `returnStack` gives it back. */
export function borrowStack(stack: GuardedStack, what: string): Loan {
  const memory = memoryOf(stack);
  if (!memory.origin.guarded) {
    throw new TypeError(
      `${what}: its stack has no guard page, so an overflow would write over other memory; use ` +
        "an OsStack",
    );
  }
  memory.checkFree(what);
  const borrower = new Borrower(new CallContext(memory));
  const loan = new Loan(stack, borrower);
  (borrowers ??= new Net(endGarbage)).add(loan, borrower);
  memory.own(borrower);
  return loan;
}

/** Gives it back, if no frame is left on it. Else the call stays there until it can be ended. */
export function returnStack({ borrower }: Loan): void {
  const { context } = borrower;
  if (context.handle !== null) return;
  context.release();
  borrower.isOver = true;
  context.memory.disown(borrower);
  borrowers!.remove(borrower);
}
