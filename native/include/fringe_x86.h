/* SPDX-License-Identifier: MIT OR Apache-2.0
 * Credit: after libfringe, by edef and the libfringe contributors
 *
 * What fringe.h needs of x86 of 32 bits; read fringe_x86_64.h first. */
#ifndef FRINGE_X86_H
#define FRINGE_X86_H

#include "fringe_x86_common.h"

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

#endif
