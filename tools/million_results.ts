// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * What `deno task million` writes, and what is wanted of it: times in nanoseconds, memory in bytes,
 * for each one.
 */

/** How many there are at most. */
export const MILLION = 1_000_000;

/** What is found out with so many generators; times in nanoseconds for each. */
export interface Generators {
  readonly count: number;
  readonly made: number;
  readonly resumed: number;
  readonly ended: number;
  /** A load that depends on the one before. */
  readonly load: number;
  /** Bytes that are resident for each. */
  readonly bytes: number;
  /** MB that are resident, and mappings, more than before: when all have been disposed of. */
  readonly left: number;
  readonly mappings: number;
}

/** What is found out with so many calls; times in nanoseconds for each. */
export interface Calls {
  readonly count: number;
  /** To make the call, until its handler is awaited. */
  readonly made: number;
  /** To answer, until the call's own Promise is settled. */
  readonly answered: number;
  /** Bytes that are resident for each; how many of them are V8's objects. */
  readonly bytes: number;
  readonly objects: number;
  /** Bytes of the kernel's for each, beside them, which say where the stack is. */
  readonly tables: number;
}

/** Bytes that are resident for each. */
export interface Kept {
  readonly generator: { readonly little: number; readonly much: number };
  readonly call: { readonly little: number; readonly much: number };
  /** What it takes to give the pages of one back, in nanoseconds: of one that has none to give. */
  readonly advised: { readonly none: number; readonly much: number };
  /** What it takes to use much: pages that are there, and pages that have been given back. */
  readonly used: { readonly there: number; readonly givenBack: number };
  /** Bytes that are resident for each after they have been given back. */
  readonly left: number;
}

/** What is found out: nanoseconds for a resume, and for a page. */
export interface Layouts {
  readonly colours: readonly {
    readonly count: number;
    readonly same: number;
    readonly coloured: number;
  }[];
  readonly touched: number;
  readonly populated: number;
}

/** What an operation takes in one Worker, alone and beside another one, in nanoseconds. */
export interface Beside {
  readonly operation: string;
  readonly alone: number;
  readonly beside: number;
}

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

/** The one in the middle. */
export function median(samples: readonly number[]): number {
  return samples.toSorted((a, b) => a - b)[samples.length >> 1]!;
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
