// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** `Callback`: a function pointer that C may keep beyond a call. */

import { copyOf, describe, needStack } from "../check.ts";
import { native } from "../library/find.ts";
import { makeFunctionPointer } from "../value/function_pointer.ts";
import type { FunctionPointer } from "../value/type.ts";
import type { CallbackDefinition, CallbackHandler } from "./definition.ts";
import { callbackSignature } from "./signature.ts";
import { KeptThunk, putThunk, takeThunk, type Target } from "./thunk.ts";

/**
 * A callback that C may keep beyond the call that it was passed to: an event handler, a function
 * for SQL, a progress report. It lives until it is closed.
 *
 * Pass the object where a parameter is declared as `"function"` or as `{ callback }`. Its `pointer`
 * goes wherever C takes an address, such as into a struct. When C calls the pointer, the function
 * of `dlopen` that runs at that moment is suspended, and goes on when the handler has answered. So
 * the handler may be `async` where that function was called by `f.async()`, and a generator
 * function where it was called by `yielder.call()`.
 *
 * C may call the pointer only while such a call runs, on its thread. In a function that was called
 * by `Deno.dlopen`, in a generator body, or on another thread it ends the process, with a message.
 * In a signal handler C may call it if such a call runs and C has raised the signal itself, but not
 * on an alternate stack (`SA_ONSTACK`); the signal is blocked until the handler has returned.
 *
 * If a call ends early while C waits for the answer of this callback, C is answered with the `stop`
 * of this definition, not with the one of the parameter that the callback was passed for.
 *
 * @typeParam Definition What C passes to it, and is answered.
 *
 * @example
 * ```ts
 * import { Callback, dlopen } from "fringe";
 *
 * using libc = dlopen("libc.so.6", {
 *   bsearch: {
 *     parameters: ["buffer", "buffer", "usize", "usize", "function"],
 *     result: "pointer",
 *   },
 * });
 * using compare = new Callback(
 *   { parameters: ["pointer", "pointer"], result: "i32" },
 *   () => 0,
 * );
 * const bytes = Uint8Array.of(1, 2, 3);
 * console.log(libc.symbols.bsearch(bytes, bytes, 3, 1, compare) !== null); // true
 * ```
 */
export class Callback<const Definition extends CallbackDefinition = CallbackDefinition>
  implements FunctionPointer, Disposable {
  /** What C passes and is answered: a copy. */
  readonly definition: Definition;

  /** The function pointer. If C calls it after `close`, the call that runs fails. */
  readonly pointer: Deno.PointerObject;

  readonly #kept: KeptThunk;

  /**
   * Makes a function pointer that C can call.
   *
   * @param definition The types, and `stop`, as in a table of `dlopen`.
   * @param handler What answers: a function, an async function or a generator function.
   * @throws {TypeError} If the definition is not understood, or the handler is no function.
   * @throws {FringeError} If the system has no memory left.
   */
  constructor(definition: Definition, handler: CallbackHandler<Definition>) {
    const what = "Cannot make callback";
    if (typeof handler !== "function") {
      throw new TypeError(`${what}: the handler must be a function: got ${describe(handler)}`);
    }
    this.definition = copyOf(definition, what);
    const target: Target = {
      ...callbackSignature(this.definition, `${what}: the definition`),
      callee: undefined,
      parameter: -1,
      handler,
      what: "Cannot answer C: the result of a callback",
      closed: false,
    };
    needStack(8);
    const thunk = takeThunk(target);
    this.pointer = native().pointerTo(thunk.address)!;
    this.#kept = new KeptThunk(target, thunk);
    makeFunctionPointer(this, this.#kept);
  }

  /**
   * Releases the function pointer, which C must no longer use. If C calls it nevertheless, the call
   * that runs at that moment is ended with an error. Closing twice does nothing.
   */
  close(): void {
    const { target, thunk } = this.#kept;
    if (thunk === undefined) return;
    putThunk(thunk);
    target.closed = true;
    this.#kept.thunk = undefined;
  }

  /** The same as `close`. */
  [Symbol.dispose](): void {
    this.close();
  }
}
