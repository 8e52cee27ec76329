// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

// GLib's main loop calls a source: on a thread of its own, where the source may await, and with
// Deno.UnsafeCallback on a thread of Deno's pool, where it may not.

import { Callback, dlopen } from "fringe";
import { howToInstall, isInstalled } from "../tools/packages.ts";
import { bench, smoke, sumBelow } from "./setup.ts";

const library = "libglib-2.0.so.0";

/** Each call of a source is a turn of the event loop, so few make a sample. */
const FEW = smoke ? 10 : 200;

const source = { parameters: ["pointer"], result: "i32" } as const;

/** What both ways call. */
const definitions = {
  g_main_context_new: { parameters: [], result: "pointer" },
  g_main_loop_new: { parameters: ["pointer", "i32"], result: "pointer" },
  g_main_loop_quit: { parameters: ["pointer"], result: "void" },
  g_idle_source_new: { parameters: [], result: "pointer" },
  g_source_set_callback: {
    parameters: ["pointer", "function", "pointer", "function"],
    result: "void",
  },
  g_source_attach: { parameters: ["pointer", "pointer"], result: "u32" },
  g_source_unref: { parameters: ["pointer"], result: "void" },
} as const;
const run = { parameters: ["pointer"], result: "void" } as const;

if (isInstalled(library)) measure();
else console.error(`Not measured: ${howToInstall(library)}`);

function measure(): void {
  const { symbols: glib } = Deno.dlopen(library, {
    ...definitions,
    g_main_loop_run: { ...run, nonblocking: true },
  });
  const { g_main_loop_run } =
    dlopen(library, { g_main_loop_run: { ...run, nonblocking: "thread" } }).symbols;

  /** A loop whose source is called `FEW` times in each run. */
  const benchLoop = (
    name: string,
    makePointer: (handler: () => number) => Deno.PointerValue,
    runLoop: (loop: Deno.PointerValue) => Promise<unknown>,
  ): void => {
    const context = glib.g_main_context_new();
    const loop = glib.g_main_loop_new(context, 0);
    let [calls, sum] = [0, 0];
    const pointer = makePointer(() => {
      sum += calls++;
      if (calls < FEW) return 1;
      glib.g_main_loop_quit(loop);
      return 0;
    });
    bench(
      "GLib source",
      `GLib source, ${name}`,
      async () => {
        [calls, sum] = [0, 0];
        const idle = glib.g_idle_source_new();
        glib.g_source_set_callback(idle, pointer, null, null);
        glib.g_source_attach(idle, context);
        glib.g_source_unref(idle);
        await runLoop(loop);
        return sum;
      },
      sumBelow(FEW),
      FEW,
    );
  };

  benchLoop(
    "suspended callback",
    (handler) => new Callback(source, handler).pointer,
    async (loop) => await g_main_loop_run(loop),
  );
  benchLoop(
    "Deno.UnsafeCallback",
    (handler) => new Deno.UnsafeCallback(source, handler).pointer,
    async (loop) => await glib.g_main_loop_run(loop),
  );
}
