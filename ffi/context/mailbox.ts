// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * The memory of mailboxes, which native code and JavaScript share, laid out as `Mailbox`.
 *
 * A call has a buffer of its own. Of a body's mailbox, which holds one input and one output, there
 * may be a million. They are parts of larger buffers, with one view for all, because to make a
 * buffer and a view takes longer than all else that a generator needs, and as much memory:
 *
 *     words    | mailbox 0 | mailbox 1 | mailbox 2 | ...        128 mailboxes of 32 bytes
 *                          ^ words[at] is the status of mailbox 1
 *
 * An array for each type shows the same buffer: by those V8 reads and writes a value in a few
 * instructions, and calls nothing that a program could have replaced, as methods of `DataView`.
 *
 * No part is used again: a buffer lives as long as one of its mailboxes.
 */

import { Mailbox, SLOT_SIZE } from "../layout.ts";
import { native } from "../library/find.ts";

/** How many bytes the mailbox of a body takes: what follows belongs to calls. */
const SIZE = Mailbox.function;
const WORD_SIZE = Int32Array.BYTES_PER_ELEMENT;
const COUNT = 128;
/** How far the slots lie behind the status. */
const INPUT = Mailbox.input - Mailbox.status;
const OUTPUT = Mailbox.output - Mailbox.status;

/** The mailboxes of so many bodies. */
export class Mailboxes {
  // An ArrayBuffer does not move. A small typed array may lie in V8's heap, where it would.
  readonly words: Int32Array<ArrayBuffer> = new Int32Array(new ArrayBuffer(COUNT * SIZE));
  // The inputs that are no words. Of the mailbox whose status is `words[at]` the input is `f32[at]`
  // or `f64[at >> 1]`.
  readonly f32: Float32Array<ArrayBuffer> = new Float32Array(this.words.buffer, INPUT);
  readonly f64: Float64Array<ArrayBuffer> = new Float64Array(this.words.buffer, INPUT);
  readonly i64: BigInt64Array<ArrayBuffer> = new BigInt64Array(this.words.buffer, INPUT);
  readonly u64: BigUint64Array<ArrayBuffer> = new BigUint64Array(this.words.buffer, INPUT);
  // The outputs.
  readonly toF32: Float32Array<ArrayBuffer> = new Float32Array(this.words.buffer, OUTPUT);
  readonly toF64: Float64Array<ArrayBuffer> = new Float64Array(this.words.buffer, OUTPUT);
  readonly toI64: BigInt64Array<ArrayBuffer> = new BigInt64Array(this.words.buffer, OUTPUT);
  readonly toU64: BigUint64Array<ArrayBuffer> = new BigUint64Array(this.words.buffer, OUTPUT);
  readonly address: bigint = native().addressOfBuffer(this.words);
  /** Where the status of the next mailbox lies in `words`. */
  next = Mailbox.status / WORD_SIZE;
}

let mailboxes: Mailboxes | undefined;

/** Mailboxes of which the next one is free. */
export function withRoom(): Mailboxes {
  if (mailboxes === undefined || mailboxes.next >= mailboxes.words.length) {
    mailboxes = new Mailboxes();
  }
  return mailboxes;
}

/** How many words a mailbox takes. */
export const WORDS: number = SIZE / WORD_SIZE;

/** A view of the mailbox whose status is `words[at]`. */
export function viewAt({ buffer }: Int32Array<ArrayBuffer>, at: number): DataView<ArrayBuffer> {
  return new DataView(buffer, at * WORD_SIZE - Mailbox.status, SIZE);
}

/** The mailbox of a call, whose function gets so many words on its stack. */
export function callMailbox(stackCount: number): DataView<ArrayBuffer> {
  return new DataView(new ArrayBuffer(Mailbox.stack + stackCount * SLOT_SIZE));
}
