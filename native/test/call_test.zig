// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! Tests of calls of C functions whose callbacks suspend.

const std = @import("std");
const builtin = @import("builtin");
const linux = std.os.linux;
const expect = std.testing.expect;
const expectEqual = std.testing.expectEqual;
const errno = @import("../call/errno.zig");
const stray_callback = @import("../call/stray_callback.zig");
const child_process = @import("child_process.zig");
const context_module = @import("../context/context.zig");
const Context = context_module.Context;
const arch = @import("../arch/arch.zig").arch;
const layout = @import("../layout.zig");
const OsStack = @import("../stack/os_stack.zig").OsStack;

const thunk_module = @import("../call/thunk.zig");
const unwind = @import("../unwind/cancel.zig");
const valgrind = @import("../watch/valgrind.zig");

extern fn fringe_resume_call(context: *Context, word: usize) usize;
pub extern fn fringe_call(context: *Context, globals: usize) usize;
extern fn fringe_call_body(context: *Context) void;

comptime {
    @export(&errno.location, .{ .name = "fringe_errno", .visibility = .hidden });
    @export(&stray_callback.strayCallback, .{
        .name = "fringe_stray_callback",
        .visibility = .hidden,
    });
}

var thunks: ?layout.ThunkBlock = null;

/// A thunk by its place in a page, as a function pointer.
pub fn thunk(comptime Function: type, index: usize) *const Function {
    return @ptrFromInt(@as(usize, @intCast(block().address + index * block().stride)));
}

pub fn block() layout.ThunkBlock {
    if (thunks == null) thunks = thunk_module.make() catch @panic("no memory for thunks");
    return thunks.?;
}

/// The mailbox of a call, and words for the arguments on its stack.
const Box = extern struct {
    call: layout.Call,
    stack: [64]usize,
};

/// Where the ABI has the arguments of a function, one after the other: System V psABI for AMD64,
/// section 3.2.3; for the Intel386, section 2.2.3; AAPCS64, section 6.8.2.
const Places = struct {
    integers: usize = 0,
    floats: usize = 0,
    words: usize = 0,

    const Place = union(enum) { integer: usize, float: usize, word: usize };

    /// Where the next argument of type `T` is.
    fn next(self: *Places, comptime T: type) Place {
        const is_float = @typeInfo(T) == .float;
        if (is_float and self.floats < arch.argument_floats) {
            defer self.floats += 1;
            return .{ .float = self.floats };
        }
        if (!is_float and self.integers < arch.argument_integers) {
            defer self.integers += 1;
            return .{ .integer = self.integers };
        }
        defer self.words += (@sizeOf(T) + @sizeOf(usize) - 1) / @sizeOf(usize);
        return .{ .word = self.words };
    }
};

/// One call in progress.
pub const Call = struct {
    os_stack: OsStack,
    box: *Box,
    context: *Context,

    /// Calls `function` with a tuple of arguments.
    pub fn init(function: anytype, arguments: anytype) !Call {
        var os_stack = try OsStack.init(1 << 16);
        errdefer os_stack.deinit();
        const box = try std.testing.allocator.create(Box);
        // What an argument does not fill may be anything.
        @memset(std.mem.asBytes(box), 0xa5);
        box.call.generator.status = .suspended;
        box.call.function = @intFromPtr(function);
        box.call.tail = 0;
        box.call.wants_errno = 0;
        box.call.stack_mask = 0;
        const Function = @typeInfo(@TypeOf(function)).pointer.child;
        box.call.result_float = floatSize(@typeInfo(Function).@"fn".return_type.?);
        box.call.callback_float = 0;
        pass(box, arguments);
        const stack = os_stack.stack().stack;
        return .{
            .os_stack = os_stack,
            .box = box,
            .context = context_module.init(stack, &fringe_call_body, box),
        };
    }

    /// Puts arguments where the ABI has them.
    fn pass(box: *Box, arguments: anytype) void {
        var places: Places = .{};
        inline for (arguments) |argument| {
            const T = @TypeOf(argument);
            const place: *align(1) T = @ptrCast(switch (places.next(T)) {
                .integer => |i| std.mem.asBytes(&box.call.integers[i]),
                .float => |i| std.mem.asBytes(&box.call.floats[i]),
                .word => |i| std.mem.asBytes(&box.stack[i]),
            });
            place.* = argument;
        }
        box.call.stack_count = places.words;
    }

    /// Has C call `function` in place of returning from the callback that waits.
    fn answerByTail(self: *Call, function: anytype, arguments: anytype) void {
        pass(self.box, arguments);
        self.box.call.tail = @intFromPtr(function);
    }

    fn floatSize(comptime T: type) u32 {
        return if (@typeInfo(T) == .float) @sizeOf(T) else 0;
    }

    pub fn deinit(self: *Call) void {
        std.testing.allocator.destroy(self.box);
        self.os_stack.deinit();
    }

    /// The place of the thunk that C has called; null when the function has returned.
    pub fn next(self: *Call) ?usize {
        // An answer that was in its register on this side has not thereby reached the other one.
        switch (builtin.cpu.arch) {
            .x86_64 => asm volatile ("xorps %%xmm0, %%xmm0" ::: .{ .xmm0 = true }),
            .aarch64 => asm volatile ("movi d0, 0" ::: .{ .v0 = true }),
            else => {},
        }
        const number = fringe_resume_call(self.context, 0);
        return if (number == 0) null else number - @as(usize, @intCast(block().number));
    }

    /// The arguments of the callback that waits, as a tuple of type `Values`.
    pub fn passed(self: *Call, comptime Values: type) Values {
        var values: Values = undefined;
        var places: Places = .{};
        const address: usize = @intCast(self.box.call.callback_stack);
        const stack: [*]const usize = @ptrFromInt(address);
        inline for (&values) |*value| {
            const T = @TypeOf(value.*);
            const place: *align(1) const T = @ptrCast(switch (places.next(T)) {
                .integer => |i| std.mem.asBytes(&self.box.call.callback_integers[i]),
                .float => |i| std.mem.asBytes(&self.box.call.callback_floats[i]),
                .word => |i| std.mem.asBytes(&stack[i]),
            });
            value.* = place.*;
        }
        return values;
    }

    /// Answers the callback that waits.
    pub fn answer(self: *Call, value: anytype) void {
        const T = @TypeOf(value);
        @as(*T, @ptrCast(&self.box.call.generator.input.bytes)).* = value;
        self.box.call.callback_float = floatSize(T);
    }

    /// What the function has returned.
    pub fn result(self: *Call, comptime T: type) T {
        const bytes = if (floatSize(T) != 0)
            std.mem.asBytes(&self.box.call.output_float)
        else
            &self.box.call.generator.output.bytes;
        return @as(*const T, @ptrCast(@alignCast(bytes))).*;
    }
};

const Compare = fn (*const anyopaque, *const anyopaque) callconv(.c) c_int;

extern "c" fn qsort(base: *anyopaque, count: usize, size: usize, compare: *const Compare) void;

fn order(call: *Call) c_int {
    const a, const b = call.passed(struct { *const i32, *const i32 });
    return @as(c_int, @intFromBool(a.* > b.*)) - @intFromBool(a.* < b.*);
}

fn shuffled(comptime count: usize, seed: u64) [count]i32 {
    var numbers: [count]i32 = undefined;
    for (&numbers, 0..) |*number, i| number.* = @intCast(i);
    var random = std.Random.DefaultPrng.init(seed);
    random.random().shuffle(i32, &numbers);
    return numbers;
}

fn startSort(numbers: []i32) !Call {
    return startSortBy(numbers, thunk(Compare, 0));
}

fn startSortBy(numbers: []i32, compare: *const Compare) !Call {
    return Call.init(&qsort, .{ numbers.ptr, numbers.len, @as(usize, 4), compare });
}

fn answerSort(call: *Call) void {
    call.answer(order(call));
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
    try expectEqual(.returned, call.box.call.generator.status);
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

const Mixed = fn (c_int, f64, *const c_int) callconv(.c) c_int;

/// Calls back twice, and adds up what the callback has returned.
fn callsTwice(callback: *const Mixed) callconv(.c) c_int {
    const first: c_int = 3;
    const before = callback(1, 0.25, &first);
    const second: c_int = 4;
    return 100 * before + callback(2, 0.5, &second);
}

fn product(a: c_int, b: f64, c: *const c_int) callconv(.c) c_int {
    return @as(c_int, @trunc(@as(f64, @floatFromInt(a)) * b)) * c.*;
}

test "a callback is answered by a function that C calls in its place" {
    var call = try Call.init(&callsTwice, .{thunk(Mixed, 1)});
    defer call.deinit();
    _ = call.next().?;
    const factor: c_int = 7;
    call.answerByTail(&product, .{ @as(c_int, 10), @as(f64, 0.5), &factor });
    // The next answer is an ordinary one again.
    _ = call.next().?;
    call.answer(@as(c_int, 9));
    try expectEqual(null, call.next());
    try expectEqual(100 * 35 + 9, call.result(c_int));
}

test "a function that C calls in place of a callback may call back" {
    var call = try Call.init(&callsTwice, .{thunk(Mixed, 1)});
    defer call.deinit();
    _ = call.next().?;
    const factor: c_int = 7;
    // The thunk itself, with other arguments than C has passed.
    call.answerByTail(thunk(Mixed, 1), .{ @as(c_int, -5), @as(f64, 1.5), &factor });
    _ = call.next().?;
    const a, const b, const c = call.passed(struct { c_int, f64, *const c_int });
    try expectEqual(.{ -5, 1.5, &factor }, .{ a, b, c });
    call.answer(@as(c_int, 6));
    _ = call.next().?;
    call.answer(@as(c_int, 8));
    try expectEqual(null, call.next());
    try expectEqual(608, call.result(c_int));
}

// Structs by value. What fills the registers is TypeScript's affair, which knows the rules of each
// ABI; here is what the registers become.

const Both = extern struct { integer: i64, float: f64 };
const Integers = extern struct { first: i64, second: i64 };
const Floats = extern struct { first: f64, second: f64 };
/// Not an array of them, which Zig takes for no homogeneous aggregate.
const FourFloats = extern struct { first: f64, second: f64, third: f64, fourth: f64 };
const Large = extern struct { all: [5]i64 };

const Registers = struct { integers: [2]*u64, floats: [4]*u64 };

fn resultRegisters(call: *layout.Call) Registers {
    const more = &call.output_more_floats;
    return .{
        .integers = .{ @ptrCast(&call.generator.output.bytes), &call.output_second },
        .floats = .{ &call.output_float, &more[0], &more[1], &more[2] },
    };
}

fn answerRegisters(call: *layout.Call) Registers {
    const integers, const floats = .{ &call.answer_integers, &call.answer_floats };
    return .{
        .integers = .{ &integers[0], &integers[1] },
        .floats = .{ &floats[0], &floats[1], &floats[2], &floats[3] },
    };
}

/// The registers of a struct, by its words; null where it is in none: System V psABI for AMD64,
/// section 3.2.3; for the Intel386, section 2.2.4; AAPCS64, section 6.9.
fn registersOf(comptime T: type, all: Registers) ?[@sizeOf(T) / 8]*u64 {
    const integers, const floats = .{ all.integers, all.floats };
    return switch (builtin.cpu.arch) {
        .x86_64 => switch (T) {
            Both => .{ integers[0], floats[0] },
            Integers => integers,
            Floats => floats[0..2].*,
            else => null,
        },
        .aarch64 => switch (T) {
            Both, Integers => integers,
            Floats => floats[0..2].*,
            FourFloats => floats,
            else => null,
        },
        else => null,
    };
}

/// A value whose words are all different.
fn some(comptime T: type, seed: u64) T {
    var words: [@sizeOf(T) / 8]u64 = undefined;
    for (&words, 1..) |*word, i| word.* = seed *% i;
    return std.mem.bytesToValue(T, &words);
}

fn giving(comptime T: type) *const fn (u64) callconv(.c) T {
    return &struct {
        fn give(seed: u64) callconv(.c) T {
            return some(T, seed);
        }
    }.give;
}

const pattern: u64 = 0x0123_4567_89ab_cdef;

test "a function returns a struct, in registers or where it is told to" {
    inline for (.{ Both, Integers, Floats, FourFloats, Large }) |T| {
        var place: T = undefined;
        const is_first = builtin.cpu.arch != .aarch64;
        var call = try if (is_first and registersOf(T, undefined) == null)
            Call.init(giving(T), .{ &place, pattern })
        else
            Call.init(giving(T), .{pattern});
        defer call.deinit();
        call.box.call.result_address = @intFromPtr(&place);
        try expectEqual(null, call.next());
        if (registersOf(T, resultRegisters(&call.box.call))) |registers| {
            for (registers, 0..) |word, i| std.mem.asBytes(&place)[8 * i ..][0..8].* =
                std.mem.toBytes(word.*);
        }
        try expectEqual(some(T, pattern), place);
    }
}

fn asking(comptime T: type) *const fn (*const fn (c_int) callconv(.c) T, *T) callconv(.c) void {
    return &struct {
        fn ask(callback: *const fn (c_int) callconv(.c) T, place: *T) callconv(.c) void {
            place.* = callback(5);
        }
    }.ask;
}

test "a callback is answered with a struct, and with a scalar after that" {
    // A callee takes the address of the result off the stack there, and a thunk takes nothing.
    if (builtin.cpu.arch == .x86) return error.SkipZigTest;
    inline for (.{ Both, Integers, Floats, FourFloats, Large }) |T| {
        var place: T = undefined;
        var call = try Call.init(asking(T), .{ thunk(fn (c_int) callconv(.c) T, 3), &place });
        defer call.deinit();
        try expectEqual(3, call.next().?);
        const value = some(T, pattern);
        const box = &call.box.call;
        if (registersOf(T, answerRegisters(box))) |registers| {
            for (registers, 0..) |word, i| word.* = std.mem.bytesToValue(
                u64,
                std.mem.asBytes(&value)[8 * i ..][0..8],
            );
            box.tail = layout.tail_answer;
        } else {
            const is_first = builtin.cpu.arch == .x86_64;
            const address = if (is_first) box.callback_integers[0] else box.callback_result_address;
            @as(*T, @ptrFromInt(@as(usize, @intCast(address)))).* = value;
            call.answer(address);
        }
        try expectEqual(null, call.next());
        try expectEqual(value, place);
        try expectEqual(0, box.tail);
    }
}

/// Leaves `before` in errno, calls back, and returns what it finds there.
fn keepsErrno(before: c_int, callback: *const fn () callconv(.c) void) callconv(.c) c_int {
    errno.location().* = before;
    callback();
    return errno.location().*;
}

test "C finds errno as it has left it, whatever its resumer does meanwhile" {
    var call = try Call.init(&keepsErrno, .{ @as(c_int, 42), thunk(fn () callconv(.c) void, 2) });
    defer call.deinit();
    _ = call.next().?;
    errno.location().* = 7;
    try expectEqual(null, call.next());
    try expectEqual(42, call.result(c_int));
}

test "the errno of C is that of the thread on which it goes on" {
    if (!builtin.link_libc or builtin.single_threaded) return error.SkipZigTest;
    var call = try Call.init(&keepsErrno, .{ @as(c_int, 42), thunk(fn () callconv(.c) void, 2) });
    defer call.deinit();
    _ = call.next().?;
    errno.location().* = 7;
    const thread = try std.Thread.spawn(.{}, struct {
        fn goOn(other: *Call) void {
            _ = other.next();
        }
    }.goOn, .{&call});
    thread.join();
    try expectEqual(42, call.result(c_int));
    try expectEqual(7, errno.location().*);
}

fn failsBy(number: c_int) callconv(.c) c_int {
    if (number != 0) errno.location().* = number;
    return -1;
}

test "errno at the return of C is noted where it is wanted; C begins with 0" {
    for ([_]c_int{ 5, 0 }) |number| {
        errno.location().* = 99;
        var call = try Call.init(&failsBy, .{number});
        defer call.deinit();
        call.box.call.wants_errno = 1;
        try expectEqual(null, call.next());
        errno.location().* = 98;
        try expectEqual(number, call.box.call.errno);
        try expectEqual(-1, call.result(c_int));
    }
}

test "errno is left alone where it is not wanted" {
    errno.location().* = 99;
    var call = try Call.init(&failsBy, .{@as(c_int, 0)});
    defer call.deinit();
    call.box.call.errno = 1;
    try expectEqual(null, call.next());
    try expectEqual(.{ 99, 1 }, .{ errno.location().*, call.box.call.errno });
}

/// A comparator that starts a sort of its own: the current context is put back when that has ended.
fn compareBySorting(a: *const anyopaque, b: *const anyopaque) callconv(.c) c_int {
    var numbers = shuffled(5, 5);
    var call = startSort(&numbers) catch return 0;
    defer call.deinit();
    while (call.next() != null) answerSort(&call);
    return thunk(Compare, 0)(a, b);
}

test "a call may be made on the stack of a call" {
    var numbers = shuffled(50, 6);
    var call = try startSortBy(&numbers, &compareBySorting);
    defer call.deinit();
    while (call.next() != null) answerSort(&call);
    for (numbers, 0..) |number, i| try expectEqual(i, @as(usize, @intCast(number)));
}

/// More of each class than there are registers for, in turns, and of every size.
const Many = struct {
    i8,
    f32,
    u16,
    f64,
    i32,
    u64,
    bool,
    f32,
    i64,
    f64,
    *const u8,
    f64,
    i16,
    f32,
    u8,
    f32,
    u32,
    f64,
    u64,
    f64,
    i8,
    f32,
    i64,
};
const many = @typeInfo(Many).@"struct".field_types;
const ManyCallback = @Fn(many, &@splat(.{}), f64, .{ .@"callconv" = .c });

var seen: Many = undefined;

fn passesMany(
    a: i8,
    b: f32,
    c: u16,
    d: f64,
    e: i32,
    f: u64,
    g: bool,
    h: f32,
    i: i64,
    j: f64,
    k: *const u8,
    l: f64,
    m: i16,
    n: f32,
    o: u8,
    p: f32,
    q: u32,
    r: f64,
    s: u64,
    t: f64,
    u: i8,
    v: f32,
    w: i64,
    callback: *const ManyCallback,
) callconv(.c) f64 {
    seen = .{ a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w };
    return @call(.auto, callback, seen) / 2;
}

/// The values at the edge of a type, or what stands for one.
fn extremes(comptime T: type) [4]T {
    return switch (@typeInfo(T)) {
        .bool => .{ false, true, false, true },
        .int => .{ std.math.minInt(T), std.math.maxInt(T), 0, 1 },
        .float => .{ -0.0, std.math.floatTrueMin(T), -std.math.inf(T), std.math.floatMax(T) },
        .pointer => .{ &targets[0], &targets[1], &targets[2], &targets[3] },
        else => comptime unreachable,
    };
}

const targets: [4]u8 = .{ 1, 2, 3, 4 };

/// Whether two values have the same bits: -0 is not 0, and NaN is itself.
fn expectSame(expected: anytype, actual: @TypeOf(expected)) !void {
    if (@typeInfo(@TypeOf(expected)) != .float) return expectEqual(expected, actual);
    const Bits = @Int(.unsigned, @bitSizeOf(@TypeOf(expected)));
    try expectEqual(@as(Bits, @bitCast(expected)), @as(Bits, @bitCast(actual)));
}

test "arguments of every type reach the function and the callback, in registers and on the stack" {
    for (0..4) |turn| {
        var values: Many = undefined;
        inline for (&values, 0..) |*value, i| value.* = extremes(@TypeOf(value.*))[(turn + i) % 4];
        var call = try Call.init(&passesMany, values ++ .{thunk(ManyCallback, 100)});
        defer call.deinit();
        try expectEqual(100, call.next());
        const actual = call.passed(Many);
        inline for (values, seen, actual) |value, at_function, at_callback| {
            try expectSame(value, at_function);
            try expectSame(value, at_callback);
        }
        call.answer(@as(f64, -5));
        try expectEqual(null, call.next());
        try expectSame(@as(f64, -2.5), call.result(f64));
    }
}

fn Echo(comptime T: type) type {
    return struct {
        const Callback = fn (T) callconv(.c) T;
        fn echo(callback: *const Callback, value: T) callconv(.c) T {
            return callback(value);
        }
    };
}

test "results of every type come back from the callback and from the function" {
    inline for (.{ bool, i8, u8, i16, u16, i32, u32, i64, u64, f32, f64, *const u8 }) |T| {
        const values = extremes(T);
        for (values, 0..) |value, i| {
            // Another than the argument, which might still be where the result belongs.
            const answer = values[(i + 1) % values.len];
            var call = try Call.init(&Echo(T).echo, .{ thunk(Echo(T).Callback, 1), value });
            defer call.deinit();
            try expectEqual(1, call.next());
            const actual = call.passed(struct { T });
            try expectSame(value, actual[0]);
            call.answer(answer);
            try expectEqual(null, call.next());
            try expectSame(answer, call.result(T));
        }
    }
}

test "a NaN keeps what it says" {
    inline for (.{ f32, f64 }) |T| {
        const Bits = @Int(.unsigned, @bitSizeOf(T));
        const payload: T = @bitCast(@as(Bits, @bitCast(std.math.nan(T))) | 0x1234);
        var call = try Call.init(&Echo(T).echo, .{ thunk(Echo(T).Callback, 0), payload });
        defer call.deinit();
        _ = call.next();
        call.answer(call.passed(struct { T })[0]);
        try expectEqual(null, call.next());
        try expectSame(payload, call.result(T));
    }
}

fn returnsNothing(callback: *const fn () callconv(.c) void) callconv(.c) void {
    callback();
}

const has_x87 = builtin.cpu.arch != .aarch64;

/// The status of the x87 unit: where its stack begins, and whether that has ever been run off. 0
/// where there is none.
fn x87Status() u16 {
    if (!has_x87) return 0;
    return asm volatile ("fnstsw %[status]"
        : [status] "={ax}" (-> u16),
    );
}

test "a call without arguments, whose callback has no result, leaves the x87 stack alone" {
    const Nothing = fn () callconv(.c) void;
    if (has_x87) asm volatile ("fnclex");
    const before = x87Status();
    // More often than that stack has places: what is left there would become NaN.
    for (0..20) |_| {
        var call = try Call.init(&returnsNothing, .{thunk(Nothing, 2)});
        defer call.deinit();
        try expectEqual(2, call.next());
        try expectEqual(null, call.next());
        try expectEqual(before, x87Status());
    }
    const half: f64 = 0.5;
    var call = try Call.init(&Echo(f64).echo, .{ thunk(Echo(f64).Callback, 0), half });
    defer call.deinit();
    _ = call.next();
    call.answer(half);
    try expectEqual(null, call.next());
    try expectSame(half, call.result(f64));
}

/// Where a function's frame is, which has to be so that what is called from there is aligned.
fn frameAt(
    _: usize,
    _: usize,
    _: usize,
    _: usize,
    _: usize,
    _: usize,
    _: usize,
    _: usize,
    _: usize,
) callconv(.c) usize {
    return @frameAddress();
}

fn frameOf(
    _: usize,
    _: usize,
    _: usize,
    _: usize,
    _: usize,
    _: usize,
    _: usize,
    _: usize,
) callconv(.c) usize {
    return @frameAddress();
}

test "a function finds its stack aligned, whether it is passed an odd number of words or not" {
    // psABI for AMD64, 3.2.2, and for the Intel386, 2.2.2: a multiple of 16 below the return
    // address, which the frame pointer lies under.
    const offset: usize = 16 - 2 * @sizeOf(usize);
    const one: usize = 1;
    const eight = .{ one, one, one, one, one, one, one, one };
    var even = try Call.init(&frameOf, eight);
    defer even.deinit();
    try expectEqual(null, even.next());
    try expectEqual(offset, even.result(usize) % 16);
    var odd = try Call.init(&frameAt, eight ++ .{one});
    defer odd.deinit();
    try expectEqual(null, odd.next());
    try expectEqual(offset, odd.result(usize) % 16);
}

extern "c" fn snprintf(buffer: [*]u8, size: usize, format: [*:0]const u8, ...) c_int;

test "a variadic function gets floating-point values" {
    var text: [32]u8 = undefined;
    var call = try Call.init(&snprintf, .{
        @as([*]u8, &text),
        text.len,
        @as([*:0]const u8, "%g %d %g"),
        @as(f64, 1.5),
        @as(c_int, -7),
        @as(f64, 0.25),
    });
    defer call.deinit();
    try expectEqual(null, call.next());
    try expectEqual(11, call.result(c_int));
    try std.testing.expectEqualStrings("1.5 -7 0.25", text[0..11]);
}

/// In context_test.zig: 0 when the function that it calls has kept the caller's registers.
extern fn fringe_test_kept(function: *const anyopaque, first: usize, second: usize) usize;

test "a thunk keeps the registers of its caller, and is entered with whatever arguments" {
    _ = @import("context_test.zig");
    const Two = fn (usize, usize) callconv(.c) c_int;
    const arguments = .{ thunk(Two, 3), @as(usize, 21), @as(usize, 22) };
    var call = try Call.init(&fringe_test_kept, arguments);
    defer call.deinit();
    try expectEqual(block().number + 3, resumeKept(call.context));
    const actual = call.passed(struct { usize, usize });
    try expectEqual(21, actual[0]);
    try expectEqual(22, actual[1]);
    call.answer(@as(c_int, -1));
    try expectEqual(null, call.next());
    try expectEqual(0, call.result(usize));
}

const Ask = fn (first: usize, second: usize) callconv(.c) usize;

var returns: usize = 0;

fn returnsAtOnce(_: *const Ask) callconv(.c) usize {
    returns += 1;
    return returns;
}

pub fn asksTwice(ask: *const Ask) callconv(.c) usize {
    return ask(1, 2) * 100 + ask(3, 4);
}

/// The rest of a call of `asksTwice` that waits for its first answer.
fn answerTwice(call: *Call) !void {
    try expectEqual(.suspended, call.box.call.generator.status);
    try expectEqual(.{ 1, 2 }, call.passed(struct { usize, usize }));
    call.answer(@as(usize, 7));
    try expectEqual(2, call.next());
    try expectEqual(.{ 3, 4 }, call.passed(struct { usize, usize }));
    call.answer(@as(usize, 8));
    try expectEqual(null, call.next());
    try expectEqual(708, call.result(usize));
    try expectEqual(.returned, call.box.call.generator.status);
}

test "fringe_call begins a call on a context that has run others, and keeps registers" {
    var call = try Call.init(&returnsAtOnce, .{thunk(Ask, 2)});
    defer call.deinit();
    const context = @intFromPtr(call.context);
    returns = 0;
    for (1..10) |i| {
        call.box.call.function = @intFromPtr(&returnsAtOnce);
        // Nobody is told of a frame before there is one.
        call.box.call.generator.status = .abandoned;
        try expectEqual(0, fringe_test_kept(&fringe_call, context, 0));
        try expectEqual(i, call.result(usize));
        try expectEqual(.returned, call.box.call.generator.status);

        call.box.call.function = @intFromPtr(&asksTwice);
        try expectEqual(block().number + 2, fringe_call(call.context, 0));
        try answerTwice(&call);
        // Once it has been ended, too.
        try expectEqual(block().number + 2, fringe_call(call.context, 0));
        const ended = unwind.cancel(call.context, call.os_stack.stack().stack.limit);
        try expect(ended == .unwound or ended == .abandoned);
        // With every register in use when the callback comes.
        try expectEqual(0, fringe_test_kept(&fringe_call, context, 0));
        try answerTwice(&call);
    }
}

test "a call that fringe_call begins waits for a call of its handler's" {
    var outer = try Call.init(&asksTwice, .{thunk(Ask, 2)});
    defer outer.deinit();
    var inner = try Call.init(&asksTwice, .{thunk(Ask, 2)});
    defer inner.deinit();
    for (0..3) |_| {
        try expectEqual(block().number + 2, fringe_call(outer.context, 0));
        try expectEqual(block().number + 2, fringe_call(inner.context, 0));
        try answerTwice(&inner);
        try answerTwice(&outer);
    }
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
    return if (unkept == 0) resumed.word else 0;
}

/// Sorts by the last thunk of a block, whose data are the last ones.
fn sortBy(made: layout.ThunkBlock) !void {
    const address = made.address + (made.count - 1) * made.stride;
    var numbers = shuffled(50, 7);
    var call = try startSortBy(&numbers, @ptrFromInt(@as(usize, @intCast(address))));
    defer call.deinit();
    var calls: usize = 0;
    while (true) : (calls += 1) {
        const number = fringe_resume_call(call.context, 0);
        if (number == 0) break;
        try expectEqual(made.number + made.count - 1, number);
        answerSort(&call);
    }
    try expect(calls > 50);
    for (numbers, 0..) |number, i| try expectEqual(i, @as(usize, @intCast(number)));
}

test "every block's last thunk suspends its call, however the block was made" {
    try sortBy(block());
    try sortBy(try thunk_module.make());
    try sortBy(try thunk_module.makeMore(.mapped));
    try sortBy(try thunk_module.makeMore(.copied));
}

fn sortWithoutNewCode() void {
    // From now on nothing becomes executable that was not so when it was mapped.
    const result = linux.prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0);
    const is_refused = linux.errno(result) == .SUCCESS;
    const copied = thunk_module.makeMore(.copied);
    if (is_refused != std.meta.isError(copied)) std.c._exit(1);
    for (0..3) |_| {
        sortBy(thunk_module.make() catch std.c._exit(2)) catch std.c._exit(3);
        sortBy(thunk_module.makeMore(.mapped) catch std.c._exit(4)) catch std.c._exit(5);
    }
}

/// <linux/prctl.h>, since Linux 6.3; what systemd's MemoryDenyWriteExecute asks for. An emulator
/// (qemu-user) does not know it, nor does an older kernel.
const PR_SET_MDWE = 65;
const PR_MDWE_REFUSE_EXEC_GAIN = 1;

test "thunks are made where nothing that was written may be executed" {
    // Valgrind executes what it has written, and lets its own memory be.
    if (valgrind.isRunning()) return error.SkipZigTest;
    try expectEqual(child_process.End{ .exited = 0 }, try child_process.run(sortWithoutNewCode));
}

fn callThunkOutside() void {
    thunk(fn () callconv(.c) void, 0)();
}

test "a callback that is called outside any call ends the process" {
    const end = try child_process.run(callThunkOutside);
    try expectEqual(child_process.End{ .killed = .ABRT }, end);
}
