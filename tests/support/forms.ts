// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Every way to call a function, of whose signature TypeScript knows nothing: for tests that make up
 * signatures.
 *
 * @module
 */

import { Callback, type CallbackDefinition, Generator, OsStack } from "../../mod.ts";

/** A function of `dlopen`, of whose signature TypeScript knows nothing. */
export interface AnyFunction {
  (...args: unknown[]): unknown;
  async(...args: unknown[]): Promise<unknown>;
  calls(...args: unknown[]): {
    next(): IteratorResult<
      { parameter: number; args: unknown[]; reply(value: unknown): void },
      unknown
    >;
  };
}

interface AnyYielder {
  call(f: AnyFunction, ...args: unknown[]): globalThis.Generator<unknown, unknown, unknown>;
}

/** Says what the callback at this place is answered. */
export type Answer = (place: number, args: unknown[]) => unknown;

type Handler = (...args: unknown[]) => unknown;

/** What is passed for a parameter, or where a callback is. */
export type Argument =
  | { readonly value: unknown }
  | { readonly place: number; readonly prototype: CallbackDefinition };

/** A way to call a function, and what the table says about such a function. */
export interface Form {
  readonly name: string;
  readonly nonblocking?: true | "thread";
  call(f: AnyFunction, args: readonly Argument[], answer: Answer): unknown;
}

/** The arguments of a call, with the handler that `make` makes for each callback. */
function withHandlers(args: readonly Argument[], make: (place: number) => Handler): unknown[] {
  return args.map((arg) => "value" in arg ? arg.value : make(arg.place));
}

const call: Form["call"] = (f, args, answer) =>
  f(...withHandlers(args, (place) => (...got) => answer(place, got)));

const callAsync: Form["call"] = (f, args, answer) =>
  f.async(...withHandlers(args, (place) => async (...got) => {
    const answered = answer(place, got);
    await undefined;
    return answered;
  }));

const callPulled: Form["call"] = (f, args, answer) => {
  const calls = f.calls(...args.flatMap((arg) => "value" in arg ? [arg.value] : []));
  for (;;) {
    const { value, done } = calls.next();
    if (done) return value;
    value.reply(answer(value.parameter, value.args));
  }
};

const callScript: Form["call"] = (f, args, answer) => {
  const handlers = withHandlers(args, (place) =>
    function* (...got) {
      yield got;
      return answer(place, got);
    });
  using generator = new Generator(new OsStack(), function* (yielder) {
    return yield* (yielder as AnyYielder).call(f, ...handlers);
  });
  for (;;) {
    const { value, done } = generator.next();
    if (done) return value;
  }
};

const callKept: Form["call"] = (f, args, answer) => {
  using kept = new DisposableStack();
  return f(...args.map((arg) => {
    if ("value" in arg) return arg.value;
    const { place, prototype } = arg;
    return kept.use(new Callback(prototype, (...got) => answer(place, got) as never));
  }));
};

/** All of them. */
export const forms: readonly Form[] = [
  { name: "f()", call },
  { name: "f.async()", call: callAsync },
  { name: "f.calls()", call: callPulled },
  { name: "yielder.call()", call: callScript },
  { name: "f() with Callback", call: callKept },
  { name: "f() of a nonblocking function", call, nonblocking: true },
  { name: "f.async() of a nonblocking function", call: callAsync, nonblocking: true },
  { name: "f() of a function with a thread", call, nonblocking: "thread" },
];
