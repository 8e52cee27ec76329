// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! What the program needs of QEMU's machine `virt`: a serial port, semihosting, interrupts,
//! and a counter.

/// UARTDR of the PL011, which QEMU has set up.
const serial: *volatile u8 = @ptrFromInt(0x0900_0000);

pub fn write(text: []const u8) void {
    for (text) |byte| serial.* = byte;
}

/// QEMU's exit status is 0, or 1.
pub fn exit(success: bool) noreturn {
    // Arm's Semihosting for AArch32 and AArch64, section 6.7: SYS_EXIT_EXTENDED.
    const ADP_Stopped_ApplicationExit = 0x20026;
    const parameters: [2]u64 = .{ ADP_Stopped_ApplicationExit, @intFromBool(!success) };
    asm volatile ("hlt #0xf000"
        :
        : [operation] "{x0}" (@as(u64, 0x20)),
          [parameters] "{x1}" (&parameters),
        : .{ .memory = true });
    while (true) asm volatile ("wfi");
}

/// An exception, and no step, has come: aarch64.S calls this.
export fn fault() noreturn {
    write("Bail out! an exception\n");
    exit(false);
}

/// How often the program has been interrupted.
pub extern var interrupts: usize;

/// Has the processor interrupt the program behind each instruction, or no longer: software step
/// (Arm Architecture Reference Manual, section D2.11).
pub fn interruptEach(on: bool) void {
    const KDE_and_SS = 1 << 13 | 1;
    if (!on) asm volatile ("msr daifset, 8");
    asm volatile (
        \\msr oslar_el1, xzr
        \\msr mdscr_el1, %[control]
        \\isb
        :
        : [control] "r" (@as(u64, if (on) KDE_and_SS else 0)),
        : .{ .memory = true });
    if (on) asm volatile ("msr daifclr, 8");
}

/// How many instructions have run: with `-icount shift=0` QEMU's monitor of performance has the
/// event INST_RETIRED (Arm Architecture Reference Manual, section D11.11).
pub fn instructions() u64 {
    const INST_RETIRED = 8;
    return asm volatile (
        \\msr pmevtyper0_el0, %[event]
        \\msr pmcntenset_el0, %[counter_0]
        \\msr pmcr_el0, %[enable]
        \\isb
        \\mrs %[count], pmevcntr0_el0
        : [count] "=r" (-> u64),
        : [event] "r" (@as(u64, INST_RETIRED)),
          [counter_0] "r" (@as(u64, 1)),
          [enable] "r" (@as(u64, 1)),
        : .{ .memory = true });
}
