// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** What `dlopen` gives for each kind of definition. */

import type {
  AsyncCall,
  PulledArguments,
  PulledCall,
  ResultOf,
  SuspendableFunction,
} from "./call/argument_types.ts";
import type { BodyDefinition, FunctionDefinition } from "./call/definition.ts";
import type { NativeBody } from "./context/body.ts";
import type { Generator } from "./generator.ts";
import type { FromNative, ToNative } from "./value/type.ts";

/**
 * A C function. Its callbacks suspend it, so that JavaScript runs on its own stack while C waits on
 * another.
 */
export interface NativeFunction<Definition extends FunctionDefinition>
  extends SuspendableFunction<Definition> {
  /** Calls the function lazily: yields each call of a callback, returns the result. */
  calls(
    ...args: PulledArguments<Definition["parameters"]>
  ): Generator<void, PulledCall<Definition>, ResultOf<Definition>>;
}

/** A C function that is declared as `nonblocking`: it runs on another thread. */
export interface NonblockingFunction<Definition extends FunctionDefinition> {
  /** The same as `async`. */
  (...args: Parameters<AsyncCall<Definition>>): Promise<ResultOf<Definition>>;
  /** Calls the function on another thread; its handlers may be async. */
  readonly async: AsyncCall<Definition>;
}

/** What `dlopen` gives for a definition. */
export type SymbolOf<Definition> = Definition extends BodyDefinition
  ? NativeBody<ToNative<Definition["input"]>, FromNative<Definition["output"]>>
  : Definition extends FunctionDefinition
    ? Definition extends { readonly nonblocking: true } ? NonblockingFunction<Definition>
    : NativeFunction<Definition>
  : never;
