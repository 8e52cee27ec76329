// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! Measures one round trip, a resume and the suspension that answers it, in nanoseconds.
//!
//! Goals
//!  * one run, one process, one loop: every contestant resumes a body with 1, 2, 3, ... and adds up
//!    what comes back, and every body gives its input plus one, until it is 0. The checksum proves
//!    it;
//!  * drift hits all alike: samples are short (about a millisecond) and the contestants take turns;
//!  * all samples are printed, turn by turn, since a busy machine makes some of them far too long.
//!
//! Non-goals
//!  * making and ending generators, cold caches, many stacks, more than one thread.
//!
//!     fringe-bench [--smoke] [NAME=PATH …]
//!
//! PATH is a shared library: Boost.Context's, or one that has the whole loop of a peer as
//! `uint64_t round_trips(uint32_t iterations)` (bench/peers/). Prints a line of JSON for each
//! contestant, `missing` for one whose library cannot be opened.

const std = @import("std");
const builtin = @import("builtin");
const assert = std.debug.assert;
const linux = std.os.linux;
const fringe = @import("fringe");

const fiber = std.Io.fiber;

const RoundTrips = fn (iterations: u32) callconv(.c) u64;

const Contestant = struct {
    name: []const u8,
    roundTrips: *const RoundTrips,
    samples: [samples_max]u64 = undefined,
    checksum: u64 = 0,
};

const samples_max = 41;

const Size = struct { samples: u32, iterations: u32 };
const full: Size = .{ .samples = samples_max, .iterations = 200_000 };
const smoke: Size = .{ .samples = 3, .iterations = 1_000 };

pub fn main(init: std.process.Init.Minimal) !void {
    var contestants_buffer: [16]Contestant = undefined;
    var contestants: std.ArrayList(Contestant) = .initBuffer(&contestants_buffer);
    inline for (.{
        .{ "inlined, body in Zig", inlined(zigBody) },
        .{ "inlined, body in C", inlined(add_one) },
        .{ "fringe_resume called, suspension inlined", called(fringe_resume, add_one) },
        .{ "both called, by fringe_resume_call", called(fringe_resume_call, callingBody) },
        .{ "both called, by fringe_resume", called(fringe_resume, callingBody) },
        .{ "function call", &functionCalls },
    }) |pair| contestants.appendAssumeCapacity(.{ .name = pair[0], .roundTrips = pair[1] });
    if (comptime fiber.supported) {
        contestants.appendAssumeCapacity(.{
            .name = "std.Io.fiber",
            .roundTrips = &fibers.roundTrips,
        });
    }

    var size = full;
    var arguments = init.args.iterate();
    _ = arguments.skip();
    while (arguments.next()) |argument| {
        if (std.mem.eql(u8, argument, "--smoke")) {
            size = smoke;
            continue;
        }
        const name, const path = std.mem.cutScalar(u8, argument, '=') orelse
            return error.UnknownArgument;
        const roundTrips = try fromLibrary(name, path) orelse {
            try print("{{\"name\":\"{s}\",\"missing\":true}}\n", .{name});
            continue;
        };
        contestants.appendAssumeCapacity(.{ .name = name, .roundTrips = roundTrips });
    }

    var os_stack: fringe.OsStack = try .init(1 << 16);
    defer os_stack.deinit();
    guarded_stack = os_stack.stack();
    for (contestants.items) |*contestant| _ = contestant.roundTrips(size.iterations); // warm up
    for (0..size.samples) |i| {
        for (contestants.items) |*contestant| {
            const start = now();
            contestant.checksum = atDepth(i % depths, contestant.roundTrips, size.iterations);
            contestant.samples[i] = now() - start;
        }
    }
    for (contestants.items) |*contestant| try report(contestant, size);
}

/// Where frames lie within a cache line changes a round trip by some 6%, not for all alike. So no
/// sample begins at the depth of the one before.
const depths = 8;

noinline fn atDepth(depth: usize, roundTrips: *const RoundTrips, iterations: u32) u64 {
    if (depth == 0) return roundTrips(iterations);
    const sum = atDepth(depth - 1, roundTrips, iterations);
    asm volatile ("" ::: .{ .memory = true }); // after the call, so that it is no jump
    return sum;
}

fn report(contestant: *const Contestant, size: Size) !void {
    const n: u64 = size.iterations;
    // Inputs 1 to n, each plus one.
    if (contestant.checksum != n * (n + 1) / 2 + n) return error.WrongChecksum;
    try print("{{\"name\":\"{s}\",\"samples\":[", .{contestant.name});
    for (contestant.samples[0..size.samples], 0..) |total, i| {
        const ns = @as(f64, @floatFromInt(total)) / @as(f64, @floatFromInt(n));
        try print("{s}{d:.3}", .{ if (i == 0) "" else ",", ns });
    }
    try print("]}}\n", .{});
}

/// The loop of a peer; null: there is no such library.
fn fromLibrary(name: []const u8, path: []const u8) error{SymbolNotFound}!?*const RoundTrips {
    var library = std.DynLib.open(path) catch return null;
    if (std.mem.eql(u8, name, "Boost.Context")) {
        try boost.load(&library);
        return &boost.roundTrips;
    }
    return library.lookup(*const RoundTrips, "round_trips") orelse error.SymbolNotFound;
}

fn print(comptime format: []const u8, arguments: anytype) error{ NoSpaceLeft, WriteFailed }!void {
    var buffer: [256]u8 = undefined;
    const line = try std.fmt.bufPrint(&buffer, format, arguments);
    if (linux.write(1, line.ptr, line.len) != line.len) return error.WriteFailed;
}

fn now() u64 {
    var time: linux.timespec = undefined;
    // Through libc, whose clock needs no system call.
    assert(std.c.clock_gettime(.MONOTONIC, &time) == 0);
    return @as(u64, @intCast(time.sec)) * std.time.ns_per_s + @as(u64, @intCast(time.nsec));
}

// Bodies

/// examples/bodies/add_one.c: suspends by fringe.h.
extern fn add_one(yielder: *fringe.Yielder(u32, u32), first: u32) void;

fn zigBody(yielder: *fringe.Yielder(u32, u32), first: u32) callconv(.c) void {
    var input = first;
    while (input != 0) input = yielder.@"suspend"(input +% 1) catch return;
}

fn callingBody(yielder: *fringe.Yielder(u32, u32), first: u32) callconv(.c) void {
    var input: usize = first;
    while (input != 0) input = fringe_suspend(yielder, input + 1);
}

// The plain functions, as a program in another language sees them (include/fringe.h).

const Context = opaque {};
extern fn fringe_init(base: usize, body: *const anyopaque, mailbox: *[3]u64) *Context;
extern fn fringe_resume(context: *Context, word: usize) callconv(.c) usize;
extern fn fringe_resume_call(context: *Context, word: usize) callconv(.c) usize;
extern fn fringe_suspend(yielder: *anyopaque, word: usize) usize;

// Resumers. All make their body anew, on a stack that is kept.

const Body = fn (*fringe.Yielder(u32, u32), u32) callconv(.c) void;

var guarded_stack: fringe.GuardedStack = undefined;

fn inlined(comptime body: Body) *const RoundTrips {
    return &struct {
        fn roundTrips(iterations: u32) callconv(.c) u64 {
            const stack = guarded_stack.stack;
            var generator: fringe.Generator(u32, u32) = .initBody(stack, &body);
            var sum: u64 = 0;
            for (1..iterations + 1) |i| sum += generator.@"resume"(@intCast(i)) orelse 0;
            return sum;
        }
    }.roundTrips;
}

fn called(
    comptime resume_function: fn (*Context, usize) callconv(.c) usize,
    comptime body: Body,
) *const RoundTrips {
    return &struct {
        fn roundTrips(iterations: u32) callconv(.c) u64 {
            // The first input of a body comes from the mailbox.
            var mailbox: [3]u64 = .{ 0, 1, 0 };
            const context = fringe_init(guarded_stack.stack.base, &body, &mailbox);
            var sum: u64 = 0;
            for (1..iterations + 1) |i| sum += @as(u32, @truncate(resume_function(context, i)));
            return sum;
        }
    }.roundTrips;
}

/// The floor: nothing is switched.
fn functionCalls(iterations: u32) callconv(.c) u64 {
    const function: *const volatile *const fn (u32) callconv(.c) u32 = &plus_one;
    var sum: u64 = 0;
    for (1..iterations + 1) |i| sum += function.*(@intCast(i));
    return sum;
}

var plus_one: *const fn (u32) callconv(.c) u32 = &struct {
    fn plusOne(input: u32) callconv(.c) u32 {
        return input + 1;
    }
}.plusOne;

/// Boost.Context's own interface for other languages: two functions in assembly.
const boost = struct {
    const Transfer = extern struct { context: *anyopaque, data: usize };
    const Jump = fn (to: *anyopaque, data: usize) callconv(.c) Transfer;
    const Make = fn (
        base: usize,
        size: usize,
        body: *const fn (Transfer) callconv(.c) void,
    ) callconv(.c) *anyopaque;

    var jump: *const Jump = undefined;
    var make: *const Make = undefined;

    fn load(library: *std.DynLib) error{SymbolNotFound}!void {
        make = library.lookup(*const Make, "make_fcontext") orelse return error.SymbolNotFound;
        jump = library.lookup(*const Jump, "jump_fcontext") orelse return error.SymbolNotFound;
    }

    fn body(first: Transfer) callconv(.c) void {
        const jump_here = jump;
        var transfer = first;
        while (transfer.data != 0) {
            transfer = jump_here(transfer.context, @as(u32, @truncate(transfer.data)) +% 1);
        }
    }

    fn roundTrips(iterations: u32) callconv(.c) u64 {
        const jump_here = jump;
        const stack = guarded_stack.stack;
        var next = make(stack.base, stack.size(), &body);
        var sum: u64 = 0;
        for (1..iterations + 1) |i| {
            const transfer = jump_here(next, i);
            next = transfer.context;
            sum += @as(u32, @truncate(transfer.data));
        }
        return sum;
    }
};

/// The switch of the fibers of `std.Io.Evented`, inlined. A fiber passes the address of a message,
/// which begins with where to go.
const fibers = struct {
    const Message = extern struct {
        contexts: fiber.Switch,
        value: u32 = 0,
    };

    var resumer: fiber.Context = undefined;
    var suspended: fiber.Context = undefined;

    inline fn pass(message: *const Message) *const Message {
        return received(fiber.contextSwitch(&message.contexts));
    }

    inline fn received(contexts: *const fiber.Switch) *const Message {
        return @alignCast(@fieldParentPtr("contexts", contexts));
    }

    /// The message comes in the register of the second argument of a C function.
    fn body(_: usize, first: *const fiber.Switch) callconv(.c) noreturn {
        var message: Message = .{ .contexts = .{ .old = &suspended, .new = &resumer } };
        var passed = received(first);
        while (true) {
            message.value = passed.value +% 1;
            passed = pass(&message);
        }
    }

    fn roundTrips(iterations: u32) callconv(.c) u64 {
        const base = guarded_stack.stack.base;
        suspended = switch (builtin.cpu.arch) {
            // As if it had been called: psABI 3.2.2.
            .x86_64 => .{ .rsp = base - 8, .rbp = 0, .rip = @intFromPtr(&body) },
            else => .{ .sp = base, .fp = 0, .pc = @intFromPtr(&body) },
        };
        var message: Message = .{ .contexts = .{ .old = &resumer, .new = &suspended } };
        var sum: u64 = 0;
        for (1..iterations + 1) |i| {
            message.value = @intCast(i);
            sum += pass(&message).value;
        }
        return sum;
    }
};
