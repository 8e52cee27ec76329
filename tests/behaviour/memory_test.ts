// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * What is left of a generator that nobody ended: measured in the process's own mappings, and in
 * large numbers in a process of its own.
 */

import { assert, assertEquals, assertLess, assertStringIncludes } from "@std/assert";
import { fileURLToPath } from "node:url";
import { Generator, OsStack, StackPool } from "../../mod.ts";
import type { Generators } from "../../tools/million_results.ts";
import { rounds } from "../support/seeds.ts";
import {
  collectUntil,
  fringeLibrary,
  moduleUrl,
  openBodies,
  run,
  runChild,
  testBodies,
} from "../support/support.ts";

const program = fileURLToPath(new URL("../../bench/million/generators.ts", import.meta.url));
const config = fileURLToPath(new URL("../../deno.json", import.meta.url));

/** Whether an address lies in a mapping of this process. */
function isMapped(address: bigint): boolean {
  const maps = Deno.readTextFileSync("/proc/self/maps");
  return [...maps.matchAll(/^([0-9a-f]+)-([0-9a-f]+) /gm)].some(([, start, end]) =>
    BigInt(`0x${start}`) <= address && address < BigInt(`0x${end}`)
  );
}

Deno.test("OsStack that is disposed of is unmapped at once", () => {
  const stack = new OsStack(64 * 1024);
  const { limit } = stack;
  assert(isMapped(limit));
  stack[Symbol.dispose]();
  assert(!isMapped(limit));
});

Deno.test("OsStack that is dropped is unmapped", async () => {
  const limit = (() => new OsStack(64 * 1024).limit)();
  await collectUntil(() => !isMapped(limit));
  assert(!isMapped(limit));
});

Deno.test("Generator that is disposed of is unwound and unmapped at once", () => {
  using library = openBodies();
  const { has_destructor, destructor_count } = library.symbols;
  const before = destructor_count();
  const stack = new OsStack(64 * 1024);
  const { limit } = stack;
  {
    using generator = new Generator(stack, has_destructor);
    generator.resume();
  }
  assertEquals(destructor_count(), before + 1);
  assert(!isMapped(limit));
});

Deno.test("Generator that is dropped unfinished is unwound, then unmapped", async () => {
  using library = openBodies();
  const { has_destructor, destructor_count, with_destructor } = library.symbols;
  const before = destructor_count();
  const limits: bigint[] = [];
  (() => {
    for (let i = 0; i < 50; i++) {
      const stack = new OsStack(64 * 1024);
      limits.push(stack.limit);
      new Generator(stack, has_destructor).resume();
    }
    for (let i = 0; i < 50; i++) {
      const stack = new OsStack(64 * 1024);
      limits.push(stack.limit);
      new Generator(stack, function* (yielder) {
        yield* yielder.call(with_destructor, function* () {
          yield 1;
          return 1;
        });
      }).resume();
    }
  })();
  await collectUntil(() => destructor_count() === before + 100 && !limits.some(isMapped));
  assertEquals(destructor_count(), before + 100);
  assertEquals(limits.filter(isMapped), []);
});

Deno.test("Generator that is dropped leaves a stack that is held free for another", async () => {
  using library = openBodies();
  const { has_destructor, destructor_count, echo_i32 } = library.symbols;
  const before = destructor_count();
  using stack = new OsStack();
  (() => void new Generator(stack, has_destructor).resume())();
  await collectUntil(() => destructor_count() > before);
  const next = new Generator(stack, echo_i32);
  assertEquals(next.resume(5), 5);
  next.return();
});

Deno.test("StackPool that is disposed of is unmapped at once, but for what is in use", () => {
  using library = openBodies();
  const pool = new StackPool({ size: 64 * 1024 });
  const stacks = Array.from({ length: 200 }, () => pool.take());
  const generator = new Generator(stacks[100]!, library.symbols.echo_i32);
  assertEquals(generator.resume(1), 1);
  const limits = stacks.map(({ limit }) => limit);
  assert(limits.every(isMapped));
  for (const [i, stack] of stacks.entries()) if (i !== 100) stack[Symbol.dispose]();
  pool[Symbol.dispose]();
  // A slab goes as a whole.
  assertEquals(limits.filter(isMapped).length, 64);
  assertEquals(generator.resume(2), 2);
  generator[Symbol.dispose]();
  assertEquals(limits.filter(isMapped), []);
});

Deno.test("StackPool that is dropped is unmapped, with all that was on it", async () => {
  using library = openBodies();
  const { has_destructor, destructor_count } = library.symbols;
  const before = destructor_count();
  const limits: bigint[] = [];
  (() => {
    const pool = new StackPool({ size: 64 * 1024 });
    for (let i = 0; i < 100; i++) {
      const stack = pool.take();
      limits.push(stack.limit);
      if (i % 2 === 0) new Generator(stack, has_destructor).resume();
    }
    // One that has been given back before.
    pool.take()[Symbol.dispose]();
  })();
  await collectUntil(() => !limits.some(isMapped));
  assertEquals([limits.filter(isMapped), destructor_count()], [[], before + 50]);
});

Deno.test("StackPool that is dropped stays for a generator that is held", async () => {
  using library = openBodies();
  const { limits, generator } = (() => {
    const pool = new StackPool({ size: 64 * 1024 });
    const stacks = Array.from({ length: 100 }, () => pool.take());
    const generator = new Generator(stacks[0]!, library.symbols.echo_i32);
    return { limits: stacks.map(({ limit }) => limit), generator };
  })();
  assertEquals(generator.resume(1), 1);
  await collectUntil(() => limits.filter(isMapped).length === 64);
  assertEquals([limits.filter(isMapped).length, generator.resume(2)], [64, 2]);
  generator[Symbol.dispose]();
  assertEquals(limits.filter(isMapped), []);
});

Deno.test("20,000 generators on a pool take a page each and little more, for a while", async () => {
  const flags = ["--v8-flags=--expose-gc", `--config=${config}`];
  const ended = await run(["run", "-A", "--no-prompt", ...flags, program, "20000", "1", "0"]);
  assertEquals([ended.code, ended.signal], [0, null], ended.stderr);
  const { count, bytes, left }: Generators = JSON.parse(ended.stdout);
  assertEquals(count, 20_000);
  // One page of the stack; V8's heap takes what it takes, and is larger than its objects.
  assertLess(bytes, 6000);
  assertLess(left, 0.4 * count * bytes / 1e6);
});

Deno.test("Generator that is held keeps its stack, its body and its library", async () => {
  using library = openBodies();
  const generator = (() => new Generator(new OsStack(), library.symbols.recurses))();
  const script = (() =>
    new Generator(new OsStack(), function* (yielder) {
      return yield* yielder.call(library.symbols.call_n, 10, function* (i) {
        yield i;
        return i;
      });
    }))();
  for (let i = 0; i < 5; i++) {
    let collections = 0;
    await collectUntil(() => collections++ === 3);
    assertEquals([generator.resume(i * 10), script.resume()], [i * 10, i]);
  }
  generator[Symbol.dispose]();
  script[Symbol.dispose]();
});

const prelude = `
  import { Callback, dlopen, Generator, OsStack } from ${JSON.stringify(moduleUrl)};
  const { symbols } = dlopen(new URL(${JSON.stringify(testBodies.href)}), {
    has_destructor: { input: "void", output: "i32" },
    recurses: { input: "i32", output: "i32" },
    destructor_count: { parameters: [], result: "i32" },
    call_n: {
      parameters: ["i32", { callback: { parameters: ["i32"], result: "i32" } }],
      result: "i32",
    },
    overflows: { input: "void", output: "i32" },
  });
`;

Deno.test("100,000 generators, run half-way and dropped, leave the process no larger", async () => {
  const source = `${prelude}
    function measure() {
      const kilobytes = Number(
        Deno.readTextFileSync("/proc/self/status").match(/VmRSS:\\s+(\\d+)/)[1],
      );
      const mappings = Deno.readTextFileSync("/proc/self/maps").split("\\n").length;
      return { kilobytes, mappings };
    }
    // Half of them native bodies; half TypeScript bodies, suspended without a call.
    function make(i) {
      const stack = new OsStack(64 * 1024);
      if (i % 2 === 0) {
        const generator = new Generator(stack, symbols.has_destructor);
        generator.resume();
        generator.resume();
      } else {
        new Generator(stack, function* () { yield 1; yield 2; }).resume();
      }
    }
    async function drop(count) {
      const before = symbols.destructor_count();
      for (let i = 0; i < count; i++) {
        make(i);
        if (i % 500 === 499) {
          // Finalizers run in tasks, so there must be some.
          gc();
          await new Promise((resolve) => setTimeout(resolve));
        }
      }
      for (let i = 0; i < 20; i++) {
        gc();
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
      return symbols.destructor_count() - before;
    }
    const warm = await drop(4_000);
    const before = measure();
    const unwound = await drop(100_000);
    const after = measure();
    console.log(JSON.stringify({ warm, before, unwound, after }));
  `;
  // Deno asks for every permission before it reads /proc/self/status.
  const ended = await runChild(source, ["-A", "--v8-flags=--expose-gc"]);
  assertEquals(ended.code, 0, ended.stderr);
  const { warm, before, unwound, after } = JSON.parse(ended.stdout);
  assertEquals([warm, unwound], [2_000, 50_000]);
  // 100,000 stacks of which a page each was touched would be 400 MB; what V8 keeps varies.
  assertLess(after.kilobytes, before.kilobytes + 20_000, ended.stdout);
  assertLess(after.mappings, before.mappings + 50, ended.stdout);
});

Deno.test("100,000 calls with strings, callbacks and pending handlers leave nothing", async () => {
  const source = `${prelude}
    const kilobytes = () => Number(
      Deno.readTextFileSync("/proc/self/status").match(/VmRSS:\\s+(\\d+)/)[1],
    );
    const library = dlopen(new URL(${JSON.stringify(testBodies.href)}), {
      string_length: { parameters: ["cstring"], result: "usize" },
      keep: { parameters: ["function"], result: "void" },
      call_kept: { parameters: ["i32"], result: "i32" },
    });
    const { string_length, keep, call_kept } = library.symbols;
    const texts = ["x".repeat(900), "ü".repeat(900), "short"];
    async function round(count) {
      for (let i = 0; i < count; i++) {
        string_length(texts[i % 3]);
        if (i % 100 === 0) {
          using callback = new Callback({ parameters: ["i32"], result: "i32" }, async (i) => i);
          keep(callback);
          const signal = new AbortController().signal;
          await call_kept.async(1, { signal });
        }
      }
      gc();
    }
    await round(20_000);
    const before = kilobytes();
    await round(100_000);
    console.log(kilobytes() - before);
  `;
  const ended = await runChild(source, ["-A", "--v8-flags=--expose-gc"]);
  assertEquals([ended.code, ended.stderr], [0, ""]);
  // The strings alone are more than 80 MB.
  assertLess(Number(ended.stdout), 20_000, ended.stdout);
});

Deno.test("ended generators leave nothing behind, though the event loop never turns", async () => {
  // The finalizers of this process get no turn, so they must not be what frees the memory.
  const source = `
    import { Callback, dlopen, Generator, OsStack } from ${JSON.stringify(moduleUrl)};
    const { call_n } = dlopen(new URL(${JSON.stringify(testBodies)}), {
      call_n: {
        parameters: ["i32", { callback: { parameters: ["i32"], result: "i32" } }],
        result: "i32",
      },
    }).symbols;
    const round = (count) => {
      for (let i = 0; i < count; i++) {
        for (const call of call_n.calls(1)) call.reply(1);
        using generator = new Generator(new OsStack(4096), function* () { yield 1; });
        generator.resume();
      }
      gc();
      return Deno.memoryUsage().heapUsed;
    };
    const before = round(1000);
    console.log(Math.round((round(20_000) - before) / 20_000));
  `;
  const ended = await runChild(source, ["--allow-ffi", "--v8-flags=--expose-gc"]);
  assertEquals([ended.code, ended.stderr], [0, ""]);
  // Bytes for each round; without unregistering it is some 1,500.
  assertLess(Number(ended.stdout), 100);
});

Deno.test("1,000 suspensions stand a full collection between any two switches", async () => {
  const source = `${prelude}
    const native = new Generator(new OsStack(), symbols.recurses);
    const script = new Generator(new OsStack(), function* (_yielder, input) {
      for (;;) input = yield { input };
    });
    const calling = new Generator(new OsStack(), function* (yielder) {
      return yield* yielder.call(symbols.call_n, 1000, function* (i) {
        gc();
        yield { i };
        return 1;
      });
    });
    for (let i = 0; i < 1000; i++) {
      if (native.resume(i % 50) !== i % 50) throw new Error("native");
      gc();
      if (script.resume(i).input !== i) throw new Error("script");
      if (calling.resume().i !== i) throw new Error("calling");
    }
    console.log(calling.next().value, symbols.call_n(1000, () => { gc(); return 1; }));
  `;
  const ended = await runChild(source, ["--allow-ffi", "--v8-flags=--expose-gc"]);
  assertEquals([ended.code, ended.signal, ended.stdout], [0, null, "1000 1000\n"], ended.stderr);
});

/** Every form of a call, each with a collection wherever something is suspended. */
const everyForm = `
  import { Callback, dlopen, Generator, OsStack, PointerView } from ${JSON.stringify(moduleUrl)};
  const f = { callback: { parameters: ["i32"], result: "i32" } };
  const { symbols } = dlopen(new URL(${JSON.stringify(testBodies.href)}), {
    echo_f64: { input: "f64", output: "f64" },
    echo_i64: { input: "i64", output: "i64" },
    call_n: { parameters: ["i32", f], result: "i32" },
    call_n_elsewhere: { name: "call_n", parameters: ["i32", f], result: "i32", nonblocking: true },
    each_string: {
      parameters: [{ callback: { parameters: ["cstring"], result: "i32" } }],
      result: "i32",
    },
    view: {
      name: "call_pointer",
      parameters: [{ callback: { parameters: ["pointer"], result: "pointer" } }, "buffer"],
      result: "pointer",
    },
    keep: { parameters: ["function"], result: "void" },
    call_kept: { parameters: ["i32"], result: "i32" },
  });

  let collections = 0;
  let garbage;
  function collect() {
    garbage = Array.from({ length: 100 }, (_, i) => ({ i }));
    globalThis.gc?.({ type: collections++ % 7 === 0 ? "major" : "minor" });
  }
  function check(got, expected) {
    if (got !== expected) throw new Error(got + " is not " + expected);
  }
  function answer(i) {
    collect();
    check(new Error().stack.includes("everyForm"), true);
    return i;
  }

  const float = new Generator(new OsStack(), symbols.echo_f64);
  const long = new Generator(new OsStack(), symbols.echo_i64);
  const kept = new Callback(f.callback, answer);
  symbols.keep(kept);

  async function everyForm(round) {
    const [half, big] = [round + 0.5, 2n ** 60n + BigInt(round)];
    check(float.resume(half), half);
    collect();
    check(long.resume(big), big);
    collect();
    const nested = (i) => answer(i) + symbols.call_n(3, answer);
    check(symbols.call_n(4, nested), 6 + 4 * 3);
    check(symbols.call_kept(round), round);
    const strings = [];
    symbols.each_string((string) => {
      collect();
      return strings.push(string);
    });
    collect();
    check(strings.join(), ",one,grün,");
    const byte = round % 200;
    const bytes = new Uint8Array(32).fill(byte);
    symbols.view((pointer) => {
      collect();
      check(new PointerView(pointer).getUint8(31), byte);
      new PointerView(pointer).setUint8(0, 255);
      return pointer;
    }, bytes);
    collect();
    check(bytes[0], 255);
    let sum = 0;
    for (const call of symbols.call_n.calls(4)) {
      collect();
      sum += call.args[0];
      call.reply(sum);
      collect();
    }
    check(sum, 6);
    const script = new Generator(new OsStack(), function* (yielder) {
      return yield* yielder.call(symbols.call_n, 4, function* (i) {
        yield { i };
        collect();
        return i;
      });
    });
    for (let i = 0; i < 4; i++) {
      check(script.resume().i, i);
      collect();
    }
    check(script.next().value, 6);
    const pending = async (i) => {
      collect();
      await new Promise((resolve) => setTimeout(resolve));
      collect();
      return i;
    };
    const answers = [
      symbols.call_n.async(4, pending),
      symbols.call_n.async(4, pending),
      symbols.call_n_elsewhere(4, pending),
      symbols.call_n_elsewhere(4, pending),
    ];
    collect();
    check(String(await Promise.all(answers)), "6,6,6,6");
  }
  for (let round = 0; round < ${10 * rounds}; round++) await everyForm(round);
`;

for (
  const [name, ...flags] of [
    ["forced between any two switches", "--expose-gc"],
    ["that move all they can", "--stress-compaction"],
    ["that move what is young, at any time", "--stress-scavenge=20", "--scavenger-chaos-mode"],
    ["that go on all the time", "--stress-incremental-marking", "--gc-global"],
  ]
) {
  Deno.test(`every form of a call stands collections ${name}`, async () => {
    const ended = await runChild(everyForm, ["-A", `--v8-flags=${flags.join()}`]);
    assertEquals([ended.code, ended.signal, ended.stderr], [0, null, ""]);
  });
}

Deno.test("a body that overflows its stack hits the guard page, and nothing else", async () => {
  const source = `${prelude}
    const generator = new Generator(new OsStack(64 * 1024), symbols.overflows);
    console.log(generator.resume());
    generator.resume();
    console.log("went on");
  `;
  const ended = await runChild(source, ["--allow-ffi"]);
  assertEquals([ended.code, ended.signal, ended.stdout], [139, "SIGSEGV", "1\n"], ended.stderr);
  assertStringIncludes(ended.stderr, "fringe: stack overflow in generator `overflows`");
});

Deno.test("a process ends as it should while generators and calls are suspended", async () => {
  const source = `${prelude}
    const generators = Array.from({ length: 100 }, () => {
      const generator = new Generator(new OsStack(), symbols.has_destructor);
      generator.resume();
      return generator;
    });
    globalThis.kept = [generators, symbols.call_n.calls(3)];
    globalThis.kept[1].next();
    console.log("end");
  `;
  const ended = await runChild(source, [
    `--allow-ffi=${fringeLibrary.pathname},${testBodies.pathname}`,
  ]);
  assertEquals([ended.code, ended.signal, ended.stdout], [0, null, "end\n"], ended.stderr);
});
