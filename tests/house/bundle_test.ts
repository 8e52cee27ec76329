// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** `ffi/fringe.js`, which is what a program loads that imports `mod.ts` from elsewhere. */

import { join } from "node:path";
import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import * as mod from "../../mod.ts";
import * as sources from "../../ffi/exports.ts";
import { BUNDLE, bundle, compiledAtOnce, withNumbers } from "../../tools/bundle.ts";
import { root } from "../../tools/zig.ts";
import { assertSucceeds, run, runChild, testBodies, withFolder } from "../support/support.ts";

// deno.json maps the path of the bundle to the sources: not so the same path with a query.
const bundled = await import(`../../${BUNDLE}?`) as typeof sources;

Deno.test("the bundle exports what mod.ts does, and the sources do", () => {
  assertEquals(Object.keys(bundled).sort(), Object.keys(mod).sort());
  assertEquals(Object.keys(sources).sort(), Object.keys(mod).sort());
});

Deno.test("mod.ts has the classes of the bundle, and in the checkout of the sources", async () => {
  assertEquals(mod.OsStack, sources.OsStack);
  assertEquals(mod.OsStack === bundled.OsStack, false);
  await withFolder(async (folder) => {
    const file = join(folder, "main.ts");
    await Deno.writeTextFile(
      file,
      `import { OsStack } from "file://${root}/mod.ts";
       import * as bundled from "file://${root}/${BUNDLE}";
       console.log(OsStack === bundled.OsStack);`,
    );
    assertSucceeds(await run(["run", "--no-check", file]), "true\n");
  });
});

Deno.test("bundle() leaves statements as they are, and takes types and comments away", async () => {
  const text = await bundle();
  assertStringIncludes(text, "\nclass OsStack extends Stack {\n");
  assertStringIncludes(text, "\nconst types = new Map();\n");
  assertEquals(text.match(/^ *(?:\/\*|var\b).*/gm), null);
});

Deno.test("bundle() has numbers in place of the names that stand for them", async () => {
  const text = await bundle();
  assertStringIncludes(text, "if (entry === 1) {");
  assertEquals(text.match(/\b(?:Entry|Way|Status)\.\w+/g), null);
});

/** How many bytes of bytecode V8 makes of a method or a function of the bundle. */
async function bytecodeOf(name: string): Promise<number> {
  const { code, stdout, stderr } = await runChild(
    `
      import { dlopen, Generator, OsStack } from "file://${root}/mod.ts";
      const { symbols } = dlopen(new URL(${JSON.stringify(testBodies)}), {
        echo_f64: { input: "f64", output: "f64" },
      });
      const generator = new Generator(new OsStack(), symbols.echo_f64);
      generator.resume(1);
      generator.resume(2);
    `,
    ["-A", `--v8-flags=--print-bytecode,--print-bytecode-filter=${name}`],
  );
  assertEquals(code, 0, stderr);
  return Number(/^Bytecode length: (\d+)$/m.exec(stdout)?.[1]);
}

Deno.test("V8 has room for all of a resume in a loop, whatever the types", async () => {
  // V8 inlines 920 bytes into a function, and counts 1.2 for each byte of a function together with
  // what it has inlined into that (--max-inlined-bytecode-size-cumulative, and
  // --reserve-inline-budget-scale-factor). `resume` is too short to count.
  const lengths = await Promise.all(["#run", "#enter", "pass"].map(bytecodeOf));
  const sum = lengths.reduce((sum, length) => sum + length);
  // What is rare stays out, also where it is not: V8 inlines no function of more than 460 bytes.
  assert(await bytecodeOf("#resume") > 460);
  assert(sum * 1.2 < 920, `they have ${lengths.join(" + ")} = ${sum} bytes`);
});

Deno.test("withNumbers() replaces uses of a number, and nothing else", () => {
  const head =
    `const ONE = 1, TEXT = "1", Way = { two: 2, three: 0x3, less: -7 }, Mixed = { a: 4, b: TEXT };
const { two: TWO, three, less } = Way;
const { a } = Mixed;
let changed = 5;
`;
  const cases: [before: string, after: string][] = [
    ["f(ONE, TWO, three, Way.two);", "f(1, 2, 3, 2);"],
    ["f(less - ONE, Way.less, -ONE, -0x3);", "f(-7 - 1, -7, -1, -0x3);"],
    [
      "f(TEXT, a, Mixed.a, changed, Way, Way.other);",
      "f(TEXT, a, Mixed.a, changed, Way, Way.other);",
    ],
    ["f({ ONE, TWO: three }, g.ONE, g?.TWO);", "f({ ONE, TWO: 3 }, g.ONE, g?.TWO);"],
    ["class A { ONE = TWO; three() {} }", "class A { ONE = 2; three() {} }"],
    ["export { ONE, TWO as three };", "export { ONE, TWO as three };"],
    ["ONE.toFixed(), Way.two.toFixed(), -ONE;", "ONE.toFixed(), Way.two.toFixed(), -1;"],
    ["three: for (;;) break three;", "three: for (;;) break three;"],
    // An object that may change has no field with a number.
    ["Way.two++; f(Way.three, TWO);", "Way.two++; f(Way.three, 2);"],
    ["Way.two = 5; f(Way.two);", "Way.two = 5; f(Way.two);"],
    ["f(Way); f(Way.two);", "f(Way); f(Way.two);"],
    ["const w = Way; w.two = 5; f(Way.two);", "const w = Way; w.two = 5; f(Way.two);"],
    ["f({ Way }); f(Way.two);", "f({ Way }); f(Way.two);"],
    // Declared once more, so no use of it is touched.
    ["function g(ONE) { return ONE + TWO; }", "function g(ONE) { return ONE + 2; }"],
    ["const h = ({ x: TWO }) => TWO + ONE;", "const h = ({ x: TWO }) => TWO + 1;"],
  ];
  for (const [before, after] of cases) {
    assertEquals(withNumbers(head + before), head + after, before);
  }
});

Deno.test("compiledAtOnce() puts functions in parentheses, and misses none", () => {
  const code = "const a = 1;\nfunction f(x) { return x; }\nfunction f$1() {}\nfunction g() {}\n";
  assertEquals(
    compiledAtOnce(code, ["f"]),
    "const a = 1;\nconst f = (function f(x) { return x; });\nconst f$1 = (function f$1() {});\n" +
      "function g() {}\n",
  );
  assertThrows(() => compiledAtOnce(code, ["f", "h"]), Error, "it has no h");
});

Deno.test("bundle() refuses a module that is not there", async () => {
  await withFolder(async (folder) => {
    const entry = join(folder, "entry.ts");
    await Deno.writeTextFile(entry, 'export { a } from "./missing.ts";\n');
    await assertRejects(() => bundle(entry), Error, "missing.ts");
  });
});

Deno.test("bundle() refuses what rollup warns of", async () => {
  await withFolder(async (folder) => {
    const entry = join(folder, "entry.ts");
    await Deno.writeTextFile(entry, 'export { a } from "./other.ts";\nexport const b = 1;\n');
    await Deno.writeTextFile(
      join(folder, "other.ts"),
      'import { b } from "./entry.ts";\nexport const a = () => b;\n',
    );
    await assertRejects(
      () => bundle(entry),
      Error,
      "Cannot make ffi/fringe.js: Circular dependency: ",
    );
  });
});
