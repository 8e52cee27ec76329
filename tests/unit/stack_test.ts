// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** What every kind of stack promises, and what none of them lets happen. */

import {
  assert,
  assertEquals,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import {
  Generator,
  OsStack,
  OwnedStack,
  SliceStack,
  type Stack,
  STACK_ALIGNMENT,
  StackPool,
} from "../../mod.ts";
import { openBodies } from "../support/support.ts";

const kinds: readonly { readonly name: string; make(): Stack }[] = [
  { name: "OsStack", make: () => new OsStack(64 * 1024) },
  {
    name: "StackPool",
    make: (() => {
      let pool: StackPool | undefined;
      return () => (pool ??= new StackPool({ size: 64 * 1024 })).take();
    })(),
  },
  { name: "OwnedStack", make: () => new OwnedStack(64 * 1024) },
  { name: "SliceStack", make: () => new SliceStack(new Uint8Array(64 * 1024)) },
];

for (const { name, make } of kinds) {
  Deno.test(`${name} has aligned ends, and a size that is their difference`, () => {
    using stack = make();
    assertEquals(stack.base % BigInt(STACK_ALIGNMENT), 0n);
    assertEquals(stack.limit % BigInt(STACK_ALIGNMENT), 0n);
    assertEquals(BigInt(stack.size), stack.base - stack.limit);
    assert(stack.size >= 64 * 1024 - 2 * STACK_ALIGNMENT);
  });

  Deno.test(`${name} runs a native body, and can be used again once that has ended`, () => {
    using library = openBodies();
    const stack = make();
    for (let round = 0; round < 3; round++) {
      const generator = Generator.unguarded(stack, library.symbols.recurses);
      assertEquals(generator.resume(100), 100);
      assertEquals(generator.resume(7), 7);
      generator.return();
      assertStrictEquals(generator.unwrap(), stack);
    }
    stack[Symbol.dispose]();
  });

  Deno.test(`${name} refuses a second generator while the first has not finished`, () => {
    using library = openBodies();
    const { echo_i32 } = library.symbols;
    using first = Generator.unguarded(make(), echo_i32);
    const stack = (() => {
      const own = make();
      Generator.unguarded(own, echo_i32);
      return own;
    })();
    first.resume(1);
    for (const body of [echo_i32, function* (): globalThis.Generator<number, void, number> {}]) {
      const error = assertThrows(
        () => Generator.unguarded(stack, body),
        Error,
        "Cannot make generator",
      );
      assertStringIncludes(error.message, "another generator, or a call, is on this stack");
      assertStringIncludes(error.message, "give each its own stack");
    }
  });

  Deno.test(`${name} cannot be disposed of under a generator, running or not begun`, () => {
    using library = openBodies();
    const stack = make();
    const generator = Generator.unguarded(stack, library.symbols.echo_i32);
    for (const input of [undefined, 5]) {
      if (input !== undefined) assertEquals(generator.resume(input), input);
      const error = assertThrows(() => stack[Symbol.dispose](), Error, "Cannot dispose of stack");
      assertStringIncludes(error.message, "a generator, or a call, on it has not finished");
      assertStringIncludes(error.message, "dispose of the generator instead");
    }
    assertEquals(generator.resume(6), 6);
    generator.return();
    stack[Symbol.dispose]();
  });

  Deno.test(`${name} cannot be disposed of by the TypeScript body that is on it`, () => {
    const stack = make();
    using generator = Generator.unguarded(stack, function* () {
      yield assertThrows(() => stack[Symbol.dispose](), Error, "has not finished").message;
    });
    assertStringIncludes(generator.resume() ?? "", "Cannot dispose of stack");
  });

  Deno.test(`${name} can be disposed of twice, and takes no generator afterwards`, () => {
    using library = openBodies();
    const stack = make();
    stack[Symbol.dispose]();
    stack[Symbol.dispose]();
    for (const body of [library.symbols.echo_void, function* () {}]) {
      const error = assertThrows(
        () => Generator.unguarded(stack, body),
        Error,
        "Cannot make generator: the stack has been disposed of",
      );
      assertStringIncludes(error.message, "make a new one");
    }
  });

  Deno.test(`${name} goes with the generator that is disposed of`, () => {
    const stack = make();
    {
      using generator = Generator.unguarded(stack, function* () {
        yield 1;
      });
      assertEquals(generator.resume(), 1);
    }
    assertThrows(() => Generator.unguarded(stack, function* () {}), Error, "disposed of");
  });

  Deno.test(`${name} takes another generator once its body has failed`, () => {
    const stack = make();
    const failing = Generator.unguarded(stack, function* () {
      yield 1;
      throw new Error("on purpose");
    });
    assertEquals(failing.resume(), 1);
    assertThrows(() => failing.resume(), Error, "on purpose");
    assertStrictEquals(failing.unwrap(), stack);
    using next = Generator.unguarded(stack, function* () {
      yield 2;
    });
    assertEquals([...next], [2]);
  });
}

Deno.test("Generator refuses a stack that is not fringe's", () => {
  const like = { base: 4096n, limit: 0n, size: 4096, guarded: true, [Symbol.dispose]() {} };
  const others: unknown[] = [like, null, undefined, 3, "stack", Object.create(OsStack.prototype)];
  for (const other of others) {
    const stack = other as OsStack;
    const error = assertThrows(
      () => new Generator(stack, function* () {}),
      TypeError,
      "as a stack",
    );
    assertStringIncludes(error.message, "make one with new OsStack()");
    assertThrows(() => Generator.unguarded(stack, function* () {}), TypeError, "as a stack");
  }
});

Deno.test("a value of any kind can stand in a message, and cannot prevent it", () => {
  using library = openBodies();
  const same_pointer = library.symbols.same_pointer as (value: unknown) => unknown;
  const no = () => {
    throw new Error("no");
  };
  const revoked = Proxy.revocable({}, {});
  revoked.revoke();
  const named = (name: unknown) => Object.defineProperty(() => {}, "name", { value: name });
  const values: readonly (readonly [unknown, string])[] = [
    [Object.defineProperty({}, "constructor", { get: no }), "an object"],
    [new Proxy({}, { get: no, has: no, getPrototypeOf: no }), "an object"],
    [revoked.proxy, "an object"],
    [named(Symbol("x")), "a function"],
    [{ constructor: named("x".repeat(1000)) }, `an object of class ${"x".repeat(100)}…`],
    ["x".repeat(1000), `"${"x".repeat(100)}…"`],
    [10n ** 1000n, "a bigint of more than 128 bits"],
    [-(10n ** 1000n), "a bigint of more than 128 bits"],
    [-5n, "-5n"],
  ];
  for (const [value, text] of values) {
    const error = assertThrows(() => same_pointer(value), TypeError, "Cannot call same_pointer");
    // What follows, if anything does, is a hint.
    assertStringIncludes(`${error.message};`, `: got ${text};`);
  }
});

Deno.test("an object that throws when it is looked at is refused, without a hint", () => {
  using library = openBodies();
  const call_n = library.symbols.call_n as (...args: unknown[]) => unknown;
  const no = () => {
    throw new Error("no");
  };
  const hostile = new Proxy({}, { get: no, has: no, getPrototypeOf: no });
  const error = assertThrows(() => call_n(1, hostile), TypeError, "Cannot call call_n");
  assert(error.message.endsWith("got an object"));
});

Deno.test("Generator refuses a stack without a guard, and says who takes it", () => {
  using owned = new OwnedStack(4096);
  using slice = new SliceStack(new Uint8Array(4096));
  for (const stack of [owned, slice]) {
    const error = assertThrows(
      // @ts-expect-error A stack without a guard is no GuardedStack.
      () => new Generator(stack, function* () {}),
      TypeError,
      "Cannot make generator: the stack has no guard page",
    );
    assertStringIncludes(error.message, "Generator.unguarded(stack, body)");
  }
});

Deno.test("Stack takes no memory that a program has made up", () => {
  const base = Object.getPrototypeOf(OsStack);
  const memory = { base: 0x2000n, limit: 0x1000n, size: 0x1000, checkFree() {}, own() {} };
  for (const { constructor } of kinds.map(({ make }) => make())) {
    const error = assertThrows(
      () => Reflect.construct(base, [memory], constructor),
      TypeError,
      "Cannot make stack of an object of class Object",
    );
    assertStringIncludes(error.message, "make one with new OsStack()");
  }
});
