// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** What is written into the tables that `dlopen` takes, and the handlers that go with it. */

import type { ScriptGenerator } from "../script_generator.ts";
import type { FromNative, ScalarType, ToNative, TypeDefinition } from "../value/type.ts";
import type { VariadicArguments } from "./arguments.ts";
import type { TailCall } from "./tail_call.ts";

/**
 * A generator body: a native function that suspends.
 *
 * @example
 * ```ts
 * import { type BodyDefinition, dlopen, Generator, OsStack } from "fringe";
 *
 * const count = { input: "void", output: "i32" } as const satisfies BodyDefinition;
 * using library = dlopen("./native/prebuilt/x86_64-linux/libbodies.so", { count });
 * using generator = new Generator(new OsStack(), library.symbols.count);
 * console.log([...generator]); // [1, 2, 3]
 * ```
 */
export interface BodyDefinition {
  /** The type of the value that each `resume` passes in; "void": none. */
  readonly input: ScalarType | "void";
  /** The type of the value that each suspension gives; "void": none. */
  readonly output: ScalarType | "void";
  /** The name of the symbol, if it is not the key in the table. */
  readonly name?: string;
  /** Whether the library may lack it: the symbol is `null` then. */
  readonly optional?: boolean;
}

/**
 * A callback parameter.
 *
 * @example
 * ```ts
 * import { type CallbackDefinition, dlopen } from "fringe";
 *
 * const filter = {
 *   parameters: ["pointer"],
 *   result: "i32",
 *   stop: 0, // a call that is being ended: leave out what is left
 * } as const satisfies CallbackDefinition;
 * using libc = dlopen("libc.so.6", {
 *   scandir: { parameters: ["cstring", "buffer", { callback: filter }, "pointer"], result: "i32" },
 * });
 * console.log(libc.symbols.scandir("/", new Uint8Array(8), () => 0, null)); // 0
 * ```
 */
export interface CallbackDefinition {
  /** What C passes. */
  readonly parameters: readonly TypeDefinition[];
  /**
   * Whether C passes more (`...` in C): the handler gets a `VariadicArguments` as its last
   * argument, which reads them.
   */
  readonly variadic?: boolean;
  /**
   * What C is answered. It may use the string or the buffer of a "cstring" or a "buffer" until the
   * same callback has been answered 16 times more, or the function returns.
   */
  readonly result: TypeDefinition | "void";
  /**
   * How C is told that the call is being ended (by `break`, `return()`, an error, an abort): C gets
   * this value as the answer to the callback that waits, and to each further call of a callback
   * with a `stop`, until the function returns. For `nftw`, which ends at any answer but 0, it is 1.
   * Without a `stop` the frames of C are unwound.
   *
   * It may be a function of the callback's arguments, which is then asked for each of these
   * answers: so a callback that releases something still does, and one that C calls without end can
   * say so by `tailCall()`. It answers at once, and may not end the call that it is asked for. If
   * it throws, C's frames are unwound, and whoever has ended the call gets the error.
   */
  readonly stop?:
    | boolean
    | number
    | bigint
    | string
    | Deno.PointerObject
    | BufferSource
    | { readonly [field: string]: unknown }
    | null
    | undefined
    // deno-lint-ignore no-explicit-any -- its parameters are those of the callback
    | ((...args: any[]) => unknown);
}

/**
 * A parameter of a C function: a value that C gets, or a function that C calls.
 *
 * @example
 * ```ts
 * import { dlopen, type ParameterDefinition } from "fringe";
 *
 * const path: ParameterDefinition = "cstring";
 * const comparator: ParameterDefinition = {
 *   callback: { parameters: ["pointer", "pointer"], result: "i32" },
 * };
 * using libc = dlopen("libc.so.6", {
 *   access: { parameters: [path, "i32"], result: "i32" },
 *   qsort: { parameters: ["buffer", "usize", "usize", comparator], result: "void" },
 * });
 * ```
 */
export type ParameterDefinition = TypeDefinition | { readonly callback: CallbackDefinition };

/**
 * Any C function.
 *
 * @example
 * ```ts
 * import { dlopen, type FunctionDefinition } from "fringe";
 *
 * // int snprintf(char *to, size_t size, const char *format, ...)
 * const twoNumbers = {
 *   name: "snprintf",
 *   parameters: ["buffer", "usize", "cstring", "i32", "f64"],
 *   result: "i32",
 *   variadic: 3,
 * } as const satisfies FunctionDefinition;
 * using libc = dlopen("libc.so.6", { twoNumbers });
 *
 * const to = new Uint8Array(32);
 * const length = libc.symbols.twoNumbers(to, to.length, "%d and %.1f", 3, 0.5);
 * console.log(new TextDecoder().decode(to.subarray(0, length))); // 3 and 0.5
 * ```
 */
export interface FunctionDefinition {
  /** Its parameters, at most 127. */
  readonly parameters: readonly ParameterDefinition[];
  /** What it returns. */
  readonly result: TypeDefinition | "void";
  /** The name of the symbol, if it is not the key in the table. */
  readonly name?: string;
  /** Whether the library may lack it: the symbol is `null` then. */
  readonly optional?: boolean;
  /**
   * Whether C runs on a thread of Deno's blocking pool, so that the event loop goes on meanwhile.
   * Handlers are called on the Worker's own thread. After each of them C may go on on another
   * thread of the pool than before, so it must keep nothing in thread-local variables, and hold no
   * lock, while it calls back. Such a function gives a Promise.
   *
   * With "thread" a call has one thread from its first instruction to its last, and C runs on that
   * thread's own stack, of `stackSize` bytes. So it may do all of that, and may measure its stack.
   */
  readonly nonblocking?: boolean | "thread";
  /**
   * For a variadic function (`...` in C): how many of the parameters stand before the dots. Those
   * behind are what calls by this declaration pass, with the types that C promotes arguments to:
   * `f64` and not `f32`, `i32` and nothing smaller.
   */
  readonly variadic?: number;
  /**
   * What happens when the function uses up the stack that fringe has for it; as for
   * `new OsStack()`, where it says what "throw" costs. In a `yielder.call()` the option of the
   * generator's own stack counts; where that is taken, so that the call gets another, both do.
   */
  readonly overflow?: "report" | "throw";
  /**
   * Whether the call gives `{ value, errno }`: what the function has returned, and the errno that
   * it left at that moment. It begins with an errno of 0.
   */
  readonly errno?: boolean;
  /**
   * Whether this function keeps something that another call must not find half-done, such as a lock
   * or a "current" state, while it waits for the answer of a callback. Of the exclusive functions
   * of a library one call is under way at a time in this Worker: `f.async()` waits for its turn, in
   * the order of the calls; the other forms throw, and say which function is under way. A handler
   * that awaits another exclusive function of its own library waits for ever.
   */
  readonly exclusive?: boolean;
  /**
   * How large the stack is that fringe has for a call, in bytes: 512 to 2^47, rounded up to whole
   * pages. The default is 8 MiB, which is what a thread has. A stack costs addresses, and memory
   * only where it has been touched, so more is no waste, for C that recurses deeply; less is of use
   * where the system counts addresses as memory (`vm.overcommit_memory=2`, `ulimit -v`). A
   * `yielder.call()` runs on the generator's own stack, whose size counts; where that is taken, the
   * call gets one of this size.
   *
   * @example
   * ```ts
   * import { dlopen } from "fringe";
   *
   * using library = dlopen("./native/prebuilt/x86_64-linux/libtest_bodies.so", {
   *   use_up: { parameters: ["i32"], result: "i32", stackSize: 64 << 20 }, // calls itself
   * });
   * console.log(library.symbols.use_up(100_000)); // 100000
   * ```
   */
  readonly stackSize?: number;
}

/**
 * A variable of a library: its symbol is the value that it has when the library is opened.
 *
 * @example
 * ```ts
 * import { dlopen, PointerView, type VariableDefinition } from "fringe";
 *
 * const opterr: VariableDefinition = { type: "i32" }; // extern int opterr;
 * using libc = dlopen("libc.so.6", {
 *   opterr,
 *   where: { name: "opterr", type: "pointer" }, // &opterr
 * });
 * console.log(libc.symbols.opterr); // 1
 * console.log(new PointerView(libc.symbols.where!).getInt32()); // 1, or what it is by now
 * ```
 */
export interface VariableDefinition {
  /** Its type. For "pointer", "function" and "buffer" the symbol is the variable's address. */
  readonly type: Exclude<TypeDefinition, "cstring">;
  /** The name of the symbol, if it is not the key in the table. */
  readonly name?: string;
  /** Whether the library may lack it: the symbol is `null` then. */
  readonly optional?: boolean;
}

/**
 * The table that `dlopen` takes: a definition for each symbol.
 *
 * @example
 * ```ts
 * import { dlopen, type SymbolDefinitions } from "fringe";
 *
 * const definitions = {
 *   getpid: { parameters: [], result: "i32" },
 *   labs: { parameters: ["i64"], result: "i64" },
 * } as const satisfies SymbolDefinitions;
 * using libc = dlopen("libc.so.6", definitions);
 * console.log(libc.symbols.getpid() === Deno.pid); // true
 * ```
 */
export interface SymbolDefinitions {
  /** By the key under which the symbol is to be had. */
  readonly [name: string]: BodyDefinition | FunctionDefinition | VariableDefinition;
}

/**
 * A type in a definition as TypeScript has to know it: as this very string, or as a struct or a
 * layout. It has forgotten the strings of a table that is a variable of its own, unless `as const`
 * follows.
 *
 * @typeParam Hint What to do about a `string`: TypeScript's error names this type, and so has it.
 *
 * @example
 * ```ts
 * import type { Literal } from "fringe";
 *
 * const known: Literal<"write `as const`"> = "i32";
 * console.log(known); // i32
 * ```
 */
export type Literal<Hint extends string> =
  | Hint
  // What is in lower case, as the names of all types are, and no `string` is. About those of C's
  // another error says what to write.
  | Lowercase<string>
  | object;

/**
 * A table whose strings TypeScript knows. `dlopen` looks at this before it looks at the types, so
 * that the error says what is missing. It looks at results, inputs and variables: each definition
 * has one of them.
 *
 * @example
 * ```ts
 * import { dlopen, type LiteralDefinitions } from "fringe";
 *
 * const table = { getpid: { parameters: [], result: "i32" } } as const;
 * const known: LiteralDefinitions = table;
 * using libc = dlopen("libc.so.6", table);
 * console.log("getpid" in known, libc.symbols.getpid() === Deno.pid); // true true
 * ```
 */
export interface LiteralDefinitions {
  /** By the key under which the symbol is to be had. */
  readonly [name: string]: LiteralDefinition;
}

/**
 * A definition whose strings TypeScript knows, as far as it is looked at.
 *
 * @example
 * ```ts
 * import { Callback, type LiteralDefinition } from "fringe";
 *
 * const each = { parameters: ["i32"], result: "i32" } as const;
 * const known: LiteralDefinition = each;
 * using callback = new Callback(each, (i) => i);
 * console.log(known.result === callback.definition.result); // true
 * ```
 */
export interface LiteralDefinition {
  /** A function's, or a callback's. */
  readonly result?: Literal<"write `as const` behind the definition">;
  /** A body's. */
  readonly input?: Literal<"write `as const` behind the definition">;
  /** A variable's. */
  readonly type?: Literal<"write `as const` behind the definition">;
}

/**
 * What a handler is passed for the parameters of a callback.
 *
 * @example
 * ```ts
 * import type { HandlerParameters } from "fringe";
 *
 * // void (*log)(int level, const char *message, size_t length)
 * const types = ["i32", "cstring", "usize"] as const;
 *
 * function log(...[level, message, length]: HandlerParameters<typeof types>): void {
 *   console.log(level, message, length); // a number, a string or null, a bigint
 * }
 *
 * log(1, "hello", 5n);
 * ```
 */
export type HandlerParameters<
  Types extends readonly TypeDefinition[],
  Variadic extends boolean | undefined = false,
> = [
  ...{ -readonly [K in keyof Types]: FromNative<Types[K]> },
  ...(Variadic extends true ? [rest: VariadicArguments] : []),
];

/**
 * The answer of a handler that nobody awaits.
 *
 * @typeParam Value What TypeScript has for the callback's result.
 * @typeParam Hint What to do about a Promise: TypeScript's error names this type, and so has it.
 *
 * @example
 * ```ts
 * import type { AnswerAtOnce } from "fringe";
 *
 * const answer: AnswerAtOnce<number, "await it first"> = 5;
 * console.log(answer); // 5
 * ```
 */
export type AnswerAtOnce<Value, Hint extends string> = Value | TailCall;

/**
 * A handler that answers a callback at once.
 *
 * @example
 * ```ts
 * import { dlopen, PointerView, type SyncHandler } from "fringe";
 *
 * const comparator = { parameters: ["pointer", "pointer"], result: "i32" } as const;
 * const ascending: SyncHandler<typeof comparator> = (a, b) => {
 *   return new PointerView(a!).getUint8() - new PointerView(b!).getUint8();
 * };
 *
 * using libc = dlopen("libc.so.6", {
 *   qsort: { parameters: ["buffer", "usize", "usize", { callback: comparator }], result: "void" },
 * });
 * const bytes = Uint8Array.of(3, 1, 2);
 * libc.symbols.qsort(bytes, 3, 1, ascending);
 * console.log(bytes); // Uint8Array(3) [ 1, 2, 3 ]
 * ```
 */
export type SyncHandler<Definition extends CallbackDefinition> = (
  ...args: HandlerParameters<Definition["parameters"], Definition["variadic"]>
) => AnswerAtOnce<ToNative<Definition["result"]>, "a Promise needs f.async()">;

/**
 * A handler that may be awaited.
 *
 * @example
 * ```ts
 * import { type AsyncHandler, dlopen, PointerView } from "fringe";
 *
 * const comparator = { parameters: ["pointer", "pointer"], result: "i32" } as const;
 * const ascending: AsyncHandler<typeof comparator> = async (a, b) => {
 *   await new Promise((resolve) => setTimeout(resolve, 1));
 *   return new PointerView(a!).getUint8() - new PointerView(b!).getUint8();
 * };
 *
 * using libc = dlopen("libc.so.6", {
 *   qsort: { parameters: ["buffer", "usize", "usize", { callback: comparator }], result: "void" },
 * });
 * const bytes = Uint8Array.of(3, 1, 2);
 * await libc.symbols.qsort.async(bytes, 3, 1, ascending);
 * console.log(bytes); // Uint8Array(3) [ 1, 2, 3 ]
 * ```
 */
export type AsyncHandler<Definition extends CallbackDefinition> = (
  ...args: HandlerParameters<Definition["parameters"], Definition["variadic"]>
) =>
  | ToNative<Definition["result"]>
  | TailCall
  | PromiseLike<ToNative<Definition["result"]> | TailCall>;

/**
 * A handler that may yield.
 *
 * @example
 * ```ts
 * import { dlopen, Generator, OsStack, type ScriptHandler } from "fringe";
 *
 * const comparator = { parameters: ["pointer", "pointer"], result: "i32", stop: 0 } as const;
 * const ask: ScriptHandler<typeof comparator> = function* () {
 *   return yield "which one is less?";
 * };
 *
 * using libc = dlopen("libc.so.6", {
 *   qsort: { parameters: ["buffer", "usize", "usize", { callback: comparator }], result: "void" },
 * });
 * using sorting = new Generator<number, string>(new OsStack(), function* (yielder) {
 *   yield* yielder.call(libc.symbols.qsort, Uint8Array.of(1, 2), 2, 1, ask);
 * });
 * console.log(sorting.resume(0)); // which one is less?
 * console.log(sorting.resume(-1)); // undefined: it is sorted
 * ```
 */
export type ScriptHandler<Definition extends CallbackDefinition> = (
  ...args: HandlerParameters<Definition["parameters"], Definition["variadic"]>
) =>
  | ToNative<Definition["result"]>
  | TailCall
  // deno-lint-ignore no-explicit-any -- what it yields and is resumed with is the body's affair
  | ScriptGenerator<any, ToNative<Definition["result"]> | TailCall, any>;

/**
 * A handler of a `Callback`, which does not know by which form the running call was made.
 *
 * @example
 * ```ts
 * import { Callback, type CallbackHandler } from "fringe";
 *
 * const progress = { parameters: ["pointer"], result: "i32", stop: 1 } as const;
 *
 * // Answers at once for f(), or waits for f.async().
 * const turn: CallbackHandler<typeof progress> = async () => {
 *   await new Promise((resolve) => setTimeout(resolve));
 *   return 0;
 * };
 * using callback = new Callback(progress, turn);
 * console.log(callback.definition.stop); // 1
 * ```
 */
export type CallbackHandler<Definition extends CallbackDefinition> = (
  ...args: HandlerParameters<Definition["parameters"], Definition["variadic"]>
) =>
  | ToNative<Definition["result"]>
  | TailCall
  | PromiseLike<ToNative<Definition["result"]> | TailCall>
  // deno-lint-ignore no-explicit-any -- what it yields and is resumed with is the body's affair
  | ScriptGenerator<any, ToNative<Definition["result"]> | TailCall, any>;
