# SPDX-License-Identifier: MIT OR Apache-2.0
# Credit: after libfringe, by edef and the libfringe contributors

# What x86_64 does before main(): from the state in which QEMU (`-kernel`) hands the machine over to
# 64-bit mode with vector registers and a stack.
#
# QEMU boots an ELF file that has a note with a 32-bit entry point: the PVH protocol. There the
# processor is in protected mode without paging; all segments cover the whole of memory.

        .section .note.pvh, "a", @note
        .balign 4
        .long   4                       # the length of "Xen"
        .long   8                       # the length of the address
        .long   18                      # XEN_ELFNOTE_PHYS32_ENTRY
        .asciz  "Xen"
        .quad   _start

        .text
        .code32
        .globl  _start
_start:
        # Three levels of page tables map the first GiB, where the program lies, to itself.
        movl    $level_3 + 3, level_4   # 3: present, writable
        movl    $level_2 + 3, level_3
        xor     %ecx, %ecx
1:      mov     %ecx, %eax
        shl     $21, %eax
        or      $0x83, %eax             # 0x80: a page of 2 MiB
        mov     %eax, level_2(, %ecx, 8)
        inc     %ecx
        cmp     $512, %ecx
        jne     1b
        mov     $level_4, %eax
        mov     %eax, %cr3

        # fringe needs SSE2: a switch has the compiler save what it has in vector registers.
        mov     $0x620, %eax            # CR4: PAE, OSFXSR, OSXMMEXCPT
        mov     %eax, %cr4
        mov     $0xc0000080, %ecx       # EFER
        rdmsr
        or      $0x100, %eax            # LME: 64-bit mode, as soon as there is paging
        wrmsr
        mov     $0x80000023, %eax       # CR0: PG, NE, MP, PE; and EM is clear
        mov     %eax, %cr0
        lgdt    descriptor
        ljmp    $8, $2f

        .code64
2:      fninit
        mov     $stack_top, %esp
        xor     %eax, %eax
        mov     %eax, %ss               # what iretq comes back to must be a segment, or none
        mov     $trap, %eax
        mov     %ax, gate_of_trap
        shr     $16, %eax
        mov     %ax, gate_of_trap + 6
        lidt    gates_descriptor
        xor     %ebp, %ebp              # whoever walks frame pointers stops here
        call    main

# Exception 1, which the processor raises behind each instruction while the trap flag is set: an
# interrupt, of which the frame lies on the stack of whatever has been interrupted. A handler that
# saves registers and calls functions would write below that; so it does.
trap:   .rept   32
        push    $-1
        .endr
        add     $256, %rsp
        incq    interrupts
        iretq

        .section .rodata
        .balign 8
table:  .quad   0
        .quad   0x00209a0000000000      # 8: code, 64-bit
descriptor:
        .word   15
        .long   table
gates_descriptor:
        .word   31
        .quad   gates

        .data
        .balign 8
gates:  .quad   0, 0
gate_of_trap:                           # its address is written at both ends of this
        .word   0, 8, 0x8e00, 0         # segment 8, present, an interrupt gate
        .quad   0
        .globl  interrupts
interrupts:
        .quad   0

        .bss
        .balign 4096
level_4:
        .zero   4096
level_3:
        .zero   4096
level_2:
        .zero   4096
        .zero   65536
stack_top:

        .section .note.GNU-stack, "", @progbits
