// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Switches of aarch64 in a process that enforces landing pads (BTI) and signed return addresses
 * (PAC), which the emulator does: programs that are compiled with branch protection run, and each
 * pad or table that is taken away is missed.
 */

import { assertEquals } from "@std/assert";
import { join } from "node:path";
import { root } from "../../tools/zig.ts";
import { isInstalled } from "../../tools/packages.ts";
import { testWith } from "../support/support.ts";

const native = join(root, "native");
const assembly = await Deno.readTextFile(join(native, "switch_aarch64.S"));

/** gcc, whose unwinder looks at signatures as well. */
const compiler = "aarch64-linux-gnu-g++";
/** What is missing first, of the two that are needed. */
const needed = isInstalled(compiler) ? "qemu-aarch64-static" : compiler;

/** Builds a program of native/test/, and runs it: its exit code, or the signal that ends it. */
async function run(file: string, changed: string, ...flags: string[]): Promise<number | string> {
  const folder = await Deno.makeTempDir({ prefix: "fringe-branch-" });
  try {
    const [source, program] = [join(folder, "switch.S"), join(folder, "program")];
    await Deno.writeTextFile(source, changed);
    const args = ["-static", "-O1", "-Wall", "-Wextra", "-Werror", ...flags];
    const language = file.endsWith(".c") ? "c" : "c++";
    const inputs = ["-x", language, join(native, "test", file), "-x", "assembler-with-cpp", source];
    const { success, stderr } = await new Deno.Command(compiler, {
      args: [...args, "-I", join(native, "include"), ...inputs, "-o", program],
      stdin: "null",
    }).output();
    assertEquals(success, true, new TextDecoder().decode(stderr));
    const run = new Deno.Command("qemu-aarch64-static", { args: [program], stdin: "null" });
    const { code, signal } = await run.output();
    return signal ?? code;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Without libc, whose startup code has no landing pads: then the process enforces none. */
const guarded = ["-mbranch-protection=standard", "-nostdlib", "-ffreestanding"];

testWith(needed, "switches and thunks arrive at landing pads", async () => {
  assertEquals(await run("branch_protection_test.c", assembly, ...guarded), 0);
});

testWith(needed, "a landing pad that is not there ends the process", async () => {
  const astray = run("branch_protection_test.c", assembly, ...guarded, "-DASTRAY");
  assertEquals(await astray, "SIGILL", "Or the process does not enforce anything");
  for (
    const [pad, nothing] of [
      ["1:      hint    36", "1:      nop"],
      ["        BTI_C\n", "        nop\n"],
      ["        BTI_J\n", "        nop\n"],
    ] as const
  ) {
    const changed = assembly.replaceAll(pad, nothing);
    assertEquals(await run("branch_protection_test.c", changed, ...guarded), "SIGILL", pad);
  }
});

for (const protection of ["none", "standard", "pac-ret+b-key"]) {
  const flag = `-mbranch-protection=${protection}`;
  testWith(needed, `exceptions pass signed frames: ${protection}`, async () => {
    assertEquals(await run("branch_protection_test.cc", assembly, flag), 3);
    if (protection === "none") return;
    const changed = assembly.replaceAll(".cfi_negate_ra_state", "");
    const end = await run("branch_protection_test.cc", changed, flag);
    assertEquals(typeof end, "string", "No signal has ended the process");
  });
}
