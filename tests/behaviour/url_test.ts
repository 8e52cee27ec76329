// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * How a stranger's project imports fringe, as docs/install.md says: from a URL, a copy, a linked
 * checkout, a package. Each is a program in a folder elsewhere, from an empty cache.
 */

import { createHash } from "node:crypto";
import { cpSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { prebuilt } from "../../ffi/library/prebuilt.js";
import { Served } from "../../tools/served.ts";
import { root } from "../../tools/zig.ts";
import { Project, small, withCharacter } from "../support/project.ts";
import {
  assertFails,
  assertSucceeds as assertPrints,
  copySources,
  type Ended,
  fringeLibrary,
  platform,
  run,
  withCopy,
} from "../support/support.ts";

/**
 * The commands of docs/install.md that begin with `deno`, in its order. HOST is that of a server,
 * and ../fringe is a checkout.
 */
const commands = {
  serve: "deno serve --allow-read=. --host=127.0.0.1 --port=8000 serve.ts",
  run: "deno run --allow-import=HOST --allow-ffi main.ts",
  set: "deno run -P main.ts",
  install: "deno install --allow-import=HOST --entrypoint main.ts " +
    "https://HOST/fringe@TAG/ffi/library/prebuilt/x86_64-linux.js",
  frozen: "deno run --frozen --allow-import=HOST --allow-ffi main.ts",
  offline: "deno run --cached-only --allow-ffi main.ts",
  link: "deno link ../fringe",
  pack: "deno pack -o scratch/fringe.tgz",
  bundle: "deno bundle --allow-import=HOST -o bundle.js main.ts",
  bundled: "deno run --allow-ffi bundle.js",
  compile: "deno compile --allow-import=HOST --allow-ffi --include " +
    "https://HOST/fringe@TAG/ffi/library/prebuilt/x86_64-linux.js -o program main.ts",
} as const;

/** The arguments of a command, with the host put in. */
function told(command: keyof typeof commands, host = ""): string[] {
  return commands[command].replace("https://HOST/fringe@TAG/", `http://${host}/`)
    .replace("HOST", host).replace("x86_64-linux.js", `${platform}.js`).split(" ").slice(1);
}

const { digest } = prebuilt[platform]!;

/** The module that has the library of a platform as text. */
function textOf(platform: string): string {
  return `ffi/library/prebuilt/${platform}.js`;
}

const main = small("fringe");

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
  // The checkout's own import map would have the sources in place of the bundle.
  const args = ["info", "--json", "--no-config", join(root, "mod.ts")];
  const { code, stdout, stderr } = await run(args);
  assertEquals(code, 0, stderr);
  const { modules } = JSON.parse(stdout) as { modules: { local?: string }[] };
  const files = modules.flatMap(({ local }) =>
    local === undefined ? [] : local.slice(root.length + 1)
  );
  for (const file of files) assertMatch(file, /^(?:mod|ffi\/[\w/-]+)\.[jt]s$/);
  return files.sort();
}

/** Asserts that a child has ended well; it prints what `main` does, unless told. */
function assertSucceeds(ended: Ended, stdout = "generator\n"): void {
  assertPrints(ended, stdout);
}

Deno.test("docs/install.md has the commands that are tested here, and no others", async () => {
  const docs = await Deno.readTextFile(join(root, "docs/install.md"));
  assertEquals([...docs.match(/^deno .*/gm) ?? []], Object.values<string>(commands));
  for (const [, json] of docs.matchAll(/^```json\n(.*?)^```/gms)) JSON.parse(json!);
});

// From a URL

Deno.test("from a URL, two grants do: --allow-import=HOST and --allow-ffi", async () => {
  await using served = new Served();
  await using project = Project.importing(served.url, main);
  const [run, grant, ...rest] = told("run", served.host);
  const others = ["read", "write", "env", "net", "run", "sys"].map((name) => `--deny-${name}`);
  assertFails(
    await project.deno([run!, ...others, ...rest]),
    `import access to "${served.host}"`,
  );
  assertFails(await project.deno([run!, grant!, ...others, "main.ts"]), "fringe needs --allow-ffi");
  // By a path that Deno takes libc.so.6 to be in.
  assertFails(
    await project.deno([run!, grant!, ...others, "--allow-ffi=.", "main.ts"]),
    "libc.so.6 does not load. fringe needs --allow-ffi",
  );
  assertSucceeds(await project.deno([run!, ...others, grant!, ...rest]));
  // Without a port, the host is granted on each; with another one, it is not.
  const grantOf = (host: string): string[] => [run!, `--allow-import=${host}`, ...rest];
  assertSucceeds(await project.deno(grantOf("127.0.0.1")));
  project.emptyCache();
  assertFails(await project.deno(grantOf("127.0.0.1:1")), `import access to "${served.host}"`);
});

Deno.test("from a URL, the type of the files says that they are modules, or nothing", async () => {
  await using served = new Served();
  const types = {
    "text/plain": true,
    "text/typescript": true,
    "video/mp2t": true,
    "application/octet-stream": true,
    "text/vnd.trolltech.linguist": false,
    "application/javascript": false,
    "text/html": false,
  };
  for (const [type, succeeds] of Object.entries(types)) {
    served.type = type;
    await using project = Project.importing(served.url, main);
    const ended = await project.deno(told("run", served.host));
    if (succeeds) assertSucceeds(ended);
    else assertEquals(ended.code, 1, type);
  }
});

Deno.test("from a URL, the server of docs/install.md does", async () => {
  const docs = await Deno.readTextFile(join(root, "docs/install.md"));
  await using copy = new Project();
  copySources(copy.folder);
  copy.write("serve.ts", docs.match(/^```ts\n(\/\/ serve\.ts\n.*?)^```/ms)![1]!);
  const args = told("serve").map((part) => part.replace("8000", "0"));
  await using server = new Deno.Command(Deno.execPath(), {
    args,
    cwd: copy.folder,
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  let said = "";
  for await (const text of server.stderr.pipeThrough(new TextDecoderStream())) {
    said += text;
    if (/:\d+\/\s/.test(said)) break;
  }
  const host = said.match(/http:\/\/(127\.0\.0\.1:\d+)\//)?.[1] ?? said;
  await using project = Project.importing(`http://${host}/mod.ts`, main);
  assertSucceeds(await project.deno(told("run", host)));
});

Deno.test("from a URL, both grants can stand in deno.json, as a set for -P", async () => {
  await using served = new Served();
  const permissions = { default: { import: [served.host], ffi: true } };
  await using project = Project.importing(served.url, main, { permissions });
  assertFails(await project.run(), `import access to "${served.host}"`);
  assertSucceeds(await project.deno(told("set")));
});

Deno.test("from a URL, files of mod.ts's module graph are fetched, and nothing else", async () => {
  await using served = new Served();
  await using project = Project.importing(served.url, main);
  assertSucceeds(await project.deno(told("run", served.host)));
  // A run passes over those that declare types and no more.
  assertEquals(
    served.requests.toSorted(),
    ["ffi/fringe.js", "ffi/library/prebuilt.js", textOf(platform), "mod.ts"],
  );
  assertEquals(new Set(served.requests).difference(new Set(await graph())), new Set());
});

Deno.test("from a URL, this platform's library alone is fetched, and opened", async () => {
  await using served = new Served();
  await using project = Project.importing(served.url, spied);
  project.write("spy.ts", spy);
  // A file in memory is for a process with every grant to look at.
  assertSucceeds(await project.run("-A"), `opens libc.so.6\nopens ${digest}\ngenerator\n`);
  assertEquals(
    served.requests.filter((name) => name.startsWith("ffi/library/prebuilt/")),
    [textOf(platform)],
  );
});

Deno.test("from a URL, the text of each platform has the library of its digest", async () => {
  for (const [name, { digest, size }] of Object.entries(prebuilt)) {
    const { base64 } = await import(`../../${textOf(name)}`) as { base64: string };
    const bytes = Uint8Array.fromBase64(base64);
    assertEquals([bytes.length, createHash("sha256").update(bytes).digest("hex")], [size, digest]);
  }
});

Deno.test("V8 without WebAssembly runs what comes from a URL, and no mere copy", async () => {
  await using served = new Served();
  await using project = Project.importing(served.url, main);
  const [run, ...rest] = told("run", served.host);
  const jitless = [run!, "--v8-flags=--jitless", ...rest];
  assertSucceeds(await project.deno(jitless));
  await using other = Project.importing("./fringe/mod.ts", main);
  await Deno.mkdir(other.path("fringe"));
  copySources(other.path("fringe"));
  assertFails(
    await other.deno(jitless),
    "FringeError: Cannot open fringe's native library: its digest is found out by WebAssembly",
    "set FRINGE_LIBRARY to its path",
  );
});

Deno.test("from a URL, the library is lacking where it was never fetched", async () => {
  await using served = new Served();
  await using project = Project.importing(served.url, main);
  assertSucceeds(await project.deno(told("install", served.host).slice(0, -1)), "");
  await served.close();
  assertFails(
    await project.deno(told("offline")),
    "there is no file of it beside the module, and its text could not be loaded with the module",
    `Caused by: TypeError: Specifier not found in cache: "${served.urlOf(textOf(platform))}"`,
  );
});

Deno.test("from a URL, types are checked, and are the rest of the graph", async () => {
  await using served = new Served();
  await using project = Project.importing(served.url, typed);
  const ended = await project.deno(["check", `--allow-import=${served.host}`, "main.ts"]);
  assertSucceeds(ended, "");
  // The bundle has no types: those of the modules that it is made from are checked.
  const modules = (await graph()).filter((name) => !name.startsWith("ffi/library/prebuilt/"));
  assertEquals([...served.requests, "ffi/fringe.js"].sort(), modules);
});

Deno.test("the lock file refuses a file that has changed at its address", async () => {
  await using served = new Served();
  await using project = Project.importing(served.url, main);
  assertSucceeds(await project.deno(told("install", served.host)), "");
  for (const changed of ["ffi/fringe.js", "ffi/library/prebuilt.js"]) {
    served.change = (name, text) =>
      name === changed ? `${text}\nconsole.log("from a stranger");\n` : text;
    project.emptyCache();
    const ended = await project.deno(told("run", served.host));
    assertEquals([ended.code, ended.stdout], [10, ""], ended.stderr);
    assertStringIncludes(ended.stderr, "Integrity check failed");
    assertStringIncludes(ended.stderr, changed);
  }
});

Deno.test("a library that was changed on its way is not opened", async () => {
  await using served = new Served();
  await using project = Project.importing(served.url, spied, { lock: false });
  project.write("spy.ts", spy);
  served.change = withCharacter("A");
  const ended = await project.run("-A");
  assertFails(ended, "the library that came with the module has the digest", `with ${digest}`);
  // libc makes the file in memory that the library would have been opened from.
  assertMatch(ended.stdout, /^(?:opens libc\.so\.6\n)?$/);
});

Deno.test("--frozen takes what the lock file has, and no other file", async () => {
  await using served = new Served();
  await using project = Project.importing(served.url, main);
  const ended = await project.deno(told("frozen", served.host));
  assertFails(ended, "The lockfile is out of date", served.url);
  assertEquals(ended.stdout, "");
  assertSucceeds(await project.deno(told("install", served.host)), "");
  assertSucceeds(await project.deno(told("frozen", served.host)));
});

Deno.test("offline, the cache does", async () => {
  await using served = new Served();
  await using project = Project.importing(served.url, main);
  assertSucceeds(await project.deno(told("install", served.host)), "");
  await served.close();
  assertSucceeds(await project.deno(told("offline")));
  assertSucceeds(await project.deno(told("run", served.host)));
  project.emptyCache();
  assertFails(await project.deno(told("offline")), "not found in cache", served.url);
});

Deno.test('"vendor": true puts all of it into the project, which goes elsewhere then', async () => {
  await using served = new Served();
  await using project = Project.importing(served.url, main, { vendor: true });
  assertSucceeds(await project.deno(told("install", served.host)), "");
  await served.close();
  await using elsewhere = new Project();
  cpSync(project.folder, elsewhere.folder, { recursive: true });
  assertSucceeds(await elsewhere.deno(told("offline")));
  assertSucceeds(await elsewhere.run("--cached-only", "--frozen", "--allow-ffi"));
});

Deno.test("Deno compares nothing in vendor/ with the lock file", async () => {
  await using served = new Served();
  await using project = Project.importing(served.url, main, { vendor: true });
  assertSucceeds(await project.deno(told("install", served.host)), "");
  const vendored = [...Deno.readDirSync(project.path("vendor"))].map(({ name }) => name)
    .find((name) => name.includes("127.0.0.1"))!;
  const file = project.path(join("vendor", vendored, "mod.ts"));
  await Deno.writeTextFile(file, '\nconsole.log("from a stranger");\n', { append: true });
  assertSucceeds(await project.deno(told("frozen", served.host)), "from a stranger\ngenerator\n");
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
  const made = await project.deno(told("bundle", served.host));
  await served.close();
  await runIfMade(t, made, "deno bundle", async () => {
    await using elsewhere = new Project();
    await Deno.rename(project.path("bundle.js"), elsewhere.path("bundle.js"));
    assertSucceeds(await elsewhere.deno(told("bundled")));
    // Where a checkout would have the library, a stranger may have a file: it is not opened.
    const library = elsewhere.path(`native/prebuilt/${platform}/libfringe.so`);
    await Deno.mkdir(dirname(library), { recursive: true });
    await Deno.writeTextFile(library, "a stranger's");
    await Deno.mkdir(elsewhere.path("a/b"), { recursive: true });
    await Deno.rename(elsewhere.path("bundle.js"), elsewhere.path("a/b/bundle.js"));
    assertSucceeds(await elsewhere.deno(["run", "--allow-ffi", "a/b/bundle.js"]));
  });
});

Deno.test("a compiled program has the library in it, and runs from anywhere", async (t) => {
  await using served = new Served();
  await using project = Project.importing(served.url, main);
  const made = await project.deno(told("compile", served.host));
  await served.close();
  await runIfMade(t, made, "deno compile", async () => {
    await using elsewhere = new Project();
    const program = elsewhere.path("program");
    await Deno.rename(project.path("program"), program);
    const { code, stdout } = await new Deno.Command(program, { cwd: elsewhere.folder }).output();
    assertEquals([code, new TextDecoder().decode(stdout)], [0, "generator\n"]);
  });
});

// From files

Deno.test("a copy of mod.ts and ffi/ is enough; with the library, so is its path", async () => {
  await using project = Project.importing("./vendor/fringe/mod.ts", main);
  const prebuilt = project.path(`vendor/fringe/native/prebuilt/${platform}`);
  await Deno.mkdir(prebuilt, { recursive: true });
  copySources(project.path("vendor/fringe"));
  assertSucceeds(await project.run("--allow-ffi"));
  const grant = `--allow-ffi=vendor/fringe/native/prebuilt/${platform}/libfringe.so`;
  assertFails(await project.run(grant), "fringe needs --allow-ffi");
  await Deno.copyFile(fringeLibrary, join(prebuilt, "libfringe.so"));
  assertSucceeds(await project.run(grant));
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
  assertFails(await project.run("--no-remote", "--allow-ffi"), "@fringe/fringe");
  const link = told("link").map((part) => part.replace("../fringe", root));
  const linked = await project.deno(link);
  assertSucceeds(linked, "");
  // What only tools and tests import stands in `scopes`: from `imports` Deno would install it here.
  assertEquals(linked.stderr.includes("Download"), false, linked.stderr);
  const config = JSON.parse(await Deno.readTextFile(project.path("deno.json")));
  project.write("deno.json", JSON.stringify({ ...config, imports: {} }));
  assertFails(await project.run("--no-remote", "--allow-ffi"), 'Import "fringe" not a dependency');
  project.write("deno.json", JSON.stringify(config));
  // The library is the checkout's file, so its path is grant enough.
  const grant = `--allow-ffi=${fileURLToPath(fringeLibrary)}`;
  assertSucceeds(await project.run("--no-remote", grant));
});

Deno.test("a package from deno pack is unpacked into node_modules, and has its types", async () => {
  await using checkout = new Project();
  for (const name of ["deno.json", "mod.ts", "ffi", "native/include"]) {
    cpSync(join(root, name), checkout.path(name), { recursive: true });
  }
  await Deno.mkdir(checkout.path("scratch"));
  const packed = await checkout.deno(told("pack"));
  assertSucceeds(packed, "");
  // Of internal modules only: the types of the public names are checked below.
  assertStringIncludes(packed.stderr, "Could not generate types");

  await using project = new Project();
  const archive = checkout.path("scratch/fringe.tgz");
  const folder = project.path("node_modules/fringe");
  await Deno.mkdir(folder, { recursive: true });
  const args = ["-xzf", archive, "-C", folder, "--strip-components=1"];
  assert((await new Deno.Command("tar", { args }).output()).success);
  project.write("deno.json", '{ "nodeModulesDir": "manual" }');
  project.write("main.ts", main);
  assertSucceeds(await project.run("--no-remote", "--allow-ffi"));
  project.write("main.ts", typed);
  assertSucceeds(await project.deno(["check", "main.ts"]), "");
  // By a path, there are no declarations to be found.
  project.write("deno.json", '{ "imports": { "fringe": "./node_modules/fringe/mod.js" } }');
  assertFails(await project.deno(["check", "main.ts"]), "Unused '@ts-expect-error' directive");
});
