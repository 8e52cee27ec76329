// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * The snippets of a page of documentation, and how each is run. `tests/house/docs_test.ts` says
 * what writers of pages do.
 *
 * @module
 */

import { basename, dirname, isAbsolute, join } from "node:path";
import { type Installable, isInstallable, isInstalled } from "../../tools/packages.ts";
import { PLACED } from "../../tools/pages.ts";
import { root, zig, zigEnvironment } from "../../tools/zig.ts";

/** A fenced block of a page. */
export interface Snippet {
  readonly language: string;
  /** Whether the fence says `ignore`. */
  readonly isIgnored: boolean;
  /** The number of its first line in the page. */
  readonly line: number;
  readonly lines: readonly string[];
}

/** Languages of snippets that are shown and not run: what a program prints, or a picture. */
const SHOWN: ReadonlySet<string> = new Set(["", "text"]);

/**
 * Languages that a `sh` snippet of the page compiles. A snippet without a file name is only
 * checked, by the command that stands here; undefined: each snippet needs a name.
 */
const COMPILED: Readonly<Record<string, string[] | undefined>> = {
  c: ["cc", "-x", "c"],
  cpp: ["c++", "-x", "c++"],
  zig: undefined,
  rust: undefined,
};

/** The snippets of a page, without those that a tool has placed there: these have other tests. */
export function snippetsOf(page: string): Snippet[] {
  const snippets: Snippet[] = [];
  // Lines are blanked, not taken out, so that the others keep their numbers.
  const all = page.replace(PLACED, (part) => part.replace(/.+/g, "")).split("\n");
  for (let i = 0; i < all.length; i++) {
    const [, language, rest] = all[i]!.match(/^```(\w*)(.*)$/) ?? [];
    if (language === undefined) continue;
    const end = all.indexOf("```", i + 1);
    if (end < 0) throw new Error(`line ${i + 1}: close the snippet that begins here`);
    const lines = all.slice(i + 1, end);
    const isIgnored = rest!.trim() === "ignore";
    snippets.push({ language, isIgnored, line: i + 2, lines });
    i = end;
  }
  return snippets;
}

/** The file that a snippet is, as its first line says: `// scratch/count.c`. */
export function fileOf({ lines }: Snippet): string | undefined {
  return lines[0]?.match(/^\/\/ ([\w.\/-]+\.\w+)$/)?.[1];
}

/** What is wrong with the form of a snippet. */
export function* formProblems(page: string): Generator<string, void> {
  for (const name of sectionsOf(page).flatMap(({ needs }) => needs)) {
    if (!isInstallable(name)) yield `${name} is needed: add it to tools/packages.ts`;
  }
  for (const snippet of snippetsOf(page)) {
    const { language, isIgnored, line } = snippet;
    const isKnown = SHOWN.has(language) || language in COMPILED ||
      ["ts", "sh", "json"].includes(language);
    if (!isKnown) yield `line ${line}: ${language} is not run; teach tests/support/page.ts to`;
    else if (isIgnored && !hasReason(page, line)) {
      yield `line ${line}: say why it is ignored, as <!-- not run: … --> above it`;
    } else if (
      !isIgnored && language in COMPILED && COMPILED[language] === undefined &&
      fileOf(snippet) === undefined
    ) yield `line ${line}: name its file in the first line: // scratch/name.${language}`;
  }
}

/** Whether a comment above says why what follows is not run: in its section, or for the page. */
function hasReason(page: string, line: number): boolean {
  const above = page.split("\n", line - 1).join("\n").split(/^(?=## )/m);
  return [above[0]!, above.at(-1)!].some((part) => part.includes("<!-- not run: "));
}

/** The sections of a page, by its `##`, each with the names in its `<!-- needs … -->`. */
export function sectionsOf(page: string): { text: string; needs: Installable[] }[] {
  return page.split(/^(?=## )/m).map((text) => ({
    text,
    needs: [...text.matchAll(/^<!-- needs ([\w.+/-]+) -->$/gm)].map(([, name]) =>
      name as Installable
    ),
  }));
}

/** What a page needs, and this machine lacks. */
export function missing(page: string): Set<Installable> {
  return new Set(sectionsOf(page).flatMap(({ needs }) => needs).filter((it) => !isInstalled(it)));
}

/**
 * Runs a page, without the sections that need what is missing, in a folder that looks like the top
 * of a fresh checkout. Returns what has failed, with what it has printed.
 */
export async function runPage(name: string, page: string): Promise<string | undefined> {
  const folder = await Deno.makeTempDir({ prefix: "fringe-docs-" });
  try {
    for (const { name } of Deno.readDirSync(root)) {
      if (name !== "scratch" && !name.startsWith(".")) {
        await Deno.symlink(join(root, name), join(folder, name));
      }
    }
    await Deno.mkdir(join(folder, "scratch"));
    const left = sectionsOf(page).filter(({ needs }) => needs.every(isInstalled));
    return await runIn(folder, basename(name), left.map(({ text }) => text).join(""));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function runIn(folder: string, name: string, page: string): Promise<string | undefined> {
  const snippets = snippetsOf(page).filter(({ isIgnored }) => !isIgnored);
  for (const snippet of snippets) {
    const file = fileOf(snippet);
    if (file === undefined) continue;
    await Deno.mkdir(join(folder, dirname(file)), { recursive: true });
    await Deno.writeTextFile(join(folder, file), snippet.lines.join("\n") + "\n");
  }
  for (const snippet of snippets) {
    const failed = await runSnippet(folder, snippet);
    if (failed !== undefined) return `the snippet \`${snippet.lines[0]}\`: ${failed}`;
  }
  for (const part of partsOf(page)) {
    if (!snippetsOf(part).some(({ language, isIgnored }) => language === "ts" && !isIgnored)) {
      continue;
    }
    const copy = join(folder, "scratch", name);
    await Deno.writeTextFile(copy, withChecks(part));
    const failed = await run(folder, Deno.execPath(), [
      ...["test", "--doc", "--no-check", "--no-prompt", "-A", "--v8-flags=--expose-gc"],
      ...["--config", join(root, "deno.json"), copy],
    ]);
    if (failed !== undefined) return failed;
  }
  return undefined;
}

/**
 * The parts of a page that have a process each: sections that need the same. Two runtimes in one
 * process get into each other's way: a collector is told its options once, and a signal has one
 * handler.
 */
function partsOf(page: string): string[] {
  const parts = new Map<string, string>();
  for (const { text, needs } of sectionsOf(page)) {
    parts.set(needs.join(), (parts.get(needs.join()) ?? "") + text);
  }
  return [...parts.values()];
}

async function runSnippet(folder: string, snippet: Snippet): Promise<string | undefined> {
  const text = snippet.lines.join("\n");
  if (snippet.language === "sh") return await run(folder, "sh", ["-e", "-c", text]);
  if (snippet.language === "json") {
    JSON.parse(text);
    return undefined;
  }
  const reader = COMPILED[snippet.language];
  if (reader === undefined || fileOf(snippet) !== undefined) return undefined;
  const file = join(folder, "scratch", "unnamed");
  await Deno.writeTextFile(file, text);
  const [compiler, ...args] = reader;
  return await run(folder, compiler!, [...args, "-fsyntax-only", "-I", "native/include", file]);
}

/** Checks the types of all snippets of pages; returns what is wrong. */
export async function checkTypes(pages: readonly string[]): Promise<string | undefined> {
  const args = ["check", "--doc-only", "--config", join(root, "deno.json"), ...pages];
  return await run(root, Deno.execPath(), args);
}

/** Runs a program to its end. If it fails, returns how, with what it has printed. */
async function run(folder: string, command: string, args: string[]): Promise<string | undefined> {
  const compiler = await zig();
  // The commands of a page find the deno that runs this, and the pinned zig.
  const found = [Deno.execPath(), compiler].filter(isAbsolute).map((file) => dirname(file));
  const path = [...found, Deno.env.get("PATH")].join(":");
  const { success, code, signal, stdout, stderr } = await new Deno.Command(command, {
    args,
    cwd: folder,
    env: { ...zigEnvironment, PATH: path, NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1" },
    stdin: "null",
  }).output();
  if (success) return undefined;
  const decoder = new TextDecoder();
  return `ended with ${signal ?? code}\n${decoder.decode(stdout)}${decoder.decode(stderr)}`;
}

/**
 * The page with its `console.log(…); // text` checked: what is printed there is the text. The lines
 * keep their numbers.
 */
function withChecks(page: string): string {
  const lines = page.split("\n");
  for (const { language, isIgnored, line, lines: snippet } of snippetsOf(page)) {
    if (language !== "ts" || isIgnored) continue;
    const expected: Record<number, string> = {};
    for (const [i, text] of snippet.entries()) {
      const [, start, args, comment] = text.match(/^(.*\b)console\.log\((.*\);) \/\/ (.+)$/) ?? [];
      if (comment === undefined) continue;
      expected[i] = comment;
      lines[line - 1 + i] = `${start}prints.at(${i}, ${args} // ${comment}`;
    }
    if (Object.keys(expected).length === 0) continue;
    const prints = new URL("./prints.ts", import.meta.url).href;
    lines[line - 1] = `import { Prints } from "${prints}"; ` +
      `using prints = new Prints(${JSON.stringify(expected)}); ${lines[line - 1]}`;
  }
  return lines.join("\n");
}
