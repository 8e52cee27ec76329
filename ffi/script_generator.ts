// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** TypeScript's own generator type, under a name that `class Generator` does not hide. */

import { nodeModule } from "./node.ts";

/**
 * What a `function*` returns.
 *
 * @example
 * ```ts
 * import { Generator, OsStack, type ScriptGenerator } from "fringe";
 *
 * function* letters(): ScriptGenerator<string, void, void> {
 *   yield "a";
 *   yield "b";
 * }
 *
 * using generator = new Generator(new OsStack(), letters);
 * console.log([...generator]); // ["a", "b"]
 * ```
 */
export type ScriptGenerator<Output, Return, Input> = globalThis.Generator<Output, Return, Input>;

const GeneratorFunction = Object.getPrototypeOf(function* () {}).constructor;

const { isPrototypeOf } = Object.prototype;

/**
 * Whether `value` is a `function*`. One of another realm (`node:vm`) inherits from another
 * `GeneratorFunction`, so there the tag is believed. A plain function with a false tag is found out
 * when it has been called: it returns no generator.
 */
export function isGeneratorFunction(value: unknown): boolean {
  return typeof value === "function" &&
    (value instanceof GeneratorFunction || tagOf(value) === "GeneratorFunction");
}

/** Whether `value` is an `async function` or an `async function*`, by its tag. */
export function isAsyncFunction(value: object): boolean {
  const tag = tagOf(value);
  return tag === "AsyncFunction" || tag === "AsyncGeneratorFunction";
}

/** Whether `value` is what a `function*` returns, also one of another realm. */
export function isScriptGenerator(
  value: unknown,
): value is ScriptGenerator<unknown, unknown, unknown> {
  if (typeof value !== "object" || value === null) return false;
  if (isPrototypeOf.call(GeneratorFunction.prototype.prototype, value)) return true;
  // The tag tells a generator from an async one. V8 tells both from an object with a false tag.
  return tagOf(value) === "Generator" &&
    nodeModule("node:util")?.types.isGeneratorObject(value) === true;
}

function tagOf(value: object): unknown {
  return (value as { readonly [Symbol.toStringTag]?: unknown })[Symbol.toStringTag];
}
