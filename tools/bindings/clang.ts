// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * What libclang knows of C headers, by way of fringe: declarations and fields are pulled one by one
 * out of callbacks to which clang passes them by value. See examples/clang.ts for the least of it.
 *
 * @module
 */

import { dlopen, PointerView, struct } from "../../mod.ts";

/** `CXCursor`, a node of the syntax tree. */
const CXCursor = struct({ kind: "i32", xdata: "i32", data: ["pointer", 3] });
/** `CXType`. */
const CXType = struct({ kind: "i32", data: ["pointer", 2] });
/** `CXString`, which is given back by clang_disposeString. */
const CXString = struct({ data: "pointer", flags: "u32" });
/** `CXSourceLocation` and `CXSourceRange`. */
const Location = struct({ data: ["pointer", 2], at: "u32" });
const Range = struct({ data: ["pointer", 2], begin: "u32", end: "u32" });
/** `CXToken`. */
const Token = struct({ data: ["u32", 4], pointer: "pointer" });
/** `struct CXUnsavedFile`, a file in memory. */
const UnsavedFile = struct({ name: "cstring", contents: "cstring", length: "u64" });

/** The answers of both visitors: 0 ends the walk, 1 goes on with the next. */
const [BREAK, CONTINUE] = [0, 1];
const visitor = {
  parameters: [CXCursor, CXCursor, "pointer"],
  result: "i32",
  stop: BREAK,
} as const;
const fieldVisitor = { parameters: [CXCursor, "pointer"], result: "i32", stop: BREAK } as const;

const ofCursor = <const Result>(result: Result) => ({ parameters: [CXCursor], result } as const);
const ofType = <const Result>(result: Result) => ({ parameters: [CXType], result } as const);

const definitions = {
  clang_createIndex: { parameters: ["i32", "i32"], result: "pointer" },
  clang_disposeIndex: { parameters: ["pointer"], result: "void" },
  clang_parseTranslationUnit: {
    parameters: ["pointer", "cstring", "buffer", "i32", "buffer", "u32", "u32"],
    result: "pointer",
  },
  clang_disposeTranslationUnit: { parameters: ["pointer"], result: "void" },
  clang_getNumDiagnostics: { parameters: ["pointer"], result: "u32" },
  clang_getDiagnostic: { parameters: ["pointer", "u32"], result: "pointer" },
  clang_getDiagnosticSeverity: { parameters: ["pointer"], result: "i32" },
  clang_formatDiagnostic: { parameters: ["pointer", "u32"], result: CXString },
  clang_disposeDiagnostic: { parameters: ["pointer"], result: "void" },
  clang_getTranslationUnitCursor: { parameters: ["pointer"], result: CXCursor },
  clang_visitChildren: { parameters: [CXCursor, { callback: visitor }, "pointer"], result: "u32" },
  clang_Type_visitFields: {
    parameters: [CXType, { callback: fieldVisitor }, "pointer"],
    result: "u32",
  },
  clang_disposeString: { parameters: [CXString], result: "void" },
  clang_getCursorSpelling: ofCursor(CXString),
  clang_getCursorPrettyPrinted: { parameters: [CXCursor, "pointer"], result: CXString },
  clang_getCursorType: ofCursor(CXType),
  clang_getCursorExtent: ofCursor(Range),
  clang_Cursor_getRawCommentText: ofCursor(CXString),
  clang_Cursor_getCommentRange: ofCursor(Range),
  clang_getIncludedFile: ofCursor("pointer"),
  clang_getEnumDeclIntegerType: ofCursor(CXType),
  clang_getEnumConstantDeclValue: ofCursor("i64"),
  clang_getEnumConstantDeclUnsignedValue: ofCursor("u64"),
  clang_getTypedefDeclUnderlyingType: ofCursor(CXType),
  clang_Cursor_getStorageClass: ofCursor("i32"),
  clang_Cursor_isBitField: ofCursor("u32"),
  clang_getFieldDeclBitWidth: ofCursor("i32"),
  clang_Cursor_getOffsetOfField: ofCursor("i64"),
  clang_Cursor_isMacroFunctionLike: ofCursor("u32"),
  clang_Cursor_Evaluate: ofCursor("pointer"),
  clang_EvalResult_getKind: { parameters: ["pointer"], result: "i32" },
  clang_EvalResult_isUnsignedInt: { parameters: ["pointer"], result: "u32" },
  clang_EvalResult_getAsLongLong: { parameters: ["pointer"], result: "i64" },
  clang_EvalResult_getAsUnsigned: { parameters: ["pointer"], result: "u64" },
  clang_EvalResult_getAsDouble: { parameters: ["pointer"], result: "f64" },
  clang_EvalResult_getAsStr: { parameters: ["pointer"], result: "cstring" },
  clang_EvalResult_dispose: { parameters: ["pointer"], result: "void" },
  clang_getRangeStart: { parameters: [Range], result: Location },
  clang_getRangeEnd: { parameters: [Range], result: Location },
  clang_getExpansionLocation: {
    parameters: [Location, "buffer", "buffer", "buffer", "buffer"],
    result: "void",
  },
  clang_getFileName: { parameters: ["pointer"], result: CXString },
  clang_tokenize: { parameters: ["pointer", Range, "buffer", "buffer"], result: "void" },
  clang_getTokenSpelling: { parameters: ["pointer", Token], result: CXString },
  clang_disposeTokens: { parameters: ["pointer", "pointer", "u32"], result: "void" },
  clang_getTypeSpelling: ofType(CXString),
  clang_getCanonicalType: ofType(CXType),
  clang_getTypeDeclaration: ofType(CXCursor),
  clang_isConstQualifiedType: ofType("u32"),
  clang_getPointeeType: ofType(CXType),
  clang_getResultType: ofType(CXType),
  clang_getNumArgTypes: ofType("i32"),
  clang_getArgType: { parameters: [CXType, "u32"], result: CXType },
  clang_isFunctionTypeVariadic: ofType("u32"),
  clang_getArrayElementType: ofType(CXType),
  clang_getArraySize: ofType("i64"),
  clang_Type_getSizeOf: ofType("i64"),
  clang_Type_getAlignOf: ofType("i64"),
} as const;

/** The names that systems have for libclang, the newest first. */
function* names(): Iterable<string> {
  if (Deno.build.os === "darwin") {
    yield "libclang.dylib";
    yield "/Library/Developer/CommandLineTools/usr/lib/libclang.dylib";
    return;
  }
  yield "libclang.so";
  for (let version = 22; version >= 13; version--) yield `libclang-${version}.so.1`;
}

function open() {
  for (const name of names()) {
    try {
      return dlopen(name, definitions).symbols;
    } catch (error) {
      if (error instanceof Deno.errors.NotCapable) throw error;
    }
  }
  throw new Error("Cannot find libclang: install libclang1 (Debian has libclang1-14)");
}

let opened: ReturnType<typeof open> | undefined;
const clang = (): ReturnType<typeof open> => opened ??= open();

function take(text: ReturnType<typeof CXString.read>): string {
  const string = text.data === null ? "" : new PointerView(text.data).getCString();
  clang().clang_disposeString(text);
  return string;
}

/** Where something stands. */
export interface Place {
  readonly file: string;
  readonly line: number;
}

function placeOf(location: ReturnType<typeof Location.read>): Place {
  const [file, line, unused] = [new BigUint64Array(1), new Uint32Array(1), new Uint32Array(1)];
  clang().clang_getExpansionLocation(location, file, line, unused, unused);
  const name = clang().clang_getFileName(Deno.UnsafePointer.create(file[0]!));
  return { file: take(name), line: line[0]! };
}

/** A type of C. */
export class Type {
  readonly #raw: ReturnType<typeof CXType.read>;

  constructor(raw: ReturnType<typeof CXType.read>) {
    this.#raw = raw;
  }

  /** `enum CXTypeKind`. */
  get kind(): number {
    return this.#raw.kind;
  }
  get spelling(): string {
    return take(clang().clang_getTypeSpelling(this.#raw));
  }
  get canonical(): Type {
    return new Type(clang().clang_getCanonicalType(this.#raw));
  }
  get declaration(): Cursor {
    return new Cursor(clang().clang_getTypeDeclaration(this.#raw));
  }
  get isConst(): boolean {
    return clang().clang_isConstQualifiedType(this.#raw) !== 0;
  }
  get pointee(): Type {
    return new Type(clang().clang_getPointeeType(this.#raw));
  }
  get result(): Type {
    return new Type(clang().clang_getResultType(this.#raw));
  }
  get parameters(): Type[] {
    const count = Math.max(0, clang().clang_getNumArgTypes(this.#raw));
    const one = (_: unknown, i: number) => new Type(clang().clang_getArgType(this.#raw, i));
    return Array.from({ length: count }, one);
  }
  get isVariadic(): boolean {
    return clang().clang_isFunctionTypeVariadic(this.#raw) !== 0;
  }
  get element(): Type {
    return new Type(clang().clang_getArrayElementType(this.#raw));
  }
  get count(): number {
    return Number(clang().clang_getArraySize(this.#raw));
  }
  /** `sizeof`; negative where the type is incomplete. */
  get size(): number {
    return Number(clang().clang_Type_getSizeOf(this.#raw));
  }
  get alignment(): number {
    return Number(clang().clang_Type_getAlignOf(this.#raw));
  }
  /** The fields of a struct or a union, also those without a name. */
  *fields(): Generator<Cursor, void, void> {
    const visit = clang().clang_Type_visitFields;
    for (const { args: [field], reply } of visit.calls(this.#raw, null)) {
      yield new Cursor(field);
      reply(CONTINUE);
    }
  }
}

/** A declaration, a macro, or what else stands in the syntax tree. */
export class Cursor {
  readonly #raw: ReturnType<typeof CXCursor.read>;

  constructor(raw: ReturnType<typeof CXCursor.read>) {
    this.#raw = raw;
  }

  /** `enum CXCursorKind`. */
  get kind(): number {
    return this.#raw.kind;
  }
  get name(): string {
    return take(clang().clang_getCursorSpelling(this.#raw));
  }
  /** The declaration as clang prints it. */
  get printed(): string {
    return take(clang().clang_getCursorPrettyPrinted(this.#raw, null));
  }
  get type(): Type {
    return new Type(clang().clang_getCursorType(this.#raw));
  }
  get begin(): Place {
    return placeOf(clang().clang_getRangeStart(clang().clang_getCursorExtent(this.#raw)));
  }
  get end(): Place {
    return placeOf(clang().clang_getRangeEnd(clang().clang_getCursorExtent(this.#raw)));
  }
  /** The comment that clang has for it, and the lines on which that begins and ends. */
  get comment(): { readonly text: string; readonly begin: number; readonly end: number } {
    const text = take(clang().clang_Cursor_getRawCommentText(this.#raw));
    if (text === "") return { text, begin: 0, end: 0 };
    const range = clang().clang_Cursor_getCommentRange(this.#raw);
    const [begin, end] = [clang().clang_getRangeStart(range), clang().clang_getRangeEnd(range)];
    return { text, begin: placeOf(begin).line, end: placeOf(end).line };
  }
  /** Of an `#include`: the file. */
  get includedFile(): string {
    const file = clang().clang_getIncludedFile(this.#raw);
    return file === null ? "" : take(clang().clang_getFileName(file));
  }
  /** Of an enum: its type of integers. */
  get integerType(): Type {
    return new Type(clang().clang_getEnumDeclIntegerType(this.#raw));
  }
  /** Of a constant of an enum. */
  value(isUnsigned: boolean): bigint {
    return isUnsigned
      ? clang().clang_getEnumConstantDeclUnsignedValue(this.#raw)
      : clang().clang_getEnumConstantDeclValue(this.#raw);
  }
  /** Of a typedef: what it stands for. */
  get underlying(): Type {
    return new Type(clang().clang_getTypedefDeclUnderlyingType(this.#raw));
  }
  /** Whether it is `static`: then no library has it. */
  get isStatic(): boolean {
    const STATIC = 3;
    return clang().clang_Cursor_getStorageClass(this.#raw) === STATIC;
  }
  /** Of a field: how many bits it has, if it is a bit-field. */
  get bits(): number | undefined {
    if (clang().clang_Cursor_isBitField(this.#raw) === 0) return undefined;
    return clang().clang_getFieldDeclBitWidth(this.#raw);
  }
  /** Of a field: where it begins, in bits. */
  get offset(): number {
    return Number(clang().clang_Cursor_getOffsetOfField(this.#raw));
  }
  get isMacroWithParameters(): boolean {
    return clang().clang_Cursor_isMacroFunctionLike(this.#raw) !== 0;
  }
  /** The constant that a variable begins with, if clang can say. */
  get constant(): number | bigint | string | undefined {
    const found = clang().clang_Cursor_Evaluate(this.#raw);
    if (found === null) return undefined;
    try {
      switch (clang().clang_EvalResult_getKind(found)) {
        case 1:
          return clang().clang_EvalResult_isUnsignedInt(found) !== 0
            ? clang().clang_EvalResult_getAsUnsigned(found)
            : clang().clang_EvalResult_getAsLongLong(found);
        case 2:
          return clang().clang_EvalResult_getAsDouble(found);
        case 4:
          return clang().clang_EvalResult_getAsStr(found) ?? undefined;
        default:
          return undefined;
      }
    } finally {
      clang().clang_EvalResult_dispose(found);
    }
  }
  /** What is directly in it. Clang waits in its own walk while somebody looks at one of them. */
  *children(): Generator<Cursor, void, void> {
    const visit = clang().clang_visitChildren;
    for (const { args: [cursor], reply } of visit.calls(this.#raw, null)) {
      yield new Cursor(cursor);
      reply(CONTINUE);
    }
  }

  /** The tokens, of a macro those of its definition. */
  tokens(unit: Unit): string[] {
    const [list, count] = [new BigUint64Array(1), new Uint32Array(1)];
    const range = clang().clang_getCursorExtent(this.#raw);
    clang().clang_tokenize(unit.pointer, range, list, count);
    const pointer = Deno.UnsafePointer.create(list[0]!);
    if (pointer === null) return [];
    const one = (_: unknown, i: number) => {
      const token = Token.read(new PointerView(pointer).add(i * Token.size));
      return take(clang().clang_getTokenSpelling(unit.pointer, token));
    };
    const tokens = Array.from({ length: count[0]! }, one);
    clang().clang_disposeTokens(unit.pointer, pointer, count[0]!);
    return tokens;
  }
}

/** C that has been read. */
export class Unit implements Disposable {
  readonly #index = clang().clang_createIndex(0, 0);
  readonly pointer: Deno.PointerObject;

  /**
   * Reads the first of `files`, which are in memory, by their names; the others may be included.
   * `args` are as for the compiler, `options` of `enum CXTranslationUnit_Flags`.
   */
  constructor(files: Readonly<Record<string, string>>, args: readonly string[], options: number) {
    const all = Object.entries(files);
    const Files = struct({ all: [UnsavedFile, all.length] });
    const memory = new Uint8Array(Files.size);
    const encoder = new TextEncoder();
    Files.write(memory, {
      all: all.map(([name, contents]) => {
        return { name, contents, length: encoder.encode(contents).length };
      }),
    });
    const Arguments = struct({ all: ["cstring", args.length] });
    const list = new Uint8Array(Arguments.size);
    Arguments.write(list, { all: args });
    const parse = clang().clang_parseTranslationUnit;
    const [name] = all[0]!;
    const unit = parse(this.#index, name, list, args.length, memory, all.length, options);
    if (unit === null) {
      clang().clang_disposeIndex(this.#index);
      throw new Error(`Clang cannot read C with the arguments ${args.join(" ")}`);
    }
    this.pointer = unit;
  }

  get root(): Cursor {
    return new Cursor(clang().clang_getTranslationUnitCursor(this.pointer));
  }

  /** What clang says is wrong. */
  get errors(): string[] {
    const ERROR = 3;
    const errors: string[] = [];
    const count = clang().clang_getNumDiagnostics(this.pointer);
    for (let i = 0; i < count; i++) {
      const diagnostic = clang().clang_getDiagnostic(this.pointer, i);
      if (clang().clang_getDiagnosticSeverity(diagnostic) >= ERROR) {
        const WITH_PLACE = 1 | 2; // the line, and the column
        errors.push(take(clang().clang_formatDiagnostic(diagnostic, WITH_PLACE)));
      }
      clang().clang_disposeDiagnostic(diagnostic);
    }
    return errors;
  }

  [Symbol.dispose](): void {
    clang().clang_disposeTranslationUnit(this.pointer);
    clang().clang_disposeIndex(this.#index);
  }
}
