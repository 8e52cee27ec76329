// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * The library for macOS, which is linked here, and cannot run here: what Apple's loader, its
 * unwinder and its kernel look for in it is there, as far as LLVM's tools and a check of the
 * signature can tell.
 */

import { join } from "node:path";
import { assert, assertEquals, assertMatch } from "@std/assert";
import { root, zig, zigBuild, zigEnvironment } from "../../tools/zig.ts";
import { dynamicSymbols } from "../support/elf.ts";
import { wrongSignature } from "../support/macho.ts";
import { files } from "../support/repository.ts";
import { testWith } from "../support/support.ts";

interface Numbers {
  /** What the compact entry of a function begins with that has a table of DWARF's. */
  readonly dwarfMode: number;
  /** libSystem's function that zeroes memory. */
  readonly bzero: string;
  /** The registers that a signal handler finds, in C. */
  readonly state: string;
  /** What os/macos.zig compares, by its names, with C's. */
  readonly fields: Readonly<Record<string, string>>;
}

/** What an architecture has of its own. */
const architectures: Readonly<Record<string, Numbers>> = {
  x86_64: {
    dwarfMode: 0x04000000,
    bzero: "___bzero",
    state: "struct __darwin_x86_thread_state64",
    fields: { floats: "__fs", rdi: "__rdi", sp: "__rsp", ip: "__rip", flags: "__rflags" },
  },
  aarch64: {
    dwarfMode: 0x03000000,
    bzero: "_bzero",
    state: "struct __darwin_arm_thread_state64",
    fields: { x: "__x", sp: "__sp", ip: "__pc", pstate: "__cpsr" },
  },
};

/** What the library takes from libSystem, and from nobody else. */
const TAKEN = [
  "__Unwind_Backtrace",
  "__Unwind_ForcedUnwind",
  "__Unwind_GetCFA",
  "__Unwind_GetGR",
  "__Unwind_GetIP",
  "__Unwind_GetLanguageSpecificData",
  "__Unwind_SetGR",
  "__Unwind_SetIP",
  "___error",
  "___ulock_wait",
  "___ulock_wake",
  "__tlv_bootstrap",
  "_abort",
  "_dladdr",
  "_dlclose",
  "_dlopen",
  "_dlsym",
  "_free",
  "_mach_task_self_",
  "_mach_vm_read_overwrite",
  "_mach_vm_remap",
  "_madvise",
  "_memcpy",
  "_memmove",
  "_mmap",
  "_mprotect",
  "_munmap",
  "_pthread_attr_init",
  "_pthread_attr_setstack",
  "_pthread_create",
  "_pthread_getspecific",
  "_pthread_join",
  "_pthread_key_create",
  "_pthread_setspecific",
  "_raise",
  "_sigaction",
  "_sigaltstack",
  "_strlen",
  "_sys_icache_invalidate",
  "_unw_get_proc_info",
  "_unw_getcontext",
  "_unw_init_local",
  "_unw_set_reg",
  "_write",
  "dyld_stub_binder",
];

/** Zig's linker exports these of each library. */
const BY_LINKER = ["___dso_handle", "__mh_dylib_header"];

/** The places in functions that have a table of their own in Mach-O: LABEL in `switch_<arch>.S`. */
const PARTS: Readonly<Record<string, string>> = {
  fringe_trampoline_begin: "fringe_trampoline",
  fringe_trampoline_return: "fringe_trampoline",
  fringe_trampoline_caught: "fringe_trampoline",
  fringe_root_return: "fringe_root",
};

/** Functions without a frame that have to call here: those of CXA_GET_GLOBALS, CURRENT_ADDRESS. */
const CALLING = ["fringe_errno_found", "fringe_init", "fringe_leave_current"];

async function output(command: string, ...args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(command, {
    args,
    env: zigEnvironment,
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  assert(success, `${command} ${args.join(" ")}: ${decoder.decode(stderr)}`);
  return decoder.decode(stdout);
}

async function inTemporaryFolder<T>(use: (folder: string) => Promise<T>): Promise<T> {
  const folder = await Deno.makeTempDir({ prefix: "fringe-macho-" });
  try {
    return await use(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** The libraries by architecture, each built once. */
const built = new Map<string, Promise<Uint8Array<ArrayBuffer>>>();

function library(arch: string): Promise<Uint8Array<ArrayBuffer>> {
  const found = built.get(arch) ?? inTemporaryFolder(async (folder) => {
    await zigBuild("install", `-Dtarget=${arch}-macos`, "--prefix", folder);
    return await Deno.readFile(join(folder, "lib", "libfringe.dylib"));
  });
  built.set(arch, found);
  return found;
}

/** Has the path of a library's file. */
async function withFile<T>(arch: string, use: (file: string) => Promise<T>): Promise<T> {
  const bytes = await library(arch);
  return await inTemporaryFolder(async (folder) => {
    const file = join(folder, "libfringe.dylib");
    await Deno.writeFile(file, bytes);
    return await use(file);
  });
}

/** Functions with their addresses, without the underscore that C's names begin with in Mach-O. */
async function functions(file: string): Promise<Map<string, number>> {
  const lines = (await output("llvm-nm", "--defined-only", file)).matchAll(
    /^(\w+) [Tt] _?(\w+)$/gm,
  );
  return new Map([...lines].map(([, address, name]) => [name!, Number.parseInt(address!, 16)]));
}

/** The instructions of each function's table, by its name: what they say, not where. */
async function tables(file: string): Promise<Map<string, string[]>> {
  const names = new Map([...await functions(file)].map(([name, address]) => [address, name]));
  const found = new Map<string, string[]>();
  const frames = await output("llvm-dwarfdump", "--eh-frame", file);
  for (const entry of frames.split(/\n\n+(?=[0-9a-f]{8} )/)) {
    const name = names.get(Number.parseInt(/ FDE .*pc=(\w+)\.\.\./.exec(entry)?.[1] ?? "", 16));
    if (name === undefined) continue;
    const instructions = [...entry.matchAll(/^ +DW_CFA_(.*?):?$/gm)].map(([, text]) => text!);
    found.set(name, instructions.filter((text) => !/^(nop|advance_loc)/.test(text)));
  }
  return found;
}

/** The tables of `switch_<arch>.S` in ELF. */
async function elfTables(arch: string): Promise<Map<string, string[]>> {
  return await inTemporaryFolder(async (folder) => {
    const file = join(folder, "switch.so");
    const source = join(root, "native", `switch_${arch}.S`);
    const options = ["cc", "-target", `${arch}-linux-gnu`, "-nostdlib", "-shared"];
    await output(await zig(), ...options, source, "-o", file);
    return await tables(file);
  });
}

/** The load commands by their names, as LLVM's objdump shows them. */
async function loadCommands(file: string): Promise<Map<string, string[]>> {
  const text = await output("llvm-objdump", "--macho", "--private-headers", file);
  return Map.groupBy(
    text.split(/^Load command \d+$/m).slice(1),
    (command) => /^ *cmd (\w+)$/m.exec(command)![1]!,
  );
}

for (const [arch, { dwarfMode, bzero, state, fields }] of Object.entries(architectures)) {
  const title = `the library for ${arch} macOS`;

  testWith("llvm-nm", `${title} exports what that for Linux does`, async () => {
    const prebuilt = join(root, "native", "prebuilt", "x86_64-linux", "libfringe.so");
    const wanted = [...dynamicSymbols(Deno.readFileSync(prebuilt)).keys()].map((name) =>
      `_${name}`
    );
    const text = await withFile(
      arch,
      (file) => output("llvm-nm", "--extern-only", "--defined-only", "--just-symbol-name", file),
    );
    assertEquals(text.trim().split("\n").sort(), [...wanted, ...BY_LINKER].sort());
  });

  testWith("llvm-objdump", `${title} takes what it needs from libSystem alone`, async () => {
    await withFile(arch, async (file) => {
      const taken = [...TAKEN, bzero].sort();
      const undefined_ = await output("llvm-nm", "--undefined-only", "--just-symbol-name", file);
      assertEquals(undefined_.trim().split("\n").sort(), taken);
      const bound = await output("llvm-objdump", "--macho", "--bind", "--lazy-bind", file);
      const rows = [...bound.matchAll(/^__DATA.* (\w+) +(_\w+|dyld_stub_binder)\b/gm)];
      assertEquals(new Set(rows.map(([, , name]) => name)), new Set(taken));
      assertEquals(new Set(rows.map(([, from]) => from)), new Set(["libSystem"]));
    });
  });

  testWith("llvm-objdump", `${title} has the load commands that it should have`, async () => {
    const commands = await withFile(arch, loadCommands);
    const only = (name: string): string => {
      const found = commands.get(name) ?? [];
      assertEquals(found.length, 1, name);
      return found[0]!;
    };
    assertMatch(only("LC_ID_DYLIB"), /^ *name @rpath\/libfringe\.dylib /m);
    assertMatch(only("LC_LOAD_DYLIB"), /^ *name \/usr\/lib\/libSystem\.B\.dylib /m);
    const source = await Deno.readTextFile(join(root, "native", "build.zig"));
    const [, major, minor] = /macos_min[^]*?\.major = (\d+), \.minor = (\d+)/.exec(source)!;
    assertMatch(only("LC_BUILD_VERSION"), /^ *platform (macos|1)$/m);
    assertMatch(only("LC_BUILD_VERSION"), new RegExp(`^ *minos ${major}\\.${minor}$`, "m"));
    only("LC_CODE_SIGNATURE");
    assertEquals(commands.get("LC_RPATH"), undefined);
  });

  testWith("llvm-dwarfdump", `${title} has the tables that ELF has`, async () => {
    const wanted = await elfTables(arch);
    const found = await withFile(arch, tables);
    const whole = new Map<string, string[]>();
    for (const [name, instructions] of found) {
      const function_ = PARTS[name] ?? name;
      if (!wanted.has(function_)) continue;
      const before = whole.get(function_) ?? [];
      // A part begins with the table that the whole begins with.
      const again = found.get(function_)!;
      if (function_ !== name) assertEquals(instructions.slice(0, again.length), again, name);
      whole.set(function_, [
        ...before,
        ...instructions.slice(function_ === name ? 0 : again.length),
      ]);
    }
    assertEquals([...whole.keys()].sort(), [...wanted.keys()].sort());
    for (const [name, instructions] of wanted) {
      const others = whole.get(name)!.filter((text) => {
        return !CALLING.includes(name) || instructions.includes(text);
      });
      // Behind what is left out the frame is again as it was before.
      const isNew = (text: string, i: number) => !CALLING.includes(name) || text !== others[i - 1];
      assertEquals(others.filter(isNew), instructions, name);
    }
  });

  testWith("llvm-objdump", `${title} has unwinders go by these tables`, async () => {
    await withFile(arch, async (file) => {
      const text = await output("llvm-objdump", "--macho", "--unwind-info", file);
      const entries = [...text.matchAll(/function offset=(0x\w+), .*encoding.*=(0x\w+)$/gm)]
        .map(([, offset, encoding]) => [Number(offset), Number(encoding)] as const);
      const addresses = new Map([...await functions(file)].map(([name, at]) => [at, name]));
      const ofSwitch = new Set((await elfTables(arch)).keys()).union(new Set(Object.keys(PARTS)));
      const byTables = new Set<string>();
      for (const [offset, encoding] of entries) {
        if ((encoding & 0x0f000000) === dwarfMode) byTables.add(addresses.get(offset)!);
      }
      assertEquals(ofSwitch.difference(byTables), new Set());
    });
  });

  testWith("llvm-objdump", `${title} has one variable of each thread`, async () => {
    await withFile(arch, async (file) => {
      const sections = await output("llvm-objdump", "--macho", "--private-headers", file);
      const section = (name: string): string =>
        new RegExp(`sectname ${name}\\n[^]*?reserved2`).exec(sections)![0];
      assertMatch(section("__thread_vars"), /type S_THREAD_LOCAL_VARIABLES$/m);
      assertMatch(section("__thread_vars"), /size 0x0*18$/m);
      // dyld writes words there.
      assertMatch(section("__thread_vars"), /align 2\^3 /m);
      assertMatch(section("__thread_bss"), /type S_THREAD_LOCAL_ZEROFILL$/m);
      assertMatch(section("__thread_bss"), /size 0x0*10$/m);
      assertMatch(sections, /MH_HAS_TLV_DESCRIPTORS/);
    });
  });

  Deno.test(`${title} has a signature that holds`, async () => {
    const bytes = await library(arch);
    assertEquals(wrongSignature(bytes), []);
    const changed = bytes.slice();
    changed[1]! ^= 1;
    assertEquals(wrongSignature(changed), ["page 0 has another digest"]);
  });

  Deno.test(`${title} is the same, byte for byte, built in another folder`, async () => {
    const bytes = await library(arch);
    await inTemporaryFolder(async (folder) => {
      for (const name of files.filter((name) => /^(native|examples)\//.test(name))) {
        const to = join(folder, name);
        await Deno.mkdir(join(to, ".."), { recursive: true });
        await Deno.copyFile(join(root, name), to);
      }
      const { success, stderr } = await new Deno.Command(await zig(), {
        args: ["build", "install", `-Dtarget=${arch}-macos`, "--color", "off"],
        cwd: join(folder, "native"),
        env: { ...zigEnvironment, ZIG_LOCAL_CACHE_DIR: join(folder, "cache") },
      }).output();
      assert(success, new TextDecoder().decode(stderr));
      const prefix = join(folder, "native", "zig-out");
      const again = await Deno.readFile(join(prefix, "lib", "libfringe.dylib"));
      assert(again.toHex() === bytes.toHex(), "The two libraries differ");
    });
  });

  Deno.test(`a program with the Zig package links for ${arch} macOS`, async () => {
    await inTemporaryFolder(async (folder) => {
      await zigBuild("crash", `-Dtarget=${arch}-macos`, "--prefix", folder);
      assert((await Deno.stat(join(folder, "bin", "crash"))).isFile);
    });
  });

  Deno.test(`native/os/macos.zig has layouts and numbers of C's headers for ${arch}`, async () => {
    const source = await Deno.readTextFile(join(root, "native", "os", "macos.zig"));
    const C: Readonly<Record<string, string>> = {
      machine: "uc_mcontext",
      registers: "__ss",
      ...fields,
    };
    const common = source.match(/assert\(@offsetOf\(Ucontext, [^]*?switch/)![0];
    const own = source.match(new RegExp(`\\.${arch} => \\{\\s+assert([^}]*)`))![0];
    const offsets = [...(common + own).matchAll(/@offsetOf\((\w+), "(\w+)"\) == (\d+)/g)];
    assertEquals(offsets.map(([, , field]) => field), Object.keys(C));
    const numbers = [...source.matchAll(/^ *const ((?:SI|SS)_\w+) = (\w+);/gm)];
    assertEquals(numbers.map(([, name]) => name), ["SI_USER", "SS_ONSTACK"]);
    const types: Readonly<Record<string, string>> = {
      Ucontext: "ucontext_t",
      Mcontext: "struct __darwin_mcontext64",
      Registers: state,
    };
    const lines = [
      "#include <signal.h>",
      "#include <stddef.h>",
      "#include <sys/ucontext.h>",
      ...offsets.map(([, type, field, offset]) => {
        const place = `offsetof(${types[type!]}, ${C[field!]})`;
        return `_Static_assert(${place} == ${offset}, "${field}");`;
      }),
      ...numbers.map(([, name, number]) => `_Static_assert(${name} == ${number}, "${name}");`),
    ];
    await inTemporaryFolder(async (folder) => {
      const file = join(folder, "layouts.c");
      await Deno.writeTextFile(file, lines.join("\n"));
      const options = ["-target", `${arch}-macos`, "-c", file, "-o", join(folder, "layouts.o")];
      await output(await zig(), "cc", ...options);
    });
  });
}
