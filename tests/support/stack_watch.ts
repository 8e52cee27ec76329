// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Knows which stacks of the operating system fringe has mapped and not unmapped: it stands between
 * fringe and the functions of the native library that do so.
 *
 * @module
 */

import { Bounds } from "../../ffi/layout.ts";

/** Which word of the bounds it is. */
const START = Bounds.start / 8;

type Native = (...args: unknown[]) => unknown;

/** Where the mappings of the stacks begin that are mapped. */
const starts = new Set<bigint>();

/**
 * Where native code has written the bounds of the stack that was mapped last. It is looked at
 * before the next call, since V8's stack may be too short to note anything after one.
 */
let last: BigUint64Array | undefined;

function note(): void {
  if (last !== undefined && last[START] !== 0n) starts.add(last[START]!);
  last = undefined;
}

function mapping(real: Native): Native {
  return function (size, recover, bounds) {
    note();
    last = bounds as BigUint64Array;
    // Should the call be refused, nothing is there.
    last[START] = 0n;
    return real(size, recover, bounds);
  };
}

function unmapping(real: Native): Native {
  return function (base, start) {
    note();
    starts.delete(start as bigint);
    return real(base, start);
  };
}

/** From now on; to be called before fringe is used. */
export function watchStacks(): void {
  const real = Deno.dlopen;
  Deno.dlopen = ((filename: string | URL, definitions: Deno.ForeignLibraryInterface) => {
    const library = real(filename, definitions);
    const symbols: Record<string, unknown> = { ...library.symbols };
    for (const [key, { name }] of Object.entries(definitions)) {
      if (name === "fringe_os_stack_map") symbols[key] = mapping(symbols[key] as Native);
      if (name === "fringe_os_stack_unmap") symbols[key] = unmapping(symbols[key] as Native);
    }
    return { symbols, close: () => library.close() };
  }) as typeof Deno.dlopen;
}

/** How many stacks are mapped. */
export function live(): number {
  note();
  return starts.size;
}
