// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * A stranger's project that imports fringe: a server of this checkout, and folders outside of it
 * with a program, an import map and an empty cache.
 *
 * @module
 */

import { join } from "node:path";
import { type Ended, run } from "./support.ts";

const root = new URL("../../", import.meta.url);

/** Serves the files of this checkout as any web server does, and keeps account of it. */
export class Served implements AsyncDisposable {
  /** What has been asked for, in order: `mod.ts`, `ffi/…`. */
  readonly requests: string[] = [];
  /** What changes a file on its way. */
  change: (name: string, text: string) => string = (_, text) => text;
  /** The type that files are served as. Hosts of sources say no more of TypeScript. */
  type = "text/plain; charset=utf-8";
  readonly #server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    async (request) => {
      const name = new URL(request.url).pathname.slice(1);
      this.requests.push(name);
      try {
        const text = await Deno.readTextFile(new URL(name, root));
        return new Response(this.change(name, text), { headers: { "content-type": this.type } });
      } catch {
        return new Response(null, { status: 404 });
      }
    },
  );

  /** The host, as `--allow-import` wants it. */
  get host(): string {
    return `127.0.0.1:${this.#server.addr.port}`;
  }

  /** The address that an import map maps "fringe" to. */
  get url(): string {
    return `http://${this.host}/mod.ts`;
  }

  /** Goes offline. Connections that a child has left open are closed, too. */
  async close(): Promise<void> {
    await this.#server.shutdown();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
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
