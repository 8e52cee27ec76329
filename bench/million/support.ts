// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * What the programs of this folder share: each measures one thing in a process of its own, and
 * prints it as JSON; `deno task million` runs them.
 *
 * @module
 */

import { fileURLToPath } from "node:url";

/** Bytes of this process that are resident. */
export function resident(): number {
  return Deno.memoryUsage().rss;
}

/** Bytes of the kernel's that say where this process has its memory. */
export function pageTables(): number {
  return 1024 * Number(/VmPTE:\s+(\d+)/.exec(Deno.readTextFileSync("/proc/self/status"))![1]);
}

/** How many mappings this process has, those of V8's heap with them. */
export function mappings(): number {
  return Deno.readTextFileSync("/proc/self/maps").split("\n").length - 1;
}

/** The numbers below `count`, in random order. */
export function shuffled(count: number): Uint32Array {
  const order = Uint32Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1));
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return order;
}

/** Lets V8 collect what is garbage, and finalizers run. */
export async function collect(times = 3): Promise<void> {
  for (let i = 0; i < times; i++) {
    (globalThis as unknown as { gc(): void }).gc();
    await new Promise((resolve) => setTimeout(resolve, times === 1 ? 0 : 50));
  }
}

/** What a step takes, in nanoseconds. */
export function timed(count: number, step: (i: number) => void): number {
  const start = performance.now();
  for (let i = 0; i < count; i++) step(i);
  return (performance.now() - start) * 1e6 / count;
}

/** Runs a program of this folder. */
export async function apart<Measured>(
  name: string,
  args: readonly (string | number)[],
  flags = "",
): Promise<Measured> {
  const program = fileURLToPath(new URL(`${name}.ts`, import.meta.url));
  // With all permissions: the programs read /proc, which Deno gives to no others.
  const { code, stdout } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--quiet",
      "-P=suite",
      `--v8-flags=--expose-gc${flags}`,
      program,
      ...args.map(String),
    ],
    stderr: "inherit",
    env: { NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1" },
  }).output();
  if (code !== 0) throw new Error(`${name} has failed with ${args.join(" ")}`);
  return JSON.parse(new TextDecoder().decode(stdout));
}
