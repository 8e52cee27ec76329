// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors
//
// For sanitizer_test.zig: bodies that AddressSanitizer watches, and what it is to see in them.

#include "fringe.h"

namespace {

using Yielder = fringe::Yielder<uint32_t, uint32_t>;

/// Makes the compiler believe that somebody else uses what lies there.
void use(const volatile void *pointer) { __asm__ volatile("" : : "r"(pointer) : "memory"); }

int *kept;

__attribute__((noinline)) void keep_a_local()
{
    int local = 1;
    kept = &local;
    use(kept);
}

/// So large a frame is kept where it is, not on a fake stack.
constexpr uint32_t large = 100000;

__attribute__((noinline)) uint32_t throw_behind_a_large_frame(uint32_t number)
{
    volatile char array[large];
    array[0] = 1;
    use(array);
    if (number > 0) throw number;
    return static_cast<uint32_t>(array[0]);
}

uint32_t catch_behind_a_large_frame(uint32_t number)
{
    try {
        return throw_behind_a_large_frame(number);
    } catch (uint32_t caught) {
        return caught;
    }
}

} // namespace

extern "C" {

/// Writes over an array's end if it is told to, after it has suspended.
void fringe_test_overflows(Yielder *yielder, uint32_t)
{
    volatile char array[16];
    use(array);
    const uint32_t index = yielder->suspend(1);
    array[index] = 1;
    yielder->suspend(2);
}

/// Reads what a function that has returned had on its stack, after it has suspended.
void fringe_test_reads_what_has_returned(Yielder *yielder, uint32_t)
{
    keep_a_local();
    yielder->suspend(1);
    yielder->suspend(static_cast<uint32_t>(*kept));
}

/// Has numbers on its stack while it is suspended; gives their sum.
void fringe_test_has_locals(Yielder *yielder, uint32_t first)
{
    volatile uint32_t numbers[8] = {first, 1, 1, 1, 1, 1, 1, 1};
    use(numbers);
    for (;;) {
        uint32_t sum = 0;
        for (uint32_t i = 0; i < 8; i++) sum += numbers[i];
        numbers[0] = yielder->suspend(sum);
    }
}

/// The same, and returns at the second resume.
void fringe_test_has_locals_once(Yielder *yielder, uint32_t first)
{
    volatile uint32_t numbers[8] = {first};
    use(numbers);
    yielder->suspend(numbers[0]);
}

/// Throws out of its body at the second resume.
void fringe_test_has_locals_and_throws(Yielder *yielder, uint32_t first)
{
    volatile uint32_t numbers[8] = {first};
    use(numbers);
    throw yielder->suspend(numbers[0]);
}

/// Throws and catches; gives what it has caught.
void fringe_test_catches(Yielder *yielder, uint32_t number)
{
    for (;;) number = yielder->suspend(catch_behind_a_large_frame(number));
}

/// Suspends behind a large frame.
void fringe_test_has_a_large_frame(Yielder *yielder, uint32_t)
{
    volatile char array[large];
    array[0] = 1;
    use(array);
    yielder->suspend(static_cast<uint32_t>(array[0]));
    use(array);
}

/// Throws and catches on the stack of the caller.
uint32_t fringe_test_catch_here(uint32_t number) { return catch_behind_a_large_frame(number); }

/// Resumes a body that then throws a number, which is returned.
uint32_t fringe_test_catch_number(fringe_yielder *yielder, uintptr_t (*resume)(void *, uintptr_t))
{
    volatile uint32_t numbers[8] = {1};
    use(numbers);
    try {
        resume(yielder, 5);
    } catch (uint32_t number) {
        return number * numbers[0];
    }
    return 0;
}

/// Makes the context itself, and says nothing of where its stack ends.
uint32_t fringe_test_resumes(uintptr_t base, uint32_t number)
{
    fringe_mailbox mailbox = {FRINGE_SUSPENDED, number, 0};
    const auto body = reinterpret_cast<void (*)()>(fringe_test_has_locals_once);
    fringe_yielder *yielder = fringe_init(base, body, &mailbox);
    const uint32_t output = static_cast<uint32_t>(fringe_resume(yielder, 0));
    fringe_resume(yielder, 0);
    return mailbox.status == FRINGE_RETURNED ? output : 0;
}

/// Has the answers of a callback on its stack.
uint32_t fringe_test_sum_answers(uint32_t (*callback)(uint32_t))
{
    uint32_t answers[8];
    for (uint32_t i = 0; i < 8; i++) answers[i] = callback(i);
    uint32_t sum = 0;
    for (uint32_t i = 0; i < 8; i++) sum += answers[i];
    return sum;
}

} // extern "C"
