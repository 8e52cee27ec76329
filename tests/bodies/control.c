/* SPDX-License-Identifier: MIT OR Apache-2.0
 * Credit: after libfringe, by edef and the libfringe contributors
 *
 * C that changes the control words of the floating-point units, and C that jumps.
 *
 * Words are one u32: MXCSR's lower half, and the x87 control word above that.
 *
 *   keeps_words  { u32, i32 }            sets each input as its words; gives 1 if the ones before
 *                                        were still set, the first time if they were 0x037f1f80
 *   i32   with_words(u32 words, i32 leaves, i32 f(i32))
 *                                        sets the words, calls f(0), f(1), f(2); puts back what
 *                                        it found, unless it `leaves` them; in how many of the
 *                                        three times its words were there when f had returned
 *   u32   get_words()                    the words of now
 *
 *   i32   catches(i32 f(i32))            f(1); or 100, when jumps() has brought it back here
 *   i32   catches_again(i32 f(i32))      the same, but then f(2)
 *   i32   jumps()                        to the last catches() or catches_again()
 *   i32   jumps_itself(i32 f(i32))       calls f(1), jumps to itself, and gives 100 + f(2)
 *   catches_body { void, i32 }           suspends with 1; returns when jumps() has brought it back
 *   i32   resumes_one(i32 f(i32))        f(1) + f(2), each called by the body of a generator that
 *                                        this function resumes
 *   i32   on_small_stack(i32 f(i32))     f(1) + f(2), each called on a stack of 2 KiB; or -1, if
 *                                        anything was written below that
 */
#include "fringe.h"

#define EXPORT FRINGE_EXPORT

static void set_words(uint32_t words)
{
    uint32_t mxcsr = words & 0xffff;
    uint16_t x87 = (uint16_t)(words >> 16);
    __asm__ volatile("fnclex\n\tldmxcsr %0\n\tfldcw %1" : : "m"(mxcsr), "m"(x87));
}

EXPORT uint32_t get_words(void);
uint32_t get_words(void)
{
    uint32_t mxcsr;
    uint16_t x87;
    __asm__ volatile("stmxcsr %0\n\tfnstcw %1" : "=m"(mxcsr), "=m"(x87));
    return (mxcsr & 0xffc0) | (uint32_t)x87 << 16;
}

FRINGE_GENERATOR(keeps_words, uint32_t, int32_t);
void keeps_words(fringe_yielder *yielder, uint32_t input)
{
    uint32_t expected = 0x037f1f80;
    for (;;) {
        int32_t found = get_words() == expected;
        set_words(input);
        expected = input;
        input = keeps_words_suspend(yielder, found);
    }
}

EXPORT int32_t with_words(uint32_t words, int32_t leaves, int32_t (*f)(int32_t));
int32_t with_words(uint32_t words, int32_t leaves, int32_t (*f)(int32_t))
{
    uint32_t before = get_words();
    int32_t found = 0;
    for (int32_t i = 0; i < 3; i++) {
        set_words(words);
        f(i);
        found += get_words() == words;
    }
    if (!leaves) set_words(before);
    return found;
}

static void *buffer[5];

EXPORT int32_t jumps(void);
int32_t jumps(void) { __builtin_longjmp(buffer, 1); }

EXPORT int32_t catches(int32_t (*f)(int32_t));
__attribute__((noinline)) int32_t catches(int32_t (*f)(int32_t))
{
    if (__builtin_setjmp(buffer)) return 100;
    return f(1);
}

EXPORT int32_t catches_again(int32_t (*volatile f)(int32_t));
__attribute__((noinline)) int32_t catches_again(int32_t (*volatile f)(int32_t))
{
    if (__builtin_setjmp(buffer)) return f(2);
    return f(1);
}

static __attribute__((noinline)) void jump_after(int32_t (*f)(int32_t), void **own)
{
    f(1);
    __builtin_longjmp(own, 1);
}

EXPORT int32_t jumps_itself(int32_t (*volatile f)(int32_t));
__attribute__((noinline)) int32_t jumps_itself(int32_t (*volatile f)(int32_t))
{
    void *own[5];
    if (__builtin_setjmp(own)) return 100 + f(2);
    jump_after(f, own);
    return 0;
}

FRINGE_GENERATOR(catches_body, void, int32_t);
void catches_body(fringe_yielder *yielder)
{
    if (__builtin_setjmp(buffer)) return;
    catches_body_suspend(yielder, 1);
}

static void calls_twice(fringe_yielder *yielder, int32_t (*f)(int32_t))
{
    fringe_suspend(yielder, (uintptr_t)f(1));
    fringe_suspend(yielder, (uintptr_t)f(2));
}

EXPORT int32_t resumes_one(int32_t (*f)(int32_t));
int32_t resumes_one(int32_t (*f)(int32_t))
{
    static char stack[16384] __attribute__((aligned(16)));
    fringe_mailbox mailbox = {FRINGE_SUSPENDED, (uintptr_t)f, 0};
    fringe_yielder *inner =
        fringe_init((uintptr_t)stack + sizeof stack, (void (*)(void))calls_twice, &mailbox);
    int32_t sum = (int32_t)fringe_resume(inner, 0);
    sum += (int32_t)fringe_resume(inner, 0);
    fringe_resume(inner, 0);
    return mailbox.status == FRINGE_RETURNED ? sum : -1;
}

EXPORT int32_t on_small_stack(int32_t (*f)(int32_t));
int32_t on_small_stack(int32_t (*f)(int32_t))
{
    static unsigned char memory[4096] __attribute__((aligned(4096)));
    for (int i = 0; i < 2048; i++) memory[i] = 0xcc;
    int32_t sum = 0;
    for (int32_t i = 1; i <= 2; i++) {
        int32_t argument = i, answer;
        void *top = memory + sizeof memory;
        /* rbx, which f keeps, has the stack pointer meanwhile. */
        __asm__ volatile("mov %%rsp, %%rbx\n\tmov %2, %%rsp\n\tcall *%3\n\tmov %%rbx, %%rsp"
                         : "+D"(argument), "=a"(answer)
                         : "r"(top), "r"(f)
                         : "rbx", "rcx", "rdx", "rsi", "r8", "r9", "r10", "r11", "xmm0",
                           "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9",
                           "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "cc", "memory");
        sum += answer;
    }
    for (int i = 0; i < 2048; i++) {
        if (memory[i] != 0xcc) return -1;
    }
    return sum;
}
