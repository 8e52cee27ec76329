// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** The drawings of docs/images/ are what the assembly and the bench say, and can be read. */

import { assert, assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import type { Million } from "../../tools/million_results.ts";
import type { Results } from "../../tools/figures.ts";
import { assembly, pictures } from "../../tools/pictures.ts";
import { millionPlot, plots } from "../../tools/plots.ts";
import { arrow, images, svg, words } from "../../tools/svg.ts";
import { between, files, text } from "../support/repository.ts";

const source = text(assembly);
const results: Results = JSON.parse(text("bench/results.json"));
const million: Million = JSON.parse(text("bench/million.json"));
const measured = { ...plots(results), ...millionPlot(million) };
const drawings = { ...pictures(source), ...measured };

Deno.test("docs/images/ has what the comments of the assembly describe", () => {
  for (const [name, drawing] of Object.entries(pictures(source))) {
    assertEquals(text(`${images}/${name}`), drawing, "Run `deno task pictures`");
  }
});

Deno.test("docs/images/ has plots of what bench/results.json and million.json say", () => {
  for (const [name, drawing] of Object.entries(measured)) {
    assertEquals(text(`${images}/${name}`), drawing, "Run tools/plots.ts");
  }
});

Deno.test("docs/images/ has nothing else, and a page of docs/ shows each drawing", () => {
  const there = files.filter((file) => file.startsWith(`${images}/`));
  assertEquals(there, Object.keys(drawings).map((name) => `${images}/${name}`).sort());
  const pages = files.filter((file) => /^docs\/.*\.md$/.test(file)).map(text).join("\n");
  for (const name of Object.keys(drawings)) assert(pages.includes(`](images/${name})`), name);
});

Deno.test("the picture of a context has each word where the assembly has it", () => {
  const rows = [...source.matchAll(/^# {6}\| (\w+) +\| {2}R \+ (\d+)/gm)];
  const defined = source.matchAll(/^#define ([A-Z_]+) +(\d+)$/gm).map(([, name, at]) =>
    `${name} ${at}`
  )
    .toArray();
  assert(rows.length > 10);
  for (const [, name, at] of rows) {
    assert(defined.includes(`${name!.toUpperCase()} ${at}`), `${name} is not at R + ${at}`);
  }
});

Deno.test("pictures() draws another picture when a comment changes", () => {
  const changed = (from: string, to: string): string[] => {
    assert(source.includes(from), from);
    const others = pictures(source.replace(from, to));
    return Object.keys(others).filter((name) => others[name] !== drawings[name]).sort();
  };
  assertEquals(
    changed("| mailbox                |  R + 24 ", "| mailbox                |  R + 32 "),
    [
      "context.svg",
    ],
  );
  assertEquals(changed("the lowest usable byte", "the lowest byte"), ["context.svg"]);
  assertEquals(changed("| red zone, 128 bytes ", "| red zone, 256 bytes "), ["record.svg"]);
  assertEquals(changed("| resume address ", "| return address "), [
    "link.svg",
    "record.svg",
    "stacks.svg",
  ]);
  assertEquals(changed("3. The body is suspended:", "3. The body has suspended:"), [
    "link.svg",
    "stacks.svg",
  ]);
  assertEquals(changed("enters a body from a function call", "enters a body"), ["stacks.svg"]);
});

Deno.test("pictures() refuses comments that it cannot read", () => {
  const refused = (from: string, to: string, message: string): void => {
    assert(source.includes(from), from);
    assertThrows(() => pictures(source.replaceAll(from, to)), Error, message);
  };
  refused("# A suspended side", "# A side", 'no picture follows "A suspended side"');
  refused("#  1. Just", "#  Just", "numbers 2 states of the link, not 3");
  refused("1. Just initialised: ", "1. Just initialised ", 'write "Title: text."');
  refused("link points at the body's record", "link is the body's", "where the link leads");
  refused("#   fringe_resume  ", "#   fringe_enter   ", "lacks fringe_resume");
});

Deno.test("docs/how.md has the instructions of SWITCH", () => {
  const header = between(text("native/include/fringe_x86_64.h"), "#define FRINGE_SWITCH", '"1:"');
  const instructions = [...header.matchAll(/"(.+?)\\n/g)].map(([, line]) =>
    line!.replaceAll("%%", "%").replace("1f", "after").replace(/ +/g, " ")
  ).filter((line) => line !== "int3");
  const listing = between(text("docs/how.md"), "```text\nrecord = ", "```");
  const shown = [...listing.matchAll(/ {2,}((?:lea|mov|jmp) .*)/g)].map(([, line]) =>
    line!.replace(/ +/g, " ")
  );
  assertEquals(shown, instructions.map((line) => line.replaceAll("\\t", "")));
});

Deno.test("plots() shows whether a ratio is met, missed or not measured", () => {
  const target = { name: "a peer", to: "another", atMost: 0.5 };
  const row = (rest: { outcome: string; ratio?: number; spread?: [number, number] }): string => {
    const drawing = plots({ ...results, targets: [{ ...target, ...rest }] })["ratios.svg"]!;
    assertEquals(unreadable(drawing), []);
    return between(drawing, '"ink">a peer</text>', "</svg>").match(/class="code .*/)![0];
  };
  const spread: [number, number] = [0.2, 0.4];
  assertEquals(
    [
      row({ outcome: "met", ratio: 0.3, spread }),
      row({ outcome: "missed", ratio: 0.6, spread }),
      row({ outcome: "not measured" }),
    ],
    [
      'class="code third" text-anchor="end">0.30</text>',
      'class="code second" text-anchor="end">0.60</text>',
      'class="code faint" text-anchor="end">-</text>',
    ],
  );
});

Deno.test("millionPlot() has a line for each figure, through the medians of its rounds", () => {
  const round = (count: number, factor: number): Million["generators"][number] => ({
    count,
    made: 100 * factor,
    resumed: 10 * factor,
    ended: 1000 * factor,
    load: factor,
    bytes: 0,
    left: 0,
    mappings: 0,
  });
  const generators = [round(1000, 2), round(1000, 1), round(1000, 4), round(10_000, 3)];
  const drawing = millionPlot({ ...million, generators })["million.svg"]!;
  assertEquals(unreadable(drawing), []);
  assertEquals(
    /<desc id="about">(.*)<\/desc>/.exec(drawing)![1],
    "made: 200 ns among 1000, 300 ns among 10000; resumed: 20 ns among 1000, " +
      "30 ns among 10000; ended: 2000 ns among 1000, 3000 ns among 10000; " +
      "one load: 2 ns among 1000, 3 ns among 10000",
  );
});

/** The words of a drawing, each with the room that it takes if its letters are wide. */
function wordsOf(drawing: string): { text: string; left: number; right: number; y: number }[] {
  const pattern = /<text x="(.*?)" y="(.*?)" class="(.*?)"(?: text-anchor="(.*?)")?>(.*?)<\/text>/g;
  return [...drawing.matchAll(pattern)].map(([, x, y, classes, anchor, text]) => {
    const wide = text!.length * (/heading/.test(classes!) ? 8 : 7);
    const left = Number(x) - (anchor === "middle" ? wide / 2 : anchor === "end" ? wide : 0);
    return { text: text!, left, right: left + wide, y: Number(y) };
  });
}

/** What is not to be read in a drawing: words that lie on others, or beyond its edges. */
function unreadable(drawing: string): string[] {
  const [, width, height] = /viewBox="0 0 (\d+) (\d+)"/.exec(drawing)!.map(Number);
  const all = wordsOf(drawing);
  assertNotEquals(all, []);
  return all.flatMap((one, i) => [
    ...one.left < 0 || one.right > width! || one.y < 12 || one.y > height! - 4
      ? [`"${one.text}" leaves the drawing`]
      : [],
    ...all.slice(i + 1).filter((other) =>
      Math.abs(one.y - other.y) < 14 && one.left < other.right && other.left < one.right
    ).map((other) => `"${one.text}" lies on "${other.text}"`),
  ]);
}

Deno.test("the words of a drawing do not lie on each other, nor beyond its edges", () => {
  for (const [name, drawing] of Object.entries(drawings)) {
    assertEquals(unreadable(drawing), [], name);
  }
});

Deno.test("unreadable() notices words on others and beyond the edges", () => {
  const drawn = (...parts: string[]): string =>
    svg({ width: 100, height: 50, title: "a title", about: "about it", parts });
  assertEquals(unreadable(drawn(words([10, 20], "a", "ink"), words([30, 20], "b", "ink"))), []);
  assertEquals(unreadable(drawn(words([10, 20], "abc", "ink"), words([15, 30], "d", "ink"))), [
    '"abc" lies on "d"',
  ]);
  assertEquals(unreadable(drawn(words([10, 20], "wide enough", "ink", "end"))), [
    '"wide enough" leaves the drawing',
  ]);
  assertEquals(unreadable(drawn(words([10, 48], "low", "ink"))), ['"low" leaves the drawing']);
});

Deno.test("a drawing is small, and has two sets of colours, a title and a description", () => {
  for (const [name, drawing] of Object.entries(drawings)) {
    assert(drawing.length < 20 * 1024, `${name} has ${drawing.length} bytes`);
    const [light, dark] = drawing.split("@media (prefers-color-scheme: dark)");
    const used = new Set(
      drawing.matchAll(/class="(.*?)"/g).flatMap(([, names]) => names!.split(" ")),
    );
    for (const colour of used.difference(new Set(["heading", "code", "small"]))) {
      assert(light!.includes(`.${colour} {`) && dark!.includes(`.${colour} {`), colour);
    }
    assert(/<title id="title">.+<\/title>\n<desc id="about">.+<\/desc>/.test(drawing), name);
  }
});

Deno.test("svg() escapes what is no markup, and arrow() ends at its last point", () => {
  const drawing = svg({ width: 1, height: 1, title: 'a "<b>" & c', about: "d", parts: [] });
  assert(drawing.includes("a &quot;&lt;b>&quot; &amp; c"), drawing);
  assertEquals(
    arrow([[0, 0], [20, 0]], "first"),
    '<polyline points="0,0 14,0" fill="none" class="first-line"/>\n' +
      '<polygon points="20,0 11,-4 11,4" class="first"/>',
  );
});
