// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * How deep V8's stack is: this tells that JavaScript which began something is gone.
 *
 * An interrupt (`timeout` of `node:vm`) takes functions off V8's stack without a word: no `catch`
 * and no `finally` of theirs runs. But a function that waits for another lies above it, at a higher
 * address. `depth` is an address, so more is less deep:
 *
 *     higher addresses
 *     :                              :
 *     | f() begins, at depth 900     |
 *     | its handler runs             |
 *     | g() begins, at depth 700     |  700 < 900: f() may wait for g(), or may be gone
 *     :                              :
 *
 *     :                              :
 *     | g() begins, at depth 950     |  950 > 900: f() is gone, or g() would lie below it
 *     :                              :
 */

import { nativeStacks } from "../library/find.ts";
import type { NativeStacks } from "../library/symbols.ts";

/**
 * By how much the stack must be less deep before that tells anything: 1 KiB, in units of 16 bytes.
 *
 * The function that waits stays where it is, and all that it waits for lies below its frame. Only
 * what lies between its frame and native code, as the depth is asked for, differs from time to
 * time: Deno calls native code in two ways, of which one takes more of the stack, and V8 may make
 * one frame of several functions. So what is deeper may seem to be less deep, by 464 bytes at the
 * most that were measured. What `node:vm` runs is some 2,400 bytes deeper than its caller.
 */
const MARGIN = 64;

/** The depth of what has called no JavaScript yet. Whatever JavaScript asks is not within it. */
export const GONE = -1;

/** Local, since it is asked at each step of a TypeScript body. */
let nativeDepth: NativeStacks["depth"] | undefined;

/** How deep V8's stack is here, in units of 16 bytes; a smaller number is deeper. */
export function depthNow(): number {
  return (nativeDepth ??= nativeStacks().depth)();
}

/**
 * Whether JavaScript that began something at `depth` is gone, since this is less deep. False says
 * nothing: the JavaScript may be there, or gone. The difference counts, since a depth has 32 bits,
 * and those of one stack may lie on both sides of 0.
 */
export function isGone(depth: number): boolean {
  return depth === GONE || (depthNow() - depth | 0) > MARGIN;
}
