/* SPDX-License-Identifier: MIT OR Apache-2.0
 * Credit: after libfringe, by edef and the libfringe contributors
 *
 * What x86_64 and x86 have in common for fringe.h: the macro FRINGE_SWITCH_TO_RESUMER, and the
 * registers beside the general ones. Either's own header has FRINGE_SWITCH and FRINGE_CLOBBERS. */
#ifndef FRINGE_X86_COMMON_H
#define FRINGE_X86_COMMON_H

#if defined(__APX_F__)
#error "fringe.h does not name the registers of Intel APX yet"
#endif

/* Registers that the compiler was told to do without cannot be named. `xmm0` stands for all of
 * zmm0. */
#define FRINGE_CLOBBERS_VECTOR \
    FRINGE_CLOBBERS_X87 FRINGE_CLOBBERS_MMX FRINGE_CLOBBERS_XMM FRINGE_CLOBBERS_MASK

#ifndef _SOFT_FLOAT
#define FRINGE_CLOBBERS_X87 \
    "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)",
#else
#define FRINGE_CLOBBERS_X87
#endif

#ifdef __MMX__
#define FRINGE_CLOBBERS_MMX "mm0", "mm1", "mm2", "mm3", "mm4", "mm5", "mm6", "mm7",
#else
#define FRINGE_CLOBBERS_MMX
#endif

#ifdef __SSE__
#define FRINGE_CLOBBERS_XMM "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",
#else
#define FRINGE_CLOBBERS_XMM
#endif

/* A function may use AVX-512 though its file does not: __attribute__((target("avx512f"))). clang
 * passes over the names of registers that a function does not have, so it is given all of them. gcc
 * refuses such names. */
#if defined(__AVX512F__) || defined(__clang__)
#define FRINGE_AVX512
#endif

#ifdef FRINGE_AVX512
#define FRINGE_CLOBBERS_MASK "k0", "k1", "k2", "k3", "k4", "k5", "k6", "k7",
#else
#define FRINGE_CLOBBERS_MASK
#endif

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
