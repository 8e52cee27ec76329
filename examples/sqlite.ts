// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * SQLite, whose callbacks suspend: rows that are pulled one by one, functions for SQL that `await`,
 * queries that give other tasks a turn and that an AbortSignal ends.
 *
 * ```sh
 * deno run --allow-ffi --allow-net=127.0.0.1 examples/sqlite.ts
 * ```
 *
 * The network is for the second part only, which fetches from a server of its own. It prints
 *
 * ```text
 * 1. Rows, one by one
 *    Rock 'n' roll at 30°: 1989
 *    Undated: no year
 *    the first of all numbers: 1, 2, 3
 *    and then, the number of books: 2
 *
 * 2. A function for SQL that fetches
 *    five queries at once, of two fetches each: 10, 10, 10, 10, 10; 0.2 s
 *    SqliteError: There is no pie: HTTP status 404
 *    and without the pie: 10
 *
 * 3. A query that never ends
 *    TimeoutError: The operation was aborted due to timeout
 *    result code 9 (SQLITE_INTERRUPT) after 0.5 s
 *    49 ticks of a timer of 5 ms meanwhile
 *    and then: still here
 *
 * 4. The same on another thread
 *    SQLite is at 250000 after 0.1 s
 *    SQLite is at 500000 after 0.2 s
 *    SQLite is at 750000 after 0.2 s
 *    the largest is 750000; 41 ticks of a timer of 5 ms meanwhile
 * ```
 *
 * @module
 */

import { setImmediate } from "node:timers";
import { Callback, dlopen, PointerView } from "fringe";

const library = "libsqlite3.so.0";

/** What SQLite does with each row: `int (*row)(void *, int count, char **values, char **names)`. */
const row = {
  callback: {
    parameters: ["pointer", "i32", "pointer", "pointer"],
    result: "i32",
    // Any answer but 0 makes sqlite3_exec clean up and return SQLITE_ABORT.
    stop: 1,
  },
} as const;

/** What may call back is called by fringe. Each declaration is beside its C prototype. */
export const sqlite = dlopen(library, {
  // int sqlite3_open_v2(const char *filename, sqlite3 **db, int flags, const char *vfs)
  sqlite3_open_v2: { parameters: ["cstring", "buffer", "i32", "cstring"], result: "i32" },
  // int sqlite3_close(sqlite3 *)
  sqlite3_close: { parameters: ["pointer"], result: "i32" },
  // int sqlite3_exec(sqlite3 *, const char *sql, int (*row)(…), void *context, char **message)
  sqlite3_exec: { parameters: ["pointer", "cstring", row, "pointer", "pointer"], result: "i32" },
  sqlite3_exec_nonblocking: {
    name: "sqlite3_exec",
    parameters: ["pointer", "cstring", row, "pointer", "pointer"],
    result: "i32",
    nonblocking: true,
  },
  // int sqlite3_create_function(sqlite3 *, const char *name, int count, int encoding,
  //     void *data, void (*function)(sqlite3_context *, int count, sqlite3_value **values),
  //     void (*step)(…), void (*final)(…))
  sqlite3_create_function: {
    parameters: [
      ...["pointer", "cstring", "i32", "i32", "pointer"] as const,
      ...["function", "function", "function"] as const,
    ],
    result: "i32",
  },
  // void sqlite3_progress_handler(sqlite3 *, int instructions, int (*handler)(void *), void *data)
  sqlite3_progress_handler: {
    parameters: ["pointer", "i32", "function", "pointer"],
    result: "void",
  },
  // const char *sqlite3_errmsg(sqlite3 *)
  sqlite3_errmsg: { parameters: ["pointer"], result: "cstring" },
  // int sqlite3_errcode(sqlite3 *)
  sqlite3_errcode: { parameters: ["pointer"], result: "i32" },
  // int sqlite3_threadsafe(void)
  sqlite3_threadsafe: { parameters: [], result: "i32" },
}).symbols;

/**
 * What never calls back, and is called for each value: V8 compiles these calls of `Deno.dlopen` in
 * line, so that they need no stack of their own.
 */
const direct = Deno.dlopen(library, {
  // int sqlite3_value_type(sqlite3_value *), and what gives the value itself
  sqlite3_value_type: { parameters: ["pointer"], result: "i32" },
  sqlite3_value_int64: { parameters: ["pointer"], result: "i64" },
  sqlite3_value_double: { parameters: ["pointer"], result: "f64" },
  sqlite3_value_text: { parameters: ["pointer"], result: "pointer" },
  sqlite3_value_blob: { parameters: ["pointer"], result: "pointer" },
  sqlite3_value_bytes: { parameters: ["pointer"], result: "i32" },
  // void sqlite3_result_null(sqlite3_context *), and with what is the function's result
  sqlite3_result_null: { parameters: ["pointer"], result: "void" },
  sqlite3_result_int64: { parameters: ["pointer", "i64"], result: "void" },
  sqlite3_result_double: { parameters: ["pointer", "f64"], result: "void" },
  // void sqlite3_result_text(sqlite3_context *, const char *, int bytes, void (*free)(void *))
  sqlite3_result_text: { parameters: ["pointer", "buffer", "i32", "isize"], result: "void" },
  sqlite3_result_blob: { parameters: ["pointer", "buffer", "i32", "isize"], result: "void" },
  // void sqlite3_result_error(sqlite3_context *, const char *, int bytes)
  sqlite3_result_error: { parameters: ["pointer", "buffer", "i32"], result: "void" },
}).symbols;

const SQLITE_OK = 0;
const SQLITE_OPEN_READWRITE = 0x2;
const SQLITE_OPEN_CREATE = 0x4;
const SQLITE_OPEN_URI = 0x40;
const SQLITE_OPEN_NOMUTEX = 0x8000;
const SQLITE_UTF8 = 1;
const SQLITE_TRANSIENT = -1n;
const Type = { integer: 1, float: 2, text: 3, blob: 4, null: 5 } as const;

/** For how long, in milliseconds, a query computes before other tasks get a turn. */
const SLICE = 10;

/** After how many instructions of its virtual machine SQLite asks whether to go on. */
const INSTRUCTIONS = 1_000;

/** The same where nobody waits for it, and where asking takes longer, on another thread. */
const INSTRUCTIONS_ELSEWHERE = 100_000;

/** A row as sqlite3_exec gives it: the values as text, or null. */
export type Row = (string | null)[];

/** A value in SQL. Integers are numbers, or bigints where a number would not be exact. */
export type Value = null | number | bigint | string | Uint8Array<ArrayBuffer>;

/** A function for SQL. */
export type SqlFunction = (...args: Value[]) => Value | PromiseLike<Value>;

/** What SQLite says. `cause` is what a function for SQL has thrown, if one has. */
export class SqliteError extends Error {
  override name = "SqliteError";
  /** SQLite's result code. */
  readonly code: number;

  constructor(code: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** How a query runs. */
export interface QueryOptions {
  /** Ends the query; the Promise is rejected with `signal.reason`. */
  readonly signal?: AbortSignal;
  /** Computes on another thread, so that the event loop goes on meanwhile. */
  readonly nonblocking?: boolean;
}

/** A call of sqlite3_exec whose rows are pulled. */
type Rows = ReturnType<typeof sqlite.sqlite3_exec.calls>;

/** A row that waits. */
type RowCall = Rows extends Iterable<infer Call> ? Call : never;

/** The query that a connection runs. */
interface Running {
  readonly signal: AbortSignal;
  /** When other tasks get their next turn. */
  turn: number;
  /** Stops waiting for an async function for SQL. */
  stopWaiting?: (reason: unknown) => void;
}

/** A connection. One thing at a time runs on it; open several to run several queries at once. */
export class Database implements Disposable {
  /** The `sqlite3 *`. */
  readonly handle: Deno.PointerObject;

  readonly #callbacks: Disposable[] = [];
  readonly #progress: Callback;
  /**
   * Loops over rows that wait to be pulled. They are held, so that a loop that was dropped is not
   * ended by the garbage collector while a query uses the connection.
   */
  readonly #loops = new Set<Rows>();
  readonly #closing = new AbortController();
  /** Settles when the last query that has been asked for has ended. */
  #queue: Promise<unknown> = Promise.resolve();
  /** How many queries wait or run, and, for as long as SQLite computes, loops and `exec`. */
  #active = 0;
  #running: Running | undefined;
  /** What a function for SQL has thrown. */
  #thrown: unknown;

  /** Opens a database, which is made if it is not there; `":memory:"` is one without a file. */
  constructor(filename: string) {
    // A serialized connection, SQLite's default, holds a mutex while it calls back. The mutex
    // belongs to the thread, and a nonblocking query may go on on another one after a callback:
    // there it would wait for the mutex for ever. Without one ("multi-thread" mode) a connection
    // may go from thread to thread, as long as two never use it at once. Here they do not: queries
    // wait for each other, and whatever else would use the connection meanwhile is refused. What
    // all connections share has mutexes of its own, which are never held while SQLite calls back;
    // only a library that was built without threads lacks them.
    if (sqlite.sqlite3_threadsafe() === 0) throw new Error("SQLite was built without threads");
    const flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_URI |
      SQLITE_OPEN_NOMUTEX;
    const out = new BigUint64Array(1);
    const code = sqlite.sqlite3_open_v2(filename, out, flags, null);
    const handle = PointerView.of(out).getPointer();
    if (handle === null) throw new SqliteError(code, "Cannot allocate a connection");
    this.handle = handle;
    this.#progress = this.#keep(
      new Callback({ parameters: ["pointer"], result: "i32" }, () => this.#goOn()),
    );
    try {
      this.#check(code);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /**
   * Ends loops over rows, tells queries to end, and closes the connection: at once, or, where
   * queries are running, after the last of them.
   */
  close(): void {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort(new Error("The connection has been closed"));
    for (const calls of this.#loops) calls.return(0);
    if (this.#active === 0) this.#free();
    else this.#queue = this.#queue.then(() => this.#free());
  }

  /** The same as `close`. */
  [Symbol.dispose](): void {
    this.close();
  }

  #free(): void {
    // SQLite must know no callback any more before they are closed.
    const code = sqlite.sqlite3_close(this.handle);
    if (code !== SQLITE_OK) throw new SqliteError(code, "The connection is in use");
    for (const callback of this.#callbacks) callback[Symbol.dispose]();
  }

  /** Runs SQL whose rows, if there are any, nobody needs. */
  exec(sql: string): void {
    this.#checkIdle();
    this.#active++;
    try {
      this.#check(sqlite.sqlite3_exec(this.handle, sql, () => 0, null, null));
    } finally {
      this.#active--;
    }
  }

  /**
   * Runs SQL lazily: SQLite computes a row when it is pulled. `break` ends the query; SQLite cleans
   * up, and the connection can be used for something else.
   */
  *rows(sql: string): globalThis.Generator<Row, void> {
    this.#checkIdle();
    using calls = sqlite.sqlite3_exec.calls(this.handle, sql, null, null);
    for (let call; (call = this.#pull(calls)) !== undefined;) {
      call.reply(0);
      const [, count, values] = call.args;
      this.#loops.add(calls);
      try {
        yield readRow(count, values!);
      } finally {
        this.#loops.delete(calls);
      }
    }
  }

  /** Lets SQLite compute the next row; undefined: there is none. */
  #pull(calls: Rows): RowCall | undefined {
    this.#checkIdle();
    this.#active++;
    try {
      const { done, value } = calls.next();
      this.#closing.signal.throwIfAborted();
      if (done) this.#check(value);
      return done ? undefined : value;
    } finally {
      this.#active--;
    }
  }

  /**
   * Runs SQL while other tasks have their turns, after any query before it. Functions for SQL may
   * be async here.
   */
  async query(sql: string, options: QueryOptions = {}): Promise<Row[]> {
    this.#active++;
    const rows = this.#queue.then(() => this.#run(sql, options));
    this.#queue = rows.catch(() => {});
    try {
      return await rows;
    } finally {
      this.#active--;
    }
  }

  async #run(sql: string, { signal, nonblocking = false }: QueryOptions): Promise<Row[]> {
    const closing = this.#closing.signal;
    const running: Running = {
      signal: AbortSignal.any(signal === undefined ? [closing] : [closing, signal]),
      turn: nonblocking ? Infinity : performance.now() + SLICE,
    };
    running.signal.throwIfAborted();
    if (this.#loops.size > 0) {
      throw new Error(
        "The connection is in a loop over rows(): end it, or open another connection",
      );
    }
    const rows: Row[] = [];
    const keep = (_: unknown, count: number, values: Deno.PointerValue): number => {
      rows.push(readRow(count, values!));
      return running.signal.aborted ? 1 : 0;
    };
    // The signal is not passed on to `async()`, which would end C wherever it is. In a function for
    // SQL, a void callback, there is no answer that says so: without a `stop`, SQLite's frames
    // would be unwound, and what they hold (memory, a transaction, in other modes the mutex) would
    // stay held; with one, SQLite would go on with NULL for the result, and might store it. So each
    // callback looks at the signal itself and says in SQLite's own terms that it is over: 1 in
    // place of 0, or sqlite3_result_error().
    const exec = nonblocking ? sqlite.sqlite3_exec_nonblocking : sqlite.sqlite3_exec;
    const abort = (): void => running.stopWaiting?.(running.signal.reason);
    running.signal.addEventListener("abort", abort);
    this.#running = running;
    this.#askAfter(nonblocking ? INSTRUCTIONS_ELSEWHERE : INSTRUCTIONS);
    try {
      const code = await exec.async(this.handle, sql, keep, null, null);
      if (code !== SQLITE_OK) running.signal.throwIfAborted();
      this.#check(code);
      return rows;
    } finally {
      this.#askAfter(0);
      this.#running = undefined;
      this.#thrown = undefined;
      running.signal.removeEventListener("abort", abort);
    }
  }

  /** The signal of the query that runs, for a function for SQL that can make use of it. */
  get signal(): AbortSignal | undefined {
    return this.#running?.signal;
  }

  #askAfter(instructions: number): void {
    sqlite.sqlite3_progress_handler(this.handle, instructions, this.#progress, null);
  }

  /** Answers the progress handler: 0 is to go on. */
  #goOn(): number | Promise<number> {
    const { signal, turn } = this.#running!;
    if (signal.aborted) return 1;
    return performance.now() < turn ? 0 : this.#takeTurn(this.#running!);
  }

  async #takeTurn(running: Running): Promise<number> {
    await new Promise<void>((resolve) => void setImmediate(resolve));
    running.turn = performance.now() + SLICE;
    return running.signal.aborted ? 1 : 0;
  }

  /** Makes a function known to SQL, with any number of arguments. It may be async for `query`. */
  function(name: string, f: SqlFunction): void {
    this.#checkIdle();
    const callback = this.#keep(
      new Callback(
        { parameters: ["pointer", "i32", "pointer"], result: "void" },
        (context, count, values) => this.#answer(name, f, context!, count, values),
      ),
    );
    const anyNumber = -1;
    this.#check(sqlite.sqlite3_create_function(
      ...[this.handle, name, anyNumber, SQLITE_UTF8, null] as const,
      ...[callback, null, null] as const,
    ));
  }

  /** Calls a function for SQL. It never throws: SQLite is told what went wrong, and cleans up. */
  #answer(
    name: string,
    f: SqlFunction,
    context: Deno.PointerObject,
    count: number,
    values: Deno.PointerValue,
  ): void | Promise<void> {
    try {
      const result = f(...readArguments(count, values));
      if (!isPromise(result)) return giveResult(context, result);
      if (this.#running !== undefined) return this.#await(this.#running, context, result);
      Promise.resolve(result).catch(() => {});
      throw new TypeError(`${name}() is async: use it in query()`);
    } catch (error) {
      this.#giveError(context, error);
    }
  }

  async #await(
    running: Running,
    context: Deno.PointerObject,
    result: PromiseLike<Value>,
  ): Promise<void> {
    try {
      const { promise: aborted, reject } = Promise.withResolvers<never>();
      running.stopWaiting = reject;
      if (running.signal.aborted) reject(running.signal.reason);
      giveResult(context, await Promise.race([result, aborted]));
    } catch (error) {
      this.#giveError(context, error);
    }
  }

  #giveError(context: Deno.PointerObject, error: unknown): void {
    this.#thrown = error;
    const message = encode(error instanceof Error ? error.message : String(error));
    direct.sqlite3_result_error(context, message, message.length - 1);
  }

  #check(code: number): void {
    const thrown = this.#thrown;
    this.#thrown = undefined;
    if (code === SQLITE_OK) return;
    const options = thrown === undefined ? {} : { cause: thrown };
    throw new SqliteError(code, sqlite.sqlite3_errmsg(this.handle)!, options);
  }

  #checkIdle(): void {
    this.#closing.signal.throwIfAborted();
    if (this.#active === 0) return;
    throw new Error("The connection is running a query: await it, or open another connection");
  }

  #keep<T extends Disposable>(callback: T): T {
    this.#callbacks.push(callback);
    return callback;
  }
}

const encoder = new TextEncoder();
// A mark of the byte order is part of the text.
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** UTF-8 with a zero behind it, so that there is an address even for what is empty. */
function encode(text: string): Uint8Array<ArrayBuffer> {
  return encoder.encode(`${text}\0`);
}

/** A row of sqlite3_exec: `char **values`. */
function readRow(count: number, values: Deno.PointerObject): Row {
  const pointers = new PointerView(values);
  const row: Row = [];
  for (let i = 0; i < count; i++) {
    const text = pointers.getPointer(8 * i);
    row.push(text === null ? null : new PointerView(text).getCString());
  }
  return row;
}

/** The arguments of a function for SQL: `sqlite3_value **values`. */
function readArguments(count: number, values: Deno.PointerValue): Value[] {
  const args: Value[] = [];
  for (let i = 0; i < count; i++) {
    args.push(readValue(new PointerView(values!).getPointer(8 * i)!));
  }
  return args;
}

function readValue(pointer: Deno.PointerObject): Value {
  switch (direct.sqlite3_value_type(pointer)) {
    case Type.integer: {
      const integer = direct.sqlite3_value_int64(pointer);
      const number = Number(integer);
      return Number.isSafeInteger(number) ? number : integer;
    }
    case Type.float:
      return direct.sqlite3_value_double(pointer);
    case Type.text: {
      // In this order: asking for the text may convert it.
      const text = direct.sqlite3_value_text(pointer);
      return decoder.decode(readBytes(text, direct.sqlite3_value_bytes(pointer)));
    }
    case Type.blob: {
      const blob = direct.sqlite3_value_blob(pointer);
      return readBytes(blob, direct.sqlite3_value_bytes(pointer));
    }
    default:
      return null;
  }
}

/** Copies what SQLite lends. Nothing has no address. */
function readBytes(pointer: Deno.PointerValue, length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  if (pointer !== null) new PointerView(pointer).copyInto(bytes);
  return bytes;
}

/** Gives SQLite the result of a function. */
function giveResult(context: Deno.PointerObject, result: Value): void {
  if (result === null) {
    direct.sqlite3_result_null(context);
  } else if (typeof result === "number" && !Number.isSafeInteger(result)) {
    direct.sqlite3_result_double(context, result);
  } else if (typeof result === "number" || typeof result === "bigint") {
    const integer = BigInt(result);
    if (BigInt.asIntN(64, integer) !== integer) {
      throw new RangeError(`SQL has no integer ${result}`);
    }
    direct.sqlite3_result_int64(context, integer);
  } else if (typeof result === "string") {
    const text = encode(result);
    direct.sqlite3_result_text(context, text, text.length - 1, SQLITE_TRANSIENT);
  } else if (result instanceof Uint8Array) {
    const blob = result.length > 0 ? result : new Uint8Array(1);
    direct.sqlite3_result_blob(context, blob, result.length, SQLITE_TRANSIENT);
  } else {
    throw new TypeError(`SQL has no ${typeof result}: give null, a number, a string or bytes`);
  }
}

function isPromise(result: Value | PromiseLike<Value>): result is PromiseLike<Value> {
  return typeof result === "object" && result !== null && "then" in result;
}

/** A string as SQL writes it. sqlite3_exec binds no parameters, so values are part of the text. */
export function quote(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** The numbers from 1 on. SQLite ends only where a condition follows, or when it is told to. */
const endless =
  "with recursive n (i) as (values (1) union all select i + 1 from n) select i from n";

/** Counts how often a timer of 5 ms fires until it is disposed of. */
function startTicking(): Disposable & { count: number } {
  const timer = setInterval(() => ticking.count++, 5);
  const ticking = { count: 0, [Symbol.dispose]: () => clearInterval(timer) };
  return ticking;
}

function since(start: number): string {
  return `${((performance.now() - start) / 1000).toFixed(1)} s`;
}

function showRows(): void {
  using db = new Database(":memory:");
  db.exec(`create table books (title, year);
    insert into books values (${quote("Rock 'n' roll at 30°")}, 1989), ('Undated', null)`);
  console.log("1. Rows, one by one");
  for (const [title, year] of db.rows("select * from books")) {
    console.log(`   ${title}: ${year ?? "no year"}`);
  }
  const first: Row[] = [];
  for (const row of db.rows(endless)) {
    if (first.push(row) === 3) break;
  }
  console.log(`   the first of all numbers: ${first.join(", ")}`);
  console.log(`   and then, the number of books: ${[...db.rows("select count(*) from books")]}`);
}

async function showFunction(): Promise<void> {
  console.log("\n2. A function for SQL that fetches");
  const prices: Record<string, number> = { tea: 3, cake: 4 };
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (to) => {
    await new Promise((resolve) => setTimeout(resolve, 100));
    const price = prices[new URL(to.url).pathname.slice(1)];
    return price === undefined ? new Response(null, { status: 404 }) : Response.json(price);
  });
  const connect = (): Database => {
    const db = new Database(":memory:");
    db.function("price", async (item) => {
      const url = `http://127.0.0.1:${server.addr.port}/${item}`;
      const response = await fetch(url, { signal: db.signal ?? null });
      if (response.ok) return await response.json();
      await response.body?.cancel();
      throw new Error(`There is no ${item}: HTTP status ${response.status}`);
    });
    db.exec("create table orders (item, count); insert into orders values ('tea', 2), ('cake', 1)");
    return db;
  };
  const total = "select sum(count * price(item)) from orders";
  const start = performance.now();
  const totals = await Promise.all(Array.from({ length: 5 }, async () => {
    using db = connect();
    return (await db.query(total))[0]![0];
  }));
  console.log(
    `   five queries at once, of two fetches each: ${totals.join(", ")}; ${since(start)}`,
  );

  using db = connect();
  db.exec("insert into orders values ('pie', 1)");
  try {
    await db.query(total);
  } catch (error) {
    console.log(`   ${error}`);
  }
  const [left] = await db.query(`${total} where item <> 'pie'`);
  console.log(`   and without the pie: ${left}`);
}

async function showProgress(): Promise<void> {
  console.log("\n3. A query that never ends");
  using db = new Database(":memory:");
  using ticking = startTicking();
  const start = performance.now();
  try {
    await db.query(`select max(i) from (${endless})`, { signal: AbortSignal.timeout(500) });
  } catch (error) {
    console.log(`   ${error}`);
  }
  const code = sqlite.sqlite3_errcode(db.handle);
  console.log(`   result code ${code} (SQLITE_INTERRUPT) after ${since(start)}`);
  console.log(`   ${ticking.count} ticks of a timer of 5 ms meanwhile`);
  console.log(`   and then: ${await db.query("select 'still here'")}`);
}

async function showNonblocking(): Promise<void> {
  console.log("\n4. The same on another thread");
  using db = new Database(":memory:");
  const start = performance.now();
  db.function("report", (i) => {
    console.log(`   SQLite is at ${i} after ${since(start)}`);
    return i!;
  });
  using ticking = startTicking();
  const [largest] = await db.query(
    `select max(case when i % 250000 = 0 then report(i) end) from (${endless} limit 750000)`,
    { nonblocking: true },
  );
  console.log(`   the largest is ${largest}; ${ticking.count} ticks of a timer of 5 ms meanwhile`);
}

if (import.meta.main) {
  showRows();
  await showFunction();
  await showProgress();
  await showNonblocking();
}
