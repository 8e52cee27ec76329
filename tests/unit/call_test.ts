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
import { Callback, dlopen, Generator, OsStack } from "../../mod.ts";
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

/** Definitions whose `stop` is a function. */
function stopping(stop: (i: number) => unknown) {
  return {
    ask_three: {
      parameters: [{ callback: { parameters: ["i32"], result: "i32", stop } }],
      result: "i32",
    },
    until_nonzero: {
      parameters: [{ callback: { parameters: ["i32"], result: "i32", stop } }],
      result: "i32",
    },
    asked: { parameters: [], result: "i32" },
    ask_three_elsewhere: {
      name: "ask_three",
      parameters: [{ callback: { parameters: ["i32"], result: "i32", stop } }],
      result: "i32",
      nonblocking: true,
    },
  } as const;
}

Deno.test("a stop that is a function is asked for each answer, with the arguments", async () => {
  const asks: number[] = [];
  using library = dlopen(
    testBodies,
    stopping((i) => {
      asks.push(i);
      return i + 4;
    }),
  );
  const { ask_three, ask_three_elsewhere, asked } = library.symbols;
  const thrown = new Error("on purpose");
  const fails = (i: number): number => {
    if (i === 1) throw thrown;
    return 1;
  };
  const isThrown = (error: unknown) => assertStrictEquals(error, thrown);
  const ends: Readonly<Record<string, () => unknown>> = {
    "f()": () => isThrown(assertThrows(() => ask_three(fails))),
    "f.async()": async () => isThrown(await assertRejects(() => ask_three.async(fails))),
    "nonblocking": async () => isThrown(await assertRejects(() => ask_three_elsewhere(fails))),
    "f.calls()": () => {
      for (const { args: [i], reply } of ask_three.calls()) {
        if (i === 1) break;
        reply(1);
      }
    },
    "yielder.call()": () => {
      using generator = new Generator(new OsStack(), function* (yielder) {
        yield* yielder.call(ask_three, function* (i) {
          if (i === 1) yield i;
          return 1;
        });
      });
      assertEquals(generator.next().value, 1);
    },
  };
  for (const [how, end] of Object.entries(ends)) {
    asks.length = 0;
    await end();
    assertEquals([asks, asked()], [[1, 2], 156], how);
  }
});

Deno.test("a stop of a Callback may be a function", () => {
  using library = openBodies();
  const asks: number[] = [];
  const stop = (i: number) => asks.push(i) * 10;
  using callback = new Callback({ parameters: ["i32"], result: "i32", stop }, () => {
    throw new Error("on purpose");
  });
  library.symbols.keep(callback);
  assertThrows(() => library.symbols.call_kept(5), Error, "on purpose");
  assertEquals(asks, [5]);
});

Deno.test("what a stop throws, or answers wrongly, comes out, and C is unwound", () => {
  const thrown = new Error("by stop");
  const answers: [() => unknown, string][] = [
    [() => {
      throw thrown;
    }, "by stop"],
    [() => "1", "the result of callback parameter 0 must be an integer"],
    [() => undefined, "the result of callback parameter 0 must be an integer"],
    [() => Promise.resolve(1), "the result of callback parameter 0 is a Promise"],
    [() => 2 ** 40, "the result of callback parameter 0 must be an integer"],
  ];
  for (const [stop, message] of answers) {
    const callback = { callback: { parameters: ["i32"], result: "i32", stop } } as const;
    using library = dlopen(testBodies, {
      with_destructor: { parameters: [callback], result: "i32" },
      destructor_count: { parameters: [], result: "i32" },
    });
    const { with_destructor, destructor_count } = library.symbols;
    const before = destructor_count();
    assertThrows(
      () => {
        for (const _ of with_destructor.calls()) break;
      },
      Error,
      message,
    );
    const handler = (): number => {
      throw new Error("by handler");
    };
    // Both are told of.
    const error = assertThrows(() => with_destructor(handler));
    assert(error instanceof SuppressedError);
    assertStringIncludes(error.message, message);
    assertStringIncludes(error.message, "by handler");
    assertEquals(destructor_count(), before + 2);
  }
});

Deno.test("a stop that ends its own call is refused, and C is unwound", () => {
  let close = (): void => {};
  const library = dlopen(
    testBodies,
    stopping((i) => {
      close();
      return i;
    }),
  );
  const { ask_three } = library.symbols;
  close = () => library.close();
  assertThrows(
    () => {
      for (const _ of ask_three.calls()) break;
    },
    Error,
    "Cannot end ask_three: it is being ended, and its stop is asked what C is to be told",
  );
  close = () => {};
  assertEquals(ask_three(() => 1), 111);
  library.close();
});

Deno.test("a stop may make calls of its own", () => {
  using bodies = openBodies();
  using library = dlopen(testBodies, stopping((i) => bodies.symbols.call_n(2, () => i + 1)));
  const { ask_three, asked } = library.symbols;
  for (const _ of ask_three.calls()) break;
  assertEquals(asked(), 246);
});

Deno.test("C that is told its stop a million times is told of, once, with its frames", () => {
  let asks = 0;
  const library = dlopen(testBodies, stopping(() => ++asks === 3_000_000 ? 1 : 0));
  const warnings: unknown[][] = [];
  const { warn } = console;
  console.warn = (...args: unknown[]): void => {
    warnings.push(args);
  };
  try {
    for (const _ of library.symbols.until_nonzero.calls()) break;
  } finally {
    console.warn = warn;
  }
  assertEquals(asks, 3_000_000);
  assertEquals(warnings.length, 1);
  const [text, frames] = warnings[0] as [string, { name: string }[]];
  assertStringIncludes(text, "fringe: until_nonzero is being ended, and has called back 1000000");
  assert(frames.some(({ name }) => name === "until_nonzero"), String(frames));
  library.close();
});

Deno.test("an integer that no number is exact for ends a call, and says so", async () => {
  const number = "u64 as number";
  using library = dlopen(testBodies, {
    call_pointer: {
      parameters: [{ callback: { parameters: [number], result: number } }, number],
      result: number,
    },
    call_elsewhere: {
      name: "call_pointer",
      parameters: [{ callback: { parameters: [number], result: number } }, number],
      result: number,
      nonblocking: true,
    },
  });
  const { call_pointer, call_elsewhere } = library.symbols;
  let asked = 0;
  const plusOne = (value: number): number => (asked++, value + 1);
  const large = 2n ** 60n;
  assertEquals(call_pointer(plusOne, 2 ** 52), 2 ** 52 + 1);
  assertEquals(await call_elsewhere(plusOne, 2 ** 52), 2 ** 52 + 1);
  assertEquals(asked, 2);
  const text = `${large}, which C has given, as a number`;
  assertThrows(() => call_pointer(plusOne, large), RangeError, text);
  await assertRejects(() => call_pointer.async(plusOne, large), RangeError, text);
  await assertRejects(() => call_elsewhere(plusOne, large), RangeError, text);
  assertThrows(() => [...call_pointer.calls(large)], RangeError, text);
  using generator = new Generator<void, unknown>(new OsStack(), function* (yielder) {
    yield* yielder.call(call_pointer, plusOne, large);
  });
  assertThrows(() => generator.next(), RangeError, text);
  assertEquals(asked, 2, "no handler is asked");
  // And what C returns.
  const answer = (): bigint => large;
  assertThrows(() => call_pointer(answer, 1), RangeError, text);
  await assertRejects(() => call_pointer.async(answer, 1), RangeError, text);
  await assertRejects(() => call_elsewhere(answer, 1), RangeError, text);
  assertEquals(call_pointer(plusOne, 1), 2);
});
