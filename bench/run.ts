// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Measures everything, prints a table, writes `bench/results.json` and has it drawn:
 * `deno task bench`. What the pages of docs/ and README.md say of it, `tools/figures.ts` writes.
 *
 * Goals: figures of one run on one machine, each beside what it is compared with; the targets that
 * this project has set itself, met or missed; what could not be measured, and what to install.
 *
 * Non-goals: figures that hold on other machines. Trust the ratios, and measure again.
 *
 * `--smoke` runs tiny sizes, to show that every bench still works. It writes nothing, and builds no
 * peer, since it is part of the gate, which has no business on the network.
 *
 * @module
 */

import { join } from "node:path";
import { drawPlots } from "../tools/plots.ts";
import { root, zig, zigEnvironment } from "../tools/zig.ts";
import { machine } from "./machine.ts";
import type { Target } from "./setup.ts";
import type { Measured } from "./turns.ts";

const smoke = Deno.args.includes("--smoke");

/**
 * How often each bench runs, each time in another process: what counts is the median, and how far
 * the others lie from it. Within a process the benches of a group take turns (`turns.ts`).
 */
const ROUNDS = smoke ? 1 : 5;

/** By how much a ratio may differ between rounds, before this machine is too noisy to tell. */
const NOISE = 0.05;

/** What one operation took in each turn of each round, or why that is not known. */
interface Figure {
  readonly group: string;
  readonly name: string;
  readonly rounds: readonly (readonly number[])[];
  readonly missing?: string;
}

const A_THIRD = 0.333;

const nativeTargets: readonly Target[] = [
  {
    name: "inlined round trip to Boost.Context's",
    of: "inlined, body in Zig",
    to: "Boost.Context",
    atMost: 0.25,
  },
  {
    name: "inlined round trip to corosensei's",
    of: "inlined, body in Zig",
    to: "corosensei",
    atMost: 0.85,
  },
];

/** What README.md shows, behind the native ones. */
const HEADLINES = [
  "Generator.resume() to function* next()",
  "Generator.resume() to a plain FFI call",
  "suspended callback to UnsafeCallback",
];

/** Groups in which C does little between two callbacks, so that what counts is the way back. */
const LITTLE_IN_C = ["qsort", "sqlite3_progress_handler"];

/** The same work through real libraries is to take no longer than by Deno's own callbacks. */
function libraryTargets(figures: readonly Figure[]): Target[] {
  return figures.flatMap(({ name }) => {
    const work = /^(.+), suspended callbacks?$/.exec(name)?.[1];
    const to = `${work}, Deno.UnsafeCallback`;
    if (work === undefined || !figures.some((figure) => figure.name === to)) return [];
    return [{ name: work, of: name, to, atMost: LITTLE_IN_C.includes(work) ? A_THIRD : 1 }];
  });
}

/** Runs the native contestants; a peer that is not there is named, with what to install. */
async function measureNative(): Promise<Figure[]> {
  const prefix = join(root, ".zig-cache", "bench");
  await output(await zig(), ["build", "bench", "--prefix", prefix, "--color", "off"], "native");
  const corosensei = await buildCorosensei();
  const group = "round trip, native";
  const rounds = new Rounds();
  const missing = new Map<string, string>();
  for (let round = 0; round < ROUNDS; round++) {
    progress(round, group);
    const lines = await output(join(prefix, "bin", "fringe-bench"), [
      ...(smoke ? ["--smoke"] : []),
      "boost=libboost_context.so",
      ...("library" in corosensei ? [`corosensei=${corosensei.library}`] : []),
    ]);
    for (const line of lines.trim().split("\n")) {
      const { name, ns } = JSON.parse(line) as { name: string; ns?: number };
      if (ns !== undefined) rounds.add(group, name, [ns]);
      else missing.set(name, "install libboost-context-dev (Debian's name)");
    }
  }
  if ("missing" in corosensei) missing.set("corosensei", corosensei.missing);
  return [
    ...rounds.figures(),
    ...[...missing].map(([name, missing]) => ({ group, name, rounds: [], missing })),
  ];
}

/** What the rounds have measured so far, in the order in which it came. */
class Rounds {
  readonly #entries = new Map<string, { group: string; rounds: (readonly number[])[] }>();

  add(group: string, name: string, turns: readonly number[]): void {
    const entry = this.#entries.get(name) ?? { group, rounds: [] };
    this.#entries.set(name, entry);
    entry.rounds.push(turns);
  }

  figures(): Figure[] {
    return [...this.#entries].map(([name, entry]) => ({ name, ...entry }));
  }
}

function progress(round: number, what: string): void {
  console.error(`Round ${round + 1} of ${ROUNDS}: ${what}`);
}

async function buildCorosensei(): Promise<{ library: string } | { missing: string }> {
  if (smoke) return { missing: "not built in a smoke run" };
  const target = join(root, ".zig-cache", "corosensei");
  const args = ["build", "--release", "--locked", "--quiet", "--target-dir", target];
  try {
    await output("cargo", args, join("bench", "peers", "corosensei"));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return { missing: "install cargo (rustup.rs)" };
    return { missing: `cargo cannot build bench/peers/corosensei: ${(error as Error).message}` };
  }
  return { library: join(target, "release", "libcorosensei_round_trips.so") };
}

/** Runs the benches in TypeScript; returns their figures, and the targets that they have. */
async function measureDeno(): Promise<{ figures: Figure[]; targets: Target[] }> {
  const files = [...Deno.readDirSync(join(root, "bench"))].map(({ name }) => name)
    .filter((name) => name.endsWith("_bench.ts")).sort();
  const rounds = new Rounds();
  const targets = new Map<string, Target>();
  for (let round = 0; round < ROUNDS; round++) {
    for (const file of files) {
      progress(round, file);
      // As a program that imports fringe from elsewhere has it: not from the sources.
      const flags = ["-P=bench", "--import-map=bench/published.json", "--no-check"];
      const args = ["run", "--no-prompt", ...flags, "bench/turns.ts", `bench/${file}`];
      const measured = JSON.parse(
        await output(Deno.execPath(), [...args, ...Deno.args]),
      ) as Measured;
      for (const { group, name, samples } of measured.benches) rounds.add(group, name, samples);
      for (const target of measured.targets) targets.set(target.name, target);
    }
  }
  return { figures: rounds.figures(), targets: [...targets.values()] };
}

/** The median of each round, then the median of these, the least and the most; of nothing none. */
function summary(
  rounds: readonly (readonly number[])[],
): { median?: number; spread?: [number, number] } {
  if (rounds.length === 0) return {};
  const sorted = rounds.map(median).sort((a, b) => a - b).map(round);
  return { median: median(sorted), spread: [sorted[0]!, sorted.at(-1)!] };
}

function median(samples: readonly number[]): number {
  return samples.toSorted((a, b) => a - b)[samples.length >> 1]!;
}

/** A target, and what the ratio was: the median of the rounds, and their spread. */
interface Judged extends Target {
  readonly ratio?: number;
  readonly spread?: readonly [least: number, most: number];
}

/** Compares a target with the figures. */
function judge(target: Target, figures: readonly Figure[]): Judged {
  const [of, to] = [target.of, target.to].map((name) =>
    figures.find((figure) => figure.name === name)?.rounds ?? []
  ) as [Figure["rounds"], Figure["rounds"]];
  if (of.length === 0 || to.length === 0) return target;
  // In each turn of its own: what the machine did besides is then the same for both.
  const ratios = of.map((turns, round) => turns.map((ns, turn) => ns / to[round]![turn]!));
  const { median, spread } = summary(ratios);
  return { ...target, ratio: median!, spread: spread! };
}

/** Whether the rounds differ by more than they may. */
function isNoisy({ ratio, spread }: Judged): boolean {
  return ratio !== undefined && spread![1] - spread![0] > NOISE * ratio;
}

function printFigures(figures: readonly Figure[]): void {
  let group = "";
  for (const figure of figures) {
    if (figure.group !== group) console.log(`\n${group = figure.group}`);
    const { median, spread } = summary(figure.rounds);
    const value = median === undefined ? "missing" : `${median.toFixed(2)} ns`;
    const note = figure.missing ?? spread!.map((ns) => ns.toFixed(1)).join(" to ");
    console.log(`  ${figure.name.padEnd(46)}${value.padStart(14)}  ${note}`);
  }
}

function printTargets(judged: readonly Judged[]): void {
  console.log("\ntargets");
  for (const { name, ratio, atMost } of judged) {
    const value = ratio === undefined ? "-" : ratio.toFixed(2);
    console.log(
      `  ${name.padEnd(58)}${value.padStart(8)}  ${outcome(ratio, atMost)} (at most ${atMost})`,
    );
  }
  const noisy = judged.filter(isNoisy);
  if (noisy.length === 0) return;
  console.log(
    `\nThis machine is too noisy to tell: ${noisy.length} of ${judged.length} ratios differ by ` +
      `more than ${100 * NOISE} % from round to round. Stop what else runs, and measure again.`,
  );
}

function outcome(ratio: number | undefined, atMost: number): string {
  if (ratio === undefined) return "not measured";
  return ratio <= atMost ? "met" : "missed";
}

async function versions(): Promise<Record<string, string>> {
  const lock = await Deno.readTextFile(join(root, "bench/peers/corosensei/Cargo.lock"));
  const boost = await Deno.readTextFile("/usr/include/boost/version.hpp").catch(() => "");
  return {
    deno: Deno.version.deno,
    v8: Deno.version.v8,
    zig: (await output(await zig(), ["version"])).trim(),
    corosensei: /name = "corosensei"\nversion = "(.*?)"/.exec(lock)?.[1] ?? "unknown",
    boost: /BOOST_LIB_VERSION "(.*?)"/.exec(boost)?.[1]?.replace("_", ".") ?? "unknown",
  };
}

async function output(command: string, args: string[], folder = ""): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(command, {
    args,
    cwd: join(root, folder),
    env: { ...zigEnvironment, NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1" },
  }).output();
  const text = new TextDecoder();
  if (success) return text.decode(stdout);
  throw new Error(`${command} ${args[0]} failed:\n${text.decode(stderr)}${text.decode(stdout)}`);
}

async function main(): Promise<void> {
  const native = await measureNative();
  const { figures: measured, targets } = await measureDeno();
  const figures = [...native, ...measured];
  printFigures(figures);
  if (smoke) return console.log("\nA smoke run: the figures mean nothing.");
  const judged = [
    ...nativeTargets,
    ...targets.filter(({ name }) => HEADLINES.includes(name)),
    ...targets.filter(({ name }) => !HEADLINES.includes(name)),
    ...libraryTargets(figures),
  ].map((target) => judge(target, figures));
  printTargets(judged);
  const results = {
    machine: machine(),
    versions: await versions(),
    unit: "ns per operation",
    rounds: ROUNDS,
    figures: figures.map(({ rounds, ...rest }) => {
      const { median: ns, spread } = summary(rounds);
      return ns === undefined ? rest : { ...rest, ns, spread };
    }),
    targets: judged.map((target) => ({
      ...target,
      outcome: outcome(target.ratio, target.atMost),
    })),
  };
  const path = join(root, "bench", "results.json");
  await Deno.writeTextFile(path, `${JSON.stringify(results, null, 2)}\n`);
  await drawPlots();
  console.log(
    "\nWritten to bench/results.json, and drawn in docs/images/. Run tools/figures.ts, too.",
  );
}

function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}

if (import.meta.main) {
  try {
    await main();
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    Deno.exit(1);
  }
}
