// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Generators with a native body, or with a TypeScript body whose native calls run on their stack.
 *
 * A native body has a `Context`, which `resume` enters. A TypeScript body is one of V8's own
 * generators: V8 suspends no other TypeScript frames (docs/how.md, "Why JavaScript stays on V8's
 * stack").
 */

import { bytesOf, nameOf } from "./buffer.ts";
import { isFunction } from "./call/callee.ts";
import { PulledBody } from "./call/pulled.ts";
import type { Scope } from "./call/scope.ts";
import { ScriptMachine, Step } from "./call/script_machine.ts";
import { endGone } from "./call/sync.ts";
import { describe, own } from "./check.ts";
import type { NativeFrame } from "./context/backtrace.ts";
import { type BodySymbol, type NativeBody, symbolOf } from "./context/body.ts";
import { Context, Entry } from "./context/context.ts";
import { checkOpen, takeOffLate } from "./context/occupancy.ts";
import { Mailbox, Status } from "./layout.ts";
import { native } from "./library/find.ts";
import {
  isAsyncFunction,
  isGeneratorFunction,
  isScriptGenerator,
  type ScriptGenerator,
} from "./script_generator.ts";
import { isOverrun } from "./stack/canary.ts";
import { Net } from "./stack/net.ts";
import {
  endGarbage,
  type GuardedStack,
  memoryOf,
  type Owner,
  type Stack,
  StackMemory,
} from "./stack/stack.ts";
import { arrayFor, type FilledArray, Way } from "./value/type.ts";
import { pass } from "./value/value.ts";
import { makeYielder, type Yielder } from "./yielder.ts";

/**
 * Whether a generator can be resumed.
 *
 * @example
 * ```ts
 * import { Generator, OsStack, type State } from "fringe";
 *
 * using generator = new Generator(new OsStack(), function* () {
 *   yield "only";
 * });
 * generator.resume();
 * const before: State = generator.state; // "runnable": suspended
 * generator.resume();
 * const after: State = generator.state; // "unavailable": it has returned
 * console.log(before, after);
 * ```
 */
export type State = "runnable" | "unavailable";

/**
 * A TypeScript body: a generator function that gets a yielder and the first input. What its `yield`
 * gives is `any`, since TypeScript would infer from it in place of the second parameter, and gives
 * up on a body that has neither.
 *
 * @example
 * ```ts
 * import { Generator, OsStack, type ScriptBody } from "fringe";
 *
 * const doubled: ScriptBody<number, number, void> = function* (_yielder, input) {
 *   while (input !== 0) input = yield input * 2;
 * };
 * using generator = new Generator(new OsStack(), doubled);
 * console.log(generator.resume(1)); // 2
 * console.log(generator.resume(21)); // 42
 * console.log(generator.resume(0)); // undefined
 * ```
 */
export type ScriptBody<Input, Output, Return> = (
  yielder: Yielder,
  input: Input,
  // deno-lint-ignore no-explicit-any -- see above
) => ScriptGenerator<Output, Return, any>;

/**
 * The safety net: ends the frames of generators that became garbage. A finalizer is a task of its
 * own, after the collection, so nothing is unwound while the garbage collector runs.
 */
const net = new Net<Owner>(endGarbage);

const RUNNING =
  "it is running; a body, and whatever it calls, cannot resume or end its own generator";

/**
 * A stack that may lack a guard page: by this `unguarded` tells the constructor not to refuse it.
 */
class Unguarded {
  readonly stack: Stack;

  constructor(stack: Stack) {
    this.stack = stack;
  }
}

// What a resume touches is local to this module: V8 folds a local constant, and loads an imported
// one.
const { u32: U32_ENTRY, i32: I32_ENTRY, word: WORD_ENTRY } = Entry;
const { mailbox: MAILBOX, pointer: POINTER } = Entry;
const SUSPENDED = Status.suspended;
/** How far the input lies behind the status, in words of 32 bits. */
const FIRST = (Mailbox.input - Mailbox.status) / 4;
const { void: VOID, int: INT, u32: U32, bool: BOOL } = Way;
const { f32: F32, f64: F64, i64: I64, address: ADDRESS } = Way;

/** Has contexts have the native functions that resume, before the first native body begins. */
function takeResume(): void {
  const { prototype } = Context;
  if (Object.hasOwn(prototype, "resumeU32")) return;
  const library = native();
  for (const name of ["resumeI32", "resumePointer", "resumeToPointer", "resumeU32"] as const) {
    Object.defineProperty(prototype, name, own({ value: library[name] }));
  }
}

/**
 * Stands for the context of every TypeScript body; made for the first one. `resume` looks at a
 * context first, without asking whether there is one. This one never has frames, so `resume` looks
 * further.
 */
let noContext: Context | undefined;

function contextOfNone(): Context {
  return noContext ??= new Context(
    new StackMemory(0n, 0n, {
      guarded: true,
      overflow: "report",
      shareable: false,
      release() {},
      fault: undefined,
    }),
  );
}

/**
 * A function that suspends: it runs on a stack of its own, takes a value at each resume and gives
 * one at each suspension. The body is native (from `dlopen`) or a TypeScript generator function.
 *
 * It is a JavaScript generator too: `for…of`, `yield*`, spreading and iterator helpers work on
 * it. The one difference is that the first `next(input)` is not lost: the body gets it as an
 * argument.
 *
 * The order of its type parameters is libfringe's: `Generator<Input, Output, Return>`. TypeScript's
 * own type, which the import of this class hides, has another one, `<Output, Return, Input>`; write
 * `ScriptGenerator<…>` for it. Mostly nothing has to be written: all three are inferred.
 *
 * @typeParam Input What `resume` passes to the body.
 * @typeParam Output What the body suspends with.
 * @typeParam Return What the body returns. A native body returns nothing.
 *
 * @example A TypeScript body
 * ```ts
 * import { Generator, OsStack } from "fringe";
 *
 * using generator = new Generator(new OsStack(), function* () {
 *   for (let i = 1; i < 4; i++) yield i;
 * });
 * console.log(generator.resume()); // 1
 * console.log(generator.resume()); // 2
 * console.log(generator.resume()); // 3
 * console.log(generator.resume()); // undefined
 * ```
 */
export class Generator<Input = void, Output = unknown, Return = void>
  extends Iterator<Output, Return, Input> {
  /** Where a native body runs; `noContext` for a TypeScript body. */
  readonly #context: Context;
  /** The native body; undefined for a TypeScript body. */
  readonly #symbol: BodySymbol | undefined;
  /** The TypeScript body; undefined for a native body. */
  readonly #machine: ScriptMachine<Input, Output, Return> | undefined;
  /** Whatever has the name of the body. */
  readonly #named: { readonly name: unknown };
  /** The memory of the generator's own stack; a generator of `f.calls()` has none. */
  readonly #memory: StackMemory | undefined;
  /** The stack itself, until `unwrap` hands it back. */
  #stack: Stack | undefined;
  /** What a native body has failed by, or what the end of the frames has thrown. */
  #failure: { readonly error: unknown } | undefined;

  /**
   * Makes a generator; the body begins with the first resume.
   *
   * @param stack A stack with a guard page that nothing else is on. The generator takes it over:
   * disposing of the generator disposes of the stack, unless `unwrap` has handed it back.
   * @param body A native body of `dlopen`, or a generator function (`function*`).
   * @throws {TypeError} If the body is neither, or the stack has no guard.
   * @throws {Error} If the stack is in use or disposed of, or the library of the body is closed.
   */
  constructor(
    stack: GuardedStack,
    body: NativeBody<Input, Output> | ScriptBody<Input, Output, Return>,
  ) {
    super();
    const what = "Cannot make generator";
    const unguarded = stack instanceof Unguarded;
    const pulled = body instanceof PulledBody;
    const own = unguarded ? stack.stack : stack;
    const memory = pulled ? undefined : memoryOf(own, body);
    if (memory !== undefined && !memory.origin.guarded && !unguarded) {
      throw new TypeError(
        `${what}: the stack has no guard page, so an overflow would write over other memory; use ` +
          "an OsStack, or Generator.unguarded(stack, body) to take the risk",
      );
    }
    const symbol = symbolOf(body);
    if (symbol === undefined && !pulled) checkScript(body);
    endGone();
    // After that, which may have run code of the program's.
    if (symbol !== undefined) checkOpen(symbol.library, what);
    memory?.checkFree(what);

    this.#memory = memory;
    this.#stack = pulled ? undefined : own;
    this.#symbol = symbol;
    this.#named = symbol ?? body as PulledBody | ScriptBody<Input, Output, Return>;
    this.#context = symbol === undefined ? contextOfNone() : new Context(memory!, symbol.idle);
    this.#machine = symbol === undefined ? machineOf(body, memory) : undefined;
    const owner = this.#owner;
    if (symbol !== undefined) takeResume();
    net.add(this, owner);
    // Last, so that a constructor which is cut short before has taken nothing. Only `begin`
    // follows, for a native body. If that is cut short, no frame is there, so the memory is free
    // all the same.
    memory?.own(owner);
    if (symbol !== undefined) this.#context.begin(symbol.pointer, symbol);
  }

  /**
   * Makes a generator on a stack of any kind, libfringe's `unsafe_new`: without a guard page
   * nothing stops a body that needs more stack than there is from writing over other memory. It
   * throws what the constructor throws, but takes a stack without a guard.
   *
   * @example
   * ```ts
   * import { Generator, OwnedStack } from "fringe";
   *
   * using generator = Generator.unguarded(new OwnedStack(16 * 1024), function* () {
   *   yield "small";
   * });
   * console.log([...generator]); // ["small"]
   * ```
   */
  static unguarded<Input = void, Output = unknown, Return = void>(
    stack: Stack,
    body: NativeBody<Input, Output> | ScriptBody<Input, Output, Return>,
  ): Generator<Input, Output, Return> {
    return new Generator<Input, Output, Return>(
      new Unguarded(stack) as unknown as GuardedStack,
      body,
    );
  }

  /**
   * Runs the body to its next suspension and returns what it suspends with; `undefined` once the
   * body has returned, and ever after.
   *
   * @throws Whatever a TypeScript body throws; the generator is unavailable from then on.
   * @throws {NativeError} If an exception has left a native body.
   * @throws {TypeError} If the input has the wrong type, or the generator is running.
   * @throws {RangeError} If the input is out of the range of its type.
   * @throws {RangeError} If the body has used up its stack, and the stack is one that says so by an
   * error (`OsStackOptions`).
   * @throws {Error} If the body has failed before, or its stack or its library is gone.
   *
   * @example
   * ```ts
   * import { Generator, OsStack } from "fringe";
   *
   * using adder = new Generator<number, number>(new OsStack(), function* (_yielder, first) {
   *   let sum = first; // the first input is an argument
   *   while (sum < 10) sum += yield sum;
   * });
   * console.log(adder.resume(1)); // 1
   * console.log(adder.resume(2)); // 3
   * console.log(adder.resume(7)); // undefined: the body has returned
   * ```
   */
  resume(input: Input): Output | undefined {
    return this.#run(input);
  }

  /** As `resume`, for `next`: a class that extends this one may override `resume`. */
  #run(input: Input): Output | undefined {
    // What V8 passes in a register comes first: this is the whole of a resume. What is equal to
    // `input` is passed in its place, since V8 takes no -0 for an integer. Whatever is not passed
    // here is looked at below, or refused.
    const context = this.#context;
    const { entry } = context;
    other: if (typeof input === "number") {
      if (entry === U32_ENTRY) {
        const word = input >>> 0;
        if (word !== input) break other;
        const output = context.resumeU32(context.handle, word);
        if (context.status[context.at] === SUSPENDED) return output as Output;
      } else if (entry === I32_ENTRY) {
        const word = input | 0;
        if (word !== input) break other;
        const output = context.resumeI32(context.handle, word);
        if (context.status[context.at] === SUSPENDED) return output as Output;
      } else if (entry === WORD_ENTRY) {
        const { inputMask: mask, inputSign: sign } = this.#symbol!;
        const word = ((input & mask) ^ sign) - sign | 0;
        if (word !== input) break other;
        const output = context.resumeI32(context.handle, word);
        if (context.status[context.at] === SUSPENDED) {
          return (((output & mask) ^ sign) - sign | 0) as Output;
        }
      } else break other;
      return this.#leave();
    }
    return entry === MAILBOX ? this.#enter(input) : this.#resume(input);
  }

  /** The state: unavailable while the body runs, once it has returned, once it has failed. */
  get state(): State {
    const machine = this.#machine;
    if (machine === undefined) return this.#context.isSuspended ? "runnable" : "unavailable";
    return machine.isFinished || machine.isRunning ? "unavailable" : "runnable";
  }

  /**
   * Hands the stack back once the body has finished, for another generator or to be disposed of.
   *
   * @throws {Error} If the body has not finished, or the stack has been handed back before.
   *
   * @example
   * ```ts
   * import { Generator, OsStack } from "fringe";
   *
   * const first = new Generator(new OsStack(), function* () {
   *   yield 1;
   * });
   * first.return();
   * using stack = first.unwrap() as OsStack;
   * const second = new Generator(stack, function* () {
   *   yield 2;
   * });
   * console.log(second.resume()); // 2
   * second.return();
   * ```
   */
  unwrap(): Stack {
    const stack = this.#stack;
    if (!this.#owner.isDone) {
      throw new Error(
        `Cannot unwrap generator: state is ${this.state} and the body has not finished; resume ` +
          "it to its end, or end it with return()",
      );
    }
    if (stack === undefined) {
      throw new Error(
        "Cannot unwrap generator: its stack has been handed back before, or was one of the pool's",
      );
    }
    this.#stack = undefined;
    return stack;
  }

  /**
   * Where the body is suspended in native code: the frames on its stack, the innermost first, at
   * most 64. A TypeScript body has those of the C functions that it is in. Empty before it begins
   * and after it has ended.
   *
   * @throws {Error} If it is running on another thread, or its stack's memory has been detached.
   *
   * @example
   * ```ts
   * import { dlopen, Generator, OsStack } from "fringe";
   *
   * using library = dlopen("./native/prebuilt/x86_64-linux/libbodies.so", {
   *   count: { input: "void", output: "i32" },
   * });
   * using generator = new Generator(new OsStack(), library.symbols.count);
   * generator.resume();
   * console.log(generator.backtrace()[0]?.name); // count
   * ```
   */
  backtrace(): NativeFrame[] {
    return this.#owner.frames();
  }

  /**
   * Resumes a native body without input until the array is full, or the body has returned; returns
   * how many elements it has written. That is one call of native code for the whole array, so an
   * element takes little more than a switch.
   *
   * The array has the element type of the outputs: an `Int8Array` for "i8", …, a `BigInt64Array`
   * for "i64" and "isize", a `BigUint64Array` for "u64", "usize" and the addresses of "pointer",
   * and a `Uint8Array` of 0 and 1 for "bool".
   *
   * @throws {TypeError} If the body is TypeScript, or takes an input, or the array has another
   * element type, or memory that could go away.
   * @throws {RangeError} If the array has more than 2^32 - 1 elements.
   * @throws What `resume` throws. The array has then what the body has given before.
   *
   * @example
   * ```ts
   * import { dlopen, Generator, OsStack } from "fringe";
   *
   * using library = dlopen("./native/prebuilt/x86_64-linux/libbodies.so", {
   *   count: { input: "void", output: "i32" },
   * });
   * using generator = new Generator(new OsStack(), library.symbols.count);
   * const some = new Int32Array(4);
   * console.log(generator.fill(some), some); // 4 Int32Array(4) [ 1, 2, 3, 4 ]
   * ```
   */
  fill(this: Generator<void, Output, Return>, array: FilledArray): number {
    const what = "Cannot fill array";
    const symbol = this.#symbol;
    if (symbol === undefined) {
      throw new TypeError(
        `${what}: the body is TypeScript, whose outputs are any values; use for…of`,
      );
    }
    if (symbol.input.way !== VOID) {
      throw new TypeError(
        `${what}: the body takes an input of type ${symbol.input.name} each time; use resume()`,
      );
    }
    const { name, size, kind } = symbol.output;
    const holds = arrayFor(symbol.output);
    if (holds === undefined) throw new TypeError(`${what}: the body gives no values`);
    if (nameOf(array) !== holds) {
      throw new TypeError(
        `${what}: it must be of class ${holds}, as the outputs are of type ${name}: got ${
          describe(array)
        }`,
      );
    }
    const bytes = bytesOf(array, `${what}: it`)!;
    const count = bytes.length / size;
    if (count > 0xffff_ffff) {
      throw new RangeError(`${what}: it has more than 2^32 - 1 elements; fill a part of it`);
    }
    if (count === 0 || !this.#mayEnter()) return 0;
    return this.#fill(bytes, count, size, kind === "word");
  }

  /** Fills memory with outputs, from one that waits on. */
  #fill(bytes: Uint8Array<ArrayBuffer>, count: number, size: number, areWords: boolean): number {
    const context = this.#context;
    const { fill } = native();
    const filled = fill(context.handle, bytes, count, size, areWords);
    try {
      if (context.status[context.at] !== SUSPENDED || isOverrun(context.memory)) this.#leave();
    } catch (error) {
      // Else V8's stack is used up. What is filled must not be lost, and the next resume looks.
      if (this.#failure !== undefined) throw error;
    }
    return filled;
  }

  /**
   * As `resume`, in the form of a JavaScript generator: `{ value, done }`. It throws what `resume`
   * throws; but once the body has failed it gives `done: true`, as JavaScript's generators do.
   *
   * A body with an input needs one each time. So TypeScript refuses what passes none: `for…of`, a
   * spread, destructuring.
   *
   * @example
   * ```ts
   * import { Generator, OsStack } from "fringe";
   *
   * using generator = new Generator<void, string, number>(new OsStack(), function* () {
   *   yield "a";
   *   return 3;
   * });
   * console.log(generator.next()); // { value: "a", done: false }
   * console.log(generator.next()); // { value: 3, done: true }
   * ```
   */
  override next(input: Input): IteratorResult<Output, Return>;
  /** For TypeScript alone: by it this is also a generator of its own with the input `never`. */
  override next(this: never, ...inputs: Input[]): IteratorResult<Output, Return>;
  /** As above; the input may be left out where it may be `undefined`. */
  override next(
    ...[input]: undefined extends Input ? [] | [Input] : [Input]
  ): IteratorResult<Output, Return>;
  // Not with three dots, by which V8 would make an array for each call.
  override next(input?: Input): IteratorResult<Output, Return> {
    if (this.#machine !== undefined) return this.#advance(this.#machine, Step.next, input);
    const context = this.#context;
    if (context.isDone && context.reason === undefined) {
      return { value: undefined as Return, done: true };
    }
    // Made before the step: nothing that can fail stands between the step and its result.
    const result: { value: unknown; done: boolean } = { value: undefined, done: false };
    result.value = context.entry === MAILBOX
      ? this.#enter(input as Input)
      : this.#run(input as Input);
    if (context.handle === null) result.done = true;
    return result as IteratorResult<Output, Return>;
  }

  /**
   * Ends the body early. A TypeScript body runs its `finally` blocks; the frames of native code are
   * unwound and their destructors run.
   *
   * @returns `{ value, done: true }`, or what a `finally` block yields or returns in place of that.
   * @throws {TypeError} If the generator is running.
   * @throws {NativeError} If native code throws in place of being unwound; it has ended then.
   *
   * @example
   * ```ts
   * import { Generator, OsStack } from "fringe";
   *
   * using generator = new Generator<void, string, number>(new OsStack(), function* () {
   *   try {
   *     yield "a";
   *     return 1;
   *   } finally {
   *     console.log("the end");
   *   }
   * });
   * generator.next();
   * console.log(generator.return(2)); // the end; { value: 2, done: true }
   * ```
   */
  override return(value: Return): IteratorResult<Output, Return> {
    const machine = this.#machine;
    let result: IteratorResult<Output, Return> = { value, done: true };
    if (machine !== undefined) {
      if (machine.isRunning) throw new TypeError(`Cannot end generator: ${RUNNING}`);
      try {
        result = machine.return(value);
      } finally {
        if (machine.isFinished) this.#end();
      }
    } else this.#end();
    return result;
  }

  /**
   * Throws `error` into the body where it is suspended. A TypeScript body may catch it; native code
   * cannot, so its frames are unwound and the error comes back out.
   *
   * @returns What a TypeScript body that has caught the error yields next, or returns.
   * @throws The error, or what the body throws in place of it.
   * @throws {TypeError} If the generator is running.
   *
   * @example
   * ```ts
   * import { Generator, OsStack } from "fringe";
   *
   * using generator = new Generator<void, string>(new OsStack(), function* () {
   *   try {
   *     yield "a";
   *   } catch (error) {
   *     yield `caught ${(error as Error).message}`;
   *   }
   * });
   * generator.next();
   * console.log(generator.throw(new Error("it")).value); // caught it
   * ```
   */
  override throw(error: unknown): IteratorResult<Output, Return> {
    const machine = this.#machine;
    if (machine !== undefined) {
      if (machine.isRunning) throw new TypeError(`Cannot throw into generator: ${RUNNING}`);
      if (machine.hasBegun && !machine.isFinished) {
        return this.#advance(machine, Step.throw, error);
      }
    }
    const failure = { error };
    if (!this.#owner.isDone) {
      if (machine !== undefined) machine.return(undefined as Return);
      this.#end();
      this.#failure = failure;
    }
    throw error;
  }

  /** The generator itself: it can be iterated over once. */
  override [Symbol.iterator](): this {
    return this;
  }

  /**
   * Ends the body if it has not finished, as `return` does, and disposes of the stack if it has not
   * been unwrapped. Once is enough, more does nothing.
   */
  override [Symbol.dispose](): void {
    const machine = this.#machine;
    try {
      this.return(undefined as Return);
      // A `finally` block of the body may have yielded; that is as far as it gets.
      machine?.finish();
    } finally {
      const isOver = this.#owner.isDone || machine?.isFinished;
      try {
        if (isOver) this.#end();
      } finally {
        if (isOver && this.#owner.isDone) this.#stack?.[Symbol.dispose]();
      }
    }
  }

  /** As of a JavaScript generator: `Object.prototype.toString` gives "[object Generator]". */
  override get [Symbol.toStringTag](): string {
    return "Generator";
  }

  /** What `console.log` and `Deno.inspect` show: the body's name, and the state. */
  [Symbol.for("Deno.customInspect")](): string {
    // The prototype is shown by this method, too.
    if (!(#named in this)) return "Generator {}";
    const { name } = this.#named;
    const shown = typeof name === "string" && name !== "" ? name : "(anonymous)";
    return `Generator { ${shown}: ${this.state} }`;
  }

  /**
   * Resumes a TypeScript body, a native one that gives pointers, or one whose context has to be
   * looked at first. It is too long for V8 to inline, which would leave no room for `#enter`.
   */
  #resume(input: Input): Output | undefined {
    const machine = this.#machine;
    if (machine !== undefined) {
      this.#checkFailure(machine.failure ?? this.#failure);
      const { value, done } = this.#advance(machine, Step.next, input);
      return done ? undefined : value;
    }
    const context = this.#context;
    const symbol = this.#symbol!;
    const { entry } = symbol;
    const { at, status } = context;
    // A body that gives pointers comes here each time.
    const isChecked = context.entry === POINTER;
    let word = 0;
    if (!isChecked) {
      if (!this.#mayEnter()) return undefined;
      // The first input is an argument of the body, which native code takes from the mailbox.
      if (symbol.input.kind === "word") status[at + FIRST] = word = pass(context, symbol, input);
    }
    let output;
    if (entry === U32_ENTRY) output = context.resumeU32(context.handle, word >>> 0);
    else if (entry === I32_ENTRY) output = context.resumeI32(context.handle, word);
    else if (entry !== POINTER) {
      output = this.#enter(input);
      if (context.handle === null) return output;
    } else if (symbol.takes !== ADDRESS) {
      output = context.resumeToPointer(context.handle, pass(context, symbol, input));
    } else {
      try {
        output = context.resumePointer(context.handle, input as Deno.PointerValue);
      } catch (error) {
        // If the input is no pointer this says what it is.
        pass(context, symbol, input);
        throw error;
      }
    }
    if (status[at] !== SUSPENDED) return this.#leave();
    if (isChecked) return output as Output;
    const { memory } = context;
    if (memory.origin.guarded) {
      context.entry = entry;
      return output as Output;
    }
    let isWhole;
    try {
      isWhole = !isOverrun(memory);
    } catch {
      // V8's stack is used up. The output must not be lost, and the next resume looks first.
      isWhole = true;
    }
    return isWhole ? output as Output : this.#leave();
  }

  /** Whether a native body can be resumed, and has not returned; throws if it has failed. */
  #mayEnter(): boolean {
    const { memory, reason, handle } = this.#context;
    if (handle === null) {
      if (reason !== undefined) throw new Error(`Cannot resume generator: ${reason}`);
      this.#checkFailure(this.#failure);
      return false;
    }
    const fault = memory.fault();
    if (fault !== undefined) throw new Error(`Cannot resume generator: ${fault}`);
    if (!memory.origin.guarded && isOverrun(memory)) this.#leave();
    return true;
  }

  #checkFailure(failure: { readonly error: unknown } | undefined): void {
    if (failure === undefined) return;
    throw new Error(
      "Cannot resume generator: its body has failed; unwrap() gives its stack back for a new one",
      { cause: failure.error },
    );
  }

  /**
   * Resumes a native body whose input and output are of any types, but for pointers that it gives.
   * V8 inlines this, with `pass`, into the loop of a program, while what a resume needs is short: a
   * test counts its bytes (bundle_test.ts).
   */
  #enter(input: Input): Output | undefined {
    const context = this.#context;
    const symbol = this.#symbol!;
    const word = pass(context, symbol, input);
    const result = context.resumeI32(context.handle, word);
    const { at } = context;
    if (context.status[at] !== SUSPENDED) return this.#leave();
    // From here on no function of JavaScript's is called: V8's stack might not suffice for it, and
    // an output would be lost.
    const { gives } = symbol;
    if (gives >= F32) {
      const { boxes } = context;
      if (gives === F64) return boxes.toF64[at >> 1] as Output;
      if (gives === F32) return boxes.toF32[at] as Output;
      return (gives === I64 ? boxes.toI64 : boxes.toU64)[at >> 1] as Output;
    }
    if (gives === INT) {
      const { outputSign: sign } = symbol;
      return (((result & symbol.outputMask) ^ sign) - sign | 0) as Output;
    }
    if (gives === U32) return (result >>> 0) as Output;
    return (gives === BOOL ? (result & 0xff) !== 0 : undefined) as Output;
  }

  /** Has a TypeScript body take a step. If the body has finished then, its calls are ended. */
  #advance(
    machine: ScriptMachine<Input, Output, Return>,
    step: number,
    value: unknown,
  ): IteratorResult<Output, Return> {
    if (machine.scope.running && machine.isRunning) {
      throw new TypeError(`Cannot resume generator: ${RUNNING}`);
    }
    if (machine.isFinished) {
      this.#end();
      return { value: undefined as Return, done: true };
    }
    const fault = this.#memory?.fault();
    if (fault !== undefined) throw new Error(`Cannot resume generator: ${fault}`);
    let result;
    try {
      result = machine.advance(step, value);
    } finally {
      if (machine.isFinished) this.#end();
    }
    return result;
  }

  /**
   * The owner of the native frames: the context of a native body, the calls of a TypeScript body.
   */
  get #owner(): Scope | Context {
    return this.#machine?.scope ?? this.#context;
  }

  /** Ends the native frames, if there are any; once more does nothing. */
  #end(): void {
    try {
      this.#owner.endGently();
    } catch (error) {
      if (this.#owner.isDone) this.#failure = { error };
      throw error;
    } finally {
      this.#finish();
    }
  }

  /** Notes why a native body has not suspended: it has returned, or failed, which is thrown. */
  #leave(): undefined {
    const error = this.#context.arrive("Cannot resume generator");
    if (error !== undefined) this.#failure = { error };
    this.#finish();
    if (error !== undefined) throw error;
    // A library that closes has ended it.
    const { reason } = this.#context;
    if (reason !== undefined) throw new Error(`Cannot resume generator: ${reason}`);
  }

  /** If no native frame is left, and none will come: takes the generator off all lists. */
  #finish(): void {
    const owner = this.#owner;
    // Frames that could not be ended: those of calls are on the list of what is late.
    if (!owner.isDone) return;
    if (this.#machine !== undefined) takeOffLate(this.#machine.scope);
    this.#memory?.disown(owner);
    // Else a program that never comes back to the event loop would gather entries for the
    // finalizer.
    net.remove(owner);
  }
}

/**
 * Makes the machine of a body that is no native one: a generator function, or that of `f.calls()`.
 */
function machineOf<Input, Output, Return>(
  body: unknown,
  memory: StackMemory | undefined,
): ScriptMachine<Input, Output, Return> {
  if (body instanceof PulledBody) {
    return new ScriptMachine(undefined, (scope) => body.start(scope) as never);
  }
  const script = body as ScriptBody<Input, Output, Return>;
  return new ScriptMachine(memory, (scope, input) => script(makeYielder(scope), input));
}

/** A generator for `f.calls()`: it has no stack of its own, since the call takes a fiber. */
export function pulledGenerator(body: PulledBody): Generator<void, unknown, unknown> {
  return new Generator<void, unknown, unknown>(
    undefined as unknown as GuardedStack,
    body as unknown as ScriptBody<void, unknown, unknown>,
  );
}

function checkScript(body: unknown): void {
  if (isGeneratorFunction(body)) return;
  if (isFunction(body)) {
    throw new TypeError(
      `Cannot make generator: ${describe(body)} is a C function, and no body; .calls() makes a ` +
        "generator of it, or a function* calls it by yielder.call()",
    );
  }
  if (typeof body === "function") {
    throw new TypeError(
      `Cannot make generator: ${describe(body)} is no generator function. V8 keeps the frames of ` +
        "a plain or async function on the thread's stack, where nothing can suspend them; write " +
        "function* and yield" +
        (isAsyncFunction(body) ? ", and yield a Promise to the resumer, which can await it" : ""),
    );
  }
  throw new TypeError(
    "Cannot make generator: the body must be a generator function (function*), or a native body " +
      `that dlopen has given in this Worker: got ${describe(body)}` +
      (isScriptGenerator(body) ? "; pass the function* itself, and do not call it" : ""),
  );
}
