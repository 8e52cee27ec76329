// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Compares what a snippet of the documentation prints with the comments that say so. `page.ts` puts
 * it into a copy of the page:
 *
 *     console.log(value); // 1      as it stands in the page
 *     prints.at(4, value); // 1     as it runs, in line 4 of its snippet
 */

/** What a snippet prints; compared when the snippet has come to its end. */
export class Prints implements Disposable {
  readonly #expected: Readonly<Record<number, string>>;
  readonly #printed = new Map<number, string[]>();

  /** Takes what is expected of the calls of `at`, by the line that they are in. */
  constructor(expected: Readonly<Record<number, string>>) {
    this.#expected = expected;
  }

  /** What a snippet calls in place of `console.log`. */
  at(line: number, ...values: unknown[]): void {
    const text = values.map((it) => typeof it === "string" ? it : Deno.inspect(it)).join(" ");
    this.#printed.set(line, [...this.#printed.get(line) ?? [], text]);
  }

  [Symbol.dispose](): void {
    for (const [line, comment] of Object.entries(this.#expected)) {
      const printed = (this.#printed.get(Number(line)) ?? []).join(", ");
      if (!matches(comment, printed)) {
        throw new Error(`it prints \`${printed}\`, and the comment says \`${comment}\``);
      }
    }
  }
}

/** Whether a comment is a text, or begins with it and a colon; `…` stands for anything. */
function matches(comment: string, printed: string): boolean {
  if (printed === "") return false;
  const [said, was] = [comment, printed].map((text) => text.replace(/\s/g, ""));
  const pattern = said!.split("…").map(RegExp.escape).join(".*");
  return new RegExp(`^${pattern}$`).test(was!) || said!.startsWith(`${was}:`);
}
