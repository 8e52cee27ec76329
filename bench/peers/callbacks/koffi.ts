// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** The probe of koffi, on Node.js. */

import { createRequire } from "node:module";
import { promisify } from "node:util";
import { direct, type Symbols } from "./direct.ts";
import { folder, library, main, otherLibrary } from "./trial.ts";

const koffi = createRequire(folder)("koffi");
// As much as it may be, which is to be said before any library is opened.
koffi.config({ sync_stack_size: 16 << 20 });
const opened = koffi.load(library);
const type = koffi.pointer(koffi.proto("int32_t Callback(int32_t)"));

const sum = opened.func("sum", "int32_t", ["int32_t", type]);
const visit = opened.func("visit", "int32_t", ["int32_t", type]);
const work = opened.func("work", "int32_t", ["int32_t", type]);

await main(direct({
  symbols: {
    sum,
    visit,
    work,
    seen_calls: opened.func("seen_calls", "int32_t", []),
    seen_answers: opened.func("seen_answers", "int32_t", []),
    seen_last: opened.func("seen_last", "int32_t", []),
    seen_pair: opened.func("seen_pair", "int32_t", []),
    seen_cleanups: opened.func("seen_cleanups", "int32_t", []),
    visit_and_release: opened.func("visit_and_release", "int32_t", ["int32_t", type, type]),
    guarded: opened.func("guarded", "int32_t", [type]),
    jump: opened.func("jump", "int32_t", []),
    fails: opened.func("fails", "int32_t", []),
    deep: opened.func("deep", "int32_t", ["int32_t"]),
    keep: opened.func("keep", "void", [type]),
    call_kept: opened.func("call_kept", "int32_t", ["int32_t"]),
    start_thread: opened.func("start_thread", "void", [type]),
    seen_thread_answer: opened.func("seen_thread_answer", "int32_t", []),
  },
  background: {
    sum: promisify(sum.async),
    visit: promisify(visit.async),
    work: promisify(work.async),
  } as Symbols<Promise<number>>,
  callback: (handler) => koffi.register(handler, type),
  structs() {
    const pair = koffi.struct("Pair", { x: "double", id: "int32_t" });
    const takesPair = koffi.pointer(koffi.proto("TakesPair", "int32_t", [pair]));
    const handler = ({ x, id }: { x: number; id: number }): number => id + 2 * x;
    const call = opened.func("call_struct", "int32_t", [takesPair]);
    return call(koffi.register(handler, takesPair));
  },
  layouts() {
    const pair = koffi.struct({ x: "double", id: "int32_t" });
    const place = opened.func("shared_pair", koffi.pointer(pair), [])();
    const { x, id } = koffi.decode(place, pair);
    koffi.encode(place, pair, { x: x + 0.5, id: id - 1 });
    return opened.func("seen_pair", "int32_t", [])();
  },
  bindings() {
    koffi.proto("int32_t callback(int32_t i)");
    return opened.func("int32_t sum(int32_t n, callback *f)")(5, (i: number) => i * 2);
  },
  bindingsAre: "from its prototypes, one by one",
  fixed() {
    const takes = koffi.pointer(koffi.proto("int32_t TakesThree(int32_t, int32_t, double)"));
    const handler = (n: number, a: number, b: number): number => n + a + b - 1.5;
    const call = opened.func("call_variadic", "int32_t", [takes]);
    return call(koffi.register(handler, takes));
  },
  variable: () => koffi.decode(opened.symbol("variable", "int32_t"), "int32_t"),
  errno: () => koffi.errno(),
  open: (path) => koffi.load(path),
  grant: "`--allow-addons` is for all",
}, otherLibrary));
