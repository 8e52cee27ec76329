// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * A dry run of a port: to build for an architecture or a system that there is no file for stops
 * with one error, which names the files to write. And the Zig package builds without a system.
 */

import { join } from "node:path";
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { root, zig, zigEnvironment } from "../../tools/zig.ts";
import { testWith } from "../support/support.ts";

const native = join(root, "native");

/** Runs a program in `native/`, and gives what it says on stdout and stderr. */
async function run(
  program: string,
  ...args: string[]
): Promise<{ success: boolean; said: string }> {
  const command = new Deno.Command(program, { args, cwd: native, env: zigEnvironment });
  const { success, stdout, stderr } = await command.output();
  const text = new TextDecoder();
  return { success, said: text.decode(stdout) + text.decode(stderr) };
}

/** What must fail, with one error: returns that. */
async function errorOf(...args: string[]): Promise<string> {
  const { success, said } = await run(await zig(), ...args);
  assert(!success, "It has been built");
  const errors = said.split("\n").filter((line) => /\berror: (?!\d+ compilation)/.test(line));
  assertEquals(errors.length, 1, said);
  return errors[0]!;
}

/** The files that an error names. */
function namedIn(error: string): string[] {
  return error.replace(/, and name .*/, "").match(/(?<=native\/)[\w/]+\.(?:S|zig|h)/g) ?? [];
}

const ofRiscv64 = ["switch_riscv64.S", "arch/riscv64.zig", "include/fringe_riscv64.h"];

for (
  const [target, files] of Object.entries({
    "riscv64-linux": ofRiscv64,
    "x86-netbsd": ["os/netbsd.zig"],
    "riscv64-netbsd": [...ofRiscv64, "os/netbsd.zig"],
  })
) {
  Deno.test(`zig build for ${target} stops with one error: the files to write`, async () => {
    const error = await errorOf("build", "library", `-Dtarget=${target}`, "--color", "off");
    assertStringIncludes(error, `fringe has not been ported to ${target} yet. Write native/`);
    assertEquals(namedIn(error), files);
  });
}

const onWindows = "fringe does not run on Windows: its ABI keeps the stack pointer within";

for (const target of ["x86_64-windows", "aarch64-windows"]) {
  Deno.test(`zig build for ${target} stops with one error: why it is refused`, async () => {
    const error = await errorOf("build", "library", `-Dtarget=${target}`, "--color", "off");
    assertStringIncludes(error, onWindows);
  });
}

const onSlice = `
const fringe = @import("fringe");

var memory: [64 * 1024]u8 = undefined;

fn body(yielder: *fringe.Yielder(u32, u32), first: u32) void {
    var input = first;
    while (true) input = yielder.@"suspend"(input + 1) catch return;
}

export fn addOne(input: u32) u32 {
    var stack = fringe.SliceStack.init(&memory) catch return 0;
    defer stack.deinit();
    var generator: fringe.Generator(u32, u32) = .initUnguarded(stack.stack(), body);
    const output = generator.@"resume"(input) orelse 0;
    return if (generator.cancel() == .returned) output else 0;
}
`;

const onOsStack = onSlice
  .replace("fringe.SliceStack.init(&memory)", "fringe.OsStack.init(0)")
  .replace(".initUnguarded(", ".init(");

/** Passes the arguments of Zig that make an object of a program which imports the package. */
async function withProgram<T>(
  source: string,
  target: string,
  use: (args: string[], object: string) => Promise<T>,
): Promise<T> {
  const folder = await Deno.makeTempDir({ prefix: "fringe-port-" });
  try {
    const [file, object] = [join(folder, "program.zig"), join(folder, "program.o")];
    await Deno.writeTextFile(file, source);
    const modules = ["--dep", "fringe", `-Mroot=${file}`, `-Mfringe=${join(native, "fringe.zig")}`];
    const options = ["-fllvm", "-target", target, `-femit-bin=${object}`, "--color", "off"];
    return await use(["build-obj", ...options, ...modules], object);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("the Zig package for another architecture or system has one error, too", async () => {
  const expected = {
    "riscv64-freestanding": ofRiscv64,
    "x86-netbsd": ["os/netbsd.zig"],
  };
  for (const [target, files] of Object.entries(expected)) {
    const error = await withProgram(onSlice, target, (args) => errorOf(...args));
    assertStringIncludes(error, "fringe has not been ported to ");
    assertEquals(namedIn(error), files);
  }
});

Deno.test("the Zig package for Windows has one error, too: why it is refused", async () => {
  const error = await withProgram(onSlice, "x86_64-windows", (args) => errorOf(...args));
  assertStringIncludes(error, onWindows);
});

Deno.test("fringe.h for another architecture has one error: the file to write", async () => {
  for (const language of ["c", "c++"]) {
    const source = join(root, "examples", "bodies", "add_one.c");
    const args = ["-x", language, "-target", "riscv64-linux-musl", "-Iinclude", "-c", source];
    const error = await errorOf("cc", ...args, "-o", join(root, ".zig-cache", "no.o"));
    assertStringIncludes(error, "write native/include/fringe_<arch>.h");
  }
});

testWith("readelf", "the Zig package builds without an operating system", async () => {
  for (const arch of ["x86_64", "x86", "aarch64"]) {
    await withProgram(onSlice, `${arch}-freestanding`, async (args, object) => {
      const { success, said } = await run(await zig(), ...args, "-Ofast");
      assert(success, said);
      // The stack is all the memory it has: nothing of what a system is asked to map.
      const sections = (await run("readelf", "--wide", "--sections", object)).said;
      const sizes = [...sections.matchAll(/ NOBITS +\w+ \w+ (\w+)/g)].map(([, size]) =>
        parseInt(size!, 16)
      );
      assertEquals(sizes.reduce((a, b) => a + b, 0), 64 * 1024, sections);
    });
  }
});

Deno.test("an OsStack without an operating system is an error that says what to use", async () => {
  const error = await withProgram(onOsStack, "x86_64-freestanding", (args) => errorOf(...args));
  assertStringIncludes(error, "use a SliceStack or an OwnedStack");
});
