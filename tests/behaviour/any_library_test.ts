// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** Errors that only a program meets which may open any library; the core suite may not. */

import { assertStringIncludes, assertThrows } from "@std/assert";
import { dlopen } from "../../mod.ts";
import { openBodies } from "../support/support.ts";

Deno.test("dlopen() says of a library that cannot be opened what to look at", () => {
  const message = (filename: URL | string): string =>
    assertThrows(() => dlopen(filename, {}), Error, "Could not open library").message;
  for (const name of ["./no_such_library.so", "no_such_library"]) {
    assertStringIncludes(message(name), "; a path is relative to the working directory, or absol");
  }
  const missing = import.meta.resolve("./no_such_library.so");
  assertStringIncludes(message(missing), "; a string is a path, and this is an address: pass new");
  assertStringIncludes(message(new URL(missing)), "; a path is relative to the working directory");
  for (const address of ["https://example.com/library.so", "HTTP://example.com/library.so"]) {
    assertStringIncludes(message(address), "address of the Web: download the library first");
  }
  const text = new URL(import.meta.url);
  assertStringIncludes(message(text), "; it must be a shared library for this system");
});

Deno.test("f() says what to pass in place of a Deno.UnsafeCallback", () => {
  using library = openBodies();
  const call_n = library.symbols.call_n as (...args: unknown[]) => unknown;
  const message = (handler: unknown): string =>
    assertThrows(() => call_n(1, handler), TypeError, "argument 1 must be a function").message;
  const unsafe = new Deno.UnsafeCallback({ parameters: ["i32"], result: "i32" }, () => 1);
  assertStringIncludes(message(unsafe), "got an object of class UnsafeCallback; use a Callback");
  assertStringIncludes(message(unsafe.pointer), "UnsafeCallback ends the process: make a Callback");
  unsafe.close();
});
