// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

// Lua calls back: for each call of a function in TypeScript, for each block of memory. Suspended,
// and with Deno.UnsafeCallback, which cannot be awaited, nor raise an error of Lua's, nor yield.

import { Callback, dlopen, type ScriptGenerator } from "fringe";
import type { Value } from "../examples/lua.ts";
import { howToInstall, isInstalled } from "../tools/packages.ts";
import { bench, INNER, libraryTarget, sumBelow } from "./setup.ts";

const library = "liblua5.4.so.0";

/** What both ways call. The loader finds `realloc` and `free` in libc, which Lua is linked with. */
const definitions = {
  lua_newstate: { parameters: ["function", "pointer"], result: "pointer" },
  luaL_openlibs: { parameters: ["pointer"], result: "void" },
  luaL_loadstring: { parameters: ["pointer", "buffer"], result: "i32" },
  lua_setglobal: { parameters: ["pointer", "buffer"], result: "void" },
  lua_pushcclosure: { parameters: ["pointer", "function", "i32"], result: "void" },
  lua_pcallk: {
    parameters: ["pointer", "i32", "i32", "i32", "isize", "pointer"],
    result: "i32",
  },
  lua_settop: { parameters: ["pointer", "i32"], result: "void" },
  lua_tointegerx: { parameters: ["pointer", "i32", "pointer"], result: "i64" },
  lua_pushinteger: { parameters: ["pointer", "i64"], result: "void" },
  realloc: { parameters: ["pointer", "usize"], result: "pointer" },
  free: { parameters: ["pointer"], result: "void" },
} as const;

libraryTarget("Lua function", 0.45);
libraryTarget("Lua allocator", 1);
if (isInstalled(library)) await measure();
else console.error(`Not measured: ${howToInstall(library)}`);

async function measure(): Promise<void> {
  const { symbols: plain } = Deno.dlopen(library, definitions);
  const { symbols: fringe } = dlopen(library, definitions);

  const cString = (text: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(`${text}\0`);

  // A function that reads an integer and gives it back.
  const called = { parameters: ["pointer"], result: "i32" } as const;
  const same = (thread: Deno.PointerValue): number => {
    plain.lua_pushinteger(thread, plain.lua_tointegerx(thread, 1, null));
    return 1;
  };
  // An allocator, which does what Lua's own does.
  const asked = {
    parameters: ["pointer", "pointer", "usize", "usize"],
    result: "pointer",
  } as const;
  const allocate = (
    _data: Deno.PointerValue,
    block: Deno.PointerValue,
    _before: bigint,
    size: bigint,
  ): Deno.PointerValue => {
    if (size > 0n) return plain.realloc(block, size);
    plain.free(block);
    return null;
  };

  /** Measures a script, in a state whose callbacks are of one kind. */
  const benchScript = (group: string, source: string): void => {
    const text = cString(source);
    const suspendedState = fringe.lua_newstate(new Callback(asked, allocate), null);
    fringe.luaL_openlibs(suspendedState);
    fringe.lua_pushcclosure(suspendedState, new Callback(called, same), 0);
    fringe.lua_setglobal(suspendedState, cString("same"));
    bench(group, `${group}, suspended callback`, () => {
      fringe.luaL_loadstring(suspendedState, text);
      fringe.lua_pcallk(suspendedState, 0, 1, 0, 0n, null);
      const sum = plain.lua_tointegerx(suspendedState, -1, null);
      plain.lua_settop(suspendedState, 0);
      return Number(sum);
    }, sumBelow(INNER));

    const unsafeAllocate = new Deno.UnsafeCallback(asked, allocate).pointer;
    const unsafeState = plain.lua_newstate(unsafeAllocate, null);
    plain.luaL_openlibs(unsafeState);
    plain.lua_pushcclosure(unsafeState, new Deno.UnsafeCallback(called, same).pointer, 0);
    plain.lua_setglobal(unsafeState, cString("same"));
    bench(group, `${group}, Deno.UnsafeCallback`, () => {
      plain.luaL_loadstring(unsafeState, text);
      plain.lua_pcallk(unsafeState, 0, 1, 0, 0n, null);
      const sum = plain.lua_tointegerx(unsafeState, -1, null);
      plain.lua_settop(unsafeState, 0);
      return Number(sum);
    }, sumBelow(INNER));
  };

  const { Lua } = await import("../examples/lua.ts");
  const lua = new Lua();
  lua.define("same", (value) => value!);
  lua.define("later", (value) => Promise.resolve(value!));
  lua.define("echo", function* (value): ScriptGenerator<Value, void, Value> {
    for (;;) value = yield value!;
  });
  const benchExample = (group: string, name: string, source: string): void =>
    bench(group, `${group}, ${name}`, async () => {
      return Number(await lua.evalAsync(source));
    }, sumBelow(INNER));

  benchScript("Lua function", summed("same"));
  benchExample("Lua function", "examples/lua.ts", summed("same"));
  benchExample("Lua function", "awaited", summed("later"));
  benchExample("Lua function", "yielded by a generator", summed("coroutine.wrap(echo)"));
  // A table is a block of memory, which is freed when it has been collected.
  const tables = summed("function(i) return ({ i })[1] end");
  benchScript("Lua allocator", tables);
  benchExample("Lua allocator", "Lua's own", tables);
}

/** A script that adds up what a function gives for 0, 1, … */
function summed(f: string): string {
  return `
    local f, sum = ${f}, 0
    for i = 0, ${INNER - 1} do sum = sum + f(i) end
    return sum
  `;
}
