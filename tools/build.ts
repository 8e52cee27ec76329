// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Makes the committed binaries from the sources: `deno task build`.
 *
 * Zig fills `native/prebuilt/`; `ffi/library/prebuilt.ts` then holds the libraries once more as
 * text, so that they come with the module graph when `mod.ts` is imported over HTTP, and their
 * digests.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { dirname, join } from "node:path";
import { root, zigBuild } from "./zig.ts";

const prebuilt = join(root, "native", "prebuilt");
const generated = join(root, "ffi", "library", "prebuilt.ts");

/** Builds everything anew and puts it in its place. */
export async function build(): Promise<void> {
  await withFreshPrebuilt(async (fresh) => {
    await Deno.mkdir(dirname(generated), { recursive: true });
    await Deno.writeTextFile(generated, generate(fresh));
    await Deno.remove(prebuilt, { recursive: true }).catch((error) => {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    });
    await Deno.rename(fresh, prebuilt);
  });
}

/** Names what is committed and is not, byte for byte, what the sources give. */
export async function differences(): Promise<string[]> {
  return await withFreshPrebuilt((fresh) => {
    const names = new Set([...filesIn(fresh), ...filesIn(prebuilt)]);
    const different = [...names].sort().flatMap((name) => {
      const [made, committed] = [read(join(fresh, name)), read(join(prebuilt, name))];
      const path = `native/prebuilt/${name}`;
      if (made === undefined) return [`${path} is not made by the sources`];
      if (committed === undefined) return [`${path} is missing`];
      return equal(made, committed) ? [] : [`${path} is not what the sources give`];
    });
    const committed = read(generated);
    const made = new TextEncoder().encode(generate(fresh));
    if (committed === undefined || !equal(made, committed)) {
      different.push("ffi/library/prebuilt.ts is not what the libraries give");
    }
    return different;
  });
}

/**
 * The text of `ffi/library/prebuilt.ts` for the libraries in `directory`, one folder a platform.
 */
export function generate(directory: string): string {
  const entries = filesIn(directory).sort().flatMap((name) => {
    const [platform, file, ...rest] = name.split("/");
    if (file !== "libfringe.so" || rest.length > 0) return [];
    return [entry(platform ?? "", Deno.readFileSync(join(directory, name)))];
  });
  if (entries.length === 0) {
    throw new Error(`Cannot generate ffi/library/prebuilt.ts: no library in ${directory}`);
  }
  return `// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors
// Made by \`deno task build\` (tools/build.ts) from native/prebuilt/: edit neither.
// deno-fmt-ignore-file

/** The shared library of a platform, for where there is no file of it beside \`mod.ts\`. */
export interface Prebuilt {
  /** SHA-256 of the library, in hexadecimal. */
  readonly digest: string;
  /** Size of the library in bytes. */
  readonly size: number;
  /** The library in base64, in lines: decoders skip the line ends. */
  readonly base64: string;
}

/** The libraries by platform, such as \`x86_64-linux\`: \`Deno.build\`'s \`arch\` and \`os\`. */
export const prebuilt: Readonly<Record<string, Prebuilt>> = {
${entries.join("")}};
`;
}

function entry(platform: string, library: Uint8Array): string {
  const lines = library.toBase64().replace(/.{96}/g, "$&\n").trimEnd();
  return `  ${JSON.stringify(platform)}: {
    digest: "${createHash("sha256").update(library).digest("hex")}",
    size: ${library.length},
    base64: \`
${lines}
\`,
  },
`;
}

/** Builds into a temporary folder and passes it on; what is left of it then goes. */
async function withFreshPrebuilt<T>(use: (fresh: string) => T | Promise<T>): Promise<T> {
  const cache = join(root, ".zig-cache");
  await Deno.mkdir(cache, { recursive: true });
  // In the checkout and not in /tmp, because a rename cannot leave a file system.
  const prefix = await Deno.makeTempDir({ dir: cache, prefix: "prebuilt-" });
  try {
    await zigBuild("prebuilt", "--prefix", prefix);
    return await use(join(prefix, "prebuilt"));
  } finally {
    await Deno.remove(prefix, { recursive: true });
  }
}

/** Paths of all files below `directory`, relative to it. */
function filesIn(directory: string): string[] {
  try {
    return [...Deno.readDirSync(directory)].flatMap(({ name, isDirectory }) =>
      isDirectory ? filesIn(join(directory, name)).map((file) => `${name}/${file}`) : [name]
    );
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

function read(path: string): Uint8Array | undefined {
  try {
    return Deno.readFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index]);
}

if (import.meta.main) {
  try {
    await build();
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    Deno.exit(1);
  }
}
