// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! Every outcome that crosses the C ABI, as a number that never changes. `ffi/library/status.ts`
//! has the same table, and a tidy test compares the two.

const linux = @import("std").os.linux;

/// What a context reports in its mailbox, and what a function of the C ABI returns.
pub const Status = enum(i32) {
    /// The body waits to be resumed. Also: the function has done what it was asked to.
    suspended = 0,
    /// The body has returned.
    returned = 1,
    /// The body was ended early: its frames have been unwound, their cleanups have run.
    unwound = 2,
    /// The body was ended early and could not be unwound: its frames are simply forgotten.
    abandoned = 3,
    /// The operating system has no more memory, or no more mappings for this process.
    out_of_memory = 4,
    /// The operating system refused for another reason.
    refused = 5,
    /// An exception has left the body and was caught; the mailbox's output is what exception.zig
    /// has to say about it. To be resumed once more, when that has been read.
    throwing = 6,
    /// An exception has left the body.
    thrown = 7,
    /// The body has used up its stack: its frames are forgotten, like those of an abandoned one.
    overflowed = 8,
};

/// Why the system does not give what was asked of it in good order.
pub const Refusal = error{ OutOfMemory, Refused };

/// Looks at what a system call has returned.
pub fn check(result: usize) Refusal!void {
    return switch (linux.errno(result)) {
        .SUCCESS => {},
        .NOMEM, .AGAIN => error.OutOfMemory,
        else => error.Refused,
    };
}

/// The same as a number.
pub fn fromRefusal(refusal: Refusal) Status {
    return switch (refusal) {
        error.OutOfMemory => .out_of_memory,
        error.Refused => .refused,
    };
}
