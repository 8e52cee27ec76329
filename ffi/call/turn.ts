// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Turns: of the `exclusive` functions of a library one call is under way at a time.
 *
 *     f.async()   holds the turn, suspended in a handler
 *     g.async()   waits      |
 *     h()         throws     |  in the order of their calls
 *     k.async()   waits      v
 *
 * The turn is held by the context of a call, which passes it on when no frame is left: so it is
 * passed on however the call ends, be it by the garbage collector.
 */

import { SymbolBlock } from "../layout.ts";
import { native } from "../library/find.ts";

/** A call that waits. */
interface Waiting {
  readonly name: string;
  readonly begin: () => void;
}

/** The turn of one library. */
export class Turn {
  /** The function that is under way, or is about to be. */
  #holder: string | undefined;
  readonly #waiting: Waiting[] = [];

  /** Takes the turn for a call that cannot wait. `what` begins with "Cannot". */
  take(name: string, what: string): void {
    if (this.#holder !== undefined) {
      throw new Error(
        `${what}: it is exclusive, and ${this.#holder} of the same library is under way; call it ` +
          "by .async(), which waits for its turn, or end the other call first",
      );
    }
    this.#holder = name;
  }

  /** Waits for the turn, and takes it. Rejects with the signal's reason, and has no turn then. */
  async wait(name: string, signal: AbortSignal | undefined): Promise<void> {
    if (this.#holder === undefined) {
      this.#holder = name;
      return;
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiting = { name, begin: resolve };
    const abort = (): void => {
      const place = this.#waiting.indexOf(waiting);
      // It may have got its turn a moment before: then it passes that on, below.
      if (place < 0) return;
      this.#waiting.splice(place, 1);
      reject(signal!.reason);
    };
    this.#waiting.push(waiting);
    signal?.addEventListener("abort", abort, { once: true });
    try {
      await promise;
    } finally {
      signal?.removeEventListener("abort", abort);
    }
    if (!signal?.aborted) return;
    this.pass();
    throw signal.reason;
  }

  /** Whether a call waits. */
  get isWanted(): boolean {
    return this.#waiting.length > 0;
  }

  /** Passes the turn on to the call that has waited longest. */
  pass(): void {
    const next = this.#waiting.shift();
    this.#holder = next?.name;
    next?.begin();
  }
}

/** By the start of each module, which two libraries may open. 0: code in no module, as a JIT's. */
const turns = new Map<bigint, Turn>();

/** The turn of the module that `pointer` leads into. */
export function turnOf(pointer: Deno.PointerObject): Turn {
  const block = new DataView(new ArrayBuffer(SymbolBlock.size));
  native().symbol(native().addressOfPointer(pointer), block);
  const module = block.getBigUint64(SymbolBlock.module_start, true);
  let turn = turns.get(module);
  if (turn === undefined) turns.set(module, turn = new Turn());
  return turn;
}
