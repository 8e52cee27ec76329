// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Runs the assembly of the library for macOS, on Linux: the processor and the calling convention
 * are the same, as far as integers in registers go. The file is mapped here in place of by Apple's
 * loader, and what it takes from libSystem it gets from glibc, by the same names. That holds for
 * code that makes no system calls: contexts, switches, thunks, the variable of each thread, and a
 * walk by the unwind tables.
 */

import { join } from "node:path";
import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { Grant, Mailbox, Status, ThunkBlock } from "../../ffi/layout.ts";
import { zigBuild } from "../../tools/zig.ts";
import { testWith } from "../support/support.ts";

const libc = Deno.dlopen("libc.so.6", {
  mmap: { parameters: ["u64", "usize", "i32", "i32", "i32", "i64"], result: "pointer" },
  munmap: { parameters: ["pointer", "usize"], result: "i32" },
  memcpy: { parameters: ["pointer", "buffer", "usize"], result: "pointer" },
  dlsym: { parameters: ["pointer", "buffer"], result: "u64" },
});

/** What has another name in glibc. */
const NAMES: Readonly<Record<string, string>> = { __error: "__errno_location" };

/** The address of a function of this process; 0: there is none. */
function addressOf(name: string): bigint {
  return libc.symbols.dlsym(null, new TextEncoder().encode(`${NAMES[name] ?? name}\0`));
}

/** Memory that may be written and executed. */
class Memory implements Disposable {
  readonly #pointer: Deno.PointerValue;
  readonly start: bigint;

  constructor(readonly size: number) {
    const [PROT_ALL, MAP_PRIVATE_ANONYMOUS] = [7, 0x22];
    const size_ = BigInt(size);
    this.#pointer = libc.symbols.mmap(0n, size_, PROT_ALL, MAP_PRIVATE_ANONYMOUS, -1, 0n);
    this.start = Deno.UnsafePointer.value(this.#pointer);
    assertNotEquals(this.start, BigInt.asUintN(64, -1n));
  }

  write(offset: number, bytes: Uint8Array<ArrayBuffer>): void {
    const to = Deno.UnsafePointer.create(this.start + BigInt(offset));
    libc.symbols.memcpy(to, bytes, BigInt(bytes.length));
  }

  writeWord(offset: number, word: bigint): void {
    this.write(offset, new Uint8Array(BigUint64Array.of(word).buffer));
  }

  readWord(offset: number): bigint {
    const from = Deno.UnsafePointer.create(this.start + BigInt(offset))!;
    return new Deno.UnsafePointerView(from).getBigUint64();
  }

  [Symbol.dispose](): void {
    libc.symbols.munmap(this.#pointer, BigInt(this.size));
  }
}

async function objdump(...args: string[]): Promise<string> {
  const { success, stdout } = await new Deno.Command("llvm-objdump", { args }).output();
  assert(success);
  return new TextDecoder().decode(stdout);
}

/** Does what dyld does: maps the segments, and fills in the addresses of the file and of others. */
async function load(file: string, memory: Memory): Promise<Map<string, bigint>> {
  const bytes = await Deno.readFile(file);
  const headers = await objdump("--macho", "--private-headers", file);
  const segments = headers.matchAll(
    /cmd LC_SEGMENT_64\n[^]*?vmaddr (\w+)\n *vmsize \w+\n *fileoff (\w+)\n *filesize (\w+)\n/g,
  );
  for (const [, at, offset, size] of segments) {
    const start = Number(offset);
    memory.write(Number(at), bytes.slice(start, start + Number(size)));
  }
  const tables = await objdump("--macho", "--rebase", "--bind", "--lazy-bind", file);
  for (const [, at] of tables.matchAll(/^__DATA\w* +\w+ +(0x\w+) +pointer$/gm)) {
    memory.writeWord(Number(at), memory.readWord(Number(at)) + memory.start);
  }
  for (const [, at, name] of tables.matchAll(/^__DATA.* (0x\w+) .*libSystem +_(\w+)/gm)) {
    memory.writeWord(Number(at), addressOf(name!));
  }
  const exported = await objdump("--macho", "--exports-trie", file);
  return new Map(
    [...exported.matchAll(/^(0x\w+) +_(\w+)$/gm)].map(([, at, name]) => [
      name!,
      memory.start + BigInt(at!),
    ]),
  );
}

/** Where a section lies in a file that is loaded at 0. */
async function sectionOf(file: string, name: string): Promise<number> {
  const headers = await objdump("--macho", "--private-headers", file);
  return Number(new RegExp(`sectname ${name}\\n.*\\n *addr (\\w+)`).exec(headers)![1]);
}

/**
 * Has the variable of each thread at `variable`: the function in its descriptor gives that, and
 * keeps all other registers.
 */
async function setThreadLocal(file: string, memory: Memory, variable: number): Promise<void> {
  const descriptor = await sectionOf(file, "__thread_vars");
  const code = variable + 16;
  const address = new Uint8Array(BigUint64Array.of(memory.start + BigInt(variable)).buffer);
  memory.write(code, Uint8Array.of(...RETURN_WORD[Deno.build.arch](address)));
  memory.writeWord(descriptor, memory.start + BigInt(code));
}

/** A function that returns a word, and destroys no other register. */
const RETURN_WORD: Readonly<Record<typeof Deno.build.arch, (word: Uint8Array) => number[]>> = {
  // movabs $word, %rax; ret
  x86_64: (word) => [0x48, 0xb8, ...word, 0xc3],
  // ldr x0, word; ret; word
  aarch64: (word) => [0x40, 0x00, 0x00, 0x58, 0xc0, 0x03, 0x5f, 0xd6, ...word],
};

function call(address: bigint, ...args: bigint[]): bigint {
  const definition = { parameters: args.map(() => "u64" as const), result: "u64" as const };
  const pointer = Deno.UnsafePointer.create<typeof definition>(address)!;
  return new Deno.UnsafeFnPointer(pointer, definition).call(...args);
}

/** Where the functions of a suspended body go on, the innermost first. */
function backtrace(function_: bigint, context: bigint): bigint[] {
  const addresses = new BigUint64Array(16);
  const to = Deno.UnsafePointer.value(Deno.UnsafePointer.of(addresses));
  return [...addresses.subarray(0, Number(call(function_, context, to, 16n)))];
}

if (Deno.build.os === "linux") {
  testWith(
    "llvm-objdump",
    "the assembly for macOS switches: qsort suspends in a thunk",
    async () => {
      const folder = await Deno.makeTempDir({ prefix: "fringe-macho-run-" });
      try {
        await zigBuild("install", `-Dtarget=${Deno.build.arch}-macos`, "--prefix", folder);
        const file = join(folder, "lib", "libfringe.dylib");
        const size = 1 << 22;
        const [thread, stack] = [size - 4096, size - 8192];
        using memory = new Memory(size);
        const symbols = await load(file, memory);
        await setThreadLocal(file, memory, thread);
        // gcc's unwinder reads the same tables as Apple's. There are zeros behind them.
        const tables = memory.start + BigInt(await sectionOf(file, "__eh_frame"));
        call(addressOf("__register_frame"), tables);
        const address = (name: string): bigint => symbols.get(name)!;

        // The library's own thunks, of which the last one will do.
        const block = new BigUint64Array(ThunkBlock.size / 8);
        const to = Deno.UnsafePointer.value(Deno.UnsafePointer.of(block));
        assertEquals(call(address("fringe_thunk_map"), to) & 0xffffffffn, BigInt(Grant.granted));
        const word = (offset: number): bigint => block[offset / 8]!;
        const last = word(ThunkBlock.count) - 1n;
        const thunk = word(ThunkBlock.address) + last * word(ThunkBlock.stride);
        const NUMBER = word(ThunkBlock.number) + last;
        assertEquals(thunk >= memory.start && thunk < memory.start + BigInt(size), true);

        const numbers = BigInt64Array.of(30n, 10n, 20n, 50n, 40n);
        const mailbox = new DataView(new ArrayBuffer(Mailbox.size));
        mailbox.setBigUint64(Mailbox.function, addressOf("qsort"), true);
        const start = Deno.UnsafePointer.value(Deno.UnsafePointer.of(numbers));
        for (const [i, argument] of [start, 5n, 8n, thunk].entries()) {
          mailbox.setBigUint64(Mailbox.integers + 8 * i, argument, true);
        }
        const context = call(
          address("fringe_init_caught"),
          memory.start + BigInt(stack),
          address("fringe_call_body"),
          Deno.UnsafePointer.value(Deno.UnsafePointer.of(mailbox)),
          0n,
          memory.start + BigInt(stack - (1 << 20)),
        );
        let calls = 0;
        while (call(address("fringe_resume_call"), context, 0n) === NUMBER) {
          calls++;
          assertEquals(mailbox.getUint32(Mailbox.callback, true), Number(NUMBER));
          // R is the current context in between, and is not any more.
          assertEquals(memory.readWord(thread), 0n);
          const addresses = backtrace(address("fringe_backtrace"), context);
          const isAfter = (name: string, at: bigint): boolean =>
            at > address(name) && at < address(name) + 0x200n;
          assert(isAfter("fringe_thunk_common", addresses[0]!), "The thunk is the innermost");
          assert(isAfter("fringe_call_body", addresses.at(-1)!), "The body is the outermost");
          assert(addresses.length > 2, "In between is qsort");
          const [a, b] = [0, 1].map((i) => {
            const at = mailbox.getBigUint64(Mailbox.callback_integers + 8 * i, true);
            return new Deno.UnsafePointerView(Deno.UnsafePointer.create(at)!).getBigInt64();
          });
          mailbox.setBigInt64(Mailbox.input, a! - b!, true);
        }
        assert(calls > 3);
        assertEquals([...numbers], [10n, 20n, 30n, 40n, 50n]);
        assertEquals(mailbox.getInt32(Mailbox.status, true), Status.returned);

        // A context for a native resumer asks for a C++ runtime; there is none by Apple's name.
        const box = new DataView(new ArrayBuffer(Mailbox.size));
        box.setBigUint64(Mailbox.function, addressOf("labs"), true);
        box.setBigInt64(Mailbox.integers, -5n, true);
        const native = call(
          address("fringe_init"),
          memory.start + BigInt(stack),
          address("fringe_call_body"),
          Deno.UnsafePointer.value(Deno.UnsafePointer.of(box)),
        );
        assertEquals(call(address("fringe_resume"), native, 0n), 0n);
        assertEquals(box.getInt32(Mailbox.status, true), Status.returned);
        assertEquals(box.getBigInt64(Mailbox.output, true), 5n);
        call(addressOf("__deregister_frame"), tables);
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
    },
  );
}
