// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** Copies of strings and buffers, for C on another thread. kept.ts says how long they stay. */

import { isDetached } from "../buffer.ts";
import { encodeCString } from "./cstring.ts";
import { type Answered, Answers, ANSWERS_KEPT } from "./kept.ts";
import { STACK_ALIGNMENT } from "../layout.ts";
import { native } from "../library/find.ts";
import { map, Mapping, unmap } from "../stack/mapping.ts";
import type { Keeper } from "./value.ts";

/** How many bytes of strings and buffers lie on the stack; what is larger gets its own mapping. */
export const CAPACITY: number = 16 * 1024;

/** Memory that C can be given the address of. */
interface Block {
  readonly address: bigint;
  readonly size: number;
  /** Undefined for one that lies on the stack. */
  readonly mapping: Mapping | undefined;
}

/** The copy of a whole buffer: views of it that overlap still do. */
interface Copy {
  /** All of the buffer. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly block: Block;
  /** Whether an argument is a view of the buffer: then the copy stays until C returns. */
  isArgument: boolean;
  /** How many answers that C may use are views of it. */
  answers: number;
  /** Whether C has been given what JavaScript has: before, there is nothing to take back. */
  isLent: boolean;
}

/**
 * What keeps copies of strings and buffers in memory of the system's, for C on another thread.
 *
 * JavaScript's own memory would not do. The program could transfer it elsewhere while C writes; and
 * when a Worker is terminated, or the program ends, V8 frees all of it under C that still runs. The
 * mailbox and small copies lie at the top of the stack:
 *
 *     base of the stack
 *     | mailbox              |  <- mailbox
 *     | strings and buffers  |  CAPACITY bytes
 *     | frames of C          |  <- base
 *     :                      :
 */
export class Lent implements Keeper {
  /** Where native code has its mailbox. */
  readonly mailbox: bigint;
  /** Where the frames begin. */
  readonly base: bigint;

  readonly #view: DataView<ArrayBuffer>;
  readonly #copies: Map<ArrayBuffer, Copy> = new Map();
  readonly #answers: Map<Answered, LentAnswers> = new Map();
  readonly #mappings: Set<Mapping> = new Set();
  readonly #held: unknown[] = [];
  /** What C no longer uses, for the next answers; the longest there first. */
  readonly #free: Block[] = [];
  #next: bigint;
  #isOut = false;

  /** `view` is JavaScript's mailbox, of which native code gets a copy. */
  constructor(base: bigint, view: DataView<ArrayBuffer>) {
    this.mailbox = base - BigInt(roundUp(view.byteLength));
    this.base = this.#next = this.mailbox - BigInt(CAPACITY);
    this.#view = view;
  }

  /** As `Kept` does it. */
  keepAt(_position: number, value: unknown): void {
    this.#held.push(value);
  }

  /** Whether the program has transferred a buffer, so that C's changes to the copy are lost. */
  get isGone(): boolean {
    return this.#copies.keys().some(isDetached);
  }

  /** Whether such a buffer is among the arguments. */
  get isArgumentGone(): boolean {
    return this.#copies.values().some(({ isArgument, bytes }) => {
      return isArgument && isDetached(bytes.buffer);
    });
  }

  keepString(value: unknown, what: string): bigint {
    return this.placeString(value, what)?.address ?? 0n;
  }

  keepBytes(bytes: Uint8Array<ArrayBuffer>, what: string): bigint {
    const copy = this.copy(bytes, what);
    copy.isArgument = true;
    return copy.block.address + BigInt(bytes.byteOffset);
  }

  /** What keeps an answer of `callback`; `isAgain` as in `Kept`. */
  answersTo(callback: Answered, isAgain: boolean): Keeper {
    let answers = this.#answers.get(callback);
    if (answers === undefined) {
      this.#answers.set(callback, answers = new LentAnswers(callback, this));
    }
    if (!isAgain) answers.next();
    return answers;
  }

  /** Memory for C of `size` bytes at a multiple of `alignment`; returns its address. */
  keepRoom(size: number, alignment: number, what: string): bigint {
    const mask = BigInt(alignment) - 1n;
    return this.#take(size + alignment, what).address + mask & ~mask;
  }

  /** Copies a string; undefined for null. `what` begins with "Cannot". */
  placeString(value: unknown, what: string): Block | undefined {
    const bytes = encodeCString(value, what);
    if (bytes === null) return undefined;
    const block = this.#take(bytes.length, what);
    native().copyOut(block.address, bytes, BigInt(bytes.length));
    return block;
  }

  /** Makes room for the whole buffer that `view` is of; `lend` copies it there. */
  copy({ buffer }: Uint8Array<ArrayBuffer>, what: string): Copy {
    let copy = this.#copies.get(buffer);
    if (copy === undefined) {
      const bytes = new Uint8Array(buffer);
      copy = {
        bytes,
        block: this.#take(bytes.length, what),
        isArgument: false,
        answers: 0,
        isLent: false,
      };
      this.#copies.set(buffer, copy);
    }
    return copy;
  }

  /** Says that C may no longer use an answer that was a view of this. */
  drop(copy: Copy): void {
    if (--copy.answers > 0 || copy.isArgument) return;
    this.#copies.delete(copy.bytes.buffer);
    this.give(copy.block);
  }

  #take(size: number, what: string): Block {
    const found = this.#free.findIndex((block) => size <= block.size && block.size <= waste(size));
    if (found >= 0) return this.#free.splice(found, 1)[0]!;
    const room = roundUp(size);
    if (this.#next + BigInt(room) <= this.mailbox) {
      const block = { address: this.#next, size: room, mapping: undefined };
      this.#next += BigInt(room);
      return block;
    }
    const mapping = new Mapping();
    this.#mappings.add(mapping);
    map(mapping, size, false, `${what} cannot be copied (${size} bytes)`);
    // If this Worker goes, C that has a thread of its own may use the copy while it is ended.
    native().lendStack(mapping.limit, true);
    return { address: mapping.limit, size: Number(mapping.base - mapping.limit), mapping };
  }

  /** Takes back a block that C no longer uses, for the next answers. */
  give(block: Block): void {
    this.#free.push(block);
    const mapping = this.#free.length > ANSWERS_KEPT ? this.#free.shift()!.mapping : undefined;
    if (mapping === undefined) return;
    this.#mappings.delete(mapping);
    unmap(mapping);
  }

  /** Before C goes on: gives it what JavaScript has changed. */
  lend(): void {
    const { copyOut } = native();
    this.#setOut(true);
    this.lendMailbox();
    for (const copy of this.#copies.values()) {
      copyOut(copy.block.address, copy.bytes, BigInt(copy.bytes.length));
      copy.isLent = true;
    }
  }

  /** Notes whether another thread runs on the stack: that stays then, if this Worker goes. */
  #setOut(isOut: boolean): void {
    if (this.#isOut === isOut) return;
    native().lendStack(this.mailbox, isOut);
    this.#isOut = isOut;
  }

  /** Gives C the mailbox alone, where frames of earlier calls may have been. */
  lendMailbox(): void {
    native().copyOut(this.mailbox, this.#view, BigInt(this.#view.byteLength));
  }

  /** After C has suspended: takes over what it has changed. */
  takeBack(size: number): void {
    const { copyIn } = native();
    this.#setOut(false);
    copyIn(this.#view, this.mailbox, BigInt(size));
    for (const [buffer, { bytes, block, isLent }] of this.#copies) {
      if (isLent && !isDetached(buffer)) copyIn(bytes, block.address, BigInt(bytes.length));
    }
  }

  /** Gives the memory back: C no longer uses it. */
  release(): void {
    for (const mapping of this.#mappings) unmap(mapping);
    this.#mappings.clear();
  }
}

class LentAnswers extends Answers {
  readonly #lent: Lent;
  /** By the answers' places, what gives back the memory of each. */
  readonly #drops: (() => void)[] = [];

  constructor(callback: Answered, lent: Lent) {
    super(callback);
    this.#lent = lent;
  }

  override keepString(value: unknown, what: string): bigint {
    const block = this.#lent.placeString(value, what);
    if (block === undefined) return 0n;
    this.#put(() => this.#lent.give(block));
    return block.address;
  }

  override keepBytes(bytes: Uint8Array<ArrayBuffer>, what: string): bigint {
    const copy = this.#lent.copy(bytes, what);
    copy.answers++;
    this.#put(() => this.#lent.drop(copy));
    return copy.block.address + BigInt(bytes.byteOffset);
  }

  /**
   * Gives the new answer its place. Called when the answer has its memory: one that fails before
   * has left the answer that had the place.
   */
  #put(drop: () => void): void {
    const place = this.place();
    this.#drops[place]?.();
    this.#drops[place] = drop;
  }
}

/** How large a block may be that is used again for `size` bytes. */
function waste(size: number): number {
  return Math.max(2 * size, 8192);
}

function roundUp(size: number): number {
  return Math.ceil(size / STACK_ALIGNMENT) * STACK_ALIGNMENT;
}
