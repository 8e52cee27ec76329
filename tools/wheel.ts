// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Gets a pinned Python wheel and unpacks it, on a machine that may have no Python.
 *
 * The Zig compiler is published as a wheel, and wheels come through mirrors and proxies that a
 * company or a sandbox has set up already, so the ordinary client is asked first and knows them.
 * Whatever brought the file, it is trusted only for the digest that this checkout states.
 *
 * @module
 */

import { configure, Uint8ArrayReader, ZipReader } from "@zip.js/zip.js";
import { createHash } from "node:crypto";
import { basename, dirname, join } from "node:path";

/** What is known about a wheel before it is downloaded. */
export interface Wheel {
  /** Distribution name, in the normalized spelling of the simple index. */
  readonly name: string;
  readonly version: string;
  /** A part of the file name's platform tags that tells this machine's wheel from the others. */
  readonly platform: string;
  /** Digest of the wheel in hexadecimal: the one thing that is trusted. */
  readonly sha256: string;
  /** Size of the wheel in bytes, for the progress lines. */
  readonly size: number;
}

/** Told, now and then, how many bytes of a task are done. */
export type Progress = (done: number) => void;

const decoder = new TextDecoder();

/** Downloads `wheel` into `directory`, checks its digest and returns the path of the file. */
export async function download(
  wheel: Wheel,
  directory: string,
  progress: Progress,
): Promise<string> {
  const complaints: string[] = [];
  const index = Deno.env.get("PIP_INDEX_URL");
  const path = await downloadWithPip(wheel, directory, progress, complaints) ??
    (index ? await downloadFromIndex(wheel, index, directory, progress) : undefined);
  if (path === undefined) {
    const why = complaints.length === 0 ? "no pip was found" : complaints.join("\n");
    throw new Error(`Cannot download ${wheel.name} ${wheel.version}: ${why}`);
  }
  const digest = await sha256(path);
  if (digest !== wheel.sha256) {
    throw new Error(
      `Cannot use ${wheel.name} ${wheel.version}: ` +
        `its wheel has the sha256 ${digest} where ${wheel.sha256} is pinned`,
    );
  }
  return path;
}

/** Asks each pip there is; `undefined` if none could, with the reasons added to `complaints`. */
async function downloadWithPip(
  wheel: Wheel,
  directory: string,
  progress: Progress,
  complaints: string[],
): Promise<string | undefined> {
  const clients: [string, ...string[]][] = [["python3", "-m", "pip"], ["pip3"], ["pip"]];
  for (const [command, ...prefix] of clients) {
    // pip has no progress for a reader that is no terminal, but its temporary files grow where
    // TMPDIR says.
    const timer = setInterval(() => progress(sizeOfTree(directory)), 1000);
    try {
      const output = await new Deno.Command(command, {
        args: [
          ...[...prefix, "download", "--no-deps", "--only-binary", ":all:"],
          ...["--dest", directory, `${wheel.name}==${wheel.version}`],
        ],
        env: { TMPDIR: directory, PIP_NO_INPUT: "1", PIP_DISABLE_PIP_VERSION_CHECK: "1" },
        stdin: "null",
        stdout: "null",
        stderr: "piped",
      }).output();
      const file = output.success ? findWheel(wheel, directory) : undefined;
      if (file !== undefined) return file;
      const reason = decoder.decode(output.stderr).trim().split("\n").at(-1) || "no wheel came";
      complaints.push(`${[command, ...prefix].join(" ")}: ${reason}`);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    } finally {
      clearInterval(timer);
    }
  }
  return undefined;
}

function findWheel(wheel: Wheel, directory: string): string | undefined {
  for (const entry of Deno.readDirSync(directory)) {
    if (isFileOf(wheel, entry.name)) return join(directory, entry.name);
  }
  return undefined;
}

function sizeOfTree(directory: string): number {
  let size = 0;
  try {
    for (const entry of Deno.readDirSync(directory)) {
      const path = join(directory, entry.name);
      size += entry.isDirectory ? sizeOfTree(path) : Deno.lstatSync(path).size;
    }
  } catch (error) {
    // pip renames its files while they are counted.
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return size;
}

/** What a machine without pip can do if somebody told it where its index is. */
async function downloadFromIndex(
  wheel: Wheel,
  index: string,
  directory: string,
  progress: Progress,
): Promise<string> {
  const root = new URL(index.endsWith("/") ? index : `${index}/`);
  const credentials = root.username === "" ? undefined : "Basic " +
    btoa(`${decodeURIComponent(root.username)}:${decodeURIComponent(root.password)}`);
  root.username = root.password = "";
  const certificates = Deno.env.get("PIP_CERT");
  using client = Deno.createHttpClient({
    caCerts: certificates ? [await Deno.readTextFile(certificates)] : [],
  });
  const get = async (url: URL): Promise<Response> => {
    const headers = new Headers({ accept: "text/html, */*;q=0.5" });
    // The files of an index may live on another host, which must not see the password.
    if (credentials && url.origin === root.origin) headers.set("authorization", credentials);
    const response = await fetch(url, { client, headers });
    if (!response.ok) throw new Error(`Cannot download ${url}: ${response.status}`);
    return response;
  };

  const page = await get(new URL(`${wheel.name}/`, root));
  const type = page.headers.get("content-type") ?? "";
  const links = indexLinks(await page.text(), type, page.url);
  const link = links.find((url) => isFileOf(wheel, fileName(url)));
  if (link === undefined) {
    throw new Error(
      `Cannot download ${wheel.name} ${wheel.version}: ` +
        `the index at PIP_INDEX_URL lists ${links.length} files and none is a wheel of it ` +
        `for ${wheel.platform}`,
    );
  }
  const response = await get(link);
  const path = join(directory, fileName(link));
  using file = await Deno.open(path, { write: true, createNew: true });
  let done = 0;
  for await (const chunk of response.body ?? []) {
    for (let written = 0; written < chunk.length;) {
      written += await file.write(chunk.subarray(written));
    }
    progress(done += chunk.length);
  }
  return path;
}

function fileName(url: URL): string {
  return basename(decodeURIComponent(url.pathname));
}

/** Whether a file of this name is the wheel itself: not its metadata, nor another platform's. */
export function isFileOf(wheel: Wheel, name: string): boolean {
  return name.startsWith(`${wheel.name}-${wheel.version}-`) && name.endsWith(".whl") &&
    name.includes(wheel.platform);
}

/** The files on a project's page of a simple index, in HTML (PEP 503) or in JSON (PEP 691). */
export function indexLinks(page: string, contentType: string, base: string): URL[] {
  const references = /\bjson\b/.test(contentType)
    ? (JSON.parse(page) as { files: { url: string }[] }).files.map((file) => file.url)
    : Array.from(
      page.matchAll(/<a\s[^>]*?\bhref\s*=\s*(?:"([^"]*)"|'([^']*)')/gi),
      (match) => (match[1] ?? match[2] ?? "").replaceAll("&amp;", "&"),
    );
  return references.map((reference) => {
    const url = new URL(reference, base);
    url.hash = "";
    return url;
  });
}

/** The digest of a file, in hexadecimal. */
export async function sha256(path: string): Promise<string> {
  const hash = createHash("sha256");
  using file = await Deno.open(path);
  for await (const chunk of file.readable) hash.update(chunk);
  return hash.digest("hex");
}

/**
 * Unpacks what lies under `folder` in the wheel at `path`, a zip archive, into `directory`.
 *
 * zip.js comes from npm, as Deno itself does where `npx` runs it, so no machine needs more for it.
 */
export async function unpack(
  path: string,
  folder: string,
  directory: string,
  progress: Progress,
): Promise<void> {
  configure({ useWebWorkers: false });
  const bytes = await Deno.readFile(path);
  const archive = new ZipReader(new Uint8ArrayReader(bytes), { checkSignature: true });
  const entries = await archive.getEntries().catch((cause: Error) => {
    throw new Error(`Cannot unpack ${path}: ${cause.message}`, { cause });
  });
  let done = 0;
  for (const entry of entries) {
    done += entry.compressedSize;
    if (entry.directory || !entry.filename.startsWith(`${folder}/`)) continue;
    const target = join(directory, entry.filename.slice(folder.length + 1));
    await Deno.mkdir(dirname(target), { recursive: true });
    const file = await Deno.open(target, { write: true, createNew: true });
    await entry.getData(file).catch((cause: Error) => {
      throw new Error(`Cannot unpack ${entry.filename}: ${cause.message}`, { cause });
    });
    progress(done);
  }
}
