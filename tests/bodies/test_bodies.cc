// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors
//
// C++ whose objects count their destructions: whatever ends a generator or a call early must
// destroy them. The table in test_bodies.c has the signatures. There is no libstdc++ in Deno's
// process, and these need nothing of it but a personality routine (below).

#include "fringe.h"

namespace {

int32_t destroyed = 0;

struct Counted {
    ~Counted() { destroyed++; }
};

} // namespace

FRINGE_EXPORT int32_t destructor_count() { return destroyed; }

FRINGE_EXPORT void has_destructor(fringe::Yielder<void, int32_t> *yielder)
{
    Counted counted;
    for (int32_t i = 1;; i++) yielder->suspend(i);
}

FRINGE_EXPORT int32_t with_destructor(int32_t (*f)(int32_t))
{
    Counted counted;
    return f(1);
}
