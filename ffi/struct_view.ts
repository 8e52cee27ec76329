// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Objects that read and write structs in memory, C's or JavaScript's.
 *
 * A layout has one class of them. Its instances have nothing but the place where the struct lies;
 * the fields are accessors of the prototype, behind which whatever is no field is refused:
 *
 *     view { #place } -> { get st_size, set st_size, … } -> Proxy: "there is no field st_sise"
 */

import { bytesOf, isBuffer, isDetached } from "./buffer.ts";
import { describe, needStack } from "./check.ts";
import { native } from "./library/find.ts";
import { memoryOf, PointerView, viewed } from "./pointer_view.ts";
import { encodeCString } from "./value/cstring.ts";
import { type Field, isShape, type Shape } from "./value/shape.ts";
import {
  fieldNamed,
  fieldsIn,
  hasNames,
  isPointer,
  readPart,
  SHAPE,
  slot,
  type StructKeeper,
  VIEWED,
  writeField,
} from "./value/struct_type.ts";

/**
 * The memory that a layout is laid over: a pointer, a `PointerView`, or bytes of yours.
 *
 * @example
 * ```ts
 * import { type LayoutMemory, struct } from "fringe";
 *
 * const point = struct({ x: "i32", y: "i32" });
 * const sum = (memory: LayoutMemory): number => point.view(memory).x + point.view(memory).y;
 * console.log(sum(Int32Array.of(3, 4))); // 7
 * ```
 */
export type LayoutMemory = Deno.PointerObject | PointerView | BufferSource;

/** Where something lies: in memory of JavaScript's, or in C's. */
type Place =
  | { readonly data: DataView<ArrayBuffer>; readonly pointer: undefined; readonly at: number }
  | { readonly data: undefined; readonly pointer: PointerView; readonly at: number };

/** Where a layout lies. `what` begins with "Cannot". */
export function placeIn(memory: LayoutMemory, { size }: Shape, what: string): Place {
  const place = placeOf(memory, what);
  if (place.data !== undefined && place.data.byteLength < size) {
    throw new RangeError(
      `${what}: it has ${size} bytes, and the memory has ${place.data.byteLength}`,
    );
  }
  return place;
}

function placeOf(memory: LayoutMemory, what: string): Place {
  if (memory instanceof PointerView) {
    const known = memoryOf(memory);
    if (known === undefined) return { data: undefined, pointer: memory, at: 0 };
    return bytesPlace(known.bytes.subarray(known.start));
  }
  // A pointer inherits nothing.
  if (memory === null || typeof memory === "object" && Object.getPrototypeOf(memory) === null) {
    return { data: undefined, pointer: new PointerView(memory as Deno.PointerObject), at: 0 };
  }
  const isShared = (memory as unknown) instanceof SharedArrayBuffer;
  if (ArrayBuffer.isView(memory) || isShared || isBuffer(memory)) {
    return bytesPlace(bytesOf(memory, `${what}: the memory`)!);
  }
  throw new TypeError(
    `${what}: memory must be a pointer, a PointerView or bytes: got ${describe(memory)}`,
  );
}

function bytesPlace({ buffer, byteOffset, length }: Uint8Array<ArrayBuffer>): Place {
  return { data: new DataView(buffer, byteOffset, length), pointer: undefined, at: 0 };
}

/** A part of it. */
function within(place: Place, offset: number): Place {
  return { ...place, at: place.at + offset };
}

/** The bytes at an offset: memory of JavaScript's itself, or a copy of C's. */
export function load(
  { data, pointer, at }: Place,
  offset: number,
  size: number,
): { readonly data: DataView<ArrayBuffer>; readonly at: number } {
  if (data === undefined) {
    return { data: new DataView(pointer.getBytes(at + offset, size).buffer), at: 0 };
  }
  checkAttached(data);
  return { data, at: at + offset };
}

function checkAttached({ buffer }: DataView<ArrayBuffer>): void {
  if (!isDetached(buffer)) return;
  throw new TypeError(
    "Cannot reach memory: the buffer that the view is of has been transferred elsewhere",
  );
}

/**
 * Writes values: all into copies at first, so that none is written if one is refused. Only the
 * fields that have values are stored, since other threads may write the others.
 */
export function store(
  place: Place,
  values: readonly (readonly [field: Field, value: unknown])[],
  what: string,
): void {
  const { data, pointer, at } = place;
  const keeper = data === undefined ? undefined : new BufferKeeper(data.buffer);
  const stores = givenIn(at, values, what).map(({ field, value, from, what }) => {
    const size = field.of.size * (field.count ?? 1);
    const bytes = pointer?.getBytes(from, size) ?? bytesIn(data!, from, size).slice();
    keeper?.moveTo(data!.byteOffset + from);
    writeField(new DataView(bytes.buffer), 0, field, value, what, keeper ?? NOBODY);
    return { from, bytes };
  });
  // All of them are stored from here on, or none.
  needStack(8);
  for (const { from, bytes } of stores) {
    if (pointer !== undefined) pointer.copyFrom(bytes, from);
    else bytesIn(data, from, bytes.length).set(bytes);
  }
  keeper?.commit();
}

/** What is to be stored: of a struct within the fields that have values, and where each lies. */
function givenIn(
  at: number,
  values: readonly (readonly [field: Field, value: unknown])[],
  what: string,
): { readonly field: Field; readonly value: unknown; readonly from: number; what: string }[] {
  return values.flatMap(([field, value]) => {
    const { of, offset, count, name } = field;
    const from = at + offset;
    const place = `${what}: field ${name}`;
    return count === undefined && isShape(of) && hasNames(of)
      ? givenIn(from, fieldsIn(of, value, place), place)
      : [{ field, value, from, what: place }];
  });
}

function bytesIn(data: DataView<ArrayBuffer>, from: number, size: number): Uint8Array<ArrayBuffer> {
  checkAttached(data);
  return new Uint8Array(data.buffer, data.byteOffset + from, size);
}

/**
 * What the pointers in each buffer lead to, by where in the buffer they are; undefined until there
 * is some. So it lives as long as the buffer, or until another pointer is written over it.
 */
let held: WeakMap<ArrayBuffer, Map<number, unknown>> | undefined;

/** Holds what is written into a buffer. */
class BufferKeeper implements StructKeeper {
  readonly #buffer: ArrayBuffer;
  readonly #written: [position: number, value: unknown][] = [];
  /** Where in the buffer the memory belongs that is written to. */
  #base = 0;
  #made: unknown;

  constructor(buffer: ArrayBuffer) {
    this.#buffer = buffer;
  }

  moveTo(base: number): void {
    this.#base = base;
  }

  keepAt(position: number, value: unknown): void {
    this.#written.push([this.#base + position, this.#made ?? value]);
    this.#made = undefined;
  }

  keepString(value: unknown, what: string): bigint {
    const bytes = encodeCString(value, what);
    return bytes === null ? 0n : this.keepBytes(bytes);
  }

  keepBytes(bytes: Uint8Array<ArrayBuffer>): bigint {
    this.#made = bytes;
    return native().addressOfBuffer(bytes);
  }

  /** All has been written: what was held for what stood there before is let go. */
  commit(): void {
    if (this.#written.length === 0) return;
    held ??= new WeakMap();
    let places = held.get(this.#buffer);
    if (places === undefined) held.set(this.#buffer, places = new Map());
    for (const [position, value] of this.#written) {
      if (value === null) places.delete(position);
      else places.set(position, value);
    }
  }
}

/** Holds nothing: C alone knows how long its memory is used. */
const NOBODY: StructKeeper = {
  keepString: (value, what) => {
    if (encodeCString(value, what) === null) return 0n;
    return refuseToKeep(what);
  },
  keepBytes: (_bytes, what) => refuseToKeep(what),
};

function refuseToKeep(what: string): never {
  throw new TypeError(
    `${what} must be null in memory of C's, for which nobody holds a string or a buffer: declare ` +
      'it as "pointer", and write the pointer of memory that stays, as of PointerView.allocate()',
  );
}

/** What an object of one of the classes has. */
class View {
  readonly #place: Place;

  constructor(place: Place) {
    this.#place = place;
  }

  static placeOf(view: View): Place {
    if (#place in view) return view.#place;
    throw new TypeError(
      `Cannot reach memory: only what view() has given has the fields: got ${describe(view)}`,
    );
  }
}

/** The classes, by what they lay out; undefined until there is one. */
let classes: WeakMap<Shape, new (place: Place) => View> | undefined;

/** An object whose properties are the fields of a struct at a place. */
export function viewOf(shape: Shape, place: Place): object {
  let known = (classes ??= new WeakMap()).get(shape);
  if (known === undefined) classes.set(shape, known = classFor(shape));
  return new known(place);
}

/**
 * A view of what `pointer` leads to, which lies at `offset` of `data`. If that holds what was
 * written there, the view holds it, too: so it stays when the pointer is written over.
 */
export function viewBehind(
  shape: Shape,
  pointer: Deno.PointerObject,
  data: DataView<ArrayBuffer>,
  offset: number,
): object {
  const written = held?.get(data.buffer)?.get(data.byteOffset + offset);
  const known = viewed(written) ?? (isPointer(written) ? new PointerView(written) : undefined);
  const plain = new PointerView(pointer);
  // C may have written another one.
  if (known === undefined || known.address !== plain.address) {
    return viewOf(shape, { data: undefined, pointer: plain, at: 0 });
  }
  const memory = memoryOf(known);
  const isWhole = memory !== undefined && memory.bytes.length - memory.start >= shape.size;
  return viewOf(shape, isWhole ? placeOf(known, "") : { data: undefined, pointer: known, at: 0 });
}

function classFor(shape: Shape): new (place: Place) => View {
  class StructView extends View {}
  const { prototype } = StructView;
  Object.setPrototypeOf(prototype, guard(shape));
  const define = (name: PropertyKey, accessor: PropertyDescriptor): void => {
    Object.defineProperty(prototype, name, { __proto__: null, ...accessor } as PropertyDescriptor);
  };
  define(VIEWED, {
    get(this: View) {
      const { data, pointer, at } = View.placeOf(this);
      return (pointer ?? PointerView.of(data)).add(at);
    },
  });
  define(SHAPE, { value: shape });
  for (const field of shape.fields) {
    define(field.name!, {
      enumerable: true,
      get(this: View) {
        return get(View.placeOf(this), field);
      },
      set(this: View, value: unknown) {
        set(View.placeOf(this), field, value);
      },
    });
  }
  return StructView;
}

/** What stands for a field in a view. */
function get(place: Place, field: Field): unknown {
  const { of, offset, count } = field;
  if (count !== undefined) return arrayOf(within(place, offset), field, count);
  if (isShape(of)) {
    if (hasNames(of)) return viewOf(of, within(place, offset));
    const { data, at } = load(place, offset, of.size);
    return readPart(data, at, field);
  }
  const at = place.at + offset;
  if (place.data === undefined) return readPart(fetch(place.pointer, at, of.size), 0, field);
  checkAttached(place.data);
  return readPart(place.data, at, field);
}

/** Writes a field of a view. */
function set(place: Place, field: Field, value: unknown): void {
  const { of, offset, count } = field;
  const { data, pointer } = place;
  const what = "Cannot write struct";
  // A value that leads nowhere is checked, and then written at once: it needs no copy.
  if (count !== undefined || isShape(of) || of.kind === "address") {
    return store(place, [[field, value]], what);
  }
  const at = place.at + offset;
  if (data !== undefined) {
    checkAttached(data);
    return writeField(data, at, field, value, `${what}: field ${field.name}`);
  }
  writeField(slot, 0, field, value, `${what}: field ${field.name}`);
  put(pointer, at, of.size);
}

/** The bytes of one value of C's, all at once, since another thread may write them. */
function fetch(pointer: PointerView, at: number, size: number): DataView<ArrayBuffer> {
  if (size === 1) slot.setUint8(0, pointer.getUint8(at));
  else if (size === 2) slot.setUint16(0, pointer.getUint16(at), true);
  else if (size === 4) slot.setInt32(0, pointer.getInt32(at), true);
  else slot.setBigInt64(0, pointer.getBigInt64(at), true);
  return slot;
}

/** Stores them, likewise. */
function put(pointer: PointerView, at: number, size: number): void {
  if (size === 1) pointer.setUint8(at, slot.getUint8(0));
  else if (size === 2) pointer.setUint16(at, slot.getUint16(0, true));
  else if (size === 4) pointer.setInt32(at, slot.getInt32(0, true));
  else pointer.setBigInt64(at, slot.getBigInt64(0, true));
}

/** What is asked of any object, by `await`, `JSON.stringify` and whoever describes it. */
const ASKED_OF_ALL = ["then", "toJSON", "constructor", "toString", "valueOf"];

/** Refuses what is no field. */
function guard(shape: Shape): object {
  return new Proxy(Object.freeze(Object.create(null)), {
    get(_target, name) {
      if (typeof name === "symbol" || ASKED_OF_ALL.includes(name)) return undefined;
      return fieldNamed(shape, name, "Cannot read struct");
    },
    set(_target, name) {
      fieldNamed(shape, name, "Cannot write struct");
      return false;
    },
  });
}

/** An array in memory. */
function arrayOf(place: Place, field: Field, count: number): object {
  const { name, of, to } = field;
  const elementAt = (key: string | symbol): Field | undefined => {
    const index = typeof key === "string" ? Number(key) : -1;
    // "1" is an index, "01" and "1.0" are none.
    if (!(index >= 0 && index < count && String(index | 0) === key)) return undefined;
    return { name: `${name}[${index}]`, offset: index * of.size, of, count: undefined, to };
  };
  const view = new Proxy(Object.create(null), {
    has: (_target, key) =>
      key === "length" || key === Symbol.iterator || elementAt(key) !== undefined,
    get(_target, key) {
      if (key === "length") return count;
      if (key === Symbol.iterator) return () => elements();
      const field = elementAt(key);
      return field === undefined ? undefined : get(place, field);
    },
    set(_target, key, value) {
      const field = elementAt(key);
      if (field === undefined) {
        throw new RangeError(
          `Cannot write struct: field ${name} has ${count} elements: got the index ${String(key)}`,
        );
      }
      set(place, field, value);
      return true;
    },
  });
  function* elements(): Generator<unknown, void> {
    for (let i = 0; i < count; i++) yield view[i];
  }
  return view;
}
