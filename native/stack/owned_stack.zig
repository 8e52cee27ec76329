// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! A stack in memory from an allocator, which the object owns. It has no guard.

const std = @import("std");
const sanitizer = @import("../watch/sanitizer.zig");
const stack_module = @import("stack.zig");
const Stack = stack_module.Stack;
const valgrind = @import("../watch/valgrind.zig");

pub const OwnedStack = struct {
    memory: []align(stack_module.alignment) u8,

    /// Allocates `size` bytes, rounded up to the alignment of stacks.
    pub fn init(
        allocator: std.mem.Allocator,
        size: usize,
    ) error{ OutOfMemory, TooSmall }!OwnedStack {
        if (size < stack_module.size_min) return error.TooSmall;
        const rounded = std.mem.alignForward(usize, size, stack_module.alignment);
        const owned: OwnedStack = .{ .memory = try allocator.alignedAlloc(u8, .@"16", rounded) };
        valgrind.register(owned.stack());
        return owned;
    }

    pub fn deinit(self: *OwnedStack, allocator: std.mem.Allocator) void {
        sanitizer.forget(self.stack());
        valgrind.deregister(self.stack());
        allocator.free(self.memory);
        self.* = undefined;
    }

    pub fn stack(self: OwnedStack) Stack {
        return Stack.init(self.memory) catch unreachable; // init has checked the size.
    }
};

test "OwnedStack has exactly the size that was asked for, aligned" {
    var owned = try OwnedStack.init(std.testing.allocator, 1024);
    defer owned.deinit(std.testing.allocator);
    owned.stack().check();
    try std.testing.expectEqual(1024, owned.stack().size());
}

test "OwnedStack refuses what is too small" {
    const allocator = std.testing.allocator;
    try std.testing.expectError(error.TooSmall, OwnedStack.init(allocator, 0));
    try std.testing.expectError(error.TooSmall, OwnedStack.init(allocator, 511));
}
