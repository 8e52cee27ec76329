// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! A stack in memory that somebody else owns: a static buffer, a part of another stack, memory of a
//! program without an operating system. It has no guard.

const sanitizer = @import("../watch/sanitizer.zig");
const stack_module = @import("stack.zig");
const Stack = stack_module.Stack;
const valgrind = @import("../watch/valgrind.zig");

pub const SliceStack = struct {
    memory: []u8,

    /// Both ends are aligned inward; what is left must be large enough to be of use.
    pub fn init(memory: []u8) error{TooSmall}!SliceStack {
        valgrind.register(try Stack.init(memory));
        return .{ .memory = memory };
    }

    /// The memory is no longer a stack. It stays its owner's.
    pub fn deinit(self: *SliceStack) void {
        sanitizer.forget(self.stack());
        valgrind.deregister(self.stack());
        self.* = undefined;
    }

    pub fn stack(self: SliceStack) Stack {
        return Stack.init(self.memory) catch unreachable; // init has checked the size.
    }
};

test "SliceStack keeps within the slice" {
    const std = @import("std");
    var memory: [2048]u8 = undefined;
    var slice_stack = try SliceStack.init(&memory);
    defer slice_stack.deinit();
    slice_stack.stack().check();
    try std.testing.expect(slice_stack.stack().limit >= @intFromPtr(&memory));
    try std.testing.expect(slice_stack.stack().base <= @intFromPtr(&memory) + memory.len);
}

test "SliceStack refuses what is too small" {
    const std = @import("std");
    var memory: [8]u8 = undefined;
    try std.testing.expectError(error.TooSmall, SliceStack.init(&memory));
}
