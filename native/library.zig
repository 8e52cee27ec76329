// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! The root of the shared library: every function that it exports, under its C name.
//! `ffi/library.ts` has the same table for Deno, and a tidy test compares the two. What
//! `switch_<arch>.S` defines is exported from there.

comptime {
    @export(&@import("os_stack.zig").map, .{ .name = "fringe_os_stack_map" });
    @export(&@import("os_stack.zig").unmapBounds, .{ .name = "fringe_os_stack_unmap" });
    @export(&@import("unwind.zig").cancelContext, .{ .name = "fringe_cancel" });
    @export(&@import("call.zig").strayCallback, .{
        .name = "fringe_stray_callback",
        .visibility = .hidden,
    });
    @export(&@import("memory.zig").identity, .{ .name = "fringe_identity" });
    @export(&@import("memory.zig").copy, .{ .name = "fringe_copy" });
    @export(&@import("memory.zig").stringLength, .{ .name = "fringe_string_length" });
}
