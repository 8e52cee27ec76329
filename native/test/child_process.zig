// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! For tests of what ends a process: runs a function in a child process and tells how that ended.

const std = @import("std");
const c = std.c;

pub const End = union(enum) {
    exited: u8,
    killed: c.SIG,
};

/// Runs `function` in a child. The child exits with 0 when it returns.
pub fn run(comptime function: fn () void) !End {
    // libc's, since its abort() goes by what libc knows of the thread.
    const pid = std.c.fork();
    if (pid < 0) return error.Unexpected;
    if (pid == 0) {
        // The handler that Zig installs would print a trace, on the stack that has just run out.
        const default: c.Sigaction = .{
            .handler = .{ .handler = c.SIG.DFL },
            .mask = std.mem.zeroes(c.sigset_t),
            .flags = 0,
        };
        for ([_]c.SIG{ .SEGV, .BUS, .ABRT }) |signal| _ = c.sigaction(signal, &default, null);
        // Nobody wants to read the message of a child that ends as it should.
        _ = c.close(2);
        const no_core: c.rlimit = .{ .cur = 0, .max = 0 };
        _ = c.setrlimit(.CORE, &no_core);
        function();
        c._exit(0);
    }
    var status: c_int = undefined;
    if (c.waitpid(pid, &status, 0) != pid) return error.Unexpected;
    const bits: u32 = @bitCast(status);
    if (c.W.IFSIGNALED(bits)) return .{ .killed = c.W.TERMSIG(bits) };
    return .{ .exited = c.W.EXITSTATUS(bits) };
}
