// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * `longjmp`, and what is built on it: out of one call into another that is suspended it is noticed,
 * and all that only looks like it is left alone.
 */

import { join } from "node:path";
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import {
  Callback,
  dlopen,
  Generator,
  OsStack,
  OwnedStack,
  type TailCall,
  tailCall,
} from "../../mod.ts";
import { moduleUrl, runChild, testBodies, testWith, withFolder } from "../support/support.ts";

const begin = `
  import { dlopen, Generator, OsStack } from ${JSON.stringify(moduleUrl)};
  const f = { callback: { parameters: ["i32"], result: "i32" } };
  const library = dlopen(${JSON.stringify(testBodies.pathname)}, {
    catches: { parameters: [f], result: "i32" },
    catches_again: { parameters: [f], result: "i32" },
    catches_body: { input: "void", output: "i32" },
    jumps: { parameters: [], result: "i32" },
    jumps_elsewhere: { name: "jumps", parameters: [], result: "i32", nonblocking: true },
    call_n: { parameters: ["i32", f], result: "i32" },
  });
  const { catches, catches_again, catches_body, jumps, call_n } = library.symbols;
`;

/** By what C does next, once it has jumped. */
const jumps: Readonly<Record<string, string>> = {
  "and returns": `catches(() => jumps());`,
  "and calls back": `catches_again((i) => i === 1 ? jumps() : 7);`,
  "and returns, two calls further": `catches(() => call_n(3, () => jumps()));`,
  "and calls back, two calls further": `catches_again(() => call_n(3, () => jumps()));`,
  "of an awaited call": `
    const call = catches.async(() => new Promise((resolve) => setTimeout(resolve, 1000)));
    jumps();
    await call;
  `,
  "of a pulled call": `
    const calls = catches_again.calls();
    calls.next();
    jumps();
  `,
  "of a TypeScript body": `
    const generator = new Generator(new OsStack(), function* (yielder) {
      return yield* yielder.call(catches, function* () {
        yield 1;
        return 1;
      });
    });
    generator.next();
    jumps();
  `,
  "that is a generator's body": `
    const generator = new Generator(new OsStack(), catches_body);
    generator.resume();
    jumps();
  `,
};

for (const [how, source] of Object.entries(jumps)) {
  Deno.test(`a jump into the frames of a suspended call ${how} ends the process`, async () => {
    const { signal, stdout, stderr } = await runChild(
      `${begin}${source}; console.log("went on");`,
      ["--allow-ffi"],
    );
    assertEquals([signal, stdout], ["SIGABRT", ""], stderr);
    assertStringIncludes(stderr, "fringe: C has jumped (longjmp, lua_error, ...) out of one call");
    assertStringIncludes(stderr, "have the handler return tailCall(f, ...), and C itself calls it");
  });
}

Deno.test("the library of a tail call stays while its function runs", async () => {
  await withFolder(async (folder) => {
    const copy = join(folder, "libcopy.so");
    await Deno.copyFile(testBodies, copy);
    const source = `
      ${begin}
      import { Callback, tailCall } from ${JSON.stringify(moduleUrl)};
      const other = dlopen(${JSON.stringify(copy)}, {
        keep: { parameters: ["function"], result: "void" },
        call_kept: { parameters: ["i32"], result: "i32" },
      });
      // call_kept, of the library that is closed meanwhile, is to go on behind this callback.
      const kept = new Callback({ parameters: ["i32"], result: "i32" }, (i) => {
        other.close();
        return 10 * i;
      });
      other.symbols.keep(kept);
      console.log(call_n(1, () => tailCall(other.symbols.call_kept, 7)));
    `;
    const { stdout, stderr } = await runChild(source, ["--allow-ffi"]);
    assertEquals(stdout, "70\n", stderr);
  });
});

testWith("liblua5.4.so.0", "a jump by lua_error in a handler ends the process", async () => {
  const source = `
    import { Callback, dlopen } from ${JSON.stringify(moduleUrl)};
    const lua = dlopen("liblua5.4.so.0", {
      luaL_newstate: { parameters: [], result: "pointer" },
      lua_pushcclosure: { parameters: ["pointer", "function", "i32"], result: "void" },
      lua_pcallk: {
        parameters: ["pointer", "i32", "i32", "i32", "isize", "pointer"],
        result: "i32",
      },
      lua_pushstring: { parameters: ["pointer", "cstring"], result: "pointer" },
      lua_error: { parameters: ["pointer"], result: "i32" },
    }).symbols;
    const state = lua.luaL_newstate();
    const fails = new Callback({ parameters: ["pointer"], result: "i32" }, (state) => {
      lua.lua_pushstring(state, "an error");
      return lua.lua_error(state);
    });
    lua.lua_pushcclosure(state, fails, 0);
    console.log(lua.lua_pcallk(state, 0, 0, 0, 0n, null));
  `;
  const { signal, stdout, stderr } = await runChild(source, ["--allow-ffi"]);
  assertEquals([signal, stdout], ["SIGABRT", ""], stderr);
  assertStringIncludes(stderr, "fringe: C has jumped");
});

// What is right: C that is told to jump, in place of a callback's return

/** The functions of Lua that jump, and what has them called. */
const luaDefinitions = {
  luaL_newstate: { parameters: [], result: "pointer" },
  luaL_openlibs: { parameters: ["pointer"], result: "void" },
  luaL_loadstring: { parameters: ["pointer", "cstring"], result: "i32" },
  lua_close: { parameters: ["pointer"], result: "void" },
  lua_setglobal: { parameters: ["pointer", "cstring"], result: "void" },
  lua_pushcclosure: { parameters: ["pointer", "function", "i32"], result: "void" },
  lua_pushstring: { parameters: ["pointer", "cstring"], result: "pointer" },
  lua_tolstring: { parameters: ["pointer", "i32", "pointer"], result: "cstring" },
  lua_settop: { parameters: ["pointer", "i32"], result: "void" },
  lua_pcallk: {
    parameters: ["pointer", "i32", "i32", "i32", "isize", "pointer"],
    result: "i32",
  },
  lua_pcall_elsewhere: {
    name: "lua_pcallk",
    parameters: ["pointer", "i32", "i32", "i32", "isize", "pointer"],
    result: "i32",
    nonblocking: true,
  },
  lua_pcall_on_thread: {
    name: "lua_pcallk",
    parameters: ["pointer", "i32", "i32", "i32", "isize", "pointer"],
    result: "i32",
    nonblocking: "thread",
  },
  // const char *reader(lua_State *, void *data, size_t *size)
  lua_load: {
    parameters: [
      "pointer",
      { callback: { parameters: ["pointer", "pointer", "pointer"], result: "pointer" } },
      ...["pointer", "cstring", "cstring"] as const,
    ],
    result: "i32",
  },
  lua_error: { parameters: ["pointer"], result: "i32" },
  luaL_error: { parameters: ["pointer", "cstring", "cstring"], result: "i32", variadic: 2 },
  luaL_checkinteger: { parameters: ["pointer", "i32"], result: "i64" },
  lua_yieldk: { parameters: ["pointer", "i32", "isize", "function"], result: "i32" },
} as const;

/** A state of Lua with a function for each way to jump; `handle` makes what answers Lua. */
function openLua<Answer>(handle: (answer: TailCall) => Answer) {
  const library = dlopen("liblua5.4.so.0", luaDefinitions);
  const lua = library.symbols;
  const state = lua.luaL_newstate()!;
  lua.luaL_openlibs(state);
  const resumed = new Callback(
    { parameters: ["pointer", "i32", "isize"], result: "i32" },
    (thread, _, context) => {
      lua.lua_pushstring(thread, `context ${context}`);
      return 2; // what the coroutine was resumed with, and this
    },
  );
  const functions: Record<string, (thread: Deno.PointerValue) => TailCall> = {
    raise(thread) {
      lua.lua_pushstring(thread, "raised");
      return tailCall(lua.lua_error, thread);
    },
    format: (thread) => tailCall(lua.luaL_error, thread, "formatted: %s", "text"),
    // Lua takes the integer that it returns for the number of its results.
    check: (thread) => tailCall(lua.luaL_checkinteger, thread, 1),
    yields(thread) {
      lua.lua_pushstring(thread, "yielded");
      return tailCall(lua.lua_yieldk, thread, 1, 7, resumed);
    },
  };
  const callbacks: Disposable[] = [resumed];
  for (const [name, f] of Object.entries(functions)) {
    const callback = new Callback(
      { parameters: ["pointer"], result: "i32" },
      // deno-lint-ignore no-explicit-any -- each form has handlers of its own
      (thread) => handle(f(thread)) as any,
    );
    callbacks.push(callback);
    lua.lua_pushcclosure(state, callback, 0);
    lua.lua_setglobal(state, name);
  }
  return {
    lua,
    state,
    /** What the script has given, and whether that is an error. */
    take(status: number): string {
      const said = lua.lua_tolstring(state, -1, null);
      lua.lua_settop(state, 0);
      return `${status}: ${said}`;
    },
    [Symbol.dispose]() {
      lua.lua_close(state);
      for (const callback of callbacks) callback[Symbol.dispose]();
      library.close();
    },
  };
}

/** Scripts, and what comes of them. */
const scripts: readonly (readonly [script: string, said: string])[] = [
  ["raise()", "2: raised"],
  ["return select(2, pcall(raise))", "0: raised"],
  ["return select(2, pcall(format))", "0: formatted: text"],
  [
    "local function f() format() end f()",
    '2: [string "local function f() format() end f()"]:1: ' +
    "formatted: text",
  ],
  ["return check(1)", "0: 1"],
  [
    "return select(2, pcall(check, 'x'))",
    "0: bad argument #1 to 'check' (number expected, got string)",
  ],
  [
    "check()",
    "2: [string \"check()\"]:1: bad argument #1 to 'check' (number expected, got no value)",
  ],
  [
    "local co = coroutine.wrap(yields) return co() .. ', ' .. table.concat({ co('in') }, ', ')",
    "0: yielded, in, context 7",
  ],
  // Across pcall, which Lua resumes by itself.
  [
    `local co = coroutine.wrap(function() return pcall(yields, 1) end)
    return co() .. ", " .. select(3, co("in", 2))`,
    "0: yielded, context 7",
  ],
  ["yields()", "2: attempt to yield from outside a coroutine"],
  [
    `local closed
    pcall(function()
      local guard <close> = setmetatable({}, { __close = function() closed = "closed" end })
      raise()
    end)
    return closed`,
    "0: closed",
  ],
];

testWith("liblua5.4.so.0", "Lua raises and yields in place of a callback, by f()", () => {
  using opened = openLua((answer) => answer);
  const { lua, state, take } = opened;
  for (let i = 0; i < 20; i++) {
    for (const [script, said] of scripts) {
      assertEquals(lua.luaL_loadstring(state, script), 0);
      assertEquals(take(lua.lua_pcallk(state, 0, 1, 0, 0, null)), said);
    }
  }
});

testWith("liblua5.4.so.0", "the same by f.async(), and on other threads", async () => {
  using opened = openLua(async (answer) => {
    await new Promise((resolve) => setTimeout(resolve));
    return answer;
  });
  const { lua, state, take } = opened;
  const { lua_pcallk, lua_pcall_elsewhere, lua_pcall_on_thread } = lua;
  for (const call of [lua_pcallk.async, lua_pcall_elsewhere, lua_pcall_on_thread]) {
    for (const [script, said] of scripts) {
      assertEquals(lua.luaL_loadstring(state, script), 0);
      assertEquals(take(await call(state, 0, 1, 0, 0, null)), said);
    }
  }
});

testWith("liblua5.4.so.0", "the same by f.calls()", () => {
  using opened = openLua((answer) => answer);
  const { lua, state, take } = opened;
  for (const [script, said] of scripts) {
    assertEquals(lua.luaL_loadstring(state, script), 0);
    const { done, value } = lua.lua_pcallk.calls(state, 0, 1, 0, 0, null).next();
    assertEquals(done, true);
    assertEquals(take(Number(value)), said);
  }
  // Here whoever pulls answers: what reads a script raises an error, and Lua's parser ends.
  for (let i = 0; i < 20; i++) {
    const calls = lua.lua_load.calls(state, null, "=pulled", null);
    const step = calls.next();
    assert(!step.done);
    lua.lua_pushstring(state, `read ${i}`);
    step.value.reply(tailCall(lua.lua_error, state));
    assertEquals(take(Number(calls.next().value)), `2: read ${i}`);
  }
});

testWith("liblua5.4.so.0", "the same by yielder.call()", () => {
  using opened = openLua(function* (answer) {
    yield "asked";
    return answer;
  });
  const { lua, state, take } = opened;
  for (const [script, said] of scripts) {
    assertEquals(lua.luaL_loadstring(state, script), 0);
    using generator = new Generator<void, string, number>(new OsStack(), function* (yielder) {
      return yield* yielder.call(lua.lua_pcallk, state, 0, 1, 0, 0, null);
    });
    let step = generator.next();
    for (; !step.done; step = generator.next()) assertEquals(step.value, "asked");
    assertEquals(take(step.value), said);
  }
});

// What only looks like a jump out of a call

const callback = { callback: { parameters: ["i32"], result: "i32" } } as const;
const open = () =>
  dlopen(testBodies, {
    jumps_itself: { parameters: [callback], result: "i32" },
    resumes_one: { parameters: [callback], result: "i32" },
    on_small_stack: { parameters: [callback], result: "i32" },
  });

Deno.test("a jump within a call goes on", () => {
  using library = open();
  const { jumps_itself } = library.symbols;
  for (let i = 0; i < 3; i++) assertEquals(jumps_itself((i) => i), 102);
  assertEquals(jumps_itself(() => jumps_itself((i) => i)), 202);
});

Deno.test("a callback on the stack of a generator that C resumes goes on", async () => {
  using library = open();
  const { resumes_one, jumps_itself } = library.symbols;
  for (let i = 0; i < 3; i++) assertEquals(resumes_one((i) => 10 * i), 30);
  assertEquals(resumes_one((i) => jumps_itself((j) => i + j)), 102 + 1 + 102 + 2);
  assertEquals(await resumes_one.async((i) => Promise.resolve(i)), 3);
});

Deno.test("a callback on a small stack of C's goes on, and writes nothing below it", async () => {
  using library = open();
  const { on_small_stack, resumes_one } = library.symbols;
  for (let i = 0; i < 3; i++) assertEquals(on_small_stack((i) => 10 * i), 30);
  assertEquals(on_small_stack((i) => resumes_one(() => i)), 2 + 4);
  assertEquals(await on_small_stack.async((i) => Promise.resolve(i)), 3);
});

Deno.test("calls on stacks of every kind go on, one inside the other", () => {
  using library = open();
  const { jumps_itself, resumes_one } = library.symbols;
  for (const stack of [new OsStack(), new OwnedStack(1 << 18)]) {
    const generator = Generator.unguarded<void, number, number>(stack, function* (yielder) {
      return yield* yielder.call(resumes_one, function* (i: number) {
        yield i;
        return jumps_itself((j) => j);
      });
    });
    assertEquals([...generator], [1, 2]);
    generator.unwrap()[Symbol.dispose]();
  }
});
