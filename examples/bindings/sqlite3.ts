// Made by fringe's bindings sqlite3.h --no-comments --symbols
// '^sqlite3_(open|close|errmsg|prepare_v2|step|column_count|column_text|finalize)$' --symbols
// '^sqlite3_(create_module|declare_vtab|result_text|result_double|module|vtab|vtab_cursor)$'
// --symbols '^SQLITE_(OK|ERROR|INTERRUPT|ROW|DONE)$'
//
// `dlopen(library, symbols)` opens all of them; --symbols chooses. Questions are to be answered
// where the table is used: "stop?" is by which answer a callback tells C to end early, "errno?" is
// whether the function sets errno, "kept?" is whether C calls the function only until it returns:
// else say "function", and pass a `Callback`. Behind dots stand what a call passes there.

import { struct } from "fringe";

export const SQLITE_OK = 0;
export const SQLITE_ERROR = 1;
export const SQLITE_INTERRUPT = 9;
export const SQLITE_ROW = 100;
export const SQLITE_DONE = 101;

/** `struct sqlite3_vtab` */
export const sqlite3_vtab = struct({
  pModule: "pointer",
  nRef: "i32",
  zErrMsg: "pointer",
});

/** `struct sqlite3_vtab_cursor` */
export const sqlite3_vtab_cursor = struct({
  pVtab: "pointer",
});

/** `struct sqlite3_module` */
export const sqlite3_module = struct({
  iVersion: "i32",
  /** `int (*xCreate)(sqlite3 *, void *, int, const char *const *, sqlite3_vtab **, char **)` */
  xCreate: "function",
  /** `int (*xConnect)(sqlite3 *, void *, int, const char *const *, sqlite3_vtab **, char **)` */
  xConnect: "function",
  /** `int (*xBestIndex)(sqlite3_vtab *, sqlite3_index_info *)` */
  xBestIndex: "function",
  /** `int (*xDisconnect)(sqlite3_vtab *)` */
  xDisconnect: "function",
  /** `int (*xDestroy)(sqlite3_vtab *)` */
  xDestroy: "function",
  /** `int (*xOpen)(sqlite3_vtab *, sqlite3_vtab_cursor **)` */
  xOpen: "function",
  /** `int (*xClose)(sqlite3_vtab_cursor *)` */
  xClose: "function",
  /** `int (*xFilter)(sqlite3_vtab_cursor *, int, const char *, int, sqlite3_value **)` */
  xFilter: "function",
  /** `int (*xNext)(sqlite3_vtab_cursor *)` */
  xNext: "function",
  /** `int (*xEof)(sqlite3_vtab_cursor *)` */
  xEof: "function",
  /** `int (*xColumn)(sqlite3_vtab_cursor *, sqlite3_context *, int)` */
  xColumn: "function",
  /** `int (*xRowid)(sqlite3_vtab_cursor *, sqlite3_int64 *)` */
  xRowid: "function",
  /** `int (*xUpdate)(sqlite3_vtab *, int, sqlite3_value **, sqlite3_int64 *)` */
  xUpdate: "function",
  /** `int (*xBegin)(sqlite3_vtab *)` */
  xBegin: "function",
  /** `int (*xSync)(sqlite3_vtab *)` */
  xSync: "function",
  /** `int (*xCommit)(sqlite3_vtab *)` */
  xCommit: "function",
  /** `int (*xRollback)(sqlite3_vtab *)` */
  xRollback: "function",
  /**
   * `int (*xFindFunction)(sqlite3_vtab *, int, const char *, void (**)(sqlite3_context *, int,
   * sqlite3_value **), void **)`
   */
  xFindFunction: "function",
  /** `int (*xRename)(sqlite3_vtab *, const char *)` */
  xRename: "function",
  /** `int (*xSavepoint)(sqlite3_vtab *, int)` */
  xSavepoint: "function",
  /** `int (*xRelease)(sqlite3_vtab *, int)` */
  xRelease: "function",
  /** `int (*xRollbackTo)(sqlite3_vtab *, int)` */
  xRollbackTo: "function",
  /** `int (*xShadowName)(const char *)` */
  xShadowName: "function",
});

// stop?
/** What `new Callback()` takes for the functions of sqlite3_module. */
export const sqlite3_module_functions = {
  xCreate: {
    parameters: ["pointer", "pointer", "i32", "pointer", "pointer", "pointer"],
    result: "i32",
  },
  xConnect: {
    parameters: ["pointer", "pointer", "i32", "pointer", "pointer", "pointer"],
    result: "i32",
  },
  xBestIndex: { parameters: ["pointer", "pointer"], result: "i32" },
  xDisconnect: { parameters: ["pointer"], result: "i32" },
  xDestroy: { parameters: ["pointer"], result: "i32" },
  xOpen: { parameters: ["pointer", "pointer"], result: "i32" },
  xClose: { parameters: ["pointer"], result: "i32" },
  xFilter: { parameters: ["pointer", "i32", "pointer", "i32", "pointer"], result: "i32" },
  xNext: { parameters: ["pointer"], result: "i32" },
  xEof: { parameters: ["pointer"], result: "i32" },
  xColumn: { parameters: ["pointer", "pointer", "i32"], result: "i32" },
  xRowid: { parameters: ["pointer", "pointer"], result: "i32" },
  xUpdate: { parameters: ["pointer", "i32", "pointer", "pointer"], result: "i32" },
  xBegin: { parameters: ["pointer"], result: "i32" },
  xSync: { parameters: ["pointer"], result: "i32" },
  xCommit: { parameters: ["pointer"], result: "i32" },
  xRollback: { parameters: ["pointer"], result: "i32" },
  xFindFunction: { parameters: ["pointer", "i32", "cstring", "pointer", "pointer"], result: "i32" },
  xRename: { parameters: ["pointer", "cstring"], result: "i32" },
  xSavepoint: { parameters: ["pointer", "i32"], result: "i32" },
  xRelease: { parameters: ["pointer", "i32"], result: "i32" },
  xRollbackTo: { parameters: ["pointer", "i32"], result: "i32" },
  xShadowName: { parameters: ["cstring"], result: "i32" },
} as const;

/** What `dlopen` takes. */
export const symbols = {
  /** `int sqlite3_close(sqlite3 *)` */
  sqlite3_close: { parameters: ["pointer"], result: "i32" },
  /** `int sqlite3_open(const char *filename, sqlite3 **ppDb)` */
  sqlite3_open: { parameters: ["cstring", "buffer"], result: "i32" },
  /** `const char *sqlite3_errmsg(sqlite3 *)` */
  sqlite3_errmsg: { parameters: ["pointer"], result: "cstring" },
  /**
   * `int sqlite3_prepare_v2(sqlite3 *db, const char *zSql, int nByte, sqlite3_stmt **ppStmt, const
   * char **pzTail)`
   */
  sqlite3_prepare_v2: {
    parameters: ["pointer", "buffer", "i32", "buffer", "buffer"],
    result: "i32",
  },
  /** `int sqlite3_column_count(sqlite3_stmt *pStmt)` */
  sqlite3_column_count: { parameters: ["pointer"], result: "i32" },
  /** `int sqlite3_step(sqlite3_stmt *)` */
  sqlite3_step: { parameters: ["pointer"], result: "i32" },
  /** `const unsigned char *sqlite3_column_text(sqlite3_stmt *, int iCol)` */
  sqlite3_column_text: { parameters: ["pointer", "i32"], result: "pointer" },
  /** `int sqlite3_finalize(sqlite3_stmt *pStmt)` */
  sqlite3_finalize: { parameters: ["pointer"], result: "i32" },
  /** `void sqlite3_result_double(sqlite3_context *, double)` */
  sqlite3_result_double: { parameters: ["pointer", "f64"], result: "void" },
  /** `void sqlite3_result_text(sqlite3_context *, const char *, int, void (*)(void *))` */
  sqlite3_result_text: { parameters: ["pointer", "cstring", "i32", "function"], result: "void" },
  /**
   * `int sqlite3_create_module(sqlite3 *db, const char *zName, const sqlite3_module *p, void
   * *pClientData)`
   */
  sqlite3_create_module: {
    parameters: ["pointer", "cstring", "pointer", "pointer"],
    result: "i32",
  },
  /** `int sqlite3_declare_vtab(sqlite3 *, const char *zSQL)` */
  sqlite3_declare_vtab: { parameters: ["pointer", "cstring"], result: "i32" },
} as const;
