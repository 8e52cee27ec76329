// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! Memory for thunks: the function pointers that C gets for callbacks. `switch_<arch>.S` owns what
//! a thunk looks like, and what it does when C calls it.
//!
//! C may keep the address of a thunk for good, and call it at any time, on any thread. So a page of
//! thunks is never unmapped, the library that they go on in is pinned (loader.zig), and their
//! numbers are unique in this copy of the library, so that a Worker knows another's when it sees
//! one (where each Worker loads its own copy, none of the other's calls is running here, either).
//! Whoever no longer needs a thunk keeps it for the next callback.
//!
//! The pages are executable and written at run time, each before it becomes executable. V8 does the
//! same in every process that this is loaded into, so a system that forbids it has no Deno either.

const std = @import("std");
const linux = std.os.linux;
const status = @import("../context/status.zig");
const Status = status.Status;
const system = @import("../os/system.zig");

extern fn fringe_thunk_write(slot: [*]u8, number: u32) [*]u8;

/// A page full of thunks.
pub const Block = extern struct {
    /// The address of the first thunk.
    address: u64,
    /// The number of the first thunk; the next has the next.
    number: u64,
    /// How many bytes the next thunk lies behind one.
    stride: u64,
    /// How many there are.
    count: u64,
};

const page_size = std.heap.page_size_min;

/// The number of the next thunk that is made anywhere in the process; 0 is none.
var next_number: std.atomic.Value(u32) = .init(1);

/// Makes a page of thunks.
pub fn make() status.Refusal!Block {
    const address = system.call(linux.mmap, .{
        null,
        page_size,
        .{ .READ = true, .WRITE = true },
        .{ .TYPE = .PRIVATE, .ANONYMOUS = true },
        -1,
        0,
    });
    try status.check(address);
    const page = @as([*]align(page_size) u8, @ptrFromInt(address))[0..page_size];
    errdefer _ = system.call(linux.munmap, .{ page.ptr, page.len });

    const stride = @intFromPtr(fringe_thunk_write(page.ptr, 0)) - address;
    const count = page_size / stride;
    const number = next_number.fetchAdd(@intCast(count), .monotonic);
    for (0..count) |i| {
        _ = fringe_thunk_write(page.ptr + i * stride, number + @as(u32, @intCast(i)));
    }
    try status.check(
        system.call(linux.mprotect, .{ page.ptr, page.len, .{ .READ = true, .EXEC = true } }),
    );
    return .{ .address = address, .number = number, .stride = stride, .count = count };
}

// C ABI

/// Makes a page of thunks and writes what it is.
pub fn map(block: *Block) callconv(.c) Status {
    block.* = make() catch |err| return status.fromRefusal(err);
    return .suspended;
}

test "make fills pages with thunks of unique numbers" {
    var end: u64 = 0;
    for (0..3) |_| {
        const block = try make();
        try std.testing.expect(block.number > 0);
        try std.testing.expect(block.number >= end);
        try std.testing.expect(block.count * block.stride <= page_size);
        try std.testing.expect((block.count + 1) * block.stride > page_size);
        end = block.number + block.count;
    }
}
