// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * What C holds of malloc's memory.
 *
 * @module
 */

import { dlopen, PointerView } from "../../mod.ts";
import { gc } from "./support.ts";

/**
 * How many bytes are in use: by C libraries, by Deno, and by the buffers of JavaScript until they
 * are collected.
 */
function bytesInUse(): number {
  // struct mallinfo2 mallinfo2(void): ten size_t, of which the eighth is what is in use. The caller
  // passes the address where such a struct goes (System V psABI for AMD64, section 3.2.3).
  using libc = dlopen("libc.so.6", {
    mallinfo2: { parameters: ["buffer"], result: "pointer" },
  });
  const info = new BigUint64Array(10);
  libc.symbols.mallinfo2(info);
  return Number(PointerView.of(info).getBigUint64(7 * 8));
}

/** Forces collections, with time between them in which the memory of buffers is given back. */
async function collect(): Promise<void> {
  for (let i = 0; i < 5; i++) {
    gc();
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/**
 * How many bytes each of `rounds` rounds leaves behind. Deno and V8 take memory of their own now
 * and then, so more than `allowed` counts only if it is left behind again and again.
 */
export async function leftBehind(
  rounds: number,
  allowed: number,
  round: () => void | Promise<void>,
): Promise<number> {
  let left = Infinity;
  for (let attempt = 0; attempt < 5 && left > allowed; attempt++) {
    await collect();
    const before = bytesInUse();
    for (let i = 0; i < rounds; i++) await round();
    await collect();
    left = (bytesInUse() - before) / rounds;
  }
  return left;
}
