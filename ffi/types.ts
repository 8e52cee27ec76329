// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** The tables that `dlopen` takes, and what TypeScript infers from them. */

import type { NativeBody } from "./body.ts";
import type { Generator } from "./generator.ts";
import type { ScriptGenerator } from "./script.ts";
import type { FromNative, ScalarType, ToNative, ValueType } from "./values.ts";

/** A generator body: a native function that suspends. */
export interface BodyDefinition {
  /** The type that it is resumed with; "void": nothing. */
  readonly input: ScalarType | "void";
  /** The type that it suspends with; "void": nothing. */
  readonly output: ScalarType | "void";
  /** The name of the symbol, if it is not the key in the table. */
  readonly name?: string;
}

/** A callback parameter. */
export interface CallbackDefinition {
  /** What C passes, at most six integers or pointers. */
  readonly parameters: readonly ValueType[];
  /** What C is answered. */
  readonly result: ValueType | "void";
  /**
   * What C is answered from the moment on that nobody listens any more (`break`, `return()`, an
   * error), to this and to every further call, until the function returns. Without it the frames of
   * C are unwound.
   */
  readonly stop?: boolean | number | bigint | null;
}

/** A parameter of a C function. */
export type ParameterDefinition = ValueType | { readonly callback: CallbackDefinition };

/** Any C function. */
export interface FunctionDefinition {
  /** Its parameters, at most six. */
  readonly parameters: readonly ParameterDefinition[];
  /** What it returns. */
  readonly result: ValueType | "void";
  /** The name of the symbol, if it is not the key in the table. */
  readonly name?: string;
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

/** The arguments of `f(...args)`. */
export type SyncArguments<Parameters extends readonly ParameterDefinition[]> = {
  -readonly [K in keyof Parameters]: Parameters[K] extends
    { readonly callback: infer Callback extends CallbackDefinition } ? SyncHandler<Callback>
    : ToNative<Parameters[K]>;
};

/** The arguments of `f.async(...args)`. */
export type AsyncArguments<Parameters extends readonly ParameterDefinition[]> = {
  -readonly [K in keyof Parameters]: Parameters[K] extends
    { readonly callback: infer Callback extends CallbackDefinition } ? AsyncHandler<Callback>
    : ToNative<Parameters[K]>;
};

/** The arguments of `yielder.call(f, ...args)`. */
export type ScriptArguments<Parameters extends readonly ParameterDefinition[]> = {
  -readonly [K in keyof Parameters]: Parameters[K] extends
    { readonly callback: infer Callback extends CallbackDefinition } ? ScriptHandler<Callback>
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
  /** Says what the callback returns to C, once the next call is pulled. */
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

/**
 * A C function. Its callbacks suspend it, so that JavaScript runs on its own stack while C waits on
 * another.
 */
export interface NativeFunction<Definition extends FunctionDefinition> {
  /** Calls the function; handlers are plain functions. */
  (...args: SyncArguments<Definition["parameters"]>): ResultOf<Definition>;
  /** Calls the function; handlers may be async, and the event loop runs while one is pending. */
  async(...args: AsyncArguments<Definition["parameters"]>): Promise<ResultOf<Definition>>;
  /** Calls the function lazily: yields each call of a callback, returns the result. */
  calls(
    ...args: PulledArguments<Definition["parameters"]>
  ): Generator<void, PulledCall<Definition>, ResultOf<Definition>>;
}

/** What `dlopen` gives for a definition. */
export type SymbolOf<Definition> = Definition extends BodyDefinition
  ? NativeBody<ToNative<Definition["input"]>, FromNative<Definition["output"]>>
  : Definition extends FunctionDefinition ? NativeFunction<Definition>
  : never;
