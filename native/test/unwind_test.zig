// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! Tests of unwinding: a trace leads from a body into whoever resumed it last, for unwinders that
//! read tables and for those that follow frame pointers; and a body that is ended early runs its
//! cleanups.

const std = @import("std");
const expect = std.testing.expect;
const expectEqual = std.testing.expectEqual;
const expectEqualSlices = std.testing.expectEqualSlices;
const backtrace = @import("../unwind/backtrace.zig");
const call_test = @import("call_test.zig");
const context_module = @import("../context/context.zig");
const context_test = @import("context_test.zig");
const Context = context_module.Context;
const fringe = @import("../fringe.zig");
const Generator = fringe.Generator;
const layout = @import("../layout.zig");
const thunk_module = @import("../call/thunk.zig");
const GuardedStack = fringe.GuardedStack;
const OsStack = fringe.OsStack;
const unwind = @import("../unwind/cancel.zig");
const unwinder = @import("../unwind/unwinder.zig");
const Yielder = fringe.Yielder;
const sanitizer = @import("../watch/sanitizer.zig");
const valgrind = @import("../watch/valgrind.zig");

// Not weak, unlike in unwinder.zig: so the linker takes the unwinder into the tests.
extern "c" fn _Unwind_Backtrace(
    visit: *const fn (unwind_context: *anyopaque, trace: *Trace) callconv(.c) c_int,
    trace: *Trace,
) c_int;
extern "c" fn _Unwind_GetIP(unwind_context: *anyopaque) usize;
extern "c" fn _Unwind_GetCFA(unwind_context: *anyopaque) usize;
extern "c" fn _Unwind_FindEnclosingFunction(address: usize) usize;
extern "c" fn _Unwind_ForcedUnwind() void;

const cpu = @import("builtin").cpu.arch;

/// The functions that a trace goes through, the innermost first.
const Trace = struct {
    functions: [64]usize = undefined,
    /// By tables only.
    stack_pointers: [64]usize = undefined,
    length: usize = 0,

    fn add(self: *Trace, address: usize) void {
        // A return address may lie behind the function's last instruction. libgcc knows.
        const inside = if (sanitizer.enabled) address else address - 1;
        self.functions[self.length] = _Unwind_FindEnclosingFunction(inside);
        self.length += 1;
    }

    fn byTables() Trace {
        var trace: Trace = .{};
        _ = _Unwind_Backtrace(&visit, &trace);
        return trace;
    }

    fn visit(unwind_context: *anyopaque, trace: *Trace) callconv(.c) c_int {
        const address = _Unwind_GetIP(unwind_context);
        // That of libgcc comes to the end of the stack as to a frame.
        const is_end = address == 0 or trace.length == trace.functions.len;
        if (is_end) return 5; // _URC_END_OF_STACK
        trace.add(address);
        trace.stack_pointers[trace.length - 1] = _Unwind_GetCFA(unwind_context);
        return 0;
    }

    /// Each frame pointer points at the caller's, and the return address lies above it. It ends at
    /// the caller of the test, since what comes below that, libc's start, has no frame pointers.
    noinline fn byFramePointers() Trace {
        var trace: Trace = .{};
        var record: *const context_module.Record = @ptrFromInt(@frameAddress());
        while (trace.length < trace.functions.len) {
            trace.add(record.resume_address);
            if (trace.functions[trace.length - 1] == test_caller) break;
            record = @ptrFromInt(record.frame_pointer);
        }
        return trace;
    }

    /// The function that has called the one that this is inlined into.
    inline fn endHere() void {
        test_caller = _Unwind_FindEnclosingFunction(@returnAddress() - 1);
    }

    var test_caller: usize = 0;

    /// Where a function is in the trace, counted from the innermost.
    fn find(self: *const Trace, function: *const anyopaque) ?usize {
        return std.mem.findScalar(usize, self.functions[0..self.length], @intFromPtr(function));
    }

    fn expectInOrder(self: *const Trace, functions: []const *const anyopaque) !void {
        var rest: []const usize = self.functions[0..self.length];
        for (functions) |function| {
            const position = std.mem.findScalar(usize, rest, @intFromPtr(function)) orelse
                return error.FunctionNotInTrace;
            rest = rest[position + 1 ..];
        }
    }
};

const Traces = struct {
    by_tables: Trace,
    by_frame_pointers: Trace,

    inline fn take() Traces {
        return .{ .by_tables = .byTables(), .by_frame_pointers = .byFramePointers() };
    }

    fn expectInOrder(self: *const Traces, functions: []const *const anyopaque) !void {
        try self.by_tables.expectInOrder(functions);
        try self.by_frame_pointers.expectInOrder(functions);
    }

    fn expectWithout(self: *const Traces, function: *const anyopaque) !void {
        try expectEqual(null, self.by_tables.find(function));
        try expectEqual(null, self.by_frame_pointers.find(function));
    }
};

/// Where bodies leave what they have seen.
var seen: Traces = undefined;

fn see(yielder: *Yielder(void, void), _: void) void {
    while (true) {
        seen = .take();
        yielder.@"suspend"({}) catch return;
    }
}

const Seeing = Generator(void, void);

// Two functions that resume, each with a name and a frame of its own. The result keeps the compiler
// from making one function of both, and from ending either with a jump.
noinline fn resumeHere(generator: *Seeing) callconv(.c) u32 {
    return if (generator.@"resume"({}) == null) 0 else 1;
}

noinline fn resumeThere(generator: *Seeing) callconv(.c) u32 {
    return if (generator.@"resume"({}) == null) 0 else 2;
}

noinline fn resumeByCall(generator: *Seeing) callconv(.c) u32 {
    _ = context_module.fringe_resume(generator.context, 0);
    return 3;
}

extern fn fringe_resume_call(context: *Context, word: usize) usize;

noinline fn resumeByJump(generator: *Seeing) callconv(.c) u32 {
    _ = fringe_resume_call(generator.context, 0);
    return 4;
}

noinline fn outermost(
    generator: *Seeing,
    function: *const fn (*Seeing) callconv(.c) u32,
) callconv(.c) u32 {
    return function(generator) + 10;
}

test "a trace leads to whoever resumed last, before and after a second switch" {
    var os_stack = try OsStack.init(1 << 16);
    defer os_stack.deinit();
    var generator: Seeing = .init(os_stack.stack(), see);
    try expectResumers(&generator);
}

noinline fn expectResumers(generator: *Seeing) !void {
    Trace.endHere();
    try expectEqual(11, outermost(generator, &resumeHere));
    try seen.expectInOrder(&.{ &resumeHere, &outermost });
    try seen.expectWithout(&resumeThere);
    try expectEqual(12, outermost(generator, &resumeThere));
    try seen.expectInOrder(&.{ &resumeThere, &outermost });
    try seen.expectWithout(&resumeHere);
    try expectEqual(13, outermost(generator, &resumeByCall));
    const fringe_resume = &context_module.fringe_resume;
    try seen.expectInOrder(&.{ fringe_resume, &resumeByCall, &outermost });
    try seen.expectWithout(&resumeThere);
    try expectEqual(14, outermost(generator, &resumeByJump));
    try seen.expectInOrder(&.{ &fringe_resume_call, &resumeByJump, &outermost });
    try seen.expectWithout(fringe_resume);
    // Directly, from the function that calls this one, so not by way of `outermost`.
    try expectEqual(1, resumeHere(generator));
    try seen.expectInOrder(&.{&resumeHere});
    try seen.expectWithout(&outermost);
}

/// The same with a body that suspends by the function call.
fn seeByCall(context: *Context) callconv(.c) void {
    while (true) {
        seen = .take();
        _ = context_module.fringe_suspend(context, 0);
    }
}

test "a trace leads through a body that suspends by a function call" {
    var os_stack = try OsStack.init(1 << 16);
    defer os_stack.deinit();
    var generator: Seeing = .initBody(os_stack.stack().stack, &seeByCall);
    try expectResumers(&generator);
    try seen.expectInOrder(&.{ &seeByCall, &resumeHere });
}

/// A C function with a callback.
fn seeAndCallBack(callback: *const fn () callconv(.c) void) callconv(.c) void {
    while (true) {
        seen = .take();
        callback();
    }
}

extern fn fringe_call_body(context: *Context) void;

test "a trace leads through a call, before its first callback and after it" {
    var os_stack = try OsStack.init(1 << 16);
    defer os_stack.deinit();
    Trace.endHere();
    const thunks = try thunk_module.make();
    var box = std.mem.zeroes(extern struct { call: layout.Call, stack: [1]usize });
    box.call.function = @intFromPtr(&seeAndCallBack);
    box.call.integers[0] = thunks.address;
    box.stack[0] = @intCast(thunks.address);
    box.call.stack_count = 1; // For x86; elsewhere the function does not look.
    const stack = os_stack.stack().stack;
    var generator: Seeing = .{
        .bounds = stack,
        .context = context_module.init(stack, &fringe_call_body, &box),
    };
    for (0..2) |_| {
        seen = undefined;
        try expectEqual(14, outermost(&generator, &resumeByJump));
        try seen.expectInOrder(&.{
            &seeAndCallBack,     &fringe_call_body, root,
            &fringe_resume_call, &resumeByJump,     &outermost,
        });
    }
}

const root = @extern(*const anyopaque, .{ .name = "fringe_root" });

/// A record and what is left free above it.
const suspended = if (cpu == .x86) 8 else 16 + 128;

var resumer_stack_pointer: usize = 0;

fn seeStackPointer(context: *Context) callconv(.c) void {
    resumer_stack_pointer = @intFromPtr(context.link) + suspended;
    seeByCall(context);
}

test "a trace finds the resumer's stack pointer" {
    var os_stack = try OsStack.init(1 << 16);
    defer os_stack.deinit();
    Trace.endHere();
    var generator: Seeing = .initBody(os_stack.stack().stack, &seeStackPointer);
    try expectEqual(1, resumeHere(&generator));
    const position = seen.by_tables.find(root).?;
    try expectEqual(resumer_stack_pointer, seen.by_tables.stack_pointers[position + 1]);
}

/// The stacks of three generators, each resumed by the one before.
var nest_stacks: [3]fringe.Stack = undefined;

fn nestOuter(yielder: *Yielder(void, void), _: void) void {
    nest(yielder, 1, nestMiddle);
}

fn nestMiddle(yielder: *Yielder(void, void), _: void) void {
    nest(yielder, 2, see);
}

inline fn nest(yielder: *Yielder(void, void), index: usize, comptime body: Seeing.Body) void {
    var inner: Seeing = .initUnguarded(nest_stacks[index], body);
    defer _ = inner.cancel();
    // Each time from another function.
    for ([_]*const fn (*Seeing) callconv(.c) u32{ &resumeThere, &resumeByCall }) |function| {
        _ = outermost(&inner, function);
        yielder.@"suspend"({}) catch return;
    }
}

noinline fn expectNested() !void {
    Trace.endHere();
    var generator: Seeing = .initUnguarded(nest_stacks[0], nestOuter);
    defer _ = generator.cancel();
    for ([_]*const anyopaque{ &resumeThere, &resumeByCall }) |function| {
        _ = resumeHere(&generator);
        try seen.expectInOrder(&.{ function, &outermost, function, &outermost, &resumeHere });
        for ([_]*const Trace{ &seen.by_tables, &seen.by_frame_pointers }) |trace| {
            const functions = trace.functions[0..trace.length];
            try expectEqual(3, std.mem.count(usize, functions, &.{@intFromPtr(root)}));
            try expectEqual(2, std.mem.count(usize, functions, &.{@intFromPtr(function)}));
        }
    }
    try seen.expectWithout(&resumeThere);
}

test "a trace leads through generators nested three deep" {
    var stacks: [3]OsStack = undefined;
    for (&stacks, &nest_stacks) |*stack, *nest_stack| {
        stack.* = try OsStack.init(1 << 16);
        nest_stack.* = stack.stack().stack;
    }
    defer for (&stacks) |*stack| stack.deinit();
    try expectNested();
}

// Stacks in the order of their addresses

const part_size = 1 << 20;

/// One mapping: a stack, the stack of a thread, and another one.
const Parts = struct {
    memory: []align(std.heap.page_size_min) u8,
    result: anyerror!void = {},

    fn run(argument: ?*anyopaque) callconv(.c) ?*anyopaque {
        const self: *Parts = @ptrCast(@alignCast(argument));
        self.result = self.check();
        return null;
    }

    fn check(self: *Parts) !void {
        const here = @frameAddress();
        var below = try fringe.SliceStack.init(self.memory[0..part_size]);
        defer below.deinit();
        try expect(below.stack().base < here);
        try expectEnds(below.stack());
        var above = try fringe.SliceStack.init(self.memory[2 * part_size ..]);
        defer above.deinit();
        try expect(here < above.stack().limit);
        try expectEnds(above.stack());
        // Up, down, and up again.
        const half = part_size / 2;
        const highest = try fringe.SliceStack.init(self.memory[2 * part_size + half ..]);
        const middle = try fringe.SliceStack.init(self.memory[2 * part_size ..][0..half]);
        nest_stacks = .{ middle.stack(), below.stack(), highest.stack() };
        try expectNested();
    }

    fn expectEnds(stack: fringe.Stack) !void {
        var generator: Seeing = .initUnguarded(stack, see);
        try expectResumers(&generator);
        try expectCleanups(stack);
    }
};

test "stacks may lie below and above the stack of the thread" {
    if (valgrind.isRunning()) return error.SkipZigTest; // It takes a mapping for one stack.
    var os_stack = try OsStack.init(3 * part_size);
    defer os_stack.deinit();
    const stack = os_stack.stack().stack;
    const start: [*]align(std.heap.page_size_min) u8 = @ptrFromInt(stack.limit);
    var parts: Parts = .{ .memory = start[0 .. 3 * part_size] };

    var attributes: std.c.pthread_attr_t = undefined;
    try expectEqual(.SUCCESS, std.c.pthread_attr_init(&attributes));
    defer _ = std.c.pthread_attr_destroy(&attributes);
    try expectEqual(0, pthread_attr_setstack(&attributes, start + part_size, part_size));
    var thread: std.c.pthread_t = undefined;
    try expectEqual(.SUCCESS, std.c.pthread_create(&thread, &attributes, &Parts.run, &parts));
    try expectEqual(.SUCCESS, std.c.pthread_join(thread, null));
    try parts.result;
}

extern "c" fn pthread_attr_setstack(*std.c.pthread_attr_t, stack: *anyopaque, size: usize) c_int;

// Ending a body early

extern fn fringe_test_body() void;
extern var fringe_test_left: [8]u8;

fn expectCleanups(stack: fringe.Stack) !void {
    _ = &_Unwind_ForcedUnwind;
    fringe_test_left = @splat(0);
    var generator: Generator(void, u32) = .initBody(stack, &fringe_test_body);
    try expectEqual(1, generator.@"resume"({}));
    try expectEqual(2, generator.@"resume"({}));
    try expectEqualSlices(u8, "\x00", fringe_test_left[0..1]);
    try expectEqual(.unwound, generator.cancel());
    try expectEqualSlices(u8, "io\x00", fringe_test_left[0..3]);
    // Once is enough.
    try expectEqual(.unwound, generator.cancel());
    try expectEqual(null, generator.@"resume"({}));
    try expectEqualSlices(u8, "io\x00", fringe_test_left[0..3]);
}

test "cancel unwinds a body in C: its cleanups run once, the innermost first" {
    var os_stack = try OsStack.init(1 << 16);
    defer os_stack.deinit();
    try expectCleanups(os_stack.stack().stack);
}

var canceled: u32 = 0;
var deferred: u32 = 0;

fn deferring(yielder: *Yielder(u32, u32), first: u32) void {
    defer deferred += 1;
    deferringInner(yielder, first) catch {
        canceled += 1;
        // Each later suspension is told as well.
        for (0..3) |_| _ = yielder.@"suspend"(0) catch {
            canceled += 1;
        };
    };
}

fn deferringInner(yielder: *Yielder(u32, u32), first: u32) error{Canceled}!void {
    defer deferred += 10;
    var input = first;
    while (true) input = try yielder.@"suspend"(input);
}

test "cancel: a body in Zig sees error.Canceled at each suspension, and its defers run" {
    var os_stack = try OsStack.init(1 << 16);
    defer os_stack.deinit();
    canceled = 0;
    deferred = 0;
    var generator: Generator(u32, u32) = .init(os_stack.stack(), deferring);
    try expectEqual(7, generator.@"resume"(7));
    try expectEqual(.returned, generator.cancel());
    try expectEqual(4, canceled);
    try expectEqual(11, deferred);
    try expectEqual(null, generator.@"resume"(7));
    try expectEqual(.returned, generator.cancel());
    try expectEqual(11, deferred);
}

test "cancel: of a body that never began, nothing runs" {
    var os_stack = try OsStack.init(1 << 16);
    defer os_stack.deinit();
    canceled = 0;
    deferred = 0;
    var generator: Generator(u32, u32) = .init(os_stack.stack(), deferring);
    try expectEqual(.unwound, generator.cancel());
    try expectEqual(null, generator.@"resume"(7));
    try expectEqual(fringe.State.unavailable, generator.state());
    try expectEqual(0, canceled);
    try expectEqual(0, deferred);
}

fn stubborn(yielder: *Yielder(void, void), _: void) void {
    while (true) yielder.@"suspend"({}) catch {};
}

test "cancel of a body that has returned says so, and walks nothing" {
    var os_stack = try OsStack.init(1 << 16);
    defer os_stack.deinit();
    const Returning = struct {
        fn body(_: *Yielder(u32, u32), _: u32) void {}
    };
    var generator: Generator(u32, u32) = .init(os_stack.stack(), Returning.body);
    try expectEqual(null, generator.@"resume"(1));
    try expectEqual(.returned, unwind.cancel(generator.context, 0));
    // Its link leads back into its stack.
    var addresses: [8]u64 = undefined;
    try expect(backtrace.ofSuspended(generator.context, &addresses) < addresses.len);
}

test "cancel abandons a body that never ends" {
    var os_stack = try OsStack.init(1 << 16);
    defer os_stack.deinit();
    var generator: Generator(void, void) = .init(os_stack.stack(), stubborn);
    try expectEqual({}, generator.@"resume"({}));
    var why: unwind.Why = .{};
    try expectEqual(.abandoned, unwind.end(generator.context, generator.bounds.limit, null, &why));
    try expectEqual(.swallowed, why.reason);
    try expectEqual(.abandoned, generator.cancel());
    try expectEqual(.abandoned, generator.cancel());
    try expectEqual(null, generator.@"resume"({}));
}

/// A body in Zig whose suspended frame is that of a C function which it has called.
fn mixed(yielder: *Yielder(void, u32), _: void) void {
    const body: *const fn (*Context) callconv(.c) void = @ptrCast(&fringe_test_body);
    body(&yielder.context);
}

test "cancel unwinds C frames that a body in Zig has called" {
    var os_stack = try OsStack.init(1 << 16);
    defer os_stack.deinit();
    fringe_test_left = @splat(0);
    var generator: Generator(void, u32) = .init(os_stack.stack(), mixed);
    try expectEqual(1, generator.@"resume"({}));
    try expectEqual(.unwound, generator.cancel());
    try expectEqualSlices(u8, "io\x00", fringe_test_left[0..3]);
}

/// How often the unwinder is asked where a frame goes on: of each frame twice in a survey, but once
/// of the last one; and of each frame that is unwound.
const Asked = struct {
    var count: u32 = 0;
    var getIP_itself: @TypeOf(unwinder.getIP) = null;

    fn begin() void {
        getIP_itself = unwinder.getIP;
        unwinder.getIP = &getIP;
    }

    fn end() void {
        unwinder.getIP = getIP_itself;
    }

    fn getIP(frame: *unwinder.Frame) callconv(.c) usize {
        count += 1;
        return getIP_itself.?(frame);
    }
};

/// A body as fringe.h makes it, which calls itself as often as its first input says. It suspends in
/// one place, whatever calls it.
fn idleBody(context: *Context, first: u32) callconv(.c) void {
    if (first > 0) return @call(.never_inline, deeper, .{ context, first - 1 });
    suspendIdle(context);
}

inline fn suspendIdle(context: *Context) void {
    while (true) {
        var signal: usize = undefined;
        const word = context_module.switchToResumer(context, 0, &signal);
        if (signal != 0) @as(context_module.Signal, @ptrFromInt(signal))(context, word);
    }
}

fn deeper(context: *Context, depth: u32) void {
    var self: *const fn (*Context, u32) callconv(.c) void = &idleBody;
    // So that the call is one, and not a jump.
    std.mem.doNotOptimizeAway(&self);
    self(context, depth);
    std.mem.doNotOptimizeAway(&self);
}

test "cancel asks no unwinder where nothing is to unwind, and knows the place again" {
    _ = &_Unwind_ForcedUnwind;
    var os_stack = try OsStack.init(1 << 16);
    defer os_stack.deinit();
    Asked.begin();
    defer Asked.end();
    var place: layout.IdlePlace = std.mem.zeroes(layout.IdlePlace);
    var why: unwind.Why = .{};
    // How often the body has called itself; how often the unwinder is asked, at least and at most.
    // The frames are those of fringe_trace, of the body, two for each call, and the trampoline's.
    const many = std.math.maxInt(u32);
    const rows = [_][3]u32{
        .{ 0, 5, 5 }, .{ 0, 0, 0 }, .{ 1, 10, many }, .{ 0, 0, 0 }, .{ 2, 14, many },
    };
    for (rows) |row| {
        const depth, const least, const most = row;
        var generator: Generator(u32, u32) = .initBody(os_stack.stack().stack, &idleBody);
        _ = generator.@"resume"(depth);
        const known = place.address;
        Asked.count = 0;
        try expectEqual(.unwound, unwind.end(generator.context, 0, &place, &why));
        try expect(least <= Asked.count and Asked.count <= most);
        // It is the same place in the code each time.
        if (known != 0) try expectEqual(known, place.address);
        try expectEqual(null, generator.@"resume"(0));
    }
}

test "cancel needs no room where no cleanup is to run" {
    // The guard page of a stack of one page would be hit.
    var os_stack = try OsStack.init(0);
    defer os_stack.deinit();
    var generator: Generator(u32, u32) = .initBody(os_stack.stack().stack, &suspendingBody);
    try expectEqual(1, generator.@"resume"(1));
    try expectEqual(.unwound, generator.cancel());
    try expectEqual(null, generator.@"resume"(1));
}

fn suspendingBody(yielder: *Yielder(u32, u32), first: u32) callconv(.c) void {
    var input: usize = first;
    while (true) input = context_module.fringe_suspend(&yielder.context, input);
}

fn cancelContext(context: *Context) callconv(.c) usize {
    return @intCast(@backingInt(unwind.cancel(context, 0)));
}

test "cancel unwinds a body while a signal comes at every instruction" {
    if (valgrind.isRunning()) return error.SkipZigTest; // It knows nothing of the trap flag.
    var os_stack = try OsStack.init(1 << 16);
    defer os_stack.deinit();
    fringe_test_left = @splat(0);
    var generator: Generator(void, u32) = .initBody(os_stack.stack().stack, &fringe_test_body);
    try expectEqual(1, generator.@"resume"({}));
    const scribble = context_test.scribble;
    const status = try context_test.stepThrough(&cancelContext, generator.context, scribble);
    try expectEqual(@backingInt(fringe.Status.unwound), @as(i32, @intCast(status)));
    try expectEqualSlices(u8, "io\x00", fringe_test_left[0..3]);
}

test "cancel abandons a body with cleanups whose stack has no room for an unwinder below them" {
    // The same. A page may be larger.
    var os_stack = try OsStack.init(0);
    defer os_stack.deinit();
    const base = os_stack.stack().stack.base;
    const small: fringe.Stack = .{ .base = base, .limit = base - 4096 };
    fringe_test_left = @splat(0);
    var generator: Generator(void, u32) = .initBody(small, &fringe_test_body);
    try expectEqual(1, generator.@"resume"({}));
    var why: unwind.Why = .{};
    try expectEqual(.abandoned, unwind.end(generator.context, small.limit, null, &why));
    try expectEqual(.no_room, why.reason);
    try expect(why.address != 0);
    try expectEqual(null, generator.@"resume"({}));
    try expectEqualSlices(u8, "\x00", fringe_test_left[0..1]);
}

// Generators of C's own, inside a call

const Nest = extern struct {
    callback: *const fn () callconv(.c) void,
    resume_function: *const fn (*Context, usize) callconv(.c) usize,
    depth: u32,
    level: u32 = 0,
    yielders: [3]*Context = undefined,
};
extern fn fringe_test_nest(*Nest) void;
extern fn fringe_test_nest_body(*Context, *Nest) void;

const InnerBox = layout.Mailbox(*Nest, u32);

/// A call of a C function that runs a generator, whose body runs one, and so on; and the innermost
/// calls back.
const Nested = struct {
    nest: *Nest,
    call: call_test.Call,
    stacks: [3]OsStack,
    boxes: *[3]InnerBox,

    fn init(depth: u32, resume_function: *const fn (*Context, usize) callconv(.c) usize) !Nested {
        const chain = try std.testing.allocator.create(Nest);
        const boxes = try std.testing.allocator.create([3]InnerBox);
        chain.* = .{
            .callback = call_test.thunk(fn () callconv(.c) void, 0),
            .resume_function = resume_function,
            .depth = depth,
        };
        var stacks: [3]OsStack = undefined;
        for (&stacks, boxes, &chain.yielders) |*stack, *box, *yielder| {
            stack.* = try OsStack.init(1 << 16);
            box.status = .suspended;
            box.input.store(chain);
            yielder.* = context_module.init(stack.stack().stack, &fringe_test_nest_body, box);
        }
        fringe_test_left = @splat(0);
        return .{
            .nest = chain,
            .boxes = boxes,
            .stacks = stacks,
            .call = try call_test.Call.init(&fringe_test_nest, .{chain}),
        };
    }

    fn deinit(self: *Nested) void {
        self.call.deinit();
        for (&self.stacks) |*stack| stack.deinit();
        std.testing.allocator.destroy(self.boxes);
        std.testing.allocator.destroy(self.nest);
    }

    /// The frames of the suspended call are there, from the callback to the call.
    fn expectFrames(self: *Nested) !void {
        var addresses: [64]u64 = undefined;
        var trace: Trace = .{};
        const length = backtrace.ofSuspended(self.call.context, &addresses);
        for (addresses[0..length]) |address| trace.add(@intCast(address));
        const functions = trace.functions[0..trace.length];
        const count = self.nest.depth + 1;
        const nest_address = [_]usize{@intFromPtr(&fringe_test_nest)};
        try expectEqual(count, std.mem.count(usize, functions, &nest_address));
        try expectEqual(count - 1, std.mem.count(usize, functions, &.{@intFromPtr(root)}));
        try expectEqual(@intFromPtr(&fringe_call_body), functions[functions.len - 1]);
    }
};

const resume_functions = .{ &context_module.fringe_resume, &fringe_resume_call };

test "a callback in generators of C's own suspends the call, and all of them with it" {
    inline for (resume_functions) |resume_function| for (0..4) |depth| {
        var nested: Nested = try .init(@intCast(depth), resume_function);
        defer nested.deinit();
        for (0..2) |_| {
            try expectEqual(0, nested.call.next());
            try nested.expectFrames();
        }
        // The innermost returns; then each suspends.
        try expectEqual(null, nested.call.next());
        try expectEqual(9, nested.nest.level);
        try expectEqual(.returned, nested.call.box.call.generator.status);
        for (nested.boxes[0..depth], nested.nest.yielders[0..depth]) |*box, yielder| {
            try expectEqual(.suspended, box.status);
            try expectEqual(.unwound, unwind.cancel(yielder, 0));
        }
    };
}

test "a call that is ended in generators of C's own is unwound through them" {
    inline for (resume_functions) |resume_function| for (0..4) |depth| {
        var nested: Nested = try .init(@intCast(depth), resume_function);
        defer nested.deinit();
        for (0..2) |_| try expectEqual(0, nested.call.next());
        var why: unwind.Why = .{};
        const limit = nested.call.os_stack.stack().stack.limit;
        try expectEqual(.unwound, unwind.end(nested.call.context, limit, null, &why));
        try expectEqual(.none, why.reason);
        try expectEqualSlices(u8, "3210\x00"[3 - depth ..], fringe_test_left[0 .. depth + 2]);
        for (nested.boxes[0..depth], nested.nest.yielders[0..depth]) |*box, yielder| {
            try expectEqual(.unwound, box.status);
            // Nor can they be entered any more.
            try expectEqual(.unwound, unwind.cancel(yielder, 0));
            try expectEqual(0, resume_function(yielder, 0));
        }
        try expectEqual(null, nested.call.next());
    };
}

// Stacks that C makes

const CallOn = fn (
    function: *const anyopaque,
    callback: *const fn () callconv(.c) void,
    stack: *anyopaque,
) callconv(.c) void;

/// Calls a function on another stack. The table leads back from there.
const call_on_stack = @extern(*const CallOn, .{ .name = "fringe_test_call_on_stack" });
/// The same; but the table has it that nobody has called, as below what makecontext(3) has made.
const start_on_stack = @extern(*const CallOn, .{ .name = "fringe_test_start_on_stack" });

comptime {
    for ([_][]const u8{ "call", "start" }) |name| {
        const ends = std.mem.eql(u8, name, "start");
        const register = switch (cpu) {
            .x86_64 => "%rip",
            .x86 => "%eip",
            else => "x30",
        };
        asm (".globl fringe_test_" ++ name ++ "_on_stack\n" ++
                "fringe_test_" ++ name ++ "_on_stack:\n" ++
                ".cfi_startproc\n" ++
                (switch (cpu) {
                    .x86_64 =>
                    \\push %rbp
                    \\.cfi_def_cfa_offset 16
                    \\.cfi_offset %rbp, -16
                    \\mov %rsp, %rbp
                    \\.cfi_def_cfa_register %rbp
                    \\mov %rdi, %rax
                    \\mov %rsi, %rdi
                    \\mov %rdx, %rsp
                    \\
                    ,
                    .x86 =>
                    \\push %ebp
                    \\.cfi_def_cfa_offset 8
                    \\.cfi_offset %ebp, -8
                    \\mov %esp, %ebp
                    \\.cfi_def_cfa_register %ebp
                    \\mov 8(%ebp), %eax
                    \\mov 12(%ebp), %ecx
                    \\mov 16(%ebp), %esp
                    \\sub $12, %esp
                    \\push %ecx
                    \\
                    ,
                    else =>
                    \\stp x29, x30, [sp, -16]!
                    \\.cfi_def_cfa_offset 16
                    \\.cfi_offset x29, -16
                    \\.cfi_offset x30, -8
                    \\mov x29, sp
                    \\.cfi_def_cfa_register x29
                    \\mov x9, x0
                    \\mov x0, x1
                    \\mov sp, x2
                    \\
                    ,
                }) ++ (if (ends) ".cfi_undefined " ++ register ++ "\n" else "") ++
                (switch (cpu) {
                    .x86_64 =>
                    \\call *%rax
                    \\mov %rbp, %rsp
                    \\pop %rbp
                    \\.cfi_def_cfa %rsp, 8
                    ,
                    .x86 =>
                    \\call *%eax
                    \\mov %ebp, %esp
                    \\pop %ebp
                    \\.cfi_def_cfa %esp, 4
                    ,
                    else =>
                    \\blr x9
                    \\mov sp, x29
                    \\ldp x29, x30, [sp], 16
                    \\.cfi_def_cfa sp, 0
                    ,
                }) ++
                \\
                \\ret
                \\.cfi_endproc
        );
    }
}

const OnStack = extern struct {
    function: *const anyopaque,
    callback: *const fn () callconv(.c) void,
    stack: *anyopaque,
    call_on: *const CallOn,
};
extern fn fringe_test_call_on(*OnStack) void;
extern fn fringe_test_call() void;
extern fn fringe_test_call_with_cleanup() void;

/// A function without a table, which calls one that has a cleanup.
const call_without_table = @extern(*const CallOn, .{ .name = "fringe_test_call_without_table" });

comptime {
    asm (switch (cpu) {
            .x86_64 =>
            \\.globl fringe_test_call_without_table
            \\fringe_test_call_without_table:
            \\push %rbp
            \\mov %rdi, %rax
            \\mov %rsi, %rdi
            \\call *%rax
            \\pop %rbp
            \\ret
            ,
            .x86 =>
            \\.globl fringe_test_call_without_table
            \\fringe_test_call_without_table:
            \\mov 4(%esp), %eax
            \\mov 8(%esp), %ecx
            \\sub $8, %esp
            \\push %ecx
            \\call *%eax
            \\add $12, %esp
            \\ret
            ,
            else =>
            \\.globl fringe_test_call_without_table
            \\fringe_test_call_without_table:
            \\stp x29, x30, [sp, -16]!
            \\mov x9, x0
            \\mov x0, x1
            \\blr x9
            \\ldp x29, x30, [sp], 16
            \\ret
            ,
        });
}

test "a call that is ended is unwound as far as there are tables" {
    var on_stack: OnStack = .{
        .function = &fringe_test_call_with_cleanup,
        .callback = call_test.thunk(fn () callconv(.c) void, 0),
        .stack = undefined,
        .call_on = call_without_table,
    };
    fringe_test_left = @splat(0);
    var call: call_test.Call = try .init(&fringe_test_call_on, .{&on_stack});
    defer call.deinit();
    try expectEqual(0, call.next());
    var why: unwind.Why = .{};
    const limit = call.os_stack.stack().stack.limit;
    try expectEqual(.abandoned, unwind.end(call.context, limit, null, &why));
    try expectEqual(.no_tables, why.reason);
    // LLVM's unwinder does not tell where.
    const start = @intFromPtr(call_without_table);
    try expect(why.address == 0 or start < why.address and why.address < start + 32);
    try expectEqualSlices(u8, "s\x00", fringe_test_left[0..2]);
    try expectEqual(null, call.next());
}

const small_size = 2048;

/// Ends a call in a callback on a small stack; what lies below that must stay as it is.
fn expectOnSmallStack(
    memory: []align(16) u8,
    function: *const anyopaque,
    call_on: *const CallOn,
    status: fringe.Status,
    left: []const u8,
) !void {
    const below = memory[0 .. memory.len - small_size];
    @memset(below, 0xee);
    var on_stack: OnStack = .{
        .function = function,
        .callback = call_test.thunk(fn () callconv(.c) void, 0),
        .stack = memory.ptr + memory.len,
        .call_on = call_on,
    };
    fringe_test_left = @splat(0);
    var call: call_test.Call = try .init(&fringe_test_call_on, .{&on_stack});
    defer call.deinit();
    try expectEqual(0, call.next());
    var why: unwind.Why = .{};
    const limit = call.os_stack.stack().stack.limit;
    try expectEqual(status, unwind.end(call.context, limit, null, &why));
    const is_abandoned = status == .abandoned;
    const reason: layout.Abandonment = if (is_abandoned) .foreign_stack else .none;
    try expectEqual(reason, why.reason);
    try expectEqual(is_abandoned, why.address != 0);
    try expectEqualSlices(u8, left, std.mem.sliceTo(&fringe_test_left, 0));
    try expect(std.mem.allEqual(u8, below, 0xee));
    try expectEqual(null, call.next());
}

test "a call that is ended on a stack which C has made: nothing is written below that" {
    if (valgrind.isRunning()) return error.SkipZigTest; // It takes such a stack for free memory.
    // On either side of the stack of the call.
    var memory: [2][]align(16) u8 = undefined;
    for (&memory) |*part| part.* = try std.testing.allocator.alignedAlloc(u8, .@"16", 1 << 16);
    defer for (memory) |part| std.testing.allocator.free(part);
    var local: [1 << 14]u8 align(16) = undefined;
    for ([_][]align(16) u8{ memory[0], memory[1], &local }) |part| {
        const plain: *const anyopaque = &fringe_test_call;
        const cleanup: *const anyopaque = &fringe_test_call_with_cleanup;
        try expectOnSmallStack(part, plain, call_on_stack, .unwound, "o");
        try expectOnSmallStack(part, cleanup, call_on_stack, .abandoned, "");
        try expectOnSmallStack(part, plain, start_on_stack, .abandoned, "");
        try expectOnSmallStack(part, cleanup, start_on_stack, .abandoned, "");
    }
}
