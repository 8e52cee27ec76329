// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/**
 * Layouts are those of the compiler: of structs in headers that programs are written for, and of
 * any struct, which random ones stand for.
 *
 * A failure of the random ones names its seed: `FRINGE_SEED=…` has the same structs.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { inflateSync } from "node:zlib";
import {
  Callback,
  dlopen,
  functionAt,
  type Layout,
  type LayoutFields,
  type LayoutOptions,
  pointerTo,
  PointerView,
  struct,
  union,
} from "../../mod.ts";
import { ask, measure, namesOf, printing, program } from "../support/measured.ts";
import { seeds } from "../support/seeds.ts";
import { manyTimes, testWith } from "../support/support.ts";

const timespec = struct({ tv_sec: "i64", tv_nsec: "i64" });
const timeval = struct({ tv_sec: "i64", tv_usec: "i64" });
const in_addr = struct({ s_addr: "u32" });
const sockaddr = struct({ sa_family: "u16", sa_data: ["i8", 14] });
const zStream = struct({
  ...{ next_in: "pointer", avail_in: "u32", total_in: "u64", next_out: "pointer" },
  ...{ avail_out: "u32", total_out: "u64", msg: "cstring", state: "pointer" },
  ...{ zalloc: "function", zfree: "function", opaque: "pointer", data_type: "i32" },
  ...{ adler: "u64", reserved: "u64" },
});
const all = <const T>(names: readonly string[], type: T): Record<string, T> =>
  Object.fromEntries(names.map((name) => [name, type]));

/** By the header: structs as somebody would write them down who reads it. */
const HEADERS: Readonly<Record<string, Readonly<Record<string, Layout>>>> = {
  "time.h": {
    "struct timespec": timespec,
    "struct itimerspec": struct({ it_interval: timespec, it_value: timespec }),
    "struct tm": struct({
      ...{ tm_sec: "i32", tm_min: "i32", tm_hour: "i32", tm_mday: "i32", tm_mon: "i32" },
      ...{ tm_year: "i32", tm_wday: "i32", tm_yday: "i32", tm_isdst: "i32" },
      ...{ tm_gmtoff: "i64", tm_zone: "cstring" },
    }),
  },
  "sys/stat.h": Deno.build.arch !== "x86_64" ? {} : {
    "struct stat": struct({
      ...{ st_dev: "u64", st_ino: "u64", st_nlink: "u64", st_mode: "u32", st_uid: "u32" },
      ...{ st_gid: "u32", __pad0: "i32", st_rdev: "u64", st_size: "i64", st_blksize: "i64" },
      ...{ st_blocks: "i64", st_atim: timespec, st_mtim: timespec, st_ctim: timespec },
      __glibc_reserved: ["i64", 3],
    }),
  },
  "dirent.h": {
    "struct dirent": struct({
      ...{ d_ino: "u64", d_off: "i64", d_reclen: "u16", d_type: "u8", d_name: ["i8", 256] },
    }),
  },
  "poll.h": { "struct pollfd": struct({ fd: "i32", events: "i16", revents: "i16" }) },
  "netinet/in.h": {
    "struct in_addr": in_addr,
    "struct sockaddr_in": struct({
      ...{ sin_family: "u16", sin_port: "u16", sin_addr: in_addr, sin_zero: ["u8", 8] },
    }),
    "struct in6_addr": struct({ __in6_u: union({ bytes: ["u8", 16], words: ["u32", 4] }) }),
    "struct sockaddr_in6": struct({
      ...{ sin6_family: "u16", sin6_port: "u16", sin6_flowinfo: "u32" },
      ...{ sin6_addr: union({ bytes: ["u8", 16], words: ["u32", 4] }), sin6_scope_id: "u32" },
    }),
  },
  "netdb.h": {
    "struct addrinfo": struct({
      ...{ ai_flags: "i32", ai_family: "i32", ai_socktype: "i32", ai_protocol: "i32" },
      ...{ ai_addrlen: "u32", ai_addr: pointerTo(sockaddr), ai_canonname: "cstring" },
      ai_next: "pointer",
    }),
    "struct hostent": struct({
      ...{ h_name: "cstring", h_aliases: "pointer", h_addrtype: "i32", h_length: "i32" },
      h_addr_list: "pointer",
    }),
    "struct servent": struct({
      ...{ s_name: "cstring", s_aliases: "pointer", s_port: "i32", s_proto: "cstring" },
    }),
  },
  "sys/socket.h": {
    "struct sockaddr": sockaddr,
    "struct msghdr": struct({
      ...{ msg_name: "pointer", msg_namelen: "u32", msg_iov: "pointer", msg_iovlen: "usize" },
      ...{ msg_control: "pointer", msg_controllen: "usize", msg_flags: "i32" },
    }),
  },
  "sys/un.h": { "struct sockaddr_un": struct({ sun_family: "u16", sun_path: ["i8", 108] }) },
  "sys/uio.h": { "struct iovec": struct({ iov_base: "pointer", iov_len: "usize" }) },
  "sys/utsname.h": {
    "struct utsname": struct(
      all(
        ["sysname", "nodename", "release", "version", "machine", "domainname"],
        ["i8", 65],
      ),
    ),
  },
  "sys/resource.h": {
    "struct rlimit": struct({ rlim_cur: "u64", rlim_max: "u64" }),
    "struct rusage": struct({
      ...{ ru_utime: timeval, ru_stime: timeval },
      ...all(["ru_maxrss", "ru_ixrss", "ru_idrss", "ru_isrss", "ru_minflt", "ru_majflt"], "i64"),
      ...all(["ru_nswap", "ru_inblock", "ru_oublock", "ru_msgsnd", "ru_msgrcv"], "i64"),
      ...{ ru_nsignals: "i64", ru_nvcsw: "i64", ru_nivcsw: "i64" },
    }),
  },
  "sys/statvfs.h": {
    "struct statvfs": struct({
      ...{ f_bsize: "u64", f_frsize: "u64", f_blocks: "u64", f_bfree: "u64", f_bavail: "u64" },
      ...{ f_files: "u64", f_ffree: "u64", f_favail: "u64", f_fsid: "u64", f_flag: "u64" },
      ...{ f_namemax: "u64", __rest: ["i32", 6] },
    }),
  },
  // Packed on x86_64 only, since the kernel has 32-bit programs there.
  "sys/epoll.h": {
    "struct epoll_event": struct(
      { events: "u32", data: union({ ptr: "pointer", fd: "i32", u32: "u32", u64: "u64" }) },
      Deno.build.arch === "x86_64" ? { pack: 1 } : {},
    ),
  },
  "pwd.h": {
    "struct passwd": struct({
      ...{ pw_name: "cstring", pw_passwd: "cstring", pw_uid: "u32", pw_gid: "u32" },
      ...{ pw_gecos: "cstring", pw_dir: "cstring", pw_shell: "cstring" },
    }),
  },
  "signal.h": {
    "stack_t": struct({ ss_sp: "pointer", ss_flags: "i32", ss_size: "usize" }),
    "struct sigaction": struct({
      ...{ sa_handler: "function", sa_mask: ["u64", 16], sa_flags: "i32", sa_restorer: "function" },
    }),
    "siginfo_t": struct({
      ...{ si_signo: "i32", si_errno: "i32", si_code: "i32" },
      _sifields: union({ pad: ["i32", 28], fault: struct({ si_addr: "pointer" }) }),
    }),
  },
  "termios.h": {
    "struct termios": struct({
      ...{ c_iflag: "u32", c_oflag: "u32", c_cflag: "u32", c_lflag: "u32", c_line: "u8" },
      ...{ c_cc: ["u8", 32], c_ispeed: "u32", c_ospeed: "u32" },
    }),
  },
  "link.h": {
    "struct dl_phdr_info": struct({
      ...{ dlpi_addr: "u64", dlpi_name: "cstring", dlpi_phdr: "pointer", dlpi_phnum: "u16" },
      ...{ dlpi_adds: "u64", dlpi_subs: "u64", dlpi_tls_modid: "usize", dlpi_tls_data: "pointer" },
    }),
  },
  "zlib.h": {
    "z_stream": zStream,
    "gz_header": struct({
      ...{ text: "i32", time: "u64", xflags: "i32", os: "i32", extra: "pointer" },
      ...{ extra_len: "u32", extra_max: "u32", name: "pointer", name_max: "u32" },
      ...{ comment: "pointer", comm_max: "u32", hcrc: "i32", done: "i32" },
    }),
  },
  "expat.h": {
    "XML_Content": struct({
      ...{ type: "i32", quant: "i32", name: "cstring", numchildren: "u32", children: "pointer" },
    }),
    "XML_Memory_Handling_Suite": struct({
      ...{ malloc_fcn: "function", realloc_fcn: "function", free_fcn: "function" },
    }),
  },
  "sqlite3.h": {
    "sqlite3_vfs": struct({
      ...{ iVersion: "i32", szOsFile: "i32", mxPathname: "i32", pNext: "pointer" },
      ...{ zName: "cstring", pAppData: "pointer" },
      ...all(["xOpen", "xDelete", "xAccess", "xFullPathname", "xDlOpen", "xDlError"], "function"),
      ...all(["xDlSym", "xDlClose", "xRandomness", "xSleep", "xCurrentTime"], "function"),
      ...all(["xGetLastError", "xCurrentTimeInt64", "xSetSystemCall"], "function"),
      ...all(["xGetSystemCall", "xNextSystemCall"], "function"),
    }),
    "struct sqlite3_index_constraint": struct({
      ...{ iColumn: "i32", op: "u8", usable: "u8", iTermOffset: "i32" },
    }),
    "sqlite3_index_info": struct({
      ...{ nConstraint: "i32", aConstraint: "pointer", nOrderBy: "i32", aOrderBy: "pointer" },
      ...{ aConstraintUsage: "pointer", idxNum: "i32", idxStr: "pointer" },
      ...{ needToFreeIdxStr: "i32", orderByConsumed: "i32", estimatedCost: "f64" },
      ...{ estimatedRows: "i64", idxFlags: "i32", colUsed: "u64" },
    }),
  },
};

/** Headers that belong to a package of their own, which may be missing. */
const OF_PACKAGES = ["zlib.h", "expat.h", "sqlite3.h"];

testWith("g++", "struct() lays out what headers have as the compiler does", async () => {
  const rows = Object.entries(HEADERS);
  const includes = rows.map(([header]) =>
    OF_PACKAGES.includes(header)
      ? `#if __has_include(<${header}>)\n#include <${header}>\n#endif\n`
      : `#include <${header}>\n`
  );
  const statements = rows.flatMap(([header, structs]) => {
    const printed = Object.entries(structs).map(([type, layout]) =>
      printing(type, type, namesOf(layout))
    );
    return OF_PACKAGES.includes(header)
      ? [`#if __has_include(<${header}>)\n`, ...printed, "#endif\n"]
      : printed;
  });
  const measured = await ask(program(includes.join(""), statements.join("")));
  const structs = Object.assign({}, ...Object.values(HEADERS)) as Record<string, Layout>;
  const known = Object.entries(structs).filter(([type]) => type in measured);
  assertEquals(
    Object.fromEntries(known.map(([type, layout]) => [type, measure(layout)])),
    measured,
  );
  assert(known.length >= 24, "the structs of libc are all there");
});

// Random structs

/** A type as it is declared in C, and as it stands in a layout. */
interface Declared {
  /** What has to be declared before, in order. */
  readonly declarations: readonly string[];
  readonly type: string;
  readonly field: LayoutFields[string];
}

/** The scalars, with their types in C. */
const SCALARS = {
  ...{ bool: "_Bool", i8: "signed char", u8: "unsigned char", char: "char", i16: "short" },
  ...{ u16: "unsigned short", i32: "int", u32: "unsigned", i64: "long", u64: "unsigned long" },
  ...{ isize: "ptrdiff_t", usize: "size_t", f32: "float", f64: "double", pointer: "void *" },
  ...{
    "usize as number": "size_t",
    function: "callback",
    buffer: "unsigned char *",
    cstring: "const char *",
  },
} as const;

interface Random extends Declared {
  readonly name: string;
  readonly layout: Layout;
}

/** Gives each struct a name that no other has. */
let structCount = 0;

type Member = readonly [of: Declared, count: number | undefined];

function declare(members: readonly Member[], isUnion: boolean, options: LayoutOptions): Random {
  const word = isUnion ? "union" : "struct";
  const type = `${word} s${structCount++}`;
  const named = members.map(([of, count], i) => ({ of, count, name: `m${i}` }));
  const fields = Object.fromEntries(named.map(({ of, count, name }) => [
    name,
    count === undefined ? of.field : [of.field, count],
  ])) as LayoutFields;
  const aligned = options.alignment ? ` __attribute__((aligned(${options.alignment})))` : "";
  const lines = named.map(({ of, count, name }) =>
    `  ${of.type} ${name}${count === undefined ? "" : `[${count}]`};\n`
  );
  const packs = options.pack !== undefined;
  const declaration = `${packs ? `#pragma pack(push, ${options.pack})\n` : ""}` +
    `${type} {\n${lines.join("")}}${aligned};\n${packs ? "#pragma pack(pop)\n" : ""}`;
  const layout = (isUnion ? union : struct)(fields, options);
  return {
    name: type,
    type,
    layout,
    field: layout,
    declarations: [...members.flatMap(([of]) => of.declarations), declaration],
  };
}

const scalar: fc.Arbitrary<Declared> = fc.constantFrom(...Object.entries(SCALARS)).map(
  ([field, type]) => ({ declarations: [], type, field: field as keyof typeof SCALARS }),
);
const options: fc.Arbitrary<LayoutOptions> = fc.record({
  pack: fc.option(fc.constantFrom(1, 2, 4, 8, 16), { nil: undefined, freq: 2 }),
  alignment: fc.option(fc.constantFrom(1, 2, 4, 8, 16, 32, 64), { nil: undefined, freq: 2 }),
}, { requiredKeys: [] });

const { struct: randomStruct } = fc.letrec<{ struct: Random; member: Member }>((tie) => ({
  struct: fc.tuple(
    fc.array(tie("member"), { minLength: 1, maxLength: 6 }),
    fc.boolean(),
    options,
  ).map((args) => declare(...args)),
  member: fc.tuple(
    fc.oneof({ maxDepth: 3, withCrossShrink: true }, scalar, tie("struct")),
    fc.option(fc.integer({ min: 1, max: 5 }), { nil: undefined }),
  ),
}));

/** How many random structs a program measures. */
const STRUCTS = manyTimes(200);

testWith("g++", "struct() and union() lay out anything as the compiler does", async () => {
  for (const seed of seeds()) {
    const structs = fc.sample(randomStruct, { seed, numRuns: STRUCTS });
    const declarations = new Set(structs.flatMap(({ declarations }) => declarations));
    const statements = structs.map(({ name, layout }) => printing(name, name, namesOf(layout)));
    const measured = await ask(
      program(
        `typedef void (*callback)(void);\n${[...declarations].join("")}`,
        statements.join(""),
      ),
    );
    for (const { name, layout, declarations } of structs) {
      assertEquals(
        measure(layout),
        measured[name],
        `FRINGE_SEED=${seed}\n${declarations.join("")}`,
      );
    }
  }
});

// What C itself puts there

Deno.test("layouts read what libc gives: strings, lists to follow, arrays of strings", () => {
  interface AddressInfo {
    ai_family: number;
    ai_socktype: number;
    ai_addr: { sin_family: number; sin_port: number; sin_addr: { s_addr: number } } | null;
    ai_next: AddressInfo | null;
  }
  const address = struct({
    ...{ sin_family: "u16", sin_port: "u16", sin_addr: in_addr, sin_zero: ["u8", 8] },
  });
  const info = struct({
    ...{ ai_flags: "i32", ai_family: "i32", ai_socktype: "i32", ai_protocol: "i32" },
    ...{ ai_addrlen: "u32", ai_addr: pointerTo(address), ai_canonname: "cstring" },
    ai_next: pointerTo<AddressInfo>(() => info),
  });
  const passwd = struct({
    ...{ pw_name: "cstring", pw_passwd: "cstring", pw_uid: "u32", pw_gid: "u32" },
    ...{ pw_gecos: "cstring", pw_dir: "cstring", pw_shell: "cstring" },
  });
  using libc = dlopen("libc.so.6", {
    getaddrinfo: { parameters: ["cstring", "cstring", "buffer", "buffer"], result: "i32" },
    freeaddrinfo: { parameters: ["pointer"], result: "void" },
    getpwuid: { parameters: ["u32"], result: "pointer" },
    environ: { type: "pointer" },
  });
  const { getaddrinfo, freeaddrinfo, getpwuid, environ } = libc.symbols;

  const hints = new Uint8Array(info.size);
  const AI_NUMERICHOST = 4;
  info.write(hints, { ai_flags: AI_NUMERICHOST });
  const list = new Uint8Array(8);
  assertEquals(getaddrinfo("127.0.0.1", "80", hints, list), 0);
  const first = PointerView.of(list).getPointer()!;
  let count = 0;
  for (let at: AddressInfo | null = info.view(first); at !== null; at = at.ai_next) {
    assertEquals(at.ai_addr!.sin_port, 80 << 8);
    assertEquals(at.ai_addr!.sin_addr.s_addr, 0x0100007f);
    count++;
  }
  // One for each kind of socket: TCP, UDP, raw.
  assertEquals(count, 3);
  freeaddrinfo(first);

  const root = passwd.read(getpwuid(0)!);
  assertEquals([root.pw_name, root.pw_uid, root.pw_dir], ["root", 0, "/root"]);

  const variables = new PointerView(new PointerView(environ!).getPointer()!).getCStrings();
  for (const [name, value] of Object.entries(Deno.env.toObject())) {
    assert(variables.includes(`${name}=${value}`), `${name} is in C's environment`);
  }
});

testWith("libz.so.1", "zlib is given a struct of functions and buffers, and calls them", () => {
  using libz = dlopen("libz.so.1", {
    deflateInit_: { parameters: ["pointer", "i32", "cstring", "i32"], result: "i32" },
    deflate: { parameters: ["pointer", "i32"], result: "i32" },
    deflateEnd: { parameters: ["pointer"], result: "i32" },
    zlibVersion: { parameters: [], result: "cstring" },
  });
  const blocks = new Map<bigint, Disposable>();
  using allocate = new Callback(
    { parameters: ["pointer", "u32", "u32"], result: "pointer" },
    (_opaque, items, size) => {
      const memory = PointerView.allocate(items * size);
      blocks.set(memory.address, memory);
      return memory.pointer;
    },
  );
  using release = new Callback(
    { parameters: ["pointer", "pointer"], result: "void" },
    (_opaque, pointer) => {
      const { address } = new PointerView(pointer!);
      blocks.get(address)![Symbol.dispose]();
      blocks.delete(address);
    },
  );
  const text = new TextEncoder().encode("fringe ".repeat(1000));
  const output = new Uint8Array(1000);
  using memory = PointerView.allocate(zStream.size);
  zStream.write(memory, {
    zalloc: allocate,
    zfree: release,
    next_in: PointerView.of(text).pointer,
  });
  const stream = zStream.view(memory);
  stream.avail_in = text.length;
  stream.next_out = PointerView.of(output).pointer;
  stream.avail_out = output.length;
  const { deflateInit_, deflate, deflateEnd, zlibVersion } = libz.symbols;
  assertEquals(deflateInit_(memory.pointer, 9, zlibVersion(), zStream.size), 0);
  assert(blocks.size > 0);
  const [Z_FINISH, Z_STREAM_END] = [4, 1];
  assertEquals(deflate(memory.pointer, Z_FINISH), Z_STREAM_END);
  assertEquals([stream.total_in, stream.avail_in, stream.msg], [7000n, 0, null]);
  // C's own functions are found in there, too: this one zlib has not changed.
  const again = functionAt(stream.zalloc!, allocate.definition);
  assert(again(null, 1, 8) !== null);
  assertEquals(deflateEnd(memory.pointer), 0);
  assertEquals(blocks.size, 1);
  blocks.values().next().value![Symbol.dispose]();
  assertEquals(
    inflateSync(output.subarray(0, Number(stream.total_out))).toString(),
    "fringe ".repeat(1000),
  );
});
