// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * SDL's audio thread by way of examples/sdl.ts, and that example, run as a user runs it. Sound goes
 * to files, by SDL's driver "disk", so that what has been played can be looked at.
 */

import { fileURLToPath } from "node:url";
import {
  assert,
  assertEquals,
  assertGreater,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { dlopen } from "../../mod.ts";
import { isInstalled } from "../../tools/packages.ts";
import { assertSucceeds, run, runChild, testWith } from "../support/support.ts";

const library = "libSDL2-2.0.so.0";
const file = new URL("../../examples/sdl.ts", import.meta.url);

/** The example opens the library when it is imported, which only works where that is installed. */
const example = isInstalled(library) ? await import(file.href) as Example : undefined;
type Example = typeof import("../../examples/sdl.ts");
type AudioOutput = InstanceType<Example["AudioOutput"]>;
type Chunk = Float32Array<ArrayBuffer>;

const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** SDL asks for 256 bytes at once, about as fast as it is answered. */
const fast = { frequency: 192_000, channels: 1, samples: 64 };

/** SDL says on stderr where it writes to, unless it is told to be silent. */
function useDisk(): void {
  const log = { SDL_LogSetAllPriority: { parameters: ["i32"], result: "void" } } as const;
  using sdl = dlopen(library, log);
  sdl.symbols.SDL_LogSetAllPriority(SILENT);
  example!.useDriver("disk");
}

/** `SDL_NUM_LOG_PRIORITIES`: nothing is as urgent. */
const SILENT = 7;

function toFile(path: string): AudioOutput {
  return new example!.AudioOutput({ ...fast, device: path });
}

function test(name: string, use: (output: AudioOutput, path: string) => Promise<void>): void {
  testWith(library, `sdl: ${name}`, async () => {
    useDisk();
    const path = await Deno.makeTempFile();
    const output = toFile(path);
    try {
      await use(output, path);
    } finally {
      await output.close();
      await Deno.remove(path);
    }
  });
}

/** The samples from `first` on, none of which is silence. */
const numbers = (count: number, first = 1) =>
  Float32Array.from({ length: count }, (_, i) => first + i);

/** What has been played, between the silence before and after; the output has been closed. */
async function played(path: string): Promise<number[]> {
  const bytes = await Deno.readFile(path);
  assertEquals(bytes.length % (fast.samples * 4), 0);
  const samples = Array.from(new Float32Array(bytes.buffer));
  const first = samples.findIndex((sample) => sample !== 0);
  return first < 0 ? [] : samples.slice(first, samples.findLastIndex((sample) => sample !== 0) + 1);
}

/** `count` samples in chunks of all lengths, some of which take their time. */
async function* slowly(count: number): AsyncGenerator<Chunk, void, void> {
  for (let at = 0, length = 0; at < count; length = (length + 37) % 301) {
    const chunk = numbers(Math.min(length, count - at), at + 1);
    at += chunk.length;
    if (length % 3 === 0) await sleep(length % 5);
    yield chunk;
  }
}

test(
  "sound arrives in order and complete, and SDL waits for what is slow",
  async (output, path) => {
    let ticks = 0;
    const timer = setInterval(() => ticks++, 1);
    await output.play(slowly(10_000));
    clearInterval(timer);
    assertGreater(ticks, 10);
    // Once for each buffer, and once more at the end; what is asked before SDL pauses is silence.
    assertGreater(output.asked, 10_000 / 64);
    await output.close();
    assertEquals(await played(path), [...numbers(10_000)]);
  },
);

test(
  "sounds are played one after the other, of anything that can be iterated",
  async (output, path) => {
    await output.play([numbers(100)]);
    await output.play(ReadableStream.from([numbers(28, 101), numbers(64, 129)]));
    await output.play([]);
    await output.close();
    // The first leaves a part of its last buffer silent.
    const samples = (await played(path)).filter((sample) => sample !== 0);
    assertEquals(samples, [...numbers(192)]);
  },
);

test("nothing is pulled before SDL asks for it", async (output) => {
  let made = 0;
  const source = function* () {
    for (; made < 200; made++) {
      assertEquals(output.asked, made + 1);
      yield numbers(64);
    }
  };
  await output.play(source());
  assertEquals(made, 200);
});

test(
  "stop() ends a sound whose source keeps SDL waiting, and the next plays",
  async (output, path) => {
    const late = Promise.withResolvers<Chunk>();
    let isTold = false;
    const source = async function* () {
      try {
        yield numbers(96);
        yield await late.promise;
      } finally {
        isTold = true;
      }
    };
    const playing = output.play(source());
    await assertRejects(() => output.play([]), Error, "The output is playing: stop() it first");
    while (output.asked < 2) await sleep(1);
    await output.stop();
    await playing;
    // What comes too late goes nowhere.
    late.resolve(numbers(64, 1000));
    await output.play([numbers(4, 97)]);
    assert(isTold, "the source has not been told");
    await output.stop();
    await output.close();
    const samples = (await played(path)).filter((sample) => sample !== 0);
    assertEquals(samples, [...numbers(100)]);
  },
);

test("a signal ends a sound with its reason", async (output) => {
  const reason = new Error("enough");
  const never = new ReadableStream<Chunk>();
  const controller = new AbortController();
  const { signal } = controller;
  const playing = output.play(never, { signal });
  while (output.asked < 1) await sleep(1);
  controller.abort(reason);
  assertStrictEquals(await assertRejects(() => playing), reason);
  assertStrictEquals(await assertRejects(() => output.play([], { signal })), reason);
  // Before SDL has asked.
  const early = new AbortController();
  const begun = output.play([numbers(10)], early);
  early.abort(reason);
  assertStrictEquals(await assertRejects(() => begun), reason);
});

test("what a source throws comes out of play(), after what came before", async (output, path) => {
  const thrown = new Error("on purpose");
  const source = async function* () {
    yield numbers(70);
    await sleep(1);
    throw thrown;
  };
  assertStrictEquals(await assertRejects(() => output.play(source())), thrown);
  await output.play([numbers(30, 71)]);
  await output.close();
  const samples = (await played(path)).filter((sample) => sample !== 0);
  assertEquals(samples, [...numbers(100)]);
});

test("SDL goes on asking until it has paused, and is answered", async (output) => {
  for (let i = 0; i < 300; i++) {
    const playing = output.play(new ReadableStream<Chunk>());
    while (output.asked === i) await sleep(0);
    await output.stop();
    await playing;
  }
  assertEquals(output.asked, 300);
});

test("close() ends what is played, also while SDL waits", async (output) => {
  for (const isAsked of [true, false]) {
    const other = toFile("/dev/null");
    const playing = other.play(new ReadableStream<Chunk>());
    while (isAsked && other.asked === 0) await sleep(1);
    const closing = other.close();
    assertStrictEquals(other.close(), closing);
    await assertRejects(() => other.play([]), Error, "The output has been closed");
    await Promise.all([closing, playing]);
  }
  assertThrows(() => example!.useDriver("dummy"), Error, "close all outputs first");
  await output.close();
  example!.useDriver("dummy");
});

testWith(library, "sdl: several outputs at once, each with a thread that waits", async () => {
  useDisk();
  const paths = await Promise.all(Array.from({ length: 8 }, () => Deno.makeTempFile()));
  await Promise.all(paths.map(async (path, i) => {
    await using output = toFile(path);
    await output.play(slowly(1000 * i));
  }));
  for (const [i, path] of paths.entries()) {
    assertEquals(await played(path), [...numbers(1000 * i)]);
    await Deno.remove(path);
  }
});

testWith(library, "sdl: a driver or device that is not there is an error of SDL's", () => {
  const { AudioOutput, useDriver } = example!;
  assertThrows(() => useDriver("no such"), Error, "Cannot use driver no such: ");
  useDisk();
  const device = "/no/such/folder/sound";
  assertThrows(() => new AudioOutput({ device }), Error, "Cannot open audio device: ");
  // Nothing is left open.
  useDriver("dummy");
});

testWith(
  library,
  "sdl: a program ends with an output that is idle, or is being closed",
  async () => {
    const flags = ["--allow-ffi", `--config=${fileURLToPath(new URL("../deno.json", file))}`];
    const program = (rest: string) => `
    import { AudioOutput, useDriver } from ${JSON.stringify(file.href)};
    useDriver("dummy");
    ${rest}
  `;
    const idle = "const output = new AudioOutput(); console.log(output.asked);";
    // More than once: SDL's thread is seldom where it would notice that the library is unloaded.
    for (let i = 0; i < 6; i++) assertSucceeds(await runChild(program(idle), flags), "0\n");
    // Disposed of while SDL's thread waits for a source that never answers.
    const waiting = `{
    using output = new AudioOutput();
    void output.play(new ReadableStream()).then(() => console.log("over"));
    while (output.asked === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  }`;
    assertSucceeds(await runChild(program(waiting), flags), "over\n");
  },
);

testWith(library, "examples/sdl.ts runs with --allow-ffi alone", async () => {
  const { code, stdout, stderr } = await run(["run", "--no-prompt", "--allow-ffi", file.href]);
  assertEquals([code, stderr], [0, ""]);
  // What the example says that it prints.
  const said = /```text\n([^]*?)```/.exec(await Deno.readTextFile(file))![1]!;
  assertEquals(stdout.trim(), said.replaceAll(/^ \* ?/gm, "").trim());
});
