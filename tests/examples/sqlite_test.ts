// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** SQLite by way of examples/sqlite.ts, and that example, run as a user runs it. */

import {
  assertEquals,
  assertGreater,
  assertMatch,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { Callback, dlopen } from "../../mod.ts";
import { isInstalled } from "../../tools/packages.ts";
import { collectUntil, run, testWith } from "../support/support.ts";

const library = "libsqlite3.so.0";
const file = new URL("../../examples/sqlite.ts", import.meta.url);

/** The example opens the library when it is imported, which only works where that is installed. */
const example = isInstalled(library) ? await import(file.href) as Example : undefined;
type Example = typeof import("../../examples/sqlite.ts");

/** Of SQLite what the example has no use for. */
const inspect = example && dlopen(library, {
  // sqlite3_stmt *sqlite3_next_stmt(sqlite3 *, sqlite3_stmt *)
  sqlite3_next_stmt: { parameters: ["pointer", "pointer"], result: "pointer" },
  // int sqlite3_get_autocommit(sqlite3 *)
  sqlite3_get_autocommit: { parameters: ["pointer"], result: "i32" },
  // sqlite3_mutex *sqlite3_db_mutex(sqlite3 *)
  sqlite3_db_mutex: { parameters: ["pointer"], result: "pointer" },
  // sqlite3_int64 sqlite3_memory_used(void)
  sqlite3_memory_used: { parameters: [], result: "i64" },
}).symbols;

const SQLITE_ERROR = 1;
const SQLITE_ABORT = 4;
const SQLITE_INTERRUPT = 9;
const SQLITE_CANTOPEN = 14;

/** The numbers from 1 on, without an end. */
const endless =
  "with recursive n (i) as (values (1) union all select i + 1 from n) select i from n";

const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** A timer of 1 ms, until it is disposed of. */
function ticker(tick: () => void): Disposable {
  const timer = setInterval(tick, 1);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

/** A test with a connection, which is closed afterwards. */
function test(
  name: string,
  use: (db: InstanceType<Example["Database"]>, example: Example) => void | Promise<void>,
): void {
  testWith(library, `sqlite: ${name}`, async () => {
    using db = new example!.Database(":memory:");
    await use(db, example!);
  });
}

/** That a connection has no statement left, no transaction, and computes. */
function assertUsable(db: InstanceType<Example["Database"]>): void {
  assertEquals(inspect!.sqlite3_next_stmt(db.handle, null), null);
  assertEquals(inspect!.sqlite3_get_autocommit(db.handle), 1);
  assertEquals([...db.rows("select 6 * 7")], [["42"]]);
}

test("rows gives text and null, as they are", (db, { quote }) => {
  const texts = ["it's", "''", '"', "Zoë 日本 🦊", "\u{feff}mark", "", "a\nb"];
  db.exec("create table t (text, number)");
  for (const text of texts) db.exec(`insert into t values (${quote(text)}, null)`);
  db.exec("insert into t values (null, 9223372036854775807), (1.5, -9223372036854775808)");
  assertEquals([...db.rows("select * from t order by rowid")], [
    ...texts.map((text) => [text, null]),
    [null, "9223372036854775807"],
    ["1.5", "-9223372036854775808"],
  ]);
  assertEquals([...db.rows("select 1, 2 where false; select 3; select 4")], [["3"], ["4"]]);
});

test("rows computes no more than is pulled, and break ends the query", (db, { sqlite }) => {
  let computed = 0;
  db.function("seen", (i) => {
    computed++;
    return i!;
  });
  const seen = `select seen(i) from (${endless})`;
  const rows = db.rows(seen);
  assertEquals(computed, 0);
  assertEquals(rows.next().value, ["1"]);
  assertEquals(rows.next().value, ["2"]);
  assertEquals(computed, 2);
  rows.return();
  assertEquals(sqlite.sqlite3_errcode(db.handle), SQLITE_ABORT);
  assertEquals(computed, 2);
  assertUsable(db);

  for (let round = 0; round < 100; round++) {
    for (const [i] of db.rows(seen)) {
      if (i === "3") break;
    }
    assertThrows(() => {
      for (const _ of db.rows(seen)) throw new RangeError("on purpose");
    }, RangeError);
  }
  assertEquals(computed, 2 + 100 * (3 + 1));
  assertUsable(db);
});

test("rows of two loops may be pulled in turns, and what is between them runs", (db) => {
  db.exec("create table t (i)");
  const ones = db.rows(endless);
  for (const [i] of db.rows(endless)) {
    assertEquals(ones.next().value, [i!]);
    db.exec(`insert into t values (${i})`);
    if (i === "50") break;
  }
  ones.return();
  assertEquals([...db.rows("select sum(i) from t")], [["1275"]]);
  assertUsable(db);
});

test("errors say what SQLite says", async (db, { Database, SqliteError }) => {
  const error = assertThrows(() => db.exec("selec 1"), SqliteError);
  assertEquals([error.message, error.code], ['near "selec": syntax error', SQLITE_ERROR]);
  assertThrows(() => [...db.rows("select * from nowhere")], SqliteError, "no such table: nowhere");
  await assertRejects(() => db.query("select f(1)"), SqliteError, "no such function: f");
  const cannotOpen = assertThrows(() => new Database("/nowhere/at all"), SqliteError);
  assertEquals(cannotOpen.code, SQLITE_CANTOPEN);
  assertUsable(db);
});

test("a function for SQL gets and gives each type of value", (db) => {
  const got: unknown[] = [];
  db.function("same", (...values) => {
    got.push(...values);
    return values[0]!;
  });
  const values = [
    ["'it''s 日本'", "it's 日本", "text"],
    ["''", "", "text"],
    ["char(65, 0, 66)", "A\0B", "text"],
    ["char(65279) || 'mark'", "\u{feff}mark", "text"],
    ["null", null, "null"],
    ["-5", -5, "integer"],
    ["9007199254740991", 9007199254740991, "integer"],
    ["9007199254740992", 9007199254740992n, "integer"],
    ["-9223372036854775807 - 1", -(2n ** 63n), "integer"],
    ["9223372036854775807", 2n ** 63n - 1n, "integer"],
    ["2.5", 2.5, "real"],
    ["9e999", Infinity, "real"],
    ["x'00ff'", Uint8Array.of(0, 255), "blob"],
    ["x''", new Uint8Array(0), "blob"],
  ] as const;
  for (const [sql, expected, type] of values) {
    const [row] = db.rows(`select same(${sql}) is ${sql}, typeof(same(${sql}))`);
    assertEquals([sql, ...row!], [sql, "1", type]);
    assertEquals(got.splice(0), [expected, expected]);
  }
  assertEquals([...db.rows("select same(1, 'two', null)")], [["1"]]);
  assertEquals(got.splice(0), [1, "two", null]);
});

test("a function for SQL that gives something else is an error", (db, { SqliteError }) => {
  for (const other of [undefined, true, {}, 2n ** 63n, -(2n ** 63n) - 1n]) {
    db.function("other", () => other as unknown as null);
    assertThrows(() => db.exec("select other()"), SqliteError, "SQL has no");
  }
  assertUsable(db);
});

test(
  "an async function for SQL fetches in the middle of queries at once",
  async (_, { Database }) => {
    let [requests, most] = [0, 0];
    const waiting: (() => void)[] = [];
    await using server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen() {} },
      async (to) => {
        // Nobody is answered before all four have asked.
        requests++;
        await new Promise<void>((resolve) => {
          most = Math.max(most, waiting.push(resolve));
          if (waiting.length === 4) { for (const go of waiting.splice(0)) go(); }
        });
        return new Response(new URL(to.url).pathname.toUpperCase());
      },
    );
    const results = await Promise.all(["a", "b", "c", "d"].map(async (name) => {
      using db = new Database(":memory:");
      db.function("fetched", async (path) => {
        const url = `http://127.0.0.1:${server.addr.port}/${path}`;
        return await (await fetch(url, { signal: db.signal ?? null })).text();
      });
      db.exec(
        `create table t (path); insert into t values ('${name}1'), ('${name}2'), ('${name}3')`,
      );
      await db.query("update t set path = fetched(path)");
      return [...db.rows("select group_concat(path) from t")][0]![0];
    }));
    assertEquals(results, ["/A1,/A2,/A3", "/B1,/B2,/B3", "/C1,/C2,/C3", "/D1,/D2,/D3"]);
    assertEquals([requests, most], [12, 4]);
  },
);

test("an error of a function for SQL is an error of the query", async (db, { SqliteError }) => {
  const thrown = new RangeError("nicht schön, it's wrong");
  const fail = (i: unknown) => {
    if (i === 3) throw thrown;
    return 0;
  };
  db.function("fails", fail);
  db.function("fails_later", async (i) => {
    await sleep(1);
    return fail(i);
  });
  db.function("fails_with_text", () => Promise.reject("no Error but a string"));
  db.function("fails_silently", () => {
    throw new Error("");
  });
  db.exec("create table t (i); insert into t values (1), (2), (3), (4)");
  for (const name of ["fails", "fails_later"]) {
    const error = await assertRejects(() => db.query(`update t set i = ${name}(i)`), SqliteError);
    assertEquals([error.message, error.code], [thrown.message, SQLITE_ERROR]);
    assertStrictEquals(error.cause, thrown);
    // The statement is undone, and with the next error the cause is another.
    assertEquals([...db.rows("select sum(i) from t")], [["10"]]);
    assertEquals((await assertRejects(() => db.query("x"), SqliteError)).cause, undefined);
    assertUsable(db);
  }
  assertStrictEquals(assertThrows(() => db.exec("select fails(3)"), SqliteError).cause, thrown);
  assertEquals(assertThrows(() => db.exec("x"), SqliteError).cause, undefined);
  await assertRejects(() => db.query("select fails_with_text()"), SqliteError, "but a string");
  assertThrows(() => db.exec("select fails_silently()"), SqliteError);
  assertUsable(db);
});

test("an async function for SQL is refused where nobody awaits it", async (db, { SqliteError }) => {
  const rejected: Promise<null>[] = [];
  db.function("later", () => {
    rejected.push(Promise.reject(new Error("nobody sees this")));
    return rejected.at(-1)!;
  });
  assertThrows(() => db.exec("select later()"), SqliteError, "later() is async: use it in query()");
  assertThrows(() => [...db.rows("select later()")], SqliteError, "later() is async");
  await sleep(1);
  assertUsable(db);
});

test("a signal ends a query in an async function, and nothing is stored", async (db) => {
  const reason = new Error("enough");
  const controller = new AbortController();
  const signals: unknown[] = [];
  db.function("never", () => {
    signals.push(db.signal?.aborted);
    setTimeout(() => controller.abort(reason), 5);
    return new Promise<null>(() => {});
  });
  db.exec("create table t (i); insert into t values (1), (2)");
  const { signal } = controller;
  const error = await assertRejects(() => db.query("update t set i = never()", { signal }));
  assertStrictEquals(error, reason);
  assertEquals(signals, [false]);
  assertEquals(db.signal, undefined);
  assertEquals(assertThrows(() => db.exec("x"), Error).cause, undefined);
  assertEquals([...db.rows("select sum(i) from t")], [["3"]]);
  assertUsable(db);

  // What is aborted beforehand does not begin.
  assertStrictEquals(await assertRejects(() => db.query("select never()", { signal })), reason);
  assertEquals(signals.length, 1);
});

test("a signal that a function for SQL aborts itself ends the query", async (db) => {
  const controller = new AbortController();
  db.function("aborts", () => {
    controller.abort();
    return new Promise<null>(() => {});
  });
  const { signal } = controller;
  await assertRejects(() => db.query("select aborts()", { signal }), DOMException, "aborted");
  assertUsable(db);
});

test("a query that has ended leaves nothing behind", async (db) => {
  let collected = 0;
  const registry = new FinalizationRegistry(() => collected++);
  db.function("watch", async () => {
    registry.register(db.signal!, undefined);
    await sleep(1);
    return null;
  });
  const { signal } = new AbortController();
  for (let i = 0; i < 5; i++) await db.query("select watch()", { signal });
  // The last one may still be in a register.
  await collectUntil(() => collected >= 4);
  assertGreater(collected, 3);
  assertEquals(signal.aborted, false);
});

test("a signal ends a query that never ends, whose timers run on", async (db, { sqlite }) => {
  let ticks = 0;
  using _ticking = ticker(() => ticks++);
  const start = performance.now();
  const signal = AbortSignal.timeout(300);
  const error = await assertRejects(() => db.query(`select max(i) from (${endless})`, { signal }));
  assertStrictEquals(error, signal.reason);
  assertEquals(sqlite.sqlite3_errcode(db.handle), SQLITE_INTERRUPT);
  assertGreater(ticks, 5);
  // Not much later than it is told to, even where others use the machine as well.
  assertGreater(3000, performance.now() - start);
  assertUsable(db);
});

test("a signal ends a query between its rows", async (db) => {
  const controller = new AbortController();
  let calls = 0;
  db.function("tenth", (i) => {
    if (++calls === 10) controller.abort();
    return i!;
  });
  const { signal } = controller;
  await assertRejects(() => db.query(`select tenth(i) from (${endless})`, { signal }));
  assertEquals(calls, 10);
  assertUsable(db);
});

test("query runs after the query before it", async (db) => {
  const order: string[] = [];
  db.function("slow", async (name, ms) => {
    await sleep(ms as number);
    order.push(name as string);
    return null;
  });
  const first = db.query("select slow('first', 20)");
  const failing = assertRejects(() => db.query("select slow('second', 5), nowhere"));
  const last = db.query("select slow('third', 0)");
  assertThrows(() => db.exec("select 1"), Error, "is running a query: await it");
  assertThrows(() => db.rows("select 1").next(), Error, "is running a query: await it");
  await Promise.all([first, failing, last]);
  assertEquals(order, ["first", "third"]);
  for (const _ of db.rows("select 1")) {
    await assertRejects(() => db.query("select 1"), Error, "in a loop over rows()");
  }
  assertUsable(db);
});

test(
  "a function for SQL may not use its own connection, nor end it half-way",
  async (_, example) => {
    const db = new example.Database(":memory:");
    db.function("uses", () => {
      db.exec("select 1");
      return null;
    });
    db.function("closes", () => {
      db.close();
      return 1;
    });
    assertThrows(() => db.exec("select uses()"), example.SqliteError, "is running a query");
    assertUsable(db);
    assertThrows(() => db.rows("select closes()").next(), Error, "has been closed");
    await sleep(0);
    assertThrows(() => db.exec("select 1"), Error, "has been closed");
  },
);

test("close ends what runs, and gives back all memory", async (_, { Database }) => {
  let [made, released] = [0, 0];
  const dispose = Callback.prototype[Symbol.dispose];
  using _counted = {
    [Symbol.dispose]: () => void (Callback.prototype[Symbol.dispose] = dispose),
  };
  Callback.prototype[Symbol.dispose] = function () {
    released++;
    dispose.call(this);
  };
  const round = async (): Promise<void> => {
    made += 3; // Each connection has a progress handler, and one a function.
    const db = new Database(":memory:");
    db.function("never", () => new Promise<null>(() => {}));
    const waiting = assertRejects(() => db.query("select never()"), Error, "has been closed");
    const computing = assertRejects(() => db.query(endless), Error, "has been closed");
    await sleep(1);
    db.close();
    db.close();
    await Promise.all([waiting, computing]);

    const looped = new Database(":memory:");
    const loop = looped.rows(endless);
    loop.next();
    // One that nobody can end any more is ended, too.
    looped.rows(endless).next();
    looped.close();
    assertThrows(() => loop.next(), Error, "has been closed");
    await sleep(0);
  };
  await round();
  const before = inspect!.sqlite3_memory_used();
  for (let i = 0; i < 5; i++) await round();
  assertEquals(inspect!.sqlite3_memory_used(), before);
  assertEquals(released, made);
});

test("a nonblocking query computes on another thread, and calls back on this", async (db) => {
  // No thread holds a lock of the connection, so it can go on on any.
  assertEquals(inspect!.sqlite3_db_mutex(db.handle), null);
  let [ticks, calls] = [0, 0];
  using _ticking = ticker(() => ticks++);
  db.function("letters", async (count) => {
    calls++;
    await sleep(1);
    return "a".repeat(count as number);
  });
  // One instruction that takes its time: no progress handler is asked in the middle of it.
  const slow = "select instr(letters(200000), letters(100000) || 'b')";
  const ticksIn = async (nonblocking: boolean): Promise<number> => {
    const [before, start] = [ticks, performance.now()];
    assertEquals(await db.query(slow, { nonblocking }), [["0"]]);
    assertGreater(performance.now() - start, 50);
    return ticks - before;
  };
  const whileAwaited = 10; // Some come while the functions await.
  assertGreater(whileAwaited, await ticksIn(false));
  assertGreater(await ticksIn(true), 2 * whileAwaited);
  assertEquals(calls, 4);
  assertUsable(db);
});

test("nonblocking queries keep their errors and their signals", async (db, example) => {
  const options = { nonblocking: true };
  db.function("fails", async () => {
    await sleep(1);
    throw new Error("on purpose");
  });
  await assertRejects(() => db.query("select fails()", options), example.SqliteError, "on purpose");
  await assertRejects(() => db.query("selec", options), example.SqliteError, "syntax error");
  assertUsable(db);

  const runaway = `select max(i) from (${endless})`;
  const signal = AbortSignal.timeout(100);
  const error = await assertRejects(() => db.query(runaway, { ...options, signal }));
  assertStrictEquals(error, signal.reason);
  assertEquals(example.sqlite.sqlite3_errcode(db.handle), SQLITE_INTERRUPT);
  assertUsable(db);

  // Many callbacks, each of which may be on another thread than the one before.
  db.function("same", async (i) => {
    await Promise.resolve();
    return i!;
  });
  const several = Array.from({ length: 3 }, async () => {
    using other = new example.Database(":memory:");
    other.function("same", async (i) => {
      await sleep(0);
      return i!;
    });
    return await other.query(`select sum(same(i)) from (${endless} limit 50)`, options);
  });
  assertEquals(await Promise.all(several), [[["1275"]], [["1275"]], [["1275"]]]);
});

testWith(
  library,
  "sqlite: the example shows what it says, with the permissions it says",
  async () => {
    const text = await Deno.readTextFile(file);
    const [, flags] = /^ \* deno run (.*) examples\/sqlite\.ts$/m.exec(text)!;
    const { code, stdout, stderr } = await run([
      ...["run", "--no-prompt", "--no-check"],
      ...flags!.split(" "),
      file.pathname,
    ]);
    assertEquals([code, stderr], [0, ""]);
    // The page in its header is this output, but for what is measured.
    const page = /```text\n([\s\S]*?) \* ```/.exec(text)![1]!.replace(/^ \* ?/gm, "");
    const unmeasured = (output: string): string => output.replace(/\d+ (?=ticks)|[\d.]+ s\b/g, "…");
    assertEquals(unmeasured(stdout), unmeasured(page));
    assertStringIncludes(stdout, "SQLITE_INTERRUPT");
    assertMatch(stdout, /[1-9]\d* ticks/);
  },
);
