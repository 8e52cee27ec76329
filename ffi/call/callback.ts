// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** `Callback`: a function pointer that C may keep beyond a call. */

import { checkKeys, copyOf, describe, needStack, own } from "../check.ts";
import { native } from "../library/find.ts";
import { makeFunctionPointer } from "../value/function_pointer.ts";
import type { FunctionPointer, maker } from "../value/type.ts";
import type { CallbackDefinition, CallbackHandler, LiteralDefinition } from "./definition.ts";
import { ForeignCallback } from "./foreign.ts";
import { callbackSignature } from "./signature.ts";
import { KeptThunk, putThunk, takeThunk, type Target } from "./thunk.ts";

/**
 * What `new Callback()` takes after the handler.
 *
 * @example
 * ```ts
 * import { Callback, type CallbackOptions } from "fringe";
 *
 * const options: CallbackOptions = { threads: true };
 * const definition = { parameters: ["i32"], result: "i32", stop: 0 } as const;
 * using callback = new Callback(definition, async (i) => await Promise.resolve(i), options);
 * console.log(callback.unref()); // 0: the program may end although it is open
 * ```
 */
export interface CallbackOptions {
  /** Whether any thread may call it, such as one that C has made. */
  readonly threads?: boolean | undefined;
}

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
 * With `{ threads: true }` any other thread may call it as well: it waits while the handler, which
 * may be async, runs in the Worker that made the callback. Many threads are served at once, in the
 * order in which they call.
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
export class Callback<
  const Definition extends LiteralDefinition & CallbackDefinition = CallbackDefinition,
> implements FunctionPointer, Disposable {
  /** What C passes and is answered: a copy. */
  readonly definition: Definition;

  /** For TypeScript alone, which tells a `Callback` from a `Deno.UnsafeCallback` by it. */
  declare readonly [maker]: "new Callback()";

  /** The function pointer. If C calls it after `close`, the call that runs fails. */
  readonly pointer: Deno.PointerObject;

  readonly #kept: KeptThunk;
  /** Undefined unless threads of C's may call. */
  readonly #foreign: ForeignCallback | undefined;

  /**
   * Makes a function pointer that C can call.
   *
   * @param definition The types, and `stop`, as in a table of `dlopen`.
   * @param handler What answers: a function, an async function or a generator function.
   * @param options Whether any thread may call it.
   * @throws {TypeError} If the definition, or an option, is not understood, or the handler is no
   * function.
   * @throws {FringeError} If the system has no memory left.
   */
  constructor(
    definition: Definition,
    handler: CallbackHandler<Definition>,
    options: CallbackOptions = {},
  ) {
    const what = "Cannot make callback";
    const threads = threadsOf(options, `${what}: options`);
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
      isForeign: threads,
      closed: false,
    };
    if (threads) checkStop(target, `${what}: the definition`);
    needStack(8);
    const thunk = takeThunk(target);
    this.pointer = native().pointerTo(thunk.address)!;
    this.#kept = new KeptThunk(target, thunk);
    makeFunctionPointer(this, this.#kept);
    if (threads) this.#foreign = new ForeignCallback(target, thunk, what);
  }

  /**
   * Has the event loop wait for threads that may call, as a callback with `threads` does until
   * `unref`. Says how often `ref` has been called more than `unref`, making it counted as once.
   *
   * @throws {TypeError} If no thread may call it: only then it has anything to wait for.
   */
  ref(): number {
    return this.#needForeign("ref").ref();
  }

  /**
   * Lets the program end although threads may call. Where no callback has the event loop wait, a
   * thread that calls is answered some milliseconds later.
   *
   * @throws {TypeError} If no thread may call it.
   */
  unref(): number {
    return this.#needForeign("unref").unref();
  }

  #needForeign(what: string): ForeignCallback {
    if (this.#foreign !== undefined) return this.#foreign;
    throw new TypeError(
      `Cannot ${what} callback: no thread may call it, so nothing is waited for; make it with ` +
        "{ threads: true }",
    );
  }

  /**
   * Releases the function pointer, which C must no longer use. If C calls it nevertheless, the call
   * that runs at that moment is ended with an error. Closing twice does nothing.
   *
   * With `threads`, those that wait get the `stop`, or, if there is none, what their handlers
   * answer. A thread that calls later gets the `stop`, or the process ends.
   */
  close(): void {
    const { target, thunk } = this.#kept;
    if (thunk === undefined) return;
    this.#foreign?.close();
    putThunk(thunk);
    target.closed = true;
    this.#kept.thunk = undefined;
  }

  /** The same as `close`. */
  [Symbol.dispose](): void {
    this.close();
  }
}

/** Checks the options of a callback; says whether threads may call it. */
function threadsOf(options: unknown, what: string): boolean {
  if (typeof options !== "object" || options === null) {
    throw new TypeError(
      `${what} must be an object such as { threads }: got ${describe(options)}`,
    );
  }
  checkKeys(options, ["threads"], what);
  const { threads } = own(options as { readonly threads?: unknown });
  if (threads !== undefined && typeof threads !== "boolean") {
    throw new TypeError(`${what}: threads must be a boolean: got ${describe(threads)}`);
  }
  return threads === true;
}

/** Native code answers a thread with the `stop`, also when JavaScript's memory is gone. */
function checkStop({ isKept, hasStop, stop, structResult }: Target, what: string): void {
  if (structResult !== undefined && hasStop && typeof stop !== "function") {
    throw new TypeError(
      `${what}: stop must be a function where threads are answered a struct: got ${describe(stop)}`,
    );
  }
  if (!isKept || stop === undefined || stop === null || typeof stop === "function") return;
  throw new TypeError(
    `${what}: stop must be null where threads are answered a string or a buffer, or a function: ` +
      `got ${describe(stop)}`,
  );
}
