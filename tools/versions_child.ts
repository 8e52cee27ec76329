// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * The program that `versions.ts` runs in other runtimes, with the address of `mod.ts` as argument:
 * a generator, and a call with a callback. It prints what came of them, or the error of the first.
 */

const mod = globalThis.Deno?.args[0] ?? process.argv[2]!;
const { dlopen, Generator, OsStack } = await import(mod) as typeof import("../mod.ts");

try {
  const generator = new Generator(new OsStack(), function* () {
    yield "generator";
  });
  console.log(generator.resume());
  using libc = dlopen("libc.so.6", {
    bsearch: {
      parameters: [
        ...["buffer", "buffer", "usize", "usize"] as const,
        { callback: { parameters: ["pointer", "pointer"], result: "i32" } },
      ],
      result: "pointer",
    },
  });
  let callbacks = 0;
  const [key, sorted] = [new Uint8Array(1), new Uint8Array(7)];
  libc.symbols.bsearch(key, sorted, sorted.length, 1, () => {
    callbacks++;
    return 1;
  });
  console.log("callbacks", callbacks);
} catch (error) {
  console.log(String(error));
}
