// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * The world that fringe is compared with: made of V8's own `function*`. Of C, what is asked for is
 * a `yield`, a frame is a call by `yield*`, and a destructor is a `finally` block.
 *
 * What fringe does otherwise than V8, on purpose, stands here and nowhere else:
 * - the first input is not lost: the body gets it as an argument;
 * - `resume` gives the output itself, and throws once the body has failed;
 * - an input for a native body has a type;
 * - a stack has one user at a time.
 *
 * @module
 */

import {
  type AnyHandler,
  type Machine,
  type NativeScript,
  type NativeType,
  type Script,
  type ScriptBody,
  type Scripts,
  STOP,
  stops,
  traceLine,
  type World,
} from "./model.ts";

/** A callback that C asks. */
interface Asked {
  readonly callback: 0 | 1;
  readonly value: number;
}

type Native<Result> = globalThis.Generator<Asked, Result, number>;

/** What C has done so far. */
class Trace {
  #begun = 0;
  #lines: string[] = [];

  begin(): number {
    return ++this.#begun;
  }

  put(script: number, number: number): void {
    this.#lines.push(traceLine(script, number));
  }

  take(): string[] {
    return this.#lines.splice(0);
  }
}

/** `Script` of `bodies/model.cc`. */
function* native(script: NativeScript, first: number, trace: Trace): Native<number> {
  const serial = trace.begin();
  let value = first;
  /** Returns how many frames are to be left. */
  function* run(steps: NativeScript): Native<number> {
    for (const step of steps) {
      let left = 0;
      switch (step.do) {
        case "ask":
          value = Math.imul(value, 31) + (yield { callback: step.callback, value }) | 0;
          break;
        case "trace":
          trace.put(serial, value);
          break;
        case "frame":
          try {
            left = Math.max(0, (yield* run(step.inside)) - 1);
          } finally {
            trace.put(serial, step.id);
          }
          break;
        case "repeat":
          for (let i = 0; i < step.times && left === 0; i++) left = yield* run(step.inside);
          break;
        case "leave":
          if (value % 2 !== 0) left = step.frames;
          break;
      }
      if (left > 0) return left;
    }
    return 0;
  }
  yield* run(script);
  return value;
}

/** The same as a body, which suspends where it asks. */
function* nativeBody(
  type: NativeType,
  script: NativeScript,
  first: number,
  trace: Trace,
): globalThis.Generator<unknown, void, number> {
  const steps = native(script, first, trace);
  try {
    for (let { value, done } = steps.next(0); !done;) {
      ({ value, done } = steps.next(yield fromNative((value as Asked).value, type)));
    }
  } finally {
    steps.return(0);
  }
}

/** What C makes of a number that it gets in place of an integer of 32 bits. */
const RANGES: Readonly<Record<NativeType, readonly [minimum: number, maximum: number]>> = {
  i32: [-(2 ** 31), 2 ** 31 - 1],
  u32: [0, 2 ** 32 - 1],
  i64: [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
  f64: [-Infinity, Infinity],
  void: [1, 1],
};

/** The 32 bits that C takes from what it is passed. */
function toNative(value: unknown, what: string, type: NativeType = "i32"): number {
  if (type === "void") return 1;
  if (typeof value !== "number") throw new TypeError(`${what} must be`);
  const [minimum, maximum] = RANGES[type];
  if (value < minimum || value > maximum || type !== "f64" && !Number.isInteger(value)) {
    throw new RangeError(`${what} must be`);
  }
  return value | 0;
}

/** What C gives as a 32-bit integer, in another type. */
function fromNative(value: number, type: NativeType): unknown {
  if (type === "u32") return value >>> 0;
  return type === "i64" ? BigInt(value) : value;
}

/** A call of a C function. */
class Call {
  readonly name: keyof typeof stops;
  readonly #native: Native<number>;
  #asked: Asked | undefined;
  #ended = false;
  result: unknown;

  constructor(name: keyof typeof stops, native: Native<number>) {
    this.name = name;
    this.#native = native;
  }

  step(answer = 0): Asked | undefined {
    const { value, done } = this.#native.next(answer);
    this.#asked = done ? undefined : value;
    if (done) [this.result, this.#ended] = [value, true];
    return this.#asked;
  }

  check(): void {
    if (this.#ended) throw new Error(`Cannot go on with ${this.name}: the call has been ended`);
  }

  /** Checks an answer. */
  answer({ callback }: Asked, value: unknown): number {
    this.check();
    const what = `Cannot answer ${this.name}: the result of callback parameter ${3 + callback}`;
    return toNative(value, what);
  }

  /** C is told by `stop` where there is one, else its frames are left. */
  end(): void {
    if (this.#ended) return;
    while (this.#asked !== undefined && this.#asked.callback < stops[this.name]) this.step(STOP);
    this.#ended = true;
    this.#native.return(0);
  }
}

/** The calls that a body has open. */
class Scope {
  running = false;
  readonly open: Set<Call> = new Set();

  *drive(
    { name, begin }: Function,
    answer: (call: Call, asked: Asked) => globalThis.Generator<unknown, number, unknown>,
  ): Script {
    if (!this.running) {
      throw new Error(
        `Cannot call ${name}: the generator of this yielder is not running its body`,
      );
    }
    const call = begin();
    this.open.add(call);
    try {
      for (let asked = call.step(); asked !== undefined;) {
        asked = call.step(yield* answer(call, asked));
      }
      return call.result;
    } finally {
      this.open.delete(call);
      call.end();
    }
  }

  end(): void {
    for (const call of [...this.open].reverse()) call.end();
  }
}

/** A C function with its arguments. */
interface Function {
  readonly name: keyof typeof stops;
  begin(): Call;
}

/** A stack: who is on it, and whether it still is. */
class Stack {
  user: object | undefined;
  disposed = false;

  occupy(user: object): void {
    const what = "Cannot make generator";
    if (this.disposed) throw new Error(`${what}: the stack has been disposed of`);
    if (this.user !== undefined) {
      throw new Error(
        `${what}: another generator, or a call, is on this stack and has not finished`,
      );
    }
    this.user = user;
  }

  dispose(): void {
    if (this.disposed) return;
    if (this.user !== undefined) {
      throw new Error("Cannot dispose of stack: a generator, or a call, on it has not finished");
    }
    this.disposed = true;
  }
}

/** A generator that has returned. */
function over(): Script {
  const script = (function* () {})();
  script.return();
  return script;
}

/** What begins a generator, and what is to be done to its input before. */
interface Beginning {
  begin(input: unknown): Script;
  check?(input: unknown): unknown;
  /** The calls of a TypeScript body. */
  readonly scope?: Scope;
}

/** One of V8's generators, begun late. */
class OracleMachine extends Iterator<unknown, unknown, unknown> implements Machine {
  readonly #beginning: Beginning;
  #stack: Stack | undefined;
  #script: Script | undefined;
  #running = false;
  #ended = false;
  #failed = false;

  constructor(beginning: Beginning, stack?: Stack) {
    super();
    this.#beginning = beginning;
    this.#stack = stack;
    stack?.occupy(this);
  }

  get state(): "runnable" | "unavailable" {
    return this.#running || this.#ended ? "unavailable" : "runnable";
  }

  override next(input?: unknown): IteratorResult<unknown, unknown> {
    const { check = (input: unknown) => input } = this.#beginning;
    const passed = this.#ended ? undefined : check(input);
    return this.#step((script) => script.next(passed), passed);
  }

  override return(value: unknown): IteratorResult<unknown, unknown> {
    return this.#step((script) => script.return(value));
  }

  override throw(error: unknown): IteratorResult<unknown, unknown> {
    return this.#step((script) => script.throw(error));
  }

  resume(input: unknown): unknown {
    if (this.#failed) throw new Error("Cannot resume generator: its body has failed");
    const { value, done } = this.next(input);
    return done ? undefined : value;
  }

  #step(
    step: (script: Script) => IteratorResult<unknown, unknown>,
    input?: unknown,
  ): IteratorResult<unknown, unknown> {
    const script = this.#script ??= this.#beginning.begin(input);
    // V8 refuses.
    if (this.#running) return step(script);
    this.#set(true);
    try {
      const result = step(script);
      if (result.done) this.#end();
      return result;
    } catch (error) {
      if (!this.#ended) this.#failed = true;
      this.#end();
      throw error;
    } finally {
      this.#set(false);
    }
  }

  #set(running: boolean): void {
    this.#running = running;
    if (this.#beginning.scope !== undefined) this.#beginning.scope.running = running;
  }

  #end(): void {
    this.#beginning.scope?.end();
    this.#ended = true;
    this.#script = over();
    if (this.#stack?.user === this) this.#stack.user = undefined;
  }

  unwrap(): unknown {
    if (!this.#ended) {
      throw new Error(
        `Cannot unwrap generator: state is ${this.state} and the body has not finished`,
      );
    }
    if (this.#stack === undefined) {
      throw new Error(
        "Cannot unwrap generator: its stack has been handed back before, or was one of the pool's",
      );
    }
    this.#stack = undefined;
    return undefined;
  }

  override [Symbol.dispose](): void {
    try {
      this.return(undefined);
    } finally {
      if (!this.#running) {
        // A `finally` block has yielded: that is as far as it gets.
        this.#end();
        this.#stack?.dispose();
      }
    }
  }

  override [Symbol.iterator](): this {
    return this;
  }

  /** What the collector does to one that nobody has any more: no `finally` block of it runs. */
  collect(): void {
    if (this.#ended) return;
    if (this.#beginning.scope !== undefined) this.#beginning.scope.end();
    else this.#script?.return(undefined);
  }
}

const GeneratorFunction = (function* () {}).constructor;

/** V8's `function*` in place of fringe. */
export class Oracle implements World {
  readonly #program: Scripts;
  readonly #machines: OracleMachine[] = [];
  readonly #trace = new Trace();

  constructor(program: Scripts) {
    this.#program = program;
  }

  flush(log: string[]): void {
    log.push(...this.#trace.take());
  }

  /** What C traces when the collector ends what is left, by generator. */
  left(): string[][] {
    return this.#machines.map((machine) => {
      machine.collect();
      return this.#trace.take();
    });
  }

  stack(): Stack {
    return new Stack();
  }

  script(stack: unknown, body: ScriptBody): Machine {
    const scope = new Scope();
    return this.#made({ scope, begin: (input) => body(scope, input) }, stack as Stack);
  }

  native(stack: unknown, type: NativeType): Machine {
    const script = this.#program.natives[type];
    return this.#made({
      check: (input) => toNative(input, "Cannot resume generator: input", type),
      begin: (input) => nativeBody(type, script, input as number, this.#trace) as Script,
    }, stack as Stack);
  }

  calls(f: number, first: unknown): Machine {
    const scope = new Scope();
    const called = this.#function(f, first);
    return this.#made({ scope, begin: () => scope.drive(called, pull) });
  }

  call(f: number, first: unknown, handlers: readonly AnyHandler[]): unknown {
    const { name, begin } = this.#function(f, first);
    const call = begin();
    refuseGenerators(name, handlers);
    try {
      for (let asked = call.step(); asked !== undefined;) {
        asked = call.step(call.answer(asked, handlers[asked.callback]!(asked.value)));
      }
      return call.result;
    } finally {
      call.end();
    }
  }

  async callAsync(
    f: number,
    first: unknown,
    handlers: readonly AnyHandler[],
    signal: AbortSignal | undefined,
  ): Promise<unknown> {
    const { name, begin } = this.#function(f, first);
    signal?.throwIfAborted();
    const call = begin();
    refuseGenerators(name, handlers);
    const answerAll = async (): Promise<unknown> => {
      for (let asked = call.step(); asked !== undefined;) {
        const answer = await handlers[asked.callback]!(asked.value);
        signal?.throwIfAborted();
        asked = call.step(call.answer(asked, answer));
      }
      return call.result;
    };
    // The reason of an abort comes before whatever else a handler has said.
    const aborted = new Promise<never>((_, reject) =>
      signal?.addEventListener("abort", () => reject(signal.reason))
    );
    try {
      return await Promise.race([aborted, answerAll()]);
    } finally {
      call.end();
    }
  }

  callBy(scope: unknown, f: number, first: unknown, handlers: readonly AnyHandler[]): Script {
    return (scope as Scope).drive(this.#function(f, first), function* (call, asked) {
      const handler = handlers[asked.callback]!;
      const answer = handler instanceof GeneratorFunction
        ? yield* handler(asked.value) as Script
        : handler(asked.value);
      return call.answer(asked, answer);
    });
  }

  collect(): void {
    // Nothing of V8's own is to be seen of it.
  }

  #made(beginning: Beginning, stack?: Stack): Machine {
    const machine = new OracleMachine(beginning, stack);
    this.#machines.push(machine);
    return machine;
  }

  #function(number: number, first: unknown): Function {
    const { functions } = this.#program;
    const { stop: name, script } = functions[number % functions.length]!;
    return {
      name,
      begin: () => {
        const value = toNative(first, `Cannot call ${name}: argument 0`);
        return new Call(name, native(script, value, this.#trace));
      },
    };
  }
}

function refuseGenerators(name: string, handlers: readonly AnyHandler[]): void {
  const refused = handlers.findIndex((handler) => handler instanceof GeneratorFunction);
  if (refused < 0) return;
  throw new TypeError(
    `Cannot call ${name}: argument ${3 + refused} is a generator function, which can yield only ` +
      "out of a generator",
  );
}

/** A call that nobody but the caller answers. */
function* pull(call: Call, asked: Asked): globalThis.Generator<unknown, number, unknown> {
  const parameter = 3 + asked.callback;
  let over = false;
  let answer: number | undefined;
  try {
    yield {
      parameter,
      args: [asked.value],
      reply(value: unknown): void {
        if (over) throw new Error(`Cannot answer ${call.name}: C has gone on`);
        if (answer !== undefined) {
          throw new Error(
            `Cannot answer ${call.name}: callback parameter ${parameter} has an answer already, ` +
              "and C gets one",
          );
        }
        answer = call.answer(asked, value);
      },
    };
  } finally {
    over = true;
  }
  if (answer !== undefined) return answer;
  throw new Error(
    `Cannot go on with ${call.name}: callback parameter ${parameter} has not been answered, and ` +
      "C needs a result of type i32",
  );
}
