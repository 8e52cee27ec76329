// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! What JavaScript needs of memory, and may not do itself under a path-scoped permission: to learn
//! an address, to make a pointer of one, and to copy out of memory that C owns.

const std = @import("std");

/// The word itself. The types under which JavaScript binds it do the conversion.
pub fn identity(word: usize) callconv(.c) usize {
    return word;
}

/// Copies `length` bytes; the ranges do not overlap.
pub fn copy(destination: [*]u8, source: [*]const u8, length: usize) callconv(.c) void {
    @memcpy(destination[0..length], source[0..length]);
}

/// The number of bytes before the terminating zero.
pub fn stringLength(string: [*:0]const u8) callconv(.c) usize {
    return std.mem.len(string);
}

test "copy copies, stringLength counts" {
    var bytes: [5]u8 = @splat(0xff);
    copy(&bytes, "abc\x00d", 5);
    try std.testing.expectEqualSlices(u8, "abc\x00d", &bytes);
    try std.testing.expectEqual(3, stringLength(@ptrCast(&bytes)));
    try std.testing.expectEqual(7, identity(7));
}
