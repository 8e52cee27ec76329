// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * What every bench in TypeScript shares.
 *
 * A file of benches runs in two ways: `deno bench -P FILE` measures one bench after the other, as
 * for any project; `turns.ts` has those of a group take turns, which `deno task bench` does.
 *
 * Each iteration does many operations, `INNER` unless told, so that neither the timer's resolution
 * nor the call of the iteration counts, and checks their sum, so that nothing can be optimised
 * away.
 *
 * @module
 */

/** Whether this is a run that only shows that the benches still work: `-- --smoke`. */
export const smoke: boolean = Deno.args.includes("--smoke");

/** How many operations an iteration does. */
export const INNER: number = smoke ? 100 : 20_000;

const prebuilt = new URL(
  `../native/prebuilt/${Deno.build.arch}-${Deno.build.os}/`,
  import.meta.url,
);

/** The library of `tests/bodies/`. */
export const testBodies: URL = new URL("libtest_bodies.so", prebuilt);

/** fringe's own, for what is measured without the modules. */
export const fringeLibrary: URL = new URL("libfringe.so", prebuilt);

/** One bench: what it does, so many operations at a time. */
export interface Contestant {
  readonly group: string;
  readonly name: string;
  readonly operations: number;
  readonly run: () => void | Promise<void>;
}

/** The benches of this process. */
export const contestants: Contestant[] = [];

/** A ratio of two benches, by their names, and the most that it is to be. */
export interface Target {
  readonly name: string;
  readonly of: string;
  readonly to: string;
  readonly atMost: number;
  /** The bench that tells how little `of` could take. */
  readonly floor?: string;
}

/** The targets of this process. */
export const targets: Target[] = [];

const AsyncFunction = (async () => {}).constructor;

/**
 * Measures `run`, which does so many `operations`, and returns `sum` if it has done them: what they
 * gave, added up, or how many they were.
 */
export function bench(
  group: string,
  name: string,
  run: () => number | Promise<number>,
  sum: number,
  operations: number = INNER,
): void {
  const check = (actual: number): void => {
    if (actual !== sum) throw new Error(`${name} gave ${actual}, not ${sum}`);
  };
  // Deno awaits what is an async function, not what returns a Promise.
  const fn = run instanceof AsyncFunction
    ? async (): Promise<void> => check(await run())
    : (): void => check(run() as number);
  contestants.push({ group, name, operations, run: fn });
  Deno.bench({
    name: `${name} ×${operations}`,
    group,
    fn,
    ...(smoke ? { n: 1, warmup: 1 } : {}),
  });
}

/** Has `of` judged beside `to`; see `Target`. What crosses files stands in run.ts. */
export function target(
  name: string,
  of: string,
  to: string,
  atMost: number,
  floor?: string,
): void {
  targets.push({ name, of, to, atMost, ...(floor === undefined ? {} : { floor }) });
}

/** Has the same work through a library reported, by callbacks of either kind. */
export function libraryTarget(
  work: string,
  atMost: number,
  of: string = `${work}, suspended callback`,
  floor?: string,
): void {
  target(work, of, `${work}, Deno.UnsafeCallback`, atMost, floor);
}

/** 0 + 1 + … + (count - 1). */
export function sumBelow(count: number): number {
  return count * (count - 1) / 2;
}
