// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! No operating system: a kernel, firmware, a program on bare metal. Generators run on a SliceStack
//! of static memory, or on an OwnedStack. What fringe asks a system for in passing is not there:
//! an exception that leaves a body is caught all the same, and nothing is known about it.

const Purpose = @import("os.zig").Purpose;
const Refusal = @import("os.zig").Refusal;

pub const is_there = false;

/// The unit of a system that is not there: the smallest.
pub const page_size = 1;

pub fn map(_: usize, _: Purpose) Refusal![]u8 {
    return error.Refused;
}

/// Nobody has any memory to call this with.
pub fn unmap(_: []const u8) Refusal!void {
    unreachable;
}

/// Nobody can tell whether there is memory at an address, so none is read.
pub fn tryRead(_: usize, _: []u8) bool {
    return false;
}

/// There are no signals.
pub fn leaveHandler(_: usize, _: usize) void {}
