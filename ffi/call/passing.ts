// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Structs by value, between JavaScript and a mailbox. A struct is put together in a buffer, and its
 * pieces are copied from there to where the ABI has them (placement.ts), or the other way round:
 *
 *     { id: 1, x: 0.5 }  ->  | id | x |  ->  int0: id, flt0: x
 */

import { Mailbox, SLOT_SIZE, TAIL_ANSWER } from "../layout.ts";
import { native } from "../library/find.ts";
import { arrange, isShape, roundUp, type Shape } from "../value/shape.ts";
import { readShape, writeShape } from "../value/struct_type.ts";
import { type Passing, type StructType, type Type, VOID, Way } from "../value/type.ts";
import type { Keeper } from "../value/value.ts";
import type { Piece, Registers, Spot } from "./placement.ts";
import type { RegisterPart, Route, Rules } from "./route.ts";

/** What keeps memory for C until a call has ended, beside strings and buffers. */
export interface RoomKeeper extends Keeper {
  /** Memory of `size` bytes at a multiple of `alignment`; returns its address. */
  keepRoom(size: number, alignment: number, what: string): bigint;
}

/** The memory in which a struct of one place is put together. */
class Bytes {
  readonly shape: Shape;
  /** Undefined while it is in use: a getter of a value may make the same call once more. */
  #scratch: DataView<ArrayBuffer> | undefined;

  constructor(shape: Shape) {
    this.shape = shape;
  }

  /** The bytes of a value, and zeros where it has none. Given back by `put`. */
  of(value: unknown, what: string, keeper: Keeper | undefined): DataView<ArrayBuffer> {
    const scratch = this.take();
    writeShape(scratch, 0, this.shape, value, what, keeper);
    return scratch;
  }

  take(): DataView<ArrayBuffer> {
    const scratch = this.#scratch;
    this.#scratch = undefined;
    if (scratch === undefined) {
      return new DataView(new ArrayBuffer(roundUp(this.shape.size, SLOT_SIZE)));
    }
    new Uint8Array(scratch.buffer).fill(0);
    return scratch;
  }

  put(scratch: DataView<ArrayBuffer>): void {
    this.#scratch = scratch;
  }

  /** The value that `bytes` are. */
  read(bytes: DataView<ArrayBuffer>): unknown {
    return readShape(bytes, 0, this.shape);
  }
}

/** A struct among the parameters of a function, or of a callback. */
class ArgumentPassing implements Passing {
  readonly #bytes: Bytes;
  readonly #spot: Spot;

  constructor(shape: Shape, spot: Spot) {
    this.#bytes = new Bytes(shape);
    this.#spot = spot;
  }

  write(view: DataView<ArrayBuffer>, value: unknown, what: string, keeper: RoomKeeper): void {
    const bytes = this.#bytes.of(value, what, keeper);
    const { pieces, isByAddress } = this.#spot;
    if (isByAddress) {
      const address = keeper.keepRoom(bytes.byteLength, 2 * SLOT_SIZE, what);
      native().copyOut(address, bytes, BigInt(bytes.byteLength));
      view.setBigUint64(pieces[0]!.at, address, true);
    } else {
      for (const { at, from, size } of pieces) copy(bytes, from, view, at, size);
    }
    this.#bytes.put(bytes);
  }

  /** What a callback has been passed; `stack` is a copy of its arguments on the stack. */
  read(view: DataView<ArrayBuffer>, stack: DataView<ArrayBuffer>): unknown {
    const bytes = this.#bytes.take();
    for (const { at, from, size } of this.#spot.pieces) {
      const isOnStack = at >= Mailbox.stack;
      const [source, start] = isOnStack ? [stack, at - Mailbox.stack] : [view, at];
      if (this.#spot.isByAddress) copyFrom(source.getBigUint64(start, true), bytes, this.#bytes);
      else copy(source, start, bytes, from, size);
    }
    const value = this.#bytes.read(bytes);
    this.#bytes.put(bytes);
    return value;
  }
}

/** What a function returns, or a callback is answered with. */
export class ResultPassing implements Passing {
  readonly #bytes: Bytes;
  readonly #pieces: readonly Piece[];
  /** Where the mailbox has the address of the result; undefined: it is in registers. */
  readonly addressAt: number | undefined;

  constructor(shape: Shape, pieces: readonly Piece[], addressAt: number | undefined) {
    this.#bytes = new Bytes(shape);
    this.#pieces = pieces;
    this.addressAt = addressAt;
  }

  /** How much memory a result needs that is in no register. */
  get shape(): Shape {
    return this.#bytes.shape;
  }

  /** Throws for what is no value of the struct. */
  check(value: unknown, what: string, keeper: Keeper): void {
    this.#bytes.put(this.#bytes.of(value, what, keeper));
  }

  /** Writes an answer of a callback. C has said where it wants one that is in no register. */
  write(view: DataView<ArrayBuffer>, value: unknown, what: string, keeper: Keeper): void {
    const bytes = this.#bytes.of(value, what, keeper);
    if (this.addressAt !== undefined) {
      const address = view.getBigUint64(this.addressAt, true);
      native().copyOut(address, bytes, BigInt(this.shape.size));
      // The psABI for AMD64 has the callback return it.
      view.setBigUint64(Mailbox.input, address, true);
    } else {
      for (const { at, from, size } of this.#pieces) copy(bytes, from, view, at, size);
      if (this.#pieces.length > 1) view.setBigUint64(Mailbox.tail, BigInt(TAIL_ANSWER), true);
    }
    this.#bytes.put(bytes);
  }

  /** What a function has returned; `address` is where one is that is in no register. */
  read(view: DataView<ArrayBuffer>, address: bigint): unknown {
    const bytes = this.#bytes.take();
    if (this.addressAt !== undefined) copyFrom(address, bytes, this.#bytes);
    else for (const { at, from, size } of this.#pieces) copy(view, at, bytes, from, size);
    const value = this.#bytes.read(bytes);
    this.#bytes.put(bytes);
    return value;
  }
}

/** Where the registers of a result are in the mailbox. */
export interface ResultRegisters {
  readonly integers: readonly number[];
  readonly floats: readonly number[];
  /** Where a single one is, of either kind; undefined: where it is as one of several. */
  readonly single: number | undefined;
  /** Where the address of a result is that is in no register, where it has its own register. */
  readonly address: number;
}

/** A result of this shape. */
export function resultOf(
  shape: Shape,
  { registers }: Route,
  rules: Rules,
  places: ResultRegisters,
  { integers }: Registers,
): ResultPassing {
  if (registers === undefined) {
    return new ResultPassing(shape, [], rules === "eightbytes" ? integers : places.address);
  }
  return new ResultPassing(shape, piecesOf(registers, places), undefined);
}

function piecesOf(
  registers: readonly RegisterPart[],
  { integers, floats, single }: ResultRegisters,
): Piece[] {
  if (registers.length === 1 && single !== undefined) {
    return [{ at: single, from: 0, size: registers[0]!.size }];
  }
  let [integer, float] = [0, 0];
  return registers.map(({ isFloat, from, size }) => ({
    at: isFloat ? floats[float++]! : integers[integer++]!,
    from,
    size,
  }));
}

/** An argument of this shape, which is in this spot. */
export function argumentAt(shape: Shape, spot: Spot): StructType {
  return structType(shape, new ArgumentPassing(shape, spot));
}

/** The type of a struct in a place where it crosses so. */
export function structType(shape: Shape, passing: Passing): StructType {
  const { size } = shape;
  return { ...VOID, name: nameOf(shape), kind: "struct", way: Way.struct, size, passing };
}

/** What a callback has been passed. */
export function readArgument(
  type: Type,
  view: DataView<ArrayBuffer>,
  stack: DataView<ArrayBuffer>,
): unknown {
  return ((type as StructType).passing as ArgumentPassing).read(view, stack);
}

/**
 * What messages call a struct. Two that have one name are one to C: where the parts lie otherwise
 * than C has them by itself, the name says how.
 *
 *     struct { i32, f64 }           struct { 0: i32, 4: f64 } of 12 bytes, aligned to 4
 */
export function nameOf(shape: Shape): string {
  const { size, alignment, fields } = shape;
  const natural = arrange(fields);
  const isNatural = natural.size === size && natural.alignment === alignment &&
    natural.fields.every(({ offset }, i) => offset === fields[i]!.offset);
  const parts = fields.map(({ offset, of, count }) =>
    (isNatural ? "" : `${offset}: `) + (isShape(of) ? nameOf(of) : of.name) +
    (count === undefined ? "" : `[${count}]`)
  );
  const text = `struct { ${parts.join(", ")} }`;
  return isNatural ? text : `${text} of ${size} bytes, aligned to ${alignment}`;
}

/** How many strings and buffers a struct has, which C gets the addresses of. */
export function keptIn({ fields }: Shape, kinds: readonly string[]): number {
  return fields.reduce((sum, { of, count = 1 }) => {
    return sum + count * (isShape(of) ? keptIn(of, kinds) : kinds.includes(of.name) ? 1 : 0);
  }, 0);
}

function copyFrom(address: bigint, bytes: DataView<ArrayBuffer>, { shape }: Bytes): void {
  native().copyIn(bytes, address, BigInt(shape.size));
}

/** Copies `size` bytes. */
function copy(source: DataView, start: number, target: DataView, at: number, size: number): void {
  if (size === SLOT_SIZE) {
    target.setInt32(at, source.getInt32(start, true), true);
    target.setInt32(at + 4, source.getInt32(start + 4, true), true);
    return;
  }
  const from = new Uint8Array(source.buffer, source.byteOffset + start, size);
  new Uint8Array(target.buffer, target.byteOffset + at, size).set(from);
}
