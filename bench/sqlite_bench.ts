// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

// SQLite calls back: for each row, for each call of a function for SQL, for each instruction of its
// virtual machine. Suspended, with Deno.UnsafeCallback, and by node:sqlite, a binding in Rust.

import { DatabaseSync } from "node:sqlite";
import { Callback, PointerView } from "fringe";
import { howToInstall, isInstalled } from "../tools/packages.ts";
import { bench, INNER, libraryTarget, sumBelow } from "./setup.ts";

const library = "libsqlite3.so.0";

libraryTarget("sqlite3_exec", 1);
libraryTarget("SQL function", 0.45);
libraryTarget("sqlite3_progress_handler", 0.333);
libraryTarget("SQL function, nonblocking", 1, undefined, "nonblocking FFI call, awaited");
if (isInstalled(library)) await measure();
else console.error(`Not measured: ${howToInstall(library)}`);

async function measure(): Promise<void> {
  const { Database, sqlite } = await import("../examples/sqlite.ts");
  const table = `create table numbers (number integer, text text);
    with recursive numbers_below (i) as
      (values (0) union all select i + 1 from numbers_below where i + 1 < ${INNER})
    insert into numbers select i, i from numbers_below`;
  const database = new Database(":memory:");
  database.exec(table);
  const { handle } = database;
  const node = new DatabaseSync(":memory:");
  node.exec(table);

  const plain = Deno.dlopen(library, {
    sqlite3_exec: {
      parameters: ["pointer", "buffer", "function", "pointer", "pointer"],
      result: "i32",
    },
    sqlite3_create_function: {
      parameters: [
        ...["pointer", "buffer", "i32", "i32", "pointer"] as const,
        ...["function", "pointer", "pointer"] as const,
      ],
      result: "i32",
    },
    sqlite3_progress_handler: {
      parameters: ["pointer", "i32", "function", "pointer"],
      result: "void",
    },
    sqlite3_value_int64: { parameters: ["pointer"], result: "i64" },
    sqlite3_result_int64: { parameters: ["pointer", "i64"], result: "void" },
  }).symbols;
  const cString = (text: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(`${text}\0`);

  // Rows, of which the handler reads the text.
  const rows = "select text from numbers";
  const rowsBytes = cString(rows);
  let sum = 0;
  bench("sqlite3_exec", "sqlite3_exec, suspended callback", () => {
    sum = 0;
    sqlite.sqlite3_exec(
      handle,
      rows,
      (_context, _count, values) => {
        sum += Number(new PointerView(new PointerView(values!).getPointer()!).getCString());
        return 0;
      },
      null,
      null,
    );
    return sum;
  }, sumBelow(INNER));

  const rowCallback = new Deno.UnsafeCallback(
    { parameters: ["pointer", "i32", "pointer", "pointer"], result: "i32" },
    (_context, _count, values) => {
      const text = new Deno.UnsafePointerView(values!).getPointer()!;
      sum += Number(Deno.UnsafePointerView.getCString(text));
      return 0;
    },
  );
  bench("sqlite3_exec", "sqlite3_exec, Deno.UnsafeCallback", () => {
    sum = 0;
    plain.sqlite3_exec(handle, rowsBytes, rowCallback.pointer, null, null);
    return sum;
  }, sumBelow(INNER));

  bench("sqlite3_exec", "sqlite3_exec rows, pulled", () => {
    let sum = 0;
    for (const [text] of database.rows(rows)) sum += Number(text);
    return sum;
  }, sumBelow(INNER));

  bench("sqlite3_exec", "sqlite3_exec rows, awaited", async () => {
    let sum = 0;
    for (const [text] of await database.query(rows)) sum += Number(text);
    return sum;
  }, sumBelow(INNER));

  const statement = node.prepare(rows);
  bench("sqlite3_exec", "sqlite3_exec rows, node:sqlite", () => {
    let sum = 0;
    for (const { text } of statement.iterate()) sum += Number(text);
    return sum;
  }, sumBelow(INNER));

  // A function for SQL, which reads an integer and gives it back.
  const SQLITE_UTF8 = 1;
  const answer = (
    context: Deno.PointerValue,
    _count: number,
    values: Deno.PointerValue,
  ): void => {
    const value = new PointerView(values!).getPointer();
    plain.sqlite3_result_int64(context, plain.sqlite3_value_int64(value));
  };
  const suspended = new Callback(
    { parameters: ["pointer", "i32", "pointer"], result: "void" },
    answer,
  );
  sqlite.sqlite3_create_function(
    ...[handle, "suspended", 1, SQLITE_UTF8, null] as const,
    ...[suspended, null, null] as const,
  );
  const unsafe = new Deno.UnsafeCallback(
    { parameters: ["pointer", "i32", "pointer"], result: "void" },
    (context, _count, values) => {
      const value = new Deno.UnsafePointerView(values!).getPointer();
      plain.sqlite3_result_int64(context, plain.sqlite3_value_int64(value));
    },
  );
  plain.sqlite3_create_function(
    ...[handle, cString("unsafe"), 1, SQLITE_UTF8, null] as const,
    ...[unsafe.pointer, null, null] as const,
  );
  database.function("wrapped", (value) => value!);
  node.function("identity", (value) => value);

  const readSum = (_context: unknown, _count: number, values: Deno.PointerValue): number => {
    sum = Number(new PointerView(new PointerView(values!).getPointer()!).getCString());
    return 0;
  };
  const summed = (name: string): string => `select sum(${name}(number)) from numbers`;
  bench("SQL function", "SQL function, suspended callback", () => {
    sqlite.sqlite3_exec(handle, summed("suspended"), readSum, null, null);
    return sum;
  }, sumBelow(INNER));
  bench("SQL function", "SQL function, examples/sqlite.ts", () => {
    sqlite.sqlite3_exec(handle, summed("wrapped"), readSum, null, null);
    return sum;
  }, sumBelow(INNER));

  const readSumCallback = new Deno.UnsafeCallback(
    { parameters: ["pointer", "i32", "pointer", "pointer"], result: "i32" },
    readSum,
  );
  const unsafeBytes = cString(summed("unsafe"));
  bench("SQL function", "SQL function, Deno.UnsafeCallback", () => {
    plain.sqlite3_exec(handle, unsafeBytes, readSumCallback.pointer, null, null);
    return sum;
  }, sumBelow(INNER));

  const identity = node.prepare(`select sum(identity(number)) as sum from numbers`);
  bench("SQL function", "SQL function, node:sqlite", () => {
    return identity.get()!.sum as number;
  }, sumBelow(INNER));

  // SQLite asks after each instruction, or rather at each jump, whether to go on. Little is done in
  // between.
  const instructions = 1;
  let asked = 0;
  const goOn = (): number => {
    asked++;
    return 0;
  };
  const suspendedGoOn = new Callback({ parameters: ["pointer"], result: "i32" }, goOn);
  const unsafeGoOn = new Deno.UnsafeCallback({ parameters: ["pointer"], result: "i32" }, goOn);
  const counted = "select count(number) from numbers";
  const countedBytes = cString(counted);
  const askSuspended = (): number => {
    asked = 0;
    sqlite.sqlite3_progress_handler(handle, instructions, suspendedGoOn, null);
    sqlite.sqlite3_exec(handle, counted, () => 0, null, null);
    sqlite.sqlite3_progress_handler(handle, 0, null, null);
    return asked;
  };
  const ignore = new Deno.UnsafeCallback(
    { parameters: ["pointer", "i32", "pointer", "pointer"], result: "i32" },
    () => 0,
  );
  const askings = askSuspended();
  bench(
    "sqlite3_progress_handler",
    "sqlite3_progress_handler, suspended callback",
    askSuspended,
    askings,
    askings,
  );
  bench(
    "sqlite3_progress_handler",
    "sqlite3_progress_handler, Deno.UnsafeCallback",
    () => {
      asked = 0;
      plain.sqlite3_progress_handler(handle, instructions, unsafeGoOn.pointer, null);
      plain.sqlite3_exec(handle, countedBytes, ignore.pointer, null, null);
      plain.sqlite3_progress_handler(handle, 0, null, null);
      return asked;
    },
    askings,
    askings,
  );

  // The same function for SQL, called from another thread.
  const few = INNER / 100;
  const fewSummed = (name: string): string => `${summed(name)} where number < ${few}`;
  bench(
    "SQL function, nonblocking",
    "SQL function, nonblocking, suspended callback",
    async () => {
      const code = await sqlite.sqlite3_exec_nonblocking(
        handle,
        fewSummed("suspended"),
        readSum,
        null,
        null,
      );
      return code === 0 ? sum : NaN;
    },
    sumBelow(few),
    few,
  );

  const elsewhere = Deno.dlopen(library, {
    sqlite3_exec: {
      parameters: ["pointer", "buffer", "function", "pointer", "pointer"],
      result: "i32",
      nonblocking: true,
    },
  }).symbols;
  const fewBytes = cString(fewSummed("unsafe"));
  bench(
    "SQL function, nonblocking",
    "SQL function, nonblocking, Deno.UnsafeCallback",
    async () => {
      const code = await elsewhere.sqlite3_exec(
        handle,
        fewBytes,
        readSumCallback.pointer,
        null,
        null,
      );
      return code === 0 ? sum : NaN;
    },
    sumBelow(few),
    few,
  );
}
