// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * What can be known of FreeBSD without one: the library and a program with the Zig package link,
 * their symbols are as they should be, and `native/os/freebsd.zig` has the layouts of C's headers.
 */

import { assert, assertEquals } from "@std/assert";
import { join } from "node:path";
import { root, zig, zigBuild, zigEnvironment } from "../../tools/zig.ts";
import { dynamicSymbols } from "../support/elf.ts";
import { testWith, withFolder } from "../support/support.ts";

/** The architectures, and what C calls the registers that `freebsd.zig` gives the place of. */
const ARCHITECTURES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  x86_64: { ip: "mc_rip", sp: "mc_rsp", fpstate: "mc_fpstate" },
  aarch64: { sp: "mc_gpregs.gp_sp", ip: "mc_gpregs.gp_elr", pstate: "mc_gpregs.gp_spsr" },
};

const linux = join(root, "native", "prebuilt", "x86_64-linux", "libfringe.so");

/** What a file asks others for, by name: `weak` what it can do without. Versions stand behind @. */
async function undefinedSymbols(path: string): Promise<{ strong: string[]; weak: string[] }> {
  const { stdout } = await new Deno.Command("readelf", { args: ["--wide", "--dyn-syms", path] })
    .output();
  const rows = [...new TextDecoder().decode(stdout).matchAll(/ (GLOBAL|WEAK) .* UND (\S+)/g)];
  const named = (binding: string): string[] =>
    rows.filter((row) => row[1] === binding).map((row) => row[2]!).sort();
  return { strong: named("GLOBAL"), weak: named("WEAK") };
}

/** The libraries that a file needs, as the loader knows them. */
async function neededBy(path: string): Promise<string[]> {
  const { stdout } = await new Deno.Command("readelf", { args: ["--wide", "--dynamic", path] })
    .output();
  const names = new TextDecoder().decode(stdout).matchAll(/\(NEEDED\).*\[(.*)\]/g);
  return [...names].map(([, name]) => name!);
}

for (const arch of Object.keys(ARCHITECTURES)) {
  const target = `${arch}-freebsd`;

  testWith("readelf", `the library for ${target} exports what that for Linux does`, async () => {
    await withFolder(async (prefix) => {
      await zigBuild(`-Dtarget=${target}`, "--prefix", prefix);
      const library = join(prefix, "lib", "libfringe.so");
      const exported = async (path: string): Promise<string[]> =>
        [...dynamicSymbols(await Deno.readFile(path)).keys()].sort();
      assertEquals(await exported(library), await exported(linux));

      // What it needs is libc's, of which the linker has put down the version.
      const { strong, weak } = await undefinedSymbols(library);
      assert(strong.includes("mmap@FBSD_1.0"), strong.join());
      assertEquals(strong.filter((name) => !/@FBSD_1\.\d$/.test(name)), []);
      assertEquals(await neededBy(library), ["libc.so.7"]);
      // Without what Linux has, too, it can do; there these functions of libc are among it.
      const ofLibc = ["sigaction", "__errno_location"];
      const onLinux = (await undefinedSymbols(linux)).weak.filter((name) => !ofLibc.includes(name));
      assertEquals(weak.map((name) => name.replace(/@.*/, "")), onLinux);
    });
  });

  testWith("readelf", `a program with the Zig package links for ${target}`, async () => {
    await withFolder(async (prefix) => {
      await zigBuild("crash", `-Dtarget=${target}`, "--prefix", prefix);
      const needed = await neededBy(join(prefix, "bin", "crash"));
      assert(needed.includes("libc.so.7"), needed.join());
    });
  });
}

for (const [arch, registers] of Object.entries(ARCHITECTURES)) {
  Deno.test(`os/freebsd.zig has layouts and numbers of C's headers for ${arch}`, async () => {
    const text = await Deno.readTextFile(join(root, "native", "os", "freebsd.zig"));
    const C: Readonly<Record<string, string>> = { registers: "uc_mcontext", ...registers };
    const common = text.match(/@offsetOf\(Ucontext, .*/)![0];
    const own = text.match(new RegExp(`\\.${arch} => \\{\\s+assert([^}]*)`))![1];
    const offsets = [...(common + own).matchAll(/@offsetOf\(\w+, "(\w+)"\) == (\d+)/g)];
    assertEquals(offsets.map(([, field]) => field), Object.keys(C));
    const numbers = [...text.matchAll(/^ *const ((?:SYS|SI|SS)_\w+) = (\w+);/gm)];
    assertEquals(numbers.map(([, name]) => name), ["SYS_sigprocmask", "SI_USER", "SS_ONSTACK"]);
    const source = [
      "#include <signal.h>",
      "#include <stddef.h>",
      "#include <sys/syscall.h>",
      "#include <ucontext.h>",
      ...offsets.map(([, field, offset]) => {
        const type = field === "registers" ? "ucontext_t" : "mcontext_t";
        return `_Static_assert(offsetof(${type}, ${C[field!]}) == ${offset}, "${field}");`;
      }),
      ...numbers.map(([, name, number]) => `_Static_assert(${name} == ${number}, "${name}");`),
    ].join("\n");
    await withFolder(async (folder) => {
      const file = join(folder, "layouts.c");
      await Deno.writeTextFile(file, source);
      const { success, stderr } = await new Deno.Command(await zig(), {
        args: ["cc", "-target", `${arch}-freebsd`, "-c", file, "-o", join(folder, "layouts.o")],
        env: zigEnvironment,
      }).output();
      assert(success, new TextDecoder().decode(stderr));
    });
  });
}
