// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * How a stranger's project imports fringe, as docs/install.md says: from a URL, a copy, a linked
 * checkout, a package. Each is a program in a folder elsewhere, from an empty cache.
 */

import { cpSync } from "node:fs";
import { join } from "node:path";
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { prebuilt } from "../../ffi/library/prebuilt.ts";
import { Project, Served } from "../support/served.ts";
import { copySources, type Ended, fringeLibrary, run, withCopy } from "../support/support.ts";

const root = decodeURIComponent(new URL("../../", import.meta.url).pathname);
const { digest } = prebuilt[`${Deno.build.arch}-${Deno.build.os}`]!;

/** Needs fringe's library and no other. */
const main = `
  import { Generator, OsStack } from "fringe";
  using generator = new Generator(new OsStack(), function* () { yield "generator"; });
  console.log(generator.resume());
`;

/** `main`, which says beforehand what it opens: a name, or the digest of a file in memory. */
const spied = `
  import "./spy.ts";
  ${main}
`;
const spy = `
  import { createHash } from "node:crypto";
  const { dlopen } = Deno;
  Deno.dlopen = (name, symbols) => {
    const inMemory = String(name).startsWith("/proc/self/fd/");
    const digest = () => createHash("sha256").update(Deno.readFileSync(name)).digest("hex");
    console.log("opens", inMemory ? digest() : name);
    return dlopen(name, symbols);
  };
`;

/** Is refused where `size` is no number, and where it is not known what it is. */
const typed = `
  import { OsStack } from "fringe";
  // @ts-expect-error: a number is no string
  export const text: string = new OsStack().size;
`;

/** The files of mod.ts's module graph, relative to the checkout, in order of their names. */
async function graph(): Promise<string[]> {
  const { code, stdout, stderr } = await run(["info", "--json", join(root, "mod.ts")]);
  assertEquals(code, 0, stderr);
  const { modules } = JSON.parse(stdout) as { modules: { local?: string }[] };
  const files = modules.flatMap(({ local }) => local === undefined ? [] : local.slice(root.length));
  for (const file of files) assertMatch(file, /^(?:mod|ffi\/[\w/]+)\.ts$/);
  return files.sort();
}

function assertSucceeds(ended: Ended, stdout = "generator\n"): void {
  assertEquals([ended.code, ended.signal, ended.stdout], [0, null, stdout], ended.stderr);
}

function assertFails(ended: Ended, ...texts: string[]): void {
  assertEquals([ended.code, ended.signal], [1, null], ended.stderr);
  for (const text of texts) assertStringIncludes(ended.stderr, text);
}

// From a URL

Deno.test("from a URL, two grants do: --allow-import=HOST and --allow-ffi", async () => {
  await using served = new Served();
  await using project = Project.importing(served.url, main);
  const others = ["read", "write", "env", "net", "run", "sys"].map((name) => `--deny-${name}`);
  const grants = [`--allow-import=${served.host}`, "--allow-ffi"];
  assertFails(await project.run(grants[1]!, ...others), `import access to "${served.host}`);
  assertFails(await project.run(grants[0]!, ...others), "fringe needs --allow-ffi");
  assertSucceeds(await project.run(...grants, ...others));
});

Deno.test("from a URL, both grants can stand in deno.json, as a set for -P", async () => {
  await using served = new Served();
  const permissions = { default: { import: [served.host], ffi: true } };
  await using project = Project.importing(served.url, main, { permissions });
  assertFails(await project.run());
  assertSucceeds(await project.run("-P"));
});

Deno.test("from a URL, files of mod.ts's module graph are fetched, and nothing else", async () => {
  await using served = new Served();
  await using project = Project.importing(served.url, main);
  assertSucceeds(await project.run(`--allow-import=${served.host}`, "--allow-ffi"));
  // Each once. A run passes over those that declare types and no more.
  assertEquals(served.requests.length, new Set(served.requests).size);
  assertEquals(new Set(served.requests).difference(new Set(await graph())), new Set());
});

Deno.test("from a URL, this platform's library alone is fetched, and opened", async () => {
  await using served = new Served();
  await using project = Project.importing(served.url, spied);
  project.write("spy.ts", spy);
  const digests: string[] = [];
  served.change = (_, text) => {
    digests.push(...text.match(/\b[0-9a-f]{64}\b/g) ?? []);
    return text;
  };
  // A file in memory is for a process with every grant to look at.
  assertSucceeds(await project.run("-A"), `opens libc.so.6\nopens ${digest}\ngenerator\n`);
  assertEquals(digests, [digest]);
});

Deno.test("from a URL, types are checked as from a file, and are the rest of the graph", async () => {
  await using served = new Served();
  await using project = Project.importing(served.url, typed);
  const ended = await project.deno("check", `--allow-import=${served.host}`, "main.ts");
  assertSucceeds(ended, "");
  assertEquals(served.requests.toSorted(), await graph());
});

Deno.test("the lock file refuses a file that has changed at its address", async () => {
  await using served = new Served();
  await using project = Project.importing(served.url, main);
  const grants = [`--allow-import=${served.host}`, "--allow-ffi"];
  assertSucceeds(await project.run(...grants));

  for (const changed of ["ffi/stack/os_stack.ts", "ffi/library/prebuilt.ts"]) {
    served.change = (name, text) =>
      name === changed ? `${text}\nconsole.log("from a stranger");\n` : text;
    project.emptyCache();
    const ended = await project.run(...grants);
    assertEquals([ended.code, ended.stdout], [10, ""], ended.stderr);
    assertStringIncludes(ended.stderr, "Integrity check failed");
    assertStringIncludes(ended.stderr, changed);
  }
});

Deno.test("a library that was changed on its way is not opened", async () => {
  await using served = new Served();
  await using project = Project.importing(served.url, spied, { lock: false });
  project.write("spy.ts", spy);
  served.change = (name, text) => {
    if (name !== "ffi/library/prebuilt.ts") return text;
    const at = text.indexOf("base64: `") + 4000;
    return text.slice(0, at) + (text[at] === "A" ? "B" : "A") + text.slice(at + 1);
  };
  const ended = await project.run("-A");
  assertFails(ended, "the library that came with the module has the digest", `with ${digest}`);
  // libc makes the file in memory that the library would have been opened from.
  assertMatch(ended.stdout, /^(?:opens libc\.so\.6\n)?$/);
});

Deno.test("--frozen takes what the lock file has, and no other file", async () => {
  await using served = new Served();
  await using project = Project.importing(served.url, main);
  const flags = ["--frozen", `--allow-import=${served.host}`, "--allow-ffi"];
  const ended = await project.run(...flags);
  assertFails(ended, "The lockfile is out of date", served.url);
  assertEquals(ended.stdout, "");

  const install = ["install", `--allow-import=${served.host}`, "--entrypoint", "main.ts"];
  assertSucceeds(await project.deno(...install), "");
  assertSucceeds(await project.run(...flags));
});

Deno.test("offline, the cache does", async () => {
  await using served = new Served();
  await using project = Project.importing(served.url, main);
  const grants = [`--allow-import=${served.host}`, "--allow-ffi"];
  const install = ["install", `--allow-import=${served.host}`, "--entrypoint", "main.ts"];
  assertSucceeds(await project.deno(...install), "");
  await served.close();
  assertSucceeds(await project.run("--cached-only", ...grants));
  assertSucceeds(await project.run(...grants));

  project.emptyCache();
  assertFails(await project.run("--cached-only", ...grants), "not found in cache", served.url);
});

Deno.test('"vendor": true puts all of it into the project, which goes elsewhere then', async () => {
  await using served = new Served();
  await using project = Project.importing(served.url, main, { vendor: true });
  const grants = [`--allow-import=${served.host}`, "--allow-ffi"];
  const install = ["install", `--allow-import=${served.host}`, "--entrypoint", "main.ts"];
  assertSucceeds(await project.deno(...install), "");
  await served.close();

  await using elsewhere = new Project();
  cpSync(project.folder, elsewhere.folder, { recursive: true });
  assertSucceeds(await elsewhere.run("--cached-only", "--frozen", ...grants));
});

// In one file

/** Whether a tool of Deno is had only from a host that cannot be reached; the reason then. */
function unreachable({ code, stderr }: Ended): string | undefined {
  if (code === 0) return undefined;
  return stderr.match(/error sending request for url \([^)]*\)/)?.[0];
}

/** Runs a step with what was made, or says as the name of an ignored step why it was not made. */
async function runIfMade(
  t: Deno.TestContext,
  made: Ended,
  name: string,
  fn: () => Promise<void>,
): Promise<void> {
  const reason = unreachable(made);
  if (reason === undefined) assertEquals(made.code, 0, made.stderr);
  await t.step({
    name: reason === undefined ? name : `${name}: not tried, ${reason}`,
    ignore: reason !== undefined,
    fn,
  });
}

Deno.test("a bundle has the library in it, and runs from an empty folder", async (t) => {
  await using served = new Served();
  await using project = Project.importing(served.url, main);
  await using empty = new Project();
  const flags = ["bundle", `--allow-import=${served.host}`, "-o", empty.path("bundle.js")];
  const made = await project.deno(...flags, "main.ts");
  await served.close();
  await runIfMade(t, made, "deno bundle", async () => {
    const flags = ["run", "--no-prompt", "--no-config", "--cached-only", "--allow-ffi"];
    assertSucceeds(await empty.deno(...flags, "bundle.js"));
  });
});

Deno.test("a compiled program has the library in it, and runs from anywhere", async (t) => {
  await using served = new Served();
  await using project = Project.importing(served.url, main);
  await using empty = new Project();
  const program = empty.path("program");
  const flags = [`--allow-import=${served.host}`, "--no-check", "--allow-ffi", "-o", program];
  const made = await project.deno("compile", ...flags, "main.ts");
  await served.close();
  await runIfMade(t, made, "deno compile", async () => {
    const { code, stdout } = await new Deno.Command(program, { cwd: empty.folder }).output();
    assertEquals([code, new TextDecoder().decode(stdout)], [0, "generator\n"]);
  });
});

// From files

Deno.test("a copy of mod.ts and ffi/ is enough", async () => {
  await using project = Project.importing("./vendor/fringe/mod.ts", main);
  await Deno.mkdir(project.path("vendor/fringe"), { recursive: true });
  copySources(project.path("vendor/fringe"));
  assertSucceeds(await project.run("--allow-ffi"));
});

Deno.test("a copied library that was changed is refused before anything is opened", async () => {
  await withCopy(async (directory, library) => {
    await using project = Project.importing(`file://${directory}/mod.ts`, spied);
    project.write("spy.ts", spy);
    assertSucceeds(
      await project.run("--allow-ffi", "--allow-read"),
      `opens ${library}\ngenerator\n`,
    );
    const bytes = await Deno.readFile(library);
    bytes[bytes.length - 1]! ^= 1;
    await Deno.writeFile(library, bytes);
    const ended = await project.run("--allow-ffi", "--allow-read");
    assertFails(ended, "has the digest", `goes with ${digest}`);
    assertEquals(ended.stdout, "");
  });
});

Deno.test("a checkout is linked by deno link, and asks no registry", async () => {
  await using project = Project.importing("jsr:@fringe/fringe", main);
  assertSucceeds(await project.deno("link", root), "");
  // The library is the checkout's file, so its path is grant enough.
  const grant = `--allow-ffi=${decodeURIComponent(fringeLibrary.pathname)}`;
  assertSucceeds(await project.run("--no-remote", grant));
});

Deno.test("a package from deno pack is unpacked into node_modules, and has its types", async () => {
  await using project = new Project();
  const archive = project.path("fringe.tgz");
  const pack = ["pack", "--allow-dirty", "--config", join(root, "deno.json"), "-o", archive];
  assertSucceeds(await project.deno(...pack), "");
  const folder = project.path("node_modules/fringe");
  await Deno.mkdir(folder, { recursive: true });
  const args = ["-xzf", archive, "-C", folder, "--strip-components=1"];
  assert((await new Deno.Command("tar", { args }).output()).success);
  project.write("deno.json", '{ "nodeModulesDir": "manual" }');
  project.write("main.ts", main);
  assertSucceeds(await project.run("--no-remote", "--allow-ffi"));
  project.write("main.ts", typed);
  assertSucceeds(await project.deno("check", "main.ts"), "");
});
