// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Makes what is committed and generated from the sources: `deno task build`.
 *
 * Zig fills `native/prebuilt/`, for each platform, and prints `ffi/layout.ts`. Then
 * `ffi/library/prebuilt.js` has the digests of the libraries, and `ffi/library/prebuilt/` holds
 * fringe's own once more as text, so that a program which imports `mod.ts` over HTTP gets the one
 * of its platform. `ffi/fringe.js` holds all other modules once more, in one.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { join } from "node:path";
import { BUNDLE, bundle } from "./bundle.ts";
import { root, zigBuild } from "./zig.ts";

const prebuilt = join(root, "native", "prebuilt");

/** What the libraries are made for, in Zig's words. */
const targets = ["x86_64-linux-gnu", "aarch64-linux-gnu", "x86_64-macos", "aarch64-macos"] as const;

/** The module that has a table of the libraries, and the folder of those that have their text. */
const [TABLE, TEXTS] = ["ffi/library/prebuilt.js", "ffi/library/prebuilt"] as const;

/** What is generated, by path, of what Zig has installed in the folder `fresh`. */
async function generated(fresh: string): Promise<Map<string, string>> {
  return new Map([
    ["ffi/layout.ts", Deno.readTextFileSync(join(fresh, "layout.ts"))],
    [TABLE, table(fresh)],
    ...libraries(fresh).map((library) =>
      [`${TEXTS}/${library.platform}.js`, textOf(library)] as const
    ),
    // The modules of the checkout: to be made when layout.ts is in its place.
    [BUNDLE, await bundle()],
  ]);
}

/** Builds everything anew and puts it in its place. */
export async function build(): Promise<void> {
  await withFreshPrebuilt(async (fresh) => {
    await Deno.copyFile(join(fresh, "layout.ts"), join(root, "ffi/layout.ts"));
    const made = await generated(fresh);
    await emptied(join(root, TEXTS));
    for (const [path, text] of made) await Deno.writeTextFile(join(root, path), text);
    await emptied(prebuilt);
    await Deno.remove(prebuilt);
    await Deno.rename(join(fresh, "prebuilt"), prebuilt);
  });
}

/** Names what is committed and is not, byte for byte, what the sources give. */
export async function differences(): Promise<string[]> {
  return await withFreshPrebuilt(async (fresh) => {
    const made = new Map<string, Uint8Array>();
    for (const [path, text] of await generated(fresh)) {
      made.set(path, new TextEncoder().encode(text));
    }
    for (const name of filesIn(join(fresh, "prebuilt"))) {
      made.set(`native/prebuilt/${name}`, Deno.readFileSync(join(fresh, "prebuilt", name)));
    }
    const committed = [
      ...filesIn(prebuilt).map((name) => `native/prebuilt/${name}`),
      ...filesIn(join(root, TEXTS)).map((name) => `${TEXTS}/${name}`),
    ];
    return [...new Set([...made.keys(), ...committed])].sort().flatMap((path) => {
      const [fresh, found] = [made.get(path), read(root, path)];
      if (fresh === undefined) return [`${path} is not made by the sources`];
      if (found === undefined) return [`${path} is missing`];
      return equal(fresh, found) ? [] : [`${path} is not what the sources give`];
    });
  });
}

/** A library of fringe's own, as Zig has made it. */
interface Library {
  /** `Deno.build`'s `arch` and `os`, such as `x86_64-linux`. */
  readonly platform: string;
  readonly file: string;
  readonly bytes: Uint8Array;
}

/** The libraries of fringe's own that Zig has installed in the folder `fresh`, one a platform. */
export function libraries(fresh: string): Library[] {
  const directory = join(fresh, "prebuilt");
  const found = filesIn(directory).sort().flatMap((name) => {
    const [platform, file, ...rest] = name.split("/") as [string, string?, ...string[]];
    if (!/^libfringe\.(so|dylib)$/.test(file ?? "") || rest.length > 0) return [];
    return [{ platform, file: file!, bytes: Deno.readFileSync(join(directory, name)) }];
  });
  if (found.length === 0) {
    throw new Error(`Cannot generate ${TABLE}: no library in ${directory}`);
  }
  return found;
}

const HEAD = `// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors
// Made by \`deno task build\` (tools/build.ts) from native/: edit that, and build anew.
// deno-fmt-ignore-file
`;

/** The text of `ffi/library/prebuilt.js`, for what Zig has installed in the folder `fresh`. */
export function table(fresh: string): string {
  const entries = libraries(fresh).map(({ platform, file, bytes }) =>
    `  ${JSON.stringify(platform)}: {
    digest: "${createHash("sha256").update(bytes).digest("hex")}",
    size: ${bytes.length},
    file: ${JSON.stringify(file)},
    load: () => import("./prebuilt/" + ${JSON.stringify(`${platform}.js`)}),
  },
`
  );
  return `${HEAD}
/**
 * The shared library of a platform.
 *
 * @typedef {object} Prebuilt
 * @property {string} digest SHA-256 of the library, in hexadecimal.
 * @property {number} size Size of the library in bytes.
 * @property {string} file The name of its file.
 * @property {() => Promise<{ base64: string }>} load Loads it as text, in base64.
 */

/**
 * Where the libraries lie as files in a checkout, each in the folder of its platform; undefined in
 * a bundle or a compiled program, where a stranger's file might lie at that path.
 */
export const folder = import.meta.url.endsWith("/ffi/library/prebuilt.js") &&
    !globalThis.Deno?.build.standalone
  ? new URL("../../native/prebuilt/", import.meta.url)
  : undefined;

/** What native/sha256.zig gives, in base64. */
export const sha256Wasm = \`
${inLines(read(fresh, "sha256.wasm")!)}
\`;

/**
 * The libraries by platform, such as \`x86_64-linux\`: \`Deno.build\`'s \`arch\` and \`os\`.
 *
 * What \`import()\` is given is in two parts. Deno fetches what it is given in one part before the
 * program starts; of these it fetches the library of this platform, as the program starts, and no
 * other. A bundler puts the parts together, and has them all.
 *
 * @type {Readonly<Record<string, Prebuilt>>}
 */
export const prebuilt = {
${entries.join("")}};

/**
 * The library of this platform as text; \`error\` says why there is none. Over HTTP it has been
 * digested: the Web's own SHA-256 is the fastest, and waits for nobody but an import.
 *
 * @type {{ base64?: string, digest?: string, error?: unknown }}
 */
export const text = typeof Deno === "undefined" ? {} :
  await prebuilt[\`\${Deno.build.arch}-\${Deno.build.os}\`]?.load().then(digested)
    .catch((error) => ({ error })) ?? {};

/** @param {{ base64: string }} text */
async function digested({ base64 }) {
  if (import.meta.url.startsWith("file:")) return { base64 };
  try {
    const digest = await crypto.subtle.digest("SHA-256", Uint8Array.fromBase64(base64));
    return { base64, digest: new Uint8Array(digest).toHex() };
  } catch {
    return { base64 }; // No base64: that is said when the library is opened.
  }
}
`;
}

/** The text of a module of `ffi/library/prebuilt/`. */
export function textOf({ bytes }: Library): string {
  return `${HEAD}
/** The library in base64, in lines: decoders skip the line ends. */
export const base64 = \`
${inLines(bytes)}
\`;
`;
}

function inLines(bytes: Uint8Array): string {
  return bytes.toBase64().replace(/.{96}/g, "$&\n").trimEnd();
}

/** Leaves an empty folder where there may be one with files in it. */
async function emptied(folder: string): Promise<void> {
  await Deno.remove(folder, { recursive: true }).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
  await Deno.mkdir(folder, { recursive: true });
}

/** Builds into a temporary folder and passes it on; what is left of it then goes. */
async function withFreshPrebuilt<T>(use: (fresh: string) => T | Promise<T>): Promise<T> {
  const cache = join(root, ".zig-cache");
  await Deno.mkdir(cache, { recursive: true });
  // In the checkout and not in /tmp, because a rename cannot leave a file system.
  const prefix = await Deno.makeTempDir({ dir: cache, prefix: "prebuilt-" });
  try {
    for (const [i, target] of targets.entries()) {
      console.error(`Building for ${target} (${i + 1} of ${targets.length})`);
      await zigBuild("prebuilt", `-Dtarget=${target}`, "--prefix", prefix);
    }
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
