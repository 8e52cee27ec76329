// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** What the compiler keeps in registers while a body in C is suspended by `fringe.h`: nothing. */

import { assertEquals, assertNotEquals } from "@std/assert";
import { join } from "node:path";
import { root, zig, zigEnvironment } from "../../tools/zig.ts";

/** More vectors than there are registers, and two masks, all of which live over a suspension. */
const source = `
  #include "fringe.h"
  #include <immintrin.h>
  FRINGE_GENERATOR(body, void, int32_t);
  extern __m512i memory[40];
  __attribute__((target("avx512f"))) void body(fringe_yielder *yielder)
  {
      __m512i values[28];
      __mmask16 odd = _mm512_cmpeq_epi32_mask(memory[0], memory[1]);
      __mmask16 even = _mm512_cmpgt_epi32_mask(memory[2], memory[3]);
      #pragma clang loop unroll(full)
      for (int i = 0; i < 28; i++) values[i] = _mm512_add_epi32(memory[i], memory[i + 1]);
      #ifdef SUSPENDS
      body_suspend(yielder, 1);
      #else
      __asm__ volatile("int3" : : : "memory");
      #endif
      #pragma clang loop unroll(full)
      for (int i = 0; i < 28; i++) {
          __mmask16 some = i & 1 ? odd : even;
          memory[i] = _mm512_mask_add_epi32(memory[i], some, values[i], values[27 - i]);
      }
  }
`;

/** The same for aarch64, in a function that alone has SVE: integers, vectors and predicates. */
const sourceForAarch64 = `
  #include "fringe.h"
  #include <arm_sve.h>
  FRINGE_GENERATOR(body, void, int32_t);
  extern int64_t words[40];
  extern double numbers[40];
  __attribute__((target("+sve"))) void body(fringe_yielder *yielder)
  {
      svbool_t all = svptrue_b64();
      svfloat64_t first = svld1_f64(all, numbers), second = svld1_f64(all, numbers + 1);
      svbool_t less = svcmplt_f64(all, first, second);
      int64_t integers[40];
      double floats[40];
      #pragma clang loop unroll(full)
      for (int i = 0; i < 40; i++) integers[i] = words[i] * 3, floats[i] = numbers[i] * 3;
      #ifdef SUSPENDS
      body_suspend(yielder, 1);
      #else
      __asm__ volatile("brk 0" : : : "memory");
      #endif
      #pragma clang loop unroll(full)
      for (int i = 0; i < 40; i++) words[i] = integers[i], numbers[i] = floats[i];
      svst1_f64(less, numbers, svadd_f64_m(less, first, second));
  }
`;

/** What an architecture calls its registers, and how the sources are told apart. */
interface Kind {
  readonly target: string;
  readonly source: string;
  /** What the switch has at its end, and never executes. */
  readonly trap: string;
  readFirst(assembly: string): string[];
}

const x86_64: Kind = { target: "x86_64-linux-gnu", source, trap: "int3", readFirst };
const aarch64: Kind = {
  target: "aarch64-linux-gnu",
  source: sourceForAarch64,
  trap: "brk",
  readFirst: readFirstOnAarch64,
};

/** The registers that are read behind the switch before anything is written to them. */
async function kept(...flags: string[]): Promise<string[]> {
  return await keptOn(x86_64, ...flags);
}

async function keptOn(kind: Kind, ...flags: string[]): Promise<string[]> {
  const directory = await Deno.makeTempDir({ prefix: "fringe-" });
  try {
    const [input, output] = [join(directory, "body.c"), join(directory, "body.s")];
    await Deno.writeTextFile(input, kind.source);
    const { success, stderr } = await new Deno.Command(await zig(), {
      args: ["cc", "-target", kind.target, "-O2", "-S", input, "-o", output]
        .concat("-I", join(root, "native/include"), flags),
      env: zigEnvironment,
      stdin: "null",
    }).output();
    assertEquals(success, true, new TextDecoder().decode(stderr));
    return kind.readFirst((await Deno.readTextFile(output)).split(kind.trap)[1]!);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

function readFirst(assembly: string): string[] {
  const [read, written] = [new Set<string>(), new Set<string>()];
  for (const line of assembly.split("\n")) {
    const [code] = line.split("#");
    const registers: string[] = code!.match(/%(k[1-7]|[xyz]mm\d+)\b/g) ?? [];
    // What is written comes last; `{%k1}` behind it is read.
    const target = code!.match(/, *%(k[1-7]|[xyz]mm\d+)(?: \{%k[1-7]\})?(?: \{z\})? *$/)?.[1];
    for (const [at, register] of registers.entries()) {
      const name = register.slice(1).replace(/^[xyz]/, "z");
      const isTarget = target === register.slice(1) && at === registers.lastIndexOf(register);
      if (!isTarget && !written.has(name)) read.add(name);
    }
    if (target !== undefined) written.add(target.replace(/^[xyz]/, "z"));
  }
  return [...read];
}

/** x29 and sp make the frame; x0 to x2 carry something over. */
function readFirstOnAarch64(assembly: string): string[] {
  const [read, written] = [new Set<string>(), new Set(["x0", "x1", "x2", "x29"])];
  for (const line of assembly.split("\n")) {
    const [, name, operands] = /^\t([a-z]\w*)\t([^/]*)/.exec(line) ?? [];
    if (operands === undefined) continue;
    const registers = [...operands.matchAll(/(?<![\w.:])([xwdqvszp])(\d+)\b/g)]
      .map(([, kind, number]) =>
        "xw".includes(kind!) ? `x${number}` : kind === "p" ? `p${number}` : `v${number}`
      );
    const stores = /^(?:st|cmp|fcmp|cb|tb)/.test(name!);
    const targets = stores ? 0 : /^ldp/.test(name!) ? 2 : 1;
    for (const register of registers.slice(targets)) {
      if (!written.has(register)) read.add(register);
    }
    for (const register of registers.slice(0, targets)) written.add(register);
  }
  return [...read];
}

Deno.test("a suspension keeps no register on aarch64, of SVE neither", async () => {
  assertEquals(await keptOn(aarch64, "-DSUSPENDS"), []);
  // Else this would prove nothing.
  const without = await keptOn(aarch64);
  for (const kind of ["x", "v", "p"]) {
    assertEquals(without.some((name) => name.startsWith(kind)), true, `${kind}: ${without}`);
  }
});

/** A body in Zig, which suspends twice: for the second time it needs its yielder. */
const sourceInZig = `
  const fringe = @import("fringe");
  export fn body(yielder: *fringe.Yielder(void, i32)) void {
      for (0..2) |_| yielder.@"suspend"(1) catch return;
  }
`;

Deno.test("nor in Zig, in which it has other names: what is kept lies on the stack", async () => {
  const directory = await Deno.makeTempDir({ prefix: "fringe-" });
  try {
    const [input, output] = [join(directory, "body.zig"), join(directory, "body.s")];
    await Deno.writeTextFile(input, sourceInZig);
    const modules = ["--dep", "fringe", `-Mroot=${input}`];
    const fringe = `-Mfringe=${join(root, "native/fringe.zig")}`;
    const { success, stderr } = await new Deno.Command(await zig(), {
      args: ["build-obj", "-fllvm", "-target", "aarch64-linux-gnu", "-Ofast", "-fno-emit-bin"]
        .concat(`-femit-asm=${output}`, modules, fringe),
      env: zigEnvironment,
      stdin: "null",
    }).output();
    assertEquals(success, true, new TextDecoder().decode(stderr));
    const between = (await Deno.readTextFile(output)).split("brk")[1]!;
    assertEquals(readFirstOnAarch64(between), []);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("a suspension keeps no register, in a function that alone has AVX-512", async () => {
  assertEquals(await kept("-DSUSPENDS"), []);
  // Else this would prove nothing.
  assertNotEquals(await kept(), []);
});

Deno.test("nor in a file that has it, or does without vectors elsewhere", async () => {
  assertEquals(await kept("-DSUSPENDS", "-mavx512f"), []);
  assertEquals(await kept("-DSUSPENDS", "-mno-avx"), []);
});
