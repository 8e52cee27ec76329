// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** What docs/troubleshooting.md says of programs that end, or go on, without a message of ours. */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { type Ended, moduleUrl, runChild } from "../support/support.ts";

/** Runs a program that has opened libc: qsort, with a callback as the argument says, and div. */
function runWithLibc(callback: string, program: string): Promise<Ended> {
  return runChild(
    `import { dlopen } from ${JSON.stringify(moduleUrl)};
    using libc = dlopen("libc.so.6", {
      qsort: { parameters: ["buffer", "usize", "usize", ${callback}], result: "void" },
      div: { parameters: ["i32", "i32"], result: "i64" },
    });
    const { qsort, div } = libc.symbols;
    const bytes = Uint8Array.of(3, 1, 2);
    ${program}`,
    ["--allow-ffi"],
  );
}

const compare = '{ callback: { parameters: ["pointer", "pointer"], result: "i32", stop: 0 } }';

Deno.test("an UnsafeCallback on a fringe stack ends the process by V8's check", async () => {
  const { code, stdout, stderr } = await runWithLibc(
    '"function"',
    `const callback = new Deno.UnsafeCallback(
      { parameters: ["pointer", "pointer"], result: "i32" },
      () => 0,
    );
    qsort(bytes, 3, 1, callback.pointer);
    console.log("went on");`,
  );
  assertEquals([code, stdout], [1, ""]);
  assertStringIncludes(stderr, "Check failed: IsOnCentralStack()");
});

Deno.test("a division by zero in C ends the process by SIGFPE, without a message", async () => {
  const { signal, stderr } = await runWithLibc(compare, "div(1, 0);");
  assertEquals([signal, stderr], ["SIGFPE", ""]);
});

Deno.test("a handler that never answers leaves Deno waiting for nothing, unless aborted", async () => {
  const never = "() => new Promise(() => {})";
  const { code, stderr } = await runWithLibc(compare, `await qsort.async(bytes, 3, 1, ${never});`);
  assertEquals(code, 1);
  assertStringIncludes(stderr, "Top-level await promise never resolved");
  const aborted = await runWithLibc(
    compare,
    `const signal = AbortSignal.timeout(1);
    await qsort.async(bytes, 3, 1, ${never}, { signal }).catch((error) => console.log(error.name));`,
  );
  assertEquals([aborted.stdout, aborted.stderr], ["TimeoutError\n", ""]);
});

Deno.test("a plain call lets no timer run before C returns", async () => {
  const { stdout } = await runWithLibc(
    compare,
    `setTimeout(() => console.log("timer"));
    qsort(bytes, 3, 1, () => 0);
    console.log("returned");`,
  );
  assertEquals(stdout, "returned\ntimer\n");
});
