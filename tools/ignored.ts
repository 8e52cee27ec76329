// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Which folders are no part of the repository, as `.gitignore` has them: what compilers leave, and
 * `scratch/`, where readers try things. `deno fmt` and `deno lint` look there themselves; this is
 * for all other checks. It needs no git, so that the gate runs where an archive was unpacked.
 *
 * @module
 */

import { basename, join } from "node:path";
import { root } from "./zig.ts";

/**
 * Whether a folder, by its path from the root of the checkout, is one that `.gitignore` has. As
 * with git, a slash that is not the last character ties a pattern to the root:
 *
 *     /scratch/        scratch, and not docs/scratch
 *     docs/scratch/    docs/scratch, and not a/docs/scratch
 *     node_modules/    node_modules, and bench/node_modules
 */
export function ignores(patterns: string): (folder: string) => boolean {
  const lines = patterns.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  const [paths, names] = [new Set<string>(), new Set<string>()];
  for (const line of lines) {
    const [, slash, path] = /^(\/?)((?:[\w.-]+\/)+)$/.exec(line) ?? [];
    if (path === undefined) {
      throw new Error(
        `Cannot tell what .gitignore means by ${line}: write a folder, /PATH/ or NAME/`,
      );
    }
    const folder = path.slice(0, -1);
    (slash === "/" || folder.includes("/") ? paths : names).add(folder);
  }
  return (folder) => paths.has(folder) || names.has(basename(folder));
}

/** The same, of the `.gitignore` of this checkout. */
export const isIgnored = ignores(Deno.readTextFileSync(join(root, ".gitignore")));

/** The folders at the top of the checkout that checks look into. */
export function sourceFolders(): string[] {
  return [...Deno.readDirSync(root)].flatMap(({ name, isDirectory }) =>
    isDirectory && !name.startsWith(".") && !isIgnored(name) ? [name] : []
  ).sort();
}
