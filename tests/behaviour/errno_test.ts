// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** errno: what C has left in it is there when C goes on, and is given to who wants it. */

import { assertEquals, assertThrows } from "@std/assert";
import { dlopen, Generator, OsStack, PointerView, tailCall } from "../../mod.ts";
import { gc } from "../support/support.ts";

const EBADF = 9;
const ENOENT = 2;

const compare = { callback: { parameters: ["pointer", "pointer"], result: "i32" } } as const;

const openLibc = () =>
  dlopen("libc.so.6", {
    lsearch: { parameters: ["buffer", "buffer", "buffer", "usize", compare], result: "pointer" },
    __errno_location: { parameters: [], result: "pointer" },
    close: { parameters: ["i32"], result: "i32" },
    close_errno: { name: "close", parameters: ["i32"], result: "i32", errno: true },
    close_elsewhere: {
      name: "close",
      parameters: ["i32"],
      result: "i32",
      errno: true,
      nonblocking: true,
    },
    access: { parameters: ["cstring", "i32"], result: "i32" },
    getpid: { parameters: [], result: "i32", errno: true },
    strtoull: { parameters: ["cstring", "pointer", "i32"], result: "u64", errno: true },
  });

Deno.test("C finds errno as it has left it, in every form, whatever JavaScript does", async () => {
  using libc = openLibc();
  const { lsearch, __errno_location, close, access } = libc.symbols;
  const errno = () => new PointerView(__errno_location()!).getInt32();
  let seen: number[] = [];
  // lsearch compares 0 with each of four bytes: in the first comparison C itself fails to close.
  const answer = () => {
    seen.push(errno());
    if (seen.length === 1) return tailCall(close, -1);
    access("/there is no such file", 0);
    seen.push(errno());
    gc();
    return 1;
  };
  const args = () =>
    [Uint8Array.of(0), Uint8Array.of(1, 2, 3, 4, 0), BigUint64Array.of(4n), 1] as const;
  const check = (form: string) => {
    // What is there at first does not matter.
    assertEquals(seen.slice(1), [EBADF, ENOENT, EBADF, ENOENT, EBADF, ENOENT], form);
    seen = [];
  };
  lsearch(...args(), answer);
  check("f()");
  await lsearch.async(...args(), async () => {
    const value = answer();
    await new Promise((resolve) => setTimeout(resolve));
    access("/there is no such file", 0);
    return value;
  });
  check("f.async()");
  for (const { reply } of lsearch.calls(...args())) {
    reply(answer());
    access("/there is no such file", 0);
  }
  check("f.calls()");
  using generator = new Generator(new OsStack(), function* (yielder) {
    yield* yielder.call(lsearch, ...args(), function* () {
      const value = answer();
      yield 1;
      return value;
    });
  });
  for (const _ of generator) access("/there is no such file", 0);
  check("yielder.call()");
});

Deno.test("errno: true gives errno with the value, in every form", async () => {
  using libc = openLibc();
  const { close_errno, close_elsewhere, access } = libc.symbols;
  const failed = { value: -1, errno: EBADF };
  for (let i = 0; i < 2000; i++) assertEquals(close_errno(-1), failed);
  assertEquals(await close_errno.async(-1), failed);
  assertEquals(await close_elsewhere(-1), failed);
  assertEquals(close_errno.calls(-1).next(), { value: failed, done: true });
  using generator = new Generator(new OsStack(), function* (yielder) {
    return yield* yielder.call(close_errno, -1);
  });
  assertEquals(generator.next(), { value: failed, done: true });
  assertEquals(access("/", 0), 0);
});

Deno.test("C whose errno is wanted begins with 0", () => {
  using libc = openLibc();
  const { access, getpid, strtoull } = libc.symbols;
  access("/there is no such file", 0);
  assertEquals(getpid(), { value: Deno.pid, errno: 0 });
  // strtoull(3) tells only by errno that a number was too large: ERANGE.
  assertEquals(strtoull("18446744073709551615", null, 10), { value: 2n ** 64n - 1n, errno: 0 });
  assertEquals(strtoull("18446744073709551616", null, 10), { value: 2n ** 64n - 1n, errno: 34 });
});

Deno.test("errno must be a boolean", () => {
  assertThrows(
    () => dlopen("libc.so.6", { getpid: { parameters: [], result: "i32", errno: 1 as never } }),
    TypeError,
    "Cannot open symbol getpid: errno must be a boolean: got 1",
  );
});
