// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! Ends a suspended body early, by forced unwinding: the unwinder of the process walks the frames
//! of the body and runs their cleanups (C++ destructors, `__attribute__((cleanup))`), up to the
//! trampoline of the body. Itanium C++ ABI: Exception Handling, section 1.3.1,
//! `_Unwind_ForcedUnwind`.
//!
//! The unwinder begins on the stack of whoever ends the body (fringe_aside): so frames that have no
//! cleanups can be left however little room is below them. A survey is made before. Where it finds
//! a frame that must not be unwound, those that it has called are unwound, the innermost first as
//! ever, and the rest is abandoned.

const std = @import("std");
const backtrace = @import("backtrace.zig");
const context_module = @import("../context/context.zig");
const Context = context_module.Context;
const layout = @import("../layout.zig");
const Mailbox = layout.Mailbox;
const Status = layout.Status;
const os = @import("../os/os.zig").os;
const survey = @import("survey.zig");
const Survey = survey.Survey;
const unwinder = @import("unwinder.zig");
const Exception = unwinder.Exception;

/// A body may catch the unwinding (`catch (...)` without `throw;`) and suspend once more. Then it
/// is told again that it is to end. A body that has been told so many times is abandoned.
const attempts_max = 1000;

/// What is passed to a body that is ended, and what becomes of it.
const Ending = struct {
    /// What fringe_aside calls.
    function: Function = &unwindBody,
    context: *Context,
    exception: Exception = .{
        .class = 0x66726e67_7a696700, // "frngzig\0": nobody's exception but ours
        .cleanup = &swallowed,
    },
    /// Whether the frames are being unwound: from the first one on until somebody swallows it.
    unwinding: bool = false,
    /// What is known of the frames; its obstacle is where the unwinding is to stop.
    survey: Survey,

    const Function = context_module.Signal;

    fn begin(context: *Context, limit: usize, idle: ?*layout.IdlePlace) Ending {
        const found: Survey = if (!unwinder.isComplete())
            .{}
        else if (idle) |place|
            survey.remembering(context, limit, place)
        else
            survey.of(context, limit);
        return .{ .context = context, .survey = found };
    }

    /// Why it was not unwound.
    fn why(self: *const Ending) Why {
        if (!unwinder.isComplete()) return .{ .reason = .no_unwinder };
        const obstacle = self.survey.obstacle orelse return .{ .reason = .no_tables };
        return .{ .reason = obstacle.reason, .address = obstacle.place.address };
    }
};

/// Why a body is abandoned, and where.
pub const Why = struct { reason: layout.Abandonment = .none, address: usize = 0 };

/// Ends the suspended body of `context`. The result is never `suspended`. `limit` is the lowest
/// usable byte of its stack, 0 where nobody knows.
pub fn cancel(context: *Context, limit: usize) Status {
    var why: Why = .{};
    return end(context, limit, null, &why);
}

/// The same; writes down why the body is abandoned, if it is. `idle` is where this body has had
/// nothing to unwind, if the caller keeps that.
pub fn end(context: *Context, limit: usize, idle: ?*layout.IdlePlace, why: *Why) Status {
    const box: *Mailbox(u64, u64) = @ptrCast(@alignCast(context.mailbox));
    if (box.status != .suspended) return box.status;
    // On the resumer's stack: the body's frames, with all that lies on them, are about to go.
    var ending: Ending = undefined;
    why.* = for (0..attempts_max) |_| {
        // The body is suspended in a cleanup that an exception of its own runs. To unwind out of
        // the middle of an unwinding would end the process: compilers have it that no cleanup
        // throws.
        if (context.uncaught > 0) break .{ .reason = .suspended_in_cleanup };
        ending = .begin(context, limit, idle);
        const word = @intFromPtr(&ending.function);
        _ = context_module.fringe_signal(context, &context_module.fringe_aside, word);
        if (box.status == .abandoned) why.* = ending.why();
        if (box.status != .suspended) return box.status;
        // A cleanup that this unwinding runs has suspended: the same.
        if (ending.unwinding) break .{ .reason = .suspended_in_cleanup };
    } else .{ .reason = .swallowed };
    box.status = .abandoned;
    context.close();
    return box.status;
}

/// Called as by the suspended function, in place of going on; but on the resumer's stack.
fn unwindBody(context: *Context, word: usize) callconv(.c) noreturn {
    const function: *Ending.Function = @ptrFromInt(word);
    const ending: *Ending = @alignCast(@fieldParentPtr("function", function));
    if (ending.survey.is_idle) context_module.fringe_finish(context, .unwound);
    // If the innermost frame must not be unwound, none is.
    const begins = if (ending.survey.obstacle) |obstacle| !obstacle.is_innermost else true;
    if (begins and unwinder.isComplete()) {
        ending.unwinding = true;
        // Returns only when the frames cannot be walked, for want of tables.
        _ = unwinder.forcedUnwind.?(&ending.exception, &stop, ending);
    }
    context_module.fringe_finish(context, .abandoned);
}

fn swallowed(_: c_int, exception: *Exception) callconv(.c) void {
    const ending: *Ending = @fieldParentPtr("exception", exception);
    ending.unwinding = false;
}

/// Asked before each frame is left.
fn stop(
    version: c_int,
    actions: c_int,
    class: u64,
    exception: *Exception,
    frame: *unwinder.Frame,
    parameter: *anyopaque,
) callconv(.c) c_int {
    _ = .{ version, class, exception };
    const ending: *Ending = @ptrCast(@alignCast(parameter));
    if (backtrace.isBelowBody(frame, ending.context)) {
        context_module.fringe_finish(ending.context, .unwound);
    }
    const is_obstacle = if (ending.survey.obstacle) |obstacle| obstacle.isAt(frame) else false;
    if (is_obstacle or actions & unwinder.end_of_stack != 0) {
        context_module.fringe_finish(ending.context, .abandoned);
    }
    if (unwinder.getCFA) |getCFA| os.leaveHandler(unwinder.getIP.?(frame), getCFA(frame));
    return unwinder.no_reason; // On to the frame's cleanups and the next frame.
}

// C ABI

/// fringe_cancel of `include/fringe.h`.
pub fn cancelContext(context: *Context, limit: usize) callconv(.c) Status {
    return cancel(context, limit);
}

/// The same for a context with the mailbox of a call, where it writes why the body is abandoned.
pub fn endContext(
    context: *Context,
    limit: usize,
    idle: ?*layout.IdlePlace,
) callconv(.c) Status {
    var why: Why = .{};
    const status = end(context, limit, idle, &why);
    if (why.reason != .none) {
        const call: *layout.Call = @ptrCast(@alignCast(context.mailbox));
        call.generator.output.store(@backingInt(why.reason));
        call.output_float = why.address;
    }
    return status;
}
