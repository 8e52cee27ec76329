// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * `docs/troubleshooting.md` has every text that a user may see, and none that no source has.
 *
 * The rule: in ffi/ each string with a blank in it is a text, and so is whatever is given to an
 * error or to the console. It needs an entry on the page, word for word, with a name in `‹›` for
 * each part that is computed, and `[this|that]` for what is there or not:
 *
 *     throw new TypeError(`${what}: size must be a number of bytes: got ${describe(size)}`);
 *     - `‹beginning›: size must be a number of bytes: got ‹value›`\
 *       It is no number. → Pass one.
 *
 * A message that is made in several places has an entry for each part: here `‹beginning›` has its
 * own ("Cannot map stack"), and so has a reason that a variable holds. Native code writes its texts
 * in pieces, so each piece has to be in an entry, and entries have to consist of pieces.
 */

import { assertEquals } from "@std/assert";
import { type Message, messagesOfC, messagesOfScript, messagesOfZig } from "../support/messages.ts";
import { files, type Problems, testRules, text } from "../support/repository.ts";
import { entriesOf, type Entry, FOREIGN } from "../support/troubleshooting.ts";

const PAGE = "docs/troubleshooting.md";

/** The sections whose texts native code or a compiler writes. */
const NATIVE = /^(?:Messages of native code|Compile errors)$/;
/** The section whose entries need no cure, since they are parts of messages. */
const PARTS = /^(?:How a message begins|Values in messages)$/;

/** Strings with a blank that nobody is shown as a message. */
const NO_MESSAGES: Readonly<Record<string, string>> = {
  "i64 as number": "the name of a type",
  "u64 as number": "the name of a type",
  "isize as number": "the name of a type",
  "usize as number": "the name of a type",
  "[object Generator]": "is compared with",
  "[object AsyncGenerator]": "is compared with",
  "an object of class Promise": "is compared with",
  "Failed to register symbol": "Deno's own; is compared with",
  "No such file": "the loader's own; is compared with",
  "Generator is already running": "V8's own; is compared with",
  "an object of class UnsafeCallback": "is compared with",
  "‹›: cannot open shared object file: No such file": "glibc's own; is compared with",
  "'‹›' (no such file)": "that of macOS; is compared with",
  "Generator {}": "how a generator is printed",
  "Generator { ‹›: ‹› }": "how a generator is printed",
  "/memfd:‹› (deleted)": "the name of a file",
  "at ‹›": "a frame of a trace",
  "in ‹›": "a frame, in a message",
  "stack overflow": "the type of a NativeError",
  "fringe's canary!": "bytes that are looked for in memory",
  "new Callback()": "in a type, which TypeScript prints",
  "write `as const` behind the definition": "in a type, which TypeScript prints",
  "a Promise needs f.async()": "in a type, which TypeScript prints",
};

interface Source extends Message {
  readonly file: string;
}

/** The texts of the files that users run. */
function sources(of: RegExp, read: (source: string) => Message[]): Source[] {
  return files.filter((file) => of.test(file)).flatMap((file) =>
    read(text(file)).map((message) => ({ ...message, file }))
  );
}

const script = sources(/^(?:ffi\/(?!library\/prebuilt).*|mod)\.ts$/, messagesOfScript);
const zig = sources(/^native\/(?!test\/|\w+_program).*\.zig$/, messagesOfZig)
  // What else build.zig says it says to those who work on fringe.
  .filter(({ file, text }) => file !== "native/build.zig" || text.startsWith("fringe"));
const native = [...zig, ...sources(/^native\/.*\.[hS]$/, messagesOfC)];

/** What is missing on a page, and what is left over there. */
function* differences(script: Source[], native: Source[], entries: Entry[]): Problems {
  const own = entries.filter(({ section }) => section !== FOREIGN);
  const isNative = ({ section }: Entry): boolean => NATIVE.test(section);
  const rows = new Set(own.filter((entry) => !isNative(entry)).map(({ text }) => text));
  const nativeRows = own.filter(isNative).map(({ text }) => text);
  const missing = [
    ...script.filter(({ text }) => !rows.has(text)),
    ...native.filter(({ text }) => !nativeRows.some((row) => row.includes(text))),
  ].filter(({ text }) => !(text in NO_MESSAGES));
  for (const { file, line, text } of missing) {
    yield `${PAGE}: say when this comes, and what to do then (${file}:${line}): ${text}`;
  }
  const known = new Set(script.map(({ text }) => text));
  for (const row of rows) if (!known.has(row)) yield `${PAGE}: no source has ${row}`;
  // The longest first, since one may be a part of another.
  const pieces = native.map(({ text }) => text).sort((a, b) => b.length - a.length);
  for (const row of nativeRows) {
    const left = pieces.reduce((left, piece) => left.replaceAll(piece, "‹›"), row);
    if (/\p{L}+ \p{L}+/u.test(left)) yield `${PAGE}: no source has all of ${row}`;
  }
}

const entries = entriesOf(text(PAGE));

function* troubleshooting(): Problems {
  yield* differences(script, native, entries);
  const seen = new Set<string>();
  for (const { section, text, rest } of entries) {
    if (seen.has(text)) yield `${PAGE}: keep one of the entries for ${text}`;
    seen.add(text);
    if (!PARTS.test(section) && !/\S.*→\s+\S/s.test(rest)) {
      yield `${PAGE}: say when it comes, and behind a → what to do: ${text}`;
    }
  }
}

function* noMessages(): Problems {
  const all = new Set([...script, ...native].map(({ text }) => text));
  for (const text in NO_MESSAGES) {
    if (!all.has(text)) yield `take it off NO_MESSAGES, since no source has it: ${text}`;
  }
}

testRules(troubleshooting, noMessages);

Deno.test("troubleshooting: a new text and a stale entry are found", () => {
  const source = (text: string): Source => ({ file: "a.ts", line: 1, text });
  const page = entriesOf(
    "## One\n\n- `‹what› is old`\\\n  It is. → Pass another.\n" +
      "- `gone away`\\\n  It went. → Stay.\n" +
      "## Compile errors\n\n- `fringe: one ‹or› two pieces`\\\n  It does. → See.\n" +
      "- `fringe: one of none`\\\n  It does. → See.\n",
  );
  const [piece, other] = [source("fringe: one"), source("two pieces")];
  assertEquals([...differences([source("‹› is old"), source("is new")], [piece, other], page)], [
    `${PAGE}: say when this comes, and what to do then (a.ts:1): is new`,
    `${PAGE}: no source has gone away`,
    `${PAGE}: no source has all of fringe: one of none`,
  ]);
  assertEquals([...differences([source("‹› is old")], [source("no piece")], page.slice(0, 1))], [
    `${PAGE}: say when this comes, and what to do then (a.ts:1): no piece`,
  ]);
});

Deno.test("troubleshooting: texts of TypeScript are found wherever they are written", () => {
  const found = messagesOfScript(`
    import a from "./no blank.ts"; // a comment is no text
    throw new TypeError(\`\${what}: got \${f("a part")}\` + (isOld ? "; make a new one" : ""));
    throw new RangeError("Never");
    throw new Error(isOld ? "Old" : \`\${what}\`, { cause: "unknown" });
    throw new FringeError("unavailable", "Gone", options);
    console.warn("Careful");
    class Other extends Error { constructor() { super("Other"); } }
    const reason = "it is running" + \` on \${a ? "this" : "that"} thread\`;
    const HINTS = { "a key": "; it belongs elsewhere" };
    const key = "stop";
  `);
  assertEquals(found.map(({ text, line }) => `${line}: ${text}`), [
    "2: ./no blank.ts",
    "3: ‹›: got ‹›[; make a new one]",
    "3: a part",
    "4: Never",
    "5: Old",
    "6: Gone",
    "7: Careful",
    "8: Other",
    "9: it is running on [this|that] thread",
    "10: ; it belongs elsewhere",
  ]);
});

Deno.test("troubleshooting: texts of Zig and of headers are found", () => {
  const zig = messagesOfZig(
    'const a = "one " ++ // a comment\n  @tagName(b) ++ " two\\n";\n' +
      'const c = if (d) "a b" else "e";\n' +
      '@panic("oh no");\ntest "no text of ours" {}\n',
  );
  assertEquals(zig.map(({ text, line }) => `${line}: ${text}`), [
    "1: one ‹› two",
    "3: a b",
    "4: oh no",
  ]);
  const header = messagesOfC('#error "one \\\ntwo"\nstatic_assert(sizeof(T) <= 8, "no room");\n');
  assertEquals(header.map(({ text }) => text), ["one two", "no room"]);
});
