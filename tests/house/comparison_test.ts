// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** How the comparison with others gets into docs/comparison.md, and a part of it into README.md. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { type Comparison, withComparison, withSummary } from "../../tools/comparison.ts";
import { text } from "../support/repository.ts";

const page = `before
<!-- comparison: begin, by tools/comparison.ts -->
old
<!-- comparison: end -->
after
`;

const comparison: Comparison = {
  cpu: "a processor",
  versions: { Deno: "1.2.3", koffi: "4.5.6" },
  peers: [{ id: "a", name: "Peer A" }, { id: "b", name: "b" }],
  rows: [
    {
      id: "first",
      text: "first",
      cells: { b: { verdict: "no", note: "a|b", seen: "not for readers" }, a: { verdict: "yes" } },
    },
    {
      id: "ns",
      text: "the second",
      cells: { a: { verdict: "yes", ns: 12.34 }, b: { verdict: "n/a" } },
    },
    {
      id: "third",
      text: "third",
      cells: { a: { verdict: "partly", note: "or" }, b: { verdict: "n/a", note: "Linux" } },
    },
  ],
};

Deno.test("withComparison() puts every cell into its place, and leaves the rest alone", () => {
  const expected = `before
<!-- comparison: begin, by tools/comparison.ts -->

|            | Peer A     | b        |
| ---------- | ---------- | -------- |
| first      | yes        | no: a\\|b |
| the second | 12.3 ns    | -        |
| third      | partly: or | Linux    |

With Deno 1.2.3, koffi 4.5.6, on a processor.

<!-- comparison: end -->
after
`;
  assertEquals(withComparison(page, comparison), expected);
  assertEquals(withComparison(expected, comparison), expected);
});

Deno.test("withComparison() refuses a page without the markers, and a row without a cell", () => {
  assertThrows(() => withComparison("before\nafter\n", comparison), Error, "must contain <!--");
  const rows = [{ id: "first", text: "first", cells: { a: { verdict: "yes" as const } } }];
  assertThrows(() => withComparison(page, { ...comparison, rows }), Error, "b has no cell first");
});

Deno.test("withSummary() takes the rows and peers that it is asked for, in that order", () => {
  const expected = `before
<!-- comparison: begin, by tools/comparison.ts -->

|       | b        | Peer A     |
| ----- | -------- | ---------- |
| third | Linux    | partly: or |
| first | no: a\\|b | yes        |

<!-- comparison: end -->
after
`;
  const shown = { rows: ["third", "first"], peers: ["b", "a"] };
  assertEquals(withSummary(page, comparison, shown), expected);
  assertThrows(
    () => withSummary(page, comparison, { ...shown, rows: ["fourth"] }),
    Error,
    "no row or peer fourth",
  );
});

const found: Comparison = JSON.parse(text("bench/peers/callbacks/results.json"));

Deno.test("the comparison has a cell for each peer in each row, and no other", () => {
  const { peers, rows } = found;
  assert(peers.length > 0 && rows.length > 0);
  const ids = peers.map(({ id }) => id).sort();
  for (const { id, cells } of rows) assertEquals(Object.keys(cells).sort(), ids, id);
});

Deno.test("docs/comparison.md and README.md have what the peers were found to do", () => {
  const whole = text("docs/comparison.md");
  const message = "Run tools/comparison.ts";
  assertEquals(withComparison(whole, found).split("\n"), whole.split("\n"), message);
  const readme = text("README.md");
  assertEquals(withSummary(readme, found).split("\n"), readme.split("\n"), message);
});
