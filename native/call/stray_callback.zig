// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! Stray callbacks: C calls a thunk on a thread where no call of fringe's is running, such as a
//! thread of its own. A callback suspends the call that it is called in, and there is none.

const std = @import("std");
const jump = @import("jump.zig");
const os = @import("../os/os.zig").os;

/// The thunk calls this. There is nobody to answer, and C must not go on with an answer that nobody
/// gave, so the process ends. C may be in a signal handler, hence no more than is allowed there is
/// done: a message is written (signal-safety(7)).
pub fn strayCallback() callconv(.c) noreturn {
    if (jump.isOnSuspendedStack(null)) jump.jumped();
    const message = "fringe: C has called a callback where none of fringe's calls is running: in" ++
        " a function that was called by Deno.dlopen, in a generator body, on a thread of its" ++
        " own, in the handler of a signal that came meanwhile, or after the call that the" ++
        " callback belongs to. There is nothing to suspend, so the process ends. Have a function" ++
        " call back that fringe's dlopen has called\n";
    os.writeError(message);
    std.process.abort();
}
