// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

// A document in memory, parsed by libexpat, whose events are pulled by a loop or pushed to a
// function; and by saxes, a parser in JavaScript. An operation is an event: a start with its name
// and attributes, an end with its name, or a text. libexpat calls back twice as often, since it
// passes a text in pieces.

import type { XmlEvent } from "../examples/expat.ts";
import { Callback } from "fringe";
import { howToInstall, isInstalled } from "../tools/packages.ts";
import { bench, INNER, libraryTarget, smoke } from "./setup.ts";

const LIBRARY = "libexpat.so.1";

type Deliver = (event: XmlEvent) => void;

/** The length of all that an event says. */
function sizeOf(event: XmlEvent): number {
  if (event.type === "text") return event.text.length;
  let size = event.name.length;
  if (event.type === "start") {
    for (const [name, value] of event.attributes) size += name.length + value.length;
  }
  return size;
}

/** Makes events of what the handlers of a parser are told. */
class Events {
  readonly #deliver: Deliver;
  readonly #takeText: () => string;
  readonly #names: string[] = [];

  constructor(deliver: Deliver, takeText: () => string) {
    this.#deliver = deliver;
    this.#takeText = takeText;
  }

  start(name: string, attributes: ReadonlyMap<string, string>): void {
    this.#text();
    this.#names.push(name);
    this.#deliver({ type: "start", name, attributes });
  }

  end(): void {
    this.#text();
    this.#deliver({ type: "end", name: this.#names.pop()! });
  }

  #text(): void {
    const text = this.#takeText();
    if (text !== "") this.#deliver({ type: "text", text });
  }
}

async function benchExpat(): Promise<void> {
  const { attributesAt, catalogue, expat, failure, handlers, parse, TextBuffer } = await import(
    "../examples/expat.ts"
  );
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  const source = [...catalogue(6 * INNER)].map((chunk) => decoder.decode(chunk)).join("");
  // To saxes, the end of the last line is a text as well, although it is in no element.
  const document = new TextEncoder().encode(source.trimEnd());
  let [events, sum] = [0, 0];
  for (const event of parse([document])) {
    events++;
    sum += sizeOf(event);
  }

  bench(
    "expat",
    "expat, for…of suspended callbacks",
    () => {
      let sum = 0;
      for (const event of parse([document])) sum += sizeOf(event);
      return sum;
    },
    sum,
    events,
  );

  bench(
    "expat",
    "expat, suspended callback",
    () => {
      let sum = 0;
      const text = new TextBuffer();
      const events = new Events((event) => sum += sizeOf(event), () => text.take());
      using start = new Callback(
        handlers.start,
        (_userData, name, attributes) => events.start(name!, attributesAt(attributes!)),
      );
      using end = new Callback(handlers.end, () => events.end());
      using characters = new Callback(
        handlers.text,
        (_userData, s, length) => text.append(s!, length),
      );
      const parser = expat.XML_ParserCreate(null)!;
      expat.XML_SetElementHandler(parser, start, end);
      expat.XML_SetCharacterDataHandler(parser, characters);
      if (expat.XML_Parse(parser, document, document.length, 1) !== 1) throw failure(parser);
      expat.XML_ParserFree(parser);
      return sum;
    },
    sum,
    events,
  );

  const plain = Deno.dlopen(LIBRARY, {
    XML_ParserCreate: { parameters: ["pointer"], result: "pointer" },
    XML_ParserFree: { parameters: ["pointer"], result: "void" },
    XML_SetElementHandler: { parameters: ["pointer", "function", "function"], result: "void" },
    XML_SetCharacterDataHandler: { parameters: ["pointer", "function"], result: "void" },
    XML_Parse: { parameters: ["pointer", "buffer", "i32", "i32"], result: "i32" },
  }).symbols;

  const bytes = new Uint8Array(64 * 1024);

  bench(
    "expat",
    "expat, Deno.UnsafeCallback",
    () => {
      let [sum, length] = [0, 0];
      const events = new Events((event) => sum += sizeOf(event), () => {
        if (length === 0) return "";
        const text = decoder.decode(bytes.subarray(0, length));
        length = 0;
        return text;
      });
      const start = new Deno.UnsafeCallback(
        { parameters: ["pointer", "pointer", "pointer"], result: "void" },
        (_userData, name, list) => {
          const view = new Deno.UnsafePointerView(list!);
          const attributes = new Map<string, string>();
          for (let offset = 0, name; (name = view.getPointer(offset)) !== null; offset += 16) {
            const value = view.getPointer(offset + 8)!;
            attributes.set(
              new Deno.UnsafePointerView(name).getCString(),
              new Deno.UnsafePointerView(value).getCString(),
            );
          }
          events.start(new Deno.UnsafePointerView(name!).getCString(), attributes);
        },
      );
      const end = new Deno.UnsafeCallback(
        { parameters: ["pointer", "pointer"], result: "void" },
        () => events.end(),
      );
      const characters = new Deno.UnsafeCallback(
        { parameters: ["pointer", "pointer", "i32"], result: "void" },
        (_userData, s, count) => {
          const view = new Deno.UnsafePointerView(s!);
          if (count === 1) bytes[length] = view.getUint8();
          else view.copyInto(bytes.subarray(length, length + count));
          length += count;
        },
      );
      const parser = plain.XML_ParserCreate(null)!;
      plain.XML_SetElementHandler(parser, start.pointer, end.pointer);
      plain.XML_SetCharacterDataHandler(parser, characters.pointer);
      const status = plain.XML_Parse(parser, document, document.length, 1);
      plain.XML_ParserFree(parser);
      for (const callback of [start, end, characters]) callback.close();
      return status === 1 ? sum : NaN;
    },
    sum,
    events,
  );

  const { SaxesParser } = await importSaxes();
  if (SaxesParser === undefined) return;
  bench(
    "expat",
    "saxes, the same document",
    () => {
      let sum = 0;
      const parser = new SaxesParser();
      parser.on("opentag", ({ name, attributes }) => {
        sum += name.length;
        for (const [name, value] of Object.entries(attributes)) sum += name.length + value.length;
      });
      parser.on("closetag", ({ name }) => sum += name.length);
      parser.on("text", (text) => sum += text.length);
      parser.write(decoder.decode(document)).close();
      return sum;
    },
    sum,
    events,
  );
}

/** As much of saxes as is used here. */
interface Saxes {
  on(
    event: "opentag" | "closetag",
    handler: (tag: { name: string; attributes: Record<string, string> }) => void,
  ): void;
  on(event: "text", handler: (text: string) => void): void;
  write(text: string): Saxes;
  close(): Saxes;
}

/** Not a static import, which every check of types would download. */
async function importSaxes(): Promise<{ SaxesParser?: new () => Saxes }> {
  const specifier = "npm:saxes@6.0.0";
  if (smoke) return {};
  try {
    return await import(specifier);
  } catch (error) {
    console.error(`Cannot get ${specifier}, which is not measured: ${(error as Error).message}`);
    return {};
  }
}

libraryTarget("expat", 1);
if (isInstalled(LIBRARY)) await benchExpat();
else console.error(howToInstall(LIBRARY));
