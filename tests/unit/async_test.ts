// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** `f.async(...args)`, which lets go of C while a handler is awaited. */

import {
  assert,
  assertEquals,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { collectUntil, gc, openBodies } from "../support/support.ts";

const later = <T>(value: T): Promise<T> =>
  new Promise((resolve) => setTimeout(() => resolve(value)));

Deno.test("f.async() takes plain handlers and async ones, and resolves to the result", async () => {
  using library = openBodies();
  const { call_n, two_callbacks, call_void, add_six } = library.symbols;
  assertEquals(await call_n.async(5, (i) => i), 10);
  assertEquals(await call_n.async(5, async (i) => await later(i * 2)), 20);
  assertEquals(await call_n.async(4, (i) => i % 2 === 0 ? later(1) : 1), 4);
  assertEquals(await two_callbacks.async(async () => await later(3), () => 4), 304);
  assertEquals(await call_void.async(async () => await later(undefined)), undefined);
  assertEquals(await add_six.async(1, 2, 3, 4, 5, 6), 21n);
});

Deno.test("f.async() lets the event loop run while a handler is pending", async () => {
  using library = openBodies();
  const order: string[] = [];
  const call = library.symbols.call_n.async(2, async (i) => {
    order.push(`asked ${i}`);
    await later(0);
    order.push(`answered ${i}`);
    return i;
  });
  order.push("returned");
  setTimeout(() => order.push("task"));
  assertEquals(await call, 1);
  assertEquals(order.slice(0, 2), ["asked 0", "returned"]);
  assert(order.indexOf("task") < order.indexOf("answered 1"));
});

Deno.test("f.async() can be called many times over at once", async () => {
  using library = openBodies();
  const { call_n } = library.symbols;
  const sums = await Promise.all(
    Array.from({ length: 100 }, (_, n) => call_n.async(n, async (i) => await later(i))),
  );
  assertEquals(sums, Array.from({ length: 100 }, (_, n) => n * Math.max(n - 1, 0) / 2));
});

Deno.test("f.async() takes a controller for its signal, as the Web does", async () => {
  using library = openBodies();
  const controller = new AbortController();
  const reason = new Error("on purpose");
  const call = library.symbols.call_n.async(1, () => new Promise<number>(() => {}), controller);
  controller.abort(reason);
  assertStrictEquals(await assertRejects(() => call), reason);
});

Deno.test("f.async() rejects with the very error of a handler, after C is unwound", async () => {
  using library = openBodies();
  const { with_destructor, destructor_count } = library.symbols;
  const before = destructor_count();
  const thrown = new Error("on purpose");
  const handlers = [
    () => {
      throw thrown;
    },
    () => Promise.reject(thrown),
    async () => {
      await later(0);
      throw thrown;
    },
  ];
  for (const [i, handler] of handlers.entries()) {
    assertStrictEquals(await assertRejects(() => with_destructor.async(handler)), thrown);
    assertEquals(destructor_count(), before + i + 1);
  }
  assertEquals(await with_destructor.async((i) => i), 1);
});

Deno.test("f.async() rejects for wrong arguments and wrong answers", async () => {
  using library = openBodies();
  // deno-lint-ignore no-explicit-any -- what a program without types can pass
  const call_n = library.symbols.call_n as any;
  await assertRejects(() => call_n.async(1), TypeError, "it takes 2 arguments here: got 1");
  await assertRejects(() => call_n.async(1), TypeError, "the function that answers its callback");
  await assertRejects(() => call_n.async("1", () => 1), TypeError, "argument 0 must be");
  await assertRejects(() => call_n.async(1, 1), TypeError, "argument 1 must be a function");
  await assertRejects(
    () => call_n.async(1, async () => await later("1")),
    TypeError,
    "Cannot answer",
  );
  await assertRejects(() => call_n.async(1, () => 0.5), RangeError, "Cannot answer call_n");
  await assertRejects(() => call_n.async(1, function* () {}), TypeError, "is a generator function");
  await assertRejects(
    () => call_n.async(1, async function* () {}),
    TypeError,
    "Cannot answer call_n",
  );
});

Deno.test("f.async() of 1,000 calls that are suspended at once all finish right", async () => {
  using library = openBodies();
  const { call_n } = library.symbols;
  let [suspended, most] = [0, 0];
  const sums = await Promise.all(
    Array.from({ length: 1000 }, (_, n) =>
      call_n.async(4, async (i) => {
        most = Math.max(most, ++suspended);
        await new Promise((resolve) => setTimeout(resolve, Math.random() * 30));
        suspended--;
        return n * i;
      })),
  );
  assertEquals(sums, Array.from({ length: 1000 }, (_, n) => 6 * n));
  assertEquals(most, 1000);
});

Deno.test("f.async() goes on at once after a handler that gives no Promise", async () => {
  using library = openBodies();
  const order: string[] = [];
  queueMicrotask(() => order.push("microtask"));
  const call = library.symbols.call_n.async(3, (i) => {
    order.push(`asked ${i}`);
    return i;
  });
  order.push("returned");
  assertEquals(await call, 3);
  assertEquals(order, ["asked 0", "asked 1", "asked 2", "returned", "microtask"]);
});

Deno.test("f.async() whose signal has been aborted does not call C", async () => {
  using library = openBodies();
  const reason = new Error("before");
  let called = false;
  const error = await assertRejects(() =>
    library.symbols.call_n.async(1, () => {
      called = true;
      return 1;
    }, { signal: AbortSignal.abort(reason) })
  );
  assertStrictEquals(error, reason);
  assertEquals(called, false);
});

Deno.test("f.async() is ended at once by its signal while a handler is pending", async () => {
  using library = openBodies();
  const { with_destructor, destructor_count, ask_three, asked } = library.symbols;
  const before = destructor_count();
  const controller = new AbortController();
  const { signal } = controller;
  const gates = [Promise.withResolvers<number>(), Promise.withResolvers<number>()] as const;
  const unwound = with_destructor.async(() => gates[0].promise, { signal });
  const stopped = ask_three.async(() => gates[1].promise, { signal });
  await later(0);
  const reason = new Error("enough");
  controller.abort(reason);
  assertStrictEquals(await assertRejects(() => unwound), reason);
  assertStrictEquals(await assertRejects(() => stopped), reason);
  assertEquals([destructor_count(), asked()], [before + 1, 777]);
  // What the handlers say afterwards is nobody's business, and ends no process.
  gates[0].resolve(1);
  gates[1].reject(new Error("too late"));
  await later(0);
  assertEquals(await with_destructor.async(() => 5), 5);
});

Deno.test("f.async() is ended by its signal when a handler aborts it and answers", async () => {
  using library = openBodies();
  const { ask_three, asked } = library.symbols;
  const handlers = [
    (controller: AbortController, i: number) => {
      if (i === 1) controller.abort();
      return 1;
    },
    async (controller: AbortController, i: number) => {
      await later(0);
      if (i === 1) controller.abort();
      return 1;
    },
  ];
  for (const handler of handlers) {
    const controller = new AbortController();
    const call = ask_three.async((i) => handler(controller, i), { signal: controller.signal });
    const error = await assertRejects(() => call, DOMException);
    assertEquals(error.name, "AbortError");
    assertEquals(asked(), 177);
  }
});

Deno.test("f.async() is ended by its signal though its handler never settles", async () => {
  using library = openBodies();
  const { ask_three, asked } = library.symbols;
  const never = new Promise<number>(() => {});
  for (const handler of [() => never, async () => await never]) {
    const controller = new AbortController();
    const call = ask_three.async(() => {
      controller.abort(new Error("mine"));
      return handler();
    }, { signal: controller.signal });
    await assertRejects(() => call, Error, "mine");
    assertEquals(asked(), 777);
  }
});

Deno.test("f.async() is ended by its library though its handler never settles", async () => {
  const library = openBodies();
  using other = openBodies();
  const { with_destructor } = library.symbols;
  const before = other.symbols.destructor_count();
  const pending = with_destructor.async(() => new Promise<number>(() => {}));
  await later(0);
  library.close();
  await assertRejects(() => pending, Error, "has been closed, which ended it");
  assertEquals(other.symbols.destructor_count(), before + 1);
});

Deno.test("f.async() awaits whatever has a `then`", async () => {
  using library = openBodies();
  const callable = Object.assign(() => {}, {
    then: (resolve: (value: number) => void) => resolve(7),
  });
  assertEquals(await library.symbols.call_n.async(1, () => callable as never), 7);
  // Its `then` may not end the call under the answer of another one on the same stack.
  const { call_pointer } = library.symbols;
  const first = call_pointer.calls(null);
  const call = first.next().value;
  assert(typeof call === "object" && call !== null && "reply" in call);
  let second: ReturnType<typeof call_pointer.calls> | undefined;
  const ending = {
    get then() {
      first.return(null);
      second = call_pointer.calls(null);
      const other = second.next().value;
      assert(typeof other === "object" && other !== null && "reply" in other);
      other.reply(null);
      return undefined;
    },
  };
  assertThrows(() => call.reply(ending as never), Error, "the call has been ended");
  assertEquals(second!.next(), { done: true, value: null });
});

Deno.test("f.async() leaves nothing on its signal", async () => {
  using library = openBodies();
  const { signal } = new AbortController();
  let isCollected = false;
  const registry = new FinalizationRegistry(() => isCollected = true);
  const call = async () => {
    const handler = (i: number) => later(i);
    registry.register(handler, undefined);
    assertEquals(await library.symbols.call_n.async(3, handler, { signal }), 3);
  };
  await call();
  await collectUntil(() => isCollected);
  assertEquals([isCollected, signal.aborted], [true, false]);
});

Deno.test("f.async() asks its signal by Deno's own ways, which no property replaces", async () => {
  const library = openBodies();
  const { each_string } = library.symbols;
  const close = () => library.close();
  const { signal } = new AbortController();
  Object.assign(signal, { addEventListener: close, throwIfAborted: close });
  const called: unknown[] = [];
  await each_string.async((text) => called.push(text), { signal });
  assertEquals(called, ["", "one", "grün", null]);
  const forged = Object.create(AbortSignal.prototype, { throwIfAborted: { value: close } });
  await assertRejects(
    () => each_string.async(() => 1, { signal: forged }),
    TypeError,
    "{ signal }, with an AbortSignal: got an object of class AbortSignal",
  );
  library.close();
});

Deno.test("f.async() goes on when its signal says `abort` and has not been aborted", async () => {
  using library = openBodies();
  for (const name of ["ask_three", "ask_three_elsewhere"] as const) {
    const { signal } = new AbortController();
    const gate = Promise.withResolvers<number>();
    const asked = Promise.withResolvers<void>();
    const call = library.symbols[name].async((i) => {
      if (i !== 1) return i;
      asked.resolve();
      return gate.promise;
    }, { signal });
    await asked.promise;
    signal.dispatchEvent(new Event("abort"));
    gate.resolve(5);
    assertEquals(await call, 52);
  }
});

Deno.test("f.async() takes options that say nothing, and refuses others", async () => {
  using library = openBodies();
  const { call_n, asked } = library.symbols;
  assertEquals(await call_n.async(2, (i) => i, {}), 1);
  assertEquals(await call_n.async(2, (i) => i, undefined), 1);
  assertEquals(await call_n.async(2, (i) => i, { signal: undefined }), 1);
  assertEquals(typeof await asked.async({ signal: AbortSignal.timeout(10_000) }), "number");
  // deno-lint-ignore no-explicit-any -- what a program without types can pass
  const wrong = [null, 5, "x", { signal: 5 }, { signal: new EventTarget() }, { signl: 1 }] as any;
  for (const options of [...wrong, new AbortController().signal]) {
    await assertRejects(
      () => call_n.async(2, (i) => i, options),
      TypeError,
      "what follows its 2 arguments must be options such as { signal }",
    );
  }
  await assertRejects(
    // @ts-expect-error There is one too many.
    () => call_n.async(2, (i) => i, {}, {}),
    TypeError,
    "Cannot call call_n: it takes 2 arguments here: got 4",
  );
});

Deno.test("f.async() rejects when its library closes, and C is unwound", async () => {
  using counting = openBodies();
  const { destructor_count } = counting.symbols;
  const before = destructor_count();
  const library = openBodies();
  const { promise, resolve } = Promise.withResolvers<number>();
  const call = library.symbols.with_destructor.async(() => promise);
  library.close();
  assertEquals(destructor_count(), before + 1);
  resolve(1);
  const error = await assertRejects(() => call, Error, "Cannot go on with with_destructor");
  assertStringIncludes(error.message, "has been closed, which ended it");
});

Deno.test("f.async() stands a collection in each of 200 pending handlers", async () => {
  using library = openBodies();
  const sum = await library.symbols.call_n.async(200, async (i) => {
    gc("minor");
    await 1;
    gc(i % 20 === 0 ? "major" : "minor");
    return 1;
  });
  assertEquals(sum, 200);
});

Deno.test("f.async() whose handler is never settled is unwound once it is garbage", async () => {
  using library = openBodies();
  const { with_destructor, destructor_count } = library.symbols;
  const before = destructor_count();
  (() => void with_destructor.async(() => new Promise(() => {})))();
  await collectUntil(() => destructor_count() > before);
  assertEquals(destructor_count(), before + 1);
});

Deno.test("f.async() whose handler knows what it waits for is unwound, too", async () => {
  using library = openBodies();
  const { with_destructor, destructor_count } = library.symbols;
  const before = destructor_count();
  (() => {
    const never = new Promise<number>(() => {});
    with_destructor.async(() => never).catch(() => {});
  })();
  await collectUntil(() => destructor_count() > before);
  assertEquals(destructor_count(), before + 1);
});
