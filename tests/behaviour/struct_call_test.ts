// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Structs by value with all else that a call may have: `stop`, `tailCall`, errno, threads, strings
 * in them. That their bytes arrive is what struct_value_test.ts is about.
 */

import { join } from "node:path";
import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { Callback, dlopen, functionAt, Generator, OsStack, struct, tailCall } from "../../mod.ts";
import { root } from "../../tools/zig.ts";
import { cxx, testWith } from "../support/support.ts";

const mixed = { struct: ["i32", "f64"] } as const;
const big = { struct: ["i64", "i64", "i64"] } as const;
const onMixed = { parameters: [mixed, "i32"], result: mixed } as const;
const onBig = { parameters: ["i64"], result: big } as const;

const Mixed = struct({ id: "i32", x: "f64" });
const Big = struct({ all: ["i64", 3] });
const Parts = struct({ first: "i64", rest: ["i64", 2] });
const Names = struct({ first: "cstring", second: "cstring" });
const Aligned = struct({ words: ["i64", 32] }, { alignment: 256 });

/** What the `stop` of `asked` has been asked about. */
const asks: number[] = [];

const table = {
  mixed_add: { parameters: [mixed, "i32"], result: mixed },
  with_errno: { name: "mixed_add", parameters: [mixed, "i32"], result: mixed, errno: true },
  big_with_errno: { name: "big_add", parameters: [big, "i64"], result: big, errno: true },
  big_add: { parameters: [big, "i64"], result: big },
  big_of: { parameters: ["i64"], result: big },
  call_mixed: { parameters: ["i32", { callback: onMixed }], result: "f64" },
  stopped: {
    name: "call_mixed",
    parameters: ["i32", { callback: { ...onMixed, stop: pair(-5, 0.5) } }],
    result: "f64",
  },
  asked: {
    name: "call_mixed",
    parameters: ["i32", {
      callback: {
        ...onMixed,
        stop(got: Uint8Array<ArrayBuffer>) {
          asks.push(partsOf(got)[0]);
          return pair(-7, 0);
        },
      },
    }],
    result: "f64",
  },
  call_big: { parameters: ["i32", { callback: onBig }], result: "i64" },
  stopped_big: {
    name: "call_big",
    parameters: ["i32", { callback: { ...onBig, stop: triple(-1n, 0n, 7n) } }],
    result: "i64",
  },
  call_both: {
    parameters: [{ callback: onMixed }, {
      callback: { parameters: ["i32"], result: "i32" },
    }],
    result: "f64",
  },
  call_int: {
    parameters: [{ callback: { parameters: ["i32"], result: "i32" } }, "i32"],
    result: "i32",
  },
  call_names: {
    parameters: ["i32", { callback: { parameters: ["i32"], result: Names } }],
    result: "u64",
  },
  call_names_elsewhere: {
    name: "call_names",
    parameters: ["i32", { callback: { parameters: ["i32"], result: Names } }],
    result: "u64",
    nonblocking: true,
  },
  names_length: { parameters: [Names, "cstring"], result: "u64" },
  aligned_result: { parameters: ["i32"], result: Aligned },
  aligned_argument: {
    parameters: [
      "cstring",
      Aligned,
      "i32",
      { callback: { parameters: [Aligned, "i32"], result: "i32" } },
    ],
    result: "i64",
  },
  sum_behind_dots: {
    parameters: ["i32", mixed, big, mixed, big, mixed, big, mixed, big],
    result: "f64",
    variadic: 1,
  },
  mixed_from_thread: { parameters: ["function"], result: mixed, nonblocking: true },
  big_from_thread: { parameters: ["function"], result: big, nonblocking: true },
  address: { name: "mixed_add", type: "pointer" },
  variable: { type: mixed },
  named_add: { name: "mixed_add", parameters: [Mixed, "i32"], result: Mixed },
  named_call: {
    name: "call_mixed",
    parameters: ["i32", {
      callback: { parameters: [Mixed, "i32"], result: Mixed, stop: { id: -1, x: 0 } },
    }],
    result: "f64",
  },
  named_big: {
    name: "call_big",
    parameters: ["i32", { callback: { parameters: ["i64"], result: Big } }],
    result: "i64",
  },
  add_all: { name: "big_add", parameters: [Parts, "i64"], result: Parts },
  named_variable: { name: "variable", type: Mixed },
} as const;

function pair(id: number, x: number): Uint8Array<ArrayBuffer> {
  const view = new DataView(new ArrayBuffer(16));
  view.setInt32(0, id, true);
  view.setFloat64(8, x, true);
  return new Uint8Array(view.buffer);
}

function partsOf({ buffer }: Uint8Array<ArrayBuffer>): [id: number, x: number] {
  const view = new DataView(buffer);
  return [view.getInt32(0, true), view.getFloat64(8, true)];
}

function triple(...values: [bigint, bigint, bigint]): Uint8Array<ArrayBuffer> {
  return new Uint8Array(BigInt64Array.from(values).buffer);
}

const bigOf = ({ buffer }: Uint8Array<ArrayBuffer>): bigint[] => [...new BigInt64Array(buffer)];

let compiled: string | undefined;

/** Compiles tests/bodies/structs.c, once a run, and opens it. */
function open() {
  if (compiled === undefined) {
    const folder = join(root, ".zig-cache", "structs");
    Deno.mkdirSync(folder, { recursive: true });
    const path = join(folder, "libstructs.so");
    const options = [
      "-x",
      "c",
      "-O2",
      "-fPIC",
      "-shared",
      "-pthread",
      "-Wall",
      "-Wextra",
      "-Werror",
    ];
    const { success, stderr } = new Deno.Command(cxx(), {
      args: [...options, join(root, "tests/bodies/structs.c"), "-o", path],
    }).outputSync();
    assert(success, new TextDecoder().decode(stderr));
    compiled = path;
  }
  return dlopen(compiled, table);
}

testWith("g++", "errno comes beside a struct", () => {
  using library = open();
  const { with_errno, big_with_errno } = library.symbols;
  const { value, errno } = with_errno(pair(1, 2), 34);
  assertEquals([partsOf(value), errno], [[35, 4], 34]);
  const other = big_with_errno(triple(1n, 2n, 3n), 5n);
  assertEquals([bigOf(other.value), other.errno], [[6n, 7n, 8n], 5]);
});

testWith("g++", "a stop may be a struct, or a function that answers one", async () => {
  using library = open();
  const { stopped, asked, stopped_big } = library.symbols;
  const failing = (): never => {
    throw new Error("enough");
  };
  for (const f of [stopped, asked]) {
    let calls = 0;
    assertThrows(
      () =>
        f(10, (got) => {
          calls++;
          return calls < 3 ? got : failing();
        }),
      Error,
      "enough",
    );
    assertEquals(calls, 3);
  }
  // C has ended upon the first.
  assertEquals(asks, [2]);
  const controller = new AbortController();
  const running = stopped.async(
    10,
    () => new Promise<Uint8Array<ArrayBuffer>>(() => {}),
    controller,
  );
  controller.abort();
  await assertRejects(() => running, DOMException);
  const pulled = stopped_big.calls(10);
  assertEquals(pulled.resume()?.args, [0n]);
  pulled.return(0n);
});

testWith("g++", "an answer that C never got is forgotten", () => {
  using library = open();
  const { call_both } = library.symbols;
  const calls = call_both.calls();
  calls.resume()!.reply(7 as never);
  calls.resume()!.reply(pair(100, 1000) as never);
  calls.return(0);
  // On the same stack, with the same mailbox.
  assertEquals(call_both((got) => got, () => 5), 5.5);
});

testWith("g++", "C goes on with a function that takes and returns structs", async () => {
  using library = open();
  const { call_mixed, mixed_add, call_big, big_of, big_add, call_int } = library.symbols;
  const expected = 0 + 10 + 0 + 1 + 10 + 1;
  assertEquals(call_mixed(2, (got, more) => tailCall(mixed_add, got, more)), expected);
  assertEquals(
    await call_mixed.async(2, async (got, more) => {
      await undefined;
      return tailCall(mixed_add, got, more);
    }),
    expected,
  );
  // Its result goes where C wants that of the callback.
  assertEquals(call_big(3, (i) => tailCall(big_of, i)), 300n);
  if (Deno.build.arch === "x86_64") {
    assertThrows(() => tailCall(big_add, triple(1n, 2n, 3n), 4n), TypeError, "on the stack");
  }
  assertThrows(
    () => call_int(() => tailCall(big_of, 1n), 1),
    TypeError,
    "it returns struct { i64, i64, i64 }, and C has made room for i32",
  );
  assertThrows(
    () => call_big(1, () => tailCall(call_int, kept, 1)),
    TypeError,
    "it returns i32, and C has made room for struct { i64, i64, i64 }",
  );
});

const kept = new Callback({ parameters: ["i32"], result: "i32" }, (i) => i);

testWith("g++", "threads of C's call back with structs, and are answered with them", async () => {
  using library = open();
  const { mixed_from_thread, big_from_thread } = library.symbols;
  using mixing = new Callback(onMixed, async (got, more) => {
    await undefined;
    const [id, x] = partsOf(got);
    return pair(id + more, x);
  }, { threads: true });
  assertEquals(partsOf(await mixed_from_thread(mixing)), [3, 0.5]);
  using making = new Callback(onBig, (i) => triple(i, 2n * i, 3n * i), { threads: true });
  assertEquals(bigOf(await big_from_thread(making)), [3n, 6n, 9n]);
  assertThrows(
    () => new Callback({ ...onMixed, stop: pair(0, 0) }, (got) => got, { threads: true }),
    TypeError,
    "stop must be a function where threads are answered a struct: got an object of class Uint8Arr",
  );
  const definition = { ...onMixed, stop: () => pair(-9, 1) };
  using stopping = new Callback(definition, () => new Promise<Uint8Array<ArrayBuffer>>(() => {}), {
    threads: true,
  });
  const running = mixed_from_thread(stopping);
  await new Promise((resolve) => setTimeout(resolve, 100));
  stopping.close();
  assertEquals(partsOf(await running), [-9, 1]);
});

testWith("g++", "strings in a struct stay as long as strings do", async () => {
  using library = open();
  const { names_length, call_names, call_names_elsewhere } = library.symbols;
  assertEquals(names_length({ first: "a", second: "bc" }, "def"), 6n);
  // Longer than what has room in one buffer for all strings of a call.
  const long = "x".repeat(700);
  assertEquals(names_length({ first: long, second: long }, long), 2100n);
  const answer = (i: number) => ({ first: "a".repeat(500 + i), second: "b".repeat(300 + i) });
  for (const count of [3, 16, 50]) {
    let expected = 0;
    for (let i = Math.max(0, count - 16); i < count; i++) expected += 500 + i + 100 * (300 + i);
    assertEquals(call_names(count, answer), BigInt(expected));
    assertEquals(await call_names_elsewhere(count, answer), BigInt(expected));
  }
});

testWith("g++", "buffers beside strings in a struct are looked after, answer by answer", () => {
  using library = open();
  const { call_names } = library.symbols;
  const both = struct({ first: "cstring", second: "buffer" });
  using other = dlopen(compiled!, {
    call_names: {
      parameters: ["i32", { callback: { parameters: ["i32"], result: both } }],
      result: "u64",
    },
  });
  const bytes = new TextEncoder().encode("four\0");
  const answer = { first: "abc", second: bytes };
  assertEquals(
    other.symbols.call_names(3, () => answer),
    call_names(3, () => ({
      first: "abc",
      second: "four",
    })),
  );
  // One that was transferred elsewhere is missed, whichever answer it was in.
  const gone = bytes.slice();
  assertThrows(
    () =>
      other.symbols.call_names(3, (i) => {
        if (i === 1) gone.buffer.transfer();
        return i === 0 ? { first: "abc", second: gone } : answer;
      }),
    TypeError,
    "that a handler has answered was detached while C was using it",
  );
});

testWith(
  "g++",
  "a getter of an answer may end the call, or begin another, and gets no other's",
  () => {
    using library = open();
    const { named_big, named_call, call_int } = library.symbols;
    type Pulled = Iterator<{ reply(value: object): void }>;
    const steal = (calls: Pulled & { return(value: never): void }, rest: object): void => {
      const { reply } = calls.next().value;
      const other = call_int.calls(5);
      const isBig = "all" in rest;
      const end = (): void => {
        calls.return(0 as never);
        (other.next().value as { reply(value: number): void }).reply(77);
      };
      const answer = Object.defineProperty({ ...rest }, isBig ? "all" : "id", {
        enumerable: true,
        get() {
          end();
          return isBig ? [1n, 2n, 3n] : 1;
        },
      });
      assertThrows(() => reply(answer), Error, "the call has been ended");
      assertEquals(other.next(), { done: true, value: 77 });
    };
    steal(named_big.calls(3) as never, { all: [] });
    steal(named_call.calls(3) as never, { id: 0, x: 2 });
    const calls = named_call.calls(1);
    const { reply } = calls.next().value as { reply(value: object): void };
    const again = {
      x: 1,
      get id(): number {
        reply({ id: 5, x: 5 });
        return 1;
      },
    };
    assertThrows(() => reply(again), Error, "is being answered, and this is called by a getter");
    const pulling = {
      x: 1,
      get id(): number {
        calls.next();
        return 1;
      },
    };
    assertThrows(() => reply(pulling), Error);
  },
);

testWith(
  "g++",
  "a getter of an answer may close the callback that a thread waits for",
  async () => {
    using library = open();
    for (const isBig of [false, true]) {
      const definition = isBig
        ? { parameters: ["i64"], result: Big, stop: () => ({ all: [7n, 8n, 9n] }) } as const
        : { parameters: [Mixed, "i32"], result: Mixed, stop: () => ({ id: 7, x: 8 }) } as const;
      const answer = Object.defineProperty(isBig ? {} : { x: 1 }, isBig ? "all" : "id", {
        enumerable: true,
        get() {
          callback.close();
          return isBig ? [1n, 2n, 3n] : 1;
        },
      });
      // deno-lint-ignore no-explicit-any -- of either type
      const callback: Callback<any> = new Callback(definition as any, () => answer, {
        threads: true,
      });
      const { big_from_thread, mixed_from_thread } = library.symbols;
      const got = await (isBig ? big_from_thread : mixed_from_thread)(callback);
      const view = new BigInt64Array(got.buffer);
      assertEquals(isBig ? [...view] : [view[0]! & 0xffffffffn], isBig ? [7n, 8n, 9n] : [7n]);
    }
  },
);

testWith("g++", "a struct may be aligned to more than the stack", async () => {
  using library = open();
  for (let i = 0; i < 20; i++) {
    assertEquals(library.symbols.aligned_result(3).words, Array(32).fill(0x0303030303030303n));
  }
  const words = Array(32).fill(-1n);
  const passed: unknown[] = [];
  const visit = (value: { words: bigint[] }, third: number): number => {
    passed.push(value);
    return third;
  };
  const { aligned_argument } = library.symbols;
  for (let i = 0; i < 20; i++) {
    assertEquals(aligned_argument("first", { words }, i, visit), 0n);
    assertEquals(passed.pop(), { words });
  }
  const elsewhere = { ...table.aligned_argument, nonblocking: "thread" } as const;
  using other = dlopen(compiled!, { aligned_argument: elsewhere });
  assertEquals(await other.symbols.aligned_argument("first", { words }, 5, visit), 0n);
  assertEquals(passed.pop(), { words });

  // Elsewhere C gets the address of so large a struct.
  if (Deno.build.arch !== "x86_64") return;
  const page = struct({ word: "i32" }, { alignment: 4096 });
  const paged = { parameters: [page], result: "void", stackSize: 8192 } as const;
  assertThrows(
    () => functionAt(library.symbols.address!, paged)({ word: 1 }),
    RangeError,
    "its stack has 8192 bytes, and 512 words of its arguments are passed there",
  );
});

testWith("g++", "very large structs are passed while the stack has room for them", async () => {
  const huge = { struct: Array(8000).fill("i64") } as const;
  using library = open();
  const bytes = new BigInt64Array(8000);
  const f = (extra: object) =>
    functionAt(library.symbols.address!, {
      parameters: [mixed, "i32", huge],
      result: mixed,
      ...extra,
    });
  assertEquals(partsOf(f({})(pair(1, 2), 3, bytes) as Uint8Array<ArrayBuffer>), [4, 4]);
  // Elsewhere C gets the address of so large a struct.
  if (Deno.build.arch !== "x86_64") return;
  assertThrows(
    () => f({ stackSize: 32768 })(pair(1, 2), 3, bytes),
    RangeError,
    "its stack has 32768 bytes, and 8000 words of its arguments are passed there",
  );
  await assertRejects(
    async () => await f({ nonblocking: "thread" })(pair(1, 2), 3, bytes),
    RangeError,
    "its arguments take 64000 bytes of the stack, and a call with a thread of its own has 48712",
  );
});

testWith("g++", "structs stand behind the dots, in functionAt, and as variables", () => {
  using library = open();
  const { sum_behind_dots, address, variable } = library.symbols;
  const [a, b] = [pair(1, 0.5), triple(1n, 10n, 100n)];
  assertEquals(sum_behind_dots(4, a, b, a, b, a, b, a, b), 4 * 112.5);
  assertEquals(partsOf(functionAt(address!, table.mixed_add)(a, 3)), [4, 1]);
  assertEquals(partsOf(variable), [7, 0.25]);
});

testWith("g++", "a Callback that gives another struct is refused", () => {
  using library = open();
  const { call_mixed } = library.symbols;
  using other = new Callback({ parameters: [mixed, "i32"], result: big }, () => triple(1n, 2n, 3n));
  const error = assertThrows(() => call_mixed(1, other as never), TypeError);
  assertStringIncludes(
    error.message,
    "(struct { i32, f64 },i32) => struct { i64, i64, i64 }, and C needs (struct { i32, f64 },i32)" +
      " => struct { i32, f64 }",
  );
  const short = () => call_mixed(1, () => new Uint8Array(15));
  assertThrows(short, RangeError, "must have the 16 bytes of the struct: got 15");
  assertThrows(() => call_mixed(1, () => 5 as never), TypeError, "must be an ArrayBuffer");
});

testWith("g++", "code of the caller's that a struct runs may make the same call", () => {
  using library = open();
  const { add_all } = library.symbols;
  let inner: unknown;
  const value = {
    first: 1n,
    rest: {
      *[Symbol.iterator]() {
        yield 2n;
        inner ??= add_all({ first: 50n, rest: [60n, 70n] }, 5n);
        yield 3n;
      },
    },
  };
  // So the memory is there in which it is put together.
  assertEquals(add_all({ first: 1n }, 1n), { first: 2n, rest: [1n, 1n] });
  assertEquals(add_all(value, 10n), { first: 11n, rest: [12n, 13n] });
  assertEquals(inner, { first: 55n, rest: [65n, 75n] });
});

testWith("g++", "values of layouts are objects, in every form", async () => {
  using library = open();
  const { named_add, named_call, named_big, named_variable, mixed_from_thread } = library.symbols;
  assertEquals(named_add({ id: 1, x: 0.5 }, 2), { id: 3, x: 1 });
  assertEquals(named_add({ x: 0.5, id: 1 }, 2), { id: 3, x: 1 });
  // What is left out is zero.
  assertEquals(named_add({ id: 1 }, 2), { id: 3, x: 0 });
  assertEquals(named_variable, { id: 7, x: 0.25 });
  const doubled = ({ id, x }: { id: number; x: number }) => ({ id: 2 * id, x: 2 * x });
  assertEquals(named_call(3, doubled), 9);
  assertEquals(await named_call.async(3, async (got) => doubled(await Promise.resolve(got))), 9);
  const calls = named_call.calls(3);
  for (const { args: [got, more], reply } of calls) reply({ id: got.id + more, x: 0 });
  using generator = new Generator<void, number>(new OsStack(), function* (yielder) {
    yield yield* yielder.call(named_call, 3, function* (got) {
      yield got.id;
      return doubled(got);
    });
  });
  assertEquals([...generator], [0, 1, 2, 9]);
  assertEquals(named_big(2, (i) => ({ all: [i, 1, 2n] })), 7n);
  using callback = new Callback({ parameters: [Mixed, "i32"], result: Mixed }, doubled);
  assertEquals(named_call(3, callback), 9);
  using foreign = new Callback(onNamed, doubled, { threads: true });
  assertEquals(partsOf(await mixed_from_thread(foreign)), [2, 1]);
  assertThrows(() => named_add({ id: 1.5, x: 1 }, 2), RangeError, "argument 0: field id must be");
  assertThrows(() => named_add({ y: 1 } as never, 2), TypeError, 'there is no field "y"');
  assertThrows(
    () => named_call(1, () => ({ id: "1" }) as never),
    TypeError,
    "Cannot answer named_call: the result of callback parameter 1: field id must be an integer",
  );
});

const onNamed = { parameters: [Mixed, "i32"], result: Mixed } as const;
