// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** What TypeScript says of a mistake, and what an editor shows for a function. */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { root } from "../../tools/zig.ts";
import { hover } from "../support/editor.ts";
import { run, withFolder } from "../support/support.ts";

const TABLE = `{
  each: {
    parameters: ["i32", { callback: { parameters: ["i32"], result: "i32" } }],
    result: "i32",
  },
  keep: { parameters: ["function"], result: "void" },
}`;

/** The last line of what TypeScript says of each mistake in a program, which has `symbols`. */
async function lastLines(statements: string): Promise<string[]> {
  return await withFolder(async (folder) => {
    const file = join(folder, "main.ts");
    await Deno.writeTextFile(
      file,
      `import { Callback, dlopen, functionAt } from "fringe";
      export const { symbols } = dlopen("library.so", ${TABLE});
      export const unsafe = new Deno.UnsafeCallback(
        { parameters: ["i32"], result: "i32" },
        (i) => i,
      );
      ${statements}\n`,
    );
    const { stderr } = await run(["check", "--quiet", `--config=${root}/deno.json`, file], {
      NO_COLOR: "1",
    });
    // What is said stands before a line of the program, under which the place is marked: ~~~
    return stderr.split(/^(?=TS\d+ )/m).flatMap((error) => {
      const lines = error.split("\n");
      const mark = lines.findIndex((line) => /^ *[~^]+$/.test(line));
      return mark < 0 ? [] : [lines[mark - 2]!.trim()];
    });
  });
}

Deno.test("of the commonest mistakes TypeScript's last line says what to do", async () => {
  const [table, handler, nothing, callback, kept, made, pointed, ...others] = await lastLines(`
    const table = ${TABLE};
    dlopen("library.so", table);
    symbols.each(3, async (i) => await Promise.resolve(i));
    symbols.each(3, async () => {});
    symbols.each.async(3, unsafe);
    symbols.keep(unsafe);
    symbols.keep(symbols.each);
    const definition = { parameters: ["i32"], result: "i32" };
    new Callback(definition, () => 1);
    functionAt(unsafe.pointer, definition);
  `);
  const literal = 'Literal<"write `as const` behind the definition">';
  const asConst = `Type 'string' is not assignable to type '${literal}'.`;
  assertEquals([table, made, pointed], [asConst, asConst, asConst]);
  const hint = '"a Promise needs f.async()"';
  assertEquals(
    handler,
    `Type 'Promise<number>' is not assignable to type 'AnswerAtOnce<number, ${hint}>'.`,
  );
  assertStringIncludes(nothing!, hint);
  const unsafe =
    `UnsafeCallback<{ readonly parameters: readonly ["i32"]; readonly result: "i32"; }>`;
  const missing = `Property '[maker]' is missing in type '${unsafe}' but required in type ` +
    `'MadeBy<"new Callback()">'.`;
  assertEquals([callback, kept, others], [missing, missing, []]);
});

Deno.test("TypeScript shows where a table has a mistake, and what may stand there", async () => {
  assertEquals(
    await lastLines(`
      dlopen("library.so", { f: { parameters: ["int"], result: "i32" } });
      dlopen("library.so", { f: { parameters: [], result: "int" } });
      dlopen("library.so", { f: { parameters: [], result: "double" } });
      dlopen("library.so", { f: { parameters: [], result: "i32", variadic: "no" } });
    `),
    [
      "TS2322 [ERROR]: Type '\"int\"' is not assignable to type 'ParameterDefinition'.",
      "Type '\"int\"' is not assignable to type '\"void\" | TypeDefinition'.",
      "Type '\"double\"' is not assignable to type '\"void\" | TypeDefinition'.",
      "TS2322 [ERROR]: Type 'string' is not assignable to type 'number'.",
    ],
  );
});

Deno.test("an editor shows what a table says of a function, such as its prototype", async () => {
  await withFolder(async (folder) => {
    const imports = { fringe: pathToFileURL(join(root, "mod.ts")).href };
    await Deno.writeTextFile(join(folder, "deno.json"), JSON.stringify({ imports }));
    await Deno.writeTextFile(
      join(folder, "main.ts"),
      `import { dlopen } from "fringe";
      const symbols = {
        /** \`long labs(long j)\` */
        labs: { parameters: ["i64"], result: "i64" },
        /** Sleeps. */
        usleep: { parameters: ["u32"], result: "i32", nonblocking: true },
      } as const;
      const libc = dlopen("libc.so.6", symbols);
      libc.symbols.labs(-3);
      libc.symbols.usleep(1);\n`,
    );
    const [labs, usleep] = await hover(folder, "main.ts", ["labs(-3)", "usleep(1)"]);
    assertStringIncludes(labs!, "`long labs(long j)`");
    assertStringIncludes(usleep!, "Sleeps.");
  });
});
