// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Runs a program under Valgrind, and says what that has seen of our code. V8 does what looks like
 * errors, too, but never with a frame of ours below it.
 *
 * @module
 */

import type { Ended } from "./counts.ts";

/** How a program came out. */
export interface Watched extends Ended {
  /** What is wrong, each with its frames. */
  readonly errors: readonly string[];
}

const options = [
  // Children are there to crash.
  "--child-silent-after-fork=yes",
  // Ours may come after thousands of V8's.
  "--error-limit=no",
  // V8 writes machine code anew where there was some.
  "--smc-check=all-non-file",
];

/** Runs a program to its end. `ours` finds the frames that matter, as they stand in the log. */
export async function watch(
  command: readonly string[],
  ours: RegExp,
  env: Readonly<Record<string, string>>,
): Promise<Watched> {
  const log = await Deno.makeTempFile({ prefix: "fringe-valgrind-" });
  try {
    const { stdout, stderr, success } = await new Deno.Command("valgrind", {
      args: [...options, `--log-file=${log}`, ...command],
      env: { ...env },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).output();
    const decoder = new TextDecoder();
    const output = `${decoder.decode(stdout)}\n${decoder.decode(stderr)}`;
    return { output, success, errors: errorsIn(await Deno.readTextFile(log), ours) };
  } finally {
    await Deno.remove(log);
  }
}

/**
 * What a log reports: errors with a frame that is one of `ours`, and switches to a stack that
 * Valgrind was not told of, after which it cannot be right about anything.
 */
export function errorsIn(log: string, ours: RegExp): string[] {
  const plain = log.replace(/^==\d+== ?/gm, "");
  const errors = plain.split(/\n\n+/).filter((part) =>
    part.split("\n").some((line) => /^ +(?:at|by) 0x/.test(line) && ours.test(line))
  );
  errors.push(...plain.match(/^Warning: client switching stacks.*$/gm) ?? []);
  if (!/^ERROR SUMMARY: /m.test(plain)) errors.push("It did not come to its end");
  return errors;
}
