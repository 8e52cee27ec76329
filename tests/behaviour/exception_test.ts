// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** Exceptions of C++ and panics of Rust that leave native code, or are handled in it. */

import { join } from "node:path";
import { runInNewContext } from "node:vm";
import {
  assert,
  assertEquals,
  assertMatch,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import {
  dlopen,
  Generator,
  NativeError,
  type NativeLibrary,
  OsStack,
  OwnedStack,
} from "../../mod.ts";
import { root } from "../../tools/zig.ts";
import {
  collectUntil,
  cxx,
  gc,
  moduleUrl,
  runChild,
  testNatively,
  testWith,
} from "../support/support.ts";

const body = { input: "i32", output: "i32" } as const;
const says = { input: "pointer", output: "i32" } as const;
const number = { parameters: [], result: "i32" } as const;
const callback = { callback: { parameters: ["i32"], result: "i32" } } as const;

const inCpp = {
  throws: body,
  throws_at_once: body,
  throws_int: body,
  throws_string: body,
  throws_plain: body,
  rethrows: body,
  throws_in_qsort: body,
  suspends_in_catch: body,
  suspends_in_flight: body,
  calls_in_flight: { parameters: [callback], result: "i32" },
  throws_suspending: body,
  throws_calling: { parameters: [callback], result: "i32" },
  throws_calling_elsewhere: {
    name: "throws_calling",
    parameters: [callback],
    result: "i32",
    nonblocking: true,
  },
  throws_long: body,
  swallows: body,
  pokes_and_throws: { input: "pointer", output: "i32" },
  throws_when_ended: body,
  throws_answer: { parameters: [callback], result: "i32" },
  throws_answer_elsewhere: {
    name: "throws_answer",
    parameters: [callback],
    result: "i32",
    nonblocking: true,
  },
  throws_when_call_ends: { parameters: [callback], result: "i32" },
  throws_when_told: {
    name: "throws_answer",
    parameters: [{ callback: { ...callback.callback, stop: 4 } }],
    result: "i32",
  },
  calls_in_catch: { parameters: [callback, "i32"], result: "i32" },
  throws_pointer: says,
  throws_lie: says,
  call_throws_lie: { parameters: ["pointer"], result: "i32" },
  throws_dangling: says,
  throws_named: says,
  throws_typed: says,
  throws_made: says,
  make_exception: { parameters: ["buffer"], result: "void" },
  throws_in_what: body,
  overflows_in_what: { ...number, overflow: "throw" },
  alive: number,
  forget: number,
  handled: number,
  in_flight: number,
} as const;

const inRust = {
  panics: body,
  panics_answer: { parameters: [callback], result: "i32" },
  alive: number,
} as const;

/** Compiles one of `tests/bodies/` to a library, once a run; returns its path. */
function compile(
  source: string,
  name: string,
  compiler: string,
  ...options: string[]
): string {
  const known = compiled.get(name);
  if (known !== undefined) return known;
  // It stays: a C++ runtime keeps libraries mapped that have been closed.
  const folder = join(root, ".zig-cache", "exceptions");
  Deno.mkdirSync(folder, { recursive: true });
  const path = join(folder, `lib${name}.so`);
  const { success, stderr } = new Deno.Command(compiler, {
    args: [...options, new URL(`../bodies/${source}`, import.meta.url).pathname, "-o", path],
  }).outputSync();
  assert(success, new TextDecoder().decode(stderr));
  compiled.set(name, path);
  return path;
}

const faults = new URL("../support/faults.ts", import.meta.url).href;

const compiled = new Map<string, string>();

function compileCpp(name: string, ...more: string[]): string {
  const include = new URL("../../native/include", import.meta.url).pathname;
  const options = ["-O2", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared", `-I${include}`];
  return compile("exceptions.cc", name, cxx(), ...options, ...more);
}

function openCpp(): NativeLibrary<typeof inCpp> {
  return dlopen(compileCpp("exceptions"), inCpp);
}

/** The same with a runtime and an unwinder of its own, which nobody else sees. */
const ALONE = ["-static-libgcc", "-static-libstdc++", "-Wl,--exclude-libs,ALL"];

function openRust(): NativeLibrary<typeof inRust> {
  return dlopen(
    compile("panics.rs", "panics", "rustc", "-O", "--edition=2021", "--crate-type=cdylib"),
    inRust,
  );
}

/** Runs `act`, out of which a NativeError comes. */
function errorOf(act: () => unknown): NativeError {
  return assertThrows(act, NativeError);
}

function names(error: NativeError): (string | undefined)[] {
  return error.backtrace.map(({ name }) => name);
}

/** Nothing of C++'s is left behind, and the thread handles nothing. */
function assertClean({ alive, handled, in_flight }: NativeLibrary<typeof inCpp>["symbols"]): void {
  assertEquals([alive(), handled(), in_flight()], [0, 0, 0]);
}

testWith("g++", "Generator.resume() throws what a body in C++ throws, which has ended then", () => {
  using library = openCpp();
  const { symbols } = library;
  const generator = new Generator(new OsStack(), symbols.throws);
  assertEquals(generator.resume(1), 1);
  assertEquals(symbols.alive(), 4);
  const error = errorOf(() => generator.resume(7));
  assertEquals(error.type, "test::Error<int>");
  assertEquals(error.message, "the value is 7");
  assertEquals(error.name, "NativeError");
  // descend() is static: it has no name, and its four frames are there.
  assertEquals(names(error), ["__cxa_throw", ...Array(4).fill(undefined), "throws"]);
  assert(error.backtrace[1]!.module!.endsWith("/libexceptions.so"));
  assert(error.stack!.startsWith("NativeError (test::Error<int>): the value is 7\n    at __cxa_"));
  assert(error.stack!.includes("\n    at throws+0x"));
  // Or they would be printed twice.
  assertEquals(Object.keys(error).includes("backtrace"), false);
  assert(error.stack!.includes(import.meta.filename!));
  assertClean(symbols);

  assertEquals(generator.state, "unavailable");
  const refused = assertThrows(() => generator.resume(1), Error, "its body has failed");
  assertStrictEquals(refused.cause, error);
  // The stack is as good as before.
  using again = new Generator(generator.unwrap() as OsStack, symbols.throws);
  assertEquals(again.resume(2), 2);
  assertEquals(errorOf(() => again.next(8)).message, "the value is 8");
  assertClean(symbols);
});

testWith("g++", "NativeError says what it can of exceptions of any type", () => {
  using library = openCpp();
  const { symbols } = library;
  for (
    const [body, type, message] of [
      [symbols.throws_at_once, "test::Error<int>", "the value is 3"],
      [symbols.rethrows, "test::Error<int>", "the value is 3"],
      [symbols.throws_in_qsort, "test::Error<int>", "the value is 5"],
      [symbols.throws_int, "int", "Native code has thrown int"],
      [symbols.throws_string, "char const*", "a string"],
      [symbols.throws_plain, "test::Plain", "Native code has thrown test::Plain"],
    ] as const
  ) {
    using generator = new Generator(new OsStack(), body);
    const error = errorOf(() => generator.resume(3));
    assertEquals([error.type, error.message], [type, message]);
    assert(names(error).length > 1);
    assertClean(symbols);
  }
});

Deno.test("new NativeError() is refused: only native code makes one", () => {
  const construct = () => Reflect.construct(NativeError, ["type", "message", []]);
  assertThrows(construct, TypeError, "Cannot make NativeError: only native code does");
});

testWith("g++", "an exception comes out of a call in each of its forms", async () => {
  using library = openCpp();
  const { symbols } = library;
  const error = errorOf(() => symbols.throws_answer(() => 4));
  assertEquals(error.message, "the value is 4");
  assertEquals(names(error).at(-1), "fringe_call_body");
  assertEquals(symbols.throws_answer(() => 0), 0);

  for (const f of [symbols.throws_answer, symbols.throws_answer_elsewhere]) {
    const error = await f.async((i) => Promise.resolve(i + 4)).catch((error) => error);
    assert(error instanceof NativeError);
    assertEquals(error.message, "the value is 5");
    assertEquals(await f.async(() => 0), 0);
    assertClean(symbols);
  }

  errorOf(() => {
    for (const { reply } of symbols.throws_answer.calls()) reply(6);
  });

  // A TypeScript body may catch it, and go on.
  using generator = new Generator<number>(new OsStack(), function* (yielder) {
    for (let i = 1; i < 4; i++) {
      try {
        yield* yielder.call(symbols.throws_answer, function* () {
          return yield i;
        });
      } catch (error) {
        yield (error as Error).message;
      }
    }
  });
  const said: unknown[] = [];
  for (let answer = 0; generator.state === "runnable"; answer++) {
    said.push(generator.resume(answer));
  }
  assertEquals(said, [1, "the value is 1", 2, "the value is 3", 3, "the value is 5", undefined]);
  assertClean(symbols);
});

testWith("g++", "bodies that are suspended in handlers keep their exceptions, in any order", () => {
  using library = openCpp();
  const { symbols } = library;
  const generators = Array.from({ length: 100 }, (_, i) => {
    const generator = new Generator(new OsStack(32 * 1024), symbols.suspends_in_catch);
    assertEquals(generator.resume(i), 1);
    assertEquals([symbols.handled(), symbols.in_flight()], [0, 0]);
    return generator;
  });
  gc();
  for (let step = 0; step < 2; step++) {
    for (let i = 0; i < 100; i++) assertEquals(generators[i * 37 % 100]!.resume(0), 1);
  }
  for (const generator of generators) assertEquals(generator.resume(0), undefined);
  assertClean(symbols);
  for (const generator of generators) generator[Symbol.dispose]();
});

testWith("g++", "calls that are suspended in handlers may end in any order", async () => {
  using library = openCpp();
  const { symbols } = library;
  const first = Promise.withResolvers<number>();
  const second = Promise.withResolvers<number>();
  const results = [
    symbols.calls_in_catch.async(() => first.promise, 1),
    symbols.calls_in_catch.async(() => second.promise, 2),
  ];
  first.resolve(10);
  assertEquals(await results[0], 10);
  second.resolve(20);
  assertEquals(await results[1], 20);
  // One inside the other's.
  assertEquals(
    symbols.calls_in_catch((i) => i + symbols.calls_in_catch((j) => j * 10, 3), 4),
    34,
  );
  assertClean(symbols);
});

testWith("g++", "a body that is ended in a handler leaves it, and its exception goes", () => {
  using library = openCpp();
  const { symbols } = library;
  using generator = new Generator(new OsStack(), symbols.suspends_in_catch);
  assertEquals(generator.resume(1), 1);
  assertEquals(symbols.alive(), 1);
  generator.return();
  assertClean(symbols);
});

testWith("g++", "a body that swallows what ends it is told at each later suspension", () => {
  using library = openCpp();
  const { symbols } = library;
  for (const times of [0, 1, 5]) {
    const generator = new Generator(new OsStack(), symbols.swallows);
    assertEquals(generator.resume(times), times > 0 ? 0 : -1);
    assertEquals(symbols.alive(), times > 0 ? 2 : 1);
    assertEquals(generator.return(), { value: undefined, done: true });
    assertEquals(generator.state, "unavailable");
    assertClean(symbols);
    generator[Symbol.dispose]();
  }
});

testWith("g++", "a destructor may suspend while an exception leaves the body", () => {
  using library = openCpp();
  const { symbols } = library;
  using generator = new Generator(new OsStack(), symbols.suspends_in_flight);
  assertEquals(generator.resume(6), 101);
  assertEquals([symbols.handled(), symbols.in_flight()], [0, 0]);
  // Others throw meanwhile.
  errorOf(() => symbols.throws_answer(() => 4));
  assertEquals(errorOf(() => generator.resume(0)).message, "the value is 6");
  assertClean(symbols);
});

testWith("g++", "an exception behind an overflow without a guard page is its cause", () => {
  using library = openCpp();
  const { symbols } = library;
  const stack = new OwnedStack(64 * 1024);
  const generator = Generator.unguarded(stack, symbols.pokes_and_throws);
  const place = Deno.UnsafePointer.create(stack.limit);
  const error = assertThrows(() => generator.resume(place), RangeError, "which has no guard page");
  assert(error.cause instanceof NativeError);
  assertEquals(error.cause.message, "the value is 2");
  // Its frames have been unwound.
  assert(!error.message.includes("abandoned"));
  assertClean(symbols);
  generator[Symbol.dispose]();
});

testWith(
  "g++",
  "what is ended in such a destructor is abandoned",
  async () => {
    using library = openCpp();
    const { symbols } = library;
    const { warn } = console;
    const warned: unknown[] = [];
    console.warn = (text) => warned.push(text);
    try {
      const stack = new OsStack();
      using generator = new Generator(stack, symbols.suspends_in_flight);
      assertEquals(generator.resume(6), 101);
      generator.return();
      assertEquals([symbols.handled(), symbols.in_flight()], [0, 0]);
      // The stack comes back.
      using again = new Generator(generator.unwrap() as OsStack, symbols.throws_at_once);
      errorOf(() => again.resume(1));

      const mine = new Error("mine");
      const end = (inFlight: number) => {
        assertEquals(inFlight, 1);
        throw mine;
      };
      assertStrictEquals(assertThrows(() => symbols.calls_in_flight(end)), mine);
      (() => new Generator(new OsStack(), symbols.suspends_in_flight).resume(6))();
      // Of what is dropped nothing is to be seen. Once is enough, but for who ends it.
      let collections = 0;
      await collectUntil(() => collections++ === 3);
    } finally {
      console.warn = warn;
    }
    assertEquals(warned.map((text) => String(text).split(" ")[1]), [
      "suspends_in_flight",
      "calls_in_flight",
    ]);
    // Each exception stays.
    assertEquals(symbols.forget(), 3);
    assertClean(symbols);
  },
);

testWith("g++", "the destructor of what is thrown may suspend, and call back", async () => {
  using library = openCpp();
  const { symbols } = library;
  using generator = new Generator(new OsStack(), symbols.throws_suspending);
  generator.resume(1);
  assertEquals(generator.backtrace().length > 0, true);
  assertEquals(errorOf(() => generator.resume(1)).type, "Suspending");

  const seen: number[] = [];
  const error = errorOf(() => symbols.throws_calling((i) => seen.push(i)));
  assertEquals(error.message, "the value is 2");
  for (const f of [symbols.throws_calling, symbols.throws_calling_elsewhere]) {
    const error = await f.async((i) => Promise.resolve(seen.push(i))).catch((error) => error);
    assert(error instanceof NativeError);
    assertEquals(error.message, "the value is 2");
  }
  assertEquals(seen, [1, 1, 1]);
  assertClean(symbols);
});

testWith("g++", "the name of a type may need more stack than the body has", () => {
  using library = openCpp();
  using generator = new Generator(new OsStack(16 * 1024), library.symbols.throws_long);
  const { type } = errorOf(() => generator.resume(0));
  assert(type!.startsWith("Numbers<0ul, 1ul, 2ul, "));
  assert(type!.endsWith(" 168ul, 169ul>"));
});

testWith("g++", "an exception of a C++ function that C calls is not in flight afterwards", () => {
  using library = openCpp();
  using libc = dlopen("libc.so.6", {
    qsort: { parameters: ["buffer", "usize", "usize", "function"], result: "void" },
  });
  // As Deno calls it, which exchanges nothing.
  const unaware = Deno.dlopen(compileCpp("exceptions"), {
    throws_compare: { type: "pointer" },
    in_flight: { parameters: [], result: "i32" },
  });
  const { throws_compare, in_flight } = unaware.symbols;
  const bytes = Uint8Array.of(3, 1, 2);
  assertEquals(
    errorOf(() => libc.symbols.qsort(bytes, 3, 1, throws_compare)).type,
    "test::Error<int>",
  );
  assertEquals(in_flight(), 0);
  unaware.close();
  assertClean(library.symbols);
});

testWith("g++", "NativeError stands what a program makes of traces", () => {
  using library = openCpp();
  const before = Object.getOwnPropertyDescriptor(Error, "prepareStackTrace");
  const throwOnce = (): NativeError | undefined => {
    using generator = new Generator(new OsStack(), library.symbols.throws_at_once);
    try {
      generator.resume(3);
    } catch (error) {
      return error as NativeError;
    }
    return undefined;
  };
  try {
    const prepared = [{}];
    Object.assign(Error, { prepareStackTrace: () => prepared });
    const error = throwOnce()!;
    assertEquals(error.message, "the value is 3");
    assertStrictEquals(error.stack as unknown, prepared);
    Object.assign(Error, {
      prepareStackTrace() {
        throw prepared;
      },
    });
    throwOnce();
  } finally {
    if (before !== undefined) Object.defineProperty(Error, "prepareStackTrace", before);
    else delete (Error as { prepareStackTrace?: unknown }).prepareStackTrace;
  }
  assertClean(library.symbols);
});

testWith("g++", "an exception in place of being ended comes out of what has ended it", () => {
  using library = openCpp();
  const { symbols } = library;
  for (
    const end of [
      (generator: Generator<number, number>) => generator.return(),
      (generator: Generator<number, number>) => generator.throw(new Error("mine")),
      (generator: Generator<number, number>) => generator[Symbol.dispose](),
    ]
  ) {
    const stack = new OsStack();
    const generator = new Generator(stack, symbols.throws_when_ended);
    assertEquals(generator.resume(3), 3);
    const error = errorOf(() => end(generator));
    assertEquals(error.message, "the value is 3");
    assertEquals(generator.state, "unavailable");
    assertStrictEquals(assertThrows(() => generator.resume(1), Error).cause, error);
    generator[Symbol.dispose]();
    stack[Symbol.dispose]();
    assertClean(symbols);
  }
  const mine = new Error("mine");
  for (const f of [symbols.throws_when_call_ends, symbols.throws_when_told]) {
    const both = assertThrows(
      () =>
        f(() => {
          throw mine;
        }),
      SuppressedError,
    );
    assertStrictEquals(both.suppressed, mine);
    assertMatch(both.message, /: NativeError: the value is \d; the error: Error: mine$/);
    assert(both.error instanceof NativeError);
    assertClean(symbols);
  }
  errorOf(() => {
    for (const _ of symbols.throws_when_call_ends.calls()) break;
  });
  assertClean(symbols);
});

testWith("g++", "a generator is disposed of with its stack, though C throws at that", () => {
  using library = openCpp();
  const stack = new OsStack();
  const generator = new Generator(stack, function* (yielder) {
    const call = yielder.call(library.symbols.throws_when_call_ends, function* () {
      yield "inside";
      return 1;
    });
    call.next();
    try {
      yield "begun";
    } finally {
      yield "the body goes no further";
    }
  });
  generator.resume();
  assertEquals(errorOf(() => generator[Symbol.dispose]()).message, "the value is 9");
  assertThrows(() => new Generator(stack, function* () {}), Error, "has been disposed of");
  assertClean(library.symbols);
});

testWith("g++", "a library closes whose bodies throw at that", () => {
  const library = openCpp();
  const generators = [1, 2].map((i) => {
    const generator = new Generator(new OsStack(), library.symbols.throws_when_ended);
    generator.resume(i);
    return generator;
  });
  // The one that began last ends first.
  assertEquals(errorOf(() => library.close()).message, "the value is 2");
  library.close();
  for (const generator of generators) {
    assertEquals(generator.state, "unavailable");
    assertThrows(() => generator.resume(1), Error, "closed");
    generator[Symbol.dispose]();
  }
});

testWith(
  "g++",
  "a call that throws as its library closes is told of that nevertheless",
  async () => {
    const library = openCpp();
    const call = library.symbols.throws_when_call_ends.async(() => new Promise(() => {}));
    const error = call.catch((error) => error);
    errorOf(() => library.close());
    assert((await error).message.includes("has been closed"));
  },
);

testWith("g++", "what a dropped generator throws when it is ended is printed", async () => {
  using library = openCpp();
  const { error } = console;
  const printed: unknown[] = [];
  console.error = (value) => printed.push(value);
  try {
    (() => new Generator(new OsStack(), library.symbols.throws_when_ended).resume(5))();
    await collectUntil(() => printed.length > 0);
  } finally {
    console.error = error;
  }
  assertEquals(printed.map((value) => (value as Error).message), ["the value is 5"]);
  assertClean(library.symbols);
});

testWith("g++", "whoever is told what an end has thrown may close a library, or call", () => {
  const { error } = console;
  let library: ReturnType<typeof openCpp>;
  /** Leaves a call behind, whose JavaScript an interrupt takes away. It throws when it is ended. */
  const leaveCall = (depth: number): void => {
    if (depth > 0) return leaveCall(depth - 1);
    const forever = () => {
      for (;;);
    };
    const f = () => left.symbols.throws_when_call_ends(forever);
    let cut: unknown;
    try {
      runInNewContext("f()", { f }, { timeout: 100 });
    } catch (error) {
      cut = error;
    }
    assertStringIncludes(String(cut), "timed out");
  };
  /** Does `next`, which ends what has been left behind; returns how often `told` was called. */
  const withTold = (told: (count: number) => void, next: () => void): number => {
    let count = 0;
    console.error = () => told(++count);
    try {
      next();
    } finally {
      console.error = error;
    }
    assertClean(left.symbols);
    return count;
  };
  using left = openCpp();
  using stack = new OsStack();
  const nexts = [
    () => new Generator(stack, library.symbols.throws),
    () => library.symbols.alive(),
    () => {
      library.close();
      library.symbols.alive();
    },
  ];
  for (const next of nexts) {
    library = openCpp();
    leaveCall(100);
    const refused = () => void assertThrows(next, Error, "has been closed; open it again");
    assertEquals(withTold(() => library.close(), refused), 1);
  }

  // What is left behind while somebody is told is ended as well.
  leaveCall(200);
  const again = (count: number) => {
    if (count === 1) leaveCall(100);
  };
  assertEquals(withTold(again, () => left.symbols.alive()), 2);
});

testWith("g++", "a library with an unwinder of its own: frames are abandoned, not read", () => {
  using library = dlopen(compileCpp("alone", ...ALONE), inCpp);
  const { symbols } = library;
  const { warn } = console;
  const printed: string[] = [];
  console.warn = (text: string) => printed.push(text);
  try {
    const stack = new OsStack();
    const generator = new Generator(stack, symbols.throws);
    assertEquals(generator.resume(1), 1);
    assertEquals(generator.return(), { value: undefined, done: true });
    assertEquals(generator.state, "unavailable");
    // Its destructors have not run; its stack is as good as before.
    assertEquals(symbols.alive(), 4);
    using again = new Generator(stack, symbols.throws_int);
    assertEquals(again.backtrace(), []);
  } finally {
    console.warn = warn;
  }
  assertEquals(printed.length, 1);
  assertStringIncludes(printed[0]!, "fringe: throws was ended early");
  assertMatch(
    printed[0]!,
    /: \S+\/libalone\.so\S+ has cleanups for an unwinder that \S+\/libalone\.so keeps/,
  );
});

testWith(
  "g++",
  "a library with an unwinder of its own: what leaves a body ends the process",
  async () => {
    const path = compileCpp("alone", ...ALONE);
    const source = `
    import { dlopen, Generator, OsStack } from ${JSON.stringify(moduleUrl)};
    const { throws_int } = dlopen(${JSON.stringify(path)}, {
      throws_int: { input: "i32", output: "i32" },
    }).symbols;
    new Generator(new OsStack(), throws_int).resume(1);
  `;
    const { signal, stderr } = await runChild(source, ["-A"]);
    assertEquals(signal, "SIGABRT");
    assertStringIncludes(stderr, "terminate called after throwing an instance of 'int'");
  },
);

testNatively("6,000 exceptions leave no memory mapped", "g++", () => {
  using library = openCpp();
  const mapped = () => {
    gc();
    return Number(Deno.readTextFileSync("/proc/self/statm").split(" ")[0]);
  };
  const stack = new OsStack();
  const throwOnce = () => {
    const generator = new Generator(stack, library.symbols.throws_at_once);
    errorOf(() => generator.resume(1));
  };
  // So that V8's heap does not grow meanwhile.
  const throwOften = (times: number) => {
    for (let i = 0; i < times; i++) {
      throwOnce();
      if (i % 500 === 0) gc();
    }
  };
  throwOften(1_000);
  const before = mapped();
  throwOften(6_000);
  // A page for each would be twice that.
  assert(mapped() < before + 3_000);
  stack[Symbol.dispose]();
  assertClean(library.symbols);
});

// Exceptions that lie

/** Pages of memory, of which nobody may read the last. */
function pagesOf(size: number): { start: bigint; end: bigint; [Symbol.dispose](): void } {
  const { mmap, mprotect, munmap } = Deno.dlopen("libc.so.6", {
    mmap: { parameters: ["usize", "usize", "i32", "i32", "i32", "i64"], result: "usize" },
    mprotect: { parameters: ["usize", "usize", "i32"], result: "i32" },
    munmap: { parameters: ["usize", "usize"], result: "i32" },
  }).symbols;
  const [READ_WRITE, PRIVATE_ANONYMOUS, PAGE] = [3, 0x22, 4096n];
  const start = mmap(0n, BigInt(size) + PAGE, READ_WRITE, PRIVATE_ANONYMOUS, -1, 0n);
  const end = start + BigInt(size);
  assertEquals(mprotect(end, PAGE, 0), 0);
  return { start, end, [Symbol.dispose]: () => munmap(start, BigInt(size) + PAGE) };
}

function bytesAt(address: bigint, length: number): Uint8Array {
  const pointer = Deno.UnsafePointer.create(address)!;
  return new Uint8Array(Deno.UnsafePointerView.getArrayBuffer(pointer, length));
}

/** What comes out of a body that gets this pointer. */
function lieOf(body: Body, address: bigint): NativeError {
  using generator = new Generator(new OsStack(), body);
  return errorOf(() => generator.resume(Deno.UnsafePointer.create(address)));
}

type Body = NativeLibrary<typeof inCpp>["symbols"]["throws_lie"];

testWith("g++", "what an exception points at need not be there", () => {
  using library = openCpp();
  const { symbols } = library;
  using pages = pagesOf(4096);
  bytesAt(pages.start, 4096).fill(65);
  // Nowhere, in a guard page, before one without an end, and where no address can be.
  const lies = [0n, 8n, pages.end, pages.end - 6n, 0x1234_5678_9abc_def0n, -8n & (2n ** 64n - 1n)];
  const what = "Native code has thrown ";
  for (const address of lies) {
    for (
      const [body, type] of [
        [symbols.throws_pointer, "char const*"],
        [symbols.throws_lie, "Lie"],
        [symbols.throws_named, undefined],
        [symbols.throws_typed, undefined],
      ] as const
    ) {
      const error = lieOf(body, address);
      const expected = what + (type ?? "an exception of a type that is not known");
      assertEquals([error.type, error.message], [type, expected]);
      assertEquals(error.backtrace[0]!.name, "__cxa_throw");
    }
    const pointer = Deno.UnsafePointer.create(address);
    assertEquals(errorOf(() => symbols.call_throws_lie(pointer)).message, `${what}Lie`);
  }
  assertEquals(lieOf(symbols.throws_dangling, 0n).type, "throws_dangling::Dangling");
  assertClean(symbols);
});

testWith("g++", "what an exception says may be of any length, and any bytes", () => {
  using library = openCpp();
  const { symbols } = library;
  const mebibyte = 1 << 20;
  using pages = pagesOf(5 * mebibyte);
  const bytes = bytesAt(pages.start, 5 * mebibyte);
  /** At the end of what can be read. */
  const put = (text: Uint8Array): bigint => {
    bytes.set(text, bytes.length - text.length - 1);
    return pages.end - BigInt(text.length + 1);
  };
  const encoder = new TextEncoder();
  for (const text of ["", "short", "ä€😀", "x".repeat(mebibyte - 1)]) {
    for (const body of [symbols.throws_pointer, symbols.throws_lie]) {
      assertEquals(lieOf(body, put(encoder.encode(text))).message, text);
    }
  }
  // More than a mebibyte is cut, behind a whole character.
  for (const [letter, size] of [["x", 1], ["€", 3], ["😀", 4]] as const) {
    const { message } = lieOf(symbols.throws_lie, put(encoder.encode(letter.repeat(mebibyte))));
    const length = Math.floor((mebibyte - 3) / size);
    assert(message === `${letter.repeat(length)}…`, `${message.length} letters of ${letter}`);
  }
  const { message } = lieOf(symbols.throws_lie, put(Uint8Array.of(0x41, 0xff, 0xe2, 0x82, 0x42)));
  assertEquals(message, "A\ufffd\ufffdB");

  // Names that no compiler makes are given as they are, those that are too long cut.
  for (
    const [name, type] of [
      ["", undefined],
      ["*", undefined],
      ["no name", "no name"],
      ["*3FooE", "3FooE"],
      ["3Foo", "Foo"],
      ["€", "€"],
      ["x".repeat(100_000), /^x{3000,}…$/],
      ["€".repeat(100_000), /^€{1000,}…$/],
    ] as const
  ) {
    const error = lieOf(symbols.throws_named, put(encoder.encode(name)));
    if (type instanceof RegExp) assertMatch(error.type!, type);
    else assertEquals(error.type, type);
  }
  assertClean(symbols);
});

testWith("g++", "an exception may outlive the library that has made it", () => {
  using library = openCpp();
  // So that it does go.
  const path = compileCpp("gone", "-fno-gnu-unique");
  const place = new BigUint64Array(1);
  const pointer = Deno.UnsafePointer.value(Deno.UnsafePointer.of(place));
  {
    using other = dlopen(path, inCpp);
    other.symbols.make_exception(place);
    assertEquals(lieOf(library.symbols.throws_made, pointer).message, "a lie");
  }
  assert(!Deno.readTextFileSync("/proc/self/maps").includes(path));
  const error = lieOf(library.symbols.throws_made, pointer);
  assertEquals(error.type, undefined);
  assertMatch(error.message, /a type that is not known$/);
  assertClean(library.symbols);
});

testWith("g++", "what() may throw, or need more stack than there is", () => {
  using library = dlopen(compileCpp("unenforced", "-fno-enforce-eh-specs"), inCpp);
  const { symbols } = library;
  for (let i = 0; i < 3; i++) {
    using generator = new Generator(new OsStack(), symbols.throws_in_what);
    const error = errorOf(() => generator.resume(5));
    assertEquals(error.type, "throws_in_what::Throwing");
    assertEquals(error.message, "Native code has thrown throws_in_what::Throwing");
    assertClean(symbols);
  }
  assertThrows(() => symbols.overflows_in_what(), RangeError, "it has used up its stack");
  assertEquals(symbols.forget(), 1);
  assertEquals(errorOf(() => symbols.throws_answer(() => 4)).message, "the value is 4");
  assertClean(symbols);
});

testWith("g++", "what an exception says is read where process_vm_readv is refused", async () => {
  const source = `
    import { dlopen, Generator, OsStack } from ${JSON.stringify(moduleUrl)};
    import { canWatch, refuse, seen, watch } from ${JSON.stringify(faults)};
    const { throws_pointer, throws_at_once } = dlopen(${JSON.stringify(compileCpp("exceptions"))}, {
      throws_pointer: { input: "pointer", output: "i32" },
      throws_at_once: { input: "i32", output: "i32" },
    }).symbols;
    new OsStack();
    if (canWatch()) {
      watch(/libfringe\\.so$/);
      refuse("process_vm_readv", 0, 1e9, 1 /* EPERM */);
    }
    for (const [body, input] of [
      [throws_pointer, Deno.UnsafePointer.create(8n)],
      [throws_at_once, 3],
    ]) {
      try {
        new Generator(new OsStack(), body).resume(input);
      } catch (error) {
        console.log(error.type, "|", error.message);
      }
    }
    console.log(!canWatch() || seen("process_vm_readv") > 0);
  `;
  const config = new URL("../../deno.json", import.meta.url).pathname;
  const ended = await runChild(source, ["-A", `--config=${config}`]);
  assertEquals([ended.stderr, ended.signal], ["", null]);
  assertEquals(ended.stdout.split("\n"), [
    "char const* | Native code has thrown char const*",
    "test::Error<int> | the value is 3",
    "true",
    "",
  ]);
});

testWith("rustc", "a panic of Rust's comes out as an error, its frames dropped before", () => {
  using library = openRust();
  const { symbols } = library;
  for (
    const message of [
      "a literal",
      "formatted: 1",
      "Native code has thrown panic",
      "index out of bounds: the len is 0 but the index is 3",
    ].entries()
  ) {
    using generator = new Generator(new OsStack(), symbols.panics);
    const error = errorOf(() => generator.resume(message[0]));
    assertEquals([error.type, error.message], ["panic", message[1]]);
    assertEquals(names(error).at(-1), "panics");
    assertEquals(symbols.alive(), 0);
    assertEquals(generator.state, "unavailable");
  }
  const error = errorOf(() => symbols.panics_answer(() => 2));
  assertEquals(error.message, "the answer is 2");
  assertEquals(symbols.panics_answer(() => 0), 0);
  // A handler's error is no panic: the frames are dropped, and it comes out itself.
  const mine = new Error("mine");
  assertStrictEquals(
    assertThrows(() =>
      symbols.panics_answer(() => {
        throw mine;
      })
    ),
    mine,
  );
  assertEquals(symbols.alive(), 0);
});
