// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors
// Made by `deno task build` (tools/bundle.ts) from ffi/exports.ts and what that imports: edit those.

import { sha256Wasm, prebuilt, folder, text } from './library/prebuilt.js';

function describe(value) {
    if (typeof value === "string")
        return JSON.stringify(cut$1(value));
    if (typeof value === "bigint") {
        return BigInt.asIntN(128, value) === value ? `${value}n` : "a bigint of more than 128 bits";
    }
    if (typeof value === "function")
        return named("a function", "function", () => value.name);
    if (typeof value === "object" && value !== null) {
        return named("an object", "an object of class", () => value.constructor?.name);
    }
    return String(value);
}
function hint(hintFor, value) {
    try {
        return hintFor(value);
    }
    catch {
        return "";
    }
}
function named(otherwise, what, nameOf) {
    try {
        const name = nameOf();
        return typeof name === "string" && name !== "" ? `${what} ${cut$1(name)}` : otherwise;
    }
    catch {
        return otherwise;
    }
}
function cut$1(text) {
    return text.length > 100 ? `${text.slice(0, 100)}…` : text;
}
const HINTS = {
    stop: "; it belongs to a callback, beside its parameters and result",
};
const checkKeys = (function checkKeys(definition, known, what) {
    for (const key of Object.keys(definition)) {
        if (known.includes(key))
            continue;
        throw new TypeError(`${what}: the key ${describe(key)} is not understood` +
            `${Object.hasOwn(HINTS, key) ? HINTS[key] : `; keys here are ${known.join(", ")}`}`);
    }
});
function copyOf(definition, what) {
    try {
        return copy$2(definition, []);
    }
    catch (error) {
        if (isExhaustion(error))
            throw error;
        throw new TypeError(`${what}: its definition must be plain data`, { cause: error });
    }
}
let whole;
function keepWhole(object) {
    (whole ??= new WeakSet()).add(object);
}
function copy$2(value, above) {
    if (typeof value !== "object" || value === null)
        return structuredClone(value);
    if (isPointer$1(value) || whole?.has(value))
        return value;
    if (ArrayBuffer.isView(value))
        return structuredClone(value);
    if (above.includes(value))
        throw new TypeError("It contains itself");
    const copied = Array.isArray(value) ? new Array(value.length) : {};
    for (const [key, part] of Object.entries(value)) {
        const isStop = key === "stop" && typeof part === "function";
        const copiedPart = isStop ? part : copy$2(part, [...above, value]);
        Object.defineProperty(copied, key, own({ value: copiedPart, enumerable: true }));
    }
    return Object.freeze(copied);
}
function isPointer$1(value) {
    return Object.getPrototypeOf(value) === null && Reflect.ownKeys(value).length === 0;
}
const own = (function own(object) {
    return Object.assign(Object.create(null), object);
});
function isPowerOfTwo(value) {
    return typeof value === "number" && value >= 1 && Number.isInteger(Math.log2(value));
}
const nothing = () => { };
const ARGUMENTS = new Map();
const WORDS_OF_KIB = 1024 / 8;
const needStack = (function needStack(kib) {
    let words = ARGUMENTS.get(kib);
    if (words === undefined)
        ARGUMENTS.set(kib, words = new Array(kib * WORDS_OF_KIB).fill(0));
    nothing.apply(undefined, words);
});
const EXHAUSTED = "Maximum call stack size exceeded";
function isExhaustion(error) {
    return error instanceof RangeError && error.message === EXHAUSTED;
}
function hasStack(kib) {
    try {
        needStack(kib);
        return true;
    }
    catch {
        return false;
    }
}

const ABI = 2;
const Status = {
    suspended: 0,
    returned: 1,
    unwound: 2,
    abandoned: 3,
    throwing: 6,
    thrown: 7,
    overflowed: 8,
};
const Abandonment = {
    none: 0,
    no_tables: 1,
    no_room: 2,
    foreign_unwinder: 3,
    foreign_stack: 4,
    suspended_in_cleanup: 5,
    swallowed: 6,
    no_unwinder: 7,
};
const Grant = {
    granted: 0,
    out_of_memory: 4,
    refused: 5,
    too_many_mappings: 9,
};
const SLOT_SIZE = 8;
const TAIL_ANSWER = 1;
const ARGUMENT_REGISTERS = {
    x86_64: { integers: 6, floats: 8, structs: "eightbytes" },
    aarch64: { integers: 8, floats: 8, structs: "aggregates" },
};
const Mailbox = {
    status: 0,
    callback: 4,
    input: 8,
    output: 16,
    output_float: 24,
    function: 32,
    result_float: 40,
    callback_float: 44,
    stack_count: 48,
    callback_stack: 56,
    tail: 64,
    errno: 72,
    wants_errno: 76,
    integers: 80,
    floats: 144,
    callback_integers: 208,
    callback_floats: 272,
    output_second: 336,
    output_more_floats: 344,
    answer_integers: 368,
    answer_floats: 384,
    result_address: 416,
    callback_result_address: 424,
    stack_mask: 432,
    stack: 440,
    size: 440,
};
const FRAMES_MAX = 64;
const Report = {
    language: 0,
    type: 8,
    message: 16,
    message_length: 24,
    count: 32,
    addresses: 40,
    size: 552,
};
const Left = {
    count: 0,
    addresses: 8,
    size: 520,
};
const ThunkBlock = {
    address: 0,
    number: 8,
    stride: 16,
    count: 24,
    size: 32,
};
const ThreadBlock = {
    thread: 0,
    base: 8,
    limit: 16,
    room: 24,
    size: 32,
};
const SymbolBlock = {
    name: 0,
    start: 8,
    module: 16,
    module_start: 24,
    size: 32,
};
const IdlePlace = {
    address: 0,
    stack_pointer: 8,
    frame_pointer: 16,
    size: 24,
};
const Bounds = {
    base: 0,
    limit: 8,
    start: 16,
    stride: 24,
    size: 32,
};
const STACK_ALIGNMENT$1 = 16;
const STACK_SIZE_MIN = 512;
const STACK_SIZE_DEFAULT = 1048576;
const THREAD_ROOM = 65536;
const HEADROOM_MIN = 8192;
const CANARY = "fringe's canary!";

const REASONS = {
    [4]: "the system has no more memory or no more mappings for this process (ulimit -v, " +
        "/proc/sys/vm/max_map_count); dispose of generators and stacks that are not needed",
    [9]: "each of its stacks would take two of the mappings that a process may have " +
        "(/proc/sys/vm/max_map_count), and this one has come near their number. From Linux 6.13 on " +
        "they take none; before, have the number raised (sysctl vm.max_map_count), or dispose of " +
        "stacks that are not needed",
    [5]: "the system refused (a seccomp filter or another policy of this machine); have it allow " +
        "mmap, mprotect, madvise and munmap",
};
class FringeError extends Error {
    name = "FringeError";
    status;
    constructor(status, message, options) {
        super(message, options);
        this.status = status;
    }
}
const checkGrant = (function checkGrant(grant, action) {
    if (grant === 0)
        return;
    const status = grant === 5 ? "refused" : "out_of_memory";
    throw new FringeError(status, `${action}: ${REASONS[grant] ?? `native code says ${grant}`}`);
});

const STACK_SYMBOLS = {
    abi: { name: "fringe_abi", type: "u32", optional: true },
    mapStack: {
        name: "fringe_os_stack_map",
        parameters: ["usize", "bool", "buffer"],
        result: "i32",
    },
    unmapStack: {
        name: "fringe_os_stack_unmap",
        parameters: ["usize", "usize"],
        result: "i32",
    },
    registerStack: {
        name: "fringe_valgrind_register",
        parameters: ["usize", "usize"],
        result: "void",
        optional: true,
    },
    deregisterStack: {
        name: "fringe_valgrind_deregister",
        parameters: ["usize", "usize"],
        result: "void",
        optional: true,
    },
    depth: { name: "fringe_depth", parameters: [], result: "u32" },
};
const POOL_SYMBOLS = {
    mapSlab: {
        name: "fringe_slab_map",
        parameters: [
            "usize",
            "u32",
            "bool",
            "buffer",
        ],
        result: "i32",
    },
    discardStacks: {
        name: "fringe_slab_discard",
        parameters: [
            "usize",
            "usize",
            "buffer",
            "u32",
            "u32",
        ],
        result: "void",
    },
};
const SYMBOLS = {
    installOverflow: { name: "fringe_overflow_install", parameters: [], result: "void" },
    callBody: { name: "fringe_call_body", type: "pointer" },
    init: {
        name: "fringe_init_caught",
        parameters: [
            "usize",
            "pointer",
            "usize",
            "pointer",
            "usize",
        ],
        result: "pointer",
    },
    lendStack: {
        name: "fringe_stack_lend",
        parameters: ["usize", "bool"],
        result: "void",
    },
    resumeI32: {
        name: "fringe_resume",
        parameters: ["pointer", "i32"],
        result: "i32",
    },
    resumeU32: {
        name: "fringe_resume",
        parameters: ["pointer", "u32"],
        result: "u32",
    },
    resumeToPointer: {
        name: "fringe_resume_to_pointer",
        parameters: ["pointer", "i32"],
        result: "pointer",
    },
    resumePointer: {
        name: "fringe_resume_pointer",
        parameters: ["pointer", "pointer"],
        result: "pointer",
    },
    passPointer: {
        name: "fringe_pass_pointer",
        parameters: ["pointer", "pointer"],
        result: "void",
    },
    call: {
        name: "fringe_call",
        parameters: [
            "pointer",
            "pointer",
        ],
        result: "i32",
    },
    resumeCall: {
        name: "fringe_resume_call",
        parameters: ["pointer", "i32"],
        result: "i32",
    },
    resumeElsewhere: {
        name: "fringe_resume_call",
        parameters: ["pointer", "i32"],
        result: "i32",
        nonblocking: true,
    },
    fill: {
        name: "fringe_fill",
        parameters: [
            "pointer",
            "buffer",
            "u32",
            "u32",
            "bool",
        ],
        result: "u32",
    },
    end: {
        name: "fringe_end",
        parameters: [
            "pointer",
            "usize",
            "buffer",
        ],
        result: "i32",
    },
    watchBegin: {
        name: "fringe_watch_begin",
        parameters: ["usize", "usize"],
        result: "bool",
    },
    watchStep: { name: "fringe_watch_step", parameters: [], result: "void" },
    watchEnd: { name: "fringe_watch_end", parameters: [], result: "void" },
    backtrace: {
        name: "fringe_backtrace",
        parameters: ["pointer", "buffer", "u32"],
        result: "u32",
    },
    symbol: {
        name: "fringe_symbol",
        parameters: ["usize", "buffer"],
        result: "void",
    },
    exceptionState: {
        name: "fringe_exception_state",
        parameters: ["pointer"],
        result: "pointer",
    },
    pin: { name: "fringe_pin", parameters: ["pointer"], result: "void" },
    mapThunks: { name: "fringe_thunk_map", parameters: ["buffer"], result: "i32" },
    addressOfPointer: { name: "fringe_identity", parameters: ["pointer"], result: "usize" },
    addressOfBuffer: { name: "fringe_identity", parameters: ["buffer"], result: "usize" },
    pointerTo: { name: "fringe_identity", parameters: ["usize"], result: "pointer" },
    copyOut: {
        name: "fringe_copy",
        parameters: ["usize", "buffer", "usize"],
        result: "void",
    },
    copyIn: {
        name: "fringe_copy",
        parameters: ["buffer", "usize", "usize"],
        result: "void",
    },
    load8: {
        name: "fringe_load_8",
        parameters: ["pointer", "i32"],
        result: "u8",
    },
    load16: {
        name: "fringe_load_16",
        parameters: ["pointer", "i32"],
        result: "u16",
    },
    loadI32: {
        name: "fringe_load_32",
        parameters: ["pointer", "i32"],
        result: "i32",
    },
    loadU32: {
        name: "fringe_load_32",
        parameters: ["pointer", "i32"],
        result: "u32",
    },
    loadI64: {
        name: "fringe_load_64",
        parameters: ["pointer", "i32"],
        result: "i64",
    },
    loadU64: {
        name: "fringe_load_64",
        parameters: ["pointer", "i32"],
        result: "u64",
    },
    loadPointer: {
        name: "fringe_load_64",
        parameters: ["pointer", "i32"],
        result: "pointer",
    },
    loadF32: {
        name: "fringe_load_f32",
        parameters: ["pointer", "i32"],
        result: "f32",
    },
    loadF64: {
        name: "fringe_load_f64",
        parameters: ["pointer", "i32"],
        result: "f64",
    },
    store: {
        name: "fringe_store",
        parameters: ["pointer", "i32", "buffer", "u32"],
        result: "void",
    },
    copyString: {
        name: "fringe_copy_string",
        parameters: ["buffer", "usize", "u32"],
        result: "u32",
    },
};
const THREAD_SYMBOLS = {
    takeThread: {
        name: "fringe_thread_take",
        parameters: ["usize", "bool", "buffer"],
        result: "i32",
    },
    layThread: {
        name: "fringe_thread_lay",
        parameters: [
            "pointer",
            "usize",
            "pointer",
        ],
        result: "void",
    },
    goThread: { name: "fringe_thread_go", parameters: ["pointer"], result: "void" },
    waitThread: { name: "fringe_thread_wait", parameters: ["pointer"], result: "void" },
    waitThreadElsewhere: {
        name: "fringe_thread_wait",
        parameters: ["pointer"],
        result: "void",
        nonblocking: true,
    },
    endThread: { name: "fringe_thread_end", parameters: ["pointer"], result: "void" },
    traceThread: {
        name: "fringe_thread_trace",
        parameters: ["pointer", "buffer", "u32"],
        result: "u32",
    },
    putThread: { name: "fringe_thread_put", parameters: ["buffer"], result: "void" },
};
const FOREIGN_SYMBOLS = {
    openForeign: {
        name: "fringe_foreign_open",
        parameters: ["u32", "buffer"],
        result: "i32",
    },
    closeForeign: {
        name: "fringe_foreign_close",
        parameters: ["u32"],
        result: "void",
    },
    listenForeign: { name: "fringe_foreign_listen", parameters: [], result: "pointer" },
    waitForeign: {
        name: "fringe_foreign_wait",
        parameters: ["pointer"],
        result: "void",
        nonblocking: true,
    },
    callOffForeign: { name: "fringe_foreign_call_off", parameters: [], result: "void" },
    takeForeign: { name: "fringe_foreign_take", parameters: [], result: "pointer" },
    answerForeign: {
        name: "fringe_foreign_answer",
        parameters: ["pointer"],
        result: "void",
    },
    refuseForeign: { name: "fringe_foreign_refuse", parameters: [], result: "void" },
};

function checkDigest(actual, expected, what, remedy) {
    if (actual === expected)
        return;
    throw new FringeError("unavailable", `Cannot open fringe's native library: ${what} has the digest ${actual}, but this version of ` +
        `fringe goes with ${expected}. ${remedy}`);
}
function checkWhole(path, what) {
    if (Deno.permissions.querySync({ name: "read", path }).state !== "granted")
        return;
    let bytes;
    try {
        if (!Deno.statSync(path).isFile)
            return;
        bytes = Deno.readFileSync(path);
    }
    catch {
        return;
    }
    const size = loadedSize(bytes);
    if (bytes.length >= size)
        return;
    throw new FringeError("unavailable", `Cannot open fringe's native library: ${what} is truncated: the file has ${bytes.length} ` +
        `bytes, and by its headers at least ${size}. Copy or download it anew`);
}
function loadedSize(bytes) {
    const view = new DataView(bytes.buffer);
    const [HEADER, PROGRAM_HEADER, PT_LOAD] = [64, 56, 1];
    if (bytes.length < HEADER || view.getUint32(0) !== 0x7f454c46 || view.getUint16(4) !== 0x0201) {
        return 0;
    }
    const word = (at) => Number(view.getBigUint64(at, true));
    const start = word(0x20);
    const end = start + view.getUint16(0x38, true) * PROGRAM_HEADER;
    let size = end;
    for (let header = start; header < end && end <= bytes.length; header += PROGRAM_HEADER) {
        if (view.getUint32(header, true) !== PT_LOAD)
            continue;
        size = Math.max(size, word(header + 8) + word(header + 32));
    }
    return size;
}
const openNative = (function openNative(path, what, grant) {
    let library;
    try {
        library = load$1(path, STACK_SYMBOLS, what, grant);
    }
    catch (error) {
        if (error instanceof FringeError)
            checkAbiOf(path, what, error);
        throw error;
    }
    const stacks = library.symbols;
    if (stacks.abi !== 2) {
        library.close();
        throw otherVersion(what, stacks.abi);
    }
    return {
        stacks,
        openPools: () => load$1(path, POOL_SYMBOLS, what, grant).symbols,
        openThreads: () => load$1(path, THREAD_SYMBOLS, what, grant).symbols,
        openForeign: () => load$1(path, FOREIGN_SYMBOLS, what, grant).symbols,
        openRest: () => load$1(path, SYMBOLS, what, grant).symbols,
    };
});
function openWhole(path, what, grant) {
    const opened = openNative(path, what, grant);
    const [pools, threads] = [opened.openPools(), opened.openThreads()];
    const [foreign, rest] = [opened.openForeign(), opened.openRest()];
    return {
        stacks: opened.stacks,
        openPools: () => pools,
        openThreads: () => threads,
        openForeign: () => foreign,
        openRest: () => rest,
    };
}
const { abi } = STACK_SYMBOLS;
function checkAbiOf(path, what, cause) {
    let library;
    try {
        library = load$1(path, { abi }, what);
    }
    catch {
        return;
    }
    const number = library.symbols.abi;
    library.close();
    if (number !== 2)
        throw otherVersion(what, number, cause);
}
function otherVersion(what, found, cause) {
    const has = found === null
        ? "it has no number of its interface (fringe_abi), so it is older or none of fringe's"
        : `it has interface ${found}`;
    return new FringeError("unavailable", `Cannot open fringe's native library: ${what} does not load: ${has}, and this version of ` +
        `fringe goes with interface ${2}. Use the library of this version, or build it from its ` +
        "sources (zig build library, in native/)", { cause });
}
const load$1 = (function load$1(path, symbols, what, grant) {
    try {
        return Deno.dlopen(path, bare(symbols));
    }
    catch (error) {
        if (error instanceof Deno.errors.NotCapable) {
            const needed = grant ??
                `fringe needs --allow-ffi, or --allow-ffi=${path} for this library alone`;
            throw new Deno.errors.NotCapable(`${error.message}. ${needed}`, { cause: error });
        }
        const misled = grant !== undefined && /no such file/i.test(String(error));
        throw new FringeError("unavailable", `Cannot open fringe's native library: ${what} does not load` +
            (misled ? `. ${grant}` : ""), { cause: error });
    }
});
const bare = (function bare(symbols) {
    const table = Object.create(null);
    for (const [name, symbol] of Object.entries(symbols)) {
        table[name] = Object.assign(Object.create(null), symbol);
    }
    return table;
});

const PAGE = 64 * 1024;
const DIGEST = 32;
function sha256(bytes) {
    if (typeof WebAssembly === "undefined") {
        throw new FringeError("unavailable", "Cannot open fringe's native library: its digest is found out by WebAssembly, which V8 " +
            "lacks with --jitless. Download the library and set FRINGE_LIBRARY to its path");
    }
    const code = new WebAssembly.Module(Uint8Array.fromBase64(sha256Wasm));
    const { memory, sha256 } = new WebAssembly.Instance(code).exports;
    const address = memory.grow(Math.ceil(bytes.length / PAGE) || 1) * PAGE;
    const place = new Uint8Array(memory.buffer, address);
    place.set(bytes);
    sha256(address, bytes.length);
    return place.subarray(0, 32).toHex();
}

const CAME = "the library that came with the module";
const WITHOUT_PATH = "fringe needs --allow-ffi: its library came with the module, and has no path; for a path, " +
    "download the library and set FRINGE_LIBRARY";
function decode$2(build, { base64, digest }) {
    let bytes;
    try {
        bytes = Uint8Array.fromBase64(base64);
    }
    catch {
        bytes = new Uint8Array(0);
    }
    const remedy = "Fetch it anew with `deno cache --reload`";
    checkDigest(digest ?? sha256(bytes), build.digest, CAME, remedy);
    return bytes;
}

const LIBC$1 = {
    memfd_create: { parameters: ["buffer", "u32"], result: "i32" },
    readlink: {
        parameters: ["buffer", "buffer", "usize"],
        result: "isize",
    },
    fcntl: { parameters: ["i32", "i32", "i32"], result: "i32" },
    write: { parameters: ["i32", "buffer", "usize"], result: "isize" },
    close: { parameters: ["i32"], result: "i32" },
    opendir: { parameters: ["buffer"], result: "pointer" },
    readdir: { parameters: ["pointer"], result: "pointer" },
    rewinddir: { parameters: ["pointer"], result: "void" },
    dirfd: { parameters: ["pointer"], result: "i32" },
    closedir: { parameters: ["pointer"], result: "i32" },
    flock: { parameters: ["i32", "i32"], result: "i32" },
    usleep: { parameters: ["u32"], result: "i32" },
    __errno_location: { parameters: [], result: "pointer" },
    memcpy: {
        parameters: ["buffer", "pointer", "usize"],
        result: "pointer",
    },
};
function openInMemory(build, text) {
    const libc = load$1("libc.so.6", LIBC$1, "libc.so.6", WITHOUT_PATH);
    const folder = libc.symbols.opendir(encoded("/proc/self/fd\0"));
    let made;
    try {
        let fd = fileOf(folder, build.digest, libc.symbols);
        if (fd === undefined) {
            lock(folder, libc.symbols);
            fd = fileOf(folder, build.digest, libc.symbols) ??
                (made = makeFile(build, text, libc.symbols));
        }
        return openNative(`/proc/self/fd/${fd}`, CAME, WITHOUT_PATH);
    }
    catch (error) {
        if (made !== undefined)
            libc.symbols.close(made);
        throw error;
    }
    finally {
        if (folder !== null)
            libc.symbols.closedir(folder);
        libc.close();
    }
}
const NAME = "fringe-";
const [F_ADD_SEALS, F_GET_SEALS] = [1033, 1034];
const SEALED = 1 | 2 | 4 | 8;
const encoded = (text) => new TextEncoder().encode(text);
const decoded = (bytes) => new TextDecoder().decode(bytes);
function fileOf(folder, digest, libc) {
    const link = `/memfd:${NAME}${digest} (deleted)`;
    const found = new Uint8Array(link.length + 1);
    for (const fd of descriptors(folder, libc)) {
        if (libc.fcntl(fd, F_GET_SEALS, 0) !== SEALED)
            continue;
        const path = encoded(`/proc/self/fd/${fd}\0`);
        if (Number(libc.readlink(path, found, BigInt(found.length))) !== link.length)
            continue;
        if (decoded(found.subarray(0, -1)) === link)
            return fd;
    }
    return undefined;
}
function* descriptors(folder, { readdir, rewinddir, memcpy }) {
    if (folder === null)
        return;
    rewinddir(folder);
    const entry = new Uint8Array(19 + 256);
    const size = new DataView(entry.buffer);
    for (let next = readdir(folder); next !== null; next = readdir(folder)) {
        memcpy(entry, next, 19n);
        memcpy(entry, next, BigInt(size.getUint16(16, true)));
        const fd = Number(decoded(entry.subarray(19, entry.indexOf(0, 19))));
        if (Number.isInteger(fd))
            yield fd;
    }
}
function lock(folder, { dirfd, flock, usleep }) {
    if (folder === null)
        return;
    const [LOCK_EX, LOCK_NB] = [2, 4];
    for (let tries = 0; tries < 1000; tries++) {
        if (flock(dirfd(folder), LOCK_EX | LOCK_NB) === 0)
            return;
        usleep(1000);
    }
}
function makeFile(build, text, { memfd_create, write, close, fcntl, __errno_location, memcpy }) {
    const bytes = decode$2(build, text);
    const refuse = (call) => {
        const errno = new Int32Array(1);
        memcpy(errno, __errno_location(), 4n);
        const [EAGAIN, ENOMEM, ENOSPC] = [11, 12, 28];
        throw new FringeError([EAGAIN, ENOMEM, ENOSPC].includes(errno[0]) ? "out_of_memory" : "refused", `Cannot open fringe's native library: the system gives no file in memory (${call}: errno ` +
            `${errno[0]}). Download the file and set FRINGE_LIBRARY to its path`);
    };
    const [MFD_CLOEXEC, MFD_ALLOW_SEALING] = [1, 2];
    const name = encoded(`${NAME}${build.digest}\0`);
    const fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    try {
        if (fd < 0)
            refuse("memfd_create");
        for (let rest = bytes; rest.length > 0;) {
            const written = Number(write(fd, rest, BigInt(rest.length)));
            if (written < 0)
                refuse("write");
            rest = rest.subarray(written);
        }
        if (fcntl(fd, F_ADD_SEALS, SEALED) < 0)
            refuse("fcntl");
        return fd;
    }
    catch (error) {
        close(fd);
        throw error;
    }
}

const LIBC = {
    mkstemp: { parameters: ["buffer"], result: "i32" },
    write: { parameters: ["i32", "buffer", "usize"], result: "isize" },
    close: { parameters: ["i32"], result: "i32" },
    unlink: { parameters: ["buffer"], result: "i32" },
};
function openTemporary(build, text, libc) {
    const bytes = decode$2(build, text);
    const library = load$1(libc, LIBC, libc, WITHOUT_PATH);
    const { mkstemp, write, close, unlink } = library.symbols;
    const path = new TextEncoder().encode(`/tmp/fringe-${"X".repeat(6)}\0`);
    const fd = mkstemp(path);
    try {
        if (fd < 0)
            throw refusal("mkstemp");
        for (let rest = bytes; rest.length > 0;) {
            const written = Number(write(fd, rest, BigInt(rest.length)));
            if (written < 0)
                throw refusal("write");
            rest = rest.subarray(written);
        }
        return openWhole(new TextDecoder().decode(path.subarray(0, -1)), CAME, WITHOUT_PATH);
    }
    finally {
        if (fd >= 0) {
            close(fd);
            unlink(path);
        }
        library.close();
    }
}
function refusal(call) {
    return new FringeError("refused", `Cannot open fringe's native library: the system gives no temporary file in /tmp (${call}). ` +
        "Download the file and set FRINGE_LIBRARY to its path");
}

const LOWEST_DENO = "2.6.0";
const ON_WINDOWS = "Cannot open fringe's native library: fringe does not run on Windows: its ABI keeps the stack " +
    "pointer within the stack that the system has given to the thread. The bounds are in the TEB, " +
    "in part without documentation; Windows dispatches exceptions and commits pages of the stack " +
    "by them, and fringe does not write over them. Use Linux; on a machine with Windows, in WSL";
const checkRuntime = (function checkRuntime() {
    const [major, minor] = LOWEST_DENO.split(".").map(Number);
    const needed = `fringe needs Deno ${major}.${minor} or later`;
    if (typeof Deno === "undefined") {
        throw new FringeError("unavailable", `${needed}, and this is another runtime: install Deno (https://deno.com), and run the ` +
            "program by `deno run --allow-ffi`");
    }
    if (Deno.build.os === "windows")
        throw new FringeError("unavailable", ON_WINDOWS);
    const found = Deno.version.deno;
    const [foundMajor, foundMinor] = found.split(".").map(Number);
    if (foundMajor > major || (foundMajor === major && foundMinor >= minor))
        return;
    throw new FringeError("unavailable", `Cannot open fringe's native library: this is Deno ${found}, and ${needed}. Get it by ` +
        "`deno upgrade`");
});

const OVERRIDE = "FRINGE_LIBRARY";
let opened;
let pools$1;
let threads;
let foreign;
let rest;
const nativeStacks = (function nativeStacks() {
    return (opened ?? openNow()).stacks;
});
function nativePools() {
    return pools$1 ?? openPools();
}
function nativeThreads() {
    return threads ?? openThreads();
}
function nativeForeign() {
    return foreign ?? openForeign();
}
function native() {
    return rest ?? openRest();
}
const openNow = (function openNow() {
    needStack(128);
    checkRuntime();
    return opened = open$2();
});
function openPools() {
    needStack(128);
    return pools$1 = (opened ?? openNow()).openPools();
}
function openThreads() {
    needStack(128);
    return threads = (opened ?? openNow()).openThreads();
}
function openForeign() {
    needStack(128);
    return foreign = (opened ?? openNow()).openForeign();
}
function openRest() {
    needStack(128);
    const whole = (opened ?? openNow()).openRest();
    whole.installOverflow();
    return rest = whole;
}
const open$2 = (function open$2() {
    if (!mayReadOverride()) {
        try {
            return openPrebuilt();
        }
        catch (error) {
            throw withUnseen(error);
        }
    }
    const chosen = Deno.env.get(OVERRIDE) || undefined;
    return chosen === undefined ? openPrebuilt() : openChosen(chosen);
});
function openChosen(path) {
    const what = `${OVERRIDE}=${path}`;
    if (path.includes("/"))
        checkWhole(path, what);
    try {
        return path.startsWith("/") ? openNative(path, what) : openWhole(path, what);
    }
    catch (error) {
        if (!isMissing(error, path))
            throw error;
        throw new FringeError(error.status, `${error.message}: there is no such file. Write a path, absolute or relative to the ` +
            "working directory (./libfringe.so), and no URL; a name without a slash is looked for " +
            "where the system has its libraries", { cause: error.cause });
    }
}
const openPrebuilt = (function openPrebuilt() {
    const platform = `${Deno.build.arch}-${Deno.build.os}`;
    const build = prebuilt[platform];
    if (build === undefined) {
        throw new FringeError("unavailable", `Cannot open fringe's native library: none is prebuilt for ${platform}, only for ` +
            `${Object.keys(prebuilt).join(", ")}. Set ${OVERRIDE} to one that you have built ` +
            "(zig build library, in native/)");
    }
    if (folder?.protocol === "file:") {
        const path = pathOf(new URL(`${platform}/${build.file}`, folder));
        if (verify(path, build) !== "missing") {
            try {
                return openNative(path, path);
            }
            catch (error) {
                if (!isMissing(error, path))
                    throw error;
            }
        }
    }
    if (text.base64 === undefined) {
        throw new FringeError("unavailable", "Cannot open fringe's native library: there is no file of it beside the module, and its " +
            "text could not be loaded with the module. Run the program once while the module's " +
            "address can be reached, or set FRINGE_LIBRARY to a copy of the library", { cause: text.error });
    }
    return Deno.build.os === "linux"
        ? openInMemory(build, text)
        : openTemporary(build, text, "libSystem.B.dylib");
});
const pathOf = (function pathOf(url) {
    try {
        return decodeURIComponent(url.pathname);
    }
    catch (error) {
        throw new FringeError("unavailable", `Cannot open fringe's native library: its path is not UTF-8 (${url.pathname}), and Deno ` +
            "opens no other. Move the checkout, or set FRINGE_LIBRARY to a copy of it elsewhere", { cause: error });
    }
});
function isMissing(error, path) {
    if (!(error instanceof FringeError && error.cause instanceof Error))
        return false;
    const { message } = error.cause;
    return message.includes(`${path}: cannot open shared object file: No such file`) ||
        message.includes(`'${path}' (no such file)`);
}
const mayReadOverride = (function mayReadOverride() {
    const query = { name: "env", variable: OVERRIDE };
    return Deno.permissions.querySync(query).state === "granted";
});
function withUnseen(error) {
    const say = (message) => `${message}. A library that ${OVERRIDE} names cannot be seen without --allow-env=${OVERRIDE}`;
    if (error instanceof FringeError) {
        return new FringeError(error.status, say(error.message), { cause: error.cause });
    }
    if (error instanceof Deno.errors.NotCapable) {
        return new Deno.errors.NotCapable(say(error.message), { cause: error.cause });
    }
    return error;
}
const verify = (function verify(path, build) {
    if (Deno.permissions.querySync({ name: "read", path }).state !== "granted")
        return "present";
    let bytes;
    try {
        bytes = Deno.readFileSync(path);
    }
    catch (error) {
        if (error instanceof Deno.errors.NotFound)
            return "missing";
        throw error;
    }
    if (bytes.toBase64() !== text.base64?.replaceAll("\n", "")) {
        checkDigest(sha256(bytes), build.digest, path, "Restore the file, or rebuild it with `deno task build`");
    }
    return "present";
});

const known$1 = new WeakMap();
function makeFunctionPointer(object, pointing) {
    known$1.set(object, pointing);
}
function pointingOf(value, what) {
    if ((typeof value !== "object" || value === null) && typeof value !== "function") {
        return undefined;
    }
    const pointing = known$1.get(value);
    if (pointing === undefined || pointing.address !== undefined)
        return pointing;
    throw pointing.whyClosed(what);
}
function hintForUnsafeCallback(value) {
    return describe(value) === "an object of class UnsafeCallback"
        ? "; use a Callback: it would run JavaScript on the fringe stack"
        : "";
}

class Mapping {
    bounds = new BigUint64Array(new ArrayBuffer(32));
    waits = false;
    next;
    get base() {
        return this.bounds[0 / 8];
    }
    get limit() {
        return this.bounds[8 / 8];
    }
    get start() {
        return this.bounds[16 / 8];
    }
    get stride() {
        return this.bounds[24 / 8];
    }
}
let left;
const map = (function map({ bounds }, size, recover, what) {
    unmapLeft();
    checkGrant(nativeStacks().mapStack(BigInt(size), recover, bounds), what);
});
function mapSlab({ bounds }, size, count, recover, what) {
    unmapLeft();
    checkGrant(nativePools().mapSlab(BigInt(size), count, recover, bounds), what);
}
function unmap(mapping) {
    if (mapping.base === 0n)
        return;
    if (!mapping.waits) {
        mapping.waits = true;
        mapping.next = left;
        left = mapping;
    }
    unmapLeft();
}
const unmapLeft = (function unmapLeft() {
    while (left !== undefined) {
        const { base, start } = left;
        if (nativeStacks().unmapStack(base, start) !== 0)
            return;
        left = left.next;
    }
});

const loaded = {};
function nodeModule(name) {
    const known = loaded[name];
    if (known !== undefined)
        return known;
    if (Object.isFrozen(Set.prototype) || !hasStack(128))
        return undefined;
    if ("get" in Object.prototype || "set" in Object.prototype)
        return undefined;
    return loaded[name] = process.getBuiltinModule(name);
}

let decoder;
let encoder;
function utf8() {
    return encoder ??= new TextEncoder();
}
const scratch = new Uint8Array(new ArrayBuffer(16 * 1024));
function readCString(address) {
    if (address === 0n)
        return null;
    let bytes = scratch;
    let length = native().copyString(bytes, address, bytes.length);
    if (length > bytes.length) {
        bytes = new Uint8Array(new ArrayBuffer(length));
        length = native().copyString(bytes, address, length);
    }
    if (length <= SHORT$1)
        return decodeShort(bytes, length);
    return length <= MEDIUM ? decodeMedium(length) : decode$1(bytes, length);
}
const [SHORT$1, MEDIUM] = [12, 160];
let buffer;
function decodeMedium(length) {
    buffer ??= nodeModule("node:buffer")?.Buffer.from(scratch.buffer);
    return buffer === undefined ? decode$1(scratch, length) : buffer.toString("utf8", 0, length);
}
function decodeShort(bytes, length) {
    let text = "";
    let i = 0;
    for (; i + 8 <= length; i += 8) {
        const [a, b, c, d] = [bytes[i], bytes[i + 1], bytes[i + 2], bytes[i + 3]];
        const [e, f, g, h] = [bytes[i + 4], bytes[i + 5], bytes[i + 6], bytes[i + 7]];
        if ((a | b | c | d | e | f | g | h) > 0x7f)
            return decode$1(bytes, length);
        text += String.fromCharCode(a, b, c, d, e, f, g, h);
    }
    for (; i < length; i++) {
        const a = bytes[i];
        if (a > 0x7f)
            return decode$1(bytes, length);
        text += String.fromCharCode(a);
    }
    return text;
}
function decode$1(bytes, length) {
    decoder ??= new TextDecoder("utf-8", { ignoreBOM: true });
    return decoder.decode(bytes.subarray(0, length));
}
function checkString(value, what) {
    if (value === null)
        return;
    if (typeof value !== "string") {
        throw new TypeError(`${what} must be a string or null (cstring): got ${describe(value)}`);
    }
    if (!value.includes("\0"))
        return;
    throw new TypeError(`${what} must not contain the character U+0000, which ends a C string: got ${describe(value)}`);
}
function encodeCString(value, what) {
    checkString(value, what);
    return value === null ? null : utf8().encode(value + "\0");
}
class Strings {
    #bytes;
    #address = 0n;
    #used = 0;
    #others;
    clear() {
        this.#used = 0;
        this.#others = undefined;
    }
    put(value, what) {
        checkString(value, what);
        if (value === null)
            return 0n;
        const address = this.fit(value);
        if (address !== undefined)
            return address;
        const bytes = utf8().encode(value + "\0");
        (this.#others ??= []).push(bytes);
        return native().addressOfBuffer(bytes);
    }
    fit(value) {
        if (this.#bytes === undefined) {
            this.#bytes = new Uint8Array(new ArrayBuffer(1024));
            this.#address = native().addressOfBuffer(this.#bytes);
        }
        const start = this.#used;
        if (mostBytes(value) > 1024 - start)
            return undefined;
        this.#used = putString(this.#bytes, start, value);
        return this.#address + BigInt(start);
    }
}
const CAPACITY$1 = 1024;
class StringPlace {
    #bytes;
    #address = 0n;
    put(value) {
        const most = mostBytes(value);
        if (most > PLACE_MAX) {
            this.#bytes = utf8().encode(value + "\0");
            return this.#address = native().addressOfBuffer(this.#bytes);
        }
        const size = this.#bytes?.length ?? 0;
        if (size < most || size > PLACE_MAX) {
            this.#bytes = new Uint8Array(new ArrayBuffer(2 ** Math.ceil(Math.log2(most))));
            this.#address = native().addressOfBuffer(this.#bytes);
        }
        putString(this.#bytes, 0, value);
        return this.#address;
    }
}
const PLACE_MAX = 64 * 1024;
function mostBytes(value) {
    return value.length * 3 + 1;
}
function putString(bytes, start, value) {
    const { length } = value;
    let end = start + length;
    if (length > SHORT$1 || !putShort(bytes, start, value)) {
        end = start + utf8().encodeInto(value, bytes.subarray(start)).written;
    }
    bytes[end] = 0;
    return end + 1;
}
function putShort(bytes, start, value) {
    for (let i = 0; i < value.length; i++) {
        const code = value.charCodeAt(i);
        if (code > 0x7f)
            return false;
        bytes[start + i] = code;
    }
    return true;
}

function getter(prototype, name) {
    const { get } = Object.getOwnPropertyDescriptor(prototype, name);
    return Function.prototype.call.bind(get);
}
const typedArray = Object.getPrototypeOf(Uint8Array.prototype);
const nameOf$1 = getter(typedArray, Symbol.toStringTag);
const OF_ARRAY = {
    buffer: getter(typedArray, "buffer"),
    byteOffset: getter(typedArray, "byteOffset"),
    byteLength: getter(typedArray, "byteLength"),
};
const OF_VIEW = {
    buffer: getter(DataView.prototype, "buffer"),
    byteOffset: getter(DataView.prototype, "byteOffset"),
    byteLength: getter(DataView.prototype, "byteLength"),
};
const isResizable = getter(ArrayBuffer.prototype, "resizable");
const isDetached = getter(ArrayBuffer.prototype, "detached");
const sizeOfShared = getter(SharedArrayBuffer.prototype, "byteLength");
function isBuffer(value) {
    return answers(isDetached, value);
}
function answers(get, value) {
    try {
        get(value);
        return true;
    }
    catch (error) {
        if (isExhaustion(error))
            throw error;
        return false;
    }
}
function bytesOf(value, what) {
    if (value === null)
        return null;
    const isView = ArrayBuffer.isView(value);
    const of = isView && nameOf$1(value) === undefined ? OF_VIEW : OF_ARRAY;
    const buffer = isView ? of.buffer(value) : value;
    if (!isBuffer(buffer)) {
        if (answers(sizeOfShared, buffer)) {
            throw new TypeError(`${what} must not be over shared memory; copy it with slice()`);
        }
        throw new TypeError(`${what} must be an ArrayBuffer, a view over one, or null (buffer): got ${describe(value)}`);
    }
    if (isDetached(buffer)) {
        throw new TypeError(`${what} must be attached: its buffer has been transferred elsewhere`);
    }
    if (isResizable(buffer)) {
        throw new TypeError(`${what} must have a fixed length: C keeps its address while handlers run, and they could ` +
            "resize it; copy it with slice()");
    }
    if (!isView)
        return new Uint8Array(buffer);
    return new Uint8Array(buffer, of.byteOffset(value), of.byteLength(value));
}

const ANSWERS_KEPT = 16;
class Answers {
    #count;
    #answer = 16 - 1;
    #used = 0;
    #isNext = true;
    constructor({ keptCount }) {
        this.#count = keptCount;
    }
    next() {
        this.#isNext = true;
    }
    place() {
        if (this.#isNext)
            this.#answer = (this.#answer + 1) % 16;
        this.#isNext = false;
        return this.#answer * this.#count + this.#used++ % this.#count;
    }
}
class Kept {
    #strings = new Strings();
    #buffers;
    #answers;
    #room;
    #held;
    #isUsed = false;
    hasBuffers = false;
    get isGone() {
        if (this.isArgumentGone)
            return true;
        if (this.#answers !== undefined) {
            for (const answers of this.#answers.values())
                if (answers.isGone)
                    return true;
        }
        return false;
    }
    get isArgumentGone() {
        if (this.#buffers === undefined)
            return false;
        for (const buffer of this.#buffers)
            if (isDetached(buffer))
                return true;
        return false;
    }
    clear() {
        if (!this.#isUsed)
            return;
        this.#isUsed = false;
        this.#strings.clear();
        this.#buffers = this.#answers = undefined;
        this.#room?.clear();
        this.#held = undefined;
        this.hasBuffers = false;
    }
    keepAt(_position, value) {
        if (typeof value !== "object" && typeof value !== "function" || value === null)
            return;
        this.#isUsed = true;
        (this.#held ??= []).push(value);
    }
    keepString(value, what) {
        this.#isUsed = true;
        return this.#strings.put(value, what);
    }
    keepBytes(bytes) {
        this.#isUsed = true;
        (this.#buffers ??= new Set()).add(bytes.buffer);
        this.hasBuffers = true;
        return native().addressOfBuffer(bytes);
    }
    keepRoom(size, alignment) {
        this.#isUsed = true;
        return (this.#room ??= new Room()).take(size, alignment);
    }
    answersTo(callback, isAgain) {
        this.#isUsed = true;
        this.#answers ??= new Map();
        let answers = this.#answers.get(callback);
        if (answers === undefined) {
            this.#answers.set(callback, answers = new KeptAnswers(callback, this.#strings));
        }
        if (!isAgain)
            answers.next();
        this.hasBuffers ||= callback.bufferCount > 0;
        return answers;
    }
}
const ROOM = 1024;
class Room {
    #address = 0n;
    #used = 0;
    #buffers = [];
    take(size, alignment) {
        if (this.#buffers.length === 0)
            this.#address = aligned(this.#make(1024 + 16), 16);
        if (this.#used === 0 && size <= 1024 && alignment <= 16) {
            this.#used = size;
            return this.#address;
        }
        const needed = size + alignment;
        if (needed > 1024 - this.#used)
            return aligned(this.#make(needed), alignment);
        const address = aligned(this.#address + BigInt(this.#used), alignment);
        this.#used = Number(address - this.#address) + size;
        return address;
    }
    #make(size) {
        const buffer = new ArrayBuffer(size);
        this.#buffers.push(buffer);
        return native().addressOfBuffer(new Uint8Array(buffer));
    }
    clear() {
        this.#used = 0;
        if (this.#buffers.length > 1)
            this.#buffers.length = 1;
    }
}
function aligned(address, alignment) {
    const mask = BigInt(alignment) - 1n;
    return address + mask & ~mask;
}
class KeptAnswers extends Answers {
    #strings;
    #places = [];
    #buffers = [];
    constructor(callback, strings) {
        super(callback);
        this.#strings = strings;
    }
    get isGone() {
        let known;
        for (const buffer of this.#buffers) {
            if (buffer === undefined || buffer === known)
                continue;
            if (isDetached(buffer))
                return true;
            known = buffer;
        }
        return false;
    }
    keepString(value, what) {
        checkString(value, what);
        if (value === null)
            return 0n;
        const address = this.#strings.fit(value);
        return address ?? (this.#places[this.place()] ??= new StringPlace()).put(value);
    }
    keepBytes(bytes) {
        this.#buffers[this.place()] = bytes.buffer;
        return native().addressOfBuffer(bytes);
    }
}

const { arch, os } = typeof Deno === "undefined"
    ? { arch: "x86_64", os: "linux" }
    : Deno.build;

const Way = {
    void: 0,
    int: 1,
    u32: 2,
    bool: 3,
    f32: 4,
    f64: 5,
    i64: 6,
    u64: 7,
    address: 8,
    number: 9,
    struct: 10,
};
const none = undefined;
const charSign = arch === "aarch64" && os !== "darwin" ? 0 : 0x80;
const WIDE = { kind: "wide", way: 9, size: 8, mask: 0, sign: 0, promoted: none };
const TYPES = {
    bool: { kind: "word", way: 3, size: 1, mask: 0xff, sign: 0, promoted: "i32" },
    i8: { kind: "word", way: 1, size: 1, mask: 0xff, sign: 0x80, promoted: "i32" },
    u8: { kind: "word", way: 1, size: 1, mask: 0xff, sign: 0, promoted: "i32" },
    char: { kind: "word", way: 1, size: 1, mask: 0xff, sign: charSign, promoted: "i32" },
    i16: { kind: "word", way: 1, size: 2, mask: 0xffff, sign: 0x8000, promoted: "i32" },
    u16: { kind: "word", way: 1, size: 2, mask: 0xffff, sign: 0, promoted: "i32" },
    i32: { kind: "word", way: 1, size: 4, mask: -1, sign: 0, promoted: none },
    u32: { kind: "word", way: 2, size: 4, mask: -1, sign: 0, promoted: none },
    i64: { kind: "wide", way: 6, size: 8, mask: 0, sign: 0, promoted: none },
    u64: { kind: "wide", way: 7, size: 8, mask: 0, sign: 0, promoted: none },
    isize: { kind: "wide", way: 6, size: 8, mask: 0, sign: 0, promoted: none },
    usize: { kind: "wide", way: 7, size: 8, mask: 0, sign: 0, promoted: none },
    "i64 as number": { ...WIDE, sign: 1 },
    "u64 as number": WIDE,
    "isize as number": { ...WIDE, sign: 1 },
    "usize as number": WIDE,
    f32: { kind: "float", way: 4, size: 4, mask: 0, sign: 0, promoted: "f64" },
    f64: { kind: "float", way: 5, size: 8, mask: 0, sign: 0, promoted: none },
    pointer: { kind: "address", way: 8, size: 8, mask: 0, sign: 0, promoted: none },
    function: { kind: "address", way: 8, size: 8, mask: 0, sign: 0, promoted: none },
    buffer: { kind: "address", way: 8, size: 8, mask: 0, sign: 0, promoted: none },
    cstring: { kind: "address", way: 8, size: 8, mask: 0, sign: 0, promoted: none },
};
const types = new Map();
for (const [name, row] of Object.entries(TYPES)) {
    types.set(name, { name, ...row });
}
const VOID$2 = {
    ...{ name: "void", kind: "void", way: 0, size: 0, mask: 0, sign: 0, promoted: none },
};
function typeOf$1(name) {
    return types.get(name) ?? VOID$2;
}
function rangeOf({ kind, way, size, sign }) {
    if (way === 3 || kind !== "word" && kind !== "wide")
        return undefined;
    const bits = BigInt(8 * size);
    const isSigned = sign !== 0 || way === 6 || way === 1 && size === 4;
    return isSigned ? [-(2n ** (bits - 1n)), 2n ** (bits - 1n) - 1n] : [0n, 2n ** bits - 1n];
}
function arrayFor({ kind, way, size, sign }) {
    if (kind === "void")
        return undefined;
    const bits = 8 * size;
    if (kind === "float")
        return `Float${bits}Array`;
    if (size === 8)
        return way === 6 ? "BigInt64Array" : "BigUint64Array";
    return sign !== 0 || way === 1 && size === 4 ? `Int${bits}Array` : `Uint${bits}Array`;
}
const otherNames = () => own({
    boolean: "bool",
    _bool: "bool",
    "signed char": "i8",
    "unsigned char": "u8",
    byte: "u8",
    short: "i16",
    "unsigned short": "u16",
    int: "i32",
    unsigned: "u32",
    "unsigned int": "u32",
    uint: "u32",
    long: "i64",
    "long long": "i64",
    "unsigned long": "u64",
    "unsigned long long": "u64",
    bigint: "i64",
    size: "usize",
    ssize: "isize",
    intptr: "isize",
    uintptr: "usize",
    float: "f32",
    double: "f64",
    string: "cstring",
    str: "cstring",
    "char*": "cstring",
    ptr: "pointer",
    bytes: "buffer",
    uint8array: "buffer",
});
function meantBy(name) {
    const plain = name.toLowerCase().replace(/\bconst\b|_t$/g, "").replace(/\s*\*$/, "*").trim();
    const bits = /^(u?)int(8|16|32|64)$/.exec(plain);
    const type = bits === null ? plain : `${bits[1] || "i"}${bits[2]}`;
    if (types.has(type))
        return type;
    return otherNames()[type] ?? (type.endsWith("*") ? "pointer" : undefined);
}
const VALUE_TYPES = new Set(types.keys());
const SCALAR_TYPES = new Set([...types.values()].filter(({ way, name }) => way !== 9 && (way !== 8 || name === "pointer")).map(({ name }) => name));

const { void: VOID$1, int: INT$1, u32: U32$1, bool: BOOL$1, f32: F32$1, f64: F64$1, i64: I64$1, u64: U64 } = Way;
const { number: NUMBER, struct: STRUCT$1 } = Way;
const toBigInt = BigInt;
const { asIntN, asUintN } = toBigInt;
const { isSafeInteger } = Number;
const { floor } = Math;
function cut(word, { mask, sign }) {
    return ((word & mask) ^ sign) - sign | 0;
}
function pass(inlet, body, value) {
    const { takes } = body;
    if (typeof value === "number") {
        if (takes === 1) {
            const word = ((value & body.inputMask) ^ body.inputSign) - body.inputSign | 0;
            if (word === value)
                return word;
        }
        else if (takes === 5) {
            inlet.boxes.f64[inlet.at >> 1] = value;
            return 0;
        }
        else if (takes === 4) {
            inlet.boxes.f32[inlet.at] = value;
            return 0;
        }
    }
    if (takes === 0)
        return 0;
    if (takes === 3 && typeof value === "boolean")
        return value ? 1 : 0;
    return PASS[takes](inlet, body, value);
}
const AN_INPUT = "Cannot resume generator: input";
function passWord(_inlet, { input }, value) {
    return toWord(input, value, AN_INPUT);
}
function passI64(inlet, { input }, value) {
    const integer = integerOf(input, value, AN_INPUT);
    if (asIntN(64, integer) !== integer)
        refuse(input, value, AN_INPUT);
    inlet.boxes.i64[inlet.at >> 1] = integer;
    return 0;
}
function passU64(inlet, { input }, value) {
    const integer = integerOf(input, value, AN_INPUT);
    if (asUintN(64, integer) !== integer)
        refuse(input, value, AN_INPUT);
    inlet.boxes.u64[inlet.at >> 1] = integer;
    return 0;
}
function passPointer(inlet, { input }, value) {
    try {
        native().passPointer(inlet.handle, value);
    }
    catch (error) {
        addressOf$1(value, input.name, AN_INPUT);
        throw error;
    }
    return 0;
}
const PASS = [
    passWord,
    passWord,
    passWord,
    passWord,
    passWord,
    passWord,
    passI64,
    passU64,
    passPointer,
];
function toWord(type, value, what) {
    if (type.way === 3 && typeof value === "boolean")
        return value ? 1 : 0;
    if (type.way === 2 && typeof value === "number" && (value >>> 0) === value)
        return value | 0;
    return refuse(type, value, what);
}
function write(view, offset, type, value, what, keeper) {
    const { way } = type;
    if ((way === 1 || way === 2) && typeof value === "number") {
        const word = cut(value, type);
        if (word === value && (way === 1 || word >= 0)) {
            view.setInt32(offset, word, true);
            return;
        }
    }
    if (way === 5 && typeof value === "number") {
        view.setFloat64(offset, value, true);
        return;
    }
    if (way !== 0)
        writeOther(view, offset, type, value, what, keeper);
}
function writeOther(view, offset, type, value, what, keeper) {
    switch (type.way) {
        case 6: {
            const integer = integerOf(type, value, what);
            if (BigInt.asIntN(64, integer) !== integer)
                refuse(type, value, what);
            view.setBigInt64(offset, integer, true);
            return;
        }
        case 7: {
            const integer = integerOf(type, value, what);
            if (BigInt.asUintN(64, integer) !== integer)
                refuse(type, value, what);
            view.setBigUint64(offset, integer, true);
            return;
        }
        case 9:
            writeNumber(view, offset, type, value, what);
            return;
        case 4:
            if (typeof value !== "number")
                refuse(type, value, what);
            view.setFloat32(offset, value, true);
            return;
        case 5:
            refuse(type, value, what);
            return;
        case 1:
        case 2:
        case 3:
            view.setInt32(offset, toWord(type, value, what), true);
            return;
        case 10:
            type.passing.write(view, value, what, keeper);
            return;
        default:
            view.setBigUint64(offset, addressFor(type, value, what, keeper), true);
    }
}
function writeNumber(view, offset, type, value, what) {
    if (isSafeInteger(value) && (type.sign !== 0 || value >= 0)) {
        view.setUint32(offset, value % HALF, true);
        view.setInt32(offset + 4, floor(value / HALF), true);
        return;
    }
    const integer = integerOf(type, value, what);
    if ((type.sign !== 0 ? asIntN : asUintN)(64, integer) !== integer)
        refuse(type, value, what);
    view.setBigUint64(offset, integer, true);
}
const HALF = 2 ** 32;
function readNumber(view, offset, type) {
    const { sign, name } = type;
    const upper = sign !== 0 ? view.getInt32(offset + 4, true) : view.getUint32(offset + 4, true);
    const value = upper * HALF + view.getUint32(offset, true);
    if (isSafeInteger(value))
        return value;
    const integer = sign !== 0 ? view.getBigInt64(offset, true) : view.getBigUint64(offset, true);
    const plain = name.slice(0, name.indexOf(" "));
    throw new RangeError(`Cannot have ${integer}, which C has given, as a number: it is exact from -(2^53 - 1) to ` +
        `2^53 - 1; declare the type as "${plain}", which gives a bigint`);
}
function addressFor(type, value, what, keeper) {
    switch (type.name) {
        case "function":
            return pointingOf(value, what)?.address ?? addressOf$1(value, type.name, what);
        case "buffer": {
            const bytes = bytesOf(value, what);
            return bytes === null ? 0n : keeper.keepBytes(bytes, what);
        }
        case "cstring":
            return keeper.keepString(value, what);
        default:
            return addressOf$1(value, type.name, what);
    }
}
function read(view, offset, type) {
    const { way } = type;
    if (way === 1)
        return cut(view.getInt32(offset, true), type);
    if (way === 2)
        return view.getUint32(offset, true);
    if (way === 5)
        return view.getFloat64(offset, true);
    return readOther(view, offset, type);
}
function readOther(view, offset, type) {
    switch (type.way) {
        case 3:
            return view.getUint8(offset) !== 0;
        case 6:
            return view.getBigInt64(offset, true);
        case 7:
            return view.getBigUint64(offset, true);
        case 9:
            return readNumber(view, offset, type);
        case 4:
            return view.getFloat32(offset, true);
        case 0:
            return undefined;
        default:
            if (view.getInt32(offset, true) === 0 && view.getInt32(offset + 4, true) === 0)
                return null;
            return type.name === "cstring"
                ? readCString(view.getBigUint64(offset, true))
                : native().pointerTo(view.getBigUint64(offset, true));
    }
}
function integerOf(type, value, what) {
    if (typeof value === "bigint")
        return value;
    return isSafeInteger(value) ? toBigInt(value) : refuse(type, value, what);
}
function hintForNone(value, what) {
    return value === undefined && what === AN_INPUT
        ? "; for…of and next() pass no input: call resume(input)"
        : "";
}
function refuse(type, value, what) {
    const { name, kind } = type;
    const none = hintForNone(value, what);
    if (name === "bool") {
        throw new TypeError(`${what} must be a boolean: got ${describe(value)}${none}`);
    }
    if (kind === "float") {
        throw new TypeError(`${what} must be a number (${name}): got ${describe(value)}${none}`);
    }
    const [minimum, maximum] = rangeOf(type);
    const range = `an integer from ${minimum} to ${maximum} (${name})`;
    if (typeof value !== "number" && typeof value !== "bigint") {
        throw new TypeError(`${what} must be ${range}: got ${describe(value)}${none}`);
    }
    const isWord = kind === "word";
    if (typeof value === "bigint" && isWord) {
        throw new TypeError(`${what} must be ${range}, as a number: got ${describe(value)}`);
    }
    const beyond = !isWord && typeof value === "number" && Number.isInteger(value)
        ? "; beyond 2^53 - 1 pass a bigint"
        : "";
    throw new RangeError(`${what} must be ${range}: got ${describe(value)}${beyond}`);
}
function hintFor$3(type, value) {
    if (typeof value === "function" && type === "function") {
        return "; pass a Callback or a function of dlopen, or declare the parameter as " +
            "{ callback } if C keeps nothing of it";
    }
    if (ArrayBuffer.isView(value) || isBuffer(value)) {
        return '; declare it as "buffer", or pass PointerView.of(bytes).pointer';
    }
    if (typeof value === "bigint" || typeof value === "number") {
        return '; an address is passed as "usize", and written by setBigUint64()';
    }
    if (/class (Callback|PointerView)$/.test(describe(value)))
        return "; pass its `pointer`";
    return hintForUnsafeCallback(value);
}
function addressOf$1(value, type, what) {
    if (value === null)
        return 0n;
    try {
        return native().addressOfPointer(value);
    }
    catch (error) {
        const kinds = type === "function"
            ? "a Callback, a function of dlopen, a Deno.PointerObject"
            : "a Deno.PointerObject";
        const hint = hintFor$3(type, value) || hintForNone(value, what);
        throw new TypeError(`${what} must be ${kinds} or null (${type}): got ${describe(value)}${hint}`, { cause: error });
    }
}

class Itself {
    constructor(object) {
        return object;
    }
}
class Mark extends Itself {
    #made;
    constructor(generator, made) {
        super(generator);
        this.#made = made;
    }
    static of(value) {
        return typeof value === "object" && value !== null && #made in value ? value.#made : undefined;
    }
}
class MadeCall {
    maker;
    #name;
    #isTold = true;
    waits = false;
    constructor(maker, name) {
        this.maker = maker;
        this.#name = name;
    }
    mark(generator) {
        const { maker } = this;
        new Mark(generator, this);
        this.waits = true;
        maker.waiting++;
        maker.lastMade = this;
        if (!maker.running)
            return generator;
        this.#isTold = false;
        maker.untold++;
        return generator;
    }
    begin() {
        if (!this.waits)
            return;
        this.waits = false;
        this.maker.waiting--;
        this.tell();
    }
    tell() {
        if (this.#isTold)
            return;
        this.#isTold = true;
        this.maker.untold--;
    }
    get description() {
        return `a call of ${this.#name}`;
    }
    get isUntold() {
        return !this.#isTold;
    }
}
function waitingCall(value) {
    const made = Mark.of(value);
    return made?.waits ? made : undefined;
}
function missingStar(maker, value) {
    const made = waitingCall(value);
    if (made?.maker !== maker)
        return undefined;
    const error = new TypeError(`Cannot resume generator: its body has yielded ${made.description} that has not begun; ` +
        "write yield* in place of yield before yielder.call()");
    made.tell();
    return error;
}
function noteEnd(value) {
    waitingCall(value)?.begin();
}

function handlerOf(target, args) {
    return target.handler ?? args[target.parameter];
}
function isThenable(value) {
    return (typeof value === "object" && value !== null || typeof value === "function") &&
        typeof value.then === "function";
}
function refuseObject(value, what) {
    const made = waitingCall(value);
    if (made !== undefined) {
        made.tell();
        throw new TypeError(`${what} is ${made.description} that has not begun; write yield* before yielder.call()`);
    }
    if (isThenable(value)) {
        Promise.resolve(value).catch(() => { });
        throw new TypeError(`${what} is a Promise; call the function by .async(), which awaits it, or let a handler of ` +
            "yielder.call() yield it to whoever can await");
    }
    const tag = Object.prototype.toString.call(value);
    if (tag === "[object Generator]" || tag === "[object AsyncGenerator]") {
        throw generatorAnswer(tag, what);
    }
}
function generatorAnswer(tag, what) {
    return new TypeError(tag === "[object Generator]"
        ? `${what} is a generator; call the function by \`yield* yielder.call()\` in a TypeScript ` +
            "body, where handlers may be generator functions"
        : `${what} is an async generator, which no form of the call takes; write an async function ` +
            "for .async(), or a function* for `yield* yielder.call()`");
}

function isShape(of) {
    return Object.hasOwn(of, "fields");
}
function arrange(parts, { isUnion = false, pack = Infinity, alignment = 1 } = {}) {
    let end = 0;
    const fields = parts.map((given) => {
        const { name, of, count, to } = own(given);
        const aligned = Math.min(alignmentOf(of), pack);
        const offset = isUnion ? 0 : roundUp$1(end, aligned);
        end = Math.max(end, offset + of.size * (count ?? 1));
        alignment = Math.max(alignment, aligned);
        return { name, offset, of, count, to };
    });
    return { size: roundUp$1(end, alignment), alignment, fields };
}
function alignmentOf(of) {
    return isShape(of) ? of.alignment : of.size;
}
function roundUp$1(offset, size) {
    return Math.ceil(offset / size) * size;
}

const VIEWED = Symbol("viewed");
const SHAPE = Symbol("shape");
function isLaid(value) {
    return SHAPE in value;
}
let shapes;
function makeStructType(layout, shape) {
    (shapes ??= new WeakMap()).set(layout, shape);
    keepWhole(layout);
}
function shapeOf(definition, what) {
    return shapeIn(definition, what, []);
}
function shapeIn(definition, what, above) {
    if (typeof definition !== "object" || definition === null)
        return undefined;
    const known = shapes?.get(definition);
    if (known !== undefined || !Object.hasOwn(definition, "struct"))
        return known;
    const { struct: types } = definition;
    if (!Array.isArray(types) || types.length === 0) {
        throw new TypeError(`${what}: struct must be an array of at least one type: got ${describe(types)}`);
    }
    if (above.includes(definition))
        throw new TypeError(`${what} ${CONTAINS_ITSELF}`);
    return arrange(types.map((type, i) => {
        const field = `${what}: field ${i}`;
        return {
            of: typeNamed(type) ?? shapeIn(type, field, [...above, definition]) ??
                refuseType(type, field),
        };
    }));
}
const CONTAINS_ITSELF = "contains itself, which takes endless memory; pointerTo(() => layout) is a pointer to it";
function typeNamed(name) {
    return typeof name === "string" && VALUE_TYPES.has(name) ? typeOf$1(name) : undefined;
}
function refuseType(type, what) {
    if (typeof type === "function") {
        throw new TypeError(`${what} is a function, or ${CONTAINS_ITSELF}`);
    }
    throw new TypeError(`${what} has the type ${describe(type)}: it must be one of ${[...VALUE_TYPES].join(", ")}, a ` +
        `layout, pointerTo(layout) or [type, count]${hintFor$2(type)}`);
}
function hintFor$2(type) {
    if (Array.isArray(type)) {
        return "; an array of arrays is written as one, with all elements: [type, rows * columns]";
    }
    if (typeof type === "object" && type !== null) {
        return Object.hasOwn(type, "bits")
            ? `; ${BIT_FIELD}`
            : "; a struct within is written struct({ name: type, … })";
    }
    if (typeof type !== "string")
        return "";
    if (/:\s*\d+$/.test(type))
        return `; ${BIT_FIELD}`;
    if (/long double|_?complex|float128|f128|__m\d+|vector|int128|[iu]128/i.test(type)) {
        return "; long double, _Complex, vectors and integers of 128 bits have no type here: take " +
            'their bytes, as struct({ bytes: ["u8", 16] }, { alignment: 16 })';
    }
    const meant = meantBy(type);
    return meant === undefined ? "" : `; it may be ${describe(meant)}`;
}
const BIT_FIELD = "bit-fields have no type here, since each compiler lays them out by rules of " +
    "its own: take the integer that they are in, and shift";
function isUnion({ fields }) {
    return fields.length > 1 && fields[1].offset === 0;
}
function hasNames({ fields }) {
    return fields[0].name !== undefined;
}
function readShape(view, offset, shape) {
    const { size, fields } = shape;
    if (!hasNames(shape)) {
        return new Uint8Array(view.buffer, view.byteOffset + offset, size).slice();
    }
    if (isUnion(shape))
        return readUnion(view, offset, shape);
    const value = {};
    for (const field of fields) {
        const name = field.name;
        const part = readField(view, offset + field.offset, field);
        if (!(name in value))
            value[name] = part;
        else
            Object.defineProperty(value, name, dataProperty(part));
    }
    return value;
}
function dataProperty(value) {
    return own({ value, writable: true, enumerable: true, configurable: true });
}
let unions;
function leads({ fields }) {
    return fields.some(({ of }) => isShape(of) ? leads(of) : of.kind === "address");
}
function readUnion(view, offset, shape) {
    const { size, fields } = shape;
    const bytes = new Uint8Array(view.buffer, view.byteOffset + offset, size).slice();
    const copy = new DataView(bytes.buffer);
    const value = {};
    (unions ??= new WeakMap()).set(value, { shape, bytes, from: leads(shape) ? view.buffer : null });
    for (const field of fields) {
        const get = () => readField(copy, 0, field);
        Object.defineProperty(value, field.name, { __proto__: null, enumerable: true, get });
    }
    return value;
}
function readField(view, offset, field) {
    const { of, count } = field;
    if (count === undefined)
        return readPart(view, offset, field);
    const elements = new Array(count).fill(undefined);
    for (let i = 0; i < count; i++)
        elements[i] = readPart(view, offset + i * of.size, field);
    return elements;
}
function readPart(view, offset, { of, to }) {
    if (isShape(of))
        return readShape(view, offset, of);
    const value = readValue(view, offset, of);
    if (to === undefined || value === null)
        return value;
    return to.follow(value, view, offset);
}
const slot = new DataView(new ArrayBuffer(8));
function readValue(view, offset, type) {
    if (type.size > 2)
        return read(view, offset, type);
    slot.setInt32(0, type.size === 1 ? view.getUint8(offset) : view.getUint16(offset, true), true);
    return read(slot, 0, type);
}
function writeShape(view, offset, shape, value, what, keeper) {
    if (!hasNames(shape)) {
        const bytes = bytesOfUnion(value);
        writeBytes(view, offset, shape, bytes ?? value, what);
        if (bytes !== undefined && leads(shape))
            keeper?.keepAt?.(view.byteOffset + offset, value);
        return;
    }
    const given = fieldsIn(shape, value, what);
    for (let i = 0; i < given.length; i++) {
        const [field, part] = given[i];
        writeField(view, offset + field.offset, field, part, `${what}: field ${field.name}`, keeper);
    }
}
function fieldsIn(shape, value, what) {
    if (typeof value !== "object" || value === null || Symbol.iterator in value) {
        throw new TypeError(`${what} must be an object such as { ${shape.fields[0].name} }: got ${describe(value)}`);
    }
    if (isUnion(shape) && shapeOfUnion(value) === shape)
        return [[wholeOf(shape), value]];
    let names = Object.keys(value);
    if (names.length === 0)
        names = namesBehind(value, shape, what);
    const given = [];
    for (let i = 0; i < names.length; i++) {
        const name = names[i];
        const next = shape.fields[i];
        const field = next?.name === name ? next : fieldNamed(shape, name, what);
        given.push([field, value[name]]);
    }
    if (isUnion(shape) && given.length !== 1) {
        throw new TypeError(`${what} must have one member of the union, of ${namesOf(shape)}: got ${given.length}`);
    }
    return given;
}
function namesBehind(value, shape, what) {
    if (isLaid(value))
        return value[SHAPE].fields.map(({ name }) => name);
    const prototype = Object.getPrototypeOf(value);
    if (prototype === Object.prototype || prototype === null && !isPointer(value))
        return [];
    throw new TypeError(`${what} must have properties of its own, of ${namesOf(shape)}: got ${describe(value)}`);
}
function isPointer(value) {
    if (typeof value !== "object" || value === null)
        return false;
    if (Object.getPrototypeOf(value) !== null)
        return false;
    try {
        native().addressOfPointer(value);
        return true;
    }
    catch (error) {
        if (isExhaustion(error))
            throw error;
        return false;
    }
}
function shapeOfUnion(value) {
    return isLaid(value) ? value[SHAPE] : unions?.get(value)?.shape;
}
function bytesOfUnion(value) {
    if (typeof value !== "object" || value === null)
        return undefined;
    return isLaid(value) ? value[VIEWED].getBytes(0, value[SHAPE].size) : unions?.get(value)?.bytes;
}
function wholeOf({ size, alignment, fields }) {
    const parts = fields.map(({ of }) => ({ offset: 0, of }));
    return { offset: 0, of: { size, alignment, fields: parts } };
}
function fieldNamed(shape, name, what) {
    const field = shape.fields.find((field) => field.name === name);
    if (field !== undefined)
        return field;
    throw new TypeError(`${what}: there is no field ${describe(name)}; the fields are ${namesOf(shape)}`);
}
function namesOf({ fields }) {
    return fields.map(({ name }) => name).join(", ");
}
function writeBytes(view, offset, { size }, value, what) {
    const bytes = bytesOf(value, what);
    if (bytes === null || bytes.length < size) {
        throw new RangeError(`${what} must have the ${size} bytes of the struct: got ${bytes?.length ?? "null"}`);
    }
    new Uint8Array(view.buffer, view.byteOffset + offset, size).set(bytes.subarray(0, size));
}
function writeField(view, offset, field, value, what, keeper) {
    const { of, count } = field;
    if (count === undefined)
        return writePart(view, offset, field, value, what, keeper);
    const elements = elementsOf(value, count, what);
    for (const [i, element] of elements.entries()) {
        writePart(view, offset + i * of.size, field, element, `${what}: element ${i}`, keeper);
    }
}
function elementsOf(value, count, what) {
    const elements = typeof value === "object" && value !== null
        ? listOf(value, count + 1, what)
        : undefined;
    if (elements === undefined) {
        throw new TypeError(`${what} must be an array of ${count} elements: got ${describe(value)}`);
    }
    if (elements.length <= count)
        return elements;
    const { length } = value;
    throw new RangeError(`${what} has ${count} elements: got ${typeof length === "number" ? length : "more"}`);
}
function listOf(value, most, what) {
    try {
        const list = value;
        if (list[Symbol.iterator] === undefined) {
            return Array.from({ length: Math.min(list.length, most) }, (_, i) => list[i]);
        }
        const elements = [];
        for (const element of list) {
            elements.push(element);
            if (elements.length === most)
                break;
        }
        return elements;
    }
    catch (error) {
        if (isExhaustion(error))
            throw error;
        throw new TypeError(`${what} cannot be iterated: got ${describe(value)}`, { cause: error });
    }
}
function writePart(view, offset, { of, to }, value, what, keeper) {
    if (isShape(of))
        return writeShape(view, offset, of, value, what, keeper);
    const given = to === undefined ? value : to.pointerOf(value, what);
    if (of.size > 2) {
        write(view, offset, of, given, what, keeper);
        if (of.kind === "address")
            keeper?.keepAt?.(view.byteOffset + offset, value);
        return;
    }
    write(slot, 0, of, given, what);
    if (of.size === 1)
        view.setUint8(offset, slot.getUint8(0));
    else
        view.setUint16(offset, slot.getUint16(0, true), true);
}

const SHORT = 64;
class Flat {
    #fields;
    #template;
    #what = "";
    #whats = [];
    constructor({ fields }) {
        this.#fields = fields.map(({ name, offset, of }) => ({
            name: name,
            at: offset,
            type: of,
        }));
        this.#template = Object.fromEntries(fields.map(({ name }) => [name, undefined]));
    }
    static of(shape) {
        const { fields } = shape;
        const isFlat = hasNames(shape) && !isUnion(shape) && fields.every(({ of, count, to }) => {
            return count === undefined && to === undefined && !isShape(of) && of.size > 2;
        });
        return isFlat ? new Flat(shape) : undefined;
    }
    read(view) {
        const value = { ...this.#template };
        const fields = this.#fields;
        for (let i = 0; i < fields.length; i++) {
            const { name, at, type } = fields[i];
            value[name] = read(view, at, type);
        }
        return value;
    }
    write(view, value, what, keeper) {
        if (typeof value !== "object" || value === null || Symbol.iterator in value)
            return false;
        const fields = this.#fields;
        const names = Object.keys(value);
        if (names.length !== fields.length)
            return false;
        for (let i = 0; i < fields.length; i++)
            if (names[i] !== fields[i].name)
                return false;
        if (what !== this.#what) {
            this.#whats = fields.map(({ name }) => `${what}: field ${name}`);
            this.#what = what;
        }
        const whats = this.#whats;
        for (let i = 0; i < fields.length; i++) {
            const { name, at, type } = fields[i];
            const part = value[name];
            write(view, at, type, part, whats[i], keeper);
            if (type.kind === "address")
                keeper?.keepAt?.(at, part);
        }
        return true;
    }
}
class Bytes {
    shape;
    length;
    #isShort;
    #flat;
    #scratch;
    constructor(shape) {
        this.shape = shape;
        this.length = BigInt(shape.size);
        this.#isShort = !hasNames(shape) && shape.size <= 64;
        this.#flat = Flat.of(shape);
    }
    of(value, what, keeper) {
        const scratch = this.take();
        const { bytes, view } = scratch;
        const { size } = this.shape;
        if (this.#isShort && nameOf$1(value) === "Uint8Array" && OF_ARRAY.byteLength(value) >= size) {
            const source = value;
            for (let i = 0; i < size; i++)
                bytes[i] = source[i];
        }
        else if (this.#flat === undefined || !this.#flat.write(view, value, what, keeper)) {
            bytes.fill(0);
            writeShape(view, 0, this.shape, value, what, keeper);
        }
        return scratch;
    }
    take() {
        const scratch = this.#scratch;
        this.#scratch = undefined;
        if (scratch !== undefined)
            return scratch;
        const bytes = new Uint8Array(new ArrayBuffer(roundUp$1(this.shape.size, 8)));
        return { bytes, view: new DataView(bytes.buffer) };
    }
    put(scratch) {
        this.#scratch = scratch;
    }
    read(scratch) {
        const { bytes, view } = scratch;
        const { size } = this.shape;
        let value;
        if (this.#isShort) {
            const copy = value = new Uint8Array(size);
            for (let i = 0; i < size; i++)
                copy[i] = bytes[i];
        }
        else if (this.#flat !== undefined)
            value = this.#flat.read(view);
        else
            value = readShape(view, 0, this.shape);
        this.put(scratch);
        return value;
    }
}
class ArgumentPassing {
    #bytes;
    #spot;
    constructor(shape, spot) {
        this.#bytes = new Bytes(shape);
        this.#spot = spot;
    }
    write(view, value, what, keeper) {
        const scratch = this.#bytes.of(value, what, keeper);
        const { pieces, isByAddress } = this.#spot;
        if (isByAddress) {
            const { size, alignment } = this.#bytes.shape;
            const room = roundUp$1(size, 8);
            const address = keeper.keepRoom(room, Math.max(alignment, 2 * 8), what);
            native().copyOut(address, scratch.view, this.#bytes.length);
            view.setBigUint64(pieces[0].at, address, true);
        }
        else
            copyPieces(scratch.view, pieces, view);
        this.#bytes.put(scratch);
    }
    read(view, stack) {
        const scratch = this.#bytes.take();
        const { pieces, isByAddress } = this.#spot;
        for (let i = 0; i < pieces.length; i++) {
            const { at, from, size } = pieces[i];
            const source = at >= 440 ? stack : view;
            const start = at >= 440 ? at - 440 : at;
            if (isByAddress)
                copyFrom(source.getBigUint64(start, true), scratch, this.#bytes);
            else
                copy$1(source, start, scratch.view, from, size);
        }
        return this.#bytes.read(scratch);
    }
}
class ResultPassing {
    #bytes;
    #pieces;
    addressAt;
    constructor(shape, pieces, addressAt) {
        this.#bytes = new Bytes(shape);
        this.#pieces = pieces;
        this.addressAt = addressAt;
    }
    get shape() {
        return this.#bytes.shape;
    }
    check(value, what, keeper) {
        this.#bytes.put(this.#bytes.of(value, what, keeper));
    }
    write(view, value, what, keeper) {
        this.put(view, this.convert(value, what, keeper));
    }
    convert(value, what, keeper) {
        return this.#bytes.of(value, what, keeper);
    }
    put(view, scratch) {
        if (this.addressAt !== undefined) {
            const address = view.getBigUint64(this.addressAt, true);
            native().copyOut(address, scratch.view, this.#bytes.length);
            view.setBigUint64(8, address, true);
        }
        else {
            copyPieces(scratch.view, this.#pieces, view);
            if (this.#pieces.length > 1) {
                view.setInt32(64, 1, true);
                view.setInt32(64 + 4, 0, true);
            }
        }
        this.#bytes.put(scratch);
    }
    read(view, address) {
        const scratch = this.#bytes.take();
        if (this.addressAt !== undefined)
            copyFrom(address, scratch, this.#bytes);
        else {
            for (let i = 0; i < this.#pieces.length; i++) {
                const { at, from, size } = this.#pieces[i];
                copy$1(view, at, scratch.view, from, size);
            }
        }
        return this.#bytes.read(scratch);
    }
}
function resultOf(shape, { registers }, rules, places, { integers }) {
    if (registers === undefined) {
        return new ResultPassing(shape, [], rules === "eightbytes" ? integers : places.address);
    }
    return new ResultPassing(shape, piecesOf(registers, places), undefined);
}
function piecesOf(registers, { integers, floats, single }) {
    if (registers.length === 1 && single !== undefined) {
        return [{ at: single, from: 0, size: registers[0].size }];
    }
    let [integer, float] = [0, 0];
    return registers.map(({ isFloat, from, size }) => ({
        at: isFloat ? floats[float++] : integers[integer++],
        from,
        size,
    }));
}
function argumentAt(shape, spot) {
    return structType(shape, new ArgumentPassing(shape, spot));
}
function structType(shape, passing) {
    const { size } = shape;
    return { ...VOID$2, name: nameOf(shape), kind: "struct", way: 10, size, passing };
}
function readArgument(type, view, stack) {
    return type.passing.read(view, stack);
}
function nameOf(shape) {
    const { size, alignment, fields } = shape;
    const natural = arrange(fields);
    const isNatural = natural.size === size && natural.alignment === alignment &&
        natural.fields.every(({ offset }, i) => offset === fields[i].offset);
    const parts = fields.map(({ offset, of, count }) => (isNatural ? "" : `${offset}: `) + (isShape(of) ? nameOf(of) : of.name) +
        (count === undefined ? "" : `[${count}]`));
    const text = `struct { ${parts.join(", ")} }`;
    return isNatural ? text : `${text} of ${size} bytes, aligned to ${alignment}`;
}
function keptIn({ fields }, kinds) {
    return fields.reduce((sum, { of, count = 1 }) => {
        return sum + count * (isShape(of) ? keptIn(of, kinds) : kinds.includes(of.name) ? 1 : 0);
    }, 0);
}
function copyFrom(address, { view }, { length }) {
    native().copyIn(view, address, length);
}
function copyPieces(source, pieces, mailbox) {
    for (let i = 0; i < pieces.length; i++) {
        const { at, from, size } = pieces[i];
        copy$1(source, from, mailbox, at, size);
    }
}
function copy$1(source, start, target, at, size) {
    if (size > 64) {
        const from = new Uint8Array(source.buffer, source.byteOffset + start, size);
        new Uint8Array(target.buffer, target.byteOffset + at, size).set(from);
        return;
    }
    let done = 0;
    for (; done + 4 <= size; done += 4) {
        target.setInt32(at + done, source.getInt32(start + done, true), true);
    }
    for (; done < size; done++)
        target.setUint8(at + done, source.getUint8(start + done));
}

function routeOf(shape, rules) {
    return rules === "eightbytes" ? byEightbytes(shape) : byAggregates(shape);
}
function* leavesOf({ fields }, at = 0) {
    for (const { of, offset, count = 1 } of fields) {
        for (let i = 0; i < count; i++) {
            const start = at + offset + i * of.size;
            if (isShape(of))
                yield* leavesOf(of, start);
            else
                yield { type: of, offset: start };
        }
    }
}
const WORD = 8;
function byEightbytes(shape) {
    const memory = {
        registers: undefined,
        isByAddress: false,
        alignment: Math.max(8, shape.alignment),
        stackSize: roundUp$1(shape.size, 8),
    };
    if (shape.size > 2 * 8)
        return memory;
    const classes = [];
    for (const { type, offset } of leavesOf(shape)) {
        if (offset % type.size !== 0)
            return memory;
        const place = Math.floor(offset / 8);
        if (type.kind !== "float")
            classes[place] = "INTEGER";
        else
            classes[place] ??= "SSE";
    }
    const registers = [...classes.entries()].flatMap(([place, found]) => found === undefined ? [] : [{ isFloat: found === "SSE", from: place * 8, size: 8 }]);
    return { ...memory, registers };
}
function byAggregates(shape) {
    const { size } = shape;
    const isWide = naturalAlignment(shape) >= 2 * 8;
    const place = {
        isByAddress: false,
        alignment: isWide ? 2 * 8 : 8,
        stackSize: roundUp$1(size, 8),
    };
    const floats = homogeneous(shape);
    if (floats !== undefined)
        return { ...place, registers: floats };
    if (size > 2 * 8) {
        return { isByAddress: true, registers: undefined, alignment: 8, stackSize: 8 };
    }
    const registers = [];
    for (let from = 0; from < size; from += 8) {
        registers.push({ isFloat: false, from, size: 8 });
    }
    return { ...place, registers };
}
function naturalAlignment({ fields, alignment }) {
    const ofParts = fields.map(({ of }) => isShape(of) ? of.alignment : of.size);
    return Math.min(alignment, Math.max(...ofParts));
}
function homogeneous(shape) {
    let size;
    for (const { type } of leavesOf(shape)) {
        if (type.kind !== "float" || size !== undefined && type.size !== size)
            return undefined;
        size = type.size;
        if (shape.size > 4 * size)
            return undefined;
    }
    const found = new Set([...leavesOf(shape)].map(({ offset }) => offset));
    if (size === undefined || found.size * size !== shape.size)
        return undefined;
    return [...found].sort((a, b) => a - b).map((from) => ({ isFloat: true, from, size: size }));
}

const PACKED = new Set(["aarch64-darwin"]);
const CONVENTION = {
    ...ARGUMENT_REGISTERS[arch],
    isPacked: PACKED.has(`${arch}-${os}`),
};
function placementOf(parameters, registers, convention, fixed = parameters.length, isFirstTaken = false) {
    const places = new Places(registers, convention, isFirstTaken);
    const spots = parameters.map((parameter, index) => {
        const isBehindDots = convention.isPacked && index >= fixed;
        return typeof parameter === "string"
            ? places.take(parameter, isBehindDots)
            : places.takeStruct(parameter, isBehindDots);
    });
    return {
        offsets: spots.map((spot) => typeof spot === "number" ? spot : spot.pieces[0].at),
        spots: spots.map((spot) => typeof spot === "number" ? undefined : spot),
        stackCount: roundUp$1(places.end, 8) / 8,
        stackAlignment: places.alignment,
    };
}
class Places {
    #registers;
    #convention;
    #integers;
    #floats = 0;
    #at = 0;
    end = 0;
    alignment = 16;
    constructor(registers, convention, isFirstTaken) {
        this.#registers = registers;
        this.#convention = convention;
        this.#integers = isFirstTaken ? 1 : 0;
    }
    take(type, isBehindDots) {
        const { isPacked } = this.#convention;
        const { kind, size } = typeOf$1(type);
        const at = isBehindDots ? undefined : this.#takeRegister(kind === "float");
        if (at !== undefined)
            return at;
        const taken = isPacked && !isBehindDots ? size || 8 : 8;
        return this.#takeStack(taken, taken, 4);
    }
    takeStruct(shape, isBehindDots) {
        const route = routeOf(shape, this.#convention.structs);
        const { registers, isByAddress } = route;
        if (isByAddress) {
            const at = this.take("pointer", isBehindDots);
            return { pieces: [{ at, from: 0, size: 8 }], isByAddress };
        }
        const pieces = isBehindDots || registers === undefined ? undefined : this.#takeRegisters(route);
        if (pieces !== undefined)
            return { pieces, isByAddress };
        const part = this.#convention.isPacked && !isBehindDots && registers?.[0];
        const isPacked = part && part.isFloat;
        const size = isPacked ? shape.size : route.stackSize;
        const at = this.#takeStack(isPacked ? part.size : route.alignment, size, 0);
        return { pieces: [{ at, from: 0, size: shape.size }], isByAddress };
    }
    #takeRegisters({ registers, alignment }) {
        const { integers, floats, structs } = this.#convention;
        const floatCount = registers.filter(({ isFloat }) => isFloat).length;
        const count = registers.length - floatCount;
        const isEven = structs === "aggregates" && alignment > 8 && count > 0;
        const first = isEven ? roundUp$1(this.#integers, 2) : this.#integers;
        if (first + count > integers || this.#floats + floatCount > floats) {
            if (structs === "aggregates" && count > 0)
                this.#integers = integers;
            if (structs === "aggregates" && floatCount > 0)
                this.#floats = floats;
            return undefined;
        }
        this.#integers = first;
        return registers.map(({ isFloat, from, size }) => {
            return { at: this.#takeRegister(isFloat), from, size };
        });
    }
    #takeRegister(isFloat) {
        if (isFloat) {
            if (this.#floats === this.#convention.floats)
                return undefined;
            return this.#registers.floats + this.#floats++ * 8;
        }
        if (this.#integers === this.#convention.integers)
            return undefined;
        return this.#registers.integers + this.#integers++ * 8;
    }
    #takeStack(alignment, size, written) {
        const start = roundUp$1(this.#at, alignment);
        this.#at = start + size;
        this.alignment = Math.max(this.alignment, alignment);
        this.end = Math.max(this.#at, start + written);
        return 440 + start;
    }
}

const PARAMETERS_MAX = 127;
const FUNCTION = {
    parameters: { integers: 80, floats: 144 },
    result: {
        integers: [16, 336],
        floats: [
            24,
            344,
            344 + 8,
            344 + 2 * 8,
        ],
        single: undefined,
        address: 416,
    },
};
const CALLBACK$3 = {
    parameters: { integers: 208, floats: 272 },
    result: {
        integers: [368, 368 + 8],
        floats: [
            384,
            384 + 8,
            384 + 2 * 8,
            384 + 3 * 8,
        ],
        single: 8,
        address: 424,
    },
};
function signatureOf(parameters, result, side, fixed) {
    const rules = CONVENTION.structs;
    const shapes = parameters.map(known);
    const shape = known(result);
    const structResult = shape &&
        resultOf(shape, routeOf(shape, rules), rules, side.result, side.parameters);
    const placement = placementOf(shapes.map((shape, i) => shape ?? parameters[i]), side.parameters, CONVENTION, fixed, structResult?.addressAt === side.parameters.integers);
    const types = shapes.map((shape, i) => shape === undefined ? typeOf$1(parameters[i]) : argumentAt(shape, placement.spots[i]));
    const resultType = structResult === undefined
        ? typeOf$1(result)
        : structType(shape, structResult);
    return {
        parameters: types.map(({ name }, i) => shapes[i] === undefined ? parameters[i] : name),
        result: resultType.name,
        types,
        resultType,
        structResult,
        ...placement,
    };
}
function known(definition) {
    return shapeOf(definition, "");
}
function callbackSignature(callback, what) {
    if (typeof callback !== "object" || callback === null) {
        throw new TypeError(`${what} must be an object: got ${describe(callback)}`);
    }
    checkKeys(callback, ["parameters", "result", "stop", "variadic"], what);
    const { parameters, result, stop, variadic } = own(callback);
    if (variadic !== undefined && typeof variadic !== "boolean") {
        throw new TypeError(`${what}: variadic must be a boolean, whether there are dots behind the parameters: got ` +
            describe(variadic));
    }
    checkParameters(parameters, what);
    for (const [i, type] of parameters.entries()) {
        checkType(type, VALUE_TYPES, `${what}: parameter ${i}`, false);
    }
    checkType(result, VALUE_TYPES, `${what}: result`);
    const signature = signatureOf(parameters, result, CALLBACK$3);
    const hasStop = Object.hasOwn(callback, "stop");
    if (hasStop && typeof stop !== "function") {
        if (result === "void" && stop !== undefined) {
            throw new TypeError(`${what}: stop must be undefined, since the result is void: got ${describe(stop)}`);
        }
        checkAnswer(signature, stop, `${what}: stop`);
    }
    const shape = known(result);
    const count = (kinds) => shape === undefined ? kinds.includes(result) ? 1 : 0 : keptIn(shape, kinds);
    const keptCount = count(["buffer", "cstring"]);
    const bufferCount = count(["buffer"]);
    return {
        ...signature,
        parameters: variadic ? [...signature.parameters, "..."] : signature.parameters,
        stop,
        hasStop,
        isKept: keptCount > 0,
        keptCount,
        bufferCount,
        following: variadic
            ? (types) => signatureOf([...parameters, ...types], result, CALLBACK$3, parameters.length)
            : undefined,
        fast: variadic ? { ...fastOf(signature), count: -1 } : fastOf(signature),
    };
}
function checkAnswer({ resultType, structResult }, answer, what) {
    if (structResult !== undefined)
        return structResult.check(answer, what, new Kept());
    const slot = new DataView(new ArrayBuffer(8));
    write(slot, 0, resultType, answer, what, new Kept());
}
function fastOf({ types, offsets, spots, stackCount }) {
    const [first = VOID$2, second = VOID$2, third = VOID$2] = types;
    const [firstAt = 0, secondAt = 0, thirdAt = 0] = offsets;
    const isPlain = stackCount === 0 && spots.every((spot) => spot === undefined);
    const count = isPlain ? types.length : -1;
    return { count, first, firstAt, second, secondAt, third, thirdAt };
}
function checkParameters(parameters, what) {
    if (!Array.isArray(parameters)) {
        throw new TypeError(`${what}: parameters must be an array of types: got ${describe(parameters)}`);
    }
    if (parameters.length > 127) {
        throw new TypeError(`${what}: it has ${parameters.length} parameters, and C promises no more than ` +
            `${127}`);
    }
}
function refusePromoted(type, what) {
    const promoted = typeof type === "string" ? typeOf$1(type).promoted : undefined;
    if (promoted === undefined)
        return;
    throw new TypeError(`${what} has the type ${describe(type)}, which C promotes where it stands behind the dots; ` +
        `declare it as ${describe(promoted)}`);
}
function checkType(type, known, what, mayBeVoid = true) {
    if (typeof type === "string" && (known.has(type) || mayBeVoid && type === "void"))
        return;
    if (shapeOf(type, what) !== undefined) {
        if (known !== SCALAR_TYPES)
            return;
        throw new TypeError(`${what} is a struct, and a generator body takes and gives scalar values: pass a "pointer" ` +
            "to memory that you hold");
    }
    const isObject = typeof type === "object" && type !== null;
    if (isObject && Object.hasOwn(type, "callback")) {
        throw new TypeError(`${what} is a callback, which can only stand among the parameters of a function: write ` +
            `"${known.has("function") ? "function" : "pointer"}" where a function pointer is passed on`);
    }
    if (isObject && (Object.hasOwn(type, "function") || Object.hasOwn(type, "result"))) {
        throw new TypeError(`${what} is an object: a function that C calls is written ` +
            "{ callback: { parameters, result } }");
    }
    if (type === "...") {
        throw new TypeError(`${what} is "...": declare the parameters that this call passes, and by variadic how many ` +
            "of them stand before the dots");
    }
    throw new TypeError(`${what} has the type ${describe(type)}: it must be one of ` +
        `${[...known].join(", ")}${mayBeVoid ? ", void" : ""}${hintFor$1(type, known, mayBeVoid)}`);
}
function hintFor$1(type, known, mayBeVoid) {
    if (type === undefined && mayBeVoid)
        return '; write "void" if there is none';
    if (type === "void")
        return "; the parameters of a function that has none are []";
    if (typeof type === "object" && type !== null && Object.keys(type).join() === "pointer") {
        return '; pointerTo() stands in layouts: write "pointer"; layout.view() reads what it leads to';
    }
    if (type === "callback" || typeof type === "object" && type !== null) {
        return "; a function that C calls is written { callback: { parameters, result } }";
    }
    if (typeof type === "string" && /long double|_?complex|f128|\b__m\d+|[iu](?:nt)?128/i.test(type)) {
        return "; long double, vectors, _Complex, integers of 128 bits and bit-fields have no type " +
            "here: wrap the function in C";
    }
    const meant = typeof type === "string" ? meantBy(type) : undefined;
    return meant !== undefined && known.has(meant) ? `; it may be ${describe(meant)}` : "";
}

const { stack: STACK } = Mailbox;
const { struct: STRUCT } = Way;
function argumentsIn(view, { types, offsets, stackCount }) {
    let stack = view;
    if (stackCount > 0) {
        stack = new DataView(new ArrayBuffer(stackCount * 8));
        const address = view.getBigUint64(56, true);
        native().copyIn(stack, address, BigInt(stack.byteLength));
    }
    const values = [];
    for (let i = 0; i < types.length; i++) {
        const [offset, type] = [offsets[i], types[i]];
        if (type.way === 10)
            values.push(readArgument(type, view, stack));
        else
            values.push(offset < 440 ? read(view, offset, type) : read(stack, offset - 440, type));
    }
    return values;
}
const KEY$1 = Symbol();
let forget;
class VariadicArguments {
    #view;
    #target;
    #end;
    #types = [];
    constructor(view, target, end, key) {
        if (key !== KEY$1)
            throw new TypeError("Cannot make VariadicArguments: a callback gets them");
        this.#view = view;
        this.#target = target;
        this.#end = end;
    }
    next(type) {
        const what = "Cannot read an argument behind the dots: it";
        checkType(type, VALUE_TYPES, what, false);
        refusePromoted(type, what);
        if (this.#view === undefined) {
            throw new Error("Cannot read an argument behind the dots: it is gone, since the callback has been " +
                "answered, or its call ended; read it before");
        }
        if (this.#types.length === 127) {
            throw new RangeError(`Cannot read an argument behind the dots: ${127} have been read, and C ` +
                "promises to pass no more; the arguments before the dots say how many there are");
        }
        const own = typeof type === "object" ? copyOf(type, what) : type;
        const { types, offsets, stackCount } = this.#target.following([...this.#types, own]);
        const start = this.#view.getBigUint64(56, true);
        if (this.#end !== undefined && start + BigInt(stackCount * 8) > this.#end) {
            throw new RangeError("Cannot read an argument behind the dots: C has not passed so much, since its stack ends " +
                "before that; the arguments before the dots say how many there are");
        }
        const last = { types: types.slice(-1), offsets: offsets.slice(-1), stackCount };
        const [value] = argumentsIn(this.#view, last);
        this.#types.push(own);
        return value;
    }
    static {
        forget = (rest) => rest.#view = undefined;
    }
}
class Passed {
    #rest;
    values;
    constructor(view, target, memory) {
        this.values = argumentsIn(view, target);
        if (target.following === undefined)
            return;
        const start = view.getBigUint64(56, true);
        const isThere = memory !== undefined && start >= memory.limit && start <= memory.base;
        const end = isThere ? memory.base : undefined;
        this.values.push(this.#rest = new VariadicArguments(view, target, end, KEY$1));
    }
    end() {
        if (this.#rest !== undefined)
            forget(this.#rest);
    }
}

function checkOpen(library, what) {
    if (!library.closed)
        return;
    throw new Error(`${what}: ${describe(library.filename)} has been closed; open it again`);
}
class Occupancy {
    #library;
    #earlier;
    #later;
    reason;
    batch;
    elsewhere = false;
    enter(library) {
        const { latest } = library;
        this.reason = undefined;
        this.#earlier = latest;
        if (latest !== undefined)
            latest.#later = this;
        library.latest = this;
        this.#library = library;
    }
    leave() {
        const library = this.#library;
        if (library === undefined)
            return;
        const earlier = this.#earlier;
        const later = this.#later;
        if (later !== undefined)
            later.#earlier = earlier;
        else
            library.latest = earlier;
        if (earlier !== undefined)
            earlier.#later = later;
        this.#library = this.#earlier = this.#later = undefined;
    }
    get earlier() {
        return this.#earlier;
    }
}
function isElsewhere(library) {
    for (let record = library.latest; record !== undefined; record = record.earlier) {
        if (record.elsewhere)
            return true;
    }
    return false;
}
function endAll(library, reason) {
    const thrown = [];
    for (let record; (record = library.latest) !== undefined;) {
        record.reason = reason;
        try {
            record.endGently();
        }
        catch (error) {
            if (!record.isDone)
                throw error;
            thrown.push(error);
        }
    }
    return thrown;
}
const late = { first: undefined };
function takeOffLate(owner) {
    if (late.first === owner)
        late.first = owner.nextLate;
}
function endLate() {
    for (let owner; (owner = late.first) !== undefined;) {
        const thrown = [];
        try {
            if (!owner.isDone)
                owner.endGently();
        }
        catch (error) {
            if (!owner.isDone)
                throw error;
            thrown.push(error);
        }
        takeOffLate(owner);
        for (const error of thrown)
            console.error(error);
    }
}

let words;
const CANARY_SIZE = CANARY.length;
function layCanary({ bottom }) {
    if (bottom === undefined)
        return;
    words ??= new Int32Array(new TextEncoder().encode(CANARY).buffer);
    for (let i = 0; i < words.length; i++)
        bottom.setInt32(4 * i, words[i], true);
}
function isOverrun({ bottom }) {
    if (bottom === undefined || words === undefined)
        return false;
    for (let i = 0; i < words.length; i++) {
        if (bottom.getInt32(4 * i, true) !== words[i])
            return true;
    }
    return false;
}

function framesOf(handle) {
    return framesBy((addresses, count) => native().backtrace(handle, addresses, count));
}
function framesBy(trace) {
    const addresses = new BigUint64Array(new ArrayBuffer(64 * 8));
    const count = trace(addresses, 64);
    return [...addresses.subarray(0, count)].map(frameAt);
}
function frameAt(address) {
    const found = new DataView(new ArrayBuffer(32));
    native().symbol(address - 1n, found);
    const word = (offset) => found.getBigUint64(offset, true);
    const [name, module] = [word(0), word(16)];
    return Object.freeze({
        address,
        name: readCString(name) ?? undefined,
        offset: name === 0n ? undefined : Number(address - word(8)),
        module: readCString(module) ?? undefined,
        moduleOffset: module === 0n ? undefined : Number(address - word(24)),
    });
}
function frameLine({ address, name, offset, module, moduleOffset }) {
    const place = module === undefined
        ? `0x${address.toString(16)}`
        : `${module}+0x${moduleOffset.toString(16)}`;
    return name === undefined ? place : `${name}+0x${offset.toString(16)} (${place})`;
}

const CLAUSES = {
    [1]: (place) => `${place} has no unwind tables; compile it with -fasynchronous-unwind-tables`,
    [2]: (place, _, size) => `${place} has cleanups, and of its stack of ${size} bytes fewer than ${8192 / 1024} KiB were free below ` +
        "it; it needs a larger stack",
    [3]: (place, { module }) => `${place} has cleanups for an unwinder that ${module ?? "its module"} keeps to itself; link ` +
        "that with the shared libgcc_s",
    [4]: (place) => `${place} runs on a stack that C has made, from which no way is known, or how much room it ` +
        "has; give the callback a stop, so that C ends by itself",
    [5]: () => "a cleanup or destructor, which the end or an exception ran, had suspended; let none of them " +
        "suspend or call back",
    [6]: () => "it has caught the end and suspended again, 1,000 times; rethrow it (throw;) from catch (...)",
    [7]: () => "the process has no unwinder; it needs libgcc_s.so.1",
};
const warned = new Set();
function warnOfAbandoned(name, size, mailbox) {
    const reason = Number(mailbox.getBigUint64(16, true));
    const key = `${reason} ${name}`;
    if (warned.has(key))
        return;
    const frame = frameAt(mailbox.getBigUint64(24, true));
    const place = frame.address === 0n ? "one of them" : frameLine(frame);
    console.warn(`fringe: ${name} was ended early, and not all of its frames could be unwound: ` +
        `${CLAUSES[reason](place, frame, size)}. Its stack comes back; what the frames held ` +
        "(memory, locks, files) does not. This is said once for each function and reason");
    warned.add(key);
}

const KEY = Symbol("NativeError");
class NativeError extends Error {
    name = "NativeError";
    type;
    constructor(key, type, message, backtrace) {
        if (key !== KEY) {
            throw new TypeError("Cannot make NativeError: only native code does; make an Error instead");
        }
        const thrown = type ?? "an exception of a type that is not known";
        super(message ?? `Native code has thrown ${thrown}`);
        this.type = type;
        Object.defineProperty(this, "backtrace", own({ value: Object.freeze([...backtrace]) }));
        if (typeof this.stack !== "string")
            return;
        const start = this.stack.indexOf("\n    at ");
        const rest = start < 0 ? "" : this.stack.slice(start + 1);
        const what = type === undefined ? "" : ` (${type})`;
        const frames = backtrace.map((frame) => `    at ${frameLine(frame)}\n`);
        this.stack = [`${this.name}${what}: ${this.message}\n`, ...frames, rest].join("");
    }
}
function makeNativeError(type, message, backtrace) {
    return new NativeError(KEY, type, message, backtrace);
}
function readReport(mailbox) {
    const address = mailbox.getBigUint64(16, true);
    if (address === 0n)
        return () => makeNativeError(undefined, undefined, []);
    const report = new DataView(new ArrayBuffer(552));
    native().copyIn(report, address, BigInt(report.byteLength));
    const word = (offset) => report.getBigUint64(offset, true);
    const frames = Array.from({ length: Number(word(32)) }, (_, i) => frameAt(word(40 + i * 8)));
    const type = readCString(word(8)) ?? undefined;
    const message = readText(word(16), word(24));
    return () => makeNativeError(type, message, frames);
}
function readText(address, length) {
    if (address === 0n)
        return undefined;
    const bytes = new Uint8Array(new ArrayBuffer(Number(length)));
    native().copyIn(bytes, address, length);
    return new TextDecoder().decode(bytes);
}

const SIZE = 32;
const WORD_SIZE = Int32Array.BYTES_PER_ELEMENT;
const COUNT = 128;
const INPUT$3 = 8 - 0;
const OUTPUT$1 = 16 - 0;
class Mailboxes {
    words = new Int32Array(new ArrayBuffer(128 * 32));
    f32 = new Float32Array(this.words.buffer, INPUT$3);
    f64 = new Float64Array(this.words.buffer, INPUT$3);
    i64 = new BigInt64Array(this.words.buffer, INPUT$3);
    u64 = new BigUint64Array(this.words.buffer, INPUT$3);
    toF32 = new Float32Array(this.words.buffer, OUTPUT$1);
    toF64 = new Float64Array(this.words.buffer, OUTPUT$1);
    toI64 = new BigInt64Array(this.words.buffer, OUTPUT$1);
    toU64 = new BigUint64Array(this.words.buffer, OUTPUT$1);
    address = native().addressOfBuffer(this.words);
    next = 0 / WORD_SIZE;
}
let mailboxes;
function withRoom() {
    if (mailboxes === undefined || mailboxes.next >= mailboxes.words.length) {
        mailboxes = new Mailboxes();
    }
    return mailboxes;
}
const WORDS = 32 / WORD_SIZE;
function viewAt({ buffer }, at) {
    return new DataView(buffer, at * WORD_SIZE - 0, 32);
}
function callMailbox(stackCount) {
    return new DataView(new ArrayBuffer(440 + stackCount * 8));
}

const ABANDONED = "; its frames are abandoned: no destructor has run, and what they held stays held";
const REMEDY = "It needs a larger stack; that of a function is stackSize in its definition, or the " +
    "generator's in a yielder.call()";
function overflowError(what, memory) {
    const frames = framesAt(memory.limit);
    const place = frames[0] === undefined ? "" : ` in ${frameLine(frames[0])}`;
    return new RangeError(`${what}: it has used up its stack of ${memory.size} bytes${ABANDONED}. ${REMEDY}`, { cause: makeNativeError("stack overflow", `stack overflow${place}`, frames) });
}
function overrunError(what, memory, isSuspended, thrown) {
    return new RangeError(`${what}: it has used up its stack of ${memory.size} bytes, which has no guard page, so ` +
        `memory below it may have been written over${isSuspended ? ABANDONED : ""}. ${REMEDY}`, thrown === undefined ? undefined : { cause: thrown });
}
function framesAt(limit) {
    const words = (address, count) => {
        const view = new BigUint64Array(new ArrayBuffer(8 * count));
        native().copyIn(view, address, BigInt(view.byteLength));
        return view;
    };
    const count = Number(words(limit + BigInt(0), 1)[0]);
    return Array.from(words(limit + BigInt(8), count), frameAt);
}

const Entry = {
    checked: 0,
    u32: 1,
    i32: 2,
    word: 3,
    mailbox: 4,
    pointer: 5,
};
const ELSEWHERE = "it is running on another thread; await its Promise first";
class Context extends Occupancy {
    entry = 0;
    handle = null;
    status;
    at = 0;
    boxes;
    view;
    memory;
    #idle;
    subject;
    constructor(memory, idle = null) {
        super();
        this.memory = memory;
        this.#idle = idle;
    }
    #takeMailbox() {
        const mailboxes = withRoom();
        const { words, address, next } = mailboxes;
        mailboxes.next += WORDS;
        this.status = words;
        this.at = next;
        this.boxes = mailboxes;
        return address + BigInt(next * words.BYTES_PER_ELEMENT - 0);
    }
    lookInto() {
        return this.view ??= viewAt(this.status, this.at);
    }
    setView(view) {
        const status = new Int32Array(view.buffer, view.byteOffset + 0, WORDS);
        this.status = status;
        this.at = 0;
        this.view = view;
    }
    begin(body, subject) {
        const exceptionState = subject.exceptionState();
        const { top, limit } = this.memory;
        const mailbox = this.#takeMailbox();
        this.status[this.at] = 0;
        layCanary(this.memory);
        const handle = native().init(top, body, mailbox, exceptionState, limit);
        this.subject = subject;
        this.enter(subject.library);
        this.handle = handle;
    }
    get isDone() {
        return this.handle === null;
    }
    get isSuspended() {
        return this.handle !== null && this.status[this.at] === 0;
    }
    arrive(what) {
        const { handle, memory } = this;
        if (handle === null)
            return undefined;
        let error;
        const status = this.status[this.at];
        if (status === 8)
            error = overflowError(what, memory);
        if (status === 6) {
            const make = readReport(this.lookInto());
            this.resume(handle);
            this.status[this.at] = 7;
            error = make();
        }
        if (isOverrun(memory)) {
            const isSuspended = this.status[this.at] === 0;
            error = overrunError(what, memory, isSuspended, error);
            if (isSuspended)
                this.status[this.at] = 3;
        }
        if (this.status[this.at] !== 0)
            this.#forget();
        return error;
    }
    #forget() {
        this.letGo();
        this.leave();
        this.entry = 0;
        this.handle = null;
        this.status[this.at] = 1;
    }
    letGo() { }
    end() {
        const { handle, memory } = this;
        if (handle === null)
            return;
        if (this.elsewhere)
            throw new Error(`Cannot end a call: ${ELSEWHERE}`);
        if (memory.fault() !== undefined)
            return this.#forget();
        if (this.status[this.at] === 0) {
            this.endFrames(handle);
        }
        const isAbandoned = this.status[this.at] === 3;
        const name = this.subject.name;
        const error = this.arrive(`Cannot end ${name}`);
        if (isAbandoned)
            warnOfAbandoned(name, memory.size, this.lookInto());
        if (error !== undefined)
            throw error;
    }
    endFrames(handle) {
        native().end(handle, this.memory.limit, this.#idle);
    }
    endGently() {
        this.end();
    }
    frames() {
        if (this.handle === null)
            return [];
        const fault = this.elsewhere ? ELSEWHERE : this.memory.fault();
        if (fault !== undefined)
            throw new Error(`Cannot take a backtrace: ${fault}`);
        return this.trace(this.handle);
    }
    trace(handle) {
        return framesOf(handle);
    }
    resume(handle) {
        native().resumeI32(handle, 0);
    }
}

const symbols = new WeakMap();
function makeBody(input, output, pointer, subject) {
    const body = Object.freeze({ input, output });
    const [taken, given] = [typeOf$1(input), typeOf$1(output)];
    symbols.set(body, {
        ...subject,
        pointer,
        input: taken,
        output: given,
        takes: taken.way,
        inputMask: taken.mask,
        inputSign: taken.sign,
        gives: given.way,
        outputMask: given.mask,
        outputSign: given.sign,
        entry: entryFor(taken, given),
        idle: new Uint8Array(24),
    });
    return body;
}
function entryFor(input, output) {
    if (output.way === 8)
        return 5;
    if (input !== output)
        return 4;
    if (input.way === 2)
        return 1;
    if (input.way !== 1)
        return 4;
    return input.size === 4 ? 2 : 3;
}
const symbolOf = (function symbolOf(body) {
    return typeof body === "object" && body !== null ? symbols.get(body) : undefined;
});

const GeneratorFunction = Object.getPrototypeOf(function* () { }).constructor;
const { isPrototypeOf } = Object.prototype;
const isGeneratorFunction = (function isGeneratorFunction(value) {
    return typeof value === "function" &&
        (value instanceof GeneratorFunction || tagOf(value) === "GeneratorFunction");
});
function isAsyncFunction(value) {
    const tag = tagOf(value);
    return tag === "AsyncFunction" || tag === "AsyncGeneratorFunction";
}
const isScriptGenerator = (function isScriptGenerator(value) {
    if (typeof value !== "object" || value === null)
        return false;
    if (isPrototypeOf.call(GeneratorFunction.prototype.prototype, value))
        return true;
    return tagOf(value) === "Generator" &&
        nodeModule("node:util")?.types.isGeneratorObject(value) === true;
});
function tagOf(value) {
    return value[Symbol.toStringTag];
}

const RESTED = 1024;
let fresh = [];
const rested = new Map();
const targets = [];
let first = 0;
function typeOf({ parameters, result, isForeign }) {
    return `${parameters}:${result}:${isForeign}`;
}
function takeThunk(target) {
    const released = rested.get(typeOf(target));
    let thunk = released !== undefined && released.length > 1024 ? released.shift() : undefined;
    if (thunk === undefined) {
        if (fresh.length === 0)
            makeThunks();
        thunk = fresh.pop();
    }
    targets[thunk.number - first] = target;
    return thunk;
}
function putThunk(thunk) {
    const target = targets[thunk.number - first];
    if (target === undefined)
        return;
    const type = typeOf(target);
    const released = rested.get(type);
    if (released === undefined)
        rested.set(type, [thunk]);
    else
        released.push(thunk);
    targets[thunk.number - first] = undefined;
}
function targetOf$1(number) {
    return targets[number - first];
}
function makeThunks() {
    const block = new DataView(new ArrayBuffer(32));
    checkGrant(native().mapThunks(block), "Cannot make function pointers for callbacks");
    native().pin(native().callBody);
    const word = (offset) => block.getBigUint64(offset, true);
    const [address, number] = [word(0), Number(word(8))];
    const [stride, count] = [word(16), word(24)];
    const made = Array.from({ length: Number(count) }, (_, i) => ({ number: number + i, address: address + BigInt(i) * stride }));
    if (targets.length === 0)
        first = number;
    fresh = made;
}
class KeptThunk {
    target;
    thunk;
    constructor(target, thunk) {
        this.target = target;
        this.thunk = thunk;
    }
    get address() {
        return this.thunk?.address;
    }
    whyClosed(what) {
        return new Error(`${what} is a callback that has been closed; make a new one`);
    }
}

const callees = new WeakMap();
class Pointed {
    #callee;
    #isPinned = false;
    constructor(callee) {
        this.#callee = callee;
    }
    get address() {
        if (this.#callee.library.closed)
            return undefined;
        const address = this.#callee.address();
        if (!this.#isPinned)
            native().pin(native().pointerTo(address));
        this.#isPinned = true;
        return address;
    }
    whyClosed(what) {
        const { name, library } = this.#callee;
        const file = describe(library.filename);
        return new Error(`${what} is ${name} of ${file}, which has been closed; open it again`);
    }
}
function makeFunction(f, callee) {
    callees.set(f, callee);
    makeFunctionPointer(f, new Pointed(callee));
    return Object.freeze(f);
}
function isFunction(f) {
    return typeof f === "function" && callees.has(f);
}
function calleeOf(f, taker = "yielder.call()") {
    const callee = typeof f === "function" ? callees.get(f) : undefined;
    if (callee !== undefined)
        return callee;
    throw noCallee(f, taker);
}
function noCallee(f, taker) {
    const body = symbolOf(f);
    return new TypeError(body === undefined
        ? `Cannot call ${describe(f)}: ${taker} takes a function that dlopen has given in this Worker`
        : `Cannot call ${body.name}: it is a generator body; make a generator of it by ` +
            "new Generator(stack, body), which yield* takes");
}
function checkCount(callee, args, expected) {
    checkOpen(callee.library, callee.what);
    if (args.length === expected)
        return;
    throw wrongCount(callee, args.length, expected);
}
function wrongCount(callee, given, expected) {
    return new TypeError(`Cannot call ${callee.name}: it takes ${expected} ${expected === 1 ? "argument" : "arguments"} here: got ${given}; ` +
        (given < expected
            ? `missing: ${missing(callee, given, expected).join(", ")}`
            : excess(callee, expected)));
}
function missing(callee, given, expected) {
    const isPulled = expected < callee.parameters.length;
    return callee.parameters
        .filter((type) => !isPulled || type !== "callback")
        .map((type, i) => type === "callback"
        ? `argument ${i} (the function that answers its callback)`
        : `argument ${i} (${type})`)
        .slice(given);
}
function excess(callee, expected) {
    return expected < callee.parameters.length
        ? ".calls() takes no functions that answer: whoever pulls a call answers it by reply()"
        : "leave the others out; options such as { signal } are for .async()";
}
function refuseNonblocking(callee) {
    if (!callee.nonblocking)
        return;
    throw new TypeError(`Cannot call ${callee.name}: it is declared as nonblocking, and a generator cannot wait for ` +
        "another thread; call it by .async(), or declare it once more without nonblocking");
}
function hintForAnswerer(arg) {
    if (arg === null)
        return '; to pass NULL to C, declare the parameter as "function"';
    if (isScriptGenerator(arg) || describe(arg) === "an object of class Promise") {
        return "; pass the function itself, and do not call it";
    }
    if (typeof arg === "object" && Object.getPrototypeOf(arg) === null) {
        return '; a pointer is passed where the parameter is declared as "function", but that of an ' +
            "UnsafeCallback ends the process: make a Callback of its handler";
    }
    return hintForUnsafeCallback(arg);
}
function replacementOf({ what, callback }, arg, answering) {
    if (typeof arg === "function" && (answering === "generators" || !isGeneratorFunction(arg))) {
        return undefined;
    }
    return thunkOf(callback.target, arg, what);
}
function thunkOf({ parameters, result }, arg, what) {
    if (typeof arg === "function") {
        throw new TypeError(`${what} is a generator function, which can yield only out of a generator; use ` +
            "`yield* yielder.call()` in a TypeScript body");
    }
    const kept = pointingOf(arg, what);
    if (!(kept instanceof KeptThunk)) {
        throw new TypeError(`${what} must be a function that answers the callback, or a Callback: got ${describe(arg)}` +
            hint(hintForAnswerer, arg));
    }
    const { target, thunk } = kept;
    if (String(target.parameters) !== String(parameters) || target.result !== result) {
        throw new TypeError(`${what} is a Callback of another type: it is (${target.parameters}) => ${target.result}, ` +
            `and C needs (${parameters}) => ${result}`);
    }
    return thunk;
}

const tails = new WeakMap();
function tailCall(f, ...args) {
    const callee = calleeOf(f, "tailCall()");
    const given = args;
    checkCount(callee, given, callee.slots.length);
    if (callee.stackCount > 0) {
        throw new TypeError(`${callee.what} in place of a callback: ${callee.stackCount} words of its arguments are ` +
            "passed on the stack, and C has made room there for the callback's own alone; have a " +
            "function of C with fewer parameters call it");
    }
    writeArguments(callee, given, new DataView(new ArrayBuffer(440)), new Kept());
    const answer = Object.freeze({ function: callee.name });
    tails.set(answer, { callee, args: given });
    return answer;
}
function tailOf(answer) {
    return tails.get(answer);
}
function prepareTail({ callee, args }, keeper) {
    const written = new DataView(new ArrayBuffer(440));
    writeArguments(callee, args, written, keeper);
    checkOpen(callee.library, callee.what);
    return written;
}
function writeTail({ callee }, written, view) {
    for (let at = 80; at < 208; at += 8) {
        view.setBigUint64(at, written.getBigUint64(at, true), true);
    }
    passOnAddress(callee, view);
    const address = callee.address();
    native().pin(native().pointerTo(address));
    view.setBigUint64(64, address, true);
}
function passOnAddress({ what, result, structResult }, view) {
    const waiting = targetOf$1(view.getUint32(4, true));
    const [to, from] = [structResult?.addressAt, waiting.structResult?.addressAt];
    if (to === undefined && from === undefined)
        return;
    if (result !== waiting.result) {
        throw new TypeError(`${what} in place of a callback: it returns ${result}, and C has made room for ` +
            `${waiting.result}, which the callback is to return`);
    }
    view.setBigUint64(to, view.getBigUint64(from, true), true);
}
function writeArguments(callee, args, view, keeper) {
    for (const [i, slot] of callee.slots.entries()) {
        if (slot.callback === undefined) {
            write(view, slot.offset, slot.type, args[i], slot.what, keeper);
            continue;
        }
        const thunk = replacementOf(slot, args[i], "functions");
        if (thunk === undefined) {
            throw new TypeError(`${slot.what} must be a Callback, since C goes on with the handlers of the call that ` +
                `waits: got ${describe(args[i])}`);
        }
        view.setBigUint64(slot.offset, thunk.address, true);
    }
}

const POLLED = 5;
const POLLED_BESIDE = 50;
let open$1;
let holding = 0;
let isListening = false;
let timer;
let period;
class ForeignCallback {
    #target;
    #number;
    #waiting = new Set();
    #answers;
    #references = 0;
    constructor(target, thunk, what) {
        this.#target = target;
        this.#number = thunk.number;
        const stop = this.#plainStop();
        checkGrant(nativeForeign().openForeign(thunk.number, stop), what);
        (open$1 ??= new Map()).set(thunk.number, this);
        this.ref();
    }
    #plainStop() {
        const { hasStop, stop, resultType, what, structResult } = this.#target;
        if (!hasStop || typeof stop === "function" || structResult !== undefined)
            return null;
        const slot = new DataView(new ArrayBuffer(8));
        write(slot, 0, resultType, stop, what, undefined);
        return slot;
    }
    ref() {
        if (++this.#references === 1)
            holding++;
        update();
        return this.#references;
    }
    unref() {
        if (this.#references === 0)
            return 0;
        if (--this.#references === 0)
            holding--;
        update();
        return this.#references;
    }
    close() {
        needStack(128);
        nativeForeign().closeForeign(this.#number);
        drain();
        if (this.#target.hasStop) {
            for (const request of this.#waiting)
                this.#stop(request);
        }
        open$1.delete(this.#number);
        if (this.#references > 0)
            holding--;
        this.#references = 0;
        update();
    }
    async serve(request) {
        this.#waiting.add(request);
        try {
            const passed = request.passed = new Passed(request.view, this.#target, undefined);
            const answer = this.#target.handler(...passed.values);
            this.#answer(request, isThenable(answer) ? await answer : answer);
        }
        catch (error) {
            this.#fail(request, error);
        }
    }
    #answer(request, value) {
        if (!this.#waiting.has(request))
            return;
        const { resultType, structResult, what, isKept } = this.#target;
        if (typeof value === "object" && value !== null) {
            refuseObject(value, what);
            if (tailOf(value) !== undefined) {
                throw new TypeError(`${what} is a tail call, for a thread of C's that is in no call of fringe's; answer a ` +
                    "value");
            }
        }
        if (!this.#waiting.has(request))
            return;
        const { mailbox, view } = request;
        let answers;
        if (isKept) {
            answers = this.#answers ??= new ForeignAnswers(this.#target);
            answers.next();
        }
        if (structResult !== undefined) {
            const scratch = structResult.convert(value, what, answers);
            if (!this.#waiting.has(request))
                return;
            structResult.put(view, scratch);
        }
        else {
            write(view, 8, resultType, value, what, answers);
        }
        const { addressOfPointer, copyOut } = native();
        copyOut(addressOfPointer(mailbox), view, BigInt(view.byteLength));
        this.#waiting.delete(request);
        request.passed?.end();
        nativeForeign().answerForeign(mailbox);
    }
    #stop(request) {
        const { stop } = this.#target;
        try {
            if (typeof stop !== "function")
                return this.#answer(request, stop);
            const passed = new Passed(request.view, this.#target, undefined);
            this.#answer(request, stop(...passed.values));
            passed.end();
        }
        catch (error) {
            endBecauseOf$1(error);
        }
    }
    #fail(request, error) {
        if (this.#target.hasStop)
            this.#stop(request);
        if (!this.#waiting.has(request))
            return reportError(error);
        endBecauseOf$1(error);
    }
}
function endBecauseOf$1(error) {
    setTimeout(() => nativeForeign().refuseForeign());
    reportError(error);
}
function update() {
    if (holding > 0 && !isListening)
        void listen();
    if (holding === 0 && isListening)
        nativeForeign().callOffForeign();
    const wanted = open$1.size === 0 ? undefined : holding > 0 ? 50 : 5;
    if (wanted === period)
        return;
    clearInterval(timer);
    timer = undefined;
    period = wanted;
    if (wanted === undefined)
        return;
    const made = timer = setInterval(drain, wanted);
    Deno.unrefTimer(made);
}
async function listen() {
    isListening = true;
    while (holding > 0) {
        const { listenForeign, waitForeign } = nativeForeign();
        await waitForeign(listenForeign());
        drain();
    }
    isListening = false;
}
function drain() {
    const { takeForeign } = nativeForeign();
    const { addressOfPointer, copyIn } = native();
    for (let mailbox; (mailbox = takeForeign()) !== null;) {
        const view = new DataView(new ArrayBuffer(440));
        copyIn(view, addressOfPointer(mailbox), BigInt(view.byteLength));
        void open$1.get(view.getUint32(4, true)).serve({ mailbox, view });
    }
}
class ForeignAnswers extends Answers {
    #places = [];
    keepString(value, what) {
        const bytes = encodeCString(value, what);
        return bytes === null ? 0n : this.#put(bytes, what);
    }
    keepBytes(bytes, what) {
        return this.#put(bytes, what);
    }
    #put(bytes, what) {
        const place = this.place();
        let mapping = this.#places[place];
        if (mapping === undefined || Number(mapping.base - mapping.limit) < bytes.length) {
            const larger = new Mapping();
            map(larger, bytes.length, false, `${what} cannot be copied (${bytes.length} bytes)`);
            if (mapping !== undefined)
                unmap(mapping);
            mapping = this.#places[place] = larger;
        }
        native().copyOut(mapping.limit, bytes, BigInt(bytes.length));
        return mapping.limit;
    }
}

class Callback {
    definition;
    pointer;
    #kept;
    #foreign;
    constructor(definition, handler, options = {}) {
        const what = "Cannot make callback";
        const threads = threadsOf(options, `${what}: options`);
        if (typeof handler !== "function") {
            throw new TypeError(`${what}: the handler must be a function: got ${describe(handler)}`);
        }
        this.definition = copyOf(definition, what);
        const target = {
            ...callbackSignature(this.definition, `${what}: the definition`),
            callee: undefined,
            parameter: -1,
            handler,
            what: "Cannot answer C: the result of a callback",
            isForeign: threads,
            closed: false,
        };
        if (threads)
            checkStop(target, `${what}: the definition`);
        needStack(8);
        const thunk = takeThunk(target);
        this.pointer = native().pointerTo(thunk.address);
        this.#kept = new KeptThunk(target, thunk);
        makeFunctionPointer(this, this.#kept);
        if (threads)
            this.#foreign = new ForeignCallback(target, thunk, what);
    }
    ref() {
        return this.#needForeign("ref").ref();
    }
    unref() {
        return this.#needForeign("unref").unref();
    }
    #needForeign(what) {
        if (this.#foreign !== undefined)
            return this.#foreign;
        throw new TypeError(`Cannot ${what} callback: no thread may call it, so nothing is waited for; make it with ` +
            "{ threads: true }");
    }
    close() {
        const { target, thunk } = this.#kept;
        if (thunk === undefined)
            return;
        this.#foreign?.close();
        putThunk(thunk);
        target.closed = true;
        this.#kept.thunk = undefined;
    }
    [Symbol.dispose]() {
        this.close();
    }
}
function threadsOf(options, what) {
    if (typeof options !== "object" || options === null) {
        throw new TypeError(`${what} must be an object such as { threads }: got ${describe(options)}`);
    }
    checkKeys(options, ["threads"], what);
    const { threads } = own(options);
    if (threads !== undefined && typeof threads !== "boolean") {
        throw new TypeError(`${what}: threads must be a boolean: got ${describe(threads)}`);
    }
    return threads === true;
}
function checkStop({ isKept, hasStop, stop, structResult }, what) {
    if (structResult !== undefined && hasStop && typeof stop !== "function") {
        throw new TypeError(`${what}: stop must be a function where threads are answered a struct: got ${describe(stop)}`);
    }
    if (!isKept || stop === undefined || stop === null || typeof stop === "function")
        return;
    throw new TypeError(`${what}: stop must be null where threads are answered a string or a buffer, or a function: ` +
        `got ${describe(stop)}`);
}

const { input: INPUT$2, callback: CALLBACK$2 } = Mailbox;
const MANY = 1_000;
const ENDED = 0;
function answerMany(call, args, waiting, awaits, signal) {
    const { resumeCall } = native();
    const { context } = call;
    const { view, kept: keeper } = context;
    let target = waiting;
    let handler = handlerOf(target, args);
    let known = view.getUint32(4, true);
    for (let i = 0; i < 1000; i++) {
        const { resultType, what, isKept, fast } = target;
        const answer = fast.count === 1
            ? handler(read(view, fast.firstAt, fast.first))
            : fast.count === 2
                ? handler(read(view, fast.firstAt, fast.first), read(view, fast.secondAt, fast.second))
                : fast.count === 3
                    ? handler(read(view, fast.firstAt, fast.first), read(view, fast.secondAt, fast.second), read(view, fast.thirdAt, fast.third))
                    : call.ask(target, handler);
        if (awaits) {
            if (isThenable(answer))
                return { promise: answer, target };
            signal?.throwIfAborted();
        }
        if (typeof answer !== "object" || answer === null || !call.replyByObject(target, answer, false)) {
            if (typeof answer === "object" && answer !== null)
                refuseObject(answer, what);
            const answers = isKept ? keeper.answersTo(target, false) : undefined;
            write(view, 8, resultType, answer, what, answers);
        }
        const { handle } = context;
        const number = resumeCall(handle === null || keeper.hasBuffers ? call.leave() : handle, 0);
        if (number === 0)
            return undefined;
        if (number !== known || target.closed) {
            target = call.arrive();
            handler = handlerOf(target, args);
            known = number;
        }
    }
    return undefined;
}

const CAPACITY = 16 * 1024;
class Lent {
    mailbox;
    base;
    #view;
    #copies = new Map();
    #answers = new Map();
    #mappings = new Set();
    #held = [];
    #free = [];
    #next;
    #isOut = false;
    constructor(base, view) {
        this.mailbox = base - BigInt(roundUp(view.byteLength));
        this.base = this.#next = this.mailbox - BigInt(CAPACITY);
        this.#view = view;
    }
    keepAt(_position, value) {
        this.#held.push(value);
    }
    get isGone() {
        return this.#copies.keys().some(isDetached);
    }
    get isArgumentGone() {
        return this.#copies.values().some(({ isArgument, bytes }) => {
            return isArgument && isDetached(bytes.buffer);
        });
    }
    keepString(value, what) {
        return this.placeString(value, what)?.address ?? 0n;
    }
    keepBytes(bytes, what) {
        const copy = this.copy(bytes, what);
        copy.isArgument = true;
        return copy.block.address + BigInt(bytes.byteOffset);
    }
    answersTo(callback, isAgain) {
        let answers = this.#answers.get(callback);
        if (answers === undefined) {
            this.#answers.set(callback, answers = new LentAnswers(callback, this));
        }
        if (!isAgain)
            answers.next();
        return answers;
    }
    keepRoom(size, alignment, what) {
        const mask = BigInt(alignment) - 1n;
        return this.#take(size + alignment, what).address + mask & ~mask;
    }
    placeString(value, what) {
        const bytes = encodeCString(value, what);
        if (bytes === null)
            return undefined;
        const block = this.#take(bytes.length, what);
        native().copyOut(block.address, bytes, BigInt(bytes.length));
        return block;
    }
    copy({ buffer }, what) {
        let copy = this.#copies.get(buffer);
        if (copy === undefined) {
            const bytes = new Uint8Array(buffer);
            copy = {
                bytes,
                block: this.#take(bytes.length, what),
                isArgument: false,
                answers: 0,
                isLent: false,
            };
            this.#copies.set(buffer, copy);
        }
        return copy;
    }
    drop(copy) {
        if (--copy.answers > 0 || copy.isArgument)
            return;
        this.#copies.delete(copy.bytes.buffer);
        this.give(copy.block);
    }
    #take(size, what) {
        const found = this.#free.findIndex((block) => size <= block.size && block.size <= waste(size));
        if (found >= 0)
            return this.#free.splice(found, 1)[0];
        const room = roundUp(size);
        if (this.#next + BigInt(room) <= this.mailbox) {
            const block = { address: this.#next, size: room, mapping: undefined };
            this.#next += BigInt(room);
            return block;
        }
        const mapping = new Mapping();
        this.#mappings.add(mapping);
        map(mapping, size, false, `${what} cannot be copied (${size} bytes)`);
        native().lendStack(mapping.limit, true);
        return { address: mapping.limit, size: Number(mapping.base - mapping.limit), mapping };
    }
    give(block) {
        this.#free.push(block);
        const mapping = this.#free.length > 16 ? this.#free.shift().mapping : undefined;
        if (mapping === undefined)
            return;
        this.#mappings.delete(mapping);
        unmap(mapping);
    }
    lend() {
        const { copyOut } = native();
        this.#setOut(true);
        this.lendMailbox();
        for (const copy of this.#copies.values()) {
            copyOut(copy.block.address, copy.bytes, BigInt(copy.bytes.length));
            copy.isLent = true;
        }
    }
    #setOut(isOut) {
        if (this.#isOut === isOut)
            return;
        native().lendStack(this.mailbox, isOut);
        this.#isOut = isOut;
    }
    lendMailbox() {
        native().copyOut(this.mailbox, this.#view, BigInt(this.#view.byteLength));
    }
    takeBack(size) {
        const { copyIn } = native();
        this.#setOut(false);
        copyIn(this.#view, this.mailbox, BigInt(size));
        for (const [buffer, { bytes, block, isLent }] of this.#copies) {
            if (isLent && !isDetached(buffer))
                copyIn(bytes, block.address, BigInt(bytes.length));
        }
    }
    release() {
        for (const mapping of this.#mappings)
            unmap(mapping);
        this.#mappings.clear();
    }
}
class LentAnswers extends Answers {
    #lent;
    #drops = [];
    constructor(callback, lent) {
        super(callback);
        this.#lent = lent;
    }
    keepString(value, what) {
        const block = this.#lent.placeString(value, what);
        if (block === undefined)
            return 0n;
        this.#put(() => this.#lent.give(block));
        return block.address;
    }
    keepBytes(bytes, what) {
        const copy = this.#lent.copy(bytes, what);
        copy.answers++;
        this.#put(() => this.#lent.drop(copy));
        return copy.block.address + BigInt(bytes.byteOffset);
    }
    #put(drop) {
        const place = this.place();
        this.#drops[place]?.();
        this.#drops[place] = drop;
    }
}
function waste(size) {
    return Math.max(2 * size, 8192);
}
function roundUp(size) {
    return Math.ceil(size / 16) * 16;
}

const MARGIN = 64;
const GONE = -1;
let nativeDepth;
const depthNow = (function depthNow() {
    return (nativeDepth ??= nativeStacks().depth)();
});
function isGone(depth) {
    return depth === -1 || (depthNow() - depth | 0) > 64;
}

const { input: INPUT$1, output: OUTPUT, output_float: OUTPUT_FLOAT } = Mailbox;
const { callback: CALLBACK$1, tail: TAIL } = Mailbox;
const { suspended: SUSPENDED$1, returned: RETURNED } = Status;
const TOLD_OFTEN = 1_000_000;
class Call {
    context;
    callee;
    result;
    interrupt;
    #replaced;
    #resultAddress = 0n;
    #answered = false;
    #hasTail = false;
    #error;
    #variadic;
    #told = 0;
    #isWatched = false;
    #asking = -1;
    constructor(context) {
        this.context = context;
    }
    prepare(callee, args, answering) {
        const { context } = this;
        const { slots, what, library } = callee;
        this.callee = callee;
        this.#replaced = this.#error = undefined;
        this.#hasTail = false;
        this.#told = 0;
        context.kept.clear();
        if (context.written !== callee)
            this.#writeFunction();
        const { view } = context;
        const keeper = this.keeper;
        if (callee.structResult !== undefined)
            this.#makeRoom(callee.structResult);
        for (let i = 0; i < slots.length; i++) {
            const slot = slots[i];
            if (slot.callback === undefined) {
                write(view, slot.offset, slot.type, args[i], slot.what, keeper);
            }
            else if (answering !== "puller") {
                const thunk = replacementOf(slot, args[i], answering);
                if (thunk !== undefined)
                    this.#replace(slot, thunk);
            }
        }
        checkOpen(library, what);
        if (callee.turn !== undefined && context.turn === undefined) {
            callee.turn.take(callee.name, what);
            context.turn = callee.turn;
        }
        if (callee.nonblocking)
            context.beginElsewhere(this);
    }
    #makeRoom({ addressAt, shape }) {
        if (addressAt === undefined)
            return;
        const { view } = this.context;
        this.#resultAddress = this.keeper.keepRoom(shape.size, shape.alignment, this.callee.what);
        view.setBigUint64(addressAt, this.#resultAddress, true);
    }
    #writeFunction() {
        const { callee, context } = this;
        const { slots, stackCount, stackAlignment, nonblocking } = callee;
        if (stackCount > 0 || nonblocking)
            checkRoom(callee, context.memory.size);
        context.prepare(callee, stackCount, nonblocking);
        const { view } = context;
        view.setBigUint64(32, callee.address(), true);
        view.setUint32(48, stackCount, true);
        if (stackCount > 0)
            view.setBigUint64(432, BigInt(stackAlignment - 1), true);
        view.setUint32(4, 0, true);
        view.setBigUint64(64, 0n, true);
        view.setUint32(76, callee.errno ? 1 : 0, true);
        for (const { callback, offset } of slots) {
            if (callback !== undefined)
                view.setBigUint64(offset, callback.thunk().address, true);
        }
        if (!nonblocking)
            context.written = callee;
    }
    #replace({ callback, offset }, thunk) {
        const { context } = this;
        context.view.setBigUint64(offset, thunk.address, true);
        context.written = undefined;
        (this.#replaced ??= []).push(callback.target);
    }
    get keeper() {
        return this.context.lent ?? this.context.kept;
    }
    begin() {
        this.#checkBuffers();
        this.context.enterFirst(this, false);
        return this.arrive();
    }
    beginListed() {
        const { context } = this;
        this.#checkBuffers();
        context.enterFirst(this, true);
        if (context.status[0] !== 1)
            return false;
        this.result = this.#read();
        context.forgetReturned();
        return true;
    }
    arriveListed() {
        this.context.occupy();
        return this.arrive();
    }
    takeResult() {
        const { result } = this;
        this.result = undefined;
        return result;
    }
    #checkBuffers() {
        const { kept } = this.context;
        if (kept.hasBuffers && kept.isGone)
            this.#refuseBuffer();
    }
    step() {
        const handle = this.leave();
        this.context.lend();
        this.context.resume(handle);
        this.context.takeBack();
        return this.arrive();
    }
    goElsewhere() {
        const handle = this.leave();
        const { context } = this;
        context.lend();
        context.elsewhere = true;
        return context.resumeElsewhere(handle);
    }
    comeBack() {
        this.context.elsewhere = false;
        this.context.takeBack();
        return this.arrive();
    }
    leave() {
        this.check();
        if (this.keeper.isGone)
            this.#refuseBuffer();
        const { memory, handle } = this.context;
        const fault = memory.fault();
        if (fault !== undefined)
            throw new Error(`Cannot go on with ${this.callee.name}: ${fault}`);
        return handle;
    }
    check() {
        const { call, handle, elsewhere, reason: known } = this.context;
        if (call === this && handle !== null && !elsewhere)
            return;
        const reason = elsewhere ? ELSEWHERE : known ?? "the call has been ended";
        throw new Error(`Cannot go on with ${this.callee.name}: ${reason}`);
    }
    arrive() {
        const { context } = this;
        this.#endVariadic();
        if (context.status[0] !== 0)
            return this.#finish();
        if (context.memory.bottom !== undefined)
            this.#follow();
        const target = targetOf$1(context.view.getUint32(4, true));
        if (target === undefined || target.handler === undefined && !this.#isOwn(target)) {
            this.#refuseCallback(target);
        }
        this.#answered = false;
        return target;
    }
    #finish() {
        const hasReturned = this.context.status[0] === 1;
        if (hasReturned)
            this.result = this.#read();
        this.#follow();
        if (!hasReturned)
            this.check();
    }
    #follow() {
        const error = this.context.arrive(`Cannot go on with ${this.callee.name}`);
        if (error !== undefined)
            throw this.#error = error;
    }
    #isOwn(target) {
        return target.callee === this.callee && !this.#replaced?.includes(target);
    }
    #refuseCallback(target) {
        this.context.end();
        const what = `Cannot go on with ${this.callee.name}: C has called`;
        if (target === undefined) {
            throw new Error(`${what} a callback that has been closed, or is another Worker's; keep a callback open ` +
                "for as long as C knows it");
        }
        const { name } = target.callee;
        throw new Error(`${what} callback parameter ${target.parameter} of ${name}, which was passed to another ` +
            "call; what C keeps must be a Callback");
    }
    args(target) {
        const { view } = this.context;
        const { fast } = target;
        if (fast.count === 1)
            return [read(view, fast.firstAt, fast.first)];
        if (fast.count === 2) {
            return [read(view, fast.firstAt, fast.first), read(view, fast.secondAt, fast.second)];
        }
        if (target.following === undefined)
            return argumentsIn(view, target);
        this.#endVariadic();
        return (this.#variadic = new Passed(view, target, this.context.memory)).values;
    }
    #endVariadic() {
        this.#variadic?.end();
        this.#variadic = undefined;
    }
    ask(target, handler) {
        const { view } = this.context;
        const { types, offsets: at } = target;
        if (target.fast.count < 0 || types.length > 4)
            return handler(...this.args(target));
        if (types.length === 0)
            return handler();
        const first = read(view, at[0], types[0]);
        if (types.length === 1)
            return handler(first);
        const second = read(view, at[1], types[1]);
        if (types.length === 2)
            return handler(first, second);
        const third = read(view, at[2], types[2]);
        if (types.length === 3)
            return handler(first, second, third);
        return handler(first, second, third, read(view, at[3], types[3]));
    }
    reply(target, value) {
        const { resultType, what, isKept } = target;
        if (typeof value === "object" && value !== null) {
            if (this.replyByObject(target, value, this.#answered))
                return;
            refuseObject(value, what);
        }
        this.check();
        const answers = isKept ? this.keeper.answersTo(target, this.#answered) : undefined;
        this.#answered = true;
        this.#dropAnswer();
        write(this.context.view, 8, resultType, value, what, answers);
    }
    replyByObject(target, answer, isAgain) {
        const tail = tailOf(answer);
        if (tail !== undefined) {
            this.#replyByTail(tail);
            return true;
        }
        const { structResult, what, isKept } = target;
        if (structResult === undefined)
            return false;
        refuseObject(answer, what);
        const answers = isKept ? this.keeper.answersTo(target, isAgain) : undefined;
        const scratch = structResult.convert(answer, what, answers);
        this.check();
        this.#answered = true;
        this.#dropAnswer();
        structResult.put(this.context.view, scratch);
        return true;
    }
    #replyByTail(tail) {
        this.check();
        const { context } = this;
        context.written = undefined;
        const written = prepareTail(tail, this.keeper);
        this.check();
        this.#dropAnswer();
        writeTail(tail, written, context.view);
        this.#hasTail = true;
        this.#answered = true;
    }
    #dropAnswer() {
        this.#endVariadic();
        if (!this.#hasTail)
            return;
        this.context.view.setBigUint64(64, 0n, true);
        this.#hasTail = false;
    }
    #read() {
        const { resultType, structResult, errno } = this.callee;
        const { view } = this.context;
        const isFloat = resultType.kind === "float";
        const value = structResult === undefined
            ? read(view, isFloat ? 24 : 16, resultType)
            : structResult.read(view, this.#resultAddress);
        return errno ? { value, errno: view.getInt32(72, true) } : value;
    }
    end() {
        this.#refuseWhileAsking();
        let thrown;
        try {
            while (this.#tellToStop())
                this.step();
        }
        catch (error) {
            if (isExhaustion(error))
                throw error;
            thrown = error;
        }
        finally {
            this.#unwatch();
        }
        this.#endContext(thrown);
    }
    async endElsewhere() {
        let thrown;
        try {
            while (this.#tellToStop()) {
                await this.goElsewhere();
                this.comeBack();
            }
        }
        catch (error) {
            thrown = error;
        }
        finally {
            this.#unwatch();
        }
        this.#endContext(thrown);
    }
    get hasEnded() {
        return this.context.call !== this || this.context.handle === null;
    }
    frames() {
        return this.hasEnded ? [] : this.context.frames();
    }
    #tellToStop() {
        const { context } = this;
        if (this.#isWatched)
            native().watchStep();
        if (this.hasEnded || context.elsewhere || !context.isSuspended)
            return false;
        const waiting = targetOf$1(context.view.getUint32(4, true));
        if (waiting === undefined || !waiting.hasStop)
            return false;
        if (++this.#told === 1000000)
            this.#warnOfEndless();
        const { stop } = waiting;
        if (typeof stop === "function")
            this.#askToStop(waiting, stop);
        else
            this.reply(waiting, stop);
        if (this.#isWatched)
            native().watchStep();
        else if (this.#told === 1) {
            const place = context.view.getBigUint64(56, true);
            this.#isWatched = native().watchBegin(place, this.callee.address());
        }
        return true;
    }
    #unwatch() {
        if (!this.#isWatched)
            return;
        this.#isWatched = false;
        native().watchEnd();
    }
    #askToStop(waiting, stop) {
        this.#asking = depthNow();
        try {
            this.reply(waiting, this.ask(waiting, stop));
        }
        catch (error) {
            this.#error = error;
            throw error;
        }
        finally {
            this.#asking = -1;
        }
    }
    #refuseWhileAsking() {
        if (isGone(this.#asking))
            return;
        throw new Error(`Cannot end ${this.callee.name}: it is being ended, and its stop is asked what C is to be ` +
            "told; return from that first");
    }
    #warnOfEndless() {
        console.warn(`fringe: ${this.callee.name} is being ended, and has called back ${1000000} times ` +
            "since. Each time it was told its stop, and it does not return: the program waits for " +
            "it. Let stop be an answer upon which it ends, or a function that answers by " +
            "tailCall(); without a stop its frames are unwound. It is at", this.frames());
    }
    #endContext(thrown) {
        this.#endVariadic();
        try {
            if (!this.hasEnded)
                this.context.end();
        }
        finally {
            const { reason } = this.context;
            if (reason !== undefined) {
                this.interrupt?.deref()?.(new Error(`Cannot go on with ${this.callee.name}: ${reason}`));
            }
        }
        if (thrown !== undefined && thrown === this.#error)
            throw thrown;
    }
    #refuseBuffer() {
        const which = this.keeper.isArgumentGone
            ? "among its arguments"
            : "that a handler has answered";
        this.context.end();
        throw new TypeError(`Cannot go on with ${this.callee.name}: a buffer ${which} was detached while C was using ` +
            "it; transfer it after the call");
    }
}
function checkRoom({ what, stackCount, stackAlignment, nonblocking, hasThread }, size) {
    const words = stackCount * 8;
    const lent = nonblocking ? 440 + words + CAPACITY : 0;
    if (hasThread && lent > 65536) {
        throw new RangeError(`${what}: its arguments take ${words} bytes of the stack, and a call with a thread of its ` +
            `own has ${65536 - CAPACITY - 440} for them; pass the address of a struct`);
    }
    const onStack = hasThread ? 0 : lent;
    if (onStack + words + stackAlignment + 512 <= size)
        return;
    if (onStack > 0) {
        throw new RangeError(`${what}: its stack has ${size} bytes, and a nonblocking call takes ${lent} of them for ` +
            "copies of what C is passed; use a larger one");
    }
    throw new RangeError(`${what}: its stack has ${size} bytes, and ${stackCount} words of its ` +
        "arguments are passed there; use a larger one");
}

function errorAfterEnd(call, error) {
    try {
        call?.end();
    }
    catch (other) {
        if (call.hasEnded)
            return both(other, error);
    }
    return error;
}
function both(thrown, error) {
    if (isExhaustion(thrown))
        return error;
    if (isExhaustion(error))
        return thrown;
    const message = "Native code has thrown while it was ended because of an error: " +
        `${textOf(thrown)}; the error: ${textOf(error)}`;
    return new SuppressedError(thrown, error, message);
}
function textOf(error) {
    return error instanceof Error ? `${error.name}: ${error.message}` : describe(error);
}

class CallContext extends Context {
    call;
    written;
    kept = new Kept();
    lent;
    turn;
    #laid;
    #globals = null;
    prepare(subject, stackCount, nonblocking) {
        this.lookAt(subject, stackCount);
        if (!nonblocking)
            return this.#lay(subject);
        nativeStacks().registerStack?.(this.memory.base, this.memory.limit);
        this.#laid = undefined;
        this.lent = new Lent(this.memory.base, this.view);
    }
    lookAt(subject, stackCount) {
        this.written = undefined;
        this.subject = subject;
        const size = 440 + stackCount * 8;
        if (this.view === undefined || this.view.byteLength < size) {
            this.setView(callMailbox(stackCount));
            this.#laid = undefined;
        }
    }
    #lay(subject) {
        this.#globals = subject.exceptionState();
        if (this.#laid !== undefined)
            return;
        const { addressOfBuffer, callBody, init } = native();
        const { base, limit } = this.memory;
        this.#laid = init(base, callBody, addressOfBuffer(this.view), this.#globals, limit);
        this.status[0] = 1;
    }
    enterFirst(call, isListed) {
        const { call: enter } = native();
        const handle = this.#laid;
        this.call = call;
        if (!isListed) {
            layCanary(this.memory);
            this.occupy();
        }
        this.handle = handle;
        enter(handle, this.#globals);
    }
    occupy() {
        this.enter(this.subject.library);
    }
    forgetReturned() {
        this.handle = null;
    }
    beginElsewhere(call) {
        const { callBody, init } = native();
        const exceptionState = this.subject.exceptionState();
        const { base, mailbox } = this.lent;
        this.status[0] = 0;
        this.lent.lendMailbox();
        const handle = init(base, callBody, mailbox, exceptionState, this.memory.limit);
        this.call = call;
        this.occupy();
        this.handle = handle;
    }
    resume(handle) {
        native().resumeCall(handle, 0);
    }
    resumeElsewhere(handle) {
        return native().resumeElsewhere(handle, 0);
    }
    lend() {
        this.lent?.lend();
    }
    takeBack() {
        this.lent?.takeBack(440);
    }
    release() {
        if (this.handle === null)
            this.letGo();
    }
    letGo() {
        this.kept.clear();
        const { turn } = this;
        this.turn = undefined;
        turn?.pass();
        if (this.lent === undefined)
            return;
        this.lent.release();
        this.lent = undefined;
    }
    endFrames(handle) {
        this.written = undefined;
        this.unwindFrames(handle);
        this.takeBack();
    }
    unwindFrames(handle) {
        super.endFrames(handle);
    }
    endGently() {
        (this.call ?? this).end();
    }
}

let memoryIn$1;
const STACK_ALIGNMENT = 16;
class Stack {
    #memory;
    constructor(memory) {
        if (!(memory instanceof StackMemory)) {
            throw new TypeError(`Cannot make stack of ${describe(memory)}: make one with new OsStack(), new OwnedStack() ` +
                "or new SliceStack()");
        }
        this.#memory = memory;
    }
    static {
        memoryIn$1 = (stack) => #memory in stack ? stack.#memory : undefined;
    }
    get base() {
        return memoryOf$1(this).base;
    }
    get limit() {
        return memoryOf$1(this).limit;
    }
    get size() {
        return memoryOf$1(this).size;
    }
    [Symbol.dispose]() {
        memoryOf$1(this).dispose();
    }
}
function endGarbage(owner) {
    try {
        owner.endGently();
    }
    catch (error) {
        console.error(error);
    }
}
let firstShared;
class StackMemory {
    origin;
    bottom;
    released = false;
    batch;
    #base;
    #limit;
    #owner;
    #nextShared;
    #previousShared;
    constructor(base, limit, origin, bottom) {
        this.#base = base;
        this.#limit = limit;
        this.origin = origin;
        this.bottom = bottom;
    }
    get base() {
        return this.#base;
    }
    get top() {
        return this.base;
    }
    get limit() {
        return this.#limit;
    }
    get size() {
        return Number(this.base - this.limit);
    }
    place(base, limit) {
        this.#base = base;
        this.#limit = limit;
    }
    get owner() {
        return this.#owner?.isDone ? undefined : this.#owner;
    }
    fault() {
        if (this.released)
            return "the stack has been disposed of; make a new one";
        return this.origin.fault?.();
    }
    checkFree(what) {
        const fault = this.fault();
        if (fault !== undefined)
            throw new Error(`${what}: ${fault}`);
        if (this.owner !== undefined) {
            throw new Error(`${what}: another generator, or a call, is on this stack and has not finished; give each ` +
                "its own stack");
        }
        if (!this.origin.shareable)
            return;
        for (let other = firstShared; other !== undefined; other = other.#nextShared) {
            const isApart = other.limit >= this.base || this.limit >= other.base;
            if (isApart || other.owner === undefined)
                continue;
            throw new Error(`${what}: the memory of its stack overlaps that of another generator's, which has not ` +
                "finished; give each its own");
        }
    }
    own(owner) {
        if (this.#owner !== undefined)
            this.disown(this.#owner);
        if (!this.origin.guarded)
            nativeStacks().registerStack?.(this.base, this.limit);
        this.#owner = owner;
        if (!this.origin.shareable)
            return;
        this.#nextShared = firstShared;
        if (firstShared !== undefined)
            firstShared.#previousShared = this;
        firstShared = this;
    }
    disown(owner) {
        if (this.#owner !== owner)
            return;
        if (!this.origin.guarded)
            nativeStacks().deregisterStack?.(this.base, this.limit);
        this.#owner = undefined;
        if (!this.origin.shareable)
            return;
        const [next, previous] = [this.#nextShared, this.#previousShared];
        if (next !== undefined)
            next.#previousShared = previous;
        if (previous === undefined)
            firstShared = next;
        else
            previous.#nextShared = next;
        this.#nextShared = this.#previousShared = undefined;
    }
    dispose() {
        if (!this.released && this.owner !== undefined) {
            throw new Error("Cannot dispose of stack: a generator, or a call, on it has not finished; dispose of the " +
                "generator instead, which ends it and frees its stack, or await the call");
        }
        this.origin.release(this);
        this.released = true;
        this.bottom = undefined;
    }
    reclaim() {
        const { owner } = this;
        if (owner !== undefined)
            endGarbage(owner);
        this.dispose();
    }
}
const memoryOf$1 = (function memoryOf$1(stack, body) {
    const memory = typeof stack === "object" && stack !== null ? memoryIn$1(stack) : undefined;
    if (memory !== undefined)
        return memory;
    const swapped = typeof stack === "function" ||
        body instanceof Object && memoryIn$1(body) !== undefined;
    throw new TypeError(`Cannot use ${describe(stack)} as a stack: make one with new OsStack(), new OwnedStack() or ` +
        "new SliceStack() in this Worker" +
        (swapped ? ", and pass it first: new Generator(stack, body)" : ""));
});
const checkSize = (function checkSize(size, minimum, what, name = "size") {
    if (typeof size !== "number") {
        throw new TypeError(`${what}: ${name} must be a number of bytes: got ${describe(size)}`);
    }
    if (!Number.isInteger(size) || size < minimum || size > 2 ** 47) {
        throw new RangeError(`${what}: ${name} must be a whole number of bytes from ${minimum} to 2^47: got ${size}`);
    }
});

class ThreadContext extends CallContext {
    #room;
    #thread;
    constructor(stack) {
        super(memoryOf$1(stack));
        this.#room = stack.room;
        this.#thread = native().pointerTo(stack.thread);
    }
    prepare(subject, stackCount) {
        this.lookAt(subject, stackCount);
        this.lent = new Lent(this.#room, this.view);
    }
    beginElsewhere(call) {
        const exceptionState = this.subject.exceptionState();
        this.status[0] = 0;
        this.lent.lendMailbox();
        nativeThreads().layThread(this.#thread, this.lent.mailbox, exceptionState);
        this.call = call;
        this.occupy();
        this.handle = this.#thread;
    }
    resume(thread) {
        const { goThread, waitThread } = nativeThreads();
        goThread(thread);
        waitThread(thread);
    }
    resumeElsewhere(thread) {
        const { goThread, waitThreadElsewhere } = nativeThreads();
        goThread(thread);
        return waitThreadElsewhere(thread);
    }
    unwindFrames(thread) {
        nativeThreads().endThread(thread);
    }
    trace(thread) {
        return framesBy((addresses, count) => nativeThreads().traceThread(thread, addresses, count));
    }
}

class Batch {
    made = 0;
    live = 0;
}
const BATCH_SIZE = 16;
class Net {
    #registry;
    #batch = new Batch();
    constructor(finalize) {
        this.#registry = new FinalizationRegistry((kept) => {
            if (kept.batch === undefined)
                return;
            this.remove(kept);
            finalize(kept);
        });
    }
    add(object, kept) {
        let batch = this.#batch;
        if (batch.made === 16)
            batch = this.#batch = new Batch();
        this.#registry.register(object, kept, batch);
        kept.batch = batch;
        batch.made++;
        batch.live++;
    }
    remove(kept) {
        const { batch } = kept;
        if (batch === undefined)
            return;
        kept.batch = undefined;
        if (--batch.live === 0 && batch.made === 16)
            this.#registry.unregister(batch);
    }
}

const overflowOf = (function overflowOf(option, what) {
    if (option === undefined)
        return "report";
    if (option === "report" || option === "throw")
        return option;
    throw new TypeError(`${what}: overflow must be "report" or "throw": got ${describe(option)}`);
});

const net$2 = new Net((memory) => memory.reclaim());
class OsStack extends Stack {
    constructor(size = 1048576, options = {}) {
        const what = "Cannot map stack";
        checkSize(size, 0, what);
        if (typeof options !== "object" || options === null) {
            throw new TypeError(`${what}: options must be an object such as { overflow }: got ${describe(options)}`);
        }
        checkKeys(options, ["overflow"], `${what}: options`);
        const overflow = overflowOf(own(options).overflow, what);
        const mapping = new Mapping();
        const memory = memoryIn(mapping, overflow);
        super(memory);
        net$2.add(this, memory);
        map(mapping, size, overflow === "throw", `${what} of ${size} bytes`);
        memory.place(mapping.base, mapping.limit);
    }
    get guarded() {
        return true;
    }
    [Symbol.dispose]() {
        super[Symbol.dispose]();
        net$2.remove(memoryOf$1(this));
    }
}
const memoryIn = (function memoryIn(mapping, overflow) {
    return new StackMemory(0n, 0n, {
        guarded: true,
        overflow,
        shareable: false,
        release: () => unmap(mapping),
        fault: undefined,
    });
});

const COUNT_MAX = 64;
const SLAB_SIZE_MAX = 256 * 1024 * 1024;
const [COLOURS, LINE_SIZE] = [16, 64];
const PARTS = 16;
class Pool {
    size;
    overflow;
    count;
    origin;
    first;
    next;
    tops = new BigUint64Array(new ArrayBuffer(COLOURS * 8));
    mapped = 0;
    inUse = 0;
    warm = 0;
    mark = 0;
    isClosed = false;
    constructor(size, overflow) {
        this.size = size;
        this.overflow = overflow;
        let count = 64;
        while (count > 1 && count * size > SLAB_SIZE_MAX)
            count /= 2;
        this.count = count;
        this.origin = {
            guarded: true,
            overflow,
            shareable: false,
            release: (memory) => this.put(memory),
            fault: undefined,
        };
    }
    grow() {
        const slab = this.next ??= new Slab(this.count);
        const { mapping } = slab;
        if (mapping.base === 0n) {
            const { size, count } = this;
            const what = `Cannot take stack of ${size} bytes`;
            mapSlab(mapping, size, count, this.overflow === "throw", what);
        }
        slab.limit = mapping.limit;
        slab.stride = mapping.stride;
        slab.size = mapping.base - mapping.limit - BigInt(this.count - 1) * mapping.stride;
        this.#setTops(slab.size);
        slab.tops = this.tops;
        this.next = undefined;
        this.mapped += this.count;
        slab.following = this.first;
        if (this.first !== undefined)
            this.first.preceding = slab;
        return this.first = slab;
    }
    #setTops(size) {
        const step = Number(size) < 16 * COLOURS * LINE_SIZE ? 0 : LINE_SIZE;
        for (let i = 0; i < COLOURS; i++)
            this.tops[i] = size - BigInt(i * step);
    }
    give(slab, memory) {
        memory.slab = slab;
        memory.number = slab.numbers[--slab.free];
        if (slab.cold > slab.free)
            slab.cold = slab.free;
        else
            this.warm--;
        this.inUse++;
        if (this.mark < this.inUse)
            this.mark = this.inUse;
        if (slab.free > 0)
            return;
        const { following } = slab;
        this.first = following;
        if (following !== undefined)
            following.preceding = undefined;
        slab.following = undefined;
    }
    put(memory) {
        const { slab } = memory;
        if (slab === undefined)
            return;
        if (!memory.released) {
            memory.released = true;
            slab.numbers[slab.free] = memory.number;
            this.inUse--;
            this.warm++;
            const { first } = this;
            if (slab.free++ === 0) {
                slab.following = first;
                if (first !== undefined)
                    first.preceding = slab;
                this.first = slab;
            }
        }
        this.settle(slab);
    }
    settle(slab) {
        if (slab.isGone)
            return unmap(slab.mapping);
        const { count } = this;
        const used = count - slab.free;
        if ((used & used - 1) !== 0)
            return;
        const warm = slab.free - slab.cold;
        this.mark -= (this.mark - this.inUse + 255) >> 8;
        const wanted = this.isClosed ? 0 : this.mark > 0 ? this.mark : 1;
        if (used === 0 && this.mapped - count >= wanted) {
            this.#remove(slab);
            unmap(slab.mapping);
        }
        else if (warm > 0 && this.inUse + this.warm > this.mark + count) {
            nativePools().discardStacks(slab.limit, slab.stride, slab.numbers, slab.cold, slab.free);
            this.warm -= warm;
            slab.cold = slab.free;
        }
    }
    #remove(slab) {
        const { preceding, following } = slab;
        if (preceding === undefined)
            this.first = following;
        else
            preceding.following = following;
        if (following !== undefined)
            following.preceding = preceding;
        slab.preceding = slab.following = undefined;
        slab.isGone = true;
        this.mapped -= this.count;
        this.warm -= slab.free - slab.cold;
    }
    close() {
        this.isClosed = true;
        if (this.next !== undefined)
            unmap(this.next.mapping);
        for (let slab = this.first; slab !== undefined;) {
            const { following } = slab;
            this.settle(slab);
            slab = following;
        }
    }
}
class Slab {
    mapping = new Mapping();
    limit = 0n;
    stride = 0n;
    size = 0n;
    tops;
    numbers;
    free;
    cold;
    preceding;
    following;
    isGone = false;
    constructor(count) {
        this.numbers = new Uint8Array(new ArrayBuffer(count));
        for (let i = 0; i < count; i++)
            this.numbers[i] = count - 1 - i;
        this.free = this.cold = count;
    }
}
class PooledMemory extends StackMemory {
    slab;
    number = 0;
    constructor(origin) {
        super(0n, 0n, origin);
    }
    get base() {
        return this.limit + (this.slab?.size ?? 0n);
    }
    get top() {
        const { slab, limit } = this;
        return slab === undefined ? limit : limit + slab.tops[this.number % COLOURS];
    }
    get limit() {
        const { slab } = this;
        return slab === undefined ? 0n : slab.limit + BigInt(this.number) * slab.stride;
    }
}
class PooledStack extends Stack {
    get guarded() {
        return true;
    }
    [Symbol.dispose]() {
        const memory = memoryOf$1(this);
        memory.dispose();
        stacks.remove(memory);
    }
}
let stacks;
let pools;
class StackPool {
    #pool;
    constructor(options = {}) {
        const what = "Cannot make pool of stacks";
        if (typeof options !== "object" || options === null) {
            throw new TypeError(`${what}: options must be an object such as { size }: got ${describe(options)}`);
        }
        checkKeys(options, ["size", "overflow"], `${what}: options`);
        const { size = 1048576, overflow } = own(options);
        checkSize(size, 0, what);
        this.#pool = new Pool(size, overflowOf(overflow, what));
        stacks ??= new Net((memory) => memory.reclaim());
        pools ??= new FinalizationRegistry((pool) => pool.close());
        pools.register(this, this.#pool, this);
    }
    take() {
        const pool = this.#pool;
        if (pool.isClosed) {
            throw new Error("Cannot take stack: the pool has been disposed of; make a new one");
        }
        const memory = new PooledMemory(pool.origin);
        const stack = new PooledStack(memory);
        stacks.add(stack, memory);
        pool.give(pool.first ?? pool.grow(), memory);
        return stack;
    }
    [Symbol.dispose]() {
        this.#pool.close();
        pools.unregister(this);
    }
}

const net$1 = new Net((memory) => memory.reclaim());
class ThreadStack extends Stack {
    #block;
    constructor(size, overflow, what) {
        const block = new DataView(new ArrayBuffer(32));
        const memory = new StackMemory(0n, 0n, {
            guarded: true,
            overflow,
            shareable: false,
            release: () => nativeThreads().putThread(block),
            fault: undefined,
        });
        super(memory);
        this.#block = block;
        net$1.add(this, memory);
        const grant = nativeThreads().takeThread(BigInt(size), overflow === "throw", block);
        checkGrant(grant, `${what}: a thread with a stack of ${size} bytes cannot be made`);
        memory.place(this.#word(8), this.#word(16));
    }
    #word(offset) {
        return this.#block.getBigUint64(offset, true);
    }
    get thread() {
        return this.#word(0);
    }
    get room() {
        return this.#word(24);
    }
    get guarded() {
        return true;
    }
    [Symbol.dispose]() {
        super[Symbol.dispose]();
        net$1.remove(memoryOf$1(this));
    }
}

const CALL_STACK_SIZE = 8 * 1024 * 1024;
const KEPT_MAX = 64;
const SINGLE_MAX = 1024;
const SIZES_MAX = 16;
const PAGE_SIZE = 4096;
class Fiber {
    stack;
    context;
    list;
    next;
    call;
    depth = 0;
    outer;
    isKept = false;
    constructor(list, stack, context) {
        this.list = list;
        this.stack = stack;
        this.context = context;
        this.call = new Call(context);
        this.context.memory.own(this.context);
    }
}
function makeLists(size) {
    return {
        report: { size, overflow: "report", first: undefined, count: 0, pool: undefined },
        throw: { size, overflow: "throw", first: undefined, count: 0, pool: undefined },
    };
}
const kept = makeLists(CALL_STACK_SIZE);
let sized;
let singles = 0;
function listsFor(asked) {
    const size = Math.ceil(asked / 4096) * 4096;
    sized ??= new Map();
    let lists = sized.get(size);
    if (lists === undefined) {
        if (sized.size === 16)
            forgetSizes(sized);
        sized.set(size, lists = makeLists(size));
    }
    return lists;
}
function forgetSizes(all) {
    for (const lists of all.values()) {
        for (const list of [lists.report, lists.throw]) {
            for (let fiber; (fiber = list.first) !== undefined;) {
                list.first = fiber.next;
                discard(fiber);
            }
        }
    }
    all.clear();
}
function discard({ stack }) {
    stack[Symbol.dispose]();
    if (stack instanceof OsStack)
        singles--;
}
function makeFiber(list) {
    const { size, overflow } = list;
    let stack;
    if (singles < 1024) {
        stack = new OsStack(size, { overflow });
        singles++;
    }
    else
        stack = (list.pool ??= new StackPool({ size, overflow })).take();
    return new Fiber(list, stack, new CallContext(memoryOf$1(stack)));
}
function takeThread(overflow, size, what) {
    const stack = new ThreadStack(size ?? CALL_STACK_SIZE, overflow, what);
    return new Fiber(undefined, stack, new ThreadContext(stack));
}
function takeFiber(overflow, size) {
    const list = (size === undefined ? kept : listsFor(size))[overflow];
    const fiber = list.first;
    if (fiber === undefined)
        return makeFiber(list);
    list.first = fiber.next;
    list.count--;
    fiber.next = undefined;
    fiber.isKept = false;
    return fiber;
}
function putFiber(fiber) {
    const { context, list, stack } = fiber;
    if (fiber.isKept || context.handle !== null)
        return;
    context.release();
    if (list === undefined)
        return stack[Symbol.dispose]();
    if (list.count >= 64)
        return discard(fiber);
    fiber.next = list.first;
    list.first = fiber;
    list.count++;
    fiber.isKept = true;
}
class Borrower {
    context;
    batch;
    isOver = false;
    constructor(context) {
        this.context = context;
    }
    get isDone() {
        return this.isOver && this.context.handle === null;
    }
    endGently() {
        this.isOver = true;
        this.context.endGently();
    }
}
class Loan {
    stack;
    borrower;
    constructor(stack, borrower) {
        this.stack = stack;
        this.borrower = borrower;
    }
    get context() {
        return this.borrower.context;
    }
}
let borrowers;
function borrowStack(stack, what) {
    const memory = memoryOf$1(stack);
    if (!memory.origin.guarded) {
        throw new TypeError(`${what}: its stack has no guard page, so an overflow would write over other memory; use ` +
            "an OsStack");
    }
    memory.checkFree(what);
    const borrower = new Borrower(new CallContext(memory));
    const loan = new Loan(stack, borrower);
    (borrowers ??= new Net(endGarbage)).add(loan, borrower);
    memory.own(borrower);
    return loan;
}
function returnStack({ borrower }) {
    const { context } = borrower;
    if (context.handle !== null)
        return;
    context.release();
    borrower.isOver = true;
    context.memory.disown(borrower);
    borrowers.remove(borrower);
}

let innermost;
function callSync(callee, args) {
    checkCount(callee, args, callee.slots.length);
    endGone();
    const fiber = takeFiber(callee.overflow, callee.stackSize);
    const { call, context } = fiber;
    try {
        call.prepare(callee, args, "functions");
    }
    catch (error) {
        putFiber(fiber);
        throw error;
    }
    fiber.depth = -1;
    fiber.outer = innermost;
    innermost = fiber;
    try {
        if (!call.beginListed()) {
            fiber.depth = depthNow();
            for (let target = call.arriveListed(); target !== undefined; target = call.arrive()) {
                answerMany(call, args, target, false, undefined);
            }
        }
        return call.takeResult();
    }
    catch (error) {
        endInner(fiber);
        throw errorAfterEnd(call, error);
    }
    finally {
        if (innermost !== fiber)
            endInner(fiber);
        if (context.handle === null) {
            innermost = fiber.outer;
            putFiber(fiber);
        }
    }
}
const endGone = (function endGone() {
    if (late.first !== undefined)
        endLate();
    while (innermost !== undefined && isGone(innermost.depth))
        endInnermost(innermost);
});
function endInner(fiber) {
    if (fiber.isKept)
        return;
    while (innermost !== fiber && innermost !== undefined)
        endInnermost(innermost);
}
function endInnermost(fiber) {
    const thrown = [];
    try {
        fiber.context.endGently();
    }
    catch (error) {
        if (fiber.context.handle !== null)
            throw error;
        thrown.push(error);
    }
    innermost = fiber.outer;
    putFiber(fiber);
    for (const error of thrown)
        console.error(error);
}

const { input: INPUT, callback: CALLBACK } = Mailbox;
async function callAsync(callee, args) {
    const { signal, stack } = optionsOf$1(callee, args[callee.parameters.length], args.length);
    signal?.throwIfAborted();
    const { turn } = callee;
    if (turn !== undefined)
        await waitForTurn(turn, callee.name, signal);
    const place = takePlace(callee, stack);
    const call = new Call(place.context);
    try {
        call.prepare(callee, args, "functions");
        return await untilInterrupted(call, args, signal);
    }
    catch (error) {
        await endBecauseOf(call, callee, error);
        throw error;
    }
    finally {
        if (place instanceof Loan)
            returnStack(place);
        else
            putFiber(place);
    }
}
async function waitForTurn(turn, name, signal) {
    endGone();
    const ready = turn.wait(name, signal);
    if (turn.isWanted)
        void Promise.resolve().then(endGone);
    await ready;
}
function takePlace(callee, stack) {
    const { turn, hasThread, overflow, stackSize, what } = callee;
    try {
        const place = stack !== undefined
            ? borrowStack(stack, what)
            : hasThread
                ? takeThread(overflow, stackSize, what)
                : takeFiber(overflow, stackSize);
        place.context.turn = turn;
        return place;
    }
    catch (error) {
        turn?.pass();
        throw error;
    }
}
async function endBecauseOf(call, callee, error) {
    try {
        if (callee.nonblocking)
            await call.endElsewhere();
        else
            call.end();
    }
    catch (other) {
        if (call.hasEnded)
            throw both(other, error);
        await undefined;
        call.end();
    }
}
async function untilInterrupted(call, args, signal) {
    const { promise, resolve, reject } = Promise.withResolvers();
    call.interrupt = new WeakRef(reject);
    const abort = () => {
        if (!call.context.elsewhere)
            reject(signal.reason);
    };
    signal?.addEventListener("abort", abort, { once: true });
    try {
        const answerAll = call.callee.nonblocking ? answerElsewhere : answerHere;
        answerAll(call, args, signal).then(resolve, reject);
        return await promise;
    }
    finally {
        signal?.removeEventListener("abort", abort);
    }
}
async function answerHere(call, args, signal) {
    const { resumeCall } = native();
    const { context } = call;
    const { view, kept: keeper } = context;
    let target = call.begin();
    if (target === undefined)
        return call.takeResult();
    let handler = handlerOf(target, args);
    let known = view.getUint32(4, true);
    let plain = 0;
    for (;;) {
        signal?.throwIfAborted();
        let answer;
        if (plain < 1000) {
            const { fast } = target;
            answer = fast.count === 1
                ? handler(read(view, fast.firstAt, fast.first))
                : call.ask(target, handler);
            plain++;
            if (isThenable(answer)) {
                answer = await answer;
                plain = 0;
            }
        }
        else {
            const deferred = answerMany(call, args, target, true, signal);
            target = deferred === undefined ? call.arrive() : deferred.target;
            if (target === undefined)
                return call.takeResult();
            handler = handlerOf(target, args);
            known = view.getUint32(4, true);
            if (deferred === undefined)
                continue;
            answer = await deferred.promise;
            plain = 0;
        }
        signal?.throwIfAborted();
        const { resultType, what, isKept } = target;
        if (typeof answer !== "object" || answer === null || !call.replyByObject(target, answer, false)) {
            if (typeof answer === "object" && answer !== null)
                refuseObject(answer, what);
            call.check();
            const answers = isKept ? keeper.answersTo(target, false) : undefined;
            write(view, 8, resultType, answer, what, answers);
        }
        const { handle } = context;
        const number = resumeCall(handle === null || keeper.hasBuffers ? call.leave() : handle, 0);
        if (number !== known || target.closed) {
            target = call.arrive();
            if (target === undefined)
                return call.takeResult();
            handler = handlerOf(target, args);
            known = number;
        }
    }
}
async function answerElsewhere(call, args, signal) {
    if (!hasStack(32))
        await undefined;
    for (;;) {
        await call.goElsewhere();
        const target = call.comeBack();
        if (target === undefined)
            return call.takeResult();
        signal?.throwIfAborted();
        let answer = call.ask(target, handlerOf(target, args));
        if (isThenable(answer))
            answer = await answer;
        signal?.throwIfAborted();
        call.reply(target, answer);
    }
}
const NO_OPTIONS = {};
function optionsOf$1(callee, options, given) {
    const expected = callee.parameters.length;
    if (given !== expected + 1) {
        checkCount(callee, { length: given }, expected);
        return NO_OPTIONS;
    }
    checkOpen(callee.library, callee.what);
    if (options === undefined)
        return NO_OPTIONS;
    const what = `Cannot call ${callee.name}: what follows its ${expected} arguments must be ` +
        "options such as { signal }";
    if (typeof options !== "object" || options === null || options instanceof AbortSignal) {
        throw new TypeError(`${what}: got ${describe(options)}`);
    }
    if (options instanceof AbortController)
        return { signal: followed(options.signal, what) };
    checkKeys(options, ["signal", "stack"], what);
    const { signal, stack } = own(options);
    if (stack !== undefined && callee.hasThread) {
        throw new TypeError(`${callee.what}: it is declared as nonblocking: "thread", and runs on that thread's own ` +
            "stack; leave the stack out, and say by stackSize how large it is to be");
    }
    return {
        signal: signal === undefined ? undefined : followed(signal, what),
        stack: stack,
    };
}
function followed(signal, what) {
    try {
        return AbortSignal.any([signal]);
    }
    catch (cause) {
        if (isExhaustion(cause))
            throw cause;
        throw new TypeError(`${what}, with an AbortSignal: got ${describe(signal)}`, { cause });
    }
}

class PulledBody {
    #callee;
    #args;
    constructor(callee, args) {
        this.#callee = callee;
        this.#args = args;
    }
    get name() {
        return this.#callee.name;
    }
    start(scope) {
        return callPulled(scope, this.#callee, this.#args);
    }
}
function* callPulled(scope, callee, args) {
    checkCount(callee, args, callee.plainCount);
    refuseNonblocking(callee);
    const call = scope.open(callee, placed(callee, args), "puller");
    const { context } = call;
    let offer;
    try {
        const { resumeCall } = native();
        let target = call.begin();
        let known = -1;
        while (target !== undefined) {
            const kept = target.handler;
            if (kept === undefined) {
                offer = new Offer(call, target);
                yield offer;
                offer.close();
            }
            else {
                const answer = call.ask(target, kept);
                call.reply(target, isScriptGenerator(answer) ? yield* answer : answer);
            }
            const isPlain = context.handle !== null && !context.kept.hasBuffers && !target.isKept;
            const number = resumeCall(isPlain ? context.handle : call.leave(), 0);
            if (number !== known || target.closed || !isPlain) {
                target = call.arrive();
                known = number;
            }
        }
        return call.takeResult();
    }
    catch (error) {
        if (error instanceof RangeError && error.message === EXHAUSTED)
            scope.hasLost = true;
        throw scope.fail(call, error);
    }
    finally {
        offer?.end();
        scope.close(call);
    }
}
function placed({ slots }, args) {
    const rest = args.values();
    return slots.map(({ callback }) => callback === undefined ? rest.next().value : undefined);
}
class Offer {
    parameter;
    args;
    reply = (value) => this.#reply(value);
    #call;
    #target;
    #isReplied = false;
    #isReplying = false;
    #isOver = false;
    constructor(call, target) {
        this.parameter = target.parameter;
        this.args = call.args(target);
        this.#call = call;
        this.#target = target;
    }
    #reply(value) {
        const { name } = this.#call.callee;
        if (this.#isOver) {
            throw new Error(`Cannot answer ${name}: C has gone on; reply before the next call is pulled`);
        }
        if (this.#isReplied) {
            throw new Error(`Cannot answer ${name}: callback parameter ${this.parameter} has an answer already, ` +
                "and C gets one; call reply() once");
        }
        if (this.#isReplying) {
            throw new Error(`Cannot answer ${name}: callback parameter ${this.parameter} is being answered, and this ` +
                "is called by a getter of the answer; pass plain values");
        }
        this.#isReplying = true;
        try {
            this.#call.reply(this.#target, value);
            this.#isReplied = true;
        }
        finally {
            this.#isReplying = false;
        }
    }
    end() {
        this.#isOver = true;
    }
    close() {
        this.#isOver = true;
        const target = this.#target;
        if (this.#isReplied || target.result === "void")
            return;
        const call = this.#call;
        call.check();
        throw new Error(`Cannot go on with ${call.callee.name}: callback parameter ${this.parameter} has not been ` +
            `answered, and C needs a result of type ${target.result}; call reply(value) first`);
    }
}

class Turn {
    #holder;
    #waiting = [];
    take(name, what) {
        if (this.#holder !== undefined) {
            throw new Error(`${what}: it is exclusive, and ${this.#holder} of the same library is under way; call it ` +
                "by .async(), which waits for its turn, or end the other call first");
        }
        this.#holder = name;
    }
    async wait(name, signal) {
        if (this.#holder === undefined) {
            this.#holder = name;
            return;
        }
        const { promise, resolve, reject } = Promise.withResolvers();
        const waiting = { name, begin: resolve };
        const abort = () => {
            const place = this.#waiting.indexOf(waiting);
            if (place < 0)
                return;
            this.#waiting.splice(place, 1);
            reject(signal.reason);
        };
        this.#waiting.push(waiting);
        signal?.addEventListener("abort", abort, { once: true });
        try {
            await promise;
        }
        finally {
            signal?.removeEventListener("abort", abort);
        }
        if (!signal?.aborted)
            return;
        this.pass();
        throw signal.reason;
    }
    get isWanted() {
        return this.#waiting.length > 0;
    }
    pass() {
        const next = this.#waiting.shift();
        this.#holder = next?.name;
        next?.begin();
    }
}
const turns = new Map();
function turnOf(pointer) {
    const block = new DataView(new ArrayBuffer(32));
    native().symbol(native().addressOfPointer(pointer), block);
    const module = block.getBigUint64(24, true);
    let turn = turns.get(module);
    if (turn === undefined)
        turns.set(module, turn = new Turn());
    return turn;
}

class Scope {
    running = false;
    isOver = false;
    hasLost = false;
    nextLate;
    batch;
    waiting = 0;
    untold = 0;
    lastMade;
    #own;
    #throws;
    #calls = new Map();
    constructor(memory) {
        this.#throws = memory?.origin.overflow === "throw";
        if (memory !== undefined)
            this.#own = new CallContext(memory);
    }
    open(callee, args, answering) {
        if (!this.running) {
            throw new Error(`Cannot call ${callee.name}: the generator of this yielder is not running its body`);
        }
        endGone();
        const own = this.#own;
        if (own !== undefined && own.handle === null) {
            const fault = own.memory.fault();
            if (fault !== undefined)
                throw new Error(`${callee.what}: ${fault}`);
            const call = new Call(own);
            call.prepare(callee, args, answering);
            this.#calls.set(call, undefined);
            return call;
        }
        const fiber = takeFiber(this.#throws ? "throw" : callee.overflow, callee.stackSize);
        try {
            const call = new Call(fiber.context);
            call.prepare(callee, args, answering);
            this.#calls.set(call, fiber);
            return call;
        }
        catch (error) {
            putFiber(fiber);
            throw error;
        }
    }
    close(call) {
        if (this.hasLost) {
            for (const thrown of this.#endLater(call))
                console.error(thrown);
            this.hasLost = false;
        }
        call.end();
        const fiber = this.#calls.get(call);
        if (fiber !== undefined)
            putFiber(fiber);
        else if (call.context === this.#own)
            this.#own.release();
        this.#calls.delete(call);
    }
    fail(call, error) {
        try {
            this.close(call);
        }
        catch (other) {
            if (call.hasEnded)
                return both(other, error);
        }
        return error;
    }
    endGently() {
        this.isOver = true;
        const thrown = this.#endLater(undefined);
        this.#calls.clear();
        if (thrown.length > 0)
            throw thrown[0];
    }
    #endLater(call) {
        const thrown = [];
        for (const later of [...this.#calls.keys()].reverse()) {
            if (later === call)
                break;
            try {
                later.end();
            }
            catch (error) {
                if (!later.hasEnded)
                    throw error;
                thrown.push(error);
            }
        }
        return thrown;
    }
    get isDone() {
        if (!this.isOver)
            return false;
        for (const call of this.#calls.keys())
            if (!call.hasEnded)
                return false;
        return true;
    }
    frames() {
        return [...this.#calls.keys()].reverse().flatMap((call) => call.frames());
    }
}

const Step = { next: 0, return: 1, throw: 2 };
const STUCK = "Generator is already running";
class Interrupted extends Error {
    constructor(cause) {
        super("Cannot resume generator: its body was interrupted while it ran (as a timeout of node:vm " +
            "does), and V8 does not go on with such a body; make a new generator", { cause });
    }
}
class ScriptMachine {
    scope;
    #start;
    #machine;
    #depth = 0;
    #wasCut = false;
    #isLeft = false;
    isFinished = false;
    failure;
    constructor(memory, start) {
        this.scope = new Scope(memory);
        this.#start = start;
    }
    get hasBegun() {
        return this.#machine !== undefined;
    }
    get isRunning() {
        if (!this.scope.running)
            return false;
        if (!isGone(this.#depth))
            return true;
        this.scope.running = false;
        this.#wasCut = true;
        return false;
    }
    advance(step, value) {
        const { scope } = this;
        this.#depth = depthNow();
        let exhausted;
        for (;;) {
            let result;
            scope.running = true;
            try {
                const machine = this.#machine;
                if (machine === undefined)
                    result = this.#begin(value);
                else if (step === 0)
                    result = machine.next(value);
                else if (step === 1)
                    result = machine.return(value);
                else
                    result = machine.throw(value);
            }
            catch (error) {
                scope.running = false;
                if (step === 2 && error === value)
                    throw this.#fail(exhausted ?? error);
                if (!(error instanceof RangeError) || error.message !== EXHAUSTED)
                    throw this.#fail(error);
                if (exhausted !== undefined)
                    throw exhausted;
                exhausted = error;
                continue;
            }
            scope.running = false;
            if (!result.done) {
                if (scope.waiting === 0)
                    return result;
                let error;
                try {
                    error = missingStar(scope, result.value);
                }
                catch {
                }
                if (error === undefined)
                    return result;
                step = 2;
                value = error;
                exhausted = undefined;
                continue;
            }
            this.finish();
            if (exhausted === undefined) {
                return scope.untold > 0 && !this.#isLeft ? this.#failForgetful() : result;
            }
            this.failure = { error: exhausted };
            throw exhausted;
        }
    }
    return(value) {
        this.#isLeft = true;
        if (this.#machine !== undefined && !this.isFinished) {
            try {
                return this.advance(1, value);
            }
            catch (error) {
                if (!(error instanceof Interrupted))
                    throw error;
            }
        }
        this.finish();
        return { value, done: true };
    }
    #failForgetful() {
        const { untold, lastMade } = this.scope;
        const call = untold === 1 && lastMade?.isUntold ? lastMade.description : "a call";
        const error = new TypeError(`Cannot end generator: its body has returned, and ${call} never began; ` +
            "write yield* before yielder.call()");
        this.failure = { error };
        throw error;
    }
    #begin(input) {
        const machine = this.#start(this.scope, input);
        if (!isScriptGenerator(machine)) {
            throw new TypeError(`Cannot resume generator: the body returned ${describe(machine)}`);
        }
        this.#machine = machine;
        return this.#machine.next(input);
    }
    #fail(error) {
        const isStuck = this.#wasCut && error instanceof TypeError && error.message === STUCK;
        const failure = isStuck ? new Interrupted(error) : error;
        this.failure = { error: failure };
        this.finish();
        return failure;
    }
    finish() {
        const { scope } = this;
        if (this.isFinished)
            return;
        this.isFinished = true;
        scope.isOver = true;
        scope.nextLate = late.first;
        late.first = scope;
    }
}

function makeCall(scope, callee, args) {
    const made = new MadeCall(scope, callee.name);
    return made.mark(callScript(scope, callee, args, made));
}
function* callScript(scope, callee, args, made) {
    made.begin();
    checkCount(callee, args, callee.parameters.length);
    refuseNonblocking(callee);
    const call = scope.open(callee, args, "generators");
    try {
        for (let target = call.begin(); target !== undefined; target = call.step()) {
            const answer = call.ask(target, handlerOf(target, args));
            call.reply(target, isScriptGenerator(answer) ? yield* answer : answer);
        }
        return call.takeResult();
    }
    catch (error) {
        if (error instanceof RangeError && error.message === EXHAUSTED)
            scope.hasLost = true;
        throw scope.fail(call, error);
    }
    finally {
        scope.close(call);
    }
}
const { apply } = Reflect;
for (const name of ["return", "throw"]) {
    const end = callScript.prototype[name];
    const traps = own({
        apply(_, generator, args) {
            noteEnd(generator);
            return apply(end, generator, args);
        },
    });
    Object.defineProperty(callScript.prototype, name, own({ value: new Proxy(end, traps) }));
}

const makeYielder = (function makeYielder(scope) {
    const call = (f, ...args) => makeCall(scope, calleeOf(f), args);
    return Object.freeze({ call });
});

const net = new Net(endGarbage);
const RUNNING = "it is running; a body, and whatever it calls, cannot resume or end its own generator";
class Unguarded {
    stack;
    constructor(stack) {
        this.stack = stack;
    }
}
const { u32: U32_ENTRY, i32: I32_ENTRY, word: WORD_ENTRY } = Entry;
const { mailbox: MAILBOX, pointer: POINTER } = Entry;
const SUSPENDED = 0;
const FIRST = (8 - 0) / 4;
const { void: VOID, int: INT, u32: U32, bool: BOOL } = Way;
const { f32: F32, f64: F64, i64: I64, address: ADDRESS } = Way;
function takeResume() {
    const { prototype } = Context;
    if (Object.hasOwn(prototype, "resumeU32"))
        return;
    const library = native();
    for (const name of ["resumeI32", "resumePointer", "resumeToPointer", "resumeU32"]) {
        Object.defineProperty(prototype, name, own({ value: library[name] }));
    }
}
let noContext;
const contextOfNone = (function contextOfNone() {
    return noContext ??= new Context(new StackMemory(0n, 0n, {
        guarded: true,
        overflow: "report",
        shareable: false,
        release() { },
        fault: undefined,
    }));
});
class Generator extends Iterator {
    #context;
    #symbol;
    #machine;
    #named;
    #memory;
    #stack;
    #failure;
    constructor(stack, body) {
        super();
        const what = "Cannot make generator";
        const unguarded = stack instanceof Unguarded;
        const pulled = body instanceof PulledBody;
        const own = unguarded ? stack.stack : stack;
        const memory = pulled ? undefined : memoryOf$1(own, body);
        if (memory !== undefined && !memory.origin.guarded && !unguarded) {
            throw new TypeError(`${what}: the stack has no guard page, so an overflow would write over other memory; use ` +
                "an OsStack, or Generator.unguarded(stack, body) to take the risk");
        }
        const symbol = symbolOf(body);
        if (symbol === undefined && !pulled)
            checkScript(body);
        endGone();
        if (symbol !== undefined)
            checkOpen(symbol.library, what);
        memory?.checkFree(what);
        this.#memory = memory;
        this.#stack = pulled ? undefined : own;
        this.#symbol = symbol;
        this.#named = symbol ?? body;
        this.#context = symbol === undefined ? contextOfNone() : new Context(memory, symbol.idle);
        this.#machine = symbol === undefined ? machineOf(body, memory) : undefined;
        const owner = this.#owner;
        if (symbol !== undefined)
            takeResume();
        net.add(this, owner);
        memory?.own(owner);
        if (symbol !== undefined)
            this.#context.begin(symbol.pointer, symbol);
    }
    static unguarded(stack, body) {
        return new Generator(new Unguarded(stack), body);
    }
    resume(input) {
        return this.#run(input);
    }
    #run(input) {
        const context = this.#context;
        const { entry } = context;
        other: if (typeof input === "number") {
            if (entry === 1) {
                const word = input >>> 0;
                if (word !== input)
                    break other;
                const output = context.resumeU32(context.handle, word);
                if (context.status[context.at] === 0)
                    return output;
            }
            else if (entry === 2) {
                const word = input | 0;
                if (word !== input)
                    break other;
                const output = context.resumeI32(context.handle, word);
                if (context.status[context.at] === 0)
                    return output;
            }
            else if (entry === 3) {
                const { inputMask: mask, inputSign: sign } = this.#symbol;
                const word = ((input & mask) ^ sign) - sign | 0;
                if (word !== input)
                    break other;
                const output = context.resumeI32(context.handle, word);
                if (context.status[context.at] === 0) {
                    return (((output & mask) ^ sign) - sign | 0);
                }
            }
            else
                break other;
            return this.#leave();
        }
        return entry === 4 ? this.#enter(input) : this.#resume(input);
    }
    get state() {
        const machine = this.#machine;
        if (machine === undefined)
            return this.#context.isSuspended ? "runnable" : "unavailable";
        return machine.isFinished || machine.isRunning ? "unavailable" : "runnable";
    }
    unwrap() {
        const stack = this.#stack;
        if (!this.#owner.isDone) {
            throw new Error(`Cannot unwrap generator: state is ${this.state} and the body has not finished; resume ` +
                "it to its end, or end it with return()");
        }
        if (stack === undefined) {
            throw new Error("Cannot unwrap generator: its stack has been handed back before, or was one of the pool's");
        }
        this.#stack = undefined;
        return stack;
    }
    backtrace() {
        return this.#owner.frames();
    }
    fill(array) {
        const what = "Cannot fill array";
        const symbol = this.#symbol;
        if (symbol === undefined) {
            throw new TypeError(`${what}: the body is TypeScript, whose outputs are any values; use for…of`);
        }
        if (symbol.input.way !== 0) {
            throw new TypeError(`${what}: the body takes an input of type ${symbol.input.name} each time; use resume()`);
        }
        const { name, size, kind } = symbol.output;
        const holds = arrayFor(symbol.output);
        if (holds === undefined)
            throw new TypeError(`${what}: the body gives no values`);
        if (nameOf$1(array) !== holds) {
            throw new TypeError(`${what}: it must be of class ${holds}, as the outputs are of type ${name}: got ${describe(array)}`);
        }
        const bytes = bytesOf(array, `${what}: it`);
        const count = bytes.length / size;
        if (count > 0xffff_ffff) {
            throw new RangeError(`${what}: it has more than 2^32 - 1 elements; fill a part of it`);
        }
        if (count === 0 || !this.#mayEnter())
            return 0;
        return this.#fill(bytes, count, size, kind === "word");
    }
    #fill(bytes, count, size, areWords) {
        const context = this.#context;
        const { fill } = native();
        const filled = fill(context.handle, bytes, count, size, areWords);
        try {
            if (context.status[context.at] !== 0 || isOverrun(context.memory))
                this.#leave();
        }
        catch (error) {
            if (this.#failure !== undefined)
                throw error;
        }
        return filled;
    }
    next(input) {
        if (this.#machine !== undefined)
            return this.#advance(this.#machine, 0, input);
        const context = this.#context;
        if (context.isDone && context.reason === undefined) {
            return { value: undefined, done: true };
        }
        const result = { value: undefined, done: false };
        result.value = context.entry === 4
            ? this.#enter(input)
            : this.#run(input);
        if (context.handle === null)
            result.done = true;
        return result;
    }
    return(value) {
        const machine = this.#machine;
        let result = { value, done: true };
        if (machine !== undefined) {
            if (machine.isRunning)
                throw new TypeError(`Cannot end generator: ${RUNNING}`);
            try {
                result = machine.return(value);
            }
            finally {
                if (machine.isFinished)
                    this.#end();
            }
        }
        else
            this.#end();
        return result;
    }
    throw(error) {
        const machine = this.#machine;
        if (machine !== undefined) {
            if (machine.isRunning)
                throw new TypeError(`Cannot throw into generator: ${RUNNING}`);
            if (machine.hasBegun && !machine.isFinished) {
                return this.#advance(machine, 2, error);
            }
        }
        const failure = { error };
        if (!this.#owner.isDone) {
            if (machine !== undefined)
                machine.return(undefined);
            this.#end();
            this.#failure = failure;
        }
        throw error;
    }
    [Symbol.iterator]() {
        return this;
    }
    [Symbol.dispose]() {
        const machine = this.#machine;
        try {
            this.return(undefined);
            machine?.finish();
        }
        finally {
            const isOver = this.#owner.isDone || machine?.isFinished;
            try {
                if (isOver)
                    this.#end();
            }
            finally {
                if (isOver && this.#owner.isDone)
                    this.#stack?.[Symbol.dispose]();
            }
        }
    }
    get [Symbol.toStringTag]() {
        return "Generator";
    }
    [Symbol.for("Deno.customInspect")]() {
        if (!(#named in this))
            return "Generator {}";
        const { name } = this.#named;
        const shown = typeof name === "string" && name !== "" ? name : "(anonymous)";
        return `Generator { ${shown}: ${this.state} }`;
    }
    #resume(input) {
        const machine = this.#machine;
        if (machine !== undefined) {
            this.#checkFailure(machine.failure ?? this.#failure);
            const { value, done } = this.#advance(machine, 0, input);
            return done ? undefined : value;
        }
        const context = this.#context;
        const symbol = this.#symbol;
        const { entry } = symbol;
        const { at, status } = context;
        const isChecked = context.entry === 5;
        let word = 0;
        if (!isChecked) {
            if (!this.#mayEnter())
                return undefined;
            if (symbol.input.kind === "word")
                status[at + FIRST] = word = pass(context, symbol, input);
        }
        let output;
        if (entry === 1)
            output = context.resumeU32(context.handle, word >>> 0);
        else if (entry === 2)
            output = context.resumeI32(context.handle, word);
        else if (entry !== 5) {
            output = this.#enter(input);
            if (context.handle === null)
                return output;
        }
        else if (symbol.takes !== 8) {
            output = context.resumeToPointer(context.handle, pass(context, symbol, input));
        }
        else {
            try {
                output = context.resumePointer(context.handle, input);
            }
            catch (error) {
                pass(context, symbol, input);
                throw error;
            }
        }
        if (status[at] !== 0)
            return this.#leave();
        if (isChecked)
            return output;
        const { memory } = context;
        if (memory.origin.guarded) {
            context.entry = entry;
            return output;
        }
        let isWhole;
        try {
            isWhole = !isOverrun(memory);
        }
        catch {
            isWhole = true;
        }
        return isWhole ? output : this.#leave();
    }
    #mayEnter() {
        const { memory, reason, handle } = this.#context;
        if (handle === null) {
            if (reason !== undefined)
                throw new Error(`Cannot resume generator: ${reason}`);
            this.#checkFailure(this.#failure);
            return false;
        }
        const fault = memory.fault();
        if (fault !== undefined)
            throw new Error(`Cannot resume generator: ${fault}`);
        if (!memory.origin.guarded && isOverrun(memory))
            this.#leave();
        return true;
    }
    #checkFailure(failure) {
        if (failure === undefined)
            return;
        throw new Error("Cannot resume generator: its body has failed; unwrap() gives its stack back for a new one", { cause: failure.error });
    }
    #enter(input) {
        const context = this.#context;
        const symbol = this.#symbol;
        const word = pass(context, symbol, input);
        const result = context.resumeI32(context.handle, word);
        const { at } = context;
        if (context.status[at] !== 0)
            return this.#leave();
        const { gives } = symbol;
        if (gives >= 4) {
            const { boxes } = context;
            if (gives === 5)
                return boxes.toF64[at >> 1];
            if (gives === 4)
                return boxes.toF32[at];
            return (gives === 6 ? boxes.toI64 : boxes.toU64)[at >> 1];
        }
        if (gives === 1) {
            const { outputSign: sign } = symbol;
            return (((result & symbol.outputMask) ^ sign) - sign | 0);
        }
        if (gives === 2)
            return (result >>> 0);
        return (gives === 3 ? (result & 0xff) !== 0 : undefined);
    }
    #advance(machine, step, value) {
        if (machine.scope.running && machine.isRunning) {
            throw new TypeError(`Cannot resume generator: ${RUNNING}`);
        }
        if (machine.isFinished) {
            this.#end();
            return { value: undefined, done: true };
        }
        const fault = this.#memory?.fault();
        if (fault !== undefined)
            throw new Error(`Cannot resume generator: ${fault}`);
        let result;
        try {
            result = machine.advance(step, value);
        }
        finally {
            if (machine.isFinished)
                this.#end();
        }
        return result;
    }
    get #owner() {
        return this.#machine?.scope ?? this.#context;
    }
    #end() {
        try {
            this.#owner.endGently();
        }
        catch (error) {
            if (this.#owner.isDone)
                this.#failure = { error };
            throw error;
        }
        finally {
            this.#finish();
        }
    }
    #leave() {
        const error = this.#context.arrive("Cannot resume generator");
        if (error !== undefined)
            this.#failure = { error };
        this.#finish();
        if (error !== undefined)
            throw error;
        const { reason } = this.#context;
        if (reason !== undefined)
            throw new Error(`Cannot resume generator: ${reason}`);
    }
    #finish() {
        const owner = this.#owner;
        if (!owner.isDone)
            return;
        if (this.#machine !== undefined)
            takeOffLate(this.#machine.scope);
        this.#memory?.disown(owner);
        net.remove(owner);
    }
}
const machineOf = (function machineOf(body, memory) {
    if (body instanceof PulledBody) {
        return new ScriptMachine(undefined, (scope) => body.start(scope));
    }
    const script = body;
    return new ScriptMachine(memory, (scope, input) => script(makeYielder(scope), input));
});
function pulledGenerator(body) {
    return new Generator(undefined, body);
}
const checkScript = (function checkScript(body) {
    if (isGeneratorFunction(body))
        return;
    if (isFunction(body)) {
        throw new TypeError(`Cannot make generator: ${describe(body)} is a C function, and no body; .calls() makes a ` +
            "generator of it, or a function* calls it by yielder.call()");
    }
    if (typeof body === "function") {
        throw new TypeError(`Cannot make generator: ${describe(body)} is no generator function. V8 keeps the frames of ` +
            "a plain or async function on the thread's stack, where nothing can suspend them; write " +
            "function* and yield" +
            (isAsyncFunction(body) ? ", and yield a Promise to the resumer, which can await it" : ""));
    }
    throw new TypeError("Cannot make generator: the body must be a generator function (function*), or a native body " +
        `that dlopen has given in this Worker: got ${describe(body)}` +
        (isScriptGenerator(body) ? "; pass the function* itself, and do not call it" : ""));
});

function dlopen(filename, definitions) {
    checkFilename(filename);
    const known = copy(definitions);
    const names = Object.keys(known);
    for (const name of names)
        checkDefinition(name, known[name]);
    const table = Object
        .create(null);
    for (const name of names) {
        const { name: symbol = name, optional = false } = known[name];
        table[name] = own({ name: symbol, type: "pointer", optional });
    }
    native();
    needStack(8);
    const opened = open(filename, table);
    native().installOverflow();
    const library = { filename: String(filename), closed: false, latest: undefined };
    const symbols = Object.create(null);
    const thunks = [];
    for (const name of names) {
        const pointer = opened.symbols[name];
        const definition = known[name];
        symbols[name] = pointer === null
            ? null
            : "type" in definition
                ? variable(definition.type, pointer)
                : symbol(name, definition, pointer, library, thunks);
    }
    const close = () => closeLibrary(library, thunks, opened);
    return Object.freeze({
        symbols: Object.freeze(symbols),
        close,
        [Symbol.dispose]: close,
    });
}
function closeLibrary(library, thunks, opened) {
    if (library.closed)
        return;
    const name = describe(library.filename);
    if (isElsewhere(library)) {
        throw new Error(`Cannot close ${name}: a nonblocking function of it is running on another thread; await ` +
            "its Promise first");
    }
    needStack(8);
    endGone();
    const thrown = endAll(library, `${name} has been closed, which ended it; close it later`);
    if (!library.closed) {
        for (const thunk of thunks)
            putThunk(thunk);
        opened.close();
        library.closed = true;
    }
    if (thrown.length > 0)
        throw thrown[0];
}
function variable(of, pointer) {
    const shape = shapeOf(of, "");
    if (shape !== undefined) {
        const bytes = new DataView(new ArrayBuffer(shape.size));
        native().copyIn(bytes, native().addressOfPointer(pointer), BigInt(shape.size));
        return readShape(bytes, 0, shape);
    }
    const type = typeOf$1(of);
    if (type.kind === "address")
        return pointer;
    const slot = new DataView(new ArrayBuffer(8));
    native().copyIn(slot, native().addressOfPointer(pointer), BigInt(type.size));
    return read(slot, 0, type);
}
function symbol(name, definition, pointer, library, thunks) {
    const subject = { name, library, exceptionState: once(() => native().exceptionState(pointer)) };
    if ("input" in definition) {
        return makeBody(definition.input, definition.output, pointer, subject);
    }
    const slots = [];
    const types = definition.parameters.map((type) => isCallback(type) ? "callback" : type);
    const callee = {
        ...signatureOf(types, definition.result, FUNCTION, definition.variadic),
        ...subject,
        what: `Cannot call ${name}`,
        address: once(() => {
            if (definition.nonblocking) {
                native().pin(pointer);
                native().pin(native().callBody);
            }
            return native().addressOfPointer(pointer);
        }),
        slots,
        plainCount: types.filter((type) => type !== "callback").length,
        nonblocking: definition.nonblocking !== undefined && definition.nonblocking !== false,
        hasThread: definition.nonblocking === "thread",
        errno: definition.errno === true,
        turn: definition.exclusive === true ? turnOf(pointer) : undefined,
        overflow: definition.overflow ?? "report",
        stackSize: definition.stackSize,
    };
    for (const [i, parameter] of definition.parameters.entries()) {
        slots.push({
            type: callee.types[i],
            offset: callee.offsets[i],
            what: `Cannot call ${name}: argument ${i}`,
            callback: isCallback(parameter)
                ? callbackParameter(callee, i, parameter.callback, thunks)
                : undefined,
        });
    }
    const f = callee.nonblocking
        ? (...args) => callAsync(callee, args)
        : (...args) => callSync(callee, args);
    Object.defineProperty(f, "name", own({ value: name }));
    return makeFunction(Object.assign(f, {
        async: (...args) => callAsync(callee, args),
        calls: (...args) => pulledGenerator(new PulledBody(callee, args)),
    }), callee);
}
function callbackParameter(callee, i, callback, thunks) {
    const { name } = callee;
    const target = {
        ...callbackSignature(callback, `Cannot open symbol ${name}: parameter ${i}`),
        callee,
        parameter: i,
        handler: undefined,
        isForeign: false,
        what: `Cannot answer ${name}: the result of callback parameter ${i}`,
        closed: false,
    };
    const thunk = once(() => {
        const taken = takeThunk(target);
        thunks.push(taken);
        return taken;
    });
    return { target, thunk };
}
const open = (function open(filename, table) {
    try {
        return Deno.dlopen(filename, table);
    }
    catch (error) {
        if (!(error instanceof Error) || error.constructor !== Error)
            throw error;
        throw new Error(`${error.message}; ${hintFor(error.message, filename)}`, { cause: error });
    }
});
function hintFor(message, filename) {
    if (message.startsWith("Failed to register symbol")) {
        return "`nm -D` lists what a library has; a function is there under its own name if it has " +
            'the linkage of C (extern "C" in C++ and Rust, export in Zig); where the key in the table ' +
            "is another, `name` says it";
    }
    if (typeof filename === "string" && /^file:/i.test(filename)) {
        return "a string is a path, and this is an address: pass new URL(…)";
    }
    if (typeof filename === "string" && /^https?:/i.test(filename)) {
        return "a string is a path, and this is an address of the Web: download the library first";
    }
    if (message.includes("No such file")) {
        return "a path is relative to the working directory, or absolute; a name without a slash is " +
            "looked for where the system has its libraries, and needs its version (libsqlite3.so.0)";
    }
    return "it must be a shared library for this system, and so must those that it needs (`ldd`)";
}
function checkFilename(filename) {
    if (typeof filename !== "string" && !(filename instanceof URL)) {
        throw new TypeError(`Cannot open library: filename must be a string or a file URL: got ${describe(filename)}`);
    }
    if (filename instanceof URL && filename.protocol !== "file:") {
        throw new TypeError(`Cannot open library: filename must be a string or a file URL: got ${describe(filename.href)}; a library is opened from a file, so download it first`);
    }
    if (typeof filename === "string" && filename.includes("\0")) {
        throw new TypeError(`Cannot open library: filename must not contain the character U+0000: got ${describe(filename)}`);
    }
}
function once(make) {
    let made;
    return () => made === undefined ? made = make() : made;
}
function copy(definitions) {
    if (!isTable(definitions)) {
        throw new TypeError(`Cannot open library: the definitions must be an object: got ${describe(definitions)}; ` +
            "write { symbol: definition, … }");
    }
    return Object.fromEntries(Object.entries(definitions).map(([name, definition]) => {
        const copied = copyOf(definition, `Cannot open symbol ${name}`);
        return [name, isTable(copied) ? own(copied) : copied];
    }));
}
function isTable(value) {
    if (typeof value !== "object" || value === null)
        return false;
    const prototype = Object.getPrototypeOf(value);
    if (prototype === null || Object.getPrototypeOf(prototype) === null)
        return true;
    return !(Symbol.iterator in value) && Object.keys(value).length > 0;
}
const FUNCTION_KEYS = [
    ...["parameters", "result", "name", "nonblocking", "variadic", "overflow", "stackSize"],
    ...["errno", "exclusive", "optional"],
];
const variableTypes = () => new Set([...VALUE_TYPES].filter((type) => type !== "cstring"));
function checkDefinition(name, definition) {
    const what = `Cannot open symbol ${name}`;
    if (!isTable(definition)) {
        throw new TypeError(`${what}: its definition must be an object: got ${describe(definition)}; write ` +
            "{ parameters, result } for a function, { input, output } for a generator body");
    }
    const { name: symbol, optional } = definition;
    if (symbol !== undefined && typeof symbol !== "string") {
        throw new TypeError(`${what}: name must be a string: got ${describe(symbol)}`);
    }
    if (optional !== undefined && typeof optional !== "boolean") {
        throw new TypeError(`${what}: optional must be a boolean: got ${describe(optional)}`);
    }
    if ("type" in definition) {
        checkKeys(definition, ["type", "name", "optional"], what);
        checkType(definition.type, variableTypes(), what, false);
        return;
    }
    if ("input" in definition || "output" in definition) {
        checkKeys(definition, ["input", "output", "name", "optional"], what);
        const { input, output } = definition;
        checkType(input, SCALAR_TYPES, `${what}: input`);
        checkType(output, SCALAR_TYPES, `${what}: output`);
        return;
    }
    checkKeys(definition, FUNCTION_KEYS, what);
    const { parameters, result, variadic, overflow, stackSize } = definition;
    checkParameters(parameters, what);
    checkType(result, VALUE_TYPES, `${what}: result`);
    for (const [i, parameter] of parameters.entries()) {
        if (isCallback(parameter)) {
            checkKeys(parameter, ["callback"], `${what}: parameter ${i}`);
            callbackSignature(parameter.callback, `${what}: callback parameter ${i}`);
        }
        else {
            checkType(parameter, VALUE_TYPES, `${what}: parameter ${i}`, false);
        }
    }
    const { nonblocking } = definition;
    if (nonblocking !== undefined && nonblocking !== "thread" && typeof nonblocking !== "boolean") {
        throw new TypeError(`${what}: nonblocking must be a boolean or "thread": got ${describe(nonblocking)}`);
    }
    for (const key of ["errno", "exclusive"]) {
        const value = definition[key];
        if (value === undefined || typeof value === "boolean")
            continue;
        throw new TypeError(`${what}: ${key} must be a boolean: got ${describe(value)}`);
    }
    if (variadic !== undefined)
        checkVariadic(parameters, variadic, what);
    overflowOf(overflow, what);
    if (stackSize !== undefined)
        checkSize(stackSize, 512, what, "stackSize");
}
function isCallback(parameter) {
    return typeof parameter === "object" && parameter !== null &&
        Object.hasOwn(parameter, "callback");
}
function checkVariadic(parameters, variadic, what) {
    const fixed = variadic;
    if (!Number.isInteger(fixed) || fixed < 0 || fixed > parameters.length) {
        throw new TypeError(`${what}: variadic must be how many of its ${parameters.length} parameters stand before ` +
            `the dots: got ${describe(variadic)}`);
    }
    for (const [i, type] of parameters.entries()) {
        if (i >= fixed)
            refusePromoted(type, `${what}: parameter ${i}`);
    }
}

let garbage;
let unreleased = [];
function release(left) {
    unreleased.push(left);
    const isSuspended = ({ library }) => library.latest !== undefined;
    for (const { thunks } of unreleased.filter((left) => !isSuspended(left))) {
        thunks.forEach(putThunk);
    }
    unreleased = unreleased.filter(isSuspended);
}
function functionAt(pointer, definition) {
    const address = addressOf(pointer);
    const known = copyOf(definition, "Cannot make function");
    const name = known?.name ?? `function at 0x${address.toString(16)}`;
    checkDefinition(name, known);
    if (!("parameters" in known)) {
        throw new TypeError(`Cannot make function ${name}: its definition is that of a generator body, or of a ` +
            "variable; only dlopen makes those");
    }
    needStack(8);
    const library = { filename: name, closed: false, latest: undefined };
    const thunks = [];
    const f = symbol(name, known, pointer, library, thunks);
    garbage ??= new FinalizationRegistry(release);
    garbage.register(f, { library, thunks });
    return f;
}
function addressOf(pointer) {
    if (typeof pointer === "object" && pointer !== null) {
        try {
            return native().addressOfPointer(pointer);
        }
        catch {
        }
    }
    throw new TypeError(`Cannot make function: the pointer must be a Deno.PointerObject: got ${describe(pointer)}`);
}

function unitOf(encoding, what) {
    switch (encoding) {
        case "utf-8":
        case "latin1":
            return 1;
        case "utf-16":
            return 2;
        case "utf-32":
            return 4;
    }
    throw new TypeError(`${what}: encoding must be "utf-8", "utf-16", "utf-32" or "latin1": got ${describe(encoding)}`);
}
function decode(bytes, encoding) {
    if (encoding === "utf-8")
        return decode$1(bytes, bytes.length);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    let text = "";
    if (encoding === "latin1") {
        for (const byte of bytes)
            text += String.fromCharCode(byte);
    }
    else if (encoding === "utf-16") {
        for (let i = 0; i + 2 <= bytes.length; i += 2) {
            text += String.fromCharCode(view.getUint16(i, true));
        }
    }
    else {
        for (let i = 0; i + 4 <= bytes.length; i += 4) {
            const point = view.getUint32(i, true);
            text += String.fromCodePoint(point <= 0x10ffff ? point : 0xfffd);
        }
    }
    return text;
}
function encode(value, encoding, what) {
    const unit = unitOf(encoding, what);
    if (typeof value !== "string") {
        throw new TypeError(`${what} must be a string: got ${describe(value)}`);
    }
    checkString(value, what);
    const text = `${value}\0`;
    if (encoding === "utf-8")
        return utf8().encode(text);
    const units = encoding === "utf-32"
        ? Array.from(text, (character) => character.codePointAt(0))
        : Array.from({ length: text.length }, (_, i) => text.charCodeAt(i));
    const beyond = encoding === "latin1" ? units.findIndex((unit) => unit > 0xff) : -1;
    if (beyond >= 0) {
        throw new RangeError(`${what} has a character that Latin-1 has not: got ${describe(value.slice(beyond))}`);
    }
    const view = new DataView(new ArrayBuffer(units.length * unit));
    for (const [i, number] of units.entries()) {
        if (unit === 1)
            view.setUint8(i, number);
        else if (unit === 2)
            view.setUint16(i * 2, number, true);
        else
            view.setUint32(i * 4, number, true);
    }
    return new Uint8Array(view.buffer);
}

const memoryBehind = new WeakMap();
let allocated;
let memoryOf;
class PointerView {
    static {
        memoryOf = (view) => {
            const bytes = view.#bytes;
            return bytes === undefined ? undefined : { bytes, start: view.#start };
        };
    }
    #pointer;
    #bytes;
    #start = 0;
    #from;
    constructor(pointer) {
        if (typeof pointer !== "object" || pointer === null || "constructor" in pointer) {
            throw new TypeError(`Cannot view memory: got ${describe(pointer)} for a pointer` +
                (pointer === null ? "; C's NULL points at nothing, so look for null first" : "") +
                (isBuffer(pointer) || ArrayBuffer.isView(pointer) ? "; use PointerView.of(buffer)" : ""));
        }
        this.#pointer = pointer;
    }
    static of(memory) {
        const known = viewed(memory);
        if (known !== undefined)
            return known;
        const bytes = bytesOf(memory, "Cannot view memory: the buffer");
        if (bytes === null || bytes.length === 0) {
            throw new TypeError("Cannot view memory: the buffer must have at least one byte");
        }
        const view = new PointerView(native().pointerTo(native().addressOfBuffer(bytes)));
        view.#bytes = bytes;
        return view;
    }
    static at(address) {
        write(slot, 0, typeOf$1("usize"), address, "Cannot view memory: the address");
        return new PointerView(native().pointerTo(slot.getBigUint64(0, true)));
    }
    static allocate(size, alignment = 16) {
        if (!Number.isSafeInteger(size) || size < 1) {
            throw new RangeError(`Cannot allocate memory: size must be an integer from 1 on: got ${describe(size)}`);
        }
        if (!isPowerOfTwo(alignment) || alignment > 4096) {
            throw new RangeError(`Cannot allocate memory: alignment must be a power of two up to 4096: got ${describe(alignment)}`);
        }
        const room = roomFor(size + alignment - 1);
        const first = Number(-native().addressOfBuffer(room) & BigInt(alignment - 1));
        const bytes = room.subarray(first, first + size);
        const view = new AllocatedView(native().pointerTo(native().addressOfBuffer(bytes)));
        view.#bytes = bytes;
        (allocated ??= new Set()).add(bytes);
        return view;
    }
    add(bytes) {
        write(slot, 0, typeOf$1("isize"), bytes, "Cannot reach memory: the distance");
        const distance = slot.getBigInt64(0, true);
        const start = this.#start + Number(distance);
        const buffer = this.#bytes;
        if (buffer !== undefined && (start < 0 || start > buffer.length)) {
            throw new RangeError(`Cannot reach memory: ${distance} bytes from the view on is not in the buffer, which has ` +
                `${buffer.length}${this.#before()}`);
        }
        const address = this.address + distance;
        if (address <= 0n || address >= 2n ** 64n)
            refuseAddress(distance);
        const view = new PointerView(native().pointerTo(address));
        view.#bytes = buffer;
        view.#start = start;
        view.#from = this.#from ?? (memoryBehind.has(this.#pointer) ? this.#pointer : undefined);
        return view;
    }
    get pointer() {
        const [pointer, holder] = [this.#pointer, this.#bytes ?? this.#from];
        if (holder !== undefined && !memoryBehind.has(pointer))
            memoryBehind.set(pointer, holder);
        return pointer;
    }
    get address() {
        return native().addressOfPointer(this.#pointer);
    }
    getBool(offset = 0) {
        return native().load8(this.#at(offset, 1), by(offset)) !== 0;
    }
    getInt8(offset = 0) {
        return native().load8(this.#at(offset, 1), by(offset)) << 24 >> 24;
    }
    getUint8(offset = 0) {
        return native().load8(this.#at(offset, 1), by(offset));
    }
    getInt16(offset = 0) {
        return native().load16(this.#at(offset, 2), by(offset)) << 16 >> 16;
    }
    getUint16(offset = 0) {
        return native().load16(this.#at(offset, 2), by(offset));
    }
    getInt32(offset = 0) {
        return native().loadI32(this.#at(offset, 4), by(offset));
    }
    getUint32(offset = 0) {
        return native().loadU32(this.#at(offset, 4), by(offset));
    }
    getBigInt64(offset = 0) {
        return native().loadI64(this.#at(offset, 8), by(offset));
    }
    getBigUint64(offset = 0) {
        return native().loadU64(this.#at(offset, 8), by(offset));
    }
    getFloat32(offset = 0) {
        return native().loadF32(this.#at(offset, 4), by(offset));
    }
    getFloat64(offset = 0) {
        return native().loadF64(this.#at(offset, 8), by(offset));
    }
    getPointer(offset = 0) {
        return native().loadPointer(this.#at(offset, 8), by(offset));
    }
    getPointers(offset = 0, count) {
        if (count !== undefined) {
            checkLength(count, "count");
            if (count > 0) {
                by(offset + 8 * (count - 1));
                this.#at(offset, 8 * count);
            }
            return Array.from({ length: count }, (_, i) => this.getPointer(offset + 8 * i));
        }
        const pointers = [];
        for (let pointer; (pointer = this.getPointer(offset)) !== null; offset += 8) {
            pointers.push(pointer);
        }
        return pointers;
    }
    getCStrings(offset = 0, encoding = "utf-8") {
        unitOf(encoding, "Cannot reach memory");
        return this.getPointers(offset).map((pointer) => {
            return new PointerView(pointer).getCString(0, encoding);
        });
    }
    getCString(offset = 0, encoding = "utf-8") {
        if (encoding !== "utf-8") {
            const unit = unitOf(encoding, "Cannot reach memory");
            return decode(this.getBytes(offset, this.#lengthOf(offset, unit)), encoding);
        }
        const address = this.#address(offset, 1);
        if (this.#bytes !== undefined && !this.#bytes.includes(0, this.#start + offset)) {
            this.#refuseString(offset);
        }
        return readCString(address);
    }
    getString(offset, length, encoding = "utf-8") {
        unitOf(encoding, "Cannot reach memory");
        return decode(this.getBytes(offset, length), encoding);
    }
    getBytes(offset = 0, length = this.#lengthOf(offset, 1)) {
        checkLength(length, "length");
        if (length > 0)
            this.#at(offset, length);
        const bytes = roomFor(length);
        this.copyInto(bytes, offset);
        return bytes;
    }
    copyInto(destination, offset = 0) {
        const bytes = checkBytes(destination, "destination");
        if (bytes.length > 0) {
            native().copyIn(bytes, this.#address(offset, bytes.length), BigInt(bytes.length));
        }
    }
    setBool(offset, value) {
        this.#set("bool", 1, offset, value);
    }
    setInt8(offset, value) {
        this.#set("i8", 1, offset, value);
    }
    setUint8(offset, value) {
        this.#set("u8", 1, offset, value);
    }
    setInt16(offset, value) {
        this.#set("i16", 2, offset, value);
    }
    setUint16(offset, value) {
        this.#set("u16", 2, offset, value);
    }
    setInt32(offset, value) {
        this.#set("i32", 4, offset, value);
    }
    setUint32(offset, value) {
        this.#set("u32", 4, offset, value);
    }
    setBigInt64(offset, value) {
        this.#set("i64", 8, offset, value);
    }
    setBigUint64(offset, value) {
        this.#set("u64", 8, offset, value);
    }
    setFloat32(offset, value) {
        this.#set("f32", 4, offset, value);
    }
    setFloat64(offset, value) {
        this.#set("f64", 8, offset, value);
    }
    setPointer(offset, value) {
        this.#set("function", 8, offset, value);
    }
    setCString(offset, value, encoding = "utf-8") {
        const bytes = encode(value, encoding, "Cannot write memory: the value");
        this.copyFrom(bytes, offset);
        return bytes.length;
    }
    copyFrom(source, offset = 0) {
        const bytes = checkBytes(source, "source");
        if (bytes.length > 0) {
            native().copyOut(this.#address(offset, bytes.length), bytes, BigInt(bytes.length));
        }
    }
    #set(type, size, offset, value) {
        write(slot, 0, typeOf$1(type), value, "Cannot write memory: the value");
        native().store(this.#at(offset, size), by(offset), slot, size);
    }
    #at(offset, size) {
        const bytes = this.#bytes;
        if (bytes === undefined)
            return this.#pointer;
        if (isDetached(bytes.buffer)) {
            throw new TypeError("Cannot reach memory: the buffer that the view is of has been transferred elsewhere");
        }
        const from = this.#start + by(offset);
        if (from >= 0 && from + size <= bytes.length)
            return this.#pointer;
        throw new RangeError(`Cannot reach memory: ${size} bytes at offset ${offset} are not all in the buffer, which ` +
            `has ${bytes.length}${this.#before()}`);
    }
    #before() {
        return this.#start === 0 ? "" : `, ${this.#start} of them before the view`;
    }
    #lengthOf(offset, unit) {
        const bytes = this.#bytes;
        if (unit === 1 && bytes === undefined) {
            return native().copyString(slot, this.#address(offset, 1), 0);
        }
        this.#at(offset, unit);
        const end = bytes === undefined ? Infinity : bytes.length - this.#start;
        for (let at = offset; at + unit <= end; at += unit) {
            const zero = unit === 1
                ? this.getUint8(at)
                : unit === 2
                    ? this.getUint16(at)
                    : this.getUint32(at);
            if (zero === 0)
                return at - offset;
        }
        this.#refuseString(offset);
    }
    #refuseString(offset) {
        throw new RangeError(`Cannot reach memory: no string is there, since the buffer has no zero byte from offset ` +
            `${offset} on`);
    }
    #address(offset, size) {
        const address = native().addressOfPointer(this.#at(offset, size)) + BigInt(by(offset));
        return address > 0n ? address : refuseAddress(offset);
    }
}
class AllocatedView extends PointerView {
    [Symbol.dispose]() {
        allocated.delete(memoryOf(this).bytes);
    }
}
function viewed(value) {
    if (typeof value !== "object" || value === null)
        return undefined;
    return value instanceof PointerView ? value : value[VIEWED];
}
function refuseAddress(offset) {
    throw new RangeError(`Cannot reach memory: offset ${offset} leads to the null pointer or below`);
}
function by(offset) {
    if (typeof offset === "number" && (offset | 0) === offset)
        return offset | 0;
    throw new RangeError(`Cannot reach memory: offset must be an integer from -(2^31) to 2^31 - 1: got ${describe(offset)}`);
}
function roomFor(size) {
    try {
        return new Uint8Array(new ArrayBuffer(size));
    }
    catch (error) {
        if (isExhaustion(error))
            throw error;
        throw new RangeError(`Cannot make room for memory: V8 has no ${size} bytes in one piece`, {
            cause: error,
        });
    }
}
function checkLength(length, name) {
    if (Number.isSafeInteger(length) && length >= 0)
        return;
    throw new RangeError(`Cannot reach memory: ${name} must be an integer from 0 on: got ${describe(length)}`);
}
function checkBytes(bytes, name) {
    if (!(bytes instanceof Uint8Array)) {
        throw new TypeError(`Cannot copy memory: ${name} must be a Uint8Array: got ${describe(bytes)}`);
    }
    return bytesOf(bytes, `Cannot copy memory: ${name}`);
}

class OwnedStack extends Stack {
    constructor(size) {
        checkSize(size, 512, "Cannot allocate stack");
        const alignment = BigInt(16);
        const rounded = Math.ceil(size / 16) * 16;
        let bytes;
        try {
            bytes = new Uint8Array(new ArrayBuffer(rounded + 16));
        }
        catch (error) {
            if (isExhaustion(error))
                throw error;
            throw new RangeError(`Cannot allocate stack: V8 has no ${size} bytes in one piece`, {
                cause: error,
            });
        }
        const start = native().addressOfBuffer(bytes);
        const limit = (start + alignment - 1n) / alignment * alignment;
        const bottom = new DataView(bytes.buffer, Number(limit - start), CANARY_SIZE);
        super(new StackMemory(limit + BigInt(rounded), limit, origin, bottom));
    }
    get guarded() {
        return false;
    }
}
const origin = {
    guarded: false,
    overflow: "report",
    shareable: false,
    release() { },
    fault: undefined,
};

class SliceStack extends Stack {
    constructor(memory) {
        if (nameOf$1(memory) !== "Uint8Array") {
            throw new TypeError(`Cannot make stack: memory must be a Uint8Array: got ${describe(memory)}`);
        }
        const buffer = OF_ARRAY.buffer(memory);
        if (!isBuffer(buffer)) {
            throw new TypeError("Cannot make stack: memory is shared, so another thread could write over its frames; use " +
                "a Uint8Array over an ArrayBuffer");
        }
        if (isResizable(buffer)) {
            throw new TypeError("Cannot make stack: memory is resizable, so it could vanish under its frames; use a " +
                "Uint8Array over a buffer of fixed length");
        }
        const bytes = isDetached(buffer)
            ? new Uint8Array(0)
            : new Uint8Array(buffer, OF_ARRAY.byteOffset(memory), OF_ARRAY.byteLength(memory));
        const alignment = BigInt(16);
        const start = bytes.length === 0 ? 0n : native().addressOfBuffer(bytes);
        const limit = (start + alignment - 1n) / alignment * alignment;
        const base = (start + BigInt(bytes.length)) / alignment * alignment;
        if (base - limit < 512) {
            throw new RangeError(`Cannot make stack: memory of ${bytes.length} bytes is too small; at least ` +
                `${512} must be left once both ends are aligned to ${16}`);
        }
        const origin = {
            guarded: false,
            overflow: "report",
            shareable: true,
            fault: () => bytes.length === 0
                ? "the memory of its SliceStack has been detached (transferred, or grown away), and " +
                    "its frames with it; keep the buffer in place while a generator is on it"
                : undefined,
            release() { },
        };
        const bottom = new DataView(buffer, bytes.byteOffset + Number(limit - start), CANARY_SIZE);
        super(new StackMemory(base, limit, origin, bottom));
    }
    get guarded() {
        return false;
    }
}

function placeIn(memory, { size }, what) {
    const place = placeOf(memory, what);
    if (place.data !== undefined && place.data.byteLength < size) {
        throw new RangeError(`${what}: it has ${size} bytes, and the memory has ${place.data.byteLength}`);
    }
    return place;
}
function placeOf(memory, what) {
    if (memory instanceof PointerView) {
        const known = memoryOf(memory);
        if (known === undefined)
            return { data: undefined, pointer: memory, at: 0 };
        return bytesPlace(known.bytes.subarray(known.start));
    }
    if (memory === null || typeof memory === "object" && Object.getPrototypeOf(memory) === null) {
        return { data: undefined, pointer: new PointerView(memory), at: 0 };
    }
    const isShared = memory instanceof SharedArrayBuffer;
    if (ArrayBuffer.isView(memory) || isShared || isBuffer(memory)) {
        return bytesPlace(bytesOf(memory, `${what}: the memory`));
    }
    throw new TypeError(`${what}: memory must be a pointer, a PointerView or bytes: got ${describe(memory)}`);
}
function bytesPlace({ buffer, byteOffset, length }) {
    return { data: new DataView(buffer, byteOffset, length), pointer: undefined, at: 0 };
}
function within(place, offset) {
    return { ...place, at: place.at + offset };
}
const load = (function load({ data, pointer, at }, offset, size) {
    if (data === undefined) {
        return { data: new DataView(pointer.getBytes(at + offset, size).buffer), at: 0 };
    }
    checkAttached(data);
    return { data, at: at + offset };
});
function checkAttached({ buffer }) {
    if (!isDetached(buffer))
        return;
    throw new TypeError("Cannot reach memory: the buffer that the view is of has been transferred elsewhere");
}
function store(place, values, what) {
    const { data, pointer, at } = place;
    const keeper = data === undefined ? undefined : new BufferKeeper(data.buffer);
    const stores = givenIn(at, values, what).map(({ field, value, from, what }) => {
        const size = field.of.size * (field.count ?? 1);
        const bytes = pointer?.getBytes(from, size) ?? bytesIn(data, from, size).slice();
        keeper?.moveTo(data.byteOffset + from);
        writeField(new DataView(bytes.buffer), 0, field, value, what, keeper ?? NOBODY);
        return { from, bytes };
    });
    needStack(8);
    for (const { from, bytes } of stores) {
        if (pointer !== undefined)
            pointer.copyFrom(bytes, from);
        else
            bytesIn(data, from, bytes.length).set(bytes);
    }
    keeper?.commit();
}
function givenIn(at, values, what) {
    return values.flatMap(([field, value]) => {
        const { of, offset, count, name } = field;
        const from = at + offset;
        const place = `${what}: field ${name}`;
        return count === undefined && isShape(of) && hasNames(of)
            ? givenIn(from, fieldsIn(of, value, place), place)
            : [{ field, value, from, what: place }];
    });
}
function bytesIn(data, from, size) {
    checkAttached(data);
    return new Uint8Array(data.buffer, data.byteOffset + from, size);
}
let held;
class BufferKeeper {
    #buffer;
    #written = [];
    #base = 0;
    #made;
    constructor(buffer) {
        this.#buffer = buffer;
    }
    moveTo(base) {
        this.#base = base;
    }
    keepAt(position, value) {
        this.#written.push([this.#base + position, this.#made ?? value]);
        this.#made = undefined;
    }
    keepString(value, what) {
        const bytes = encodeCString(value, what);
        return bytes === null ? 0n : this.keepBytes(bytes);
    }
    keepBytes(bytes) {
        this.#made = bytes;
        return native().addressOfBuffer(bytes);
    }
    commit() {
        if (this.#written.length === 0)
            return;
        held ??= new WeakMap();
        let places = held.get(this.#buffer);
        if (places === undefined)
            held.set(this.#buffer, places = new Map());
        for (const [position, value] of this.#written) {
            if (value === null)
                places.delete(position);
            else
                places.set(position, value);
        }
    }
}
const NOBODY = {
    keepString: (value, what) => {
        if (encodeCString(value, what) === null)
            return 0n;
        return refuseToKeep(what);
    },
    keepBytes: (_bytes, what) => refuseToKeep(what),
};
function refuseToKeep(what) {
    throw new TypeError(`${what} must be null in memory of C's, for which nobody holds a string or a buffer: declare ` +
        'it as "pointer", and write the pointer of memory that stays, as of PointerView.allocate()');
}
class View {
    #place;
    constructor(place) {
        this.#place = place;
    }
    static placeOf(view) {
        if (#place in view)
            return view.#place;
        throw new TypeError(`Cannot reach memory: only what view() has given has the fields: got ${describe(view)}`);
    }
}
let classes;
function viewOf(shape, place) {
    let known = (classes ??= new WeakMap()).get(shape);
    if (known === undefined)
        classes.set(shape, known = classFor(shape));
    return new known(place);
}
function viewBehind(shape, pointer, data, offset) {
    const written = held?.get(data.buffer)?.get(data.byteOffset + offset);
    const known = viewed(written) ?? (isPointer(written) ? new PointerView(written) : undefined);
    const plain = new PointerView(pointer);
    if (known === undefined || known.address !== plain.address) {
        return viewOf(shape, { data: undefined, pointer: plain, at: 0 });
    }
    const memory = memoryOf(known);
    const isWhole = memory !== undefined && memory.bytes.length - memory.start >= shape.size;
    return viewOf(shape, isWhole ? placeOf(known, "") : { data: undefined, pointer: known, at: 0 });
}
function classFor(shape) {
    class StructView extends View {
    }
    const { prototype } = StructView;
    Object.setPrototypeOf(prototype, guard(shape));
    const define = (name, accessor) => {
        Object.defineProperty(prototype, name, { __proto__: null, ...accessor });
    };
    define(VIEWED, {
        get() {
            const { data, pointer, at } = View.placeOf(this);
            return (pointer ?? PointerView.of(data)).add(at);
        },
    });
    define(SHAPE, { value: shape });
    for (const field of shape.fields) {
        define(field.name, {
            enumerable: true,
            get() {
                return get(View.placeOf(this), field);
            },
            set(value) {
                set(View.placeOf(this), field, value);
            },
        });
    }
    return StructView;
}
function get(place, field) {
    const { of, offset, count } = field;
    if (count !== undefined)
        return arrayOf(within(place, offset), field, count);
    if (isShape(of)) {
        if (hasNames(of))
            return viewOf(of, within(place, offset));
        const { data, at } = load(place, offset, of.size);
        return readPart(data, at, field);
    }
    const at = place.at + offset;
    if (place.data === undefined)
        return readPart(fetch(place.pointer, at, of.size), 0, field);
    checkAttached(place.data);
    return readPart(place.data, at, field);
}
function set(place, field, value) {
    const { of, offset, count } = field;
    const { data, pointer } = place;
    const what = "Cannot write struct";
    if (count !== undefined || isShape(of) || of.kind === "address") {
        return store(place, [[field, value]], what);
    }
    const at = place.at + offset;
    if (data !== undefined) {
        checkAttached(data);
        return writeField(data, at, field, value, `${what}: field ${field.name}`);
    }
    writeField(slot, 0, field, value, `${what}: field ${field.name}`);
    put(pointer, at, of.size);
}
function fetch(pointer, at, size) {
    if (size === 1)
        slot.setUint8(0, pointer.getUint8(at));
    else if (size === 2)
        slot.setUint16(0, pointer.getUint16(at), true);
    else if (size === 4)
        slot.setInt32(0, pointer.getInt32(at), true);
    else
        slot.setBigInt64(0, pointer.getBigInt64(at), true);
    return slot;
}
function put(pointer, at, size) {
    if (size === 1)
        pointer.setUint8(at, slot.getUint8(0));
    else if (size === 2)
        pointer.setUint16(at, slot.getUint16(0, true));
    else if (size === 4)
        pointer.setInt32(at, slot.getInt32(0, true));
    else
        pointer.setBigInt64(at, slot.getBigInt64(0, true));
}
const ASKED_OF_ALL = ["then", "toJSON", "constructor", "toString", "valueOf"];
function guard(shape) {
    return new Proxy(Object.freeze(Object.create(null)), {
        get(_target, name) {
            if (typeof name === "symbol" || ASKED_OF_ALL.includes(name))
                return undefined;
            return fieldNamed(shape, name, "Cannot read struct");
        },
        set(_target, name) {
            fieldNamed(shape, name, "Cannot write struct");
            return false;
        },
    });
}
function arrayOf(place, field, count) {
    const { name, of, to } = field;
    const elementAt = (key) => {
        const index = typeof key === "string" ? Number(key) : -1;
        if (!(index >= 0 && index < count && String(index | 0) === key))
            return undefined;
        return { name: `${name}[${index}]`, offset: index * of.size, of, count: undefined, to };
    };
    const view = new Proxy(Object.create(null), {
        has: (_target, key) => key === "length" || key === Symbol.iterator || elementAt(key) !== undefined,
        get(_target, key) {
            if (key === "length")
                return count;
            if (key === Symbol.iterator)
                return () => elements();
            const field = elementAt(key);
            return field === undefined ? undefined : get(place, field);
        },
        set(_target, key, value) {
            const field = elementAt(key);
            if (field === undefined) {
                throw new RangeError(`Cannot write struct: field ${name} has ${count} elements: got the index ${String(key)}`);
            }
            set(place, field, value);
            return true;
        },
    });
    function* elements() {
        for (let i = 0; i < count; i++)
            yield view[i];
    }
    return view;
}

function struct(fields, options = {}) {
    return new StructLayout(fields, options, false);
}
function union(fields, options = {}) {
    return new StructLayout(fields, options, true);
}
function pointerTo(layout) {
    return Object.freeze({ pointer: layout });
}
const SIZE_MAX = 2 ** 31 - 1;
class StructLayout {
    size;
    alignment;
    fields;
    #shape;
    #word;
    constructor(fields, options, isUnion) {
        this.#word = isUnion ? "union" : "struct";
        const what = `Cannot make ${this.#word}`;
        if (typeof fields !== "object" || fields === null || Symbol.iterator in fields) {
            throw new TypeError(`${what}: its fields must be an object such as { name: type }: got ${describe(fields)}`);
        }
        const entries = Object.entries(fields);
        if (entries.length === 0)
            throw new TypeError(`${what}: it must have a field`);
        const parts = entries.map(([name, definition]) => partOf(name, definition, what));
        const { pack, alignment } = optionsOf(options, what);
        const shape = arrange(parts, { isUnion, pack: pack ?? Infinity, alignment: alignment ?? 1 });
        if (shape.size > SIZE_MAX) {
            throw new RangeError(`${what}: it must have less than 2^31 bytes: got ${shape.size}`);
        }
        this.#shape = shape;
        this.size = shape.size;
        this.alignment = shape.alignment;
        this.fields = Object.freeze(Object.fromEntries(entries));
        makeStructType(this, shape);
        Object.freeze(this);
    }
    offsetOf(name) {
        return fieldNamed(this.#shape, name, `Cannot find ${this.#word}'s field`).offset;
    }
    read(memory) {
        const place = placeIn(memory, this.#shape, `Cannot read ${this.#word}`);
        const { data, at } = load(place, 0, this.size);
        return readShape(data, at, this.#shape);
    }
    write(memory, values) {
        const what = `Cannot write ${this.#word}`;
        const place = placeIn(memory, this.#shape, what);
        store(place, fieldsIn(this.#shape, values, `${what}: the value`), what);
    }
    view(memory) {
        const place = placeIn(memory, this.#shape, `Cannot view ${this.#word}`);
        return viewOf(this.#shape, place);
    }
}
function optionsOf(options, what) {
    if (typeof options !== "object" || options === null) {
        throw new TypeError(`${what}: options must be an object such as { pack }: got ${describe(options)}`);
    }
    checkKeys(options, ["pack", "alignment"], what);
    const { pack, alignment } = own(options);
    for (const [name, value] of Object.entries({ pack, alignment })) {
        if (value === undefined || isPowerOfTwo(value))
            continue;
        throw new RangeError(`${what}: ${name} must be a power of two: got ${describe(value)}`);
    }
    return { pack, alignment };
}
function partOf(name, definition, what) {
    const first = name.charAt(0);
    if (first === "" || first >= "0" && first <= "9") {
        throw new TypeError(`${what}: a field must have a name of C's, which begins with no digit: got ${describe(name)}`);
    }
    const field = `${what}: field ${name}`;
    if (!Array.isArray(definition))
        return { name, ...elementOf(definition, field) };
    const [element, count] = definition;
    if (definition.length !== 2 || !Number.isSafeInteger(count) || count < 1) {
        throw new TypeError(`${field} must be [type, count], with an integer from 1 on: got ${describe(definition.length === 2 ? count : definition)}`);
    }
    return { name, ...elementOf(element, `${field}: the element`), count };
}
function elementOf(definition, what) {
    const of = typeNamed(definition) ?? shapeOf(definition, what);
    if (of !== undefined)
        return { of };
    const isObject = typeof definition === "object" && definition !== null;
    if (!isObject || !Object.hasOwn(definition, "pointer"))
        return refuseType(definition, what);
    const { pointer } = definition;
    if (typeof pointer !== "function")
        checkLayout(pointer, what);
    return { of: typeOf$1("pointer"), to: targetOf(pointer, what) };
}
function checkLayout(layout, what) {
    const shape = shapeOf(layout, what);
    if (shape !== undefined && hasNames(shape))
        return shape;
    throw new TypeError(`${what} must be a pointer to a layout, or to what a function gives: got ${describe(layout)}`);
}
function targetOf(pointer, what) {
    let known;
    const shape = () => {
        return known ??= checkLayout(typeof pointer === "function" ? pointer() : pointer, what);
    };
    return {
        follow: (address, view, offset) => viewBehind(shape(), address, view, offset),
        pointerOf(value, what) {
            const view = viewed(value);
            if (view === undefined)
                return value;
            const memory = memoryOf(view);
            const length = memory === undefined ? Infinity : memory.bytes.length - memory.start;
            const { size } = shape();
            if (length >= size)
                return view.pointer;
            throw new RangeError(`${what} must lead to the ${size} bytes of a struct: the memory there has ${length}`);
        },
    };
}

export { Callback, FringeError, Generator, NativeError, OsStack, OwnedStack, PointerView, STACK_ALIGNMENT, SliceStack, StackPool, dlopen, functionAt, pointerTo, struct, tailCall, union };
