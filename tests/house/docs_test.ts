// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Every snippet of README.md and docs/ runs, in the language that it is in.
 *
 * What the writer of a page does:
 *
 * - A page runs in a folder of its own that looks like the top of a fresh checkout, with an empty
 *   `scratch/`. First its files are written, then its `sh`, `json` and unnamed snippets run in
 *   order, then all of its `ts` snippets, as `deno test --doc` runs them: one process has those of
 *   the sections that need the same library.
 * - A snippet whose first line is a comment with a file name is that file. Whatever is compiled is
 *   named so, and a `sh` snippet of the page has the command:
 *
 *       ```c
 *       // scratch/count.c
 *       #include "fringe.h"
 *       ```
 *
 *       ```sh
 *       cc -O2 -fPIC -shared -I native/include scratch/count.c -o scratch/libcount.so
 *       ```
 *
 *   In C and C++ one without a name, such as a prototype, is only read by the compiler.
 * - `console.log(value); // 1` in one line of `ts` must print that: of a loop, all that is printed,
 *   with commas in between. A colon and an explanation may follow, and `…` stands for anything.
 * - `<!-- needs rustc -->` in a section that begins with `##` leaves the section out where
 *   tools/packages.ts does not find the program or library, and says so.
 * - What a tool has written, from `<!-- name: begin, by … -->` to `<!-- name: end -->`, is not run.
 * - A fence that says `ignore` is not run. `<!-- not run: why -->` must stand above it, in the same
 *   section, or above the first `##`, for the whole page.
 */

import { howToInstall } from "../../tools/packages.ts";
import { assertEquals, assertStringIncludes } from "@std/assert";
import { checkTypes, formProblems, missing, runPage } from "../support/page.ts";
import { rangeOf, typeOf, VALUE_TYPES } from "../../ffi/value/type.ts";
import { between, files, text } from "../support/repository.ts";

const pages = files.filter((file) => /^(README\.md|docs\/.*\.md)$/.test(file));

Deno.test("docs: the types of all snippets are right", async () => {
  assertEquals(await checkTypes(pages), undefined);
});

for (const page of pages) {
  Deno.test(`docs: every snippet of ${page} runs`, async (t) => {
    assertEquals([...formProblems(text(page))], [], page);
    for (const name of missing(text(page))) {
      await t.step({ name: `to run all of it, ${howToInstall(name)}`, ignore: true, fn() {} });
    }
    const failed = await runPage(page, text(page));
    if (failed !== undefined) throw new Error(`${page}: ${failed}`);
  });
}

const fenced = (language: string, ...lines: string[]): string =>
  ["", "```" + language, ...lines, "```", ""].join("\n");

const count = fenced("c", "// scratch/count.c", "int count(void) { return 3; }");
const compile = fenced("sh", "cc -shared -fPIC scratch/count.c -o scratch/libcount.so");
const call = (printed: string): string =>
  fenced(
    "ts",
    'import { dlopen } from "fringe";',
    'const table = { count: { parameters: [], result: "i32" } } as const;',
    'using library = dlopen("./scratch/libcount.so", table);',
    `console.log(library.symbols.count()); // ${printed}`,
  );

/** Pages that fail, each with what is said of it. */
const FAILING: Readonly<Record<string, [page: string, message: string]>> = {
  "prints something else": [
    count + compile + call("4"),
    "it prints `3`, and the comment says `4`",
  ],
  "prints nothing": [
    fenced("ts", 'if (Deno.pid === 0) console.log("x"); // x'),
    "it prints ``, and the comment says `x`",
  ],
  "has a command that fails": [compile, "count.c: No such file or directory"],
  "has C that is none": [fenced("c", "int f(void) { return }"), "expected expression"],
  "has JSON that is none": [fenced("json", "{ a: 1 }"), "JSON"],
};

for (const [what, [page, message]] of Object.entries(FAILING)) {
  Deno.test(`docs: a page that ${what} fails`, async () => {
    const failed = await runPage("page.md", page).catch(String);
    assertStringIncludes(failed ?? "nothing has failed", message);
  });
}

Deno.test("docs: a page that has a type error is found", async () => {
  const file = await Deno.makeTempFile({ suffix: ".md" });
  try {
    await Deno.writeTextFile(file, fenced("ts", "export const n: number = `1`;"));
    assertStringIncludes(await checkTypes([file]) ?? "nothing is wrong", "TS2322");
  } finally {
    await Deno.remove(file);
  }
});

Deno.test("docs: a page with files, commands and output passes", async () => {
  const page = count + compile + call("3: as often as it was asked") +
    fenced("ts", "for (const n of [1, 2]) console.log(n); // 1, 2") +
    fenced("ts", "console.log([1, 2], Deno.version); // [1, 2] {…}");
  assertEquals(await runPage("page.md", page), undefined);
});

Deno.test("docs: a section whose needs are missing is left out", async () => {
  const page = `## One\n<!-- needs libmissing.so.1 -->\n${fenced("sh", "false")}\n## Two\n`;
  assertEquals([...missing(page)].map(String), ["libmissing.so.1"]);
  assertEquals(await runPage("page.md", page), undefined);
});

Deno.test("docs: what is not run says why, and what is compiled has a name", () => {
  const problems = (page: string): string[] => [...formProblems(page)];
  assertEquals(problems(fenced("ts ignore", "1")), [
    "line 3: say why it is ignored, as <!-- not run: … --> above it",
  ]);
  const reason = "<!-- not run: it waits for ever -->\n";
  const ignored = fenced("ts ignore", "1");
  assertEquals(problems(reason + ignored + ignored), []);
  assertEquals(problems(`${reason}\n## One\n${ignored}\n## Two\n${ignored}`), []);
  assertEquals(problems(`# Page\n## One\n${reason}${ignored}\n## Two\n${ignored}`).length, 1);
  assertEquals(problems(fenced("zig", "const a = 1;")), [
    "line 3: name its file in the first line: // scratch/name.zig",
  ]);
  assertEquals(problems(fenced("zig", "// scratch/a.zig", "const a = 1;")), []);
  const begin = "<!-- crash: begin, by tools/crash.ts -->";
  const generated = `${begin}${fenced("zig", "a")}<!-- crash: end -->`;
  assertEquals(problems(generated), []);
  assertEquals(problems("<!-- needs perl -->"), ["perl is needed: add it to tools/packages.ts"]);
  assertEquals(problems(generated + fenced("perl", "1")), [
    "line 7: perl is not run; teach tests/support/page.ts to",
  ]);
});

Deno.test("docs: the table of types has every type, and its range", () => {
  const rows = between(text("docs/types.md"), "| ---", "\n\n").split("\n").slice(1)
    .map((row) => row.split("|").map((cell) => cell.trim()));
  assertEquals(rows.map(([, type]) => type), [...VALUE_TYPES, "void"].map((type) => `\`${type}\``));
  const value = (text: string): bigint => {
    const [, sign, exponent, minusOne] = text.match(/^(-?)2\^(\d+)( - 1)?$/) ?? [];
    if (exponent === undefined) return BigInt(text);
    return (sign === "-" ? -1n : 1n) * 2n ** BigInt(exponent) - (minusOne === undefined ? 0n : 1n);
  };
  for (const [, type, , range] of rows) {
    const expected = rangeOf(typeOf(type!.replaceAll("`", "")));
    if (expected !== undefined) assertEquals(range!.split(" to ").map(value), [...expected], type);
  }
});
