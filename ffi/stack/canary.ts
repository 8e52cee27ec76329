// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * The canary: sixteen bytes at the lower end of a stack that has no guard page.
 *
 *     base
 *     | frames             |  they grow downward
 *     :                    :
 *     | "fringe's canary!" |
 *     limit
 *     | other memory       |
 *
 * A body that needs more stack than there is writes over the canary, as a rule, before it writes
 * over other memory. Whenever native code is back, the canary is looked at.
 */

import { CANARY as TEXT } from "../layout.ts";
import type { StackMemory } from "./stack.ts";

/** The canary as four words, the first one lowest. */
const CANARY = new Int32Array(new TextEncoder().encode(TEXT).buffer);

/** How many bytes the canary takes. */
export const CANARY_SIZE: number = TEXT.length;

/** Writes the canary of a stack, before a body begins. A stack with a guard page has none. */
export function layCanary({ bottom }: StackMemory): void {
  if (bottom === undefined) return;
  for (let i = 0; i < CANARY.length; i++) bottom.setInt32(4 * i, CANARY[i]!, true);
}

/** Whether a body has written over the canary. */
export function isOverrun({ bottom }: StackMemory): boolean {
  if (bottom === undefined) return false;
  for (let i = 0; i < CANARY.length; i++) {
    if (bottom.getInt32(4 * i, true) !== CANARY[i]) return true;
  }
  return false;
}
