// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

// A resume with a value in and a value out, by type, beside V8's own generators and a plain call.

import { dlopen, Generator, type NativeBody, OsStack, PointerView } from "fringe";
import { bodyByHand, byHand, hasEnded, places, suspended } from "./by_hand.ts";
import { bench, INNER, sumBelow, target, testBodies } from "./setup.ts";

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

function plainCall(): number {
  let sum = 0;
  for (let i = 0; i < INNER; i++) sum += plusOne(i);
  return sum;
}

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

bench("resume", "plain FFI call", plainCall, sumBelow(INNER + 1));

const { resumeI32, resumeU32, resumePointer } = byHand;
const { input: INPUT, output: OUTPUT } = places;
const { shortInput: SHORT_INPUT, shortOutput: SHORT_OUTPUT } = places;
const SUSPENDED = suspended;
const { context } = bodyByHand("echo_u32");
const ALONE = "fringe_resume by FFI, and nothing else";
bench("resume", ALONE, () => {
  let sum = 0;
  for (let i = 0; i < INNER; i++) sum += resumeU32(context, i);
  return sum;
}, sumBelow(INNER));

target("Generator.resume() to function* next()", "Generator.resume()", "function* next()", 1.05);
target(
  "Generator.resume() to a plain FFI call",
  "Generator.resume()",
  "plain FFI call",
  1.75,
  ALONE,
);

const byType = "resume by type";
const PLAIN = "plain FFI call, beside other types";
bench(byType, PLAIN, plainCall, sumBelow(INNER + 1));

const bodies = dlopen(testBodies, {
  echo_bool: { input: "bool", output: "bool" },
  echo_i8: { input: "i8", output: "i8" },
  echo_u8: { input: "u8", output: "u8" },
  echo_i16: { input: "i16", output: "i16" },
  echo_u16: { input: "u16", output: "u16" },
  echo_f32: { input: "f32", output: "f32" },
  echo_f64: { input: "f64", output: "f64" },
  echo_pointer: { input: "pointer", output: "pointer" },
  echo_i64: { input: "i64", output: "i64" },
  echo_u64: { input: "u64", output: "u64" },
  echo_isize: { input: "isize", output: "isize" },
  echo_usize: { input: "usize", output: "usize" },
  counts_i32: { input: "void", output: "i32" },
  counts_f64: { input: "void", output: "f64" },
  halves: { input: "i32", output: "f64" },
}).symbols;

/** Measures a body that is given the same input each time; `floor` is what is done by hand. */
function types<T>(
  name: string,
  body: NativeBody<T, unknown>,
  input: T,
  atMost: number,
  floor: string,
): void {
  const generator = new Generator(new OsStack(), body);
  const resumed = `resume(), ${name}`;
  bench(byType, resumed, () => {
    for (let i = 0; i < INNER; i++) generator.resume(input);
    return INNER;
  }, INNER);
  target(`${resumed}, to a plain FFI call`, resumed, PLAIN, atMost, `by hand, ${floor}`);
}

// What fits a register as an integer.
const WORD = 2.2;
types("bool", bodies.echo_bool, true, WORD, "i8");
types("i8", bodies.echo_i8, -5, WORD, "i8");
types("u8", bodies.echo_u8, 200, WORD, "i8");
types("i16", bodies.echo_i16, -300, WORD, "i8");
types("u16", bodies.echo_u16, 60_000, WORD, "i8");
types("void in, i32 out", bodies.counts_i32, undefined, WORD, "i8");

const FLOAT = 3.3;
const pointer = PointerView.of(new Uint8Array(8)).pointer;
types("f32", bodies.echo_f32, 0.5, FLOAT, "f32");
types("f64", bodies.echo_f64, 0.1, FLOAT, "f64");
types("pointer", bodies.echo_pointer, pointer, FLOAT, "pointer");
types("void in, f64 out", bodies.counts_f64, undefined, FLOAT, "f64");
types("i32 in, f64 out", bodies.halves, 7, FLOAT, "f64");

// V8 makes an object of each bigint.
const BIGINT = 5;
types("i64", bodies.echo_i64, -5n, BIGINT, "i64");
types("u64", bodies.echo_u64, 2n ** 63n, BIGINT, "u64");
types("isize", bodies.echo_isize, -5n, BIGINT, "i64");
types("usize", bodies.echo_usize, 5n, BIGINT, "u64");

// The floors: one loop for each type, with nothing in it that `bench/by_hand.ts` does not name.
{
  const { context, status } = bodyByHand("echo_i8");
  bench(byType, "by hand, i8", () => {
    let sum = 0;
    for (let i = 0; i < INNER; i++) {
      const input = i & 1;
      const word = ((input & 0xff) ^ 0x80) - 0x80;
      if (word !== input) hasEnded();
      const output = resumeI32(context, word);
      if (status[0] !== SUSPENDED) hasEnded();
      sum += ((output & 0xff) ^ 0x80) - 0x80;
    }
    return sum;
  }, INNER / 2);
}
{
  const { context, status, f32 } = bodyByHand("echo_f32");
  bench(byType, "by hand, f32", () => {
    let sum = 0;
    for (let i = 0; i < INNER; i++) {
      f32[SHORT_INPUT] = i;
      resumeI32(context, 0);
      if (status[0] !== SUSPENDED) hasEnded();
      sum += f32[SHORT_OUTPUT]!;
    }
    return sum;
  }, sumBelow(INNER));
}
{
  const { context, status, f64 } = bodyByHand("echo_f64");
  bench(byType, "by hand, f64", () => {
    let sum = 0;
    for (let i = 0; i < INNER; i++) {
      f64[INPUT] = i;
      resumeI32(context, 0);
      if (status[0] !== SUSPENDED) hasEnded();
      sum += f64[OUTPUT]!;
    }
    return sum;
  }, sumBelow(INNER));
}
// Outputs are kept, so that there is an object for each.
const kept: unknown[] = [undefined];
{
  const { context, status } = bodyByHand("echo_pointer");
  bench(byType, "by hand, pointer", () => {
    for (let i = 0; i < INNER; i++) {
      kept[0] = resumePointer(context, pointer);
      if (status[0] !== SUSPENDED) hasEnded();
    }
    return INNER;
  }, INNER);
}
// By turns, so that each input is checked.
const bigints = [5n, 7n] as const;
{
  const { context, status, i64 } = bodyByHand("echo_i64");
  bench(byType, "by hand, i64", () => {
    for (let i = 0; i < INNER; i++) {
      const input = bigints[i & 1]!;
      if (BigInt.asIntN(64, input) !== input) hasEnded();
      i64[INPUT] = input;
      resumeI32(context, 0);
      if (status[0] !== SUSPENDED) hasEnded();
      kept[0] = i64[OUTPUT];
    }
    return INNER;
  }, INNER);
}
{
  const { context, status, u64 } = bodyByHand("echo_u64");
  bench(byType, "by hand, u64", () => {
    for (let i = 0; i < INNER; i++) {
      const input = bigints[i & 1]!;
      if (BigInt.asUintN(64, input) !== input) hasEnded();
      u64[INPUT] = input;
      resumeI32(context, 0);
      if (status[0] !== SUSPENDED) hasEnded();
      kept[0] = u64[OUTPUT];
    }
    return INNER;
  }, INNER);
}
