# SPDX-License-Identifier: MIT OR Apache-2.0
# Credit: after libfringe, by edef and the libfringe contributors

# What x86 does before main(). Read x86_64.S first; here the processor stays in the mode that it is
# handed over in.

        .section .note.pvh, "a", @note
        .balign 4
        .long   4                       # the length of "Xen"
        .long   4                       # the length of the address
        .long   18                      # XEN_ELFNOTE_PHYS32_ENTRY
        .asciz  "Xen"
        .long   _start

        .text
        .globl  _start
_start:
        mov     $0x600, %eax            # CR4: OSFXSR, OSXMMEXCPT
        mov     %eax, %cr4
        mov     $0x23, %eax             # CR0: NE, MP, PE; and EM is clear
        mov     %eax, %cr0
        fninit
        mov     $stack_top, %esp
        mov     $trap, %eax
        mov     %ax, gate_of_trap
        mov     %cs, gate_of_trap + 2
        shr     $16, %eax
        mov     %ax, gate_of_trap + 6
        lidt    gates_descriptor
        xor     %ebp, %ebp
        call    main

trap:   .rept   64
        push    $-1
        .endr
        add     $256, %esp
        incl    interrupts
        iret

        .section .rodata
gates_descriptor:
        .word   15
        .long   gates

        .data
        .balign 8
gates:  .quad   0
gate_of_trap:
        .word   0, 0, 0x8e00, 0
        .globl  interrupts
interrupts:
        .long   0

        .bss
        .balign 16
        .zero   65536
stack_top:

        .section .note.GNU-stack, "", @progbits
