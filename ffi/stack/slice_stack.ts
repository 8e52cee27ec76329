// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** Stacks in memory of the caller. */

import { describe } from "../check.ts";
import { STACK_ALIGNMENT, STACK_SIZE_MIN } from "../layout.ts";
import { native } from "../library/find.ts";
import { isBuffer, isDetached, isResizable, nameOf, OF_ARRAY } from "../buffer.ts";
import { CANARY_SIZE } from "./canary.ts";
import { type Origin, Stack, StackMemory } from "./stack.ts";

/**
 * A stack in memory that the caller owns, without a guard. Both ends are aligned inward to
 * multiples of 16. While a generator is on it nothing else may write there; pass it to
 * `Generator.unguarded`.
 *
 * The lowest 16 bytes are the canary's, as in an `OwnedStack`.
 *
 * @example
 * ```ts
 * import { SliceStack } from "fringe";
 *
 * const memory = new Uint8Array(32 * 1024);
 * using first = new SliceStack(memory.subarray(0, 16 * 1024));
 * using second = new SliceStack(memory.subarray(16 * 1024));
 * console.log(first.size, second.size); // 16384 16384
 * ```
 */
export class SliceStack extends Stack {
  /**
   * Makes a stack of `memory`, which must stay attached and of the same size while it is used.
   *
   * @throws {TypeError} If it is not a Uint8Array, is shared with other threads, or can be resized.
   * @throws {RangeError} If fewer than 512 bytes are left once both ends are aligned.
   */
  constructor(memory: Uint8Array) {
    if (nameOf(memory) !== "Uint8Array") {
      throw new TypeError(
        `Cannot make stack: memory must be a Uint8Array: got ${describe(memory)}`,
      );
    }
    const buffer = OF_ARRAY.buffer(memory);
    if (!isBuffer(buffer)) {
      throw new TypeError(
        "Cannot make stack: memory is shared, so another thread could write over its frames; use " +
          "a Uint8Array over an ArrayBuffer",
      );
    }
    if (isResizable(buffer)) {
      throw new TypeError(
        "Cannot make stack: memory is resizable, so it could vanish under its frames; use a " +
          "Uint8Array over a buffer of fixed length",
      );
    }
    // A view of our own: its length is what the engine says, whatever the caller's object says.
    const bytes = isDetached(buffer)
      ? new Uint8Array(0)
      : new Uint8Array(buffer, OF_ARRAY.byteOffset(memory), OF_ARRAY.byteLength(memory));
    const alignment = BigInt(STACK_ALIGNMENT);
    const start = bytes.length === 0 ? 0n : native().addressOfBuffer(bytes);
    const limit = (start + alignment - 1n) / alignment * alignment;
    const base = (start + BigInt(bytes.length)) / alignment * alignment;
    if (base - limit < STACK_SIZE_MIN) {
      throw new RangeError(
        `Cannot make stack: memory of ${bytes.length} bytes is too small; at least ` +
          `${STACK_SIZE_MIN} must be left once both ends are aligned to ${STACK_ALIGNMENT}`,
      );
    }
    const origin: Origin = {
      guarded: false,
      overflow: "report",
      shareable: true,
      // V8 makes a view of a detached buffer empty. The function refers to the view, and so keeps
      // the memory alive for as long as anything runs on it.
      fault: () =>
        bytes.length === 0
          ? "the memory of its SliceStack has been detached (transferred, or grown away), and " +
            "its frames with it; keep the buffer in place while a generator is on it"
          : undefined,
      release() {},
    };
    const bottom = new DataView(buffer, bytes.byteOffset + Number(limit - start), CANARY_SIZE);
    super(new StackMemory(base, limit, origin, bottom));
  }

  /** Always false. */
  override get guarded(): false {
    return false;
  }
}
