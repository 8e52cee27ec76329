// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Puts what `bench/peers/callbacks/run.ts` has found out into README.md, between two comments that
 * mark the place: `deno run -A tools/comparison.ts`.
 *
 * @module
 */

import { join } from "node:path";
import { root } from "./zig.ts";

const BEGIN = "<!-- comparison: begin, by tools/comparison.ts -->";
const END = "<!-- comparison: end -->";

/** What a trial has shown, or what a peer's documentation says. */
export interface Cell {
  readonly verdict: "yes" | "no" | "partly" | "n/a";
  /** What a reader has to know beside the verdict, in a few words. */
  readonly note?: string;
  /** What one operation took, where that is the question. */
  readonly ns?: number;
  /** What the verdict rests on; not for the README. */
  readonly seen?: string;
}

/** What `bench/peers/callbacks/run.ts` writes. */
export interface Comparison {
  readonly cpu: string;
  readonly versions: Readonly<Record<string, string>>;
  readonly peers: readonly { readonly id: string; readonly name: string }[];
  readonly rows: readonly {
    readonly id: string;
    readonly text: string;
    /** By the id of the peer. */
    readonly cells: Readonly<Record<string, Cell>>;
  }[];
}

/** The text of README.md with the table of `comparison` in its place. */
export function withComparison(readme: string, comparison: Comparison): string {
  const [begin, end] = [readme.indexOf(BEGIN), readme.indexOf(END)];
  if (begin < 0 || end < begin) {
    throw new Error(`Cannot place the comparison: README.md must contain ${BEGIN} and ${END}`);
  }
  const { cpu, versions } = comparison;
  const parts = [
    table(comparison),
    `With ${Object.entries(versions).map((entry) => entry.join(" ")).join(", ")}, on ${cpu}.`,
  ];
  return `${readme.slice(0, begin + BEGIN.length)}\n\n${parts.join("\n\n")}\n\n${
    readme.slice(end)
  }`;
}

/** The table as `deno fmt` wants it, a row for each question and a column for each peer. */
function table({ peers, rows }: Comparison): string {
  const lines = [
    ["", ...peers.map(({ name }) => name)],
    ...rows.map(({ id, text, cells }) => [
      text,
      ...peers.map((peer) => {
        const cell = cells[peer.id];
        if (cell === undefined) throw new Error(`Cannot compare: ${peer.id} has no cell ${id}`);
        return words(cell);
      }),
    ]),
  ].map((line) => line.map((cell) => cell.replace(/[*|]/g, "\\$&")));
  const widths = lines[0]!.map((_, i) => Math.max(3, ...lines.map((line) => line[i]!.length)));
  lines.splice(1, 0, widths.map((width) => "-".repeat(width)));
  return lines.map((line) => {
    return `| ${line.map((cell, i) => cell.padEnd(widths[i]!)).join(" | ")} |`;
  }).join("\n");
}

function words({ verdict, note, ns }: Cell): string {
  if (ns !== undefined) return `${ns < 100 ? ns.toFixed(1) : ns.toFixed(0)} ns`;
  if (verdict === "n/a") return note ?? "-";
  return note === undefined ? verdict : `${verdict}: ${note}`;
}

if (import.meta.main) {
  const readme = join(root, "README.md");
  const results = join(root, "bench", "peers", "callbacks", "results.json");
  const comparison = JSON.parse(await Deno.readTextFile(results));
  await Deno.writeTextFile(readme, withComparison(await Deno.readTextFile(readme), comparison));
}
