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
  /** How many strings and buffers an answer has: a struct may have several, others have one. */
  readonly keptCount: number;
  /** How many of them are buffers. */
  readonly bufferCount: number;
}

/**
 * What keeps the last answers of one callback, each in places of its own: as many as it has strings
 * and buffers. The places are used in turn, so that an answer takes those of the one that C may no
 * longer use.
 */
export abstract class Answers implements Keeper {
  readonly #count: number;
  #answer = ANSWERS_KEPT - 1;
  /** How many strings and buffers have been kept. */
  #used = 0;
  #isNext = true;

  constructor({ keptCount }: Answered) {
    this.#count = keptCount;
  }

  /** C has got the last answer: the next answer gets the next places, and does not replace it. */
  next(): void {
    this.#isNext = true;
  }

  /** The place of a string or a buffer that is to be kept now. */
  protected place(): number {
    if (this.#isNext) this.#answer = (this.#answer + 1) % ANSWERS_KEPT;
    this.#isNext = false;
    return this.#answer * this.#count + this.#used++ % this.#count;
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
  /** Memory for structs, as `Strings` has it for strings. */
  #room: Room | undefined;
  #held: unknown[] | undefined;
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
    this.#room?.clear();
    this.#held = undefined;
    this.hasBuffers = false;
  }

  /**
   * Holds what a pointer in a struct may lead to: the program may change the struct meanwhile, and
   * C has a copy. A pointer that is an argument by itself is held by the caller's list.
   */
  keepAt(_position: number, value: unknown): void {
    if (typeof value !== "object" && typeof value !== "function" || value === null) return;
    this.#isUsed = true;
    (this.#held ??= []).push(value);
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

  /** Memory for C of `size` bytes at a multiple of `alignment`; returns its address. */
  keepRoom(size: number, alignment: number): bigint {
    this.#isUsed = true;
    return (this.#room ??= new Room()).take(size, alignment);
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
      this.#answers.set(callback, answers = new KeptAnswers(callback, this.#strings));
    }
    if (!isAgain) answers.next();
    this.hasBuffers ||= callback.bufferCount > 0;
    return answers;
  }
}

/** How many bytes of structs a call has room for before each gets memory of its own. */
const ROOM = 1024;

/** Memory for the structs of one call. Most fit into one buffer, which the next call uses again. */
class Room {
  #address = 0n;
  #used = 0;
  /** The buffers, so that they stay: the one for all calls first. */
  #buffers: ArrayBuffer[] = [];

  take(size: number, alignment: number): bigint {
    if (this.#buffers.length === 0) this.#address = aligned(this.#make(ROOM + 16), 16);
    if (this.#used === 0 && size <= ROOM && alignment <= 16) {
      this.#used = size;
      return this.#address;
    }
    const needed = size + alignment;
    if (needed > ROOM - this.#used) return aligned(this.#make(needed), alignment);
    const address = aligned(this.#address + BigInt(this.#used), alignment);
    this.#used = Number(address - this.#address) + size;
    return address;
  }

  #make(size: number): bigint {
    const buffer = new ArrayBuffer(size);
    this.#buffers.push(buffer);
    return native().addressOfBuffer(new Uint8Array(buffer));
  }

  clear(): void {
    this.#used = 0;
    if (this.#buffers.length > 1) this.#buffers.length = 1;
  }
}

function aligned(address: bigint, alignment: number): bigint {
  const mask = BigInt(alignment) - 1n;
  return address + mask & ~mask;
}

class KeptAnswers extends Answers {
  /** Those of the call, where short answers lie while there is room: so most need no new memory. */
  readonly #strings: Strings;
  readonly #places: StringPlace[] = [];
  /** By their places, of which strings take some. */
  readonly #buffers: (ArrayBuffer | undefined)[] = [];

  constructor(callback: Answered, strings: Strings) {
    super(callback);
    this.#strings = strings;
  }

  get isGone(): boolean {
    let known: ArrayBuffer | undefined;
    for (const buffer of this.#buffers) {
      // Often it is one buffer, filled again and again.
      if (buffer === undefined || buffer === known) continue;
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
