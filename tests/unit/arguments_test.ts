// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** What stands behind the dots of a variadic callback. */

import {
  assertEquals,
  assertGreater,
  assertLess,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { Mailbox } from "../../ffi/layout.ts";
import { Callback, dlopen, Generator, OsStack, struct, type VariadicArguments } from "../../mod.ts";
import { testBodies } from "../support/support.ts";

const callback = { parameters: ["cstring"], result: "i32", variadic: true } as const;
const table = {
  call_variadic: { parameters: [{ callback }, "i32"], result: "i32" },
  elsewhere: {
    name: "call_variadic",
    parameters: [{ callback }, "i32"],
    result: "i32",
    nonblocking: true,
  },
  on_thread: {
    name: "call_variadic",
    parameters: [{ callback }, "i32"],
    result: "i32",
    nonblocking: "thread",
  },
  keep: { name: "call_variadic", parameters: ["function", "i32"], result: "i32" },
} as const;

const TYPES = { i: "i32", d: "f64", l: "i64", s: "cstring" } as const;

/** Reads what the first argument says there is. */
function all(types: string | null, rest: VariadicArguments): unknown[] {
  return Array.from(types!, (type) => rest.next(TYPES[type as keyof typeof TYPES]));
}

const MANY = Array.from({ length: 10 }, (_, i) => [i + 1, i + 0.5, BigInt(-i - 1)]).flat();
const PASSED: readonly unknown[][] = [[], [-5, "text"], MANY];

Deno.test("what stands behind the dots is read by its types, in every form of a call", async () => {
  using library = dlopen(testBodies, table);
  const { call_variadic, elsewhere, on_thread, keep } = library.symbols;
  for (const [which, expected] of PASSED.entries()) {
    const seen: unknown[][] = [];
    const note = (types: string | null, rest: VariadicArguments): number => {
      seen.push(all(types, rest));
      return which;
    };
    assertEquals(call_variadic(note, which), which);
    assertEquals(
      await call_variadic.async(async (types, rest) => {
        await Promise.resolve();
        return note(types, rest);
      }, which),
      which,
    );
    assertEquals(await elsewhere(note, which), which);
    assertEquals(await on_thread(note, which), which);
    for (const { args: [types, rest], reply } of call_variadic.calls(which)) {
      reply(note(types, rest));
    }
    using generator = new Generator<void, unknown>(new OsStack(), function* (yielder) {
      yield* yielder.call(call_variadic, function* (types, rest) {
        yield all(types, rest);
        return which;
      }, which);
    });
    seen.push(generator.resume() as unknown[]);
    using kept = new Callback(callback, note);
    assertEquals(keep(kept, which), which);
    assertEquals(call_variadic(kept, which), which);
    assertEquals(seen, Array(8).fill(expected));
  }
});

Deno.test("what stands behind the dots is gone once the callback is answered", async () => {
  using library = dlopen(testBodies, table);
  const { call_variadic } = library.symbols;
  const gone = (rest: VariadicArguments | undefined): void => {
    assertThrows(() => rest!.next("i32"), Error, "is gone, since the callback has been answered");
  };
  let rest: VariadicArguments | undefined;
  call_variadic((_, passed) => {
    rest = passed;
    assertEquals(rest.next("i32"), -5);
    return 0;
  }, 1);
  gone(rest);
  for (const { args, reply } of call_variadic.calls(1)) {
    rest = args[1];
    assertEquals(rest.next("i32"), -5);
    reply(1);
    gone(rest);
  }
  for (const { args } of call_variadic.calls(1)) {
    rest = args[1];
    break;
  }
  gone(rest);
  const both: VariadicArguments[] = [];
  const seen = call_variadic((_, passed) => {
    both.push(passed);
    if (both.length === 2) gone(both[0]);
    return passed.next("i32") * 10;
  }, 3);
  assertEquals(seen, 30);
  const controller = new AbortController();
  const call = call_variadic.async(
    (_, passed) => {
      rest = passed;
      return new Promise<number>(() => {});
    },
    1,
    { signal: controller.signal },
  );
  assertEquals(rest!.next("i32"), -5);
  controller.abort(new Error("on purpose"));
  await assertRejects(() => call, Error, "on purpose");
  gone(rest);
});

Deno.test("a type that C promotes is refused behind the dots, and nothing is read", () => {
  using library = dlopen(testBodies, table);
  const { call_variadic } = library.symbols;
  call_variadic((_, rest) => {
    const refused = {
      bool: "i32",
      i8: "i32",
      u8: "i32",
      char: "i32",
      i16: "i32",
      u16: "i32",
      f32: "f64",
    };
    for (const [type, promoted] of Object.entries(refused)) {
      assertThrows(
        () => rest.next(type as "f32"),
        TypeError,
        `it has the type "${type}", which C promotes where it stands behind the dots; declare it ` +
          `as "${promoted}"`,
      );
    }
    for (const type of ["int", "void", undefined, { callback }]) {
      assertThrows(() => rest.next(type as "i32"), TypeError, "Cannot read an argument behind");
    }
    assertEquals([rest.next("i32"), rest.next("cstring")], [-5, "text"]);
    return 0;
  }, 1);
});

Deno.test("no more is read behind the dots than C can have passed", async () => {
  using library = dlopen(testBodies, table);
  let read = 0;
  const endless = (_: string | null, rest: VariadicArguments): number => {
    for (;; read++) rest.next("i64");
  };
  const { call_variadic } = library.symbols;
  const beyond = "C has not passed so much, since its stack ends before that";
  assertThrows(() => call_variadic(endless, 2), RangeError, beyond);
  assertGreater(read, 6);
  assertLess(read, 127);
  // AAPCS64 passes a large struct by its address, and where that leads is C's affair.
  if (Deno.build.arch === "aarch64") return;
  const many = struct({ bytes: ["u8", 2 ** 20] });
  for (const f of [call_variadic.async, library.symbols.elsewhere, library.symbols.on_thread]) {
    let error: unknown;
    await f((_: string | null, rest: VariadicArguments) => {
      error = assertThrows(() => rest.next(many), RangeError);
      return 0;
    }, 1);
    assertStringIncludes(String(error), beyond);
  }
});

Deno.test("a program makes no VariadicArguments, which would read anywhere", () => {
  using library = dlopen(testBodies, table);
  library.symbols.call_variadic((_, rest) => {
    const { constructor } = rest;
    assertThrows(
      () => Reflect.construct(constructor, [new DataView(new ArrayBuffer(Mailbox.size)), {}]),
      TypeError,
      "Cannot make VariadicArguments: a callback gets them",
    );
    return 0;
  }, 0);
});

Deno.test("a type that a program changes later is what it was", () => {
  using library = dlopen(testBodies, table);
  library.symbols.call_variadic((_, rest) => {
    const words: ("i64" | "i32")[] = ["i64"];
    const one = { struct: words };
    assertEquals(new DataView(rest.next(one).buffer).getInt32(0, true), 1);
    words.push("i64", "i64");
    assertEquals([rest.next("f64"), rest.next("i64")], [0.5, -1n]);
    return 0;
  }, 2);
});

Deno.test("a Callback with dots is another than one without", () => {
  using library = dlopen(testBodies, table);
  using plain = new Callback({ parameters: ["cstring"], result: "i32" }, () => 0);
  assertThrows(
    () => library.symbols.call_variadic(plain as never, 0),
    TypeError,
    "it is (cstring) => i32, and C needs (cstring,...) => i32",
  );
  for (const variadic of [1, null, "yes"]) {
    assertThrows(
      () => new Callback({ ...callback, variadic: variadic as unknown as boolean }, () => 0),
      TypeError,
      "variadic must be a boolean, whether there are dots behind the parameters: got ",
    );
  }
});
