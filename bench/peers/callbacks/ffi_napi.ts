// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * The probe of ffi-napi, node-ffi's successor on npm. The package of that name does not build on
 * today's Node.js; @makeomatic's fork comes with binaries that still load.
 */

import { createRequire } from "node:module";
import { promisify } from "node:util";
import { direct, type Handler, table } from "./direct.ts";
import { folder, library, main, otherLibrary } from "./trial.ts";

const ffi = createRequire(folder)("@makeomatic/ffi-napi");
const ref = createRequire(folder)("@makeomatic/ref-napi");
const Struct = createRequire(folder)("ref-struct-di")(ref);
const pair = Struct({ x: "double", id: "int32" });
const called = ["int32", ["int32", "pointer"]];
const seen = ["int32", []];
const guarded = ["int32", ["pointer"]];
const released = ["int32", ["int32", "pointer", "pointer"]];
const given = ["void", ["pointer"]];

const symbols = ffi.Library(library, {
  ...table({ called, seen, given, kept: ["int32", ["int32"]], guarded, released }),
  call_variadic: guarded,
  call_struct: guarded,
  shared_pair: [ref.refType(pair), []],
});

/** A callback that is collected is gone for C, too. */
const callbacks: unknown[] = [];

await main(direct({
  symbols,
  background: {
    sum: promisify(symbols.sum.async),
    visit: promisify(symbols.visit.async),
    work: promisify(symbols.work.async),
  },
  callback(handler: Handler) {
    const callback = ffi.Callback("int32", ["int32"], handler);
    callbacks.push(callback);
    return callback;
  },
  structs() {
    const handler = ({ x, id }: { x: number; id: number }): number => id + 2 * x;
    const callback = ffi.Callback("int32", [pair], handler);
    callbacks.push(callback);
    return symbols.call_struct(callback);
  },
  layouts() {
    const shared = symbols.shared_pair().deref();
    shared.x += 0.5;
    shared.id -= 1;
    return symbols.seen_pair();
  },
  fixed() {
    const handler = (n: number, a: number, b: number): number => n + a + b - 1.5;
    const callback = ffi.Callback("int32", ["int32", "int32", "double"], handler);
    callbacks.push(callback);
    return symbols.call_variadic(callback);
  },
  variable() {
    const place = new ffi.DynamicLibrary(library).get("variable");
    place.type = ref.types.int32;
    return place.deref();
  },
  errno: () => ffi.errno(),
  open: (path) => ffi.Library(path, {}),
  grant: "`--allow-addons` is for all",
}, otherLibrary));
