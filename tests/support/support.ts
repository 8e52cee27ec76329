// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * What several tests need: the libraries of test bodies, forced collections, child processes.
 *
 * Nothing here needs a permission before it is called, so that the core suite can import it.
 *
 * @module
 */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { dlopen, type NativeLibrary, type SymbolDefinitions } from "../../mod.ts";
import { howToInstall, type Installable, isInstalled } from "../../tools/packages.ts";
import { cpSync } from "node:fs";
import { join } from "node:path";
import { getHeapStatistics, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** This machine, as the folders of `native/prebuilt/` name it: `x86_64-linux`. */
export const platform = `${Deno.build.arch}-${Deno.build.os}`;

function prebuilt(name: string): URL {
  const extension = Deno.build.os === "darwin" ? "dylib" : "so";
  return new URL(`../../native/prebuilt/${platform}/lib${name}.${extension}`, import.meta.url);
}

/** Fringe's own library. */
export const fringeLibrary = prebuilt("fringe");

/** The library of `tests/bodies/`; test_bodies.c has the list of what is in it. */
export const testBodies = prebuilt("test_bodies");

/** The library of `examples/bodies/`. */
export const exampleBodies = prebuilt("bodies");

/** The 17 parameters of `mixed`. */
export const MIXED = [
  ...["i8", "f32", "u16", "f64", "i32", "f64", "u64", "f64", "bool", "f64", "f64"] as const,
  ...["f64", "f64", "f64", "f32", "i64", "u8"] as const,
] as const;

const i32Callback = { callback: { parameters: ["i32"], result: "i32" } } as const;

/** Everything in the library of test bodies, under its own name. */
export const definitions = {
  echo_bool: { input: "bool", output: "bool" },
  echo_i8: { input: "i8", output: "i8" },
  echo_u8: { input: "u8", output: "u8" },
  echo_i16: { input: "i16", output: "i16" },
  echo_u16: { input: "u16", output: "u16" },
  echo_i32: { input: "i32", output: "i32" },
  echo_u32: { input: "u32", output: "u32" },
  echo_i64: { input: "i64", output: "i64" },
  echo_u64: { input: "u64", output: "u64" },
  echo_isize: { input: "isize", output: "isize" },
  echo_usize: { input: "usize", output: "usize" },
  echo_f32: { input: "f32", output: "f32" },
  echo_f64: { input: "f64", output: "f64" },
  echo_pointer: { input: "pointer", output: "pointer" },
  echo_void: { input: "void", output: "void" },
  plain_echo: { input: "i32", output: "i32" },
  zig_echo: { input: "i32", output: "i32" },
  zig_defers: { input: "void", output: "i32" },
  has_destructor: { input: "void", output: "i32" },
  has_cleanup: { input: "void", output: "i32" },
  suspends_in_cleanup: { input: "void", output: "i32" },
  changes_rounding: { input: "void", output: "i32" },
  recurses: { input: "i32", output: "i32" },
  never_suspends: { input: "i32", output: "i32" },
  overflows: { input: "void", output: "i32" },
  overflows_in_cleanup: { input: "i32", output: "i32" },
  pokes: { input: "pointer", output: "i32" },
  call_n: { parameters: ["i32", i32Callback], result: "i32" },
  call_six: {
    parameters: [{
      callback: { parameters: ["i8", "u8", "i16", "u32", "i64", "u64"], result: "i64" },
    }],
    result: "i64",
  },
  call_bool: {
    parameters: [{ callback: { parameters: ["bool"], result: "bool" } }],
    result: "bool",
  },
  call_void: { parameters: [{ callback: { parameters: [], result: "void" } }], result: "void" },
  call_pointer: {
    parameters: [{ callback: { parameters: ["pointer"], result: "pointer" } }, "pointer"],
    result: "pointer",
  },
  each_string: {
    parameters: [{ callback: { parameters: ["cstring"], result: "i32" } }],
    result: "i32",
  },
  two_callbacks: { parameters: [i32Callback, i32Callback], result: "i32" },
  until_nonzero: { parameters: [i32Callback], result: "i32" },
  until_stopped: {
    name: "until_nonzero",
    parameters: [{ callback: { parameters: ["i32"], result: "i32", stop: 7 } }],
    result: "i32",
  },
  ask_three: {
    parameters: [{ callback: { parameters: ["i32"], result: "i32", stop: 7 } }],
    result: "i32",
  },
  asked: { parameters: [], result: "i32" },
  with_destructor: { parameters: [i32Callback], result: "i32" },
  calls_in_cleanup: { parameters: [i32Callback], result: "i32" },
  with_cleanup: { parameters: [i32Callback], result: "i32" },
  use_up: { parameters: ["i32"], result: "i32" },
  use_up_or_throw: { name: "use_up", parameters: ["i32"], result: "i32", overflow: "throw" },
  use_up_after: { parameters: [i32Callback], result: "i32", overflow: "throw" },
  use_up_elsewhere: {
    name: "use_up_after",
    parameters: [i32Callback],
    result: "i32",
    nonblocking: true,
    overflow: "throw",
  },
  poke: { parameters: ["pointer"], result: "void" },
  add_six: { parameters: ["i8", "u16", "i32", "u32", "i64", "u64"], result: "i64" },
  sum_buffer: { parameters: ["buffer", "usize"], result: "u64" },
  string_length: { parameters: ["cstring"], result: "usize" },
  same_pointer: { parameters: ["pointer"], result: "pointer" },
  keep: { parameters: ["function"], result: "void" },
  keep_handler: { name: "keep", parameters: [i32Callback], result: "void" },
  call_kept: { parameters: ["i32"], result: "i32" },
  call_kept_elsewhere: {
    name: "call_kept",
    parameters: ["i32"],
    result: "i32",
    nonblocking: true,
  },
  pass_and_call_kept: { parameters: [i32Callback], result: "i32" },
  call_n_elsewhere: {
    name: "call_n",
    parameters: ["i32", i32Callback],
    result: "i32",
    nonblocking: true,
  },
  ask_three_elsewhere: {
    name: "ask_three",
    parameters: [{ callback: { parameters: ["i32"], result: "i32", stop: 7 } }],
    result: "i32",
    nonblocking: true,
  },
  mixed: {
    parameters: [{ callback: { parameters: MIXED, result: "f64" } }, ...MIXED],
    result: "f64",
  },
  half: {
    parameters: [{ callback: { parameters: ["f32"], result: "f32" } }, "f32"],
    result: "f32",
  },
  destructor_count: { parameters: [], result: "i32" },
  cleanup_count: { parameters: [], result: "i32" },
  calls_in_zig_generator: { parameters: [i32Callback], result: "i32" },
  zig_defer_count: { parameters: [], result: "i32" },
} as const satisfies SymbolDefinitions;

/** Opens the library of test bodies, with everything that is in it. */
export function openBodies(): NativeLibrary<typeof definitions> {
  return dlopen(testBodies, definitions);
}

/** Makes a test that needs something of the system; it is ignored without, and says why. */
export function testWith(
  needed: Installable,
  name: string,
  fn: (t: Deno.TestContext) => void | Promise<void>,
): void {
  const why = obstacle(needed);
  if (why === undefined) Deno.test(name, fn);
  else Deno.test({ name: `${name} (${why})`, ignore: true, fn });
}

/**
 * Makes a test that takes an emulator minutes, and that no processor makes a difference to; it is
 * ignored there, and says why.
 */
export function testNatively(
  name: string,
  needed: Installable | undefined,
  fn: (t: Deno.TestContext) => void | Promise<void>,
): void {
  if (emulator().length > 0) {
    Deno.test({ name: `${name} (an emulator has no time for it)`, ignore: true, fn });
  } else if (needed === undefined) Deno.test(name, fn);
  else testWith(needed, name, fn);
}

/** Why a test cannot have what it needs; undefined if it can. */
function obstacle(needed: Installable): string | undefined {
  if (!isInstalled(needed)) return howToInstall(needed);
  // For C++ the environment names a compiler for the emulated machine.
  const isForAnother = needed === "rustc" && emulator().length > 0;
  return isForAnother ? "rustc compiles for the machine that emulates this one" : undefined;
}

/** V8's own way to force collections, where it is started with `--expose-gc`: it is faster. */
const { gc: exposed } = globalThis as { gc?: (options: { type: string }) => void };

// However V8 was started, a context that is made once the flag is set has this function.
setFlagsFromString("--expose-gc");
const collectAll: () => void = runInNewContext("gc");

let garbage: unknown;

/** Forces a collection, of what is young if not of all. */
export function gc(type: "major" | "minor" = "major"): void {
  if (exposed !== undefined) return exposed({ type });
  if (type === "major") return collectAll();
  // What is young is collected when its room is full, and only then is less of the heap in use.
  for (let before = 0, now = 1; before < now;) {
    before = now;
    garbage = new Array(8000).fill(garbage === undefined);
    now = getHeapStatistics().used_heap_size;
  }
}

/** Forces collections until `done`, with tasks between them in which finalizers run. */
export async function collectUntil(done: () => boolean): Promise<void> {
  for (let i = 0; i < 50 && !done(); i++) {
    gc();
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** The address of this checkout's `mod.ts`, from which child programs import. */
export const moduleUrl = new URL("../../mod.ts", import.meta.url).href;

/** How a child process ended. */
export interface Ended {
  readonly code: number;
  readonly signal: Deno.Signal | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Asserts that a child has ended well, and printed `stdout`. */
export function assertSucceeds(ended: Ended, stdout: string): void {
  assertEquals([ended.code, ended.signal, ended.stdout], [0, null, stdout], ended.stderr);
}

/** Asserts that a child has ended by an error, of which stderr has each of `texts`. */
export function assertFails(ended: Ended, ...texts: string[]): void {
  assertEquals([ended.code, ended.signal], [1, null], ended.stderr);
  for (const text of texts) assertStringIncludes(ended.stderr, text);
}

/** Makes an empty folder, uses it, and removes it with all that is in it. */
export async function withFolder<T>(use: (folder: string) => T | Promise<T>): Promise<T> {
  const folder = await Deno.makeTempDir({ prefix: "fringe-test-" });
  try {
    return await use(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/**
 * Runs a program in TypeScript in a process of its own, where it may crash. `flags` are those of
 * `deno run`; colours are off, and nothing of fringe's is taken from the environment.
 */
export async function runChild(
  source: string,
  flags: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Ended> {
  const file = await Deno.makeTempFile({ prefix: "fringe-test-", suffix: ".ts" });
  try {
    await Deno.writeTextFile(file, source);
    return await run(["run", "--no-prompt", "--no-check", ...flags, file], env);
  } finally {
    await Deno.remove(file);
  }
}

/** Copies `mod.ts` and all that it imports. */
export function copySources(directory: string): void {
  const root = new URL("../../", import.meta.url);
  for (const name of ["mod.ts", "ffi"]) {
    cpSync(new URL(name, root), join(directory, name), { recursive: true });
  }
}

/** Copies what a checkout needs to run, and uses the copy: its folder, and its native library. */
export async function withCopy<T>(
  use: (directory: string, library: string) => Promise<T>,
): Promise<T> {
  return await withFolder(async (directory) => {
    copySources(directory);
    await Deno.mkdir(join(directory, "native/prebuilt", platform), { recursive: true });
    const library = join(directory, "native/prebuilt", platform, "libfringe.so");
    await Deno.copyFile(fringeLibrary, library);
    return await use(directory, library);
  });
}

/**
 * The command line of the emulator that runs this Deno, by tools/emulated.ts; empty where the
 * processor itself does. The core suite may read no other variable, and does without where it may
 * not read this one.
 */
function emulator(): string[] {
  const variable = "FRINGE_EMULATOR";
  const { state } = Deno.permissions.querySync({ name: "env", variable });
  return state === "granted" ? Deno.env.get(variable)?.split(" ") ?? [] : [];
}

/** This Deno, as another program begins it: where an emulator runs it, by the emulator. */
export function thisDeno(): [program: string, ...args: string[]] {
  const [program, ...args] = emulator();
  return program === undefined ? [Deno.execPath()] : [program, ...args, Deno.execPath()];
}

/** How many times a test does what it should do very often: an emulator has time for a tenth. */
export function manyTimes(times: number): number {
  return emulator().length === 0 ? times : Math.ceil(times / 10);
}

/** The compiler of C++ for this machine. */
export function cxx(): string {
  return Deno.env.get("CXX") || "g++";
}

/** Runs this Deno in the folder `cwd`, until `signal` says that it is enough. */
export async function run(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  options: Pick<Deno.CommandOptions, "cwd" | "signal"> = {},
): Promise<Ended> {
  const [program, ...begin] = thisDeno();
  const ended = await new Deno.Command(program, {
    ...options,
    args: [...begin, ...args],
    env: { NO_COLOR: "1", FRINGE_LIBRARY: "", ...env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  const decoder = new TextDecoder();
  const stderr = decoder.decode(ended.stderr);
  return {
    code: ended.code,
    signal: ended.signal,
    stdout: decoder.decode(ended.stdout),
    // An emulator says of a signal what a shell would.
    stderr: stderr.replace(/^qemu: uncaught target signal \d+ \(.*\n/m, ""),
  };
}
