// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** What `deno test` says of programs that use fringe, when it looks for leaked resources. */

import { join } from "node:path";
import { assertEquals, assertMatch } from "@std/assert";
import { root } from "../../tools/zig.ts";
import { exampleBodies, moduleUrl, run, withFolder } from "../support/support.ts";

const importing = `import { dlopen, Generator, OsStack, OwnedStack } from "${moduleUrl}";\n`;

/** What two pages say to write above the tests. */
const [line, again] = ["testing", "troubleshooting"].map((page) =>
  Deno.readTextFileSync(join(root, `docs/${page}.md`)).match(/^new \w+\(\d*\);/m)?.[0]
);

const opening = `dlopen(${JSON.stringify(exampleBodies.pathname)}, {
  count: { input: "void", output: "i32" },
})`;

/** A test that opens a library of its own, and runs what is native. */
const used = `
  using library = ${opening};
  using generator = new Generator(new OsStack(), library.symbols.count);
  generator.resume();
`;

/** What a test file has above its tests, and whether the first one is blamed then. */
const TOPS: readonly (readonly [top: string, isBlamed: boolean])[] = [
  ["", true],
  ["new OsStack()[Symbol.dispose]();", true],
  [line!, false],
  [`Deno.test.beforeAll(() => { ${line} });`, false],
  [`const library = ${opening};`, false],
];

/** Runs two tests that use fringe, below `top`, and looks for leaked resources. */
async function testBelow(top: string, ...flags: string[]): Promise<{ code: number; said: string }> {
  return await withFolder(async (folder) => {
    await Deno.writeTextFile(join(folder, "preloaded.ts"), `${importing}${line}`);
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
  assertEquals(line, again);
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
