// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * The world that is put to the test: fringe, with the bodies and the function of
 * `bodies/model.cc`.
 *
 * @module
 */

import { dlopen, Generator, type NativeBody, OsStack, OwnedStack, type Stack } from "../../mod.ts";
import {
  type AnyHandler,
  type Machine,
  type NativeScript,
  type NativeType,
  nativeTypes,
  type Script,
  type ScriptBody,
  type Scripts,
  STOP,
  traceLine,
  type World,
} from "./model.ts";
import { gc, testBodies } from "../support/support.ts";

const i32Callback = { parameters: ["i32"], result: "i32" } as const;
const stopped = { callback: { ...i32Callback, stop: STOP } } as const;
const unwound = { callback: i32Callback } as const;
const body = <T extends NativeType>(type: T) => ({ input: type, output: type }) as const;

const { symbols } = dlopen(testBodies, {
  model_i32: body("i32"),
  model_u32: body("u32"),
  model_i64: body("i64"),
  model_f64: body("f64"),
  model_void: { input: "void", output: "i32" },
  stops_never: {
    name: "model_call",
    parameters: ["i32", "buffer", "i32", unwound, unwound],
    result: "i32",
  },
  stops_first: {
    name: "model_call",
    parameters: ["i32", "buffer", "i32", stopped, unwound],
    result: "i32",
  },
  stops: {
    name: "model_call",
    parameters: ["i32", "buffer", "i32", stopped, stopped],
    result: "i32",
  },
});

/** Where C's `model_shared` has what, in words. */
const [BEGUN, TRACED, TRACE, SCRIPTS] = [0, 1, 2, 2 + 2 * 65535];
const SCRIPT_SIZE = 1024;

const { model_shared } = Deno.dlopen(testBodies, { model_shared: { type: "pointer" } }).symbols;
const shared = new Int32Array(
  Deno.UnsafePointerView.getArrayBuffer(
    model_shared!,
    4 * (SCRIPTS + nativeTypes.length * SCRIPT_SIZE),
  ),
);

/** A script as C reads it. */
function encode(script: NativeScript): number[] {
  return script.flatMap((step) => {
    switch (step.do) {
      case "ask":
        return [0, step.callback, 0];
      case "trace":
        return [1, 0, 0];
      case "leave":
        return [4, step.frames, 0];
    }
    const inside = encode(step.inside);
    return step.do === "frame"
      ? [2, step.id, inside.length, ...inside]
      : [3, step.times, inside.length, ...inside];
  });
}

/** A function of `dlopen`, of whose handlers TypeScript knows nothing. */
interface AnyFunction {
  (first: unknown, script: Int32Array, size: number, ...handlers: readonly AnyHandler[]): unknown;
  async(first: unknown, script: Int32Array, size: number, ...rest: unknown[]): Promise<unknown>;
  calls(first: unknown, script: Int32Array, size: number): Machine;
}

interface AnyYielder {
  call(f: AnyFunction, ...args: unknown[]): Script;
}

/** Fringe. */
export class Fringe implements World {
  readonly #functions: { readonly f: AnyFunction; readonly script: Int32Array }[];
  /** The scripts of C that had begun before. */
  readonly #before = shared[BEGUN]!;

  constructor({ natives, functions }: Scripts) {
    this.#functions = functions.map(({ stop, script }) => ({
      f: symbols[stop] as unknown as AnyFunction,
      script: Int32Array.from(encode(script)),
    }));
    for (const [slot, type] of nativeTypes.entries()) {
      const words = encode(natives[type]);
      shared.set([words.length, ...words], SCRIPTS + slot * SCRIPT_SIZE);
    }
    shared[TRACED] = 0;
  }

  flush(log: string[]): void {
    log.push(...this.traced());
    shared[TRACED] = 0;
  }

  /** What C has put on its trace since it was flushed. */
  traced(): string[] {
    return Array.from({ length: shared[TRACED]! }, (_, i) => {
      const at = TRACE + 2 * i;
      return traceLine(shared[at]! - this.#before, shared[at + 1]!);
    });
  }

  stack(kind: "new" | "owned"): Stack {
    return kind === "new" ? new OsStack(64 * 1024) : new OwnedStack(64 * 1024);
  }

  script(stack: unknown, body: ScriptBody): Machine {
    return stack instanceof OsStack
      ? new Generator(stack, body)
      : Generator.unguarded(stack as Stack, body);
  }

  native(stack: unknown, type: NativeType): Machine {
    const body = symbols[`model_${type}`] as NativeBody<unknown, unknown>;
    return stack instanceof OsStack
      ? new Generator(stack, body)
      : Generator.unguarded(stack as Stack, body);
  }

  calls(number: number, first: unknown): Machine {
    const { f, script } = this.#function(number);
    return f.calls(first, script, script.length);
  }

  call(number: number, first: unknown, handlers: readonly AnyHandler[]): unknown {
    const { f, script } = this.#function(number);
    return f(first, script, script.length, ...handlers);
  }

  async callAsync(
    number: number,
    first: unknown,
    handlers: readonly AnyHandler[],
    signal: AbortSignal | undefined,
  ): Promise<unknown> {
    const { f, script } = this.#function(number);
    return await f.async(first, script, script.length, ...handlers, { signal });
  }

  callBy(
    yielder: unknown,
    number: number,
    first: unknown,
    handlers: readonly AnyHandler[],
  ): Script {
    const { f, script } = this.#function(number);
    return (yielder as AnyYielder).call(f, first, script, script.length, ...handlers);
  }

  collect(): void {
    gc("minor");
  }

  #function(number: number): { readonly f: AnyFunction; readonly script: Int32Array } {
    return this.#functions[number % this.#functions.length]!;
  }
}
