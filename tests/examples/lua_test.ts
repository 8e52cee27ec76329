// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** Lua by way of examples/lua.ts, and that example, run as a user runs it. */

import {
  assert,
  assertEquals,
  assertGreater,
  assertLess,
  assertMatch,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { Lua, LuaError, type LuaOptions, type Value } from "../../examples/lua.ts";
import type { ScriptGenerator } from "../../mod.ts";
import { leftBehind } from "../support/malloc.ts";
import { collectUntil, fringeLibrary, gc, run, testWith } from "../support/support.ts";

const library = "liblua5.4.so.0";
const file = new URL("../../examples/lua.ts", import.meta.url).pathname;

const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** A test with a state, which is closed afterwards, and must be of use until then. */
function test(
  name: string,
  use: (lua: Lua) => void | Promise<void>,
  options: LuaOptions = {},
): void {
  testWith(library, `lua: ${name}`, async () => {
    using lua = new Lua(options);
    await use(lua);
    assertEquals(lua.eval("local sum = 0 for i = 1, 8 do sum = sum + i end return sum"), 36);
  });
}

/** Calls `f` for an argument, in both of the ways. */
async function inBothWays(lua: Lua, source: string, expected: Value): Promise<void> {
  assertEquals(lua.eval(source), expected);
  assertEquals(await lua.evalAsync(source), expected);
}

test("values go to Lua and come back", async (lua) => {
  lua.define("same", (value) => value);
  const integers = [2n ** 63n - 1n, -(2n ** 63n), 2n ** 53n];
  const values: Value[] = [null, true, false, 0, -1, 0.5, 2 ** 53 - 1, Infinity, ...integers];
  const texts = ["", "a\0b", "Zoë 日本 🦊", "\u{feff}mark", "x".repeat(100_000)];
  for (const value of [...values, ...texts]) {
    lua.define("get", () => value);
    await inBothWays(lua, "return same(get())", value);
  }
  await inBothWays(lua, "return math.type(same(1)) .. math.type(same(1.5))", "integerfloat");
  // A float of Lua's with an integer's value is an integer to TypeScript.
  await inBothWays(lua, "return math.type(same(1.0))", "integer");
  lua.define("nothing", () => {});
  await inBothWays(lua, "return select('#', nothing())", 0);
  lua.define("join", (...args) => args.join());
  await inBothWays(lua, "return join(1, nil, 'two', false)", "1,,two,false");
  await inBothWays(lua, "", null);
});

test("what TypeScript has no word for stays in Lua", async (lua) => {
  lua.define("same", (value) => value);
  const source = "local said, message = pcall(same, {}) return message";
  await inBothWays(lua, source, "A table of Lua's stays there: give its fields one by one");
  assertThrows(() => lua.eval("return print"), TypeError, "A function of Lua's stays there");
  lua.define("bad", () => 2n ** 63n);
  assertThrows(() => lua.eval("bad()"), LuaError, "Lua has no integer 9223372036854775808");
  lua.define("bad", (() => ({})) as unknown as () => Value);
  assertThrows(() => lua.eval("bad()"), LuaError, "Lua gets no object: give null, a boolean");
});

test("an async function is awaited, while other tasks have their turns", async (lua) => {
  let ticks = 0;
  const timer = setInterval(() => ticks++, 1);
  lua.define("later", async (value) => {
    await sleep(20);
    gc();
    return value;
  });
  const source = "local all = '' for i = 1, 3 do all = all .. later(i) end return all";
  assertEquals(await lua.evalAsync(source), "123");
  clearInterval(timer);
  assertGreater(ticks, 10);
  // In a coroutine as well, where all of the state stands still.
  assertEquals(await lua.evalAsync("return coroutine.wrap(function() return later(5) end)()"), 5);
  // Where nothing may wait for it, nobody else hears of what becomes of it.
  lua.define("later", () => Promise.reject(new Error("unheard")));
  assertThrows(() => lua.eval("later(1)"), LuaError, "An async function is to be called in");
});

test("what a function throws is an error of Lua's", async (lua) => {
  const error = new Error("on purpose");
  lua.define("fail", () => {
    throw error;
  });
  lua.define("fail_later", async () => {
    await sleep(1);
    throw error;
  });
  await inBothWays(lua, "return select(2, pcall(fail))", "on purpose");
  assertEquals(await lua.evalAsync("return select(2, pcall(fail_later))"), "on purpose");
  // Lua has closed what it had.
  const guarded = (call: string) => `
    local guard <close> = setmetatable({}, { __close = function() closed = (closed or 0) + 1 end })
    ${call}()
  `;
  const thrown = assertThrows(() => lua.eval(guarded("fail")), LuaError, "on purpose");
  assertStrictEquals(thrown.cause, error);
  for (const call of ["fail", "fail_later"]) {
    const rejected = await assertRejects(() => lua.evalAsync(guarded(call)), LuaError);
    assertStrictEquals(rejected.cause, error);
  }
  assertEquals(lua.eval("return closed"), 3);
  for (let i = 0; i < 1000; i++) assertEquals(lua.eval("return (pcall(fail))"), false);
});

test("errors of Lua's own say where they are", async (lua) => {
  const said = [
    ["return 1 + nil", "lua:1: attempt to perform arithmetic on a nil value"],
    ["\nerror('mine')", "lua:2: mine"],
    ["error('mine', 0)", "mine"],
    ["error(5)", "5"],
    ["error({})", "an error that is a table"],
    ["error()", "an error that is a nil"],
    ["return (", "lua:1: unexpected symbol near <eof>"],
    ["\x1bLua", "attempt to load a binary chunk (mode is 't')"],
    ["local function f() return 1 + f() end f()", "stack overflow"],
    ["local t = setmetatable({}, {}) getmetatable(t).__index = t return t.x", "loop"],
    ["string.gsub(('x'):rep(300), ('(x'):rep(40), '')", "too many captures"],
  ];
  for (const [source, message] of said) {
    const thrown = assertThrows(() => lua.eval(source!), LuaError, message);
    assertEquals(thrown.cause, undefined);
    assertEquals(
      (await assertRejects(() => lua.evalAsync(source!), LuaError, message)).cause,
      undefined,
    );
  }
});

test("a script may break the table of its globals", (lua) => {
  lua.eval("setmetatable(_G, { __newindex = function() error('none more', 0) end })");
  assertThrows(() => lua.define("f", () => 1), LuaError, "none more");
});

test("a generator function yields Lua's coroutine", async (lua) => {
  const ended: string[] = [];
  lua.define("ask", function* (first, second): ScriptGenerator<Value, Value, Value> {
    try {
      const one = yield `${first}?`;
      const two = yield `${second}?`;
      if (two === "fail") throw new Error("failed");
      return `${one} and ${two}`;
    } finally {
      ended.push(String(first));
    }
  });
  const source = `
    local ask = coroutine.wrap(function(...) return "got " .. ask(...) end)
    local asked = { ask("A", "B"), ask(1), ask(true) }
    return table.concat(asked, ", ")
  `;
  await inBothWays(lua, source, "A?, B?, got 1 and true");
  // Many at once, through pcall, in any order.
  await inBothWays(
    lua,
    `
    local all, said = {}, ""
    for i = 1, 50 do
      all[i] = coroutine.wrap(function() return pcall(ask, "a" .. i, "b" .. i) end)
      all[i]()
    end
    collectgarbage()
    for i = 50, 1, -1 do all[i](i) end
    for i = 1, 50 do local _, text = all[i]("x") said = said .. text .. ";" end
    return said
    `,
    Array.from({ length: 50 }, (_, i) => `${i + 1} and x;`).join(""),
  );
  const failing = `
    local co = coroutine.create(function() return pcall(ask, "c", "d") end)
    coroutine.resume(co) coroutine.resume(co)
    local _, _, message = coroutine.resume(co, "fail")
    return message
  `;
  await inBothWays(lua, failing, "failed");
  assertThrows(() => lua.eval("ask()"), LuaError, "is to be called in a coroutine");
  const across = "coroutine.wrap(function() table.sort({ 1, 2, 3 }, ask) end)()";
  assertThrows(() => lua.eval(across), LuaError, "is to be called in a coroutine");
});

test("a generator that has ended, or yields what Lua cannot have, is let go of", async (lua) => {
  let [ended, collected] = [0, 0];
  const registry = new FinalizationRegistry(() => collected++);
  function* yields(value: unknown): ScriptGenerator<Value, Value, Value> {
    try {
      return yield value as Value;
    } finally {
      ended++;
    }
  }
  lua.define("yields", (value) => {
    const generator = yields(value === "bad" ? {} : value);
    registry.register(generator, undefined);
    return generator;
  });
  const bad = 'coroutine.wrap(yields)("bad")';
  assertThrows(() => lua.eval(bad), LuaError, "Lua gets no object");
  assertEquals(ended, 1);
  assertEquals(lua.eval("local f = coroutine.wrap(yields) return f(1) + f(2)"), 3);
  assertEquals(ended, 2);
  await collectUntil(() => collected === 2);
  assertEquals(collected, 2);
});

testWith(library, "lua: generators of coroutines that were dropped end with the state", () => {
  let ended = 0;
  {
    using lua = new Lua();
    lua.define("wait", function* () {
      try {
        yield 1;
      } finally {
        ended++;
      }
    });
    lua.eval("coroutine.wrap(wait)() collectgarbage()");
    assertEquals(ended, 0);
  }
  assertEquals(ended, 1);
});

test("a script that computes gives other tasks a turn, and a signal ends it", async (lua) => {
  let ticks = 0;
  const timer = setInterval(() => ticks++, 1);
  const reason = new Error("enough");
  const runaways = [
    "while true do end",
    "while true do pcall(function() while true do end end) end",
    "pcall(pcall, function() while true do end end)  while true do end",
    "local function f() return f() end f()",
    "while true do coroutine.wrap(function() while true do end end)() end",
    "while true do coroutine.resume(coroutine.create(function() while true do end end)) end",
    "setmetatable({}, { __index = function() while true do end end }).x()",
    "table.sort({ 1, 2, 3 }, function() while true do end end)",
    "local x <close> = setmetatable({}, { __close = function() while true do end end })",
  ];
  for (const source of runaways) {
    const controller = new AbortController();
    setTimeout(() => controller.abort(reason), 25);
    const start = performance.now();
    const { signal } = controller;
    assertStrictEquals(await assertRejects(() => lua.evalAsync(source, { signal })), reason);
    assertLess(performance.now() - start, 5000);
    assertEquals(await lua.evalAsync("return 6 * 7"), 42, source);
  }
  clearInterval(timer);
  assertGreater(ticks, runaways.length);
});

test("after a script that was ended Lua asks as seldom as before", async (lua) => {
  const signal = AbortSignal.timeout(1);
  await assertRejects(() => lua.evalAsync("while true do end", { signal }), DOMException);
  const { now } = performance;
  let asked = 0;
  performance.now = () => {
    asked++;
    return now.call(performance);
  };
  try {
    await lua.evalAsync("for i = 1, 100000 do end");
  } finally {
    performance.now = now;
  }
  assertGreater(asked, 50);
  assertLess(asked, 500);
});

test("a signal ends a script that stands still, and one that waits", async (lua) => {
  const controller = new AbortController();
  const { signal } = controller;
  let resolve = (_: Value): void => {};
  lua.define("wait", () => new Promise<Value>((given) => resolve = given));
  const first = lua.evalAsync("closed = 0 return select(2, pcall(wait))", { signal });
  const second = lua.evalAsync("ran = true", { signal });
  const third = lua.evalAsync("return tostring(ran)");
  await sleep(5);
  controller.abort(new Error("enough"));
  // The script may catch the error, but does not get far with it.
  await Promise.all([first, second].map((ended) => assertRejects(() => ended, Error, "enough")));
  assertEquals(await third, "nil");
  resolve(1);
  const aborted = AbortSignal.abort(new Error("before"));
  await assertRejects(() => lua.evalAsync("ran = true", { signal: aborted }), Error, "before");
  // A function that is called after the abort of its own script is not waited for.
  const own = new AbortController();
  lua.define("abort", () => {
    own.abort(new Error("by itself"));
    return new Promise<Value>(() => {});
  });
  await assertRejects(() => lua.evalAsync("abort()", own), Error, "by itself");
  assertEquals(await lua.evalAsync("return ran"), null);
});

test("scripts of one state run one after the other", async (lua) => {
  const said: Value[] = [];
  lua.define("say", async (word) => {
    said.push(word!);
    await sleep(1);
    said.push(word!);
  });
  lua.define("inside", () => lua.eval("return 1"));
  const all = ["a", "b", "c"].map((word) => lua.evalAsync(`say("${word}") return "${word}"`));
  await sleep(0);
  const busy = "The state is running a script: await it, or make another state";
  assertThrows(() => lua.eval("return 1"), Error, busy);
  assertThrows(() => lua.define("g", () => 1), Error, busy);
  assertEquals(await Promise.all(all), ["a", "b", "c"]);
  assertEquals(said.join(""), "aabbcc");
  assertThrows(() => lua.eval("inside()"), LuaError, busy);
  await assertRejects(() => lua.evalAsync("inside()"), LuaError, busy);
});

test("states do not wait for each other", async (lua) => {
  using other = new Lua();
  const gate = Promise.withResolvers<Value>();
  lua.define("wait", () => gate.promise);
  other.define("open", (value) => gate.resolve(value!));
  const waiting = lua.evalAsync("return wait() + 1");
  assertEquals(await other.evalAsync("open(41) return 1"), 1);
  assertEquals(await waiting, 42);
});

testWith(library, "lua: a state that its own script closes is closed after that", async () => {
  for (const run of ["eval", "evalAsync"] as const) {
    const lua = new Lua({ memory: 1_000_000 });
    lua.define("close", () => lua[Symbol.dispose]());
    // Lua asks whether to go on after many more instructions.
    assertEquals(await lua[run]("close() return 1"), 1);
    await sleep(0);
    assertEquals(lua.memory, 0);
  }
});

testWith(library, "lua: a state that is closed ends its scripts first", async () => {
  const lua = new Lua();
  lua.define("wait", () => new Promise<Value>(() => {}));
  let closed = 0;
  lua.define("on_close", () => void closed++);
  lua.eval("guard = setmetatable({}, { __gc = function() on_close() end })");
  const scripts = ["wait()", "while true do end"].map((source) => lua.evalAsync(source));
  await sleep(1);
  lua[Symbol.dispose]();
  lua[Symbol.dispose]();
  await Promise.all(scripts.map((ended) => assertRejects(() => ended, Error, "has been closed")));
  await assertRejects(() => lua.evalAsync("return 1"), Error, "The state has been closed");
  assertThrows(() => lua.eval("return 1"), Error, "The state has been closed");
  await sleep(1);
  assertEquals(closed, 1);
});

test("a limit on memory is an error of Lua's, and no more", async (lua) => {
  const greedy = [
    "local all = {} for i = 1, math.huge do all[i] = 'x' .. i end",
    "local text = 'x' while true do text = text .. text end",
    "return ('x'):rep(1e9)",
    "local all = {} for i = 1, math.huge do all[i] = coroutine.create(print) end",
  ];
  lua.define("big", () => "x".repeat(1_500_000));
  for (const source of greedy) {
    assertThrows(() => lua.eval(source), LuaError, "not enough memory");
    await assertRejects(() => lua.evalAsync(source), LuaError, "not enough memory");
    lua.eval("collectgarbage()");
    assertLess(lua.memory, 200_000);
  }
  await inBothWays(
    lua,
    `return select(2, pcall(function() ${greedy[0]} end))`,
    "not enough memory",
  );
  // What TypeScript gives goes over it for a moment, and has Lua allocate nothing more.
  assertThrows(() => lua.eval("local a = big() return a .. a"), LuaError, "not enough memory");
  // A script that is as large.
  assertThrows(() => lua.eval(`return "${"x".repeat(2_000_000)}"`), LuaError, "not enough memory");
  assertEquals(lua.eval("collectgarbage() return #('x'):rep(300000)"), 300_000);
  // Results do not stay on Lua's stack, either.
  for (let i = 0; i < 20; i++) lua.eval("return ('x'):rep(100000)");
  lua.eval("collectgarbage()");
  assertLess(lua.memory, 200_000);
  assertEquals(
    lua.eval("return math.floor(collectgarbage('count'))"),
    Math.floor(lua.memory / 1024),
  );
}, { memory: 1_000_000 });

testWith(library, "lua: what is freed is counted, and all of it is", () => {
  const lua = new Lua({ memory: 1_000_000 });
  assertGreater(lua.memory, 10_000);
  lua.eval("all = {} for i = 1, 1000 do all[i] = {} end all = nil collectgarbage()");
  lua[Symbol.dispose]();
  assertEquals(lua.memory, 0);
});

test("a finalizer in Lua may call TypeScript, but nothing waits for it", async (lua) => {
  const seen: Value[] = [];
  lua.define("seen", (value) => void seen.push(value!));
  lua.define("later", async (value) => {
    seen.push(value!);
    await sleep(1);
  });
  lua.define("text", (length) => "x".repeat(Number(length)));
  // Collections come where TypeScript pushes its strings.
  const source = `
    for i = 1, 3000 do
      setmetatable({}, { __gc = function() seen(i) end })
      setmetatable({}, { __gc = function() later(-i) end })
      setmetatable({}, { __gc = function() error("ignored") end })
      text(1000)
    end
    collectgarbage()
    return "done"
  `;
  assertEquals(await lua.evalAsync(source), "done");
  assertEquals(seen.filter((i) => Number(i) > 0).length, 3000);
});

testWith(library, "lua: a state leaves no memory behind", async () => {
  const round = async (): Promise<void> => {
    using lua = new Lua();
    lua.define("fail", () => {
      throw new Error("on purpose");
    });
    lua.define("one", function* () {
      yield 1;
    });
    lua.eval("coroutine.wrap(one)() pcall(fail)");
    await lua.evalAsync("fail()").catch(() => {});
  };
  const stateSize = 20_000;
  assertGreater(stateSize / 2, await leftBehind(50, stateSize / 2, round));
});

testWith(library, "examples/lua.ts runs with two libraries' permissions", async () => {
  const maps = await Deno.readTextFile("/proc/self/maps");
  const path = /\/\S*\/liblua5\.4\.so\S*/.exec(maps)?.[0];
  assert(path !== undefined, "an earlier test has opened the library");
  const grant = `--allow-ffi=${path},${fringeLibrary.pathname}`;
  const { code, stdout, stderr } = await run(["run", "--no-prompt", grant, file, path]);
  assertEquals([code, stderr], [0, ""]);
  const expected = /\* {3}prints\n|```text\n([^]*?) \* ```/.exec(
    await Deno.readTextFile(file),
  )![1]!;
  // But for how long it took.
  const lines = (text: string): string[] =>
    text.replaceAll(/\d+\.\d s|\d+ ticks/g, "…").split("\n");
  assertEquals(lines(stdout), lines(expected.replaceAll(/^ \* ?/gm, "")));
  assertMatch(stdout, /after 0\.[2-9] s, and [1-9]\d* ticks/);
});
