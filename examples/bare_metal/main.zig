// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! Generators without an operating system: no libc, no heap, no unwinder. All stacks are static
//! memory. The program checks what generators do here, says so on the serial port in the lines of
//! the Test Anything Protocol, and ends the machine with a status.
//!
//! `x86_64.S`, and its siblings, come before main(); `machine` has the serial port and the end.

const std = @import("std");
const fringe = @import("fringe");
const machine = @import("machine");

/// Each stack of this program. There is no guard page below a stack, so generators are made by
/// `initUnguarded`, which notices as a rule when a body has used up its stack: see `overflow`.
var memory: [3][16 * 1024]u8 = undefined;

fn stackOf(bytes: []u8) fringe.Stack {
    const slice = fringe.SliceStack.init(bytes) catch @panic("a stack is too small");
    return slice.stack();
}

// Values

fn produce(yielder: *fringe.Yielder(void, u32), _: void) void {
    for (1..4) |i| yielder.@"suspend"(@intCast(i)) catch return;
}

fn producer() !void {
    var generator: fringe.Generator(void, u32) = .initUnguarded(stackOf(&memory[0]), produce);
    for (1..4) |i| try expectEqual(@as(?u32, @intCast(i)), generator.@"resume"({}));
    try expectEqual(null, generator.@"resume"({}));
    try expectEqual(.unavailable, generator.state());
}

fn addAll(yielder: *fringe.Yielder(i64, i64), first: i64) void {
    var sum = first;
    while (true) sum += yielder.@"suspend"(sum) catch return;
}

fn inputs() !void {
    var generator: fringe.Generator(i64, i64) = .initUnguarded(stackOf(&memory[0]), addAll);
    defer _ = generator.cancel();
    try expectEqual(1 << 40, generator.@"resume"(1 << 40));
    // The stack stays where it is; the object may move.
    var moved = generator;
    generator = undefined;
    try expectEqual((1 << 40) - 2, moved.@"resume"(-2));
    try expectEqual((1 << 40) + 1, moved.@"resume"(3));
    generator = moved;
}

const Vector = @Vector(4, f32);

/// What the compiler keeps in vector registers it saves before a suspension: all of them are the
/// other side's then.
fn rotate(yielder: *fringe.Yielder(Vector, Vector), first: Vector) void {
    var seen: [8]Vector = @splat(first);
    while (true) {
        const next = yielder.@"suspend"(seen[7]) catch return;
        inline for (0..7) |i| seen[7 - i] = seen[6 - i];
        seen[0] = next / @as(Vector, @splat(2));
    }
}

fn vectors() !void {
    var generator: fringe.Generator(Vector, Vector) = .initUnguarded(stackOf(&memory[0]), rotate);
    defer _ = generator.cancel();
    for (0..20) |i| {
        const half: f32 = @floatFromInt(i -| 8);
        const expected: Vector = if (i < 8) @splat(7) else .{ half, half + 0.5, half + 1, 0 };
        const input: f32 = if (i == 0) 7 else @floatFromInt(2 * (i - 1));
        const output = generator.@"resume"(
            if (i == 0) @splat(input) else .{ input, input + 1, input + 2, 0 },
        );
        try expectEqual(expected, output.?);
    }
}

/// To divide by zero is no fault, here as there, since nobody has asked the processor for one.
fn divide(yielder: *fringe.Yielder(f64, f64), first: f64) void {
    var divisor = first;
    while (true) divisor = yielder.@"suspend"(1 / divisor) catch return;
}

fn division() !void {
    var generator: fringe.Generator(f64, f64) = .initUnguarded(stackOf(&memory[0]), divide);
    defer _ = generator.cancel();
    try expectEqual(0.25, generator.@"resume"(4));
    try expectEqual(std.math.inf(f64), generator.@"resume"(0));
    try expectEqual(-std.math.inf(f64), generator.@"resume"(-0.0));
}

// Calls

/// Suspends from each depth of its calls: the numbers of a tree, in order.
fn walk(yielder: *fringe.Yielder(void, u32), first: u32, end: u32) error{Canceled}!void {
    if (first == end) return;
    const middle = first + (end - first) / 2;
    try walk(yielder, first, middle);
    try yielder.@"suspend"(middle);
    try walk(yielder, middle + 1, end);
}

fn walkAll(yielder: *fringe.Yielder(void, u32), _: void) void {
    walk(yielder, 0, 1000) catch return;
}

fn recursion() !void {
    var generator: fringe.Generator(void, u32) = .initUnguarded(stackOf(&memory[0]), walkAll);
    for (0..1000) |i| try expectEqual(@as(?u32, @intCast(i)), generator.@"resume"({}));
    try expectEqual(null, generator.@"resume"({}));
}

/// Generators in each other, each on a stack of its own: numbers, their squares, sums of these.
fn square(yielder: *fringe.Yielder(void, u32), _: void) void {
    var numbers: fringe.Generator(void, u32) = .initUnguarded(stackOf(&memory[1]), walkAll);
    defer _ = numbers.cancel();
    while (numbers.@"resume"({})) |n| yielder.@"suspend"(n * n) catch return;
}

fn sumUp(yielder: *fringe.Yielder(void, u32), _: void) void {
    var squares: fringe.Generator(void, u32) = .initUnguarded(stackOf(&memory[2]), square);
    defer _ = squares.cancel();
    var sum: u32 = 0;
    while (squares.@"resume"({})) |n| {
        sum += n;
        yielder.@"suspend"(sum) catch return;
    }
}

fn nesting() !void {
    var sums: fringe.Generator(void, u32) = .initUnguarded(stackOf(&memory[0]), sumUp);
    var sum: u32 = 0;
    for (0..1000) |i| {
        sum += @intCast(i * i);
        try expectEqual(@as(?u32, sum), sums.@"resume"({}));
    }
    try expectEqual(null, sums.@"resume"({}));
}

// Stacks

/// The trampoline calls this function itself, as the ABI has it: where the caller's part of the
/// stack ends, 16 bytes are aligned. The return address and the frame pointer follow.
fn giveFrame(yielder: *fringe.Yielder(void, usize)) callconv(.c) void {
    while (true) yielder.@"suspend"(@frameAddress() + 2 * @sizeOf(usize)) catch return;
}

/// Where the compiler puts what has to be aligned.
noinline fn placeOf(comptime at: usize) usize {
    var value: Vector align(at) = @splat(1);
    // The address by way of an instruction, or the compiler knows already that it is aligned.
    const address = asm (""
        : [address] "=r" (-> usize),
        : [value] "0" (&value),
    );
    value += @as(*volatile Vector, &value).*;
    std.mem.doNotOptimizeAway(&value);
    return address;
}

fn givePlaces(yielder: *fringe.Yielder(void, [2]usize), _: void) void {
    while (true) yielder.@"suspend"(.{ placeOf(16), placeOf(64) }) catch return;
}

fn alignment() !void {
    for (0..fringe.stack_alignment) |offset| {
        const stack = stackOf(memory[0][offset .. memory[0].len - 3]);
        var frames: fringe.Generator(void, usize) = .initBody(stack, &giveFrame);
        for (0..3) |_| try expectEqual(0, frames.@"resume"({}).? % 16);
        try expectEqual(.returned, frames.cancel());
        var places: fringe.Generator(void, [2]usize) = .initUnguarded(stack, givePlaces);
        for (0..3) |_| {
            const at_16, const at_64 = places.@"resume"({}).?;
            try expectEqual(0, at_16 % 16);
            try expectEqual(0, at_64 % 64);
        }
        try expectEqual(.returned, places.cancel());
    }
}

/// Nothing is allocated, so nothing can leak: the memory of a stack is all that there is.
fn reuse() !void {
    var stack = stackOf(&memory[0]);
    for (0..10_000) |_| {
        var generator: fringe.Generator(void, u32) = .initUnguarded(stack, produce);
        while (generator.@"resume"({})) |_| {}
        stack = generator.unwrap();
    }
    try expectEqual(stackOf(&memory[0]), stack);
}

/// An interrupt comes behind each instruction, those of each switch too. Its frame lies on the
/// stack that runs.
fn interruption() !void {
    const before = machine.interrupts;
    machine.interruptEach(true);
    defer machine.interruptEach(false);
    for ([_]*const fn () anyerror!void{ vectors, recursion, cancellation, abandonment }) |check| {
        try check();
    }
    try expect(machine.interrupts - before > 100_000);
}

// Ends

/// Which of the bodies below have come by their `defer`, in this order.
var ended: std.ArrayList(u8) = .empty;
var ended_buffer: [8]u8 = undefined;

fn hold(yielder: *fringe.Yielder(void, void)) error{Canceled}!void {
    defer ended.appendAssumeCapacity('1');
    while (true) try yielder.@"suspend"({});
}

fn holdInner(yielder: *fringe.Yielder(void, void), _: void) void {
    defer ended.appendAssumeCapacity('2');
    hold(yielder) catch return;
}

fn holdOuter(yielder: *fringe.Yielder(void, void), _: void) void {
    defer ended.appendAssumeCapacity('3');
    var inner: fringe.Generator(void, void) = .initUnguarded(stackOf(&memory[1]), holdInner);
    defer if (inner.cancel() != .returned) ended.appendAssumeCapacity('?');
    while (inner.@"resume"({})) |_| yielder.@"suspend"({}) catch return;
}

/// `cancel` has the suspension fail, and the body returns: it runs each `defer`, the innermost
/// first.
fn cancellation() !void {
    ended = .initBuffer(&ended_buffer);
    var outer: fringe.Generator(void, void) = .initUnguarded(stackOf(&memory[0]), holdOuter);
    for (0..3) |_| try expectEqual({}, outer.@"resume"({}));
    try expectEqual(.returned, outer.cancel());
    try expectEqual(.unavailable, outer.state());
    try expectEqual(null, outer.@"resume"({}));
    try expect(std.mem.eql(u8, "123", ended.items));
}

/// One that has not begun has nothing to end.
fn unbegun() !void {
    ended = .initBuffer(&ended_buffer);
    var generator: fringe.Generator(void, void) = .initUnguarded(stackOf(&memory[0]), holdOuter);
    try expectEqual(.unwound, generator.cancel());
    try expectEqual(null, generator.@"resume"({}));
    try expect(ended.items.len == 0);
}

fn refuse(yielder: *fringe.Yielder(void, void), _: void) void {
    defer ended.appendAssumeCapacity('!');
    while (true) yielder.@"suspend"({}) catch continue;
}

/// `void count(fringe_yielder *)`, in count.c.
extern fn count(*anyopaque) void;

/// C has no `defer`; an unwinder would end its frames, and there is none. Neither is there a way to
/// end a body that suspends again whenever it is told to return. Both are abandoned: their frames
/// are forgotten, what they hold stays held, and the stack can be used again.
fn abandonment() !void {
    ended = .initBuffer(&ended_buffer);
    const stack = stackOf(&memory[0]);
    var refusing: fringe.Generator(void, void) = .initUnguarded(stack, refuse);
    try expectEqual({}, refusing.@"resume"({}));
    try expectEqual(.abandoned, refusing.cancel());
    try expectEqual(null, refusing.@"resume"({}));

    var counting: fringe.Generator(void, i32) = .initBody(refusing.unwrap(), &count);
    for (0..3) |i| try expectEqual(@as(?i32, @intCast(i)), counting.@"resume"({}));
    try expectEqual(.abandoned, counting.cancel());
    try expectEqual(null, counting.@"resume"({}));

    try expect(ended.items.len == 0);
    try expectEqual(stack, counting.unwrap());
    try producer();
}

/// Writes over all of its stack, and beyond.
fn exceed(yielder: *fringe.Yielder(void, void), _: void) void {
    var local: [memory[0].len]u8 = undefined;
    @memset(&local, 0xaa);
    std.mem.doNotOptimizeAway(&local);
    yielder.@"suspend"({}) catch return;
}

/// The last check, since it ends in `onPanic`. What lies below this stack is nobody's.
fn overflow() !void {
    const stack = stackOf(memory[1][memory[1].len / 2 ..]);
    var generator: fringe.Generator(void, void) = .initUnguarded(stack, exceed);
    expected_panic = "fringe: a body has used up its stack";
    _ = generator.@"resume"({});
    return error.Unnoticed;
}

const checks = [_]struct { []const u8, *const fn () anyerror!void }{
    .{ "a body gives one output for each resume, and then returns", producer },
    .{ "inputs reach the body, wherever the generator has moved to", inputs },
    .{ "vectors are kept over suspensions", vectors },
    .{ "a body divides by zero without a fault", division },
    .{ "a body suspends from any depth of its calls", recursion },
    .{ "a body resumes others, on stacks of their own", nesting },
    .{ "whatever memory a stack is given, the body's frames are aligned", alignment },
    .{ "a stack serves one body after the other", reuse },
    .{ "interrupts may come at any instruction", interruption },
    .{ "a body that is ended runs its defers, the innermost first", cancellation },
    .{ "a body that is ended before its first resume never begins", unbegun },
    .{ "a body that cannot be ended is abandoned, and its stack used again", abandonment },
    .{ "a body that uses up its stack is noticed", overflow },
};

// Instructions

const Echo = fringe.Generator(u32, u32);

/// Gives what it gets.
fn echo(yielder: *fringe.Yielder(u32, u32), first: u32) callconv(.c) void {
    var input = first;
    while (true) input = yielder.@"suspend"(input) catch return;
}

/// The same by the functions for other languages (fringe.h).
fn echoByCalls(yielder: *anyopaque, first: u32) callconv(.c) void {
    var input: usize = first;
    while (true) input = fringe_suspend(yielder, input);
}

extern fn fringe_resume(generator: *anyopaque, word: usize) usize;
extern fn fringe_suspend(yielder: *anyopaque, word: usize) usize;

const Operation = fn (generator: *Echo) callconv(.@"inline") void;

inline fn nothing(_: *Echo) void {}

inline fn roundTrip(generator: *Echo) void {
    _ = generator.@"resume"(1);
}

inline fn roundTripByCalls(generator: *Echo) void {
    _ = fringe_resume(generator.context, 1);
}

inline fn life(generator: *Echo) void {
    generator.* = .initBody(generator.bounds, &echo);
    roundTrip(generator);
    _ = generator.cancel();
}

/// No local variable, which the compiler would have to save while an operation runs.
var begun: u64 = 0;

/// How many instructions `operation` takes, and those that count.
noinline fn numberOf(comptime operation: Operation, generator: *Echo) u64 {
    begun = @call(.never_inline, machine.instructions, .{});
    operation(generator);
    return @call(.never_inline, machine.instructions, .{}) - begun;
}

/// Says how many instructions operations take: docs/figures.md has the numbers. The stack is taken
/// for one with a guard page, without which a round trip would also look for an overflow.
fn printInstructions() void {
    inline for (.{
        .{ "round trip, inlined, body in Zig", &echo, roundTrip },
        .{ "round trip, both called, by fringe_resume", &echoByCalls, roundTripByCalls },
        .{ "made, resumed once, ended", &echo, life },
    }) |row| {
        const name, const body, const operation = row;
        var generator: Echo = .initBody(stackOf(&memory[0]), body);
        defer _ = generator.cancel();
        // The first time differs: the body has to begin, and control words are compared exactly.
        roundTrip(&generator);
        for (0..2) |_| _ = numberOf(operation, &generator);
        const instructions = numberOf(operation, &generator) - numberOf(nothing, &generator);
        print("# instructions: {s}: {d}\n", .{ name, instructions });
    }
}

// The report

/// Which check runs.
var number: usize = 0;
var expected_panic: []const u8 = "";

export fn main() noreturn {
    print("1..{d}\n", .{checks.len});
    printInstructions();
    var passed: usize = 0;
    for (checks) |check| {
        number += 1;
        const name, const function = check;
        if (function()) |_| {
            print("ok {d} - {s}\n", .{ number, name });
            passed += 1;
        } else |err| {
            print("not ok {d} - {s}\n# {t}\n", .{ number, name, err });
        }
    }
    machine.exit(passed == checks.len);
}

pub const panic = std.debug.FullPanic(onPanic);

fn onPanic(message: []const u8, _: ?usize) noreturn {
    const is_expected = expected_panic.len > 0 and std.mem.startsWith(u8, message, expected_panic);
    if (is_expected) {
        print("ok {d} - {s}\n", .{ number, checks[number - 1][0] });
    } else {
        print("Bail out! {s}\n", .{message});
    }
    machine.exit(is_expected);
}

fn print(comptime format: []const u8, arguments: anytype) void {
    var line: [256]u8 = undefined;
    machine.write(std.fmt.bufPrint(&line, format, arguments) catch &line);
}

fn expect(condition: bool) error{Unexpected}!void {
    if (!condition) return error.Unexpected;
}

fn expectEqual(expected: anytype, actual: anytype) error{Unexpected}!void {
    const T = @TypeOf(actual);
    try expect(std.meta.eql(@as(T, expected), actual));
}
