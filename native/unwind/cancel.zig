// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! Ends a suspended body early, by forced unwinding: the unwinder of the process walks the frames
//! of the body and runs their cleanups (C++ destructors, `__attribute__((cleanup))`), up to the
//! trampoline. Itanium C++ ABI: Exception Handling, section 1.3.1, `_Unwind_ForcedUnwind`.

const std = @import("std");
const context_module = @import("../context/context.zig");
const Context = context_module.Context;
const layout = @import("../layout.zig");
const Mailbox = layout.Mailbox;
const Status = layout.Status;
const os = @import("../os/os.zig").os;
const personality = @import("personality.zig");
const unwinder = @import("unwinder.zig");
const Exception = unwinder.Exception;

/// A body may catch the unwinding (`catch (...)` without `throw;`) and suspend once more. It is
/// told again, so many times; then it is abandoned.
const attempts_max = 1000;

/// What is passed to a body that is ended.
const Ending = struct {
    exception: Exception = .{
        .class = 0x66726e67_7a696700, // "frngzig\0": nobody's exception but ours
        .cleanup = &swallowed,
    },
    /// Whether the frames are being unwound: from the first one on until somebody swallows it.
    unwinding: bool = false,
    /// The lowest usable byte of the body's stack.
    limit: usize,
};

/// Ends the suspended body of `context`. The result is never `suspended`. `limit` is the lowest
/// usable byte of its stack, 0 where nobody knows.
pub fn cancel(context: *Context, limit: usize) Status {
    const box: *Mailbox(u64, u64) = @ptrCast(@alignCast(context.mailbox));
    if (box.status != .suspended) return box.status;
    // On the resumer's stack: the body's frames, with all that lies on them, are about to go.
    var ending: Ending = undefined;
    for (0..attempts_max) |_| {
        if (!personality.areOurs(context)) break;
        // It is suspended in a cleanup that an exception of its own runs: as below.
        if (context.uncaught > 0) break;
        ending = .{ .limit = limit };
        _ = context_module.fringe_signal(context, &unwindBody, @intFromPtr(&ending));
        if (box.status != .suspended) return box.status;
        // A cleanup has suspended. To unwind it as well, out of the middle of an unwinding, would
        // end the process: compilers have it that no cleanup throws.
        if (ending.unwinding) break;
    }
    box.status = .abandoned;
    context.exceptions = .finished; // Nor is it resumed.
    return box.status;
}

/// Called by a suspended function, on its stack, in place of going on.
fn unwindBody(context: *Context, word: usize) callconv(.c) noreturn {
    const ending: *Ending = @ptrFromInt(word);
    // An unwinder that ran off the stack would be worse than frames that are forgotten.
    const has_room = @frameAddress() > ending.limit +| layout.headroom_min;
    if (has_room and unwinder.forcedUnwind != null and unwinder.getIP != null) {
        ending.unwinding = true;
        // Returns only when the frames cannot be walked, for want of tables.
        _ = unwinder.forcedUnwind.?(&ending.exception, &stop, context);
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
    const context: *Context = @ptrCast(@alignCast(parameter));
    if (unwinder.getIP.?(frame) == @intFromPtr(&context_module.fringe_trampoline_return)) {
        context_module.fringe_finish(context, .unwound);
    }
    if (actions & unwinder.end_of_stack != 0) context_module.fringe_finish(context, .abandoned);
    if (unwinder.getCFA) |getCFA| os.leaveHandler(unwinder.getIP.?(frame), getCFA(frame));
    return unwinder.no_reason; // On to the frame's cleanups and the next frame.
}

// C ABI

pub fn cancelContext(context: *Context, limit: usize) callconv(.c) Status {
    return cancel(context, limit);
}
