// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

//! What the program needs of a PC: two devices, which QEMU has, interrupts, and a counter.

const com1 = 0x3f8;
/// `-device isa-debug-exit` ends QEMU: its exit status is twice what is written there, plus 1.
const debug_exit = 0x501;

pub fn write(text: []const u8) void {
    for (text) |byte| out(com1, byte);
}

/// QEMU's exit status is 33, or 35.
pub fn exit(success: bool) noreturn {
    out(debug_exit, if (success) 16 else 17);
    while (true) asm volatile ("hlt");
}

/// How often the program has been interrupted.
pub extern var interrupts: usize;

/// Has the processor interrupt the program behind each instruction, or no longer.
pub fn interruptEach(on: bool) void {
    const trap_flag = 1 << 8;
    const flags = asm volatile (
        \\pushf
        \\pop %[flags]
        : [flags] "=r" (-> usize),
    );
    asm volatile (
        \\push %[flags]
        \\popf
        :
        : [flags] "r" (if (on) flags | trap_flag else flags & ~@as(usize, trap_flag)),
        : .{ .cc = true, .memory = true });
}

/// How many instructions have run: with `-icount shift=0` QEMU's time stamp counter says that.
pub fn instructions() u64 {
    var low: u32 = undefined;
    var high: u32 = undefined;
    asm volatile ("rdtsc"
        : [low] "={eax}" (low),
          [high] "={edx}" (high),
        :
        : .{ .memory = true });
    return @as(u64, high) << 32 | low;
}

fn out(port: u16, byte: u8) void {
    asm volatile ("outb %[byte], %[port]"
        :
        : [byte] "{al}" (byte),
          [port] "{dx}" (port),
    );
}
