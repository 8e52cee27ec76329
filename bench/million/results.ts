// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** What `deno task million` writes, and what is wanted of it. */

import type { Calls } from "./calls.ts";
import type { Generators } from "./generators.ts";
import type { Kept } from "./kept.ts";
import type { Layouts } from "./layouts.ts";
import { median } from "./support.ts";
import type { Beside } from "./workers.ts";

/** How many there are at most. */
export const MILLION = 1_000_000;

/** `bench/million.json`. */
export interface Million {
  readonly machine: { readonly cpu: string; readonly cores: number; readonly release: string };
  readonly deno: string;
  readonly rounds: number;
  /** Each number of generators in each round. */
  readonly generators: readonly Generators[];
  /** Each number of calls, once. */
  readonly calls: readonly Calls[];
  readonly kept: Kept;
  readonly layouts: Layouts;
  readonly workers: readonly Beside[];
}

/** Median, least and most of a figure among so many generators. */
export function among(
  generators: readonly Generators[],
  count: number,
  name: keyof Generators,
): { median: number; spread: [least: number, most: number] } {
  const samples = generators.filter((one) => one.count === count).map((one) => one[name]);
  return { median: median(samples), spread: [Math.min(...samples), Math.max(...samples)] };
}

/** A figure, and the most that it is to be. */
export interface Goal {
  readonly name: string;
  readonly measured: number;
  readonly atMost: number;
  readonly unit: string;
}

/** What is wanted of a million, and that each of them costs no more than each of a thousand. */
export function goals(generators: readonly Generators[]): Goal[] {
  const of = (name: keyof Generators): number => among(generators, MILLION, name).median;
  const growth = (name: keyof Generators): number =>
    of(name) / among(generators, 1000, name).median;
  return [
    { name: "a million made", measured: of("made") / 1000, atMost: 6, unit: "s" },
    { name: "resident, each", measured: of("bytes"), atMost: 4900, unit: "bytes" },
    { name: "one resume each, in random order", measured: of("resumed"), atMost: 500, unit: "ns" },
    { name: "all ended, in random order", measured: of("ended") / 1000, atMost: 6, unit: "s" },
    { name: "memory left behind", measured: of("left"), atMost: 100, unit: "MB" },
    { name: "mappings left behind", measured: of("mappings"), atMost: 50, unit: "" },
    { name: "made, to the same of 1,000", measured: growth("made"), atMost: 2, unit: "times" },
    { name: "resumed, likewise", measured: growth("resumed"), atMost: 2, unit: "times" },
    { name: "ended, likewise", measured: growth("ended"), atMost: 2, unit: "times" },
  ];
}

/** Whether a goal is met. */
export function outcome({ measured, atMost }: Goal): "met" | "missed" {
  return measured <= atMost ? "met" : "missed";
}
