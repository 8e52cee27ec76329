// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Puts the figures of `bench/results.json` into README.md, between two comments that mark their
 * place: `deno run -A tools/figures.ts`, after `deno task bench`. A tidy test compares the two.
 *
 * @module
 */

import { join } from "node:path";
import { root } from "./zig.ts";

const BEGIN = "<!-- figures: begin, by tools/figures.ts -->";
const END = "<!-- figures: end -->";

/** What `bench/run.ts` writes, as far as the README shows it. */
export interface Results {
  readonly machine: { readonly cpu: string; readonly cores: number; readonly release: string };
  readonly versions: Readonly<Record<string, string>>;
  readonly figures: readonly {
    readonly group: string;
    readonly name: string;
    readonly ns?: number;
  }[];
  readonly targets: readonly {
    readonly name: string;
    readonly atMost: number;
    readonly ratio?: number;
    readonly outcome: string;
  }[];
}

/** The text of README.md with the figures of `results` in their place. */
export function withFigures(readme: string, results: Results): string {
  const [begin, end] = [readme.indexOf(BEGIN), readme.indexOf(END)];
  if (begin < 0 || end < begin) {
    throw new Error(`Cannot place the figures: README.md must contain ${BEGIN} and ${END}`);
  }
  return `${readme.slice(0, begin + BEGIN.length)}\n\n${figures(results)}\n\n${readme.slice(end)}`;
}

function figures({ machine, versions, figures, targets }: Results): string {
  const libraries = figures.filter(({ name }) => name.includes(", suspended callback"));
  const works = new Set(libraries.map(({ group }) => group));
  const nanoseconds = figures.filter(({ group }) => !works.has(group)).map((figure) => [
    figure.group,
    figure.name,
    inWords(figure.ns),
  ]);
  const rows = libraries.map(({ group, name, ns }) => {
    const work = name.replace(/, suspended callbacks?$/, "");
    const others = figures.filter((figure) => figure.group === group && figure.name !== name);
    const callback = others.find((figure) => figure.name === `${work}, Deno.UnsafeCallback`);
    const rest = others.filter((figure) => figure !== callback && !libraries.includes(figure));
    return [
      work,
      inWords(ns),
      inWords(callback?.ns),
      rest.map(({ name, ns }) => `${otherwise(name, work)}: ${inWords(ns)}`).join("; "),
    ];
  });
  const ratios = targets.map(({ name, ratio, atMost, outcome }) => [
    name,
    ratio?.toFixed(2) ?? "-",
    String(atMost),
    outcome,
  ]);
  const { deno, corosensei, boost } = versions;
  return [
    [
      "Measured on",
      "",
      `- ${machine.cores} cores of ${machine.cpu}, Linux ${machine.release};`,
      `- Deno ${deno}, Boost ${boost}, corosensei ${corosensei}.`,
    ].join("\n"),
    table(["", "one operation", "ns"], "llr", nanoseconds),
    "The same work through real libraries, in ns for each callback:",
    table(["", "suspended", "UnsafeCallback", "in other ways"], "lrrl", rows),
    "The ratios that fringe has set itself:",
    table(["ratio of", "measured", "at most", ""], "lrrl", ratios),
  ].join("\n\n");
}

function inWords(ns: number | undefined): string {
  if (ns === undefined) return "not measured";
  return ns < 1000 ? ns.toFixed(1) : Math.round(ns).toLocaleString("en");
}

/** The name of another way to do a work, without the name of the work. */
function otherwise(name: string, work: string): string {
  return name.replace(work, "").replace(/^('s work)?[,:]? /, "");
}

/** A table as `deno fmt` wants it. `alignment` has a letter for each column, `l` or `r`. */
function table(head: readonly string[], alignment: string, rows: readonly string[][]): string {
  const cells = [head, ...rows].map((row) => row.map((cell) => cell.replaceAll("*", "\\*")));
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

if (import.meta.main) {
  const readme = join(root, "README.md");
  const results = JSON.parse(await Deno.readTextFile(join(root, "bench", "results.json")));
  await Deno.writeTextFile(readme, withFigures(await Deno.readTextFile(readme), results));
}
