// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** `yield* yielder.call(f, ...args)`: calls of TypeScript bodies, in each other, and their ends. */

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { Generator, OsStack, type Yielder } from "../../mod.ts";
import { collectUntil, gc, openBodies } from "../support/support.ts";

Deno.test("Yielder.call() suspends C and the whole generator when a handler yields", () => {
  using library = openBodies();
  using generator = new Generator(new OsStack(), function* (yielder) {
    const sum = yield* yielder.call(library.symbols.call_n, 3, function* (i) {
      const answer: number = yield `asked ${i}`;
      return answer;
    });
    yield `sum ${sum}`;
    return "done";
  });
  const next = generator.next as (input?: number) => IteratorResult<string, string>;
  assertEquals(next.call(generator), { value: "asked 0", done: false });
  assertEquals(next.call(generator, 1), { value: "asked 1", done: false });
  assertEquals(next.call(generator, 10), { value: "asked 2", done: false });
  assertEquals(next.call(generator, 100), { value: "sum 111", done: false });
  assertEquals(next.call(generator), { value: "done", done: true });
});

Deno.test("Yielder.call() takes plain handlers beside generator functions", () => {
  using library = openBodies();
  using generator = new Generator(new OsStack(), function* (yielder) {
    return yield* yielder.call(library.symbols.two_callbacks, (i) => i + 2, function* (i) {
      yield "second";
      return i + 2;
    });
  });
  assertEquals(generator.next(), { value: "second", done: false });
  assertEquals(generator.next(), { value: 304, done: true });
});

Deno.test("Yielder.call() can be nested: each call has a stack of its own", () => {
  using library = openBodies();
  const { call_n } = library.symbols;
  using generator = new Generator(new OsStack(), function* (yielder) {
    return yield* yielder.call(call_n, 2, function* (i): globalThis.Generator<string, number> {
      return yield* yielder.call(call_n, 2, function* (j): globalThis.Generator<string, number> {
        return yield* yielder.call(call_n, 2, function* (k) {
          yield `${i}${j}${k}`;
          return 1;
        });
      });
    });
  });
  assertEquals(generator.take(8).toArray().join(" "), "000 001 010 011 100 101 110 111");
});

Deno.test("Yielder.call() nests three levels: each yield leaves all, each resume goes back", () => {
  using library = openBodies();
  const { call_n, two_callbacks, until_nonzero } = library.symbols;
  using generator = new Generator<number, string>(new OsStack(), function* (yielder, start) {
    const sum = yield* yielder.call(call_n, 2, function* (i) {
      const outer = yield `call_n ${i}`;
      const middle = yield* yielder.call(two_callbacks, function* (j) {
        const inner = yield* yielder.call(until_nonzero, function* (k) {
          return yield `until_nonzero ${i} ${k}`;
        });
        return inner + j;
      }, () => 5);
      return middle + outer;
    });
    yield `sum ${sum + start}`;
  });
  assertEquals(generator.resume(10_000), "call_n 0");
  assertEquals(generator.resume(1), "until_nonzero 0 0");
  gc();
  assertEquals(generator.resume(0), "until_nonzero 0 1");
  // (2 + 1) * 100 + 5 + 1
  assertEquals(generator.resume(2), "call_n 1");
  assertEquals(generator.resume(3), "until_nonzero 1 0");
  // (4 + 1) * 100 + 5 + 3
  assertEquals(generator.resume(4), "sum 10814");
  assertEquals(generator.resume(0), undefined);
});

Deno.test("Yielder.call() uses the stack of the generator, one call after the other", () => {
  using library = openBodies();
  using generator = new Generator(new OsStack(0), function* (yielder) {
    for (let i = 0; i < 5; i++) yield yield* yielder.call(library.symbols.call_n, 2, () => i);
    return yield* yielder.call(library.symbols.add_six, 1, 2, 3, 4, 5, 6);
  });
  assertEquals([0, 1, 2, 3, 4].map(() => generator.resume()), [0, 2, 4, 6, 8]);
  assertEquals(generator.next(), { value: 21n, done: true });
});

Deno.test("Yielder.call() keeps many generators apart that are suspended in C", () => {
  using library = openBodies();
  const generators = Array.from(
    { length: 100 },
    (_, n) =>
      new Generator(new OsStack(16 * 1024), function* (yielder) {
        return yield* yielder.call(library.symbols.call_n, 5, function* (i) {
          yield n * i;
          return n * i;
        });
      }),
  );
  for (let i = 0; i < 5; i++) {
    if (i % 2 === 0) gc();
    for (const [n, generator] of generators.entries()) assertEquals(generator.resume(), n * i);
  }
  for (const [n, generator] of generators.entries()) {
    assertEquals(generator.next(), { value: n * 10, done: true });
    generator[Symbol.dispose]();
  }
});

Deno.test("Yielder.call() stands 1,000 suspensions with a collection between any two", () => {
  using library = openBodies();
  using generator = new Generator(new OsStack(), function* (yielder) {
    return yield* yielder.call(library.symbols.call_n, 1000, function* (i) {
      gc("minor");
      yield { i };
      gc(i % 50 === 0 ? "major" : "minor");
      return 1;
    });
  });
  for (let i = 0; i < 1000; i++) {
    assertEquals(generator.resume(), { i });
    gc("minor");
  }
  assertEquals(generator.next(), { value: 1000, done: true });
});

Deno.test("Yielder.call() gives the body the very error of a handler, once C is unwound", () => {
  using library = openBodies();
  const { with_destructor, destructor_count } = library.symbols;
  const before = destructor_count();
  const thrown = new Error("on purpose");
  using generator = new Generator(new OsStack(), function* (yielder) {
    for (let i = 1; i < 3; i++) {
      try {
        yield* yielder.call(with_destructor, function* () {
          yield "inside";
          throw thrown;
        });
      } catch (error) {
        assertStrictEquals(error, thrown);
        assertEquals(destructor_count(), before + i);
        yield "caught";
      }
    }
    // The generator's stack is free again for the next call.
    return yield* yielder.call(with_destructor, (i) => i);
  });
  const seen = [0, 1, 2, 3].map(() => generator.resume());
  assertEquals(seen, ["inside", "caught", "inside", "caught"]);
  assertEquals(generator.next(), { value: 1, done: true });
});

Deno.test("Yielder.call() that is nested without end leaves a stack that can be used", () => {
  using library = openBodies();
  const { with_destructor, destructor_count, recurses } = library.symbols;
  const before = destructor_count();
  let depth = 0;
  const generator = new Generator<void, never, number>(new OsStack(), function* (yielder) {
    function* recurse(): globalThis.Generator<never, number> {
      depth++;
      return yield* yielder.call(with_destructor, recurse);
    }
    return yield* recurse();
  });
  assertThrows(() => generator.resume(), RangeError, "Maximum call stack size exceeded");
  // V8's stack ends in a handler or on the way to one: then C has been called once more.
  const unwound = destructor_count() - before;
  assert(unwound === depth - 1 || unwound === depth, `${unwound} of ${depth}`);
  using next = new Generator(generator.unwrap() as OsStack, recurses);
  assertEquals(next.resume(100), 100);
});

Deno.test("Yielder.call() lets a handler catch what is thrown into the generator", () => {
  using library = openBodies();
  using generator = new Generator(new OsStack(), function* (yielder) {
    return yield* yielder.call(library.symbols.call_n, 1, function* () {
      try {
        yield "inside";
      } catch {
        return 42;
      }
      return 0;
    });
  });
  generator.resume();
  assertEquals(generator.throw(new Error("caught")), { value: 42, done: true });
});

Deno.test("Yielder.call() unwinds C when the generator is ended from outside", () => {
  using library = openBodies();
  const { with_destructor, destructor_count } = library.symbols;
  const endings: ((generator: Generator<void, string, number>) => unknown)[] = [
    (generator) => generator.return(1),
    (generator) => assertThrows(() => generator.throw(new Error("on purpose")), Error),
    (generator) => generator[Symbol.dispose](),
  ];
  for (const end of endings) {
    const before = destructor_count();
    const order: string[] = [];
    const generator = new Generator(new OsStack(), function* (yielder) {
      try {
        return yield* yielder.call(with_destructor, function* () {
          try {
            yield "inside";
          } finally {
            order.push(`handler ${destructor_count() - before}`);
          }
          return 0;
        });
      } finally {
        order.push(`body ${destructor_count() - before}`);
      }
    });
    assertEquals(generator.resume(), "inside");
    end(generator);
    // The innermost first: the handler, then C, then the body.
    assertEquals(order, ["handler 0", "body 1"]);
    assertEquals(destructor_count(), before + 1);
    generator[Symbol.dispose]();
  }
});

Deno.test("Yielder.call() whose handlers know their generator is unwound with it", async () => {
  using library = openBodies();
  const { with_destructor, destructor_count } = library.symbols;
  const before = destructor_count();
  (() => {
    const generator: Generator<void, string> = new Generator(new OsStack(), function* (yielder) {
      yield* yielder.call(with_destructor, function* () {
        yield generator.state;
        return 1;
      });
    });
    assertEquals(generator.resume(), "unavailable");
  })();
  await collectUntil(() => destructor_count() > before);
  assertEquals(destructor_count(), before + 1);
});

Deno.test("Yielder.call() refuses answers of the wrong type, Promises, and async handlers", () => {
  using library = openBodies();
  const { with_destructor, destructor_count } = library.symbols;
  const cases: readonly (readonly [unknown, string])[] = [
    [() => "1", "must be an integer"],
    [function* () {
      yield 1;
    }, "must be an integer"],
    [async () => await 1, "is a Promise; call the function by .async()"],
    [async function* () {}, "is an async generator, which no form of the call takes"],
  ];
  for (const [handler, text] of cases) {
    const before = destructor_count();
    const generator = new Generator(new OsStack(), function* (yielder) {
      yield* yielder.call(with_destructor, handler as () => number);
    });
    const error = assertThrows(() => [...generator], TypeError, "Cannot answer with_destructor");
    assertStringIncludes(error.message, text);
    assertEquals(destructor_count(), before + 1);
    generator[Symbol.dispose]();
  }
});

Deno.test("Yielder.call() that is yielded without the star: the body hears of it", () => {
  using library = openBodies();
  const { call_n } = library.symbols;
  const seen: string[] = [];
  using generator = new Generator(new OsStack(), function* (yielder) {
    try {
      yield "before";
      yield yielder.call(call_n, 1, () => 1);
    } finally {
      seen.push("finally");
    }
  });
  assertEquals(generator.resume(), "before");
  const error = assertThrows(() => generator.resume(), TypeError, "Cannot resume generator");
  assertStringIncludes(error.message, "its body has yielded a call of call_n that has not begun");
  assertStringIncludes(error.message, "write yield* in place of yield");
  assertEquals(seen, ["finally"]);
  assertEquals(generator.state, "unavailable");
  assertStrictEquals(assertThrows(() => generator.resume(), Error).cause, error);
});

Deno.test("Yielder.call() that a handler yields without the star ends the call around it", () => {
  using library = openBodies();
  const { call_n, with_destructor, destructor_count } = library.symbols;
  const before = destructor_count();
  using generator = new Generator(new OsStack(), function* (yielder) {
    return yield* yielder.call(with_destructor, function* () {
      return yield yielder.call(call_n, 1, () => 1);
    });
  });
  assertThrows(() => generator.next(), TypeError, "write yield* in place of yield");
  assertEquals(destructor_count(), before + 1);
});

Deno.test("Yielder.call() without the star can be caught, and the body goes on", () => {
  using library = openBodies();
  const { call_n } = library.symbols;
  using generator = new Generator(new OsStack(), function* (yielder) {
    try {
      yield yielder.call(call_n, 1, () => 1);
    } catch (error) {
      yield (error as Error).name;
    }
    return yield* yielder.call(call_n, 3, (i) => i);
  });
  assertEquals(generator.next(), { value: "TypeError", done: false });
  assertEquals(generator.next(), { value: 3, done: true });
});

Deno.test("Yielder.call() that never begins is an error when the body returns", () => {
  using library = openBodies();
  const { call_n, add_six } = library.symbols;
  const bodies: readonly ((yielder: Yielder) => globalThis.Generator)[] = [
    function* (yielder) {
      yielder.call(call_n, 1, () => 1);
      yield* yielder.call(add_six, 1, 2, 3, 4, 5, 6);
    },
    function* (yielder) {
      yield* yielder.call(add_six, 1, 2, 3, 4, 5, 6);
      return yielder.call(call_n, 1, () => 1);
    },
  ];
  const messages = bodies.map((body) => {
    using generator = new Generator(new OsStack(), body);
    const error = assertThrows(() => generator.next(), TypeError, "its body has returned, and");
    assertEquals(generator.state, "unavailable");
    return error.message;
  });
  // Only of the call that was made last the name is known.
  assertStringIncludes(messages[0]!, "a call never began; write yield* before yielder.call()");
  assertStringIncludes(messages[1]!, "a call of call_n never began");
});

Deno.test("Yielder.call() may begin later than it is made, or never if the body is left", () => {
  using library = openBodies();
  const { call_n } = library.symbols;
  using generator = new Generator(new OsStack(), function* (yielder) {
    const [one, two] = [1, 2].map((n) => yielder.call(call_n, n, () => n));
    yield "made";
    return [yield* two!, yield* one!].join();
  });
  assertEquals([generator.next().value, generator.next().value], ["made", "4,1"]);
  const thrown = new Error("on purpose");
  for (const end of ["return", "throw"] as const) {
    const left = new Generator(new OsStack(), function* (yielder) {
      yielder.call(call_n, 1, () => 1);
      yield "left";
    });
    left.next();
    if (end === "return") assertEquals(left.return(), { value: undefined, done: true });
    else assertStrictEquals(assertThrows(() => left.throw(thrown)), thrown);
    left[Symbol.dispose]();
  }
});

Deno.test("Yielder.call() that waits does not touch what else the body yields", () => {
  using library = openBodies();
  const { call_n } = library.symbols;
  let seen = 0;
  const value: object = new Proxy({}, {
    getPrototypeOf() {
      seen++;
      throw new Error("on purpose");
    },
    has: () => {
      seen++;
      return true;
    },
  });
  using generator = new Generator(new OsStack(), function* (yielder) {
    const call = yielder.call(call_n, 1, () => 7);
    yield value;
    return yield* call;
  });
  assertStrictEquals(generator.next().value, value);
  assertEquals(seen, 0);
  assertEquals(generator.next(), { value: 7, done: true });
});

Deno.test("Yielder.call() that waits does not lose a result that cannot be looked at", () => {
  using library = openBodies();
  const { call_n } = library.symbols;
  const result = {
    done: false,
    get value(): string {
      throw new Error("on purpose");
    },
  };
  using generator = new Generator(new OsStack(), function* (yielder) {
    const call = yielder.call(call_n, 1, () => 7);
    yield* { [Symbol.iterator]: () => ({ next: () => result }) };
    return yield* call;
  });
  assertStrictEquals(generator.next() as unknown, result);
});

Deno.test("Yielder.call() without the star, and caught, can come as often as it likes", () => {
  using library = openBodies();
  const { call_n } = library.symbols;
  let caught = 0;
  using generator = new Generator(new OsStack(), function* (yielder) {
    for (let i = 0; i < 20_000; i++) {
      try {
        yield yielder.call(call_n, 1, () => 1);
      } catch {
        caught++;
      }
    }
    return "result";
  });
  assertEquals(generator.next() as unknown, { value: "result", done: true });
  assertEquals(caught, 20_000);
});

Deno.test("Yielder.call() without the star, told at the second try of a step", () => {
  using library = openBodies();
  const { call_n } = library.symbols;
  // V8's stack is used up at the first try of the first step, which then has not been taken.
  let tries = 0;
  const body = (yielder: Yielder): globalThis.Generator<unknown, string, unknown> => {
    const machine = (function* () {
      try {
        yield yielder.call(call_n, 1, () => 1);
      } catch {
        return "result";
      }
      return "not told";
    })();
    const { next } = machine;
    return Object.assign(machine, {
      next() {
        if (tries++ === 0) throw new RangeError("Maximum call stack size exceeded");
        return next.call(machine);
      },
    });
  };
  Object.assign(body, { [Symbol.toStringTag]: "GeneratorFunction" });
  using generator = new Generator(new OsStack(), body);
  assertEquals(generator.next(), { value: "result", done: true });
});

Deno.test("Yielder.call() without the star is told each time, and can begin after that", () => {
  using library = openBodies();
  const { call_n } = library.symbols;
  const seen: string[] = [];
  const body = function* (yielder: Yielder): globalThis.Generator<unknown, void, unknown> {
    const call = yielder.call(call_n, 1, () => 7);
    for (let i = 0; i < 2; i++) {
      try {
        yield call;
      } catch (error) {
        seen.push((error as Error).message);
      }
    }
    yield yield* call;
    yield yielder.call(call_n, 1, () => 7);
  };
  using generator = new Generator(new OsStack(), body);
  assertEquals(generator.next(), { value: 7, done: false });
  assertEquals(seen.length, 2);
  for (const message of seen) assertStringIncludes(message, "a call of call_n that has not begun");
  assertThrows(() => generator.next(), TypeError, "write yield* in place of yield");
});

Deno.test("Yielder.call() that has ended, or is another's, is a value like any other", () => {
  using library = openBodies();
  const { call_n } = library.symbols;
  const calls: unknown[] = [];
  const make = (yielder: Yielder) => yielder.call(call_n, 1, () => 7);
  using owner = new Generator(new OsStack(), function* (yielder) {
    const call = make(yielder);
    calls.push(call);
    yield "made";
    return yield* call;
  });
  owner.next();
  using generator = new Generator(new OsStack(), function* (yielder) {
    const ended = make(yielder);
    calls.push(ended);
    yield* ended;
    const waits = make(yielder);
    yield calls[0];
    yield calls[1];
    yield yield* waits;
    yield make(yielder);
  });
  assertStrictEquals(generator.next().value, calls[0]);
  assertStrictEquals(generator.next().value, calls[1]);
  assertEquals(generator.next().value, 7);
  assertThrows(() => generator.next(), TypeError, "write yield* in place of yield");
  assertEquals(owner.next(), { value: 7, done: true });
});

Deno.test("Yielder.call() that is ended before it begins owes nothing", () => {
  using library = openBodies();
  const { call_n } = library.symbols;
  const thrown = new Error("on purpose");
  using generator = new Generator(new OsStack(), function* (yielder) {
    const [one, two] = [1, 2].map((n) => yielder.call(call_n, n, () => n));
    assertEquals(one!.return(5), { value: 5, done: true });
    assertStrictEquals(assertThrows(() => two!.throw(thrown)), thrown);
    {
      using _three = yielder.call(call_n, 3, () => 3);
    }
    yield one;
    return "result";
  });
  assertEquals(Object.prototype.toString.call(generator.next().value), "[object Generator]");
  assertEquals(generator.next() as unknown, { value: "result", done: true });
});

Deno.test("Yielder.call() that others make by a yielder costs the body no result", () => {
  using library = openBodies();
  const { call_n } = library.symbols;
  let yielder!: Yielder;
  using generator = new Generator(new OsStack(), function* (own) {
    yielder = own;
    yield 1;
    return "result";
  });
  generator.next();
  yielder.call(call_n, 1, () => 1);
  assertEquals(generator.next(), { value: "result", done: true });
});

Deno.test("Yielder.call() owes nothing if the body is ended, and a finally block yields", () => {
  using library = openBodies();
  const { call_n } = library.symbols;
  using generator = new Generator(new OsStack(), function* (yielder) {
    yielder.call(call_n, 1, () => 1);
    try {
      yield "value";
    } finally {
      yield "finally";
    }
  });
  for (const value of generator) {
    assertEquals(value, "value");
    break;
  }
  assertEquals(generator.next(), { value: undefined, done: true });
});

Deno.test("Yielder.call() that a generator handler returns without the star is told so", () => {
  using library = openBodies();
  const { call_n } = library.symbols;
  using generator = new Generator(new OsStack(), function* (yielder) {
    try {
      yield* yielder.call(call_n, 1, function* () {
        return yielder.call(call_n, 1, () => 1) as unknown as number;
      });
    } catch (error) {
      yield (error as Error).message;
    }
    return "result";
  });
  assertEquals(
    generator.next().value,
    "Cannot answer call_n: the result of callback parameter 1 is a call of call_n that has not " +
      "begun; write yield* before yielder.call()",
  );
  // It has been told, so it is not told again.
  assertEquals(generator.next() as unknown, { value: "result", done: true });
});

Deno.test("Yielder.call() says what makes a generator of a body", () => {
  using library = openBodies();
  using generator = new Generator(new OsStack(), function* (yielder) {
    // @ts-expect-error A body is no function.
    yield* yielder.call(library.symbols.echo_i32, 1);
  });
  assertThrows(
    () => generator.next(),
    TypeError,
    "Cannot call echo_i32: it is a generator body; make a generator of it by new Generator(",
  );
});

Deno.test("Yielder.call() refuses what dlopen has not given", () => {
  const seen: unknown[] = [];
  using generator = new Generator(new OsStack(), function* (yielder) {
    const call = yielder.call as (f: unknown, ...args: unknown[]) => unknown;
    for (const f of [() => 1, Math.max, null, undefined, {}, "qsort", function* () {}]) {
      seen.push(assertThrows(() => call(f), TypeError, "Cannot call ").message);
    }
    yield;
  });
  generator.resume();
  assertEquals(seen.length, 7);
  for (const message of seen) {
    assertStringIncludes(
      message as string,
      "yielder.call() takes a function that dlopen has given in this Worker",
    );
  }
});

Deno.test("Yielder.call() checks its arguments as f() does", () => {
  using library = openBodies();
  const generator = new Generator(new OsStack(), function* (yielder) {
    const call = yielder.call as (...args: unknown[]) => Iterable<unknown>;
    for (
      const args of [[], ["1", () => 1], [1, 1], [1, undefined]]
    ) {
      const error = assertThrows(
        () => [...call(library.symbols.call_n, ...args)],
        TypeError,
        "Cannot call call_n",
      );
      yield error.message;
    }
  });
  assertEquals([...generator].length, 4);
});

Deno.test("Yielder.call() of a body that is not running is refused", () => {
  using library = openBodies();
  const { call_n } = library.symbols;
  let yielder!: Yielder;
  const generator = new Generator(new OsStack(), function* (own) {
    yielder = own;
    yield 1;
  });
  generator.resume();
  for (const state of ["suspended", "returned"]) {
    const error = assertThrows(
      () => [...yielder.call(call_n, 1, () => 1)],
      Error,
      "Cannot call call_n",
      state,
    );
    assertStringIncludes(error.message, "the generator of this yielder is not running its body");
    generator.resume();
  }
  assert(Object.isFrozen(yielder));
});

Deno.test("Yielder.call() that another generator took over ends with its own", () => {
  using library = openBodies();
  const { with_destructor, destructor_count } = library.symbols;
  const before = destructor_count();
  let stolen!: Iterator<string, number>;
  const stack = new OsStack();
  const owner = new Generator(stack, function* (yielder) {
    stolen = yielder.call(with_destructor, function* () {
      yield "inside";
      return 1;
    });
    assertEquals(stolen.next(), { value: "inside", done: false });
    yield "suspended";
  });
  assertEquals(owner.resume(), "suspended");
  owner.return();
  assertEquals(destructor_count(), before + 1);
  // Its stack is another's now; the call must not run there.
  using next = new Generator(owner.unwrap() as OsStack, library.symbols.echo_i32);
  assertEquals(next.resume(1), 1);
  const error = assertThrows(() => stolen.next(), Error, "Cannot go on with with_destructor");
  assertStringIncludes(error.message, "the call has been ended");
  assertEquals(next.resume(2), 2);
});

Deno.test("Yielder.call() that fails leaves alone what another generator calls meanwhile", () => {
  using library = openBodies();
  const { call_n } = library.symbols;
  // The answer ends the outer call only: it is a RangeError, but V8's stack is not used up.
  using outer = new Generator(new OsStack(), function* (yielder) {
    using inner = new Generator(new OsStack(), function* () {
      return yield* yielder.call(call_n, 1, function* (i) {
        yield "inner";
        return i + 1;
      });
    });
    try {
      yield* yielder.call(call_n, 1, () => {
        assertEquals(inner.resume(), "inner");
        return 2 ** 31;
      });
    } catch (error) {
      assertInstanceOf(error, RangeError);
    }
    return inner.next().value;
  });
  assertEquals(outer.next(), { value: 1, done: true });
});

Deno.test("Yielder.call() of a library that closes gives the body an error to catch", () => {
  using keeper = openBodies();
  const { destructor_count } = keeper.symbols;
  const before = destructor_count();
  const library = openBodies();
  using generator = new Generator(new OsStack(), function* (yielder) {
    try {
      yield* yielder.call(library.symbols.with_destructor, function* () {
        yield "inside";
        return 1;
      });
    } catch (error) {
      yield (error as Error).message;
    }
    try {
      yield* yielder.call(library.symbols.call_n, 1, () => 1);
    } catch (error) {
      yield (error as Error).message;
    }
    return yield* yielder.call(keeper.symbols.call_n, 3, (i) => i);
  });
  assertEquals(generator.resume(), "inside");
  library.close();
  assertEquals(destructor_count(), before + 1);
  assertStringIncludes(generator.resume() ?? "", "Cannot go on with with_destructor");
  assertStringIncludes(generator.resume() ?? "", "Cannot call call_n");
  assertEquals(generator.next(), { value: 3, done: true });
});
