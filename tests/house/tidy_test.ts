// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** The house itself: files are where they are looked for, in form, and nothing is left over. */

import { basename, dirname, join } from "node:path";
import * as mod from "../../mod.ts";
import { BUNDLE, SOURCE } from "../../tools/bundle.ts";
import {
  between,
  code,
  files,
  type Problems,
  testRules,
  text,
  withoutComments,
} from "../support/repository.ts";

/** Files of ffi/ that no test is named after, since their behaviour has another name. */
const TESTED_ELSEWHERE: Readonly<Record<string, string>> = {
  layout: "generated; the gate compares it with what native/layout.zig gives",
  exports: "house/bundle_test.ts compares it with what mod.ts exports",
  argument_types: "types; behaviour/types_test.ts has what they accept and refuse",
  definition: "types; behaviour/types_test.ts has what they accept and refuse",
  answer: "the tests of each form answer, and are refused",
  callee: "the tests of each form check their arguments",
  canary: "behaviour/overflow_test.ts goes beyond stacks without a guard page",
  check: "whatever is refused; behaviour/exhausted_test.ts and stack_depth_test.ts",
  end: "behaviour/exception_test.ts has exceptions in place of an end",
  function_pointer: "unit/callback_test.ts passes callbacks",
  load: "behaviour/find_test.ts loads libraries that are not to be had",
  made_call: "unit/yielder_test.ts makes calls that begin late, or never",
  machine: "unit/placement_test.ts and value_test.ts have what machines differ in",
  mapping: "behaviour/faults_test.ts has mappings refused",
  memory_file: "behaviour/find_test.ts opens the library from memory",
  occupancy: "unit/context_test.ts ends all frames of a library",
  outcome: "behaviour/overflow_test.ts has what becomes of overflows",
  scope: "unit/yielder_test.ts opens calls in each other",
  script: "unit/yielder_test.ts calls",
  script_machine: "unit/generator_test.ts has TypeScript bodies",
  temporary_file: "behaviour/find_test.ts opens the library from such a file",
  shape: "behaviour/struct_test.ts compares it with the compiler",
  text: "behaviour/find_test.ts has texts that were changed, or are lacking",
  symbols: "house/tidy_abi_test.ts compares it with native/library.zig",
  text_encoding: "unit/pointer_view_test.ts has text in every encoding",
  type: "unit/value_test.ts has values of every type",
};

function* headers(): Problems {
  for (const file of code) {
    // Made of a header of C, as its first line says.
    if (file.startsWith("examples/bindings/")) continue;
    const start = text(file).split("\n").slice(0, 3).join("\n");
    if (!start.includes("SPDX-License-Identifier: MIT OR Apache-2.0")) {
      yield `${file}: begin it with the SPDX line that every other file begins with`;
    }
    if (!start.includes("Credit: after libfringe, by edef and the libfringe contributors")) {
      yield `${file}: credit libfringe's authors in the second line, as every other file does`;
    }
    const [third, fourth] = text(file).split("\n").slice(2, 4);
    if (/\.(?:ts|zig)$/.test(file) && !/^\/[/*]/.test(third || fourth!)) {
      yield `${file}: say in a comment behind these lines what the file is for`;
    }
  }
}

/** Whether a file is made by `deno task build`, and nobody's to write. */
function isMade(file: string): boolean {
  return /^ffi\/library\/prebuilt\b/.test(file) || file === BUNDLE;
}

function* columns(): Problems {
  for (const file of code) {
    if (isMade(file)) continue;
    for (const [i, line] of text(file).split("\n").entries()) {
      if ([...line].length > 100) yield `${file}:${i + 1}: wrap it at 100 columns`;
    }
  }
}

function* leftovers(): Problems {
  const marks = new RegExp(`\\b(?:${["FIX" + "ME", "TO" + "DO", "XX" + "X"].join("|")})\\b`);
  for (const file of files) {
    // Machine code in base 64 says nothing by its letters.
    if (file.startsWith("ffi/library/prebuilt/")) continue;
    for (const [i, line] of text(file).split("\n").entries()) {
      if (marks.test(line)) {
        yield `${file}:${i + 1}: do it now, or open an issue, and remove the mark`;
      }
    }
  }
}

/** The files that `start` imports, directly or not; `pattern` finds what a file names. */
function reachable(start: string[], pattern: RegExp): Set<string> {
  const seen = new Set<string>();
  for (let file; (file = start.pop()) !== undefined;) {
    if (seen.has(file) || !files.includes(file)) continue;
    seen.add(file);
    for (const [, name] of text(file).matchAll(pattern)) start.push(join(dirname(file), name!));
  }
  return seen;
}

const nativeZig = files.filter((file) => /^native\/.*\.zig$/.test(file));

function* zigFiles(): Problems {
  const imports = /@import\("([\w/.]+\.zig)"\)/g;
  const [package_, library, tests] = ["fringe.zig", "library.zig", "tests.zig"]
    .map((file) => reachable([`native/${file}`], imports));
  const used = package_!.union(library!).union(tests!);
  for (const file of nativeZig) {
    const name = file.slice("native/".length);
    const isRoot = name === "build.zig" || text("native/build.zig").includes(`"${name}"`);
    if (!used.has(file) && !isRoot) {
      yield `${file}: import it from fringe.zig, library.zig or tests.zig, or delete it`;
    }
    if (/^test\b/m.test(text(file)) && !tests!.has(file)) {
      yield `${file}: import it in native/tests.zig, or its tests do not run`;
    }
  }
}

function* zigPackage(): Problems {
  const listed = new Set(
    between(text("native/build.zig.zon"), ".paths = .{", "}").match(/(?<=")[\w./]+(?=")/g),
  );
  const parts = files.filter((file) => file.startsWith("native/")).map((file) =>
    file.slice("native/".length).replace(/\/.*/, "")
  );
  for (const part of new Set(parts)) {
    if (!listed.has(part)) yield `native/build.zig.zon: add "${part}" to the paths`;
  }
  for (const path of listed) {
    if (!parts.includes(path)) yield `native/build.zig.zon: there is no "${path}"`;
  }
}

/** What is shipped of a Zig file: not its tests, nor its comments. */
function shippedZig(file: string): string {
  return text(file).split(/^test\b/m)[0]!.replace(/\/\/.*/g, "");
}

/** Architectures are known in arch/, systems in os/; tests and the build know both. */
function* platforms(): Problems {
  const names = /\b(?:x86(?:_64)?|i386|aarch64|linux|posix|page_size_min)\b|cpu\.arch|os\.tag/g;
  for (const file of nativeZig) {
    if (/^native\/(?:(?:arch|os|test)\/|build\.zig|backtrace_program)/.test(file)) continue;
    for (const [name] of shippedZig(file).matchAll(names)) {
      yield `${file}: \`${name}\` belongs into native/arch/<arch>.zig or native/os/<os>.zig`;
    }
  }
}

/** System calls of what is shipped. */
function* systemCalls(): Problems {
  for (const file of nativeZig.filter((file) => file.startsWith("native/os/"))) {
    for (const [call, name] of shippedZig(file).matchAll(/\blinux\.([a-z]\w*)\(/g)) {
      if (/^(errno|getauxval|getpid|gettid)$/.test(name!)) continue;
      yield `${file}: make it call(linux.${name}, …), so that tests can refuse ${call}…)`;
    }
  }
}

/** Each line of docs/safety.md that names tests: `file`: "test", "test". */
function* safety(): Problems {
  for (const item of text("docs/safety.md").split(/\n(?=- |\n)/)) {
    const [, file, list] = item.match(/^- `((?:tests|native)\/[\w./]+)`: (.*)/s) ?? [];
    if (file === undefined) continue;
    if (!files.includes(file)) yield `docs/safety.md: there is no ${file}`;
    else {for (const [, name] of list!.replace(/\n\s*/g, " ").matchAll(/"([^"]+)"/g)) {
        if (!text(file).includes(`"${name}"`)) yield `${file} has no test ${JSON.stringify(name)}`;
      }}
  }
}

function* ffiFiles(): Problems {
  const used = reachable(["mod.ts", SOURCE], /from "(\.[\w/.]+\.ts)"/g);
  for (const file of files.filter((file) => /^ffi\/.*\.ts$/.test(file))) {
    const name = basename(file, ".ts");
    if (!used.has(file)) yield `${file}: nothing in mod.ts leads to it; import it or delete it`;
    const tests = [`tests/unit/${name}_test.ts`, `tests/behaviour/${name}_test.ts`];
    const isTested = tests.some((test) => files.includes(test));
    if (!isTested && !(name in TESTED_ELSEWHERE)) {
      yield `${file}: write ${tests[0]}, or say in TESTED_ELSEWHERE why it needs none`;
    }
    if (isTested && name in TESTED_ELSEWHERE) yield `${file}: take it off TESTED_ELSEWHERE`;
  }
}

/**
 * The floors of ffi/, the lowest first: a file imports from its own floor and from those below. The
 * files directly in ffi/ that users see are the top.
 */
const FLOORS: readonly (readonly string[])[] = [
  ["layout", "machine", "check", "node", "buffer", "script_generator"],
  ["library/"],
  ["stack/", "value/"],
  ["context/"],
  ["call/"],
  [
    "yielder",
    "generator",
    "types",
    "dlopen",
    "pointer_view",
    "function_at",
    "struct",
    "struct_view",
  ],
  ["exports"],
];

/** Of a file of ffi/, the floor that it is on. */
function floorOf(file: string): number {
  const name = file.slice("ffi/".length, -".ts".length);
  return FLOORS.findIndex((floor) =>
    floor.some((part) => part.endsWith("/") ? name.startsWith(part) : name === part)
  );
}

/** The files that a file of ffi/ imports, for types or for more. */
function importsOf(file: string): string[] {
  const specifiers = withoutComments(file).matchAll(/\bfrom "(\.[\w/.]+\.ts)"/g);
  return [...specifiers].map(([, name]) => join(dirname(file), name!));
}

function* floors(): Problems {
  for (const file of files.filter((file) => /^ffi\/.*\.ts$/.test(file))) {
    const floor = floorOf(file);
    if (floor < 0) yield `${file}: say in FLOORS of this test what it may import`;
    for (const other of importsOf(file)) {
      if (floorOf(other) <= floor) continue;
      yield `${file}: ${other} lies above it; pass in what it needs, or move one of the two`;
    }
  }
}

/** Imports in a circle, those of types too: the shortest way back to a file. */
function* circles(): Problems {
  const seen = new Set<string>();
  for (const start of files.filter((file) => /^(ffi\/.*|mod)\.ts$/.test(file))) {
    const cameFrom = new Map<string, string>();
    const left = [start];
    for (let file; (file = left.shift()) !== undefined && !cameFrom.has(start);) {
      for (const other of importsOf(file)) {
        if (cameFrom.has(other)) continue;
        cameFrom.set(other, file);
        left.push(other);
      }
    }
    if (!cameFrom.has(start) || seen.has(start)) continue;
    const way = [start];
    for (let file = cameFrom.get(start)!; file !== start; file = cameFrom.get(file)!) {
      way.unshift(file);
      seen.add(file);
    }
    yield `${start} imports itself: ${[start, ...way].join(" -> ")}`;
  }
}

/** The longest function that a reader has in one view. */
const LINES_MAX = 70;

/** Functions, from their first line to the brace that closes them, by their indentation. */
function* lengths(): Problems {
  const begins: Record<string, RegExp> = {
    ts: /^( *)(?:export )?(?:static |override |async |get |set |function\b|#?\w+(?:<[^>]*>)?\()/,
    zig: /^( *)(?:pub )?(?:inline |noinline |export )?fn /,
  };
  for (const file of files.filter((file) => /^(ffi|native)\/(?!test\/).*\.(ts|zig)$/.test(file))) {
    const pattern = begins[file.split(".").at(-1)!]!;
    const lines = text(file).split("\n");
    for (const [i, line] of lines.entries()) {
      const [, indentation] = line.match(pattern) ?? [];
      if (indentation === undefined || /^ *(?:if|for|while|switch|return|throw)\b/.test(line)) {
        continue;
      }
      const header = lines.findIndex((other, j) => j >= i && /[{;]$/.test(other));
      if (header < 0 || !lines[header]!.endsWith("{")) continue;
      // A function that returns a type is that type's declaration.
      if (lines[header]!.endsWith(") type {")) continue;
      const end = lines.findIndex((other, j) => j > header && other.startsWith(`${indentation}}`));
      const length = end - i + 1;
      if (length > LINES_MAX) {
        yield `${file}:${i + 1}: ${length} lines; a function has ${LINES_MAX}`;
      }
    }
  }
}

function* deno(): Problems {
  for (const file of ["mod.ts", ...files.filter((file) => file.startsWith("ffi/"))]) {
    if (isMade(file)) continue;
    const source = withoutComments(file);
    if (/\bDeno\.dlopen\(/.test(source) && !/^ffi\/(library\/load|dlopen)\.ts$/.test(file)) {
      yield `${file}: open libraries in ffi/library/load.ts (ours) or ffi/dlopen.ts (users') only`;
    }
    for (const [name] of source.matchAll(/\bDeno\.Unsafe\w+/g)) {
      yield `${file}: ${name} throws under a path-scoped --allow-ffi; see PointerView and native()`;
    }
  }
}

/** Versions stand once, and where a reader types one it is that one. */
function* versions(): Problems {
  const owned = text(".ci/run").match(/deno@([\d.]+)/)?.[1];
  if (owned === undefined) yield ".ci/run: name the version of Deno, as deno@VERSION";
  for (const file of files.filter((file) => /\.(md|ts|yml)$|^\.ci\/run$/.test(file))) {
    const mentions = [...text(file).matchAll(/deno@([\d.]+\d)/g)].map(([, version]) => version);
    if (mentions.some((version) => version !== owned)) {
      yield `${file}: it names another version of Deno than .ci/run, which has ${owned}`;
    }
    if (mentions.length > 1) yield `${file}: name the version of Deno once`;
  }
  const zig = text("native/build.zig.zon").match(/minimum_zig_version = "([\d.]+)"/)![1]!;
  for (const file of files.filter((file) => /\.(md|ts|zig|yml)$/.test(file))) {
    if (text(file).includes(zig)) yield `${file}: native/build.zig.zon names the version of Zig`;
  }
}

/** Readers are told of the lowest Deno that the module checks for. */
function* lowestDeno(): Problems {
  const lowest = text("ffi/library/runtime.ts").match(/LOWEST_DENO = "(\d+\.\d+)\./)?.[1];
  for (const file of files.filter((file) => file.endsWith(".md"))) {
    const told = text(file).matchAll(/\bDeno (\d+\.\d+) or later/g).map(([, version]) => version);
    const wrong = [...told].find((version) => version !== lowest);
    if (wrong !== undefined) yield `${file}: it names Deno ${wrong}; LOWEST_DENO is ${lowest}`;
  }
  if (!text("README.md").includes(`Deno ${lowest} or later`)) {
    yield `README.md: say that fringe needs "Deno ${lowest} or later"`;
  }
}

/** Whoever copies an example maps one name, the same in all of them. */
function* names(): Problems {
  const examples = /^(?:(?:examples|bench|ffi|docs)\/.*|mod|README)\.(?:ts|md)$/;
  for (const file of files.filter((file) => examples.test(file))) {
    for (const [i, line] of text(file).split("\n").entries()) {
      const [, name] = line.match(/\b(?:from |import )"((?:\S*\/)?(?:mod\.ts|@?fringe))"/) ?? [];
      if (name !== undefined && name !== "fringe") {
        yield `${file}:${i + 1}: import from "fringe", not from ${JSON.stringify(name)}`;
      }
    }
  }
  const { imports } = JSON.parse(text("deno.json")) as { imports: Record<string, string> };
  const mapped = Object.keys(imports).filter((name) => imports[name] === "./mod.ts");
  if (mapped.join() !== "fringe") yield 'deno.json: map "fringe" to ./mod.ts, and no other name';
}

function* assembly(): Problems {
  const count = (source: string, pattern: RegExp): number => source.match(pattern)?.length ?? 0;
  for (const file of files.filter((file) => file.endsWith(".S"))) {
    const source = text(file).replace(/#.*/g, "");
    const begun = count(source, /^BEGIN /gm) + count(source, /\.cfi_startproc/g);
    const ended = count(source, /^END /gm) + count(source, /\.cfi_endproc/g);
    if (begun !== ended) yield `${file}: ${begun} functions begin (BEGIN), ${ended} end (END)`;
    const names = [...source.matchAll(/^BEGIN (\w+)|^ +\.type +(\w+), @/gm)].map((m) =>
      m[1] ?? m[2]
    );
    for (const name of names) {
      if (!new RegExp(`^END ${name}$|\\.size +${name},`, "m").test(source)) {
        yield `${file}: give ${name} its size: END ${name}, or .size`;
      }
    }
    if (!source.trimEnd().endsWith('.section .note.GNU-stack, "", @progbits')) {
      yield `${file}: end it with .section .note.GNU-stack, or stacks become executable`;
    }
  }
}

/** A reader of the README and of docs/ hears of all that there is. */
function* mentioned(): Problems {
  const pages = files.filter((file) => /^(README\.md|docs\/.*\.md)$/.test(file)).map(text).join();
  for (const name of Object.keys(mod)) {
    if (!new RegExp(`\\b${name}\\b`).test(pages)) yield `docs/README.md: say what ${name} is for`;
  }
}

testRules(
  headers,
  columns,
  leftovers,
  zigFiles,
  zigPackage,
  platforms,
  systemCalls,
  safety,
  ffiFiles,
  floors,
  circles,
  lengths,
  deno,
  versions,
  lowestDeno,
  names,
  assembly,
  mentioned,
);
