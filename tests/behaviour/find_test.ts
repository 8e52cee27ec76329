// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/** How the native library is found, verified and opened: each case in a process of its own. */

import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { ABI } from "../../ffi/layout.ts";
import { prebuilt } from "../../ffi/library/prebuilt.js";
import { dynamicSymbols, loadedEnd, offsetOf } from "../support/elf.ts";
import { Served } from "../../tools/served.ts";
import { root } from "../../tools/zig.ts";
import {
  type Change,
  changingPrebuilt,
  Project,
  small,
  withCharacter,
} from "../support/project.ts";
import {
  assertFails,
  assertSucceeds,
  type Ended,
  exampleBodies,
  fringeLibrary,
  moduleUrl,
  platform,
  runChild,
  testWith,
  withCopy,
  withFolder,
} from "../support/support.ts";

/** Makes a generator and sorts with libc, which needs fringe's library and nothing else. */
const program = `
  import { dlopen, Generator, OsStack } from "fringe";
  const generator = new Generator(new OsStack(), function* () { yield "generator"; });
  console.log(generator.resume());
  const libc = dlopen("libc.so.6", {
    qsort: {
      parameters: [
        "buffer", "usize", "usize",
        { callback: { parameters: ["pointer", "pointer"], result: "i32" } },
      ],
      result: "void",
    },
  });
  const bytes = Uint8Array.of(3, 1, 2);
  let comparisons = 0;
  libc.symbols.qsort(bytes, 3, 1, () => { comparisons++; return 0; });
  console.log(comparisons > 1, bytes.length);
`;

// Permissions

Deno.test("importing mod.ts does nothing but define, and needs no permission", async () => {
  const source = `
    const before = Object.keys(globalThis).length;
    const refused = () => { throw new Error("Importing has opened a library"); };
    Deno.dlopen = refused;
    const mod = await import(${JSON.stringify(moduleUrl)});
    console.log(Object.keys(globalThis).length === before, Object.keys(mod).sort().join());
  `;
  assertSucceeds(
    await runChild(source, ["--deny-ffi", "--deny-write", "--deny-net", "--deny-run"]),
    "true Callback,FringeError,Generator,NativeError,OsStack,OwnedStack,PointerView," +
      "STACK_ALIGNMENT,SliceStack,StackPool,dlopen,functionAt,pointerTo,struct,tailCall,union\n",
  );
});

Deno.test("native() opens the library of a checkout with that path granted only", async () => {
  assertSucceeds(
    await runChild(small(moduleUrl), [`--allow-ffi=${fileURLToPath(fringeLibrary)}`]),
    "generator\n",
  );
});

Deno.test("native() says what to grant when --allow-ffi is missing", async () => {
  const ended = await runChild(small(moduleUrl), []);
  assertFails(
    ended,
    "NotCapable",
    "fringe needs --allow-ffi",
    `or --allow-ffi=${fileURLToPath(fringeLibrary)} for this library alone`,
  );
  // Another library's grant does not help, and the message is the same.
  assertFails(
    await runChild(small(moduleUrl), [`--allow-ffi=${fileURLToPath(exampleBodies)}`]),
    `--allow-ffi=${fileURLToPath(fringeLibrary)}`,
  );
});

// FRINGE_LIBRARY

Deno.test("FRINGE_LIBRARY names another library", async () => {
  const copy = await Deno.makeTempFile({ suffix: ".so" });
  try {
    await Deno.copyFile(fringeLibrary, copy);
    const flags = [`--allow-ffi=${copy}`, "--allow-env=FRINGE_LIBRARY"];
    // Only the copy may be opened, so it is what runs.
    assertSucceeds(
      await runChild(small(moduleUrl), flags, { FRINGE_LIBRARY: copy }),
      "generator\n",
    );
    assertFails(
      await runChild(small(moduleUrl), flags),
      `--allow-ffi=${fileURLToPath(fringeLibrary)}`,
    );
  } finally {
    await Deno.remove(copy);
  }
});

Deno.test("FRINGE_LIBRARY that may not be read is as if there were none", async () => {
  for (const flags of [[], ["--deny-env"], ["--allow-env=HOME"]]) {
    assertSucceeds(
      await runChild(small(moduleUrl), ["--allow-ffi", ...flags], { FRINGE_LIBRARY: "/none.so" }),
      "generator\n",
    );
  }
});

Deno.test("FRINGE_LIBRARY that is no library of fringe's is named in the error", async () => {
  const flags = ["--allow-ffi", "--allow-env"];
  for (const library of ["/none/libfringe.so", fileURLToPath(exampleBodies)]) {
    assertFails(
      await runChild(small(moduleUrl), flags, { FRINGE_LIBRARY: library }),
      "FringeError: Cannot open fringe's native library",
      `FRINGE_LIBRARY=${library} does not load`,
    );
  }
});

Deno.test("FRINGE_LIBRARY that names no file gets a hint how to write one", async () => {
  for (const library of ["libfringe.so", fringeLibrary.href, "none/libfringe.so"]) {
    assertFails(
      await runChild(small(moduleUrl), ["-A"], { FRINGE_LIBRARY: library }),
      `FRINGE_LIBRARY=${library} does not load: there is no such file. Write a path`,
      "Caused by: Error: Could not open library",
    );
  }
});

Deno.test("FRINGE_LIBRARY that is truncated is refused, and kills no process", async () => {
  const whole = Deno.readFileSync(fringeLibrary);
  const loaded = loadedEnd(whole);
  for (const size of [64, 4096, 20000, loaded - 1]) {
    assertFails(
      await runWith(whole.subarray(0, size)),
      "FringeError: Cannot open fringe's native library: FRINGE_LIBRARY=",
      `is truncated: the file has ${size} bytes, and by its headers at least `,
    );
  }
  // What stands behind is for debuggers.
  assertSucceeds(await runWith(whole.subarray(0, loaded)), "generator\n");
});

Deno.test("FRINGE_LIBRARY without a slash is the loader's to find", async () => {
  const folder = await Deno.makeTempDir({ prefix: "fringe-test-" });
  try {
    await Deno.writeFile(
      join(folder, "libfringe.so"),
      Deno.readFileSync(fringeLibrary).subarray(0, 4096),
    );
    const source = `Deno.chdir(${JSON.stringify(folder)}); ${small(moduleUrl)}`;
    const open = (name: string): Promise<Ended> =>
      runChild(source, ["-A"], { FRINGE_LIBRARY: name });
    assertFails(await open("libfringe.so"), "there is no such file");
    assertFails(await open("./libfringe.so"), "is truncated");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("FRINGE_LIBRARY that is no ELF file is left to the loader", async () => {
  for (const bytes of [new Uint8Array(0), new Uint8Array(63), new Uint8Array(4096)]) {
    const ended = await runWith(bytes);
    assertFails(ended, "does not load");
    assertEquals(ended.stderr.includes("truncated"), false, ended.stderr);
  }
  // It has no end that could be read up to.
  assertFails(
    await runChild(small(moduleUrl), ["-A"], { FRINGE_LIBRARY: "/dev/zero" }),
    "FRINGE_LIBRARY=/dev/zero does not load",
  );
});

const UNSEEN = "A library that FRINGE_LIBRARY names cannot be seen without " +
  "--allow-env=FRINGE_LIBRARY";

Deno.test("native() says that it cannot see FRINGE_LIBRARY, whatever has failed", async () => {
  const copies = async (flags: readonly string[]): Promise<Ended> =>
    await runCopy(async (_, library) => await Deno.truncate(library, 4096), flags);
  assertFails(await runChild(small(moduleUrl), []), "NotCapable: Requires ffi access", UNSEEN);
  assertFails(await copies(["--allow-ffi", "--allow-read"]), "has the digest", UNSEEN);
  assertFails(await runServedElsewhere(["--allow-ffi"]), "none is prebuilt for", UNSEEN);
  assertFails(await runServed(small("fringe"), undefined, []), "fringe needs --allow-ffi", UNSEEN);
  // Where the variable may be read it is seen, and so not spoken of.
  for (const env of ["--allow-env", "--allow-env=FRINGE_LIBRARY"]) {
    const ended = await copies(["--allow-ffi", "--allow-read", env]);
    assertFails(ended, "has the digest");
    assertEquals(ended.stderr.includes(UNSEEN), false, ended.stderr);
  }
});

Deno.test("FRINGE_LIBRARY that another file replaces meanwhile is not opened anew", async () => {
  await withFolder(async (folder) => {
    const library = join(folder, "libfringe.so");
    await Deno.copyFile(fringeLibrary, library);
    // The first line makes a stack, the second calls C, which more functions are opened for.
    const [stack, call] = program.split("  const libc = ");
    const replaced = `${stack}
      Deno.writeTextFileSync(${JSON.stringify(`${library}.new`)}, "no library");
      Deno.renameSync(${JSON.stringify(`${library}.new`)}, ${JSON.stringify(library)});
      const libc = ${call}`.replace('"fringe"', JSON.stringify(moduleUrl));
    assertSucceeds(
      await runChild(replaced, ["-A"], { FRINGE_LIBRARY: library }),
      "generator\ntrue 3\n",
    );
  });
});

Deno.test("FRINGE_LIBRARY may be relative, and the program may change its folder", async () => {
  await withFolder(async (folder) => {
    await Deno.copyFile(fringeLibrary, join(folder, "libfringe.so"));
    const [stack, call] = program.split("  const libc = ");
    const moved = `Deno.chdir(${JSON.stringify(folder)});
      ${stack}
      Deno.chdir("/");
      const libc = ${call}`.replace('"fringe"', JSON.stringify(moduleUrl));
    assertSucceeds(
      await runChild(moved, ["-A"], { FRINGE_LIBRARY: "./libfringe.so" }),
      "generator\ntrue 3\n",
    );
  });
});

testWith("g++", "FRINGE_LIBRARY that needs a missing library is not called missing", async () => {
  await withFolder(async (folder) => {
    const make = async (name: string, ...options: string[]): Promise<string> => {
      const library = join(folder, `lib${name}.so`);
      const args = ["-shared", "-x", "c", "/dev/null", ...options, "-o", library];
      assert((await new Deno.Command("g++", { args }).output()).success);
      return library;
    };
    const needed = await make("needed");
    const needing = await make("needing", "-x", "none", "-Wl,--no-as-needed", needed);
    await Deno.remove(needed);
    const ended = await runChild(small(moduleUrl), ["-A"], { FRINGE_LIBRARY: needing });
    assertFails(ended, "does not load", "libneeded.so: cannot open shared object file");
    assertEquals(ended.stderr.includes("there is no such file"), false, ended.stderr);
  });
});

Deno.test("a generator in TypeScript has less than a third of the functions opened", async () => {
  const counted = `
    const opened = [];
    const { dlopen } = Deno;
    Deno.dlopen = (name, symbols) => {
      opened.push(Object.keys(symbols).length);
      return dlopen(name, symbols);
    };
    const { Generator, OsStack, PointerView } = await import(${JSON.stringify(moduleUrl)});
    {
      using generator = new Generator(new OsStack(), function* () { yield 1; });
      generator.resume();
    }
    console.log(opened.length);
    PointerView.of(new Uint8Array(1));
    console.log(opened.length, opened[0] * 3 < opened[1]);
  `;
  assertSucceeds(await runChild(counted, ["--allow-ffi"]), "1\n2 true\n");
});

// Other versions

/** Fringe's library with changes: `at` gives the place of an exported symbol in the file. */
function changed(
  change: (bytes: Uint8Array<ArrayBuffer>, at: (symbol: string) => number) => void,
): Uint8Array<ArrayBuffer> {
  const bytes = Deno.readFileSync(fringeLibrary);
  const symbols = dynamicSymbols(bytes);
  change(bytes, (symbol) => offsetOf(bytes, symbols.get(symbol)!));
  return bytes;
}

/** A library of which any use kills the process: the first call is the one that maps a stack. */
const deadly = changed((bytes, at) => bytes.set([0x0f, 0x0b], at("fringe_os_stack_map")));

const another = ABI + 1;
const ofAnother = changed((bytes, at) => {
  bytes.set(deadly);
  new DataView(bytes.buffer).setUint32(at("fringe_abi"), another, true);
});

/** Runs `small` with these bytes as FRINGE_LIBRARY. */
async function runWith(library: Uint8Array): Promise<Ended> {
  const file = await Deno.makeTempFile({ suffix: ".so" });
  try {
    await Deno.writeFile(file, library);
    return await runChild(small(moduleUrl), ["-A"], { FRINGE_LIBRARY: file });
  } finally {
    await Deno.remove(file);
  }
}

Deno.test("native() refuses a library of another version before it calls it", async () => {
  const { signal, stderr } = await runWith(deadly);
  assertEquals(signal, "SIGILL", stderr);
  const said = [
    "FringeError: Cannot open fringe's native library",
    `does not load: it has interface ${another}, and this version of fringe goes with ` +
    `interface ${ABI}. Use the library of this version`,
  ];
  assertFails(await runWith(ofAnother), ...said, "FRINGE_LIBRARY=");
  // The file of a checkout, which may not be read: nobody looks at its digest.
  const replace = async (_: string, library: string): Promise<void> =>
    await Deno.writeFile(library, ofAnother);
  assertFails(await runCopy(replace, ["--allow-ffi"]), ...said, "libfringe.so does not load");
  // Over HTTP, with a digest that is right.
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", ofAnother)).toHex();
  const change = changingPrebuilt((text) =>
    text.replaceAll(/digest: "\w+"/g, `digest: "${digest}"`)
      .replace(/base64 = `[^`]*`/, `base64 = "${ofAnother.toBase64()}"`)
  );
  const served = await runServed(small("fringe"), change);
  assertFails(served, ...said, "the library that came with the module does not load");
});

Deno.test("native() refuses a library from before there were such numbers", async () => {
  const said = "does not load: it has no number of its interface (fringe_abi)";
  const name = new TextEncoder().encode("\0fringe_abi\0");
  const without = changed((bytes) => {
    bytes.set(deadly);
    const at = bytes.findIndex((_, i) => name.every((byte, j) => bytes[i + j] === byte));
    bytes[at + name.length - 2]! += 1;
  });
  assertFails(await runWith(without), "FringeError", said);
});

testWith("g++", "native() tells another version from a library that lacks a function", async () => {
  await withFolder(async (folder) => {
    const [source, library] = [join(folder, "number.c"), join(folder, "libnumber.so")];
    for (
      const [number, said] of [
        [another, `it has interface ${another}`],
        [ABI, "does not load\n"],
      ] as const
    ) {
      await Deno.writeTextFile(source, `const unsigned fringe_abi = ${number};`);
      const { success } = await new Deno.Command("gcc", {
        args: ["-shared", "-fPIC", source, "-o", library],
      }).output();
      assert(success);
      assertFails(await runWith(Deno.readFileSync(library)), said);
    }
  });
});

// The file beside mod.ts

/** Lets `change` change a copy of the checkout, and runs `small` in it. */
async function runCopy(
  change: (directory: string, library: string) => Promise<void>,
  flags: readonly string[] = ["--allow-ffi", "--allow-read"],
): Promise<Ended> {
  return await withCopy(async (directory, library) => {
    await change(directory, library);
    return await runChild(small(`file://${directory}/mod.ts`), flags);
  });
}

Deno.test("native() finds the library in a checkout anywhere", async () => {
  assertSucceeds(await runCopy(async () => {}), "generator\n");
});

Deno.test("native() refuses a library that is truncated, and does not die of it", async () => {
  const { digest } = prebuilt[platform]!;
  const ended = await runCopy(async (_, library) => await Deno.truncate(library, 4096));
  assertFails(ended, "FringeError: Cannot open fringe's native library", `goes with ${digest}`);
  assertMatch(ended.stderr, /libfringe\.so has the digest [0-9a-f]{64}/);
  assertStringIncludes(ended.stderr, "Restore the file, or rebuild it with `deno task build`");
});

Deno.test("native() refuses a library with a single bit changed", async () => {
  const ended = await runCopy(async (_, library) => {
    const bytes = await Deno.readFile(library);
    bytes[bytes.length - 1]! ^= 1;
    await Deno.writeFile(library, bytes);
  });
  assertFails(ended, "FringeError: Cannot open fringe's native library", "has the digest");
});

Deno.test("native() uses the library of the module where there is no file", async () => {
  const remove = async (_: string, library: string): Promise<void> => await Deno.remove(library);
  assertSucceeds(await runCopy(remove), "generator\n");
  // Without the permission to look, the loader is asked.
  assertSucceeds(await runCopy(remove, ["--allow-ffi"]), "generator\n");
});

// Over HTTP

/** Runs a program that imports `"fringe"` from a server, with files that `change` changes. */
async function runServed(
  source: string,
  change?: Change,
  flags: readonly string[] = ["--allow-ffi"],
): Promise<Ended> {
  await using served = new Served();
  if (change !== undefined) served.change = change;
  await using project = Project.importing(served.url, source);
  return await project.run(`--allow-import=${served.host}`, ...flags);
}

Deno.test("native() works over HTTP with --allow-ffi alone, and writes nothing", async () => {
  const flags = ["--allow-ffi", "--deny-read", "--deny-write", "--deny-env", "--deny-net"];
  assertSucceeds(await runServed(program, undefined, flags), "generator\ntrue 3\n");
});

/**
 * Runs a program in a copy of the checkout without the library, where it is as over HTTP; but what
 * is below is Deno's to read with every permission only.
 */
async function runWithoutFile(source: (mod: string) => string): Promise<Ended> {
  return await withCopy(async (directory, library) => {
    await Deno.remove(library);
    return await runChild(source(`file://${directory}/mod.ts`), ["--allow-all"]);
  });
}

/** What follows makes Workers, of this address, and counts the copies of the library. */
const workers = (mod: string): string => {
  const worker = `
    import { Generator, OsStack } from ${JSON.stringify(mod)};
    onmessage = ({ data: ready }) => {
      Atomics.add(ready, 1, 1);
      Atomics.notify(ready, 1);
      Atomics.wait(ready, 0, 0);
      postMessage(new Generator(new OsStack(), function* () { yield "worker"; }).resume());
    };
  `;
  return `
    const url = URL.createObjectURL(new Blob([${JSON.stringify(worker)}], {
      type: "application/typescript",
    }));
    let copies = "";
    /** Makes Workers that open the library at the same moment; how many have done so. */
    async function open(count) {
      const ready = new Int32Array(new SharedArrayBuffer(8));
      const workers = Array.from({ length: count }, () => new Worker(url, { type: "module" }));
      const answers = workers.map((worker) =>
        new Promise((resolve) => worker.onmessage = ({ data }) => resolve(data))
      );
      for (const worker of workers) worker.postMessage(ready);
      for (let here; (here = ready[1]) < count;) await Atomics.waitAsync(ready, 1, here).value;
      Atomics.store(ready, 0, 1);
      Atomics.notify(ready, 0);
      const opened = await Promise.all(answers);
      // Before the Workers end, and let go of it.
      copies = copiesNow();
      for (const worker of workers) worker.terminate();
      return opened.filter((answer) => answer === "worker").length;
    }
    function copiesNow() {
      const links = Array.from(Deno.readDirSync("/proc/self/fd"), ({ name }) => {
        try {
          return Deno.readLinkSync("/proc/self/fd/" + name);
        } catch {
          return "";
        }
      });
      const files = links.filter((link) => link.startsWith("/memfd:fringe-")).length;
      const text = Deno.readTextFileSync("/proc/self/maps");
      return [files, text.matchAll(/r-xp.*memfd:fringe-/g).toArray().length].join();
    }
  `;
};

Deno.test("Workers share the library that came with the module, so it is loaded once", async () => {
  const ended = await runWithoutFile((mod) => `
    ${workers(mod)}
    for (let i = 0; i < 3; i++) console.log(await open(1));
    console.log(copies);
  `);
  assertSucceeds(ended, "1\n1\n1\n1,1\n");
});

Deno.test("Workers that open it at the same moment share it, too", async () => {
  const ended = await runWithoutFile((mod) => `
    ${workers(mod)}
    console.log(await open(24), copies);
  `);
  assertSucceeds(ended, "24 1,1\n");
});

Deno.test("Workers share it in a process with thousands of open files", async () => {
  const ended = await runWithoutFile((mod) => `
    ${workers(mod)}
    const files = Array.from({ length: 2000 }, () => Deno.openSync("/dev/null"));
    for (let i = 0; i < 3; i++) console.log(await open(1));
    console.log(files.length, copies);
  `);
  assertSucceeds(ended, "1\n1\n1\n2000 1,1\n");
});

Deno.test("native() opens it though a Worker was terminated as it did so", async () => {
  const source = `
    const { symbols: { opendir, dirfd, flock } } = Deno.dlopen("libc.so.6", {
      opendir: { parameters: ["buffer"], result: "pointer" },
      dirfd: { parameters: ["pointer"], result: "i32" },
      flock: { parameters: ["i32", "i32"], result: "i32" },
    });
    // What such a Worker leaves behind.
    const folder = opendir(new TextEncoder().encode("/proc/self/fd\\0"));
    console.log(flock(dirfd(folder), 2));
    ${small("fringe")}
  `;
  assertSucceeds(await runServed(source), "0\ngenerator\n");
});

Deno.test("native() takes no other sealed file for its library", async () => {
  const source = `
    const { symbols: { memfd_create, fcntl } } = Deno.dlopen("libc.so.6", {
      memfd_create: { parameters: ["buffer", "u32"], result: "i32" },
      fcntl: { parameters: ["i32", "i32", "i32"], result: "i32" },
    });
    const fd = memfd_create(new TextEncoder().encode("another\\0"), 2);
    console.log(fd > 2, fcntl(fd, 1033, 15));
    ${small("fringe")}
  `;
  assertSucceeds(await runServed(source), "true 0\ngenerator\n");
});

Deno.test("native() over HTTP says what to grant", async () => {
  for (const flags of [[], ["--allow-ffi=/none.so"]]) {
    assertFails(
      await runServed(small("fringe"), undefined, flags),
      "NotCapable",
      "fringe needs --allow-ffi",
    );
  }
});

Deno.test("native() refuses a library that was changed on the way", async () => {
  for (const other of ["A", "B", "!"]) {
    const ended = await runServed(small("fringe"), withCharacter(other));
    assertFails(
      ended,
      "FringeError: Cannot open fringe's native library",
      "the library that came with the module has the digest",
      "deno cache --reload",
    );
  }
});

/** Runs `small` where no library is prebuilt for this platform. */
async function runServedElsewhere(flags: readonly string[]): Promise<Ended> {
  const change = changingPrebuilt((text) => text.replace(`"${platform}": {`, '"pdp11-unix": {'));
  return await runServed(small("fringe"), change, flags);
}

Deno.test("native() says which platforms there are when this one has no library", async () => {
  const ended = await runServedElsewhere(["--allow-ffi"]);
  assertFails(
    ended,
    "FringeError: Cannot open fringe's native library",
    `none is prebuilt for ${platform}, only for `,
    "pdp11-unix",
    "Set FRINGE_LIBRARY to one that you have built",
  );
});

/** Opens the library by another way than the one of this system, and makes a stack. */
const temporary = `
  import { openTemporary } from "${new URL("ffi/library/temporary_file.ts", moduleUrl)}";
  import { prebuilt, text } from "${new URL("ffi/library/prebuilt.js", moduleUrl)}";
  const isOurs = ({ name }) => /^fringe-.{6}$/.test(name);
  const files = () => [...Deno.readDirSync("/tmp")].filter(isOurs);
  const before = files().length;
  const build = prebuilt[\`\${Deno.build.arch}-\${Deno.build.os}\`];
  try {
    const { stacks, openRest } = openTemporary(build, text, "libc.so.6");
    const bounds = new BigUint64Array(4);
    console.log(stacks.mapStack(65536n, false, bounds), openRest().load8 !== undefined);
  } finally {
    console.log(files().length - before);
  }
`;

Deno.test("a system without files in memory has a temporary one, which goes at once", async () => {
  assertSucceeds(await runChild(temporary, ["-A"]), "0 true\n0\n");
  for (const call of ["mkstemp", "write"]) {
    const failing = `
      const { dlopen } = Deno;
      Deno.dlopen = (name, table) => {
        const library = dlopen(name, table);
        if (name !== "libc.so.6") return library;
        return { symbols: { ...library.symbols, ${call}: () => -1 }, close() {} };
      };
      ${temporary}
    `;
    const ended = await runChild(failing, ["-A"]);
    assertFails(ended, "FringeError", `the system gives no temporary file in /tmp (${call})`);
    assertEquals(ended.stdout, "0\n");
  }
});

Deno.test("a Worker opens the library for itself", async () => {
  const worker = `
    import { Generator, OsStack } from ${JSON.stringify(moduleUrl)};
    postMessage(new Generator(new OsStack(), function* () { yield "worker"; }).resume());
  `;
  const source = `
    const url = URL.createObjectURL(new Blob([${JSON.stringify(worker)}], {
      type: "application/typescript",
    }));
    const worker = new Worker(url, { type: "module" });
    worker.onmessage = ({ data }) => { console.log(data); worker.terminate(); };
  `;
  assertSucceeds(await runChild(source, ["--allow-ffi", "--allow-read"]), "worker\n");
});

testWith("g++", "dlopen() finds fringe's library for one that is linked with it", async () => {
  await withFolder(async (folder) => {
    const [source, library] = [join(folder, "linked.c"), join(folder, "liblinked.so")];
    await Deno.writeTextFile(
      source,
      `#include <stdint.h>
       uintptr_t fringe_suspend(void *yielder, uintptr_t word);
       void twice(void *yielder, int32_t input)
       {
           for (;;) input = fringe_suspend(yielder, 2 * input);
       }`,
    );
    // Without its folder as an rpath.
    const options = ["-shared", "-fPIC", "-fexceptions", fileURLToPath(fringeLibrary)];
    const compiled = await new Deno.Command("gcc", { args: [source, ...options, "-o", library] })
      .output();
    assert(compiled.success, new TextDecoder().decode(compiled.stderr));
    const linked = `
      import { dlopen, Generator, OsStack } from ${JSON.stringify(moduleUrl)};
      const { twice } = dlopen(${JSON.stringify(library)}, {
        twice: { input: "i32", output: "i32" },
      }).symbols;
      const generator = new Generator(new OsStack(), twice);
      console.log(generator.resume(2), generator.resume(3));
    `;
    assertSucceeds(await runChild(linked, ["--allow-ffi"]), "4 6\n");
  });
});

Deno.test("a checkout in a path that is not UTF-8 is refused, and why is said", async () => {
  await withFolder(async (directory) => {
    // Deno itself has no name for such a folder.
    const script = `mkdir "$1/x$(printf '\\377')" && cd "$1"/x* && cp -r "$2"/mod.ts "$2"/ffi . ` +
      `&& mkdir native && cp -r "$2"/native/prebuilt native`;
    const { success } = await new Deno.Command("sh", {
      args: ["-c", script, "sh", directory, root],
    }).output();
    assert(success);
    const url = `file://${directory}/x%FF/mod.ts`;
    const said = ["Cannot open fringe's native library: its path is not UTF-8", "x%FF/native"];
    assertFails(await runChild(small(url), ["-A"]), ...said, "Move the checkout");
    assertSucceeds(
      await runChild(small(url), ["-A"], { FRINGE_LIBRARY: fileURLToPath(fringeLibrary) }),
      "generator\n",
    );
  });
});
