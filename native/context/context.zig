// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! The Zig face of `switch_<arch>.S`, which owns the layout of frames and explains it. A context is
//! the control block at the top of a fringe stack; everything that suspends and resumes is built on
//! it.
//!
//! The two inline functions are SWITCH of that file with every register clobbered (`arch/` has the
//! text and the registers), so that the compiler saves just what it needs: libfringe's
//! "compiler-assisted register spilling".

const std = @import("std");
const assert = std.debug.assert;
const arch = @import("../arch/arch.zig").arch;
const sanitizer = @import("../watch/sanitizer.zig");
const Status = @import("../layout.zig").Status;
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
    /// Where the thread's C++ exceptions are, which have to be exchanged; see EXCHANGES.
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
    /// What has to be exchanged with each switch.
    exchanges: Exchanges,
    /// The control words of the side that is not running.
    control: arch.Control,
    /// The lowest usable byte of the stack, 0 where it is not known.
    limit: usize,
    /// The last page of another stack where a callback was found to be in its right place.
    judged: usize,
    /// Nothing, but for AddressSanitizer.
    fiber: sanitizer.Fiber align(16),

    /// Has nothing enter the body any more.
    pub fn close(self: *Context) void {
        self.exceptions = .finished;
        self.exchanges.exceptions = true;
    }
};

/// See EXCHANGES in `switch_x86_64.S`.
pub const Exchanges = packed struct(usize) {
    exceptions: bool,
    control: bool,
    native: bool,
    first: bool,
    padding: @Int(.unsigned, @bitSizeOf(usize) - 4) = 0,

    /// Whether there is anything to exchange in an inlined switch, which compares no control words,
    /// so that it makes no difference there whether the resumer is native, or has come before.
    pub fn any(self: Exchanges) bool {
        return self.exceptions or self.control;
    }

    /// Whether fringe_resume would do no more than switch, and compare the words of the two sides.
    pub fn isNone(self: Exchanges) bool {
        return @as(usize, @bitCast(self)) == 0;
    }
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
pub extern fn fringe_finish(context: *Context, status: Status) noreturn;
pub extern fn fringe_aside(context: *Context, function: usize) noreturn;
pub extern fn fringe_exchange(context: *Context) void;
pub extern fn fringe_exchange_control(context: *Context) void;
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
    // The personality routine of fringe_trampoline. It is imported here, where contexts are made,
    // since a library of bodies makes none and has no need of it.
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
    sanitizer.leave(context);
    defer sanitizer.arrive(context);
    keepFramePointer();
    return arch.switchToBody(context, word, signal);
}

/// Out of a running body: passes the resumer a word, comes back with its word and its signal.
pub inline fn switchToResumer(context: *Context, word: usize, signal: *usize) usize {
    sanitizer.leave(context);
    defer sanitizer.arrive(context);
    keepFramePointer();
    return arch.switchToResumer(context, word, signal);
}

/// Naming the frame address makes the compiler keep a frame pointer, so that the call frame
/// information of the function holds while a switch moves the stack pointer.
inline fn keepFramePointer() void {
    asm volatile (""
        :
        : [frame] "r" (@frameAddress()),
    );
}
