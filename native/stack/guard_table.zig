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
//! A slab (slab.zig) is many stacks of one size, side by side in one mapping. It has one entry, as
//! if it were one stack, which says how many there are. The one that an address lies in is found by
//! a division.
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

/// Stacks that lie side by side, each with its guard page below it. One stack is such a row, too.
pub const Row = struct {
    /// The address of the lowest guard page.
    start: usize,
    /// One past the highest byte of the highest stack.
    end: usize,
    count: usize = 1,
    recover: bool,

    /// How far apart the stacks are.
    pub fn stride(self: Row) usize {
        return @divExact(self.end - self.start, self.count);
    }

    /// The stack that `address` lies in, or whose guard page.
    fn at(self: Row, address: usize) Guarded {
        const offset = (address - self.start) / self.stride() * self.stride();
        return .{
            .guard = self.start + offset,
            .base = self.start + offset + self.stride(),
            .recover = self.recover,
        };
    }
};

/// How many stacks a row may have: their number has to fit into the offset within a page.
pub const count_max = page_size / 2;

pub const GuardTable = struct {
    const Entry = struct {
        /// What a `Row` has but its end, packed; 0: nothing.
        ///
        ///     | address of the lowest guard page | count - 1 | recover |
        ///                                        ^ page_size  ^ 2       ^ 1
        packed_row: std.atomic.Value(usize),
        end: std.atomic.Value(usize),

        fn pack(row: Row) usize {
            return row.start + (row.count - 1) * 2 + @intFromBool(row.recover);
        }

        /// null where there is nothing.
        fn load(self: *const Entry) ?Row {
            const word = self.packed_row.load(.acquire);
            if (word == 0) return null;
            return .{
                .start = word - word % page_size,
                .end = self.end.load(.monotonic),
                .count = word % page_size / 2 + 1,
                .recover = word % 2 == 1,
            };
        }
    };
    const Leaf = [leaf_entries]Entry;
    const LeafPointer = std.atomic.Value(?*Leaf);

    leaves: [leaf_count]LeafPointer = @splat(.init(null)),

    pub fn add(self: *GuardTable, row: Row) Refusal!void {
        assert(row.start % page_size == 0);
        assert(row.count > 0 and row.count <= count_max);
        const piece = pieceOf(row.start, row.end - row.start);
        const pointer = &self.leaves[piece / leaf_entries];
        const leaf = pointer.load(.acquire) orelse try makeLeaf(pointer);
        const entry = &leaf[piece % leaf_entries];
        entry.end.store(row.end, .monotonic);
        entry.packed_row.store(Entry.pack(row), .release);
    }

    /// Before the memory is unmapped, since another thread may be given the same addresses at once.
    /// Returns the row; null: it has been removed before.
    pub fn remove(self: *GuardTable, start: usize, end: usize) ?Row {
        const entry = self.entryOf(pieceOf(start, end - start)).?;
        defer entry.packed_row.store(0, .release);
        return entry.load();
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
            // A row is shorter than two pieces of its level, so it reaches into two that follow.
            for (0..3) |back| {
                const entry = self.entryOf(piece -| back) orelse continue;
                const row = entry.load() orelse continue;
                if (address >= row.start and address < row.end) return row.at(address);
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
            const row: Row = .{ .start = guard, .end = base, .recover = stack.recover };
            try expectEqual(null, test_table.find(guard));
            try test_table.add(row);
            try expectEqual(stack, test_table.find(guard).?);
            try expectEqual(stack, test_table.find(guard + page - 1).?);
            try expectEqual(null, test_table.find(guard - 1));
            try expectEqual(null, test_table.find(guard + page));
            try expectEqual(null, test_table.find(base - 1));
            try expectEqual(row, test_table.remove(guard, base).?);
            try expectEqual(null, test_table.find(guard));
            try expectEqual(null, test_table.remove(guard, base));
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
        try test_table.add(.{ .start = at, .end = stack.base, .recover = stack.recover });
        at = stack.base;
    }
    for (stacks) |stack| {
        try expectEqual(stack, test_table.find(stack.guard).?);
        try expectEqual(stack, test_table.around(stack.guard + page).?);
        try expectEqual(stack, test_table.around(stack.base - 1).?);
    }
    for (stacks) |stack| _ = test_table.remove(stack.guard, stack.base);
    for (stacks) |stack| try expectEqual(null, test_table.find(stack.guard));
}

test "GuardTable knows each guard of a row by one entry" {
    const page = os.pageSize();
    for ([_]usize{ 1, 2, 3, 64, 1000, count_max }) |count| {
        for ([_]usize{ 2, 3, 17 }) |pages| {
            const stride = pages * page;
            const start = (1 << 24) + page;
            const row: Row = .{
                .start = start,
                .end = start + count * stride,
                .count = count,
                .recover = count % 2 == 0,
            };
            try test_table.add(row);
            for (0..count) |i| {
                const guard = start + i * stride;
                const stack: Guarded = .{
                    .guard = guard,
                    .base = guard + stride,
                    .recover = row.recover,
                };
                try expectEqual(stack, test_table.find(guard).?);
                try expectEqual(stack, test_table.find(guard + page - 1).?);
                try expectEqual(null, test_table.find(guard + page));
                try expectEqual(stack, test_table.around(guard + page).?);
                try expectEqual(stack, test_table.around(stack.base - 1).?);
            }
            try expectEqual(null, test_table.around(start - 1));
            try expectEqual(null, test_table.around(row.end));
            try expectEqual(row, test_table.remove(start, row.end).?);
            try expectEqual(null, test_table.find(start));
        }
    }
}

test "GuardTable has nothing where no stack can be" {
    for ([_]usize{ 0, 1, std.math.maxInt(usize), std.math.maxInt(usize) / 2 }) |address| {
        try expectEqual(null, test_table.find(address));
        try expectEqual(null, test_table.around(address));
    }
}
