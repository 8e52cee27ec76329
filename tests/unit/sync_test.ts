// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** The plain form, `f(...args)`; what all forms share is tested by it. */

import {
  assert,
  assertEquals,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { CONVENTION } from "../../ffi/call/placement.ts";
import { Callback, dlopen, Generator, OwnedStack, PointerView } from "../../mod.ts";
import { gc, openBodies, testBodies } from "../support/support.ts";

Deno.test("f() calls C with arguments of every integer type, and gives the result", () => {
  using library = openBodies();
  const { add_six } = library.symbols;
  assertEquals(add_six(-1, 2, -3, 4, -5n, 6n), 3n);
  assertEquals(add_six(-128, 65535, -(2 ** 31), 2 ** 32 - 1, -(2n ** 63n), 2n ** 63n), 2147549054n);
  assertEquals(add_six(127, 0, 2 ** 31 - 1, 0, 2n ** 63n - 1n, 0), -9223372034707292035n + 0n);
});

Deno.test("f() passes buffers of every kind by address", () => {
  using library = openBodies();
  const { sum_buffer } = library.symbols;
  const bytes = Uint8Array.of(1, 2, 3, 250);
  assertEquals(sum_buffer(bytes, 4), 256n);
  assertEquals(sum_buffer(bytes.subarray(1, 3), 2), 5n);
  assertEquals(sum_buffer(bytes.buffer, 4), 256n);
  assertEquals(sum_buffer(new DataView(bytes.buffer, 3), 1), 250n);
  assertEquals(sum_buffer(Uint16Array.of(0x0102), 2n), 3n);
  assertEquals(sum_buffer(new Uint8Array(0), 0), 0n);
  assertEquals(sum_buffer(null, 0), 0n);
  assertEquals(sum_buffer(new Uint8Array(100_000).fill(1), 100_000), 100_000n);
});

Deno.test("f() passes strings as UTF-8 with a zero at the end", () => {
  using library = openBodies();
  const { string_length } = library.symbols;
  assertEquals(string_length(""), 0n);
  assertEquals(string_length("one"), 3n);
  assertEquals(string_length("grün"), 5n);
  assertEquals(string_length("🙂".repeat(5000)), 20_000n);
});

Deno.test("f() passes pointers, and null, both ways", () => {
  using library = openBodies();
  const { same_pointer, call_pointer } = library.symbols;
  assertEquals(same_pointer(null), null);
  let seen: Deno.PointerValue | undefined;
  assertEquals(
    call_pointer((pointer) => {
      seen = pointer;
      return pointer;
    }, null),
    null,
  );
  assertStrictEquals(seen, null);
});

Deno.test("f() gives callbacks arguments of every type, at their extremes", () => {
  using library = openBodies();
  const seen: unknown[] = [];
  const result = library.symbols.call_six((...args) => {
    seen.push(...args);
    return -(2n ** 63n);
  });
  assertEquals(seen, [-1, 255, -2, 2 ** 32 - 1, -3n, 2n ** 64n - 1n]);
  assertEquals(result, -(2n ** 63n));
});

Deno.test("f() takes the answers of callbacks, in every type", () => {
  using library = openBodies();
  const { call_n, call_bool, call_void, call_six } = library.symbols;
  assertEquals(call_n(5, (i) => i * i), 30);
  assertEquals(call_n(1, () => -(2 ** 31)), -(2 ** 31));
  assertEquals(call_bool((truth) => truth), true);
  assertEquals(call_bool((truth) => !truth), false);
  let calls = 0;
  assertEquals(call_void(() => void calls++), undefined);
  assertEquals(calls, 1);
  assertEquals(call_six(() => 7), 7n);
});

Deno.test("f() decodes strings for callbacks, and null as null", () => {
  using library = openBodies();
  const seen: (string | null)[] = [];
  library.symbols.each_string((string) => {
    seen.push(string);
    return 0;
  });
  assertEquals(seen, ["", "one", "grün", null]);
});

Deno.test("f() keeps several callbacks apart", () => {
  using library = openBodies();
  const seen: string[] = [];
  const result = library.symbols.two_callbacks(
    (i) => (seen.push(`f${i}`), 3),
    (i) => (seen.push(`g${i}`), 4),
  );
  assertEquals(result, 304);
  assertEquals(seen, ["f1", "g2"]);
});

Deno.test("f() can be called by its own handler, and by that one's", () => {
  using library = openBodies();
  const { call_n } = library.symbols;
  const nest = (depth: number): number => depth === 0 ? 1 : call_n(2, () => nest(depth - 1));
  assertEquals(nest(8), 256);
});

Deno.test("f() stands 100,000 callbacks in one call, with collections between them", () => {
  using library = openBodies();
  let sum = 0;
  const result = library.symbols.call_n(100_000, (i) => {
    if (i % 1000 === 0) gc("minor");
    if (i % 20_000 === 0) gc();
    sum += i % 3;
    return i % 3;
  });
  assertEquals(result, sum);
});

Deno.test("f() stands a collection in each of 1,000 callbacks", () => {
  using library = openBodies();
  let made: unknown;
  const sum = library.symbols.call_n(1000, (i) => {
    made = Array.from({ length: 100 }, () => ({ i }));
    gc(i % 50 === 0 ? "major" : "minor");
    return 1;
  });
  assertEquals(sum, 1000);
  assert(made);
});

Deno.test("f() keeps strings and buffers where they are while handlers collect", () => {
  // The same function, told to be something else: it passes on what it is given.
  using library = dlopen(testBodies, {
    pass: {
      name: "call_pointer",
      parameters: [{ callback: { parameters: ["pointer"], result: "pointer" } }, "cstring"],
      result: "pointer",
    },
    pass_buffer: {
      name: "call_pointer",
      parameters: [{ callback: { parameters: ["pointer"], result: "pointer" } }, "buffer"],
      result: "pointer",
    },
  });
  const { pass, pass_buffer } = library.symbols;
  const collect = () => {
    const garbage = Array.from({ length: 1000 }, (_, i) => new Uint8Array([i, i, i]));
    gc("minor");
    gc();
    return garbage.length;
  };
  for (const length of [1, 7, 20, 63, 64, 65, 200, 5000]) {
    const string = "x".repeat(length);
    pass((pointer) => {
      collect();
      assertEquals(new PointerView(pointer!).getCString(), string);
      return null;
    }, string);
    // No `.buffer` is asked for before the call: V8 may still have the bytes in its moving heap.
    const bytes = new Uint8Array(length).fill(length);
    pass_buffer((pointer) => {
      collect();
      const copy = new Uint8Array(length);
      new PointerView(pointer!).copyInto(copy);
      assertEquals(copy, new Uint8Array(length).fill(length));
      return null;
    }, bytes);
  }
});

// What goes wrong

Deno.test("f() counts its arguments", () => {
  using library = openBodies();
  const call_n = library.symbols.call_n as (...args: unknown[]) => unknown;
  for (const args of [[], [1], [1, () => 1, 2]]) {
    const error = assertThrows(() => call_n(...args), TypeError, "Cannot call call_n");
    assertStringIncludes(error.message, `it takes 2 arguments here: got ${args.length}`);
  }
});

Deno.test("f() says which argument has the wrong type, and what it should be", () => {
  using library = openBodies();
  const { symbols } = library;
  // deno-lint-ignore no-explicit-any -- what a program without types can pass
  const call = (f: any, ...args: unknown[]) => () => f(...args);
  const detached = new Uint8Array(8);
  detached.buffer.transfer();
  const cases: readonly (readonly [() => unknown, string])[] = [
    [call(symbols.call_n, "1", () => 1), "argument 0 must be an integer from -2147483648"],
    [call(symbols.call_n, 1n, () => 1), "as a number: got 1n"],
    [
      call(symbols.call_n, 1, 5),
      "argument 1 must be a function that answers the callback, or a Callback: got 5",
    ],
    [call(symbols.call_n, 1, undefined), "argument 1 must be a function"],
    [call(symbols.call_n, 1, null), 'got null; to pass NULL to C, declare the parameter as "fun'],
    [call(symbols.call_n, 1, {}), "argument 1 must be a function"],
    [
      call(symbols.sum_buffer, "x", 1),
      "argument 0 must be an ArrayBuffer, a view over one, or null",
    ],
    [call(symbols.sum_buffer, undefined, 1), "argument 0 must be an ArrayBuffer"],
    [call(symbols.sum_buffer, [1], 1), "argument 0 must be an ArrayBuffer"],
    [call(symbols.sum_buffer, new SharedArrayBuffer(8), 8), "argument 0 must not be over shared"],
    [
      call(symbols.sum_buffer, new Uint8Array(new SharedArrayBuffer(8)), 8),
      "argument 0 must not be over shared memory",
    ],
    [call(symbols.sum_buffer, detached, 0), "argument 0 must be attached"],
    [call(symbols.sum_buffer, detached.buffer, 0), "its buffer has been transferred elsewhere"],
    [
      call(symbols.sum_buffer, new Uint8Array(new ArrayBuffer(8, { maxByteLength: 16 })), 8),
      "argument 0 must have a fixed length",
    ],
    [call(symbols.string_length, 5), "argument 0 must be a string or null (cstring): got 5"],
    [call(symbols.string_length, undefined), "argument 0 must be a string or null (cstring)"],
    [call(symbols.string_length, new Uint8Array(1)), "argument 0 must be a string"],
    [call(symbols.string_length, "a\0b"), "must not contain the character U+0000"],
    [call(symbols.same_pointer, 5), "argument 0 must be a Deno.PointerObject or null (pointer)"],
    [call(symbols.same_pointer, 5n), "argument 0 must be a Deno.PointerObject or null"],
    [call(symbols.same_pointer, {}), "argument 0 must be a Deno.PointerObject or null"],
    [call(symbols.same_pointer, new Uint8Array(8)), 'declare it as "buffer", or pass PointerView'],
    [
      call(symbols.keep, Object.create({ constructor: class UnsafeCallback {} })),
      "use a Callback: it would run JavaScript on the fringe stack",
    ],
    [call(symbols.keep, () => 1), "pass a Callback or a function of dlopen, or declare the par"],
    [
      call(symbols.keep, 5),
      "argument 0 must be a Callback, a function of dlopen, a Deno.PointerObject or null",
    ],
    [call(symbols.same_pointer, undefined), "argument 0 must be a Deno.PointerObject or null"],
    [call(symbols.add_six, true, 0, 0, 0, 0, 0), "argument 0 must be an integer from -128 to 127"],
  ];
  for (const [f, text] of cases) {
    const error = assertThrows(f, TypeError, "Cannot call ");
    assertStringIncludes(error.message, text);
  }
});

Deno.test("f() refuses integers that are out of range", () => {
  using library = openBodies();
  const { add_six } = library.symbols;
  const wrong: (number | bigint)[][] = [
    [-129, 0, 0, 0, 0, 0],
    [128, 0, 0, 0, 0, 0],
    [0, -1, 0, 0, 0, 0],
    [0, 65536, 0, 0, 0, 0],
    [0, 0, 2 ** 31, 0, 0, 0],
    [0, 0, 0.5, 0, 0, 0],
    [0, 0, NaN, 0, 0, 0],
    [0, 0, 0, -1, 0, 0],
    [0, 0, 0, 2 ** 32, 0, 0],
    [0, 0, 0, 0, 2n ** 63n, 0],
    [0, 0, 0, 0, 2 ** 53, 0],
    [0, 0, 0, 0, 0, -1],
    [0, 0, 0, 0, 0, 2n ** 64n],
    [0, 0, 0, 0, 0, 1e300],
    [0, 0, 0, 0, 0, -Infinity],
  ];
  for (const args of wrong) {
    const at = args.findIndex((arg) => arg !== 0);
    const f = () => (add_six as (...args: unknown[]) => unknown)(...args);
    assertThrows(f, RangeError, `Cannot call add_six: argument ${at} must be an integer from`);
  }
});

Deno.test("f() throws the very error of a handler, after C's destructors have run", () => {
  using library = openBodies();
  const { symbols } = library;
  const counted = [
    [symbols.with_destructor, symbols.destructor_count],
    [symbols.with_cleanup, symbols.cleanup_count],
  ] as const;
  for (const [f, count] of counted) {
    for (const thrown of [new Error("on purpose"), "a string", undefined]) {
      const before = count();
      const caught = assertThrows(() =>
        f(() => {
          assertEquals(count(), before);
          throw thrown;
        })
      );
      assertStrictEquals(caught, thrown);
      assertEquals(count(), before + 1);
      // Neither the function nor the stack is any the worse.
      assertEquals(f((i) => i), 1);
      assertEquals(count(), before + 2);
    }
  }
});

Deno.test("f() unwinds nested calls, the innermost first, when a handler throws", () => {
  using library = openBodies();
  const { with_destructor, destructor_count } = library.symbols;
  const before = destructor_count();
  const counts: number[] = [];
  const nest = (depth: number): number =>
    with_destructor(() => {
      if (depth === 0) throw new Error("on purpose");
      try {
        return nest(depth - 1);
      } finally {
        counts.push(destructor_count() - before);
      }
    });
  assertThrows(() => nest(3), Error, "on purpose");
  assertEquals(counts, [1, 2, 3]);
  assertEquals(destructor_count(), before + 4);
});

Deno.test("f() that calls itself without end overflows V8's stack only, and unwinds each", () => {
  using library = openBodies();
  const { with_destructor, destructor_count } = library.symbols;
  for (let round = 0; round < 10; round++) {
    const before = destructor_count();
    let depth = 0;
    const recurse = (): number => {
      depth++;
      return with_destructor(recurse);
    };
    // From another depth each time, so that the overflow comes at another place.
    const pad = (frames: number): number => frames === 0 ? recurse() : pad(frames - 1);
    assertThrows(() => pad(round), RangeError, "Maximum call stack size exceeded");
    // The last of them did not get as far as C.
    assertEquals(destructor_count() - before, depth - 1);
    assertEquals(with_destructor(() => 5), 5);
  }
});

Deno.test("f() refuses an answer of the wrong type, and unwinds C", () => {
  using library = openBodies();
  const { with_destructor, destructor_count, call_bool, call_pointer } = library.symbols;
  for (const answer of ["1", undefined, null, 1n, true, {}, () => 1]) {
    const before = destructor_count();
    const error = assertThrows(
      () => (with_destructor as (f: unknown) => unknown)(() => answer),
      TypeError,
      "Cannot answer with_destructor: the result of callback parameter 0",
    );
    assertStringIncludes(error.message, "must be an integer from -2147483648 to 2147483647 (i32)");
    assertEquals(destructor_count(), before + 1);
  }
  for (const answer of [2 ** 31, 0.5, NaN]) {
    assertThrows(() => with_destructor(() => answer), RangeError, "Cannot answer with_destructor");
  }
  assertThrows(
    () => (call_bool as (f: unknown) => unknown)(() => 1),
    TypeError,
    "must be a boolean",
  );
  assertThrows(
    () => (call_pointer as (f: unknown, p: null) => unknown)(() => 0n, null),
    TypeError,
    "must be a Deno.PointerObject or null",
  );
});

Deno.test("f() says what to use for a handler that returns a Promise", () => {
  using library = openBodies();
  const { with_destructor, destructor_count } = library.symbols;
  const f = with_destructor as unknown as (handler: () => unknown) => number;
  const handlers = [async () => await 1, () => Promise.resolve(1), () => ({ then() {} })];
  for (const handler of handlers) {
    const before = destructor_count();
    const error = assertThrows(() => f(handler), TypeError, "Cannot answer with_destructor");
    assertStringIncludes(error.message, "is a Promise");
    assertStringIncludes(error.message, "call the function by .async(), which awaits it");
    assertEquals(destructor_count(), before + 1);
  }
});

Deno.test("f() lets no rejected Promise of a refused handler end the process", async () => {
  using library = openBodies();
  const f = library.symbols.with_destructor as unknown as (handler: () => unknown) => number;
  // A rejection that nobody has seen would end this test run.
  assertThrows(() => f(() => Promise.reject(new Error("not seen"))), TypeError, "is a Promise");
  assertThrows(
    () =>
      f(async () => {
        await 1;
        throw new Error("not seen either");
      }),
    TypeError,
    "is a Promise",
  );
  await new Promise((resolve) => setTimeout(resolve));
});

Deno.test("f() says what to use for a handler that is a generator function", () => {
  using library = openBodies();
  const { with_destructor, destructor_count } = library.symbols;
  const f = with_destructor as unknown as (handler: () => unknown) => number;
  const before = destructor_count();
  const error = assertThrows(() => f(function* () {}), TypeError, "Cannot call with_destructor");
  assertStringIncludes(error.message, "argument 0 is a generator function");
  assertStringIncludes(error.message, "yield* yielder.call()");
  // It has been refused before C was called.
  assertEquals(destructor_count(), before);
  const given = (function* () {})();
  const other = assertThrows(() => f(() => given), TypeError, "Cannot answer with_destructor");
  assertStringIncludes(other.message, "is a generator");
  assertStringIncludes(other.message, "yield* yielder.call()");
  assertEquals(destructor_count(), before + 1);
});

Deno.test("f() does not go on when a handler has detached a buffer that C uses", () => {
  using library = dlopen(testBodies, {
    pass: {
      name: "call_pointer",
      parameters: [{ callback: { parameters: ["pointer"], result: "pointer" } }, "buffer"],
      result: "pointer",
    },
  });
  const memory = new WebAssembly.Memory({ initial: 1 });
  const bytes = new Uint8Array(64);
  const cases: readonly (readonly [Uint8Array<ArrayBuffer> | ArrayBuffer, () => void])[] = [
    [bytes, () => void structuredClone(bytes.buffer, { transfer: [bytes.buffer] })],
    [new Uint8Array(memory.buffer as ArrayBuffer), () => void memory.grow(1)],
  ];
  for (const [buffer, detach] of cases) {
    const error = assertThrows(
      () =>
        library.symbols.pass(() => {
          detach();
          return null;
        }, buffer),
      TypeError,
      "Cannot go on with pass",
    );
    assertStringIncludes(error.message, "a buffer among its arguments was detached");
    assertStringIncludes(error.message, "transfer it after the call");
  }
  const thrown = new Error("on purpose");
  const other = new Uint8Array(64);
  const caught = assertThrows(() =>
    library.symbols.pass(() => {
      other.buffer.transfer();
      throw thrown;
    }, other)
  );
  assertStrictEquals(caught, thrown);
});

Deno.test("f() does not go on when the buffer that a handler has answered is detached", () => {
  using library = dlopen(testBodies, {
    // A callback that gives memory to C; 32 bits of its address are summed.
    allocate: {
      name: "call_n",
      parameters: ["i32", { callback: { parameters: ["i32"], result: "buffer" } }],
      result: "i32",
    },
  });
  const first = new Uint8Array(64);
  let calls = 0;
  const error = assertThrows(
    () =>
      library.symbols.allocate(3, () => {
        if (++calls === 1) return first;
        first.buffer.transfer();
        return null;
      }),
    TypeError,
    "was detached while",
  );
  assertStringIncludes(error.message, "Cannot go on with allocate");
  assertEquals(calls, 2);
});

Deno.test("f() is frozen, and named as its symbol", () => {
  using library = openBodies();
  const { call_n, until_stopped } = library.symbols;
  assertEquals(call_n.name, "call_n");
  assertEquals(until_stopped.name, "until_stopped");
  for (const object of [call_n, library.symbols, library]) assert(Object.isFrozen(object));
});

Deno.test("f() looks again whether the library is open once it has read its arguments", () => {
  const library = openBodies();
  const handler = new Proxy((i: number) => i, {
    getPrototypeOf() {
      library.close();
      return Function.prototype;
    },
  });
  assertThrows(() => library.symbols.call_n(1, handler), Error, "has been closed");
});

Deno.test("f() believes no buffer that lies about itself, and runs none of its code", () => {
  using library = openBodies();
  const { call_n, sum_buffer } = library.symbols;
  const bytes = new Uint8Array([1, 2, 3]);
  for (const name of ["buffer", "byteOffset", "byteLength", "length"]) {
    Object.defineProperty(bytes, name, {
      get(): never {
        throw new Error("It has been asked");
      },
    });
  }
  assertEquals(sum_buffer(bytes, 3), 6n);
  class Liar extends ArrayBuffer {
    override get detached(): boolean {
      return false;
    }
    override get resizable(): boolean {
      return false;
    }
  }
  const detached = new Liar(8);
  detached.transfer();
  assertThrows(() => sum_buffer(detached, 8), TypeError, "argument 0 must be attached");
  const resizable = new Liar(8, { maxByteLength: 16 });
  assertThrows(() => sum_buffer(resizable, 8), TypeError, "argument 0 must have a fixed length");
  const passed = new Liar(8);
  using other = dlopen(testBodies, {
    pass: {
      name: "call_pointer",
      parameters: [{ callback: { parameters: ["pointer"], result: "pointer" } }, "buffer"],
      result: "pointer",
    },
  });
  const transferring = (pointer: Deno.PointerValue) => {
    passed.transfer();
    return pointer;
  };
  assertThrows(() => other.symbols.pass(transferring, passed), TypeError, "was detached");
  assertEquals(call_n(1, (i) => i), 0);
});

Deno.test("f() refuses a stack that its arguments alone would fill", () => {
  const parameters = Array(127).fill("i64");
  using library = dlopen(testBodies, {
    sum: { name: "add_six", parameters, result: "i64" },
  });
  using generator = Generator.unguarded(new OwnedStack(1024), function* (yielder) {
    yield* yielder.call(library.symbols.sum, ...parameters.map(() => 1n));
  });
  const error = assertThrows(
    () => generator.resume(),
    RangeError,
    "Cannot call sum: its stack has",
  );
  const onStack = parameters.length - CONVENTION.integers;
  assertStringIncludes(error.message, `1024 bytes, and ${onStack} words of its arguments are`);
});

Deno.test("f() gives the error of its handler though a cleanup of C calls back", () => {
  using library = openBodies();
  const { calls_in_cleanup, call_n } = library.symbols;
  const error = new Error("of the handler");
  const asked: number[] = [];
  const handler = (i: number): number => {
    asked.push(i);
    throw error;
  };
  assertStrictEquals(assertThrows(() => calls_in_cleanup(handler)), error);
  // The cleanup has been told to end, too: nobody listens any more.
  assertEquals(asked, [1]);
  assertEquals(call_n(2, (i) => i), 1);
});

// What to write instead

Deno.test("f() says which arguments are missing, and that one of them is to answer", () => {
  using library = openBodies();
  const call_n = library.symbols.call_n as (...args: unknown[]) => unknown;
  const message = (...args: unknown[]): string =>
    assertThrows(() => call_n(...args), TypeError).message;
  const answer = "argument 1 (the function that answers its callback)";
  assertStringIncludes(message(), `missing: argument 0 (i32), ${answer}`);
  assertStringIncludes(message(1), `got 1; missing: ${answer}`);
  assertStringIncludes(message(1, () => 1, {}), "options such as { signal } are for .async()");
});

Deno.test("f() says that a handler is passed, and not called", () => {
  using library = openBodies();
  const call_n = library.symbols.call_n as (...args: unknown[]) => unknown;
  for (const value of [(function* () {})(), Promise.resolve(1)]) {
    const error = assertThrows(() => call_n(1, value), TypeError, "argument 1 must be a function");
    assertStringIncludes(error.message, "pass the function itself, and do not call it");
  }
});

Deno.test("f() says what an async generator function cannot answer, and what can", () => {
  using library = openBodies();
  const call_n = library.symbols.call_n as (...args: unknown[]) => unknown;
  const error = assertThrows(
    () => call_n(1, async function* () {}),
    TypeError,
    "is an async generator, which no form of the call takes",
  );
  assertStringIncludes(error.message, "write an async function for .async(), or a function*");
});

Deno.test("f() says what to pass in place of what is no pointer", () => {
  using library = openBodies();
  const same_pointer = library.symbols.same_pointer as (...args: unknown[]) => unknown;
  const message = (value: unknown): string =>
    assertThrows(() => same_pointer(value), TypeError, "must be a Deno.PointerObject").message;
  for (const value of [4096, 4096n]) {
    assertStringIncludes(message(value), '; an address is passed as "usize"');
  }
  assertStringIncludes(message(PointerView.of(new Uint8Array(1))), "; pass its `pointer`");
  using callback = new Callback({ parameters: [], result: "void" }, () => {});
  assertStringIncludes(message(callback), "; pass its `pointer`");
});
