// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** The warning about frames that were abandoned; real ones are in unwind_test.ts. */

import { assertEquals, assertMatch } from "@std/assert";
import { warnOfAbandoned } from "../../ffi/context/abandoned.ts";
import { Abandonment, Mailbox } from "../../ffi/layout.ts";
import { native } from "../../ffi/library/find.ts";

const EXPECTED: Readonly<Record<string, RegExp>> = {
  no_tables: /: (\S+) has no unwind tables; compile it with /,
  no_room: /: (\S+) has cleanups, and of its stack of 4711 bytes fewer than 8 KiB were free /,
  foreign_unwinder: /: (\S+) has cleanups for an unwinder that its module keeps to itself; link /,
  foreign_stack: /: (\S+) runs on a stack that C has made, /,
  suspended_in_cleanup:
    /: a cleanup or destructor, which the end or an exception ran, had suspended/,
  swallowed: /: it has caught the end and suspended again, 1,000 times; rethrow it /,
  no_unwinder: /: the process has no unwinder; it needs /,
};

function because(reason: number, address: bigint): DataView<ArrayBuffer> {
  const mailbox = new DataView(new ArrayBuffer(Mailbox.size));
  mailbox.setBigUint64(Mailbox.output, BigInt(reason), true);
  mailbox.setBigUint64(Mailbox.output_float, address, true);
  return mailbox;
}

Deno.test("warnOfAbandoned() has one sentence for each reason, and says each once", () => {
  const { warn } = console;
  const printed: string[] = [];
  console.warn = (text: string) => printed.push(text);
  const memory = new Uint8Array(8);
  try {
    for (const [name, reason] of Object.entries(Abandonment)) {
      if (reason === Abandonment.none) continue;
      printed.length = 0;
      // The address is one that no module has.
      const mailbox = because(reason, native().addressOfBuffer(memory));
      for (let i = 0; i < 2; i++) warnOfAbandoned("parse", 4711, mailbox);
      assertEquals(printed.length, 1);
      assertMatch(
        printed[0]!,
        /^fringe: parse was ended early, and not all of its frames could be /,
      );
      const [, place] = printed[0]!.match(EXPECTED[name]!)!;
      if (place !== undefined) assertMatch(place, /^0x[0-9a-f]+$/);
      warnOfAbandoned("scan", 4711, mailbox);
      assertEquals(printed.length, 2);
    }
  } finally {
    console.warn = warn;
  }
});

Deno.test("warnOfAbandoned() does without an address", () => {
  const { warn } = console;
  const printed: string[] = [];
  console.warn = (text: string) => printed.push(text);
  try {
    const mailbox = because(Abandonment.no_tables, 0n);
    warnOfAbandoned("without an address", 4711, mailbox);
  } finally {
    console.warn = warn;
  }
  assertMatch(printed[0]!, /: one of them has no unwind tables; /);
});
