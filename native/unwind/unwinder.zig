// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! The process's unwinder, as far as it is used here. Itanium C++ ABI: Exception Handling, chapter
//! 1; `_Unwind_Backtrace` is libgcc's and LLVM's.
//!
//! Everything is weak, since a program without an unwinder can still run generators, and end those
//! that are written in Zig. A process such as Deno's has one: libgcc_s.

/// `_Unwind_Exception`, with room for what either implementation appends to class and cleanup.
pub const Exception = extern struct {
    class: u64 align(16),
    /// Called when a `catch (...)` has ended without rethrowing.
    cleanup: ?*const fn (reason: c_int, exception: *Exception) callconv(.c) void,
    private: [6]usize = @splat(0),
};

/// `_Unwind_Context`: a frame.
pub const Frame = opaque {};

// _Unwind_Action
pub const search_phase = 1;
pub const handler_frame = 4;
pub const force_unwind = 8;
pub const end_of_stack = 16;

// _Unwind_Reason_Code
pub const no_reason = 0;
pub const foreign_exception_caught = 1;
pub const end_of_trace = 5;
pub const handler_found = 6;
pub const install_context = 7;
pub const continue_unwind = 8;

pub const Stop = *const fn (
    version: c_int,
    actions: c_int,
    class: u64,
    exception: *Exception,
    frame: *Frame,
    parameter: *anyopaque,
) callconv(.c) c_int;

pub const Visit = *const fn (frame: *Frame, argument: *anyopaque) callconv(.c) c_int;

pub const Backtrace = *const fn (visit: Visit, argument: *anyopaque) callconv(.c) c_int;

pub var forcedUnwind = weak(
    fn (exception: *Exception, stop: Stop, parameter: *anyopaque) callconv(.c) c_int,
    "_Unwind_ForcedUnwind",
);
pub var backtrace = weak(
    fn (visit: Visit, argument: *anyopaque) callconv(.c) c_int,
    "_Unwind_Backtrace",
);
pub var getLanguageSpecificData = weak(
    fn (frame: *Frame) callconv(.c) usize,
    "_Unwind_GetLanguageSpecificData",
);
/// What the table of calls has for an address: an FDE (DWARF 5, section 6.4.1).
pub var findFDE = weak(
    fn (address: usize, bases: *[3]usize) callconv(.c) ?[*]const u8,
    "_Unwind_Find_FDE",
);
pub var getIP = weak(fn (frame: *Frame) callconv(.c) usize, "_Unwind_GetIP");
/// The stack pointer of a frame: where it stood when the frame made its call.
pub var getCFA = weak(fn (frame: *Frame) callconv(.c) usize, "_Unwind_GetCFA");
pub var getGR = weak(fn (frame: *Frame, register: c_int) callconv(.c) usize, "_Unwind_GetGR");
pub var setGR = weak(
    fn (frame: *Frame, register: c_int, value: usize) callconv(.c) void,
    "_Unwind_SetGR",
);
pub var setIP = weak(
    fn (frame: *Frame, address: usize) callconv(.c) void,
    "_Unwind_SetIP",
);

/// Whether all is there that walking and unwinding frames takes.
pub fn isComplete() bool {
    return forcedUnwind != null and backtrace != null and getLanguageSpecificData != null and
        getIP != null and getCFA != null and getGR != null;
}

/// A function, or null where the program has none. What it gives must be kept in a `var`: Zig takes
/// the address of a function that is known when it compiles for one that is not null.
fn weak(comptime Function: type, comptime name: []const u8) ?*const Function {
    return @extern(?*const Function, .{ .name = name, .linkage = .weak });
}

var nobodys = weak(fn () callconv(.c) void, "fringe_test_function_that_nobody_has");

test "weak gives null for a function that the program does not have" {
    // A linker of Mach-O refuses such a program.
    if (@import("builtin").object_format == .macho) return error.SkipZigTest;
    try @import("std").testing.expect(nobodys == null);
}
