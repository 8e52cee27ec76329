// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * `struct`, `union` and `pointerTo`: how C lays out its data, with names, and the objects that read
 * and write memory of C by them.
 *
 *     const point = struct({ x: "i32", y: "i32" });
 *     const at = point.view(pointer);   // an object over C's memory
 *     at.y = at.x + 1;                  // loads 4 bytes, stores 4 bytes
 */

import { checkKeys, describe, isPowerOfTwo, own } from "./check.ts";
import { memoryOf, type PointerView, viewed } from "./pointer_view.ts";
import { type LayoutMemory, load, placeIn, store, viewBehind, viewOf } from "./struct_view.ts";
import { arrange, type Part, type Shape, type Target } from "./value/shape.ts";
import {
  fieldNamed,
  fieldsIn,
  hasNames,
  makeStructType,
  readShape,
  refuseType,
  shapeOf,
  typeNamed,
} from "./value/struct_type.ts";
import { type FromNative, type ToNative, typeOf, type ValueType } from "./value/type.ts";

/**
 * What a field of a struct is: a type, a struct or union within, a pointer to one, or an array.
 *
 * @example
 * ```ts
 * import { type FieldDefinition, struct } from "fringe";
 *
 * const name: FieldDefinition = ["i8", 65]; // char name[65]
 * console.log(struct({ name }).size); // 65
 * ```
 */
export type FieldDefinition =
  | ElementDefinition
  | readonly [element: ElementDefinition, count: number];

/**
 * What an element of an array may be, or a field that is no array.
 *
 * @example
 * ```ts
 * import { type ElementDefinition, struct } from "fringe";
 *
 * const triple = (element: ElementDefinition): number => struct({ all: [element, 3] }).size;
 * console.log(triple("i16"), triple(struct({ x: "f64", y: "f64" }))); // 6 48
 * ```
 */
export type ElementDefinition =
  | ValueType
  // deno-lint-ignore no-explicit-any -- layouts of all fields
  | Layout<any>
  | PointerField
  | { readonly struct: readonly unknown[] };

/**
 * The fields of a struct or a union, in C's order.
 *
 * @example
 * ```ts
 * import { type LayoutFields, struct } from "fringe";
 *
 * const fields = { tv_sec: "i64", tv_nsec: "i64" } as const satisfies LayoutFields;
 * console.log(struct(fields).size); // 16
 * ```
 */
export interface LayoutFields {
  /** By the name in C. */
  readonly [name: string]: FieldDefinition;
}

/**
 * A field that points at what has a layout, as `pointerTo` makes it. `View` is what it gives.
 *
 * @example
 * ```ts
 * import { type PointerField, pointerTo, struct } from "fringe";
 *
 * const point = struct({ x: "i32", y: "i32" });
 * const corner: PointerField<{ x: number; y: number }> = pointerTo(point);
 * console.log(struct({ corner }).size); // 8
 * ```
 */
export interface PointerField<View = unknown> {
  /** The layout, or what gives it. */
  // deno-lint-ignore no-explicit-any -- a layout may lead to itself, which TypeScript cannot infer
  readonly pointer: Layout<any> | (() => any);
  /** What it gives: for types only. */
  readonly view?: View;
}

/**
 * An array in a view: it reads and writes memory in place. `Array.from` takes it.
 *
 * @example
 * ```ts
 * import { type LayoutArray, struct } from "fringe";
 *
 * const fill = (array: LayoutArray<number>): void => {
 *   for (let i = 0; i < array.length; i++) array[i] = i;
 * };
 * const bytes = new Uint8Array(4);
 * fill(struct({ all: ["u8", 4] }).view(bytes).all);
 * console.log(bytes); // Uint8Array(4) [ 0, 1, 2, 3 ]
 * ```
 */
export interface LayoutArray<T> {
  /** How many elements it has. */
  readonly length: number;
  /** An element, in memory. */
  [index: number]: T;
  /** The elements, each read when its turn comes. */
  [Symbol.iterator](): Iterator<T>;
}

/**
 * What `layout.read()` gives: an object with the values of the fields. Of the type of a field, what
 * stands for that.
 *
 * @example
 * ```ts
 * import { type LayoutObject, struct } from "fringe";
 *
 * const entry = struct({ id: "u32", size: "u64" });
 * const show = ({ id, size }: LayoutObject<typeof entry>): string => `${id}: ${size}`;
 * console.log(show(entry.read(BigUint64Array.of(1n, 2n)))); // 1: 2
 * ```
 */
export type LayoutObject<T> = T extends Layout<infer Fields>
  ? { -readonly [K in keyof Fields]: LayoutObject<Fields[K]> }
  : T extends readonly [infer Element, number] ? LayoutObject<Element>[]
  : T extends PointerField<infer View> ? View | null
  : T extends { readonly struct: readonly unknown[] } ? Uint8Array<ArrayBuffer>
  : FromNative<T>;

/**
 * What `layout.write()` takes: values for some of the fields, or for all.
 *
 * @example
 * ```ts
 * import { type LayoutValues, struct } from "fringe";
 *
 * const entry = struct({ id: "u32", size: "u64" });
 * const values: LayoutValues<typeof entry> = { size: 7 }; // a bigint, or a number
 * const bytes = new Uint8Array(entry.size);
 * entry.write(bytes, values);
 * console.log(entry.read(bytes)); // { id: 0, size: 7n }
 * ```
 */
export type LayoutValues<T> = T extends Layout<infer Fields>
  ? { readonly [K in keyof Fields]?: LayoutValues<Fields[K]> }
  : T extends readonly [infer Element, number]
    ? Iterable<LayoutValues<Element>> | ArrayLike<LayoutValues<Element>>
  : T extends PointerField<infer View> ? View | PointerView | Deno.PointerValue
  : T extends { readonly struct: readonly unknown[] } ? BufferSource
  : ToNative<T>;

/**
 * What `layout.view()` gives: an object whose properties are the fields, in memory.
 *
 * @example
 * ```ts
 * import { type LayoutView, struct } from "fringe";
 *
 * const point = struct({ x: "i32", y: "i32" });
 * const move = (at: LayoutView<typeof point>): void => void (at.x += 10);
 * const bytes = Int32Array.of(1, 2);
 * move(point.view(bytes));
 * console.log(bytes); // Int32Array(2) [ 11, 2 ]
 * ```
 */
export type LayoutView<T> = T extends Layout<infer Fields>
  ? { -readonly [K in keyof Fields]: LayoutView<Fields[K]> }
  : T extends readonly [infer Element, number] ? LayoutArray<LayoutView<Element>>
  : LayoutObject<T>;

/**
 * What `struct` and `union` take after the fields.
 *
 * @example
 * ```ts
 * import { type LayoutOptions, struct } from "fringe";
 *
 * const packed: LayoutOptions = { pack: 1 };
 * const fields = { tag: "u8", value: "u32" } as const;
 * console.log(struct(fields).size, struct(fields, packed).size); // 8 5
 * ```
 */
export interface LayoutOptions {
  /** The most that a field is aligned to, in bytes: a power of two. 1 is C's "packed". */
  readonly pack?: number | undefined;
  /** The least that the whole is aligned to, in bytes: a power of two, as in `_Alignas(n)`. */
  readonly alignment?: number | undefined;
}

/**
 * How C lays out a struct or a union, as `struct` and `union` make it.
 *
 * @example
 * ```ts
 * import { type Layout, struct } from "fringe";
 *
 * const entry = struct({ id: "u32", size: "u64" });
 * const room = (layout: Layout, count: number): Uint8Array => new Uint8Array(layout.size * count);
 * console.log(room(entry, 10).length); // 160
 * ```
 */
// deno-lint-ignore no-explicit-any -- layouts of all fields
export interface Layout<Fields extends LayoutFields = any> {
  /** `sizeof`: how many bytes it takes. */
  readonly size: number;
  /** `_Alignof`: what its address is a multiple of. */
  readonly alignment: number;
  /** The fields: a copy. */
  readonly fields: Fields;

  /**
   * `offsetof`: where a field begins, in bytes.
   *
   * @throws {TypeError} If there is none of that name.
   */
  offsetOf(name: keyof Fields & string): number;

  /**
   * Reads the whole: an object with the fields as they are now. Members of a union are read when
   * they are asked for, since C alone knows which one is there.
   *
   * @throws {TypeError} If the memory is no pointer, no view and no bytes.
   * @throws {RangeError} If it is bytes, and fewer than the layout has.
   */
  read(memory: LayoutMemory): LayoutObject<Layout<Fields>>;

  /**
   * Writes the fields that there are values for, and leaves the others. If a value is refused,
   * nothing is written.
   *
   * A string, a buffer or a `Callback` that is written into bytes of yours is held for as long as
   * those are. What C's own memory is to point at somebody has to hold: strings and buffers are
   * refused there.
   *
   * @throws {TypeError} If there is no such field, or a value is of another type.
   * @throws {RangeError} If a value is out of range, or the memory too small.
   */
  write(memory: LayoutMemory, values: LayoutValues<Layout<Fields>>): void;

  /**
   * An object whose properties are the fields, in memory: each is loaded as it is read, and stored
   * as it is assigned to. A struct within is a view, too, and so is an array.
   *
   * @throws {TypeError} If the memory is no pointer, no view and no bytes.
   * @throws {RangeError} If it is bytes, and fewer than the layout has.
   */
  view(memory: LayoutMemory): LayoutView<Layout<Fields>>;
}

/**
 * Lays out a struct as C does.
 *
 * @param fields The type of each, in C's order; `[type, count]` is an array.
 * @param options Whether it is packed, or aligned to more than its fields are.
 * @throws {TypeError} If there is no field, a name begins with a digit, or a type or count is none.
 * @throws {RangeError} If an option is no power of two, or the whole has 2^31 bytes or more.
 *
 * @example
 * ```ts
 * import { dlopen, struct } from "fringe";
 *
 * const utsname = struct({
 *   sysname: ["u8", 65],
 *   nodename: ["u8", 65],
 *   release: ["u8", 65],
 *   version: ["u8", 65],
 *   machine: ["u8", 65],
 *   domainname: ["u8", 65],
 * });
 * using libc = dlopen("libc.so.6", { uname: { parameters: ["buffer"], result: "i32" } });
 * const bytes = new Uint8Array(utsname.size);
 * libc.symbols.uname(bytes);
 * const { sysname } = utsname.view(bytes);
 * console.log(String.fromCharCode(...sysname).replace(/\0.*$/s, "")); // Linux
 * ```
 */
export function struct<const Fields extends LayoutFields>(
  fields: Fields,
  options: LayoutOptions = {},
): Layout<Fields> {
  return new StructLayout(fields, options, false);
}

/**
 * Lays out a union as C does: all members begin at 0.
 *
 * @throws {TypeError} If there is no field, a name begins with a digit, or a type or count is none.
 * @throws {RangeError} If an option is no power of two, or the whole has 2^31 bytes or more.
 *
 * @example
 * ```ts
 * import { struct, union } from "fringe";
 *
 * const value = struct({ type: "u32", as: union({ integer: "i64", real: "f64" }) });
 * const at = value.view(new Uint8Array(value.size));
 * at.as.real = 0.5;
 * console.log(value.size, at.as.integer.toString(16)); // 16 3fe0000000000000
 * ```
 */
export function union<const Fields extends LayoutFields>(
  fields: Fields,
  options: LayoutOptions = {},
): Layout<Fields> {
  return new StructLayout(fields, options, true);
}

/**
 * A field that points at what has a layout. It gives a view of that, or null, and is written with a
 * view, a pointer or null. A layout that leads to itself is named by a function, and its type by
 * you.
 *
 * @example
 * ```ts
 * import { pointerTo, struct } from "fringe";
 *
 * interface Node {
 *   value: number;
 *   next: Node | null;
 * }
 * const node = struct({ value: "i32", next: pointerTo<Node>(() => node) });
 *
 * const last = node.view(new Uint8Array(node.size));
 * last.value = 2;
 * const first = node.view(new Uint8Array(node.size));
 * first.value = 1;
 * first.next = last;
 * for (let at: Node | null = first; at !== null; at = at.next) console.log(at.value); // 1, 2
 * ```
 */
// deno-lint-ignore no-explicit-any -- layouts of all fields
export function pointerTo<L extends Layout<any>>(layout: L): PointerField<LayoutView<L>>;
/** The same for a layout that leads to itself. */
// deno-lint-ignore no-explicit-any -- TypeScript cannot infer what leads to itself
export function pointerTo<View>(layout: () => any): PointerField<View>;
// deno-lint-ignore no-explicit-any -- as above
export function pointerTo(layout: Layout<any> | (() => any)): PointerField {
  return Object.freeze({ pointer: layout });
}

/** How far the offsets of loads and stores reach. */
const SIZE_MAX = 2 ** 31 - 1;

class StructLayout<Fields extends LayoutFields> implements Layout<Fields> {
  readonly size: number;
  readonly alignment: number;
  readonly fields: Fields;
  readonly #shape: Shape;
  readonly #word: "struct" | "union";

  constructor(fields: Fields, options: LayoutOptions, isUnion: boolean) {
    this.#word = isUnion ? "union" : "struct";
    const what = `Cannot make ${this.#word}`;
    if (typeof fields !== "object" || fields === null || Symbol.iterator in fields) {
      throw new TypeError(
        `${what}: its fields must be an object such as { name: type }: got ${describe(fields)}`,
      );
    }
    const entries = Object.entries(fields);
    if (entries.length === 0) throw new TypeError(`${what}: it must have a field`);
    const parts = entries.map(([name, definition]) => partOf(name, definition, what));
    const { pack, alignment } = optionsOf(options, what);
    const shape = arrange(parts, { isUnion, pack: pack ?? Infinity, alignment: alignment ?? 1 });
    if (shape.size > SIZE_MAX) {
      throw new RangeError(`${what}: it must have less than 2^31 bytes: got ${shape.size}`);
    }
    this.#shape = shape;
    this.size = shape.size;
    this.alignment = shape.alignment;
    this.fields = Object.freeze(Object.fromEntries(entries)) as Fields;
    makeStructType(this, shape);
    Object.freeze(this);
  }

  offsetOf(name: string): number {
    return fieldNamed(this.#shape, name, `Cannot find ${this.#word}'s field`).offset;
  }

  read(memory: LayoutMemory): LayoutObject<Layout<Fields>> {
    const place = placeIn(memory, this.#shape, `Cannot read ${this.#word}`);
    const { data, at } = load(place, 0, this.size);
    return readShape(data, at, this.#shape) as LayoutObject<Layout<Fields>>;
  }

  write(memory: LayoutMemory, values: LayoutValues<Layout<Fields>>): void {
    const what = `Cannot write ${this.#word}`;
    const place = placeIn(memory, this.#shape, what);
    store(place, fieldsIn(this.#shape, values, `${what}: the value`), what);
  }

  view(memory: LayoutMemory): LayoutView<Layout<Fields>> {
    const place = placeIn(memory, this.#shape, `Cannot view ${this.#word}`);
    return viewOf(this.#shape, place) as LayoutView<Layout<Fields>>;
  }
}

function optionsOf(options: LayoutOptions, what: string): LayoutOptions {
  if (typeof options !== "object" || options === null) {
    throw new TypeError(
      `${what}: options must be an object such as { pack }: got ${describe(options)}`,
    );
  }
  checkKeys(options, ["pack", "alignment"], what);
  const { pack, alignment } = own(options);
  for (const [name, value] of Object.entries({ pack, alignment })) {
    if (value === undefined || isPowerOfTwo(value)) continue;
    throw new RangeError(`${what}: ${name} must be a power of two: got ${describe(value)}`);
  }
  return { pack, alignment };
}

function partOf(name: string, definition: FieldDefinition, what: string): Part {
  const first = name.charAt(0);
  if (first === "" || first >= "0" && first <= "9") {
    throw new TypeError(
      `${what}: a field must have a name of C's, which begins with no digit: got ${describe(name)}`,
    );
  }
  const field = `${what}: field ${name}`;
  if (!Array.isArray(definition)) return { name, ...elementOf(definition, field) };
  const [element, count] = definition;
  if (definition.length !== 2 || !Number.isSafeInteger(count) || count < 1) {
    throw new TypeError(
      `${field} must be [type, count], with an integer from 1 on: got ${
        describe(definition.length === 2 ? count : definition)
      }`,
    );
  }
  return { name, ...elementOf(element, `${field}: the element`), count };
}

function elementOf(definition: unknown, what: string): Pick<Part, "of" | "to"> {
  const of = typeNamed(definition) ?? shapeOf(definition, what);
  if (of !== undefined) return { of };
  const isObject = typeof definition === "object" && definition !== null;
  if (!isObject || !Object.hasOwn(definition, "pointer")) return refuseType(definition, what);
  const { pointer } = definition as PointerField;
  if (typeof pointer !== "function") checkLayout(pointer, what);
  return { of: typeOf("pointer"), to: targetOf(pointer, what) };
}

/** Checks that a pointer leads to a layout; returns what that lays out. */
function checkLayout(layout: unknown, what: string): Shape {
  const shape = shapeOf(layout, what);
  if (shape !== undefined && hasNames(shape)) return shape;
  throw new TypeError(
    `${what} must be a pointer to a layout, or to what a function gives: got ${describe(layout)}`,
  );
}

function targetOf(pointer: unknown, what: string): Target {
  let known: Shape | undefined;
  const shape = (): Shape => {
    return known ??= checkLayout(typeof pointer === "function" ? pointer() : pointer, what);
  };
  return {
    follow: (address, view, offset) => viewBehind(shape(), address, view, offset),
    pointerOf(value, what) {
      const view = viewed(value);
      if (view === undefined) return value;
      const memory = memoryOf(view);
      const length = memory === undefined ? Infinity : memory.bytes.length - memory.start;
      const { size } = shape();
      if (length >= size) return view.pointer;
      throw new RangeError(
        `${what} must lead to the ${size} bytes of a struct: the memory there has ${length}`,
      );
    },
  };
}
