// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * SHA-256, for the digest of fringe's library: Zig's, as WebAssembly.
 *
 * The Web's own is asynchronous. Node's does not load in a program that has frozen JavaScript's own
 * objects. One in TypeScript takes some 10 ms for the library, since V8 has no time to optimise it;
 * WebAssembly takes 4.
 */

import { FringeError } from "./fringe_error.ts";
import { sha256Wasm } from "./prebuilt.js";

const PAGE = 64 * 1024;
const DIGEST = 32;

/** What native/sha256.zig exports. */
interface Exports {
  readonly memory: WebAssembly.Memory;
  /** Puts the digest of `length` bytes in their place. */
  sha256(address: number, length: number): void;
}

/** The digest of `bytes`, in hexadecimal. */
export function sha256(bytes: Uint8Array): string {
  if (typeof WebAssembly === "undefined") {
    throw new FringeError(
      "unavailable",
      "Cannot open fringe's native library: its digest is found out by WebAssembly, which V8 " +
        "lacks with --jitless. Download the library and set FRINGE_LIBRARY to its path",
    );
  }
  const code = new WebAssembly.Module(Uint8Array.fromBase64(sha256Wasm));
  const { memory, sha256 } = new WebAssembly.Instance(code).exports as unknown as Exports;
  // Pages of its own, behind all that the code uses.
  const address = memory.grow(Math.ceil(bytes.length / PAGE) || 1) * PAGE;
  const place = new Uint8Array(memory.buffer, address);
  place.set(bytes);
  sha256(address, bytes.length);
  return place.subarray(0, DIGEST).toHex();
}
