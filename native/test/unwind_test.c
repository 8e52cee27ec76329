/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Credit: after libfringe, by edef and the libfringe contributors */

/* For unwind_test.zig: frames with cleanups, which Zig does not have. */

#include <stdint.h>

uintptr_t fringe_suspend(void *yielder, uintptr_t word);

/* The names of the frames that were left, in that order. */
char fringe_test_left[8];

static void leave(const char *name) {
    char *end = fringe_test_left;
    while (*end != 0) end++;
    *end = *name;
}

static void inner(void *yielder) {
    const char name __attribute__((cleanup(leave))) = 'i';
    for (uintptr_t word = 1;; word++) fringe_suspend(yielder, word);
}

void fringe_test_body(void *yielder) {
    const char name __attribute__((cleanup(leave))) = 'o';
    inner(yielder);
}

/* For exception_test.zig: C functions that an exception passes through. */

uint32_t fringe_test_pass(uint32_t (*function)(uint32_t), uint32_t argument) {
    return function(argument) + 1;
}

uint32_t fringe_test_pass_with_cleanup(uint32_t (*function)(uint32_t), uint32_t argument) {
    const char name __attribute__((cleanup(leave))) = 'c';
    return function(argument) + 1;
}
