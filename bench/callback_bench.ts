// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

// A C loop that calls a callback which TypeScript answers: in each of the forms, and with
// Deno.UnsafeCallback.

import { Callback, dlopen, Generator, OsStack } from "fringe";
import { byHand, callByHand, places, returned } from "./by_hand.ts";
import { bench, INNER, smoke, sumBelow, target, testBodies } from "./setup.ts";

const one = { parameters: ["i32"], result: "i32" } as const;
const three = { parameters: ["i32", "f64", "u16"], result: "i32" } as const;
const { symbols } = dlopen(testBodies, {
  call_n: { parameters: ["i32", { callback: one }], result: "i32" },
  call_three: { parameters: ["i32", { callback: three }], result: "i32" },
  plus_one: { parameters: ["u32"], result: "u32" },
  echo_u32: { input: "u32", output: "u32" },
});
const elsewhere = dlopen(testBodies, {
  call_n: { parameters: ["i32", { callback: one }], result: "i32", nonblocking: true },
}).symbols;
const onThread = dlopen(testBodies, {
  call_n: { parameters: ["i32", { callback: one }], result: "i32", nonblocking: "thread" },
}).symbols;

const plain = Deno.dlopen(testBodies, {
  call_n: { parameters: ["i32", "function"], result: "i32" },
  call_three: { parameters: ["i32", "function"], result: "i32" },
  plus_one: { parameters: ["u32"], result: "u32" },
}).symbols;
const plainElsewhere = Deno.dlopen(testBodies, {
  call_n: { parameters: ["i32", "function"], result: "i32", nonblocking: true },
  plus_one: { parameters: ["u32"], result: "u32", nonblocking: true },
}).symbols;
const unsafeCallback = new Deno.UnsafeCallback(one, (i) => i);
const unsafeThree = new Deno.UnsafeCallback(three, (i, half, j) => half + half === j ? i : 0);

/** The threads of a call meet in turns of the event loop, so fewer make a sample. */
const FEW = smoke ? 10 : 200;
/** A function of three arguments is given a u16. */
const THREE = Math.min(INNER, 2 ** 16);

bench("callback", "suspended callback", () => symbols.call_n(INNER, (i) => i), sumBelow(INNER));
bench(
  "callback",
  "Deno.UnsafeCallback",
  () => plain.call_n(INNER, unsafeCallback.pointer),
  sumBelow(INNER),
);
bench("callback", "pulled callback", () => {
  let sum = 0;
  for (const call of symbols.call_n.calls(INNER)) {
    sum += call.args[0];
    call.reply(call.args[0]);
  }
  return sum;
}, sumBelow(INNER));
target("suspended callback to UnsafeCallback", "suspended callback", "Deno.UnsafeCallback", 0.22);
target("pulled callback to UnsafeCallback", "pulled callback", "Deno.UnsafeCallback", 1.2);

bench(
  "callback of three",
  "suspended callback, three arguments",
  () => symbols.call_three(THREE, (i, half, j) => half + half === j ? i : 0),
  sumBelow(THREE),
  THREE,
);
bench(
  "callback of three",
  "Deno.UnsafeCallback, three arguments",
  () => plain.call_three(THREE, unsafeThree.pointer),
  sumBelow(THREE),
  THREE,
);
target(
  "suspended callback of three arguments to UnsafeCallback",
  "suspended callback, three arguments",
  "Deno.UnsafeCallback, three arguments",
  0.3,
);

// deno-lint-ignore require-await -- what is awaited is measured
const answer = async (i: number): Promise<number> => i;
bench("awaited", "awaited callback", async () => {
  return await symbols.call_n.async(INNER, answer);
}, sumBelow(INNER));
bench("awaited", "await of the same function", async () => {
  let sum = 0;
  for (let i = 0; i < INNER; i++) sum += await answer(i);
  return sum;
}, sumBelow(INNER));
target("awaited callback to a bare await", "awaited callback", "await of the same function", 4);

/** Whole calls take longer than callbacks. */
const CALLS = smoke ? 10 : 1000;
bench(
  "whole call",
  "call with one callback",
  () => {
    for (let i = 0; i < CALLS; i++) symbols.call_n(1, (i) => i);
    return CALLS;
  },
  CALLS,
  CALLS,
);
bench(
  "whole call",
  "the same by Deno.UnsafeCallback",
  () => {
    for (let i = 0; i < CALLS; i++) plain.call_n(1, unsafeCallback.pointer);
    return CALLS;
  },
  CALLS,
  CALLS,
);
bench(
  "whole call",
  "call without a callback",
  () => {
    for (let i = 0; i < CALLS; i++) symbols.plus_one(i);
    return CALLS;
  },
  CALLS,
  CALLS,
);
bench(
  "whole call",
  "plain FFI call, beside calls",
  () => {
    for (let i = 0; i < INNER; i++) plain.plus_one(i);
    return INNER;
  },
  INNER,
  INNER,
);
// The floor: Deno's call of the native function that begins a call, where nothing is checked.
const { call } = byHand;
const { integers: INTEGERS, shortOutput: OUTPUT } = places;
const RETURNED = returned;
const called = callByHand("plus_one");
bench(
  "whole call",
  "fringe_call by FFI, and nothing else",
  () => {
    const { context, status } = called;
    for (let i = 0; i < INNER; i++) {
      status[INTEGERS] = i;
      call(context, null);
      if (status[0] !== RETURNED || status[OUTPUT] !== i + 1) return i;
    }
    return INNER;
  },
  INNER,
  INNER,
);
target(
  "call with one callback to the same by UnsafeCallback",
  "call with one callback",
  "the same by Deno.UnsafeCallback",
  1.5,
);
target(
  "call without a callback to a plain FFI call",
  "call without a callback",
  "plain FFI call, beside calls",
  10,
  "fringe_call by FFI, and nothing else",
);

const MADE = smoke ? 10 : 1000;
let stack = new OsStack();
bench(
  "made and ended",
  "make, run once, end, unwrap on a kept stack",
  () => {
    for (let i = 0; i < MADE; i++) {
      const generator = new Generator(stack, symbols.echo_u32);
      generator.resume(i);
      generator.return();
      stack = generator.unwrap() as OsStack;
    }
    return MADE;
  },
  MADE,
  MADE,
);
bench(
  "made and ended",
  "new and close, Deno.UnsafeCallback",
  () => {
    for (let i = 0; i < MADE; i++) new Deno.UnsafeCallback(one, (i) => i).close();
    return MADE;
  },
  MADE,
  MADE,
);
target(
  "make, run, end to new and close of an UnsafeCallback",
  "make, run once, end, unwrap on a kept stack",
  "new and close, Deno.UnsafeCallback",
  0.8,
);

bench(
  "nonblocking",
  "nonblocking callback",
  async () => await elsewhere.call_n.async(FEW, (i) => i),
  sumBelow(FEW),
  FEW,
);
bench(
  "nonblocking",
  'callback with nonblocking: "thread"',
  async () => await onThread.call_n.async(FEW, (i) => i),
  sumBelow(FEW),
  FEW,
);
// The thread is Deno's: fringe has no call there, so for the callback it is as foreign as one that
// C has made.
const foreign = new Callback(one, (i) => i, { threads: true });
foreign.unref();
bench(
  "nonblocking",
  "callback of a foreign thread, { threads: true }",
  async () => {
    foreign.ref();
    const sum = await plainElsewhere.call_n(FEW, foreign.pointer);
    foreign.unref();
    return sum;
  },
  sumBelow(FEW),
  FEW,
);
bench(
  "nonblocking",
  "nonblocking, Deno.UnsafeCallback",
  async () => await plainElsewhere.call_n(FEW, unsafeCallback.pointer),
  sumBelow(FEW),
  FEW,
);
// The floor of what goes to another thread and back by way of Deno: a call that does nothing there.
bench(
  "nonblocking",
  "nonblocking FFI call, awaited",
  async () => {
    let last = 0;
    for (let i = 0; i < FEW; i++) last = await plainElsewhere.plus_one(i);
    return last;
  },
  FEW,
  FEW,
);
target(
  "nonblocking callback to a nonblocking UnsafeCallback",
  "nonblocking callback",
  "nonblocking, Deno.UnsafeCallback",
  1,
  "nonblocking FFI call, awaited",
);
