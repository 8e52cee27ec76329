// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * `tailCall(f, ...args)`: an answer upon which C calls `f` in place of returning from the callback.
 *
 *     before                                    after
 *     lua_pcall -> callback, a thunk (waits)    lua_pcall -> lua_error
 *
 * The thunk takes its frame away and jumps to `f`, which finds C's stack as the callback has found
 * it. Nothing of fringe's or of JavaScript's is below, so `f` may jump over C's frames, or not
 * return at all.
 */

import { describe } from "../check.ts";
import { checkOpen } from "../context/occupancy.ts";
import { Mailbox, SLOT_SIZE } from "../layout.ts";
import { native } from "../library/find.ts";
import { Kept } from "../value/kept.ts";
import { type Keeper, write } from "../value/value.ts";
import { type Callee, calleeOf, checkCount, replacementOf } from "./callee.ts";
import { targetOf } from "./thunk.ts";

/**
 * What `tailCall` gives, for a handler to answer with.
 *
 * @example
 * ```ts
 * import { dlopen, type SyncHandler, type TailCall, tailCall } from "fringe";
 *
 * const comparator = { parameters: ["pointer", "pointer"], result: "i32" } as const;
 * using libc = dlopen("libc.so.6", {
 *   qsort: { parameters: ["buffer", "usize", "usize", { callback: comparator }], result: "void" },
 *   strcmp: { parameters: ["pointer", "pointer"], result: "i32" },
 * });
 * const compare: SyncHandler<typeof comparator> = (a, b): TailCall => {
 *   return tailCall(libc.symbols.strcmp, a, b);
 * };
 * const strings = new TextEncoder().encode("c\0a\0b\0");
 * libc.symbols.qsort(strings, 3n, 2n, compare);
 * console.log(new TextDecoder().decode(strings)); // "a\0b\0c\0"
 * ```
 */
export interface TailCall {
  /** The name of the function that C is to call. */
  readonly function: string;
}

/** What is behind a `TailCall`: the function and its arguments, which have been checked. */
export interface Tail {
  readonly callee: Callee;
  readonly args: readonly unknown[];
}

const tails = new WeakMap<object, Tail>();

/**
 * An answer of a handler, or of a `stop`, or what `reply` is passed: C calls `f` in place of
 * returning from the callback, on its own stack. What `f` returns is what the callback returns, so
 * it must have the same result type, which fringe checks only for a struct in memory. Or `f` does
 * not return at all: it may jump (`lua_error`, `lua_yieldk`,
 * `png_longjmp`, `longjmp`) to a place in the same call that C has prepared, or end its thread or
 * the process (`pthread_exit`, `exit`, `abort`).
 *
 * @param f A function of `dlopen` or `functionAt`.
 * @param args Its arguments, which all must fit into registers: on x86_64 those are six integers
 * and pointers and eight floating-point values. For a callback parameter it takes a `Callback`.
 * Strings and buffers last until the call that waits has ended.
 * @throws {TypeError} If `f` is no such function, takes arguments on the stack, or an argument has
 * the wrong type.
 * @throws {RangeError} If an argument is out of its type's range.
 * @throws {Error} If its library is closed.
 *
 * @example A comparison by C itself
 * ```ts
 * import { dlopen, tailCall } from "fringe";
 *
 * using libc = dlopen("libc.so.6", {
 *   bsearch: {
 *     parameters: [
 *       "cstring",
 *       "buffer",
 *       "usize",
 *       "usize",
 *       { callback: { parameters: ["pointer", "pointer"], result: "i32" } },
 *     ],
 *     result: "cstring",
 *   },
 *   strcasecmp: { parameters: ["pointer", "pointer"], result: "i32" },
 * });
 * const { bsearch, strcasecmp } = libc.symbols;
 * const names = new TextEncoder().encode("Ada\0Bob\0Cyd\0");
 * console.log(bsearch("BOB", names, 3, 4, (a, b) => tailCall(strcasecmp, a, b))); // Bob
 * ```
 */
export function tailCall<F extends (...args: never) => unknown>(
  f: F,
  ...args: Parameters<F>
): TailCall {
  const callee = calleeOf(f, "tailCall()");
  const given: readonly unknown[] = args;
  checkCount(callee, given, callee.slots.length);
  if (callee.stackCount > 0) {
    throw new TypeError(
      `${callee.what} in place of a callback: ${callee.stackCount} words of its arguments are ` +
        "passed on the stack, and C has made room there for the callback's own alone; have a " +
        "function of C with fewer parameters call it",
    );
  }
  // Once for the check alone, so that a wrong argument is an error here. The call that waits has
  // strings and buffers kept, and of that nothing is known yet.
  writeArguments(callee, given, new DataView(new ArrayBuffer(Mailbox.size)), new Kept());
  const answer = Object.freeze({ function: callee.name });
  tails.set(answer, { callee, args: given });
  return answer;
}

/** The tail call that a handler has answered with; undefined if the answer is another. */
export function tailOf(answer: object): Tail | undefined {
  return tails.get(answer);
}

/**
 * Writes the arguments of a tail call into a mailbox of their own. Getters of them may run code of
 * the caller's, and end the call that waits.
 */
export function prepareTail({ callee, args }: Tail, keeper: Keeper): DataView<ArrayBuffer> {
  const written = new DataView(new ArrayBuffer(Mailbox.size));
  writeArguments(callee, args, written, keeper);
  checkOpen(callee.library, callee.what);
  return written;
}

/** Puts a tail call into the mailbox of the call that waits, where the thunk finds it. */
export function writeTail({ callee }: Tail, written: DataView, view: DataView<ArrayBuffer>): void {
  for (let at: number = Mailbox.integers; at < Mailbox.callback_integers; at += SLOT_SIZE) {
    view.setBigUint64(at, written.getBigUint64(at, true), true);
  }
  passOnAddress(callee, view);
  const address = callee.address();
  // Its library may be another than that of the call, and be closed while the function runs.
  native().pin(native().pointerTo(address));
  view.setBigUint64(Mailbox.tail, address, true);
}

/** A result that is in no register goes where C wants that of the callback. */
function passOnAddress({ what, result, structResult }: Callee, view: DataView): void {
  const waiting = targetOf(view.getUint32(Mailbox.callback, true))!;
  const [to, from] = [structResult?.addressAt, waiting.structResult?.addressAt];
  if (to === undefined && from === undefined) return;
  if (result !== waiting.result) {
    throw new TypeError(
      `${what} in place of a callback: it returns ${result}, and C has made room for ` +
        `${waiting.result}, which the callback is to return`,
    );
  }
  view.setBigUint64(to!, view.getBigUint64(from!, true), true);
}

function writeArguments(
  callee: Callee,
  args: readonly unknown[],
  view: DataView,
  keeper: Keeper,
): void {
  for (const [i, slot] of callee.slots.entries()) {
    if (slot.callback === undefined) {
      write(view, slot.offset, slot.type, args[i], slot.what, keeper);
      continue;
    }
    const thunk = replacementOf(slot, args[i], "functions");
    if (thunk === undefined) {
      throw new TypeError(
        `${slot.what} must be a Callback, since C goes on with the handlers of the call that ` +
          `waits: got ${describe(args[i])}`,
      );
    }
    view.setBigUint64(slot.offset, thunk.address, true);
  }
}
