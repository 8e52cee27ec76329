// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Random programs of generators, and what runs them in a world: that of fringe
 * (`model_fringe.ts`), or one that is made of V8's own `function*` (`model_oracle.ts`). Whatever a
 * program sees goes into a log, and both logs must be the same.
 *
 * @module
 */

import fc from "fast-check";

/** What a program passes around: itself, or what came last plus a number. */
export type Value = number | string | undefined | { readonly last: number };

/** What a TypeScript body, a handler and the program itself consist of. */
export type Statement =
  | { readonly do: "yield" | "return" | "throw" | "reply"; readonly value: Value }
  | { readonly do: "make"; readonly body: number; readonly on: "new" | "owned" | number }
  | {
    readonly do: "step";
    readonly how: keyof typeof steps;
    readonly target: number;
    readonly value: Value;
    readonly caught: boolean;
  }
  | { readonly do: "delegate" | "forget"; readonly target: number }
  | {
    readonly do: "iterate";
    readonly target: number;
    readonly turns: number;
    readonly block: Block;
  }
  | {
    readonly do: "help";
    readonly helper: keyof typeof helpers;
    readonly target: number;
    readonly count: number;
    readonly trouble: number;
  }
  | {
    readonly do: "try";
    readonly block: Block;
    readonly handler: Block | undefined;
    readonly finalizer: Block | undefined;
  }
  | Call
  | { readonly do: "collect" };

/** A call of a C function. */
interface Call {
  readonly do: "call";
  readonly how: "f" | "own yielder" | "caller's yielder";
  readonly f: number;
  readonly first: Value;
  readonly handlers: readonly [Handler, Handler];
  readonly caught: boolean;
}

type Block = readonly Statement[];

/** A callback's handler: it answers with what its block returns, else with `answer`. */
export interface Handler {
  readonly generator: boolean;
  readonly block: Block;
  readonly answer: Value;
}

/** What C does: the steps of `bodies/model.cc`. */
export type NativeStep =
  | { readonly do: "ask"; readonly callback: 0 | 1 }
  | { readonly do: "trace" }
  | { readonly do: "frame"; readonly id: number; readonly inside: NativeScript }
  | { readonly do: "repeat"; readonly times: number; readonly inside: NativeScript }
  | { readonly do: "leave"; readonly frames: number };

export type NativeScript = readonly NativeStep[];

/** The types of native bodies; each type has one body, whose script is the program's. */
export const nativeTypes = ["i32", "u32", "i64", "f64", "void"] as const;
export type NativeType = typeof nativeTypes[number];

/** A C function; its `stop` is declared for both callbacks, for the first one, or for none. */
export interface NativeFunction {
  readonly stop: keyof typeof stops;
  readonly script: NativeScript;
}

/** For how many callbacks `stop` is declared, by the name of the function that has them. */
export const stops = { stops_never: 0, stops_first: 1, stops: 2 } as const;

/** What C is told by `stop`. */
export const STOP = 3;

type Body =
  | { readonly kind: "script"; readonly block: Block }
  | { readonly kind: "native"; readonly type: NativeType }
  | { readonly kind: "calls"; readonly f: number; readonly first: Value };

/** What C does in a program. */
export interface Scripts {
  readonly natives: Readonly<Record<NativeType, NativeScript>>;
  readonly functions: readonly NativeFunction[];
}

export interface Program extends Scripts {
  /** One generator of each is made at the beginning. */
  readonly bodies: readonly Body[];
  /** What the calls that are pulled are answered, in turn; `none` is no answer. */
  readonly replies: readonly (Value | "none")[];
  readonly main: Block;
  /** What becomes of the generators at the end. */
  readonly ending: "dispose" | "forget";
}

// What a world has.

/** One of V8's own generators. */
export type Script = globalThis.Generator<unknown, unknown, unknown>;

/** A generator of fringe's, or what stands for it. */
export interface Machine extends IteratorObject<unknown, unknown, unknown> {
  next(input?: unknown): IteratorResult<unknown, unknown>;
  return(value: unknown): IteratorResult<unknown, unknown>;
  throw(error: unknown): IteratorResult<unknown, unknown>;
  resume(input: unknown): unknown;
  readonly state: string;
  unwrap(): unknown;
}

/** A line of the log: what C has put on its trace. */
export function traceLine(script: number, number: number): string {
  return `C: ${number}, by script ${script}`;
}

export type AnyHandler = (value: number) => unknown;

export type ScriptBody = (yielder: unknown, input: unknown) => Script;

/** What a program runs in. A function is told by its number. */
export interface World {
  /** Puts what C has traced so far into the log. */
  flush(log: string[]): void;
  stack(kind: "new" | "owned"): unknown;
  script(stack: unknown, body: ScriptBody): Machine;
  native(stack: unknown, type: NativeType): Machine;
  calls(f: number, first: unknown): Machine;
  call(f: number, first: unknown, handlers: readonly AnyHandler[]): unknown;
  callBy(
    yielder: unknown,
    f: number,
    first: unknown,
    handlers: readonly AnyHandler[],
  ): Script;
  callAsync(
    f: number,
    first: unknown,
    handlers: readonly AnyHandler[],
    signal: AbortSignal | undefined,
  ): Promise<unknown>;
  collect(): void;
}

// What runs a program.

/** What a program throws, and nobody else. */
export class Thrown extends Error {
  constructor(readonly value: number, readonly serial: number) {
    super();
  }
}

/** How a block ends, if it does not come to its end. */
interface Completion {
  readonly returned: unknown;
}

/** What a block knows about whose it is. */
interface Frame {
  readonly yielder: unknown;
  /** The yielder of the body that has resumed it first. */
  readonly caller: unknown;
  last: unknown;
}

/** A generator, and the stack that it was made on. */
interface Made {
  readonly machine: Machine;
  readonly stack: unknown;
}

/** A call of a callback that is pulled. */
interface Pulled {
  readonly parameter: number;
  readonly args: readonly unknown[];
  reply(value: unknown): void;
}

function isPulled(value: unknown): value is Pulled {
  return typeof value === "object" && value !== null && "reply" in value;
}

const steps = {
  next: (machine: Machine, value: unknown) => machine.next(value),
  resume: (machine: Machine, value: unknown) => machine.resume(value),
  return: (machine: Machine, value: unknown) => machine.return(value),
  throw: (machine: Machine, value: unknown) => machine.throw(value),
  dispose: (machine: Machine) => machine[Symbol.dispose](),
  unwrap: (machine: Machine) => (machine.unwrap(), "unwrapped"),
};

type Visit = (value: unknown) => unknown;

const helpers = {
  toArray: (machine: Machine, visit: Visit) => machine.map(visit).toArray(),
  spread: (machine: Machine) => [...machine],
  destructured(machine: Machine) {
    const [first, second] = machine;
    return [first, second];
  },
  take: (machine: Machine, visit: Visit, count: number) => machine.map(visit).take(count).toArray(),
  drop: (machine: Machine, visit: Visit, count: number) => machine.drop(count).map(visit).toArray(),
  filter: (machine: Machine, visit: Visit, count: number) =>
    machine.filter((value, i) => (visit(value), i % 2 === 0)).take(count).toArray(),
  flatMap: (machine: Machine, visit: Visit, count: number) =>
    machine.flatMap((value) => [visit(value), "again"]).take(count).toArray(),
  find: (machine: Machine, visit: Visit, count: number) =>
    machine.find((value, i) => (visit(value), i === count)),
  some: (machine: Machine, visit: Visit, count: number) =>
    machine.some((value, i) => (visit(value), i === count)),
  every: (machine: Machine, visit: Visit, count: number) =>
    machine.every((value, i) => (visit(value), i < count)),
  reduce: (machine: Machine, visit: Visit) => machine.reduce((_, value) => visit(value), "none"),
  forEach: (machine: Machine, visit: Visit) => machine.forEach(visit),
  "map().return()"(machine: Machine, visit: Visit) {
    const mapped = machine.map(visit);
    return [mapped.next(), mapped.return?.()];
  },
};

/** How many statements a program may take; then it comes to its end by itself. */
const FUEL = 150;

/** Runs a program once. */
class Run {
  readonly log: string[] = [];
  readonly #program: Program;
  readonly #world: World;
  readonly #machines: Made[] = [];
  #fuel = FUEL;
  #thrown = 0;
  #replied = 0;
  #pulled: Pulled | undefined;
  /** Whose statement was the last to begin. */
  #current: unknown;

  constructor(program: Program, world: World) {
    this.#program = program;
    this.#world = world;
  }

  run(): void {
    for (const i of this.#program.bodies.keys()) this.#make(i, "new");
    const main = () =>
      this.#block(this.#program.main, { yielder: undefined, caller: undefined, last: 0 });
    this.#try("main", true, () => atOnce(main()));
    if (this.#program.ending === "forget") return;
    for (const { machine } of this.#machines) {
      this.#try("dispose", true, () => machine[Symbol.dispose]());
      this.#say(`ends ${machine.state}`);
    }
  }

  #say(what: string): void {
    this.#world.flush(this.log);
    this.log.push(what);
  }

  /** Says what comes of something; whether an error goes on is the program's choice. */
  #try(what: string, caught: boolean, act: () => unknown): unknown {
    this.#say(what);
    try {
      const result = act();
      this.#say(`${what} gives ${this.#see(result)}`);
      return result;
    } catch (error) {
      this.#say(`${what} throws ${show(error)}`);
      if (!caught) throw error;
      return undefined;
    }
  }

  /** Takes a value over: a call that is pulled gets its reply. */
  #see(value: unknown): string {
    const inner = typeof value === "object" && value !== null && "value" in value
      ? value.value
      : value;
    if (isPulled(inner)) {
      this.#pulled = inner;
      const { replies } = this.#program;
      const reply = replies[this.#replied++ % replies.length];
      if (replies.length > 0 && reply !== "none") this.#reply(evaluate(reply, inner.args[0]));
    }
    return show(value);
  }

  #reply(value: unknown): void {
    const pulled = this.#pulled;
    if (pulled !== undefined) this.#try(`reply ${show(value)}`, true, () => pulled.reply(value));
  }

  /** The place of a generator: 0 is the one that was made last. */
  #pick(target: number): number {
    return this.#machines.length - 1 - target % this.#machines.length;
  }

  #make(number: number, on: "new" | "owned" | number): void {
    const i = number % this.#program.bodies.length;
    const body = this.#program.bodies[i];
    if (body === undefined) return;
    this.#try(`make ${this.#machines.length} of ${i}`, true, () => {
      const made = this.#machineOf(body, on);
      this.#machines.push(made);
      return made.machine.state;
    });
  }

  #machineOf(body: Body, on: "new" | "owned" | number): Made {
    if (body.kind === "calls") {
      return { machine: this.#world.calls(body.f, evaluate(body.first, 0)), stack: undefined };
    }
    const used = typeof on === "number" ? this.#machines[this.#pick(on)]?.stack : undefined;
    const stack = used ?? this.#world.stack(on === "owned" ? on : "new");
    const machine = body.kind === "native"
      ? this.#world.native(stack, body.type)
      : this.#world.script(stack, this.#scriptBody(body.block));
    return { machine, stack };
  }

  #scriptBody(block: Block): ScriptBody {
    // deno-lint-ignore no-this-alias -- a generator function has a `this` of its own
    const run = this;
    return function* (yielder, input) {
      const caller = run.#current;
      run.#say(`begins with ${run.#see(input)}`);
      const completion = yield* run.#block(block, { yielder, caller, last: input });
      return completion?.returned;
    };
  }

  *#block(block: Block, frame: Frame): globalThis.Generator<unknown, Completion | undefined> {
    for (const statement of block) {
      if (this.#fuel-- <= 0) return undefined;
      this.#current = frame.yielder;
      const completion = yield* this.#statement(statement, frame);
      if (completion !== undefined) return completion;
    }
    return undefined;
  }

  *#statement(
    statement: Statement,
    frame: Frame,
  ): globalThis.Generator<unknown, Completion | undefined, unknown> {
    switch (statement.do) {
      case "yield":
        frame.last = yield evaluate(statement.value, frame.last);
        this.#say(`goes on with ${this.#see(frame.last)}`);
        return undefined;
      case "return":
        return { returned: evaluate(statement.value, frame.last) };
      case "throw":
        throw this.#error(evaluate(statement.value, frame.last));
      case "reply":
        this.#reply(evaluate(statement.value, frame.last));
        return undefined;
      case "make":
        this.#make(statement.body, statement.on);
        return undefined;
      case "collect":
        this.#world.collect();
        return undefined;
      case "forget":
        if (this.#machines.length > 0) this.#machines.splice(this.#pick(statement.target), 1);
        return undefined;
      case "try":
        return yield* this.#tryBlock(statement, frame);
      case "call":
        yield* this.#call(statement, frame);
        return undefined;
    }
    const i = this.#pick(statement.target);
    const machine = this.#machines[i]?.machine;
    if (machine === undefined) return undefined;
    switch (statement.do) {
      case "step": {
        const { how, caught } = statement;
        const given = evaluate(statement.value, frame.last);
        const value = how === "throw" ? this.#error(given) : given;
        const what = `${how} ${i}, ${show(value)}`;
        const result = this.#try(what, caught, () => steps[how](machine, value));
        frame.last = typeof result === "object" && result !== null && "value" in result
          ? result.value
          : result;
        this.#say(machine.state);
        return undefined;
      }
      case "delegate":
        frame.last = yield* machine;
        this.#say(`delegate ${i} gives ${this.#see(frame.last)}`);
        return undefined;
      case "iterate": {
        let turns = 0;
        for (const value of machine) {
          this.#say(`iterate ${i} at ${this.#see(value)}`);
          frame.last = value;
          const completion = yield* this.#block(statement.block, frame);
          if (completion !== undefined) return completion;
          if (++turns >= statement.turns) break;
        }
        this.#say(`iterate ${i} is over, ${machine.state}`);
        return undefined;
      }
      case "help": {
        const { helper, count, trouble } = statement;
        let visits = 0;
        const visit: Visit = (value) => {
          this.#say(`visits ${this.#see(value)}`);
          if (++visits === trouble) throw this.#error(visits);
          return value;
        };
        this.#try(`${helper} of ${i}`, true, () => helpers[helper](machine, visit, count));
        this.#say(machine.state);
        return undefined;
      }
    }
  }

  *#tryBlock(
    { block, handler, finalizer }: Extract<Statement, { do: "try" }>,
    frame: Frame,
  ): globalThis.Generator<unknown, Completion | undefined> {
    try {
      return yield* this.#block(block, frame);
    } catch (error) {
      if (handler === undefined) throw error;
      this.#say(`catches ${show(error)}`);
      return yield* this.#block(handler, frame);
    } finally {
      this.#say("finally");
      const completion = finalizer && (yield* this.#block(finalizer, frame));
      // deno-lint-ignore no-unsafe-finally -- what is tested
      if (completion !== undefined) return completion;
    }
  }

  *#call(
    { how, f, first: given, handlers, caught }: Call,
    frame: Frame,
  ): globalThis.Generator<unknown, void, unknown> {
    const first = evaluate(given, frame.last);
    const yielder = how === "own yielder" ? frame.yielder : frame.caller;
    const what = `${how} ${f}`;
    const answering = handlers.map((handler, i) => {
      const generator = handler.generator && (how === "f" || yielder !== undefined);
      return this.#handler({ ...handler, generator }, i, frame);
    });
    if (how === "f" || yielder === undefined) {
      frame.last = this.#try(what, caught, () => this.#world.call(f, first, answering));
      return;
    }
    this.#say(what);
    try {
      frame.last = yield* this.#world.callBy(yielder, f, first, answering);
      this.#say(`${what} gives ${show(frame.last)}`);
    } catch (error) {
      this.#say(`${what} throws ${show(error)}`);
      if (!caught) throw error;
    }
  }

  #handler({ generator, block, answer }: Handler, which: number, frame: Frame): AnyHandler {
    // deno-lint-ignore no-this-alias -- a generator function has a `this` of its own
    const run = this;
    function* body(value: number): Script {
      run.#say(`asked ${which}, ${value}`);
      const own = { ...frame, last: value };
      const completion = yield* run.#block(block, own);
      return completion === undefined ? evaluate(answer, own.last) : completion.returned;
    }
    return generator ? body : (value) => atOnce(body(value));
  }

  /** What is thrown: also what is no error. */
  #error(value: unknown): unknown {
    return typeof value === "number" ? new Thrown(value, this.#thrown++) : value;
  }
}

/** Runs to its end what nobody can suspend. */
function atOnce(script: globalThis.Generator<unknown, unknown, unknown>): unknown {
  for (;;) {
    const { value, done } = script.next(1);
    if (done) return value;
  }
}

/** What a value of a program is, after `last`. */
export function evaluate(value: Value, last: unknown): unknown {
  if (typeof value !== "object") return value;
  return typeof last === "number" ? last + value.last | 0 : value.last;
}

/** A value as the log has it: nothing of it is kept. */
export function show(value: unknown): string {
  if (value instanceof Thrown) return `Thrown ${value.serial} of ${value.value}`;
  if (value instanceof Error) return `${value.constructor.name}: ${essence(value.message)}`;
  if (isPulled(value)) return `call of ${value.parameter} with ${value.args}`;
  if (Array.isArray(value)) return `[${value.map(show).join(", ")}]`;
  if (typeof value === "object" && value !== null) {
    return `{ ${
      Object.entries(value).map(([key, value]) => `${key}: ${show(value)}`).join(", ")
    } }`;
  }
  return typeof value === "bigint"
    ? `${value}n`
    : typeof value === "string"
    ? `"${value}"`
    : `${value}`;
}

/** What a message says, without the advice; that a generator is running, V8 says in its own way. */
function essence(message: string): string {
  if (message === "Generator is already running") return "running";
  return message.replace(/^Cannot [a-z ]+ generator: it is running;.*/, "running")
    .replace(/(?<= must be) .*/, "").replace(/; .*/, "");
}

/** What a program comes to in a world. */
export function run(program: Program, world: World): string[] {
  const run = new Run(program, world);
  run.run();
  return run.log;
}

// Which programs there are.

export const value: fc.Arbitrary<Value> = fc.oneof(
  { weight: 14, arbitrary: fc.integer({ min: -2, max: 9 }) },
  { weight: 7, arbitrary: fc.record({ last: fc.integer({ min: 0, max: 3 }) }) },
  { weight: 1, arbitrary: fc.constantFrom<Value>(undefined, "text", 0.5, 2 ** 31, 2 ** 32) },
);
const target = fc.nat(5);

/** `usual`, and now and then not. */
export function mostly(usual: boolean): fc.Arbitrary<boolean> {
  return fc.nat(6).map((n) => n < 6 ? usual : !usual);
}

const leaf: fc.Arbitrary<Statement> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ do: fc.constant("yield" as const), value }) },
  {
    weight: 9,
    arbitrary: fc.record({
      do: fc.constant("step" as const),
      how: fc.oneof(
        { weight: 6, arbitrary: fc.constantFrom("next" as const, "resume" as const) },
        { weight: 3, arbitrary: fc.constantFrom("return" as const, "throw" as const) },
        { weight: 1, arbitrary: fc.constantFrom("dispose" as const, "unwrap" as const) },
      ),
      target,
      value,
      caught: mostly(true),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("make" as const),
      body: fc.nat(3),
      on: fc.oneof(fc.constantFrom("new" as const, "owned" as const), target),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("delegate" as const), target }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("help" as const),
      helper: fc.constantFrom(...Object.keys(helpers) as (keyof typeof helpers)[]),
      target,
      count: fc.nat(3),
      trouble: fc.nat(6),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("reply" as const), value }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constantFrom("return" as const, "throw" as const), value }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("forget" as const), target }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("collect" as const) }) },
);

const { statement } = fc.letrec<{ statement: Statement; block: Block }>((tie) => ({
  statement: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    { weight: 5, arbitrary: leaf },
    {
      weight: 1,
      arbitrary: fc.record({
        do: fc.constant("iterate" as const),
        target,
        turns: fc.integer({ min: 1, max: 4 }),
        block: tie("block"),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        do: fc.constant("try" as const),
        block: tie("block"),
        handler: fc.option(tie("block"), { nil: undefined }),
        finalizer: fc.option(tie("block"), { nil: undefined }),
      }),
    },
    {
      weight: 3,
      arbitrary: fc.oneof(
        { weight: 1, arbitrary: call("f", handler(mostly(false), tie("block"))) },
        { weight: 3, arbitrary: call("own yielder", handler(mostly(true), tie("block"))) },
        { weight: 2, arbitrary: call("caller's yielder", handler(mostly(true), tie("block"))) },
      ),
    },
  ),
  block: fc.array(tie("statement"), { maxLength: 4 }),
}));

function call(how: Call["how"], handler: fc.Arbitrary<Handler>): fc.Arbitrary<Call> {
  return fc.record({
    do: fc.constant("call" as const),
    how: fc.constant(how),
    f: fc.nat(2),
    first: value,
    handlers: fc.tuple(handler, handler),
    caught: mostly(true),
  });
}

function handler(
  generator: fc.Arbitrary<boolean>,
  block: fc.Arbitrary<Block>,
): fc.Arbitrary<Handler> {
  return fc.record({ generator, block, answer: value });
}

const { nativeStep } = fc.letrec<{ nativeStep: NativeStep; inside: NativeScript }>((tie) => ({
  nativeStep: fc.oneof(
    { depthSize: "small", maxDepth: 3, withCrossShrink: true },
    {
      weight: 4,
      arbitrary: fc.record({
        do: fc.constant("ask" as const),
        callback: fc.constantFrom(0 as const, 1 as const),
      }),
    },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("trace" as const) }) },
    {
      weight: 1,
      arbitrary: fc.record({
        do: fc.constant("leave" as const),
        frames: fc.integer({ min: 1, max: 3 }),
      }),
    },
    {
      weight: 4,
      arbitrary: fc.record({
        do: fc.constant("frame" as const),
        id: fc.nat(99),
        inside: tie("inside"),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        do: fc.constant("repeat" as const),
        times: fc.integer({ min: 1, max: 3 }),
        inside: tie("inside"),
      }),
    },
  ),
  inside: fc.array(tie("nativeStep"), { maxLength: 4 }),
}));
const nativeScript = fc.array(nativeStep, { maxLength: 4, size: "max" });

/** The functions that a program has, at least one. */
export const nativeFunctions: fc.Arbitrary<NativeFunction[]> = fc.array(
  fc.record({
    stop: fc.constantFrom(...Object.keys(stops) as (keyof typeof stops)[]),
    script: nativeScript,
  }),
  { minLength: 1, maxLength: 3 },
);

/** Any program. */
export const programs: fc.Arbitrary<Program> = fc.record({
  bodies: fc.array(
    fc.oneof(
      {
        weight: 3,
        arbitrary: fc.record({
          kind: fc.constant("script" as const),
          block: fc.array(statement, { maxLength: 7, size: "max" }),
        }),
      },
      {
        weight: 2,
        arbitrary: fc.record({
          kind: fc.constant("native" as const),
          // Only that of `void` can be iterated over.
          type: fc.oneof(fc.constantFrom(...nativeTypes), fc.constant("void" as const)),
        }),
      },
      {
        weight: 1,
        arbitrary: fc.record({ kind: fc.constant("calls" as const), f: fc.nat(2), first: value }),
      },
    ),
    { minLength: 1, maxLength: 4, size: "max" },
  ),
  natives: fc.record({
    i32: nativeScript,
    u32: nativeScript,
    i64: nativeScript,
    f64: nativeScript,
    void: nativeScript,
  }),
  functions: nativeFunctions,
  replies: fc.array(
    fc.oneof({ weight: 6, arbitrary: value }, {
      weight: 1,
      arbitrary: fc.constant("none" as const),
    }),
    { maxLength: 4 },
  ),
  main: fc.array(statement, { maxLength: 12, size: "max" }),
  ending: mostly(true).map((usual) => usual ? "dispose" : "forget"),
});
