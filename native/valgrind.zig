// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! Tells Valgrind which memory is a stack. Without, it takes a switch for a large move of one stack
//! pointer, and believes that all that lies between two stacks has just come or gone.
//!
//! Valgrind knows a stack by a number. They are kept here, by the stack's base, so that nobody else
//! has to carry one. Zig's `-fvalgrind` switches it on, which a Debug build has by itself; in any
//! other there is nothing of this, and under no Valgrind it does nothing.

const std = @import("std");
const builtin = @import("builtin");
const Stack = @import("stack.zig").Stack;

var mutex: std.atomic.Mutex = .unlocked;
var numbers: std.AutoHashMapUnmanaged(usize, usize) = .empty;

/// A stack begins to be one, or a generator begins on it: nothing that lies there counts.
pub fn register(stack: Stack) void {
    if (!isRunning()) return;
    std.valgrind.memcheck.makeMemUndefined(bytes(stack));
    lock();
    defer mutex.unlock();
    const entry = numbers.getOrPut(std.heap.page_allocator, stack.base) catch return;
    if (!entry.found_existing) entry.value_ptr.* = std.valgrind.stackRegister(bytes(stack));
}

/// It is plain memory again, all of which can be used; called before it goes away.
pub fn deregister(stack: Stack) void {
    if (!isRunning()) return;
    lock();
    defer mutex.unlock();
    const entry = numbers.fetchRemove(stack.base) orelse return;
    std.valgrind.stackDeregister(entry.value);
    std.valgrind.memcheck.makeMemUndefined(bytes(stack));
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
