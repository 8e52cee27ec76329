// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Every public operation, done with little of V8's stack left: the program that
 * `tests/behaviour/stack_depth_test.ts` runs. An operation is a row of `stack_depth_rows.ts`.
 *
 * `act` runs with `room` bytes left, which grow by 16 from one time to the next. Before that
 * `prepare` has made what `act` needs, and after that `verify` looks at what has become of that:
 * both with V8's whole stack. There are three ways:
 *
 * - "fresh": `act` is done for the first time in the process, and V8 has to compile what it runs.
 *   V8 compiles a function only if 40 KiB are left, so here `room` begins near 40 KiB.
 * - "cold": `act` has been done once, without an error. So what runs in the error's way has not
 *   been compiled, and cannot be, for less than 40 KiB are left.
 * - "warm": `act` has been done often, and V8 has optimised it.
 *
 * Where nothing may be compiled in between, which is so in the first two, all is verified after the
 * last `act`.
 *
 * Arguments: the way, how many bytes `room` grows by, which operations, where `room` begins for
 * calls without end, and how often is often. Lines on stdout: `> operation`, `. room` before each
 * `act`, and a report in JSON after each operation.
 *
 * @module
 */

import { calibrate, withRoom } from "./stack_room.ts";
import { live, watchStacks } from "./stack_watch.ts";
import type { Operation, Outcome, Report } from "./stack_depth.ts";

// Before fringe opens its library.
watchStacks();
const { doSomething, operations, shared, stacksLost } = await import("./stack_depth_rows.ts");

const [way, stepText, which = "", startText = "0", roundsText = "200"] = Deno.args;
const STEP = Number(stepText);
/** For how many bytes `act` has to be done without an error before an operation is over. */
const SURE = 1024;
/** No operation needs more than that. */
const ROOM_MAX = 24 * 1024;

/** One time that `act` is tried. */
interface Try<S> {
  room: number;
  readonly state: S;
  outcome: Outcome | undefined;
  /** The scripts of C that have begun in it, by number. */
  readonly begun: [from: number, to: number][];
  /** The same of `verify`. */
  readonly later: [from: number, to: number][];
  failure: string | undefined;
}

const encoder = new TextEncoder();
function print(line: string): void {
  Deno.stdout.writeSync(encoder.encode(`${line}\n`));
}

// What an event listener throws goes here; as a rule it would end the process.
let uncaught: unknown[] = [];
addEventListener("error", (event) => {
  event.preventDefault();
  uncaught.push(event.error);
});
addEventListener("unhandledrejection", (event) => {
  event.preventDefault();
  uncaught.push(event.reason);
});

// Once, so that all that runs then has been compiled, and a listener that fails is no end of all.
reportError(new Error("once"));
uncaught = [];

function textOf(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}

/** Runs `f`, and notes which scripts of C have begun meanwhile. */
async function noting<T>(begun: [number, number][], f: () => T | Promise<T>): Promise<T> {
  const from = shared.begun;
  try {
    return await f();
  } finally {
    if (shared.begun > from) begun.push([from + 1, shared.begun]);
  }
}

async function prepare<S>(operation: Operation<S>): Promise<Try<S>> {
  const begun: [number, number][] = [];
  const state = await noting(begun, () => operation.prepare());
  return { room: Infinity, state, outcome: undefined, begun, later: [], failure: undefined };
}

function act<S>(operation: Operation<S>, attempt: Try<S>, room: number): void {
  attempt.room = room;
  print(`. ${room}`);
  const { state } = attempt;
  const from = shared.begun;
  const call = () => operation.act(state);
  try {
    const value = room === Infinity ? call() : withRoom(room, call);
    attempt.outcome = { done: true, value };
  } catch (error) {
    // An error holds the objects of its frames until it is asked for its stack.
    if (error instanceof Error) void error.stack;
    attempt.outcome = { done: false, error };
  }
  if (shared.begun > from) attempt.begun.push([from + 1, shared.begun]);
  // Nobody waits for it before `verify` does.
  const { outcome } = attempt;
  if (outcome?.done && outcome.value instanceof Promise) outcome.value.catch(() => {});
}

const OVERFLOW = "RangeError: Maximum call stack size exceeded";

/** Whether `act` may have thrown this. */
function isAllowed(operation: Operation<unknown>, error: unknown): boolean {
  const text = textOf(error);
  return text === OVERFLOW || (operation.throws?.test(text) ?? false);
}

async function verify<S>(operation: Operation<S>, attempt: Try<S>): Promise<void> {
  const outcome = attempt.outcome!;
  try {
    if (!outcome.done && !isAllowed(operation as Operation<unknown>, outcome.error)) {
      throw new Error(`threw ${textOf(outcome.error)}`);
    }
    await noting(attempt.later, () => operation.verify(attempt.state, outcome));
  } catch (error) {
    const after = outcome.done ? "after it was done" : "after it had thrown";
    attempt.failure = `${after}: ${textOf(error)}`;
  }
  // An error holds what was called where it was made, until somebody has looked at its `stack`.
  attempt.outcome = outcome.done ? outcome : { done: false, error: textOf(outcome.error) };
}

/** Looks at which scripts of C have ended, and in what order. */
function checkTrace<S>(operation: Operation<S>, attempt: Try<S>, ended: readonly number[]): void {
  if (attempt.failure !== undefined) return;
  for (const range of [...attempt.begun, ...attempt.later]) {
    const [from, to] = range;
    const those = ended.filter((script) => script >= from && script <= to);
    const missing: number[] = [];
    for (let script = from; script <= to; script++) {
      if (!those.includes(script)) missing.push(script);
    }
    const more = those.length - (to - from + 1) + missing.length;
    if (missing.length > 0) {
      attempt.failure = `${missing.length} of ${to - from + 1} frames of C have not been ended`;
    } else if (more > 0) {
      attempt.failure = `${more} frames of C have been ended twice`;
    } else if (
      operation.nested && attempt.begun.includes(range) &&
      those.some((script, i) => i > 0 && script > those[i - 1]!)
    ) {
      attempt.failure = `frames of C have been ended in the wrong order`;
    } else continue;
    return;
  }
}

async function collect(): Promise<void> {
  const { gc } = globalThis as { gc?: () => void };
  for (let i = 0; i < 3; i++) {
    gc!();
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

/** A sweep: `room` from `start` on, until all is well `SURE` times in a row. */
async function sweep<S>(operation: Operation<S>, start: number): Promise<Report> {
  const tries: Try<S>[] = [];
  // A run without end fills C's trace by itself.
  const isWhole = operation.runaway === true || operation.interrupted === true;
  const isBatch = (way !== "warm" || operation.dropped === true) && !isWhole;
  const step = STEP * (operation.steps ?? 1);
  let sure = 0;
  let firstDone: number | undefined;
  const check = async (): Promise<void> => {
    for (const attempt of tries) await verify(operation, attempt);
    if (operation.dropped) await collect();
    // What could not be ended may be ended by whatever is done next.
    try {
      doSomething();
    } catch (error) {
      for (const attempt of tries) attempt.failure ??= `nothing works afterwards: ${textOf(error)}`;
    }
    const ended = shared.takeTrace();
    for (const attempt of tries) checkTrace(operation, attempt, ended);
  };
  shared.takeTrace();
  const count = !isWhole ? ROOM_MAX / step : way === "fresh" ? 1 : 16;
  const report: Report = {
    operation: operation.name,
    way: way!,
    acts: 0,
    done: 0,
    firstDone: 0,
    failures: {},
    errors: {},
  };
  const note = (attempt: Try<S>): void => {
    const { failure, room } = attempt;
    const outcome = attempt.outcome!;
    report.acts++;
    if (outcome.done) report.done++;
    else report.errors[textOf(outcome.error)] = (report.errors[textOf(outcome.error)] ?? 0) + 1;
    if (failure === undefined) return;
    const known = report.failures[failure] ??= { count: 0, from: room, to: room };
    known.count++;
    known.to = room;
  };
  calibrate();
  for (let i = 0; i < count && sure < SURE; i++) {
    const attempt = await prepare(operation);
    tries.push(attempt);
    act(operation, attempt, start + i * step);
    // What it throws in good order is no want of stack.
    const isWell = attempt.outcome!.done || textOf(attempt.outcome!.error) !== OVERFLOW;
    sure = isWell ? sure + step : 0;
    if (isWell) firstDone ??= attempt.room;
    if (isBatch) continue;
    await check();
    note(attempt);
    tries.length = 0;
  }
  if (isBatch) {
    await check();
    for (const attempt of tries) note(attempt);
  }
  report.firstDone = firstDone ?? -1;
  return report;
}

function add(report: Report, failure: string): void {
  (report.failures[failure] ??= { count: 0, from: 0, to: 0 }).count++;
}

/** Those that the operations before have lost. */
let lostBefore = 0;

async function run(operation: Operation<unknown>): Promise<Report> {
  const isWhole = operation.runaway === true || operation.interrupted === true;
  const rounds = way === "fresh" || isWhole ? 0 : way === "cold" ? 1 : Number(roundsText);
  let broken: string | undefined;
  for (let i = 0; i < rounds; i++) {
    shared.takeTrace();
    const attempt = await prepare(operation);
    act(operation, attempt, Infinity);
    await verify(operation, attempt);
    doSomething();
    if (!operation.dropped) checkTrace(operation, attempt, shared.takeTrace());
    if (attempt.failure !== undefined) {
      broken = `with all of V8's stack: ${attempt.failure}`;
      break;
    }
  }
  // A function is compiled if 40 KiB are left; below that the first one cannot be.
  const start = isWhole ? 300 * 1024 + Number(startText) : way === "fresh" ? 40 * 1024 - 512 : 0;
  const report = await sweep(operation, start);
  if (broken !== undefined) add(report, broken);
  let lost = lostBefore;
  try {
    lost = stacksLost(live);
    // What is garbage is no more than late.
    if (lost > lostBefore) await collect();
    lost = stacksLost(live);
  } catch (error) {
    add(report, `nothing works afterwards: ${textOf(error)}`);
  }
  if (lost > lostBefore) add(report, `${lost - lostBefore} stacks are never free again`);
  lostBefore = lost;
  for (const error of uncaught) {
    if (textOf(error) !== OVERFLOW) add(report, `uncaught ${textOf(error)}`);
  }
  uncaught = [];
  return report;
}

if (way === "list") {
  for (const { name, runaway, interrupted } of operations) {
    print(JSON.stringify({ name, runaway, interrupted }));
  }
  Deno.exit(0);
}
// All of them; all `after:` one that has ended the process; or one alone.
const isAfter = which.startsWith("after:");
const index = operations.findIndex(({ name }) => name === which.replace(/^after:/, ""));
for (const [i, operation] of operations.entries()) {
  if (isAfter ? i <= index : index >= 0 && i !== index) continue;
  if (operation.interrupted && way !== "warm" || operation.runaway && way === "cold") continue;
  print(`> ${operation.name}`);
  try {
    print(JSON.stringify(await run(operation)));
  } catch (error) {
    console.error(error);
    Deno.exit(1);
  }
}
print("end");
Deno.exit(0);
