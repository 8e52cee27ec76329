// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Puts what programs have found out into README.md, between two comments that mark the place.
 *
 * @module
 */

import { join } from "node:path";
import { root } from "./zig.ts";

/** The comments that mark the place of `name`, which `tool` fills. */
function markers(name: string, tool: string): [begin: string, end: string] {
  return [`<!-- ${name}: begin, by ${tool} -->`, `<!-- ${name}: end -->`];
}

/** The text of README.md with `text` in the place of `name`. */
export function placed(readme: string, name: string, tool: string, text: string): string {
  const [BEGIN, END] = markers(name, tool);
  const [begin, end] = [readme.indexOf(BEGIN), readme.indexOf(END)];
  if (begin < 0 || end < begin) {
    throw new Error(`Cannot place the ${name}: README.md must contain ${BEGIN} and ${END}`);
  }
  return `${readme.slice(0, begin + BEGIN.length)}\n\n${text}\n\n${readme.slice(end)}`;
}

/** A table as `deno fmt` wants it. `alignment` has a letter for each column, `l` or `r`. */
export function table(
  head: readonly string[],
  alignment: string,
  rows: readonly (readonly string[])[],
): string {
  const cells = [head, ...rows].map((row) => row.map((cell) => cell.replace(/[*|]/g, "\\$&")));
  const widths = head.map((_, i) => Math.max(3, ...cells.map((row) => row[i]!.length)));
  const line = (row: readonly string[]): string => `| ${row.join(" | ")} |`;
  const [first, ...rest] = cells.map((row) =>
    line(row.map((cell, i) => {
      return alignment[i] === "r" ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!);
    }))
  );
  const rule = line(
    widths.map((width, i) =>
      alignment[i] === "r" ? `${"-".repeat(width - 1)}:` : "-".repeat(width)
    ),
  );
  return [first, rule, ...rest].join("\n");
}

/** Has `change` make another README.md of what a bench has written to `results`, below bench/. */
export async function rewrite<Results>(
  results: string,
  change: (readme: string, results: Results) => string,
): Promise<void> {
  const readme = join(root, "README.md");
  const found = JSON.parse(await Deno.readTextFile(join(root, "bench", results))) as Results;
  await Deno.writeTextFile(readme, change(await Deno.readTextFile(readme), found));
}
