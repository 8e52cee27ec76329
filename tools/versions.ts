// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Runs a small program in other versions of Deno, which come from npm: the lowest that fringe works
 * in, one between, and the newest. It imports `mod.ts` over HTTP, from an empty cache, and makes a
 * generator and a call with a callback. The last Deno below the lowest, Node and Bun are told what
 * fringe needs.
 *
 * A runtime that cannot be had, as where npm's registry is out of reach, is named and counts as
 * skipped.
 *
 * @module
 */

import { join } from "node:path";
import { LOWEST_DENO } from "../ffi/library/runtime.ts";
import { type Counts, one, total } from "./counts.ts";
import { Served } from "./served.ts";
import { root } from "./zig.ts";

/** A package of npm that is a runtime, its arguments to run the child, and what that prints. */
interface Runtime {
  readonly name: string;
  /** Where the program has `mod.ts` from. */
  readonly from: "HTTP" | "a checkout";
  run(served: Served): string[];
  readonly says: RegExp;
}

const WORKS = /^generator\ncallbacks 3\n$/;

const child = "tools/versions_child.ts";
const flags = ["run", "--no-prompt", "--no-check", "--allow-ffi"];
const inCheckout = [join(root, child), `file://${root}/mod.ts`];

const runtimes: readonly Runtime[] = [
  overHttp(LOWEST_DENO, WORKS),
  overHttp("2.8.0", WORKS),
  overHttp("latest", WORKS),
  // The file of a checkout that may be read is looked at in another way.
  {
    name: `deno@${LOWEST_DENO}`,
    from: "a checkout",
    run: () => [...flags, "--allow-read", ...inCheckout],
    says: WORKS,
  },
  overHttp(`<${LOWEST_DENO}`, /^FringeError: .*: this is Deno \S+, and fringe needs Deno .*\n$/),
  ...["node", "bun"].map((name): Runtime => ({
    name: `${name}@latest`,
    from: "a checkout",
    run: () => inCheckout,
    says: /^FringeError: fringe needs Deno .*\n$/,
  })),
];

function overHttp(version: string, says: RegExp): Runtime {
  return {
    name: `deno@${version}`,
    from: "HTTP",
    run: (served) => [
      ...[...flags, `--allow-import=${served.host}`],
      ...[served.urlOf(child), served.url],
    ],
    says,
  };
}

/** Runs the program in each runtime that can be had, one after the other. */
export async function versions(): Promise<Counts> {
  await using served = new Served();
  const counts: Counts[] = [];
  for (const runtime of runtimes) counts.push(await judge(runtime, served));
  return total(counts);
}

async function judge({ name, from, run, says }: Runtime, served: Served): Promise<Counts> {
  const had = await npx([name, "--version"]);
  if (!had.success) {
    const code = had.stderr.match(/^npm error code (\S+)/m)?.[1] ?? had.stderr.trim();
    console.log(`${name} was not run, since npm does not give it (${code})`);
    return { passed: 0, failed: 0, skipped: 1 };
  }
  const version = had.stdout.match(/\d+\.\d+\.\d+/)?.[0] ?? "unknown";
  const { stdout, stderr } = await npx([name, ...run(served)]);
  const isRight = says.test(stdout);
  const outcome = isRight ? "ok" : `it printed ${stdout}${stderr}`;
  console.log(`${name}, which is ${version}, with mod.ts from ${from}: ${outcome}`);
  return one(isRight);
}

interface Ended {
  readonly success: boolean;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a package of npm, with nothing of Deno's cached. */
async function npx(args: string[]): Promise<Ended> {
  const cache = await Deno.makeTempDir({ prefix: "fringe-versions-" });
  try {
    const { success, stdout, stderr } = await new Deno.Command("npx", {
      args: ["--yes", ...args],
      // Elsewhere than in the checkout, whose deno.json is not to be found.
      cwd: cache,
      env: {
        ...{ NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1", DENO_DIR: cache, FRINGE_LIBRARY: "" },
        npm_config_fetch_retries: "0",
      },
      stdin: "null",
    }).output();
    const decoder = new TextDecoder();
    return { success, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
  } finally {
    await Deno.remove(cache, { recursive: true });
  }
}
