// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * The canary: what lies at the lower end of a stack that has no guard page. A body that goes beyond
 * the end writes over it as a rule, and that is looked at whenever native code is back.
 */

import { CANARY as TEXT } from "../layout.ts";
import type { StackMemory } from "./stack.ts";

/** No body writes this by chance. */
const CANARY = new Int32Array(new TextEncoder().encode(TEXT).buffer);

/** How many bytes the canary takes. */
export const CANARY_SIZE: number = TEXT.length;

/** Before a body begins. */
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
