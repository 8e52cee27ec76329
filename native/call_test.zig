// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! Tests of calls of C functions whose callbacks suspend.

const std = @import("std");
const expect = std.testing.expect;
const expectEqual = std.testing.expectEqual;
const call_module = @import("call.zig");
const child_process = @import("child_process.zig");
const context_module = @import("context.zig");
const Context = context_module.Context;
const mailbox_module = @import("mailbox.zig");
const OsStack = @import("os_stack.zig").OsStack;

extern fn fringe_resume_call(context: *Context, word: usize) usize;
extern fn fringe_call_body(context: *Context) void;
extern fn fringe_thunk(number: u32) usize;

comptime {
    @export(&call_module.strayCallback, .{
        .name = "fringe_stray_callback",
        .visibility = .hidden,
    });
}

/// One call in progress.
const Call = struct {
    os_stack: OsStack,
    box: *mailbox_module.Call,
    context: *Context,

    fn init(function: *const anyopaque, arguments: []const u64) !Call {
        var os_stack = try OsStack.init(1 << 16);
        errdefer os_stack.deinit();
        const box = try std.testing.allocator.create(mailbox_module.Call);
        box.* = std.mem.zeroes(mailbox_module.Call);
        box.function = @intFromPtr(function);
        @memcpy(box.arguments[0..arguments.len], arguments);
        const stack = os_stack.stack().stack;
        return .{
            .os_stack = os_stack,
            .box = box,
            .context = context_module.init(stack, &fringe_call_body, box),
        };
    }

    fn deinit(self: *Call) void {
        std.testing.allocator.destroy(self.box);
        self.os_stack.deinit();
    }

    /// The number of the thunk that C has called; null when the function has returned.
    fn next(self: *Call) ?usize {
        const word = fringe_resume_call(self.context, 0);
        return if (word == 0) null else word - 1;
    }

    fn answer(self: *Call, value: i64) void {
        self.box.generator.input.store(@bitCast(value));
    }

    fn result(self: *Call) u64 {
        return self.box.generator.output.load();
    }
};

extern "c" fn qsort(
    base: *anyopaque,
    count: usize,
    size: usize,
    compare: *const fn (*const anyopaque, *const anyopaque) callconv(.c) c_int,
) void;

fn element(word: u64) i32 {
    return @as(*const i32, @ptrFromInt(@as(usize, @intCast(word)))).*;
}

fn order(a: i32, b: i32) i64 {
    return @as(i64, @intFromBool(a > b)) - @intFromBool(a < b);
}

fn shuffled(comptime count: usize, seed: u64) [count]i32 {
    var numbers: [count]i32 = undefined;
    for (&numbers, 0..) |*number, i| number.* = @intCast(i);
    var random = std.Random.DefaultPrng.init(seed);
    random.random().shuffle(i32, &numbers);
    return numbers;
}

fn startSort(numbers: []i32) !Call {
    return Call.init(&qsort, &.{ @intFromPtr(numbers.ptr), numbers.len, 4, fringe_thunk(0) });
}

fn answerSort(call: *Call) void {
    const arguments = call.box.callback_arguments;
    call.answer(order(element(arguments[0]), element(arguments[1])));
}

test "qsort sorts with a comparator that suspends" {
    var numbers = shuffled(500, 1);
    var call = try startSort(&numbers);
    defer call.deinit();
    var comparisons: usize = 0;
    while (call.next()) |number| : (comparisons += 1) {
        try expectEqual(0, number);
        answerSort(&call);
    }
    try expectEqual(.returned, call.box.generator.status);
    for (numbers, 0..) |number, i| try expectEqual(i, @as(usize, @intCast(number)));
    try expect(comparisons > 500);
}

test "calls go on in turns, and one inside the other's callback" {
    var numbers_a = shuffled(100, 2);
    var numbers_b = shuffled(100, 3);
    var a = try startSort(&numbers_a);
    defer a.deinit();
    var b = try startSort(&numbers_b);
    defer b.deinit();
    while (true) {
        const more_a = a.next() != null;
        if (more_a) {
            answerSort(&a);
            // A whole sort while the other waits for its answer.
            var numbers_c = shuffled(10, 4);
            var c = try startSort(&numbers_c);
            defer c.deinit();
            while (c.next() != null) answerSort(&c);
            for (numbers_c, 0..) |number, i| try expectEqual(i, @as(usize, @intCast(number)));
        }
        const more_b = b.next() != null;
        if (more_b) answerSort(&b);
        if (!more_a and !more_b) break;
    }
    for (numbers_a, numbers_b, 0..) |number_a, number_b, i| {
        try expectEqual(i, @as(usize, @intCast(number_a)));
        try expectEqual(i, @as(usize, @intCast(number_b)));
    }
}

/// A comparator that starts a sort of its own: the current context is put back when that has ended.
fn compareBySorting(a: *const anyopaque, b: *const anyopaque) callconv(.c) c_int {
    var numbers = shuffled(5, 5);
    var call = startSort(&numbers) catch return 0;
    defer call.deinit();
    while (call.next() != null) answerSort(&call);
    const callback: *const fn (*const anyopaque, *const anyopaque) callconv(.c) c_int =
        @ptrFromInt(fringe_thunk(0));
    return callback(a, b);
}

test "a call may be made on the stack of a call" {
    var numbers = shuffled(50, 6);
    var call = try startSort(&numbers);
    defer call.deinit();
    call.box.arguments[3] = @intFromPtr(&compareBySorting);
    while (call.next() != null) answerSort(&call);
    for (numbers, 0..) |number, i| try expectEqual(i, @as(usize, @intCast(number)));
}

const Six = *const fn (c_long, c_int, c_short, i8, u8, *const u8) callconv(.c) c_longlong;

fn callsBackWithSix(callback: Six, byte: *const u8) callconv(.c) c_longlong {
    return callback(-1, -2, -3, -4, 250, byte) + 1;
}

test "six arguments reach the callback, and a result of 64 bits comes back" {
    const byte: u8 = 7;
    var call = try Call.init(&callsBackWithSix, &.{ fringe_thunk(15), @intFromPtr(&byte) });
    defer call.deinit();
    try expectEqual(15, call.next());
    const arguments = call.box.callback_arguments;
    try expectEqual(-1, @as(c_long, @truncate(@as(i64, @bitCast(arguments[0])))));
    inline for (.{ i32, i16, i8 }, .{ -2, -3, -4 }, 1..4) |T, value, i| {
        try expectEqual(value, @as(T, @truncate(@as(i64, @bitCast(arguments[i])))));
    }
    try expectEqual(250, @as(u8, @truncate(arguments[4])));
    try expectEqual(@intFromPtr(&byte), arguments[5]);
    call.answer(0x0123_4567_89ab_cdef);
    try expectEqual(null, call.next());
    try expectEqual(0x0123_4567_89ab_cdf0, call.result());
}

fn callsBackForFloat(callback: *const fn () callconv(.c) f64) callconv(.c) c_int {
    return @intFromFloat(callback() * 2);
}

test "a floating-point result comes back" {
    // On x86 it would have to be in st(0): see fringe_thunk_common in switch_x86.S.
    if (@import("builtin").cpu.arch != .x86_64) return error.SkipZigTest;
    var call = try Call.init(&callsBackForFloat, &.{fringe_thunk(1)});
    defer call.deinit();
    try expectEqual(1, call.next());
    call.answer(@bitCast(@as(f64, 10.5)));
    try expectEqual(null, call.next());
    try expectEqual(21, @as(u32, @truncate(call.result())));
}

fn sumOfSix(a: c_int, b: c_int, c: c_int, d: c_int, e: c_int, f: c_int) callconv(.c) c_int {
    return a + 10 * b + 100 * c + 1_000 * d + 10_000 * e + 100_000 * f;
}

test "six arguments reach the function" {
    var call = try Call.init(&sumOfSix, &.{ 1, 2, 3, 4, 5, 6 });
    defer call.deinit();
    try expectEqual(null, call.next());
    try expectEqual(654_321, @as(u32, @truncate(call.result())));
}

/// In context_test.zig: 0 when the function that it calls has kept the caller's registers.
extern fn fringe_test_kept(function: *const anyopaque, first: usize, second: usize) usize;

test "a thunk keeps the registers of its caller, and is entered with whatever arguments" {
    _ = @import("context_test.zig");
    var call = try Call.init(&fringe_test_kept, &.{ fringe_thunk(3), 21, 22 });
    defer call.deinit();
    try expectEqual(4, resumeKept(call.context));
    try expectEqual(21, call.box.callback_arguments[0]);
    try expectEqual(22, call.box.callback_arguments[1]);
    call.answer(-1);
    try expectEqual(null, call.next());
    try expectEqual(0, @as(usize, @truncate(call.result())));
}

/// fringe_resume_call with every register in use on this side.
fn resumeKept(context: *Context) usize {
    const resumed = struct {
        var word: usize = 0;
        fn resumed(inner: *Context, _: usize) callconv(.c) void {
            word = fringe_resume_call(inner, 0);
        }
    };
    const unkept = fringe_test_kept(&resumed.resumed, @intFromPtr(context), 0);
    return if (unkept == 0) resumed.word else 1000;
}

test "there are 16 thunks, and no more" {
    for (0..16) |number| {
        try expect(fringe_thunk(@intCast(number)) != 0);
        for (0..number) |other| {
            try expect(fringe_thunk(@intCast(other)) != fringe_thunk(@intCast(number)));
        }
    }
    try expectEqual(0, fringe_thunk(16));
    try expectEqual(0, fringe_thunk(std.math.maxInt(u32)));
}

fn callThunkOutside() void {
    const callback: *const fn () callconv(.c) void = @ptrFromInt(fringe_thunk(0));
    callback();
}

test "a callback that is called outside any call ends the process" {
    const end = try child_process.run(callThunkOutside);
    try expectEqual(child_process.End{ .killed = .ABRT }, end);
}
