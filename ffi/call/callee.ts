// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** The C functions behind the functions that `dlopen` gives, and the checks of their arguments. */

import { describe, hint } from "../check.ts";
import { checkOpen } from "../context/occupancy.ts";
import type { Subject } from "../context/context.ts";
import { symbolOf } from "../context/body.ts";
import { isGeneratorFunction, isScriptGenerator } from "../script_generator.ts";
import { native } from "../library/find.ts";
import type { Overflow } from "../stack/overflow.ts";
import {
  hintForUnsafeCallback,
  makeFunctionPointer,
  type Pointing,
  pointingOf,
} from "../value/function_pointer.ts";
import type { Type } from "../value/type.ts";
import type { Signature } from "./signature.ts";
import { KeptThunk, type Target, type Thunk } from "./thunk.ts";
import type { Turn } from "./turn.ts";

/** A callback parameter, as `dlopen` has checked it. */
export interface CallbackParameter {
  readonly target: Target;
  /** What C gets for it; made when it is first needed. */
  readonly thunk: () => Thunk;
}

/** A parameter, and where the mailbox has its argument. */
export interface Slot {
  readonly type: Type;
  readonly offset: number;
  /** How messages about the argument begin. */
  readonly what: string;
  /** Undefined if it is no callback. */
  readonly callback: CallbackParameter | undefined;
}

/** A C function, as `dlopen` has checked it. */
export interface Callee extends Signature, Subject {
  /** How messages about a call begin: made once for all calls. */
  readonly what: string;
  /** Where C's code is; looked up when it is first needed. */
  readonly address: () => bigint;
  /** Once more its parameters, as a call needs them. */
  readonly slots: readonly Slot[];
  /** How many parameters are no callbacks. */
  readonly plainCount: number;
  /** Whether the function runs on another thread. */
  readonly nonblocking: boolean;
  /** Whether that is one thread from the beginning to the end of a call. */
  readonly hasThread: boolean;
  /** Whether its caller gets errno as well. */
  readonly errno: boolean;
  /** The turn of its library's exclusive functions, if it is one of them. */
  readonly turn: Turn | undefined;
  /** What happens when the function uses up a stack that `fiber.ts` keeps for calls. */
  readonly overflow: Overflow;
  /** How large such a stack is; undefined: as all are of which nothing is said. */
  readonly stackSize: number | undefined;
}

/** Who answers the callbacks of a call: functions, generator functions as well, or its puller. */
export type Answering = "functions" | "generators" | "puller";

const callees = new WeakMap<object, Callee>();

/** What C gets for a function of `dlopen`, wherever it takes a function pointer: the function. */
class Pointed implements Pointing {
  readonly #callee: Callee;
  #isPinned = false;

  constructor(callee: Callee) {
    this.#callee = callee;
  }

  /** C may call it when its library is closed: so that stays loaded once C has the address. */
  get address(): bigint | undefined {
    if (this.#callee.library.closed) return undefined;
    const address = this.#callee.address();
    if (!this.#isPinned) native().pin(native().pointerTo(address));
    this.#isPinned = true;
    return address;
  }

  whyClosed(what: string): Error {
    const { name, library } = this.#callee;
    const file = describe(library.filename);
    return new Error(`${what} is ${name} of ${file}, which has been closed; open it again`);
  }
}

/** Makes `f` known as a function of `dlopen`. */
export function makeFunction<F extends object>(f: F, callee: Callee): F {
  callees.set(f, callee);
  makeFunctionPointer(f, new Pointed(callee));
  return Object.freeze(f);
}

/** Whether `f` is a function of `dlopen`. */
export function isFunction(f: unknown): boolean {
  return typeof f === "function" && callees.has(f);
}

/** The C function behind a function of `dlopen`, or a TypeError that says who takes only those. */
export function calleeOf(f: unknown, taker: string = "yielder.call()"): Callee {
  const callee = typeof f === "function" ? callees.get(f) : undefined;
  if (callee !== undefined) return callee;
  throw noCallee(f, taker);
}

function noCallee(f: unknown, taker: string): TypeError {
  const body = symbolOf(f);
  return new TypeError(
    body === undefined
      ? `Cannot call ${describe(f)}: ${taker} takes a function that dlopen has given in this Worker`
      : `Cannot call ${body.name}: it is a generator body; make a generator of it by ` +
        "new Generator(stack, body), which yield* takes",
  );
}

/** Checks how many arguments a call has. */
export function checkCount(
  callee: Callee,
  args: { readonly length: number },
  expected: number,
): void {
  checkOpen(callee.library, callee.what);
  if (args.length === expected) return;
  throw wrongCount(callee, args.length, expected);
}

/** The error for too few arguments, or too many. In a function of its own: calls are many. */
function wrongCount(callee: Callee, given: number, expected: number): TypeError {
  return new TypeError(
    `Cannot call ${callee.name}: it takes ${expected} ${
      expected === 1 ? "argument" : "arguments"
    } here: got ${given}; ` +
      (given < expected
        ? `missing: ${missing(callee, given, expected).join(", ")}`
        : excess(callee, expected)),
  );
}

/** What the arguments from the place `given` on are for. */
function missing(callee: Callee, given: number, expected: number): string[] {
  const isPulled = expected < callee.parameters.length;
  return callee.parameters
    .filter((type) => !isPulled || type !== "callback")
    .map((type, i) =>
      type === "callback"
        ? `argument ${i} (the function that answers its callback)`
        : `argument ${i} (${type})`
    )
    .slice(given);
}

/** What to do where there are more arguments than `expected`. */
function excess(callee: Callee, expected: number): string {
  return expected < callee.parameters.length
    ? ".calls() takes no functions that answer: whoever pulls a call answers it by reply()"
    : "leave the others out; options such as { signal } are for .async()";
}

/** Refuses a function that runs on another thread where a generator would have to wait for it. */
export function refuseNonblocking(callee: Callee): void {
  if (!callee.nonblocking) return;
  throw new TypeError(
    `Cannot call ${callee.name}: it is declared as nonblocking, and a generator cannot wait for ` +
      "another thread; call it by .async(), or declare it once more without nonblocking",
  );
}

/** What to write instead, for what is mostly passed in place of a function by mistake. */
function hintForAnswerer(arg: unknown): string {
  if (arg === null) return '; to pass NULL to C, declare the parameter as "function"';
  if (isScriptGenerator(arg) || describe(arg) === "an object of class Promise") {
    return "; pass the function itself, and do not call it";
  }
  // Only a pointer, and an object that is made to look like one, inherits nothing.
  if (typeof arg === "object" && Object.getPrototypeOf(arg) === null) {
    return '; a pointer is passed where the parameter is declared as "function", but that of an ' +
      "UnsafeCallback ends the process: make a Callback of its handler";
  }
  return hintForUnsafeCallback(arg);
}

/**
 * Checks what is to answer a callback parameter. Returns the thunk that C gets in place of the
 * parameter's own, if a `Callback` was passed.
 */
export function replacementOf(
  { what, callback }: Slot,
  arg: unknown,
  answering: Answering,
): Thunk | undefined {
  if (typeof arg === "function" && (answering === "generators" || !isGeneratorFunction(arg))) {
    return undefined;
  }
  return thunkOf(callback!.target, arg, what);
}

function thunkOf({ parameters, result }: Target, arg: unknown, what: string): Thunk {
  if (typeof arg === "function") {
    throw new TypeError(
      `${what} is a generator function, which can yield only out of a generator; use ` +
        "`yield* yielder.call()` in a TypeScript body",
    );
  }
  const kept = pointingOf(arg, what);
  if (!(kept instanceof KeptThunk)) {
    throw new TypeError(
      `${what} must be a function that answers the callback, or a Callback: got ${describe(arg)}` +
        hint(hintForAnswerer, arg),
    );
  }
  const { target, thunk } = kept;
  if (String(target.parameters) !== String(parameters) || target.result !== result) {
    throw new TypeError(
      `${what} is a Callback of another type: it is (${target.parameters}) => ${target.result}, ` +
        `and C needs (${parameters}) => ${result}`,
    );
  }
  return thunk!;
}
