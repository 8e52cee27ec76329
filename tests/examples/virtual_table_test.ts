// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** Tables of SQLite that are TypeScript, by way of examples/virtual_table.ts, and that example. */

import { assertEquals, assertRejects } from "@std/assert";
import { isInstalled } from "../../tools/packages.ts";
import { run, testWith } from "../support/support.ts";

const library = "libsqlite3.so.0";
const file = new URL("../../examples/virtual_table.ts", import.meta.url);

/** The example opens the library when it is imported, which only works where that is installed. */
const example = isInstalled(library) ? await import(file.href) as Example : undefined;
type Example = typeof import("../../examples/virtual_table.ts");

const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** A test with a database that has a table of the numbers below five, which take time to come. */
function test(
  name: string,
  use: (db: InstanceType<Example["Database"]>, seen: string[]) => Promise<void>,
): void {
  testWith(library, `virtual table: ${name}`, async () => {
    using db = new example!.Database();
    const seen: string[] = [];
    db.table("five", ["n"], async function* () {
      seen.push("begun");
      try {
        for (let n = 0; n < 5; n++) {
          await sleep(1);
          yield [n];
        }
      } finally {
        seen.push("ended");
      }
    });
    await use(db, seen);
  });
}

const all = (rows: AsyncIterable<(string | null)[]>): Promise<(string | null)[][]> =>
  Array.fromAsync(rows);

test("it is joined with itself, and each reading is one of its own", async (db, seen) => {
  const sql = "select count(*), sum(a.n * b.n) from five a join five b where a.n < b.n";
  assertEquals(await all(db.query(sql)), [["10", "35.0"]]);
  // The outer one once, the inner one for each row of it.
  assertEquals(seen.filter((what) => what === "begun").length, 6);
  assertEquals(seen.filter((what) => what === "ended").length, 6);
});

test("what a generator throws is what the query throws, and the next one works", async (db) => {
  const error = new Error("on purpose");
  db.table("broken", ["n"], async function* () {
    yield [1];
    await sleep(1);
    throw error;
  });
  const caught = await assertRejects(() => all(db.query("select sum(n) from broken")));
  assertEquals(caught, error);
  assertEquals(await all(db.query("select max(n) from five")), [["4.0"]]);
});

test("a loop that is left ends the generator", async (db, seen) => {
  for await (const [n] of db.query("select n from five")) if (n === "1.0") break;
  assertEquals(seen, ["begun", "ended"]);
});

test("a signal ends a query, whose cursors are closed", async (db, seen) => {
  const controller = new AbortController();
  const reason = new Error("enough");
  const rows = all(db.query("select sum(n) from five", controller.signal));
  setTimeout(() => controller.abort(reason), 2);
  assertEquals(await assertRejects(() => rows), reason);
  await sleep(0);
  assertEquals(seen, ["begun", "ended"]);
  assertEquals(await all(db.query("select count(*) from five")), [["5"]]);
});

test("SQLite's own errors come out", async (db) => {
  await assertRejects(() => all(db.query("select absent from five")), Error, "no such column");
});

testWith(library, "examples/virtual_table.ts runs with --allow-ffi alone", async () => {
  const ended = await run(["run", "--quiet", "--no-prompt", "--allow-ffi", file.pathname]);
  const shown = (await Deno.readTextFile(file)).split("```text\n")[1]!.split(" * ```")[0]!
    .replaceAll(/^ \* ?/gm, "");
  assertEquals([ended.stdout, ended.stderr, ended.code], [shown, "", 0]);
});
