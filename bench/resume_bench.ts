// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

// A resume with a value in and a value out, by type, beside V8's own generators and a plain call.

import { dlopen, Generator, type NativeBody, OsStack, PointerView } from "fringe";
import { bench, fringeLibrary, INNER, sumBelow, target, testBodies } from "./setup.ts";

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

// The floor: Deno's call of the native function that resumes, where nobody checks anything. The
// body runs in memory of V8's.
const raw = Deno.dlopen(fringeLibrary, {
  fringe_init: { parameters: ["usize", "pointer", "buffer"], result: "pointer" },
  fringe_resume: { parameters: ["pointer", "u32"], result: "u32" },
}).symbols;
const rawBody = Deno.dlopen(testBodies, { echo_u32: { type: "pointer" } }).symbols.echo_u32;
const rawStack = new Uint8Array(64 * 1024);
const rawMailbox = new Uint8Array(new ArrayBuffer(32));
const rawBase = Deno.UnsafePointer.value(Deno.UnsafePointer.of(rawStack)) +
  BigInt(rawStack.length);
const rawContext = raw.fringe_init(rawBase & ~15n, rawBody, rawMailbox);
raw.fringe_resume(rawContext, 0);
bench("resume", "fringe_resume by FFI, and nothing else", () => {
  let sum = 0;
  for (let i = 0; i < INNER; i++) sum += raw.fringe_resume(rawContext, i);
  return sum;
}, sumBelow(INNER));

target("Generator.resume() to function* next()", "Generator.resume()", "function* next()", 1.05);
target("Generator.resume() to a plain FFI call", "Generator.resume()", "plain FFI call", 1.75);

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

/** Measures a body that is given the same input each time. */
function types<T>(name: string, body: NativeBody<T, unknown>, input: T, atMost: number): void {
  const generator = new Generator(new OsStack(), body);
  bench(byType, `resume(), ${name}`, () => {
    for (let i = 0; i < INNER; i++) generator.resume(input);
    return INNER;
  }, INNER);
  target(`resume(), ${name}, to a plain FFI call`, `resume(), ${name}`, PLAIN, atMost);
}

// What fits a register as an integer.
const WORD = 2.2;
types("bool", bodies.echo_bool, true, WORD);
types("i8", bodies.echo_i8, -5, WORD);
types("u8", bodies.echo_u8, 200, WORD);
types("i16", bodies.echo_i16, -300, WORD);
types("u16", bodies.echo_u16, 60_000, WORD);
types("void in, i32 out", bodies.counts_i32, undefined, WORD);

const FLOAT = 3.3;
types("f32", bodies.echo_f32, 0.5, FLOAT);
types("f64", bodies.echo_f64, 0.1, FLOAT);
types("pointer", bodies.echo_pointer, PointerView.of(new Uint8Array(8)).pointer, FLOAT);
types("void in, f64 out", bodies.counts_f64, undefined, FLOAT);
types("i32 in, f64 out", bodies.halves, 7, FLOAT);

// V8 makes an object of each bigint.
const BIGINT = 5;
types("i64", bodies.echo_i64, -5n, BIGINT);
types("u64", bodies.echo_u64, 2n ** 63n, BIGINT);
types("isize", bodies.echo_isize, -5n, BIGINT);
types("usize", bodies.echo_usize, 5n, BIGINT);
