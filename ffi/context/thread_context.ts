// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * A context whose calls run on a thread of their own, from the first instruction to the last: what
 * `nonblocking: "thread"` asks for. `native/call/thread.zig` says what the thread does. Here its
 * address is the handle of the context, and who enters C tells the thread to go on, and waits.
 */

import { native, nativeThreads } from "../library/find.ts";
import { Status } from "../layout.ts";
import { memoryOf } from "../stack/stack.ts";
import type { ThreadStack } from "../stack/thread_stack.ts";
import { Lent } from "../value/lent.ts";
import { framesBy, type NativeFrame } from "./backtrace.ts";
import { CallContext, type Ender } from "./call_context.ts";
import type { Subject } from "./context.ts";

/** A native context for calls on a thread. */
export class ThreadContext extends CallContext {
  readonly #room: bigint;
  readonly #thread: Deno.PointerObject;

  constructor(stack: ThreadStack) {
    super(memoryOf(stack));
    this.#room = stack.room;
    this.#thread = native().pointerTo(stack.thread)!;
  }

  override prepare(subject: Subject, stackCount: number): void {
    this.lookAt(subject, stackCount);
    this.lent = new Lent(this.#room, this.view);
  }

  override beginElsewhere(call: Ender): void {
    const exceptionState = this.subject!.exceptionState();
    this.status[0] = Status.suspended;
    this.lent!.lendMailbox();
    nativeThreads().layThread(this.#thread, this.lent!.mailbox, exceptionState);
    this.call = call;
    this.occupy();
    // As in `begin`: assignments only, in `enter` too.
    this.handle = this.#thread;
  }

  override resume(thread: Deno.PointerObject): void {
    const { goThread, waitThread } = nativeThreads();
    goThread(thread);
    waitThread(thread);
  }

  override resumeElsewhere(thread: Deno.PointerObject): Promise<unknown> {
    const { goThread, waitThreadElsewhere } = nativeThreads();
    // C goes on at once, while Deno looks for a thread that waits.
    goThread(thread);
    return waitThreadElsewhere(thread);
  }

  protected override unwindFrames(thread: Deno.PointerObject): void {
    nativeThreads().endThread(thread);
  }

  protected override trace(thread: Deno.PointerObject): NativeFrame[] {
    return framesBy((addresses, count) => nativeThreads().traceThread(thread, addresses, count));
  }
}
