// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** `functionAt`: a function of a C function pointer, such as one out of a struct. */

import type { FunctionDefinition, LiteralDefinition } from "./call/definition.ts";
import { putThunk, type Thunk } from "./call/thunk.ts";
import { copyOf, describe, needStack } from "./check.ts";
import type { Library } from "./context/occupancy.ts";
import { checkDefinition, symbol } from "./dlopen.ts";
import { native } from "./library/find.ts";
import type { SymbolOf } from "./types.ts";

/** What a function leaves behind. Nothing in it leads to the function itself. */
interface Left {
  readonly library: Library;
  readonly thunks: readonly Thunk[];
}

/** Takes back the thunks of functions that are garbage. */
let garbage: FinalizationRegistry<Left> | undefined;

/** Left by garbage functions with suspended calls: tried again when the next one is garbage. */
let unreleased: Left[] = [];

function release(left: Left): void {
  unreleased.push(left);
  const isSuspended = ({ library }: Left): boolean => library.latest !== undefined;
  for (const { thunks } of unreleased.filter((left) => !isSuspended(left))) {
    thunks.forEach(putThunk);
  }
  unreleased = unreleased.filter(isSuspended);
}

/**
 * Makes a function of a C function pointer: as `dlopen` makes one of a symbol, with callbacks that
 * suspend it. C says where such pointers come from: fields of a struct, `dlsym`, a result.
 *
 * Whatever the pointer leads into must stay loaded for as long as the function is used.
 *
 * @param pointer The address of a C function.
 * @param definition What it takes and returns, as in a table of `dlopen`. Its `name` is for
 * messages.
 * @throws {TypeError} If the pointer is none, or the definition is not understood.
 * @throws {RangeError} If `stackSize` is out of range.
 *
 * @example
 * ```ts
 * import { dlopen, functionAt } from "fringe";
 *
 * using libc = dlopen("libc.so.6", {
 *   dlsym: { parameters: ["pointer", "cstring"], result: "pointer" },
 * });
 * const pointer = libc.symbols.dlsym(null, "labs")!;
 * const labs = functionAt(pointer, { name: "labs", parameters: ["i64"], result: "i64" });
 * console.log(labs(-3)); // 3n
 * ```
 */
export function functionAt<const Definition extends LiteralDefinition & FunctionDefinition>(
  pointer: Deno.PointerObject,
  definition: Definition,
): SymbolOf<Definition> {
  const address = addressOf(pointer);
  const known: FunctionDefinition = copyOf(definition, "Cannot make function");
  const name = known?.name ?? `function at 0x${address.toString(16)}`;
  checkDefinition(name, known);
  if (!("parameters" in known)) {
    throw new TypeError(
      `Cannot make function ${name}: its definition is that of a generator body, or of a ` +
        "variable; only dlopen makes those",
    );
  }
  needStack(8);
  // No library that could be closed: the caller has the pointer, and knows what it leads into.
  const library: Library = { filename: name, closed: false, latest: undefined };
  const thunks: Thunk[] = [];
  const f = symbol(name, known, pointer, library, thunks) as SymbolOf<Definition> & object;
  garbage ??= new FinalizationRegistry(release);
  garbage.register(f, { library, thunks });
  return f;
}

function addressOf(pointer: unknown): bigint {
  if (typeof pointer === "object" && pointer !== null) {
    try {
      return native().addressOfPointer(pointer as Deno.PointerObject);
    } catch {
      // It is no pointer: what it is, is said below.
    }
  }
  throw new TypeError(
    `Cannot make function: the pointer must be a Deno.PointerObject: got ${describe(pointer)}`,
  );
}
