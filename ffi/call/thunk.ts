// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Thunks: the function pointers that C gets for callbacks, each with a number that native code
 * reports when C has called it. `native/call/thunk.zig` makes them, a page at a time, for good.
 */

import { ThunkBlock } from "../layout.ts";
import { native } from "../library/find.ts";
import { checkGrant } from "../library/fringe_error.ts";
import type { Pointing } from "../value/function_pointer.ts";
import type { CallbackSignature } from "./signature.ts";

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
let fresh: Thunk[] = [];
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

/** Takes a thunk back; should C call it, it stands for nothing. Once more does nothing. */
export function putThunk(thunk: Thunk): void {
  const target = targets[thunk.number - first];
  if (target === undefined) return;
  const type = typeOf(target);
  const released = rested.get(type);
  if (released === undefined) rested.set(type, [thunk]);
  else released.push(thunk);
  targets[thunk.number - first] = undefined;
}

/** What the thunk of this number stands for; undefined: nothing any more, or not in this Worker. */
export function targetOf(number: number): Target | undefined {
  return targets[number - first];
}

function makeThunks(): void {
  const block = new DataView(new ArrayBuffer(ThunkBlock.size));
  checkGrant(native().mapThunks(block), "Cannot make function pointers for callbacks");
  // What they go on in must stay, since C may call them when this Worker is long gone.
  native().pin(native().callBody);
  const word = (offset: number): bigint => block.getBigUint64(offset, true);
  const [address, number] = [word(ThunkBlock.address), Number(word(ThunkBlock.number))];
  const [stride, count] = [word(ThunkBlock.stride), word(ThunkBlock.count)];
  const made = Array.from(
    { length: Number(count) },
    (_, i) => ({ number: number + i, address: address + BigInt(i) * stride }),
  );
  if (targets.length === 0) first = number;
  fresh = made;
}

/** What is behind a `Callback`. */
export class KeptThunk implements Pointing {
  readonly target: Target;
  /** Undefined once the callback is closed. */
  thunk: Thunk | undefined;

  constructor(target: Target, thunk: Thunk) {
    this.target = target;
    this.thunk = thunk;
  }

  get address(): bigint | undefined {
    return this.thunk?.address;
  }
}
