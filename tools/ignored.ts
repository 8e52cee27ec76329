// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Which folders are no part of the repository, as `.gitignore` has them: what compilers leave, and
 * `scratch/`, where readers try things. `deno fmt` and `deno lint` look there themselves; this is
 * for all other checks. It needs no git, so that the gate runs where an archive was unpacked.
 *
 * @module
 */

import { join } from "node:path";
import { root } from "./zig.ts";

/** The names in `.gitignore`, each of which is a folder's: `/scratch/`, `node_modules/`. */
export function ignoredFolders(): Set<string> {
  const lines = Deno.readTextFileSync(join(root, ".gitignore")).split("\n");
  const patterns = lines.filter((line) => line !== "" && !line.startsWith("#"));
  return new Set(patterns.map((pattern) => {
    const name = /^\/?([\w.-]+)\/$/.exec(pattern)?.[1];
    if (name === undefined) {
      throw new Error(
        `Cannot tell what .gitignore means by ${pattern}: write a folder's name, /NAME/`,
      );
    }
    return name;
  }));
}

/** The folders at the top of the checkout that checks look into. */
export function sourceFolders(): string[] {
  const ignored = ignoredFolders();
  return [...Deno.readDirSync(root)].flatMap(({ name, isDirectory }) =>
    isDirectory && !name.startsWith(".") && !ignored.has(name) ? [name] : []
  ).sort();
}
