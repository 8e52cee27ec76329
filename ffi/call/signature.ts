// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Signatures of C functions and of callbacks: the check of what a caller has written down, and
 * where the ABI has each argument.
 */

import { checkKeys, describe, own } from "../check.ts";
import { Mailbox, SLOT_SIZE } from "../layout.ts";
import { Kept } from "../value/kept.ts";
import type { Shape } from "../value/shape.ts";
import { shapeOf } from "../value/struct_type.ts";
import { meantBy, SCALAR_TYPES, type Type, typeOf, VALUE_TYPES, VOID } from "../value/type.ts";
import { write } from "../value/value.ts";
import {
  argumentAt,
  keptIn,
  resultOf,
  type ResultPassing,
  type ResultRegisters,
  structType,
} from "./passing.ts";
import {
  CONVENTION,
  type Parameter,
  type Placement,
  placementOf,
  type Registers,
} from "./placement.ts";
import { routeOf } from "./route.ts";

/** A signature that has been checked. */
export interface Signature extends Placement {
  /** The type of each parameter; a callback's is "callback". */
  readonly parameters: readonly string[];
  readonly result: string;
  /** The same as values are converted by. */
  readonly types: readonly Type[];
  readonly resultType: Type;
  /** How the result crosses, if it is a struct. */
  readonly structResult: ResultPassing | undefined;
}

/** The definition of a callback that has been checked. */
export interface CallbackSignature extends Signature {
  /** What C is answered while the call is being ended, or a function that says it. */
  readonly stop: unknown;
  /** Whether there is a `stop`, which may be undefined; else C's frames are unwound. */
  readonly hasStop: boolean;
  /** Whether C gets the address of a string or a buffer by an answer, so that it has to be kept. */
  readonly isKept: boolean;
  /** How many strings and buffers an answer has, and how many of them are buffers. */
  readonly keptCount: number;
  readonly bufferCount: number;
  /**
   * The signature of a call that passes arguments of these types behind the dots; undefined unless
   * the callback is variadic.
   */
  readonly following: ((types: readonly unknown[]) => Signature) | undefined;
  /** The first three, for loops that have no time for lists (answer_many.ts, async.ts). */
  readonly fast: Fast;
}

/**
 * The first three parameters, and how many there are; a `count` of -1: some are on the stack, are
 * structs, or stand behind dots.
 */
interface Fast {
  readonly count: number;
  readonly first: Type;
  readonly firstAt: number;
  readonly second: Type;
  readonly secondAt: number;
  readonly third: Type;
  readonly thirdAt: number;
}

/** How many parameters a function may have: C promises as many, and no more (C17, 5.2.4.1). */
export const PARAMETERS_MAX = 127;

/** Where the mailbox has what crosses in registers, of a function or of a callback. */
interface Side {
  readonly parameters: Registers;
  readonly result: ResultRegisters;
}

/** Where those of a function are. */
export const FUNCTION: Side = {
  parameters: { integers: Mailbox.integers, floats: Mailbox.floats },
  result: {
    integers: [Mailbox.output, Mailbox.output_second],
    floats: [
      Mailbox.output_float,
      Mailbox.output_more_floats,
      Mailbox.output_more_floats + SLOT_SIZE,
      Mailbox.output_more_floats + 2 * SLOT_SIZE,
    ],
    single: undefined,
    address: Mailbox.result_address,
  },
};

/** And those of a callback. */
const CALLBACK: Side = {
  parameters: { integers: Mailbox.callback_integers, floats: Mailbox.callback_floats },
  result: {
    integers: [Mailbox.answer_integers, Mailbox.answer_integers + SLOT_SIZE],
    floats: [
      Mailbox.answer_floats,
      Mailbox.answer_floats + SLOT_SIZE,
      Mailbox.answer_floats + 2 * SLOT_SIZE,
      Mailbox.answer_floats + 3 * SLOT_SIZE,
    ],
    single: Mailbox.input,
    address: Mailbox.callback_result_address,
  },
};

/** Lays out the parameters of a function, or of a callback. All has been checked. */
export function signatureOf(
  parameters: readonly unknown[],
  result: unknown,
  side: Side,
  fixed?: number,
): Signature {
  const rules = CONVENTION.structs;
  const shapes = parameters.map(known);
  const shape = known(result);
  const structResult = shape &&
    resultOf(shape, routeOf(shape, rules), rules, side.result, side.parameters);
  const placement = placementOf(
    shapes.map((shape, i): Parameter => shape ?? parameters[i] as string),
    side.parameters,
    CONVENTION,
    fixed,
    structResult?.addressAt === side.parameters.integers,
  );
  const types = shapes.map((shape, i) =>
    shape === undefined ? typeOf(parameters[i] as string) : argumentAt(shape, placement.spots[i]!)
  );
  const resultType = structResult === undefined
    ? typeOf(result as string)
    : structType(shape!, structResult);
  return {
    parameters: types.map(({ name }, i) =>
      shapes[i] === undefined ? parameters[i] as string : name
    ),
    result: resultType.name,
    types,
    resultType,
    structResult,
    ...placement,
  };
}

/** The shape of a definition that has been checked. */
function known(definition: unknown): Shape | undefined {
  return shapeOf(definition, "");
}

/** Checks the definition of a callback. `what` begins with "Cannot". */
export function callbackSignature(callback: unknown, what: string): CallbackSignature {
  if (typeof callback !== "object" || callback === null) {
    throw new TypeError(`${what} must be an object: got ${describe(callback)}`);
  }
  checkKeys(callback, ["parameters", "result", "stop", "variadic"], what);
  const { parameters, result, stop, variadic } = own(
    callback as Readonly<Record<string, unknown>>,
  );
  if (variadic !== undefined && typeof variadic !== "boolean") {
    throw new TypeError(
      `${what}: variadic must be a boolean, whether there are dots behind the parameters: got ` +
        describe(variadic),
    );
  }
  checkParameters(parameters, what);
  for (const [i, type] of parameters.entries()) {
    checkType(type, VALUE_TYPES, `${what}: parameter ${i}`, false);
  }
  checkType(result, VALUE_TYPES, `${what}: result`);
  const signature = signatureOf(parameters, result, CALLBACK);
  const hasStop = Object.hasOwn(callback, "stop");
  // What a function will say is not known yet.
  if (hasStop && typeof stop !== "function") {
    // `stop` is written once now: so it does not turn out to be wrong while a call is being ended.
    if (result === "void" && stop !== undefined) {
      throw new TypeError(
        `${what}: stop must be undefined, since the result is void: got ${describe(stop)}`,
      );
    }
    checkAnswer(signature, stop, `${what}: stop`);
  }
  const shape = known(result);
  const count = (kinds: string[]): number =>
    shape === undefined ? kinds.includes(result as string) ? 1 : 0 : keptIn(shape, kinds);
  const keptCount = count(["buffer", "cstring"]);
  const bufferCount = count(["buffer"]);
  return {
    ...signature,
    // So a type with dots is another one than without.
    parameters: variadic ? [...signature.parameters, "..."] : signature.parameters,
    stop,
    hasStop,
    isKept: keptCount > 0,
    keptCount,
    bufferCount,
    following: variadic
      ? (types) => signatureOf([...parameters, ...types], result, CALLBACK, parameters.length)
      : undefined,
    fast: variadic ? { ...fastOf(signature), count: -1 } : fastOf(signature),
  };
}

/** Checks an answer that is written down, before anyone asks for it. */
function checkAnswer(
  { resultType, structResult }: Signature,
  answer: unknown,
  what: string,
): void {
  if (structResult !== undefined) return structResult.check(answer, what, new Kept());
  const slot = new DataView(new ArrayBuffer(SLOT_SIZE));
  write(slot, 0, resultType, answer, what, new Kept());
}

function fastOf({ types, offsets, spots, stackCount }: Signature): Fast {
  const [first = VOID, second = VOID, third = VOID] = types;
  const [firstAt = 0, secondAt = 0, thirdAt = 0] = offsets;
  const isPlain = stackCount === 0 && spots.every((spot) => spot === undefined);
  const count = isPlain ? types.length : -1;
  return { count, first, firstAt, second, secondAt, third, thirdAt };
}

/** Checks that parameters are a list, and no longer than can be passed. */
export function checkParameters(
  parameters: unknown,
  what: string,
): asserts parameters is unknown[] {
  if (!Array.isArray(parameters)) {
    throw new TypeError(
      `${what}: parameters must be an array of types: got ${describe(parameters)}`,
    );
  }
  if (parameters.length > PARAMETERS_MAX) {
    throw new TypeError(
      `${what}: it has ${parameters.length} parameters, and C promises no more than ` +
        `${PARAMETERS_MAX}`,
    );
  }
}

/** Refuses a type that arguments behind dots cannot have, since a C compiler passes another. */
export function refusePromoted(type: unknown, what: string): void {
  const promoted = typeof type === "string" ? typeOf(type).promoted : undefined;
  if (promoted === undefined) return;
  throw new TypeError(
    `${what} has the type ${describe(type)}, which C promotes where it stands behind the dots; ` +
      `declare it as ${describe(promoted)}`,
  );
}

/** Checks a type. */
export function checkType(
  type: unknown,
  known: ReadonlySet<string>,
  what: string,
  mayBeVoid: boolean = true,
): void {
  if (typeof type === "string" && (known.has(type) || mayBeVoid && type === "void")) return;
  if (shapeOf(type, what) !== undefined) {
    if (known !== SCALAR_TYPES) return;
    throw new TypeError(
      `${what} is a struct, and a generator body takes and gives scalar values: pass a "pointer" ` +
        "to memory that you hold",
    );
  }
  const isObject = typeof type === "object" && type !== null;
  if (isObject && Object.hasOwn(type, "callback")) {
    throw new TypeError(
      `${what} is a callback, which can only stand among the parameters of a function: write ` +
        `"${known.has("function") ? "function" : "pointer"}" where a function pointer is passed on`,
    );
  }
  if (isObject && (Object.hasOwn(type, "function") || Object.hasOwn(type, "result"))) {
    throw new TypeError(
      `${what} is an object: a function that C calls is written ` +
        "{ callback: { parameters, result } }",
    );
  }
  if (type === "...") {
    throw new TypeError(
      `${what} is "...": declare the parameters that this call passes, and by variadic how many ` +
        "of them stand before the dots",
    );
  }
  throw new TypeError(
    `${what} has the type ${describe(type)}: it must be one of ` +
      `${[...known].join(", ")}${mayBeVoid ? ", void" : ""}${hintFor(type, known, mayBeVoid)}`,
  );
}

/** What to write instead, for what is mostly written in place of a type by mistake. */
function hintFor(type: unknown, known: ReadonlySet<string>, mayBeVoid: boolean): string {
  if (type === undefined && mayBeVoid) return '; write "void" if there is none';
  if (type === "void") return "; the parameters of a function that has none are []";
  if (typeof type === "object" && type !== null && Object.keys(type).join() === "pointer") {
    return '; pointerTo() stands in layouts: write "pointer"; layout.view() reads what it leads to';
  }
  if (type === "callback" || typeof type === "object" && type !== null) {
    return "; a function that C calls is written { callback: { parameters, result } }";
  }
  if (
    typeof type === "string" && /long double|_?complex|f128|\b__m\d+|[iu](?:nt)?128/i.test(type)
  ) {
    return "; long double, vectors, _Complex, integers of 128 bits and bit-fields have no type " +
      "here: wrap the function in C";
  }
  const meant = typeof type === "string" ? meantBy(type) : undefined;
  return meant !== undefined && known.has(meant) ? `; it may be ${describe(meant)}` : "";
}
