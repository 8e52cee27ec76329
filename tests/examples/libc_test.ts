// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** The C library that is in every process, as a user would call it. */

import { assert, assertEquals, assertGreater, assertStrictEquals, assertThrows } from "@std/assert";
import { join } from "node:path";
import { dlopen, Generator, OsStack, PointerView } from "../../mod.ts";
import { gc } from "../support/support.ts";

const compare = { callback: { parameters: ["pointer", "pointer"], result: "i32" } } as const;

function openLibc() {
  return dlopen("libc.so.6", {
    qsort: { parameters: ["buffer", "usize", "usize", compare], result: "void" },
    bsearch: { parameters: ["buffer", "buffer", "usize", "usize", compare], result: "pointer" },
    nftw: {
      parameters: [
        "cstring",
        {
          callback: {
            parameters: ["cstring", "pointer", "i32", "pointer"],
            result: "i32",
            stop: 1,
          },
        },
        "i32",
        "i32",
      ],
      result: "i32",
    },
    scandir: {
      parameters: ["cstring", "buffer", {
        callback: { parameters: ["pointer"], result: "i32" },
      }, "pointer"],
      result: "i32",
    },
    getenv: { parameters: ["cstring"], result: "cstring" },
    strtol: { parameters: ["cstring", "pointer", "i32"], result: "i64" },
    abs: { parameters: ["i32"], result: "i32" },
  });
}

function double(pointer: Deno.PointerValue): number {
  const bytes = new Uint8Array(8);
  new PointerView(pointer!).copyInto(bytes);
  return new DataView(bytes.buffer).getFloat64(0, true);
}

const ascending = (a: Deno.PointerValue, b: Deno.PointerValue) => Math.sign(double(a) - double(b));

Deno.test("qsort sorts as Array.prototype.sort does, in all four forms", async () => {
  using libc = openLibc();
  const { qsort } = libc.symbols;
  const numbers = Float64Array.from({ length: 200 }, (_, i) => Math.sin(i * 1000));
  const expected = numbers.toSorted();

  const plain = numbers.slice();
  qsort(plain, plain.length, 8, ascending);
  assertEquals(plain, expected);

  const awaited = numbers.slice();
  let comparisons = 0;
  await qsort.async(awaited, awaited.length, 8, async (a, b) => {
    if (comparisons++ % 50 === 0) await new Promise((resolve) => setTimeout(resolve));
    return ascending(a, b);
  });
  assertEquals(awaited, expected);

  const pulled = numbers.slice();
  for (const { args, reply } of qsort.calls(pulled, pulled.length, 8)) reply(ascending(...args));
  assertEquals(pulled, expected);

  const scripted = numbers.slice();
  using generator = new Generator(new OsStack(), function* (yielder) {
    yield* yielder.call(qsort, scripted, scripted.length, 8, function* (a, b) {
      yield [double(a), double(b)];
      return ascending(a, b);
    });
  });
  assertGreater([...generator].length, 500);
  assertEquals(scripted, expected);
});

Deno.test("qsort stands a collection between any two comparisons", () => {
  using libc = openLibc();
  const numbers = Float64Array.from({ length: 64 }, (_, i) => (i * 37) % 64);
  libc.symbols.qsort(numbers, 64, 8, (a, b) => {
    gc("minor");
    return ascending(a, b);
  });
  assertEquals(numbers, Float64Array.from({ length: 64 }, (_, i) => i));
});

Deno.test("bsearch finds, and gives the address inside the buffer", () => {
  using libc = openLibc();
  const numbers = Float64Array.from({ length: 100 }, (_, i) => i * 2);
  const { bsearch } = libc.symbols;
  for (const n of [0, 38, 198]) {
    const found = bsearch(Float64Array.of(n), numbers, 100, 8, ascending);
    assertEquals(double(found), n);
  }
  assertEquals(bsearch(Float64Array.of(39), numbers, 100, 8, ascending), null);
});

/** A tree of three folders with two files each. */
async function withTree(use: (directory: string) => void | Promise<void>): Promise<void> {
  const directory = await Deno.makeTempDir({ prefix: "fringe-tree-" });
  try {
    for (const folder of ["a", "b", "c"]) {
      await Deno.mkdir(join(directory, folder));
      for (const file of ["1", "2"]) await Deno.writeTextFile(join(directory, folder, file), file);
    }
    await use(directory);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

const openFiles = () => [...Deno.readDirSync("/proc/self/fd")].length;

Deno.test("nftw walks a tree, whole, lazily, and awaited", async () => {
  using libc = openLibc();
  const { nftw } = libc.symbols;
  await withTree(async (directory) => {
    const seen: (string | null)[] = [];
    assertEquals(nftw(directory, (path) => (seen.push(path), 0), 20, 0), 0);
    assertEquals(seen.length, 10);
    assert(seen.includes(join(directory, "c", "2")));

    const lazily = nftw.calls(directory, 20, 0).map((call) => {
      call.reply(0);
      return call.args[0];
    }).toArray();
    assertEquals(lazily, seen);

    const awaited: (string | null)[] = [];
    await nftw.async(
      directory,
      async (path) => {
        awaited.push(path);
        if (path !== null) await Deno.stat(path);
        return 0;
      },
      20,
      0,
    );
    assertEquals(awaited, seen);
  });
});

Deno.test("nftw that is stopped half-way closes its directories", async () => {
  using libc = openLibc();
  const { nftw } = libc.symbols;
  await withTree(async (directory) => {
    const before = openFiles();
    const thrown = new Error("on purpose");
    let most = before;
    for (let round = 0; round < 20; round++) {
      for (const call of nftw.calls(directory, 20, 0)) {
        call.reply(0);
        most = Math.max(most, openFiles());
        if (call.args[0]?.endsWith("1")) break;
      }
      let calls = 0;
      const fail = () => {
        if (++calls === 3) throw thrown;
        return 0;
      };
      assertStrictEquals(assertThrows(() => nftw(directory, fail, 20, 0)), thrown);
      await nftw.async(directory, () => Promise.reject(thrown), 20, 0).catch(() => {});
      using generator = new Generator(new OsStack(), function* (yielder) {
        return yield* yielder.call(
          nftw,
          directory,
          function* (path) {
            yield path;
            return 0;
          },
          20,
          0,
        );
      });
      generator.next();
      generator.next();
    }
    // There was something to leak.
    assertGreater(most, before);
    assertEquals(openFiles(), before);
    // What C returns is what the handler said last.
    assertEquals(nftw(directory, (path) => path?.endsWith("2") ? 42 : 0, 20, 0), 42);
  });
});

Deno.test("scandir calls its filter, and takes null for its other callback", async () => {
  using libc = openLibc();
  await withTree((directory) => {
    let entries = 0;
    const count = libc.symbols.scandir(directory, new BigUint64Array(1), () => {
      entries++;
      return 0;
    }, null);
    assertEquals([count, entries], [0, 5]);
  });
});

Deno.test("functions without callbacks are called as they are", () => {
  using libc = openLibc();
  const { getenv, strtol, abs } = libc.symbols;
  assertEquals(getenv("HOME") ?? undefined, Deno.env.get("HOME"));
  assertEquals(getenv("FRINGE_NO_SUCH_VARIABLE"), null);
  assertEquals(strtol("-9223372036854775808", null, 10), -(2n ** 63n));
  assertEquals(abs(-5), 5);
});
