// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! A program for those who look at call stacks from the outside. It goes through situations, and
//! stops in a body in each. `tests/behaviour/backtrace_test.ts` has it run by gdb and by valgrind,
//! has it ask libunwind, and knows what they are to see.
//!
//!     fringe-backtrace [LOOK]
//!
//! LOOK is what it does in each:
//!   nothing     for gdb, which has a breakpoint at `here`
//!   valgrind    has valgrind print the situation and its own backtrace
//!   libunwind   prints the situation, as `== NAME`, and the names of what libunwind.so.8 finds

const std = @import("std");
const builtin = @import("builtin");
const linux = std.os.linux;
const errno = @import("call/errno.zig");
const stray_callback = @import("call/stray_callback.zig");
const context_module = @import("context/context.zig");
const Context = context_module.Context;
const layout = @import("layout.zig");
const Stack = @import("stack/stack.zig").Stack;
const thunk_module = @import("call/thunk.zig");

/// Others look here. And it is built sooner.
pub const panic = std.debug.simple_panic;
pub const std_options: std.Options = .{
    .allow_stack_tracing = false,
    // The thread's own stack would have to hold it, as a thread-local variable.
    .signal_stack_size = null,
};

extern fn fringe_resume_call(context: *Context, word: usize) usize;
extern fn fringe_call_body(context: *Context) void;

comptime {
    @export(&here, .{ .name = "here" });
    @export(&errno.location, .{ .name = "fringe_errno", .visibility = .hidden });
    @export(&stray_callback.strayCallback, .{
        .name = "fringe_stray_callback",
        .visibility = .hidden,
    });
}

/// The name of what is looked at. gdb reads it.
export var situation: [64:0]u8 = @splat(0);

fn name(comptime format: []const u8, arguments: anytype) void {
    _ = std.fmt.bufPrintSentinel(&situation, format, arguments, 0) catch @panic("a long name");
}

var look: enum { nothing, valgrind, libunwind } = .nothing;

/// Called by every body.
noinline fn here() callconv(.c) void {
    switch (look) {
        .nothing => {},
        .valgrind => askValgrind(),
        .libunwind => {
            print("== ");
            print(std.mem.sliceTo(&situation, 0));
            print("\n");
            printTrace();
        },
    }
    // After the calls, so that they are no jumps.
    std.mem.doNotOptimizeAway(look);
}

/// VALGRIND_PRINTF_BACKTRACE of <valgrind.h>, with a format that takes no arguments.
inline fn askValgrind() void {
    _ = std.valgrind.doClientRequest(
        0,
        @backingInt(std.valgrind.ClientRequest.PrintfBacktraceValistByRef),
        @intFromPtr(&situation),
        @intFromPtr(&situation),
        0,
        0,
        0,
    );
}

fn print(text: []const u8) void {
    _ = linux.write(1, text.ptr, text.len);
}

// Bodies

/// Before a switch: so that what an unwinder finds in a register, and not where it was saved, is
/// wrong.
inline fn fillRegisters() void {
    switch (builtin.cpu.arch) {
        .x86_64 => asm volatile (
            \\mov $1, %%rbx
            \\mov $2, %%r12
            \\mov $3, %%r13
            \\mov $4, %%r14
            \\mov $5, %%r15
            ::: .{ .rbx = true, .r12 = true, .r13 = true, .r14 = true, .r15 = true }),
        .aarch64 => asm volatile (
            \\mov x19, 1
            \\mov x20, 2
            \\mov x27, 3
            \\mov x28, 4
            \\mov x30, 5
            ::: .{ .x19 = true, .x20 = true, .x27 = true, .x28 = true, .lr = true }),
        else => asm volatile (
            \\mov $1, %%ebx
            \\mov $2, %%esi
            \\mov $3, %%edi
            ::: .{ .ebx = true, .esi = true, .edi = true }),
    }
}

fn suspendInline(context: *Context) callconv(.c) void {
    var signal: usize = 0;
    while (signal == 0) {
        here();
        _ = context_module.switchToResumer(context, 0, &signal);
    }
}

fn suspendByCall(context: *Context) callconv(.c) void {
    while (true) {
        here();
        fillRegisters();
        _ = context_module.fringe_suspend(context, 0);
    }
}

fn suspendOnce(context: *Context) callconv(.c) void {
    here();
    fillRegisters();
    std.mem.doNotOptimizeAway(context_module.fringe_suspend(context, 0));
}

/// A C function with a callback, which fringe_call_body calls.
fn callBack(callback: *const fn () callconv(.c) void) callconv(.c) void {
    while (true) {
        here();
        fillRegisters();
        callback();
    }
}

// Ways to resume one. The results differ to keep the compiler from making one function of all, and
// from ending any with a jump.

const Resume = fn (context: *Context) callconv(.c) usize;

noinline fn resumeInline(context: *Context) callconv(.c) usize {
    return context_module.switchToBody(context, 0, 0) +% 1;
}

noinline fn resumeByCall(context: *Context) callconv(.c) usize {
    return context_module.fringe_resume(context, 0) +% 2;
}

noinline fn resumeByJump(context: *Context) callconv(.c) usize {
    return fringe_resume_call(context, 0) +% 3;
}

const ways: [3]struct { []const u8, *const Resume } = .{
    .{ "resumeInline", &resumeInline },
    .{ "resumeByCall", &resumeByCall },
    .{ "resumeByJump", &resumeByJump },
};

// Situations

/// A mailbox, and room for an argument on the stack of a call.
const Box = extern struct {
    call: layout.Call,
    stack: [1]usize,

    fn init(self: *Box, place: Place, body: *const anyopaque) *Context {
        self.* = std.mem.zeroes(Box);
        // Valgrind is not told of it: a stack that it knows of is where its traces end.
        const stack = Stack.init(part(place)) catch unreachable;
        return context_module.init(stack, body, self);
    }
};

/// The parts of one mapping, in the order of their addresses: the stack of a thread, and others.
const Place = enum(usize) { lowest, lower, below, thread, above, highest };

const part_size = 1 << 17;
var memory: [std.enums.values(Place).len * part_size]u8 align(1 << 12) = undefined;

fn part(place: Place) *align(1 << 12) [part_size]u8 {
    return @alignCast(memory[@backingInt(place) * part_size ..][0..part_size]);
}

pub fn main(init: std.process.Init.Minimal) !void {
    var arguments = init.args.iterate();
    _ = arguments.skip();
    if (arguments.next()) |argument| {
        look = std.meta.stringToEnum(@TypeOf(look), argument) orelse return error.UnknownLook;
    }
    var attributes: std.c.pthread_attr_t = undefined;
    var thread: std.c.pthread_t = undefined;
    const stack = part(.thread);
    if (std.c.pthread_attr_init(&attributes) != .SUCCESS or
        pthread_attr_setstack(&attributes, stack, stack.len) != 0 or
        std.c.pthread_create(&thread, &attributes, &onThread, null) != .SUCCESS or
        std.c.pthread_join(thread, null) != .SUCCESS) return error.NoThread;
}

extern "c" fn pthread_attr_setstack(*std.c.pthread_attr_t, stack: *anyopaque, size: usize) c_int;

fn onThread(_: ?*anyopaque) callconv(.c) ?*anyopaque {
    for ([_]Place{ .below, .above }) |place| {
        resumeInTurns(place, "suspendInline", &suspendInline);
        resumeInTurns(place, "suspendByCall", &suspendByCall);
        callInTurns(place);
    }
    nest(.{ .above, .lowest, .highest });
    nest(.{ .below, .lower, .lowest });
    endByReturn();
    endBySignal();
    return null;
}

/// Each way to resume is the first one once, and each follows another.
noinline fn resumeInTurns(place: Place, body_name: []const u8, body: *const anyopaque) void {
    for (0..ways.len) |first| {
        var box: Box = undefined;
        const context = box.init(place, body);
        for (0..ways.len) |turn| {
            const way, const function = ways[(first + turn) % ways.len];
            name("{t} {s} {d} {s}", .{ place, body_name, turn, way });
            std.mem.doNotOptimizeAway(function(context));
        }
    }
}

noinline fn callInTurns(place: Place) void {
    const thunks = thunk_module.make() catch @panic("no memory for thunks");
    var box: Box = undefined;
    const context = box.init(place, &fringe_call_body);
    box.call.function = @intFromPtr(&callBack);
    if (builtin.cpu.arch == .x86) {
        box.stack[0] = @intCast(thunks.address);
        box.call.stack_count = 1;
    } else {
        box.call.integers[0] = thunks.address;
    }
    for (0..3) |turn| {
        name("{t} callBack {d} resumeByJump", .{ place, turn });
        std.mem.doNotOptimizeAway(resumeByJump(context));
    }
}

/// Three generators, each resumed by the one before.
noinline fn nest(places: [3]Place) void {
    nested_places = places;
    var box: Box = undefined;
    const context = box.init(places[0], &outer);
    name("{t} {t} {t} 0", .{ places[0], places[1], places[2] });
    std.mem.doNotOptimizeAway(resumeByCall(context));
    name("{t} {t} {t} 1", .{ places[0], places[1], places[2] });
    std.mem.doNotOptimizeAway(resumeInline(context));
}

var nested_places: [3]Place = undefined;

fn outer(context: *Context) callconv(.c) void {
    std.mem.doNotOptimizeAway(
        carry(context, nested_places[1], &middle, .{ &resumeInline, &resumeByJump }),
    );
}

fn middle(context: *Context) callconv(.c) void {
    std.mem.doNotOptimizeAway(
        carry(context, nested_places[2], &suspendByCall, .{ &resumeByJump, &resumeByCall }),
    );
}

noinline fn carry(
    context: *Context,
    place: Place,
    body: *const anyopaque,
    functions: [2]*const Resume,
) usize {
    var box: Box = undefined;
    const inner = box.init(place, body);
    var result: usize = 0;
    for (functions) |function| {
        result +%= function(inner);
        _ = context_module.fringe_suspend(context, 0);
    }
    return result;
}

/// A body that returns, and is resumed once more.
noinline fn endByReturn() void {
    var box: Box = undefined;
    const context = box.init(.below, &suspendOnce);
    for (0..3) |turn| {
        name("return {d} resumeByCall", .{turn});
        std.mem.doNotOptimizeAway(resumeByCall(context));
    }
}

/// A body that is told to end.
noinline fn endBySignal() void {
    var box: Box = undefined;
    const context = box.init(.below, &suspendByCall);
    name("signal 0 resumeByCall", .{});
    std.mem.doNotOptimizeAway(resumeByCall(context));
    name("signal 1 signalByCall", .{});
    std.mem.doNotOptimizeAway(signalByCall(context));
}

noinline fn signalByCall(context: *Context) callconv(.c) usize {
    return context_module.fringe_signal(context, &finish, 0) +% 4;
}

fn finish(context: *Context, _: usize) callconv(.c) noreturn {
    here();
    context_module.fringe_finish(context, .abandoned);
}

// libunwind, the nongnu one

/// Prints a name for each frame, from this one on. The functions are those that the macros of
/// <libunwind.h> stand for on x86_64.
noinline fn printTrace() void {
    var library = std.DynLib.open("libunwind.so.8") catch @panic("no libunwind.so.8");
    const getContext = library.lookup(
        *const fn (*[1024]u8) callconv(.c) c_int,
        "_Ux86_64_getcontext",
    ).?;
    const initLocal = library.lookup(
        *const fn (*Cursor, *[1024]u8) callconv(.c) c_int,
        "_ULx86_64_init_local",
    ).?;
    const step = library.lookup(*const fn (*Cursor) callconv(.c) c_int, "_ULx86_64_step").?;
    const getProcName = library.lookup(
        *const fn (*Cursor, [*]u8, usize, offset: *u64) callconv(.c) c_int,
        "_ULx86_64_get_proc_name",
    ).?;

    var context: [1024]u8 align(16) = undefined;
    var cursor: Cursor = undefined;
    _ = getContext(&context);
    _ = initLocal(&cursor, &context);
    while (true) {
        var buffer: [64]u8 = @splat(0);
        var offset: u64 = undefined;
        _ = getProcName(&cursor, &buffer, buffer.len, &offset);
        print(std.mem.sliceTo(&buffer, 0));
        print("\n");
        if (step(&cursor) <= 0) break;
    }
}

const Cursor = [127]u64;
