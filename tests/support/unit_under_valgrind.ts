// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * The core suite, and calls on other threads, as they run under Valgrind, where everything takes
 * fifty times as long: all in one file, since V8 begins each with seconds of work, and without what
 * goes on for minutes there because it repeats something, or collects all garbage again and again.
 */

const long = new RegExp(
  ",000|thousand|million|many|every length|any bytes|wherever it stands|without end|" +
    "collect|garbage|held|holds|keeps its|for as long as|of every kind|optimised|all strings|" +
    "no room|unwound, too|" +
    "frames of a native body|never reaches|dropped",
);

/**
 * What goes another way there. Valgrind says of a size that no address space has that it is none
 * (EINVAL). And the body of an overflow is left by the return of a signal's handler, which moves
 * the stack pointer where Valgrind does not see it.
 */
const otherwise = new Set([
  "new OsStack() says what to do when the system has no room for it",
  "ThreadStack says so when there is no memory for one",
  "an overflow on a stack of a pool is thrown where that is wanted",
  "fill() throws the overflow that resume() does, and keeps what came before",
  "Generator.next() says done once a native body has failed, where resume() throws",
  "a call that is cut short before its first frame has not ended as the last did",
]);

const { test } = Deno;
Object.defineProperty(Deno, "test", {
  value: (name: string, fn: (context: Deno.TestContext) => void | Promise<void>): void => {
    if (!otherwise.delete(name) && !long.test(name)) test(name, fn);
  },
});
const unit = new URL("../unit/", import.meta.url);
for (const { name } of Deno.readDirSync(unit)) await import(new URL(name, unit).href);
await import("../behaviour/nonblocking_test.ts");
if (otherwise.size > 0) throw new Error(`There is no test "${[...otherwise].join('", "')}"`);
