// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! Tests of what AddressSanitizer is told: it sees what bodies do wrong, and nothing else. The
//! bodies are in sanitizer_test.cc.

const std = @import("std");
const linux = std.os.linux;
const expect = std.testing.expect;
const expectEqual = std.testing.expectEqual;
const call_test = @import("call_test.zig");
const context_module = @import("../context/context.zig");
const Context = context_module.Context;
const fringe = @import("../fringe.zig");
const OsStack = fringe.OsStack;
const Numbers = fringe.Generator(u32, u32);

extern fn fringe_test_overflows() void;
extern fn fringe_test_reads_what_has_returned() void;
extern fn fringe_test_has_locals() void;
extern fn fringe_test_has_locals_once() void;
extern fn fringe_test_has_locals_and_throws() void;
extern fn fringe_test_catches() void;
extern fn fringe_test_has_a_large_frame() void;
extern fn fringe_test_catch_here(number: u32) u32;
extern fn fringe_test_catch_number(
    *Context,
    *const fn (context: *Context, word: usize) callconv(.c) usize,
) u32;
extern fn fringe_test_resumes(base: usize, number: u32) u32;
extern fn fringe_test_sum_answers(*const fn (u32) callconv(.c) u32) u32;

const stack_size = 1 << 20;

/// Resumes a body with 1 and 16. Where it is inlined, and where it is called, is one in a trace.
noinline fn resumeTwice(body: *const anyopaque) callconv(.c) void {
    const os_stack = OsStack.init(stack_size) catch return;
    var generator: Numbers = .initBody(os_stack.stack().stack, body);
    _ = generator.@"resume"(1);
    _ = generator.@"resume"(16);
}

/// Runs that in a child process, where it must end with a report that has all of `parts` in it.
fn expectReport(body: *const anyopaque, parts: []const []const u8) !void {
    var ends: [2]i32 = undefined;
    try expectEqual(0, linux.pipe(&ends));
    const pid = std.c.fork();
    if (pid == 0) {
        _ = linux.dup2(ends[1], 2);
        resumeTwice(body);
        linux.exit_group(0);
    }
    _ = linux.close(ends[1]);
    defer _ = linux.close(ends[0]);
    var report: [64 * 1024]u8 = undefined;
    var length: usize = 0;
    while (true) {
        const got = linux.read(ends[0], report[length..].ptr, report.len - length);
        if (got == 0 or linux.errno(got) != .SUCCESS) break;
        length += got;
    }
    var status: i32 = undefined;
    try expectEqual(@as(usize, @intCast(pid)), linux.waitpid(pid, &status, 0));
    errdefer std.debug.print("{s}", .{report[0..length]});
    try expectEqual(99, linux.W.EXITSTATUS(@bitCast(status)));
    var rest: []const u8 = report[0..length];
    for (parts) |part| {
        const at = std.mem.find(u8, rest, part) orelse {
            std.debug.print("{s} is not in its place in\n", .{part});
            return error.NotInReport;
        };
        rest = rest[at + part.len ..];
    }
}

const below = [_][]const u8{ "fringe_trampoline", "fringe_root", "resumeTwice" };

test "a body that writes over the end of an array is reported, with the frames of its resumer" {
    const name = "in fringe_test_overflows";
    try expectReport(&fringe_test_overflows, &([_][]const u8{ "stack-buffer-overflow", name } ++
        below ++ [_][]const u8{ "is located in stack of", name, "'array'" }));
}

test "a body that uses what has returned is reported, though it has suspended since" {
    const name = "in fringe_test_reads_what_has_returned";
    try expectReport(&fringe_test_reads_what_has_returned, &([_][]const u8{
        "stack-use-after-return",
        name,
    } ++ below ++ [_][]const u8{ "is located in stack of", "in keep_a_local", "'local'" }));
}

test "exceptions on either side leave the locals of the other one alone" {
    var os_stacks: [2]OsStack = undefined;
    for (&os_stacks) |*os_stack| os_stack.* = try .init(stack_size);
    defer for (&os_stacks) |*os_stack| os_stack.deinit();
    var has_locals: Numbers = .initBody(os_stacks[0].stack().stack, &fringe_test_has_locals);
    var catches: Numbers = .initBody(os_stacks[1].stack().stack, &fringe_test_catches);
    try expectEqual(8, has_locals.@"resume"(1));
    for (1..20) |i| {
        const number: u32 = @intCast(i);
        try expectEqual(number, fringe_test_catch_here(number));
        try expectEqual(number, catches.@"resume"(number));
        try expectEqual(number + 7, has_locals.@"resume"(number));
    }
    try expectEqual(.unwound, has_locals.cancel());
    try expectEqual(.unwound, catches.cancel());
}

/// Uses much of the stack that it is on, by a function that AddressSanitizer watches.
noinline fn fill() void {
    var bytes: [300_000]u8 = undefined;
    _ = memset(&bytes, 1, bytes.len);
    std.mem.doNotOptimizeAway(&bytes);
}

extern "c" fn memset(bytes: [*]u8, value: c_int, count: usize) [*]u8;

fn filling(yielder: *fringe.Yielder(u32, u32), _: u32) void {
    fill();
    _ = yielder.@"suspend"(1) catch return;
}

/// Catches, and fills what lies below.
fn catchingAndFilling(yielder: *fringe.Yielder(u32, u32), number: u32) void {
    const caught = fringe_test_catch_here(number);
    fill();
    _ = yielder.@"suspend"(caught) catch return;
}

test "frames that an exception has left can be written over" {
    var os_stack = try OsStack.init(stack_size);
    defer os_stack.deinit();
    var generator: Numbers = .init(os_stack.stack(), catchingAndFilling);
    try expectEqual(9, generator.@"resume"(9));
    try expectEqual(.returned, generator.cancel());
}

test "frames that were unwound by force, or forgotten, can be written over" {
    var memory: [stack_size]u8 = undefined;
    var slice_stack = try fringe.SliceStack.init(&memory);
    const stack = slice_stack.stack();
    for ([_]bool{ true, false }) |cancels| {
        var generator: Numbers = .initBody(stack, &fringe_test_has_a_large_frame);
        try expectEqual(1, generator.@"resume"(1));
        if (cancels) try expectEqual(.unwound, generator.cancel());
        generator = .initUnguarded(stack, filling);
        try expectEqual(1, generator.@"resume"(1));
        generator = .initBody(stack, &fringe_test_has_a_large_frame);
        try expectEqual(1, generator.@"resume"(1));
    }
    // As plain memory.
    slice_stack.deinit();
    _ = memset(&memory, 1, memory.len);

    // The allocator writes over it.
    var owned = try fringe.OwnedStack.init(std.testing.allocator, stack_size);
    var generator: Numbers = .initBody(owned.stack(), &fringe_test_has_a_large_frame);
    try expectEqual(1, generator.@"resume"(1));
    owned.deinit(std.testing.allocator);
}

fn pagesMapped() !usize {
    const file: i32 = @intCast(linux.open("/proc/self/statm", .{}, 0));
    defer _ = linux.close(file);
    var buffer: [128]u8 = undefined;
    const end = std.mem.findScalar(u8, buffer[0..linux.read(file, &buffer, buffer.len)], ' ').?;
    return std.fmt.parseInt(usize, buffer[0..end], 10);
}

/// Two resumes, whatever the second comes back by.
fn runToEnd(stack: fringe.Stack, body: *const anyopaque) !void {
    var generator: Numbers = .initBody(stack, body);
    try expectEqual(1, generator.@"resume"(1));
    if (body == @as(*const anyopaque, &fringe_test_has_locals_and_throws)) {
        const resume_function = &context_module.fringe_resume;
        try expectEqual(5, fringe_test_catch_number(generator.context, resume_function));
    } else if (body == @as(*const anyopaque, &fringe_test_has_locals_once)) {
        try expectEqual(null, generator.@"resume"(1));
    } else {
        try expectEqual(.unwound, generator.cancel());
    }
}

test "what is kept for a body is freed when it returns, throws or is ended" {
    var os_stack = try OsStack.init(stack_size);
    defer os_stack.deinit();
    const stack = os_stack.stack().stack;
    for ([_]*const anyopaque{
        &fringe_test_has_locals_once,
        &fringe_test_has_locals_and_throws,
        &fringe_test_has_a_large_frame,
    }) |body| {
        try runToEnd(stack, body);
        const before = try pagesMapped();
        const count = 100;
        for (0..count) |_| try runToEnd(stack, body);
        // That would be more than the stack has, each time.
        try expect(try pagesMapped() < before + count * (stack_size / std.heap.page_size_min));
    }
}

test "a program in C, which does not say where a stack ends, can make a context" {
    var os_stack = try OsStack.init(stack_size);
    defer os_stack.deinit();
    const stack = os_stack.stack().stack;
    @memset(@as([*]u8, @ptrFromInt(stack.limit))[0..stack.size()], 0xaa);
    try expectEqual(6, fringe_test_resumes(stack.base, 6));
}

test "a function whose callbacks suspend keeps its locals" {
    const Callback = fn (u32) callconv(.c) u32;
    const answers_thunk = call_test.thunk(Callback, 0);
    var call: call_test.Call = try .init(&fringe_test_sum_answers, .{answers_thunk});
    defer call.deinit();
    while (call.next()) |_| {
        try expectEqual(1, fringe_test_catch_here(1));
        call.answer(call.passed(struct { u32 })[0] * 10);
    }
    try expectEqual(280, call.result(u32));
}
