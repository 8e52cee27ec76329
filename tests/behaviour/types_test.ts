// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * What TypeScript infers and refuses: `deno check` is the test. Nothing in the functions below
 * runs; an `@ts-expect-error` with no error under it is one.
 */

import { assertEquals } from "@std/assert";
import {
  Callback,
  type CallbackDefinition,
  type CallbackHandler,
  dlopen,
  functionAt,
  Generator,
  type GuardedStack,
  type LayoutObject,
  type LayoutView,
  type NativeBody,
  type NativeFunction,
  type NativeLibrary,
  OsStack,
  type OwnedStack,
  pointerTo,
  PointerView,
  SliceStack,
  type Stack,
  struct,
  type SymbolDefinitions,
  type TailCall,
  tailCall,
  union,
  type Yielder,
} from "../../mod.ts";
import { definitions, testBodies } from "../support/support.ts";

/** Fails to check unless both types are the same. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true
  : false;
function same<A, B>(_: Same<A, B>): void {}

const open = () => dlopen(testBodies, definitions);

function stacks(os: OsStack, owned: OwnedStack, slice: SliceStack): void {
  const guarded: GuardedStack = os;
  const any: readonly Stack[] = [os, owned, slice];
  // @ts-expect-error An OwnedStack has no guard.
  const wrong: GuardedStack = owned;
  // @ts-expect-error A SliceStack has no guard.
  const alsoWrong: GuardedStack = slice;
  // @ts-expect-error base cannot be assigned to.
  os.base = 1n;
  // @ts-expect-error A size is a number.
  new OsStack(4096n);
  // @ts-expect-error Memory is a Uint8Array.
  new SliceStack(new ArrayBuffer(4096));
  void [guarded, any, wrong, alsoWrong];
}

function control(pointer: Deno.PointerObject): void {
  const { call_n, add_six, same_pointer } = open().symbols;
  const answer: TailCall = tailCall(add_six, 1, 2, 3, 4, 5n, 6);
  // @ts-expect-error An argument is missing.
  tailCall(add_six, 1, 2, 3, 4, 5n);
  // @ts-expect-error A string is no number.
  tailCall(add_six, "1", 2, 3, 4, 5n, 6);
  call_n(1, () => answer);
  call_n(1, (i) => i > 0 ? answer : i);
  void call_n.async(1, async () => await Promise.resolve(answer));
  for (const { reply } of call_n.calls(1)) reply(answer);
  // @ts-expect-error A TailCall is no argument.
  same_pointer(answer);

  const f = functionAt(pointer, { parameters: ["i64"], result: "i64", errno: true });
  const failed = f(1);
  same<typeof failed, { readonly value: bigint; readonly errno: number }>(true);
  const later = f.async(1n);
  same<typeof later, Promise<{ readonly value: bigint; readonly errno: number }>>(true);
  // @ts-expect-error It takes an integer.
  f("1");
  // @ts-expect-error null is no function.
  functionAt(null, { parameters: [], result: "void" });
  new Callback({ parameters: ["i32"], result: "i32", stop: (i: number) => i }, (i) => i);
}

function nativeBodies(stack: OsStack, owned: OwnedStack): void {
  const { symbols } = open();
  const echo = new Generator(stack, symbols.echo_i32);
  same<typeof echo, Generator<number, number, void>>(true);
  const output: number | undefined = echo.resume(1);
  // @ts-expect-error An input is needed.
  echo.resume();
  // @ts-expect-error It is a number.
  echo.resume("1");
  // @ts-expect-error It may be undefined.
  const certain: number = echo.resume(1);

  const big = new Generator(stack, symbols.echo_u64);
  same<typeof big, Generator<number | bigint, bigint, void>>(true);
  const counting = new Generator(stack, symbols.has_destructor);
  same<typeof counting, Generator<void, number, void>>(true);
  counting.resume();
  for (const value of counting) same<typeof value, number>(true);
  // @ts-expect-error Of a body with an input, for…of would resume with none.
  for (const value of echo) void value;
  // @ts-expect-error So would a spread.
  void [...echo];
  // @ts-expect-error And next() without an argument.
  echo.next();
  echo.next(1);
  counting.next();
  const truth = new Generator(stack, symbols.echo_bool);
  same<ReturnType<typeof truth.resume>, boolean | undefined>(true);
  const pointer = new Generator(stack, symbols.echo_pointer);
  same<ReturnType<typeof pointer.resume>, Deno.PointerValue | undefined>(true);
  // @ts-expect-error A stack without a guard needs Generator.unguarded.
  new Generator(owned, symbols.echo_i32);
  same<ReturnType<typeof Generator.unguarded<number, number, void>>, Generator<number, number>>(
    true,
  );
  const unguarded = Generator.unguarded(owned, symbols.echo_i32);
  same<typeof unguarded, Generator<number, number, void>>(true);
  // @ts-expect-error A C function is no body.
  new Generator(stack, symbols.call_n);
  // @ts-expect-error A body is no function.
  symbols.echo_i32(1);
  const body: NativeBody<number, number> = symbols.echo_i32;
  // @ts-expect-error Nor has it other types.
  const other: NativeBody<string, number> = symbols.echo_i32;
  void [output, certain, body, other];
}

function scriptBodies(stack: OsStack): void {
  const plain = new Generator(stack, function* () {
    yield 1;
  });
  same<typeof plain, Generator<void, number, void>>(true);
  plain.resume();
  // @ts-expect-error It takes no input.
  plain.resume(5);

  const full = new Generator(stack, function* (yielder, first: number) {
    same<typeof yielder, Yielder>(true);
    const second: number = yield "output";
    return first + second > 3;
  });
  same<typeof full, Generator<number, string, boolean>>(true);
  const { value, done } = full.next(1);
  same<typeof value, string | boolean>(true);
  same<typeof done, boolean | undefined>(true);

  // @ts-expect-error The output is a string.
  new Generator<number, string>(stack, function* () {
    yield 1;
  });
  // @ts-expect-error A plain function is no body.
  new Generator(stack, () => 1);
  // @ts-expect-error Nor is an async one.
  new Generator(stack, async () => await 1);
  // @ts-expect-error Nor an async generator function.
  new Generator(stack, async function* () {});
}

function javaScriptGenerators(stack: OsStack): void {
  const generator = new Generator(stack, function* (_yielder, _input: number) {
    yield "output";
    return true;
  });
  const assigned: globalThis.Generator<string, boolean, number> = generator;
  const iterator: Iterator<string, boolean, number> = generator;
  const iterable: Iterable<string> = generator;
  const object: IteratorObject<string, boolean, number> = generator;
  const disposable: Disposable = generator;
  // @ts-expect-error Its output is no number.
  const wrong: globalThis.Generator<number, boolean, number> = generator;
  // @ts-expect-error Its input is no string.
  const alsoWrong: globalThis.Generator<string, boolean, string> = generator;
  same<ReturnType<typeof generator.toArray>, string[]>(true);
  const mapped = generator.map((output) => output.length);
  same<ReturnType<typeof mapped.toArray>, number[]>(true);
  function* delegating(): globalThis.Generator<string, void, number> {
    const returned = yield* generator;
    same<typeof returned, boolean>(true);
  }
  // @ts-expect-error To take it apart would resume it with no input.
  const [first] = generator;
  const plain = new Generator(stack, function* () {
    yield "output";
  });
  const [second] = plain;
  same<typeof second, string | undefined>(true);
  const unknown: globalThis.Generator<string, void, unknown> = plain;
  const short: globalThis.Generator<string> = plain;
  void [first, unknown, short];
  void [assigned, iterator, iterable, object, disposable, wrong, alsoWrong, delegating];
}

/** Passes the input on. */
function step<I, O, R>(generator: Generator<I, O, R>, input: I): IteratorResult<O, R> {
  const { done } = generator.next(input);
  return done ? generator.next(input) : { value: generator.resume(input)! };
}

/** Runs a body that takes no input. */
function run<O, R>(generator: Generator<void, O, R>): R {
  for (;;) {
    const { value, done } = generator.next();
    if (done) return value;
  }
}

function asOwn<I, O, R>(generator: Generator<I, O, R>): globalThis.Generator<O, R, I> {
  return generator;
}

function anyOf(generator: globalThis.Generator<unknown, unknown, never>): unknown {
  return generator;
}

function genericCode(
  none: Generator<void, string, boolean>,
  number: Generator<number, string, boolean>,
  perhaps: Generator<number | undefined, string, boolean>,
  unknown: Generator<unknown, string, boolean>,
): void {
  same<ReturnType<typeof step<number, string, boolean>>, IteratorResult<string, boolean>>(true);
  step(number, 3);
  // @ts-expect-error The input is a number.
  step<number, string, boolean>(number, "3");
  run(none);
  // @ts-expect-error It needs an input each time.
  run(number);
  same<ReturnType<typeof asOwn<number, string, void>>, globalThis.Generator<string, void, number>>(
    true,
  );
  for (const generator of [none, number, perhaps, unknown]) anyOf(generator);
  unknown.next();
  unknown.next("3");
  perhaps.next();
  perhaps.next(3);
  for (const value of unknown) same<typeof value, string>(true);
  for (const value of perhaps) same<typeof value, string>(true);
  const { value } = unknown.next();
  same<typeof value, string | boolean>(true);
  const bound = number.next.bind(number);
  bound(3);
  // @ts-expect-error It still needs an input.
  bound();
  same<Parameters<typeof number.next>["length"], 1>(true);
  const madeByAny = makeAny(two, () => 1);
  const named = new Named(two, () => 1);
  same<ReturnType<typeof openAny<{ f: typeof two }>>["symbols"]["f"], NativeFunction<typeof two>>(
    true,
  );
  same<typeof madeByAny, Callback<typeof two>>(true);
  same<typeof named.definition, typeof two>(true);
}

const two = { parameters: [], result: "i32" } as const;

function makeAny<const Definition extends CallbackDefinition>(
  definition: Definition,
  handler: CallbackHandler<Definition>,
): Callback<Definition> {
  return new Callback(definition, handler);
}

class Named<const Definition extends CallbackDefinition> extends Callback<Definition> {
  readonly name = "named";
}

function openAny<const Table extends SymbolDefinitions>(table: Table): NativeLibrary<Table> {
  return dlopen("library.so", table);
}

function calls(): void {
  const { symbols } = open();
  const sum = symbols.call_n(3, (i) => {
    same<typeof i, number>(true);
    return i;
  });
  same<typeof sum, number>(true);
  // @ts-expect-error The handler is missing.
  symbols.call_n(3);
  // @ts-expect-error It answers a number.
  symbols.call_n(3, () => "1");
  // @ts-expect-error It cannot be awaited here.
  symbols.call_n(3, async () => await 1);
  // @ts-expect-error It cannot yield here.
  symbols.call_n(3, function* () {
    yield 1;
    return 1;
  });
  symbols.call_six((a, b, c, d, e, f) => {
    same<typeof a, number>(true);
    same<typeof e, bigint>(true);
    return BigInt(b + c + d) + f;
  });
  symbols.each_string((string) => {
    same<typeof string, string | null>(true);
    return 0;
  });
  symbols.call_void(() => {});
  same<ReturnType<typeof symbols.sum_buffer>, bigint>(true);
  same<ReturnType<typeof symbols.same_pointer>, Deno.PointerValue>(true);
  symbols.sum_buffer(new Float64Array(1), 8n);
  symbols.sum_buffer(new DataView(new ArrayBuffer(1)), 1);
  // @ts-expect-error A string is no buffer.
  symbols.sum_buffer("bytes", 5);

  const promise = symbols.call_n.async(3, async (i) => await Promise.resolve(i));
  same<typeof promise, Promise<number>>(true);
  symbols.call_n.async(3, (i) => i);
  // @ts-expect-error It answers a number.
  symbols.call_n.async(3, async () => await "1");

  for (const call of symbols.call_n.calls(3)) {
    same<typeof call.parameter, 1>(true);
    same<typeof call.args, [number]>(true);
    call.reply(call.args[0]);
    // @ts-expect-error It is a number.
    call.reply("1");
  }
  // @ts-expect-error Handlers have no place here.
  symbols.call_n.calls(3, () => 1);
  for (const call of symbols.two_callbacks.calls()) {
    same<typeof call.parameter, 0 | 1>(true);
    if (call.parameter === 0) call.reply(call.args[0]);
  }
  const { value } = symbols.add_six.calls(1, 2, 3, 4, 5, 6).next();
  same<typeof value, bigint>(true);
}

function yielderCalls(stack: OsStack): void {
  const { symbols } = open();
  const generator = new Generator(stack, function* (yielder) {
    const sum = yield* yielder.call(symbols.call_n, 3, function* (i) {
      same<typeof i, number>(true);
      yield `call ${i}`;
      return 1;
    });
    same<typeof sum, number>(true);
    yield* yielder.call(symbols.call_n, 3, (i) => i);
    // @ts-expect-error The handler answers a number.
    yield* yielder.call(symbols.call_n, 3, () => "1");
    // @ts-expect-error It cannot be awaited.
    yield* yielder.call(symbols.call_n, 3, async () => await 1);
    // @ts-expect-error The handler is missing.
    yield* yielder.call(symbols.call_n, 3);
    // @ts-expect-error Only functions of dlopen can be called.
    yield* yielder.call(Math.max, 3);
    return sum;
  });
  same<typeof generator, Generator<void, string, number>>(true);
}

function keptCallbacks(stack: OsStack): void {
  const { symbols } = open();
  const definition = { parameters: ["i32"], result: "i32" } as const;
  const plain = new Callback(definition, (i) => {
    same<typeof i, number>(true);
    return i;
  });
  same<typeof plain.pointer, Deno.PointerObject>(true);
  same<typeof plain.definition, typeof definition>(true);
  const written = new Callback(
    { parameters: ["f64", "cstring", "function"], result: "pointer", stop: null },
    (number, string, pointer) => {
      same<typeof number, number>(true);
      same<typeof string, string | null>(true);
      same<typeof pointer, Deno.PointerValue>(true);
      return pointer;
    },
  );
  new Callback(definition, async (i) => await Promise.resolve(i));
  new Callback(definition, function* (i) {
    yield "anything";
    return i;
  });
  new Callback({ parameters: [], result: "void" }, () => {});
  // @ts-expect-error It answers a number.
  new Callback(definition, () => "1");
  // @ts-expect-error It answers a number, sooner or later.
  new Callback(definition, async () => await "1");
  // @ts-expect-error It is passed a number.
  new Callback(definition, (i: string) => i.length);
  // @ts-expect-error There is no such type.
  new Callback({ parameters: ["int"], result: "i32" }, () => 1);
  // @ts-expect-error There must be something that answers.
  new Callback(definition);

  symbols.keep(plain);
  symbols.keep(plain.pointer);
  symbols.keep(null);
  // @ts-expect-error A function is no function pointer.
  symbols.keep((i: number) => i);
  const sum = symbols.call_n(3, plain);
  same<typeof sum, number>(true);
  symbols.call_n.async(3, plain);
  // @ts-expect-error It is of another type.
  symbols.call_n(3, written);
  // @ts-expect-error To pass NULL, the parameter must be a "function".
  symbols.call_n(3, null);
  new Generator(stack, function* (yielder) {
    const sum = yield* yielder.call(symbols.call_n, 3, plain);
    same<typeof sum, number>(true);
  });
  const any: Callback = written;
  const disposable: Disposable = plain;
  void [any, disposable];
}

function floatsAndManyArguments(): void {
  const { symbols } = open();
  const halved = symbols.half((x) => {
    same<typeof x, number>(true);
    return x;
  }, 1.5);
  same<typeof halved, number>(true);
  // @ts-expect-error A bigint is no floating-point number.
  symbols.half((x) => x, 1n);
  for (const call of symbols.mixed.calls(1, 2, 3, 4, 5, 6, 7n, 8, true, 1, 2, 3, 4, 5, 6, 7n, 8)) {
    same<typeof call.args[6], bigint>(true);
    same<typeof call.args[8], boolean>(true);
    same<typeof call.args.length, 17>(true);
    call.reply(0.5);
  }
  // @ts-expect-error One is missing.
  symbols.mixed.calls(1, 2, 3, 4, 5, 6, 7n, 8, true, 1, 2, 3, 4, 5, 6, 7n);
}

function optionsAndThreads(stack: OsStack, signal: AbortSignal): void {
  const { symbols } = open();
  symbols.call_n.async(3, (i) => i, { signal });
  symbols.call_n.async(3, (i) => i, {});
  symbols.call_n.async(3, (i) => i, { signal: undefined });
  symbols.asked.async({ signal });
  // @ts-expect-error It is no signal.
  symbols.call_n.async(3, (i) => i, { signal: 5 });
  // @ts-expect-error There is no such option.
  symbols.call_n.async(3, (i) => i, { timeout: 5 });
  // @ts-expect-error The plain form cannot be aborted.
  symbols.call_n(3, (i) => i, { signal });

  const promise = symbols.call_n_elsewhere(3, async (i) => await Promise.resolve(i));
  same<typeof promise, Promise<number>>(true);
  symbols.call_n_elsewhere(3, (i) => i, { signal });
  const same_promise = symbols.call_n_elsewhere.async(3, (i) => i);
  same<typeof same_promise, Promise<number>>(true);
  // @ts-expect-error It cannot be pulled.
  symbols.call_n_elsewhere.calls(3);
  new Generator(stack, function* (yielder) {
    // @ts-expect-error Nor called by a yielder.
    yield* yielder.call(symbols.call_n_elsewhere, 3, (i: number) => i);
  });
}

const pair = { struct: ["i32", "f64"] } as const;
const visit = { parameters: [pair, "i32"], result: pair, stop: new Uint8Array(16) } as const;

function structs(bytes: Uint8Array<ArrayBuffer>): void {
  const { symbols } = dlopen("library.so", {
    f: { parameters: [pair, "i32", { callback: visit }], result: pair },
    nested: { parameters: [{ struct: [pair, { struct: ["u8"] }] }], result: "void" },
    both: { parameters: [], result: pair, errno: true },
  });
  const result = symbols.f(bytes, 1, (got, i) => {
    same<typeof got, Uint8Array<ArrayBuffer>>(true);
    same<typeof i, number>(true);
    return new Float64Array(2);
  });
  same<typeof result, Uint8Array<ArrayBuffer>>(true);
  symbols.f.async(bytes, 1, async (got) => await Promise.resolve(got));
  symbols.nested(bytes.buffer);
  same<ReturnType<typeof symbols.both>["value"], Uint8Array<ArrayBuffer>>(true);
  for (const { args, reply } of symbols.f.calls(bytes, 1)) reply(args[0]);
  using callback = new Callback(visit, (got) => got);
  symbols.f(bytes, 1, callback);
  // @ts-expect-error The bytes of a struct are no list of numbers.
  symbols.f([1, 2], 1, callback);
  // @ts-expect-error An answer is bytes as well.
  symbols.f(bytes, 1, () => 5);
}

function views(view: PointerView, pointer: Deno.PointerObject): void {
  same<ReturnType<typeof view.getFloat64>, number>(true);
  same<ReturnType<typeof view.getBigUint64>, bigint>(true);
  same<ReturnType<typeof view.getPointer>, Deno.PointerValue>(true);
  same<typeof view.address, bigint>(true);
  view.setPointer(8, pointer);
  view.setPointer(0, null);
  view.setBigInt64(0, 5);
  view.setBigInt64(-8, 5n);
  // @ts-expect-error A number is needed.
  view.setInt32(0, 5n);
  // @ts-expect-error An address is no pointer.
  view.setPointer(0, 4096n);
  same<ReturnType<typeof view.add>, PointerView>(true);
  const counted = view.getPointers(0, 3);
  same<typeof counted, Deno.PointerValue[]>(true);
  const found = view.getPointers();
  same<typeof found, Deno.PointerObject[]>(true);
  view.getCString(0, "latin1");
  // @ts-expect-error There is no such encoding.
  view.getCString(0, "ascii");
  // @ts-expect-error Memory of C's is not disposed of by a view.
  using wrong = view;
  using memory = PointerView.allocate(8);
  const any: PointerView = memory;
  void [any, wrong];
  PointerView.of(new Float64Array(2));
  // @ts-expect-error There is nothing to view.
  PointerView.of(null);
}

interface Node {
  value: number;
  next: Node | null;
}

function layouts(pointer: Deno.PointerObject, callback: Callback): void {
  const point = struct({ x: "i32", y: "i32" });
  const stat = struct({
    st_size: "i64",
    count: "usize as number",
    name: "cstring",
    compare: "function",
    spare: ["i32", 3],
    inner: struct({ point, points: [point, 2] }),
    either: union({ integer: "u64", real: "f64" }),
    raw: { struct: ["i32", "u8"] },
    to: pointerTo(point),
  }, { pack: 1 });
  same<typeof stat.size, number>(true);

  const view = stat.view(pointer);
  same<typeof view.st_size, bigint>(true);
  same<typeof view.count, number>(true);
  same<typeof view.name, string | null>(true);
  same<typeof view.compare, Deno.PointerValue>(true);
  same<(typeof view.spare)[0], number>(true);
  same<typeof view.inner.point.x, number>(true);
  same<(typeof view.inner.points)[1]["y"], number>(true);
  same<typeof view.either.real, number>(true);
  same<typeof view.raw, Uint8Array<ArrayBuffer>>(true);
  same<typeof view.to, { x: number; y: number } | null>(true);
  view.st_size = 5n;
  view.spare[1] = 2;
  view.spare = [1, 2];
  view.inner.point = { x: 1, y: 2 };
  view.to = point.view(new Uint8Array(8));
  // @ts-expect-error It has no such field.
  void view.st_sise;
  // @ts-expect-error It is a bigint.
  view.st_size = "5";
  // @ts-expect-error Its elements are numbers.
  view.spare[1] = 5n;
  // @ts-expect-error An address is no view.
  view.to = 4096n;

  const copy = stat.read(new Uint8Array(stat.size));
  same<typeof copy.spare, number[]>(true);
  same<typeof copy.inner.points, { x: number; y: number }[]>(true);
  same<typeof copy, LayoutObject<typeof stat>>(true);
  same<typeof view, LayoutView<typeof stat>>(true);

  stat.write(pointer, { st_size: 5, compare: callback, inner: { point: { x: 1 } }, to: pointer });
  stat.write(PointerView.of(new Uint8Array(100)), copy);
  stat.write(pointer, { spare: Int32Array.of(1), raw: new Uint8Array(8), to: null });
  // @ts-expect-error It has no such field.
  stat.write(pointer, { st_sise: 5 });
  // @ts-expect-error A string is no number.
  stat.write(pointer, { st_size: "5" });
  // @ts-expect-error It has no such field.
  stat.offsetOf("st_sise");
  // @ts-expect-error C's NULL has no fields.
  stat.view(null);

  // Of a layout that leads to itself TypeScript has to be told the type.
  const node = struct({ value: "i32", next: pointerTo<Node>(() => node) });
  for (let at: Node | null = node.view(pointer); at !== null; at = at.next) {
    same<typeof at.value, number>(true);
  }
  // @ts-expect-error There is no such type.
  struct({ a: "int" });
  // @ts-expect-error An array has a type and a count.
  struct({ a: ["i32", 3, 4] });
  // @ts-expect-error Its elements are no arrays.
  struct({ a: [["i32", 3], 4] });
  // @ts-expect-error A struct within is made by struct().
  struct({ a: { x: "i32" } });
  // @ts-expect-error There is no such option.
  struct({ a: "i32" }, { packed: true });
  // @ts-expect-error A pointer to what is no layout.
  pointerTo("i32");
}

function definitionsThatAreWrong(): void {
  // @ts-expect-error There is no such type.
  dlopen("library.so", { body: { input: "int", output: "i32" } });
  // @ts-expect-error A body takes scalars only.
  dlopen("library.so", { body: { input: "cstring", output: "i32" } });
  // @ts-expect-error A function needs a result.
  dlopen("library.so", { f: { parameters: [] } });
  // @ts-expect-error A parameter cannot be void.
  dlopen("library.so", { f: { parameters: ["void"], result: "i32" } });
  // @ts-expect-error A callback gets a "function".
  dlopen("library.so", { f: { parameters: [{ callback: { parameters: [{ callback: {} }] } }] } });
  const table = { f: { parameters: ["i32"], result: "i32" } };
  // @ts-expect-error Without `as const` its types are any strings.
  dlopen("library.so", table);
  const constant = { f: { parameters: ["i32"], result: "i32" } } as const;
  same<ReturnType<ReturnType<typeof dlopen<typeof constant>>["symbols"]["f"]>, number>(true);
  // @ts-expect-error An array is no table.
  dlopen("library.so", []);
  // @ts-expect-error There is no such type in a struct either.
  dlopen("library.so", { f: { parameters: [{ struct: ["int"] }], result: "i32" } });
  // @ts-expect-error A body takes scalars only.
  dlopen("library.so", { body: { input: { struct: ["i32"] }, output: "i32" } });
  // @ts-expect-error It says how many, not whether.
  dlopen("library.so", { f: { parameters: ["cstring"], result: "i32", variadic: true } });
  // @ts-expect-error There is no such symbol.
  dlopen("library.so", {}).symbols.f;
}

Deno.test("types are what they should be, says deno check", () => {
  const checked = [
    stacks,
    nativeBodies,
    scriptBodies,
    javaScriptGenerators,
    genericCode,
    calls,
    control,
    yielderCalls,
    keptCallbacks,
    floatsAndManyArguments,
    optionsAndThreads,
    structs,
    views,
    layouts,
    definitionsThatAreWrong,
  ];
  assertEquals(checked.every((f) => typeof f === "function"), true);
});
