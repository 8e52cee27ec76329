// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * V8's stack used up, anywhere: every public operation, with every number of bytes left, is either
 * done, or it throws and can be done again. `support/stack_depth_child.ts` has the how, and
 * `support/stack_depth_rows.ts` the operations.
 *
 * `FRINGE_ROUNDS=2`, or more, tries every 16 bytes, with all flags.
 *
 * @module
 */

import { fail } from "@std/assert";
import { rounds } from "../support/seeds.ts";
import type { Operation, Report } from "../support/stack_depth.ts";
import { run } from "../support/support.ts";

const child = new URL("../support/stack_depth_child.ts", import.meta.url).pathname;
const isLong = rounds > 1;
const STEP = isLong ? 16 : 32;

/** A process: a way, flags of V8's, an operation or all, and where `room` begins. */
interface Job {
  readonly way: string;
  readonly flags: string;
  readonly operation: string;
  readonly start?: number;
}

/** What was wrong, with the operation in front. */
type Problems = string[];

/** Runs a job; after a crash once more, for the operations that are left. */
async function sweep({ way, flags, operation, start = 0 }: Job): Promise<Problems> {
  const problems: Problems = [];
  const say = (operation: string, what: string): void => {
    problems.push(`${way} ${flags}: ${operation}: ${what}`);
  };
  for (let which = operation;;) {
    const ended = await run([
      ...["run", "--no-prompt", "--no-check", "-A", `--v8-flags=--expose-gc${flags}`],
      // Where V8 optimises nothing, what has run a few times is as good as warm.
      ...[child, way, String(STEP), which, String(start), flags === "" ? "200" : "10"],
    ]);
    let [current, room] = ["(none)", ""];
    const lines = ended.stdout.trimEnd().split("\n");
    for (const line of lines) {
      if (line.startsWith("> ")) current = line.slice(2);
      else if (line.startsWith(". ")) room = line.slice(2);
      else if (line.startsWith("{")) report(JSON.parse(line), say);
    }
    if (lines.at(-1) === "end") return problems;
    const how = ended.signal ?? `exit code ${ended.code}`;
    const words = ended.stderr.trim().split("\n").at(-1);
    say(current, `the process ends (${how}), with ${room} bytes left or thereafter: ${words}`);
    if (operation !== "" || current === "(none)") return problems;
    which = `after:${current}`;
  }
}

function report(
  { operation, failures }: Report,
  say: (operation: string, what: string) => void,
): void {
  for (const [failure, { count, from, to }] of Object.entries(failures)) {
    say(operation, `${count} times, with ${from} to ${to} bytes left: ${failure}`);
  }
}

async function operations(): Promise<Operation<unknown>[]> {
  const { stdout } = await run(["run", "--no-prompt", "--no-check", "-A", child, "list"]);
  return stdout.trimEnd().split("\n").map((line) => JSON.parse(line));
}

/** As many at a time as there are processors. */
async function all(jobs: readonly Job[]): Promise<Problems> {
  const problems: Problems[] = [];
  const left = [...jobs.entries()];
  const work = async (): Promise<void> => {
    for (let next; (next = left.shift()) !== undefined;) problems[next[0]] = await sweep(next[1]);
  };
  await Promise.all(Array.from({ length: navigator.hardwareConcurrency }, work));
  return problems.flat();
}

function check(problems: Problems): void {
  if (problems.length > 0) fail(`${problems.length} problems:\n${problems.join("\n")}`);
}

const FLAGS = ["", ",--no-opt", ",--jitless"];

Deno.test("V8's stack used up: what runs for the first time", async () => {
  const jobs: Job[] = [];
  // What runs for the first time is interpreted anyway.
  for (const flags of isLong ? FLAGS : [""]) {
    for (const { name: operation, runaway, interrupted } of await operations()) {
      if (interrupted) continue;
      // A process each, for nothing of it must have been compiled before.
      if (!runaway) {
        jobs.push({ way: "fresh", flags, operation }, { way: "cold", flags, operation });
      } else {
        for (let i = 0; i < (isLong ? 32 : 2); i++) {
          jobs.push({ way: "fresh", flags, operation, start: 16 * i });
        }
      }
    }
  }
  check(await all(jobs));
});

Deno.test("V8's stack used up: what has run often", async () => {
  check(await all(FLAGS.map((flags) => ({ way: "warm", flags, operation: "" }))));
});
