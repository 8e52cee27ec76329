// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

// A body in C: it gives 0, 1, 2 and so on.

#include "fringe.h"

FRINGE_GENERATOR(count, void, int32_t);

void count(fringe_yielder *yielder)
{
    for (int32_t i = 0;; i++) count_suspend(yielder, i);
}
