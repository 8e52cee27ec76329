// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** TypeScript's own generator type, under a name that `class Generator` does not hide. */

/** What a `function*` returns. */
export type ScriptGenerator<Output, Return, Input> = globalThis.Generator<Output, Return, Input>;

const GeneratorFunction = Object.getPrototypeOf(function* () {}).constructor;

const { isPrototypeOf } = Object.prototype;

/** Whether `value` is a `function*`. */
export function isGeneratorFunction(value: unknown): boolean {
  return typeof value === "function" && value instanceof GeneratorFunction;
}

/** Whether `value` is what a `function*` returns. */
export function isScriptGenerator(
  value: unknown,
): value is ScriptGenerator<unknown, unknown, unknown> {
  return typeof value === "object" && value !== null &&
    isPrototypeOf.call(GeneratorFunction.prototype.prototype, value);
}
