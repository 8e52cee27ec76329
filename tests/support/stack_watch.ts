// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Knows which stacks of the operating system fringe has mapped and not unmapped: it stands between
 * fringe and the functions of the native library that do so.
 *
 * @module
 */

type Native = (...args: unknown[]) => unknown;

/** What was asked: the bounds of a stack that was mapped, or the base of one that was unmapped. */
const asked: (BigUint64Array | bigint)[] = [];

/** Notes before the call, for after it V8's stack may be too short to note anything. */
function noted(real: Native, at: number): Native {
  return function (...args) {
    asked.push(args[at] as BigUint64Array | bigint);
    return real(...args);
  };
}

/** From now on; to be called before fringe is used. */
export function watchStacks(): void {
  const real = Deno.dlopen;
  Deno.dlopen = ((filename: string | URL, definitions: Deno.ForeignLibraryInterface) => {
    const library = real(filename, definitions);
    const symbols: Record<string, unknown> = { ...library.symbols };
    for (const [key, { name }] of Object.entries(definitions)) {
      if (name === "fringe_os_stack_map") symbols[key] = noted(symbols[key] as Native, 2);
      if (name === "fringe_os_stack_unmap") symbols[key] = noted(symbols[key] as Native, 0);
    }
    return { symbols, close: () => library.close() };
  }) as typeof Deno.dlopen;
}

/** How many stacks are mapped. */
export function live(): number {
  const bases = new Set<bigint>();
  for (const what of asked) {
    if (typeof what === "bigint") bases.delete(what);
    else if (what[0] !== 0n) bases.add(what[0]!);
  }
  return bases.size;
}
