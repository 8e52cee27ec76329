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
import type { BodyDefinition, FunctionDefinition, VariableDefinition } from "./call/definition.ts";
import type { NativeBody } from "./context/body.ts";
import type { Generator } from "./generator.ts";
import type { FromNative, ToNative } from "./value/type.ts";

/**
 * A C function. Its callbacks suspend it, so that JavaScript runs on its own stack while C waits on
 * another.
 *
 * @example
 * ```ts
 * import { dlopen, type NativeFunction } from "fringe";
 *
 * const qsort = {
 *   parameters: [
 *     "buffer",
 *     "usize",
 *     "usize",
 *     { callback: { parameters: ["pointer", "pointer"], result: "i32", stop: 0 } },
 *   ],
 *   result: "void",
 * } as const;
 *
 * function countComparisons(f: NativeFunction<typeof qsort>, bytes: Uint8Array<ArrayBuffer>) {
 *   let comparisons = 0;
 *   f(bytes, bytes.length, 1, () => comparisons++ < 0 ? 1 : 0); // plain
 *   for (const { reply } of f.calls(bytes, bytes.length, 1)) { // pulled
 *     comparisons++;
 *     reply(0);
 *   }
 *   return comparisons;
 * }
 *
 * using libc = dlopen("libc.so.6", { qsort });
 * console.log(countComparisons(libc.symbols.qsort, Uint8Array.of(1, 2))); // 2
 * ```
 */
export interface NativeFunction<Definition extends FunctionDefinition>
  extends SuspendableFunction<Definition> {
  /**
   * Calls the function lazily: yields each call of a callback, returns the result.
   *
   * @example
   * ```ts
   * import { dlopen, PointerView } from "fringe";
   *
   * using libc = dlopen("libc.so.6", {
   *   bsearch: {
   *     parameters: [
   *       "buffer",
   *       "buffer",
   *       "usize",
   *       "usize",
   *       { callback: { parameters: ["pointer", "pointer"], result: "i32", stop: 0 } },
   *     ],
   *     result: "pointer",
   *   },
   * });
   * const calls = libc.symbols.bsearch.calls(Uint8Array.of(2), Uint8Array.of(1, 2, 3), 3, 1);
   * for (const { args: [key, element], reply } of calls) {
   *   reply(new PointerView(key!).getUint8() - new PointerView(element!).getUint8());
   * }
   * ```
   */
  calls(
    ...args: PulledArguments<Definition["parameters"]>
  ): Generator<void, PulledCall<Definition>, ResultOf<Definition>>;
}

/**
 * A C function that is declared as `nonblocking`: it runs on another thread.
 *
 * @example
 * ```ts
 * import { dlopen, type NonblockingFunction } from "fringe";
 *
 * const usleep = { parameters: ["u32"], result: "i32", nonblocking: true } as const;
 *
 * async function sleep(f: NonblockingFunction<typeof usleep>, milliseconds: number) {
 *   await f(milliseconds * 1000); // on another thread
 * }
 *
 * using libc = dlopen("libc.so.6", { usleep });
 * await sleep(libc.symbols.usleep, 1);
 * ```
 */
export interface NonblockingFunction<Definition extends FunctionDefinition> {
  // The same as `async`. Not documented: so editors show what the table says of the function.
  (...args: Parameters<AsyncCall<Definition>>): Promise<ResultOf<Definition>>;
  /** Calls the function on another thread; its handlers may be async. */
  readonly async: AsyncCall<Definition>;
}

/**
 * What `dlopen` gives for a definition.
 *
 * @example
 * ```ts
 * import { dlopen, type SymbolOf } from "fringe";
 *
 * const labs = { parameters: ["i64"], result: "i64" } as const;
 * using libc = dlopen("libc.so.6", { labs });
 * const f: SymbolOf<typeof labs> = libc.symbols.labs;
 * console.log(f(-3)); // 3n
 * ```
 */
export type SymbolOf<Definition> =
  | (Definition extends BodyDefinition
    ? NativeBody<ToNative<Definition["input"]>, FromNative<Definition["output"]>>
    : Definition extends FunctionDefinition
      ? Definition extends { readonly nonblocking: true | "thread" }
        ? NonblockingFunction<Definition>
      : NativeFunction<Definition>
    : Definition extends VariableDefinition ? FromNative<Definition["type"]>
    : never)
  | (Definition extends { readonly optional: true } ? null : never);
