/* SPDX-License-Identifier: MIT OR Apache-2.0
 * Credit: after libfringe, by edef and the libfringe contributors
 *
 * What fringe.h needs of x86 of 32 bits; read fringe_x86_64.h first. */
#ifndef FRINGE_X86_H
#define FRINGE_X86_H

#include "fringe_x86_vectors.h"

#define FRINGE_SWITCH \
    "lea     -8(%%esp), %%esp\n\t" \
    "call    2f\n" \
    "2: pop  %%ecx\n\t" \
    "lea     1f-2b(%%ecx), %%ecx\n\t" \
    "mov     %%ebp, (%%esp)\n\t" \
    "mov     %%ecx, 4(%%esp)\n\t" \
    "mov     %%esp, %%ebx\n\t" \
    "mov     (%%edi), %%edx\n\t" \
    "mov     4(%%edx), %%ecx\n\t" \
    "mov     (%%edx), %%ebp\n\t" \
    "mov     %%ebx, (%%edi)\n\t" \
    "lea     8(%%edx), %%esp\n\t" \
    "jmp     *%%ecx\n\t" \
    "int3\n" \
    "1:"

#define FRINGE_CLOBBERS "ebx", "ecx", "edx", FRINGE_CLOBBERS_VECTOR "cc", "memory"

/* Naming the frame address makes the compiler keep a frame pointer, so that the call frame
 * information of the function holds while the stack pointer moves. As a memory operand it costs no
 * instruction. */
#define FRINGE_SWITCH_TO_RESUMER(yielder, word, signal) \
    do { \
        uintptr_t fringe_out = (word); \
        __asm__ volatile(FRINGE_SWITCH \
                         : "+a"(fringe_out), "+D"(yielder), "=S"(word) \
                         : "m"(*(const char *)__builtin_frame_address(0)) \
                         : FRINGE_CLOBBERS); \
        (signal) = fringe_out; \
    } while (0)

#endif
