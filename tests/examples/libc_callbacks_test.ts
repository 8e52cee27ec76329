// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** What the examples make of libc's functions with callbacks, compared with what Deno says. */

import {
  assert,
  assertEquals,
  assertGreater,
  assertMatch,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { join } from "node:path";
import { libc, Visit } from "../../examples/libc.ts";
import {
  glob,
  libraryAt,
  list,
  type LoadedLibrary,
  search,
  sort,
  type Visited,
  visitLibraries,
  walk,
} from "../../examples/libc_callbacks.ts";
import { dlopen, PointerView } from "../../mod.ts";
import { leftBehind } from "../support/malloc.ts";
import { run } from "../support/support.ts";

const reason = new Error("on purpose");

/** In a round, as many bytes may stay: less than any leak would be. */
const NOISE = 2_000;

function sleep(milliseconds = 0): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

function openFiles(): number {
  return [...Deno.readDirSync("/proc/self/fd")].length;
}

/** A tree with files of several sizes, and links, of which one leads nowhere and one to itself. */
async function withTree(use: (directory: string) => Promise<void>): Promise<void> {
  const directory = await Deno.makeTempDir({ prefix: "fringe-tree-" });
  try {
    for (const folder of ["a", "b", "ü", "deep", "deep/er"]) {
      await Deno.mkdir(join(directory, folder));
      for (let i = 0; i < 30; i++) {
        await Deno.writeTextFile(join(directory, folder, `file-${i}`), "x".repeat(i));
      }
    }
    await Deno.symlink("nowhere", join(directory, "broken"));
    await Deno.symlink("loop", join(directory, "loop"));
    await use(directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

Deno.test("sort gives what Array.prototype.sort gives, and awaits the comparison", async () => {
  for (const length of [0, 1, 2, 300]) {
    const items = Array.from({ length }, (_, i) => ({ key: Math.sin(i * i) }));
    let [comparisons, ticks] = [0, 0];
    const ticking = setInterval(() => ticks++, 1);
    const sorted = await sort(items, async (a, b) => {
      if (comparisons++ % 100 === 0) await sleep(5);
      return a.key - b.key;
    });
    clearInterval(ticking);
    assertEquals(sorted, items.toSorted((a, b) => a.key - b.key));
    if (length > 1) assertGreater(ticks, 0);
    assertEquals(await sort(items, (a, b) => b.key - a.key), sorted.toReversed());
  }
});

Deno.test("sort that fails or is aborted asks nothing more, and frees what it has", async () => {
  const items = Array.from({ length: 5_000 }, (_, i) => i * 7 % 5_000);
  let questions = 0;
  const fail = (): number => {
    if (++questions === 100) throw reason;
    return 1;
  };
  assertStrictEquals(await assertRejects(() => sort(items, fail)), reason);
  assertEquals(questions, 100);

  const controller = new AbortController();
  let asked = 0;
  const aborted = sort(items, () => {
    asked++;
    return new Promise<number>(() => {});
  }, controller.signal);
  await sleep();
  controller.abort(reason);
  assertStrictEquals(await assertRejects(() => aborted), reason);
  assertEquals(asked, 1);

  // qsort takes memory for a copy of the numbers, 20 kB.
  const left = await leftBehind(50, NOISE, async () => {
    questions = 0;
    await sort(items, fail).catch(() => {});
  });
  assertGreater(NOISE, left);
});

Deno.test("search finds what is there, with few questions, and nothing else", async () => {
  const items = Array.from({ length: 1_000 }, (_, i) => ({ key: i * 2 }));
  for (const key of [0, 2, 998, 1_996, 1_998]) {
    let questions = 0;
    const found = await search(items, async (item) => {
      questions++;
      if (questions === 3) await sleep();
      return key - item.key;
    });
    assertStrictEquals(found, items[key / 2]);
    assert(questions <= 10, `${questions} questions`);
  }
  for (const key of [-1, 999, 2_000]) {
    assertEquals(await search(items, (item) => key - item.key), undefined);
  }
  assertEquals(await search([], () => 0), undefined);
  assertEquals(await search(["only"], () => 0), "only");
  assertStrictEquals(
    await assertRejects(() => search(items, () => Promise.reject(reason))),
    reason,
  );
});

Deno.test("walk visits what Deno finds, with sizes and levels", async () => {
  await withTree(async (directory) => {
    const expected: Visited[] = [];
    const visit = (path: string, level: number): void => {
      const { isDirectory, isSymlink, size } = Deno.lstatSync(path);
      const type = isDirectory ? Visit.directory : isSymlink ? Visit.link : Visit.file;
      expected.push({ path, type, size, level });
      if (!isDirectory) return;
      for (const { name } of Deno.readDirSync(path)) visit(join(path, name), level + 1);
    };
    const root = await Deno.realPath(directory);
    visit(root, 0);
    const byPath = (a: Visited, b: Visited): number => a.path < b.path ? -1 : 1;
    const visited = [...walk(directory)];
    assertEquals(visited[0]!.path, root);
    assertEquals(visited.sort(byPath), expected.sort(byPath));
  });
  assertThrows(() => walk("/nowhere").next(), Error, "No such file or directory");
});

Deno.test("walk runs as far as it is pulled; break closes its directories", async () => {
  await withTree((directory) => {
    const before = openFiles();
    for (let round = 0; round < 20; round++) {
      let visited = 0;
      for (const { level } of walk(directory)) {
        if (++visited === 1) assertEquals(level, 0);
        else if (level === 2) {
          assertGreater(openFiles(), before);
          break;
        }
      }
      assertGreater(160, visited);
    }
    assertEquals(openFiles(), before);
    const walking = walk(directory);
    walking.next();
    assertThrows(() => walking.throw(reason), Error, reason.message);
    assertEquals(openFiles(), before);
    return Promise.resolve();
  });
});

Deno.test("list gives the entries that Deno gives, chosen and sorted", async () => {
  await withTree(async (directory) => {
    const all = Array.from(Deno.readDirSync(directory), (entry) => ({ ...entry }));
    const byName = (a: Deno.DirEntry, b: Deno.DirEntry): number => a.name < b.name ? -1 : 1;
    assertEquals(await list(directory, () => true, byName), all.toSorted(byName));
    const files = Array.from(Deno.readDirSync(join(directory, "a")), (entry) => ({ ...entry }));
    const numberOf = ({ name }: Deno.DirEntry): number => Number(name.slice("file-".length));
    const awaited = await list(
      join(directory, "a"),
      async (entry) => {
        await sleep();
        return numberOf(entry) % 2 === 0;
      },
      async (a, b) => {
        if (numberOf(a) === 0) await sleep();
        return numberOf(b) - numberOf(a);
      },
    );
    assertEquals(
      awaited,
      files.filter((entry) => numberOf(entry) % 2 === 0).sort((a, b) => numberOf(b) - numberOf(a)),
    );
    assertEquals(await list(directory, () => false, byName), []);
  });
  const missing = list("/nowhere", () => true, () => 0);
  const { message } = await assertRejects(() => missing, Error);
  assertEquals(message, "Cannot list /nowhere: No such file or directory");
});

Deno.test("list that fails or is aborted half-way frees what scandir has made", async () => {
  await withTree(async (tree) => {
    const directory = join(tree, "a");
    const before = openFiles();
    const failAfter = (count: number) => (): Promise<number> =>
      count-- === 0 ? Promise.reject(reason) : Promise.resolve(1);
    const keepUntil = (count: number) => {
      const answer = failAfter(count);
      return async (): Promise<boolean> => await answer() > 0;
    };
    for (const count of [0, 1, 20]) {
      const inFilter = (): Promise<unknown> => list(directory, keepUntil(count), () => 0);
      const inCompare = (): Promise<unknown> => list(directory, () => true, failAfter(count));
      const aborted = (): Promise<unknown> => {
        const controller = new AbortController();
        let kept = 0;
        // It is aborted after the answer, and before C hears it.
        return list(
          directory,
          async () => {
            if (kept++ === count) queueMicrotask(() => controller.abort(reason));
            return await true;
          },
          () => 0,
          controller.signal,
        );
      };
      for (const fail of [inFilter, inCompare, aborted]) {
        assertStrictEquals(await assertRejects(fail), reason);
        const round = async (): Promise<void> => {
          for (let i = 0; i < 100; i++) await fail().catch(() => {});
        };
        // One entry, if it stayed each time, would be more.
        if (count === 20) assertGreater(NOISE, await leftBehind(5, NOISE, round));
      }
    }
    assertEquals(openFiles(), before);
  });
});

Deno.test("glob finds the paths that Deno finds", async () => {
  await withTree(async (directory) => {
    const expected = [...Deno.readDirSync(join(directory, "a"))]
      .map(({ name }) => join(directory, "a", name))
      .filter((path) => path.endsWith("1"))
      .sort();
    assertEquals(await glob(`${directory}/a/*1`), expected);
    assertEquals((await glob(`${directory}/*/file-1?`)).length, 4 * 10);
    assertEquals(await glob(`${directory}/ü/file-3`), [`${directory}/ü/file-3`]);
    assertEquals(await glob(`${directory}/nothing*`), []);
  });
});

/** Lets a directory be unreadable: permissions do not bite root, so this thread is nobody there. */
async function withUnreadable(directory: string, use: () => Promise<void>): Promise<void> {
  // int setfsuid(uid_t user), which gives the user of before; other threads keep theirs
  using libc = dlopen("libc.so.6", { setfsuid: { parameters: ["u32"], result: "i32" } });
  const nobody = 65_534;
  await Deno.chmod(directory, 0);
  const before = libc.symbols.setfsuid(nobody);
  try {
    await use();
  } finally {
    libc.symbols.setfsuid(before);
    await Deno.chmod(directory, 0o755);
  }
}

Deno.test("glob asks whether to go on without what cannot be read, and stops", async () => {
  await withTree(async (directory) => {
    await Deno.chmod(directory, 0o755);
    await withUnreadable(join(directory, "b"), async () => {
      const pattern = `${directory}/*/*-7`;
      const problems: string[] = [];
      const found = await glob(pattern, async (path, problem) => {
        await sleep(1);
        problems.push(`${path}: ${problem}`);
        return true;
      });
      assertEquals(problems, [`${directory}/b: Permission denied`]);
      assertEquals(found, ["a", "deep", "ü"].map((folder) => `${directory}/${folder}/file-7`));
      assertEquals(await glob(pattern), found);

      const { message } = await assertRejects(() => glob(pattern, () => false), Error);
      assertEquals(message, `Cannot find ${pattern}: ${directory}/b: Permission denied`);

      const fail = (): Promise<unknown> => glob(pattern, () => Promise.reject(reason));
      assertStrictEquals(await assertRejects(fail), reason);
      const round = async (): Promise<void> => {
        await fail().catch(() => {});
        await glob(`${directory}/*/*`, () => false).catch(() => {});
        await glob(`${directory}/*/*`);
      };
      assertGreater(NOISE, await leftBehind(50, NOISE, round));
    });

    const { message } = await assertRejects(() => glob(`${directory}/loop/*`, () => false), Error);
    assert(message.endsWith("/loop: Too many levels of symbolic links"), message);
    assertEquals(await glob(`${directory}/loop/*`), []);
  });
});

Deno.test("visitLibraries shows what is mapped, and stops when it is told to", () => {
  const libraries: LoadedLibrary[] = [];
  visitLibraries((library) => libraries.push(library) > 0);
  const maps = Deno.readTextFileSync("/proc/self/maps");
  const files = libraries.filter(({ path }) => path.startsWith("/"));
  assert(files.some(({ path }) => path.endsWith("/libc.so.6")));
  for (const { path, segments } of files) {
    const [start] = segments[0]!;
    const line = maps.split("\n").find((line) => line.startsWith(`${start.toString(16)}-`));
    // Another test's library, which stays mapped though its file is gone, or is another one by now.
    if (line?.endsWith(" (deleted)")) continue;
    assert(line?.endsWith(Deno.realPathSync(path)), `${path} at ${start}: ${line}`);
  }

  const some: LoadedLibrary[] = [];
  visitLibraries((library) => some.push(library) < 2);
  assertEquals(some, libraries.slice(0, 2));
  const fail = (): never => {
    throw reason;
  };
  assertStrictEquals(assertThrows(() => visitLibraries(fail)), reason);
});

Deno.test("libraryAt says which library has an address", () => {
  const plain = Deno.dlopen("libc.so.6", { qsort: { type: "pointer" } });
  try {
    const { address } = new PointerView(plain.symbols.qsort!);
    assert(libraryAt(address)?.path.endsWith("/libc.so.6"));
    assertEquals(libraryAt(16n), undefined);
    assertEquals(libraryAt(PointerView.of(new Uint8Array(8)).address), undefined);
  } finally {
    plain.close();
  }
});

Deno.test("dl_iterate_phdr locks the loader while it waits, not when stopped", async () => {
  // On another thread it waits for the lock, and then calls getpid, whose answer is not 0.
  const plain = Deno.dlopen("libc.so.6", {
    getpid: { type: "pointer" },
    dl_iterate_phdr: { parameters: ["pointer", "pointer"], result: "i32", nonblocking: true },
  });
  try {
    const elsewhere = (): Promise<number> =>
      plain.symbols.dl_iterate_phdr(plain.symbols.getpid, null);
    assertEquals(await elsewhere(), Deno.pid);

    const calls = libc.dl_iterate_phdr.calls(null);
    calls.next();
    let done = false;
    const waiting = elsewhere().finally(() => done = true);
    await sleep(30);
    assert(!done, "another thread does not wait");
    calls.return(0);
    assertEquals(await waiting, Deno.pid);

    for (const _ of libc.dl_iterate_phdr.calls(null)) break;
    assertEquals(await elsewhere(), Deno.pid);
  } finally {
    plain.close();
  }
});

Deno.test("examples/libc_callbacks.ts runs with --allow-ffi alone", async () => {
  const file = new URL("../../examples/libc_callbacks.ts", import.meta.url).href;
  const { code, stdout, stderr } = await run(["run", "--no-prompt", "--allow-ffi", file]);
  assertEquals([code, stderr], [0, ""]);
  assertMatch(stdout, /^sort, qsort +fig, kiwi, plum, apple, grape, banana, cherry, quince\n/);
  assertMatch(stdout, /^search, bsearch +found 3007 among 5000\n/m);
  assertMatch(stdout, /^list, scandir +\d+ processes/m);
  assertMatch(stdout, /Cannot find \/nowhere\/\*: \/nowhere: No such file or directory\n/);
  assertMatch(stdout, /^dl_iterate_phdr +qsort is in .*\/libc\.so\.6\n/m);
});
