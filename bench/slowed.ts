// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Takes V8's fast calls of fringe's native library away, for those who preload it: V8 calls what a
 * Proxy stands for in its general way, whatever that is. `guards.ts` shows by it that it notices.
 *
 * @module
 */

type Fill = (context: unknown, into: Uint8Array, count: number, size: number, word: boolean) => 0;

const open = Deno.dlopen;

function slowed(definition: unknown, symbol: object): object {
  if (typeof symbol !== "function") return symbol;
  const proxy = new Proxy(symbol, {});
  const { name } = definition as { name: string };
  if (name !== "fringe_fill") return proxy;
  // This one is called once for all elements, so that how it is called counts for little.
  return (...[context, into, count, size, word]: Parameters<Fill>) => {
    for (let i = 0; i < count; i++) {
      const element = new Uint8Array(into.buffer, into.byteOffset + i * size, size);
      if ((proxy as Fill)(context, element, 1, size, word) === 0) return i;
    }
    return count;
  };
}

Deno.dlopen = ((path: string | URL, definitions: Record<string, unknown>) => {
  const library = open(path, definitions as Deno.ForeignLibraryInterface);
  const isFringe = Object.values(definitions).some((definition) =>
    (definition as { name?: string }).name?.startsWith("fringe_")
  );
  if (!isFringe) return library;
  const symbols = Object.entries(library.symbols)
    .map(([name, symbol]) => [name, slowed(definitions[name], symbol as object)]);
  return { symbols: Object.fromEntries(symbols), close: () => library.close() };
}) as typeof Deno.dlopen;
