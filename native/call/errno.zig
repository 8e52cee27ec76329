// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! errno, which each thread has one of. While C waits for the answer of a callback, JavaScript and
//! other calls run on its thread, and leave something else there. So `switch_<arch>.S` keeps what C
//! had: a thunk reads it before it suspends, and writes it before C goes on.

const os = @import("../os/os.zig").os;

/// Where the running thread's errno is: the same place for as long as the thread lives.
pub fn location() callconv(.c) *c_int {
    return os.errnoLocation();
}
