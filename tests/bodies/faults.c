/* SPDX-License-Identifier: MIT OR Apache-2.0
 * Credit: after libfringe, by edef and the libfringe contributors
 *
 * Makes system calls fail that a library makes, one by one, in the very file that is shipped, and
 * leaves all others alone, such as those of V8 in the same process. A seccomp filter stops calls by
 * the address that they come from; the handler of SIGSYS then refuses a call, or makes it itself.
 * faults.ts is how tests use it. For x86_64, and without libc; elsewhere faults_probe says that
 * there is no such thing, as emulators do (qemu-user).
 *
 *   i32  faults_probe()                      0: it works here; else the system's error, negative
 *   i32  faults_watch(u64 start, u64 size)   from now on, on this thread, watches the calls for
 *                                            memory, and of memory, and those that open files,
 *                                            that come from this range of addresses
 *   i32  faults_watch_file()                 the same for the calls, wherever they come from, that
 *                                            make a file in memory for fringe, and write it
 *   void faults_refuse(i32 number, i32 first, i32 count, i64 result)
 *                                            of the calls with this number, counted from 0 from now
 *                                            on, those from the first on give the result; a write
 *                                            writes so many bytes, where it is positive
 *   i32  faults_seen(i32 number)             how many of those there have been
 *   i64  faults_mapped()                     bytes mapped minus bytes unmapped, so far
 */
#include "fringe.h"

#define EXPORT FRINGE_EXPORT

/* asm/unistd_64.h */
enum {
    CALL_WRITE = 1,
    CALL_OPEN = 2,
    CALL_MMAP = 9,
    CALL_MPROTECT = 10,
    CALL_MUNMAP = 11,
    CALL_RT_SIGACTION = 13,
    CALL_MADVISE = 28,
    CALL_PRCTL = 157,
    CALL_PROCESS_VM_READV = 310,
    CALL_MEMFD_CREATE = 319,
    CALL_PROCESS_MADVISE = 440,
    CALL_COUNT = 512,
};

#ifdef __x86_64__
/* Makes a system call. It is the only one here, so that the filters know it by its address. */
__attribute__((noinline)) static int64_t
call(int64_t number, int64_t a, int64_t b, int64_t c, int64_t d, int64_t e, int64_t f)
{
    register int64_t r10 __asm__("r10") = d;
    register int64_t r8 __asm__("r8") = e;
    register int64_t r9 __asm__("r9") = f;
    __asm__ volatile("syscall\n"
                     ".globl faults_called\n"
                     ".hidden faults_called\n"
                     "faults_called:"
                     : "+a"(number)
                     : "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return number;
}

/* The address behind it, which is what a filter sees. */
extern const char faults_called[];

#else
static int64_t
call(int64_t number, int64_t a, int64_t b, int64_t c, int64_t d, int64_t e, int64_t f)
{
    (void)number, (void)a, (void)b, (void)c, (void)d, (void)e, (void)f;
    return -38; /* ENOSYS */
}
static const char faults_called[1];
#endif

/* What is refused, by the number of the call. */
static struct {
    int32_t first;
    int32_t count;
    int64_t result;
    int32_t seen;
} plans[CALL_COUNT];

/* What is watched. */
static struct {
    uint64_t start;
    uint64_t size;
} ranges[4];
static size_t range_count;
static int64_t file = -1;

static int64_t mapped;

EXPORT void faults_refuse(int32_t number, int32_t first, int32_t count, int64_t result);
void faults_refuse(int32_t number, int32_t first, int32_t count, int64_t result)
{
    plans[number].first = first;
    plans[number].count = count;
    plans[number].result = result;
    plans[number].seen = 0;
}

EXPORT int32_t faults_seen(int32_t number);
int32_t faults_seen(int32_t number) { return plans[number].seen; }

EXPORT int64_t faults_mapped(void);
int64_t faults_mapped(void) { return mapped; }

/* The signal */

/* siginfo_t, as the kernel fills it for SIGSYS. */
struct trap {
    int32_t signal, error, code, padding;
    uint64_t address;
    int32_t number;
    uint32_t architecture;
};

/* ucontext_t, as far as the general registers. */
struct context {
    uint64_t flags, link, stack[3];
    int64_t r8, r9, r10, r11, r12, r13, r14, r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip;
};

/* Whether it is a name that fringe gives its file. */
static int is_fringe(const char *name)
{
    static const char fringe[] = "fringe-";
    for (size_t i = 0; i < sizeof fringe - 1; i++) {
        if (name[i] != fringe[i]) return 0;
    }
    return 1;
}

/* A filter knows the lower half of an address only. */
static int is_watched(const struct trap *trap, const struct context *context)
{
    for (size_t i = 0; i < range_count; i++) {
        if (trap->address - ranges[i].start < ranges[i].size) return 1;
    }
    if (trap->number == CALL_MEMFD_CREATE) return is_fringe((const char *)context->rdi);
    return trap->number == CALL_WRITE && context->rdi == file;
}

static void on_trap(int32_t signal, const struct trap *trap, struct context *context)
{
    (void)signal;
    const int32_t number = trap->number;
    const int watched = is_watched(trap, context);
    if (watched) {
        const int32_t seen = plans[number].seen++;
        const int32_t first = plans[number].first;
        if (seen >= first && seen - first < plans[number].count) {
            context->rax = plans[number].result;
            if (number != CALL_WRITE || context->rax < 0) return;
            context->rdx = context->rax;
        }
    }
    context->rax = call(number, context->rdi, context->rsi, context->rdx, context->r10,
                        context->r8, context->r9);
    if (!watched || context->rax < 0) return;
    /* What is mapped in place of other memory has been counted. */
    const int64_t MAP_FIXED = 0x10;
    if (number == CALL_MMAP && (context->r10 & MAP_FIXED) == 0) mapped += context->rsi;
    if (number == CALL_MUNMAP) mapped -= context->rsi;
    if (number == CALL_MEMFD_CREATE) file = context->rax;
}

/* How the kernel comes back from a handler. */
#ifdef __x86_64__
__asm__(".text\n"
        ".hidden faults_restore\n"
        "faults_restore:\n\t"
        "mov $15, %eax\n\t" /* rt_sigreturn */
        "syscall\n");
extern void faults_restore(void);
#else
static void faults_restore(void) {}
#endif

/* linux/filter.h, linux/seccomp.h, linux/prctl.h */
struct instruction {
    uint16_t code;
    uint8_t if_true, if_false;
    uint32_t operand;
};
struct program {
    uint16_t length;
    const struct instruction *instructions;
};
#define LOAD(offset) {0x20, 0, 0, offset}
#define SUBTRACT(number) {0x14, 0, 0, number}
#define IF_EQUAL(number, if_true, if_false) {0x15, if_true, if_false, number}
#define IF_LESS(number, if_true, if_false) {0x35, if_false, if_true, number}
#define ALLOW {0x06, 0, 0, 0x7fff0000}
#define TRAP {0x06, 0, 0, 0x00030000}
#define NUMBER 0
#define ADDRESS 8
#define PR_SET_SECCOMP 22
#define PR_SET_NO_NEW_PRIVS 38
#define SECCOMP_MODE_FILTER 2

EXPORT int32_t faults_probe(void);
int32_t faults_probe(void)
{
    /* Where it works, the kernel looks for the program first: there is none at address 0. */
    const int64_t result = call(CALL_PRCTL, PR_SET_SECCOMP, SECCOMP_MODE_FILTER, 0, 0, 0, 0);
    return result == -14 /* EFAULT */ ? 0 : (int32_t)result;
}

static int32_t install(const struct instruction *instructions, uint16_t length)
{
    const struct program program = {length, instructions};
    const struct {
        void (*handler)(int32_t, const struct trap *, struct context *);
        uint64_t flags;
        void (*restorer)(void);
        uint64_t mask;
    } action = {on_trap, 0x04000004 /* SA_SIGINFO, SA_RESTORER */, faults_restore, 0};
    int64_t result = call(CALL_RT_SIGACTION, 31 /* SIGSYS */, (int64_t)&action, 0, 8, 0, 0);
    if (result == 0) result = call(CALL_PRCTL, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0);
    if (result != 0) return (int32_t)result;
    return (int32_t)call(CALL_PRCTL, PR_SET_SECCOMP, SECCOMP_MODE_FILTER, (int64_t)&program, 0, 0,
                         0);
}

EXPORT int32_t faults_watch(uint64_t start, uint64_t size);
int32_t faults_watch(uint64_t start, uint64_t size)
{
    const struct instruction instructions[] = {
        LOAD(ADDRESS),
        SUBTRACT((uint32_t)start),
        IF_LESS((uint32_t)size, 0, 8),
        LOAD(NUMBER),
        IF_EQUAL(CALL_OPEN, 7, 0),
        IF_EQUAL(CALL_MMAP, 6, 0),
        IF_EQUAL(CALL_MPROTECT, 5, 0),
        IF_EQUAL(CALL_MUNMAP, 4, 0),
        IF_EQUAL(CALL_MADVISE, 3, 0),
        IF_EQUAL(CALL_PROCESS_VM_READV, 2, 0),
        IF_EQUAL(CALL_PROCESS_MADVISE, 1, 0),
        ALLOW,
        TRAP,
    };
    if (range_count == sizeof ranges / sizeof ranges[0]) return -12; /* ENOMEM */
    ranges[range_count].start = start;
    ranges[range_count++].size = size;
    return install(instructions, sizeof instructions / sizeof instructions[0]);
}

EXPORT int32_t faults_watch_file(void);
int32_t faults_watch_file(void)
{
    const struct instruction instructions[] = {
        LOAD(ADDRESS),
        IF_EQUAL((uint32_t)(uintptr_t)faults_called, 3, 0),
        LOAD(NUMBER),
        IF_EQUAL(CALL_MEMFD_CREATE, 2, 0),
        IF_EQUAL(CALL_WRITE, 1, 0),
        ALLOW,
        TRAP,
    };
    return install(instructions, sizeof instructions / sizeof instructions[0]);
}
