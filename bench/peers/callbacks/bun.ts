// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** The probe of `bun:ffi`, on Bun. */

import { createRequire } from "node:module";
import { direct, type Handler, table } from "./direct.ts";
import { library, main, otherLibrary } from "./trial.ts";

const { dlopen, JSCallback, read, toArrayBuffer } = createRequire(import.meta.url)("bun:ffi");
const definition = { args: ["i32"], returns: "i32" };
const called = { args: ["i32", "function"], returns: "i32" };
const seen = { args: [], returns: "i32" };
const guarded = { args: ["function"], returns: "i32" };
const released = { args: ["i32", "function", "function"], returns: "i32" };
const location = { args: [], returns: "ptr" };
const given = { args: ["function"], returns: "void" };

const { symbols } = dlopen(library, {
  ...table({ called, seen, given, kept: definition, guarded, released }),
  __errno_location: location,
  shared_pair: location,
  call_variadic: guarded,
});

await main(direct({
  symbols,
  callback(handler: Handler, anyThread = false) {
    return new JSCallback(handler, { ...definition, threadsafe: anyThread }).ptr;
  },
  layouts() {
    const view = new DataView(toArrayBuffer(symbols.shared_pair(), 0, 16));
    view.setFloat64(0, view.getFloat64(0, true) + 0.5, true);
    view.setInt32(8, view.getInt32(8, true) - 1, true);
    return symbols.seen_pair();
  },
  layoutsAre: "by offsets, counted by hand",
  fixed() {
    const types = { args: ["i32", "i32", "f64"], returns: "i32" };
    const handler = (n: number, a: number, b: number): number => n + a + b - 1.5;
    return symbols.call_variadic(new JSCallback(handler, types).ptr);
  },
  variable: () =>
    read.i32(dlopen(library, { variable: { args: [], returns: "i32" } }).symbols.variable.ptr),
  errnoOfThread: () => read.i32(symbols.__errno_location()),
  open: (path) => dlopen(path, { cos: { args: ["f64"], returns: "f64" } }),
  grant: "Bun has no permissions",
}, otherLibrary));
