// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors

// A program in C++ whose return addresses are signed, for aarch64: exceptions leave a body for its
// resumer, through the frames of switch_aarch64.S, whose return addresses the unwinder has to
// check. It exits with how many have arrived.

#include "fringe.h"

#include <cstdlib>

static char stack[65536] __attribute__((aligned(16)));
static fringe_mailbox mailbox;

extern "C" {
intptr_t fringe_signal(fringe_yielder *, void (*)(fringe_yielder *, uintptr_t), uintptr_t);
}

struct Counts {
    ~Counts() { counted++; }
    static int counted;
};
int Counts::counted = 0;

static void throws(fringe_yielder *yielder, uintptr_t)
{
    Counts counts;
    fringe_suspend(yielder, 1);
    throw 7;
}

static void throwSignal(fringe_yielder *, uintptr_t word) { throw static_cast<int>(word); }

template <typename Resume> static bool arrives(Resume resume, int expected)
{
    mailbox.status = FRINGE_SUSPENDED;
    fringe_yielder *const yielder = fringe_init(reinterpret_cast<uintptr_t>(stack) + sizeof stack,
                                                reinterpret_cast<void (*)(void)>(throws), &mailbox);
    if (fringe_resume(yielder, 0) != 1) return false;
    try {
        resume(yielder);
    } catch (int number) {
        return number == expected;
    }
    return false;
}

int main()
{
    int arrived = 0;
    arrived += arrives([](fringe_yielder *yielder) { fringe_resume(yielder, 0); }, 7);
    arrived += arrives([](fringe_yielder *yielder) { fringe_resume_call(yielder, 0); }, 7);
    // Out of fringe_suspend, which is signed, too.
    arrived += arrives([](fringe_yielder *yielder) { fringe_signal(yielder, throwSignal, 9); }, 9);
    return Counts::counted == 3 ? arrived : 100;
}
