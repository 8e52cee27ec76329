// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! What JavaScript needs of memory, and may not do itself under a path-scoped permission: to learn
//! an address, to make a pointer of one, and to read and write memory that C owns.

const std = @import("std");

/// How deep the stack is that this is called on: the address of a frame, in units of 16 bytes, so
/// that V8 passes it in a register. Less is deeper.
pub fn depth() callconv(.c) u32 {
    return @truncate(@frameAddress() / 16);
}

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

/// Copies `size` bytes to what lies `offset` bytes behind an address.
pub fn store(base: usize, offset: i32, source: [*]const u8, size: u32) callconv(.c) void {
    const address = base +% @as(usize, @bitCast(@as(isize, offset)));
    copy(@ptrFromInt(address), source, size);
}

/// Copies a string without its terminating zero, as much of it as there is room for; returns its
/// length. What does not fit has been read all the same, and a string of 4 GiB is none.
pub fn copyString(destination: [*]u8, string: [*:0]const u8, capacity: u32) callconv(.c) u32 {
    // An aligned vector lies in one page, so what it has before and behind the string is readable.
    const Vector = @Vector(16, u8);
    const zeros: Vector = @splat(0);
    const start = @intFromPtr(string);
    var at = std.mem.alignBackward(usize, start, @sizeOf(Vector));
    const before: u4 = @intCast(start - at);
    var ends: u16 = @bitCast(@as(*const Vector, @ptrFromInt(at)).* == zeros);
    ends = ends >> before << before;
    while (ends == 0) {
        at += @sizeOf(Vector);
        ends = @bitCast(@as(*const Vector, @ptrFromInt(at)).* == zeros);
    }
    const length = at + @ctz(ends) - start;
    copy(destination, string, @min(length, capacity));
    return @intCast(@min(length, std.math.maxInt(u32)));
}

test "depth is less in a function that is called" {
    const deeper = struct {
        noinline fn deeper() u32 {
            var frame: [64]u8 = undefined;
            std.mem.doNotOptimizeAway(&frame);
            return @call(.never_inline, depth, .{});
        }
    }.deeper;
    try std.testing.expect(deeper() < @call(.never_inline, depth, .{}));
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

test "copy copies, also onto itself" {
    var bytes = "abc\x00d".*;
    copy(bytes[1..].ptr, &bytes, 4);
    try std.testing.expectEqualSlices(u8, "aabc\x00", &bytes);
    try std.testing.expectEqual(7, identity(7));
}

test "copyString copies what there is room for, and says how long the string is" {
    var bytes: [4]u8 = @splat(0xff);
    try std.testing.expectEqual(3, copyString(&bytes, "abc", 4));
    try std.testing.expectEqualSlices(u8, "abc\xff", &bytes);
    try std.testing.expectEqual(6, copyString(&bytes, "defghi", 4));
    try std.testing.expectEqualSlices(u8, "defg", &bytes);
    try std.testing.expectEqual(0, copyString(&bytes, "", 0));
}

test "copyString finds the end wherever it lies, also at the end of a page" {
    const page = std.heap.pageSize();
    const linux = std.os.linux;
    const address = linux.mmap(
        null,
        2 * page,
        .{ .READ = true, .WRITE = true },
        .{ .TYPE = .PRIVATE, .ANONYMOUS = true },
        -1,
        0,
    );
    const bytes = @as([*]u8, @ptrFromInt(address))[0..page];
    try std.testing.expectEqual(0, linux.munmap(bytes.ptr + page, page));
    defer _ = linux.munmap(bytes.ptr, page);
    var copied: [128]u8 = undefined;
    for (0..100) |length| {
        // A zero before the string is not its end.
        @memset(bytes, 0);
        const string = bytes[page - 1 - length .. page - 1];
        @memset(string, 'x');
        const found = copyString(&copied, @ptrCast(string.ptr), copied.len);
        try std.testing.expectEqual(length, found);
        try std.testing.expectEqualSlices(u8, string, copied[0..length]);
    }
}

test "store writes at any offset, and no more than it is told to" {
    var bytes: [6]u8 = @splat(0xee);
    store(@intFromPtr(&bytes[3]), -2, "abcd", 2);
    try std.testing.expectEqualSlices(u8, "\xeeab\xee\xee\xee", &bytes);
}
