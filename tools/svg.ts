// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * The little of SVG that the drawings of docs/images/ are made of.
 *
 * They bring their own background and have two sets of colours, so that they can be read on light
 * pages and on dark ones. The same input gives the same bytes.
 *
 * @module
 */

import { join } from "node:path";
import { root } from "./zig.ts";

/** The folder of the drawings. */
export const images = "docs/images";

/** Drawings, by the names of their files: `stacks.svg`. */
export type Drawings = Readonly<Record<string, string>>;

/** Writes drawings into their folder. */
export async function save(drawings: Drawings): Promise<void> {
  for (const [name, drawing] of Object.entries(drawings)) {
    await Deno.writeTextFile(join(root, images, name), drawing);
  }
}

/** A point: from the left and from the top, in pixels. */
export type Point = readonly [x: number, y: number];

/** A drawing, and what it says to those who do not see it. */
export interface Drawing {
  readonly width: number;
  readonly height: number;
  readonly title: string;
  readonly about: string;
  readonly parts: readonly string[];
}

/** What each class of a part looks like, on light pages and on dark ones. */
const COLOURS = {
  ground: ["#ffffff", "#0d1117"],
  cell: ["#f6f8fa", "#161b22"],
  edge: ["#8c959f", "#656c76"],
  ink: ["#1f2328", "#e6edf3"],
  faint: ["#59636e", "#9198a1"],
  first: ["#0969da", "#4493f8"],
  second: ["#bc4c00", "#f0883e"],
  third: ["#1a7f37", "#3fb950"],
} as const;

/** One of the colours; the drawings name it after what it is for. */
export type Colour = keyof typeof COLOURS;

/** The text of an SVG file. */
export function svg({ width, height, title, about, parts }: Drawing): string {
  const paint = (tone: 0 | 1): string =>
    Object.entries(COLOURS).map(([name, tones]) =>
      `.${name} { fill: ${tones[tone]} } .${name}-line { stroke: ${tones[tone]} }`
    ).join("\n");
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" ` +
    `viewBox="0 0 ${width} ${height}" role="img" aria-labelledby="title about">`,
    `<title id="title">${escaped(title)}</title>`,
    `<desc id="about">${escaped(about)}</desc>`,
    "<style>",
    "text { font-family: system-ui, sans-serif; font-size: 13px }",
    ".code { font-family: ui-monospace, monospace; font-size: 12px }",
    ".small { font-size: 12px }",
    ".heading { font-weight: 600; font-size: 14px }",
    paint(0),
    `@media (prefers-color-scheme: dark) {\n${paint(1)}\n}`,
    "</style>",
    `<rect class="ground" width="${width}" height="${height}" rx="8"/>`,
    ...parts,
    "</svg>\n",
  ].join("\n");
}

/** Words, by the end, the middle or the start of their base line. */
export function words(
  [x, y]: Point,
  text: string,
  classes: string,
  anchor: "start" | "middle" | "end" = "start",
): string {
  const aligned = anchor === "start" ? "" : ` text-anchor="${anchor}"`;
  return `<text x="${short(x)}" y="${short(y)}" class="${classes}"${aligned}>${
    escaped(text)
  }</text>`;
}

/** A box with an edge. */
export function box(
  [x, y]: Point,
  width: number,
  height: number,
  edge: Colour = "edge",
  style = "",
): string {
  return `<rect x="${short(x)}" y="${short(y)}" width="${short(width)}" height="${
    short(height)
  }" ` +
    `class="cell ${edge}-line"${style && ` ${style}`}/>`;
}

/** A dot. */
export function dot([x, y]: Point, colour: Colour): string {
  return `<circle cx="${short(x)}" cy="${short(y)}" r="4" class="${colour}"/>`;
}

/** A line through points. */
export function line(points: readonly Point[], colour: Colour, style = ""): string {
  const way = points.map(([x, y]) => `${short(x)},${short(y)}`).join(" ");
  return `<polyline points="${way}" fill="none" class="${colour}-line"${style && ` ${style}`}/>`;
}

/** How a line is drawn that is not there all the time. */
export const DASHED = 'stroke-dasharray="5 4"';

/** A line through points that ends in an arrowhead. */
export function arrow(points: readonly Point[], colour: Colour, style = ""): string {
  const [from, to] = points.slice(-2) as [Point, Point];
  const length = Math.hypot(to[0] - from[0], to[1] - from[1]);
  const [x, y] = [(to[0] - from[0]) / length, (to[1] - from[1]) / length];
  const at = (along: number, beside: number): Point => [
    to[0] - along * x + beside * y,
    to[1] - along * y - beside * x,
  ];
  const head = [to, at(9, 4), at(9, -4)].map(([x, y]) => `${short(x)},${short(y)}`).join(" ");
  // The line ends inside of the head, whose point would be blunt otherwise.
  const shaft = line([...points.slice(0, -1), at(6, 0)], colour, style);
  return `${shaft}\n<polygon points="${head}" class="${colour}"/>`;
}

function short(value: number): string {
  return String(Math.round(value * 10) / 10);
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
}
