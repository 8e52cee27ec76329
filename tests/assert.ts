// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * The assertions that the tests use, named as in `@std/assert` and mapped to it in `deno.json`.
 *
 * They stand on `node:assert`, which is built in, because the registry that serves `@std/assert`
 * is out of reach of some machines that must run the tests.
 *
 * @module
 */

import nodeAssert, { AssertionError } from "node:assert/strict";

export { AssertionError };

// deno-lint-ignore no-explicit-any -- a constructor may take anything, as in @std/assert
type Class<T> = abstract new (...args: any[]) => T;

/** Fails at once. */
export function fail(message?: string): never {
  throw new AssertionError({ message: message ?? "Failed assertion", stackStartFn: fail });
}

/** Asserts that `condition` is truthy. */
export function assert(condition: unknown, message?: string): asserts condition {
  if (!condition) fail(message ?? "Expected a truthy value");
}

/** Asserts that both are deeply equal, with prototypes compared. */
export function assertEquals<T>(actual: T, expected: T, message?: string): void {
  nodeAssert.deepStrictEqual(actual, expected, message);
}

/** Asserts that both are not deeply equal. */
export function assertNotEquals<T>(actual: T, expected: T, message?: string): void {
  nodeAssert.notDeepStrictEqual(actual, expected, message);
}

/** Asserts that both are the same value, as `Object.is` tells. */
export function assertStrictEquals<T>(
  actual: unknown,
  expected: T,
  message?: string,
): asserts actual is T {
  nodeAssert.strictEqual(actual, expected, message);
}

/** Asserts that `actual` is neither `null` nor `undefined`. */
export function assertExists<T>(actual: T, message?: string): asserts actual is NonNullable<T> {
  if (actual === undefined || actual === null) {
    fail(message ?? `Expected a value, got ${actual}`);
  }
}

/** Asserts that `actual` is greater than `expected`. */
export function assertGreater<T>(actual: T, expected: T, message?: string): void {
  if (!(actual > expected)) fail(message ?? `Expected ${actual} > ${expected}`);
}

/** Asserts that `actual` is less than `expected`. */
export function assertLess<T>(actual: T, expected: T, message?: string): void {
  if (!(actual < expected)) fail(message ?? `Expected ${actual} < ${expected}`);
}

/** Asserts that two numbers differ by no more than `tolerance`, else a ten-millionth of one. */
export function assertAlmostEquals(
  actual: number,
  expected: number,
  tolerance?: number,
  message?: string,
): void {
  if (Object.is(actual, expected)) return;
  const allowed = tolerance ?? (Number.isFinite(expected) ? Math.abs(expected * 1e-7) : 1e-7);
  if (!(Math.abs(expected - actual) <= allowed)) {
    fail(message ?? `Expected ${actual} to be within ${allowed} of ${expected}`);
  }
}

/** Asserts that `actual` is an instance of `expected`. */
export function assertInstanceOf<T>(
  actual: unknown,
  expected: Class<T>,
  message?: string,
): asserts actual is T {
  if (actual instanceof expected) return;
  fail(message ?? `Expected an instance of ${expected.name}, got ${describe(actual)}`);
}

/** Asserts that `actual` matches a regular expression. */
export function assertMatch(actual: string, expected: RegExp, message?: string): void {
  if (!expected.test(actual)) fail(message ?? `Expected ${JSON.stringify(actual)} =~ ${expected}`);
}

/** Asserts that `actual` contains `expected`. */
export function assertStringIncludes(actual: string, expected: string, message?: string): void {
  if (actual.includes(expected)) return;
  fail(message ?? `Expected ${JSON.stringify(actual)} to contain ${JSON.stringify(expected)}`);
}

/** Asserts that `fn` throws, and returns what it threw. */
export function assertThrows(fn: () => unknown, message?: string): unknown;
/** Asserts that `fn` throws an error of a class, with a message that contains some text. */
export function assertThrows<E extends Error>(
  fn: () => unknown,
  errorClass: Class<E>,
  messageIncludes?: string,
  message?: string,
): E;
export function assertThrows(
  fn: () => unknown,
  classOrMessage?: Class<Error> | string,
  messageIncludes?: string,
  message?: string,
): unknown {
  const expected = expectation(classOrMessage, messageIncludes, message);
  try {
    fn();
  } catch (error) {
    return expected.checked(error);
  }
  fail(expected.message ?? "Expected the function to throw");
}

/** Asserts that the promise `fn` returns is rejected, and resolves to the reason. */
export function assertRejects(fn: () => PromiseLike<unknown>, message?: string): Promise<unknown>;
/** Asserts that it is rejected with an error of a class, with a message that contains some text. */
export function assertRejects<E extends Error>(
  fn: () => PromiseLike<unknown>,
  errorClass: Class<E>,
  messageIncludes?: string,
  message?: string,
): Promise<E>;
export async function assertRejects(
  fn: () => PromiseLike<unknown>,
  classOrMessage?: Class<Error> | string,
  messageIncludes?: string,
  message?: string,
): Promise<unknown> {
  const expected = expectation(classOrMessage, messageIncludes, message);
  let promise: PromiseLike<unknown>;
  try {
    promise = fn();
  } catch (error) {
    fail(`Expected a rejected promise, but the function itself threw ${describe(error)}`);
  }
  try {
    await promise;
  } catch (error) {
    return expected.checked(error);
  }
  fail(expected.message ?? "Expected the promise to be rejected");
}

interface Expectation {
  readonly message: string | undefined;
  checked(error: unknown): unknown;
}

function expectation(
  classOrMessage: Class<Error> | string | undefined,
  messageIncludes: string | undefined,
  message: string | undefined,
): Expectation {
  if (typeof classOrMessage !== "function") {
    return { message: classOrMessage, checked: (error) => error };
  }
  return {
    message,
    checked(error): unknown {
      assertInstanceOf(error, classOrMessage, message);
      if (messageIncludes !== undefined) {
        assertStringIncludes(error.message, messageIncludes, message);
      }
      return error;
    },
  };
}

function describe(value: unknown): string {
  return value instanceof Error ? `${value.name}: ${value.message}` : Deno.inspect(value);
}
