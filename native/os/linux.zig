// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! Linux; os.zig says what each declaration is for. Every system call of fringe's goes through
//! `call`, so that the tests can have any of them refused.

const std = @import("std");
const builtin = @import("builtin");
const linux = std.os.linux;
const arch = @import("../arch/arch.zig").arch;
const FaultHandler = @import("os.zig").FaultHandler;
const layers_max = @import("os.zig").layers_max;
const pieces_max = @import("os.zig").pieces_max;
const PassedOn = @import("os.zig").PassedOn;
const Purpose = @import("os.zig").Purpose;
const Refusal = @import("os.zig").Refusal;

pub const is_there = true;

/// What every page size is a multiple of.
pub const page_size = std.heap.page_size_min;

/// Whole pages.
const Piece = []align(page_size) u8;

/// x86 has one page size. A kernel for aarch64 has been built for one of three: 4, 16 or 64 KiB.
/// The kernel tells each program (getauxval(3)). Where nobody knows the answer the largest will do.
pub inline fn pageSize() usize {
    if (std.heap.page_size_max == page_size) return page_size;
    return page_size_asked.get();
}

const page_size_asked = struct {
    var known: std.atomic.Value(usize) = .init(0);

    fn get() usize {
        const found = known.load(.monotonic);
        return if (found != 0) found else ask();
    }

    fn ask() usize {
        const kind = std.elf.AT.PAGESZ;
        const told = if (getauxval) |libcs| libcs(kind) else linux.getauxval(kind);
        const size = if (told != 0) told else std.heap.page_size_max;
        known.store(size, .monotonic);
        return size;
    }

    /// libc's, where there is one. In a `var`, as in unwinder.zig.
    var getauxval = @extern(
        ?*const fn (kind: c_ulong) callconv(.c) c_ulong,
        .{ .name = "getauxval", .linkage = .weak },
    );
};

// System calls

/// Makes a system call: `call(linux.munmap, .{ address, length })`. Returns what the system does.
/// In a program nothing is left of this but the system call.
inline fn call(
    comptime function: anytype,
    arguments: std.meta.ArgsTuple(@TypeOf(function)),
) usize {
    if (builtin.is_test) if (refusals.next()) |refusal| return refusal;
    return @call(.auto, function, arguments);
}

/// Which calls are refused: counted from 0, those from `first` on, `count` of them.
pub const Refusals = struct {
    first: usize = 0,
    count: usize = 0,
    errno: linux.E = .NOMEM,
    /// How many calls there have been.
    calls: usize = 0,

    fn next(self: *Refusals) ?usize {
        defer self.calls += 1;
        if (self.calls < self.first or self.calls >= self.first + self.count) return null;
        return 0 -% @as(usize, @backingInt(self.errno));
    }
};

/// For the tests, which run one after the other. None: `.{}`.
pub var refusals: Refusals = .{};

/// Looks at what a system call has returned.
fn check(result: usize) Refusal!void {
    return switch (linux.errno(result)) {
        .SUCCESS => {},
        .NOMEM, .AGAIN => error.OutOfMemory,
        else => error.Refused,
    };
}

// Memory

pub fn map(length: usize, purpose: Purpose) Refusal![]align(page_size) u8 {
    const address = call(linux.mmap, .{
        null,
        length,
        .{ .READ = true, .WRITE = true },
        .{
            .TYPE = .PRIVATE,
            .ANONYMOUS = true,
            // What is never touched does not count as memory that is used.
            .NORESERVE = purpose != .data,
            // No transparent huge page (mmap(2): since Linux 6.7), which is 2 MiB.
            .STACK = purpose == .stack,
        },
        -1,
        0,
    });
    try check(address);
    return @as([*]align(page_size) u8, @ptrFromInt(address))[0..length];
}

/// madvise(2): turns pages into guards without splitting the mapping, so that neighbouring stacks
/// stay one mapping and vm.max_map_count (65,530 as a rule) is no limit. Since Linux 6.13.
const MADV_GUARD_INSTALL = 102;

/// Whether that advice is followed. An emulator (qemu-user) passes over advice that it does not
/// know, and says that all is well. So the first guard is looked at. Public for the tests.
pub var is_guard_advice_followed: std.atomic.Value(enum(u8) { unknown, yes, no }) = .init(.unknown);

pub fn guard(pages: []const Piece) Refusal!void {
    if (adviseAll(pages, MADV_GUARD_INSTALL)) return;
    for (pages) |page| try guardOne(page);
}

fn guardOne(page: Piece) Refusal!void {
    const followed = is_guard_advice_followed.load(.monotonic);
    if (followed != .no) {
        const advised = call(linux.madvise, .{ page.ptr, page.len, MADV_GUARD_INSTALL });
        const is_granted = linux.errno(advised) == .SUCCESS;
        if (is_granted and followed == .yes) return;
        if (is_granted) {
            const is_guard = !isPageThere(@intFromPtr(page.ptr));
            is_guard_advice_followed.store(if (is_guard) .yes else .no, .monotonic);
            if (is_guard) return;
        }
    }
    // An older kernel, or memory that is locked: a page without access, at the price of a mapping.
    try check(call(linux.mprotect, .{ page.ptr, page.len, .{} }));
}

/// process_madvise(2): the same advice for many pieces by one call, which enters the kernel once,
/// and has other processors forget the pages once. For guards that takes two thirds of the time, to
/// discard half (`deno task million` has both). Linux takes all advice by it, and knows a process
/// without a descriptor of it, from about the version on that has guards; so it is tried where
/// those are known to be had. Returns whether all of it was followed.
fn adviseAll(pieces: []const Piece, advice: u32) bool {
    if (pieces.len < 2 or is_guard_advice_followed.load(.monotonic) != .yes) return false;
    var vectors: [pieces_max]std.posix.iovec_const = undefined;
    var length: usize = 0;
    for (pieces, vectors[0..pieces.len]) |piece, *vector| {
        vector.* = .{ .base = piece.ptr, .len = piece.len };
        length += piece.len;
    }
    const advised = call(linux.syscall5, .{
        linux.SYS.process_madvise,
        PIDFD_SELF_THREAD,
        @intFromPtr(&vectors),
        pieces.len,
        advice,
        0,
    });
    return advised == length;
}

/// This thread, whose memory is that of the process (pidfd.h: since Linux 6.14).
const PIDFD_SELF_THREAD: usize = @bitCast(@as(isize, -10_000));

pub fn makeExecutable(memory: []align(page_size) u8) Refusal!void {
    const protection: linux.PROT = .{ .READ = true, .EXEC = true };
    try check(call(linux.mprotect, .{ memory.ptr, memory.len, protection }));
}

/// Maps the file that this process has the code from. What is in it may be another thing by now.
pub fn mapAgain(
    code: []const u8,
    memory: []align(page_size) u8,
    name: ?[*:0]const u8,
) Refusal!void {
    // The longest path, and what stands before it.
    var text: [std.fs.max_path_bytes + 128]u8 = undefined;
    const mapping = try Mapping.of(@intFromPtr(code.ptr), &text);
    // The loader's name for it is all there is where the file has no path, as one in memory.
    for ([_]?[*:0]const u8{ mapping.path, name }) |path| {
        const file = open(path orelse continue) catch continue;
        defer close(file);
        if (!hasAt(file, mapping.offset, code)) continue;
        const in_page = @intFromPtr(code.ptr) % memory.len;
        const result = call(linux.mmap, .{
            memory.ptr,
            memory.len,
            .{ .READ = true, .EXEC = true },
            .{ .TYPE = .PRIVATE, .FIXED = true },
            file,
            @as(i64, @intCast(mapping.offset - in_page)),
        });
        return check(result);
    }
    return error.Refused;
}

/// Where an address is mapped from, as /proc/self/maps says it, in lines such as
///
///     7f1c8a2f3000-7f1c8a2f9000 r-xp 00002000 fe:00 1835   /usr/lib/libfringe.so
const Mapping = struct {
    /// What the file has at that address.
    offset: u64,
    path: ?[*:0]const u8,

    /// `text` is where the path is written, and the line that it is from.
    fn of(address: usize, text: []u8) Refusal!Mapping {
        const maps = try open("/proc/self/maps");
        defer close(maps);
        var length: usize = 0;
        while (true) {
            const got = call(linux.read, .{ maps, text[length..].ptr, text.len - length });
            try check(got);
            // The end; or a line for which there is no room, as none is.
            if (got == 0) return error.Refused;
            length += got;
            var begin: usize = 0;
            while (std.mem.findScalarPos(u8, text[0..length], begin, '\n')) |end| {
                text[end] = 0;
                if (parse(text[begin..end :0], address)) |mapping| return mapping;
                begin = end + 1;
            }
            std.mem.copyForwards(u8, text, text[begin..length]);
            length -= begin;
        }
    }

    /// null: the line is of another address, or of memory that is no file's.
    fn parse(line: [:0]const u8, address: usize) ?Mapping {
        var words = std.mem.tokenizeScalar(u8, line, ' ');
        var bounds = std.mem.splitScalar(u8, words.next() orelse return null, '-');
        const start = std.fmt.parseInt(usize, bounds.first(), 16) catch return null;
        const end = std.fmt.parseInt(usize, bounds.rest(), 16) catch return null;
        if (address < start or address >= end) return null;
        _ = words.next(); // what may be done there
        const offset = std.fmt.parseInt(u64, words.next() orelse return null, 16) catch return null;
        _ = words.next(); // the device
        _ = words.next(); // the number of the file there
        const path = words.rest();
        return .{
            .offset = offset + (address - start),
            .path = if (path.len > 0) line[line.len - path.len ..].ptr else null,
        };
    }
};

/// Whether a file has these bytes.
fn hasAt(file: i32, offset: u64, bytes: []const u8) bool {
    var buffer: [4096]u8 = undefined;
    std.debug.assert(bytes.len <= buffer.len);
    const at: i64 = @intCast(offset);
    const got = call(linux.pread, .{ file, &buffer, bytes.len, at });
    return linux.errno(got) == .SUCCESS and std.mem.eql(u8, buffer[0..got], bytes);
}

/// Where it is a pipe by now, nobody waits for who writes to that.
fn open(path: [*:0]const u8) Refusal!i32 {
    const flags: linux.O = .{ .ACCMODE = .RDONLY, .CLOEXEC = true, .NONBLOCK = true };
    const file = call(linux.open, .{ path, flags, 0 });
    try check(file);
    return @intCast(file);
}

fn close(file: i32) void {
    _ = call(linux.close, .{file});
}

/// Where this is refused, the memory is as it was. A hole in a mapping makes two mappings of one,
/// and the process may have no more.
pub fn unmap(memory: []align(page_size) const u8) Refusal!void {
    try check(call(linux.munmap, .{ memory.ptr, memory.len }));
}

/// A guard that is made by mprotect(2) splits its mapping. What the system says of the limit, and
/// of the mappings that there are, is read; where it does not say, nothing is known of a limit.
pub fn mappingsLeft() ?usize {
    if (isGuardAdviceFollowed()) return null;
    const most = readNumber("/proc/sys/vm/max_map_count") catch return null;
    const now = countLines("/proc/self/maps") catch return null;
    return most -| now;
}

/// Whether guards take no mappings. If that is not known yet, a page is mapped to try it.
fn isGuardAdviceFollowed() bool {
    if (is_guard_advice_followed.load(.monotonic) == .unknown) {
        const page = map(pageSize(), .stack) catch return false;
        defer unmap(page) catch {};
        guard(&.{page}) catch return false;
    }
    return is_guard_advice_followed.load(.monotonic) == .yes;
}

/// The decimal number that a file begins with.
fn readNumber(path: [*:0]const u8) !usize {
    const file = try open(path);
    defer close(file);
    var text: [32]u8 = undefined;
    const length = call(linux.read, .{ file, &text, text.len });
    try check(length);
    return std.fmt.parseInt(usize, std.mem.trim(u8, text[0..length], " \n"), 10);
}

fn countLines(path: [*:0]const u8) !usize {
    const file = try open(path);
    defer close(file);
    var count: usize = 0;
    var text: [4096]u8 = undefined;
    while (true) {
        const length = call(linux.read, .{ file, &text, text.len });
        try check(length);
        if (length == 0) return count;
        count += std.mem.countScalar(u8, text[0..length], '\n');
    }
}

/// Where this is refused, the memory stays committed.
pub fn discard(pieces: []const Piece) void {
    if (adviseAll(pieces, linux.MADV.DONTNEED)) return;
    for (pieces) |piece| _ = call(linux.madvise, .{ piece.ptr, piece.len, linux.MADV.DONTNEED });
}

pub fn makeStackExecutable(memory: []align(page_size) u8) Refusal!void {
    const protection: linux.PROT = .{ .READ = true, .WRITE = true, .EXEC = true };
    try check(call(linux.mprotect, .{ memory.ptr, memory.len, protection }));
}

/// process_vm_readv(2): the kernel says so where there is no memory.
pub fn tryRead(address: usize, bytes: []u8) bool {
    if (bytes.len == 0) return true;
    // No program has memory there; and Zig has no pointer to it.
    if (address == 0) return false;
    const local: [1]std.posix.iovec = .{.{ .base = bytes.ptr, .len = bytes.len }};
    const remote: [1]std.posix.iovec_const = .{.{ .base = @ptrFromInt(address), .len = bytes.len }};
    const pid = linux.getpid();
    const result = call(linux.process_vm_readv, .{ pid, &local, &remote, 0 });
    return switch (linux.errno(result)) {
        .SUCCESS => result == bytes.len,
        .FAULT => false,
        else => readPages(address, bytes),
    };
}

/// The same where the system refuses process_vm_readv(2), as filters of containers do, since it can
/// read the memory of other processes. Each page is asked for, and then the bytes are read as they
/// are: another thread that unmaps them in between would cause a fault.
fn readPages(address: usize, bytes: []u8) bool {
    const end = std.math.add(usize, address, bytes.len) catch return false;
    var at = address;
    while (at < end) : (at = std.mem.alignBackward(usize, at, page_size) + page_size) {
        if (!isPageThere(at)) return false;
    }
    @memcpy(bytes, @as([*]const u8, @ptrFromInt(address)));
    return true;
}

/// rt_sigprocmask(2) reads a set of signals, of eight bytes, and then looks at what it is to do
/// with the set. It is told to do something that it does not know. So it has no effect, and its
/// error is EFAULT where the set cannot be read, EINVAL where it can. No filter refuses the call,
/// which every thread needs. (mincore(2) and msync(2) would say that a page is mapped, though
/// nobody may read it.)
fn isPageThere(address: usize) bool {
    const set: *const linux.sigset_t = @ptrFromInt(std.mem.alignBackward(usize, address, 8));
    const no_operation = std.math.maxInt(u32);
    const result = call(linux.sigprocmask, .{ no_operation, set, null });
    return linux.errno(result) == .INVAL;
}

pub fn writeError(text: []const u8) void {
    _ = call(linux.write, .{ 2, text.ptr, text.len });
}

/// Where this thread's errno is. A program without libc has one for all threads, which nobody uses.
pub fn errnoLocation() *c_int {
    return if (libcErrno) |location| location() else &no_errno;
}
var no_errno: c_int = 0;

/// libc's, where there is one. In a `var`, as in unwinder.zig.
var libcErrno = @extern(
    ?*const fn () callconv(.c) *c_int,
    .{ .name = "__errno_location", .linkage = .weak },
);

// Faults

/// ucontext_t, as far as it is of interest.
const Ucontext = extern struct {
    before: [arch.linux.machine]u8,
    machine: arch.Machine,
};

/// What a signal does.
const Action = struct {
    handler: usize,
    flags: c_uint = 0,

    const default = @intFromPtr(linux.SIG.DFL);
    const ignore = @intFromPtr(linux.SIG.IGN);

    /// What SIGSEGV does now.
    fn now() Action {
        return exchange(null);
    }

    /// Has SIGSEGV do it.
    fn set(self: Action) void {
        _ = exchange(self);
    }

    fn exchange(new: ?Action) Action {
        if (libcSigaction) |sigaction| return exchangeBy(std.c.Sigaction, sigaction, new);
        return exchangeBy(linux.Sigaction, linux.sigaction, new);
    }

    /// libc's, where there is one: unwinders know what libc has a handler return to.
    var libcSigaction = @extern(
        ?*const fn (
            signal: linux.SIG,
            new: ?*const std.c.Sigaction,
            old: ?*std.c.Sigaction,
        ) callconv(.c) c_int,
        .{ .name = "sigaction", .linkage = .weak },
    );

    fn exchangeBy(comptime Sigaction: type, sigaction: anytype, new: ?Action) Action {
        var old: Sigaction = undefined;
        if (new) |action| {
            const wanted: Sigaction = .{
                .handler = .{ .handler = @ptrFromInt(action.handler) },
                .mask = @splat(0),
                .flags = @intCast(action.flags),
            };
            _ = sigaction(.SEGV, &wanted, &old);
        } else {
            _ = sigaction(.SEGV, null, &old);
        }
        return .{ .handler = @intFromPtr(old.handler.handler), .flags = @intCast(old.flags) };
    }
};

var handler: ?FaultHandler = null;
/// What SIGSEGV did before fringe's handler came on top: the first time, the second, and so on.
var previous: [layers_max]Action = undefined;
/// How often fringe's handler has come on top.
var layers: usize = 0;
var passed_on: PassedOn = .{};

/// Only a thread that has an alternate signal stack (sigaltstack(2)) can handle a fault for want of
/// stack: those of Zig's std, of Rust's and of Deno have one of their own.
pub fn handleFaults(by: FaultHandler) void {
    handler = by;
    const now = Action.now();
    if (layers == layers_max or layers > 0 and now.flags & linux.SA.ONSTACK != 0) return;
    // Before the handler is there: another thread may have a fault at any time.
    previous[layers] = now;
    const flags = linux.SA.SIGINFO | linux.SA.ONSTACK;
    (Action{ .handler = @intFromPtr(onSignals[layers]), .flags = flags }).set();
    layers += 1;
}

/// A function for each layer: see `layers_max`.
const onSignals = blk: {
    var all: [layers_max]OnSignal = undefined;
    for (&all, 0..) |*function, layer| function.* = &struct {
        fn onSignal(
            signal: linux.SIG,
            info: *const linux.siginfo_t,
            ucontext: *Ucontext,
        ) callconv(.c) void {
            const at = @intFromPtr(info.fields.sigfault.addr);
            const is_new = isFault(info) and !passed_on.take(ucontext);
            if (is_new and handler.?(at, &ucontext.machine)) return;
            passed_on.note(layer, ucontext);
            pass(previous[layer], signal, info, ucontext);
            passed_on.forget(ucontext);
        }
    }.onSignal;
    break :blk all;
};
const OnSignal = *const fn (linux.SIG, *const linux.siginfo_t, *Ucontext) callconv(.c) void;

/// Whether the processor has raised the signal, and not a program (kill(2)).
fn isFault(info: *const linux.siginfo_t) bool {
    return info.code > 0;
}

/// Lets whoever handled the signal before do it now.
fn pass(
    before: Action,
    signal: linux.SIG,
    info: *const linux.siginfo_t,
    ucontext: *Ucontext,
) void {
    switch (before.handler) {
        Action.default, Action.ignore => {
            if (!isFault(info) and before.handler == Action.ignore) return;
            // A fault is repeated when this returns; it cannot be ignored, whatever the action.
            before.set();
            if (isFault(info)) return;
            _ = call(linux.tgkill, .{ linux.getpid(), linux.gettid(), signal });
        },
        else => |address| if (before.flags & linux.SA.SIGINFO != 0) {
            const Handler = fn (linux.SIG, *const linux.siginfo_t, *Ucontext) callconv(.c) void;
            @as(*const Handler, @ptrFromInt(address))(signal, info, ucontext);
        } else {
            const Handler = fn (linux.SIG) callconv(.c) void;
            @as(*const Handler, @ptrFromInt(address))(signal);
        },
    }
}

// Handlers of signals

/// The kernel blocks signals while a handler runs, and what the handler returns to asks the kernel
/// to restore the mask that the thread had before (sigreturn(2)). A handler whose frame is unwound
/// never gets there, so the mask is restored here.
///
///     raise()  ->  the kernel  ->  handler()  ->  thunk: suspended, and ended
///                      |               |
///                      |               its frame goes on at `ip`, in rt_sigreturn
///                      a ucontext_t with the mask, at `sp`
pub fn leaveHandler(ip: usize, sp: usize) void {
    if (return_from_handler.len == 0 or !returnsFromHandler(ip)) return;
    const mask: *const linux.sigset_t = @ptrFromInt(sp + arch.linux.ucontext + arch.linux.mask);
    _ = call(linux.sigprocmask, .{ linux.SIG.SETMASK, mask, null });
}

const return_from_handler = arch.linux.return_from_handler[0..arch.linux.return_from_handler.len].*;

/// Whether a frame goes on at that call.
fn returnsFromHandler(address: usize) bool {
    var code: [return_from_handler.len]u8 = undefined;
    // Behind a call, in the same page, there is something to be read.
    const place = address % page_size;
    if (place > 0 and place <= page_size - code.len) {
        code = @as(*const [code.len]u8, @ptrFromInt(address)).*;
    } else if (!tryRead(address, &code)) return false;
    return std.mem.eql(u8, &code, &return_from_handler);
}

/// sigaltstack(2). A thread may have asked the kernel to forget the alternate stack while a handler
/// runs there (SS_AUTODISARM). No other signal is handled on it then, so it is like any stack.
pub fn isOnSignalStack() bool {
    const SS_ONSTACK = 1;
    var stack: linux.stack_t = undefined;
    const result = call(linux.sigaltstack, .{ null, &stack });
    const flags: u32 = @bitCast(stack.flags);
    return linux.errno(result) == .SUCCESS and flags & SS_ONSTACK != 0;
}

pub fn setSignalStack(memory: []u8) void {
    const stack: linux.stack_t = .{
        .sp = memory.ptr,
        .flags = @bitCast(@as(u32, 0)),
        .size = memory.len,
    };
    _ = call(linux.sigaltstack, .{ &stack, null });
}

// Waiting

/// futex(2). It may come back early: a signal has arrived, or the word has changed meanwhile.
pub fn wait(word: *const std.atomic.Value(u32), value: u32, seconds: ?u16) void {
    const time: linux.timespec = .{ .sec = seconds orelse 0, .nsec = 0 };
    const limit = if (seconds != null) &time else null;
    _ = call(linux.futex_4arg, .{ word, .{ .cmd = .WAIT, .private = true }, value, limit });
}

pub fn wake(word: *const std.atomic.Value(u32)) void {
    const all = std.math.maxInt(i32);
    _ = call(linux.futex_3arg, .{ word, .{ .cmd = .WAKE, .private = true }, all });
}

test "a guard is one, whatever the system says of advice" {
    const size = pageSize();
    const pages = try map(2 * size, .stack);
    defer unmap(pages) catch {};
    const start = @intFromPtr(pages.ptr);
    try expectEqual(true, isPageThere(start));
    try guard(&.{pages[0..size]});
    try expectEqual(false, isPageThere(start));
    try expectEqual(false, isPageThere(start + size - 8));
    try expectEqual(true, isPageThere(start + size));
}

test "mappings are counted only where a guard takes one" {
    const known = is_guard_advice_followed.load(.monotonic);
    defer is_guard_advice_followed.store(known, .monotonic);
    is_guard_advice_followed.store(.unknown, .monotonic);
    const is_limited = mappingsLeft() != null;
    try expectEqual(is_guard_advice_followed.load(.monotonic) != .yes, is_limited);
    is_guard_advice_followed.store(.no, .monotonic);
    try expect(mappingsLeft().? < try readNumber("/proc/sys/vm/max_map_count"));
    // Others map in this process too, Valgrind for one: in one round of a few they do not.
    for (0..8) |_| {
        if (try countsAsItGuards()) break;
    } else return error.TestUnexpectedResult;
}

/// Neighbours are one mapping until they differ: a guard in the midst of pages makes three of it.
fn countsAsItGuards() !bool {
    const before = mappingsLeft().?;
    const size = pageSize();
    const pages = try map(5 * size, .stack);
    const with_pages = mappingsLeft().?;
    try guard(&.{@alignCast(pages[2 * size ..][0..size])});
    const with_guard = mappingsLeft().?;
    try unmap(pages);
    return with_guard + 2 == with_pages and mappingsLeft().? == before;
}

test "a return from a handler is known wherever it lies, at the end of memory, too" {
    if (return_from_handler.len == 0) return error.SkipZigTest; // Nobody asks.
    const size = pageSize();
    const pages = try map(4 * size, .data);
    defer unmap(pages) catch {};
    @memset(pages, 0xcc);
    const start = @intFromPtr(pages.ptr);
    try guard(&.{@alignCast(pages[3 * size ..])});
    const length = return_from_handler.len;
    for (size - length..size + 2) |place| {
        @memcpy(pages[place..][0..length], &return_from_handler);
        try expectEqual(true, returnsFromHandler(start + place));
        @memset(pages[place..][0..length], 0xcc);
        try expectEqual(false, returnsFromHandler(start + place));
    }
    const end = start + 3 * size;
    for (0..length) |left| try expectEqual(false, returnsFromHandler(end - left));
    @memcpy(pages[3 * size - length ..][0..length], &return_from_handler);
    try expectEqual(true, returnsFromHandler(end - length));
}

const expect = std.testing.expect;
const expectEqual = std.testing.expectEqual;
