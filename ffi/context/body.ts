// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** Native bodies, as `dlopen` gives them. */

import { type Lifetime, Mode, type Subject } from "./context.ts";
import { describe } from "../stack/stack.ts";
import { isWord } from "../value/value.ts";

/**
 * A native generator body: what `dlopen` gives for `{ input, output }`. Pass it to `new
 * Generator()`. It belongs to the Worker that opened the library.
 *
 * @typeParam Input What `resume` passes to it.
 * @typeParam Output What it suspends with.
 */
export interface NativeBody<in Input, out Output> {
  /** The name of the type that it is resumed with. */
  readonly input: string;
  /** The name of the type that it suspends with. */
  readonly output: string;
  /** Never there: it exists for type inference only. */
  readonly signature?: (input: Input) => Output;
}

/** What is behind a native body. */
export interface BodySymbol extends Subject {
  readonly pointer: Deno.PointerObject;
  readonly library: Library;
  readonly input: string;
  readonly output: string;
  /** Whether the values travel in a register. */
  readonly inputIsWord: boolean;
  readonly outputIsWord: boolean;
  /** How it is entered once it has begun. */
  readonly mode: number;
}

/** A user's library, as far as what it contains needs it. */
export interface Library extends Lifetime {
  readonly filename: string;
  readonly closed: boolean;
}

const symbols = new WeakMap<object, BodySymbol>();

/** Makes a native body of a symbol. */
export function makeBody(
  input: string,
  output: string,
  pointer: Deno.PointerObject,
  subject: Subject,
  library: Library,
): NativeBody<unknown, unknown> {
  const body = Object.freeze({ input, output });
  symbols.set(body, {
    ...subject,
    pointer,
    library,
    input,
    output,
    inputIsWord: isWord(input),
    outputIsWord: isWord(output),
    mode: input !== output || input !== "u32" && input !== "i32" ? Mode.mailbox : Mode[input],
  });
  return body;
}

/** The symbol behind a native body, or undefined when `body` is none of this Worker. */
export function symbolOf(body: unknown): BodySymbol | undefined {
  return typeof body === "object" && body !== null ? symbols.get(body) : undefined;
}

/** Throws if the library of a symbol has been closed. `what` begins with "Cannot". */
export function checkOpen(library: Library, what: string): void {
  if (!library.closed) return;
  throw new Error(`${what}: ${describe(library.filename)} has been closed; open it again`);
}
