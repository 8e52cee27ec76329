// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** Users' libraries: generator bodies, and C functions whose callbacks suspend. */

import { type Library, makeBody } from "./body.ts";
import { type Callback, type Callee, makeFunction } from "./call.ts";
import type { Context } from "./context.ts";
import { callAsync, callPulled, callSync } from "./drive.ts";
import { pulledGenerator } from "./generator.ts";
import { ARGUMENTS_MAX } from "./mailbox.ts";
import { describe } from "./stack.ts";
import type { BodyDefinition, FunctionDefinition, SymbolDefinitions, SymbolOf } from "./types.ts";
import { SCALAR_TYPES, VALUE_TYPES, write } from "./values.ts";

/** A library that `dlopen` has opened. */
export interface NativeLibrary<Definitions extends SymbolDefinitions> extends Disposable {
  /** What the table named: bodies and functions. */
  readonly symbols: { readonly [Name in keyof Definitions]: SymbolOf<Definitions[Name]> };
  /**
   * Closes the library. Generators and calls that are suspended in it are ended first: their frames
   * are unwound. Closing twice does nothing.
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
 *
 * @param filename A path, a name that the system's loader knows, or a file URL.
 * @param definitions What the symbols are. A wrong description is undefined behaviour, as in C.
 * @returns The symbols, and `close`.
 * @throws {TypeError} If a definition is not understood.
 * @throws {Deno.errors.NotCapable} If `--allow-ffi` does not cover the library.
 *
 * @example
 * ```ts
 * import { dlopen } from "@fringe/fringe";
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
export function dlopen<const Definitions extends SymbolDefinitions>(
  filename: string | URL,
  definitions: Definitions,
): NativeLibrary<Definitions> {
  // Looked at once, since the caller may change his, and a getter may say something else each time.
  const known = copy(definitions);
  const names = Object.keys(known);
  for (const name of names) checkDefinition(name, known[name]);

  const table: Record<string, { name: string; type: "pointer" }> = {};
  for (const name of names) {
    table[name] = { name: known[name]!.name ?? name, type: "pointer" };
  }
  const opened = Deno.dlopen(filename, table);
  const library = { filename: String(filename), closed: false, contexts: new Set<Context>() };

  const symbols: Record<string, unknown> = {};
  for (const name of names) {
    const pointer = opened.symbols[name] as Deno.PointerObject;
    symbols[name] = symbol(name, known[name]!, pointer, library);
  }
  const close = (): void => {
    if (library.closed) return;
    library.closed = true;
    for (const context of library.contexts) {
      context.close(`${describe(library.filename)} has been closed, which ended it`);
    }
    opened.close();
  };
  return Object.freeze({
    symbols: Object.freeze(symbols) as NativeLibrary<Definitions>["symbols"],
    close,
    [Symbol.dispose]: close,
  });
}

function symbol(
  name: string,
  definition: BodyDefinition | FunctionDefinition,
  pointer: Deno.PointerObject,
  library: Library,
): unknown {
  if ("input" in definition) {
    return makeBody(definition.input, definition.output, pointer, library);
  }
  const callbacks: Callback[] = [];
  const parameters = definition.parameters.map((parameter, i) => {
    if (typeof parameter === "string") return parameter;
    const { parameters, result, stop } = parameter.callback;
    const hasStop = Object.hasOwn(parameter.callback, "stop");
    const what = `Cannot answer ${name}: the result of callback parameter ${i}`;
    const number = callbacks.length;
    callbacks.push({ number, parameter: i, parameters, result, stop, hasStop, what });
    return "callback";
  });
  const callee: Callee = {
    name,
    pointer,
    parameters,
    result: definition.result,
    callbacks,
    library,
  };
  const f = (...args: unknown[]): unknown => callSync(callee, args);
  Object.defineProperty(f, "name", { value: name });
  f.async = (...args: unknown[]): Promise<unknown> => callAsync(callee, args);
  f.calls = (...args: unknown[]): unknown =>
    pulledGenerator((scope) => callPulled(scope, callee, args));
  return makeFunction(f, callee);
}

const REFUSED: Readonly<Record<string, string>> = {
  f32: "functions take no floating-point values yet, only generator bodies do",
  f64: "functions take no floating-point values yet, only generator bodies do",
};

/** Copies of the definitions, which must be plain data. */
function copy(definitions: SymbolDefinitions): SymbolDefinitions {
  if (typeof definitions !== "object" || definitions === null) {
    throw new TypeError(
      `Cannot open library: the definitions must be an object: got ${describe(definitions)}`,
    );
  }
  return Object.fromEntries(
    Object.entries(definitions).map(([name, definition]) => {
      try {
        return [name, structuredClone(definition)];
      } catch (error) {
        throw new TypeError(`Cannot open symbol ${name}: its definition must be plain data`, {
          cause: error,
        });
      }
    }),
  );
}

/** What to do instead, for keys that are meant well. */
const HINTS: Readonly<Record<string, string>> = {
  nonblocking: "; a function does not block while its handlers are awaited, see .async()",
  optional: "; leave a symbol out if the library may lack it",
  stop: "; it belongs to a callback, beside its parameters and result",
};

function checkKeys(definition: object, known: readonly string[], what: string): void {
  for (const key of Object.keys(definition)) {
    if (known.includes(key)) continue;
    throw new TypeError(
      `${what}: the key ${describe(key)} is not understood` +
        `${HINTS[key] ?? `; keys here are ${known.join(", ")}`}`,
    );
  }
}

function checkDefinition(name: string, definition: unknown): void {
  const what = `Cannot open symbol ${name}`;
  if (typeof definition !== "object" || definition === null) {
    throw new TypeError(`${what}: its definition must be an object: got ${describe(definition)}`);
  }
  if ("input" in definition || "output" in definition) {
    checkKeys(definition, ["input", "output", "name"], what);
    const { input, output } = definition as Partial<BodyDefinition>;
    checkType(input, SCALAR_TYPES, `${what}: input`);
    checkType(output, SCALAR_TYPES, `${what}: output`);
    return;
  }
  checkKeys(definition, ["parameters", "result", "name"], what);
  const { parameters, result } = definition as Partial<FunctionDefinition>;
  checkParameters(parameters, what);
  checkType(result, VALUE_TYPES, `${what}: result`);
  for (const [i, parameter] of parameters.entries()) {
    if (typeof parameter === "object" && parameter !== null && "callback" in parameter) {
      checkKeys(parameter, ["callback"], `${what}: parameter ${i}`);
      checkCallback(parameter.callback, `${what}: callback parameter ${i}`);
    } else {
      checkType(parameter, VALUE_TYPES, `${what}: parameter ${i}`, false);
    }
  }
}

function checkCallback(callback: unknown, what: string): void {
  if (typeof callback !== "object" || callback === null) {
    throw new TypeError(`${what} must be an object: got ${describe(callback)}`);
  }
  checkKeys(callback, ["parameters", "result", "stop"], what);
  const { parameters, result, stop } = callback as {
    parameters?: unknown;
    result?: string;
    stop?: unknown;
  };
  checkParameters(parameters, what);
  for (const [i, type] of parameters.entries()) {
    checkType(type, VALUE_TYPES, `${what}: parameter ${i}`, false);
  }
  checkType(result, VALUE_TYPES, `${what}: result`);
  if (!Object.hasOwn(callback, "stop")) return;
  // Tried now, so that it cannot fail when it is needed.
  write(new DataView(new ArrayBuffer(8)), 0, result as string, stop, `${what}: stop`);
}

function checkParameters(parameters: unknown, what: string): asserts parameters is unknown[] {
  if (!Array.isArray(parameters)) {
    throw new TypeError(
      `${what}: parameters must be an array of types: got ${describe(parameters)}`,
    );
  }
  if (parameters.length > ARGUMENTS_MAX) {
    throw new TypeError(
      `${what}: at most ${ARGUMENTS_MAX} parameters are passed (those that go in registers): got ` +
        `${parameters.length}`,
    );
  }
}

function checkType(
  type: unknown,
  known: ReadonlySet<string>,
  what: string,
  mayBeVoid: boolean = true,
): void {
  if (typeof type === "string" && (known.has(type) || mayBeVoid && type === "void")) return;
  const reason = typeof type === "string" ? REFUSED[type] : undefined;
  throw new TypeError(
    `${what} has the type ${describe(type)}: ` +
      (reason ?? `it must be one of ${[...known].join(", ")}${mayBeVoid ? ", void" : ""}`),
  );
}
