// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** `exclusive: true`: of such functions of a library one call is under way at a time. */

import { assert, assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import { runInNewContext } from "node:vm";
import { calleeOf } from "../../ffi/call/callee.ts";
import { Scope } from "../../ffi/call/scope.ts";
import { Turn } from "../../ffi/call/turn.ts";
import { memoryOf } from "../../ffi/stack/stack.ts";
import { dlopen, functionAt, Generator, OsStack } from "../../mod.ts";
import { collectUntil, testBodies } from "../support/support.ts";

const i32Callback = { callback: { parameters: ["i32"], result: "i32" } } as const;
const definitions = {
  call_n: { parameters: ["i32", i32Callback], result: "i32", exclusive: true },
  call_n_elsewhere: {
    name: "call_n",
    parameters: ["i32", i32Callback],
    result: "i32",
    exclusive: true,
    nonblocking: true,
  },
  plus_one: { parameters: ["u32"], result: "u32", exclusive: true },
  free: { name: "plus_one", parameters: ["u32"], result: "u32" },
} as const;

function open() {
  return dlopen(testBodies, definitions);
}

const later = <T>(value: T): Promise<T> =>
  new Promise((resolve) => setTimeout(() => resolve(value)));

const BUSY = (name: string, holder = "call_n") =>
  `Cannot call ${name}: it is exclusive, and ${holder} of the same library is under way; call it ` +
  "by .async(), which waits for its turn";

Deno.test("f.async() of an exclusive function waits for its turn, in order", async () => {
  using library = open();
  const { call_n, call_n_elsewhere, plus_one } = library.symbols;
  const log: string[] = [];
  const handler = (name: string) => async (i: number) => {
    log.push(`${name}${i}`);
    return await later(i);
  };
  const results = await Promise.all([
    call_n.async(2, handler("a")),
    call_n_elsewhere(2, handler("b")),
    plus_one.async(1).then((value) => (log.push("c"), value)),
    call_n.async(2, handler("d")),
  ]);
  assertEquals(results, [1, 1, 2, 1]);
  assertEquals(log.filter((step) => step !== "c"), ["a0", "a1", "b0", "b1", "d0", "d1"]);
  assert(log.indexOf("c") > log.indexOf("b1"));
});

Deno.test("other forms of an exclusive function throw while one is under way", async () => {
  using library = open();
  const { call_n, plus_one, free } = library.symbols;
  const refused = () => {
    assertThrows(() => plus_one(1), Error, BUSY("plus_one"));
    assertThrows(() => call_n.calls(1).next(), Error, BUSY("call_n"));
    using generator = new Generator(new OsStack(), function* (yielder) {
      return yield* yielder.call(plus_one, 1);
    });
    assertThrows(() => generator.next(), Error, BUSY("plus_one"));
    assertEquals(free(1), 2);
    return 1;
  };
  assertEquals(call_n(2, refused), 2);
  assertEquals(await call_n.async(2, async () => await later(refused())), 2);
  const calls = call_n.calls(2);
  for (let step = calls.next(); !step.done; step = calls.next()) step.value.reply(refused());
  using generator = new Generator(new OsStack(), function* (yielder) {
    return yield* yielder.call(call_n, 2, function* () {
      yield 0;
      return refused();
    });
  });
  assertEquals([...generator].length, 2);
  assertEquals(plus_one(1), 2);
});

Deno.test("the turn is passed on however a call ends", async () => {
  using library = open();
  const { call_n, call_n_elsewhere, plus_one } = library.symbols;
  const fails = (): number => {
    throw new Error("on purpose");
  };
  const after = (how: string) => assertEquals(plus_one(1), 2, how);
  assertThrows(() => call_n(1, fails), Error, "on purpose");
  after("f() throws");
  await assertRejects(() => call_n.async(1, fails), Error, "on purpose");
  after("f.async() rejects");
  await assertRejects(() => call_n_elsewhere(1, fails), Error, "on purpose");
  after("nonblocking");
  for (const _ of call_n.calls(1)) break;
  after("f.calls() is left");
  assertThrows(() => call_n(1, 1 as never), TypeError);
  assertThrows(() => plus_one("1" as never), TypeError);
  await assertRejects(() => plus_one.async("1" as never), TypeError);
  assertThrows(() => call_n.calls("1" as never).next(), TypeError);
  using generator = new Generator(new OsStack(), function* (yielder) {
    yield* yielder.call(plus_one, "1" as never);
  });
  assertThrows(() => generator.next(), TypeError);
  after("a wrong argument");
  const controller = new AbortController();
  const aborted = call_n.async(1, () => new Promise<number>(() => {}), {
    signal: controller.signal,
  });
  controller.abort(new Error("enough"));
  await assertRejects(() => aborted, Error, "enough");
  after("aborted");
  using other = new Generator(new OsStack(), function* (yielder) {
    yield* yielder.call(call_n, 2, function* () {
      yield 1;
      return 1;
    });
  });
  other.next();
  other.return(undefined);
  after("a generator is left");
});

Deno.test("a call that waits for its turn can be aborted, and the next one waits on", async () => {
  using library = open();
  const { call_n, plus_one } = library.symbols;
  const gate = Promise.withResolvers<number>();
  const first = call_n.async(1, () => gate.promise);
  const controller = new AbortController();
  const reason = new Error("enough");
  const second = plus_one.async(1, { signal: controller.signal });
  const third = plus_one.async(2);
  controller.abort(reason);
  assertStrictEquals(await assertRejects(() => second), reason);
  const already = plus_one.async(3, { signal: AbortSignal.abort(reason) });
  assertStrictEquals(await assertRejects(() => already), reason);
  gate.resolve(7);
  assertEquals([await first, await third], [7, 3]);
  assertEquals(plus_one(1), 2);
});

Deno.test("calls that wait when the library closes are refused", async () => {
  const library = open();
  const { call_n, plus_one } = library.symbols;
  const first = call_n.async(1, () => new Promise<number>(() => {}));
  const rest = [plus_one.async(1), plus_one.async(2)];
  const caught = [first, ...rest].map((call) => assertRejects(() => call, Error, "closed"));
  library.close();
  await Promise.all(caught);
  using again = open();
  assertEquals(again.symbols.plus_one(1), 2);
});

Deno.test("a library that is opened twice has one turn", () => {
  using one = open();
  using two = open();
  one.symbols.call_n(1, () => {
    assertThrows(() => two.symbols.plus_one(1), Error, BUSY("plus_one"));
    return 1;
  });
  assertEquals(two.symbols.plus_one(1), 2);
});

Deno.test("a call that is dropped passes its turn on once it is garbage", async () => {
  using library = open();
  const { call_n, plus_one } = library.symbols;
  const drop = (): void => {
    call_n.async(1, () => new Promise<number>(() => {}));
  };
  drop();
  const next = plus_one.async(1);
  let isOver = false;
  next.then(() => isOver = true);
  await collectUntil(() => isOver);
  assertEquals(await next, 2);
});

Deno.test("a call that is aborted as its turn comes does not run, and passes it on", async () => {
  const turn = new Turn();
  turn.take("a", "Cannot call a");
  const controller = new AbortController();
  const b = turn.wait("b", controller.signal);
  const c = turn.wait("c", undefined);
  turn.pass();
  // Now b has it, though it does not know yet.
  assertThrows(() => turn.take("d", "Cannot call d"), Error, BUSY("d", "b"));
  controller.abort(new Error("enough"));
  await assertRejects(() => b, Error, "enough");
  await c;

  using library = open();
  const { call_n, plus_one } = library.symbols;
  const other = new AbortController();
  const reason = new Error("enough");
  // This comes when the first call has ended, and before the second hears of its turn.
  const abort = (): number => {
    queueMicrotask(() => other.abort(reason));
    return 1;
  };
  const first = call_n.async(1, abort);
  const second = plus_one.async(1, { signal: other.signal });
  const third = plus_one.async(2);
  assertStrictEquals(await assertRejects(() => second), reason);
  assertEquals(await first, 1);
  assertEquals(await third, 3);
});

Deno.test("a call that never begins passes its turn on", () => {
  using library = open();
  const { plus_one } = library.symbols;
  const scope = new Scope(memoryOf(new OsStack()));
  scope.running = true;
  for (let i = 0; i < 2; i++) {
    // On the generator's own stack.
    scope.close(scope.open(calleeOf(plus_one), [1], "generators"));
    assertEquals(plus_one(1), 2);
  }
});

Deno.test("a call whose JavaScript is cut short passes its turn on", async () => {
  using library = open();
  const { call_n, plus_one } = library.symbols;
  let waits: Promise<number> | undefined;
  const cut = (before: () => void): void => {
    const run = (): number =>
      call_n(1, () => {
        before();
        for (;;);
      });
    // Not an Error of this context.
    assertThrows(() => runInNewContext("run()", { run }, { timeout: 250 }));
  };
  cut(() => {});
  assertEquals(await plus_one.async(1), 2);
  cut(() => waits = plus_one.async(2));
  assertEquals(await waits, 3);
});

Deno.test("exclusive must be a boolean", () => {
  assertThrows(
    () => dlopen(testBodies, { plus_one: { ...definitions.plus_one, exclusive: 1 as never } }),
    TypeError,
    "Cannot open symbol plus_one: exclusive must be a boolean: got 1",
  );
  assertThrows(
    () => functionAt({} as never, definitions.plus_one),
    TypeError,
    "the pointer must be a Deno.PointerObject",
  );
});
