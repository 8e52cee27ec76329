// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** What TypeScript infers from a definition: the arguments of each form of a call, its result. */

import type { ScriptGenerator } from "../script_generator.ts";
import type { GuardedStack } from "../stack/stack.ts";
import type { FromNative, MadeBy, ToNative } from "../value/type.ts";
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
import type { TailCall } from "./tail_call.ts";

/**
 * The `Callback` that a callback parameter takes in place of a handler: one of the same types.
 *
 * @example
 * ```ts
 * import { Callback, type CallbackOf, dlopen } from "fringe";
 *
 * const comparator = { parameters: ["pointer", "pointer"], result: "i32" } as const;
 * using libc = dlopen("libc.so.6", {
 *   qsort: { parameters: ["buffer", "usize", "usize", { callback: comparator }], result: "void" },
 * });
 *
 * function sort(bytes: Uint8Array<ArrayBuffer>, compare: CallbackOf<typeof comparator>): void {
 *   libc.symbols.qsort(bytes, bytes.length, 1, compare);
 * }
 *
 * using same = new Callback(comparator, () => 0);
 * sort(Uint8Array.of(1, 2, 3), same);
 * ```
 */
export type CallbackOf<Definition extends CallbackDefinition> =
  // First, though a `Callback` is made so by itself: TypeScript's error ends with it.
  & MadeBy<"new Callback()">
  & Callback<
    CallbackDefinition & {
      readonly parameters: Definition["parameters"];
      readonly result: Definition["result"];
    }
  >;

/**
 * The arguments of `f(...args)`.
 *
 * @example
 * ```ts
 * import { dlopen, type SyncArguments } from "fringe";
 *
 * const parameters = [
 *   "buffer",
 *   "usize",
 *   "usize",
 *   { callback: { parameters: ["pointer", "pointer"], result: "i32" } },
 * ] as const;
 * using libc = dlopen("libc.so.6", { qsort: { parameters, result: "void" } });
 *
 * const args: SyncArguments<typeof parameters> = [Uint8Array.of(1, 2, 3), 3, 1, () => 0];
 * libc.symbols.qsort(...args);
 * ```
 */
export type SyncArguments<Parameters extends readonly ParameterDefinition[]> = {
  -readonly [K in keyof Parameters]: Parameters[K] extends
    { readonly callback: infer Definition extends CallbackDefinition }
    ? SyncHandler<Definition> | CallbackOf<Definition>
    : ToNative<Parameters[K]>;
};

/**
 * The arguments of `f.async(...args)`, without the options that may follow.
 *
 * @example
 * ```ts
 * import { type AsyncArguments, dlopen } from "fringe";
 *
 * const parameters = [
 *   "buffer",
 *   "usize",
 *   "usize",
 *   { callback: { parameters: ["pointer", "pointer"], result: "i32" } },
 * ] as const;
 * using libc = dlopen("libc.so.6", { qsort: { parameters, result: "void" } });
 *
 * const args: AsyncArguments<typeof parameters> = [Uint8Array.of(1, 2, 3), 3, 1, async () => {
 *   await Promise.resolve();
 *   return 0;
 * }];
 * await libc.symbols.qsort.async(...args);
 * ```
 */
export type AsyncArguments<Parameters extends readonly ParameterDefinition[]> = {
  -readonly [K in keyof Parameters]: Parameters[K] extends
    { readonly callback: infer Definition extends CallbackDefinition }
    ? AsyncHandler<Definition> | CallbackOf<Definition>
    : ToNative<Parameters[K]>;
};

/**
 * What may follow the arguments of `f.async(...args)`.
 *
 * @example
 * ```ts
 * import { dlopen, OsStack } from "fringe";
 *
 * using libc = dlopen("libc.so.6", {
 *   qsort: {
 *     parameters: [
 *       "buffer",
 *       "usize",
 *       "usize",
 *       { callback: { parameters: ["pointer", "pointer"], result: "i32", stop: 0 } },
 *     ],
 *     result: "void",
 *   },
 * });
 * const signal = AbortSignal.timeout(10);
 * try {
 *   await libc.symbols.qsort.async(Uint8Array.of(1, 2), 2, 1, () => {
 *     return new Promise<number>(() => {}); // never answers
 *   }, { signal });
 * } catch (error) {
 *   console.log(error === signal.reason); // true
 * }
 *
 * using stack = new OsStack(64 << 20);
 * await libc.symbols.qsort.async(Uint8Array.of(2, 1), 2, 1, () => 0, { stack });
 * ```
 */
export interface AsyncOptions {
  /**
   * Ends the call when it is aborted: C is told to stop, or its frames are unwound, and the Promise
   * is rejected with `signal.reason`. That happens at once while a handler is pending, else at the
   * next callback.
   */
  readonly signal?: AbortSignal | undefined;
  /**
   * A stack of the caller's for this call, in place of one that fringe keeps: an `OsStack`, or one
   * of a `StackPool`. It is occupied until the call has ended, and free after that. For C that has
   * to be told where its stack lies, and for one call that needs a larger stack than others. What
   * happens when the stack is used up is the stack's own option.
   */
  readonly stack?: GuardedStack | undefined;
}

/**
 * The arguments of `yielder.call(f, ...args)`.
 *
 * @example
 * ```ts
 * import { dlopen, Generator, OsStack, type ScriptArguments } from "fringe";
 *
 * const parameters = [
 *   "buffer",
 *   "usize",
 *   "usize",
 *   { callback: { parameters: ["pointer", "pointer"], result: "i32" } },
 * ] as const;
 * using libc = dlopen("libc.so.6", { qsort: { parameters, result: "void" } });
 *
 * const args: ScriptArguments<typeof parameters> = [Uint8Array.of(1, 2), 2, 1, function* () {
 *   yield "comparing";
 *   return 0;
 * }];
 * using generator = new Generator(new OsStack(), function* (yielder) {
 *   yield* yielder.call(libc.symbols.qsort, ...args);
 * });
 * console.log([...generator]); // ["comparing"]
 * ```
 */
export type ScriptArguments<Parameters extends readonly ParameterDefinition[]> = {
  -readonly [K in keyof Parameters]: Parameters[K] extends
    { readonly callback: infer Definition extends CallbackDefinition }
    ? ScriptHandler<Definition> | CallbackOf<Definition>
    : ToNative<Parameters[K]>;
};

/**
 * The arguments of `f.calls(...args)`: those of the parameters that are no callbacks.
 *
 * @example
 * ```ts
 * import { dlopen, type PulledArguments } from "fringe";
 *
 * const parameters = [
 *   "buffer",
 *   "usize",
 *   "usize",
 *   { callback: { parameters: ["pointer", "pointer"], result: "i32" } },
 * ] as const;
 * using libc = dlopen("libc.so.6", { qsort: { parameters, result: "void" } });
 *
 * // No handler: whoever pulls the calls answers them.
 * const args: PulledArguments<typeof parameters> = [Uint8Array.of(1, 2, 3), 3, 1];
 * for (const { reply } of libc.symbols.qsort.calls(...args)) reply(0);
 * ```
 */
export type PulledArguments<Parameters extends readonly unknown[]> = Parameters extends
  readonly [infer First, ...infer Rest]
  ? First extends { readonly callback: unknown } ? PulledArguments<Rest>
  : [ToNative<First>, ...PulledArguments<Rest>]
  : [];

/**
 * A call of a callback, as `f.calls()` yields it.
 *
 * @example
 * ```ts
 * import { type CallbackCall, dlopen } from "fringe";
 *
 * using libc = dlopen("libc.so.6", {
 *   scandir: {
 *     parameters: [
 *       "cstring",
 *       "buffer",
 *       { callback: { parameters: ["pointer"], result: "i32", stop: 0 } },
 *       "pointer",
 *     ],
 *     result: "i32",
 *   },
 * });
 *
 * function skip(call: CallbackCall<2, [Deno.PointerValue], number>): void {
 *   console.log(call.parameter); // 2: the place of the callback among the parameters
 *   call.reply(0); // 0: scandir leaves the entry out
 * }
 *
 * for (const call of libc.symbols.scandir.calls("/", new Uint8Array(8), null)) skip(call);
 * ```
 */
export interface CallbackCall<Parameter extends number, Args extends readonly unknown[], Result> {
  /** The place of the callback among the parameters of the function, from 0. */
  readonly parameter: Parameter;
  /** What C has passed to the callback. */
  readonly args: Args;
  /** Says what the callback returns to C, once the next call is pulled. A second one throws. */
  reply(value: Result | TailCall): void;
}

/**
 * What `f.calls()` yields: a call of any of the callbacks.
 *
 * @example
 * ```ts
 * import { dlopen, PointerView, type PulledCall } from "fringe";
 *
 * const qsort = {
 *   parameters: [
 *     "buffer",
 *     "usize",
 *     "usize",
 *     { callback: { parameters: ["pointer", "pointer"], result: "i32" } },
 *   ],
 *   result: "void",
 * } as const;
 * using libc = dlopen("libc.so.6", { qsort });
 *
 * function answer({ args: [a, b], reply }: PulledCall<typeof qsort>): void {
 *   reply(new PointerView(a!).getUint8() - new PointerView(b!).getUint8());
 * }
 *
 * const bytes = Uint8Array.of(3, 1, 2);
 * for (const call of libc.symbols.qsort.calls(bytes, 3, 1)) answer(call);
 * console.log(bytes); // Uint8Array(3) [ 1, 2, 3 ]
 * ```
 */
export type PulledCall<Definition extends FunctionDefinition> = {
  [K in keyof Definition["parameters"]]: Definition["parameters"][K] extends
    { readonly callback: infer Callback extends CallbackDefinition }
    ? K extends `${infer Parameter extends number}` ? CallbackCall<
        Parameter,
        HandlerParameters<Callback["parameters"], Callback["variadic"]>,
        ToNative<Callback["result"]>
      >
    : never
    : never;
}[Extract<keyof Definition["parameters"], `${number}`>];

/**
 * What a call of a C function gives: what the function returns, with errno if the definition says
 * so.
 *
 * @example
 * ```ts
 * import { dlopen, type ResultOf } from "fringe";
 *
 * const labs = { parameters: ["i64"], result: "i64" } as const;
 * using libc = dlopen("libc.so.6", { labs });
 *
 * const distance: ResultOf<typeof labs> = libc.symbols.labs(-3); // a bigint
 * console.log(distance); // 3n
 * ```
 */
export type ResultOf<Definition extends FunctionDefinition> = Definition extends
  { readonly errno: true }
  ? { readonly value: FromNative<Definition["result"]>; readonly errno: number }
  : FromNative<Definition["result"]>;

/**
 * What a handler yields, if it is a generator function.
 *
 * @example
 * ```ts
 * import type { HandlerYield } from "fringe";
 *
 * function* ask(a: number) {
 *   const answer: number = yield `What about ${a}?`;
 *   return answer;
 * }
 *
 * const question: HandlerYield<typeof ask> = "a string, as `ask` yields"; // string
 * console.log(question);
 * ```
 */
export type HandlerYield<Argument> = Argument extends
  (...args: never) => ScriptGenerator<infer Yield, unknown, never> ? Yield : never;

/**
 * Calls a C function; handlers may be async, and the event loop runs while one is pending.
 *
 * @example
 * ```ts
 * import { type AsyncCall, dlopen } from "fringe";
 *
 * const labs = { parameters: ["i64"], result: "i64" } as const;
 *
 * async function distance(f: AsyncCall<typeof labs>, from: bigint, to: bigint): Promise<bigint> {
 *   return await f(to - from);
 * }
 *
 * using libc = dlopen("libc.so.6", { labs });
 * console.log(await distance(libc.symbols.labs.async, 5n, 2n)); // 3n
 * ```
 */
export type AsyncCall<Definition extends FunctionDefinition> = (
  ...args: AsyncArguments<Definition["parameters"]> extends infer Args extends readonly unknown[]
    ? [...args: Args, options?: AsyncOptions]
    : never
) => Promise<ResultOf<Definition>>;

/**
 * A C function that its callbacks suspend on this thread: what `yielder.call()` takes. Called as it
 * is, it takes plain functions as handlers.
 *
 * @example
 * ```ts
 * import { dlopen, Generator, OsStack, type SuspendableFunction, type Yielder } from "fringe";
 *
 * const labs = { parameters: ["i64"], result: "i64" } as const;
 *
 * function* distance(yielder: Yielder, f: SuspendableFunction<typeof labs>) {
 *   const from: bigint = yield "from";
 *   const to: bigint = yield "to";
 *   return yield* yielder.call(f, to - from);
 * }
 *
 * using libc = dlopen("libc.so.6", { labs });
 * using generator = new Generator<bigint, string, bigint>(new OsStack(), function* (yielder) {
 *   return yield* distance(yielder, libc.symbols.labs);
 * });
 * console.log(generator.next(0n).value); // from
 * console.log(generator.next(5n).value); // to
 * console.log(generator.next(2n).value); // 3n
 * ```
 */
export interface SuspendableFunction<Definition extends FunctionDefinition> {
  // Not documented: so editors show what the table says of the function, such as its prototype.
  (...args: SyncArguments<Definition["parameters"]>): ResultOf<Definition>;
  /**
   * Calls the function; handlers may be async. The event loop runs while one is pending; a handler
   * that gives no Promise answers at once.
   *
   * @example
   * ```ts
   * import { dlopen, PointerView } from "fringe";
   *
   * using libc = dlopen("libc.so.6", {
   *   qsort: {
   *     parameters: [
   *       "buffer",
   *       "usize",
   *       "usize",
   *       { callback: { parameters: ["pointer", "pointer"], result: "i32", stop: 0 } },
   *     ],
   *     result: "void",
   *   },
   * });
   * const bytes = Uint8Array.of(3, 1, 2);
   * await libc.symbols.qsort.async(bytes, 3, 1, async (a, b) => {
   *   await new Promise((resolve) => setTimeout(resolve, 1));
   *   return new PointerView(a!).getUint8() - new PointerView(b!).getUint8();
   * });
   * console.log(bytes); // Uint8Array(3) [ 1, 2, 3 ]
   * ```
   */
  readonly async: AsyncCall<Definition>;
}
