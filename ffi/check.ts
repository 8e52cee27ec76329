// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** What every check of a caller's argument needs: values in messages, keys, copies. */

/**
 * A value as it can stand in a message, such as `"text"`, `7n`, `a function f` or `an object of
 * class Map`. It always gives one: getters and proxies that throw count as what has no name.
 */
export function describe(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(cut(value));
  if (typeof value === "bigint") {
    return BigInt.asIntN(128, value) === value ? `${value}n` : "a bigint of more than 128 bits";
  }
  if (typeof value === "function") return named("a function", "function", () => value.name);
  if (typeof value === "object" && value !== null) {
    return named("an object", "an object of class", () => value.constructor?.name);
  }
  return String(value);
}

/**
 * What `hintFor` says of a value, to be added to a message: empty where the value, which may be a
 * proxy, throws when it is looked at.
 */
export function hint(hintFor: (value: unknown) => string, value: unknown): string {
  try {
    return hintFor(value);
  } catch {
    return "";
  }
}

function named(otherwise: string, what: string, nameOf: () => unknown): string {
  try {
    const name = nameOf();
    return typeof name === "string" && name !== "" ? `${what} ${cut(name)}` : otherwise;
  } catch {
    return otherwise;
  }
}

function cut(text: string): string {
  return text.length > 100 ? `${text.slice(0, 100)}…` : text;
}

/** What to do instead, for keys that are meant well. */
const HINTS: Readonly<Record<string, string>> = {
  stop: "; it belongs to a callback, beside its parameters and result",
};

/** Checks that an object has no keys but those that are known. */
export function checkKeys(definition: object, known: readonly string[], what: string): void {
  for (const key of Object.keys(definition)) {
    if (known.includes(key)) continue;
    throw new TypeError(
      `${what}: the key ${describe(key)} is not understood` +
        `${Object.hasOwn(HINTS, key) ? HINTS[key] : `; keys here are ${known.join(", ")}`}`,
    );
  }
}

/**
 * A frozen copy of a definition. The arguments that C passes are read by it for as long as C has
 * the callback, and a program may change its own object meanwhile. `what` begins with "Cannot".
 */
export function copyOf<T>(definition: T, what: string): T {
  try {
    return copy(definition, []) as T;
  } catch (error) {
    if (isExhaustion(error)) throw error;
    throw new TypeError(`${what}: its definition must be plain data`, { cause: error });
  }
}

/** Objects that stand in definitions as they are, since nobody can change them. */
let whole: WeakSet<object> | undefined;

/** Has `copyOf` leave an object as it is. */
export function keepWhole(object: object): void {
  (whole ??= new WeakSet()).add(object);
}

/** Copies a value that is part of the values `above`. */
function copy(value: unknown, above: readonly unknown[]): unknown {
  // `structuredClone` refuses what is no data, such as a function.
  if (typeof value !== "object" || value === null) return structuredClone(value);
  if (isPointer(value) || whole?.has(value)) return value;
  // What C is to be told as a struct may be bytes.
  if (ArrayBuffer.isView(value)) return structuredClone(value);
  if (above.includes(value)) throw new TypeError("It contains itself");
  const copied: object = Array.isArray(value) ? new Array(value.length) : {};
  for (const [key, part] of Object.entries(value)) {
    // The one function that a definition may have: it is asked what C is to be told.
    const isStop = key === "stop" && typeof part === "function";
    const copiedPart = isStop ? part : copy(part, [...above, value]);
    // Defined, not set: `Object.prototype` may have a setter of the same name, which would run.
    Object.defineProperty(copied, key, own({ value: copiedPart, enumerable: true }));
  }
  return Object.freeze(copied);
}

/** Whether this looks like a pointer, which cannot be copied: it has, and inherits, nothing. */
function isPointer(value: object): boolean {
  return Object.getPrototypeOf(value) === null && Reflect.ownKeys(value).length === 0;
}

/**
 * The own properties of an object that a caller has written down, without a prototype. So a program
 * that has put `stop` or `name` into `Object.prototype` has not put it into each definition.
 */
export function own<T extends object>(object: T): T {
  return Object.assign(Object.create(null), object);
}

/** Whether a value can be an alignment. */
export function isPowerOfTwo(value: unknown): value is number {
  return typeof value === "number" && value >= 1 && Number.isInteger(Math.log2(value));
}

const nothing = (): void => {};

/** An amount of V8's stack, in KiB. */
type Amount = 8 | 32 | 128;

/** Arguments that take so much of V8's stack, in optimised code as in code that is interpreted. */
const ARGUMENTS = new Map<Amount, unknown[]>();
const WORDS_OF_KIB = 1024 / 8;

/**
 * Throws V8's RangeError at once where less than so many KiB of its stack are left. So an operation
 * of many steps fails before the first step, and not between two:
 *
 *     needStack(8);  // throws here, where nothing has been done yet,
 *     first();       // or has left enough for
 *     second();      // all that follows
 *
 * How: it passes as many arguments to a function that does nothing, and V8 looks for room for them
 * before it calls.
 *
 * 8 KiB are enough for anything of fringe's that has run before. 128 KiB are for what has not: V8
 * compiles no function where less than 40 KiB are left (measured: 41,000 bytes), and a module of
 * Deno's own that fails half-way as it is first loaded stays broken.
 */
export function needStack(kib: Amount): void {
  let words = ARGUMENTS.get(kib);
  if (words === undefined) ARGUMENTS.set(kib, words = new Array(kib * WORDS_OF_KIB).fill(0));
  nothing.apply(undefined, words as []);
}

/** The message of V8's RangeError when its stack is used up. */
export const EXHAUSTED = "Maximum call stack size exceeded";

/** Whether an error is V8's own for a stack that is used up. */
export function isExhaustion(error: unknown): boolean {
  return error instanceof RangeError && error.message === EXHAUSTED;
}

/** Whether so many KiB of V8's stack are left. */
export function hasStack(kib: Amount): boolean {
  try {
    needStack(kib);
    return true;
  } catch {
    return false;
  }
}
