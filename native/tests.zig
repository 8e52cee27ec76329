// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! The root of the tests: every file that has some. A tidy test finds what is missing here.

test {
    _ = @import("fringe.zig");
    _ = @import("test/generator_test.zig");
    _ = @import("stack/guard_table.zig");
    _ = @import("layout.zig");
    _ = @import("stack/os_stack.zig");
    _ = @import("stack/owned_stack.zig");
    if (@import("watch/sanitizer.zig").enabled) _ = @import("test/sanitizer_test.zig");
    _ = @import("stack/slab.zig");
    _ = @import("stack/slice_stack.zig");
    _ = @import("stack/stack.zig");
    _ = @import("call/thunk.zig");
    _ = @import("unwind/unwinder.zig");
    _ = @import("watch/valgrind.zig");
    _ = @import("context/word.zig");
    _ = @import("context/fill.zig");
    _ = @import("context/pointer.zig");
}

// These look at the system by Linux's calls, or have assembly for ELF.
test {
    if (@import("builtin").os.tag == .linux) {
        _ = @import("test/call_test.zig");
        _ = @import("test/context_test.zig");
        _ = @import("test/exception_test.zig");
        _ = @import("call/lock.zig");
        _ = @import("call/memory.zig");
        _ = @import("unwind/memory_probe.zig");
        _ = @import("os/linux.zig");
        _ = @import("test/overflow_test.zig");
        _ = @import("test/signals_test.zig");
        _ = @import("test/system_test.zig");
        _ = @import("test/thread_test.zig");
        _ = @import("test/unwind_test.zig");
    }
}
