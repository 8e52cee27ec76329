// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** The warning that frames were abandoned, because they could not be unwound. */

import { Abandonment, HEADROOM_MIN, Mailbox } from "../layout.ts";
import { frameAt, frameLine, type NativeFrame } from "./backtrace.ts";

/** For each reason, a clause; `place` is the function where it went no further, as in a trace. */
const CLAUSES: Readonly<
  Record<number, (place: string, frame: NativeFrame, size: number) => string>
> = {
  [Abandonment.no_tables]: (place) =>
    `${place} has no unwind tables; compile it with -fasynchronous-unwind-tables`,
  [Abandonment.no_room]: (place, _, size) =>
    `${place} has cleanups, and of its stack of ${size} bytes fewer than ${
      HEADROOM_MIN / 1024
    } KiB were free below ` +
    "it; it needs a larger stack",
  [Abandonment.foreign_unwinder]: (place, { module }) =>
    `${place} has cleanups for an unwinder that ${module ?? "its module"} keeps to itself; link ` +
    "that with the shared libgcc_s",
  [Abandonment.foreign_stack]: (place) =>
    `${place} runs on a stack that C has made, from which no way is known, or how much room it ` +
    "has; give the callback a stop, so that C ends by itself",
  [Abandonment.suspended_in_cleanup]: () =>
    "a cleanup or destructor, which the end or an exception ran, had suspended; let none of them " +
    "suspend or call back",
  [Abandonment.swallowed]: () =>
    "it has caught the end and suspended again, 1,000 times; rethrow it (throw;) from catch (...)",
  [Abandonment.no_unwinder]: () => "the process has no unwinder; it needs libgcc_s.so.1",
};

/** What has been said: a reason and the name of a function, each pair once. */
const warned = new Set<string>();

/**
 * Prints that frames of the function `name`, on a stack of `size` bytes, have been abandoned, and
 * why: native code has written the reason, and the address of the function that it is about, into
 * `mailbox`. It is no error, since the stack has come back; but what the frames held has not.
 */
export function warnOfAbandoned(name: string, size: number, mailbox: DataView<ArrayBuffer>): void {
  const reason = Number(mailbox.getBigUint64(Mailbox.output, true));
  const key = `${reason} ${name}`;
  if (warned.has(key)) return;
  const frame = frameAt(mailbox.getBigUint64(Mailbox.output_float, true));
  const place = frame.address === 0n ? "one of them" : frameLine(frame);
  console.warn(
    `fringe: ${name} was ended early, and not all of its frames could be unwound: ` +
      `${CLAUSES[reason]!(place, frame, size)}. Its stack comes back; what the frames held ` +
      "(memory, locks, files) does not. This is said once for each function and reason",
  );
  warned.add(key);
}
