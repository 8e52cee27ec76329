// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** The probe of `node:ffi`, which is part of Node.js since 26.1, as an experiment. */

import { createRequire } from "node:module";
import { direct, table } from "./direct.ts";
import { library, main, otherLibrary } from "./trial.ts";

const { dlopen, DynamicLibrary, getInt32 } = createRequire(import.meta.url)("node:ffi");
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
});

await main(direct({
  symbols: functions,
  callback: (handler) => lib.registerCallback(definition, handler),
  errnoOfThread: () => getInt32(functions.__errno_location()),
  open: (path) => new DynamicLibrary(path),
  grant: "`--allow-ffi` is for all",
}, otherLibrary));
