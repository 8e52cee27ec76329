// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Measures what a generator costs where up to a million are suspended at once, each on a guarded
 * stack of a `StackPool`: `deno task million`, or with the largest number as its argument. It needs
 * 5 GB of memory for a million.
 *
 * Each number has a process of its own. Resumes, and ends, come in random order, so that no cache
 * helps. Beside them stands what one load takes that depends on the one before, each in another
 * page of as much memory: a resume is at least the first touch of an object, and of a stack.
 *
 * @module
 */

import { dlopen, Generator, StackPool } from "fringe";
import { testBodies } from "./setup.ts";

const SIZE = 64 * 1024;

/** What is found out with so many generators; times in nanoseconds for each. */
export interface Million {
  readonly count: number;
  readonly made: number;
  readonly resumed: number;
  readonly disposed: number;
  /** A load that depends on the one before. */
  readonly load: number;
  /** Bytes that are resident for each. */
  readonly bytes: number;
  /** MB that are resident, and mappings, more than before: when all have been disposed of. */
  readonly left: number;
  readonly mappings: number;
}

/** Bytes of this process that are resident. */
function resident(): number {
  return Deno.memoryUsage().rss;
}

/** How many mappings this process has, those of V8's heap with them. */
function mappings(): number {
  return Deno.readTextFileSync("/proc/self/maps").split("\n").length - 1;
}

/** The numbers below `count`, in random order. */
function shuffled(count: number): Uint32Array {
  const order = Uint32Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1));
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return order;
}

/** What a load takes that depends on the one before, each in a page of its own. */
function load(order: Uint32Array): number {
  const words = 4096 / Uint32Array.BYTES_PER_ELEMENT;
  // A quarter of the pages, and no more than 256 MB: the rest is like these.
  const pages = order.filter((page) => page < Math.min(order.length, 65_536));
  const memory = new Uint32Array(pages.length * words);
  for (let i = 0; i < pages.length; i++) {
    memory[pages[i]! * words] = pages[(i + 1) % pages.length]!;
  }
  let at = pages[0]!;
  const start = performance.now();
  for (let i = 0; i < pages.length; i++) at = memory[at * words]!;
  const took = performance.now() - start;
  if (at !== pages[0]) throw new Error("The loads have not come round");
  return took * 1e6 / pages.length;
}

/** Lets V8 collect what is garbage, and finalizers run. */
async function collect(): Promise<void> {
  for (let i = 0; i < 3; i++) {
    (globalThis as unknown as { gc(): void }).gc();
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** For how many seconds V8 may hold the memory of garbage. It was seen to let go after twelve. */
const PATIENCE = 20;

/**
 * Measures with so many generators, in this process. What is left in the end is looked at after
 * `patience` seconds, or as soon as V8 has given back what its heap no longer needs.
 */
async function measure(count: number, patience: number): Promise<Million> {
  const library = dlopen(testBodies, { echo_u32: { input: "u32", output: "u32" } });
  const pool = new StackPool({ size: SIZE });
  const make = (i: number): Generator<number, number> => {
    const generator = new Generator(pool.take(), library.symbols.echo_u32);
    if (generator.resume(i) !== i) throw new Error("It does not echo");
    return generator;
  };
  // V8 compiles what runs often.
  for (let i = 0; i < 30_000; i++) make(i)[Symbol.dispose]();
  const [order, end] = [shuffled(count), shuffled(count)];
  const generators = new Array<Generator<number, number>>(count);
  const loaded = load(order);
  await collect();
  const before = { resident: resident(), mappings: mappings() };

  const timed = (step: (i: number) => void): number => {
    const start = performance.now();
    for (let i = 0; i < count; i++) step(i);
    return (performance.now() - start) * 1e6 / count;
  };
  const made = timed((i) => generators[i] = make(i));
  const bytes = (resident() - before.resident) / count;
  const resumed = timed((i) => {
    if (generators[order[i]!]!.resume(i) !== i) throw new Error("It does not echo");
  });
  const disposed = timed((i) => generators[end[i]!]![Symbol.dispose]());
  generators.length = 0;
  await collect();
  for (let i = 0; i < patience && mappings() > before.mappings + 10; i++) {
    await new Promise((resolve) => setTimeout(resolve, 1000));
    await collect();
  }
  return {
    count,
    made,
    resumed,
    disposed,
    load: loaded,
    bytes,
    left: (resident() - before.resident) / 1e6,
    mappings: mappings() - before.mappings,
  };
}

/** Measures in a process of its own, which has all permissions: it reads /proc/self/maps. */
async function apart(count: number): Promise<Million> {
  const one = ["--one", `${count}`, `${PATIENCE}`];
  const { code, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-P=suite", "--v8-flags=--expose-gc", import.meta.filename!, ...one],
    stderr: "inherit",
  }).output();
  if (code !== 0) throw new Error(`With ${count} generators it has failed`);
  return JSON.parse(new TextDecoder().decode(stdout));
}

const head = [
  "generators",
  "made, ns each",
  "bytes each",
  "resumed, ns",
  "a load, ns",
  "ended, ns each",
  "left, MB",
  "mappings",
];

function row(measured: Million): string[] {
  const { count, made, bytes, resumed, load, disposed, left, mappings } = measured;
  return [count, made, bytes, resumed, load, disposed, left, mappings]
    .map((value) => Math.round(value).toLocaleString("en"));
}

if (import.meta.main) {
  if (Deno.args[0] === "--one") {
    console.log(JSON.stringify(await measure(Number(Deno.args[1]), Number(Deno.args[2]))));
  } else {
    const most = Number(Deno.args[0] ?? 1_000_000);
    const print = (cells: readonly string[]): void =>
      console.log(cells.map((cell) => cell.padStart(16)).join(""));
    print(head);
    for (let count = 1000; count <= most; count *= 10) print(row(await apart(count)));
  }
}
