// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Thunks: the function pointers that C gets for callbacks, each with a number that native code
 * reports when C has called it. `native/call/thunk.zig` makes them, a page at a time, for good.
 */

import { native } from "../library/find.ts";
import type { CallbackSignature } from "./signature.ts";
import { check } from "../library/status.ts";

/** A handler: answers a callback. */
// deno-lint-ignore no-explicit-any -- each has the parameters of its callback; types.ts infers them
export type Handler = (...args: any[]) => unknown;

/** A callback that C can call: a callback parameter of a function, or one that may be kept. */
export interface Target extends CallbackSignature {
  /** The function whose parameter it is, of those that `call.ts` knows. */
  readonly callee: object | undefined;
  /** Its place among the callbacks of the function, and among its parameters. */
  readonly index: number;
  readonly parameter: number;
  /** What answers it, if that is not passed with each call. */
  readonly handler: Handler | undefined;
  /** How a message about its answer begins. */
  readonly what: string;
  /** Whether C may no longer call it. */
  closed: boolean;
}

/** A function pointer for C. */
export interface Thunk {
  readonly number: number;
  readonly address: bigint;
}

/**
 * How many thunks of a type are released before one of them is used again. C might still call what
 * has been released, and is to be refused then. If it does so very late, it reaches another handler
 * of the same type, and never one that would take an integer for an address.
 */
const RESTED = 1024;

/** Thunks that have never been used. */
const fresh: Thunk[] = [];
/** Thunks that have been released, by their type, the longest rested first. */
const rested: Map<string, Thunk[]> = new Map();
/** By number, from this Worker's first one on. */
const targets: (Target | undefined)[] = [];
let first = 0;

function typeOf({ parameters, result }: Target): string {
  return `${parameters}:${result}`;
}

/** A thunk that stands for `target` from now on. */
export function takeThunk(target: Target): Thunk {
  const released = rested.get(typeOf(target));
  let thunk = released !== undefined && released.length > RESTED ? released.shift() : undefined;
  if (thunk === undefined) {
    if (fresh.length === 0) makeThunks();
    thunk = fresh.pop()!;
  }
  targets[thunk.number - first] = target;
  return thunk;
}

/** Takes a thunk back; should C call it, it stands for nothing. */
export function putThunk(thunk: Thunk): void {
  const target = targets[thunk.number - first]!;
  targets[thunk.number - first] = undefined;
  const type = typeOf(target);
  const released = rested.get(type);
  if (released === undefined) rested.set(type, [thunk]);
  else released.push(thunk);
}

/** What the thunk of this number stands for; undefined: nothing any more, or not in this Worker. */
export function targetOf(number: number): Target | undefined {
  return targets[number - first];
}

function makeThunks(): void {
  const block = new BigUint64Array(new ArrayBuffer(32));
  check(native().mapThunks(block), "Cannot make function pointers for callbacks");
  // What they go on in must stay, since C may call them when this Worker is long gone.
  native().pin(native().callBody);
  const [address, number, stride, count] = [block[0]!, Number(block[1]), block[2]!, block[3]!];
  if (targets.length === 0) first = number;
  for (let i = 0n; i < count; i++) {
    fresh.push({ number: number + Number(i), address: address + i * stride });
  }
}

/** What is behind a callback that a user holds. */
export interface Registration {
  readonly target: Target;
  /** Undefined once it is closed. */
  thunk: Thunk | undefined;
}

const registrations = new WeakMap<object, Registration>();

/** Makes `callback` known as one. */
export function register(callback: object, registration: Registration): void {
  registrations.set(callback, registration);
}

/** What is behind a callback; undefined where `value` is none. `what` begins with "Cannot". */
export function registrationOf(value: unknown, what: string): Registration | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const registration = registrations.get(value);
  if (registration === undefined || registration.thunk !== undefined) return registration;
  throw new Error(`${what} is a callback that has been closed; make a new one`);
}
