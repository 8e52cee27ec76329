// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * The TypeScript module for C headers: a table for `dlopen`, callbacks, layouts, constants.
 *
 * @module
 */

import { type Cursor, Unit } from "./clang.ts";
import { FOLDER, headers as ofCompiler } from "./headers.ts";
import {
  assigned,
  cleaned,
  Declared,
  documented,
  functionOf,
  inBackticks,
  indented,
  list,
  type NamedLayout,
  namesIn,
  Translator,
  Untranslatable,
  wrapped,
} from "./translate.ts";

/** What is to be read. */
export interface BindingsOptions {
  /** As in `#include "…"`. */
  readonly headers: readonly string[];
  /** What names have to match, of functions and constants. */
  readonly symbols?: RegExp | undefined;
  /** Arguments for clang: `-I…`, `-D…`. */
  readonly args?: readonly string[];
  /** Whether the header's comments are to be in the module. */
  readonly comments?: boolean | undefined;
  /** The arguments of the command, which the module begins with; else the headers. */
  readonly command?: readonly string[] | undefined;
}

/** A module, and what it has. */
export interface Bindings {
  readonly text: string;
  readonly functions: readonly string[];
  readonly layouts: readonly NamedLayout[];
}

/** `enum CXTranslationUnit_Flags`: with macros; without what is in functions; beyond errors. */
const MACROS = 0x1;
const NO_BODIES = 0x40;
const KEEP_GOING = 0x200;

/** All comments count, also those of the system's headers. */
const COMMENTS = ["-fparse-all-comments", "-fretain-comments-from-system-headers"];

const OWN_HEADERS = ["-nobuiltininc", `-idirafter${FOLDER}`];

/** The file that includes the headers. It is in memory only. */
const MAIN = "fringe_bindings.c";

/** Every name. */
const ALL = /^/;

/** An argument as a shell takes it, on one line. */
function shellWord(argument: string): string {
  if (/^[\w./:=+-]+$/.test(argument)) return argument;
  // deno-lint-ignore no-control-regex -- they would end the comment, or not be seen in it
  const unseen = /[\x00-\x1f\x7f-\x9f\u2028\u2029]/g;
  if (!unseen.test(argument)) return `'${argument.replaceAll("'", "'\\''")}'`;
  const code = (char: string) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`;
  return `$'${argument.replaceAll(/[\\']/g, "\\$&").replaceAll(unseen, code)}'`;
}

/** What a module begins with: the command, broken between its arguments alone, and what to do. */
function headOf(command: readonly string[]): string {
  const lines = ["// Made by fringe's bindings"];
  for (const word of command.map(shellWord)) {
    if (lines.at(-1)!.length + word.length < 100) lines.push(`${lines.pop()} ${word}`);
    else lines.push(`// ${word}`);
  }
  return `${lines.join("\n")}
//
// \`dlopen(library, symbols)\` opens all of them; --symbols chooses. Questions are to be answered
// where the table is used: "stop?" is by which answer a callback tells C to end early, "errno?" is
// whether the function sets errno, "kept?" is whether C calls the function only until it returns:
// else say "function", and pass a \`Callback\`. Behind dots stand what a call passes there.
`;
}

/** What clang is given to read, the main file first. */
function filesFor(main: string): Record<string, string> {
  const own = Object.entries(ofCompiler).map(([name, text]) => [`${FOLDER}/${name}`, text]);
  return { [MAIN]: main, ...Object.fromEntries(own) };
}

/** Reads headers, and writes the module. */
export function bindings(options: BindingsOptions): Bindings {
  const { headers, symbols = ALL, args = [], comments = true } = options;
  const includes = headers.map((header) => `#include "${header}"\n`).join("");
  const all = [
    "-xc",
    "-w",
    "-ferror-limit=0",
    "-D_GNU_SOURCE",
    ...COMMENTS,
    ...OWN_HEADERS,
    ...args,
  ];
  using unit = new Unit(filesFor(includes), all, MACROS | NO_BODIES | KEEP_GOING);
  const [error] = unit.errors;
  if (error !== undefined) throw new Error(`Cannot read ${headers.join(", ")}: ${error}`);
  const reader = new Reader(headers, symbols, comments ? cleaned : () => "");
  for (const cursor of unit.root.children()) reader.read(cursor, unit);
  reader.readLast();
  const macros = constantsOf(includes, reader.macros, all);
  return {
    ...reader.written(options.command ?? headers, macros),
    layouts: reader.translator.layouts,
  };
}

/** Finds the values of macros: clang makes variables of them, and says what those begin with. */
function constantsOf(
  includes: string,
  macros: readonly string[],
  args: readonly string[],
): Map<string, number | bigint | string> {
  const found = new Map<string, number | bigint | string>();
  const variables = macros.map((name, i) => `static __auto_type fringe_${i} = ${name};\n`);
  using unit = new Unit(filesFor(includes + variables.join("")), args, KEEP_GOING);
  for (const cursor of unit.root.children()) {
    if (cursor.kind !== Declared.VARIABLE) continue;
    const [, index] = /^fringe_(\d+)$/.exec(cursor.name) ?? [];
    const value = index === undefined ? undefined : cursor.constant;
    if (value !== undefined) found.set(macros[Number(index)]!, value);
  }
  return found;
}

/** A constant as TypeScript has it: an integer is a number where it is safe, else a bigint. */
function literal(value: number | bigint | string): string {
  if (typeof value !== "bigint") {
    return typeof value === "number" ? `${value}` : stringLiteral(value);
  }
  return Number.isSafeInteger(Number(value)) ? `${value}` : `${value}n`;
}

/** A string in the quotes that it has fewer of, as `deno fmt` writes them. */
function stringLiteral(value: string): string {
  const inDouble = JSON.stringify(value);
  if (value.split('"').length <= value.split("'").length) return inDouble;
  return `'${inDouble.slice(1, -1).replaceAll('\\"', '"').replaceAll("'", "\\'")}'`;
}

/** Lines of an object. */
function inBraces(lines: string): string {
  return lines === "" ? "{}" : `{\n${indented(lines)}}`;
}

/** A note with a list of names; none without any. */
function noteOf(what: string, names: readonly string[]): string[] {
  return names.length === 0 ? [] : [`${what}: ${names.join(" ")}`];
}

interface FunctionEntry {
  readonly name: string;
  readonly end: number;
  readonly file: string;
  comment: string;
  readonly prototype: string;
  readonly questions: readonly string[];
  readonly items: readonly string[];
}

/** The folder of a file, with the slash. */
function folderOf(file: string): string {
  return file.replace(/[^/]*$/, "");
}

/** Goes through declarations one by one. */
class Reader {
  readonly translator: Translator;
  readonly macros: string[] = [];
  readonly #headers: readonly string[];
  readonly #symbols: RegExp;
  /** The files that were asked for, and those below folders of theirs. */
  readonly #files: string[] = [];
  readonly #isOwn = new Map<string, boolean>();
  /** Files that are a part of one that was asked for. */
  readonly #parts = new Set<string>();
  /** Files that include features.h: those of the C library. */
  readonly #ofLibc = new Set<string>();
  readonly #functions = new Map<string, FunctionEntry>();
  readonly #variables = new Map<string, string>();
  readonly #records: Cursor[] = [];
  readonly #typedefs: Cursor[] = [];
  readonly #enums: Cursor[] = [];
  readonly #failures: string[] = [];
  readonly #macrosWithParameters: string[] = [];
  #last: FunctionEntry | undefined;

  constructor(headers: readonly string[], symbols: RegExp, commentOf: (comment: string) => string) {
    this.translator = new Translator(commentOf);
    this.#headers = headers;
    this.#symbols = symbols;
  }

  /** Whether a file was asked for: by its name, or since it belongs to one that was. */
  #owns(file: string): boolean {
    if (this.#parts.has(file)) return true;
    const known = this.#isOwn.get(file);
    if (known !== undefined) return known;
    const owns = this.#files.some((own, i) => {
      if (file === own) return true;
      // curl/curl.h has all of curl/, glib.h all of glib/.
      const folder = folderOf(own);
      const isBelow = /^[^./].*\//.test(this.#headers[i]!) && file.startsWith(folder);
      return isBelow || file.startsWith(`${own.replace(/\.\w+$/, "")}/`);
    });
    this.#isOwn.set(file, owns);
    return owns;
  }

  read(cursor: Cursor, unit: Unit): void {
    const { kind } = cursor;
    if (kind === Declared.TYPEDEF) this.translator.learn(cursor);
    const { file } = cursor.begin;
    if (kind === Declared.INCLUDE) {
      const { includedFile } = cursor;
      if (file === MAIN) {
        this.#files.push(includedFile);
        this.#isOwn.clear();
      } else if (/\bfeatures\.h$/.test(cursor.name)) {
        this.#ofLibc.add(file);
      }
      // A part of it, as `bits/` is of libc's headers, and what it takes from beside it by quotes.
      const isOfLibc = this.#ofLibc.has(file) || this.#parts.has(file);
      const isPart = isOfLibc && /\/bits\//.test(includedFile) ||
        cursor.tokens(unit).at(-1)?.startsWith('"') && folderOf(includedFile) === folderOf(file);
      if (isPart && this.#owns(file)) this.#parts.add(includedFile);
    }
    if (!this.#owns(file)) return;
    if (kind === Declared.MACRO) this.#readMacro(cursor, unit);
    else if (kind === Declared.FUNCTION) this.#readFunction(cursor, file);
    else if (kind === Declared.VARIABLE) this.#readVariable(cursor);
    else if (kind === Declared.STRUCT || kind === Declared.UNION) this.#records.push(cursor);
    else if (kind === Declared.ENUM) this.#enums.push(cursor);
    else if (kind === Declared.TYPEDEF) this.#typedefs.push(cursor);
  }

  #readMacro(cursor: Cursor, unit: Unit): void {
    const { name } = cursor;
    if (!this.#symbols.test(name) || name.startsWith("_")) return;
    if (cursor.isMacroWithParameters) {
      this.#macrosWithParameters.push(name);
      return;
    }
    const tokens = cursor.tokens(unit).slice(1);
    // `#define NAME NAME` says that an enum has it.
    if (tokens.join() === name) return;
    const isExpression = tokens.length > 0 && tokens.every((token) => !/^[{};,=#]$/.test(token));
    if (isExpression && !this.macros.includes(name)) this.macros.push(name);
  }

  #readFunction(cursor: Cursor, file: string): void {
    const { name } = cursor;
    if (!this.#symbols.test(name) || this.#functions.has(name) || cursor.isStatic) return;
    const { comment, type, begin, end } = cursor;
    const isBefore = comment.text !== "" && comment.end >= begin.line - 1;
    // A comment that follows a declaration without an empty line is about that one.
    if (!isBefore && comment.text !== "" && this.#last?.file === file) {
      if (comment.begin <= this.#last.end + 1) {
        this.#last.comment ||= this.translator.commentOf(comment.text);
      }
    }
    const prototype = cursor.printed.replace(/^extern /, "").replaceAll(/\s+/g, " ").replaceAll(
      / ?__attribute__\(\(.*?\)\)(?=$| __attr|;)/g,
      "",
    );
    try {
      const names = namesIn(cursor);
      const items = this.translator.signature(type, names, false, name);
      const text = isBefore ? this.translator.commentOf(comment.text) : "";
      const questions: string[] = [];
      if (items.join().includes("callback:")) questions.push("kept?", "stop?");
      if (this.#ofLibc.has(file) || isBefore && /\berrno\b/.test(comment.text)) {
        questions.push("errno?");
      }
      if (type.isVariadic) {
        items.push(`variadic: ${names.length}`);
        questions.push("add the types behind the dots");
      }
      this.#last = { name, end: end.line, file, comment: text, prototype, questions, items };
      this.#functions.set(name, this.#last);
    } catch (error) {
      if (!(error instanceof Untranslatable)) throw error;
      this.#failures.push(`${prototype}: ${error.message}`);
    }
  }

  #readVariable(cursor: Cursor): void {
    const { name, printed } = cursor;
    if (!this.#symbols.test(name) || cursor.isStatic) return;
    // What is no scalar is the address of the variable.
    let type = '"pointer"';
    try {
      const { text } = this.translator.type(cursor.type, "result");
      if (/^"(?!cstring|function)/.test(text)) type = text;
    } catch (error) {
      if (!(error instanceof Untranslatable)) throw error;
    }
    this.#variables.set(name, `${documented(inBackticks(printed))}${name}: { type: ${type} },\n`);
  }

  /** Reads what needs the typedefs that follow it. */
  readLast(): void {
    for (const cursor of this.#records) {
      const { type } = cursor;
      const name = this.translator.nameOf(type);
      if (name === "" || type.size <= 0 || !this.#symbols.test(name)) continue;
      this.translator.record(type);
    }
    for (const { name, type } of this.#typedefs) {
      if (this.#symbols.test(name) && functionOf(type) !== undefined) {
        this.translator.callback(type);
      }
    }
  }

  /** The constants of the enums. */
  #writtenEnums(): string[] {
    const texts: string[] = [];
    const seen = new Set<string>();
    for (const cursor of this.#enums) {
      const isUnsigned = cursor.integerType.canonical.spelling.startsWith("unsigned");
      const constants: [name: string, value: string, comment: string][] = [];
      for (const child of cursor.children()) {
        if (child.kind !== Declared.ENUM_CONSTANT) continue;
        constants.push([
          child.name,
          literal(child.value(isUnsigned)),
          this.translator.commentOf(child.comment.text),
        ]);
      }
      const name = this.translator.nameOf(cursor.type);
      const isAsked = [name, ...constants.map(([name]) => name)].some((name) =>
        name !== "" && this.#symbols.test(name)
      );
      if (!isAsked || constants.length === 0 || seen.has(constants[0]![0])) continue;
      seen.add(constants[0]![0]);
      const isNamed = name !== "";
      const one = ([name, value, comment]: readonly string[]) =>
        documented(comment!) +
        (isNamed
          ? assigned(`${name}:`, `${value},`, 98)
          : assigned(`export const ${this.translator.claim(name!)} =`, `${value};`, 100));
      const lines = constants.map(one).join("");
      const doc = documented(this.translator.commentOf(cursor.comment.text));
      const open = `${doc}export const ${isNamed ? this.translator.claim(name) : ""} = {\n`;
      texts.push(isNamed ? `${open}${indented(lines)}} as const;` : lines.trimEnd());
    }
    return texts;
  }

  #writtenFunction(entry: FunctionEntry): string {
    const { name, comment, prototype, questions, items } = entry;
    const doc = documented(`${comment}${comment && "\n\n"}${inBackticks(prototype)}`);
    const question = questions.length > 0 ? `// ${questions.join(" ")}\n` : "";
    return `${question}${doc}${list(`${name}: { `, items, " },", 98)}\n`;
  }

  written(
    command: readonly string[],
    values: ReadonlyMap<string, number | bigint | string>,
  ): Omit<Bindings, "layouts"> {
    const constants = [...values].map(([name, value]) =>
      assigned(`export const ${this.translator.claim(name)} =`, `${literal(value)};`, 100)
    ).join("");
    const enums = this.#writtenEnums();
    const functions = [...this.#functions.values()];
    const table = [
      ...this.#variables.values(),
      ...functions.map((entry) => this.#writtenFunction(entry)),
    ].join("");
    const missing = this.macros.filter((name) => !values.has(name));
    const notes = [
      ...this.#failures,
      ...noteOf("macros that are no constants", missing),
      ...noteOf("macros with parameters", this.#macrosWithParameters),
    ].map((note) => `// ${wrapped(note, 95).join("\n//   ")}\n`).join("");
    const { exported } = this.translator;
    const used = ["struct", "union"].filter((word) =>
      exported.some((text) => new RegExp(`\\b${word}\\(\\{`).test(text))
    );
    if (`${constants}${enums.join("")}${exported.join("")}${table}` === "") {
      if (this.#failures.length > 0) {
        throw new Error(`Cannot make bindings: ${this.#failures.join("; ")}`);
      }
      const asked = this.#symbols === ALL ? "" : ` that ${this.#symbols} matches`;
      throw new Error(
        `Cannot make bindings: ${this.#headers.join(", ")} itself declares nothing${asked}; name ` +
          "the header that does, which it may include",
      );
    }
    const parts = [
      headOf(command),
      used.length > 0 ? `import { ${used.join(", ")} } from "fringe";\n` : "",
      constants,
      ...enums.map((text) => `${text}\n`),
      ...exported.map((text) => `${text}\n`),
      `/** What \`dlopen\` takes. */\nexport const symbols = ${inBraces(table)} as const;\n`,
      notes && `// What is left out, and why:\n//\n${notes}`,
    ];
    return {
      text: parts.filter((part) => part !== "").join("\n"),
      functions: functions.map(({ name }) => name),
    };
  }
}
