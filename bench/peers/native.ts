// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Gets the peers of `bench/native/`: libraries in other languages that switch stacks.
 *
 *  - Boost.Context, two functions in assembly, is opened as the system has it.
 *  - corosensei, of Rust, comes from crates.io.
 *  - libcoro, by Marc Lehmann, is the fastest library of C that a package registry was found to
 *    have: its switch saves the registers that a call keeps, and leaves by a jump. npm's `fibers`
 *    carries it.
 *
 * What comes from a registry has a pinned version and digest, and lies in `.zig-cache/` with what
 * is built of it.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { join } from "node:path";
import { howToInstall, isInstalled } from "../../tools/packages.ts";
import { root, zig, zigEnvironment } from "../../tools/zig.ts";

/** A library that `bench/native/` can open, or what to install. */
export type Peer =
  & { readonly name: string; readonly version: string }
  & ({ readonly library: string } | { readonly missing: string });

const cache = join(root, ".zig-cache");

/** The package of npm that has libcoro, and its digest. */
const fibers = {
  specifier: "fibers@5.0.3",
  archive: "fibers-5.0.3.tgz",
  sha512:
    "/qYTSoZydQkM21qZpGLDLuCq8c+B8KhuCQ1kLPvnRNhxhVbvrpmH9l2+Lblf5neDuEsY4bfT7LeO553TXQDvJw==",
};

/** All peers, built if they can be. */
export async function nativePeers(): Promise<Peer[]> {
  return [await boost(), await corosensei(), await libcoro()];
}

/** Those that need neither a build nor the network. */
export async function readyPeers(): Promise<Peer[]> {
  return [await boost()];
}

async function boost(): Promise<Peer> {
  const library = "libboost_context.so";
  const header = await Deno.readTextFile("/usr/include/boost/version.hpp").catch(() => "");
  const version = /BOOST_LIB_VERSION "(.*?)"/.exec(header)?.[1]?.replace("_", ".") ?? "unknown";
  const peer = { name: "Boost.Context", version };
  return isInstalled(library) ? { ...peer, library } : { ...peer, missing: howToInstall(library) };
}

async function corosensei(): Promise<Peer> {
  const folder = join(root, "bench", "peers", "corosensei");
  const lock = await Deno.readTextFile(join(folder, "Cargo.lock"));
  const version = /name = "corosensei"\nversion = "(.*?)"/.exec(lock)?.[1] ?? "unknown";
  const target = join(cache, "corosensei");
  const args = ["build", "--release", "--locked", "--quiet", "--target-dir", target];
  return await built({ name: "corosensei", version }, "install cargo (rustup.rs)", async () => {
    await run("cargo", args, folder);
    return join(target, "release", "libcorosensei_round_trips.so");
  });
}

async function libcoro(): Promise<Peer> {
  const folder = join(cache, "libcoro");
  const sources = join(folder, "package", "src", "libcoro");
  const library = join(folder, "libcoro_round_trips.so");
  const peer = { name: "libcoro", version: `of npm's ${fibers.specifier}` };
  return await built(peer, "install npm (Debian's name)", async () => {
    await Deno.mkdir(folder, { recursive: true });
    const archive = join(folder, fibers.archive);
    if (!await isFile(archive)) await run("npm", ["pack", fibers.specifier], folder);
    const digest = await crypto.subtle.digest("SHA-512", await Deno.readFile(archive));
    if (Buffer.from(digest).toString("base64") !== fibers.sha512) {
      throw new Error(`npm's ${fibers.specifier} is not the one that is pinned`);
    }
    await run("tar", ["-xzf", archive], folder);
    await run(
      await zig(),
      [
        ...["cc", "-O3", "-mcpu=baseline", "-shared", "-fPIC", "-fvisibility=hidden"],
        // As it is where it is linked in: a call of its switch goes there, and not by a table.
        "-Wl,-Bsymbolic",
        ...["-DCORO_ASM=1", `-I${sources}`, "-o", library],
        ...["round_trips.c", join(sources, "coro.c")],
      ],
      join(root, "bench", "peers", "libcoro"),
    );
    return library;
  });
}

async function isFile(path: string): Promise<boolean> {
  return (await Deno.stat(path).catch(() => undefined))?.isFile ?? false;
}

/** The peer with its library, or with why there is none. */
async function built(
  peer: { readonly name: string; readonly version: string },
  install: string,
  build: () => Promise<string>,
): Promise<Peer> {
  try {
    return { ...peer, library: await build() };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return { ...peer, missing: install };
    return { ...peer, missing: `it cannot be built: ${(error as Error).message}` };
  }
}

/** What a program prints. */
export async function run(command: string, args: string[], folder: string): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(command, {
    args,
    cwd: folder,
    env: { ...zigEnvironment, NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1" },
    stdin: "null",
  }).output();
  const text = new TextDecoder();
  if (success) return text.decode(stdout);
  throw new Error(`${command} ${args[0]} failed:\n${text.decode(stderr)}${text.decode(stdout)}`);
}
