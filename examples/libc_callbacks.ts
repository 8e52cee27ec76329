// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * The functions of the C library that take callbacks, made into functions for TypeScript: `sort`
 * and `search` (qsort, bsearch) under a comparison that awaits, `walk` (nftw) as a lazy iterator,
 * `list` (scandir), `glob`, and `loadedLibraries` (dl_iterate_phdr).
 *
 * ```sh
 * deno run --allow-ffi examples/libc_callbacks.ts
 * ```
 *
 * It needs no other permission. It prints something like
 *
 * ```text
 * sort, qsort       fig, kiwi, plum, apple, grape, banana, cherry, quince
 *                   after 16 questions, each of which was awaited
 * search, bsearch   found 3007 among 5000
 *                   after 11 requests, for 2501, 3751, 3126, 2814, 2970, …
 * walk, nftw        /usr/share/xml/iso-codes/iso_639-3.xml has 1016601 bytes, the first above 1 MB
 *                   after 965 entries; the rest of /usr was not walked
 * list, scandir     79 processes, by their numbers in /proc
 *                   the last is 31680, this one is 8080
 * glob, glob        /etc/adduser.conf, /etc/appstream.conf, /etc/ca-certificates.conf, …
 *                   19 files match /etc/*.conf
 *                   Cannot find /nowhere/*: /nowhere: No such file or directory
 * visitLibraries,   9 are loaded: linux-vdso.so.1, libdl.so.2, libgcc_s.so.1, librt.so.1, …
 * dl_iterate_phdr   qsort is in /lib/x86_64-linux-gnu/libc.so.6
 * ```
 *
 * @module
 */

import { Callback, PointerView, struct } from "fringe";
import { FTW_PHYS, lastError, libc, Offset, realpath, Visit } from "./libc.ts";

/** An answer now or later. */
type Awaitable<T> = T | Promise<T>;

/**
 * Sorts by libc's qsort, which waits while `compare` asks somebody. What is equal comes in any
 * order.
 *
 * @param compare Less than 0: `a` comes first. More than 0: `b` does.
 * @param signal Ends it; qsort then gets to its end without another question.
 */
export async function sort<T>(
  items: readonly T[],
  compare: (a: T, b: T) => Awaitable<number>,
  signal?: AbortSignal,
): Promise<T[]> {
  // C sorts the numbers of the items.
  const order = Uint32Array.from(items.keys());
  await libc.qsort.async(
    order,
    order.length,
    order.BYTES_PER_ELEMENT,
    async (a, b) => Math.sign(await compare(items[numberAt(a!)]!, items[numberAt(b!)]!)),
    { signal },
  );
  return Array.from(order, (i) => items[i]!);
}

/**
 * Finds something in a sorted list by libc's bsearch, which waits while `compare` asks somebody.
 *
 * @param compare 0: this is it. Less than 0: it comes before this item. More than 0: behind it.
 * @returns What was found, or undefined.
 */
export async function search<T>(
  items: readonly T[],
  compare: (item: T) => Awaitable<number>,
  signal?: AbortSignal,
): Promise<T | undefined> {
  const order = Uint32Array.from(items.keys());
  const found = await libc.bsearch.async(
    null, // What is looked for, which only `compare` knows; bsearch does not look at it.
    order,
    order.length,
    order.BYTES_PER_ELEMENT,
    async (_, item) => Math.sign(await compare(items[numberAt(item!)]!)),
    { signal },
  );
  return found === null ? undefined : items[numberAt(found)];
}

function numberAt(pointer: Deno.PointerObject): number {
  return new PointerView(pointer).getUint32();
}

/** What nftw says of a file. */
export interface Visited {
  readonly path: string;
  /** One of `Visit`. */
  readonly type: number;
  /** In bytes. */
  readonly size: number;
  /** How many directories below the one where the walk began. */
  readonly level: number;
}

/**
 * Walks a tree by libc's nftw, without following links. Nothing runs that nobody pulls; `break`
 * makes nftw close its directories and return.
 */
export function* walk(root: string): globalThis.Generator<Visited, void> {
  const descriptors = 20;
  using calls = libc.nftw.calls(realpath(root), descriptors, FTW_PHYS);
  for (;;) {
    const { value, done } = calls.next();
    if (done) {
      if (value !== 0) throw new Error(`Cannot go on with the walk: ${lastError()}`);
      return;
    }
    const [path, status, type, place] = value.args;
    yield {
      path: path!,
      type,
      size: Number(new PointerView(status!).getBigInt64(Offset.st_size)),
      level: new PointerView(place!).getInt32(Offset.level),
    };
    value.reply(0);
  }
}

/**
 * Where the fields of a `struct dirent` lie (<dirent.h>, glibc on x86_64), and some of its types.
 *
 * ```c
 * struct dirent {
 *   ino_t d_ino;                 //  0
 *   off_t d_off;                 //  8
 *   unsigned short d_reclen;     // 16
 *   unsigned char d_type;        // 18
 *   char d_name[256];            // 19
 * };
 * ```
 */
const Dirent = { d_type: 18, d_name: 19, DT_DIR: 4, DT_REG: 8, DT_LNK: 10 } as const;

/** Reads a `struct dirent`. File systems that do not know a type leave all three false. */
function entryAt(pointer: Deno.PointerObject): Deno.DirEntry {
  const view = new PointerView(pointer);
  const type = view.getUint8(Dirent.d_type);
  return {
    name: view.getCString(Dirent.d_name),
    isFile: type === Dirent.DT_REG,
    isDirectory: type === Dirent.DT_DIR,
    isSymlink: type === Dirent.DT_LNK,
  };
}

/**
 * Lists a directory by libc's scandir, without "." and "..".
 *
 * @param keep Whether an entry is to be in the list.
 * @param compare Less than 0: `a` comes first. More than 0: `b` does.
 */
export async function list(
  directory: string,
  keep: (entry: Deno.DirEntry) => Awaitable<boolean>,
  compare: (a: Deno.DirEntry, b: Deno.DirEntry) => Awaitable<number>,
  signal?: AbortSignal,
): Promise<Deno.DirEntry[]> {
  const place = new BigUint64Array(1);
  // scandir makes the list even when it is ended half-way, without saying how long it is then. So
  // this counts the entries that it has been told to keep: it has heard an answer when it calls on.
  let [heard, answer] = [0, 0];
  const hear = (): void => {
    heard += answer;
    answer = 0;
  };
  using order = new Callback(
    // int (*compare)(const struct dirent **, const struct dirent **)
    { parameters: ["pointer", "pointer"], result: "i32", stop: 0 },
    async (a, b) => {
      hear();
      const [first, second] = [new PointerView(a!), new PointerView(b!)];
      return Math.sign(await compare(entryAt(first.getPointer()!), entryAt(second.getPointer()!)));
    },
  );
  let count: number | undefined;
  try {
    count = await libc.scandir.async(
      directory,
      place,
      async (pointer) => {
        hear();
        const entry = entryAt(pointer!);
        const isKept = entry.name !== "." && entry.name !== ".." && await keep(entry);
        return answer = Number(isKept);
      },
      order,
      { signal },
    );
    if (count < 0) throw new Error(`Cannot list ${directory}: ${lastError()}`);
    return pointersIn(place, count).map(entryAt);
  } finally {
    for (const entry of pointersIn(place, count ?? heard)) libc.free(entry);
    libc.free(PointerView.of(place).getPointer());
  }
}

/** The pointers in an array of C whose address is at `place`; none if that is NULL. */
function pointersIn(place: BigUint64Array<ArrayBuffer>, count: number): Deno.PointerObject[] {
  const array = PointerView.of(place).getPointer();
  if (array === null) return [];
  const view = new PointerView(array);
  return Array.from({ length: count }, (_, i) => view.getPointer(i * 8)!);
}

/** A `glob_t` (<glob.h>, glibc). */
const Glob = struct({
  gl_pathc: "usize", // how many paths there are
  gl_pathv: "pointer", // the paths, and NULL behind them
  gl_offs: "usize",
  gl_flags: "i32",
  gl_functions: ["function", 5],
});

/** What glob returns if nothing matches. */
const GLOB_NOMATCH = 3;

/**
 * The paths that a pattern matches, by libc's glob, in the order of the locale.
 *
 * @param mayGoOn Whether to go on without a directory that cannot be read, and what is wrong with
 * it. What is no directory is passed over in silence.
 */
export async function glob(
  pattern: string,
  mayGoOn: (directory: string, problem: string) => Awaitable<boolean> = () => true,
  signal?: AbortSignal,
): Promise<string[]> {
  const found = new Uint8Array(Glob.size);
  let failure = "memory is short";
  try {
    const result = await libc.glob.async(
      pattern,
      0,
      async (directory, number) => {
        const problem = libc.strerror(number)!;
        failure = `${directory}: ${problem}`;
        return await mayGoOn(directory!, problem) ? 0 : 1;
      },
      found,
      { signal },
    );
    if (result === GLOB_NOMATCH) return [];
    if (result !== 0) throw new Error(`Cannot find ${pattern}: ${failure}`);
    return new PointerView(Glob.view(found).gl_pathv!).getCStrings();
  } finally {
    libc.globfree(found);
  }
}

/** An `Elf64_Phdr` (<elf.h>), which tells of a segment. */
const Phdr = struct({
  p_type: "u32",
  p_flags: "u32",
  p_offset: "u64",
  p_vaddr: "u64", // its address, counted from the library's
  p_paddr: "u64",
  p_filesz: "u64",
  p_memsz: "u64", // its size in memory
  p_align: "u64",
});

/** The `p_type` of what lies in memory. */
const PT_LOAD = 1;

/** A `struct dl_phdr_info` (<link.h>). */
const Info = struct({
  dlpi_addr: "u64", // where the library begins
  dlpi_name: "cstring", // its path; "" is the program itself
  dlpi_phdr: "pointer", // its segments
  dlpi_phnum: "u16", // how many they are
  dlpi_adds: "u64",
  dlpi_subs: "u64",
  dlpi_tls_modid: "usize",
  dlpi_tls_data: "pointer",
});

/** A library in memory, or the program. */
export interface LoadedLibrary {
  /** Its path; "" is the program itself. */
  readonly path: string;
  /** The parts of memory that it fills, each from its first byte to behind its last. */
  readonly segments: readonly (readonly [start: bigint, end: bigint])[];
}

/**
 * The program and the libraries in memory, by libc's dl_iterate_phdr.
 *
 * The loader is locked while dl_iterate_phdr calls back. So this has no async form: another thread
 * that loads a library would wait, and could be the one that is awaited (for a host's name, Deno
 * asks a thread that does so). `visit` must not load one either, by dlopen or by import() of what
 * calls it, since that changes the list which C is going through. To stop half-way, or to throw, is
 * fine: dl_iterate_phdr then unlocks the loader, and returns what it was answered.
 *
 * @param visit Is shown one library after the other, until it gives false.
 */
export function visitLibraries(visit: (library: LoadedLibrary) => boolean): void {
  libc.dl_iterate_phdr((info) => visit(libraryIn(info!)) ? 0 : 1, null);
}

function libraryIn(info: Deno.PointerObject): LoadedLibrary {
  const { dlpi_addr, dlpi_name, dlpi_phdr, dlpi_phnum } = Info.view(info);
  const headers = new PointerView(dlpi_phdr!);
  const segments: [bigint, bigint][] = [];
  for (let i = 0; i < dlpi_phnum; i++) {
    const { p_type, p_vaddr, p_memsz } = Phdr.view(headers.add(i * Phdr.size));
    const start = dlpi_addr + p_vaddr;
    if (p_type === PT_LOAD) segments.push([start, start + p_memsz]);
  }
  return { path: dlpi_name!, segments };
}

/** The library that an address lies in, if any. */
export function libraryAt(address: bigint): LoadedLibrary | undefined {
  let found: LoadedLibrary | undefined;
  visitLibraries((library) => {
    if (!library.segments.some(([start, end]) => start <= address && address < end)) return true;
    found = library;
    return false;
  });
  return found;
}

function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** Fruits, sorted by somebody who knows which of two he likes better, and takes his time. */
async function showSort(): Promise<void> {
  const fruits = ["kiwi", "plum", "fig", "cherry", "apple", "grape", "quince", "banana"];
  let questions = 0;
  const sorted = await sort(fruits, async (a, b) => {
    questions++;
    await sleep(5);
    return a.length - b.length || a.localeCompare(b);
  });
  console.log(`sort, qsort       ${sorted.join(", ")}
                  after ${questions} questions, each of which was awaited`);
}

/** Releases, of which a server knows which one came first with something. */
async function showSearch(): Promise<void> {
  const releases = Array.from({ length: 5_000 }, (_, i) => i + 1);
  const asked: number[] = [];
  const found = await search(releases, async (release) => {
    asked.push(release);
    await sleep(5);
    return 3_007 - release;
  });
  console.log(`search, bsearch   found ${found} among ${releases.length}
                  after ${asked.length} requests, for ${asked.slice(0, 5).join(", ")}, …`);
}

function showWalk(): void {
  let visited = 0;
  for (const { path, size, type } of walk("/usr")) {
    visited++;
    if (type !== Visit.file || size < 1_000_000) continue;
    console.log(`walk, nftw        ${path} has ${size} bytes, the first above 1 MB
                  after ${visited} entries; the rest of /usr was not walked`);
    return;
  }
}

async function showList(): Promise<void> {
  const isProcess = ({ name }: Deno.DirEntry): boolean => /^[0-9]+$/.test(name);
  const entries = await list("/proc", isProcess, (a, b) => Number(a.name) - Number(b.name));
  const ids = entries.map(({ name }) => name);
  console.log(`list, scandir     ${ids.length} processes, by their numbers in /proc
                  the last is ${ids.at(-1)}, this one is ${Deno.pid}`);
}

async function showGlob(): Promise<void> {
  const found = await glob("/etc/*.conf");
  console.log(`glob, glob        ${found.slice(0, 3).join(", ")}, …
                  ${found.length} files match /etc/*.conf`);
  const error = await glob("/nowhere/*", () => false).catch((error: Error) => error);
  if (error instanceof Error) console.log(`                  ${error.message}`);
}

function showLibraries(): void {
  const paths: string[] = [];
  visitLibraries(({ path }) => paths.push(path) > 0);
  const names = paths.map((path) => path.replace(/.*\//, "")).filter((name) => name !== "");
  const plain = Deno.dlopen("libc.so.6", { qsort: { type: "pointer" } });
  const address = new PointerView(plain.symbols.qsort!).address;
  console.log(`visitLibraries,   ${names.length} are loaded: ${names.slice(0, 4).join(", ")}, …
dl_iterate_phdr   qsort is in ${libraryAt(address)?.path}`);
  plain.close();
}

if (import.meta.main) {
  await showSort();
  await showSearch();
  showWalk();
  await showList();
  await showGlob();
  showLibraries();
}
