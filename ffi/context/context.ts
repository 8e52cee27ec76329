// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * A native context: what runs on a stack, be it the body of a generator or a C function that is
 * called. `begin` lays the first frame, `resumeU32` and its like of `library/symbols.ts` enter,
 * `arrive` is asked whenever native code is back, `end` ends the frames early.
 *
 * Native code is the owner of the truth: the status in the mailbox says whether frames are left.
 * What stands here follows it, and can do so at any time later. So whatever is cut short on the
 * way, for want of V8's stack or by an interrupt, is done by the next call.
 */

import { Mailbox, SLOT_SIZE, Status } from "../layout.ts";
import { native } from "../library/find.ts";
import { isOverrun, layCanary } from "../stack/canary.ts";
import type { StackMemory } from "../stack/stack.ts";
import { Kept } from "../value/kept.ts";
import { Lent } from "../value/lent.ts";
import { warnOfAbandoned } from "./abandoned.ts";
import { framesOf, type NativeFrame } from "./backtrace.ts";
import { type NativeError, readReport } from "./exception.ts";
import { type Library, Occupancy } from "./occupancy.ts";
import { overflowError, overrunError } from "./outcome.ts";

/** How a context is entered without ado. Only `Generator.resume` asks. */
export const Entry = {
  /** Not at all: look at the context first. */
  checked: 0,
  /** By `resumeU32` or `resumeI32` at once: input and output are of that type. */
  u32: 1,
  i32: 2,
  /** By way of the mailbox. */
  mailbox: 3,
} as const;

/** What runs on a context, as far as it is of interest here. */
export interface Subject {
  readonly name: string;
  readonly library: Library;
  /** Where its C++ runtime, if any, keeps its exceptions; looked up when it is first needed. */
  readonly exceptionState: () => Deno.PointerValue;
}

/** What ends a context in a way of its own: a call, which may tell C to stop. */
export interface Ender {
  end(): void;
}

/** What is wrong with touching a context meanwhile. */
export const ELSEWHERE = "it is running on another thread; await its Promise first";

/** A native context. */
export class Context extends Occupancy {
  entry: number = Entry.checked;
  handle: Deno.PointerObject | null = null;
  /** The mailbox's status, which native code sets when the body finishes. */
  status!: Int32Array;
  view!: DataView<ArrayBuffer>;
  readonly memory: StackMemory;
  /** The call that it runs, if it is not the body of a generator. */
  call: Ender | undefined;
  /** What C may use until it returns, if it runs on this thread; generators have no need of it. */
  #kept: Kept | undefined;
  /** The same, and native code's mailbox, if it runs on others. */
  #lent: Lent | undefined;
  /** What `init` takes again and again: the base of the stack, and where `view` lies. */
  #base: Deno.PointerValue = null;
  #box: Deno.PointerValue = null;
  #subject: Subject | undefined;

  constructor(memory: StackMemory) {
    super();
    this.memory = memory;
    this.#makeMailbox(Mailbox.size);
  }

  #makeMailbox(size: number): void {
    // A buffer of its own, not a small typed array: those may lie in V8's heap, where they move.
    const buffer = new ArrayBuffer(size);
    this.status = new Int32Array(buffer, Mailbox.status, 1);
    this.view = new DataView(buffer);
    this.#box = null;
  }

  /**
   * Makes ready for the arguments of a call: room in the mailbox for words that a function gets on
   * its stack, and what keeps strings and buffers.
   */
  prepare(stackCount: number, nonblocking: boolean): Kept | Lent {
    const size = Mailbox.stack + stackCount * SLOT_SIZE;
    if (size > this.view.byteLength) this.#makeMailbox(size);
    if (nonblocking) {
      // Its mailbox lies where frames were.
      native().registerStack?.(this.memory.base, this.memory.limit);
      return this.#lent = new Lent(this.memory.base, this.view);
    }
    this.#kept ??= new Kept();
    this.#kept.clear();
    return this.#kept;
  }

  /** Lays the first frame: `body` will begin at the first resume. It runs `subject`. */
  begin(body: Deno.PointerObject, subject: Subject): void {
    const exceptionState = subject.exceptionState();
    const { addressOfBuffer, init, pointerTo } = native();
    this.status[0] = Status.suspended;
    layCanary(this.memory);
    let base = this.#base ??= pointerTo(this.memory.base);
    let box = this.#box ??= pointerTo(addressOfBuffer(this.view));
    if (this.#lent !== undefined) {
      base = pointerTo(this.#lent.base);
      box = pointerTo(this.#lent.mailbox);
    }
    const handle = init(base, body, box, exceptionState, this.memory.limit);
    this.#subject = subject;
    this.enter(subject.library);
    // Last, and nothing but an assignment: a context has a handle if and only if it is entered.
    this.handle = handle;
  }

  /** Before native code goes on: gives it what JavaScript has changed, if it has copies. */
  lend(): void {
    this.#lent?.lend();
  }

  /** After native code has suspended: takes over what it has changed. */
  takeBack(): void {
    this.#lent?.takeBack(Mailbox.size);
  }

  /** Whether the body waits to be resumed. */
  get isSuspended(): boolean {
    return this.handle !== null && this.status[0] === Status.suspended;
  }

  /**
   * To be asked whenever native code is back and may not have suspended in good order. Follows the
   * status, and returns what the body has ended by; undefined if it has suspended, or returned.
   * Whoever gets an error has to throw it. `what` begins with "Cannot".
   */
  arrive(what: string): NativeError | RangeError | undefined {
    const { handle, memory } = this;
    if (handle === null) return undefined;
    let error: NativeError | RangeError | undefined;
    const status = this.status[0];
    if (status === Status.overflowed) error = overflowError(what, memory);
    if (status === Status.throwing) {
      const make = readReport(this.view);
      // The report has been read: now native code forgets it, and the context ends.
      native().resumeI32(handle, 0);
      this.status[0] = Status.thrown;
      error = make();
    }
    if (isOverrun(memory)) {
      const isSuspended = this.status[0] === Status.suspended;
      error = overrunError(what, memory, isSuspended, error);
      // They are not to be run any more, and not to be unwound: it would read what is written over.
      if (isSuspended) this.status[0] = Status.abandoned;
    }
    if (this.status[0] !== Status.suspended) this.#forget();
    return error;
  }

  /** No native frame is left: native code has said so. */
  #forget(): void {
    this.#letGo();
    this.leave();
    this.entry = Entry.checked;
    this.call = undefined;
    this.handle = null;
  }

  /** Lets go of what a call has prepared that was refused while it was made ready. */
  release(): void {
    if (this.handle === null) this.#letGo();
  }

  /** Lets go of strings and buffers: no frame is left that could use them. */
  #letGo(): void {
    this.#kept?.clear();
    this.#lent?.release();
    this.#lent = undefined;
  }

  /**
   * Ends the body early, if it has begun and not finished: its frames are unwound, their cleanups
   * run. Never called by the garbage collector itself, but from a task after it.
   *
   * @throws {NativeError} If it throws an exception of its own in place of that; it has ended then.
   */
  end(): void {
    const { handle, memory } = this;
    if (handle === null) return;
    if (this.elsewhere) throw new Error(`Cannot end a call: ${ELSEWHERE}`);
    // Frames whose memory is gone are gone too.
    if (memory.fault() !== undefined) return this.#forget();
    if (this.status[0] === Status.suspended) {
      native().cancel(handle, memory.limit);
      this.takeBack();
    }
    const isAbandoned = this.status[0] === Status.abandoned;
    const name = this.#subject!.name;
    const error = this.arrive(`Cannot end ${name}`);
    if (isAbandoned) warnOfAbandoned(name, memory.size, this.view);
    if (error !== undefined) throw error;
  }

  override endGently(): void {
    (this.call ?? this).end();
  }

  /** Where the body is suspended. */
  frames(): NativeFrame[] {
    if (this.handle === null) return [];
    const fault = this.elsewhere ? ELSEWHERE : this.memory.fault();
    if (fault !== undefined) throw new Error(`Cannot take a backtrace: ${fault}`);
    return framesOf(this.handle);
  }
}
