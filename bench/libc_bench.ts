// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

// The functions of libc that take callbacks: suspended, and with Deno.UnsafeCallback.
//
// An operation is a call of the callback. What has none is divided by the same number, so that the
// figures of a group compare the same work.

import { join } from "node:path";
import { FTW_PHYS, libc, Offset, Visit } from "../examples/libc.ts";
import { PointerView } from "fringe";
import { byHand } from "./by_hand.ts";
import { bench, libraryTarget, smoke } from "./setup.ts";

const plain = Deno.dlopen("libc.so.6", {
  qsort: { parameters: ["buffer", "usize", "usize", "function"], result: "void" },
  bsearch: { parameters: ["buffer", "buffer", "usize", "usize", "function"], result: "pointer" },
  nftw: { parameters: ["buffer", "function", "i32", "i32"], result: "i32" },
  scandir: { parameters: ["buffer", "buffer", "function", "pointer"], result: "i32" },
  dl_iterate_phdr: { parameters: ["function", "pointer"], result: "i32" },
}).symbols;

const { UnsafeCallback, UnsafePointer, UnsafePointerView } = Deno;

const QSORT_HANDLER = "qsort's handler and its pointers, by JavaScript alone";

/** How often something short is done in an iteration. */
const ROUNDS = smoke ? 2 : 200;

function suspendedCompare(a: Deno.PointerValue, b: Deno.PointerValue): number {
  return Math.sign(new PointerView(a!).getFloat64() - new PointerView(b!).getFloat64());
}

const unsafeCompare = new UnsafeCallback(
  { parameters: ["pointer", "pointer"], result: "i32" },
  (a, b) =>
    Math.sign(new UnsafePointerView(a!).getFloat64() - new UnsafePointerView(b!).getFloat64()),
);

/** Sorts 2,000 doubles. */
function benchQsort(): void {
  const count = smoke ? 50 : 2_000;
  const numbers = Float64Array.from({ length: count }, (_, i) => Math.floor(1e6 * Math.sin(i * i)));
  const work = numbers.slice();
  const expected = numbers.toSorted()[count >> 1]!;
  let comparisons = 0;
  libc.qsort(work, count, 8, (a, b) => {
    comparisons++;
    return suspendedCompare(a, b);
  });
  const benchSort = (name: string, sort: () => unknown): void =>
    bench(
      "qsort",
      name,
      () => {
        work.set(numbers);
        sort();
        return work[count >> 1]!;
      },
      expected,
      comparisons,
    );
  benchSort("qsort, suspended callback", () => libc.qsort(work, count, 8, suspendedCompare));
  benchSort(
    "qsort, Deno.UnsafeCallback",
    () => plain.qsort(work, BigInt(count), 8n, unsafeCompare.pointer),
  );
  // The floor: the handler, and the two pointers that it gets.
  const { pointerTo } = byHand;
  const pair = new Float64Array(new ArrayBuffer(4096));
  const low = UnsafePointer.value(UnsafePointer.of(pair));
  const high = low + BigInt(pair.BYTES_PER_ELEMENT);
  bench(
    "qsort",
    QSORT_HANDLER,
    () => {
      let order = 0;
      pair.set([1, 2]);
      for (let i = 0; i < comparisons; i++) {
        order += suspendedCompare(pointerTo(low), pointerTo(high));
      }
      return order;
    },
    -comparisons,
    comparisons,
  );
  const array = Array.from(work);
  bench(
    "qsort",
    "qsort's work, Array.prototype.sort",
    () => {
      for (let i = 0; i < count; i++) array[i] = numbers[i]!;
      return array.sort((a, b) => a - b)[count >> 1]!;
    },
    expected,
    comparisons,
  );
  benchSort("qsort's work, Float64Array sort(compare)", () => work.sort((a, b) => a - b));
  benchSort("qsort's work, Float64Array sort()", () => work.sort());
}

/** Finds doubles among 2,000, with some 10 comparisons each. */
function benchBsearch(): void {
  const count = 2_000;
  const numbers = Float64Array.from({ length: count }, (_, i) => i);
  const keys = Array.from({ length: ROUNDS }, (_, i) => Float64Array.of(i * 37 % count));
  let comparisons = 0;
  for (const key of keys) {
    libc.bsearch(key, numbers, count, 8, (a, b) => {
      comparisons++;
      return suspendedCompare(a, b);
    });
  }
  bench(
    "bsearch",
    "bsearch, suspended callback",
    () => {
      let found = 0;
      for (const key of keys) {
        if (libc.bsearch(key, numbers, count, 8, suspendedCompare) !== null) found++;
      }
      return found;
    },
    keys.length,
    comparisons,
  );
  bench(
    "bsearch",
    "bsearch, Deno.UnsafeCallback",
    () => {
      let found = 0;
      for (const key of keys) {
        if (plain.bsearch(key, numbers, BigInt(count), 8n, unsafeCompare.pointer) !== null) found++;
      }
      return found;
    },
    keys.length,
    comparisons,
  );
}

/** A tree of 400 files and 20 directories, which goes when the benches have ended. */
function makeTree(): string {
  const tree = Deno.makeTempDirSync({ prefix: "fringe-bench-" });
  addEventListener("unload", () => Deno.removeSync(tree, { recursive: true }));
  for (let i = 0; i < 20; i++) {
    const folder = join(tree, `folder-${i}`);
    Deno.mkdirSync(folder);
    for (let j = 0; j < 20; j++) Deno.writeTextFileSync(join(folder, `file-${j}`), "x".repeat(j));
  }
  return tree;
}

function toC(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(`${text}\0`);
}

/** Walks the tree, and adds up the sizes of its files and the lengths of all paths. */
function benchNftw(tree: string): void {
  const root = toC(tree);
  const descriptors = 20;
  let [entries, total] = [0, 0];
  const suspended = (): number => {
    total = 0;
    libc.nftw(
      root,
      (path, status, type) => {
        total += path!.length;
        if (type === Visit.file) {
          total += Number(new PointerView(status!).getBigInt64(Offset.st_size));
        }
        entries++;
        return 0;
      },
      descriptors,
      FTW_PHYS,
    );
    return total;
  };
  const sum = suspended();
  const operations = entries;
  bench("nftw", "nftw, suspended callback", suspended, sum, operations);
  const visit = new UnsafeCallback(
    { parameters: ["pointer", "pointer", "i32", "pointer"], result: "i32" },
    (path, status, type) => {
      total += UnsafePointerView.getCString(path!).length;
      if (type === Visit.file) {
        total += Number(new UnsafePointerView(status!).getBigInt64(Offset.st_size));
      }
      return 0;
    },
  );
  bench(
    "nftw",
    "nftw, Deno.UnsafeCallback",
    () => {
      total = 0;
      plain.nftw(root, visit.pointer, descriptors, FTW_PHYS);
      return total;
    },
    sum,
    operations,
  );
  const walk = (directory: string): void => {
    total += directory.length;
    for (const { name, isDirectory } of Deno.readDirSync(directory)) {
      const path = `${directory}/${name}`;
      if (isDirectory) walk(path);
      else total += path.length + Deno.lstatSync(path).size;
    }
  };
  bench(
    "nftw",
    "nftw's work, Deno.readDirSync and lstatSync",
    () => {
      total = 0;
      walk(tree);
      return total;
    },
    sum,
    operations,
  );
}

/** Counts the entries of a directory of which the type says that they are files. */
function benchScandir(tree: string): void {
  const directory = join(tree, "folder-0");
  const path = toC(directory);
  const [d_type, DT_REG] = [18, 8];
  const list = new BigUint64Array(1);
  const expected = ROUNDS * [...Deno.readDirSync(directory)].filter((e) => e.isFile).length;
  const dots = 2;
  const operations = ROUNDS * ([...Deno.readDirSync(directory)].length + dots);
  bench(
    "scandir",
    "scandir, suspended callback",
    () => {
      let files = 0;
      for (let i = 0; i < ROUNDS; i++) {
        libc.scandir(
          directory,
          list,
          (entry) => {
            if (new PointerView(entry!).getUint8(d_type) === DT_REG) files++;
            return 0;
          },
          null,
        );
      }
      return files;
    },
    expected,
    operations,
  );
  let files = 0;
  const filter = new UnsafeCallback({ parameters: ["pointer"], result: "i32" }, (entry) => {
    if (new UnsafePointerView(entry!).getUint8(d_type) === DT_REG) files++;
    return 0;
  });
  bench(
    "scandir",
    "scandir, Deno.UnsafeCallback",
    () => {
      files = 0;
      for (let i = 0; i < ROUNDS; i++) plain.scandir(path, list, filter.pointer, null);
      return files;
    },
    expected,
    operations,
  );
  bench(
    "scandir",
    "scandir's work, Deno.readDirSync",
    () => {
      let files = 0;
      for (let i = 0; i < ROUNDS; i++) {
        for (const entry of Deno.readDirSync(directory)) if (entry.isFile) files++;
      }
      return files;
    },
    expected,
    operations,
  );
}

/** Adds up how many segments the libraries in memory have. */
function benchIterate(): void {
  const dlpi_phnum = 24;
  let [libraries, segments] = [0, 0];
  const visit = (info: Deno.PointerValue): number => {
    segments += new PointerView(info!).getUint16(dlpi_phnum);
    libraries++;
    return 0;
  };
  libc.dl_iterate_phdr(visit, null);
  const [sum, operations] = [ROUNDS * segments, ROUNDS * libraries];
  bench(
    "dl_iterate_phdr",
    "dl_iterate_phdr, suspended callback",
    () => {
      segments = 0;
      for (let i = 0; i < ROUNDS; i++) libc.dl_iterate_phdr(visit, null);
      return segments;
    },
    sum,
    operations,
  );
  const unsafeVisit = new UnsafeCallback(
    { parameters: ["pointer", "usize", "pointer"], result: "i32" },
    (info) => {
      segments += new UnsafePointerView(info!).getUint16(dlpi_phnum);
      return 0;
    },
  );
  bench(
    "dl_iterate_phdr",
    "dl_iterate_phdr, Deno.UnsafeCallback",
    () => {
      segments = 0;
      for (let i = 0; i < ROUNDS; i++) plain.dl_iterate_phdr(unsafeVisit.pointer, null);
      return segments;
    },
    sum,
    operations,
  );
}

benchQsort();
benchBsearch();
const tree = makeTree();
benchNftw(tree);
benchScandir(tree);
benchIterate();

// Little is done in C between two callbacks, so that what counts is the way back.
libraryTarget("qsort", 0.333, undefined, QSORT_HANDLER);
for (const work of ["bsearch", "nftw", "scandir", "dl_iterate_phdr"]) libraryTarget(work, 1);
