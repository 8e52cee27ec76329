// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * A stranger's project that imports fringe: a folder outside of this checkout, with a program, an
 * import map and an empty cache.
 *
 *     await using served = new Served();
 *     await using project = Project.importing(served.url, small("fringe"));
 *     assertSucceeds(await project.run("--allow-import", "--allow-ffi"), "generator\n");
 *
 * @module
 */

import { join } from "node:path";
import { type Ended, run } from "./support.ts";

/** A program that imports from `from`, and needs fringe's library and no other. */
export function small(from: string): string {
  return `
    import { Generator, OsStack } from ${JSON.stringify(from)};
    using generator = new Generator(new OsStack(), function* () { yield "generator"; });
    console.log(generator.resume());
  `;
}

/** What changes a served file on its way. */
export type Change = (name: string, text: string) => string;

/** Changes the files that have the digests of libraries, and the libraries as text. */
export function changingPrebuilt(change: (text: string) => string): Change {
  return (name, text) => name.startsWith("ffi/library/prebuilt") ? change(text) : text;
}

/** Has another character in the middle of the library's base64: `character`, if it is another. */
export function withCharacter(character: string): Change {
  return changingPrebuilt((text) => {
    const start = text.indexOf("base64 = `");
    if (start < 0) return text;
    const at = start + 4000;
    const other = text[at] === character ? "C" : character;
    return text.slice(0, at) + other + text.slice(at + 1);
  });
}

/** A folder, and an empty cache of its own, until it is disposed of. */
export class Project implements AsyncDisposable {
  /** The folder, which is all that a user has. */
  readonly folder: string = Deno.makeTempDirSync({ prefix: "fringe-project-" });
  #cache = Deno.makeTempDirSync({ prefix: "fringe-cache-" });

  /** Has the program `main.ts`, and a `deno.json` that maps "fringe" to `fringe`. */
  static importing(
    fringe: string,
    main: string,
    config: Readonly<Record<string, unknown>> = {},
  ): Project {
    const project = new Project();
    project.write("main.ts", main);
    project.write("deno.json", JSON.stringify({ imports: { fringe }, ...config }));
    return project;
  }

  /** The path of a file in the folder. */
  path(name: string): string {
    return join(this.folder, name);
  }

  /** Writes a file into the folder. */
  write(name: string, text: string): void {
    Deno.writeTextFileSync(this.path(name), text);
  }

  /** Runs `deno` in the folder, or elsewhere, with the cache of this project. */
  async deno(args: readonly string[], cwd: string | URL = this.folder): Promise<Ended> {
    return await run(args, { DENO_DIR: this.#cache, DENO_NO_UPDATE_CHECK: "1" }, { cwd });
  }

  /** Runs `main.ts` with these flags and no other grants. */
  async run(...flags: string[]): Promise<Ended> {
    return await this.deno(["run", "--no-prompt", "--no-check", ...flags, "main.ts"]);
  }

  /** Forgets what has been fetched. */
  emptyCache(): void {
    Deno.removeSync(this.#cache, { recursive: true });
    Deno.mkdirSync(this.#cache);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.folder, { recursive: true });
    await Deno.remove(this.#cache, { recursive: true });
  }
}
