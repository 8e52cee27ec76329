// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! The root of the shared library: everything that it exports, under its C name.
//! `ffi/library/symbols.ts` has the same table for Deno, and a tidy test compares the two. What
//! `switch_<arch>.S` defines is exported from there.

const builtin = @import("builtin");

comptime {
    _ = @import("unwind/exception.zig");
    @export(&@import("layout.zig").abi, .{ .name = "fringe_abi" });
    @export(&@import("stack/os_stack.zig").map, .{ .name = "fringe_os_stack_map" });
    @export(&@import("stack/slab.zig").map, .{ .name = "fringe_slab_map" });
    @export(&@import("stack/slab.zig").unmapBounds, .{ .name = "fringe_os_stack_unmap" });
    @export(&@import("stack/slab.zig").lend, .{ .name = "fringe_stack_lend" });
    @export(&@import("stack/slab.zig").discard, .{ .name = "fringe_slab_discard" });
    @export(&@import("unwind/loader.zig").pin, .{ .name = "fringe_pin" });
    @export(&@import("unwind/loader.zig").symbol, .{ .name = "fringe_symbol" });
    @export(&@import("unwind/loader.zig").exceptionState, .{ .name = "fringe_exception_state" });
    @export(&@import("unwind/backtrace.zig").suspended, .{ .name = "fringe_backtrace" });
    @export(&@import("unwind/overflow.zig").install, .{ .name = "fringe_overflow_install" });
    @export(&@import("context/fill.zig").fill, .{ .name = "fringe_fill" });
    const pointer = @import("context/pointer.zig");
    @export(&pointer.pass, .{ .name = "fringe_pass_pointer" });
    @export(&pointer.resumeToPointer, .{ .name = "fringe_resume_to_pointer" });
    @export(&pointer.resumePointer, .{ .name = "fringe_resume_pointer" });
    @export(&@import("call/thunk.zig").map, .{ .name = "fringe_thunk_map" });
    @export(&@import("unwind/cancel.zig").cancelContext, .{ .name = "fringe_cancel" });
    @export(&@import("unwind/cancel.zig").endContext, .{ .name = "fringe_end" });
    @export(&@import("call/errno.zig").location, .{
        .name = "fringe_errno",
        .visibility = .hidden,
    });
    @export(&@import("call/stray_callback.zig").strayCallback, .{
        .name = "fringe_stray_callback",
        .visibility = .hidden,
    });
    @export(&@import("call/jump.zig").judgeStack, .{
        .name = "fringe_judge_stack",
        .visibility = .hidden,
    });
    @export(&@import("call/jump.zig").jumped, .{
        .name = "fringe_jumped",
        .visibility = .hidden,
    });
    @export(&@import("call/watchdog.zig").begin, .{ .name = "fringe_watch_begin" });
    @export(&@import("call/watchdog.zig").step, .{ .name = "fringe_watch_step" });
    @export(&@import("call/watchdog.zig").end, .{ .name = "fringe_watch_end" });
    @export(&@import("call/thread.zig").take, .{ .name = "fringe_thread_take" });
    @export(&@import("call/thread.zig").lay, .{ .name = "fringe_thread_lay" });
    @export(&@import("call/thread.zig").go, .{ .name = "fringe_thread_go" });
    @export(&@import("call/thread.zig").wait, .{ .name = "fringe_thread_wait" });
    @export(&@import("call/thread.zig").end, .{ .name = "fringe_thread_end" });
    @export(&@import("call/thread.zig").trace, .{ .name = "fringe_thread_trace" });
    @export(&@import("call/thread.zig").put, .{ .name = "fringe_thread_put" });
    @export(&@import("call/foreign_callback.zig").open, .{ .name = "fringe_foreign_open" });
    @export(&@import("call/foreign_callback.zig").close, .{ .name = "fringe_foreign_close" });
    @export(&@import("call/foreign_callback.zig").listen, .{ .name = "fringe_foreign_listen" });
    @export(&@import("call/foreign_callback.zig").wait, .{ .name = "fringe_foreign_wait" });
    @export(&@import("call/foreign_callback.zig").callOff, .{ .name = "fringe_foreign_call_off" });
    @export(&@import("call/foreign_callback.zig").take, .{ .name = "fringe_foreign_take" });
    @export(&@import("call/foreign_callback.zig").answer, .{ .name = "fringe_foreign_answer" });
    @export(&@import("call/foreign_callback.zig").refuse, .{ .name = "fringe_foreign_refuse" });
    @export(&@import("call/memory.zig").depth, .{ .name = "fringe_depth" });
    @export(&@import("call/memory.zig").identity, .{ .name = "fringe_identity" });
    @export(&@import("call/memory.zig").copy, .{ .name = "fringe_copy" });
    @export(&@import("call/memory.zig").load(u8), .{ .name = "fringe_load_8" });
    @export(&@import("call/memory.zig").load(u16), .{ .name = "fringe_load_16" });
    @export(&@import("call/memory.zig").load(u32), .{ .name = "fringe_load_32" });
    @export(&@import("call/memory.zig").load(u64), .{ .name = "fringe_load_64" });
    @export(&@import("call/memory.zig").load(f32), .{ .name = "fringe_load_f32" });
    @export(&@import("call/memory.zig").load(f64), .{ .name = "fringe_load_f64" });
    @export(&@import("call/memory.zig").store, .{ .name = "fringe_store" });
    @export(&@import("call/memory.zig").copyString, .{ .name = "fringe_copy_string" });
    // A library that is built for Valgrind has these as well.
    if (builtin.valgrind_support) {
        @export(&@import("watch/valgrind.zig").registerBounds, .{
            .name = "fringe_valgrind_register",
        });
        @export(&@import("watch/valgrind.zig").deregisterBounds, .{
            .name = "fringe_valgrind_deregister",
        });
    }
}
