// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** The demonstration, run as a user runs it, with the one permission that it says it needs. */

import { join } from "node:path";
import { root } from "../../tools/zig.ts";
import { assertEquals, assertMatch, assertStringIncludes } from "../assert.ts";
import { run } from "../support/support.ts";

async function demo(
  ...args: string[]
): Promise<{ code: number; output: string; errors: string }> {
  const file = join(root, "examples", "demo.ts");
  const { code, stdout, stderr } = await run(["run", "--no-prompt", "--allow-ffi", file, ...args]);
  return { code, output: stdout, errors: stderr };
}

Deno.test("demo walks a tree, whatever its files are called, and leaks nothing", async () => {
  const tree = await Deno.makeTempDir();
  try {
    await Deno.mkdir(join(tree, "new\nline"));
    await Deno.writeFile(join(tree, "new\nline", "largest"), new Uint8Array(2_000_000));
    await Deno.writeFile(join(tree, "-small 日本"), new Uint8Array(20));
    await Deno.symlink("nowhere", join(tree, "link"));
    const { code, output, errors } = await demo(tree);
    assertEquals(errors, "");
    assertEquals(code, 0);
    assertStringIncludes(output, "5 entries");
    assertStringIncludes(output, "(2 files, 2 directories, 1 link)");
    assertMatch(output, /2\.0 MB {3}.*new\\u\{a\}line\/largest\n +20 B {4}.*-small 日本\n/);
    assertMatch(output, /file descriptors +(\d+) +\d+ +\1\n/);
    assertMatch(output, /fringe stacks +(\d+) +\d+ +\1\n/);
    assertStringIncludes(output, "2 sizes in");
    assertStringIncludes(output, "in order");
    assertEquals(output.match(/: +1, 2, 3, undefined$/gm)?.length, 2);
  } finally {
    await Deno.remove(tree, { recursive: true });
  }
});

Deno.test("demo walks an empty directory", async () => {
  const tree = await Deno.makeTempDir();
  try {
    const { code, output } = await demo(tree);
    assertEquals(code, 0);
    assertStringIncludes(output, "No files.");
  } finally {
    await Deno.remove(tree);
  }
});

Deno.test("demo says in a sentence why there is nothing to walk", async () => {
  const missing = await demo("/nowhere at all");
  assertEquals([missing.code, missing.output], [1, ""]);
  assertEquals(missing.errors, 'Cannot walk "/nowhere at all": No such file or directory\n');

  const file = await demo(join(root, "mod.ts"));
  assertEquals([file.code, file.output], [1, ""]);
  assertStringIncludes(file.errors, ": Not a directory\n");
});
