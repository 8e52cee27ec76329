// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

// `for…of` over a native body, and `fill()`, beside V8's own generators. All are left before they
// end.

import { dlopen, Generator, type NativeBody, OsStack } from "fringe";
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
function iterates(name: string, body: NativeBody<void, number | bigint>): void {
  bench("for…of", name, () => {
    let left = INNER;
    for (const _ of new Generator(stack, body)) if (--left === 0) break;
    return INNER;
  }, INNER);
  target(`${name}, to function*`, name, SCRIPT, 1.2);
}

iterates("for…of Generator", symbols.counts);
iterates("for…of Generator, i32", symbols.counts_i32);
iterates("for…of Generator, u16", symbols.counts_u16);
iterates("for…of Generator, f64", symbols.counts_f64);
iterates("for…of Generator, i64", symbols.counts_i64);

const array = new Uint32Array(INNER);
const FILL = "fill(), an element";
bench("for…of", FILL, () => {
  const generator = new Generator(stack, symbols.counts);
  const filled = generator.fill(array);
  generator.return();
  return array[filled - 1]!;
}, INNER);
target("fill(), an element, to for…of function*", FILL, SCRIPT, 0.4);
