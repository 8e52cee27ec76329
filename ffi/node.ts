// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** What Deno has of Node's: fetched when needed, so that importing fringe loads none of it. */

/** The modules that are used, as far as they are. */
interface Modules {
  "node:buffer": {
    Buffer: {
      from(
        memory: ArrayBuffer,
      ): { toString(encoding: "utf8", start: number, end: number): string };
    };
  };
  "node:util": { types: { isGeneratorObject(value: unknown): boolean } };
}

/**
 * A module of Node's, or undefined in a program that has frozen JavaScript's own objects: there it
 * does not load, and an error at that ends the process.
 */
export function nodeModule<Name extends keyof Modules>(name: Name): Modules[Name] | undefined {
  // It sets Symbol.iterator of a Set, for one.
  if (Object.isFrozen(Set.prototype)) return undefined;
  return process.getBuiltinModule(name) as Modules[Name];
}
