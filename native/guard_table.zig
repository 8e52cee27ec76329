// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! Which pages are guards of fringe's stacks, and whose: a table by address, so that the handler of
//! a fault (overflow.zig) finds out in two reads, with no lock, whatever the program was doing.
//!
//! It has two levels. The upper one is part of the program and mostly untouched zeros; a lower one
//! is mapped when the first stack in its part of the address space is, and stays. Of either, the
//! system commits what is written to: one page for each 2 MiB of stacks (4 MiB on x86).

const std = @import("std");
const assert = std.debug.assert;
const linux = std.os.linux;
const arch = @import("builtin").cpu.arch;
const status = @import("status.zig");
const system = @import("system.zig");

const page_size = std.heap.page_size_min;

/// Addresses of user space (psABI for AMD64, section 3.3.2; what lies beyond is never given unless
/// asked for).
const address_bits = if (arch == .x86_64) 47 else @bitSizeOf(usize);
const leaf_bits = 19;
const leaf_entries = 1 << leaf_bits;
const leaf_count = 1 << (address_bits - leaf_bits - @ctz(@as(usize, page_size)));

/// The stack that a guard page belongs to.
pub const Entry = struct {
    base: usize,
    /// Whether an overflow ends the generator, and not the process.
    recover: bool,

    /// In one word, which is written and read at once; never 0.
    fn toWord(self: Entry) usize {
        assert(self.base % page_size == 0);
        return self.base | @intFromBool(self.recover);
    }

    fn fromWord(word: usize) Entry {
        return .{ .base = word & ~@as(usize, 1), .recover = word & 1 != 0 };
    }
};

pub const GuardTable = struct {
    const Leaf = [leaf_entries]std.atomic.Value(usize);
    const Place = struct { leaf: usize, entry: usize };

    leaves: [leaf_count]std.atomic.Value(?*Leaf) = @splat(.init(null)),

    /// Notes that the page at `guard` is the guard of a stack.
    pub fn add(self: *GuardTable, guard: usize, entry: Entry) status.Refusal!void {
        const at = place(guard).?;
        const leaf = self.leaves[at.leaf].load(.acquire) orelse try makeLeaf(&self.leaves[at.leaf]);
        leaf[at.entry].store(entry.toWord(), .release);
    }

    /// Notes that it no longer is. Before the page is unmapped, since another thread may be given
    /// the same one at once.
    pub fn remove(self: *GuardTable, guard: usize) void {
        const at = place(guard).?;
        self.leaves[at.leaf].load(.acquire).?[at.entry].store(0, .release);
    }

    /// The stack whose guard page `address` lies in.
    pub fn find(self: *GuardTable, address: usize) ?Entry {
        const at = place(address) orelse return null;
        const leaf = self.leaves[at.leaf].load(.acquire) orelse return null;
        const word = leaf[at.entry].load(.acquire);
        return if (word == 0) null else .fromWord(word);
    }

    fn place(address: usize) ?Place {
        const page = address / page_size;
        const leaf = page / leaf_entries;
        if (leaf >= leaf_count) return null;
        return .{ .leaf = leaf, .entry = page % leaf_entries };
    }

    fn makeLeaf(slot: *std.atomic.Value(?*Leaf)) status.Refusal!*Leaf {
        const address = system.call(linux.mmap, .{
            null,
            @sizeOf(Leaf),
            .{ .READ = true, .WRITE = true },
            .{ .TYPE = .PRIVATE, .ANONYMOUS = true, .NORESERVE = true },
            -1,
            0,
        });
        try status.check(address);
        const leaf: *Leaf = @ptrFromInt(address);
        // Another thread may have been faster.
        const other = slot.cmpxchgStrong(null, leaf, .acq_rel, .acquire) orelse return leaf;
        _ = system.call(linux.munmap, .{ @as([*]const u8, @ptrCast(leaf)), @sizeOf(Leaf) });
        return other.?;
    }
};

/// All stacks of this copy of fringe.
pub var guards: GuardTable = .{};

test "GuardTable finds the page that was added, no other one, and forgets it" {
    const Once = struct {
        var table: GuardTable = .{};
    };
    const table = &Once.table;
    const top = @as(usize, leaf_count * leaf_entries - 16) * page_size;
    for ([_]usize{ 16 * page_size, leaf_entries * page_size, top }) |guard| {
        const stack_base = guard + 9 * page_size;
        try std.testing.expectEqual(null, table.find(guard));
        try table.add(guard, .{ .base = stack_base, .recover = guard == top });
        for ([_]usize{ guard, guard + page_size - 1 }) |address| {
            const entry: Entry = .{ .base = stack_base, .recover = guard == top };
            try std.testing.expectEqual(entry, table.find(address));
        }
        try std.testing.expectEqual(null, table.find(guard - 1));
        try std.testing.expectEqual(null, table.find(guard + page_size));
        table.remove(guard);
        try std.testing.expectEqual(null, table.find(guard));
    }
    // No address at all.
    if (address_bits < @bitSizeOf(usize)) {
        try std.testing.expectEqual(null, table.find(1 << address_bits));
        try std.testing.expectEqual(null, table.find(std.math.maxInt(usize)));
    }
}
