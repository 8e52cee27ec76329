// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! Which pages are guards of fringe's stacks, and of which stack each one is. The handler of a
//! fault (overflow.zig) asks, and may have interrupted anything, so finding takes no lock.
//!
//! How wide a guard is follows from how far apart the stacks of a row are: see `Row.guardSize`.
//!
//! The address space is divided into pieces of two pages, and again into pieces of four, of eight,
//! and so on up to the whole. The table has one entry for each piece of each size, and a stack has
//! the entry of one piece: of those that are as long as the stack with its guard, rounded down, the
//! piece that the guard begins in. A stack of five pages with its guard, on page 6, say:
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
//! A row may be somebody's (`Owner`): the rows of an owner are linked by their entries, so that all
//! can be found when it goes.
//!
//! All pieces are numbered as in a heap: the whole is 1, the halves of piece n are 2n and 2n + 1.
//! The entries lie in one large array in that order, of which the system commits what is written
//! to; a million stacks, whatever their size, take some 32 to 64 MB. The array is mapped by the
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

/// A stack with a guard: pages below it that can be neither read nor written.
pub const Guarded = struct {
    /// The lowest byte of the guard, and the lowest one of the stack, which the guard ends at.
    guard: usize,
    limit: usize,
    base: usize,
    /// Whether an overflow ends the generator, and not the process.
    recover: bool,
};

/// Stacks that lie side by side, each with its guard below it. One stack is such a row, too.
pub const Row = struct {
    /// The address of the lowest guard.
    start: usize,
    /// One past the highest byte of the highest stack.
    end: usize,
    count: usize = 1,
    /// Whether an overflow ends the generator, and not the process.
    recover: bool = false,

    /// How far apart the stacks are.
    pub fn stride(self: Row) usize {
        return @divExact(self.end - self.start, self.count);
    }

    /// How many bytes below each stack are its guard: a tenth of the stack, rounded up to pages, so
    /// that a function whose variables take so much cannot step over it. A guard costs no memory,
    /// and addresses are plenty. So one stack has 64 KiB at least. Where many share a mapping each
    /// page of a guard may cost time when it is made (`MADV_GUARD_INSTALL` of Linux), so each has
    /// 64 KiB at most.
    ///
    /// All that is known here is how many pages a stack takes with its guard: ten of eleven are the
    /// stack's, rounded down. `strideFor` is the way back.
    ///
    ///     pages of the stack   160    161    162    ...   170    171
    ///     of a tenth            16     17     17           17     18
    ///     together             176    178    179          187    189
    ///     ten of eleven        160    161    162          170    171
    pub fn guardSize(self: Row) usize {
        const pages = self.stride() / os.pageSize();
        return guardPages(pages - pages * 10 / 11, self.count) * os.pageSize();
    }

    /// How far apart `count` stacks of `size` bytes are to be. `size` is a multiple of the page's.
    pub fn strideFor(size: usize, count: usize) usize {
        const pages = size / os.pageSize();
        return size + guardPages((pages + 9) / 10, count) * os.pageSize();
    }

    fn guardPages(tenth: usize, count: usize) usize {
        const usual = @max(1, guard_usual / os.pageSize());
        return if (count == 1) @max(usual, tenth) else @min(usual, tenth);
    }

    /// The stack that `address` lies in, or whose guard.
    fn at(self: Row, address: usize) Guarded {
        const offset = (address - self.start) / self.stride() * self.stride();
        return .{
            .guard = self.start + offset,
            .limit = self.start + offset + self.guardSize(),
            .base = self.start + offset + self.stride(),
            .recover = self.recover,
        };
    }
};

/// The least guard of one stack, and the widest of one in a row of many.
pub const guard_usual = 64 * 1024;

/// How many stacks a row may have: their number has to fit into the offset within a page.
pub const count_max = page_size / 2;

pub const GuardTable = struct {
    const Entry = struct {
        /// What a `Row` has but its end, packed; 0: nothing.
        ///
        ///     | address of the lowest guard | count - 1 | recover |
        ///                                   ^ page_size  ^ 2       ^ 1
        packed_row: std.atomic.Value(usize),
        /// And that; the rest of the word says on how many of the stacks another thread runs.
        ///
        ///     | one past the highest byte | lent |
        ///                                 ^ page_size
        packed_end: std.atomic.Value(usize),
        /// In the list of its owner: the next one, and what leads to this one; null: nobody's.
        next: ?*Entry,
        link: ?*?*Entry,

        fn pack(row: Row) usize {
            return row.start + (row.count - 1) * 2 + @intFromBool(row.recover);
        }

        /// null where there is nothing.
        fn load(self: *const Entry) ?Row {
            const word = self.packed_row.load(.acquire);
            if (word == 0) return null;
            return .{
                .start = word - word % page_size,
                .end = self.end(),
                .count = word % page_size / 2 + 1,
                .recover = word % 2 == 1,
            };
        }

        fn end(self: *const Entry) usize {
            const word = self.packed_end.load(.monotonic);
            return word - word % page_size;
        }

        fn lent(self: *const Entry) usize {
            return self.packed_end.load(.monotonic) % page_size;
        }

        /// Off the list of its owner, if it has one.
        fn unlink(self: *Entry) void {
            const link = self.link orelse return;
            link.* = self.next;
            if (self.next) |next| next.link = link;
            self.next = null;
            self.link = null;
        }
    };

    /// Whose rows some are. Only one thread may call what has to do with the rows of an owner.
    pub const Owner = struct {
        first: ?*Entry = null,

        /// Takes a row that nobody has, and that is in the table.
        pub fn take(self: *Owner, table: *GuardTable, start: usize, end: usize) void {
            const entry = table.entryOf(pieceOf(start, end - start)).?;
            entry.next = self.first;
            entry.link = &self.first;
            if (self.first) |first| first.link = &entry.next;
            self.first = entry;
        }

        /// Lets go of a row; null: there is none left. Rows that are lent are passed over, and are
        /// nobody's from then on.
        pub fn giveUp(self: *Owner) ?Row {
            while (self.first) |entry| {
                entry.unlink();
                if (entry.lent() == 0) return entry.load();
            }
            return null;
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
        entry.packed_end.store(row.end, .monotonic);
        entry.packed_row.store(Entry.pack(row), .release);
    }

    /// Before the memory is unmapped, since another thread may be given the same addresses at once.
    /// Returns the row; null: it has been removed before.
    pub fn remove(self: *GuardTable, start: usize, end: usize) ?Row {
        const entry = self.entryOf(pieceOf(start, end - start)).?;
        defer entry.packed_row.store(0, .release);
        entry.unlink();
        return entry.load();
    }

    /// Notes that another thread runs, or has ceased to run, on the stack that `address` lies in.
    pub fn lend(self: *GuardTable, address: usize, is_lent: bool) void {
        const entry = self.entryAround(address) orelse return;
        const word = entry.packed_end.load(.monotonic);
        const now = if (is_lent) word + 1 else word - @intFromBool(entry.lent() > 0);
        entry.packed_end.store(now, .monotonic);
    }

    /// The stack whose guard `address` lies in.
    pub fn find(self: *GuardTable, address: usize) ?Guarded {
        const found = self.around(address) orelse return null;
        return if (address < found.limit) found else null;
    }

    /// The stack that `address` lies in, or whose guard.
    pub fn around(self: *GuardTable, address: usize) ?Guarded {
        const entry = self.entryAround(address) orelse return null;
        return (entry.load() orelse return null).at(address);
    }

    fn entryAround(self: *GuardTable, address: usize) ?*Entry {
        if (address / page_size >> page_bits != 0) return null;
        // From the pieces of two pages to the whole.
        var piece = pieceOf(address, 2 * page_size);
        while (piece > 0) : (piece /= 2) {
            // A row is shorter than two pieces of its level, so it reaches into two that follow.
            for (0..3) |back| {
                const entry = self.entryOf(piece -| back) orelse continue;
                const row = entry.load() orelse continue;
                if (address >= row.start and address < row.end) return entry;
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

test "a row of any size has guards as wide as it was mapped for" {
    const page = os.pageSize();
    for ([_]usize{ 1, 2, 64 }) |count| {
        for (1..2000) |pages| {
            const stride = Row.strideFor(pages * page, count);
            const row: Row = .{ .start = page, .end = page + count * stride, .count = count };
            try expectEqual(stride - pages * page, row.guardSize());
        }
    }
}

/// A row of stacks of so many pages, the lowest guard at `start`.
fn rowAt(start: usize, pages: usize, count: usize) Row {
    const stride = Row.strideFor(pages * os.pageSize(), count);
    const is_even = pages % 2 == 0;
    return .{ .start = start, .end = start + count * stride, .count = count, .recover = is_even };
}

test "GuardTable finds the guard that was added, no other one, and forgets it" {
    const page = os.pageSize();
    const end = std.mem.alignBackward(usize, ((1 << page_bits) - 2) * page_size, page);
    for ([_]usize{ 1, 2, 3, 4, 17, 256, 257, 10_000 }) |pages| {
        const size = Row.strideFor(pages * page, 1);
        for ([_]usize{ page, 1 << 24, (1 << 24) - page, end - size }) |guard| {
            const row = rowAt(guard, pages, 1);
            const stack = row.at(guard);
            const limit = row.end - pages * page;
            try expectEqual(limit, stack.limit);
            try expectEqual(null, test_table.find(guard));
            try test_table.add(row);
            try expectEqual(stack, test_table.find(guard).?);
            try expectEqual(stack, test_table.find(limit - 1).?);
            try expectEqual(null, test_table.find(guard - 1));
            try expectEqual(null, test_table.find(limit));
            try expectEqual(null, test_table.find(row.end - 1));
            try expectEqual(row, test_table.remove(guard, row.end).?);
            try expectEqual(null, test_table.find(guard));
            try expectEqual(null, test_table.remove(guard, row.end));
        }
    }
}

test "GuardTable knows the guard of each of many stacks that lie side by side" {
    var random = std.Random.DefaultPrng.init(1);
    var rows: [2000]Row = undefined;
    var at: usize = 1 << 26;
    for (&rows) |*row| {
        // Of any size from a page on, smaller ones more often.
        const pages = @as(usize, 1) << random.random().uintLessThan(std.math.Log2Int(usize), 9);
        row.* = rowAt(at, pages + random.random().uintLessThan(usize, pages), 1);
        try test_table.add(row.*);
        at = row.end;
    }
    for (rows) |row| {
        const stack = row.at(row.start);
        try expectEqual(stack, test_table.find(stack.guard).?);
        try expectEqual(stack, test_table.around(stack.limit).?);
        try expectEqual(stack, test_table.around(stack.base - 1).?);
    }
    for (rows) |row| _ = test_table.remove(row.start, row.end);
    for (rows) |row| try expectEqual(null, test_table.find(row.start));
}

test "GuardTable knows each guard of a row by one entry" {
    const page = os.pageSize();
    for ([_]usize{ 1, 2, 3, 64, 1000, count_max }) |count| {
        for ([_]usize{ 1, 2, 16, 40 }) |pages| {
            const row = rowAt((1 << 24) + page, pages, count);
            try test_table.add(row);
            for (0..count) |i| {
                const guard = row.start + i * row.stride();
                const stack: Guarded = .{
                    .guard = guard,
                    .limit = guard + row.guardSize(),
                    .base = guard + row.stride(),
                    .recover = row.recover,
                };
                try expectEqual(stack, test_table.find(guard).?);
                try expectEqual(stack, test_table.find(stack.limit - 1).?);
                try expectEqual(null, test_table.find(stack.limit));
                try expectEqual(stack, test_table.around(stack.limit).?);
                try expectEqual(stack, test_table.around(stack.base - 1).?);
            }
            try expectEqual(null, test_table.around(row.start - 1));
            try expectEqual(null, test_table.around(row.end));
            try expectEqual(row, test_table.remove(row.start, row.end).?);
            try expectEqual(null, test_table.find(row.start));
        }
    }
}

test "an owner has its rows, no others, and loses those that are removed or lent" {
    const page = os.pageSize();
    var owner: GuardTable.Owner = .{};
    try expectEqual(null, owner.giveUp());
    var rows: [6]Row = undefined;
    for (&rows, 0..) |*row, i| {
        row.* = rowAt((1 << 28) + i * (1 << 24), 2 + i, 1 + i % 2);
        try test_table.add(row.*);
    }
    for (rows[0..5]) |row| owner.take(&test_table, row.start, row.end);
    // The last one that was taken, the first one, and one between.
    for ([_]usize{ 4, 0, 2 }) |i| {
        try expectEqual(rows[i], test_table.remove(rows[i].start, rows[i].end).?);
    }
    // On two stacks of one row, of which one comes back.
    for ([_]bool{ true, true, false }) |is_lent| test_table.lend(rows[3].end - page, is_lent);
    try expectEqual(rows[3].end, test_table.around(rows[3].end - page).?.base);
    for ([_]bool{ true, false, false }) |is_lent| test_table.lend(rows[1].start, is_lent);
    try expectEqual(rows[1], owner.giveUp().?);
    try expectEqual(null, owner.giveUp());
    for ([_]usize{ 1, 3, 5 }) |i| {
        try expectEqual(rows[i], test_table.remove(rows[i].start, rows[i].end).?);
    }
    test_table.lend(rows[5].start, true);
}

test "GuardTable has nothing where no stack can be" {
    for ([_]usize{ 0, 1, std.math.maxInt(usize), std.math.maxInt(usize) / 2 }) |address| {
        try expectEqual(null, test_table.find(address));
        try expectEqual(null, test_table.around(address));
    }
}
