// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Puts into docs/figures.md how many instructions operations take, as the images of
 * examples/bare_metal/ count them in QEMU: `deno run -P=tools tools/instructions.ts`. A stage of
 * the gate compares.
 *
 * By QEMU's option `-icount` a machine's clock counts instructions, so that each run gives the same
 * numbers, and code that has one instruction more gives another.
 *
 * @module
 */

import { join } from "node:path";
import { machines, run } from "./bare_metal.ts";
import { placed, table } from "./pages.ts";
import { root } from "./zig.ts";

/** The page that has the numbers. */
export const page = join(root, "docs", "figures.md");

/** The text of a page with what images have said in its place, by the name of the architecture. */
export function withInstructions(page: string, said: Readonly<Record<string, string>>): string {
  const columns = Object.values(said).map(instructionsIn);
  const operations = [...new Set(columns.flatMap((column) => [...column.keys()]))];
  const rows = operations.map((operation) => [
    operation,
    ...columns.map((column) => column.get(operation) ?? "-"),
  ]);
  const alignment = `l${"r".repeat(columns.length)}`;
  const text = table(["instructions", ...Object.keys(said)], alignment, rows);
  return placed(page, "instructions", "tools/instructions.ts", text);
}

/** The lines `# instructions: OPERATION: NUMBER` that an image has said. */
function instructionsIn(said: string): Map<string, string> {
  const lines = said.matchAll(/^# instructions: (.*): (\d+)\r?$/gm);
  const counted = new Map([...lines].map(([, operation, number]) => [operation!, number!]));
  if (counted.size === 0) throw new Error("Cannot show instructions: an image has counted none");
  return counted;
}

/** The text of `page` with what the images that are made for speed count now. */
export async function counted(): Promise<string> {
  const said: Record<string, string> = {};
  for (const arch of Object.keys(machines)) {
    const { output, success } = await run(arch, "fast");
    if (!success) throw new Error(`Cannot count: the image for ${arch} has failed`);
    said[arch] = output;
  }
  return withInstructions(await Deno.readTextFile(page), said);
}

if (import.meta.main) await Deno.writeTextFile(page, await counted());
