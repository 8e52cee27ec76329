// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! Reads memory that may not be there, such as what an exception points at. The system copies the
//! memory, and says so where it cannot: nothing here causes a fault.

const std = @import("std");
const os = @import("../os/os.zig").os;

// For the tests.
const valgrind = @import("../watch/valgrind.zig");

/// Fills `bytes` with what lies at `address`; false where not all of it can be read.
pub const read = os.tryRead;

/// Whether a byte can be read there.
pub fn isThere(address: usize) bool {
    var byte: [1]u8 = undefined;
    return read(address, &byte);
}

/// Fills `into` with what lies at `address`; false where not all of it can be read.
pub fn words(address: usize, into: []usize) bool {
    return read(address, std.mem.sliceAsBytes(into));
}

/// The word at `address`, if it can be read.
pub fn word(address: usize) ?usize {
    var found: [1]usize = undefined;
    return if (words(address, &found)) found[0] else null;
}

/// How long a C string is, but no more than `max`; null where memory ends before the string.
pub fn stringLength(address: usize, max: usize) ?usize {
    var chunk: [512]u8 = undefined;
    var length: usize = 0;
    while (length < max) {
        const at = std.math.add(usize, address, length) catch return null;
        // No piece lies in two pages, of which the second may not be there.
        const piece = chunk[0 .. chunk.len - at % chunk.len];
        if (!read(at, piece)) return null;
        if (std.mem.findScalar(u8, piece, 0)) |end| return @min(length + end, max);
        length += piece.len;
    }
    return max;
}

/// What is there to be tried: a page, and behind it one that nobody may read.
const Pages = struct {
    memory: []align(os.page_size) u8,

    const Behind = enum { nothing, guard };

    fn map(behind: Behind) !Pages {
        const page = os.pageSize();
        const pages: Pages = .{ .memory = try os.map(2 * page, .data) };
        @memset(pages.memory, 'A');
        const second: []align(os.page_size) u8 = @alignCast(pages.memory[page..]);
        switch (behind) {
            .nothing => try os.unmap(second),
            .guard => try os.guard(&.{second}),
        }
        return pages;
    }

    fn unmap(self: Pages) void {
        os.unmap(self.memory) catch {};
    }
};

fn expectReads(pages: Pages) !void {
    const refused = os.refusals;
    defer os.refusals = refused;
    const start = @intFromPtr(pages.memory.ptr);
    const page = os.pageSize();
    const end = start + page;
    const none = std.math.maxInt(usize);
    for ([_]struct { usize, usize, bool }{
        .{ end - 8, 8, true },
        .{ end - 3, 3, true },
        .{ start, page, true },
        .{ end, 1, false },
        .{ end - 4, 8, false },
        .{ 0, 1, false },
        .{ 8, 1, false },
        .{ none - 3, 4, false },
        .{ none, 8, false },
        .{ none / 2, 8, false },
        .{ none, 0, true },
    }) |case| {
        const address, const length, const expected = case;
        var bytes: [std.heap.page_size_max]u8 = @splat(0);
        os.refusals = refused;
        // Valgrind would report that memory is asked for which is not there.
        std.valgrind.disableErrorReporting();
        const was_read = read(address, bytes[0..length]);
        std.valgrind.enableErrorReporting();
        try std.testing.expectEqual(expected, was_read);
        if (expected) try std.testing.expect(std.mem.allEqual(u8, bytes[0..length], 'A'));
    }
}

test "memory is read where it is there, also where process_vm_readv is refused" {
    for (std.enums.values(Pages.Behind)) |behind| {
        // Valgrind does not know of guards, and answers for the system that the memory is there.
        if (behind == .guard and valgrind.isRunning()) continue;
        const pages = try Pages.map(behind);
        defer pages.unmap();
        defer os.refusals = .{};
        try expectReads(pages);
        for ([_]@TypeOf(os.refusals.errno){ .PERM, .NOSYS }) |errno| {
            os.refusals = .{ .count = 1, .errno = errno };
            try expectReads(pages);
        }
    }
}

test "nothing is read where nobody says that it is there" {
    const pages = try Pages.map(.nothing);
    defer pages.unmap();
    defer os.refusals = .{};
    os.refusals = .{ .count = 2, .errno = .PERM };
    var bytes: [8]u8 = undefined;
    try std.testing.expect(!read(@intFromPtr(pages.memory.ptr), &bytes));
    try std.testing.expectEqual(2, os.refusals.calls);
}

test "a string has a length where its end can be read" {
    const pages = try Pages.map(.nothing);
    defer pages.unmap();
    const start = @intFromPtr(pages.memory.ptr);
    const page = os.pageSize();
    const end = start + page;
    try std.testing.expectEqual(null, stringLength(start, 2 * page));
    try std.testing.expectEqual(page, stringLength(start, page));
    pages.memory[page - 1] = 0;
    for ([_]usize{ 1, 2, 511, 512, 513, page }) |size| {
        try std.testing.expectEqual(size - 1, stringLength(end - size, page));
    }
    try std.testing.expectEqual(3, stringLength(start, 3));
    for ([_]usize{ 0, 8, end, std.math.maxInt(usize) }) |address| {
        try std.testing.expectEqual(null, stringLength(address, 1));
    }
}
