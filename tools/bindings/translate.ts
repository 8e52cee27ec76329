// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Types of C as fringe writes them: what stands in a table, callbacks, and layouts.
 *
 * @module
 */

import { type FieldDefinition, type Layout, type LayoutOptions, struct, union } from "../../mod.ts";
import type { Cursor, Type } from "./clang.ts";

/** Why something of C cannot be said in a table. */
export class Untranslatable extends Error {
  override name = "Untranslatable";
}

/** `enum CXTypeKind`, of canonical types. */
const Kind = {
  ...{ VOID: 2, BOOL: 3, CHAR_U: 4, CHAR_S: 13, FLOAT: 21, DOUBLE: 22, POINTER: 101 },
  ...{ RECORD: 105, ENUM: 106, NO_PROTO: 110, PROTO: 111, ARRAY: 112, OPEN_ARRAY: 114 },
} as const;
/** `enum CXTypeKind`, integers: signed and unsigned ones of up to 64 bits. */
const UNSIGNED = new Set([5, 6, 7, 8, 9, 10, 11]);
const SIGNED = new Set([14, 15, 16, 17, 18, 19]);
/** `enum CXCursorKind`. */
export const Declared = {
  ...{ STRUCT: 2, UNION: 3, ENUM: 5, ENUM_CONSTANT: 7, FUNCTION: 8, VARIABLE: 9, PARAMETER: 10 },
  ...{ TYPEDEF: 20, MACRO: 501, INCLUDE: 503 },
} as const;

/** What TypeScript reserves and C does not. */
const RESERVED: ReadonlySet<string> = new Set([
  ...["arguments", "await", "catch", "class", "debugger", "default", "delete", "eval", "export"],
  ...["extends", "false", "finally", "function", "implements", "import", "in", "instanceof"],
  ...["interface", "let", "new", "null", "package", "private", "protected", "public", "super"],
  ...["this", "throw", "true", "try", "typeof", "var", "with", "yield"],
]);

/** Types that are known by their names. */
const NAMED: Readonly<Record<string, string>> = {
  ...{ size_t: "usize", uintptr_t: "usize", gsize: "usize" },
  ...{ ssize_t: "isize", ptrdiff_t: "isize", intptr_t: "isize", gssize: "isize" },
};

/** Where a type stands: what C is given in a call, what it gives, and what lies in memory. */
type Use = "parameter" | "result" | "passed" | "answer" | "field";

/** What stands in TypeScript for a type: the text, and of what is in layouts the value. */
interface Translated {
  readonly text: string;
  readonly value: FieldDefinition;
}

/** A layout that the module exports. */
export interface NamedLayout {
  readonly name: string;
  /** As C says it. */
  readonly type: string;
  readonly layout: Layout;
  /** The fields that C has by the same name. */
  readonly fields: readonly string[];
}

interface Part extends Translated {
  readonly name: string;
  readonly offset: number;
  readonly size: number;
  /** Whether C has a field of this name. */
  readonly isNamed: boolean;
  readonly comment: string;
  /** Of a function pointer: the callback that C calls by it. */
  readonly called?: string | undefined;
}

const word = (type: string): Translated => ({
  text: JSON.stringify(type),
  value: type as FieldDefinition,
});
const bytes = (count: number): Translated => ({
  text: `["u8", ${count}]`,
  value: ["u8", count],
});

/** Whether an integer of this name says how long what stands before it is. */
const isLength = (name: string): boolean =>
  /len|size|count|^n$|^n[A-Z_]|^n?bytes?$|^num/i.test(name);

/** `open…close` on one line where that has `room`, else with a line for each item. */
export function list(open: string, items: readonly string[], close: string, room = 100): string {
  const line = `${open}${items.join(", ")}${close}`;
  if (line.length <= room && !line.includes("\n")) return line;
  const lines = items.map((item) => indented(`${item},\n`)).join("");
  return `${open.trimEnd()}\n${lines}${close.trimStart()}`;
}

/** Text with two spaces before each of its lines. */
export function indented(text: string): string {
  return text.replace(/^(?=.)/gm, "  ");
}

/** Lines of words, each as long as it may be. */
export function wrapped(text: string, width: number): string[] {
  const lines = [""];
  for (const word of text.split(" ")) {
    const last = lines.at(-1)!;
    if (last !== "" && last.length + word.length >= width) lines.push(word);
    else lines[lines.length - 1] = last === "" ? word : `${last} ${word}`;
  }
  return lines;
}

/** A declaration of C's for a comment, on as many lines as it takes. */
export function inBackticks(declaration: string): string {
  return wrapped(`\`${declaration}\``, 94).join("\n");
}

/** Text as a comment of TypeScript. */
export function documented(text: string): string {
  if (text === "") return "";
  const lines = text.replaceAll("*/", "*\\/").split("\n");
  if (lines.length === 1 && text.length < 90) return `/** ${lines[0]} */\n`;
  return `/**\n${lines.map((line) => ` * ${line}`.trimEnd() + "\n").join("")} */\n`;
}

/** What stands on the left and on the right of a sign, on two lines if one is too short. */
export function assigned(left: string, right: string, room: number): string {
  return left.length + right.length < room ? `${left} ${right}\n` : `${left}\n  ${right}\n`;
}

/** What a comment of C says. */
export function cleaned(comment: string): string {
  const lines = comment.replace(/^\/\*[*!<]*/, "").replace(/\**\*\/$/, "").split("\n");
  const texts = lines.map((line) => line.replace(/^\s*(?:\/\/[/!]?|\*+)? ?/, "").trimEnd());
  return texts.join("\n").replace(/^\n+|\n+$/g, "").replace(/\n{3,}/g, "\n\n").trim();
}

/** Translates types, and collects what the module has to export for them. */
export class Translator {
  /** The text of layouts and callbacks, each after what it is made of. */
  readonly exported: string[] = [];
  readonly layouts: NamedLayout[] = [];
  readonly #names = new Set<string>(["symbols", "struct", "union"]);
  readonly #records = new Map<string, Translated>();
  readonly #callbacks = new Map<string, string>();
  readonly #typedefs = new Map<string, string>();
  /** What the module has of a comment of C's. */
  readonly commentOf: (comment: string) => string;

  constructor(commentOf: (comment: string) => string) {
    this.commentOf = commentOf;
  }

  /** Remembers that `typedef` names a struct, a union or an enum. */
  learn(typedef: Cursor): void {
    const { underlying } = typedef;
    const { canonical } = underlying;
    if (canonical.kind !== Kind.RECORD && canonical.kind !== Kind.ENUM) return;
    const { spelling } = canonical;
    if (!this.#typedefs.has(spelling)) this.#typedefs.set(spelling, typedef.name);
  }

  /** A name for an export that nothing else has, and that TypeScript allows. */
  claim(name: string): string {
    let free = RESERVED.has(name) ? `${name}_` : name;
    while (this.#names.has(free)) free += "_";
    this.#names.add(free);
    return free;
  }

  /** The name of a struct, a union or an enum: its typedef's, or its own; none has "". */
  nameOf(type: Type): string {
    const typedef = this.#typedefs.get(type.canonical.spelling);
    if (typedef !== undefined) return typedef;
    const { name } = type.declaration;
    return /^\w+$/.test(name) ? name : "";
  }

  /** What stands in a table for `type`. `next` is the name of an integer that follows, if any. */
  type(type: Type, use: Use, next = ""): Translated {
    const { canonical, spelling } = type;
    for (const name of typedefsOf(type)) {
      const named = NAMED[name];
      if (named !== undefined) return word(named);
    }
    if (canonical.spelling.includes("__va_list")) throw new Untranslatable("it has a va_list");
    const { kind, size } = canonical;
    if (UNSIGNED.has(kind)) return word(`u${8 * size}`);
    if (SIGNED.has(kind)) return word(`i${8 * size}`);
    switch (kind) {
      case Kind.BOOL:
        return word("bool");
      case Kind.CHAR_U:
      case Kind.CHAR_S:
        return word("char");
      case Kind.FLOAT:
        return word("f32");
      case Kind.DOUBLE:
        return word("f64");
      case Kind.ENUM:
        return this.type(canonical.declaration.integerType, use);
      case Kind.POINTER:
        return word(pointer(canonical.pointee, use, next));
      case Kind.RECORD:
        return this.record(canonical);
      case Kind.ARRAY:
      case Kind.OPEN_ARRAY:
        if (use !== "field") return word(pointer(canonical.element, use, next));
        return this.#array(canonical);
      default:
        throw new Untranslatable(`${spelling} is no type of fringe's`);
    }
  }

  #array({ element, count }: Type): Translated {
    if (count < 1) throw new Untranslatable("it is an array of none");
    let [inner, total] = [element.canonical, count];
    for (; inner.kind === Kind.ARRAY; inner = inner.element.canonical) total *= inner.count;
    const { text, value } = this.type(inner === element.canonical ? element : inner, "field");
    return { text: list("[", [text, `${total}`], "]"), value: [value, total] as FieldDefinition };
  }

  /**
   * The parameters and the result of a function, as a table has them. Exports what C calls by those
   * parameters that are a "function".
   */
  signature(type: Type, names: readonly string[], isCallback: boolean, of = ""): string[] {
    const { parameters, result } = type;
    const returned = result.canonical.kind === Kind.VOID
      ? '"void"'
      : this.type(result, isCallback ? "answer" : "result").text;
    if (isCallback && type.canonical.kind === Kind.NO_PROTO) {
      throw new Untranslatable("it has no prototype");
    }
    const kept: string[] = [];
    const texts = parameters.map((parameter, i) => {
      const following = parameters[i + 1]?.canonical.kind ?? 0;
      const isCounted = UNSIGNED.has(following) || SIGNED.has(following);
      // In a callback without names nobody knows: then C's memory is not taken for a string.
      const next = isCounted ? names[i + 1] || (isCallback ? "length" : "") : "";
      if (isCallback) return this.type(parameter, "passed", next).text;
      if (functionOf(parameter) === undefined) return this.type(parameter, "parameter", next).text;
      return this.#functionParameter(parameter, names[i] || `_${i}`, of, kept);
    });
    if (kept.length > 0) this.#exportFunctions(of, kept);
    return [list("parameters: [", texts, "]", 94), `result: ${returned}`];
  }

  /**
   * What stands in a table for a function pointer that is called `name` among the parameters of the
   * function `of`. Where C keeps it, what C calls is put into `kept`, unless the module has it by
   * the name of a typedef.
   */
  #functionParameter(type: Type, name: string, of: string, kept: string[]): string {
    // What C keeps has to be a `Callback`, which lives on. So does what may release something.
    const isRelease = looksLikeRelease(type);
    const isKept = isRelease ||
      /set|hook|handler|register|create|install|add|attach|bind|_new/i.test(of);
    const callback = this.callback(type, isKept ? 95 - name.length : undefined);
    if (callback !== undefined && !isKept) return `{ callback: ${callback} }`;
    if (callback !== undefined && !isRelease && typedefOf(type) === undefined) {
      kept.push(`${name}: ${callback}`);
    }
    return '"function"';
  }

  /**
   * What a function pointer calls: an exported name where C has a typedef, else the text, on one
   * line where that has `room`.
   */
  callback(type: Type, room = 90): string | undefined {
    const typedef = typedefOf(type);
    const name = typedef?.name ?? "";
    const known = this.#callbacks.get(name);
    if (known !== undefined) return known;
    const called = functionOf(type)!;
    let items: string[];
    try {
      items = this.signature(called, typedef === undefined ? [] : namesIn(typedef), true);
    } catch (error) {
      if (!(error instanceof Untranslatable)) throw error;
      return undefined;
    }
    if (called.isVariadic) items.push("variadic: true");
    if (typedef === undefined) return list("{ ", items, " }", room);
    const free = this.claim(name);
    this.#callbacks.set(name, free);
    const doc = documented(inBackticks(typedef.printed));
    const question = items.includes('result: "void"') ? "" : "// stop?\n";
    this.exported.push(
      `${question}${doc}${list(`export const ${free} = { `, items, " } as const;")}`,
    );
    return free;
  }

  /** The layout of a struct or a union, which is exported if it has a name. */
  record(type: Type): Translated {
    const { spelling } = type.canonical;
    const known = this.#records.get(spelling);
    if (known !== undefined) return known;
    if (type.size <= 0) throw new Untranslatable(`${spelling} is incomplete, or empty`);
    const isUnion = type.declaration.kind === Declared.UNION;
    const parts = this.#parts(type);
    const made = arranged(parts, isUnion, type);
    const name = this.nameOf(type);
    if (name === "") return { text: `${made.text}`, value: made.layout };
    const free = this.claim(name);
    const translated = { text: free, value: made.layout };
    this.#records.set(spelling, translated);
    const tagged = /^(?:struct|union) \w+$/.test(spelling) ? spelling : name;
    const fields = made.parts.filter(({ isNamed }) => isNamed).map(({ name }) => name);
    this.layouts.push({ name: free, type: tagged, layout: made.layout, fields });
    const comment = this.commentOf(type.declaration.comment.text);
    const doc = documented([...(comment ? [comment, ""] : []), `\`${tagged}\``].join("\n"));
    this.exported.push(`${doc}export const ${free} = ${made.text};`);
    const called = parts.filter(({ called }) => called !== undefined);
    if (called.length > 0) {
      this.#exportFunctions(free, called.map(({ name, called }) => `${name}: ${called}`));
    }
    return translated;
  }

  /** Exports what the function pointers of a struct, or of a function's parameters, call. */
  #exportFunctions(of: string, items: readonly string[]): void {
    const functions = this.claim(`${of}_functions`);
    const question = items.every((item) => item.includes('result: "void"')) ? "" : "// stop?\n";
    this.exported.push(
      `${question}/** What \`new Callback()\` takes for the functions of ${of}. */\n` +
        list(`export const ${functions} = { `, items, " } as const;"),
    );
  }

  /** What lies in a struct: fields, bit-fields as bytes, and what has no type as bytes. */
  #parts(type: Type): Part[] {
    const parts: Part[] = [];
    let bits: { begin: number; end: number; names: string[] } | undefined;
    const endBits = (): void => {
      if (bits === undefined) return;
      const [offset, end] = [bits.begin >> 3, (bits.end + 7) >> 3];
      const fields = wrapped(`bit-fields: ${bits.names.join(", ")}`, 90);
      const comment = fields.map((line) => `// ${line}`).join("\n");
      const name = `_bits${parts.length}`;
      parts.push({
        ...bytes(end - offset),
        name,
        offset,
        size: end - offset,
        isNamed: false,
        comment,
      });
      bits = undefined;
    };
    for (const field of type.fields()) {
      const { name, offset, bits: width } = field;
      if (width !== undefined) {
        if (bits !== undefined && offset >> 3 > (bits.end + 7) >> 3) endBits();
        bits ??= { begin: offset, end: offset, names: [] };
        [bits.begin, bits.end] = [Math.min(bits.begin, offset), Math.max(bits.end, offset + width)];
        bits.names.push(`${name || "unnamed"}: ${width}`);
        continue;
      }
      endBits();
      parts.push(this.#part(field, parts.length));
    }
    endBits();
    return parts;
  }

  #part(field: Cursor, index: number): Part {
    const isNamed = /^\w+$/.test(field.name);
    const name = isNamed ? field.name : `_${index}`;
    const { type } = field;
    const size = Math.max(0, type.size);
    const comment = this.commentOf(field.comment.text);
    const part = { name, offset: field.offset / 8, size, isNamed };
    const printed = field.printed.replaceAll(/\s+/g, " ");
    if (size === 0 || type.canonical.kind === Kind.OPEN_ARRAY) {
      return { ...part, ...bytes(0), size: 0, comment: `// ${printed}: as long as it is` };
    }
    const doc = documented(comment).trimEnd();
    try {
      if (functionOf(type) === undefined) {
        return { ...part, ...this.type(type, "field"), comment: doc };
      }
      const called = this.callback(type, 95 - name.length);
      const says = documented([inBackticks(printed), ...(comment ? ["", comment] : [])].join("\n"))
        .trimEnd();
      return { ...part, ...word("function"), comment: says, called };
    } catch (error) {
      if (!(error instanceof Untranslatable)) throw error;
      return { ...part, ...bytes(size), comment: `// ${printed}: ${error.message}` };
    }
  }
}

/** The names that typedefs give a type, from the outermost on. */
function* typedefsOf(type: Type): Iterable<string> {
  let { declaration } = type;
  for (; declaration.kind === Declared.TYPEDEF; { declaration } = declaration.underlying) {
    yield declaration.name;
  }
}

/** The names of the parameters that stand in a declaration. */
export function namesIn(declaration: Cursor): string[] {
  const names: string[] = [];
  for (const child of declaration.children()) {
    if (child.kind === Declared.PARAMETER) names.push(child.name);
  }
  return names;
}

/** The type of a function, or of the one that a pointer leads to, with the typedefs in it. */
export function functionOf(type: Type): Type | undefined {
  const { canonical } = type;
  const isPointer = canonical.kind === Kind.POINTER;
  if (!isFunction(isPointer ? canonical.pointee : canonical)) return undefined;
  const written = withoutTypedefs(type);
  if (!isPointer) return written;
  return written.kind === Kind.POINTER ? withoutTypedefs(written.pointee) : canonical.pointee;
}

/** The typedef that names a function or the pointer to it, if one does. */
function typedefOf(type: Type): Cursor | undefined {
  const own = type.declaration;
  if (own.kind === Declared.TYPEDEF) return own;
  const { declaration } = type.pointee;
  return declaration.kind === Declared.TYPEDEF ? declaration : undefined;
}

function withoutTypedefs(type: Type): Type {
  let written = type;
  while (written.declaration.kind === Declared.TYPEDEF) written = written.declaration.underlying;
  return written;
}

function isFunction({ kind }: Type): boolean {
  return kind === Kind.PROTO || kind === Kind.NO_PROTO;
}

/** Whether a function pointer may be there to release something: `void (*)(void *)`. */
function looksLikeRelease(type: Type): boolean {
  const { parameters: [first, ...others], result, isVariadic } = functionOf(type)!;
  return first?.canonical.spelling === "void *" && others.length === 0 && !isVariadic &&
    result.canonical.kind === Kind.VOID;
}

function pointer(pointee: Type, use: Use, next: string): string {
  const { kind, isConst } = pointee;
  if (isFunction(pointee)) return "function";
  const isData = kind !== Kind.RECORD && (kind !== Kind.VOID || isConst);
  if (isConst && (kind === Kind.CHAR_S || kind === Kind.CHAR_U) && !isLength(next)) {
    return "cstring";
  }
  return use === "parameter" && isData ? "buffer" : "pointer";
}

/** Finds how fringe lays the parts out as the compiler does, with padding where that is needed. */
function arranged(parts: readonly Part[], isUnion: boolean, type: Type) {
  const { size, alignment } = type;
  const packs = [undefined, 1, 2, 4, 8];
  for (const pack of packs) {
    for (const aligned of [undefined, alignment]) {
      const options: LayoutOptions = { pack, alignment: aligned };
      const all = isUnion ? parts.filter(({ size }) => size > 0) : padded(parts, size, options);
      if (all === undefined || all.length === 0) continue;
      const layout = layoutOf(all, isUnion, options);
      const fits = layout.size === size && layout.alignment === alignment &&
        all.every(({ name, offset }) => layout.offsetOf(name) === offset);
      const open = parts.filter(({ size }) => size === 0);
      if (fits) return { text: textOf(all, open, isUnion, options), layout, parts: all };
    }
  }
  const whole = { ...bytes(size), name: "bytes", offset: 0, size, isNamed: false };
  const all = [{ ...whole, comment: "// Its fields do not lie as fringe can arrange any." }];
  const options = { alignment };
  return {
    text: textOf(all, [], false, options),
    layout: layoutOf(all, false, options),
    parts: all,
  };
}

/** The parts of a struct with what is unused between them; `undefined` where one lies too early. */
function padded(parts: readonly Part[], size: number, options: LayoutOptions): Part[] | undefined {
  const all: Part[] = [];
  const pad = (offset: number, size: number): void => {
    const name = `_pad${all.length}`;
    all.push({ ...bytes(size), name, offset, size, isNamed: false, comment: "" });
  };
  let end = 0;
  let widest = options.alignment ?? 1;
  for (const part of parts) {
    if (part.size === 0) continue;
    const own = struct({ part: part.value }).alignment;
    const alignment = Math.min(own, options.pack ?? own);
    widest = Math.max(widest, alignment);
    const natural = Math.ceil(end / alignment) * alignment;
    if (part.offset < natural) return undefined;
    if (part.offset > natural) pad(end, part.offset - end);
    all.push(part);
    end = part.offset + part.size;
  }
  if (Math.ceil(end / widest) * widest < size) pad(end, size - end);
  return all;
}

function layoutOf(parts: readonly Part[], isUnion: boolean, options: LayoutOptions): Layout {
  const fields = Object.fromEntries(parts.map(({ name, value }) => [name, value]));
  return (isUnion ? union : struct)(fields, options);
}

function textOf(
  parts: readonly Part[],
  open: readonly Part[],
  isUnion: boolean,
  options: LayoutOptions,
): string {
  const lines = parts.map(({ name, text, comment }) =>
    `${comment === "" ? "" : `${comment}\n`}${name}: ${text},`
  );
  lines.push(...open.map(({ comment }) => comment));
  const chosen = Object.entries(options).filter(([, value]) => value !== undefined);
  const said = chosen.map(([name, value]) => `${name}: ${value}`).join(", ");
  const body = indented(lines.join("\n"));
  return `${isUnion ? "union" : "struct"}({\n${body}\n}${said && `, { ${said} }`})`;
}
