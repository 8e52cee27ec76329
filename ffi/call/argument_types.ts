// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** What TypeScript infers from a definition: the arguments of each form of a call, its result. */

import type { ScriptGenerator } from "../script_generator.ts";
import type { FromNative, ToNative } from "../value/type.ts";
import type { Callback } from "./callback.ts";
import type {
  AsyncHandler,
  CallbackDefinition,
  FunctionDefinition,
  HandlerParameters,
  ParameterDefinition,
  ScriptHandler,
  SyncHandler,
} from "./definition.ts";

/** The `Callback` that a callback parameter takes in place of a handler: one of the same types. */
export type CallbackOf<Definition extends CallbackDefinition> = Callback<
  CallbackDefinition & {
    readonly parameters: Definition["parameters"];
    readonly result: Definition["result"];
  }
>;

/** The arguments of `f(...args)`. */
export type SyncArguments<Parameters extends readonly ParameterDefinition[]> = {
  -readonly [K in keyof Parameters]: Parameters[K] extends
    { readonly callback: infer Definition extends CallbackDefinition }
    ? SyncHandler<Definition> | CallbackOf<Definition>
    : ToNative<Parameters[K]>;
};

/** The arguments of `f.async(...args)`, without the options that may follow. */
export type AsyncArguments<Parameters extends readonly ParameterDefinition[]> = {
  -readonly [K in keyof Parameters]: Parameters[K] extends
    { readonly callback: infer Definition extends CallbackDefinition }
    ? AsyncHandler<Definition> | CallbackOf<Definition>
    : ToNative<Parameters[K]>;
};

/** What may follow the arguments of `f.async(...args)`. */
export interface AsyncOptions {
  /**
   * Ends the call when it is aborted: C is told to stop, or its frames are unwound, and the Promise
   * is rejected with `signal.reason`. That happens at once while a handler is pending, else at the
   * next callback.
   */
  readonly signal?: AbortSignal | undefined;
}

/** The arguments of `yielder.call(f, ...args)`. */
export type ScriptArguments<Parameters extends readonly ParameterDefinition[]> = {
  -readonly [K in keyof Parameters]: Parameters[K] extends
    { readonly callback: infer Definition extends CallbackDefinition }
    ? ScriptHandler<Definition> | CallbackOf<Definition>
    : ToNative<Parameters[K]>;
};

/** The arguments of `f.calls(...args)`: those of the parameters that are no callbacks. */
export type PulledArguments<Parameters extends readonly unknown[]> = Parameters extends
  readonly [infer First, ...infer Rest]
  ? First extends { readonly callback: unknown } ? PulledArguments<Rest>
  : [ToNative<First>, ...PulledArguments<Rest>]
  : [];

/** A call of a callback, as `f.calls()` yields it. */
export interface CallbackCall<Parameter extends number, Args extends readonly unknown[], Result> {
  /** The place of the callback among the parameters of the function, from 0. */
  readonly parameter: Parameter;
  /** What C has passed to the callback. */
  readonly args: Args;
  /** Says what the callback returns to C, once the next call is pulled. A second one throws. */
  reply(value: Result): void;
}

/** What `f.calls()` yields: a call of any of the callbacks. */
export type PulledCall<Definition extends FunctionDefinition> = {
  [K in keyof Definition["parameters"]]: Definition["parameters"][K] extends
    { readonly callback: infer Callback extends CallbackDefinition }
    ? K extends `${infer Parameter extends number}` ? CallbackCall<
        Parameter,
        HandlerParameters<Callback["parameters"]>,
        ToNative<Callback["result"]>
      >
    : never
    : never;
}[Extract<keyof Definition["parameters"], `${number}`>];

/** What a C function returns. */
export type ResultOf<Definition extends FunctionDefinition> = FromNative<Definition["result"]>;

/** What a handler yields, if it is a generator function. */
export type HandlerYield<Argument> = Argument extends
  (...args: never) => ScriptGenerator<infer Yield, unknown, never> ? Yield : never;

/** Calls a C function; handlers may be async, and the event loop runs while one is pending. */
export type AsyncCall<Definition extends FunctionDefinition> = (
  ...args: AsyncArguments<Definition["parameters"]> extends infer Args extends readonly unknown[]
    ? [...args: Args, options?: AsyncOptions]
    : never
) => Promise<ResultOf<Definition>>;

/** A C function that its callbacks suspend on this thread: what `yielder.call()` takes. */
export interface SuspendableFunction<Definition extends FunctionDefinition> {
  /** Calls the function; handlers are plain functions. */
  (...args: SyncArguments<Definition["parameters"]>): ResultOf<Definition>;
  /**
   * Calls the function; handlers may be async. The event loop runs while one is pending; a handler
   * that gives no Promise answers at once.
   */
  readonly async: AsyncCall<Definition>;
}
