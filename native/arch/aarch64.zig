// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! aarch64, for Zig code; arch.zig says what each declaration is for. Read x86_64.zig first: only
//! differences are explained here. The ABI is AAPCS64 (Procedure Call Standard for the Arm 64-bit
//! Architecture), 2024Q3.

const std = @import("std");
const builtin = @import("builtin");

/// What a system gives to a program that does not ask for more (Linux:
/// Documentation/arch/arm64/memory.rst).
pub const address_bits = 48;

/// Section 6.8.2: x0 to x7, and v0 to v7.
pub const argument_integers = 8;
pub const argument_floats = 8;
pub const struct_rules = "aggregates";

/// DWARF's numbers (DWARF for the Arm 64-bit Architecture, section 4.1) of x29, x0 and x30.
pub const frame_pointer = 29;
pub const result = 0;
pub const return_address = 30;

pub const knows_exceptions = true;

/// FPCR.
pub const Control = extern struct { fpcr: u64 };

/// Whether the processor has these. As EXACTLY of switch_aarch64.S.
pub fn hasControl(control: Control) bool {
    const fpcr = asm volatile (
        \\mrs %[fpcr], fpcr
        : [fpcr] "=r" (-> u64),
    );
    return fpcr == control.fpcr;
}

pub const switch_text =
    \\sub     sp, sp, 144
    \\adr     x9, 1f
    \\stp     x29, x9, [sp]
    \\mov     x10, sp
    \\ldr     x11, [x0, 0]
    \\ldp     x29, x16, [x11]
    \\str     x10, [x0, 0]
    \\add     sp, x11, 144
    \\br      x16
    \\brk     0
    \\1:
    \\hint    36
;

/// Enters the body: passes a word and a signal in, comes back with the word that the body passes.
pub inline fn switchToBody(context: *anyopaque, word: usize, signal: usize) usize {
    var x0: usize = undefined;
    var x1: usize = undefined;
    return asm volatile (switch_text
        : [result] "={x2}" (-> usize),
          [x0] "={x0}" (x0),
          [x1] "={x1}" (x1),
        : [context] "{x0}" (context),
          [word] "{x1}" (word),
          [signal] "{x2}" (signal),
        : clobbers);
}

/// Leaves the body: passes a word out, comes back with the resumer's word and its signal.
pub inline fn switchToResumer(context: *anyopaque, word: usize, signal: *usize) usize {
    var x0: usize = undefined;
    var x2: usize = undefined;
    defer signal.* = x2;
    return asm volatile (switch_text
        : [result] "={x1}" (-> usize),
          [x0] "={x0}" (x0),
          [x2] "={x2}" (x2),
        : [context] "{x0}" (context),
          [word] "{x2}" (word),
        : clobbers);
}

/// Whether x18 is the platform's own (section 6.1.1). Elsewhere the compiler keeps values in it.
const reserves_x18 = builtin.target.os.tag.isDarwin() or builtin.abi.isAndroid() or
    builtin.os.tag == .windows or builtin.os.tag == .fuchsia;

/// Every register but sp and x29, which make the frame, and x0, x1 and x2, which carry something
/// over.
///  * v stands for the whole of z.
///  * lr is x30. LLVM passes over its other name, silently.
///  * FFR is missing: the compiler keeps nothing there.
const clobbers: std.builtin.assembly.Clobbers = clobbers: {
    var all: std.builtin.assembly.Clobbers = .{ .memory = true, .nzcv = true, .lr = true };
    @setEvalBranchQuota(100_000);
    for (3..29) |i| {
        if (i == 18 and reserves_x18) continue;
        @field(all, std.fmt.comptimePrint("x{d}", .{i})) = true;
    }
    for (0..32) |i| @field(all, std.fmt.comptimePrint("v{d}", .{i})) = true;
    for (0..16) |i| @field(all, std.fmt.comptimePrint("p{d}", .{i})) = true;
    break :clobbers all;
};

/// Has the processor see instructions that have been written: the caches of data and instructions
/// are two (Arm Architecture Reference Manual, section B2.4.4). CTR_EL0 says how long their lines
/// are, in words, as a power of two.
pub fn synchronizeInstructions(memory: []const u8) void {
    // Apple has a function for it, which os/macos.zig calls, and promises nothing of CTR_EL0.
    if (builtin.target.os.tag.isDarwin()) return;
    const ctr = asm (
        \\mrs %[ctr], ctr_el0
        : [ctr] "=r" (-> u64),
    );
    const start = @intFromPtr(memory.ptr);
    const data_line = @as(usize, 4) << @truncate(ctr >> 16 & 15);
    var at = std.mem.alignBackward(usize, start, data_line);
    while (at < start + memory.len) : (at += data_line) {
        asm volatile (
            \\dc cvau, %[at]
            :
            : [at] "r" (at),
            : .{ .memory = true });
    }
    asm volatile (
        \\dsb ish
        ::: .{ .memory = true });
    const line = @as(usize, 4) << @truncate(ctr & 15);
    at = std.mem.alignBackward(usize, start, line);
    while (at < start + memory.len) : (at += line) {
        asm volatile (
            \\ic ivau, %[at]
            :
            : [at] "r" (at),
            : .{ .memory = true });
    }
    asm volatile (
        \\dsb ish
        \\isb
        ::: .{ .memory = true });
}

/// What a signal handler finds in its `ucontext_t`, as Linux lays it out: `struct sigcontext` in
/// the kernel's arch/arm64/include/uapi/asm/sigcontext.h.
pub const Machine = extern struct {
    fault_address: u64,
    x: [31]u64,
    sp: u64,
    ip: u64,
    pstate: u64,

    /// The kind of the last branch is forgotten: what is jumped to need not be a landing pad.
    pub fn call(self: *Machine, function: usize, sp: usize, arguments: [2]usize) void {
        self.ip = function;
        self.sp = sp;
        self.x[0..2].* = arguments;
        const branch_type = 3 << 10;
        self.pstate &= ~@as(u64, branch_type);
    }
};

/// As in the kernel's arch/arm64/include/uapi/asm/ucontext.h: behind flags, link and the alternate
/// stack the mask, 128 bytes long, and, at a multiple of 16, the machine.
pub const linux: @import("arch.zig").Linux = .{
    .machine = 176,
    .mask = 40,
    // `struct rt_sigframe` begins with a siginfo_t.
    .ucontext = 128,
    // mov x8, #139; svc #0
    .return_from_handler = &.{ 0x68, 0x11, 0x80, 0xd2, 0x01, 0x00, 0x00, 0xd4 },
};
