// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** Reads docs/troubleshooting.md. */

/** The section of docs/troubleshooting.md whose texts others write. */
export const FOREIGN = "Messages of Deno and TypeScript";

/** What docs/troubleshooting.md says of a text. */
export interface Entry {
  readonly section: string;
  readonly text: string;
  /** What stands below the text. */
  readonly rest: string;
}

/** The entries of a page: ``- `text`\``, and below it what is said about it. */
export function entriesOf(page: string): Entry[] {
  return page.split(/^## /m).slice(1).flatMap((part) => {
    const section = part.slice(0, part.indexOf("\n"));
    return [...part.matchAll(/^- (`+) ?(.*?) ?\1\\\n((?: {2}.*\n?)*)/gm)].map(
      ([, , text, rest]) => ({ section, text: text!.replace(/(?:‹[^›]*›)+/g, "‹›"), rest: rest! }),
    );
  });
}
