// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * What docs/runtimes.md says of C that is suspended while it holds something. Each part of the
 * page's recipes is needed: without it the page's own snippets fail, as the page says. That the
 * snippets work as they stand is a test of house/docs_test.ts.
 */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { dlopen } from "../../mod.ts";
import type { Installable } from "../../tools/packages.ts";
import { runPage, sectionsOf } from "../support/page.ts";
import { text } from "../support/repository.ts";
import { moduleUrl, runChild, testWith } from "../support/support.ts";

/** A part of a recipe: what to replace, by what, and what is said then. */
interface Part {
  readonly name: string;
  readonly recipe: string;
  readonly instead: string;
  readonly message: string;
}

const recipes: Partial<Record<Installable, readonly Part[]>> = {
  "/usr/lib/jvm/default-java/lib/server/libjvm.so": [
    {
      name: "a JVM needs a thread of its own",
      recipe: '{ nonblocking: "thread" }',
      instead: "{}",
      message: "SIGSEGV",
    },
  ],
  "/usr/lib/R/lib/libR.so": [
    {
      name: "R has to know where the stack begins",
      recipe: "at(r.R_CStackStart).setBigUint64(0, stack.base);",
      instead: "",
      message: "is too close to the limit",
    },
  ],
  "libruby-3.1.so.3.1": [
    {
      name: "Ruby has to begin on the stack that it runs on",
      recipe: "await ruby.ruby_init.async({ stack });",
      instead: `Deno.dlopen("libruby-3.1.so.3.1", {
        ruby_init: { parameters: [], result: "void" },
      }).symbols.ruby_init();`,
      message: "An error was suppressed", // since nothing is printed either
    },
    {
      name: "Ruby has one stack",
      recipe: "rb_eval_string_protect.async(code, state, { stack })",
      instead: "rb_eval_string_protect.async(code, state)",
      message: "[BUG] system stack overflow during GC",
    },
  ],
  "libguile-3.0.so.1": [
    {
      name: "Guile's collector has to know where the stack begins",
      recipe: "gc.GC_set_stackbottom(null, BigUint64Array.of(stack.base));",
      instead: "{};",
      message: "SIGSEGV",
    },
    {
      name: "Guile has to begin on the stack that it measures",
      recipe: "enter();\nawait guile",
      instead: `Deno.dlopen("libguile-3.0.so.1", {
        scm_init_guile: { parameters: [], result: "void" },
      }).symbols.scm_init_guile();
      enter();
      await guile`,
      message: "ended with",
    },
  ],
  "libgc.so.1": [
    {
      name: "Boehm's collector has to know of a suspended stack",
      recipe: "gc.GC_add_roots(stack.limit, stack.base);",
      instead: "",
      message: "the comment says `500500n`",
    },
    {
      name: "Boehm's collector has to know of the stack of f.async()",
      recipe: "enter();\nconst sum",
      instead: "const sum",
      message: "SIGSEGV",
    },
  ],
  "libpython3.11.so.1.0": [
    {
      name: "Python fails later where a handler's error has no stop",
      recipe: ", stop: null }",
      instead: " }",
      message: 'the comment says `300 Set(1) {"there is no 0"}`',
    },
    {
      name: "Python's calls have to queue",
      recipe: "last.then(() => py.PyRun_SimpleString.async(code))",
      instead: "py.PyRun_SimpleString.async(code)",
      message: "SIGSEGV",
    },
    {
      name: "Python uses up the usual stack where its own limit is raised",
      recipe: "stackSize: 256 << 20,",
      instead: "",
      message: "stack overflow in function `PyRun_SimpleString`",
    },
  ],
  "liblua5.4.so.0": [
    {
      name: "Lua closes nothing where a handler's error has no stop",
      recipe: '"i32", stop: (thread) => raise(thread, "ended") }',
      instead: '"i32" }',
      message: "it prints `null`, and the comment says `closed`",
    },
    {
      name: "Lua's calls need a thread each",
      recipe: "const thread = lua.lua_newthread(state);",
      instead: "lua.lua_newthread(state); const thread = state;",
      message: "SIGSEGV",
    },
    {
      name: "Lua's panic ends the process",
      recipe: "lua.lua_atpanic(state, panic);",
      instead: "",
      message: "PANIC: unprotected error",
    },
  ],
};

for (const [library, parts] of Object.entries(recipes)) {
  const section = sectionsOf(text("docs/runtimes.md"))
    .find(({ needs }) => needs.includes(library as Installable))!.text;
  for (const { name, recipe, instead, message } of parts) {
    testWith(library as Installable, name, async () => {
      const changed = section.replace(recipe, instead);
      assert(changed !== section, `docs/runtimes.md no longer has ${recipe}`);
      // What lies beside a stack is chance, and with it whether what reads on from there ends by a
      // signal. So one try that fails as it should is enough.
      let said = "";
      for (let i = 0; i < 5 && !said.includes(message); i++) {
        said = await runPage("page.md", changed) ?? "nothing has failed";
      }
      assertStringIncludes(said, message);
    });
  }
}

Deno.test("pthread_once waits for ever for a call of it that is awaited", async () => {
  const { signal, stdout, stderr } = await runChild(
    `
      import { dlopen } from ${JSON.stringify(moduleUrl)};
      const { alarm, pthread_once } = dlopen("libc.so.6", {
        alarm: { parameters: ["u32"], result: "u32" }, // SIGALRM ends the process
        pthread_once: {
          parameters: ["buffer", { callback: { parameters: [], result: "void" } }],
          result: "i32",
        },
      }).symbols;
      const wait = () => new Promise((resolve) => setTimeout(resolve, 10));

      const first = new Int32Array(1);
      await pthread_once.async(first, wait);
      await pthread_once.async(first, wait);
      console.log("one after the other");

      const second = new Int32Array(1);
      pthread_once.async(second, wait);
      alarm(2);
      pthread_once.async(second, wait);
      console.log("both at once");
    `,
    ["--allow-ffi"],
  );
  assertEquals([signal, stdout], ["SIGALRM", "one after the other\n"], stderr);
});

Deno.test("pthread_once that is exclusive waits for no call of it that is awaited", async () => {
  using libc = dlopen("libc.so.6", {
    pthread_once: {
      parameters: ["buffer", { callback: { parameters: [], result: "void" } }],
      result: "i32",
      exclusive: true,
    },
  });
  const { pthread_once } = libc.symbols;
  let times = 0;
  const wait = async () => {
    await new Promise((resolve) => setTimeout(resolve, 10));
    times++;
  };
  const once = new Int32Array(1);
  const calls = [1, 2, 3].map(() => pthread_once.async(once, wait));
  assertEquals([await Promise.all(calls), times], [[0, 0, 0], 1]);
});

/** Runs into Python's own limit, by way of whatever C lies between two calls. */
const recursions = `
import copy, json, pickle
class Nested:
    def __repr__(self): return repr(Nested())
    def __eq__(self, other): return Nested() == Nested()
    def __lt__(self, other): return sorted([Nested(), Nested()])
    def __getattr__(self, name): return getattr(Nested(), name)
    def __call__(self): return max([1, 2], key=lambda _: Nested()())
nested = []
for _ in range(100_000): nested = [nested]
def down(): return down()
tries = [
    down, lambda: repr(Nested()), lambda: Nested() == Nested(), lambda: sorted([Nested()] * 2),
    lambda: Nested().x, Nested(), lambda: repr(nested), lambda: json.dumps(nested),
    lambda: copy.deepcopy(nested), lambda: pickle.dumps(nested), lambda: nested == [[nested]],
    lambda: compile("a." * 100_000 + "b", "", "eval"),
]
for f in tries:
    try: f()
    except RecursionError: continue
    raise Exception("no limit")
`;

testWith("libpython3.11.so.1.0", "Python comes to its own limit of calls first", async () => {
  const run = (by: string) =>
    runChild(
      `
        import { dlopen } from ${JSON.stringify(moduleUrl)};
        const run = { name: "PyRun_SimpleString", parameters: ["cstring"], result: "i32" };
        const { init, usual, small } = dlopen("libpython3.11.so.1.0", {
          init: { name: "Py_InitializeEx", parameters: ["i32"], result: "void" },
          usual: run,
          small: { ...run, stackSize: 2 ** 20 },
        }).symbols;
        init(0);
        console.log(await ${by}(${JSON.stringify(recursions)}));
      `,
      ["--allow-ffi"],
    );
  for (const by of ["usual", "usual.async"]) {
    const { signal, stdout, stderr } = await run(by);
    assertEquals([signal, stdout], [null, "0\n"], stderr);
  }
  const { signal, stderr } = await run("small");
  assertEquals(signal, "SIGSEGV");
  assertStringIncludes(stderr, "stack overflow in function `PyRun_SimpleString`");
});

/** A program that prints what LuaJIT makes of some chunks, each in the Lua thread `thread`. */
const luajit = (thread: string): string => `
  import { Callback, dlopen, tailCall } from ${JSON.stringify(moduleUrl)};
  const lua = dlopen("libluajit-5.1.so.2", {
    luaL_newstate: { parameters: [], result: "pointer" },
    luaL_openlibs: { parameters: ["pointer"], result: "void" },
    luaL_loadstring: { parameters: ["pointer", "cstring"], result: "i32" },
    lua_error: { parameters: ["pointer"], result: "i32" },
    lua_newthread: { parameters: ["pointer"], result: "pointer" },
    lua_pcall: { parameters: ["pointer", "i32", "i32", "i32"], result: "i32" },
    lua_pushcclosure: { parameters: ["pointer", "function", "i32"], result: "void" },
    lua_pushinteger: { parameters: ["pointer", "isize"], result: "void" },
    lua_pushstring: { parameters: ["pointer", "cstring"], result: "pointer" },
    lua_setfield: { parameters: ["pointer", "i32", "cstring"], result: "void" },
    lua_tointeger: { parameters: ["pointer", "i32"], result: "isize" },
    lua_tolstring: { parameters: ["pointer", "i32", "pointer"], result: "cstring" },
  }).symbols;
  const state = lua.luaL_newstate();
  lua.luaL_openlibs(state);
  const fetch = new Callback({ parameters: ["pointer"], result: "i32" }, async (thread) => {
    const key = Number(lua.lua_tointeger(thread, 1));
    await new Promise((resolve) => setTimeout(resolve, key));
    if (key === 0) {
      lua.lua_pushstring(thread, "there is no 0");
      return tailCall(lua.lua_error, thread);
    }
    lua.lua_pushinteger(thread, BigInt(10 * key));
    return 1;
  });
  lua.lua_pushcclosure(state, fetch, 0);
  lua.lua_setfield(state, -10002, "fetch"); // LUA_GLOBALSINDEX

  async function run(chunk) {
    const thread = ${thread};
    lua.luaL_loadstring(thread, chunk);
    await lua.lua_pcall.async(thread, 0, 1, 0);
    return lua.lua_tolstring(thread, -1, null);
  }
  const fast = run("return fetch(1)");
  const slow = run("local a, b = 1, 2 local c = fetch(20) return a + b + c");
  console.log(await fast, await run("return select(2, pcall(fetch, 0))"), await slow);
  console.log(await run(\`
    local list = {}
    for i = 1, 1e5 do list[i] = { i } end
    collectgarbage() fetch(1) collectgarbage()
    local sum = 0
    for _, it in ipairs(list) do sum = sum + it[1] end
    return sum
  \`));
  console.log(await run(\`
    local function down() return 1 + down() end
    return select(2, pcall(down))
  \`));
`;

testWith(
  "libluajit-5.1.so.2",
  "LuaJIT works as it is, with a Lua thread for each call",
  async () => {
    const own = await runChild(luajit("lua.lua_newthread(state)"), ["--allow-ffi"]);
    const [values, sum, overflow] = own.stdout.split("\n");
    assertEquals(
      [own.signal, values, sum],
      [null, "10 there is no 0 203", "5000050000"],
      own.stderr,
    );
    assertStringIncludes(overflow ?? "", "stack overflow");
    const shared = await runChild(luajit("(lua.lua_newthread(state), state)"), ["--allow-ffi"]);
    assert(shared.stdout.split("\n")[0] !== values, "Lua threads are not needed");
  },
);

// In a process of its own, on its main thread: there nothing is mapped between the two stacks.
testWith("libgc.so.1", "Boehm's collector has to know where the stack begins", async () => {
  const collect = (recipe: string) =>
    runChild(
      `
        import { dlopen, Generator, OsStack } from ${JSON.stringify(moduleUrl)};
        const gc = Deno.dlopen("libgc.so.1", {
          GC_init: { parameters: [], result: "void" },
          GC_get_my_stackbottom: { parameters: ["buffer"], result: "pointer" },
          GC_set_stackbottom: { parameters: ["pointer", "buffer"], result: "void" },
        }).symbols;
        const { GC_gcollect } = dlopen("libgc.so.1", {
          GC_gcollect: { parameters: [], result: "void" },
        }).symbols;
        gc.GC_init();
        const thread = gc.GC_get_my_stackbottom(new BigUint64Array(1));
        const stack = new OsStack();
        ${recipe}
        new Generator(stack, function* (yielder) {
          yield* yielder.call(GC_gcollect);
        }).next();
        console.log("collected");
      `,
      ["--allow-ffi"],
    );
  const told = await collect("gc.GC_set_stackbottom(thread, BigUint64Array.of(stack.base));");
  assertEquals([told.signal, told.stdout], [null, "collected\n"], told.stderr);
  const untold = await collect("");
  assertEquals([untold.signal, untold.stdout], ["SIGSEGV", ""], untold.stderr);
});
