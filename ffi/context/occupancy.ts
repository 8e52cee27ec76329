// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * The one owner of the fact that native frames exist: on which stack, of which library.
 *
 * A record (`Occupancy`; each `Context` is one) enters the list of its library before the first
 * frame runs; or, in a call that `sync.ts` lists, when C is back and has not returned. It leaves
 * when native code says that no frame is left, or when the memory of the frames is gone. What would
 * pull the ground from under frames asks here first: a library that closes, a stack that goes back,
 * a finalizer.
 *
 * The list of a library has its records in the order in which they began, so that the innermost
 * ends first:
 *
 *     library.latest
 *       |
 *       v             earlier                          earlier
 *     a call that a  -------->  the call which waits  -------->  a generator
 *     handler makes             for that handler
 *
 * The links are fields of the records, and `enter` and `leave` are lists of plain assignments:
 * neither takes memory, nor more of V8's stack than its own frame. V8 looks at its stack only when
 * a function is called. So each happens as a whole or not at all.
 */

import { describe } from "../check.ts";
import type { Owner } from "../stack/stack.ts";

/** A library that a user has opened. */
export interface Library {
  readonly filename: string;
  closed: boolean;
  /** The record that began last; undefined: no frame of this library is left. */
  latest: Occupancy | undefined;
}

/** Throws if a library has been closed. `what` begins with "Cannot". */
export function checkOpen(library: Library, what: string): void {
  if (!library.closed) return;
  throw new Error(`${what}: ${describe(library.filename)} has been closed; open it again`);
}

/** The record of a stack that native frames may be on. */
export abstract class Occupancy implements Owner {
  /** The library whose frames are on the stack; undefined while there are none. */
  #library: Library | undefined;
  /** The neighbours in the list of the library. */
  #earlier: Occupancy | undefined;
  #later: Occupancy | undefined;

  /** Why the last frames were ended, if their library did so by closing; a clause for messages. */
  reason: string | undefined;

  /** For the net under the generator that owns it. */
  batch: Owner["batch"];

  /** Whether another thread is running the frames, so that this one must not touch them. */
  elsewhere = false;

  /** Ends the frames early, as gently as can be: C is told to stop where it can be told. */
  abstract endGently(): void;

  /** Whether no frame is on the stack. */
  abstract get isDone(): boolean;

  /** Enters the list of `library`, behind the others. Plain assignments, see above. */
  protected enter(library: Library): void {
    const { latest } = library;
    this.reason = undefined;
    this.#earlier = latest;
    if (latest !== undefined) latest.#later = this;
    library.latest = this;
    this.#library = library;
  }

  /**
   * Leaves the list, from any place in it; once more does nothing. Plain assignments, see above.
   */
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
 * thrown meanwhile. A later attempt to resume one of them fails with `reason` in its message.
 *
 * @throws What prevents an end, such as too little of V8's stack. Frames are left then, so the
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

/** An owner of frames that should have ended: the calls of a TypeScript body (`call/scope.ts`). */
export interface Late extends Owner {
  /** The next in the list. */
  nextLate: Late | undefined;
}

/**
 * The owners whose frames should have ended, the last one first. A body that finishes puts its
 * calls here, ends them, and takes them off. If V8's stack is used up before they have ended, they
 * stay here, and the next operation of fringe ends them (`endLate`).
 *
 * To be put here takes two assignments, and must not take more, for a function that is called could
 * already fail:
 *
 *     scope.nextLate = late.first;
 *     late.first = scope;
 */
export const late: { first: Late | undefined } = { first: undefined };

/**
 * Takes an owner that is done off the list, if it is the last that was put there. Another one may
 * stay: `endLate` passes over owners that are done.
 */
export function takeOffLate(owner: Late): void {
  if (late.first === owner) late.first = owner.nextLate;
}

/**
 * Ends the frames of all owners that are late. No caller waits for them, so what native code throws
 * meanwhile is printed: last, since a `console.error` of the program's own may end others.
 *
 * @throws What prevents an end, such as too little of V8's stack; the rest stays on the list.
 */
export function endLate(): void {
  for (let owner; (owner = late.first) !== undefined;) {
    const thrown: unknown[] = [];
    try {
      if (!owner.isDone) owner.endGently();
    } catch (error) {
      if (!owner.isDone) throw error;
      thrown.push(error);
    }
    takeOffLate(owner);
    for (const error of thrown) console.error(error);
  }
}
