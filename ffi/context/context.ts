// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * A native context: what runs on a stack, be it the body of a generator or a C function that is
 * called. Its life:
 *
 *     begin()                     lays the first frame: `handle` is set, the context is occupied
 *     resumeU32() and its like    native code runs (library/symbols.ts), and comes back
 *     arrive()                    follows the status: is a frame left, is there an error?
 *     ...                         again, while the status is `suspended`
 *     end()                       or: the frames are ended early
 *     #forget()                   no frame is left: `handle` is null, the context is free
 *
 * Native code owns the truth: the status in the mailbox says whether frames are left, and native
 * code alone ends them. The fields here follow, and may be late. V8 may cut any function short,
 * when its stack is used up or at an interrupt (`timeout` of `node:vm`). Then the next call of
 * `arrive` or `end` finds the status, and does what is still to be done.
 */

import { Mailbox, Status } from "../layout.ts";
import { native } from "../library/find.ts";
import type { Native } from "../library/symbols.ts";
import { isOverrun, layCanary } from "../stack/canary.ts";
import type { StackMemory } from "../stack/stack.ts";
import { warnOfAbandoned } from "./abandoned.ts";
import { framesOf, type NativeFrame } from "./backtrace.ts";
import { type NativeError, readReport } from "./exception.ts";
import { type Mailboxes, viewAt, withRoom, WORDS } from "./mailbox.ts";
import { type Library, Occupancy } from "./occupancy.ts";
import { overflowError, overrunError } from "./outcome.ts";

/** The ways into a context, which `Generator.resume` tells apart by one comparison each. */
export const Entry = {
  /** The context may have no frames, no memory, or no guard page: look before it is entered. */
  checked: 0,
  /** `resumeU32` at once: input and output are of that type, and travel in a register. */
  u32: 1,
  /** The same by `resumeI32`. */
  i32: 2,
  /** The same for a smaller integer, in and out. */
  word: 3,
  /** Types of all kinds, each on its way: in a register, or through the mailbox. */
  mailbox: 4,
  /** The output is a pointer, which native code takes out of the mailbox. */
  pointer: 5,
} as const;

/** The native function that runs on a context. */
export interface Subject {
  readonly name: string;
  readonly library: Library;
  /** Where its C++ runtime, if it has one, keeps exceptions; looked up when first needed. */
  readonly exceptionState: () => Deno.PointerValue;
}

/** Why a context cannot be touched, in a message, while another thread runs its frames. */
export const ELSEWHERE = "it is running on another thread; await its Promise first";

/** A native context. */
export class Context extends Occupancy {
  /** The way in for the next resume: see `Entry`. */
  entry: number = Entry.checked;
  /** What native code calls the context; null if and only if there are no frames. */
  handle: Deno.PointerObject | null = null;
  /** Where the mailbox's status is, which native code sets when the body finishes: `status[at]`. */
  status!: Int32Array<ArrayBuffer>;
  at = 0;
  /** Of a body: the mailboxes that its own is one of. */
  boxes!: Mailboxes;
  /** The mailbox. A body has none before `lookInto` has been called. */
  view!: DataView<ArrayBuffer>;
  // Native functions that resume, from when the first body begins. They are properties of the
  // prototype, which `takeResume` of generator.ts sets: V8 takes one for a constant that is written
  // once, and it is fewer bytes of bytecode than a variable of a module.
  declare readonly resumeU32: Native["resumeU32"];
  declare readonly resumeI32: Native["resumeI32"];
  declare readonly resumePointer: Native["resumePointer"];
  declare readonly resumeToPointer: Native["resumeToPointer"];
  readonly memory: StackMemory;
  /** Of a body: where it has had nothing to unwind. */
  readonly #idle: Uint8Array<ArrayBuffer> | null;
  /** What runs here, or was the last to. */
  protected subject: Subject | undefined;

  constructor(memory: StackMemory, idle: Uint8Array<ArrayBuffer> | null = null) {
    super();
    this.memory = memory;
    this.#idle = idle;
  }

  /** Takes a mailbox for the body that begins here, the only one ever to; returns its address. */
  #takeMailbox(): bigint {
    const mailboxes = withRoom();
    const { words, address, next } = mailboxes;
    mailboxes.next += WORDS;
    this.status = words;
    this.at = next;
    this.boxes = mailboxes;
    return address + BigInt(next * words.BYTES_PER_ELEMENT - Mailbox.status);
  }

  /**
   * Sets `view`, if that has not been done. Of a body nobody looks at more than its values and the
   * status as a rule, and there may be a million of those.
   */
  lookInto(): DataView<ArrayBuffer> {
    return this.view ??= viewAt(this.status, this.at);
  }

  protected setView(view: DataView<ArrayBuffer>): void {
    // As far as the input, which a first resume may write here.
    const status = new Int32Array(view.buffer, view.byteOffset + Mailbox.status, WORDS);
    this.status = status;
    this.at = 0;
    this.view = view;
  }

  /** Lays the first frame: `body` begins at the first resume, and runs `subject`. */
  begin(body: Deno.PointerObject, subject: Subject): void {
    const exceptionState = subject.exceptionState();
    const { top, limit } = this.memory;
    const mailbox = this.#takeMailbox();
    this.status[this.at] = Status.suspended;
    layCanary(this.memory);
    const handle = native().init(top, body, mailbox, exceptionState, limit);
    this.subject = subject;
    this.enter(subject.library);
    // Assignments only, in `enter` too, from the moment at which the library knows the context: so
    // a context has a handle if and only if its library knows it, wherever V8 cuts this short.
    this.handle = handle;
  }

  /** Whether no frame is on the stack. */
  override get isDone(): boolean {
    return this.handle === null;
  }

  /** Whether the body waits to be resumed. */
  get isSuspended(): boolean {
    return this.handle !== null && this.status[this.at] === Status.suspended;
  }

  /**
   * To be called whenever native code is back and may have done something else than suspend.
   * Follows the status: where no frame is left, the context is free. Returns the error that the
   * body has ended by, which the caller throws; undefined if the body has suspended or returned.
   * `what` begins with "Cannot".
   */
  arrive(what: string): NativeError | RangeError | undefined {
    const { handle, memory } = this;
    if (handle === null) return undefined;
    let error: NativeError | RangeError | undefined;
    const status = this.status[this.at];
    if (status === Status.overflowed) error = overflowError(what, memory);
    if (status === Status.throwing) {
      const make = readReport(this.lookInto());
      // Entered once more, native code frees the exception, and the context ends.
      this.resume(handle);
      this.status[this.at] = Status.thrown;
      error = make();
    }
    if (isOverrun(memory)) {
      const isSuspended = this.status[this.at] === Status.suspended;
      error = overrunError(what, memory, isSuspended, error);
      // Its frames may have been written over: they can be neither run nor unwound.
      if (isSuspended) this.status[this.at] = Status.abandoned;
    }
    if (this.status[this.at] !== Status.suspended) this.#forget();
    return error;
  }

  /** Makes the context free: native code has said that no frame is left, or the memory is gone. */
  #forget(): void {
    // First, since it may be cut short: the context still has its handle then, and does it again.
    this.letGo();
    // Plain assignments, to the end.
    this.leave();
    this.entry = Entry.checked;
    this.handle = null;
    // The next call here may be cut short between its handle and its first frame. It has not ended
    // as this one did.
    this.status[this.at] = Status.returned;
  }

  /** To be done before the context is free. */
  protected letGo(): void {}

  /**
   * Ends the body early, if there are frames: they are unwound, their cleanups run. Where this was
   * cut short, call it again. Never called during a garbage collection, only from a task after it.
   *
   * @throws {NativeError} If a cleanup throws an exception of its own; the body has ended then.
   */
  end(): void {
    const { handle, memory } = this;
    if (handle === null) return;
    if (this.elsewhere) throw new Error(`Cannot end a call: ${ELSEWHERE}`);
    // Frames whose memory is gone are gone too.
    if (memory.fault() !== undefined) return this.#forget();
    if (this.status[this.at] === Status.suspended) {
      this.endFrames(handle);
    }
    const isAbandoned = this.status[this.at] === Status.abandoned;
    const name = this.subject!.name;
    const error = this.arrive(`Cannot end ${name}`);
    if (isAbandoned) warnOfAbandoned(name, memory.size, this.lookInto());
    if (error !== undefined) throw error;
  }

  /** Has native code unwind the frames. */
  protected endFrames(handle: Deno.PointerObject): void {
    native().end(handle, this.memory.limit, this.#idle);
  }

  override endGently(): void {
    this.end();
  }

  /** Where the body is suspended. */
  frames(): NativeFrame[] {
    if (this.handle === null) return [];
    const fault = this.elsewhere ? ELSEWHERE : this.memory.fault();
    if (fault !== undefined) throw new Error(`Cannot take a backtrace: ${fault}`);
    return this.trace(this.handle);
  }

  /** The frames of native code that is suspended. */
  protected trace(handle: Deno.PointerObject): NativeFrame[] {
    return framesOf(handle);
  }

  /** Has native code go on until it has suspended or ended. Not for what has to be fast. */
  resume(handle: Deno.PointerObject): void {
    native().resumeI32(handle, 0);
  }
}
