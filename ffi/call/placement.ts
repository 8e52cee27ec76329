// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** Where an ABI has the arguments of a call: in which register, or at which place of the stack. */

import { ARGUMENT_REGISTERS, Mailbox, SLOT_SIZE, STACK_ALIGNMENT } from "../layout.ts";
import { arch, os } from "../machine.ts";
import { roundUp, type Shape } from "../value/shape.ts";
import { typeOf } from "../value/type.ts";
import { type Route, routeOf, type Rules } from "./route.ts";

/** What ABIs have differently. */
export interface Convention {
  /** How many integers and pointers are passed in registers. */
  readonly integers: number;
  /** How many floating-point values are passed in registers. */
  readonly floats: number;
  /** By which rules structs are passed. */
  readonly structs: Rules;
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

/** A parameter: the name of its type, or the shape of a struct. */
export type Parameter = string | Shape;

/** Where the mailbox has the arguments in registers, of a function or of a callback. */
export interface Registers {
  readonly integers: number;
  readonly floats: number;
}

/** So many bytes of a struct, and where the mailbox has them. */
export interface Piece {
  readonly at: number;
  /** Where they are in the struct. */
  readonly from: number;
  readonly size: number;
}

/** Where a struct is. */
export interface Spot {
  /** All pieces of it; where C gets an address, the one that has the address. */
  readonly pieces: readonly Piece[];
  readonly isByAddress: boolean;
}

/** Where the arguments of a call are. */
export interface Placement {
  /** Where in the mailbox each argument is, in bytes; from `Mailbox.stack` on are the stack's. */
  readonly offsets: readonly number[];
  /** For each argument that is a struct, where its pieces are. */
  readonly spots: readonly (Spot | undefined)[];
  /** How many words are passed on the stack. */
  readonly stackCount: number;
  /** What the first of these words is a multiple of. */
  readonly stackAlignment: number;
}

/**
 * Lays out parameters as the ABI does: integers and pointers in as many registers as there are,
 * floating-point values in others, each in their order; what finds the registers of its kind taken
 * goes on the stack (System V psABI for AMD64, section 3.2.3; AAPCS64, section 6.8.2).
 *
 *     f(i32, f64, i64, …five more integers)   the registers are counted by kind:
 *      int0  flt0 int1  …int2 to int5, then, where there are six, the eighth is on the stack
 *
 * A struct that is in registers needs all of them free; else all of it goes on the stack.
 *
 * `fixed` is how many parameters stand before the dots of a variadic function. `isFirstTaken`: the
 * first register for integers has the address of the result.
 */
export function placementOf(
  parameters: readonly Parameter[],
  registers: Registers,
  convention: Convention,
  fixed: number = parameters.length,
  isFirstTaken: boolean = false,
): Placement {
  const places = new Places(registers, convention, isFirstTaken);
  const spots = parameters.map((parameter, index) => {
    const isBehindDots = convention.isPacked && index >= fixed;
    return typeof parameter === "string"
      ? places.take(parameter, isBehindDots)
      : places.takeStruct(parameter, isBehindDots);
  });
  return {
    offsets: spots.map((spot) => typeof spot === "number" ? spot : spot.pieces[0]!.at),
    spots: spots.map((spot) => typeof spot === "number" ? undefined : spot),
    stackCount: roundUp(places.end, SLOT_SIZE) / SLOT_SIZE,
    stackAlignment: places.alignment,
  };
}

/** The registers and the bytes of the stack that are taken. */
class Places {
  readonly #registers: Registers;
  readonly #convention: Convention;
  #integers: number;
  #floats = 0;
  #at = 0;
  end = 0;
  alignment = STACK_ALIGNMENT;

  constructor(registers: Registers, convention: Convention, isFirstTaken: boolean) {
    this.#registers = registers;
    this.#convention = convention;
    this.#integers = isFirstTaken ? 1 : 0;
  }

  /** Where an argument of this type is, that comes next. */
  take(type: string, isBehindDots: boolean): number {
    const { isPacked } = this.#convention;
    const { kind, size } = typeOf(type);
    const at = isBehindDots ? undefined : this.#takeRegister(kind === "float");
    if (at !== undefined) return at;
    // A callback is no type of its own, and a pointer to C.
    const taken = isPacked && !isBehindDots ? size || SLOT_SIZE : SLOT_SIZE;
    // A small integer is written with its extension to 32 bits, over what follows it.
    return this.#takeStack(taken, taken, 4);
  }

  /** Where a struct is, that comes next. */
  takeStruct(shape: Shape, isBehindDots: boolean): Spot {
    const route = routeOf(shape, this.#convention.structs);
    const { registers, isByAddress } = route;
    if (isByAddress) {
      const at = this.take("pointer", isBehindDots);
      return { pieces: [{ at, from: 0, size: SLOT_SIZE }], isByAddress };
    }
    const pieces = isBehindDots || registers === undefined ? undefined : this.#takeRegisters(route);
    if (pieces !== undefined) return { pieces, isByAddress };
    // Floats lie side by side for Apple, as floats that are no struct do.
    const part = this.#convention.isPacked && !isBehindDots && registers?.[0];
    const isPacked = part && part.isFloat;
    const size = isPacked ? shape.size : route.stackSize;
    const at = this.#takeStack(isPacked ? part.size : route.alignment, size, 0);
    return { pieces: [{ at, from: 0, size: shape.size }], isByAddress };
  }

  /** The registers of a struct; undefined if there are too few. */
  #takeRegisters({ registers, alignment }: Route): Piece[] | undefined {
    const { integers, floats, structs } = this.#convention;
    const floatCount = registers!.filter(({ isFloat }) => isFloat).length;
    const count = registers!.length - floatCount;
    // AAPCS64 has what is aligned to 16 begin at an even register (rule C.10).
    const isEven = structs === "aggregates" && alignment > SLOT_SIZE && count > 0;
    const first = isEven ? roundUp(this.#integers, 2) : this.#integers;
    if (first + count > integers || this.#floats + floatCount > floats) {
      // It also has no later argument take what is left free (rules C.3 and C.13).
      if (structs === "aggregates" && count > 0) this.#integers = integers;
      if (structs === "aggregates" && floatCount > 0) this.#floats = floats;
      return undefined;
    }
    this.#integers = first;
    return registers!.map(({ isFloat, from, size }) => {
      return { at: this.#takeRegister(isFloat)!, from, size };
    });
  }

  #takeRegister(isFloat: boolean): number | undefined {
    if (isFloat) {
      if (this.#floats === this.#convention.floats) return undefined;
      return this.#registers.floats + this.#floats++ * SLOT_SIZE;
    }
    if (this.#integers === this.#convention.integers) return undefined;
    return this.#registers.integers + this.#integers++ * SLOT_SIZE;
  }

  #takeStack(alignment: number, size: number, written: number): number {
    const start = roundUp(this.#at, alignment);
    this.#at = start + size;
    this.alignment = Math.max(this.alignment, alignment);
    this.end = Math.max(this.#at, start + written);
    return Mailbox.stack + start;
  }
}
