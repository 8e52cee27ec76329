// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * A web server of this checkout, for programs that import fringe from a URL: on this machine only,
 * at a port of its own.
 *
 *     await using served = new Served();
 *     served.url   // http://127.0.0.1:PORT/mod.ts
 *
 * @module
 */

import { join } from "node:path";
import { root } from "./zig.ts";

/** Serves the files of this checkout as any web server does, and keeps account of it. */
export class Served implements AsyncDisposable {
  /** What has been asked for, in order: `mod.ts`, `ffi/…`. */
  readonly requests: string[] = [];
  /** Changes a file on its way. */
  change: (name: string, text: string) => string = (_, text) => text;
  /** The type that files are served as. Hosts of sources say no more of TypeScript. */
  type = "text/plain; charset=utf-8";
  readonly #server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    async (request) => {
      const name = new URL(request.url).pathname.slice(1);
      this.requests.push(name);
      try {
        const text = await Deno.readTextFile(join(root, name));
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

  /** The address of `mod.ts`, to which an import map maps "fringe". */
  get url(): string {
    return this.urlOf("mod.ts");
  }

  /** The address of a file of the checkout: `tools/served.ts`. */
  urlOf(name: string): string {
    return `http://${this.host}/${name}`;
  }

  /** Goes offline. Connections that a child has left open are closed, too. */
  async close(): Promise<void> {
    await this.#server.shutdown();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
