// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** What the benches make of their samples, and what the guards of the hot paths say. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { complaint, guards } from "../../bench/guards.ts";
import { type Figure, isNoisy, judge, outcome, type Rounds, summary } from "../../bench/judge.ts";
import { count } from "../../bench/steps.ts";
import { isInstalled } from "../../tools/packages.ts";
import { text } from "../support/repository.ts";

const figures = (a: Rounds, b: Rounds): Figure[] => [
  { group: "", name: "a", rounds: a },
  { group: "", name: "b", rounds: b },
];

const target = { name: "a to b", of: "a", to: "b", atMost: 0.5 };

Deno.test("summary() goes by the least samples of the rounds", () => {
  assertEquals(summary([[5, 3, 4], [9, 2, 7], [4, 4, 8]]), { ns: 2, median: 4, spread: [2, 4] });
});

Deno.test("summary() leaves a round out that was faster than all others", () => {
  const rounds = [[3], [4], [1], [3], [3], [9], [9], [9]];
  assertEquals(summary(rounds), { ns: 3, median: 4, spread: [1, 9] });
});

Deno.test("judge() sets the least samples beside each other, whatever the others are", () => {
  const quiet = judge(target, figures([[1, 9, 1], [1, 1, 1]], [[2, 2, 2], [2, 99, 2]]));
  assertEquals(quiet, { ...target, ratio: 0.5, spread: [0.5, 0.5], differs: 0 });
  assertEquals(outcome(quiet), "met");
  assert(!isNoisy(quiet));
});

Deno.test("judge() tells by how much one half of the rounds differs from the other", () => {
  const noisy = judge(target, figures([[1], [1.2], [1], [1.2]], [[1], [1], [1], [1]]));
  assertEquals(noisy, { ...target, ratio: 1, spread: [1, 1.2], differs: 0.2 });
  assertEquals(outcome(noisy), "missed");
  assert(isNoisy(noisy));
  // One bad round of four is none of the machine's.
  assert(!isNoisy(judge(target, figures([[1], [9], [1], [1]], [[1], [1], [1], [1]]))));
});

Deno.test("judge() says nothing of what was not measured", () => {
  assertEquals(judge(target, figures([[1]], [])), target);
  assertEquals(outcome(target), "not measured");
  assert(!isNoisy(target));
  // From one round nobody knows what the next would give.
  assertEquals(judge(target, figures([[1]], [[2]])), { ...target, ratio: 0.5, spread: [0.5, 0.5] });
});

const known = new Map([["a", 10], ["b", 20]]);

Deno.test("a guard breaks where a ratio is more than twice what it was", () => {
  assertEquals(complaint(["a", "b"], known, new Map([["a", 100], ["b", 100]])), undefined);
  assertEquals(
    complaint(["a", "b"], known, new Map([["a", 101], ["b", 100]])),
    'a: 1.01 of what "b" takes, and it was 0.50',
  );
  assertThrows(() => complaint(["a", "c"], known, known), Error, 'Cannot guard "a"');
});

Deno.test("every guard is of operations that bench/results.json has", () => {
  const { figures } = JSON.parse(text("bench/results.json")) as {
    figures: { name: string; ns: number }[];
  };
  const measured = new Map(figures.map(({ name, ns }) => [name, ns]));
  const all = Object.values(guards).flat();
  assert(all.length > 0);
  for (const guard of all) assertEquals(complaint(guard, measured, measured), undefined);
});

Deno.test({
  name: "steps.ts counts what a call takes in V8's code, in the function's, and in fringe's",
  ignore: !isInstalled("gdb") || Deno.build.arch !== "x86_64" || Deno.uid() !== 0,
  async fn() {
    const plain = await count({ file: "resume", name: "plain FFI call", entry: "plus_one" });
    assert(plain.javascript > plain.body && plain.body > 1, JSON.stringify(plain));
    assertEquals(plain.fringe, 0);
    const name = "fringe_resume by FFI, and nothing else";
    const resumed = await count({ file: "resume", name, entry: "fringe_resume", alone: true });
    assertEquals(resumed.name, `${name}, alone in a process`);
    assert(resumed.fringe > 20 && resumed.body > plain.body, JSON.stringify(resumed));
  },
});
