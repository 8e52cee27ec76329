// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Puts what `bench/peers/callbacks/run.ts` has found out into docs/comparison.md, and the rows that
 * matter most into README.md, between two comments that mark the place: `deno run -P=tools
 * tools/comparison.ts`.
 *
 * @module
 */

import { placed, rewrite, table } from "./pages.ts";

/** What a trial has shown, or what a peer's documentation says. */
export interface Cell {
  readonly verdict: "yes" | "no" | "partly" | "n/a";
  /** What a reader has to know beside the verdict, in a few words. */
  readonly note?: string;
  /** What one operation took, where that is the question. */
  readonly ns?: number;
  /** What the verdict rests on; not for readers. */
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

/** What README.md shows of the comparison, by the ids of rows and peers. */
const SUMMARY = {
  rows: ["awaits", "yields", "stops", "thread", "ns"],
  peers: ["fringe", "unsafe-callback", "koffi", "jspi"],
};

/** The text of docs/comparison.md with the whole of `comparison` in its place. */
export function withComparison(page: string, comparison: Comparison): string {
  const { cpu, versions } = comparison;
  const measured = Object.entries(versions).map((entry) => entry.join(" ")).join(", ");
  const parts = [tableOf(comparison), `With ${measured}, on ${cpu}.`];
  return placed(page, "comparison", "tools/comparison.ts", parts.join("\n\n"));
}

/** The text of README.md with the rows and peers of `shown` in their place, in that order. */
export function withSummary(
  readme: string,
  comparison: Comparison,
  shown: { readonly rows: readonly string[]; readonly peers: readonly string[] } = SUMMARY,
): string {
  const summary = tableOf({
    peers: shown.peers.map((id) => byId(comparison.peers, id)),
    rows: shown.rows.map((id) => byId(comparison.rows, id)),
  });
  return placed(readme, "comparison", "tools/comparison.ts", summary);
}

function byId<T extends { readonly id: string }>(all: readonly T[], id: string): T {
  const found = all.find((other) => other.id === id);
  if (found === undefined) throw new Error(`Cannot compare: there is no row or peer ${id}`);
  return found;
}

function tableOf({ peers, rows }: Pick<Comparison, "peers" | "rows">): string {
  const cells = rows.map(({ id, text, cells }) => [
    text,
    ...peers.map((peer) => {
      const cell = cells[peer.id];
      if (cell === undefined) throw new Error(`Cannot compare: ${peer.id} has no cell ${id}`);
      return words(cell);
    }),
  ]);
  const names = peers.map(({ name }) => name);
  return table(["", ...names], "l".repeat(names.length + 1), cells);
}

function words({ verdict, note, ns }: Cell): string {
  if (ns !== undefined) return `${ns < 100 ? ns.toFixed(1) : ns.toFixed(0)} ns`;
  if (verdict === "n/a") return note ?? "-";
  return note === undefined ? verdict : `${verdict}: ${note}`;
}

if (import.meta.main) {
  await rewrite<Comparison>("peers/callbacks/results.json", {
    "README.md": withSummary,
    "docs/comparison.md": withComparison,
  });
}
