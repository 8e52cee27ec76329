// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Signals come at any moment of a million switches: from timers, at 10 kHz, with handlers in C on
 * the alternate stack and on whatever stack they interrupt, and with Deno's own; and from V8's
 * profiler. Each case is a process of its own, which goes on until it has seen both enough switches
 * and enough signals. `FRINGE_ROUNDS=100` makes it a hundred million.
 *
 * And C calls back in handlers of signals that it raises itself.
 *
 * @module
 */

import { join } from "node:path";
import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { dlopen, Generator, type NativeLibrary, OsStack } from "../../mod.ts";
import { root } from "../../tools/zig.ts";
import { rounds } from "../support/seeds.ts";
import { cxx, moduleUrl, runChild, testBodies, testWith } from "../support/support.ts";

const prelude = `
  import { dlopen, Generator, OsStack, SliceStack } from ${JSON.stringify(moduleUrl)};

  const SWITCHES = ${rounds * 1_000_000};
  const [SIGALRM, SIGPROF] = [14, 27];
  const bodies = ${JSON.stringify(testBodies.pathname)};
  const { symbols } = dlopen(bodies, {
    echo_i32: { input: "i32", output: "i32" },
    plain_echo: { input: "i32", output: "i32" },
    recurses: { input: "i32", output: "i32" },
    call_n: {
      parameters: ["i32", { callback: { parameters: ["i32"], result: "i32" } }],
      result: "i32",
    },
  });
  const signals = Deno.dlopen(bodies, {
    start_signals: { parameters: ["i32", "usize", "usize"], result: "i32" },
    stop_signals: { parameters: [], result: "void" },
    signals_seen: { parameters: ["i32"], result: "i32" },
    send_alarms: { parameters: ["i32"], result: "i32" },
  }).symbols;

  function fail(what) {
    throw new Error(what);
  }

  /** Each makes some round trips, of two switches, and returns how many. */
  function resumes(generator) {
    for (let i = 0; i < 10_000; i++) {
      if (generator.resume(i) !== i) fail("a body has given " + i + " back wrong");
    }
    return 20_000;
  }
  function recurses(generator) {
    for (let i = 0; i < 1000; i++) {
      const depth = i % 20;
      if (generator.resume(depth) !== depth) fail("a body has lost count of its depth");
    }
    return 2000;
  }
  let expected = 0;
  function handles(i) {
    if (i !== expected++) fail("C has passed a wrong argument");
    return i & 3;
  }
  function calls() {
    expected = 0;
    if (symbols.call_n(10_000, handles) !== 15_000) fail("C has a wrong sum");
    return 20_000;
  }
`;

async function assertEndsWell(source: string, flags: readonly string[] = []): Promise<string> {
  const ended = await runChild(`${prelude}${source}`, ["-A", ...flags]);
  assertEquals([ended.code, ended.signal, ended.stderr], [0, null, ""]);
  return ended.stdout;
}

for (const [place, onAlternateStack] of [["on the alternate stack", 1], ["on any stack", 0]]) {
  Deno.test(`a million switches stand timers with handlers ${place}`, async () => {
    await assertEndsWell(`
      /** Signals that have interrupted the body itself cannot be asked for where none is known. */
      function stand(stack, make) {
        const { base, limit } = stack ?? { base: 0n, limit: 0n };
        const failure = signals.start_signals(${onAlternateStack}, limit, base);
        if (failure) fail("timers cannot be started: " + failure);
        let switches = 0;
        const haveCome = () =>
          signals.signals_seen(SIGPROF) >= 100 && signals.signals_seen(SIGALRM) >= 100 &&
          (stack === undefined || signals.signals_seen(0) >= 10);
        while (switches < SWITCHES || !haveCome()) switches += make();
        signals.stop_signals();
      }
      for (const body of [symbols.echo_i32, symbols.plain_echo]) {
        const stack = new OsStack();
        const generator = new Generator(stack, body);
        stand(stack, () => resumes(generator));
      }
      const stack = new OsStack();
      const generator = new Generator(stack, symbols.recurses);
      stand(stack, () => recurses(generator));
      stand(undefined, calls);
    `);
  });
}

Deno.test("a million switches stand SIGALRM with a listener in JavaScript, on 8 KiB", async () => {
  await assertEndsWell(`
    let heard = 0;
    const listener = () => heard++;
    Deno.addSignalListener("SIGALRM", listener);
    const generator = new Generator(new OsStack(8192), symbols.echo_i32);
    if (signals.send_alarms(1)) fail("a timer cannot be started");
    for (let switches = 0; switches < 2 * SWITCHES || heard < 10;) {
      switches += resumes(generator) + calls();
      await new Promise((resolve) => setTimeout(resolve));
    }
    signals.send_alarms(0);
    // One may be on its way yet, and without a listener it would end the process.
    await new Promise((resolve) => setTimeout(resolve, 50));
    Deno.removeSignalListener("SIGALRM", listener);
  `);
});

// V8's profiler

const profiler = `
  import { Session } from "node:inspector";

  const session = new Session();
  session.connect();
  const post = (method, parameters) => {
    const { promise, resolve, reject } = Promise.withResolvers();
    session.post(method, parameters, (error, result) => error ? reject(error) : resolve(result));
    return promise;
  };
  await post("Profiler.enable");
  await post("Profiler.setSamplingInterval", { interval: 100 });

  /** Profiles work until samples have met each of the functions, in the order of their calls. */
  async function profile(names, work) {
    let samples = 0;
    const count = ({ callFrame, hitCount, children = [] }, byId, depth) => {
      if (callFrame.functionName === names[depth]) depth++;
      if (depth === names.length) samples += hitCount;
      for (const id of children) count(byId.get(id), byId, depth);
    };
    for (let switches = 0; switches < SWITCHES || samples < 10;) {
      if (switches > 300 * SWITCHES) fail("no sample is of " + names);
      await post("Profiler.start");
      for (let i = 0; i < 20; i++) switches += work();
      const { profile: { nodes } } = await post("Profiler.stop");
      count(nodes[0], new Map(nodes.map((node) => [node.id, node])), 0);
    }
  }
  function works(i) {
    for (let j = 0; j < 100; j++) i ^= j;
    return i & 1;
  }
  function worksInCallbacks() {
    symbols.call_n(10_000, works);
    return 20_000;
  }
`;

Deno.test("a million switches stand V8's profiler, which sees who goes on", async () => {
  await assertEndsWell(`${profiler}
    // The smallest there is, for the handler of V8 has the alternate stack.
    for (const body of [symbols.echo_i32, symbols.plain_echo]) {
      const generator = new Generator(new OsStack(0), body);
      await profile(["resumes"], () => resumes(generator));
    }
    await profile(["worksInCallbacks", "works"], worksInCallbacks);
  `);
});

Deno.test("a million switches stand V8's profiler above the stack of the thread", async () => {
  await assertEndsWell(`${profiler}
    const { mmap } = Deno.dlopen("libc.so.6", {
      mmap: { parameters: ["usize", "usize", "i32", "i32", "i32", "i64"], result: "pointer" },
    }).symbols;
    const [, end] = Deno.readTextFileSync("/proc/self/maps").match(/-(\\w+) .* \\[stack\\]/);
    const [size, READ_WRITE, PRIVATE_ANONYMOUS_FIXED_NOREPLACE] = [65536, 3, 0x100022];
    /** Behind the stack, but not where the system has put its own pages. */
    function map(at) {
      const pages = mmap(
        at, BigInt(size), READ_WRITE, PRIVATE_ANONYMOUS_FIXED_NOREPLACE, -1, 0n,
      );
      return Deno.UnsafePointer.value(pages) === at ? pages : map(at + BigInt(size));
    }
    const pages = map(BigInt("0x" + end));
    const memory = new Uint8Array(Deno.UnsafePointerView.getArrayBuffer(pages, size));
    const stack = new SliceStack(memory);
    const generator = Generator.unguarded(stack, symbols.echo_i32);
    await profile(["resumes"], () => resumes(generator));
  `);
});

// Callbacks in handlers

const [SIGUSR1, SIGUSR2, SIGURG, SIGWINCH] = [10, 12, 23, 28];
const callback = { callback: { parameters: ["i32"], result: "i32" } } as const;
const inHandlers = {
  call_in_handler: { parameters: [callback, "i32"], result: "i32" },
  call_in_two_handlers: { parameters: [callback], result: "i32" },
  block: { parameters: ["i32", "i32"], result: "i32" },
  is_blocked: { parameters: ["i32"], result: "i32" },
  handlers_left: { parameters: [], result: "i32" },
} as const;

function buildHandlers(): string {
  const folder = join(root, ".zig-cache", "signals");
  Deno.mkdirSync(folder, { recursive: true });
  const path = join(folder, "libhandlers.so");
  const source = new URL("../bodies/handlers.c", import.meta.url).pathname;
  const include = new URL("../../native/include", import.meta.url).pathname;
  const options = ["-O2", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared", "-fexceptions"];
  const { success, stderr } = new Deno.Command(cxx(), {
    args: ["-x", "c", ...options, `-I${include}`, source, "-o", path],
  }).outputSync();
  assert(success, new TextDecoder().decode(stderr));
  return path;
}

type InHandlers = NativeLibrary<typeof inHandlers>["symbols"];

/** Which of the signals are blocked on this thread. */
function blocked({ is_blocked }: InHandlers): number[] {
  return [SIGUSR1, SIGUSR2, SIGURG, SIGWINCH].filter((signal) => is_blocked(signal));
}

testWith(
  "g++",
  "a callback in a handler suspends the call, in which the signal is blocked",
  async () => {
    using library = dlopen(buildHandlers(), inHandlers);
    const { symbols } = library;
    const { call_in_handler, call_in_two_handlers } = symbols;
    const seen: number[][] = [];
    const answers = (signal: number): number => {
      seen.push(blocked(symbols));
      return signal + 1;
    };
    assertEquals(call_in_handler(answers, 0), 11);
    const awaited = await call_in_handler.async(async (signal) => {
      await new Promise((resolve) => setTimeout(resolve, 1));
      return answers(signal);
    }, 0);
    assertEquals(awaited, 11);
    for (const { args: [signal], reply } of call_in_handler.calls(0)) reply(answers(signal));
    using generator = new Generator<void, number>(new OsStack(), function* (yielder) {
      yield yield* yielder.call(call_in_handler, function* (signal: number) {
        yield 0;
        return answers(signal);
      }, 0);
    });
    assertEquals([...generator], [0, 11]);
    assertEquals(seen, Array(4).fill([SIGUSR1, SIGURG]));
    assertEquals(blocked(symbols), []);
    assertEquals(call_in_two_handlers(answers), 11);
    assertEquals(seen.at(-1), [SIGUSR1, SIGUSR2, SIGURG]);
    assertEquals(blocked(symbols), []);
  },
);

testWith("g++", "a call that is ended in a handler leaves the signals as they were", async () => {
  using library = dlopen(buildHandlers(), inHandlers);
  const { symbols } = library;
  const { call_in_handler, call_in_two_handlers } = symbols;
  const mine = new Error("mine");
  const fails = (): never => {
    throw mine;
  };
  let left = symbols.handlers_left();
  for (const before of [[], [SIGWINCH]]) {
    for (const signal of before) symbols.block(signal, 1);
    const assertLeft = (count: number) => {
      assertEquals(symbols.handlers_left(), left += count);
      assertEquals(blocked(symbols), before);
    };
    assertThrows(() => call_in_handler(fails, 0), Error, "mine");
    assertLeft(1);
    assertEquals(await call_in_handler.async(fails, 0).catch((error) => error), mine);
    assertLeft(1);
    for (const _ of call_in_handler.calls(0)) break;
    assertLeft(1);
    assertThrows(() => call_in_two_handlers(fails), Error, "mine");
    assertLeft(2);
    // It comes again.
    assertEquals(call_in_handler((signal) => signal, 0), SIGUSR1);
    assertLeft(1);
    for (const signal of before) symbols.block(signal, 0);
  }
});

testWith("g++", "a callback on the alternate signal stack ends the process", async () => {
  const path = buildHandlers();
  const forms = [
    "call_in_handler(answers, 1)",
    "await call_in_handler.async(async (signal) => answers(signal), 1)",
    "call_in_handler.calls(1).next()",
  ];
  for (const form of forms) {
    const source = `
      import { dlopen } from ${JSON.stringify(moduleUrl)};
      const { call_in_handler } = dlopen(${JSON.stringify(path)}, {
        call_in_handler: ${JSON.stringify(inHandlers.call_in_handler)},
      }).symbols;
      const answers = (signal) => signal;
      console.log(call_in_handler(answers, 0));
      console.log(${form});
    `;
    const { signal, stdout, stderr } = await runChild(source, ["-A"]);
    assertEquals([signal, stdout], ["SIGABRT", "10\n"]);
    assertStringIncludes(stderr, "in a signal handler, on the alternate signal stack");
  }
});
