// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * A context that runs calls of C functions, one after the other. What a call needs stays for the
 * next one: the mailbox, the frame that each begins with, and what the mailbox has of the function:
 *
 *     prepare()         for the first call, and where the function is another than last time
 *     enterFirst()      the library knows the context; C runs to its first callback, or to its end
 *     arrive()          as of any context
 *
 * A function that returns at once is never in the list of its library, where `f()` calls it: no
 * code that could look there runs meanwhile, and `sync.ts` has a list of its own.
 *
 *     enterFirst()
 *     forgetReturned()  C has returned, and the context is free
 *     occupy()          or: C has suspended, or ended in another way; `arrive` is next
 *
 * Where C is to run on other threads, each call begins as a body does, by `beginElsewhere`.
 */

import { Mailbox, SLOT_SIZE, Status } from "../layout.ts";
import { native, nativeStacks } from "../library/find.ts";
import { layCanary } from "../stack/canary.ts";
import { Kept } from "../value/kept.ts";
import { Lent } from "../value/lent.ts";
import { Context, type Subject } from "./context.ts";
import { callMailbox } from "./mailbox.ts";

/** What ends a context more gently than by unwinding: a call, which may tell C to stop. */
export interface Ender {
  end(): void;
}

/** The turn of exclusive functions (`call/turn.ts`, above here), which a call holds. */
export interface Held {
  /** Passes it on to the next call. */
  pass(): void;
}

/** A native context for calls. */
export class CallContext extends Context {
  /** The call that runs here, or was the last one to. */
  call: Ender | undefined;
  /** The function whose address, and whose thunks, the mailbox has since an earlier call. */
  written: Subject | undefined;
  /** Strings and buffers for C on this thread. */
  readonly kept: Kept = new Kept();
  /** Copies of strings and buffers, and native code's own mailbox, for C on another thread. */
  lent: Lent | undefined;
  /** The turn that the call holds until it has ended. */
  turn: Held | undefined;
  /** The handle, while a call is on this thread: the same for all calls. */
  #laid: Deno.PointerObject | undefined;
  /** `__cxa_get_globals` of the C++ runtime of the function that is `written`. */
  #globals: Deno.PointerValue = null;

  /**
   * Makes ready for calls of `subject`: room in the mailbox for words that a function gets on its
   * stack, and what keeps strings and buffers. What the mailbox has of another function does not
   * count any more.
   */
  prepare(subject: Subject, stackCount: number, nonblocking: boolean): void {
    this.lookAt(subject, stackCount);
    if (!nonblocking) return this.#lay(subject);
    // For Valgrind: the mailbox lies where earlier calls had frames.
    nativeStacks().registerStack?.(this.memory.base, this.memory.limit);
    // Its mailbox takes the place of the frame that has been laid.
    this.#laid = undefined;
    this.lent = new Lent(this.memory.base, this.view);
  }

  /** Notes what is called, and has a mailbox that is large enough. */
  protected lookAt(subject: Subject, stackCount: number): void {
    this.written = undefined;
    this.subject = subject;
    const size = Mailbox.stack + stackCount * SLOT_SIZE;
    if (this.view === undefined || this.view.byteLength < size) {
      this.setView(callMailbox(stackCount));
      this.#laid = undefined;
    }
  }

  /** Lays the frame that each call on this thread begins with. */
  #lay(subject: Subject): void {
    this.#globals = subject.exceptionState();
    if (this.#laid !== undefined) return;
    const { addressOfBuffer, callBody, init } = native();
    const { base, limit } = this.memory;
    this.#laid = init(base, callBody, addressOfBuffer(this.view), this.#globals, limit)!;
    // There is no frame until it is entered.
    this.status[0] = Status.returned;
  }

  /**
   * Enters C, and comes back at its first callback or when C has ended: the status says which.
   * `isListed`: `sync.ts` has the call in its list, and its stack has a guard page.
   */
  enterFirst(call: Ender, isListed: boolean): void {
    const { call: enter } = native();
    const handle = this.#laid!;
    this.call = call;
    if (!isListed) {
      layCanary(this.memory);
      this.occupy();
    }
    // As in `begin`: assignments only, in `enter` too. With a handle, whoever has the context can
    // end the call.
    this.handle = handle;
    enter(handle, this.#globals);
  }

  /** Enters the list of the library whose function is called. */
  occupy(): void {
    this.enter(this.subject!.library);
  }

  /** Makes the context free: C has returned, and never suspended. `release` is called next. */
  forgetReturned(): void {
    this.handle = null;
  }

  /** Has C begin at the next resume, by another thread. */
  beginElsewhere(call: Ender): void {
    const { callBody, init } = native();
    const exceptionState = this.subject!.exceptionState();
    const { base, mailbox } = this.lent!;
    this.status[0] = Status.suspended;
    // Where frames of earlier calls have been: an end without a first step takes it back.
    this.lent!.lendMailbox();
    const handle = init(base, callBody, mailbox, exceptionState, this.memory.limit);
    this.call = call;
    this.occupy();
    // As in `begin`: assignments only, in `enter` too.
    this.handle = handle;
  }

  /** Has C go on until it has suspended or ended. */
  override resume(handle: Deno.PointerObject): void {
    native().resumeCall(handle, 0);
  }

  /** The same on another thread. */
  resumeElsewhere(handle: Deno.PointerObject): Promise<unknown> {
    return native().resumeElsewhere(handle, 0);
  }

  /** Before C goes on, if C has copies: gives it what JavaScript has changed. */
  lend(): void {
    this.lent?.lend();
  }

  /** After C has suspended, if C has copies: takes over what C has changed. */
  takeBack(): void {
    this.lent?.takeBack(Mailbox.size);
  }

  /**
   * Lets go of the arguments, and of the turn, of a call that was refused before it began, or has
   * only returned.
   */
  release(): void {
    if (this.handle === null) this.letGo();
  }

  /** Lets go of strings and buffers, and of the turn: no frame is left that could use them. */
  protected override letGo(): void {
    this.kept.clear();
    const { turn } = this;
    this.turn = undefined;
    turn?.pass();
    if (this.lent === undefined) return;
    this.lent.release();
    this.lent = undefined;
  }

  protected override endFrames(handle: Deno.PointerObject): void {
    // An answer may be in the mailbox that C does not come to.
    this.written = undefined;
    this.unwindFrames(handle);
    this.takeBack();
  }

  /** Has native code unwind the frames. */
  protected unwindFrames(handle: Deno.PointerObject): void {
    super.endFrames(handle);
  }

  override endGently(): void {
    (this.call ?? this).end();
  }
}
