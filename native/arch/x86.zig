// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! x86 of 32 bits, for Zig code; arch.zig says what each declaration is for. Read x86_64.zig first:
//! only differences are explained here. The ABI is the System V psABI for the Intel386, version
//! 1.1.

const std = @import("std");
const builtin = @import("builtin");

/// A system of 64 bits leaves a program of 32 bits all of its addresses.
pub const address_bits = 32;

/// Section 2.2.3: every argument lies on the stack.
pub const argument_integers = 0;
pub const argument_floats = 0;

/// DWARF's numbers (section 2.5) of ebp, eax and the return address.
pub const frame_pointer = 5;
pub const result = 0;
pub const return_address = 8;

/// exception.zig knows the layouts of 64 bits. Nobody asks on x86, which has no JavaScript.
pub const knows_exceptions = false;

pub const Control = @import("x86_64.zig").Control;
pub const hasControl = @import("x86_64.zig").hasControl;

pub const switch_text =
    \\lea     -8(%%esp), %%esp
    \\call    2f
    \\2: pop  %%ecx
    \\lea     1f-2b(%%ecx), %%ecx
    \\mov     %%ebp, (%%esp)
    \\mov     %%ecx, 4(%%esp)
    \\mov     %%esp, %%ebx
    \\mov     (%%edi), %%edx
    \\mov     4(%%edx), %%ecx
    \\mov     (%%edx), %%ebp
    \\mov     %%ebx, (%%edi)
    \\lea     8(%%edx), %%esp
    \\jmp     *%%ecx
    \\int3
    \\1:
;

comptime {
    if (has(.avx512f)) @compileError("fringe does without AVX-512 on x86");
    if (has(.egpr)) @compileError("fringe does not save the registers of Intel APX yet");
    if (!has(.sse2)) @compileError("fringe needs SSE2: Zig cannot say that a switch destroys x87");
}

/// Enters the body: passes a word and a signal in, comes back with the word that the body passes.
pub inline fn switchToBody(context: *anyopaque, word: usize, signal: usize) usize {
    var edi: usize = undefined;
    var esi: usize = undefined;
    return asm volatile (switch_text
        : [result] "={eax}" (-> usize),
          [edi] "={edi}" (edi),
          [esi] "={esi}" (esi),
        : [context] "{edi}" (context),
          [word] "{esi}" (word),
          [signal] "{eax}" (signal),
        : clobbers);
}

/// Leaves the body: passes a word out, comes back with the resumer's word and its signal.
pub inline fn switchToResumer(context: *anyopaque, word: usize, signal: *usize) usize {
    var edi: usize = undefined;
    var eax: usize = undefined;
    defer signal.* = eax;
    return asm volatile (switch_text
        : [result] "={esi}" (-> usize),
          [edi] "={edi}" (edi),
          [eax] "={eax}" (eax),
        : [context] "{edi}" (context),
          [word] "{eax}" (word),
        : clobbers);
}

fn has(feature: std.Target.x86.Feature) bool {
    return builtin.cpu.has(.x86, feature);
}

/// Every register but esp and ebp, which make the frame, and edi, esi and eax, which carry
/// something over.
const clobbers: std.builtin.assembly.Clobbers = clobbers: {
    var all: std.builtin.assembly.Clobbers = .{ .memory = true, .cc = true };
    for (.{ "ebx", "ecx", "edx" }) |name| @field(all, name) = true;
    @setEvalBranchQuota(100_000);
    for (0..8) |i| @field(all, std.fmt.comptimePrint("xmm{d}", .{i})) = true;
    break :clobbers all;
};

pub fn synchronizeInstructions(_: []const u8) void {}

/// What a signal handler finds in its `ucontext_t`.
pub const Machine = extern struct {
    segments: [4]u32,
    edi: usize,
    esi: usize,
    ebp: usize,
    sp: usize,
    ebx: usize,
    edx: usize,
    ecx: usize,
    eax: usize,
    trap_number: usize,
    err: usize,
    ip: usize,
    code_segment: usize,
    flags: usize,
    sp_at_signal: usize,
    stack_segment: usize,
    /// In the layout of FSAVE.
    floats: *align(1) extern struct { control: u32, status: u32, tags: u32 },

    /// Has the interrupted code go on as if it had just called `function`, which does not return,
    /// with these arguments and its frame below `sp`:
    ///
    ///      | padding, 20 bytes      |  sp - 20
    ///      | second argument        |  sp - 24
    ///      | first argument         |  sp - 28
    ///      | return address, unused |  sp - 32  <- esp, at the entry of `function`
    pub fn call(self: *Machine, function: usize, sp: usize, arguments: [2]usize) void {
        const frame: *[3]usize = @ptrFromInt(sp - 32);
        frame[1..].* = arguments;
        self.ip = function;
        self.sp = @intFromPtr(frame);
        self.flags &= ~@as(usize, 1 << 10);
        self.floats.tags = 0xffff;
    }
};

/// flags, link, the alternate stack, struct sigcontext, the mask. Where handlers return to is not
/// known, since a system of 64 bits has other bytes there than one of 32: the mask stays as it is.
pub const linux: @import("arch.zig").Linux = .{
    .machine = 4 + 4 + 12,
    .mask = 4 + 4 + 12 + 88,
    .ucontext = 0,
    .return_from_handler = &.{},
};
