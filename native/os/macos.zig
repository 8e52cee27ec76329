// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! macOS; os.zig says what each declaration is for. The system is called by its C library,
//! libSystem, since the numbers of its calls may change with each version. What is said of the
//! kernel here is of XNU's sources, whose files are named.

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

/// 16 KiB on Apple's processors, 4 KiB on Intel's: known for good, since programs for the latter
/// are given pages of 4 KiB on Apple's, too.
pub const page_size = std.heap.page_size_min;

/// Whole pages.
const Piece = []align(page_size) u8;

pub inline fn pageSize() usize {
    return page_size;
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

/// There are no huge pages here that nobody has asked for, and nothing is reserved in the swap.
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

/// A mapping may have parts with rights of their own, and there is no limit to their number.
pub fn guard(pages: []const Piece) Refusal!void {
    for (pages) |page| try check(call(c.mprotect, .{ page.ptr, page.len, .{} }));
}

/// mach_vm_remap (osfmk/vm/vm_user.c), which takes signed code with its signature: the hardened
/// runtime lets that be executed, too. It goes by addresses, and asks for no file.
pub fn mapAgain(
    code: []const u8,
    memory: []align(page_size) u8,
    _: ?[*:0]const u8,
) Refusal!void {
    const VM_FLAGS_OVERWRITE = 0x4000;
    const VM_INHERIT_SHARE = 0;
    const self = c.mach_task_self();
    const from = std.mem.alignBackward(usize, @intFromPtr(code.ptr), page_size);
    var to: u64 = @intFromPtr(memory.ptr);
    // What may be done there, now and at most: it is told.
    var rights: [2]c_int = undefined;
    const result = mach_vm_remap(
        self,
        &to,
        memory.len,
        0,
        VM_FLAGS_OVERWRITE, // and VM_FLAGS_FIXED, which is 0
        self,
        from,
        0,
        &rights[0],
        &rights[1],
        VM_INHERIT_SHARE,
    );
    if (result != 0) return error.Refused;
}

extern "c" fn mach_vm_remap(
    to_task: c.mach_port_t,
    to: *u64,
    size: u64,
    mask: u64,
    flags: c_int,
    from_task: c.mach_port_t,
    from: u64,
    is_copied: c_int,
    rights_now: *c_int,
    rights_at_most: *c_int,
    inheritance: c_uint,
) c_int;

/// Only a process that is signed with the right to
/// (com.apple.security.cs.allow-unsigned-executable- memory, which Deno has), or that has not asked
/// for the hardened runtime, may execute such memory.
pub fn makeExecutable(memory: []align(page_size) u8) Refusal!void {
    sys_icache_invalidate(memory.ptr, memory.len);
    try check(call(c.mprotect, .{ memory.ptr, memory.len, .{ .READ = true, .EXEC = true } }));
}

/// <libkern/OSCacheControl.h>: has the processor see instructions that have been written.
extern "c" fn sys_icache_invalidate(start: [*]u8, length: usize) void;

pub fn unmap(memory: []align(page_size) const u8) Refusal!void {
    try check(call(c.munmap, .{ memory.ptr, memory.len }));
}

/// There is no limit to what one process has.
pub fn mappingsLeft() ?usize {
    return null;
}

pub fn discard(pieces: []const Piece) void {
    for (pieces) |piece| _ = call(c.madvise, .{ piece.ptr, piece.len, c.MADV.FREE });
}

/// No library has a mark here that asks for it, so nobody does.
pub fn makeStackExecutable(_: []align(page_size) u8) Refusal!void {
    return error.Refused;
}

/// The kernel copies, and says so where there is no memory (mach_vm_read_overwrite in
/// osfmk/vm/vm_user.c).
pub fn tryRead(address: usize, bytes: []u8) bool {
    if (bytes.len == 0) return true;
    const self = c.mach_task_self();
    var copied: u64 = 0;
    const result = mach_vm_read_overwrite(self, address, bytes.len, bytes.ptr, &copied);
    return result == 0 and copied == bytes.len;
}

extern "c" fn mach_vm_read_overwrite(
    task: c.mach_port_t,
    address: u64,
    size: u64,
    to: [*]u8,
    copied: *u64,
) c_int;

/// Where this thread's errno is.
pub fn errnoLocation() *c_int {
    return std.c._errno();
}

pub fn writeError(text: []const u8) void {
    _ = call(c.write, .{ 2, text.ptr, text.len });
}

// Faults

/// `struct __darwin_ucontext` (bsd/sys/_types/_ucontext.h).
const Ucontext = extern struct {
    on_stack: c_int,
    mask: u32,
    stack: c.stack_t,
    link: ?*anyopaque,
    size: usize,
    machine: *Mcontext,
};

/// `struct __darwin_mcontext64`: what the fault was, the registers, and what the floating-point
/// unit has.
const Mcontext = extern struct {
    exception: [16]u8,
    registers: Registers,
    floats: [floats_size]u8 align(1),
};

/// A register that `Machine` has too has the same name here.
const Registers = switch (builtin.cpu.arch) {
    // _STRUCT_X86_THREAD_STATE64 (osfmk/mach/i386/_structs.h)
    .x86_64 => extern struct {
        rax: usize,
        rbx: usize,
        rcx: usize,
        rdx: usize,
        rdi: usize,
        rsi: usize,
        rbp: usize,
        sp: usize,
        r8_to_r15: [8]usize,
        ip: usize,
        flags: usize,
        cs_fs_gs: [3]usize,
    },
    // _STRUCT_ARM_THREAD_STATE64 (osfmk/mach/arm/_structs.h); x29 and x30 have other names there
    .aarch64 => extern struct { x: [31]usize, sp: usize, ip: usize, pstate: usize },
    else => |other| @compileError("write down in native/os/macos.zig which registers of " ++
        @tagName(other) ++ " a signal handler finds, as XNU's osfmk/mach/ has them"),
};

/// How much of the floating-point unit is of interest: for x86_64 two words of the kernel's, and
/// the beginning of what FXSAVE stores (_STRUCT_X86_FLOAT_STATE64).
const floats_size = if (builtin.cpu.arch == .x86_64) 8 + 5 else 0;

/// `Machine` is what Linux has for a signal handler. Its registers are copied into one, by their
/// names, and come back from there where the handler has changed them.
fn copyRegisters(to: anytype, from: anytype) void {
    inline for (@typeInfo(Registers).@"struct".field_names) |name| {
        if (@hasField(Machine, name)) @field(to, name) = @field(from, name);
    }
}

/// What each of the two signals did, in the order of `faults`, before fringe's handler came on top:
/// the first time, the second, and so on.
var previous: [layers_max][faults.len]c.Sigaction = undefined;
/// How often fringe's handler has come on top.
var layers: usize = 0;
var passed_on: PassedOn = .{};

/// SIGBUS is for memory that is there and may not be accessed, as guards; SIGSEGV for addresses
/// where there is none (ux_exception in bsd/kern/kern_sig.c).
const faults = [_]c.SIG{ .SEGV, .BUS };

var handler: ?FaultHandler = null;

/// Only a thread that has an alternate signal stack (sigaltstack(2)) can handle a fault for want of
/// stack: those of Rust's std have one of their own, and so those of Deno.
pub fn handleFaults(by: FaultHandler) void {
    handler = by;
    var now: [faults.len]c.Sigaction = undefined;
    var is_seen = layers > 0;
    for (faults, &now) |signal, *action| {
        _ = c.sigaction(signal, null, action);
        is_seen = is_seen and action.flags & c.SA.ONSTACK != 0;
    }
    if (is_seen or layers == layers_max) return;
    // Before the handler is there: another thread may have a fault at any time.
    previous[layers] = now;
    const action: c.Sigaction = .{
        .handler = .{ .sigaction = @ptrCast(onSignals[layers]) },
        .mask = 0,
        .flags = c.SA.SIGINFO | c.SA.ONSTACK,
    };
    for (faults) |signal| _ = c.sigaction(signal, &action, null);
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
            if (is_new and handle(@intFromPtr(info.addr), ucontext.machine)) return;
            passed_on.note(layer, ucontext);
            pass(&previous[layer][@intFromBool(signal == .BUS)], signal, info, ucontext);
            passed_on.forget(ucontext);
        }
    }.onSignal;
    break :blk all;
};
const OnSignal = *const fn (c.SIG, *const c.siginfo_t, *Ucontext) callconv(.c) void;

fn handle(address: usize, mcontext: *Mcontext) bool {
    var machine: Machine = undefined;
    copyRegisters(&machine, &mcontext.registers);
    if (@hasField(Machine, "floats")) machine.floats = @ptrCast(mcontext.floats[8..]);
    if (!handler.?(address, &machine)) return false;
    copyRegisters(&mcontext.registers, &machine);
    return true;
}

/// Whether the processor has raised the signal, and not a program: kill(2) has 0 or SI_USER, and
/// what else a program may do has a larger number (bsd/sys/signal.h).
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
    const address: usize = @intFromPtr(before.handler.handler);
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
    const stack: c.stack_t = .{ .sp = memory.ptr, .size = @intCast(memory.len), .flags = 0 };
    _ = c.sigaltstack(&stack, null);
}

// Waiting

/// __ulock_wait (bsd/kern/sys_ulock.c), which libc's own locks are made of. It may come back early.
pub fn wait(word: *const std.atomic.Value(u32), value: u32, seconds: ?u16) void {
    // In microseconds; 0 is no limit.
    const limit = @as(u32, @min(seconds orelse 0, 3600)) * 1_000_000;
    _ = c.__ulock_wait(.{ .op = .COMPARE_AND_WAIT, .NO_ERRNO = true }, word, value, limit);
}

pub fn wake(word: *const std.atomic.Value(u32)) void {
    const all: c.UL = .{ .op = .COMPARE_AND_WAIT, .NO_ERRNO = true, .WAKE_ALL = true };
    _ = c.__ulock_wake(all, word, 0);
}

comptime {
    // As C's headers have them: a test compares.
    const assert = std.debug.assert;
    assert(@offsetOf(Ucontext, "machine") == 48);
    assert(@offsetOf(Mcontext, "registers") == 16);
    switch (builtin.cpu.arch) {
        .x86_64 => {
            assert(@offsetOf(Mcontext, "floats") == 184);
            assert(@offsetOf(Registers, "rdi") == 32);
            assert(@offsetOf(Registers, "sp") == 56);
            assert(@offsetOf(Registers, "ip") == 128);
            assert(@offsetOf(Registers, "flags") == 136);
        },
        .aarch64 => {
            assert(@offsetOf(Registers, "x") == 0);
            assert(@offsetOf(Registers, "sp") == 248);
            assert(@offsetOf(Registers, "ip") == 256);
            assert(@offsetOf(Registers, "pstate") == 264);
        },
        else => {},
    }
}
