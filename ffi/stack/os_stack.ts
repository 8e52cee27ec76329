// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** Stacks from the operating system. */

import { native } from "../library/find.ts";
import { overflowOf } from "../context/overflow.ts";
import { checkKeys } from "../call/signature.ts";
import { checkSize, describe, type GuardedStack, register, StackMemory } from "./stack.ts";
import { check, Status } from "../library/status.ts";

/** The default size, in bytes; `size_default` in `native/stack/os_stack.zig`. */
const SIZE_DEFAULT = 1024 * 1024;

/** Where a stack lies. */
export type Bounds = readonly [base: bigint, limit: bigint];

/** What nobody uses any more, and the system did not take back; the longest waiting first. */
const left: Bounds[] = [];

/** Maps a stack; `recover`: an overflow is to be thrown. `what` begins with "Cannot". */
export function map(size: number, recover: boolean, what: string): Bounds {
  unmapLeft();
  const bounds = new BigUint64Array(new ArrayBuffer(16));
  check(native().mapStack(BigInt(size), recover, bounds), what);
  return [bounds[0]!, bounds[1]!];
}

/**
 * Unmaps a stack. A hole makes two mappings of one, and a process that has no more of them is
 * refused. Nobody could do anything about that, so it is no error: the system is asked again later.
 */
export function unmap(bounds: Bounds): void {
  if (isUnmapped(bounds)) unmapLeft();
  else left.push(bounds);
}

/** Unmaps what is left, up to what is refused again. */
function unmapLeft(): void {
  for (let bounds; (bounds = left.shift()) !== undefined;) {
    if (isUnmapped(bounds)) continue;
    left.push(bounds);
    return;
  }
}

function isUnmapped([base, limit]: Bounds): boolean {
  return native().unmapStack(base, limit) === Status.suspended;
}

const net = new FinalizationRegistry<StackMemory>((memory) => memory.reclaim());

/** What `new OsStack()` takes after the size. */
export interface OsStackOptions {
  /**
   * What happens when a native body, or a C function that is called on it, uses up the stack:
   *
   * - "report", the default: it is written to stderr, with the native frames; then the process ends
   *   by SIGSEGV.
   * - "throw": `resume()`, or the call, throws a `RangeError`, and the stack can be used again. Its
   *   `cause` is a `NativeError` with the innermost native frames. They are abandoned, not unwound:
   *   no destructor runs, memory stays allocated, a lock stays locked, and a structure that was
   *   being changed stays half-changed. Use it where C is known to stand that, such as a parser
   *   with a state of its own, which you then give up.
   */
  readonly overflow?: "report" | "throw" | undefined;
}

/**
 * An anonymous memory mapping with a guard page below it.
 *
 * Pages are committed when they are first touched, so a generous size costs address space only; the
 * default is 1 MiB. The memory goes back with `using` or `[Symbol.dispose]()`, else when the
 * object is garbage.
 *
 * A body in C or C++ that is ended early is unwound, with its destructors, only if 8 KiB are free
 * below its suspended frame; with less it is abandoned.
 *
 * @example
 * ```ts
 * import { OsStack } from "@fringe/fringe";
 *
 * using stack = new OsStack(64 * 1024);
 * console.log(stack.size, stack.guarded); // 65536 true
 * ```
 */
export class OsStack implements GuardedStack {
  readonly #memory: StackMemory;

  /**
   * Maps a stack.
   *
   * @param size In bytes, 0 to 2^47, rounded up to whole pages of 4,096; 0 gives one page.
   * @param options What happens when it is used up.
   * @throws {RangeError} If the size is negative, not whole, or too large.
   * @throws {TypeError} If the options are not understood.
   * @throws {FringeError} If the system has no memory, or no mapping, left.
   */
  constructor(size: number = SIZE_DEFAULT, options: OsStackOptions = {}) {
    const what = "Cannot map stack";
    checkSize(size, 0, what);
    if (typeof options !== "object" || options === null) {
      throw new TypeError(
        `${what}: options must be an object such as { overflow }: got ${describe(options)}`,
      );
    }
    checkKeys(options, ["overflow"], `${what}: options`);
    const overflow = overflowOf(options.overflow, what);
    const bounds = map(size, overflow === "throw", `${what} of ${size} bytes`);
    const release = () => unmap(bounds);
    this.#memory = new StackMemory(...bounds, { guarded: true, overflow, release });
    register(this, this.#memory);
    net.register(this, this.#memory, this);
  }

  /** One past the highest usable byte. */
  get base(): bigint {
    return this.#memory.base;
  }

  /** The lowest usable byte; the guard page lies below it. */
  get limit(): bigint {
    return this.#memory.limit;
  }

  /** How many bytes can be used. */
  get size(): number {
    return this.#memory.size;
  }

  /** Always true: the page below `limit` can be neither read nor written. */
  get guarded(): true {
    return true;
  }

  /**
   * Unmaps the stack; once is enough, more does nothing. Where the system refuses, that is no
   * error: it is asked again when another stack is made or disposed of.
   *
   * @throws {Error} If a generator on it has not finished.
   */
  [Symbol.dispose](): void {
    this.#memory.dispose();
    net.unregister(this);
  }
}
