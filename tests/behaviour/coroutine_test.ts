// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** Coroutines of C++20 on a fringe stack: they swallow what ends a body, as `catch (...)` does. */

import { join } from "node:path";
import { assert, assertEquals } from "@std/assert";
import { dlopen, Generator, OsStack } from "../../mod.ts";
import { root } from "../../tools/zig.ts";
import { cxx, testWith } from "../support/support.ts";

const number = { parameters: [], result: "i32" } as const;

function open() {
  const folder = join(root, ".zig-cache", "coroutines");
  Deno.mkdirSync(folder, { recursive: true });
  const path = join(folder, "libcoroutines.so");
  const options = ["-std=c++20", "-O2", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared"];
  const { success, stderr } = new Deno.Command(cxx(), {
    args: [
      ...options,
      `-I${join(root, "native/include")}`,
      join(root, "tests/bodies/coroutines.cc"),
      "-o",
      path,
    ],
  }).outputSync();
  assert(success, new TextDecoder().decode(stderr));
  return dlopen(path, {
    suspends_in_coroutine: { input: "i32", output: "i32" },
    alive: number,
    unhandled_count: number,
  });
}

testWith("g++", "a coroutine of C++20 swallows the end, which the next suspension hears of", () => {
  using library = open();
  const { suspends_in_coroutine, alive, unhandled_count } = library.symbols;
  // Behind the coroutine it suspends twice, or not at all: then it comes to its own end.
  for (const [i, times] of [2, 0].entries()) {
    using generator = new Generator(new OsStack(), suspends_in_coroutine);
    assertEquals([generator.resume(times), alive()], [1, 2]);
    assertEquals(generator.return(), { value: undefined, done: true });
    assertEquals([generator.state, alive(), unhandled_count()], ["unavailable", 0, i + 1]);
  }
});
