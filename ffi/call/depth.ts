// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * How deep V8's stack is, which tells whether JavaScript that began something is still there. V8
 * says nothing when an interrupt (`timeout` of `node:vm`) takes a function away: no `catch` and no
 * `finally` runs. But what is called now lies deeper than everything that waits for it:
 *
 *     higher addresses
 *     | a call of f()   |  depth 900
 *     | its handler     |
 *     | a call of g()   |  depth 700: deeper. f() waits for it, or is gone: nobody can tell
 *
 *     | a call of g()   |  depth 950: less deep than f() was, so f() cannot wait for it. It is gone
 */

import { native } from "../library/find.ts";
import type { Native } from "../library/symbols.ts";

/**
 * How much less deep something must be: 4 KiB, in the units of `depth`. V8 makes one frame of
 * several functions when it optimises them, and several again when it gives that up, so a frame
 * need not stay quite where it was.
 */
const MARGIN = 256;

let depth: Native["depth"] | undefined;

/** How deep V8's stack is here; less is deeper. */
export function depthNow(): number {
  return depth === undefined ? (depth = native().depth)() : depth();
}

/** Whether what began at `depth` is gone, because this is less deep. */
export function isGone(depth: number): boolean {
  return depthNow() > depth + MARGIN;
}
