// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** The first argument of a TypeScript body: by it the body calls C functions. */

import type {
  HandlerYield,
  ResultOf,
  ScriptArguments,
  SuspendableFunction,
} from "./call/argument_types.ts";
import { calleeOf } from "./call/callee.ts";
import type { FunctionDefinition } from "./call/definition.ts";
import type { Scope } from "./call/scope.ts";
import { makeCall } from "./call/script.ts";
import type { ScriptGenerator } from "./script_generator.ts";

/**
 * Lets a TypeScript body call C functions whose callbacks suspend the whole generator. A body gets
 * it as its first argument.
 *
 * @example
 * ```ts
 * import { dlopen, Generator, OsStack } from "fringe";
 *
 * using libc = dlopen("libc.so.6", {
 *   qsort: {
 *     parameters: [
 *       "buffer",
 *       "usize",
 *       "usize",
 *       { callback: { parameters: ["pointer", "pointer"], result: "i32" } },
 *     ],
 *     result: "void",
 *   },
 * });
 * const bytes = Uint8Array.of(3, 1, 2);
 * using generator = new Generator(new OsStack(), function* (yielder) {
 *   yield* yielder.call(libc.symbols.qsort, bytes, 3, 1, function* () {
 *     yield "compared"; // leaves qsort as well
 *     return 0;
 *   });
 * });
 * console.log(generator.resume()); // "compared"
 * ```
 */
export interface Yielder {
  /**
   * Calls a C function on the generator's own stack. A call in a handler of such a call finds that
   * stack taken, and gets another one, of `stackSize` bytes. Handlers are plain functions or
   * generator functions; what these `yield` leaves the whole generator, and the next input comes
   * back to them. Write `yield*` before it: without, C does not run. A body that has yielded the
   * call itself, or returns with a call that has never begun, gets a TypeError that says so.
   *
   * @param f A function of `dlopen`.
   * @param args Its arguments, a handler for each callback parameter.
   * @returns A generator that returns what C returns.
   * @throws {TypeError} If an argument, or an answer of a handler, has the wrong type.
   * @throws {RangeError} If such a value is out of its type's range, or the function uses up a
   * stack that says so by an error (`OsStackOptions`).
   * @throws {NativeError} If an exception leaves the function.
   * @throws Whatever a handler throws.
   * @throws {Error} If the body of this yielder is not running, or the library is closed.
   */
  call<
    const Definition extends FunctionDefinition,
    Arguments extends ScriptArguments<Definition["parameters"]>,
  >(
    f: SuspendableFunction<Definition>,
    ...args: Arguments
    // deno-lint-ignore no-explicit-any -- the next input goes to whichever handler has yielded
  ): ScriptGenerator<HandlerYield<Arguments[number]>, ResultOf<Definition>, any>;
}

/** Makes the yielder of a body. */
export function makeYielder(scope: Scope): Yielder {
  const call = (f: unknown, ...args: readonly unknown[]): unknown =>
    makeCall(scope, calleeOf(f), args);
  return Object.freeze({ call }) as Yielder;
}
