// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * The gate: `deno task test` runs every check there is, and CI runs nothing else.
 *
 * `deno task test fmt zig` runs the stages whose names start so. A failed stage does not end the
 * run. The last line is `N passed, N failed`, where each test counts, and each other stage as one.
 *
 * @module
 */

import { join } from "node:path";
import { bareMetal, machines } from "./bare_metal.ts";
import { differences } from "./build.ts";
import { command, COMPILER, environment, suites } from "./emulated.ts";
import {
  type Counts,
  denoCounts,
  type Ended,
  one,
  runnerCounts,
  total,
  zigCounts,
} from "./counts.ts";
import { sourceFolders } from "./ignored.ts";
import { counted, page } from "./instructions.ts";
import { howToInstall, type Installable, isInstalled } from "./packages.ts";
import { watch } from "./valgrind.ts";
import { versions } from "./versions.ts";
import { root, zig, zigBuild, zigEnvironment } from "./zig.ts";

const testFlags = ["--no-prompt", "--trace-leaks"];

/** V8 collects garbage on demand; where it does not, support.ts forces it, which takes longer. */
const exposeGc = "--v8-flags=--expose-gc";

interface Stage {
  readonly name: string;
  readonly about: string;
  run(): Promise<Counts>;
}

const stages: Stage[] = [
  { name: "fmt", about: "formatting of TypeScript and prose", run: check("fmt", "--check") },
  { name: "zig-fmt", about: "formatting of Zig", run: zigFormat },
  { name: "lint", about: "lint", run: check("lint") },
  {
    name: "check",
    about: "types of all modules",
    run: check("check", "mod.ts", ...sourceFolders()),
  },
  { name: "doc", about: "documentation of public names", run: check("doc", "--lint", "mod.ts") },
  {
    name: "zig-test-x86_64",
    about: "Zig tests, 64-bit (a first build takes minutes)",
    run: on(["x86_64-linux"], zigTest()),
  },
  {
    name: "zig-test-x86",
    about: "Zig tests, 32-bit, run natively",
    run: on(["x86_64-linux"], zigTest("-Dtarget=x86-linux-musl")),
  },
  {
    name: "zig-test-aarch64",
    about: "Zig tests for aarch64, by emulation",
    run: ifInstalled("qemu-aarch64-static", zigTest("-Dtarget=aarch64-linux-musl")),
  },
  {
    name: "zig-test-macos",
    about: "Zig tests that need neither Linux nor ELF, on a Mac",
    run: on(["x86_64-darwin", "aarch64-darwin"], zigTest(`-Dtarget=${Deno.build.arch}-macos`)),
  },
  {
    name: "bare-metal",
    about: "the Zig package without an operating system, in QEMU",
    run: async () => total(await Promise.all(Object.keys(machines).map(bareMetal))),
  },
  {
    name: "instructions",
    about: "docs/figures.md has as many instructions as the images in QEMU count",
    run: Object.values(machines).reduce((run, { qemu }) => ifInstalled(qemu, run), instructions),
  },
  { name: "prebuilt", about: "committed binaries are what the sources give", run: prebuilt },
  { name: "deno-test", about: "Deno tests and the examples in the documentation", run: denoTest },
  { name: "core", about: "core suite with path-scoped grants only", run: core },
  {
    name: "deno-aarch64",
    about: "Deno tests for aarch64, by emulation",
    run: ifInstalled("qemu-aarch64-static", ifInstalled(COMPILER, emulated)),
  },
  {
    name: "sanitizer",
    about: "Zig tests under AddressSanitizer",
    run: ifInstalled("g++", sanitizer),
  },
  {
    name: "valgrind",
    about: "Zig tests and the core suite under Valgrind",
    run: ifInstalled("valgrind", valgrind),
  },
  { name: "versions", about: "other versions of Deno, Node and Bun, from npm", run: versions },
  { name: "bench", about: "a small run of each bench; guards of the hot paths", run: bench },
];

function check(...args: string[]): () => Promise<Counts> {
  return async () => one((await run(Deno.execPath(), args)).success);
}

async function zigFormat(): Promise<Counts> {
  return one((await run(await zig(), ["fmt", "--check", ...sourceFolders()])).success);
}

function zigTest(...options: string[]): () => Promise<Counts> {
  return async () => {
    const args = ["build", "test", ...options, "--summary", "all", "--color", "off"];
    const counts = zigCounts(await run(await zig(), args, { cwd: join(root, "native") }));
    if (counts.passed === 0) {
      console.log("No test passed: where Zig says `cached`, build.zig lacks has_side_effects");
    }
    return counts;
  };
}

async function instructions(): Promise<Counts> {
  const isCounted = await Deno.readTextFile(page) === await counted();
  if (!isCounted) console.log("They differ: run `deno run -P=tools tools/instructions.ts`");
  return one(isCounted);
}

async function prebuilt(): Promise<Counts> {
  const different = await differences();
  for (const difference of different) console.log(`${difference}: run \`deno task build\``);
  return one(different.length === 0);
}

async function denoTest(): Promise<Counts> {
  // Only tests have dependencies. A lock file at the top would have every task fetch them.
  const lock = ["--lock=tests/deno.lock", "--frozen"];
  // The set has all permissions, since some tests read /proc: Deno lets nobody else do that.
  const args = ["test", ...testFlags, exposeGc, ...lock, "--doc", "-P=suite"];
  return denoCounts(await run(Deno.execPath(), args));
}

async function core(): Promise<Counts> {
  // What -P stands for is test.permissions of deno.json: to open our libraries, no more.
  return denoCounts(await run(Deno.execPath(), ["test", ...testFlags, "-P", "tests/unit"]));
}

/** A stage is skipped on machines that cannot run what it builds. */
function on(platforms: readonly string[], run: () => Promise<Counts>): () => Promise<Counts> {
  return async () => {
    if (platforms.includes(`${Deno.build.arch}-${Deno.build.os}`)) return await run();
    console.log(`This stage runs on ${platforms.join(" and ")}`);
    return { passed: 0, failed: 0, skipped: 1 };
  };
}

async function emulated(): Promise<Counts> {
  const [program, ...args] = await command() ?? [];
  if (program === undefined) {
    console.log("Deno for aarch64 was not run, since npm does not give it");
    return { passed: 0, failed: 0, skipped: 1 };
  }
  const judge = async (suite: readonly string[]): Promise<Counts> =>
    denoCounts(await run(program, [...args, ...suite], { env: environment }));
  return total(await Promise.all(suites.map(judge)));
}

/** A stage that needs a program is skipped where that is missing. */
function ifInstalled(program: Installable, run: () => Promise<Counts>): () => Promise<Counts> {
  return async () => {
    if (isInstalled(program)) return await run();
    console.log(`To run this stage, ${howToInstall(program)}`);
    return { passed: 0, failed: 0, skipped: 1 };
  };
}

async function sanitizer(): Promise<Counts> {
  const args = ["build", "sanitized-test", "--color", "off"];
  return runnerCounts(await run(await zig(), args, { cwd: join(root, "native") }));
}

async function valgrind(): Promise<Counts> {
  const cache = join(root, ".zig-cache");
  await Deno.mkdir(cache, { recursive: true }); // Where this is the first stage there is none yet.
  const prefix = await Deno.makeTempDir({ dir: cache, prefix: "valgrind-" });
  try {
    await zigBuild("install", "test-program", "-Dvalgrind", "--prefix", prefix);
    const x86 = join(prefix, "x86");
    await zigBuild("test-program", "-Dvalgrind", "-Dtarget=x86-linux-musl", "--prefix", x86);
    const natively = async (program: string): Promise<Counts> =>
      await underValgrind([program], runnerCounts, /./);
    // The first on one processor, the others on another.
    const counts = await Promise.all([
      underValgrind(
        [
          ...[Deno.execPath(), "test", "--no-prompt", "--no-check", "-P=tools"],
          // Valgrind translates all machine code, and what V8 makes better again and again.
          `${exposeGc},--no-opt,--no-maglev,--no-sparkplug`,
          "tests/support/unit_under_valgrind.ts",
        ],
        denoCounts,
        /\(in \S*\/lib(?:fringe|bodies|test_bodies)\.so\)/,
        { FRINGE_LIBRARY: join(prefix, "lib", "libfringe.so") },
      ),
      (async () =>
        total([
          await natively(join(prefix, "bin", "test")),
          await natively(join(x86, "bin", "test")),
        ]))(),
    ]);
    return total(counts);
  } finally {
    await Deno.remove(prefix, { recursive: true });
  }
}

/** Counts tests, and what Valgrind has seen in `ours` meanwhile as failed ones. */
async function underValgrind(
  command: string[],
  count: (ended: Ended) => Counts,
  ours: RegExp,
  env: Record<string, string> = {},
): Promise<Counts> {
  const watched = await watch(command, ours, { NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1", ...env });
  const counts = count(watched);
  if (counts.failed > 0) console.log(watched.output);
  for (const error of watched.errors) console.log(`Valgrind, of ${command[0]}:\n${error}\n`);
  return { ...counts, failed: counts.failed + watched.errors.length };
}

async function bench(): Promise<Counts> {
  const runs = [
    ["bench/run.ts", "--smoke"],
    ["bench/startup.ts", "--smoke"],
    ["bench/million.ts", "--smoke"],
    ["bench/guards.ts"],
    ["bench/guards.ts", "--slowed"],
  ];
  const counts: Counts[] = [];
  for (const args of runs) {
    const flags = ["run", "--no-prompt", "-P=tools"];
    counts.push(one((await run(Deno.execPath(), [...flags, ...args])).success));
  }
  return total(counts);
}

/**
 * What the programs that failed have said, for the end of the output: of a gate of many thousand
 * lines CI may show the last ones only.
 */
const reasons: string[] = [];

/** The errors of a `deno test`, where it lists them; else the last lines. Not all of either. */
function reasonIn(output: string, errors: string): string {
  const list = output.lastIndexOf("\n ERRORS \n");
  return list >= 0
    ? output.slice(list, list + 6000).trim()
    : `${output.slice(-2000)}\n${errors.slice(-2000)}`.trim();
}

/** Runs a program to its end, shows what it prints as it comes, and returns that too. */
async function run(
  command: string,
  args: string[],
  options: { cwd?: string; env?: Record<string, string> } = {},
): Promise<Ended> {
  const child = new Deno.Command(command, {
    args,
    cwd: options.cwd ?? root,
    // The counts are read from plain text, and a gate has no business on the network.
    env: { ...zigEnvironment, NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1", ...options.env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const [output, errors, status] = await Promise.all([
    tee(child.stdout, Deno.stdout),
    tee(child.stderr, Deno.stderr),
    child.status,
  ]);
  if (!status.success) {
    const how = `${args[0]} ended with ${status.signal ?? `exit code ${status.code}`}`;
    console.log(how);
    reasons.push(`${reasonIn(output, errors)}\n${how}`);
  }
  return { output: `${output}\n${errors}`, success: status.success };
}

async function tee(
  stream: ReadableStream<Uint8Array>,
  copy: typeof Deno.stdout,
): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of stream) {
    for (let written = 0; written < chunk.length;) {
      written += copy.writeSync(chunk.subarray(written));
    }
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

async function runStage(stage: Stage): Promise<Counts> {
  const start = performance.now();
  console.log(`\n== ${stage.name}: ${stage.about}`);
  let counts: Counts;
  try {
    counts = await stage.run();
  } catch (error) {
    console.log(error instanceof Error ? error.message : error);
    counts = one(false);
  }
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  const skipped = counts.skipped > 0 ? `, ${counts.skipped} skipped` : "";
  console.log(`-- ${stage.name}: ${line(counts)}${skipped} (${seconds} s)`);
  return counts;
}

function line(counts: Counts): string {
  return `${counts.passed} passed, ${counts.failed} failed`;
}

function selected(prefixes: string[]): Stage[] {
  for (const prefix of prefixes) {
    if (!stages.some(({ name }) => name.startsWith(prefix))) {
      const names = stages.map(({ name }) => name).join(", ");
      console.error(`No stage starts with ${JSON.stringify(prefix)}: there are ${names}`);
      Deno.exit(1);
    }
  }
  return stages.filter(({ name }) =>
    prefixes.length === 0 || prefixes.some((prefix) => name.startsWith(prefix))
  );
}

if (import.meta.main) {
  const results = new Map<string, Counts>();
  for (const stage of selected(Deno.args)) results.set(stage.name, await runStage(stage));
  const failed = [...results].filter(([, counts]) => counts.failed > 0).map(([name]) => name);
  const sum = total(results.values());
  for (const reason of reasons) console.log(`\n${reason}`);
  console.log(failed.length > 0 ? `\nFailed stages: ${failed.join(", ")}` : "");
  console.log(line(sum));
  Deno.exit(sum.failed > 0 ? 1 : 0);
}
