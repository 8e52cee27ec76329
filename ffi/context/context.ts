// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * A native context on a stack: what a generator with a native body is, and what each call of a C
 * function uses. It outlives the object that the user holds, so that the finalizer has something to
 * end.
 */

import { framesOf, type NativeFrame } from "./backtrace.ts";
import { type NativeError, readReport } from "./exception.ts";
import { Kept, Lent } from "../value/kept.ts";
import { native } from "../library/find.ts";
import { Mailbox, SLOT_SIZE } from "./mailbox.ts";
import { isOverrun, layCanary, overflowError, overrunError } from "./overflow.ts";
import type { Occupant, StackMemory } from "../stack/stack.ts";
import { Status } from "../library/status.ts";

/** How a context can be entered next. */
export const Mode = {
  /** Not at all: it has not begun, or it has finished. */
  ended: 0,
  /** It is running, or in a handler. */
  running: 1,
  /** By `resumeU32` or `resumeI32` at once: input and output are of that type. */
  u32: 2,
  i32: 3,
  /** By way of the mailbox. */
  mailbox: 4,
  /**
   * The same, with a look at the memory: the first time, and always when it has no guard page or
   * can vanish.
   */
  checked: 5,
  /** It stands for a TypeScript body, which V8 resumes. */
  script: 6,
} as const;

/** Something that has native frames in a user's library, and must be gone before that is closed. */
export interface Lifetime {
  readonly contexts: Set<Context>;
}

/** What runs on a context, as far as it is of interest here. */
export interface Subject {
  readonly name: string;
  /** Where its C++ runtime, if any, keeps its exceptions; looked up when it is first needed. */
  readonly exceptionState: () => Deno.PointerValue;
}

/** What is wrong with touching a context meanwhile. */
export const ELSEWHERE = "it is running on another thread; await its Promise first";

/** A native context. */
export class Context {
  mode: number = Mode.ended;
  handle: Deno.PointerObject | null = null;
  /** The mailbox's status, which native code sets when the body finishes. */
  status!: Int32Array;
  view!: DataView<ArrayBuffer>;
  readonly memory: StackMemory;
  /** What C may use until it returns, if it runs on this thread; generators have no need of it. */
  #kept: Kept | undefined;
  /** The same, and native code's mailbox, if it runs on others. */
  #lent: Lent | undefined;
  /** The call that it runs, which knows how to end it gently. */
  call: Occupant | undefined;
  /** Why it ended, if neither its body nor its user did it. */
  reason: string | undefined;
  /** Whether another thread is running it, so that nothing here may touch it. */
  elsewhere = false;
  /** What `init` takes again and again: the base of the stack, and where `view` lies. */
  #base: Deno.PointerValue = null;
  #box: Deno.PointerValue = null;
  #lifetime: Lifetime | undefined;
  #subject: Subject | undefined;

  constructor(memory: StackMemory) {
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
    this.#subject = subject;
    const { addressOfBuffer, init, pointerTo } = native();
    const { base } = this.memory;
    this.reason = undefined;
    this.status[0] = Status.suspended;
    layCanary(this.memory);
    if (this.#lent !== undefined) {
      const { base, mailbox } = this.#lent;
      this.handle = init(pointerTo(base), body, pointerTo(mailbox), exceptionState);
    } else {
      this.#base ??= pointerTo(base);
      this.#box ??= pointerTo(addressOfBuffer(this.view));
      this.handle = init(this.#base, body, this.#box, exceptionState);
    }
    this.mode = Mode.checked;
  }

  /** Makes `lifetime` end it, until it finishes. */
  bind(lifetime: Lifetime): void {
    if (this.#lifetime !== undefined) return;
    this.#lifetime = lifetime;
    lifetime.contexts.add(this);
  }

  /** Before native code goes on: gives it what JavaScript has changed, if it has copies. */
  lend(): void {
    this.#lent?.lend();
  }

  /** After it has suspended: takes over what it has changed. */
  takeBack(): void {
    this.#lent?.takeBack(Mailbox.size);
  }

  /**
   * Asked whenever native code is back: what it has ended by, if it has neither suspended nor
   * returned. Whoever takes it has to throw it; no frame is left then. `what` begins with "Cannot".
   */
  takeError(
    what: string,
    handle: Deno.PointerObject = this.handle!,
  ): NativeError | RangeError | undefined {
    const status = this.status[0];
    if (status === Status.overflowed) return overflowError(what, this.memory);
    let thrown: NativeError | undefined;
    if (status === Status.throwing) {
      try {
        thrown = readReport(this.view.getBigUint64(Mailbox.output, true));
      } finally {
        // Also if a program's own Error.prepareStackTrace throws.
        native().resumeI32(handle, 0);
      }
    }
    if (!isOverrun(this.memory)) return thrown;
    return overrunError(what, this.memory, status === Status.suspended, thrown);
  }

  /** Notes that no native frame is left: the stack is free for another. */
  finish(): void {
    this.#forget();
    this.memory.vacate(this);
  }

  #forget(): void {
    this.mode = Mode.ended;
    this.handle = null;
    this.call = undefined;
    if (this.#lifetime !== undefined) {
      this.#lifetime.contexts.delete(this);
      this.#lifetime = undefined;
    }
  }

  /** Gives back what was lent, once no frame is left that could use it. */
  release(): void {
    this.#lent?.release();
    this.#lent = undefined;
  }

  /**
   * Ends it early, if it has begun and not finished: its frames are unwound, their cleanups run.
   * Never called by the garbage collector itself, but from a task after it.
   *
   * @throws {NativeError} If it throws an exception of its own in place of that; it has ended then.
   */
  end(): void {
    const { handle } = this;
    if (handle === null) return;
    if (this.elsewhere) throw new Error(`Cannot end a call: ${ELSEWHERE}`);
    // What fails on the way, for want of V8's stack, can be done again: it counts as ended last.
    let error: Error | undefined;
    let isAbandoned = false;
    // Frames whose memory is gone are gone too.
    if (this.memory.fault() === undefined) {
      isAbandoned = native().cancel(handle, this.memory.limit) === Status.abandoned;
      this.takeBack();
      error = this.takeError("Cannot end it", handle);
    }
    this.#forget();
    this.release();
    this.memory.vacate(this);
    if (isAbandoned) warnOf(this.#subject!.name, this.memory.size);
    if (error !== undefined) throw error;
  }

  /** The same because the library goes away, which whoever goes on is then told. */
  close(reason: string): void {
    this.reason = reason;
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

const warned = new Set<string>();

/** Says that frames have been abandoned: no error, for the stack has come back, but no secret. */
function warnOf(name: string, size: number): void {
  if (warned.has(name)) return;
  warned.add(name);
  console.warn(
    `fringe: ${name} was ended early, and its frames could not be unwound. Fewer than 8 KiB of ` +
      `its stack of ${size} bytes were free, or its code has no unwind tables, or its library ` +
      "has an unwinder of its own (link it with the shared libgcc_s), or a cleanup had suspended." +
      " The stack comes back; what the frames held (memory, locks, files) does not. This is said" +
      " once for each function",
  );
}
