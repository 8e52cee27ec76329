/* SPDX-License-Identifier: MIT OR Apache-2.0
 * Credit: after libfringe, by edef and the libfringe contributors
 *
 * What fringe.h needs of x86_64: SWITCH of switch_x86_64.S, and the registers that it destroys. */
#ifndef FRINGE_X86_64_H
#define FRINGE_X86_64_H

#include "fringe_x86_common.h"

#define FRINGE_SWITCH \
    "lea     -144(%%rsp), %%rsp\n\t" \
    "lea     1f(%%rip), %%rcx\n\t" \
    "mov     %%rbp, (%%rsp)\n\t" \
    "mov     %%rcx, 8(%%rsp)\n\t" \
    "mov     %%rsp, %%r8\n\t" \
    "mov     (%%rdi), %%rdx\n\t" \
    "mov     8(%%rdx), %%rcx\n\t" \
    "mov     (%%rdx), %%rbp\n\t" \
    "mov     %%r8, (%%rdi)\n\t" \
    "lea     144(%%rdx), %%rsp\n\t" \
    "jmp     *%%rcx\n\t" \
    "int3\n" \
    "1:"

#define FRINGE_CLOBBERS \
    "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", \
    FRINGE_CLOBBERS_XMM8 FRINGE_CLOBBERS_XMM16 FRINGE_CLOBBERS_VECTOR "cc", "memory"

#ifdef __SSE__
#define FRINGE_CLOBBERS_XMM8 \
    "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15",
#else
#define FRINGE_CLOBBERS_XMM8
#endif

#ifdef FRINGE_AVX512
#define FRINGE_CLOBBERS_XMM16 \
    "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", \
    "xmm24", "xmm25", "xmm26", "xmm27", "xmm28", "xmm29", "xmm30", "xmm31",
#else
#define FRINGE_CLOBBERS_XMM16
#endif

#endif
