// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! Tests of generators: what goes in and comes out, in which order, on which stacks.

const std = @import("std");
const builtin = @import("builtin");
const expect = std.testing.expect;
const expectEqual = std.testing.expectEqual;
const expectEqualStrings = std.testing.expectEqualStrings;
const allocator = std.testing.allocator;
const fringe = @import("../fringe.zig");
const Generator = fringe.Generator;
const Yielder = fringe.Yielder;
const OsStack = fringe.OsStack;
const sanitizer = @import("../watch/sanitizer.zig");
const valgrind = @import("../watch/valgrind.zig");

fn addOne(yielder: *Yielder(i32, i32), first: i32) void {
    var input = first;
    while (input != 0) input = yielder.@"suspend"(input + 1) catch return;
}

fn expectAddsOne(generator: *Generator(i32, i32)) !void {
    try expectEqual(2, generator.@"resume"(1));
    try expectEqual(-7, generator.@"resume"(-8));
    try expectEqual(fringe.State.runnable, generator.state());
    try expectEqual(null, generator.@"resume"(0));
}

test "resume gives the body's values, null when it has returned and ever after" {
    var os_stack = try OsStack.init(0);
    defer os_stack.deinit();
    var generator: Generator(i32, i32) = .init(os_stack.stack(), addOne);
    try expectEqual(fringe.State.runnable, generator.state());
    try expectAddsOne(&generator);
    try expectEqual(null, generator.@"resume"(5));
    try expectEqual(fringe.State.unavailable, generator.state());
}

/// Gives each value back, one resume later than it came: so both directions are in use at once.
fn Delay(comptime T: type) type {
    return struct {
        fn body(yielder: *Yielder(T, T), first: T) void {
            var input = first;
            while (true) input = yielder.@"suspend"(input) catch return;
        }
    };
}

fn expectCarries(comptime T: type, values: []const T) !void {
    var os_stack = try OsStack.init(1 << 16);
    defer os_stack.deinit();
    var generator: Generator(T, T) = .init(os_stack.stack(), Delay(T).body);
    for (values) |value| try expectEqual(value, generator.@"resume"(value).?);
}

test "values of every kind go in and out" {
    inline for (.{ u8, i8, u16, i16, u32, i32, u64, i64, u128, usize, u7 }) |T| {
        try expectCarries(T, &.{ 0, std.math.maxInt(T), std.math.minInt(T), 1 });
    }
    try expectCarries(bool, &.{ true, false, true });
    inline for (.{ f32, f64, f80 }) |T| {
        try expectCarries(T, &.{ 0.5, -1e30, std.math.inf(T) });
    }
    try expectCarries(void, &.{ {}, {} });
    const Point = extern struct { x: f32, y: f64, name: [40]u8 };
    try expectCarries(Point, &.{.{ .x = 1, .y = 2, .name = @splat('n') }});
    try expectCarries(@Vector(8, f32), &.{ @splat(1), @splat(2) });
    const Wide = extern struct { value: u64 align(128) };
    try expectCarries(Wide, &.{ .{ .value = 1 }, .{ .value = 2 } });
    var number: u32 = 1;
    try expectCarries(*u32, &.{&number});
    try expectCarries(?*u32, &.{ null, &number });
}

fn describe(yielder: *Yielder(f64, u8), first: f64) void {
    const second = yielder.@"suspend"(@intFromFloat(first * 2)) catch return;
    _ = yielder.@"suspend"(@intFromFloat(second * 3)) catch return;
}

test "inputs and outputs may differ in type" {
    var os_stack = try OsStack.init(1 << 16);
    defer os_stack.deinit();
    var generator: Generator(f64, u8) = .init(os_stack.stack(), describe);
    try expectEqual(4, generator.@"resume"(2));
    try expectEqual(9, generator.@"resume"(3));
    try expectEqual(null, generator.@"resume"(0));
}

fn words(yielder: *Yielder([]const u8, []const u8), first: []const u8) void {
    var rest = first;
    while (rest.len > 0) {
        const end = std.mem.findScalar(u8, rest, ' ') orelse rest.len;
        _ = yielder.@"suspend"(rest[0..end]) catch return;
        rest = rest[@min(rest.len, end + 1)..];
    }
}

test "slices go in and out, and resume is a while loop's condition" {
    var os_stack = try OsStack.init(1 << 16);
    defer os_stack.deinit();
    var generator: Generator([]const u8, []const u8) = .init(os_stack.stack(), words);
    const expected = [_][]const u8{ "call", "me", "maybe" };
    var count: usize = 0;
    while (generator.@"resume"("call me maybe")) |word| : (count += 1) {
        try expectEqualStrings(expected[count], word);
    }
    try expectEqual(3, count);
}

var side_effects: u32 = 0;

fn effects(yielder: *Yielder(void, void), _: void) void {
    side_effects = 1;
    yielder.@"suspend"({}) catch return;
    side_effects = 2;
}

test "nothing of a body runs before the first resume, nor ahead of the next" {
    var os_stack = try OsStack.init(1 << 16);
    defer os_stack.deinit();
    side_effects = 0;
    var generator: Generator(void, void) = .init(os_stack.stack(), effects);
    try expectEqual(0, side_effects);
    try expectEqual({}, generator.@"resume"({}));
    try expectEqual(1, side_effects);
    try expectEqual(null, generator.@"resume"({}));
    try expectEqual(2, side_effects);
}

noinline fn expectAddsOneMoved(generator: Generator(i32, i32)) !void {
    var moved = generator;
    try expectEqual(6, moved.@"resume"(5));
    try expectAddsOne(&moved);
}

test "a generator may be moved, before and after it has begun" {
    var os_stack = try OsStack.init(1 << 16);
    defer os_stack.deinit();
    var generator: Generator(i32, i32) = .init(os_stack.stack(), addOne);
    try expectEqual(3, generator.@"resume"(2));
    try expectAddsOneMoved(generator);
}

test "a generator may be resumed on another thread" {
    var os_stack = try OsStack.init(1 << 16);
    defer os_stack.deinit();
    var generator: Generator(i32, i32) = .init(os_stack.stack(), addOne);
    try expectEqual(3, generator.@"resume"(2));
    const thread = try std.Thread.spawn(.{}, resumeWith8, .{&generator});
    thread.join();
    try expectAddsOne(&generator);
}

fn resumeWith8(generator: *Generator(i32, i32)) void {
    if (generator.@"resume"(8) != 9) @panic("not 9");
}

fn naturals(yielder: *Yielder(void, u32), _: void) void {
    var i: u32 = 0;
    while (true) : (i += 1) yielder.@"suspend"(i) catch return;
}

test "10,000 generators live at once, interleaved" {
    const count = 10_000;
    const Live = struct { os_stack: OsStack, generator: Generator(void, u32) };
    const live = try allocator.alloc(Live, count);
    defer allocator.free(live);
    for (live) |*each| {
        each.os_stack = try OsStack.init(8192);
        each.generator = .init(each.os_stack.stack(), naturals);
    }
    defer for (live) |*each| each.os_stack.deinit();
    for (0..3) |round| {
        for (live) |*each| try expectEqual(round, each.generator.@"resume"({}).?);
    }
}

fn nest(yielder: *Yielder(u32, u32), depth: u32) void {
    var inputs = depth;
    if (depth == 0) {
        while (true) inputs = yielder.@"suspend"(inputs + 1) catch return;
    }
    var os_stack = OsStack.init(1 << 16) catch return;
    defer os_stack.deinit();
    var inner: Generator(u32, u32) = .init(os_stack.stack(), nest);
    defer _ = inner.cancel();
    inputs = depth - 1;
    while (true) {
        const output = inner.@"resume"(inputs) orelse return;
        inputs = yielder.@"suspend"(output * 10) catch return;
    }
}

test "generators nest three deep, and cancel goes from the outermost to the innermost" {
    var os_stack = try OsStack.init(1 << 16);
    defer os_stack.deinit();
    var generator: Generator(u32, u32) = .init(os_stack.stack(), nest);
    try expectEqual(1000, generator.@"resume"(3));
    try expectEqual(8000, generator.@"resume"(7));
    try expectEqual(.returned, generator.cancel());
}

var own: *Generator(void, bool) = undefined;

fn resumeSelf(yielder: *Yielder(void, bool), _: void) void {
    for (0..2) |_| {
        const is_refused = own.state() == .unavailable and own.@"resume"({}) == null;
        yielder.@"suspend"(is_refused) catch return;
    }
}

test "a body that gets hold of its own generator cannot resume it" {
    var os_stack = try OsStack.init(1 << 16);
    defer os_stack.deinit();
    var generator: Generator(void, bool) = .init(os_stack.stack(), resumeSelf);
    own = &generator;
    try expectEqual(true, generator.@"resume"({}));
    try expectEqual(.runnable, generator.state());
    try expectEqual(true, generator.@"resume"({}));
    try expectEqual(null, generator.@"resume"({}));
}

test "a finished generator needs its stack no more" {
    var generator: Generator(void, bool) = generator: {
        var os_stack = try OsStack.init(1 << 16);
        defer os_stack.deinit();
        var generator: Generator(void, bool) = .init(os_stack.stack(), resumeSelf);
        own = &generator;
        while (generator.@"resume"({}) != null) {}
        break :generator generator;
    };
    try expectEqual(.unavailable, generator.state());
    try expectEqual(null, generator.@"resume"({}));
}

/// Something that is owned: to have it twice, or not at all, shows in the count.
const Dropper = struct {
    count: *u32,

    fn drop(self: Dropper) void {
        self.count.* += 1;
    }
};

fn giveAway(yielder: *Yielder(*u32, Dropper), count: *u32) void {
    _ = yielder.@"suspend"(.{ .count = count }) catch return;
}

test "a value is delivered exactly once" {
    var os_stack = try OsStack.init(1 << 16);
    defer os_stack.deinit();
    var count: u32 = 0;
    var generator: Generator(*u32, Dropper) = .init(os_stack.stack(), giveAway);
    if (generator.@"resume"(&count)) |dropper| dropper.drop();
    if (generator.@"resume"(&count)) |dropper| dropper.drop();
    if (generator.@"resume"(&count)) |dropper| dropper.drop();
    try expectEqual(1, count);
}

test "unwrap gives the stack of a finished generator, and another runs on it" {
    var os_stack = try OsStack.init(1 << 16);
    defer os_stack.deinit();
    var first: Generator(i32, i32) = .init(os_stack.stack(), addOne);
    try expectAddsOne(&first);
    const stack = first.unwrap();
    try expectEqual(os_stack.stack().stack, stack);
    var second: Generator(i32, i32) = .initUnguarded(stack, addOne);
    try expectAddsOne(&second);
    // The same after a generator that was ended early.
    var third: Generator(i32, i32) = .initUnguarded(second.unwrap(), addOne);
    _ = third.@"resume"(1);
    _ = third.cancel();
    var fourth: Generator(i32, i32) = .initUnguarded(third.unwrap(), addOne);
    try expectAddsOne(&fourth);
    // And one whose values lie where the frames of the others were.
    const Wide = [64]u64;
    var fifth: Generator(Wide, Wide) = .initUnguarded(fourth.unwrap(), Delay(Wide).body);
    try expectEqual(@as(Wide, @splat(7)), fifth.@"resume"(@splat(7)));
    try expectEqual(.returned, fifth.cancel());
}

// Stacks

/// What a small body needs: in Debug, where frames are larger, between 1,024 and 1,536 were
/// measured. AddressSanitizer has its own memset, which needs more.
const small_stack = if (sanitizer.enabled) 8192 else if (builtin.mode == .debug) 2048 else 1024;

/// Not a part of another stack, which Valgrind would not tell from it.
var slice: [small_stack + 128]u8 align(16) = undefined;

test "a small body runs to its end on a small SliceStack, and not a byte beyond it" {
    @memset(&slice, 0xa5);
    var slice_stack = try fringe.SliceStack.init(slice[64..][0..small_stack]);
    defer slice_stack.deinit();
    var generator: Generator(i32, i32) = .initUnguarded(slice_stack.stack(), addOne);
    try expectAddsOne(&generator);
    for (slice[0..64]) |byte| try expectEqual(0xa5, byte);
    for (slice[64 + small_stack ..]) |byte| try expectEqual(0xa5, byte);
}

test "a small body runs to its end on a small OwnedStack" {
    var owned = try fringe.OwnedStack.init(allocator, small_stack);
    defer owned.deinit(allocator);
    var generator: Generator(i32, i32) = .initUnguarded(owned.stack(), addOne);
    try expectAddsOne(&generator);
}

/// Calls itself until it has used so much stack; returns how deep that was, counted on the way
/// back.
fn recurse(bytes: usize, top: usize) usize {
    var frame: [1000]u8 = undefined;
    @memset(&frame, 1);
    std.mem.doNotOptimizeAway(&frame);
    const used = top - @frameAddress();
    const below = if (used >= bytes) 0 else recurse(bytes, top);
    std.mem.doNotOptimizeAway(&frame);
    return below + frame[999];
}

fn recursing(yielder: *Yielder(usize, usize), bytes: usize) void {
    _ = yielder.@"suspend"(recurse(bytes, @frameAddress())) catch return;
}

test "500 KB of recursion fit on a stack of 1 MiB" {
    var os_stack = try OsStack.init(1 << 20);
    defer os_stack.deinit();
    var generator: Generator(usize, usize) = .init(os_stack.stack(), recursing);
    const depth = generator.@"resume"(500_000).?;
    try expect(depth > 100);
    try expect(depth <= 500);
}

// What goes wrong on a stack that is not aligned

extern "c" fn snprintf(buffer: [*]u8, size: usize, format: [*:0]const u8, ...) c_int;
extern "c" fn sscanf(text: [*:0]const u8, format: [*:0]const u8, ...) c_int;

fn formatAndParse(yielder: *Yielder([*:0]const u8, f64), first: [*:0]const u8) void {
    var text = first;
    while (true) {
        var number: f64 = 0;
        var exponent: f32 = 0;
        var buffer: [64]u8 = undefined;
        const parsed = sscanf(text, "%lf,%f", &number, &exponent);
        const format = "%.3f %g %s";
        const length = snprintf(&buffer, buffer.len, format, number, @as(f64, exponent), "end");
        const right = std.mem.eql(u8, "3.141 0.25 end", buffer[0..@intCast(length)]);
        text = yielder.@"suspend"(if (right and parsed == 2) number else -1) catch return;
    }
}

test "libc formats and parses floating-point numbers on the new stack" {
    if (valgrind.isRunning()) return error.SkipZigTest; // It makes 64 bits of libc's 80.
    var os_stack = try OsStack.init(1 << 16);
    defer os_stack.deinit();
    var generator: Generator([*:0]const u8, f64) = .init(os_stack.stack(), formatAndParse);
    try expectEqual(3.1412, generator.@"resume"("3.1412,0.25"));
    try expectEqual(3.1409, generator.@"resume"("3.1409,0.25"));
}

fn sumFloats(yielder: *Yielder(f64, f64), first: f64) void {
    var sum = first;
    while (true) sum += yielder.@"suspend"(sum) catch return;
}

test "floating-point arithmetic goes on over a switch" {
    var os_stack = try OsStack.init(1 << 16);
    defer os_stack.deinit();
    var generator: Generator(f64, f64) = .init(os_stack.stack(), sumFloats);
    try expectEqual(7.125, generator.@"resume"(7.125));
    try expectEqual(10.625, generator.@"resume"(3.5));
}
