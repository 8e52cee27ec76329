// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * GLib's main loop beside Deno's: it has a thread of its own, and its sources are TypeScript, which
 * may await. While one does, GLib's loop waits, and Deno's goes on.
 *
 * ```sh
 * deno run --allow-ffi examples/glib.ts
 * ```
 *
 * It prints
 *
 * ```text
 * 1. Sources that await
 *    "slow" has awaited a timer of Deno's, 3 times
 *    "idle" has run once
 *    a timer of Deno's has ticked meanwhile
 *
 * 2. A loop that is ended by a signal
 *    AbortError: enough
 *    the source that waited has been let go of: 1 of 2, 1 is left
 *
 * 3. A source that throws
 *    Error: there is no such thing
 *    and the loop runs again: done
 * ```
 *
 * @module
 */

import { Callback, dlopen } from "fringe";

/** `gboolean (*GSourceFunc)(gpointer)`: whether the source is to be called again. */
const sourceFunction = { parameters: ["pointer"], result: "i32" } as const;
/** `void (*GDestroyNotify)(gpointer)`: the source is gone. */
const destroyNotify = { parameters: ["pointer"], result: "void" } as const;

const AGAIN = 1;
const REMOVE = 0;
/** `G_PRIORITY_DEFAULT`, `G_PRIORITY_DEFAULT_IDLE` */
const DEFAULT = 0;
const IDLE = 200;

const glib = dlopen("libglib-2.0.so.0", {
  // GMainContext *g_main_context_new(void)
  g_main_context_new: { parameters: [], result: "pointer" },
  g_main_context_unref: { parameters: ["pointer"], result: "void" },
  // GMainLoop *g_main_loop_new(GMainContext *, gboolean is_running)
  g_main_loop_new: { parameters: ["pointer", "i32"], result: "pointer" },
  g_main_loop_unref: { parameters: ["pointer"], result: "void" },
  // void g_main_loop_run(GMainLoop *): the context belongs to the thread that runs it, from the
  // beginning of the call to its end
  g_main_loop_run: { parameters: ["pointer"], result: "void", nonblocking: "thread" },
  g_main_loop_quit: { parameters: ["pointer"], result: "void" },
  // GSource *g_timeout_source_new(guint milliseconds), g_idle_source_new(void)
  g_timeout_source_new: { parameters: ["u32"], result: "pointer" },
  g_idle_source_new: { parameters: [], result: "pointer" },
  g_source_set_priority: { parameters: ["pointer", "i32"], result: "void" },
  // void g_source_set_callback(GSource *, GSourceFunc, gpointer data, GDestroyNotify)
  g_source_set_callback: {
    parameters: ["pointer", "function", "pointer", "function"],
    result: "void",
  },
  // guint g_source_attach(GSource *, GMainContext *): any thread may do so
  g_source_attach: { parameters: ["pointer", "pointer"], result: "u32" },
  g_source_destroy: { parameters: ["pointer"], result: "void" },
  g_source_unref: { parameters: ["pointer"], result: "void" },
}).symbols;

/** A source: whether it is to be called again, as soon as that is known. */
export type Source = () => boolean | Promise<boolean>;

/** GLib's main loop, with a context of its own. */
export class MainLoop implements Disposable {
  readonly #context: Deno.PointerObject;
  readonly #loop: Deno.PointerObject;
  readonly #sources = new Map<Deno.PointerObject, Disposable>();
  #isRunning = false;

  constructor() {
    this.#context = glib.g_main_context_new()!;
    this.#loop = glib.g_main_loop_new(this.#context, 0)!;
  }

  /** How many sources there are. */
  get size(): number {
    return this.#sources.size;
  }

  /** Calls `source` every so many milliseconds, until it says that it is enough. */
  addTimeout(milliseconds: number, source: Source, gone?: () => void): void {
    this.#add(glib.g_timeout_source_new(milliseconds)!, DEFAULT, source, gone);
  }

  /** Calls `source` when nothing else is to be done, until it says that it is enough. */
  addIdle(source: Source, gone?: () => void): void {
    this.#add(glib.g_idle_source_new()!, IDLE, source, gone);
  }

  /** `gone` is called when GLib lets go of the source, whoever has ended it. */
  #add(handle: Deno.PointerObject, priority: number, source: Source, gone?: () => void): void {
    const isAgain = async () => await source() ? AGAIN : REMOVE;
    // The loop is being ended while this source waits: it is told to quit, and the source to go.
    const stop = () => {
      this.quit();
      return REMOVE;
    };
    const callback = new Callback({ ...sourceFunction, stop }, isAgain);
    const release = () => {
      this.#sources.delete(handle);
      callback.close();
      // GLib still runs this one.
      queueMicrotask(() => destroyed.close());
      gone?.();
    };
    // GLib lets go of sources also while the loop is being ended: then the stop is what is asked.
    const destroyed = new Callback({ ...destroyNotify, stop: release }, release);
    this.#sources.set(handle, callback);
    glib.g_source_set_priority(handle, priority);
    glib.g_source_set_callback(handle, callback, null, destroyed);
    glib.g_source_attach(handle, this.#context);
    glib.g_source_unref(handle);
  }

  /**
   * Runs the loop until `quit` is called. When the signal is aborted, or a source throws, the loop
   * ends by itself, and the Promise is rejected.
   */
  async run(options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    if (this.#isRunning) throw new Error("The loop is running");
    this.#isRunning = true;
    // While no source waits, nobody could tell C to stop: then the loop is quit.
    const quit = () => this.quit();
    options.signal?.addEventListener("abort", quit, { once: true });
    try {
      await glib.g_main_loop_run.async(this.#loop, { signal: options.signal });
      options.signal?.throwIfAborted();
    } finally {
      options.signal?.removeEventListener("abort", quit);
      this.#isRunning = false;
    }
  }

  /** Ends the loop, when the source that runs has come back. */
  quit(): void {
    glib.g_main_loop_quit(this.#loop);
  }

  /** Ends all sources, and frees the loop, which must not be running. */
  [Symbol.dispose](): void {
    if (this.#isRunning) throw new Error("The loop is running: quit it, and await run()");
    for (const handle of [...this.#sources.keys()]) glib.g_source_destroy(handle);
    glib.g_main_loop_unref(this.#loop);
    glib.g_main_context_unref(this.#context);
  }
}

const sleep = (milliseconds: number) =>
  new Promise<void>((resolve) => setTimeout(resolve, milliseconds));

async function awaiting(): Promise<void> {
  console.log("1. Sources that await");
  using loop = new MainLoop();
  let ticks = 0;
  const timer = setInterval(() => ticks++, 1);
  let times = 0;
  loop.addTimeout(20, async () => {
    await sleep(5);
    if (++times < 3) return true;
    loop.quit();
    return false;
  });
  let idle = 0;
  loop.addIdle(() => ++idle < 1);
  await loop.run();
  clearInterval(timer);
  console.log(`   "slow" has awaited a timer of Deno's, ${times} times`);
  console.log(`   "idle" has run ${idle === 1 ? "once" : `${idle} times`}`);
  console.log(`   a timer of Deno's has ${ticks > 0 ? "ticked" : "not ticked"} meanwhile`);
}

async function aborted(): Promise<void> {
  console.log("\n2. A loop that is ended by a signal");
  using loop = new MainLoop();
  let gone = 0;
  const waiting = Promise.withResolvers<boolean>();
  loop.addTimeout(1, () => waiting.promise, () => gone++);
  loop.addTimeout(60_000, () => false, () => gone++);
  const controller = new AbortController();
  setTimeout(() => controller.abort(new DOMException("enough", "AbortError")), 10);
  const { signal } = controller;
  console.log(`   ${await loop.run({ signal }).catch((error: Error) => error)}`);
  console.log(`   the source that waited has been let go of: ${gone} of 2, ${loop.size} is left`);
}

async function failing(): Promise<void> {
  console.log("\n3. A source that throws");
  using loop = new MainLoop();
  loop.addIdle(() => {
    throw new Error("there is no such thing");
  });
  console.log(`   ${await loop.run().catch((error: Error) => error)}`);
  loop.addIdle(() => {
    loop.quit();
    return false;
  });
  await loop.run();
  console.log("   and the loop runs again: done");
}

if (import.meta.main) {
  await awaiting();
  await aborted();
  await failing();
}
