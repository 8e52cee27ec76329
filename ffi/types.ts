// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** The tables that `dlopen` takes, and what TypeScript infers from them. */

import type { NativeBody } from "./context/body.ts";
import type { Callback } from "./call/callback.ts";
import type { Generator } from "./generator.ts";
import type { ScriptGenerator } from "./call/script.ts";
import type { FromNative, ScalarType, ToNative, ValueType } from "./value/value.ts";

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
  /** What C passes. */
  readonly parameters: readonly ValueType[];
  /** What C is answered. */
  readonly result: ValueType | "void";
  /**
   * What C is answered from the moment on that nobody listens any more (`break`, `return()`, an
   * error), to this and to every further call, until the function returns. Without it the frames of
   * C are unwound.
   */
  readonly stop?: boolean | number | bigint | string | null | undefined;
}

/** A parameter of a C function. */
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

/** What a callback parameter takes in place of a handler: a callback that C may keep. */
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

/** Calls a C function; handlers may be async, and the event loop runs while one is pending. */
export type AsyncCall<Definition extends FunctionDefinition> = (
  ...args: AsyncArguments<Definition["parameters"]> extends infer Args extends readonly unknown[]
    ? [...args: Args, options?: AsyncOptions]
    : never
) => Promise<ResultOf<Definition>>;

/**
 * A C function. Its callbacks suspend it, so that JavaScript runs on its own stack while C waits on
 * another.
 */
export interface NativeFunction<Definition extends FunctionDefinition> {
  /** Calls the function; handlers are plain functions. */
  (...args: SyncArguments<Definition["parameters"]>): ResultOf<Definition>;
  /**
   * Calls the function; handlers may be async. The event loop runs while one is pending; a handler
   * that gives no Promise answers at once.
   */
  readonly async: AsyncCall<Definition>;
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
