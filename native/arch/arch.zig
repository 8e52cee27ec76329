// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! Chooses the architecture that fringe is built for. An architecture is known in three files, and
//! in no other:
//!
//!     switch_<arch>.S             every instruction that moves between two stacks
//!     arch/<arch>.zig             what Zig code has to know
//!     include/fringe_<arch>.h     the same for C and C++
//!
//! `<arch>` is Zig's name for it, such as `x86_64`. A new architecture is these three files and one
//! line each in the `switch` below and in `include/fringe.h`. `arch/<arch>.zig` declares:
//!
//!     switch_text                     SWITCH of switch_<arch>.S, word for word
//!     switchToBody, switchToResumer   SWITCH, inlined, with every register clobbered
//!     address_bits                    how many bits an address of a program has
//!     argument_integers               how many integer arguments C passes in registers
//!     argument_floats                 how many floating-point arguments C passes in registers
//!     struct_rules                    by which rules ffi/call/route.ts passes structs, where there
//!                                     is a Deno
//!     frame_pointer, result           registers by DWARF's numbers: the one that holds the context
//!                                     in the trampoline, the one that brings it an exception
//!     return_address                  the same of the column that has the return address
//!     knows_exceptions                whether exception.zig knows how exceptions lie in memory
//!     Control                         the control words of the floating-point units
//!     hasControl                      whether the processor has such words just now
//!     synchronizeInstructions         has the processor see instructions that have been written
//!     Machine                         the registers of code that a signal has interrupted: `ip`,
//!                                     `sp`, and `call`, which has that code call a function
//!     linux                           what Linux lays out by architecture: a `Linux`

const builtin = @import("builtin");
const layout = @import("../layout.zig");

pub const arch = switch (builtin.cpu.arch) {
    .x86_64 => @import("x86_64.zig"),
    .x86 => @import("x86.zig"),
    .aarch64 => @import("aarch64.zig"),
    else => |other| @compileError("fringe has not been ported to " ++ @tagName(other) ++
        " yet. Write native/switch_" ++ @tagName(other) ++ ".S, native/arch/" ++ @tagName(other) ++
        ".zig and native/include/fringe_" ++ @tagName(other) ++ ".h, and name them in" ++
        " native/arch/arch.zig and native/include/fringe.h"),
};

/// The architectures that there is a Deno for, by its names, which are Zig's. TypeScript has to
/// know how many arguments each passes in registers (layout_program.zig).
pub const of_deno = struct {
    pub const x86_64 = @import("x86_64.zig");
    pub const aarch64 = @import("aarch64.zig");
};

/// Where things lie on the stack of a signal handler, in bytes, as Linux puts them there.
pub const Linux = struct {
    /// In a `ucontext_t`: the `Machine`.
    machine: usize,
    /// In a `ucontext_t`: the signals that were blocked when the handler was called.
    mask: usize,
    /// The `ucontext_t`, from where the stack pointer stands when the handler has returned.
    ucontext: usize,
    /// The instructions that the handler returns to, rt_sigreturn(2), as libc or the kernel has
    /// them. Unwinders know the frames of the kernel by these bytes.
    return_from_handler: []const u8,
};

comptime {
    if (arch.argument_integers > layout.integers_max or arch.argument_floats > layout.floats_max)
        @compileError("a mailbox has too little room for the arguments in registers of this" ++
            " architecture: raise integers_max and floats_max in native/layout.zig, and the" ++
            " offsets in each native/switch_<arch>.S");
}
