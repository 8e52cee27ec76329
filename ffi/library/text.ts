// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** The library that came as text with the module graph: its bytes, and what messages say of it. */

import { checkDigest } from "./load.ts";
import type { Prebuilt } from "./prebuilt.js";
import { sha256 } from "./sha256.ts";

/** The library, in a message. */
export const CAME = "the library that came with the module";

/** What to grant where there is no file whose path could be granted. */
export const WITHOUT_PATH =
  "fringe needs --allow-ffi: its library came with the module, and has no path; for a path, " +
  "download the library and set FRINGE_LIBRARY";

/** A library as text, with its digest where that is known. */
export interface Text {
  readonly base64: string;
  readonly digest?: string;
}

/** The bytes of the library, if they are those that this version of fringe goes with. */
export function decode(build: Prebuilt, { base64, digest }: Text): Uint8Array<ArrayBuffer> {
  let bytes;
  try {
    bytes = Uint8Array.fromBase64(base64);
  } catch {
    bytes = new Uint8Array(0); // No base64: then the digest is found to be wrong.
  }
  const remedy = "Fetch it anew with `deno cache --reload`";
  checkDigest(digest ?? sha256(bytes), build.digest, CAME, remedy);
  return bytes;
}
