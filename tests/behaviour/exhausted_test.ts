// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** On the last bytes of V8's stack an error says that, and does not blame what was passed. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { isExhaustion } from "../../ffi/check.ts";
import {
  Callback,
  dlopen,
  Generator,
  type NativeBody,
  OsStack,
  OwnedStack,
  PointerView,
  SliceStack,
} from "../../mod.ts";
import { moduleUrl, openBodies, runChild, testBodies, withCopy } from "../support/support.ts";

/** The error that V8 throws when its stack is used up. */
function exhaust(): RangeError {
  const deeper = (): void => deeper();
  return assertThrows(deeper, RangeError);
}

/**
 * What `f` throws at each of the last depths of the stack, the deepest first, up to where it has
 * worked ten times in a row. As many words as there are in `words` lie above, so that the depths
 * are others.
 */
function atLastDepths(f: () => unknown, ..._words: unknown[]): unknown[] {
  const thrown: unknown[] = [];
  let worked = 0;
  const deeper = (): void => {
    try {
      deeper();
    } catch {
      // The deepest: from here on upward there is more and more room.
    }
    if (worked === 10) return;
    try {
      f();
      worked++;
    } catch (error) {
      worked = 0;
      thrown[thrown.length] = error;
    }
  };
  deeper();
  if (worked < 10) throw new Error("It has never worked");
  return thrown;
}

const EXHAUSTED = "Maximum call stack size exceeded";

Deno.test("isExhaustion() knows V8's error from all others", () => {
  assert(isExhaustion(exhaust()));
  const others = [new RangeError("x"), new TypeError(EXHAUSTED), EXHAUSTED, null];
  assertEquals(others.map(isExhaustion), others.map(() => false));
});

Deno.test("what is right is never blamed for want of V8's stack", () => {
  using library = openBodies();
  const { sum_buffer, same_pointer, call_n } = library.symbols;
  const bytes = new Uint8Array(4096);
  const view = PointerView.of(bytes);
  const definition = { parameters: ["i32"], result: "i32", stop: 1 } as const;
  const { signal } = new AbortController();
  const right: Record<string, () => unknown> = {
    buffer: () => sum_buffer(bytes, 1),
    view: () => PointerView.of(bytes).getUint8(),
    pointer: () => same_pointer(view.pointer),
    pointers: () => pointers.resume(view.pointer),
    slice: () => new SliceStack(bytes),
    owned: () => new OwnedStack(4096),
    callback: () => new Callback(definition, (i) => i).close(),
    dlopen: () => dlopen(testBodies, { asked: { parameters: [], result: "i32" } }).close(),
    signal: () => void call_n.async(0, (i) => i, { signal }).catch((error) => late.push(error)),
  };
  using pointers = new Generator(new OsStack(), library.symbols.echo_pointer);
  const late: unknown[] = [];
  for (const [name, f] of Object.entries(right)) {
    // Once with room, so that what is fetched at first use is there.
    f();
    for (let words = 0; words < 40; words++) {
      for (const error of atLastDepths(f, ...new Array(words))) {
        assert(error instanceof RangeError && error.message === EXHAUSTED, `${name}: ${error}`);
      }
    }
  }
  return Promise.resolve().then(() => new Promise((resolve) => setTimeout(resolve))).then(() => {
    for (const error of late) assert(error instanceof RangeError, String(error));
  });
});

Deno.test("the native library is not blamed for want of V8's stack, and opens later", async () => {
  const opened = async (directory: string): Promise<void> => {
    // A module of its own each time, since the library is opened at the first use only.
    const program = `
      ${atLastDepths}
      for (let words = 0; words < 30; words++) {
        const { native } = await import("file://${directory}/ffi/library/find.ts?" + words);
        const thrown = atLastDepths(native, ...new Array(words));
        for (const error of thrown) console.log(String(error));
        console.log(typeof native().init);
      }
    `;
    const { code, signal, stdout, stderr } = await runChild(program, ["-A"]);
    assertEquals([code, signal], [0, null], stderr);
    assertEquals([...new Set(stdout.split("\n"))], [`RangeError: ${EXHAUSTED}`, "function", ""]);
  };
  // From a file, and from memory where there is none.
  await withCopy(async (directory, library) => {
    await opened(directory);
    await Deno.remove(library);
    await opened(directory);
  });
});

Deno.test("a resume loses no output as V8's stack ends, whatever its type", () => {
  using library = dlopen(testBodies, {
    counts: { input: "void", output: "u32" },
    counts_u16: { input: "void", output: "u16" },
    counts_i32: { input: "void", output: "i32" },
    counts_i64: { input: "void", output: "i64" },
    counts_u64: { name: "counts_i64", input: "void", output: "u64" },
    counts_pointer: { name: "counts_i64", input: "void", output: "pointer" },
    counts_f64: { input: "void", output: "f64" },
  });
  const arrays = {
    ...{ u32: Uint32Array, u16: Uint16Array, i32: Int32Array, f64: Float64Array },
    ...{ i64: BigInt64Array, u64: BigUint64Array, pointer: BigUint64Array },
  };
  type Given = number | bigint | Deno.PointerObject;
  const numberOf = (given: Given | undefined): number =>
    Number(typeof given === "object" ? Deno.UnsafePointer.value(given) : given);
  for (const body of Object.values(library.symbols) as NativeBody<void, Given>[]) {
    for (const stack of [new OsStack(), new OwnedStack(16384)]) {
      using generator = Generator.unguarded<void, Given>(stack, body);
      const outputs = new arrays[body.output as keyof typeof arrays](3);
      const steps = [
        () => ({ filled: 1, outputs: [generator.resume()!] }),
        () => ({ filled: 1, outputs: [generator.next().value!] }),
        () => ({ filled: generator.fill(outputs), outputs: [outputs[0]!, outputs[2]!] }),
      ];
      let count = 0;
      for (let words = 0; words < 120; words++) {
        const given: ReturnType<typeof steps[number]>[] = [];
        // Not by `push`, for which there might be no room.
        atLastDepths(() => given[given.length] = steps[words % 3]!(), ...new Array(words));
        for (const { filled, outputs } of given) {
          const what = `${body.output}, ${stack.constructor.name}, ${filled} at a time`;
          assertEquals(numberOf(outputs[0]), count + 1, what);
          assertEquals(numberOf(outputs.at(-1)), count += filled, what);
        }
      }
    }
  }
});

/** Has a method of DataView throw, as where V8's stack is used up, at one of its next calls. */
function failingOnce(method: "getInt32", countdown: number): Disposable {
  const prototype = DataView.prototype;
  const original = prototype[method];
  prototype[method] = function (...args): number {
    if (--countdown === 0) throw new RangeError(EXHAUSTED);
    return original.apply(this, args);
  };
  return { [Symbol.dispose]: () => void (prototype[method] = original) };
}

Deno.test("where a canary cannot be looked at the output is given, and next time it is", () => {
  const memory = new Uint8Array(16384);
  using library = dlopen(testBodies, { counts_f64: { input: "void", output: "f64" } });
  const stack = new SliceStack(memory);
  const generator = Generator.unguarded<void, number>(stack, library.symbols.counts_f64);
  const array = new Float64Array(2);
  for (
    const [take, expected] of [[() => generator.resume(), 1], [() => generator.fill(array), 2]]
  ) {
    // The canary is four words, which are looked at before the switch, and after it.
    using _method = failingOnce("getInt32", 5);
    assertEquals((take as () => number)(), expected);
  }
  assertEquals([...array], [2, 3]);
  memory.fill(0, 0, 64);
  assertThrows(() => generator.resume(), Error, "used up its stack");
});

Deno.test("Yielder.call() that waits loses no value as V8's stack ends", async () => {
  // In a new process no function has looked at a yielded value yet. Where less than 32 KiB of the
  // stack are left V8 compiles none, so the first look fails.
  const { stdout, stderr } = await runChild(
    `
      import { dlopen, Generator, OsStack } from ${JSON.stringify(moduleUrl)};
      import { hasStack } from ${JSON.stringify(new URL("ffi/check.ts", moduleUrl).href)};
      const { labs } = dlopen("libc.so.6", {
        labs: { parameters: ["i64"], result: "i64" },
      }).symbols;
      const generator = new Generator(new OsStack(), function* (yielder) {
        for (let i = 0;; i++) {
          const call = yielder.call(labs, -1n);
          if (i !== 2) yield* call;
          yield i;
        }
      });
      const dive = () => hasStack(32) ? dive() : generator.next().value;
      console.log(generator.next().value, generator.next().value, dive(), generator.next().value);
    `,
    ["--allow-ffi", "--allow-read"],
  );
  assertEquals([stdout, stderr], ["0 1 2 3\n", ""]);
});
