// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** The error for what the system refuses, and its sentences. */

import { Grant } from "../layout.ts";

const REASONS: Readonly<Record<number, string>> = {
  [Grant.out_of_memory]:
    "the system has no more memory or no more mappings for this process (ulimit -v, " +
    "/proc/sys/vm/max_map_count); dispose of generators and stacks that are not needed",
  [Grant.too_many_mappings]:
    "each of its stacks would take two of the mappings that a process may have " +
    "(/proc/sys/vm/max_map_count), and this one has come near their number. From Linux 6.13 on " +
    "they take none; before, have the number raised (sysctl vm.max_map_count), or dispose of " +
    "stacks that are not needed",
  [Grant.refused]:
    "the system refused (a seccomp filter or another policy of this machine); have it allow " +
    "mmap, mprotect, madvise and munmap",
};

/**
 * The system refused something that was asked of it in good order: there is no memory left, or the
 * native library cannot be had on this machine.
 *
 * Mistakes of the caller are `TypeError`, `RangeError` and `Error` instead.
 *
 * @example
 * ```ts
 * import { FringeError, OsStack } from "fringe";
 *
 * try {
 *   using stack = new OsStack(2 ** 46);
 *   console.log(stack.size);
 * } catch (error) {
 *   if (!(error instanceof FringeError)) throw error;
 *   console.log(error.status, error.message);
 * }
 * ```
 */
export class FringeError extends Error {
  /** The name of the class. */
  override readonly name = "FringeError";

  /**
   * What was refused, as a name that does not change: "out_of_memory", "refused", "unavailable".
   */
  readonly status: "out_of_memory" | "refused" | "unavailable";

  /** Makes an error from a status and a sentence. */
  constructor(
    status: "out_of_memory" | "refused" | "unavailable",
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.status = status;
  }
}

/**
 * Throws a `FringeError` unless the system has granted what was asked of it. `action` begins with
 * "Cannot".
 */
export function checkGrant(grant: number, action: string): void {
  if (grant === Grant.granted) return;
  const status = grant === Grant.refused ? "refused" : "out_of_memory";
  throw new FringeError(status, `${action}: ${REASONS[grant] ?? `native code says ${grant}`}`);
}
