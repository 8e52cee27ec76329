// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! Where a body stands: the addresses to which the functions of its call stack return, the
//! innermost first, as far as its own trampoline.
//!
//! A function of the body may run a generator of its own. If that calls back, the body is suspended
//! on the stack of the inner generator, and its call stack leads through the inner trampoline:
//!
//!     thunk -> inner body -> inner trampoline -> fringe_root -> a function of the body, which has
//!           resumed the inner one -> fringe_call_body -> the body's own trampoline
//!
//! So a trampoline is asked whose it is.

const arch = @import("../arch/arch.zig").arch;
const context_module = @import("../context/context.zig");
const Context = context_module.Context;
const unwinder = @import("unwinder.zig");

/// What a walk fills.
pub const Trace = struct {
    context: *const Context,
    addresses: []u64,
    length: usize = 0,
    /// The trace begins behind the frame that goes on at this address; 0: behind the first frame,
    /// which is that of fringe_trace.
    behind: usize,
    /// Whether the walk has come past that frame.
    begun: bool = false,

    fn visit(frame: *unwinder.Frame, argument: *anyopaque) callconv(.c) c_int {
        const self: *Trace = @ptrCast(@alignCast(argument));
        const address = unwinder.getIP.?(frame);
        if (isBelowBody(frame, self.context)) return unwinder.end_of_trace;
        if (self.length == self.addresses.len) return unwinder.end_of_trace;
        if (self.begun) {
            self.addresses[self.length] = address;
            self.length += 1;
        }
        self.begun = self.begun or self.behind == 0 or address == self.behind;
        return unwinder.no_reason;
    }
};

/// Whether a frame is the trampoline below the body of `context`, before that has begun or while it
/// runs. A body that has returned has left its trampoline at another place, from where its link
/// leads back into its stack; the frame of its fringe_root is the end then.
pub fn isBelowBody(frame: *unwinder.Frame, context: *const Context) bool {
    const address = unwinder.getIP.?(frame);
    const end = if (isTrampoline(address))
        @intFromPtr(context)
    else if (address == @intFromPtr(&context_module.fringe_root_return))
        @intFromPtr(context.link)
    else
        return false;
    return unwinder.getGR.?(frame, arch.frame_pointer) == end;
}

/// Whether a function returns to the trampoline of some context, or begins there.
pub fn isTrampoline(address: usize) bool {
    return address == @intFromPtr(&context_module.fringe_trampoline_return) or
        address == @intFromPtr(&context_module.fringe_trampoline_begin);
}

/// Of the body that is suspended in `context`. Runs on the stack of the caller.
pub fn ofSuspended(context: *Context, addresses: []u64) usize {
    var trace: Trace = .{ .context = context, .addresses = addresses, .behind = 0 };
    if (!unwinder.isComplete()) return 0;
    _ = context_module.fringe_trace(context.link, unwinder.backtrace.?, &Trace.visit, &trace);
    return trace.length;
}

/// Of the running body of `context`, behind the frame that goes on at the address `behind`.
pub fn ofRunning(context: *const Context, addresses: []u64, behind: usize) usize {
    var trace: Trace = .{ .context = context, .addresses = addresses, .behind = behind };
    if (!unwinder.isComplete()) return 0;
    _ = unwinder.backtrace.?(&Trace.visit, &trace);
    return trace.length;
}

// C ABI

/// Writes at most `count` addresses, and returns how many it has written.
pub fn suspended(context: *Context, addresses: [*]u64, count: u32) callconv(.c) u32 {
    return @intCast(ofSuspended(context, addresses[0..count]));
}
