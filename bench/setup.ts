// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * What every bench in TypeScript shares.
 *
 * Each `Deno.bench` iteration does many operations, `INNER` unless told, so that neither the
 * timer's resolution nor the call of the iteration counts, and checks their sum, so that nothing
 * can be optimised away.
 *
 * @module
 */

/** Whether this is a run that only shows that the benches still work: `-- --smoke`. */
export const smoke: boolean = Deno.args.includes("--smoke");

/** How many operations an iteration does. */
export const INNER: number = smoke ? 100 : 20_000;

/** The library of `tests/bodies/`. */
export const testBodies: URL = new URL(
  `../native/prebuilt/${Deno.build.arch}-${Deno.build.os}/libtest_bodies.so`,
  import.meta.url,
);

const AsyncFunction = (async () => {}).constructor;

/**
 * Measures `run`, which does so many `operations`, and returns `sum` if it has done them: what they
 * gave, added up, or how many they were. The name says how many; run.ts divides by it.
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
  Deno.bench({
    name: `${name} ×${operations}`,
    group,
    fn,
    ...(smoke ? { n: 1, warmup: 1 } : {}),
  });
}

/** 0 + 1 + … + (count - 1). */
export function sumBelow(count: number): number {
  return count * (count - 1) / 2;
}
