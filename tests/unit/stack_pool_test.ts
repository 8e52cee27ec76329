// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * `StackPool`: which stacks it gives, and what a program may do wrong with them. stack_test.ts has
 * what all kinds of stacks share; behaviour/stack_pool_test.ts, what becomes of the memory.
 */

import {
  assert,
  assertEquals,
  assertNotEquals,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { FringeError, Generator, type GuardedStack, StackPool } from "../../mod.ts";
import { collectUntil, openBodies } from "../support/support.ts";

Deno.test("StackPool has the default size of an OsStack, and rounds up to whole pages", () => {
  for (const [asked, given] of [[undefined, 1 << 20], [0, 4096], [1, 4096], [4097, 8192]]) {
    using pool = new StackPool({ size: asked });
    using stack = pool.take();
    assertEquals([stack.size, stack.guarded], [given, true]);
    assertEquals([stack.base % 4096n, stack.limit % 4096n], [0n, 0n]);
  }
  using pool = new StackPool();
  using stack = pool.take();
  assertEquals(stack.size, 1 << 20);
});

Deno.test("StackPool gives stacks that do not overlap, with a guard page between any two", () => {
  using pool = new StackPool({ size: 4096 });
  const stacks = Array.from({ length: 200 }, () => pool.take());
  const sorted = stacks.toSorted((a, b) => a.base < b.base ? -1 : 1);
  for (const [i, { base, limit }] of sorted.entries()) {
    assertEquals(base - limit, 4096n);
    if (i > 0) assert(limit >= sorted[i - 1]!.base + 4096n);
  }
  for (const stack of stacks) stack[Symbol.dispose]();
});

Deno.test("StackPool gives the stack again that has come back last", () => {
  using pool = new StackPool({ size: 4096 });
  const [first, second] = [pool.take(), pool.take()];
  const { base } = first;
  first[Symbol.dispose]();
  using again = pool.take();
  assertEquals(again.base, base);
  // Another object: who kept the first one has nothing of the second.
  assert(again !== first);
  second[Symbol.dispose]();
});

Deno.test("StackPool gives no stack twice, in whatever order they come back", () => {
  using pool = new StackPool({ size: 4096 });
  const taken = new Map<bigint, GuardedStack>();
  let seed = 1;
  const below = (count: number): number => {
    seed = Math.imul(seed, 1664525) + 1013904223 >>> 0;
    return seed % count;
  };
  for (let round = 0; round < 20_000; round++) {
    // Up to 500 at a time, and down again.
    const wanted = round % 5000 < 2500 ? 500 : 5;
    if (taken.size < wanted && below(3) > 0) {
      const stack = pool.take();
      assert(!taken.has(stack.limit));
      taken.set(stack.limit, stack);
    } else {
      const [limit, stack] = [...taken][below(taken.size)] ?? [];
      stack?.[Symbol.dispose]();
      taken.delete(limit!);
    }
  }
  for (const stack of taken.values()) stack[Symbol.dispose]();
});

Deno.test("StackPool runs native bodies, and TypeScript ones, one after the other", () => {
  using library = openBodies();
  using pool = new StackPool({ size: 64 * 1024 });
  let limit: bigint | undefined;
  for (let i = 0; i < 3; i++) {
    const stack = pool.take();
    assertEquals(stack.limit, limit ??= stack.limit);
    using generator = new Generator(stack, library.symbols.recurses);
    assertEquals([generator.resume(50), generator.resume(i)], [50, i]);
    {
      using other = new Generator(pool.take(), function* (yielder) {
        return yield* yielder.call(library.symbols.call_n, 1, function* () {
          return yield 5;
        });
      });
      assertEquals(other.resume(), 5);
    }
    assertEquals(generator.resume(7), 7);
  }
});

Deno.test("StackPool lets go of a stack whose generator has handed it back", () => {
  using library = openBodies();
  using pool = new StackPool({ size: 4096 });
  const stack = pool.take();
  const generator = new Generator(stack, library.symbols.never_suspends);
  assertEquals(generator.resume(1), undefined);
  assertStrictEquals(generator.unwrap(), stack);
  // Not by the generator any more.
  generator[Symbol.dispose]();
  using other = pool.take();
  assertNotEquals(other.limit, stack.limit);
  stack[Symbol.dispose]();
});

Deno.test("a stack that is disposed of twice is given back once", () => {
  using pool = new StackPool({ size: 4096 });
  const stack = pool.take();
  stack[Symbol.dispose]();
  stack[Symbol.dispose]();
  using first = pool.take();
  // The object is done with, though the memory is in use again.
  stack[Symbol.dispose]();
  using second = pool.take();
  assertNotEquals(first.limit, second.limit);
  const error = assertThrows(() => new Generator(stack as typeof first, function* () {}));
  assertStringIncludes(String(error), "Cannot make generator: the stack has been disposed of");
});

Deno.test("a stack that a generator is on is not given back", () => {
  using library = openBodies();
  using pool = new StackPool({ size: 4096 });
  const stack = pool.take();
  using generator = new Generator(stack, library.symbols.echo_i32);
  generator.resume(1);
  assertThrows(
    () => stack[Symbol.dispose](),
    Error,
    "a generator, or a call, on it has not finished",
  );
  using other = pool.take();
  assertNotEquals(other.limit, stack.limit);
  assertEquals(generator.resume(2), 2);
});

Deno.test("StackPool that is disposed of gives no more, and leaves what is in use", () => {
  using library = openBodies();
  const pool = new StackPool({ size: 4096 });
  const generators = Array.from(
    { length: 100 },
    () => new Generator(pool.take(), library.symbols.echo_i32),
  );
  for (const [i, generator] of generators.entries()) assertEquals(generator.resume(i), i);
  pool[Symbol.dispose]();
  pool[Symbol.dispose]();
  const error = assertThrows(() => pool.take(), Error, "Cannot take stack");
  assertStringIncludes(error.message, "the pool has been disposed of; make a new one");
  for (const [i, generator] of generators.entries()) {
    assertEquals(generator.resume(i + 1), i + 1);
    generator[Symbol.dispose]();
  }
  pool[Symbol.dispose]();
});

Deno.test("StackPool refuses sizes that are none, and options that it does not know", () => {
  for (const size of [-1, NaN, Infinity, 2 ** 60, 2 ** 47 + 1, 1.5]) {
    const error = assertThrows(() => new StackPool({ size }), RangeError, "Cannot make pool");
    assertStringIncludes(error.message, "a whole number of bytes from 0 to 2^47");
    assertStringIncludes(error.message, `got ${size}`);
  }
  const wrong: readonly (readonly [unknown, string])[] = [
    [4096, "options must be an object such as { size }: got 4096"],
    [null, "options must be an object such as { size }: got null"],
    [{ size: "4096" }, 'size must be a number of bytes: got "4096"'],
    [{ count: 3 }, 'the key "count" is not understood; keys here are size, overflow'],
    [{ overflow: "ignore" }, 'overflow must be "report" or "throw": got "ignore"'],
  ];
  for (const [options, text] of wrong) {
    const error = assertThrows(() => new StackPool(options as { size: number }), TypeError);
    assertStringIncludes(error.message, "Cannot make pool of stacks: ");
    assertStringIncludes(error.message, text);
  }
});

Deno.test("StackPool says what to do when the system has no room, and can be asked again", () => {
  using pool = new StackPool({ size: 2 ** 47 });
  for (let i = 0; i < 2; i++) {
    const error = assertThrows(() => pool.take(), FringeError, `Cannot take stack of ${2 ** 47}`);
    assertEquals((error as FringeError).status, "out_of_memory");
    assertStringIncludes(error.message, "ulimit -v");
  }
});

Deno.test("an overflow on a stack of a pool is thrown where that is wanted", () => {
  using library = openBodies();
  using pool = new StackPool({ size: 16 * 1024, overflow: "throw" });
  using below = new Generator(pool.take(), library.symbols.echo_i32);
  assertEquals(below.resume(1), 1);
  const stack = pool.take();
  const { limit } = stack;
  {
    using generator = new Generator(stack, library.symbols.recurses);
    const error = assertThrows(() => generator.resume(1_000_000), RangeError);
    assertStringIncludes(error.message, "it has used up its stack of 16384 bytes");
    assertStringIncludes(String(error.cause), "stack overflow in ");
  }
  // It runs into the guard of its own, and so did not get to its neighbour.
  assertEquals(below.resume(2), 2);
  using again = new Generator(pool.take(), library.symbols.recurses);
  assertEquals([again.resume(10), stack.limit], [10, limit]);
});

Deno.test("a stack that is dropped comes back, and so does one with a generator", async () => {
  using library = openBodies();
  const { has_destructor, destructor_count } = library.symbols;
  using pool = new StackPool({ size: 16 * 1024 });
  const before = destructor_count();
  const dropped = new Set<bigint>();
  (() => {
    for (let i = 0; i < 50; i++) {
      dropped.add(pool.take().limit);
      const stack = pool.take();
      dropped.add(stack.limit);
      new Generator(stack, has_destructor).resume();
    }
  })();
  // Of two slabs 28 stacks are free anyway.
  const kept = Array.from({ length: 28 }, () => pool.take());
  // A few collections more: a stack may come back after the generator that was on it.
  let more = 0;
  await collectUntil(() => destructor_count() === before + 50 && ++more > 3);
  assertEquals(destructor_count(), before + 50);
  const again = Array.from({ length: 100 }, () => pool.take());
  assertEquals(new Set(again.map(({ limit }) => limit)), dropped);
  for (const stack of [...kept, ...again]) stack[Symbol.dispose]();
});

Deno.test("a generator that is dropped leaves its stack to who holds that", async () => {
  using library = openBodies();
  const { has_destructor, destructor_count, echo_i32 } = library.symbols;
  using pool = new StackPool({ size: 16 * 1024 });
  const before = destructor_count();
  const stack = pool.take();
  (() => void new Generator(stack, has_destructor).resume())();
  await collectUntil(() => destructor_count() > before);
  using other = pool.take();
  assertNotEquals(other.limit, stack.limit);
  using generator = new Generator(stack, echo_i32);
  assertEquals(generator.resume(5), 5);
});

Deno.test("a stack of a pool does not go to another Worker", () => {
  using pool = new StackPool({ size: 4096 });
  using stack = pool.take();
  // What arrives there is what a copy is here.
  const copy = structuredClone(stack as unknown) as GuardedStack;
  assertThrows(() => new Generator(copy, function* () {}), TypeError, "as a stack");
});

Deno.test("StackPool carries 10,000 generators that are suspended at once", () => {
  using library = openBodies();
  using pool = new StackPool({ size: 16 * 1024 });
  const count = 10_000;
  const generators = Array.from({ length: count }, (_, i) => {
    const generator = new Generator(pool.take(), library.symbols.echo_u32);
    assertEquals(generator.resume(i), i);
    return generator;
  });
  // 7919 is a prime, so this comes to each of them, in an order that is none of theirs.
  for (let i = 0; i < count; i++) {
    const j = i * 7919 % count;
    assertEquals(generators[j]!.resume(j + 1), j + 1);
  }
  for (let i = 0; i < count; i++) generators[i * 7919 % count]![Symbol.dispose]();
});
