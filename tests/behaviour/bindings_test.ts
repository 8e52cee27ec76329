// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Modules that tools/bindings.ts makes of the headers of libraries: TypeScript takes them, their
 * layouts are the compiler's, and C is called by them.
 *
 * @module
 */

import { assert, assertEquals, assertMatch, assertStringIncludes, assertThrows } from "@std/assert";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { dlopen, type Layout, PointerView, type SymbolDefinitions } from "../../mod.ts";
import { type Bindings, bindings } from "../../tools/bindings/module.ts";
import { type Installable, isInstalled } from "../../tools/packages.ts";
import { Served } from "../../tools/served.ts";
import { root } from "../../tools/zig.ts";
import { isAlone, runAlone } from "../support/alone.ts";
import { ask, measure, printing, program } from "../support/measured.ts";
import { assertSucceeds, run, testWith, withFolder } from "../support/support.ts";

const CLANG = "libclang-14.so.1";

/** Makes a test that reads a header of `library`. */
function testBindings(library: Installable, name: string, fn: () => Promise<void>): void {
  if (!isAlone) return;
  testWith(isInstalled(CLANG) ? library : CLANG, `bindings: ${name}`, fn);
}

// deno-lint-ignore no-explicit-any -- what a module exports that is made meanwhile
type Module = Record<string, any>;

const libraryFolder = `/usr/lib/${Deno.build.arch}-linux-gnu`;
const libxml = ["-I/usr/include/libxml2"];
const glib = ["-I/usr/include/glib-2.0", `-I${libraryFolder}/glib-2.0/include`];

/** What each header must have at least: functions, layouts. */
const HEADERS: readonly [Installable, string, functions: number, layouts: number, string[]?][] = [
  ["libz.so", "zlib.h", 80, 3],
  ["libexpat.so", "expat.h", 60, 6],
  ["libsqlite3.so", "sqlite3.h", 280, 12],
  ["g++", "ftw.h", 4, 1],
  ["libcurl.so", "curl/curl.h", 80, 15],
  ["liblua5.4.so", "lua.h", 90, 1, ["-I/usr/include/lua5.4"]],
  ["libxml2.so", "libxml/parser.h", 500, 25, libxml],
  ["libarchive.so", "archive.h", 200, 0],
  ["libglib-2.0.so", "glib.h", 1500, 50, glib],
];

/** Writes the module into a folder and imports it. */
async function load({ text }: Bindings, folder: string, name = "bindings.ts"): Promise<Module> {
  const file = join(folder, name);
  await Deno.writeTextFile(file, text);
  return await import(pathToFileURL(file).href);
}

/** Compares what a module exports with what the compiler has. */
async function compareLayouts(
  header: string,
  { layouts }: Bindings,
  module: Module,
  args: readonly string[],
): Promise<void> {
  const statements = layouts.map(({ name, type, fields }) => printing(name, type, fields));
  // libxml has macros by the names of some fields.
  const withoutMacros = layouts.flatMap(({ fields }) => fields).map((name) => `#undef ${name}\n`);
  const declarations = `#include <${header}>\n${withoutMacros.join("")}`;
  const measured = await ask(program(declarations, statements.join("")), args);
  const ours = layouts.map(({ name, fields }) => [name, measure(module[name] as Layout, fields)]);
  assertEquals(Object.fromEntries(ours), measured);
}

for (const [library, header, functions, layouts, args = []] of HEADERS) {
  testBindings(library, `${header} has all that it should, and layouts are C's`, async () => {
    const made = bindings({ headers: [header], args });
    assert(made.functions.length >= functions, `${made.functions.length} functions`);
    assert(made.layouts.length >= layouts, `${made.layouts.length} layouts`);
    await withFolder(async (folder) => {
      const module = await load(made, folder);
      assertEquals(Object.keys(module.symbols).filter((name) => made.functions.includes(name)), [
        ...made.functions,
      ]);
      await compareLayouts(header, made, module, args);
    });
  });
}

testBindings("g++", "TypeScript takes the modules, and dlopen() their tables", async () => {
  await withFolder(async (folder) => {
    const files: string[] = [];
    const modules: string[] = [];
    for (const [library, header, , , args = []] of HEADERS) {
      if (!isInstalled(library)) continue;
      const name = header.replaceAll("/", "_");
      modules.push(join(folder, `${name}.ts`));
      await Deno.writeTextFile(modules.at(-1)!, bindings({ headers: [header], args }).text);
      const use = `import { dlopen } from "fringe";
        import { symbols } from "./${name}.ts";
        export const open = () => dlopen("library", symbols);\n`;
      files.push(join(folder, `use_${name}.ts`));
      await Deno.writeTextFile(files.at(-1)!, use);
    }
    assertSucceeds(await run(["check", "--quiet", `--config=${root}/deno.json`, ...files]), "");
    assertSucceeds(await run(["fmt", "--check", "--quiet", "--line-width=100", ...modules]), "");
  });
});

testBindings("libsqlite3.so", "rows of SQLite by a table that is made", async () => {
  const made = bindings({ headers: ["sqlite3.h"], symbols: /^sqlite3_(open|exec|close)$/ });
  assertEquals(made.functions, ["sqlite3_close", "sqlite3_exec", "sqlite3_open"]);
  await withFolder(async (folder) => {
    const { symbols } = await load(made, folder);
    using library = dlopen("libsqlite3.so.0", symbols as SymbolDefinitions);
    const { sqlite3_open, sqlite3_exec, sqlite3_close } = library.symbols as Module;
    const out = new BigUint64Array(1);
    assertEquals(sqlite3_open(":memory:", out), 0);
    const database = PointerView.of(out).getPointer()!;
    const rows: (string | null)[] = [];
    const sql = "select 1 union select 2";
    for (const { args: [, , values], reply } of sqlite3_exec.calls(database, sql, null, null)) {
      rows.push(new PointerView(new PointerView(values).getPointer()!).getCString());
      reply(0);
    }
    assertEquals(rows, ["1", "2"]);
    assertEquals(sqlite3_close(database), 0);
  });
});

testBindings("g++", "a header of libc has what its parts in bits/ declare", async () => {
  const symbols = /^(?:clock_gettime|timespec|CLOCK_MONOTONIC)$/;
  const made = bindings({ headers: ["time.h"], symbols });
  await withFolder(async (folder) => {
    const module = await load(made, folder);
    using libc = dlopen("libc.so.6", module.symbols as SymbolDefinitions);
    const { clock_gettime } = libc.symbols as Module;
    const now = new Uint8Array(module.timespec.size);
    assertEquals(clock_gettime(module.CLOCK_MONOTONIC, PointerView.of(now).pointer), 0);
    assert(module.timespec.read(now).tv_sec > 0n);
  });
});

testBindings("libexpat.so", "a struct that expat returns, by a layout that is made", async () => {
  const made = bindings({ headers: ["expat.h"], symbols: /Version/ });
  await withFolder(async (folder) => {
    const { symbols } = await load(made, folder);
    using library = dlopen("libexpat.so.1", symbols as SymbolDefinitions);
    const { XML_ExpatVersion, XML_ExpatVersionInfo } = library.symbols as Module;
    const { major, minor, micro } = XML_ExpatVersionInfo();
    assertEquals(XML_ExpatVersion(), `expat_${major}.${minor}.${micro}`);
  });
});

/** Small C that has what the headers of libraries seldom have. */
const HEADER = `#pragma once
#include <stddef.h>
#define ANSWER (6 * 7)
#define BIG 0xffffffffffffffffULL
#define HALF 0.5
#define NAME "größe"
#define DOUBLED(x) ((x) * 2)
#define NOTHING
/* Colors,
 * all of them */
enum color { RED = -1, GREEN = 5 /**< as grass */ };
enum { ALONE = 3 };
extern int verbosity;
/* This one is about packed. */
struct __attribute__((packed)) packed { char tag; double value; };
struct aligned { int a; } __attribute__((aligned(32)));
struct bits { int a; unsigned b : 3, c : 7; char *d; };
typedef union { int i; float f; struct { char x, y; }; } number;
struct holder { number n[2][3]; struct packed p; long double odd; size_t size; char rest[]; };
struct opaque;
int use(struct opaque *, struct packed by_value, const char *text,
        void (*each)(const char *, size_t length));
int set_hook(int (*hook)(number, enum color));
typedef int visitor(void *data, int depth);
int set_visitor(visitor *, void *data);
int walk(visitor *, void *data);
typedef void (*unused)(int);
long double set_left_out(int (*hook)(int));
struct interface { int with; };
int print(const char *format, ...);
void keep(const void *what, void (*release)(void *), int (*long_enough)(void *, int), int last_one);
/* Gives errno when it fails. */
int fails(struct bits **out, const void *data, int list[]);
int function(long double);
static inline int in_line(void) { return 1; }
`;

testBindings(
  "g++",
  "constants, packed structs, bit-fields, and what has no translation",
  async () => {
    await withFolder(async (folder) => {
      const header = join(folder, "small.h");
      await Deno.writeTextFile(header, HEADER);
      const made = bindings({ headers: [header] });
      const module = await load(made, folder);
      const { ANSWER, BIG, HALF, NAME, ALONE, color, symbols } = module;
      assertEquals([ANSWER, BIG, HALF, NAME, ALONE], [42, 2n ** 64n - 1n, 0.5, "größe", 3]);
      assertEquals(color, { RED: -1, GREEN: 5 });
      assertEquals(symbols.verbosity, { type: "i32" });
      const each = { callback: { parameters: ["pointer", "usize"], result: "void" } };
      assertEquals(symbols.use.parameters, ["pointer", module.packed, "cstring", each]);
      assertEquals(symbols.set_hook, { parameters: ["function"], result: "i32" });
      const hook = { parameters: [module.number, "i32"], result: "i32" };
      assertEquals(module.set_hook_functions, { hook });
      assertEquals(module.visitor, { parameters: ["pointer", "i32"], result: "i32" });
      assertEquals(symbols.set_visitor.parameters, ["function", "pointer"]);
      assertEquals(symbols.walk.parameters, [{ callback: module.visitor }, "pointer"]);
      assertEquals(module.unused, { parameters: ["i32"], result: "void" });
      assertEquals(symbols.print, { parameters: ["cstring"], result: "i32", variadic: 1 });
      assertEquals(symbols.fails.parameters, ["buffer", "buffer", "buffer"]);
      assertEquals(symbols.keep.parameters[1], "function");
      assertEquals(made.functions, [
        ...["use", "set_hook", "set_visitor", "walk", "print", "keep", "fails"],
      ]);
      assertEquals(made.layouts.map(({ name }) => name).sort(), [
        ...["aligned", "bits", "holder", "interface_", "number", "packed"],
      ]);
      await compareLayouts("small.h", made, module, [`-I${folder}`]);

      assertMatch(made.text, /\/\*\*\n \* Colors,\n \* all of them\n \*\/\nexport const color/);
      assertMatch(made.text, / {2}\/\*\* as grass \*\/\n {2}GREEN: 5/);
      assertMatch(made.text, /\/\*\*\n \* This one is about packed\.\n \*\n \* `struct packed`/);
      assertMatch(
        made.text,
        /\/\/ errno\?\n {2}\/\*\*\n.*\n {3}\*\n {3}\* `int fails\(struct bits/,
      );
      assertMatch(made.text, /\/\/ kept\? stop\?\n {2}\/\*\*\n {3}\* `int use\(/);
      assertMatch(made.text, /\/\/ bit-fields: b: 3, c: 7\n {2}_bits1: \["u8", 2\],/);
      assertMatch(made.text, /\/\/ long double odd: long double is no type of fringe's/);
      assertMatch(made.text, /\/\/ char rest\[\]: as long as it is/);
      assertMatch(
        made.text,
        /\n\/\/ int function\(long double\): long double is no type of fringe's\n/,
      );
      assertMatch(made.text, /\n\/\/ macros with parameters: DOUBLED\n/);
      assertMatch(made.text, / \* `void keep\(.*, int\n {3}\* last_one\)`\n/);

      assertEquals([module.interface_.size, module.set_left_out_functions], [4, undefined]);

      const { text } = bindings({ headers: [header], comments: false });
      assertMatch(text, /\/\/ errno\?\n {2}\/\*\* `int fails\(/);
      assertEquals(/Colors|grass|packed\.|Gives/.test(text), false);
      assertStringIncludes(text, "`int set_hook(int (*hook)(number, enum color))`");
    });
  },
);

/** What is hard to lay out. */
const LONG = "a_name_that_takes_nearly_all_of_a_line_and_goes_on_for_seventy_characters";
const HARD = `#include "hard_part.h"
/*
 *   - a list whose items are indented, with one that is as long as a line of this file, or more
 *   - another
 */
enum ${LONG} { ${LONG}_1 = 0x7fffffffffffffff };
enum { ${LONG}_2 = 0x7fffffffffffffff };
#define QUOTED "it's a \\"quote\\""
#define ${LONG.toUpperCase()} "and its value, which is as long as that, so that there are two lines"
struct many { union { int x; float f; } u[3]; int ${
  Array.from({ length: 20 }, (_, i) => `field_${i} : 1`).join(", ")
}; };
`;

testBindings(
  "g++",
  "modules are formatted, whatever they have, and whatever was asked",
  async () => {
    await withFolder(async (folder) => {
      const header = join(folder, "hard.h");
      await Deno.writeTextFile(header, HARD);
      await Deno.writeTextFile(join(folder, "hard_part.h"), "struct part { int a; };\n");
      const command = [header, "--symbols", "a'\nb", "-D", 'X="a */ b\u2028c"', LONG];
      const { text } = bindings({ headers: [header], command });
      const file = join(folder, "hard.ts");
      await Deno.writeTextFile(file, text);
      assertSucceeds(await run(["fmt", "--check", "--quiet", "--line-width=100", file]), "");
      const { many, part, QUOTED } = await load({ text, functions: [], layouts: [] }, folder);
      assertEquals([many.size, part.size, QUOTED], [16, 4, 'it\'s a "quote"']);
      assertStringIncludes(text, "\n *   - another\n");
      const head = text.slice(0, text.indexOf("\n//\n")).replaceAll("\n// ", " ");
      const args = `$'a\\'\\u000ab' -D $'X="a */ b\\u2028c"' ${LONG}`;
      assertEquals(head, `// Made by fringe's bindings ${header} --symbols ${args}`);
    });
  },
);

testBindings("g++", "an error of C is said with its place", async () => {
  await withFolder(async (folder) => {
    const header = join(folder, "wrong.h");
    await Deno.writeTextFile(header, "int f(;\n");
    assertThrows(() => bindings({ headers: [header] }), Error, "wrong.h:1:7: error: ");
    assertThrows(() => bindings({ headers: ["no/such.h"] }), Error, "'no/such.h' file not found");
    const reason = (header: string, symbols?: RegExp) =>
      assertThrows(() => bindings({ headers: [header], symbols }), Error).message;
    assertStringIncludes(
      reason("ftw.h", /^nwft$/),
      "ftw.h itself declares nothing that /^nwft$/ matches; name the header",
    );
    assertStringIncludes(reason("poll.h"), "poll.h itself declares nothing; name the header");
    assertStringIncludes(reason("stdio.h", /^vprintf$/), "vprintf(const char *restrict __format, ");
    assertStringIncludes(reason("stdio.h", /^vprintf$/), "it has a va_list");
  });
});

testBindings("g++", "the command prints a module, by the permission for FFI alone", async () => {
  const tool = pathToFileURL(join(root, "tools", "bindings.ts")).href;
  const command = (...args: string[]) => run(["run", "--no-prompt", "--allow-ffi", tool, ...args]);
  const { code, stdout, stderr } = await command("ftw.h", "--symbols", "^nftw$");
  assertEquals([code, stderr], [0, ""]);
  assertMatch(stdout, /^\/\/ Made by fringe's bindings ftw\.h --symbols '\^nftw\$'\n/);
  assertMatch(stdout, / {2}\/\/ kept\? stop\? errno\?\n {2}\/\*\* `int nftw\(.*`/);
  await withFolder(async (folder) => {
    const header = "#ifdef ASKED\nint asked(struct s *);\n#endif\n";
    await Deno.writeTextFile(join(folder, "optional.h"), header);
    const { stdout } = await command("optional.h", "-I", folder, "-D", "ASKED=1");
    assertMatch(stdout, /asked: \{ parameters: \["pointer"\], result: "i32" \}/);
  });
  assertMatch((await command("--help")).stdout, /^Usage: bindings HEADER…/);
  const wrong = await command();
  assertEquals([wrong.code, wrong.stdout], [1, ""]);
  assertMatch(wrong.stderr, /^Usage: bindings HEADER…/);
});

testBindings("g++", "the command works by its URL, in a project that has nothing", async () => {
  await using served = new Served();
  await withFolder(async (folder) => {
    const args = ["run", "--no-config", "--no-prompt", "--quiet", "--allow-ffi"];
    const { code, stdout, stderr } = await run(
      [...args, `--allow-import=${served.host}`, served.urlOf("tools/bindings.ts"), "ftw.h"],
      { DENO_DIR: join(folder, "cache") },
      { cwd: folder },
    );
    assertEquals([code, stderr], [0, ""]);
    assertMatch(stdout, /\nexport const FTW = struct\(/);
  });
});

const committed = join(root, "examples", "bindings");

for (const { name } of Deno.readDirSync(committed)) {
  testBindings(
    "libsqlite3.so",
    `examples/bindings/${name} is what its header still says`,
    async () => {
      const lines = (await Deno.readTextFile(join(committed, name))).split("\n");
      // "// Made by fringe's bindings …", for a shell, on some lines, up to an empty one.
      const words = lines.slice(0, lines.indexOf("//")).map((line) => line.slice("// ".length));
      const command = words.join(" ").replace("Made by fringe's bindings", "");
      const tool = `"$0" run --quiet --allow-ffi "$1" ${command}`;
      const { stdout } = await new Deno.Command("sh", {
        args: ["-c", tool, Deno.execPath(), join(root, "tools", "bindings.ts")],
      }).output();
      // A later version of the header may have more.
      const known = new Set(new TextDecoder().decode(stdout).split("\n"));
      assertEquals(lines.filter((line) => !known.has(line)), []);
    },
  );
}

runAlone(CLANG, import.meta.url);
