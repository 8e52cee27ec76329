// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Other runtimes, versions of Deno that are too old, and Windows, are told what fringe needs. What
 * Deno says of itself is changed for that, since there is one Deno here.
 */

import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { assertEquals } from "@std/assert";
import { LOWEST_DENO } from "../../ffi/library/runtime.ts";
import { exampleBodies, moduleUrl, run, runChild, withFolder } from "../support/support.ts";

const [major, minor] = LOWEST_DENO.split(".").map(Number) as [number, number, number];
const lowest = `${major}.${minor}`;

/** Prints what each first use throws, a line for each. */
const uses = (from: string): string => `
  import { Callback, dlopen, OsStack, OwnedStack, SliceStack } from ${JSON.stringify(from)};
  const uses = {
    OsStack: () => new OsStack(),
    OwnedStack: () => new OwnedStack(4096),
    SliceStack: () => new SliceStack(new Uint8Array(4096)),
    Callback: () => new Callback({ parameters: [], result: "void" }, () => {}),
    dlopen: () => dlopen(${JSON.stringify(fileURLToPath(exampleBodies))}, {}),
  };
  for (const [name, use] of Object.entries(uses)) {
    try {
      use();
      console.log(name, "works");
    } catch (error) {
      console.log(name, String(error));
    }
  }
`;

const NAMES = ["OsStack", "OwnedStack", "SliceStack", "Callback", "dlopen"];

function assertEach(stdout: string, said: string): void {
  assertEquals(stdout.trim().split("\n"), NAMES.map((name) => `${name} ${said}`));
}

/** Runs `uses` in a Deno that says it has this version. */
function inVersion(version: string): Promise<string> {
  return inDeno("version", { deno: version });
}

/** Runs `uses` in a Deno that says something else of itself. */
async function inDeno(property: "version" | "build", value: object): Promise<string> {
  const program = `data:application/typescript,${encodeURIComponent(uses(moduleUrl))}`;
  const source = `
    Object.defineProperty(Deno, "${property}", { value: ${JSON.stringify(value)} });
    await import(${JSON.stringify(program)});
  `;
  const { code, stdout, stderr } = await runChild(source, ["-A"]);
  assertEquals(code, 0, stderr);
  return stdout;
}

Deno.test("an older Deno is told which one fringe needs, at each first use", async () => {
  for (const old of [`${major}.${minor - 1}.7`, `${major - 1}.99.0`]) {
    assertEach(
      await inVersion(old),
      `FringeError: Cannot open fringe's native library: this is Deno ${old}, and fringe needs ` +
        `Deno ${lowest} or later. Get it by \`deno upgrade\``,
    );
  }
});

Deno.test("a newer Deno is not refused for its number", async () => {
  const versions = [LOWEST_DENO, `${major}.${minor + 10}.0`, `${major + 1}.0.0+0123abc`];
  for (const version of versions) assertEach(await inVersion(version), "works");
});

Deno.test("Windows is refused in the words of os/windows.zig, at each first use", async () => {
  const zig = await Deno.readTextFile(new URL("native/os/windows.zig", moduleUrl));
  const [, refusal] = zig.split("pub const refusal =");
  const words = [...refusal!.matchAll(/"(.*)"/g)].map(([, words]) => words).join("");
  assertEach(
    await inDeno("build", { ...Deno.build, os: "windows" }),
    `FringeError: Cannot open fringe's native library: ${words}`,
  );
});

Deno.test("Node is told that fringe needs Deno, at each first use", async () => {
  await withFolder(async (folder) => {
    // A bundle, since Node 20 reads no TypeScript.
    const [source, bundle] = [join(folder, "uses.ts"), join(folder, "uses.mjs")];
    await Deno.writeTextFile(source, uses(moduleUrl));
    const bundled = await run(["bundle", "--quiet", "--output", bundle, source]);
    assertEquals(bundled.code, 0, bundled.stderr);
    // Node 20 lacks two things that `mod.ts` needs as it is imported; later ones have them.
    const later = encodeURIComponent(`
      globalThis.Iterator ??= class {};
      if (!("detached" in ArrayBuffer.prototype)) {
        const ofBuffer = Object.getOwnPropertyDescriptor(ArrayBuffer.prototype, "byteLength").get;
        const get = function () { return ofBuffer.call(this) < 0; };
        Object.defineProperty(ArrayBuffer.prototype, "detached", { get });
      }
    `);
    const { code, stdout, stderr } = await new Deno.Command("node", {
      args: ["--import", `data:text/javascript,${later}`, bundle],
    }).output();
    assertEquals(code, 0, new TextDecoder().decode(stderr));
    assertEach(
      new TextDecoder().decode(stdout),
      `FringeError: fringe needs Deno ${lowest} or later, and this is another runtime: install ` +
        "Deno (https://deno.com), and run the program by `deno run --allow-ffi`",
    );
  });
});
