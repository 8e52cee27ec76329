// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! Stray callbacks: C calls a thunk on a thread where no call of fringe's is running, such as a
//! thread of its own. A callback suspends the call that it is called in, and there is none. If any
//! thread may call it, the thread waits (foreign_callback.zig).

const std = @import("std");
const foreign_callback = @import("foreign_callback.zig");
const jump = @import("jump.zig");
const layout = @import("../layout.zig");
const os = @import("../os/os.zig").os;

/// The thunk calls this, with a mailbox where the architecture has a Deno. Comes back with the
/// answer in it. Where there is nobody to answer C must not go on, so the process ends. C may be in
/// a signal handler, hence no more than is allowed there is done: a message is written
/// (signal-safety(7)).
pub fn strayCallback(call: ?*layout.Call) callconv(.c) void {
    if (call) |mailbox| if (foreign_callback.isAnswered(mailbox)) return;
    if (jump.isOnSuspendedStack(null)) jump.jumped();
    const message = "fringe: C has called a callback where none of fringe's calls is running: in" ++
        " a function that was called by Deno.dlopen, in a generator body, on a thread of its" ++
        " own, in the handler of a signal that came meanwhile, or after the call that the" ++
        " callback belongs to. There is nothing to suspend, so the process ends. Have a function" ++
        " call back that fringe's dlopen has called; for threads of C's make a Callback with" ++
        " { threads: true }\n";
    os.writeError(message);
    std.process.abort();
}
