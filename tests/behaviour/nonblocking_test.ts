// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** Functions that run on Deno's blocking pool between callbacks, and who may touch them then. */

import { assert, assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import { calleeOf } from "../../ffi/call/callee.ts";
import { putFiber, takeFiber } from "../../ffi/call/fiber.ts";
import { Callback, dlopen, Generator, OsStack, PointerView } from "../../mod.ts";
import { gc, MIXED, moduleUrl, openBodies, runChild, testBodies } from "../support/support.ts";

const later = <T>(value: T, milliseconds = 1): Promise<T> =>
  new Promise((resolve) => setTimeout(() => resolve(value), milliseconds));

const openLibc = () =>
  dlopen("libc.so.6", {
    usleep: { parameters: ["u32"], result: "i32", nonblocking: true },
    gettid: { parameters: [], result: "i32", nonblocking: true },
    gettidHere: { name: "gettid", parameters: [], result: "i32" },
  });

Deno.test("a nonblocking function runs on another thread, its handlers on this one", async () => {
  using library = openBodies();
  using libc = openLibc();
  const { gettid, gettidHere } = libc.symbols;
  const here = gettidHere();
  assert(await gettid() !== here);
  const threads = new Set<number>();
  const sum = await library.symbols.call_n_elsewhere(10, (i) => {
    threads.add(gettidHere());
    gc();
    return i;
  });
  assertEquals([sum, ...threads], [45, here]);
});

Deno.test("a nonblocking function lets the event loop run while C does", async () => {
  using libc = openLibc();
  let ticks = 0;
  const timer = setInterval(() => ticks++, 5);
  await libc.symbols.usleep(200_000);
  clearInterval(timer);
  assert(ticks > 5, `${ticks} ticks`);
});

Deno.test("a nonblocking function can be called many times at once", async () => {
  using library = openBodies();
  const { call_n_elsewhere } = library.symbols;
  const sums = await Promise.all(
    Array.from(
      { length: 50 },
      (_, n) => call_n_elsewhere.async(4, async (i) => await later(n + i)),
    ),
  );
  assertEquals(sums, Array.from({ length: 50 }, (_, n) => 4 * n + 6));
});

Deno.test("a nonblocking function takes floats, and arguments on the stack", async () => {
  using library = dlopen(testBodies, {
    mixed: {
      parameters: [{ callback: { parameters: MIXED, result: "f64" } }, ...MIXED],
      result: "f64",
      nonblocking: true,
    },
  });
  const values = [-1, 0.5, 2, 3.5, -4, 5.5, 6n, 7.5, true, 1, 2, 3, 4, 5, -0.25, -7n, 8] as const;
  const result = await library.symbols.mixed((...args) => {
    assertEquals(args, [...values]);
    return later(1.25);
  }, ...values);
  assertEquals(result, 1.75);
});

Deno.test("Callback suspends a nonblocking function, too", async () => {
  using library = openBodies();
  using callback = new Callback({ parameters: ["i32"], result: "i32" }, (i) => later(i * 2));
  library.symbols.keep(callback);
  assertEquals(await library.symbols.call_kept_elsewhere(21), 42);
});

Deno.test("an AbortSignal ends a nonblocking call, and C is told", async () => {
  using library = openBodies();
  const { ask_three_elsewhere, asked, call_n_elsewhere } = library.symbols;
  const reason = new Error("stop");
  const controller = new AbortController();
  const pending = ask_three_elsewhere.async((i) => {
    if (i === 1) controller.abort(reason);
    return later(i);
  }, { signal: controller.signal });
  assertStrictEquals(await assertRejects(() => pending), reason);
  assertEquals(asked(), 77);
  assertEquals(await call_n_elsewhere(3, (i) => i), 3);
});

Deno.test("an AbortSignal that aborts while C runs is heeded at the next callback", async () => {
  using library = openBodies();
  const { ask_three_elsewhere, asked, call_n_elsewhere } = library.symbols;
  const reason = new Error("meanwhile");
  const controller = new AbortController();
  const pending = ask_three_elsewhere.async(() => {
    throw new Error("The handler has been called");
  }, { signal: controller.signal });
  controller.abort(reason);
  assertStrictEquals(await assertRejects(() => pending), reason);
  assertEquals(asked(), 777);
  // C that makes no callback any more has come to its end, and is believed.
  const late = new AbortController();
  const ended = call_n_elsewhere.async(0, (i) => i, { signal: late.signal });
  late.abort();
  assertEquals(await ended, 0);
});

Deno.test("a nonblocking call ends with the error of its handler", async () => {
  using library = openBodies();
  const { call_n_elsewhere } = library.symbols;
  const error = new Error("no");
  const thrown = assertRejects(() =>
    call_n_elsewhere(3, () => {
      throw error;
    })
  );
  assertStrictEquals(await thrown, error);
});

Deno.test("a nonblocking call that is refused leaves its stack as it was", async () => {
  using library = openBodies();
  const { call_n, call_n_elsewhere } = library.symbols;
  const wrong = call_n_elsewhere as (...args: unknown[]) => Promise<number>;
  await assertRejects(() => wrong("1", (i: number) => i), TypeError, "argument 0 must be");
  assertEquals(call_n(4, (i) => i), 6);
  assertEquals(await call_n_elsewhere(4, (i) => i), 6);
  assertEquals(call_n(4, (i) => i), 6);
});

Deno.test("a library does not close while a function of it runs on another thread", async () => {
  const libc = openLibc();
  const sleeping = libc.symbols.usleep(50_000);
  const close = () => libc.close();
  assertThrows(close, Error, 'Cannot close "libc.so.6": a nonblocking function of it is running');
  assertThrows(() => libc[Symbol.dispose](), Error, "await its Promise first");
  assertEquals(await sleeping, 0);
  libc.close();
  assertThrows(() => libc.symbols.gettidHere(), Error, "has been closed");
});

Deno.test("a library that closes under a nonblocking call that waits ends the call", async () => {
  const library = openBodies();
  const { call_n_elsewhere } = library.symbols;
  const asked = Promise.withResolvers<void>();
  const pending = call_n_elsewhere(3, () => {
    asked.resolve();
    return new Promise<number>(() => {});
  });
  await asked.promise;
  library.close();
  await assertRejects(() => pending, Error, "Cannot go on with call_n_elsewhere: ");
});

Deno.test("a nonblocking function cannot be pulled or called by a yielder", () => {
  using library = openBodies();
  const { call_n_elsewhere } = library.symbols;
  // @ts-expect-error It has no such form.
  const pulled = () => call_n_elsewhere.calls(1).next();
  assertThrows(pulled, TypeError, "Cannot call call_n_elsewhere: it is declared as nonblocking");
  using generator = new Generator(new OsStack(), function* (yielder) {
    // @ts-expect-error It is no function that a generator can wait for.
    yield* yielder.call(call_n_elsewhere, 1, (i: number) => i);
  });
  assertThrows(() => generator.resume(), TypeError, "a generator cannot wait for another thread");
});

Deno.test("a call that another thread runs can be neither resumed nor ended", async () => {
  using libc = openLibc();
  const fiber = takeFiber("report");
  const { call } = fiber;
  call.prepare(calleeOf(libc.symbols.usleep), [50_000], "functions");
  const step = call.goElsewhere();
  assertThrows(() => call.step(), Error, "Cannot go on with usleep: it is running on another");
  assertThrows(() => call.goElsewhere(), Error, "it is running on another thread");
  assertThrows(() => call.end(), Error, "Cannot end a call: it is running on another thread");
  assertThrows(() => fiber.context.endGently(), Error, "it is running on another thread");
  assertEquals((await step, call.comeBack()), undefined);
  assertEquals(call.result, 0);
  putFiber(fiber);
});

Deno.test("a nonblocking function works on copies: buffers can go elsewhere", async () => {
  using library = dlopen(testBodies, {
    sum_buffer: { parameters: ["buffer", "usize"], result: "u64", nonblocking: true },
  });
  const { sum_buffer } = library.symbols;
  for (const size of [0, 1, 1000, 20_000, 64 * 1024 * 1024]) {
    const bytes = new Uint8Array(size).fill(1);
    const pending = sum_buffer(bytes, size);
    bytes.buffer.transfer(0);
    assertEquals(await pending, BigInt(size));
  }
});

Deno.test("a nonblocking function can follow one that has used much of the stack", async () => {
  using library = dlopen(testBodies, {
    sum_buffer: { parameters: ["buffer", "usize"], result: "u64", nonblocking: true },
    use_up_after: {
      parameters: [{ callback: { parameters: ["i32"], result: "i32" } }],
      result: "i32",
    },
  });
  const { sum_buffer, use_up_after } = library.symbols;
  assertEquals(use_up_after((i) => i === 1 ? 300 : 7), 307);
  // Its copy lies where the frames were.
  const bytes = new Uint8Array(1000).fill(1);
  assertEquals(await sum_buffer(bytes, bytes.length), 1000n);
});

Deno.test("a nonblocking function gives back what it has written, at each callback", async () => {
  using libc = dlopen("libc.so.6", {
    qsort: {
      parameters: [
        "buffer",
        "usize",
        "usize",
        { callback: { parameters: ["pointer", "pointer"], result: "i32" } },
      ],
      result: "void",
      nonblocking: true,
    },
    memmove: { parameters: ["buffer", "buffer", "usize"], result: "pointer", nonblocking: true },
    strncpy: { parameters: ["buffer", "cstring", "usize"], result: "pointer", nonblocking: true },
  });
  const byteAt = (pointer: Deno.PointerValue) => new PointerView(pointer!).getUint8();
  // One that fits beside the mailbox, and one that does not.
  for (const size of [50, 20_000]) {
    const bytes = new Uint8Array(size);
    bytes.set([3, 1, 2]);
    await libc.symbols.qsort(bytes, 3, 1, (a, b) => byteAt(a) - byteAt(b));
    assertEquals([...bytes.subarray(0, 4)], [1, 2, 3, 0]);
  }
  // Views that overlap do so in the copy, too.
  const overlapping = Uint8Array.of(1, 2, 3, 4, 0);
  await libc.symbols.memmove(overlapping.subarray(1), overlapping.subarray(0, 4), 4);
  assertEquals([...overlapping], [1, 1, 2, 3, 4]);
  // What handlers change is what C goes on with.
  const bytes = Uint8Array.of(1, 2);
  const seen: number[] = [];
  await libc.symbols.qsort(bytes, 2, 1, (a, b) => {
    seen.push(byteAt(a), byteAt(b));
    bytes.set([9, 8]);
    return 0;
  });
  assertEquals([seen, ...bytes], [[1, 2], 9, 8]);
  const long = "ü".repeat(20_000);
  const copied = new Uint8Array(50_000);
  await libc.symbols.strncpy(copied, long, copied.length);
  assertEquals(new TextDecoder().decode(copied.subarray(0, 40_000)), long);
});

Deno.test("a nonblocking function refuses to go on with a transferred buffer", async () => {
  using library = dlopen(testBodies, {
    pass: {
      name: "call_pointer",
      parameters: [{ callback: { parameters: ["pointer"], result: "pointer" } }, "buffer"],
      result: "pointer",
      nonblocking: true,
    },
  });
  const bytes = new Uint8Array(8);
  const pending = library.symbols.pass((pointer) => {
    bytes.buffer.transfer();
    return pointer;
  }, bytes);
  await assertRejects(() => pending, TypeError, "a buffer among its arguments was detached");
});

Deno.test("a nonblocking function's handlers see no call that has been ended", async () => {
  for (let round = 0; round < 20; round++) {
    const library = openBodies();
    const { call_n_elsewhere } = library.symbols;
    let closed = false;
    const handler = (i: number): number => {
      assertEquals(closed, false);
      try {
        library.close();
        closed = true;
      } catch (error) {
        // Another of the calls is running elsewhere.
        assert(error instanceof Error && error.message.includes("is running on another thread"));
      }
      return i;
    };
    const calls = Array.from({ length: 8 }, () => call_n_elsewhere(1, handler));
    await Promise.allSettled(calls);
    library.close();
  }
});

Deno.test("f.async() reads a result before anything else can change or free it", async () => {
  const open = () =>
    dlopen("libc.so.6", {
      inet_ntoa: { parameters: ["u32"], result: "cstring" },
      inet_ntoa_elsewhere: {
        name: "inet_ntoa",
        parameters: ["u32"],
        result: "cstring",
        nonblocking: true,
      },
    });
  using libc = open();
  const { inet_ntoa, inet_ntoa_elsewhere } = libc.symbols;
  // All in one buffer of C's.
  const addresses = await Promise.all([1, 2, 3].map((i) => inet_ntoa.async(i * 0x01010101)));
  assertEquals(addresses, ["1.1.1.1", "2.2.2.2", "3.3.3.3"]);
  assertEquals(await inet_ntoa_elsewhere(0x04040404), "4.4.4.4");
  const early = () => {
    using library = open();
    return library.symbols.inet_ntoa.async(0x05050505);
  };
  assertEquals(await early(), "5.5.5.5");
});

const inWorker = (body: string) => `
  import { dlopen } from ${JSON.stringify(moduleUrl)};
  if (typeof WorkerGlobalScope === "undefined") {
    for (let round = 0; round < 5; round++) {
      const worker = new Worker(import.meta.url, { type: "module" });
      await new Promise((resolve) => worker.onmessage = resolve);
      worker.terminate();
      await new Promise((resolve) => setTimeout(resolve, 60));
    }
    console.log("alive");
  } else {
    ${body}
    setTimeout(() => postMessage("begun"), 20);
  }
`;

Deno.test("a Worker can be terminated while C of it runs on another thread", async () => {
  const sources = [
    `dlopen("libc.so.6", { usleep: { parameters: ["u32"], result: "i32", nonblocking: true } })
      .symbols.usleep(100_000);`,
    `dlopen(${JSON.stringify(testBodies.pathname)}, {
      call_n: {
        parameters: ["i32", { callback: { parameters: ["i32"], result: "i32" } }],
        result: "i32",
        nonblocking: true,
      },
    }).symbols.call_n(1_000_000, (i) => i & 1);`,
    `dlopen(${JSON.stringify(testBodies.pathname)}, {
      sum_buffer: { parameters: ["buffer", "usize"], result: "u64", nonblocking: true },
    }).symbols.sum_buffer(new Uint8Array(1 << 28), 1 << 28);`,
  ];
  for (const source of sources) {
    const { code, signal, stdout } = await runChild(inWorker(source), ["-A"]);
    assertEquals([code, signal, stdout], [0, null, "alive\n"]);
  }
});
