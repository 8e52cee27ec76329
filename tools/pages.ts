// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Puts what programs have found out into README.md and pages of docs/, between two comments that
 * mark the place:
 *
 *     <!-- ratios: begin, by tools/figures.ts -->
 *     the table of ratios
 *     <!-- ratios: end -->
 *
 * @module
 */

import { join } from "node:path";
import { root } from "./zig.ts";

/** The text of a page with `text` in the place of `name`, which `tool` fills. */
export function placed(page: string, name: string, tool: string, text: string): string {
  const [begin, end] = [`<!-- ${name}: begin, by ${tool} -->`, `<!-- ${name}: end -->`];
  const [from, to] = [page.indexOf(begin), page.indexOf(end)];
  if (from < 0 || to < from) {
    throw new Error(`Cannot place the ${name}: the page must contain ${begin} and ${end}`);
  }
  return `${page.slice(0, from + begin.length)}\n\n${text}\n\n${page.slice(to)}`;
}

/** Each part of a page that `placed` has made, with its two comments. */
export const PLACED = /^<!-- (\w+): begin, by .*? -->$.*?^<!-- \1: end -->$/gms;

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

/**
 * Rewrites pages, such as "README.md", by what a bench has written to `results`, below bench/. For
 * each page `pages` has a function that makes the new text of the old one.
 */
export async function rewrite<Results>(
  results: string,
  pages: Readonly<Record<string, (page: string, results: Results) => string>>,
): Promise<void> {
  const found = JSON.parse(await Deno.readTextFile(join(root, "bench", results))) as Results;
  for (const [name, change] of Object.entries(pages)) {
    const path = join(root, name);
    await Deno.writeTextFile(path, change(await Deno.readTextFile(path), found));
  }
}
