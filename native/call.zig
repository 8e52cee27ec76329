// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! Calls of C functions whose callbacks suspend. The work is in `switch_<arch>.S`: fringe_call_body
//! runs the function, the thunks are what C is given for callbacks. Here is what is not worth
//! assembly.

const std = @import("std");
const linux = std.os.linux;

/// C has called a thunk on a thread where no call is running: a callback that it kept, or one that
/// came on another thread. There is nobody to answer, and C must not go on with an invented value.
pub fn strayCallback() callconv(.c) noreturn {
    const message = "fringe: a callback was called where no call is running (after the call that" ++
        " it was passed to, or on another thread); there is nothing to suspend, so the process" ++
        " ends\n";
    _ = linux.write(2, message, message.len);
    std.process.abort();
}
