/* SPDX-License-Identifier: MIT OR Apache-2.0
 * Credit: after libfringe, by edef and the libfringe contributors
 *
 * Nested functions of GNU C, whose addresses are taken: gcc writes instructions to the stack for
 * each, and marks the library as one that needs executable stacks. executable_stack_test.ts
 * compiles it, since clang has no nested functions.
 */
#include "fringe.h"

#include <stdlib.h>

typedef int32_t order_function(int32_t, int32_t);

/* Sorts by a callback, and returns how often that was called. */
FRINGE_EXPORT int32_t sort_nested(int32_t *numbers, size_t count, order_function *order);
int32_t sort_nested(int32_t *numbers, size_t count, order_function *order)
{
    int32_t calls = 0;
    int compare(const void *a, const void *b)
    {
        calls++;
        return order(*(const int32_t *)a, *(const int32_t *)b);
    }
    qsort(numbers, count, sizeof *numbers, compare);
    return calls;
}

__attribute__((noipa)) static void repeat(int32_t times, void (*function)(int32_t))
{
    for (int32_t i = 0; i < times; i++) function(i);
}

/* Suspends in a nested function, so many times. */
FRINGE_GENERATOR(counts_nested, int32_t, int32_t);
void counts_nested(fringe_yielder *yielder, int32_t times)
{
    int32_t sum = 0;
    void count(int32_t i)
    {
        sum += i;
        counts_nested_suspend(yielder, sum);
    }
    repeat(times, count);
}

/* Needs no nested function; returns how many bytes of its stack it has used, at least. */
FRINGE_EXPORT int32_t use_stack(int32_t bytes);
int32_t use_stack(int32_t bytes)
{
    volatile char frame[1024];
    frame[0] = 0;
    return bytes <= 0 ? frame[0] : 1024 + use_stack(bytes - 1024) + frame[0];
}
