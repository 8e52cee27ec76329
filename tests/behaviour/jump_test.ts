// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * `longjmp`, and what is built on it: out of one call into another that is suspended it is noticed,
 * and all that only looks like it is left alone.
 */

import { join } from "node:path";
import { assertEquals, assertStringIncludes } from "@std/assert";
import { dlopen, Generator, OsStack, OwnedStack } from "../../mod.ts";
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

// What is right

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
