// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! Tells Valgrind which memory is a stack. If Valgrind does not know, it takes a switch for a large
//! move of one stack pointer, and believes that all memory between the two stacks has just become
//! part of a stack, or has just ceased to be.
//!
//! Valgrind gives each stack a number. The numbers are kept here, by the base of the stack, so that
//! no other part of fringe has to carry one. All of this is in a program that is built with Zig's
//! `-fvalgrind`, as a Debug build is by default; in any other there is nothing of it.
//!
//! One limit: to Valgrind a stack that is a part of another one (a SliceStack in a local variable)
//! is the same stack.

const std = @import("std");
const builtin = @import("builtin");
const Bounds = @import("../layout.zig").Bounds;
const Stack = @import("../stack/stack.zig").Stack;

// For the tests.
const os_stack = @import("../stack/os_stack.zig");
const slab = @import("../stack/slab.zig");
const OwnedStack = @import("../stack/owned_stack.zig").OwnedStack;
const SliceStack = @import("../stack/slice_stack.zig").SliceStack;

var mutex: std.atomic.Mutex = .unlocked;
var numbers: std.AutoHashMapUnmanaged(usize, usize) = .empty;

/// Memory becomes a stack, or a generator begins on one: what lies there is no value to be read.
pub fn register(stack: Stack) void {
    if (!builtin.valgrind_support) return;
    std.valgrind.memcheck.makeMemUndefined(bytes(stack));
    lock();
    defer mutex.unlock();
    const entry = numbers.getOrPut(std.heap.page_allocator, stack.base) catch return;
    if (!entry.found_existing) entry.value_ptr.* = std.valgrind.stackRegister(bytes(stack));
}

/// A stack becomes plain memory again, all of which can be used. Called before the memory goes
/// away.
pub fn deregister(stack: Stack) void {
    if (!builtin.valgrind_support) return;
    lock();
    defer mutex.unlock();
    const entry = numbers.fetchRemove(stack.base) orelse return;
    std.valgrind.stackDeregister(entry.value);
    std.valgrind.memcheck.makeMemDefined(bytes(stack));
}

/// To be called by a thread that has just begun on `stack`. What lies below `limit` becomes another
/// stack's, which is to be registered when it is used.
///
/// Valgrind itself has registered all of a thread's stack when that began, and says no number. It
/// is one of those that have been given since, and is not ours:
///
///     7  `stack`    8  Valgrind's own of the same memory    9  the one that is made here to see
pub fn narrow(stack: Stack, limit: usize) void {
    if (!isRunning()) return;
    lock();
    defer mutex.unlock();
    const number = numbers.get(stack.base) orelse return;
    const upper = bytes(.{ .base = stack.base, .limit = limit });
    std.valgrind.stackChange(number, upper);
    const next = std.valgrind.stackRegister(upper);
    std.valgrind.stackDeregister(next);
    for (number + 1..next) |other| if (!isOurs(other)) std.valgrind.stackDeregister(other);
}

fn isOurs(number: usize) bool {
    var ours = numbers.valueIterator();
    while (ours.next()) |known| if (known.* == number) return true;
    return false;
}

/// Whether this process is watched: a constant, where the build has nothing for Valgrind.
pub inline fn isRunning() bool {
    return builtin.valgrind_support and std.valgrind.runningOnValgrind() > 0;
}

fn lock() void {
    while (!mutex.tryLock()) std.atomic.spinLoopHint();
}

fn bytes(stack: Stack) []u8 {
    return @as([*]u8, @ptrFromInt(stack.limit))[0..stack.size()];
}

// C ABI

/// For stacks that JavaScript makes of its own memory.
pub fn registerBounds(base: usize, limit: usize) callconv(.c) void {
    register(.{ .base = base, .limit = limit });
}

/// The other end of `registerBounds`.
pub fn deregisterBounds(base: usize, limit: usize) callconv(.c) void {
    deregister(.{ .base = base, .limit = limit });
}

test "each kind of stack is registered, and deregistered when it goes" {
    if (!builtin.valgrind_support) return error.SkipZigTest;
    const expectEqual = std.testing.expectEqual;
    const before = numbers.count();
    {
        var mapped = try os_stack.OsStack.init(0);
        defer mapped.deinit();
        var owned = try OwnedStack.init(std.testing.allocator, 1024);
        defer owned.deinit(std.testing.allocator);
        var memory: [1024]u8 = undefined;
        var slice = try SliceStack.init(&memory);
        defer slice.deinit();
        try expectEqual(before + 3, numbers.count());
    }
    try expectEqual(before, numbers.count());

    var bounds: Bounds = undefined;
    try expectEqual(.granted, os_stack.map(0, false, &bounds));
    try expectEqual(before + 1, numbers.count());
    const base: usize, const limit: usize = .{ @intCast(bounds.base), @intCast(bounds.limit) };
    // Once more is no other stack.
    registerBounds(base, limit);
    try expectEqual(before + 1, numbers.count());
    try expectEqual(.granted, slab.unmapBounds(base, @intCast(bounds.start)));
    try expectEqual(before, numbers.count());
}

noinline fn beStack() !void {
    var memory: [100_000]u8 = undefined;
    var slice = try SliceStack.init(&memory);
    slice.deinit();
}

noinline fn fill() void {
    var memory: [50_000]u8 = undefined;
    for (&memory) |*byte| byte.* = 1;
    std.mem.doNotOptimizeAway(&memory);
}

test "what was a stack for a while is again part of another one" {
    // Valgrind complains if it believes something else.
    try beStack();
    fill();
}
