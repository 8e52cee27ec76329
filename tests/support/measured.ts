// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * The sizes and the offsets that a C compiler has for types, and those that layouts have.
 *
 * @module
 */

import { assert } from "@std/assert";
import { join } from "node:path";
import type { Layout } from "../../mod.ts";
import { withFolder } from "./support.ts";

/** What the compiler says of a type. */
export interface Measured {
  readonly size: number;
  readonly alignment: number;
  readonly offsets: Readonly<Record<string, number>>;
}

/** The fields that have the same name in C. Others begin with an underscore here. */
export function namesOf({ fields }: Layout): string[] {
  return Object.keys(fields).filter((name) => !name.startsWith("_"));
}

/** What fringe says of it, and of its fields of these names. */
export function measure(layout: Layout, names: readonly string[] = namesOf(layout)): Measured {
  const offsets = Object.fromEntries(names.map((name) => [name, layout.offsetOf(name)]));
  return { size: layout.size, alignment: layout.alignment, offsets };
}

/** Runs a C program, compiled with `args`, and reads the JSON that it prints. */
export async function ask(
  source: string,
  args: readonly string[] = [],
): Promise<Record<string, Measured>> {
  return await withFolder(async (folder) => {
    const [file, program] = [join(folder, "measure.c"), join(folder, "measure")];
    await Deno.writeTextFile(file, source);
    const compiled = await new Deno.Command("gcc", { args: [...args, file, "-o", program] })
      .output();
    assert(compiled.success, new TextDecoder().decode(compiled.stderr));
    const { stdout } = await new Deno.Command(program).output();
    return JSON.parse(new TextDecoder().decode(stdout));
  });
}

/** C that prints what it knows of a type. */
export function printing(key: string, type: string, names: readonly string[]): string {
  const offsets = names.map((name, i) =>
    `  printf("${i === 0 ? "" : ","}\\"${name}\\":%zu", offsetof(${type}, ${name}));\n`
  );
  return `  printf("%s\\"${key}\\":{\\"size\\":%zu,\\"alignment\\":%zu,\\"offsets\\":{", comma,
    sizeof(${type}), _Alignof(${type}));
${offsets.join("")}  printf("}}"); comma = ",";\n`;
}

/** The C program that runs `statements`, which print. */
export function program(declarations: string, statements: string): string {
  return `#define _GNU_SOURCE
#include <stddef.h>
#include <stdio.h>
${declarations}
int main(void)
{
  const char *comma = "";
  printf("{");
${statements}  printf("}\\n");
}
`;
}
