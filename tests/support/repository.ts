// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** The files of the repository, for the tests that check the house itself. */

import { join } from "node:path";
import { isIgnored } from "../../tools/ignored.ts";
import { root } from "../../tools/zig.ts";
import { fail } from "../assert.ts";

/** A rule yields what is wrong, and what to do about it. */
export type Problems = Generator<string, void>;

/** Makes a test of each rule. */
export function testRules(...rules: (() => Problems)[]): void {
  for (const rule of rules) {
    Deno.test(`tidy: ${rule.name}`, () => {
      const problems = [...rule()];
      if (problems.length > 0) fail(`\n${problems.join("\n")}`);
    });
  }
}

/** Besides what .gitignore has, what is no text of ours: git's, Cargo's, and libraries. */
const noText = new Set([".git", "bench/peers/corosensei/target", "native/prebuilt"]);

/** Every file of the repository that is not ignored, relative to its root. */
export const files = filesIn("");
export const code = files.filter((file) =>
  /\.(ts|zig|S|h|c|cc|cpp|rs|yml)$|^\.ci\/run$/.test(file)
);

function filesIn(folder: string): string[] {
  return [...Deno.readDirSync(join(root, folder))].flatMap(({ name, isDirectory, isFile }) => {
    const path = folder === "" ? name : `${folder}/${name}`;
    if (isDirectory) return noText.has(path) || isIgnored(path) ? [] : filesIn(path);
    return isFile ? [path] : [];
  }).sort();
}

/** The text of a file. */
export function text(file: string): string {
  return Deno.readTextFileSync(join(root, file));
}

/** A TypeScript file without its comments. */
export function withoutComments(file: string): string {
  return text(file).replace(/\/\*.*?\*\//gs, "").replace(/(?<!:)\/\/.*/g, "");
}

/** What lies between the first `start` and the next `end`. */
export function between(source: string, start: string, end: string): string {
  const from = source.indexOf(start);
  if (from < 0) return "";
  const to = source.indexOf(end, from + start.length);
  return source.slice(from + start.length, to < 0 ? undefined : to);
}
