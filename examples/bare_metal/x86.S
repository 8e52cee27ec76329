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
        xor     %ebp, %ebp
        call    main

        .bss
        .balign 16
        .zero   65536
stack_top:

        .section .note.GNU-stack, "", @progbits
