// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

// The loop of bench/native/main.zig for Marc Lehmann's libcoro, whose switch is a function in
// assembly that takes no value along: that lies in a variable.

#include <stdint.h>

#include "coro.h"

static coro_context resumer, body;
static uint32_t passed;

static void add_one(void *argument)
{
    (void)argument;
    for (;;) {
        passed = passed + 1;
        coro_transfer(&body, &resumer);
    }
}

// Resumes a body with 1 to `iterations`, and adds up what comes back. The body is left suspended;
// libcoro has nothing that would have to be ended.
__attribute__((visibility("default")))
uint64_t round_trips(uint32_t iterations)
{
    static _Alignas(16) char stack[1 << 16];
    coro_create(&resumer, 0, 0, 0, 0);
    coro_create(&body, add_one, 0, stack, sizeof stack);
    uint64_t sum = 0;
    for (uint32_t i = 1; i <= iterations; i++) {
        passed = i;
        coro_transfer(&resumer, &body);
        sum += passed;
    }
    return sum;
}
