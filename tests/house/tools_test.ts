// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** The tools of the gate: what they count, make and refuse. */

import {
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { dirname, join } from "node:path";
import { boot, commandOf, machines } from "../../tools/bare_metal.ts";
import type { Prebuilt } from "../../ffi/library/prebuilt.js";
import { libraries, table, textOf } from "../../tools/build.ts";
import {
  type Counts,
  denoCounts,
  one,
  runnerCounts,
  tapCounts,
  total,
  zigCounts,
} from "../../tools/counts.ts";
import { ignores } from "../../tools/ignored.ts";
import { howToInstall, type Installable, isInstalled, packages } from "../../tools/packages.ts";
import { grown } from "../../tools/soak.ts";
import { errorsIn } from "../../tools/valgrind.ts";
import { indexLinks, isFileOf, unpack, type Wheel } from "../../tools/wheel.ts";
import { pinnedVersion, root } from "../../tools/zig.ts";
import { type Ended, platform, run, withFolder } from "../support/support.ts";

const wheel: Wheel = {
  name: "ziglang",
  version: "1.2.3",
  platform: "manylinux_2_12_x86_64",
  sha256: "",
  size: 0,
};
const file = "ziglang-1.2.3-py3-none-manylinux_2_12_x86_64.musllinux_1_1_x86_64.whl";

Deno.test("denoCounts() reads the summary among other lines", () => {
  const output = "a ... ok (1ms)\nok | 9 passed | 0 failed in a test's own print\n" +
    "\nok | 3 passed (2 steps) | 0 failed | 1 ignored | 4 filtered out (12ms)\n\n";
  assertEquals(denoCounts({ output, success: true }), { passed: 3, failed: 0, skipped: 1 });
});

Deno.test("denoCounts() reads the summary of a failed run", () => {
  const output = "FAILED | 5 passed | 2 failed (1 step) | 3 ignored (1s)\n";
  assertEquals(denoCounts({ output, success: false }), { passed: 5, failed: 2, skipped: 3 });
});

Deno.test("denoCounts() fails a run that crashed, or found no test, or claims success", () => {
  const failed = { passed: 0, failed: 1, skipped: 0 };
  assertEquals(denoCounts({ output: "a ...", success: false }), failed);
  assertEquals(denoCounts({ output: "", success: true }), failed);
  assertEquals(denoCounts({ output: "ok | 0 passed | 0 failed (1ms)", success: true }), failed);
  assertEquals(
    denoCounts({ output: "ok | 7 passed | 0 failed (1ms)", success: false }),
    { passed: 7, failed: 1, skipped: 0 },
  );
});

Deno.test("zigCounts() reads the summary of a run without skips", () => {
  const output = "Build Summary: 3/3 steps succeeded; 14/14 tests passed\ntest success\n";
  assertEquals(zigCounts({ output, success: true }), { passed: 14, failed: 0, skipped: 0 });
});

Deno.test("zigCounts() counts every way to fail and no skip", () => {
  const output = "Build Summary: 1/3 steps succeeded (1 skipped, 1 failed); " +
    "11/17 tests passed (1 skipped, 2 failed, 2 crashed, 1 timed out)\n";
  assertEquals(zigCounts({ output, success: false }), { passed: 11, failed: 5, skipped: 1 });
});

Deno.test("zigCounts() fails a run without tests", () => {
  const failed = { passed: 0, failed: 1, skipped: 0 };
  assertEquals(
    zigCounts({ output: "Build Summary: 3/3 steps succeeded\n", success: true }),
    failed,
  );
  assertEquals(zigCounts({ output: "error: no step named 'test'\n", success: false }), failed);
});

Deno.test("runnerCounts() reads the last line of either runner, and fails one without", () => {
  const counts = (output: string) => runnerCounts({ output, success: true });
  assertEquals(counts("1/2 a...OK\nAll 2 tests passed.\n"), { passed: 2, failed: 0, skipped: 0 });
  const some = { passed: 11, failed: 1, skipped: 2 };
  assertEquals(counts("OK\n11 passed; 2 skipped; 1 failed.\n"), some);
  const none = { passed: 0, failed: 1, skipped: 0 };
  assertEquals(counts("Segmentation fault\n"), none);
  assertEquals(runnerCounts({ output: "All 2 tests passed.\n", success: false }).failed, 1);
});

Deno.test("tapCounts() fails what was announced and never came, and a plan that is missing", () => {
  const counts = (output: string, success = true): Counts => tapCounts({ output, success });
  const lines = ["1..3\n", "ok 1 - a\n", "ok 2 - b\n", "ok 3 - c\n"];
  assertEquals(counts(lines.join("")), { passed: 3, failed: 0, skipped: 0 });
  assertEquals(counts(lines.slice(0, 3).join("")), { passed: 2, failed: 1, skipped: 0 });
  const notOk = lines.with(2, "not ok 2 - b\n# why\n").join("");
  assertEquals(counts(notOk), { passed: 2, failed: 1, skipped: 0 });
  assertEquals(counts(lines.slice(1).join("")), { passed: 3, failed: 3, skipped: 0 });
  assertEquals(counts(lines.join(""), false), { passed: 3, failed: 1, skipped: 0 });
  assertEquals(counts(""), { passed: 0, failed: 1, skipped: 0 });
});

Deno.test("boot() fails a machine that hangs, resets, or ends with another status", async () => {
  const says = (text: string): string[] => ["sh", "-c", text];
  const all = "printf '1..2\\nok 1 - a\\nok 2 - b\\n'; exit";
  const counts = { passed: 2, failed: 0, skipped: 0 };
  assertEquals(tapCounts(await boot(says(`${all} 33`), 33)), counts);
  assertEquals(tapCounts(await boot(says(`${all} 35`), 33)), { ...counts, failed: 1 });
  // A triple fault resets the machine: QEMU ends with 0.
  const reset = await boot(says("printf '1..2\\nok 1 - a\\n'"), 33);
  assertEquals(tapCounts(reset), { passed: 1, failed: 1, skipped: 0 });
  const hung = await boot(says("printf '1..2\\nok 1 - a\\n'; exec sleep 60"), 33, 0.5);
  assertEquals(tapCounts(hung), { passed: 1, failed: 1, skipped: 0 });
});

Deno.test("docs/bare_metal.md boots each machine by the command of the gate", async () => {
  const page = await Deno.readTextFile(join(root, "docs", "bare_metal.md"));
  const shown = page.replace(/\\\n\s*/g, "");
  for (const [arch, machine] of Object.entries(machines)) {
    const command = commandOf(machine, "zig-out/bin/bare_metal").join(" ");
    const status = machine.success === 0 ? "" : ` || test $? = ${machine.success}`;
    assertStringIncludes(
      shown,
      `zig build -Dtarget=${arch}-freestanding\n${command}${status}\n`,
    );
  }
});

Deno.test("errorsIn() finds what names our code, stacks nobody told of, and a log cut off", () => {
  const end = "==7== \n==7== ERROR SUMMARY: 2 errors from 2 contexts (suppressed: 0 from 0)\n";
  const theirs = "==7== Invalid read of size 8\n==7==    at 0x1: ??? (in /usr/bin/deno)\n==7== \n";
  const ours = theirs.replace("??? (in /usr/bin/deno)", "fringe_load_f64 (in /x/libfringe.so)");
  const warning = "==7== Warning: client switching stacks?  SP change: 0x1 --> 0x2\n";
  const code = /\(in \S*\/libfringe\.so\)/;
  assertEquals(errorsIn("==7== Memcheck\n==7== \n" + theirs + end, code), []);
  const [error, ...more] = errorsIn(theirs + ours + theirs + end, code);
  assertStringIncludes(error!, "fringe_load_f64");
  assertEquals(more, []);
  assertEquals(errorsIn(theirs + warning + end, code).length, 1);
  assertEquals(errorsIn(theirs, code).length, 1);
});

Deno.test("total() adds up", () => {
  assertEquals(total([one(true), one(false), { passed: 4, failed: 2, skipped: 1 }]), {
    passed: 5,
    failed: 3,
    skipped: 1,
  });
});

Deno.test("pinnedVersion() reads the version and not a comment", () => {
  const zon = '.{\n    // .minimum_zig_version = "0.1.0",\n    .minimum_zig_version = "0.9.8",\n}';
  assertEquals(pinnedVersion(zon), "0.9.8");
  assertThrows(() => pinnedVersion(".{}"), Error, "no .minimum_zig_version");
});

Deno.test("tools/zig.ts prints the path of a zig on PATH, and takes no package", async () => {
  await withFolder(async (folder) => {
    const zon = await Deno.readTextFile(join(root, "native", "build.zig.zon"));
    const other = join(folder, "other");
    const path = join(folder, "zig");
    await Deno.mkdir(other);
    const write = (path: string, version: string): Promise<void> =>
      Deno.writeTextFile(path, `#!/bin/sh\necho ${version}\n`, { mode: 0o755 });
    await write(join(other, "zig"), "0.1.0");
    await write(path, pinnedVersion(zon));
    const args = ["run", "--quiet", "--no-prompt", "--no-npm", "-P=tools", "tools/zig.ts"];
    const env = { PATH: `${other}:${folder}`, ZIG: "" };
    const { stdout, stderr } = await run(args, env, { cwd: root });
    assertEquals([stdout, stderr], [`${path}\n`, ""]);
  });
});

Deno.test("indexLinks() reads an HTML index", () => {
  const page = `<!DOCTYPE html><html><body>
    <a href="../../files/a.whl#sha256=12" data-requires-python="&gt;=3.5">a.whl</a><br/>
    <A data-dist-info-metadata='true' HREF='https://files.example/b.whl?x=1&amp;y=2'>b.whl</A>
    <a name="href">no link</a></body></html>`;
  const links = indexLinks(page, "text/html; charset=utf-8", "http://index.example/simple/p/");
  assertEquals(links.map(String), [
    "http://index.example/files/a.whl",
    "https://files.example/b.whl?x=1&y=2",
  ]);
});

Deno.test("indexLinks() reads a JSON index", () => {
  const page = JSON.stringify({ files: [{ filename: "a.whl", url: "/files/a.whl" }] });
  const links = indexLinks(
    page,
    "application/vnd.x.simple.v1+json",
    "http://index.example/simple/p/",
  );
  assertEquals(links.map(String), ["http://index.example/files/a.whl"]);
});

Deno.test("isFileOf() takes the wheel of this platform and version only", () => {
  assertEquals(isFileOf(wheel, file), true);
  assertEquals(isFileOf(wheel, `${file}.metadata`), false);
  assertEquals(isFileOf(wheel, file.replaceAll("x86_64", "aarch64")), false);
  assertEquals(isFileOf(wheel, file.replace("1.2.3", "1.2.3.post1")), false);
});

// Made by Python's zipfile: three files, a folder and a file outside of `ziglang/`.
const archive = Uint8Array.fromBase64(`
UEsDBBQAAAAIAAAAIQAvW6BrFQQAAGCuCgALAAAAemlnbGFuZy96aWftxSERAEAIADBPT/h7g6C/oAIBNrOa3y+jJEmSJEmS
JEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmS
JEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmS
JEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmS
JEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmS
JEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmS
JEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmS
JEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmS
JEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmS
JEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmS
JEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmS
JEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmS
JEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmS
JEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmS
JEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmSJEmS
JEmSdGsBUEsDBBQAAAAAAAAAIQAL+UNWBgAAAAYAAAAbAAAAemlnbGFuZy9saWIvZGVlcC9zdG9yZWQudHh0c3RvcmVkUEsD
BBQAAAAIAAAAIQAAAAAAAgAAAAAAAAANAAAAemlnbGFuZy9lbXB0eQMAUEsDBBQAAAAAAAAAIQAAAAAAAAAAAAAAAAAPAAAA
emlnbGFuZy9mb2xkZXIvUEsDBBQAAAAIAAAAIQAfKKpnBAAAAAIAAAAaAAAAemlnbGFuZy0xLmRpc3QtaW5mby9SRUNPUkTL
ywcAUEsBAhQDFAAAAAgAAAAhAC9boGsVBAAAYK4KAAsAAAAAAAAAAAAAAIABAAAAAHppZ2xhbmcvemlnUEsBAhQDFAAAAAAA
AAAhAAv5Q1YGAAAABgAAABsAAAAAAAAAAAAAAIABPgQAAHppZ2xhbmcvbGliL2RlZXAvc3RvcmVkLnR4dFBLAQIUAxQAAAAI
AAAAIQAAAAAAAgAAAAAAAAANAAAAAAAAAAAAAACAAX0EAAB6aWdsYW5nL2VtcHR5UEsBAhQDFAAAAAAAAAAhAAAAAAAAAAAA
AAAAAA8AAAAAAAAAAAAAAIABqgQAAHppZ2xhbmcvZm9sZGVyL1BLAQIUAxQAAAAIAAAAIQAfKKpnBAAAAAIAAAAaAAAAAAAA
AAAAAACAAdcEAAB6aWdsYW5nLTEuZGlzdC1pbmZvL1JFQ09SRFBLBQYAAAAABQAFAEIBAAATBQAAAAA=
`);

Deno.test("unpack() writes the files of one folder, stored or deflated", async () => {
  await withFolder(async (folder) => {
    const path = join(folder, "a.whl");
    const out = join(folder, "out");
    await Deno.writeFile(path, archive);
    let done = 0;
    await unpack(path, "ziglang", out, (bytes) => done = bytes);
    assertEquals(done > archive.length / 2 && done < archive.length, true);
    assertEquals(await Deno.readTextFile(join(out, "zig")), "fringe\n".repeat(100_000));
    assertEquals(await Deno.readTextFile(join(out, "lib", "deep", "stored.txt")), "stored");
    assertEquals(await Deno.readTextFile(join(out, "empty")), "");
    const names = [...Deno.readDirSync(out)].map(({ name }) => name).sort();
    assertEquals(names, ["empty", "lib", "zig"]);
  });
});

Deno.test("unpack() refuses what is no archive, and one that is damaged", async () => {
  await withFolder(async (folder) => {
    const path = join(folder, "a.whl");
    const refused = async (bytes: Uint8Array, message: string): Promise<void> => {
      await Deno.writeFile(path, bytes);
      const out = await Deno.makeTempDir({ dir: folder });
      await assertRejects(() => unpack(path, "ziglang", out, () => {}), Error, message);
    };
    const here = `Cannot unpack ${path}: `;
    await refused(new Uint8Array(0), `${here}File format is not recognized`);
    await refused(archive.subarray(0, -1), `${here}End of central directory not found`);
    // An archive it is, and one of its files would leave the folder.
    const outside = new TextDecoder("latin1").decode(archive).replaceAll("ziglang/", "../lang/");
    const unsafe = Uint8Array.from(outside, (char) => char.charCodeAt(0));
    await refused(unsafe, `${here}Unsafe filename`);
    const damagedAt = (at: number): Uint8Array => archive.with(at, archive[at]! ^ 1);
    await refused(damagedAt(50), "Cannot unpack ziglang/zig: ");
    // Nothing but its checksum tells of a file that is stored as it is.
    const stored = new TextDecoder("latin1").decode(archive).indexOf("storedPK");
    await refused(damagedAt(stored), "Cannot unpack ziglang/lib/deep/stored.txt: ");
  });
});

/** The modules that are made of libraries. */
interface Table {
  prebuilt: Record<string, Prebuilt>;
  sha256Wasm: string;
  text: { base64?: string };
}

Deno.test("what is made of the libraries gives each of them back", async () => {
  await withFolder(async (folder) => {
    const library = crypto.getRandomValues(new Uint8Array(1000));
    const names = ["x86_64-linux/libfringe.so", "aarch64-darwin/libfringe.dylib"];
    for (const name of [...names, "x86_64-linux/body.so", "a-b/x/libfringe.so"]) {
      const file = join(folder, "prebuilt", name);
      await Deno.mkdir(dirname(file), { recursive: true });
      await Deno.writeFile(file, library);
    }
    await Deno.writeFile(join(folder, "sha256.wasm"), library.subarray(1));
    const found = libraries(folder);
    assertEquals(found.map(({ platform, file }) => `${platform}/${file}`), names.toSorted());
    await Deno.mkdir(join(folder, "made/prebuilt"), { recursive: true });
    const write = async (name: string, text: string): Promise<string> => {
      assertMatch(text, /^\/\/ SPDX-License-Identifier: MIT OR Apache-2\.0\n\/\/ Credit: /);
      assertEquals(text.split("\n").filter((line) => line.length > 100), []);
      await Deno.writeTextFile(join(folder, "made", name), text);
      return join(folder, "made", name);
    };
    for (const made of found) await write(`prebuilt/${made.platform}.js`, textOf(made));
    const made = await import(await write("prebuilt.js", table(folder))) as Table;
    assertEquals(Uint8Array.fromBase64(made.sha256Wasm), library.subarray(1));
    assertEquals(Object.keys(made.prebuilt).sort(), ["aarch64-darwin", "x86_64-linux"]);
    for (const { platform, file } of found) {
      const { digest, size, load, ...rest } = made.prebuilt[platform]!;
      assertEquals(rest, { file });
      const { base64 } = await load();
      assertEquals(Uint8Array.fromBase64(base64), library);
      assertEquals(Uint8Array.from(atob(base64), (char) => char.charCodeAt(0)), library);
      assertEquals(size, library.length);
      const sum = new Uint8Array(await crypto.subtle.digest("SHA-256", library));
      assertEquals(digest, sum.toHex());
    }
    assertEquals(made.text.base64, (await made.prebuilt[platform]!.load()).base64);
  });
});

Deno.test("libraries() refuses a folder without a library", async () => {
  await withFolder((folder) => {
    assertThrows(() => libraries(folder), Error, "no library in");
  });
});

Deno.test("ignores() takes each pattern of .gitignore as git does", () => {
  const isIgnored = ignores("# A comment.\n\n/scratch/\n.cache/\ndocs/made/\n/a/b.c/\n");
  // As `git check-ignore` says of the same.
  const ignored = ["scratch", ".cache", "docs/.cache", "x/y/.cache", "docs/made", "a/b.c"];
  const others = ["docs/scratch", "x/docs/made", "made", "x/a/b.c", "b.c", "a/bxc", "xcache", "a"];
  assertEquals([...others, ...ignored].filter(isIgnored), ignored);
});

Deno.test("ignores() refuses a pattern that it does not know", () => {
  for (const pattern of ["*.o", "!kept/", "file", "a/**/b/", "/", "[ab]/", " /a/"]) {
    assertThrows(() => ignores(`/scratch/\n${pattern}\n`), Error, `means by ${pattern}: write`);
  }
});

/** Runs the task. */
async function soak(...args: string[]): Promise<Ended> {
  const config = new URL("../../deno.json", import.meta.url).pathname;
  return await run(["task", "--quiet", `--config=${config}`, "soak", ...args]);
}

Deno.test("soak switches a million times in a process that does not grow", async () => {
  const { code, stdout, stderr } = await soak("1000000");
  assertEquals([code, stderr], [0, ""], stdout);
  assertMatch(stdout, /\n1,[0-9]{3},[0-9]{3} switches, .*\nThe process has not grown\n$/);
});

Deno.test("soak refuses a number of switches that is none", async () => {
  for (const number of ["0", "-1", "many", "0.5"]) {
    const { code, stderr } = await soak(number);
    assertEquals(code, 1);
    assertStringIncludes(stderr, `How many switches must be a positive integer: got ${number}`);
  }
});

Deno.test("grown() says what has grown beyond its bound", () => {
  const before = { rss: 100 * 1024 * 1024, mappings: 200 };
  assertEquals(grown(before, before), undefined);
  assertEquals(grown(before, { rss: before.rss + 8 * 1024 * 1024, mappings: 232 }), undefined);
  assertEquals(
    grown(before, { ...before, rss: before.rss + 9 * 1024 * 1024 }),
    "resident memory has grown from 100.0 MiB to 109.0 MiB, and may by 8.0 MiB",
  );
  assertEquals(
    grown(before, { ...before, mappings: 233 }),
    "the mappings have grown from 200 to 233, and may by 32",
  );
});

Deno.test("isInstalled() and howToInstall() tell of what is missing", () => {
  const installed = (name: string): boolean => isInstalled(name as Installable);
  assertEquals(installed("libno-such-library.so.1"), false);
  assertEquals(installed("libc.so.6"), true);
  assertEquals(installed("no-such-program"), false);
  assertEquals(installed(Deno.execPath()), true);
  assertEquals(installed("false"), false);
  assertStringIncludes(howToInstall("rustc"), "install Rust 1.71 or later");
  for (const [needed, name] of Object.entries(packages)) {
    assertStringIncludes(howToInstall(needed as Installable), `install ${name} (Debian's name)`);
  }
});
