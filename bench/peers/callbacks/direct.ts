// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * The trials of every peer whose callbacks call JavaScript there and then, on the stack on which C
 * runs. They differ in their spelling, which is all that their probes contain, and in what comes of
 * what they do not foresee.
 *
 * @module
 */

import {
  collect,
  DEEP,
  JUMPS,
  no,
  partly,
  sleep,
  ticksDuring,
  time,
  type Trials,
  uncaught,
  yes,
} from "./trial.ts";

/** What a handler is for such a peer: whatever it returns becomes an `int32_t`. */
export type Handler = (i: number) => unknown;

/** The functions of `trials.c`; callbacks are what `callback` gives. */
export interface Symbols<Result> {
  readonly sum: (n: number, callback: unknown) => Result;
  readonly visit: (n: number, callback: unknown) => Result;
  readonly work: (milliseconds: number, callback: unknown) => Result;
}

/** A peer's spelling. */
export interface Direct {
  readonly symbols: Symbols<number> & {
    readonly visit_and_release: (n: number, callback: unknown, release: unknown) => number;
    readonly guarded: (callback: unknown) => number;
    readonly jump: () => number;
    readonly fails: () => number;
    readonly deep: (mebibytes: number) => number;
    readonly seen_calls: () => number;
    readonly seen_answers: () => number;
    readonly seen_last: () => number;
    readonly seen_cleanups: () => number;
    readonly seen_pair: () => number;
    readonly keep: (callback: unknown) => unknown;
    readonly call_kept: (i: number) => number;
    readonly start_thread: (callback: unknown) => unknown;
    readonly seen_thread_answer: () => number;
  };
  /** The same functions, run on another thread; undefined: there is no such thing. */
  readonly background?: Symbols<Promise<number>>;
  /** A callback; `anyThread`: it will be called on a thread that C has started. */
  callback(handler: Handler, anyThread?: boolean): unknown;
  /** Calls `call_struct` with a handler that answers `id + 2 * x`; undefined: it cannot. */
  readonly structs?: () => number;
  /** What the handler gets for a struct, if it has no names. */
  readonly structsAre?: string;
  /**
   * Reads x and id out of what `shared_pair` gives, adds 0.5 to x and takes 1 from id in place, and
   * asks `seen_pair`; undefined: it cannot.
   */
  readonly layouts?: () => number;
  /** How a field is found, if not by its name. */
  readonly layoutsAre?: string;
  /** Calls `sum(5, …)` by a table that was made from what a header says; undefined: it cannot. */
  readonly bindings?: () => number;
  /** What of a header is understood, if not all. */
  readonly bindingsAre?: string;
  /** Calls `call_variadic`, with a handler of a fixed list of types that answers their sum. */
  readonly fixed?: () => number;
  /** Reads `variable`; undefined: it cannot. */
  readonly variable?: () => number;
  /** The errno of the last call; undefined: there is no such thing. */
  readonly errno?: () => number;
  /** The errno of the thread, by one more call: of `__errno_location`. */
  readonly errnoOfThread?: () => number;
  /** Opens a library. */
  open(path: string): unknown;
  /** What permission a program needs. */
  readonly grant: string;
}

/** The trials of `peer`. */
export function direct(peer: Direct, other: string): Trials {
  const { symbols, background } = peer;

  function throwIn(calls: number): { error: Error; caught: unknown } {
    const error = new Error("thrown by the handler");
    const callback = peer.callback(() => {
      throw error;
    });
    let caught: unknown;
    try {
      symbols.visit(calls, callback);
    } catch (thrown) {
      caught = thrown;
    }
    return { error, caught };
  }

  return {
    plain: () => symbols.sum(5, peer.callback((i) => i * 2)) === 20 ? yes() : no(),

    async awaits() {
      const callback = peer.callback(async (i) => {
        await sleep(1);
        return i + 1;
      });
      for (const { visit } of background === undefined ? [symbols] : [symbols, background]) {
        // Some throw when they see the Promise.
        const sum = await Promise.resolve().then(() => visit(3, callback)).catch(() => 0);
        if (sum === 6) return yes();
      }
      return no(`C is given ${symbols.seen_last()}`);
    },

    async yields() {
      const seen: unknown[] = [];
      function* handler(i: number): Generator<number, number> {
        yield i;
        return i + 1;
      }
      function* caller(): Generator<unknown, void> {
        yield symbols.visit(3, peer.callback(handler));
      }
      try {
        for (const value of caller()) seen.push(value);
      } catch {
        // Some throw when they see the generator.
      }
      await sleep(1);
      return seen.join() === "0,1,2,6" ? yes() : no(`C is given ${symbols.seen_last()}`);
    },

    stops() {
      const { visit, seen_calls } = symbols;
      visit(10, peer.callback((i) => i < 2 ? i : -1));
      return seen_calls() === 3 ? partly("as the handler's answer") : no();
    },

    releases() {
      const released: number[] = [];
      const release = peer.callback((i) => released.push(i));
      symbols.visit_and_release(10, peer.callback((i) => i < 2 ? i : -1), release);
      return released.join() === "1,0" ? partly("as the handler's answer") : no();
    },

    async throws() {
      const { error, caught } = throwIn(1);
      await sleep(10);
      if (caught === error) return yes();
      if (uncaught.includes(error)) return no("it is an uncaught error");
      return caught === undefined ? no() : partly("as another object");
    },

    unwinds() {
      throwIn(3);
      if (symbols.seen_answers() > 0) {
        return no(`C runs on with ${symbols.seen_last() === 0 ? 0 : "a random value"}`);
      }
      return symbols.seen_cleanups() === 1 ? yes() : partly("cleanups do not run");
    },

    async jumps() {
      const callback = peer.callback(() => symbols.jump());
      for (let i = 0; i < JUMPS; i++) if (symbols.guarded(callback) !== 100) return no();
      // Some were jumped over that would have put something right at their end.
      collect();
      await sleep(1);
      const { error, caught } = throwIn(1);
      return caught === error || uncaught.includes(error) ? yes() : no("errors are lost then");
    },

    async background() {
      const callback = peer.callback((i) => i + 1);
      const { work } = background ?? symbols;
      let answer = 0;
      const ticks = await ticksDuring(async () => answer = await work(50, callback));
      return answer === 51 && ticks > 3 ? yes() : no();
    },

    async keeps() {
      const callback = peer.callback((i) => i * 6);
      symbols.keep(callback);
      await sleep(1);
      return symbols.call_kept(7) === 42 ? yes() : no();
    },

    async thread() {
      let called = false;
      const callback = peer.callback((i) => {
        called = true;
        return i * 6;
      }, true);
      symbols.start_thread(callback);
      for (let i = 0; i < 50 && symbols.seen_thread_answer() !== 42; i++) await sleep(10);
      if (symbols.seen_thread_answer() === 42) return yes();
      return called ? partly("C does not get the answer") : no();
    },

    async "thread-awaits"() {
      let called = false;
      const callback = peer.callback(async (i) => {
        called = true;
        await sleep(1);
        return i * 6;
      }, true);
      symbols.start_thread(callback);
      for (let i = 0; i < 50 && symbols.seen_thread_answer() !== 42; i++) await sleep(10);
      if (symbols.seen_thread_answer() === 42) return yes();
      return called ? no(`C is given ${symbols.seen_thread_answer()}`) : no();
    },

    structs() {
      if (peer.structs?.() !== 42) return no();
      return peer.structsAre === undefined ? yes() : partly(peer.structsAre);
    },

    layouts() {
      if (peer.layouts?.() !== 42) return no();
      return peer.layoutsAre === undefined ? yes() : partly(peer.layoutsAre);
    },

    bindings() {
      if (peer.bindings?.() !== 20) return no();
      return peer.bindingsAre === undefined ? yes() : partly(peer.bindingsAre);
    },

    variadic: () => peer.fixed?.() === 42 ? partly("with one fixed list of types") : no(),

    variables: () => peer.variable?.() === 42 ? yes() : no(),

    errno() {
      symbols.fails();
      if (peer.errno !== undefined) return peer.errno() === 42 ? yes() : no();
      if (peer.errnoOfThread === undefined) return no();
      return peer.errnoOfThread() === 42 ? partly("by a second call, of `__errno_location`") : no();
    },

    stack: () => symbols.deep(DEEP) === DEEP ? yes() : no(),

    permission() {
      let works = false;
      try {
        works = symbols.sum(5, peer.callback((i) => i * 2)) === 20;
        peer.open(other);
      } catch (error) {
        return works ? yes() : { ...no(peer.grant), seen: String(error) };
      }
      return { ...no(peer.grant), seen: `${other} was opened, too` };
    },

    ns() {
      const callback = peer.callback((i) => i);
      return time(100_000, (count) => symbols.sum(count, callback));
    },

    "async-ns": () => ({ verdict: "n/a" }),
  };
}

/** Those functions of trials.c that take nothing: what it tells of what has happened in it. */
const SEEN = [
  ...["seen_calls", "seen_answers", "seen_last", "seen_cleanups"] as const,
  ...["seen_pair", "seen_thread_answer", "jump", "fails"] as const,
] as const;

/** The functions of trials.c, each by what a peer calls its type. */
export function table<
  const Called,
  const Seen,
  const Given,
  const Kept,
  const Guarded,
  const Released,
>(
  types: {
    called: Called;
    seen: Seen;
    given: Given;
    kept: Kept;
    guarded: Guarded;
    released: Released;
  },
):
  & {
    readonly [name in "sum" | "visit" | "work"]: Called;
  }
  & {
    readonly [name in typeof SEEN[number]]: Seen;
  }
  & {
    readonly [name in "keep" | "start_thread"]: Given;
  }
  & {
    readonly [name in "call_kept" | "deep"]: Kept;
  }
  & { readonly guarded: Guarded; readonly visit_and_release: Released } {
  const { called, seen, given, kept, guarded, released } = types;
  const counters = Object.fromEntries(SEEN.map((name) => [name, seen])) as {
    [name in typeof SEEN[number]]: Seen;
  };
  return {
    sum: called,
    visit: called,
    work: called,
    ...counters,
    keep: given,
    start_thread: given,
    call_kept: kept,
    deep: kept,
    guarded,
    visit_and_release: released,
  };
}
