// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Whatever the signature and the values, C sees what TypeScript passes, and the other way round:
 * random signatures are compiled, and called with random values.
 *
 * Each run has other signatures. A failure names its seed: `FRINGE_SEED=… deno test -P=suite
 * tests/behaviour/signature_test.ts` has the same signatures, and prints each before its turn,
 * should the process crash. `FRINGE_ROUNDS=100` runs a hundred seeds in a row.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { dlopen } from "../../mod.ts";
import {
  type Answer,
  type AnyFunction,
  type Argument,
  type Form,
  forms,
} from "../support/forms.ts";
import {
  anyValues,
  type Areas,
  compile,
  expectedSights,
  expectedToGet,
  extremeValues,
  openAreas,
  prepare,
  type Prototype,
  prototype,
  received,
  sights,
  type Signature,
  signatures,
  type Values,
} from "../support/signature.ts";
import { chosenSeed, seeds } from "../support/seeds.ts";
import { gc, manyTimes } from "../support/support.ts";

/** How many random signatures a library has, and how many random values each is called with. */
const SIGNATURES = manyTimes(50);
const VALUES = 8;

/** A library's functions, and the memory that they use. */
interface Echoes extends Disposable {
  readonly symbols: Readonly<Record<string, AnyFunction>>;
  readonly areas: Areas;
}

function open(path: string, list: readonly Signature[], { nonblocking }: Form): Echoes {
  const definitions = list.map(({ name, parameters, result, variadic }) => [name, {
    parameters: parameters.map((type) => typeof type === "string" ? type : { callback: type }),
    result,
    ...(variadic === undefined ? {} : { variadic }),
    ...(nonblocking === undefined ? {} : { nonblocking }),
  }]);
  const library = dlopen(path, Object.fromEntries(definitions));
  const areas = openAreas(path);
  return {
    symbols: library.symbols as unknown as Record<string, AnyFunction>,
    areas,
    [Symbol.dispose]() {
      areas[Symbol.dispose]();
      library.close();
    },
  };
}

/** Calls a function with some values, and compares all that comes of it. */
async function tryOut(
  { symbols, areas }: Echoes,
  signature: Signature,
  form: Form,
  values: Values,
): Promise<void> {
  const { name, parameters, calls } = signature;
  const copied = form.nonblocking !== undefined;
  const passed = prepare(areas, signature, values);
  let next = 0;
  const args = parameters.map((type, i): Argument =>
    typeof type === "string" ? { value: passed[next++] } : { place: i, prototype: type }
  );
  const got: { place: number; args: unknown[] }[] = [];
  const answer: Answer = (place, args) => {
    const expectedPlace = calls[got.length];
    got.push({ place, args: args.map(received) });
    if (expectedPlace === undefined) throw new Error("C has called back too often");
    // What C holds has to stand a collection while C waits.
    if (values.dirt % 8n === 7n) gc("minor");
    const { result } = parameters[expectedPlace] as Prototype;
    return result === "void" ? undefined : passed[next++];
  };
  const result = await form.call(symbols[name]!, args, answer);

  const expected = expectedToGet(signature, values);
  const expectedCalls = calls.map((place) => {
    const { parameters: types } = parameters[place] as Prototype;
    return { place, args: expected.splice(0, types.length) };
  });
  assertEquals(
    {
      calls: got,
      result: received(result),
      sights: sights(areas, signature, values, passed, copied),
    },
    {
      calls: expectedCalls,
      result: expected[0],
      sights: expectedSights(signature, values, passed, copied),
    },
  );
}

/** Calls every function of a library in one form, with all extreme values, and with random ones. */
async function tryAll(
  path: string,
  list: readonly Signature[],
  form: Form,
  seed: number,
): Promise<void> {
  using echoes = open(path, list, form);
  for (const signature of list) {
    const { calls, late, dirty } = signature;
    const about = `${prototype(signature)}\ncalls back [${calls.map((i) => `a${i}`).join(", ")}]` +
      `${late ? ", looks at its arguments after that" : ""}${dirty ? ", leaves garbage" : ""}`;
    if (chosenSeed !== undefined) console.log(about);
    const examples = extremeValues(signature).map((values): [Values] => [values]);
    const details = await fc.check(
      fc.asyncProperty(anyValues(signature), (values) => tryOut(echoes, signature, form, values)),
      { seed, examples, numRuns: examples.length + VALUES },
    );
    if (!details.failed) continue;
    const { counterexample, numShrinks, errorInstance: cause } = details;
    throw new Error(
      `${about}\nfails with ${fc.stringify(counterexample?.[0])} (shrunk ${numShrinks} times)`,
      { cause },
    );
  }
}

Deno.test("dlopen() has C see what is passed, and gives what C does, in every form", async (t) => {
  const directory = await Deno.makeTempDir({ prefix: "fringe-signature-" });
  try {
    for (const seed of seeds()) {
      const libraries = await Promise.all(["-O1", "-O2"].map(async (optimization, i) => {
        const list = signatures(2 * seed + i, SIGNATURES);
        return {
          optimization,
          list,
          path: await compile(list, optimization, directory, `${seed}${optimization}`),
        };
      }));
      for (const { optimization, list, path } of libraries) {
        for (const form of forms) {
          // The name tells the seed before anything can crash.
          const name = `${form.name}, C compiled with ${optimization}, FRINGE_SEED=${seed}`;
          await t.step(name, async () => await tryAll(path, list, form, seed));
        }
      }
    }
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
