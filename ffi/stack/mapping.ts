// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** Memory of the system's with a guard page below it. */

import { Grant } from "../layout.ts";
import { native } from "../library/find.ts";
import { checkGrant } from "../library/fringe_error.ts";

/** Where a mapping lies: from `limit`, its lowest usable byte, up to `base`. */
export interface Mapping {
  readonly base: bigint;
  readonly limit: bigint;
  /** Whether it waits to be unmapped, and what waits behind it. */
  waits: boolean;
  next: Mapping | undefined;
}

/**
 * The mappings that nobody uses any more, and that the system did not take back yet: a list, since
 * to put something on it must not fail. A hole makes two mappings of one, and a process that has no
 * more of them is refused. Nobody could do anything about that, so it is no error: the system is
 * asked again later.
 */
let left: Mapping | undefined;

/**
 * Where the last mapping lies, until somebody has said that it is in good hands: base and limit.
 * Native code itself writes it, so not even an interrupt in between can lose a mapping.
 */
const unclaimed = new BigUint64Array(new ArrayBuffer(16));

/**
 * Maps memory, for whoever calls `claim` then; should the caller be cut short before, the next who
 * maps something unmaps it. With `recover` an overflow of it is to be thrown. `what` begins with
 * "Cannot".
 */
export function map(size: number, recover: boolean, what: string): Mapping {
  if (unclaimed[0] !== 0n) unmap(mappingAt(unclaimed));
  unclaimed[0] = 0n;
  unmapLeft();
  checkGrant(native().mapStack(BigInt(size), recover, unclaimed), what);
  return mappingAt(unclaimed);
}

/** The last mapping has come into hands that unmap it. */
export function claim(): void {
  unclaimed[0] = 0n;
}

function mappingAt(bounds: BigUint64Array): Mapping {
  return { base: bounds[0]!, limit: bounds[1]!, waits: false, next: undefined };
}

/** Unmaps memory, now or later; may be called again where it was cut short. */
export function unmap(mapping: Mapping): void {
  if (!mapping.waits) {
    mapping.waits = true;
    mapping.next = left;
    left = mapping;
  }
  unmapLeft();
}

/** Unmaps what is left, up to what is refused. */
function unmapLeft(): void {
  while (left !== undefined) {
    const { base, limit } = left;
    if (native().unmapStack(base, limit) !== Grant.granted) return;
    left = left.next;
  }
}
