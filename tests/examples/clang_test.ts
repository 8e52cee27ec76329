// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** libclang's tree by way of examples/clang.ts, and that example, run as a user runs it. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import type { Node } from "../../examples/clang.ts";
import { isAlone, runAlone } from "../support/alone.ts";
import { leftBehind } from "../support/malloc.ts";
import { run, testWith } from "../support/support.ts";

const file = new URL("../../examples/clang.ts", import.meta.url);

/** Makes a test; the example opens the library, so that it is imported only where there is one. */
function testClang(
  name: string,
  fn: (clang: typeof import("../../examples/clang.ts")) => void | Promise<void>,
): void {
  if (!isAlone) return;
  testWith("libclang-14.so.1", `clang: ${name}`, async () => await fn(await import(file.href)));
}

/** A tree in a shape that is easily compared. */
function plain(nodes: Iterable<Node>): string {
  return Array.from(nodes, ({ kind, name, children }) => {
    const inside = plain(children);
    return `${kind} ${name}${inside && ` (${inside})`}`;
  }).join(", ");
}

testClang("declarations() gives what C declares, and what is in it", ({ declarations }) => {
  const source = "enum color { RED, GREEN = 2 }; typedef void (*paint)(enum color größe);";
  assertEquals(
    plain(declarations("a.h", source)),
    "EnumDecl color (EnumConstantDecl RED, EnumConstantDecl GREEN (IntegerLiteral )), " +
      "TypedefDecl paint (ParmDecl größe (TypeRef enum color))",
  );
  assertEquals(plain(declarations("a.h", "\n")), "");
  assertThrows(() => plain(declarations("/no/such/file.h")), Error, "Clang cannot read /no/such");
});

testClang("whoever iterates may leave at any node, and leaves nothing behind", async (
  { declarations },
) => {
  const source = "struct s { int a, b, c; }; struct t { int d, e; }; int f(void);";
  const leave = (): void => {
    const seen: string[] = [];
    outer: for (const { name, children } of declarations("a.h", source)) {
      seen.push(name);
      for (const { name } of children) {
        seen.push(name);
        if (name === "b") break;
        if (name === "d") break outer;
      }
    }
    assertEquals(seen, ["s", "a", "b", "t", "d"]);
  };
  for (let i = 0; i < 3; i++) leave();
  const perRound = await leftBehind(20, 4096, leave);
  assert(perRound < 4096, `${perRound} bytes are left behind`);
});

testClang("trees of several headers are walked at a time", ({ declarations }) => {
  const first = declarations("a.h", "int a, b;");
  const second = declarations("b.h", "int c, d;");
  const names = [first, second, first, second].map((nodes) => nodes.next().value?.name);
  assertEquals(names, ["a", "c", "b", "d"]);
  assertEquals([first.next().done, second.next().done], [true, true]);
});

testClang("the example prints what it says it does", async () => {
  const printed = /```text\n([^]*?) \* ```/.exec(await Deno.readTextFile(file))![1]!;
  const { code, stdout, stderr } = await run(["run", "--no-prompt", "--allow-ffi", file.href]);
  assertEquals([code, stderr], [0, ""]);
  assertEquals(stdout, printed.replace(/^ \* ?/gm, ""));
});

runAlone("libclang-14.so.1", import.meta.url);
