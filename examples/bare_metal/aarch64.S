// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

// What aarch64 does before main(): from the state in which QEMU hands the machine over, which is
// exception level 1 without translation of addresses, to one with vector registers, memory and a
// stack. The names are those of the Arm Architecture Reference Manual.

        .text
        .globl  _start
_start:
        // fringe needs the vector registers: a switch has the compiler save what it has in them.
        mov     x0, 3 << 20             // CPACR_EL1.FPEN: nothing is trapped
        msr     cpacr_el1, x0

        // Without translation all memory is a device's, where no access may be unaligned.
        ldr     x0, =0xff00             // MAIR_EL1: 0 is a device's memory, 1 is cached
        msr     mair_el1, x0
        ldr     x0, =0x803519           // TCR_EL1: EPD1, SH0, ORGN0, IRGN0; T0SZ = 25: level 1
        msr     tcr_el1, x0
        adrp    x0, level_1
        msr     ttbr0_el1, x0
        adrp    x0, vectors
        msr     vbar_el1, x0
        isb
        mrs     x0, sctlr_el1
        mov     x1, 0x1005              // I, C, M
        orr     x0, x0, x1
        msr     sctlr_el1, x0
        isb

        adrp    x0, stack_top
        mov     sp, x0
        mov     x29, 0                  // whoever walks frame pointers stops here
        mov     x30, 0
        b       main

// An exception that is none of a step is a mistake of the program's.
        .balign 4096
vectors:
        .rept   16
        b       exception
        .balign 128
        .endr
// A step: an interrupt, with the stack pointer of whatever has been interrupted. A handler that
// saves registers and calls functions would write below that; so it does.
exception:
        stp     x0, x1, [sp, -16]!
        mrs     x0, esr_el1
        lsr     x0, x0, 26
        cmp     x0, 0x33                // ESR_EL1.EC: a step, of this exception level
        b.ne    fault
        mov     x0, -1
        .rept   16
        stp     x0, x0, [sp, -16]!
        .endr
        add     sp, sp, 256
        adrp    x0, interrupts
        ldr     x1, [x0, :lo12:interrupts]
        add     x1, x1, 1
        str     x1, [x0, :lo12:interrupts]
        mrs     x0, spsr_el1
        orr     x0, x0, 1 << 21         // SS: one more instruction, and then the next step
        msr     spsr_el1, x0
        ldp     x0, x1, [sp], 16
        eret

        .data
        .balign 4096
level_1:
        .quad   0x0020000000000401      // the first GiB: devices; PXN, AF, a block
        .quad   0x0000000040000705      // the second: memory, and this program; SH, AF, 1, a block
        .zero   4096 - 16
        .globl  interrupts
interrupts:
        .quad   0

        .bss
        .balign 4096
        .zero   65536
stack_top:

        .section .note.GNU-stack, "", @progbits
