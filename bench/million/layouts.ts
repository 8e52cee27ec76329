// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * What the place of frames in a stack costs, and how its pages are committed.
 *
 *  - A `StackPool` has stacks of 16 KiB begin at 16 different lines of a cache, and smaller ones at
 *    the same (ffi/stack/stack_pool.ts, "Where frames begin"). So a pool of each kind is resumed in
 *    random order, again and again, and the two take turns.
 *  - The pages of stacks are committed when they are touched, each by a fault. Beside that stands
 *    what the system takes to commit all pages of as much memory at once.
 *
 * @module
 */

import { dlopen, Generator, StackPool } from "fringe";
import { testBodies } from "../setup.ts";
import { timed } from "./support.ts";

/** Among so many generators. */
const COUNTS = [16, 32, 1000];
const KIB = 1024;
const TURNS = 25;
const RESUMES = 50_000;
/** How many pages are committed. */
const PAGES = 50_000;
const PAGE = 4 * KIB;

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

const library = dlopen(testBodies, { echo_u32: { input: "u32", output: "u32" } });

/** The least that a resume takes in any turn, for each size of stacks. */
function among(count: number, ...sizes: readonly number[]): number[] {
  using disposables = new DisposableStack();
  const all = sizes.map((size) => {
    const pool = disposables.use(new StackPool({ size }));
    const generators = Array.from({ length: count }, () => {
      const generator = new Generator(pool.take(), library.symbols.echo_u32);
      generator.resume(0);
      return disposables.use(generator);
    });
    return { generators, least: Infinity };
  });
  const order = Uint32Array.from({ length: RESUMES }, () => Math.floor(Math.random() * count));
  for (let turn = 0; turn < TURNS; turn++) {
    for (const one of all) one.least = Math.min(one.least, resume(one.generators, order));
  }
  return all.map(({ least }) => least);
}

function resume(generators: readonly Generator<number, number>[], order: Uint32Array): number {
  let sum = 0;
  const took = timed(RESUMES, (i) => sum += generators[order[i]!]!.resume(1)!);
  if (sum !== RESUMES) throw new Error("It does not echo");
  return took;
}

/** What it takes to commit a page: by touching it, and with all others. */
function commit(): Pick<Layouts, "touched" | "populated"> {
  const libc = Deno.dlopen("libc.so.6", {
    mmap: { parameters: ["usize", "usize", "i32", "i32", "i32", "i64"], result: "pointer" },
    madvise: { parameters: ["pointer", "usize", "i32"], result: "i32" },
  }).symbols;
  const [PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, MADV_POPULATE_WRITE] = [3, 0x22, 23];
  const size = BigInt(PAGES * PAGE);
  const map = () => libc.mmap(0n, size, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, -1, 0n)!;
  const memory = new Uint8Array(Deno.UnsafePointerView.getArrayBuffer(map(), PAGES * PAGE));
  const touched = timed(PAGES, (i) => memory[i * PAGE] = 1);
  const other = map();
  const populated = timed(1, () => {
    if (libc.madvise(other, size, MADV_POPULATE_WRITE) !== 0) throw new Error("It is refused");
  }) / PAGES;
  return { touched, populated };
}

if (import.meta.main) {
  const colours = COUNTS.map((count) => {
    const [same, coloured] = among(count, 8 * KIB, 16 * KIB) as [number, number];
    return { count, same, coloured };
  });
  console.log(JSON.stringify({ colours, ...commit() } satisfies Layouts));
}
