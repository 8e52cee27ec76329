// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! Callbacks on the alternate signal stack of a thread: sigaltstack(2), SA_ONSTACK. The kernel has
//! every handler begin at the top of that stack, unless the thread is on it at that moment.
//!
//!     C           raise()  ->  the kernel  ->  handler()  ->  thunk       on the alternate stack
//!     JavaScript  the callback's handler runs, on the thread's own stack
//!     the kernel  the next signal: its handler begins at the top of the alternate stack, where
//!                 handler() waits for its answer, and writes over it
//!
//! Such a signal is sure to come some day: V8's profiler, and faults that V8 or fringe handle, use
//! the same stack. So the process ends, at the callback, with a message.

const std = @import("std");
const os = @import("../os/os.zig").os;

/// Called where C has called a thunk on another stack than that of its call. Comes back if that is
/// no signal stack. To ask costs a system call, so it is not asked where the running stack is that
/// of the call; an alternate stack that C has made of a local variable there goes unnoticed.
pub fn refuseSignalStack() void {
    if (!os.isOnSignalStack()) return;
    const message = "fringe: C has called a callback in a signal handler, on the alternate" ++
        " signal stack, which the next signal would use, too. The handler cannot wait there for" ++
        " an answer, so the process ends. Install the handler without SA_ONSTACK, or have it" ++
        " note the signal for later\n";
    os.writeError(message);
    std.process.abort();
}
