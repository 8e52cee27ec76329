// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * The one owner of the fact that native frames exist: on which stack, of which library.
 *
 * A record is entered before the first frame, and leaves when native code says that no frame is
 * left or when the memory itself is gone. Whoever must not pull the ground from under frames asks
 * here: a library that closes, a stack that goes back, a generator that nobody holds.
 *
 * Records of one library are a list in the order in which they began, so that the innermost can end
 * first:
 *
 *     library.latest -> the call in a handler -> the call that waits for it -> a generator
 *
 * The links are fields of the records, and `enter` and `leave` are plain assignments: neither needs
 * memory, or more of V8's stack than its own frame. So each happens as a whole or not at all.
 */

import { describe } from "../check.ts";

/** A user's library. */
export interface Library {
  readonly filename: string;
  closed: boolean;
  /** The record that began last, of those that have frames of this library. */
  latest: Occupancy | undefined;
}

/** Throws if a library has been closed. `what` begins with "Cannot". */
export function checkOpen(library: Library, what: string): void {
  if (!library.closed) return;
  throw new Error(`${what}: ${describe(library.filename)} has been closed; open it again`);
}

/** Native frames on a stack, from the first to the last one. */
export abstract class Occupancy {
  /** The library whose frames they are; undefined while there are none. */
  #library: Library | undefined;
  #earlier: Occupancy | undefined;
  #later: Occupancy | undefined;

  /** Why they have ended, if neither their own code nor their user did it. */
  reason: string | undefined;

  /** Whether another thread is running them, so that nothing here may touch them. */
  elsewhere = false;

  /** Ends them early, as gently as can be: C is told to stop where it can be told. */
  abstract endGently(): void;

  /** Whether there are no native frames. */
  get isDone(): boolean {
    return this.#library === undefined;
  }

  /** The first frame is about to be laid. */
  protected enter(library: Library): void {
    const { latest } = library;
    this.reason = undefined;
    this.#earlier = latest;
    if (latest !== undefined) latest.#later = this;
    library.latest = this;
    this.#library = library;
  }

  /** No frame is left. */
  protected leave(): void {
    const library = this.#library;
    if (library === undefined) return;
    const earlier = this.#earlier;
    const later = this.#later;
    if (later !== undefined) later.#earlier = earlier;
    else library.latest = earlier;
    if (earlier !== undefined) earlier.#later = later;
    this.#library = this.#earlier = this.#later = undefined;
  }

  /** The record of the same library that began before this one. */
  get earlier(): Occupancy | undefined {
    return this.#earlier;
  }
}

/** Whether frames of a library are running on another thread. */
export function isElsewhere(library: Library): boolean {
  for (let record = library.latest; record !== undefined; record = record.earlier) {
    if (record.elsewhere) return true;
  }
  return false;
}

/**
 * Ends all frames of a library, those that began last first, and returns what native code has
 * thrown meanwhile. Whoever goes on with them is told the reason.
 *
 * @throws What prevents an end, such as too little of V8's stack. The frames are left then, the
 * library must stay, and this can be called again.
 */
export function endAll(library: Library, reason: string): unknown[] {
  const thrown: unknown[] = [];
  for (let record; (record = library.latest) !== undefined;) {
    record.reason = reason;
    try {
      record.endGently();
    } catch (error) {
      if (!record.isDone) throw error;
      thrown.push(error);
    }
  }
  return thrown;
}

/** Who has frames that should have ended. */
export interface Late {
  /** Whether no frame is left. */
  readonly isDone: boolean;
  /** Ends the frames, those that began last first. */
  endGently(): void;
  /** The next in the list. */
  nextLate: Late | undefined;
}

/**
 * Whose frames should have ended: whatever is done next ends those that could not be ended for want
 * of V8's stack. To be put on the list takes two assignments, and must not take more:
 *
 *     scope.nextLate = late.first;
 *     late.first = scope;
 */
export const late: { first: Late | undefined } = { first: undefined };

/** Takes an owner that is done off the list, if it is the last that was put there. */
export function isInTime(owner: Late): void {
  if (late.first === owner) late.first = owner.nextLate;
}

/** Ends what is late. What native code throws at that is told to whoever looks. */
export function endLate(): void {
  for (let owner; (owner = late.first) !== undefined;) {
    try {
      if (!owner.isDone) owner.endGently();
    } catch (error) {
      if (!owner.isDone) throw error;
      console.error(error);
    }
    late.first = owner.nextLate;
  }
}
