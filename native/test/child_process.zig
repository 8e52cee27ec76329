// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! For tests of what ends a process: runs a function in a child process and tells how that ended.

const std = @import("std");
const linux = std.os.linux;

pub const End = union(enum) {
    exited: u8,
    killed: linux.SIG,
};

/// Runs `function` in a child. The child exits with 0 when it returns.
pub fn run(comptime function: fn () void) !End {
    // libc's, since its abort() goes by what libc knows of the thread.
    const pid = std.c.fork();
    if (pid < 0) return error.Unexpected;
    if (pid == 0) {
        // The handler that Zig installs would print a trace, on the stack that has just run out.
        const default: linux.Sigaction = .{
            .handler = .{ .handler = linux.SIG.DFL },
            .mask = linux.sigemptyset(),
            .flags = 0,
        };
        _ = linux.sigaction(.SEGV, &default, null);
        _ = linux.sigaction(.ABRT, &default, null);
        // Nobody wants to read the message of a child that ends as it should.
        _ = linux.close(2);
        const no_core: linux.rlimit = .{ .cur = 0, .max = 0 };
        _ = linux.setrlimit(.CORE, &no_core);
        function();
        linux.exit_group(0);
    }
    var status: i32 = undefined;
    if (linux.waitpid(pid, &status, 0) != @as(usize, @intCast(pid))) return error.Unexpected;
    const bits: u32 = @bitCast(status);
    if (linux.W.IFSIGNALED(bits)) return .{ .killed = linux.W.TERMSIG(bits) };
    return .{ .exited = linux.W.EXITSTATUS(bits) };
}
