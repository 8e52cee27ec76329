// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** What docs/troubleshooting.md says of Deno, and of programs that fail without a message. */

import { join } from "node:path";
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { Served } from "../../tools/served.ts";
import { Project } from "../support/project.ts";
import { type Ended, moduleUrl, run, runChild, withFolder } from "../support/support.ts";
import { entriesOf, FOREIGN } from "../support/troubleshooting.ts";

/** Runs a program that has opened libc: qsort, and div. */
function runWithLibc(program: string): Promise<Ended> {
  const compare = '{ callback: { parameters: ["pointer", "pointer"], result: "i32", stop: 0 } }';
  return runChild(
    `import { dlopen } from ${JSON.stringify(moduleUrl)};
    using libc = dlopen("libc.so.6", {
      qsort: { parameters: ["buffer", "usize", "usize", ${compare}], result: "void" },
      div: { parameters: ["i32", "i32"], result: "i64" },
    });
    const { qsort, div } = libc.symbols;
    const bytes = Uint8Array.of(3, 1, 2);
    ${program}`,
    ["--allow-ffi"],
  );
}

Deno.test("a division by zero in C ends the process by SIGFPE, without a message", async () => {
  const { signal, stderr } = await runWithLibc("div(1, 0);");
  assertEquals([signal, stderr], ["SIGFPE", ""]);
});

Deno.test("a handler that never answers leaves nothing to wait for, unless aborted", async () => {
  const never = "() => new Promise(() => {})";
  const { code, stderr } = await runWithLibc(`await qsort.async(bytes, 3, 1, ${never});`);
  assertEquals(code, 1);
  assertStringIncludes(stderr, "Top-level await promise never resolved");
  const aborted = await runWithLibc(
    `const signal = AbortSignal.timeout(1);
    await qsort.async(bytes, 3, 1, ${never}, { signal }).catch(({ name }) => console.log(name));`,
  );
  assertEquals([aborted.stdout, aborted.stderr], ["TimeoutError\n", ""]);
});

Deno.test("a plain call lets no timer run before C returns", async () => {
  const { stdout } = await runWithLibc(
    `setTimeout(() => console.log("timer"));
    qsort(bytes, 3, 1, () => 0);
    console.log("returned");`,
  );
  assertEquals(stdout, "returned\ntimer\n");
});

// Not in unit/: the core suite may open three libraries, and Deno asks for more before it looks.

/** Programs that Deno or TypeScript has something to say about, and the command that runs each. */
const WRONG: readonly (readonly [args: readonly string[], program: string])[] = [
  [["run", "--allow-ffi=/nowhere"], 'Deno.dlopen("libc.so.6", {});'],
  [["run", "--allow-ffi"], 'dlopen("nowhere.so", {});'],
  [["run", "--allow-ffi"], 'dlopen("libc.so.6", { nowhere: { parameters: [], result: "void" } });'],
  [
    ["run", "--allow-ffi"],
    `const library = dlopen("libc.so.6", { abs: { input: "i32", output: "i32" } });
    library.symbols.abs();`,
  ],
  [
    ["run", "--allow-ffi"],
    `const libc = dlopen("libc.so.6", { abs: { parameters: ["i32"], result: "i32" } });
    new Generator(new OsStack(), function* () {
      yield* libc.symbols.abs(1);
    }).next();`,
  ],
  [["run"], "await new Promise(() => {});"],
  [
    ["run", "--allow-ffi"],
    `using libc = dlopen("libc.so.6", {
      qsort: { parameters: ["buffer", "usize", "usize", "function"], result: "void" },
    });
    const callback = new Deno.UnsafeCallback(
      { parameters: ["pointer", "pointer"], result: "i32" },
      () => 0,
    );
    libc.symbols.qsort(Uint8Array.of(3, 1, 2), 3n, 1n, callback.pointer);
    console.log("went on");`,
  ],
  [
    ["test", "--allow-ffi"],
    `Deno.test.sanitizer({ ops: true, resources: true });
    Deno.test("first", () => new OsStack()[Symbol.dispose]());`,
  ],
  [
    ["check"],
    `const table = { abs: { parameters: ["i32"], result: "i32" } };
    dlopen("libc.so.6", table).symbols.abs(1);
    new Generator(new OsStack(), () => 1);
    new Generator(new OwnedStack(4096), function* () {});
    const numbers: Generator<number, void, void> = new Generator(new OsStack(), function* () {
      yield 1;
    });
    const callback = { callback: { parameters: ["i32"], result: "i32" } } as const;
    const { f } = dlopen("f.so", { f: { parameters: [callback], result: "void" } }).symbols;
    const { g } = dlopen("g.so", { g: { parameters: ["function"], result: "void" } }).symbols;
    g(() => 1);
    const { body } = dlopen("b.so", { body: { input: "i32", output: "i32" } }).symbols;
    for (const output of new Generator(new OsStack(), body)) console.log(output);
    body();
    function* count(): Generator<number> {}
    f();
    f(async () => 1);
    f(() => {});
    f(new Deno.UnsafeCallback({ parameters: ["i32"], result: "i32" }, () => 1));`,
  ],
];

/** What Deno says of projects that import fringe from a server, each of which lacks something. */
async function failingProjects(): Promise<string[]> {
  await using served = new Served();
  const grant = `--allow-import=${served.host}`;
  const main = 'import "fringe";';
  const outputs: string[] = [];
  const fails = async (project: Project, ...args: string[]): Promise<void> => {
    const { code, stdout, stderr } = await project.deno(args);
    assert(code !== 0, stdout + stderr);
    outputs.push(stdout + stderr);
  };
  await using unmapped = new Project();
  unmapped.write("main.ts", main);
  await fails(unmapped, "run", "main.ts");

  await using unnamed = new Project();
  unnamed.write("deno.json", '{ "test": { "permissions": { "ffi": true } } }');
  unnamed.write("main_test.ts", "");
  await fails(unnamed, "test");

  await using project = Project.importing(served.url, main);
  await fails(project, "run", "--no-prompt", "main.ts");
  assertEquals((await project.deno(["run", grant, "main.ts"])).code, 0);
  served.change = (_, text) => `${text}\n`;
  project.emptyCache();
  await fails(project, "run", grant, "main.ts");
  served.type = "text/vnd.trolltech.linguist";
  await using unknown = Project.importing(served.url, main);
  await fails(unknown, "run", grant, "main.ts");
  return outputs;
}

Deno.test("Deno and TypeScript say what the page has of them", async () => {
  await withFolder(async (folder) => {
    const names = "dlopen, Generator, OsStack, OwnedStack";
    const outputs = await Promise.all(WRONG.map(async ([args, program], i) => {
      const file = join(folder, `${i}_test.ts`);
      await Deno.writeTextFile(file, `import { ${names} } from "${moduleUrl}";\n${program}`);
      const check = args[0] === "check" ? [] : ["--no-prompt", "--no-check"];
      const { code, stdout, stderr } = await run([...args, ...check, file]);
      assertEquals(code, 1, stderr);
      return stdout + stderr;
    }));
    outputs.push(...await failingProjects());
    const page = await Deno.readTextFile(
      new URL("../../docs/troubleshooting.md", import.meta.url),
    );
    const texts = entriesOf(page).filter(({ section }) => section === FOREIGN)
      .map(({ text }) => text);
    assert(texts.length > WRONG.length);
    for (const text of texts) {
      const pattern = new RegExp(text.split("‹›").map((part) => RegExp.escape(part)).join(".*"));
      assert(outputs.some((output) => pattern.test(output)), `${text}\n${outputs.join("\n")}`);
    }
  });
});
