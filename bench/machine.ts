// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** The machine that figures are of. It needs `--allow-sys`. */

import { cpus } from "node:os";

/** What readers have to know of this machine. */
export function machine(): {
  os: string;
  arch: string;
  release: string;
  cpu: string;
  cores: number;
} {
  const { os, arch } = Deno.build;
  const cpu = cpus()[0]?.model ?? "unknown";
  // The version alone; what distributions append says nothing about speed.
  const release = Deno.osRelease().replace(/-.*/, "");
  return { os, arch, release, cpu, cores: navigator.hardwareConcurrency };
}
