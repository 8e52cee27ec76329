// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Makes what is committed and generated from the sources: `deno task build`.
 *
 * Zig fills `native/prebuilt/` and prints `ffi/layout.ts`; `ffi/library/prebuilt.js` then holds the
 * libraries once more as text, so that they come with the module graph when `mod.ts` is imported
 * over HTTP, and their digests. `ffi/fringe.js` holds all other modules once more, in one.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { join } from "node:path";
import { BUNDLE, bundle } from "./bundle.ts";
import { root, zigBuild } from "./zig.ts";

const prebuilt = join(root, "native", "prebuilt");

/** The files that are generated, with what each is made from. */
const generated: readonly Generated[] = [
  {
    path: "ffi/layout.ts",
    from: "what native/layout.zig gives",
    make: (fresh) => read(fresh, "layout.ts")!,
  },
  {
    path: "ffi/library/prebuilt.js",
    from: "what the libraries and native/sha256.zig give",
    make: (fresh) => new TextEncoder().encode(generate(fresh)),
  },
  // After layout.ts, which is one of the modules.
  {
    path: BUNDLE,
    from: "what the modules of ffi/ give",
    make: async () => new TextEncoder().encode(await bundle()),
  },
];

interface Generated {
  readonly path: string;
  readonly from: string;
  /** Gives the text, of what Zig has installed in a folder. */
  make(fresh: string): Uint8Array | Promise<Uint8Array>;
}

/** Builds everything anew and puts it in its place. */
export async function build(): Promise<void> {
  await withFreshPrebuilt(async (fresh) => {
    for (const { path, make } of generated) {
      await Deno.writeFile(join(root, path), await make(fresh));
    }
    await Deno.remove(prebuilt, { recursive: true }).catch((error) => {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    });
    await Deno.rename(join(fresh, "prebuilt"), prebuilt);
  });
}

/** Names what is committed and is not, byte for byte, what the sources give. */
export async function differences(): Promise<string[]> {
  return await withFreshPrebuilt(async (fresh) => {
    const names = new Set([...filesIn(join(fresh, "prebuilt")), ...filesIn(prebuilt)]);
    const different = [...names].sort().flatMap((name) => {
      const [made, committed] = [read(fresh, "prebuilt", name), read(prebuilt, name)];
      const path = `native/prebuilt/${name}`;
      if (made === undefined) return [`${path} is not made by the sources`];
      if (committed === undefined) return [`${path} is missing`];
      return equal(made, committed) ? [] : [`${path} is not what the sources give`];
    });
    for (const { path, from, make } of generated) {
      const committed = read(root, path);
      if (committed === undefined || !equal(await make(fresh), committed)) {
        different.push(`${path} is not ${from}`);
      }
    }
    return different;
  });
}

/**
 * The text of `ffi/library/prebuilt.js` for what Zig has installed in the folder `fresh`: the
 * libraries, one folder a platform, and the code that has their digests.
 */
export function generate(fresh: string): string {
  const directory = join(fresh, "prebuilt");
  const entries = filesIn(directory).sort().flatMap((name) => {
    const [platform, file, ...rest] = name.split("/");
    if (file !== "libfringe.so" || rest.length > 0) return [];
    return [entry(platform ?? "", Deno.readFileSync(join(directory, name)))];
  });
  if (entries.length === 0) {
    throw new Error(`Cannot generate ffi/library/prebuilt.js: no library in ${directory}`);
  }
  return `// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors
// Made by \`deno task build\` (tools/build.ts) from native/prebuilt/: edit neither.
// deno-fmt-ignore-file

/**
 * The shared library of a platform, for where there is no file of it beside \`mod.ts\`.
 *
 * @typedef {object} Prebuilt
 * @property {string} digest SHA-256 of the library, in hexadecimal.
 * @property {number} size Size of the library in bytes.
 * @property {string} base64 The library in base64, in lines: decoders skip the line ends.
 */

/** Where the libraries lie as files, beside a checkout. */
export const folder = new URL("../../native/prebuilt/", import.meta.url);

/** What native/sha256.zig gives, in base64. */
export const sha256Wasm = \`
${inLines(read(fresh, "sha256.wasm")!)}
\`;

/**
 * The libraries by platform, such as \`x86_64-linux\`: \`Deno.build\`'s \`arch\` and \`os\`.
 *
 * @type {Readonly<Record<string, Prebuilt>>}
 */
export const prebuilt = {
${entries.join("")}};
`;
}

function entry(platform: string, library: Uint8Array): string {
  return `  ${JSON.stringify(platform)}: {
    digest: "${createHash("sha256").update(library).digest("hex")}",
    size: ${library.length},
    base64: \`
${inLines(library)}
\`,
  },
`;
}

function inLines(bytes: Uint8Array): string {
  return bytes.toBase64().replace(/.{96}/g, "$&\n").trimEnd();
}

/** Builds into a temporary folder and passes it on; what is left of it then goes. */
async function withFreshPrebuilt<T>(use: (fresh: string) => T | Promise<T>): Promise<T> {
  const cache = join(root, ".zig-cache");
  await Deno.mkdir(cache, { recursive: true });
  // In the checkout and not in /tmp, because a rename cannot leave a file system.
  const prefix = await Deno.makeTempDir({ dir: cache, prefix: "prebuilt-" });
  try {
    await zigBuild("prebuilt", "--prefix", prefix);
    return await use(prefix);
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

function read(...path: string[]): Uint8Array<ArrayBuffer> | undefined {
  try {
    return Deno.readFileSync(join(...path));
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
