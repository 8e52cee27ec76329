// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! Jumps from one stack into another: `longjmp`, and what is built on it, such as `lua_error`.
//!
//! Such a jump may go up within one stack. It must not go from a call into another call, whose
//! function waits for the answer of a handler: that function would go on while fringe takes it
//! to be suspended, and the call that was left would be believed to run.
//!
//!     stack of A   sort() -> compare()             suspended in a callback, `link` leads to here
//!     thread       the handler calls fail()
//!     stack of B   fail() -> longjmp()             into sort(), while B is the current context
//!
//! Nothing sees the jump itself. `switch_x86_64.S` looks when C next calls a thunk, whether the
//! running stack is that of the current context, and when the body of a context returns, whether
//! that context was running. Neither call can be saved then, so the process ends.

const std = @import("std");
const arch = @import("../arch/arch.zig").arch;
const context_module = @import("../context/context.zig");
const Context = context_module.Context;
const os = @import("../os/os.zig").os;
const signal_stack = @import("signal_stack.zig");
const spare_stack = @import("../stack/spare_stack.zig");
const thread = @import("thread.zig");
const unwinder = @import("../unwind/unwinder.zig");

/// C has called a thunk, and the running stack is not that of `current`, the call that this thread
/// is in. Ends the process if the running stack is that of a suspended body, or the alternate
/// signal stack. Comes back if it is any other:
///  * the stack of a generator that C has resumed, and whose body calls back;
///  * a stack that C has made (makecontext(3)).
/// A stack of C's may be small, so the frames are walked on a spare stack.
///
/// A call that has a thread of its own comes here with each callback, since no stack is that of its
/// context. It waits here, and true says that the callback has its answer: nothing is switched.
pub fn judgeStack(current: *Context) callconv(.c) bool {
    if (thread.isAnswered(current)) |is_answered| return is_answered;
    signal_stack.refuseSignalStack();
    if (isOnSuspendedStack(current)) jumped();
    return false;
}

/// Whether the running stack is that of a suspended body. `current` is null where the thread is in
/// no call.
pub fn isOnSuspendedStack(current: ?*Context) bool {
    var walk: Walk = .{ .current = current };
    _ = spare_stack.run(&walk, Walk.run);
    return walk.is_suspended;
}

/// Follows the frames, from stack to stack, until it finds a body that is suspended or `current`.
const Walk = struct {
    current: ?*Context,
    is_suspended: bool = false,

    fn run(self: *Walk) void {
        const backtrace = unwinder.backtrace orelse return;
        // Without an unwinder there is nothing to go by.
        if (unwinder.getIP == null or unwinder.getGR == null) return;
        _ = backtrace(&visit, self);
    }

    fn visit(frame: *unwinder.Frame, argument: *anyopaque) callconv(.c) c_int {
        const self: *Walk = @ptrCast(@alignCast(argument));
        const address = unwinder.getIP.?(frame);
        if (address != @intFromPtr(&context_module.fringe_trampoline_return)) {
            return unwinder.no_reason;
        }
        const context: *Context = @ptrFromInt(unwinder.getGR.?(frame, arch.frame_pointer));
        self.is_suspended = isSuspended(context);
        const is_decided = self.is_suspended or context == self.current;
        return if (is_decided) unwinder.end_of_trace else unwinder.no_reason;
    }
};

/// Whether the link of a context leads into its own stack. That of a running one leads to another.
fn isSuspended(context: *const Context) bool {
    const link = @intFromPtr(context.link);
    return context.limit != 0 and context.limit <= link and link < @intFromPtr(context);
}

/// Says what has happened, and ends the process.
pub fn jumped() callconv(.c) noreturn {
    const message = "fringe: C has jumped (longjmp, lua_error, ...) out of one call into the" ++
        " frames of another, which is suspended: it waits for the answer of a callback. Both are" ++
        " lost, so the process ends. A function that jumps must not be called by fringe in a" ++
        " handler: have the handler return tailCall(f, ...), and C itself calls it\n";
    os.writeError(message);
    std.process.abort();
}
