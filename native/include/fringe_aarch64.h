/* SPDX-License-Identifier: MIT OR Apache-2.0
 * Credit: after libfringe, by edef and the libfringe contributors
 *
 * What fringe.h needs of aarch64: SWITCH of switch_aarch64.S, and the registers that it destroys.
 * Read fringe_x86_64.h first. */
#ifndef FRINGE_AARCH64_H
#define FRINGE_AARCH64_H

#define FRINGE_SWITCH \
    "sub     sp, sp, 144\n\t" \
    "adr     x9, 1f\n\t" \
    "stp     x29, x9, [sp]\n\t" \
    "mov     x10, sp\n\t" \
    "ldr     x11, [x0, 0]\n\t" \
    "ldp     x29, x16, [x11]\n\t" \
    "str     x10, [x0, 0]\n\t" \
    "add     sp, x11, 144\n\t" \
    "br      x16\n\t" \
    "brk     0\n" \
    "1:\n\t" \
    "hint    36"

/* x18 is the platform's on some systems (AAPCS64, section 6.1.1), and compilers refuse its name
 * there. On others they keep values in it. */
#if defined(__APPLE__) || defined(__ANDROID__) || defined(_WIN32) || defined(__Fuchsia__)
#define FRINGE_CLOBBERS_X18
#else
#define FRINGE_CLOBBERS_X18 "x18",
#endif

/* `v0` stands for all of z0. The predicates of SVE are named always, since a function may use them
 * though its file does not: __attribute__((target("+sve"))). */
#define FRINGE_CLOBBERS \
    "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15", "x16", \
    "x17", FRINGE_CLOBBERS_X18 "x19", "x20", "x21", "x22", "x23", "x24", "x25", "x26", "x27", \
    "x28", "x30", \
    "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13", \
    "v14", "v15", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26", \
    "v27", "v28", "v29", "v30", "v31", \
    "p0", "p1", "p2", "p3", "p4", "p5", "p6", "p7", "p8", "p9", "p10", "p11", "p12", "p13", \
    "p14", "p15", "cc", "memory"

/* Naming the frame address makes the compiler keep a frame pointer. */
#define FRINGE_SWITCH_TO_RESUMER(yielder, word, signal) \
    do { \
        register uintptr_t fringe_x0 __asm__("x0") = (uintptr_t)(yielder); \
        register uintptr_t fringe_x1 __asm__("x1"); \
        register uintptr_t fringe_x2 __asm__("x2") = (word); \
        __asm__ volatile(FRINGE_SWITCH \
                         : "+r"(fringe_x0), "=r"(fringe_x1), "+r"(fringe_x2) \
                         : "m"(*(const char *)__builtin_frame_address(0)) \
                         : FRINGE_CLOBBERS); \
        (word) = fringe_x1; \
        (signal) = fringe_x2; \
    } while (0)

#endif
