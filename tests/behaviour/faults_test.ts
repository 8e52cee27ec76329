// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * The system refuses what fringe asks it for: each system call in turn, in the native library that
 * is shipped. `faults.ts` says how. Each case is a process of its own.
 */

import { assertEquals, assertGreater, assertStringIncludes } from "@std/assert";
import { canWatch, ERRORS, type Outcome, type SystemCall } from "../support/faults.ts";
import { fringeLibrary, moduleUrl, runChild, withCopy } from "../support/support.ts";

const config = new URL("../../deno.json", import.meta.url).pathname;
const flags = ["-A", "--v8-flags=--expose-gc", `--config=${config}`];

/** Makes a test of a program that refuses calls. */
function testFaults(name: string, fn: () => Promise<void>): void {
  if (canWatch()) return Deno.test(name, fn);
  const why = "it needs a kernel, and a container, that allow seccomp filters";
  Deno.test({ name: `${name} (${why})`, ignore: true, fn });
}

/** What every program begins with; `library` is open, and watched. */
const prelude = `
  import { Callback, dlopen, FringeError, Generator, OsStack, StackPool } from ${
  JSON.stringify(moduleUrl)
};
  import { ERRORS, grant, mapped, outcomes, refuse, seen, watch } from
    ${JSON.stringify(new URL("../support/faults.ts", import.meta.url).href)};
  import { collectUntil, openBodies } from ${
  JSON.stringify(new URL("../support/support.ts", import.meta.url).href)
};
  const library = openBodies();
  const { symbols } = library;
  symbols.call_n(1, () => 1);
  watch(/libfringe\\.so$/);
  function check(condition, what) {
    if (!condition) throw new Error("Not so: " + what);
  }
  // A type that is new cannot have the function pointer of another callback.
  const scalars = ["i8", "u8", "i16", "u16", "i32", "u32", "i64", "u64", "f32", "f64"];
  let types = 0;
  function newType() {
    const parameters = [...String(++types)].map((digit) => scalars[digit]);
    return { parameters, result: "void" };
  }
  function useUp() {
    const before = mapped();
    while (mapped() === before) new Callback(newType(), () => {});
    // One of the 256 of a table is in use.
    for (let i = 1; i < 256; i++) new Callback(newType(), () => {});
  }
  function tableSize() {
    const before = mapped();
    useUp();
    return mapped() - before;
  }
`;

/** Runs a program to its end, and returns what it prints, which is JSON. */
async function runFaults(source: string): Promise<unknown> {
  const ended = await runChild(`${prelude}${source}`, flags);
  assertEquals([ended.code, ended.signal, ended.stderr], [0, null, ""]);
  return JSON.parse(ended.stdout);
}

/** What becomes of an attempt whose first call, second call, … of a kind is refused. */
type Outcomes = Partial<Record<SystemCall, Outcome[]>>;

/**
 * Makes a test: what becomes of an attempt, also where all calls of one kind are refused. As a rule
 * the system knows no MADV_GUARD_INSTALL then. `attempt` is an expression in JavaScript, of type
 * `Attempt`.
 */
function testAttempt(
  name: string,
  attempt: string,
  now: Outcomes,
  without: Outcomes,
  never: SystemCall = "madvise",
): void {
  testFaults(`${name}: a refusal is reported or made good, and leaves nothing behind`, async () => {
    const source = `
      const attempt = ${attempt};
      const now = {}, without = {};
      for (const call of ["mmap", "madvise", "process_madvise", "mprotect", "munmap"]) {
        now[call] = await outcomes(attempt, call);
        if (call !== "${never}") without[call] = await outcomes(attempt, call, "${never}");
      }
      console.log(JSON.stringify({ now, without }));
    `;
    // Only several guards are made by one call.
    const none: Outcomes = { process_madvise: [] };
    assertEquals(await runFaults(source), {
      now: { ...none, ...now },
      without: { ...none, ...without },
    });
  });
}

testAttempt(
  "OsStack",
  `{
    what: "Cannot map stack of 10000 bytes",
    run() {
      using stack = new OsStack(10_000);
      check(stack.size === 12288, "its size");
    },
  }`,
  { mmap: ["fails"], madvise: ["succeeds"], mprotect: [], munmap: ["succeeds"] },
  { mmap: ["fails"], mprotect: ["fails"], munmap: ["succeeds"] },
);

testAttempt(
  "a generator",
  `{
    what: "Cannot map stack of 1048576 bytes",
    run() {
      using generator = new Generator(new OsStack(), symbols.echo_i32);
      for (let i = 0; i < 3; i++) check(generator.resume(i) === i, "what it echoes");
    },
  }`,
  { mmap: ["fails"], madvise: ["succeeds"], mprotect: [], munmap: ["succeeds"] },
  { mmap: ["fails"], mprotect: ["fails"], munmap: ["succeeds"] },
);

// A slab of such stacks has two.

testAttempt(
  "StackPool",
  `{
    what: "Cannot take stack of 134217728 bytes",
    run() {
      using pool = new StackPool({ size: 2 ** 27 });
      using first = pool.take();
      using second = new Generator(pool.take(), symbols.echo_i32);
      check(second.resume(1) === 1, "what it echoes");
    },
  }`,
  {
    mmap: ["fails"],
    madvise: [],
    process_madvise: ["succeeds"],
    mprotect: [],
    munmap: ["succeeds"],
  },
  { mmap: ["fails"], process_madvise: ["succeeds"], mprotect: [], munmap: ["succeeds"] },
);

// For calls fringe keeps 64 stacks: of 66 that are in use at once, two are mapped anew.

const twoStacks: Outcomes = {
  mmap: ["fails", "fails"],
  madvise: ["succeeds", "succeeds"],
  mprotect: [],
  munmap: ["succeeds", "succeeds"],
};
const twoStacksBefore: Outcomes = {
  mmap: ["fails", "fails"],
  mprotect: ["fails", "fails"],
  munmap: ["succeeds", "succeeds"],
};

testAttempt(
  "a call in a handler",
  `{
    what: "Cannot map stack of 8388608 bytes",
    run() {
      const nested = (depth) => depth === 0 ? 1 : symbols.call_n(1, () => nested(depth - 1));
      check(nested(66) === 1, "the result");
    },
  }`,
  twoStacks,
  twoStacksBefore,
);

testAttempt(
  "f.async()",
  `{
    what: "Cannot map stack of 8388608 bytes",
    async run() {
      const calls = Array.from({ length: 66 }, (_, i) => symbols.call_n.async(1, async () => i));
      const settled = await Promise.allSettled(calls);
      for (const [i, { status, reason, value }] of settled.entries()) {
        if (status === "rejected") throw reason;
        check(value === i, "the result");
      }
    },
  }`,
  twoStacks,
  twoStacksBefore,
);

testAttempt(
  "f.calls()",
  `{
    what: "Cannot map stack of 8388608 bytes",
    run() {
      using calls = new DisposableStack();
      for (let i = 0; i < 66; i++) {
        const call = calls.use(symbols.call_n.calls(1)).next();
        check(call.value.args[0] === 0, "the argument");
      }
    },
  }`,
  twoStacks,
  twoStacksBefore,
);

testAttempt(
  "a nonblocking call with large buffers",
  `{
    what: "Cannot call memcpy: argument [01] cannot be copied .[56]0000 bytes.",
    libc: dlopen("libc.so.6", {
      memcpy: { parameters: ["buffer", "buffer", "usize"], result: "pointer", nonblocking: true },
    }),
    async run() {
      const [to, from] = [new Uint8Array(50_000), new Uint8Array(60_000).fill(7)];
      await this.libc.symbols.memcpy(to, from, to.length);
      check(to.every((byte) => byte === 7), "what was copied");
    },
  }`,
  twoStacks,
  twoStacksBefore,
);

// The function pointers of callbacks come in tables, which stay; each attempt finds them used up.
// A table is mapped from the library's file. Where that cannot be opened it is copied.

const oneTable: Outcomes = { mmap: ["fails", "succeeds"], madvise: [], mprotect: [], munmap: [] };
const oneCopied: Outcomes = { mmap: ["fails"], madvise: [], mprotect: ["fails"], munmap: [] };

testAttempt(
  "a Callback",
  `{
    what: "Cannot make function pointers for callbacks",
    stays: tableSize(),
    prepare: useUp,
    run() {
      using callback = new Callback(newType(), () => {});
    },
  }`,
  oneTable,
  oneCopied,
  "open",
);

testAttempt(
  "a call with a callback",
  `{
    what: "Cannot make function pointers for callbacks",
    stays: tableSize(),
    prepare: useUp,
    run() {
      using library = openBodies();
      check(library.symbols.call_n(3, (i) => i) === 3, "the result");
    },
  }`,
  oneTable,
  oneCopied,
  "open",
);

testAttempt(
  "a call in a TypeScript body",
  `{
    what: "Cannot make function pointers for callbacks",
    stays: tableSize(),
    prepare: useUp,
    stack: new OsStack(),
    run() {
      using library = openBodies();
      const generator = new Generator(this.stack, function* (yielder) {
        return yield* yielder.call(library.symbols.call_n, 3, function* (i) { return yield i; });
      });
      try {
        generator.next();
        generator.next(1);
        generator.next(1);
        check(generator.next(1).value === 3, "the result");
      } finally {
        check(generator.unwrap() === this.stack, "its stack");
      }
    },
  }`,
  oneTable,
  oneCopied,
  "open",
);

// A pool of stacks

testFaults("StackPool that is warm makes no system call", async () => {
  const source = `
    const calls = ["mmap", "madvise", "process_madvise", "mprotect", "munmap"];
    const results = [];
    // One at a time; ten thousand, of which some come and go; bursts of a hundred, again and again.
    for (const [most, least] of [[1, 0], [10_000, 9_990], [100, 0]]) {
      const pool = new StackPool({ size: 16 * 1024 });
      const generators = [];
      const round = () => {
        while (generators.length < most) {
          const generator = new Generator(pool.take(), symbols.echo_i32);
          check(generator.resume(1) === 1, "what it echoes");
          generators.push(generator);
        }
        while (generators.length > least) generators.pop()[Symbol.dispose]();
      };
      round();
      const before = calls.map(seen);
      for (let i = 0; i < 1000; i++) round();
      results.push(calls.map((call, i) => seen(call) - before[i]));
      for (const generator of generators) generator[Symbol.dispose]();
      pool[Symbol.dispose]();
    }
    console.log(JSON.stringify(results));
  `;
  assertEquals(await runFaults(source), new Array(3).fill([0, 0, 0, 0, 0]));
});

testFaults("StackPool gives memory back: what a burst has left, and all in the end", async () => {
  const source = `
    const count = 20_000;
    const size = 16 * 1024;
    // The table of guards gets a part for slabs of that size, and keeps it.
    {
      using pool = new StackPool({ size });
      pool.take()[Symbol.dispose]();
    }
    const before = mapped();
    const pool = new StackPool({ size });
    const stacks = Array.from({ length: count }, () => pool.take());
    const most = mapped() - before;
    const advice = () => seen("madvise") + seen("process_madvise");
    const discarded = advice();
    // In an order that leaves some of each slab to the last.
    for (let i = 0; i < count; i++) stacks[i * 7919 % count][Symbol.dispose]();
    const left = [mapped() - before];
    const advised = advice() - discarded;
    // Slab by slab.
    for (let i = 0; i < count; i++) stacks[i] = pool.take();
    for (const stack of stacks) stack[Symbol.dispose]();
    left.push(mapped() - before);
    pool[Symbol.dispose]();
    console.log(JSON.stringify({
      most: most / (size + 4096),
      left: left.map((bytes) => bytes / (size + 4096)),
      advised,
      end: mapped() - before,
    }));
  `;
  const found = await runFaults(source);
  const { most, left, advised, end } = found as Record<"most" | "advised" | "end", number> & {
    left: number[];
  };
  assertEquals([most, end], [Math.ceil(20_000 / 64) * 64, 0]);
  for (const stacks of left) assertGreater(2400, stacks);
  // Of a slab that is unmapped as a whole, most stacks have lost their memory before: several of
  // them by one call.
  assertGreater(advised, 100);
});

testFaults("StackPool says that the mappings come to their limit, before they do", async () => {
  const source = `
    import { StackPool } from ${JSON.stringify(moduleUrl)};
    import { refuse, seen, watch } from
      ${JSON.stringify(new URL("../support/faults.ts", import.meta.url).href)};
    const mappings = () => Deno.readTextFileSync("/proc/self/maps").split("\\n").length;
    const most = Number(Deno.readTextFileSync("/proc/sys/vm/max_map_count"));
    Deno.dlopen(${JSON.stringify(fringeLibrary.pathname)}, {});
    watch(/libfringe\.so$/);
    // A system that knows no such advice.
    const EINVAL = 22;
    refuse("madvise", 0, 1e9, EINVAL);
    const pool = new StackPool({ size: 4096 });
    const stacks = [];
    let message;
    // No more than that many, where the system allows very many mappings.
    while (message === undefined && stacks.length < 200_000) {
      try {
        stacks.push(pool.take());
      } catch (error) {
        message = error.name + " " + error.status + " " + error.message;
      }
    }
    const left = most - mappings();
    for (const stack of stacks) stack[Symbol.dispose]();
    using again = pool.take();
    console.log(JSON.stringify({ most, taken: stacks.length, left, message }));
  `;
  const ended = await runChild(source, flags);
  assertEquals([ended.code, ended.signal, ended.stderr], [0, null, ""]);
  const { most, taken, left, message } = JSON.parse(ended.stdout);
  if (taken === 200_000) return;
  assertStringIncludes(message, "FringeError out_of_memory Cannot take stack of 4096 bytes: ");
  assertStringIncludes(message, "(/proc/sys/vm/max_map_count)");
  assertGreater(taken, most / 2 - 3000);
  assertGreater(left, 1500);
});

testFaults("the guards of a pool are made one by one where the system takes no more", async () => {
  const source = `
    const pool = new StackPool({ size: 16 * 1024 });
    const taken = () => [pool.take(), seen("process_madvise"), seen("madvise")];
    // The first mapping shows that the advice is followed.
    const stacks = [pool.take()];
    grant();
    while (seen("mmap") === 0) stacks.push(pool.take());
    const together = [seen("process_madvise"), seen("madvise")];
    for (const stack of stacks) stack[Symbol.dispose]();
    pool[Symbol.dispose]();
    const EBADF = 9;
    refuse("process_madvise", 0, 1e9, EBADF);
    refuse("madvise", 1e9, 0, EBADF);
    const other = new StackPool({ size: 16 * 1024 });
    using generator = new Generator(other.take(), symbols.echo_i32);
    check(generator.resume(1) === 1, "what it echoes");
    console.log(JSON.stringify([together, [seen("process_madvise"), seen("madvise")]]));
  `;
  const [together, apart] = await runFaults(source) as [number[], number[]];
  // Before Linux 6.13 there is no such advice, and in 6.13 not for many pages at once.
  if (together![0] === 0 || together![1] !== 0) return;
  assertEquals([together, apart], [[1, 0], [1, 64]]);
});

testFaults("calls say that the mappings come to their limit, and the others go on", async () => {
  const source = `
    import { refuse, watch } from
      ${JSON.stringify(new URL("../support/faults.ts", import.meta.url).href)};
    import { openBodies } from
      ${JSON.stringify(new URL("../support/support.ts", import.meta.url).href)};
    const most = Number(Deno.readTextFileSync("/proc/sys/vm/max_map_count"));
    Deno.dlopen(${JSON.stringify(fringeLibrary.pathname)}, {});
    watch(/libfringe\.so$/);
    // A system that knows no such advice.
    const EINVAL = 22;
    refuse("madvise", 0, 1e9, EINVAL);
    const { symbols: { call_n } } = openBodies();
    const gate = Promise.withResolvers();
    const calls = [];
    let suspended = 0;
    let message;
    const handler = async () => {
      suspended++;
      await gate.promise;
      return 7;
    };
    // No more than that many, where the system allows very many mappings.
    while (message === undefined && calls.length < 100_000) {
      const call = call_n.async(1, handler);
      if (suspended > calls.length) calls.push(call);
      else message = await call.catch(({ name, status, message }) => [name, status, message]);
    }
    gate.resolve();
    const results = await Promise.all(calls);
    const isRight = results.every((result) => result === 7);
    const another = await call_n.async(1, () => 3);
    console.log(JSON.stringify({ most, made: calls.length, message, isRight, another }));
  `;
  const ended = await runChild(source, flags);
  assertEquals([ended.code, ended.signal, ended.stderr], [0, null, ""]);
  const { most, made, message, isRight, another } = JSON.parse(ended.stdout);
  assertEquals([isRight, another], [true, 3]);
  if (made === 100_000) return;
  assertEquals(message.slice(0, 2), ["FringeError", "out_of_memory"]);
  assertStringIncludes(message[2], "Cannot take stack of 8388608 bytes: ");
  assertStringIncludes(message[2], "(/proc/sys/vm/max_map_count)");
  assertGreater(made, most / 2 - 3000);
});

// What the system does not take back

/** What a stack of one page takes: it has the least guard. */
const ONE = 4096 + 64 * 1024;

testFaults("stacks that are refused when they are disposed of go with the next one", async () => {
  const source = `
    // The table of guards gets a part for stacks of that size, and keeps it.
    new OsStack(4096)[Symbol.dispose]();
    const before = mapped();
    const stacks = Array.from({ length: 4 }, () => new OsStack(4096));
    const sizes = [mapped()];
    // The third one goes at once, and then one of those that wait is refused once more.
    refuse("munmap", 0, 2, ERRORS.ENOMEM.number);
    for (const stack of stacks.slice(0, 2)) stack[Symbol.dispose]();
    sizes.push(mapped());
    refuse("munmap", 1, 1, ERRORS.ENOMEM.number);
    stacks[2][Symbol.dispose]();
    sizes.push(mapped());
    stacks[3][Symbol.dispose]();
    sizes.push(mapped());
    // Twice is not once more.
    for (const stack of stacks) stack[Symbol.dispose]();
    sizes.push(mapped());
    console.log(JSON.stringify(sizes.map((size) => size - before)));
  `;
  assertEquals(await runFaults(source), [4 * ONE, 4 * ONE, 3 * ONE, 0, 0]);
});

testFaults("finalizers that are refused end nothing, and what is left goes later", async () => {
  const source = `
    const compare = { callback: { parameters: ["pointer", "pointer"], result: "i32" } };
    const { qsort } = dlopen("libc.so.6", {
      qsort: {
        parameters: ["buffer", "usize", "usize", compare],
        result: "void",
        nonblocking: true,
      },
    }).symbols;
    const bytes = new Uint8Array(100_000);
    await qsort(bytes, 2, 1, () => 0);
    // Takes the stack that is in the pool.
    const held = symbols.call_n.calls(1);
    held.next();
    // The table of guards gets a part for stacks of each size, and keeps it.
    for (const size of [4096, 2 ** 20]) new OsStack(size)[Symbol.dispose]();
    const before = mapped();
    const destroyed = symbols.destructor_count();
    let asked = 0;
    (() => {
      for (let i = 0; i < 10; i++) {
        new OsStack();
        new Generator(new OsStack(), symbols.has_destructor).resume();
        symbols.with_destructor.calls().next();
        qsort(bytes, bytes.length, 1, () => {
          asked++;
          return new Promise(() => {});
        });
      }
    })();
    while (asked < 10) await new Promise((resolve) => setTimeout(resolve, 2));
    const dropped = mapped() - before;
    for (const call of ["munmap", "madvise"]) refuse(call, 0, 1e9, ERRORS.EPERM.number);
    await collectUntil(() => seen("munmap") >= 50);
    const refused = mapped() - before;
    grant();
    new OsStack(4096);
    const left = mapped() - before;
    held[Symbol.dispose]();
    console.log(JSON.stringify({
      dropped, refused, left, destroyed: symbols.destructor_count() - destroyed,
    }));
  `;
  // A stack has a guard of a tenth of it, in whole pages; what is copied has the least one.
  const all = 20 * (2 ** 20 + 26 * 4096) + 20 * (2 ** 23 + 205 * 4096) + 10 * (25 + 16) * 4096;
  assertEquals(await runFaults(source), { dropped: all, refused: all, left: ONE, destroyed: 20 });
});

// The library itself

/** Runs a program that opens the library of a copy of the checkout, at `attempt()`. */
async function openFaulty(source: string, inMemory: boolean): Promise<unknown> {
  return await withCopy(async (directory, library) => {
    if (inMemory) await Deno.remove(library);
    return await runFaults(`
      import { watchFile, writeLess } from
        ${JSON.stringify(new URL("../support/faults.ts", import.meta.url).href)};
      import * as copy from ${JSON.stringify(`file://${directory}/mod.ts`)};
      /** What opening gives: a generator that works, or an error, and as many files as before. */
      function attempt() {
        const count = () => [...Deno.readDirSync("/proc/self/fd")].length;
        const before = count();
        try {
          using stack = new copy.OsStack();
          return [...new copy.Generator(stack, function* () { yield "opened"; })][0];
        } catch (error) {
          check(error instanceof copy.FringeError, "the class of " + error.stack);
          check(count() === before, "files as before");
          return error;
        }
      }
      ${source}
    `);
  });
}

testFaults("a library that is refused a file in memory says so, and opens later", async () => {
  const source = `
    watchFile();
    const messages = [];
    for (const call of ["memfd_create", "write"]) {
      for (const { number, status } of Object.values(ERRORS)) {
        refuse(call, 0, 1, number);
        const error = attempt();
        check(seen(call) === 1 && error.status === status, "the status of " + error.stack);
        messages.push(error.message);
      }
    }
    grant();
    writeLess(2, 5);
    console.log(JSON.stringify([...messages, attempt(), seen("memfd_create"), seen("write")]));
  `;
  const message = (call: string, { number }: { readonly number: number }): string =>
    `Cannot open fringe's native library: the system gives no file in memory (${call}: errno ` +
    `${number}). Download the file and set FRINGE_LIBRARY to its path`;
  assertEquals(await openFaulty(source, true), [
    ...Object.values(ERRORS).map((error) => message("memfd_create", error)),
    ...Object.values(ERRORS).map((error) => message("write", error)),
    "opened",
    1,
    3,
  ]);
});

for (const inMemory of [false, true]) {
  const name = inMemory ? "a library in memory" : "a library";
  testFaults(`${name} that the loader has no memory for opens later`, async () => {
    for (const call of ["mmap", "mprotect"]) {
      const source = `
        watch(/\\/ld-[^/]+$/);
        let refused = 0;
        for (;; refused++) {
          refuse("${call}", refused, 1, ERRORS.ENOMEM.number);
          const opened = attempt();
          if (opened === "opened") break;
          check(opened.status === "unavailable", opened.status);
          check(opened.message.endsWith(" does not load"), opened.message);
          check(opened.cause instanceof Error, "the cause of " + opened.message);
        }
        console.log(refused);
      `;
      assertGreater(await openFaulty(source, inMemory) as number, 0);
    }
  });
}
