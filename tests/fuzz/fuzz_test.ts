// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * No misuse of the public API ends the process, or corrupts it: each is an error that says so. The
 * misuse is random, and takes place in other processes.
 *
 * A failure names its seed: `FRINGE_SEED=… deno test -P=suite tests/fuzz/fuzz_test.ts` does the
 * same again. `FRINGE_ROUNDS=100` goes on for a hundred rounds.
 *
 * @module
 */

import { assert, assertEquals, fail } from "@std/assert";
import fc from "fast-check";
import { type Operation, sequenceOf, sequences } from "./fuzz_sequence.ts";
import { seeds } from "../support/seeds.ts";
import { manyTimes, run, testNatively } from "../support/support.ts";

/** How many sequences a round has; each has its own seed. */
const SEQUENCES = manyTimes(300);

/** After so long a process has come to a halt, however slow the machine is. */
const PATIENCE = 10 * 60_000;

/** What a process of the fuzz has done. */
interface Report {
  /** How many operations. */
  readonly count: number;
  readonly problems: readonly string[];
  /** What it said last. */
  readonly last: string;
}

async function fuzz(program: string, ...args: string[]): Promise<Report> {
  const directory = await Deno.makeTempDir({ prefix: "fringe-fuzz-" });
  try {
    const { code, signal, stdout, stderr } = await run(
      [
        ...["run", "--no-prompt", "--no-check", "--v8-flags=--expose-gc", "-A"],
        ...[new URL(program, import.meta.url).pathname, ...args],
      ],
      { TMPDIR: directory },
      { signal: AbortSignal.timeout(PATIENCE) },
    );
    const lines = stdout.trimEnd().split("\n");
    // V8 itself may have the last word.
    const report = lines.findLastIndex((line) => line.startsWith("{"));
    if (code === 0) return { ...JSON.parse(lines[report]!), last: lines[report - 1] };
    const problem = `it ended with ${signal ?? code}: ${stderr}`;
    return { count: 0, problems: [problem], last: lines.at(-1)! };
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

for (const seed of seeds()) {
  const each = `the public API stands every kind of value, FRINGE_SEED=${seed}`;
  testNatively(each, undefined, async () => {
    const { count, problems, last } = await fuzz("fuzz_child.ts", "each", String(seed));
    assertEquals(problems.slice(0, 10), [], `after ${last}`);
    assert(count > 10_000, `${count} operations`);
  });

  Deno.test(`the public API stands every order of operations, FRINGE_SEED=${seed}`, async () => {
    const args = [String(seed), String(SEQUENCES)];
    const { count, problems, last } = await fuzz("fuzz_child.ts", "sequences", ...args);
    if (problems.length > 0) await explain(Number(last), problems);
    assert(count > SEQUENCES, `${count} operations`);
  });
}

/** Fails with the shortest part of a sequence that fails as well. */
async function explain(seed: number, problems: readonly string[]): Promise<never> {
  let found = problems;
  const { counterexample } = await fc.check(
    fc.asyncProperty(sequences, async (sequence: Operation[]) => {
      const { problems } = await fuzz("fuzz_child.ts", "sequence", JSON.stringify(sequence));
      if (problems.length > 0) found = problems;
      return problems.length === 0;
    }),
    // Of one that fails only after others there is nothing to be cut off.
    { numRuns: 1, examples: [[sequenceOf(seed)]], interruptAfterTimeLimit: 60_000 },
  );
  const sequence = JSON.stringify(counterexample?.[0] ?? sequenceOf(seed));
  fail(`FRINGE_SEED=${seed} fails, by ${sequence}:\n${found.slice(0, 10).join("\n")}`);
}

for (const when of ["before", "after"]) {
  const patched = `fringe ends no process whose globals were patched ${when} the import`;
  testNatively(patched, undefined, async () => {
    const { count, problems, last } = await fuzz("fuzz_patched.ts", when);
    assertEquals(problems, [], `at ${last}`);
    assert(count > 1000, `${count} operations`);
  });
}
