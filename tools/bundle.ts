// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Makes `ffi/fringe.js`: what `ffi/exports.ts` exports, with everything that it imports, in one
 * file. Deno takes a quarter of a millisecond for each module of TypeScript that a program loads,
 * and a request for each that comes over HTTP.
 *
 * rollup joins the modules and leaves their statements as they are, `const` and `class` among
 * them: V8 keeps constants in machine code, where it would load a `var` each time.
 *
 * @module
 */

import { dirname, join } from "node:path";
import { type Plugin, rollup } from "rollup";
import typescript from "typescript";
import { root } from "./zig.ts";

/** What is joined with all that it imports, and what that makes; `deno.json` maps it back. */
export const [SOURCE, BUNDLE] = ["ffi/exports.ts", "ffi/fringe.js"] as const;

const HEAD = `// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors
// Made by \`deno task build\` (tools/bundle.ts) from ${SOURCE} and what that imports: edit those.
`;

/** Takes types and comments away, and leaves all else as it is. */
const types: Plugin = {
  name: "types",
  transform(code, fileName) {
    const { ESNext: target } = typescript.ScriptTarget;
    const { ESNext: module } = typescript.ModuleKind;
    const compilerOptions = { target, module, verbatimModuleSyntax: true, removeComments: true };
    const { outputText } = typescript.transpileModule(code, { fileName, compilerOptions });
    return { code: outputText, map: null };
  },
};

/**
 * The text of `ffi/fringe.js`. The module that has the libraries stays beside it, since it knows
 * where they lie as files.
 */
export async function bundle(entry: string = join(root, SOURCE)): Promise<string> {
  const modules = await rollup({
    input: entry,
    external: (name) => name.endsWith("/prebuilt.js"),
    plugins: [types],
    treeshake: false,
    onwarn: (warning) => {
      throw new Error(`Cannot make ${BUNDLE}: ${warning.message}`);
    },
  });
  const { output } = await modules.generate({ dir: dirname(join(root, BUNDLE)), banner: HEAD });
  return output[0].code;
}
