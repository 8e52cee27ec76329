// SPDX-License-Identifier: MIT OR Apache-2.0
// Credit: after libfringe, by edef and the libfringe contributors
//
// A body that suspends in a coroutine of C++20, for coroutine_test.ts, which compiles it with the
// C++ compiler of the machine.

#include "fringe.h"

#include <coroutine>

static int32_t objects = 0;
static int32_t unhandled = 0;

struct Object {
    Object() { objects++; }
    ~Object() { objects--; }
};

struct Task {
    struct promise_type {
        Task get_return_object()
        {
            return {std::coroutine_handle<promise_type>::from_promise(*this)};
        }
        std::suspend_always initial_suspend() noexcept { return {}; }
        std::suspend_always final_suspend() noexcept { return {}; }
        void return_void() {}
        // The compiler calls it in a `catch (...)` around the coroutine's body.
        void unhandled_exception() { unhandled++; }
    };
    std::coroutine_handle<promise_type> handle;
    ~Task() { handle.destroy(); }
};

using Yielder = fringe::Yielder<int32_t, int32_t>;

static Task coroutine(Yielder *yielder)
{
    Object object;
    yielder->suspend(1);
    co_return;
}

// Suspends in a coroutine, and `times` times more behind it.
FRINGE_EXPORT void suspends_in_coroutine(Yielder *yielder, int32_t times)
{
    Object object;
    Task task = coroutine(yielder);
    task.handle.resume();
    for (int32_t i = 0; i < times; i++) yielder->suspend(2);
}

FRINGE_EXPORT int32_t alive() { return objects; }
FRINGE_EXPORT int32_t unhandled_count() { return unhandled; }
