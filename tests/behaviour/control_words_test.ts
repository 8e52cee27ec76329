// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * C that changes how the floating-point units round, what they flush to zero and which exceptions
 * they trap: it finds that again when a callback returns, and JavaScript never sees it, neither in
 * the handler nor after the call.
 */

import { assertEquals } from "@std/assert";
import { dlopen, Generator, OsStack } from "../../mod.ts";
import { testBodies } from "../support/support.ts";

const f = { callback: { parameters: ["i32"], result: "i32" } } as const;
const with_words = { parameters: ["u32", "i32", f], result: "i32" } as const;

const open = () =>
  dlopen(testBodies, {
    keeps_words: { input: "u32", output: "i32" },
    with_words,
    with_words_elsewhere: { ...with_words, name: "with_words", nonblocking: true },
  });

/** MXCSR (16 bits), and the x87 control word above that (psABI for AMD64, section 3.4.1). */
const DEFAULT = 0x037f_1f80;
const X86_64_WORDS: Readonly<Record<string, number>> = {
  "the default": DEFAULT,
  "round up": DEFAULT | 0x0800_4000,
  "round down": DEFAULT | 0x0400_2000,
  "round to zero": DEFAULT | 0x0c00_6000,
  "round up, in MXCSR alone": DEFAULT | 0x4000,
  "round up, in the x87 unit alone": DEFAULT | 0x0800_0000,
  "53 bits of precision": DEFAULT & ~0x0100_0000,
  "flush to zero": DEFAULT | 0x8000,
  "denormals are zero": DEFAULT | 0x0040,
  "trap invalid operations and divisions by zero": DEFAULT & ~0x0005_0280,
  "the same, in MXCSR alone": DEFAULT & ~0x0280,
  "trap everything": DEFAULT & ~0x003f_1f80,
  "everything in MXCSR at once": (DEFAULT & ~0x1f80) | 0xe040,
};

/** FPCR (AAPCS64, section 6.1.2). */
const AARCH64_WORDS: Readonly<Record<string, number>> = {
  "the default": 0,
  "round up": 0x0040_0000,
  "round down": 0x0080_0000,
  "round to zero": 0x00c0_0000,
  "flush to zero": 0x0100_0000,
  "one NaN for all": 0x0200_0000,
  "everything at once": 0x03c0_0000,
};

const WORDS = Deno.build.arch === "aarch64" ? AARCH64_WORDS : X86_64_WORDS;

const plain = Deno.dlopen(testBodies, {
  get_words: { parameters: [], result: "u32" },
  with_words: { parameters: ["u32", "i32", "function"], result: "i32" },
  asked: { type: "pointer" },
});

/** Computed each time, where a compiler cannot do it before. */
const numbers = { one: 1, small: 1e-30, smallest: 5e-324, zero: 0 };

/** What JavaScript gives by IEEE 754, whatever C has set. */
function assertPlain(): void {
  const { one, small, smallest, zero } = numbers;
  assertEquals(
    [
      one + small,
      -one - small,
      one - small,
      smallest * one,
      1e-308 / 1e10,
      one / zero,
      zero / zero,
    ],
    [1, -1, 1, 5e-324, 1e-318, Infinity, NaN],
  );
  // What C finds that JavaScript calls.
  assertEquals(plain.symbols.get_words(), WORDS["the default"]);
}

function handler(i: number): number {
  assertPlain();
  return i;
}

for (const [what, words] of Object.entries(WORDS)) {
  for (const leaves of [0, 1]) {
    const says = `words: ${what}, ${leaves ? "left behind" : "put back"}`;

    Deno.test(`${says}, f()`, () => {
      using library = open();
      assertEquals(library.symbols.with_words(words, leaves, handler), 3);
      assertPlain();
    });

    Deno.test(`${says}, f.async()`, async () => {
      using library = open();
      const { with_words } = library.symbols;
      const each = await Promise.all(
        [1, 2, 3].map(() =>
          with_words.async(words, leaves, async (i) => {
            assertPlain();
            await new Promise((resolve) => setTimeout(resolve, i));
            return handler(i);
          })
        ),
      );
      assertEquals(each, [3, 3, 3]);
      assertPlain();
    });

    Deno.test(`${says}, f.calls()`, () => {
      using library = open();
      const calls = library.symbols.with_words.calls(words, leaves);
      for (let next = calls.next();; next = calls.next()) {
        assertPlain();
        if (next.done) {
          assertEquals(next.value, 3);
          break;
        }
        next.value.reply(1);
      }
    });

    Deno.test(`${says}, yielder.call()`, () => {
      using library = open();
      const { with_words } = library.symbols;
      const generator = new Generator<void, number, number>(new OsStack(), function* (yielder) {
        const found = yield* yielder.call(with_words, words, leaves, function* (i: number) {
          assertPlain();
          yield i;
          return handler(i);
        });
        assertPlain();
        return found;
      });
      for (let i = 0; i < 3; i++) {
        assertEquals(generator.next().value, i);
        assertPlain();
      }
      assertEquals(generator.next(), { done: true, value: 3 });
    });

    Deno.test(`${says}, nonblocking`, async () => {
      using library = open();
      const { with_words_elsewhere } = library.symbols;
      for (let i = 0; i < 3; i++) {
        assertEquals(await with_words_elsewhere(words, leaves, handler), 3);
      }
      // On the same threads, which have had their own words back.
      assertEquals(await with_words_elsewhere(WORDS["the default"]!, 0, handler), 3);
    });

    Deno.test(`${says}, a call inside a call, both ended early`, () => {
      using library = open();
      const { with_words } = library.symbols;
      class Stop extends Error {}
      let caught;
      try {
        with_words(words, leaves, () => {
          assertEquals(with_words(WORDS["round up"]!, leaves, handler), 3);
          assertEquals(with_words(words, leaves, handler), 3);
          return with_words(words, leaves, () => {
            throw new Stop();
          });
        });
      } catch (error) {
        caught = error;
      }
      assertEquals(caught instanceof Stop, true);
      assertPlain();
    });
  }

  for (const begins of [0, 3]) {
    // fringe.h, on control words: traps that are set by hand, in MXCSR alone, and later.
    if (begins > 0 && what.includes("MXCSR") && !what.startsWith("round")) continue;

    Deno.test(`words: ${what}, a generator's body, from resume ${begins} on`, () => {
      using library = open();
      const generator = new Generator(new OsStack(), library.symbols.keeps_words);
      for (let i = 0; i < begins; i++) assertEquals(generator.resume(WORDS["the default"]!), 1);
      for (let i = 0; i < 5; i++) {
        assertEquals(generator.resume(words), 1);
        assertPlain();
        assertEquals(generator.resume(WORDS["the default"]!), 1);
        assertPlain();
      }
      generator.return();
      assertPlain();
    });
  }
}

/** Has C that Deno calls leave these words to JavaScript. It needs some function to call. */
function leave(words: number): void {
  plain.symbols.with_words(words, 1, plain.symbols.asked);
}

for (const [what, words] of Object.entries(WORDS)) {
  // JavaScript would not stand traps.
  if (/trap|in MXCSR alone$|at once$/.test(what) && !what.startsWith("round")) continue;

  Deno.test(`words: ${what}, which JavaScript has for a while`, () => {
    using library = dlopen(testBodies, { get_words: { parameters: [], result: "u32" } });
    const { get_words } = library.symbols;
    const found: number[] = [];
    // Twice, since the stack that the first of these calls is on may be new, and have no words yet.
    for (let i = 0; i < 2; i++) {
      leave(words);
      found.push(get_words(), plain.symbols.get_words());
      leave(WORDS["the default"]!);
      found.push(get_words(), plain.symbols.get_words());
      assertPlain();
    }
    const [now, later] = [words, WORDS["the default"]!];
    assertEquals(found, [now, now, later, later, now, now, later, later]);
  });
}
