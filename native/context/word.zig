// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! Words: what a switch passes in a register. A value that is no word lies in the mailbox instead,
//! whose layout layout.zig owns.

const std = @import("std");

/// Whether a value of this type is passed as a word. Integers of at most 32 bits are, because V8
/// passes those fastest, and so is a bool; the mailbox carries all else.
pub fn isWord(comptime T: type) bool {
    return switch (@typeInfo(T)) {
        .bool => true,
        .int => |int| int.bits <= 32,
        else => false,
    };
}

/// A value of a word type as a word, its sign kept.
pub inline fn toWord(value: anytype) usize {
    const T = @TypeOf(value);
    if (T == bool) return @intFromBool(value);
    return switch (@typeInfo(T).int.signedness) {
        .signed => @bitCast(@as(isize, value)),
        .unsigned => value,
    };
}

/// The value that a word stands for. The word's upper bits may be anything: JavaScript passes 32.
pub inline fn fromWord(comptime T: type, word: usize) T {
    if (T == bool) return @as(u1, @truncate(word)) != 0;
    const bits = @typeInfo(T).int.bits;
    const Unsigned = @Int(.unsigned, bits);
    return @bitCast(@as(Unsigned, @truncate(word)));
}

test "toWord and fromWord keep every value, and fromWord ignores the upper bits" {
    inline for (.{ i8, i16, i32, u8, u16, u32 }) |T| {
        for ([_]T{ std.math.minInt(T), 0, 1, std.math.maxInt(T) }) |value| {
            try std.testing.expectEqual(value, fromWord(T, toWord(value)));
        }
    }
    try std.testing.expectEqual(@as(i8, -1), fromWord(i8, 0x12ff));
    try std.testing.expectEqual(true, fromWord(bool, toWord(true)));
    try std.testing.expectEqual(false, fromWord(bool, toWord(false)));
}
