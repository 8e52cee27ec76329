// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Has the system refuse what fringe's native library asks it for, in the very file that is shipped,
 * and nothing else in the process. `bodies/faults.c` is how. For child processes: what is watched
 * is watched until the process ends.
 *
 * @module
 */

import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { FringeError } from "../../mod.ts";
import { testBodies } from "./support.ts";

/** The numbers of system calls (asm/unistd_64.h). */
const NUMBERS = {
  write: 1,
  open: 2,
  mmap: 9,
  mprotect: 10,
  munmap: 11,
  madvise: 28,
  process_vm_readv: 310,
  memfd_create: 319,
  process_madvise: 440,
} as const;

/** A system call that can be refused. */
export type SystemCall = keyof typeof NUMBERS;

/** What the system refuses with (asm-generic/errno-base.h), and what that is reported as. */
export const ERRORS = {
  EPERM: { number: 1, status: "refused" },
  EAGAIN: { number: 11, status: "out_of_memory" },
  ENOMEM: { number: 12, status: "out_of_memory" },
  EACCES: { number: 13, status: "refused" },
} as const;

/** What a message says there is to do. */
const REMEDIES = {
  out_of_memory: "dispose of generators and stacks that are not needed",
  refused: "have it allow mmap, mprotect, madvise and munmap",
} as const;

const { faults_probe, faults_watch, faults_watch_file, faults_refuse, faults_seen, faults_mapped } =
  Deno.dlopen(testBodies, {
    faults_probe: { parameters: [], result: "i32" },
    faults_watch: { parameters: ["u64", "u64"], result: "i32" },
    faults_watch_file: { parameters: [], result: "i32" },
    faults_refuse: { parameters: ["i32", "i32", "i32", "i64"], result: "void" },
    faults_seen: { parameters: ["i32"], result: "i32" },
    faults_mapped: { parameters: [], result: "i64" },
  }).symbols;

// One opening that nobody closes, as Deno does with others when it ends: calls are watched until
// then, and what watches them must stay.
const RTLD_NOW = 2;
Deno.dlopen("libc.so.6", { dlopen: { parameters: ["buffer", "i32"], result: "pointer" } })
  .symbols.dlopen(new TextEncoder().encode(`${testBodies.pathname}\0`), RTLD_NOW);

/** Whether calls can be watched on this machine. */
export function canWatch(): boolean {
  return faults_probe() === 0;
}

/** Watches the calls for memory of a loaded library, whose file has this name. */
export function watch(name: RegExp): void {
  const maps = Deno.readTextFileSync("/proc/self/maps").split("\n");
  const code = maps.filter((line) => line.includes(" r-xp ") && name.test(line));
  assertEquals(code.length, 1, `How many mappings have code of ${name}`);
  const [start, end] = code[0]!.split(" ")[0]!.split("-").map((address) => BigInt(`0x${address}`));
  assertEquals(faults_watch(start!, end! - start!), 0);
}

/** Watches the calls that put the library into a file in memory. */
export function watchFile(): void {
  assertEquals(faults_watch_file(), 0);
}

/** Of the next such calls, `count` give this error, from `first` on, counted from 0. */
export function refuse(call: SystemCall, first: number, count: number, errno: number): void {
  faults_refuse(NUMBERS[call], first, count, BigInt(-errno));
}

/** The next `count` calls that write the library to a file write so many bytes of it. */
export function writeLess(count: number, bytes: number): void {
  faults_refuse(NUMBERS.write, 0, count, BigInt(bytes));
}

/** Nothing is refused from now on. */
export function grant(): void {
  for (const number of Object.values(NUMBERS)) faults_refuse(number, 0, 0, 0n);
}

/** How many such calls there have been since `refuse` or `grant`. */
export function seen(call: SystemCall): number {
  return faults_seen(NUMBERS[call]);
}

/** How many bytes the library has mapped and not unmapped, since it is watched. */
export function mapped(): number {
  return Number(faults_mapped());
}

/** Something that makes system calls, the same ones each time. */
export interface Attempt {
  /** Makes ready for it. */
  prepare?(): void;
  /** Does it, and undoes it where that can be. */
  run(): unknown;
  /** How many bytes stay mapped for good. */
  readonly stays?: number;
  /** How the message of its error begins: a pattern. */
  readonly what: string;
}

/** What a refusal makes of an attempt. */
export type Outcome = "fails" | "succeeds";

/**
 * Makes an attempt again and again, and each time another system call is refused: the first one of
 * this kind, the second one, and so on; with each error there is. Returns what became of the
 * attempts. Checks that the error is what is promised, that nothing stays mapped that should not,
 * and that the next attempt succeeds.
 *
 * Calls of the kind `never` are all refused meanwhile.
 */
export async function outcomes(
  attempt: Attempt,
  call: SystemCall,
  never?: SystemCall,
): Promise<Outcome[]> {
  const { stays = 0, what } = attempt;
  attempt.prepare?.();
  await attempt.run();
  let expected = mapped();
  const prepareAgain = (): void => {
    const before = mapped();
    attempt.prepare?.();
    expected += mapped() - before;
  };
  const all: Outcome[][] = [];
  for (const error of Object.values(ERRORS)) {
    const found: Outcome[] = [];
    for (;;) {
      prepareAgain();
      if (never !== undefined) refuse(never, 0, 1e9, error.number);
      refuse(call, found.length, 1, error.number);
      let outcome: Outcome = "succeeds";
      try {
        await attempt.run();
        expected += stays;
      } catch (thrown) {
        outcome = "fails";
        checkError(thrown, error.status, what);
        if (call !== "munmap") assertEquals(mapped(), expected, "What is mapped after an error");
      }
      const refused = seen(call) > found.length;
      grant();
      if (outcome === "succeeds") prepareAgain();
      await attempt.run();
      expected += stays;
      assertEquals(mapped(), expected, "What is mapped after the next attempt");
      if (!refused) break;
      found.push(outcome);
    }
    all.push(found);
  }
  for (const found of all) assertEquals(found, all[0]!, "Outcomes by error");
  return all[0]!;
}

function checkError(error: unknown, status: keyof typeof REMEDIES, what: string): void {
  if (!(error instanceof FringeError)) throw error;
  assertEquals(error.status, status);
  assertMatch(error.message, new RegExp(`^${what}: `));
  assertStringIncludes(error.message, REMEDIES[status]);
}
