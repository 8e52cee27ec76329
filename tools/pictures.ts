// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Draws what the comments of `native/switch_x86_64.S` describe: `deno task pictures`.
 *
 * The assembly owns the layout of the frames, and its comments have a picture of each. What stands
 * in them is read and drawn, and nothing is repeated here, so a drawing cannot say anything else
 * than the assembly. A test compares the files in docs/images/ with what this gives.
 *
 * @module
 */

import { join } from "node:path";
import {
  arrow,
  box,
  type Colour,
  DASHED,
  type Drawings,
  type Point,
  save,
  svg,
  words,
} from "./svg.ts";
import { root } from "./zig.ts";

/** The file whose comments are drawn. */
export const assembly = "native/switch_x86_64.S";

/** A row of a picture of memory, as the comment has it: `| name |  place  <- pointer  (remark)`. */
interface Row {
  readonly name: string;
  /** Its address: `R + 8`. */
  readonly place: string;
  /** What points at its lower edge, if anything. */
  readonly pointer: string;
  readonly remark: string;
}

/** One of the states of the link: `1. Title: caption. More.` */
interface State {
  readonly title: string;
  readonly caption: string;
}

/** The pictures of what `source`, the text of `assembly`, describes. */
export function pictures(source: string): Drawings {
  const record = rowsUnder(source, "A suspended side");
  return {
    "context.svg": memoryPicture(
      "A context, at the top of a fringe stack",
      rowsUnder(source, "A context, at the top of a fringe stack."),
      ": the stack grows this way",
    ),
    "record.svg": memoryPicture(
      "A suspended side, and the record that it leaves below its red zone",
      record,
    ),
    "link.svg": link(states(source), record),
    "stacks.svg": stacks(source, record),
  };
}

/** The first picture of memory that follows a line of the comment which begins with `heading`. */
function rowsUnder(source: string, heading: string): Row[] {
  const lines = source.split("\n");
  const begin = lines.findIndex((line) => line.startsWith(`# ${heading}`));
  const isRow = (line: string): boolean => /^# {6}[|:]/.test(line);
  const first = lines.findIndex((line, i) => begin >= 0 && i > begin && isRow(line));
  if (first < 0) throw new Error(`Cannot draw: no picture follows "${heading}" in ${assembly}`);
  const end = lines.findIndex((line, i) => i > first && !isRow(line));
  return lines.slice(first, end).map((line) => {
    const [, name, beside] = /^# {6}[|:](.*?)[|:](.*)$/.exec(line)!;
    const [before, pointer = ""] = beside!.split("<-");
    const [, place, remark] = /^ *((?:R|record) [+-] \d+)?(.*)$/.exec(before!)!;
    return {
      name: name!.trim(),
      place: place ?? "",
      pointer: pointer.trim(),
      remark: remark!.trim().replace(/^\((.*)\)$/, "$1"),
    };
  });
}

function states(source: string): State[] {
  const found = [...source.matchAll(/^# {2}\d\. (.*(?:\n# {5}.*)*)/gm)].map(([, text]) => {
    const line = text!.replace(/\n# +/g, " ");
    const [, title, caption] = /^([^.:]+): (.*?)(?:\. |\.$)/.exec(line) ?? [];
    if (title === undefined) throw new Error(`Cannot draw "${line}": write "Title: text."`);
    return { title, caption: caption! };
  });
  if (found.length !== 3) {
    throw new Error(`Cannot draw: ${assembly} numbers ${found.length} states of the link, not 3`);
  }
  return found;
}

/** What the table of contents says of a function, up to the first semicolon. */
function about(source: string, name: string): string {
  const said = new RegExp(`^# {3}${name} +([^;\\n]*)`, "m").exec(source)?.[1];
  if (said === undefined) throw new Error(`Cannot draw: the head of ${assembly} lacks ${name}`);
  return said;
}

const ROW = 30;

/** Draws rows of memory, the highest address on top, with what stands beside them. */
function memory(rows: readonly Row[], [x, y]: Point, width: number): string[] {
  return rows.flatMap((row, i) => {
    const [top, bottom] = [y + i * ROW, y + (i + 1) * ROW];
    const text = top + ROW / 2 + 4;
    const isOurs = row.name === "link" || row.pointer === "link";
    return [
      box([x, top], width, ROW, isOurs ? "first" : "edge"),
      words([x + width / 2, text], row.name || "…", "ink", "middle"),
      ...(row.place ? [words([x - 12, text], row.place, "faint code", "end")] : []),
      ...(row.remark ? [words([x + width + 12, text], row.remark, "faint")] : []),
      ...(row.pointer
        ? [
          arrow([[x + width + 44, bottom], [x + width, bottom]], "first"),
          words([x + width + 50, bottom + 4], row.pointer, "first"),
        ]
        : []),
    ];
  });
}

/** A picture of memory alone; `below` is added to what is said of its lower end. */
function memoryPicture(title: string, rows: readonly Row[], below = ""): string {
  const height = 60 + rows.length * ROW;
  return svg({
    width: 760,
    height,
    title,
    about: `Words in memory, from higher to lower addresses: ${inWords(rows)}.`,
    parts: [
      words([110, 24], "higher addresses", "faint"),
      ...memory(rows, [110, 34], 200),
      words([110, height - 10], `lower addresses${below}`, "faint"),
    ],
  });
}

function inWords(rows: readonly Row[]): string {
  return rows.map(({ name, place, pointer, remark }) => {
    const beside = [place, remark, pointer && `here points ${pointer}`].filter(Boolean).join(", ");
    return `${name || "the function that is suspended"}${beside && ` (${beside})`}`;
  }).join("; ");
}

/** The words of the record among the rows of a suspended side, the higher word first. */
function namesOfRecord(rows: readonly Row[]): string[] {
  return rows.filter(({ place }) => place.startsWith("record")).map(({ name }) => name);
}

/** Whose record the link leads to, as the comment says: `first` is the one that is made up. */
function target({ caption }: State): "first" | "resumer" | "body" {
  if (caption.startsWith("link = R - SUSPENDED")) return "first";
  const side = /^link points at the (resumer|body)'s record/.exec(caption)?.[1];
  if (side === undefined) throw new Error(`Cannot draw where the link leads: "${caption}"`);
  return side as "resumer" | "body";
}

function link(states: readonly State[], rows: readonly Row[]): string {
  const names = namesOfRecord(rows);
  const width = 332;
  return svg({
    width: 3 * width,
    height: 262,
    title: "The three states of the link",
    about: states.map(({ title, caption }) => `${title}: ${caption}.`).join(" "),
    parts: states.flatMap((state, i) => {
      const [x, to] = [i * width, target(state)];
      const [left, right, wide] = [x + 14, x + 180, 144];
      const frames = to === "first" ? [] : ["frames of the body"];
      const resumer = ["frames of the resumer", ...(to === "resumer" ? names : [])];
      const body = ["link", ...frames, ...(to === "resumer" ? [] : names)];
      const pile = (cells: readonly string[], x: number): string[] =>
        cells.flatMap((name, row) => [
          box([x, 66 + row * ROW], wide, ROW, edgeOf(name, names)),
          words([x + wide / 2, 85 + row * ROW], name, "ink small", "middle"),
        ]);
      const lowest = (cells: readonly string[]): number => 66 + cells.length * ROW;
      const end: Point = to === "resumer" ? [left + wide, lowest(resumer)] : [right, lowest(body)];
      return [
        words([left, 26], `${i + 1}. ${state.title}`, "ink heading"),
        words([left, 56], "the resumer's stack", "faint"),
        words([right, 56], "the fringe stack", "faint"),
        ...pile(resumer, left),
        ...pile(body, right),
        arrow([[right, 81], [right - 12, 81], [right - 12, end[1]], end], "first"),
        ...lines(state.caption, 42).map((text, row) =>
          words([left, 224 + row * 18], text, "faint")
        ),
      ];
    }),
  });
}

function edgeOf(name: string, record: readonly string[]): Colour {
  if (name === "link") return "first";
  return record.includes(name) ? "second" : "edge";
}

/** Breaks a text into lines of at most `most` characters. */
function lines(text: string, most: number): string[] {
  const broken: string[] = [""];
  for (const word of text.split(" ")) {
    const longer = `${broken.at(-1)} ${word}`.trim();
    if (longer.length <= most) broken[broken.length - 1] = longer;
    else broken.push(word);
  }
  return broken;
}

/** Both stacks and what goes between them, for a reader who has not seen anything yet. */
function stacks(source: string, rows: readonly Row[]): string {
  const record = namesOfRecord(rows).join(", ");
  const when = (to: ReturnType<typeof target>): string[] => {
    const { title } = states(source).find((state) => target(state) === to)!;
    return ["the link, while", ...lines(`the ${title.replace(/^The /, "")}`, 18)];
  };
  const [left, right, width] = [20, 470, 280];
  const cell = (
    [x, y]: Point,
    height: number,
    name: string,
    remark: string,
    ...edge: [Colour?, string?]
  ): string[] => [
    box([x, y], width, height, ...edge),
    words([x + width / 2, y + height / 2 - 3], name, "ink heading", "middle"),
    words([x + width / 2, y + height / 2 + 15], remark, "faint", "middle"),
  ];
  const [between, beside] = [left + width + 36, right + width + 26];
  return svg({
    width: 900,
    height: 412,
    title: "Two stacks, and the link between them",
    about: "On the left JavaScript's stack: V8's frames, and below them fringe_resume. On the " +
      "right a fringe stack: the link, fringe_trampoline, the body, and what it has called. A " +
      "resume goes from the left to the right, a suspension back. Whichever side waits has left " +
      `a record: ${record}. The link points at it.`,
    parts: [
      words([left + width / 2, 30], "JavaScript's stack", "ink heading", "middle"),
      words([right + width / 2, 30], "a fringe stack", "ink heading", "middle"),
      ...cell([left, 44], 110, "V8's frames", "generator.resume(input)"),
      ...cell([left, 154], 56, "fringe_resume", about(source, "fringe_resume")),
      ...cell([left, 210], 56, "record", record, "second"),
      ...cell([right, 44], 50, "link", "in the context", "first"),
      ...cell([right, 94], 56, "fringe_trampoline", about(source, "fringe_trampoline")),
      ...cell([right, 150], 60, "the body", "a function of C, C++, Zig or Rust"),
      ...cell([right, 210], 60, "what it has called", "to any depth"),
      ...cell([right, 270], 56, "record", record, "second", DASHED),
      arrow([[right, 69], [between, 69], [between, 238], [left + width, 238]], "first"),
      ...when("resumer").map((text, row) => words([between + 8, 130 + row * 18], text, "first")),
      arrow(
        [[right + width, 69], [beside, 69], [beside, 298], [right + width, 298]],
        "first",
        DASHED,
      ),
      ...when("body").map((text, row) => words([beside + 8, 150 + row * 18], text, "first")),
      arrow([[180, 266], [180, 356], [580, 356], [580, 326]], "third"),
      words([385, 348], "resume: a word in", "third", "middle"),
      arrow([[640, 326], [640, 390], [130, 390], [130, 266]], "second"),
      words([385, 382], "suspend: a word out", "second", "middle"),
    ],
  });
}

if (import.meta.main) {
  await save(pictures(await Deno.readTextFile(join(root, assembly))));
}
