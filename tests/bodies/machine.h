/* SPDX-License-Identifier: MIT OR Apache-2.0
 * Credit: after libfringe, by edef and the libfringe contributors
 *
 * What bodies of the tests have to know of an architecture: x86_64 or aarch64. There is no libc. */
#ifndef MACHINE_H
#define MACHINE_H

#include <stddef.h>
#include <stdint.h>

/* Control words of the floating-point units, as one u32: set_words and get_words; WORDS_DEFAULT,
 * which a process begins with, and WORDS_UPWARD, where numbers are rounded upward.
 *
 * SET_JUMP(buffer) and JUMP(buffer): setjmp and longjmp, with a buffer of JUMP_WORDS words.
 *
 * call_on: calls f(argument) on the stack that ends at `top`. */
#ifdef __x86_64__

/* MXCSR's lower half, and the x87 control word above that. */
#define WORDS_DEFAULT 0x037f1f80u
#define WORDS_UPWARD (WORDS_DEFAULT | 0x08004000u)

static inline void set_words(uint32_t words)
{
    uint32_t mxcsr = words & 0xffff;
    uint16_t x87 = (uint16_t)(words >> 16);
    __asm__ volatile("fnclex\n\tldmxcsr %0\n\tfldcw %1" : : "m"(mxcsr), "m"(x87));
}

static inline uint32_t words_now(void)
{
    uint32_t mxcsr;
    uint16_t x87;
    __asm__ volatile("stmxcsr %0\n\tfnstcw %1" : "=m"(mxcsr), "=m"(x87));
    return (mxcsr & 0xffc0) | (uint32_t)x87 << 16;
}

#define JUMP_WORDS 5
#define SET_JUMP(buffer) __builtin_setjmp(buffer)
#define JUMP(buffer) __builtin_longjmp(buffer, 1)

static inline int32_t call_on(void *top, int32_t (*f)(int32_t), int32_t argument)
{
    int32_t answer;
    /* rbx, which f keeps, has the stack pointer meanwhile. */
    __asm__ volatile("mov %%rsp, %%rbx\n\tmov %2, %%rsp\n\tcall *%3\n\tmov %%rbx, %%rsp"
                     : "+D"(argument), "=a"(answer)
                     : "r"(top), "r"(f)
                     : "rbx", "rcx", "rdx", "rsi", "r8", "r9", "r10", "r11", "xmm0", "xmm1", "xmm2",
                       "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11",
                       "xmm12", "xmm13", "xmm14", "xmm15", "cc", "memory");
    return answer;
}

#else

/* FPCR. */
#define WORDS_DEFAULT 0u
#define WORDS_UPWARD 0x00400000u

static inline void set_words(uint32_t words)
{
    __asm__ volatile("msr fpcr, %0" : : "r"((uint64_t)words));
}

static inline uint32_t words_now(void)
{
    uint64_t fpcr;
    __asm__ volatile("mrs %0, fpcr" : "=r"(fpcr));
    return (uint32_t)fpcr;
}

/* clang has no such builtin functions here. What the ABI says of a call is kept: x19 to x30, sp, d8
 * to d15. */
#define JUMP_WORDS 22
int fringe_test_set_jump(void **buffer) __attribute__((returns_twice, visibility("hidden")));
void fringe_test_jump(void **buffer) __attribute__((noreturn, visibility("hidden")));
#define SET_JUMP(buffer) fringe_test_set_jump(buffer)
#define JUMP(buffer) fringe_test_jump(buffer)

static inline int32_t call_on(void *top, int32_t (*f)(int32_t), int32_t argument)
{
    register uintptr_t x0 __asm__("x0") = (uintptr_t)argument;
    /* x19, which f keeps, has the stack pointer meanwhile. */
    __asm__ volatile("mov x19, sp\n\tmov sp, %1\n\tblr %2\n\tmov sp, x19"
                     : "+r"(x0)
                     : "r"(top), "r"(f)
                     : "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12",
                       "x13", "x14", "x15", "x16", "x17", FRINGE_CLOBBERS_X18 "x19", "x30",
                       "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v16", "v17", "v18", "v19",
                       "v20", "v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28", "v29",
                       "v30", "v31", "cc",
                       "memory");
    return (int32_t)x0;
}

#endif

#endif
