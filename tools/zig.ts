// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Finds the pinned Zig compiler, or installs it into the checkout: `deno run -P=tools
 * tools/zig.ts`.
 *
 * The version is stated once, in `native/build.zig.zon`. Any other version is of no use, because
 * the prebuilt library is compared byte for byte with what the compiler gives.
 *
 * @module
 */

import { join, resolve } from "node:path";
import type { Wheel } from "./wheel.ts";

/** The checkout's top folder. */
export const root: string = resolve(import.meta.dirname ?? ".", "..");

/** Keeps Zig's caches inside the checkout, so that it needs no home directory. */
export const zigEnvironment: Readonly<Record<string, string>> = {
  ZIG_LOCAL_CACHE_DIR: join(root, ".zig-cache"),
  ZIG_GLOBAL_CACHE_DIR: join(root, ".zig-cache", "global"),
};

/** The wheels of the version in `build.zig.zon`, by platform: raise them together. */
const wheels: Record<string, Pick<Wheel, "platform" | "sha256" | "size">> = {
  "aarch64-darwin": {
    platform: "macosx_13_0_arm64",
    sha256: "09953b6af7f64168b915180a42774f520f92d86ef6331b28e33915c7e1f0bb23",
    size: 100_390_379,
  },
  "aarch64-linux": {
    platform: "manylinux_2_17_aarch64",
    sha256: "b7c5f02fccd40f89b999ee16a1f5ddced56e6182370f8affe494bcf8a28cf07e",
    size: 98_063_064,
  },
  "x86_64-darwin": {
    platform: "macosx_13_0_x86_64",
    sha256: "4e0b4b9c02b8d0d220e9948010f860b62ff11d96abb39762eca5fa2ef3f7bc97",
    size: 104_485_232,
  },
  "x86_64-linux": {
    platform: "manylinux_2_12_x86_64",
    sha256: "ea6cc5d87b033cf0aedfbc8f9549a908cae6c50ac31f1698188fa48a74524b54",
    size: 101_083_562,
  },
};

let found: Promise<string> | undefined;

/** Path of a working Zig compiler of exactly the pinned version, installed now if need be. */
export function zig(): Promise<string> {
  return found ??= find();
}

/** Runs `zig build` in `native/`. */
export async function zigBuild(...args: string[]): Promise<void> {
  const status = await new Deno.Command(await zig(), {
    args: ["build", ...args, "--color", "off"],
    cwd: join(root, "native"),
    env: zigEnvironment,
    stdin: "null",
    stdout: "inherit",
    stderr: "inherit",
  }).spawn().status;
  if (!status.success) throw new Error(`Cannot build: \`zig build ${args.join(" ")}\` failed`);
}

/** The version that a `build.zig.zon` asks for. */
export function pinnedVersion(zon: string): string {
  const version = /^\s*\.minimum_zig_version\s*=\s*"([^"]+)"/m.exec(zon)?.[1];
  if (version === undefined) {
    throw new Error("Cannot find the Zig version: build.zig.zon has no .minimum_zig_version");
  }
  return version;
}

async function find(): Promise<string> {
  const version = pinnedVersion(await Deno.readTextFile(join(root, "native", "build.zig.zon")));
  const chosen = Deno.env.get("ZIG");
  if (chosen) {
    const actual = await versionOf(chosen);
    if (actual === version) return chosen;
    throw new Error(
      `Cannot use ZIG=${chosen}: it is ${actual || "no working Zig"}, and ${version} is needed`,
    );
  }
  for (const folder of (Deno.env.get("PATH") ?? "").split(":")) {
    const path = resolve(folder, "zig");
    if (await versionOf(path) === version) return path;
  }
  const installed = join(root, ".zig", version, "zig");
  if (await versionOf(installed) !== version) await install(version, installed);
  return installed;
}

/** What `path version` prints, or `undefined` where nothing runs. */
async function versionOf(path: string): Promise<string | undefined> {
  try {
    const command = new Deno.Command(path, { args: ["version"], stdin: "null", stderr: "null" });
    const output = await command.output();
    return output.success ? new TextDecoder().decode(output.stdout).trim() : undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.PermissionDenied) {
      return undefined;
    }
    throw error;
  }
}

async function install(version: string, installed: string): Promise<void> {
  const platform = `${Deno.build.arch}-${Deno.build.os}`;
  const pinned = wheels[platform];
  if (pinned === undefined) {
    throw new Error(
      `Cannot install Zig ${version}: no wheel is pinned for ${platform}; ` +
        `put zig ${version} on PATH, or set ZIG to its path`,
    );
  }
  const wheel: Wheel = { name: "ziglang", version, ...pinned };
  const directory = join(root, ".zig");
  await Deno.mkdir(directory, { recursive: true });
  // One process installs while others wait. The kernel drops the lock of one that dies, and the
  // next starts over in the same scratch folder, so nothing piles up.
  using lock = await Deno.open(join(directory, "lock"), { create: true, write: true });
  if (!await lock.tryLock(true)) {
    report(version, "waiting for another process that installs it");
    await lock.lock(true);
  }
  if (await versionOf(installed) === version) return;
  const scratch = join(directory, "scratch");
  await remove(scratch);
  const unpacked = join(scratch, "unpacked");
  await Deno.mkdir(join(scratch, "download"), { recursive: true });
  try {
    // Not above, since it has an npm package, which would be fetched where a zig is found, too.
    const { download, unpack } = await import("./wheel.ts");
    report(version, "not found here, so it comes from the Python package index (once)");
    const path = await download(
      wheel,
      join(scratch, "download"),
      meter(version, "downloading", wheel.size),
    );
    await unpack(path, wheel.name, unpacked, meter(version, "unpacking", wheel.size));
    await Deno.chmod(join(unpacked, "zig"), 0o755);
    const actual = await versionOf(join(unpacked, "zig"));
    if (actual !== version) throw new Error(`the unpacked compiler says it is ${actual}`);
    await remove(join(directory, version));
    await Deno.rename(unpacked, join(directory, version));
    report(version, `installed in ${join(directory, version)}`);
  } catch (cause) {
    throw new Error(
      `Cannot install Zig ${version}: ${cause instanceof Error ? cause.message : cause}\n` +
        `Three ways out: install pip (Debian's package python3-pip), put zig ${version} on PATH, ` +
        "or set ZIG to the path of such a compiler",
      { cause },
    );
  } finally {
    await remove(scratch);
  }
}

async function remove(path: string): Promise<void> {
  try {
    await Deno.remove(path, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

function report(version: string, text: string): void {
  console.error(`zig ${version}: ${text}`);
}

/** Reports progress in megabytes, at most every two seconds and when all is done. */
function meter(version: string, verb: string, size: number): (done: number) => void {
  const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(0);
  let last = 0;
  return (done) => {
    const now = performance.now();
    if (now - last < 2000 && done < size) return;
    last = now;
    // pip's temporary folder holds a second copy for a moment.
    report(version, `${verb}… ${megabytes(Math.min(done, size))} of ${megabytes(size)} MB`);
  };
}

if (import.meta.main) {
  try {
    console.log(await zig());
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    Deno.exit(1);
  }
}
