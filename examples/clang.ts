// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * C through the eyes of clang: the syntax tree of a header as a lazy iterator. libclang walks the
 * tree and passes each node, a struct of 32 bytes, by value to a callback, which suspends: clang
 * waits while somebody looks at a node, or at what is in it, and goes home at a `break`.
 *
 * ```sh
 * deno run --allow-ffi examples/clang.ts [HEADER]
 * ```
 *
 * Without a header it reads a small one of its own, and prints
 *
 * ```text
 * 1. The whole tree
 *    StructDecl point
 *       FieldDecl x
 *       FieldDecl y
 *    FunctionDecl distance
 *       ParmDecl from
 *          TypeRef struct point
 *       ParmDecl to
 *          TypeRef struct point
 *    FunctionDecl paint
 *       ParmDecl color
 *
 * 2. Only as far as it is asked for
 *    the first function is distance; clang has shown 2 nodes until then
 * ```
 *
 * @module
 */

import { dlopen, PointerView, struct } from "fringe";

/** `CXCursor`: a node of the tree. */
const Cursor = struct({ kind: "i32", xdata: "i32", data: ["pointer", 3] });
type Cursor = ReturnType<typeof Cursor.read>;
/** `CXString`: text, which is given back by clang_disposeString. */
const Text = struct({ data: "pointer", flags: "u32" });
/** `struct CXUnsavedFile`: a file that is only in memory. */
const UnsavedFile = struct({ name: "cstring", contents: "cstring", length: "u64" });

/** `enum CXChildVisitResult`: what a visitor answers. */
const BREAK = 0;
const CONTINUE = 1;

/** `enum CXChildVisitResult (*CXCursorVisitor)(CXCursor, CXCursor parent, CXClientData)` */
const visitor = { parameters: [Cursor, Cursor, "pointer"], result: "i32", stop: BREAK } as const;

const clang = dlopen(Deno.build.os === "darwin" ? "libclang.dylib" : "libclang-14.so.1", {
  clang_createIndex: { parameters: ["i32", "i32"], result: "pointer" },
  clang_disposeIndex: { parameters: ["pointer"], result: "void" },
  // CXTranslationUnit clang_parseTranslationUnit(CXIndex, const char *file,
  //     const char *const *args, int, struct CXUnsavedFile *files, unsigned, unsigned options)
  clang_parseTranslationUnit: {
    parameters: ["pointer", "cstring", "buffer", "i32", "buffer", "u32", "u32"],
    result: "pointer",
  },
  clang_disposeTranslationUnit: { parameters: ["pointer"], result: "void" },
  clang_getTranslationUnitCursor: { parameters: ["pointer"], result: Cursor },
  // unsigned clang_visitChildren(CXCursor parent, CXCursorVisitor, CXClientData)
  clang_visitChildren: { parameters: [Cursor, { callback: visitor }, "pointer"], result: "u32" },
  clang_getCursorSpelling: { parameters: [Cursor], result: Text },
  clang_getCursorKindSpelling: { parameters: ["i32"], result: Text },
  clang_disposeString: { parameters: [Text], result: "void" },
}).symbols;

function take(text: ReturnType<typeof Text.read>): string {
  const string = new PointerView(text.data!).getCString();
  clang.clang_disposeString(text);
  return string;
}

/** A node of the tree. */
export interface Node {
  /** What it is: "FunctionDecl", "ParmDecl"… */
  readonly kind: string;
  readonly name: string;
  /** What is in it, read while it is iterated. */
  readonly children: Iterable<Node>;
}

/** What is in a node. Clang stands still, in its own walk, while somebody looks at one of them. */
function* childrenOf(parent: Cursor): Generator<Node, void, void> {
  for (const { args: [cursor], reply } of clang.clang_visitChildren.calls(parent, null)) {
    const kind = take(clang.clang_getCursorKindSpelling(cursor.kind));
    const name = take(clang.clang_getCursorSpelling(cursor));
    yield { kind, name, children: { [Symbol.iterator]: () => childrenOf(cursor) } };
    reply(CONTINUE);
  }
}

/** What a header declares: of a file, or of `contents`, which stand for a file of that name. */
export function* declarations(name: string, contents = ""): Generator<Node, void, void> {
  const length = new TextEncoder().encode(contents).length;
  const file = new Uint8Array(UnsavedFile.size);
  UnsavedFile.write(file, { name, contents, length });
  const index = clang.clang_createIndex(0, 0);
  const count = contents === "" ? 0 : 1;
  const unit = clang.clang_parseTranslationUnit(index, name, null, 0, file, count, 0);
  try {
    if (unit === null) throw new Error(`Clang cannot read ${name}`);
    yield* childrenOf(clang.clang_getTranslationUnitCursor(unit));
  } finally {
    clang.clang_disposeTranslationUnit(unit);
    clang.clang_disposeIndex(index);
  }
}

const SMALL = `
struct point { int x, y; };
double distance(struct point from, struct point to);
void paint(unsigned color);
`;

function show(nodes: Iterable<Node>, indent: string): void {
  for (const { kind, name, children } of nodes) {
    console.log(`${indent}${kind} ${name}`);
    show(children, `${indent}   `);
  }
}

if (import.meta.main) {
  const [name = "small.h"] = Deno.args;
  const contents = Deno.args.length > 0 ? "" : SMALL;
  console.log("1. The whole tree");
  show(declarations(name, contents), "   ");
  console.log("\n2. Only as far as it is asked for");
  let seen = 0;
  for (const node of declarations(name, contents)) {
    seen++;
    if (node.kind !== "FunctionDecl") continue;
    console.log(`   the first function is ${node.name}; clang has shown ${seen} nodes until then`);
    break;
  }
}
