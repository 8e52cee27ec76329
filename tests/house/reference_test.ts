// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** The API reference: `deno doc` makes it without a warning; every public name has an example. */

import { assertEquals, assertMatch } from "@std/assert";
import { join } from "node:path";
import * as mod from "../../mod.ts";
import { root } from "../../tools/zig.ts";
import { run } from "../support/support.ts";

/** The classes whose methods have an example each; of others the class has one for all. */
const EXAMPLE_FOR_EACH_METHOD = ["Generator"];

/** What `deno doc --json` prints, as far as it is looked at here. */
interface Reference {
  readonly nodes: Readonly<Record<string, { readonly symbols: readonly PublicName[] }>>;
}

interface PublicName {
  readonly name: string;
  readonly declarations: readonly (Documented & { readonly def?: Members })[];
}

interface Members {
  readonly methods?: readonly Method[];
}

interface Method extends Documented {
  readonly name: string;
  readonly kind?: string;
}

interface Documented {
  readonly jsDoc?: { readonly tags?: readonly { readonly kind: string }[] };
}

/** What lacks an example: public names, and methods of the classes of which each has one. */
function withoutExample({ nodes }: Reference): string[] {
  const lacking: string[] = [];
  for (const { name, declarations } of Object.values(nodes).flatMap(({ symbols }) => symbols)) {
    if (!declarations.some(hasExample)) lacking.push(name);
    if (!EXAMPLE_FOR_EACH_METHOD.includes(name)) continue;
    // The declarations of an overloaded method share an example.
    const methods = Map.groupBy(
      declarations.flatMap(({ def }) => def?.methods ?? []).filter(isNamed),
      (method) => method.name,
    );
    for (const [method, overloads] of methods) {
      if (!overloads.some(hasExample)) lacking.push(`${name}.${method}()`);
    }
  }
  return lacking;
}

/** Whether it is a method with a name of its own: no getter, no `[Symbol.dispose]`. */
function isNamed({ kind, name }: Method): boolean {
  return kind === "method" && !name.startsWith("[");
}

function hasExample({ jsDoc }: Documented): boolean {
  return jsDoc?.tags?.some(({ kind }) => kind === "example") ?? false;
}

Deno.test("every public name has an example, and so has every method of Generator", async () => {
  const { code, stdout, stderr } = await run(["doc", "--json", join(root, "mod.ts")]);
  assertEquals(code, 0, stderr);
  const lacking = withoutExample(JSON.parse(stdout));
  assertEquals(lacking, [], "Write an @example in the JSDoc of each, which the gate runs");
});

Deno.test("withoutExample() finds names and methods that have none", () => {
  const example = { tags: [{ kind: "param" }, { kind: "example" }] };
  const symbols = [
    { name: "Shown", declarations: [{}, { jsDoc: example }] },
    { name: "Bare", declarations: [{ jsDoc: { tags: [{ kind: "throws" }] } }] },
    {
      name: "Generator",
      declarations: [{
        jsDoc: example,
        def: {
          methods: [
            { name: "resume", kind: "method", jsDoc: example },
            { name: "resume", kind: "method" },
            { name: "state", kind: "getter" },
            { name: "[Symbol.dispose]", kind: "method" },
            { name: "unwrap", kind: "method" },
          ],
        },
      }],
    },
  ];
  assertEquals(withoutExample({ nodes: { "mod.ts": { symbols } } }), [
    "Bare",
    "Generator.unwrap()",
  ]);
});

Deno.test("deno task docs makes the reference, and warns of nothing", async () => {
  const config = join(root, "deno.json");
  const { code, stderr } = await run(["task", "--quiet", `--config=${config}`, "docs"]);
  assertEquals(code, 0, stderr);
  assertMatch(stderr, /^Written \d+ files to "reference"\n$/, "something else has been said, too");
  const page = await Deno.readTextFile(join(root, "reference", "all_symbols.html"));
  assertEquals(Object.keys(mod).filter((name) => !page.includes(`>${name}<`)), []);
});
