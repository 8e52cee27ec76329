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
 * ```
 *
 * @module
 */

import { Callback, PointerView } from "../mod.ts";
import { FTW_PHYS, lastError, libc, Offset, realpath } from "./libc.ts";

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
  // scandir makes the list, of `count` pointers, by malloc, and each entry. It does so even when it
  // is ended half-way, without saying how many there are; so what it has heard is counted here.
  const place = PointerView.of(new Uint8Array(8));
  let [count, answer] = [0, 0];
  const heard = (): void => {
    count += answer;
    answer = 0;
  };
  using order = new Callback(
    // int (*)(const struct dirent **, const struct dirent **)
    { parameters: ["pointer", "pointer"], result: "i32", stop: 0 },
    async (a, b) => {
      heard();
      const [first, second] = [a, b].map((pointer) =>
        entryAt(new PointerView(pointer!).getPointer()!)
      );
      return Math.sign(await compare(first!, second!));
    },
  );
  try {
    const result = await libc.scandir.async(
      directory,
      place.
    );
  }
}
