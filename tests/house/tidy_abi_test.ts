// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** Facts that stand in more than one language agree: C's names, numbers, layouts, and SWITCH. */

import { join } from "node:path";
import * as layout from "../../ffi/layout.ts";
import { root } from "../../tools/zig.ts";
import { dynamicSymbols } from "../support/elf.ts";
import { between, type Problems, testRules, text, withoutComments } from "../support/repository.ts";

/** Exported by the library, and not called by TypeScript. */
const EXPORTED_FOR_OTHERS: Readonly<Record<string, string>> = {
  fringe_aside: "cancel.zig unwinds by it",
  fringe_cancel: "native programs end bodies with it",
  fringe_errno_found: "fringe_thunk_common finds errno by it",
  fringe_exchange: "generator.zig calls it where a switch is inlined",
  fringe_exchange_control: "fringe_exchange goes on with it",
  fringe_finish: "unwind.zig ends contexts with it",
  fringe_init: "native programs make contexts with it",
  fringe_leave_current: "exception.zig calls it",
  fringe_root: "a name for debuggers and profilers",
  fringe_signal: "unwind.zig ends contexts with it",
  fringe_suspend: "languages that cannot inline a suspension call it",
  fringe_thunk_common: "a name for debuggers and profilers",
  fringe_thunk_table: "a name for debuggers and profilers",
  fringe_thunk_write: "thunk.zig writes data by it",
  fringe_trace: "backtrace.zig walks with it",
  fringe_trampoline: "a name for debuggers and profilers",
};

const ARCHITECTURES = ["x86_64", "x86", "aarch64"];

/** Exported where the build has something for Valgrind, which the one that is shipped has not. */
const FOR_VALGRIND = ["fringe_valgrind_register", "fringe_valgrind_deregister"];

/** The exported functions with the number of their parameters; undefined: the source says none. */
function exportedBySources(): Map<string, number | undefined> {
  const exported = new Map<string, number | undefined>();
  const assembly = text("native/switch_x86_64.S");
  for (const [, name] of assembly.matchAll(/^BEGIN (fringe_\w+)/gm)) {
    const prototype = assembly.match(new RegExp(`^# \\w.*?\\b${name}(\\(.*\\))`, "m"))?.[1];
    exported.set(name!, countParameters(prototype));
  }
  const table =
    /@export\(&@import\("([\w/]+\.zig)"\)\.(\w+)(?:\(\w+\))?, \.\{\s*\.name = "(\w+)"(.*?)\}\)/gs;
  for (const [, file, decl, name, options] of text("native/library.zig").matchAll(table)) {
    if (options!.includes(".hidden")) continue;
    // A function of a type gives the function that is exported, whose list comes second.
    const list = text(`native/${file}`)
      .match(new RegExp(`pub fn ${decl}(?:\\(comptime T: type\\) fn )?(\\([^{]*)`))?.[1];
    exported.set(name!, countParameters(list));
  }
  return exported;
}

/** Counts what the first pair of parentheses has in it. */
function countParameters(list: string | undefined): number | undefined {
  if (list === undefined) return undefined;
  let [depth, count, any] = [0, 1, false];
  for (const char of list.replace(/,\s*\)/g, ")")) {
    if (char === "(") depth++;
    else if (char === ")" && --depth === 0) break;
    else if (char === "," && depth === 1) count++;
    else if (/\w/.test(char)) any = true;
  }
  return any && !list.startsWith("(void)") ? count : 0;
}

function* symbols(): Problems {
  const exported = exportedBySources();
  const table = "ffi/library/symbols.ts";
  const library = withoutComments(table);
  const called = new Set<string>();
  const entry = /name: "(fringe_\w+)",\s*(?:parameters: \[(.*?)\]|type:)/gs;
  for (const [, name, parameters] of library.matchAll(entry)) {
    called.add(name!);
    if (!exported.has(name!)) {
      yield `${table}: ${name} is exported neither by library.zig nor by switch_x86_64.S`;
    }
    const [here, there] = [parameters?.match(/"\w+"/g)?.length ?? 0, exported.get(name!)];
    if (parameters !== undefined && here !== there) {
      yield `${table}: ${name} has ${here} parameters, and ${there} where it is defined`;
    }
  }
  for (const name of exported.keys()) {
    if (called.has(name) === name in EXPORTED_FOR_OTHERS) {
      yield `${name} must be either in ${table} or in EXPORTED_FOR_OTHERS of this file`;
    }
  }
  const built = dynamicSymbols(Deno.readFileSync(
    join(root, "native/prebuilt/x86_64-linux/libfringe.so"),
  ));
  for (const name of new Set([...built.keys(), ...exported.keys()])) {
    if (built.has(name) === (exported.has(name) && !FOR_VALGRIND.includes(name))) continue;
    yield `libfringe.so ${
      built.has(name) ? "exports" : "lacks"
    } ${name}: run \`deno task build\`, ` +
      "or hide what only the library itself calls";
  }
}

type Numbers = Readonly<Record<string, number>>;

/** Compares numbers with those of `ffi/layout.ts`, in `names`: all names unless told. */
function* differing(
  place: string,
  found: Numbers,
  owned: Numbers,
  names: readonly string[] = Object.keys({ ...owned, ...found }),
): Problems {
  for (const name of names) {
    if (found[name] === owned[name]) continue;
    yield `${place}: ${name} is ${found[name]}, but ${owned[name]} in native/layout.zig`;
  }
}

function* statuses(): Problems {
  const source = text("native/include/fringe.h");
  const header: Record<string, number> = {};
  for (const [, name, number] of source.matchAll(/^ {4}FRINGE_([A-Z_]+) = (\d+)/gm)) {
    header[name!.toLowerCase()] = Number(number);
  }
  yield* differing("native/include/fringe.h", header, layout.Status, Object.keys(header));
  if (Object.keys(header).length === 0) yield "fringe.h: no status was found; mend this rule";
  for (const arch of ARCHITECTURES) {
    const file = `native/switch_${arch}.S`;
    yield* differing(file, defines(file), layout.Status, ["returned", "unwound"]);
  }
}

/** The numbers that an assembly file defines, by their names in lower case. */
function defines(file: string): Record<string, number> {
  const found: Record<string, number> = {};
  for (const [, name, value] of text(file).matchAll(/^#define (\w+) +([\w() +]+)$/gm)) {
    const terms = value!.replace(/[()]/g, "").split("+");
    const sum = terms.map((term) => found[term.trim().toLowerCase()] ?? Number(term));
    found[name!.toLowerCase()] = sum.reduce((a, b) => a + b);
  }
  return found;
}

/** The fields of a mailbox that each architecture has a use for. */
const CALL_FIELDS = [
  "status",
  "callback",
  "input",
  "output",
  "output_float",
  "function",
  "stack_count",
  "tail",
  "errno",
  "wants_errno",
];
const X86_64_FIELDS = [
  ...CALL_FIELDS,
  ...["callback_stack", "integers", "floats", "callback_integers", "callback_floats", "stack"],
];
const MASKED_FIELDS = [...X86_64_FIELDS, "stack_mask"];
const X86_FIELDS = [
  ...CALL_FIELDS,
  ...["callback_stack", "result_float", "callback_float", "stack"],
];

function* mailbox(): Problems {
  const used = { x86_64: MASKED_FIELDS, x86: X86_FIELDS, aarch64: X86_64_FIELDS };
  for (const [arch, names] of Object.entries(used)) {
    const file = `native/switch_${arch}.S`;
    yield* differing(file, defines(file), layout.Mailbox, names);
  }
}

function* switches(): Problems {
  for (const arch of ARCHITECTURES) {
    const file = `native/switch_${arch}.S`;
    const owned = instructions(between(text(file), ".macro SWITCH", ".endm"), defines(file));
    const zig = `native/arch/${arch}.zig`;
    const inZig = between(text(zig), "pub const switch_text =", "\n;").replaceAll("\\\\", "");
    const header = `native/include/fringe_${arch}.h`;
    const inC = text(header).match(/#define FRINGE_SWITCH \\\n(?:.*\\\n)*.*/)?.[0] ?? "";
    const strings = [...inC.matchAll(/"(.*?)"/g)].map(([, string]) => string).join("");
    const others = {
      [`${zig}: switch_text`]: instructions(inZig, {}),
      [`${header}: FRINGE_SWITCH`]: instructions(strings.replace(/\\n\\t|\\n/g, "\n"), {}),
    };
    for (const [place, other] of Object.entries(others)) {
      const at = owned.findIndex((line, i) => line !== other[i]);
      if (owned.length < 8) yield `${file}: no SWITCH was found; mend this rule`;
      if (at >= 0 || owned.length !== other.length) {
        yield `${place} differs from SWITCH in ${file}: instruction ${at + 1} is ` +
          `\`${other[at]}\`, not \`${owned[at]}\``;
      }
    }
  }
}

/** Assembly as a list of instructions and labels, however it was written. */
function instructions(source: string, defined: Readonly<Record<string, number>>): string[] {
  return source.split("\n").flatMap((line) => {
    const plain = line.replace(/#.*|\/\/.*/, "").replaceAll("%%", "%")
      .replace(/\b[A-Z_]{2,}\b/g, (name) => String(defined[name.toLowerCase()] ?? name))
      .replace(/(?<!\w)0\(/g, "(").replace(/\s+/g, " ").trim();
    if (plain === "" || /^\.(?:cfi|irp|endr|if|endif)|^SIGNED$|^signed=/.test(plain)) return [];
    const [, label, rest] = plain.match(/^(\d:)? ?(.*)$/)!;
    return [label, rest].filter((part) => part !== undefined && part !== "") as string[];
  });
}

testRules(symbols, statuses, mailbox, switches);
