// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * What the examples use of the C library, and what they learn from `/proc/self`.
 *
 * The files there are read through libc as well: Deno itself asks for every permission before it
 * reads them, and the examples make do with `--allow-ffi`.
 *
 * @module
 */

import { dlopen, PointerView } from "fringe";

/** The C library, for glibc on x86_64 Linux. Each declaration is beside its C prototype. */
export const libc = dlopen("libc.so.6", {
  // int nftw(const char *dir, int (*visit)(const char *path, const struct stat *status, int type,
  //          struct FTW *place), int descriptors, int flags)
  nftw: {
    parameters: [
      "buffer",
      {
        callback: {
          parameters: ["cstring", "pointer", "i32", "pointer"],
          result: "i32",
          // Any answer but 0 makes nftw close its directories and return that answer.
          stop: 1,
        },
      },
      "i32",
      "i32",
    ],
    result: "i32",
  },
  // void qsort(void *base, size_t count, size_t size, int (*compare)(const void *, const void *))
  qsort: {
    parameters: [
      "buffer",
      "usize",
      "usize",
      {
        callback: {
          parameters: ["pointer", "pointer"],
          result: "i32",
          // qsort cannot be told to stop. This brings it to its end, where it frees what it holds.
          stop: 0,
        },
      },
    ],
    result: "void",
  },
  // void *bsearch(const void *key, const void *base, size_t count, size_t size,
  //               int (*compare)(const void *key, const void *element))
  bsearch: {
    parameters: [
      "buffer",
      "buffer",
      "usize",
      "usize",
      { callback: { parameters: ["pointer", "pointer"], result: "i32", stop: 0 } },
    ],
    result: "pointer",
  },
  // int scandir(const char *dir, struct dirent ***list, int (*filter)(const struct dirent *),
  //             int (*compare)(const struct dirent **, const struct dirent **))
  scandir: {
    parameters: [
      "cstring",
      "buffer",
      // scandir cannot be told to stop either: it leaves out the rest, and gives the list.
      { callback: { parameters: ["pointer"], result: "i32", stop: 0 } },
      "function", // a Callback, or null: unsorted
    ],
    result: "i32",
  },
  // int glob(const char *pattern, int flags, int (*failed)(const char *path, int number),
  //          glob_t *found)
  glob: {
    parameters: [
      "cstring",
      "i32",
      // Any answer but 0 makes glob return GLOB_ABORTED.
      { callback: { parameters: ["cstring", "i32"], result: "i32", stop: 1 } },
      "buffer",
    ],
    result: "i32",
  },
  // void globfree(glob_t *found)
  globfree: { parameters: ["buffer"], result: "void" },
  // void free(void *memory)
  free: { parameters: ["pointer"], result: "void" },
  // int dl_iterate_phdr(int (*visit)(struct dl_phdr_info *info, size_t size, void *data),
  //                     void *data)
  dl_iterate_phdr: {
    parameters: [
      // Any answer but 0 ends the iteration, and is returned.
      { callback: { parameters: ["pointer", "usize", "pointer"], result: "i32", stop: 1 } },
      "pointer",
    ],
    result: "i32",
  },
  // char *realpath(const char *path, char *resolved)
  realpath: { parameters: ["cstring", "buffer"], result: "pointer" },
  // int open(const char *path, int flags)
  open: { parameters: ["cstring", "i32"], result: "i32" },
  // ssize_t read(int fd, void *buffer, size_t count)
  read: { parameters: ["i32", "buffer", "usize"], result: "isize" },
  // int close(int fd)
  close: { parameters: ["i32"], result: "i32" },
  // int *__errno_location(void), which is what `errno` stands for
  errnoLocation: { name: "__errno_location", parameters: [], result: "pointer" },
  // char *strerror(int number)
  strerror: { parameters: ["i32"], result: "cstring" },
}).symbols;

/** The type of an entry that nftw visits: <ftw.h>. */
export const Visit = { file: 0, directory: 1, unreadable: 2, unknown: 3, link: 4 } as const;

/** A flag of nftw: do not follow symbolic links. */
export const FTW_PHYS = 1;

/** Where a field lies, in bytes: `struct stat` and `struct FTW` of glibc on x86_64. */
export const Offset = { st_size: 48, level: 4 } as const;

/** Why the last call of libc has failed, in words. */
export function lastError(): string {
  const number = new Int32Array(1);
  new PointerView(libc.errnoLocation()!).copyInto(new Uint8Array(number.buffer));
  return libc.strerror(number[0]!) ?? `error ${number[0]}`;
}

/** The absolute path of `path` without symbolic links, as C keeps it: bytes up to a zero. */
export function realpath(path: string): Uint8Array<ArrayBuffer> {
  const PATH_MAX = 4096;
  const resolved = new Uint8Array(PATH_MAX);
  if (libc.realpath(path, resolved) === null) throw new Error(lastError());
  return resolved.slice(0, resolved.indexOf(0) + 1);
}

/** What a process can leak. */
export interface Holdings {
  readonly descriptors: number;
  readonly mappings: number;
  readonly stacks: number;
}

/** What this process holds at the moment. */
export function holdings(): Holdings {
  let entries = 0;
  libc.scandir("/proc/self/fd", new BigUint64Array(1), () => {
    entries++;
    return 0;
  }, null);
  const ownEntries = 3; // ".", ".." and the descriptor that scandir itself reads with
  const maps = readFile("/proc/self/maps").trimEnd().split("\n");
  return { descriptors: entries - ownEntries, mappings: maps.length, stacks: countStacks(maps) };
}

/**
 * How many stacks of the default size are mapped. The kernel shows neighbours as one mapping, or,
 * before Linux 6.13, each stack and each guard as its own; both are recognised by their size.
 */
function countStacks(maps: readonly string[]): number {
  const [stack, guard] = [1024 * 1024, 4096];
  let [count, below] = [0, { end: 0, isGuard: false }];
  for (const line of maps) {
    const [range, access, , , inode] = line.split(/ +/);
    const [start, end] = range!.split("-").map((address) => parseInt(address, 16));
    const size = end! - start!;
    if (access === "rw-p" && inode === "0") {
      if (size % (stack + guard) === 0) count += size / (stack + guard);
      else if (size === stack && below.isGuard && below.end === start) count++;
    }
    below = { end: end!, isGuard: access === "---p" && size === guard };
  }
  return count;
}

/** The text of a file that says how long it is only by ending. */
function readFile(path: string): string {
  const O_CLOEXEC = 0o2000000;
  const descriptor = libc.open(path, O_CLOEXEC);
  if (descriptor < 0) throw new Error(`Cannot open ${path}: ${lastError()}`);
  try {
    const decoder = new TextDecoder();
    const buffer = new Uint8Array(64 * 1024);
    let text = "";
    for (;;) {
      const length = Number(libc.read(descriptor, buffer, buffer.length));
      if (length < 0) throw new Error(`Cannot read ${path}: ${lastError()}`);
      if (length === 0) return text + decoder.decode();
      text += decoder.decode(buffer.subarray(0, length), { stream: true });
    }
  } finally {
    libc.close(descriptor);
  }
}
