// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

// A resume with a number in and a number out, beside V8's own generators and a plain call.

import { dlopen, Generator, OsStack } from "fringe";
import { bench, INNER, sumBelow, testBodies } from "./setup.ts";

const library = dlopen(testBodies, { echo_u32: { input: "u32", output: "u32" } });
const native = new Generator(new OsStack(), library.symbols.echo_u32);

function* echo(): globalThis.Generator<number, void, number> {
  let input = yield 0;
  while (true) input = yield input;
}
const script = echo();
script.next(0);

const plain = Deno.dlopen(testBodies, { plus_one: { parameters: ["u32"], result: "u32" } });
const plusOne = plain.symbols.plus_one;

bench("resume", "Generator.resume()", () => {
  let sum = 0;
  for (let i = 0; i < INNER; i++) sum += native.resume(i)!;
  return sum;
}, sumBelow(INNER));

bench("resume", "function* next()", () => {
  let sum = 0;
  for (let i = 0; i < INNER; i++) sum += script.next(i).value as number;
  return sum;
}, sumBelow(INNER));

bench("resume", "plain FFI call", () => {
  let sum = 0;
  for (let i = 0; i < INNER; i++) sum += plusOne(i);
  return sum;
}, sumBelow(INNER + 1));
