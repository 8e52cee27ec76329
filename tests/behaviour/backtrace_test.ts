// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * What gdb, valgrind and libunwind make of a call stack that goes over several stacks: they go
 * through the program of native/backtrace_program.zig, and see each frame of it, in order.
 */

import { assert, assertEquals } from "@std/assert";
import { join } from "node:path";
import { type Installable, isInstalled } from "../../tools/packages.ts";
import { root, zigBuild } from "../../tools/zig.ts";
import { moduleUrl, testBodies, testWith } from "../support/support.ts";

/** What is seen in a situation: the functions, the innermost first. */
interface Trace {
  readonly situation: string;
  readonly functions: readonly string[];
}

/** glibc, which libunwind.so.8 is made for; and a static program, that runs on any kernel. */
const targets = {
  x86_64: "x86_64-linux-gnu",
  x86: "x86-linux-musl",
  aarch64: "aarch64-linux-musl",
};

type Arch = keyof typeof targets;

const architectures = Object.keys(targets) as Arch[];

/** What runs as it is on a machine that has the first one. */
const native: readonly Arch[] = ["x86_64", "x86"];

const isEmulated = (arch: Arch): boolean => !native.includes(arch);

const built = new Map<Arch, Promise<string>>();

/** Builds the program, and gives its path. */
async function program(arch: Arch): Promise<string> {
  const prefix = join(root, ".zig-cache", "backtrace", arch);
  if (!built.has(arch)) {
    const done = zigBuild("backtrace", "--prefix", prefix, `-Dtarget=${targets[arch]}`);
    built.set(arch, done.then(() => join(prefix, "bin", "fringe-backtrace")));
  }
  return await built.get(arch)!;
}

async function output(command: string, ...args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(command, { args }).output();
  const decoder = new TextDecoder();
  assert(success, `${command} ${args.join(" ")}\n${decoder.decode(stderr)}`);
  return decoder.decode(stdout);
}

/** What gdb needs for an architecture; of two things, what is missing. */
function debuggerOf(arch: Arch): Installable {
  if (!isEmulated(arch)) return "gdb";
  return isInstalled("gdb-multiarch") ? "qemu-aarch64-static" : "gdb-multiarch";
}

/**
 * Has gdb run a script that has the program begun by `BEGIN`. An emulator is a debugger's server:
 * gdb asks it, the program stands at its first instruction then, and goes on.
 */
async function gdbOn(arch: Arch, script: string): Promise<string> {
  const path = await program(arch);
  if (!isEmulated(arch)) return await gdb(script.replace("BEGIN", "run"), path);
  const folder = await Deno.makeTempDir({ prefix: "fringe-test-" });
  const socket = join(folder, "socket");
  const emulator = new Deno.Command("qemu-aarch64-static", {
    args: ["-g", socket, path],
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  try {
    while (!await Deno.stat(socket).then(() => true, () => false)) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    const connected = `target remote ${socket}\n${script.replace("BEGIN", "continue")}`;
    return await gdbBy("gdb-multiarch", connected, path);
  } finally {
    try {
      emulator.kill();
    } catch {
      // The program has ended, as it should.
    }
    await emulator.status;
    await Deno.remove(folder, { recursive: true });
  }
}

/** Has gdb run a script. */
async function gdb(script: string, ...args: string[]): Promise<string> {
  return await gdbBy("gdb", script, ...args);
}

async function gdbBy(command: string, script: string, ...args: string[]): Promise<string> {
  const file = await Deno.makeTempFile({ prefix: "fringe-test-", suffix: ".gdb" });
  try {
    await Deno.writeTextFile(file, `set width 0\nset print frame-arguments none\n${script}`);
    return await output(command, "-nx", "-batch", "-x", file, ...args);
  } finally {
    await Deno.remove(file);
  }
}

// What there is to see

const trampoline = ["fringe_trampoline", "fringe_root"];

/** What a function that resumes has called. */
const called: Readonly<Record<string, string[]>> = {
  resumeInline: [],
  resumeByCall: ["fringe_resume"],
  resumeByJump: ["fringe_resume_call"],
  signalByCall: ["fringe_signal"],
};

/** The frames from a body down to the one that has resumed it. */
function resumed(body: string[], by: string): string[] {
  return [...body, ...trampoline, ...called[by]!, by];
}

/** Everything that native/backtrace_program.zig does, in that order. */
function* expected(): Generator<Trace> {
  const ways = ["resumeInline", "resumeByCall", "resumeByJump"];
  const trace = (situation: string, ...functions: string[]): Trace => ({
    situation,
    functions: ["here", ...functions, "onThread"],
  });
  for (const place of ["below", "above"]) {
    for (const body of ["suspendInline", "suspendByCall"]) {
      for (const first of ways.keys()) {
        for (const turn of ways.keys()) {
          const way = ways[(first + turn) % ways.length]!;
          yield trace(
            `${place} ${body} ${turn} ${way}`,
            ...resumed([body], way),
            "resumeInTurns",
          );
        }
      }
    }
    for (const turn of [0, 1, 2]) {
      yield trace(
        `${place} callBack ${turn} resumeByJump`,
        ...resumed(["callBack", "fringe_call_body"], "resumeByJump"),
        "callInTurns",
      );
    }
  }
  for (const places of ["above lowest highest", "below lower lowest"]) {
    const turns = [
      ["resumeByJump", "resumeInline", "resumeByCall"],
      ["resumeByCall", "resumeByJump", "resumeInline"],
    ] as const;
    for (const [turn, [inner, middle, outer]] of turns.entries()) {
      yield trace(
        `${places} ${turn}`,
        ...resumed(["suspendByCall"], inner),
        ...resumed(["carry", "middle"], middle),
        ...resumed(["carry", "outer"], outer),
        "nest",
      );
    }
  }
  yield trace(
    "return 0 resumeByCall",
    ...resumed(["suspendOnce"], "resumeByCall"),
    "endByReturn",
  );
  yield trace(
    "signal 0 resumeByCall",
    ...resumed(["suspendByCall"], "resumeByCall"),
    "endBySignal",
  );
  yield trace(
    "signal 1 signalByCall",
    ...resumed(["finish", "fringe_suspend", "suspendByCall"], "signalByCall"),
    "endBySignal",
  );
}

// What is seen

/**
 * Traces from a text that has what `situation` finds before each, and what `frame` finds for each
 * frame, as the first groups. They end where the program's own functions do.
 */
function traces(text: string, situation: RegExp, frame: RegExp): Trace[] {
  const found: { situation: string; functions: string[] }[] = [];
  for (const line of text.split("\n")) {
    const begin = situation.exec(line)?.[1];
    if (begin !== undefined) found.push({ situation: begin, functions: [] });
    const functions = found.at(-1)?.functions;
    const name = frame.exec(line)?.[1];
    if (name === undefined || functions?.at(-1) === "onThread") continue;
    functions?.push(name.replace(/^.*\./, ""));
  }
  return found;
}

/** Without the frames of inlined functions: `info symbol` has the same name for all of them. */
function withoutInlined(all: readonly Trace[], inlined: RegExp): Trace[] {
  return all.map(({ situation, functions }) => ({
    situation,
    functions: functions.filter((name, i) => name !== functions[i - 1] && !inlined.test(name)),
  }));
}

/** What gdb calls a frame that is marked as a signal frame, as fringe_root is. */
const signalFrame = "<signal handler called>";

/** What `backtrace` says of a frame. */
const frame = /^#\d+ +(?:0x[0-9a-f]+ in )?(<signal handler called>|\S+)/;

/** What `info symbol` says of a frame; gdb may take a name of Zig's for one of Ada's. */
const symbol = /^(?:backtrace_program[.[])?(\w+)\]? (?:\+ \d+ )?in section /;

for (const arch of architectures) {
  testWith(debuggerOf(arch), `gdb sees every frame, on ${arch}`, async () => {
    const text = await gdbOn(
      arch,
      `
break *here
commands
silent
printf "backtrace of %s\\n", (char *)&situation
backtrace
printf "symbols of %s\\n", (char *)&situation
frame apply all -q info symbol $pc
continue
end
BEGIN
`,
    );
    assertEquals(withoutInlined(traces(text, /^symbols of (.*)/, symbol), /^$/), [...expected()]);
    const renamed = (name: string) => name === "fringe_root" ? signalFrame : name;
    assertEquals(
      withoutInlined(traces(text, /^backtrace of (.*)/, frame), /^switchToBody$/),
      [...expected()].map((trace) => ({ ...trace, functions: trace.functions.map(renamed) })),
    );
  });

  if (isEmulated(arch)) continue;
  testWith("valgrind", `valgrind sees every frame, on ${arch}`, async () => {
    const options = [
      "-q",
      "--tool=none",
      "--log-fd=1",
      "--num-callers=40",
      "--read-inline-info=no",
    ];
    const text = await output("valgrind", ...options, await program(arch), "valgrind");
    // It reads no word that lies below the stack pointer it begins with, so it can only go up.
    const upward = ({ situation }: Trace) => !situation.startsWith("above");
    assertEquals(
      traces(text, /^\*\*\d+\*\* (.*?) +at 0x/, /(?:at|by) 0x[0-9A-F]+: (\S+)/).filter(upward),
      [...expected()].filter(upward),
    );
  });
}

testWith("libunwind.so.8", "libunwind sees every frame", async () => {
  const text = await output(await program("x86_64"), "libunwind");
  const seen = traces(text, /^== (.*)/, /^([\w.]+)$/);
  assertEquals(
    seen.map(({ situation, functions }) => ({ situation, functions: functions.slice(1) })),
    [...expected()],
  );
});

// At each instruction

/** The registers that a function finds as they were when one that it has called returns. */
const kept = {
  x86_64: ["rsp", "rbp", "rbx", "r12", "r13", "r14", "r15"],
  x86: ["esp", "ebp", "ebx", "esi", "edi"],
  aarch64: ["sp", "x29", "x19", "x20", "x21", "x22", "x23", "x24", "x25", "x26", "x27", "x28"],
};

/** Where a function returns to, as it begins. */
const back = { x86_64: "*(void **)$sp", x86: "*(void **)$sp", aarch64: "(void *)$x30" };

/** What gdb sees before an instruction: the functions, and the registers that each has. */
interface Step extends Trace {
  readonly registers: readonly string[];
}

/** Goes through the resumes in those situations whose names begin as a pattern says. */
async function steps(arch: Arch, pattern: string): Promise<Step[]> {
  const ways = Object.keys(called).map((way) =>
    `break *'backtrace_program.${way}' if $_regex((char *)&situation, "${pattern}")`
  );
  const text = await gdbOn(
    arch,
    `
${ways.join("\n")}
BEGIN
while $_isvoid($_exitcode)
  set $back = ${back[arch]}
  while $pc != $back
    printf "step of %s\\n", (char *)&situation
    frame apply all -q info symbol $pc
    frame apply all -q printf "registers${" %#lx".repeat(kept[arch].length)}\\n", ${
      kept[arch].map((name) => `$${name}`).join(", ")
    }
    stepi
  end
  continue
end
`,
  );
  const begin = /^step of (.*)/;
  const functions = traces(text, begin, symbol);
  const registers = traces(text, begin, /^registers (.*)/);
  return functions.map((trace, i) => ({ ...trace, registers: registers[i]!.functions }))
    // A function that is inlined has a frame in gdb's eyes, but no symbol.
    .filter(({ functions: [first, second] }) => first !== second);
}

/** A resume, instruction by instruction. */
interface Course {
  readonly situation: string;
  /** Who calls the function that resumes. */
  readonly caller: string;
  /** The functions that lie above the trampoline, each time that they have changed. */
  readonly places: readonly string[][];
}

const courses: Course[] = [
  {
    situation: "below callBack 0 resumeByJump",
    caller: "callInTurns",
    places: [
      [],
      ["fringe_call_body"],
      ["callBack", "fringe_call_body"],
      ["fringe_thunk_common", "callBack", "fringe_call_body"],
    ],
  },
  {
    situation: "below callBack 1 resumeByJump",
    caller: "callInTurns",
    places: [
      ["fringe_thunk_common", "callBack", "fringe_call_body"],
      ["callBack", "fringe_call_body"],
      ["fringe_thunk_common", "callBack", "fringe_call_body"],
    ],
  },
  {
    situation: "return 0 resumeByCall",
    caller: "endByReturn",
    places: [[], ["suspendOnce"], ["fringe_suspend", "suspendOnce"]],
  },
  {
    situation: "return 1 resumeByCall",
    caller: "endByReturn",
    places: [["fringe_suspend", "suspendOnce"], ["suspendOnce"], []],
  },
  { situation: "return 2 resumeByCall", caller: "endByReturn", places: [[]] },
  {
    situation: "signal 0 resumeByCall",
    caller: "endBySignal",
    places: [[], ["suspendByCall"], ["fringe_suspend", "suspendByCall"]],
  },
  {
    situation: "signal 1 signalByCall",
    caller: "endBySignal",
    places: [
      ["fringe_suspend", "suspendByCall"],
      ["finish", "fringe_suspend", "suspendByCall"],
      [],
    ],
  },
];

/** Each trace that is seen on the way, once. */
function* tracesOf({ situation, caller, places }: Course): Generator<Trace> {
  const way = situation.split(" ").at(-1)!;
  const resumer = [way, caller, "onThread"];
  const resume = [...called[way]!, ...resumer];
  const bodies = places.map((functions) => [...functions, ...trampoline, ...resume]);
  const trace = (functions: string[]): Trace => ({ situation, functions });
  yield trace(resumer);
  yield trace(resume);
  // At the jump, the next instruction is the other side's already, and so is the stack.
  yield trace([resume[0]!, ...bodies[0]!]);
  yield* bodies.map(trace);
  yield trace([bodies.at(-1)![0]!, ...resume]);
  yield trace(resume);
  yield trace(resumer);
}

/**
 * Whether the first thunk of a thread looks for its errno: that leads through libc, and functions
 * that the compiler has put into one another, so that frames are not one to one with functions.
 */
function isLooking(functions: readonly string[]): boolean {
  return functions.includes("fringe_errno_found");
}

/** Each once, and without what is no part of a switch. */
function* changes(all: readonly Step[]): Generator<Trace> {
  const passed = ["here", "fringe_thunk_table", "fringe_finish", "fringe_exchange"];
  let last = "";
  for (const { situation, functions } of all) {
    if (passed.includes(functions[0]!) || isLooking(functions)) continue;
    const now = [situation, ...functions].join();
    if (now !== last) yield { situation, functions };
    last = now;
  }
}

for (const arch of architectures) {
  testWith(
    debuggerOf(arch),
    `gdb sees every frame at each instruction of a switch, on ${arch}`,
    async () => {
      const all = await steps(arch, courses.map(({ situation }) => situation).join("|"));
      assertEquals([...changes(all)], courses.flatMap((course) => [...tracesOf(course)]));

      // What a function of the program has in its registers, it has as long as one call lasts.
      const before = new Map<string, string>();
      let compared = 0;
      for (const { situation, functions, registers } of all) {
        if (isLooking(functions)) continue;
        for (const [i, name] of functions.entries()) {
          if (i === 0 || /^fringe_(?!call_body)/.test(name)) continue;
          const call = `${situation}: ${name} has called ${functions[i - 1]}`;
          assertEquals(registers[i], before.get(call) ?? registers[i], call);
          if (before.has(call)) compared++;
          before.set(call, registers[i]!);
        }
      }
      assert(compared > 500, `${compared} comparisons`);
    },
  );
}

// In Deno

/** Resumes a body and calls C functions, at first and later; or stops in one, when told so. */
const source = `
  import { dlopen, Generator, OsStack } from ${JSON.stringify(moduleUrl)};
  const libc = Deno.dlopen("libc.so.6", { ffs: { type: "pointer" }, raise: { type: "pointer" } });
  const callback = { callback: { parameters: ["i32"], result: "i32" } };
  const { symbols } = dlopen(new URL(${JSON.stringify(testBodies.href)}), {
    plain_echo: { input: "i32", output: "i32" },
    call_n: { parameters: ["i32", callback], result: "i32" },
    keep: { parameters: ["function"], result: "void" },
    call_kept: { parameters: ["i32"], result: "i32" },
    pass_and_call_kept: { parameters: [callback], result: "i32" },
  });
  if (Deno.args[0] === "stop") {
    symbols.keep(libc.symbols.raise);
    symbols.call_kept(19); // SIGSTOP
  }
  const generator = new Generator(new OsStack(), symbols.plain_echo);
  generator.resume(1);
  generator.resume(2);
  symbols.call_n(1, (i) => i);
  symbols.keep(libc.symbols.ffs);
  symbols.pass_and_call_kept((i) => i);
`;

async function withSource(use: (args: string[]) => Promise<void>): Promise<void> {
  const file = await Deno.makeTempFile({ prefix: "fringe-test-", suffix: ".ts" });
  try {
    await Deno.writeTextFile(file, source);
    await use(["run", "--no-prompt", "--no-check", "-A", file]);
  } finally {
    await Deno.remove(file);
  }
}

/** The frames between a body and V8's. */
const inDeno = (resume: string): string[] => [...trampoline, resume];

const stops: Trace[] = [
  {
    situation: "fringe_suspend",
    functions: ["fringe_suspend", "plain_echo", ...inDeno("fringe_resume")],
  },
  {
    situation: "fringe_suspend",
    functions: ["fringe_suspend", "plain_echo", ...inDeno("fringe_resume")],
  },
  {
    situation: "call_n",
    functions: ["call_n", "fringe_call_body", ...inDeno("fringe_call")],
  },
  {
    situation: "ffs",
    functions: ["ffs", "pass_and_call_kept", "fringe_call_body", ...inDeno("fringe_resume_call")],
  },
];

testWith("gdb", "gdb sees every frame of a body in Deno, and what it was resumed by", async () => {
  const breakpoints = stops.slice(1).map(({ situation, functions }) => `
break ${situation}
commands
silent
echo stopped in ${situation}\\n
frame apply ${functions.length} -q info symbol $pc
frame function ${functions.at(-1)}
up
printf "resumer: %d %d %d\\n", $pc == $address, $sp == $stack, $rbp == $frame
continue
end
`);
  await withSource(async (args) => {
    // Where there is no debug information, gdb stops behind the two instructions for rbp.
    const text = await gdb(
      `
set breakpoint pending on
break fringe_resume
break fringe_resume_call
break fringe_call
commands 1-3
silent
set $address = *(void **)($rbp + 8)
set $stack = (void *)($rbp + 16)
set $frame = *(void **)$rbp
continue
end
${breakpoints.join("")}
run
`,
      "--args",
      Deno.execPath(),
      ...args,
    );
    assertEquals(traces(text, /^stopped in (.*)/, symbol), stops);
    assertEquals(text.match(/^resumer: 1 1 1$/gm)?.length, stops.length, text);
  });
});

/** Whether a process may look into one that it has not started: ptrace(2). */
function mayAttach(): boolean {
  try {
    const scope = Deno.readTextFileSync("/proc/sys/kernel/yama/ptrace_scope");
    return Deno.uid() === 0 || scope.trim() === "0";
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return true;
    throw error;
  }
}

/** The letter that the kernel has for what a process does. */
function state(pid: number): string {
  return Deno.readTextFileSync(`/proc/${pid}/stat`).replace(/^.*\) /s, "")[0]!;
}

async function attach(): Promise<void> {
  await withSource(async (args) => {
    const child = new Deno.Command(Deno.execPath(), { args: [...args, "stop"] }).spawn();
    try {
      while (state(child.pid) !== "T") {
        assert(state(child.pid) !== "Z", "Deno has ended instead");
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      const text = await gdb("echo stopped in raise\\n\nbacktrace\n", "-p", `${child.pid}`);
      const [{ functions }] = traces(text, /^stopped in (.*)/, frame) as [Trace];
      const from = functions.indexOf("call_kept");
      assertEquals(functions.slice(from, from + 5), [
        "call_kept",
        "fringe_call_body",
        "fringe_trampoline",
        signalFrame,
        "fringe_call",
      ]);
      assert(functions.length > from + 5, text);
    } finally {
      child.kill("SIGKILL");
      await child.status;
    }
  });
}

const attaching = "gdb attaches to a Deno that is stopped in a C function";
if (mayAttach()) testWith("gdb", attaching, attach);
else Deno.test({ name: `${attaching} (be root, or set ptrace_scope)`, ignore: true, fn: attach });
