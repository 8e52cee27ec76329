/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Credit: after libfringe, by edef and the libfringe contributors */

/* For unwind_test.zig: frames with cleanups, which Zig does not have. */

#include <pthread.h>
#include "fringe.h"

/* The names of the frames that were left, in that order. */
char fringe_test_left[8];

static void leave(const char *name) {
    char *end = fringe_test_left;
    while (*end != 0) end++;
    *end = *name;
}

static void inner(fringe_yielder *yielder) {
    const char name __attribute__((cleanup(leave))) = 'i';
    for (uintptr_t word = 1;; word++) fringe_suspend(yielder, word);
}

void fringe_test_body(fringe_yielder *yielder) {
    const char name __attribute__((cleanup(leave))) = 'o';
    inner(yielder);
}

/* A function with a callback, which is called in a generator, in a generator of that... */
struct fringe_test_nest {
    void (*callback)(void);
    uintptr_t (*resume)(fringe_yielder *yielder, uintptr_t word);
    uint32_t depth;
    /* Of the generator that is to be resumed next. */
    uint32_t level;
    fringe_yielder *yielders[3];
};

void fringe_test_nest(struct fringe_test_nest *nest) {
    const char name __attribute__((cleanup(leave))) = (char)('0' + nest->level);
    if (nest->level == nest->depth) {
        nest->callback();
        nest->callback();
        nest->level = 9;
    } else {
        fringe_yielder *const yielder = nest->yielders[nest->level++];
        nest->resume(yielder, 0);
    }
}

void fringe_test_nest_body(fringe_yielder *yielder, struct fringe_test_nest *nest) {
    fringe_test_nest(nest);
    fringe_suspend(yielder, 1);
}

/* Functions that run on a small stack. */
void fringe_test_call(void (*callback)(void)) {
    callback();
    fringe_test_left[0] = '!';
}

void fringe_test_call_with_cleanup(void (*callback)(void)) {
    const char name __attribute__((cleanup(leave))) = 's';
    callback();
}

/* Calls one of them on it. */
struct fringe_test_call_on {
    void (*function)(void (*)(void));
    void (*callback)(void);
    void *stack;
    void (*call_on)(void (*)(void (*)(void)), void (*)(void), void *stack);
};

void fringe_test_call_on(struct fringe_test_call_on *call) {
    const char name __attribute__((cleanup(leave))) = 'o';
    call->call_on(call->function, call->callback, call->stack);
}

/* For exception_test.zig: C functions that an exception passes through. */

uint32_t fringe_test_pass(uint32_t (*function)(uint32_t), uint32_t argument) {
    return function(argument) + 1;
}

uint32_t fringe_test_pass_with_cleanup(uint32_t (*function)(uint32_t), uint32_t argument) {
    const char name __attribute__((cleanup(leave))) = 'c';
    return function(argument) + 1;
}

/* What threads.zig names weakly. Of an archive, such as musl's libc, a program gets what somebody
   needs. */
const void *const fringe_test_needed[] = {
    (const void *)pthread_create,      (const void *)pthread_join,
    (const void *)pthread_attr_init,   (const void *)pthread_attr_setstack,
    (const void *)pthread_key_create,  (const void *)pthread_getspecific,
    (const void *)pthread_setspecific,
};
