// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! The Zig face of `switch_<arch>.S`, which owns the layout of frames and explains it. A context is
//! the control block at the top of a fringe stack; everything that suspends and resumes is built on
//! it.
//!
//! The two inline functions are SWITCH of that file with every register clobbered, so that the
//! compiler saves just what it needs: libfringe's "compiler-assisted register spilling".

const std = @import("std");
const assert = std.debug.assert;
const builtin = @import("builtin");
const arch = builtin.cpu.arch;
const sanitizer = @import("../watch/sanitizer.zig");
const Stack = @import("../stack/stack.zig").Stack;
const unwinder = @import("../unwind/unwinder.zig");

/// The beginning of a context, as far as anything but the assembly reads it.
pub const Context = extern struct {
    /// The stack pointer of the side that is not running: it points at that side's record.
    link: *Record,
    /// For frame-pointer walkers: as if the trampoline had been called from fringe_root.
    return_address: usize,
    body: *const anyopaque,
    mailbox: *anyopaque,
    /// What has to be exchanged with each switch; see EXCHANGING.
    exceptions: Exceptions,
    /// C++'s exception state of the side that is not running.
    caught: ?*anyopaque,
    uncaught: usize,
    /// What `fringe_current` was before it became this context.
    previous: ?*Context,
    /// Whether exceptions that leave the body are caught.
    catches: usize,
    /// What has been written down about one that comes.
    report: ?*anyopaque,
    /// Nothing, but for AddressSanitizer.
    fiber: sanitizer.Fiber,
};

/// Where the exception state of a thread is: a function, unless it is one of these.
pub const Exceptions = enum(usize) { none = 0, finished = 1, _ };

/// What a suspended side has left below its stack pointer: a frame record.
pub const Record = extern struct {
    frame_pointer: usize,
    resume_address: usize,
};

/// What a body is told in place of being resumed: it is to end. A function that unwinds; it gets
/// the context and the word of whoever ends it.
pub const Signal = *const fn (context: *Context, word: usize) callconv(.c) noreturn;

extern fn fringe_init(base: usize, body: *const anyopaque, mailbox: *anyopaque) *Context;
pub extern fn fringe_resume(context: *Context, word: usize) usize;
pub extern fn fringe_signal(context: *Context, signal: Signal, word: usize) usize;
pub extern fn fringe_suspend(context: *Context, word: usize) usize;
pub extern fn fringe_finish(context: *Context, status: @import("status.zig").Status) noreturn;
pub extern fn fringe_exchange(context: *Context) void;
pub extern fn fringe_leave_current(context: *Context) void;
pub extern fn fringe_trace(
    link: *Record,
    backtrace: unwinder.Backtrace,
    visit: unwinder.Visit,
    argument: *anyopaque,
) c_int;
pub extern const fringe_root_return: u8;
pub extern const fringe_trampoline_begin: u8;
pub extern const fringe_trampoline_return: u8;
pub extern const fringe_trampoline_caught: u8;

/// Makes a context at the top of a stack. `body` is a C function `fn (yielder, first_input)`.
pub fn init(stack: Stack, body: *const anyopaque, mailbox: *anyopaque) *Context {
    // What fringe_root asks. Only here, because a library of bodies has no need of it.
    comptime _ = @import("../unwind/exception.zig");
    stack.check();
    const context = fringe_init(stack.base, body, mailbox);
    assert(@intFromPtr(context) % 16 == 0);
    assert(@intFromPtr(context) > stack.limit);
    assert(@intFromPtr(context.link) > stack.limit);
    assert(context.mailbox == mailbox);
    sanitizer.begin(context, stack);
    return context;
}

/// Into a suspended body: passes it a word, comes back with the body's. `signal` is 0, or a
/// `Signal`.
pub inline fn switchToBody(context: *Context, word: usize, signal: usize) usize {
    var rdi: usize = undefined;
    var rsi: usize = undefined;
    sanitizer.leave(context);
    defer sanitizer.arrive(context);
    keepFramePointer();
    return switch (registers) {
        .x86_64 => asm volatile (switch_text
            : [result] "={rax}" (-> usize),
              [rdi] "={rdi}" (rdi),
              [rsi] "={rsi}" (rsi),
            : [context] "{rdi}" (context),
              [word] "{rsi}" (word),
              [signal] "{rax}" (signal),
            : clobbers),
        .x86_64_masks => masks: {
            var k: u16 = undefined;
            break :masks asm volatile (switch_text
                : [result] "={rax}" (-> usize),
                  [rdi] "={rdi}" (rdi),
                  [rsi] "={rsi}" (rsi),
                  [k0] "={k0}" (k),
                  [k1] "={k1}" (k),
                  [k2] "={k2}" (k),
                  [k3] "={k3}" (k),
                  [k4] "={k4}" (k),
                  [k5] "={k5}" (k),
                  [k6] "={k6}" (k),
                  [k7] "={k7}" (k),
                : [context] "{rdi}" (context),
                  [word] "{rsi}" (word),
                  [signal] "{rax}" (signal),
                : clobbers);
        },
        .x86 => asm volatile (switch_text
            : [result] "={eax}" (-> usize),
              [edi] "={edi}" (rdi),
              [esi] "={esi}" (rsi),
            : [context] "{edi}" (context),
              [word] "{esi}" (word),
              [signal] "{eax}" (signal),
            : clobbers),
    };
}

/// Out of a running body: passes the resumer a word, comes back with its word and its signal.
pub inline fn switchToResumer(context: *Context, word: usize, signal: *usize) usize {
    var rdi: usize = undefined;
    var rax: usize = undefined;
    sanitizer.leave(context);
    defer sanitizer.arrive(context);
    keepFramePointer();
    const result = switch (registers) {
        .x86_64 => asm volatile (switch_text
            : [result] "={rsi}" (-> usize),
              [rdi] "={rdi}" (rdi),
              [rax] "={rax}" (rax),
            : [context] "{rdi}" (context),
              [word] "{rax}" (word),
            : clobbers),
        .x86_64_masks => masks: {
            var k: u16 = undefined;
            break :masks asm volatile (switch_text
                : [result] "={rsi}" (-> usize),
                  [rdi] "={rdi}" (rdi),
                  [rax] "={rax}" (rax),
                  [k0] "={k0}" (k),
                  [k1] "={k1}" (k),
                  [k2] "={k2}" (k),
                  [k3] "={k3}" (k),
                  [k4] "={k4}" (k),
                  [k5] "={k5}" (k),
                  [k6] "={k6}" (k),
                  [k7] "={k7}" (k),
                : [context] "{rdi}" (context),
                  [word] "{rax}" (word),
                : clobbers);
        },
        .x86 => asm volatile (switch_text
            : [result] "={esi}" (-> usize),
              [edi] "={edi}" (rdi),
              [eax] "={eax}" (rax),
            : [context] "{edi}" (context),
              [word] "{eax}" (word),
            : clobbers),
    };
    signal.* = rax;
    return result;
}

/// Naming the frame address makes the compiler keep a frame pointer, so that the call frame
/// information of the function holds while a switch moves the stack pointer.
inline fn keepFramePointer() void {
    asm volatile (""
        :
        : [frame] "r" (@frameAddress()),
    );
}

/// Which registers the compiler may keep something in. Zig's list of clobbers has no mask
/// registers, so where AVX-512 is used they are written down as outputs.
const registers: enum { x86, x86_64, x86_64_masks } = switch (arch) {
    .x86_64 => if (has(.avx512f)) .x86_64_masks else .x86_64,
    .x86 => if (has(.avx512f)) @compileError("fringe does without AVX-512 on x86") else .x86,
    else => @compileError("fringe has no switch_" ++ @tagName(arch) ++ ".S yet"),
};
comptime {
    if (has(.egpr)) @compileError("fringe does not save the registers of Intel APX yet");
    if (!has(.sse2)) @compileError("fringe needs SSE2: Zig cannot say that a switch destroys x87");
}

fn has(feature: std.Target.x86.Feature) bool {
    return std.Target.x86.featureSetHas(builtin.cpu.features, feature);
}

/// SWITCH of `switch_<arch>.S`, word for word; a tidy test compares them.
pub const switch_text = switch (arch) {
    .x86_64 =>
    \\lea     -144(%%rsp), %%rsp
    \\lea     1f(%%rip), %%rcx
    \\mov     %%rbp, (%%rsp)
    \\mov     %%rcx, 8(%%rsp)
    \\mov     %%rsp, %%r8
    \\mov     (%%rdi), %%rdx
    \\mov     8(%%rdx), %%rcx
    \\mov     (%%rdx), %%rbp
    \\mov     %%r8, (%%rdi)
    \\lea     144(%%rdx), %%rsp
    \\jmp     *%%rcx
    \\int3
    \\1:
    ,
    .x86 =>
    \\lea     -8(%%esp), %%esp
    \\call    2f
    \\2: pop  %%ecx
    \\lea     1f-2b(%%ecx), %%ecx
    \\mov     %%ebp, (%%esp)
    \\mov     %%ecx, 4(%%esp)
    \\mov     %%esp, %%ebx
    \\mov     (%%edi), %%edx
    \\mov     4(%%edx), %%ecx
    \\mov     (%%edx), %%ebp
    \\mov     %%ebx, (%%edi)
    \\lea     8(%%edx), %%esp
    \\jmp     *%%ecx
    \\int3
    \\1:
    ,
    else => "",
};

/// Every register but those that make the frame, and those that carry something over.
///  * xmm stands for the whole of ymm and zmm. The reverse does not hold: LLVM passes over names of
///    registers that the target does not have, silently.
///  * The x87 stack is missing, because Zig's "st0" is such a name (LLVM has "st" and "st(1)"). So
///    a value of 80 bits (`f80`, `c_longdouble`) must not be kept over an inlined switch; a
///    function that needs one calls `fringe_suspend`. Narrower types are never there, given SSE2.
const clobbers: std.builtin.assembly.Clobbers = blk: {
    @setEvalBranchQuota(100_000);
    var all: std.builtin.assembly.Clobbers = .{ .memory = true, .cc = true };
    const names = switch (arch) {
        .x86_64 => .{ "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15" } ++
            numbered("xmm", 32),
        .x86 => .{ "ebx", "ecx", "edx" } ++ numbered("xmm", 8),
        else => .{},
    };
    for (names) |name| @field(all, name) = true;
    break :blk all;
};

fn numbered(comptime prefix: []const u8, comptime count: usize) [count][]const u8 {
    var names: [count][]const u8 = undefined;
    for (&names, 0..) |*name, i| name.* = std.fmt.comptimePrint("{s}{d}", .{ prefix, i });
    return names;
}
