// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** What is written into the tables that `dlopen` takes, and the handlers that go with it. */

import type { ScriptGenerator } from "../script_generator.ts";
import type { FromNative, ScalarType, ToNative, ValueType } from "../value/type.ts";

/** A generator body: a native function that suspends. */
export interface BodyDefinition {
  /** The type of the value that each `resume` passes in; "void": none. */
  readonly input: ScalarType | "void";
  /** The type of the value that each suspension gives; "void": none. */
  readonly output: ScalarType | "void";
  /** The name of the symbol, if it is not the key in the table. */
  readonly name?: string;
}

/** A callback parameter. */
export interface CallbackDefinition {
  /** What C passes. */
  readonly parameters: readonly ValueType[];
  /**
   * What C is answered. It may use the string or the buffer of a "cstring" or a "buffer" until the
   * same callback has been answered 16 times more, or the function returns.
   */
  readonly result: ValueType | "void";
  /**
   * How C is told that the call is being ended (by `break`, `return()`, an error, an abort): C gets
   * this value as the answer to the callback that waits, and to each further call of a callback
   * with a `stop`, until the function returns. For `nftw`, which ends at any answer but 0, it is 1.
   * Without a `stop` the frames of C are unwound.
   */
  readonly stop?: boolean | number | bigint | string | Deno.PointerObject | null | undefined;
}

/** A parameter of a C function: a value that C gets, or a function that C calls. */
export type ParameterDefinition = ValueType | { readonly callback: CallbackDefinition };

/** Any C function. */
export interface FunctionDefinition {
  /** Its parameters, at most 127. */
  readonly parameters: readonly ParameterDefinition[];
  /** What it returns. */
  readonly result: ValueType | "void";
  /** The name of the symbol, if it is not the key in the table. */
  readonly name?: string;
  /**
   * Whether C runs on a thread of Deno's blocking pool, so that the event loop goes on meanwhile.
   * Handlers are called on the Worker's own thread. After each of them C may go on on another
   * thread of the pool than before, so it must keep nothing in thread-local variables, and hold no
   * lock, while it calls back. Such a function gives a Promise.
   */
  readonly nonblocking?: boolean;
  /**
   * For a variadic function (`...` in C): how many of the parameters stand before the dots. Those
   * behind are what calls by this declaration pass, with the types that C promotes arguments to:
   * `f64` and not `f32`, `i32` and nothing smaller.
   */
  readonly variadic?: number;
  /**
   * What happens when the function uses up the stack that fringe has for it, of 1 MiB; as for
   * `new OsStack()`, where it says what "throw" costs. In a `yielder.call()` the option of the
   * generator's own stack counts; where that is taken, so that the call gets another, both do.
   */
  readonly overflow?: "report" | "throw";
}

/** The table that `dlopen` takes: a definition for each symbol. */
export interface SymbolDefinitions {
  /** By the key under which the symbol is to be had. */
  readonly [name: string]: BodyDefinition | FunctionDefinition;
}

/** What a handler is passed for the parameters of a callback. */
export type HandlerParameters<Types extends readonly ValueType[]> = {
  -readonly [K in keyof Types]: FromNative<Types[K]>;
};

/** A handler that answers a callback at once. */
export type SyncHandler<Definition extends CallbackDefinition> = (
  ...args: HandlerParameters<Definition["parameters"]>
) => ToNative<Definition["result"]>;

/** A handler that may be awaited. */
export type AsyncHandler<Definition extends CallbackDefinition> = (
  ...args: HandlerParameters<Definition["parameters"]>
) => ToNative<Definition["result"]> | PromiseLike<ToNative<Definition["result"]>>;

/** A handler that may yield. */
export type ScriptHandler<Definition extends CallbackDefinition> = (
  ...args: HandlerParameters<Definition["parameters"]>
) =>
  | ToNative<Definition["result"]>
  // deno-lint-ignore no-explicit-any -- what it yields and is resumed with is the body's affair
  | ScriptGenerator<any, ToNative<Definition["result"]>, any>;

/** A handler of a `Callback`, which does not know by which form the running call was made. */
export type CallbackHandler<Definition extends CallbackDefinition> = (
  ...args: HandlerParameters<Definition["parameters"]>
) =>
  | ToNative<Definition["result"]>
  | PromiseLike<ToNative<Definition["result"]>>
  // deno-lint-ignore no-explicit-any -- what it yields and is resumed with is the body's affair
  | ScriptGenerator<any, ToNative<Definition["result"]>, any>;
