// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Structs by value, between JavaScript and a mailbox. A struct is put together in a buffer, and its
 * pieces are copied from there to where the ABI has them (placement.ts), or the other way round:
 *
 *     { id: 1, x: 0.5 }  ->  | id | x |  ->  int0: id, flt0: x
 */

import { nameOf as kindOf, OF_ARRAY } from "../buffer.ts";
import { Mailbox, SLOT_SIZE, TAIL_ANSWER } from "../layout.ts";
import { native } from "../library/find.ts";
import { arrange, isShape, roundUp, type Shape } from "../value/shape.ts";
import {
  hasNames,
  isUnion,
  readShape,
  type StructKeeper,
  writeShape,
} from "../value/struct_type.ts";
import { type Passing, type StructType, type Type, VOID, Way } from "../value/type.ts";
import { type Keeper, read, write } from "../value/value.ts";
import type { Piece, Registers, Spot } from "./placement.ts";
import type { RegisterPart, Route, Rules } from "./route.ts";

/** What keeps memory for C until a call has ended, beside strings and buffers. */
export interface RoomKeeper extends Keeper {
  /** Memory of `size` bytes at a multiple of `alignment`; returns its address. */
  keepRoom(size: number, alignment: number, what: string): bigint;
}

/** Memory in which a struct is put together: whole words, as which its pieces are copied. */
interface Scratch {
  readonly view: DataView<ArrayBuffer>;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** Up to how many bytes a loop takes less time than V8's own functions need to begin. */
const SHORT = 64;

/**
 * A layout all of whose parts are values of 32 or 64 bits, as most are that are passed: what
 * `readShape` and `writeShape` do of it, in a fourth of the time.
 */
class Flat {
  readonly #fields: readonly { readonly name: string; readonly at: number; readonly type: Type }[];
  /** An object with the names: copied, and then assigned to, which calls no setter. */
  readonly #template: Readonly<Record<string, unknown>>;
  #what = "";
  /** What begins a message about each field. */
  #whats: readonly string[] = [];

  constructor({ fields }: Shape) {
    this.#fields = fields.map(({ name, offset, of }) => ({
      name: name!,
      at: offset,
      type: of as Type,
    }));
    this.#template = Object.fromEntries(fields.map(({ name }) => [name!, undefined]));
  }

  static of(shape: Shape): Flat | undefined {
    const { fields } = shape;
    const isFlat = hasNames(shape) && !isUnion(shape) && fields.every(({ of, count, to }) => {
      return count === undefined && to === undefined && !isShape(of) && of.size > 2;
    });
    return isFlat ? new Flat(shape) : undefined;
  }

  read(view: DataView<ArrayBuffer>): unknown {
    const value: Record<string, unknown> = { ...this.#template };
    const fields = this.#fields;
    for (let i = 0; i < fields.length; i++) {
      const { name, at, type } = fields[i]!;
      value[name] = read(view, at, type);
    }
    return value;
  }

  /** Writes an object that has all fields in their order; false: it is another. */
  write(
    view: DataView<ArrayBuffer>,
    value: unknown,
    what: string,
    keeper: Keeper | undefined,
  ): boolean {
    if (typeof value !== "object" || value === null || Symbol.iterator in value) return false;
    const fields = this.#fields;
    const names = Object.keys(value);
    if (names.length !== fields.length) return false;
    for (let i = 0; i < fields.length; i++) if (names[i] !== fields[i]!.name) return false;
    if (what !== this.#what) {
      this.#whats = fields.map(({ name }) => `${what}: field ${name}`);
      this.#what = what;
    }
    const whats = this.#whats;
    for (let i = 0; i < fields.length; i++) {
      const { name, at, type } = fields[i]!;
      const part = (value as Record<string, unknown>)[name];
      write(view, at, type, part, whats[i]!, keeper);
      if (type.kind === "address") (keeper as StructKeeper | undefined)?.keepAt?.(at, part);
    }
    return true;
  }
}

/** The structs of one place. */
class Bytes {
  readonly shape: Shape;
  readonly length: bigint;
  /** Whether values are bytes, of which there are few. */
  readonly #isShort: boolean;
  readonly #flat: Flat | undefined;
  /** Undefined while it is in use: a getter of a value may make the same call once more. */
  #scratch: Scratch | undefined;

  constructor(shape: Shape) {
    this.shape = shape;
    this.length = BigInt(shape.size);
    this.#isShort = !hasNames(shape) && shape.size <= SHORT;
    this.#flat = Flat.of(shape);
  }

  /** The bytes of a value, and zeros where it has none. Given back by `put`. */
  of(value: unknown, what: string, keeper: Keeper | undefined): Scratch {
    const scratch = this.take();
    const { bytes, view } = scratch;
    const { size } = this.shape;
    if (this.#isShort && kindOf(value) === "Uint8Array" && OF_ARRAY.byteLength(value) >= size) {
      // No code of the program's runs: an array of V8's own has no getters for its elements.
      const source = value as Uint8Array;
      for (let i = 0; i < size; i++) bytes[i] = source[i]!;
    } else if (this.#flat === undefined || !this.#flat.write(view, value, what, keeper)) {
      bytes.fill(0);
      writeShape(view, 0, this.shape, value, what, keeper);
    }
    return scratch;
  }

  take(): Scratch {
    const scratch = this.#scratch;
    this.#scratch = undefined;
    if (scratch !== undefined) return scratch;
    const bytes = new Uint8Array(new ArrayBuffer(roundUp(this.shape.size, SLOT_SIZE)));
    return { bytes, view: new DataView(bytes.buffer) };
  }

  put(scratch: Scratch): void {
    this.#scratch = scratch;
  }

  /** The value that the bytes are, which are given back by that. */
  read(scratch: Scratch): unknown {
    const { bytes, view } = scratch;
    const { size } = this.shape;
    let value: unknown;
    if (this.#isShort) {
      const copy = value = new Uint8Array(size);
      for (let i = 0; i < size; i++) copy[i] = bytes[i]!;
    } else if (this.#flat !== undefined) value = this.#flat.read(view);
    else value = readShape(view, 0, this.shape);
    this.put(scratch);
    return value;
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
    const scratch = this.#bytes.of(value, what, keeper);
    const { pieces, isByAddress } = this.#spot;
    if (isByAddress) {
      const { size, alignment } = this.#bytes.shape;
      const room = roundUp(size, SLOT_SIZE);
      const address = keeper.keepRoom(room, Math.max(alignment, 2 * SLOT_SIZE), what);
      native().copyOut(address, scratch.view, this.#bytes.length);
      view.setBigUint64(pieces[0]!.at, address, true);
    } else copyPieces(scratch.view, pieces, view);
    this.#bytes.put(scratch);
  }

  /** What a callback has been passed; `stack` is a copy of its arguments on the stack. */
  read(view: DataView<ArrayBuffer>, stack: DataView<ArrayBuffer>): unknown {
    const scratch = this.#bytes.take();
    const { pieces, isByAddress } = this.#spot;
    for (let i = 0; i < pieces.length; i++) {
      const { at, from, size } = pieces[i]!;
      const source = at >= Mailbox.stack ? stack : view;
      const start = at >= Mailbox.stack ? at - Mailbox.stack : at;
      if (isByAddress) copyFrom(source.getBigUint64(start, true), scratch, this.#bytes);
      else copy(source, start, scratch.view, from, size);
    }
    return this.#bytes.read(scratch);
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

  write(view: DataView<ArrayBuffer>, value: unknown, what: string, keeper: Keeper): void {
    this.put(view, this.convert(value, what, keeper));
  }

  /** The bytes of an answer. Getters of it may end the call: then `put` is not to be called. */
  convert(value: unknown, what: string, keeper: Keeper | undefined): Scratch {
    return this.#bytes.of(value, what, keeper);
  }

  /** Puts them where C finds them. It has said where it wants an answer that is in no register. */
  put(view: DataView<ArrayBuffer>, scratch: Scratch): void {
    if (this.addressAt !== undefined) {
      const address = view.getBigUint64(this.addressAt, true);
      native().copyOut(address, scratch.view, this.#bytes.length);
      // The psABI for AMD64 has the callback return it.
      view.setBigUint64(Mailbox.input, address, true);
    } else {
      copyPieces(scratch.view, this.#pieces, view);
      if (this.#pieces.length > 1) {
        view.setInt32(Mailbox.tail, TAIL_ANSWER, true);
        view.setInt32(Mailbox.tail + 4, 0, true);
      }
    }
    this.#bytes.put(scratch);
  }

  /** What a function has returned; `address` is where one is that is in no register. */
  read(view: DataView<ArrayBuffer>, address: bigint): unknown {
    const scratch = this.#bytes.take();
    if (this.addressAt !== undefined) copyFrom(address, scratch, this.#bytes);
    else {
      for (let i = 0; i < this.#pieces.length; i++) {
        const { at, from, size } = this.#pieces[i]!;
        copy(view, at, scratch.view, from, size);
      }
    }
    return this.#bytes.read(scratch);
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

function copyFrom(address: bigint, { view }: Scratch, { length }: Bytes): void {
  native().copyIn(view, address, length);
}

/** Copies the pieces of a struct into a mailbox. */
function copyPieces(source: DataView, pieces: readonly Piece[], mailbox: DataView): void {
  for (let i = 0; i < pieces.length; i++) {
    const { at, from, size } = pieces[i]!;
    copy(source, from, mailbox, at, size);
  }
}

/** Copies `size` bytes. */
function copy(source: DataView, start: number, target: DataView, at: number, size: number): void {
  if (size > SHORT) {
    const from = new Uint8Array(source.buffer, source.byteOffset + start, size);
    new Uint8Array(target.buffer, target.byteOffset + at, size).set(from);
    return;
  }
  let done = 0;
  for (; done + 4 <= size; done += 4) {
    target.setInt32(at + done, source.getInt32(start + done, true), true);
  }
  for (; done < size; done++) target.setUint8(at + done, source.getUint8(start + done));
}
