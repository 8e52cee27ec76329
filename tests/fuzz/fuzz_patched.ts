// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * The process in which the language's own objects have been tampered with, `before` fringe was
 * imported or `after`. What is patched does as it did; but once, at each of its calls in turn, it
 * throws, or it calls fringe.
 *
 * @module
 */

import { gc, testBodies } from "../support/support.ts";

// deno-lint-ignore no-explicit-any -- what a program without types can do
type Any = any;

/** What a patch does when its turn has come. */
let act = (): void => {};
let countdown = Infinity;

function tick(): void {
  if (--countdown === 0) act();
}

const { apply, construct } = Reflect;

/** Has a function say when it is called. */
function patched(f: Any): Any {
  return new Proxy(f, {
    apply(f, self, args) {
      tick();
      return apply(f, self, args);
    },
    construct(f, args, target) {
      tick();
      return construct(f, args, target);
    },
  });
}

function patch(object: Any, key: PropertyKey): void {
  const descriptor = Object.getOwnPropertyDescriptor(object, key)!;
  for (const part of ["value", "get"] as const) {
    if (typeof descriptor[part] === "function") descriptor[part] = patched(descriptor[part]);
  }
  Object.defineProperty(object, key, descriptor);
}

const prototypeOf = Object.getPrototypeOf;
const typedArray = prototypeOf(Uint8Array.prototype);

/** All that is patched: what fringe uses, or might use. */
const PATCHES: readonly (readonly [object: Any, ...keys: PropertyKey[]])[] = [
  [Array.prototype, "push", "pop", "shift", "splice", "map", "entries", "includes", "reverse"],
  [Array.prototype, "keys", "values", "some", "every", Symbol.iterator],
  [prototypeOf([].values()), "next"],
  [Set.prototype, "add", "delete", "has", "clear", "keys", "values", Symbol.iterator],
  [prototypeOf(new Set().values()), "next"],
  [Map.prototype, "get", "set", "has", "keys", "values", "entries", Symbol.iterator],
  [prototypeOf(new Map().values()), "next"],
  [WeakMap.prototype, "get", "set", "has"],
  [WeakRef.prototype, "deref"],
  [FinalizationRegistry.prototype, "register", "unregister"],
  [Iterator.prototype, "some", "map", "filter", Symbol.iterator],
  [prototypeOf(function* () {}.prototype), "next", "return", "throw"],
  [Promise.prototype, "then", "catch", "finally"],
  [Promise, "resolve", "withResolvers", Symbol.species],
  [DataView.prototype, "getInt32", "setInt32", "getUint32", "setUint32", "getBigUint64"],
  [DataView.prototype, "setBigUint64", "getFloat64", "setFloat64", "getUint8", "byteLength"],
  [DataView.prototype, "getBigInt64", "setBigInt64"],
  [typedArray, "subarray", "buffer", "byteLength", "byteOffset", "length", "includes"],
  [typedArray, Symbol.toStringTag],
  [prototypeOf(Uint8Array), Symbol.species],
  [ArrayBuffer.prototype, "detached", "resizable", "byteLength"],
  [SharedArrayBuffer.prototype, "byteLength"],
  [ArrayBuffer, "isView", Symbol.species],
  [Object, "keys", "entries", "values", "fromEntries", "freeze", "hasOwn", "create"],
  [Object, "defineProperty", "assign", "getPrototypeOf"],
  [Object.prototype, "toString", "isPrototypeOf"],
  [Function.prototype, "call", "apply", "bind"],
  [Number, "isInteger", "isSafeInteger"],
  [Math, "ceil"],
  [String.prototype, "includes", "slice"],
  [BigInt, "asUintN", "asIntN"],
  [JSON, "stringify"],
  [TextEncoder.prototype, "encode", "encodeInto"],
  [TextDecoder.prototype, "decode"],
  [AbortSignal, "any"],
  [AbortSignal.prototype, "throwIfAborted", "aborted", "reason"],
  [EventTarget.prototype, "addEventListener", "removeEventListener"],
  [globalThis, "structuredClone", "BigInt", "Uint8Array", "ArrayBuffer", "DataView"],
  [globalThis, "BigUint64Array", "Int32Array", "Set", "Map", "WeakRef", "Promise", "String"],
];

/** Keys that objects of the program's might be asked for, as accessors that all inherit. */
const INHERITED = [
  ...["then", "signal", "stop", "name", "nonblocking", "variadic", "callback", "cause"],
  ...["fault", "shareable", "done"],
];

function inherit(): void {
  for (const key of INHERITED) {
    Object.defineProperty(Object.prototype, key, {
      configurable: true,
      get: tick,
      set(value) {
        tick();
        Object.defineProperty(this, key, {
          value,
          writable: true,
          enumerable: true,
          configurable: true,
        });
      },
    });
  }
}

function tamper(): void {
  inherit();
  for (const [object, ...keys] of PATCHES) for (const key of keys) patch(object, key);
}

// Where `then` itself throws, nobody can hear of what was rejected, nor wait for a call elsewhere.
addEventListener("unhandledrejection", (event) => event.preventDefault());
addEventListener("error", (event) => event.preventDefault());

const [when] = Deno.args;
if (when === "before") tamper();
const fringe = await import("../../mod.ts");
if (when === "after") tamper();
const { Callback, dlopen, Generator, OsStack, OwnedStack, PointerView, SliceStack } = fringe;
const { pointerTo, StackPool, struct } = fringe;

const i32Callback = { callback: { parameters: ["i32"], result: "i32" } };
const passed = (type: string) => ({
  name: "call_pointer",
  parameters: [{ callback: { parameters: [type], result: type } }, type],
  result: type,
});
const DEFINITIONS: Any = {
  echo_i32: { input: "i32", output: "i32" },
  echo_i64: { input: "i64", output: "i64" },
  echo_f64: { input: "f64", output: "f64" },
  echo_pointer: { input: "pointer", output: "pointer" },
  counts_f64: { input: "void", output: "f64" },
  has_destructor: { input: "void", output: "i32" },
  call_n: { parameters: ["i32", i32Callback], result: "i32" },
  pass_string: passed("cstring"),
  pass_pointer: passed("pointer"),
  sum_buffer: { parameters: ["buffer", "usize"], result: "u64" },
  keep: { parameters: ["function"], result: "void" },
  call_kept: { parameters: ["i32"], result: "i32" },
};
const ELSEWHERE: Any = {
  call_n: { parameters: ["i32", i32Callback], result: "i32", nonblocking: true },
  sum_buffer: { parameters: ["buffer", "usize"], result: "u64", nonblocking: true },
};

/** What is open while a step is made. */
interface Open {
  readonly library: Any;
  readonly elsewhere: Any;
  readonly symbols: Any;
}

class Hostile extends Error {}

/** What is done with fringe; each gives what it always gives, or throws. */
const STEPS: Readonly<Record<string, (open: Open) => unknown>> = {
  dlopen: () => dlopen(testBodies, DEFINITIONS).close(),
  callSync: ({ symbols }) => symbols.call_n(4, (i: number) => i),
  callString: ({ symbols }) => symbols.pass_string((text: string) => text + "!", "text".repeat(9)),
  callBuffer: ({ symbols }) => symbols.sum_buffer(Uint8Array.of(1, 2), 2),
  callPointer: ({ symbols }) => symbols.pass_pointer((pointer: unknown) => pointer, null),
  callAsync: ({ symbols }) =>
    symbols.call_n.async(4, async (i: number) => (await null, i), {
      signal: new AbortController().signal,
    }),
  callElsewhere: ({ elsewhere }) => elsewhere.symbols.call_n(4, (i: number) => i),
  bufferElsewhere: ({ elsewhere }) => elsewhere.symbols.sum_buffer(new Uint8Array(99).fill(1), 99),
  refusedElsewhere: ({ elsewhere }) => elsewhere.symbols.call_n("4", (i: number) => i),
  pulled: ({ symbols }) => {
    for (const { args, reply } of symbols.call_n.calls(3)) reply(args[0]);
  },
  pooled: ({ symbols }) => {
    using pool = new StackPool({ size: 16 * 1024 });
    using first: Any = new Generator(pool.take(), symbols.echo_i32);
    using second: Any = new Generator(pool.take(), symbols.has_destructor);
    second.resume();
    return [first.resume(1), first.resume(2)];
  },
  native: ({ symbols }) => {
    using generator: Any = new Generator(new OsStack(), symbols.has_destructor);
    return [generator.resume(), generator.next(), generator.return()];
  },
  types: ({ symbols }) =>
    [[symbols.echo_i64, 1n], [symbols.echo_f64, 0.5], [symbols.echo_pointer, null]].map(
      ([body, value]: Any) => {
        using generator: Any = new Generator(new OsStack(), body);
        return [generator.resume(value), generator.resume(value), generator.next(value)];
      },
    ),
  fill: ({ symbols }) => {
    using generator: Any = new Generator(new OsStack(), symbols.counts_f64);
    return [generator.resume(), generator.fill(new Float64Array(3))];
  },
  script: ({ symbols }) => {
    using generator: Any = Generator.unguarded(
      new OwnedStack(64 * 1024),
      function* (yielder: Any): Any {
        return yield* yielder.call(symbols.call_n, 2, function* (i: number): Any {
          return (yield i) as unknown;
        });
      },
    );
    return [generator.next(), generator.next(1), generator.next(2)];
  },
  slice: ({ symbols }) => {
    using generator: Any = Generator.unguarded(
      new SliceStack(new Uint8Array(64 * 1024)),
      symbols.echo_i32,
    );
    return [generator.resume(1), generator.resume(-0)];
  },
  callback: ({ symbols }) => {
    using callback: Any = new Callback({ parameters: ["i32"], result: "i32" }, (i: Any) => i * 2);
    symbols.keep(callback);
    return symbols.call_kept(21);
  },
  view: () => {
    const view = PointerView.of(new Uint8Array(16));
    view.setPointer(0, view.pointer);
    view.setFloat64(8, 1);
    return [new PointerView(view.getPointer()!).getFloat64(8), view.getCString(8)];
  },
  memory: () => {
    using memory = PointerView.allocate(32);
    memory.setCString(4, "ab", "utf-16");
    memory.setPointer(16, memory.pointer);
    const far = new PointerView(memory.add(4).pointer);
    return [far.getCString(0, "utf-16"), far.getBytes(), memory.getPointers(16).length];
  },
  struct: () => {
    const point = struct({ x: "i32", y: "i16" });
    const layout: Any = struct({ text: "cstring", points: [point, 2], to: pointerTo(point) });
    const bytes = new Uint8Array(layout.size);
    const view = layout.view(bytes);
    view.text = "abc";
    view.points = [{ x: 1 }, { x: 2, y: 3 }];
    view.to = view.points[1];
    using memory = PointerView.allocate(layout.size);
    memory.copyFrom(bytes);
    const { text, points, to } = layout.read(memory.pointer);
    return [text, points[0].x, view.points[1].y, to.x, [...view.points].length];
  },
};

const ACTS: Readonly<Record<string, (open: Open) => void>> = {
  throw: () => {
    throw new Hostile("a patch");
  },
  call: ({ symbols, elsewhere }) => {
    symbols.call_n(2, (i: number) => i);
    elsewhere.symbols.call_n("2", (i: number) => i).catch(() => {});
    symbols.call_n.calls(2).next();
    using generator: Any = new Generator(new OsStack(), symbols.echo_i32);
    generator.resume(1);
  },
};

/** Makes a step; `at` says at which call of something that is patched `act` is done. */
async function make(name: string, at: number, what: string): Promise<boolean> {
  const library: Any = dlopen(testBodies, DEFINITIONS);
  const elsewhere: Any = dlopen(testBodies, ELSEWHERE);
  const open: Open = { library, elsewhere, symbols: library.symbols };
  act = () => ACTS[what]!(open);
  countdown = at;
  let result;
  try {
    result = STEPS[name]!(open);
    if (result instanceof Promise) await result;
  } catch {
    // Whatever it is: the language is not what it was.
  }
  const reached = countdown <= 0;
  countdown = Infinity;
  library.close();
  // A call may still be running there, where nobody has awaited it.
  for (let i = 0; i < 100; i++) {
    try {
      elsewhere.close();
      break;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }
  return reached;
}

const write = Deno.stdout.writeSync.bind(Deno.stdout);
const encoder = new TextEncoder();

/** More than a step makes, unless it goes through what others have left. */
const CALLS_MAX = 300;

async function makeAll(): Promise<number> {
  let count = 0;
  for (const name of Object.keys(STEPS)) {
    for (const what of Object.keys(ACTS)) {
      for (let at = 1; at <= CALLS_MAX; at++) {
        write(encoder.encode(`${when}: ${what} at call ${at} in ${name}\n`));
        count++;
        if (!await make(name, at, what)) break;
      }
    }
    gc();
  }
  return count;
}

let count = 0;
try {
  count = await makeAll();
} catch (error) {
  console.log(error);
  Deno.exit(1);
}
// After all that it does what it always did.
using library: Any = dlopen(testBodies, DEFINITIONS);
const sum = library.symbols.call_n(4, (i: number) => i);
console.log(JSON.stringify({ count, problems: sum === 6 ? [] : [`call_n(4) gave ${sum}`] }));
// What is left of the calls that could not be awaited is nobody's business.
Deno.exit(0);
