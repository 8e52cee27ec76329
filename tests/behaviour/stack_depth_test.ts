// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * V8's stack used up, anywhere: every public operation with every number of bytes left is either
 * done, or it throws and can be done again. `support/stack_depth_child.ts` has the how, and
 * `support/stack_depth_rows.ts` the operations.
 *
 * `FRINGE_ROUNDS=2`, or more, tries every 16 bytes, in every way, with all flags.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import { rounds } from "../support/seeds.ts";
import type { Report } from "../support/stack_depth.ts";

const child = new URL("../support/stack_depth_child.ts", import.meta.url).pathname;
const isLong = rounds > 1;

interface Line {
  readonly operation: string;
  readonly text: string;
}

/** Runs the child for all operations; after a crash once more for those that are left. */
async function sweep(way: string, flags: string, step: number): Promise<Line[]> {
  const lines: Line[] = [];
  for (let from = ""; ;) {
    const run = await new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "--no-prompt", "--no-check", "-A", `--v8-flags=--expose-gc${flags}`],
        ...[child, way, String(step), from],
      ],
      env: { NO_COLOR: "1", FRINGE_LIBRARY: "" },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).output();
    const stdout = new TextDecoder().decode(run.stdout).trimEnd().split("\n");
    let [operation, room] = ["", ""];
    for (const line of stdout) {
      if (line.startsWith("> ")) operation = line.slice(2);
      else if (line.startsWith(". ")) room = line.slice(2);
      else if (line.startsWith("{")) lines.push(...linesOf(JSON.parse(line)));
    }
    if (stdout.at(-1) === "end") return lines;
    const how = run.signal ?? `exit code ${run.code}`;
    const stderr = new TextDecoder().decode(run.stderr).trim().split("\n");
    lines.push({ operation, text: `${how} with ${room} bytes left: ${stderr.at(-1)}` });
    from = `after:${operation}`;
  }
}

function linesOf({ operation, failures }: Report): Line[] {
  return Object.entries(failures).map(([failure, { count, from, to }]) => ({
    operation,
    text: `${count} times, with ${from} to ${to} bytes left: ${failure}`,
  }));
}

for (const way of ["fresh", "cold", "warm"]) {
  for (const flags of ["", ",--no-opt", ",--jitless"]) {
    const name = `V8's stack used up: ${way}${flags.replace(",", ", ")}`;
    // What runs for the first time is interpreted anyway.
    const isMore = way !== "warm" && flags !== "";
    Deno.test({ name, ignore: isMore && !isLong }, async () => {
      const lines = await sweep(way, flags, isLong ? 16 : 32);
      assertEquals(lines.map(({ operation, text }) => `${operation}: ${text}`), []);
    });
  }
}
