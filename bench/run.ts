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

import { cpus } from "node:os";
import { join } from "node:path";
import { drawPlots } from "../tools/plots.ts";
import { root, zig, zigEnvironment } from "../tools/zig.ts";

const smoke = Deno.args.includes("--smoke");

/** How often each bench runs; what counts is the median, and how far the others lie from it. */
const ROUNDS = smoke ? 1 : 5;

/** What one operation took in each round, or why that is not known. */
interface Figure {
  readonly group: string;
  readonly name: string;
  readonly samples: readonly number[];
  readonly missing?: string;
}

/** A ratio of two figures, which are named here, and the most that it is to be. */
interface Target {
  readonly name: string;
  readonly of: string;
  readonly to: string;
  readonly atMost: number;
}

const A_THIRD = 0.333;

const targets: readonly Target[] = [
  {
    name: "inlined round trip to Boost.Context's",
    of: "inlined, body in Zig",
    to: "Boost.Context",
    atMost: 0.35,
  },
  {
    name: "inlined round trip to corosensei's",
    of: "inlined, body in Zig",
    to: "corosensei",
    atMost: 1,
  },
  {
    name: "Generator.resume() to function* next()",
    of: "Generator.resume()",
    to: "function* next()",
    atMost: 1,
  },
  {
    name: "Generator.resume() to a plain FFI call",
    of: "Generator.resume()",
    to: "plain FFI call",
    atMost: 2.2,
  },
  {
    name: "suspended callback to Deno.UnsafeCallback",
    of: "suspended callback",
    to: "Deno.UnsafeCallback",
    atMost: A_THIRD,
  },
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
    const lines = await output(join(prefix, "bin", "fringe-bench"), [
      ...(smoke ? ["--smoke"] : []),
      "boost=libboost_context.so",
      ...("library" in corosensei ? [`corosensei=${corosensei.library}`] : []),
    ]);
    for (const line of lines.trim().split("\n")) {
      const { name, ns } = JSON.parse(line) as { name: string; ns?: number };
      if (ns !== undefined) rounds.add(group, name, ns);
      else missing.set(name, "install libboost-context-dev (Debian's name)");
    }
  }
  if ("missing" in corosensei) missing.set("corosensei", corosensei.missing);
  return [
    ...rounds.figures(),
    ...[...missing].map(([name, missing]) => ({ group, name, samples: [], missing })),
  ];
}

/** What the rounds have measured so far, in the order in which it came. */
class Rounds {
  readonly #samples = new Map<string, { group: string; samples: number[] }>();

  add(group: string, name: string, ns: number): void {
    const entry = this.#samples.get(name) ?? { group, samples: [] };
    this.#samples.set(name, entry);
    entry.samples.push(ns);
  }

  figures(): Figure[] {
    return [...this.#samples].map(([name, entry]) => ({ name, ...entry }));
  }
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

/** Runs the benches in TypeScript. */
async function measureDeno(): Promise<Figure[]> {
  const args = ["bench", "--no-prompt", "-P", "--json", "bench/", "--", ...Deno.args];
  const rounds = new Rounds();
  for (let round = 0; round < ROUNDS; round++) {
    for (const { group, results, ...rest } of parseBenches(await output(Deno.execPath(), args))) {
      const [, name, operations] = /^(.*) ×(\d+)$/.exec(rest.name) ?? [];
      if (name === undefined) {
        throw new Error(`Cannot measure ${rest.name}: by bench() of setup.ts`);
      }
      const result = results[0];
      if (!result?.ok) throw new Error(`Cannot measure ${name}: ${JSON.stringify(result)}`);
      // The average would count what else the machine did; there is no median.
      rounds.add(group, name, result.ok.p75 / Number(operations));
    }
  }
  return rounds.figures();
}

/** What `deno bench --json` prints, as far as it is needed. */
interface Bench {
  readonly group: string;
  readonly name: string;
  readonly results: readonly { readonly ok?: { readonly p75: number } }[];
}

function parseBenches(json: string): readonly Bench[] {
  const { benches } = JSON.parse(json) as { benches: readonly Bench[] };
  if (benches.length === 0) throw new Error("Cannot measure: `deno bench` has found no bench");
  return benches;
}

/** The median, and the least and the most; of nothing, nothing. */
function summary(samples: readonly number[]): { median?: number; spread?: [number, number] } {
  if (samples.length === 0) return {};
  const sorted = samples.toSorted((a, b) => a - b).map(round);
  return { median: sorted[sorted.length >> 1]!, spread: [sorted[0]!, sorted.at(-1)!] };
}

/** A target, and what the ratio was: of the medians, and in each round. */
interface Judged extends Target {
  readonly ratio?: number;
  readonly spread?: readonly [least: number, most: number];
}

/** Compares a target with the figures. */
function judge(target: Target, figures: readonly Figure[]): Judged {
  const [of, to] = [target.of, target.to].map((name) =>
    figures.find((figure) => figure.name === name)?.samples ?? []
  ) as [readonly number[], readonly number[]];
  if (of.length === 0 || to.length === 0) return target;
  const ratio = round(summary(of).median! / summary(to).median!);
  const { spread } = summary(of.map((ns, i) => ns / to[i]!));
  return { ...target, ratio, spread: spread! };
}

function printFigures(figures: readonly Figure[]): void {
  let group = "";
  for (const figure of figures) {
    if (figure.group !== group) console.log(`\n${group = figure.group}`);
    const { median, spread } = summary(figure.samples);
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
      `  ${name.padEnd(46)}${value.padStart(14)}  ${outcome(ratio, atMost)} (at most ${atMost})`,
    );
  }
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

function machine(): Record<string, string | number> {
  const { os, arch } = Deno.build;
  const cpu = cpus()[0]?.model ?? "unknown";
  // The version alone; what distributions append says nothing about speed.
  const release = Deno.osRelease().replace(/-.*/, "");
  return { os, arch, release, cpu, cores: navigator.hardwareConcurrency };
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
  const figures = [...await measureNative(), ...await measureDeno()];
  printFigures(figures);
  if (smoke) return console.log("\nA smoke run: the figures mean nothing.");
  const judged = [...targets, ...libraryTargets(figures)].map((target) => judge(target, figures));
  printTargets(judged);
  const results = {
    machine: machine(),
    versions: await versions(),
    unit: "ns per operation",
    rounds: ROUNDS,
    figures: figures.map(({ samples, ...rest }) => {
      const { median: ns, spread } = summary(samples);
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
