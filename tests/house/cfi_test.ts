// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** The unwind tables of the assembly are those that were read: the snapshots beside this file. */

import { assertEquals, assertThrows } from "@std/assert";
import { architectures, cfi, path, rules } from "../../tools/cfi.ts";
import { testWith } from "../support/support.ts";

for (const arch of architectures) {
  testWith("readelf", `cfi: the tables of switch_${arch}.S are as written down`, async () => {
    assertEquals(
      (await cfi(arch)).split("\n"),
      (await Deno.readTextFile(path(arch))).split("\n"),
      `See whether the change is meant, and if so, run tools/cfi.ts`,
    );
  });
}

const symbols = `
   Num:    Value  Size Type    Bind   Vis      Ndx Name
     1: 00000351     0 NOTYPE  LOCAL  DEFAULT    1 no_function
     4: 00000010    16 FUNC    LOCAL  DEFAULT    1 second
     5: 00000000    16 FUNC    GLOBAL PROTECTED    1 first
`;

const frames = `Contents of the .eh_frame section:


00000000 00000014 00000000 CIE
  Version:               1
  Augmentation:          "zR"
  DW_CFA_def_cfa: r4 (esp) ofs 4
  DW_CFA_nop

00000018 00000030 0000001c FDE cie=00000000 pc=00000000..00000010
  DW_CFA_advance_loc: 1 to 00000001
  DW_CFA_def_cfa_offset: 8

0000004c 00000014 00000000 CIE
  Version:               1
  Augmentation:          "zRS"
  DW_CFA_def_cfa: r5 (ebp) ofs 8

00000064 00000030 0000001c FDE cie=0000004c pc=00000010..00000020
  DW_CFA_advance_loc1: 2 to 0000001e
  DW_CFA_undefined: r8 (eip)
  DW_CFA_nop

`;

Deno.test("rules() keeps what readelf shows, and no address", () => {
  assertEquals(
    rules(frames, symbols),
    `first
      augmentation zR
      def_cfa: r4 (esp) ofs 4
  +1
      def_cfa_offset: 8
  +16 end

second
      augmentation zRS
      def_cfa: r5 (ebp) ofs 8
  +14
      undefined: r8 (eip)
  +16 end
`,
  );
});

Deno.test("rules() refuses a table of what is no function", () => {
  assertThrows(() => rules(frames, ""), Error, "no function");
});
