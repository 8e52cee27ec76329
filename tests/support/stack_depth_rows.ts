// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * The table of operations that `stack_depth_child.ts` tries: a new public operation is a new row.
 *
 * @module
 */

import {
  type AllocatedView,
  Callback,
  dlopen,
  Generator,
  type GuardedStack,
  type Layout,
  type NativeBody,
  OsStack,
  OwnedStack,
  pointerTo,
  PointerView,
  SliceStack,
  type Stack,
  StackPool,
  struct,
} from "../../mod.ts";
import { assert, assertEquals } from "@std/assert";
import { runInThisContext } from "node:vm";
import { testBodies } from "./support.ts";
import type { Operation, Outcome } from "./stack_depth.ts";

// deno-lint-ignore no-explicit-any -- what the rows keep in their states
type Any = any;

// What C is to do, as `bodies/model.cc` has it: a frame with a destructor that puts the number of
// its script on the trace.
const [ASK, FRAME, REPEAT] = [0, 2, 3];
const inFrame = (...steps: number[]): number[] => [FRAME, 1, steps.length, ...steps];
const FOREVER = inFrame(REPEAT, 2 ** 30, 3, ASK, 0, 0);
const ONCE = Int32Array.from(inFrame(ASK, 0, 0));
const TWICE = Int32Array.from(inFrame(ASK, 0, 0, ASK, 0, 0));

/** Where C's `model_shared` has what, in words. */
const [BEGUN, TRACED, TRACE, SCRIPTS, SCRIPT_SIZE, SLOTS] = [0, 1, 2, 2 + 2 * 65535, 1024, 5];

/** What a copy of the library has for its scripts, where native bodies get what they do. */
function sharedOf(filename: string | URL): { words: Int32Array; close(): void } {
  const library = Deno.dlopen(filename, { model_shared: { type: "pointer" } });
  const size = 4 * (SCRIPTS + SLOTS * SCRIPT_SIZE);
  const memory = Deno.UnsafePointerView.getArrayBuffer(library.symbols.model_shared!, size);
  const words = new Int32Array(memory);
  for (let slot = 0; slot < SLOTS; slot++) {
    words.set([FOREVER.length, ...FOREVER], SCRIPTS + slot * SCRIPT_SIZE);
  }
  return { words, close: () => library.close() };
}

const { words } = sharedOf(testBodies);

/** What C reports of its scripts. */
export const shared = {
  /** How many scripts have begun so far. */
  get begun(): number {
    return words[BEGUN]!;
  },
  /** Which scripts have ended since this was last asked, in this order. */
  takeTrace(): number[] {
    const count = words[TRACED]!;
    assert(count < 65535, "The trace is full");
    words[TRACED] = 0;
    return Array.from({ length: count }, (_, i) => words[TRACE + 2 * i]!);
  },
};

const i32Callback = { parameters: ["i32"], result: "i32" } as const;
const unwound = { callback: i32Callback } as const;
const stopped = { callback: { ...i32Callback, stop: 7 } } as const;

const definitions = {
  model_u32: { input: "u32", output: "u32" },
  model_i32: { input: "i32", output: "i32" },
  model_i64: { input: "i64", output: "i64" },
  model_f64: { input: "f64", output: "f64" },
  model_void: { input: "void", output: "i32" },
  echo_bool: { input: "bool", output: "bool" },
  echo_pointer: { input: "pointer", output: "pointer" },
  never_suspends: { input: "i32", output: "i32" },
  counts: { input: "void", output: "u32" },
  call: {
    name: "model_call",
    parameters: ["i32", "buffer", "i32", unwound, unwound],
    result: "i32",
  },
  call_stopped: {
    name: "model_call",
    parameters: ["i32", "buffer", "i32", stopped, unwound],
    result: "i32",
  },
  call_elsewhere: {
    name: "model_call",
    parameters: ["i32", "buffer", "i32", unwound, unwound],
    result: "i32",
    nonblocking: true,
  },
  call_or_throw: {
    name: "model_call",
    parameters: ["i32", "buffer", "i32", unwound, unwound],
    result: "i32",
    overflow: "throw",
  },
  add_six: { parameters: ["i8", "u16", "i32", "u32", "i64", "u64"], result: "i64" },
  add_six_elsewhere: {
    name: "add_six",
    parameters: ["i8", "u16", "i32", "u32", "i64", "u64"],
    result: "i64",
    nonblocking: true,
  },
  string_length: { parameters: ["cstring"], result: "usize" },
  sum_buffer: { parameters: ["buffer", "usize"], result: "u64" },
  each_string: {
    parameters: [{ callback: { parameters: ["cstring"], result: "i32" } }],
    result: "i32",
  },
  use_up: { parameters: ["i32"], result: "i32", overflow: "throw" },
  call_kept: { parameters: ["i32"], result: "i32" },
  keep: { parameters: ["function"], result: "void" },
} as const;

const open = (filename: string | URL = testBodies) => dlopen(filename, definitions);
let opened: ReturnType<typeof open> | undefined;
/** The library that most operations use. */
const lib = () => (opened ??= open()).symbols;

const SIZE = 64 * 1024;
const PURPOSE = new Error("on purpose");
const ON_PURPOSE = /^Error: on purpose$/;

/** An operation that has nothing to do with others. */
export function doSomething(): void {
  assertEquals(lib().call(1, ONCE, ONCE.length, () => 5, () => 0), 36);
}

/** More than are kept for the next call. */
const POOL = 65;

/**
 * How many stacks are mapped for good: more than there are when `POOL` calls of each kind have got
 * one, and nobody else.
 */
export function stacksLost(live: () => number): number {
  const calls = Array.from({ length: 2 * POOL }, (_, i) => {
    const { call, call_or_throw } = lib();
    return (i % 2 === 0 ? call : call_or_throw).calls(1, ONCE, ONCE.length);
  });
  for (const call of calls) call.next();
  const lost = live() - 2 * POOL;
  for (const call of calls) call.return(undefined as Any);
  shared.takeTrace();
  return lost;
}

// Stacks and generators ---------------------------------------------------------------------------

/** Puts another generator on the stack, ends that, and gives the stack back. */
function proveFree(stack: Stack): void {
  const other = Generator.unguarded(stack, lib().counts);
  assertEquals(other.resume(), 1, "another generator on the same stack");
  other.return();
  assertEquals(other.unwrap(), stack);
  stack[Symbol.dispose]();
}

/** Ends a generator in good order, and shows that its stack is free then. */
function settle(generator: Any): void {
  if (generator.state === "runnable") generator.return();
  assertEquals(generator.state, "unavailable");
  generator.return();
  const stack = generator.unwrap();
  proveFree(stack);
  generator[Symbol.dispose]();
}

/** The same for one that may have been disposed of. */
function settleDisposed(generator: Any, stack: Stack, outcome: Outcome): void {
  generator[Symbol.dispose]();
  assertEquals(generator.state, "unavailable");
  if (outcome.done) generator.return();
  let free = true;
  try {
    new Generator(stack as GuardedStack, lib().counts);
  } catch (error) {
    free = !(error as Error).message.includes("disposed of");
  }
  assert(!free, "a stack that is disposed of");
}

type BodyName = "model_u32" | "model_i32" | "model_i64" | "model_f64" | "model_void";
const BODIES = ["model_u32", "model_i32", "model_i64", "model_f64", "model_void"] as const;

/** What a native body is resumed with, and gives, the first three times. */
function sequence(name: BodyName): { inputs: Any[]; outputs: Any[] } {
  if (name === "model_void") {
    return { inputs: [undefined, undefined, undefined], outputs: [1, 32, 993] };
  }
  const outputs = [1, 33, 1026];
  return { inputs: [1, 2, 3], outputs: name === "model_i64" ? outputs.map(BigInt) : outputs };
}

/** A native generator that has been resumed `times` times. */
function native(name: BodyName, times: number): Any {
  const { inputs } = sequence(name);
  const body = lib()[name] as NativeBody<Any, Any>;
  const generator: Any = new Generator<Any, Any>(new OsStack(SIZE), body);
  for (let i = 0; i < times; i++) generator.resume(inputs[i]);
  return generator;
}

const rows: Operation<Any>[] = [];
function row<S>(operation: Operation<S>): void {
  rows.push(operation as Operation<Any>);
}

row({
  name: "new OsStack",
  prepare: () => {},
  act: () => new OsStack(SIZE),
  verify: (_, outcome) => {
    if (outcome.done) proveFree(outcome.value as Stack);
    proveFree(new OsStack(SIZE));
  },
});
row({
  name: "new OwnedStack",
  prepare: () => {},
  act: () => new OwnedStack(SIZE),
  verify: (_, outcome) => {
    if (outcome.done) proveFree(outcome.value as Stack);
    proveFree(new OwnedStack(SIZE));
  },
});
row({
  name: "new SliceStack",
  prepare: () => new Uint8Array(SIZE),
  act: (memory) => new SliceStack(memory),
  verify: (memory, outcome) => {
    if (outcome.done) proveFree(outcome.value as Stack);
    proveFree(new SliceStack(memory));
  },
});

/** Shows that a pool gives no stack twice, and that each is free; and disposes of it. */
function settlePool(pool: StackPool): void {
  const taken = Array.from({ length: 3 }, () => pool.take());
  assertEquals(new Set(taken.map(({ limit }) => limit)).size, 3);
  for (const stack of taken) proveFree(stack);
  pool[Symbol.dispose]();
}
const poolAndStack = (): { pool: StackPool; stack: Stack } => {
  const pool = new StackPool({ size: SIZE });
  return { pool, stack: pool.take() };
};
row({
  name: "new StackPool",
  prepare: () => {},
  act: () => new StackPool({ size: SIZE }),
  verify: (_, outcome) => {
    if (outcome.done) settlePool(outcome.value as StackPool);
  },
});
row({
  name: "StackPool.take, which maps",
  prepare: () => {
    // What pools need of the library is opened; that asks for more of V8's stack than there is.
    poolAndStack();
    return new StackPool({ size: SIZE });
  },
  act: (pool) => pool.take(),
  verify: (pool, outcome) => {
    if (outcome.done) proveFree(outcome.value as Stack);
    settlePool(pool);
  },
});
row({
  name: "StackPool.take",
  prepare: poolAndStack,
  act: ({ pool }) => pool.take(),
  verify: ({ pool, stack }, outcome) => {
    if (outcome.done) assert((outcome.value as Stack).limit !== stack.limit);
    settlePool(pool);
    proveFree(stack);
  },
});
row({
  name: "[Symbol.dispose] of a pool's stack",
  prepare: poolAndStack,
  act: ({ stack }) => stack[Symbol.dispose](),
  verify: ({ pool, stack }) => {
    stack[Symbol.dispose]();
    stack[Symbol.dispose]();
    settlePool(pool);
  },
});
row({
  name: "[Symbol.dispose] of a pool's stack, which unmaps",
  prepare: () => {
    const { pool, stack } = poolAndStack();
    pool[Symbol.dispose]();
    return stack;
  },
  act: (stack) => stack[Symbol.dispose](),
  verify: (stack) => stack[Symbol.dispose](),
});
row({
  name: "StackPool[Symbol.dispose]",
  prepare: poolAndStack,
  act: ({ pool }) => pool[Symbol.dispose](),
  verify: ({ pool, stack }) => {
    pool[Symbol.dispose]();
    proveFree(stack);
  },
});
const stacks: Record<string, () => Stack> = {
  OsStack: () => new OsStack(SIZE),
  OwnedStack: () => new OwnedStack(SIZE),
  SliceStack: () => new SliceStack(new Uint8Array(SIZE)),
};
for (const [name, make] of Object.entries(stacks)) {
  row({
    name: `${name}[Symbol.dispose]`,
    prepare: make,
    act: (stack) => stack[Symbol.dispose](),
    verify: (stack) => stack[Symbol.dispose](),
  });
  row({
    name: `new Generator, native, ${name}`,
    prepare: () => ({ stack: make(), body: lib().model_u32 }),
    act: ({ stack, body }) => Generator.unguarded(stack, body),
    verify: ({ stack, body }, outcome) => {
      const generator: Any = outcome.done ? outcome.value : Generator.unguarded(stack, body);
      assertEquals(generator.resume(1), 1);
      settle(generator);
    },
  });
  row({
    name: `new Generator, function*, ${name}`,
    prepare: () => ({ stack: make(), body: scriptBody }),
    act: ({ stack, body }) => Generator.unguarded(stack, body),
    verify: ({ stack, body }, outcome) => {
      const generator: Any = outcome.done ? outcome.value : Generator.unguarded(stack, body);
      assertEquals(generator.resume(1), 1);
      settle(generator);
    },
  });
}
function* scriptBody(): globalThis.Generator<number> {
  yield 1;
  yield 2;
  yield 3;
}
row({
  name: "new Generator",
  prepare: () => new OsStack(SIZE),
  act: (stack) => new Generator(stack, scriptBody),
  verify: (stack, outcome) => {
    const generator: Any = outcome.done ? outcome.value : new Generator(stack, scriptBody);
    assertEquals(generator.resume(), 1);
    settle(generator);
  },
});

// Native bodies -----------------------------------------------------------------------------------

for (const name of BODIES) {
  const { inputs, outputs } = sequence(name);
  for (const times of [0, 1]) {
    const when = times === 0 ? "first" : "second";
    row({
      name: `${name}: ${when} resume`,
      prepare: () => native(name, times),
      act: (generator) => generator.resume(inputs[times]),
      verify: (generator, outcome) => {
        if (outcome.done) assertEquals(outcome.value, outputs[times]);
        for (let i = outcome.done ? times + 1 : times; i < 3; i++) {
          assertEquals(generator.resume(inputs[i]), outputs[i], "the next output");
        }
        settle(generator);
      },
    });
    row({
      name: `${name}: ${when} next`,
      prepare: () => native(name, times),
      act: (generator) => generator.next(inputs[times]),
      verify: (generator, outcome) => {
        if (outcome.done) assertEquals(outcome.value, { value: outputs[times], done: false });
        for (let i = outcome.done ? times + 1 : times; i < 3; i++) {
          assertEquals(generator.resume(inputs[i]), outputs[i], "the next output");
        }
        settle(generator);
      },
    });
  }
}
for (const [name, value] of [["echo_bool", true], ["echo_pointer", null]] as const) {
  row({
    name: `${name}: resume`,
    prepare: () => new Generator<Any, Any>(new OsStack(SIZE), lib()[name] as NativeBody<Any, Any>),
    act: (generator) => generator.resume(value),
    verify: (generator, outcome) => {
      if (outcome.done) assertEquals(outcome.value, value);
      assertEquals(generator.resume(value), value);
      settle(generator);
    },
  });
}
row({
  name: "resume to the end, native",
  prepare: () => new Generator<number, number>(new OsStack(SIZE), lib().never_suspends),
  act: (generator) => generator.resume(1),
  verify: (generator) => {
    assertEquals(generator.resume(1), undefined);
    settle(generator);
  },
});
row({
  name: "next to the end, native",
  prepare: () => new Generator<number, number>(new OsStack(SIZE), lib().never_suspends),
  act: (generator) => generator.next(1),
  verify: (generator) => {
    assertEquals(generator.next(1), { value: undefined, done: true });
    settle(generator);
  },
});
row({
  name: "for…of, native",
  prepare: () => native("model_void", 0),
  act: (generator) => {
    let sum = 0;
    for (const value of generator) {
      sum += value;
      if (value > 900) break;
    }
    return sum;
  },
  verify: (generator, outcome) => {
    if (outcome.done) assertEquals(outcome.value, 1 + 32 + 993);
    settle(generator);
  },
});

/** Ways to end a generator early; `when` says what it is. */
function rowsOfEnds(when: string, prepare: () => Any, nested = false): void {
  row({
    name: `return, ${when}`,
    nested,
    prepare,
    act: (generator) => generator.return(5),
    verify: (generator, outcome) => {
      if (outcome.done) {
        assertEquals(outcome.value, { value: 5, done: true });
        assertEquals(generator.state, "unavailable");
      }
      settle(generator);
    },
  });
  row({
    name: `throw, ${when}`,
    nested,
    throws: ON_PURPOSE,
    prepare,
    act: (generator) => generator.throw(PURPOSE),
    verify: (generator, outcome) => {
      assert(!outcome.done);
      if (outcome.error === PURPOSE) assertEquals(generator.state, "unavailable");
      settle(generator);
    },
  });
  row({
    name: `dispose, ${when}`,
    nested,
    prepare: () => {
      const generator = prepare();
      return { generator, stack: stackOf.get(generator)! };
    },
    act: ({ generator }) => generator[Symbol.dispose](),
    verify: ({ generator, stack }, outcome) => settleDisposed(generator, stack, outcome),
  });
  row({
    name: `return, then dropped, ${when}`,
    nested,
    dropped: true,
    prepare: () => ({ generator: prepare() }),
    act: ({ generator }) => generator.return(5),
    verify: (state) => {
      stackOf.delete(state.generator);
      state.generator = undefined;
    },
  });
  row({
    name: `backtrace, ${when}`,
    prepare,
    act: (generator) => generator.backtrace(),
    verify: (generator, outcome) => {
      const frames = generator.backtrace();
      if (outcome.done) assertEquals(outcome.value, frames);
      settle(generator);
    },
  });
  row({
    name: `state, ${when}`,
    prepare,
    act: (generator) => generator.state,
    verify: (generator, outcome) => {
      assertEquals(generator.state, "runnable");
      if (outcome.done) assertEquals(outcome.value, "runnable");
      settle(generator);
    },
  });
}
const stackOf = new WeakMap<Any, Stack>();
function on(make: (stack: OsStack) => Any): () => Any {
  return () => {
    const stack = new OsStack(SIZE);
    const generator = make(stack);
    stackOf.set(generator, stack);
    return generator;
  };
}
rowsOfEnds(
  "native, suspended",
  on((stack) => {
    const generator = new Generator(stack, lib().model_u32);
    generator.resume(1);
    return generator;
  }),
);
rowsOfEnds("native, not begun", on((stack) => new Generator(stack, lib().model_f64)));
row({
  name: "return, native, SliceStack",
  prepare: () => {
    const memory = new Uint8Array(SIZE);
    const generator = Generator.unguarded(new SliceStack(memory), lib().model_f64);
    generator.resume(1);
    return generator;
  },
  act: (generator) => generator.return(),
  verify: (generator) => settle(generator),
});
for (const what of ["native", "function*"]) {
  const prepare = (): Any => {
    const stack = new OsStack(SIZE);
    const generator = what === "native"
      ? new Generator<number, number>(stack, lib().never_suspends)
      : new Generator<number, number>(stack, function* () {});
    generator.resume(1);
    return { generator, stack };
  };
  row({
    name: `unwrap, ${what}`,
    prepare,
    act: ({ generator }) => generator.unwrap(),
    verify: ({ generator, stack }, outcome) => {
      if (outcome.done) assertEquals(outcome.value, stack);
      else assertEquals(generator.unwrap(), stack);
      proveFree(stack);
    },
  });
  row({
    name: `dispose, ${what}, finished`,
    prepare,
    act: ({ generator }) => generator[Symbol.dispose](),
    verify: ({ generator, stack }, outcome) => settleDisposed(generator, stack, outcome),
  });
}

// TypeScript bodies -------------------------------------------------------------------------------

/** A body that calls C, `depth` calls inside each other; each asks twice. */
function nestedBody(depth: number) {
  const { call: f } = lib();
  return function* (yielder: Any): globalThis.Generator<string, number, unknown> {
    function* handler(level: number): globalThis.Generator<string, number, unknown> {
      if (level > 1) yield* call(level - 1);
      else yield "inside";
      return 1;
    }
    function* call(level: number): globalThis.Generator<string, number, unknown> {
      return yield* yielder.call(f, 1, TWICE, TWICE.length, () => handler(level), () => 0);
    }
    return yield* call(depth);
  };
}
/** What such a body yields before it returns. */
const yields = (depth: number): number => 2 ** depth;

/** Goes on to the end, where that is still possible, and shows that the stack is free. */
function finishScript(generator: Any, left: number, outcome: Outcome): void {
  if (generator.state === "runnable") {
    let count = 0;
    while (!generator.next().done) count++;
    // After an error V8 may not have entered the body, which goes on then; or it has ended it.
    assert(count === left || !outcome.done && count === 0, `${count} of ${left} yields`);
  } else {
    assert(!outcome.done, "it has ended");
  }
  settle(generator);
}

const simple = on((stack) => {
  const generator = new Generator(stack, scriptBody);
  generator.resume();
  return generator;
});
rowsOfEnds("function*, suspended", simple);
rowsOfEnds("function*, not begun", on((stack) => new Generator(stack, scriptBody)));
row({
  name: "first resume, function*",
  prepare: on((stack) => new Generator(stack, scriptBody)),
  act: (generator) => generator.resume(),
  verify: (generator, outcome) => finishScript(generator, outcome.done ? 2 : 3, outcome),
});
row({
  name: "second resume, function*",
  prepare: simple,
  act: (generator) => generator.resume(),
  verify: (generator, outcome) => finishScript(generator, outcome.done ? 1 : 2, outcome),
});
row({
  name: "second next, function*",
  prepare: simple,
  act: (generator) => generator.next(),
  verify: (generator, outcome) => finishScript(generator, outcome.done ? 1 : 2, outcome),
});
row({
  name: "for…of, function*",
  prepare: on((stack) => new Generator(stack, scriptBody)),
  act: (generator) => {
    let sum = 0;
    for (const value of generator) sum += value;
    return sum;
  },
  verify: (generator, outcome) => {
    if (outcome.done) assertEquals(outcome.value, 6);
    settle(generator);
  },
});
for (const depth of [1, 3]) {
  const when = depth === 1 ? "in a call" : "in three calls";
  const notBegun = on((stack) => new Generator(stack, nestedBody(depth)));
  const suspended = on((stack) => {
    const generator: Any = new Generator(stack, nestedBody(depth));
    assertEquals(generator.resume(), "inside");
    return generator;
  });
  rowsOfEnds(when, suspended, true);
  row({
    name: `first next, ${when}`,
    nested: true,
    prepare: notBegun,
    act: (generator) => generator.next(),
    verify: (generator, outcome) =>
      finishScript(generator, outcome.done ? yields(depth) - 1 : yields(depth), outcome),
  });
  row({
    name: `second next, ${when}`,
    prepare: suspended,
    act: (generator) => generator.next(),
    verify: (generator, outcome) =>
      finishScript(generator, outcome.done ? yields(depth) - 2 : yields(depth) - 1, outcome),
  });
  row({
    name: `last next, ${when}`,
    prepare: () => {
      const generator = suspended();
      for (let i = 1; i < yields(depth); i++) generator.next();
      return generator;
    },
    act: (generator) => generator.next(),
    verify: (generator, outcome) => {
      if (outcome.done) assertEquals((outcome.value as Any).done, true);
      settle(generator);
    },
  });
}

// Libraries ---------------------------------------------------------------------------------------

/** A copy of the library that nobody else has open, so that it is unmapped when it is closed. */
function openCopy(): ReturnType<typeof open> {
  const path = Deno.makeTempFileSync({ prefix: "fringe-test-", suffix: ".so" });
  try {
    Deno.copyFileSync(testBodies, path);
    const { close } = sharedOf(path);
    const library = open(path);
    close();
    return library;
  } finally {
    Deno.removeSync(path);
  }
}

row({
  name: "dlopen",
  prepare: () => {
    const path = Deno.makeTempFileSync({ prefix: "fringe-test-", suffix: ".so" });
    Deno.copyFileSync(testBodies, path);
    return path;
  },
  act: (path) => open(path),
  verify: (path, outcome) => {
    const library = outcome.done ? outcome.value as ReturnType<typeof open> : open(path);
    assertEquals(library.symbols.add_six(1, 2, 3, 4, 5, 6), 21n);
    library.close();
    Deno.removeSync(path);
    assert(!Deno.readTextFileSync("/proc/self/maps").includes(path), "it stays mapped");
  },
});

/** `library.close()`; `begin` leaves something suspended in it, and `look` looks at that. */
function rowOfClose(
  what: string,
  begin: (library: ReturnType<typeof open>) => Any,
  look: (inside: Any, isClosed: boolean) => void | Promise<void>,
): void {
  for (const [where, make] of [["", open], [", which unmaps it", openCopy]] as const) {
    row({
      name: `library.close, ${what}${where}`,
      nested: true,
      // There is room for the thread-local variables of some 200 libraries.
      ...(make === open ? {} : { steps: 4 }),
      prepare: () => {
        const library = make();
        return { library, inside: begin(library) };
      },
      act: ({ library }) => library.close(),
      verify: async ({ library, inside }, outcome) => {
        // First without another try: a library that has not been closed has to be there.
        await look(inside, outcome.done);
        library.close();
        library.close();
      },
    });
  }
}
rowOfClose("nothing in it", (library) => library.symbols.add_six(1, 2, 3, 4, 5, 6), () => {});
rowOfClose("a generator in it", (library) => {
  const generator = new Generator(new OsStack(SIZE), library.symbols.model_u32);
  generator.resume(1);
  return generator;
}, (generator, isClosed) => {
  lookAtClosed(() => generator.resume(2), isClosed, (value) => assertEquals(value, 33));
  settle(generator);
});
rowOfClose("calls of a generator in it", (library) => {
  const generator: Any = new Generator(new OsStack(SIZE), function* (yielder) {
    const { call } = library.symbols;
    return yield* yielder.call(call, 1, ONCE, ONCE.length, function* () {
      return yield* yielder.call(call, 1, ONCE, ONCE.length, function* () {
        yield "inside";
        return 1;
      }, () => 0);
    }, () => 0);
  });
  generator.resume();
  return generator;
}, (generator, isClosed) => {
  // The answer of the inner one is 32, of the outer one 1 * 31 + 32.
  lookAtClosed(
    () => generator.next(),
    isClosed,
    (result) => assertEquals(result, { value: 63, done: true }),
  );
  settle(generator);
});
rowOfClose("a pulled call in it", (library) => {
  const calls = library.symbols.call.calls(1, ONCE, ONCE.length);
  return { calls, call: calls.next().value };
}, ({ calls, call }, isClosed) => {
  lookAtClosed(
    () => {
      call.reply(5);
      return calls.next();
    },
    isClosed,
    (result) => assertEquals(result, { value: 36, done: true }),
  );
  calls.return();
  assertEquals(calls.state, "unavailable");
});
rowOfClose("an awaited call in it", (library) => {
  const { promise, resolve } = Promise.withResolvers<number>();
  const result = library.symbols.call.async(1, ONCE, ONCE.length, () => promise, () => 0);
  const settled = Promise.allSettled([result]);
  return { resolve, settled };
}, async ({ resolve, settled }, isClosed) => {
  resolve(5);
  const [result] = await settled;
  lookAtClosed(
    () => {
      if (result.status === "rejected") throw result.reason;
      return result.value;
    },
    isClosed,
    (value) => assertEquals(value, 36),
  );
});
/** After `close` was done, `go` must say so; else it may also go on as if nothing had been. */
function lookAtClosed(go: () => unknown, isClosed: boolean, check: (value: unknown) => void): void {
  let value;
  try {
    value = go();
  } catch (error) {
    const { message } = error as Error;
    if (message.includes("has been closed") || !isClosed && message.includes("has failed")) return;
    throw error;
  }
  assert(!isClosed, "it goes on in a library that has been closed");
  check(value);
}

// Calls -------------------------------------------------------------------------------------------

row({
  name: "f(), no callbacks",
  prepare: lib,
  act: ({ add_six }) => add_six(1, 2, 3, 4, 5n, 6),
  verify: ({ add_six }, outcome) => {
    if (outcome.done) assertEquals(outcome.value, 21n);
    assertEquals(add_six(1, 2, 3, 4, 5, 6), 21n);
  },
});
row({
  name: "f(), a string",
  prepare: lib,
  act: ({ string_length }) => string_length("gr\u00fcn"),
  verify: ({ string_length }, outcome) => {
    if (outcome.done) assertEquals(outcome.value, 5n);
    assertEquals(string_length("gr\u00fcn"), 5n);
  },
});
row({
  name: "f(), a buffer",
  prepare: () => ({ ...lib(), bytes: Uint8Array.of(1, 2, 3) }),
  act: ({ sum_buffer, bytes }) => sum_buffer(bytes, 3),
  verify: ({ sum_buffer, bytes }, outcome) => {
    if (outcome.done) assertEquals(outcome.value, 6n);
    assertEquals(sum_buffer(bytes, 3), 6n);
  },
});
row({
  name: "f(), strings for handlers",
  prepare: lib,
  act: ({ each_string }) => each_string((text) => text === null ? 10 : text.length),
  verify: ({ each_string }, outcome) => {
    if (outcome.done) assertEquals(outcome.value, 17);
    assertEquals(each_string((text) => text === null ? 10 : text.length), 17);
  },
});
row({
  name: "f(), uses up its stack",
  throws: /^RangeError: Cannot (go on with|end) use_up: it has used up its stack/,
  prepare: lib,
  act: ({ use_up }) => use_up(2 ** 20),
  verify: ({ use_up }) => assertEquals(use_up(5), 5),
});

/** A call, with handlers of every kind. */
function rowsOfCalls(name: "call" | "call_stopped" | "call_or_throw"): void {
  const answered = (value: number): number => (1 * 31 + value) * 31 + value;
  const again = (): void => {
    assertEquals(lib()[name](1, TWICE, TWICE.length, () => 5, () => 0), answered(5));
  };
  row({
    name: `${name}: the handler answers`,
    prepare: () => ({ f: lib()[name], asked: 0 }),
    act: (state) => state.f(1, TWICE, TWICE.length, () => (state.asked++, 5), () => 0),
    verify: (state, outcome) => {
      if (outcome.done) assertEquals([outcome.value, state.asked], [answered(5), 2]);
      again();
    },
  });
  row({
    name: `${name}: the handler throws`,
    throws: ON_PURPOSE,
    prepare: () => lib()[name],
    act: (f) =>
      f(1, TWICE, TWICE.length, () => {
        throw PURPOSE;
      }, () => 0),
    verify: (_, outcome) => {
      assert(!outcome.done);
      again();
    },
  });
  row({
    name: `${name}: three inside each other`,
    nested: true,
    prepare: () => lib()[name],
    act: (f) => nest(f, 3, () => 5),
    verify: (_, outcome) => {
      if (outcome.done) assertEquals(outcome.value, 31 + 31 + 31 + 5);
      again();
    },
  });
  row({
    name: `${name}: three inside each other, the innermost throws`,
    nested: true,
    throws: ON_PURPOSE,
    prepare: () => lib()[name],
    act: (f) =>
      nest(f, 3, () => {
        throw PURPOSE;
      }),
    verify: (_, outcome) => {
      assert(!outcome.done);
      again();
    },
  });
}
function nest(f: Any, depth: number, answer: () => number): number {
  return f(
    1,
    ONCE,
    ONCE.length,
    () => depth === 1 ? answer() : nest(f, depth - 1, answer),
    () => 0,
  );
}
rowsOfCalls("call");
rowsOfCalls("call_stopped");
rowsOfCalls("call_or_throw");

// Calls that are awaited --------------------------------------------------------------------------

/** What has become of an awaited call that was begun with little stack left. */
async function settled(outcome: Outcome, expected: unknown): Promise<void> {
  if (!outcome.done) return;
  const [result] = await Promise.allSettled([outcome.value]);
  if (result!.status === "fulfilled") {
    assertEquals(result!.value, expected);
    return;
  }
  const { reason } = result as PromiseRejectedResult;
  if (reason === PURPOSE || isOverflow(reason)) return;
  throw reason;
}
function isOverflow(error: unknown): boolean {
  return error instanceof RangeError && error.message === "Maximum call stack size exceeded";
}
for (const name of ["call", "call_stopped", "call_elsewhere"] as const) {
  const again = async (): Promise<void> => {
    const value = await lib()[name].async(1, ONCE, ONCE.length, async () => await 5, () => 0);
    assertEquals(value, 36);
  };
  row({
    name: `${name}.async: the handler answers`,
    prepare: () => lib()[name],
    act: (f) => f.async(1, ONCE, ONCE.length, () => 5, () => 0),
    verify: async (_, outcome) => {
      await settled(outcome, 36);
      await again();
    },
  });
  row({
    name: `${name}.async: the handler is async`,
    prepare: () => lib()[name],
    act: (f) => f.async(1, ONCE, ONCE.length, () => Promise.resolve(5), () => 0),
    verify: async (_, outcome) => {
      await settled(outcome, 36);
      await again();
    },
  });
  row({
    name: `${name}.async: the handler throws`,
    prepare: () => lib()[name],
    act: (f) =>
      f.async(1, ONCE, ONCE.length, () => {
        throw PURPOSE;
      }, () => 0),
    verify: async (_, outcome) => {
      await settled(outcome, "a rejection");
      await again();
    },
  });
  row({
    name: `${name}.async: with a signal`,
    prepare: () => ({ f: lib()[name], controller: new AbortController() }),
    act: ({ f, controller: { signal } }) =>
      f.async(1, ONCE, ONCE.length, () => Promise.resolve(5), () => 0, { signal }),
    verify: async (_, outcome) => {
      await settled(outcome, 36);
      await again();
    },
  });
  row({
    name: `${name}.async: abort`,
    prepare: async () => {
      const controller = new AbortController();
      const { signal } = controller;
      const handler = Promise.withResolvers<number>();
      const called = Promise.withResolvers<void>();
      const result = lib()[name].async(
        1,
        ONCE,
        ONCE.length,
        () => {
          called.resolve();
          return handler.promise;
        },
        () => 0,
        { signal },
      );
      const all = Promise.allSettled([result]);
      await called.promise;
      return { controller, handler, all };
    },
    act: ({ controller }) => controller.abort(PURPOSE),
    verify: async ({ handler, all }, outcome) => {
      handler.resolve(5);
      const [result] = await all;
      if (outcome.done) assertEquals(result.status, "rejected");
      await again();
    },
  });
}
row({
  name: "nonblocking f()",
  prepare: () => lib().add_six_elsewhere,
  act: (f) => f(1, 2, 3, 4, 5, 6),
  verify: async (f, outcome) => {
    await settled(outcome, 21n);
    assertEquals(await f(1, 2, 3, 4, 5, 6), 21n);
  },
});

// Calls that are pulled ---------------------------------------------------------------------------

for (const name of ["call", "call_stopped"] as const) {
  const begin = (): Any => lib()[name].calls(1, ONCE, ONCE.length);
  const begun = (): Any => {
    const calls = begin();
    return { calls, call: calls.next().value };
  };
  /** Ends it, where it has not ended, and does all of it again. */
  const finish = (calls: Any): void => {
    calls.return();
    assertEquals(calls.state, "unavailable");
    const again = begin();
    again.next().value.reply(5);
    assertEquals(again.next(), { value: 36, done: true });
  };
  row({
    name: `${name}.calls`,
    prepare: () => lib()[name],
    act: (f) => f.calls(1, ONCE, ONCE.length),
    verify: (_, outcome) => finish(outcome.done ? outcome.value : begin()),
  });
  row({
    name: `${name}.calls: next`,
    prepare: begin,
    act: (calls) => calls.next(),
    verify: (calls, outcome) => {
      if (outcome.done) {
        (outcome.value as Any).value.reply(5);
        assertEquals(calls.next(), { value: 36, done: true });
      }
      finish(calls);
    },
  });
  row({
    name: `${name}.calls: reply`,
    prepare: begun,
    act: ({ call }) => call.reply(5),
    verify: ({ calls, call }, outcome) => {
      if (!outcome.done) call.reply(5);
      assertEquals(calls.next(), { value: 36, done: true });
      finish(calls);
    },
  });
  row({
    name: `${name}.calls: next after reply`,
    prepare: () => {
      const { calls, call } = begun();
      call.reply(5);
      return calls;
    },
    act: (calls) => calls.next(),
    verify: (calls, outcome) => {
      if (outcome.done) assertEquals(outcome.value, { value: 36, done: true });
      finish(calls);
    },
  });
  row({
    name: `${name}.calls: next without reply`,
    throws: /has not been answered/,
    prepare: () => begun().calls,
    act: (calls) => calls.next(),
    verify: (calls, outcome) => {
      assert(!outcome.done);
      finish(calls);
    },
  });
  row({
    name: `${name}.calls: return`,
    prepare: begun,
    act: ({ calls }) => calls.return(5),
    verify: ({ calls }) => finish(calls),
  });
  row({
    name: `${name}.calls: throw`,
    throws: ON_PURPOSE,
    prepare: begun,
    act: ({ calls }) => calls.throw(PURPOSE),
    verify: ({ calls }) => finish(calls),
  });
  row({
    name: `${name}.calls: dispose`,
    prepare: begun,
    act: ({ calls }) => calls[Symbol.dispose](),
    verify: ({ calls }) => finish(calls),
  });
  row({
    name: `${name}.calls: dispose, then dropped`,
    dropped: true,
    prepare: begun,
    act: ({ calls }) => calls[Symbol.dispose](),
    verify: (state) => {
      state.calls = state.call = undefined;
    },
  });
  row({
    name: `${name}.calls: for…of`,
    prepare: begin,
    act: (calls) => {
      for (const call of calls) call.reply(5);
    },
    verify: (calls) => finish(calls),
  });
  row({
    name: `${name}.calls: break`,
    prepare: begin,
    act: (calls) => {
      for (const _ of calls) break;
    },
    verify: (calls) => finish(calls),
  });
}

// Callbacks that may be kept ----------------------------------------------------------------------

row({
  name: "new Callback",
  prepare: () => {},
  act: () => new Callback(i32Callback, (i) => i + 1),
  verify: (_, outcome) => {
    const callback = outcome.done
      ? outcome.value as Callback<typeof i32Callback>
      : new Callback(i32Callback, (i) => i + 1);
    lib().keep(callback);
    assertEquals(lib().call_kept(5), 6);
    callback.close();
  },
});
row({
  name: "Callback.close",
  prepare: () => new Callback(i32Callback, (i) => i + 1),
  act: (callback) => callback.close(),
  verify: (callback) => callback.close(),
});
row({
  name: "f() with a Callback",
  prepare: () => {
    const { keep, call_kept } = lib();
    return { keep, call_kept, callback: new Callback(i32Callback, (i) => i + 1) };
  },
  act: ({ keep, call_kept, callback }) => {
    keep(callback);
    return call_kept(5);
  },
  verify: ({ keep, call_kept, callback }, outcome) => {
    if (outcome.done) assertEquals(outcome.value, 6);
    keep(callback);
    assertEquals(call_kept(6), 7);
    callback.close();
  },
});

// Memory ------------------------------------------------------------------------------------------

row({
  name: "PointerView.of",
  prepare: () => Uint8Array.of(1, 2, 3),
  act: (bytes) => PointerView.of(bytes),
  verify: (bytes, outcome) => {
    const view = outcome.done ? outcome.value as PointerView : PointerView.of(bytes);
    assertEquals(view.getUint8(1), 2);
    assertEquals(new PointerView(view.pointer).getUint8(2), 3);
  },
});
const access: Record<string, [get: (view: PointerView) => unknown, value: unknown]> = {
  getBool: [(view) => view.getBool(), true],
  getInt8: [(view) => view.getInt8(), 1],
  getUint16: [(view) => view.getUint16(), 1],
  getInt32: [(view) => view.getInt32(), 1],
  getBigUint64: [(view) => view.getBigUint64(), 1n],
  getFloat64: [(view) => view.getFloat64(), 5e-324],
  getPointer: [(view) => view.getPointer(8), null],
  getCString: [(view) => view.getCString(), "\u0001"],
  address: [(view) => typeof view.address, "bigint"],
  copyInto: [(view) => {
    const bytes = new Uint8Array(8);
    view.copyInto(bytes);
    return bytes;
  }, Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0)],
};
for (const [name, [get, value]] of Object.entries(access)) {
  row({
    name: `PointerView.${name}`,
    prepare: () => PointerView.of(Uint8Array.of(1, ...new Array(15).fill(0))),
    act: get,
    verify: (view, outcome) => {
      if (outcome.done) assertEquals(outcome.value, value);
      assertEquals(get(view), value);
    },
  });
}
const writes: Record<string, (view: PointerView) => void> = {
  setBool: (view) => view.setBool(0, true),
  setInt32: (view) => view.setInt32(0, 1),
  setBigUint64: (view) => view.setBigUint64(0, 1n),
  setFloat64: (view) => view.setFloat64(0, 5e-324),
  copyFrom: (view) => view.copyFrom(Uint8Array.of(1)),
};
for (const [name, set] of Object.entries(writes)) {
  row({
    name: `PointerView.${name}`,
    prepare: () => PointerView.of(new Uint8Array(16)),
    act: set,
    verify: (view, outcome) => {
      // Done or not, and nothing in between.
      const now = view.getBigUint64();
      if (outcome.done) assertEquals(now, 1n);
      else assert(now === 0n || now === 1n);
      set(view);
      assertEquals(view.getBigUint64(), 1n);
    },
  });
}

row({
  name: "PointerView.allocate",
  prepare: () => {},
  act: () => PointerView.allocate(64),
  verify: (_, outcome) => {
    const memory = outcome.done ? outcome.value as AllocatedView : PointerView.allocate(64);
    memory.setInt32(60, 5);
    assertEquals(PointerView.at(memory.address).getInt32(60), 5);
    memory[Symbol.dispose]();
  },
});
const more: Record<string, [get: (view: PointerView) => unknown, value: unknown]> = {
  add: [(view) => view.add(1).getUint8(), 98],
  getBytes: [(view) => view.getBytes(), Uint8Array.of(97, 98, 99)],
  getString: [(view) => view.getString(0, 2, "latin1"), "ab"],
  "getCString, as UTF-16": [(view) => view.getCString(0, "utf-16"), "\u6261c"],
  getPointers: [(view) => view.getPointers(8), []],
  setCString: [(view) => view.setCString(0, "abc"), 4],
};
for (const [name, [get, value]] of Object.entries(more)) {
  row({
    name: `PointerView.${name}`,
    prepare: () => PointerView.of(Uint8Array.of(97, 98, 99, ...new Array(13).fill(0))),
    act: get,
    verify: (view, outcome) => {
      if (outcome.done) assertEquals(outcome.value, value);
      assertEquals(get(view), value);
    },
  });
}

// Structs -----------------------------------------------------------------------------------------

const point = struct({ x: "i32", y: "i32" });
const shape = struct({ id: "u8", at: point, corners: [point, 2], name: "cstring" });
const values = { id: 1, at: { x: 2, y: 3 }, corners: [{ x: 4, y: 5 }], name: "abc" };
const whole = { ...values, corners: [{ x: 4, y: 5 }, { x: 0, y: 0 }] };
row({
  name: "struct",
  prepare: () => {},
  act: () => struct({ id: "u8", at: [point, 2], to: pointerTo(point) }, { pack: 1 }),
  verify: (_, outcome) => {
    const layout = outcome.done ? outcome.value as Layout : struct({ id: ["u8", 25] });
    assertEquals(layout.size, 25);
  },
});
row({
  name: "layout.write",
  prepare: () => new Uint8Array(shape.size),
  act: (bytes) => shape.write(bytes, values),
  verify: (bytes, outcome) => {
    // All of it, or none.
    const { id, name } = shape.read(bytes);
    if (outcome.done) assertEquals(id, 1);
    assertEquals([id, name], id === 0 ? [0, null] : [1, "abc"]);
    shape.write(bytes, values);
    assertEquals(shape.read(bytes), whole);
  },
});
const uses: Record<string, [use: (bytes: Uint8Array<ArrayBuffer>) => unknown, value: unknown]> = {
  "layout.read": [(bytes) => shape.read(bytes), whole],
  "layout.view": [(bytes) => shape.view(bytes).at.y, 3],
  "an array in a view": [(bytes) => [...shape.view(bytes).corners].map(({ x }) => x), [4, 0]],
  "a field of a view": [(bytes) => shape.view(bytes).id = 1, 1],
  "PointerView.of a view": [(bytes) => PointerView.of(shape.view(bytes).at).getInt32(4), 3],
};
for (const [name, [use, value]] of Object.entries(uses)) {
  row({
    name,
    prepare: () => {
      const bytes = new Uint8Array(shape.size);
      shape.write(bytes, values);
      return bytes;
    },
    act: use,
    verify: (bytes, outcome) => {
      if (outcome.done) assertEquals(outcome.value, value);
      assertEquals(use(bytes), value);
      assertEquals(shape.read(bytes), whole);
    },
  });
}

// Calls without end, calls that are interrupted --------------------------------------------------

for (const name of ["call", "call_stopped"] as const) {
  const again = (): void => assertEquals(nest(lib()[name], 3, () => 5), 31 + 31 + 31 + 5);
  row({
    name: `${name} without end`,
    runaway: true,
    nested: true,
    prepare: () => lib()[name],
    act: (f) => nest(f, Infinity, () => 5),
    verify: (_, outcome) => {
      assert(!outcome.done);
      again();
    },
  });
  row({
    name: `${name}.async without end`,
    runaway: true,
    nested: true,
    prepare: () => lib()[name],
    act: (f) => {
      const recurse = (): Promise<number> => f.async(1, ONCE, ONCE.length, recurse, () => 0);
      return recurse();
    },
    verify: async (_, outcome) => {
      await settled(outcome, "an error");
      again();
    },
  });
  row({
    name: `${name}.calls without end`,
    runaway: true,
    // `for…of` has no room left to tell the innermost that they are over: they are garbage then,
    // and nothing says which of them was inside of which.
    dropped: true,
    prepare: () => lib()[name],
    act: (f) => {
      const recurse = (): void => {
        for (const call of f.calls(1, ONCE, ONCE.length)) {
          recurse();
          call.reply(5);
        }
      };
      recurse();
    },
    verify: (_, outcome) => {
      assert(!outcome.done);
      again();
    },
  });
  row({
    name: `yielder.call of ${name} without end`,
    runaway: true,
    nested: true,
    prepare: () =>
      new Generator(new OsStack(SIZE), function* (yielder) {
        const recurse = (): Any =>
          (yielder as Any).call(lib()[name], 1, ONCE, ONCE.length, recurse, () => 0);
        return yield* recurse();
      }),
    act: (generator) => generator.next(),
    verify: (generator, outcome) => {
      assert(!outcome.done);
      settle(generator);
      again();
    },
  });
}

/** Does it until `node:vm` has had enough, which no `finally` block is told. */
function untilInterrupted(f: () => void): void {
  (globalThis as Any).untilInterrupted = () => {
    for (;;) f();
  };
  runInThisContext("untilInterrupted()", { timeout: 1 });
}
const INTERRUPTED = /^Error: Script execution timed out/;
row({
  name: "next, native, interrupted",
  interrupted: true,
  throws: INTERRUPTED,
  prepare: () => native("model_f64", 1),
  act: (generator) => untilInterrupted(() => generator.next(1)),
  verify: (generator) => {
    generator.next(1);
    settle(generator);
  },
});
row({
  name: "next, function*, interrupted",
  interrupted: true,
  throws: INTERRUPTED,
  prepare: () =>
    new Generator(new OsStack(SIZE), function* (): Any {
      for (;;) yield 1;
    }),
  act: (generator) => untilInterrupted(() => generator.next()),
  verify: (generator) => settle(generator),
});
row({
  name: "next, in a call, interrupted",
  interrupted: true,
  throws: INTERRUPTED,
  prepare: () =>
    new Generator(new OsStack(SIZE), function* (yielder): Any {
      for (;;) {
        yield* (yielder as Any).call(lib().call, 1, TWICE, TWICE.length, function* () {
          yield "inside";
          return 1;
        }, () => 0);
      }
    }),
  act: (generator) => untilInterrupted(() => generator.next()),
  verify: (generator) => settle(generator),
});
row({
  name: "new Generator, next and dispose, interrupted",
  interrupted: true,
  throws: INTERRUPTED,
  prepare: () => ({ generator: native("model_f64", 1) }),
  act: (state) =>
    untilInterrupted(() => {
      state.generator[Symbol.dispose]();
      state.generator = new Generator(new OsStack(SIZE), scriptBody);
      state.generator.next();
    }),
  verify: ({ generator }) => {
    generator[Symbol.dispose]();
    assertEquals(generator.state, "unavailable");
  },
});
row({
  name: "f(), interrupted",
  interrupted: true,
  throws: INTERRUPTED,
  prepare: lib,
  act: ({ call }) => untilInterrupted(() => nest(call, 3, () => 5)),
  verify: ({ call }) => assertEquals(nest(call, 3, () => 5), 31 + 31 + 31 + 5),
});

/** Every operation. */
export const operations: readonly Operation<Any>[] = rows;
