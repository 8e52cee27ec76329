// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Bodies that use up their stack: what is reported, what is thrown, and that whatever else a
 * process does with SIGSEGV goes on as if fringe were not there.
 */

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertMatch,
  assertNotEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import {
  dlopen,
  Generator,
  NativeError,
  OsStack,
  type OsStackOptions,
  OwnedStack,
  SliceStack,
  type Stack,
} from "../../mod.ts";
import { CALL_STACK_SIZE } from "../../ffi/call/fiber.ts";
import { memoryOf } from "../../ffi/stack/stack.ts";
import {
  exampleBodies,
  moduleUrl,
  openBodies,
  runChild,
  testBodies,
  testNatively,
} from "../support/support.ts";

/** Deeper than any stack. */
const TOO_DEEP = 2 ** 31 - 1;

/** What the error says. */
const used = (size: number) => `it has used up its stack of ${size} bytes`;

function pointerTo(address: bigint): Deno.PointerObject {
  return Deno.UnsafePointer.create(address)!;
}

Deno.test("OsStack refuses options that it does not understand", () => {
  const refused = (options: unknown) =>
    assertThrows(() => new OsStack(4096, options as OsStackOptions), TypeError).message;
  assertStringIncludes(refused(null), "Cannot map stack: options must be an object");
  assertStringIncludes(refused("throw"), "such as { overflow }");
  assertStringIncludes(refused({ overflows: "throw" }), 'the key "overflows" is not understood');
  assertStringIncludes(refused({ overflow: true }), 'must be "report" or "throw": got true');
  for (const overflow of ["report", "throw", undefined] as const) {
    new OsStack(4096, { overflow })[Symbol.dispose]();
  }
});

Deno.test("dlopen() refuses an overflow that it does not understand", () => {
  const error = assertThrows(
    () =>
      dlopen(testBodies, {
        use_up: { parameters: ["i32"], result: "i32", overflow: "ignore" as "throw" },
      }),
    TypeError,
  );
  assertEquals(
    error.message,
    'Cannot open symbol use_up: overflow must be "report" or "throw": got "ignore"',
  );
});

Deno.test("resume() throws when the body overflows, twice in a row on the same stack", () => {
  using library = openBodies();
  for (const size of [4096, 1024 * 1024]) {
    let stack: Stack = new OsStack(size, { overflow: "throw" });
    for (let i = 0; i < 2; i++) {
      const generator = new Generator(stack as OsStack, library.symbols.overflows);
      assertEquals(generator.resume(), 1);
      const error = assertThrows(() => generator.resume(), RangeError);
      assertStringIncludes(error.message, `Cannot resume generator: ${used(size)}`);
      assertStringIncludes(error.message, "its frames are abandoned");
      assertEquals(generator.state, "unavailable");
      const again = assertThrows(() => generator.resume(), Error, "its body has failed");
      assertEquals(again.cause, error);
      stack = generator.unwrap();
    }
    using generator = new Generator(stack as OsStack, library.symbols.echo_i32);
    assertEquals([generator.resume(1), generator.resume(2)], [1, 2]);
  }
});

Deno.test("resume() throws, whatever the types of the body", () => {
  using library = openBodies();
  const { recurses, overflows } = library.symbols;
  using stack = new OsStack(16 * 1024, { overflow: "throw" });
  // By way of registers, at the first resume and at a later one; by way of the mailbox.
  const first = new Generator(stack, recurses);
  assertThrows(() => first.resume(TOO_DEEP), RangeError, used(16 * 1024));
  const later = new Generator(stack, recurses);
  assertEquals([later.resume(3), later.resume(4)], [3, 4]);
  assertThrows(() => later.resume(TOO_DEEP), RangeError, used(16 * 1024));
  const next = new Generator(stack, overflows);
  assertEquals(next.next(), { value: 1, done: false });
  assertThrows(() => next.next(), RangeError, used(16 * 1024));
});

Deno.test("the error of an overflow knows the innermost frames", () => {
  using library = openBodies();
  using stack = new OsStack(64 * 1024, { overflow: "throw" });
  const generator = new Generator(stack, library.symbols.recurses);
  const { cause } = assertThrows(() => generator.resume(TOO_DEEP), RangeError);
  assert(cause instanceof NativeError);
  assertEquals(cause.type, "stack overflow");
  assertMatch(cause.message, /^stack overflow in \S+libtest_bodies\.so\+0x\w+$/);
  assertEquals(cause.backtrace.length, 64);
  for (const { module } of cause.backtrace) assert(module!.endsWith("/libtest_bodies.so"));
  // The caller of each is the function itself.
  assertEquals(new Set(cause.backtrace.slice(1).map(({ address }) => address)).size, 1);
});

Deno.test("the error of an overflow knows the frames, whatever lies at the very end", () => {
  // More arguments than C takes: they lie on the stack, and move each frame by 16 bytes. So each
  // word of a frame comes to lie at the limit once, its saved frame pointer too.
  for (let words = 0; words < 64; words += 2) {
    const more = Array<"i64">(5 + words).fill("i64");
    using library = dlopen(testBodies, {
      use_up: { parameters: ["i32", ...more], result: "i32", overflow: "throw" },
    });
    const use_up = library.symbols.use_up as (...args: number[]) => unknown;
    const { cause } = assertThrows(() => use_up(TOO_DEEP, ...more.map(() => 0)), RangeError);
    assert(cause instanceof NativeError);
    assertEquals(cause.backtrace.length, 64, `${words} words more`);
  }
});

Deno.test("a TypeScript body can catch the overflow of a call, and call again", () => {
  using library = openBodies();
  const { use_up } = library.symbols;
  using generator = new Generator(new OsStack(64 * 1024, { overflow: "throw" }), function* (y) {
    const messages: string[] = [];
    for (let i = 0; i < 3; i++) {
      try {
        yield* y.call(use_up, TOO_DEEP);
      } catch (error) {
        messages.push((error as Error).message);
      }
      yield* y.call(use_up, 10);
    }
    return messages;
  });
  const messages = generator.next().value as unknown as string[];
  assertEquals(messages.length, 3);
  for (const message of messages) {
    assertStringIncludes(message, `Cannot go on with use_up: ${used(64 * 1024)}`);
  }
});

Deno.test("the overflow of a call in a call throws where the generator's own stack has it", () => {
  using library = openBodies();
  const { use_up, call_n } = library.symbols;
  const stack = new OsStack(64 * 1024, { overflow: "throw" });
  using generator = new Generator(stack, function* (y): globalThis.Generator<never, string> {
    let message = "";
    yield* y.call(call_n, 1, function* () {
      try {
        yield* y.call(use_up, TOO_DEEP);
      } catch (error) {
        message = (error as Error).message;
      }
      return 1;
    });
    return message;
  });
  assertStringIncludes(generator.next().value as string, used(CALL_STACK_SIZE));
});

Deno.test("a function throws when it overflows its stack, and can be called again", () => {
  using library = openBodies();
  const { use_up_or_throw } = library.symbols;
  for (let i = 0; i < 3; i++) {
    assertThrows(() => use_up_or_throw(TOO_DEEP), RangeError, used(CALL_STACK_SIZE));
    assertEquals(use_up_or_throw(100), 100);
  }
});

Deno.test("a function that overflows after a callback throws, in each form of call", async () => {
  using library = openBodies();
  const { use_up_after, call_n } = library.symbols;
  const size = CALL_STACK_SIZE;
  for (let i = 0; i < 2; i++) {
    assertThrows(() => use_up_after(() => TOO_DEEP), RangeError, used(size));
    assertEquals(use_up_after((i) => 10 * i), 10 + 20);
    await assertRejects(
      () => use_up_after.async(() => Promise.resolve(TOO_DEEP)),
      RangeError,
      used(size),
    );
    assertEquals(await use_up_after.async((i) => Promise.resolve(i)), 3);
    const pulled = use_up_after.calls();
    const { value } = pulled.next();
    assert(typeof value === "object");
    value.reply(TOO_DEEP);
    assertThrows(() => pulled.next(), RangeError, used(size));
  }
  // A call inside of one that runs: the outer one is the current one again.
  const sum = call_n(3, (i) => {
    assertThrows(() => use_up_after(() => TOO_DEEP), RangeError, used(size));
    return i + 1;
  });
  assertEquals(sum, 6);
});

Deno.test("a nonblocking function throws when it overflows on its own thread", async () => {
  using library = openBodies();
  const { use_up_elsewhere } = library.symbols;
  for (let i = 0; i < 3; i++) {
    const results = await Promise.allSettled([
      use_up_elsewhere(() => TOO_DEEP),
      use_up_elsewhere((i) => i),
      use_up_elsewhere(() => Promise.resolve(TOO_DEEP)),
    ]);
    assertEquals(results.map(({ status }) => status), ["rejected", "fulfilled", "rejected"]);
    for (const result of results) {
      if (result.status !== "rejected") continue;
      assertInstanceOf(result.reason, RangeError);
      assertStringIncludes(result.reason.message, used(CALL_STACK_SIZE));
    }
  }
});

Deno.test("overflows in Workers are their own affair, also at the same time", async () => {
  const source = `
    import { dlopen, Generator, OsStack } from ${JSON.stringify(moduleUrl)};
    const { symbols } = dlopen(new URL(${JSON.stringify(testBodies.href)}), {
      recurses: { input: "i32", output: "i32" },
    });
    const stack = new OsStack(16 * 1024, { overflow: "throw" });
    let caught = 0;
    for (let i = 0; i < 100; i++) {
      const generator = new Generator(stack, symbols.recurses);
      try {
        generator.resume(${TOO_DEEP});
      } catch (error) {
        if (error instanceof RangeError) caught++;
      }
    }
    postMessage(caught);
  `;
  const url = URL.createObjectURL(new Blob([source], { type: "application/javascript" }));
  const answers = Array.from({ length: 3 }, () => {
    const worker = new Worker(url, { type: "module" });
    const { promise, resolve } = Promise.withResolvers<unknown>();
    worker.onmessage = ({ data }) => {
      worker.terminate();
      resolve(data);
    };
    return promise;
  });
  assertEquals(await Promise.all(answers), [100, 100, 100]);
  URL.revokeObjectURL(url);
});

/** A piece of memory in the middle of a larger one, so that what is written below does no harm. */
function slice(size: number): SliceStack {
  const memory = new Uint8Array(64 * 1024);
  return new SliceStack(memory.subarray(memory.length - size));
}

Deno.test("a body that has gone beyond an unguarded stack fails when it suspends", () => {
  using library = openBodies();
  using stack = slice(4096);
  for (let i = 0; i < 2; i++) {
    const generator = Generator.unguarded(stack, library.symbols.recurses);
    assertEquals([generator.resume(1), generator.resume(2)], [1, 2]);
    const error = assertThrows(() => generator.resume(50), RangeError);
    assertStringIncludes(error.message, `Cannot resume generator: ${used(4096)}, which has no`);
    assertStringIncludes(error.message, "memory below it may have been written over");
    assertEquals(generator.state, "unavailable");
    assertThrows(() => generator.resume(1), Error, "its body has failed");
    assertEquals(generator.return(undefined), { value: undefined, done: true });
    assertEquals(generator.unwrap(), stack);
  }
});

Deno.test("the lowest 16 bytes of an unguarded stack are the canary's, and no more", () => {
  using library = openBodies();
  for (const make of [() => new OwnedStack(4096), () => slice(4096)]) {
    for (const [offset, trips] of [[0n, true], [15n, true], [16n, false]] as const) {
      using stack = make();
      const generator = Generator.unguarded(stack, library.symbols.pokes);
      const resume = () => generator.resume(pointerTo(stack.limit + offset));
      if (trips) assertThrows(resume, RangeError, used(4096));
      else assertEquals([resume(), resume()], [1, 2]);
      generator.return(undefined);
      // Somebody who comes later is not to blame.
      const next = Generator.unguarded(stack, library.symbols.echo_i32);
      assertEquals([next.resume(1), next.resume(2)], [1, 2]);
      next.return(undefined);
    }
  }
});

Deno.test("a call that has gone beyond an unguarded stack throws when it is back", () => {
  using library = openBodies();
  const { use_up, use_up_after, call_n } = library.symbols;
  using stack = slice(4096);
  const caught = (error: unknown) => {
    assertInstanceOf(error, RangeError);
    return error.message;
  };
  const generator = Generator.unguarded(stack, function* (y) {
    const messages: string[] = [];
    for (const deep of [0, 50]) {
      try {
        yield* y.call(use_up, deep);
        yield* y.call(use_up_after, (i) => i === 1 ? deep : 0);
      } catch (error) {
        messages.push(caught(error));
      }
    }
    try {
      yield* y.call(use_up_after, (i) => i === 1 ? 50 : 0);
    } catch (error) {
      messages.push(caught(error));
    }
    messages.push(String(yield* y.call(call_n, 3, (i) => i)));
    return messages;
  });
  const [first, second, third] = generator.next().value as unknown as string[];
  assertStringIncludes(first!, `Cannot go on with use_up: ${used(4096)}, which has no guard page`);
  assertStringIncludes(second!, `Cannot go on with use_up_after: ${used(4096)}`);
  assertEquals(third, "3");
});

Deno.test("a cleanup that overflows when a generator is ended is an error of return()", () => {
  using library = openBodies();
  const { overflows_in_cleanup } = library.symbols;
  for (
    const make of [() => new OsStack(16 * 1024, { overflow: "throw" }), () => slice(16 * 1024)]
  ) {
    using stack = make();
    for (const [depth, throws] of [[1, false], [200, true], [1, false]] as const) {
      const generator = Generator.unguarded(stack, overflows_in_cleanup);
      assertEquals([generator.resume(depth), generator.resume(7)], [depth, 7]);
      const end = () => generator.return(undefined);
      if (throws) {
        assertThrows(end, RangeError, `Cannot end overflows_in_cleanup: ${used(16 * 1024)}`);
      } else end();
      assertEquals(generator.state, "unavailable");
      assertEquals(generator.unwrap(), stack);
    }
  }
});

Deno.test("OwnedStack lets go of its memory when it is disposed of", () => {
  const stack = new OwnedStack(4096);
  assertEquals(memoryOf(stack).bottom!.buffer.byteLength, 4096 + 16);
  stack[Symbol.dispose]();
  assertEquals(memoryOf(stack).bottom, undefined);
});

const prelude = `
  import { dlopen, Generator, OsStack } from ${JSON.stringify(moduleUrl)};
  const { symbols } = dlopen(new URL(${JSON.stringify(testBodies.href)}), {
    overflows: { input: "void", output: "i32" },
    pokes: { input: "pointer", output: "i32" },
    poke: { parameters: ["pointer"], result: "void" },
    use_up: { parameters: ["i32"], result: "i32" },
    use_up_elsewhere: {
      name: "use_up",
      parameters: ["i32"],
      result: "i32",
      nonblocking: true,
    },
  });
  // By now fringe is there.
  new Generator(new OsStack(), symbols.pokes).return();
`;

Deno.test("an overflow is reported with the generator's name, size and frames", async () => {
  const ended = await runChild(
    `${prelude}
      const stack = new OsStack(64 * 1024);
      console.log(stack.limit.toString(16), stack.base.toString(16));
      const generator = new Generator(stack, symbols.overflows);
      generator.resume();
      generator.resume();
    `,
    ["--allow-ffi"],
  );
  assertEquals([ended.code, ended.signal], [139, "SIGSEGV"], ended.stderr);
  const [limit, base] = ended.stdout.trim().split(" ");
  const lines = ended.stderr.trim().split("\n");
  assertEquals(
    lines[0],
    "fringe: stack overflow in generator `overflows`: its stack of 65536 bytes " +
      `(0x${limit}-0x${base}) is used up. Run it on a larger OsStack`,
  );
  // Sixteen of `recurse`, which is static and so has no name; as many more as fit; the last four.
  const recurse = /^ {2}#\d+ libtest_bodies\.so\+0x\w{1,5}$/;
  for (const line of lines.slice(1, 17)) assertMatch(line, recurse);
  const more = Number(lines[17]!.match(/^ {2}\.\.\. (\d+) more$/)![1]);
  assert(more > 100 && more < 1000, ended.stderr);
  assertEquals(lines.length, 22);
  const last = 16 + more + 3;
  assertMatch(
    lines.at(-1)!,
    new RegExp(`^  #${last} overflows\\+0x\\w+ \\(libtest_bodies\\.so\\+0x\\w{1,5}\\)$`),
  );
});

for (
  const [how, call] of [
    ["by itself", "symbols.use_up(2 ** 31 - 1);"],
    ["on another thread", "await symbols.use_up_elsewhere(2 ** 31 - 1);"],
  ] as const
) {
  Deno.test(`an overflow in a function is reported with its name (${how})`, async () => {
    const ended = await runChild(`${prelude}${call}`, ["--allow-ffi"]);
    assertEquals([ended.code, ended.signal], [139, "SIGSEGV"], ended.stderr);
    const lines = ended.stderr.trim().split("\n");
    assertMatch(
      lines[0]!,
      /^fringe: stack overflow in function `use_up`: its stack of 8388608 bytes \(0x\w+-0x\w+\) /,
    );
    assertStringIncludes(
      lines[0]!,
      "Give it a larger one: by stackSize in its definition, or the stack of its generator",
    );
    assertMatch(lines[1]!, /^ {2}#0 use_up\+0x\w+ \(libtest_bodies\.so\+0x\w{1,5}\)$/);
    assertMatch(lines.at(-1)!, /^ {2}#\d+ fringe_call_body\+0x\w+ \(libfringe\.so\+0x\w{1,5}\)$/);
  });
}

Deno.test("an overflow in a Worker is reported, and ends the process", async () => {
  const worker = `${prelude}
    const generator = new Generator(new OsStack(4096), symbols.overflows);
    generator.resume();
    generator.resume();
  `;
  const ended = await runChild(
    `
      const url = "data:application/javascript," + ${JSON.stringify(encodeURIComponent(worker))};
      new Worker(url, { type: "module" });
    `,
    ["--allow-ffi", "--allow-import", "--allow-read"],
  );
  assertEquals([ended.code, ended.signal], [139, "SIGSEGV"], ended.stderr);
  assertStringIncludes(
    ended.stderr,
    "fringe: stack overflow in generator `overflows`: its stack of 4096 bytes",
  );
});

Deno.test("a function whose variables reach into the guard throws", () => {
  const takes = { name: "takes", parameters: ["i32", "i32"], result: "i32" } as const;
  using library = dlopen(testBodies, {
    usual: { ...takes, overflow: "throw" },
    small: { ...takes, overflow: "throw", stackSize: 64 * 1024 },
  });
  const { usual, small } = library.symbols;
  // A guard of a tenth, which is 819 KiB here; and of 64 KiB, which is the least.
  for (const [f, size, most] of [[usual, CALL_STACK_SIZE, 800], [small, 65536, 60]] as const) {
    for (const kilobytes of [0, 1, 5, 50, most]) {
      for (const place of [0, 512 * kilobytes]) {
        assertThrows(() => f(size + 1024 * kilobytes, place), RangeError, used(size));
      }
    }
    assertEquals(f(size - 4096, 7), 7);
  }
});

/** Finds, by new OsStack(2 ** 20), one below which nothing is mapped for 16 MiB. */
const lonely = `
  function lonelyStack(options) {
    for (let i = 0; i < 1000; i++) {
      const stack = new OsStack(2 ** 20, options);
      const lines = Deno.readTextFileSync("/proc/self/maps").trim().split("\\n");
      const isFree = lines.every((line) => {
        const [start, end] = line.split(" ")[0].split("-").map((text) => BigInt("0x" + text));
        return start >= stack.limit - 200_000n || end <= stack.limit - (16n << 20n);
      });
      if (isFree) return stack;
      kept.push(stack);
    }
    throw new Error("there is memory below all");
  }
  const kept = [];
  const { symbols: { takes } } = dlopen(new URL(${JSON.stringify(testBodies.href)}), {
    takes: { parameters: ["i32", "i32"], result: "i32" },
  });
  const take = (stack, ...args) => new Generator(stack, function* (yielder) {
    return yield* yielder.call(takes, ...args);
  }).next();
`;

testNatively(
  "a function whose variables reach beyond the guard throws, too",
  undefined,
  async () => {
    const ended = await runChild(
      `${prelude}${lonely}
      const stack = lonelyStack({ overflow: "throw" });
      const size = 2 ** 21;
      for (const place of [0, 1, size / 4, size / 2 - 100_000]) {
        for (let i = 0; i < 2; i++) {
          const generator = new Generator(stack, function* (yielder) {
            return yield* yielder.call(takes, size, place);
          });
          try {
            generator.next();
          } catch (error) {
            console.log(error.name, error.cause.backtrace[0].name);
          }
        }
      }
      console.log(take(stack, 10_000, 5).value);
    `,
      ["-A"],
    );
    assertEquals(ended.stdout, "RangeError takes\n".repeat(8) + "5\n", ended.stderr);
  },
);

testNatively("what reaches beyond the guard is reported", undefined, async () => {
  const ended = await runChild(
    `${prelude}${lonely} take(lonelyStack(), 2 ** 21, 0);`,
    ["-A"],
  );
  assertEquals([ended.code, ended.signal], [139, "SIGSEGV"], ended.stderr);
  assertStringIncludes(
    ended.stderr,
    "fringe: stack overflow in function `takes`: its stack of 104",
  );
});

testNatively("it is reported where other memory may be overwritten", undefined, async () => {
  const ended = await runChild(
    `${prelude}${lonely}
      const { mmap } = Deno.dlopen("libc.so.6", {
        mmap: {
          parameters: ["usize", "usize", "i32", "i32", "i32", "isize"],
          result: "pointer",
        },
      }).symbols;
      const stack = lonelyStack({ overflow: "throw" });
      const [READ_WRITE, PRIVATE_ANONYMOUS, FIXED_NOREPLACE] = [3, 0x22, 0x100000];
      // Where the lowest variable comes to lie, and the one that is written to does not.
      const there = stack.limit - (2n << 20n);
      mmap(there, 1n << 20n, READ_WRITE, PRIVATE_ANONYMOUS | FIXED_NOREPLACE, -1, 0n);
      take(stack, 2 ** 21 + 4096, 2 ** 20 - 50_000);
    `,
    ["-A"],
  );
  assertEquals([ended.code, ended.signal], [139, "SIGSEGV"], ended.stderr);
  assertStringIncludes(
    ended.stderr,
    "fringe: stack overflow in function `takes`: its stack of 104",
  );
});

Deno.test("a handler that comes over fringe's is below it when a library is opened", async () => {
  const run = (more: string) =>
    runChild(
      `${prelude}
        const url = new URL(${JSON.stringify(testBodies.href)});
        const none = { parameters: [], result: "i32" };
        const other = dlopen(url, { handle_faults: none, faults_handled: none }).symbols;
        if (other.handle_faults() !== 0) throw new Error("no handler");
        ${more}
      `,
      ["--allow-ffi"],
    );
  const overflow = "symbols.use_up(2 ** 31 - 1);";
  const unseen = await run(overflow);
  assertEquals([unseen.signal, unseen.stderr], ["SIGSEGV", ""]);
  const again = `dlopen(url, { use_up: { parameters: ["i32"], result: "i32" } });`;
  const seen = await run(again + overflow);
  assertEquals(seen.signal, "SIGSEGV", seen.stderr);
  // Once, though each handler passes it on, and fringe has two.
  assertEquals(seen.stderr.split("fringe: stack overflow in function `use_up`").length, 2);
  const thrown = await run(`
    const { symbols: { use_up } } = dlopen(url, {
      use_up: { parameters: ["i32"], result: "i32", overflow: "throw" },
    });
    for (let i = 0; i < 3; i++) try { use_up(2 ** 31 - 1); } catch (error) {
      console.log(error.name, other.faults_handled());
    }
  `);
  assertEquals(thrown.stdout, "RangeError 0\n".repeat(3), thrown.stderr);
});

/** The functions of the library by Deno.dlopen, without fringe. */
const plain = `
  const { symbols: raw } = Deno.dlopen(new URL(${JSON.stringify(testBodies.href)}), {
    poke: { parameters: ["pointer"], result: "void" },
    use_up: { parameters: ["i32"], result: "i32" },
  });
`;
const wasm = `
  // (memory 1) (func (export "f") (result i32) i32.const -4 i32.load)
  const bytes = Uint8Array.fromHex("0061736d010000000105016000017f030201000503010001" +
    "07050101660000" + "0a0901070041" + "7c2802000b");
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes));
`;

/** What else a process may do with SIGSEGV, or with its stack. */
const faults: Readonly<Record<string, string>> = {
  "a null pointer in a function of Deno.dlopen": "raw.poke(null);",
  "an address that is none": "raw.poke(Deno.UnsafePointer.create(0x1234_5678_9000n));",
  "a null pointer on a thread of the pool": `
    const elsewhere = Deno.dlopen(new URL(${JSON.stringify(testBodies.href)}), {
      poke: { parameters: ["pointer"], result: "void", nonblocking: true },
    });
    await elsewhere.symbols.poke(null);
  `,
  "the end of the thread's own stack": "raw.use_up(2 ** 31 - 1);",
  "SIGSEGV that is sent": `
    Deno.kill(Deno.pid, "SIGSEGV");
    Deno.kill(Deno.pid, "SIGSEGV");
    await new Promise((resolve) => setTimeout(resolve, 10_000));
  `,
  "memory out of bounds in WebAssembly": `${wasm} exports.f();`,
  "memory out of bounds in WebAssembly, caught": `${wasm}
    for (let i = 0; i < 1000; i++) {
      try {
        exports.f();
      } catch (error) {
        if (i === 999) console.log(error.name, error.message);
      }
    }
  `,
  "the end of V8's stack": `
    const f = () => f() + 1;
    try {
      f();
    } catch (error) {
      console.log(error.name, error.message);
    }
  `,
};

for (const [what, source] of Object.entries(faults)) {
  Deno.test(`Deno does the same with fringe as without: ${what}`, async () => {
    const without = await runChild(`${plain}${source}`, ["-A"]);
    const with_ = await runChild(`${prelude}${plain}${source}`, ["-A"]);
    // Of the file and the thread the names differ.
    const comparable = ({ stderr, ...rest }: typeof without) => ({
      ...rest,
      stderr: stderr.replace(/file:\S+|\(\d+\)/g, ""),
    });
    assertEquals(comparable(with_), comparable(without));
    if (!source.includes("console.log")) assertNotEquals(without.code, 0);
    else assertMatch(without.stdout, /Error /);
  });
}

Deno.test("the handler of faults outlives the Worker that has brought fringe", async () => {
  // What is Deno's comes next in the chain, so its message shows that all of the chain is there.
  const program = (worker: string) => `
    ${plain}
    const url = "data:application/javascript," + ${JSON.stringify(encodeURIComponent(worker))};
    const worker = new Worker(url, { type: "module" });
    await new Promise((resolve) => worker.onmessage = resolve);
    worker.terminate();
    // Deno closes what the Worker has opened when it has really gone.
    while (Deno.readTextFileSync("/proc/self/maps").includes("libbodies.so")) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    raw.use_up(2 ** 31 - 1);
  `;
  const open = `
    Deno.dlopen(new URL(${JSON.stringify(exampleBodies.href)}), {});
    postMessage(1);
  `;
  const without = await runChild(program(open), ["-A"]);
  const with_ = await runChild(program(`${prelude}${open}`), ["-A"]);
  assertEquals(with_.signal, without.signal);
  assertStringIncludes(without.stderr, "has overflowed its stack");
  assertStringIncludes(with_.stderr, "has overflowed its stack");
});

for (
  const [what, source] of [
    ["a generator body", "new Generator(new OsStack(), symbols.pokes).resume(null);"],
    ["a function that was called", "symbols.poke(null);"],
    [
      "a body on a stack that throws",
      `
      new Generator(new OsStack(0, { overflow: "throw" }), symbols.pokes).resume(null);`,
    ],
    [
      "another stack's guard page",
      `
      const stack = new OsStack(0, { overflow: "throw" });
      const generator = new Generator(stack, symbols.pokes);
      generator.resume(Deno.UnsafePointer.create(stack.limit));
      symbols.poke(Deno.UnsafePointer.create(stack.limit - 1n));`,
    ],
  ] as const
) {
  Deno.test(`a fault that is no overflow ends the process without a word: ${what}`, async () => {
    const without = await runChild(`${plain} raw.poke(null);`, ["-A"]);
    const ended = await runChild(`${prelude}${source}`, ["-A"]);
    assertEquals(ended, without);
    assertEquals([ended.code, ended.signal, ended.stderr], [139, "SIGSEGV", ""]);
  });
}
