// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** What the benches have measured gets into docs/ and README.md, as it is. */

import { assertEquals, assertThrows } from "@std/assert";
import type { Million } from "../../tools/million_results.ts";
import {
  amongMany,
  type Counted,
  type Results,
  withFigures,
  withRatios,
  withSteps,
} from "../../tools/figures.ts";
import { withInstructions } from "../../tools/instructions.ts";
import { withMillion } from "../../tools/million.ts";
import { text } from "../support/repository.ts";

const target = (name: string, ratio: number): Results["targets"][number] => ({
  name,
  to: "another",
  atMost: 1,
  ratio,
  spread: [ratio - 0.1, ratio + 0.1],
  outcome: ratio > 1 ? "missed" : "met",
});

const results: Results = {
  machine: { cpu: "a processor", cores: 3, release: "1.2" },
  versions: { deno: "1.2.3", v8: "1", zig: "2.3", one: "4.5", "another one": "6.7" },
  rounds: 3,
  figures: [
    { group: "resume", name: "Generator.resume()", ns: 12.34, spread: [11, 15] },
    { group: "resume", name: "a peer" },
    { group: "qsort", name: "qsort, suspended callback", ns: 1234.5, spread: [1, 2] },
    { group: "qsort", name: "qsort, Deno.UnsafeCallback", ns: 2345.6, spread: [1, 2] },
    { group: "qsort", name: "qsort's work, another way", ns: 3.21, spread: [1, 4] },
    { group: "stacks", name: "resumed among 1", ns: 1, spread: [0.5, 2] },
    { group: "stacks", name: "made among 1", ns: 2, spread: [1, 4] },
    { group: "stacks", name: "resumed among 10000", ns: 3, spread: [2, 4] },
    { group: "stacks", name: "made among 10000", ns: 4000, spread: [3000, 5000] },
  ],
  targets: [1, 2, 3, 4, 5, 6].map((i) => ({
    ...target(`ratio ${i}`, i / 4),
    ...(i === 6 ? { to: "qsort, Deno.UnsafeCallback", floor: "qsort, suspended callback" } : {}),
  })),
};

const place = (name: string, content: string, tool = "figures"): string =>
  `before
<!-- ${name}: begin, by tools/${tool}.ts -->
${content}
<!-- ${name}: end -->
after
`;

const ratios = (count: number): string =>
  `
| ratio of | measured |       spread | at most |        |
| -------- | -------: | -----------: | ------: | ------ |
| ratio 1  |     0.25 | 0.15 to 0.35 |       1 | met    |
| ratio 2  |     0.50 | 0.40 to 0.60 |       1 | met    |
| ratio 3  |     0.75 | 0.65 to 0.85 |       1 | met    |
| ratio 4  |     1.00 | 0.90 to 1.10 |       1 | met    |
| ratio 5  |     1.25 | 1.15 to 1.35 |       1 | missed |
| ratio 6  |     1.50 | 1.40 to 1.60 |       1 | missed |
`.split("\n").slice(0, 3 + count).join("\n") + "\n";

Deno.test("withFigures() puts every figure into its place, and leaves the rest alone", () => {
  const expected = place(
    "figures",
    `
Measured on

- 3 cores of a processor, Linux 1.2;
- Deno 1.2.3, one 4.5, another one 6.7;
- in 3 rounds, of which a spread tells the least and the most.

A figure is the lower quartile of the rounds' least samples; a ratio is of two figures.

## Ratios

The ratios that fringe has set itself:
${ratios(6)}
## One operation

|        | one operation      |           ns |
| ------ | ------------------ | -----------: |
| resume | Generator.resume() |         12.3 |
| resume | a peer             | not measured |

## Real libraries

The same work in several ways, in ns for each callback:

|       | suspended | UnsafeCallback | in other ways    |
| ----- | --------: | -------------: | ---------------- |
| qsort |     1,235 |          2,346 | another way: 3.2 |

## Many generators

In ns for each operation, of generators in random order:

| generators | resumed |  made |
| ---------: | ------: | ----: |
|          1 |     1.0 |   2.0 |
|     10,000 |     3.0 | 4,000 |
`,
  );
  const missed = place(
    "missed",
    `
| ratio of | at most | measured | beside it | what stands beside it     |
| -------- | ------: | -------: | --------: | ------------------------- |
| ratio 5  |       1 |     1.25 |         - | -                         |
| ratio 6  |       1 |     1.50 |      0.53 | qsort, suspended callback |
`,
  );
  const page = place("missed", "old") + place("figures", "old");
  assertEquals(withFigures(page, results).split("\n"), (missed + expected).split("\n"));
  assertEquals(withFigures(missed + expected, results), missed + expected);
});

Deno.test("withSteps() puts the instructions into their place, and adds them up", () => {
  const steps = [{ name: "a call", javascript: 61, fringe: 0, body: 5 }];
  const expected = place(
    "steps",
    `
Counted with Deno 1.2.3, on x86_64.

| one operation | V8's and Deno's | fringe's | the function's | in all |
| ------------- | --------------: | -------: | -------------: | -----: |
| a call        |              61 |        0 |              5 |     66 |
`,
  );
  assertEquals(withSteps(place("steps", "old"), { deno: "1.2.3", steps }), expected);
});

Deno.test("withRatios() puts the first five ratios into their place", () => {
  assertEquals(withRatios(place("ratios", "old"), results), place("ratios", ratios(5)));
});

Deno.test("withFigures() refuses a page without the markers, and amongMany() another name", () => {
  assertThrows(() => withFigures("before\nafter\n", results), Error, "must contain <!--");
  const figures = [{ group: "stacks", name: "made", ns: 1, spread: [1, 1] as const }];
  assertThrows(() => amongMany({ ...results, figures }), Error, 'Cannot show "made"');
});

Deno.test("withInstructions() has a column for each image, and refuses one without numbers", () => {
  const lines = (...all: string[]): string =>
    ["1..1", ...all.map((line) => `# instructions: ${line}`), "ok 1 - a", ""].join("\r\n");
  const said = { one: lines("a: 12", "b, c: 3"), another: lines("b, c: 456") };
  const placed = (content: string): string => place("instructions", content, "instructions");
  const expected = placed(`
| instructions | one | another |
| ------------ | --: | ------: |
| a            |  12 |       - |
| b, c         |   3 |     456 |
`);
  const page = placed("old");
  assertEquals(withInstructions(page, said).split("\n"), expected.split("\n"));
  assertThrows(() => withInstructions(page, { one: lines() }), Error, "has counted none");
});

Deno.test("docs/figures.md has the instructions of bench/steps.json", () => {
  const counted: Counted = JSON.parse(text("bench/steps.json"));
  const shown = text("docs/figures.md");
  assertEquals(withSteps(shown, counted).split("\n"), shown.split("\n"), "Run tools/figures.ts");
});

Deno.test("docs/figures.md and README.md have the figures of bench/results.json", () => {
  const measured: Results = JSON.parse(text("bench/results.json"));
  for (
    const [page, change] of [["docs/figures.md", withFigures], ["README.md", withRatios]] as const
  ) {
    const shown = text(page);
    assertEquals(change(shown, measured).split("\n"), shown.split("\n"), "Run tools/figures.ts");
  }
});

Deno.test("withMillion() says of each goal whether it is met, by the medians of the rounds", () => {
  const measured: Million = JSON.parse(text("bench/million.json"));
  const round = (count: number, made: number): Million["generators"][number] => ({
    count,
    made,
    resumed: 450,
    ended: 6001,
    load: 1,
    bytes: 4900,
    left: 0,
    mappings: 0,
  });
  const generators = [
    round(1000, 2000),
    ...[5000, 7000, 5500].map((made) => round(1_000_000, made)),
  ];
  const page = withMillion(place("million", "old", "million"), { ...measured, generators });
  const goals = page.split("\n").filter((line) => / (?:met|missed) +\|$/.test(line))
    .map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim()));
  assertEquals(goals, [
    ["a million made", "5.5 s", "6", "met"],
    ["resident, each", "4,900 bytes", "4,900", "met"],
    ["one resume each, in random order", "450 ns", "500", "met"],
    ["all ended, in random order", "6.0 s", "6", "missed"],
    ["memory left behind", "0 MB", "100", "met"],
    ["mappings left behind", "0", "50", "met"],
    ["made, to the same of 1,000", "2.8 times", "2", "missed"],
    ["resumed, likewise", "1.0 times", "2", "met"],
    ["ended, likewise", "1.0 times", "2", "met"],
  ]);
  assertEquals(page.split("\n").filter((line) => line.startsWith("| ")).length > 20, true);
});

Deno.test("docs/stacks.md has the figures of bench/million.json", () => {
  const measured: Million = JSON.parse(text("bench/million.json"));
  const shown = text("docs/stacks.md");
  assertEquals(withMillion(shown, measured).split("\n"), shown.split("\n"), "Run tools/million.ts");
});
