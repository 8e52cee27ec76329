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

import { CANARY } from "../layout.ts";
import type { StackMemory } from "./stack.ts";

/** The canary as four words, the first one lowest; undefined until a stack needs it. */
let words: Int32Array | undefined;

/** How many bytes the canary takes. */
export const CANARY_SIZE: number = CANARY.length;

/** Writes the canary of a stack, before a body begins. A stack with a guard page has none. */
export function layCanary({ bottom }: StackMemory): void {
  if (bottom === undefined) return;
  words ??= new Int32Array(new TextEncoder().encode(CANARY).buffer);
  for (let i = 0; i < words.length; i++) bottom.setInt32(4 * i, words[i]!, true);
}

/** Whether a body has written over the canary. */
export function isOverrun({ bottom }: StackMemory): boolean {
  // Without words no canary has been written anywhere.
  if (bottom === undefined || words === undefined) return false;
  for (let i = 0; i < words.length; i++) {
    if (bottom.getInt32(4 * i, true) !== words[i]) return true;
  }
  return false;
}
