// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Puts the figures of `bench/million.json` into docs/stacks.md, between two comments that mark
 * their place: `deno run -P=tools tools/million.ts`, after `deno task million`. A test compares.
 *
 * @module
 */

import { among, goals, type Million, outcome } from "./million_results.ts";
import { placed, rewrite, table } from "./pages.ts";

/** The text of docs/stacks.md with the figures of `results` in their place. */
export function withMillion(page: string, results: Million): string {
  return placed(page, "million", "tools/million.ts", figures(results));
}

function figures(results: Million): string {
  const { machine, deno, rounds } = results;
  const { cores, cpu, release } = machine;
  return [
    `Measured on ${cores} cores of ${cpu}, Linux ${release}, by Deno ${deno}.`,
    `Each number of generators was measured ${rounds} times; figures are medians, for each.`,
    generators(results),
    "What was wanted of a million:",
    goalsOf(results),
    "Calls by `f.async()`, each suspended in a handler that is awaited:",
    calls(results),
    "Resident for each, suspended:",
    kept(results),
    "Resumes in random order on stacks of one colour and of 16, and a page that is committed:",
    layouts(results),
    "An operation in a Worker, alone and beside another one that does the same:",
    workers(results),
  ].join("\n\n");
}

function generators({ generators }: Million): string {
  const names = ["made", "resumed", "ended", "load", "bytes"] as const;
  const counts = [...new Set(generators.map(({ count }) => count))];
  return table(
    ["generators", "made", "resumed", "ended", "one load", "resident"],
    "rrrrrr",
    counts.map((count) => [
      number(count),
      ...names.map((name) => number(among(generators, count, name).median)),
    ]),
  );
}

/** Units of which a tenth counts. */
const DIGITS = ["s", "times"];

function goalsOf({ generators }: Million): string {
  return table(
    ["of a million", "measured", "at most", ""],
    "lrrl",
    goals(generators).map((goal) => [
      goal.name,
      `${DIGITS.includes(goal.unit) ? short(goal.measured) : number(goal.measured)} ${goal.unit}`
        .trim(),
      number(goal.atMost),
      outcome(goal),
    ]),
  );
}

function calls({ calls }: Million): string {
  return table(
    ["calls", "made", "answered", "resident", "of it V8's objects", "page tables besides"],
    "rrrrrr",
    calls.map((one) =>
      [one.count, one.made, one.answered, one.bytes, one.objects, one.tables].map(number)
    ),
  );
}

function kept({ kept }: Million): string {
  const { generator, call, left, advised, used } = kept;
  return table(
    ["", "has used little", "has used 120 KiB", "that given back"],
    "lrrr",
    [
      ["a generator, bytes", number(generator.little), number(generator.much), number(left)],
      ["a call, bytes", number(call.little), number(call.much), "-"],
      ["to give back, ns", number(advised.none), number(advised.much), "-"],
      ["to use 120 KiB, ns", "-", number(used.there), number(used.givenBack)],
    ],
  );
}

function layouts({ layouts }: Million): string {
  const { colours, touched, populated } = layouts;
  return table(
    ["", "ns", "", "ns"],
    "lrlr",
    [
      ...colours.map(({ count, same, coloured }) => [
        `${number(count)} generators, same line`,
        same.toFixed(1),
        "in 16 colours",
        coloured.toFixed(1),
      ]),
      ["the top page, when it is touched", number(touched), "64 at once", number(populated)],
    ],
  );
}

function workers({ workers }: Million): string {
  return table(
    ["one operation", "alone", "beside another"],
    "lrr",
    workers.map(({ operation, alone, beside }) => [operation, short(alone), short(beside)]),
  );
}

function number(value: number): string {
  return Math.round(value).toLocaleString("en");
}

/** As many digits as say something. */
function short(value: number): string {
  return Math.abs(value) < 100 ? value.toFixed(1) : number(value);
}

if (import.meta.main) {
  await rewrite<Million>("million.json", { "docs/stacks.md": withMillion });
}
