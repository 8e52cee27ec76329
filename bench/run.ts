// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Measures everything, prints a table, writes `bench/results.json` and has it drawn:
 * `deno task bench`. What the pages of docs/ and README.md say of it, `tools/figures.ts` writes.
 *
 * Goals: figures of one run on one machine, each beside what it is compared with; the targets that
 * this project has set itself, met or missed; what could not be measured, and what to install; two
 * runs that agree, or a word that this machine is too noisy for that. `judge.ts` says what is made
 * of the samples.
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
import { root, zig } from "../tools/zig.ts";
import {
  difference,
  type Figure,
  isNoisy,
  judge,
  type Judged,
  NOISE,
  outcome,
  summary,
} from "./judge.ts";
import { machine } from "./machine.ts";
import { nativePeers, type Peer, readyPeers, run } from "./peers/native.ts";
import type { Target } from "./setup.ts";
import type { Measured } from "./turns.ts";

const smoke = Deno.args.includes("--smoke");

/** How often each bench runs, each time in another process; see `judge.ts`. */
const ROUNDS = smoke ? 1 : 10;

/** An inlined switch with no check at all. */
const BARE = "std.Io.fiber";

/** The floor of the first callbacks: each needs one call of native code. */
const FIRST_CALLS = "first FFI calls, and nothing else";

/** Targets that lie in no file of benches: of native code, and across two processes. */
const targets: readonly Target[] = [
  inlined("Boost.Context", 0.25),
  inlined("corosensei", 0.85, BARE),
  inlined(BARE, 0.9, BARE),
  inlined("libcoro", 0.9),
  {
    name: "fill(), an element, to an inlined round trip",
    of: "fill(), an element",
    to: "inlined, body in Zig",
    atMost: 1.3,
  },
  {
    name: "the first 100,000 callbacks to UnsafeCallback's first",
    of: "first callbacks, suspended",
    to: "first callbacks, UnsafeCallback",
    atMost: 0.6,
    floor: FIRST_CALLS,
  },
  {
    name: "the slowest of ten later calls to UnsafeCallback's slowest",
    of: "later callbacks, suspended",
    to: "later callbacks, UnsafeCallback",
    atMost: 0.5,
  },
];

function inlined(peer: string, atMost: number, floor?: string): Target {
  return {
    ...(floor === undefined ? {} : { floor }),
    name: `inlined round trip to ${peer}'s`,
    of: "inlined, body in Zig",
    to: peer,
    atMost,
  };
}

/** What README.md shows, in this order; tools/figures.ts has their number. */
const HEADLINES = [
  "inlined round trip to Boost.Context's",
  "inlined round trip to corosensei's",
  "Generator.resume() to function* next()",
  "Generator.resume() to a plain FFI call",
  "suspended callback to UnsafeCallback",
];

/** What the rounds have measured so far, in the order in which it came. */
class Measuring {
  readonly #figures = new Map<string, { group: string; rounds: (readonly number[])[] }>();
  readonly #targets = new Map<string, Target>();

  add(group: string, name: string, turns: readonly number[]): void {
    const figure = this.#figures.get(name) ?? { group, rounds: [] };
    this.#figures.set(name, figure);
    figure.rounds.push(turns);
  }

  addAll({ benches, targets }: Measured): void {
    for (const { group, name, samples } of benches) this.add(group, name, samples);
    for (const target of targets) this.#targets.set(target.name, target);
  }

  figures(): Figure[] {
    return [...this.#figures].map(([name, figure]) => ({ name, ...figure }));
  }

  /** The headlines first. */
  targets(): Target[] {
    const all = [...targets, ...this.#targets.values()];
    const headlines = HEADLINES.map((name) => all.find((target) => target.name === name)!);
    return [...headlines, ...all.filter((target) => !headlines.includes(target))];
  }
}

const NATIVE = "round trip, native";

/** How often a program that takes no time is begun anew in a round. */
const BEGINNINGS = smoke ? 1 : 5;

async function measureNative(into: Measuring, program: string, peers: Peer[]): Promise<void> {
  const libraries = peers.flatMap((peer) =>
    "library" in peer ? [`${peer.name}=${peer.library}`] : []
  );
  const args = [...(smoke ? ["--smoke"] : []), ...libraries];
  const turns = new Map<string, number[]>();
  for (let i = 0; i < BEGINNINGS; i++) {
    for (const line of (await run(program, args, root)).trim().split("\n")) {
      const { name, samples } = JSON.parse(line) as { name: string; samples: number[] };
      turns.set(name, [...turns.get(name) ?? [], ...samples]);
    }
  }
  for (const [name, samples] of turns) into.add(NATIVE, name, samples);
}

/** What `bench/first.ts` measures: the group, the arguments, the name of the figure. */
const FIRST: readonly (readonly [group: string, args: readonly string[], name: string])[] = [
  ["first 100,000", ["suspended"], "first callbacks, suspended"],
  ["first 100,000", ["UnsafeCallback"], "first callbacks, UnsafeCallback"],
  ["first 100,000", ["FFI"], FIRST_CALLS],
  ["the slowest of ten calls", ["suspended", "later"], "later callbacks, suspended"],
  ["the slowest of ten calls", ["UnsafeCallback", "later"], "later callbacks, UnsafeCallback"],
];

async function measureFirst(into: Measuring): Promise<void> {
  const turns: number[][] = FIRST.map(() => []);
  for (let i = 0; i < BEGINNINGS; i++) {
    for (const [way, [, args]] of FIRST.entries()) {
      turns[way]!.push(Number(await deno("bench/first.ts", ...args)));
    }
  }
  for (const [way, [group, , name]] of FIRST.entries()) into.add(group, name, turns[way]!);
}

/** Runs a program as one that imports fringe from elsewhere has it: not from the sources. */
async function deno(...args: string[]): Promise<string> {
  const flags = ["-P=bench", "--import-map=bench/published.json", "--no-check"];
  return await run(
    Deno.execPath(),
    ["run", "--no-prompt", ...flags, ...args, ...Deno.args],
    root,
  );
}

/** Where what is built lies, and all samples, for whoever wants to look. */
const prefix = join(root, ".zig-cache", "bench");
const samples = join(prefix, "samples.json");

async function measure(peers: Peer[]): Promise<Measuring> {
  const build = ["build", "bench", "--prefix", prefix, "--color", "off"];
  await run(await zig(), build, join(root, "native"));
  const files = [...Deno.readDirSync(join(root, "bench"))].map(({ name }) => name)
    .filter((name) => name.endsWith("_bench.ts")).sort();
  const measuring = new Measuring();
  for (let round = 0; round < ROUNDS; round++) {
    const progress = (what: string): void =>
      console.error(`Round ${round + 1} of ${ROUNDS}: ${what}`);
    progress(NATIVE);
    await measureNative(measuring, join(prefix, "bin", "fringe-bench"), peers);
    progress("first callbacks");
    await measureFirst(measuring);
    for (const file of files) {
      progress(file);
      measuring.addAll(JSON.parse(await deno("bench/turns.ts", `bench/${file}`)) as Measured);
    }
  }
  return measuring;
}

function printFigures(figures: readonly Figure[]): void {
  let group = "";
  for (const { name, rounds, missing, ...figure } of figures) {
    if (figure.group !== group) console.log(`\n${group = figure.group}`);
    const [value, note] = rounds.length === 0 ? ["missing", missing] : values(rounds);
    console.log(`  ${name.padEnd(46)}${value!.padStart(14)}  ${note}`);
  }
}

function values(rounds: Figure["rounds"]): [value: string, note: string] {
  const { ns, spread } = summary(rounds);
  return [`${ns.toFixed(2)} ns`, `in a round ${spread.map((ns) => ns.toFixed(1)).join(" to ")}`];
}

function printTargets(judged: readonly Judged[]): void {
  console.log("\ntargets");
  for (const target of judged) {
    const value = target.ratio?.toFixed(2) ?? "-";
    const goal = `${outcome(target)} (at most ${target.atMost})`;
    console.log(`  ${target.name.padEnd(58)}${value.padStart(8)}  ${goal}`);
  }
  const noisy = judged.filter(isNoisy);
  if (noisy.length === 0) return;
  console.log(
    `\nThis machine is too noisy to tell ${noisy.length} of ${judged.length} ratios: of these, ` +
      `one half of the rounds differs from the other by more than ${100 * NOISE} %. Stop what ` +
      "else runs, and measure again. They are",
  );
  for (const { name, differs } of noisy) {
    console.log(`  ${name.padEnd(58)}${(100 * differs!).toFixed(0).padStart(6)} %`);
  }
}

/** What `bench/results.json` holds, as far as another run compares with it. */
interface Results {
  readonly machine: unknown;
  readonly versions: unknown;
  readonly targets: readonly Judged[];
}

/** Says how far this run agrees with the one before, if that was on the same machine. */
function compare(before: Results, now: Results): void {
  const setting = ({ machine, versions }: Results): string => JSON.stringify([machine, versions]);
  if (setting(before) !== setting(now)) return;
  const both = now.targets.flatMap(({ name, ratio }) => {
    const other = before.targets.find((target) => target.name === name)?.ratio;
    if (ratio === undefined || other === undefined) return [];
    return [{ name, ratio, other }];
  });
  const apart = both.filter(({ ratio, other }) => difference(ratio, other) > NOISE);
  console.log(
    `\n${both.length - apart.length} of ${both.length} ratios are within ${100 * NOISE} % of ` +
      `those of the run before${apart.length > 0 ? "; not so" : ""}`,
  );
  for (const { name, ratio, other } of apart) {
    console.log(`  ${name.padEnd(58)}${ratio.toFixed(2).padStart(8)}, then ${other.toFixed(2)}`);
  }
}

async function versions(peers: Peer[]): Promise<Record<string, string>> {
  return {
    deno: Deno.version.deno,
    v8: Deno.version.v8,
    zig: (await run(await zig(), ["version"], root)).trim(),
    ...Object.fromEntries(peers.map(({ name, version }) => [name, version])),
  };
}

async function main(): Promise<void> {
  const peers = await (smoke ? readyPeers() : nativePeers());
  const measuring = await measure(peers);
  const missing = peers.flatMap((peer): Figure[] =>
    "missing" in peer ? [{ group: NATIVE, name: peer.name, rounds: [], missing: peer.missing }] : []
  );
  const figures = [...measuring.figures(), ...missing];
  await Deno.writeTextFile(samples, JSON.stringify(figures));
  printFigures(figures);
  if (smoke) return console.log("\nA smoke run: the figures mean nothing.");
  const judged = measuring.targets().map((target) => judge(target, figures));
  printTargets(judged);
  const results = {
    machine: machine(),
    versions: await versions(peers),
    unit: "ns per operation",
    rounds: ROUNDS,
    figures: figures.map(({ rounds, ...rest }) =>
      rounds.length === 0 ? rest : { ...rest, ...summary(rounds) }
    ),
    targets: judged.map((target) => ({ ...target, outcome: outcome(target) })),
  };
  const path = join(root, "bench", "results.json");
  compare(JSON.parse(await Deno.readTextFile(path)) as Results, results);
  await Deno.writeTextFile(path, `${JSON.stringify(results, null, 2)}\n`);
  await drawPlots();
  console.log(
    "\nWritten to bench/results.json, and drawn in docs/images/. Run tools/figures.ts, too.",
  );
}

if (import.meta.main) {
  try {
    await main();
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    Deno.exit(1);
  }
}
