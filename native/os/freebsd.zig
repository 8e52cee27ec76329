// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! FreeBSD; os.zig says what each declaration is for. The system is called by its libc, since the
//! numbers of its calls are not promised to programs. Layouts and numbers are those of the headers
//! that Zig has of FreeBSD, some by way of `std.c`.
//!
//! This has been built and linked, and has not run: nobody has tried it on FreeBSD.

const std = @import("std");
const builtin = @import("builtin");
const c = std.c;
const Machine = @import("../arch/arch.zig").arch.Machine;
const FaultHandler = @import("os.zig").FaultHandler;
const layers_max = @import("os.zig").layers_max;
const PassedOn = @import("os.zig").PassedOn;
const Purpose = @import("os.zig").Purpose;
const Refusal = @import("os.zig").Refusal;

pub const is_there = true;

/// What every page size is a multiple of.
pub const page_size = std.heap.page_size_min;

/// Whole pages.
const Piece = []align(page_size) u8;

/// getpagesize(3): the kernel has told libc as the program began.
pub inline fn pageSize() usize {
    if (std.heap.page_size_max == page_size) return page_size;
    return @intCast(c.getpagesize());
}

// System calls

/// Makes a call of the system: `call(c.munmap, .{ address, length })`. In a program nothing is left
/// of this but the call.
inline fn call(
    comptime function: anytype,
    arguments: std.meta.ArgsTuple(@TypeOf(function)),
) @TypeOf(@call(.auto, function, arguments)) {
    if (builtin.is_test) if (refusals.next()) |errno| {
        c._errno().* = @backingInt(errno);
        return switch (@TypeOf(@call(.auto, function, arguments))) {
            *anyopaque => c.MAP_FAILED,
            else => -1,
        };
    };
    return @call(.auto, function, arguments);
}

/// Which calls are refused: counted from 0, those from `first` on, `count` of them.
pub const Refusals = struct {
    first: usize = 0,
    count: usize = 0,
    errno: c.E = .NOMEM,
    /// How many calls there have been.
    calls: usize = 0,

    fn next(self: *Refusals) ?c.E {
        defer self.calls += 1;
        const is_refused = self.calls >= self.first and self.calls < self.first + self.count;
        return if (is_refused) self.errno else null;
    }
};

/// For the tests, which run one after the other. None: `.{}`.
pub var refusals: Refusals = .{};

/// Looks at what a call of the system has returned: -1 is an error.
fn check(result: isize) Refusal!void {
    return switch (c.errno(result)) {
        .SUCCESS => {},
        .NOMEM, .AGAIN => error.OutOfMemory,
        else => error.Refused,
    };
}

// Memory

/// What is never touched takes no swap, unless the administrator forbids overcommitment
/// (vm.overcommit). MAP_STACK is another thing here: memory that grows by itself.
pub fn map(length: usize, _: Purpose) Refusal![]align(page_size) u8 {
    const address = call(c.mmap, .{
        null,
        length,
        .{ .READ = true, .WRITE = true },
        .{ .TYPE = .PRIVATE, .ANONYMOUS = true },
        -1,
        0,
    });
    try check(@bitCast(@intFromPtr(address)));
    return @as([*]align(page_size) u8, @ptrCast(@alignCast(address)))[0..length];
}

pub fn guard(pages: []const Piece) Refusal!void {
    for (pages) |page| try check(call(c.mprotect, .{ page.ptr, page.len, .{} }));
}

/// Nobody has looked for a way: thunks are copied here.
pub fn mapAgain(_: []const u8, _: []align(page_size) u8, _: ?[*:0]const u8) Refusal!void {
    return error.Refused;
}

pub fn makeExecutable(memory: []align(page_size) u8) Refusal!void {
    try check(call(c.mprotect, .{ memory.ptr, memory.len, .{ .READ = true, .EXEC = true } }));
}

pub fn unmap(memory: []align(page_size) const u8) Refusal!void {
    try check(call(c.munmap, .{ memory.ptr, memory.len }));
}

/// There is no limit to what one process has.
pub fn mappingsLeft() ?usize {
    return null;
}

/// madvise(2): MADV_DONTNEED keeps the contents here, MADV_FREE gives them up.
pub fn discard(pieces: []const Piece) void {
    for (pieces) |piece| _ = call(c.madvise, .{ piece.ptr, piece.len, c.MADV.FREE });
}

pub fn makeStackExecutable(memory: []align(page_size) u8) Refusal!void {
    const protection: c.PROT = .{ .READ = true, .WRITE = true, .EXEC = true };
    try check(call(c.mprotect, .{ memory.ptr, memory.len, protection }));
}

/// Each page is asked for, and then the bytes are read as they are: another thread that unmaps them
/// in between would cause a fault.
pub fn tryRead(address: usize, bytes: []u8) bool {
    if (bytes.len == 0) return true;
    // No program has memory there; and Zig has no pointer to it.
    if (address == 0) return false;
    const end = std.math.add(usize, address, bytes.len) catch return false;
    var at = address;
    while (at < end) : (at = std.mem.alignBackward(usize, at, page_size) + page_size) {
        if (!isPageThere(at)) return false;
    }
    @memcpy(bytes, @as([*]const u8, @ptrFromInt(address)));
    return true;
}

/// sigprocmask(2) reads a set of signals, of 16 bytes, and then looks at what it is to do with the
/// set. It is told to do something that it does not know. So it has no effect, and its error is
/// EFAULT where the set cannot be read, EINVAL where it can. The function of that name in libthr
/// would read the set itself.
fn isPageThere(address: usize) bool {
    const SYS_sigprocmask = 340;
    const no_operation: c_int = std.math.maxInt(c_int);
    const set: *const c.sigset_t = @ptrFromInt(std.mem.alignBackward(usize, address, 16));
    const nowhere: ?*c.sigset_t = null;
    const result = syscall(SYS_sigprocmask, no_operation, set, nowhere);
    return c.errno(result) == .INVAL;
}

extern "c" fn syscall(number: c_int, ...) c_int;

/// Where this thread's errno is.
pub fn errnoLocation() *c_int {
    return std.c._errno();
}

pub fn writeError(text: []const u8) void {
    _ = call(c.write, .{ 2, text.ptr, text.len });
}

// Faults

/// The beginning of `ucontext_t` (<sys/_ucontext.h>).
const Ucontext = extern struct {
    mask: c.sigset_t,
    registers: Registers align(16),
};

/// The beginning of `mcontext_t` (<machine/ucontext.h>). A register that `Machine` has too has the
/// same name here.
const Registers = switch (builtin.cpu.arch) {
    .x86_64 => extern struct {
        on_stack: usize,
        rdi: usize,
        rsi: usize,
        rdx: usize,
        rcx: usize,
        r8: usize,
        r9: usize,
        rax: usize,
        rbx: usize,
        rbp: usize,
        r10_to_r15: [6]usize,
        trap_and_segments: [2]u32,
        address: usize,
        flags_and_segments: [2]u32,
        err: usize,
        ip: usize,
        code_segment: usize,
        flags: usize,
        sp: usize,
        stack_segment: usize,
        length: usize,
        floats_format: usize,
        floats_owner: usize,
        /// In the layout of FXSAVE.
        fpstate: [512]u8 align(16),
    },
    // `struct gpregs`; x29 and x30 are the last of x.
    .aarch64 => extern struct { x: [31]usize, sp: usize, ip: usize, pstate: usize },
    else => |other| @compileError("write down in native/os/freebsd.zig which registers of " ++
        @tagName(other) ++ " a signal handler finds, as <machine/ucontext.h> of FreeBSD has them"),
};

/// `Machine` is what Linux has for a signal handler. The registers that have a name in both are
/// copied, and come back from there where the handler has changed them.
fn copyRegisters(to: anytype, from: anytype) void {
    inline for (@typeInfo(Registers).@"struct".field_names) |name| {
        if (@hasField(Machine, name)) @field(to, name) = @field(from, name);
    }
}

var handler: ?FaultHandler = null;
/// What SIGSEGV did before fringe's handler came on top: the first time, the second, and so on.
var previous: [layers_max]c.Sigaction = undefined;
/// How often fringe's handler has come on top.
var layers: usize = 0;
var passed_on: PassedOn = .{};

/// A program that was built for FreeBSD 7 or later has SIGSEGV for memory that is there and may not
/// be accessed, as guards, too. Only a thread that has an alternate signal stack (sigaltstack(2))
/// can handle a fault for want of stack.
pub fn handleFaults(by: FaultHandler) void {
    handler = by;
    var now: c.Sigaction = undefined;
    _ = c.sigaction(.SEGV, null, &now);
    if (layers == layers_max or layers > 0 and now.flags & c.SA.ONSTACK != 0) return;
    // Before the handler is there: another thread may have a fault at any time.
    previous[layers] = now;
    const action: c.Sigaction = .{
        .handler = .{ .sigaction = @ptrCast(onSignals[layers]) },
        .flags = c.SA.SIGINFO | c.SA.ONSTACK,
        .mask = std.mem.zeroes(c.sigset_t),
    };
    _ = c.sigaction(.SEGV, &action, null);
    layers += 1;
}

/// A function for each layer: see `layers_max`.
const onSignals = blk: {
    var all: [layers_max]OnSignal = undefined;
    for (&all, 0..) |*function, layer| function.* = &struct {
        fn onSignal(
            signal: c.SIG,
            info: *const c.siginfo_t,
            ucontext: *Ucontext,
        ) callconv(.c) void {
            const is_new = isFault(info) and !passed_on.take(ucontext);
            if (is_new and handle(@intFromPtr(info.addr), &ucontext.registers)) return;
            passed_on.note(layer, ucontext);
            pass(&previous[layer], signal, info, ucontext);
            passed_on.forget(ucontext);
        }
    }.onSignal;
    break :blk all;
};
const OnSignal = *const fn (c.SIG, *const c.siginfo_t, *Ucontext) callconv(.c) void;

fn handle(address: usize, registers: *Registers) bool {
    var machine: Machine = undefined;
    copyRegisters(&machine, registers);
    if (@hasField(Machine, "floats")) machine.floats = @ptrCast(&registers.fpstate);
    if (!handler.?(address, &machine)) return false;
    copyRegisters(registers, &machine);
    return true;
}

/// Whether the processor has raised the signal: what a program sends (kill(2), thr_kill(2)) has
/// SI_USER or a larger number, or SI_NOINFO, which is 0.
fn isFault(info: *const c.siginfo_t) bool {
    const SI_USER = 0x10001;
    return info.code > 0 and info.code < SI_USER;
}

/// Lets whoever handled the signal before do it now.
fn pass(
    before: *const c.Sigaction,
    signal: c.SIG,
    info: *const c.siginfo_t,
    ucontext: *Ucontext,
) void {
    const address = @intFromPtr(before.handler.handler);
    if (address == @intFromPtr(c.SIG.DFL) or address == @intFromPtr(c.SIG.IGN)) {
        if (!isFault(info) and address == @intFromPtr(c.SIG.IGN)) return;
        // A fault is repeated when this returns; it cannot be ignored, whatever the action.
        _ = c.sigaction(signal, before, null);
        if (!isFault(info)) _ = c.raise(signal);
    } else if (before.flags & c.SA.SIGINFO != 0) {
        const Handler = fn (c.SIG, *const c.siginfo_t, *Ucontext) callconv(.c) void;
        @as(*const Handler, @ptrFromInt(address))(signal, info, ucontext);
    } else {
        const Handler = fn (c.SIG) callconv(.c) void;
        @as(*const Handler, @ptrFromInt(address))(signal);
    }
}

// Handlers of signals

/// The mask of signals stays as it is where the handler of one is unwound.
pub fn leaveHandler(_: usize, _: usize) void {}

/// sigaltstack(2)
pub fn isOnSignalStack() bool {
    const SS_ONSTACK = 1;
    var stack: c.stack_t = undefined;
    return c.sigaltstack(null, &stack) == 0 and stack.flags & SS_ONSTACK != 0;
}

pub fn setSignalStack(memory: []u8) void {
    const stack: c.stack_t = .{ .sp = memory.ptr, .size = memory.len, .flags = 0 };
    _ = c.sigaltstack(&stack, null);
}

// Waiting

/// _umtx_op(2). It may come back early. C, in whose callback this waits, finds errno as it was.
pub fn wait(word: *const std.atomic.Value(u32), value: u32, seconds: ?u16) void {
    const before = c._errno().*;
    defer c._errno().* = before;
    const operation = @backingInt(c.UMTX_OP.WAIT_UINT_PRIVATE);
    const limit: c.timespec = .{ .sec = seconds orelse 0, .nsec = 0 };
    const size: usize = if (seconds != null) @sizeOf(c.timespec) else 0;
    const time = if (seconds != null) @intFromPtr(&limit) else 0;
    _ = c._umtx_op(@intFromPtr(word), operation, value, size, time);
}

pub fn wake(word: *const std.atomic.Value(u32)) void {
    const all = std.math.maxInt(c_int);
    _ = c._umtx_op(@intFromPtr(word), @backingInt(c.UMTX_OP.WAKE_PRIVATE), all, 0, 0);
}

comptime {
    // As C's headers have them: a test compares.
    const assert = std.debug.assert;
    assert(@offsetOf(Ucontext, "registers") == 16);
    switch (builtin.cpu.arch) {
        .x86_64 => {
            assert(@offsetOf(Registers, "ip") == 160);
            assert(@offsetOf(Registers, "sp") == 184);
            assert(@offsetOf(Registers, "fpstate") == 224);
        },
        .aarch64 => {
            assert(@offsetOf(Registers, "sp") == 248);
            assert(@offsetOf(Registers, "ip") == 256);
            assert(@offsetOf(Registers, "pstate") == 264);
        },
        else => {},
    }
}
