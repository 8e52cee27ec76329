// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * What a hostile program can do: values of every kind, objects of fringe's in every state, and what
 * getters, traps and handlers may do behind its back. `fuzz_child.ts` puts them together.
 *
 * @module
 */

import {
  Callback,
  dlopen,
  FringeError,
  Generator,
  OsStack,
  OwnedStack,
  PointerView,
  SliceStack,
  StackPool,
} from "../../mod.ts";
import { exampleBodies, gc, testBodies } from "../support/support.ts";

/** Something that only a program without types can have. */
// deno-lint-ignore no-explicit-any -- that is the point
export type Any = any;

/** What the fuzz itself throws. It may come out of fringe, as the very object. */
export class Hostile extends Error {}

/** How fringe's own messages begin. V8's begin with "Cannot", too, but go on in other ways. */
const OURS = new RegExp(
  "^Cannot (allocate|answer|call|close|copy|dispose of|end|fill|find|go on with|make|map|open|" +
    "reach|read(?= struct| union)|ref|resume|throw into|unref|unwrap|use|view|write) ",
);

/** What the engine and Deno say, where they are asked first and fringe has nothing to add. */
const OTHERS = [
  /^Cannot read private member #\w+ from an object whose class did not declare it$/,
  /^Receiver must be an instance of class \w+$/,
  /^Class constructor \w+ cannot be invoked without 'new'$/,
  /is not a constructor$/,
  /^Cannot (get|perform) '?\w+'? on a proxy that has been revoked$/,
  /^Generator is already running$/,
  /^The iterator does not provide a 'throw' method/,
  /^Maximum call stack size exceeded$/,
  // An object without a prototype is taken for a pointer at first.
  /^Invalid FFI pointer type, expected null, or External$/,
  /^(Could not open library|Failed to register symbol|Must be a file URL)/,
];

/** Says what is wrong with an error; undefined if it is as it should be. */
function fault(error: unknown): string | undefined {
  if (error instanceof Hostile) return undefined;
  if (error instanceof DOMException && error.name === "AbortError") return undefined;
  if (error instanceof Error) {
    const { message } = error;
    const isOfOurs = [TypeError, RangeError, Error, FringeError].includes(error.constructor as Any);
    if (isOfOurs && OURS.test(message)) return undefined;
    if (OTHERS.some((pattern) => pattern.test(message))) return undefined;
    return `${error.constructor.name}: ${message}\n${error.stack}`;
  }
  return `something else than an error was thrown: ${Deno.inspect(error)}`;
}

const i32Callback = { callback: { parameters: ["i32"], result: "i32" } } as const;
const stopped = { callback: { parameters: ["i32"], result: "i32", stop: 7 } } as const;

/** What C does in a sequence; with bodies that come to an end, and ones that have cleanups. */
const DEFINITIONS = {
  echo_i32: { input: "i32", output: "i32" },
  echo_u32: { input: "u32", output: "u32" },
  echo_pointer: { input: "pointer", output: "pointer" },
  has_destructor: { input: "void", output: "i32" },
  suspends_in_cleanup: { input: "void", output: "i32" },
  never_suspends: { input: "i32", output: "i32" },
  call_n: { parameters: ["i32", i32Callback], result: "i32" },
  two_callbacks: { parameters: [i32Callback, i32Callback], result: "i32" },
  ask_three: { parameters: [stopped], result: "i32" },
  with_destructor: { parameters: [i32Callback], result: "i32" },
  calls_in_cleanup: { parameters: [i32Callback], result: "i32" },
  call_void: { parameters: [{ callback: { parameters: [], result: "void" } }], result: "void" },
  pass_string: {
    name: "call_pointer",
    parameters: [{ callback: { parameters: ["cstring"], result: "cstring" } }, "cstring"],
    result: "cstring",
  },
  pass_buffers: {
    name: "call_pointer",
    parameters: [{ callback: { parameters: ["pointer"], result: "buffer" } }, "buffer"],
    result: "pointer",
  },
  add_six: { parameters: ["i8", "u16", "i32", "u32", "i64", "u64"], result: "i64" },
  half: {
    parameters: [{ callback: { parameters: ["f32"], result: "f32" } }, "f32"],
    result: "f32",
  },
  call_bool: {
    parameters: [{ callback: { parameters: ["bool"], result: "bool" } }],
    result: "bool",
  },
  keep: { parameters: ["function"], result: "void" },
  call_kept: { parameters: ["i32"], result: "i32" },
} as const;

/** The same on other threads. They pin their library, so it is another than that of the above. */
const ELSEWHERE = {
  call_n: { parameters: ["i32", i32Callback], result: "i32", nonblocking: true },
  ask_three: { parameters: [stopped], result: "i32", nonblocking: true },
  pass_buffers: { ...DEFINITIONS.pass_buffers, nonblocking: true },
  pass_string: { ...DEFINITIONS.pass_string, nonblocking: true },
} as const;

/** A good argument for each parameter of the functions above: `i` counts those passed. */
function argument(type: unknown, world: World): unknown {
  if (typeof type === "object") return (x: unknown) => x;
  if (type === "buffer") return world.buffer();
  if (type === "cstring") return "text";
  return type === "function" ? world.callback() : 2;
}

/**
 * Where the library is that nothing pins, so that it is unmapped whenever it is closed. Who has
 * started this process removes it, who knows better when that has ended.
 */
export const unpinned = await Deno.makeTempFile({ prefix: "fringe-fuzz-", suffix: ".so" });
await Deno.copyFile(testBodies, unpinned);

/** How large the stacks of the fuzz are: a few that are lost show in the size of the process. */
const STACK_SIZE = 64 * 1024 * 1024;

/** Everything that a hostile program has got hold of. */
export class World {
  readonly libraries: Any[] = [];
  readonly stacks: Any[] = [];
  readonly generators: Any[] = [];
  /** What `yielder.call()` has given. */
  readonly raw: Any[] = [];
  readonly yielders: Any[] = [];
  /** What has been pulled. */
  readonly calls: Any[] = [];
  readonly callbacks: Any[] = [];
  readonly controllers: AbortController[] = [];
  readonly gates: PromiseWithResolvers<unknown>[] = [];
  readonly buffers: Any[] = [];
  /** What went wrong. */
  readonly problems: string[] = [];
  /** How many times it has done something, whoever asked for it. */
  turns = 0;
  #library: Any;
  #values: readonly unknown[] | undefined;
  #pending: Promise<unknown>[] = [];
  #depth = 0;
  #isEnding = false;

  /** A value of each kind, by what it is. */
  values(): Readonly<Record<string, unknown>> {
    const values = {
      ...primitives,
      ...functions(this),
      ...objects(this),
      ...buffers(this),
      ...ours(this),
    };
    this.#values = Object.values(values);
    return values;
  }

  /** A library that is open. */
  library(): Any {
    try {
      this.#library.symbols.add_six(1, 2, 3, 4, 5, 6);
    } catch {
      // Somebody has closed it, or there is none yet.
      this.libraries.push(this.#library = dlopen(unpinned, DEFINITIONS));
    }
    return this.#library;
  }

  /** One that stays loaded, as does any whose function C has got the address of. */
  pinned(): Any {
    const library = dlopen(testBodies, DEFINITIONS);
    this.libraries.push(library);
    return library;
  }

  elsewhere(): Any {
    const library = dlopen(testBodies, ELSEWHERE);
    this.libraries.push(library);
    return library;
  }

  /** A native body that comes to an end, as whoever takes all of it wants it to. */
  counting(): Any {
    const library = dlopen(exampleBodies, { count: { input: "void", output: "i32" } });
    this.libraries.push(library);
    return library.symbols.count;
  }

  stack(kind: number = 0): Any {
    const stack = kind % 4 === 0
      ? new OsStack(STACK_SIZE)
      : kind % 4 === 1
      ? new OwnedStack(64 * 1024)
      : kind % 4 === 2
      ? new SliceStack(this.buffer())
      : new StackPool({ size: STACK_SIZE }).take();
    this.stacks.push(stack);
    return stack;
  }

  buffer(): Uint8Array<ArrayBuffer> {
    const buffer = new Uint8Array(64 * 1024);
    this.buffers.push(buffer);
    return buffer;
  }

  /** Takes the memory of a buffer away. */
  detach(which: number): void {
    const buffer = this.buffers[which % (this.buffers.length || 1)]?.buffer;
    if (buffer?.maxByteLength > buffer?.byteLength) {
      // It is there again at once, but what was in it is not.
      buffer.resize(0);
      buffer.resize(4096);
    } else if (buffer !== undefined && !buffer.detached) {
      // Frames that were there are no more.
      new Uint8Array(buffer.transfer()).fill(0xcc);
    }
  }

  callback(handler: Any = (x: unknown) => x): Any {
    const callback = new Callback({ parameters: ["i32"], result: "i32", stop: 3 }, handler);
    this.callbacks.push(callback);
    return callback;
  }

  /** A Promise that waits for somebody to settle it, unless all is to end. */
  gate(): unknown {
    if (this.#isEnding) return 1;
    const gate = Promise.withResolvers<unknown>();
    this.gates.push(gate);
    return gate.promise;
  }

  generator(stack: Any, body: Any): Any {
    const generator = Generator.unguarded(stack, body) as Any;
    this.generators.push(generator);
    return generator;
  }

  /** A body in TypeScript. */
  body(kind: number, value: unknown): Any {
    // deno-lint-ignore no-this-alias -- generator functions have a `this` of their own
    const world = this;
    const f = () => world.library().symbols.call_n;
    return [
      function* (): Any {
        yield* [1, 2, 3];
      },
      function* (yielder: Any): Any {
        return yield* yielder.call(f(), 2, function* (x: unknown) {
          yield x;
          return x;
        });
      },
      function* (yielder: Any): Any {
        world.yielders.push(yielder);
        world.raw.push(yielder.call(f(), 2, world.handler(world.turns, value)));
        yield 1;
        world.raw.at(-1)?.next();
        yield 2;
        throw new Hostile("body");
      },
      function* (): Any {
        try {
          yield value;
        } finally {
          world.mischief();
          yield 2;
        }
      },
      function* (): Any {
        world.mischief();
        try {
          yield 1;
        } catch {
          world.mischief();
          yield 2;
        }
      },
      function* (yielder: Any): Any {
        return yield* yielder.call(f(), 3, world.handler(world.turns, value));
      },
      function* (yielder: Any): Any {
        return yield* yielder.call(value, value);
      },
      value,
    ][kind % 8];
  }

  /** A handler. */
  handler(kind: number, value: unknown): Any {
    // deno-lint-ignore no-this-alias -- as above
    const world = this;
    return [
      (x: unknown) => x,
      () => value,
      (x: unknown) => (world.mischief(), x),
      () => {
        throw new Hostile("handler");
      },
      async (x: unknown) => (await null, world.mischief(), x),
      () => world.gate(),
      function* (x: unknown) {
        yield x;
        return x;
      },
      function* () {
        try {
          yield 1;
        } finally {
          world.mischief();
        }
        return value;
      },
      (x: unknown) => world.library().symbols.call_n(1, () => x),
      (x: unknown) => (world.raw.push(world.calls.at(-1)), world.mischief(), world.mischief(), x),
      world.callbacks.at(-1),
      value,
    ][kind % 12];
  }

  /** The arguments of a function of the library, or those with something wrong among them. */
  args(name: string, handler: Any, value: unknown, wrong: number): unknown[] {
    const { parameters } = DEFINITIONS[name as "call_n"];
    const args: unknown[] = parameters.map((type) => {
      const arg = argument(type, this);
      return typeof arg === "function" ? handler : arg;
    });
    // Half of the calls are right.
    if (wrong % 2 === 1) args[(wrong >> 1) % (args.length + 1)] = value;
    return args;
  }

  /** Does what is done behind fringe's back. */
  mischief(): void {
    // A handler that nobody has awaited may come here late.
    if (this.#depth > 2 || this.#isEnding) return;
    this.#depth++;
    const pick = (list: Any[]): Any => list[this.turns % (list.length || 1)];
    const acts: (() => unknown)[] = [
      () => pick(this.stacks)?.[Symbol.dispose](),
      () => pick(this.generators)?.next(),
      () => pick(this.generators)?.return(),
      () => pick(this.generators)?.[Symbol.dispose](),
      () => pick(this.generators)?.throw(new Hostile("mischief")),
      () => this.generator(pick(this.stacks), this.body(0, 0)).resume(),
      () => pick(this.libraries)?.close(),
      () => pick(this.callbacks)?.close(),
      () => pick(this.calls)?.reply(1),
      () => pick(this.raw)?.next?.(),
      () => pick(this.controllers)?.abort(new Hostile("aborted")),
      () => this.detach(this.turns),
      () => pick(this.gates)?.resolve(1),
      () => this.library().symbols.call_n(2, (x: unknown) => x),
      () => this.library().symbols.call_n("2", (x: unknown) => x),
      () => this.elsewhere().symbols.call_n("2", (x: unknown) => x),
      () => gc("minor"),
    ];
    this.attempt(acts[this.turns % acts.length]!);
    this.#depth--;
  }

  /** Does something that may be refused, with an error as it should be, or with the language's. */
  attempt(act: () => unknown, mayBeLanguages: boolean = false): unknown {
    this.turns++;
    try {
      const result = act();
      this.watch(result);
      return result;
    } catch (error) {
      this.blame(error, mayBeLanguages);
      return undefined;
    }
  }

  blame(error: unknown, mayBeLanguages: boolean = false): void {
    // What was passed may come out again.
    if (this.#values?.some((value) => Object.is(value, error))) return;
    if (mayBeLanguages && (error instanceof TypeError || error instanceof RangeError)) return;
    const wrong = fault(error);
    if (wrong !== undefined) this.problems.push(wrong);
  }

  /** Looks at how a Promise ends, if it is one. */
  watch(result: unknown): void {
    if (!(result instanceof Promise)) return;
    this.#pending.push(result.catch((error) => this.blame(error)));
  }

  /** Must be possible, or else it is a problem. */
  must(what: string, act: () => unknown): void {
    try {
      act();
    } catch (error) {
      this.problems.push(`${what}: ${(error as Error).stack ?? error}`);
    }
  }

  /** Ends everything, in the order in which that must work, and looks whether it does. */
  async end(): Promise<void> {
    for (const controller of this.controllers.splice(0)) controller.abort(new Hostile("end"));
    this.#isEnding = true;
    for (const gate of this.gates.splice(0)) gate.resolve(1);
    while (this.#pending.length > 0) await Promise.all(this.#pending.splice(0));
    for (const generator of this.generators.splice(0)) {
      this.attempt(() => generator[Symbol.dispose]());
      if (generator.state !== "unavailable") this.problems.push("a generator has not ended");
    }
    for (const raw of this.raw.splice(0)) this.attempt(() => raw?.return?.());
    for (const stack of this.stacks.splice(0)) {
      this.attempt(() => {
        const generator = Generator.unguarded<number>(stack, function* (_, input) {
          yield input;
        });
        if (generator.resume(5) !== 5) this.problems.push("a stack is of no use any more");
        generator.return();
      });
      this.must("dispose of a stack", () => stack[Symbol.dispose]());
    }
    for (const callback of this.callbacks.splice(0)) this.must("close", () => callback.close());
    this.must("call C", () => {
      using library = dlopen(unpinned, DEFINITIONS);
      const sum = library.symbols.call_n(4, (x) => x);
      if (sum !== 6) this.problems.push(`call_n(4) gave ${sum}`);
    });
    for (const library of this.libraries.splice(0)) this.must("close", () => library.close());
    // None of them knows what a later sequence does.
    this.calls.length = this.yielders.length = this.buffers.length = 0;
  }
}

/** A function of every kind, and what looks like one. */
function functions(world: World): Record<string, unknown> {
  const throws = () => {
    throw new Hostile("function");
  };
  return {
    arrow: () => 1,
    plain: function () {},
    async: async () => {},
    generator: function* () {
      yield 1;
    },
    asyncGenerator: async function* () {},
    class: class {},
    bound: (() => 1).bind(null),
    throws,
    mischievous: () => world.mischief(),
    proxy: new Proxy(function* () {}, { apply: throws, get: throws, getPrototypeOf: throws }),
    proxyOfGenerator: new Proxy(function* () {}, { apply: () => ({ next: throws }) }),
    named: Object.defineProperty(() => 1, "name", { get: throws }),
    forged: Object.setPrototypeOf(() => 1, Object.getPrototypeOf(function* () {})),
    native: Date.now,
    f: world.pinned().symbols.call_n,
  };
}

function objects(world: World): Record<string, unknown> {
  const throws = () => {
    throw new Hostile("object");
  };
  const traps = (trap: () => void): ProxyHandler<Any> =>
    Object.fromEntries(
      ["get", "has", "ownKeys", "getPrototypeOf", "getOwnPropertyDescriptor", "set", "apply"].map(
        (name) => [name, (...args: unknown[]) => (trap(), (Reflect as Any)[name](...args))],
      ),
    );
  const keys = [
    ...["constructor", "then", "signal", "parameters", "result", "stop", "callback", "input"],
    ...["length", "buffer", "byteLength", "valueOf", "next", "name", Symbol.toPrimitive],
    ...[Symbol.iterator, Symbol.dispose, Symbol.toStringTag],
  ];
  const withGetters = (get: () => unknown) =>
    Object.defineProperties({}, Object.fromEntries(keys.map((key) => [key, { get }])));
  const mischief = () => world.mischief();
  const revoked = Proxy.revocable({}, {});
  revoked.revoke();
  return {
    plain: {},
    frozen: Object.freeze({ parameters: [], result: "void" }),
    nullPrototype: Object.create(null),
    throwingGetters: withGetters(throws),
    mischievousGetters: withGetters(mischief),
    throwingProxy: new Proxy({}, traps(throws)),
    mischievousProxy: new Proxy({}, traps(mischief)),
    proxyOfStack: new Proxy(world.stack(), traps(mischief)),
    proxyOfBuffer: new Proxy(new Uint8Array(8), traps(mischief)),
    revoked: revoked.proxy,
    array: [1, 2],
    sparse: Object.assign([], { length: 2 ** 32 - 1 }),
    cyclic: (() => {
      const cyclic: Any = { parameters: [], result: "void" };
      return cyclic.parameters[0] = cyclic;
    })(),
    date: new Date(NaN),
    regExp: /x/,
    map: new Map([[1, 2]]),
    error: new Hostile("value"),
    url: new URL("http://localhost/"),
    promise: Promise.resolve(1),
    rejected: (() => {
      const promise = Promise.reject(new Hostile("rejected"));
      promise.catch(() => {});
      return promise;
    })(),
    thenable: { then: (resolve: (value: unknown) => void) => (resolve(1), resolve(2), throws()) },
    mischievousThenable: { then: (resolve: (value: unknown) => void) => (mischief(), resolve(1)) },
    neverThenable: { then: throws },
    iterator: { next: () => ({ value: 1, done: true }) },
    forgedGenerator: Object.create(Generator.prototype),
    forgedStack: Object.create(OsStack.prototype),
    forgedCallback: Object.create(Callback.prototype),
    forgedView: Object.create(PointerView.prototype),
    forgedScript: Object.create((function* () {}).prototype),
    forgedSignal: Object.create(AbortSignal.prototype),
    options: { signal: new AbortController().signal },
    hostileOptions: {
      signal: Object.assign(new AbortController().signal, {
        addEventListener: () => world.library().close(),
        throwIfAborted: mischief,
      }),
    },
    aborted: { signal: AbortSignal.abort(new Hostile("aborted")) },
    definition: { parameters: ["i32"], result: "i32" },
    definitions: { call_n: { parameters: ["i32", "buffer"], result: "i32" } },
    nestedDefinition: { callback: { parameters: ["i32"], result: "i32", stop: "x" } },
  };
}

/** One for all: each takes 10 GB of addresses. */
const wasm = new WebAssembly.Memory({ initial: 1 });

function buffers(world: World): Record<string, unknown> {
  const detached = new Uint8Array(64);
  detached.buffer.transfer();
  const resizable = new ArrayBuffer(4096, { maxByteLength: 8192 });
  const shrunk = new Uint8Array(resizable, 8, 8);
  const lying = Object.defineProperties(new ArrayBuffer(4096, { maxByteLength: 8192 }), {
    resizable: { value: false },
    detached: { value: true },
    byteLength: { value: 512 },
  });
  const lyingBytes = new Uint8Array(lying);
  world.buffers.push(lyingBytes);
  return {
    bytes: new Uint8Array(4096),
    none: new Uint8Array(0),
    detached,
    tracking: new Uint8Array(resizable),
    outOfBounds: (resizable.resize(4), shrunk),
    shared: new Uint8Array(new SharedArrayBuffer(4096)),
    growable: new Uint8Array(new SharedArrayBuffer(4096, { maxByteLength: 8192 } as Any)),
    huge: new Uint8Array(4 * 1024 * 1024),
    floats: new Float64Array(64),
    dataView: new DataView(new ArrayBuffer(4096), 3),
    arrayBuffer: new ArrayBuffer(4096),
    sharedArrayBuffer: new SharedArrayBuffer(4096),
    lying: lyingBytes,
    lyingBuffer: lying,
    forged: Object.create(Uint8Array.prototype),
    wasm: new Uint8Array(wasm.buffer),
  };
}

/** Fringe's own objects, in each state. */
function ours(world: World): Record<string, unknown> {
  const { symbols } = world.library();
  const ended = world.generator(world.stack(), world.body(0, 0));
  ended.return();
  const suspended = world.generator(world.stack(), world.counting());
  suspended.resume();
  const disposed = new OsStack(0);
  disposed[Symbol.dispose]();
  const closed = dlopen(exampleBodies, { count: { input: "void", output: "i32" } });
  closed.close();
  const callback = world.callback();
  const other = new Callback({ parameters: ["f64"], result: "void" }, () => {});
  other.close();
  const view = PointerView.of(new Uint8Array(64));
  return {
    stack: world.stack(),
    ownedStack: world.stack(1),
    sliceStack: world.stack(2),
    pooledStack: world.stack(3),
    occupied: world.stacks[1],
    disposed,
    fresh: world.generator(world.stack(), world.counting()),
    suspended,
    ended,
    pulled: symbols.call_n.calls(2),
    body: symbols.echo_i32,
    closedBody: closed.symbols.count,
    callback,
    closedCallback: other,
    view,
    pointer: view.pointer,
    callbackPointer: callback.pointer,
    library: closed,
  };
}

const primitives: Record<string, unknown> = {
  ...Object.fromEntries(
    [
      ...[
        undefined,
        null,
        true,
        false,
        0,
        -0,
        1,
        -1,
        1.5,
        NaN,
        Infinity,
        2 ** 31,
        2 ** 32,
        2 ** 53,
      ],
      ...[0n, -1n, 2n ** 63n, 2n ** 64n, -(2n ** 100_000n), Symbol("x"), Symbol.dispose],
      ...["", "text", "a\0b", "\ud800", "i32", "...", "call_n", "__proto__"],
    ].map((value, i) => [`${i}: ${String(value).slice(0, 20)}`, value]),
  ),
  longString: "x".repeat(1_000_000),
};

/** The names of functions, and of bodies, that can be called as one likes. */
export const functionNames = Object.entries(DEFINITIONS)
  .filter(([name, definition]) => "parameters" in definition && !name.includes("kept"))
  .map(([name]) => name);
export const elsewhereNames = Object.keys(ELSEWHERE);
export const bodyNames = Object.entries(DEFINITIONS)
  .filter(([, definition]) => "input" in definition).map(([name]) => name);
