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

/** What runs a program for aarch64, and what compiles one. */
const EMULATOR = ["qemu-aarch64-static", "-L", "/usr/aarch64-linux-gnu"] as const;
export const COMPILER = "aarch64-linux-gnu-g++";

/**
 * What the gate runs so, each as one command. An emulator takes some twenty times as long, and a
 * second for a collection of garbage: tests that collect run only natively.
 */
export const suites: readonly (readonly string[])[] = [
  [
    ...["value", "stack", "os_stack", "slice_stack", "dlopen"].map((name) =>
      `tests/unit/${name}_test.ts`
    ),
    ...["mailbox", "control_words"].map((name) => `tests/behaviour/${name}_test.ts`),
  ],
  [
    ...["exception", "overflow", "worker"].map((name) => `tests/behaviour/${name}_test.ts`),
    "--filter=/comes out of a call|swallows|may suspend while|overflows|canary/",
  ],
];

/** The command line to which files are appended; undefined if npm does not give that Deno. */
export async function command(): Promise<string[] | undefined> {
  const deno = await denoFor(Deno.version.deno);
  if (deno === undefined) return undefined;
  // The set has all permissions, as wherever the suite runs: some tests read /proc. V8's threads
  // wait for each other by spinning, which takes an emulator most of its time.
  const flags = ["-P=suite", "--v8-flags=--expose-gc,--single-threaded"];
  return [...EMULATOR, deno, "test", "--no-prompt", "--no-check", ...flags];
}

/** What tests have to know: how this Deno is run, and what compiles for it. */
export const environment = { FRINGE_EMULATOR: EMULATOR.join(" "), CXX: COMPILER };

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
  for (const suite of Deno.args.length > 0 ? [Deno.args] : suites) {
    const child = new Deno.Command(program, {
      args: [...args, ...suite],
      cwd: root,
      env: environment,
    });
    const { success } = await child.spawn().status;
    if (!success) Deno.exit(1);
  }
}
