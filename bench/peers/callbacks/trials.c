// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

/*
 * The C side of the trials: an ordinary library, which knows nothing of who calls it. It writes
 * down what its callbacks did to it, since a peer may lose that on its way to JavaScript.
 */

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <time.h>

#include "trials.h"

#define EXPORT __attribute__((visibility("default")))

/* What the last `visit` has seen. */
static int32_t calls, answers, last, cleanups;

static void clean(const int32_t *unused)
{
    (void)unused;
    cleanups++;
}

EXPORT int32_t sum(int32_t n, callback f)
{
    int32_t result = 0;
    for (int32_t i = 0; i < n; i++) result += f(i);
    return result;
}

/* The same, but a negative answer is the order to stop, and a cleanup runs at the end. */
EXPORT int32_t visit(int32_t n, callback f)
{
    __attribute__((cleanup(clean))) int32_t result = 0;
    calls = 0;
    answers = 0;
    last = 0;
    cleanups = 0;
    for (int32_t i = 0; i < n; i++) {
        calls++;
        last = f(i);
        answers++;
        if (last < 0) break;
        result += last;
    }
    return result;
}

static int32_t releases;

/* Calls f(0), f(1), … until one is negative, and then release(i) for each of them, as C does with
 * what it has opened. */
EXPORT int32_t visit_and_release(int32_t n, callback f, callback release)
{
    int32_t i = 0;
    releases = 0;
    while (i < n && f(i) >= 0) i++;
    while (i > 0) releases += release(--i);
    return releases;
}

static jmp_buf place;

EXPORT int32_t jump(void) { longjmp(place, 1); }

/* What f answers, or 100 if f has called `jump`. */
EXPORT int32_t guarded(callback f)
{
    return setjmp(place) == 0 ? f(0) : 100;
}

EXPORT int32_t fails(void)
{
    errno = 42;
    return -1;
}

/* Uses so many MiB of stack, and returns their number. */
EXPORT int32_t deep(int32_t mebibytes)
{
    volatile char room[mebibytes << 20];
    int32_t pages = 0;
    for (int32_t i = mebibytes << 20; i > 0; i -= 4096) {
        room[i - 1] = 1;
        pages += room[i - 1];
    }
    return pages >> 8;
}

static struct pair shared = {0.5, 41};

EXPORT struct pair *shared_pair(void) { return &shared; }
EXPORT int32_t seen_pair(void) { return shared.id + (int32_t)(2 * shared.x); }

/* What f answers to { 0.5, 41 }. */
EXPORT int32_t call_struct(int32_t (*f)(struct pair))
{
    return f((struct pair){0.5, 41});
}

/* What f answers to 2, behind which are 40 and 1.5. */
EXPORT int32_t call_variadic(int32_t (*f)(int32_t count, ...))
{
    return f(2, 40, 1.5);
}

EXPORT extern int32_t variable;
int32_t variable = 42;

EXPORT int32_t seen_releases(void) { return releases; }
EXPORT int32_t seen_calls(void) { return calls; }
EXPORT int32_t seen_answers(void) { return answers; }
EXPORT int32_t seen_last(void) { return last; }
EXPORT int32_t seen_cleanups(void) { return cleanups; }

static callback kept;

EXPORT void keep(callback f) { kept = f; }
EXPORT int32_t call_kept(int32_t i) { return kept(i); }

/* Computes for some milliseconds, or seems to, and answers what f answers. */
EXPORT int32_t work(int32_t milliseconds, callback f)
{
    nanosleep(&(struct timespec){.tv_nsec = milliseconds * 1000000L}, 0);
    return f(milliseconds);
}

/* What f has answered on the other thread. */
static _Atomic int32_t thread_answer;

static void *run(void *f)
{
    thread_answer = ((callback)f)(7);
    return 0;
}

/* Calls f on another thread, and does not wait for it. */
EXPORT void start_thread(callback f)
{
    pthread_t thread;
    thread_answer = 0;
    if (pthread_create(&thread, 0, run, (void *)f) == 0) pthread_detach(thread);
}

EXPORT int32_t seen_thread_answer(void) { return thread_answer; }
