// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** Libraries that execute code on their stack: nested functions of GNU C. */

import { join } from "node:path";
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { dlopen, Generator, type NativeLibrary, OsStack } from "../../mod.ts";
import { root } from "../../tools/zig.ts";
import { moduleUrl, runChild, testWith } from "../support/support.ts";

const order = { callback: { parameters: ["i32", "i32"], result: "i32" } } as const;
const nested = {
  sort_nested: { parameters: ["buffer", "usize", order], result: "i32" },
  sort_elsewhere: {
    name: "sort_nested",
    parameters: ["buffer", "usize", order],
    result: "i32",
    nonblocking: true,
  },
  counts_nested: { input: "i32", output: "i32" },
  use_stack: { parameters: ["i32"], result: "i32", overflow: "throw" },
} as const;

const folder = join(root, ".zig-cache", "executable_stack");

function run(command: string, ...args: string[]): void {
  const { success, stderr } = new Deno.Command(command, { args }).outputSync();
  assert(success, new TextDecoder().decode(stderr));
}

/** Compiles `nested.c` to a library and returns its path. */
function compile(name: string, how: { mark?: boolean; options?: string[] } = {}): string {
  Deno.mkdirSync(folder, { recursive: true });
  const [object, path] = [join(folder, `${name}.o`), join(folder, `lib${name}.so`)];
  const source = new URL("../bodies/nested.c", import.meta.url).pathname;
  const include = new URL("../../native/include", import.meta.url).pathname;
  const options = ["-O2", "-Wall", "-Wextra", "-Werror", "-fPIC", "-fexceptions", `-I${include}`];
  run("g++", "-x", "c", "-c", ...options, source, "-o", object);
  if (how.mark === false) run("objcopy", "--remove-section=.note.GNU-stack", object);
  run("g++", "-shared", ...how.options ?? [], object, "-o", path);
  return path;
}

/** Compiled once: it stays mapped, and another file in its place would leave a mapping of none. */
let compiled: string | undefined;

function compileNested(): string {
  return compiled ??= compile("nested");
}

function openNested(): NativeLibrary<typeof nested> {
  return dlopen(compileNested(), nested);
}

/** What may be done with the memory at an address: "rw-p", say. */
function accessAt(address: bigint): string {
  for (const line of Deno.readTextFileSync("/proc/self/maps").split("\n")) {
    const [, start, end, access] = line.match(/^(\w+)-(\w+) (\S+)/) ?? [];
    if (address >= BigInt(`0x${start}`) && address < BigInt(`0x${end}`)) return access!;
  }
  return "none";
}

const numbers = () => Int32Array.of(5, 3, 9, 1, 7);
const sorted = Int32Array.of(1, 3, 5, 7, 9);

testWith("g++", "a nested function is called in each form of a call", async () => {
  using library = openNested();
  const { sort_nested, sort_elsewhere } = library.symbols;

  const plain = numbers();
  assert(sort_nested(plain, 5, (a, b) => a - b) > 4);
  assertEquals(plain, sorted);

  for (const f of [sort_nested, sort_elsewhere]) {
    const awaited = numbers();
    assert(await f.async(awaited, 5, (a, b) => Promise.resolve(a - b)) > 4);
    assertEquals(awaited, sorted);
  }

  const pulled = numbers();
  for (const { args: [a, b], reply } of sort_nested.calls(pulled, 5)) reply(a - b);
  assertEquals(pulled, sorted);

  const scripted = numbers();
  using generator = new Generator<void>(new OsStack(), function* (yielder) {
    yield* yielder.call(sort_nested, scripted, 5, function* (a, b) {
      yield;
      return a - b;
    });
  });
  for (const _ of generator);
  assertEquals(scripted, sorted);

  // One inside the other's.
  const outer = numbers();
  sort_nested(outer, 5, (a, b) => {
    const inner = numbers();
    sort_nested(inner, 5, (a, b) => b - a);
    assertEquals(inner, sorted.toReversed());
    return a - b;
  });
  assertEquals(outer, sorted);
});

testWith("g++", "a body suspends in a nested function, and is ended there", () => {
  using library = openNested();
  for (const size of [16 * 1024, 64 * 1024, 1024 * 1024]) {
    const stack = new OsStack(size);
    const generator = new Generator(stack, library.symbols.counts_nested);
    assertEquals([generator.resume(4), generator.resume(0), generator.resume(0)], [0, 1, 3]);
    generator.return();
    using again = new Generator(stack, library.symbols.counts_nested);
    assertEquals([again.resume(3), again.resume(0), again.resume(0)], [0, 1, 3]);
    assertEquals(again.resume(0), undefined);
  }
});

testWith("g++", "a stack becomes executable when code on it is called, and its guard stays", () => {
  using library = openNested();
  const { counts_nested, sort_nested, use_stack } = library.symbols;
  const stack = new OsStack(64 * 1024, { overflow: "throw" });
  const other = new OsStack(64 * 1024);
  const access = () => [stack.limit - 1n, stack.limit, stack.base - 1n].map(accessAt);
  using script = new Generator(stack, function* (yielder) {
    yield yield* yielder.call(use_stack, 32 * 1024);
    const array = numbers();
    yield yield* yielder.call(sort_nested, array, 5, (a: number, b: number) => a - b);
    try {
      yield* yielder.call(use_stack, 128 * 1024);
    } catch (error) {
      yield error;
    }
  });
  const [, ...before] = access();
  assertEquals(script.next().value, 32 * 1024);
  // The library is marked, and that alone changes nothing.
  assertEquals(before, ["rw-p", "rw-p"]);
  assertEquals(access().slice(1), before);
  script.next();
  assertEquals(access().slice(1), ["rwxp", "rwxp"]);
  assert(!access()[0]!.includes("x"));
  const error = script.next().value;
  assert(error instanceof RangeError);
  assertStringIncludes(error.message, "used up its stack of 65536 bytes");

  assertEquals(accessAt(other.limit), "rw-p");
  using body = new Generator(other, counts_nested);
  body.resume(1);
  assertEquals(accessAt(other.limit), "rwxp");
});

/** Runs a program that calls a nested function of a library, and returns how it has ended. */
async function endOf(
  path: string,
  before = "",
  make = "new Generator(new OsStack(), counts_nested)",
): Promise<{ signal: unknown; stderr: string }> {
  const source = `
    import { dlopen, Generator, OsStack, OwnedStack } from ${JSON.stringify(moduleUrl)};
    const { counts_nested } = dlopen(${JSON.stringify(path)}, {
      counts_nested: { input: "i32", output: "i32" },
    }).symbols;
    const generator = ${make};
    ${before}
    generator.resume(1);
  `;
  const config = new URL("../../deno.json", import.meta.url).pathname;
  const { signal, stderr } = await runChild(source, ["-A", `--config=${config}`]);
  return { signal, stderr };
}

testWith("g++", "a library counts that says nothing of its stack", async () => {
  const path = compile("unsaid", { mark: false, options: ["-nostdlib"] });
  assertEquals(await endOf(path), { signal: null, stderr: "" });
});

testWith("g++", "no stack is executable for a library that does not ask for that", async () => {
  const path = compile("denied", { options: ["-Wl,-z,noexecstack"] });
  assertEquals(await endOf(path), { signal: "SIGSEGV", stderr: "" });
});

testWith("g++", "where the system refuses to make a stack executable, that is said", async () => {
  const { canWatch } = await import("../support/faults.ts");
  if (!canWatch()) return;
  const { signal, stderr } = await endOf(
    compileNested(),
    `
      const { refuse, watch } = await import(${JSON.stringify(faults)});
      watch(/libfringe\\.so$/);
      refuse("mprotect", 0, 1e9, 13 /* EACCES */);
    `,
  );
  assertEquals(signal, "SIGSEGV");
  assertStringIncludes(stderr, "fringe: C has called a nested function");
  assertStringIncludes(stderr, "which the system refuses to make executable (mprotect)");
});

testWith("g++", "a stack that cannot become executable is named", async () => {
  const make = "Generator.unguarded(new OwnedStack(64 * 1024), counts_nested)";
  const { signal, stderr } = await endOf(compileNested(), "", make);
  assertEquals(signal, "SIGSEGV");
  assertStringIncludes(stderr, "If it is an OwnedStack or a SliceStack, use an OsStack");
  // Where no library asks for it, nothing is said.
  const path = compile("denied", { options: ["-Wl,-z,noexecstack"] });
  assertEquals(await endOf(path, "", make), { signal: "SIGSEGV", stderr: "" });
});

const faults = new URL("../support/faults.ts", import.meta.url).href;
