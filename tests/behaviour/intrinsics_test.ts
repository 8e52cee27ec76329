// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Programs that have changed JavaScript's own objects before they import fringe: what they have put
 * into `Object.prototype` is not read, and all may be frozen.
 */

import { assertEquals } from "@std/assert";
import { moduleUrl, runChild, testBodies } from "../support/support.ts";

/** Uses all that there is to use, and prints what came of it. */
const program = `
  const fringe = await import(${JSON.stringify(moduleUrl)});
  const { Callback, dlopen, Generator, OsStack, OwnedStack, PointerView, SliceStack, StackPool } =
    fringe;
  const callback = { parameters: ["i32"], result: "i32" };
  const library = dlopen(${JSON.stringify(testBodies.pathname)}, {
    echo_i32: { input: "i32", output: "i32" },
    echo_f64: { input: "f64", output: "f64" },
    call_n: { parameters: ["i32", { callback }], result: "i32" },
    until_nonzero: { parameters: [{ callback: { ...callback, stop: 1 } }], result: "i32" },
    each_string: {
      parameters: [{ callback: { parameters: ["cstring"], result: "i32" } }],
      result: "i32",
    },
    keep: { parameters: ["function"], result: "void" },
    call_kept: { parameters: ["i32"], result: "i32" },
    sum_buffer: { parameters: ["buffer", "usize"], result: "u64" },
    string_length: { parameters: ["cstring"], result: "usize" },
    elsewhere: {
      name: "call_n",
      parameters: ["i32", { callback }],
      result: "i32",
      nonblocking: true,
    },
    use_up: { parameters: ["i32"], result: "i32", overflow: "throw" },
  });
  const symbols = library.symbols;
  const told = [];
  const tell = (...values) => told.push(values.map(String).join(" "));
  const caught = async (f) => {
    try {
      return await f();
    } catch (error) {
      return error.name + ": " + error.message.slice(0, 30);
    }
  };

  const memory = new Uint8Array(65536);
  const pool = new StackPool({});
  const stacks = [new OsStack(), pool.take(), new OwnedStack(65536), new SliceStack(memory)];
  for (const stack of stacks) {
    tell(stack.size, stack.guarded);
    const generator = Generator.unguarded(stack, symbols.echo_i32);
    tell(generator.resume(1), generator.next(2).value, generator.backtrace().length > 0);
    generator.return();
    generator.unwrap()[Symbol.dispose]();
  }
  const doubles = new Generator(new OsStack(65536, {}), symbols.echo_f64);
  tell(doubles.resume(0.5), doubles.state, Deno.inspect(doubles));
  tell(await caught(() => doubles.throw(new RangeError("mine"))), doubles.state);
  const script = new Generator(new OsStack(), function* (yielder, first) {
    return yield* yielder.call(symbols.call_n, 2, function* (i) {
      return yield first + i;
    });
  });
  tell(script.next(5).value, script.next(10).value, script.next(20).value);
  const cxx = dlopen("libstdc++.so.6", {
    throws: { name: "_ZSt20__throw_length_errorPKc", parameters: ["cstring"], result: "void" },
  });
  tell(await caught(() => cxx.symbols.throws("from C++")));

  tell(symbols.call_n(3, (i) => i), symbols.each_string((text) => text === null ? 0 : text.length));
  tell(await symbols.call_n.async(3, async (i) => i, { signal: new AbortController().signal }));
  tell(await symbols.elsewhere(3, (i) => i));
  for (const { args: [i], reply } of symbols.until_nonzero.calls()) {
    if (i === 2) break;
    reply(0);
  }
  const kept = new Callback(callback, (i) => i * 2);
  symbols.keep(kept);
  tell(symbols.call_kept(21));
  kept.close();
  tell(symbols.sum_buffer(Uint8Array.of(1, 2), 2), symbols.string_length("x".repeat(50)));
  tell(await caught(() => symbols.use_up(1e6)));
  tell(await caught(() => symbols.call_n("1", (i) => i)), await caught(() => new OsStack(2 ** 46)));
  tell(await caught(() => symbols.call_n(1, () => { throw new Error("handler"); })));
  tell(await caught(() => dlopen("libc.so.6", { getpid: { parameters: [], result: "x" } })));
  const view = PointerView.of(new TextEncoder().encode("y".repeat(100) + "\\0"));
  view.setInt16(0, 0x6161);
  tell(view.getCString(), view.getUint8(2));
  const part = fringe.struct({ x: "i32", constructor: "u8" });
  const either = fringe.union({ n: "f64", bytes: ["u8", 8] });
  const layout = fringe.struct(
    { text: "cstring", parts: [part, 2], to: fringe.pointerTo(part), either },
    { alignment: 16 },
  );
  const bytes = new Uint8Array(layout.size);
  layout.write(bytes, { text: "abc", parts: [{ x: 1, constructor: 2 }], either: { n: 1 } });
  const fields = layout.view(bytes);
  fields.to = fields.parts[0];
  fields.to.x += 5;
  const whole = layout.read(bytes);
  tell(layout.size, whole.text, whole.parts[0].x, whole.parts[0].constructor, whole.either.bytes);
  tell([...fields.parts].length, await caught(() => fields.nothing), fields.either.n);
  const place = PointerView.allocate(16);
  place.setCString(2, "z", "utf-32");
  tell(place.getCString(2, "utf-32"), place.add(2).getBytes().length, part.read(place.pointer).x);
  library.close();
  console.log(told.join("\\n"));
`;

const run = async (before: string): Promise<string> => {
  const { code, signal, stdout, stderr } = await runChild(before + program, ["-A"]);
  assertEquals([code, signal], [0, null], stderr);
  return stdout;
};

let plain: Promise<string> | undefined;

Deno.test("what a program has put into Object.prototype is not read", async () => {
  const keys = [
    ...["input", "output", "parameters", "result", "callback", "stop", "nonblocking", "variadic"],
    ...[
      "overflow",
      "optional",
      "promoted",
      "range",
      "struct",
      "function",
      "fault",
      "shareable",
      "guarded",
    ],
    ...[
      "slab",
      "batch",
      "handler",
      "released",
      "occupant",
      "alias",
      "i32",
      "f64",
      "call",
      "reason",
    ],
    ...["kind", "way", "size", "mask", "sign", "types", "resultType", "what", "whatOf", "fast"],
    ...["fields", "count", "to", "name", "pointer", "bits", "pack", "alignment", "offset", "of"],
    ...["get", "set", "writable", "configurable", "enumerable"],
  ];
  for (const value of ["true", '"i32"', "() => 5", "{}"]) {
    const before = `for (const key of ${JSON.stringify(keys)}) Object.prototype[key] = ${value};\n`;
    assertEquals(await run(before), await (plain ??= run("")), value);
  }
});

Deno.test("all works when JavaScript's own objects are frozen before the import", async () => {
  // As SES does: from the global object to all that can be reached by properties.
  const before = `{
    const seen = new Set();
    const queue = [function* () {}, async function* () {}, async () => {}, [][Symbol.iterator]()];
    const names = Object.getOwnPropertyNames(globalThis);
    for (const name of names) {
      if (!/^[A-Z]/.test(name) || name === "Deno") continue;
      queue.push(globalThis[name]);
    }
    for (let value; queue.length > 0;) {
      value = queue.pop();
      if (value === null || !/^(object|function)$/.test(typeof value) || seen.has(value)) continue;
      if (value === globalThis) continue;
      seen.add(value);
      queue.push(Object.getPrototypeOf(value));
      for (const key of Reflect.ownKeys(value)) {
        const property = Object.getOwnPropertyDescriptor(value, key);
        queue.push(property.value, property.get, property.set);
      }
    }
    for (const value of seen) if (!ArrayBuffer.isView(value)) Object.freeze(value);
  }
  if (!Object.isFrozen(Error.prototype) || !Object.isFrozen(Iterator.prototype)) throw new Error();
  `;
  assertEquals(await run(before), await (plain ??= run("")));
});
