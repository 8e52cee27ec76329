// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! Tests of what happens when the system refuses: whatever asks it for something is attempted again
//! and again, and each time other system calls of its are refused. What asks for more is one more
//! test of a few lines here.

const std = @import("std");
const linux = std.os.linux;
const expect = std.testing.expect;
const expectEqual = std.testing.expectEqual;
const os_stack = @import("../stack/os_stack.zig");
const slab = @import("../stack/slab.zig");
const Bounds = @import("../layout.zig").Bounds;
const Grant = @import("../layout.zig").Grant;
const Refusal = @import("../os/os.zig").Refusal;
const os = @import("../os/os.zig").os;
const thunk = @import("../call/thunk.zig");
const ThunkBlock = @import("../layout.zig").ThunkBlock;
const valgrind = @import("../watch/valgrind.zig");

/// What a refusal is reported as.
const reported = [_]struct { linux.E, Grant }{
    .{ .NOMEM, .out_of_memory },
    .{ .AGAIN, .out_of_memory },
    .{ .PERM, .refused },
    .{ .ACCES, .refused },
};

/// What one or more refusals, from a call on, make of an attempt.
const Outcome = enum {
    /// It fails, and says why.
    fails,
    /// It succeeds all the same.
    succeeds,
};

/// Refuses `count` calls of `attempt`, from the first one on, then from the second one on, and so
/// on: the outcomes must be these, and no more calls than these made. An attempt undoes what it
/// does, so the mappings of the process must be the same before and after.
fn expectOutcomes(
    attempt: *const fn () anyerror!Grant,
    count: usize,
    outcomes: []const Outcome,
) !void {
    try expectEqual(.granted, try attempt());
    const before = try Mappings.read(0);
    for (reported) |report| {
        const errno, const failure = report;
        for (outcomes, 0..) |outcome, first| {
            os.refusals = .{ .first = first, .count = count, .errno = errno };
            defer os.refusals = .{};
            const grant = try attempt();
            try expect(os.refusals.calls > first);
            try expectEqual(if (outcome == .fails) failure else .granted, grant);
            try std.testing.expectEqualStrings(before, try Mappings.read(1));
        }
        os.refusals = .{ .first = outcomes.len, .count = count };
        defer os.refusals = .{};
        try expectEqual(.granted, try attempt());
        try expectEqual(outcomes.len, os.refusals.calls);
    }
}

/// Where the mappings of the process are, and what may be done there.
const Mappings = struct {
    /// Not on the stack, which must not grow meanwhile.
    var texts: [2][64 * 1024]u8 = undefined;

    fn read(index: usize) ![]const u8 {
        const text = &texts[index];
        const file = linux.open("/proc/self/maps", .{ .ACCMODE = .RDONLY }, 0);
        try expectEqual(.SUCCESS, linux.errno(file));
        defer _ = linux.close(@intCast(file));
        var length: usize = 0;
        while (true) {
            const got = linux.read(@intCast(file), text[length..].ptr, text.len - length);
            try expectEqual(.SUCCESS, linux.errno(got));
            if (got == 0) break;
            length += got;
        }
        return if (valgrind.isRunning()) withoutValgrind(text[0..length]) else text[0..length];
    }

    /// Valgrind's own memory, which grows as it goes, is all that may be written and executed.
    fn withoutValgrind(text: []u8) []const u8 {
        var length: usize = 0;
        var lines = std.mem.splitScalar(u8, text, '\n');
        while (lines.next()) |line| {
            if (std.mem.find(u8, line, " rwxp ") != null) continue;
            @memmove(text[length..][0..line.len], line);
            length += line.len;
            if (length < text.len) text[length] = '\n';
            length += 1;
        }
        return text[0 .. length - 1];
    }

    /// The line of the mapping that an address lies in.
    fn lineOf(address: u64) !Line {
        var lines = std.mem.tokenizeScalar(u8, try read(0), '\n');
        while (lines.next()) |line| {
            const dash = std.mem.findScalar(u8, line, '-').?;
            const space = std.mem.findScalar(u8, line, ' ').?;
            const start = try std.fmt.parseInt(u64, line[0..dash], 16);
            const end = try std.fmt.parseInt(u64, line[dash + 1 .. space], 16);
            if (address >= start and address < end) return .{ .text = line[space + 1 ..] };
        }
        return error.NotMapped;
    }

    const Line = struct {
        text: []const u8,

        fn isOfFile(self: Line) bool {
            return std.mem.findScalar(u8, self.text, '/') != null;
        }
    };
};

/// Maps a stack and unmaps it, which is tried until it is granted, as TypeScript does.
fn mapStack() !Grant {
    var bounds: Bounds = undefined;
    const grant = os_stack.map(4096, false, &bounds);
    if (grant != .granted) return grant;
    const base: usize, const limit: usize = .{ @intCast(bounds.base), @intCast(bounds.limit) };
    @as(*volatile u8, @ptrFromInt(base - 1)).* = 1;
    @as(*volatile u8, @ptrFromInt(limit)).* = 1;
    while (slab.unmapBounds(base, @intCast(bounds.start)) != .granted) {}
    return grant;
}

test "a stack: a refusal is reported, or made good, and nothing is left behind" {
    try expectEqual(.granted, try mapStack());
    if (os.is_guard_advice_followed.load(.monotonic) == .no) {
        // mmap, mprotect, munmap.
        return expectOutcomes(&mapStack, 1, &.{ .fails, .fails, .succeeds });
    }
    // mmap, madvise, munmap.
    try expectOutcomes(&mapStack, 1, &.{ .fails, .succeeds, .succeeds });
    // The same; with mprotect in place of madvise, when that is the first to be refused.
    try expectOutcomes(&mapStack, 2, &.{ .fails, .fails, .succeeds });
}

/// Maps a slab of three stacks and unmaps it.
fn mapSlab() !Grant {
    var bounds: Bounds = undefined;
    const grant = slab.map(4096, 3, false, &bounds);
    if (grant != .granted) return grant;
    const base: usize, const limit: usize = .{ @intCast(bounds.base), @intCast(bounds.limit) };
    @as(*volatile u8, @ptrFromInt(base - 1)).* = 1;
    @as(*volatile u8, @ptrFromInt(limit)).* = 1;
    while (slab.unmapBounds(base, @intCast(bounds.start)) != .granted) {}
    return grant;
}

test "a slab: a refusal is reported, or made good, and nothing is left behind" {
    try expectEqual(.granted, try mapSlab());
    if (os.is_guard_advice_followed.load(.monotonic) == .no) {
        // mmap, three times mprotect, munmap. Mappings are not counted anew each time.
        return expectOutcomes(&mapSlab, 1, &.{ .fails, .fails, .fails, .fails, .succeeds });
    }
    os.refusals = .{};
    try expectEqual(.granted, try mapSlab());
    if (os.refusals.calls > 3) {
        // Linux 6.13 takes no advice for all guards at once: mmap, process_madvise, three times
        // madvise, munmap.
        const S = Outcome.succeeds;
        return expectOutcomes(&mapSlab, 1, &.{ .fails, S, S, S, S, S });
    }
    // mmap, process_madvise, munmap.
    try expectOutcomes(&mapSlab, 1, &.{ .fails, .succeeds, .succeeds });
    // The same; with madvise for each in place of process_madvise, when that is the first to be
    // refused, and with mprotect for the first.
    try expectOutcomes(&mapSlab, 2, &.{ .fails, .succeeds, .succeeds });
}

test "a slab is mapped while there is room for its mappings, and for others" {
    const known = os.is_guard_advice_followed.load(.monotonic);
    defer os.is_guard_advice_followed.store(known, .monotonic);
    os.is_guard_advice_followed.store(.no, .monotonic);
    var budget: slab.Budget = .{ .left = .init(200) };
    // What is known to be left is not counted again.
    try budget.take(64);
    try expectEqual(200 - 128, budget.left.load(.monotonic));
    budget.put(64);
    try expectEqual(200, budget.left.load(.monotonic));
    // More than is known, and less than there is: it is counted, and half of the rest may be used.
    const room = os.mappingsLeft().?;
    try budget.take(1000);
    const spare = slab.Budget.spare;
    const half: isize = @intCast((room - spare - 2000) / 2);
    try expectEqual(half, budget.left.load(.monotonic));
    // More than there is.
    try std.testing.expectError(error.TooManyMappings, budget.take((room - spare) / 2 + 1));
    try expectEqual(0, budget.left.load(.monotonic));
    try budget.take((room - spare) / 2);
    // Where guards take no mappings, there is no limit.
    os.is_guard_advice_followed.store(.yes, .monotonic);
    try budget.take(room);
    try expectEqual(null, os.mappingsLeft());
}

test "a stack that cannot be unmapped gives its memory back, and is there to be unmapped" {
    var stack = try os_stack.OsStack.init(4096);
    const bytes: [*]volatile u8 = @ptrFromInt(stack.stack().stack.limit);
    bytes[0] = 1;
    os.refusals = .{ .count = 1 };
    stack.deinit();
    os.refusals = .{};
    try expectEqual(0, bytes[0]);
}

/// Makes thunks, which are unmapped here only.
fn makeThunks() !Grant {
    return unmapThunks(thunk.make());
}

fn copyThunks() !Grant {
    return unmapThunks(thunk.makeMore(.copied));
}

fn unmapThunks(made: Refusal!ThunkBlock) !Grant {
    const block = made catch |err| return .from(err);
    const address: usize = @intCast(block.address);
    const memory: [*]const u8 = @ptrFromInt(std.mem.alignBackward(usize, address, os.pageSize()));
    try expectEqual(0, linux.munmap(memory, thunk.memorySize()));
    return .granted;
}

test "thunks: a refusal is reported, and nothing is left behind" {
    // mmap, mprotect.
    try expectOutcomes(&copyThunks, 1, &.{ .fails, .fails });
}

test "thunks: a table that cannot be mapped once more is copied, unless that is refused, too" {
    // The library's own, which is there.
    _ = try thunk.make();
    os.refusals = .{};
    defer os.refusals = .{};
    try expectEqual(.granted, try makeThunks());
    // mmap; open, read and close of maps; open, pread, mmap and close of the file: and more reads.
    const calls = os.refusals.calls;
    try expect(calls >= 8);
    var outcomes: [32]Outcome = @splat(.succeeds);
    outcomes[0] = .fails;
    try expectOutcomes(&makeThunks, 1, outcomes[0..calls]);

    // The open of maps; the mmap of the file; and its close, when it has been mapped.
    for ([_]usize{ 1, calls - 2, calls - 1 }, [_]bool{ false, false, true }) |first, is_mapped| {
        os.refusals = .{ .first = first, .count = 1, .errno = .ACCES };
        const block = try thunk.make();
        os.refusals = .{};
        try expectEqual(is_mapped, (try Mappings.lineOf(block.address)).isOfFile());
    }
    for (reported) |report| {
        const errno, const failure = report;
        os.refusals = .{ .first = 1, .count = std.math.maxInt(usize) - 1, .errno = errno };
        try expectEqual(failure, try makeThunks());
    }
}
