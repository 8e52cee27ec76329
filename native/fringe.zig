// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! fringe: generators on stacks of their own, for Zig programs with and without an operating
//! system.
//!
//!     const fringe = @import("fringe");
//!
//!     fn body(yielder: *fringe.Yielder(void, u32), _: void) void {
//!         for (1..4) |i| yielder.@"suspend"(@intCast(i)) catch return;
//!     }
//!
//!     var stack = try fringe.OsStack.init(1 << 16);
//!     defer stack.deinit();
//!     var generator: fringe.Generator(void, u32) = .init(stack.stack(), body);
//!     while (generator.@"resume"({})) |i| std.debug.print("{}\n", .{i}); // 1, 2, 3

const builtin = @import("builtin");
const os = @import("os/os.zig").os;

comptime {
    if (builtin.zig_backend != .stage2_llvm) @compileError(
        "fringe needs the LLVM backend, which Debug builds do not always use by themselves: " ++
            "-fllvm, or .use_llvm = true in build.zig",
    );
}

pub const Generator = @import("context/generator.zig").Generator;
pub const Yielder = @import("context/generator.zig").Yielder;
pub const State = @import("context/generator.zig").State;
pub const Stack = @import("stack/stack.zig").Stack;
pub const GuardedStack = @import("stack/stack.zig").GuardedStack;
pub const stack_alignment = @import("layout.zig").stack_alignment;
pub const OwnedStack = @import("stack/owned_stack.zig").OwnedStack;
pub const SliceStack = @import("stack/slice_stack.zig").SliceStack;
pub const Status = @import("layout.zig").Status;

pub const OsStack = if (os.is_there) @import("stack/os_stack.zig").OsStack else @compileError(
    "an OsStack needs an operating system: without one, use a SliceStack or an OwnedStack",
);
pub const installOverflowHandler =
    if (os.is_there) @import("unwind/overflow.zig").install else @compileError(
        "stack overflows are noticed by guard pages, which need an operating system",
    );
