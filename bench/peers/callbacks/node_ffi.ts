// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** The probe of `node:ffi`, which is part of Node.js since 26.1, as an experiment. */

import { createRequire } from "node:module";
import { direct, table } from "./direct.ts";
import { library, main, otherLibrary } from "./trial.ts";

const { dlopen, DynamicLibrary, getFloat64, getInt32, setFloat64, setInt32 } = createRequire(
  import.meta.url,
)("node:ffi");
const definition = { arguments: ["i32"], return: "i32" };
const called = { arguments: ["i32", "function"], return: "i32" };
const seen = { arguments: [], return: "i32" };
const guarded = { arguments: ["function"], return: "i32" };
const released = { arguments: ["i32", "function", "function"], return: "i32" };
const location = { arguments: [], return: "pointer" };
const given = { arguments: ["function"], return: "void" };

const { lib, functions } = dlopen(library, {
  ...table({ called, seen, given, kept: definition, guarded, released }),
  __errno_location: location,
  shared_pair: location,
  call_variadic: guarded,
});

await main(direct({
  symbols: functions,
  callback: (handler) => lib.registerCallback(definition, handler),
  layouts() {
    const place = functions.shared_pair();
    setFloat64(place, 0, getFloat64(place, 0) + 0.5);
    setInt32(place, 8, getInt32(place, 8) - 1);
    return functions.seen_pair();
  },
  layoutsAre: "by offsets, counted by hand",
  fixed() {
    const types = { arguments: ["i32", "i32", "f64"], return: "i32" };
    const handler = (n: number, a: number, b: number): number => n + a + b - 1.5;
    return functions.call_variadic(lib.registerCallback(types, handler));
  },
  variable: () => getInt32(lib.getSymbol("variable")),
  errnoOfThread: () => getInt32(functions.__errno_location()),
  open: (path) => new DynamicLibrary(path),
  grant: "`--allow-ffi` is for all",
}, otherLibrary));
