// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** Stacks from the operating system. */

import { checkKeys, describe, own } from "../check.ts";
import { STACK_SIZE_DEFAULT } from "../layout.ts";
import { map, Mapping, unmap } from "./mapping.ts";
import { Net } from "./net.ts";
import { overflowOf } from "./overflow.ts";
import { checkSize, type GuardedStack, memoryOf, Stack, StackMemory } from "./stack.ts";

/** The safety net: unmaps the stacks that became garbage before they were disposed of. */
const net = new Net<StackMemory>((memory) => memory.reclaim());

/**
 * What `new OsStack()` takes after the size.
 *
 * @example
 * ```ts
 * import { OsStack, type OsStackOptions } from "fringe";
 *
 * const options: OsStackOptions = { overflow: "throw" };
 * using stack = new OsStack(64 * 1024, options);
 * console.log(stack.size); // 65536
 * ```
 */
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
 * An anonymous memory mapping with a guard below it: a body that runs off the end is caught. The
 * guard is a tenth of the stack, and at least 64 KiB.
 *
 * Pages are committed when they are first touched, so a generous size costs address space only; the
 * default is 1 MiB. The memory goes back with `using` or `[Symbol.dispose]()`, else when the
 * object is garbage. Where the system refuses to take it back, that is no error: it is asked again
 * when another stack is made or disposed of.
 *
 * @example
 * ```ts
 * import { OsStack } from "fringe";
 *
 * using stack = new OsStack(64 * 1024);
 * console.log(stack.size, stack.guarded); // 65536 true
 * ```
 */
export class OsStack extends Stack implements GuardedStack {
  /**
   * Maps a stack.
   *
   * @param size In bytes, 0 to 2^47, rounded up to whole pages; 0 gives one page.
   * @param options What happens when it is used up.
   * @throws {RangeError} If the size is negative, not whole, or too large.
   * @throws {TypeError} If the options are not understood.
   * @throws {FringeError} If the system has no memory, or no mapping, left.
   */
  constructor(size: number = STACK_SIZE_DEFAULT, options: OsStackOptions = {}) {
    const what = "Cannot map stack";
    checkSize(size, 0, what);
    if (typeof options !== "object" || options === null) {
      throw new TypeError(
        `${what}: options must be an object such as { overflow }: got ${describe(options)}`,
      );
    }
    checkKeys(options, ["overflow"], `${what}: options`);
    const overflow = overflowOf(own(options).overflow, what);
    const mapping = new Mapping();
    const memory = memoryIn(mapping, overflow);
    super(memory);
    net.add(this, memory);
    // Last: to look at the class, as `super` does, may have run code of the caller's.
    map(mapping, size, overflow === "throw", `${what} of ${size} bytes`);
    memory.place(mapping.base, mapping.limit);
  }

  /** Always true: the pages below `limit` can be neither read nor written. */
  override get guarded(): true {
    return true;
  }

  /**
   * Unmaps the stack; once is enough, more does nothing.
   *
   * @throws {Error} If a generator on it has not finished.
   */
  override [Symbol.dispose](): void {
    super[Symbol.dispose]();
    net.remove(memoryOf(this));
  }
}

function memoryIn(mapping: Mapping, overflow: "report" | "throw"): StackMemory {
  return new StackMemory(0n, 0n, {
    guarded: true,
    overflow,
    shareable: false,
    release: () => unmap(mapping),
    fault: undefined,
  });
}
