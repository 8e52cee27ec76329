// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** The C functions behind the functions that `dlopen` gives, and their arguments. */

import { describe } from "../check.ts";
import { checkOpen } from "../context/occupancy.ts";
import { answererOf } from "./answer.ts";
import type { Answerer, Callee } from "./call.ts";

const callees = new WeakMap<object, Callee>();

/** Makes `f` known as a function of `dlopen`. */
export function makeFunction<F extends object>(f: F, callee: Callee): F {
  callees.set(f, callee);
  return Object.freeze(f);
}

/** Whether `f` is a function of `dlopen`. */
export function isFunction(f: unknown): boolean {
  return typeof f === "function" && callees.has(f);
}

/** The C function behind a function of `dlopen`, or a TypeError. */
export function calleeOf(f: unknown): Callee {
  const callee = typeof f === "function" ? callees.get(f) : undefined;
  if (callee !== undefined) return callee;
  throw new TypeError(
    `Cannot call ${
      describe(f)
    }: yielder.call() takes a function that dlopen has given in this Worker`,
  );
}

/** Checks how many arguments a call has. */
export function checkCount(
  callee: Callee,
  args: { readonly length: number },
  expected: number,
): void {
  checkOpen(callee.library, `Cannot call ${callee.name}`);
  if (args.length === expected) return;
  throw new TypeError(
    `Cannot call ${callee.name}: it takes ${expected} arguments here: got ${args.length}`,
  );
}

/** Parts the arguments of a call into those that C gets and those that answer it. */
export function split(
  callee: Callee,
  args: readonly unknown[],
  refused?: "no generator functions",
): { plain: readonly unknown[]; answerers: readonly Answerer[] } {
  if (callee.callbacks.length === 0) return { plain: args, answerers: [] };
  const plain: unknown[] = [];
  const answerers: Answerer[] = [];
  const { parameters } = callee;
  for (let i = 0; i < parameters.length; i++) {
    if (parameters[i] !== "callback") plain.push(args[i]);
    else answerers.push(answererOf(callee, answerers.length, i, args[i], refused));
  }
  return { plain, answerers };
}

/** Refuses a function that runs on another thread where a generator would have to wait for it. */
export function refuseNonblocking(callee: Callee): void {
  if (!callee.nonblocking) return;
  throw new TypeError(
    `Cannot call ${callee.name}: it is declared as nonblocking, and a generator cannot wait for ` +
      "another thread; call it by .async(), or declare it once more without nonblocking",
  );
}
