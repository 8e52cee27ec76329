// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Signatures of C functions and of callbacks: the check of what a caller has written down, and
 * where the ABI has each argument.
 */

import { checkKeys, describe, own } from "../check.ts";
import { Mailbox, SLOT_SIZE } from "../layout.ts";
import { Kept } from "../value/kept.ts";
import { meantBy, type Type, typeOf, VALUE_TYPES, VOID } from "../value/type.ts";
import { write } from "../value/value.ts";
import { CONVENTION, type Placement, placementOf } from "./placement.ts";

/** A signature that has been checked. */
export interface Signature extends Placement {
  /** The type of each parameter; a callback's is "callback". */
  readonly parameters: readonly string[];
  readonly result: string;
  /** The same as values are converted by. */
  readonly types: readonly Type[];
  readonly resultType: Type;
}

/** The definition of a callback that has been checked. */
export interface CallbackSignature extends Signature {
  /** What C is answered while the call is being ended, or a function that says it. */
  readonly stop: unknown;
  /** Whether there is a `stop`, which may be undefined; else C's frames are unwound. */
  readonly hasStop: boolean;
  /** Whether an answer is a string or a buffer: C gets its address, so it has to be kept. */
  readonly isKept: boolean;
  /** The first three parameters once more, for `sync.ts`, which has no time for lists. */
  readonly fast: Fast;
}

/** The first three parameters, and how many there are; a `count` of -1: some are on the stack. */
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
const PARAMETERS_MAX = 127;

/** Where the mailbox has the arguments of a function in registers, and those of a callback. */
export const FUNCTION = { integers: Mailbox.integers, floats: Mailbox.floats } as const;
const CALLBACK = {
  integers: Mailbox.callback_integers,
  floats: Mailbox.callback_floats,
} as const;

/** Lays out the parameters of a function, or of a callback. */
export function signatureOf(
  parameters: readonly string[],
  result: string,
  registers: { readonly integers: number; readonly floats: number },
  fixed?: number,
): Signature {
  return {
    parameters,
    result,
    types: parameters.map(typeOf),
    resultType: typeOf(result),
    ...placementOf(parameters, registers, CONVENTION, fixed),
  };
}

/** Checks the definition of a callback. `what` begins with "Cannot". */
export function callbackSignature(callback: unknown, what: string): CallbackSignature {
  if (typeof callback !== "object" || callback === null) {
    throw new TypeError(`${what} must be an object: got ${describe(callback)}`);
  }
  checkKeys(callback, ["parameters", "result", "stop"], what);
  const { parameters, result, stop } = own(callback as Readonly<Record<string, unknown>>);
  checkParameters(parameters, what);
  for (const [i, type] of parameters.entries()) {
    checkType(type, VALUE_TYPES, `${what}: parameter ${i}`, false);
  }
  checkType(result, VALUE_TYPES, `${what}: result`);
  const hasStop = Object.hasOwn(callback, "stop");
  // What a function will say is not known yet.
  if (hasStop && typeof stop !== "function") {
    // `stop` is written once now: so it does not turn out to be wrong while a call is being ended.
    if (result === "void" && stop !== undefined) {
      throw new TypeError(
        `${what}: stop must be undefined, since the result is void: got ${describe(stop)}`,
      );
    }
    const slot = new DataView(new ArrayBuffer(SLOT_SIZE));
    write(slot, 0, typeOf(result), stop, `${what}: stop`, new Kept());
  }
  const signature = signatureOf(parameters as string[], result, CALLBACK);
  const isKept = result === "buffer" || result === "cstring";
  return { ...signature, stop, hasStop, isKept, fast: fastOf(signature) };
}

function fastOf({ types, offsets, stackCount }: Signature): Fast {
  const [first = VOID, second = VOID, third = VOID] = types;
  const [firstAt = 0, secondAt = 0, thirdAt = 0] = offsets;
  const count = stackCount === 0 ? types.length : -1;
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

/** Checks a type. */
export function checkType(
  type: unknown,
  known: ReadonlySet<string>,
  what: string,
  mayBeVoid: boolean = true,
): asserts type is string {
  if (typeof type === "string" && (known.has(type) || mayBeVoid && type === "void")) return;
  if (typeof type === "object" && type !== null && Object.hasOwn(type, "struct")) {
    throw new TypeError(
      `${what} is a struct by value, which is not supported: pass "buffer" or "pointer" where C ` +
        "takes its address; where C takes or gives the struct itself, wrap the function in C",
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
  if (type === "callback" || typeof type === "object" && type !== null) {
    return "; a function that C calls is written { callback: { parameters, result } }";
  }
  const meant = typeof type === "string" ? meantBy(type) : undefined;
  return meant !== undefined && known.has(meant) ? `; it may be ${describe(meant)}` : "";
}
