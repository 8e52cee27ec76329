// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** Stacks in memory of the garbage collector. */

import { isExhaustion } from "../check.ts";
import { STACK_ALIGNMENT, STACK_SIZE_MIN } from "../layout.ts";
import { native } from "../library/find.ts";
import { CANARY_SIZE } from "./canary.ts";
import { checkSize, type Origin, Stack, StackMemory } from "./stack.ts";

/**
 * A stack in memory that the object owns, without a guard: a body that needs more than there is
 * writes over the memory of the process. It needs no system call and can be small, so many of them
 * are cheap; know how deep your body calls. Pass it to `Generator.unguarded`.
 *
 * A body must leave the lowest 16 bytes alone, too: as a rule a body that has gone too far is
 * noticed by them when it suspends or returns, and its generator fails with a `RangeError`. Memory
 * may have been written over by then.
 *
 * @example
 * ```ts
 * import { OwnedStack } from "fringe";
 *
 * using stack = new OwnedStack(16 * 1024);
 * console.log(stack.size, stack.guarded); // 16384 false
 * ```
 */
export class OwnedStack extends Stack {
  /**
   * Allocates a stack.
   *
   * @param size In bytes, 512 to 2^47, rounded up to a multiple of 16. 4 KiB is too small for most
   * functions of libc, which bring buffers of their own.
   * @throws {RangeError} If the size is too small, not whole, or more than V8 allocates.
   */
  constructor(size: number) {
    checkSize(size, STACK_SIZE_MIN, "Cannot allocate stack");
    const alignment = BigInt(STACK_ALIGNMENT);
    const rounded = Math.ceil(size / STACK_ALIGNMENT) * STACK_ALIGNMENT;
    let bytes;
    try {
      bytes = new Uint8Array(new ArrayBuffer(rounded + STACK_ALIGNMENT));
    } catch (error) {
      if (isExhaustion(error)) throw error;
      throw new RangeError(`Cannot allocate stack: V8 has no ${size} bytes in one piece`, {
        cause: error,
      });
    }
    const start = native().addressOfBuffer(bytes);
    const limit = (start + alignment - 1n) / alignment * alignment;
    // The buffer is known here only, so it can be neither transferred nor resized. The view of its
    // lower end keeps all of it alive, until the stack is disposed of.
    const bottom = new DataView(bytes.buffer, Number(limit - start), CANARY_SIZE);
    super(new StackMemory(limit + BigInt(rounded), limit, origin, bottom));
  }

  /** Always false. */
  override get guarded(): false {
    return false;
  }
}

const origin: Origin = {
  guarded: false,
  overflow: "report",
  shareable: false,
  release() {},
  fault: undefined,
};
