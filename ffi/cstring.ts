// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** C's strings: bytes up to a zero, which are UTF-8 here. */

import { native } from "./library.ts";
import { describe } from "./stack.ts";

// A mark of the byte order is part of the string: C has no use for one, so it is text.
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
const encoder = new TextEncoder();
let scratch = new Uint8Array(new ArrayBuffer(4096));

/** The string at `address`; null for the null pointer. */
export function readCString(address: bigint): string | null {
  if (address === 0n) return null;
  let length = native().copyString(scratch, address, scratch.length);
  if (length > scratch.length) {
    scratch = new Uint8Array(new ArrayBuffer(length));
    length = native().copyString(scratch, address, length);
  }
  return length <= SHORT ? decodeShort(scratch, length) : decode(scratch, length);
}

/** What is shorter is put together here: asking the decoder takes longer. */
const SHORT = 32;

function decodeShort(bytes: Uint8Array<ArrayBuffer>, length: number): string {
  let text = "";
  let i = 0;
  for (; i + 8 <= length; i += 8) {
    const [a, b, c, d] = [bytes[i]!, bytes[i + 1]!, bytes[i + 2]!, bytes[i + 3]!];
    const [e, f, g, h] = [bytes[i + 4]!, bytes[i + 5]!, bytes[i + 6]!, bytes[i + 7]!];
    if ((a | b | c | d | e | f | g | h) > 0x7f) return decode(bytes, length);
    text += String.fromCharCode(a, b, c, d, e, f, g, h);
  }
  for (; i < length; i++) {
    const a = bytes[i]!;
    if (a > 0x7f) return decode(bytes, length);
    text += String.fromCharCode(a);
  }
  return text;
}

function decode(bytes: Uint8Array<ArrayBuffer>, length: number): string {
  return decoder.decode(bytes.subarray(0, length));
}

/** The bytes of a string with the zero behind them; null for null. `what` begins with "Cannot". */
export function encodeCString(value: unknown, what: string): Uint8Array<ArrayBuffer> | null {
  if (value === null) return null;
  if (typeof value !== "string") {
    throw new TypeError(`${what} must be a string or null (cstring): got ${describe(value)}`);
  }
  if (value.includes("\0")) {
    throw new TypeError(
      `${what} must not contain the character U+0000, which ends a C string: got ${
        describe(value)
      }`,
    );
  }
  return encoder.encode(value + "\0");
}
