// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

// What an operation costs where there are many generators, each with a stack of its own: they are
// resumed in random order, so that from some number on stacks and objects come from memory that no
// cache has. tools/plots.ts draws it.

import { dlopen, Generator, StackPool } from "fringe";
import { bench, INNER, smoke, sumBelow, testBodies } from "./setup.ts";

const COUNTS = smoke ? [1, 10] : [1, 10, 100, 1000, 10_000];

const pool = new StackPool({ size: 16 * 1024 });

const library = dlopen(testBodies, { echo_u32: { input: "u32", output: "u32" } });
const { echo_u32 } = library.symbols;

function native(): Generator<number, number> {
  const generator = new Generator(pool.take(), echo_u32);
  generator.resume(0);
  return generator;
}

function* echo(): globalThis.Generator<number, void, number> {
  let input = yield 0;
  while (true) input = yield input;
}

function script(): globalThis.Generator<number, void, number> {
  const generator = echo();
  generator.next(0);
  return generator;
}

/** `length` numbers below `count`, each as often as the others, in random order. */
function randomly(count: number, length: number): Uint32Array {
  const order = Uint32Array.from({ length }, (_, i) => i % count);
  for (let i = length - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1));
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return order;
}

for (const count of COUNTS) {
  const natives = Array.from({ length: count }, native);
  const scripts = Array.from({ length: count }, script);
  const order = randomly(count, INNER);

  bench("stacks", `Generator.resume() among ${count}`, () => {
    let sum = 0;
    for (let i = 0; i < INNER; i++) sum += natives[order[i]!]!.resume(i)!;
    return sum;
  }, sumBelow(INNER));

  bench("stacks", `function* next() among ${count}`, () => {
    let sum = 0;
    for (let i = 0; i < INNER; i++) sum += scripts[order[i]!]!.next(i).value as number;
    return sum;
  }, sumBelow(INNER));

  // `count` are alive at a time; where that is few, it is done again, until a thousand were made.
  const made = Math.max(count, Math.min(INNER, 1000));
  const end = randomly(count, count);
  bench(
    "stacks",
    `made, resumed once, ended among ${count}`,
    () => {
      let sum = 0;
      for (let done = 0; done < made; done += count) {
        const some = Array.from({ length: count }, native);
        for (const i of end) some[i]![Symbol.dispose]();
        sum += count;
      }
      return sum;
    },
    made,
    made,
  );
}
