// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** Text in the encodings that C has it in: what each string is in bytes, and back. */

import { describe } from "../check.ts";
import { checkString, decode as decodeUtf8, utf8 } from "./cstring.ts";

/**
 * How text lies in memory. "utf-16" is `char16_t`, "utf-32" is `char32_t` and, but for Windows,
 * `wchar_t`, both in the byte order of the machine. Of "latin1" each byte is the number of a
 * character.
 *
 * @example
 * ```ts
 * import { PointerView, type TextEncoding } from "fringe";
 *
 * const encoding: TextEncoding = "utf-32";
 * const wide = PointerView.of(new Uint8Array(64));
 * wide.setCString(0, "grün", encoding);
 * console.log(wide.getUint32(8), wide.getCString(0, encoding)); // 252 grün
 * ```
 */
export type TextEncoding = "utf-8" | "utf-16" | "utf-32" | "latin1";

/** How many bytes the zero takes that ends a string. */
export function unitOf(encoding: unknown, what: string): 1 | 2 | 4 {
  switch (encoding) {
    case "utf-8":
    case "latin1":
      return 1;
    case "utf-16":
      return 2;
    case "utf-32":
      return 4;
  }
  throw new TypeError(
    `${what}: encoding must be "utf-8", "utf-16", "utf-32" or "latin1": got ${describe(encoding)}`,
  );
}

/** The text in these bytes. Bad UTF-8 and numbers over U+10FFFF become U+FFFD; halves stay. */
export function decode(bytes: Uint8Array<ArrayBuffer>, encoding: TextEncoding): string {
  if (encoding === "utf-8") return decodeUtf8(bytes, bytes.length);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let text = "";
  if (encoding === "latin1") { for (const byte of bytes) text += String.fromCharCode(byte); }
  else if (encoding === "utf-16") {
    // Half of a pair stays what it is, so that it can be written back.
    for (let i = 0; i + 2 <= bytes.length; i += 2) {
      text += String.fromCharCode(view.getUint16(i, true));
    }
  } else {for (let i = 0; i + 4 <= bytes.length; i += 4) {
      const point = view.getUint32(i, true);
      text += String.fromCodePoint(point <= 0x10ffff ? point : 0xfffd);
    }}
  return text;
}

/** The bytes of a text, with the zero behind it. `what` begins with "Cannot". */
export function encode(
  value: unknown,
  encoding: TextEncoding,
  what: string,
): Uint8Array<ArrayBuffer> {
  const unit = unitOf(encoding, what);
  if (typeof value !== "string") {
    throw new TypeError(`${what} must be a string: got ${describe(value)}`);
  }
  checkString(value, what);
  const text = `${value}\0`;
  if (encoding === "utf-8") return utf8().encode(text);
  const units = encoding === "utf-32"
    ? Array.from(text, (character) => character.codePointAt(0)!)
    : Array.from({ length: text.length }, (_, i) => text.charCodeAt(i));
  const beyond = encoding === "latin1" ? units.findIndex((unit) => unit > 0xff) : -1;
  if (beyond >= 0) {
    throw new RangeError(
      `${what} has a character that Latin-1 has not: got ${describe(value.slice(beyond))}`,
    );
  }
  const view = new DataView(new ArrayBuffer(units.length * unit));
  for (const [i, number] of units.entries()) {
    if (unit === 1) view.setUint8(i, number);
    else if (unit === 2) view.setUint16(i * 2, number, true);
    else view.setUint32(i * 4, number, true);
  }
  return new Uint8Array(view.buffer);
}
