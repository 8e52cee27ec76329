// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Thunks: the function pointers that C gets for callbacks. A thunk is a few instructions of machine
 * code that load a number, which native code reports when C has called the thunk:
 *
 *     C calls a thunk -> its number, in the mailbox -> targetOf(number) -> the handler
 *
 * `native/call/thunk.zig` makes thunks, a table at a time, and they are never freed, since C may
 * have kept the address of one.
 */

import { ThunkBlock } from "../layout.ts";
import { native } from "../library/find.ts";
import { checkGrant } from "../library/fringe_error.ts";
import type { Pointing } from "../value/function_pointer.ts";
import type { CallbackSignature } from "./signature.ts";

/** A handler: answers a callback. */
// deno-lint-ignore no-explicit-any -- each callback has parameters of its own, see definition.ts
export type Handler = (...args: any[]) => unknown;

/** A callback that C can call: a callback parameter of a function, or one that may be kept. */
export interface Target extends CallbackSignature {
  /** The function (a `Callee`) that has it as a parameter; undefined for a `Callback`. */
  readonly callee: object | undefined;
  /** Its place among all parameters of that function; -1 for a `Callback`. */
  readonly parameter: number;
  /** The handler of a `Callback`; undefined for a parameter, whose handler each call brings. */
  readonly handler: Handler | undefined;
  /** How a message about its answer begins. */
  readonly what: string;
  /** Whether threads that are in no call may call it. */
  readonly isForeign: boolean;
  /** Whether C may no longer call it. */
  closed: boolean;
}

/** A function pointer for C. */
export interface Thunk {
  readonly number: number;
  readonly address: bigint;
}

/**
 * How many released thunks of a type rest before the first of them is used again. C may still call
 * a released one by mistake: while the thunk rests, that is refused. Later the call reaches another
 * handler, but one of the same type, which does not take an integer for an address.
 */
const RESTED = 1024;

/** Thunks that have never been used. */
let fresh: Thunk[] = [];
/** Thunks that have been released, by their type, the longest rested first. */
const rested: Map<string, Thunk[]> = new Map();
/**
 * What each thunk of this Worker stands for: at its number, less that of the first one (`first`).
 */
const targets: (Target | undefined)[] = [];
let first = 0;

function typeOf({ parameters, result, isForeign }: Target): string {
  return `${parameters}:${result}:${isForeign}`;
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

/** Takes a thunk back: it stands for nothing from now on, and rests. Once more does nothing. */
export function putThunk(thunk: Thunk): void {
  const target = targets[thunk.number - first];
  if (target === undefined) return;
  const type = typeOf(target);
  const released = rested.get(type);
  if (released === undefined) rested.set(type, [thunk]);
  else released.push(thunk);
  targets[thunk.number - first] = undefined;
}

/** What the thunk of this number stands for; undefined: it was released, or is another Worker's. */
export function targetOf(number: number): Target | undefined {
  return targets[number - first];
}

function makeThunks(): void {
  const block = new DataView(new ArrayBuffer(ThunkBlock.size));
  checkGrant(native().mapThunks(block), "Cannot make function pointers for callbacks");
  // Thunks jump into this library. It must stay loaded, since C may call one when the Worker is
  // gone.
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

/**
 * What is behind a `Callback`: its target, and the thunk that stands for that until it is closed.
 */
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

  whyClosed(what: string): Error {
    return new Error(`${what} is a callback that has been closed; make a new one`);
  }
}
