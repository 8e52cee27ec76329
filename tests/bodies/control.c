/* SPDX-License-Identifier: MIT OR Apache-2.0
 * Credit: after libfringe, by edef and the libfringe contributors
 *
 * C that changes the control words of the floating-point units, and C that jumps.
 *
 * Words are one u32: machine.h says what it has.
 *
 *   keeps_words  { u32, i32 }            sets each input as its words; gives 1 if the ones before
 *                                        were still set; the first time, WORDS_DEFAULT
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
#include "machine.h"

#define EXPORT FRINGE_EXPORT

EXPORT uint32_t get_words(void);
uint32_t get_words(void) { return words_now(); }

FRINGE_GENERATOR(keeps_words, uint32_t, int32_t);
void keeps_words(fringe_yielder *yielder, uint32_t input)
{
    uint32_t expected = WORDS_DEFAULT;
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

#ifdef __aarch64__
#ifdef __MACH__
#define FUNCTION(name) ".private_extern _" name "\n_" name ":\n\t"
#else
#define FUNCTION(name) ".hidden " name "\n" name ":\n\t"
#endif
__asm__(".text\n"
        FUNCTION("fringe_test_set_jump")
        "stp x19, x20, [x0, 0]\n\t"
        "stp x21, x22, [x0, 16]\n\t"
        "stp x23, x24, [x0, 32]\n\t"
        "stp x25, x26, [x0, 48]\n\t"
        "stp x27, x28, [x0, 64]\n\t"
        "stp x29, x30, [x0, 80]\n\t"
        "mov x9, sp\n\t"
        "str x9, [x0, 96]\n\t"
        "stp d8, d9, [x0, 104]\n\t"
        "stp d10, d11, [x0, 120]\n\t"
        "stp d12, d13, [x0, 136]\n\t"
        "stp d14, d15, [x0, 152]\n\t"
        "mov x0, 0\n\t"
        "ret\n"
        FUNCTION("fringe_test_jump")
        "ldp x19, x20, [x0, 0]\n\t"
        "ldp x21, x22, [x0, 16]\n\t"
        "ldp x23, x24, [x0, 32]\n\t"
        "ldp x25, x26, [x0, 48]\n\t"
        "ldp x27, x28, [x0, 64]\n\t"
        "ldp x29, x30, [x0, 80]\n\t"
        "ldr x9, [x0, 96]\n\t"
        "mov sp, x9\n\t"
        "ldp d8, d9, [x0, 104]\n\t"
        "ldp d10, d11, [x0, 120]\n\t"
        "ldp d12, d13, [x0, 136]\n\t"
        "ldp d14, d15, [x0, 152]\n\t"
        "mov x0, 1\n\t"
        "ret\n");
#endif

static void *buffer[JUMP_WORDS];

EXPORT int32_t jumps(void);
int32_t jumps(void) { JUMP(buffer); }

/* What f gives, in a variable: its caller must not leave its frame, where a jump goes, to f. */
EXPORT int32_t catches(int32_t (*f)(int32_t));
__attribute__((noinline)) int32_t catches(int32_t (*f)(int32_t))
{
    if (SET_JUMP(buffer)) return 100;
    volatile int32_t answer = f(1);
    return answer;
}

EXPORT int32_t catches_again(int32_t (*volatile f)(int32_t));
__attribute__((noinline)) int32_t catches_again(int32_t (*volatile f)(int32_t))
{
    volatile int32_t answer = SET_JUMP(buffer) ? f(2) : f(1);
    return answer;
}

static __attribute__((noinline)) void jump_after(int32_t (*f)(int32_t), void **own)
{
    f(1);
    JUMP(own);
}

EXPORT int32_t jumps_itself(int32_t (*volatile f)(int32_t));
__attribute__((noinline)) int32_t jumps_itself(int32_t (*volatile f)(int32_t))
{
    void *own[JUMP_WORDS];
    if (SET_JUMP(own)) return 100 + f(2);
    jump_after(f, own);
    return 0;
}

FRINGE_GENERATOR(catches_body, void, int32_t);
void catches_body(fringe_yielder *yielder)
{
    if (SET_JUMP(buffer)) return;
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
        sum += call_on(memory + sizeof memory, f, i);
    }
    for (int i = 0; i < 2048; i++) {
        if (memory[i] != 0xcc) return -1;
    }
    return sum;
}
