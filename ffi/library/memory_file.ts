// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Opens the library where there is no file of it, as when `mod.ts` was imported over HTTP: the
 * library came as text with the module graph, and is opened from a file that exists in memory only
 * (memfd_create(2)). Nothing is written to disk.
 */

import { FringeError } from "./fringe_error.ts";
import { load, type Opened, openNative } from "./load.ts";
import { CAME, decode, type Text, WITHOUT_PATH } from "./text.ts";
import type { Prebuilt } from "./prebuilt.js";

/** The functions of libc that make and find such a file. */
const LIBC = {
  memfd_create: { parameters: ["buffer", /* name */ "u32" /* flags */], result: "i32" },
  readlink: {
    parameters: ["buffer", /* path */ "buffer", /* into */ "usize" /* size */],
    result: "isize",
  },
  fcntl: { parameters: ["i32", /* fd */ "i32", /* command */ "i32" /* argument */], result: "i32" },
  write: { parameters: ["i32", /* fd */ "buffer", "usize" /* count */], result: "isize" },
  close: { parameters: ["i32" /* fd */], result: "i32" },
  opendir: { parameters: ["buffer" /* path */], result: "pointer" },
  readdir: { parameters: ["pointer" /* folder */], result: "pointer" },
  rewinddir: { parameters: ["pointer" /* folder */], result: "void" },
  dirfd: { parameters: ["pointer" /* folder */], result: "i32" },
  closedir: { parameters: ["pointer" /* folder */], result: "i32" },
  flock: { parameters: ["i32", /* fd */ "i32" /* operation */], result: "i32" },
  usleep: { parameters: ["u32" /* microseconds */], result: "i32" },
  __errno_location: { parameters: [], result: "pointer" },
  memcpy: {
    parameters: ["buffer", /* destination */ "pointer", /* source */ "usize" /* count */],
    result: "pointer",
  },
} as const satisfies Deno.ForeignLibraryInterface;

/** Puts a library into a file that exists in memory only, and opens that. */
export function openInMemory(build: Prebuilt, text: Text): Opened {
  const libc = load("libc.so.6", LIBC, "libc.so.6", WITHOUT_PATH);
  // Where this fails there is no descriptor left, and what needs the next one says so.
  const folder = libc.symbols.opendir(encoded("/proc/self/fd\0"));
  let made: number | undefined;
  try {
    let fd = fileOf(folder, build.digest, libc.symbols);
    if (fd === undefined) {
      lock(folder, libc.symbols);
      fd = fileOf(folder, build.digest, libc.symbols) ??
        (made = makeFile(build, text, libc.symbols));
    }
    // The descriptor stays open for good. glibc tells libraries apart by name, and this one's is
    // /proc/self/fd/N: if N came to be another file, glibc would give this library for that file.
    return openNative(`/proc/self/fd/${fd}`, CAME, WITHOUT_PATH);
  } catch (error) {
    if (made !== undefined) libc.symbols.close(made);
    throw error;
  } finally {
    // This unlocks it, too.
    if (folder !== null) libc.symbols.closedir(folder);
    libc.close();
  }
}

type Libc = Deno.DynamicLibrary<typeof LIBC>["symbols"];
/** The open folder /proc/self/fd, which is another one in each process. */
type Folder = Deno.PointerValue;

const NAME = "fringe-";
const [F_ADD_SEALS, F_GET_SEALS] = [1033, 1034];
/** Every seal: the file can be neither written to nor resized, and the seals stay (fcntl(2)). */
const SEALED = 1 | 2 | 4 | 8;

const encoded = (text: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(text);
const decoded = (bytes: Uint8Array<ArrayBuffer>): string => new TextDecoder().decode(bytes);

/**
 * The descriptor of the file that another Worker of this process has made of the same library, if
 * there is one. Such a file is known by two marks: its name has the digest in it, and it has all
 * seals, which a file gets when it is whole.
 *
 * From the same file glibc gives each Worker the same copy of the library. A copy for each would be
 * too many: no copy is ever unloaded, and a process has room for the thread-local variables of some
 * 200.
 */
function fileOf(folder: Folder, digest: string, libc: Libc): number | undefined {
  const link = `/memfd:${NAME}${digest} (deleted)`;
  const found = new Uint8Array(link.length + 1);
  for (const fd of descriptors(folder, libc)) {
    // First what costs least to ask, and is true of hardly any.
    if (libc.fcntl(fd, F_GET_SEALS, 0) !== SEALED) continue;
    const path = encoded(`/proc/self/fd/${fd}\0`);
    if (Number(libc.readlink(path, found, BigInt(found.length))) !== link.length) continue;
    if (decoded(found.subarray(0, -1)) === link) return fd;
  }
  return undefined;
}

/** The descriptors that this process has open, as the folder that lists them has them now. */
function* descriptors(folder: Folder, { readdir, rewinddir, memcpy }: Libc): Generator<number> {
  if (folder === null) return;
  rewinddir(folder);
  // A struct dirent: its size is at 16, its name at 19.
  const entry = new Uint8Array(19 + 256);
  const size = new DataView(entry.buffer);
  for (let next = readdir(folder); next !== null; next = readdir(folder)) {
    memcpy(entry, next, 19n);
    memcpy(entry, next, BigInt(size.getUint16(16, true)));
    const fd = Number(decoded(entry.subarray(19, entry.indexOf(0, 19))));
    if (Number.isInteger(fd)) yield fd; // Neither `.` nor `..`.
  }
}

/**
 * Keeps other Workers of this process from making such a file, too, until the folder is closed.
 *
 * A Worker may be terminated while it has the lock, and has it for good then. So the others wait
 * for no more than a second or so, far longer than it takes to make the file, and then go on
 * without: at worst there is one more copy of the library.
 */
function lock(folder: Folder, { dirfd, flock, usleep }: Libc): void {
  if (folder === null) return;
  const [LOCK_EX, LOCK_NB] = [2, 4];
  for (let tries = 0; tries < 1000; tries++) {
    if (flock(dirfd(folder), LOCK_EX | LOCK_NB) === 0) return;
    usleep(1000);
  }
}

/** Makes a file in memory with the library in it; returns its descriptor. */
function makeFile(
  build: Prebuilt,
  text: Text,
  { memfd_create, write, close, fcntl, __errno_location, memcpy }: Libc,
): number {
  const bytes = decode(build, text);
  const refuse = (call: string): never => {
    const errno = new Int32Array(1);
    memcpy(errno, __errno_location(), 4n);
    const [EAGAIN, ENOMEM, ENOSPC] = [11, 12, 28];
    throw new FringeError(
      [EAGAIN, ENOMEM, ENOSPC].includes(errno[0]!) ? "out_of_memory" : "refused",
      `Cannot open fringe's native library: the system gives no file in memory (${call}: errno ` +
        `${errno[0]}). Download the file and set FRINGE_LIBRARY to its path`,
    );
  };
  const [MFD_CLOEXEC, MFD_ALLOW_SEALING] = [1, 2];
  const name = encoded(`${NAME}${build.digest}\0`);
  const fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
  try {
    if (fd < 0) refuse("memfd_create");
    for (let rest = bytes; rest.length > 0;) {
      const written = Number(write(fd, rest, BigInt(rest.length)));
      if (written < 0) refuse("write");
      rest = rest.subarray(written);
    }
    if (fcntl(fd, F_ADD_SEALS, SEALED) < 0) refuse("fcntl");
    return fd;
  } catch (error) {
    close(fd);
    throw error;
  }
}
