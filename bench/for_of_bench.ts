// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

// `for…of` over a native body, and `fill()`, beside V8's own generators. All are left before they
// end.

import { dlopen, Generator, type NativeBody, OsStack } from "fringe";
import { bodyByHand, byHand, hasEnded, places, suspended } from "./by_hand.ts";
import { bench, INNER, sumBelow, target, testBodies } from "./setup.ts";

const { symbols } = dlopen(testBodies, {
  counts: { input: "void", output: "u32" },
  counts_i32: { input: "void", output: "i32" },
  counts_u16: { input: "void", output: "u16" },
  counts_i64: { input: "void", output: "i64" },
  counts_f64: { input: "void", output: "f64" },
});
const stack = new OsStack();

function* counts(): globalThis.Generator<number, void, void> {
  for (let i = 1;; i++) yield i;
}

const SCRIPT = "for…of function*";
bench("for…of", SCRIPT, () => {
  let sum = 0;
  for (const i of counts()) {
    sum += i;
    if (i === INNER) break;
  }
  return sum;
}, sumBelow(INNER + 1));

/** Measures a body that counts from 1. */
function iterates(
  name: string,
  body: NativeBody<void, number | bigint>,
  floor?: string,
): void {
  bench("for…of", name, () => {
    let left = INNER;
    for (const _ of new Generator(stack, body)) if (--left === 0) break;
    return INNER;
  }, INNER);
  target(`${name}, to function*`, name, SCRIPT, 1.2, floor);
}

iterates("for…of Generator", symbols.counts);
iterates("for…of Generator, i32", symbols.counts_i32);
iterates("for…of Generator, u16", symbols.counts_u16);
iterates("for…of Generator, f64", symbols.counts_f64, "for…of, by hand, f64");
iterates("for…of Generator, i64", symbols.counts_i64, "for…of, by hand, i64");

// The floors: iterators that resume by hand, and do nothing else.
const { resumeI32 } = byHand;
const { output: OUTPUT } = places;
const SUSPENDED = suspended;
{
  const { context, status, f64 } = bodyByHand("counts_f64");
  const generator = {
    next() {
      resumeI32(context, 0);
      if (status[0] !== SUSPENDED) hasEnded();
      return { value: f64[OUTPUT]!, done: false };
    },
    [Symbol.iterator]() {
      return this;
    },
  };
  bench("for…of", "for…of, by hand, f64", () => {
    let left = INNER;
    for (const _ of generator) if (--left === 0) break;
    return INNER;
  }, INNER);
}
{
  const { context, status, i64 } = bodyByHand("counts_i64");
  const generator = {
    next() {
      resumeI32(context, 0);
      if (status[0] !== SUSPENDED) hasEnded();
      return { value: i64[OUTPUT]!, done: false };
    },
    [Symbol.iterator]() {
      return this;
    },
  };
  bench("for…of", "for…of, by hand, i64", () => {
    let left = INNER;
    for (const _ of generator) if (--left === 0) break;
    return INNER;
  }, INNER);
}

const array = new Uint32Array(INNER);
const FILL = "fill(), an element";
bench("for…of", FILL, () => {
  const generator = new Generator(stack, symbols.counts);
  const filled = generator.fill(array);
  generator.return();
  return array[filled - 1]!;
}, INNER);
target("fill(), an element, to for…of function*", FILL, SCRIPT, 0.4);
