// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * What a stack is, and who runs on it.
 *
 * The classes that users see (`OsStack`, `OwnedStack`, `SliceStack`) differ in where the memory
 * comes from. Each is a `Stack` over a `StackMemory`, which the rest of fringe finds by `memoryOf`:
 *
 *     OsStack    --.
 *     OwnedStack --+-> StackMemory -> its Owner: the body of a generator, or the calls of one
 *     SliceStack --'
 */

import { describe } from "../check.ts";
import { STACK_ALIGNMENT as ALIGNMENT } from "../layout.ts";
import { nativeStacks } from "../library/find.ts";
import type { Caught } from "./net.ts";
import type { Overflow } from "./overflow.ts";

/** The memory of a stack; undefined for any other object. It is known to the class alone. */
let memoryIn: (stack: object) => StackMemory | undefined;

/**
 * Both ends of a stack are multiples of this many bytes (System V psABI for AMD64, section 3.2.2).
 *
 * @example
 * ```ts
 * import { OwnedStack, STACK_ALIGNMENT } from "fringe";
 *
 * using stack = new OwnedStack(64 * 1024);
 * console.log(stack.base % BigInt(STACK_ALIGNMENT)); // 0n
 * ```
 */
export const STACK_ALIGNMENT: 16 = ALIGNMENT;

/**
 * Memory that a generator runs on. It grows down from `base` to `limit`. Made by `new OsStack()`,
 * `new OwnedStack()` or `new SliceStack()`; objects of other origin are refused.
 *
 * How large? A TypeScript body needs room for the C functions that it calls; most functions of libc
 * bring buffers of their own, and 16 KiB is a good minimum. Where a body in C or C++ is suspended,
 * keep 8 KiB free: when a generator is ended early, its destructors run there, and an unwinder
 * below them. With less the frames that have some are abandoned: the stack comes back, but the
 * destructors do not run.
 *
 * @example
 * ```ts
 * import { OsStack, OwnedStack, type Stack } from "fringe";
 *
 * function describe(stack: Stack): string {
 *   return `${stack.size} bytes ${stack.guarded ? "above a guard page" : "without a guard"}`;
 * }
 *
 * using large = new OsStack(64 * 1024);
 * using small = new OwnedStack(16 * 1024);
 * console.log(describe(large)); // 65536 bytes above a guard page
 * console.log(describe(small)); // 16384 bytes without a guard
 * ```
 */
export abstract class Stack implements Disposable {
  readonly #memory: StackMemory;

  /** Not for programs: makes `memory` known as that of this object, and only fringe has one. */
  constructor(memory: StackMemory) {
    if (!(memory instanceof StackMemory)) {
      throw new TypeError(
        `Cannot make stack of ${describe(memory)}: make one with new OsStack(), new OwnedStack() ` +
          "or new SliceStack()",
      );
    }
    this.#memory = memory;
  }

  static {
    memoryIn = (stack) => #memory in stack ? stack.#memory : undefined;
  }

  /** One past the highest usable byte, a multiple of `STACK_ALIGNMENT`. */
  get base(): bigint {
    return memoryOf(this).base;
  }

  /** The lowest usable byte, a multiple of `STACK_ALIGNMENT`. A guard, if any, lies below it. */
  get limit(): bigint {
    return memoryOf(this).limit;
  }

  /** How many bytes can be used: `base - limit`. */
  get size(): number {
    return memoryOf(this).size;
  }

  /** Whether running off the end is caught by a guard page, instead of writing over something. */
  abstract get guarded(): boolean;

  /**
   * Gives the memory back; once is enough, more does nothing.
   *
   * @throws {Error} If a generator on it has not finished.
   */
  [Symbol.dispose](): void {
    memoryOf(this).dispose();
  }
}

/**
 * A stack that has a guard page: what `new Generator()` asks for.
 *
 * @example
 * ```ts
 * import { Generator, type GuardedStack, OsStack } from "fringe";
 *
 * function letters(stack: GuardedStack): Generator<void, string> {
 *   return new Generator(stack, function* () {
 *     yield "a";
 *     yield "b";
 *   });
 * }
 *
 * using generator = letters(new OsStack());
 * console.log([...generator]); // ["a", "b"]
 * ```
 */
export interface GuardedStack extends Stack {
  /** Running off the end is caught. */
  readonly guarded: true;
}

/** What the kinds of stacks differ in. */
export interface Origin {
  readonly guarded: boolean;
  /** What happens when a guarded stack is used up. */
  readonly overflow: Overflow;
  /** Whether other stacks can be made of the same memory. */
  readonly shareable: boolean;
  /** Gives the memory back. May be called again, which has to be if a call was cut short. */
  readonly release: (memory: StackMemory) => void;
  /** Says why the memory can no longer be used, where it can vanish at all. */
  readonly fault: (() => string | undefined) | undefined;
}

/** Who runs on a stack: a generator's body, or a call. */
export interface Owner extends Caught {
  /** Whether the stack is no longer needed: no frame is on it, and none will be. */
  readonly isDone: boolean;
  /** Ends every native frame that it has, early: C is told to stop where it can be told. */
  endGently(): void;
}

/**
 * Ends the frames of an owner that is garbage. No caller waits for them, so what native code throws
 * meanwhile is printed.
 */
export function endGarbage(owner: Owner): void {
  try {
    owner.endGently();
  } catch (error) {
    console.error(error);
  }
}

/** The first in the list of the shareable memories that have an owner. */
let firstShared: StackMemory | undefined;

/**
 * A range of memory, and who runs on it, from the making of a generator until its body has
 * finished.
 *
 * Whether the memory is free is asked of the owner (`isDone`), and the owner follows native code
 * (`context/occupancy.ts`). So the memory is free as soon as no frame is left, even if `disown` was
 * cut short, and is called later or never.
 */
export class StackMemory implements Caught {
  readonly origin: Origin;
  /** Where there is no guard page: the lower end, where the canary goes. */
  bottom: DataView<ArrayBuffer> | undefined;
  /** Whether the memory has gone back. */
  released = false;
  /** For the net under its stack. */
  batch: Caught["batch"];
  #base: bigint;
  #limit: bigint;
  #owner: Owner | undefined;
  #nextShared: StackMemory | undefined;
  #previousShared: StackMemory | undefined;

  constructor(base: bigint, limit: bigint, origin: Origin, bottom?: DataView<ArrayBuffer>) {
    this.#base = base;
    this.#limit = limit;
    this.origin = origin;
    this.bottom = bottom;
  }

  /** One past the highest byte. */
  get base(): bigint {
    return this.#base;
  }

  /** Where frames begin, at `base` or a little below. */
  get top(): bigint {
    return this.base;
  }

  /** The lowest usable byte. */
  get limit(): bigint {
    return this.#limit;
  }

  get size(): number {
    return Number(this.base - this.limit);
  }

  /** For an `OsStack`, which learns where its memory is when that has been mapped. */
  place(base: bigint, limit: bigint): void {
    this.#base = base;
    this.#limit = limit;
  }

  /** Who runs on it; undefined if it is free. */
  get owner(): Owner | undefined {
    return this.#owner?.isDone ? undefined : this.#owner;
  }

  /** Why no frame may run here, or undefined when all is well. */
  fault(): string | undefined {
    if (this.released) return "the stack has been disposed of; make a new one";
    return this.origin.fault?.();
  }

  /** Throws unless a generator can be made on it. `what` begins with "Cannot". */
  checkFree(what: string): void {
    const fault = this.fault();
    if (fault !== undefined) throw new Error(`${what}: ${fault}`);
    if (this.owner !== undefined) {
      throw new Error(
        `${what}: another generator, or a call, is on this stack and has not finished; give each ` +
          "its own stack",
      );
    }
    if (!this.origin.shareable) return;
    for (let other = firstShared; other !== undefined; other = other.#nextShared) {
      const isApart = other.limit >= this.base || this.limit >= other.base;
      if (isApart || other.owner === undefined) continue;
      throw new Error(
        `${what}: the memory of its stack overlaps that of another generator's, which has not ` +
          "finished; give each its own",
      );
    }
  }

  /** Says that `owner` runs on this memory from now on; `checkFree` has been called before. */
  own(owner: Owner): void {
    if (this.#owner !== undefined) this.disown(this.#owner);
    // Only a library that is built for Valgrind has this: memory of V8's becomes a stack.
    if (!this.origin.guarded) nativeStacks().registerStack?.(this.base, this.limit);
    this.#owner = owner;
    if (!this.origin.shareable) return;
    this.#nextShared = firstShared;
    if (firstShared !== undefined) firstShared.#previousShared = this;
    firstShared = this;
  }

  /** Says that `owner`, which is done, no longer runs on this memory, if it was the last to. */
  disown(owner: Owner): void {
    if (this.#owner !== owner) return;
    if (!this.origin.guarded) nativeStacks().deregisterStack?.(this.base, this.limit);
    this.#owner = undefined;
    if (!this.origin.shareable) return;
    const [next, previous] = [this.#nextShared, this.#previousShared];
    if (next !== undefined) next.#previousShared = previous;
    if (previous === undefined) firstShared = next;
    else previous.#nextShared = next;
    this.#nextShared = this.#previousShared = undefined;
  }

  /** For `[Symbol.dispose]()`: gives the memory back, or throws if it is not free. */
  dispose(): void {
    if (!this.released && this.owner !== undefined) {
      throw new Error(
        "Cannot dispose of stack: a generator, or a call, on it has not finished; dispose of the " +
          "generator instead, which ends it and frees its stack, or await the call",
      );
    }
    this.origin.release(this);
    this.released = true;
    this.bottom = undefined;
  }

  /** For finalizers: ends the frames of the owner, then gives the memory back. */
  reclaim(): void {
    const { owner } = this;
    if (owner !== undefined) endGarbage(owner);
    this.dispose();
  }
}

/**
 * The memory of a stack, or a TypeError when it is not one of fringe's. `body` is what was passed
 * beside it: where that is a stack, the two were swapped.
 */
export function memoryOf(stack: Stack, body?: unknown): StackMemory {
  const memory = typeof stack === "object" && stack !== null ? memoryIn(stack) : undefined;
  if (memory !== undefined) return memory;
  const swapped = typeof stack === "function" ||
    body instanceof Object && memoryIn(body) !== undefined;
  throw new TypeError(
    `Cannot use ${describe(stack)} as a stack: make one with new OsStack(), new OwnedStack() or ` +
      "new SliceStack() in this Worker" +
      (swapped ? ", and pass it first: new Generator(stack, body)" : ""),
  );
}

/** Checks a size that a user gave under this name. `what` begins with "Cannot". */
export function checkSize(size: number, minimum: number, what: string, name = "size"): void {
  if (typeof size !== "number") {
    throw new TypeError(`${what}: ${name} must be a number of bytes: got ${describe(size)}`);
  }
  // Beyond 2^47 there are no addresses (psABI for AMD64, section 3.3.2).
  if (!Number.isInteger(size) || size < minimum || size > 2 ** 47) {
    throw new RangeError(
      `${what}: ${name} must be a whole number of bytes from ${minimum} to 2^47: got ${size}`,
    );
  }
}
