// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * What an editor shows: Deno's language server is asked, as editors ask it.
 *
 * @module
 */

import { join } from "node:path";
import { pathToFileURL } from "node:url";

/** A running language server. Messages have a header and a body, as in HTTP. */
class LanguageServer implements AsyncDisposable {
  readonly #process = new Deno.Command(Deno.execPath(), {
    args: ["lsp", "--quiet"],
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  readonly #input = this.#process.stdin.getWriter();
  readonly #output = this.#process.stdout.getReader();
  #received = new Uint8Array(0);
  #id = 0;

  async send(message: object): Promise<void> {
    const body = new TextEncoder().encode(JSON.stringify({ jsonrpc: "2.0", ...message }));
    await this.#input.write(new TextEncoder().encode(`Content-Length: ${body.length}\r\n\r\n`));
    await this.#input.write(body);
  }

  /**
   * Asks, and waits for the answer. Questions of the server are answered meanwhile, by nothing but
   * the settings; what it tells is passed over.
   */
  async ask(method: string, params?: object): Promise<unknown> {
    const id = ++this.#id;
    await this.send({ id, method, params });
    while (true) {
      const message = await this.#receive();
      if (message.method !== undefined && message.id !== undefined) {
        const isSettings = message.method === "workspace/configuration";
        await this.send({ id: message.id, result: isSettings ? [{ enable: true }] : null });
      } else if (message.id === id) {
        if (message.error !== undefined) throw new Error(JSON.stringify(message.error));
        return message.result;
      }
    }
  }

  async #receive(): Promise<
    { id?: number; method?: string; result?: unknown; error?: unknown }
  > {
    while (true) {
      const text = new TextDecoder("latin1").decode(this.#received);
      const [head, length] = /^.*?Content-Length: (\d+).*?\r\n\r\n/s.exec(text) ?? [];
      if (head !== undefined && text.length >= head.length + Number(length)) {
        const body = this.#received.subarray(head.length, head.length + Number(length));
        this.#received = this.#received.slice(head.length + Number(length));
        return JSON.parse(new TextDecoder().decode(body));
      }
      const { value, done } = await this.#output.read();
      if (done) throw new Error("The language server has ended");
      const joined = new Uint8Array(this.#received.length + value.length);
      joined.set(this.#received);
      joined.set(value, this.#received.length);
      this.#received = joined;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.ask("shutdown");
    await this.send({ method: "exit" });
    await this.#input.close();
    while (!(await this.#output.read()).done);
    await this.#process.status;
  }
}

/** What an editor shows for the last place of each of `words` in a file of the project `folder`. */
export async function hover(
  folder: string,
  file: string,
  words: readonly string[],
): Promise<string[]> {
  const uri = pathToFileURL(join(folder, file)).href;
  const text = await Deno.readTextFile(join(folder, file));
  await using server = new LanguageServer();
  await server.ask("initialize", {
    processId: null,
    rootUri: pathToFileURL(`${folder}/`).href,
    capabilities: { workspace: { configuration: true } },
  });
  await server.send({ method: "initialized", params: {} });
  const textDocument = { uri, languageId: "typescript", version: 1, text };
  await server.send({ method: "textDocument/didOpen", params: { textDocument } });
  const shown: string[] = [];
  for (const word of words) {
    const before = text.slice(0, text.lastIndexOf(word)).split("\n");
    const position = { line: before.length - 1, character: before.at(-1)!.length };
    const answer = await server.ask("textDocument/hover", { textDocument: { uri }, position });
    shown.push(JSON.stringify(answer));
  }
  return shown;
}
