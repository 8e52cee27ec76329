// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** What is published, packed and attached to a release: all that users need, and no more. */

import { createHash } from "node:crypto";
import { basename, dirname, join } from "node:path";
import { assert, assertEquals, assertMatch, assertRejects, assertThrows } from "@std/assert";
import { parse } from "yaml";
import { dlopen, Generator, OsStack } from "../../mod.ts";
import { prebuilt } from "../../ffi/library/prebuilt.js";
import { release } from "../../tools/release.ts";
import { root } from "../../tools/zig.ts";
import { files, text } from "../support/repository.ts";
import { run, testWith, withFolder } from "../support/support.ts";

const { version } = JSON.parse(text("deno.json")) as { version: string };
const tag = `v${version}`;

/** What users get, beside the file that describes the package. */
const published = files.filter((file) =>
  /^(?:(?:ffi|docs|native\/include)\/.*|mod\.ts|(?:README|CHANGELOG)\.md|LICENSE-\w+)$/.test(
    file,
  ) ||
  /^tools\/bindings(?:\/.*|\.ts)$/.test(file)
);

/** What to compare instead of bytes: to show how thousands of them differ takes minutes. */
function digest(file: string): string {
  return createHash("sha256").update(Deno.readFileSync(file)).digest("hex");
}

/** What tar prints. */
function tar(...args: string[]): string {
  const { success, stdout, stderr } = new Deno.Command("tar", { args }).outputSync();
  assert(success, new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout);
}

Deno.test("deno publish takes module, headers and documents, and warns of nothing", async () => {
  // The checkout may be at work; types have a stage of their own, but slow ones are looked for.
  const args = ["publish", "--dry-run", "--allow-dirty", "--no-check"];
  const { code, stdout, stderr } = await run(args, {}, { cwd: root });
  const output = stdout + stderr;
  assertEquals(code, 0, output);
  const listed = output.matchAll(/^ +file:\/\/(\S+) \([\d.]+\w+\)$/gm);
  const names = Array.from(listed, ([, path]) => decodeURIComponent(path!).slice(root.length + 1));
  assertEquals(names.sort(), ["deno.json", ...published].sort());
  assertEquals(
    output.split("\n").filter((line) => line !== "" && !line.startsWith("   file:///")),
    [
      "Checking for slow types in the public API...",
      `Simulating publish of @fringe/fringe@${version} with files:`,
      "Success Dry run complete",
    ],
  );
});

Deno.test("deno pack takes the same, with types for what is public", async () => {
  const args = ["pack", "--dry-run", "--allow-dirty"];
  const { code, stdout, stderr } = await run(args, {}, { cwd: root });
  const output = stdout + stderr;
  assertEquals(code, 0, output);
  const [, contents] = output.split("Package contents:\n");
  const names = Array.from(contents!.matchAll(/^ {2}(\S+)$/gm), ([, name]) => name!);
  // Each module has become JavaScript, and its declarations, or was JavaScript before.
  const sources = new Set(names.map((name) => name.replace(/(?:\.d\.ts|\.js)$/, ".ts")));
  const expected = ["package.json", ...published].map((name) => name.replace(/\.js$/, ".ts"));
  assertEquals([...sources].sort(), expected.sort());

  // Public is what mod.ts exports from, and what those types are made of.
  const untyped = Array.from(output.matchAll(/types for '\S*\/(\S+)\.ts'/g), ([, name]) => name!);
  const exported = text("mod.ts").matchAll(/from "\S*\/(\S+)\.ts"/g).map(([, name]) => name!);
  assertEquals(new Set(untyped).intersection(new Set(exported)), new Set());
});

Deno.test("release() packs each library with its headers and licences", async () => {
  await withFolder(async (folder) => {
    const made = await release(tag, folder);
    const all = Object.entries(prebuilt).map(([platform, { digest, file }]) => ({
      name: `fringe-${version}-${platform}`,
      digest,
      file,
    }));
    assertEquals(
      made.map((file) => basename(file)),
      [...all.map(({ name }) => `${name}.tar.gz`), "SHA256SUMS"],
    );
    for (const [i, { name, digest, file }] of all.entries()) {
      const listed = tar("-tzf", made[i]!).split("\n").filter((line) => !/^$|\/$/.test(line));
      assertEquals(
        listed.sort(),
        [
          ...published.filter((file) => file.startsWith("LICENSE")),
          ...published.filter((file) => file.startsWith("native/include/"))
            .map((file) => file.slice("native/".length)),
          file,
        ].map((file) => `${name}/${file}`).sort(),
      );

      tar("-xzf", made[i]!, "-C", folder);
      const library = await Deno.readFile(join(folder, name, file));
      assertEquals(createHash("sha256").update(library).digest("hex"), digest);
      assertEquals(
        await Deno.readTextFile(join(folder, name, "include/fringe.h")),
        text("native/include/fringe.h"),
      );
    }
  });
});

testWith(
  "g++",
  "an archive has all that a body in C includes, as docs/install.md says",
  async () => {
    const [, section] = text("docs/install.md").split("## The header for bodies in C");
    const [, commands] = section!.match(/^```sh ignore\n(.*?)^```/ms)!;
    await withFolder(async (folder) => {
      await release(tag, folder);
      await Deno.copyFile(join(root, "examples/bodies/add_one.c"), join(folder, "bodies.c"));
      const { success, stderr } = await new Deno.Command("sh", {
        args: ["-ec", commands!.replaceAll("VERSION", version)],
        cwd: folder,
      }).output();
      assert(success, new TextDecoder().decode(stderr));
      using library = dlopen(join(folder, "libbodies.so"), {
        add_one: { input: "i32", output: "i32" },
      });
      using generator = new Generator(new OsStack(), library.symbols.add_one);
      assertEquals(generator.resume(41), 42);
    });
  },
);

Deno.test("release() gives digests for sha256sum, and the same bytes each time", async () => {
  await withFolder(async (folder) => {
    const made = await release(tag, folder);
    const [archive, sums] = [made[0], made.at(-1)];
    const check = (): Deno.CommandOutput =>
      new Deno.Command("sha256sum", { args: ["--check", "--strict", sums!], cwd: folder })
        .outputSync();
    assert(check().success);
    // No name and no moment of the machine that made it.
    for (const line of tar("--utc", "-tvzf", archive!).trim().split("\n")) {
      assertMatch(line, /^(?:drwxr-xr-x|-rw-r--r--|-rwxr-xr-x) 0\/0 +\d+ 1970-01-01 00:00 /);
    }
    const first = await Deno.readFile(archive!);
    await Deno.writeFile(archive!, first.subarray(1));
    assert(!check().success);
    await release(tag, folder);
    assertEquals(await Deno.readFile(archive!), first);
  });
});

Deno.test("release() gives the same bytes whatever tar and gzip are told to do", async () => {
  await withFolder(async (folder) => {
    const [plain] = await release(tag, join(folder, "plain"));
    const told = { TAR_OPTIONS: "--exclude=LICENSE-MIT", GZIP: "--fast", POSIXLY_CORRECT: "1" };
    // To tar, what stands before the colon may be another machine.
    const other = "host:other";
    const { code, stdout, stderr } = await run(
      ["run", "--quiet", "--no-prompt", "-P=tools", join(root, "tools/release.ts"), tag, other],
      told,
      { cwd: folder },
    );
    assertEquals(code, 0, stderr);
    const [archive] = stdout.split("\n");
    assertEquals(digest(join(folder, archive!)), digest(plain!));
  });
});

Deno.test("release() packs headers, and nothing else that lies beside them", async () => {
  await withFolder(async (folder) => {
    const native = join(folder, "native");
    const platforms = Object.keys(prebuilt).map((platform) => `prebuilt/${platform}`);
    for (const name of ["include", ...platforms]) {
      await Deno.mkdir(join(native, name), { recursive: true });
      for await (const file of Deno.readDir(join(root, "native", name))) {
        await Deno.copyFile(
          join(root, "native", name, file.name),
          join(native, name, file.name),
        );
      }
    }
    const [plain] = await release(tag, join(folder, "plain"), native);
    await Deno.writeTextFile(join(native, "include/.fringe.h.swp"), "");
    await Deno.mkdir(join(native, "include/notes"));
    const [archive] = await release(tag, join(folder, "made"), native);
    assertEquals(digest(archive!), digest(plain!));
  });
});

Deno.test("release() refuses another version's tag, and another library", async () => {
  await withFolder(async (folder) => {
    await assertRejects(
      async () => await release("v9.9.9", folder),
      Error,
      `Cannot release v9.9.9: deno.json has the version ${version}. Tag ${tag}, or commit`,
    );
    const [first, { digest, file }] = Object.entries(prebuilt)[0]!;
    await Deno.mkdir(join(folder, "prebuilt", first), { recursive: true });
    await Deno.writeFile(join(folder, "prebuilt", first, file), new Uint8Array(4096));
    await assertRejects(
      async () => await release(tag, join(folder, "made"), folder),
      Error,
      `and ffi/library/prebuilt.js has ${digest}. Run \`deno task build\``,
    );
    assertThrows(() => Deno.statSync(join(folder, "made/SHA256SUMS")), Deno.errors.NotFound);
  });
});

interface Step {
  readonly uses?: string;
  readonly run?: string;
}

/** A machine of CI, and the stages that it runs; undefined: all. */
interface Machine {
  readonly machine: string;
  readonly stages?: string;
}

interface Job {
  readonly "runs-on": string;
  readonly strategy?: { readonly matrix: { readonly include: readonly Machine[] } };
  readonly "timeout-minutes": number;
  readonly needs?: string;
  readonly permissions?: Record<string, string>;
  readonly steps: readonly Step[];
}

interface Workflow {
  readonly on: Record<string, unknown>;
  readonly permissions: Record<string, string>;
  readonly jobs: Record<string, Job>;
}

const ci = parse(text(".github/workflows/ci.yml")) as Workflow;
const releasing = parse(text(".github/workflows/release.yml")) as Workflow;
const commands = ({ steps }: Job): string[] => steps.flatMap(({ run }) => run ?? []);

function machinesOf(job: Job): readonly Machine[] {
  if (job.strategy === undefined) return [{ machine: job["runs-on"] }];
  assertEquals(job["runs-on"], "${{ matrix.machine }}");
  return job.strategy.matrix.include;
}

Deno.test("a tag is released by what it was checked with, once the gate has passed", () => {
  assertEquals(releasing.on, { push: { tags: ["v*"] } });
  const { gate, release, ...others } = releasing.jobs;
  assertEquals(others, {});
  assertEquals(release!.needs, "gate");
  assertEquals(commands(gate!), [".ci/run"]);
  assertEquals(commands(ci.jobs.test!), [".ci/run ${{ matrix.stages }}"]);
  const wholeGate = machinesOf(ci.jobs.test!).filter(({ stages }) => stages === undefined);
  assertEquals(gate!["runs-on"], wholeGate[0]!.machine);
  // The gate runs much that others have written, so it cannot write.
  assertEquals(releasing.permissions, { contents: "read" });
  assertEquals([gate!.permissions, release!.permissions], [undefined, { contents: "write" }]);
});

Deno.test("jobs have a machine, an end and steps that do one thing each", () => {
  for (const { jobs } of [ci, releasing]) {
    for (const job of Object.values(jobs)) {
      for (const { machine } of machinesOf(job)) {
        assertMatch(machine, /^(?:ubuntu|macos)-[\d.]+(?:-\w+)?$/);
      }
      assert(job["timeout-minutes"] > 0);
      for (const { uses, run } of job.steps) {
        assertEquals([uses, run].filter((part) => part !== undefined).length, 1);
        if (uses !== undefined) assertMatch(uses, /^actions\/[\w-]+@v\d+$/);
      }
    }
  }
});

Deno.test("the workflow's own command makes a release, and says where its files are", async () => {
  const command = commands(releasing.jobs.release!)[0]!;
  const [, script] = command.match(/^npx -y deno@\S+ run --no-prompt -P=tools (.*)$/)!;
  await withFolder(async (folder) => {
    const shell = `cd "$1" && "$2" run --no-prompt -A "$3"/${script}`;
    const { success, stdout, stderr } = await new Deno.Command("sh", {
      args: ["-c", shell, "sh", folder, Deno.execPath(), root],
      env: { GITHUB_REF_NAME: tag },
    }).output();
    assert(success, new TextDecoder().decode(stderr));
    const made = new TextDecoder().decode(stdout).trim().split("\n");
    assertEquals(new Set(made.map((file) => dirname(file))), new Set(["release"]));
    assertEquals(made.length, Object.keys(prebuilt).length + 1);
    for (const file of made) assert((await Deno.stat(join(folder, file))).isFile);
  });
  assertMatch(commands(releasing.jobs.release!)[1]!, / release\/\*$/);
});

Deno.test("release.ts says what to write where it is not told what to release", async () => {
  const file = join(root, "tools/release.ts");
  const missing = await run(["run", "--no-prompt", "-A", file]);
  assertEquals([missing.code, missing.stdout], [2, ""]);
  assertMatch(missing.stderr, /deno run -P=tools tools\/release\.ts TAG FOLDER/);
  await withFolder(async (folder) => {
    const wrong = await run(["run", "--no-prompt", "-A", file, "v9.9.9", folder]);
    assertEquals([wrong.code, wrong.stdout], [1, ""]);
    assertMatch(wrong.stderr, /^Cannot release v9\.9\.9: /);
    assertEquals([...Deno.readDirSync(folder)], []);
  });
});
