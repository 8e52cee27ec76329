// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! Stacks from the operating system, many of one size in one mapping, each with a guard of its own
//! (`Row` of guard_table.zig says how wide):
//!
//!     lower addresses                                                   higher addresses
//!     | guard | stack 0          | guard | stack 1          | guard | stack 2          |
//!     ^ start                    |<-------- stride -------->|                       end ^
//!
//! One mapping in place of one for each stack makes many stacks cheap to map and to unmap. It also
//! keeps their number off the limit that Linux has for mappings (vm.max_map_count), where guards
//! take none. Where each guard splits the mapping, the limit is looked at before a slab is mapped:
//! see `Budget`. An OsStack is a slab of one stack.

const std = @import("std");
const assert = std.debug.assert;
const guard_table = @import("guard_table.zig");
const guards = &guard_table.guards;
const Row = guard_table.Row;
const Bounds = @import("../layout.zig").Bounds;
const Grant = @import("../layout.zig").Grant;
const os = @import("../os/os.zig").os;
const pieces_max = @import("../os/os.zig").pieces_max;
const Refusal = @import("../os/os.zig").Refusal;
const sanitizer = @import("../watch/sanitizer.zig");
const GuardedStack = @import("stack.zig").GuardedStack;
const Stack = @import("stack.zig").Stack;
const valgrind = @import("../watch/valgrind.zig");
const Worker = @import("../call/worker.zig").Worker;

pub const Slab = struct {
    mapping: []align(os.page_size) u8,
    count: usize,

    /// Maps `count` stacks of `size` bytes, rounded up to whole pages; 0 gives one page. With
    /// `recover` an overflow ends the generator, and not the process.
    pub fn init(size: usize, count: usize, recover: bool) Refusal!Slab {
        assert(count > 0 and count <= guard_table.count_max);
        const page_size = os.pageSize();
        // With their guards there would be more bytes than addresses.
        const most = (std.math.maxInt(usize) / count - 2 * guard_table.guard_usual) / 12 * 10;
        if (size > most) return error.OutOfMemory;
        const usable = std.mem.alignForward(usize, @max(1, size), page_size);
        const stride = Row.strideFor(usable, count);
        const mapping = try os.map(stride * count, .stack);
        const slab: Slab = .{ .mapping = mapping, .count = count };
        // If the system refuses to unmap as well, addresses are lost that nobody has touched.
        errdefer unmapMemory(mapping) catch {};
        const start = @intFromPtr(mapping.ptr);
        var pages: Pieces = .{};
        for (0..count) |i| {
            if (pages.add(mapping[i * stride ..][0 .. stride - usable])) {
                try os.guard(pages.take());
            }
        }
        try os.guard(pages.take());
        try guards.add(.{
            .start = start,
            .end = start + mapping.len,
            .count = count,
            .recover = recover,
        });
        for (0..count) |i| valgrind.register(slab.stack(i).stack);
        return slab;
    }

    /// Unmaps all stacks. If the system refuses that, the memory goes back, and addresses are lost.
    pub fn deinit(self: *Slab) void {
        unmap(self.mapping) catch {};
        self.* = undefined;
    }

    pub fn stack(self: Slab, i: usize) GuardedStack {
        const all = self.row();
        const guard = all.start + i * all.stride();
        const stack_: Stack = .{
            .base = guard + all.stride(),
            .limit = guard + all.guardSize(),
        };
        return .{ .stack = stack_ };
    }

    /// Where it lies, for TypeScript.
    pub fn bounds(self: Slab) Bounds {
        const all = self.row();
        return .{
            .base = all.end,
            .limit = self.stack(0).stack.limit,
            .start = all.start,
            .stride = all.stride(),
        };
    }

    /// Has it unmapped when the Worker goes whose thread this is. Where there is no room to note
    /// that, the mapping stays then.
    pub fn own(self: Slab) void {
        const worker = Worker.current() catch return;
        const all = self.row();
        worker.stacks.take(guards, all.start, all.end);
    }

    fn row(self: Slab) Row {
        const start = @intFromPtr(self.mapping.ptr);
        return .{ .start = start, .end = start + self.mapping.len, .count = self.count };
    }
};

/// Unmaps a slab. If the system refuses, the mapping stays, its memory goes back to the system, and
/// this may be called again.
pub fn unmap(mapping: []align(os.page_size) u8) Refusal!void {
    const start = @intFromPtr(mapping.ptr);
    // Off all lists first, since another thread may be given the same memory at once.
    if (guards.remove(start, start + mapping.len)) |row| {
        const slab: Slab = .{ .mapping = mapping, .count = row.count };
        for (0..row.count) |i| {
            sanitizer.forget(slab.stack(i).stack);
            valgrind.deregister(slab.stack(i).stack);
        }
        budget.put(row.count);
    }
    try unmapMemory(mapping);
}

/// Unmaps what a Worker that goes has left. Nobody has resumed for the last time what is suspended
/// there, and nobody can: its frames are abandoned.
pub fn unmapAll(owner: *guard_table.GuardTable.Owner) void {
    while (owner.giveUp()) |row| {
        const memory: [*]align(os.page_size) u8 = @ptrFromInt(row.start);
        unmap(memory[0 .. row.end - row.start]) catch {};
    }
}

fn unmapMemory(mapping: []align(os.page_size) u8) Refusal!void {
    os.unmap(mapping) catch |err| {
        os.discard(&.{mapping});
        return err;
    };
}

/// Pieces of memory, which the system is told of together.
const Pieces = struct {
    all: [pieces_max][]align(os.page_size) u8 = undefined,
    count: usize = 0,

    /// Returns whether there is no room for another one.
    fn add(self: *Pieces, piece: []u8) bool {
        self.all[self.count] = @alignCast(piece);
        self.count += 1;
        return self.count == self.all.len;
    }

    fn take(self: *Pieces) []const []align(os.page_size) u8 {
        defer self.count = 0;
        return self.all[0..self.count];
    }
};

/// How many slabs may be mapped where each guard takes a mapping of its own.
///
/// The rule: a slab is mapped if the process has room for the mappings of its stacks, two for each,
/// and for `spare` more, which are left to the rest of the program (V8, threads, libraries). To
/// count the mappings of a process takes as long as there are many. So they are counted once, and
/// half of the room there is may be used up before they are counted again: 6 times up to 32,000
/// stacks.
pub const Budget = struct {
    /// How many mappings may be made before they are counted again.
    left: std.atomic.Value(isize) = .init(0),

    /// What the rest of the program may need.
    pub const spare = 2048;

    pub fn take(self: *Budget, stacks: usize) error{TooManyMappings}!void {
        const needed: isize = @intCast(2 * stacks);
        if (self.left.fetchSub(needed, .monotonic) >= needed) return;
        const room = os.mappingsLeft() orelse std.math.maxInt(isize) / 2;
        const rest = @as(isize, @intCast(room)) - spare - needed;
        self.left.store(@max(0, @divFloor(rest, 2)), .monotonic);
        if (rest < 0) return error.TooManyMappings;
    }

    /// OsStacks have not been taken from here. A slab of one stack is as good as one: what it has
    /// taken is found again when the mappings are counted.
    pub fn put(self: *Budget, stacks: usize) void {
        if (stacks > 1) _ = self.left.fetchAdd(@intCast(2 * stacks), .monotonic);
    }
};

var budget: Budget = .{};

// C ABI

/// Maps a slab and writes where it lies.
pub fn map(size: usize, count: u32, recover: bool, bounds: *Bounds) callconv(.c) Grant {
    budget.take(count) catch |err| return .from(err);
    const slab = Slab.init(size, count, recover) catch |err| {
        budget.put(count);
        return .from(err);
    };
    bounds.* = slab.bounds();
    slab.own();
    return .granted;
}

/// Another thread is about to run on the stack that `address` lies in, or has ceased to. While it
/// may, the mapping stays when the Worker goes that has made it.
pub fn lend(address: usize, is_lent: bool) callconv(.c) void {
    guards.lend(address, is_lent);
}

/// Unmaps a slab, or an OsStack. If the system refuses, this may be called again.
pub fn unmapBounds(base: usize, start: usize) callconv(.c) Grant {
    const memory: [*]align(os.page_size) u8 = @ptrFromInt(start);
    return .from(unmap(memory[0 .. base - start]));
}

/// Gives the memory of some stacks of a slab back to the system: of those whose numbers are in a
/// part of an array. The stacks stay, and memory comes anew when they are touched.
pub fn discard(
    limit: usize,
    stride: usize,
    numbers: [*]const u8,
    from: u32,
    to: u32,
) callconv(.c) void {
    const lowest = guards.around(limit).?;
    const size = lowest.base - lowest.limit;
    var stacks: Pieces = .{};
    for (numbers[from..to]) |number| {
        const start: [*]u8 = @ptrFromInt(limit + number * stride);
        if (stacks.add(start[0..size])) os.discard(stacks.take());
    }
    os.discard(stacks.take());
}

const expect = std.testing.expect;
const expectEqual = std.testing.expectEqual;

test "Slab has stacks of whole pages, side by side, each above a guard of its own" {
    const page = os.pageSize();
    for ([_]usize{ 0, 1, page, page + 1, 16 * page, 400 * page }) |size| {
        var slab = try Slab.init(size, 5, true);
        const pages = @max(1, std.math.divCeil(usize, size, page) catch unreachable);
        const tenth = std.math.divCeil(usize, pages, 10) catch unreachable;
        const guard_pages = @min(tenth, @max(1, 64 * 1024 / page));
        const start = @intFromPtr(slab.mapping.ptr);
        for (0..slab.count) |i| {
            const stack = slab.stack(i).stack;
            stack.check();
            try expectEqual(pages * page, stack.size());
            const guard = start + i * (guard_pages + pages) * page;
            try expectEqual(guard + guard_pages * page, stack.limit);
            // Both ends are there to be used, and the guard is not.
            @as(*volatile u8, @ptrFromInt(stack.base - 1)).* = 1;
            @as(*volatile u8, @ptrFromInt(stack.limit)).* = 1;
            var byte: [1]u8 = undefined;
            try expect(os.tryRead(stack.limit, &byte));
            try expect(!os.tryRead(stack.limit - 1, &byte));
            try expect(!os.tryRead(guard, &byte));
            const guarded = guards.find(stack.limit - 1).?;
            try expectEqual(stack.base, guarded.base);
            try expectEqual(guarded, guards.find(guard).?);
            try expect(guarded.recover);
        }
        try expectEqual(start + slab.mapping.len, slab.stack(4).stack.base);
        slab.deinit();
        try expectEqual(null, guards.around(start));
    }
}

test "Slab has guards, and discards, however many there are" {
    for ([_]usize{ pieces_max - 1, pieces_max, pieces_max + 1, 2 * pieces_max + 1 }) |count| {
        var slab = try Slab.init(0, count, false);
        defer slab.deinit();
        const limit = slab.stack(0).stack.limit;
        var numbers: [2 * pieces_max + 1]u8 = undefined;
        for (0..count) |i| {
            numbers[i] = @intCast(i);
            const stack = slab.stack(i).stack;
            @as(*volatile u8, @ptrFromInt(stack.limit)).* = 7;
            var byte: [1]u8 = undefined;
            try expect(!os.tryRead(stack.limit - 1, &byte));
        }
        discard(limit, slab.mapping.len / count, &numbers, 1, @intCast(count));
        if (@import("builtin").os.tag != .linux) continue;
        for (0..count) |i| {
            const left = @as(*volatile u8, @ptrFromInt(slab.stack(i).stack.limit)).*;
            try expectEqual(@as(u8, if (i == 0) 7 else 0), left);
        }
    }
}

test "Slab.init reports what cannot be had" {
    // Valgrind says of such sizes that they are none (EINVAL).
    if (valgrind.isRunning()) return error.SkipZigTest;
    try std.testing.expectError(error.OutOfMemory, Slab.init(std.math.maxInt(usize), 1, false));
    try std.testing.expectError(error.OutOfMemory, Slab.init(std.math.maxInt(usize), 64, false));
}

test "a stack that is discarded has lost what was on it, and is guarded as before" {
    var slab = try Slab.init(0, 3, false);
    defer slab.deinit();
    for (0..3) |i| @as(*volatile u8, @ptrFromInt(slab.stack(i).stack.limit)).* = 7;
    const middle = slab.stack(1).stack;
    const numbers = [_]u8{ 0, 1, 2 };
    discard(slab.stack(0).stack.limit, slab.mapping.len / 3, &numbers, 1, 2);
    const value = @as(*volatile u8, @ptrFromInt(middle.limit));
    if (@import("builtin").os.tag == .linux) try expectEqual(0, value.*);
    value.* = 8;
    try expectEqual(8, value.*);
    var byte: [1]u8 = undefined;
    try expect(!os.tryRead(middle.limit - 1, &byte));
    for ([_]usize{ 0, 2 }) |i| {
        try expectEqual(7, @as(*volatile u8, @ptrFromInt(slab.stack(i).stack.limit)).*);
    }
}
