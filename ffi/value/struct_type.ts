// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Structs and unions as they are written in a table, and their values in bytes.
 *
 *     { struct: ["i32", "f64"] }          the form of Deno.dlopen: a value is bytes
 *     struct({ id: "i32", x: "f64" })     a layout: a value is an object, { id: 1, x: 0.5 }
 *
 * What is known of each is its `Shape`. Layouts are made in struct.ts, above here, which makes them
 * known.
 */

import { bytesOf } from "../buffer.ts";
import { describe, isExhaustion, keepWhole, own } from "../check.ts";
import { native } from "../library/find.ts";
import { arrange, type Field, isShape, type Part, type Shape } from "./shape.ts";
import { meantBy, type Type, typeOf, VALUE_TYPES } from "./type.ts";
import { type Keeper, read, write } from "./value.ts";

/** Under which an object that is laid over memory says where it lies: as a `PointerView`. */
export const VIEWED: unique symbol = Symbol("viewed");

/** Under which such an object has the shape of what it is laid over, whose fields it has. */
export const SHAPE: unique symbol = Symbol("shape");

/** An object that is laid over memory. */
interface Laid {
  readonly [SHAPE]: Shape;
  readonly [VIEWED]: { getBytes(offset: number, length: number): Uint8Array<ArrayBuffer> };
}

function isLaid(value: object): value is Laid {
  return SHAPE in value;
}

/** The shapes of layouts; undefined until there is one. */
let shapes: WeakMap<object, Shape> | undefined;

/** Makes `layout` known as one that has this shape. */
export function makeStructType(layout: object, shape: Shape): void {
  (shapes ??= new WeakMap()).set(layout, shape);
  keepWhole(layout);
}

/**
 * The shape of a layout, or of `{ struct: […] }`; undefined for what is neither.
 *
 * @throws {TypeError} If what stands in a `{ struct: […] }` is no type. `what` begins with
 * "Cannot", and names the place: "Cannot open symbol f: parameter 0".
 */
export function shapeOf(definition: unknown, what: string): Shape | undefined {
  return shapeIn(definition, what, []);
}

function shapeIn(definition: unknown, what: string, above: readonly object[]): Shape | undefined {
  if (typeof definition !== "object" || definition === null) return undefined;
  const known = shapes?.get(definition);
  if (known !== undefined || !Object.hasOwn(definition, "struct")) return known;
  const { struct: types } = definition as { readonly struct: unknown };
  if (!Array.isArray(types) || types.length === 0) {
    throw new TypeError(
      `${what}: struct must be an array of at least one type: got ${describe(types)}`,
    );
  }
  if (above.includes(definition)) throw new TypeError(`${what} ${CONTAINS_ITSELF}`);
  return arrange(types.map((type, i): Part => {
    const field = `${what}: field ${i}`;
    return {
      of: typeNamed(type) ?? shapeIn(type, field, [...above, definition]) ??
        refuseType(type, field),
    };
  }));
}

const CONTAINS_ITSELF =
  "contains itself, which takes endless memory; pointerTo(() => layout) is a pointer to it";

/** The type that a name stands for; undefined for what is none, and for "void". */
export function typeNamed(name: unknown): Type | undefined {
  return typeof name === "string" && VALUE_TYPES.has(name) ? typeOf(name) : undefined;
}

/** Refuses what stands in place of a type. */
export function refuseType(type: unknown, what: string): never {
  if (typeof type === "function") {
    throw new TypeError(`${what} is a function, or ${CONTAINS_ITSELF}`);
  }
  throw new TypeError(
    `${what} has the type ${describe(type)}: it must be one of ${[...VALUE_TYPES].join(", ")}, a ` +
      `layout, pointerTo(layout) or [type, count]${hintFor(type)}`,
  );
}

/** What to write instead, for what C has and a layout has not. */
function hintFor(type: unknown): string {
  if (Array.isArray(type)) {
    return "; an array of arrays is written as one, with all elements: [type, rows * columns]";
  }
  if (typeof type === "object" && type !== null) {
    return Object.hasOwn(type, "bits")
      ? `; ${BIT_FIELD}`
      : "; a struct within is written struct({ name: type, … })";
  }
  if (typeof type !== "string") return "";
  if (/:\s*\d+$/.test(type)) return `; ${BIT_FIELD}`;
  if (/long double|_?complex|float128|f128|__m\d+|vector|int128|[iu]128/i.test(type)) {
    return "; long double, _Complex, vectors and integers of 128 bits have no type here: take " +
      'their bytes, as struct({ bytes: ["u8", 16] }, { alignment: 16 })';
  }
  const meant = meantBy(type);
  return meant === undefined ? "" : `; it may be ${describe(meant)}`;
}

const BIT_FIELD = "bit-fields have no type here, since each compiler lays them out by rules of " +
  "its own: take the integer that they are in, and shift";

/** What keeps what C gets the address of; in memory that stays, at the field where it is. */
export interface StructKeeper extends Keeper {
  /** Says what has been written to this position of the memory, so that it can be held. */
  keepAt?(position: number, value: unknown): void;
}

/** Whether the parts of a shape lie in each other's place. */
export function isUnion({ fields }: Shape): boolean {
  return fields.length > 1 && fields[1]!.offset === 0;
}

/** Whether it is a layout: an object stands for its value, and for others bytes do. */
export function hasNames({ fields }: Shape): boolean {
  return fields[0]!.name !== undefined;
}

/**
 * The value of a struct that lies at `offset`: an object with its names, or a copy of the bytes for
 * one without names. What a union is, C alone knows: so its members are read when they are asked
 * for.
 */
export function readShape(view: DataView<ArrayBuffer>, offset: number, shape: Shape): unknown {
  const { size, fields } = shape;
  if (!hasNames(shape)) {
    return new Uint8Array(view.buffer, view.byteOffset + offset, size).slice();
  }
  if (isUnion(shape)) return readUnion(view, offset, shape);
  const value: Record<string, unknown> = {};
  for (const field of fields) {
    const name = field.name!;
    const part = readField(view, offset + field.offset, field);
    // To assign is faster, and no setter is asked: the object inherits nothing of this name.
    if (!(name in value)) value[name] = part;
    else Object.defineProperty(value, name, dataProperty(part));
  }
  return value;
}

function dataProperty(value: unknown): PropertyDescriptor {
  return own({ value, writable: true, enumerable: true, configurable: true });
}

/** The bytes of the unions that have been read; undefined until there is one. */
let unions:
  | WeakMap<object, { readonly shape: Shape; readonly bytes: Uint8Array; readonly from: unknown }>
  | undefined;

/** Whether there is a pointer among the parts. */
function leads({ fields }: Shape): boolean {
  return fields.some(({ of }) => isShape(of) ? leads(of) : of.kind === "address");
}

function readUnion(view: DataView<ArrayBuffer>, offset: number, shape: Shape): unknown {
  const { size, fields } = shape;
  const bytes = new Uint8Array(view.buffer, view.byteOffset + offset, size).slice();
  const copy = new DataView(bytes.buffer);
  const value = {};
  // What a pointer among the bytes leads to may be held by the memory that it was read from.
  (unions ??= new WeakMap()).set(value, { shape, bytes, from: leads(shape) ? view.buffer : null });
  for (const field of fields) {
    const get = (): unknown => readField(copy, 0, field);
    Object.defineProperty(value, field.name!, { __proto__: null, enumerable: true, get } as object);
  }
  return value;
}

/** The value of a field that lies at `offset`: an array if it is one. */
function readField(view: DataView<ArrayBuffer>, offset: number, field: Field): unknown {
  const { of, count } = field;
  if (count === undefined) return readPart(view, offset, field);
  const elements: unknown[] = new Array(count).fill(undefined);
  for (let i = 0; i < count; i++) elements[i] = readPart(view, offset + i * of.size, field);
  return elements;
}

/** The value of a field that is no array, or of one element. */
export function readPart(view: DataView<ArrayBuffer>, offset: number, { of, to }: Field): unknown {
  if (isShape(of)) return readShape(view, offset, of);
  const value = readValue(view, offset, of);
  if (to === undefined || value === null) return value;
  return to.follow(value as Deno.PointerObject, view, offset);
}

/** Where a value stands alone for a moment: `read` and `write` touch 32 bits at least. */
export const slot: DataView<ArrayBuffer> = new DataView(new ArrayBuffer(8));

function readValue(view: DataView, offset: number, type: Type): unknown {
  if (type.size > 2) return read(view, offset, type);
  slot.setInt32(0, type.size === 1 ? view.getUint8(offset) : view.getUint16(offset, true), true);
  return read(slot, 0, type);
}

/**
 * Writes the value of a struct to `offset`. Of an object those fields are written that it has; the
 * others stay as they are. `what` begins with "Cannot", and ends with what the value is: "Cannot
 * call f: argument 0".
 */
export function writeShape(
  view: DataView<ArrayBuffer>,
  offset: number,
  shape: Shape,
  value: unknown,
  what: string,
  keeper?: StructKeeper,
): void {
  if (!hasNames(shape)) {
    const bytes = bytesOfUnion(value);
    writeBytes(view, offset, shape, bytes ?? value, what);
    if (bytes !== undefined && leads(shape)) keeper?.keepAt?.(view.byteOffset + offset, value);
    return;
  }
  const given = fieldsIn(shape, value, what);
  for (let i = 0; i < given.length; i++) {
    const [field, part] = given[i]!;
    writeField(view, offset + field.offset, field, part, `${what}: field ${field.name}`, keeper);
  }
}

/** The fields that an object has values for. */
export function fieldsIn(
  shape: Shape,
  value: unknown,
  what: string,
): (readonly [field: Field, value: unknown])[] {
  if (typeof value !== "object" || value === null || Symbol.iterator in value) {
    throw new TypeError(
      `${what} must be an object such as { ${shape.fields[0]!.name} }: got ${describe(value)}`,
    );
  }
  if (isUnion(shape) && shapeOfUnion(value) === shape) return [[wholeOf(shape), value]];
  let names: readonly string[] = Object.keys(value);
  if (names.length === 0) names = namesBehind(value, shape, what);
  const given: (readonly [field: Field, value: unknown])[] = [];
  for (let i = 0; i < names.length; i++) {
    const name = names[i]!;
    // Mostly they come in the order of the struct.
    const next = shape.fields[i];
    const field = next?.name === name ? next : fieldNamed(shape, name, what);
    given.push([field, (value as Record<string, unknown>)[name]]);
  }
  if (isUnion(shape) && given.length !== 1) {
    throw new TypeError(
      `${what} must have one member of the union, of ${namesOf(shape)}: got ${given.length}`,
    );
  }
  return given;
}

/**
 * The fields of an object that has none of its own. A view has those of its layout: they are
 * accessors of its prototype.
 *
 * @throws {TypeError} If it is no object that is written down, of which `{}` is one.
 */
function namesBehind(value: object, shape: Shape, what: string): string[] {
  if (isLaid(value)) return value[SHAPE].fields.map(({ name }) => name!);
  const prototype = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === null && !isPointer(value)) return [];
  throw new TypeError(
    `${what} must have properties of its own, of ${namesOf(shape)}: got ${describe(value)}`,
  );
}

/** Whether it is a pointer of Deno's, which inherits nothing. */
export function isPointer(value: unknown): value is Deno.PointerObject {
  if (typeof value !== "object" || value === null) return false;
  if (Object.getPrototypeOf(value) !== null) return false;
  try {
    native().addressOfPointer(value as Deno.PointerObject);
    return true;
  } catch (error) {
    if (isExhaustion(error)) throw error;
    return false;
  }
}

/** Of which union an object is a view, or has been read; undefined for others. */
function shapeOfUnion(value: object): Shape | undefined {
  return isLaid(value) ? value[SHAPE] : unions?.get(value)?.shape;
}

/** Its bytes: which member is there, C alone knows, so all are copied. */
function bytesOfUnion(value: unknown): Uint8Array | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  return isLaid(value) ? value[VIEWED].getBytes(0, value[SHAPE].size) : unions?.get(value)?.bytes;
}

/** All of a union, as a field whose value is bytes. */
function wholeOf({ size, alignment, fields }: Shape): Field {
  const parts = fields.map(({ of }) => ({ offset: 0, of }));
  return { offset: 0, of: { size, alignment, fields: parts } };
}

/**
 * The field of this name.
 *
 * @throws {TypeError} If there is none.
 */
export function fieldNamed(shape: Shape, name: unknown, what: string): Field {
  const field = shape.fields.find((field) => field.name === name);
  if (field !== undefined) return field;
  throw new TypeError(
    `${what}: there is no field ${describe(name)}; the fields are ${namesOf(shape)}`,
  );
}

function namesOf({ fields }: Shape): string {
  return fields.map(({ name }) => name).join(", ");
}

function writeBytes(
  view: DataView<ArrayBuffer>,
  offset: number,
  { size }: Shape,
  value: unknown,
  what: string,
): void {
  const bytes = bytesOf(value, what);
  if (bytes === null || bytes.length < size) {
    throw new RangeError(
      `${what} must have the ${size} bytes of the struct: got ${bytes?.length ?? "null"}`,
    );
  }
  new Uint8Array(view.buffer, view.byteOffset + offset, size).set(bytes.subarray(0, size));
}

/** Writes the value of a field to `offset`. Of an array as many elements as there are values. */
export function writeField(
  view: DataView<ArrayBuffer>,
  offset: number,
  field: Field,
  value: unknown,
  what: string,
  keeper?: StructKeeper,
): void {
  const { of, count } = field;
  if (count === undefined) return writePart(view, offset, field, value, what, keeper);
  const elements = elementsOf(value, count, what);
  for (const [i, element] of elements.entries()) {
    writePart(view, offset + i * of.size, field, element, `${what}: element ${i}`, keeper);
  }
}

function elementsOf(value: unknown, count: number, what: string): unknown[] {
  const elements = typeof value === "object" && value !== null
    ? listOf(value, count + 1, what)
    : undefined;
  if (elements === undefined) {
    throw new TypeError(`${what} must be an array of ${count} elements: got ${describe(value)}`);
  }
  if (elements.length <= count) return elements;
  const { length } = value as ArrayLike<unknown>;
  throw new RangeError(
    `${what} has ${count} elements: got ${typeof length === "number" ? length : "more"}`,
  );
}

/** The first elements of a list, `most` of them: what can be iterated may have no end. */
function listOf(value: object, most: number, what: string): unknown[] {
  try {
    const list = value as Iterable<unknown> & ArrayLike<unknown>;
    if (list[Symbol.iterator] === undefined) {
      return Array.from({ length: Math.min(list.length, most) }, (_, i) => list[i]);
    }
    const elements: unknown[] = [];
    for (const element of list) {
      elements.push(element);
      if (elements.length === most) break;
    }
    return elements;
  } catch (error) {
    if (isExhaustion(error)) throw error;
    throw new TypeError(`${what} cannot be iterated: got ${describe(value)}`, { cause: error });
  }
}

/** Writes the value of a field that is no array, or of one element. */
function writePart(
  view: DataView<ArrayBuffer>,
  offset: number,
  { of, to }: Field,
  value: unknown,
  what: string,
  keeper?: StructKeeper,
): void {
  if (isShape(of)) return writeShape(view, offset, of, value, what, keeper);
  const given = to === undefined ? value : to.pointerOf(value, what);
  if (of.size > 2) {
    write(view, offset, of, given, what, keeper);
    if (of.kind === "address") keeper?.keepAt?.(view.byteOffset + offset, value);
    return;
  }
  write(slot, 0, of, given, what);
  if (of.size === 1) view.setUint8(offset, slot.getUint8(0));
  else view.setUint16(offset, slot.getUint16(0, true), true);
}
