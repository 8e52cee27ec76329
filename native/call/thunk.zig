// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! Memory for thunks: the function pointers that C gets for callbacks. `switch_<arch>.S` owns what
//! a thunk looks like, and what it does when C calls it.
//!
//! C may keep the address of a thunk for good, and call it at any time, on any thread. So
//!  * a page of thunks is never unmapped: TypeScript uses a thunk that is released for a later
//!    callback;
//!  * this library, in which every thunk goes on, stays loaded (loader.zig's `pin`);
//!  * a thunk has a number that no other thunk of the process has. All Workers share one copy of
//!    this library, so when C calls a thunk in a Worker that has not made it, that Worker looks up
//!    the number, finds that it is not one of its own, and refuses.
//!
//! The pages are executable and written at run time, each before it becomes executable. V8 does the
//! same in every process that this is loaded into, so a system that forbids it has no Deno either.

const std = @import("std");
const arch = @import("../arch/arch.zig").arch;
const Block = layout.ThunkBlock;
const Grant = layout.Grant;
const layout = @import("../layout.zig");
const os = @import("../os/os.zig").os;
const Refusal = @import("../os/os.zig").Refusal;

extern fn fringe_thunk_write(slot: [*]u8, number: u32) [*]u8;

/// The number of the next thunk that is made anywhere in the process; 0 is none.
var next_number: std.atomic.Value(u32) = .init(1);

/// Makes a page of thunks.
pub fn make() Refusal!Block {
    const page = try os.map(os.pageSize(), .data);
    errdefer os.unmap(page) catch {};

    const address = @intFromPtr(page.ptr);
    const stride = @intFromPtr(fringe_thunk_write(page.ptr, 0)) - address;
    const count = page.len / stride;
    const number = next_number.fetchAdd(@intCast(count), .monotonic);
    for (0..count) |i| {
        _ = fringe_thunk_write(page.ptr + i * stride, number + @as(u32, @intCast(i)));
    }
    arch.synchronizeInstructions(page);
    try os.makeExecutable(page);
    return .{ .address = address, .number = number, .stride = stride, .count = count };
}

// C ABI

/// Makes a page of thunks and writes what is in it.
pub fn map(block: *Block) callconv(.c) Grant {
    block.* = make() catch |err| return .from(err);
    return .granted;
}

test "make fills pages with thunks of unique numbers" {
    var end: u64 = 0;
    for (0..3) |_| {
        const block = try make();
        try std.testing.expect(block.number > 0);
        try std.testing.expect(block.number >= end);
        try std.testing.expect(block.count * block.stride <= os.pageSize());
        try std.testing.expect((block.count + 1) * block.stride > os.pageSize());
        end = block.number + block.count;
    }
}
