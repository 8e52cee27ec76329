/* SPDX-License-Identifier: MIT OR Apache-2.0
 * Credit: after libfringe, by edef and the libfringe contributors
 *
 * A program without libc that is compiled with branch protection, for aarch64: each switch there
 * is, and a thunk, in a process that enforces landing pads and signed return addresses. It exits
 * with 0, or with the number of what went wrong. With ASTRAY it calls what is no landing pad.
 * tests/house/branch_protection_test.ts builds it and runs it. */

#include "fringe.h"

intptr_t fringe_signal(fringe_yielder *, void (*)(fringe_yielder *, uintptr_t), uintptr_t);
void fringe_finish(fringe_yielder *, uintptr_t);
void fringe_call_body(void);
void *fringe_thunk_write(void *data, uint32_t number);
extern char fringe_thunk_table[], fringe_thunk_data[];

/* A thunk keeps errno, of which a program without libc has none. */
int *fringe_errno(void);
int *fringe_errno(void)
{
    static int place;
    return &place;
}

static char stack[16384] __attribute__((aligned(16)));

/* The mailbox of a call; native/layout.zig owns the layout. */
static struct {
    fringe_mailbox mailbox;
    uint64_t output_float, function, results, stack_count, callback_stack, tail, errnos;
    uint64_t integers[8], floats[8], callback_integers[8], callback_floats[8];
} box;

FRINGE_GENERATOR(adds_inline, int32_t, int32_t);
void adds_inline(fringe_yielder *yielder, int32_t input)
{
    for (;;) input = adds_inline_suspend(yielder, input + 1);
}

static void adds(fringe_yielder *yielder, uintptr_t input)
{
    while (input != 0) input = fringe_suspend(yielder, input + 1);
}

static uint64_t calls(uint64_t (*callback)(uint64_t)) { return callback(4) + callback(5); }

static fringe_yielder *begin(void *body, uint64_t input)
{
    box.mailbox.status = FRINGE_SUSPENDED;
    box.mailbox.input = input;
    return fringe_init((uintptr_t)stack + sizeof stack, (void (*)(void))body, &box.mailbox);
}

static long system_call(long number, long a, long b, long c, long d)
{
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = -1;
    register long x5 __asm__("x5") = 0;
    __asm__ volatile("svc 0"
                     : "+r"(x0)
                     : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
                     : "memory");
    return x0;
}

enum { SYS_exit_group = 94 };

static int check_switches(void)
{
    void *const bodies[] = {(void *)adds_inline, (void *)adds};
    for (int i = 0; i < 2; i++) {
        fringe_yielder *const yielder = begin(bodies[i], 1);
        if (fringe_resume(yielder, 0) != 2) return 1;
        if (fringe_resume(yielder, 7) != 8) return 2;
        if (fringe_resume_call(yielder, 9) != 10) return 3;
        /* Words that are not those of the body have to be exchanged: by another switch. */
        __asm__ volatile("msr fpcr, %0" : : "r"(0x400000l));
        if (fringe_resume(yielder, 3) != 4) return 4;
        __asm__ volatile("msr fpcr, xzr");
        /* It is called by its address, as `no_landing_pad` is. */
        fringe_signal(yielder, fringe_finish, FRINGE_ABANDONED);
        if (box.mailbox.status != FRINGE_ABANDONED) return 5;
        if (fringe_resume(yielder, 3) != 0) return 6;
    }
    return 0;
}

static int check_thunk(void)
{
    fringe_thunk_write(fringe_thunk_data, 77);
    box.function = (uint64_t)calls;
    box.integers[0] = (uint64_t)fringe_thunk_table;
    fringe_yielder *const yielder = begin((void *)fringe_call_body, 0);
    for (uint64_t i = 4; i < 6; i++) {
        if (fringe_resume_call(yielder, 0) != 77) return 7;
        if (box.callback_integers[0] != i) return 8;
        box.mailbox.input = i * 10;
    }
    if (fringe_resume_call(yielder, 0) != 0) return 9;
    return box.mailbox.output == 90 ? 0 : 10;
}

#ifdef ASTRAY
void no_landing_pad(void);
__asm__(".text\n"
        "no_landing_pad:\n"
        "    ret\n");
#endif

/* Thread-local variables: they begin 16 bytes above what tpidr_el0 points at. */
static char thread[256] __attribute__((aligned(16)));

__attribute__((noreturn)) void _start(void)
{
    __asm__ volatile("msr tpidr_el0, %0" : : "r"(thread));
#ifdef ASTRAY
    void (*volatile function)(void) = no_landing_pad;
    function();
#endif
    int failure = check_switches();
    if (failure == 0) failure = check_thunk();
    system_call(SYS_exit_group, failure, 0, 0, 0);
    __builtin_unreachable();
}
