// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! Measures one round trip, a resume and the suspension that answers it, in nanoseconds.
//!
//! Goals
//!  * one run, one process, one loop: every contestant resumes a body with 1, 2, 3, ... and adds up
//!    what comes back, and every body gives its input plus one, until it is 0. The checksum proves
//!    it;
//!  * drift hits all alike: samples are short (about a millisecond) and the contestants take turns;
//!  * the median of the samples, because a busy machine makes some of them far too long.
//!
//! Non-goals
//!  * making and ending generators, cold caches, many stacks, more than one thread.
//!
//!     fringe-bench [--smoke] [corosensei=PATH] [boost=PATH]
//!
//! PATH is a shared library. Prints a line of JSON for each contestant, `missing` for one whose
//! library cannot be opened.

const std = @import("std");
const assert = std.debug.assert;
const linux = std.os.linux;
const fringe = @import("fringe");

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
    var contestants_buffer: [8]Contestant = undefined;
    var contestants: std.ArrayList(Contestant) = .initBuffer(&contestants_buffer);
    inline for (.{
        .{ "inlined, body in Zig", inlined(zigBody) },
        .{ "inlined, body in C", inlined(add_one) },
        .{ "fringe_resume called, suspension inlined", called(fringe_resume, add_one) },
        .{ "both called, by fringe_resume_call", called(fringe_resume_call, callingBody) },
        .{ "both called, by fringe_resume", called(fringe_resume, callingBody) },
        .{ "function call", &functionCalls },
    }) |pair| contestants.appendAssumeCapacity(.{ .name = pair[0], .roundTrips = pair[1] });

    var size = full;
    var arguments = init.args.iterate();
    _ = arguments.skip();
    while (arguments.next()) |argument| {
        if (std.mem.eql(u8, argument, "--smoke")) {
            size = smoke;
        } else if (std.mem.cutPrefix(u8, argument, "boost=")) |path| {
            const name = "Boost.Context";
            var library = open(path) orelse {
                try print("{{\"name\":\"{s}\",\"missing\":true}}\n", .{name});
                continue;
            };
            try boost.load(&library);
            contestants.appendAssumeCapacity(.{ .name = name, .roundTrips = &boost.roundTrips });
        } else if (std.mem.cutPrefix(u8, argument, "corosensei=")) |path| {
            const name = "corosensei";
            var library = open(path) orelse {
                try print("{{\"name\":\"{s}\",\"missing\":true}}\n", .{name});
                continue;
            };
            const roundTrips = library.lookup(*const RoundTrips, "round_trips") orelse
                return error.SymbolNotFound;
            contestants.appendAssumeCapacity(.{ .name = name, .roundTrips = roundTrips });
        } else return error.UnknownArgument;
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

fn report(contestant: *Contestant, size: Size) !void {
    const samples = contestant.samples[0..size.samples];
    std.mem.sort(u64, samples, {}, std.sort.asc(u64));
    const median: f64 = @floatFromInt(samples[size.samples / 2]);
    const n: u64 = size.iterations;
    // Inputs 1 to n, each plus one.
    if (contestant.checksum != n * (n + 1) / 2 + n) return error.WrongChecksum;
    const ns = median / @as(f64, @floatFromInt(n));
    try print(
        "{{\"name\":\"{s}\",\"ns\":{d:.3},\"iterations\":{d},\"checksum\":{d}}}\n",
        .{ contestant.name, ns, n, contestant.checksum },
    );
}

fn open(path: []const u8) ?std.DynLib {
    return std.DynLib.open(path) catch null;
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
