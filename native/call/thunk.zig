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
//! A system may refuse to execute what was ever written (SELinux's execmem, systemd's
//! MemoryDenyWriteExecute, prctl(2)'s PR_SET_MDWE). So the thunks are a table in the library's own
//! code, which has its data at a fixed distance. Whoever asks first gets these. Who asks later gets
//! the same code, mapped once more, with new data:
//!
//!     | data  |  new ones          fringe_thunk_data, as far from fringe_thunk_table
//!     :       :  never touched
//!     | table |  a page of the library's file, once more; it is read and executed, not written
//!
//! Where it cannot be mapped, as when the file is gone, that page is a copy: it is written, and
//! then it becomes executable.

const std = @import("std");
const arch = @import("../arch/arch.zig").arch;
const Block = layout.ThunkBlock;
const Grant = layout.Grant;
const layout = @import("../layout.zig");
const loader = @import("../unwind/loader.zig");
const os = @import("../os/os.zig").os;
const Refusal = @import("../os/os.zig").Refusal;

/// THUNK_TABLE of `switch_<arch>.S`. The table lies at a multiple of it: in one page, whatever the
/// size of those is.
const table_size = 4096;
extern const fringe_thunk_table: [table_size]u8;
extern var fringe_thunk_data: [table_size]u8;
extern fn fringe_thunk_write(data: [*]u8, number: u32) [*]u8;

/// The number of the next thunk that is made anywhere in the process; 0 is none.
var next_number: std.atomic.Value(u32) = .init(1);
/// Whether somebody has the thunks of the library's own table.
var is_table_taken: std.atomic.Value(bool) = .init(false);

/// Makes as many thunks as the table has.
pub fn make() Refusal!Block {
    if (!is_table_taken.swap(true, .monotonic)) return writeData(@intFromPtr(&fringe_thunk_table));
    return makeMore(.mapped);
}

/// What the page of one more table is. Public for the tests.
pub const Page = enum { mapped, copied };

/// Makes one more table. Its page is copied where it cannot be mapped.
pub fn makeMore(wanted: Page) Refusal!Block {
    const memory = try os.map(memorySize(), .table);
    errdefer os.unmap(memory) catch {};

    const page = memory[0..os.pageSize()];
    const place = @intFromPtr(&fringe_thunk_table) % page.len;
    const is_mapped = wanted == .mapped and
        if (os.mapAgain(&fringe_thunk_table, page, nameOfLibrary())) true else |_| false;
    if (!is_mapped) {
        @memcpy(page[place..][0..table_size], &fringe_thunk_table);
        arch.synchronizeInstructions(page);
        try os.makeExecutable(page);
    }
    return writeData(@intFromPtr(page.ptr) + place);
}

/// What is mapped for one more table, from its page to the end of its data. Public for the tests.
pub fn memorySize() usize {
    return std.mem.alignForward(usize, os.pageSize() + distance() + table_size, os.pageSize());
}

fn distance() usize {
    return @intFromPtr(&fringe_thunk_data) - @intFromPtr(&fringe_thunk_table);
}

fn nameOfLibrary() ?[*:0]const u8 {
    return loader.symbolAt(@intFromPtr(&fringe_thunk_table)).file_name;
}

/// Writes the data of a table, the number of each thunk among them.
fn writeData(table: usize) Block {
    const data: [*]u8 = @ptrFromInt(table + distance());
    const stride = @intFromPtr(fringe_thunk_write(data, 0)) - @intFromPtr(data);
    const count = table_size / stride;
    const number = next_number.fetchAdd(@intCast(count), .monotonic);
    for (0..count) |i| {
        _ = fringe_thunk_write(data + i * stride, number + @as(u32, @intCast(i)));
    }
    return .{ .address = table, .number = number, .stride = stride, .count = count };
}

// C ABI

/// Makes thunks and writes which.
pub fn map(block: *Block) callconv(.c) Grant {
    block.* = make() catch |err| return .from(err);
    return .granted;
}

test "make fills tables with thunks of unique numbers" {
    var end: u64 = 0;
    var before: u64 = 0;
    for (0..3) |_| {
        const block = try make();
        try std.testing.expect(block.number > 0);
        try std.testing.expect(block.number >= end);
        try std.testing.expect(block.address != before);
        try std.testing.expectEqual(table_size, block.count * block.stride);
        end = block.number + block.count;
        before = block.address;
    }
}
