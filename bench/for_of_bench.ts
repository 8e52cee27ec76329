// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

// `for…of` over a native body, beside V8's own generators. Both are left by `break`.

import { dlopen, Generator, OsStack } from "fringe";
import { bench, INNER, sumBelow, testBodies } from "./setup.ts";

const library = dlopen(testBodies, { counts: { input: "void", output: "u32" } });
const stack = new OsStack();

function* counts(): globalThis.Generator<number, void, void> {
  for (let i = 1;; i++) yield i;
}

bench("for…of", "for…of Generator", () => {
  let sum = 0;
  for (const i of new Generator(stack, library.symbols.counts)) {
    sum += i;
    if (i === INNER) break;
  }
  return sum;
}, sumBelow(INNER + 1));

bench("for…of", "for…of function*", () => {
  let sum = 0;
  for (const i of counts()) {
    sum += i;
    if (i === INNER) break;
  }
  return sum;
}, sumBelow(INNER + 1));
