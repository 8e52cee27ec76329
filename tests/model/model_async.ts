// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Random programs that await calls of C functions, with async handlers that wait, fail, call again,
 * and abort. The worlds are those of `model.ts`.
 *
 * @module
 */

import { setImmediate } from "node:timers";
import fc from "fast-check";
import {
  type AnyHandler,
  evaluate,
  mostly,
  nativeFunctions,
  type Scripts,
  show,
  Thrown,
  type Value,
  value,
  type World,
} from "./model.ts";

/** What a handler does before it answers; what has to wait is nothing in a plain one. */
type Step =
  | { readonly do: "tick" | "task" | "abort" | "abort and wait" }
  | { readonly do: "throw"; readonly value: number }
  | { readonly do: "call"; readonly call: Call };

interface Handler {
  readonly kind: "async" | "plain" | "generator";
  readonly steps: readonly Step[];
  readonly answer: Value;
}

interface Call {
  readonly f: number;
  readonly first: Value;
  /** Which signal it gets: its own, that of the call whose handler makes it, or none. */
  readonly signal: "own" | "caller's" | "none";
  readonly handlers: readonly [Handler, Handler];
  readonly caught: boolean;
}

export interface AsyncProgram extends Scripts {
  readonly calls: readonly Call[];
}

/** What a handler knows of the calls that it is in. */
interface Frame {
  readonly controller: AbortController | undefined;
  /** Whether one of the calls has been aborted; then nobody waits for the handler any more. */
  isOver(): boolean;
}

const main: Frame = { controller: undefined, isOver: () => false };

/** Lets the event loop turn; a timer would take a millisecond. */
const task = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** How many steps a program may take. */
const FUEL = 100;

/** Runs a program once. */
class AsyncRun {
  readonly log: string[] = [];
  readonly #world: World;
  #fuel = FUEL;
  #thrown = 0;

  constructor(world: World) {
    this.#world = world;
  }

  async run({ calls }: AsyncProgram): Promise<void> {
    for (const call of calls) await this.#call({ ...call, caught: true }, main);
  }

  #say(what: string, frame: Frame): void {
    if (frame.isOver()) return;
    const traced: string[] = [];
    this.#world.flush(traced);
    // When calls in each other are aborted, in which order they end is open.
    this.log.push(...traced.sort(byScript), what);
  }

  async #call({ f, first, signal, handlers, caught }: Call, caller: Frame): Promise<void> {
    const controller = signal === "own"
      ? new AbortController()
      : signal === "caller's"
      ? caller.controller
      : undefined;
    const frame: Frame = {
      controller,
      isOver: () => caller.isOver() || controller?.signal.aborted === true,
    };
    const answering = handlers.map((handler, i) => this.#handler(handler, i, frame));
    this.#say(`call ${f}`, caller);
    try {
      const given = evaluate(first, 0);
      const result = await this.#world.callAsync(f, given, answering, controller?.signal);
      this.#say(`call ${f} gives ${show(result)}`, caller);
    } catch (error) {
      // Whoever is still in it notices first.
      if (controller?.signal.aborted) await task();
      this.#say(`call ${f} throws ${show(error)}`, caller);
      if (!caught) throw error;
    }
  }

  #handler({ kind, steps, answer }: Handler, which: number, frame: Frame): AnyHandler {
    if (kind === "generator") return function* () {};
    const say = (value: number): void => this.#say(`asked ${which}, ${value}`, frame);
    if (kind === "plain") {
      return (value) => {
        say(value);
        for (const step of steps) this.#stepAtOnce(step, frame);
        return evaluate(answer, value);
      };
    }
    return async (value) => {
      say(value);
      for (const step of steps) {
        if (frame.isOver()) break;
        await this.#step(step, frame);
      }
      return evaluate(answer, value);
    };
  }

  #stepAtOnce(step: Step, { controller }: Frame): void {
    if (this.#fuel-- <= 0) return;
    if (step.do === "throw") throw new Thrown(step.value, this.#thrown++);
    if (step.do === "abort") controller?.abort(new Thrown(0, this.#thrown++));
  }

  async #step(step: Step, frame: Frame): Promise<void> {
    const { controller } = frame;
    switch (step.do) {
      case "tick":
        return await undefined;
      case "task":
        return await task();
      case "abort and wait":
        if (controller === undefined || this.#fuel-- <= 0) return;
        setImmediate(() => controller.abort(new Thrown(1, this.#thrown++)));
        return await new Promise(() => {});
      case "call":
        if (this.#fuel-- > 0) await this.#call(step.call, frame);
        return;
      default:
        this.#stepAtOnce(step, frame);
    }
  }
}

function byScript(a: string, b: string): number {
  const [left = 0, right = 0] = [a, b].map((line) => Number(line.match(/\d+$/)));
  return left - right;
}

/** What a program comes to in a world. */
export async function runAsync(program: AsyncProgram, world: World): Promise<string[]> {
  const run = new AsyncRun(world);
  await run.run(program);
  return run.log;
}

const { call } = fc.letrec<{ call: Call; handler: Handler; step: Step }>((tie) => ({
  step: fc.oneof(
    { depthSize: "medium", withCrossShrink: true },
    { weight: 3, arbitrary: fc.record({ do: fc.constantFrom("tick" as const, "task" as const) }) },
    {
      weight: 2,
      arbitrary: fc.record({ do: fc.constantFrom("abort" as const, "abort and wait" as const) }),
    },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("throw" as const), value: fc.nat(9) }) },
    { weight: 5, arbitrary: fc.record({ do: fc.constant("call" as const), call: tie("call") }) },
  ),
  handler: fc.record({
    kind: fc.oneof(
      {
        weight: 30,
        arbitrary: fc.constantFrom("async" as const, "async" as const, "plain" as const),
      },
      { weight: 1, arbitrary: fc.constant("generator" as const) },
    ),
    steps: fc.array(tie("step"), { maxLength: 3 }),
    answer: value,
  }),
  call: fc.record({
    f: fc.nat(2),
    first: value,
    signal: fc.constantFrom("own" as const, "caller's" as const, "none" as const),
    handlers: fc.tuple(tie("handler"), tie("handler")),
    caught: mostly(true),
  }),
}));

/** Any program. */
export const asyncPrograms: fc.Arbitrary<AsyncProgram> = fc.record({
  natives: fc.constant({ i32: [], u32: [], i64: [], f64: [], void: [] }),
  functions: nativeFunctions,
  calls: fc.array(call, { minLength: 1, maxLength: 4, size: "max" }),
});
