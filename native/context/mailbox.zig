// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! The memory that both sides of a switch share. This file owns its layout; `switch_<arch>.S` and
//! `ffi/context/mailbox.ts` repeat what they need of it, and tests compare them.
//!
//! A generator uses the first three fields. JavaScript owns its mailboxes (an ArrayBuffer of
//! `Call` size, or more); a native generator keeps its own at the top of its stack.

const std = @import("std");
const Status = @import("status.zig").Status;

/// The mailbox of a generator: a status, and one slot each way.
pub fn Mailbox(comptime Input: type, comptime Output: type) type {
    return extern struct {
        const Self = @This();

        status: Status,
        /// The number of the thunk that C has called last: while the call is suspended, that of the
        /// callback which waits for an answer. A generator has no use for it.
        callback: u32 = 0,
        input: Slot(Input),
        output: Slot(Output),

        comptime {
            std.debug.assert(@offsetOf(Self, "status") == 0);
            std.debug.assert(@offsetOf(Self, "callback") == 4);
            if (isScalar(Input)) std.debug.assert(@offsetOf(Self, "input") == 8);
            if (isScalar(Input) and isScalar(Output)) {
                std.debug.assert(@offsetOf(Self, "output") == 16);
            }
        }
    };
}

/// The mailbox of a call: a generator's, then the function, its arguments, and a callback's.
/// `input` is a callback's result, `output` the function's. Arguments are where `switch_<arch>.S`
/// has them: x86_64 uses the registers first and then the stack, x86 nothing but the stack.
pub const Call = extern struct {
    generator: Mailbox(u64, u64),
    /// The function's result if it is a floating-point one.
    output_float: u64,
    function: u64,
    /// x86 alone asks whether a result is a floating-point one: its size, or 0. The function's, and
    /// the callback's that waits.
    result_float: u32,
    callback_float: u32,
    /// How many words of the machine the function gets on its stack; they lie at `stack`.
    stack_count: u64,
    /// Where a callback's arguments lie that are on the stack, while it waits.
    callback_stack: u64,
    integers: [integers_max]u64,
    floats: [floats_max]u64,
    callback_integers: [integers_max]u64,
    callback_floats: [floats_max]u64,
    stack: [0]u64,
};

/// How many arguments go in registers, of each class: System V psABI for AMD64, section 3.2.3.
pub const integers_max = 6;
pub const floats_max = 8;

/// Room for one value, wherever it comes from: at least eight bytes, so that scalars of any size
/// share one layout.
fn Slot(comptime T: type) type {
    return extern struct {
        bytes: [@max(8, @sizeOf(T))]u8 align(@max(8, @alignOf(T))),

        pub inline fn load(self: *const @This()) T {
            return @as(*const T, @ptrCast(&self.bytes)).*;
        }

        pub inline fn store(self: *@This(), value: T) void {
            @as(*T, @ptrCast(&self.bytes)).* = value;
        }
    };
}

/// Whether JavaScript can pass a value of this type.
fn isScalar(comptime T: type) bool {
    return @sizeOf(T) <= 8 and @alignOf(T) <= 8;
}

/// Whether a value of this type travels in a register. It is the integers of at most 32 bits,
/// because V8 passes those fastest; the mailbox carries all else.
pub fn isWord(comptime T: type) bool {
    return switch (@typeInfo(T)) {
        .bool => true,
        .int => |int| int.bits <= 32,
        else => false,
    };
}

/// A value of a word type as a word, its sign kept.
pub inline fn toWord(value: anytype) usize {
    const T = @TypeOf(value);
    if (T == bool) return @intFromBool(value);
    return switch (@typeInfo(T).int.signedness) {
        .signed => @bitCast(@as(isize, value)),
        .unsigned => value,
    };
}

/// The value that a word stands for. Its upper bits may be anything: JavaScript passes 32.
pub inline fn fromWord(comptime T: type, word: usize) T {
    if (T == bool) return @as(u1, @truncate(word)) != 0;
    const bits = @typeInfo(T).int.bits;
    const Unsigned = @Int(.unsigned, bits);
    return @bitCast(@as(Unsigned, @truncate(word)));
}

test "Call has the layout that switch_<arch>.S and ffi/context/mailbox.ts are written for" {
    try std.testing.expectEqual(24, @offsetOf(Call, "output_float"));
    try std.testing.expectEqual(32, @offsetOf(Call, "function"));
    try std.testing.expectEqual(40, @offsetOf(Call, "result_float"));
    try std.testing.expectEqual(44, @offsetOf(Call, "callback_float"));
    try std.testing.expectEqual(48, @offsetOf(Call, "stack_count"));
    try std.testing.expectEqual(56, @offsetOf(Call, "callback_stack"));
    try std.testing.expectEqual(64, @offsetOf(Call, "integers"));
    try std.testing.expectEqual(112, @offsetOf(Call, "floats"));
    try std.testing.expectEqual(176, @offsetOf(Call, "callback_integers"));
    try std.testing.expectEqual(224, @offsetOf(Call, "callback_floats"));
    try std.testing.expectEqual(288, @offsetOf(Call, "stack"));
    try std.testing.expectEqual(288, @sizeOf(Call));
}

test "toWord and fromWord keep every value, and fromWord ignores the upper bits" {
    inline for (.{ i8, i16, i32, u8, u16, u32 }) |T| {
        for ([_]T{ std.math.minInt(T), 0, 1, std.math.maxInt(T) }) |value| {
            try std.testing.expectEqual(value, fromWord(T, toWord(value)));
        }
    }
    try std.testing.expectEqual(@as(i8, -1), fromWord(i8, 0x12ff));
    try std.testing.expectEqual(true, fromWord(bool, toWord(true)));
    try std.testing.expectEqual(false, fromWord(bool, toWord(false)));
}
