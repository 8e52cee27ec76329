// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** What a reader follows leads somewhere: links, anchors, names of files, the index of docs/. */

import { assertEquals } from "@std/assert";
import { dirname, join, normalize } from "node:path";
import { root } from "../../tools/zig.ts";
import { code, files, text } from "../support/repository.ts";

/** So long that a reader comes to its end. */
const README_LINES_MAX = 250;

const INDEX = "docs/README.md";

/** The pages whose links are followed: those of this repository's own. */
const pages = files.filter((file) => /^(?:[A-Z]+\.md|docs\/.*\.md)$/.test(file));

/** The text of a file of the repository; "" for a folder; undefined where there is none. */
type Read = (path: string) => string | undefined;

const read: Read = (path) => {
  try {
    return Deno.statSync(join(root, path)).isDirectory ? "" : text(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
};

/** A page without its fenced code, in which links are no links. */
function withoutFences(page: string): string {
  return page.replace(/^( *)(`{3,})[^`\n]*\n.*?^\1\2$/gms, "");
}

/** The anchors of a page's headings, as the sites that show Markdown make them. */
function anchorsOf(page: string): Set<string> {
  const anchors = new Set<string>();
  for (const [, heading] of withoutFences(page).matchAll(/^#{1,6} +(.+?)(?: +#+)?$/gm)) {
    const plain = heading!.replace(/\[([^\]]*)\]\([^)]*\)/g, "$1").toLowerCase();
    const anchor = plain.replace(/[^\p{L}\p{N} _-]/gu, "").trim().replaceAll(" ", "-");
    let unique = anchor;
    for (let i = 1; anchors.has(unique); i++) unique = `${anchor}-${i}`;
    anchors.add(unique);
  }
  return anchors;
}

/** The targets of a page's links and images; of `[text][name]` without a definition, the name. */
function* targetsOf(page: string): Generator<string> {
  const prose = withoutFences(page).replace(/<!--.*?-->/gs, "").replace(/`[^`]*`/g, "code");
  const defined = new Map(
    [...prose.matchAll(/^\[([^\]]+)\]: +(\S+)/gm)].map(([, name, target]) => [name!, target!]),
  );
  yield* defined.values();
  for (const [, target] of prose.matchAll(/\]\(([^)\s]+)[^)]*\)/g)) yield target!;
  for (const [, name] of prose.matchAll(/\]\[([^\]]+)\]/g)) {
    if (!defined.has(name!)) yield name!;
  }
}

/** The links of a page that lead nowhere. */
function* brokenLinks(file: string, page: string, read: Read): Generator<string> {
  for (const target of targetsOf(page)) {
    if (/^https:\/\//.test(target)) continue;
    const [path, anchor] = target.split("#") as [string, string?];
    const other = path === "" ? file : normalize(join(dirname(file), decodeURI(path)));
    const found = path === "" ? page : read(other);
    if (found === undefined) yield `${file}: ${target} leads to no file`;
    else if (anchor !== undefined && !anchorsOf(found).has(anchor)) {
      yield `${file}: ${target} leads to no heading of ${other}`;
    }
  }
}

/** Files of the repository that a page names as code and that are not there. */
function* missingFiles(file: string, page: string, read: Read): Generator<string> {
  const folders = "\\.ci|\\.github|bench|docs|examples|ffi|native|tests|tools";
  const pattern = new RegExp(`\`((?:${folders})/[\\w./-]*)\``, "g");
  for (const [, path] of withoutFences(page).matchAll(pattern)) {
    if (read(path!) === undefined) yield `${file}: there is no \`${path}\``;
  }
}

/** Pages, and headings of them as `docs/how.md, "A heading"`, that a source names in vain. */
function* brokenMentions(file: string, source: string, read: Read): Generator<string> {
  const seen = new Set<string>();
  const unwrapped = source.replace(/\n\s*(?:\*|\/\/[/!]?|#)? +/g, " ");
  const pattern =
    /\b((?:docs\/[\w/]+|README|CONTRIBUTING|SECURITY|CHANGELOG)\.md)(?:, "([^"]+)")?/g;
  for (const [mention, path, heading] of unwrapped.matchAll(pattern)) {
    if (seen.has(mention)) continue;
    seen.add(mention);
    const page = read(path!);
    if (page === undefined) yield `${file}: there is no ${path}`;
    else if (heading !== undefined && !page.includes(`\n## ${heading}\n`)) {
      yield `${file}: ${path} has no heading "${heading}"`;
    }
  }
}

/** Pages of docs/ that the index does not list, in an item with a sentence. */
function* unlisted(index: string, pages: readonly string[]): Generator<string> {
  const items = index.split(/\n(?=- |\n)/).map((item) => item.replace(/\s+/g, " "));
  for (const page of pages) {
    if (!page.startsWith("docs/") || page === INDEX) continue;
    const name = page.slice("docs/".length);
    if (items.some((item) => item.startsWith(`- [${name}](${name}): `) && item.endsWith("."))) {
      continue;
    }
    yield `${INDEX}: list it as "- [${name}](${name}): what a reader finds there."`;
  }
}

Deno.test("every link of the pages leads to a file and to a heading", () => {
  assertEquals(pages.flatMap((page) => [...brokenLinks(page, text(page), read)]), []);
});

Deno.test("every file that the pages name is there", () => {
  assertEquals(pages.flatMap((page) => [...missingFiles(page, text(page), read)]), []);
});

Deno.test("every page that a comment or a message names is there, with its heading", () => {
  const sources = code.filter((file) => file !== "tests/house/links_test.ts");
  assertEquals(sources.flatMap((file) => [...brokenMentions(file, text(file), read)]), []);
});

Deno.test("the index of docs/ has every page, with a sentence", () => {
  assertEquals([...unlisted(text(INDEX), pages)], []);
});

Deno.test(`README.md has at most ${README_LINES_MAX} lines`, () => {
  const lines = text("README.md").trimEnd().split("\n").length;
  assertEquals(Math.max(lines, README_LINES_MAX), README_LINES_MAX, "Move what is long to docs/");
});

const target = "# Title\n\n## It's `so`, twice\n\n## It's so twice\n\n```sh\n# no heading\n```\n";
/** A repository that is made up: a page, and its folder. */
const made: Read = (path) => path === "docs/a.md" ? target : path === "docs/" ? "" : undefined;

Deno.test("brokenLinks() finds files, headings and references that are not there", () => {
  const page = `[a](docs/a.md) ![b](docs/b.svg) [c](docs/a.md#its-so-twice) [d][e] [f][g]
[h](docs/a.md#its-so-twice-1) [i](docs/a.md#no-heading) [j](https://example.com/) [k](docs/)
\`[l](code.md)\` [m](http://example.com/)

[g]: docs/g.md
`;
  assertEquals([...brokenLinks("README.md", page, made)], [
    "README.md: docs/g.md leads to no file",
    "README.md: docs/b.svg leads to no file",
    "README.md: docs/a.md#no-heading leads to no heading of docs/a.md",
    "README.md: http://example.com/ leads to no file",
    "README.md: e leads to no file",
  ]);
  assertEquals([...brokenLinks("docs/a.md", `${target}[x](#title) [y](#none) [z](a.md)`, made)], [
    "docs/a.md: #none leads to no heading of docs/a.md",
  ]);
});

Deno.test("missingFiles() finds files that are not there, outside of snippets", () => {
  const page =
    "`docs/a.md`, `docs/b.md`, `tests/<name>.ts` and `a.md`\n\n```sh\n`tools/b.ts`\n```\n";
  assertEquals([...missingFiles("README.md", page, made)], ["README.md: there is no `docs/b.md`"]);
});

Deno.test("brokenMentions() finds pages and headings that comments name in vain", () => {
  const source =
    '/**\n * See docs/a.md, "It\'s so\n * twice", docs/b.md and\n * README.md; docs/b.md. */\n' +
    '// docs/a.md,\n// "Another"\n';
  assertEquals([...brokenMentions("a.ts", source, made)], [
    "a.ts: there is no docs/b.md",
    "a.ts: there is no README.md",
    'a.ts: docs/a.md has no heading "Another"',
  ]);
});

Deno.test("unlisted() finds pages that the index lacks, and items without a sentence", () => {
  const index =
    "## A\n\n- [a.md](a.md): what it\n  says.\n- [b.md](b.md)\n\n[c.md](c.md): no item.\n";
  const some = ["README.md", INDEX, "docs/a.md", "docs/b.md", "docs/c.md"];
  const problems = [...unlisted(index, some)];
  assertEquals(problems.map((problem) => problem.match(/\[(.*?)\]/)![1]), ["b.md", "c.md"]);
});
