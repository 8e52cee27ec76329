// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * The ways to drive a call: handlers that answer at once, that are awaited, that may yield, and no
 * handlers at all but a caller who pulls.
 */

import type { NativeFrame } from "../context/backtrace.ts";
import { checkOpen } from "../context/body.ts";
import { type Answerer, Call, type Callee, handlerOf } from "./call.ts";
import { Context } from "../context/context.ts";
import { checkKeys } from "./signature.ts";
import { isGeneratorFunction, isScriptGenerator, type ScriptGenerator } from "./script.ts";
import { describe, endAll, type Occupant, type StackMemory } from "../stack/stack.ts";
import { type Fiber, putFiber, takeFiber } from "../stack/stack_pool.ts";
import { registrationOf, type Target } from "./thunk.ts";
import type { CallbackCall } from "../types.ts";

/** Handlers are plain functions, and answer before C goes on. */
export function callSync(callee: Callee, args: readonly unknown[]): unknown {
  checkCount(callee, args, callee.parameters.length);
  const { plain, answerers } = split(callee, args, "no generator functions");
  const fiber = takeFiber(callee.overflow);
  let call: Call | undefined;
  try {
    call = new Call(callee, fiber.context, plain, answerers);
    return call.run(answerers);
  } catch (error) {
    throw ended(call, error);
  } finally {
    if (call === undefined || call.hasEnded) putFiber(fiber);
  }
}

/**
 * Handlers may be async; the event loop runs while one is pending, and, where the function is
 * `nonblocking`, while C runs.
 */
export async function callAsync(callee: Callee, args: readonly unknown[]): Promise<unknown> {
  const signal = signalOf(callee, args[callee.parameters.length], args.length);
  const { plain, answerers } = split(callee, args, "no generator functions");
  signal?.throwIfAborted();
  const fiber = takeFiber(callee.overflow);
  let call: Call | undefined;
  try {
    call = new Call(callee, fiber.context, plain, answerers);
    return await call.runAsync(answerers, signal);
  } catch (error) {
    try {
      if (callee.nonblocking) await call?.endElsewhere();
      else call?.end();
    } catch (other) {
      throw both(other, error);
    }
    throw error;
  } finally {
    if (call === undefined || call.hasEnded) putFiber(fiber);
  }
}

/** Ends a call because of an error; returns what to throw. */
function ended(call: Call | undefined, error: unknown): unknown {
  try {
    call?.end();
  } catch (other) {
    if (call!.hasEnded) return both(other, error);
  }
  return error;
}

/** What to throw when native code has thrown while it was ended because of another error. */
function both(thrown: unknown, error: unknown): SuppressedError {
  const message = "Native code has thrown while it was ended because of an error: " +
    `${textOf(thrown)}; the error: ${textOf(error)}`;
  return new SuppressedError(thrown, error, message);
}

/** For a message, because Deno shows no more of a SuppressedError than that. */
function textOf(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : describe(error);
}

/** The signal among the options of a call; `given` arguments include them, if they are there. */
function signalOf(callee: Callee, options: unknown, given: number): AbortSignal | undefined {
  const expected = callee.parameters.length;
  if (given !== expected + 1) {
    checkCount(callee, { length: given }, expected);
    return undefined;
  }
  checkOpen(callee.library, `Cannot call ${callee.name}`);
  if (options === undefined) return undefined;
  const what = `Cannot call ${callee.name}: what follows its ${expected} arguments must be ` +
    "options such as { signal }";
  if (typeof options !== "object" || options === null || options instanceof AbortSignal) {
    throw new TypeError(`${what}: got ${describe(options)}`);
  }
  checkKeys(options, ["signal"], what);
  const { signal } = options as { readonly signal?: unknown };
  if (signal === undefined) return undefined;
  try {
    // One of our own: the caller's can be made to say `abort` when it has not been aborted, and its
    // methods can be replaced by some that end the call, or close the library, under it.
    return AbortSignal.any([signal as AbortSignal]);
  } catch (cause) {
    throw new TypeError(`${what}, with an AbortSignal: got ${describe(signal)}`, { cause });
  }
}

/** Handlers may be generator functions; what they yield leaves the generator of `scope`. */
export function* callScript(
  scope: Scope,
  callee: Callee,
  args: readonly unknown[],
): ScriptGenerator<unknown, unknown, unknown> {
  checkCount(callee, args, callee.parameters.length);
  refuseNonblocking(callee);
  const { plain, answerers } = split(callee, args);
  return yield* scope.drive(callee, plain, answerers);
}

/** No handlers: each call of a callback is yielded, and must be replied to. */
export function* callPulled(
  scope: Scope,
  callee: Callee,
  args: readonly unknown[],
): ScriptGenerator<unknown, unknown, unknown> {
  checkCount(callee, args, callee.parameters.length - callee.callbacks.length);
  refuseNonblocking(callee);
  return yield* scope.drive(callee, args, undefined, function* (call, target) {
    let [replied, over] = [target.result === "void", false];
    const pulled: CallbackCall<number, readonly unknown[], unknown> = {
      parameter: target.parameter,
      args: call.args(target),
      reply(value: unknown): void {
        if (over) {
          throw new Error(
            `Cannot answer ${callee.name}: C has gone on; reply before the next call is pulled`,
          );
        }
        call.reply(target, value);
        replied = true;
      },
    };
    try {
      yield pulled;
    } finally {
      over = true;
    }
    if (replied) return;
    call.check();
    throw new Error(
      `Cannot go on with ${callee.name}: callback parameter ${target.parameter} has not been ` +
        `answered, and C needs a result of type ${target.result}; call reply(value) first`,
    );
  });
}

function refuseNonblocking(callee: Callee): void {
  if (!callee.nonblocking) return;
  throw new TypeError(
    `Cannot call ${callee.name}: it is declared as nonblocking, and a generator cannot wait for ` +
      "another thread; call it by .async(), or declare it once more without nonblocking",
  );
}

/** Lets whoever pulls answer one callback. */
type Pull = (call: Call, target: Target) => ScriptGenerator<unknown, void, unknown>;

/**
 * The calls that a TypeScript body has open. It is what is left of a dropped generator, since V8
 * runs no `finally` block of a body that is garbage.
 */
export class Scope implements Occupant {
  /** Whether the body is running, which is when it may call. */
  running = false;
  /**
   * With the pool's stacks that they are on: these must not become garbage before the calls end, or
   * each would end the call on it when the collector finds it, be that an inner one or not.
   */
  readonly #calls: Map<Call, Fiber | undefined> = new Map();
  /** What runs on the generator's own stack; undefined: there is none, or something is on it. */
  #own: Context | undefined;

  /** Whether the overflow of a stack is thrown, as the generator's own stack has it. */
  readonly #throws: boolean;

  constructor(memory: StackMemory) {
    this.#throws = memory.origin.overflow === "throw";
    if (memory.size > 0) this.#own = new Context(memory);
  }

  /** Runs a call to its end; on the way out, however that comes, the call is ended. */
  *drive(
    callee: Callee,
    plain: readonly unknown[],
    answerers: readonly Answerer[] | undefined,
    pull?: Pull,
  ): ScriptGenerator<unknown, unknown, unknown> {
    if (!this.running) {
      throw new Error(
        `Cannot call ${callee.name}: the generator of this yielder is not running its body`,
      );
    }
    // A handler that calls again finds the generator's stack taken, and gets another.
    const own = this.#own;
    const overflow = this.#throws ? "throw" : callee.overflow;
    const fiber = own === undefined ? takeFiber(overflow) : undefined;
    this.#own = undefined;
    let call: Call | undefined;
    try {
      call = new Call(callee, own ?? fiber!.context, plain, answerers);
      this.#calls.set(call, fiber);
      for (let target; (target = call.step()) !== undefined;) {
        const handler = handlerOf(target, answerers);
        if (handler === undefined) yield* pull!(call, target);
        else {
          // Here, and not in a generator of its own that all that is yielded would pass through.
          const answer = call.ask(target, handler);
          call.reply(target, isScriptGenerator(answer) ? yield* answer : answer);
        }
      }
      return call.result();
    } catch (error) {
      throw ended(call, error);
    } finally {
      try {
        call?.end();
      } finally {
        // Where V8's stack was used up, it has not: then it ends with the generator.
        if (call === undefined || call.hasEnded) {
          if (call !== undefined) this.#calls.delete(call);
          if (fiber !== undefined) putFiber(fiber);
          else this.#own = own;
        }
      }
    }
  }

  /** Ends every open call, the innermost first. */
  end(): void {
    const calls = [...this.#calls.keys()].reverse();
    this.#calls.clear();
    endAll(calls);
  }

  /** Where every open call waits, the innermost first. */
  frames(): NativeFrame[] {
    return [...this.#calls.keys()].reverse().flatMap((call) => call.frames());
  }
}

/** Parts the arguments of a call into those that C gets and those that answer it. */
function split(
  callee: Callee,
  args: readonly unknown[],
  refused?: "no generator functions",
): { plain: readonly unknown[]; answerers: readonly Answerer[] } {
  if (callee.callbacks.length === 0) return { plain: args, answerers: [] };
  const plain: unknown[] = [];
  const answerers: Answerer[] = [];
  const { parameters } = callee;
  for (let i = 0; i < parameters.length; i++) {
    if (parameters[i] !== "callback") plain.push(args[i]);
    else answerers.push(answererOf(callee, answerers.length, i, args[i], refused));
  }
  return { plain, answerers };
}

/** Checks what is to answer the callback parameter at place `i`. */
function answererOf(
  callee: Callee,
  index: number,
  i: number,
  arg: unknown,
  refused: "no generator functions" | undefined,
): Answerer {
  const what = `Cannot call ${callee.name}: argument ${i}`;
  if (typeof arg === "function") {
    if (refused === undefined || !isGeneratorFunction(arg)) return arg as Answerer;
    throw new TypeError(
      `${what} is a generator function, which can yield only out of a generator; use ` +
        "`yield* yielder.call()` in a TypeScript body",
    );
  }
  const registration = registrationOf(arg, what);
  if (registration === undefined) {
    throw new TypeError(
      `${what} must be a function that answers the callback, or a Callback: got ${describe(arg)}` +
        (arg === null ? '; to pass NULL to C, declare the parameter as "function"' : ""),
    );
  }
  const { parameters, result } = callee.callbacks[index]!.target;
  const { target, thunk } = registration;
  if (String(target.parameters) !== String(parameters) || target.result !== result) {
    throw new TypeError(
      `${what} is a Callback of another type: it is (${target.parameters}) => ${target.result}, ` +
        `and C needs (${parameters}) => ${result}`,
    );
  }
  return thunk!;
}

function checkCount(
  callee: Callee,
  args: { readonly length: number },
  expected: number,
): void {
  checkOpen(callee.library, `Cannot call ${callee.name}`);
  if (args.length === expected) return;
  throw new TypeError(
    `Cannot call ${callee.name}: it takes ${expected} arguments here: got ${args.length}`,
  );
}
