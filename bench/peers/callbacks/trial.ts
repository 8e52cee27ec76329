// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * What every probe shares. A probe is one peer's answers to the questions of `run.ts`: a program
 * that tries ONE of them and prints a cell, `probe.ts LIBRARY ROW`. So a trial that ends the
 * process, or waits for ever, costs no other. It runs on Deno, Node.js and Bun.
 *
 * @module
 */

import { writeSync } from "node:fs";
import { dirname } from "node:path";
import process from "node:process";
import type { Cell } from "../../../tools/comparison.ts";
import { BEGUN, type Row } from "./rows.ts";

/** A trial for each question. */
export type Trials = Readonly<Record<Row, () => Cell | Promise<Cell>>>;

/** The library of `trials.c`. */
export const library: string = process.argv[2]!;

/** The folder that the packages of npm are in. */
export const folder: string = `${dirname(library)}/`;

/** A library that nothing was said about: a permission for one must not reach it. */
export const otherLibrary = "libm.so.6";

/** How many MiB of stack are more than a thread has, which are 8. */
export const DEEP = 12;

/** How often C jumps, since once may go well. */
export const JUMPS = 1_000;

/** What no handler and no caller has caught. */
export const uncaught: unknown[] = [];

export const yes = (note?: string): Cell => cell("yes", note);
export const no = (note?: string): Cell => cell("no", note);
export const partly = (note: string): Cell => cell("partly", note);

function cell(verdict: Cell["verdict"], note?: string): Cell {
  return note === undefined ? { verdict } : { verdict, note };
}

export function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** Has the collector run, which looks at all that is on the stack. */
export function collect(): void {
  let kept: object[] = [];
  for (let i = 0; i < 3_000_000; i++) {
    if (i % 100_000 === 0) kept = [];
    kept.push({ i });
  }
}

/** How often the event loop came round while `run` ran. */
export async function ticksDuring(run: () => unknown): Promise<number> {
  let ticks = 0;
  const timer = setInterval(() => ticks++, 2);
  await run();
  clearInterval(timer);
  return ticks;
}

/** Times `run`, which does `count` operations and whose result is the sum 0 + 1 + … */
export async function time(
  count: number,
  run: (count: number) => number | Promise<number>,
): Promise<Cell> {
  const samples: number[] = [];
  for (let round = 0; round < 9; round++) {
    const start = performance.now();
    const pending = run(count);
    const sum = typeof pending === "number" ? pending : await pending;
    samples.push((performance.now() - start) * 1e6 / count);
    // C adds up in 32 bits, and wraps round.
    const expected = Number(BigInt.asIntN(32, BigInt(count) * BigInt(count - 1) / 2n));
    if (sum !== expected) throw new Error(`the sum is ${sum}, not ${expected}`);
  }
  // The first rounds warm up the compiler; of the others, the median counts.
  const ns = samples.slice(2).sort((a, b) => a - b)[3]!;
  return { verdict: "yes", ns: Math.round(ns * 10) / 10 };
}

/** Tries what the command line asks for, and prints the cell. */
export async function main(trials: Trials): Promise<void> {
  process.on("uncaughtException", (error) => uncaught.push(error));
  writeSync(1, `${BEGUN}\n`);
  let cell: Cell;
  try {
    cell = await trials[process.argv[3] as Row]();
  } catch (error) {
    cell = { verdict: "no", seen: String(error) };
  }
  writeSync(1, JSON.stringify(cell));
  // A peer may hold the process open.
  process.exit();
}
