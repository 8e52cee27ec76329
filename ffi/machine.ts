// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** The machine that the program runs on, as Deno names its parts. */

/** Other runtimes may import the module. At the first use they are told that fringe needs Deno. */
export const { arch, os } = typeof Deno === "undefined"
  ? { arch: "x86_64", os: "linux" } as const
  : Deno.build;
