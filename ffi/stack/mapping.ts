// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** Memory from the operating system, with a guard page below it: how none of it is lost. */

import { Grant } from "../layout.ts";
import { native } from "../library/find.ts";
import { checkGrant } from "../library/fringe_error.ts";

/** Where a mapping lies: from `limit`, its lowest usable byte, up to `base`. */
export interface Mapping {
  readonly base: bigint;
  readonly limit: bigint;
  /** Whether it is in the list of those that wait to be unmapped. */
  waits: boolean;
  /** The next in that list. */
  next: Mapping | undefined;
}

/**
 * The mappings that are no longer used, and that the system has not taken back yet.
 *
 * The system may refuse to take one back: a hole in the midst of a mapping makes two of one, and a
 * process has only so many. That is no error, since a program cannot do anything about it: the
 * system is asked again whenever something is mapped or unmapped. A linked list, since to put a
 * mapping on it takes no memory, and so cannot fail.
 */
let left: Mapping | undefined;

/**
 * Base and limit of the mapping that was made last, until `claim` has been called; then 0. Native
 * code itself writes them, together with the mapping. So a mapping is known here even if JavaScript
 * was cut short before `mapStack` could return.
 */
const unclaimed = new BigUint64Array(new ArrayBuffer(16));

/**
 * Maps memory. The caller calls `claim` as soon as the mapping is in an object that unmaps it:
 *
 *     const mapping = map(size, false, what);
 *     this.#mappings.add(mapping);  // whose `release` unmaps it
 *     claim();
 *
 * If the caller is cut short before `claim`, the next `map` unmaps the memory first. With `recover`
 * an overflow of the memory is thrown, not reported. `what` begins with "Cannot".
 */
export function map(size: number, recover: boolean, what: string): Mapping {
  if (unclaimed[0] !== 0n) unmap(mappingAt(unclaimed));
  unclaimed[0] = 0n;
  unmapLeft();
  checkGrant(native().mapStack(BigInt(size), recover, unclaimed), what);
  return mappingAt(unclaimed);
}

/** Says that an object which unmaps it has the mapping that was made last. */
export function claim(): void {
  unclaimed[0] = 0n;
}

function mappingAt(bounds: BigUint64Array): Mapping {
  return { base: bounds[0]!, limit: bounds[1]!, waits: false, next: undefined };
}

/**
 * Unmaps memory, now or when the system lets it go. A call that was cut short may be made again.
 */
export function unmap(mapping: Mapping): void {
  if (!mapping.waits) {
    mapping.waits = true;
    mapping.next = left;
    left = mapping;
  }
  unmapLeft();
}

/** Unmaps what waits, until the system refuses one. */
function unmapLeft(): void {
  while (left !== undefined) {
    const { base, limit } = left;
    if (native().unmapStack(base, limit) !== Grant.granted) return;
    left = left.next;
  }
}
