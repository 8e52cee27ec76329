// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Permissions are as narrow as they can be, and stand once, in `deno.json`; and what readers try in
 * `scratch/` is looked at by no check.
 */

import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { cpSync } from "node:fs";
import { join } from "node:path";
import { root, zig } from "../../tools/zig.ts";
import { files, type Problems, testRules, text, withoutComments } from "../support/repository.ts";
import { type Ended, fringeLibrary, run, withFolder } from "../support/support.ts";

/** How files that run Deno grant all there is: by a flag, or by the set that does. */
const ALL = /"-A"|\s-A\s|--allow-all|-P=suite/;

/** The words of the comment that says why all there is has to be granted. */
const REASON = "all permissions";

/** Sets that grant all there is. */
function setsOfAll(): string[] {
  const sets: Record<string, { all?: boolean }> = JSON.parse(text("deno.json")).permissions;
  return Object.entries(sets).filter(([, { all }]) => all).map(([name]) => name);
}

/** What is wrong with the grants in a file that has comments. */
function* grantsOf(file: string, source: string): Problems {
  const lines = source.split("\n");
  for (const [i, line] of lines.entries()) {
    if (!ALL.test(line)) continue;
    const above = lines.slice(Math.max(0, i - 5), i + 1).join("\n");
    if (!above.includes(REASON)) {
      yield `${file}:${i + 1}: name a narrower set of deno.json, or say there why ${REASON}`;
    }
  }
}

/** What is wrong with the grants of the tasks, whose reasons stand in the tool that they run. */
function* grantsOfTasks(tasks: Readonly<Record<string, { command: string }>>): Problems {
  for (const [name, { command }] of Object.entries(tasks)) {
    if (!ALL.test(command)) continue;
    const tool = command.match(/[\w/]+\.ts/)![0];
    if (/\s-A\s|--allow-all/.test(command)) yield `task ${name}: name a set of deno.json`;
    else if (!text(tool).includes(REASON)) yield `${tool}: say why task ${name} has ${REASON}`;
  }
}

testRules(function* grants() {
  yield* grantsOfTasks(JSON.parse(text("deno.json")).tasks);
  for (const file of files.filter((file) => /^(tools|bench)\/.*\.ts$|^\.ci\/run$/.test(file))) {
    yield* grantsOf(file, text(file));
    if (/"\/(proc|sys)\//.test(withoutComments(file)) && !text(file).includes(REASON)) {
      yield `${file}: what reads /proc or /sys needs ${REASON}; ask node:os, or say so there`;
    }
  }
});

Deno.test("tidy: grants finds -A that nobody has given a reason for", () => {
  const found = (source: string): number => [...grantsOf("tools/any.ts", source)].length;
  assertEquals(found('run(["test", "-A", "x"]);'), 1);
  assertEquals(found("`deno run -A tools/any.ts`"), 1);
  assertEquals(found('run(["test", "-P=suite"]);'), 1);
  assertEquals(found("// Only all permissions read /proc.\nrun([`-P=suite`]);"), 0);
  assertEquals(found('run(["test", "-P", "x"]);'), 0);
  const tasks = (command: string): number => [...grantsOfTasks({ any: { command } })].length;
  assertEquals(tasks("deno run -A tools/soak.ts"), 1);
  assertEquals(tasks("deno run -P=suite tools/soak.ts"), 0);
  assertEquals(tasks("deno run -P=suite tools/cfi.ts"), 1);
  assertEquals(tasks("deno run -P=tools tools/cfi.ts"), 0);
  assertEquals(setsOfAll(), ["suite"]);
});

testRules(function* testingPage() {
  const page = text("docs/testing.md");
  for (const set of Object.keys(JSON.parse(text("deno.json")).permissions)) {
    if (!page.includes(`| \`${set}\``)) yield `docs/testing.md: say what the set ${set} is for`;
  }
  const commands = [...page.matchAll(/^deno task test ([a-z][\w -]*?) +#/gm)];
  const prefixes = commands.flatMap(([, names]) => names!.split(" "));
  const stages = [...text("tools/test.ts").matchAll(/^ +(?:\{ )?name: "([\w-]+)"/gm)];
  for (const [, stage] of stages) {
    if (prefixes.some((prefix) => stage!.startsWith(prefix))) continue;
    yield `docs/testing.md: show how to run the stage ${stage}`;
  }
});

/** Runs Deno in a folder, where a copy of the checkout is to use the compiler that there is. */
async function runIn(folder: string, ...args: string[]): Promise<Ended> {
  return await run(args, { DENO_NO_PROMPT: "1", ZIG: await zig() }, { cwd: folder });
}

for (const command of ["test", "bench"]) {
  Deno.test(`plain deno ${command} says in one line what to add`, async () => {
    const { code, stdout, stderr } = await runIn(root, command);
    assertEquals(code, 1);
    assertEquals(stdout, "");
    assertMatch(stderr.split("\n")[0]!, /^error: .* Did you mean to run with `-P`/);
  });
}

/** A test of the core suite that opens libraries, and is quick. */
const quick = join(root, "tests", "unit", "backtrace_test.ts");

Deno.test("deno test -P passes from any folder, and grants nothing else", async () => {
  await withFolder(async (elsewhere) => {
    const config = `--config=${join(root, "deno.json")}`;
    const args = ["test", "-P", "--no-check"];
    for (
      const ended of [
        await runIn(root, ...args, quick),
        await runIn(join(root, "tests"), ...args, "unit/backtrace_test.ts"),
        await runIn(elsewhere, ...args, config, quick),
      ]
    ) {
      assertEquals(ended.code, 0, ended.stdout + ended.stderr);
      assertMatch(ended.stdout, /ok \| [1-9]\d* passed \| 0 failed/);
    }
    const asking = join(elsewhere, "asking_test.ts");
    await Deno.writeTextFile(
      asking,
      `Deno.test("asks", () => {
        const of = (descriptor) => Deno.permissions.querySync(descriptor).state;
        const path = ${JSON.stringify(fringeLibrary.pathname)};
        console.log("states", of({ name: "ffi", path }), of({ name: "ffi" }));
        for (const name of ["read", "write", "env", "run", "sys", "net"]) console.log(of({ name }));
      });`,
    );
    const { stdout } = await runIn(elsewhere, ...args, config, asking);
    assertStringIncludes(stdout, `states granted prompt\n${"prompt\n".repeat(6)}`);
  });
});

Deno.test("deno bench -P has what a bench needs", async () => {
  const bench = "bench/libc_bench.ts";
  const args = ["bench", "-P", "--no-check", bench, "--", "--smoke"];
  const { code, stdout, stderr } = await runIn(root, ...args);
  assertEquals(code, 0, stdout + stderr);
  assertMatch(stdout, /nftw/);
});

/** Files that fail every check there is. */
const BAD = {
  "main.ts": 'const   x : number = "1"\n',
  "main_test.ts": 'Deno.test("bad", () => { throw new Error("run") })\n',
  "main_bench.ts": 'Deno.bench("bad", () => { throw new Error("run") })\n',
  "main.zig": "fn f( ) void {}\n",
};

/** What the gate needs of a checkout to look at files, and itself. */
const PARTS = [
  ...["deno.json", ".gitignore", "mod.ts", "ffi", "tools", "native/build.zig.zon"],
  ...["tests/assert.ts", "tests/support/support.ts"],
];

/** What the gate says when those files are in a folder of a checkout. */
async function gateWith(folder: string): Promise<Record<string, string>> {
  return await withFolder(async (checkout) => {
    for (const part of PARTS) {
      cpSync(join(root, part), join(checkout, part), { recursive: true });
    }
    await Deno.writeTextFile(join(checkout, "README.md"), "# A page without snippets\n");
    for (const [kind, name] of [["test", "tests"], ["bench", "bench"]] as const) {
      await Deno.mkdir(join(checkout, name), { recursive: true });
      const good = `Deno.${kind}("good", () => {});\n`;
      await Deno.writeTextFile(join(checkout, name, `any_${kind}.ts`), good);
    }
    await Deno.mkdir(join(checkout, folder), { recursive: true });
    for (const [name, bad] of Object.entries(BAD)) {
      await Deno.writeTextFile(join(checkout, folder, name), bad);
    }
    const stages = ["fmt", "zig-fmt", "lint", "check"];
    const gate = await runIn(checkout, "run", "-P=tools", "tools/test.ts", ...stages);
    const ended = (name: string): string => gate.stdout.match(`-- ${name}: (.*) \\(`)?.[1] ?? "-";
    const of = async (kind: string): Promise<string> =>
      (await runIn(checkout, kind, "-P", "--no-check")).code === 0 ? "passed" : "failed";
    return {
      ...Object.fromEntries(stages.map((name) => [name, ended(name)])),
      test: await of("test"),
      bench: await of("bench"),
    };
  });
}

Deno.test("no check looks at what readers try in scratch/", async () => {
  const all = (stage: string, test: string) => ({
    fmt: stage,
    "zig-fmt": stage,
    lint: stage,
    check: stage,
    test,
    bench: "passed",
  });
  assertEquals(await gateWith("scratch"), all("1 passed, 0 failed", "passed"));
  assertEquals(await gateWith("tests"), all("0 passed, 1 failed", "failed"));
});
