// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Strings and buffers that C has the address of, and may use until the call ends: JavaScript's own
 * memory where C runs on this thread, copies of it where C runs on another.
 */

import { isDetached } from "../buffer.ts";
import { encodeCString, Strings } from "./cstring.ts";
import { native } from "../library/find.ts";
import { STACK_ALIGNMENT } from "../layout.ts";
import { claim, map, type Mapping, unmap } from "../stack/mapping.ts";
import type { Keeper } from "./value.ts";

/** Memory of JavaScript's. */
export class Kept implements Keeper {
  readonly #strings: Strings = new Strings();
  #buffers: Set<ArrayBuffer> | undefined;

  /** Whether there are buffers, which somebody could transfer elsewhere. */
  get hasBuffers(): boolean {
    return this.#buffers !== undefined;
  }

  /** Whether somebody has. */
  get isGone(): boolean {
    if (this.#buffers === undefined) return false;
    for (const buffer of this.#buffers) if (isDetached(buffer)) return true;
    return false;
  }

  /** Forgets everything: C no longer uses it. */
  clear(): void {
    this.#strings.clear();
    this.#buffers = undefined;
  }

  keepString(value: unknown, what: string): bigint {
    return this.#strings.put(value, what);
  }

  keepBytes(bytes: Uint8Array<ArrayBuffer>): bigint {
    (this.#buffers ??= new Set()).add(bytes.buffer);
    return native().addressOfBuffer(bytes);
  }
}

/** How many bytes of strings and buffers lie on the stack; what is larger gets its own mapping. */
const CAPACITY = 16 * 1024;

/**
 * Memory of the system's, for C that runs on another thread: nobody can transfer it elsewhere
 * meanwhile, and it stays when a Worker is terminated, or a program ends, and all that JavaScript
 * owns is freed. The mailbox and what is small lie at the top of the stack:
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
  /** Each whole buffer is copied once, so that views of it that overlap still do. */
  readonly #buffers: Map<ArrayBuffer, { bytes: Uint8Array<ArrayBuffer>; address: bigint }> =
    new Map();
  readonly #mappings: Mapping[] = [];
  #next: bigint;

  /** `view` is JavaScript's mailbox, of which native code gets a copy. */
  constructor(base: bigint, view: DataView<ArrayBuffer>) {
    this.mailbox = base - BigInt(roundUp(view.byteLength));
    this.base = this.#next = this.mailbox - BigInt(CAPACITY);
    this.#view = view;
  }

  /** Whether a buffer has been transferred elsewhere, so that C's changes cannot be seen. */
  get isGone(): boolean {
    return this.#buffers.keys().some(isDetached);
  }

  keepString(value: unknown, what: string): bigint {
    const bytes = encodeCString(value, what);
    return bytes === null ? 0n : this.#place(bytes, what);
  }

  keepBytes(bytes: Uint8Array<ArrayBuffer>, what: string): bigint {
    const { buffer } = bytes;
    let copy = this.#buffers.get(buffer);
    if (copy === undefined) {
      const all = new Uint8Array(buffer);
      copy = { bytes: all, address: this.#place(all, what) };
      this.#buffers.set(buffer, copy);
    }
    return copy.address + BigInt(bytes.byteOffset);
  }

  #place(bytes: Uint8Array<ArrayBuffer>, what: string): bigint {
    let address = this.#next;
    if (address + BigInt(bytes.length) > this.mailbox) {
      const mapping = map(bytes.length, false, `${what} cannot be copied (${bytes.length} bytes)`);
      this.#mappings.push(mapping);
      claim();
      address = mapping.limit;
    } else {
      this.#next += BigInt(roundUp(bytes.length));
    }
    native().copyOut(address, bytes, BigInt(bytes.length));
    return address;
  }

  /** Before C goes on: gives it what JavaScript has changed. */
  lend(): void {
    const { copyOut } = native();
    copyOut(this.mailbox, this.#view, BigInt(this.#view.byteLength));
    for (const { bytes, address } of this.#buffers.values()) {
      copyOut(address, bytes, BigInt(bytes.length));
    }
  }

  /** After C has suspended: takes over what it has changed. */
  takeBack(size: number): void {
    const { copyIn } = native();
    copyIn(this.#view, this.mailbox, BigInt(size));
    for (const [buffer, { bytes, address }] of this.#buffers) {
      if (!isDetached(buffer)) copyIn(bytes, address, BigInt(bytes.length));
    }
  }

  /** Gives the memory back: C no longer uses it. */
  release(): void {
    for (const mapping of this.#mappings.splice(0)) unmap(mapping);
  }
}

function roundUp(size: number): number {
  return Math.ceil(size / STACK_ALIGNMENT) * STACK_ALIGNMENT;
}
