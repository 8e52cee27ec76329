// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Many stacks of one size: they are mapped in slabs (native/stack/slab.zig), and one that is given
 * back is there for the next.
 *
 *     StackPool -> Pool -> Slab: 64 stacks in one mapping   <- PooledMemory <- PooledStack
 *                       -> Slab                             <- …
 *
 * To take a stack, and to give it back, is a matter of a few fields as a rule: no native code is
 * called. The list of free stacks is an array of numbers in each slab, and the slabs that have some
 * are in a list.
 *
 * When memory goes back to the system
 * -----------------------------------
 * What follows is looked at when a stack is given back, and its slab has come down to 32 stacks in
 * use, or 16, 8, 4, 2, 1, or none.
 *
 * - The pool has a mark: how many stacks have been in use at once. It comes down: each time that
 *   this is looked at, by a 256th of its distance to the number that are in use now.
 * - If the slab has no stack in use, and the pool has enough for the mark without it, the slab is
 *   unmapped.
 * - Else, if the stacks in use and the idle ones that have memory are more than the mark, and a
 *   slab's worth more, the idle ones of this slab lose their memory (madvise).
 *
 * So a number of stacks that goes up and down a little takes no system call, nor do bursts of some
 * hundred that come again and again. A burst that has passed leaves 2,400 stacks at most, however
 * large it was. And while stacks of a burst are left, in whatever slabs, no more idle ones than
 * those have memory.
 *
 * Where frames begin
 * ------------------
 * A resume touches some lines at the top of a stack, and the nearest cache of a processor has few
 * places for lines that lie at the same place of their pages: eight, say. So stacks that are
 * neighbours begin at 16 different lines, their colours:
 *
 *     base of stack      0        1        2         ...   15         16
 *     frames begin       there    64 below 128 below ...   960 below  there
 *
 * That leaves out a sixteenth of a stack at most: smaller ones than 16 KiB have no colours.
 */

import { checkKeys, describe, own } from "../check.ts";
import { STACK_SIZE_DEFAULT } from "../layout.ts";
import { nativePools } from "../library/find.ts";
import { Mapping, mapSlab, unmap } from "./mapping.ts";
import { Net } from "./net.ts";
import { overflowOf } from "./overflow.ts";
import {
  checkSize,
  type GuardedStack,
  memoryOf,
  type Origin,
  Stack,
  StackMemory,
} from "./stack.ts";

/** How many stacks share a mapping, unless they are large: a power of 2. */
const COUNT_MAX = 64;
/** How many bytes a mapping has at most, unless one stack has more. */
const SLAB_SIZE_MAX = 256 * 1024 * 1024;

/** How many colours there are, and how far apart in bytes: a line of a cache. */
const [COLOURS, LINE_SIZE] = [16, 64];
/** What is left out of a stack is at most one of so many parts. */
const PARTS = 16;

/**
 * What `new StackPool()` takes.
 *
 * @example
 * ```ts
 * import { StackPool, type StackPoolOptions } from "fringe";
 *
 * const options: StackPoolOptions = { size: 64 * 1024, overflow: "throw" };
 * using pool = new StackPool(options);
 * using stack = pool.take();
 * console.log(stack.size); // 65536
 * ```
 */
export interface StackPoolOptions {
  /**
   * How large each stack is, in bytes: 0 to 2^47, rounded up to whole pages; 0 gives one page. The
   * default is that of an `OsStack`, 1 MiB.
   */
  readonly size?: number | undefined;
  /** What happens when a stack is used up: see `OsStackOptions`. */
  readonly overflow?: "report" | "throw" | undefined;
}

/** What the stacks of a pool have in common. It knows nothing of the `StackPool`. */
class Pool {
  readonly size: number;
  readonly overflow: "report" | "throw";
  /** How many stacks a slab has. */
  readonly count: number;
  readonly origin: Origin;
  /** The first slab with a free stack; behind it, all others. */
  first: Slab | undefined;
  /** The slab that is being mapped. */
  next: Slab | undefined;
  /** For each colour how far above its limit the frames of a stack begin. */
  readonly tops: BigUint64Array<ArrayBuffer> = new BigUint64Array(new ArrayBuffer(COLOURS * 8));
  /** How many stacks there are; in use; idle and with memory. */
  mapped = 0;
  inUse = 0;
  warm = 0;
  /** How many have been in use, lately. */
  mark = 0;
  isClosed = false;

  constructor(size: number, overflow: "report" | "throw") {
    this.size = size;
    this.overflow = overflow;
    let count = COUNT_MAX;
    while (count > 1 && count * size > SLAB_SIZE_MAX) count /= 2;
    this.count = count;
    this.origin = {
      guarded: true,
      overflow,
      shareable: false,
      release: (memory) => this.put(memory as PooledMemory),
      fault: undefined,
    };
  }

  /** Maps a slab. If it was cut short, the next call goes on with the same one. */
  grow(): Slab {
    const slab = this.next ??= new Slab(this.count);
    const { mapping } = slab;
    if (mapping.base === 0n) {
      const { size, count } = this;
      const what = `Cannot take stack of ${size} bytes`;
      mapSlab(mapping, size, count, this.overflow === "throw", what);
    }
    slab.limit = mapping.limit;
    slab.stride = mapping.stride;
    slab.size = mapping.base - mapping.limit - BigInt(this.count - 1) * mapping.stride;
    this.#setTops(slab.size);
    slab.tops = this.tops;
    // Plain assignments, to the end.
    this.next = undefined;
    this.mapped += this.count;
    slab.following = this.first;
    if (this.first !== undefined) this.first.preceding = slab;
    return this.first = slab;
  }

  /** The same for each slab. */
  #setTops(size: bigint): void {
    const step = Number(size) < PARTS * COLOURS * LINE_SIZE ? 0 : LINE_SIZE;
    for (let i = 0; i < COLOURS; i++) this.tops[i] = size - BigInt(i * step);
  }

  /** Gives a stack of `slab` to `memory`, which has none. */
  give(slab: Slab, memory: PooledMemory): void {
    // Plain assignments, to the end: nothing is taken twice, and nothing is lost.
    memory.slab = slab;
    memory.number = slab.numbers[--slab.free]!;
    if (slab.cold > slab.free) slab.cold = slab.free;
    else this.warm--;
    this.inUse++;
    if (this.mark < this.inUse) this.mark = this.inUse;
    if (slab.free > 0) return;
    // Off the list, of which it is the first.
    const { following } = slab;
    this.first = following;
    if (following !== undefined) following.preceding = undefined;
    slab.following = undefined;
  }

  /** Takes the stack of `memory` back. A call that was cut short may be made again. */
  put(memory: PooledMemory): void {
    const { slab } = memory;
    if (slab === undefined) return;
    if (!memory.released) {
      // Plain assignments, as above.
      memory.released = true;
      slab.numbers[slab.free] = memory.number;
      this.inUse--;
      this.warm++;
      const { first } = this;
      if (slab.free++ === 0) {
        slab.following = first;
        if (first !== undefined) first.preceding = slab;
        this.first = slab;
      }
    }
    this.settle(slab);
  }

  /** Gives memory back to the system, if it is time: see the head of this file. */
  settle(slab: Slab): void {
    if (slab.isGone) return unmap(slab.mapping);
    const { count } = this;
    const used = count - slab.free;
    // Only 0 and the powers of 2 have nothing in common with the number below.
    if ((used & used - 1) !== 0) return;
    const warm = slab.free - slab.cold;
    this.mark -= (this.mark - this.inUse + 255) >> 8;
    // Of a pool that is in use one slab stays.
    const wanted = this.isClosed ? 0 : this.mark > 0 ? this.mark : 1;
    if (used === 0 && this.mapped - count >= wanted) {
      this.#remove(slab);
      unmap(slab.mapping);
    } else if (warm > 0 && this.inUse + this.warm > this.mark + count) {
      nativePools().discardStacks(slab.limit, slab.stride, slab.numbers, slab.cold, slab.free);
      this.warm -= warm;
      slab.cold = slab.free;
    }
  }

  /** Takes a slab whose stacks are all free off the list. Plain assignments. */
  #remove(slab: Slab): void {
    const { preceding, following } = slab;
    if (preceding === undefined) this.first = following;
    else preceding.following = following;
    if (following !== undefined) following.preceding = preceding;
    slab.preceding = slab.following = undefined;
    slab.isGone = true;
    this.mapped -= this.count;
    this.warm -= slab.free - slab.cold;
  }

  /** Unmaps what is not in use now, and the rest when it is given back. */
  close(): void {
    this.isClosed = true;
    if (this.next !== undefined) unmap(this.next.mapping);
    for (let slab = this.first; slab !== undefined;) {
      const { following } = slab;
      this.settle(slab);
      slab = following;
    }
  }
}

/** Stacks that share a mapping. */
class Slab {
  readonly mapping: Mapping = new Mapping();
  /** The limit of the lowest stack, how far apart the stacks are, and how large each is. */
  limit = 0n;
  stride = 0n;
  size = 0n;
  /** Where frames begin in a stack: the array of the pool. */
  tops!: BigUint64Array<ArrayBuffer>;
  /**
   * The numbers of the stacks that are free: so many. The last one is taken first. The first ones,
   * `cold` of them, have no memory.
   */
  readonly numbers: Uint8Array<ArrayBuffer>;
  free: number;
  cold: number;
  /** The neighbours in the list of slabs that have free stacks. */
  preceding: Slab | undefined;
  following: Slab | undefined;
  /** Whether it has been unmapped, or waits for that. */
  isGone = false;

  constructor(count: number) {
    this.numbers = new Uint8Array(new ArrayBuffer(count));
    for (let i = 0; i < count; i++) this.numbers[i] = count - 1 - i;
    this.free = this.cold = count;
  }
}

/** The memory of a stack that has been taken, until that is disposed of. */
class PooledMemory extends StackMemory {
  /** The slab that it is of; undefined: nothing has been taken. */
  slab: Slab | undefined;
  /** Which one of the slab it is. */
  number = 0;

  constructor(origin: Origin) {
    super(0n, 0n, origin);
  }

  // Where it lies is asked when it begins and when it ends: a bigint each would take more memory
  // than all else.
  override get base(): bigint {
    return this.limit + (this.slab?.size ?? 0n);
  }

  override get top(): bigint {
    const { slab, limit } = this;
    return slab === undefined ? limit : limit + slab.tops[this.number % COLOURS]!;
  }

  override get limit(): bigint {
    const { slab } = this;
    return slab === undefined ? 0n : slab.limit + BigInt(this.number) * slab.stride;
  }
}

/** A stack of a pool. */
class PooledStack extends Stack implements GuardedStack {
  override get guarded(): true {
    return true;
  }

  override [Symbol.dispose](): void {
    const memory = memoryOf(this);
    memory.dispose();
    stacks!.remove(memory);
  }
}

/** The nets under stacks that have been taken, and under pools: from the first pool on. */
let stacks: Net<StackMemory> | undefined;
let pools: FinalizationRegistry<Pool> | undefined;

/**
 * Stacks of one size, for programs that need many, or often one: a stack that is disposed of goes
 * back to its pool, and is there for the next. To take one takes a small part of the time that
 * `new OsStack()` takes, and calls neither native code nor the system as a rule.
 *
 * The stacks have guards: a tenth of the stack, at most 64 KiB. They are mapped by the 64 as a
 * rule, of which each costs addresses only until it is used. When the pool needs fewer than before,
 * memory goes back to the system: see docs/stacks.md. One that is dropped, with the generator on
 * it, comes back when it is garbage.
 *
 * @example
 * ```ts
 * import { Generator, StackPool } from "fringe";
 *
 * using pool = new StackPool({ size: 64 * 1024 });
 * for (let i = 0; i < 3; i++) {
 *   // The same stack each time: disposing of the generator gives it back.
 *   using generator = new Generator(pool.take(), function* () {
 *     yield i;
 *   });
 *   console.log(generator.resume());
 * }
 * ```
 */
export class StackPool implements Disposable {
  readonly #pool: Pool;

  /**
   * Makes a pool. Nothing is mapped before the first stack is taken.
   *
   * @throws {RangeError} If the size is negative, not whole, or too large.
   * @throws {TypeError} If the options are not understood.
   */
  constructor(options: StackPoolOptions = {}) {
    const what = "Cannot make pool of stacks";
    if (typeof options !== "object" || options === null) {
      throw new TypeError(
        `${what}: options must be an object such as { size }: got ${describe(options)}`,
      );
    }
    checkKeys(options, ["size", "overflow"], `${what}: options`);
    const { size = STACK_SIZE_DEFAULT, overflow } = own(options);
    checkSize(size, 0, what);
    this.#pool = new Pool(size, overflowOf(overflow, what));
    stacks ??= new Net((memory) => memory.reclaim());
    pools ??= new FinalizationRegistry((pool) => pool.close());
    pools.register(this, this.#pool, this);
  }

  /**
   * Takes a stack, which is the caller's until it is disposed of: by `using`, by its
   * `[Symbol.dispose]()`, or by that of a generator on it.
   *
   * @throws {Error} If the pool has been disposed of.
   * @throws {FringeError} If the system has no memory, or no mapping, left.
   *
   * @example
   * ```ts
   * import { StackPool } from "fringe";
   *
   * using pool = new StackPool({ size: 16 * 1024 });
   * using stack = pool.take();
   * console.log(stack.size, stack.guarded); // 16384 true
   * ```
   */
  take(): GuardedStack {
    const pool = this.#pool;
    if (pool.isClosed) {
      throw new Error("Cannot take stack: the pool has been disposed of; make a new one");
    }
    const memory = new PooledMemory(pool.origin);
    const stack = new PooledStack(memory);
    stacks!.add(stack, memory);
    pool.give(pool.first ?? pool.grow(), memory);
    return stack;
  }

  /**
   * Unmaps the stacks; once is enough, more does nothing. Those that are in use stay so, and go
   * when they are given back.
   */
  [Symbol.dispose](): void {
    this.#pool.close();
    pools!.unregister(this);
  }
}
