// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Puts the figures of `bench/results.json` into docs/figures.md, and the first ratios into
 * README.md, between two comments that mark their place: `deno run -P=tools tools/figures.ts`,
 * after `deno task bench`. What `bench/steps.ts` has counted it puts beside them. A test compares
 * them.
 *
 * @module
 */

import { placed, rewrite, table } from "./pages.ts";

/** What was the least in the round where that was least, and in the one where it was most. */
export type Spread = readonly [least: number, most: number];

/** What `bench/run.ts` writes, as far as readers see it. */
export interface Results {
  readonly machine: { readonly cpu: string; readonly cores: number; readonly release: string };
  readonly versions: Readonly<Record<string, string>>;
  readonly rounds: number;
  readonly figures: readonly {
    readonly group: string;
    readonly name: string;
    /** What one operation takes; undefined: it was not measured. */
    readonly ns?: number;
    readonly spread?: Spread;
  }[];
  /** Ratios of two figures, each with the most that it is to be. */
  readonly targets: readonly {
    readonly name: string;
    readonly to: string;
    readonly atMost: number;
    readonly ratio?: number;
    readonly spread?: Spread;
    readonly outcome: string;
    /** The figure that tells how little the first of the two could be. */
    readonly floor?: string;
  }[];
}

/** What `bench/steps.ts` writes. */
export interface Counted {
  readonly deno: string;
  readonly steps: readonly {
    readonly name: string;
    readonly javascript: number;
    readonly fringe: number;
    readonly body: number;
  }[];
}

/** How many of the ratios README.md shows: the first ones are those of fringe's own operations. */
const RATIOS = 5;

/** The group of figures of `bench/stacks_bench.ts`. */
const STACKS = "stacks";

/** The text of docs/figures.md with the figures of `results` in their place. */
export function withFigures(page: string, results: Results): string {
  const tool = "tools/figures.ts";
  return placed(placed(page, "missed", tool, missed(results)), "figures", tool, figures(results));
}

/** The text of README.md with the first ratios of `results` in their place. */
export function withRatios(readme: string, { targets }: Results): string {
  return placed(readme, "ratios", "tools/figures.ts", ratios(targets.slice(0, RATIOS)));
}

/** The text of docs/figures.md with the instructions of `counted` in their place. */
export function withSteps(page: string, { deno, steps }: Counted): string {
  const head = ["one operation", "V8's and Deno's", "fringe's", "the function's", "in all"];
  const rows = steps.map(({ name, javascript, fringe, body }) =>
    [name, javascript, fringe, body, javascript + fringe + body].map(String)
  );
  const text = [`Counted with Deno ${deno}, on x86_64.`, table(head, "lrrrr", rows)];
  return placed(page, "steps", "tools/figures.ts", text.join("\n\n"));
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

/** The targets that are not met, each with the same ratio of the loop beside it. */
function missed({ figures, targets }: Results): string {
  const ns = (name: string | undefined) => figures.find((figure) => figure.name === name)?.ns;
  const rows = targets.filter(({ outcome }) => outcome === "missed")
    .map(({ name, to, atMost, ratio, floor }) => {
      const [least, one] = [ns(floor), ns(to)];
      const beside = least === undefined || one === undefined ? "-" : (least / one).toFixed(2);
      return [name, String(atMost), ratio?.toFixed(2) ?? "-", beside, floor ?? "-"];
    });
  return table(
    ["ratio of", "at most", "measured", "beside it", "what stands beside it"],
    "lrrrl",
    rows,
  );
}

/** What an operation takes where there are `count` generators. */
export interface AmongMany {
  readonly operation: string;
  readonly count: number;
  readonly ns: number;
  readonly spread: Spread;
}

/** What `bench/stacks_bench.ts` has found out; a figure's name is "OPERATION among COUNT". */
export function amongMany({ figures }: Results): AmongMany[] {
  return figures.filter(({ group }) => group === STACKS).map(({ name, ns, spread }) => {
    const [, operation, count] = /^(.*) among (\d+)$/.exec(name) ?? [];
    if (operation === undefined || ns === undefined || spread === undefined) {
      throw new Error(`Cannot show "${name}": it is no figure among so many generators`);
    }
    return { operation, count: Number(count), ns, spread };
  });
}

function stacks(results: Results): string {
  const many = amongMany(results);
  const operations = [...new Set(many.map(({ operation }) => operation))];
  const rows = Map.groupBy(many, ({ count }) => count).entries().map(([count, measured]) => [
    count.toLocaleString("en"),
    ...operations.map((name) => inWords(measured.find(({ operation }) => operation === name)?.ns)),
  ]);
  return table(["generators", ...operations], "r".repeat(operations.length + 1), [...rows]);
}

type Figure = Results["figures"][number];

/** Whether a figure is that of work through a library by fringe: "qsort, suspended callback". */
function isSuspended({ name }: Figure): boolean {
  return name.includes(", suspended callback");
}

/** A row for each work through a library: by fringe, by `Deno.UnsafeCallback`, in other ways. */
function realLibraries(figures: Results["figures"]): string {
  const rows = figures.filter(isSuspended).map(({ group, name, ns }) => {
    const work = name.replace(/, suspended callbacks?$/, "");
    const others = figures.filter((figure) => figure.group === group && !isSuspended(figure));
    const callback = others.find((figure) => figure.name === `${work}, Deno.UnsafeCallback`);
    const rest = others.filter((figure) => figure !== callback);
    return [
      work,
      inWords(ns),
      inWords(callback?.ns),
      rest.map(({ name, ns }) => `${otherwise(name, work)}: ${inWords(ns)}`).join("; "),
    ];
  });
  return table(["", "suspended", "UnsafeCallback", "in other ways"], "lrrl", rows);
}

function figures(results: Results): string {
  const { machine, versions, rounds, figures, targets } = results;
  // The group of a library is named after it.
  const libraries = new Set(figures.filter(isSuspended).map(({ group }) => group));
  const operations = figures.filter(({ group }) => group !== STACKS && !libraries.has(group));
  const { deno, v8: _, zig: _zig, ...peers } = versions;
  const names = Object.entries(peers).map(([name, version]) => `${name} ${version}`);
  return [
    [
      "Measured on",
      "",
      `- ${machine.cores} cores of ${machine.cpu}, Linux ${machine.release};`,
      `- Deno ${deno}, ${names.join(", ")};`,
      `- in ${rounds} rounds, of which a spread tells the least and the most.`,
      "",
      "A figure is the lower quartile of the rounds' least samples; a ratio is of two figures.",
    ].join("\n"),
    "## Ratios\n\nThe ratios that fringe has set itself:",
    ratios(targets),
    "## One operation",
    table(
      ["", "one operation", "ns"],
      "llr",
      operations.map(({ group, name, ns }) => [group, name, inWords(ns)]),
    ),
    "## Real libraries\n\nThe same work in several ways, in ns for each callback:",
    realLibraries(figures),
    "## Many generators\n\nIn ns for each operation, of generators in random order:",
    stacks(results),
  ].join("\n\n");
}

function inWords(ns: number | undefined): string {
  if (ns === undefined) return "not measured";
  return ns < 1000 ? ns.toFixed(1) : Math.round(ns).toLocaleString("en");
}

/** The name of another way to do `work`, without that: "qsort's work, another way". */
function otherwise(name: string, work: string): string {
  return name.replace(work, "").replace(/^('s work)?[,:]? /, "");
}

if (import.meta.main) {
  await rewrite<Results>("results.json", {
    "README.md": withRatios,
    "docs/figures.md": withFigures,
  });
  await rewrite<Counted>("steps.json", { "docs/figures.md": withSteps });
}
