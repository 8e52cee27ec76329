// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * What a resume, and a call, cannot do without, written by hand beside the modules: the value goes
 * into the mailbox, Deno calls the native function, the status is compared, a value comes out.
 * Nothing is checked besides, and nothing can end: so these loops are what a ratio of the modules
 * has as its floor.
 *
 * @module
 */

import { Mailbox, Status } from "../ffi/layout.ts";
import { fringeLibrary, testBodies } from "./setup.ts";

/**
 * fringe's library, as Deno opens it. Those who measure take what they call into variables of their
 * own: V8 takes such a one for a constant, and not what is imported.
 */
export const byHand = Deno.dlopen(fringeLibrary, {
  init: {
    name: "fringe_init_caught",
    parameters: ["usize", "pointer", "buffer", "pointer", "usize"],
    result: "pointer",
  },
  fringe_call_body: { type: "pointer" },
  call: {
    name: "fringe_call",
    parameters: ["pointer", "pointer"],
    result: "i32",
  },
  resumeU32: { name: "fringe_resume", parameters: ["pointer", "u32"], result: "u32" },
  resumeI32: { name: "fringe_resume", parameters: ["pointer", "i32"], result: "i32" },
  pointerTo: { name: "fringe_identity", parameters: ["usize"], result: "pointer" },
  resumePointer: {
    name: "fringe_resume_pointer",
    parameters: ["pointer", "pointer"],
    result: "pointer",
  },
}).symbols;

/** A context, and its mailbox. Both are memory of V8's, which moves no buffer as large as these. */
interface ByHand {
  readonly context: Deno.PointerObject;
  readonly status: Int32Array;
  readonly f32: Float32Array;
  readonly f64: Float64Array;
  readonly i64: BigInt64Array;
  readonly u64: BigUint64Array;
}

/** Where what is written and read lies in a mailbox: in `f64`, `i64`, `u64`; in the others. */
export const places = {
  input: Mailbox.input / 8,
  output: Mailbox.output / 8,
  shortInput: Mailbox.input / 4,
  shortOutput: Mailbox.output / 4,
  integers: Mailbox.integers / 4,
} as const;

export const { suspended, returned } = Status;

/** The stacks and mailboxes, which V8 would collect otherwise. */
const kept: unknown[] = [];

/** A context that is about to begin `body`. */
function begun(body: Deno.PointerValue): ByHand {
  const memory = new Uint8Array(64 * 1024);
  const limit = Deno.UnsafePointer.value(Deno.UnsafePointer.of(memory));
  const base = limit + BigInt(memory.length) & ~15n;
  const buffer = new ArrayBuffer(Mailbox.size);
  kept.push(memory, buffer);
  return {
    context: byHand.init(base, body, new Uint8Array(buffer), null, limit)!,
    status: new Int32Array(buffer),
    f32: new Float32Array(buffer),
    f64: new Float64Array(buffer),
    i64: new BigInt64Array(buffer),
    u64: new BigUint64Array(buffer),
  };
}

/** Lays a body of `tests/bodies/`, and resumes it once, which gives it zero. */
export function bodyByHand(name: string): ByHand {
  const { body } = Deno.dlopen(testBodies, { body: { name, type: "pointer" } }).symbols;
  const made = begun(body);
  byHand.resumeU32(made.context, 0);
  return made;
}

/** Lays the frame of a call of a function of `tests/bodies/`, whose arguments are integers. */
export function callByHand(name: string): ByHand {
  const { called } = Deno.dlopen(testBodies, { called: { name, type: "pointer" } }).symbols;
  const made = begun(byHand.fringe_call_body);
  made.u64[Mailbox.function / 8] = Deno.UnsafePointer.value(called);
  return made;
}

/** For what never comes. */
export function hasEnded(): never {
  throw new Error("It has ended");
}
