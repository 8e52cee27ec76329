// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Safety nets. That a program which never comes back to the event loop gathers no entries is in
 * behaviour/memory_test.ts.
 */

import { assertEquals } from "@std/assert";
import { type Caught, Net } from "../../ffi/stack/net.ts";
import { collectUntil, gc } from "../support/support.ts";

/** What is left of an object. */
class Rest implements Caught {
  batch: Caught["batch"];
  readonly name: number;

  constructor(name: number) {
    this.name = name;
  }
}

/** Lets finalizers run that could. */
async function settle(): Promise<void> {
  for (let i = 0; i < 3; i++) {
    gc();
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

Deno.test("Net catches each object that is dropped, once, and none that was removed", async () => {
  const caught: number[] = [];
  const net = new Net<Rest>(({ name }) => caught.push(name));
  // Of 100 every third is removed, and every third is held.
  const held: object[] = [];
  const rests = (() =>
    Array.from({ length: 100 }, (_, name) => {
      const [object, rest] = [{}, new Rest(name)];
      net.add(object, rest);
      if (name % 3 === 1) held.push(object);
      return rest;
    }))();
  for (const rest of rests) if (rest.name % 3 === 0) net.remove(rest);
  const expected = rests.filter(({ name }) => name % 3 === 2).map(({ name }) => name);
  await collectUntil(() => caught.length >= expected.length);
  await settle();
  assertEquals(caught.toSorted((a, b) => a - b), expected);
  assertEquals(held.length, 33);
  // Nothing is left of those; the others can still be caught.
  for (const { name, batch } of rests) assertEquals(batch !== undefined, name % 3 === 1);
  held.length = 0;
  await collectUntil(() => caught.length >= 66);
  await settle();
  assertEquals(caught.length, expected.length + 33);
});

Deno.test("Net lets go of what was removed, though no batch of its was full", async () => {
  const caught: number[] = [];
  const net = new Net<Rest>(({ name }) => caught.push(name));
  (() => {
    for (let name = 0; name < 5; name++) {
      const rest = new Rest(name);
      net.add({}, rest);
      net.remove(rest);
      net.remove(rest);
    }
    net.add({}, new Rest(5));
  })();
  await collectUntil(() => caught.length > 0);
  await settle();
  assertEquals(caught, [5]);
});

Deno.test("Net forgets a batch when all of its are removed, and no other's", async () => {
  const caught: number[] = [];
  const net = new Net<Rest>(({ name }) => caught.push(name));
  (() => {
    const rests = Array.from({ length: 40 }, (_, name) => new Rest(name));
    for (const rest of rests) net.add({}, rest);
    // The first batch as a whole, all but one of the second, and none of the third.
    for (const rest of rests.slice(0, 31)) net.remove(rest);
  })();
  await collectUntil(() => caught.length >= 9);
  await settle();
  assertEquals(caught.toSorted((a, b) => a - b), [31, 32, 33, 34, 35, 36, 37, 38, 39]);
});
