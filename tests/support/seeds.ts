// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Which random tests are run: `FRINGE_SEED=…` repeats those of one seed, `FRINGE_ROUNDS=100` tries
 * a hundred seeds in a row.
 *
 * @module
 */

/** The seed that was asked for, if any was. */
export const chosenSeed: number | undefined = positive("FRINGE_SEED");

/** How many rounds of them; also of what depends on when something happens to come. */
export const rounds: number = positive("FRINGE_ROUNDS") ?? 1;

/** The seeds to try. */
export function* seeds(): Generator<number, void> {
  const first = chosenSeed ?? 1 + Math.trunc(Math.random() * 2 ** 30);
  for (let i = 0; i < rounds; i++) yield first + i;
}

/** The positive integer in an environment variable, if that is set. */
function positive(variable: string): number | undefined {
  const text = Deno.env.get(variable);
  if (!text) return undefined;
  const number = Number(text);
  if (Number.isSafeInteger(number) && number > 0) return number;
  throw new RangeError(`${variable} must be a positive integer: got ${text}`);
}
