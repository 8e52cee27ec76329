// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Calls a function with little of V8's stack left, to the byte: what fills the stack are arguments,
 * of eight bytes each, that nobody looks at.
 *
 * @module
 */

/** A function takes no more than 65,535 arguments. */
const CHUNK = 30_000;
const chunk = new Array<number>(CHUNK).fill(0);

let chunksLeft = 0;
let rest: number[] = [];
let action: () => unknown = () => {};

function fill(): unknown {
  return chunksLeft-- > 0
    ? fill.apply(undefined, chunk as unknown as [])
    : bottom.apply(undefined, rest as unknown as []);
}

function bottom(): unknown {
  return action();
}

/** Calls `f` when this many words are on the stack. */
function withWords(words: number, f: () => unknown): unknown {
  action = f;
  chunksLeft = Math.trunc(words / CHUNK);
  rest = chunk.slice(0, words % CHUNK);
  return fill();
}

let reached = false;
function leaf(): void {
  reached = true;
}
// All of it has to be compiled, which needs 40 KiB of V8's stack.
withWords(CHUNK, leaf);

/** With how many words on the stack a small function can just be called. */
let most = 0;

/** Finds out how much there is; again, because what V8 has optimised needs less itself. */
export function calibrate(): void {
  let [low, high] = [0, 2 ** 20];
  while (high - low > 1) {
    const middle = Math.trunc((low + high) / 2);
    reached = false;
    try {
      withWords(middle, leaf);
    } catch {
      // Not reached.
    }
    if (reached) low = middle;
    else high = middle;
  }
  most = low;
}

/** Calls `f` with as many bytes left as a small function needs, and `room` more. */
export function withRoom(room: number, f: () => unknown): unknown {
  return withWords(most - Math.trunc(room / 8), f);
}
