// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! A lock between threads, which is held for a few instructions at a time.

const std = @import("std");
const os = @import("../os/os.zig").os;

pub const Lock = struct {
    word: std.atomic.Value(u32) = .init(free),

    const free = 0;
    const taken = 1;
    /// Taken, and another thread sleeps.
    const wanted = 2;

    pub fn take(self: *Lock) void {
        if (self.word.cmpxchgStrong(free, taken, .acquire, .monotonic) == null) return;
        while (self.word.swap(wanted, .acquire) != free) os.wait(&self.word, wanted, null);
    }

    pub fn give(self: *Lock) void {
        if (self.word.swap(free, .release) == wanted) os.wake(&self.word);
    }
};

test "Lock lets one thread in at a time" {
    const Sum = struct {
        lock: Lock = .{},
        value: u32 = 0,

        fn add(self: *@This()) void {
            for (0..10_000) |_| {
                self.lock.take();
                defer self.lock.give();
                const before = self.value;
                std.atomic.spinLoopHint();
                self.value = before + 1;
            }
        }
    };
    var sum: Sum = .{};
    var threads: [4]std.Thread = undefined;
    for (&threads) |*thread| thread.* = try std.Thread.spawn(.{}, Sum.add, .{&sum});
    for (threads) |thread| thread.join();
    try std.testing.expectEqual(40_000, sum.value);
}
