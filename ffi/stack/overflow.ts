// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** What a program wants to happen when a body uses up its stack. */

import { describe } from "../check.ts";

/** What happens when a body has run into the guard page of its stack. */
export type Overflow = "report" | "throw";

/** Checks the option; not given, it is "report". `what` begins with "Cannot". */
export function overflowOf(option: unknown, what: string): Overflow {
  if (option === undefined) return "report";
  if (option === "report" || option === "throw") return option;
  throw new TypeError(`${what}: overflow must be "report" or "throw": got ${describe(option)}`);
}
