// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** Stacks that are threads': for calls with a thread of their own (`nonblocking: "thread"`). */

import { ThreadBlock } from "../layout.ts";
import { nativeThreads } from "../library/find.ts";
import { checkGrant } from "../library/fringe_error.ts";
import { Net } from "./net.ts";
import type { Overflow } from "./overflow.ts";
import { type GuardedStack, memoryOf, Stack, StackMemory } from "./stack.ts";

/** The safety net: gives back the threads of calls that became garbage. */
const net = new Net<StackMemory>((memory) => memory.reclaim());

/**
 * A thread of native code's, and its stack. To dispose of it gives the thread back, which native
 * code keeps for the next call, or ends. No program sees an object of this class.
 */
export class ThreadStack extends Stack implements GuardedStack {
  /** What native code has written of the thread. */
  readonly #block: DataView<ArrayBuffer>;

  /** Takes a thread whose stack has `size` bytes. `what` begins with "Cannot". */
  constructor(size: number, overflow: Overflow, what: string) {
    // Made before the thread is taken: so no interrupt can lose that.
    const block = new DataView(new ArrayBuffer(ThreadBlock.size));
    const memory = new StackMemory(0n, 0n, {
      guarded: true,
      overflow,
      shareable: false,
      release: () => nativeThreads().putThread(block),
      fault: undefined,
    });
    super(memory);
    this.#block = block;
    net.add(this, memory);
    const grant = nativeThreads().takeThread(BigInt(size), overflow === "throw", block);
    checkGrant(grant, `${what}: a thread with a stack of ${size} bytes cannot be made`);
    memory.place(this.#word(ThreadBlock.base), this.#word(ThreadBlock.limit));
  }

  #word(offset: number): bigint {
    return this.#block.getBigUint64(offset, true);
  }

  /** The thread, as native code knows it. */
  get thread(): bigint {
    return this.#word(ThreadBlock.thread);
  }

  /** The end of the memory for a mailbox, and for copies of strings and buffers. */
  get room(): bigint {
    return this.#word(ThreadBlock.room);
  }

  override get guarded(): true {
    return true;
  }

  override [Symbol.dispose](): void {
    super[Symbol.dispose]();
    net.remove(memoryOf(this));
  }
}
