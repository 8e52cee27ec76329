// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! Which pages are guards of fringe's stacks, and of which stack each one is. The handler of a
//! fault (overflow.zig) asks, and may have interrupted anything, so finding takes no lock.
//!
//! The address space is divided into pieces of two pages, and again into pieces of four, of eight,
//! and so on up to the whole. The table has one entry for each piece of each size, and a stack has
//! the entry of one piece: of those that are as long as the stack with its guard, rounded down, the
//! piece that the guard page lies in. A stack of five pages with its guard, on page 6, say:
//!
//!     page     | 4 | 5 | 6 | 7 | 8 | 9 | 10| 11|
//!     stack            | G | usable pages  |
//!     pieces   | 1 of four pages   | 2         |     the entry is that of piece 1 of four pages
//!              |               |               |
//!
//! No two stacks want the same entry. If two guards lie in one piece of four pages, they are less
//! than four pages apart, and the stack of the lower one, which takes at least four, would reach
//! over the other. To find a stack by its guard page, each size of piece is tried: at most 35.
//!
//! All pieces are numbered as in a heap: the whole is 1, the halves of piece n are 2n and 2n + 1.
//! The entries lie in one large array in that order, of which the system commits what is written
//! to; a million stacks, whatever their size, take some 16 to 32 MB. The array is mapped by the
//! leaf, each when the first stack needs it, and a leaf stays.

const std = @import("std");
const assert = std.debug.assert;
const arch = @import("../arch/arch.zig").arch;
const os = @import("../os/os.zig").os;
const Refusal = @import("../os/os.zig").Refusal;

const page_size = os.page_size;
const page_bits = arch.address_bits - @ctz(@as(usize, page_size));
const leaf_entries = 1 << 19;
const leaf_count = (2 << page_bits) / leaf_entries;

/// A stack with a guard page.
pub const Guarded = struct {
    guard: usize,
    base: usize,
    /// Whether an overflow ends the generator, and not the process.
    recover: bool,
};

pub const GuardTable = struct {
    const Entry = struct {
        /// The address of the guard page, plus whether to recover; 0: nothing.
        guard: std.atomic.Value(usize),
        base: std.atomic.Value(usize),
    };
    const Leaf = [leaf_entries]Entry;
    const LeafPointer = std.atomic.Value(?*Leaf);

    leaves: [leaf_count]LeafPointer = @splat(.init(null)),

    pub fn add(self: *GuardTable, stack: Guarded) Refusal!void {
        assert(stack.guard % page_size == 0);
        const piece = pieceOf(stack.guard, stack.base - stack.guard);
        const pointer = &self.leaves[piece / leaf_entries];
        const leaf = pointer.load(.acquire) orelse try makeLeaf(pointer);
        const entry = &leaf[piece % leaf_entries];
        entry.base.store(stack.base, .monotonic);
        entry.guard.store(stack.guard + @intFromBool(stack.recover), .release);
    }

    /// Before the stack is unmapped, since another thread may be given the same addresses at once.
    pub fn remove(self: *GuardTable, guard: usize, base: usize) void {
        const entry = self.entryOf(pieceOf(guard, base - guard)).?;
        entry.guard.store(0, .release);
    }

    /// The stack whose guard page `address` lies in.
    pub fn find(self: *GuardTable, address: usize) ?Guarded {
        const found = self.around(address) orelse return null;
        return if (address - found.guard < os.pageSize()) found else null;
    }

    /// The stack that `address` lies in, or whose guard page.
    pub fn around(self: *GuardTable, address: usize) ?Guarded {
        if (address / page_size >> page_bits != 0) return null;
        // From the pieces of two pages to the whole.
        var piece = pieceOf(address, 2 * page_size);
        while (piece > 0) : (piece /= 2) {
            // A stack is shorter than two pieces of its level, so it reaches into two that follow.
            for (0..3) |back| {
                const entry = self.entryOf(piece -| back) orelse continue;
                const found = entry.guard.load(.acquire);
                const guard = found & ~@as(usize, 1);
                const base = entry.base.load(.monotonic);
                if (guard == 0 or address < guard or address >= base) continue;
                return .{ .guard = guard, .base = base, .recover = found != guard };
            }
        }
        return null;
    }

    fn pieceOf(guard: usize, size: usize) usize {
        const level = std.math.log2_int(usize, size / page_size);
        return ((1 << page_bits) + guard / page_size) >> level;
    }

    fn entryOf(self: *GuardTable, piece: usize) ?*Entry {
        const leaf = self.leaves[piece / leaf_entries].load(.acquire) orelse return null;
        return &leaf[piece % leaf_entries];
    }

    fn makeLeaf(pointer: *LeafPointer) Refusal!*Leaf {
        const memory = try os.map(@sizeOf(Leaf), .table);
        const leaf: *Leaf = @ptrCast(memory);
        // Another thread may have been faster.
        const other = pointer.cmpxchgStrong(null, leaf, .acq_rel, .acquire) orelse return leaf;
        os.unmap(memory) catch {};
        return other.?;
    }
};

/// All stacks of this copy of fringe.
pub var guards: GuardTable = .{};

const expectEqual = std.testing.expectEqual;

/// Large, and so no local variable.
var test_table: GuardTable = .{};

test "GuardTable finds the page that was added, no other one, and forgets it" {
    const page = os.pageSize();
    const end = std.mem.alignBackward(usize, ((1 << page_bits) - 2) * page_size, page);
    for ([_]usize{ 1, 2, 3, 4, 17, 256, 257, 10_000 }) |pages| {
        const size = pages * page;
        for ([_]usize{ page, 1 << 24, (1 << 24) - page, end - size }) |guard| {
            const base = guard + page + size;
            const stack: Guarded = .{ .guard = guard, .base = base, .recover = pages % 2 == 0 };
            try expectEqual(null, test_table.find(guard));
            try test_table.add(stack);
            try expectEqual(stack, test_table.find(guard).?);
            try expectEqual(stack, test_table.find(guard + page - 1).?);
            try expectEqual(null, test_table.find(guard - 1));
            try expectEqual(null, test_table.find(guard + page));
            try expectEqual(null, test_table.find(base - 1));
            test_table.remove(guard, base);
            try expectEqual(null, test_table.find(guard));
        }
    }
}

test "GuardTable knows the guard of each of many stacks that lie side by side" {
    const page = os.pageSize();
    var random = std.Random.DefaultPrng.init(1);
    var stacks: [2000]Guarded = undefined;
    var at: usize = 1 << 26;
    for (&stacks) |*stack| {
        // Of any size from two pages on, smaller ones more often.
        const pages = @as(usize, 2) << random.random().uintLessThan(std.math.Log2Int(usize), 9);
        const size = pages + random.random().uintLessThan(usize, pages);
        stack.* = .{ .guard = at, .base = at + size * page, .recover = size % 3 == 0 };
        at = stack.base;
        try test_table.add(stack.*);
    }
    for (stacks) |stack| {
        try expectEqual(stack, test_table.find(stack.guard).?);
        try expectEqual(stack, test_table.around(stack.guard + page).?);
        try expectEqual(stack, test_table.around(stack.base - 1).?);
    }
    for (stacks) |stack| test_table.remove(stack.guard, stack.base);
    for (stacks) |stack| try expectEqual(null, test_table.find(stack.guard));
}

test "GuardTable has nothing where no stack can be" {
    for ([_]usize{ 0, 1, std.math.maxInt(usize), std.math.maxInt(usize) / 2 }) |address| {
        try expectEqual(null, test_table.find(address));
        try expectEqual(null, test_table.around(address));
    }
}
