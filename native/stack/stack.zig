// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! What a stack is, whatever it is made of. Nothing here allocates.

const std = @import("std");
const assert = std.debug.assert;
const layout = @import("../layout.zig");

pub const alignment = layout.stack_alignment;
pub const size_min = layout.stack_size_min;

/// A range of memory that a generator may run on. The contract:
///  * every byte from `limit` up to `base` can be read and written, and nobody else uses it;
///  * both ends are multiples of `alignment`;
///  * the memory stays where it is until the generator has finished.
pub const Stack = struct {
    /// One past the highest usable byte: the address at which the stack begins to grow down.
    base: usize,
    /// The lowest usable byte. A guard, where there is one, lies below it.
    limit: usize,

    pub fn init(memory: []u8) error{TooSmall}!Stack {
        const start = @intFromPtr(memory.ptr);
        const limit = std.mem.alignForward(usize, start, alignment);
        const base = std.mem.alignBackward(usize, start + memory.len, alignment);
        if (base < limit or base - limit < size_min) return error.TooSmall;
        return .{ .base = base, .limit = limit };
    }

    pub fn size(self: Stack) usize {
        return self.base - self.limit;
    }

    /// The lowest bytes.
    pub fn bottom(self: Stack) *[16]u8 {
        return @ptrFromInt(self.limit);
    }

    pub fn check(self: Stack) void {
        assert(self.base % alignment == 0);
        assert(self.limit % alignment == 0);
        assert(self.base > self.limit);
        assert(self.base - self.limit >= size_min);
    }
};

/// A stack below which lie pages that fault: running off its end stops the process instead
/// of writing over something. Only who makes one may say so.
pub const GuardedStack = struct { stack: Stack };

test "Stack.init aligns both ends inward" {
    var memory: [1024 + 2 * alignment]u8 align(alignment) = undefined;
    for (0..alignment) |offset| {
        const slice = memory[offset..][0..1024];
        const stack = try Stack.init(slice);
        stack.check();
        try std.testing.expect(stack.limit >= @intFromPtr(slice.ptr));
        try std.testing.expect(stack.base <= @intFromPtr(slice.ptr) + slice.len);
        try std.testing.expect(stack.size() > 1024 - 2 * alignment);
    }
}

test "Stack.init refuses what is too small, empty or vanishes when aligned" {
    var memory: [1024]u8 align(alignment) = undefined;
    try std.testing.expectError(error.TooSmall, Stack.init(memory[0..0]));
    try std.testing.expectError(error.TooSmall, Stack.init(memory[1..2]));
    try std.testing.expectError(error.TooSmall, Stack.init(memory[0 .. size_min - 1]));
    _ = try Stack.init(memory[0..size_min]);
}
