// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! Fills an array with what a body suspends with, for JavaScript: a loop here needs one call of
//! native code for all elements, where a loop there needs one for each.

const std = @import("std");
const arch = @import("../arch/arch.zig").arch;
const context_module = @import("context.zig");
const Context = context_module.Context;
const Mailbox = @import("../layout.zig").Mailbox;

/// For the tests.
const Generator = @import("generator.zig").Generator;
const Yielder = @import("generator.zig").Yielder;
const OsStack = @import("../stack/os_stack.zig").OsStack;

/// Resumes a body that takes no input until `count` elements of `size` bytes are there, or it does
/// not suspend; returns how many elements there are. The mailbox's status says why it has ended.
/// `is_word`: the body passes its outputs as words; else they lie in the mailbox.
///
/// It resumes as JavaScript does, by fringe_resume, where that has more to do than to switch. Where
/// it has not, the switch is inlined, and the control words are compared once, at the end: nobody
/// looks at them in between, since the loop computes nothing but places.
pub fn fill(
    context: *Context,
    into: [*]u8,
    count: u32,
    size: u32,
    is_word: bool,
) callconv(.c) u32 {
    return switch (size) {
        inline 1, 2, 4, 8 => |bytes| if (is_word)
            fillWith(context, into, count, bytes, true)
        else
            fillWith(context, into, count, bytes, false),
        else => unreachable,
    };
}

fn fillWith(
    context: *Context,
    into: [*]u8,
    count: u32,
    comptime size: u32,
    comptime is_word: bool,
) u32 {
    const Element = @Int(.unsigned, 8 * size);
    const elements: [*]align(1) Element = @ptrCast(into);
    const mailbox: *const volatile Mailbox(u64, u64) = @ptrCast(@alignCast(context.mailbox));
    defer compareControl(context);
    for (0..count) |i| {
        const word: u64 = if (context.exchanges.isNone())
            context_module.switchToBody(context, 0, 0)
        else
            context_module.fringe_resume(context, 0);
        if (mailbox.status != .suspended) return @intCast(i);
        const bits: u64 = if (is_word) word else @bitCast(mailbox.output.bytes);
        elements[i] = @truncate(bits);
    }
    return count;
}

/// What fringe_resume does behind a switch: if the body has changed its control words, the resumer
/// gets its own back, and the two are exchanged from now on.
fn compareControl(context: *Context) void {
    if (context.exchanges.control or arch.hasControl(context.control)) return;
    context.exchanges.control = true;
    context_module.fringe_exchange_control(context);
}

test "fill gives each element its bytes, and stops where the body ends" {
    const bodies = struct {
        fn words(yielder: *Yielder(void, i16), _: void) void {
            for (0..5) |i| yielder.@"suspend"(@as(i16, @intCast(i)) - 3) catch return;
        }
        fn wide(yielder: *Yielder(void, f64), _: void) void {
            for (0..5) |i| yielder.@"suspend"(@as(f64, @floatFromInt(i)) / 2) catch return;
        }
    };
    {
        var stack = try OsStack.init(16 * 1024);
        defer stack.deinit();
        const generator = Generator(void, i16).init(stack.stack(), bodies.words);
        var elements: [7]i16 = @splat(99);
        const bytes: [*]u8 = @ptrCast(&elements);
        try std.testing.expectEqual(2, fill(generator.context, bytes, 2, 2, true));
        try std.testing.expectEqual(3, fill(generator.context, bytes + 4, 5, 2, true));
        try std.testing.expectEqual([_]i16{ -3, -2, -1, 0, 1, 99, 99 }, elements);
    }
    {
        var stack = try OsStack.init(16 * 1024);
        defer stack.deinit();
        var generator = Generator(void, f64).init(stack.stack(), bodies.wide);
        var elements: [3]f64 = @splat(99);
        const bytes: [*]u8 = @ptrCast(&elements);
        try std.testing.expectEqual(3, fill(generator.context, bytes, 3, 8, false));
        try std.testing.expectEqual([_]f64{ 0, 0.5, 1 }, elements);
        _ = generator.cancel();
    }
}
