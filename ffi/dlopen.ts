// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Users' libraries: generator bodies, and C functions whose callbacks suspend. `dlopen` checks the
 * table, opens the library, and makes an object for each symbol:
 *
 *     { input, output }       -> a `NativeBody` (context/body.ts), for `new Generator()`
 *     { parameters, result }  -> a function: f() (call/sync.ts), f.async(), f.calls()
 */

import { callAsync } from "./call/async.ts";
import { type CallbackParameter, type Callee, makeFunction, type Slot } from "./call/callee.ts";
import type {
  BodyDefinition,
  CallbackDefinition,
  FunctionDefinition,
  LiteralDefinitions,
  SymbolDefinitions,
  VariableDefinition,
} from "./call/definition.ts";
import { PulledBody } from "./call/pulled.ts";
import {
  callbackSignature,
  checkParameters,
  checkType,
  FUNCTION,
  refusePromoted,
  signatureOf,
} from "./call/signature.ts";
import { callSync, endGone } from "./call/sync.ts";
import { putThunk, takeThunk, type Target, type Thunk } from "./call/thunk.ts";
import { turnOf } from "./call/turn.ts";
import { checkKeys, copyOf, describe, needStack, own } from "./check.ts";
import { makeBody } from "./context/body.ts";
import { endAll, isElsewhere, type Library } from "./context/occupancy.ts";
import { pulledGenerator } from "./generator.ts";
import { native } from "./library/find.ts";
import { SLOT_SIZE, STACK_SIZE_MIN } from "./layout.ts";
import { overflowOf } from "./stack/overflow.ts";
import { checkSize } from "./stack/stack.ts";
import type { SymbolOf } from "./types.ts";
import { readShape, shapeOf } from "./value/struct_type.ts";
import { SCALAR_TYPES, typeOf, VALUE_TYPES } from "./value/type.ts";
import { read } from "./value/value.ts";

/**
 * A library that `dlopen` has opened.
 *
 * @example
 * ```ts
 * import { dlopen, type NativeLibrary } from "fringe";
 *
 * const definitions = { labs: { parameters: ["i64"], result: "i64" } } as const;
 *
 * class Distances implements Disposable {
 *   readonly #libc: NativeLibrary<typeof definitions> = dlopen("libc.so.6", definitions);
 *
 *   between(a: bigint, b: bigint): bigint {
 *     return this.#libc.symbols.labs(a - b);
 *   }
 *
 *   [Symbol.dispose](): void {
 *     this.#libc.close();
 *   }
 * }
 *
 * using distances = new Distances();
 * console.log(distances.between(2n, 5n)); // 3n
 * ```
 */
export interface NativeLibrary<Definitions extends SymbolDefinitions> extends Disposable {
  /** By the names of the table: bodies, functions, variables; null where optional and absent. */
  readonly symbols: { readonly [Name in keyof Definitions]: SymbolOf<Definitions[Name]> };
  /**
   * Closes the library. Generators and calls that are suspended in it are ended first: their frames
   * are unwound. Closing twice does nothing.
   *
   * @throws {Error} If a function of the library is running on another thread.
   */
  close(): void;
}

/**
 * Opens a native library, as `Deno.dlopen` does, for generator bodies and for functions with
 * callbacks.
 *
 * - `{ input, output }` is a generator body, to be passed to `new Generator()`.
 * - `{ parameters, result }` is any C function. It runs on a stack of its own, where a callback
 *   (`{ callback: { parameters, result, stop? } }`) suspends it.
 * - `{ type }` is a variable: its value as the library is opened, or where it is.
 *
 * @param filename A path, a name that the system's loader knows, or a file URL.
 * @param definitions What the symbols are. A wrong description is undefined behaviour, as in C. A
 * table that is a variable of its own needs `as const`: TypeScript forgets its strings otherwise.
 * @returns The symbols, and `close`.
 * @throws {TypeError} If a definition is not understood.
 * @throws {RangeError} If a `stackSize` is out of range.
 * @throws {Error} If the library cannot be opened, or lacks a symbol that is not optional.
 * @throws {Deno.errors.NotCapable} If `--allow-ffi` does not cover the library.
 *
 * @example
 * ```ts
 * import { dlopen } from "fringe";
 *
 * using libc = dlopen("libc.so.6", {
 *   qsort: {
 *     parameters: [
 *       "buffer",
 *       "usize",
 *       "usize",
 *       { callback: { parameters: ["usize", "usize"], result: "i32" } },
 *     ],
 *     result: "void",
 *   },
 * });
 * const bytes = Uint8Array.of(3, 1, 2);
 * let comparisons = 0;
 * await libc.symbols.qsort.async(bytes, 3, 1, async () => {
 *   await new Promise((resolve) => setTimeout(resolve));
 *   return comparisons++ < 0 ? 1 : -1;
 * });
 * console.log(comparisons > 1); // true
 * ```
 */
export function dlopen<const Definitions extends LiteralDefinitions & SymbolDefinitions>(
  filename: string | URL,
  definitions: Definitions,
): NativeLibrary<Definitions> {
  checkFilename(filename);
  // A copy, which is checked and then used: the caller may change the table, and a getter in it may
  // give something else each time.
  const known = copy(definitions);
  const names = Object.keys(known);
  for (const name of names) checkDefinition(name, known[name]);

  // Without a prototype, since to set a symbol of the name `__proto__` would set that.
  const table: Record<string, { name: string; type: "pointer"; optional: boolean }> = Object
    .create(null);
  for (const name of names) {
    const { name: symbol = name, optional = false } = known[name]!;
    table[name] = own({ name: symbol, type: "pointer" as const, optional });
  }
  // Opens fringe's own library first: one of the user's may be linked with it, and finds it loaded.
  native();
  needStack(8);
  const opened = open(filename, table);
  // The library, or the one before, may have put a handler of faults on top of fringe's.
  native().installOverflow();
  const library: Library = { filename: String(filename), closed: false, latest: undefined };

  const symbols: Record<string, unknown> = Object.create(null);
  const thunks: Thunk[] = [];
  for (const name of names) {
    const pointer = opened.symbols[name] as Deno.PointerValue;
    const definition = known[name]!;
    symbols[name] = pointer === null
      ? null
      : "type" in definition
      ? variable(definition.type, pointer)
      : symbol(name, definition, pointer, library, thunks);
  }
  const close = (): void => closeLibrary(library, thunks, opened);
  return Object.freeze({
    symbols: Object.freeze(symbols) as NativeLibrary<Definitions>["symbols"],
    close,
    [Symbol.dispose]: close,
  });
}

/**
 * Closes a library. Its frames are ended first; where one cannot be ended this throws, the library
 * stays open, and can be closed again. Only `opened.close()` takes the code away, and by then no
 * frame is left.
 */
function closeLibrary(library: Library, thunks: Thunk[], opened: { close(): void }): void {
  if (library.closed) return;
  const name = describe(library.filename);
  if (isElsewhere(library)) {
    throw new Error(
      `Cannot close ${name}: a nonblocking function of it is running on another thread; await ` +
        "its Promise first",
    );
  }
  needStack(8);
  endGone();
  const thrown = endAll(library, `${name} has been closed, which ended it; close it later`);
  // Whoever was told of something that was thrown may have closed it meanwhile.
  if (!library.closed) {
    for (const thunk of thunks) putThunk(thunk);
    opened.close();
    library.closed = true;
  }
  if (thrown.length > 0) throw thrown[0];
}

/** What a variable has now; of one that is an address, or not known further, where it is. */
function variable(of: VariableDefinition["type"], pointer: Deno.PointerObject): unknown {
  const shape = shapeOf(of, "");
  if (shape !== undefined) {
    const bytes = new DataView(new ArrayBuffer(shape.size));
    native().copyIn(bytes, native().addressOfPointer(pointer), BigInt(shape.size));
    return readShape(bytes, 0, shape);
  }
  const type = typeOf(of as string);
  if (type.kind === "address") return pointer;
  const slot = new DataView(new ArrayBuffer(SLOT_SIZE));
  native().copyIn(slot, native().addressOfPointer(pointer), BigInt(type.size));
  return read(slot, 0, type);
}

/** What `dlopen` gives for a symbol; the thunks that it will need are put into `thunks`. */
export function symbol(
  name: string,
  definition: BodyDefinition | FunctionDefinition,
  pointer: Deno.PointerObject,
  library: Library,
  thunks: Thunk[],
): unknown {
  const subject = { name, library, exceptionState: once(() => native().exceptionState(pointer)) };
  if ("input" in definition) {
    return makeBody(definition.input, definition.output, pointer, subject);
  }
  const slots: Slot[] = [];
  const types = definition.parameters.map((type) => isCallback(type) ? "callback" : type);
  const callee: Callee = {
    ...signatureOf(types, definition.result, FUNCTION, definition.variadic),
    ...subject,
    what: `Cannot call ${name}`,
    address: once(() => {
      if (definition.nonblocking) {
        // Its code has to stay: when this Worker is terminated its libraries are closed, and
        // another thread may still run the function.
        native().pin(pointer);
        native().pin(native().callBody);
      }
      return native().addressOfPointer(pointer);
    }),
    slots,
    plainCount: types.filter((type) => type !== "callback").length,
    nonblocking: definition.nonblocking !== undefined && definition.nonblocking !== false,
    hasThread: definition.nonblocking === "thread",
    errno: definition.errno === true,
    turn: definition.exclusive === true ? turnOf(pointer) : undefined,
    overflow: definition.overflow ?? "report",
    stackSize: definition.stackSize,
  };
  for (const [i, parameter] of definition.parameters.entries()) {
    slots.push({
      type: callee.types[i]!,
      offset: callee.offsets[i]!,
      what: `Cannot call ${name}: argument ${i}`,
      callback: isCallback(parameter)
        ? callbackParameter(callee, i, parameter.callback, thunks)
        : undefined,
    });
  }
  const f = callee.nonblocking
    ? (...args: unknown[]): unknown => callAsync(callee, args)
    : (...args: unknown[]): unknown => callSync(callee, args);
  Object.defineProperty(f, "name", own({ value: name }));
  return makeFunction(
    Object.assign(f, {
      async: (...args: unknown[]): Promise<unknown> => callAsync(callee, args),
      calls: (...args: unknown[]): unknown => pulledGenerator(new PulledBody(callee, args)),
    }),
    callee,
  );
}

/** The callback at place `i` of a function's parameters; its thunk is put into `thunks`. */
function callbackParameter(
  callee: Callee,
  i: number,
  callback: CallbackDefinition,
  thunks: Thunk[],
): CallbackParameter {
  const { name } = callee;
  const target: Target = {
    ...callbackSignature(callback, `Cannot open symbol ${name}: parameter ${i}`),
    callee,
    parameter: i,
    handler: undefined,
    isForeign: false,
    what: `Cannot answer ${name}: the result of callback parameter ${i}`,
    closed: false,
  };
  const thunk = once(() => {
    const taken = takeThunk(target);
    thunks.push(taken);
    return taken;
  });
  return { target, thunk };
}

/** Opens the library. What Deno says of one that it cannot open gets a hint what to do. */
function open<Table extends Deno.ForeignLibraryInterface>(
  filename: string | URL,
  table: Table,
): Deno.DynamicLibrary<Table> {
  try {
    return Deno.dlopen(filename, table);
  } catch (error) {
    if (!(error instanceof Error) || error.constructor !== Error) throw error;
    throw new Error(`${error.message}; ${hintFor(error.message, filename)}`, { cause: error });
  }
}

function hintFor(message: string, filename: string | URL): string {
  if (message.startsWith("Failed to register symbol")) {
    return "`nm -D` lists what a library has; a function is there under its own name if it has " +
      'the linkage of C (extern "C" in C++ and Rust, export in Zig); where the key in the table ' +
      "is another, `name` says it";
  }
  if (typeof filename === "string" && /^file:/i.test(filename)) {
    return "a string is a path, and this is an address: pass new URL(…)";
  }
  if (typeof filename === "string" && /^https?:/i.test(filename)) {
    return "a string is a path, and this is an address of the Web: download the library first";
  }
  if (message.includes("No such file")) {
    return "a path is relative to the working directory, or absolute; a name without a slash is " +
      "looked for where the system has its libraries, and needs its version (libsqlite3.so.0)";
  }
  return "it must be a shared library for this system, and so must those that it needs (`ldd`)";
}

function checkFilename(filename: unknown): void {
  if (typeof filename !== "string" && !(filename instanceof URL)) {
    throw new TypeError(
      `Cannot open library: filename must be a string or a file URL: got ${describe(filename)}`,
    );
  }
  if (filename instanceof URL && filename.protocol !== "file:") {
    throw new TypeError(
      `Cannot open library: filename must be a string or a file URL: got ${
        describe(filename.href)
      }; a library is opened from a file, so download it first`,
    );
  }
  // The system would open the file whose name stands before U+0000: another one than was asked for.
  if (typeof filename === "string" && filename.includes("\0")) {
    throw new TypeError(
      `Cannot open library: filename must not contain the character U+0000: got ${
        describe(filename)
      }`,
    );
  }
}

/** A function that calls `make` when it is first called, and gives the same value from then on. */
function once<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => made === undefined ? made = make() : made;
}

/** A copy of the table, with own properties only. Each definition must be plain data. */
function copy(definitions: SymbolDefinitions): SymbolDefinitions {
  if (!isTable(definitions)) {
    throw new TypeError(
      `Cannot open library: the definitions must be an object: got ${describe(definitions)}; ` +
        "write { symbol: definition, … }",
    );
  }
  return Object.fromEntries(
    Object.entries(definitions).map(([name, definition]) => {
      const copied = copyOf(definition, `Cannot open symbol ${name}`);
      return [name, isTable(copied) ? own(copied) : copied];
    }),
  );
}

/**
 * Whether `value` is an object whose keys are what was meant: as `{ … }` makes one, in whichever
 * realm, a module's namespace, or an object of a class with fields. An array or a `Map` is none;
 * neither is a `Promise` of a table.
 */
function isTable(value: unknown): value is object {
  if (typeof value !== "object" || value === null) return false;
  const prototype = Object.getPrototypeOf(value);
  if (prototype === null || Object.getPrototypeOf(prototype) === null) return true;
  return !(Symbol.iterator in value) && Object.keys(value).length > 0;
}

/** What the definition of a function may have. */
const FUNCTION_KEYS = [
  ...["parameters", "result", "name", "nonblocking", "variadic", "overflow", "stackSize"] as const,
  ...["errno", "exclusive", "optional"] as const,
];

/** The types of variables: not "cstring", since C has strings by their address and in arrays. */
const variableTypes = (): ReadonlySet<string> =>
  new Set([...VALUE_TYPES].filter((type) => type !== "cstring"));

/** Checks a definition of a table, which is a copy that nobody else has. */
export function checkDefinition(name: string, definition: unknown): void {
  const what = `Cannot open symbol ${name}`;
  if (!isTable(definition)) {
    throw new TypeError(
      `${what}: its definition must be an object: got ${describe(definition)}; write ` +
        "{ parameters, result } for a function, { input, output } for a generator body",
    );
  }
  const { name: symbol, optional } = definition as Readonly<Record<string, unknown>>;
  if (symbol !== undefined && typeof symbol !== "string") {
    throw new TypeError(`${what}: name must be a string: got ${describe(symbol)}`);
  }
  if (optional !== undefined && typeof optional !== "boolean") {
    throw new TypeError(`${what}: optional must be a boolean: got ${describe(optional)}`);
  }
  if ("type" in definition) {
    checkKeys(definition, ["type", "name", "optional"], what);
    checkType((definition as Partial<VariableDefinition>).type, variableTypes(), what, false);
    return;
  }
  if ("input" in definition || "output" in definition) {
    checkKeys(definition, ["input", "output", "name", "optional"], what);
    const { input, output } = definition as Partial<BodyDefinition>;
    checkType(input, SCALAR_TYPES, `${what}: input`);
    checkType(output, SCALAR_TYPES, `${what}: output`);
    return;
  }
  checkKeys(
    definition,
    FUNCTION_KEYS,
    what,
  );
  const { parameters, result, variadic, overflow, stackSize } = definition as Partial<
    FunctionDefinition
  >;
  checkParameters(parameters, what);
  checkType(result, VALUE_TYPES, `${what}: result`);
  for (const [i, parameter] of parameters.entries()) {
    if (isCallback(parameter)) {
      checkKeys(parameter, ["callback"], `${what}: parameter ${i}`);
      callbackSignature(parameter.callback, `${what}: callback parameter ${i}`);
    } else {
      checkType(parameter, VALUE_TYPES, `${what}: parameter ${i}`, false);
    }
  }
  const { nonblocking } = definition as Partial<FunctionDefinition>;
  if (nonblocking !== undefined && nonblocking !== "thread" && typeof nonblocking !== "boolean") {
    throw new TypeError(
      `${what}: nonblocking must be a boolean or "thread": got ${describe(nonblocking)}`,
    );
  }
  for (const key of ["errno", "exclusive"] as const) {
    const value = (definition as Partial<FunctionDefinition>)[key];
    if (value === undefined || typeof value === "boolean") continue;
    throw new TypeError(`${what}: ${key} must be a boolean: got ${describe(value)}`);
  }
  if (variadic !== undefined) checkVariadic(parameters, variadic, what);
  overflowOf(overflow, what);
  if (stackSize !== undefined) checkSize(stackSize, STACK_SIZE_MIN, what, "stackSize");
}

function isCallback(parameter: unknown): parameter is { readonly callback: CallbackDefinition } {
  return typeof parameter === "object" && parameter !== null &&
    Object.hasOwn(parameter, "callback");
}

function checkVariadic(parameters: readonly unknown[], variadic: unknown, what: string): void {
  const fixed = variadic as number;
  if (!Number.isInteger(fixed) || fixed < 0 || fixed > parameters.length) {
    throw new TypeError(
      `${what}: variadic must be how many of its ${parameters.length} parameters stand before ` +
        `the dots: got ${describe(variadic)}`,
    );
  }
  for (const [i, type] of parameters.entries()) {
    if (i >= fixed) refusePromoted(type, `${what}: parameter ${i}`);
  }
}
