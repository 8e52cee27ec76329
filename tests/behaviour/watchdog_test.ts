// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** C that has been told its `stop` and does not come back is told of, while JavaScript waits. */

import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { moduleUrl, testBodies, withFolder } from "../support/support.ts";
import { join } from "node:path";

const begin = `
  import { dlopen } from ${JSON.stringify(moduleUrl)};
  const stop = undefined;
  const { never_returns, ask_three } = dlopen(${JSON.stringify(testBodies.pathname)}, {
    never_returns: {
      parameters: [{ callback: { parameters: [], result: "void", stop } }],
      result: "void",
    },
    ask_three: {
      parameters: [{
        callback: { parameters: ["i32"], result: "i32", stop: () => (wait(), 1) },
      }],
      result: "i32",
    },
  }).symbols;
  let waits = 6_000;
  const wait = () => {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, waits);
    waits = 0;
  };
`;

/** What a program writes to stderr until it has written `last`, or has ended. */
async function stderrUntil(source: string, last: string): Promise<string> {
  return await withFolder(async (folder) => {
    const file = join(folder, "program.ts");
    await Deno.writeTextFile(file, source);
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-prompt", "--no-check", "--allow-ffi", file],
      env: { NO_COLOR: "1" },
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    let text = "";
    const decoder = new TextDecoder();
    for await (const chunk of child.stderr) {
      text += decoder.decode(chunk, { stream: true });
      if (text.includes(last)) break;
    }
    try {
      child.kill("SIGKILL");
    } catch {
      // It has ended.
    }
    await child.status;
    return text;
  });
}

Deno.test("C that is told its stop, and neither calls back nor returns, is named", async () => {
  const source = `${begin} for (const _ of never_returns.calls()) break;`;
  const text = await stderrUntil(source, "never_returns+");
  assertStringIncludes(text, "fringe: C has been told its stop, and for 5 seconds it has neither");
  assertMatch(text, /^ {4}never_returns\+0x[0-9a-f]+ \(libtest_bodies\.\w+\+0x[0-9a-f]+\)$/m);
});

Deno.test("a stop that takes its time, and C that comes back, are not named", async () => {
  // The first answer takes longer than the watchdog waits; after each C runs a moment.
  const source = `${begin} for (const _ of ask_three.calls()) break; console.error("ended");`;
  assertEquals(await stderrUntil(source, "ended"), "ended\n");
});
