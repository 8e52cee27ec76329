// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * What the examples, the tests and the benches use of the system, and the Debian packages that have
 * it. `deno run -P=tools tools/packages.ts` installs what is missing, where there is an apt-get
 * and the right to call it; CI does so.
 *
 * @module
 */

/** Libraries by the name that the loader knows, and programs by theirs. */
export const packages = {
  "/usr/lib/R/lib/libR.so": "r-base-core",
  "/usr/lib/jvm/default-java/lib/server/libjvm.so": "default-jre-headless",
  "aarch64-linux-gnu-g++": "g++-aarch64-linux-gnu",
  "g++": "g++",
  "gdb": "gdb",
  "gdb-multiarch": "gdb-multiarch",
  "libboost_context.so": "libboost-context-dev",
  "libSDL2-2.0.so.0": "libsdl2-2.0-0",
  "libarchive.so": "libarchive-dev",
  "libclang-14.so.1": "libclang1-14",
  "libcurl.so": "libcurl4-openssl-dev",
  "libexpat.so": "libexpat1-dev",
  "libexpat.so.1": "libexpat1",
  "libgc.so.1": "libgc1",
  "libglib-2.0.so": "libglib2.0-dev",
  "libglib-2.0.so.0": "libglib2.0-0",
  "libguile-3.0.so.1": "guile-3.0-libs",
  "liblua5.4.so": "liblua5.4-dev",
  "liblua5.4.so.0": "liblua5.4-0",
  "libluajit-5.1.so.2": "libluajit-5.1-2",
  "libruby-3.1.so.3.1": "libruby3.1",
  "libsqlite3.so": "libsqlite3-dev",
  "libsqlite3.so.0": "libsqlite3-0",
  "libunwind.so.8": "libunwind8",
  "libxml2.so": "libxml2-dev",
  "libz.so": "zlib1g-dev",
  "libz.so.1": "zlib1g",
  "llvm-dwarfdump": "llvm",
  "llvm-nm": "llvm",
  "llvm-objdump": "llvm",
  "qemu-aarch64-static": "qemu-user-static",
  "qemu-system-aarch64": "qemu-system-arm",
  "qemu-system-i386": "qemu-system-x86",
  "qemu-system-x86_64": "qemu-system-x86",
  "readelf": "binutils",
  "strace": "strace",
  "valgrind": "valgrind",
} as const;

/** What most Debians have in another version only, and how to get it. */
const elsewhere = {
  "libpython3.11.so.1.0": "Python 3.11 (libpython3.11 in Debian 12)",
  rustc: "Rust 1.71 or later (https://rustup.rs)",
} as const;

/** A library or program of one of the two lists. */
export type Installable = keyof typeof packages | keyof typeof elsewhere;

/** Whether `name` stands in one of the two lists. */
export function isInstallable(name: string): name is Installable {
  return name in packages || name in elsewhere;
}

/** Whether the loader finds a library, or a shell a program that runs. */
export function isInstalled(name: Installable): boolean {
  try {
    if (!name.includes(".so")) {
      return new Deno.Command(name, { args: ["--version"] }).outputSync().success;
    }
    // Not opened where a file is seen: some are never unloaded, and LLVM brings zlib.
    if (!isListed(name)) Deno.dlopen(name, {}).close();
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) throw error;
    return false;
  }
}

/** Where the loader looks for libraries; undefined until somebody asks. */
let folders: readonly string[] | undefined;

function isListed(name: string): boolean {
  if (folders === undefined) {
    let list = "";
    try {
      const { stdout } = new Deno.Command("/sbin/ldconfig", { args: ["-p"] }).outputSync();
      list = new TextDecoder().decode(stdout);
    } catch {
      // Not a system with such a list, or no right to ask: then each library is opened.
    }
    // An emulator has another machine's beside its own.
    const machine = { x86_64: "x86-64", aarch64: "AArch64" }[Deno.build.arch];
    const found = list.matchAll(/\(libc6,(\S+?)[,)].*? => (\S+)\/[^/]+$/gm);
    const ours = found.filter(([, which]) => which === machine);
    folders = [...new Set(ours.map(([, , folder]) => folder!))];
  }
  return folders.some((folder) => {
    try {
      return Deno.statSync(`${folder}/${name}`).isFile;
    } catch {
      return false;
    }
  });
}

/** What to say where something is missing. */
export function howToInstall(name: Installable): string {
  return name in elsewhere
    ? `install ${elsewhere[name as keyof typeof elsewhere]} for ${name}`
    : `install ${packages[name as keyof typeof packages]} (Debian's name) for ${name}`;
}

async function install(): Promise<boolean> {
  const missing = (Object.keys(packages) as (keyof typeof packages)[])
    .filter((name) => !isInstalled(name));
  if (missing.length === 0) return true;
  const names = missing.map((name) => packages[name]);
  console.log(`Installing ${names.join(", ")}`);
  if (!await aptGet("update")) return false;
  if (await aptGet("install", "--yes", ...names)) return true;
  // One name that this Debian does not have, such as that of another Ruby, keeps all from coming.
  let isComplete = true;
  for (const name of names) isComplete = await aptGet("install", "--yes", name) && isComplete;
  return isComplete;
}

async function aptGet(...args: string[]): Promise<boolean> {
  const command = new Deno.Command("apt-get", {
    args,
    env: { DEBIAN_FRONTEND: "noninteractive" },
    stdin: "null",
    stdout: "inherit",
    stderr: "inherit",
  });
  try {
    return (await command.spawn().status).success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

if (import.meta.main && !await install()) {
  console.error("Cannot install the packages; the tests that need them will be ignored");
}
