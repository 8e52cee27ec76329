// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * The layout of the mailbox as native code has it: what C is given and gives is looked for in the
 * memory itself. tidy_abi_test.ts compares the sources.
 */

import { assertEquals } from "@std/assert";
import { Mailbox, SLOT_SIZE, Status } from "../../ffi/layout.ts";
import { memoryOf } from "../../ffi/stack/stack.ts";
import { OsStack } from "../../mod.ts";
import { fringeLibrary, testBodies } from "../support/support.ts";

const { symbols: fringe } = Deno.dlopen(fringeLibrary, {
  fringe_init: { parameters: ["usize", "pointer", "buffer"], result: "pointer" },
  fringe_resume: { parameters: ["pointer", "i64"], result: "i64" },
  fringe_resume_call: { parameters: ["pointer"], result: "i32" },
  fringe_cancel: { parameters: ["pointer", "usize"], result: "i32" },
  fringe_call_body: { type: "pointer" },
  fringe_thunk_map: { parameters: ["buffer"], result: "i32" },
});
const { symbols: bodies } = Deno.dlopen(testBodies, {
  echo_i64: { type: "pointer" },
  never_suspends: { type: "pointer" },
  call_six: { type: "pointer" },
  add_six: { type: "pointer" },
});

Deno.test("Mailbox: a body gives its output, and its end, where TypeScript looks", () => {
  const { fringe_init, fringe_resume, fringe_cancel } = fringe;
  using stack = new OsStack();
  const bytes = new Uint8Array(new ArrayBuffer(Mailbox.size + 64)).fill(0xee);
  const view = new DataView(bytes.buffer);
  view.setInt32(Mailbox.status, Status.suspended, true);
  const context = fringe_init(memoryOf(stack).base, bodies.echo_i64, bytes);
  for (const value of [-1n, 0x0123456789abcdefn]) {
    view.setBigInt64(Mailbox.input, value, true);
    fringe_resume(context, 0n);
    assertEquals(view.getBigInt64(Mailbox.output, true), value);
    assertEquals(view.getInt32(Mailbox.status, true), Status.suspended);
  }
  assertEquals(fringe_cancel(context, 0n), Status.unwound);
  assertEquals(view.getInt32(Mailbox.status, true), Status.unwound);
  // Nothing else has been written to.
  assertEquals(bytes.subarray(4, 8), new Uint8Array(4).fill(0xee));
  assertEquals(bytes.subarray(24), new Uint8Array(bytes.length - 24).fill(0xee));

  view.setInt32(Mailbox.status, Status.suspended, true);
  const other = fringe_init(memoryOf(stack).base, bodies.never_suspends, bytes);
  fringe_resume(other, 0n);
  assertEquals(view.getInt32(Mailbox.status, true), Status.returned);
});

Deno.test("Mailbox: a call finds its function, its arguments and its answers", () => {
  const { fringe_init, fringe_resume_call, fringe_call_body, fringe_thunk_map } = fringe;
  using stack = new OsStack();
  const bytes = new Uint8Array(new ArrayBuffer(Mailbox.size + 64)).fill(0xee);
  const view = new DataView(bytes.buffer);
  const address = (pointer: Deno.PointerValue) => BigInt(Deno.UnsafePointer.value(pointer));
  const begin = (f: Deno.PointerValue, args: readonly bigint[]) => {
    view.setInt32(Mailbox.status, Status.suspended, true);
    view.setBigUint64(Mailbox.function, address(f), true);
    view.setBigUint64(Mailbox.stack_count, 0n, true);
    view.setBigUint64(Mailbox.tail, 0n, true);
    view.setUint32(Mailbox.wants_errno, 0, true);
    for (const [i, arg] of args.entries()) {
      view.setBigInt64(Mailbox.integers + i * SLOT_SIZE, arg, true);
    }
    return fringe_init(memoryOf(stack).base, fringe_call_body, bytes);
  };
  const sum = begin(bodies.add_six, [1n, 2n, 3n, 4n, 5n, 6n]);
  assertEquals(fringe_resume_call(sum), 0);
  assertEquals(view.getBigInt64(Mailbox.output, true), 21n);

  const block = new BigUint64Array(4);
  assertEquals(fringe_thunk_map(block), Status.suspended);
  const [thunks, number, stride] = [block[0]!, Number(block[1]), block[2]!];
  const call = begin(bodies.call_six, [BigInt.asIntN(64, thunks + 2n * stride)]);
  assertEquals(fringe_resume_call(call), number + 2);
  const at = Mailbox.callback_integers;
  assertEquals(view.getInt8(at), -1);
  assertEquals(view.getUint32(at + 3 * SLOT_SIZE, true), 2 ** 32 - 1);
  assertEquals(view.getBigInt64(at + 4 * SLOT_SIZE, true), -3n);
  assertEquals(view.getBigUint64(at + 5 * SLOT_SIZE, true), 2n ** 64n - 1n);
  view.setBigInt64(Mailbox.input, -77n, true);
  assertEquals(fringe_resume_call(call), 0);
  assertEquals(view.getBigInt64(Mailbox.output, true), -77n);
  assertEquals(view.getInt32(Mailbox.status, true), Status.returned);
  assertEquals(bytes.subarray(Mailbox.size), new Uint8Array(64).fill(0xee));
});
