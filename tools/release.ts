// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Makes what is attached to a release: `deno run -P=tools tools/release.ts TAG FOLDER`.
 *
 * For each platform an archive of the library that comes with the module of this version, its
 * headers and the licences; and `SHA256SUMS`, for `sha256sum --check`. So who imports fringe from a
 * URL gets the `fringe.h` that goes with it. The same commit gives the same bytes.
 *
 * @module
 */

import { basename, join } from "node:path";
import { prebuilt } from "../ffi/library/prebuilt.js";
import { sha256 } from "./wheel.ts";
import { root } from "./zig.ts";

/** Makes the archives and their digests in `folder`, and names the files, the digests last. */
export async function release(
  tag: string,
  folder: string,
  native = join(root, "native"),
): Promise<string[]> {
  const { version } = JSON.parse(await Deno.readTextFile(join(root, "deno.json")));
  if (tag !== `v${version}`) {
    throw new Error(
      `Cannot release ${tag}: deno.json has the version ${version}. Tag v${version}, or commit ` +
        "the other version first",
    );
  }
  await Deno.mkdir(folder, { recursive: true });
  const archives: string[] = [];
  for (const [platform, { digest, file }] of Object.entries(prebuilt)) {
    const library = join(native, "prebuilt", platform, file);
    const found = await sha256(library);
    if (found !== digest) {
      throw new Error(
        `Cannot release ${library}: its digest is ${found}, and ffi/library/prebuilt.js has ` +
          `${digest}. Run \`deno task build\`, and commit what it makes`,
      );
    }
    const archive = join(folder, `fringe-${version}-${platform}.tar.gz`);
    await pack(library, join(native, "include"), archive);
    archives.push(archive);
  }
  const sums = join(folder, "SHA256SUMS");
  const lines = archives.map(async (file) => `${await sha256(file)}  ${basename(file)}\n`);
  await Deno.writeTextFile(sums, (await Promise.all(lines)).join(""));
  return [...archives, sums];
}

/** Packs a library with what goes with it, below a folder that has the name of the archive. */
async function pack(library: string, headers: string, archive: string): Promise<void> {
  const name = basename(archive, ".tar.gz");
  const temporary = await Deno.makeTempDir({ prefix: "fringe-release-" });
  try {
    const top = join(temporary, name);
    await Deno.mkdir(join(top, "include"), { recursive: true });
    await Deno.copyFile(library, join(top, basename(library)));
    for (const licence of ["LICENSE-APACHE", "LICENSE-MIT"]) {
      await Deno.copyFile(join(root, licence), join(top, licence));
    }
    for (const { name } of Deno.readDirSync(headers)) {
      // What an editor or a system has left there is no header.
      if (!name.endsWith(".h")) continue;
      await Deno.copyFile(join(headers, name), join(top, "include", name));
    }
    // Nothing of this machine or of this moment goes into the archive.
    const same = ["--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner"];
    const mode = ["--mode=u=rwX,go=rX", "--use-compress-program=gzip --no-name --best"];
    // Otherwise tar takes what stands before a colon for the name of another machine.
    const file = ["--force-local", "-cf", archive];
    await run("tar", [...same, ...mode, "-C", temporary, ...file, name]);
  } finally {
    await Deno.remove(temporary, { recursive: true });
  }
}

/** Runs a command without the variables that would change what it does: TAR_OPTIONS, GZIP. */
async function run(command: string, args: string[]): Promise<void> {
  const env = { PATH: Deno.env.get("PATH") ?? "" };
  const options = { args, env, clearEnv: true, stdin: "null" } as const;
  const { success, stderr } = await new Deno.Command(command, options).output();
  if (!success) throw new Error(`${command} failed: ${new TextDecoder().decode(stderr)}`);
}

if (import.meta.main) {
  const [tag, folder] = Deno.args;
  if (tag === undefined || folder === undefined) {
    console.error(
      "Say what to release, and where to: deno run -P=tools tools/release.ts TAG FOLDER",
    );
    Deno.exit(2);
  }
  try {
    for (const file of await release(tag, folder)) console.log(file);
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    Deno.exit(1);
  }
}
