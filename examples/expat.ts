// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * libexpat as a pull parser: `for (const event of parse(file)) …` reads XML of any size in little
 * memory, and no more of it than the loop asks for.
 *
 * expat itself pushes: XML_Parse calls back for all that it finds, and returns when there is
 * nothing left. Here it runs on a stack of its own, and each of its callbacks that has an event
 * suspends it until the loop asks for the next.
 *
 * ```sh
 * deno run --allow-ffi examples/expat.ts
 * deno run --allow-ffi --allow-read=FILE examples/expat.ts FILE
 * ```
 *
 * It needs libexpat.so.1 (Debian's libexpat1). Without a file it prints something like
 *
 * ```text
 * 1. A catalogue of 50 MB, which is made up while it is parsed
 *    50.0 MB, 2,442,435 events in 2.3 s (21.8 MB/s)
 *    The commonest elements:
 *         152,652   book
 *         152,652   title
 *         152,652   year
 *         152,652   about
 *               1   catalogue
 *    Resident memory grew by 2.4 MB after the first 25 MB.
 *
 * 2. One without end, left at its third title
 *    Systems & their parts, volume 3, in the first 65,688 bytes
 *
 * 3. What is not well-formed, as far as it is
 *    { type: "start", name: "a", attributes: Map(0) {} }
 *    { type: "text", text: "\n  " }
 *    { type: "start", name: "b", attributes: Map(0) {} }
 *    XmlError: Cannot parse XML: line 2, column 12: mismatched tag
 * ```
 *
 * @module
 */

import { Callback, dlopen, Generator, OsStack, PointerView, type ScriptGenerator } from "fringe";

/** libexpat 2. Each declaration is beside its C prototype; `XML_Char` is `char`, and UTF-8. */
export const expat = dlopen("libexpat.so.1", {
  // XML_Parser XML_ParserCreate(const XML_Char *encoding)
  XML_ParserCreate: { parameters: ["cstring"], result: "pointer" },
  // void XML_ParserFree(XML_Parser parser)
  XML_ParserFree: { parameters: ["pointer"], result: "void" },
  // void XML_SetElementHandler(XML_Parser parser, XML_StartElementHandler start,
  //                            XML_EndElementHandler end)
  XML_SetElementHandler: { parameters: ["pointer", "function", "function"], result: "void" },
  // void XML_SetCharacterDataHandler(XML_Parser parser, XML_CharacterDataHandler handler)
  XML_SetCharacterDataHandler: { parameters: ["pointer", "function"], result: "void" },
  // enum XML_Status XML_Parse(XML_Parser parser, const char *s, int length, int isFinal)
  XML_Parse: { parameters: ["pointer", "buffer", "i32", "i32"], result: "i32" },
  // void *XML_GetBuffer(XML_Parser parser, int length)
  XML_GetBuffer: { parameters: ["pointer", "i32"], result: "pointer" },
  // enum XML_Status XML_ParseBuffer(XML_Parser parser, int length, int isFinal)
  XML_ParseBuffer: { parameters: ["pointer", "i32", "i32"], result: "i32" },
  // enum XML_Status XML_StopParser(XML_Parser parser, XML_Bool resumable)
  XML_StopParser: { parameters: ["pointer", "bool"], result: "i32" },
  // enum XML_Error XML_GetErrorCode(XML_Parser parser)
  XML_GetErrorCode: { parameters: ["pointer"], result: "i32" },
  // const XML_LChar *XML_ErrorString(enum XML_Error code)
  XML_ErrorString: { parameters: ["i32"], result: "cstring" },
  // XML_Size XML_GetCurrentLineNumber(XML_Parser parser), and `XML_Size` is `unsigned long`
  XML_GetCurrentLineNumber: { parameters: ["pointer"], result: "u64" },
  // XML_Size XML_GetCurrentColumnNumber(XML_Parser parser)
  XML_GetCurrentColumnNumber: { parameters: ["pointer"], result: "u64" },
}).symbols;

/** The handlers that expat calls. With `stop` they let it run to where `XML_StopParser` ends it. */
export const handlers = {
  // void (*XML_StartElementHandler)(void *userData, const XML_Char *name,
  //                                 const XML_Char **attributes)
  start: { parameters: ["pointer", "cstring", "pointer"], result: "void", stop: undefined },
  // void (*XML_EndElementHandler)(void *userData, const XML_Char *name)
  end: { parameters: ["pointer", "pointer"], result: "void", stop: undefined },
  // void (*XML_CharacterDataHandler)(void *userData, const XML_Char *s, int length)
  text: { parameters: ["pointer", "pointer", "i32"], result: "void", stop: undefined },
} as const;

const XML_STATUS_OK = 1;

/** How many bytes expat is given at once. */
const CHUNK = 64 * 1024;

/** As much as a program has. Before 2.7, expat takes the more of it the deeper entities nest. */
const STACK = 8 * 1024 * 1024;

/** What is found in a document, in its order. */
export type XmlEvent =
  | { readonly type: "start"; readonly name: string; readonly attributes: Attributes }
  | { readonly type: "end"; readonly name: string }
  /** All the text between two tags: references are resolved, CDATA sections are part of it. */
  | { readonly type: "text"; readonly text: string };

/** The attributes of an element, by name, in their order. */
export type Attributes = ReadonlyMap<string, string>;

/** A path, or the bytes of a document in pieces of any size. */
export type Source = string | URL | Iterable<Uint8Array<ArrayBuffer>>;

/** What is not well-formed, and where. */
export class XmlError extends Error {
  override readonly name = "XmlError";

  constructor(
    /** What expat says. */
    readonly reason: string,
    /** Counted from 1. */
    readonly line: number,
    /** Counted from 1, in characters. */
    readonly column: number,
  ) {
    super(`Cannot parse XML: line ${line}, column ${column}: ${reason}`);
  }
}

/**
 * Parses a document. Nothing is read before the first event is asked for. All is given back when
 * the loop ends, however it does, or else when the iterator has become garbage.
 *
 * It takes memory for what is open at the moment: 64 KiB of input, the names of the elements
 * around, one text.
 *
 * @throws {XmlError} If the document is not well-formed; what lies before that is parsed first.
 */
export function parse(source: Source): ScriptGenerator<XmlEvent, void, void> {
  const events = new Generator(new OsStack(STACK), function* (yielder): Events {
    const parser = expat.XML_ParserCreate(null);
    if (parser === null) throw new Error("Cannot parse XML: no memory is left");
    using resources = new DisposableStack();
    resources.defer(() => expat.XML_ParserFree(parser));

    // What is yielded here leaves expat, which waits in its callback, and goes to whoever pulls.
    function* emit(event: XmlEvent): Events {
      let goesOn = false;
      try {
        if (text.length > 0) yield { type: "text", text: text.take() };
        yield event;
        goesOn = true;
      } finally {
        if (!goesOn) expat.XML_StopParser(parser, false);
      }
    }

    const names: string[] = [];
    using start = new Callback(handlers.start, (_userData, name, attributes) => {
      names.push(name!);
      return emit({ type: "start", name: name!, attributes: attributesAt(attributes!) });
    });
    // The name is the one that has been read at the start.
    using end = new Callback(handlers.end, () => emit({ type: "end", name: names.pop()! }));
    expat.XML_SetElementHandler(parser, start, end);

    // A text comes in pieces: each end of a line, each reference, whatever ends with a chunk.
    const text = new TextBuffer();
    using piece = new Callback(handlers.text, (_userData, s, length) => text.append(s!, length));
    expat.XML_SetCharacterDataHandler(parser, piece);

    for (const chunk of isPath(source) ? read(source) : source) {
      for (let at = 0; at < chunk.length; at += CHUNK) {
        const part = chunk.subarray(at, at + CHUNK);
        const buffer = expat.XML_GetBuffer(parser, part.length);
        if (buffer === null) throw failure(parser);
        new PointerView(buffer).copyFrom(part);
        const status = yield* yielder.call(expat.XML_ParseBuffer, parser, part.length, 0);
        if (status !== XML_STATUS_OK) throw failure(parser);
      }
    }
    const status = yield* yielder.call(expat.XML_Parse, parser, null, 0, 1);
    if (status !== XML_STATUS_OK) throw failure(parser);
  });

  // The iterator is nothing that `events` knows of: so it can be dropped, and be found garbage.
  const iterator = (function* (): Events {
    try {
      using running = events;
      yield* running;
    } finally {
      dropped.unregister(events);
    }
  })();
  dropped.register(iterator, events, events);
  return iterator;
}

/** Disposes of the generators whose iterators are garbage; of itself their `finally` never runs. */
const dropped = new FinalizationRegistry<Disposable>((events) => events[Symbol.dispose]());

type Events = ScriptGenerator<XmlEvent, void, void>;

/** Why a parser has stopped. */
export function failure(parser: Deno.PointerObject): XmlError {
  return new XmlError(
    expat.XML_ErrorString(expat.XML_GetErrorCode(parser)) ?? "unknown error",
    Number(expat.XML_GetCurrentLineNumber(parser)),
    Number(expat.XML_GetCurrentColumnNumber(parser)) + 1,
  );
}

const NONE: Attributes = new Map();

/** Reads what expat passes for attributes: a name, its value, a name, its value, NULL. */
export function attributesAt(list: Deno.PointerObject): Attributes {
  const view = new PointerView(list);
  let name = view.getPointer();
  if (name === null) return NONE;
  const attributes = new Map<string, string>();
  for (let offset = 0; name !== null; name = view.getPointer(offset += 16)) {
    const value = view.getPointer(offset + 8)!;
    attributes.set(new PointerView(name).getCString(), new PointerView(value).getCString());
  }
  return attributes;
}

/** Up to how many bytes are read one by one, which takes less time: most are the end of a line. */
const SHORT = 8;

/** Joins the pieces of a text. */
export class TextBuffer {
  #bytes = new Uint8Array(1024);
  #view = PointerView.of(this.#bytes);
  /** How many bytes are in it. */
  length = 0;

  /** Appends a piece. */
  append(s: Deno.PointerObject, length: number): void {
    const end = this.length + length;
    if (end >= this.#bytes.length) this.#grow(end);
    const view = new PointerView(s);
    if (length > SHORT) view.copyInto(this.#bytes.subarray(this.length, end));
    else for (let i = 0; i < length; i++) this.#bytes[this.length + i] = view.getUint8(i);
    this.length = end;
  }

  /** Takes all of it out. */
  take(): string {
    // No character of XML is U+0000, so it can be read as a string of C, which takes less time than
    // a TextDecoder.
    this.#bytes[this.length] = 0;
    this.length = 0;
    return this.#view.getCString();
  }

  #grow(size: number): void {
    const bytes = new Uint8Array(2 * size);
    bytes.set(this.#bytes);
    this.#bytes = bytes;
    this.#view = PointerView.of(bytes);
  }
}

function isPath(source: Source): source is string | URL {
  return typeof source === "string" || source instanceof URL;
}

/** Reads a file, chunk by chunk; each is there until the next is read. */
export function* read(path: string | URL): Iterable<Uint8Array<ArrayBuffer>> {
  using file = Deno.openSync(path);
  const buffer = new Uint8Array(CHUNK);
  for (let length; (length = file.readSync(buffer)) !== null;) yield buffer.subarray(0, length);
}

/** A catalogue of so many bytes or a little more, made up chunk by chunk. */
export function* catalogue(bytes: number): Iterable<Uint8Array<ArrayBuffer>> {
  const encoder = new TextEncoder();
  let chunk = "<catalogue>\n";
  for (let book = 1, before = 0; before + chunk.length < bytes; book++) {
    chunk += `  <book id="b${book}" language="${book % 3 === 0 ? "de" : "en"}">
    <title>Systems &amp; their parts, volume ${book}</title>
    <year>${1900 + book % 120}</year>
    <about>
      Says in ${book % 7 + 2} chapters what its title promises, and not without a certain dryness.
      The reader is spared nothing: neither the history of the subject, nor the exercises.
    </about>
  </book>
`;
    if (chunk.length < CHUNK) continue;
    yield encoder.encode(chunk);
    before += chunk.length;
    chunk = "";
  }
  yield encoder.encode(`${chunk}</catalogue>\n`);
}

/** Measures what chunks go by, and says on stderr, at least every second, how far that has got. */
class Meter {
  readonly #start = performance.now();
  #next = this.#start + 1000;
  #warm = 0;
  #most = 0;
  bytes = 0;
  events = 0;

  *measure(chunks: Iterable<Uint8Array<ArrayBuffer>>): Iterable<Uint8Array<ArrayBuffer>> {
    const encoder = new TextEncoder();
    const isTerminal = Deno.stderr.isTerminal();
    const say = (line: string): void => {
      Deno.stderr.writeSync(encoder.encode(isTerminal ? `\r\x1b[K${line}` : `${line}\n`));
    };
    for (const chunk of chunks) {
      this.bytes += chunk.length;
      yield chunk;
      const { rss } = Deno.memoryUsage();
      if (this.bytes < 25e6) this.#warm = this.#most = rss;
      else this.#most = Math.max(this.#most, rss);
      if (performance.now() < this.#next) continue;
      this.#next += isTerminal ? 100 : 1000;
      say(String(this));
    }
    if (isTerminal) say("");
  }

  /** By how much the process has grown since the first 25 MB, in bytes. */
  get growth(): number {
    return this.#most - this.#warm;
  }

  toString(): string {
    const seconds = (performance.now() - this.#start) / 1000;
    const speed = `${megabytes(this.bytes / seconds)}/s`;
    const events = `${this.events.toLocaleString("en")} events`;
    return `${megabytes(this.bytes)}, ${events} in ${seconds.toFixed(1)} s (${speed})`;
  }
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

function showElements(chunks: Iterable<Uint8Array<ArrayBuffer>>): void {
  const meter = new Meter();
  const elements = new Map<string, number>();
  for (const event of parse(meter.measure(chunks))) {
    meter.events++;
    if (event.type !== "start") continue;
    elements.set(event.name, (elements.get(event.name) ?? 0) + 1);
  }
  console.log(`   ${meter}\n   The commonest elements:`);
  for (const [name, count] of [...elements].sort(([, a], [, b]) => b - a).slice(0, 5)) {
    console.log(`   ${count.toLocaleString("en").padStart(12)}   ${name}`);
  }
  console.log(`   Resident memory grew by ${megabytes(meter.growth)} after the first 25 MB.`);
}

function showBreak(): void {
  const meter = new Meter();
  let [element, titles] = ["", 0];
  for (const event of parse(meter.measure(catalogue(Infinity)))) {
    if (event.type !== "text") element = event.type === "start" ? event.name : "";
    else if (element === "title" && ++titles === 3) {
      console.log(`   ${event.text}, in the first ${meter.bytes.toLocaleString("en")} bytes`);
      break;
    }
  }
}

function showError(): void {
  const bytes = new TextEncoder().encode("<a>\n  <b>text</c>\n</a>");
  try {
    for (const event of parse([bytes])) console.log("  ", event);
  } catch (error) {
    console.log(`   ${error}`);
  }
}

function main(): void {
  const [file] = Deno.args;
  if (file !== undefined) {
    console.log(file);
    return showElements(read(file));
  }
  console.log("1. A catalogue of 50 MB, which is made up while it is parsed");
  showElements(catalogue(50e6));
  console.log("\n2. One without end, left at its third title");
  showBreak();
  console.log("\n3. What is not well-formed, as far as it is");
  showError();
}

if (import.meta.main) {
  try {
    main();
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    Deno.exit(1);
  }
}
