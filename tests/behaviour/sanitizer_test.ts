// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** What `deno test` says of programs that use fringe, when it looks for leaked resources. */

import { join } from "node:path";
import { assertEquals, assertMatch } from "@std/assert";
import { exampleBodies, moduleUrl, run, withFolder } from "../support/support.ts";

const importing = `import { dlopen, OsStack } from ${JSON.stringify(moduleUrl)};\n`;
const used = "new OsStack()[Symbol.dispose]();";

/** What a test file has above its tests, and whether the first one is blamed then. */
const TOPS: readonly (readonly [top: string, isBlamed: boolean])[] = [
  ["", true],
  [used, false],
  [`Deno.test.beforeAll(() => { ${used} });`, false],
  [
    `const library = dlopen(${JSON.stringify(exampleBodies.pathname)}, {
      count: { input: "void", output: "i32" },
    });`,
    false,
  ],
];

/** Runs two tests that use fringe, below `top`, and looks for leaked resources. */
async function testBelow(top: string, ...flags: string[]): Promise<{ code: number; said: string }> {
  return await withFolder(async (folder) => {
    await Deno.writeTextFile(join(folder, "preloaded.ts"), `${importing}${used}`);
    await Deno.writeTextFile(
      join(folder, "any_test.ts"),
      `${importing}${top}
      Deno.test.sanitizer({ ops: true, resources: true });
      Deno.test("first", () => { ${used} });
      Deno.test("second", () => { ${used} });`,
    );
    const absolute = flags.map((flag) => flag.replace("FOLDER", folder));
    const { code, stdout } = await run(["test", "-A", "--no-check", ...absolute, folder]);
    return { code, said: stdout };
  });
}

Deno.test("deno test blames the first test that uses fringe, if it is the first use", async () => {
  for (const [top, isBlamed] of TOPS) {
    const { code, said } = await testBelow(top);
    assertEquals(code, isBlamed ? 1 : 0, `${top}: ${said}`);
    assertMatch(said, isBlamed ? /first \.\.\. FAILED/ : /2 passed \| 0 failed/);
  }
});

Deno.test("deno test blames nobody where --preload has used fringe before", async () => {
  const { code, said } = await testBelow("", "--preload=FOLDER/preloaded.ts");
  assertEquals(code, 0, said);
  assertMatch(said, /2 passed \| 0 failed/);
});
