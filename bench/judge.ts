// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * What `bench/run.ts` makes of its samples.
 *
 * A bench runs in several rounds, each in a process of its own; in a round the benches of a group
 * take turns. What else a machine does only ever adds to a sample, so of a round the least one
 * counts. Medians move with the load, and not by the same share for each bench: where a core serves
 * two threads, what waits for memory loses less to the other one than what computes.
 *
 *     turn     1     2     3
 *     A      4.0   3.1   5.2     the least of A is 3.1, that of B 3.3: their ratio is 0.94
 *     B      3.3   3.9   4.6     (of the medians 4.0 and 3.9 it would be 1.03)
 *
 * Of the rounds the lower quartile counts. A process may be slower than others from its beginning
 * to its end, where V8 has compiled the same code in another way, or one in ten may be faster.
 *
 * @module
 */

import type { Target } from "./setup.ts";

/** What one operation took in each turn of each round, in nanoseconds. */
export type Rounds = readonly (readonly number[])[];

/** Of the rounds: the least, and the most. */
export type Spread = readonly [least: number, most: number];

/** What a bench has measured, or why that is not known. */
export interface Figure {
  readonly group: string;
  readonly name: string;
  readonly rounds: Rounds;
  readonly missing?: string;
}

/** A target, and what the ratio was; none if it could not be measured. */
export interface Judged extends Target {
  readonly ratio?: number;
  /** The ratio in the round where it was the least, and the most. */
  readonly spread?: Spread;
  /** By what share the rounds that are even differ from those that are odd. */
  readonly differs?: number;
}

/** By what share a ratio may differ between two runs, before the machine is too noisy to tell. */
export const NOISE = 0.05;

function least(turns: readonly number[]): number {
  return Math.min(...turns);
}

/** The lower quartile of what was the least in each round. */
function typical(rounds: Rounds): number {
  return rounds.map(least).sort((a, b) => a - b)[rounds.length >> 2]!;
}

function spreadOf(values: readonly number[]): Spread {
  return [Math.min(...values), Math.max(...values)];
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}

/** The figures of a bench: what is typical, the median of all, and the least ones of the rounds. */
export function summary(rounds: Rounds): { ns: number; median: number; spread: Spread } {
  return {
    ns: round(typical(rounds)),
    median: round(median(rounds.map(median))),
    spread: spreadOf(rounds.map((turns) => round(least(turns)))),
  };
}

/** By what share two ratios differ. */
export function difference(a: number, b: number): number {
  return Math.abs(a - b) / Math.min(a, b);
}

/** Compares a target with the figures. */
export function judge(target: Target, figures: readonly Figure[]): Judged {
  const [of, to] = [target.of, target.to].map((name) =>
    figures.find((figure) => figure.name === name)?.rounds ?? []
  ) as [Rounds, Rounds];
  if (of.length === 0 || to.length === 0) return target;
  const [even, odd] = [0, 1].map((rest) => {
    const half = ([of, to] as const).map((rounds) => rounds.filter((_, i) => i % 2 === rest));
    return typical(half[0]!) / typical(half[1]!);
  }) as [number, number];
  return {
    ...target,
    ratio: round(typical(of) / typical(to)),
    // Those of a round stood beside each other, so this tells what changes from round to round.
    spread: spreadOf(of.map((turns, i) => round(least(turns) / least(to[i] ?? [])))),
    ...(of.length > 1 ? { differs: round(difference(even, odd)) } : {}),
  };
}

/** Whether two runs of half as many rounds would not have agreed. */
export function isNoisy({ differs }: Judged): boolean {
  return differs !== undefined && differs > NOISE;
}

/** Whether a goal is met. */
export function outcome({ ratio, atMost }: Judged): string {
  if (ratio === undefined) return "not measured";
  return ratio <= atMost ? "met" : "missed";
}

function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}
