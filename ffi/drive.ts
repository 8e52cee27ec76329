// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * The four ways to drive a call: handlers that answer at once, that are awaited, that may yield,
 * and no handlers at all but a caller who pulls.
 */

import { checkOpen } from "./body.ts";
import { Call, type Callback, type Callee, type Handler } from "./call.ts";
import { Context } from "./context.ts";
import { isGeneratorFunction, isScriptGenerator, type ScriptGenerator } from "./script.ts";
import { describe, type Occupant, type StackMemory } from "./stack.ts";
import { putFiber, takeFiber } from "./stack_pool.ts";
import type { CallbackCall } from "./types.ts";

/** Handlers are plain functions, and answer before C goes on. */
export function callSync(callee: Callee, args: readonly unknown[]): unknown {
  const { plain, handlers } = split(callee, args, "no generator functions");
  const fiber = takeFiber();
  let call: Call | undefined;
  try {
    call = new Call(callee, fiber.context, plain);
    call.run(handlers);
    return call.result();
  } finally {
    call?.end();
    putFiber(fiber);
  }
}

/** Handlers may be async; the event loop runs while one is pending. */
export async function callAsync(callee: Callee, args: readonly unknown[]): Promise<unknown> {
  const { plain, handlers } = split(callee, args, "no generator functions");
  const fiber = takeFiber();
  let call: Call | undefined;
  try {
    call = new Call(callee, fiber.context, plain);
    for (let callback; (callback = call.step()) !== undefined;) {
      call.reply(callback, await call.ask(handlers[callback.number]!, callback));
    }
    return call.result();
  } finally {
    call?.end();
    putFiber(fiber);
  }
}

/** Handlers may be generator functions; what they yield leaves the generator of `scope`. */
export function* callScript(
  scope: Scope,
  callee: Callee,
  args: readonly unknown[],
): ScriptGenerator<unknown, unknown, unknown> {
  const { plain, handlers } = split(callee, args);
  return yield* scope.drive(callee, plain, function* (call, callback) {
    const answer = call.ask(handlers[callback.number]!, callback);
    call.reply(callback, isScriptGenerator(answer) ? yield* answer : answer);
  });
}

/** No handlers: each call of a callback is yielded, and must be replied to. */
export function* callPulled(
  scope: Scope,
  callee: Callee,
  args: readonly unknown[],
): ScriptGenerator<unknown, unknown, unknown> {
  checkCount(callee, args, callee.parameters.length - callee.callbacks.length);
  return yield* scope.drive(callee, args, function* (call, callback) {
    let [replied, over] = [callback.result === "void", false];
    const pulled: CallbackCall<number, readonly unknown[], unknown> = {
      parameter: callback.parameter,
      args: call.args(callback),
      reply(value: unknown): void {
        if (over) {
          throw new Error(
            `Cannot answer ${callee.name}: C has gone on; reply before the next call is pulled`,
          );
        }
        call.reply(callback, value);
        replied = true;
      },
    };
    try {
      yield pulled;
    } finally {
      over = true;
    }
    if (replied) return;
    throw new Error(
      `Cannot go on with ${callee.name}: callback parameter ${callback.parameter} has not been ` +
        `answered, and C needs a result of type ${callback.result}; call reply(value) first`,
    );
  });
}

/** Answers one callback; it may yield. */
type Answer = (call: Call, callback: Callback) => ScriptGenerator<unknown, void, unknown>;

/**
 * The calls that a TypeScript body has open. It is what is left of a dropped generator, since V8
 * runs no `finally` block of a body that is garbage.
 */
export class Scope implements Occupant {
  /** Whether the body is running, which is when it may call. */
  running = false;
  readonly #calls: Set<Call> = new Set();
  /** What runs on the generator's own stack; undefined: there is none, or something is on it. */
  #own: Context | undefined;

  constructor(memory: StackMemory) {
    if (memory.size > 0) this.#own = new Context(memory);
  }

  /** Runs a call to its end; on the way out, however that comes, the call is ended. */
  *drive(
    callee: Callee,
    plain: readonly unknown[],
    answer: Answer,
  ): ScriptGenerator<unknown, unknown, unknown> {
    if (!this.running) {
      throw new Error(
        `Cannot call ${callee.name}: the generator of this yielder is not running its body`,
      );
    }
    // A handler that calls again finds the generator's stack taken, and gets another.
    const own = this.#own;
    const fiber = own === undefined ? takeFiber() : undefined;
    this.#own = undefined;
    let call: Call | undefined;
    try {
      call = new Call(callee, own ?? fiber!.context, plain);
      this.#calls.add(call);
      for (let callback; (callback = call.step()) !== undefined;) yield* answer(call, callback);
      return call.result();
    } finally {
      if (call !== undefined) {
        this.#calls.delete(call);
        call.end();
      }
      if (fiber !== undefined) putFiber(fiber);
      else this.#own = own;
    }
  }

  /** Ends every open call, the innermost first. */
  end(): void {
    for (const call of [...this.#calls].reverse()) call.end();
    this.#calls.clear();
  }
}

/** Parts the arguments of a call into those that C gets and those that answer it. */
function split(
  callee: Callee,
  args: readonly unknown[],
  refused?: "no generator functions",
): { plain: unknown[]; handlers: Handler[] } {
  checkCount(callee, args, callee.parameters.length);
  const plain: unknown[] = [];
  const handlers: Handler[] = [];
  for (const [i, type] of callee.parameters.entries()) {
    const arg = args[i];
    if (type !== "callback") {
      plain.push(arg);
      continue;
    }
    if (typeof arg !== "function") {
      throw new TypeError(
        `Cannot call ${callee.name}: argument ${i} must be a function that answers the callback: ` +
          `got ${describe(arg)}`,
      );
    }
    if (refused !== undefined && isGeneratorFunction(arg)) {
      throw new TypeError(
        `Cannot call ${callee.name}: argument ${i} is a generator function, which can yield only ` +
          "out of a generator; use `yield* yielder.call()` in a TypeScript body",
      );
    }
    handlers.push(arg as Handler);
  }
  return { plain, handlers };
}

function checkCount(callee: Callee, args: readonly unknown[], expected: number): void {
  checkOpen(callee.library, `Cannot call ${callee.name}`);
  if (args.length === expected) return;
  throw new TypeError(
    `Cannot call ${callee.name}: it takes ${expected} arguments here: got ${args.length}`,
  );
}
