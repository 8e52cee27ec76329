// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** expat as a pull parser: what it finds, and that nothing stays behind however it ends. */

import {
  assert,
  assertEquals,
  assertGreater,
  assertLess,
  assertMatch,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { XmlEvent } from "../../examples/expat.ts";
import { holdings } from "../../examples/libc.ts";
import { root } from "../../tools/zig.ts";
import { leftBehind } from "../support/malloc.ts";
import { collectUntil, gc, run, testWith } from "../support/support.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** Makes a test; the example opens the library, so that it is imported only where there is one. */
function testExpat(
  name: string,
  fn: (expat: typeof import("../../examples/expat.ts")) => void | Promise<void>,
): void {
  testWith("libexpat.so.1", name, async () => await fn(await import("../../examples/expat.ts")));
}

function encode(text: string): Bytes {
  return new TextEncoder().encode(text);
}

function cut(bytes: Bytes, size: number): Bytes[] {
  const chunks: Bytes[] = [];
  for (let at = 0; at < bytes.length; at += size) chunks.push(bytes.slice(at, at + size));
  return chunks;
}

/** A shape in which events are easily compared and written down. */
function plain(events: Iterable<XmlEvent>): string[] {
  return Array.from(events, (event) => {
    if (event.type === "text") return JSON.stringify(event.text);
    if (event.type === "end") return `</${event.name}>`;
    const attributes = [...event.attributes].map(([name, value]) => ` ${name}="${value}"`);
    return `<${event.name}${attributes.join("")}>`;
  });
}

const DOCUMENT = `<?xml version="1.0"?>
<!DOCTYPE root [<!ENTITY who "W<b/>rld"><!ATTLIST b given CDATA "default">]>
<root __proto__="own" größe='&lt;"1&#x9;2"'><!-- a remark --><?an instruction?>
  Hello, &who;! \u{1f600}<![CDATA[ <no tag> &amp; ]]><!-- another -->日本
  <b/><b given="" other="2"></b>&#xfeff;mark</root>
`;

const EVENTS = [
  `<root __proto__="own" größe="<"1\t2"">`,
  `"\\n  Hello, W"`,
  `<b given="default">`,
  `</b>`,
  `"rld! \u{1f600} <no tag> &amp; 日本\\n  "`,
  `<b given="default">`,
  `</b>`,
  `<b given="" other="2">`,
  `</b>`,
  `"\u{feff}mark"`,
  `</root>`,
];

testExpat("parse() gives starts, ends and texts in the order of the document", ({ parse }) => {
  assertEquals(plain(parse([encode(DOCUMENT)])), EVENTS);
});

testExpat("parse() gives the same events however the document is cut", ({ parse }) => {
  const bytes = encode(DOCUMENT);
  for (const size of [1, 2, 3, 7, 100]) {
    assertEquals(plain(parse(cut(bytes, size))), EVENTS, `${size}`);
  }
  assertEquals(plain(parse([new Uint8Array(), bytes, new Uint8Array()])), EVENTS);
});

testExpat("parse() reads other encodings as the document declares them", ({ parse }) => {
  const utf16 = Uint16Array.from("\ufeff<a>größe</a>", (char) => char.charCodeAt(0));
  assertEquals(plain(parse([new Uint8Array(utf16.buffer)])), ["<a>", `"größe"`, "</a>"]);
  const text = `<?xml version="1.0" encoding="ISO-8859-1"?><a>größe</a>`;
  const latin1 = Uint8Array.from(text, (char) => char.charCodeAt(0));
  assertEquals(plain(parse([latin1])), ["<a>", `"größe"`, "</a>"]);
});

testExpat(
  "parse() joins a text that is longer than a chunk, and each that follows",
  ({ parse }) => {
    const lengths = [300_000, 5, 200_000, 1023, 1024, 1025, 2048];
    const texts = lengths.map((length) => "0123456789\n".repeat(length / 10 + 1).slice(0, length));
    const xml = `<a>${texts.map((text) => `<b>${text}</b>`).join("")}</a>`;
    const found = Array.from(parse([encode(xml)])).filter(({ type }) => type === "text");
    assertEquals(found, texts.map((text): XmlEvent => ({ type: "text", text })));
  },
);

testExpat("parse() takes the path or the URL of a file, and closes it in any case", async (
  { catalogue, parse },
) => {
  const file = await Deno.makeTempFile();
  try {
    const chunks = [...catalogue(200_000)];
    await Deno.writeFile(file, await new Blob(chunks).bytes());
    const expected = plain(parse(chunks));
    const before = holdings().descriptors;
    assertEquals(plain(parse(file)), expected);
    assertEquals(plain(parse(pathToFileURL(file))), expected);
    for (const event of parse(file)) {
      assertEquals(event.type, "start");
      assertEquals(holdings().descriptors, before + 1);
      break;
    }
    assertEquals(holdings().descriptors, before);
  } finally {
    await Deno.remove(file);
  }
  assertThrows(() => parse(file).next(), Deno.errors.NotFound);
});

testExpat("parse() says what is not well-formed, and where, after what comes before", (
  { parse, XmlError },
) => {
  const failure = (xml: string): [string[], string, number, number] => {
    const found: XmlEvent[] = [];
    const error = assertThrows(() => {
      for (const event of parse(cut(encode(xml), 5))) found.push(event);
    }, XmlError);
    const { reason, line, column } = error;
    assertEquals(error.message, `Cannot parse XML: line ${line}, column ${column}: ${reason}`);
    return [plain(found), reason, line, column];
  };
  assertEquals(failure("<a>\n  <b>text</c>"), [
    ["<a>", `"\\n  "`, "<b>"],
    "mismatched tag",
    2,
    12,
  ]);
  assertEquals(failure("<a>größe &nobody;"), [["<a>"], "undefined entity", 1, 10]);
  assertEquals(failure("<a><b/>"), [["<a>", "<b>", "</b>"], "no element found", 1, 8]);
  assertEquals(failure("\n<a/><b/>"), [
    ["<a>", "</a>"],
    "junk after document element",
    2,
    5,
  ]);
  assertEquals(failure(""), [[], "no element found", 1, 1]);
});

testExpat("parse() asks for input when an event is asked for, and for no more of it", (
  { parse },
) => {
  let [asked, closed] = [0, false];
  const chunks = function* (): Iterable<Bytes> {
    try {
      for (const text of ["<a>", " ", "<b/>", "</a>"]) {
        asked++;
        yield encode(text);
      }
    } finally {
      closed = true;
    }
  };
  const events = parse(chunks());
  assertEquals(asked, 0);
  const seen = [];
  for (const event of events) {
    seen.push([event.type, asked]);
    if (event.type === "end") break;
    assert(!closed);
  }
  assertEquals(seen, [["start", 1], ["text", 3], ["start", 3], ["end", 3]]);
  assert(closed);
  assertEquals(events.next(), { value: undefined, done: true });
});

/** Less than a parser takes of malloc's memory, and more than else happens to be taken. */
const LITTLE = 16 * 1024;

/** The size of a parser's stack. */
const STACK = 8 * 1024 * 1024;

/** How many bytes of addresses the process has taken. */
function bytesMapped(): number {
  return parseInt(Deno.readTextFileSync("/proc/self/statm")) * 4096;
}

/** Checks that rounds leave no stack mapped, not even until the next collection. */
function assertUnmaps(round: () => void): void {
  const rounds = 30;
  round();
  const before = bytesMapped();
  for (let i = 0; i < rounds; i++) round();
  assertLess((bytesMapped() - before) / rounds, STACK / 4);
}

/** The ways out of a document: each takes an iterator that has not begun. */
const WAYS_OUT: Readonly<Record<string, (events: Generator<XmlEvent, void, void>) => void>> = {
  "the end": (events) => assertGreater([...events].length, 500),
  "break": (events) => {
    for (const event of events) if (event.type === "end") break;
  },
  "break at a text": (events) => {
    for (const event of events) if (event.type === "text") break;
  },
  "return()": (events) => {
    events.next();
    assertEquals(events.return(), { value: undefined, done: true });
  },
  "throw()": (events) => {
    events.next();
    const thrown = new Error("thrown");
    assertStrictEquals(assertThrows(() => events.throw(thrown)), thrown);
  },
  "an error in the loop": (events) => {
    const thrown = new Error("thrown");
    const loop = (): void => {
      for (const event of events) if (event.type === "end") throw thrown;
    };
    assertStrictEquals(assertThrows(loop), thrown);
  },
  "using": (events) => {
    using running = events;
    running.next();
  },
  "an iterator helper": (events) => assertEquals([...events.take(7)].length, 7),
};

for (const [name, leave] of Object.entries(WAYS_OUT)) {
  testExpat(`parse() gives back the parser and the stack at once: ${name}`, async (
    { catalogue, parse },
  ) => {
    const chunks = [...catalogue(20_000)];
    const round = (): void => leave(parse(chunks));
    assertUnmaps(round);
    assertLess(await leftBehind(50, LITTLE, round), LITTLE);
  });
}

testExpat("parse() gives all back when the document is broken, or cannot be read", async (
  { parse, XmlError },
) => {
  const round = (): void => {
    assertThrows(() => [...parse([encode("<a>".padEnd(10_000) + "</b>")])], XmlError);
    const thrown = new Error("thrown");
    const unreadable = function* (): Iterable<Bytes> {
      yield encode("<a>".padEnd(10_000));
      throw thrown;
    };
    assertStrictEquals(assertThrows(() => [...parse(unreadable())]), thrown);
  };
  assertUnmaps(round);
  assertLess(await leftBehind(50, LITTLE, round), LITTLE);
});

testExpat("parse() gives all back when the iterator is dropped", async ({ parse }) => {
  const chunks = [encode(`<a>${"<b/>".repeat(5000)}`)];
  const begin = (count: number): Iterable<XmlEvent> => {
    const events = parse(chunks);
    for (let i = 0; i < count; i++) events.next();
    return events;
  };
  const before = bytesMapped();
  const left = await leftBehind(20, LITTLE, () => {
    for (const count of [0, 1, 3000]) begin(count);
  });
  assertLess(left, LITTLE);
  assertLess(bytesMapped() - before, 10 * STACK);
  // There would have been something to leave behind.
  const kept = Array.from({ length: 20 }, () => begin(1));
  await collectUntil(() => false);
  assertGreater(bytesMapped() - before, kept.length * STACK / 2);
});

testExpat("break ends a document of few bytes that stands for many elements", ({ parse }) => {
  // A few hundred bytes can stand for 100,000 elements. Without XML_StopParser expat would go on
  // through all of them.
  const entities = [
    "<i/>".repeat(10),
    ...Array.from({ length: 4 }, (_, i) => `&e${i};`.repeat(10)),
  ];
  const declared = entities.map((text, i) => `<!ENTITY e${i} "${text}">`).join("");
  const chunks = [encode(`<!DOCTYPE a [${declared}]><a>&e4;</a>`)];
  const elapsed = (count: number): number => {
    const start = performance.now();
    let seen = 0;
    for (const _ of parse(chunks)) if (++seen === count) break;
    assertEquals(seen, count);
    return performance.now() - start;
  };
  const all = elapsed(200_002);
  const few = Math.min(...Array.from({ length: 5 }, () => elapsed(10)));
  assertLess(few, all / 100);
});

testExpat("parse() has room for entities in entities as any program has", ({ parse }) => {
  const depth = 5000;
  let declared = `<!ENTITY e0 "text">`;
  for (let i = 1; i <= depth; i++) declared += `<!ENTITY e${i} "&e${i - 1};">`;
  const chunks = [encode(`<!DOCTYPE a [${declared}]><a>&e${depth};</a>`)];
  assertEquals(plain(parse(chunks)), ["<a>", `"text"`, "</a>"]);
});

testExpat("parsers take turns, and are nested, without getting in each other's way", (
  { catalogue, parse },
) => {
  const chunks = [...catalogue(10_000)];
  const expected = plain(parse(chunks));
  const parsers = Array.from({ length: 3 }, () => parse(chunks));
  const found: XmlEvent[][] = parsers.map(() => []);
  for (let turn = 0; turn < expected.length; turn++) {
    for (const [i, events] of parsers.entries()) {
      const { value } = events.next();
      if (value) found[i]!.push(value);
    }
  }
  for (const events of found) assertEquals(plain(events), expected);
  for (const events of parsers) assert(events.next().done);

  const small = encode("<a><b/></a>");
  const nested = (depth: number): number => {
    let events = 0;
    for (const event of parse([small])) {
      events++;
      if (event.type !== "start") continue;
      if (depth > 0) events += nested(depth - 1);
      if (depth === 2 && event.name === "b") break;
    }
    return events;
  };
  assertEquals(nested(0), 4);
  assertEquals(nested(1), 4 + 2 * 4);
  assertEquals(nested(3), 4 + 2 * (2 + 2 * (4 + 2 * 4)));
});

testExpat("parse() needs no more memory for 5 MB than for a part of it", ({ catalogue, parse }) => {
  const used = (): number => {
    gc();
    const { heapUsed, external } = Deno.memoryUsage();
    return heapUsed + external;
  };
  let [before, most, events] = [0, 0, 0];
  const chunks = function* (): Iterable<Bytes> {
    let chunks = 0;
    for (const chunk of catalogue(5e6)) {
      yield chunk;
      if (++chunks === 10) before = used();
      else if (chunks % 10 === 0) most = Math.max(most, used());
    }
  };
  for (const _ of parse(chunks())) events++;
  assertGreater(events, 200_000);
  assertLess(most - before, 1e6);
});

testExpat("parse() copies no more than a part of a large chunk", ({ parse }) => {
  const chunk = new Uint8Array(64e6).fill(" ".charCodeAt(0));
  chunk.set(encode("<a>"));
  const before = Deno.memoryUsage().rss;
  using events = parse([chunk]);
  assertEquals(events.next().value?.type, "start");
  assertLess(Deno.memoryUsage().rss - before, 16e6);
});

testExpat("the example parses 50 MB with little memory, and says how far it is", async () => {
  const { code, stdout, stderr } = await run([
    "run",
    "--no-prompt",
    "--allow-ffi",
    // What V8 takes for what is young grows with time; a leak would not be told from it.
    "--v8-flags=--max-semi-space-size=2",
    join(root, "examples", "expat.ts"),
  ]);
  assertEquals(code, 0);
  const [, size, growth] = /^ {3}([\d.]+) MB, .* memory grew by ([\d.]+) MB/ms.exec(stdout)!;
  assertGreater(Number(size), 49.9);
  assertLess(Number(growth), 12);
  assertMatch(stderr, /^[\d.]+ MB, [\d,]+ events in [\d.]+ s \([\d.]+ MB\/s\)\n/);
});

testExpat("the example counts the elements of a file, or says why it cannot", async () => {
  const file = await Deno.makeTempFile();
  const example = (file: string) =>
    run([
      ...["run", "--no-prompt", "--allow-ffi", `--allow-read=${file}`],
      ...[join(root, "examples", "expat.ts"), file],
    ]);
  try {
    await Deno.writeTextFile(file, "<a><b/><b>text</b></a>");
    const { code, stdout, stderr } = await example(file);
    assertEquals([code, stderr], [0, ""]);
    assertMatch(stdout, /0\.0 MB, 7 events in [^]* {11}2 {3}b\n {14}1 {3}a\n/);
    await Deno.writeTextFile(file, "<a>\n</b>");
    const broken = await example(file);
    const reason = "Cannot parse XML: line 2, column 3: mismatched tag\n";
    assertEquals([broken.code, broken.stderr], [1, reason]);
  } finally {
    await Deno.remove(file);
  }
  const missing = await example(file);
  assertEquals(missing.code, 1);
  assertMatch(missing.stderr, /^No such file or directory .*\n$/);
});
