// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Switches stacks a billion times, or as often as the argument says, in every way there is, and
 * fails if the process has grown meanwhile: `deno task soak [switches]`.
 *
 * A resume is two switches, there and back; so is a callback that is answered, and so is the end of
 * what is suspended.
 *
 * It reads /proc/self/maps, which Deno lets nobody do without all permissions.
 *
 * @module
 */

import { dlopen, Generator, OsStack } from "fringe";
import { collectUntil, testBodies } from "../tests/support/support.ts";

const SWITCHES_DEFAULT = 1_000_000_000;
const ROUND_MAX = 10_000_000;
const ROUNDS_MIN = 20;

/** Rounds in which V8 and malloc take what they keep. */
const WARM_UP_ROUNDS = 10;

/** How many generators each round makes, of each kind. */
const GENERATORS = 500;

/** How much of the process there is. */
export interface Size {
  /** Resident memory, in bytes. */
  readonly rss: number;
  readonly mappings: number;
}

/**
 * What V8 may take now and then, with its young generation kept small (`--max-semi-space-size`): it
 * doubles by and by, up to 32 MiB. A stack that is left behind is 8 KiB at least.
 */
const GROWTH_MAX: Size = { rss: 8 * 1024 * 1024, mappings: 32 };

/** Says by how much the process has grown, if that is too much. */
export function grown(before: Size, after: Size): string | undefined {
  if (after.rss > before.rss + GROWTH_MAX.rss) {
    return `resident memory has grown from ${mebibytes(before.rss)} to ${mebibytes(after.rss)}, ` +
      `and may by ${mebibytes(GROWTH_MAX.rss)}`;
  }
  if (after.mappings > before.mappings + GROWTH_MAX.mappings) {
    return `the mappings have grown from ${before.mappings} to ${after.mappings}, and may by ` +
      `${GROWTH_MAX.mappings}`;
  }
  return undefined;
}

function mebibytes(bytes: number): string {
  return `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
}

function measure(): Size {
  const mappings = Deno.readTextFileSync("/proc/self/maps").trimEnd().split("\n").length;
  return { rss: Deno.memoryUsage().rss, mappings };
}

const i32Callback = { callback: { parameters: ["i32"], result: "i32" } } as const;

function open() {
  return dlopen(testBodies, {
    echo_u32: { input: "u32", output: "u32" },
    has_destructor: { input: "void", output: "i32" },
    call_n: { parameters: ["i32", i32Callback], result: "i32" },
    with_destructor: { parameters: [i32Callback], result: "i32" },
    destructor_count: { parameters: [], result: "i32" },
  }).symbols;
}

type Symbols = ReturnType<typeof open>;

function expect(actual: unknown, expected: unknown): void {
  if (actual !== expected) throw new Error(`Expected ${expected}, got ${actual}`);
}

/** The ways to switch again and again, each with its share of a round. */
const ways: readonly {
  readonly share: number;
  run(symbols: Symbols, pairs: number): void | Promise<void>;
}[] = [
  {
    share: 0.48,
    run({ echo_u32 }, pairs) {
      using generator = new Generator(new OsStack(), echo_u32);
      for (let i = 0; i < pairs; i++) expect(generator.resume(i), i);
    },
  },
  {
    share: 0.48,
    run({ call_n }, pairs) {
      let count = 0;
      expect(call_n(pairs, () => (count++, 1)), pairs);
      expect(count, pairs);
    },
  },
  {
    share: 0.01,
    run({ call_n }, pairs) {
      let count = 0;
      for (const call of call_n.calls(pairs)) {
        expect(call.args[0], count++);
        call.reply(1);
      }
      expect(count, pairs);
    },
  },
  {
    share: 0.02,
    run({ call_n }, pairs) {
      using generator = new Generator(new OsStack(), function* (yielder) {
        return yield* yielder.call(call_n, pairs, function* (i) {
          yield i;
          return 1;
        });
      });
      let count = 0;
      for (const i of generator) expect(i, count++);
      expect(count, pairs);
    },
  },
  {
    share: 0.01,
    async run({ call_n }, pairs) {
      expect(await call_n.async(pairs, async () => await 1), pairs);
    },
  },
];

/** A generator that is suspended in a body, and one that is in a call: four switches. */
function begin({ has_destructor, with_destructor }: Symbols): Disposable[] {
  const body = new Generator(new OsStack(64 * 1024), has_destructor);
  const calling = new Generator(new OsStack(64 * 1024), function* (yielder) {
    yield* yielder.call(with_destructor, function* () {
      yield;
      return 1;
    });
  });
  body.resume();
  calling.resume();
  return [body, calling];
}

/** Ends some in the middle, and drops others; both destroy what they had. */
async function makeGenerators(symbols: Symbols): Promise<number> {
  const { destructor_count } = symbols;
  const before = destructor_count();
  for (let i = 0; i < GENERATORS; i++) {
    for (const generator of begin(symbols)) generator[Symbol.dispose]();
  }
  expect(destructor_count(), before + 2 * GENERATORS);
  for (let i = 0; i < GENERATORS; i++) begin(symbols);
  await collectUntil(() => destructor_count() === before + 4 * GENERATORS);
  expect(destructor_count(), before + 4 * GENERATORS);
  // There and back, each two switches: to its suspension and to its end.
  return 4 * GENERATORS * 2 * 2;
}

async function round(symbols: Symbols, switches: number): Promise<number> {
  let made = 0;
  for (const { share, run } of ways) {
    const pairs = Math.ceil(switches * share / 2);
    await run(symbols, pairs);
    made += 2 * pairs;
  }
  // Last, because it collects what is garbage, also that of the others.
  return made + await makeGenerators(symbols);
}

/** Soaks; returns what is wrong, if anything is. */
async function soak(switches: number): Promise<string | undefined> {
  const symbols = open();
  const size = Math.min(ROUND_MAX, Math.ceil(switches / ROUNDS_MIN));
  const start = performance.now();
  let before: Size | undefined;
  for (let [made, number] = [0, 1]; made < switches; number++) {
    made += await round(symbols, size);
    const after = measure();
    const rate = made / (performance.now() - start) / 1000;
    console.log(
      `${made.toLocaleString("en")} switches, ${rate.toFixed(1)} million a second; ` +
        `${mebibytes(after.rss)} resident, ${after.mappings} mappings`,
    );
    if (number === WARM_UP_ROUNDS) before = after;
    const wrong = before === undefined ? undefined : grown(before, after);
    if (wrong !== undefined) return wrong;
  }
  return undefined;
}

if (import.meta.main) {
  const switches = Number(Deno.args[0] ?? SWITCHES_DEFAULT);
  if (!Number.isSafeInteger(switches) || switches < 1) {
    console.error(`How many switches must be a positive integer: got ${Deno.args[0]}`);
    Deno.exit(1);
  }
  const wrong = await soak(switches);
  console.log(wrong === undefined ? "The process has not grown" : `Failed: ${wrong}`);
  Deno.exit(wrong === undefined ? 0 : 1);
}
