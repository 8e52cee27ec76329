// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** Node's modules, which Deno has: got at the first use, so that importing fringe loads none. */

import { hasStack } from "./check.ts";

/** The modules that fringe uses, and what it uses of each. */
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

const loaded: Partial<Modules> = {};

/**
 * A module of Node's, or undefined where it cannot be loaded now:
 *
 * - in a program that has frozen JavaScript's own objects: as a module is loaded it sets properties
 *   of theirs, and its error ends the process;
 * - in a program that has made accessors of all properties that are defined: likewise;
 * - with little of V8's stack left: a module that fails half-way stays broken.
 */
export function nodeModule<Name extends keyof Modules>(name: Name): Modules[Name] | undefined {
  const known = loaded[name];
  if (known !== undefined) return known;
  if (Object.isFrozen(Set.prototype) || !hasStack(128)) return undefined;
  if ("get" in Object.prototype || "set" in Object.prototype) return undefined;
  return loaded[name] = process.getBuiltinModule(name) as Modules[Name];
}
