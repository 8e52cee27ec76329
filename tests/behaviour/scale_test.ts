// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Very many at once: calls that are suspended, each by a timer, and Workers that are busy. What
 * that costs, `bench/million/` measures.
 */

import { assertEquals, assertGreater, assertLess } from "@std/assert";
import { join } from "node:path";
import { CALL_STACK_SIZE, takeFiber } from "../../ffi/call/fiber.ts";
import { symbolOf } from "../../ffi/context/body.ts";
import { Context } from "../../ffi/context/context.ts";
import { memoryOf } from "../../ffi/stack/stack.ts";
import { OsStack, StackPool } from "../../mod.ts";
import { moduleUrl, openBodies, testBodies, testWith, withFolder } from "../support/support.ts";

/** How many stacks of calls would fit into this process's addresses that are mapped. */
function mapped(): number {
  const kilobytes = /VmSize:\s+(\d+)/.exec(Deno.readTextFileSync("/proc/self/status"))![1];
  return Number(kilobytes) * 1024 / CALL_STACK_SIZE;
}

Deno.test("10,000 calls suspended at once answer right, and give all back", async () => {
  using library = openBodies();
  const { call_n } = library.symbols;
  const before = mapped();
  const count = 10_000;
  let [suspended, most] = [0, 0];
  const calls = Array.from({ length: count }, (_, seed) =>
    call_n.async(3, async (i) => {
      suspended++;
      most = Math.max(most, suspended);
      await new Promise((resolve) => setTimeout(resolve, (seed * 7919 + i) % 50));
      suspended--;
      return seed * (i + 1);
    }));
  // Each has got as far as its first handler.
  assertEquals(suspended, count);
  assertGreater(mapped() - before, count);
  const results = await Promise.all(calls);
  assertEquals(results, Array.from({ length: count }, (_, seed) => 6 * seed));
  assertEquals([suspended, most], [0, count]);
  // A pool keeps some stacks of a burst (docs/stacks.md), and 64 more are kept for other calls.
  assertLess(mapped() - before, 3000);
});

Deno.test("of very many fibers the last ones have stacks of a pool, which get them back", () => {
  const fibers = Array.from({ length: 1100 }, () => takeFiber("throw"));
  const isSingle = fibers.map(({ stack }) => stack instanceof OsStack);
  assertEquals([isSingle[0], isSingle.at(-1)], [true, false]);
  // The order in which they have been made: no stack is of a pool before the thousandth.
  assertGreater(isSingle.indexOf(false), 1000);
  const { base } = fibers.at(-1)!.stack;
  for (const { stack } of fibers) stack[Symbol.dispose]();
  assertEquals(fibers.every(({ stack }) => memoryOf(stack).released), true);
  const again = Array.from({ length: 10 }, () => takeFiber("throw"));
  // The first one that came back to the pool is below those that came later.
  assertEquals(again.some(({ stack }) => stack instanceof OsStack), false);
  assertEquals(base % 16n, 0n);
  for (const { stack } of again) stack[Symbol.dispose]();
});

Deno.test("frames begin at 16 lines of a cache, in turns, on stacks of 16 KiB and more", () => {
  using library = openBodies();
  const body = symbolOf(library.symbols.echo_u32)!;
  const begin = (size: number): bigint[] => {
    using stacks = new DisposableStack();
    const pool = stacks.use(new StackPool({ size }));
    return Array.from({ length: 70 }, () => {
      const stack = stacks.use(pool.take());
      const context = new Context(memoryOf(stack));
      context.begin(body.pointer, body);
      stacks.defer(() => context.end());
      return stack.base - Deno.UnsafePointer.value(context.handle);
    });
  };
  const [first] = begin(8 * 1024);
  const small = begin(8 * 1024).map((below) => Number(below - first!));
  assertEquals(small, new Array(70).fill(0));
  for (const size of [16 * 1024, 1024 * 1024]) {
    const large = begin(size).map((below) => Number(below - first!));
    // A mapping has 64 stacks, of which the lowest is taken first.
    assertEquals(large, large.map((_, i) => 64 * (i % 64 % 16)));
  }
});

/** What two Workers do at once: so many resumes and callbacks, and a tenth as many generators. */
const busy = `
  import { dlopen, Generator, StackPool } from ${JSON.stringify(moduleUrl)};
  const many = Number(Deno.args[0]);
  if (new URL(import.meta.url).hash !== "#worker") {
    const done = [0, 1].map(() => new Promise((resolve) => {
      new Worker(import.meta.url + "#worker", { type: "module" }).onmessage = resolve;
    }));
    await Promise.all(done);
    Deno.exit();
  }
  const { symbols } = dlopen(new URL(${JSON.stringify(testBodies)}), {
    echo_u32: { input: "u32", output: "u32" },
    call_n: {
      parameters: ["i32", { callback: { parameters: ["i32"], result: "i32" } }],
      result: "i32",
    },
  });
  const pool = new StackPool({ size: 16 * 1024 });
  const generator = new Generator(pool.take(), symbols.echo_u32);
  for (let i = 0; i < many; i++) generator.resume(i);
  symbols.call_n(many, () => 1);
  for (let i = 0; i < many / 10; i++) {
    using another = new Generator(pool.take(), symbols.echo_u32);
    another.resume(i);
  }
  postMessage("done");
`;

testWith("strace", "busy Workers wait for no lock, and ask the system for nothing", async () => {
  /** How many system calls of these kinds the process makes in all. */
  const count = (many: number): Promise<number> =>
    withFolder(async (folder) => {
      const [program, trace] = [join(folder, "busy.ts"), join(folder, "trace")];
      await Deno.writeTextFile(program, busy);
      const calls = "futex,mmap,munmap,mprotect,madvise,process_madvise,membarrier";
      const { code, stderr } = await new Deno.Command("strace", {
        args: [
          ...["-f", "-qq", "-o", trace, "-e", `trace=${calls}`, Deno.execPath()],
          ...["run", "-A", "--no-check", "--v8-flags=--single-threaded-gc", program, `${many}`],
        ],
        env: { FRINGE_LIBRARY: "" },
      }).output();
      assertEquals(code, 0, new TextDecoder().decode(stderr));
      return (await Deno.readTextFile(trace)).split("\n").length;
    });
  const [few, more] = [await count(100_000), await count(1_100_000)];
  // A lock that two Workers want at once would be some of 4,200,000 operations. What there is, is
  // of V8, which compiles code and collects garbage.
  assertLess(more - few, 4_000, `${few} calls, then ${more}`);
});
