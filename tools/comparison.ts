// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Puts what `bench/peers/callbacks/run.ts` has found out into README.md, between two comments that
 * mark the place: `deno run -P=tools tools/comparison.ts`.
 *
 * @module
 */

import { placed, rewrite, table } from "./readme.ts";

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
  const { cpu, versions, peers, rows } = comparison;
  const cells = rows.map(({ id, text, cells }) => [
    text,
    ...peers.map((peer) => {
      const cell = cells[peer.id];
      if (cell === undefined) throw new Error(`Cannot compare: ${peer.id} has no cell ${id}`);
      return words(cell);
    }),
  ]);
  const names = peers.map(({ name }) => name);
  const parts = [
    table(["", ...names], "l".repeat(names.length + 1), cells),
    `With ${Object.entries(versions).map((entry) => entry.join(" ")).join(", ")}, on ${cpu}.`,
  ];
  return placed(readme, "comparison", "tools/comparison.ts", parts.join("\n\n"));
}

function words({ verdict, note, ns }: Cell): string {
  if (ns !== undefined) return `${ns < 100 ? ns.toFixed(1) : ns.toFixed(0)} ns`;
  if (verdict === "n/a") return note ?? "-";
  return note === undefined ? verdict : `${verdict}: ${note}`;
}

if (import.meta.main) await rewrite("peers/callbacks/results.json", withComparison);
