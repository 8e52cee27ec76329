// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Callbacks that threads of C's call, which are in no call of fringe's: `{ threads: true }`. Such a
 * thread waits in native code (`native/call/foreign_callback.zig`), and its request is served here,
 * in the Worker that has made the callback:
 *
 *     thread        calls, waits                        goes on
 *     event loop              listen() -> drain() -> serve() -> the handler, awaited -> answer()
 *
 * While a callback holds the event loop, `listen` waits on a thread of Deno's pool. A slow timer
 * looks for requests, too, since the pool may have no free thread. While no callback does, a quick
 * timer alone looks: `listen` would hold the event loop, and Deno cannot let go of it.
 */

import { needStack } from "../check.ts";
import { Mailbox } from "../layout.ts";
import { native, nativeForeign } from "../library/find.ts";
import { checkGrant } from "../library/fringe_error.ts";
import { map, Mapping, unmap } from "../stack/mapping.ts";
import { encodeCString } from "../value/cstring.ts";
import { Answers } from "../value/kept.ts";
import { write } from "../value/value.ts";
import { isThenable, refuseObject } from "./answer.ts";
import { Passed } from "./arguments.ts";
import { tailOf } from "./tail_call.ts";
import type { Target, Thunk } from "./thunk.ts";

/** How often requests are looked for while no callback holds the event loop, in milliseconds. */
const POLLED = 5;

/**
 * How often they are looked for while one does. Deno's pool has a few dozen threads. Where each is
 * in a function that waits for the answer of a callback, none is left to listen.
 */
const POLLED_BESIDE = 50;

/** The callbacks of this Worker that are open, by the numbers of their thunks. */
let open: Map<number, ForeignCallback> | undefined;
/** How many of them hold the event loop. */
let holding = 0;
let isListening = false;
let timer: ReturnType<typeof setInterval> | undefined;
/** How often that timer looks; undefined: there is none. */
let period: number | undefined;

/** A thread that waits. */
interface Request {
  readonly mailbox: Deno.PointerObject;
  /** A copy of its mailbox. */
  readonly view: DataView<ArrayBuffer>;
  /** What the handler has been passed. */
  passed?: Passed;
}

/** A callback that threads call. */
export class ForeignCallback {
  readonly #target: Target;
  readonly #number: number;
  /** The threads that wait for a handler. */
  readonly #waiting: Set<Request> = new Set();
  #answers: ForeignAnswers | undefined;
  /** How often `ref` has been called more than `unref`. */
  #references = 0;

  /** Has threads call the thunk from now on. `what` begins with "Cannot". */
  constructor(target: Target, thunk: Thunk, what: string) {
    this.#target = target;
    this.#number = thunk.number;
    const stop = this.#plainStop();
    checkGrant(nativeForeign().openForeign(thunk.number, stop), what);
    (open ??= new Map()).set(thunk.number, this);
    this.ref();
  }

  /** What native code answers when JavaScript is gone; null: it cannot. */
  #plainStop(): DataView<ArrayBuffer> | null {
    const { hasStop, stop, resultType, what, structResult } = this.#target;
    if (!hasStop || typeof stop === "function" || structResult !== undefined) return null;
    const slot = new DataView(new ArrayBuffer(8));
    write(slot, 0, resultType, stop, what, undefined);
    return slot;
  }

  /** Holds the event loop once more; says how often it does now. */
  ref(): number {
    if (++this.#references === 1) holding++;
    update();
    return this.#references;
  }

  /** Holds it once less. */
  unref(): number {
    if (this.#references === 0) return 0;
    if (--this.#references === 0) holding--;
    update();
    return this.#references;
  }

  /**
   * Threads that call from now on get the `stop`. So do those that wait, if there is one; else they
   * get what their handlers answer.
   */
  close(): void {
    // A thread whose request has been taken is lost if it is not served.
    needStack(128);
    nativeForeign().closeForeign(this.#number);
    drain();
    if (this.#target.hasStop) {
      for (const request of this.#waiting) this.#stop(request);
    }
    open!.delete(this.#number);
    if (this.#references > 0) holding--;
    this.#references = 0;
    update();
  }

  /** Asks the handler. Nobody waits for this: what it throws is reported. */
  async serve(request: Request): Promise<void> {
    this.#waiting.add(request);
    try {
      const passed = request.passed = new Passed(request.view, this.#target, undefined);
      const answer = this.#target.handler!(...passed.values);
      this.#answer(request, isThenable(answer) ? await answer : answer);
    } catch (error) {
      this.#fail(request, error);
    }
  }

  /** Answers a thread, unless that has been done, as by `close`. */
  #answer(request: Request, value: unknown): void {
    if (!this.#waiting.has(request)) return;
    const { resultType, structResult, what, isKept } = this.#target;
    if (typeof value === "object" && value !== null) {
      refuseObject(value, what);
      if (tailOf(value) !== undefined) {
        throw new TypeError(
          `${what} is a tail call, for a thread of C's that is in no call of fringe's; answer a ` +
            "value",
        );
      }
    }
    // A getter of `then` may have closed the callback.
    if (!this.#waiting.has(request)) return;
    const { mailbox, view } = request;
    let answers: ForeignAnswers | undefined;
    if (isKept) {
      answers = this.#answers ??= new ForeignAnswers(this.#target);
      answers.next();
    }
    if (structResult !== undefined) {
      const scratch = structResult.convert(value, what, answers);
      // A getter of the struct may have closed the callback, and the thread has gone on.
      if (!this.#waiting.has(request)) return;
      structResult.put(view, scratch);
    } else {
      write(view, Mailbox.input, resultType, value, what, answers);
    }
    const { addressOfPointer, copyOut } = native();
    // All of it: a struct may fill several words.
    copyOut(addressOfPointer(mailbox), view, BigInt(view.byteLength));
    this.#waiting.delete(request);
    request.passed?.end();
    nativeForeign().answerForeign(mailbox);
  }

  /** Answers a thread with the `stop`. */
  #stop(request: Request): void {
    const { stop } = this.#target;
    try {
      if (typeof stop !== "function") return this.#answer(request, stop);
      const passed = new Passed(request.view, this.#target, undefined);
      this.#answer(request, stop(...passed.values));
      passed.end();
    } catch (error) {
      endBecauseOf(error);
    }
  }

  /** The handler has thrown, or answered wrongly. */
  #fail(request: Request, error: unknown): void {
    // The thread goes on before the error ends the program, or the program has it handled.
    if (this.#target.hasStop) this.#stop(request);
    if (!this.#waiting.has(request)) return reportError(error);
    endBecauseOf(error);
  }
}

/** Reports an error, and ends the process, since a thread waits for an answer that cannot come. */
function endBecauseOf(error: unknown): void {
  // Where nobody handles the error, Deno ends the program before the timer.
  setTimeout(() => nativeForeign().refuseForeign());
  reportError(error);
}

/** Has requests taken in the way that the callbacks want now. */
function update(): void {
  if (holding > 0 && !isListening) void listen();
  if (holding === 0 && isListening) nativeForeign().callOffForeign();
  const wanted = open!.size === 0 ? undefined : holding > 0 ? POLLED_BESIDE : POLLED;
  if (wanted === period) return;
  clearInterval(timer);
  timer = undefined;
  period = wanted;
  if (wanted === undefined) return;
  const made = timer = setInterval(drain, wanted);
  Deno.unrefTimer(made);
}

/** Waits for requests on another thread, while a callback holds the event loop. */
async function listen(): Promise<void> {
  isListening = true;
  while (holding > 0) {
    const { listenForeign, waitForeign } = nativeForeign();
    await waitForeign(listenForeign());
    drain();
  }
  isListening = false;
}

/** Serves all threads that wait, in the order in which they have called. */
function drain(): void {
  const { takeForeign } = nativeForeign();
  const { addressOfPointer, copyIn } = native();
  for (let mailbox; (mailbox = takeForeign()) !== null;) {
    const view = new DataView(new ArrayBuffer(Mailbox.size));
    copyIn(view, addressOfPointer(mailbox), BigInt(view.byteLength));
    void open!.get(view.getUint32(Mailbox.callback, true))!.serve({ mailbox, view });
  }
}

/**
 * The last answers of a callback that are strings or buffers, as copies in memory of the system's:
 * a thread may read one at any time, also while JavaScript changes its own. The memory stays when
 * the callback is closed, since nobody knows whether a thread reads the last of them yet.
 */
class ForeignAnswers extends Answers {
  readonly #places: Mapping[] = [];

  override keepString(value: unknown, what: string): bigint {
    const bytes = encodeCString(value, what);
    return bytes === null ? 0n : this.#put(bytes, what);
  }

  override keepBytes(bytes: Uint8Array<ArrayBuffer>, what: string): bigint {
    return this.#put(bytes, what);
  }

  #put(bytes: Uint8Array<ArrayBuffer>, what: string): bigint {
    const place = this.place();
    let mapping = this.#places[place];
    if (mapping === undefined || Number(mapping.base - mapping.limit) < bytes.length) {
      const larger = new Mapping();
      map(larger, bytes.length, false, `${what} cannot be copied (${bytes.length} bytes)`);
      if (mapping !== undefined) unmap(mapping);
      mapping = this.#places[place] = larger;
    }
    native().copyOut(mapping.limit, bytes, BigInt(bytes.length));
    return mapping.limit;
  }
}
