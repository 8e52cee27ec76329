// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * What `stack_depth_child.ts`, its table of operations, and the test that runs it agree on.
 *
 * @module
 */

/** How an operation went. */
export type Outcome =
  | { readonly done: true; readonly value: unknown }
  | { readonly done: false; readonly error: unknown };

/** A public operation. */
export interface Operation<S> {
  readonly name: string;
  /** Makes what it needs. */
  prepare(): S | Promise<S>;
  /** Does it, with little of V8's stack left. */
  act(state: S): unknown;
  /**
   * Throws if it was neither done, nor can be done now; ends and gives back all there is. What C
   * has begun, in `prepare` too, must have ended then, once.
   */
  verify(state: S, outcome: Outcome): void | Promise<void>;
  /** What else than "Maximum call stack size exceeded" it may throw. */
  readonly throws?: RegExp;
  /** Whether of what C has begun at a time the last has to end first. */
  readonly nested?: boolean;
  /** Whether the rest is left to the garbage collector. */
  readonly dropped?: boolean;
  /** How many steps `room` grows by, where a process has few of what `prepare` takes. */
  readonly steps?: number;
  /** Whether `act` itself uses up V8's stack, from near its beginning. */
  readonly runaway?: boolean;
  /** Whether `act` is interrupted instead. */
  readonly interrupted?: boolean;
}

/** What is said of an operation. */
export interface Report {
  readonly operation: string;
  readonly way: string;
  acts: number;
  done: number;
  /** With how many bytes left it was done for the first time. */
  firstDone: number;
  /** What was wrong, how often, and with how many bytes left. */
  readonly failures: Record<string, { count: number; from: number; to: number }>;
  /** What it threw, and how often. */
  readonly errors: Record<string, number>;
}
