// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * What a stack is, and who is on it. The classes that users see (`OsStack`, `OwnedStack`,
 * `SliceStack`) each hold a `StackMemory`, which the rest of fringe finds by `memoryOf`.
 */

import type { NativeFrame } from "../context/backtrace.ts";
import type { Overflow } from "../context/overflow.ts";
import { native } from "../library/find.ts";

/**
 * Both ends of a stack are multiples of this many bytes (System V psABI for AMD64, section 3.2.2).
 *
 * @example
 * ```ts
 * import { OwnedStack, STACK_ALIGNMENT } from "@fringe/fringe";
 *
 * using stack = new OwnedStack(64 * 1024);
 * console.log(stack.base % BigInt(STACK_ALIGNMENT)); // 0n
 * ```
 */
export const STACK_ALIGNMENT = 16;

/** The smallest stack that anything can be done on; `size_min` in `native/stack/stack.zig`. */
export const STACK_SIZE_MIN = 512;

/**
 * Memory that a generator runs on. It grows down from `base` to `limit`. Made by `new OsStack()`,
 * `new OwnedStack()` or `new SliceStack()`; objects of other origin are refused.
 */
export interface Stack extends Disposable {
  /** One past the highest usable byte, a multiple of `STACK_ALIGNMENT`. */
  readonly base: bigint;
  /** The lowest usable byte, a multiple of `STACK_ALIGNMENT`. A guard, if any, lies below it. */
  readonly limit: bigint;
  /** How many bytes can be used: `base - limit`. */
  readonly size: number;
  /** Whether running off the end is caught by a guard page, instead of writing over something. */
  readonly guarded: boolean;
}

/** A stack that has a guard page: what `new Generator()` asks for. */
export interface GuardedStack extends Stack {
  /** Running off the end is caught. */
  readonly guarded: true;
}

/** What the kinds of stacks differ in. */
export interface Origin {
  readonly guarded: boolean;
  /** What happens when it is used up, where that is noticed at once. */
  readonly overflow?: Overflow;
  /** Whether other stacks can be made of the same memory. */
  readonly shareable?: true;
  /** Gives the memory back; called once. */
  release(): void;
  /** Says why the memory can no longer be used, if that is so. */
  fault?(): string | undefined;
}

/** Who is on a stack. */
export interface Occupant {
  /** Ends every native frame that it has, early. */
  end(): void;
  /** Every native frame that it has, the innermost first. */
  frames(): NativeFrame[];
}

/** Ends what nobody holds any more. What native code throws at that is told to whoever looks. */
export function endGarbage(occupant: Occupant): void {
  try {
    occupant.end();
  } catch (error) {
    console.error(error);
  }
}

/** Ends all of them, and throws then what the first that threw has thrown. */
export function endAll(occupants: Iterable<Pick<Occupant, "end">>): void {
  const errors: unknown[] = [];
  for (const occupant of occupants) {
    try {
      occupant.end();
    } catch (error) {
      errors.push(error);
    }
  }
  if (errors.length > 0) throw errors[0];
}

/** The memory that generators are on, of those kinds that can overlap. */
const occupiedSlices = new Set<StackMemory>();

/** A range of memory, and the generator that is on it. */
export class StackMemory {
  readonly base: bigint;
  readonly limit: bigint;
  readonly origin: Origin;
  /** Where there is no guard page: the lower end, where the canary goes. */
  bottom: DataView<ArrayBuffer> | undefined;
  occupant: Occupant | undefined;
  released = false;

  constructor(base: bigint, limit: bigint, origin: Origin, bottom?: DataView<ArrayBuffer>) {
    this.base = base;
    this.limit = limit;
    this.origin = origin;
    this.bottom = bottom;
  }

  get size(): number {
    return Number(this.base - this.limit);
  }

  /** Why no frame may run here, or undefined when all is well. */
  fault(): string | undefined {
    if (this.released) return "the stack has been disposed of; make a new one";
    return this.origin.fault?.();
  }

  /** Puts `occupant` on it, or throws. `what` begins with "Cannot". */
  occupy(occupant: Occupant, what: string): void {
    const fault = this.fault();
    if (fault !== undefined) throw new Error(`${what}: ${fault}`);
    if (this.occupant !== undefined) {
      throw new Error(
        `${what}: another generator is on this stack and has not finished; give each its own stack`,
      );
    }
    if (this.origin.shareable) {
      for (const other of occupiedSlices) {
        if (other.limit >= this.base || this.limit >= other.base) continue;
        throw new Error(
          `${what}: the memory of its stack overlaps that of another generator's, which has not ` +
            "finished; give each its own",
        );
      }
      occupiedSlices.add(this);
    }
    this.occupant = occupant;
    if (!this.origin.guarded) native().registerStack?.(this.base, this.limit);
  }

  /** Takes `occupant` off again, if it is the one that is on it. */
  vacate(occupant: Occupant): void {
    if (this.occupant !== occupant) return;
    this.occupant = undefined;
    if (!this.origin.guarded) native().deregisterStack?.(this.base, this.limit);
    occupiedSlices.delete(this);
  }

  /** For `[Symbol.dispose]()`: gives the memory back unless somebody is on it. */
  dispose(): void {
    if (this.released) return;
    if (this.occupant !== undefined) {
      throw new Error(
        "Cannot dispose of stack: a generator on it has not finished; dispose of the generator " +
          "instead, which ends it and frees its stack",
      );
    }
    this.released = true;
    this.bottom = undefined;
    this.origin.release();
  }

  /** For the net under it all: ends whoever is on it, then gives the memory back. */
  reclaim(): void {
    if (this.occupant !== undefined) endGarbage(this.occupant);
    this.occupant = undefined;
    this.dispose();
  }
}

const memories = new WeakMap<object, StackMemory>();

/** Makes `stack` known as fringe's own. */
export function register<S extends Stack>(stack: S, memory: StackMemory): void {
  memories.set(stack, memory);
}

/** The memory of a stack, or a TypeError when it is not one of fringe's. */
export function memoryOf(stack: Stack): StackMemory {
  const memory = typeof stack === "object" && stack !== null ? memories.get(stack) : undefined;
  if (memory !== undefined) return memory;
  throw new TypeError(
    `Cannot use ${describe(stack)} as a stack: make one with new OsStack(), new OwnedStack() or ` +
      "new SliceStack() in this Worker",
  );
}

/** Checks a size that a user gave; returns it. `what` begins with "Cannot". */
export function checkSize(size: number, minimum: number, what: string): number {
  if (typeof size !== "number") {
    throw new TypeError(`${what}: size must be a number of bytes: got ${describe(size)}`);
  }
  // Beyond 2^47 there are no addresses (psABI for AMD64, section 3.3.2).
  if (!Number.isInteger(size) || size < minimum || size > 2 ** 47) {
    throw new RangeError(
      `${what}: size must be a whole number of bytes from ${minimum} to 2^47: got ${size}`,
    );
  }
  return size;
}

/** A value as it can stand in a message; no getter and no proxy can prevent it. */
export function describe(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(cut(value));
  if (typeof value === "bigint") {
    return BigInt.asIntN(128, value) === value ? `${value}n` : "a bigint of more than 128 bits";
  }
  if (typeof value === "function") return named("a function", "function", () => value.name);
  if (typeof value === "object" && value !== null) {
    return named("an object", "an object of class", () => value.constructor?.name);
  }
  return String(value);
}

function named(otherwise: string, what: string, nameOf: () => unknown): string {
  try {
    const name = nameOf();
    return typeof name === "string" && name !== "" ? `${what} ${cut(name)}` : otherwise;
  } catch {
    return otherwise;
  }
}

function cut(text: string): string {
  return text.length > 100 ? `${text.slice(0, 100)}…` : text;
}
