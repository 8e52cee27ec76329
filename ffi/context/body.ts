// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** Native bodies: the objects that `dlopen` gives for them, and what is behind each. */

import { IdlePlace } from "../layout.ts";
import { type Type, typeOf, Way } from "../value/type.ts";
import { Entry, type Subject } from "./context.ts";

/**
 * A native generator body: what `dlopen` gives for `{ input, output }`. Pass it to `new
 * Generator()`. It belongs to the Worker that opened the library.
 *
 * @typeParam Input What `resume` passes to it.
 * @typeParam Output What it suspends with.
 *
 * @example
 * ```ts
 * import { dlopen, Generator, type NativeBody, OsStack } from "fringe";
 *
 * function first<Output>(body: NativeBody<void, Output>): Output | undefined {
 *   using generator = new Generator(new OsStack(), body);
 *   return generator.resume();
 * }
 *
 * using library = dlopen("./native/prebuilt/x86_64-linux/libbodies.so", {
 *   count: { input: "void", output: "i32" },
 * });
 * console.log(first(library.symbols.count)); // 1
 * ```
 */
export interface NativeBody<in Input, out Output> {
  /** The name of the type that it is resumed with. */
  readonly input: string;
  /** The name of the type that it suspends with. */
  readonly output: string;
  /** Never there: it exists for type inference only. */
  readonly signature?: (input: Input) => Output;
}

/** What is behind a native body, where `new Generator()` finds it. */
export interface BodySymbol extends Subject {
  readonly pointer: Deno.PointerObject;
  readonly input: Type;
  readonly output: Type;
  // What a resume needs of the two types, where it is one load away: `Way`, mask and sign.
  readonly takes: number;
  readonly inputMask: number;
  readonly inputSign: number;
  readonly gives: number;
  readonly outputMask: number;
  readonly outputSign: number;
  /** The way in that `Generator.resume` takes from the second resume on; one of `Entry`. */
  readonly entry: number;
  /** Where it has had nothing to unwind: an `IdlePlace`, which native code keeps. */
  readonly idle: Uint8Array<ArrayBuffer>;
}

const symbols = new WeakMap<object, BodySymbol>();

/** Makes a native body of a symbol. */
export function makeBody(
  input: string,
  output: string,
  pointer: Deno.PointerObject,
  subject: Subject,
): NativeBody<unknown, unknown> {
  const body = Object.freeze({ input, output });
  const [taken, given] = [typeOf(input), typeOf(output)];
  symbols.set(body, {
    ...subject,
    pointer,
    input: taken,
    output: given,
    takes: taken.way,
    inputMask: taken.mask,
    inputSign: taken.sign,
    gives: given.way,
    outputMask: given.mask,
    outputSign: given.sign,
    entry: entryFor(taken, given),
    idle: new Uint8Array(IdlePlace.size),
  });
  return body;
}

/** One of `Entry`. */
function entryFor(input: Type, output: Type): number {
  if (output.way === Way.address) return Entry.pointer;
  if (input !== output) return Entry.mailbox;
  if (input.way === Way.u32) return Entry.u32;
  if (input.way !== Way.int) return Entry.mailbox;
  return input.size === 4 ? Entry.i32 : Entry.word;
}

/** The symbol behind a native body, or undefined when `body` is none of this Worker. */
export function symbolOf(body: unknown): BodySymbol | undefined {
  return typeof body === "object" && body !== null ? symbols.get(body) : undefined;
}
