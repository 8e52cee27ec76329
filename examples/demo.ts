// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * The demonstration: `deno task demo [DIR]` walks a directory tree (`/usr` by default) with libc's
 * `nftw`, whose callbacks TypeScript pulls like the values of an iterator; stops other walks
 * half-way; sorts what it has found with libc's `qsort` under a comparator that awaits; and runs
 * libfringe's example.
 *
 * No compiler is needed: the native body at the end comes prebuilt, beside its source.
 *
 * @module
 */

import { dlopen, Generator, OsStack, PointerView } from "fringe";
import {
  FTW_PHYS,
  type Holdings,
  holdings,
  lastError,
  libc,
  Offset,
  realpath,
  Visit,
} from "./libc.ts";

const LARGEST = 10;
const STOPPED_WALKS = 100;
const STOPPED_AFTER = 1_000;
const ROUNDS_MAX = 5;
const SORTED_MAX = 50_000;
const AWAITS = 100;

/** A callback of nftw that waits for its answer. */
type Visited = ReturnType<typeof libc.nftw.calls> extends Iterable<infer Call> ? Call : never;

/** What a walk has found. */
interface Tree {
  file: number;
  directory: number;
  link: number;
  unread: number;
  readonly sizes: number[];
  readonly largest: { readonly path: string; readonly size: number }[];
}

/** A walk. Nothing of nftw runs at first; each pull runs it to its next callback. */
function* walk(root: Uint8Array<ArrayBuffer>): globalThis.Generator<Visited, void> {
  const descriptors = 20;
  const result = yield* libc.nftw.calls(root, descriptors, FTW_PHYS);
  if (result !== 0) throw new Error(`Cannot go on with the walk: ${lastError()}`);
}

/** Walks a whole tree. */
function explore(root: Uint8Array<ArrayBuffer>): Tree {
  const tree: Tree = { file: 0, directory: 0, link: 0, unread: 0, sizes: [], largest: [] };
  const progress = makeProgress();
  for (const call of walk(root)) {
    const [path, status, type] = call.args;
    if (type === Visit.file) {
      const size = sizeIn(status!);
      tree.file++;
      tree.sizes.push(size);
      keepLargest(tree, path!, size);
    } else if (type === Visit.directory) tree.directory++;
    else if (type === Visit.link) tree.link++;
    else tree.unread++;
    call.reply(0);
    progress();
  }
  return tree;
}

const word = new DataView(new ArrayBuffer(8));
const wordBytes = new Uint8Array(word.buffer);

/** The size in a `struct stat`, which lies on nftw's own stack. */
function sizeIn(status: Deno.PointerObject): number {
  new PointerView(status).copyInto(wordBytes, Offset.st_size);
  return Number(word.getBigInt64(0, true));
}

function entriesOf({ file, directory, link, unread }: Tree): number {
  return file + directory + link + unread;
}

/** Puts a file among the largest, if it is one of them. */
function keepLargest({ largest }: Tree, path: string, size: number): void {
  if (largest.length === LARGEST && size <= largest.at(-1)!.size) return;
  const place = largest.findIndex((other) => other.size < size);
  largest.splice(place < 0 ? largest.length : place, 0, { path, size });
  if (largest.length > LARGEST) largest.pop();
}

/** A walk that takes longer than a second says how far it is. */
function makeProgress(): () => void {
  const start = performance.now();
  let entries = 0;
  return () => {
    if (++entries % 20_000 === 0 && performance.now() - start > 1_000) {
      console.error(`   … ${number(entries)} entries so far`);
    }
  };
}

/** Finds a directory, for nftw, or says why there is nothing to walk. */
function findDirectory(name: string): Uint8Array<ArrayBuffer> {
  const root = realpath(name);
  // What nftw makes of something that is no directory is one entry, and no error.
  for (const { args: [, , type] } of walk(root)) {
    if (type === Visit.directory) break;
    throw new Error(type === Visit.unreadable ? "Permission denied" : "Not a directory");
  }
  return root;
}

function showWalk(root: Uint8Array<ArrayBuffer>, name: string): Tree {
  console.log(`1. libc's nftw as a lazy iterator
   nftw runs on a stack of its own and suspends in each callback; a for…of loop pulls them.
`);
  const start = performance.now();
  const tree = explore(root);
  const seconds = since(start);
  const parts = [
    plural(tree.file, "file"),
    plural(tree.directory, "directory", "directories"),
    plural(tree.link, "link"),
  ];
  if (tree.unread > 0) parts.push(`${number(tree.unread)} that may not be read`);
  const entries = plural(entriesOf(tree), "entry", "entries");
  console.log(`   ${printable(name)}: ${entries} in ${seconds} (${parts.join(", ")})`);
  console.log(tree.file > 0 ? "   The largest files:" : "   No files.");
  for (const { path, size } of tree.largest) {
    console.log(`   ${bytes(size).padStart(12)}   ${printable(path)}`);
  }
  return tree;
}

function showBreak(root: Uint8Array<ArrayBuffer>, entries: number): void {
  const last = Math.min(STOPPED_AFTER, Math.ceil(entries / 2));
  console.log(`
2. break, and nothing leaks
   The loop is left at entry ${
    number(last)
  }. The next thing that nftw hears is 1, its callback's \`stop\`, so
   it closes its directories and returns. ${STOPPED_WALKS} such walks, as /proc/self shows them:
`);
  const stopOne = (): Holdings => {
    let seen = 0;
    for (const call of walk(root)) {
      if (++seen === last) return holdings();
      call.reply(0);
    }
    throw new Error("Cannot stop half-way: the tree shrinks while it is walked");
  };
  stopOne(); // Once beforehand, since fringe keeps the stacks that it maps, for later calls.
  let [before, during, after] = [holdings(), holdings(), holdings()];
  // V8 maps memory too, above all while it warms up; a round in which it did is run again.
  for (let round = 0; round < ROUNDS_MAX; round++) {
    before = holdings();
    for (let i = 0; i < STOPPED_WALKS; i++) during = stopOne();
    after = holdings();
    if (after.mappings <= before.mappings) break;
  }

  const row = (...cells: unknown[]): void =>
    console.log(cells.map((cell, i) => String(cell).padStart(i === 0 ? 0 : 12)).join(""));
  row("                     ", "before", "in a walk", "after");
  row("   file descriptors  ", before.descriptors, during.descriptors, after.descriptors);
  row("   fringe stacks     ", before.stacks, during.stacks, after.stacks);
  row("   memory mappings   ", before.mappings, during.mappings, after.mappings);
  console.log(`
   Two stacks are kept for later calls: the walk's, and one for reading /proc/self meanwhile.`);
  if (after.descriptors !== before.descriptors || after.stacks !== before.stacks) {
    throw new Error("Something has leaked");
  }
}

async function showSort(all: readonly number[]): Promise<void> {
  const sizes = new Float64Array(all.slice(0, SORTED_MAX));
  const expected = new Float64Array(sizes).sort();
  console.log(`
3. libc's qsort with a comparator that awaits
   qsort waits on its stack while the event loop runs. The comparator reads both numbers where
   C has them.
`);
  const interval = Math.max(1, Math.round(sizes.length * Math.log2(sizes.length + 1) / AWAITS));
  let [comparisons, awaits, ticks] = [0, 0, 0];
  const ticking = setInterval(() => ticks++, 1);
  const start = performance.now();
  await libc.qsort.async(sizes, sizes.length, sizes.BYTES_PER_ELEMENT, async (a, b) => {
    if (++comparisons % interval === 0) {
      awaits++;
      await new Promise((resolve) => setTimeout(resolve, 3));
    }
    return Math.sign(doubleAt(a!) - doubleAt(b!));
  });
  clearInterval(ticking);
  const seconds = since(start);
  const sorted = sizes.every((size, i) => size === expected[i]);
  const which = sizes.length < all.length ? "the first " : "";
  console.log(
    `   ${which}${plural(sizes.length, "size")} in ${seconds}, ${
      sorted ? "in order" : "OUT OF ORDER"
    }`,
  );
  console.log(
    `   ${plural(comparisons, "comparison")}, of which ${number(awaits)} awaited a timer`,
  );
  console.log(`   ${plural(ticks, "tick")} of another timer meanwhile`);
  if (!sorted) throw new Error("qsort has not sorted");
}

function doubleAt(pointer: Deno.PointerObject): number {
  new PointerView(pointer).copyInto(wordBytes);
  return word.getFloat64(0, true);
}

function showSeed(): void {
  const folder = `../native/prebuilt/${Deno.build.arch}-${Deno.build.os}/`;
  const file = new URL(`${folder}libbodies.so`, import.meta.url);
  using bodies = dlopen(file, { count: { input: "void", output: "i32" } });
  console.log(`
4. libfringe's example: a generator of 1, 2, 3
`);
  const resumed = (generator: Generator<void, number, void>): string => {
    using running = generator;
    return Array.from({ length: 4 }, () => String(running.resume())).join(", ");
  };
  const native = new Generator(new OsStack(), bodies.symbols.count);
  console.log(`   the body is C, examples/bodies/add_one.c:  ${resumed(native)}`);
  const script = new Generator(new OsStack(), function* () {
    for (let i = 1; i < 4; i++) yield i;
  });
  console.log(`   the body is TypeScript, a function*:       ${resumed(script)}`);
}

function number(value: number): string {
  return value.toLocaleString("en");
}

function plural(count: number, one: string, many: string = `${one}s`): string {
  return `${number(count)} ${count === 1 ? one : many}`;
}

function bytes(size: number): string {
  const units = ["B ", "kB", "MB", "GB", "TB", "PB"];
  let power = 0;
  while (size >= 1000 && power < units.length - 1) [size, power] = [size / 1000, power + 1];
  return `${size.toFixed(power === 0 ? 0 : 1)} ${units[power]}`;
}

function since(start: number): string {
  return `${((performance.now() - start) / 1000).toFixed(2)} s`;
}

/** A path as it can be shown: control characters, which file names may contain, are spelled out. */
function printable(path: string): string {
  return path.replace(/\p{C}/gu, (char) => `\\u{${char.codePointAt(0)!.toString(16)}}`);
}

async function main(): Promise<void> {
  const [directory = "/usr", ...rest] = Deno.args;
  if (rest.length > 0) throw new Error("Usage: deno task demo [DIR]");
  let root;
  try {
    root = findDirectory(directory);
  } catch (error) {
    throw new Error(`Cannot walk ${JSON.stringify(directory)}: ${(error as Error).message}`);
  }
  const tree = showWalk(root, directory);
  showBreak(root, entriesOf(tree));
  await showSort(tree.sizes);
  showSeed();
}

try {
  await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  Deno.exit(1);
}
