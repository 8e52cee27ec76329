// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

// A C loop that calls a callback which TypeScript answers: suspended, and with Deno.UnsafeCallback.

import { dlopen } from "fringe";
import { bench, INNER, sumBelow, testBodies } from "./setup.ts";

const library = dlopen(testBodies, {
  call_n: {
    parameters: ["i32", { callback: { parameters: ["i32"], result: "i32" } }],
    result: "i32",
  },
});
const suspended = library.symbols.call_n;

const plain = Deno.dlopen(testBodies, {
  call_n: { parameters: ["i32", "function"], result: "i32" },
});
const unsafeCallback = new Deno.UnsafeCallback(
  { parameters: ["i32"], result: "i32" },
  (i) => i,
);

bench("callback", "suspended callback", () => suspended(INNER, (i) => i), sumBelow(INNER));

bench(
  "callback",
  "Deno.UnsafeCallback",
  () => plain.symbols.call_n(INNER, unsafeCallback.pointer),
  sumBelow(INNER),
);
