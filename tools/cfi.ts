// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Writes down what the tables of `native/switch_<arch>.S` say to unwinders, function by function,
 * as `tests/house/switch_<arch>.cfi`: `deno run -P=tools tools/cfi.ts`. A change of them is then
 * seen as such, and a test compares the two.
 *
 * @module
 */

import { join } from "node:path";
import { root, zig, zigEnvironment } from "./zig.ts";

export const architectures = ["x86_64", "x86", "aarch64"] as const;

export type Arch = (typeof architectures)[number];

/** The path of what is written down for an architecture. */
export function path(arch: Arch): string {
  return join(root, "tests", "house", `switch_${arch}.cfi`);
}

/** What is to be written down: assembles the file and reads its tables. */
export async function cfi(arch: Arch): Promise<string> {
  const file = `switch_${arch}.S`;
  const object = await Deno.makeTempFile({ prefix: "fringe-", suffix: ".o" });
  try {
    const source = join(root, "native", file);
    // Linked, so that functions of different sections have different addresses.
    const how = ["-target", `${arch}-linux-gnu`, "-nostdlib", "-shared", "-Wl,--no-gc-sections"];
    await output(await zig(), "cc", ...how, source, "-o", object);
    const frames = await output("readelf", "--wide", "--debug-dump=frames", object);
    const symbols = await output("readelf", "--wide", "--symbols", object);
    return `# SPDX-License-Identifier: MIT OR Apache-2.0
# Credit: after libfringe, by edef and the libfringe contributors
# Made by tools/cfi.ts from native/${file}.
# Offsets are in bytes, from the beginning of a function.

${rules(frames, symbols)}`;
  } finally {
    await Deno.remove(object);
  }
}

/** What readelf has shown of an object, without all that has to do with where things lie. */
export function rules(frames: string, symbols: string): string {
  const functions = new Map(
    [...symbols.matchAll(/^ *\d+: ([0-9a-f]+) +\d+ FUNC +\w+ +\w+ +\d+ (\w+)$/gm)]
      .map(([, address, name]) => [Number.parseInt(address!, 16), name!]),
  );
  /** By the place of a CIE in its section. */
  const common = new Map<string, string[]>();
  const parts: string[] = [];
  for (const entry of frames.split(/\n\n+/)) {
    const cie = /^([0-9a-f]+) .* CIE$[^]*Augmentation: +"(\w+)"/m.exec(entry);
    if (cie) common.set(cie[1]!, [`augmentation ${cie[2]}`, ...instructions(entry, 0)]);
    const fde = /^.* FDE cie=([0-9a-f]+) pc=([0-9a-f]+)\.\.([0-9a-f]+)/m.exec(entry);
    if (!fde) continue;
    const [begin, end] = [Number.parseInt(fde[2]!, 16), Number.parseInt(fde[3]!, 16)];
    const name = functions.get(begin);
    const first = common.get(fde[1]!);
    if (name === undefined || first === undefined) {
      throw new Error(`Cannot read the frames: no function, or no CIE, for\n${entry}`);
    }
    const lines = [...first, ...instructions(entry, begin), `+${end - begin} end`];
    parts.push([name, ...lines.map(indented)].join("\n"));
  }
  return `${parts.join("\n\n")}\n`;
}

/** The instructions of an entry; a number alone is the offset from which on the next ones hold. */
function instructions(entry: string, begin: number): string[] {
  return [...entry.matchAll(/^ +DW_CFA_(.*)$/gm)].flatMap(([, instruction]) => {
    if (instruction === "nop") return [];
    const to = /^advance_loc\d?: \d+ to ([0-9a-f]+)$/.exec(instruction!);
    return [to ? `+${Number.parseInt(to[1]!, 16) - begin}` : instruction!];
  });
}

function indented(line: string): string {
  return line.startsWith("+") ? `  ${line}` : `      ${line}`;
}

async function output(command: string, ...args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(command, {
    args,
    env: zigEnvironment,
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  if (!success) throw new Error(`Cannot run ${command}: ${decoder.decode(stderr)}`);
  return decoder.decode(stdout);
}

if (import.meta.main) {
  for (const arch of architectures) await Deno.writeTextFile(path(arch), await cfi(arch));
}
