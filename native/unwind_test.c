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
