// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! x86_64, for Zig code; arch.zig says what each declaration is for. The ABI is the System V psABI
//! for AMD64, version 1.0.

const std = @import("std");
const builtin = @import("builtin");

/// The lower half of the addresses (section 3.3.2). A system gives what lies beyond to a program
/// that asks for it by address, and to no other.
pub const address_bits = 47;

/// Section 3.2.3: rdi rsi rdx rcx r8 r9, and xmm0 to xmm7.
pub const argument_integers = 6;
pub const argument_floats = 8;
pub const struct_rules = "eightbytes";

/// DWARF's numbers (section 3.6.2) of rbp, rax and the return address.
pub const frame_pointer = 6;
pub const result = 0;
pub const return_address = 16;

pub const knows_exceptions = true;

/// How the two units round, what they flush to zero, and which exceptions they trap.
pub const Control = extern struct { mxcsr: u32, x87: u16 align(4) };

/// Whether the processor has these. As EXACTLY of switch_x86_64.S: the flags do not count.
pub fn hasControl(control: Control) bool {
    var mxcsr: u32 = undefined;
    asm volatile (
        \\stmxcsr %[mxcsr]
        : [mxcsr] "=m" (mxcsr),
    );
    var x87: u16 = undefined;
    asm volatile (
        \\fnstcw %[x87]
        : [x87] "=m" (x87),
    );
    const flags: u32 = 0x3f;
    return (mxcsr ^ control.mxcsr) & ~flags == 0 and x87 == control.x87;
}

pub const switch_text =
    \\lea     -144(%%rsp), %%rsp
    \\lea     1f(%%rip), %%rcx
    \\mov     %%rbp, (%%rsp)
    \\mov     %%rcx, 8(%%rsp)
    \\mov     %%rsp, %%r8
    \\mov     (%%rdi), %%rdx
    \\mov     8(%%rdx), %%rcx
    \\mov     (%%rdx), %%rbp
    \\mov     %%r8, (%%rdi)
    \\lea     144(%%rdx), %%rsp
    \\jmp     *%%rcx
    \\int3
    \\1:
;

comptime {
    if (builtin.cpu.arch == .x86_64) {
        if (has(.egpr)) @compileError("fringe does not save the registers of Intel APX yet");
        if (!has(.sse2)) @compileError(
            "fringe needs SSE2: Zig cannot say that a switch destroys x87",
        );
    }
}

/// Enters the body: passes a word and a signal in, comes back with the word that the body passes.
pub inline fn switchToBody(context: *anyopaque, word: usize, signal: usize) usize {
    var rdi: usize = undefined;
    var rsi: usize = undefined;
    if (!has_masks) return asm volatile (switch_text
        : [result] "={rax}" (-> usize),
          [rdi] "={rdi}" (rdi),
          [rsi] "={rsi}" (rsi),
        : [context] "{rdi}" (context),
          [word] "{rsi}" (word),
          [signal] "{rax}" (signal),
        : clobbers);
    var k: u16 = undefined;
    return asm volatile (switch_text
        : [result] "={rax}" (-> usize),
          [rdi] "={rdi}" (rdi),
          [rsi] "={rsi}" (rsi),
          [k0] "={k0}" (k),
          [k1] "={k1}" (k),
          [k2] "={k2}" (k),
          [k3] "={k3}" (k),
          [k4] "={k4}" (k),
          [k5] "={k5}" (k),
          [k6] "={k6}" (k),
          [k7] "={k7}" (k),
        : [context] "{rdi}" (context),
          [word] "{rsi}" (word),
          [signal] "{rax}" (signal),
        : clobbers);
}

/// Leaves the body: passes a word out, comes back with the resumer's word and its signal.
pub inline fn switchToResumer(context: *anyopaque, word: usize, signal: *usize) usize {
    var rdi: usize = undefined;
    var rax: usize = undefined;
    defer signal.* = rax;
    if (!has_masks) return asm volatile (switch_text
        : [result] "={rsi}" (-> usize),
          [rdi] "={rdi}" (rdi),
          [rax] "={rax}" (rax),
        : [context] "{rdi}" (context),
          [word] "{rax}" (word),
        : clobbers);
    var k: u16 = undefined;
    return asm volatile (switch_text
        : [result] "={rsi}" (-> usize),
          [rdi] "={rdi}" (rdi),
          [rax] "={rax}" (rax),
          [k0] "={k0}" (k),
          [k1] "={k1}" (k),
          [k2] "={k2}" (k),
          [k3] "={k3}" (k),
          [k4] "={k4}" (k),
          [k5] "={k5}" (k),
          [k6] "={k6}" (k),
          [k7] "={k7}" (k),
        : [context] "{rdi}" (context),
          [word] "{rax}" (word),
        : clobbers);
}

/// Zig's list of clobbers has no mask registers, so where AVX-512 is used they are written down as
/// outputs.
const has_masks = has(.avx512f);

fn has(feature: std.Target.x86.Feature) bool {
    return builtin.cpu.has(.x86, feature);
}

/// Every register but rsp and rbp, which make the frame, and rdi, rsi and rax, which carry
/// something over.
///  * xmm stands for the whole of ymm and zmm. The reverse does not hold: LLVM passes over names of
///    registers that the target does not have, silently.
///  * The x87 stack is missing, because Zig's "st0" is such a name (LLVM has "st" and "st(1)"). So
///    a value of 80 bits (`f80`, `c_longdouble`) must not be kept over an inlined switch; a
///    function that needs one calls `fringe_suspend`. Narrower types are never there, given SSE2.
const clobbers: std.builtin.assembly.Clobbers = clobbers: {
    var all: std.builtin.assembly.Clobbers = .{ .memory = true, .cc = true };
    for (.{ "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15" }) |name| {
        @field(all, name) = true;
    }
    @setEvalBranchQuota(100_000);
    for (0..32) |i| @field(all, std.fmt.comptimePrint("xmm{d}", .{i})) = true;
    break :clobbers all;
};

/// The processor sees what is written by itself.
pub fn synchronizeInstructions(_: []const u8) void {}

/// What a signal handler finds in its `ucontext_t`, as the System V systems lay it out:
/// `mcontext_t`, `struct sigcontext` in the kernel's arch/x86/include/uapi/asm/sigcontext.h.
pub const Machine = extern struct {
    r8_to_r15: [8]usize,
    rdi: usize,
    rsi: usize,
    rbp: usize,
    rbx: usize,
    rdx: usize,
    rax: usize,
    rcx: usize,
    sp: usize,
    ip: usize,
    flags: usize,
    segments: [4]u16,
    err: usize,
    trap_number: usize,
    old_mask: usize,
    cr2: usize,
    /// In the layout of FXSAVE.
    floats: *align(1) extern struct { control: u16, status: u16, tags: u8 },

    /// Has the interrupted code go on as if it had just jumped to `function`, which does not
    /// return, with these arguments and this stack pointer. The interrupted code may have been in
    /// the middle of anything, so what the ABI says of a call is made true: the direction flag is
    /// clear, the x87 stack is empty.
    pub fn call(self: *Machine, function: usize, sp: usize, arguments: [2]usize) void {
        self.ip = function;
        self.sp = sp;
        self.rdi = arguments[0];
        self.rsi = arguments[1];
        self.flags &= ~@as(usize, 1 << 10);
        self.floats.tags = 0;
    }
};

/// As in the kernel's include/uapi/asm-generic/ucontext.h: flags, link, the alternate stack, struct
/// sigcontext, the mask.
pub const linux: @import("arch.zig").Linux = .{
    .machine = 8 + 8 + 24,
    .mask = 8 + 8 + 24 + 256,
    .ucontext = 0,
    // mov $15, %rax; syscall
    .return_from_handler = &.{ 0x48, 0xc7, 0xc0, 15, 0, 0, 0, 0x0f, 0x05 },
};
