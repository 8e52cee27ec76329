// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** How large the stack of a call is, and calls on a stack of their caller's. */

import { assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { CALL_STACK_SIZE, putFiber, takeFiber } from "../../ffi/call/fiber.ts";
import {
  dlopen,
  type FunctionDefinition,
  Generator,
  OsStack,
  OwnedStack,
  type Stack,
  StackPool,
} from "../../mod.ts";
import { collectUntil, openBodies, testBodies } from "../support/support.ts";

/** Deeper than any stack. */
const TOO_DEEP = 2 ** 31 - 1;

const used = (size: number) => `it has used up its stack of ${size} bytes`;

const callback = { parameters: ["i32"], result: "i32" } as const;
const deep = { name: "use_up", parameters: ["i32"], result: "i32", overflow: "throw" } as const;
const deepAfter = {
  name: "use_up_after",
  parameters: [{ callback }],
  result: "i32",
  overflow: "throw",
} as const;

const later = <T>(value: T): Promise<T> =>
  new Promise((resolve) => setTimeout(() => resolve(value), 5));

Deno.test("dlopen() refuses a stackSize that is none", () => {
  const refused = (stackSize: unknown) =>
    assertThrows(() =>
      dlopen(testBodies, { deep: { ...deep, stackSize } as FunctionDefinition })
    ) as Error;
  for (const size of ["4096", 4096n, null, {}, true]) {
    const error = refused(size);
    assertEquals(error.name, "TypeError");
    assertStringIncludes(error.message, "Cannot open symbol deep: stackSize must be a number of");
  }
  for (const size of [0, 511, -1, 4096.5, NaN, Infinity, 2 ** 47 + 1]) {
    const error = refused(size);
    assertEquals(error.name, "RangeError");
    assertEquals(
      error.message,
      "Cannot open symbol deep: stackSize must be a whole number of bytes from 512 to 2^47: " +
        `got ${size}`,
    );
  }
});

Deno.test("a call has the stack that its definition asks for, in whole pages", async () => {
  for (
    const [asked, size] of [
      ...[[512, 4096], [10_000, 12_288], [65_537, 69_632]],
      ...[[2 ** 20, 2 ** 20], [2 ** 25, 2 ** 25]],
    ]
  ) {
    using library = dlopen(testBodies, {
      deep: { ...deep, stackSize: asked! },
      after: { ...deepAfter, stackSize: asked! },
      elsewhere: { ...deepAfter, stackSize: asked!, nonblocking: true },
      onThread: { ...deepAfter, stackSize: asked!, nonblocking: "thread" },
    });
    const { after, elsewhere, onThread } = library.symbols;
    for (let i = 0; i < 2; i++) {
      assertThrows(() => library.symbols.deep(TOO_DEEP), RangeError, used(size!));
      assertThrows(() => after(() => TOO_DEEP), RangeError, used(size!));
      await assertRejects(() => after.async(() => later(TOO_DEEP)), RangeError, used(size!));
      // It has copies of what C is passed on its stack.
      const expected = size! < 20_000
        ? `its stack has ${size} bytes, and a nonblocking call takes `
        : used(size!);
      await assertRejects(() => elsewhere(() => later(TOO_DEEP)), RangeError, expected);
      assertEquals(await onThread(() => later(3)), 6);
      await assertRejects(() => onThread(() => later(TOO_DEEP)), RangeError, used(size!));
      const pulled = after.calls();
      (pulled.next().value as { reply(value: number): void }).reply(TOO_DEEP);
      assertThrows(() => pulled.next(), RangeError, used(size!));
    }
    assertEquals(library.symbols.deep(3), 3);
  }
});

Deno.test("yielder.call() in a handler has the stack that its definition asks for", () => {
  using library = dlopen(testBodies, {
    deep: { ...deep, stackSize: 2 ** 16, overflow: "report" },
    after: deepAfter,
  });
  const { symbols } = library;
  const stack = new OsStack(2 ** 20, { overflow: "throw" });
  using generator = new Generator(
    stack,
    function* (yielder): globalThis.Generator<never, string[]> {
      const messages: string[] = [];
      const overflowing = function* () {
        try {
          yield* yielder.call(symbols.deep, TOO_DEEP);
        } catch (error) {
          messages.push((error as Error).message);
        }
        return 1;
      };
      yield* yielder.call(symbols.after, overflowing);
      yield* overflowing();
      return messages;
    },
  );
  const messages = generator.next().value as string[];
  // In the handlers, where the generator's own stack is taken, and on that.
  assertEquals(messages.map((message) => Number(/stack of (\d+)/.exec(message)![1])), [
    2 ** 16,
    2 ** 16,
    2 ** 20,
  ]);
});

Deno.test("stacks are kept by their size, of 16 sizes", () => {
  const take = (size?: number) => takeFiber("throw", size);
  const first = take(100_000);
  assertEquals([first.stack.size, take().stack.size], [102_400, CALL_STACK_SIZE]);
  putFiber(first);
  assertEquals(take(102_400), first);
  putFiber(first);
  // Of the same size, and of other properties.
  const other = takeFiber("report", 100_000);
  assertEquals([other === first, other.stack.size], [false, 102_400]);
  putFiber(other);
  const fibers = Array.from({ length: 40 }, (_, i) => take(4096 * (i + 1)));
  for (const fiber of fibers) putFiber(fiber);
  // The last ones are there, and the first ones have gone.
  assertEquals(take(4096 * 40), fibers[39]);
  assertEquals(take(4096) === fibers[0], false);
});

Deno.test("f.async() runs on the stack that it is given, which is free after that", async () => {
  using library = openBodies();
  const { call_n, use_up_after, with_destructor } = library.symbols;
  using stack = new OsStack(64 * 1024, { overflow: "throw" });
  for (let i = 0; i < 3; i++) {
    assertEquals(await call_n.async(3, (i) => later(i + 1), { stack }), 6);
    await assertRejects(
      () => use_up_after.async(() => later(TOO_DEEP), { stack }),
      RangeError,
      used(64 * 1024),
    );
    const error = new Error("on purpose");
    const failing = with_destructor.async(() => Promise.reject(error), { stack });
    assertEquals(await failing.catch((reason) => reason), error);
    const signal = AbortSignal.timeout(1);
    const never = with_destructor.async(() => new Promise(() => {}), { stack, signal });
    assertEquals(await never.catch((reason) => reason), signal.reason);
    // deno-lint-ignore no-explicit-any -- it is refused, and leaves the stack free
    await assertRejects(() => call_n.async("3" as any, () => 1, { stack }), TypeError);
    const generator = new Generator(stack, library.symbols.echo_i32);
    assertEquals(generator.resume(i), i);
    generator.return();
  }
  using pool = new StackPool({ size: 16 * 1024 });
  using pooled = pool.take();
  assertEquals(await call_n.async(3, (i) => i + 1, { stack: pooled, signal: undefined }), 6);
});

Deno.test("f.async() has its frames on the stack that it is given, on any thread", async () => {
  using library = dlopen(testBodies, {
    here: { name: "frame_address", parameters: [], result: "usize" },
    elsewhere: { name: "frame_address", parameters: [], result: "usize", nonblocking: true },
  });
  using stack = new OsStack();
  for (const f of [library.symbols.here.async, library.symbols.elsewhere]) {
    const address = await f({ stack });
    assertEquals([address > stack.limit, address < stack.base], [true, true]);
    const other = await f();
    assertEquals(other > stack.limit && other < stack.base, false);
  }
});

Deno.test("f.async() refuses a stack that is taken, gone, without a guard, or none", async () => {
  using library = openBodies();
  const { call_n, echo_i32 } = { ...library.symbols };
  const refused = async (stack: unknown, type: new (text: string) => Error, part: string) => {
    let calls = 0;
    // deno-lint-ignore no-explicit-any -- what TypeScript would refuse, too
    const call = () => call_n.async(3, () => calls++, { stack: stack as any });
    assertStringIncludes((await assertRejects(call, type)).message, `Cannot ${part}`);
    assertEquals(calls, 0);
  };
  using stack = new OsStack();
  const taken = "call call_n: another generator, or a call, is on this stack and has not finished";
  const pending = call_n.async(2, () => later(1), { stack });
  await refused(stack, Error, taken);
  assertThrows(
    () => stack[Symbol.dispose](),
    Error,
    "Cannot dispose of stack: a generator, or a call, on it has not finished",
  );
  assertThrows(() => new Generator(stack, echo_i32), Error, "another generator, or a call, is on");
  assertEquals(await pending, 2);
  const generator = new Generator(stack, echo_i32);
  await refused(stack, Error, taken);
  generator.return();

  const gone = new OsStack();
  gone[Symbol.dispose]();
  await refused(gone, Error, "call call_n: the stack has been disposed of; make a new one");
  await refused(new OwnedStack(16 * 1024), TypeError, "call call_n: its stack has no guard page");
  for (const none of [null, 5, {}, { ...stack }, Object.create(stack)]) {
    await refused(none, TypeError, "use ");
  }
});

Deno.test("what runs while a call is made finds its stack taken", async () => {
  using library = openBodies();
  const { call_n, each_string } = library.symbols;
  using stack = new OsStack();
  const messages: string[] = [];
  const sneaky = new Proxy(() => 1, {
    getPrototypeOf(target) {
      call_n.async(1, () => 1, { stack }).catch((error) => messages.push(error.message));
      return Reflect.getPrototypeOf(target);
    },
  });
  await each_string.async(sneaky, { stack }).catch(() => {});
  await later(0);
  assertEquals(messages.length > 0, true);
  for (const message of messages) assertStringIncludes(message, "is on this stack");
  assertEquals(await call_n.async(1, () => 1, { stack }), 1);
});

Deno.test("a call that is dropped ends, and gives its caller's stack back", async () => {
  using library = openBodies();
  const { with_destructor, destructor_count } = library.symbols;
  const before = destructor_count();
  using stack = new OsStack();
  (() => {
    with_destructor.async(() => new Promise(() => {}), { stack });
  })();
  assertThrows(() => stack[Symbol.dispose](), Error, "has not finished");
  await collectUntil(() => destructor_count() > before);
  assertEquals(await library.symbols.call_n.async(1, () => 1, { stack }), 1);
  // Both at once.
  (() => {
    with_destructor.async(() => new Promise(() => {}), { stack: new OsStack() });
  })();
  await collectUntil(() => destructor_count() > before + 1);
});

Deno.test("a library that is closed gives the stacks of its calls back", async () => {
  const stack: Stack = new OsStack();
  using other = openBodies();
  {
    using library = openBodies();
    const pending = library.symbols.call_n.async(1, () => later(1), { stack: stack as OsStack });
    library.close();
    await assertRejects(() => pending, Error, "has been closed, which ended it");
  }
  assertEquals(await other.symbols.call_n.async(1, () => 1, { stack: stack as OsStack }), 1);
  stack[Symbol.dispose]();
});
