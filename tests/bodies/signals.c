/* SPDX-License-Identifier: MIT OR Apache-2.0
 * Credit: after libfringe, by edef and the libfringe contributors
 *
 * Timers that send SIGPROF and SIGALRM to the thread that starts them, and handlers that leave
 * nothing as it was but what the ABI says. There is no libc, so it asks the system itself.
 *
 *   i32   start_signals(i32 on_alternate_stack, usize limit, usize base)
 *                                          10,000 of each a second; 0, or an errno below 0
 *   void  stop_signals()
 *   i32   signals_seen(i32 signal)         since they were started; 0: those that have interrupted
 *                                          what runs on the stack from limit to base
 *   i32   send_alarms(i32 start)           SIGALRM alone, to whoever handles it; or no more
 *   i32   handle_faults()                  puts a handler of SIGSEGV on top of what there is, on no
 *                                          stack of its own, as a JVM does; 0, or an errno below 0.
 *                                          It passes all faults on
 *   i32   faults_handled()                 how often it has been called
 */
#include "fringe.h"

#define EXPORT FRINGE_EXPORT

enum { SIGSEGV = 11, SIGALRM = 14, SIGPROF = 27 };
enum { SA_SIGINFO = 4, SA_RESTORER = 0x04000000, SA_ONSTACK = 0x08000000, SA_RESTART = 0x10000000 };
enum { CLOCK_MONOTONIC = 1, SIGEV_THREAD_ID = 4 };
#ifdef __x86_64__
enum { SYS_rt_sigaction = 13, SYS_gettid = 186, SYS_timer_create = 222, SYS_timer_settime = 223,
       SYS_timer_delete = 226 };
/* struct ucontext: after two words and the alternate stack, r8 to r15, then seven more. */
enum { STACK_POINTER = 5 + 15 };
enum { SLOWNESS = 1 };
#else
enum { SYS_rt_sigaction = 134, SYS_gettid = 178, SYS_timer_create = 107, SYS_timer_settime = 110,
       SYS_timer_delete = 111 };
/* After the same, the mask, 128 bytes long, and padding: the address of a fault, x0 to x30. */
enum { STACK_POINTER = 22 + 1 + 31 };
/* It is emulated as a rule, and would do nothing but handle signals. */
enum { SLOWNESS = 50 };
#endif

/* As the system has them, which is not as libc has them. */
struct action {
    void (*handler)(int signal, void *information, void *context);
    unsigned long flags;
    void (*restorer)(void);
    unsigned long mask;
};
struct event {
    long value;
    int signal, notify, thread;
    int padding[11];
};
struct interval {
    long every_s, every_ns, first_s, first_ns;
};

#ifdef __x86_64__
static long system_call(long number, long a, long b, long c, long d)
{
    long result;
    register long r10 __asm__("r10") = d;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10)
                     : "rcx", "r11", "memory");
    return result;
}

/* Returns from a handler. */
void fringe_test_restorer(void);
__asm__(".hidden fringe_test_restorer\n"
        "fringe_test_restorer:\n"
        "    mov $15, %eax\n" /* rt_sigreturn */
        "    syscall\n");
#else
static long system_call(long number, long a, long b, long c, long d)
{
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
    return x0;
}

void fringe_test_restorer(void);
__asm__(".hidden fringe_test_restorer\n"
        "fringe_test_restorer:\n"
        "    mov x8, 139\n" /* rt_sigreturn */
        "    svc 0\n");
#endif

static volatile int32_t alarms, profiles, on_stack;
static volatile uintptr_t watched_limit, watched_base;

static void on_signal(int signal, void *information, void *context)
{
    (void)information;
    if (signal == SIGPROF) profiles++;
    else alarms++;
    const uintptr_t sp = ((uintptr_t *)context)[STACK_POINTER];
    if (watched_limit <= sp && sp < watched_base) on_stack++;
    /* What lies below the red zone of what was interrupted is nobody's; the system has written
     * there itself unless this runs on the alternate stack. */
    volatile unsigned char *const here = __builtin_frame_address(0);
    if ((uintptr_t)here > sp || sp - (uintptr_t)here > 16384) {
        for (uintptr_t i = 1; i <= 512; i++) ((volatile unsigned char *)sp - 128)[-i] = 0xaa;
    }
#ifdef __x86_64__
    __asm__ volatile("pcmpeqd %%xmm0, %%xmm0\n"
                     "pcmpeqd %%xmm1, %%xmm1\n"
                     "pcmpeqd %%xmm7, %%xmm7\n"
                     "pcmpeqd %%xmm15, %%xmm15\n"
                     "mov $-1, %%rax\n"
                     "mov $-1, %%rcx\n"
                     "mov $-1, %%rdx\n"
                     "mov $-1, %%rsi\n"
                     "mov $-1, %%rdi\n"
                     "mov $-1, %%r8\n"
                     "mov $-1, %%r9\n"
                     "mov $-1, %%r10\n"
                     "mov $-1, %%r11\n" ::
                         : "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "xmm0",
                           "xmm1", "xmm7", "xmm15", "cc");
#else
    __asm__ volatile("movi v0.2d, 0xffffffffffffffff\n"
                     "movi v7.2d, 0xffffffffffffffff\n"
                     "movi v8.2d, 0xffffffffffffffff\n"
                     "movi v31.2d, 0xffffffffffffffff\n"
                     "mov x0, -1\n"
                     "mov x1, -1\n"
                     "mov x2, -1\n"
                     "mov x9, -1\n"
                     "mov x10, -1\n"
                     "mov x11, -1\n"
                     "mov x16, -1\n"
                     "mov x17, -1\n" ::
                         : "x0", "x1", "x2", "x9", "x10", "x11", "x16", "x17", "v0", "v7", "v8",
                           "v31", "cc");
#endif
}

static struct action old_actions[2];
static int timers[2];
static const int signals[2] = {SIGPROF, SIGALRM};

static long start_timer(int signal, long interval_ns, int *timer)
{
    struct event event = {.signal = signal, .notify = SIGEV_THREAD_ID};
    event.thread = (int)system_call(SYS_gettid, 0, 0, 0, 0);
    const long failure =
        system_call(SYS_timer_create, CLOCK_MONOTONIC, (long)&event, (long)timer, 0);
    if (failure) return failure;
    const struct interval interval = {0, interval_ns, 0, interval_ns};
    return system_call(SYS_timer_settime, *timer, 0, (long)&interval, 0);
}

EXPORT int32_t start_signals(int32_t on_alternate_stack, uintptr_t limit, uintptr_t base);
int32_t start_signals(int32_t on_alternate_stack, uintptr_t limit, uintptr_t base)
{
    alarms = profiles = on_stack = 0;
    watched_limit = limit;
    watched_base = base;
    struct action action = {.handler = on_signal, .restorer = fringe_test_restorer};
    action.flags = SA_SIGINFO | SA_RESTORER | SA_RESTART;
    if (on_alternate_stack) action.flags |= SA_ONSTACK;
    /* One at a time, for both frames would be more than the alternate stack of Deno holds. */
    action.mask = 1ul << (SIGPROF - 1) | 1ul << (SIGALRM - 1);
    for (int i = 0; i < 2; i++) {
        long failure = system_call(SYS_rt_sigaction, signals[i], (long)&action,
                                   (long)&old_actions[i], sizeof action.mask);
        const long interval = SLOWNESS * (i ? 97000 : 100000);
        if (!failure) failure = start_timer(signals[i], interval, &timers[i]);
        if (failure) return (int32_t)failure;
    }
    return 0;
}

EXPORT void stop_signals(void);
void stop_signals(void)
{
    for (int i = 0; i < 2; i++) {
        system_call(SYS_timer_delete, timers[i], 0, 0, 0);
        system_call(SYS_rt_sigaction, signals[i], (long)&old_actions[i], 0, sizeof(long));
    }
}

EXPORT int32_t signals_seen(int32_t signal);
int32_t signals_seen(int32_t signal)
{
    return signal == SIGPROF ? profiles : signal == SIGALRM ? alarms : on_stack;
}

EXPORT int32_t send_alarms(int32_t start);
int32_t send_alarms(int32_t start)
{
    if (start) return (int32_t)start_timer(SIGALRM, SLOWNESS * 100000, &timers[1]);
    return (int32_t)system_call(SYS_timer_delete, timers[1], 0, 0, 0);
}

static struct action faults_before;
static volatile int32_t faults;

static void on_fault(int signal, void *information, void *context)
{
    faults++;
    if (faults_before.handler) faults_before.handler(signal, information, context);
}

EXPORT int32_t handle_faults(void);
int32_t handle_faults(void)
{
    struct action action = {.handler = on_fault, .restorer = fringe_test_restorer};
    action.flags = SA_SIGINFO | SA_RESTORER | SA_RESTART;
    return (int32_t)system_call(SYS_rt_sigaction, SIGSEGV, (long)&action, (long)&faults_before,
                                sizeof action.mask);
}

EXPORT int32_t faults_handled(void);
int32_t faults_handled(void) { return faults; }
