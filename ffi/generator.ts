// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Generators with a native body, or with a TypeScript body whose native calls run on their stack.
 *
 * A native body has a `Context`, which `resume` enters. A TypeScript body is one of V8's own
 * generators: V8 suspends no other TypeScript frames (README.md, "Why JavaScript stays on V8's
 * stack").
 */

import type { NativeFrame } from "./context/backtrace.ts";
import { type BodySymbol, checkOpen, type NativeBody, symbolOf } from "./context/body.ts";
import { isFunction } from "./call/call.ts";
import { Context, Mode } from "./context/context.ts";
import { Scope } from "./call/drive.ts";
import { type Native, native } from "./library/find.ts";
import { Mailbox } from "./context/mailbox.ts";
import { isOverrun } from "./context/overflow.ts";
import { isGeneratorFunction, isScriptGenerator, type ScriptGenerator } from "./call/script.ts";
import {
  describe,
  endGarbage,
  type GuardedStack,
  memoryOf,
  type Occupant,
  type Stack,
  StackMemory,
} from "./stack/stack.ts";
import { Status } from "./library/status.ts";
import { fromWord, read, write } from "./value/value.ts";
import { makeYielder, type Yielder } from "./yielder.ts";

/** Whether a generator can be resumed. */
export type State = "runnable" | "unavailable";

/**
 * A TypeScript body: a generator function that gets a yielder and the first input. What its `yield`
 * gives is `any`, since TypeScript would infer from it in place of the second parameter, and gives
 * up on a body that has neither.
 */
export type ScriptBody<Input, Output, Return> = (
  yielder: Yielder,
  input: Input,
  // deno-lint-ignore no-explicit-any -- see above
) => ScriptGenerator<Output, Return, any>;

/** What is left to end when a generator has become garbage. */
interface Remains {
  readonly occupant: Occupant;
  readonly memory: StackMemory | undefined;
}

// A task of its own, after the collection: nothing is unwound inside the garbage collector.
const net = new FinalizationRegistry<Remains>(({ occupant, memory }) => {
  endGarbage(occupant);
  memory?.vacate(occupant);
});

const RUNNING =
  "it is running; a body, and whatever it calls, cannot resume or end its own generator";

/**
 * A stack whose user has taken the risk of having no guard: how `unguarded` tells the constructor.
 */
class Unguarded {
  constructor(readonly stack: Stack) {}
}

/**
 * The body of a generator that needs no stack of its own: how `f.calls()` tells the constructor.
 */
class Pulled {
  constructor(readonly start: (scope: Scope) => ScriptGenerator<unknown, unknown, unknown>) {}
}

// What a resume touches is local to this module: V8 folds a local constant, and loads an imported
// one.
const { u32: U32, i32: I32, mailbox: MAILBOX } = Mode;
const { input: INPUT, output: OUTPUT } = Mailbox;
const SUSPENDED = Status.suspended;
let resumeI32: Native["resumeI32"];
let resumeU32: Native["resumeU32"];

/**
 * A function that suspends: it runs on a stack of its own, takes a value at each resume and gives
 * one at each suspension. The body is native (from `dlopen`) or a TypeScript generator function.
 *
 * It is a JavaScript generator too: `for…of`, `yield*`, spreading and iterator helpers work on
 * it. The one difference is that the first `next(input)` is not lost: the body gets it as an
 * argument.
 *
 * @typeParam Input What `resume` passes to the body.
 * @typeParam Output What the body suspends with.
 * @typeParam Return What the body returns. A native body returns nothing.
 *
 * @example A TypeScript body
 * ```ts
 * import { Generator, OsStack } from "@fringe/fringe";
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
  /** Of a native body; of a TypeScript body a mere mark, with mode `script`. */
  readonly #context: Context;
  readonly #body: BodySymbol | ScriptBody<Input, Output, Return> | Pulled;
  /** The calls of a TypeScript body. */
  readonly #scope: Scope | undefined;
  #stack: Stack | undefined;
  #machine: ScriptGenerator<Output, Return, Input> | undefined;
  #returned: Return | undefined;
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
    const unguarded = stack instanceof Unguarded;
    const own = unguarded ? stack.stack : stack;
    const memory = body instanceof Pulled ? nowhere() : memoryOf(own);
    if (!memory.origin.guarded && !unguarded) {
      throw new TypeError(
        "Cannot make generator: the stack has no guard page, so an overflow would write over " +
          "other memory; use an OsStack, or Generator.unguarded(stack, body) to take the risk",
      );
    }
    const what = "Cannot make generator";
    const symbol = symbolOf(body);
    if (symbol !== undefined) checkOpen(symbol.library, what);
    else if (!(body instanceof Pulled)) checkScript(body);

    this.#body = symbol ?? body as ScriptBody<Input, Output, Return>;
    this.#context = new Context(memory);
    this.#scope = symbol === undefined ? new Scope(memory) : undefined;
    memory.occupy(this.#occupant, what);
    this.#stack = own;
    if (symbol === undefined) this.#context.mode = Mode.script;
    else {
      this.#context.begin(symbol.pointer, symbol);
      this.#context.bind(symbol.library);
    }
    net.register(this, { occupant: this.#occupant, memory }, this);
    ({ resumeI32, resumeU32 } = native());
  }

  /**
   * Makes a generator on a stack of any kind, libfringe's `unsafe_new`: without a guard page
   * nothing stops a body that needs more stack than there is from writing over other memory.
   *
   * @example
   * ```ts
   * import { Generator, OwnedStack } from "@fringe/fringe";
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
   * @throws {RangeError} If the body has used up its stack, and that one is not to end the process
   * (`OsStackOptions`).
   * @throws {Error} If the body has failed before, or its stack or its library is gone.
   */
  resume(input: Input): Output | undefined {
    // The two types that V8 passes in a register come first: this is the whole of a resume. What is
    // equal to `input` is passed in its place, since V8 takes no -0 for an integer.
    const context = this.#context;
    if (context.mode === U32 && typeof input === "number" && (input >>> 0) === input) {
      const output = resumeU32(context.handle, input >>> 0);
      return context.status[0] === SUSPENDED ? output as Output : this.#leave();
    }
    if (context.mode === I32 && typeof input === "number" && (input | 0) === input) {
      const output = resumeI32(context.handle, input | 0);
      return context.status[0] === SUSPENDED ? output as Output : this.#leave();
    }
    return context.mode === MAILBOX ? this.#enter(input) : this.#resume(input);
  }

  /** The state: unavailable while the body runs, once it has returned, once it has failed. */
  get state(): State {
    const { mode } = this.#context;
    return mode === Mode.ended || mode === Mode.running ? "unavailable" : "runnable";
  }

  /**
   * Hands the stack back once the body has finished, for another generator or to be disposed of.
   *
   * @throws {Error} If the body has not finished, or the stack has been handed back before.
   */
  unwrap(): Stack {
    if (this.#context.mode !== Mode.ended) {
      throw new Error(
        `Cannot unwrap generator: state is ${this.state} and the body has not finished; resume ` +
          "it to its end, or end it with return()",
      );
    }
    const stack = this.#stack;
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
   */
  backtrace(): NativeFrame[] {
    return (this.#scope ?? this.#context).frames();
  }

  /** As `resume`, in the form of a JavaScript generator. */
  override next(input?: Input): IteratorResult<Output, Return> {
    const { mode, reason, memory } = this.#context;
    if (mode === Mode.ended && reason === undefined) {
      return { value: undefined as Return, done: true };
    }
    if (mode === Mode.script && memory.fault() === undefined) {
      // V8 has made such a result already.
      const result = this.#advance((machine) => machine.next(input as Input), input);
      this.#returned = undefined;
      return result;
    }
    const value = this.resume(input as Input);
    if (this.#context.mode !== Mode.ended) return { value: value as Output, done: false };
    const returned = this.#returned as Return;
    this.#returned = undefined;
    return { value: returned, done: true };
  }

  /**
   * Ends the body early. A TypeScript body runs its `finally` blocks; the frames of native code are
   * unwound and their destructors run.
   */
  override return(value: Return): IteratorResult<Output, Return> {
    const { mode } = this.#context;
    if (mode === Mode.running) throw new TypeError(`Cannot end generator: ${RUNNING}`);
    if (mode === Mode.script && this.#machine !== undefined) {
      return this.#advance((machine) => machine.return(value));
    }
    this.#end();
    return { value, done: true };
  }

  /**
   * Throws `error` into the body where it is suspended. A TypeScript body may catch it; native code
   * cannot, so its frames are unwound and the error comes back out.
   */
  override throw(error: unknown): IteratorResult<Output, Return> {
    const { mode } = this.#context;
    if (mode === Mode.running) throw new TypeError(`Cannot throw into generator: ${RUNNING}`);
    if (mode === Mode.script && this.#machine !== undefined) {
      return this.#advance((machine) => machine.throw(error));
    }
    if (mode !== Mode.ended) this.#failure = { error };
    this.#end();
    throw error;
  }

  /** The generator itself: it can be iterated over once. */
  override [Symbol.iterator](): this {
    return this;
  }

  /**
   * Ends the body if it has not finished, and disposes of the stack if it has not been unwrapped.
   */
  override [Symbol.dispose](): void {
    try {
      this.return(undefined as Return);
    } finally {
      // A `finally` block of the body may have yielded; that is as far as it gets.
      if (this.#context.mode !== Mode.running) {
        this.#end();
        this.#stack?.[Symbol.dispose]();
      }
    }
  }

  /** Every resume but the two fastest. */
  #resume(input: Input): Output | undefined {
    const context = this.#context;
    const { mode } = context;
    if (mode === Mode.running) throw new TypeError(`Cannot resume generator: ${RUNNING}`);
    if (mode === Mode.ended) {
      if (context.reason !== undefined) {
        throw new Error(`Cannot resume generator: ${context.reason}`);
      }
      if (this.#failure === undefined) return undefined;
      throw new Error(
        "Cannot resume generator: its body has failed; unwrap() gives its stack back for a new one",
        { cause: this.#failure.error },
      );
    }
    const fault = context.memory.fault();
    if (fault !== undefined) throw new Error(`Cannot resume generator: ${fault}`);
    if (mode === Mode.script) {
      const { value, done } = this.#advance((machine) => machine.next(input), input);
      return done ? undefined : value;
    }
    const output = this.#enter(input);
    if (context.mode === Mode.ended) return output;
    if (context.memory.origin.guarded) context.mode = (this.#body as BodySymbol).mode;
    else if (isOverrun(context.memory)) return this.#leave();
    return output;
  }

  /** Resumes a native body by way of the mailbox. */
  #enter(input: Input): Output | undefined {
    const context = this.#context;
    const { view } = context;
    const body = this.#body as BodySymbol;
    write(view, INPUT, body.input, input, "Cannot resume generator: input");
    const word = body.inputIsWord ? view.getInt32(INPUT, true) : 0;
    const result = resumeI32(context.handle, word);
    if (context.status[0] !== SUSPENDED) return this.#leave();
    const output = body.outputIsWord
      ? fromWord(body.output, result)
      : read(view, OUTPUT, body.output);
    return output as Output;
  }

  /** Lets V8's generator take a step, and notes how it went. */
  #advance(
    step: (machine: ScriptGenerator<Output, Return, Input>) => IteratorResult<Output, Return>,
    input?: Input,
  ): IteratorResult<Output, Return> {
    const context = this.#context;
    context.mode = Mode.running;
    const scope = this.#scope!;
    scope.running = true;
    try {
      const first = this.#machine === undefined;
      this.#machine ??= this.#start(input as Input);
      const result = first ? this.#machine.next(input as Input) : step(this.#machine);
      if (result.done) {
        this.#returned = result.value;
        this.#end();
      } else {
        context.mode = Mode.script;
      }
      return result;
    } catch (error) {
      this.#failure = { error };
      this.#end();
      throw error;
    } finally {
      scope.running = false;
    }
  }

  #start(input: Input): ScriptGenerator<Output, Return, Input> {
    const body = this.#body as ScriptBody<Input, Output, Return> | Pulled;
    const scope = this.#scope!;
    const machine = body instanceof Pulled ? body.start(scope) : body(makeYielder(scope), input);
    if (isScriptGenerator(machine)) return machine as ScriptGenerator<Output, Return, Input>;
    throw new TypeError(`Cannot resume generator: the body returned ${describe(machine)}`);
  }

  /** Who is on the stack. */
  get #occupant(): Occupant {
    return this.#scope ?? this.#context;
  }

  /** Ends what has not ended. */
  #end(): void {
    try {
      this.#occupant.end();
    } catch (error) {
      this.#failure = { error };
      throw error;
    } finally {
      this.#finish();
    }
  }

  /** A native body will not go on: it has returned, or an error has come of it. */
  #leave(): undefined {
    const error = this.#context.takeError("Cannot resume generator");
    this.#finish();
    if (error === undefined) return;
    this.#failure = { error };
    throw error;
  }

  /** Notes that the body has finished: the stack is free for another. */
  #finish(): void {
    const context = this.#context;
    context.finish();
    context.memory.vacate(this.#occupant);
    // A program that never comes back to the event loop would gather what the finalizer is to get.
    net.unregister(this);
  }
}

/** A generator for `f.calls()`; the call's stack comes from the pool. */
export function pulledGenerator(
  start: (scope: Scope) => ScriptGenerator<unknown, unknown, unknown>,
): Generator<void, unknown, unknown> {
  const body = new Pulled(start) as unknown as ScriptBody<void, unknown, unknown>;
  return new Generator<void, unknown, unknown>(undefined as unknown as GuardedStack, body);
}

/** The memory of a generator that has no stack of its own. */
function nowhere(): StackMemory {
  return new StackMemory(0n, 0n, { guarded: true, release() {} });
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
        "function* and yield",
    );
  }
  throw new TypeError(
    "Cannot make generator: the body must be a generator function (function*), or a native body " +
      `that dlopen has given in this Worker: got ${describe(body)}`,
  );
}
