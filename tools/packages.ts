// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * The system libraries that the examples, their tests and the benches use, and the Debian packages
 * that have them. `deno run -A tools/packages.ts` installs what is missing, where there is an
 * apt-get and the right to call it; CI does so.
 *
 * @module
 */

/** By the name that the loader knows. */
export const packages = {
  "libexpat.so.1": "libexpat1",
  "libsqlite3.so.0": "libsqlite3-0",
  "libz.so.1": "zlib1g",
} as const;

/** A library that one of the packages has. */
export type SystemLibrary = keyof typeof packages;

/** Whether the loader finds a library. */
export function isInstalled(library: SystemLibrary): boolean {
  try {
    Deno.dlopen(library, {}).close();
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) throw error;
    return false;
  }
}

/** What to say where a library is missing. */
export function howToInstall(library: SystemLibrary): string {
  return `install ${packages[library]} (Debian's name) for ${library}`;
}

async function install(): Promise<boolean> {
  const missing = (Object.keys(packages) as SystemLibrary[]).filter((name) => !isInstalled(name));
  if (missing.length === 0) return true;
  const names = missing.map((name) => packages[name]);
  console.log(`Installing ${names.join(", ")}`);
  return await aptGet("update") && await aptGet("install", "--yes", ...names);
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
