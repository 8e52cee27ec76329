// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! The root of the tests: every file that has some. A tidy test finds what is missing here.

test {
    _ = @import("call_test.zig");
    _ = @import("context_test.zig");
    _ = @import("exception_test.zig");
    _ = @import("fringe.zig");
    _ = @import("generator_test.zig");
    _ = @import("guard_table.zig");
    _ = @import("mailbox.zig");
    _ = @import("memory.zig");
    _ = @import("os_stack.zig");
    _ = @import("overflow_test.zig");
    _ = @import("owned_stack.zig");
    if (@import("sanitizer.zig").enabled) _ = @import("sanitizer_test.zig");
    _ = @import("signals_test.zig");
    _ = @import("slice_stack.zig");
    _ = @import("stack.zig");
    _ = @import("system_test.zig");
    _ = @import("thunk.zig");
    _ = @import("unwind_test.zig");
    _ = @import("valgrind.zig");
}
