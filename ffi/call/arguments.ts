// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** What a callback has been called with, behind the dots of a variadic one, too. */

import { copyOf } from "../check.ts";
import { Mailbox, SLOT_SIZE } from "../layout.ts";
import { native } from "../library/find.ts";
import type { StackMemory } from "../stack/stack.ts";
import { type FromNative, type TypeDefinition, VALUE_TYPES, Way } from "../value/type.ts";
import { read } from "../value/value.ts";
import { readArgument } from "./passing.ts";
import { checkType, PARAMETERS_MAX, refusePromoted, type Signature } from "./signature.ts";
import type { Target } from "./thunk.ts";

/** Where arguments are, and their types. */
type Arguments = Pick<Signature, "types" | "offsets" | "stackCount">;

// Local, because V8 folds a local constant, and loads an imported one at each use.
const { stack: STACK } = Mailbox;
const { struct: STRUCT } = Way;

/** The arguments that a callback has been called with, which a mailbox has. */
export function argumentsIn(
  view: DataView<ArrayBuffer>,
  { types, offsets, stackCount }: Arguments,
): unknown[] {
  let stack = view;
  if (stackCount > 0) {
    stack = new DataView(new ArrayBuffer(stackCount * SLOT_SIZE));
    const address = view.getBigUint64(Mailbox.callback_stack, true);
    native().copyIn(stack, address, BigInt(stack.byteLength));
  }
  // Not by `map`: V8 inlines that, and then makes each pointer by a slow call of native code.
  const values: unknown[] = [];
  for (let i = 0; i < types.length; i++) {
    const [offset, type] = [offsets[i]!, types[i]!];
    if (type.way === STRUCT) values.push(readArgument(type, view, stack));
    else values.push(offset < STACK ? read(view, offset, type) : read(stack, offset - STACK, type));
  }
  return values;
}

/** What nobody else has. */
const KEY = Symbol();

/** Ends `rest`: its callback has been answered, or its call ended. */
let forget: (rest: VariadicArguments) => void;

/**
 * What stands behind the dots of a variadic callback (`int (*log)(const char *format, ...)`): the
 * handler's last argument. C does not say how many there are, nor of which types; as a rule the
 * arguments before the dots do. They can be read, each once and in their order, until the handler
 * has answered.
 *
 * @example
 * ```ts
 * import { Callback, type VariadicArguments } from "fringe";
 *
 * // int (*log)(const char *format, ...)
 * const definition = { parameters: ["cstring"], result: "i32", variadic: true } as const;
 *
 * function log(format: string | null, rest: VariadicArguments): number {
 *   const text = format!.replaceAll(/%([dsf])/g, (_, kind) =>
 *     String(rest.next(kind === "d" ? "i32" : kind === "f" ? "f64" : "cstring")));
 *   console.log(text);
 *   return text.length;
 * }
 * using callback = new Callback(definition, log);
 * ```
 */
export class VariadicArguments {
  /** Undefined once they can no longer be read. */
  #view: DataView<ArrayBuffer> | undefined;
  readonly #target: Target;
  /** Where the stack ends on which C has put them; undefined where that is not known. */
  readonly #end: bigint | undefined;
  /** The types of those that have been read. */
  readonly #types: unknown[] = [];

  /** Made for each call of a variadic callback; programs make none. */
  constructor(
    view: DataView<ArrayBuffer>,
    target: Target,
    end: bigint | undefined,
    key: symbol,
  ) {
    if (key !== KEY) throw new TypeError("Cannot make VariadicArguments: a callback gets them");
    this.#view = view;
    this.#target = target;
    this.#end = end;
  }

  /**
   * Reads the next argument.
   *
   * @param type What C has passed: `i32` and nothing smaller, `f64` and not `f32`, since C promotes
   * arguments behind the dots (C17, 6.5.2.2). A type that C has not passed gives garbage, and a
   * wrong "cstring" may end the process.
   * @throws {TypeError} If it is no type, or one that C promotes.
   * @throws {RangeError} If 127 have been read, or C's stack ends before the argument does.
   * @throws {Error} If the callback has been answered.
   */
  next<const Type extends TypeDefinition>(type: Type): FromNative<Type> {
    const what = "Cannot read an argument behind the dots: it";
    checkType(type, VALUE_TYPES, what, false);
    refusePromoted(type, what);
    if (this.#view === undefined) {
      throw new Error(
        "Cannot read an argument behind the dots: it is gone, since the callback has been " +
          "answered, or its call ended; read it before",
      );
    }
    if (this.#types.length === PARAMETERS_MAX) {
      throw new RangeError(
        `Cannot read an argument behind the dots: ${PARAMETERS_MAX} have been read, and C ` +
          "promises to pass no more; the arguments before the dots say how many there are",
      );
    }
    const own = typeof type === "object" ? copyOf(type, what) : type;
    const { types, offsets, stackCount } = this.#target.following!([...this.#types, own]);
    const start = this.#view.getBigUint64(Mailbox.callback_stack, true);
    if (this.#end !== undefined && start + BigInt(stackCount * SLOT_SIZE) > this.#end) {
      throw new RangeError(
        "Cannot read an argument behind the dots: C has not passed so much, since its stack ends " +
          "before that; the arguments before the dots say how many there are",
      );
    }
    const last = { types: types.slice(-1), offsets: offsets.slice(-1), stackCount };
    const [value] = argumentsIn(this.#view, last);
    this.#types.push(own);
    return value as FromNative<Type>;
  }

  static {
    forget = (rest) => rest.#view = undefined;
  }
}

/** The arguments of a callback, and what stands behind the dots for as long as it waits. */
export class Passed {
  readonly #rest: VariadicArguments | undefined;
  readonly values: unknown[];

  /** C may run on `memory`, or on a stack of its own, as a thread of C's does. */
  constructor(view: DataView<ArrayBuffer>, target: Target, memory: StackMemory | undefined) {
    this.values = argumentsIn(view, target);
    if (target.following === undefined) return;
    const start = view.getBigUint64(Mailbox.callback_stack, true);
    const isThere = memory !== undefined && start >= memory.limit && start <= memory.base;
    const end = isThere ? memory.base : undefined;
    this.values.push(this.#rest = new VariadicArguments(view, target, end, KEY));
  }

  /** The callback has been answered, or its call ended. */
  end(): void {
    if (this.#rest !== undefined) forget(this.#rest);
  }
}
