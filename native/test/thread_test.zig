// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! Tests of calls that have a thread of their own, and of callbacks that any thread may call.

const std = @import("std");
const builtin = @import("builtin");
const linux = std.os.linux;
const expect = std.testing.expect;
const expectEqual = std.testing.expectEqual;
const call_test = @import("call_test.zig");
const foreign_callback = @import("../call/foreign_callback.zig");
const jump = @import("../call/jump.zig");
const layout = @import("../layout.zig");
const sanitizer = @import("../watch/sanitizer.zig");
const thread_module = @import("../call/thread.zig");
const Thread = thread_module.Thread;

comptime {
    const hidden: std.builtin.SymbolVisibility = .hidden;
    @export(&jump.judgeStack, .{ .name = "fringe_judge_stack", .visibility = hidden });
    @export(&jump.jumped, .{ .name = "fringe_jumped", .visibility = hidden });
}

/// No thunk of such an architecture asks: there is no Deno for it. And AddressSanitizer is not told
/// of these stacks.
const is_left_out = builtin.cpu.arch == .x86 or sanitizer.enabled;

const Ask = fn (i32) callconv(.c) i32;

/// A call on a thread.
const Call = struct {
    block: layout.ThreadBlock,
    thread: *Thread,
    box: *layout.Call,

    fn init(function: *const fn (*const Ask) callconv(.c) i32) !Call {
        var block: layout.ThreadBlock = undefined;
        try expectEqual(.granted, thread_module.take(1 << 20, false, &block));
        const room: usize = @intCast(block.room);
        const box: *layout.Call = @ptrFromInt(room - 1024);
        @memset(std.mem.asBytes(box), 0);
        box.function = @intFromPtr(function);
        box.integers[0] = @intFromPtr(call_test.thunk(Ask, 0));
        const thread: *Thread = @ptrFromInt(@as(usize, @intCast(block.thread)));
        thread_module.lay(thread, @intFromPtr(box), null);
        return .{ .block = block, .thread = thread, .box = box };
    }

    fn deinit(self: *Call) void {
        thread_module.put(&self.block);
    }

    fn step(self: *Call) layout.Status {
        thread_module.go(self.thread);
        thread_module.wait(self.thread);
        return self.box.generator.status;
    }

    fn asked(self: *Call) i32 {
        return @truncate(@as(i64, @bitCast(self.box.callback_integers[0])));
    }
};

/// Gives 1 for each time that the thread is another one.
fn sameThread(ask: *const Ask) callconv(.c) i32 {
    const here = linux.gettid();
    var others: i32 = 0;
    for (0..3) |_| others += @intFromBool(ask(here) != 5 or linux.gettid() != here);
    return others;
}

test "a call has one thread from its beginning to its end" {
    if (is_left_out) return error.SkipZigTest;
    var call: Call = try .init(&sameThread);
    defer call.deinit();
    for (0..3) |_| {
        try expectEqual(.suspended, call.step());
        try expect(call.asked() != linux.gettid());
        call.box.generator.input.store(5);
    }
    try expectEqual(.returned, call.step());
    try expectEqual(0, @as(i32, @truncate(@as(i64, @bitCast(call.box.generator.output.load())))));
}

test "a call on a thread can be walked where it waits, and ended there" {
    if (is_left_out) return error.SkipZigTest;
    for (0..2) |steps| {
        var call: Call = try .init(&sameThread);
        defer call.deinit();
        for (0..steps) |_| try expectEqual(.suspended, call.step());
        if (steps > 0) {
            var addresses: [64]u64 = undefined;
            for (0..2) |_| {
                const count = thread_module.trace(call.thread, &addresses, addresses.len);
                // The thunk, the function and what has called it.
                try expectEqual(3, count);
            }
        }
        thread_module.end(call.thread);
        try expectEqual(.unwound, call.box.generator.status);
    }
}

fn foreign(number: i32, answer: *i32) void {
    answer.* = call_test.thunk(Ask, 0)(number);
}

test "a thread of C's waits for its answer, and gets the stop of a callback that is closed" {
    if (is_left_out) return error.SkipZigTest;
    const number: u32 = @intCast(call_test.block().number);
    const stop: u64 = 77;
    try expectEqual(.granted, foreign_callback.open(number, &stop));
    var answers: [4]i32 = undefined;
    var threads: [4]std.Thread = undefined;
    for (&threads, &answers, 0..) |*thread, *answer, i| {
        thread.* = try std.Thread.spawn(.{}, foreign, .{ @as(i32, @intCast(i)), answer });
    }
    for (threads) |_| {
        const call = foreign_callback.take() orelse again: {
            while (true) {
                foreign_callback.wait(foreign_callback.listen());
                if (foreign_callback.take()) |taken| break :again taken;
            }
        };
        try expectEqual(number, call.generator.callback);
        const passed: i32 = @truncate(@as(i64, @bitCast(call.callback_integers[0])));
        call.generator.input.store(@intCast(passed + 10));
        foreign_callback.answer(call);
    }
    for (threads, 0..) |thread, i| {
        thread.join();
        try expectEqual(@as(i32, @intCast(i)) + 10, answers[i]);
    }
    try expectEqual(null, foreign_callback.take());
    foreign_callback.close(number);
    const late = try std.Thread.spawn(.{}, foreign, .{ 0, &answers[0] });
    late.join();
    try expectEqual(77, answers[0]);
    // Nobody calls it off a wait that nobody is in.
    const worker = foreign_callback.listen();
    foreign_callback.callOff();
    foreign_callback.wait(worker);
}
