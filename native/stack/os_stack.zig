// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! A stack from the operating system: an anonymous mapping with a guard below it (`Row` of
//! guard_table.zig says how wide). The pages are committed when they are touched, so a generous
//! size costs address space only.

const std = @import("std");
const GuardedStack = @import("stack.zig").GuardedStack;
const Grant = layout.Grant;
const layout = @import("../layout.zig");
const os = @import("../os/os.zig").os;
const Refusal = @import("../os/os.zig").Refusal;
const slab_module = @import("slab.zig");
const Slab = slab_module.Slab;

// For the tests.
const guards = &@import("guard_table.zig").guards;
const valgrind = @import("../watch/valgrind.zig");
const child_process = @import("../test/child_process.zig");
const Generator = @import("../context/generator.zig").Generator;
const Yielder = @import("../context/generator.zig").Yielder;

pub const size_default = layout.stack_size_default;

pub const OsStack = struct {
    /// The whole mapping, the guard first.
    mapping: []align(os.page_size) u8,

    /// What happens when the body has used it up.
    pub const Options = struct {
        /// Once overflow.zig has been installed: `report` writes to stderr what has overflowed, and
        /// the process ends as it does without; `recover` ends the generator, whose `resume`
        /// returns null, and whose status is `overflowed`. Its frames are forgotten: no `defer`, no
        /// destructor runs, and what they held stays held.
        overflow: enum { report, recover } = .report,
    };

    /// Maps `size` bytes, rounded up to whole pages; 0 gives one page.
    pub fn init(size: usize) Refusal!OsStack {
        return initOptions(size, .{});
    }

    pub fn initOptions(size: usize, options: Options) Refusal!OsStack {
        const slab = try Slab.init(size, 1, options.overflow == .recover);
        return .{ .mapping = slab.mapping };
    }

    /// Unmaps the stack. If the system refuses that, the memory goes back, and addresses are lost.
    pub fn deinit(self: *OsStack) void {
        slab_module.unmap(self.mapping) catch {};
        self.* = undefined;
    }

    pub fn stack(self: OsStack) GuardedStack {
        return self.whole().stack(0);
    }

    fn whole(self: OsStack) Slab {
        return .{ .mapping = self.mapping, .count = 1 };
    }
};

// C ABI

/// Maps a stack and writes where it lies.
pub fn map(size: usize, recover: bool, bounds: *layout.Bounds) callconv(.c) Grant {
    const os_stack = OsStack.initOptions(size, .{
        .overflow = if (recover) .recover else .report,
    }) catch |err| return .from(err);
    bounds.* = os_stack.whole().bounds();
    os_stack.whole().own();
    return .granted;
}

test "OsStack rounds up to whole pages, and 0 gives one" {
    for ([_]usize{ 0, 1, 4096, 4097, size_default }) |size| {
        var os_stack = try OsStack.init(size);
        defer os_stack.deinit();
        const stack = os_stack.stack().stack;
        stack.check();
        const pages = @max(1, std.math.divCeil(usize, size, os.pageSize()) catch unreachable);
        try std.testing.expectEqual(pages * os.pageSize(), stack.size());
        // Both ends are there to be used.
        @as(*volatile u8, @ptrFromInt(stack.base - 1)).* = 1;
        @as(*volatile u8, @ptrFromInt(stack.limit)).* = 1;
    }
}

test "OsStack has a guard of a tenth of it, and of 64 KiB at least" {
    const page = os.pageSize();
    for ([_]usize{ page, 64 * 1024, 1 << 20, 8 << 20, (8 << 20) + page, 100 << 20 }) |size| {
        var os_stack = try OsStack.init(size);
        defer os_stack.deinit();
        const guarded = guards.around(os_stack.stack().stack.limit).?;
        try std.testing.expectEqual(size, guarded.base - guarded.limit);
        try std.testing.expect(guarded.limit - guarded.guard >= @max(64 * 1024, size / 10));
        try std.testing.expect(guarded.limit - guarded.guard <= @max(64 * 1024, size / 10 + page));
        var byte: [1]u8 = undefined;
        try std.testing.expect(!os.tryRead(guarded.guard, &byte));
        try std.testing.expect(!os.tryRead(guarded.limit - 1, &byte));
        try std.testing.expect(os.tryRead(guarded.limit, &byte));
    }
}

test "OsStack is in the table of guards, and no longer than it is there" {
    var os_stack = try OsStack.init(0);
    const stack = os_stack.stack().stack;
    const guarded = guards.find(stack.limit - 1).?;
    try std.testing.expectEqual(stack.base, guarded.base);
    os_stack.deinit();
    try std.testing.expectEqual(null, guards.find(stack.limit - 1));
    var bounds: layout.Bounds = undefined;
    try std.testing.expectEqual(.granted, map(0, true, &bounds));
    const start: usize = @intCast(bounds.start);
    try std.testing.expectEqual(bounds.limit, guards.find(start).?.limit);
    try std.testing.expect(guards.find(start).?.recover);
    try std.testing.expectEqual(.granted, slab_module.unmapBounds(@intCast(bounds.base), start));
    try std.testing.expectEqual(null, guards.find(start));
}

test "OsStack.init reports what cannot be had, and nothing is left behind" {
    // It says of such sizes that they are none (EINVAL).
    if (valgrind.isRunning()) return error.SkipZigTest;
    try std.testing.expectError(error.OutOfMemory, OsStack.init(std.math.maxInt(usize)));
    // Less than all, but more than a process of 32 bits has in one piece.
    const most = std.math.maxInt(usize) - (1 << 26);
    try std.testing.expectError(error.OutOfMemory, OsStack.init(most));
}

fn writeBelow() void {
    const os_stack = OsStack.init(0) catch return;
    @as(*volatile u8, @ptrFromInt(os_stack.stack().stack.limit - 1)).* = 1;
}

fn runOffTheEnd() void {
    const os_stack = OsStack.init(0) catch return;
    const body = struct {
        fn body(yielder: *Yielder(void, void), _: void) void {
            recurse(0);
            yielder.@"suspend"({}) catch return;
        }
        fn recurse(depth: usize) void {
            var frame: [256]u8 = @splat(@truncate(depth));
            std.mem.doNotOptimizeAway(&frame);
            recurse(depth + 1);
            std.mem.doNotOptimizeAway(&frame);
        }
    };
    var generator: Generator(void, void) = .init(os_stack.stack(), body.body);
    _ = generator.@"resume"({});
}

test "OsStack: to write below its limit, or to run off its end, ends the process" {
    const faulted: child_process.End = .{ .killed = .SEGV };
    try std.testing.expectEqual(faulted, try child_process.run(writeBelow));
    try std.testing.expectEqual(faulted, try child_process.run(runOffTheEnd));
}
