// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Reads C headers through libclang, and prints a TypeScript module with the table for `dlopen`.
 *
 * ```sh
 * deno task bindings HEADER… [--symbols PATTERN]… [--no-comments] [-I FOLDER] [-D NAME=VALUE]
 * ```
 *
 * @module
 */

import { parseArgs } from "node:util";
import { bindings } from "./bindings/module.ts";

const USAGE = "Usage: bindings HEADER… [--symbols PATTERN]… [--no-comments] [-I FOLDER] " +
  "[-D NAME=VALUE] [--help]";

function main(args: string[]): string {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    allowNegative: true,
    options: {
      comments: { type: "boolean", default: true },
      help: { type: "boolean", short: "h" },
      symbols: { type: "string", multiple: true, default: [] },
      include: { type: "string", short: "I", multiple: true, default: [] },
      define: { type: "string", short: "D", multiple: true, default: [] },
    },
  });
  if (values.help) return USAGE;
  if (positionals.length === 0) throw new Error(USAGE);
  const { text } = bindings({
    headers: positionals,
    comments: values.comments,
    command: args,
    symbols: values.symbols.length === 0 ? undefined : new RegExp(values.symbols.join("|")),
    args: [
      ...values.include.map((folder) => `-I${folder}`),
      ...values.define.map((definition) => `-D${definition}`),
    ],
  });
  return text;
}

if (import.meta.main) {
  try {
    console.log(main(Deno.args).trimEnd());
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    Deno.exitCode = 1;
  }
}
