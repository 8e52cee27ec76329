// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * The calls that `yielder.call()` has made and that have not begun: each waits for its `yield*`.
 *
 *     const call = yielder.call(f);  // the call waits, and C has not run
 *     yield* call;                   // the call begins
 */

/** The body that makes calls, as far as they are counted. */
export interface Maker {
  /** Whether the body is running. */
  readonly running: boolean;
  /** How many calls wait. */
  waiting: number;
  /** How many of them the body has made, and has not been told of. */
  untold: number;
  /** The call made last. */
  lastMade: MadeCall | undefined;
}

/** A class whose instance is the object that is passed: so a private field goes into that. */
class Itself {
  constructor(object: object) {
    return object;
  }
}

/**
 * Marks V8's generator as a call. A private field says what an object is at once, and asks nobody:
 * a proxy has no trap for it. A WeakMap would cost ten times as much.
 */
class Mark extends Itself {
  readonly #made: MadeCall;

  constructor(generator: object, made: MadeCall) {
    super(generator);
    this.#made = made;
  }

  static of(value: unknown): MadeCall | undefined {
    return typeof value === "object" && value !== null && #made in value ? value.#made : undefined;
  }
}

/** A call that `yielder.call()` has made. */
export class MadeCall {
  readonly maker: Maker;
  /** The name of the function. */
  readonly #name: string;
  #isTold = true;
  /** Whether the call has not begun, and can begin. */
  waits = false;

  constructor(maker: Maker, name: string) {
    this.maker = maker;
    this.#name = name;
  }

  /** Marks V8's generator as this call, which waits from now on. */
  mark<T extends object>(generator: T): T {
    const { maker } = this;
    new Mark(generator, this);
    this.waits = true;
    maker.waiting++;
    maker.lastMade = this;
    // Only the body is told of its calls, not whoever else has got hold of the yielder.
    if (!maker.running) return generator;
    this.#isTold = false;
    maker.untold++;
    return generator;
  }

  /** Notes that the call has begun, or has been ended before. */
  begin(): void {
    if (!this.waits) return;
    this.waits = false;
    this.maker.waiting--;
    this.tell();
  }

  /** Notes that the body is told that its call has not begun. */
  tell(): void {
    if (this.#isTold) return;
    this.#isTold = true;
    this.maker.untold--;
  }

  /** What a message calls it. */
  get description(): string {
    return `a call of ${this.#name}`;
  }

  /** Whether the body is still to be told of it. */
  get isUntold(): boolean {
    return !this.#isTold;
  }
}

/** The call that `value` is, if it waits. */
export function waitingCall(value: unknown): MadeCall | undefined {
  const made = Mark.of(value);
  return made?.waits ? made : undefined;
}

/** The error for a body that has yielded `value`, if that is a call of its own which waits. */
export function missingStar(maker: Maker, value: unknown): TypeError | undefined {
  const made = waitingCall(value);
  if (made?.maker !== maker) return undefined;
  const error = new TypeError(
    `Cannot resume generator: its body has yielded ${made.description} that has not begun; ` +
      "write yield* in place of yield before yielder.call()",
  );
  made.tell();
  return error;
}

/** Notes that a call is ended. If it had not begun, none of its own code runs. */
export function noteEnd(value: unknown): void {
  waitingCall(value)?.begin();
}
