// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** Callbacks that threads of C's own call: `new Callback(…, { threads: true })`. */

import { join } from "node:path";
import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { Callback, dlopen, type VariadicArguments } from "../../mod.ts";
import { root } from "../../tools/zig.ts";
import {
  assertSucceeds,
  cxx,
  moduleUrl,
  runChild,
  testNatively,
  testWith,
} from "../support/support.ts";

const later = <T>(value: T, milliseconds = 1): Promise<T> =>
  new Promise((resolve) => setTimeout(() => resolve(value), milliseconds));

const number = { parameters: [], result: "i32" } as const;
const mixed = {
  parameters: ["i8", "f32", "f64", "i64", "cstring", "i32", "i32", "i32", "i32", "f64", "u16"],
  result: "f64",
} as const;

const inCpp = {
  begin: { parameters: ["function", "i32", "i32"], result: "void" },
  finish: { parameters: ["i32"], result: "i32", nonblocking: true },
  sum_now: number,
  wrong_now: number,
  finished_now: number,
  both: { parameters: ["function", "i32"], result: "i32", nonblocking: true },
  call_here: { parameters: ["function", "i32"], result: "i32" },
  mixed_on_thread: { parameters: ["function"], result: "f64", nonblocking: true },
  string_on_thread: { parameters: ["function"], result: "cstring", nonblocking: true },
  variadic_on_thread: { parameters: ["function"], result: "i32", nonblocking: true },
} as const;

/** Compiles tests/bodies/foreign.cc, once a run; returns the path of the library. */
function compile(): string {
  if (compiled !== undefined) return compiled;
  const folder = join(root, ".zig-cache", "foreign");
  Deno.mkdirSync(folder, { recursive: true });
  const path = join(folder, "libforeign.so");
  const options = ["-O1", "-fPIC", "-shared", "-pthread", "-Wall", "-Wextra", "-Werror"];
  const { success, stderr } = new Deno.Command(cxx(), {
    args: [...options, join(root, "tests/bodies/foreign.cc"), "-o", path],
  }).outputSync();
  assert(success, new TextDecoder().decode(stderr));
  return compiled = path;
}

let compiled: string | undefined;

const open = () => dlopen(compile(), inCpp);

const toInt = { parameters: ["i32"], result: "i32" } as const;
const stopping = { ...toInt, stop: -1 } as const;
const THREADS = { threads: true } as const;

/** Waits until so many threads of the last `begin` have ended. */
async function untilFinished(count: number, finished: () => number): Promise<void> {
  while (finished() < count) await later(undefined);
}

testWith("g++", "many threads call one callback, and each waits for an async handler", async () => {
  using library = open();
  const { begin, finish, wrong_now } = library.symbols;
  let [served, most, now] = [0, 0, 0];
  using callback = new Callback(toInt, async (i) => {
    most = Math.max(most, ++now);
    await later(0, i % 7);
    now--;
    served++;
    return i;
  }, THREADS);
  begin(callback, 100, 3);
  assertEquals(await finish(100), 3 * 4950);
  // What C had in errno it finds again.
  assertEquals([served, wrong_now()], [300, 0]);
  assert(most > 50, `${most} at once`);
});

testWith("g++", "more functions than Deno's pool has threads wait for their threads", async () => {
  using library = open();
  const { mixed_on_thread } = library.symbols;
  using callback = new Callback(mixed, async () => await later(1, 5), THREADS);
  const all = Array.from({ length: 150 }, () => mixed_on_thread(callback));
  assertEquals(await Promise.all(all), all.map(() => 1));
});

testWith("g++", "threads are served in the order in which they call", async () => {
  using library = open();
  const { begin, finish } = library.symbols;
  const order: number[] = [];
  using callback = new Callback(toInt, (i) => order.push(i), THREADS);
  // While this thread is busy they queue up, one after the other.
  begin(callback, 1, 5);
  assertEquals(await finish(1), 1 + 2 + 3 + 4 + 5);
  begin(callback, 50, 1);
  await finish(50);
  assertEquals(order.slice(5).toSorted((a, b) => a - b), Array.from({ length: 50 }, (_, i) => i));
});

testWith("g++", "a callback for threads goes on as any other in a call of fringe's", async () => {
  using library = open();
  const { both, call_here } = library.symbols;
  using callback = new Callback(toInt, (i) => i + 1, THREADS);
  assertEquals(call_here(callback, 4), 5);
  assertEquals(call_here.calls(callback, 4).next(), { done: true, value: 5 });
  using waiting = new Callback(toInt, async (i) => await later(i + 1), THREADS);
  assertEquals(await call_here.async(waiting, 4), 5);
  // At once on the thread of the call, and on one that C has made, with 0.
  assertEquals(await both(waiting, 4), 5 + 1);
});

testWith("g++", "a callback for threads gets arguments of all kinds", async () => {
  using library = open();
  using callback = new Callback(mixed, async (...args) => {
    assertEquals(args, [-1, 0.5, 2.5, -3n, "four", 5, 6, 7, 8, 9.5, 65535]);
    return await later(1.25);
  }, THREADS);
  assertEquals(await library.symbols.mixed_on_thread(callback), 1.25);
});

testWith("g++", "a thread gets strings and buffers as copies", async () => {
  using library = open();
  const { string_on_thread } = library.symbols;
  using strings = new Callback(
    { parameters: ["i32"], result: "cstring" },
    (i) => later(`answer ${i}`),
    THREADS,
  );
  assertEquals(await string_on_thread(strings), "answer 1");
  using nothing = new Callback({ parameters: ["i32"], result: "cstring" }, () => null, THREADS);
  assertEquals(await string_on_thread(nothing), "");
  const bytes = new TextEncoder().encode("bytes\0");
  using buffers = new Callback({ parameters: ["i32"], result: "buffer" }, () => {
    queueMicrotask(() => bytes.buffer.transfer(0));
    return bytes;
  }, THREADS);
  assertEquals(await string_on_thread(buffers), "bytes");
});

testWith(
  "g++",
  "a thread can read what the stop of a callback that is closed has said",
  async () => {
    using library = open();
    let asked = false;
    const callback = new Callback(
      { parameters: ["i32"], result: "cstring", stop: () => "it is closed" },
      () => {
        asked = true;
        return new Promise<string>(() => {});
      },
      THREADS,
    );
    const answer = library.symbols.string_on_thread(callback);
    while (!asked) await later(undefined);
    callback.close();
    await later(undefined, 10);
    assertEquals(await answer, "it is closed");
  },
);

testWith(
  "g++",
  "a thread passes arguments behind dots, which are there while it waits",
  async () => {
    using library = open();
    let kept: VariadicArguments | undefined;
    const variadic = { parameters: ["cstring"], result: "i32", variadic: true } as const;
    using callback = new Callback(variadic, async (types, rest) => {
      kept = rest;
      const first = rest.next("f64");
      await later(undefined);
      assertEquals([types, first, rest.next("i32")], ["di", 0.25, -7]);
      for (let i = 2; i < 127; i++) rest.next("i64"); // whatever is there
      assertThrows(
        () => rest.next("i64"),
        RangeError,
        "127 have been read, and C promises to pass no more",
      );
      return 5;
    }, THREADS);
    assertEquals(await library.symbols.variadic_on_thread(callback), 5);
    assertThrows(() => kept!.next("i32"), Error, "is gone");
  },
);

testWith(
  "g++",
  "a thread gets the stop when its handler throws, and the error is reported",
  async () => {
    using library = open();
    const { begin, finish } = library.symbols;
    const errors: unknown[] = [];
    const note = (event: ErrorEvent) => {
      event.preventDefault();
      errors.push(event.error.message);
    };
    addEventListener("error", note);
    try {
      using callback = new Callback(stopping, async (i) => {
        await later(0);
        if (i === 0) throw new Error("no");
        return "one" as unknown as number;
      }, THREADS);
      begin(callback, 2, 1);
      assertEquals(await finish(2), -2);
      using asked = new Callback({ ...toInt, stop: (i: number) => i + 10 }, () => {
        throw new Error("asked");
      }, THREADS);
      begin(asked, 2, 1);
      assertEquals(await finish(2), 21);
    } finally {
      removeEventListener("error", note);
    }
    assertEquals(errors.filter((error) => error === "no").length, 1);
    assertEquals(errors.filter((error) => error === "asked").length, 2);
    assert(errors.some((error) => `${error}`.startsWith("Cannot answer C: ")), `${errors}`);
  },
);

testWith("g++", "close() gives threads that wait the stop, and those that call later", async () => {
  using library = open();
  const { begin, finish, sum_now, finished_now } = library.symbols;
  const callback = new Callback(stopping, () => new Promise<number>(() => {}), THREADS);
  begin(callback, 5, 1);
  await later(0, 20);
  assertEquals(finished_now(), 0);
  callback.close();
  callback.close();
  assertEquals(await finish(5), -5);
  // C has the address yet.
  const later_ = new Callback(stopping, (i) => i, THREADS);
  const { pointer } = later_;
  later_.close();
  begin(pointer, 3, 1);
  await untilFinished(3, finished_now);
  assertEquals(sum_now(), -3);
  // Without a stop the handler's answer counts.
  const patient = new Callback(toInt, (i) => later(i + 1, 20), THREADS);
  begin(patient, 3, 1);
  await later(0, 5);
  patient.close();
  assertEquals(await finish(3), 1 + 2 + 3);
});

testWith(
  "g++",
  "a callback without a hold on the event loop is answered all the same",
  async () => {
    using library = open();
    const { begin, finish } = library.symbols;
    using callback = new Callback(toInt, (i) => i + 1, THREADS);
    assertEquals([callback.ref(), callback.unref(), callback.unref()], [2, 1, 0]);
    assertEquals(callback.unref(), 0);
    begin(callback, 10, 5);
    assertEquals(await finish(10), 5 * 55);
    assertEquals(callback.ref(), 1);
    begin(callback, 10, 5);
    assertEquals(await finish(10), 5 * 55);
  },
);

testWith("g++", "new Callback() refuses what threads cannot be given", () => {
  const make = (...args: unknown[]) =>
    new (Callback as unknown as new (...args: unknown[]) => unknown)(...args);
  const cases: [unknown[], string][] = [
    [[toInt, () => 1, null], "options must be an object such as { threads }: got null"],
    [[toInt, () => 1, { thread: true }], 'the key "thread" is not understood'],
    [[toInt, () => 1, { threads: 1 }], "threads must be a boolean: got 1"],
    [
      [{ parameters: [], result: "cstring", stop: "a" }, () => "b", THREADS],
      "stop must be null where threads are answered a string or a buffer, or a function: got",
    ],
  ];
  for (const [args, text] of cases) {
    assertStringIncludes(assertThrows(() => make(...args), TypeError).message, text);
  }
  using callback = new Callback(toInt, (i) => i);
  assertThrows(() => callback.ref(), TypeError, "Cannot ref callback: no thread may call it");
  assertThrows(() => callback.unref(), TypeError, "make it with { threads: true }");
});

/** A program that has `begin` and all else, and a callback that `make` makes. */
const program = (make: string, rest: string) => `
  import { Callback, dlopen } from ${JSON.stringify(moduleUrl)};
  const { symbols } = dlopen(${JSON.stringify(compile())}, ${JSON.stringify(inCpp)});
  const { begin, finish, sum_now, finished_now, call_here } = symbols;
  const later = (value, ms = 1) => new Promise((done) => setTimeout(() => done(value), ms));
  const toInt = { parameters: ["i32"], result: "i32" };
  const callback = new Callback(${make}, { threads: true });
  ${rest}
`;

testNatively("the event loop waits for threads until unref()", "g++", async () => {
  const answer = `toInt, async (i) => {
    await later(0, 50);
    console.log("asked");
    callback.close();
    return i;
  }`;
  const held = await runChild(program(answer, "begin(callback, 1, 1);"), ["-A"]);
  assertSucceeds(held, "asked\n");
  const silent = "console.log('over'); callback.unref();";
  assertSucceeds(await runChild(program("toInt, (i) => i", silent), ["-A"]), "over\n");
});

testWith(
  "g++",
  "a handler that throws ends the program, as an error that nobody has caught",
  async () => {
    const thrower = "{ ...toInt, stop: 7 }, () => { throw new Error('on purpose'); }";
    // While the program ends, Deno closes the library, and the thread, which goes on, is in it.
    // Once in four times a process died of that.
    for (let i = 0; i < 8; i++) {
      const ended = await runChild(program(thrower, "begin(callback, 1, 1);"), ["-A"]);
      assertEquals([ended.code, ended.signal], [1, null]);
      assertStringIncludes(ended.stderr, "Error: on purpose");
    }
  },
);

testNatively(
  "C does not go on with an answer that nobody gave: the process ends",
  "g++",
  async () => {
    const prevented = "addEventListener('error', (event) => event.preventDefault());";
    const thrower = "toInt, () => { throw new Error('on purpose'); }";
    const closing = "const { pointer } = callback; callback.close(); begin(pointer, 1, 1);";
    const cases: [make: string, rest: string, text: string][] = [
      [thrower, `${prevented} begin(callback, 1, 1);`, "has thrown, and the callback has no stop"],
      [
        "toInt, (i) => i",
        `${closing} await later(0, 2000);`,
        "a callback that is closed, or whose",
      ],
      [
        "toInt, (i) => i",
        `Deno.dlopen(${JSON.stringify(compile())}, {
        call_here: { parameters: ["pointer", "i32"], result: "i32" },
      }).symbols.call_here(callback.pointer, 1);`,
        "fringe: C has called a callback where none of fringe's calls is running",
      ],
    ];
    for (const [make, rest, text] of cases) {
      const { signal, stderr } = await runChild(program(make, rest), ["-A"]);
      assertEquals(signal, "SIGABRT", stderr);
      assertStringIncludes(stderr, text);
    }
  },
);

testWith("g++", "a Worker that is terminated leaves no thread of C's waiting", async () => {
  const inWorker = (definition: string) =>
    program(
      `${definition}, () => (self.postMessage?.("asked"), new Promise(() => {}))`,
      `if (typeof WorkerGlobalScope !== "undefined") {
        begin(callback, 5, 2);
      } else {
        callback.close();
        const worker = new Worker(import.meta.url, { type: "module" });
        await new Promise((resolve) => worker.onmessage = resolve);
        worker.terminate();
        while (finished_now() < 5) await later();
        console.log(sum_now());
      }`,
    );
  assertSucceeds(await runChild(inWorker("{ ...toInt, stop: 3 }"), ["-A"]), "30\n");
  const { signal, stderr } = await runChild(inWorker("toInt"), ["-A"]);
  assertEquals(signal, "SIGABRT", stderr);
  assertStringIncludes(stderr, "a callback that is closed, or whose Worker has ended");
});

testNatively("a Worker that waits for a thread which waits for it is told of", "g++", async () => {
  const waiting = `
    if (typeof WorkerGlobalScope !== "undefined") {
      begin(callback, 1, 1);
      dlopen(${JSON.stringify(compile())}, {
        finish: { parameters: ["i32"], result: "i32" },
      }).symbols.finish(1);
    } else {
      new Worker(import.meta.url, { type: "module" });
      await later(0, 8000);
      Deno.exit();
    }
  `;
  const { code, stderr } = await runChild(program("toInt, (i) => i", waiting), ["-A"]);
  assertEquals(code, 0);
  assertStringIncludes(stderr, "fringe: a thread of C's waits for the answer of a callback, and");
});
