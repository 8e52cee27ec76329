// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** Exceptions that have left native code: C++'s, Rust's panics, and others. */

import { own } from "../check.ts";
import { Mailbox, Report, SLOT_SIZE } from "../layout.ts";
import { native } from "../library/find.ts";
import { readCString } from "../value/cstring.ts";
import { frameAt, frameLine, type NativeFrame } from "./backtrace.ts";

/** What the constructor asks for: it is known in this file only. */
const KEY = Symbol("NativeError");

/**
 * An exception that a native body, or a function of `dlopen`, has let out: one of C++, or a panic
 * of Rust. The frames have been unwound before, their destructors have run.
 *
 * `message` is what the exception says: `what()` of a `std::exception`, the text of a panic.
 *
 * @example
 * ```ts ignore
 * import { dlopen, NativeError } from "fringe";
 *
 * using library = dlopen("./libparser.so", { parse: { parameters: ["cstring"], result: "i32" } });
 * try {
 *   library.symbols.parse("]");
 * } catch (error) {
 *   if (!(error instanceof NativeError)) throw error;
 *   console.log(error.type); // std::invalid_argument
 *   console.log(error.message); // unexpected ]
 *   console.log(error.backtrace[0]?.name); // __cxa_throw
 * }
 * ```
 */
export class NativeError extends Error {
  /** The name of the class. */
  override readonly name = "NativeError";

  /**
   * The type of the exception, as it is written in C++; "panic" for one of Rust's; "thread exit"
   * where C has ended its thread (`pthread_exit`); `undefined` for what is not known.
   */
  readonly type: string | undefined;

  /** Where it was thrown: the native frames then, the innermost first, at most 64. */
  declare readonly backtrace: readonly NativeFrame[];

  /** Not for programs: only native code makes one. */
  constructor(
    key: symbol,
    type: string | undefined,
    message: string | undefined,
    backtrace: readonly NativeFrame[],
  ) {
    if (key !== KEY) {
      throw new TypeError("Cannot make NativeError: only native code does; make an Error instead");
    }
    const thrown = type ?? "an exception of a type that is not known";
    super(message ?? `Native code has thrown ${thrown}`);
    this.type = type;
    // Not enumerable, since printing an error shows `stack`, which has the frames too.
    Object.defineProperty(this, "backtrace", own({ value: Object.freeze([...backtrace]) }));
    // A program's own Error.prepareStackTrace may have made something else of `stack`.
    if (typeof this.stack !== "string") return;
    const start = this.stack.indexOf("\n    at ");
    const rest = start < 0 ? "" : this.stack.slice(start + 1);
    const what = type === undefined ? "" : ` (${type})`;
    const frames = backtrace.map((frame) => `    at ${frameLine(frame)}\n`);
    this.stack = [`${this.name}${what}: ${this.message}\n`, ...frames, rest].join("");
  }
}

/** Makes an error. `message` is undefined for an exception that has none. */
export function makeNativeError(
  type: string | undefined,
  message: string | undefined,
  backtrace: readonly NativeFrame[],
): NativeError {
  return new NativeError(KEY, type, message, backtrace);
}

/**
 * Reads what native code reports of an exception that has left a body; the mailbox says where.
 *
 * Returns a function that makes the error. To make one may run the program's own code
 * (Error.prepareStackTrace), which may fail, or call fringe: so the caller makes the error when
 * native code has been told that the report was read.
 */
export function readReport(mailbox: DataView): () => NativeError {
  const address = mailbox.getBigUint64(Mailbox.output, true);
  // 0: native code had no memory left for a report.
  if (address === 0n) return () => makeNativeError(undefined, undefined, []);
  const report = new DataView(new ArrayBuffer(Report.size));
  native().copyIn(report, address, BigInt(report.byteLength));
  const word = (offset: number): bigint => report.getBigUint64(offset, true);
  const frames = Array.from(
    { length: Number(word(Report.count)) },
    (_, i) => frameAt(word(Report.addresses + i * SLOT_SIZE)),
  );
  const type = readCString(word(Report.type)) ?? undefined;
  const message = readText(word(Report.message), word(Report.message_length));
  return () => makeNativeError(type, message, frames);
}

function readText(address: bigint, length: bigint): string | undefined {
  if (address === 0n) return undefined;
  const bytes = new Uint8Array(new ArrayBuffer(Number(length)));
  native().copyIn(bytes, address, length);
  return new TextDecoder().decode(bytes);
}
