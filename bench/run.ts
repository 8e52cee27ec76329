// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Measures everything, prints a table and writes `bench/results.json`: `deno task bench`.
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
import { root, zig, zigEnvironment } from "../tools/zig.ts";

const smoke = Deno.args.includes("--smoke");

/** How often the benches in TypeScript run; what counts is the median. */
const ROUNDS = smoke ? 1 : 5;

/** What one operation took, or why that is not known. */
interface Figure {
  readonly group: string;
  readonly name: string;
  readonly ns?: number;
  readonly missing?: string;
}

/** A ratio that this project has set itself. */
interface Target {
  readonly name: string;
  readonly of: string;
  readonly to: string;
  readonly atMost: number;
}

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
    atMost: 0.333,
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
    return [{ name: work, of: name, to, atMost: LITTLE_IN_C.includes(work) ? 0.333 : 1 }];
  });
}

/** Runs the native contestants; a peer that is not there is named, with what to install. */
async function measureNative(): Promise<Figure[]> {
  const prefix = join(root, ".zig-cache", "bench");
  await output(await zig(), ["build", "bench", "--prefix", prefix, "--color", "off"], "native");
  const corosensei = await buildCorosensei();
  const lines = await output(join(prefix, "bin", "fringe-bench"), [
    ...(smoke ? ["--smoke"] : []),
    "boost=libboost_context.so",
    ...("library" in corosensei ? [`corosensei=${corosensei.library}`] : []),
  ]);
  const group = "round trip, native";
  const figures = lines.trim().split("\n").map((line): Figure => {
    const { name, ns } = JSON.parse(line) as { name: string; ns?: number };
    if (ns !== undefined) return { group, name, ns };
    return { group, name, missing: "install libboost-context-dev (Debian's name)" };
  });
  if ("missing" in corosensei) {
    figures.push({ group, name: "corosensei", missing: corosensei.missing });
  }
  return figures;
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
  const rounds = new Map<string, { group: string; samples: number[] }>();
  for (let round = 0; round < ROUNDS; round++) {
    for (const { group, results, ...rest } of parseBenches(await output(Deno.execPath(), args))) {
      const [, name, operations] = /^(.*) ×(\d+)$/.exec(rest.name) ?? [];
      if (name === undefined) {
        throw new Error(`Cannot measure ${rest.name}: by bench() of setup.ts`);
      }
      const result = results[0];
      if (!result?.ok) throw new Error(`Cannot measure ${name}: ${JSON.stringify(result)}`);
      const entry = rounds.get(name) ?? { group, samples: [] };
      rounds.set(name, entry);
      // The average would count what else the machine did; there is no median.
      entry.samples.push(result.ok.p75 / Number(operations));
    }
  }
  return [...rounds].map(([name, { group, samples }]) => ({ group, name, ns: median(samples) }));
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

function median(samples: number[]): number {
  return samples.sort((a, b) => a - b)[samples.length >> 1]!;
}

/** Compares a target with the figures. */
function judge(target: Target, figures: readonly Figure[]): Target & { ratio?: number } {
  const of = figures.find(({ name }) => name === target.of)?.ns;
  const to = figures.find(({ name }) => name === target.to)?.ns;
  return of === undefined || to === undefined ? target : { ...target, ratio: of / to };
}

function printFigures(figures: readonly Figure[]): void {
  let group = "";
  for (const figure of figures) {
    if (figure.group !== group) console.log(`\n${group = figure.group}`);
    const value = figure.ns === undefined ? "missing" : `${figure.ns.toFixed(2)} ns`;
    const note = figure.missing === undefined ? "" : `  ${figure.missing}`;
    console.log(`  ${figure.name.padEnd(46)}${value.padStart(10)}${note}`);
  }
}

function printTargets(judged: readonly ReturnType<typeof judge>[]): void {
  console.log("\ntargets");
  for (const { name, ratio, atMost } of judged) {
    const value = ratio === undefined ? "-" : ratio.toFixed(2);
    console.log(
      `  ${name.padEnd(46)}${value.padStart(10)}  ${outcome(ratio, atMost)} (at most ${atMost})`,
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
    figures: figures.map(({ ns, ...rest }) => ns === undefined ? rest : { ...rest, ns: round(ns) }),
    targets: judged.map(({ ratio, ...rest }) => ({
      ...rest,
      ...(ratio === undefined ? {} : { ratio: round(ratio) }),
      outcome: outcome(ratio, rest.atMost),
    })),
  };
  const path = join(root, "bench", "results.json");
  await Deno.writeTextFile(path, `${JSON.stringify(results, null, 2)}\n`);
  console.log("\nWritten to bench/results.json.");
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
