// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** Libraries: which tables are understood, what a symbol is, and what closes. */

import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { runInNewContext } from "node:vm";
import {
  dlopen,
  functionAt,
  Generator,
  OsStack,
  OwnedStack,
  pointerTo,
  PointerView,
  struct,
} from "../../mod.ts";
import { definitions, gc, openBodies, testBodies } from "../support/support.ts";

// What a program without types can pass
// deno-lint-ignore no-explicit-any
const open = dlopen as (filename: URL | string, definitions: any) => ReturnType<typeof dlopen>;

Deno.test("a variable is what it is when the library is opened; an address is where", () => {
  using library = dlopen(testBodies, {
    variable_i8: { type: "i8" },
    variable_u16: { type: "u16" },
    variable_i32: { type: "i32" },
    variable_u64: { type: "u64" },
    variable_f32: { type: "f32" },
    variable_f64: { type: "f64" },
    variable_bool: { type: "bool" },
    where: { name: "variable_i32", type: "pointer" },
    code: { name: "add_six", type: "function" },
  });
  const { where, code, ...values } = library.symbols;
  assertEquals(values, {
    variable_i8: -8,
    variable_u16: 65_000,
    variable_i32: -70_000,
    variable_u64: 2n ** 63n + 1n,
    variable_f32: 0.25,
    variable_f64: 1e100,
    variable_bool: true,
  });
  const view = new PointerView(where!);
  assertEquals(view.getInt32(), -70_000);
  view.setInt32(0, 5);
  using again = dlopen(testBodies, { variable_i32: { type: "i32" } });
  assertEquals([values.variable_i32, again.symbols.variable_i32], [-70_000, 5]);
  view.setInt32(0, -70_000);
  const parameters = ["i8", "u16", "i32", "u32", "i64", "u64"] as const;
  const add = functionAt(code!, { parameters, result: "i64" });
  assertEquals(add(1, 2, 3, 4, 5, 6), 21n);
});

Deno.test("a symbol that is optional, and that the library lacks, is null", async () => {
  using library = dlopen(testBodies, {
    nothing: { parameters: [], result: "void", optional: true },
    nothing_elsewhere: { parameters: [], result: "void", nonblocking: true, optional: true },
    no_body: { input: "i32", output: "i32", optional: true },
    no_variable: { type: "i32", optional: true },
    there: { name: "asked", parameters: [], result: "i32", nonblocking: true, optional: true },
  });
  const { there, ...missing } = library.symbols;
  assertEquals(Object.values(missing), [null, null, null, null]);
  assertEquals(typeof await there!(), "number");
  assertThrows(
    () => dlopen(testBodies, { nothing: { parameters: [], result: "void", optional: false } }),
    Error,
    "nothing",
  );
});

Deno.test("where C takes a function it takes a symbol, and gets the function itself", () => {
  const library = dlopen(testBodies, {
    ...definitions,
    call_by: { name: "call_n", parameters: ["i32", "function"], result: "i32" },
  });
  const { call_by, use_up, keep, call_kept, plain } = { plain: () => 1, ...library.symbols };
  assertEquals(call_by(4, use_up), 6);
  keep(use_up);
  assertEquals(call_kept(7), 7);
  const view = PointerView.of(new Uint8Array(8));
  view.setPointer(0, use_up);
  assertEquals(functionAt(view.getPointer()!, definitions.use_up)(3), 3);
  assertThrows(() => keep(plain as never), TypeError, "pass a Callback or a function of dlopen");
  library.close();
  using open = openBodies();
  assertThrows(() => open.symbols.keep(use_up), Error, "which has been closed; open it again");
  assertThrows(() => view.setPointer(0, use_up), Error, "which has been closed; open it again");
});

Deno.test("dlopen() takes a path and a file URL, and another name for a symbol", () => {
  for (const filename of [testBodies, decodeURIComponent(testBodies.pathname)]) {
    using library = dlopen(filename, {
      apply: { name: "call_n", parameters: definitions.call_n.parameters, result: "i32" },
      echo: { name: "echo_u8", input: "u8", output: "u8" },
    });
    assertEquals(library.symbols.apply(3, (i) => i), 3);
    assertEquals(library.symbols.apply.name, "apply");
    using generator = new Generator(new OsStack(), library.symbols.echo);
    assertEquals(generator.resume(255), 255);
    assertThrows(
      () => (library.symbols.apply as (...args: unknown[]) => unknown)(),
      TypeError,
      "Cannot call apply",
    );
  }
});

Deno.test("dlopen() refuses what is no name of a file", () => {
  // deno-lint-ignore no-explicit-any -- what a program without types can pass
  const others = [undefined, null, 5, {}, [], Symbol("x"), { toString: () => "libc.so.6" }] as any;
  for (const other of others) {
    assertThrows(() => dlopen(other, {}), TypeError, "Cannot open library: filename must be a ");
  }
  assertThrows(
    () => dlopen(new URL("https://example.com/library.so"), {}),
    TypeError,
    'got "https://example.com/library.so"; a library is opened from a file, so download it first',
  );
  // The system would take no more of it than what stands before.
  assertThrows(() => dlopen("libc.so.6\0x", {}), TypeError, "the character U+0000");
});

Deno.test("dlopen() refuses a table whose keys are not what was meant", () => {
  class Table {}
  class Body {
    readonly echo_u32 = { input: "u32", output: "u32" };
  }
  const tables = [
    undefined,
    null,
    "abs",
    [],
    ["abs"],
    new Map(),
    new Date(),
    new Table(),
    Promise.resolve({}),
    () => {},
  ];
  for (const table of tables) {
    const error = assertThrows(
      () => open(testBodies, table),
      TypeError,
      "Cannot open library: the definitions must be an object: got ",
    );
    assertStringIncludes(error.message, "write { symbol: definition, … }");
  }
  open(testBodies, new Body()).close();
  open(testBodies, Object.create(null)).close();
  open(testBodies, runInNewContext("({})")).close();
});

Deno.test("dlopen() takes no symbols at all", () => {
  using library = dlopen(testBodies, {});
  assertEquals(Object.keys(library.symbols), []);
});

Deno.test("dlopen() names a symbol that the library does not have", () => {
  const error = assertThrows(
    () => dlopen(testBodies, { no_such_body: { input: "i32", output: "i32" } }),
    Error,
  );
  assertStringIncludes(error.message, "no_such_body");
  assertStringIncludes(error.message, "; `nm -D` lists what a library has");
  assertInstanceOf(error.cause, Error);
});

Deno.test("dlopen() says which definition it does not understand, and what is known", () => {
  const f = (parameters: unknown, result: unknown = "void") => ({ x: { parameters, result } });
  const callback = (callback: unknown) => f([{ callback }]);
  const variadic = (type: string) => ({
    x: { parameters: ["cstring", type], result: "i32", variadic: 1 },
  });
  const cases: readonly (readonly [unknown, string])[] = [
    [{ x: null }, "its definition must be an object: got null"],
    [{ x: "i32" }, 'its definition must be an object: got "i32"'],
    [{ x: ["i32"] }, "its definition must be an object: got an object of class Array; write { pa"],
    [{ x: {} }, "parameters must be an array of types: got undefined"],
    [{ x: { input: "i32" } }, "output has the type undefined: it must be one of bool"],
    [{ x: { output: "i32" } }, "input has the type undefined: it must be one of bool"],
    [{ x: { input: "int", output: "i32" } }, 'input has the type "int": it must be one of bool'],
    [{ x: { input: "buffer", output: "i32" } }, 'input has the type "buffer"'],
    [{ x: { input: "i32", output: "cstring" } }, 'output has the type "cstring"'],
    [{ x: { input: 32, output: "i32" } }, "input has the type 32"],
    [f("i32"), 'parameters must be an array of types: got "i32"'],
    [f(["int"]), 'parameter 0 has the type "int": it must be one of bool, i8'],
    [f(["i32", "void"]), 'parameter 1 has the type "void"'],
    [f([null]), "parameter 0 has the type null"],
    [f([{}]), "parameter 0 has the type an object of class Object"],
    [f([{ struct: ["int"] }]), 'parameter 0: field 0 has the type "int"'],
    [f([], { struct: [] }), "result: struct must be an array of at least one type"],
    [{ x: { input: { struct: ["i32"] }, output: "i32" } }, "input is a struct, and a generator"],
    [f(["long double"]), "; long double, vectors, _Complex, integers of 128 bits and bit-fields"],
    [f([], "_Complex double"), "have no type here: wrap the function in C"],
    [f(["__m128"]), "have no type here: wrap the function in C"],
    [f([{ function: {} }]), "parameter 0 is an object: a function that C calls is written"],
    [f([{ parameters: [], result: "i32" }]), "written { callback: { parameters, result } }"],
    [f(["cstring", "..."]), 'parameter 1 is "...": declare the parameters that this call passes'],
    [f([], "int"), 'result has the type "int"'],
    [f([], null), "result has the type null"],
    [{ x: { input: "i32" } }, 'pointer, void; write "void" if there is none'],
    [f(["void"]), "; the parameters of a function that has none are []"],
    [f(["int"]), 'cstring; it may be "i32"'],
    [f(["const char *"]), '; it may be "cstring"'],
    [f(["I32"]), '; it may be "i32"'],
    [f(["uint16_t"]), '; it may be "u16"'],
    [f(["struct s *"]), '; it may be "pointer"'],
    [f([], "size_t"), '; it may be "usize"'],
    [f(["callback"]), "; a function that C calls is written { callback: { parameters, result } }"],
    [
      f([pointerTo(struct({ a: "i32" }))]),
      '; pointerTo() stands in layouts: write "pointer"; layout',
    ],
    [
      f([{ pointer: null, definition: {} }]),
      "; a function that C calls is written { callback: { p",
    ],
    [f([{ calback: {} }]), "; a function that C calls is written { callback: { parameters, resu"],
    [f([], { callback: {} }), "result is a callback, which can only stand among the parameters"],
    [{ x: { input: { callback: {} }, output: "i32" } }, 'write "pointer" where a function pointer'],
    [
      callback({ parameters: [{ callback: {} }], result: "i32" }),
      "callback parameter 0: parameter 0 is a callback, which can only stand among the " +
      'parameters of a function: write "function" where a function pointer is passed on',
    ],
    [{ x: { type: "cstring" } }, 'x has the type "cstring": it must be one of bool'],
    [{ x: { type: "void" } }, 'x has the type "void": it must be one of'],
    [{ x: { type: "i32", result: "i32" } }, 'the key "result" is not understood; keys here are'],
    [f([], { type: "i32" }), "result has the type an object of class Object"],
    [{ x: { parameters: [] } }, "result has the type undefined"],
    [f(Array(128).fill("i32")), "it has 128 parameters, and C promises no more than 127"],
    [{ x: { parameters: [], result: "void", constructor: 1 } }, "keys here are parameters, resu"],
    [{ x: { parameters: [], result: "void", name: 5 } }, "name must be a string: got 5"],
    [{ x: { input: "i32", output: "i32", name: null } }, "name must be a string: got null"],
    [callback({ parameters: [], result: "void", stop: 1 }), "stop must be undefined, since the"],
    [callback(null), "callback parameter 0 must be an object: got null"],
    [callback(5), "callback parameter 0 must be an object: got 5"],
    [callback(() => 1), "Cannot open symbol x: its definition must be plain data"],
    [
      { x: { parameters: [], result: "void", nonblocking: 1 } },
      'must be a boolean or "thread": got 1',
    ],
    [{ x: { parameters: [], result: "void", optional: 1 } }, "optional must be a boolean: got 1"],
    [
      { x: { input: "i32", output: "i32", optional: null } },
      "optional must be a boolean: got null",
    ],
    [{ x: { type: "i32", optional: "yes" } }, 'optional must be a boolean: got "yes"'],
    [{ x: { parameters: [], result: "void", variadic: 1 } }, "how many of its 0 parameters stand"],
    [{ x: { parameters: ["i32"], result: "void", variadic: -1 } }, "the dots: got -1"],
    [{ x: { parameters: ["i32"], result: "void", variadic: true } }, "the dots: got true"],
    [variadic("f32"), 'has the type "f32", which C promotes'],
    [variadic("f32"), 'declare it as "f64"'],
    [variadic("bool"), 'declare it as "i32"'],
    [variadic("u16"), 'declare it as "i32"'],
    [{ x: { parameters: [], result: "void", input: "i32" } }, 'the key "parameters" is not'],
    [{ x: { input: "i32", output: "i32", stop: 1 } }, "it belongs to a callback"],
    [f([{ callback: { parameters: [], result: "i32" }, stop: 1 }]), "it belongs to a callback"],
    [
      callback({ parameters: [], result: "i32", stpo: 1 }),
      "keys here are parameters, result, stop",
    ],
    [callback({ result: "void" }), "callback parameter 0: parameters must be an array"],
    [
      callback({ parameters: [], result: "int" }),
      'callback parameter 0: result has the type "int"',
    ],
    [callback({ parameters: [] }), "callback parameter 0: result has the type undefined"],
    [
      callback({ parameters: ["int"], result: "i32" }),
      'parameter 0: parameter 0 has the type "int"',
    ],
    [
      callback({ parameters: [{ struct: [] }], result: "i32" }),
      "callback parameter 0: parameter 0: struct must be an array",
    ],
    [
      callback({ parameters: Array(128).fill("i32"), result: "i32" }),
      "callback parameter 0: it has 128 parameters",
    ],
  ];
  for (const [table, text] of cases) {
    const error = assertThrows(() => open(testBodies, table), TypeError, "Cannot open symbol x");
    assertStringIncludes(error.message, text);
  }
});

Deno.test("dlopen() keeps its own copy of the definitions", () => {
  const parameters = ["i32"];
  const table = {
    call_n: { parameters: ["i32", { callback: { parameters, result: "i32" } }], result: "i32" },
  };
  using library = open(testBodies, table);
  parameters.push(...Array(30).fill("cstring"));
  table.call_n.result = "cstring";
  const { call_n } = library.symbols as unknown as {
    call_n(n: number, f: (...args: unknown[]) => number): unknown;
  };
  const seen: unknown[][] = [];
  assertEquals(call_n(2, (...args) => seen.push(args)), 3);
  assertEquals(seen, [[0], [1]]);
});

// Closing

Deno.test("close() ends generators that are suspended in the library, and says so", () => {
  using keeper = openBodies();
  const { destructor_count } = keeper.symbols;
  const before = destructor_count();
  const library = openBodies();
  const stack = new OsStack();
  const suspended = new Generator(stack, library.symbols.has_destructor);
  const begun = new Generator(new OsStack(), library.symbols.echo_u32);
  const unguarded = Generator.unguarded(new OwnedStack(4096), library.symbols.echo_i32);
  const idle = new Generator(new OsStack(), library.symbols.has_destructor);
  for (let i = 1; i < 4; i++) {
    assertEquals([suspended.resume(), begun.resume(i), unguarded.resume(i)], [i, i, i]);
  }
  library.close();
  assertEquals(destructor_count(), before + 1);
  for (const generator of [suspended, begun, unguarded, idle]) {
    assertEquals(generator.state, "unavailable");
    for (let i = 0; i < 2; i++) {
      const error = assertThrows(
        () => (generator.resume as (input: number) => unknown).call(generator, 1),
        Error,
        "Cannot resume generator",
      );
      assertStringIncludes(error.message, "libtest_bodies.so");
      assertStringIncludes(error.message, "has been closed, which ended it");
    }
  }
  // The stack has come back.
  assertStrictEquals(suspended.unwrap(), stack);
  const next = new Generator(stack, keeper.symbols.echo_i32);
  assertEquals(next.resume(5), 5);
  next[Symbol.dispose]();
  for (const generator of [suspended, begun, unguarded, idle]) generator[Symbol.dispose]();
});

Deno.test("close() under for...of: the loop does not end as if all were well", () => {
  const library = openBodies();
  const error = assertThrows(
    () => {
      for (const i of new Generator(new OsStack(), library.symbols.has_destructor)) {
        if (i === 3) library.close();
        assert(i < 4);
      }
    },
    Error,
    "Cannot resume generator",
  );
  assertStringIncludes(error.message, "has been closed, which ended it");
});

Deno.test("close() does nothing to generators that have ended", () => {
  const library = openBodies();
  const generator = new Generator(new OsStack(), library.symbols.never_suspends);
  assertEquals(generator.resume(1), undefined);
  library.close();
  assertEquals(generator.resume(1), undefined);
  assertEquals(generator.next(1).done, true);
});

Deno.test("close() twice does nothing more, and `using` closes", () => {
  const library = openBodies();
  library.close();
  library.close();
  library[Symbol.dispose]();
  let kept: ReturnType<typeof openBodies>;
  {
    using own = openBodies();
    kept = own;
    assertEquals(own.symbols.call_n(1, () => 1), 1);
  }
  assertThrows(() => kept.symbols.call_n(1, () => 1), Error, "has been closed");
});

Deno.test("close() makes every use of a symbol an error that says what to do", async () => {
  const library = openBodies();
  const { echo_i32, call_n } = library.symbols;
  library.close();
  using stack = new OsStack();
  const messages = [
    assertThrows(() => new Generator(stack, echo_i32), Error, "Cannot make generator").message,
    assertThrows(() => call_n(1, () => 1), Error, "Cannot call call_n").message,
    assertThrows(() => call_n.calls(1).next(), Error, "Cannot call call_n").message,
  ];
  await call_n.async(1, () => 1).catch((error) => messages.push(error.message));
  using generator = new Generator(stack, function* (yielder) {
    yield* yielder.call(call_n, 1, () => 1);
  });
  messages.push(assertThrows(() => generator.resume(), Error, "Cannot call call_n").message);
  assertEquals(messages.length, 5);
  for (const message of messages) {
    assertStringIncludes(message, 'libtest_bodies.so" has been closed; open it again');
  }
});

Deno.test("close() ends calls that are suspended in the library", () => {
  using keeper = openBodies();
  const { destructor_count } = keeper.symbols;
  const before = destructor_count();
  const library = openBodies();
  const pulled = library.symbols.with_destructor.calls();
  const call = pulled.next().value;
  assert(typeof call === "object");
  library.close();
  assertEquals(destructor_count(), before + 1);
  for (const goOn of [() => call.reply(1), () => pulled.next()]) {
    const error = assertThrows(goOn, Error, "Cannot go on with with_destructor");
    assertStringIncludes(error.message, "has been closed, which ended it");
  }
});

Deno.test("dlopen() twice gives libraries that close one by one", () => {
  const [first, second] = [openBodies(), openBodies()];
  using generator = new Generator(new OsStack(), second.symbols.echo_i32);
  assertEquals(generator.resume(1), 1);
  first.close();
  assertEquals(generator.resume(2), 2);
  assertEquals(second.symbols.call_n(2, () => 3), 6);
  second.close();
});

Deno.test("the symbols keep the library open when nothing else is held of it", async () => {
  const { echo_i32, call_n } = (() => openBodies().symbols)();
  const generator = new Generator(new OsStack(), echo_i32);
  for (let i = 0; i < 3; i++) {
    gc();
    await new Promise((resolve) => setTimeout(resolve, 2));
    assertEquals(generator.resume(i), i);
    assertEquals(call_n(2, () => i), 2 * i);
  }
  generator[Symbol.dispose]();
});
