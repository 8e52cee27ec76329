// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** `Generator`, with native bodies and TypeScript ones: each member, in each state. */

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertMatch,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { dlopen, Generator, type NativeBody, OsStack } from "../../mod.ts";
import { exampleBodies, gc, openBodies, testBodies } from "../support/support.ts";

// The seed's own examples

Deno.test("Generator.resume() gives 1, 2, 3, undefined with a native body, in C and in Zig", () => {
  using library = dlopen(exampleBodies, {
    count: { input: "void", output: "i32" },
    zig_count: { input: "void", output: "i32" },
  });
  for (const body of [library.symbols.count, library.symbols.zig_count]) {
    const generator = new Generator(new OsStack(), body);
    const seen = [1, 2, 3, 4].map(() => generator.resume());
    assertEquals(seen, [1, 2, 3, undefined]);
    generator[Symbol.dispose]();
  }
});

Deno.test("Generator.resume() gives 1, 2, 3, undefined with a TypeScript body", () => {
  using generator = new Generator(new OsStack(), function* () {
    for (let i = 1; i < 4; i++) yield i;
  });
  assertEquals([1, 2, 3, 4].map(() => generator.resume()), [1, 2, 3, undefined]);
});

Deno.test("Generator.resume() passes each input in, and each output out", () => {
  using library = dlopen(exampleBodies, {
    add_one: { input: "i32", output: "i32" },
    zig_add_one: { input: "i32", output: "i32" },
  });
  for (const body of [library.symbols.add_one, library.symbols.zig_add_one]) {
    using generator = new Generator(new OsStack(), body);
    assertEquals([1, 2, 41, 0].map((input) => generator.resume(input)), [2, 3, 42, undefined]);
  }
});

Deno.test("Generator.resume() refuses a first input, and takes the next one as the first", () => {
  using library = openBodies();
  const { echo_u32, echo_i32, echo_f64 } = library.symbols;
  for (const wrong of ["1", 1.5, undefined, 2 ** 40]) {
    for (const body of [echo_u32, echo_i32]) {
      using generator = new Generator(new OsStack(), body);
      assertThrows(() => generator.resume(wrong as number));
      assertEquals([7, 8].map((input) => generator.resume(input)), [7, 8]);
      // Later, too.
      assertThrows(() => generator.resume(wrong as number));
      assertEquals(generator.resume(9), 9);
    }
  }
  using generator = new Generator(new OsStack(), echo_f64);
  assertThrows(() => generator.resume("1" as unknown as number));
  assertEquals([0.5, 8].map((input) => generator.resume(input)), [0.5, 8]);
});

Deno.test("Generator.resume() gives a TypeScript body its first input as an argument", () => {
  using generator = new Generator(new OsStack(), function* (_yielder, input: number) {
    for (;;) input = yield input + 1;
  });
  assertEquals([1, 2, 41].map((input) => generator.resume(input)), [2, 3, 42]);
});

// Ends

Deno.test("Generator.resume() returns undefined once the body has returned, and ever after", () => {
  using library = openBodies();
  const generators = [
    new Generator(new OsStack(), library.symbols.never_suspends),
    new Generator(new OsStack(), function* (_yielder, _input: number) {}),
  ];
  for (const generator of generators) {
    for (let i = 0; i < 5; i++) assertEquals(generator.resume(i), undefined);
    assertEquals(generator.next(5), { value: undefined, done: true });
  }
});

Deno.test("Generator.resume() throws what a TypeScript body throws, then refuses for ever", () => {
  const thrown = new Error("on purpose");
  const generator = new Generator(new OsStack(), function* () {
    yield 1;
    throw thrown;
  });
  assertEquals(generator.resume(), 1);
  assertStrictEquals(assertThrows(() => generator.resume()), thrown);
  assertEquals(generator.state, "unavailable");
  for (let i = 0; i < 3; i++) {
    const error = assertThrows(() => generator.resume(), Error, "Cannot resume generator");
    assertStringIncludes(error.message, "its body has failed");
    assertStringIncludes(error.message, "unwrap() gives its stack back");
    assertStrictEquals(error.cause, thrown);
  }
  assertEquals(generator.next().done, true);
  generator.unwrap()[Symbol.dispose]();
});

Deno.test("Generator.resume() throws falsy values that a body throws, too", () => {
  for (const thrown of [undefined, null, 0, ""]) {
    using generator = new Generator(new OsStack(), function* () {
      yield 1;
      throw thrown;
    });
    generator.resume();
    assertStrictEquals(assertThrows(() => generator.resume()), thrown);
    assertThrows(() => generator.resume(), Error, "its body has failed");
  }
});

Deno.test("Generator.state is unavailable while the body runs, and once it has ended", () => {
  using library = openBodies();
  using native = new Generator(new OsStack(), library.symbols.echo_i32);
  assertEquals(native.state, "runnable");
  native.resume(1);
  assertEquals(native.state, "runnable");
  native.return();
  assertEquals(native.state, "unavailable");

  const seen: string[] = [];
  const script: Generator<void, number> = new Generator<void, number>(
    new OsStack(),
    function* () {
      seen.push(script.state);
      yield 1;
      seen.push(script.state);
    },
  );
  seen.push(script.state);
  script.resume();
  seen.push(script.state);
  script.resume();
  seen.push(script.state);
  assertEquals(seen, ["runnable", "unavailable", "runnable", "unavailable", "unavailable"]);
  script.unwrap()[Symbol.dispose]();
});

Deno.test("Generator runs nothing of its body before the first resume", () => {
  let begun = false;
  using generator = new Generator(new OsStack(), function* () {
    begun = true;
    yield 1;
  });
  assertEquals(generator.state, "runnable");
  assertEquals(begun, false);
  generator.resume();
  assertEquals(begun, true);
});

// unwrap

Deno.test("Generator.unwrap() refuses while the body is runnable, and while it runs", () => {
  using library = openBodies();
  const native = new Generator(new OsStack(), library.symbols.echo_i32);
  for (const step of [() => {}, () => native.resume(1)]) {
    step();
    const error = assertThrows(() => native.unwrap(), Error, "Cannot unwrap generator");
    assertStringIncludes(error.message, "state is runnable");
    assertStringIncludes(error.message, "end it with return()");
  }
  native.return();
  native.unwrap()[Symbol.dispose]();

  const script: Generator<void, string> = new Generator<void, string>(
    new OsStack(),
    function* () {
      yield assertThrows(() => script.unwrap(), Error, "Cannot unwrap generator").message;
    },
  );
  assertStringIncludes(script.resume() ?? "", "state is unavailable");
  script[Symbol.dispose]();
});

Deno.test("Generator.unwrap() gives the very stack, once", () => {
  const stack = new OsStack(8192);
  const generator = new Generator(stack, function* () {});
  generator.resume();
  assertStrictEquals(generator.unwrap(), stack);
  assertThrows(() => generator.unwrap(), Error, "its stack has been handed back before");
  // Disposing of the generator is no business of the stack any more.
  generator[Symbol.dispose]();
  using again = new Generator(stack, function* () {
    yield 1;
  });
  assertEquals(again.resume(), 1);
});

// Misuse

Deno.test("Generator that is used inside its own body: every use is refused", () => {
  const messages: string[] = [];
  const generator: Generator<void, number, number> = new Generator<void, number, number>(
    new OsStack(),
    function* () {
      const uses = [
        () => generator.resume(),
        () => generator.next(),
        () => generator.return(1),
        () => generator.throw(new Error("not this one")),
        () => [...generator],
        () => generator[Symbol.dispose](),
      ];
      for (const use of uses) messages.push(assertThrows(use, TypeError).message);
      yield 1;
      return 2;
    },
  );
  assertEquals(generator.next(), { value: 1, done: false });
  assertEquals(messages.length, 6);
  for (const message of messages) {
    assertStringIncludes(message, "it is running");
    assertStringIncludes(message, "cannot resume or end its own generator");
  }
  assertEquals(generator.next(), { value: 2, done: true });
  generator[Symbol.dispose]();
});

Deno.test("Generator that a handler of its own call uses: every use is refused", () => {
  using library = openBodies();
  const messages: string[] = [];
  const generator: Generator<void, never, number> = new Generator<void, never, number>(
    new OsStack(),
    function* (yielder) {
      return yield* yielder.call(library.symbols.call_n, 1, () => {
        for (
          const use of [
            () => generator.resume(),
            () => generator.next(),
            () => generator.return(1),
            () => generator.unwrap(),
          ]
        ) messages.push(assertThrows(use, Error).message);
        return 5;
      });
    },
  );
  assertEquals(generator.next(), { value: 5, done: true });
  assertEquals(messages.length, 4);
  assertStringIncludes(messages[0]!, "Cannot resume generator: it is running");
  assertStringIncludes(messages[2]!, "Cannot end generator: it is running");
  generator[Symbol.dispose]();
});

Deno.test("new Generator() says why a function that is no function* cannot suspend", () => {
  using stack = new OsStack();
  class Class {}
  const bodies = [
    function plain() {},
    () => {},
    async function later() {},
    async () => {},
    async function* both() {},
    Class,
    Math.max,
    { *method() {} }.method.bind,
  ];
  for (const body of bodies) {
    const error = assertThrows(
      // @ts-expect-error None of them is a body.
      () => new Generator(stack, body),
      TypeError,
      "Cannot make generator",
    );
    assertStringIncludes(error.message, "is no generator function");
    assertStringIncludes(error.message, "on the thread's stack, where nothing can suspend them");
    assertStringIncludes(error.message, "write function* and yield");
    const isAsync = /^async/.test(body.toString());
    assertEquals(
      error.message.endsWith("yield a Promise to the resumer, which can await it"),
      isAsync,
    );
  }
});

Deno.test("new Generator() says what to pass in place of a generator", () => {
  using stack = new OsStack();
  assertThrows(
    // @ts-expect-error It is no body.
    () => new Generator(stack, (function* () {})()),
    TypeError,
    "; pass the function* itself, and do not call it",
  );
});

Deno.test("new Generator() says that the stack stands first", () => {
  assertThrows(
    // @ts-expect-error The stack is missing.
    () => new Generator(function* () {}),
    TypeError,
    "and pass it first: new Generator(stack, body)",
  );
  using library = openBodies();
  using stack = new OsStack();
  assertThrows(
    // @ts-expect-error They are swapped.
    () => new Generator(library.symbols.echo_i32, stack),
    TypeError,
    "and pass it first: new Generator(stack, body)",
  );
});

Deno.test("new Generator() says what makes a generator of a C function", () => {
  using stack = new OsStack();
  using library = dlopen(testBodies, { call_n: { parameters: ["i32"], result: "i32" } });
  assertThrows(
    // @ts-expect-error It is no body.
    () => new Generator(stack, library.symbols.call_n),
    TypeError,
    "function call_n is a C function, and no body; .calls() makes a generator of it",
  );
});

Deno.test("new Generator() refuses what is no body at all, and leaves the stack free", () => {
  using library = openBodies();
  using stack = new OsStack();
  const { input, output } = library.symbols.echo_i32;
  // A native body of another Worker arrives as a copy, which is none.
  const cloned = structuredClone({ input, output });
  // deno-lint-ignore no-explicit-any -- what a program without types can pass
  for (const body of [undefined, null, 1, "body", {}, cloned, (function* () {})()] as any) {
    const error = assertThrows(
      () => new Generator(stack, body),
      TypeError,
      "Cannot make generator: the body must be a generator function",
    );
    assertStringIncludes(error.message, "a native body that dlopen has given in this Worker");
  }
  const generator = new Generator(stack, library.symbols.echo_i32);
  assertEquals(generator.resume(1), 1);
  generator.return();
});

Deno.test("new Generator() takes generator functions in every form", () => {
  class Class {
    value = 3;
    *method() {
      yield this.value;
    }
    static *single() {
      yield 4;
    }
  }
  const bodies: (() => globalThis.Generator<number, void, unknown>)[] = [
    function* () {
      yield 1;
    },
    function* named() {
      yield 2;
    },
    new Class().method.bind(new Class()),
    Class.single,
  ];
  const seen = bodies.map((body) => {
    using generator = new Generator(new OsStack(), body);
    return generator.resume();
  });
  assertEquals(seen, [1, 2, 3, 4]);
});

Deno.test("Generator.resume() refuses an input of the wrong type, and takes a right one", () => {
  using library = openBodies();
  for (const name of ["echo_i32", "echo_u32"] as const) {
    using generator = new Generator(new OsStack(), library.symbols[name]);
    for (let round = 0; round < 3; round++) {
      // deno-lint-ignore no-explicit-any -- what a program without types can pass
      for (const input of ["1", 1n, null, undefined, {}, true, Symbol.iterator] as any) {
        const error = assertThrows(() => generator.resume(input), TypeError);
        assertStringIncludes(error.message, "Cannot resume generator: input must be an integer");
      }
      for (const input of [1.5, NaN, Infinity, 2 ** 32, -(2 ** 31) - 1]) {
        assertThrows(() => generator.resume(input), RangeError, "Cannot resume generator: input");
      }
      assertEquals(generator.state, "runnable");
      assertEquals(generator.resume(round), round);
    }
  }
});

Deno.test("Generator says how an input is passed where for…of has passed none", () => {
  using library = openBodies();
  const { echo_bool, echo_f64, echo_i32, echo_i64, echo_pointer } = library.symbols;
  for (const body of [echo_bool, echo_f64, echo_i32, echo_i64, echo_pointer]) {
    // deno-lint-ignore no-explicit-any -- TypeScript refuses such a loop
    using generator = new Generator(new OsStack(), body as any);
    const error = assertThrows(() => [...generator], TypeError);
    assertMatch(error.message, /: got undefined; for…of and next\(\) pass no input: call resume/);
  }
});

// Native bodies: everything goes both ways

const i32s = [0, 1, -1, 2 ** 31 - 1, -(2 ** 31)];
const u64s = [0n, 1n, 2n ** 63n, 2n ** 64n - 1n];
const i64s = [0n, 1n, -1n, 2n ** 63n - 1n, -(2n ** 63n)];
const f64s = [
  ...[0, -0, 1, -1.5, Number.MAX_VALUE, Number.MIN_VALUE, Number.EPSILON],
  ...[Infinity, -Infinity, NaN, 2 ** 53, 0.1],
];

Deno.test("Generator passes every scalar type through a native body, at its extremes", () => {
  using library = openBodies();
  const { symbols } = library;
  const check = <T>(generator: Generator<T, T>, values: readonly T[]): void => {
    using _end = generator;
    // Twice, since the first resumes go another way than those that follow.
    for (const value of [...values, ...values]) assertEquals(generator.resume(value), value);
  };
  const make = () => new OsStack(16 * 1024);
  check(new Generator(make(), symbols.echo_bool), [true, false]);
  check(new Generator(make(), symbols.echo_i8), [0, 1, -1, 127, -128]);
  check(new Generator(make(), symbols.echo_u8), [0, 1, 255]);
  check(new Generator(make(), symbols.echo_i16), [0, 1, -1, 2 ** 15 - 1, -(2 ** 15)]);
  check(new Generator(make(), symbols.echo_u16), [0, 1, 2 ** 16 - 1]);
  check(new Generator(make(), symbols.echo_i32), i32s);
  check(new Generator(make(), symbols.plain_echo), i32s);
  check(new Generator(make(), symbols.zig_echo), i32s);
  check(new Generator(make(), symbols.echo_u32), [0, 1, 2 ** 31, 2 ** 32 - 1]);
  check<number | bigint>(new Generator(make(), symbols.echo_i64), i64s);
  check<number | bigint>(new Generator(make(), symbols.echo_isize), i64s);
  check<number | bigint>(new Generator(make(), symbols.echo_u64), u64s);
  check<number | bigint>(new Generator(make(), symbols.echo_usize), u64s);
  check(new Generator(make(), symbols.echo_f64), f64s);
  check(new Generator(make(), symbols.echo_f32), f64s.map(Math.fround));
  check(new Generator(make(), symbols.echo_void), [undefined, undefined]);
});

Deno.test("Generator passes each kind of type beside each other, with every bit", () => {
  const [bits, low] = [0x7ff4_0123_4567_89abn, 0x4567_89abn]; // A NaN, and a signalling one.
  using library = dlopen(testBodies, {
    pointer_u64: { name: "echo_i64", input: "pointer", output: "u64" },
    u64_pointer: { name: "echo_i64", input: "u64", output: "pointer" },
    pointer_f32: { name: "echo_f32", input: "pointer", output: "f32" },
    f64_pointer: { name: "echo_f64", input: "f64", output: "pointer" },
    f64_i64: { name: "echo_f64", input: "f64", output: "i64" },
    i64_f64: { name: "echo_f64", input: "i64", output: "f64" },
    i32_f64: { name: "halves", input: "i32", output: "f64" },
    i32_u64: { name: "halves", input: "i32", output: "u64" },
    i32_pointer: { name: "halves", input: "i32", output: "pointer" },
    void_pointer: { name: "counts_i64", input: "void", output: "pointer" },
    i32_u32: { name: "echo_i32", input: "i32", output: "u32" },
    u32_i8: { name: "echo_u32", input: "u32", output: "i8" },
    u16_bool: { name: "echo_u16", input: "u16", output: "bool" },
    bool_u8: { name: "echo_bool", input: "bool", output: "u8" },
  });
  const { symbols } = library;
  const make = () => new OsStack(16 * 1024);
  using pointerOf = new Generator(make(), symbols.u64_pointer);
  using addressOf = new Generator(make(), symbols.pointer_u64);
  const address = pointerOf.resume(bits)!;
  const check = <Input, Output>(
    body: NativeBody<Input, Output>,
    rows: readonly (readonly [Input, Output])[],
  ): void => {
    using generator = new Generator<Input, Output>(make(), body);
    for (const [input, output] of [...rows, ...rows]) {
      const what = `${body.input} to ${body.output}: ${Deno.inspect(input)}`;
      assertEquals(generator.resume(input), output, what);
      assertEquals(generator.next(input), { value: output, done: false }, what);
    }
  };
  // Of a pointer assert compares no address.
  const gives = <Input>(
    body: NativeBody<Input, Deno.PointerValue>,
    rows: readonly (readonly [Input, bigint])[],
  ): void => {
    using generator = new Generator<Input, Deno.PointerValue>(make(), body);
    for (const [input, output] of [...rows, ...rows]) {
      const pointer = generator.resume(input)!;
      assertEquals(addressOf.resume(pointer), output, `${body.input} to pointer`);
    }
  };
  check(symbols.pointer_u64, [[address, bits], [null, 0n]]);
  gives(symbols.u64_pointer, [[bits, bits], [0n, 0n], [2n ** 64n - 1n, 2n ** 64n - 1n]]);
  const single = new Float32Array(Uint32Array.of(Number(low)).buffer)[0]!;
  check(symbols.pointer_f32, [[address, single], [null, 0]]);
  gives(symbols.f64_pointer, [[1.5, 0x3ff8_0000_0000_0000n], [-0, 2n ** 63n], [0, 0n]]);
  check<number, bigint>(symbols.f64_i64, [[-0, -(2n ** 63n)], [5e-324, 1n], [0, 0n]]);
  check<number | bigint, number>(symbols.i64_f64, [[bits, NaN], [-(2n ** 63n), -0], [1, 5e-324]]);
  check(symbols.i32_f64, [[-1, -0.5], [2 ** 31 - 1, 2 ** 30 - 0.5], [-(2 ** 31), -(2 ** 30)]]);
  check(symbols.i32_u64, [[2, 0x3ff0_0000_0000_0000n], [-2, 0xbff0_0000_0000_0000n], [0, 0n]]);
  gives(symbols.i32_pointer, [[2, 0x3ff0_0000_0000_0000n], [-2, 0xbff0_0000_0000_0000n]]);
  using counting = new Generator(make(), symbols.void_pointer);
  const counted = counting.take(3).map((pointer) => addressOf.resume(pointer));
  assertEquals(counted.toArray(), [1n, 2n, 3n]);
  check(symbols.i32_u32, [[-1, 2 ** 32 - 1], [5, 5]]);
  check(symbols.u32_i8, [[2 ** 32 - 1, -1], [0x17f, 127], [0x80, -128]]);
  check(symbols.u16_bool, [[0x100, false], [1, true], [0, false]]);
  check(symbols.bool_u8, [[true, 1], [false, 0]]);
});

Deno.test("Generator is as it was after an input of the wrong type, whatever the type", () => {
  using library = openBodies();
  const { symbols } = library;
  const wrong = [undefined, "1", {}, Symbol("s"), null, [], () => 1, new Uint8Array(1)];
  const rows: [NativeBody<never, unknown>, right: unknown, ...wrong: unknown[]][] = [
    [symbols.echo_bool, true, 0, 1, 1n],
    [symbols.echo_i8, -5, 128, -129, 0.5, NaN, 5n, true],
    [symbols.echo_u16, 5, -1, 2 ** 16, 5n, false],
    [symbols.echo_i32, -5, 2 ** 31, -(2 ** 31) - 1, Infinity, 5n],
    [symbols.echo_u32, 5, 2 ** 32, -1, 0.1, 5n],
    [symbols.echo_i64, -5n, 2n ** 63n, 2 ** 63, 0.5, true],
    [symbols.echo_u64, 2n ** 64n - 1n, 2n ** 64n, -1n, -1, NaN, false],
    [symbols.echo_f32, 0.5, 1n, false],
    [symbols.echo_f64, 0.1, 1n, true],
    [symbols.echo_pointer, null, 0, 0n, false],
  ];
  for (const [body, right, ...others] of rows) {
    using generator = new Generator(new OsStack(16 * 1024), body) as Generator<unknown, unknown>;
    const refuses = (): void => {
      for (const input of [...wrong, ...others]) {
        if (input === null && right === null) continue;
        for (const step of [() => generator.resume(input), () => generator.next(input)]) {
          const error = assertThrows(step, Error, "Cannot resume generator: input must be ");
          assert(error instanceof TypeError || error instanceof RangeError, body.input);
          assertEquals(generator.state, "runnable");
        }
      }
    };
    // Before the body has begun, and after that.
    refuses();
    assertEquals(generator.resume(right), right);
    refuses();
    assertEquals(generator.next(right), { value: right, done: false });
    assertEquals(generator.resume(right), right);
  }
});

Deno.test("a resume runs nothing that a program can have replaced", () => {
  using library = openBodies();
  const { symbols } = library;
  const rows: [NativeBody<never, unknown>, ...inputs: unknown[]][] = [
    [symbols.echo_bool, true],
    [symbols.echo_i8, -5],
    [symbols.echo_u32, 5],
    [symbols.echo_i64, -5n, -5],
    [symbols.echo_usize, 5n, 5],
    [symbols.echo_f32, 0.5],
    [symbols.echo_f64, 0.1],
    [symbols.echo_pointer, null],
  ];
  const generators = rows.map(([body, first]) => {
    const generator = new Generator(new OsStack(16 * 1024), body) as Generator<unknown, unknown>;
    generator.resume(first);
    return generator;
  });
  const called: string[] = [];
  const kept: (() => void)[] = [];
  const replaced: readonly (readonly [object, readonly string[]])[] = [
    [DataView.prototype, Object.getOwnPropertyNames(DataView.prototype)],
    [BigInt, ["asIntN", "asUintN"]],
    [Number, ["isSafeInteger", "isInteger"]],
    [globalThis, ["BigInt", "Number"]],
  ];
  for (const [object, keys] of replaced) {
    for (const key of keys.filter((key) => key !== "constructor")) {
      const before = Object.getOwnPropertyDescriptor(object, key)!;
      kept.unshift(() => void Object.defineProperty(object, key, before));
      const original = before.get ?? before.value;
      const after = function (this: unknown, ...args: unknown[]): unknown {
        called[called.length] = key;
        return original.apply(this, args);
      };
      const changed = before.get === undefined ? { ...before, value: after } : { get: after };
      Object.defineProperty(object, key, { ...changed, configurable: true });
    }
  }
  const outputs = rows.map(([, ...inputs], i) =>
    inputs.map((input) => [
      generators[i]!.resume(input),
      generators[i]!.next(input).value,
    ])
  );
  for (const restore of kept) restore();
  assertEquals(called, []);
  for (const [i, [, ...inputs]] of rows.entries()) {
    assertEquals(String(outputs[i]), String(inputs.map((input) => [input, input])));
    generators[i]![Symbol.dispose]();
  }
});

Deno.test("Generator takes -0 for 0, however it is resumed", () => {
  using library = openBodies();
  for (const name of ["echo_i32", "echo_u32", "echo_i8", "echo_i64"] as const) {
    using generator = new Generator<number, number | bigint>(new OsStack(), library.symbols[name]);
    for (let i = 0; i < 3; i++) assertEquals(Number(generator.resume(-0)), 0);
  }
});

Deno.test("Generator takes 64-bit integers as numbers, too, and always gives bigints", () => {
  using library = openBodies();
  using signed = new Generator(new OsStack(), library.symbols.echo_i64);
  for (const n of [0, -1, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER]) {
    assertEquals(signed.resume(n), BigInt(n));
  }
  for (const n of [2 ** 53, 2 ** 63, 1.5, NaN, 2n ** 63n, -(2n ** 63n) - 1n]) {
    assertThrows(() => signed.resume(n), RangeError, "(i64)");
  }
  using unsigned = new Generator(new OsStack(), library.symbols.echo_usize);
  for (const n of [-1, -1n, 2n ** 64n]) {
    const { message } = assertThrows(() => unsigned.resume(n), RangeError, "(usize)");
    assertMatch(message, new RegExp(`: got ${n}${typeof n === "bigint" ? "n$" : ";"}`));
  }
});

Deno.test("Generator passes pointers, and null, through a native body", () => {
  using library = openBodies();
  using generator = new Generator(new OsStack(), library.symbols.echo_pointer);
  const { same_pointer } = library.symbols;
  using addresses = new Generator(new OsStack(), library.symbols.echo_usize);
  assertEquals(generator.resume(null), null);
  const pointer = same_pointer(generator.resume(null) ?? null);
  assertEquals(pointer, null);
  assertEquals(addresses.resume(0n), 0n);
  // deno-lint-ignore no-explicit-any -- what a program without types can pass
  for (const input of [0, 0n, undefined, {}, "0x0", new Uint8Array(1)] as any) {
    const error = assertThrows(() => generator.resume(input), TypeError);
    assertStringIncludes(error.message, "input must be a Deno.PointerObject or null (pointer)");
  }
});

Deno.test("Generator keeps values apart in many live generators, nested in each other", () => {
  using library = openBodies();
  const inner = Array.from(
    { length: 30 },
    () => new Generator(new OsStack(16 * 1024), library.symbols.echo_i32),
  );
  // Three deep: a body that resumes a body that resumes native bodies.
  const middle = new Generator(new OsStack(), function* () {
    for (let round = 0;; round++) yield inner.map((generator, i) => generator.resume(i * round));
  });
  using outer = new Generator(new OsStack(), function* () {
    for (;;) yield middle.resume()!;
  });
  for (let round = 0; round < 20; round++) {
    assertEquals(outer.resume(), inner.map((_, i) => i * round));
  }
  for (const generator of [middle, ...inner]) generator[Symbol.dispose]();
});

Deno.test("Generator moves: who resumes it does not matter to it", () => {
  using library = openBodies();
  using generator = new Generator(new OsStack(), library.symbols.recurses);
  const resume = (depth: number, input: number): number | undefined =>
    depth === 0 ? generator.resume(input) : resume(depth - 1, input);
  for (let i = 0; i < 50; i++) assertEquals(resume(i * 7 % 50, i), i);
});

// Nothing is lost

Deno.test("Generator.return() unwinds a native body: its destructors run, once", () => {
  using library = openBodies();
  const { symbols } = library;
  const counted = [
    [symbols.has_destructor, symbols.destructor_count],
    [symbols.has_cleanup, symbols.cleanup_count],
    [symbols.zig_defers, symbols.zig_defer_count],
  ] as const;
  for (const [body, count] of counted) {
    const before = count();
    const generator = new Generator(new OsStack(), body);
    assertEquals([generator.resume(), generator.resume()], [1, 2]);
    assertEquals(count(), before);
    assertEquals(generator.return(), { value: undefined, done: true });
    assertEquals(count(), before + 1);
    generator.return();
    assertEquals(generator.resume(), undefined);
    generator[Symbol.dispose]();
    assertEquals(count(), before + 1);
  }
});

Deno.test("Generator.return() of a body that has not begun runs nothing of it", () => {
  using library = openBodies();
  const { has_destructor, destructor_count } = library.symbols;
  const before = destructor_count();
  using generator = new Generator(new OsStack(), has_destructor);
  generator.return();
  assertEquals(destructor_count(), before);
  assertEquals(generator.resume(), undefined);
});

Deno.test("Generator.throw() unwinds a native body and gives the error back", () => {
  using library = openBodies();
  const { has_destructor, destructor_count } = library.symbols;
  const before = destructor_count();
  const generator = new Generator(new OsStack(), has_destructor);
  generator.resume();
  const thrown = new Error("on purpose");
  assertStrictEquals(assertThrows(() => generator.throw(thrown)), thrown);
  assertEquals(destructor_count(), before + 1);
  const error = assertThrows(() => generator.resume(), Error, "its body has failed");
  assertStrictEquals(error.cause, thrown);
  generator.unwrap()[Symbol.dispose]();
});

Deno.test("Generator.throw() knows a body that has used up V8's stack to have ended", () => {
  const make = () => new RangeError("Maximum call stack size exceeded");
  const forever = (): void => forever();
  // What the body does with what is thrown into it, and what comes out.
  const bodies: readonly (readonly [(error: unknown) => void, (thrown: unknown) => boolean])[] = [
    [forever, (thrown) => thrown instanceof RangeError],
    [() => {
      throw own;
    }, (thrown) => thrown === own],
    [(error) => {
      throw error;
    }, (thrown) => thrown === into],
  ];
  const own = make();
  let into: unknown;
  for (into of [new Error("thrown in"), make()]) {
    for (const [answer, isRight] of bodies) {
      using generator = new Generator(new OsStack(), function* () {
        try {
          yield 1;
        } catch (error) {
          answer(error);
        }
      });
      generator.resume();
      let thrown: unknown;
      try {
        generator.throw(into);
      } catch (error) {
        thrown = error;
      }
      assert(isRight(thrown), String(thrown));
      assertEquals(generator.state, "unavailable");
      const { cause } = assertThrows(() => generator.resume(), Error, "its body has failed");
      assertStrictEquals(cause, thrown);
      generator.unwrap()[Symbol.dispose]();
    }
  }
});

Deno.test("`using` ends a native body at once, however the block is left", () => {
  using library = openBodies();
  const { has_destructor, destructor_count } = library.symbols;
  const before = destructor_count();
  assertThrows(
    () => {
      using generator = new Generator(new OsStack(), has_destructor);
      generator.resume();
      throw new Error("on purpose");
    },
    Error,
    "on purpose",
  );
  for (const value of new Generator(new OsStack(), has_destructor)) if (value === 3) break;
  const [first] = new Generator(new OsStack(), has_destructor);
  assertEquals(first, 1);
  assertEquals(destructor_count(), before + 3);
});

Deno.test("Generator[Symbol.dispose]() disposes of the stack, whatever finally blocks do", () => {
  const stacks = [new OsStack(), new OsStack()];
  const yields = new Generator(stacks[0]!, function* () {
    try {
      yield 1;
    } finally {
      yield 2;
    }
  });
  yields.resume();
  yields[Symbol.dispose]();
  assertEquals(yields.state, "unavailable");
  assertEquals(yields.resume(), undefined);

  const throws = new Generator(stacks[1]!, function* () {
    try {
      yield 1;
    } finally {
      // deno-lint-ignore no-unsafe-finally -- what is tested
      throw new Error("on purpose");
    }
  });
  throws.resume();
  assertThrows(() => throws[Symbol.dispose](), Error, "on purpose");
  for (const stack of stacks) {
    assertThrows(() => new Generator(stack, function* () {}), Error, "has been disposed of");
  }
  throws[Symbol.dispose]();
});

Deno.test("Generator lets no rounding mode of a body into JavaScript", () => {
  using library = openBodies();
  using generator = new Generator(new OsStack(), library.symbols.changes_rounding);
  // By way of variables, so that no compiler has computed it before.
  const [one, tiny] = [1, 1e-30].map((n) => n * Number("1"));
  for (let i = 1; i < 5; i++) {
    assertEquals(generator.resume(), i);
    assertStrictEquals(one! + tiny!, 1);
    assertStrictEquals(one! - tiny!, 1);
    assertStrictEquals(0.1 * Number("3"), 0.30000000000000004);
  }
  generator.return();
  assertStrictEquals(one! + tiny!, 1);
});

// Forced collections

Deno.test("Generator stands a collection between any two switches", () => {
  using library = openBodies();
  const native = new Generator(new OsStack(), library.symbols.recurses);
  const script = new Generator(new OsStack(), function* (_yielder, input: number) {
    for (;;) input = yield { input }.input;
  });
  // A full one takes 40 ms in a test runner's heap; memory_test.ts has a thousand of them.
  for (let i = 0; i < 1000; i++) {
    assertEquals(native.resume(i % 50), i % 50);
    gc(i % 50 === 0 ? "major" : "minor");
    assertEquals(script.resume(i), i);
  }
  native[Symbol.dispose]();
  script[Symbol.dispose]();
});

Deno.test("Generator stays what it is while 200 of them are suspended over collections", () => {
  using library = openBodies();
  const generators = Array.from({ length: 200 }, (_, i) => {
    const generator = new Generator(new OsStack(16 * 1024), library.symbols.recurses);
    assertEquals(generator.resume(i % 20), i % 20);
    return generator;
  });
  for (let round = 0; round < 5; round++) {
    gc();
    for (const [i, generator] of generators.entries()) {
      assertEquals(generator.resume((i + round) % 20), (i + round) % 20);
    }
  }
  for (const generator of generators) generator[Symbol.dispose]();
});

// It is a JavaScript generator: each step the same as with V8's own

type Machine = globalThis.Generator<unknown, unknown, unknown>;
type Step = (machine: Machine) => unknown;
const next: Step = (machine) => machine.next();
const send = (value: unknown): Step => (machine) => machine.next(value);
const finish = (value: unknown): Step => (machine) => machine.return(value);
const fail = (error: unknown): Step => (machine) => machine.throw(error);

const bodies: Readonly<Record<string, () => Machine>> = {
  *"two values and a result"() {
    yield 1;
    yield 2;
    return 3;
  },
  *"nothing"() {},
  // deno-lint-ignore require-yield -- what is tested
  *"only a result"() {
    return "result";
  },
  *"inputs"() {
    const first = yield "first";
    const second = yield [first];
    return [first, second];
  },
  *"undefined values"() {
    yield undefined;
    yield;
  },
  *"a throw"() {
    yield 1;
    throw new RangeError("thrown");
  },
  *"catch and go on"() {
    for (let i = 0; i < 3; i++) {
      try {
        yield i;
      } catch (error) {
        yield ["caught", error];
      }
    }
  },
  *"yield in finally"() {
    try {
      yield 1;
    } finally {
      yield "cleanup 1";
      yield "cleanup 2";
    }
    return "not after return()";
  },
  *"return in finally"() {
    try {
      yield 1;
    } finally {
      // deno-lint-ignore no-unsafe-finally -- what is tested
      return "overridden";
    }
  },
  *"throw in finally"() {
    try {
      yield 1;
    } finally {
      // deno-lint-ignore no-unsafe-finally -- what is tested
      throw new SyntaxError("from finally");
    }
  },
  *"nested finally"() {
    try {
      try {
        yield 1;
      } finally {
        yield 2;
      }
    } finally {
      yield 3;
    }
  },
  *"delegation to an array"() {
    const result = yield* [1, 2];
    return [result];
  },
  *"delegation to a function*"() {
    const result = yield* (function* () {
      try {
        yield "in";
        yield "side";
      } finally {
        yield "cleanup";
      }
      return "returned";
    })();
    return result;
  },
  *"delegation to an iterator without throw()"() {
    yield* { [Symbol.iterator]: () => ({ next: () => ({ value: 1, done: false }) }) };
  },
};

const scripts: Readonly<Record<string, readonly Step[]>> = {
  "next() to the end and on": [next, next, next, next, next, next],
  "next() with values": [next, send("a"), send("b"), send("c")],
  "return() before the start": [finish("r"), next, finish("s"), fail("t"), next],
  "return() half-way": [next, finish("r"), next, next, next],
  "return() twice half-way": [next, finish("r"), finish("s"), next, finish("t"), next],
  "return() at the end": [next, next, next, next, finish("r"), next],
  "throw() before the start": [fail("t"), next, next],
  "throw() half-way": [next, fail("t"), next, next, next],
  "throw() twice half-way": [next, fail("t"), fail("u"), next, next],
  "throw() at the end": [next, next, next, next, fail("t"), next],
  "throw(), then return()": [next, fail("t"), finish("r"), next, next],
  "return(), then throw()": [next, finish("r"), fail("t"), next, next],
};

function outcomes(machine: Machine, steps: readonly Step[]): unknown[] {
  return steps.map((step) => {
    try {
      return { gave: step(machine) };
    } catch (error) {
      return { threw: error instanceof Error ? error.constructor.name : error };
    }
  });
}

for (const [name, body] of Object.entries(bodies)) {
  Deno.test(`Generator takes each step as V8's own generators do: ${name}`, () => {
    for (const [script, steps] of Object.entries(scripts)) {
      using generator = new Generator<unknown, unknown, unknown>(new OsStack(4096), body);
      assertEquals(outcomes(generator, steps), outcomes(body(), steps), script);
    }
  });
}

for (const [name, body] of Object.entries(bodies)) {
  Deno.test(`Generator can be delegated to, step by step: ${name}`, () => {
    for (const [script, steps] of Object.entries(scripts)) {
      using generator = new Generator<unknown, unknown, unknown>(new OsStack(4096), body);
      const around = (inner: Machine) =>
        (function* (): Machine {
          return ["outer", yield* inner];
        })();
      assertEquals(outcomes(around(generator), steps), outcomes(around(body()), steps), script);
    }
  });
}

Deno.test("Generator with a native body can be delegated to, from bodies too", () => {
  using library = openBodies();
  const { has_destructor, destructor_count } = library.symbols;
  const before = destructor_count();
  const plain = (function* () {
    yield* new Generator(new OsStack(), has_destructor);
  })();
  assertEquals([plain.next().value, plain.next().value], [1, 2]);
  plain.return();
  assertEquals(destructor_count(), before + 1);

  using outer = new Generator(new OsStack(), function* () {
    yield* new Generator(new OsStack(), has_destructor);
  });
  assertEquals([outer.resume(), outer.resume()], [1, 2]);
  outer.return();
  assertEquals(destructor_count(), before + 2);
});

Deno.test("Generator has the iterator helpers, which end it as they end V8's own", () => {
  using library = openBodies();
  const { has_destructor, destructor_count } = library.symbols;
  const before = destructor_count();
  const make = () => new Generator(new OsStack(), has_destructor);
  assertEquals(make().take(3).toArray(), [1, 2, 3]);
  assertEquals(make().map((n) => n * 2).take(2).toArray(), [2, 4]);
  assertEquals(make().filter((n) => n % 2 === 0).drop(1).take(2).toArray(), [4, 6]);
  assertEquals(make().flatMap((n) => [n, n]).take(3).toArray(), [1, 1, 2]);
  assertEquals(make().find((n) => n > 4), 5);
  assertEquals(make().some((n) => n > 4), true);
  assertEquals(make().every((n) => n < 4), false);
  assertEquals(make().take(4).reduce((sum, n) => sum + n), 10);
  const seen: number[] = [];
  make().take(2).forEach((n) => seen.push(n));
  assertEquals(seen, [1, 2]);
  assertEquals(destructor_count(), before + 9);
  assertInstanceOf(make(), Iterator);
});

Deno.test("Generator can be spread, destructured, and iterated over once", () => {
  using library = dlopen(exampleBodies, { count: { input: "void", output: "i32" } });
  const generator = new Generator(new OsStack(), library.symbols.count);
  assertStrictEquals(generator[Symbol.iterator](), generator);
  assertEquals([...generator], [1, 2, 3]);
  assertEquals([...generator], []);
  const { count } = library.symbols;
  assertEquals(Math.max(...new Generator(new OsStack(), count)), 3);
  assertEquals(Array.from(new Generator(new OsStack(), count)), [1, 2, 3]);
  assertEquals(new Set(new Generator(new OsStack(), count)).size, 3);
  const [, second] = new Generator(new OsStack(), count);
  assertEquals(second, 2);
});

Deno.test("Generator.next() tells a value of undefined from the end", () => {
  using library = openBodies();
  using generator = new Generator(new OsStack(), library.symbols.echo_void);
  for (let i = 0; i < 3; i++) {
    assertEquals(generator.next(), { value: undefined, done: false });
    assert(generator.state === "runnable");
  }
});

/** What is printed by console.warn() meanwhile. */
function warningsOf(act: () => void): unknown[] {
  const { warn } = console;
  const printed: unknown[] = [];
  console.warn = (...values) => printed.push(...values);
  try {
    act();
  } finally {
    console.warn = warn;
  }
  return printed;
}

Deno.test("Generator that cannot be unwound is abandoned, which is said once", () => {
  using library = openBodies();
  const { suspends_in_cleanup, plain_echo, has_cleanup, cleanup_count } = library.symbols;
  const before = cleanup_count();
  const warnings = warningsOf(() => {
    for (let i = 0; i < 2; i++) {
      const stack = new OsStack(16 * 1024);
      // A cleanup that suspends.
      using generator = new Generator(stack, suspends_in_cleanup);
      assertEquals(generator.resume(), 1);
      generator.return();
      assertEquals(generator.state, "unavailable");
      // The stack is as good as before.
      using again = new Generator(generator.unwrap() as OsStack, has_cleanup);
      assertEquals(again.resume(), 1);
    }
    // No room for the cleanup.
    using small = new Generator(new OsStack(0), has_cleanup);
    assertEquals(small.resume(), 1);
    // Nor is any needed where there is none.
    using plain = new Generator(new OsStack(0), plain_echo);
    assertEquals(plain.resume(1), 1);
  });
  assertEquals(cleanup_count(), before + 2);
  assertEquals(warnings.length, 2);
  assertMatch(
    String(warnings[0]),
    /^fringe: suspends_in_cleanup was .*: a cleanup or destructor, /,
  );
  assertMatch(
    String(warnings[1]),
    /^fringe: has_cleanup was .*: has_cleanup\+0x.* of its stack of 4096 bytes fewer than 8 KiB/,
  );
});

Deno.test("Generator.next() is the same whether a class that extends it overrides resume()", () => {
  let count = 0;
  class Counted extends Generator<number, number> {
    override resume(input: number): number | undefined {
      count++;
      return super.resume(input);
    }
  }
  using library = openBodies();
  const { echo_u32, echo_i32, echo_i8, echo_f64, echo_i64 } = library.symbols;
  const bodies = [echo_u32, echo_i32, echo_i8, echo_f64, echo_i64] as NativeBody<number, number>[];
  for (const body of bodies) {
    using generator = new Counted(new OsStack(), body);
    assert(generator instanceof Counted);
    for (let i = 0; i < 4; i++) assertEquals(Number(generator.next(i).value), i);
    assertEquals([count, Number(generator.resume(4)), count], [0, 4, 1], body.input);
    count = 0;
  }
  using pointers = new (class extends Generator<Deno.PointerValue, Deno.PointerValue> {})(
    new OsStack(),
    library.symbols.echo_pointer,
  );
  assertEquals([pointers.resume(null), pointers.next(null).value], [null, null]);
});

Deno.test("Generator.next() says done once a native body has failed, where resume() throws", () => {
  using library = dlopen(testBodies, { overflows: { input: "void", output: "i32" } });
  const { overflows } = library.symbols;
  for (const maker of [Generator, class extends Generator<void, number> {}]) {
    const stack = new OsStack(64 * 1024, { overflow: "throw" });
    using generator = new maker(stack, overflows as NativeBody<void, number>);
    assertEquals(generator.next(), { value: 1, done: false });
    assertThrows(() => generator.next(), RangeError, "used up its stack");
    assertEquals(generator.next(), { value: undefined, done: true });
    assertThrows(() => generator.resume(), Error, "its body has failed");
  }
});

Deno.test("Generator says what it is, the name of its body, and its state", () => {
  using library = openBodies();
  const generators = [
    new Generator(new OsStack(), library.symbols.echo_i32),
    new Generator(new OsStack(), function* counts() {
      yield Deno.inspect(generators[1]);
    }),
    new Generator(new OsStack(), function* () {}),
    library.symbols.call_n.calls(3),
  ] as Generator<number, unknown, unknown>[];
  const names = ["echo_i32", "counts", "(anonymous)", "call_n"];
  const shown = () => generators.map((generator) => Deno.inspect(generator));
  assertEquals(shown(), names.map((name) => `Generator { ${name}: runnable }`));
  assertEquals(generators[1]!.resume(0), "Generator { counts: unavailable }");
  for (const generator of generators) {
    assertEquals(Object.prototype.toString.call(generator), "[object Generator]");
    generator[Symbol.dispose]();
  }
  assertEquals(shown(), names.map((name) => `Generator { ${name}: unavailable }`));
  assertEquals(Deno.inspect([generators[2]]), "[ Generator { (anonymous): unavailable } ]");
  assertEquals(Deno.inspect(Generator.prototype), "Generator {}");
});
