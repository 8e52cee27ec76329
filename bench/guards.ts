// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Guards the hot paths, as a part of the gate: `deno run -P=tools bench/guards.ts`.
 *
 * A guard sets an operation beside another one of the same process, and is broken where that ratio
 * is more than twice what `bench/results.json` says. So it notices when V8 no longer makes a fast
 * call of native code, which makes the operations three to twelve times as slow, and no machine's
 * haste or load: where something else disturbs a process, another one is asked.
 *
 * `--slowed` shows that each guard can break: it takes the fast calls away (`slowed.ts`), and fails
 * unless all guards are broken.
 *
 * @module
 */

import { join } from "node:path";
import { root } from "../tools/zig.ts";
import type { Measured } from "./turns.ts";

/** An operation, and one that does not call native code, or not by V8's fast calls. */
export type Guard = readonly [of: string, to: string];

const TYPES = [
  ...["bool", "i8", "u8", "i16", "u16", "f32", "f64", "pointer", "i64", "u64", "isize", "usize"],
  ...["void in, i32 out", "void in, f64 out", "i32 in, f64 out"],
];

/** The guards, by the file of benches that measures them. */
export const guards: Readonly<Record<string, readonly Guard[]>> = {
  "resume_bench.ts": [
    "Generator.resume()",
    ...TYPES.map((type) => `resume(), ${type}`),
  ].map((name) => [name, "function* next()"]),
  "for_of_bench.ts": [
    "for…of Generator",
    ...["i32", "u16", "f64", "i64"].map((type) => `for…of Generator, ${type}`),
    "fill(), an element",
  ].map((name) => [name, "for…of function*"]),
  "callback_bench.ts": [
    ["suspended callback", "Deno.UnsafeCallback"],
    ["suspended callback, three arguments", "Deno.UnsafeCallback, three arguments"],
    ["pulled callback", "Deno.UnsafeCallback"],
    ["awaited callback", "await of the same function"],
    ["call with one callback", "the same by Deno.UnsafeCallback"],
    ["call without a callback", "the same by Deno.UnsafeCallback"],
  ],
};

/** How many times as large as it was a ratio may be. */
const AT_MOST = 2;

/**
 * How long the groups are measured, in milliseconds, in one process after the other, until a guard
 * is not broken. Where the machine is busy V8's compilers need the longer ones.
 */
const TRIES = [150, 600, 2400, 2400, 2400, 2400];

/** What operations took when they were last measured, by their names. */
export type Known = ReadonlyMap<string, number>;

/** A guard that is broken, in a sentence; undefined for one that is not. */
export function complaint([of, to]: Guard, known: Known, measured: Known): string | undefined {
  const [then, now] = [known, measured].map((figures) => {
    const [a, b] = [figures.get(of), figures.get(to)];
    if (a === undefined || b === undefined) {
      throw new Error(`Cannot guard "${of}": nothing measures it, or "${to}"`);
    }
    return a / b;
  }) as [number, number];
  if (now <= AT_MOST * then) return undefined;
  return `${of}: ${now.toFixed(2)} of what "${to}" takes, and it was ${then.toFixed(2)}`;
}

async function known(): Promise<Known> {
  const text = await Deno.readTextFile(join(root, "bench", "results.json"));
  const { figures } = JSON.parse(text) as { figures: { name: string; ns?: number }[] };
  return new Map(figures.flatMap(({ name, ns }) => ns === undefined ? [] : [[name, ns]]));
}

/** The least sample of each bench of a file, in a process of its own. */
async function measure(file: string, flags: readonly string[], enough: number): Promise<Known> {
  const { success, stdout } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "--no-prompt", "--quiet", "-P=bench", ...flags],
      ...["--import-map=bench/published.json", "--no-check"],
      ...["bench/turns.ts", `bench/${file}`, `--enough=${enough}`],
    ],
    cwd: root,
    env: { NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1" },
    stdin: "null",
    stderr: "inherit",
  }).output();
  if (!success) throw new Error(`bench/${file} has failed`);
  const { benches } = JSON.parse(new TextDecoder().decode(stdout)) as Measured;
  return new Map(benches.map(({ name, samples }) => [name, Math.min(...samples)]));
}

/** The guards of a file that are broken in every process that was asked. */
async function broken(
  file: string,
  known: Known,
  flags: readonly string[],
  tries: readonly number[],
): Promise<ReadonlyMap<Guard, string>> {
  let left = guards[file]!;
  let complaints = new Map<Guard, string>();
  for (const enough of tries) {
    const measured = await measure(file, flags, enough);
    complaints = new Map();
    for (const guard of left) {
      const text = complaint(guard, known, measured);
      if (text !== undefined) complaints.set(guard, text);
    }
    left = [...complaints.keys()];
    if (left.length === 0) break;
  }
  return complaints;
}

async function main(isSlowed: boolean): Promise<boolean> {
  const then = await known();
  const flags = isSlowed ? ["--preload=bench/slowed.ts"] : [];
  let isRight = true;
  for (const [file, all] of Object.entries(guards)) {
    const complaints = await broken(file, then, flags, isSlowed ? TRIES.slice(0, 1) : TRIES);
    console.log(`${file}: ${complaints.size} of ${all.length} guards are broken`);
    const wrong = isSlowed
      ? all.filter((guard) => !complaints.has(guard)).map(([of]) =>
        `${of}: not noticed; if it is faster now, run \`deno task bench\``
      )
      : complaints.values().toArray();
    for (const line of wrong) console.log(`  ${line}`);
    isRight &&= wrong.length === 0;
  }
  return isRight;
}

if (import.meta.main && !await main(Deno.args.includes("--slowed"))) Deno.exit(1);
