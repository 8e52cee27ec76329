/* SPDX-License-Identifier: MIT OR Apache-2.0
 * Credit: after libfringe, by edef and the libfringe contributors
 *
 * Handlers of signals that call a callback. signals_test.ts compiles it, since it needs libc.
 */
#define _GNU_SOURCE
#include "fringe.h"

#include <pthread.h>
#include <signal.h>
#include <stddef.h>

typedef int32_t callback(int32_t);

static callback *called;
static volatile int32_t answer, cleanups;

/* libc's, which it declares as one that nothing is thrown through. */
static int (*volatile send)(int) = raise;

static void clean_up(const int32_t *argument)
{
    (void)argument;
    cleanups++;
}

static void on_signal(int signal)
{
    __attribute__((cleanup(clean_up))) int32_t held = 0;
    answer = called(signal) + held;
}

static void on_outer(int signal)
{
    (void)signal;
    __attribute__((cleanup(clean_up))) int32_t held = 0;
    send(SIGUSR1);
    answer += held;
}

static void handle(int signal, void (*handler)(int), int flags, struct sigaction *old)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    /* Blocked meanwhile, besides the signal itself. */
    sigaddset(&action.sa_mask, SIGURG);
    sigaction(signal, &action, old);
}

/* Raises a signal, whose handler calls back, and returns what the callback answers. */
FRINGE_EXPORT int32_t call_in_handler(callback *callback, int32_t on_alternate_stack);
int32_t call_in_handler(callback *callback, int32_t on_alternate_stack)
{
    called = callback;
    struct sigaction old;
    handle(SIGUSR1, on_signal, on_alternate_stack ? SA_ONSTACK : 0, &old);
    send(SIGUSR1);
    sigaction(SIGUSR1, &old, NULL);
    return answer;
}

/* The same in a handler that is called in another one, of SIGUSR2. */
FRINGE_EXPORT int32_t call_in_two_handlers(callback *callback);
int32_t call_in_two_handlers(callback *callback)
{
    called = callback;
    struct sigaction old[2];
    handle(SIGUSR1, on_signal, 0, &old[0]);
    handle(SIGUSR2, on_outer, 0, &old[1]);
    send(SIGUSR2);
    sigaction(SIGUSR1, &old[0], NULL);
    sigaction(SIGUSR2, &old[1], NULL);
    return answer;
}

/* Blocks a signal, or lets it through; returns whether it was blocked. */
FRINGE_EXPORT int32_t block(int32_t signal, int32_t is_blocked);
int32_t block(int32_t signal, int32_t is_blocked)
{
    sigset_t set, old;
    sigemptyset(&set);
    sigaddset(&set, signal);
    pthread_sigmask(is_blocked ? SIG_BLOCK : SIG_UNBLOCK, &set, &old);
    return sigismember(&old, signal);
}

/* Whether a signal is blocked. */
FRINGE_EXPORT int32_t is_blocked(int32_t signal);
int32_t is_blocked(int32_t signal)
{
    sigset_t set;
    pthread_sigmask(SIG_BLOCK, NULL, &set);
    return sigismember(&set, signal);
}

/* How many handlers have been left. */
FRINGE_EXPORT int32_t handlers_left(void);
int32_t handlers_left(void) { return cleanups; }
