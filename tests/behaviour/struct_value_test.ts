// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Structs by value arrive as they were passed, both ways, in every form of a call: random structs
 * and unions are compiled by clang and by gcc, and passed as arguments, results, arguments of
 * callbacks and answers.
 *
 * A failure names its seed, as signature_test.ts says.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { dlopen, type VariadicArguments } from "../../mod.ts";
import { type AnyFunction, type Argument, type Form, forms } from "../support/forms.ts";
import { chosenSeed, seeds } from "../support/seeds.ts";
import {
  type Areas,
  type CallbackSpec,
  compile,
  type Compiler,
  definitionOf,
  isCallback,
  meaningOf,
  openAreas,
  type Passed,
  type Signature,
  signatures,
  sizeOf,
  source,
} from "../support/structs.ts";
import { manyTimes, testWith } from "../support/support.ts";

/** How many signatures a library has, and with how many values each is called. */
const SIGNATURES = manyTimes(60);
const VALUES = 3;

/** A value of a scalar type that lies in memory so. */
function valueOf(type: Passed, bytes: Uint8Array<ArrayBuffer>): unknown {
  if (typeof type !== "string") return bytes;
  const view = new DataView(bytes.buffer);
  const reads: Readonly<Record<string, () => unknown>> = {
    bool: () => bytes[0] !== 0,
    i8: () => view.getInt8(0),
    u8: () => view.getUint8(0),
    i16: () => view.getInt16(0, true),
    u16: () => view.getUint16(0, true),
    i32: () => view.getInt32(0, true),
    u32: () => view.getUint32(0, true),
    i64: () => view.getBigInt64(0, true),
    u64: () => view.getBigUint64(0, true),
    f32: () => view.getFloat32(0, true),
    f64: () => view.getFloat64(0, true),
    pointer: () => Deno.UnsafePointer.create(view.getBigUint64(0, true)),
  };
  return reads[type]!();
}

/** What is compared of a value: of a struct the bytes that mean something. */
function comparable(type: Passed, value: unknown): unknown {
  if (type === "pointer") return Deno.UnsafePointer.value(value as Deno.PointerValue);
  if (typeof type === "string") return value;
  const bytes = value as Uint8Array;
  assertEquals(bytes.length, sizeOf(type));
  const meaning = meaningOf(type);
  return [...bytes].map((byte, i) => meaning[i] ? byte : "-").join(" ");
}

/** Bytes from which a scalar value can come: a bool is 0 or 1, and no NaN, which V8 may change. */
function tame(type: Passed, bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  if (type === "bool") bytes[0]! &= 1;
  if (type === "f32" || type === "f64") bytes[bytes.length - 1]! &= 0xbf;
  return bytes;
}

/** What C sees, in its order: its arguments, then what its callbacks answer. */
function seenBy({ parameters }: Signature): Passed[] {
  const values = parameters.filter((parameter) => !isCallback(parameter)) as Passed[];
  return [
    ...values,
    ...parameters.filter(isCallback).map(({ result }) => result).filter((type) =>
      type !== undefined
    ),
  ];
}

/** What C gives: the arguments of each callback, then its result. */
function givenBy({ parameters, result }: Signature): Passed[] {
  const args = parameters.filter(isCallback).flatMap(({ parameters }) => parameters);
  return result === undefined ? args : [...args, result];
}

type Values = { readonly seen: Uint8Array<ArrayBuffer>[]; given: Uint8Array<ArrayBuffer>[] };

function anyValues(signature: Signature): fc.Arbitrary<Values> {
  const of = (types: Passed[]): fc.Arbitrary<Uint8Array<ArrayBuffer>[]> =>
    fc.tuple(...types.map((type) => {
      const size = sizeOf(type);
      return fc.uint8Array({ minLength: size, maxLength: size }).map((bytes) =>
        tame(type, new Uint8Array(bytes))
      );
    }));
  return fc.record({ seen: of(seenBy(signature)), given: of(givenBy(signature)) });
}

async function tryOut(
  f: AnyFunction,
  areas: Areas,
  signature: Signature,
  form: Form,
  values: Values,
): Promise<void> {
  const { parameters, result } = signature;
  const [seen, given] = [seenBy(signature), givenBy(signature)];
  values.given.forEach((bytes, i) => areas.give(i, bytes));
  areas.clear();
  const passed = seen.map((type, i) => valueOf(type, values.seen[i]!));
  let next = 0;
  const args = parameters.map((parameter, place): Argument =>
    isCallback(parameter)
      ? { place, prototype: callbackOf(parameter) as never }
      : { value: passed[next++] }
  );
  const got: unknown[] = [];
  const returned = await form.call(f, args, (place, args) => {
    const callback = parameters[place] as CallbackSpec;
    const all = withRest(callback, args);
    got.push(...callback.parameters.map((type, i) => comparable(type, all[i])));
    return callback.result === undefined ? undefined : passed[next++];
  });
  if (result !== undefined) got.push(comparable(result, returned));
  assertEquals(
    {
      got,
      seen: seen.map((type, i) => comparable(type, valueOf(type, areas.seen(i, sizeOf(type))))),
      place: areas.place,
    },
    {
      got: given.map((type, i) => comparable(type, valueOf(type, values.given[i]!))),
      seen: seen.map((type, i) => comparable(type, passed[i])),
      place: 0n,
    },
  );
}

function callbackOf({ parameters, result, variadic }: CallbackSpec): unknown {
  return {
    parameters: parameters.slice(0, variadic).map(definitionOf),
    result: definitionOf(result),
    variadic: variadic !== undefined,
  };
}

/** All arguments of a callback, those behind its dots, too. */
function withRest({ parameters, variadic }: CallbackSpec, args: readonly unknown[]): unknown[] {
  if (variadic === undefined) return [...args];
  const rest = args.at(-1) as VariadicArguments;
  const read = parameters.slice(variadic).map((type) => rest.next(definitionOf(type) as "i32"));
  return [...args.slice(0, -1), ...read];
}

async function tryAll(path: string, list: Signature[], form: Form, seed: number): Promise<void> {
  const definitions = list.map(({ name, parameters, result, variadic }) => [name, {
    parameters: parameters.map((parameter) =>
      isCallback(parameter) ? { callback: callbackOf(parameter) } : definitionOf(parameter)
    ),
    result: definitionOf(result),
    ...(variadic === undefined ? {} : { variadic }),
    ...(form.nonblocking === undefined ? {} : { nonblocking: form.nonblocking }),
  }]);
  using library = dlopen(path, Object.fromEntries(definitions));
  using areas = openAreas(path);
  const symbols = library.symbols as unknown as Record<string, AnyFunction>;
  for (const signature of list) {
    const about = source([signature]).split("\n").filter((line) =>
      /^typedef|^#pragma|_0\(|random_/.test(line)
    ).join("\n");
    if (chosenSeed !== undefined) console.log(about);
    const details = await fc.check(
      fc.asyncProperty(
        anyValues(signature),
        (values) => tryOut(symbols[signature.name]!, areas, signature, form, values),
      ),
      { seed, numRuns: VALUES, endOnFailure: true },
    );
    if (!details.failed) continue;
    throw new Error(`${about}\nfails`, { cause: details.errorInstance });
  }
}

/** Tries all forms against what one compiler makes of random signatures. */
async function tryCompiler(compiler: Compiler, t: Deno.TestContext): Promise<void> {
  for (const seed of seeds()) {
    const directory = await Deno.makeTempDir({ prefix: "fringe-struct-" });
    try {
      const list = signatures(seed, SIGNATURES);
      const path = await compile(list, compiler, directory);
      for (const form of forms) {
        // The name tells the seed before anything can crash.
        const name = `${form.name}, FRINGE_SEED=${seed}`;
        await t.step(name, async () => await tryAll(path, list, form, seed));
      }
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  }
}

Deno.test("structs by value arrive as they were passed to what clang compiles", async (t) => {
  await tryCompiler("clang", t);
});

testWith("g++", "structs by value arrive as they were passed to what gcc compiles", async (t) => {
  await tryCompiler("gcc", t);
});
