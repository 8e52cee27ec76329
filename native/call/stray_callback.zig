// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! Calls of C functions whose callbacks suspend. The work is in `switch_<arch>.S`: fringe_call_body
//! runs the function, the thunks are what C is given for callbacks. Here is what is not worth
//! assembly.

const std = @import("std");
const jump = @import("jump.zig");
const os = @import("../os/os.zig").os;

/// C has called a thunk on a thread where no call is running. There is nothing to suspend, nobody
/// to answer, and C must not go on with an invented value. It may be in a signal handler, so this
/// does what one may: it writes and ends the process (signal-safety(7)).
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
