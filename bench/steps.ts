// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Counts the instructions of an operation, between one entry into native code and the next:
 * `deno run -P=tools bench/steps.ts`, which needs gdb, and writes `bench/steps.json`. Where a
 * machine does not let programs count what its processor does, this is what can be counted.
 *
 * The benches of a group run in turns until V8 has compiled them, as in `turns.ts`. Then gdb takes
 * one of them step by step from an entry to the next, a few times, of which the least counts: in
 * the others V8 has collected garbage, or made room for it. "Alone" is a bench of a process that
 * has run no other one: V8 leaves out what that never needs.
 *
 *     entry of fringe_resume -> its switch -> the body -> a switch -> `ret` -> JavaScript -> entry
 *                               fringe's      the body's  fringe's   V8's code, and Deno's
 *
 * @module
 */

import { join } from "node:path";
import { root } from "../tools/zig.ts";
import { contestants } from "./setup.ts";

/** A bench, and the native function that each of its operations enters once. */
interface Stepped {
  readonly file: string;
  readonly name: string;
  readonly entry: string;
  /** V8 has seen no other bench in that process. */
  readonly alone?: boolean;
}

function* benches(): Generator<Stepped, void> {
  const file = "resume";
  yield { file, name: "plain FFI call", entry: "plus_one" };
  yield { file, name: "fringe_resume by FFI, and nothing else", entry: "fringe_resume" };
  yield { file, name: "Generator.resume()", entry: "fringe_resume" };
  for (const type of ["i8", "f32", "f64", "i64", "u64", "pointer"]) {
    const entry = type === "pointer" ? "fringe_resume_pointer" : "fringe_resume";
    yield { file, name: `by hand, ${type}`, entry };
    for (const alone of [true, false]) yield { file, name: `resume(), ${type}`, entry, alone };
  }
  const entry = "fringe_call";
  yield { file: "callback", name: "fringe_call by FFI, and nothing else", entry };
  yield { file: "callback", name: "call without a callback", entry };
}

/** What an operation takes of instructions. */
export interface Steps {
  readonly name: string;
  readonly javascript: number;
  readonly fringe: number;
  readonly body: number;
}

/** How many operations gdb takes step by step. */
const OPERATIONS = 7;
const WARM_UP = 40;

/** Whether the processor is in the code of a library, for gdb, by its list of libraries. */
function isIn(libraries: string, name: string): string {
  const [, from, to] = new RegExp(`^(0x\\w+) +(0x\\w+) .*/${name}$`, "m").exec(libraries)!;
  return `$pc >= ${from} && $pc < ${to}`;
}

async function gdb(pid: number, ...args: string[]): Promise<string> {
  const { stdout } = await new Deno.Command("gdb", {
    args: ["-nx", "-batch", "-p", `${pid}`, ...args],
    stdin: "null",
    stderr: "null",
  }).output();
  return new TextDecoder().decode(stdout);
}

function commands(libraries: string, entry: string): string[] {
  return [
    ...["set pagination off", `break *${entry}`, "continue", "delete", "set scheduler-locking on"],
    `set $operation = 0`,
    `while $operation < ${OPERATIONS}`,
    ...["set $fringe = 0", "set $body = 0", "set $javascript = 0", "set $at = 1"],
    `while $at || $pc != (long) &${entry}`,
    "set $at = 0",
    `if ${isIn(libraries, "libfringe.so")}`,
    "set $fringe = $fringe + 1",
    "else",
    `if ${isIn(libraries, "libtest_bodies.so")}`,
    ...["set $body = $body + 1", "else", "set $javascript = $javascript + 1", "end", "end"],
    ...["stepi", "end"],
    'printf "steps %d %d %d\\n", $javascript, $fringe, $body',
    ...["set $operation = $operation + 1", "end"],
  ];
}

export async function count({ file, name, entry, alone = false }: Stepped): Promise<Steps> {
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "--no-prompt", "--quiet", "--no-check", "-P=bench"],
      ...["--import-map=bench/published.json", "bench/steps.ts", file, name, `${alone}`],
    ],
    cwd: root,
    env: { NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1" },
    stdin: "null",
    stdout: "piped",
  }).spawn();
  const reader = child.stdout.getReader();
  const { value } = await reader.read();
  if (value === undefined) throw new Error(`Cannot count "${name}": it does not run`);
  const script = await Deno.makeTempFile({ prefix: "fringe-steps-" });
  try {
    const libraries = await gdb(child.pid, "-ex", "info sharedlibrary");
    await Deno.writeTextFile(script, commands(libraries, entry).join("\n"));
    const text = await gdb(child.pid, "-x", script);
    const all = [...text.matchAll(/^steps (\d+) (\d+) (\d+)$/gm)].map((match) =>
      match.slice(1).map(Number) as [number, number, number]
    );
    if (all.length === 0) throw new Error(`Cannot count "${name}": gdb has not come round`);
    const [javascript, fringe, body] = all.reduce((a, b) => a[0] <= b[0] ? a : b);
    return { name: alone ? `${name}, alone in a process` : name, javascript, fringe, body };
  } finally {
    await Deno.remove(script);
    await reader.cancel();
    child.kill("SIGKILL");
    await child.status;
  }
}

/** Warms a group up, and then does one of its benches until this process is ended. */
async function repeat(file: string, name: string, alone: boolean): Promise<never> {
  await import(`./${file}_bench.ts`);
  const one = contestants.find((contestant) => contestant.name === name)!;
  for (const [group, all] of Map.groupBy(contestants, ({ group }) => group)) {
    if (alone && group !== one.group) continue;
    for (let turn = 0; turn < WARM_UP; turn++) {
      for (const { run } of alone ? [one] : all) await run();
    }
    if (group === one.group) break;
  }
  console.log("ready");
  for (;;) await one.run();
}

if (import.meta.main) {
  const [file, name, alone] = Deno.args;
  if (file !== undefined && name !== undefined) await repeat(file, name, alone === "true");
  const steps: Steps[] = [];
  for (const stepped of benches()) {
    steps.push(await count(stepped));
    console.log(JSON.stringify(steps.at(-1)));
  }
  const results = { deno: Deno.version.deno, steps };
  const path = join(root, "bench", "steps.json");
  await Deno.writeTextFile(path, `${JSON.stringify(results, null, 2)}\n`);
}
