// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * What the place of frames in a stack costs, and how its pages are committed.
 *
 *  - A `StackPool` has stacks of 16 KiB begin at 16 different lines of a cache, and smaller ones at
 *    the same (ffi/stack/stack_pool.ts, "Where frames begin"). So a pool of each kind is resumed in
 *    random order, again and again, and the two take turns.
 *  - The pages of stacks are committed when they are touched, each by a fault. Beside that stands
 *    what the system takes to commit those at the tops of 64 stacks by one call.
 *
 * @module
 */

import { dlopen, Generator, StackPool } from "fringe";
import type { Layouts } from "../../tools/million_results.ts";
import { testBodies } from "../setup.ts";
import { timed } from "./support.ts";

/** Among so many generators. */
const COUNTS = [16, 32, 1000];
const KIB = 1024;
const TURNS = 25;
const RESUMES = 50_000;
/** How many pages are committed, and how many of them by one call. */
const [PAGES, TOGETHER] = [64_000, 64];
const PAGE = 4 * KIB;
/** How far apart they are. */
const STRIDE = 68 * KIB;

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

/** What it takes to commit the page at the top of a stack: by touching it, and 64 by one call. */
function commit(): Pick<Layouts, "touched" | "populated"> {
  const libc = Deno.dlopen("libc.so.6", {
    mmap: { parameters: ["usize", "usize", "i32", "i32", "i32", "i64"], result: "pointer" },
    syscall: { parameters: ["i64", "i64", "buffer", "usize", "i32", "u32"], result: "i64" },
  }).symbols;
  const [PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS_NORESERVE] = [3, 0x4022];
  const [SYS_process_madvise, PIDFD_SELF, MADV_POPULATE_WRITE] = [440n, -10_000n, 23];
  const map = (): Deno.PointerObject => {
    const size = BigInt(PAGES * STRIDE);
    return libc.mmap(0n, size, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS_NORESERVE, -1, 0n)!;
  };
  const memory = new Uint8Array(Deno.UnsafePointerView.getArrayBuffer(map(), PAGES * STRIDE));
  const touched = timed(PAGES, (i) => memory[(i + 1) * STRIDE - 1] = 1);
  // Address and size of each page, as the system wants them (struct iovec).
  const start = Deno.UnsafePointer.value(map());
  const pages = BigUint64Array.from(
    { length: 2 * PAGES },
    (_, i) => i % 2 === 1 ? BigInt(PAGE) : start + BigInt((i / 2 + 1) * STRIDE - PAGE),
  );
  const populated = timed(PAGES / TOGETHER, (i) => {
    const some = pages.subarray(2 * i * TOGETHER, 2 * (i + 1) * TOGETHER);
    const together = BigInt(TOGETHER);
    const advised = libc.syscall(
      SYS_process_madvise,
      PIDFD_SELF,
      some,
      together,
      MADV_POPULATE_WRITE,
      0,
    );
    if (advised !== together * BigInt(PAGE)) throw new Error("The system refuses to commit them");
  }) / TOGETHER;
  return { touched, populated };
}

if (import.meta.main) {
  const colours = COUNTS.map((count) => {
    const [same, coloured] = among(count, 8 * KIB, 16 * KIB) as [number, number];
    return { count, same, coloured };
  });
  console.log(JSON.stringify({ colours, ...commit() } satisfies Layouts));
}
