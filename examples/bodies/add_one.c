/* SPDX-License-Identifier: MIT OR Apache-2.0
 * Credit: after libfringe, by edef and the libfringe contributors
 *
 * Two bodies in C; bodies.zig has the same in Zig. `deno task build` makes both into
 * native/prebuilt/<arch>-<os>/libbodies.so; by hand, on Linux, in the checkout:
 *
 *     cc -O2 -fexceptions -fPIC -shared -I native/include examples/bodies/add_one.c -o libbodies.so
 *
 * -fexceptions, since `__attribute__((cleanup))` in C runs only then when a generator is ended.
 */
#include "fringe.h"

/* { input: "void", output: "i32" }: gives 1, 2, 3, and returns. */
FRINGE_GENERATOR(count, void, int32_t);

void count(fringe_yielder *yielder)
{
    for (int32_t i = 1; i <= 3; i++) count_suspend(yielder, i);
}

/* { input: "i32", output: "i32" }: gives each input plus one, until the input is 0. */
FRINGE_GENERATOR(add_one, int32_t, int32_t);

void add_one(fringe_yielder *yielder, int32_t input)
{
    while (input != 0) input = add_one_suspend(yielder, input + 1);
}
