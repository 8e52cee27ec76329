// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * SHA-256 (FIPS 180-4), for the digest of fringe's library. The Web's own is asynchronous, and
 * Node's does not load in a program that has frozen JavaScript's own objects.
 */

/** The first `count` primes. */
function primes(count: number): number[] {
  const found: number[] = [];
  for (let n = 2; found.length < count; n++) {
    if (found.every((prime) => n % prime > 0)) found.push(n);
  }
  return found;
}

/** The first 32 bits behind the binary point. */
const fraction = (x: number): number => (x - Math.floor(x)) * 2 ** 32 | 0;

const BLOCK = 64;

/** The digest of `bytes`, in hexadecimal. */
export function sha256(bytes: Uint8Array): string {
  // Sections 4.2.2 and 5.3.3: constants that follow from the primes, and so hide nothing.
  const constants = Int32Array.from(primes(64), (prime) => fraction(Math.cbrt(prime)));
  const state = Int32Array.from(primes(8), (prime) => fraction(Math.sqrt(prime)));
  // Section 5.1.1: a bit that is 1, zeros, and the length in bits, to a multiple of the block.
  const padded = new Uint8Array(Math.ceil((bytes.length + 9) / BLOCK) * BLOCK);
  padded.set(bytes);
  padded[bytes.length] = 0x80;
  const view = new DataView(padded.buffer);
  view.setBigUint64(padded.length - 8, BigInt(bytes.length) * 8n);
  const schedule = new Int32Array(64);
  for (let at = 0; at < padded.length; at += BLOCK) {
    plan(schedule, view, at);
    mix(state, constants, schedule);
  }
  return Array.from(state, (word) => (word >>> 0).toString(16).padStart(8, "0")).join("");
}

// The two functions below run once a process, for the most part before V8 optimises them. So the
// rotations are written out, and no array is made to exchange variables.

/** Section 6.2.2, step 1: the words that a block gives. */
function plan(schedule: Int32Array, view: DataView, at: number): void {
  for (let t = 0; t < 16; t++) schedule[t] = view.getInt32(at + 4 * t);
  for (let t = 16; t < 64; t++) {
    const x = schedule[t - 15]!;
    const y = schedule[t - 2]!;
    const sigma0 = (x >>> 7 | x << 25) ^ (x >>> 18 | x << 14) ^ x >>> 3;
    const sigma1 = (y >>> 17 | y << 15) ^ (y >>> 19 | y << 13) ^ y >>> 10;
    schedule[t] = schedule[t - 16]! + sigma0 + schedule[t - 7]! + sigma1;
  }
}

/** Section 6.2.2, steps 2 to 4: takes the words of a block into the state. */
function mix(state: Int32Array, constants: Int32Array, schedule: Int32Array): void {
  let [a, b, c, d, e, f, g, h] = state as unknown as [
    ...[number, number, number, number],
    ...[number, number, number, number],
  ];
  for (let t = 0; t < 64; t++) {
    const sum1 = (e >>> 6 | e << 26) ^ (e >>> 11 | e << 21) ^ (e >>> 25 | e << 7);
    const choice = e & f ^ ~e & g;
    const first = h + sum1 + choice + constants[t]! + schedule[t]! | 0;
    const sum0 = (a >>> 2 | a << 30) ^ (a >>> 13 | a << 19) ^ (a >>> 22 | a << 10);
    const majority = a & b ^ a & c ^ b & c;
    h = g;
    g = f;
    f = e;
    e = d + first | 0;
    d = c;
    c = b;
    b = a;
    a = first + sum0 + majority | 0;
  }
  for (const [i, word] of [a, b, c, d, e, f, g, h].entries()) state[i] = state[i]! + word;
}
