// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Measures what fringe costs where there is very much of it: `deno task million`. It writes
 * `bench/million.json`, and has that drawn; what docs/stacks.md says of it, `tools/million.ts`
 * writes. A million generators need 5 GB of memory, a million calls 14.
 *
 * Each program of `million/` runs in a process of its own, that of generators several times: what
 * counts is the median. Where a machine has other things to do, `chrt -f 50 deno task million` has
 * those wait. With a number below a million it measures up to so many generators, and writes
 * nothing. `--smoke` runs each program once, with a thousand, to show that it still works.
 *
 * @module
 */

import { join } from "node:path";
import {
  type Beside,
  type Calls,
  type Generators,
  goals,
  type Kept,
  type Layouts,
  MILLION,
  type Million,
  outcome,
} from "../tools/million_results.ts";
import { drawMillion } from "../tools/plots.ts";
import { root } from "../tools/zig.ts";
import { machine } from "./machine.ts";
import { apart } from "./million/support.ts";

const smoke = Deno.args.includes("--smoke");

/** How often each number of generators is measured. */
const ROUNDS = smoke ? 1 : 3;

/** How many generators a process makes, of a small number in several rounds. */
const ENOUGH = smoke ? 1000 : 100_000;

/** For how many seconds V8 may hold the memory of garbage. It was seen to let go after twelve. */
const PATIENCE = 20;

/** Bytes that a call takes, with the kernel's own. */
const CALL = 14_000;

const FIGURES = ["made", "resumed", "ended", "load", "bytes", "left", "mappings"] as const;

function print(cells: readonly (string | number)[]): void {
  const words = cells.map((cell) =>
    typeof cell === "string" ? cell : Math.round(cell).toLocaleString("en")
  );
  console.log(words.map((word) => word.padStart(12)).join(""));
}

/** Measures up to so many generators, and prints what comes. */
async function measureGenerators(most: number): Promise<Generators[]> {
  const all: Generators[] = [];
  print(["generators", ...FIGURES]);
  for (let count = 1000; count <= most; count *= 10) {
    const many = Math.max(1, ENOUGH / count);
    for (let round = 0; round < ROUNDS; round++) {
      const measured = await apart<Generators>("generators", [count, many, PATIENCE]);
      all.push(measured);
      print([count, ...FIGURES.map((name) => measured[name])]);
    }
  }
  return all;
}

/**
 * Measures up to a million calls, as far as there is memory. V8 allows itself 4 GB for its objects
 * as a rule, and those of a million calls take more, so it is told to.
 */
async function measureCalls(most: number): Promise<Calls[]> {
  const all: Calls[] = [];
  print(["calls", "made", "answered", "bytes", "objects", "tables"]);
  for (let count = 1000; count <= most; count *= 10) {
    if (Deno.systemMemoryInfo().available < count * CALL) {
      console.log(`${count} calls need ${count * CALL / 1e9} GB of memory: not measured`);
      break;
    }
    const measured = await apart<Calls>("calls", [count], ",--max-old-space-size=12000");
    all.push(measured);
    const { made, answered, bytes, objects, tables } = measured;
    print([count, made, answered, bytes, objects, tables]);
  }
  return all;
}

/** Numbers with no more digits than they are worth. */
function rounded(_key: string, value: unknown): unknown {
  return typeof value === "number" ? Number(value.toPrecision(4)) : value;
}

async function main(): Promise<void> {
  const most = smoke ? 1000 : Number(Deno.args[0] ?? MILLION);
  const generators = await measureGenerators(most);
  if (most < MILLION && !smoke) return;
  const results: Million = {
    machine: machine(),
    deno: Deno.version.deno,
    rounds: ROUNDS,
    generators,
    calls: await measureCalls(most),
    kept: await apart<Kept>("kept", []),
    layouts: await apart<Layouts>("layouts", []),
    workers: await apart<Beside[]>("workers", []),
  };
  if (smoke) return console.log("\nA smoke run: the figures mean nothing.");
  for (const goal of goals(generators)) {
    const { name, measured, unit, atMost } = goal;
    console.log(`${name}: ${measured.toFixed(2)} ${unit}, ${outcome(goal)} (at most ${atMost})`);
  }
  const path = join(root, "bench", "million.json");
  await Deno.writeTextFile(path, `${JSON.stringify(results, rounded, 2)}\n`);
  await drawMillion();
  console.log("\nWritten to bench/million.json, and drawn. Run tools/million.ts, too.");
}

if (import.meta.main) {
  try {
    await main();
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    Deno.exit(1);
  }
}
