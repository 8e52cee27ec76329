// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Puts the figures of `bench/results.json` into docs/figures.md, and the first ratios into
 * README.md, between two comments that mark their place: `deno run -P=tools tools/figures.ts`,
 * after `deno task bench`. A tidy test compares them.
 *
 * @module
 */

import { placed, rewrite, table } from "./pages.ts";

/** Of so many rounds. */
export type Spread = readonly [least: number, most: number];

/** What `bench/run.ts` writes, as far as readers see it. */
export interface Results {
  readonly machine: { readonly cpu: string; readonly cores: number; readonly release: string };
  readonly versions: Readonly<Record<string, string>>;
  readonly rounds: number;
  readonly figures: readonly {
    readonly group: string;
    readonly name: string;
    readonly ns?: number;
    readonly spread?: Spread;
  }[];
  readonly targets: readonly {
    readonly name: string;
    readonly to: string;
    readonly atMost: number;
    readonly ratio?: number;
    readonly spread?: Spread;
    readonly outcome: string;
  }[];
}

/** How many of the ratios README.md shows: the first ones are those of fringe's own operations. */
const RATIOS = 5;

/** The text of docs/figures.md with the figures of `results` in their place. */
export function withFigures(page: string, results: Results): string {
  return placed(page, "figures", "tools/figures.ts", figures(results));
}

/** The text of README.md with the first ratios of `results` in their place. */
export function withRatios(readme: string, { targets }: Results): string {
  return placed(readme, "ratios", "tools/figures.ts", ratios(targets.slice(0, RATIOS)));
}

function ratios(targets: Results["targets"]): string {
  const rows = targets.map(({ name, ratio, spread, atMost, outcome }) => [
    name,
    ratio?.toFixed(2) ?? "-",
    spread?.map((ratio) => ratio.toFixed(2)).join(" to ") ?? "-",
    String(atMost),
    outcome,
  ]);
  return table(["ratio of", "measured", "spread", "at most", ""], "lrrrl", rows);
}

/** An operation, measured among so many generators. */
export interface AmongMany {
  readonly operation: string;
  readonly count: number;
  readonly ns: number;
  readonly spread: Spread;
}

/** What `bench/stacks_bench.ts` has found out. */
export function amongMany({ figures }: Results): AmongMany[] {
  return figures.filter(({ group }) => group === STACKS).map(({ name, ns, spread }) => {
    const [, operation, count] = /^(.*) among (\d+)$/.exec(name) ?? [];
    if (operation === undefined || ns === undefined || spread === undefined) {
      throw new Error(`Cannot show "${name}": it is no figure among so many generators`);
    }
    return { operation, count: Number(count), ns, spread };
  });
}

const STACKS = "stacks";

function stacks(results: Results): string {
  const many = amongMany(results);
  const operations = [...new Set(many.map(({ operation }) => operation))];
  const rows = Map.groupBy(many, ({ count }) => count).entries().map(([count, measured]) => [
    count.toLocaleString("en"),
    ...operations.map((name) => inWords(measured.find(({ operation }) => operation === name)?.ns)),
  ]);
  return table(["generators", ...operations], "r".repeat(operations.length + 1), [...rows]);
}

function figures(results: Results): string {
  const { machine, versions, rounds, figures, targets } = results;
  const libraries = figures.filter(({ name }) => name.includes(", suspended callback"));
  const works = new Set(libraries.map(({ group }) => group));
  const nanoseconds = figures.filter(({ group }) => group !== STACKS && !works.has(group))
    .map((figure) => [
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
  const { deno, corosensei, boost } = versions;
  return [
    [
      "Measured on",
      "",
      `- ${machine.cores} cores of ${machine.cpu}, Linux ${machine.release};`,
      `- Deno ${deno}, Boost ${boost}, corosensei ${corosensei};`,
      `- in ${rounds} rounds: a figure is their median, a spread is from the least to the most.`,
    ].join("\n"),
    "## Ratios\n\nThe ratios that fringe has set itself:",
    ratios(targets),
    "## One operation",
    table(["", "one operation", "ns"], "llr", nanoseconds),
    "## Real libraries\n\nThe same work in several ways, in ns for each callback:",
    table(["", "suspended", "UnsafeCallback", "in other ways"], "lrrl", rows),
    "## Many generators\n\nIn ns for each operation, of generators in random order:",
    stacks(results),
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

if (import.meta.main) {
  await rewrite<Results>("results.json", {
    "README.md": withRatios,
    "docs/figures.md": withFigures,
  });
}
