// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** Calls that have a thread of their own from the beginning to the end: `nonblocking: "thread"`. */

import { join } from "node:path";
import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { calleeOf } from "../../ffi/call/callee.ts";
import { putFiber, takeThread } from "../../ffi/call/fiber.ts";
import { Callback, dlopen, Generator, NativeError, OsStack, PointerView } from "../../mod.ts";
import { isInstalled } from "../../tools/packages.ts";
import { root } from "../../tools/zig.ts";
import {
  assertSucceeds,
  collectUntil,
  cxx,
  MIXED,
  moduleUrl,
  openBodies,
  runChild,
  testBodies,
  testWith,
} from "../support/support.ts";

const later = <T>(value: T, milliseconds = 1): Promise<T> =>
  new Promise((resolve) => setTimeout(() => resolve(value), milliseconds));

const callback = { callback: { parameters: ["i32"], result: "i32" } } as const;
const told = { callback: { parameters: ["i32"], result: "i32", stop: 1 } } as const;
const asking = { parameters: [callback], result: "i32", nonblocking: "thread" } as const;
const number = { parameters: [], result: "i32" } as const;

const inCpp = {
  ended_count: number,
  ended_thread: number,
  same_thread: asking,
  locked: asking,
  locked_elsewhere: { ...asking, name: "locked", nonblocking: true },
  noted: asking,
  leaves: asking,
  throws: asking,
  deep: { parameters: [callback, "i32"], result: "i32", nonblocking: "thread" },
  until_told: { parameters: [told], result: "i32", nonblocking: "thread" },
  calls_late: asking,
} as const;

/** Compiles one of `tests/bodies/`, once a run; returns the path of the library. */
function compile(source: string, ...more: string[]): string {
  const known = compiled.get(source);
  if (known !== undefined) return known;
  const folder = join(root, ".zig-cache", "threads");
  Deno.mkdirSync(folder, { recursive: true });
  const path = join(folder, `lib${source}.so`);
  const options = ["-O1", "-fPIC", "-shared", "-pthread", "-Wall", "-Wextra", "-Werror"];
  const { success, stderr } = new Deno.Command(cxx(), {
    args: [...options, join(root, "tests/bodies", source), "-o", path, ...more],
  }).outputSync();
  assert(success, new TextDecoder().decode(stderr));
  compiled.set(source, path);
  return path;
}

const compiled = new Map<string, string>();

const threads = () => compile("threads.cc");
const open = () => dlopen(threads(), inCpp);

testWith("g++", "a call has one thread, whatever its handlers await", async () => {
  using library = open();
  const { same_thread } = library.symbols;
  const threads = new Set<number>();
  // Thread-local variables, errno, and a stack that is the thread's own.
  const sum = await same_thread(async (thread) => {
    threads.add(thread);
    return await later(1);
  });
  assertEquals([sum, threads.size, threads.has(Deno.pid)], [8, 1, false]);
});

testWith(
  "g++",
  "a lock that C holds over an awaited callback is unlocked by its owner",
  async () => {
    using library = open();
    const { locked, locked_elsewhere } = library.symbols;
    const [EPERM, EDEADLK] = [1, 35];
    assertEquals(
      await locked(async (error) => {
        assertEquals(error, EDEADLK);
        return await later(0);
      }),
      0,
    );
    // Elsewhere C goes on on whichever thread is idle: not on the one that sleeps since.
    using libc = dlopen("libc.so.6", {
      usleep: { parameters: ["u32"], result: "i32", nonblocking: true },
    });
    let error = 0;
    // By chance the very thread that has locked is idle again first.
    for (let round = 0; round < 20 && error === 0; round++) {
      const sleeping: Promise<number>[] = [];
      error = await locked_elsewhere(() => {
        for (let i = 0; i < 50; i++) sleeping.push(libc.symbols.usleep(20_000));
        return 0;
      });
      await Promise.all(sleeping);
    }
    assertEquals(error, EPERM);
  },
);

testWith("g++", "calls with threads of their own have one each, and few are kept", async () => {
  using library = open();
  const { noted } = library.symbols;
  const threads = new Set<number>();
  const answer = async (thread: number) => {
    threads.add(thread);
    return await later(1, 20);
  };
  const sums = await Promise.all(Array.from({ length: 30 }, () => noted(answer)));
  assertEquals([sums, threads.size], [Array(30).fill(2), 30]);
  const alive = () => [...Deno.readDirSync("/proc/self/task")].map(({ name }) => Number(name));
  const keptNow = () => new Set(alive()).intersection(threads);
  // The others are told to end, and take a moment.
  for (let i = 0; i < 100 && keptNow().size > 8; i++) await later(undefined, 10);
  assertEquals(keptNow().size, 8);
  // One after the other, the same thread serves them.
  const before = [...threads];
  for (let i = 0; i < 20; i++) await noted(answer);
  assertEquals([...threads], before);
});

testWith("g++", "a call that its handler ends is unwound on its own thread", async () => {
  using library = open();
  const { noted, ended_count, ended_thread } = library.symbols;
  const before = ended_count();
  const error = new Error("no");
  let on = 0;
  const pending = noted(async (thread) => {
    on = thread;
    await later(0);
    throw error;
  });
  assertStrictEquals(await assertRejects(() => pending), error);
  assertEquals([ended_count() - before, ended_thread()], [1, on]);
  assertEquals(await noted(() => 1), 2);
});

testWith("g++", "an AbortSignal ends a call with a thread of its own", async () => {
  using library = open();
  const { noted, until_told, calls_late, ended_count } = library.symbols;
  const before = ended_count();
  const reason = new Error("stop");
  // While a handler is pending, with a `stop` and without; and while C runs.
  for (const f of [noted, until_told]) {
    const controller = new AbortController();
    const pending = f.async(() => {
      setTimeout(() => controller.abort(reason), 1);
      return new Promise<number>(() => {});
    }, { signal: controller.signal });
    assertStrictEquals(await assertRejects(() => pending), reason);
  }
  const controller = new AbortController();
  const pending = calls_late.async(() => 0, { signal: controller.signal });
  controller.abort(reason);
  assertStrictEquals(await assertRejects(() => pending), reason);
  assertEquals(ended_count() - before, 3);
});

testWith("g++", "an exception leaves a call with a thread of its own as any other", async () => {
  using library = open();
  const { throws, ended_count, ended_thread } = library.symbols;
  const before = ended_count();
  let on = 0;
  const error = await assertRejects(() =>
    throws(async (thread) => {
      on = thread;
      return await later(1);
    }), NativeError);
  assertEquals([error.type, error.message], ["std::runtime_error", "on a thread"]);
  assertEquals(error.backtrace.slice(0, 2).map(({ name }) => name), ["__cxa_throw", "throws"]);
  assertEquals([ended_count() - before, ended_thread()], [1, on]);
  assertEquals(await throws(() => 0), 4);
});

testWith("g++", "C that ends its thread ends the call, with an error", async () => {
  using library = open();
  const { leaves, ended_count } = library.symbols;
  const before = ended_count();
  // By pthread_exit, at the first callback, and by pthread_cancel, at the second.
  const left = new Set<number>();
  const leave = (thread: number, answer: number) => {
    left.add(thread);
    return later(answer);
  };
  const error = await assertRejects(() => leaves((thread) => leave(thread, 1)), NativeError);
  assertEquals(error.type, "thread exit");
  let asked = 0;
  await assertRejects(() => leaves((thread) => leave(thread, asked++)), NativeError);
  assertEquals(ended_count() - before, 2);
  const thread = Promise.withResolvers<number>();
  const answer = (on: number) => {
    thread.resolve(on);
    return later(0);
  };
  assertEquals(await leaves(answer), 3);
  assertEquals([left.size, left.has(await thread.promise)], [2, false]);
});

testWith(
  "g++",
  "a thread of a call has a stack of 8 MiB, and says so when it is used up",
  async () => {
    using library = open();
    const { deep } = library.symbols;
    assertEquals(await deep(() => later(1), 100), 102);
    const source = `
    import { dlopen } from ${JSON.stringify(moduleUrl)};
    const callback = { callback: { parameters: ["i32"], result: "i32" } };
    const { deep } = dlopen(${JSON.stringify(threads())}, {
      deep: { parameters: [callback, "i32"], result: "i32", nonblocking: "thread" },
    }).symbols;
    await deep(() => 0, 200);
  `;
    const { signal, stderr } = await runChild(source, ["-A"]);
    assertEquals(signal, "SIGSEGV");
    assert(stderr.startsWith("fringe: stack overflow in function `deep`"), stderr);
  },
);

Deno.test("a call with a thread of its own throws an overflow where it is told to", async () => {
  using library = dlopen(testBodies, {
    use_up: { parameters: ["i32"], result: "i32", nonblocking: "thread", overflow: "throw" },
  });
  const { use_up } = library.symbols;
  for (let i = 0; i < 3; i++) {
    const error = await assertRejects(() => use_up(1_000_000), RangeError, "has used up its stack");
    assertInstanceOf(error.cause, NativeError);
    assertEquals(error.cause.backtrace[0]!.name, "use_up");
    assertEquals(await use_up(1), 1);
  }
});

Deno.test("a call with a thread of its own takes arguments of all kinds, and copies", async () => {
  using library = dlopen(testBodies, {
    mixed: {
      parameters: [{ callback: { parameters: MIXED, result: "f64" } }, ...MIXED],
      result: "f64",
      nonblocking: "thread",
    },
    sum_buffer: { parameters: ["buffer", "usize"], result: "u64", nonblocking: "thread" },
    string_length: { parameters: ["cstring"], result: "usize", nonblocking: "thread" },
  });
  const { mixed, sum_buffer, string_length } = library.symbols;
  const values = [-1, 0.5, 2, 3.5, -4, 5.5, 6n, 7.5, true, 1, 2, 3, 4, 5, -0.25, -7n, 8] as const;
  const result = await mixed((...args) => {
    assertEquals(args, [...values]);
    return later(1.25);
  }, ...values);
  assertEquals(result, 1.75);
  for (const size of [0, 1000, 1_000_000]) {
    assertEquals(await sum_buffer(new Uint8Array(size).fill(1), size), BigInt(size));
    assertEquals(await string_length("a".repeat(size)), BigInt(size));
  }
});

Deno.test("a call with a thread of its own sees what either side has written", async () => {
  using libc = dlopen("libc.so.6", {
    qsort: {
      parameters: [
        "buffer",
        "usize",
        "usize",
        { callback: { parameters: ["pointer", "pointer"], result: "i32" } },
      ],
      result: "void",
      nonblocking: "thread",
    },
  });
  const byteAt = (pointer: Deno.PointerValue) => new PointerView(pointer!).getUint8();
  const bytes = Uint8Array.of(3, 1, 2);
  await libc.symbols.qsort(bytes, 3, 1, (a, b) => later(byteAt(a) - byteAt(b)));
  assertEquals([...bytes], [1, 2, 3]);
});

Deno.test("Callback suspends a call with a thread of its own, too", async () => {
  using library = dlopen(testBodies, {
    keep: { parameters: ["function"], result: "void" },
    call_kept: { parameters: ["i32"], result: "i32", nonblocking: "thread" },
  });
  using kept = new Callback({ parameters: ["i32"], result: "i32" }, (i) => later(i * 2));
  library.symbols.keep(kept);
  assertEquals(await library.symbols.call_kept(21), 42);
});

Deno.test("a library does not close under a call that runs, and ends one that waits", async () => {
  const library = openBodies();
  const libc = dlopen("libc.so.6", {
    usleep: { parameters: ["u32"], result: "i32", nonblocking: "thread" },
  });
  const sleeping = libc.symbols.usleep(50_000);
  assertThrows(() => libc.close(), Error, "a nonblocking function of it is running on another");
  assertEquals(await sleeping, 0);
  libc.close();
  library.close();
  const waiting = dlopen(testBodies, {
    call_n: {
      parameters: ["i32", { callback: { parameters: ["i32"], result: "i32" } }],
      result: "i32",
      nonblocking: "thread",
    },
  });
  const asked = Promise.withResolvers<void>();
  const pending = waiting.symbols.call_n(3, () => {
    asked.resolve();
    return new Promise<number>(() => {});
  });
  await asked.promise;
  waiting.close();
  await assertRejects(() => pending, Error, "Cannot go on with call_n: ");
});

Deno.test("a generator cannot wait for a call with a thread of its own", () => {
  using library = dlopen(testBodies, {
    plus_one: { parameters: ["u32"], result: "u32", nonblocking: "thread" },
  });
  const { plus_one } = library.symbols;
  // @ts-expect-error It has no such form.
  const pulled = () => plus_one.calls(1).next();
  assertThrows(pulled, TypeError, "Cannot call plus_one: it is declared as nonblocking");
  using generator = new Generator(new OsStack(), function* (yielder) {
    // @ts-expect-error It is no function that a generator can wait for.
    yield* yielder.call(plus_one, 1);
  });
  assertThrows(() => generator.resume(), TypeError, "a generator cannot wait for another thread");
});

testWith("g++", "a call with a thread of its own that is dropped is ended", async () => {
  using library = open();
  const { noted, ended_count } = library.symbols;
  const before = ended_count();
  const begin = async () => {
    const asked = Promise.withResolvers<void>();
    void noted(() => {
      asked.resolve();
      return new Promise<number>(() => {});
    });
    await asked.promise;
  };
  await begin();
  await collectUntil(() => ended_count() > before);
  assertEquals(ended_count() - before, 1);
});

testWith("g++", "the frames of a call with a thread of its own can be walked", () => {
  using library = open();
  const { noted } = library.symbols;
  const fiber = takeThread("report", undefined, "Cannot call noted");
  const { call, context } = fiber;
  call.prepare(calleeOf(noted), [() => 1], "functions");
  const target = call.step()!;
  const names = () => context.frames().map(({ name }) => name);
  const expected = ["fringe_thunk_common", "noted", "fringe_call_body"];
  // Again, since nothing is switched for that.
  for (let i = 0; i < 2; i++) assertEquals(names(), expected);
  call.reply(target, 1);
  call.reply(call.step()!, 2);
  assertEquals(call.step(), undefined);
  assertEquals([call.result, context.frames()], [3, []]);
  putFiber(fiber);
});

testWith("g++", "a Worker that is terminated leaves no thread waiting", async () => {
  const source = `
    import { dlopen } from ${JSON.stringify(moduleUrl)};
    const callback = { callback: { parameters: ["i32"], result: "i32" } };
    const asking = { parameters: [callback], result: "i32", nonblocking: "thread" };
    const { symbols } = dlopen(${JSON.stringify(threads())}, {
      noted: asking,
      calls_late: asking,
      until_told: asking,
      ended_count: { parameters: [], result: "i32" },
    });
    if (typeof WorkerGlobalScope !== "undefined") {
      symbols.noted(() => new Promise(() => {}));
      symbols.calls_late(() => 0);
      symbols.until_told(() => 0);
      symbols.noted(() => (postMessage("waits"), new Promise(() => {})));
    } else {
      for (let round = 0; round < 5; round++) {
        const worker = new Worker(import.meta.url, { type: "module" });
        await new Promise((resolve) => worker.onmessage = resolve);
        worker.terminate();
        const ended = 4 * (round + 1);
        while (symbols.ended_count() < ended) await new Promise((resolve) => setTimeout(resolve));
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      console.log(symbols.ended_count(), await symbols.noted(() => 3));
    }
  `;
  assertSucceeds(await runChild(source, ["-A"]), "20 6\n");
});

const needed = isInstalled("g++") ? "libgc.so.1" : "g++";

testWith(needed, "a collector finds the stacks of threads that wait in callbacks", async () => {
  const source = `
    import { dlopen } from ${JSON.stringify(moduleUrl)};
    const gc = Deno.dlopen("libgc.so.1", {
      GC_init: { parameters: [], result: "void" },
      GC_allow_register_threads: { parameters: [], result: "void" },
      GC_gcollect: { parameters: [], result: "void" },
      GC_malloc: { parameters: ["usize"], result: "pointer" },
    }).symbols;
    gc.GC_init();
    gc.GC_allow_register_threads();
    const { sum_on_thread } = dlopen(${JSON.stringify(compile("collected.cc", "-l:libgc.so.1"))}, {
      sum_on_thread: {
        parameters: ["i64", { callback: { parameters: [], result: "void" } }],
        result: "i64",
        nonblocking: "thread",
      },
    }).symbols;
    const sums = [1000n, 2000n, 3000n].map((n) => sum_on_thread(n, async () => {
      // The lists are referred to by C that waits, on three threads. What is free is used again.
      gc.GC_gcollect();
      for (let i = 0; i < 10_000; i++) gc.GC_malloc(16n);
      await new Promise((resolve) => setTimeout(resolve, 5));
      gc.GC_gcollect();
    }));
    console.log(await Promise.all(sums));
  `;
  assertSucceeds(await runChild(source, ["-A"]), "[ 500500n, 2001000n, 4501500n ]\n");
});
