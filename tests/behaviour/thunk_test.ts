// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** The function pointers that C gets: where they come from, and who may not call them. */

import {
  assert,
  assertEquals,
  assertMatch,
  assertNotEquals,
  assertStringIncludes,
} from "@std/assert";
import { callbackSignature } from "../../ffi/call/signature.ts";
import { putThunk, takeThunk, type Target, targetOf } from "../../ffi/call/thunk.ts";
import { dlopen } from "../../mod.ts";
import {
  assertSucceeds,
  fringeLibrary,
  moduleUrl,
  runChild,
  testBodies,
} from "../support/support.ts";

const target: Target = {
  ...callbackSignature({ parameters: [], result: "void" }, "test"),
  callee: undefined,
  parameter: -1,
  handler: () => {},
  what: "test",
  isForeign: false,
  closed: false,
};

Deno.test("takeThunk() gives each a number and an address of its own", () => {
  const thunks = Array.from({ length: 300 }, () => takeThunk(target));
  assertEquals(new Set(thunks.map(({ number }) => number)).size, 300);
  assertEquals(new Set(thunks.map(({ address }) => address)).size, 300);
  for (const { number, address } of thunks) {
    assertEquals(targetOf(number), target);
    assertEquals(address % 16n, 0n);
  }
  for (const thunk of thunks) putThunk(thunk);
  for (const { number } of thunks) assertEquals(targetOf(number), undefined);
});

Deno.test("putThunk() lets a thunk rest while a thousand others of its type are used", () => {
  const thunk = takeThunk(target);
  putThunk(thunk);
  for (let i = 0; i < 1000; i++) {
    const other = takeThunk(target);
    assertNotEquals(other.number, thunk.number);
    putThunk(other);
  }
});

Deno.test("thunks are reused, by callbacks of the same type only", () => {
  const use = (target: Target): Set<number> => {
    const numbers = new Set<number>();
    for (let i = 0; i < 5000; i++) {
      const thunk = takeThunk(target);
      numbers.add(thunk.number);
      putThunk(thunk);
    }
    return numbers;
  };
  const mine = use({ ...target, result: "f32" });
  assert(mine.size < 1100, `${mine.size} thunks were made`);
  assertEquals(use({ ...target, result: "f64" }).intersection(mine).size, 0);
});

const definition = {
  call_n: {
    parameters: ["i32", { callback: { parameters: ["i32"], result: "i32" } }],
    result: "i32",
  },
} as const;

Deno.test("a library that closes gives back the thunks of its callbacks", () => {
  /** The highest number that is seen while so many libraries come and go. */
  const highest = (libraries: number): number => {
    let highest = 0;
    for (let i = 0; i < libraries; i++) {
      using library = dlopen(testBodies, definition);
      library.symbols.call_n(1, () => 1);
      const probe = takeThunk(target);
      highest = Math.max(highest, probe.number);
      putThunk(probe);
    }
    return highest;
  };
  // Until so many have been released that they are used again.
  const before = highest(1500);
  assertEquals(highest(1500), before);
});

/**
 * A program that has C call 700 callbacks, which is more than two tables have, and says where their
 * thunks lie, each place once: what may be done there, and the name of the file. `before` and
 * `between` are what it does before it opens the library, and after the first callback.
 */
function callingMany(before: string, between: string): string {
  return `
    ${before}
    const { Callback, dlopen } = await import(${JSON.stringify(moduleUrl)});
    const library = dlopen(${JSON.stringify(testBodies.pathname)}, {
      keep: { parameters: ["function"], result: "void" },
      call_kept: { parameters: ["i32"], result: "i32" },
    });
    const addresses = [];
    for (let n = 0; n < 700; n++) {
      const callback = new Callback({ parameters: ["i32"], result: "i32" }, (i) => i + n);
      if (n === 0) { ${between} }
      library.symbols.keep(callback);
      if (library.symbols.call_kept(1) !== 1 + n) throw new Error("wrong: " + n);
      addresses.push(Deno.UnsafePointer.value(callback.pointer));
    }
    const maps = Deno.readTextFileSync("/proc/self/maps").trimEnd().split("\\n").map((line) => {
      const [, start, end, rights, name] =
        /^(\\w+)-(\\w+) (\\S+) \\S+ \\S+ \\S+ *(.*)$/.exec(line);
      return { start: BigInt("0x" + start), end: BigInt("0x" + end), rights, name };
    });
    const places = addresses.map((address) => {
      const { rights, name } = maps.find(({ start, end }) => start <= address && address < end);
      return rights + " " + name.split("/").pop();
    });
    console.log([...new Set(places)].join(", "));
  `;
}

Deno.test("thunks are code of the library's own file, executed and never written", async () => {
  assertSucceeds(await runChild(callingMany("", ""), ["-A"]), "r-xp libfringe.so\n");
});

/** Puts a copy of the library where it can be taken away. */
const openCopy = `
  const path = Deno.makeTempFileSync({ prefix: "fringe-test-", suffix: ".so" });
  Deno.copyFileSync(${JSON.stringify(fringeLibrary.pathname)}, path);
  Deno.env.set("FRINGE_LIBRARY", path);
`;

Deno.test("thunks are copied where the library's file is gone, or is another one", async () => {
  for (
    const between of [
      "Deno.removeSync(path);",
      // Of the same size, shorter than that, and a pipe.
      `Deno.removeSync(path);
       Deno.writeFileSync(path, new Uint8Array(Deno.statSync(${
        JSON.stringify(fringeLibrary.pathname)
      }).size));
       globalThis.onunload = () => Deno.removeSync(path);`,
      `Deno.removeSync(path);
       Deno.writeFileSync(path, new Uint8Array(1));
       globalThis.onunload = () => Deno.removeSync(path);`,
      `Deno.removeSync(path);
       new Deno.Command("mkfifo", { args: [path] }).outputSync();
       globalThis.onunload = () => Deno.removeSync(path);`,
    ]
  ) {
    const { code, stdout, stderr } = await runChild(callingMany(openCopy, between), ["-A"]);
    assertEquals([code, stderr], [0, ""]);
    assertMatch(stdout, /^r-xp fringe-test-\w+\.so \(deleted\), r-xp \n$/);
  }
});

Deno.test("thunks are code of a library in memory, too", async () => {
  const openInMemory = `
    const { symbols } = Deno.dlopen("libc.so.6", {
      memfd_create: { parameters: ["buffer", "u32"], result: "i32" },
    });
    const path = "/proc/self/fd/" + symbols.memfd_create(new TextEncoder().encode("test\\0"), 0);
    Deno.writeFileSync(path, Deno.readFileSync(${JSON.stringify(fringeLibrary.pathname)}));
    Deno.env.set("FRINGE_LIBRARY", path);
  `;
  assertSucceeds(
    await runChild(callingMany(openInMemory, ""), ["-A"]),
    "r-xp memfd:test (deleted)\n",
  );
});

Deno.test("callbacks work where nothing that was written may be executed", async () => {
  // prctl(2), since Linux 6.3: what systemd's MemoryDenyWriteExecute asks for. V8 has to do without
  // code of its own making.
  const deny = `
    const [PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN] = [65, 1n];
    const { symbols } = Deno.dlopen("libc.so.6", {
      prctl: { parameters: ["i32", "u64", "u64", "u64", "u64"], result: "i32" },
    });
    symbols.prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0n, 0n, 0n);
  `;
  assertSucceeds(
    await runChild(callingMany(deny, ""), ["-A", "--v8-flags=--jitless"]),
    "r-xp libfringe.so\n",
  );
});

// A callback where no call of ours is running: nothing can be suspended

const begin = `
  import { Callback, dlopen } from ${JSON.stringify(moduleUrl)};
  const callback = new Callback({ parameters: ["i32"], result: "i32" }, (i) => i);
  const { pointer } = callback;
  const bodies = ${JSON.stringify(testBodies.pathname)};
`;
const strays: Readonly<Record<string, string>> = {
  "in a plain FFI call": `
    Deno.dlopen(bodies, { call_n: { parameters: ["i32", "pointer"], result: "i32" } })
      .symbols.call_n(1, pointer);
  `,
  "in a nonblocking FFI call": `
    await Deno.dlopen(bodies, {
      call_n: { parameters: ["i32", "pointer"], result: "i32", nonblocking: true },
    }).symbols.call_n(1, pointer);
  `,
  "on a thread of C's": `
    const { symbols } = Deno.dlopen("libc.so.6", {
      pthread_create: { parameters: ["buffer", "pointer", "pointer", "pointer"], result: "i32" },
    });
    symbols.pthread_create(new BigUint64Array(1), null, pointer, null);
    await new Promise((resolve) => setTimeout(resolve, 5000));
  `,
  "on a thread of C's, while a call is suspended": `
    const { symbols } = Deno.dlopen("libc.so.6", {
      pthread_create: { parameters: ["buffer", "pointer", "pointer", "pointer"], result: "i32" },
    });
    using library = dlopen(bodies, {
      call_n: {
        parameters: ["i32", { callback: { parameters: ["i32"], result: "i32" } }],
        result: "i32",
      },
    });
    await library.symbols.call_n.async(1, async () => {
      symbols.pthread_create(new BigUint64Array(1), null, pointer, null);
      await new Promise((resolve) => setTimeout(resolve, 5000));
      return 1;
    });
  `,
  "in a signal handler": `
    const { symbols } = Deno.dlopen("libc.so.6", {
      signal: { parameters: ["i32", "pointer"], result: "pointer" },
      raise: { parameters: ["i32"], result: "i32" },
    });
    const SIGUSR1 = 10;
    symbols.signal(SIGUSR1, pointer);
    symbols.raise(SIGUSR1);
  `,
  "in a generator body": `
    const { Generator, OsStack } = await import(${JSON.stringify(moduleUrl)});
    using library = dlopen(bodies, {
      keep: { parameters: ["function"], result: "void" },
      calls_kept: { input: "void", output: "i32" },
    });
    library.symbols.keep(callback);
    new Generator(new OsStack(), library.symbols.calls_kept).resume();
  `,
  "after it was closed": `
    callback.close();
    Deno.dlopen(bodies, { call_n: { parameters: ["i32", "pointer"], result: "i32" } })
      .symbols.call_n(1, pointer);
  `,
};

for (const [where, source] of Object.entries(strays)) {
  Deno.test(`a callback that C calls ${where} ends the process, with a message`, async () => {
    const { signal, stdout, stderr } = await runChild(
      `${begin}${source}; console.log("went on");`,
      ["--allow-ffi"],
    );
    assertEquals([signal, stdout], ["SIGABRT", ""]);
    assertStringIncludes(stderr, "fringe: C has called a callback where none of fringe's calls is");
    assertStringIncludes(stderr, "Have a function call back that fringe's dlopen has called");
  });
}

Deno.test("a callback of another Worker's is refused, and C is unwound", async () => {
  const source = `
    import { Callback, dlopen } from ${JSON.stringify(moduleUrl)};
    const i32 = { parameters: ["i32"], result: "i32" };
    const library = dlopen(${JSON.stringify(testBodies.pathname)}, {
      keep: { parameters: ["function"], result: "void" },
      call_kept: { parameters: ["i32"], result: "i32" },
    });
    if (typeof WorkerGlobalScope === "undefined") {
      // One of our own, so that this Worker has thunks, too.
      using own = new Callback(i32, () => 1);
      const worker = new Worker(import.meta.url, { type: "module" });
      await new Promise((resolve) => worker.onmessage = resolve);
      const tell = (what) => {
        try {
          console.log(what, library.symbols.call_kept(1));
        } catch (error) {
          console.log(what, error.message);
        }
      };
      tell("alive");
      worker.terminate();
      await new Promise((resolve) => setTimeout(resolve, 200));
      tell("terminated");
      library.symbols.keep(own);
      tell("own");
    } else {
      globalThis.callback = new Callback(i32, () => 2);
      library.symbols.keep(globalThis.callback);
      postMessage("kept");
    }
  `;
  const { code, stdout, stderr } = await runChild(source, ["--allow-ffi", "--allow-read"]);
  const refused =
    "Cannot go on with call_kept: C has called a callback that has been closed, or is " +
    "another Worker's; keep a callback open for as long as C knows it";
  assertEquals([code, stderr], [0, ""]);
  assertEquals(stdout, `alive ${refused}\nterminated ${refused}\nown 1\n`);
});

Deno.test("fringe's library stays loaded once C has had the address of a callback", async () => {
  const source = `
    import { Callback } from ${JSON.stringify(moduleUrl)};
    if (typeof WorkerGlobalScope !== "undefined") {
      const callback = new Callback({ parameters: [], result: "void" }, () => {});
      postMessage("made");
    } else {
      const worker = new Worker(import.meta.url, { type: "module" });
      await new Promise((resolve) => worker.onmessage = resolve);
      worker.terminate();
      await new Promise((resolve) => setTimeout(resolve, 300));
      console.log(Deno.readTextFileSync("/proc/self/maps").includes("libfringe.so"));
    }
  `;
  const { code, stdout } = await runChild(source, ["-A"]);
  assertEquals([code, stdout], [0, "true\n"]);
});

Deno.test("C may be given callbacks by many calls at once, each answers its own", async () => {
  using library = dlopen(testBodies, definition);
  const { call_n } = library.symbols;
  const sums = await Promise.all(
    Array.from(
      { length: 1000 },
      (_, n) =>
        call_n.async(
          3,
          (i) => new Promise((resolve) => setTimeout(() => resolve(n + i), Math.random() * 20)),
        ),
    ),
  );
  assertEquals(sums, Array.from({ length: 1000 }, (_, n) => 3 * n + 3));
});
