// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! Tests of exceptions that leave bodies, and of those that bodies handle while they are suspended.
//! What throws and catches is in exception_test.cc.

const std = @import("std");
const arch = @import("../arch/arch.zig").arch;
const expect = std.testing.expect;
const expectEqual = std.testing.expectEqual;
const expectEqualSlices = std.testing.expectEqualSlices;
const call_test = @import("call_test.zig");
const context_module = @import("../context/context.zig");
const Context = context_module.Context;
const fringe = @import("../fringe.zig");
const layout = @import("../layout.zig");
const Mailbox = layout.Mailbox;
const OsStack = fringe.OsStack;
const sanitizer = @import("../watch/sanitizer.zig");
const Status = fringe.Status;
const os = @import("../os/os.zig").os;
const thunk_module = @import("../call/thunk.zig");
const unwind = @import("../unwind/cancel.zig");
const valgrind = @import("../watch/valgrind.zig");

const Resume = *const fn (context: *Context, word: usize) callconv(.c) usize;
const Problem = ?[*:0]const u8;

extern fn fringe_resume_call(context: *Context, word: usize) usize;
extern fn fringe_init_caught(
    base: usize,
    body: *const anyopaque,
    mailbox: *anyopaque,
    get_globals: ?*const anyopaque,
    limit: usize,
) *Context;
extern fn fringe_test_catch(*Context, Resume, times: u32, depth: c_int) Problem;
extern fn fringe_test_in_catch(*const fn (*anyopaque) callconv(.c) Problem, *anyopaque) Problem;
extern fn fringe_test_in_flight(*const fn (*anyopaque) callconv(.c) Problem, *anyopaque) Problem;
extern fn fringe_test_expect_thrown(
    function: *const fn (*anyopaque) callconv(.c) void,
    argument: *anyopaque,
    depth: c_int,
) Problem;
extern "c" fn _Unwind_Backtrace() void;
extern fn fringe_test_is_clean() bool;
extern fn fringe_test_objects() c_int;
extern fn fringe_test_rounding() c_int;
extern fn fringe_test_forget_objects() void;
extern var fringe_test_left: [8]u8;
const throws_at_once = body("fringe_test_throws_at_once");
const throws = body("fringe_test_throws");
const throws_rounding = body("fringe_test_throws_rounding");
const throws_through_c = body("fringe_test_throws_through_c");
const throws_through_cleanup = body("fringe_test_throws_through_cleanup");
const rethrows = body("fringe_test_rethrows");
const suspends_in_catch = body("fringe_test_suspends_in_catch");
const suspends_in_flight = body("fringe_test_suspends_in_flight");

fn body(comptime name: []const u8) *const anyopaque {
    return @extern(*const anyopaque, .{ .name = name });
}

const resumes = [_]Resume{ &context_module.fringe_resume, &fringe_resume_call };

/// A generator whose resumer is C++.
const Fixture = struct {
    os_stack: OsStack,
    box: *Mailbox(u32, u32),
    context: *Context,

    fn init(function: *const anyopaque, input: u32) !Fixture {
        const os_stack = try OsStack.init(1 << 16);
        const box = try std.testing.allocator.create(Mailbox(u32, u32));
        box.status = .suspended;
        box.input.store(input);
        return .{
            .os_stack = os_stack,
            .box = box,
            .context = context_module.init(os_stack.stack().stack, function, box),
        };
    }

    fn deinit(self: *Fixture) void {
        std.testing.allocator.destroy(self.box);
        self.os_stack.deinit();
    }
};

fn expectNoProblem(problem: Problem) !void {
    if (problem) |text| {
        std.debug.print("{s}\n", .{text});
        return error.Problem;
    }
}

test "an exception that leaves a body reaches the resumer as it is" {
    const cases = .{
        .{ throws_at_once, 1 },
        .{ throws, 3 },
        .{ throws_through_c, 2 },
        .{ throws_through_cleanup, 2 },
        .{ rethrows, 1 },
    };
    inline for (cases) |case| for (resumes) |resume_function| {
        fringe_test_left = @splat(0);
        var fixture = try Fixture.init(case[0], 7);
        defer fixture.deinit();
        try expectNoProblem(fringe_test_catch(fixture.context, resume_function, case[1], 7));
        try expectEqual(.thrown, fixture.box.status);
        try expectEqual(0, fringe_test_objects());
        const left = if (case[0] == throws_through_cleanup) "c\x00" else "\x00\x00";
        try expectEqualSlices(u8, left, fringe_test_left[0..2]);
        // As of one that has returned, nothing is left to be ended, or to be seen.
        try expectEqual(0, resume_function(fixture.context, 1));
    };
}

test "an exception that leaves a body leaves its control words behind" {
    if (valgrind.isRunning()) return error.SkipZigTest; // It rounds to the nearest in many places.
    const before = fringe_test_rounding();
    for (resumes) |resume_function| {
        var fixture = try Fixture.init(throws_rounding, 3);
        defer fixture.deinit();
        try expectNoProblem(fringe_test_catch(fixture.context, resume_function, 1, 3));
        try expectEqual(before, fringe_test_rounding());
    }
}

test "an exception is caught though there is no memory to report it" {
    const get_globals = @extern(*const anyopaque, .{ .name = "__cxa_get_globals" });
    var fixture = try Fixture.init(throws_at_once, 2);
    defer fixture.deinit();
    const base = fixture.os_stack.stack().stack.base;
    fixture.context = fringe_init_caught(base, throws_at_once, fixture.box, get_globals, 0);
    sanitizer.begin(fixture.context, fixture.os_stack.stack().stack);
    os.refusals = .{ .count = 1 };
    defer os.refusals = .{};
    _ = context_module.fringe_resume(fixture.context, 0);
    // It is the first one, and there are others, which are not refused.
    try expect(os.refusals.calls > 0);
    try expectEqual(.throwing, fixture.box.status);
    try expectEqual(0, fixture.box.output.load());
    _ = context_module.fringe_resume(fixture.context, 0);
    try expectEqual(.thrown, fixture.box.status);
    try expectEqual(0, fringe_test_objects());
}

test "a body that has thrown can begin again, and throw again" {
    const get_globals = @extern(*const anyopaque, .{ .name = "__cxa_get_globals" });
    var fixture = try Fixture.init(throws_at_once, 2);
    defer fixture.deinit();
    const stack = fixture.os_stack.stack().stack;
    fixture.context =
        fringe_init_caught(stack.base, throws_at_once, fixture.box, get_globals, stack.limit);
    sanitizer.begin(fixture.context, stack);
    for (0..5) |_| {
        _ = fringe_call(fixture.context, @intFromPtr(get_globals));
        try expectEqual(.throwing, fixture.box.status);
        _ = context_module.fringe_resume(fixture.context, 0);
        try expectEqual(.thrown, fixture.box.status);
        try expectEqual(0, fringe_test_objects());
    }
}

extern fn fringe_call(context: *Context, globals: usize) usize;

/// What is passed through a body that resumes.
const Nested = struct {
    var inner: ?*Context = null;
    var resume_function: Resume = undefined;
    var entered: u32 = 0;

    fn outer(_: *Context, _: u32) callconv(.c) void {
        entered += 1;
        _ = resume_function(inner.?, 0);
    }
};

test "an exception passes through bodies that resume each other" {
    for (resumes) |first| for (resumes) |second| {
        var inner = try Fixture.init(throws_at_once, 5);
        defer inner.deinit();
        var outer = try Fixture.init(&Nested.outer, 0);
        defer outer.deinit();
        Nested.inner = inner.context;
        Nested.resume_function = first;
        try expectNoProblem(fringe_test_catch(outer.context, second, 1, 5));
        try expectEqual(.thrown, inner.box.status);
        try expectEqual(.thrown, outer.box.status);
        try expectEqual(0, fringe_test_objects());
    };
    try expectEqual(4, Nested.entered);
}

/// A body that goes on behind an exception of another's, and calls back then.
const Catching = struct {
    var callback: *const fn () callconv(.c) void = undefined;
    var inner: *Context = undefined;
    var problem: Problem = null;

    fn outer(_: *Context, _: u32) callconv(.c) void {
        var nothing: u8 = 0;
        problem = fringe_test_expect_thrown(&resumeInner, &nothing, 6);
        callback();
    }

    fn resumeInner(_: *anyopaque) callconv(.c) void {
        _ = fringe_resume_call(inner, 0);
        // So that the call is no jump.
        problem = "the body goes on";
    }
};

test "a callback behind an exception suspends who calls it, not whom the exception has left" {
    const thunks = try thunk_module.make();
    Catching.callback = @ptrFromInt(@as(usize, @intCast(thunks.address)));
    var inner = try Fixture.init(throws_at_once, 6);
    defer inner.deinit();
    Catching.inner = inner.context;
    // A thunk keeps its arguments in the mailbox of a call.
    var call = std.mem.zeroes(layout.Call);
    var os_stack = try OsStack.init(1 << 16);
    defer os_stack.deinit();
    const stack = os_stack.stack().stack;
    const get_globals = @extern(*const anyopaque, .{ .name = "__cxa_get_globals" });
    const outer =
        fringe_init_caught(stack.base, &Catching.outer, &call, get_globals, stack.limit);
    sanitizer.begin(outer, stack);
    try expectEqual(thunks.number, fringe_resume_call(outer, 0));
    try expectNoProblem(Catching.problem);
    try expectEqual(0, fringe_resume_call(outer, 0));
    try expectEqual(.returned, call.generator.status);
    try expectEqual(0, fringe_test_objects());
}

fn resumeGenerator(argument: *anyopaque) callconv(.c) void {
    const generator: *fringe.Generator(u32, u32) = @ptrCast(@alignCast(argument));
    if (generator.@"resume"(3) == null) unreachable;
}

fn catchGenerator(argument: *anyopaque) callconv(.c) Problem {
    return fringe_test_expect_thrown(&resumeGenerator, argument, 3);
}

test "an exception passes through a resumer in Zig, whose generator has then finished" {
    var os_stack = try OsStack.init(1 << 16);
    defer os_stack.deinit();
    const stack = os_stack.stack().stack;
    for (0..3) |round| {
        var generator: fringe.Generator(u32, u32) = .initBody(stack, throws_at_once);
        try expectNoProblem(switch (round) {
            0 => catchGenerator(&generator),
            1 => fringe_test_in_catch(&catchGenerator, &generator),
            else => fringe_test_in_flight(&catchGenerator, &generator),
        });
        try expect(fringe_test_is_clean());
        try expectEqual(.unavailable, generator.state());
        try expectEqual(null, generator.@"resume"(1));
        try expectEqual(.thrown, generator.cancel());
        _ = generator.unwrap();
    }
    try expectEqual(0, fringe_test_objects());
}

test "an exception leaves control words behind that a resumer in Zig exchanges" {
    if (valgrind.isRunning()) return error.SkipZigTest;
    var os_stack = try OsStack.init(1 << 16);
    defer os_stack.deinit();
    const before = fringe_test_rounding();
    var generator: fringe.Generator(u32, u32) = .initBody(os_stack.stack().stack, throws_rounding);
    generator.context.exchanges.control = true;
    try expectNoProblem(catchGenerator(&generator));
    try expectEqual(before, fringe_test_rounding());
}

/// Many bodies that are suspended in handlers.
const Handlers = struct {
    const count = 40;
    var fixtures: [count]Fixture = undefined;

    /// Resumes all of them to their ends, in an order that has nothing to do with how they began.
    fn run(_: *anyopaque) callconv(.c) Problem {
        for (0..4) |step| for (0..count) |i| {
            const fixture = &fixtures[(i * 7 + step * 13) % count];
            const word = resumes[(i + step) % 2](fixture.context, 0);
            if (word != 0) return "the state of a body is not its own";
            const expected: Status = if (step < 3) .suspended else .returned;
            if (fixture.box.status != expected) return "a body has not gone as far as it should";
        };
        return null;
    }
};

test "bodies that are suspended in handlers keep the exceptions, the resumer its own" {
    for ([_]bool{ false, true }) |in_catch| {
        for (&Handlers.fixtures, 0..) |*fixture, i| {
            fixture.* = try .init(suspends_in_catch, @intCast(i));
        }
        defer for (&Handlers.fixtures) |*fixture| fixture.deinit();
        var nothing: u8 = 0;
        if (in_catch) {
            try expectNoProblem(fringe_test_in_catch(&Handlers.run, &nothing));
        } else {
            try expectNoProblem(Handlers.run(&nothing));
        }
        try expect(fringe_test_is_clean());
        try expectEqual(0, fringe_test_objects());
    }
}

test "bodies in handlers keep their exceptions where the resumer is inlined, too" {
    const Seen = fringe.Generator(u32, u32);
    var os_stacks: [10]OsStack = undefined;
    var generators: [10]Seen = undefined;
    for (&os_stacks, &generators, 0..) |*os_stack, *generator, i| {
        os_stack.* = try .init(1 << 16);
        generator.* = .initBody(os_stack.stack().stack, suspends_in_catch);
        try expectEqual(0, generator.@"resume"(@intCast(i)));
        try expect(fringe_test_is_clean());
    }
    for (&generators) |*generator| {
        try expectEqual(0, generator.@"resume"(0));
        try expectEqual(0, generator.@"resume"(0));
        try expectEqual(null, generator.@"resume"(0));
    }
    for (&os_stacks) |*os_stack| os_stack.deinit();
    try expect(fringe_test_is_clean());
    try expectEqual(0, fringe_test_objects());
}

test "a body that is ended in a handler is unwound out of it, and its exception destroyed" {
    var fixture = try Fixture.init(suspends_in_catch, 1);
    defer fixture.deinit();
    for (0..2) |_| try expectEqual(0, resumes[0](fixture.context, 0));
    try expect(fringe_test_objects() > 0);
    const limit = fixture.os_stack.stack().stack.limit;
    try expectEqual(.unwound, unwind.cancel(fixture.context, limit));
    try expectEqual(0, fringe_test_objects());
    try expect(fringe_test_is_clean());
}

test "a body that is ended in a destructor which an exception runs is abandoned" {
    if (sanitizer.enabled) return error.SkipZigTest; // It finds what stays.
    var fixture = try Fixture.init(suspends_in_flight, 0);
    defer fixture.deinit();
    try expectEqual(1, resumes[0](fixture.context, 0));
    const limit = fixture.os_stack.stack().stack.limit;
    try expectEqual(.abandoned, unwind.cancel(fixture.context, limit));
    try expect(fringe_test_is_clean());
    // The exception stays, like all that the body held.
    try expectEqual(1, fringe_test_objects());
    fringe_test_forget_objects();
}

/// Resumes a generator in a destructor that an exception runs; its body calls back.
const CallingInFlight = struct {
    var inner: *Context = undefined;
    var callback: *const fn () callconv(.c) void = undefined;

    fn run(_: *anyopaque) callconv(.c) Problem {
        _ = context_module.fringe_resume(inner, 0);
        return null;
    }

    fn callBack(_: *Context, _: u32) callconv(.c) void {
        callback();
    }
};

test "a call that is ended in a generator which such a destructor runs is abandoned" {
    if (sanitizer.enabled) return error.SkipZigTest; // As above.
    CallingInFlight.callback = call_test.thunk(fn () callconv(.c) void, 0);
    var inner = try Fixture.init(&CallingInFlight.callBack, 0);
    defer inner.deinit();
    CallingInFlight.inner = inner.context;
    var unused: u8 = 0;
    const arguments = .{ &CallingInFlight.run, @as(*anyopaque, &unused) };
    var call: call_test.Call = try .init(&fringe_test_in_flight, arguments);
    defer call.deinit();
    try expectEqual(0, call.next());
    try expect(fringe_test_is_clean());
    var why: unwind.Why = .{};
    const limit = call.os_stack.stack().stack.limit;
    try expectEqual(.abandoned, unwind.end(call.context, limit, null, &why));
    try expectEqual(.suspended_in_cleanup, why.reason);
    try expect(fringe_test_is_clean());
    fringe_test_forget_objects();
}

test "what is in flight in a body that is suspended is not in flight in the resumer" {
    var fixture = try Fixture.init(suspends_in_flight, 0);
    defer fixture.deinit();
    try expectEqual(1, resumes[0](fixture.context, 0));
    try expect(fringe_test_is_clean());
    try expectEqual(10, resumes[1](fixture.context, 0));
    try expect(fringe_test_is_clean());
    try expectEqual(0, resumes[0](fixture.context, 0));
    try expectEqual(.returned, fixture.box.status);
    try expectEqual(0, fringe_test_objects());
}

test "an exception is caught below the body where the resumer has no tables, and reported" {
    const get_globals = @extern(*const anyopaque, .{ .name = "__cxa_get_globals" });
    const functions = [_]*const anyopaque{ throws_at_once, rethrows };
    for (functions) |function| for (resumes) |resume_function| {
        var fixture = try Fixture.init(function, 2);
        defer fixture.deinit();
        const base = fixture.os_stack.stack().stack.base;
        fixture.context = fringe_init_caught(base, function, fixture.box, get_globals, 0);
        sanitizer.begin(fixture.context, fixture.os_stack.stack().stack);
        _ = resume_function(fixture.context, 0);
        try expectEqual(.throwing, fixture.box.status);
        try expect(fringe_test_is_clean());
        // The body's frames are gone, and the exception.
        try expectEqual(0, fringe_test_objects());
        const box: *Mailbox(u64, u64) = @ptrCast(fixture.box);
        const report: *layout.Report = @ptrFromInt(@as(usize, @intCast(box.output.load())));
        // Not weak, as in unwinder.zig: so the linker takes it into the tests.
        _ = &_Unwind_Backtrace;
        try expect(report.count > 0);
        if (arch.knows_exceptions) {
            const name = std.mem.span(@as([*:0]const u8, @ptrFromInt(report.type)));
            // Mangled, or not if the runtime can tell.
            try expect(std.mem.find(u8, name, "Error") != null);
        }
        try expectEqual(0, resume_function(fixture.context, 0));
        try expectEqual(.thrown, fixture.box.status);
        try expectEqual(0, fringe_test_objects());
        try expect(fringe_test_is_clean());
        try expectEqual(0, resume_function(fixture.context, 0));
    };
}
