// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Draws the figures of `bench/results.json` and `bench/million.json` into docs/images/, as
 * `deno task bench` and `deno task million` have it do: `deno run -P=tools tools/plots.ts`. A test
 * compares.
 *
 * No plotting library does it: one would bring a DOM or some dozens of packages to every run of a
 * bench, and what is needed of it here are two logarithmic scales.
 *
 * @module
 */

import { join } from "node:path";
import { among, type Million } from "./million_results.ts";
import { type AmongMany, amongMany, type Results } from "./figures.ts";
import { type Colour, dot, type Drawings, line, type Point, save, svg, words } from "./svg.ts";
import { root } from "./zig.ts";

/** The plots of what the benches have measured. */
export function plots(results: Results): Drawings {
  return { "ratios.svg": ratios(results), "stacks_cost.svg": stacksCost(results) };
}

/** Maps numbers from `least` to `most` to pixels from `from` to `to`, each decade as long. */
function logarithmic(least: number, most: number, from: number, to: number) {
  return (value: number): number =>
    from + (to - from) * Math.log(value / least) / Math.log(most / least);
}

type Target = Results["targets"][number];

const ROW = 24;

/** Whether a target is that of one type of values among many: "resume(), i8, to …". */
function isOfOneType({ name }: Target): boolean {
  return /^(?:resume\(\)|for…of Generator), (?!to ).*, to /.test(name);
}

/**
 * A row for each target: the ratio in each round, and what it is to be at most. Those of single
 * types are in the table alone: they would be half of the drawing.
 */
function ratios({ targets: all, rounds }: Results): string {
  const targets = all.filter((target) => !isOfOneType(target));
  const isOfLibrary = ({ to }: Target): boolean => to.endsWith(", Deno.UnsafeCallback");
  const groups: [heading: string, rows: readonly Target[]][] = [
    ["Operations", targets.filter((target) => !isOfLibrary(target))],
    ["Real libraries, to Deno.UnsafeCallback", targets.filter(isOfLibrary)],
  ];
  const [top, left, right] = [64, 310, 690];
  const values = targets.flatMap(({ atMost, spread }) => [atMost, ...spread ?? []]);
  const x = logarithmic(Math.min(...values) * 0.8, Math.max(...values) * 1.1, left, right);
  const parts: string[] = [];
  let y = top;
  for (const [heading, rows] of groups) {
    parts.push(words([20, y += ROW], heading, "ink heading"));
    for (const target of rows) parts.push(...ratioRow(target, y += ROW, x));
    y += 10;
  }
  const axis = [0.1, 0.2, 0.5, 1, 2, 5].filter((ratio) => x(ratio) >= left && x(ratio) <= right);
  return svg({
    width: 780,
    height: y + 40,
    title: "Ratios of what fringe takes to what others take",
    about: targets.map(({ name, ratio, atMost, outcome }) =>
      `${name}: ${ratio?.toFixed(2) ?? "not measured"}, at most ${atMost} (${outcome})`
    ).join("; "),
    parts: [
      ...legend(rounds),
      ...axis.flatMap((ratio) => [
        line([[x(ratio), top + 8], [x(ratio), y]], "edge", `opacity="${ratio === 1 ? 1 : 0.35}"`),
        words([x(ratio), y + 20], String(ratio), "faint", "middle"),
      ]),
      ...parts,
    ],
  });
}

function legend(rounds: number): string[] {
  return [
    dot([26, 24], "third"),
    words([36, 28], "met", "faint"),
    dot([86, 24], "second"),
    words([96, 28], "missed", "faint"),
    line([[164, 24], [190, 24]], "ink"),
    words([198, 28], `spread of ${rounds} rounds`, "faint"),
    goal([340, 24]),
    words([350, 28], "what it is to be at most", "faint"),
    words([20, 54], "Less is faster. At 1 both take as long.", "faint"),
  ];
}

function goal([x, y]: Point): string {
  return line([[x, y - 8], [x, y + 8]], "first", 'stroke-width="3"');
}

function ratioRow(
  { name, ratio, spread, atMost, outcome }: Target,
  y: number,
  x: (ratio: number) => number,
): string[] {
  const colour = outcome === "met" ? "third" : outcome === "missed" ? "second" : "faint";
  const measured = ratio === undefined || spread === undefined ? [] : [
    line([[x(spread[0]), y - 4], [x(spread[1]), y - 4]], colour, 'stroke-width="3"'),
    dot([x(ratio), y - 4], colour),
  ];
  return [
    words([34, y], name, "ink"),
    goal([x(atMost), y - 4]),
    ...measured,
    words([760, y], ratio?.toFixed(2) ?? "-", `code ${colour}`, "end"),
  ];
}

const SERIES: readonly Colour[] = ["first", "second", "third", "faint"];

/** A line for each operation: what one takes among so many generators. */
function stacksCost(results: Results): string {
  return costs(
    "What an operation takes among many generators, each with its own stack",
    amongMany(results),
    220,
  );
}

/** The plot of what `deno task million` has measured. */
export function millionPlot({ generators }: Million): Drawings {
  const counts = [...new Set(generators.map(({ count }) => count))];
  const operations = {
    made: "made",
    resumed: "resumed",
    ended: "ended",
    load: "one load",
  } as const;
  const figures = Object.entries(operations).flatMap(([name, operation]) =>
    counts.map((count) => {
      const { median: ns, spread } = among(generators, count, name as keyof typeof operations);
      return { operation, count, ns, spread };
    })
  );
  const title = "What each of up to a million generators costs, in random order";
  return { "million.svg": costs(title, figures, 160) };
}

/** A line for each operation; the names of two stand so far apart. */
function costs(title: string, many: readonly AmongMany[], apart: number): string {
  const series = [...Map.groupBy(many, ({ operation }) => operation)];
  const values = many.flatMap(({ spread }) => spread);
  const [least, most] = [Math.min(...values), Math.max(...values)]
    .map((ns, i) => 10 ** [Math.floor, Math.ceil][i]!(Math.log10(ns))) as [number, number];
  const counts = many.map(({ count }) => count);
  const [left, right, top, bottom] = [80, 720, 76, 380];
  const x = logarithmic(Math.min(...counts), Math.max(...counts), left, right);
  const y = logarithmic(least, most, bottom, top);
  const decades = Array.from(
    { length: Math.round(Math.log10(most / least)) + 1 },
    (_, i) => least * 10 ** i,
  );
  const number = (value: number): string => value.toLocaleString("en");
  return svg({
    width: 760,
    height: 430,
    title,
    about: series.map(([operation, points]) =>
      `${operation}: ${points.map(({ count, ns }) => `${ns} ns among ${count}`).join(", ")}`
    ).join("; "),
    parts: [
      ...decades.flatMap((ns) => [
        line([[left, y(ns)], [right, y(ns)]], "edge", 'opacity="0.35"'),
        words([left - 10, y(ns) + 4], number(ns), "faint", "end"),
      ]),
      words([20, 58], "ns", "faint"),
      ...new Set(counts).values().map((count) =>
        words([x(count), bottom + 22], number(count), "faint", "middle")
      ),
      words([(left + right) / 2, bottom + 42], "generators", "faint", "middle"),
      ...series.flatMap(([operation, points], i) => [
        ...curve(points, SERIES[i]!, x, y),
        dot([92 + i * apart, 24], SERIES[i]!),
        words([102 + i * apart, 28], operation, "ink"),
      ]),
    ],
  });
}

function curve(
  points: readonly AmongMany[],
  colour: Colour,
  x: (count: number) => number,
  y: (ns: number) => number,
): string[] {
  const at = ({ count, ns }: AmongMany): Point => [x(count), y(ns)];
  return [
    line(points.map(at), colour, 'stroke-width="2"'),
    ...points.flatMap((point) => [
      line(
        point.spread.map((ns): Point => [x(point.count), y(ns)]),
        colour,
        'stroke-width="4" opacity="0.5"',
      ),
      dot(at(point), colour),
    ]),
  ];
}

/** Draws what `bench/results.json` has. */
export async function drawPlots(): Promise<void> {
  const results: Results = JSON.parse(
    await Deno.readTextFile(join(root, "bench", "results.json")),
  );
  await save(plots(results));
}

/** Draws what `bench/million.json` has. */
export async function drawMillion(): Promise<void> {
  const results: Million = JSON.parse(
    await Deno.readTextFile(join(root, "bench", "million.json")),
  );
  await save(millionPlot(results));
}

if (import.meta.main) {
  await drawPlots();
  await drawMillion();
}
