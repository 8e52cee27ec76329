// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** GLib's main loop by way of examples/glib.ts, and that example, run as a user runs it. */

import { assert, assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import { isInstalled } from "../../tools/packages.ts";
import { run, testWith } from "../support/support.ts";

const library = "libglib-2.0.so.0";
const file = new URL("../../examples/glib.ts", import.meta.url);

/** The example opens the library when it is imported, which only works where that is installed. */
const example = isInstalled(library) ? await import(file.href) as Example : undefined;
type Example = typeof import("../../examples/glib.ts");

const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

function test(
  name: string,
  use: (loop: InstanceType<Example["MainLoop"]>) => void | Promise<void>,
): void {
  testWith(library, `glib: ${name}`, async () => {
    using loop = new example!.MainLoop();
    await use(loop);
  });
}

test("GLib's loop and Deno's go on beside each other", async (loop) => {
  const log: string[] = [];
  loop.addTimeout(1, async () => {
    log.push("source begins");
    await sleep(20);
    log.push("source ends");
    loop.quit();
    return false;
  });
  setTimeout(() => log.push("timer"), 5);
  await loop.run();
  assertEquals(log.filter((step) => step !== "timer"), ["source begins", "source ends"]);
  assert(log.includes("timer"), "Deno's loop stood still");
  assertEquals(loop.size, 0);
});

test("sources may be added while the loop runs, and while it waits", async (loop) => {
  const order: number[] = [];
  loop.addIdle(() => {
    order.push(1);
    loop.addIdle(async () => {
      order.push(2);
      await sleep(1);
      loop.quit();
      return false;
    });
    return false;
  });
  const running = loop.run();
  await running;
  assertEquals(order, [1, 2]);
  // From another thread than the loop's, which sleeps in poll(2).
  const again = loop.run();
  await sleep(10);
  loop.addIdle(() => {
    order.push(3);
    loop.quit();
    return false;
  });
  await again;
  assertEquals(order, [1, 2, 3]);
});

test("a signal ends the loop, be it in a source or asleep, and it runs again", async (loop) => {
  const reason = new Error("enough");
  for (const source of [() => new Promise<boolean>(() => {}), undefined]) {
    let gone = 0;
    if (source !== undefined) loop.addIdle(source, () => gone++);
    const controller = new AbortController();
    setTimeout(() => controller.abort(reason), 10);
    const { signal } = controller;
    assertStrictEquals(await assertRejects(() => loop.run({ signal })), reason);
    assertEquals([gone, loop.size], [source === undefined ? 0 : 1, 0]);
  }
  loop.addIdle(() => {
    loop.quit();
    return false;
  });
  await loop.run();
});

test("what a source throws comes out of run(), and the source is let go of", async (loop) => {
  const thrown = new Error("on purpose");
  let gone = 0;
  loop.addIdle(() => {
    throw thrown;
  }, () => gone++);
  assertStrictEquals(await assertRejects(() => loop.run()), thrown);
  assertEquals([gone, loop.size], [1, 0]);
});

test("a loop that runs is neither run again nor disposed of", async (loop) => {
  const running = loop.run();
  await assertRejects(() => loop.run(), Error, "The loop is running");
  assertThrows(() => loop[Symbol.dispose](), Error, "quit it, and await run()");
  await sleep(5);
  loop.quit();
  await running;
});

testWith(library, "glib: several loops run at once, and dispose of what is left", async () => {
  const loops = Array.from({ length: 5 }, () => new example!.MainLoop());
  let gone = 0;
  await Promise.all(loops.map(async (loop, i) => {
    loop.addTimeout(60_000, () => false, () => gone++);
    loop.addTimeout(1 + i, async () => {
      await sleep(1);
      loop.quit();
      return false;
    });
    await loop.run();
  }));
  for (const loop of loops) loop[Symbol.dispose]();
  assertEquals(gone, 5);
});

testWith(library, "examples/glib.ts runs with --allow-ffi alone", async () => {
  const { code, stdout, stderr } = await run(["run", "--no-prompt", "--allow-ffi", file.href]);
  assertEquals([code, stderr], [0, ""]);
  // What the example says that it prints.
  const said = /```text\n([^]*?)```/.exec(await Deno.readTextFile(file))![1]!;
  assertEquals(stdout.trim(), said.replaceAll(/^ \* ?/gm, "").trim());
});
