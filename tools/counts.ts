// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Reads how many tests ran from what the test runners print.
 *
 * A run that printed no count, or counted nothing, is a failure: a check that cannot fail is a
 * defect, and a suite that vanished is the commonest of them.
 *
 * @module
 */

/** How the checks of one stage, or of all, came out. */
export interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** How a process came out. */
export interface Ended {
  /** What it printed, in any order of its two streams. */
  readonly output: string;
  readonly success: boolean;
}

/** One check that passed or failed as a whole. */
export function one(success: boolean): Counts {
  return { passed: success ? 1 : 0, failed: success ? 0 : 1, skipped: 0 };
}

/** The sum of `counts`. */
export function total(counts: Iterable<Counts>): Counts {
  let [passed, failed, skipped] = [0, 0, 0];
  for (const count of counts) {
    passed += count.passed;
    failed += count.failed;
    skipped += count.skipped;
  }
  return { passed, failed, skipped };
}

/** Counts of a `deno test`: its last line such as `ok | 3 passed (1 step) | 0 failed`. */
export function denoCounts(ended: Ended): Counts {
  const summary = /^(?:ok|FAILED) \| (\d+) passed.*? \| (\d+) failed(.*)$/gm;
  const match = [...ended.output.matchAll(summary)].at(-1);
  return checked(ended, {
    passed: Number(match?.[1] ?? 0),
    failed: Number(match?.[2] ?? 0),
    skipped: numberBefore(match?.[3], "ignored"),
  });
}

/** Counts of a `zig build test --summary all`: `…; 11/13 tests passed (1 skipped, 1 failed)`. */
export function zigCounts(ended: Ended): Counts {
  const summary = /^Build Summary: .*?; (\d+)\/(\d+) tests passed(.*)$/gm;
  const match = [...ended.output.matchAll(summary)].at(-1);
  const passed = Number(match?.[1] ?? 0);
  const skipped = numberBefore(match?.[3], "skipped");
  // Zig names four ways to fail, so what did not pass and was not skipped is what failed.
  return checked(ended, { passed, skipped, failed: Number(match?.[2] ?? 0) - passed - skipped });
}

/** Counts of a program of Zig tests: `11 passed; 1 skipped; 1 failed.`, `All 13 tests passed.` */
export function runnerCounts(ended: Ended): Counts {
  const summary = /^(\d+) passed; (\d+) skipped; (\d+) failed\.$|^All (\d+) tests passed\.$/gm;
  const match = [...ended.output.matchAll(summary)].at(-1);
  return checked(ended, {
    passed: Number(match?.[1] ?? match?.[4] ?? 0),
    skipped: Number(match?.[2] ?? 0),
    failed: Number(match?.[3] ?? 0),
  });
}

/**
 * Counts of a Test Anything Protocol: `1..2`, `ok 1 - name`, `not ok 2 - name`. What was announced
 * and never came has failed.
 */
export function tapCounts(ended: Ended): Counts {
  const announced = Number(/^1\.\.(\d+)\r?$/m.exec(ended.output)?.[1] ?? 0);
  const passed = ended.output.match(/^ok \d+ - /gm)?.length ?? 0;
  return checked(ended, { passed, skipped: 0, failed: Math.abs(announced - passed) });
}

function numberBefore(text: string | undefined, word: string): number {
  return Number(new RegExp(`(\\d+) ${word}`).exec(text ?? "")?.[1] ?? 0);
}

function checked(ended: Ended, counts: Counts): Counts {
  const sound = ended.success && counts.passed > 0;
  return sound || counts.failed > 0 ? counts : { ...counts, failed: 1 };
}
