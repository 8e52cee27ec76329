// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** What all forms of a call have in common: `stop`, and libraries that close under a call. */

import {
  assert,
  assertEquals,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { dlopen, Generator, OsStack } from "../../mod.ts";
import { collectUntil, openBodies, testBodies } from "../support/support.ts";

const later = <T>(value: T): Promise<T> =>
  new Promise((resolve) => setTimeout(() => resolve(value)));

Deno.test("stop is what C is told, to this and every further call, when f.calls() is left", () => {
  using library = openBodies();
  const { ask_three, asked } = library.symbols;
  type Calls = ReturnType<typeof ask_three.calls>;
  const leave: Readonly<Record<string, (calls: Calls) => unknown>> = {
    break: (calls) => {
      for (const _ of calls) break;
    },
    return: (calls) => calls.return(0),
    throw: (calls) => assertThrows(() => calls.throw(new Error("on purpose")), Error),
    dispose: (calls) => calls[Symbol.dispose](),
    forgotten: (calls) => assertThrows(() => calls.next(), Error, "has not been answered"),
  };
  for (const [how, end] of Object.entries(leave)) {
    const calls = ask_three.calls();
    if (how !== "break") {
      calls.next();
      assertEquals(asked(), 0);
    }
    end(calls);
    assertEquals(asked(), 777, how);
    const later = ask_three.calls();
    const first = later.next().value;
    assert(typeof first === "object");
    first.reply(1);
    if (how !== "break") later.next();
    end(later);
    assertEquals(asked(), 177, how);
  }
});

Deno.test("stop ends f() gently when a handler throws, and the error comes out", () => {
  using library = openBodies();
  const { until_stopped } = library.symbols;
  const thrown = new Error("on purpose");
  let calls = 0;
  const caught = assertThrows(() =>
    until_stopped((i) => {
      calls++;
      if (i === 3) throw thrown;
      return 0;
    })
  );
  assertStrictEquals(caught, thrown);
  assertEquals(calls, 4);
  assertEquals(until_stopped((i) => i === 2 ? 5 : 0), 5);
});

Deno.test("stop is checked when the library is opened", () => {
  const define = (result: string, stop: unknown) => () =>
    dlopen(testBodies, {
      until_nonzero: {
        parameters: [{ callback: { parameters: ["i32"], result, stop } }],
        result: "i32",
      },
      // deno-lint-ignore no-explicit-any -- what a program without types can pass
    } as any);
  const what = "Cannot open symbol until_nonzero: callback parameter 0: stop";
  for (const stop of ["1", null, undefined, 1n, {}]) {
    assertThrows(define("i32", stop), TypeError, `${what} must be an integer`);
  }
  assertThrows(define("i32", 2 ** 31), RangeError, what);
  assertThrows(define("bool", 1), TypeError, `${what} must be a boolean`);
  assertThrows(define("pointer", 1), TypeError, `${what} must be a Deno.PointerObject or null`);
  for (const [result, stop] of [["i64", 1n], ["u8", 255], ["bool", true], ["pointer", null]]) {
    define(result as string, stop)().close();
  }
});

Deno.test("stop is told to C when the library closes under a call", () => {
  using keeper = openBodies();
  const { asked, ask_three } = keeper.symbols;
  const library = openBodies();
  library.symbols.ask_three.calls().next();
  assertEquals(asked(), 0);
  library.close();
  assertEquals(asked(), 777);

  const other = openBodies();
  assertThrows(() =>
    other.symbols.ask_three((i) => {
      if (i === 1) other.close();
      return 2;
    }), Error);
  assertEquals(asked(), 277);
  assertEquals(ask_three((i) => i), 12);
});

Deno.test("stop is told to C when a generator, or a pending call, is dropped", async () => {
  using library = openBodies();
  const { ask_three, asked } = library.symbols;
  for (
    const drop of [
      () => void ask_three.calls().next(),
      () => void ask_three.async(() => new Promise(() => {})),
      () =>
        void new Generator(new OsStack(), function* (yielder) {
          yield* yielder.call(ask_three, function* () {
            yield 1;
            return 1;
          });
        }).next(),
    ]
  ) {
    drop();
    assertEquals(asked(), 0);
    await collectUntil(() => asked() !== 0);
    assertEquals(asked(), 777);
  }
});

Deno.test("stop is told to C when f.async() rejects", async () => {
  using library = openBodies();
  const { until_stopped } = library.symbols;
  const thrown = new Error("on purpose");
  const caught = await assertRejects(() =>
    until_stopped.async(async (i) => {
      await later(0);
      if (i === 2) throw thrown;
      return 0;
    })
  );
  assertStrictEquals(caught, thrown);
});

Deno.test("a handler that closes the library under its own call gets that as an error", () => {
  using keeper = openBodies();
  const { destructor_count } = keeper.symbols;
  for (const name of ["with_destructor", "until_stopped"] as const) {
    const before = destructor_count();
    const library = openBodies();
    const error = assertThrows(
      () =>
        library.symbols[name](() => {
          library.close();
          return 0;
        }),
      Error,
      `Cannot go on with ${name}`,
    );
    assertStringIncludes(error.message, "has been closed, which ended it");
    assertEquals(destructor_count(), before + (name === "with_destructor" ? 1 : 0));
  }
});

Deno.test("a call that the pool gave its stack to leaves no reason behind for the next one", () => {
  using keeper = openBodies();
  const library = openBodies();
  assertThrows(() =>
    library.symbols.call_n(1, () => {
      library.close();
      return 1;
    })
  );
  using generator = new Generator(new OsStack(), function* (yielder) {
    return yield* yielder.call(keeper.symbols.call_n, 2, (i) => i);
  });
  assertEquals(generator.next(), { value: 1, done: true });
  assertEquals(keeper.symbols.call_n(3, (i) => i), 3);
});
