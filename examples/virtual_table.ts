// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * A table of SQLite whose rows an async generator makes: SQL that waits for a network, a file, a
 * timer. SQLite gets a struct of function pointers (`sqlite3_module`), and each of them may await.
 *
 * ```sh
 * deno run --allow-ffi examples/virtual_table.ts
 * ```
 *
 * It prints
 *
 * ```text
 * visits by page, as they come in
 *    /docs 3 215
 *    / 2 40
 * the first three of endless numbers, and their squares
 *    1 1
 *    2 4
 *    3 9
 * the generator was told that it is over
 * a query that is given up
 *    TimeoutError: The operation was aborted due to timeout
 * the generator was told that it is over
 * ```
 *
 * The table of functions, and the struct, are made of <sqlite3.h> by `deno task bindings`.
 *
 * @module
 */

import {
  Callback,
  type CallbackDefinition,
  dlopen,
  type HandlerParameters,
  PointerView,
} from "fringe";
import * as sqlite3 from "./bindings/sqlite3.ts";

const { SQLITE_DONE, SQLITE_ERROR, SQLITE_INTERRUPT, SQLITE_OK, SQLITE_ROW } = sqlite3;

const sqlite = dlopen("libsqlite3.so.0", sqlite3.symbols).symbols;

/**
 * What SQLite calls by the pointers of a `sqlite3_module`; a table may leave some NULL. These are
 * the definitions for it, to which `#callback` adds a `stop`.
 */
const functions = sqlite3.sqlite3_module_functions;
type Functions = typeof functions;

/** In place of a function that releases a text: SQLite copies it at once. */
const SQLITE_TRANSIENT = PointerView.at(2n ** 64n - 1n).pointer;

type Cell = string | number;
type Rows = AsyncIterable<readonly Cell[]>;

/** One reading of a table. */
interface Reading {
  readonly memory: Disposable;
  rows?: AsyncIterator<readonly Cell[]>;
  row?: readonly Cell[] | undefined;
  number: number;
}

/** A database in memory, with tables of which async generators make the rows. */
export class Database implements Disposable {
  readonly #handle: Deno.PointerObject;
  readonly #callbacks = new DisposableStack();
  readonly #modules: Uint8Array[] = [];
  /** What a generator has thrown: SQLite knows only that something has. */
  #thrown: unknown;

  constructor() {
    const handle = new Uint8Array(8);
    const code = sqlite.sqlite3_open(":memory:", handle);
    this.#handle = PointerView.of(handle).getPointer()!;
    this.#check(code);
  }

  /** Has `select … from NAME` read what `rows` yields. */
  table(name: string, columns: readonly string[], rows: () => Rows): void {
    const readings = new Map<bigint, Reading>();
    const of = (cursor: Deno.PointerValue) => readings.get(new PointerView(cursor!).address)!;
    const tables = new Map<bigint, Disposable>();

    const next = async (reading: Reading): Promise<number> => {
      const { done, value } = await reading.rows!.next();
      reading.row = done ? undefined : value;
      reading.number++;
      return SQLITE_OK;
    };
    const close = (cursor: Deno.PointerValue): Reading => {
      const reading = of(cursor);
      readings.delete(new PointerView(cursor!).address);
      reading.memory[Symbol.dispose]();
      return reading;
    };

    const memory = new Uint8Array(sqlite3.sqlite3_module.size);
    sqlite3.sqlite3_module.write(memory, {
      xConnect: this.#callback("xConnect", (db, _data, _count, _words, into) => {
        const table = PointerView.allocate(sqlite3.sqlite3_vtab.size);
        tables.set(table.address, table);
        new PointerView(into!).setPointer(0, table.pointer);
        return sqlite.sqlite3_declare_vtab(db, `create table x (${columns.join(", ")})`);
      }),
      xBestIndex: this.#callback("xBestIndex", () => SQLITE_OK),
      xDisconnect: this.#callback("xDisconnect", (table) => {
        tables.get(new PointerView(table!).address)![Symbol.dispose]();
        return SQLITE_OK;
      }),
      xOpen: this.#callback("xOpen", (_table, into) => {
        const memory = PointerView.allocate(sqlite3.sqlite3_vtab_cursor.size);
        readings.set(memory.address, { memory, number: 0 });
        new PointerView(into!).setPointer(0, memory.pointer);
        return SQLITE_OK;
      }),
      xClose: this.#callback("xClose", async (cursor) => {
        await close(cursor).rows?.return?.();
        return SQLITE_OK;
      }, (cursor) => {
        // SQLite closes the cursor of a query that is given up, too, and nobody can wait then.
        void close(cursor).rows?.return?.();
        return SQLITE_OK;
      }),
      xFilter: this.#callback("xFilter", (cursor) => {
        const reading = of(cursor);
        reading.rows = rows()[Symbol.asyncIterator]();
        return next(reading);
      }),
      xNext: this.#callback("xNext", (cursor) => next(of(cursor))),
      xEof: this.#callback("xEof", (cursor) => of(cursor).row === undefined ? 1 : 0),
      xColumn: this.#callback("xColumn", (cursor, context, i) => {
        const cell = of(cursor).row![i]!;
        if (typeof cell === "number") sqlite.sqlite3_result_double(context, cell);
        else sqlite.sqlite3_result_text(context, cell, -1, SQLITE_TRANSIENT);
        return SQLITE_OK;
      }),
      xRowid: this.#callback("xRowid", (cursor, into) => {
        new PointerView(into!).setBigInt64(0, of(cursor).number);
        return SQLITE_OK;
      }),
    });
    // SQLite keeps the struct. Without an xCreate the table is there by its name alone.
    this.#modules.push(memory);
    this.#check(
      sqlite.sqlite3_create_module(this.#handle, name, PointerView.of(memory).pointer, null),
    );
  }

  /** A function of C that may await, and that SQLite is told the errors of by its result. */
  #callback<Name extends keyof Functions>(
    name: Name,
    handler: (
      ...args: HandlerParameters<Functions[Name]["parameters"]>
    ) => number | Promise<number>,
    stop: number | ((...args: Parameters<typeof handler>) => number) = SQLITE_INTERRUPT,
  ): Callback {
    const fail = (error: unknown): number => {
      this.#thrown = error;
      return SQLITE_ERROR;
    };
    const definition: CallbackDefinition = { ...functions[name], stop };
    const callback = new Callback(definition, (...args: unknown[]) => {
      try {
        const code = handler(...args as Parameters<typeof handler>);
        return typeof code === "number" ? code : code.catch(fail);
      } catch (error) {
        return fail(error);
      }
    });
    return this.#callbacks.use(callback);
  }

  #check(code: number): void {
    if (code === SQLITE_OK) return;
    const thrown = this.#thrown;
    this.#thrown = undefined;
    throw thrown ?? new Error(`SQLite: ${sqlite.sqlite3_errmsg(this.#handle)}`);
  }

  /** The rows of a query, as they come. `signal` ends it. */
  async *query(sql: string, signal?: AbortSignal): AsyncGenerator<(string | null)[]> {
    const out = new Uint8Array(8);
    const bytes = new TextEncoder().encode(sql);
    const { sqlite3_prepare_v2 } = sqlite;
    this.#check(await sqlite3_prepare_v2.async(this.#handle, bytes, bytes.length, out, null));
    const statement = PointerView.of(out).getPointer();
    try {
      const options = signal === undefined ? {} : { signal };
      for (;;) {
        const code = await sqlite.sqlite3_step.async(statement, options);
        if (code !== SQLITE_ROW) return this.#check(code === SQLITE_DONE ? SQLITE_OK : code);
        const count = sqlite.sqlite3_column_count(statement);
        yield Array.from({ length: count }, (_, i) => {
          const text = sqlite.sqlite3_column_text(statement, i);
          return text === null ? null : new PointerView(text).getCString();
        });
      }
    } finally {
      await sqlite.sqlite3_finalize.async(statement);
    }
  }

  [Symbol.dispose](): void {
    this.#check(sqlite.sqlite3_close(this.#handle));
    this.#callbacks.dispose();
  }
}

const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

async function* visits(): AsyncGenerator<[string, number]> {
  for (const [page, ms] of [["/", 15], ["/docs", 80], ["/docs", 75], ["/", 25], ["/docs", 60]]) {
    await sleep(5); // the next line of a log, the next page of an API
    yield [page as string, ms as number];
  }
}

async function* numbers(): AsyncGenerator<[number]> {
  try {
    for (let i = 1;; i++) {
      await sleep(5);
      yield [i];
    }
  } finally {
    console.log("the generator was told that it is over");
  }
}

if (import.meta.main) {
  using db = new Database();
  db.table("visits", ["page", "ms"], visits);
  db.table("numbers", ["n"], numbers);

  console.log("visits by page, as they come in");
  const byPage =
    "select page, count(*), cast(sum(ms) as int) from visits group by 1 order by 2 desc";
  for await (const row of db.query(byPage)) console.log(`   ${row.join(" ")}`);

  console.log("the first three of endless numbers, and their squares");
  const squares = "select cast(n as int), cast(n * n as int) from numbers limit 3";
  for await (const row of db.query(squares)) console.log(`   ${row.join(" ")}`);

  console.log("a query that is given up");
  try {
    for await (const _ of db.query("select sum(n) from numbers", AbortSignal.timeout(50)));
  } catch (error) {
    console.log(`   ${error}`);
  }
}
