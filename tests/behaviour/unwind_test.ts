// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** Bodies and calls that are ended early: through generators of C's own, and through glibc. */

import { dirname, join } from "node:path";
import { assert, assertEquals, assertMatch, assertStrictEquals, assertThrows } from "@std/assert";
import {
  Callback,
  dlopen,
  Generator,
  NativeError,
  type NativeLibrary,
  OsStack,
} from "../../mod.ts";
import { root } from "../../tools/zig.ts";
import {
  cxx,
  fringeLibrary,
  moduleUrl,
  openBodies,
  testWith,
  thisDeno,
} from "../support/support.ts";

const mine = new Error("mine");

function throwMine(): never {
  throw mine;
}

/** What is printed by console.warn() meanwhile. */
function warningsOf(act: () => void): string[] {
  const { warn } = console;
  const printed: string[] = [];
  console.warn = (text: string) => printed.push(text);
  try {
    act();
  } finally {
    console.warn = warn;
  }
  return printed;
}

// Generators of C's own

const body = { input: "i32", output: "i32" } as const;
const callback = { callback: { parameters: ["i32"], result: "i32" } } as const;

const inCpp = {
  alive: { parameters: [], result: "i32" },
  forget: { parameters: [], result: "i32" },
  calls_in_generators: { parameters: ["i32", "i32", callback], result: "i32" },
  calls_in_flight: { parameters: ["i32", callback], result: "i32" },
  calls_after_end: { parameters: ["i32", callback], result: "i32" },
  calls_on_context: { parameters: ["buffer", "usize", "i32", callback], result: "i32" },
  calls_once: {
    parameters: ["buffer", { callback: { parameters: [], result: "void" } }],
    result: "i32",
  },
  relays: body,
  relays_by_call: body,
  opens_cookie: { parameters: ["function"], result: "pointer" },
} as const;

const prebuilt = dirname(fringeLibrary.pathname);
const WITH_LIBRARY = ["-DWITH_LIBRARY", `-L${prebuilt}`, `-Wl,-rpath,${prebuilt}`, "-lfringe"];

/** How the library of `nested.cc` comes by fringe's functions, and its unwinder. */
const WAYS = {
  library: WITH_LIBRARY,
  assembly: [join(root, `native/switch_${Deno.build.arch}.S`)],
  alone: [...WITH_LIBRARY, "-static-libgcc", "-static-libstdc++", "-Wl,--exclude-libs,ALL"],
};

function openNested(way: keyof typeof WAYS): NativeLibrary<typeof inCpp> {
  const folder = join(root, ".zig-cache", "unwind");
  Deno.mkdirSync(folder, { recursive: true });
  const path = join(folder, `libnested_${way}.so`);
  const source = new URL("../bodies/nested.cc", import.meta.url).pathname;
  const include = "-I" + join(root, "native/include");
  const options = ["-O2", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared", include];
  const { success, stderr } = new Deno.Command(cxx(), {
    args: [...options, source, "-o", path, ...WAYS[way]],
  }).outputSync();
  assert(success, new TextDecoder().decode(stderr));
  return dlopen(path, inCpp);
}

/** By which function a generator is resumed, and how many are in each other. */
const ENTRIES = [0, 1] as const;
const CASES = ENTRIES.flatMap((entry) => [0, 1, 2, 3].map((depth) => [entry, depth] as const));

const BY = ["library", "assembly"] as const;

testWith("g++", "a call that is ended in generators of C++'s own is unwound through them", () => {
  for (const way of BY) {
    using library = openNested(way);
    const { alive, calls_in_generators } = library.symbols;
    for (const [entry, depth] of CASES) {
      if (way === "library") {
        assertEquals(calls_in_generators(depth, entry, (i) => i), 3 + 10 * depth);
        assertEquals(alive(), 0);
      }
      const warnings = warningsOf(() => {
        assertStrictEquals(assertThrows(() => calls_in_generators(depth, entry, throwMine)), mine);
        // All destructors have run.
        assertEquals(alive(), 0);
        for (const { args: [i], reply } of calls_in_generators.calls(depth, entry)) {
          if (i === 2) break;
          reply(5);
        }
      });
      assertEquals([alive(), warnings], [0, []]);
    }
  }
});

testWith(
  "g++",
  "a generator of C++'s own that rethrows its end leaves no exception in flight",
  () => {
    using library = openNested("library");
    const { alive, calls_after_end } = library.symbols;
    for (const entry of ENTRIES) {
      assertEquals(calls_after_end(entry, (i) => i), 1);
      assertEquals(alive(), 0);
      const warnings = warningsOf(() => {
        assertStrictEquals(assertThrows(() => calls_after_end(entry, throwMine)), mine);
      });
      assertEquals([alive(), warnings], [0, []]);
    }
  },
);

testWith("g++", "a backtrace leads through generators of C++'s own", () => {
  for (const way of BY) {
    using library = openNested(way);
    const { alive, calls_in_generators } = library.symbols;
    for (const [entry, depth] of CASES) {
      using generator = new Generator<undefined, number>(new OsStack(), function* (yielder) {
        yield* yielder.call(calls_in_generators, depth, entry, function* () {
          yield 1;
          return 0;
        });
      });
      assertEquals(generator.resume(undefined), 1);
      const names = generator.backtrace().map(({ name }) => name);
      const count = (wanted: string) => names.filter((name) => name === wanted).length;
      assertEquals(count("inner"), depth);
      assertEquals(count("fringe_root"), depth);
      assertEquals(names.slice(-2), ["calls_in_generators", "fringe_call_body"]);
      generator.return();
      assertEquals(alive(), 0);
    }
  }
});

testWith("g++", "a call that is ended in a destructor which an exception runs is abandoned", () => {
  using library = openNested("library");
  const { alive, calls_in_flight, forget } = library.symbols;
  for (const entry of ENTRIES) {
    assertEquals(calls_in_flight(entry, () => 0), 7);
    assertEquals(alive(), 0);
  }
  const warnings = warningsOf(() => {
    assertStrictEquals(assertThrows(() => calls_in_flight(0, throwMine)), mine);
  });
  assertEquals(warnings.length, 1);
  assertMatch(warnings[0]!, /: a cleanup or destructor, which the end or an exception ran, had /);
  assert(forget() > 0);
});

testWith("g++", "a body that resumes another is ended, or throws, at any stage", () => {
  using library = openNested("library");
  const { alive, relays, relays_by_call } = library.symbols;
  for (const relay of [relays, relays_by_call]) {
    for (const stage of [0, 1, 2, 3]) {
      using generator = new Generator(new OsStack(), relay);
      for (let i = 0; i < stage; i++) assertEquals(generator.resume(i), i === 0 ? 0 : i + 1);
      assertEquals(warningsOf(() => generator.return()), []);
      assertEquals(alive(), 0);
    }
    for (const [input, message] of [[-1, "the inner one"], [101, "the outer one"]] as const) {
      for (const stage of [1, 2, 3]) {
        using generator = new Generator(new OsStack(), relay);
        for (let i = 0; i < stage; i++) generator.resume(i);
        const error = assertThrows(() => generator.resume(input), NativeError);
        assertEquals(error.message, `${message} throws`);
        assertEquals(error.backtrace.at(-1)!.name, relay === relays ? "relays" : "relays_by_call");
        assertEquals(alive(), 0);
      }
    }
  }
});

Deno.test("a call that is ended in a generator of Zig's own is unwound through it", () => {
  using library = openBodies();
  const { calls_in_zig_generator, cleanup_count } = library.symbols;
  assertEquals(calls_in_zig_generator((i) => i + 1), 2);
  const before = cleanup_count();
  const warnings = warningsOf(() => {
    assertStrictEquals(assertThrows(() => calls_in_zig_generator(throwMine)), mine);
  });
  assertEquals([cleanup_count(), warnings], [before + 2, []]);
  // The generator has ended with it.
  assertEquals(calls_in_zig_generator((i) => i + 2), 3);
});

testWith("g++", "frames that are called by a library with its own unwinder are unwound", () => {
  using library = openNested("alone");
  const { alive, calls_once, forget } = library.symbols;
  const control = new Int32Array(new ArrayBuffer(4));
  const warnings = warningsOf(() => {
    assertStrictEquals(assertThrows(() => calls_once(control, throwMine)), mine);
  });
  // That of pthread_once, which has given the control back; not its caller's.
  assertEquals([control[0], alive()], [0, 1]);
  assertEquals(warnings.length, 1);
  const [warning] = warnings;
  assertMatch(warning!, /: calls_once\+0x\w+ \(\S+libnested_alone.so\S+ has cleanups for /);
  assertMatch(warning!, / an unwinder that \S+libnested_alone.so keeps to itself; /);
  assertEquals(calls_once(control, () => {}), 0);
  assertEquals(control[0], 2);
  forget();
});

// Stacks that C makes

testWith("g++", "a callback on a small stack of C's own: nothing is written below it", () => {
  using library = openNested("library");
  const { calls_on_context } = library.symbols;
  const size = 768;
  for (const withObject of [0, 1]) {
    const memory = new Uint8Array(16 * 1024).fill(0xee);
    const place = memory.subarray(memory.length - size);
    assertEquals(calls_on_context(place, size, withObject, (i) => i), 2);
    // How far down C's own frames go. What they have there differs: registers of V8's, for one.
    const untouched = (): number => memory.findIndex((byte) => byte !== 0xee);
    const before = untouched();
    const warnings = warningsOf(() => {
      assertStrictEquals(
        assertThrows(() => calls_on_context(place, size, withObject, throwMine)),
        mine,
      );
    });
    assertEquals(untouched(), before);
    if (withObject === 0) {
      assertMatch(warnings[0]!, /^fringe: calls_on_context was ended early.* a stack that C has/);
    }
  }
});

// glibc

const libcSymbols = {
  pthread_once: {
    parameters: ["buffer", { callback: { parameters: [], result: "void" } }],
    result: "i32",
  },
  scandir: {
    parameters: [
      "cstring",
      "buffer",
      { callback: { parameters: ["pointer"], result: "i32" } },
      "pointer",
    ],
    result: "i32",
  },
  getline: { parameters: ["buffer", "buffer", "pointer"], result: "isize" },
  fclose: { parameters: ["pointer"], result: "i32" },
  ftrylockfile: { parameters: ["pointer"], result: "i32", nonblocking: true },
} as const;

function openFiles(): number {
  return [...Deno.readDirSync("/proc/self/fd")].length;
}

Deno.test("pthread_once that a handler throws out of can be done again", () => {
  using libc = dlopen("libc.so.6", libcSymbols);
  const control = new Int32Array(new ArrayBuffer(4));
  const { pthread_once } = libc.symbols;
  let ran = 0;
  const warnings = warningsOf(() => {
    for (let i = 0; i < 3; i++) {
      assertStrictEquals(assertThrows(() => pthread_once(control, throwMine)), mine);
      assertEquals(control[0], 0);
    }
    assertEquals(pthread_once(control, () => void ran++), 0);
    assertEquals(pthread_once(control, () => void ran++), 0);
  });
  assertEquals([ran, warnings], [1, []]);
});

Deno.test("scandir that a handler throws out of closes its directory", () => {
  using libc = dlopen("libc.so.6", libcSymbols);
  const list = new BigUint64Array(new ArrayBuffer(8));
  const { scandir } = libc.symbols;
  const before = openFiles();
  const warnings = warningsOf(() => {
    for (let i = 0; i < 10; i++) {
      assertStrictEquals(assertThrows(() => scandir("/", list, throwMine, null)), mine);
    }
  });
  assertEquals([openFiles(), warnings], [before, []]);
});

testWith("g++", "getline that a handler throws out of unlocks its file", async () => {
  using library = openNested("library");
  using libc = dlopen("libc.so.6", libcSymbols);
  const { getline, ftrylockfile } = libc.symbols;
  const read = throwMine as () => number;
  using reading = new Callback(
    { parameters: ["pointer", "pointer", "usize"], result: "isize" },
    () => read(),
  );
  const line = new BigUint64Array(new ArrayBuffer(8));
  const size = new BigUint64Array(new ArrayBuffer(8));
  const file = library.symbols.opens_cookie(reading);
  assert(file !== null);
  const warnings = warningsOf(() => {
    assertStrictEquals(assertThrows(() => getline(line, size, file)), mine);
  });
  assertEquals(warnings, []);
  // A lock counts for the thread that has it, so another one tries.
  assertEquals(await ftrylockfile(file), 0);
});

Deno.test("dl_iterate_phdr that a handler throws out of unlocks the loader", async () => {
  // A lock that is held stops the whole process.
  const worker = `
    // It comes with glibc, and the loader has yet to list it.
    Deno.dlopen("libanl.so.1", {}).close();
    postMessage("opened");
    close();
  `;
  const source = `
    import { dlopen } from ${JSON.stringify(moduleUrl)};
    const { dl_iterate_phdr } = dlopen("libc.so.6", {
      dl_iterate_phdr: {
        parameters: [
          { callback: { parameters: ["pointer", "usize", "pointer"], result: "i32" } },
          "pointer",
        ],
        result: "i32",
      },
    }).symbols;
    try {
      dl_iterate_phdr(() => {
        throw new Error("mine");
      }, null);
    } catch (error) {
      console.log(error.message);
    }
    const url = "data:text/javascript," + encodeURIComponent(${JSON.stringify(worker)});
    new Worker(url, { type: "module" }).onmessage = ({ data }) => console.log(data);
  `;
  const file = await Deno.makeTempFile({ prefix: "fringe-test-", suffix: ".ts" });
  try {
    await Deno.writeTextFile(file, source);
    const [program, ...begin] = thisDeno();
    const child = new Deno.Command(program, {
      args: [...begin, "run", "--no-prompt", "--no-check", "-A", file],
      env: { NO_COLOR: "1", FRINGE_LIBRARY: "" },
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    // A signal that it could handle would have it wait for the same lock.
    const limit = setTimeout(() => child.kill("SIGKILL"), 120_000);
    const { stdout, signal } = await child.output();
    clearTimeout(limit);
    assertEquals([new TextDecoder().decode(stdout), signal], ["mine\nopened\n", null]);
  } finally {
    await Deno.remove(file);
  }
});
