// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * The questions of the comparison, as the README asks them.
 *
 * @module
 */

/** What is tried, by the name of the trial. */
export const rows = {
  "plain": "calls a C library as it is",
  "awaits": "the handler may `await`: C waits, the event loop runs",
  "yields": "the handler may `yield` out of the generator that has called C",
  "stops": "the caller may stop C half-way, and C is told",
  "releases": "and a function answers what C calls until it has stopped",
  "throws": "an error in the handler reaches the caller",
  "unwinds": "C goes no further then: its frames are unwound, cleanups run",
  "jumps": "the handler may have C jump (`longjmp`) out of what has called it",
  "background": "the event loop runs while C computes",
  "keeps": "C may keep a callback",
  "thread": "C may call it on a thread of its own",
  "thread-awaits": "on a thread of its own the handler may `await`: the thread waits",
  "structs": "C may pass the callback a struct by value, whose fields have names",
  "layouts": "a struct in C's memory is read and written by the names of its fields",
  "variadic": "the callback may be variadic (`...`): the handler says what it reads",
  "variables": "a variable of the library can be read",
  "bindings": "the library's table is made from its C header",
  "errno": "the caller gets the `errno` that C has left",
  "stack": "C may have more stack than the thread",
  "permission": "a permission for this one library is enough",
  "ns": "one callback, plain handler",
  "async-ns": "one callback, async handler",
} as const;

/** The name of a trial. */
export type Row = keyof typeof rows;

/** What a probe prints first: from here on, what ends the process is the peer's answer. */
export const BEGUN = "begun";
