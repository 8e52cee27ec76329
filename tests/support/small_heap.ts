// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Makes collections of garbage fast: `deno test --preload=tests/support/small_heap.ts`, for the
 * gate's stage `deno-aarch64`.
 *
 * In `deno test`, too, there is an array of ten million places that `Deno.bench` would write its
 * times to: `let all = new Array(allMaxLength)` in cli/js/40_bench.js of Deno's sources. Each
 * collection looks at each place, which takes some 30 ms, and a second in an emulator. Nothing but
 * that module reaches the array, and the inspector, which sees what a function has in its scopes.
 * Tests have no use for it, so all places go here, before the first test.
 *
 * @module
 */

import { type Runtime, Session } from "node:inspector/promises";

const session = new Session();

async function propertiesOf(objectId: string): Promise<Runtime.GetPropertiesReturnType> {
  return await session.post("Runtime.getProperties", { objectId, ownProperties: true });
}

/** Empties the array. */
async function emptyArray(): Promise<void> {
  const { result: bench } = await session.post("Runtime.evaluate", { expression: "Deno.bench" });
  const { internalProperties } = await propertiesOf(bench.objectId!);
  const scopes = internalProperties?.find(({ name }) => name === "[[Scopes]]")?.value;
  for (const { value: scope } of (await propertiesOf(scopes!.objectId!)).result) {
    // Global variables are not what is sought, and there are very many.
    if (!scope?.objectId || scope.description === "Global") continue;
    const { result: variables } = await propertiesOf(scope.objectId);
    const array = variables.find(({ name }) => name === "all")?.value;
    if (array?.description !== "Array(10000000)") continue;
    const functionDeclaration = "function () { this.length = 0; }";
    await session.post("Runtime.callFunctionOn", {
      objectId: array.objectId!,
      functionDeclaration,
    });
    return;
  }
  throw new Error("Cannot empty the array of Deno.bench: there is none. Remove this module");
}

session.connect();
await emptyArray();
session.disconnect();
