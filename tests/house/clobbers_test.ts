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

/** The registers that are read behind the switch before anything is written to them. */
async function kept(...flags: string[]): Promise<string[]> {
  const directory = await Deno.makeTempDir({ prefix: "fringe-" });
  try {
    const [input, output] = [join(directory, "body.c"), join(directory, "body.s")];
    await Deno.writeTextFile(input, source);
    const { success, stderr } = await new Deno.Command(await zig(), {
      args: ["cc", "-target", "x86_64-linux-gnu", "-O2", "-S", input, "-o", output]
        .concat("-I", join(root, "native/include"), flags),
      env: zigEnvironment,
      stdin: "null",
    }).output();
    assertEquals(success, true, new TextDecoder().decode(stderr));
    return readFirst((await Deno.readTextFile(output)).split("int3")[1]!);
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

Deno.test("a suspension keeps no register, in a function that alone has AVX-512", async () => {
  assertEquals(await kept("-DSUSPENDS"), []);
  // Else this would prove nothing.
  assertNotEquals(await kept(), []);
});

Deno.test("nor in a file that has it, or does without vectors elsewhere", async () => {
  assertEquals(await kept("-DSUSPENDS", "-mavx512f"), []);
  assertEquals(await kept("-DSUSPENDS", "-mno-avx"), []);
});
