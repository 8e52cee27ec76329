// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * C that ends its thread (`pthread_exit`, `pthread_cancel`): the thread is JavaScript's, or the
 * pool's, so the call ends by an error, and the thread goes on.
 *
 * Each test has a process of its own. glibc notes for good that a thread has begun to end.
 */

import { assertEquals } from "@std/assert";
import { moduleUrl, runChild, testBodies } from "../support/support.ts";

const begin = `
  import { dlopen, Generator, NativeError, OsStack, tailCall } from ${JSON.stringify(moduleUrl)};
  const { pthread_exit, exit_elsewhere, pthread_self, pthread_cancel, pthread_testcancel } =
    dlopen("libc.so.6", {
      pthread_exit: { parameters: ["pointer"], result: "void" },
      exit_elsewhere: {
        name: "pthread_exit",
        parameters: ["pointer"],
        result: "void",
        nonblocking: true,
      },
      pthread_self: { parameters: [], result: "usize" },
      pthread_cancel: { parameters: ["usize"], result: "i32" },
      pthread_testcancel: { parameters: [], result: "void" },
    }).symbols;
  const f = { callback: { parameters: ["i32"], result: "i32" } };
  const { call_n, call_n_elsewhere, with_destructor, destructor_count } =
    dlopen(${JSON.stringify(testBodies.pathname)}, {
      call_n: { parameters: ["i32", f], result: "i32" },
      call_n_elsewhere: {
        name: "call_n",
        parameters: ["i32", f],
        result: "i32",
        nonblocking: true,
      },
      with_destructor: { parameters: [f], result: "i32" },
      destructor_count: { parameters: [], result: "i32" },
    }).symbols;
  const errors = new Set();
  const note = (error) => {
    if (!(error instanceof NativeError)) throw error;
    errors.add(error.type + ": " + error.message);
  };
  const attempt = async (f) => {
    try {
      await f();
      console.log("returned");
    } catch (error) {
      note(error);
    }
  };
`;

const end = `
  for (const error of errors) console.log(error);
  console.log(call_n(3, (i) => i));
`;

const NOTED = "thread exit: C has ended its thread (pthread_exit, or pthread_cancel): its frames " +
  "have been unwound, and the thread, which is not its own, goes on\n3\n";

const ends: Readonly<Record<string, string>> = {
  "pthread_exit in f()": `for (let i = 0; i < 50; i++) await attempt(() => pthread_exit(null));`,
  "pthread_exit in f.async()": `await attempt(() => pthread_exit.async(null));`,
  "pthread_exit on a thread of the pool": `
    for (let i = 0; i < 50; i++) await attempt(() => exit_elsewhere(null));
    await attempt(() => call_n_elsewhere(1, () => tailCall(pthread_exit, null)));
  `,
  "pthread_exit in yielder.call()": `
    const generator = new Generator(new OsStack(), function* (yielder) {
      yield* yielder.call(pthread_exit, null);
    });
    await attempt(() => generator.next());
  `,
  "pthread_exit in place of a callback": `
    const exit = () => tailCall(pthread_exit, null);
    await attempt(() => call_n(1, exit));
    await attempt(() => call_n.async(1, async () => (await 0, exit())));
    await attempt(() => {
      for (const { reply } of call_n.calls(1)) reply(exit());
    });
    const before = destructor_count();
    await attempt(() => with_destructor(exit));
    if (destructor_count() !== before + 1) console.log("its destructor has not run");
  `,
  "pthread_cancel, where C notices it": `
    const steps = [
      () => tailCall(pthread_cancel, pthread_self()),
      () => tailCall(pthread_testcancel),
    ];
    await attempt(() => call_n(2, (i) => steps[i]()));
  `,
};

for (const [how, source] of Object.entries(ends)) {
  Deno.test(`${how} ends the call by an error, and not the thread`, async () => {
    const child = await runChild(`${begin}${source}${end}`, ["--allow-ffi"]);
    assertEquals([child.stdout, child.code], [NOTED, 0], child.stderr);
  });
}

const processEnds: Readonly<Record<string, [string, number | null, string | null]>> = {
  exit: [`tailCall(exit, 3)`, 3, null],
  abort: [`tailCall(abort)`, 134, "SIGABRT"],
};

for (const [name, [answer, code, signal]] of Object.entries(processEnds)) {
  Deno.test(`${name} in place of a callback ends the process, as it should`, async () => {
    const source = `
      ${begin}
      const { exit, abort } = dlopen("libc.so.6", {
        exit: { parameters: ["i32"], result: "void" },
        abort: { parameters: [], result: "void" },
      }).symbols;
      call_n(1, () => ${answer});
      console.log("went on");
    `;
    const child = await runChild(source, ["--allow-ffi"]);
    assertEquals([child.stdout, child.code, child.signal], ["", code, signal], child.stderr);
  });
}
