// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Has `examples/crash.zig` crash in gdb, and puts the program and its call stack into docs/how.md,
 * between two comments that mark the place: `deno run -P=tools tools/crash.ts`. A test compares the
 * two.
 *
 * @module
 */

import { join } from "node:path";
import { placed } from "./pages.ts";
import { root, zigBuild } from "./zig.ts";

const example = "examples/crash.zig";

/** What gdb and the program print when it crashes. */
export async function crash(): Promise<string> {
  const prefix = join(root, ".zig-cache", "crash");
  await zigBuild("crash", "--prefix", prefix);
  const { stdout, stderr } = await new Deno.Command("gdb", {
    args: ["-nx", "-batch", "-ex", "run", "-ex", "backtrace", join(prefix, "bin", "crash")],
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  return decoder.decode(stderr) + decoder.decode(stdout);
}

/** The text of docs/how.md with the program, and what has been printed, in their place. */
export function withCrash(page: string, program: string, printed: string): string {
  const source = program.split("\n");
  const code = source.slice(source.findIndex((line) => /^(pub )?fn /.test(line)));
  const stack = callStack(printed).flatMap(({ number, name, file, line }) => {
    // Lines of the example only: nobody reads ours here, and they change.
    if (file !== example) return [`${number} ${name}${file && ` at ${file}`}`];
    return [`${number} ${name} at ${file}:${line}`, `        ${source[line - 1]!.trim()}`];
  });
  const parts = [
    block("zig", code.join("\n").trim()),
    "It ends in a panic. But for addresses, arguments and Zig's own frames, gdb shows:",
    block("", [`panic: ${/panic: (.*)/.exec(printed)?.[1]}`, ...stack].join("\n")),
  ];
  return placed(page, "crash", "tools/crash.ts", parts.join("\n\n"));
}

interface Frame {
  readonly number: string;
  readonly name: string;
  readonly file: string;
  readonly line: number;
}

/** The frames of a backtrace, without those of Zig's standard library at its two ends. */
function callStack(printed: string): Frame[] {
  const name = "<signal handler called>|.*(?= \\(.*?\\) at )";
  const pattern = new RegExp(`^(#\\d+) +(?:0x\\w+ in )?(${name})(?:.* at (.*):(\\d+))?$`, "gm");
  return [...printed.matchAll(pattern)].map(([, number, name, path = "", line]) => ({
    number: number!.padEnd(3),
    // What a struct that has no name is called depends on how many there are.
    name: name!.replace(/\w+__func_\d+__struct_\d+\./, ""),
    file: path.replace(/^.*\/(?=(examples|native)\/)/, "").replace(/^(?=switch_)/, "native/"),
    line: Number(line),
  })).filter(({ file }) => !file.includes("/std/"));
}

function block(language: string, text: string): string {
  return `\`\`\`${language}\n${text}\n\`\`\``;
}

if (import.meta.main) {
  const page = join(root, "docs", "how.md");
  const program = await Deno.readTextFile(join(root, example));
  const text = withCrash(await Deno.readTextFile(page), program, await crash());
  await Deno.writeTextFile(page, text);
}
