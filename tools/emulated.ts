// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Runs tests in Deno for aarch64 by emulation: `deno run -P=tools tools/emulated.ts [FILE…]`. npm
 * has that Deno, in the version of the one that runs this; Debian has the emulator (qemu-user), and
 * glibc and a compiler for aarch64.
 *
 * @module
 */

import { join } from "node:path";
import { root } from "./zig.ts";

const PACKAGE = "@deno/linux-arm64-glibc";

/**
 * What runs a program for aarch64, and what compiles one.
 *  - The processor signs return addresses by a way of the emulator's own (`pauth-impdef`). By Arm's
 *    way, QARMA, programs take up to eight times as long: each function of Deno's signs its own.
 *  - Tests crash on purpose. Of a process of gigabytes the emulator would write a core file.
 */
const EMULATOR = [
  ...["prlimit", "--core=0", "qemu-aarch64-static", "-cpu", "max,pauth-impdef=on"],
  ...["-L", "/usr/aarch64-linux-gnu"],
] as const;
export const COMPILER = "aarch64-linux-gnu-g++";

/** Where tests find how this Deno is run: tests/support/support.ts. */
const VARIABLE = "FRINGE_EMULATOR";

/** The core suite's own set, with what small_heap.ts needs of the system, and a variable. */
const CORE = ["-P", "--allow-sys", `--allow-env=${VARIABLE}`];

/** All others have all permissions, as wherever they run: some tests read /proc. */
const ALL = ["-P=suite"];

/** What the gate runs so, each as one command, beside the others. */
export const suites: readonly (readonly string[])[] = [
  [...CORE, "tests/unit"],
  [
    ...ALL,
    ...behaviours("coroutine", "exception", "overflow", "unwind"),
    ...["demo", "libc"].map((name) => `tests/examples/${name}_test.ts`),
  ],
  [
    ...ALL,
    ...behaviours("control_words", "foreign", "mailbox", "nonblocking", "signature", "thread"),
    ...behaviours("struct_call", "struct_value", "worker"),
    "tests/fuzz",
    "tests/model",
  ],
];

function behaviours(...names: string[]): string[] {
  return names.map((name) => `tests/behaviour/${name}_test.ts`);
}

/** The command line to which permissions and files are appended; undefined if npm lacks Deno. */
export async function command(): Promise<string[] | undefined> {
  const deno = await denoFor(Deno.version.deno);
  if (deno === undefined) return undefined;
  const flags = ["--v8-flags=--expose-gc", "--preload=tests/support/small_heap.ts"];
  return [...EMULATOR, deno, "test", "--no-prompt", "--no-check", ...flags];
}

/** What tests have to know: how this Deno is run, and what compiles for it. */
export const environment = { [VARIABLE]: EMULATOR.join(" "), CXX: COMPILER };

/** Gets Deno from npm, if it is not there; undefined if npm does not give it. */
async function denoFor(version: string): Promise<string | undefined> {
  const folder = join(root, ".zig-cache", `deno-aarch64-${version}`);
  const path = join(folder, "package", "deno");
  if (isFile(path)) return path;
  await Deno.mkdir(folder, { recursive: true });
  console.log(`Downloading ${PACKAGE}@${version}`);
  const packed = await run("npm", ["pack", "--pack-destination", folder, `${PACKAGE}@${version}`]);
  const archive = packed?.trim().split("\n").at(-1);
  if (archive === undefined) return undefined;
  // Aside, so that what was unpacked half-way is not taken for the whole.
  const aside = await Deno.makeTempDir({ dir: folder });
  if (await run("tar", ["-xzf", join(folder, archive), "-C", aside]) === undefined) {
    return undefined;
  }
  await Deno.rename(join(aside, "package"), join(folder, "package"));
  return path;
}

/** What a program prints; undefined if it fails, or is not there. */
async function run(program: string, args: string[]): Promise<string | undefined> {
  const command = new Deno.Command(program, { args, stdin: "null", stderr: "inherit" });
  try {
    const { success, stdout } = await command.output();
    return success ? new TextDecoder().decode(stdout) : undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

if (import.meta.main) {
  const [program, ...args] = await command() ?? [];
  if (program === undefined) {
    console.error(`Cannot run the tests: npm does not give ${PACKAGE}`);
    Deno.exit(1);
  }
  for (const suite of Deno.args.length > 0 ? [[...ALL, ...Deno.args]] : suites) {
    const child = new Deno.Command(program, {
      args: [...args, ...suite],
      cwd: root,
      env: environment,
    });
    const { success } = await child.spawn().status;
    if (!success) Deno.exit(1);
  }
}
