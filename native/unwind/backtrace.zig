// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! Where a body stands: the addresses to which the functions on its stack return, the innermost
//! first, as far as the trampoline.

const context_module = @import("../context/context.zig");
const Context = context_module.Context;
const unwinder = @import("unwinder.zig");

/// What a walk fills.
pub const Trace = struct {
    addresses: []u64,
    length: usize = 0,
    /// The frame behind which it begins goes on there; 0 is the first, that of fringe_trace.
    behind: usize,
    begun: bool = false,

    fn visit(frame: *unwinder.Frame, argument: *anyopaque) callconv(.c) c_int {
        const self: *Trace = @ptrCast(@alignCast(argument));
        const address = unwinder.getIP.?(frame);
        if (isBelowBody(address) or self.length == self.addresses.len) return unwinder.end_of_trace;
        if (self.begun) {
            self.addresses[self.length] = address;
            self.length += 1;
        }
        self.begun = self.begun or self.behind == 0 or address == self.behind;
        return unwinder.no_reason;
    }
};

/// Whether a frame is the trampoline below a body, before that has begun or while it runs, or
/// fringe_root, from which a link may lead back into the stack.
pub fn isBelowBody(address: usize) bool {
    return address == @intFromPtr(&context_module.fringe_trampoline_return) or
        address == @intFromPtr(&context_module.fringe_trampoline_begin) or
        address == @intFromPtr(&context_module.fringe_root_return);
}

/// Of the body that is suspended in `context`. Runs on the stack of the caller.
pub fn ofSuspended(context: *Context, addresses: []u64) usize {
    var trace: Trace = .{ .addresses = addresses, .behind = 0 };
    if (unwinder.backtrace == null or unwinder.getIP == null) return 0;
    _ = context_module.fringe_trace(context.link, unwinder.backtrace.?, &Trace.visit, &trace);
    return trace.length;
}

/// Of the body that is running, behind the frame that goes on at the address `behind`.
pub fn ofRunning(addresses: []u64, behind: usize) usize {
    var trace: Trace = .{ .addresses = addresses, .behind = behind };
    if (unwinder.backtrace == null or unwinder.getIP == null) return 0;
    _ = unwinder.backtrace.?(&Trace.visit, &trace);
    return trace.length;
}

// C ABI

/// Writes at most `count` addresses, and returns how many it has written.
pub fn suspended(context: *Context, addresses: [*]u64, count: u32) callconv(.c) u32 {
    return @intCast(ofSuspended(context, addresses[0..count]));
}
