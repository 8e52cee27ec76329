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
      assertStringIncludes(
        await runPage("page.md", changed) ?? "nothing has failed",
        message,
      );
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
