// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** Callbacks that C may keep. */

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
 * It is passed where a parameter is declared as `"function"` or as `{ callback }`; `pointer` goes
 * wherever C takes an address, such as into a struct. Whenever C calls it, the call of `dlopen`'s
 * that runs at that moment is suspended, and goes on when the handler has answered. So the handler
 * may be `async` where that call is an `f.async()`, and a generator function where it is a
 * `yielder.call()`.
 *
 * C must not call it where no such call runs: in a function that was called by `Deno.dlopen`, in a
 * generator body, on another thread. That ends the process, with a message. In a signal handler C
 * may call it if such a call runs and C has raised the signal itself, but not on an alternate stack
 * (`SA_ONSTACK`); the signal is blocked until the handler has returned.
 *
 * When a call ends early while C waits for its answer, C is told the `stop` of its definition, also
 * where the parameter that it was passed for has another.
 *
 * @typeParam Definition What C passes to it, and is answered.
 *
 * @example
 * ```ts
 * import { Callback, dlopen } from "@fringe/fringe";
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

  /** The function pointer. When C calls it after `close`, that is an error. */
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
      index: -1,
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
   * Releases the function pointer, which C must have forgotten: should it call it nevertheless, the
   * call that runs at that moment is ended with an error. Closing twice does nothing.
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
