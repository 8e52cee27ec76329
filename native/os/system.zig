// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! The way to the system: every system call of fringe's goes through `call`, so that the tests can
//! have any of them refused. In a program nothing is left of this but the system call.

const std = @import("std");
const builtin = @import("builtin");
const linux = std.os.linux;

/// Makes a system call: `call(linux.munmap, .{ address, length })`. Returns what the system does.
pub inline fn call(
    comptime function: anytype,
    arguments: std.meta.ArgsTuple(@TypeOf(function)),
) usize {
    if (builtin.is_test) if (refusals.next()) |refusal| return refusal;
    return @call(.auto, function, arguments);
}

/// Which calls are refused: counted from 0, those from `first` on, `count` of them.
pub const Refusals = struct {
    first: usize = 0,
    count: usize = 0,
    errno: linux.E = .NOMEM,
    /// How many calls there have been.
    calls: usize = 0,

    fn next(self: *Refusals) ?usize {
        defer self.calls += 1;
        if (self.calls < self.first or self.calls >= self.first + self.count) return null;
        return 0 -% @as(usize, @backingInt(self.errno));
    }
};

/// For the tests, which run one after the other. None: `.{}`.
pub var refusals: Refusals = .{};
