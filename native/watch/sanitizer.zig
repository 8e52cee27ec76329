// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! Tells AddressSanitizer of each switch. AddressSanitizer has to know where the running stack
//! lies. And it keeps local variables apart, on a "fake stack", so that it notices who uses one
//! after its function has returned: each stack has a fake stack of its own.
//!
//!     one side                                     the other side
//!     `leave`   keeps this side's fake stack in R
//!     SWITCH    ---------------------------------> `arrive`   takes its own fake stack from R
//!
//! A program has this if its root file says `pub const fringe_sanitize_address = true;`, and if
//! `switch_<arch>.S` is built with FRINGE_SANITIZE_ADDRESS defined. In any other program there is
//! nothing of it. C and C++ bodies are watched, Zig code is not.

const std = @import("std");
const root = @import("root");
const Context = @import("../context/context.zig").Context;
const Stack = @import("../stack/stack.zig").Stack;

pub const enabled = @hasDecl(root, "fringe_sanitize_address") and root.fringe_sanitize_address;

/// What lies at the end of a context. Like the context's link, it belongs to the side that is not
/// running.
pub const Fiber = if (enabled) extern struct {
    /// The fake stack of that side; null if it has none.
    fake_stack: ?*anyopaque,
    /// During a switch: the fake stack of the side that is being left.
    fake_stack_left: ?*anyopaque,
    /// Where the stack of that side lies.
    bottom: usize,
    size: usize,
} else extern struct {};

// <sanitizer/common_interface_defs.h> and <sanitizer/asan_interface.h>
extern fn __sanitizer_start_switch_fiber(save: ?*?*anyopaque, bottom: usize, size: usize) void;
extern fn __sanitizer_finish_switch_fiber(saved: ?*anyopaque, bottom: *usize, size: *usize) void;
extern fn __asan_unpoison_memory_region(address: usize, size: usize) void;

comptime {
    if (enabled) {
        // For `switch_<arch>.S` and fringe.h.
        @export(&leaveForSwitch, .{ .name = "fringe_sanitizer_leave" });
        @export(&arriveBySwitch, .{ .name = "fringe_sanitizer_arrive" });
        @export(&leaveForGood, .{ .name = "fringe_sanitizer_finish" });
    }
}

/// A context begins on a stack. What frames that were unwound have left there does not count.
pub fn begin(context: *Context, stack: Stack) void {
    if (!enabled) return;
    context.fiber = .{
        .fake_stack = null,
        .fake_stack_left = null,
        .bottom = stack.limit,
        .size = stack.size(),
    };
    forget(stack);
}

/// A stack is about to be plain memory again, all of which can be used.
pub fn forget(stack: Stack) void {
    if (enabled) __asan_unpoison_memory_region(stack.limit, stack.size());
}

/// Before a switch, whichever way.
pub inline fn leave(context: *Context) void {
    if (enabled) leaveForSwitch(context);
}

/// Behind it.
pub inline fn arrive(context: *Context) void {
    if (enabled) arriveBySwitch(context);
}

/// In place of a switch: an exception goes on in the resumer.
pub fn leaveByException(context: *Context) void {
    if (!enabled) return;
    leaveForGood(context);
    arriveBySwitch(context);
}

fn leaveForSwitch(context: *Context) callconv(.c) void {
    const fiber = &context.fiber;
    __sanitizer_start_switch_fiber(&fiber.fake_stack_left, fiber.bottom, fiber.size);
}

fn arriveBySwitch(context: *Context) callconv(.c) void {
    const fiber = &context.fiber;
    __sanitizer_finish_switch_fiber(fiber.fake_stack, &fiber.bottom, &fiber.size);
    fiber.fake_stack = fiber.fake_stack_left;
}

/// Before the last switch of a body.
fn leaveForGood(context: *Context) callconv(.c) void {
    const fiber = &context.fiber;
    // Without a place to save it, the fake stack is freed.
    __sanitizer_start_switch_fiber(null, fiber.bottom, fiber.size);
    fiber.fake_stack_left = null;
}
