// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Lua, with functions in TypeScript: they may `await`, while the script stands still; what they
 * throw is an error of Lua's; generator functions yield Lua's coroutines. A script gives other
 * tasks a turn, an AbortSignal ends it, and its memory can be limited.
 *
 * ```sh
 * deno run --allow-ffi examples/lua.ts
 * deno run --allow-ffi=FRINGE,LIBRARY examples/lua.ts LIBRARY
 * ```
 *
 * It needs liblua5.4.so.0 (Debian's liblua5.4-0), or the path of a Lua 5.4 as its argument: then
 * that file and fringe's own, native/prebuilt/x86_64-linux/libfringe.so, are grant enough. It
 * prints
 *
 * ```text
 * 1. Functions in TypeScript
 *    area(3, 4) is 12
 *    price("apples") is 3, after 0.1 s
 *    pcall(price, "pears"): no price for pears
 *    LuaError: no price for pears
 *
 * 2. A coroutine of Lua, in a generator function of TypeScript
 *    1 2 4 8 16 and, told that it is enough, 31 in all
 *
 * 3. A script that never ends, and catches all errors, beside a timer of 5 ms
 *    TimeoutError: The operation was aborted due to timeout
 *    after 0.2 s, and 15 ticks
 *    and then: 42
 *
 * 4. A script that has 1 MB
 *    LuaError: not enough memory
 *    and then: 42
 *
 * 5. Two scripts at once, in one state
 *    meanwhile: Error: The state is running a script: await it, or make another state
 *    first
 *    first again
 *    second
 *    second again
 * ```
 *
 * @module
 */

import { setImmediate } from "node:timers";
import {
  Callback,
  dlopen,
  type NativeLibrary,
  PointerView,
  type ScriptGenerator,
  type SymbolDefinitions,
  type TailCall,
  tailCall,
} from "fringe";

/** What may allocate, raise an error or call back is called by fringe. */
const suspending = {
  // lua_State *luaL_newstate(void)
  luaL_newstate: { parameters: [], result: "pointer" },
  // lua_State *lua_newstate(lua_Alloc allocate, void *data)
  lua_newstate: { parameters: ["function", "pointer"], result: "pointer" },
  // void lua_close(lua_State *)
  lua_close: { parameters: ["pointer"], result: "void" },
  // void luaL_openlibs(lua_State *)
  luaL_openlibs: { parameters: ["pointer"], result: "void" },
  // int luaL_loadbufferx(lua_State *, const char *, size_t, const char *name, const char *mode)
  luaL_loadbufferx: {
    parameters: ["pointer", "buffer", "usize", "cstring", "cstring"],
    result: "i32",
  },
  // int lua_pcallk(lua_State *, int count, int results, int handler, lua_KContext, lua_KFunction)
  lua_pcallk: {
    parameters: ["pointer", "i32", "i32", "i32", "isize", "function"],
    result: "i32",
  },
  // int lua_error(lua_State *)
  lua_error: { parameters: ["pointer"], result: "i32" },
  // int lua_yieldk(lua_State *, int results, lua_KContext, lua_KFunction)
  lua_yieldk: { parameters: ["pointer", "i32", "isize", "function"], result: "i32" },
  // const char *lua_pushlstring(lua_State *, const char *, size_t)
  lua_pushlstring: { parameters: ["pointer", "buffer", "usize"], result: "pointer" },
  // void lua_pushcclosure(lua_State *, lua_CFunction, int upvalues)
  lua_pushcclosure: { parameters: ["pointer", "function", "i32"], result: "void" },
  // void lua_sethook(lua_State *, lua_Hook, int mask, int count)
  lua_sethook: { parameters: ["pointer", "function", "i32", "i32"], result: "void" },
} as const satisfies SymbolDefinitions;

/**
 * What does none of that, and is called for each value: V8 compiles these calls of `Deno.dlopen` in
 * line. The loader finds `realloc` and `free` in libc, which Lua is linked with.
 */
const direct = {
  lua_gettop: { parameters: ["pointer"], result: "i32" },
  lua_settop: { parameters: ["pointer", "i32"], result: "void" },
  lua_type: { parameters: ["pointer", "i32"], result: "i32" },
  lua_isinteger: { parameters: ["pointer", "i32"], result: "i32" },
  lua_isyieldable: { parameters: ["pointer"], result: "i32" },
  lua_toboolean: { parameters: ["pointer", "i32"], result: "i32" },
  // lua_Integer lua_tointegerx(lua_State *, int index, int *isInteger), and lua_tonumberx
  lua_tointegerx: { parameters: ["pointer", "i32", "pointer"], result: "i64" },
  lua_tonumberx: { parameters: ["pointer", "i32", "pointer"], result: "f64" },
  // const char *lua_tolstring(lua_State *, int index, size_t *length)
  lua_tolstring: { parameters: ["pointer", "i32", "pointer"], result: "pointer" },
  lua_rawlen: { parameters: ["pointer", "i32"], result: "u64" },
  lua_pushnil: { parameters: ["pointer"], result: "void" },
  lua_pushboolean: { parameters: ["pointer", "i32"], result: "void" },
  lua_pushinteger: { parameters: ["pointer", "i64"], result: "void" },
  lua_pushnumber: { parameters: ["pointer", "f64"], result: "void" },
  realloc: { parameters: ["pointer", "usize"], result: "pointer" },
  free: { parameters: ["pointer"], result: "void" },
} as const;

const LUA_OK = 0;
const LUA_MASKCOUNT = 1 << 3;
const Type = { nil: 0, boolean: 1, number: 3, string: 4 } as const;

/** What Lua calls its types, by their numbers. */
const TYPES = ["nil", "boolean", "userdata", "number", "string", "table", "function"];

/** For how long, in milliseconds, a script computes before other tasks get a turn. */
const SLICE = 10;

/** After how many instructions of its virtual machine Lua asks whether to go on. */
const INSTRUCTIONS = 1_000;

/** Makes a function a global variable. Run by Lua itself, since a script may have a say in it. */
const DEFINE = "local name, f = ... _ENV[name] = f";

/**
 * A value of Lua, which has other types as well; those stay there. Integers are numbers, or bigints
 * where a number would not be exact.
 */
export type Value = null | boolean | number | bigint | string;

/** What a function in TypeScript gives Lua; nothing is no result. */
export type Result = Value | void;

/**
 * A function for Lua. It gives its result, or a Promise of it. What a generator function yields,
 * the coroutine that has called it yields, and it gets what that is resumed with.
 */
export type LuaFunction = (
  ...args: Value[]
) => Result | PromiseLike<Result> | ScriptGenerator<Value, Result, Value>;

/** What Lua says. `cause` is what a function in TypeScript has thrown, if that is the reason. */
export class LuaError extends Error {
  override name = "LuaError";
}

/** How a state is made. */
export interface LuaOptions {
  /** How many bytes Lua may have; without it there is no limit. */
  readonly memory?: number;
  /** The library of Lua 5.4. */
  readonly library?: string | URL;
}

/** The script that runs. */
interface Running {
  /** Whether it may stand still. */
  readonly awaits: boolean;
  readonly signal: AbortSignal;
  /** When other tasks get their next turn. */
  turn: number;
}

type State = Deno.PointerObject;

/** How a callback of Lua's is answered: how many results it has, or by what Lua is to call. */
type Answer = number | TailCall | Promise<number | TailCall>;

type MaybePromise<T> = T | Promise<T>;

/**
 * A state of Lua. One script at a time runs in it, since two that stand still would lie on one
 * stack of Lua's: make several to run several at once.
 */
export class Lua implements Disposable {
  readonly #library: NativeLibrary<typeof suspending>;
  readonly #direct: Deno.DynamicLibrary<typeof direct>;
  readonly #state: State;
  readonly #callbacks: Disposable[] = [];
  /** Asked by Lua, after so many instructions, whether to go on. */
  readonly #hook: Callback;
  /** Called by Lua when a coroutine is resumed that a generator has yielded from. */
  readonly #resumed: Callback;
  readonly #closing = new AbortController();
  /** Settles when the last script that has been asked for has ended. */
  #queue: Promise<unknown> = Promise.resolve();
  /** How many scripts of `evalAsync` wait or run. */
  #active = 0;
  #running: Running | undefined;
  /** How many of the calls under way are outside of Lua's protected mode. */
  #unprotectedCalls = 0;
  readonly #limit: number;
  #memory = 0;
  /** Those whose coroutines are suspended, or were dropped so, by what Lua knows them by. */
  readonly #generators = new Map<bigint, ScriptGenerator<Value, Result, Value>>();
  #generatorCount = 0n;
  /** What a function in TypeScript has thrown last, and what Lua was told of it. */
  #thrown: { readonly error: unknown; readonly message: string } | undefined;

  /** Makes a state, with Lua's own libraries. */
  constructor({ memory, library = "liblua5.4.so.0" }: LuaOptions = {}) {
    this.#library = dlopen(library, suspending);
    this.#direct = Deno.dlopen(library, direct);
    this.#limit = memory ?? Infinity;
    // void *allocate(void *data, void *block, size_t before, size_t size)
    const allocator = this.#keep(
      new Callback(
        { parameters: ["pointer", "pointer", "usize", "usize"], result: "pointer" },
        (_data, block, before, size) => this.#allocate(block, before, size),
      ),
    );
    // void hook(lua_State *thread, lua_Debug *)
    this.#hook = this.#keep(
      new Callback(
        { parameters: ["pointer", "pointer"], result: "void" },
        (thread) => this.#goOn(thread!),
      ),
    );
    // int resumed(lua_State *thread, int status, lua_KContext id)
    this.#resumed = this.#keep(
      new Callback(
        { parameters: ["pointer", "i32", "isize"], result: "i32" },
        (thread, _status, id) =>
          this.#guard(thread!, () => this.#step(thread!, id, this.#arguments(thread!)[0] ?? null)),
      ),
    );
    this.#state = this.#unprotected((lua) => {
      const state = memory === undefined ? lua.luaL_newstate() : lua.lua_newstate(allocator, null);
      if (state === null) throw new Error("Cannot make a state: no memory is left");
      lua.luaL_openlibs(state);
      return state;
    });
    this.#askAfter(INSTRUCTIONS, this.#state);
  }

  /**
   * Ends the scripts that wait or run, and closes the state: at once, or, where there are any,
   * after the last of them.
   */
  [Symbol.dispose](): void {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort(new Error("The state has been closed"));
    if (this.#running === undefined && this.#active === 0) this.#close();
    else this.#queue = this.#queue.then(() => this.#close());
  }

  #close(): void {
    this.#unprotected((lua) => lua.lua_close(this.#state));
    for (const generator of this.#generators.values()) generator.return();
    for (const callback of this.#callbacks) callback[Symbol.dispose]();
    this.#library.close();
    this.#direct.close();
  }

  /** How many bytes Lua has at the moment, where there is a limit. */
  get memory(): number {
    return this.#memory;
  }

  /** Runs a script while everything else waits, and gives its first result. */
  eval(source: string): Value {
    return this.#runAtOnce(source, () => 0);
  }

  /**
   * Runs a script while other tasks have their turns, after any script before it. Functions in
   * TypeScript may be async here, and the signal ends it, be it waiting or in an endless loop. Only
   * what Lua's own functions do at a stretch, such as the search for a pattern, is not interrupted,
   * nor a handler of `xpcall`.
   */
  async evalAsync(source: string, { signal }: { signal?: AbortSignal } = {}): Promise<Value> {
    this.#closing.signal.throwIfAborted();
    this.#active++;
    const result = this.#queue.then(() => this.#runAwaited(source, signal));
    this.#queue = result.catch(() => {});
    try {
      return await result;
    } finally {
      this.#active--;
    }
  }

  /** Makes a function in TypeScript a global variable of Lua's. */
  define(name: string, f: LuaFunction): void {
    // int function(lua_State *thread)
    const callback = this.#keep(
      new Callback(
        { parameters: ["pointer"], result: "i32" },
        (thread) => this.#guard(thread!, () => this.#give(thread!, f(...this.#arguments(thread!)))),
      ),
    );
    this.#runAtOnce(DEFINE, () => {
      this.#push(this.#state, name);
      this.#library.symbols.lua_pushcclosure(this.#state, callback, 0);
      return 2;
    });
  }

  /** Runs a script that is passed as many arguments as `pushArguments` says that it has pushed. */
  #runAtOnce(source: string, pushArguments: () => number): Value {
    const signal = this.#closing.signal;
    signal.throwIfAborted();
    if (this.#running !== undefined) {
      throw new Error("The state is running a script: await it, or make another state");
    }
    this.#running = { awaits: false, signal, turn: Infinity };
    try {
      this.#load(source);
      const { lua_pcallk } = this.#library.symbols;
      return this.#take(lua_pcallk(this.#state, pushArguments(), 1, 0, 0, null));
    } finally {
      this.#end();
    }
  }

  async #runAwaited(source: string, given: AbortSignal | undefined): Promise<Value> {
    const closing = this.#closing.signal;
    const signal = AbortSignal.any(given === undefined ? [closing] : [closing, given]);
    signal.throwIfAborted();
    this.#running = { awaits: true, signal, turn: performance.now() + SLICE };
    try {
      this.#load(source);
      // The signal is not passed on to `async()`, which would end C wherever it is, without Lua's
      // knowing. Lua looks at it itself, in the hook, and unwinds what it has.
      const status = await this.#library.symbols.lua_pcallk.async(this.#state, 0, 1, 0, 0, null);
      if (status !== LUA_OK) signal.throwIfAborted();
      return this.#take(status);
    } finally {
      this.#end();
    }
  }

  #load(source: string): void {
    const text = encode(source);
    const { luaL_loadbufferx } = this.#library.symbols;
    // "t": text, and no bytecode, which Lua believes.
    const status = luaL_loadbufferx(this.#state, text, text.length - 1, "=lua", "t");
    if (status !== LUA_OK) this.#take(status);
  }

  /** Gives the result of a script, or throws what Lua says. */
  #take(status: number): Value {
    if (status === LUA_OK) return this.#read(this.#state, -1);
    const type = this.#direct.symbols.lua_type(this.#state, -1);
    const message = type === Type.string || type === Type.number
      ? String(this.#read(this.#state, -1))
      : `an error that is a ${TYPES[type]}`;
    const cause = this.#thrown?.message === message ? { cause: this.#thrown.error } : {};
    throw new LuaError(message, cause);
  }

  #end(): void {
    this.#direct.symbols.lua_settop(this.#state, 0);
    this.#askAfter(INSTRUCTIONS, this.#state);
    this.#running = undefined;
    this.#thrown = undefined;
  }

  /**
   * Calls Lua outside of its protected mode (`lua_pcallk`), where an error has nowhere to go. So
   * there are none: the limit on memory is not asked for. And Lua cannot stand still, since whoever
   * has called this waits for it.
   */
  #unprotected<T>(call: (lua: NativeLibrary<typeof suspending>["symbols"]) => T): T {
    this.#unprotectedCalls++;
    try {
      return call(this.#library.symbols);
    } finally {
      this.#unprotectedCalls--;
    }
  }

  /** The script that runs, if it may stand still. */
  get #awaiting(): Running | undefined {
    return this.#unprotectedCalls === 0 && this.#running?.awaits ? this.#running : undefined;
  }

  /** Answers Lua's allocator. Null is an error of Lua's, "not enough memory". */
  #allocate(block: Deno.PointerValue, before: bigint, size: bigint): Deno.PointerValue {
    const { realloc, free } = this.#direct.symbols;
    // Where there is no block, `before` says what it is for.
    const growth = Number(size) - (block === null ? 0 : Number(before));
    const isTooMuch = growth > 0 && this.#memory + growth > this.#limit;
    if (isTooMuch && this.#unprotectedCalls === 0) return null;
    if (size === 0n) free(block);
    const given = size === 0n ? null : realloc(block, size);
    if (given !== null || size === 0n) this.#memory += growth;
    return given;
  }

  #askAfter(instructions: number, thread: State): void {
    this.#library.symbols.lua_sethook(thread, this.#hook, LUA_MASKCOUNT, instructions);
  }

  /** Answers the hook: a tail call of `lua_error` is the end of the script. */
  #goOn(thread: State): void | TailCall | Promise<void | TailCall> {
    const running = this.#awaiting;
    if (running === undefined) return;
    if (running.signal.aborted) return this.#stop(thread, running);
    if (performance.now() >= running.turn) return this.#takeTurn(thread, running);
  }

  async #takeTurn(thread: State, running: Running): Promise<void | TailCall> {
    await new Promise<void>((resolve) => void setImmediate(resolve));
    running.turn = performance.now() + SLICE;
    if (running.signal.aborted) return this.#stop(thread, running);
  }

  #stop(thread: State, { signal }: Running): TailCall {
    // Should the script catch the error, by `pcall`, it gets the next one at once.
    this.#askAfter(1, thread);
    return this.#raise(thread, signal.reason);
  }

  /** Has Lua raise an error: it jumps to where the script has caught it, or to the end. */
  #raise(thread: State, error: unknown): TailCall {
    const message = error instanceof Error ? error.message : String(error);
    this.#thrown = { error, message };
    this.#push(thread, message);
    return tailCall(this.#library.symbols.lua_error, thread);
  }

  /** Answers Lua as `run` does; what that throws, Lua raises. */
  #guard(thread: State, run: () => Answer): Answer {
    try {
      return run();
    } catch (error) {
      return this.#raise(thread, error);
    }
  }

  /** Gives Lua what a function in TypeScript has returned. */
  #give(thread: State, result: ReturnType<LuaFunction>): Answer {
    if (isPromise(result)) return this.#await(thread, result);
    if (!isGenerator(result)) return this.#push(thread, result);
    if (this.#direct.symbols.lua_isyieldable(thread) === 0) {
      throw new TypeError("A generator function is to be called in a coroutine");
    }
    this.#generators.set(++this.#generatorCount, result);
    return this.#step(thread, this.#generatorCount, null);
  }

  /** Waits for a result; Lua stands still. */
  #await(thread: State, pending: PromiseLike<Result>): Answer {
    const running = this.#awaiting;
    if (running === undefined) {
      Promise.resolve(pending).catch(() => {});
      throw new TypeError("An async function is to be called in a script of evalAsync()");
    }
    const { promise: stopped, reject } = Promise.withResolvers<never>();
    const stop = (): void => reject(running.signal.reason);
    if (running.signal.aborted) stop();
    running.signal.addEventListener("abort", stop);
    return Promise.race([pending, stopped])
      .then((result) => this.#push(thread, result))
      .catch((error) => {
        return running.signal.aborted ? this.#stop(thread, running) : this.#raise(thread, error);
      })
      .finally(() => running.signal.removeEventListener("abort", stop));
  }

  /** Resumes a generator: the coroutine yields what the generator yields. */
  #step(thread: State, id: bigint, input: Value): number | TailCall {
    const generator = this.#generators.get(id)!;
    let yields = false;
    try {
      const { done, value } = generator.next(input);
      // Below what is yielded nothing may be left, or it would be found with the next input.
      this.#direct.symbols.lua_settop(thread, 0);
      const count = this.#push(thread, value);
      yields = !done;
      return yields
        ? tailCall(this.#library.symbols.lua_yieldk, thread, count, id, this.#resumed)
        : count;
    } finally {
      if (!yields) {
        this.#generators.delete(id);
        generator.return();
      }
    }
  }

  /** What Lua has passed to a function. */
  #arguments(thread: State): Value[] {
    const count = this.#direct.symbols.lua_gettop(thread);
    const values: Value[] = [];
    for (let i = 1; i <= count; i++) values.push(this.#read(thread, i));
    return values;
  }

  /** Reads a value of Lua's stack. */
  #read(thread: State, index: number): Value {
    const lua = this.#direct.symbols;
    const type = lua.lua_type(thread, index);
    switch (type) {
      case Type.nil:
        return null;
      case Type.boolean:
        return lua.lua_toboolean(thread, index) !== 0;
      case Type.number: {
        if (lua.lua_isinteger(thread, index) === 0) return lua.lua_tonumberx(thread, index, null);
        const integer = lua.lua_tointegerx(thread, index, null);
        const number = Number(integer);
        return Number.isSafeInteger(number) ? number : integer;
      }
      case Type.string: {
        const bytes = new Uint8Array(Number(lua.lua_rawlen(thread, index)));
        new PointerView(lua.lua_tolstring(thread, index, null)!).copyInto(bytes);
        return decoder.decode(bytes);
      }
      default:
        throw new TypeError(`A ${TYPES[type]} of Lua's stays there: give its fields one by one`);
    }
  }

  /** Pushes a value on Lua's stack, and gives how many that are: none, or one. */
  #push(thread: State, value: Result): number {
    const lua = this.#direct.symbols;
    if (value === undefined) return 0;
    if (value === null) {
      lua.lua_pushnil(thread);
    } else if (typeof value === "boolean") {
      lua.lua_pushboolean(thread, value ? 1 : 0);
    } else if (typeof value === "number" && !Number.isSafeInteger(value)) {
      lua.lua_pushnumber(thread, value);
    } else if (typeof value === "number" || typeof value === "bigint") {
      const integer = BigInt(value);
      if (BigInt.asIntN(64, integer) !== integer) {
        throw new RangeError(`Lua has no integer ${value}`);
      }
      lua.lua_pushinteger(thread, integer);
    } else if (typeof value === "string") {
      const text = encode(value);
      this.#unprotected((lua) => lua.lua_pushlstring(thread, text, text.length - 1));
    } else {
      throw new TypeError(
        `Lua gets no ${typeof value}: give null, a boolean, a number or a string`,
      );
    }
    return 1;
  }

  #keep<T extends Disposable>(callback: T): T {
    this.#callbacks.push(callback);
    return callback;
  }
}

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** UTF-8 with a zero behind it, so that there is an address even for what is empty. */
function encode(text: string): Uint8Array<ArrayBuffer> {
  return encoder.encode(`${text}\0`);
}

function isPromise(result: ReturnType<LuaFunction>): result is PromiseLike<Result> {
  return typeof result === "object" && result !== null && "then" in result;
}

function isGenerator(
  result: Exclude<ReturnType<LuaFunction>, PromiseLike<Result>>,
): result is ScriptGenerator<Value, Result, Value> {
  return typeof result === "object" && result !== null && "next" in result;
}

/** A state in the library that the command line names. */
function open(options: LuaOptions = {}): Lua {
  const [library] = Deno.args;
  return new Lua(library === undefined ? options : { ...options, library });
}

/** Shows a line of what this prints; an error is shown as what it is. */
async function show(line: string, run: () => MaybePromise<unknown>): Promise<void> {
  console.log(`   ${line}${await Promise.try(run).catch(String)}`);
}

function since(start: number): string {
  return `${((performance.now() - start) / 1000).toFixed(1)} s`;
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function showFunctions(): Promise<void> {
  console.log("1. Functions in TypeScript");
  using lua = open();
  lua.define("area", (width, height) => Number(width) * Number(height));
  lua.define("price", async (fruit) => {
    await sleep(100); // it might be fetched; Lua stands still
    if (fruit !== "apples") throw new Error(`no price for ${fruit}`);
    return 3;
  });
  await show("area(3, 4) is ", () => lua.eval("return area(3, 4)"));
  const start = performance.now();
  const price = await lua.evalAsync('return price("apples")');
  console.log(`   price("apples") is ${price}, after ${since(start)}`);
  await show('pcall(price, "pears"): ', () => {
    return lua.evalAsync('return select(2, pcall(price, "pears"))');
  });
  await show("", () => lua.evalAsync('return price("pears")'));
}

async function showCoroutine(): Promise<void> {
  console.log("\n2. A coroutine of Lua, in a generator function of TypeScript");
  using lua = open();
  lua.define("powers", function* (): ScriptGenerator<Value, Value, Value> {
    for (let [power, sum] = [1, 0];; power *= 2) {
      sum += power;
      const isEnough = yield power;
      if (isEnough) return sum;
    }
  });
  await show("", () =>
    lua.eval(`
      local power, line = coroutine.wrap(powers), ""
      for _ = 1, 5 do line = line .. power() .. " " end
      return line .. "and, told that it is enough, " .. power(true) .. " in all"
    `));
}

async function showRunaway(): Promise<void> {
  console.log("\n3. A script that never ends, and catches all errors, beside a timer of 5 ms");
  using lua = open();
  let ticks = 0;
  const timer = setInterval(() => ticks++, 5);
  const [start, signal] = [performance.now(), AbortSignal.timeout(200)];
  await show("", () => {
    const endless = "while true do pcall(function() while true do end end) end";
    return lua.evalAsync(endless, { signal });
  });
  console.log(`   after ${since(start)}, and ${ticks} ticks`);
  await show("and then: ", () => lua.eval("return 6 * 7"));
  clearInterval(timer);
}

async function showMemory(): Promise<void> {
  console.log("\n4. A script that has 1 MB");
  using lua = open({ memory: 1e6 });
  await show("", () => lua.eval("local all = {} for i = 1, math.huge do all[i] = 'x' .. i end"));
  await show("and then: ", () => lua.eval("return 6 * 7"));
}

async function showQueue(): Promise<void> {
  console.log("\n5. Two scripts at once, in one state");
  using lua = open();
  lua.define("say", async (word) => {
    await sleep(10);
    console.log(`   ${word}`);
  });
  const both = ["first", "second"].map((word) =>
    lua.evalAsync(`say("${word}") say("${word} again")`)
  );
  await sleep(5);
  await show("meanwhile: ", () => lua.eval("return 6 * 7"));
  await Promise.all(both);
}

if (import.meta.main) {
  for (const part of [showFunctions, showCoroutine, showRunaway, showMemory, showQueue]) {
    await part();
  }
}
