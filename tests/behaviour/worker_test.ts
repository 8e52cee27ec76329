// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** Workers have threads and heaps of their own: what goes between them is refused, or works. */

import { assert, assertEquals, assertLess, assertStringIncludes, assertThrows } from "@std/assert";
import { Generator, OsStack, SliceStack } from "../../mod.ts";
import { rounds } from "../support/seeds.ts";
import {
  copySources,
  manyTimes,
  moduleUrl,
  openBodies,
  runChild,
  testBodies,
  testNatively,
} from "../support/support.ts";

/** A Worker that posts what `source` posts, with the library of test bodies at hand. */
function work(source: string): Worker & Disposable {
  const url = URL.createObjectURL(
    new Blob([`
      import { dlopen, Generator, OsStack } from ${JSON.stringify(moduleUrl)};
      const { symbols } = dlopen(new URL(${JSON.stringify(testBodies.href)}), {
        echo_i32: { input: "i32", output: "i32" },
        call_n: {
          parameters: ["i32", { callback: { parameters: ["i32"], result: "i32" } }],
          result: "i32",
        },
      });
      ${source}
    `], { type: "application/javascript" }),
  );
  const worker = new Worker(url, { type: "module" });
  return Object.assign(worker, { [Symbol.dispose]: () => worker.terminate() });
}

function answer(worker: Worker): Promise<unknown> {
  const { promise, resolve, reject } = Promise.withResolvers<unknown>();
  worker.onmessage = ({ data }) => resolve(data);
  worker.onerror = (event) => {
    event.preventDefault();
    reject(new Error(event.message));
  };
  return promise;
}

Deno.test("a function of dlopen cannot be posted to a Worker", () => {
  using library = openBodies();
  using worker = work("");
  assertThrows(
    () => worker.postMessage(library.symbols.call_n),
    DOMException,
    "could not be cloned",
  );
  assertThrows(() => worker.postMessage(library), DOMException, "could not be cloned");
});

Deno.test("a body, a stack, a generator posted to a Worker is refused there", async () => {
  using library = openBodies();
  using worker = work(`
    self.onmessage = ({ data: { body, stack, generator } }) => {
      const tries = [
        () => new Generator(new OsStack(), body),
        () => Generator.unguarded(stack, symbols.echo_i32),
        () => Generator.unguarded(stack, function* () {}),
        () => generator.resume(1),
        () => Generator.prototype.resume.call(generator, 1),
        () => Generator.prototype.next.call(generator, 1),
      ];
      postMessage(tries.map((f) => {
        try {
          f();
        } catch (error) {
          return error.name + ": " + error.message;
        }
      }));
    };
    postMessage("ready");
  `);
  assertEquals(await answer(worker), "ready");
  using stack = new OsStack();
  using generator = new Generator(new OsStack(), library.symbols.echo_i32);
  generator.resume(1);
  worker.postMessage({ body: library.symbols.echo_i32, stack, generator });
  const messages = await answer(worker) as string[];
  assertStringIncludes(messages[0]!, "TypeError: Cannot make generator: the body must be");
  assertStringIncludes(messages[0]!, "that dlopen has given in this Worker");
  for (const message of messages.slice(1, 3)) {
    assertStringIncludes(message, "TypeError: Cannot use an object of class Object as a stack");
    assertStringIncludes(message, "in this Worker");
  }
  for (const message of messages.slice(3)) assertStringIncludes(message, "TypeError: ");
  // The original is none the worse.
  assertEquals(generator.resume(2), 2);
});

Deno.test("memory of a SliceStack that is transferred to a Worker is missed", () => {
  using library = openBodies();
  using worker = work("");
  const memory = new Uint8Array(16 * 1024);
  using generator = Generator.unguarded(new SliceStack(memory), library.symbols.echo_i32);
  assertEquals(generator.resume(1), 1);
  worker.postMessage(memory, [memory.buffer]);
  assertThrows(() => generator.resume(2), Error, "has been detached");
});

Deno.test("generators and calls run in several Workers at once, and do not meet", async () => {
  using library = openBodies();
  const source = (seed: number) => `
    const generator = new Generator(new OsStack(), symbols.echo_i32);
    let sum = 0;
    for (let i = 0; i < 20_000; i++) sum += generator.resume(i) % ${seed};
    const inner = (j) => symbols.call_n(2, () => j % ${seed});
    for (let i = 0; i < 100; i++) sum += symbols.call_n(100, inner);
    postMessage(sum);
  `;
  const expected = (seed: number) => {
    let sum = 0;
    for (let i = 0; i < 20_000; i++) sum += i % seed;
    for (let j = 0; j < 100; j++) sum += 200 * (j % seed);
    return sum;
  };
  const workers = [3, 5, 7].map((seed) => work(source(seed)));
  const answers = Promise.all(workers.map(answer));
  // Here, too, while they run.
  for (let i = 0; i < 100; i++) {
    assertEquals(library.symbols.call_n(100, (j) => j), 4950);
    await new Promise((resolve) => setTimeout(resolve));
  }
  assertEquals(await answers, [3, 5, 7].map(expected));
  for (const worker of workers) worker.terminate();
});

Deno.test("a Worker that is terminated with generators suspended harms nobody", async () => {
  using library = openBodies();
  using generator = new Generator(new OsStack(), library.symbols.echo_i32);
  assert(generator.resume(1) === 1);
  for (let round = 0; round < 3; round++) {
    using worker = work(`
      const make = () => new Generator(new OsStack(), symbols.echo_i32);
      globalThis.kept = Array.from({ length: 20 }, make);
      for (const generator of globalThis.kept) generator.resume(5);
      globalThis.kept.push(symbols.call_n.calls(3));
      globalThis.kept.at(-1).next();
      postMessage("suspended");
    `);
    assertEquals(await answer(worker), "suspended");
  }
  await new Promise((resolve) => setTimeout(resolve, 50));
  assertEquals(generator.resume(2), 2);
  assertEquals(library.symbols.call_n(3, (i) => i), 3);
});

/** Makes Workers, ten at once, that suspend all kinds of things, and terminates them. */
const leaving = `
  import { dlopen, Generator, OsStack, StackPool } from ${JSON.stringify(moduleUrl)};
  const { symbols } = dlopen(new URL(${JSON.stringify(testBodies.href)}), {
    recurses: { input: "i32", output: "i32" },
    call_n: {
      parameters: ["i32", { callback: { parameters: ["i32"], result: "i32" } }],
      result: "i32",
    },
  });
  const { symbols: { usleep } } = dlopen("libc.so.6", {
    usleep: { parameters: ["u32"], result: "i32", nonblocking: true },
  });
  const scenes = {
    suspends() {
      const pool = new StackPool();
      globalThis.kept = Array.from({ length: 100 }, (_, i) => {
        const generator = new Generator(i % 2 ? new OsStack() : pool.take(), symbols.recurses);
        generator.resume(150); // takes some 40 KiB of stack
        return generator;
      });
      for (let i = 0; i < 10; i++) symbols.call_n.async(2, () => new Promise(() => {}));
    },
    sleeps() {
      for (let i = 0; i < 3; i++) usleep(300_000);
    },
  };
  const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  async function workAndGo(scene, count) {
    const workers = Array.from({ length: count }, () => new Worker(import.meta.url + "#" + scene, {
      type: "module",
    }));
    await Promise.all(workers.map((worker) => new Promise((resolve) => {
      worker.onmessage = resolve;
    })));
    for (const worker of workers) worker.terminate();
    await wait(300);
  }
  const scene = new URL(import.meta.url).hash.slice(1);
  if (scene !== "") {
    scenes[scene]();
    await wait(scene === "sleeps" ? 50 : 0);
    postMessage("begun");
  }
`;

/** What /proc/self/status says of a size, in MiB; and how many mappings there are. */
const sizes = `
  const status = (name) =>
    Number(Deno.readTextFileSync("/proc/self/status").split(name + ":")[1].match(/\\d+/)) / 1024;
  const sizes = () => [
    status("VmSize"), status("VmRSS"), Deno.readTextFileSync("/proc/self/maps").split("\\n").length,
  ];
`;

// An emulator keeps memory of its own for each thread.
testNatively(
  "a Worker that is terminated leaves the stacks of what was suspended",
  undefined,
  async () => {
    const ended = await runChild(
      `${leaving}${sizes}
      if (scene === "") {
        await workAndGo("suspends", 10);
        const before = sizes();
        for (let i = 0; i < 4; i++) await workAndGo("suspends", 10);
        console.log(JSON.stringify(sizes().map((size, i) => Math.round(size - before[i]))));
      }
    `,
      ["-A"],
    );
    const [addresses, resident, mappings] = JSON.parse(ended.stdout || ended.stderr) as number[];
    // Their stacks take 8,000 MiB of addresses, and 170 of memory. V8 keeps some for itself,
    // and a Worker's thunks stay, since C may have been given their addresses.
    assertLess(addresses!, 500);
    assertLess(resident!, 80);
    assertLess(mappings!, 40 * 5);
  },
);

Deno.test("a Worker that is terminated leaves the stack that another thread runs on", async () => {
  const ended = await runChild(
    `${leaving}
      if (scene === "") {
        await workAndGo("sleeps", 3);
        await wait(300);
        console.log("all have woken up");
      }
    `,
    ["-A"],
  );
  assertEquals([ended.signal, ended.stdout], [null, "all have woken up\n"], ended.stderr);
});

/**
 * A program whose Workers each do another thing when they are terminated, at any moment; what is
 * suspended in the main thread goes on meanwhile. Deno does not terminate a Worker that never comes
 * back to its event loop, so those who do something without end are running when the process ends.
 */
const terminating = (module: string, rounds: number) => `
  import { dlopen, Generator, OsStack } from ${JSON.stringify(module)};
  const f = { callback: { parameters: ["i32"], result: "i32" } };
  const { symbols } = dlopen(new URL(${JSON.stringify(testBodies.href)}), {
    echo_i32: { input: "i32", output: "i32" },
    has_destructor: { input: "void", output: "i32" },
    call_n: { parameters: ["i32", f], result: "i32" },
    call_n_elsewhere: { name: "call_n", parameters: ["i32", f], result: "i32", nonblocking: true },
    sum_buffer: { parameters: ["buffer", "usize"], result: "u64", nonblocking: true },
  });
  const many = 2 ** 31 - 1;
  const make = (body = symbols.echo_i32) => new Generator(new OsStack(65536), body);
  const calling = () => new Generator(new OsStack(65536), function* (yielder) {
    yield* yielder.call(symbols.call_n, many, function* (i) {
      yield i;
      return 0;
    });
  });
  const forever = new Promise(() => {});
  const scenes = {
    isSuspended() {
      globalThis.kept = [make(), make(symbols.has_destructor), calling(), symbols.call_n.calls(3)];
      for (const generator of globalThis.kept) generator.next(1);
    },
    awaits() {
      for (let i = 0; i < 5; i++) symbols.call_n.async(3, () => forever);
    },
    async awaitsAgain() {
      await symbols.call_n.async(many, () => new Promise((resolve) => setTimeout(resolve, 0, 1)));
    },
    answersElsewhere() {
      for (let i = 0; i < 3; i++) symbols.call_n_elsewhere(many, (i) => i & 1);
    },
    waitsElsewhere() {
      for (let i = 0; i < 3; i++) symbols.call_n_elsewhere(3, () => forever);
    },
    runsElsewhere() {
      symbols.sum_buffer(new Uint8Array(2 ** 26), 2n ** 26n);
    },
  };
  const endless = {
    resumes(generator = make()) {
      for (let i = 0;; i = (i + 1) % 256) if (generator.resume(i) !== i) postMessage("wrong");
    },
    answers() {
      symbols.call_n(many, () => symbols.call_n(3, (i) => i & 1));
    },
    pulls() {
      for (const call of symbols.call_n.calls(many)) call.reply(0);
    },
    yields() {
      for (const _ of calling());
    },
    makesAndEnds() {
      for (;;) {
        using generator = make(symbols.has_destructor);
        generator.resume();
      }
    },
  };

  if (typeof WorkerGlobalScope !== "undefined") {
    self.onmessage = ({ data }) => {
      postMessage("begun");
      (scenes[data] ?? endless[data])();
    };
  } else {
    let [asked, done, resumed] = [0, undefined, 0];
    const generators = [make(), calling(), calling()];
    const pending = symbols.call_n.async(many, async (i) => {
      if (i !== asked++) throw new Error("C has passed a wrong argument");
      await new Promise((resolve) => setTimeout(resolve, 1));
      if (done) throw done;
      return 0;
    });
    function goOn() {
      for (let i = 0; i < 100; i++, resumed++) {
        if (generators.some((generator) => generator.resume(resumed) !== resumed)) {
          throw new Error("a generator of the main thread has lost count");
        }
      }
    }
    const begin = async (name) => {
      const worker = new Worker(import.meta.url, { type: "module" });
      const { promise, resolve, reject } = Promise.withResolvers();
      worker.onmessage = ({ data }) => data === "begun" ? resolve() : reject(new Error(data));
      worker.onerror = (event) => reject(new Error(event.message));
      worker.postMessage(name);
      await promise;
      goOn();
      return worker;
    };
    for (let round = 0; round < ${rounds}; round++) {
      for (const name of Object.keys(scenes)) {
        const worker = await begin(name);
        await new Promise((resolve) => setTimeout(resolve, Math.random() * 8));
        worker.terminate();
        goOn();
      }
    }
    await Promise.all(Object.keys(endless).map(begin));
    goOn();
    done = new Error("done");
    const inMemory = Deno.readTextFileSync("/proc/self/maps").includes("/memfd:fringe");
    console.log({ asked: asked > 0, ended: await pending.catch((e) => e === done), inMemory });
    Deno.exit();
  }
`;

async function assertTerminates(module: string, rounds: number, inMemory: boolean): Promise<void> {
  const ended = await runChild(terminating(module, rounds), ["-A"]);
  const stdout = `{ asked: true, ended: true, inMemory: ${inMemory} }\n`;
  assertEquals(ended, { code: 0, signal: null, stdout, stderr: "" });
}

Deno.test("Workers can be terminated whatever they do, and harm nobody", async () => {
  await assertTerminates(moduleUrl, manyTimes(3 * rounds), false);
});

Deno.test("Workers that have each opened the library from memory can, too", async () => {
  const directory = await Deno.makeTempDir({ prefix: "fringe-copy-" });
  try {
    // Without the folder of libraries beside it.
    copySources(directory);
    // A process has no room for many more (docs/limits.md, "Threads").
    for (let round = 0; round < rounds; round++) {
      await assertTerminates(`file://${directory}/mod.ts`, manyTimes(3), true);
    }
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
