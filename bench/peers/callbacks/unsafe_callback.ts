// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** The probe of `Deno.UnsafeCallback`. */

import { direct, type Handler, table } from "./direct.ts";
import { library, main, otherLibrary } from "./trial.ts";

const definition = { parameters: ["i32"], result: "i32" } as const;
const called = { parameters: ["i32", "function"], result: "i32" } as const;
const seen = { parameters: [], result: "i32" } as const;
const guarded = { parameters: ["function"], result: "i32" } as const;
const released = { parameters: ["i32", "function", "function"], result: "i32" } as const;
const given = { parameters: ["function"], result: "void" } as const;

const { symbols } = Deno.dlopen(library, {
  ...table({ called, seen, given, kept: definition, guarded, released }),
  // Of libc, which the library is linked with.
  __errno_location: { parameters: [], result: "pointer" },
  call_struct: guarded,
  call_variadic: guarded,
  shared_pair: { parameters: [], result: "pointer" },
  variable: { type: "i32" },
  background_sum: { ...called, name: "sum", nonblocking: true },
  background_visit: { ...called, name: "visit", nonblocking: true },
  background_work: { ...called, name: "work", nonblocking: true },
});

const pointer = (value: unknown): Deno.PointerValue => value as Deno.PointerValue;

await main(direct({
  symbols: {
    ...symbols,
    sum: (n, callback) => symbols.sum(n, pointer(callback)),
    visit: (n, callback) => symbols.visit(n, pointer(callback)),
    work: (n, callback) => symbols.work(n, pointer(callback)),
    visit_and_release: (n, callback, release) =>
      symbols.visit_and_release(n, pointer(callback), pointer(release)),
    guarded: (callback) => symbols.guarded(pointer(callback)),
    keep: (callback) => symbols.keep(pointer(callback)),
    start_thread: (callback) => symbols.start_thread(pointer(callback)),
  },
  background: {
    sum: (n, callback) => symbols.background_sum(n, pointer(callback)),
    visit: (n, callback) => symbols.background_visit(n, pointer(callback)),
    work: (n, callback) => symbols.background_work(n, pointer(callback)),
  },
  callback(handler: Handler, anyThread = false) {
    const typed = handler as (i: number) => number;
    return anyThread
      ? Deno.UnsafeCallback.threadSafe(definition, typed).pointer
      : new Deno.UnsafeCallback(definition, typed).pointer;
  },
  structs() {
    const pair = { struct: ["f64", "i32"] } as const;
    const callback = new Deno.UnsafeCallback({ parameters: [pair], result: "i32" }, (bytes) => {
      const view = new DataView(bytes.buffer, bytes.byteOffset);
      return view.getInt32(8, true) + 2 * view.getFloat64(0, true);
    });
    return symbols.call_struct(callback.pointer);
  },
  structsAre: "as bytes",
  layouts() {
    const bytes = Deno.UnsafePointerView.getArrayBuffer(symbols.shared_pair()!, 16);
    const view = new DataView(bytes);
    view.setFloat64(0, view.getFloat64(0, true) + 0.5, true);
    view.setInt32(8, view.getInt32(8, true) - 1, true);
    return symbols.seen_pair();
  },
  layoutsAre: "by offsets, counted by hand",
  fixed() {
    const types = { parameters: ["i32", "i32", "f64"], result: "i32" } as const;
    const callback = new Deno.UnsafeCallback(types, (n, a, b) => n + a + b - 1.5);
    return symbols.call_variadic(callback.pointer);
  },
  variable: () => symbols.variable,
  errnoOfThread: () => new Deno.UnsafePointerView(symbols.__errno_location()!).getInt32(),
  open: (path) => Deno.dlopen(path, {}),
  grant: "`--allow-ffi` must be for all",
}, otherLibrary));
