// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Strings and buffers that C has the address of: JavaScript's own memory where C runs on this
 * thread (`Kept`, here), copies of it where C runs on another (`Lent`, in lent.ts).
 *
 * How long they stay, which is what C can rely on:
 *
 * - an argument stays until the function returns;
 * - an answer of a callback stays until the same callback has been answered `ANSWERS_KEPT` times
 *   more, or the function returns. So C may use the last 16 answers of each callback.
 *
 * Why answers do not stay to the end: C that streams (zlib's `inflateBack` asks its `in` for chunk
 * after chunk) makes any number of callbacks in one call. All answers would be held together. And
 * before each step all would have to be looked at, since the program may have transferred one.
 *
 * Why 16: as a rule C uses what a callback has returned until it calls the same callback again, as
 * `inflateBack`, `lua_load` and `glob` do. Some C has a few answers in hand at once, in
 * `strcmp(name(a), name(b))`, or asks for several streams in turn. What C keeps for longer than
 * that is the user's to hold, as everything is that C keeps beyond a call: by a "pointer" to it.
 */

import { isDetached } from "../buffer.ts";
import { checkString, StringPlace, Strings } from "./cstring.ts";
import { native } from "../library/find.ts";
import type { Keeper } from "./value.ts";

/** How many answers of a callback C may use: the last one, and those before it. */
export const ANSWERS_KEPT = 16;

/** A callback, as far as its answers go. */
export interface Answered {
  readonly result: string;
}

/**
 * What keeps the last answers of one callback, each in a place of its own. The places are used in
 * turn, so that an answer takes the place of the one that C may no longer use.
 */
export abstract class Answers implements Keeper {
  #place = ANSWERS_KEPT - 1;
  #isNext = true;

  /** C has got the last answer: the next answer gets the next place, and does not replace it. */
  next(): void {
    this.#isNext = true;
  }

  /** The place of an answer that is to be kept now. */
  protected place(): number {
    if (this.#isNext) this.#place = (this.#place + 1) % ANSWERS_KEPT;
    this.#isNext = false;
    return this.#place;
  }

  abstract keepString(value: unknown, what: string): bigint;
  abstract keepBytes(bytes: Uint8Array<ArrayBuffer>, what: string): bigint;
}

/** What keeps strings and buffers in JavaScript's own memory, for C on this thread. */
export class Kept implements Keeper {
  readonly #strings: Strings = new Strings();
  /** The buffers among the arguments. */
  #buffers: Set<ArrayBuffer> | undefined;
  #answers: Map<Answered, KeptAnswers> | undefined;
  #isUsed = false;

  /** Whether there are, or were, buffers: the program can transfer each elsewhere. */
  hasBuffers = false;

  /** Whether the program has transferred a buffer that C may use. */
  get isGone(): boolean {
    if (this.isArgumentGone) return true;
    if (this.#answers !== undefined) {
      for (const answers of this.#answers.values()) if (answers.isGone) return true;
    }
    return false;
  }

  /** Whether such a buffer is among the arguments; else a handler has answered with it. */
  get isArgumentGone(): boolean {
    if (this.#buffers === undefined) return false;
    for (const buffer of this.#buffers) if (isDetached(buffer)) return true;
    return false;
  }

  /** Lets go of everything: C has returned. Most calls have nothing. */
  clear(): void {
    if (!this.#isUsed) return;
    this.#isUsed = false;
    this.#strings.clear();
    this.#buffers = this.#answers = undefined;
    this.hasBuffers = false;
  }

  keepString(value: unknown, what: string): bigint {
    this.#isUsed = true;
    return this.#strings.put(value, what);
  }

  keepBytes(bytes: Uint8Array<ArrayBuffer>): bigint {
    this.#isUsed = true;
    (this.#buffers ??= new Set()).add(bytes.buffer);
    this.hasBuffers = true;
    return native().addressOfBuffer(bytes);
  }

  /**
   * What keeps an answer of `callback`, a string or a buffer. `isAgain`: it takes the place of
   * another answer to the same question, which C has not got.
   */
  answersTo(callback: Answered, isAgain: boolean): Keeper {
    this.#isUsed = true;
    this.#answers ??= new Map();
    let answers = this.#answers.get(callback);
    if (answers === undefined) {
      this.#answers.set(callback, answers = new KeptAnswers(this.#strings));
    }
    if (!isAgain) answers.next();
    this.hasBuffers ||= callback.result === "buffer";
    return answers;
  }
}

class KeptAnswers extends Answers {
  /** Those of the call, where short answers lie while there is room: so most need no new memory. */
  readonly #strings: Strings;
  readonly #places: StringPlace[] = [];
  readonly #buffers: ArrayBuffer[] = [];

  constructor(strings: Strings) {
    super();
    this.#strings = strings;
  }

  get isGone(): boolean {
    let known: ArrayBuffer | undefined;
    for (const buffer of this.#buffers) {
      // Often it is one buffer, filled again and again.
      if (buffer === known) continue;
      if (isDetached(buffer)) return true;
      known = buffer;
    }
    return false;
  }

  override keepString(value: unknown, what: string): bigint {
    checkString(value, what);
    if (value === null) return 0n;
    const address = this.#strings.fit(value);
    return address ?? (this.#places[this.place()] ??= new StringPlace()).put(value);
  }

  override keepBytes(bytes: Uint8Array<ArrayBuffer>): bigint {
    this.#buffers[this.place()] = bytes.buffer;
    return native().addressOfBuffer(bytes);
  }
}
