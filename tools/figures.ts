// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Puts the figures of `bench/results.json` into README.md, between two comments that mark their
 * place: `deno run -P=tools tools/figures.ts`, after `deno task bench`. A tidy test compares
 * the two.
 *
 * @module
 */

import { placed, rewrite, table } from "./readme.ts";

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
  return placed(readme, "figures", "tools/figures.ts", figures(results));
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

if (import.meta.main) await rewrite("results.json", withFigures);
