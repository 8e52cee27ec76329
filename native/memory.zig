// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! What JavaScript needs of memory, and may not do itself under a path-scoped permission: to learn
//! an address, to make a pointer of one, and to read and write memory that C owns.

const std = @import("std");

/// The word itself. The types under which JavaScript binds it do the conversion.
pub fn identity(word: usize) callconv(.c) usize {
    return word;
}

/// Copies `length` bytes; the ranges may overlap.
pub fn copy(destination: [*]u8, source: [*]const u8, length: usize) callconv(.c) void {
    @memmove(destination[0..length], source[0..length]);
}

/// The value `offset` bytes behind an address, which need not be aligned.
pub fn load(comptime T: type) fn (base: usize, offset: i32) callconv(.c) T {
    return struct {
        fn load(base: usize, offset: i32) callconv(.c) T {
            const address = base +% @as(usize, @bitCast(@as(isize, offset)));
            return @as(*align(1) const T, @ptrFromInt(address)).*;
        }
    }.load;
}

/// The number of bytes before the terminating zero.
pub fn stringLength(string: [*:0]const u8) callconv(.c) usize {
    return std.mem.len(string);
}

test "load reads at any address, with either sign of the offset" {
    const bytes: [12]u8 = .{ 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 };
    const middle = @intFromPtr(&bytes[4]);
    try std.testing.expectEqual(7, load(u8)(middle, 3));
    try std.testing.expectEqual(0x0201, load(u16)(middle, -3));
    try std.testing.expectEqual(0x0a090807, load(u32)(middle, 3));
    try std.testing.expectEqual(0x0807060504030201, load(u64)(middle, -3));
    try std.testing.expectEqual(@as(f32, @bitCast(@as(u32, 0x08070605))), load(f32)(middle, 1));
}

test "copy copies, stringLength counts" {
    var bytes: [5]u8 = @splat(0xff);
    copy(&bytes, "abc\x00d", 5);
    try std.testing.expectEqualSlices(u8, "abc\x00d", &bytes);
    try std.testing.expectEqual(3, stringLength(@ptrCast(&bytes)));
    try std.testing.expectEqual(7, identity(7));
}
