// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! Room for a function that may need more stack than there is where it is called: in a signal
//! handler, or at the lower end of a body's stack. The function gets a stack that is mapped for it,
//! and runs there like the body of a generator, so an unwinder finds the way back.

const context_module = @import("../context/context.zig");
const Context = context_module.Context;
const Mailbox = @import("../layout.zig").Mailbox;
const os = @import("../os/os.zig").os;
const os_stack = @import("os_stack.zig");

/// Calls a function with a pointer. Returns false, and calls nothing, where there is no memory, or
/// no system to ask for some.
pub fn run(argument: anytype, comptime function: fn (@TypeOf(argument)) void) bool {
    if (!os.is_there) return false;
    const Argument = @TypeOf(argument);
    const body = struct {
        fn body(_: *Context, first: Argument) callconv(.c) void {
            function(first);
        }
    }.body;
    var stack = os_stack.OsStack.init(os_stack.size_default) catch return false;
    defer stack.deinit();
    var box: Mailbox(Argument, void) = .{
        .status = .suspended,
        .input = undefined,
        .output = undefined,
    };
    box.input.store(argument);
    const context = context_module.init(stack.stack().stack, &body, &box);
    _ = context_module.fringe_resume(context, 0);
    return true;
}
