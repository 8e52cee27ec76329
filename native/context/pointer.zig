// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! Passes pointers between JavaScript and a body. They travel in the mailbox, where JavaScript can
//! neither write a pointer nor read one.

const std = @import("std");
const context_module = @import("context.zig");
const Context = context_module.Context;
const Mailbox = @import("../layout.zig").Mailbox;

/// For the tests.
const Generator = @import("generator.zig").Generator;
const Yielder = @import("generator.zig").Yielder;
const OsStack = @import("../stack/os_stack.zig").OsStack;

const Pointer = ?*anyopaque;

fn boxOf(context: *Context) *volatile Mailbox(Pointer, Pointer) {
    return @ptrCast(@alignCast(context.mailbox));
}

/// Puts the input of the next resume into the mailbox.
pub fn pass(context: *Context, input: Pointer) callconv(.c) void {
    const bytes: *volatile Pointer = @ptrCast(&boxOf(context).input.bytes);
    bytes.* = input;
}

/// Resumes a body, and returns the pointer that is its output. What that is where the body has not
/// suspended means nothing: the mailbox's status says so.
pub fn resumeToPointer(context: *Context, word: usize) callconv(.c) Pointer {
    _ = context_module.fringe_resume(context, word);
    const bytes: *volatile Pointer = @ptrCast(&boxOf(context).output.bytes);
    return bytes.*;
}

/// The same for a body that takes a pointer, too.
pub fn resumePointer(context: *Context, input: Pointer) callconv(.c) Pointer {
    pass(context, input);
    return resumeToPointer(context, 0);
}

test "a pointer is passed both ways, null too, and beside a word" {
    const bodies = struct {
        fn echo(yielder: *Yielder(Pointer, Pointer), first: Pointer) void {
            var input = first;
            while (true) input = yielder.@"suspend"(input) catch return;
        }
        fn addresses(yielder: *Yielder(i16, Pointer), first: i16) void {
            var input = first;
            while (true) {
                const address: usize = @intCast(-@as(isize, input));
                input = yielder.@"suspend"(@ptrFromInt(address)) catch return;
            }
        }
    };
    var stack = try OsStack.init(16 * 1024);
    defer stack.deinit();
    {
        var generator = Generator(Pointer, Pointer).init(stack.stack(), bodies.echo);
        for ([_]Pointer{ &stack, null, generator.context }) |pointer| {
            try std.testing.expectEqual(pointer, resumePointer(generator.context, pointer));
        }
        pass(generator.context, &generator);
        const output = resumeToPointer(generator.context, 0);
        try std.testing.expectEqual(@as(Pointer, &generator), output);
        _ = generator.cancel();
    }
    {
        var generator = Generator(i16, Pointer).init(stack.stack(), bodies.addresses);
        try std.testing.expectEqual(16, @intFromPtr(generator.@"resume"(-16).?));
        const word: isize = -4096;
        const output = resumeToPointer(generator.context, @bitCast(word));
        try std.testing.expectEqual(4096, @intFromPtr(output));
        _ = generator.cancel();
    }
}
