// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** Memory from the operating system, with a guard below it: how none of it is lost. */

import { Bounds, Grant } from "../layout.ts";
import { nativePools, nativeStacks } from "../library/find.ts";
import { checkGrant } from "../library/fringe_error.ts";

/**
 * The place of a mapping, made before the memory is: whoever holds the place gives the memory back
 * by `unmap`. Native code itself writes down where the memory lies, so nothing that comes between
 * can lose a mapping: an interrupt, V8's stack that is used up, or code of the program's, which may
 * map something else meanwhile.
 */
export class Mapping {
  /** What native code writes down (`Bounds`), in words. All 0 while there is no memory. */
  readonly bounds: BigUint64Array<ArrayBuffer> = new BigUint64Array(new ArrayBuffer(Bounds.size));
  /** Whether it is in the list of those that wait to be unmapped. */
  waits = false;
  /** The next in that list. */
  next: Mapping | undefined;

  /** One past the highest byte. */
  get base(): bigint {
    return this.bounds[Bounds.base / 8]!;
  }

  /** The lowest usable byte. */
  get limit(): bigint {
    return this.bounds[Bounds.limit / 8]!;
  }

  /** The lowest byte of its guard. */
  get start(): bigint {
    return this.bounds[Bounds.start / 8]!;
  }

  /** How far apart the stacks of a slab are, in bytes. */
  get stride(): bigint {
    return this.bounds[Bounds.stride / 8]!;
  }
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
 * Maps memory at a place that has none yet. With `recover` an overflow of it is to be thrown.
 * `what` begins with "Cannot".
 */
export function map({ bounds }: Mapping, size: number, recover: boolean, what: string): void {
  unmapLeft();
  checkGrant(nativeStacks().mapStack(BigInt(size), recover, bounds), what);
}

/** Maps `count` stacks of `size` bytes as one. The rest is as for `map`. */
export function mapSlab(
  { bounds }: Mapping,
  size: number,
  count: number,
  recover: boolean,
  what: string,
): void {
  unmapLeft();
  checkGrant(nativePools().mapSlab(BigInt(size), count, recover, bounds), what);
}

/**
 * Unmaps memory, now or when the system lets it go. A call that was cut short may be made again.
 */
export function unmap(mapping: Mapping): void {
  if (mapping.base === 0n) return;
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
    const { base, start } = left;
    if (nativeStacks().unmapStack(base, start) !== Grant.granted) return;
    left = left.next;
  }
}
