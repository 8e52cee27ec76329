// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Builds examples/bare_metal/, boots it in QEMU, and counts what it says: `deno run -P=tools
 * tools/bare_metal.ts x86_64`, or without a name for each machine that there is a QEMU for.
 *
 * @module
 */

import { join } from "node:path";
import { type Counts, type Ended, tapCounts, total } from "./counts.ts";
import { howToInstall, type Installable, isInstalled } from "./packages.ts";
import { root, zig, zigEnvironment } from "./zig.ts";

/** How QEMU boots an image. */
interface Machine {
  readonly qemu: Installable;
  readonly options: readonly string[];
  /** With which exit status QEMU ends when the image says that all is well. */
  readonly success: number;
}

/**
 * What is said goes to stdout, whoever resets the machine ends it, and its clock counts
 * instructions: see tools/instructions.ts.
 */
const PLAIN = ["-display", "none", "-serial", "stdio", "-no-reboot", "-icount", "shift=0"];

/** `-device isa-debug-exit` gives twice what is written to it, plus 1: see pc.zig. */
const PC = { options: [...PLAIN, "-device", "isa-debug-exit"], success: 33 };

/** Semihosting gives the status itself: see virt.zig. */
const VIRT = {
  options: [...PLAIN, "-machine", "virt", "-cpu", "cortex-a72", "-semihosting"],
  success: 0,
};

/** The machines, by the name of the architecture. docs/bare_metal.md shows each command. */
export const machines: Readonly<Record<string, Machine>> = {
  x86_64: { qemu: "qemu-system-x86_64", ...PC },
  x86: { qemu: "qemu-system-i386", ...PC },
  aarch64: { qemu: "qemu-system-aarch64", ...VIRT },
};

/** The words of the command that boots an image. */
export function commandOf({ qemu, options }: Machine, image: string): string[] {
  return [qemu, ...options, "-kernel", image];
}

/** For one machine: builds and boots images that are made for debugging, and for speed. */
export async function bareMetal(arch: string): Promise<Counts> {
  const { qemu } = machines[arch]!;
  if (!isInstalled(qemu)) {
    console.log(`To boot ${arch}, ${howToInstall(qemu)}`);
    return { passed: 0, failed: 0, skipped: 1 };
  }
  const counts: Counts[] = [];
  for (const optimize of ["debug", "fast"]) {
    counts.push(tapCounts(await run(arch, optimize)));
  }
  return total(counts);
}

/** Builds an image for one machine, and boots it. */
export async function run(arch: string, optimize: string): Promise<Ended> {
  const machine = machines[arch]!;
  const image = await build(arch, optimize);
  console.log(`# ${arch}, ${optimize}`);
  return await boot(commandOf(machine, image), machine.success);
}

/** Builds the example as a reader would. Returns the path of the image. */
async function build(arch: string, optimize: string): Promise<string> {
  const prefix = join(root, ".zig-cache", "bare_metal", arch, optimize);
  const options = [`-Dtarget=${arch}-freestanding`, `-Doptimize=${optimize}`, "--prefix", prefix];
  const { success } = await new Deno.Command(await zig(), {
    args: ["build", ...options, "--color", "off"],
    cwd: join(root, "examples", "bare_metal"),
    env: zigEnvironment,
    stdin: "null",
    stdout: "inherit",
    stderr: "inherit",
  }).spawn().status;
  if (!success) throw new Error(`Cannot build examples/bare_metal for ${arch}`);
  return join(prefix, "bin", "bare_metal");
}

/** Boots a machine, and shows what it says. One that hangs is turned off. */
export async function boot(
  [program, ...args]: readonly string[],
  success: number,
  secondsMax = 60,
): Promise<Ended> {
  const child = new Deno.Command(program!, { args, stdin: "null", stdout: "piped" }).spawn();
  const hangs = setTimeout(() => {
    console.log(`The machine has not ended after ${secondsMax} s: it is turned off`);
    child.kill("SIGKILL");
  }, secondsMax * 1000);
  const { stdout, code } = await child.output();
  clearTimeout(hangs);
  const output = new TextDecoder().decode(stdout);
  console.log(output.trimEnd());
  if (code !== success) console.log(`${program} ended with ${code}, in place of ${success}`);
  return { output, success: code === success };
}

if (import.meta.main) {
  const chosen = Deno.args.length > 0 ? Deno.args : Object.keys(machines);
  const unknown = chosen.find((arch) => !(arch in machines));
  if (unknown !== undefined) {
    console.error(`There is no ${unknown}: there are ${Object.keys(machines).join(", ")}`);
    Deno.exit(1);
  }
  let failed = 0;
  for (const arch of chosen) failed += (await bareMetal(arch)).failed;
  Deno.exit(failed > 0 ? 1 : 0);
}
