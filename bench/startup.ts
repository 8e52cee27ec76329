// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Measures what fringe adds to the start of a program: `deno task startup`. Whole processes take
 * turns, with everything cached that Deno caches; a ratio is the median of one to the median of an
 * empty program.
 *
 * `--smoke` runs each once, to show that it still works.
 *
 * @module
 */

import { join } from "node:path";
import { Served } from "../tools/served.ts";
import { root } from "../tools/zig.ts";

const smoke = Deno.args.includes("--smoke");

/** How often each program runs. */
const ROUNDS = smoke ? 1 : 25;

interface Program {
  readonly name: string;
  readonly source: string;
  readonly flags: readonly string[];
  /** The most that its ratio is to be. */
  readonly atMost?: number;
}

const empty: Program = { name: "an empty program", source: "export {};", flags: [] };

/** Imports what a generator needs, and does nothing. */
const imports = (mod: string): string =>
  `import { Generator, OsStack } from "${mod}"; void [Generator, OsStack];`;

/** Makes a generator and resumes it. */
const resumes = (mod: string): string =>
  `import { Generator, OsStack } from "${mod}";
   const generator = new Generator(new OsStack(), function* () { yield 1; });
   if (generator.resume() !== 1) throw new Error("It does not work");`;

function programs(served: Served): Program[] {
  const file = `file://${root}/mod.ts`;
  const ffi = "--allow-ffi";
  return [
    empty,
    { name: "import, from a checkout", source: imports(file), flags: [], atMost: 1.25 },
    { name: "a generator, from a checkout", source: resumes(file), flags: [ffi], atMost: 1.4 },
    {
      name: "a generator, from a checkout that it may read",
      source: resumes(file),
      flags: [ffi, "--allow-read"],
      atMost: 1.4,
    },
    {
      name: "a generator, imported over HTTP",
      source: resumes(served.url),
      flags: [ffi, `--allow-import=${served.host}`],
      atMost: 1.8,
    },
  ];
}

/** Runs a program to its end; returns how long that took, in milliseconds. */
async function time(folder: string, index: number, { name, flags }: Program): Promise<number> {
  const command = new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", "--no-check", ...flags, join(folder, `${index}.ts`)],
    env: { NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1", DENO_DIR: folder, FRINGE_LIBRARY: "" },
    stdin: "null",
  });
  const start = performance.now();
  const { success, stderr } = await command.output();
  const taken = performance.now() - start;
  if (!success) throw new Error(`Cannot measure ${name}: ${new TextDecoder().decode(stderr)}`);
  return taken;
}

async function measure(folder: string, programs: readonly Program[]): Promise<number[]> {
  for (const [index, { source }] of programs.entries()) {
    await Deno.writeTextFile(join(folder, `${index}.ts`), source);
  }
  const samples = programs.map((): number[] => []);
  // The first two rounds fill Deno's caches: of modules, and of the machine code made of them.
  for (let round = -2; round < ROUNDS; round++) {
    for (const [index, program] of programs.entries()) {
      const taken = await time(folder, index, program);
      if (round >= 0) samples[index]!.push(taken);
    }
  }
  return samples.map((taken) => taken.sort((a, b) => a - b)[taken.length >> 1]!);
}

if (import.meta.main) {
  const folder = await Deno.makeTempDir({ prefix: "fringe-startup-" });
  await using served = new Served();
  try {
    const all = programs(served);
    const medians = await measure(folder, all);
    for (const [index, { name, atMost }] of all.entries()) {
      const ratio = medians[index]! / medians[0]!;
      const goal = atMost === undefined
        ? ""
        : `  ${ratio <= atMost ? "met" : "missed"} (at most ${atMost})`;
      console.log(
        `${name.padEnd(48)}${medians[index]!.toFixed(1).padStart(7)} ms` +
          `${ratio.toFixed(2).padStart(7)}${goal}`,
      );
    }
    if (smoke) console.log("\nA smoke run: the figures mean nothing.");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
