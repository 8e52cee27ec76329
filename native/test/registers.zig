// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! For tests: registers that a signal has found, by what they are for on every architecture; and a
//! signal after each instruction.

const std = @import("std");
const builtin = @import("builtin");
const linux = std.os.linux;
const arch = @import("../arch/arch.zig").arch;

pub const Registers = std.debug.cpu_context.Native;

pub const ip = switch (builtin.cpu.arch) {
    .x86_64 => byName(.rip),
    .x86 => byName(.eip),
    else => inField("pc"),
};
pub const stackPointer = switch (builtin.cpu.arch) {
    .x86_64 => byName(.rsp),
    .x86 => byName(.esp),
    else => inField("sp"),
};
pub const framePointer = switch (builtin.cpu.arch) {
    .x86_64 => byName(.rbp),
    .x86 => byName(.ebp),
    else => struct {
        fn get(registers: *const Registers) usize {
            return registers.x[arch.frame_pointer];
        }
    }.get,
};

fn byName(comptime name: @EnumLiteral()) fn (*const Registers) usize {
    return struct {
        fn get(registers: *const Registers) usize {
            return registers.gprs.get(name);
        }
    }.get;
}

fn inField(comptime name: []const u8) fn (*const Registers) usize {
    return struct {
        fn get(registers: *const Registers) usize {
            return @field(registers, name);
        }
    }.get;
}

/// A function that is called with a signal, SIGTRAP, after each instruction. x86 has a flag for
/// that. Elsewhere `onTrap` puts breakpoints behind the instruction that is about to run.
pub extern fn fringe_test_step(
    function: *const anyopaque,
    argument: *anyopaque,
) usize;

comptime {
    asm (switch (builtin.cpu.arch) {
            .x86_64 =>
            \\fringe_test_step:
            \\  .cfi_startproc
            \\  push %rbp
            \\  .cfi_def_cfa_offset 16
            \\  .cfi_offset %rbp, -16
            \\  mov %rsp, %rbp
            \\  .cfi_def_cfa_register %rbp
            \\  mov %rdi, %rax
            \\  mov %rsi, %rdi
            \\  pushf
            \\  orl $0x100, (%rsp)
            \\  popf
            \\  call *%rax
            \\  pushf
            \\  andl $0xfffffeff, (%rsp)
            \\  popf
            \\  pop %rbp
            \\  .cfi_def_cfa %rsp, 8
            \\  ret
            \\  .cfi_endproc
            ,
            .x86 =>
            \\fringe_test_step:
            \\  .cfi_startproc
            \\  push %ebp
            \\  .cfi_def_cfa_offset 8
            \\  .cfi_offset %ebp, -8
            \\  mov %esp, %ebp
            \\  .cfi_def_cfa_register %ebp
            \\  sub $8, %esp
            \\  mov 8(%ebp), %eax
            \\  mov 12(%ebp), %ecx
            \\  mov %ecx, (%esp)
            \\  pushf
            \\  orl $0x100, (%esp)
            \\  popf
            \\  call *%eax
            \\  pushf
            \\  andl $0xfffffeff, (%esp)
            \\  popf
            \\  add $8, %esp
            \\  pop %ebp
            \\  .cfi_def_cfa %esp, 4
            \\  ret
            \\  .cfi_endproc
            ,
            else =>
            \\fringe_test_step:
            \\  .cfi_startproc
            \\  stp x29, x30, [sp, -16]!
            \\  .cfi_def_cfa_offset 16
            \\  .cfi_offset x29, -16
            \\  .cfi_offset x30, -8
            \\  mov x29, sp
            \\  .cfi_def_cfa_register x29
            \\  mov x9, x0
            \\  mov x0, x1
            \\  brk 1
            \\  blr x9
            \\  brk 2
            \\  ldp x29, x30, [sp], 16
            \\  .cfi_def_cfa sp, 0
            \\  ret
            \\  .cfi_endproc
            ,
        });
}

/// What a handler of SIGTRAP calls first; false if there is nothing to see but the mechanism.
pub const beginTrap = if (has_trap_flag) hasTrapped else Breakpoints.take;
/// What it calls last.
pub const endTrap = if (has_trap_flag) goOn else Breakpoints.set;

const has_trap_flag = builtin.cpu.arch == .x86_64 or builtin.cpu.arch == .x86;

fn hasTrapped(_: *anyopaque) bool {
    return true;
}

fn goOn(_: *anyopaque) void {}

/// Breakpoints where the next instruction may be: one, or two behind a branch that is conditional.
/// While a handler runs there are none, so it may run whatever code there is.
const Breakpoints = struct {
    const brk_begin = 0xd4200020;
    const brk_end = 0xd4200040;
    const brk = 0xd4200060;

    var count: usize = 0;
    var places: [2]*u32 = undefined;
    var instructions: [2]u32 = undefined;

    fn take(ucontext: *anyopaque) bool {
        for (places[0..count], instructions[0..count]) |place, instruction| {
            write(place, instruction);
        }
        count = 0;
        const machine = machineIn(ucontext);
        const instruction = @as(*const u32, @ptrFromInt(machine.ip)).*;
        if (instruction == brk_begin or instruction == brk_end) machine.ip += 4;
        if (instruction == brk_begin) put(machine.ip);
        return instruction != brk_begin and instruction != brk_end;
    }

    fn set(ucontext: *anyopaque) void {
        const machine = machineIn(ucontext);
        const at = machine.ip;
        const instruction = @as(*const u32, @ptrFromInt(at)).*;
        const register = instruction >> 5 & 31;
        // Arm Architecture Reference Manual, section C4.1.94: branches. Those that return or call
        // by a register; then b and bl; b.cond, cbz and cbnz; tbz and tbnz.
        if (instruction & 0xff9ffc1f == 0xd61f0000) return put(machine.x[register]);
        if (instruction & 0x7c000000 == 0x14000000) return put(target(u26, at, instruction));
        if (instruction & 0xff000010 == 0x54000000 or instruction & 0x7e000000 == 0x34000000) {
            put(target(u19, at, instruction >> 5));
        } else if (instruction & 0x7e000000 == 0x36000000) {
            put(target(u14, at, instruction >> 5));
        }
        put(at + 4);
    }

    fn machineIn(ucontext: *anyopaque) *arch.Machine {
        return @ptrFromInt(@intFromPtr(ucontext) + arch.linux.machine);
    }

    /// Where a branch leads whose distance, in instructions, is a number of that many bits.
    fn target(comptime Bits: type, at: usize, field: u32) usize {
        const Signed = @Int(.signed, @bitSizeOf(Bits));
        const distance: isize = @as(Signed, @bitCast(@as(Bits, @truncate(field))));
        return at +% @as(usize, @bitCast(4 * distance));
    }

    fn put(at: usize) void {
        const place: *u32 = @ptrFromInt(at);
        if (count == 1 and places[0] == place) return;
        places[count] = place;
        instructions[count] = place.*;
        count += 1;
        write(place, brk);
    }

    fn write(place: *u32, instruction: u32) void {
        const all: linux.PROT = .{ .READ = true, .WRITE = true, .EXEC = true };
        // Where it fails the segment is shorter than the largest page.
        const size = for ([_]usize{ std.heap.page_size_max, std.heap.page_size_min }) |size| {
            if (protect(place, size, all)) break size;
        } else @panic("the tests may not write breakpoints");
        place.* = instruction;
        // As it was: an emulator maps the pages of code that may change one by one, as it runs
        // them, and other tests compare the mappings.
        _ = protect(place, size, .{ .READ = true, .EXEC = true });
        arch.synchronizeInstructions(std.mem.asBytes(place));
    }

    fn protect(place: *u32, size: usize, protection: linux.PROT) bool {
        const page = std.mem.alignBackward(usize, @intFromPtr(place), size);
        return linux.mprotect(@ptrFromInt(page), size, protection) == 0;
    }
};
