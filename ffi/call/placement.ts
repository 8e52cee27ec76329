// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** Where an ABI has the arguments of a call: in which register, or at which place of the stack. */

import { ARGUMENT_REGISTERS, Mailbox, SLOT_SIZE } from "../layout.ts";
import { arch, os } from "../machine.ts";
import { roundUp } from "../value/shape.ts";
import { typeOf } from "../value/type.ts";

/** What ABIs have differently. */
export interface Convention {
  /** How many integers and pointers are passed in registers. */
  readonly integers: number;
  /** How many floating-point values are passed in registers. */
  readonly floats: number;
  /**
   * Whether arguments lie side by side on the stack, each at a multiple of its own size, and not
   * each in a word of its own. And whether all that stand behind the dots of a variadic function
   * are passed there, each in a word.
   */
  readonly isPacked: boolean;
}

/** Platforms that pack: Apple's "Writing ARM64 code for Apple platforms". */
const PACKED: ReadonlySet<string> = new Set(["aarch64-darwin"]);

/** The convention of this machine. */
export const CONVENTION: Convention = {
  ...ARGUMENT_REGISTERS[arch],
  isPacked: PACKED.has(`${arch}-${os}`),
};

/** Where the arguments of a call are. */
export interface Placement {
  /** Where in the mailbox each argument is, in bytes; from `Mailbox.stack` on are the stack's. */
  readonly offsets: readonly number[];
  /** How many words are passed on the stack. */
  readonly stackCount: number;
}

/**
 * Lays out parameters as the ABI does: integers and pointers in as many registers as there are,
 * floating-point values in others, each in their order; what finds the registers of its kind taken
 * goes on the stack (System V psABI for AMD64, section 3.2.3; AAPCS64, section 6.8.2).
 *
 *     f(i32, f64, i64, …five more integers)   the registers are counted by kind:
 *      int0  flt0 int1  …int2 to int5, then, where there are six, the eighth is on the stack
 *
 * `fixed` is how many parameters stand before the dots of a variadic function.
 */
export function placementOf(
  parameters: readonly string[],
  registers: { readonly integers: number; readonly floats: number },
  convention: Convention,
  fixed: number = parameters.length,
): Placement {
  let [integers, floats, at, end] = [0, 0, 0, 0];
  const offsets = parameters.map((type, index) => {
    const isFloat = typeOf(type).kind === "float";
    const isBehindDots = convention.isPacked && index >= fixed;
    if (!isBehindDots && isFloat && floats < convention.floats) {
      return registers.floats + floats++ * SLOT_SIZE;
    }
    if (!isBehindDots && !isFloat && integers < convention.integers) {
      return registers.integers + integers++ * SLOT_SIZE;
    }
    // A callback is no type of its own, and a pointer to C.
    const size = convention.isPacked && !isBehindDots ? typeOf(type).size || SLOT_SIZE : SLOT_SIZE;
    const start = roundUp(at, size);
    at = start + size;
    // A small integer is written with its extension to 32 bits, over what follows it.
    end = Math.max(at, start + 4);
    return Mailbox.stack + start;
  });
  return { offsets, stackCount: roundUp(end, SLOT_SIZE) / SLOT_SIZE };
}
